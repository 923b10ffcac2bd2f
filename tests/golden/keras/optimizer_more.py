"""Optimizers of optimizers and of factored moments, and what all optimizers have in common on those that lacked a row."""

import contextlib
import sys
from unittest import mock

import keras
import numpy as np
import tensorflow as tf

from fixture import stream
from keras_recorder import Recorder, config
from samples import draw, f32, f64

VARIABLES = {"kernel": (2, 3), "bias": (3,), "table": (2, 3, 2), "gain": ()}
NEW = {
    "Adafactor": [
        {},
        {"learning_rate": 0.5},
        {"learning_rate": 0.1, "beta_2_decay": -0.5, "epsilon_1": 1e-6, "epsilon_2": 0.1, "clip_threshold": 0.25},
        {"learning_rate": 0.1, "relative_step": False, "weight_decay": 0.1},
        {"learning_rate": keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)},
    ],
    "ScheduleFreeAdamW": [
        {},
        {"learning_rate": 0.1, "beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3},
        {"learning_rate": 0.1, "warmup_steps": 2},
        {"learning_rate": 0.1, "warmup_steps": 4, "weight_decay": 0.1},
    ],
}
SHARED = [
    {"clipnorm": 0.5},
    {"clipvalue": 0.3},
    {"global_clipnorm": 0.75},
    {"use_ema": True},
    {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 2},
    {"gradient_accumulation_steps": 2},
    {"loss_scale_factor": 8.0},
    {"weight_decay": 0.1},
]
# Those that `optimizer.py` has no such rows of, and the options it has none of.
LACKING = {
    **{name: SHARED for name in ("Adadelta", "Adamax", "Ftrl", "Lamb", "Lion", "Muon", *NEW)},
    **{name: SHARED[-1:] for name in ("Adagrad", "Nadam")},
}
# With steps as short as Ftrl's by default, float32 says little of what they add up to.
LACKING["Ftrl"] = [{"learning_rate": 1.0, **options} for options in SHARED]
TOGETHER = {
    "use_ema": True,
    "ema_overwrite_frequency": 2,
    "gradient_accumulation_steps": 2,
    "loss_scale_factor": 4.0,
    "weight_decay": 0.1,
    "clipnorm": 0.5,
}


def add(fixture):
    record = Recorder(fixture, "optimizer")
    for name in (*NEW, *LACKING):
        few = ["kernel", "bias"] if name == "Muon" else list(VARIABLES)
        together = {"Adafactor", "ScheduleFreeAdamW", "Lamb"} & {name}
        for options in [*NEW.get(name, []), *LACKING[name], *[TOGETHER] * len(together)]:
            written = "".join(f", {k}={v if np.isscalar(v) else type(v).__name__}" for k, v in options.items())
            for dtype in (f32, f64) if options in NEW.get(name, []) else (f32,):
                label = f"{name}{written}, {np.dtype(dtype).name}, more"
                if label in record.seen:
                    continue
                case(record, label, getattr(keras.optimizers, name), options, dtype, few)
    several(record)


def several(record):
    O = keras.optimizers

    def of(default, named, **settings):
        return O.MultiOptimizer(O.OptimizerMap(default(), {key: make() for key, make in named.items()}), **settings)

    adam, sgd = lambda: O.Adam(0.1, clipnorm=0.5), lambda: O.SGD(0.5, momentum=0.5, weight_decay=0.1)
    for label, make in {
        "one pattern": lambda: of(sgd, {"ker.*": adam}),
        "two patterns": lambda: of(adam, {".*e": sgd, "ker.*": lambda: O.RMSprop(0.1)}),
        "a path and a pattern": lambda: of(adam, {".*": sgd, "bias": lambda: O.Adafactor(0.1)}),
        "none": lambda: of(sgd, {}),
        "one of no variable": lambda: of(sgd, {"dense/.*": adam}),
        "a factor": lambda: of(sgd, {"ker.*": lambda: O.Adam(0.1, loss_scale_factor=2.0)}, loss_scale_factor=8.0),
        "averages": lambda: of(sgd, {"ker.*": lambda: O.Adam(0.1, use_ema=True)}),
        "two of a class": lambda: of(lambda: O.SGD(0.5, name="slow"), {"table": lambda: O.SGD(0.1, momentum=0.9)}),
    }.items():
        case(record, f"MultiOptimizer of {label}", lambda make=make: make(), {}, f32, list(VARIABLES))


def reading(name):
    """`ScheduleFreeAdamW` keeps what z was before the step, which of TensorFlow's variables is a reference to what it is
    after: here its rule reads a value, as with other backends."""
    if name != "ScheduleFreeAdamW":
        return contextlib.nullcontext()

    def value(variable):
        by_rule = sys._getframe(1).f_code.co_name == "update_step"
        return tf.identity(variable._value) if by_rule else variable._value

    return mock.patch.object(keras.Variable, "value", property(value))


def case(record, label, make, options, dtype, names):
    keras.backend.clear_session()
    optimizer = make(**options)
    start = config(optimizer)
    rng = stream("optimizer", label)
    variables = [
        keras.Variable(draw(rng, VARIABLES[name], f32, -2, 2).astype(dtype), dtype=dtype, name=name) for name in names
    ]
    first = record.named(variables)
    rows = []
    for _ in range(5 if {"gradient_accumulation_steps", "use_ema"} & set(options) else 3):
        grads = [np.asarray(draw(rng, v.shape, f32, -1, 1)).astype(dtype) for v in variables]
        with reading(type(optimizer).__name__):
            optimizer.apply([tf.constant(g) for g in grads], variables)
        rows.append(
            {
                "grads": [record.put(g) for g in grads],
                "variables": [record.put(v) for v in variables],
                "state": record.named(optimizer.variables),
            }
        )
    finished = None
    if options.get("use_ema") or "averages" in label:
        optimizer.finalize_variable_values(variables)
        finished = [record.put(v) for v in variables]
    record.row(
        label,
        config=start,
        dtype=np.dtype(dtype).name,
        constraint=None,
        variables=first,
        steps=rows,
        finalized=finished,
    )
