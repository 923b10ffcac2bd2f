//! The same elements under other strides give the same bits.

use super::case::{CASES, Case, caught, run};
use super::report::Report;
use modulor::{DType, Element, Result, Tensor};
use ndarray::{ArrayD, Axis, IxDyn, Slice};

/// Another way to lay out the elements of an array, whose logical content stays.
type Relayout<T> = fn(&ArrayD<T>) -> ArrayD<T>;

fn layouts<T: Element>() -> [(&'static str, Relayout<T>); 3] {
    [
        ("transposed back", |array| array.t().as_standard_layout().into_owned().reversed_axes()),
        ("every second of more", |array| {
            let first = array.first().cloned();
            let Some(first) = first else { return array.clone() };
            let dims: Vec<usize> = array.shape().iter().map(|d| 2 * d + 1).collect();
            let mut more = ArrayD::from_elem(IxDyn(&dims), first);
            for axis in 0..dims.len() {
                more.slice_axis_inplace(Axis(axis), Slice::new(1, None, 2));
            }
            more.assign(array);
            more
        }),
        ("backwards", |array| {
            let mut array = array.clone();
            for axis in 0..array.ndim() {
                array.invert_axis(Axis(axis));
            }
            let mut array = array.as_standard_layout().into_owned();
            for axis in 0..array.ndim() {
                array.invert_axis(Axis(axis));
            }
            array
        }),
    ]
}

fn relaid<T: Element>(tensor: &Tensor) -> Result<Vec<(&'static str, Tensor)>> {
    let array = tensor.to_array::<T>()?;
    layouts::<T>().into_iter().map(|(what, layout)| Ok((what, Tensor::try_from(layout(&array))?))).collect()
}

/// The same tensor under other strides; none for strings, which have one.
fn others(tensor: &Tensor) -> Result<Vec<(&'static str, Tensor)>> {
    match tensor.dtype() {
        DType::F32 => relaid::<f32>(tensor),
        DType::F64 => relaid::<f64>(tensor),
        DType::F16 => relaid::<half::f16>(tensor),
        DType::BF16 => relaid::<half::bf16>(tensor),
        DType::I8 => relaid::<i8>(tensor),
        DType::I16 => relaid::<i16>(tensor),
        DType::I32 => relaid::<i32>(tensor),
        DType::I64 => relaid::<i64>(tensor),
        DType::U8 => relaid::<u8>(tensor),
        DType::U16 => relaid::<u16>(tensor),
        DType::U32 => relaid::<u32>(tensor),
        DType::U64 => relaid::<u64>(tensor),
        DType::Bool => relaid::<bool>(tensor),
        DType::Complex64 => relaid::<num_complex::Complex32>(tensor),
        DType::Complex128 => relaid::<num_complex::Complex64>(tensor),
        _ => Ok(Vec::new()),
    }
}

/// The first slice of `axis`, repeated by a stride of 0, and a contiguous copy of it.
fn repeated(tensor: &Tensor, axis: usize) -> Result<(Tensor, Tensor)> {
    let dims = tensor.dims()?;
    let (outer, inner): (usize, usize) = (dims[..axis].iter().product(), dims[axis + 1..].iter().product());
    let (bytes, row) = (tensor.to_bytes()?, inner * tensor.dtype().size());
    let firsts: Vec<u8> = (0..outer).flat_map(|i| bytes[i * dims[axis] * row..][..row].iter().copied()).collect();
    let mut one = dims.to_vec();
    one[axis] = 1;
    let view = Tensor::from_bytes(tensor.dtype(), one, &firsts)?.broadcast_to(dims)?;
    let copy = Tensor::from_bytes(tensor.dtype(), dims, &view.to_bytes()?)?;
    Ok((view, copy))
}

fn check(case: &Case, report: &mut Report) -> Result<()> {
    let Ok(expected) = case.run() else { return Ok(()) };
    for i in 0..case.inputs.len() {
        let with = |input: &Tensor| {
            let mut inputs = case.inputs.clone();
            inputs[i] = input.clone();
            run(&case.op()?, &inputs)
        };
        let input = &case.inputs[i];
        for (what, other) in others(input)? {
            report.same(case, &format!("input {i} {what}"), &with(&other), &expected);
        }
        let axis = input.dims()?.iter().position(|&d| d > 1);
        if let (Some(axis), true) = (axis, input.dtype().size() > 0 && input.shape().elements() > Some(0)) {
            let (view, copy) = repeated(input, axis)?;
            match with(&copy) {
                Ok(expected) => report.same(case, &format!("input {i} of stride 0"), &with(&view), &expected),
                Err(_) if with(&view).is_err() => {}
                Err(error) => report.add(case, &format!("input {i} of stride 0"), "a result", error),
            }
        }
    }
    Ok(())
}

#[test]
fn views_give_the_same_bits_as_copies() {
    let mut report = Report::new("views");
    for case in CASES.iter() {
        if let Err(error) = caught(|| check(case, &mut report)) {
            report.add(case, "views", format!("{error:?}"), "views of its inputs");
        }
    }
    report.finish();
}
