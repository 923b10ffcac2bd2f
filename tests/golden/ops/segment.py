"""Parts that carry the same number taken together, and parts of a tensor changed at coordinates."""

import itertools

import numpy as np

from fixture import stream
from samples import INTEGERS, bf16, distinct, draw, f16, f32, f64, i32, label


def i64(*values):
    return np.array(values, np.int64)


# Shape of the data, numbers, how many segments.
UNSORTED = [
    ((4,), [0, 2, 0, 2], 3),
    ((5, 2), [1, 1, 0, 1, -1], 2),
    ((3, 2, 2), [2, 0, 2], 3),
    ((2, 3, 2), [[0, 1, 0], [1, 1, -1]], 2),
    ((3,), [-1, -1, -1], 1),
    ((0, 2), [], 2),
    ((3, 0), [0, 1, 1], 2),
    ((4,), [0, 0, 0, 0], 1),
    ((), 1, 2),
]
SORTED = [
    ((4,), [0, 0, 1, 1]),
    ((5, 2), [0, 1, 1, 1, 2]),
    ((3, 2, 2), [0, 0, 0]),
    ((4, 3), [0, 0, 2, 3]),
    ((3, 2), [1, 1, 4]),
    ((0, 2), []),
    ((3, 0), [0, 1, 1]),
    ((1,), [0]),
]


# Numbers whose greatest or least is infinite, and parts of one or two of which one is NaN.
INFINITE = np.array([-np.inf, -np.inf, np.inf, np.inf, -np.inf, np.inf, 1, -np.inf, np.inf], f32)
INFINITE_IDS = i32(0, 0, 1, 1, 2, 3, 4, 4, 4)
NANS = np.array([np.nan, 1, 1, np.nan, np.nan, np.nan, np.nan], f32)
NANS_IDS = i32(0, 0, 1, 1, 2, 2, 3)
# Three numbers of which some are NaN, in each order; as columns of parts.
ORDERS = np.array(list(itertools.product([np.nan, 1, 2], repeat=3)), f32)


def data(rng, op, shape, dtype):
    if op.endswith(("Max", "Min")):
        return distinct(rng, shape, dtype)
    return draw(rng, shape, dtype, -3, 3, (0,))


def unsorted(run):
    for op in ("UnsortedSegmentProd", "UnsortedSegmentMax", "UnsortedSegmentMin"):
        rng = stream(op)
        for shape, ids, number in UNSORTED:
            x, ids = data(rng, op, shape, f32), np.array(ids, np.int32)
            # What stands for no element is as large as can be, and nothing is seen beside it.
            told = op == "UnsortedSegmentProd" or set(range(number)) <= set(ids.ravel().tolist())
            run.add(op, f"{label(f32, shape)} {ids.tolist()} of {number}", x, ids, i32(number)[0], grad=told)
        for dtype in (f64, f16, bf16):
            x = data(rng, op, (5, 2), dtype)
            run.add(op, label(dtype, (5, 2)), x, i64(1, 1, 0, 0, 2), i64(3)[0])
        for dtype in INTEGERS:
            x = np.arange(1, 7).reshape(3, 2).astype(dtype)
            run.add(op, label(dtype, (3, 2)), x, i32(2, 0, 2), i32(4)[0])
        if op == "UnsortedSegmentProd":
            x = np.array([2, 0, 3, 0, 0, 5], f64)
            run.add(op, "float64 zeros", x, i32(0, 0, 0, 1, 1, 1), i32(2)[0])
            run.add(
                op, "float32 inf and nan", np.array([np.inf, 2, np.nan, 3], f32), i32(0, 0, 1, 1), i32(2)[0], grad=False
            )
            run.add(op, "complex64", np.array([1 + 2j, 2, 1j], np.complex64), i32(1, 1, 0), i32(2)[0])
            x = np.array([complex(np.inf, 0), complex(2, np.inf)], np.complex64)
            run.add(op, "complex64 inf", x, i32(0, 1), i32(2)[0], grad=False)
        else:
            run.add(op, "float64 ties", np.array([1, 2, 2, 1, 1], f64), i32(0, 0, 0, 1, 1), i32(2)[0])
            run.add(op, "float32 inf", np.array([np.inf, 2, -np.inf, 3], f32), i32(0, 0, 1, 1), i32(2)[0], grad=False)
            for dtype in (f32, f64, f16, bf16):
                x = INFINITE.astype(dtype)
                run.add(op, f"{label(dtype, x.shape)} infinite", x, INFINITE_IDS, i32(6)[0], grad=False)
            run.add(op, "float32 nan", NANS, NANS_IDS, i32(4)[0], grad=False)
            run.add(op, "float32 nan in each place", ORDERS.T.copy(), i32(0, 0, 0), i32(1)[0], grad=False)
        run.fails(op, "a number beyond", np.ones(2, f32), i32(0, 3), i32(3)[0])
        run.fails(op, "negative num_segments", np.ones(2, f32), i32(0, 1), i32(-1)[0])
        run.fails(op, "num_segments of rank 1", np.ones(2, f32), i32(0, 1), i32(2))
        run.fails(op, "numbers of another shape", np.ones((2, 3), f32), i32(0, 1, 1), i32(2)[0])
        run.fails(op, "bool refused", np.ones(2, bool), i32(0, 1), i32(2)[0])


def in_order(run):
    for op in ("SegmentSum", "SegmentMean", "SegmentProd", "SegmentMax", "SegmentMin"):
        rng = stream(op)
        for shape, ids in SORTED:
            run.add(op, f"{label(f32, shape)} {ids}", data(rng, op, shape, f32), np.array(ids, np.int32))
        for dtype in (f64, f16, bf16):
            run.add(op, label(dtype, (5, 2)), data(rng, op, (5, 2), dtype), i64(0, 0, 1, 1, 2))
        for dtype in INTEGERS:
            run.add(op, label(dtype, (3, 2)), np.arange(1, 7).reshape(3, 2).astype(dtype), i32(0, 0, 2))
        if op == "SegmentProd":
            run.add(op, "float64 zeros", np.array([2, 0, 3, 0, 0, 5], f64), i32(0, 0, 0, 1, 1, 1))
        if op in ("SegmentMax", "SegmentMin"):
            run.add(op, "float64 ties", np.array([1, 2, 2, 1, 1], f64), i32(0, 0, 0, 1, 1))
            run.add(op, "float32 inf", np.array([np.inf, 2, -np.inf, 3], f32), i32(0, 0, 1, 1), grad=False)
            run.add(op, "float32 infinite", INFINITE, INFINITE_IDS, grad=False)
            run.add(op, "float32 nan", NANS, NANS_IDS, grad=False)
            narrow = ORDERS.reshape(9, 3, 3).transpose(0, 2, 1).reshape(27, 3)
            run.add(op, "float32 nan in each place", narrow, np.repeat(np.arange(9), 3), grad=False)
            run.add(op, "float32 nan in parts of 8 elements", ORDERS.T[:, 1:9].copy(), i32(0, 0, 0), grad=False)
        else:
            run.add(op, "float32 inf and nan", np.array([np.inf, 2, np.nan, 3], f32), i32(0, 0, 1, 1), grad=False)
            run.add(op, "complex64", np.array([1 + 2j, 2, 1j], np.complex64), i32(0, 0, 1))
            run.add(op, "float32 [400]", draw(rng, (400,), f32, 0.98, 1.02), np.repeat(i32(0, 1), 200), grad=False)
        run.fails(op, "numbers that fall", np.ones(3, f32), i32(0, 1, 0))
        run.fails(op, "a negative number", np.ones(2, f32), i32(-1, 0))
        run.fails(op, "more numbers than parts", np.ones(2, f32), i32(0, 1, 1))
        run.fails(op, "numbers of rank 2", np.ones((2, 1), f32), np.array([[0], [1]], np.int32))
        run.fails(op, "a scalar", np.array(1, f32), i32(0))
        run.fails(op, "bool refused", np.ones(2, bool), i32(0, 1))


SCATTERED = [
    ((5,), [[1], [3]]),
    ((4, 3), [[0], [2]]),
    ((4, 3), [[0, 1], [2, 2], [3, 0]]),
    ((2, 3, 2), [[[0, 2]], [[1, 0]]]),
    ((4,), []),
]


def scattered(run):
    for op in ("TensorScatterAdd", "TensorScatterSub", "TensorScatterMax", "TensorScatterMin"):
        rng = stream(op)
        halves = op.endswith(("Max", "Min"))
        for shape, indices in SCATTERED:
            at = np.array(indices, np.int32).reshape(np.shape(indices) if indices else (0, 1))
            updates = at.shape[:-1] + shape[at.shape[-1] :]
            x, y = draw(rng, shape, f32, -4, 4), draw(rng, updates, f32, -4, 4)
            if halves:  # Halves against quarters: never equal, never near.
                x, y = (np.round(x * 2) / 2).astype(f32), (np.round(y * 2) / 2 + 0.25).astype(f32)
            run.add(op, f"{label(f32, shape)} {indices}", x, at, y)
        for dtype in (f64, f16, bf16):
            x, y = draw(rng, (3, 2), dtype, -4, 4), draw(rng, (2, 2), dtype, -4, 4)
            run.add(op, label(dtype, (3, 2)), x, np.array([[2], [0]], np.int64), y)
        for dtype in INTEGERS:
            x, y = np.arange(4).astype(dtype), np.array([1, 2, 3], dtype)
            run.add(op, label(dtype, (4,)), x, np.array([[2], [0], [2]], np.int32), y)
        if halves:
            x, y = np.array([1, 5, 2], f64), np.array([1, 2, 3, 2], f64)
            run.add(op, "float64 ties", x, np.array([[0], [1], [1], [2]], np.int32), y)
            x, y = np.array([1, np.nan, np.nan, -np.inf, np.inf], f32), np.array([np.nan, 1, np.nan, -np.inf, np.inf], f32)
            run.add(op, "float32 inf and nan", x, np.arange(5, dtype=np.int32)[:, None], y, grad=False)
            at = np.zeros((2, 1), np.int32)
            run.add(op, "float32 nan in each place", ORDERS.T[:1].copy(), at, ORDERS.T[1:].copy(), grad=False)
        else:
            x, y = draw(rng, (3,), f64, -4, 4), draw(rng, (4,), f64, -4, 4)
            run.add(op, "float64 [3] [[1], [1], [0], [1]]", x, np.array([[1], [1], [0], [1]], np.int32), y)
            x = np.array([1 + 2j, 2, 1j], np.complex64)
            run.add(op, "complex64", x, np.array([[0], [2]], np.int32), np.array([1j, 2j], np.complex64))
            x = np.array([np.inf, 1, np.nan], f32)
            run.add(
                op,
                "float32 inf and nan",
                x,
                np.array([[0], [1]], np.int32),
                np.array([np.inf, -np.inf], f32),
                grad=False,
            )
        run.fails(op, "coordinates beyond", np.ones(3, f32), np.array([[3]], np.int32), np.ones(1, f32))
        run.fails(op, "updates of another shape", np.ones(3, f32), np.array([[2]], np.int32), np.ones(2, f32))
        run.fails(op, "too many coordinates", np.ones(3, f32), np.array([[0, 0]], np.int32), np.ones(1, f32))


def bad_indices(run):
    """Coordinates that stand for nothing, passed over. TensorFlow's gradients take them for errors."""
    at, inner = np.array([[2], [3], [-1], [0], [2]], np.int32), np.array([[0, 1], [3, 0], [0, 2], [2, 1]], np.int64)
    x = np.arange(6, dtype=f32).reshape(3, 2)
    for policy in ("DEFAULT", "ERROR", "IGNORE"):
        how = dict(bad_indices_policy=policy)
        whole, cells = (at, inner) if policy == "IGNORE" else (at[[0, 3, 4]], inner[[0, 3]])
        for name, places in (("rows", whole), ("elements", cells)):
            parts = np.ones((len(places), *x.shape[places.shape[-1] :]), f32)
            run.add("GatherNd", f"{policy} {name}", x, places, grad=False, **how)
            run.add("ScatterNd", f"{policy} {name}", places, parts, np.array([3, 2], places.dtype), grad=False, **how)
            for op in ("Update", "Add", "Sub", "Max", "Min"):
                run.add(f"TensorScatter{op}", f"{policy} {name}", x, places, parts * 3, grad=False, **how)
        if policy != "IGNORE":
            run.fails("GatherNd", f"{policy} beyond", x, at, **how)
            run.fails("ScatterNd", f"{policy} beyond", at, np.ones((5, 2), f32), i32(3, 2), **how)
            run.fails("TensorScatterUpdate", f"{policy} beyond", x, at, np.ones((5, 2), f32), **how)
    how = dict(bad_indices_policy="IGNORE")
    run.add("GatherNd", "IGNORE string", np.array(["a", "b"]), np.array([[1], [2], [0]], np.int32), **how)
    run.add(
        "TensorScatterUpdate",
        "IGNORE string",
        np.array(["a", "b"]),
        np.array([[2], [0]], np.int32),
        np.array(["c", "d"]),
        **how,
    )
    run.fails("GatherNd", "an unknown policy", x, at, bad_indices_policy="LAST")


def add(run):
    unsorted(run)
    in_order(run)
    scattered(run)
    bad_indices(run)
