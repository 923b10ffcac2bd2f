//! Toy tensors: float32 values only.
#![allow(missing_docs)]
use crate::{DType, Error, Result, Shape, Variable};
use std::{fmt, sync::Arc};
#[derive(Clone)]
pub struct Tensor { data: Arc<Vec<f32>>, shape: Shape, mask: Option<Arc<Tensor>> }
impl Tensor {
    pub fn new(dims: impl Into<Vec<usize>>, data: impl Into<Vec<f32>>) -> Result<Tensor> {
        let (dims, data) = (dims.into(), data.into());
        if dims.iter().product::<usize>() != data.len() { return Err(Error::invalid_argument("wrong number of elements")) }
        Ok(Tensor { data: Arc::new(data), shape: Shape::from(dims), mask: None })
    }
    pub fn scalar(x: f32) -> Tensor { Tensor { data: Arc::new(vec![x]), shape: Shape::scalar(), mask: None } }
    pub fn shape(&self) -> &Shape { &self.shape }
    pub fn dims(&self) -> Result<&[usize]> { Ok(self.shape.known().expect("toy")) }
    pub fn dtype(&self) -> DType { DType::F32 }
    pub fn is_symbolic(&self) -> bool { false }
    pub fn mask(&self) -> Option<&Tensor> { self.mask.as_deref() }
    pub fn with_mask(&self, mask: Option<Tensor>) -> Tensor { Tensor { mask: mask.map(Arc::new), ..self.clone() } }
    pub fn to_vec<T: From<f32>>(&self) -> Result<Vec<T>> { Ok(self.data.iter().map(|x| T::from(*x)).collect()) }
    pub fn matmul(&self, o: impl AsTensor) -> Result<Tensor> {
        let o = o.as_tensor()?;
        let (a, b) = (self.dims()?, o.dims()?);
        let (m, k, l, n) = (a[0], a[1], b[0], b[1]);
        if k != l { return Err(Error::invalid_argument(format!("In[0] mismatch In[1] shape: {k} vs. {l}: [{m},{k}] [{l},{n}]")).in_op("MatMul")) }
        let mut out = vec![0.0; m * n];
        for r in 0..m { for c in 0..n { for i in 0..k { out[r * n + c] += self.data[r * k + i] * o.data[i * n + c] } } }
        Tensor::new([m, n], out)
    }
    pub fn relu(&self) -> Result<Tensor> { Tensor::new(self.dims()?, self.data.iter().map(|x| x.max(0.0)).collect::<Vec<_>>()) }
    pub fn plus(&self, o: impl AsTensor) -> Result<Tensor> { self.zip(&o.as_tensor()?, |a, b| a + b) }
    pub fn times(&self, o: impl AsTensor) -> Result<Tensor> { self.zip(&o.as_tensor()?, |a, b| a * b) }
    fn zip(&self, o: &Tensor, f: impl Fn(f32, f32) -> f32) -> Result<Tensor> {
        let (a, b) = (&self.data, &o.data);
        if a.len() >= b.len() { Tensor::new(self.dims()?, a.iter().enumerate().map(|(i, x)| f(*x, b[i % b.len()])).collect::<Vec<_>>()) }
        else { Tensor::new(o.dims()?, b.iter().enumerate().map(|(i, y)| f(a[i % a.len()], *y)).collect::<Vec<_>>()) }
    }
}
pub trait AsTensor { fn as_tensor(self) -> Result<Tensor>; }
impl AsTensor for Tensor { fn as_tensor(self) -> Result<Tensor> { Ok(self) } }
impl AsTensor for &Tensor { fn as_tensor(self) -> Result<Tensor> { Ok(self.clone()) } }
impl AsTensor for &Variable { fn as_tensor(self) -> Result<Tensor> { self.read() } }
impl AsTensor for f64 { fn as_tensor(self) -> Result<Tensor> { Ok(Tensor::scalar(self as f32)) } }
macro_rules! ops { ($($a:ty, $b:ty;)*) => { $(
    impl std::ops::Add<$b> for $a { type Output = Tensor; fn add(self, o: $b) -> Tensor { self.as_tensor().and_then(|a| a.plus(o)).expect("toy") } }
    impl std::ops::Mul<$b> for $a { type Output = Tensor; fn mul(self, o: $b) -> Tensor { self.as_tensor().and_then(|a| a.times(o)).expect("toy") } }
)* } }
ops! { Tensor, Tensor; Tensor, &Tensor; &Tensor, Tensor; &Tensor, &Tensor; Tensor, &Variable; &Tensor, &Variable; &Variable, &Variable; Tensor, f64; f64, Tensor; f64, &Variable; f64, &Tensor; &Tensor, f64; }
impl fmt::Debug for Tensor { fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "Tensor({:?}, {:?})", self.shape, self.data) } }
