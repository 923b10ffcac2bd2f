"""Layers of steps: one applied to each, and recurrent layers of images."""

import keras
import numpy as np
import tensorflow as tf

from fixture import stream
from keras_recorder import LayerRecorder, Recorder, config, states_row
from samples import draw, f32


def add(fixture):
    case = LayerRecorder(fixture).case
    L = keras.layers
    distributed(fixture, case, L)
    convolved(case, L)
    states(fixture, L)
    dropped(fixture, L)


def distributed(fixture, case, L):
    rng = stream("time distributed")
    x = draw(rng, (2, 3, 4), f32, -2, 2)
    images = draw(rng, (2, 3, 5, 4, 2), f32, -1, 1)
    inner = draw(rng, (2, 3, 4, 2), f32, -1, 1)
    mask = np.array([[1, 0, 1], [0, 1, 1]], bool)
    masks = np.array(
        [[[1, 1, 0, 1], [0, 1, 1, 0], [1, 1, 1, 1]], [[0, 0, 0, 0], [1, 0, 0, 0], [1, 1, 1, 0]]], bool
    )

    def of(layer):
        return lambda d: L.TimeDistributed(layer(d), dtype=d)

    case("TimeDistributed Dense", of(lambda d: L.Dense(5, activation="tanh", dtype=d)), x)
    case("TimeDistributed Dense under its own name", of(lambda d: L.Dense(5, name="mine", dtype=d)), x)
    case(
        "TimeDistributed Dense regularized",
        of(lambda d: L.Dense(5, kernel_regularizer="l2", bias_regularizer="l1", dtype=d)),
        x,
    )
    case("TimeDistributed masked Dense", of(lambda d: L.Dense(5, dtype=d)), x, mask=mask)
    case("TimeDistributed Conv2D", of(lambda d: L.Conv2D(3, 2, strides=2, padding="same", dtype=d)), images)
    case("TimeDistributed Flatten", of(lambda d: L.Flatten(dtype=d)), images)
    case("TimeDistributed MaxPooling2D", of(lambda d: L.MaxPooling2D(2, dtype=d)), images)
    case("TimeDistributed LayerNormalization", of(lambda d: L.LayerNormalization(dtype=d)), images)
    case("TimeDistributed LSTM", of(lambda d: L.LSTM(3, dtype=d)), inner)
    case("TimeDistributed LSTM of masked steps", of(lambda d: L.LSTM(3, return_sequences=True, dtype=d)), inner, mask=masks)
    case("TimeDistributed mean of masked steps", of(lambda d: L.GlobalAveragePooling1D(dtype=d)), inner, mask=masks)
    case(
        "TimeDistributed Bidirectional",
        of(lambda d: L.Bidirectional(L.GRU(2, return_sequences=True, dtype=d), dtype=d)),
        inner,
    )
    case("TimeDistributed twice", of(of(lambda d: L.Dense(3, dtype=d))), inner)
    case(
        "TimeDistributed Sequential",
        of(lambda d: keras.Sequential([L.Dense(3, activation="relu", dtype=d), L.Dense(2, dtype=d)])),
        x,
    )
    for training in (False, True):
        case(
            f"TimeDistributed BatchNormalization, training {training}",
            of(lambda d: L.BatchNormalization(dtype=d)),
            x,
            training=training,
            positive=("moving_variance",),
        )
    case(
        "TimeDistributed masked BatchNormalization",
        of(lambda d: L.BatchNormalization(dtype=d)),
        x,
        training=True,
        positive=("moving_variance",),
        mask=np.array([[1, 0, 1], [1, 1, 1]], bool),
    )

    record = Recorder(fixture, "dropout")
    keras.backend.clear_session()
    layer = L.TimeDistributed(L.Dropout(0.5, seed=1))
    layer.build(x.shape)
    row = {"config": config(layer), "x": record.put(x), "first": record.named(layer.variables)}
    row["outputs"] = [record.put(layer(tf.constant(x), training=True)) for _ in range(3)]
    row["state"] = record.named(layer.variables)
    record.row("of every step", **row)


IMAGES = {1: (2, 3, 5, 2), 2: (2, 3, 5, 4, 2), 3: (1, 2, 3, 4, 3, 2)}
MASK = np.array([[1, 0, 1], [0, 1, 0]], bool)


def convolved(case, L):
    for axes, shape in IMAGES.items():
        make, x = getattr(L, f"ConvLSTM{axes}D"), draw(stream("sequences of images", axes), shape, f32, -1, 1)
        for label, settings in {
            "": {},
            "of sequences": {"return_sequences": True},
            "backwards of sequences": {"go_backwards": True, "return_sequences": True},
            "same, by 2": {"padding": "same", "strides": 2},
            "without bias": {"use_bias": False, "kernel_size": 1},
        }.items():
            settings = {"kernel_size": 2, **settings}
            case(f"ConvLSTM{axes}D {label}".strip(), lambda d: make(3, dtype=d, **settings), x)
    x = draw(stream("sequences of images"), IMAGES[2], f32, -1, 1)
    for label, settings in {
        "by 2": {"strides": (2, 1), "kernel_size": (3, 2)},
        "dilated": {"dilation_rate": (2, 1)},
        "dilated, same": {"dilation_rate": 2, "padding": "same", "kernel_size": (3, 2)},
        "relu": {"activation": "relu", "recurrent_activation": "hard_sigmoid"},
        "backwards": {"go_backwards": True},
        "unrolled": {"unroll": True},
        "without ones for f": {"unit_forget_bias": False},
        "not trainable": {"trainable": False},
        "regularized": {
            "kernel_regularizer": "l2",
            "recurrent_regularizer": keras.regularizers.L1(0.1),
            "bias_regularizer": "l2",
            "activity_regularizer": keras.regularizers.L2(0.5),
        },
        "with other settings": {
            "kernel_initializer": "he_normal",
            "recurrent_initializer": "glorot_normal",
            "bias_initializer": "ones",
            "kernel_constraint": "max_norm",
            "recurrent_constraint": "non_neg",
            "bias_constraint": "unit_norm",
            "dropout": 0.25,
            "recurrent_dropout": 0.5,
            "seed": 7,
        },
    }.items():
        settings = {"kernel_size": 2, **settings}
        case(f"ConvLSTM2D {label}", lambda d: L.ConvLSTM2D(3, dtype=d, **settings), x)
    for label, settings in {
        "": {},
        "of sequences": {"return_sequences": True},
        "of sequences with zeros": {"return_sequences": True, "zero_output_for_mask": True},
        "with zeros": {"zero_output_for_mask": True},
        "backwards of sequences": {"go_backwards": True, "return_sequences": True},
    }.items():
        case(f"ConvLSTM2D masked {label}".strip(), lambda d: L.ConvLSTM2D(3, 2, dtype=d, **settings), x, mask=MASK)
    for merge in ("concat", "sum", "mul", "ave"):
        for settings in ({}, {"return_sequences": True}):
            case(
                f"Bidirectional ConvLSTM2D {merge}" + " of sequences" * len(settings),
                lambda d: L.Bidirectional(L.ConvLSTM2D(3, 2, dtype=d, **settings), merge_mode=merge, dtype=d),
                x,
            )
    case(
        "Bidirectional ConvLSTM2D masked",
        lambda d: L.Bidirectional(L.ConvLSTM2D(3, 2, return_sequences=True, dtype=d), dtype=d),
        x,
        mask=MASK,
    )


def states(fixture, L):
    record, x = Recorder(fixture, "states"), draw(stream("states of images"), IMAGES[2], f32, -1, 1)
    for label, make in {
        "ConvLSTM2D": lambda d: L.ConvLSTM2D(3, 2, return_state=True, return_sequences=True, dtype=d),
        "ConvLSTM2D of the last": lambda d: L.ConvLSTM2D(3, 2, return_state=True, dtype=d),
        "ConvLSTM2D same, by 2": lambda d: L.ConvLSTM2D(3, 3, strides=2, padding="same", return_state=True, dtype=d),
        "Bidirectional ConvLSTM2D": lambda d: L.Bidirectional(L.ConvLSTM2D(3, 2, return_state=True, dtype=d), dtype=d),
    }.items():
        for how in ("", "masked"):
            weights = stream("states", label + how)
            states_row(record, f"{label} {how}".strip(), make, x, weights, MASK if how else None)


def dropped(fixture, L):
    record, x = Recorder(fixture, "recurrent dropout"), draw(stream("dropped images"), IMAGES[2], f32, -1, 1)
    for rates in ((0.5, 0.0), (0.0, 0.25), (0.5, 0.25)):
        weights = stream("recurrent dropout of images", str(rates))
        keras.backend.clear_session()
        layer = L.ConvLSTM2D(3, 2, dropout=rates[0], recurrent_dropout=rates[1], seed=3, return_sequences=True)
        layer.build(x.shape)
        layer.set_weights([draw(weights, w.shape, f32, -1, 1, (0,)) for w in layer.weights])
        record.row(
            f"ConvLSTM2D {rates}",
            config=config(layer),
            seed=3,
            x=record.put(x),
            weights=record.named(layer.weights),
            outputs=[record.put(layer(tf.constant(x), training=True)) for _ in range(2)],
        )
