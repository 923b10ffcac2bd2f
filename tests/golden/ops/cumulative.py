"""Running sums in the logarithm."""

import numpy as np

from fixture import stream
from samples import bf16, draw, f16, f32, f64, i32, label


def add(run):
    op = "CumulativeLogsumexp"
    rng = stream(op)
    for shape, axis in [((5,), 0), ((3, 4), 0), ((3, 4), -1), ((2, 3, 4), 1), ((0, 3), 0), ((2, 0), 1), ((1,), 0)]:
        for exclusive in (False, True):
            for reverse in (False, True):
                flags = (" exclusive" if exclusive else "") + (" reverse" if reverse else "")
                x = draw(rng, shape, f32, -3, 3)
                case = f"{label(f32, shape)} axis {axis}{flags}"
                # The logarithm of nothing is seen in no gradient that is finite.
                run.add(op, case, x, i32(axis)[0], grad=not exclusive, exclusive=exclusive, reverse=reverse)
    for dtype in (f64, f16, bf16):
        for reverse in (False, True):
            x = draw(rng, (2, 6), dtype, -3, 3)
            run.add(
                op, f"{label(dtype, (2, 6))}{' reverse' if reverse else ''}", x, np.array(1, np.int64), reverse=reverse
            )
    big = np.array([[1000, -1000, 1001, 3e38], [-np.inf, -np.inf, 2, 3], [1, np.inf, 2, 3], [1, np.nan, 2, 3]], f32)
    run.add(op, "float32 large and special values", big, i32(1)[0], grad=False)
    nan, inf = np.nan, np.inf
    rows = [[nan, 1, nan, 2], [inf, inf, 1, nan], [1, inf, nan, 2], [-inf, nan, nan, 1], [1, nan, -inf, 2], [nan] * 4]
    for exclusive in (False, True):
        for reverse in (False, True):
            flags = ("exclusive " if exclusive else "") + ("reverse " if reverse else "")
            attrs = {"exclusive": exclusive, "reverse": reverse}
            run.add(op, f"{flags}NaN and infinity", np.array(rows, f32), i32(1)[0], grad=False, **attrs)
    run.add(op, "float32 [300]", draw(rng, (300,), f32, -1, 1), i32(0)[0], grad=False)
    run.fails(op, "axis beyond the rank", np.ones((2, 3), f32), i32(2)[0])
    run.fails(op, "a scalar", np.array(1, f32), i32(0)[0])
    run.fails(op, "axis of rank 1", np.ones(3, f32), i32(0, 1))
    run.fails(op, "int32 refused", i32(1, 2), i32(0)[0])
