//! What Keras's own values do not say of layers that move numbers, and of activations that are layers.

use super::*;
use modulor::keras::library::{
    AdaptiveAveragePooling1D, AdaptiveMaxPooling2D, Cropping1D, Cropping2D, GlobalMaxPooling2D, Interpolation, LSTM,
    LeakyReLU, Masking, PReLU, Permute, ReLU, RepeatVector, Sequential, Sides, Softmax, UpSampling1D, UpSampling2D,
    ZeroPadding2D,
};
use modulor::module::{Track, object};
use modulor::{Call, Layer};
use serde_json::json;

#[test]
fn sides_are_one_number_one_for_each_axis_or_two() {
    fn read<const N: usize>(config: Value) -> std::result::Result<Sides<N>, serde_json::Error> {
        serde_json::from_value(config)
    }
    assert_eq!(read::<1>(json!(2)).expect("sides"), Sides([[2, 2]]));
    assert_eq!(read::<1>(json!([2, 3])).expect("sides"), Sides([[2, 3]]));
    assert_eq!(read::<2>(json!([2, 3])).expect("sides"), Sides([[2, 2], [3, 3]]));
    assert_eq!(read::<2>(json!([[2, 3], 4])).expect("sides"), Sides([[2, 3], [4, 4]]));
    assert_eq!(read::<3>(json!([1, 2, [3, 4]])).expect("sides"), Sides([[1, 1], [2, 2], [3, 4]]));
    for (words, error) in [
        ("two numbers for each of 1 axes", read::<1>(json!([1, 2, 3])).err()),
        ("two numbers for each of 2 axes", read::<2>(json!([1, 2, 3])).err()),
        ("two numbers for each of 3 axes", read::<3>(json!([])).err()),
        ("did not match any variant", read::<2>(json!(-1)).err()),
        ("did not match any variant", read::<2>(json!([[1, 2, 3], 1])).err()),
    ] {
        let error = error.expect(words).to_string();
        assert!(error.contains(words), "{error}");
    }
    let layer = ZeroPadding2D::new().padding([1, 2]);
    assert_eq!(object(&layer).expect("a config")["config"]["padding"], json!([[1, 1], [2, 2]]));
}

#[test]
fn steps_that_are_masked_are_left_out_by_the_layers_after() {
    let x = Tensor::from([[[1.0_f32, 2.0], [0.0, 0.0], [3.0, 0.0]], [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]]);
    let lstm = LSTM::new(2);
    let model = Sequential::new().add(Masking::new()).add(ReLU::new()).add(lstm.share());
    let y = model.call(&x).expect("it fits");
    let kept = Tensor::from([[[1.0_f32, 2.0], [3.0, 0.0]]]);
    assert_near(&y.slice(0..1).expect("a row"), &lstm.call(&kept).expect("it fits"), 1e-6, "the steps that count");
    // Of a sequence without any step the state stays what it was at first.
    assert_eq!(y.slice(1).and_then(|y| y.to_vec::<f32>()).expect("a row"), [0.0, 0.0]);
}

#[test]
fn what_these_layers_cannot_do_they_say() {
    let zeros = |dims: &[usize]| Tensor::zeros(dims, DType::F32).expect("zeros");
    let (x, steps, image) = (zeros(&[2, 3]), zeros(&[2, 3, 4]), zeros(&[2, 3, 4, 5]));
    let masked = |dims: &[usize]| x.with_mask(Some(zeros(dims).cast(DType::Bool).expect("bools")));
    let rows: [(Box<dyn Layer>, &Tensor, &str); 20] = [
        (Box::new(ReLU::new().max_value(-1.0)), &x, "`max_value` must be a finite number not below 0, found -1"),
        (Box::new(ReLU::new().negative_slope(-1.0)), &x, "`negative_slope` must be a finite number not below 0"),
        (Box::new(ReLU::new().threshold(-1.0)), &x, "`threshold` must be a finite number not below 0, found -1"),
        (Box::new(LeakyReLU::new().negative_slope(-0.1)), &x, "`negative_slope` must be a finite number not below 0"),
        (Box::new(PReLU::new().shared_axes(vec![2])), &x, "`shared_axes` are axes of a sample, from 1 on, found 2"),
        (Box::new(PReLU::new().shared_axes(vec![0])), &x, "`shared_axes` are axes of a sample, from 1 on, found 0"),
        (Box::new(Softmax::new().axis(vec![])), &x, "`axis` must name an axis, found none"),
        (Box::new(Softmax::new()), &masked(&[2, 2]), "the mask must broadcast to the input, found (2, 2) and (2, 3)"),
        (Box::new(Softmax::new()), &masked(&[1, 2, 3]), "the mask must broadcast to the input"),
        (Box::new(Permute::new([2, 2])), &steps, "`dims` must be the axes from 1 on in some order, found [2, 2]"),
        (Box::new(Permute::new([2, 1])), &x, "`dims` [2, 1] are for samples of 2 axes, found an input of shape (2, 3)"),
        (Box::new(RepeatVector::new(0)), &x, "`n` must be at least 1, found 0"),
        (Box::new(RepeatVector::new(2)), &steps, "must be `[batch, channels]`, found shape (2, 3, 4)"),
        (Box::new(Cropping1D::new().cropping(2)), &steps, "`cropping` [2, 2] leaves nothing of axis 1 of 3 places"),
        (
            Box::new(Cropping2D::new().cropping([[0, 1], [usize::MAX, 1]])),
            &image,
            "leaves nothing of axis 2 of 4 places",
        ),
        (Box::new(ZeroPadding2D::new()), &x, "must have 4 dims, of a batch, 2 spatial axes and channels"),
        (Box::new(UpSampling1D::new().size(0)), &steps, "`size` must be at least 1, found [0]"),
        (
            Box::new(UpSampling2D::new().size([2, 0]).interpolation(Interpolation::Lanczos3)),
            &image,
            "`size` must be at least 1, found [2, 0]",
        ),
        (Box::new(AdaptiveAveragePooling1D::new(0)), &steps, "`output_size` must be at least 1, found [0]"),
        (Box::new(AdaptiveMaxPooling2D::new(2)), &zeros(&[2, 0, 4, 5]), "there are no places to pool along axis 1"),
    ];
    for (layer, x, words) in rows {
        let error = layer.call(x).expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    }
}

/// Keras's own gradient of these is of no use.
#[test]
fn the_gradient_of_the_greatest_of_all_goes_to_it() {
    let numbers = (0..2 * 5 * 7 * 3).map(|i| (i * 89 % 211) as f64).collect::<Vec<_>>();
    let x = Tensor::new([2, 5, 7, 3], numbers).expect("as many");
    let gradient = |layer: Box<dyn Layer>| {
        let tape = GradientTape::new();
        tape.watch(&x);
        let y = tape.record(|| layer.call(&x)).expect("it fits");
        assert_eq!(y.dims().expect("a value"), [2, 1, 1, 3]);
        tape.gradient(&y, &x).expect("connected")
    };
    let expected = gradient(Box::new(GlobalMaxPooling2D::new().keepdims(true)));
    assert_near(&gradient(Box::new(AdaptiveMaxPooling2D::new(1))), &expected, 0.0, "the greatest of all");
}

#[test]
fn a_size_that_no_memory_holds_is_an_error() {
    let x = Tensor::zeros([1, 2, 3], DType::F32).expect("zeros");
    for size in [usize::MAX, usize::MAX / 2, 1 << 62] {
        assert!(UpSampling1D::new().size(size).call(&x).is_err(), "{size}");
        assert!(modulor::keras::library::ZeroPadding1D::new().padding(size).call(&x).is_err(), "{size}");
        assert!(RepeatVector::new(size).call(Tensor::from([[1.0_f32]])).is_err(), "{size}");
        assert!(AdaptiveAveragePooling1D::new(size).call(&x).is_err(), "{size}");
    }
}
