"""Elements told apart."""

import numpy as np
import tensorflow as tf

from samples import INTEGERS, bf16, f16, f32, f64, i32, label, name

ALL = (f32, f64, f16, bf16, np.bool_, *INTEGERS)


def add(run):
    for op in ("Unique", "UniqueWithCounts"):
        for dtype in ALL:
            run.add(op, label(dtype, (7,)), np.array([3, 1, 3, 0, 2, 1, 3]).astype(dtype))
        run.add(op, "float64 nan and zeros", np.array([np.nan, 0.0, np.nan, -0.0, np.inf, 1.0, np.inf]), grad=False)
        run.add(op, "string [5]", np.array(["a", "", "b", "a", ""]))
        run.add(op, "float32 [0]", np.zeros(0, f32))
        run.add(op, "int32 [4] int64 places", i32(7, 7, 5, 7), out_idx=tf.int64)
        run.fails(op, "a matrix", np.ones((2, 2), f32))
        run.fails(op, "a scalar", np.array(1, f32))
    for op in ("UniqueV2", "UniqueWithCountsV2"):
        rows = np.array([[1, 2], [3, 4], [1, 2], [1, 3]])
        for dtype in ALL:
            run.add(op, f"{name(dtype)} rows", rows.astype(dtype), i32(0))
        run.add(op, "int32 columns", np.array([[1, 2, 1], [3, 4, 3]], np.int32), i32(1))
        run.add(op, "int32 last axis", np.array([[[1, 1], [2, 2]], [[3, 3], [4, 5]]], np.int32), i32(-1))
        run.add(op, "int32 middle axis", np.array([[[1, 1], [1, 1]], [[3, 4], [3, 4]]], np.int32), i32(1))
        run.add(op, "int32 vector without axis", i32(5, 2, 5), np.zeros(0, np.int64))
        run.add(op, "int32 vector with axis, int64", i32(5, 2, 5), np.array([0], np.int64), out_idx=tf.int64)
        run.add(op, "string rows", np.array([["a", "b"], ["ab", ""], ["a", "b"]]), i32(0))
        run.add(op, "float32 [0,2]", np.zeros((0, 2), f32), i32(0))
        run.fails(op, "matrix without axis", np.ones((2, 2), f32), np.zeros(0, np.int32))
        run.fails(op, "axis beyond the rank", np.ones((2, 2), f32), i32(2))
        run.fails(op, "two axes", np.ones((2, 2), f32), i32(0, 1))
    op = "ListDiff"
    for dtype in (f32, f64, f16, bf16, *INTEGERS):
        x, y = np.array([1, 2, 3, 4, 5, 6, 3]), np.array([1, 3, 5])
        run.add(op, name(dtype), x.astype(dtype), y.astype(dtype))
    run.add(op, "string", np.array(["a", "b", "", "a"]), np.array(["", "c"]))
    run.add(op, "int32 without anything", np.zeros(0, np.int32), i32(1))
    run.add(op, "int32 from nothing, int64 places", i32(1, 2), np.zeros(0, np.int32), out_idx=tf.int64)
    run.fails(op, "a matrix", np.ones((2, 2), f32), np.ones(2, f32))
    run.fails(op, "int32 without float32", i32(1), np.ones(1, f32))
