"""Euclidean norms."""

import numpy as np

from fixture import stream
from samples import INTEGERS, bf16, draw, f16, f32, f64, i32, label


def add(run):
    op = "EuclideanNorm"
    rng = stream(op)
    for shape, axes in [
        ((4,), [0]),
        ((2, 3), [1]),
        ((2, 3, 4), [0, -1]),
        ((2, 3), []),
        ((0, 3), [0]),
        ((2, 0), [1]),
        ((), []),
    ]:
        for keep in (False, True):
            x = draw(rng, shape, f32, -3, 3, (0,))
            # Where there is nothing the norm is 0, and has no slope.
            case = f"{label(f32, shape)} {axes}{' keep_dims' if keep else ''}"
            run.add(op, case, x, i32(*axes), grad=0 not in shape, keep_dims=keep)
    for dtype in (f64, f16, bf16):
        run.add(op, label(dtype, (3, 4)), draw(rng, (3, 4), dtype, -3, 3, (0,)), np.array([1], np.int64))
    for dtype in INTEGERS:
        run.add(op, label(dtype, (2, 2)), np.array([[3, 4], [1, 1]], dtype), i32(1))
    run.add(op, "float32 inf and nan", np.array([[np.inf, 1], [np.nan, 1], [0, 0]], f32), i32(1), grad=False)
    run.add(op, "float32 [300]", draw(rng, (300,), f32, -1, 1), i32(0), grad=False)
    run.fails(op, "axis beyond the rank", np.ones((2, 3), f32), i32(2))
    run.fails(op, "an axis twice", np.ones((2, 3), f32), i32(0, 0))
    run.fails(op, "bool refused", np.ones(2, bool), i32(0))
