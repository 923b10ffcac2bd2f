"""Activations."""

import keras
import numpy as np
import tensorflow as tf

from fixture import stream
from keras_recorder import Recorder, in_float64
from samples import bf16, draw, f16, f32


# Arguments, and the points that the derivative must keep away from.
ACTIVATIONS = {
    "celu": ([{}, {"alpha": 0.5}, {"alpha": 2.0}], (0,)),
    "elu": ([{}, {"alpha": 0.5}], (0,)),
    "exponential": ([{}], ()),
    "gelu": ([{}, {"approximate": True}], ()),
    "glu": ([{}, {"axis": 0}, {"axis": 1}], ()),
    "hard_shrink": ([{}, {"threshold": 1.5}], (-1.5, -0.5, 0.5, 1.5)),
    "hard_sigmoid": ([{}], (-3, 3)),
    "hard_silu": ([{}], (-3, 3)),
    "hard_swish": ([{}], (-3, 3)),
    "hard_tanh": ([{}], (-1, 1)),
    "leaky_relu": ([{}, {"negative_slope": 0.5}], (0,)),
    "linear": ([{}], ()),
    "log_sigmoid": ([{}], ()),
    "log_softmax": ([{}, {"axis": 0}, {"axis": 1}], ()),
    "mish": ([{}], ()),
    "relu": (
        [
            {},
            {"negative_slope": 0.25},
            {"max_value": 2.0},
            {"threshold": 1.0},
            {"negative_slope": 0.25, "max_value": 2.0, "threshold": 1.0},
            {"negative_slope": 0.25, "threshold": -1.0},
            {"max_value": 6.0},
        ],
        (-1, 0, 1, 2, 6),
    ),
    "relu6": ([{}], (0, 6)),
    "selu": ([{}], (0,)),
    "sigmoid": ([{}], ()),
    "silu": ([{}], ()),
    "swish": ([{}], ()),
    "soft_shrink": ([{}, {"threshold": 1.5}], (-1.5, -0.5, 0.5, 1.5)),
    "softmax": ([{}, {"axis": 0}, {"axis": 1}], ()),
    "softplus": ([{}], ()),
    "softsign": ([{}], (0,)),
    "sparse_plus": ([{}], (-1, 1)),
    "sparse_sigmoid": ([{}], (-1, 1)),
    "sparsemax": ([{}, {"axis": 0}, {"axis": 1}], ()),
    "squareplus": ([{}, {"b": 1}], ()),
    "tanh": ([{}], ()),
    "tanh_shrink": ([{}], ()),
    "threshold": ([{"threshold": 0.5, "default_value": -7.0}, {"threshold": -1.0, "default_value": 0.0}], (-1, 0.5)),
}


def add(fixture):
    record = Recorder(fixture, "activation")
    for name, (arguments, away) in ACTIVATIONS.items():
        function = getattr(keras.activations, name)
        rng = stream("activation", name)
        inputs = [draw(rng, s, f32, -4, 4, away) for s in ((2, 4, 6), (9, 4))]
        inputs += [
            np.array([[-3, -2, -1, -0.5, 0, 0.5, 1, 2, 3, 6]], f32),
            np.array([[-60, -20, 20, 60]], f32),
            draw(rng, (0, 4), f32, -1, 1),
        ]
        for args in arguments:
            for i, x in enumerate(inputs):
                if x.shape[args.get("axis", 0)] % 2 and name == "glu" or x.size == 0 and args.get("axis") == 0:
                    continue
                label = ["tensor", "matrix", "landmarks", "far out", "empty"][i]
                written = "".join(f", {k}={v}" for k, v in args.items())
                y = function(tf.constant(x), **args)
                reference, dy, (grad,) = in_float64(lambda t: function(t, **args), x)
                smooth = label in ("tensor", "matrix", "empty")
                record.row(
                    f"{name}{written}, {label}",
                    name=name,
                    args=args,
                    x=record.put(x),
                    y=record.put(y),
                    reference=record.put(reference),
                    dy=record.put(dy) if smooth else None,
                    grad=record.put(grad) if smooth else None,
                )
        if name != "sparsemax":
            for dtype in (f16, bf16):
                x = draw(rng, (2, 6), dtype, -3, 3, away)
                args = arguments[0]
                reference, _, _ = in_float64(lambda t: function(t, **args), x)
                record.row(
                    f"{name}, {np.dtype(dtype).name}",
                    name=name,
                    args=args,
                    x=record.put(x),
                    y=record.put(function(tf.constant(x), **args)),
                    reference=record.put(reference),
                    dy=None,
                    grad=None,
                )
