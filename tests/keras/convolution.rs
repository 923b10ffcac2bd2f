//! What Keras's own values do not say of the layers of convolution and pooling.

use super::*;
use modulor::graph::trace;
use modulor::keras::library::{
    AveragePooling2D, Conv1D, Conv2D, Conv2DTranspose, DataFormat, Dense, DepthwiseConv2D, Flatten,
    GlobalAveragePooling1D, MaxPooling2D, Padding, SeparableConv2D, Sequential,
};
use modulor::module::{Track, object};
use modulor::{Call, FromConfig, Layer, ModuleExt, Spec};
use serde_json::json;

fn images(dims: [usize; 4]) -> Tensor {
    let count: usize = dims.iter().product();
    Tensor::new(dims, (0..count).map(|i| (i * 37 % 29) as f32 / 16.0 - 0.9).collect::<Vec<_>>()).expect("as many")
}

/// Keras's convolutions of images with channels first need another machine than a processor.
#[test]
fn layers_of_images_with_channels_first_compute_what_those_with_channels_last_do() {
    const FIRST: DataFormat = DataFormat::ChannelsFirst;
    const SAME: Padding = Padding::Same;
    let pairs: [[Box<dyn Layer>; 2]; 6] = [
        [Box::new(Conv2D::new(6, 3).groups(2)), Box::new(Conv2D::new(6, 3).groups(2).data_format(FIRST))],
        [
            Box::new(Conv2DTranspose::new(3, 3).strides(2).padding(SAME)),
            Box::new(Conv2DTranspose::new(3, 3).strides(2).padding(SAME).data_format(FIRST)),
        ],
        [
            Box::new(DepthwiseConv2D::new(3).depth_multiplier(2)),
            Box::new(DepthwiseConv2D::new(3).depth_multiplier(2).data_format(FIRST)),
        ],
        [Box::new(SeparableConv2D::new(5, 2)), Box::new(SeparableConv2D::new(5, 2).data_format(FIRST))],
        [Box::new(MaxPooling2D::new()), Box::new(MaxPooling2D::new().data_format(FIRST))],
        [Box::new(AveragePooling2D::new([2, 3])), Box::new(AveragePooling2D::new([2, 3]).data_format(FIRST))],
    ];
    let x = images([2, 6, 5, 4]);
    for [last, first] in pairs {
        let moved = x.permute([0, 3, 1, 2]).expect("four axes");
        last.call(&x).expect("it fits");
        first.call(&moved).expect("it fits");
        for (a, b) in last.weights().iter().zip(first.weights()) {
            let value = images([1, 1, 1, a.shape().expect("built").iter().product()]);
            let value = value.reshape(a.shape().expect("built").iter().map(|&n| n as i64).collect::<Vec<_>>());
            for v in [a, &b] {
                v.assign(value.as_ref().expect("as many")).expect("its shape");
            }
        }
        let expected = last.call(&x).and_then(|y| y.permute([0, 3, 1, 2])).expect("it fits");
        let found = first.call(&moved).expect("it fits");
        assert_near(&found, &expected, 1e-5, &format!("{first:?}"));
    }
}

#[test]
fn layers_of_images_take_batches_whose_size_is_not_known() {
    let model = Sequential::new()
        .add(Conv2D::new(4, 3).activation("relu"))
        .add(MaxPooling2D::new())
        .add(Conv2DTranspose::new(2, 3).strides(2))
        .add(DepthwiseConv2D::new(2))
        .add(AveragePooling2D::new(2))
        .add(Flatten::new())
        .add(Dense::new(3));
    let x = images([2, 8, 8, 1]);
    let expected = model.call(&x).expect("it fits");
    let specs = [Spec::new(DType::F32, [None, Some(8), Some(8), Some(1)])];
    let graph = trace(|x| Ok(vec![model.call(&x[0])?]), &specs).expect("traceable");
    assert_near(&graph.run(&[&x]).expect("it runs").remove(0), &expected, 1e-6, "traced");
    let names: Vec<String> = model.named_variables().into_iter().map(|(name, _)| name).collect();
    assert!(names.contains(&"conv2d/kernel".to_owned()), "{names:?}");
    assert!(names.contains(&"conv2d_transpose/bias".to_owned()), "{names:?}");
}

#[test]
fn the_mean_of_a_sequence_is_that_of_the_steps_which_count() {
    let x = Tensor::from([[[1.0_f32, 2.0], [3.0, 4.0], [100.0, 100.0]]]);
    let masked = x.with_mask(Some(Tensor::from([[true, true, false]])));
    let y = GlobalAveragePooling1D::new().call(&masked).expect("it fits");
    assert_eq!(y.to_vec::<f32>().expect("floats"), [2.0, 3.0]);
    let y = GlobalAveragePooling1D::new().keepdims(true).call(&masked).expect("it fits");
    assert_eq!(y.dims().expect("a value"), [1, 1, 2]);
}

#[test]
fn what_a_layer_of_images_cannot_do_it_says() {
    let x = images([1, 6, 5, 4]);
    let rows: [(Box<dyn Layer>, &Tensor, &str); 9] = [
        (Box::new(Conv2D::new(0, 3)), &x, "`filters` must be at least 1, found [0]"),
        (Box::new(Conv2D::new(4, 0)), &x, "`kernel_size` must be at least 1, found [0, 0]"),
        (Box::new(Conv2D::new(4, 2).groups(0)), &x, "`groups` must be at least 1"),
        (Box::new(Conv2D::new(4, 2).groups(3)), &x, "`groups` 3 must divide 4 channels and 4 filters"),
        (Box::new(Conv2D::new(4, 2).strides(2).dilation_rate(2)), &x, "`strides` or `dilation_rate` must be 1"),
        (Box::new(Conv2D::new(4, 2).padding(Padding::Causal)), &x, "causal along one axis alone"),
        (Box::new(Conv1D::new(4, 2)), &x, "must have 3 dims, of a batch, 1 spatial axes and channels"),
        (Box::new(MaxPooling2D::new().pool_size(7).strides(1)), &x, "no window of 7 places"),
        (Box::new(Conv2DTranspose::new(4, 2).output_padding(Some(1.into()))), &x, "`output_padding` must be less"),
    ];
    for (layer, x, words) in rows {
        let error = layer.call(x).expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    }
}

/// A layer of a class and a config, as a file may have it.
fn read(class: &str, config: Value) -> Result<Box<dyn Layer>> {
    <Box<dyn Layer>>::from_field(Some(&json!({"module": "keras.layers", "class_name": class, "config": config})))
}

#[test]
fn configs_name_classes_by_their_other_names_too() {
    let rows = [
        ("AvgPool1D", json!({"pool_size": 2}), "AveragePooling1D"),
        ("Convolution2D", json!({"filters": 3, "kernel_size": 2}), "Conv2D"),
        ("Convolution1DTranspose", json!({"filters": 3, "kernel_size": 2}), "Conv1DTranspose"),
        ("GlobalAvgPool3D", json!({}), "GlobalAveragePooling3D"),
        ("GlobalMaxPool2D", json!({}), "GlobalMaxPooling2D"),
        ("MaxPool2D", json!({}), "MaxPooling2D"),
        ("SeparableConvolution1D", json!({"filters": 3, "kernel_size": 2}), "SeparableConv1D"),
    ];
    for (other, config, class) in rows {
        let layer = read(other, config).unwrap_or_else(|e| panic!("{other}: {e}"));
        assert_eq!(object(layer.as_module()).expect("a config")["class_name"], class);
    }
    // A field of a type takes its other names, and no other class.
    let named = |class: &str| json!({"module": "keras.layers", "class_name": class, "config": {"pool_size": 3}});
    let layer = MaxPooling2D::from_field(Some(&named("MaxPool2D"))).expect("another name of it");
    assert_eq!(layer.config().expect("plain data")["pool_size"], json!([3, 3]));
    let error = MaxPooling2D::from_field(Some(&named("AvgPool2D"))).expect_err("another class").to_string();
    assert!(error.contains("expected a `MaxPooling2D`, found a `AvgPool2D`"), "{error}");
    let error = read("MaxPool4D", json!({})).expect_err("no such class").to_string();
    assert!(error.contains("no class is registered as `keras.layers>MaxPool4D`"), "{error}");
}

#[test]
fn windows_lie_beside_each_other_unless_a_config_says_how_far_apart_they_are() {
    let rows = [
        ("MaxPooling2D", json!({}), [2, 2], [2, 2]),
        ("MaxPooling2D", json!({"pool_size": [3, 2]}), [3, 2], [3, 2]),
        ("MaxPooling2D", json!({"pool_size": 3, "strides": null}), [3, 3], [3, 3]),
        ("AveragePooling2D", json!({"pool_size": 3, "strides": 1}), [3, 3], [1, 1]),
        ("AveragePooling2D", json!({"pool_size": [1, 2]}), [1, 2], [1, 2]),
    ];
    for (class, config, size, strides) in rows {
        let written = read(class, config.clone()).and_then(|layer| layer.config());
        let written = written.unwrap_or_else(|e| panic!("{class} {config}: {e}"));
        assert_eq!((&written["pool_size"], &written["strides"]), (&json!(size), &json!(strides)), "{class} {config}");
    }
    let layer = MaxPooling2D::new().strides(2).pool_size(3);
    assert_eq!(layer.config().expect("plain data")["strides"], json!([2, 2]));
    for (class, config, words) in [
        ("AveragePooling2D", json!({}), "missing field `pool_size`"),
        ("MaxPooling2D", json!({"pool_size": [1, 2, 3]}), "one number for each of 2 axes is expected"),
        ("MaxPooling2D", json!({"pool": 2}), "unknown key `pool`"),
        ("MaxPooling2D", json!({"dtype": "float17"}), "unknown dtype policy `float17`"),
    ] {
        let error = read(class, config).expect_err(words).to_string();
        assert!(error.contains(&format!("config of `{class}`: ")) && error.contains(words), "{error}");
    }
    let again = MaxPooling2D::from_config(&layer.config().expect("plain data")).and_then(|layer| layer.config());
    assert_eq!(again.expect("its own"), layer.config().expect("plain data"));
}
