"""What must hold of values."""

import numpy as np

from fixture import stream
from samples import bf16, draw, f16, f32, f64, i32, label


def add(run):
    op = "CheckNumerics"
    rng = stream(op)
    for dtype in (f32, f64, f16, bf16):
        for shape in ((), (5,), (2, 3), (0, 2)):
            run.add(op, label(dtype, shape), draw(rng, shape, dtype, -3, 3), message="x")
    for name, value in (("NaN", np.nan), ("infinite", np.inf), ("infinite and negative", -np.inf)):
        run.fails(op, name, np.array([1, value], f32), message="x")
    run.add(op, "another message", np.array([1, 2], f32), message="a longer one")
    run.fails(op, "int32 refused", i32(1, 2), message="x")
