"""Layers that add noise, and leave out, in training."""

import keras
import numpy as np
import tensorflow as tf

from fixture import stream
from keras_recorder import LayerRecorder, Recorder, config
from samples import draw, f16, f32, f64


def add(fixture):
    L = keras.layers
    case = LayerRecorder(fixture).case
    rng = stream("noise")
    x, steps = draw(rng, (2, 3, 4), f32, -2, 2), np.array([[True, True, False], [True, False, False]])
    images = {axes: draw(rng, (2, 3, 4, 2, 3)[: axes + 1] + (3,), f32, -2, 2) for axes in (1, 2, 3)}

    for make in (
        lambda d: L.GaussianNoise(0.5, seed=1, dtype=d),
        lambda d: L.GaussianDropout(0.5, seed=1, dtype=d),
        lambda d: L.AlphaDropout(0.5, seed=1, dtype=d),
        lambda d: L.SpatialDropout1D(0.5, seed=1, dtype=d),
    ):
        name = type(make("float32")).__name__
        case(f"{name} not training", make, x, training=False, beside=steps)
        case(f"{name} unsaid", make, x)
    for axes in (2, 3):
        layer = getattr(L, f"SpatialDropout{axes}D")
        case(f"SpatialDropout{axes}D not training", lambda d: layer(0.5, dtype=d), images[axes], training=False)
        settings = {"data_format": "channels_first"}
        case(f"SpatialDropout{axes}D unsaid", lambda d: layer(0.25, dtype=d, **settings), images[axes])

    record = Recorder(fixture, "dropout")
    for seed in (0, 42):
        for axes, image in images.items():
            layer = getattr(L, f"SpatialDropout{axes}D")
            draws(record, lambda d: layer(0.5, seed=seed, dtype=d), image)
            draws(record, lambda d: layer(0.0, seed=seed, dtype=d), image)
            if axes > 1:
                draws(record, lambda d: layer(0.3, data_format="channels_first", seed=seed, dtype=d), image)
        draws(record, lambda d: L.SpatialDropout1D(0.5, seed=seed, dtype=d), images[1].astype(f16))
        draws(record, lambda d: L.SpatialDropout1D(0.5, seed=seed, dtype=d), images[1].astype(f64))

    record = Recorder(fixture, "noise")
    for seed in (0, 42):
        for image in (x, x[0], x.astype(f16), x.astype(f64)):
            for stddev in (0.0, 0.1, 1.0):
                draws(record, lambda d: L.GaussianNoise(stddev, seed=seed, dtype=d), image)
            for rate in (0.0, 0.1, 0.5):
                draws(record, lambda d: L.GaussianDropout(rate, seed=seed, dtype=d), image)
                draws(record, lambda d: L.AlphaDropout(rate, seed=seed, dtype=d), image)
        for noise_shape in ((2, 1, 4), (None, 1, 1), (1, 3, None)):
            draws(record, lambda d: L.AlphaDropout(0.4, noise_shape=noise_shape, seed=seed, dtype=d), x)


def draws(record, make, x):
    """What three calls in training give, and the gradient of another."""
    keras.backend.clear_session()
    layer = make(x.dtype.name)
    layer.build(x.shape)
    row = {"config": config(make("float32")), "x": record.put(x), "first": record.named(layer.variables)}
    first = [variable.numpy() for variable in layer.variables]
    row["outputs"] = [record.put(layer(tf.constant(x), training=True)) for _ in range(3)]
    row["state"] = record.named(layer.variables)
    for variable, value in zip(layer.variables, first):
        variable.assign(value)
    inputs = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        y = layer(inputs, training=True)
    row["grad"] = record.put(tape.gradient(y, inputs))
    said = layer.get_config()
    said = ", ".join(f"{key} {said[key]}" for key in said if key not in ("name", "trainable", "dtype"))
    record.row(f"{type(layer).__name__}, {said}, {x.dtype.name} {list(x.shape)}", **row)
