//! All that is wrong at once, as a table.

use super::case::{CASES, Case, reals};
use modulor::{DType, Result, Tensor};
use std::collections::{BTreeMap, BTreeSet};

/// What of ours differs from TensorFlow's on purpose, and no more than that.
struct Excuse {
    /// The test that meets it, and fails when it does not any more.
    test: &'static str,
    /// One, or several with spaces between them.
    op: &'static str,
    /// How the name of the case ends.
    case: &'static str,
    /// The check.
    what: &'static str,
    differs: Differs,
    why: &'static str,
}

/// How the two results may differ.
enum Differs {
    /// An element: of a case, in a place, what was found, what is expected.
    In(fn(&Case, usize, f64, f64) -> bool),
    /// In what is said of them: how the one begins, and the other.
    Said(&'static str, &'static str),
}
use Differs::{In, Said};

const fn excuse([test, op, case, what]: [&'static str; 4], differs: Differs, why: &'static str) -> Excuse {
    Excuse { test, op, case, what, differs, why }
}

/// TensorFlow's vector loop and its loop for the rest of a row give zeros of different signs.
const fn sign_of_zero(op: &'static str) -> Excuse {
    excuse(
        ["values", op, "", "bits"],
        In(|_, _, found, expected| found == expected),
        "which of two zeros it is, is open",
    )
}

/// TensorFlow computes `exp(x) − 1`, so that its float64 results have an absolute error of eps.
const fn reference_cancels(op: &'static str) -> Excuse {
    let near = In(|_, _, found, expected| (found - expected).abs() <= 4.0 * f64::EPSILON);
    excuse(["values", op, "", "more than 4 ulp"], near, "the reference cancels")
}

/// TensorFlow multiplies a function that vanishes at infinity by one that does not.
const fn infinite_at_infinity(op: &'static str) -> Excuse {
    let whole = In(|_, _, found, expected| found.is_infinite() && expected.is_nan());
    excuse(["values", op, "special values", "more than 64 ulp"], whole, "the function is infinite at infinity")
}

/// TensorFlow stops at the first derivative in the first argument.
const fn derived_once(op: &'static str) -> Excuse {
    let said = Said("Unimplemented: no second derivative", "a gradient");
    excuse(["second gradients", op, "", "second gradient"], said, "as TensorFlow, there is no such derivative")
}

/// TensorFlow adds logarithms in float32, also those of float64.
const fn adds_in_float32(test: &'static str, what: &'static str) -> Excuse {
    let near = In(|_, _, found, expected| (found - expected).abs() <= 1e-6 * expected.abs().max(1.0));
    excuse([test, "CTCLoss", "", what], near, "TensorFlow adds logarithms in float32")
}

/// A singular vector, or an eigenvector, is off by the rounding over the distance to the next value, there and here.
const fn as_near_as_the_next_value(op: &'static str) -> Excuse {
    let near = In(|_, _, found, expected| (found - expected).abs() <= 256.0 * f64::EPSILON);
    excuse(["values", op, "", "more than 4 eps sum of terms"], near, "values are near each other")
}

/// A dtype for which TensorFlow has a kernel.
const fn no_kernel(op: &'static str, dtype: &'static str, why: &'static str) -> Excuse {
    excuse(["values", op, dtype, "result"], Said("InvalidArgument: takes ", "a result"), why)
}

/// What TensorFlow refuses.
const fn computed(op: &'static str, case: &'static str, refused: &'static str, why: &'static str) -> Excuse {
    excuse(["values", op, case, "error"], Said("a result", refused), why)
}

/// Where TensorFlow has NaN, or this library.
const fn not_a_number([op, case, what]: [&'static str; 3], why: &'static str) -> Excuse {
    excuse(["values", op, case, what], In(|_, _, found, expected| found.is_nan() || expected.is_nan()), why)
}

const OF_COMPLEX_NUMBERS: &str = "Acos Acosh Asin Asinh Atan Atanh Cholesky ClipByValue Cos Cosh EuclideanNorm Exp Expm1 Log Log1p \
    LogMatrixDeterminant Lu MatrixDeterminant MatrixInverse MatrixSolve MatrixTriangularSolve Pow Qr ReciprocalGrad Rsqrt \
    RsqrtGrad SelfAdjointEigV2 Sigmoid SigmoidGrad Sign Sin Sinh Sqrt SqrtGrad Svd Tan Tanh TanhGrad Where Xdivy Xlog1py \
    Xlogy";
const NO_FUNCTION: &str = "complex numbers are moved, added and multiplied here, and no more";
const OF_INTEGERS: &str =
    "MaxPoolGrad MaxPoolGradGrad MaxPoolGradWithArgmax MaxPoolWithArgmax Relu6Grad ReluGrad ResizeNearestNeighborGrad";
const NO_DERIVATIVE: &str = "integers have no gradients here";
const LAST_ALONE: &str = "TensorFlow's kernels for the CPU have channels last alone";
const BESIDE_ALONE: &str = "TensorFlow's kernels for the CPU have no such windows";

const HALF_OF_A_CROSS_ENTROPY: &str = "TensorFlow leaves out what the second output gives the labels";
const NOT_SUMMED: &str = "TensorFlow does not sum a gradient to its input's shape here";
const ZEROS_LEFT_OUT: &str = "as TensorFlow's, the gradient of a cumulative product leaves zeros out";
const ZEROS_SET_APART: &str =
    "as TensorFlow's, the gradient of a segment's product is another formula where it has zeros";

const EXCUSES: &[Excuse] = &[
    excuse(
        ["values", "Erf", "float64 special values", "more than 4 ulp"],
        In(|case, i, found, expected| {
            let x = reals(&case.inputs[0])[i];
            x.abs() > 1e154 && found == x.signum() && expected.is_nan()
        }),
        "TensorFlow's float64 erf is NaN of numbers whose square is not finite",
    ),
    excuse(
        ["values", "FloorDiv", "special values against each other", "bits"],
        In(|_, _, found, expected| found == -1.0 && expected == 0.0 && expected.is_sign_negative()),
        "a quotient that underflows is -0 there, and floored to -1 here",
    ),
    excuse(["values", "Round", "[2,3]", "bits"], In(kept), "TensorFlow's kernel leaves integers at 0"),
    excuse(["values", "Round", "extremes", "bits"], In(kept), "TensorFlow's kernel leaves integers at 0"),
    sign_of_zero("Max"),
    sign_of_zero("Maximum"),
    sign_of_zero("Min"),
    sign_of_zero("Minimum"),
    sign_of_zero("Relu"),
    sign_of_zero("Relu6"),
    sign_of_zero("Relu6Grad"),
    sign_of_zero("ReluGrad"),
    adds_in_float32("values", "more than 4 eps sum of terms"),
    adds_in_float32("gradients", "float64 gradient of input 0"),
    excuse(
        ["values", "Eig", "", "more than 4 eps sum of terms"],
        In(|case, _, found, expected| {
            let is_narrow = case.outputs[0].dtype() == DType::Complex64;
            let epsilon = if is_narrow { f32::EPSILON.into() } else { f64::EPSILON };
            (found - expected).abs() <= 64.0 * epsilon
        }),
        "what is recorded was computed in its own dtype, and values are near each other",
    ),
    as_near_as_the_next_value("SelfAdjointEigV2"),
    as_near_as_the_next_value("Svd"),
    reference_cancels("Elu"),
    reference_cancels("Selu"),
    excuse(
        ["values", "SegmentMax SegmentMin", "nan in parts of 8 elements", "bits"],
        In(|case, i, _, _| reals(&case.inputs[0])[i..].iter().step_by(8).any(|x| x.is_nan())),
        "TensorFlow's vectors pass over NaN, and its loop for less than 8 elements begins anew after one, as all do here",
    ),
    no_kernel(OF_COMPLEX_NUMBERS, "complex64", NO_FUNCTION),
    no_kernel(OF_COMPLEX_NUMBERS, "complex128", NO_FUNCTION),
    no_kernel(OF_INTEGERS, "int8", NO_DERIVATIVE),
    no_kernel(OF_INTEGERS, "int32", NO_DERIVATIVE),
    no_kernel(
        "MaxPoolGrad MaxPoolGradGrad MaxPoolGradWithArgmax MaxPoolWithArgmax Relu6Grad ReluGrad",
        "int16",
        NO_DERIVATIVE,
    ),
    no_kernel(
        "MaxPoolGrad MaxPoolGradGrad MaxPoolGradWithArgmax MaxPoolWithArgmax Relu6Grad ReluGrad",
        "int64",
        NO_DERIVATIVE,
    ),
    no_kernel("Conv2D Conv2DBackpropInput", "T of int32", "a convolution is of floats here"),
    no_kernel("BatchMatMulV2", "T of int16", "a product of matrices is of int32, int64 and floats here"),
    no_kernel("StridedSlice", "Index of int16", "ends and steps are int32 or int64 here"),
    no_kernel("TopKV2", "index_type of int16", "indices are int32 or int64 here"),
    no_kernel("DepthToSpace SpaceToDepth StridedSliceGrad ScatterNd", "T of string", "strings are no pixels"),
    no_kernel("ScatterNd", "T of bool", "what is added up is a number"),
    computed("Where", "T of float16", "Unimplemented", "as other floats"),
    computed("Tile", "T of uint16", "Unimplemented", "as other integers"),
    computed("MaxPoolWithArgmax MaxPool3DGradGrad", "no elements", "InvalidArgument", "as other pools"),
    computed(
        "AvgPool AvgPool3D AvgPool3DGrad AvgPoolGrad Conv2DBackpropFilter Conv2DBackpropInput Conv3D Conv3DBackpropFilterV2 \
            Conv3DBackpropInputV2 MaxPool MaxPool3D MaxPool3DGrad MaxPool3DGradGrad MaxPoolGrad MaxPoolGradGrad",
        "channels first",
        "InvalidArgument",
        LAST_ALONE,
    ),
    computed(
        "Conv2D DepthwiseConv2dNative DepthwiseConv2dNativeBackpropFilter DepthwiseConv2dNativeBackpropInput",
        "channels first",
        "Unimplemented",
        LAST_ALONE,
    ),
    computed(
        "Conv2DBackpropFilter Conv2DBackpropInput Conv3D Conv3DBackpropFilterV2 Conv3DBackpropInputV2 \
            DepthwiseConv2dNativeBackpropFilter DepthwiseConv2dNativeBackpropInput",
        "apart",
        "InvalidArgument",
        BESIDE_ALONE,
    ),
    computed(
        "DepthwiseConv2dNative DepthwiseConv2dNativeBackpropFilter DepthwiseConv2dNativeBackpropInput",
        "strides that differ",
        "InvalidArgument",
        BESIDE_ALONE,
    ),
    computed("DepthwiseConv2dNative", "apart", "Unimplemented", BESIDE_ALONE),
    excuse(
        ["values", "TopKV2", "NaN in each place", "bits"],
        In(|_, _, _, _| true),
        "TensorFlow's maximum, heap and sort each have an order of NaN that depends on where it is; here it comes first",
    ),
    not_a_number(["CTCLoss", "infinities", "more than 4 eps sum of terms"], "a loss of infinite logits says nothing"),
    not_a_number(["Qr", "NaN", "more than 4 eps sum of terms"], "which elements NaN reaches, is open"),
    not_a_number(["Qr", "infinities", "more than 4 eps sum of terms"], "which elements NaN reaches, is open"),
    not_a_number(
        ["IRFFT", "infinities", "more than 4 eps sum of terms"],
        "infinities of both signs meet in a transform in one order or another",
    ),
    not_a_number(
        ["ResizeBilinear", "infinities", "more than 4 eps sum of terms"],
        "TensorFlow subtracts neighbours, and infinity from infinity",
    ),
    excuse(
        ["values", "SoftmaxCrossEntropyWithLogits", "a scalar", "result"],
        Said("InvalidArgument: the logits must have rank 2", "a result"),
        "logits have classes here",
    ),
    excuse(
        ["values", "Div DivNoNan RealDiv", "complex64", "bits"],
        In(|_, _, found, expected| (found - expected).abs() <= 1e-6 * expected.abs()),
        "a quotient of complex numbers is rounded several times",
    ),
    excuse(
        ["values", "Div DivNoNan RealDiv", "complex128", "bits"],
        In(|_, _, found, expected| (found - expected).abs() <= 1e-14 * expected.abs()),
        "a quotient of complex numbers is rounded several times",
    ),
    excuse(
        ["values", "MaxPool3D", "NaN and infinity", "bits"],
        In(|_, _, _, _| true),
        "TensorFlow's vectors of 8 channels pass over NaN, as all do here, and its loop for fewer begins anew after one",
    ),
    infinite_at_infinity("BesselI0"),
    infinite_at_infinity("BesselI1"),
    derived_once("Igamma"),
    derived_once("Igammac"),
    excuse(
        ["second gradients", "Zeta", "", "slope of gradient 1 along input 0"],
        In(|_, _, _, _| true),
        "as TensorFlow's, it has no derivative in its first argument",
    ),
    excuse(
        ["gradients", CROSS_ENTROPY, "both cotangents", "float64 gradient of input 1"],
        In(|case, i, found, expected| second_left_out(case, i, found, expected, 1e-9)),
        HALF_OF_A_CROSS_ENTROPY,
    ),
    excuse(
        ["float32 gradients", CROSS_ENTROPY, "both cotangents", "float32 gradient of input 1"],
        In(|case, i, found, expected| second_left_out(case, i, found, expected, 1e-5)),
        HALF_OF_A_CROSS_ENTROPY,
    ),
    excuse(
        ["gradients", CROSS_ENTROPY, "[1,5] [3,5]", "float64 gradient of input 0"],
        Said("(1, 5)", "(3, 5)"),
        NOT_SUMMED,
    ),
    excuse(
        ["gradients", CROSS_ENTROPY, "[4,5] [1,5]", "float64 gradient of input 1"],
        Said("(1, 5)", "(4, 5)"),
        NOT_SUMMED,
    ),
    excuse(
        ["float32 gradients", CROSS_ENTROPY, "[1,5] [3,5]", "float32 gradient of input 0"],
        Said("(1, 5)", "(3, 5)"),
        NOT_SUMMED,
    ),
    excuse(
        ["float32 gradients", CROSS_ENTROPY, "[4,5] [1,5]", "float32 gradient of input 1"],
        Said("(1, 5)", "(4, 5)"),
        NOT_SUMMED,
    ),
    excuse(
        ["second gradients", "Prod", "one zero and two zeros in a row", "slope of gradient 0 along input 0"],
        In(|_, _, _, _| true),
        ZEROS_LEFT_OUT,
    ),
    excuse(
        ["second gradients", "Prod", "zeros, axes [0, 2]", "slope of gradient 0 along input 0"],
        In(|_, _, _, _| true),
        ZEROS_LEFT_OUT,
    ),
    excuse(
        ["second gradients", "SegmentProd", "float64 zeros", "slope of gradient 0 along input 0"],
        In(|_, _, _, _| true),
        ZEROS_SET_APART,
    ),
    excuse(
        ["second gradients", "UnsortedSegmentProd", "float64 zeros", "slope of gradient 0 along input 0"],
        In(|_, _, _, _| true),
        ZEROS_SET_APART,
    ),
    excuse(
        ["slopes", "TensorScatterUpdate", "[5] [[1], [1]]", "slope along input 2"],
        In(|_, _, _, _| true),
        "as TensorFlow's, the gradient goes to both updates of one place",
    ),
];

const CROSS_ENTROPY: &str = "SoftmaxCrossEntropyWithLogits";

/// Whether the integer stayed what it was, where TensorFlow has 0.
fn kept(case: &Case, i: usize, found: f64, expected: f64) -> bool {
    let input = &case.inputs[0];
    input.dtype().is_integer() && found == reals(input)[i] && expected == 0.0
}

/// Whether what is missing of the gradient at the labels is that of the second output: the cotangent, subtracted.
fn second_left_out(case: &Case, i: usize, found: f64, expected: f64, tolerance: f64) -> bool {
    let whole = expected - reals(case.dy[1].as_ref().expect("both cotangents"))[i];
    (found - whole).abs() <= tolerance * whole.abs().max(1.0)
}

/// Rows of op, case, what, found, expected.
pub struct Report {
    test: &'static str,
    rows: Vec<[String; 5]>,
    /// Which excuses were needed, by which ops.
    needed: BTreeSet<(usize, &'static str)>,
}

/// More rows than this are counted, and not shown.
const SHOWN: usize = 150;

impl Report {
    /// A report of a test, which the excuses name.
    pub fn new(test: &'static str) -> Report {
        Report { test, rows: Vec::new(), needed: BTreeSet::new() }
    }

    /// One thing that is wrong with one case.
    pub fn add(&mut self, case: &Case, what: &str, found: impl ToString, expected: impl ToString) {
        let (found, expected) = (found.to_string(), expected.to_string());
        if !self.said(case, what, &found, &expected) {
            self.row(case, what, found, expected);
        }
    }

    /// Whether a difference is excused in what is said of the results.
    pub fn said(&mut self, case: &Case, what: &str, found: &str, expected: &str) -> bool {
        self.excused(case, what, |differs| match differs {
            Said(begins, other) => found.starts_with(begins) && expected.starts_with(other),
            In(_) => false,
        })
    }

    /// One element that is wrong; `note` is said with what was found. Of those of one case the first is shown.
    pub fn add_element(&mut self, case: &Case, what: &str, i: usize, [found, expected]: [f64; 2], note: &str) {
        let excused = self.excused(case, what, |differs| match differs {
            In(holds) => holds(case, i, found, expected),
            Said(..) => false,
        });
        let key = [case.def.name, &*case.golden.case, what];
        let again = self.rows.last().is_some_and(|[op, case, what, ..]| [&**op, case, what] == key);
        if !excused && !again {
            self.row(case, what, format!("[{i}] {found:?}{note}"), format!("{expected:?}"));
        }
    }

    fn excused(&mut self, case: &Case, what: &str, holds: impl Fn(&Differs) -> bool) -> bool {
        let at = EXCUSES.iter().position(|excuse| {
            (excuse.test, excuse.what) == (self.test, what)
                && excuse.op.split(' ').any(|op| op == case.def.name)
                && case.golden.case.ends_with(excuse.case)
                && holds(&excuse.differs)
        });
        at.inspect(|&at| _ = self.needed.insert((at, case.def.name))).is_some()
    }

    fn row(&mut self, case: &Case, what: &str, found: String, expected: String) {
        self.rows.push([case.def.name.to_owned(), case.golden.case.clone(), what.to_owned(), found, expected]);
    }

    /// Compares outputs with those of another way to compute them: bit for bit.
    pub fn same(&mut self, case: &Case, what: &str, found: &Result<Vec<Tensor>>, expected: &[Tensor]) {
        match found {
            Err(error) => self.add(case, what, format!("{error:?}"), "the same outputs"),
            Ok(found) if found.len() != expected.len() => self.add(case, what, found.len(), expected.len()),
            Ok(found) => {
                for (found, expected) in found.iter().zip(expected) {
                    if let Some((found, expected)) = difference(found, expected) {
                        self.add(case, what, found, expected);
                    }
                }
            }
        }
    }

    /// Fails the test if anything was added, or an excuse for it was not needed.
    pub fn finish(mut self) {
        self.add_what_was_not_needed();
        self.finish_some();
    }

    fn add_what_was_not_needed(&mut self) {
        for (i, excuse) in EXCUSES.iter().enumerate().filter(|(_, excuse)| excuse.test == self.test) {
            for op in excuse.op.split(' ').filter(|op| !self.needed.contains(&(i, *op))) {
                let told = [op, excuse.case, excuse.what, "no difference", excuse.why];
                self.rows.push(told.map(str::to_owned));
            }
        }
    }

    /// As [`finish`](Self::finish), of a test that does not meet all cases: some excuses are for others.
    pub fn finish_some(self) {
        if self.rows.is_empty() {
            return;
        }
        let mut counts: BTreeMap<[&str; 2], usize> = BTreeMap::new();
        for [op, _, what, ..] in &self.rows {
            *counts.entry([op, what]).or_default() += 1;
        }
        let mut text = format!("{} failures\n", self.rows.len());
        for row in self.rows.iter().take(SHOWN) {
            text +=
                &format!("  {}\n", row.each_ref().map(|cell| cell.chars().take(110).collect::<String>()).join(" | "));
        }
        for ([op, what], count) in counts {
            text += &format!("  {count} x {op}: {what}\n");
        }
        panic!("{text}");
    }
}

/// The first place where two tensors differ, if they do: dtype, shape, any bit of any element.
pub fn difference(found: &Tensor, expected: &Tensor) -> Option<(String, String)> {
    if found.spec() != expected.spec() {
        return Some((found.spec().to_string(), expected.spec().to_string()));
    }
    if found.dtype() == DType::String {
        let strings = [found, expected].map(|t| t.to_strings());
        let [Ok(a), Ok(b)] = &strings else { return Some((format!("{:?}", strings[0]), format!("{:?}", strings[1]))) };
        return (a != b).then(|| (format!("{a:?}"), format!("{b:?}")));
    }
    let (a, b) = match (found.to_bytes(), expected.to_bytes()) {
        (Ok(a), Ok(b)) => (a, b),
        (a, b) => return Some((format!("{:?}", a.err()), format!("{:?}", b.err()))),
    };
    let size = found.dtype().size();
    let at = a.chunks(size).zip(b.chunks(size)).position(|(a, b)| a != b)?;
    let show = |t: &Tensor, bytes: &[u8]| {
        let value = reals(t).get(at).copied().unwrap_or(f64::NAN);
        format!("[{at}] {value:?} {:x?}", &bytes[at * size..][..size])
    };
    Some((show(found, &a), show(expected, &b)))
}

#[test]
fn an_excuse_that_is_not_needed_fails_the_test_and_one_that_is_excuses_nothing_else() {
    let message = |report: Report| {
        let caught = std::panic::catch_unwind(|| report.finish()).expect_err("it is not needed");
        caught.downcast_ref::<String>().expect("a text").clone()
    };
    let unneeded = message(Report::new("slopes"));
    assert!(
        unneeded.starts_with("1 failures\n  TensorScatterUpdate | [5] [[1], [1]] | slope along input 2"),
        "{unneeded}"
    );

    let erf = |case: &&Case| case.def.name == "Erf" && case.golden.case == "float64 special values";
    let erf = CASES.iter().find(erf).expect("a golden case");
    let mut report = Report::new("values");
    let lowest = reals(&erf.inputs[0]).iter().position(|&x| x == f64::MIN).expect("among the special values");
    report.add_element(erf, "more than 4 ulp", lowest, [-1.0, f64::NAN], "");
    assert!(report.rows.is_empty());
    report.add_element(erf, "more than 4 ulp", lowest, [1.0, f64::NAN], " (far)");
    report.add_element(erf, "more than 4 ulp", lowest, [0.5, 0.25], "");
    let shown = format!("[{lowest}] 1.0 (far)");
    let told = ["Erf", "float64 special values", "more than 4 ulp", &*shown, "NaN"];
    assert_eq!(report.rows, [told.map(str::to_owned)]);

    for (i, excuse) in EXCUSES.iter().enumerate() {
        assert!(["values", "gradients", "float32 gradients", "slopes", "second gradients"].contains(&excuse.test));
        let same = |other: &Excuse| {
            (other.test, other.op, other.case, other.what) == (excuse.test, excuse.op, excuse.case, excuse.what)
        };
        assert_eq!(EXCUSES.iter().position(same), Some(i), "twice: {} {}", excuse.op, excuse.case);
    }
}
