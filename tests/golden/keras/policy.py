"""Layers under dtype policies, and the optimizer that scales losses for them."""

import keras
import numpy as np
import tensorflow as tf

from fixture import stream
from keras_recorder import Recorder, config, numpy
from op_runner import cotangent
from samples import draw, f32, f64

POLICIES = ["mixed_float16", "mixed_bfloat16", "float64", "bfloat16"]


def add(fixture):
    layers(fixture)
    nested(fixture)
    scaled(fixture)


def layers(fixture):
    record = Recorder(fixture, "policy")
    L = keras.layers
    rng = stream("policy")
    any_dtype = {"recurrent_initializer": "glorot_uniform"}  # Orthogonal matrices of bfloat16 do not exist.
    x23, x235, x2443 = (draw(rng, shape, f32, -2, 2) for shape in ((2, 3), (2, 3, 5), (2, 4, 4, 3)))
    subjects = [
        ("Dense", lambda: L.Dense(4, activation="tanh"), x23, None),
        ("Dense of float64", lambda: L.Dense(4), x23.astype(f64), None),
        ("Conv2D", lambda: L.Conv2D(2, 3, padding="same"), x2443, None),
        ("BatchNormalization", lambda: L.BatchNormalization(), x2443, False),
        ("BatchNormalization training", lambda: L.BatchNormalization(momentum=0.5), x2443, True),
        ("LayerNormalization", lambda: L.LayerNormalization(), x235, None),
        ("GroupNormalization", lambda: L.GroupNormalization(3), x2443, None),
        ("RMSNormalization", lambda: L.RMSNormalization(), x235, None),
        ("LSTM", lambda: L.LSTM(3, **any_dtype), x235, None),
        ("LSTM of relu", lambda: L.LSTM(3, activation="relu", return_sequences=True, **any_dtype), x235, None),
        ("GRU", lambda: L.GRU(3, return_sequences=True, **any_dtype), x235, None),
        ("Bidirectional", lambda: L.Bidirectional(L.SimpleRNN(3, **any_dtype)), x235, None),
        ("RNN", lambda: L.RNN([L.LSTMCell(2, **any_dtype), L.GRUCell(3, **any_dtype)]), x235, None),
        ("Dropout", lambda: L.Dropout(0.5, seed=3), x235, True),
        ("Flatten of integers", lambda: L.Flatten(), np.arange(12, dtype=np.int32).reshape(2, 2, 3), None),
        ("Rescaling of integers", lambda: L.Rescaling(0.5, 1.0), np.arange(6, dtype=np.int32).reshape(2, 3), None),
        ("MaxPooling2D", lambda: L.MaxPooling2D(2), x2443, None),
        ("Activation", lambda: L.Activation("gelu"), x23, None),
    ]
    for label, make, x, training in subjects:
        for policy in POLICIES:
            keras.backend.clear_session()
            keras.config.set_dtype_policy(policy)
            layer = make()
            unbuilt = config(layer)
            layer.build(x.shape)
            values = [draw(stream(label, str(i)), w.shape, f32, -1, 1, (0,)) for i, w in enumerate(layer.weights)]
            values = [abs(v) + f32(0.25) if "variance" in w.name else v for v, w in zip(values, layer.weights)]
            layer.set_weights(values)
            given = record.named(layer.weights)
            inputs = tf.constant(x)
            with tf.GradientTape() as tape:
                if inputs.dtype.is_floating:
                    tape.watch(inputs)
                y = layer(inputs, training=training)
                floating = y.dtype.is_floating
                total = tf.reduce_sum(tf.cast(y, tf.float64) * cotangent(y.shape)) if floating else tf.constant(0.0)
            wanted = ([inputs] if inputs.dtype.is_floating else []) + [w.value for w in layer.trainable_weights]
            grads = tape.gradient(total, wanted)
            record.row(
                f"{label} {policy}",
                policy=policy,
                config=unbuilt,
                training=training,
                x=record.put(inputs),
                weights=given,
                dtypes=[w.dtype for w in layer.weights],
                compute=layer.compute_dtype,
                variable=layer.variable_dtype,
                y=record.put(y),
                dy=record.put(cotangent(y.shape)) if floating else None,
                grads=[record.put(g) for g in grads],
                after=record.named(layer.weights),
            )
    keras.config.set_dtype_policy("float32")


def nested(fixture):
    """A model whose layers have policies of their own."""
    record = Recorder(fixture, "policy model")
    L = keras.layers
    x = draw(stream("policy model"), (2, 3), f32, -2, 2)
    for policy in ("mixed_bfloat16", "float32"):
        keras.backend.clear_session()
        keras.config.set_dtype_policy(policy)
        model = keras.Sequential([L.Dense(4), L.Dense(3, dtype="float64"), L.Dense(2, dtype="mixed_float16"), L.Dense(2)])
        unbuilt = config(model)
        model.build(x.shape)
        for i, w in enumerate(model.weights):
            w.assign(draw(stream("policy model", str(i)), w.shape, f32, -1, 1, (0,)))
        y = model(tf.constant(x))
        record.row(
            policy,
            policy=policy,
            config=unbuilt,
            x=record.put(x),
            weights=record.named(model.weights),
            dtypes=[w.dtype for w in model.weights],
            y=record.put(y),
        )
    keras.config.set_dtype_policy("float32")


def scaled(fixture):
    record = Recorder(fixture, "loss scale")
    bad = {"inf": np.inf, "nan": np.nan}
    for label, make, options, steps in [
        ("SGD", lambda: keras.optimizers.SGD(0.5, momentum=0.5), {}, ["", "", "inf", ""]),
        ("growth", lambda: keras.optimizers.SGD(0.5), {"initial_scale": 8.0, "dynamic_growth_steps": 2}, [""] * 5),
        (
            "Adam",
            lambda: keras.optimizers.Adam(0.1, clipnorm=1.0),
            {"initial_scale": 4.0, "dynamic_growth_steps": 3},
            ["", "nan", "", "", "", "inf", ""],
        ),
        ("first", lambda: keras.optimizers.Adam(0.1), {"initial_scale": 2.0}, ["nan", ""]),
    ]:
        keras.backend.clear_session()
        rng = stream("loss scale", label)
        optimizer = keras.optimizers.LossScaleOptimizer(make(), **options)
        start = config(optimizer)
        values = [draw(rng, (2, 3), f32, -1, 1), draw(rng, (3,), f32, -1, 1)]
        variables = [keras.Variable(value, name=name) for value, name in zip(values, ("kernel", "bias"))]
        unbuilt = record.put(optimizer.scale_loss(np.array(1.5, f32)))
        optimizer.build(variables)
        names = [v.path for v in optimizer.variables]
        taken = []
        for step in steps:
            grads = [draw(rng, v.shape, f32, -8, 8) for v in variables]
            if step:
                grads[1][1] = bad[step]
            loss = numpy(optimizer.scale_loss(np.array(1.5, f32)))
            optimizer.apply([tf.constant(g) for g in grads], variables)
            taken.append(
                {
                    "grads": [record.put(g) for g in grads],
                    "loss": record.put(loss),
                    "after": [record.put(v) for v in variables],
                    "state": [record.put(v) for v in optimizer.variables],
                }
            )
        record.row(
            label,
            config=start,
            first=[record.put(value) for value in values],
            names=names,
            unbuilt=unbuilt,
            steps=taken,
            end=config(optimizer),
        )
