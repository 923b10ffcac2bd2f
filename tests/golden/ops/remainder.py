"""Remainders by their older name."""

import numpy as np

from fixture import stream
from samples import draw, f32, f64, label, name, specials

PAIRS = [((), ()), ((3,), ()), ((2, 3), (3,)), ((3, 1), (1, 4)), ((0, 3), (1, 3))]


def add(run):
    op = "Mod"
    rng = stream(op)
    for dtype in (f32, f64, np.int32, np.int64):
        for shapes in PAIRS:
            run.add(op, label(dtype, *shapes), draw(rng, shapes[0], dtype, -20, 20), draw(rng, shapes[1], dtype, 1, 7))
    for dtype in (f32, f64):
        s = specials(dtype)
        run.add(op, f"{name(dtype)} special values against each other", s[:, None], s[None, :], grad=False)
    run.fails(op, "int32 by zero", np.array([1, 2], np.int32), np.array([1, 0], np.int32))
    run.fails(op, "shapes [2] and [3]", np.ones(2, f32), np.ones(3, f32))
