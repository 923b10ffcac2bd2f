//! Functions of `keras.ops` that TensorFlow has no op for, against Keras: values, gradients, and the same in graphs.

use super::*;
use modulor::graph::trace;
use modulor::ops::images::{self, Ssim};
use modulor::ops::signal;
use modulor::{Correlation, FillMode, Indexing, Interpolation, Shape, Spec, Windows};

/// The arguments of a row.
struct Arguments(Map<String, Value>);

impl Arguments {
    fn get<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        let value = self.0.get(key).filter(|value| !value.is_null())?;
        Some(serde_json::from_value(value.clone()).unwrap_or_else(|e| panic!("{key}: {e}")))
    }
    fn of<T: DeserializeOwned>(&self, key: &str) -> T {
        self.get(key).unwrap_or_else(|| panic!("{key} is missing"))
    }
    /// All axes where none is said.
    fn axes(&self, x: &Tensor) -> Vec<i64> {
        match self.0.get("axis") {
            None | Some(Value::Null) => (0..x.rank().expect("a known rank") as i64).collect(),
            Some(Value::Array(_)) => self.of("axis"),
            Some(_) => vec![self.of("axis")],
        }
    }
    fn axis(&self) -> i64 {
        self.of("axis")
    }
    fn interpolation(&self) -> Interpolation {
        match (self.get("order"), self.get::<String>("interpolation").as_deref()) {
            (Some(0), _) | (_, Some("nearest")) => Interpolation::Nearest,
            (Some(1), _) | (_, Some("bilinear")) => Interpolation::Bilinear,
            other => panic!("what is {other:?}?"),
        }
    }
    fn fill_mode(&self) -> FillMode {
        match &*self.of::<String>("fill_mode") {
            "constant" => FillMode::Constant,
            "nearest" => FillMode::Nearest,
            "reflect" => FillMode::Reflect,
            "wrap" => FillMode::Wrap,
            other => panic!("what is {other}?"),
        }
    }
    fn windows(&self) -> Windows {
        let windows = Windows::new(self.of("kernel_size")).dilation(self.of("dilation"));
        windows.padding(self.of("padding")).stride(self.of("stride"))
    }
}

/// A complex number as its parts.
fn parts(y: Tensor) -> Result<Vec<Tensor>> {
    if y.dtype().is_complex() { Ok(vec![y.real()?, y.imag()?]) } else { Ok(vec![y]) }
}

/// A function of complex numbers, of their parts.
fn of_complex(function: &str, xs: &[&Tensor]) -> Result<Option<Tensor>> {
    let numbers = xs.chunks_exact(2).map(|parts| Tensor::complex(parts[0], parts[1])).collect::<Result<Vec<_>>>();
    let Some(function) = function.strip_prefix("complex_") else { return Ok(None) };
    Ok(Some(match (function, &*numbers?) {
        ("multiply", [a, b]) => a.mul(b)?,
        ("divide", [a, b]) => a.div(b)?,
        ("divide_no_nan", [a, b]) => a.div_no_nan(b)?,
        ("squared_difference", [a, b]) => a.squared_difference(b)?,
        ("matmul" | "batch_matmul", [a, b]) => a.matmul(b)?,
        ("square", [a]) => a.square()?,
        ("reciprocal", [a]) => a.reciprocal()?,
        ("negative", [a]) => a.neg()?,
        ("conj", [a]) => a.conj()?,
        ("abs", [a]) => a.magnitude()?,
        ("angle", [a]) => a.angle()?,
        (other, _) => panic!("what is {other}?"),
    }))
}

/// What a function gives, by the name that it has in the rows.
fn called(function: &str, a: &Arguments, xs: &[&Tensor]) -> Result<Vec<Tensor>> {
    if let Some(y) = of_complex(function, xs)? {
        return parts(y);
    }
    let like = |xs: &[&Tensor]| xs.first().map_or(DType::F64, |x| x.dtype());
    let one = match (function, xs) {
        ("hypot", [x, y]) => x.hypot(*y),
        ("logaddexp2", [x, y]) => x.log_add_exp2(*y),
        ("fmax", [x, y]) => x.fmax(*y),
        ("fmin", [x, y]) => x.fmin(*y),
        ("heaviside", [x, y]) => x.heaviside(*y),
        ("sinc", [x]) => x.sinc(),
        ("exp2", [x]) => x.exp2(),
        ("log2", [x]) => x.log2(),
        ("log10", [x]) => x.log10(),
        ("deg2rad", [x]) => x.to_radians(),
        ("rad2deg", [x]) => x.to_degrees(),
        ("cbrt", [x]) => x.cbrt(),
        ("ldexp", [x, e]) => x.ldexp(e),
        ("signbit", [x]) => x.sign_bit(),
        ("gcd", [x, y]) => x.gcd(*y),
        ("lcm", [x, y]) => x.lcm(*y),
        ("isin", [x, values]) => x.is_in(values),
        ("saturate_cast", [x]) => {
            let x = if x.dtype() == DType::F64 { x.cast(DType::F32)? } else { (*x).clone() };
            x.saturate_cast(DType::from_name(&a.of::<String>("dtype")).expect("a dtype"))
        }
        ("view", [x]) => {
            let x = if x.dtype() == DType::F64 { x.cast(DType::F32)? } else { (*x).clone() };
            x.view_as(DType::from_name(&a.of::<String>("to")).expect("a dtype"))
        }
        ("extract_patches_3d", [x]) => {
            let rates = a.0["dilation_rate"].as_u64().map_or_else(|| a.of("dilation_rate"), |rate| [rate as usize; 3]);
            x.volume_patches(a.of("size"), a.of("strides"), rates, a.of::<String>("padding") == "same")
        }
        ("multi_hot", [x]) => x.multi_hot(a.of("num_classes"), DType::F32),
        ("polar", [r, angle]) => return parts(Tensor::polar(r, angle)?),
        ("view_as_complex", [x]) => return parts(x.view_as_complex()?),
        ("view_as_real", [re, im]) => Tensor::complex(re, im)?.view_as_real(),
        ("ptp", [x]) => x.peak_to_peak(a.axes(x)),
        ("average", [x, weights]) => x.average(a.axes(x), weights),
        ("trapezoid", [y]) => y.trapezoid(a.of("dx"), a.axis()),
        ("trapezoid_at", [y, x]) => y.trapezoid_at(x, a.axis()),
        ("rot90", [x]) => x.rot90(a.of("k"), a.of("axes")),
        ("percentile", [x]) => x.percentile(a.of("q"), a.axis()),
        ("nanargmax", [x]) => x.nan_argmax(a.axis()),
        ("nanargmin", [x]) => x.nan_argmin(a.axis()),
        ("nancumsum", [x]) => x.nan_cumsum(a.axis()),
        ("nancumprod", [x]) => x.nan_cumprod(a.axis()),
        ("nanquantile", [x]) => x.nan_quantile(a.of("q"), a.axis()),
        ("nanmedian", [x]) => x.nan_median(a.axis()),
        ("histogram", [x]) => {
            let (counts, ends) = x.histogram(a.of("bins"), a.get::<[f64; 2]>("range"))?;
            return Ok(vec![counts.cast(ends.dtype())?, ends]);
        }
        ("eye", []) => Tensor::eye(a.of("N"), a.of("M"), a.of("k"), DType::F32),
        ("tri", []) => Tensor::tri(a.of("N"), a.of("M"), a.of("k"), DType::F32),
        ("vander", [x]) => x.vander(a.of("N"), a.of("increasing")),
        ("meshgrid", vectors) => {
            let indexing = if a.of::<String>("indexing") == "xy" { Indexing::Xy } else { Indexing::Ij };
            return Tensor::mesh_grid(vectors, indexing);
        }
        ("logspace", []) => Tensor::log_space(a.of("start"), a.of("stop"), a.of("num"), a.of("base"), like(xs)),
        ("geomspace", []) => Tensor::geom_space(a.of("start"), a.of("stop"), a.of("num"), like(xs)),
        ("bartlett" | "blackman" | "hamming", []) => {
            let n = a.of("n");
            Tensor::new([n], signal::window(function, n, false)?)
        }
        ("hanning", []) => {
            let n = a.of("n");
            Tensor::new([n], signal::window("hann", n, false)?)
        }
        ("kaiser", []) => signal::kaiser(a.of("n"), a.of("beta")),
        ("kron", [x, y]) => x.kron(y),
        ("outer", [x, y]) => x.outer(y),
        ("inner", [x, y]) => x.inner(y),
        ("vdot", [x, y]) => x.vdot(y),
        ("tensordot", [x, y]) => x.tensordot(y, a.of::<Vec<i64>>("own"), a.of::<Vec<i64>>("other")),
        ("corrcoef", [x]) => x.corr_coef(),
        ("correlate", [x, y]) => x.correlate(
            y,
            match &*a.of::<String>("mode") {
                "valid" => Correlation::Valid,
                "same" => Correlation::Same,
                _ => Correlation::Full,
            },
        ),
        ("cdist", [x, y]) => x.cdist(y),
        ("lstsq", [x, y]) => x.lstsq(y, a.get::<f64>("rcond")),
        ("matrix_rank", [x]) => x.matrix_rank(a.get::<f64>("tol")),
        ("eig_values" | "eig_values_alone", [x]) => {
            let values = if function == "eig_values" { x.eig()?.0 } else { x.eigvals()? };
            return parts(values.mul(&values)?.mul(&values)?.sum(-1)?);
        }
        ("eig_vectors", [x]) => {
            let (values, vectors) = x.eig()?;
            let sizes = vectors.mul(vectors.conj()?)?.real()?;
            let sizes = Tensor::complex(&sizes, &sizes.zeros_like()?)?;
            return parts(sizes.mul(values.expand_dims(-2)?)?.sum(-1)?);
        }
        ("cholesky_inverse", [x]) => x.cholesky_inverse(a.of("upper")),
        ("unfold", [x]) => a.windows().unfold(x),
        ("fold", [x]) => a.windows().fold(x, a.of("output_size")),
        ("rgb_to_grayscale", [x]) => images::rgb_to_grayscale(x),
        ("sobel_edges", [x]) => images::sobel_edges(x),
        ("gaussian_blur", [x]) => images::gaussian_blur(x, a.of("kernel_size"), a.of("sigma")),
        ("map_coordinates", [x, at]) => {
            images::map_coordinates(x, at, a.interpolation(), a.fill_mode(), a.of("fill_value"))
        }
        ("perspective_transform", [x, start, end]) => {
            images::perspective_transform(x, start, end, a.interpolation(), a.of("fill_value"))
        }
        ("elastic_transform", [x]) => {
            let (alpha, sigma, seed) = (a.of("alpha"), a.of("sigma"), Tensor::from([a.of::<i64>("seed"), 0]));
            images::elastic_transform(x, alpha, sigma, a.interpolation(), a.fill_mode(), a.of("fill_value"), &seed)
        }
        ("ssim", [x, y]) => {
            let mut ssim = Ssim::new(a.of("max_val"));
            if let Some(size) = a.get("filter_size") {
                ssim = ssim.filter_size(size).filter_sigma(a.of("filter_sigma")).constants(a.of("k1"), a.of("k2"));
            }
            ssim.of(x, y)
        }
        (other, _) => panic!("what is {other}?"),
    };
    Ok(vec![one?])
}

/// What needs sizes to be known, or a part of them.
const NEEDS_SIZES: &[&str] = &[
    "correlate",
    "elastic_transform",
    "extract_patches_3d",
    "fold",
    "gaussian_blur",
    "lstsq",
    "map_coordinates",
    "matrix_rank",
    "nanmedian",
    "nanquantile",
    "percentile",
    "rgb_to_grayscale",
    "ssim",
    "unfold",
];

/// By how much of the greatest value float64 may be off; the maps of projections are float32.
fn tolerance(function: &str) -> f64 {
    match function {
        "perspective_transform" => 1e-4,
        "eig_values" | "eig_values_alone" | "eig_vectors" | "lstsq" => 1e-11,
        _ => 2e-13,
    }
}

/// Checks one row, whose function it names.
fn check(row: &Row) -> String {
    let (case, function) = (&row.case, row.get::<String>("function"));
    let arguments = Arguments(row.get("arguments"));
    let inputs: Vec<Tensor> = row.get::<Vec<Entry>>("inputs").iter().map(tensor).collect();
    let references: Vec<Tensor> = row.get::<Vec<Entry>>("references").iter().map(tensor).collect();
    let call = |inputs: &[Tensor]| called(&function, &arguments, &inputs.iter().collect::<Vec<_>>());
    let near = |found: &[Tensor], tolerance: f64| {
        assert_eq!(found.len(), references.len(), "{case}");
        for (found, reference) in found.iter().zip(&references) {
            assert_eq!(found.dtype() == DType::Bool, reference.dtype() == DType::Bool, "{case}");
            match reference.dtype().is_float() {
                true => assert_near(found, reference, tolerance, case),
                false => {
                    let found = found.cast(reference.dtype()).expect("numbers");
                    assert_eq!(found.shape(), reference.shape(), "{case}");
                    assert_eq!(found.to_bytes().expect("plain"), reference.to_bytes().expect("plain"), "{case}");
                }
            }
        }
    };
    let eager = call(&inputs).unwrap_or_else(|e| panic!("{case}: {e}"));
    // What is drawn is another in another dtype.
    if function != "elastic_transform" {
        near(&eager, if function == "perspective_transform" { 1e-4 } else { 1e-5 });
    }
    let wide = |x: &Tensor| if x.dtype().is_float() { x.cast(DType::F64) } else { Ok(x.clone()) };
    let wide: Vec<Tensor> = inputs.iter().map(|x| wide(x).expect("floats")).collect();
    let tape = GradientTape::new();
    let watched: Vec<&Tensor> = wide.iter().filter(|x| x.dtype().is_float()).collect();
    watched.iter().for_each(|x| tape.watch(*x));
    let found = tape.record(|| call(&wide)).unwrap_or_else(|e| panic!("{case}: {e}"));
    near(&found, tolerance(&function));
    let expected = row.get::<Vec<Entry>>("grads");
    if !expected.is_empty() {
        let dys = row.get::<Vec<Option<Entry>>>("dys");
        let targets: Vec<(Tensor, Option<Tensor>)> =
            found.into_iter().zip(&dys).filter_map(|(y, dy)| Some((y, Some(tensor(dy.as_ref()?))))).collect();
        let sources = watched.iter().map(|x| *x as &dyn modulor::tape::Source);
        let gradients = tape.gradients_with(&targets, sources, UnconnectedGradients::Zero);
        let gradients = gradients.unwrap_or_else(|e| panic!("{case}: {e}"));
        for (i, (gradient, expected)) in gradients.iter().zip(&expected).enumerate() {
            let gradient = gradient.as_ref().expect("zeros at least");
            let message = format!("gradient {i} of {case}");
            assert_near(gradient, &tensor(expected), 10.0 * tolerance(&function), &message);
        }
    }
    // The same bits in a graph where no dim is known, or no more than the batch where sizes must be.
    let needs_sizes = NEEDS_SIZES.contains(&&*function);
    let open = |x: &Tensor| {
        let mut dims: Vec<Option<usize>> = x.dims().expect("a value").iter().map(|&dim| Some(dim)).collect();
        let many = if needs_sizes { dims.len().min(usize::from(dims.len() >= 4)) } else { dims.len() };
        dims[..many].fill(None);
        Spec::new(x.dtype(), Shape::from(dims))
    };
    let specs: Vec<Spec> = inputs.iter().map(open).collect();
    let graph = trace(|x| call(x), &specs).unwrap_or_else(|e| panic!("{case}: {e}"));
    let traced = graph.run(&inputs.iter().collect::<Vec<_>>()).unwrap_or_else(|e| panic!("{case}: {e}"));
    for (traced, eager) in traced.iter().zip(&eager) {
        assert_eq!(traced.shape(), eager.shape(), "{case}");
        let [traced, eager] = [traced, eager].map(|y| y.to_bytes().expect("plain"));
        assert_eq!(traced, eager, "{case} in a graph");
    }
    function
}

#[test]
fn functions_are_keras_own() {
    let rows: Vec<&Row> = rows("function").collect();
    let checked = rows.iter().map(|row| std::panic::catch_unwind(|| check(row)).map_err(|_| &*row.case));
    let (functions, wrong): (Vec<_>, Vec<_>) = checked.partition(Result::is_ok);
    let wrong: Vec<&str> = wrong.into_iter().filter_map(Result::err).collect();
    assert!(wrong.is_empty(), "{} of {} are wrong: {wrong:#?}", wrong.len(), rows.len());
    let functions: BTreeSet<String> = functions.into_iter().flatten().collect();
    assert_eq!(functions.len(), 83, "{functions:?}");
}

#[test]
fn what_a_function_does_not_take_is_said() {
    let (numbers, whole) = (Tensor::from([1.0_f32, 2.0]), Tensor::from([1, 2]));
    let matrix = Tensor::from([[1.0_f32, 2.0], [3.0, 4.0]]);
    let refused: [(Result<Tensor>, &str); 16] = [
        (whole.hypot(&whole), "takes floats, found int32"),
        (numbers.gcd(&numbers), "takes integers, found float32"),
        (whole.gcd(Tensor::from([1_i64, 2])), "integers of one dtype, found int32 and int64"),
        (whole.is_in(&numbers), "values must be of dtype int32, found float32"),
        (numbers.ldexp(&numbers), "takes exponents that are integers, found float32"),
        (matrix.rot90(1, [0, -2]), "a plane has two axes, found [0, -2]"),
        (matrix.tensordot(&matrix, [0, 0], [0, 1]), "axis 0 is summed over twice"),
        (matrix.tensordot(&matrix, [0], [0, 1]), "as many axes of both are summed over, found 1 and 2"),
        (matrix.correlate(&numbers, Correlation::Full), "two vectors are correlated"),
        (numbers.lstsq(&numbers, None), "needs the sizes of matrices, found shape (2,)"),
        (Tensor::geom_space(-1.0, 2.0, 3, DType::F32), "the same sign and not be 0, found -1 and 2"),
        (Windows::new([3, 1]).unfold(&matrix.reshape([1, 1, 2, 2]).expect("four")), "reaches over 3 of 2 places"),
        (Windows::new([0, 1]).unfold(&matrix.reshape([1, 1, 2, 2]).expect("four")), "at least 1"),
        (images::rgb_to_grayscale(&matrix), "1 or 3 channels, found shape (2, 2)"),
        (
            numbers.view_as_complex().and(matrix.reshape([4]).expect("four").view_as_complex()),
            "the last axis, found (4,)",
        ),
        (images::map_coordinates(&matrix, &matrix, Interpolation::Bicubic, FillMode::Constant, 0.0), "found Bicubic"),
    ];
    for (found, words) in refused {
        let error = found.expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    }
    assert!(signal::window("cube", 4, false).expect_err("unknown").to_string().contains("bartlett, blackman"));
    assert!(signal::kaiser(usize::MAX, 1.0).is_err() && signal::window("hann", usize::MAX, true).is_err());
    assert!(Tensor::log_space(0.0, 1.0, usize::MAX, 10.0, DType::F64).is_err());
    assert!(Tensor::eye(usize::MAX, usize::MAX, 0, DType::F32).is_err());
    let far = Tensor::from([1e30_f32, -1e30, f32::NAN]);
    let ends = far.saturate_cast(DType::I64).and_then(|y| y.to_vec::<i64>()).expect("integers");
    // The greatest float32 below 2^63.
    assert_eq!(ends, [i64::MAX - (1 << 39) + 1, i64::MIN, 0]);
    let steep = signal::kaiser(9, 900.0).expect("no overflow").to_vec::<f64>().expect("numbers");
    assert!(steep[4] == 1.0 && steep.iter().all(|y| (0.0..=1.0).contains(y)), "{steep:?}");
}
