//! Functions of signals against Keras's.

use super::*;
use modulor::graph::trace;
use modulor::ops::signal::{self, Stft, Window};
use modulor::{Shape, Spec};

fn all(row: &Row, key: &str) -> Vec<Tensor> {
    row.get::<Vec<Entry>>(key).iter().map(tensor).collect()
}

fn called(row: &Row, x: &[Tensor]) -> Result<Vec<Tensor>> {
    let arguments = row.get::<Map<String, Value>>("arguments");
    let number = |key: &str| arguments.get(key).and_then(Value::as_u64).map(|number| number as usize);
    let needed = |key: &str| number(key).unwrap_or_else(|| panic!("{}: no {key}", row.case));
    let both = |(re, im): (Tensor, Tensor)| vec![re, im];
    let stft = || {
        let mut stft = Stft::new(needed("sequence_length"), needed("sequence_stride"), needed("fft_length"));
        if let Some(values) = row.tensor("window") {
            stft = stft.window(Window::Values(values));
        }
        match arguments.get("window") {
            None => {}
            Some(Value::Null) => stft = stft.window(Window::None),
            Some(name) if name == "hann" => stft = stft.window(Window::Hann),
            Some(name) if name == "hamming" => stft = stft.window(Window::Hamming),
            Some(name) => panic!("what is {name}?"),
        }
        match arguments.get("center").and_then(Value::as_bool) {
            Some(center) => stft.center(center),
            None => stft,
        }
    };
    match (&*row.get::<String>("function"), x) {
        ("fft", [re, im]) => signal::fft((re, im)).map(both),
        ("fft2", [re, im]) => signal::fft2((re, im)).map(both),
        ("ifft2", [re, im]) => signal::ifft2((re, im)).map(both),
        ("rfft", [x]) => signal::rfft(x, number("fft_length")).map(both),
        ("irfft", [re, im]) => signal::irfft((re, im), number("fft_length")).map(|y| vec![y]),
        ("extract_sequences", [x]) => {
            signal::extract_sequences(x, needed("sequence_length"), needed("sequence_stride")).map(|y| vec![y])
        }
        ("stft", [x]) => stft().of(x).map(both),
        ("istft", [re, im]) => stft().back((re, im), number("length")).map(|y| vec![y]),
        ("psnr", [a, b]) => signal::psnr(a, b, arguments["max_val"].as_f64().expect("a number")).map(|y| vec![y]),
        (other, _) => panic!("what is {other}?"),
    }
}

#[test]
fn functions_of_signals_are_kerass() {
    let mut functions = BTreeSet::new();
    for row in rows("fourier") {
        let case = &row.case;
        functions.insert(row.get::<String>("function"));
        let (inputs, references) = (all(row, "inputs"), all(row, "references"));
        let found = called(row, &inputs).unwrap_or_else(|e| panic!("{case}: {e}"));
        assert_eq!(found.len(), references.len(), "{case}");
        for (y, reference) in found.iter().zip(&references) {
            assert_eq!(y.dtype(), DType::F32, "{case}");
            // A sum of numbers of both signs errs by the largest of them.
            let greatest = to_f64(reference).into_iter().fold(1.0, |a: f64, b| a.max(b.abs()));
            assert_near(y, reference, 2e-6 * greatest, case);
        }
        let wide: Vec<Tensor> = inputs.iter().map(|x| x.cast(DType::F64).expect("numbers")).collect();
        let tape = GradientTape::new();
        wide.iter().for_each(|x| tape.watch(x));
        let found = tape.record(|| called(row, &wide)).expect("as before");
        found.iter().zip(&references).for_each(|(y, reference)| assert_near(y, reference, 1e-11, case));
        let targets: Vec<_> = found.into_iter().zip(all(row, "dys")).map(|(y, dy)| (y, Some(dy))).collect();
        let sources = wide.iter().map(|x| x as &dyn modulor::tape::Source);
        let gradients = tape.gradients_with(&targets, sources, UnconnectedGradients::Zero);
        let gradients = gradients.unwrap_or_else(|e| panic!("{case}: {e}"));
        for (gradient, expected) in gradients.iter().zip(all(row, "grads")) {
            assert_near(gradient.as_ref().expect("zeros at least"), &expected, 1e-10, &format!("gradient of {case}"));
        }
        // The same where it is not known how many rows there are.
        let open = |x: &Tensor| {
            let mut dims = x.shape().dims().expect("a value");
            if dims.len() > 1 {
                dims[0] = None;
            }
            Spec::new(DType::F32, Shape::from(dims))
        };
        let rows_alone =
            !["fft2", "ifft2", "istft"].contains(&&*row.get::<String>("function")) || inputs[0].rank() > Some(2);
        if rows_alone {
            let specs: Vec<Spec> = inputs.iter().map(open).collect();
            let graph = trace(|x| called(row, x), &specs).unwrap_or_else(|e| panic!("{case}: {e}"));
            let traced = graph.run(&inputs.iter().collect::<Vec<_>>()).unwrap_or_else(|e| panic!("{case}: {e}"));
            let eager = called(row, &inputs).expect("as before");
            traced.iter().zip(&eager).for_each(|(y, expected)| assert_near(y, expected, 0.0, case));
        }
    }
    let expected = ["extract_sequences", "fft", "fft2", "ifft2", "irfft", "istft", "psnr", "rfft", "stft"];
    assert_eq!(functions.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

#[test]
fn what_functions_of_signals_do_not_take_is_refused() {
    let zeros = |dims: &[usize], dtype| Tensor::zeros(dims.to_vec(), dtype).expect("zeros");
    let x = zeros(&[2, 4], DType::F32);
    let (wide, other, whole) = (zeros(&[2, 4], DType::F64), zeros(&[3, 4], DType::F32), zeros(&[2, 4], DType::I32));
    let values = Window::Values(zeros(&[3], DType::F32));
    let long = zeros(&[0, 1 << 50, 1], DType::F32);
    for (error, words) in [
        (signal::fft((&x, &wide)).map(drop), "must be alike, found"),
        (signal::fft((&whole, &whole)).map(drop), "takes float32 or float64, found int32"),
        (signal::fft2((&zeros(&[4], DType::F32), &zeros(&[4], DType::F32))).map(drop), "rank 2, found shape (4,)"),
        (signal::rfft(&whole, None).map(drop), "takes float32 or float64, found int32"),
        (signal::rfft(&x, 1 << 40).map(drop), "a length is from 0 to"),
        (signal::rfft(&Tensor::scalar(1.0_f32), None).map(drop), "must be there and known, found shape ()"),
        (signal::extract_sequences(&x, 0, 1).map(drop), "`sequence_length` must be at least 1, found 0"),
        (signal::extract_sequences(&x, 1, 0).map(drop), "`sequence_stride` must be at least 1, found 0"),
        (Stft::new(5, 1, 4).of(&x).map(drop), "at least the 5 places of a piece, found 4"),
        (Stft::new(2, 1, 2).window(values).of(&x).map(drop), "a window is of shape (2,), found (3,)"),
        (Stft::new(8, 1, 16).of(&x).map(drop), "can be mirrored by at most 3, found 8"),
        (Stft::new(2, 1, 2).of(&whole).map(drop), "float32 or float64, found int32"),
        (Stft::new(usize::MAX, 1, usize::MAX).of(&x).map(drop), "`fft_length` is at most"),
        (Stft::new(1, usize::MAX, 1).back((&x, &x), None).map(drop), "`sequence_stride` is at most"),
        (Stft::new(1, 1 << 14, 1).back((&long, &long), None).map(drop), "has more elements than can be counted"),
        (signal::extract_sequences(&x, usize::MAX, 1).map(drop), "elements"),
        (Stft::new(2, 1, 2).back((&zeros(&[2], DType::F32), &zeros(&[2], DType::F32)), None).map(drop), "two axes"),
        (signal::psnr(&x, &other, 1.0).map(drop), "one dtype and shape"),
        (signal::psnr(&whole, &whole, 1.0).map(drop), "signals are floats"),
        (x.fft(1).map(drop), "takes complex64 or complex128, found float32"),
        (x.rfft(&[1, 2, 3, 4]).map(drop), "along 1 to 3 axes, found 4"),
        (Tensor::complex(&x, &x).and_then(|z| z.fft(0)).map(drop), "along 1 to 3 axes, found 0"),
    ] {
        let error = error.expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    }
}
