//! What is fed to a graph, and what it is traced for.

use super::{float, value, values};
use modulor::autograph::traces_of;
use modulor::prelude::*;
use modulor::scope;
use std::collections::BTreeMap;

#[derive(Structure, Clone)]
struct Pair {
    left: Tensor,
    right: Option<Tensor>,
}

#[allow(clippy::too_many_arguments)] // one of each kind
#[function]
fn structures(
    a: &Tensor,
    mut b: Tensor,
    (c, d): &(Tensor, Tensor),
    e: &[Tensor],
    f: Vec<Tensor>,
    g: Option<&Tensor>,
    Pair { left, right }: Pair,
    h: &BTreeMap<String, Tensor>,
) -> Result<Tensor> {
    b = b.mul(2.0)?;
    let mut sum = a.add(&b)?.add(c)?.add(d)?.add(left)?;
    for part in e.iter().chain(&f).chain(g).chain(&right).chain(h.values()) {
        sum = sum.add(part)?;
    }
    Ok(sum)
}

#[test]
fn structures_are_fed() {
    let x = |x: f32| float(x);
    let map = BTreeMap::from([("k".to_owned(), x(512.0))]);
    let of = |g: Option<&Tensor>, e: &[Tensor]| {
        let pair = Pair { left: x(64.0), right: Some(x(256.0)) };
        value(structures(&x(1.0), x(1.0), &(x(4.0), x(8.0)), e, vec![x(16.0), x(32.0)], g, pair, &map))
    };
    assert_eq!(of(None, &[]), 895.0);
    assert_eq!(of(Some(&x(1024.0)), &[]), 1919.0);
    assert_eq!(of(None, &[x(0.5)]), 895.5);
    assert_eq!(of(None, &[x(1.5)]), 896.5);
    assert_eq!(traces_of(structures).len(), 3);
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Mode {
    Double,
    Half(usize),
}

#[function]
fn keyed(x: &Tensor, mode: &Mode, rate: f64, name: String, shape: &[usize], scales: Vec<f32>) -> Result<Tensor> {
    let scale: f32 = scales.iter().sum();
    let x = x * rate * f64::from(scale);
    let n = (name.len() + shape.len()) as f64;
    match mode {
        Mode::Double => Ok(x * 2.0 * n),
        Mode::Half(times) => Ok(x / (2.0 * *times as f64) * n),
    }
}

#[test]
fn plain_values_are_keys() {
    let of = |mode: &Mode, rate: f64| value(keyed(&float(1.0), mode, rate, "ab".to_owned(), &[3], vec![1.0, 1.0]));
    assert_eq!(of(&Mode::Double, 1.0), 12.0);
    assert_eq!(of(&Mode::Half(2), 1.0), 1.5);
    assert_eq!(of(&Mode::Double, 1.0), 12.0);
    assert_eq!(traces_of(keyed).len(), 2);
    // A NaN is one value, and the zeros are two.
    assert!(of(&Mode::Double, f64::NAN).is_nan() && of(&Mode::Double, f64::NAN).is_nan());
    assert_eq!(traces_of(keyed).len(), 3);
    assert_eq!(1.0 / of(&Mode::Double, 0.0), f32::INFINITY);
    assert_eq!(1.0 / of(&Mode::Double, -0.0), f32::NEG_INFINITY);
    let reason = traces_of(keyed).pop().unwrap();
    let key = |rate: &str| format!("mode = Double, rate = {rate}, name = \"ab\", shape = [3], scales = [1.0, 1.0]");
    assert_eq!(reason, format!("the key is {}, and was {}", key("-0.0"), key("1.0")));
}

#[function]
fn phased(x: &Tensor) -> Result<Tensor> {
    if scope::training() { x.neg() } else { Ok(x.clone()) }
}

#[test]
fn each_kind_is_traced_once() {
    for _ in 0..3 {
        assert_eq!(values(phased(&Tensor::from([[1.0_f32, 2.0, 3.0]]))), [1.0, 2.0, 3.0]);
        assert_eq!(phased(&Tensor::zeros([1, 2, 3], DType::F32).unwrap()).unwrap().dims().unwrap(), [1, 2, 3]);
        assert_eq!(scope::with_training(true, || value(phased(&float(2.0)))), -2.0);
    }
    let reasons = traces_of(phased);
    assert_eq!(reasons.len(), 3);
    assert_eq!(reasons[1], "argument 0 is float32(1, 2, 3), and was float32(1, 3)");
}

/// A scale, by type.
trait Scale: 'static {
    const BY: f64;
}

struct Two;
struct Three;

impl Scale for Two {
    const BY: f64 = 2.0;
}

impl Scale for Three {
    const BY: f64 = 3.0;
}

#[function]
fn scaled<S: Scale, const N: usize>(x: &[Tensor; N]) -> Result<Tensor> {
    x.iter().try_fold(float(0.0), |sum, x| sum.add(x * S::BY))
}

struct Holder<S>(std::marker::PhantomData<S>);

impl<S: Scale> Holder<S> {
    #[function]
    fn scaled(x: &Tensor) -> Result<Tensor> {
        Ok(x * S::BY)
    }
}

#[test]
fn each_type_has_graphs_of_its_own() {
    assert_eq!(value(scaled::<Two, 1>(&[float(1.0)])), 2.0);
    assert_eq!(value(scaled::<Three, 1>(&[float(1.0)])), 3.0);
    assert_eq!(value(scaled::<Three, 2>(&[float(1.0), float(2.0)])), 9.0);
    assert_eq!(traces_of(scaled::<Three, 2>).len(), 1);
    assert_eq!(value(Holder::<Two>::scaled(&float(1.0))), 2.0);
    assert_eq!(value(Holder::<Three>::scaled(&float(1.0))), 3.0);
}

#[function]
fn nothing(v: &Variable, by: &Tensor) -> Result<()> {
    v.assign_add(by)?;
    v.assign(&v.read()?.mul(2.0)?)?;
    Ok(())
}

#[test]
fn variables_are_arguments() {
    let (v, w) = (Variable::new(1.0), Variable::new(10.0));
    for _ in 0..2 {
        nothing(&v, &float(1.0)).unwrap();
    }
    nothing(&w, &float(1.0)).unwrap();
    assert_eq!((value(v.read()), value(w.read())), (10.0, 22.0));
    assert_eq!(traces_of(nothing).len(), 2);
}

#[function]
fn outer(x: &Tensor) -> Result<Tensor> {
    inner(&(x * 2.0), 3)?.add(inner(x, 1)?)
}

#[function]
fn inner(x: &Tensor, n: u8) -> Result<Tensor> {
    if n == 0 { Ok(x.clone()) } else { inner(&(x + 1.0), n - 1) }
}

#[function]
fn endless(x: &Tensor) -> Result<Tensor> {
    endless(x)
}

#[test]
fn functions_call_functions() {
    assert_eq!(value(outer(&float(5.0))), 19.0);
    assert_eq!(traces_of(inner).len(), 4);
    assert!(endless(&float(1.0)).unwrap_err().to_string().contains("calls itself without end"));
    let tape = GradientTape::new();
    let x = float(5.0);
    tape.watch(&x);
    let y = tape.record(|| outer(&x)).unwrap();
    assert_eq!(tape.gradient(&y, &x).unwrap().item::<f32>().unwrap(), 3.0);
}

#[test]
fn errors_say_where() {
    #[function]
    fn mismatched(x: &Tensor) -> Result<Tensor> {
        if x.equal(0.0)? {
            return Ok(x.clone());
        }
        Ok(x.clone())
    }
    let error = mismatched(&Tensor::from([1.0_f32, 2.0])).unwrap_err().to_string();
    assert!(error.contains("mismatched: a condition is one bool, found bool(2,)"), "{error}");
    assert!(error.contains("say whether `any` or `all` of them"), "{error}");
}
