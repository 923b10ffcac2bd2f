//! What Keras's own values do not say of the layers of convolution and pooling.

use super::*;
use modulor::graph::trace;
use modulor::keras::library::{
    AveragePooling2D, Conv1D, Conv2D, Conv2DTranspose, DataFormat, Dense, DepthwiseConv2D, Flatten,
    GlobalAveragePooling1D, MaxPooling2D, Padding, SeparableConv2D, Sequential,
};
use modulor::{Call, Layer, ModuleExt, Spec};

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
        [Box::new(MaxPooling2D::new(2)), Box::new(MaxPooling2D::new(2).data_format(FIRST))],
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
        .add(MaxPooling2D::new(2))
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
        (Box::new(MaxPooling2D::new(7).strides(1)), &x, "no window of 7 places"),
        (Box::new(Conv2DTranspose::new(4, 2).output_padding(Some(1.into()))), &x, "`output_padding` must be less"),
    ];
    for (layer, x, words) in rows {
        let error = layer.call(x).expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    }
}
