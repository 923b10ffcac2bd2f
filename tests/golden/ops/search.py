"""Where values stand among others."""

import numpy as np
import tensorflow as tf

from fixture import stream
from samples import INTEGERS, bf16, distinct, f16, f32, f64, i32, label, name


def add(run):
    for op in ("LowerBound", "UpperBound"):
        for dtype in (f32, f64, f16, bf16, *INTEGERS):
            rows = np.array([[1, 3, 3, 5], [0, 0, 2, 9]]).astype(dtype)
            run.add(op, label(dtype, (2, 4), (2, 3)), rows, np.array([[0, 3, 9], [0, 1, 2]]).astype(dtype))
        specials = np.array([[-np.inf, -1.0, 0.0, 2.0, np.inf]], f32)
        run.add(op, "float32 specials", specials, np.array([[np.nan, -0.0, np.inf, -np.inf]], f32), grad=False)
        run.add(op, "int32 among none", np.zeros((1, 0), np.int32), i32(3, 4).reshape(1, 2))
        run.add(op, "int32 of none", i32(3, 4).reshape(1, 2), np.zeros((1, 0), np.int32))
        run.add(op, "int32, int64 places", i32(1, 2, 4).reshape(1, 3), i32(2, 3).reshape(1, 2), out_type=tf.int64)
        run.fails(op, "vectors", i32(1, 2), i32(1))
        run.fails(op, "other rows", np.ones((1, 2), f32), np.ones((2, 2), f32))
        run.fails(op, "float32 among float64", np.ones((1, 2), f64), np.ones((1, 2), f32))

    op = "Bucketize"
    for dtype in (f32, f64, np.int32, np.int64):
        run.add(op, name(dtype), np.array([[-5, 10000], [150, 10], [5, 100]], dtype), boundaries=[0.0, 10.0, 100.0])
        run.add(op, f"{name(dtype)} []", np.array(7, dtype), boundaries=[0.0, 10.0, 100.0])
    run.add(op, "float32 specials", np.array([np.nan, np.inf, -np.inf, -0.0, 0.5], f32), boundaries=[-1.0, 0.0, 0.5])
    run.add(op, "float32 equal boundaries", np.array([1, 2, 3], f32), boundaries=[2.0, 2.0])
    run.add(op, "float32 [0,2]", np.zeros((0, 2), f32), boundaries=[0.5])
    run.fails(op, "boundaries that fall", np.ones(2, f32), boundaries=[1.0, 0.5])
    run.fails(op, "bool refused", np.ones(2, bool), boundaries=[1.0])

    x = np.array([[0.1, 0.3, 0.3, 0.2], [0.5, 0.1, 0.0, -1.0], [1, 2, np.inf, 0], [np.nan, 1, 2, 3]], f32)
    for k in (0, 1, 2, 3, 9):
        for op, attrs, inputs in (("InTopK", {"k": k}, []), ("InTopKV2", {}, [k])):
            for dtype in (np.int32, np.int64):
                for targets in ([1, 2, 0, 3], [0, 3, 1, 1], [4, -1, 2, 0]):
                    at = np.array(targets, dtype)
                    case = f"k {k} {name(dtype)} {targets}"
                    run.add(op, case, x, at, *[np.array(i, dtype) for i in inputs], grad=False, **attrs)
    for op, attrs, inputs in (("InTopK", {"k": 1}, []), ("InTopKV2", {}, [i32(1)[0]])):
        run.add(op, "no rows", np.zeros((0, 3), f32), np.zeros(0, np.int32), *inputs, **attrs)
        run.fails(op, "more targets than rows", np.ones((1, 3), f32), i32(0, 1), *inputs, **attrs)
        run.fails(op, "a vector", np.ones(3, f32), i32(0), *inputs, **attrs)
        run.fails(op, "a scalar", np.array(1, f32), i32(0), *inputs, **attrs)
        run.fails(op, "one target", np.ones((1, 3), f32), i32(0)[0], *inputs, **attrs)
        run.fails(op, "float64 refused", np.ones((1, 3), f64), i32(0), *inputs, **attrs)

    op = "NthElement"
    rng = stream(op)
    for shape, n in [((5,), 0), ((5,), 3), ((2, 4), 3), ((2, 3, 4), 1), ((0, 3), 1), ((1,), 0)]:
        for reverse in (False, True):
            case = f"{label(f32, shape)} {n}{' reverse' if reverse else ''}"
            run.add(op, case, distinct(rng, shape, f32), i32(n)[0], reverse=reverse)
    for dtype in (f64, f16, bf16, *INTEGERS):
        run.add(op, label(dtype, (2, 4)), np.array([[3, 1, 4, 2], [5, 9, 2, 6]]).astype(dtype), i32(1)[0])
    run.add(op, "float64 ties", np.array([[3, 1, 3, 3], [5, 5, 2, 6]], f64), i32(2)[0])
    run.fails(op, "n beyond", np.ones(3, f32), i32(3)[0])
    run.fails(op, "negative n", np.ones(3, f32), i32(-1)[0])
    run.fails(op, "a scalar", np.array(1, f32), i32(0)[0])
    run.fails(op, "n of rank 1", np.ones(3, f32), i32(0))
