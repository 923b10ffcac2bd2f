"""Shapes of several tensors, and where each begins in what they are joined to."""

import numpy as np
import tensorflow as tf

from samples import f32, f64, i32


def add(run):
    op = "ShapeN"
    tensors = [np.ones((2, 3), f32), np.ones((), f32), np.ones((0, 4, 1), f32)]
    run.add(op, "float32 [2,3] [] [0,4,1]", tensors)
    run.add(op, "float64 [5]", [np.ones(5, f64)])
    run.add(op, "bool [2] [1,1] int64", [np.ones(2, np.bool_), np.ones((1, 1), np.bool_)], out_type=tf.int64)
    run.add(op, "string [2]", [np.array(["a", "b"])])
    run.fails(op, "float32 and int32", [np.ones(1, f32), i32(1)])
    op = "ConcatOffset"
    axis = np.int32
    run.add(op, "int32 last of three axes", axis(2), [i32(2, 2, 7), i32(2, 2, 3), i32(2, 2, 9)])
    run.add(op, "int32 first axis", axis(0), [i32(4, 5), i32(0, 5)])
    run.add(op, "int32 negative axis", axis(-2), [i32(4, 5), i32(3, 5), i32(1, 5)])
    run.add(op, "int32 vectors", axis(0), [i32(4), i32(3)])
    run.fails(op, "another dim differs", axis(0), [i32(4, 5), i32(4, 6)])
    run.fails(op, "another rank", axis(0), [i32(4, 5), i32(4)])
    run.fails(op, "no such axis", axis(2), [i32(4, 5), i32(4, 5)])
    run.fails(op, "no such negative axis", axis(-3), [i32(4, 5), i32(4, 5)])
