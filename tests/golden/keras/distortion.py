"""Layers that distort images, blur them and erase parts of them, at random."""

import keras
import numpy as np
import tensorflow as tf

from fixture import stream
from keras_recorder import LayerRecorder, Recorder, config
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


def draws(record, make, x):
    """What three calls in training give."""
    keras.backend.clear_session()
    layer = make()
    layer.build(x.shape)
    row = {"config": config(make()), "seed": layer.seed, "x": record.put(x)}
    row["outputs"] = [record.put(layer(tf.constant(x), training=True)) for _ in range(3)]
    said = layer.get_config()
    said = ", ".join(f"{key} {said[key]}" for key in said if key not in ("name", "trainable", "dtype"))
    record.row(f"{type(layer).__name__}, {said}, {list(x.shape)}", **row)
