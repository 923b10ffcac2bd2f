//! The programs of which TensorFlow's results are recorded, and their gradients.

use modulor::{DType, GradientTape, Loop, Result, Tensor, UnconnectedGradients, cond, scan, switch_case, while_loop};

/// A program of two tensors of three elements.
pub type Program = fn(&Tensor, &Tensor) -> Result<Tensor>;

/// All, by the names of the golden cases.
pub const PROGRAMS: &[(&str, Program)] = &[
    ("branch", branch),
    ("nested_branches", nested_branches),
    ("switched", switched),
    ("power", power),
    ("counted", counted),
    ("limited", limited),
    ("loop_in_branch", loop_in_branch),
    ("branch_in_loop", branch_in_loop),
    ("loop_in_loop", loop_in_loop),
    ("grown", grown),
    ("scanned", scanned),
];

/// Whether the elements add up to more than `bound`.
fn exceeds(x: &Tensor, bound: f64) -> Result<Tensor> {
    x.sum(..)?.greater(bound)
}

fn zero() -> Tensor {
    Tensor::scalar(0)
}

fn branch(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    cond(&exceeds(x, 0.0)?, || Ok(x * x * w), || Ok(w - 3.0 * x))
}

fn nested_branches(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    let inner = || cond(&exceeds(w, 0.0)?, || x.sin()?.mul(w), || x.exp());
    cond(&exceeds(x, 0.0)?, inner, || w.tanh())
}

fn switched(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    let index = x.max(..)?.cast(DType::I32)?;
    switch_case(&index, &[&|| Ok(x * w), &|| Ok(x / w), &|| Ok(x * x * x)])
}

fn power(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    while_loop(|x: &Tensor| x.sum(..)?.less(100.0), |x| Ok(x * w + 1.0), x.clone())
}

fn counted(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    let body = |(i, x, y): &(Tensor, Tensor, Tensor)| Ok((i + 1.0, x * y.sin()? + w, y * 0.5 + x));
    let (i, x, y) = while_loop(|(i, _, _)| i.less(7.0), body, (zero(), x.clone(), w.clone()))?;
    Ok(x + y * i.cast(DType::F64)?)
}

fn limited(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    Loop::new().maximum_iterations(3).run(|x| exceeds(x, -1e9), |x| Ok(x * w), x.clone())
}

fn loop_in_branch(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    let body = |(i, x): &(Tensor, Tensor)| Ok((i + 1.0, x.sin()?.mul(w)?));
    let looped = || Ok(while_loop(|(i, _)| i.less(4.0), body, (zero(), x.clone()))?.1);
    cond(&exceeds(x, 0.0)?, looped, || Ok(x * w))
}

fn branch_in_loop(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    let body =
        |(i, x): &(Tensor, Tensor)| Ok((i + 1.0, cond(&exceeds(x, 1.0)?, || Ok(x * 0.25 - w), || Ok(x * x + w))?));
    Ok(while_loop(|(i, _)| i.less(6.0), body, (zero(), x.clone()))?.1)
}

fn loop_in_loop(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    let outer = |(i, x): &(Tensor, Tensor)| {
        let inner = |(j, x): &(Tensor, Tensor)| Ok((j + 1.0, (x * w).tanh()? + x * 0.5));
        let (_, x) = while_loop(|(j, _)| j.less(i), inner, (zero(), x.clone()))?;
        Ok((i + 1.0, x * w))
    };
    Ok(while_loop(|(i, _)| i.less(4.0), outer, (zero(), x.clone()))?.1)
}

fn grown(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    let first = w.slice(0)?;
    let body = |x: &Tensor| Tensor::concat(&[x.clone(), (x * &first).sum(..)?.reshape([1])?], 0);
    while_loop(|x: &Tensor| x.size_tensor()?.less(6.0), body, x.clone())
}

fn scanned(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    let xs = Tensor::stack(&[x.clone(), x * 2.0, -x, x * x], 0)?;
    let step = |carry: &Tensor, x: &Tensor| {
        let carry = (carry * w + x).tanh()?;
        Ok((carry.clone(), carry))
    };
    Ok(scan(step, w.clone(), &xs)?.1)
}

/// The result, and the gradients of its sum.
pub fn first(program: Program, x: &Tensor, w: &Tensor) -> Result<Vec<Tensor>> {
    let tape = GradientTape::new();
    [x, w].into_iter().for_each(|source| tape.watch(source));
    let y = tape.record(|| program(x, w))?;
    let gradients = tape.gradients_with(&[(y.clone(), None)], [x, w], UnconnectedGradients::Zero)?;
    Ok([y].into_iter().chain(gradients.into_iter().flatten()).collect())
}

/// The gradients of what the gradients come to.
pub fn second(program: Program, x: &Tensor, w: &Tensor) -> Result<Vec<Tensor>> {
    let outer = GradientTape::new();
    [x, w].into_iter().for_each(|source| outer.watch(source));
    let z = outer.record(|| {
        let found = first(program, x, w)?;
        Ok::<_, modulor::Error>(found[1].square()?.sum(..)? + (&found[2] * x).sum(..)?)
    })?;
    let gradients = outer.gradients_with(&[(z, None)], [x, w], UnconnectedGradients::Zero)?;
    Ok(gradients.into_iter().flatten().collect())
}
