"""Integers as rows of bits."""

import numpy as np

from samples import INTEGERS, extremes, f32, i32, label, name

PAIRS = [((), ()), ((3,), ()), ((2, 3), (3,)), ((2, 1, 3), (4, 1)), ((0, 3), (1, 3)), ((2, 1), (2, 0)), ((17,), (17,))]


def add(run):
    for op in ("BitwiseAnd", "BitwiseOr", "BitwiseXor", "LeftShift", "RightShift"):
        shift = op.endswith("Shift")
        for dtype in INTEGERS:
            x = extremes(dtype)
            y = np.array([0, 1, 3, 7, np.iinfo(dtype).bits - 1], dtype) if shift else x
            run.add(op, f"{name(dtype)} extremes against each other", x[:, None], y[None, :])
        for shapes in PAIRS:
            a, b = (np.arange(np.prod(s, dtype=int)).reshape(s).astype(np.int32) for s in shapes)
            run.add(op, label(np.int32, *shapes), a * 37 - 100, b % 5 if shift else b * 11)
        if shift:
            x = np.array([1, -1, 100, -100], np.int8)[:, None]
            run.add(op, "int8 by too much and too little", x, np.array([[8, 100, -1, -128]], np.int8))
            x = np.array([1, 2**32 - 1], np.uint32)[:, None]
            run.add(op, "uint32 by too much", x, np.array([[32, 1000]], np.uint32))
        run.fails(op, "int32 with int64", i32(1), np.array([1], np.int64))
        run.fails(op, "shapes [2] and [3]", i32(1, 2), i32(1, 2, 3))
        run.fails(op, "float32 refused", np.ones(2, f32), np.ones(2, f32))
        run.fails(op, "bool refused", np.ones(2, bool), np.ones(2, bool))
    for op in ("Invert", "PopulationCount"):
        for dtype in INTEGERS:
            run.add(op, f"{name(dtype)} extremes", extremes(dtype))
        for shape in ((), (2, 3), (0, 2), (2, 2, 3)):
            run.add(
                op,
                label(np.int32, shape),
                (np.arange(np.prod(shape, dtype=int)) * 91 - 50).reshape(shape).astype(np.int32),
            )
        run.fails(op, "float32 refused", np.ones(2, f32))
        run.fails(op, "bool refused", np.ones(2, bool))
