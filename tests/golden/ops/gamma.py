"""Gradients of gamma numbers at their shape."""

import numpy as np
import tensorflow as tf

from fixture import stream
from samples import draw, f32, f64, i32, label, name

SLOPE, DRAWS = "RandomGammaGrad", "StatelessRandomGammaV3"
NAN, INF = np.nan, np.inf
PAIRS = (((), ()), ((3,), (3,)), ((2, 3), (3,)), ((3, 1), (1, 4)), ((2, 3), ()), ((0, 3), (1, 3)), ((2, 1), (2, 0)))


def add(run):
    rng = stream(SLOPE)
    # Of numbers above 1 TensorFlow's float64 loses digits.
    for dtype, most in ((f32, 6), (f64, 1)):
        for a, x in PAIRS:
            run.add(SLOPE, label(dtype, a, x), draw(rng, a, dtype, 0.5, 5), draw(rng, x, dtype, 0.3, most))
        # Beyond these TensorFlow's own lose digits.
        alphas = np.array([0.01, 0.1, 0.3, 0.9, 1.0, 2.5, 7.0, 20.0], dtype)[:, None]
        numbers = alphas * np.array([0.2, 0.6, 1, 1.4, 2], dtype)
        run.add(SLOPE, f"{name(dtype)} over its range", alphas, numbers, grad=False)
        corners = [(0, 1), (-1, 1), (1, 0), (1, -1), (NAN, 1), (1, NAN), (INF, 1), (1, INF), (INF, INF), (-1, INF)]
        corners = np.array(corners, dtype)
        run.add(SLOPE, f"{name(dtype)} special values", corners[:, 0], corners[:, 1], grad=False)
    run.fails(SLOPE, "shapes that do not broadcast", f32([1, 2]), f32([1, 2, 3]))
    run.fails(SLOPE, "float64 for float32", f32([1, 2]), f64([1, 2]))
    run.fails(SLOPE, "int32 refused", i32(1, 2), i32(1, 2))
    drawn(run)


def drawn(run):
    for dtype in (f32, f64):
        for alpha in (np.array(2.5), np.array([0.3, 1.0, 7.0]), np.array([[0.9], [15.0]])):
            key, counter = (t.numpy() for t in tf.raw_ops.StatelessRandomGetKeyCounter(seed=np.array([5, 6], np.int64)))
            shape = (4, 3, *alpha.shape)
            case = f"{label(dtype, shape)}, as probabilities stay"
            run.add(DRAWS, case, i32(*shape), key, counter, np.int32(1), alpha.astype(dtype))
