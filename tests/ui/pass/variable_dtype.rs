//! `#[variable(dtype = EXPR)]`: a `DType`, an `Option` of one, or a name.

use modulor::prelude::*;

#[derive(Module)]
struct A {
    #[variable(shape = [2], dtype = DType::F64)]
    by_value: Variable,
    #[variable(shape = [2], dtype = "float16")]
    by_name: Variable,
    #[variable(shape = [2], dtype = None)]
    open: Variable,
}

#[test]
fn the_variable_has_its_dtype() {
    let a = A::new();
    assert_eq!([a.by_value, a.by_name, a.open].map(|v| v.dtype()), [DType::F64, DType::F16, DType::F32]);
}
