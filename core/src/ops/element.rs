//! Functions of numbers one by one that TensorFlow has no op for.

use super::composite::composite;
use super::nan::greatest;
use crate::op::{Operand, allowed};
use crate::{DType, Error, Result, Tensor};
use std::f64::consts::{LN_2, PI};

fn floats(x: &Tensor) -> Result<DType> {
    x.check()?;
    allowed(x.dtype(), |dtype| dtype.is_float(), "floats")
}

/// Both sides, which must be integers of one dtype, without their signs.
fn magnitudes(a: &Tensor, b: impl Operand) -> Result<(Tensor, Tensor)> {
    a.check()?;
    let dtype = allowed(a.dtype(), |dtype| dtype.is_integer(), "integers")?;
    let b = b.operand(dtype)?;
    if b.dtype() != dtype {
        return Err(Error::invalid_argument(format!("integers of one dtype, found {dtype} and {}", b.dtype())));
    }
    match dtype {
        DType::U8 | DType::U16 | DType::U32 | DType::U64 => Ok((a.clone(), b)),
        _ => Ok((a.abs()?, b.abs()?)),
    }
}

/// Euclid's algorithm, in step for all: until none has a rest or, in a trace, as often as any may need it.
fn common_divisor(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    // The longest way have two numbers of Fibonacci's, which grow by 1.618 each.
    let most = bits(a.dtype()) * 3 / 2 + 2;
    let (mut a, mut b) = (a.add(b.zeros_like()?)?, b.add(a.zeros_like()?)?);
    for _ in 0..most {
        let goes_on = b.not_equal(0.0)?;
        if !b.is_symbolic() && !goes_on.any(..)?.item::<bool>()? {
            break;
        }
        let rest = a.floor_mod(goes_on.select(&b, &b.ones_like()?)?)?;
        (a, b) = (goes_on.select(&b, &a)?, goes_on.select(&rest, &b)?);
    }
    Ok(a)
}

impl Tensor {
    /// `√(a² + b²)`, without overflow; shapes broadcast. Keras's `ops.hypot`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let y = Tensor::from([3.0_f32, -3e30, 0.0]).hypot(Tensor::from([4.0_f32, 4e30, 0.0]))?;
    /// assert_eq!(y.to_vec::<f32>()?, [5.0, 5e30, 0.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn hypot(&self, other: impl Operand) -> Result<Tensor> {
        let other = other.operand(floats(self)?)?;
        composite("hypot", || {
            let (a, b) = (self.abs()?, other.abs()?);
            let (greater, less) = (a.maximum(&b)?, a.minimum(&b)?);
            greater.mul(less.div_no_nan(&greater)?.square()?.add(1.0)?.sqrt()?)
        })
    }

    /// 0 where this is negative, 1 where it is positive, and the other side where it is 0; shapes broadcast. NaN of NaN, as
    /// NumPy's `heaviside`; Keras's has the other side there, too.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// assert_eq!(Tensor::from([-2.0_f32, 0.0, 3.0]).heaviside(0.5)?.to_vec::<f32>()?, [0.0, 0.5, 1.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn heaviside(&self, at_zero: impl Operand) -> Result<Tensor> {
        let at_zero = at_zero.operand(floats(self)?)?;
        composite("heaviside", || self.equal(0.0)?.select(&at_zero, &self.sign()?.maximum(0.0)?))
    }

    /// `sin πx / πx`, and 1 at 0. Keras's `ops.sinc`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let y = Tensor::from([0.0_f64, 0.5, 1.0]).sinc()?.to_vec::<f64>()?;
    /// assert!(y[0] == 1.0 && (y[1] - 2.0 / std::f64::consts::PI).abs() < 1e-15 && y[2].abs() < 1e-15);
    /// # Ok(())
    /// # }
    /// ```
    pub fn sinc(&self) -> Result<Tensor> {
        floats(self)?;
        composite("sinc", || {
            let is_zero = self.equal(0.0)?;
            // A quotient by 0 would spoil the gradient even where it does not count.
            let x = is_zero.select(&self.ones_like()?, self)?.mul(PI)?;
            is_zero.select(&self.ones_like()?, &x.sin()?.div(&x)?)
        })
    }

    /// `2ˣ`. Keras's `ops.exp2`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// assert_eq!(Tensor::from([-1.0_f32, 0.0, 10.0]).exp2()?.to_vec::<f32>()?, [0.5, 1.0, 1024.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn exp2(&self) -> Result<Tensor> {
        let two = Tensor::number(2.0, floats(self)?)?;
        composite("exp2", || two.pow(self))
    }

    /// The logarithm to base 2, `ln x / ln 2`. Keras's `ops.log2`.
    pub fn log2(&self) -> Result<Tensor> {
        floats(self)?;
        composite("log2", || self.log()?.div(LN_2))
    }

    /// The logarithm to base 10, `ln x / ln 10`. Keras's `ops.log10`.
    pub fn log10(&self) -> Result<Tensor> {
        floats(self)?;
        composite("log10", || self.log()?.div(std::f64::consts::LN_10))
    }

    /// The cube root, of negative numbers too: `sign x · |x|^⅓`. Keras's `ops.cbrt`.
    pub fn cbrt(&self) -> Result<Tensor> {
        floats(self)?;
        composite("cbrt", || self.sign()?.mul(self.abs()?.pow(1.0 / 3.0)?))
    }

    /// `log₂(2ᵃ + 2ᵇ)`, without overflow; shapes broadcast. Keras's `ops.logaddexp2`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([1000.0_f64, f64::NEG_INFINITY]);
    /// assert_eq!(x.log_add_exp2(&x)?.to_vec::<f64>()?, [1001.0, f64::NEG_INFINITY]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn log_add_exp2(&self, other: impl Operand) -> Result<Tensor> {
        let other = other.operand(floats(self)?)?;
        composite("log_add_exp2", || {
            let apart = self.sub(&other)?;
            let more = apart.abs()?.mul(-LN_2)?.exp()?.log1p()?.div(LN_2)?;
            // Of equal infinities there is no difference.
            apart.is_nan()?.select(&self.add(&other)?, &self.maximum(&other)?.add(more)?)
        })
    }

    /// `x·2ᵉ` of floats and integers `exponent`, which broadcast; 0 and infinities as they are. Keras's `ops.ldexp`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let y = Tensor::from([0.75_f32, -1.0, 0.0]).ldexp(&Tensor::from([2, -1, 5000]))?;
    /// assert_eq!(y.to_vec::<f32>()?, [3.0, -0.5, 0.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn ldexp(&self, exponent: &Tensor) -> Result<Tensor> {
        let dtype = floats(self)?;
        exponent.check()?;
        allowed(exponent.dtype(), |dtype| dtype.is_integer(), "exponents that are integers")?;
        composite("ldexp", || {
            let scaled = self.mul(exponent.cast(dtype)?.exp2()?)?;
            self.is_inf()?.logical_or(&self.equal(0.0)?)?.select(self, &scaled)
        })
    }

    /// Where numbers have a minus sign, −0 too; of NaN false. Keras's `ops.signbit`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// assert_eq!(Tensor::from([-1.0_f32, -0.0, 0.0, 2.0]).sign_bit()?.to_vec::<bool>()?, [true, true, false, false]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn sign_bit(&self) -> Result<Tensor> {
        self.check()?;
        composite("sign_bit", || match self.dtype().is_float() {
            true => self.equal(0.0)?.select(&self.reciprocal()?, self)?.less(0.0),
            false => self.less(0.0),
        })
    }

    /// The greater of both; that which is a number if the other is NaN. Keras's `ops.fmax`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let (a, b) = (Tensor::from([1.0_f32, f32::NAN, 5.0]), Tensor::from([3.0_f32, 2.0, f32::NAN]));
    /// assert_eq!(a.fmax(&b)?.to_vec::<f32>()?, [3.0, 2.0, 5.0]);
    /// assert_eq!(a.fmin(&b)?.to_vec::<f32>()?, [1.0, 2.0, 5.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn fmax(&self, other: impl Operand) -> Result<Tensor> {
        self.of_numbers("fmax", other, |a, b| a.maximum(b))
    }

    /// The less of both; that which is a number if the other is NaN. Keras's `ops.fmin`.
    pub fn fmin(&self, other: impl Operand) -> Result<Tensor> {
        self.of_numbers("fmin", other, |a, b| a.minimum(b))
    }

    /// What is made of both or, where one is NaN, the other.
    fn of_numbers(
        &self,
        name: &str,
        other: impl Operand,
        made: impl FnOnce(&Tensor, &Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        self.check()?;
        let other = other.operand(self.dtype())?;
        composite(name, || {
            let found = made(self, &other)?;
            if !self.dtype().is_float() {
                return Ok(found);
            }
            self.is_nan()?.select(&other, &other.is_nan()?.select(self, &found)?)
        })
    }

    /// Degrees in radians, `x·π/180`. Keras's `ops.deg2rad`.
    pub fn to_radians(&self) -> Result<Tensor> {
        floats(self)?;
        composite("to_radians", || self.mul(PI / 180.0))
    }

    /// Radians in degrees, `x·180/π`. Keras's `ops.rad2deg`.
    pub fn to_degrees(&self) -> Result<Tensor> {
        floats(self)?;
        composite("to_degrees", || self.mul(180.0 / PI))
    }

    /// The greatest integer that divides both, not negative; shapes broadcast. Of 0 and a number that number, of the least integer
    /// of a dtype what [`abs`](Tensor::abs) makes of it. Keras's `ops.gcd`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let (a, b) = (Tensor::from([12, -18, 0]), Tensor::from([8, 27, 5]));
    /// assert_eq!(a.gcd(&b)?.to_vec::<i32>()?, [4, 9, 5]);
    /// assert_eq!(a.lcm(&b)?.to_vec::<i32>()?, [24, 54, 0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn gcd(&self, other: impl Operand) -> Result<Tensor> {
        let (a, b) = magnitudes(self, other)?;
        composite("gcd", || common_divisor(&a, &b))
    }

    /// The least integer that both divide, not negative; 0 with 0. Shapes broadcast. Keras's `ops.lcm`.
    pub fn lcm(&self, other: impl Operand) -> Result<Tensor> {
        let (a, b) = magnitudes(self, other)?;
        composite("lcm", || {
            let divisor = common_divisor(&a, &b)?;
            a.mul(b.floor_div(divisor.maximum(divisor.ones_like()?)?)?)
        })
    }

    /// Where numbers are among `values`, of any shape; NaN is among none. Keras's `ops.isin`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// assert_eq!(x.is_in(&Tensor::from([4, 1, 7]))?.to_vec::<bool>()?, [true, false, false, true]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// For values of another dtype, or that are no numbers.
    pub fn is_in(&self, values: &Tensor) -> Result<Tensor> {
        self.check()?;
        values.check()?;
        let dtype = allowed(self.dtype(), |dtype| dtype.is_float() || dtype.is_integer(), "numbers")?;
        if values.dtype() != dtype {
            let message = format!("values must be of dtype {dtype}, found {}", values.dtype());
            return Err(Error::invalid_argument(message));
        }
        composite("is_in", || {
            let sorted = values.reshape([-1])?.sort(0, false)?;
            let flat = self.reshape([-1])?;
            let place = sorted.search_sorted(&flat, false)?;
            // What is greater than all has a place behind them.
            let behind = Tensor::concat(&[sorted.clone(), Tensor::zeros([1], dtype)?], 0)?;
            let is_there = place.less(sorted.length(0)?.cast(DType::I32)?)?;
            let found = behind.gather(&place, 0)?.equal(&flat)?;
            found.logical_and(&is_there)?.reshape_as(self)
        })
    }

    /// Numbers as those of another dtype; those beyond its least and its greatest as these, where [`cast`](Tensor::cast) goes
    /// round. Floats lose their fractions, NaN becomes 0. Keras's `ops.saturate_cast`.
    ///
    /// ```
    /// use modulor_core::{DType, Tensor};
    /// # fn main() -> modulor_core::Result<()> {
    /// let y = Tensor::from([-3.0_f32, 7.9, 300.0]).saturate_cast(DType::U8)?;
    /// assert_eq!(y.to_vec::<u8>()?, [0, 7, 255]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn saturate_cast(&self, dtype: DType) -> Result<Tensor> {
        self.check()?;
        let numbers = |dtype: DType| dtype.is_float() || dtype.is_integer();
        allowed(self.dtype(), numbers, "numbers")?;
        allowed(dtype, numbers, "a dtype of numbers")?;
        let from = self.dtype();
        if dtype == from {
            return Ok(self.clone());
        }
        composite("saturate_cast", || match (from.is_float(), dtype.is_float()) {
            (true, true) if greatest(dtype) < greatest(from) => {
                let most = greatest(dtype);
                // A bfloat16 cannot say the greatest float16.
                let x = if from == DType::BF16 { &self.cast(DType::F32)? } else { self };
                x.clip_by_value(-most, most)?.cast(dtype)
            }
            (true, true) => self.cast(dtype),
            (true, false) => {
                let [least, most] = ends_in_floats(dtype, from);
                self.is_nan()?.select(&self.zeros_like()?, self)?.clip_by_value(least, most)?.cast(dtype)
            }
            // Of floats, float16 alone has no number as great as integers have.
            (false, true) if dtype == DType::F16 && bits(from) > 15 => {
                let end = |end: f64| Tensor::scalar(end as i64).cast(from);
                let most = greatest(dtype);
                let x = if is_signed(from) { &self.maximum(end(-most)?)? } else { self };
                x.minimum(end(most)?)?.cast(dtype)
            }
            (false, true) => self.cast(dtype),
            (false, false) => {
                let ([to, from_bits], signs) = ([dtype, from].map(bits), [dtype, from].map(is_signed));
                let end = |end: Tensor| end.cast(from);
                let mut x = self.clone();
                match signs {
                    [false, true] => x = x.maximum(0.0)?,
                    [true, true] if to < from_bits => x = x.maximum(end(Tensor::scalar(-1_i64 << to))?)?,
                    _ => {}
                }
                if to < from_bits {
                    x = x.minimum(end(Tensor::scalar((1_u64 << to) - 1))?)?;
                }
                x.cast(dtype)
            }
        })
    }
}

fn is_signed(dtype: DType) -> bool {
    matches!(dtype, DType::I8 | DType::I16 | DType::I32 | DType::I64)
}

/// How many bits an integer has beside its sign.
fn bits(dtype: DType) -> u32 {
    8 * dtype.size() as u32 - u32::from(is_signed(dtype))
}

/// The least and the greatest of integers or, where floats cannot say that, the float before it.
fn ends_in_floats(integers: DType, floats: DType) -> [f64; 2] {
    let digits = match floats {
        DType::F16 => 11,
        DType::BF16 => 8,
        DType::F32 => 24,
        _ => 53,
    };
    let two_to = |power: u32| 2_f64.powi(power as i32);
    let bits = bits(integers);
    // 2ⁿ less the last digit of what is before it; of float16 no more than there is.
    let most = (two_to(bits) - two_to(bits.saturating_sub(digits))).min(greatest(floats));
    [if is_signed(integers) { -two_to(bits).min(greatest(floats)) } else { 0.0 }, most]
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::{bf16, f16};

    #[test]
    fn halves_stop_at_the_greatest_of_the_other_kind() {
        let x = Tensor::from([f32::INFINITY, -1e30, 2.0]);
        let narrow = x.cast(DType::BF16).unwrap().saturate_cast(DType::F16).unwrap().to_vec::<f16>().unwrap();
        assert_eq!(narrow, [f16::MAX, f16::MIN, f16::from_f32(2.0)]);
        let wide = x.cast(DType::F16).unwrap().saturate_cast(DType::BF16).unwrap().to_vec::<bf16>().unwrap();
        assert_eq!(wide, [bf16::INFINITY, bf16::NEG_INFINITY, bf16::from_f32(2.0)]);
    }
}
