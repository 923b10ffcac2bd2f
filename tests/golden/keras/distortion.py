"""Layers that distort images, blur them, erase parts of them and change them in several ways, at random."""

import contextlib
from unittest import mock

import keras
import numpy as np
import tensorflow as tf

from fixture import stream
from keras.src.layers.preprocessing.image_preprocessing import aug_mix
from keras_recorder import LayerRecorder, Recorder, config, numpy
from samples import draw, f32

L = keras.layers


def images(*shape):
    return draw(stream("distortion", *shape), shape, f32, 0, 1)


def add(fixture):
    case, record = LayerRecorder(fixture).case, Recorder(fixture, "distortion")
    for make in (
        lambda d: L.RandomElasticTransform(0.5, seed=3, dtype=d),
        lambda d: L.RandomErasing(0.5, seed=3, dtype=d),
        lambda d: L.RandomGaussianBlur(0.5, seed=3, dtype=d),
        lambda d: L.RandomPerspective(0.5, seed=3, dtype=d),
        lambda d: L.RandAugment(seed=3, dtype=d),
        lambda d: L.AugMix(seed=3, dtype=d),
        lambda d: L.MaxNumBoundingBoxes(5, dtype=d),
        pipeline,
    ):
        case(f"{type(make('float32')).__name__} not training", make, images(2, 4, 6, 3), training=False)
    x, large = images(3, 6, 8, 3), images(2, 44, 41, 1)
    first = np.moveaxis(x, -1, 1).copy()
    ends = (0, 1)
    for seed in (0, 42):
        for scale in (1.0, 0.3):
            for how in ("bilinear", "nearest"):
                draws(record, lambda: L.RandomPerspective((0.4, 1.0), scale, how, 0.5, seed=seed), x)
        draws(record, lambda: L.RandomPerspective(0.9, data_format="channels_first", seed=seed), first)
        draws(record, lambda: L.RandomPerspective((1, 1), seed=seed), large)
        draws(record, lambda: L.RandomErasing((0.4, 1.0), value_range=ends, seed=seed), x)
        draws(record, lambda: L.RandomErasing((1, 1), (0.3, 0.9), 0.5, ends, seed=seed), x)
        draws(record, lambda: L.RandomErasing((1, 1), 0.5, (0.1, 0.7, 2.0), ends, seed=seed), x)
        draws(record, lambda: L.RandomErasing((1, 1), data_format="channels_first", seed=seed), first)
        draws(record, lambda: L.RandomGaussianBlur((0.4, 1.0), value_range=ends, seed=seed), x)
        draws(record, lambda: L.RandomGaussianBlur((1, 1), 5, (0.5, 0.9), ends, seed=seed), x)
        draws(record, lambda: L.RandomGaussianBlur((1, 1), (3, 5), 0.8, ends, seed=seed), x)
        draws(record, lambda: L.RandomGaussianBlur((1, 1), data_format="channels_first", seed=seed), first)
        for fill in ("reflect", "wrap", "constant", "nearest"):
            for how in ("bilinear", "nearest")[: 2 - seed // 42]:
                draws(record, lambda: L.RandomElasticTransform((0.6, 1.0), (0.5, 1.0), how, fill, 3.0, seed=seed), large)
        draws(record, lambda: L.RandomElasticTransform((1, 1), value_range=ends, seed=seed), x)
        draws(record, lambda: L.RandomElasticTransform((1, 1), data_format="channels_first", seed=seed), first)
        draws(record, lambda: L.RandomElasticTransform((1, 1), seed=seed), large[0])
        for ops in (1, 4):
            draws(record, lambda: L.RandAugment(num_ops=ops, factor=0.3, value_range=ends, seed=seed), x)
        draws(record, lambda: L.RandAugment(ends, 3, (0.1, 0.9), "nearest", seed=seed), x)
        draws(record, lambda: L.RandAugment(ends, data_format="channels_first", seed=seed), first)
        draws(record, lambda: L.AugMix(ends, seed=seed), x)
        draws(record, lambda: L.AugMix(ends, 2, 4, (0.2, 0.7), 0.6, False, "nearest", seed=seed), x)
        draws(record, lambda: L.AugMix(ends, data_format="channels_first", seed=seed), first)
        parts = lambda: [L.RandomContrast(0.4, ends, seed=seed), L.RandomBrightness(0.2, ends, seed=seed)]
        draws(record, lambda: L.Pipeline(parts()), x, seed)
    for number, fill in ((2, -1), (3, -1), (5, 7)):
        boxes(Recorder(fixture, "boxes"), number, fill)


def pipeline(dtype):
    """Two layers of one name each, given and not; Keras says nothing of the shape of what they make."""
    layer = L.Pipeline([L.Rescaling(0.5, 1.0, dtype=dtype, name="half"), L.RandomContrast(0.5, seed=3, dtype=dtype)])
    layer.compute_output_shape = lambda shape: shape
    return layer


def boxes(record, number, fill):
    """What becomes of three boxes."""
    layer = L.MaxNumBoundingBoxes(number, fill, bounding_box_format="xyxy")
    given = {"boxes": images(2, 3, 4), "labels": np.arange(6, dtype=np.int32).reshape(2, 3)}
    made = layer.transform_bounding_boxes({name: tf.constant(value) for name, value in given.items()}, None)
    given, made = [{name: record.put(value) for name, value in found.items()} for found in (given, made)]
    record.row(f"{number} filled with {fill}", number=number, fill=fill, given=given, made=made)


@contextlib.contextmanager
def drawn_choices(layer):
    """Has the changes of an `AugMix` follow from its seeds: their numbers from one, and three for each of them."""
    steps = iter(())

    def choice(kinds):
        nonlocal steps
        found = next(steps, None)
        if found is None:
            count = layer.num_chains * layer.chain_depth
            numbers = keras.random.randint((count,), 0, len(kinds), seed=layer.generator)
            begin = numpy(layer.generator.state)
            steps = iter([(int(n), begin + [0, 3 * at]) for at, n in enumerate(numpy(numbers))])
            found = next(steps)
        number, state = found
        layer.generator.state.assign(state)
        return kinds[number]

    with mock.patch.object(aug_mix.py_random, "choice", choice):
        yield


def with_channels_last(layer):
    """Has its `AutoContrast`, which Keras tells of no channels that are first, see them last."""
    transform = layer.auto_contrast.transform_images
    turned = lambda x, *rest, **named: tf.transpose(transform(tf.transpose(x, [0, 2, 3, 1]), *rest, **named), [0, 3, 1, 2])
    layer.auto_contrast.transform_images = turned


def draws(record, make, x, seed=None):
    """What three calls in training give."""
    keras.backend.clear_session()
    layer = make()
    layer.build(x.shape)
    if hasattr(layer, "auto_contrast") and layer.data_format == "channels_first":
        with_channels_last(layer)
    if isinstance(layer, L.AugMix):
        steps = layer.num_chains * layer.chain_depth
        outputs = []
        with drawn_choices(layer):
            for _ in range(3):
                before = numpy(layer.generator.state)
                outputs.append(layer(tf.constant(x), training=True))
                layer.generator.state.assign(before + [0, 3 + 3 * steps])
    else:
        outputs = [layer(tf.constant(x), training=True) for _ in range(3)]
    row = {"config": config(make()), "seed": layer.seed if seed is None else seed, "x": record.put(x)}
    row["outputs"] = [record.put(y) for y in outputs]
    said = layer.get_config()
    if seed is not None:
        said = {"seed": seed}
    said = ", ".join(f"{key} {said[key]}" for key in said if key not in ("name", "trainable", "dtype"))
    record.row(f"{type(layer).__name__}, {said}, {list(x.shape)}", **row)
