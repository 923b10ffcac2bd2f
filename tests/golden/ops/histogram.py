"""How often numbers come."""

import numpy as np
import tensorflow as tf

from fixture import stream
from samples import draw, f32, f64, i32, label, name

WIDE = (f32, f64, np.int32, np.int64)


def none(dtype):
    return np.zeros(0, dtype)


def add(run):
    x = np.array([[0, 3, 1, 3], [7, 2, 3, 0]], np.int32)
    for dtype in WIDE:
        weights = (np.arange(8).reshape(2, 4) + 1).astype(dtype)
        run.add("Bincount", f"{name(dtype)} counts", x, i32(5)[0], none(dtype), grad=False)
        run.add("Bincount", f"{name(dtype)} weights", x, i32(5)[0], weights, grad=False)
        for of in (np.int32, np.int64):
            size = np.array(5, of)
            for binary in (False, True):
                case = f"{name(of)} {name(dtype)}{' binary' if binary else ''}"
                for rows in (x, x[0]):
                    own = weights if rows.ndim == 2 else weights[0]
                    run.add(
                        "DenseBincount",
                        f"{case} rank {rows.ndim} counts",
                        rows.astype(of),
                        size,
                        none(dtype),
                        grad=False,
                        binary_output=binary,
                    )
                    run.add(
                        "DenseBincount",
                        f"{case} rank {rows.ndim} weights",
                        rows.astype(of),
                        size,
                        own,
                        grad=False,
                        binary_output=binary,
                    )
    long = draw(stream("Bincount"), (500,), f32, 0, 1)
    run.add("Bincount", "float32 [500]", (np.arange(500) % 3).astype(np.int32), i32(3)[0], long, grad=False)
    for op in ("Bincount", "DenseBincount"):
        run.add(op, "no bins", i32(0, 1), i32(0)[0], none(f32), grad=False)
        run.add(op, "nothing to count", none(np.int32), i32(3)[0], none(f32), grad=False)
        run.add(op, "inf and nan", i32(0, 1, 1), i32(3)[0], np.array([np.nan, np.inf, 1], f32), grad=False)
        run.fails(op, "a negative number", i32(0, -1), i32(3)[0], none(f32))
        run.fails(op, "a negative size", i32(0, 1), i32(-3)[0], none(f32))
        run.fails(op, "weights of another shape", i32(0, 1), i32(3)[0], np.ones(3, f32))
    run.add("DenseBincount", "a scalar", i32(1)[0], i32(3)[0], none(f32), grad=False)
    run.add("DenseBincount", "no rows", np.zeros((0, 2), np.int32), i32(3)[0], none(f32), grad=False)
    run.fails("DenseBincount", "rank 3", np.zeros((1, 1, 1), np.int32), i32(3)[0], none(f32))

    op = "HistogramFixedWidth"
    for dtype in WIDE:
        values = np.array([[-1, 0, 1], [2, 5, 15]]).astype(dtype)
        run.add(op, label(dtype, (2, 3)), values, np.array([0, 5], dtype), i32(5)[0], grad=False)
        run.add(
            op, f"{label(dtype, (2, 3))} int64", values, np.array([-3, 4], dtype), i32(3)[0], grad=False, dtype=tf.int64
        )
    x = draw(stream(op), (200,), f32, -2, 2)
    run.add(op, "float32 [200]", x, np.array([-1.5, 1.5], f32), i32(7)[0], grad=False)
    run.add(op, "float32 infinities", np.array([np.inf, -np.inf, 1], f32), np.array([0, 2], f32), i32(4)[0], grad=False)
    run.add(op, "float32 [0]", none(f32), np.array([0, 2], f32), i32(4)[0], grad=False)
    run.fails(op, "nan", np.array([np.nan], f32), np.array([0, 2], f32), i32(4)[0])
    run.fails(op, "a range that does not rise", np.ones(1, f32), np.array([2, 2], f32), i32(4)[0])
    run.fails(op, "no bins", np.ones(1, f32), np.array([1, 2], f32), i32(0)[0])
