//! Modules and layers.

mod call;
mod config;
mod derive;
mod freeze;
mod names;
mod share;
mod walk;

use modulor::DType;
use modulor::prelude::*;
use modulor::variable::Initializer;

/// A tensor of ones.
pub fn ones<const N: usize>(dims: [usize; N]) -> Tensor {
    Tensor::new(dims, vec![1.0_f32; dims.iter().product()]).expect("the elements fit the shape")
}

/// Draws different values for different seeds.
#[derive(Default)]
pub struct RandomNormal;

impl Initializer for RandomNormal {
    fn init(&self, dims: &[usize], _: DType, seed: u64) -> Result<Tensor> {
        let element = |index: usize| ((seed % 9973) as f32 + index as f32).sin();
        Tensor::new(dims, (0..dims.iter().product()).map(element).collect::<Vec<f32>>())
    }
}

#[derive(Module)]
#[module(package = "module_tests")]
pub struct FlexibleDense {
    #[config]
    pub out_features: usize,
    #[variable(shape = [input[-1], out_features], init = RandomNormal::default())]
    pub w: Variable,
    #[variable(shape = [out_features], init = 0.0)]
    pub b: Variable,
}

impl Layer for FlexibleDense {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.matmul(&self.w)? + &self.b)
    }
}

#[derive(Module)]
#[module(package = "module_tests")]
pub struct MySequentialModel {
    pub dense_1: FlexibleDense,
    pub dense_2: FlexibleDense,
}

impl Layer for MySequentialModel {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.dense_2.call(&self.dense_1.call(x)?)
    }
}

pub fn my_sequential_model() -> MySequentialModel {
    MySequentialModel { dense_1: FlexibleDense::new(3), dense_2: FlexibleDense::new(2) }
}

/// A layer without variables.
#[derive(Module)]
#[module(package = "module_tests")]
pub struct Relu;

impl Layer for Relu {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.relu()
    }
}

/// Every variable, built or not, in TensorFlow's order.
pub fn paths(module: &impl Module) -> Vec<String> {
    let mut paths = Vec::new();
    let mut met = std::collections::HashSet::new();
    modulor::module::walk(module).in_order(&mut |_, _| {}, &mut |path, node| {
        for (name, variable) in node.sorted_variables() {
            if met.insert(variable.id()) {
                paths.push(if path.is_empty() { name.clone() } else { format!("{path}/{name}") });
            }
        }
    });
    paths
}
