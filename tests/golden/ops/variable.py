"""Ops on a variable, given by its value before: what they return, and its value after."""

import numpy as np
import tensorflow as tf

from fixture import stream

DTYPES = (
    tf.float32,
    tf.float64,
    tf.float16,
    tf.bfloat16,
    tf.int8,
    tf.int16,
    tf.int32,
    tf.int64,
    tf.uint8,
    tf.uint16,
    tf.uint32,
    tf.uint64,
    tf.complex64,
)
SHAPES = ([], [1], [3], [2, 3], [0], [2, 0, 3])


def values(dtype, *names, shape):
    return tf.cast(stream(*names, dtype.name).uniform(0, 100, shape), dtype)


def add(run):
    for dtype in DTYPES:
        for shape in SHAPES if dtype in (tf.float32, tf.int64) else SHAPES[3:4]:
            case = f"{dtype.name} {shape}"
            before, value = (values(dtype, "variable", word, shape=shape) for word in ("before", "value"))
            run.variable("ReadVariableOp", case, before, dtype=dtype)
            for op in ("AssignVariableOp", "AssignAddVariableOp", "AssignSubVariableOp"):
                run.variable(op, case, before, value)
    for before, value in ((["a", "b"], ["", "c"]), ([True, False], [False, False])):
        case = tf.constant(before).dtype.name
        run.variable("ReadVariableOp", case, tf.constant(before), dtype=tf.constant(before).dtype)
        run.variable("AssignVariableOp", case, tf.constant(before), tf.constant(value))
    special = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0, 3e38, 1.0], np.float32)
    wide = np.array([127, -128, -1, 100], np.int8)
    for op in ("AssignAddVariableOp", "AssignSubVariableOp"):
        run.variable(op, "float32 special values", special, special[::-1].copy())
        run.variable(op, "int8 wraps", wide, wide)
        run.variable_fails(op, "another shape", np.zeros([2], np.float32), np.zeros([3], np.float32))
        run.variable_fails(op, "a scalar", np.zeros([2], np.float32), np.float32(1))
        run.variable_fails(op, "another dtype", np.zeros([2], np.float32), np.zeros([2], np.float64))
    run.variable_fails(
        "AssignVariableOp",
        "another shape",
        np.zeros([2], np.float32),
        np.zeros([3], np.float32),
        validate_shape=True,
    )
    run.variable_fails("AssignVariableOp", "another dtype", np.zeros([2], np.float32), np.zeros([2], np.int32))
    run.variable_fails("ReadVariableOp", "another dtype", np.zeros([2], np.float32), dtype=tf.float64)

    for dtype in (tf.float64, tf.float32, tf.bfloat16, tf.int64):
        for shape, indices in (([4], [3, 0, 3]), ([4, 2], [[1, 1], [0, 3]]), ([3, 2, 2], 2), ([4, 0], [1]), ([2, 3], [])):
            at = np.asarray(indices, np.int32)
            before = values(dtype, "gathered", shape=shape)
            run.variable("ResourceGather", f"{dtype.name} {shape} at {list(at.shape)}", before, at, dtype=dtype)
    before = values(tf.float64, "gathered in batches", shape=[2, 3, 2])
    run.variable("ResourceGather", "int64 indices", before, np.array([1, 0]), dtype=tf.float64)
    before = values(tf.float32, "gathered in batches", shape=[2, 3, 2])
    at = np.array([[2, 0], [1, 1]])
    run.variable("ResourceGather", "batch_dims 1", before, at, dtype=tf.float32, batch_dims=1)
    run.variable_fails("ResourceGather", "negative batch_dims", before, at, dtype=tf.float32, batch_dims=-1)
    wide = values(tf.float64, "gathered in batches", shape=[2, 3, 2])
    run.variable("ResourceGather", "not validated", wide, np.array([1, 0]), dtype=tf.float64, validate_indices=False)
    run.variable_fails("ResourceGather", "beyond", before, np.array([2]), dtype=tf.float32)
    run.variable_fails("ResourceGather", "of a scalar", np.float32(1), np.array([0]), dtype=tf.float32)
    run.variable_fails("ResourceGather", "negative", before, np.array([-1]), dtype=tf.float32)
