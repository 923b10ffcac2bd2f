extern crate modulor_core as modulor;

use modulor::{variable::Initializer, *};

struct Mine;

impl Initializer for Mine {
    fn init(&self, dims: &[usize], dtype: DType, _: u64) -> Result<Tensor> {
        Tensor::zeros(dims, dtype)
    }
}

#[derive(Module)]
struct A {
    #[variable(init = Mine)]
    w: Variable,
}

fn main() {}
