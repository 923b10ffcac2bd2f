//! Lists of tensors and optionals, by the ops of graphs.

use modulor::op::{Attr, Attrs, dispatch};
use modulor::{DType, ErrorKind, Result, Shape, Tensor, registry, value_and_grad};

fn call(name: &str, attrs: Attrs, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
    dispatch(registry::op(name, &attrs)?, inputs)
}

/// An op on lists of float64, and its first output.
fn on(name: &str, inputs: &[&Tensor]) -> Result<Tensor> {
    Ok(call(name, Attrs::new().with("element_dtype", DType::F64), inputs)?.remove(0))
}

fn dims(dims: &[i32]) -> Tensor {
    Tensor::new([dims.len()], dims).unwrap()
}

fn int(value: i32) -> Tensor {
    Tensor::scalar(value)
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    tensor.cast(DType::F64).unwrap().to_vec().unwrap()
}

#[test]
fn gradients_go_through_lists() {
    let x = Tensor::from([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    let f = |x: &[Tensor]| {
        let x = &x[0];
        let list = on("TensorListFromTensor", &[x, &dims(&[2])])?;
        let first = on("TensorListGetItem", &[&list, &int(0), &dims(&[2])])?;
        let list = on("TensorListSetItem", &[&list, &int(1), &(&first * &first)])?;
        let popped = call("TensorListPopBack", Attrs::new().with("element_dtype", DType::F64), &[&list, &dims(&[2])])?;
        let list = on("TensorListPushBack", &[&popped[0], &(&popped[1] * 10.0)])?;
        let stacked = on("TensorListStack", &[&list, &dims(&[-1])])?;
        assert_eq!(numbers(&stacked), [1.0, 2.0, 1.0, 4.0, 50.0, 60.0]);
        (stacked * Tensor::from([[1.0, 1.0], [2.0, 3.0], [1.0, 1.0]])).sum(..)
    };
    let (_, dx) = value_and_grad(f, &[x]).unwrap();
    assert_eq!(numbers(&dx[0]), [5.0, 13.0, 0.0, 0.0, 10.0, 10.0]);
}

#[test]
fn gradients_go_through_optionals() {
    let specs = Attrs::new()
        .with("output_types", Attr::List(vec![DType::F64.into(), DType::I32.into()]))
        .with("output_shapes", Attr::List(vec![Shape::scalar().into(), Shape::unknown().into()]));
    let f = |x: &[Tensor]| {
        let held = call("OptionalFromValue", Attrs::new(), &[&x[0].square()?, &int(7)])?;
        assert!(call("OptionalHasValue", Attrs::new(), &[&held[0]])?[0].item::<bool>()?);
        let values = call("OptionalGetValue", specs.clone(), &[&held[0]])?;
        assert_eq!(values[1].item::<i32>()?, 7);
        Ok(&values[0] * 2.0)
    };
    let (y, dx) = value_and_grad(f, &[Tensor::scalar(3.0)]).unwrap();
    assert_eq!((y.item::<f64>().unwrap(), dx[0].item::<f64>().unwrap()), (18.0, 12.0));
    let none = call("OptionalNone", Attrs::new(), &[]).unwrap().remove(0);
    assert!(!call("OptionalHasValue", Attrs::new(), &[&none]).unwrap()[0].item::<bool>().unwrap());
    assert_eq!(call("OptionalGetValue", specs, &[&none]).unwrap_err().message(), "the optional holds nothing");
}

#[test]
fn a_list_says_the_shape_of_its_elements() {
    let of = |shape: &Tensor| {
        let attrs = Attrs::new().with("element_dtype", DType::F32);
        let list = call("EmptyTensorList", attrs, &[shape, &int(-1)]).unwrap();
        let attrs = Attrs::new().with("shape_type", DType::I64);
        call("TensorListElementShape", attrs, &[&list[0]]).unwrap()[0].clone()
    };
    assert_eq!(numbers(&of(&dims(&[2, -1]))), [2.0, -1.0]);
    assert_eq!((numbers(&of(&int(-1))), of(&int(-1)).rank()), (vec![-1.0], Some(0)));
}

#[test]
fn what_a_list_does_not_have_is_an_error() {
    let empty = on("EmptyTensorList", &[&dims(&[2]), &int(1)]).unwrap();
    let one = on("TensorListPushBack", &[&empty, &Tensor::from([1.0, 2.0])]).unwrap();
    let error = |name: &str, inputs: &[&Tensor]| {
        let error = on(name, inputs).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        error.message().to_owned()
    };
    let pair = Tensor::from([1.0, 2.0]);
    assert_eq!(error("TensorListPopBack", &[&empty, &dims(&[2])]), "the list has no element to take");
    assert_eq!(error("TensorListPushBack", &[&one, &pair]), "the list has the 1 elements it may have");
    assert!(error("TensorListPushBack", &[&empty, &Tensor::from([1.0])]).contains("the list is of float64(2,)"));
    assert_eq!(error("TensorListGetItem", &[&one, &int(1), &dims(&[2])]), "element 1 of a list of 1");
    assert_eq!(error("TensorListGetItem", &[&one, &int(-1), &dims(&[2])]), "element -1 of a list of 1");
    assert_eq!(error("TensorListSetItem", &[&one, &int(5), &pair]), "element 5 of a list of 1");
    assert!(error("TensorListGetItem", &[&pair, &int(0), &dims(&[2])]).contains("a list or an optional"));
    assert!(error("TensorListStack", &[&one, &dims(&[3])]).contains("were asked for as ones of (3,)"));
    let open = on("TensorListReserve", &[&int(-1), &int(3)]).unwrap();
    assert!(error("TensorListGetItem", &[&open, &int(0), &int(-1)]).contains("no more is known than <unknown>"));
    assert_eq!(numbers(&on("TensorListGetItem", &[&open, &int(0), &dims(&[2])]).unwrap()), [0.0, 0.0]);
    assert!(error("TensorListReserve", &[&int(-1), &int(-3)]).contains("not negative"));
    // Of more elements than there is memory for, none is made.
    let endless = on("TensorListReserve", &[&dims(&[1 << 20]), &int(i32::MAX)]).unwrap();
    assert_eq!(call("TensorListLength", Attrs::new(), &[&endless]).unwrap()[0].item::<i32>().unwrap(), i32::MAX);
}
