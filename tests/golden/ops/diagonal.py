"""Diagonals, and products across."""

import numpy as np

from fixture import stream
from samples import INTEGERS, bf16, draw, f16, f32, f64, i32, label

MOVED = (f64, f16, bf16, np.int32, np.int64, np.uint8, np.bool_, np.complex64)
WORDS = np.array([["a", "bc", ""], ["d", "é", "f"]])
ALIGNS = ("RIGHT_LEFT", "LEFT_RIGHT", "LEFT_LEFT", "RIGHT_RIGHT")
# Dims of matrices, and diagonals of them.
BANDS = [
    ((3, 3), (0,)),
    ((3, 4), (1,)),
    ((4, 3), (-2,)),
    ((2, 3, 4), (0,)),
    ((3, 3), (-1, 1)),
    ((2, 3, 4), (-2, 3)),
    ((4, 2), (-3, -1)),
    ((2, 5), (1, 4)),
    ((2, 2, 3, 3), (0, 2)),
    ((1, 1), (0,)),
    ((0, 3, 3), (0,)),
    ((3, 0), (0,)),
]


def numbers(k):
    return i32(*k) if len(k) > 1 else i32(*k)[0]


def shape_of(dims, k):
    """Of the diagonals of such matrices."""
    rows, columns = dims[-2:]
    longest = min(rows + min(k[-1], 0), columns - max(k[0], 0))
    return dims[:-2] + ((k[-1] - k[0] + 1,) if len(k) > 1 and k[0] < k[1] else ()) + (longest,)


def zero(dtype):
    return np.zeros((), dtype)


def add(run):
    part, put, make = "MatrixDiagPartV3", "MatrixSetDiagV3", "MatrixDiagV3"
    rng = stream(part)
    for dims, k in BANDS:
        for align in ALIGNS if len(k) > 1 else ALIGNS[:1]:
            case = f"{label(f32, dims)} {list(k)} {align}"
            x, diagonal = draw(rng, dims, f32, -4, 4), draw(rng, shape_of(dims, k), f32, -4, 4)
            run.add(part, case, x, numbers(k), np.array(9, f32), reference=False, align=align)
            run.add(put, case, x, diagonal, numbers(k), reference=False, align=align)
            if 0 not in dims:
                sizes = [i32(d)[0] for d in dims[-2:]]
                run.add(make, case, diagonal, numbers(k), *sizes, np.array(9, f32), reference=False, align=align)
    free = i32(-1)[0]
    for k, rows, columns in [(0, -1, -1), (1, -1, -1), (-2, -1, -1), (1, 2, -1), (-1, -1, 2), (0, 2, 5), (0, 4, -1)]:
        x = draw(rng, (2, 2), f32, -4, 4)
        run.add(
            make,
            f"float32 [2,2] {k} {rows} {columns}",
            x,
            i32(k),
            i32(rows)[0],
            i32(columns)[0],
            zero(f32),
            reference=False,
        )
    for dtype in MOVED:
        x = np.arange(6).reshape(2, 3).astype(dtype)
        run.add(part, label(dtype, (2, 3)), x, i32(-1, 1), zero(dtype), reference=False)
        run.add(put, label(dtype, (2, 3)), x, np.ones(2, dtype), i32(1)[0], reference=False)
        run.add(make, label(dtype, (2, 3)), x, i32(0)[0], free, free, zero(dtype), reference=False)
    run.add(part, "string", WORDS, i32(0, 1), np.array("-"))
    run.add(put, "string", WORDS, np.array(["x", "y"]), i32(1)[0])
    run.add(make, "string", WORDS, i32(1)[0], free, free, np.array("-"))
    x = np.ones((2, 3), f32)
    for k, what in [
        (i32(3)[0], "beyond"),
        (i32(-2)[0], "below"),
        (i32(1, 0), "that falls"),
        (i32(0, 1, 2), "of three"),
    ]:
        run.fails(part, f"a band {what}", x, k, zero(f32))
        run.fails(put, f"a band {what}", x, np.ones(2, f32), k)
    run.fails(part, "a vector", np.ones(3, f32), i32(0)[0], zero(f32))
    run.fails(part, "unknown align", x, i32(0)[0], zero(f32), align="LEFT")
    run.fails(put, "a diagonal of another length", x, np.ones(3, f32), i32(0)[0])
    run.fails(make, "too few rows", np.ones(3, f32), i32(0)[0], i32(2)[0], free, zero(f32))
    run.fails(make, "too many rows and columns", np.ones(3, f32), i32(0)[0], i32(4)[0], i32(4)[0], zero(f32))
    run.fails(make, "too few diagonals", np.ones((2, 3), f32), i32(-1, 1), free, free, zero(f32))
    run.fails(make, "a scalar", np.array(1, f32), i32(0)[0], free, free, zero(f32))

    for shape in ((3,), (2, 3), (0,), (1, 1), (2, 0)):
        run.add("Diag", label(f32, shape), draw(rng, shape, f32, -4, 4), reference=False)
        run.add("DiagPart", label(f32, shape * 2), draw(rng, shape * 2, f32, -4, 4), reference=False)
    for dtype in (f64, f16, bf16, np.int32, np.int64, np.complex64):
        run.add("Diag", label(dtype, (3,)), np.arange(3).astype(dtype), reference=False)
        run.add("DiagPart", label(dtype, (3, 3)), np.arange(9).reshape(3, 3).astype(dtype), reference=False)
    run.fails("Diag", "a scalar", np.array(1, f32))
    run.fails("DiagPart", "odd rank", np.ones((2, 2, 2), f32))
    run.fails("DiagPart", "other dims", np.ones((2, 3), f32))
    run.add("DiagPart", "a scalar", np.array(1, f32), reference=False, grad=False)
    run.fails("Diag", "uint8 refused", np.ones(2, np.uint8))

    op = "Cross"
    rng = stream(op)
    for dtype, shape in [
        (f32, (3,)),
        (f32, (2, 3)),
        (f32, (2, 2, 3)),
        (f32, (0, 3)),
        (f64, (2, 3)),
        (f16, (3,)),
        (bf16, (3,)),
    ]:
        run.add(op, label(dtype, shape), draw(rng, shape, dtype, -2, 2), draw(rng, shape, dtype, -2, 2))
    for dtype in INTEGERS:
        run.add(op, label(dtype, (3,)), np.array([1, 2, 3], dtype), np.array([6, 5, 4], dtype))
    run.add(op, "float32 inf and nan", np.array([np.inf, 1, 2], f32), np.array([1, 0, np.nan], f32), grad=False)
    run.fails(op, "of two", np.ones(2, f32), np.ones(2, f32))
    run.fails(op, "other shapes", np.ones(3, f32), np.ones((1, 3), f32))
    run.fails(op, "bool refused", np.ones(3, bool), np.ones(3, bool))
