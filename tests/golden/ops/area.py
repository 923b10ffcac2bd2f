"""Means of areas, and triangular factors of matrices."""

import functools

import numpy as np
import tensorflow as tf

from fixture import stream
from samples import f16, f32, f64


def add(run):
    areas(run)
    factors(run)


def areas(run):
    sizes = (((1, 1), (1, 1)), ((4, 6), (2, 3)), ((5, 4), (3, 7)), ((3, 5), (3, 5)), ((7, 2), (2, 1)), ((2, 3), (5, 1)))
    for aligned in (False, True):
        for (rows, columns), size in sizes:
            for dtype in (f32, f64, f16, np.int32, np.uint8):
                x = stream("area", rows, columns).uniform(0, 100, (2, rows, columns, 3)).astype(dtype)
                words = f"{np.dtype(dtype).name} [{rows},{columns}] {list(size)}{', aligned' if aligned else ''}"
                run.add("ResizeArea", words, x, np.array(size, np.int32), align_corners=aligned, grad=False)
    x = np.ones([1, 2, 3, 1], f32)
    special = np.array([np.nan, 1, np.inf, 2, -np.inf, 3], f32).reshape(1, 2, 3, 1)
    run.add("ResizeArea", "special values", special, np.array([2, 3], np.int32), grad=False)
    run.add("ResizeArea", "no images", x[:0], np.array([4, 2], np.int32), grad=False)
    run.fails("ResizeArea", "no rows", x, np.array([0, 3], np.int32))
    run.fails("ResizeArea", "three dims", x[0], np.array([1, 1], np.int32))
    run.fails("ResizeArea", "of no columns", np.ones([1, 2, 0, 1], f32), np.array([1, 1], np.int32))
    run.fails("ResizeArea", "one number", x, np.array([1], np.int32))


def factors(run):
    for shape in ([1, 1], [2, 2], [4, 4], [2, 3, 3], [2, 1, 5, 5]):
        for dtype in (f32, f64):
            for index in (tf.int32, tf.int64):
                x = stream("factors", *shape).uniform(-2, 2, shape).astype(dtype)
                words = f"{np.dtype(dtype).name} {shape} {index.name}"
                run.add("Lu", words, x, output_idx_type=index, grad=False)
    run.add("Lu", "no rows", np.zeros([2, 0, 0]), output_idx_type=tf.int32, grad=False)
    run.add("Lu", "no matrices", np.zeros([0, 2, 2]), output_idx_type=tf.int32, grad=False)
    run.fails("Lu", "singular", np.array([[1.0, 2.0], [2.0, 4.0]]), output_idx_type=tf.int32)
    for words, x in (
        ("below the first pivot", [[1, 2, 3], [np.nan, 5, 6], [7, 8, 10]]),
        ("beside the first pivot", [[1, np.nan, 3], [4, 5, 6], [7, 8, 10]]),
        ("the last", [[1, 2, 3], [4, 5, 6], [7, 8, np.nan]]),
        ("the first row", [[np.nan, np.nan, np.nan], [4, 5, 6], [7, 8, 10]]),
        ("infinite", [[1, 2, 3], [np.inf, 5, 6], [7, 8, 10]]),
    ):
        for dtype in (f32, f64):
            call = run.fails if np.isnan(x[0][0]) else functools.partial(run.add, grad=False, reference=False)
            call("Lu", f"{np.dtype(dtype).name} NaN: {words}", np.array(x, dtype), output_idx_type=tf.int32)
    run.fails("Lu", "NaN", np.array([[np.nan, 1.0], [1.0, 2.0]]), output_idx_type=tf.int32)
    run.fails("Lu", "not square", np.ones([2, 3]), output_idx_type=tf.int32)
    run.fails("Lu", "a vector", np.ones([3]), output_idx_type=tf.int32)
