//! What Keras's own values do not say of layers for every step, and of recurrent layers of images.

use super::layer::below;
use super::*;
use modulor::graph::trace;
use modulor::keras::library::{
    Activation, Bidirectional, Conv1D, Conv2D, ConvLSTM1D, ConvLSTM2D, ConvLSTMCell, DataFormat, Dense, Dropout,
    Flatten, GRUCell, LSTM, LayerNormalization, MaxPooling2D, Padding, RNN, Sequential, StackedRNNCells,
    TimeDistributed,
};
use modulor::keras::regularizer::L2;
use modulor::module::Track;
use modulor::{Call, Layer, ModuleExt, NameLayer, Spec, collecting_losses};

fn numbers(dims: &[usize]) -> Tensor {
    let count: usize = dims.iter().product();
    Tensor::new(dims, (0..count).map(|i| (i * 37 % 29) as f32 / 16.0 - 0.9).collect::<Vec<_>>()).expect("as many")
}

fn bits(x: &Tensor) -> Vec<u32> {
    x.to_vec::<f32>().expect("floats").into_iter().map(f32::to_bits).collect()
}

/// A layer that is not known to take all steps at once.
#[derive(modulor::Module)]
#[module(package = "time_tests")]
struct Unknown {
    layer: Box<dyn Layer>,
}

impl Layer for Unknown {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.layer.call(x)
    }
}

#[test]
fn steps_at_once_are_what_they_are_in_turn() -> Result<()> {
    let images = numbers(&[2, 3, 6, 5, 4]);
    let rows: [(Box<dyn Layer>, Tensor); 7] = [
        (Box::new(Dense::new(5).activation("tanh")), numbers(&[3, 4, 7])),
        (Box::new(Dense::new(5)), numbers(&[2, 3, 4, 7])),
        (Box::new(Conv2D::new(3, 2).strides(2).padding(Padding::Same)), images.clone()),
        (Box::new(LayerNormalization::new()), images.clone()),
        (Box::new(Flatten::new().data_format(DataFormat::ChannelsFirst)), images.clone()),
        (Box::new(Activation::new("softmax")), images.clone()),
        (Box::new(Sequential::new().add(MaxPooling2D::new()).add(Conv2D::new(2, 2)).add(Flatten::new())), images),
    ];
    for (layer, x) in rows {
        let at_once = TimeDistributed::new(layer.share());
        let in_turn = TimeDistributed::new(Unknown { layer: layer.share() });
        let (y, expected): (Tensor, Tensor) = (at_once.call(&x)?, in_turn.call(&x)?);
        assert_eq!(y.shape(), expected.shape(), "{layer:?}");
        assert_eq!(bits(&y), bits(&expected), "{layer:?}");
        let dims: Vec<Option<usize>> = x.dims()?.iter().map(|&dim| Some(dim)).collect();
        for open in [0, 1] {
            let mut dims = dims.clone();
            dims[open] = None;
            let graph = trace(|x| Ok(vec![at_once.call(&x[0])?]), &[Spec::new(DType::F32, dims)])?;
            assert_eq!(bits(&graph.run(&[&x])?.remove(0)), bits(&expected), "{layer:?}, dim {open} unknown");
        }
        let mut open = dims;
        (open[0], open[1]) = (None, None);
        let error = trace(|x| Ok(vec![at_once.call(&x[0])?]), &[Spec::new(DType::F32, open)]).expect_err("no number");
        assert!(error.to_string().contains("the number of steps"), "{error}");
    }
    Ok(())
}

#[test]
fn batches_of_no_samples_have_steps() -> Result<()> {
    let y = TimeDistributed::new(Dense::new(5)).call(&Tensor::zeros([0, 3, 4], DType::F32)?)?;
    assert_eq!(*y.shape(), [0, 3, 5]);
    let y = TimeDistributed::new(Dense::new(5)).call(&Tensor::zeros([2, 0, 4], DType::F32)?)?;
    assert_eq!(*y.shape(), [2, 0, 5]);
    Ok(())
}

#[test]
fn what_a_step_charges_counts() -> Result<()> {
    let dense = || Dense::new(3).activity_regularizer(L2 { l2: 0.5 });
    let (layer, x) = (TimeDistributed::new(dense()), numbers(&[2, 4, 5]));
    let (y, losses) = collecting_losses(|| layer.call(&x));
    let y: Tensor = y?;
    let total: f64 = losses.iter().flat_map(to_f64).sum();
    let expected: f64 = to_f64(&y).iter().map(|y| 0.5 * y * y / 2.0).sum();
    assert_eq!(losses.len(), 4);
    assert!((total - expected).abs() <= 1e-5 * expected, "{total} is not {expected}");
    Ok(())
}

#[test]
fn the_layers_place_has_its_name_and_a_config_keeps_it() -> Result<()> {
    let layer = TimeDistributed::new(Dense::new(3).named("head"));
    layer.call(numbers(&[2, 3, 4]))?;
    let names = |layer: &dyn Layer| -> Vec<String> {
        layer.weights().iter().map(|w| below(&w.path().expect("a path")).expect("in a layer").to_owned()).collect()
    };
    assert_eq!(names(&layer), ["head/kernel", "head/bias"]);
    let again = <Box<dyn Layer>>::from_field(layer.field_config()?.as_ref())?;
    again.call(numbers(&[2, 3, 4]))?;
    assert_eq!(names(&*again), ["head/kernel", "head/bias"]);
    Ok(())
}

/// Keras's convolutions of images with channels first need another machine than a processor.
#[test]
fn recurrent_layers_of_images_with_channels_first_compute_what_those_with_channels_last_do() -> Result<()> {
    let make = || ConvLSTM2D::new(3, [3, 2]).strides([2, 1]).return_sequences(true);
    let (last, first) = (make(), make().data_format(DataFormat::ChannelsFirst));
    let x = numbers(&[2, 3, 6, 5, 4]);
    let moved = x.permute([0, 1, 4, 2, 3])?;
    last.call(&x)?;
    first.call(&moved)?;
    for (a, b) in last.weights().iter().zip(first.weights()) {
        let value = numbers(&a.shape().expect("built"));
        a.assign(&value)?;
        b.assign(&value)?;
    }
    let (expected, found): (Tensor, Tensor) = (last.call(&x)?, first.call(&moved)?);
    assert_eq!(expected.dims()?, [2, 3, 2, 4, 3]);
    assert_near(&found, &expected.permute([0, 1, 4, 2, 3])?, 1e-5, "channels first");
    Ok(())
}

#[test]
fn a_recurrent_layer_of_images_that_is_stateful_goes_on_where_it_was() -> Result<()> {
    let x = numbers(&[2, 4, 5, 3]);
    let halves = [x.slice((.., ..2))?, x.slice((.., 2..))?];
    let layer = ConvLSTM1D::new(3, 2).padding(Padding::Same).strides(2).stateful(true).return_sequences(true);
    let first = [layer.call(&halves[0])?, layer.call(&halves[1])?];
    layer.reset_state()?;
    let whole: Tensor = layer.call(&x)?;
    assert_near(&Tensor::concat(&first, 1)?, &whole, 1e-6, "two halves");
    let states: Vec<_> = layer.variables().iter().filter_map(|v| v.shape().filter(|_| !v.trainable())).collect();
    assert_eq!(states, [[2, 3, 3]; 2]);
    let error = layer.call(&x.slice(..1)?).unwrap_err().to_string();
    assert!(error.contains("`rnn_state` was built as [2, 3, 3]"), "{error}");
    Ok(())
}

#[test]
fn recurrent_layers_of_images_take_batches_whose_size_is_not_known() -> Result<()> {
    let x = numbers(&[2, 3, 5, 4, 2]);
    let layers: [Box<dyn Layer>; 3] = [
        Box::new(ConvLSTM2D::new(3, 2)),
        Box::new(Bidirectional::new(ConvLSTM2D::new(3, 2).return_sequences(true))?),
        Box::new(TimeDistributed::new(Sequential::new().add(Dropout::new(0.5)).add(Flatten::new()))),
    ];
    for layer in layers {
        let expected = layer.call(&x)?;
        let spec = Spec::new(DType::F32, [None, Some(3), Some(5), Some(4), Some(2)]);
        let graph = trace(|x| Ok(vec![layer.call(&x[0])?]), &[spec])?;
        assert_near(&graph.run(&[&x])?.remove(0), &expected, 1e-6, layer.class_name());
    }
    Ok(())
}

#[test]
fn cells_of_images_stand_in_a_row_too() -> Result<()> {
    let cells = StackedRNNCells::new().add(ConvLSTMCell::<1>::new(3, 2)).add(ConvLSTMCell::<1>::new(2, 3).strides(2));
    let (y, states) = RNN::new(Box::new(cells)).with_states().call(&(numbers(&[2, 3, 8, 4]), None))?;
    let dims: Vec<_> =
        [&y].into_iter().chain(&states).map(|x| x.dims().map(<[usize]>::to_vec)).collect::<Result<_>>()?;
    assert_eq!(dims, [[2, 3, 2], [2, 7, 3], [2, 7, 3], [2, 3, 2], [2, 3, 2]]);
    Ok(())
}

#[test]
fn what_a_layer_of_steps_cannot_do_it_says() {
    let (x, images) = (numbers(&[2, 3, 4]), numbers(&[2, 3, 6, 5, 4]));
    let masked = x.with_mask(Some(Tensor::from([[true, false]])));
    let flat = x.with_mask(Some(Tensor::from([true, false])));
    let wrapped = || TimeDistributed::new(LSTM::new(2));
    let none = Tensor::zeros([2, 0, 4, 3], DType::F32).expect("zeros");
    let rows: [(Box<dyn Layer>, &Tensor, &str); 15] = [
        (Box::new(ConvLSTM2D::new(usize::MAX, 2)), &images, "conv_lstm2d"),
        (Box::new(TimeDistributed::new(Dense::new(2))), &numbers(&[2, 3]), "at least 3 dims, `[batch, time, ..]`"),
        (Box::new(TimeDistributed::new(Dense::new(2))), &masked, "the mask must have the batch and the steps"),
        (Box::new(TimeDistributed::new(Dense::new(2))), &flat, "the mask must have the batch and the steps"),
        (Box::new(TimeDistributed::new(Dense::new(0))), &x, "time_distributed/dense: `units` must be at least 1"),
        (Box::new(wrapped()), &none, "the number of steps of a `LSTM` must be known, and at least 1"),
        (Box::new(wrapped()), &x, "must have at least 3 dims"),
        (Box::new(TimeDistributed::new(Conv1D::new(2, 2))), &x, "must have 3 dims"),
        (Box::new(ConvLSTM2D::new(0, 2)), &images, "`filters` must be at least 1, found [0]"),
        (Box::new(ConvLSTM2D::new(2, [2, 0])), &images, "`kernel_size` must be at least 1, found [2, 0]"),
        (
            Box::new(ConvLSTM2D::new(2, 2).strides(2).dilation_rate(2)),
            &images,
            "`strides` or `dilation_rate` must be 1",
        ),
        (Box::new(ConvLSTM2D::new(2, 2).padding(Padding::Causal)), &images, "must be valid or same, found causal"),
        (Box::new(ConvLSTM2D::new(2, 7)), &images, "a window of 7 places does not fit"),
        (Box::new(ConvLSTM1D::new(2, 2)), &images, "must have 3 dims, of a batch, 1 spatial axes and channels"),
        (
            Box::new(RNN::new(Box::new(StackedRNNCells::new().add(GRUCell::new(2)).add(ConvLSTMCell::<1>::new(2, 2))))),
            &x,
            "must have 3 dims, of a batch, 1 spatial axes and channels",
        ),
    ];
    for (layer, x, words) in rows {
        let error = layer.call(x).expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    }
}
