use super::layer::layer_in;
use super::*;
use modulor::data::Dataset;
use modulor::keras::library::{
    AugMix, Augmentation, CenterCrop, Conv2D, Dense, Factor, FillMode, Flatten, Interpolation, MaxNumBoundingBoxes,
    Pipeline, RandAugment, RandomBrightness, RandomColorJitter, RandomContrast, RandomCrop, RandomElasticTransform,
    RandomErasing, RandomFlip, RandomGaussianBlur, RandomGrayscale, RandomPerspective, RandomRotation, RandomSharpness,
    RandomShear, RandomTranslation, RandomZoom, Resizing, Sequential, Solarization,
};
use modulor::module::{Track, object};
use modulor::{Call, Layer, ModuleExt, NameLayer, scope};

fn in_training(layer: &dyn Layer, x: &Tensor) -> Result<Tensor> {
    scope::with_training(true, || layer.call(x))
}

#[test]
fn images_are_changed_as_keras_changes_them() {
    let mut count = 0;
    for row in rows("augmentation").chain(rows("distortion")) {
        let x = row.tensor("x").expect("an input");
        let layer = layer_in(row, x.dtype());
        let about = |error| -> Tensor { panic!("{}: {error}", row.case) };
        assert_eq!(to_f64(&layer.call(&x).unwrap_or_else(about)), to_f64(&x), "{}: not in training", row.case);
        // Some configs have no seed.
        let state = Tensor::from([row.get::<i64>("seed"), 0]);
        layer.variables()[0].assign(&state).expect("a seed and a count");
        for expected in row.get::<Vec<Entry>>("outputs") {
            let y = in_training(&*layer, &x).unwrap_or_else(about);
            let tolerance = if x.dtype() == DType::F16 { 4.0 * epsilon(x.dtype()) } else { 3e-5 };
            assert_eq!(y.dtype(), x.dtype(), "{}", row.case);
            assert_near(&y, &tensor(&expected), tolerance, &row.case);
        }
        count += 1;
    }
    assert!(count > 140, "{count}");
}

#[test]
fn boxes_are_as_many_as_keras_makes_them() {
    let mut count = 0;
    for row in rows("boxes") {
        let part =
            |of: &str, name: &str| tensor(&serde_json::from_value::<Entry>(row.values[of][name].clone()).unwrap());
        let layer = MaxNumBoundingBoxes::new(row.get("number")).fill_value(row.get("fill"));
        let made = layer.limit(&part("given", "boxes"), &part("given", "labels")).expect("they fit");
        for (found, name) in [(&made.0, "boxes"), (&made.1, "labels")] {
            let expected = part("made", name);
            assert_eq!((found.spec(), to_f64(found)), (expected.spec(), to_f64(&expected)), "{}: {name}", row.case);
        }
        count += 1;
    }
    assert_eq!(count, 3);
    let zeros = Tensor::zeros([2, 3], DType::F32).expect("zeros");
    let no_boxes = MaxNumBoundingBoxes::new(2).limit(&zeros, &zeros).unwrap_err();
    assert!(no_boxes.message().contains("found shapes (2, 3) and (2, 3)"), "{no_boxes}");
}

#[test]
fn a_pipeline_is_its_layers_one_after_the_other_and_keeps_their_names() {
    let make = || Pipeline::new().add(Dense::new(3).named("first")).add(Dense::new(2));
    let (pipeline, x) = (make(), numbered([2, 4, 1, 1]).reshape([2, 4]).expect("as many"));
    let y = pipeline.call(&x).expect("it fits");
    let by_hand = pipeline.layers().iter().try_fold(x, |x, layer| layer.call(&x)).expect("they fit");
    assert_eq!(to_f64(&y), to_f64(&by_hand));
    let paths: Vec<String> = pipeline.weights().iter().filter_map(|weight| weight.path()).collect();
    let below: Vec<&str> = paths.iter().filter_map(|path| path.split_once('/')).map(|(_, below)| below).collect();
    assert_eq!(below, ["first/kernel", "first/bias", "dense/kernel", "dense/bias"]);
    let config = object(&pipeline).expect("a config");
    let again = Pipeline::from_field(Some(&config)).expect("its own config");
    assert_eq!(object(&again).expect("a config"), config);
}

/// Images whose values say where they are from.
fn numbered(dims: [usize; 4]) -> Tensor {
    let count = dims.iter().product::<usize>();
    Tensor::new(dims, (0..count).map(|i| i as f32 / count as f32).collect::<Vec<_>>()).expect("as many as are needed")
}

/// One of each layer that draws; two of them have the same settings and the same seed.
fn layers(seed: i64) -> Vec<Box<dyn Augmentation>> {
    vec![
        Box::new(RandomFlip::new().seed(seed)),
        Box::new(RandomCrop::new(3, 3).seed(seed)),
        Box::new(RandomTranslation::new(0.4, 0.3).seed(seed)),
        Box::new(RandomRotation::new(0.2).fill_mode(FillMode::Wrap).seed(seed)),
        Box::new(RandomZoom::new(0.4).width_factor([-0.2, 0.3]).seed(seed)),
        Box::new(RandomShear::new().x_factor(0.3).y_factor([0.1, 0.2]).seed(seed)),
        Box::new(RandomBrightness::new(0.2).value_range([0.0, 1.0]).seed(seed)),
        Box::new(RandomContrast::new(0.4).value_range([0.0, 1.0]).seed(seed)),
        Box::new(
            RandomColorJitter::new().value_range([0.0, 1.0]).saturation_factor([0.2, 0.8]).hue_factor(0.5).seed(seed),
        ),
        Box::new(RandomGrayscale::new().seed(seed)),
        Box::new(Solarization::new().threshold_factor(0.9).value_range([0.0, 1.0]).seed(seed)),
        Box::new(RandomSharpness::new(1.0).value_range([0.0, 1.0]).seed(seed)),
        Box::new(RandomElasticTransform::new().factor([1.0, 1.0]).seed(seed)),
        Box::new(RandomErasing::new().value_range([0.0, 1.0]).seed(seed)),
        Box::new(RandomGaussianBlur::new().factor([1.0, 1.0]).value_range([0.0, 1.0]).seed(seed)),
        Box::new(RandomPerspective::new().factor([1.0, 1.0]).seed(seed)),
        Box::new(RandAugment::new().value_range([0.0, 1.0]).num_ops(4).seed(seed)),
        Box::new(AugMix::new().value_range([0.0, 1.0]).seed(seed)),
    ]
}

#[test]
fn one_seed_gives_one_sequence_of_changes() {
    let x = numbered([4, 5, 6, 3]);
    for ((a, b), other) in layers(1).iter().zip(layers(1)).zip(&layers(2)) {
        let name = a.class_name();
        let three =
            |layer: &dyn Layer| (0..3).map(|_| to_f64(&in_training(layer, &x).expect("it fits"))).collect::<Vec<_>>();
        let (first, same, different) = (three(&**a), three(&*b), three(&**other));
        assert_eq!(first, same, "{name}");
        assert!(first[0] != first[1] || first[1] != first[2], "{name} does one thing alone");
        assert_ne!(first, different, "{name}");
    }
}

#[test]
fn a_pipeline_changes_images_by_their_numbers_on_any_number_of_threads() {
    let all = numbered([12, 5, 6, 3]);
    for layer in layers(1) {
        let name = layer.class_name().to_owned();
        let layer: std::sync::Arc<dyn Augmentation> = layer.into();
        let changed = |threads: usize| {
            let layer = layer.clone();
            let images = Dataset::from_tensor_slices(all.clone()).expect("images");
            images.map_seeded(5, move |image, seed| layer.augment(&image, &seed)).threads(threads)
        };
        let drawn = |epoch, threads| {
            changed(threads).iter_at(epoch, 0).map(|y| to_f64(&y.expect("it fits"))).collect::<Vec<_>>()
        };
        assert_eq!(drawn(0, 1), drawn(0, 3), "{name}");
        assert_ne!(drawn(0, 1), drawn(1, 2), "{name}");
        assert!(layer.variables().is_empty(), "{name}: the state was used");
        // As one image or as a batch of one.
        let (image, seed) = (all.slice(3).expect("an image"), Tensor::from([7_i64, 3]));
        let one = layer.augment(&image, &seed).expect("it fits");
        let batch = layer.augment(&image.expand_dims(0).expect("a batch"), &seed).expect("it fits");
        assert_eq!(to_f64(&one), to_f64(&batch), "{name}");
    }
}

#[test]
fn what_is_drawn_fills_its_range() {
    let x = Tensor::zeros([4000, 1, 1, 1], DType::F32).expect("zeros");
    let layer = RandomBrightness::new([-0.2, 0.6]).value_range([-10.0, 10.0]).seed(3);
    let drawn = to_f64(&in_training(&layer, &x).expect("it fits"));
    assert!(drawn.iter().all(|y| (-4.0..=10.0).contains(y)));
    let mean = drawn.iter().sum::<f64>() / 4000.0;
    assert!((mean - 4.0).abs() < 0.3, "{mean}");
    for part in 0..10 {
        let low = -4.0 + 1.4 * f64::from(part);
        let share = drawn.iter().filter(|&&y| (low..low + 1.4).contains(&y)).count() as f64 / 4000.0;
        // Of what lies above 10 nothing is drawn but is there.
        assert!((0.07..0.13).contains(&share) || part == 9, "{part}: {share}");
    }
    let pair = Tensor::from([[[[1.0_f32], [2.0]]]]).broadcast_to([4000, 1, 2, 1]).expect("it fits");
    let flipped = to_f64(&in_training(&RandomFlip::new().seed(3), &pair).expect("it fits"));
    let share = flipped.chunks(2).filter(|pair| pair[0] == 2.0).count() as f64 / 4000.0;
    assert!((0.46..0.54).contains(&share), "{share}");
    let moved = numbered([1, 1, 40, 1]);
    let layer = RandomTranslation::new(0.0, 0.25).interpolation(Interpolation::Nearest).fill_mode(FillMode::Constant);
    let layer = layer.fill_value(-1.0).seed(3);
    let mut steps = BTreeSet::new();
    for _ in 0..200 {
        let y = to_f64(&in_training(&layer, &moved).expect("it fits"));
        steps.insert(y.iter().filter(|&&y| y == -1.0).count());
    }
    assert!(steps.iter().all(|&steps| steps <= 10) && steps.len() >= 10, "{steps:?}");
}

#[test]
fn one_image_is_cut_like_a_batch_of_it() {
    let x = numbered([1, 5, 8, 2]);
    let one = x.squeeze([0]).expect("a batch of one");
    let layers: [Box<dyn Layer>; 4] = [
        Box::new(Resizing::new(4, 3).crop_to_aspect_ratio(true)),
        Box::new(Resizing::new(4, 3).pad_to_aspect_ratio(true)),
        Box::new(CenterCrop::new(3, 4)),
        Box::new(CenterCrop::new(9, 4)),
    ];
    for layer in layers {
        let [y, of_one] = [&x, &one].map(|x| layer.call(x).expect("it fits"));
        assert_eq!(y.squeeze([0]).expect("a batch of one").dims().unwrap(), of_one.dims().unwrap());
        assert_eq!(to_f64(&y), to_f64(&of_one));
    }
}

#[test]
fn a_model_has_them_in_front() {
    let model = Sequential::new()
        .input([6, 6, 1])
        .add(Resizing::new(5, 5))
        .add(RandomFlip::new())
        .add(RandomRotation::new(0.1))
        .add(CenterCrop::new(4, 4))
        .add(Conv2D::new(2, 3))
        .add(Flatten::new())
        .add(Dense::new(1));
    assert_eq!(model.output_shape().expect("all is known").to_string(), "(None, 1)");
    let x = numbered([3, 6, 6, 1]);
    let inferred = to_f64(&model.call(&x).expect("it fits"));
    assert_eq!(inferred, to_f64(&model.call(&x).expect("it fits")));
    assert_ne!(inferred, to_f64(&scope::with_training(true, || model.call(&x)).expect("it fits")));
    assert_eq!((model.count_params(), model.variables().len()), (2 * 9 + 2 + 8 + 1, 6));
}

#[test]
fn what_cannot_be_done_to_images_is_said() {
    let x = numbered([2, 3, 4, 2]);
    let rows: [(Box<dyn Layer>, &str); 14] = [
        (Box::new(RandomTranslation::new(1.5, 0.0)), "`height_factor` must be from -1 to 1, found One(1.5)"),
        (Box::new(RandomTranslation::new(0.0, [0.0, -2.0])), "`width_factor` must be from -1 to 1"),
        (Box::new(RandomZoom::new(-1.0)), "`height_factor` must be above -1, and at most 1, found One(-1.0)"),
        (Box::new(RandomRotation::new(1.5)), "`factor` must be from -1 to 1, found One(1.5)"),
        (Box::new(RandomContrast::new(-0.5)), "`factor` must be from 0 to 1, found One(-0.5)"),
        (Box::new(RandomBrightness::new([1.5, 2.0])), "`factor` must be from -1 to 1, found Between(1.5, 2.0)"),
        (Box::new(RandomGrayscale::new().factor(2.0)), "`factor` must be from 0 to 1, found 2"),
        (Box::new(RandomGrayscale::new()), "the channels must be known, and 1 or 3, found shape (2, 3, 4, 2)"),
        (
            Box::new(RandomRotation::new(0.1).interpolation(Interpolation::Bicubic)),
            "nearest or bilinear, found Bicubic",
        ),
        (Box::new(RandomCrop::new(0, 1)), "`height` must be at least 1"),
        (Box::new(CenterCrop::new(1, 0)), "`width` must be at least 1"),
        (Box::new(Resizing::new(0, 1)), "`height` must be at least 1"),
        (Box::new(Resizing::new(1, 1).crop_to_aspect_ratio(true).pad_to_aspect_ratio(true)), "exclude each other"),
        (Box::new(Resizing::new(1, 1).fill_mode(FillMode::Wrap)), "`fill_mode` must be constant, found Wrap"),
    ];
    for (layer, words) in rows {
        let error = in_training(&*layer, &x).expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    }
    let flat = Tensor::from([[1.0_f32, 2.0]]);
    let error = in_training(&RandomFlip::new(), &flat).expect_err("two dims").to_string();
    assert!(error.contains("images have 4 dims") && error.contains("found shape (1, 2)"), "{error}");
    assert_eq!(Factor::from(0.5), Factor::One(0.5));
}
