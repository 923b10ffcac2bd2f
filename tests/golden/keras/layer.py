"""Layers of the first hour, dropout, and models of layers in a row."""

import keras
import numpy as np
import tensorflow as tf

from fixture import stream
from keras_recorder import LayerRecorder, Recorder, config
from samples import draw, f16, f32, f64


def add(fixture):
    case = LayerRecorder(fixture).case
    L = keras.layers

    rng = stream("layers")
    x23, x234, x0 = draw(rng, (2, 3), f32, -2, 2), draw(rng, (2, 3, 4), f32, -2, 2), np.zeros((0, 3), f32)
    for label, x in (
        ("[2,3]", x23),
        ("[2,3,4]", x234),
        ("[0,3]", x0),
        ("[1,2,2,5]", draw(rng, (1, 2, 2, 5), f32, -2, 2)),
    ):
        case(f"Dense {label}", lambda d: L.Dense(4, dtype=d), x)
        case(f"Dense {label} without bias", lambda d: L.Dense(4, use_bias=False, dtype=d), x)
    for activation in ("relu", "tanh", "sigmoid", "softmax", "gelu", "elu", "selu", "softplus", "silu", "linear"):
        case(f"Dense {activation}", lambda d: L.Dense(3, activation=activation, dtype=d), draw(rng, (5, 4), f32, -2, 2))
    case("Dense with L2 on the kernel", lambda d: L.Dense(4, kernel_regularizer="l2", dtype=d), x23)
    case(
        "Dense with L1 on the kernel, L2 on the bias",
        lambda d: L.Dense(
            4, kernel_regularizer=keras.regularizers.L1(0.1), bias_regularizer=keras.regularizers.L2(0.2), dtype=d
        ),
        x23,
    )
    case(
        "Dense with an activity regularizer",
        lambda d: L.Dense(4, activity_regularizer=keras.regularizers.L2(0.5), dtype=d),
        x23,
    )
    case("Dense not trainable", lambda d: L.Dense(4, trainable=False, dtype=d), x23)
    case("Dense 17 to 9", lambda d: L.Dense(9, activation="relu", dtype=d), draw(rng, (33, 17), f32, -2, 2))
    for label, x in (
        ("[2,3,4]", x234),
        ("[2,3]", x23),
        ("[2]", x23[:, 0]),
        ("[0,3]", x0),
        ("[2,2,2,3]", draw(rng, (2, 2, 2, 3), f32, -2, 2)),
    ):
        case(f"Flatten {label}", lambda d: L.Flatten(dtype=d), x)
        case(f"Flatten {label} channels_first", lambda d: L.Flatten(data_format="channels_first", dtype=d), x)
    for target, x in (
        ((4, 3), x234),
        ((-1,), x234),
        ((2, -1), x234),
        ((3, 1), x23),
        ((), x23[:, 0]),
        ((12, 1, 1), x234),
    ):
        case(f"Reshape {list(x.shape)} to {list(target)}", lambda d: L.Reshape(target, dtype=d), x)
    case("Reshape int32", lambda d: L.Reshape((3, 2), dtype="int32"), np.arange(12).reshape(2, 6).astype(np.int32))
    for activation in ("relu", "softmax", "gelu", "leaky_relu"):
        case(
            f"Activation {activation}", lambda d: L.Activation(activation, dtype=d), draw(rng, (3, 4), f32, -2, 2, (0,))
        )
    case("Dropout not training", lambda d: L.Dropout(0.5, seed=1, dtype=d), x23, training=False)
    case("Dropout unsaid", lambda d: L.Dropout(0.5, seed=1, dtype=d), x23)

    record = Recorder(fixture, "dropout")
    ones = np.ones((4, 6), f32)
    for seed in (0, 42):
        for rate, noise_shape, x in [
            (0.5, None, ones),
            (0.25, None, draw(rng, (3, 5), f32, -2, 2)),
            (0.9, None, ones),
            (0.0, None, ones),
            (1.0, None, ones),
            (0.5, (4, 1), ones),
            (0.5, (None, 1, 4), x234),
            (0.3, None, ones.astype(f16)),
            (0.3, None, ones.astype(f64)),
        ]:
            keras.backend.clear_session()
            layer = L.Dropout(rate, noise_shape=noise_shape, seed=seed, dtype=x.dtype.name)
            layer.build(x.shape)
            row = {"config": config(layer), "x": record.put(x), "first": record.named(layer.variables)}
            row["outputs"] = [record.put(layer(tf.constant(x), training=True)) for _ in range(3)]
            row["state"] = record.named(layer.variables)
            record.row(f"rate {rate}, seed {seed}, noise_shape {noise_shape}, {x.dtype.name} {list(x.shape)}", **row)

    record = Recorder(fixture, "sequential")
    for label, make in {
        "two dense": lambda: [L.Dense(3), L.Dense(2)],
        "classifier": lambda: [L.Flatten(), L.Dense(8, activation="relu"), L.Dropout(0.2, seed=1), L.Dense(4)],
        "regularized": lambda: [
            L.Dense(4, kernel_regularizer="l2", activation="tanh"),
            L.Reshape((2, 2)),
            L.Activation("softmax"),
            L.Flatten(),
            L.Dense(1, bias_regularizer="l1"),
        ],
        "nested": lambda: [keras.Sequential([L.Dense(3, activation="relu"), L.Dense(2)]), L.Dense(2)],
    }.items():
        keras.backend.clear_session()
        model = keras.Sequential(make())
        unbuilt = config(model)
        x = draw(rng, (5, 2, 3) if label == "classifier" else (5, 3), f32, -2, 2)
        model.build(x.shape)
        for w in model.trainable_weights:
            w.assign(draw(rng, w.shape, f32, -1, 1))
        y = model(tf.constant(x), training=False)
        record.row(
            label,
            config=unbuilt,
            built_config=config(model),
            x=record.put(x),
            weights=record.named(model.weights),
            trainable=[w.path for w in model.trainable_weights],
            y=record.put(y),
            losses=[record.put(loss) for loss in model.losses],
            parameters=model.count_params(),
            summary=summary(model),
        )


def summary(model):
    lines = []
    model.summary(print_fn=lambda text, line_break=False: lines.append(text), line_length=80)
    return "\n".join(lines)
