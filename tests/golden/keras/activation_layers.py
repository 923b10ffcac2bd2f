"""Activations that are layers of their own."""

import keras
import numpy as np

from fixture import stream
from keras_recorder import LayerRecorder
from samples import draw, f16, f32


def add(fixture):
    case = LayerRecorder(fixture).case
    L = keras.layers
    rng = stream("activation layers")
    x = draw(rng, (2, 3, 5), f32, -4, 4, (-1, 0, 0.5, 1, 2, 6))
    image = draw(rng, (2, 3, 2, 4), f32, -2, 2, (0,))
    steps = np.array([[True, False, True], [False, True, True]])

    for label, settings in {
        "": {},
        "at most 2": {"max_value": 2.0},
        "at most 6": {"max_value": 6},
        "sloping": {"negative_slope": 0.25},
        "above 1": {"threshold": 1.0},
        "of all": {"max_value": 2.0, "negative_slope": 0.25, "threshold": 0.5},
        "at most 0": {"max_value": 0.0},
    }.items():
        case(f"ReLU {label}", lambda d: L.ReLU(dtype=d, **settings), x)
    case("ReLU masked", lambda d: L.ReLU(dtype=d), x, beside=steps)
    case("LeakyReLU", lambda d: L.LeakyReLU(dtype=d), x)
    case("LeakyReLU of slope 0.5", lambda d: L.LeakyReLU(negative_slope=0.5, dtype=d), x, beside=steps)
    case("LeakyReLU of slope 0", lambda d: L.LeakyReLU(negative_slope=0, dtype=d), x)
    case("ELU", lambda d: L.ELU(dtype=d), x)
    case("ELU of 0.5", lambda d: L.ELU(alpha=0.5, dtype=d), x, beside=steps)

    for label, settings in {
        "": {},
        "shared along rows": {"shared_axes": 1},
        "shared along rows and columns": {"shared_axes": [1, 2]},
        "regularized": {
            "alpha_initializer": keras.initializers.Constant(0.25),
            "alpha_regularizer": keras.regularizers.L2(0.5),
            "alpha_constraint": "non_neg",
        },
    }.items():
        case(f"PReLU {label}", lambda d: L.PReLU(dtype=d, **settings), image)
    case("PReLU of a matrix", lambda d: L.PReLU(dtype=d), image[0, :, 0], beside=np.array([True, False, True]))

    for axis in (-1, 1, 0, [1, 2], [-1], (0, 1, 2)):
        case(f"Softmax along {axis}", lambda d: L.Softmax(axis=axis, dtype=d), x)
    every = np.array([[[1, 0, 1, 1, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]], [[0, 0, 0, 0, 1], [1, 1, 0, 0, 0], [0] * 5]])
    every = every.astype(bool)
    case("Softmax masked", lambda d: L.Softmax(dtype=d), x, mask=every)
    case("Softmax of a mask beside", lambda d: L.Softmax(dtype=d), x, beside=every)
    case("Softmax of a mask that broadcasts", lambda d: L.Softmax(dtype=d), x, mask=every[:1, :2, :].all(1))
    case("Softmax along 1, masked", lambda d: L.Softmax(axis=1, dtype=d), x, mask=every[:, :, :1])
    case("Softmax along [1, 2], masked", lambda d: L.Softmax(axis=[1, 2], dtype=d), x, mask=every)
    case("Softmax of a mask of numbers", lambda d: L.Softmax(dtype=d), x, mask=every.astype(f32) * f32(0.75))
    case("Softmax of nothing but masked", lambda d: L.Softmax(axis=[1, 2], dtype=d), x, mask=np.zeros_like(every))
    half, some = draw(rng, (2, 3), f16, -2, 2), every[0, :2, :3]
    case("Softmax of float16", lambda d: L.Softmax(dtype="float16" if d == "float32" else d), half, mask=some)
