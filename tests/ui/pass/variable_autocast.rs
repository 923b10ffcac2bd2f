//! `#[variable(autocast = false)]`: read in its own dtype, whatever the module computes in.

use modulor::prelude::*;
use modulor::{DType, DTypePolicy};

#[derive(Module)]
struct A {
    #[config(default, into)]
    dtype: DTypePolicy,
    #[variable(init = 0.5)]
    cast: Variable,
    #[variable(init = 0.5, autocast = false)]
    kept: Variable,
    #[variable(init = 2)]
    whole: Variable,
}

impl Layer<Tensor, (Tensor, Tensor)> for A {
    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        assert_eq!(self.whole.read()?.dtype(), DType::I32);
        Ok((x.mul(&self.cast)?, self.kept.read()?))
    }
}

#[test]
fn what_is_not_cast_is_read_as_it_is_kept() {
    let a = A::new().dtype("mixed_float16");
    let (cast, kept) = a.call(Tensor::from([1.0_f32])).unwrap();
    assert_eq!((cast.dtype(), kept.dtype(), a.cast.dtype()), (DType::F16, DType::F32, DType::F32));
    assert_eq!(a.cast.read().unwrap().dtype(), DType::F32);
}

#[test]
fn variables_are_kept_as_the_policy_says() {
    let a = A::new().dtype("float64");
    assert_eq!([a.cast.dtype(), a.kept.dtype(), a.whole.dtype()], [DType::F64, DType::F64, DType::I32]);
}
