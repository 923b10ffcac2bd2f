use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[config(default = true)]
    use_bias: bool,
    #[config(default = 3)]
    units: usize,
    #[variable(
        shape = [input[-1], units * 2, 1],
        init = "glorot_uniform",
        regularizer = "l2",
        constraint = "non_neg",
        dtype = "float32",
        trainable = true,
        persistent = true,
        when = use_bias,
    )]
    a: Variable,
    #[variable(shape = [inputs[1][0], input[0] + inputs[0][-1]], init = 0.0)]
    b: Variable,
    #[variable(init = 5)]
    c: Variable,
    #[variable(shape = [])]
    d: Variable,
    #[variable(shape = [N], dtype = modulor::DType::F64, init = "my_package>Mine")]
    e: Variable,
    #[variable(init = Tensor::scalar(1.0_f64), trainable = false, persistent = false)]
    f: Variable,
    #[variable(init = 0, trainable = false, persistent = true, weight = false)]
    g: Variable,
    #[variable(init = 0.0, weight = true)]
    h: Variable,
    i: Variable,
}

const N: usize = 4;

fn main() {}
