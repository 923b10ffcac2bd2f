"""Regularizers and constraints."""

import keras
import numpy as np
import tensorflow as tf

from fixture import stream
from keras_recorder import Recorder, config, in_float64
from samples import draw, f32, f64


def add(fixture):
    regularizers(fixture)
    constraints(fixture)


def regularizers(fixture):
    record = Recorder(fixture, "regularizer")
    R = keras.regularizers
    rng = stream("regularizers")
    options = [
        R.L1(),
        R.L1(0.3),
        R.L2(),
        R.L2(0.3),
        R.L1L2(),
        R.L1L2(0.1, 0.2),
        R.L1L2(l1=0.1),
        R.L1L2(l2=0.2),
        R.OrthogonalRegularizer(),
        R.OrthogonalRegularizer(factor=0.5, mode="columns"),
    ]
    for regularizer in options:
        c = config(regularizer)
        name = c["class_name"] + "".join(
            f", {k}={v:.3g}" if isinstance(v, float) else f", {k}={v}" for k, v in c["config"].items()
        )
        for shape in [(3, 4)] if "Orthogonal" in name else [(3, 4), (5,), (2, 2, 3), (0,)]:
            x = draw(rng, shape, f32, -2, 2, (0,))
            single = tf.constant(x)
            with tf.GradientTape() as tape:
                tape.watch(single)
                value = regularizer(single)
            if "Orthogonal" in name:  # Keras computes this one in float32 only.
                reference, grad = None, tape.gradient(value, single)
            else:
                reference, _, (grad,) = in_float64(regularizer, x)
            record.row(
                f"{name}, {list(shape)}",
                config=c,
                x=record.put(x),
                value=record.put(value),
                reference=record.put(reference),
                grad=record.put(grad),
            )


def constraints(fixture):
    record = Recorder(fixture, "constraint")
    C = keras.constraints
    rng = stream("constraints")
    options = [
        C.NonNeg(),
        C.MaxNorm(),
        C.MaxNorm(1.0, axis=1),
        C.MaxNorm(1.0, axis=[0, 1]),
        C.UnitNorm(),
        C.UnitNorm(axis=1),
        C.UnitNorm(axis=[0, 1]),
        C.MinMaxNorm(),
        C.MinMaxNorm(0.5, 1.0, rate=0.5),
        C.MinMaxNorm(2.0, 3.0, axis=1),
        C.MinMaxNorm(1.0, 1.5, rate=0.25, axis=[0, 1]),
    ]
    for constraint in options:
        c = config(constraint)
        name = c["class_name"] + "".join(f", {k}={v}" for k, v in c["config"].items())
        axis = c["config"].get("axis", 0)
        for shape in [(3, 4), (2, 3, 4), (2, 2, 2, 3)] + ([(5,)] if axis == 0 else []):
            x = draw(rng, shape, f32, -2, 2)
            record.row(
                f"{name}, {list(shape)}",
                config=c,
                x=record.put(x),
                y=record.put(constraint(tf.constant(x))),
                reference=record.put(constraint(tf.constant(x.astype(f64)))),
            )
        x = np.zeros((2, 3), f32)
        record.row(
            f"{name}, zeros",
            config=c,
            x=record.put(x),
            y=record.put(constraint(tf.constant(x))),
            reference=record.put(constraint(tf.constant(x.astype(f64)))),
        )
