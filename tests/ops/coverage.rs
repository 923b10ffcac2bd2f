//! That the golden cases leave nothing of an op out: every value of its attributes, every dtype that TensorFlow has a kernel
//! for, NaN, infinities, no elements, scalars, and gradients.
//!
//! `op_defs.txt` says which attributes there are, `golden/kernels.json` what TensorFlow takes.

use super::case::{CASES, Case, VARIABLES, reals};
use crate::golden::read_manifest;
use modulor::op::Attr;
use modulor::{DType, Tensor};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What has no case, and why.
struct Excuse {
    ops: &'static [&'static str],
    /// Of which of these each of them has some.
    what: &'static [&'static str],
    why: &'static str,
}

const NOTHING_CHANGES: &str = "a result does not depend on it";
const OWN_CASES: &str = "its gradient is an op, which has cases of its own";

const fn excuse(ops: &'static [&'static str], what: &'static [&'static str], why: &'static str) -> Excuse {
    Excuse { ops, what, why }
}

const EXCUSES: &[Excuse] = &[
    excuse(
        &["Conv2D", "Conv2DBackpropFilter", "Conv2DBackpropInput"],
        &["use_cudnn_on_gpu: another one"],
        NOTHING_CHANGES,
    ),
    excuse(&["MatMul"], &["grad_a: another one", "grad_b: another one"], NOTHING_CHANGES),
    excuse(&["BatchMatMulV2"], &["grad_x: another one", "grad_y: another one"], NOTHING_CHANGES),
    excuse(&["ArgMax"], &["Tidx of int16"], "TensorFlow reads it as int32, past its end"),
    excuse(&["CTCLoss"], &["no elements"], "TensorFlow's process ends"),
    excuse(&["SplitV"], &["Tlen of int8"], "TensorFlow's process ends where it traces that"),
    excuse(&["StatelessRandomBinomial"], &["NaN", "infinity"], "TensorFlow draws without end"),
    excuse(&["StatelessRandomPoisson"], &["NaN"], "TensorFlow draws without end"),
    excuse(
        &["AvgPool3D", "AvgPool3DGrad", "MaxPool3D", "MaxPool3DGrad", "MaxPool3DGradGrad"],
        &[
            "a gradient",
            "a gradient where padding is SAME",
            "a gradient where padding is VALID",
            "a gradient where data_format is NDHWC",
        ],
        OWN_CASES,
    ),
    excuse(
        &["Angle", "ComplexAbs", "Imag", "IRFFT", "IRFFT2D", "Real"],
        &["a gradient"],
        "those at complex numbers are in the cases of Keras's functions",
    ),
    excuse(&["MaxPoolGrad"], &["a gradient where padding is EXPLICIT"], "TensorFlow refuses it"),
    excuse(
        &["ResizeBicubic", "ResizeBilinear"],
        &[
            "a gradient",
            "a gradient where align_corners is false",
            "a gradient where align_corners is true",
            "a gradient where half_pixel_centers is false",
            "a gradient where half_pixel_centers is true",
        ],
        OWN_CASES,
    ),
    excuse(
        &["ScaleAndTranslate"],
        &["a gradient", "a gradient where antialias is false", "a gradient where antialias is true"],
        OWN_CASES,
    ),
    excuse(&["ImageProjectiveTransformV3"], &["a gradient"], "it is no derivative; a test beside the op has it"),
    excuse(
        &["CumulativeLogsumexp"],
        &["a gradient where exclusive is true"],
        "that of the logarithm of nothing is NaN",
    ),
    excuse(&["RaggedTensorToTensor"], &["a gradient"], "it is not there"),
    excuse(&["LinSpace", "Range"], &["no elements"], "its inputs are scalars"),
    excuse(&["DepthwiseConv2dNativeBackpropFilter"], &["no elements"], "TensorFlow leaves the gradient as memory was"),
];

/// An op in `kernels.json`.
#[derive(Deserialize)]
struct Kernels {
    op: String,
    /// Per attribute, the dtypes that TensorFlow has a kernel for.
    dtypes: BTreeMap<String, Vec<String>>,
    /// Per attribute, the strings that are allowed, of which there is a kernel.
    allowed: BTreeMap<String, Vec<String>>,
    /// Whether TensorFlow differentiates it.
    gradient: bool,
}

/// A line of `op_defs.txt`: the attributes that say dtypes of the inputs, whether each of these is a list; and all attributes
/// that are no dtypes, with their kinds.
struct Definition<'a> {
    inputs: Vec<(&'a str, bool)>,
    attrs: Vec<(&'a str, &'a str)>,
}

impl<'a> Definition<'a> {
    fn parse(line: &'a str) -> (&'a str, Definition<'a>) {
        let mut parts = line.split('>').map(str::split_whitespace);
        let (mut head, attrs) = (parts.next().expect("a name"), parts.nth(1));
        let name = head.next().expect("a name");
        let inputs: Vec<_> = head
            .map(|input| {
                let (_, dtype) = input.split_once(':').expect("a dtype");
                (dtype.rsplit('*').next().expect("there is one").trim_end_matches(".."), dtype.contains(['*', '.']))
            })
            .collect();
        let counts: BTreeSet<&str> = line.split([' ', ':']).filter_map(|word| Some(word.split_once('*')?.0)).collect();
        let attrs = attrs.into_iter().flatten().filter_map(|attr| {
            let (name, kind) = attr.split_once(':').expect("a kind");
            let kind = kind.split('=').next().expect("there is one");
            (!counts.contains(name) && !kind.contains("type")).then_some((name, kind))
        });
        (name, Definition { inputs, attrs: attrs.collect() })
    }

    /// The dtypes that stand for an attribute in a case.
    fn dtypes(&self, attr: &str, case: &Case) -> Vec<DType> {
        let given = match case.attrs.get(attr) {
            Some(&Attr::Type(dtype)) => Some(dtype),
            _ => None,
        };
        let variable = case.variable.as_ref().filter(|_| attr == "dtype").map(Tensor::dtype);
        let inputs = &self.inputs[usize::from(case.variable.is_some())..];
        let lists = inputs.iter().filter(|(_, several)| *several).count();
        let length = (case.inputs.len() + lists - inputs.len()).checked_div(lists).unwrap_or(0);
        let mut rest = &*case.inputs;
        let mut found: Vec<DType> = given.into_iter().chain(variable).collect();
        for &(name, several) in inputs {
            let (own, others) = rest.split_at(if several { length } else { 1 });
            found.extend(own.iter().filter(|_| name == attr).map(Tensor::dtype));
            rest = others;
        }
        found
    }
}

/// All that the cases of an op leave out.
fn left_out(definition: &Definition, kernels: &Kernels, cases: &[&Case]) -> Vec<String> {
    let mut missing = Vec::new();
    let mut wants = |holds: bool, what: String| {
        if !holds {
            missing.push(what)
        }
    };
    let derived = |case: &&&Case| case.golden.grads.iter().any(Option::is_some) || case.golden.grad.is_some();
    let differentiated = kernels.gradient && cases.iter().any(|case| case.outputs.iter().any(|y| y.dtype().is_float()));
    for &(name, kind) in &definition.attrs {
        let values: Vec<&Attr> = cases.iter().filter_map(|case| case.attrs.get(name)).collect();
        let with = |value: &Attr| cases.iter().filter(|case| case.attrs.get(name) == Some(value)).collect::<Vec<_>>();
        let allowed = kernels.allowed.get(name).into_iter().flatten().map(|text| Attr::Str(text.clone()));
        let all: Vec<Attr> = match kind {
            "bool" => vec![Attr::Bool(false), Attr::Bool(true)],
            _ => allowed.collect(),
        };
        match kind {
            "string" if !all.is_empty() => {
                all.iter().for_each(|value| wants(values.contains(&value), format!("{name}: {}", shown(value))));
            }
            "func" | "tensor" | "shape" => continue,
            _ => wants(values.iter().any(|value| *value != values[0]), format!("{name}: another one")),
        }
        if ["strides", "dilations", "ksize", "ksizes", "rates"].contains(&name) {
            let inner =
                |all: &[Attr]| all[1..].split_last().is_some_and(|(_, own)| own.windows(2).all(|two| two[0] == two[1]));
            let equal = |value: &&Attr| matches!(value, Attr::List(all) if inner(all));
            wants(values.iter().any(equal), format!("{name}: equal ones"));
            wants(values.iter().any(|value| !equal(value)), format!("{name}: unequal ones"));
        }
        for value in all.iter().filter(|value| differentiated && with(value).iter().any(|case| succeeds(case))) {
            wants(with(value).iter().any(&derived), format!("a gradient where {name} is {}", shown(value)));
        }
    }
    wants(!differentiated || cases.iter().any(|case| derived(&case)), "a gradient".to_owned());
    for (attr, dtypes) in &kernels.dtypes {
        let found: BTreeSet<&str> =
            cases.iter().flat_map(|case| definition.dtypes(attr, case)).map(DType::name).collect();
        dtypes.iter().for_each(|dtype| wants(found.contains(&**dtype), format!("{attr} of {dtype}")));
    }
    let tensors = || cases.iter().flat_map(|case| case.inputs.iter().chain(&case.variable));
    if tensors().next().is_some() {
        wants(tensors().any(|x| x.shape().elements() == Some(0)), "no elements".to_owned());
    }
    let fractional = |x: &Tensor| x.dtype().is_float() || x.dtype().is_complex();
    let floats: Vec<&Tensor> = tensors().filter(|x| fractional(x)).collect();
    let succeeding = cases.iter().filter(|case| succeeds(case));
    if succeeding.flat_map(|case| case.inputs.iter().chain(&case.variable)).any(fractional) {
        let some = |holds: fn(&f64) -> bool| floats.iter().any(|x| reals(x).iter().any(holds));
        wants(some(|x| x.is_nan()), "NaN".to_owned());
        wants(some(|x| x.is_infinite()), "infinity".to_owned());
        wants(floats.iter().any(|x| x.shape().rank() == Some(0)), "a scalar".to_owned());
    }
    missing
}

fn succeeds(case: &Case) -> bool {
    case.golden.error.is_none()
}

fn shown(value: &Attr) -> String {
    match value {
        Attr::Str(text) => text.clone(),
        Attr::Bool(value) => value.to_string(),
        other => format!("{other:?}"),
    }
}

#[test]
fn golden_cases_leave_nothing_of_an_op_out() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("core/src/graph_def/op_defs.txt");
    let text = std::fs::read_to_string(path).expect("the definitions are in the repository");
    let definitions: BTreeMap<&str, Definition> = text.lines().map(Definition::parse).collect();
    let kernels: Vec<Kernels> = read_manifest("kernels").expect("the golden values are beside this test");
    let mut cases: BTreeMap<&str, Vec<&Case>> = BTreeMap::new();
    for case in CASES.iter().chain(VARIABLES.iter()) {
        cases.entry(case.def.name).or_default().push(case);
    }
    let mut needed = BTreeSet::new();
    let mut missing = Vec::new();
    for (op, cases) in cases {
        let kernels = kernels.iter().find(|kernels| kernels.op == op);
        let kernels = kernels.unwrap_or_else(|| panic!("`generate.py kernels` has not seen {op}"));
        for what in left_out(&definitions[op], kernels, &cases) {
            let excuse = EXCUSES.iter().position(|excuse| excuse.ops.contains(&op) && excuse.what.contains(&&*what));
            match excuse {
                Some(excuse) => needed.extend([(excuse, String::new()), (excuse, what), (excuse, op.to_owned())]),
                None => missing.push(format!("{op}: {what}")),
            }
        }
    }
    for (i, excuse) in EXCUSES.iter().enumerate() {
        for part in excuse.ops.iter().chain(excuse.what).filter(|part| !needed.contains(&(i, part.to_string()))) {
            missing.push(format!("the excuse for {part} ({}) is not needed", excuse.why));
        }
    }
    assert!(
        missing.is_empty(),
        "{} are missing; tests/golden/README.md says how to add them\n{}",
        missing.len(),
        missing.join("\n")
    );
}
