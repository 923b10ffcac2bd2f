//! What TensorFlow has no op for: named functions over public tensor operations.
//!
//! Shapes and gradients follow from the bodies. In a graph the nodes of a body carry its name and number at the end of
//! their path, so that the graph's text shows where they come from and they can be found again together. Those of
//! [`fused`](super::fused) have a kernel and a gradient of their own, by which they are computed out of graphs.

use super::fused::{Gelu, SigmoidCrossEntropy, fused};
use super::reduce::Axes;
use crate::op::{Operand, scope};
use crate::{Error, Result, Tensor};

/// Runs `body`, whose nodes carry `name` at the end of their path, and which of that name in its place this is, from 0.
///
/// ```
/// use modulor_core::{DType, Spec, graph::trace, ops::composite::composite};
/// # fn main() -> modulor_core::Result<()> {
/// let twice = |x: &Tensor| composite("twice", || x.add(x));
/// # use modulor_core::Tensor;
/// let graph = trace(|x| Ok(vec![twice(&x[0])?]), &[Spec::new(DType::F32, [2])])?;
/// assert!(graph.to_string().contains("%1 = AddV2(%0, %0) : float32(2,)  # twice:0"));
/// # Ok(())
/// # }
/// ```
pub fn composite<R>(name: &str, body: impl FnOnce() -> R) -> R {
    scope::within_composite(name, body)
}

impl Tensor {
    /// `x·σ(x)`, also called swish.
    pub fn silu(&self) -> Result<Tensor> {
        composite("silu", || self.mul(self.sigmoid()?))
    }

    /// `ln σ(x)`, exact where `x` is large.
    pub fn log_sigmoid(&self) -> Result<Tensor> {
        composite("log_sigmoid", || (-self).softplus()?.neg())
    }

    /// `x·Φ(x)`, Φ being the distribution function of the normal distribution: by the error function or, if
    /// `approximate`, as `x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³)))`, in forms that are exact where Φ is small. NaN of −∞, as
    /// of −∞·0.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let y = Tensor::from([-1.0_f64, 0.0, 1.0]).gelu(false)?.to_vec::<f64>()?;
    /// assert!((y[0] + 0.158_655_253_931_457).abs() < 1e-15 && y[1] == 0.0 && (y[2] - y[0] - 1.0).abs() < 1e-15);
    /// # Ok(())
    /// # }
    /// ```
    pub fn gelu(&self, approximate: bool) -> Result<Tensor> {
        fused(Gelu { approximate }, &[self])
    }

    /// `ln Σ eˣ` over axes, without overflow; −∞ of none. NumPy's and TensorFlow's `reduce_logsumexp`.
    pub fn log_sum_exp(&self, axes: impl Axes) -> Result<Tensor> {
        self.check()?;
        let axes = axes.axes(self.rank())?;
        composite("log_sum_exp", || {
            let greatest = self.max_keepdims(&*axes)?;
            let shift = greatest.is_finite()?.select(&greatest, &greatest.zeros_like()?)?.stop_gradient()?;
            let sum = (self - &shift).exp()?.sum(&*axes)?;
            sum.log()?.add(shift.reshape_as(&sum)?)
        })
    }

    /// The Euclidean norm over axes, `√Σ x²`. Its gradient is NaN where it is 0, as TensorFlow's.
    pub fn norm(&self, axes: impl Axes) -> Result<Tensor> {
        self.check()?;
        let axes = axes.axes(self.rank())?;
        composite("norm", || self.square()?.sum(axes)?.sqrt())
    }

    /// This over its Euclidean norm over axes, or over `√epsilon` where the norm is less. TensorFlow's
    /// `tf.math.l2_normalize`.
    pub fn l2_normalize(&self, axes: impl Axes, epsilon: f64) -> Result<Tensor> {
        self.check()?;
        let axes = axes.axes(self.rank())?;
        composite("l2_normalize", || self.mul(self.square()?.sum_keepdims(axes)?.maximum(epsilon)?.rsqrt()?))
    }

    /// The cross entropy of `labels`, probabilities, and the sigmoid of these logits, element by element, without
    /// overflow: `max(x, 0) − x·labels + ln(1 + e^−|x|)`.
    ///
    /// ```
    /// use modulor_core::Tensor;
    /// # fn main() -> modulor_core::Result<()> {
    /// let loss = Tensor::from([1000.0_f32, -1000.0]).sigmoid_cross_entropy_with_logits(1.0)?;
    /// assert_eq!(loss.to_vec::<f32>()?, [0.0, 1000.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn sigmoid_cross_entropy_with_logits(&self, labels: impl Operand) -> Result<Tensor> {
        self.check()?;
        let labels = labels.operand(self.dtype())?;
        fused(SigmoidCrossEntropy, &[self, &labels])
    }

    /// Zeros in place of elements, each with probability `rate`, and the others scaled by `1/(1 − rate)`: as many as
    /// before in the mean.
    ///
    /// What goes follows from `seed`, two int32 or int64. One draw serves for all elements of axes where `noise_shape`
    /// has a 1; by default it is the shape of this. An error for a rate not in [0, 1).
    /// TensorFlow's `tf.nn.experimental.stateless_dropout`, with the same draws.
    pub fn dropout(&self, rate: f64, seed: &Tensor, noise_shape: Option<&Tensor>) -> Result<Tensor> {
        self.check()?;
        if !(0.0..1.0).contains(&rate) {
            return Err(Error::invalid_argument(format!("the rate must be in [0, 1), found {rate}")));
        }
        composite("dropout", || {
            let shape = match noise_shape {
                Some(shape) => shape.clone(),
                None => self.shape_tensor()?,
            };
            let draws = Tensor::stateless_uniform(&shape, seed, self.dtype())?;
            draws.greater_equal(rate)?.select(&(self * (1.0 / (1.0 - rate))), &self.zeros_like()?)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DType, ErrorKind, Shape, Spec, graph::trace, hessian, value_and_grad};
    use std::f64::consts::LN_2;

    /// Compares with numbers that TensorFlow gives, in float64.
    #[track_caller]
    fn near(found: &Tensor, expected: &[f64]) {
        let found = found.to_vec::<f64>().unwrap();
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() <= 1e-14 * (1.0 + expected.abs()), "{found:?} vs. {expected:?}");
        }
    }

    #[track_caller]
    fn value_and_slope(f: impl Fn(&Tensor) -> Result<Tensor>, x: &Tensor, value: &[f64], slope: &[f64]) {
        let (y, dx) = value_and_grad(|x| f(&x[0]), std::slice::from_ref(x)).unwrap();
        near(&y, value);
        near(&dx[0], slope);
    }

    #[test]
    fn values_and_gradients_are_tensorflows() {
        let x = Tensor::from([-3.0_f64, -0.5, 0.0, 0.25, 2.0]);
        value_and_slope(
            Tensor::silu,
            &x,
            &[-0.14227761953270035, -0.18877033439907273, 0.0, 0.14054412522144952, 1.7615941559557649],
            &[-0.08810410601516963, 0.26003881269734824, 0.5, 0.6237100215701977, 1.0907842487848955],
        );
        value_and_slope(
            Tensor::log_sigmoid,
            &x,
            &[-3.048587351573742, -0.9740769841801067, -LN_2, -0.5759394198788435, -0.1269280110429725],
            &[0.9525741268224333, 0.6224593312018546, 0.5, 0.4378234991142019, 0.11920292202211755],
        );
        value_and_slope(
            |x| x.log_sum_exp(..),
            &x,
            &[2.3349941249736847],
            &[0.004819938429452701, 0.058718870807770114, 0.0968110512922634, 0.12430785047552684, 0.7153422889949869],
        );
        value_and_slope(
            |x| x.norm(..),
            &x,
            &[3.648629879831606],
            &[-0.822226451793038, -0.13703774196550633, 0.0, 0.06851887098275317, 0.5481509678620253],
        );
        value_and_slope(
            |x| x.l2_normalize(.., 1e-12),
            &x,
            &[-0.822226451793038, -0.13703774196550633, 0.0, 0.06851887098275317, 0.5481509678620253],
            &[0.19687112226030487, 0.26120809031922804, 0.27407548393101266, 0.280509180736905, 0.3255450583781512],
        );
        value_and_slope(
            |x| x.sigmoid_cross_entropy_with_logits(0.75),
            &x,
            &[2.298587351573742, 0.8490769841801067, LN_2, 0.6384394198788435, 0.6269280110429725],
            &[-0.7025741268224333, -0.37245933120185454, -0.25, -0.18782349911420188, 0.13079707797788245],
        );
        value_and_slope(|x| Ok(x.moments(..)?.1), &x, &[2.6], &[-1.1, -0.1, 0.1, 0.2, 0.9]);
    }

    /// TensorFlow's own are those of a √2 in single precision.
    #[test]
    fn gelu_is_what_its_formula_says() {
        let x = Tensor::from([-3.0_f64, -0.5, 0.0, 0.25, 2.0]);
        value_and_slope(
            |x| x.gelu(false),
            &x,
            &[-0.004049694094890287, -0.15426876936299344, 0.0, 0.14967658142073093, 1.9544997361036416],
            &[-0.011945647204183927, 0.13250487534383712, 0.5, 0.695373354883636, 1.085231801078197],
        );
        value_and_slope(
            |x| x.gelu(true),
            &x,
            &[-0.0036373920817729943, -0.15428599017485606, 0.0, 0.149675350701685, 1.954597694087775],
            &[-0.011584166630969516, 0.13263009646535764, 0.5, 0.6953540951510604, 1.0860992566236183],
        );
    }

    #[test]
    fn a_logistic_loss_has_its_slope_in_zero_too() {
        let x = Tensor::from([0.0_f64, -0.0]);
        let loss = |x: &Tensor| x.sigmoid_cross_entropy_with_logits(Tensor::from([0.25_f64, 1.0]));
        value_and_slope(loss, &x, &[2.0_f64.ln(); 2], &[0.25, -0.5]);
    }

    #[test]
    fn log_sum_exp_neither_overflows_nor_loses_infinities() {
        let inf = f64::INFINITY;
        let x = Tensor::from([[1000.0_f64, 1000.0], [-inf, -inf], [inf, 0.0]]);
        near(&x.log_sum_exp(1).unwrap().exp().unwrap().minimum(1.0).unwrap(), &[1.0, 0.0, 1.0]);
        assert_eq!(x.log_sum_exp(1).unwrap().to_vec::<f64>().unwrap()[1..], [-inf, inf]);
        assert_eq!(*x.log_sum_exp(..).unwrap().shape(), Shape::scalar());
    }

    #[test]
    fn a_variance_is_curved_as_it_should_be() {
        let x = Tensor::from([1.0_f64, 2.0, 4.0]);
        let curve = hessian(|x| Ok(x.moments(..)?.1), &x).unwrap();
        let (own, other) = (2.0 / 3.0 * (1.0 - 1.0 / 3.0), -2.0 / 9.0);
        near(&curve.reshape([9]).unwrap(), &[own, other, other, other, own, other, other, other, own]);
    }

    #[test]
    fn dropout_keeps_the_mean_and_refuses_other_rates() {
        let eight = Tensor::ones([8], DType::F32).unwrap().dropout(0.25, &Tensor::from([1, 2]), None).unwrap();
        let third = (1.0_f64 / 0.75) as f32;
        assert_eq!(eight.to_vec::<f32>().unwrap(), [third, 0.0, third, 0.0, third, third, 0.0, 0.0]);
        let (x, seed) = (Tensor::ones([64, 64], DType::F32).unwrap(), Tensor::from([1, 2]));
        let y = x.dropout(0.25, &seed, None).unwrap();
        let kept = y.to_vec::<f32>().unwrap();
        assert!(kept.iter().all(|&y| y == 0.0 || y == third));
        assert!((y.mean(..).unwrap().item::<f32>().unwrap() - 1.0).abs() < 0.05);
        let rows = x.dropout(0.5, &seed, Some(&Tensor::from([64, 1]))).unwrap().to_vec::<f32>().unwrap();
        assert!(rows.chunks(64).all(|row| row.iter().all(|&y| y == row[0])));
        for rate in [1.0, -0.1, f64::NAN] {
            assert_eq!(x.dropout(rate, &seed, None).unwrap_err().kind(), ErrorKind::InvalidArgument);
        }
    }

    #[test]
    fn composites_work_on_symbols_of_which_nothing_is_known_but_the_dtype() {
        let graph = trace(
            |x| {
                let (mean, variance) = x[0].moments([1])?;
                Ok(vec![x[0].gelu(true)?, x[0].log_sum_exp(1)?, mean, variance, x[0].l2_normalize(1, 1e-12)?])
            },
            &[Spec::new(DType::F64, Shape::unknown())],
        )
        .unwrap();
        assert!(graph.to_string().contains("= moments"), "{graph}");
        let x = Tensor::from([[1.0_f64, 2.0], [3.0, -1.0]]);
        let traced = graph.run(&[&x]).unwrap();
        let (mean, variance) = x.moments([1]).unwrap();
        let eager =
            [x.gelu(true).unwrap(), x.log_sum_exp(1).unwrap(), mean, variance, x.l2_normalize(1, 1e-12).unwrap()];
        for (traced, eager) in traced.iter().zip(&eager) {
            assert_eq!(traced.to_vec::<f64>().unwrap(), eager.to_vec::<f64>().unwrap());
        }
    }
}
