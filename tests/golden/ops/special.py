"""Special functions."""

import numpy as np

from fixture import stream
from samples import FLOATS, bf16, draw, f16, f32, f64, i32, label, name, specials

ROOT = 1.4616321449683622
# name: (low, high, points to keep away from, widest range worth measuring in float32, and in float64).
UNARY = {
    "Erfinv": (-0.9, 0.9, (), (-0.99999, 0.99999), (0.125, 0.9375)),
    "Ndtri": (0.1, 0.9, (0.5,), (1e-6, 0.99999), (0.03125, 0.4375)),
    "Lgamma": (0.1, 8, (1, 2), (0.05, 1e30), (2.5, 1e30)),
    "Digamma": (0.1, 8, (ROOT,), (0.05, 1e30), (2.5, 1e30)),
    "BesselI0": (-4, 4, (), (-80, 80), (-80, 80)),
    "BesselI1": (-4, 4, (0,), (-80, 80), (-80, 80)),
    "BesselI0e": (-4, 4, (0,), (-1e30, 1e30), (-1e30, 1e30)),
    "BesselI1e": (-4, 4, (0,), (-1e30, 1e30), (-1e30, 1e30)),
}


def spread(low, high, dtype):
    """Points spread evenly, and by magnitude, over the range as far as the dtype reaches."""
    limit = 6e4 if dtype is f16 else 1e38
    low, high = max(low, -limit), min(high, limit)
    even = np.linspace(low, high, 25)
    magnitudes = np.geomspace(max(low, 1e-3), high, 16)
    points = np.concatenate([even, magnitudes, -magnitudes]) if low < 0 else np.concatenate([even, magnitudes])
    points = points[(points >= low) & (points <= high)].astype(dtype)
    return points[(points.astype(f64) >= low) & (points.astype(f64) <= high)]


def unary(run):
    for op, (low, high, away, narrow, wide) in UNARY.items():
        rng = stream(op)
        for dtype, shape in [
            (f32, ()),
            (f32, (7,)),
            (f32, (2, 3, 4)),
            (f32, (0, 3)),
            (f64, ()),
            (f64, (3, 4)),
            (f16, (2, 5)),
            (bf16, (2, 5)),
        ]:
            # TensorFlow has a polygamma function, the slope of digamma, for float32 and float64 alone.
            run.add(op, label(dtype, shape), draw(rng, shape, dtype, low, high, away))
        for dtype in FLOATS:
            if op in ("Digamma", "Lgamma") and dtype is not f64:
                points = spread(*narrow, dtype)
                points = points[np.abs(points.astype(f64) - ROOT) > 0.1]
            else:
                points = spread(*(wide if dtype is f64 else narrow), dtype)
            run.add(op, f"{name(dtype)} over its range", points, grad=False)
            some = specials(dtype)
            # What is next to nothing is nothing to TensorFlow's float64.
            some = some[~(np.abs(some.astype(f64)) < 1e-300) | (some == 0)] if dtype is f64 else some
            run.add(op, f"{name(dtype)} special values", some, grad=False)
        if op in ("Digamma", "Lgamma"):
            run.add(op, "float32 below zero", draw(rng, (20,), f32, -7.9, -0.1, np.arange(-8, 1) + 0.5), grad=False)
        run.fails(op, "int32 refused", i32(1, 2))
        run.fails(op, "bool refused", np.array([True]))


PAIRS = [((), ()), ((3,), (3,)), ((2, 3), (3,)), ((3, 1), (1, 4)), ((2, 3), ()), ((0, 3), (1, 3)), ((2, 1), (2, 0))]
# name: (range of the first, range of the second, whether the first is a whole number, dtypes).
BINARY = {
    "Polygamma": ((0, 4), (0.5, 6), True, (f32, f64)),
    "Zeta": ((1.5, 6), (0.5, 6), False, (f32, f64)),
    "Igamma": ((0.5, 5), (0.3, 6), False, FLOATS),
    "Igammac": ((0.5, 5), (0.3, 6), False, FLOATS),
    "IgammaGradA": ((0.5, 5), (0.3, 6), False, (f32, f64)),
}
NAN, INF = np.nan, np.inf
CORNERS = {
    "Polygamma": [
        (0, 0),
        (0.5, 1.5),
        (-1, 1.5),
        (3, -0.5),
        (1, 0),
        (1, -1),
        (2, INF),
        (NAN, 1),
        (1, NAN),
        (1, -1.5),
        (30, 2),
    ],
    "Zeta": [
        (1, 1),
        (0.5, 1),
        (2, 0),
        (2, -1),
        (2, -0.5),
        (3, -1),
        (3, -0.5),
        (2.5, -0.5),
        (2, INF),
        (NAN, 1),
        (2, NAN),
    ]
    + [(INF, 2), (40, 1.5), (30, 50), (3, -1.5), (1.01, 1)],
    "Igamma": [(1, 0), (1, -1), (0, 1), (-1, 1), (2, INF), (INF, 1), (2, NAN), (NAN, 1), (50, 40), (50, 70), (300, 300)]
    + [(1e-3, 0.5), (0.5, 1e-5), (10, 0.1), (3, 30)],
    "IgammaGradA": [(1, 0), (2, NAN), (NAN, 1), (0, 1), (-1, 1), (20, 18), (20, 25), (0.5, 0.1)]
    + [(2, INF), (INF, 2), (INF, INF), (NAN, 0), (-1, 0), (-INF, 0), (2, -INF), (INF, -INF), (0, INF), (NAN, INF)],
}
CORNERS["Igammac"] = CORNERS["Igamma"]


def binary(run):
    for op, ((alow, ahigh), (blow, bhigh), whole, dtypes) in BINARY.items():
        rng = stream(op)

        def pair(shapes, dtype):
            a, b = draw(rng, shapes[0], dtype, alow, ahigh), draw(rng, shapes[1], dtype, blow, bhigh)
            return (np.floor(a).astype(dtype) if whole else a), b

        for shapes in PAIRS:
            run.add(op, label(f32, *shapes), *pair(shapes, f32))
        for dtype in dtypes:
            if dtype is not f32:
                for shapes in PAIRS[:4]:
                    run.add(op, label(dtype, *shapes), *pair(shapes, dtype))
        a, b = np.array(CORNERS[op], f32).T
        run.add(op, "float32 corners", a, b, grad=False)
        run.fails(op, "shapes [2] and [3]", np.ones(2, f32), np.ones(3, f32))
        run.fails(op, "float32 with float64", np.ones(2, f32), np.ones(2, f64))
        run.fails(op, "int32 refused", i32(1), i32(1))
    op = "NextAfter"
    for dtype in (f32, f64):
        s = specials(dtype)
        run.add(op, f"{name(dtype)} special values against each other", s[:, None], s[None, :], grad=False)
        for shapes in PAIRS:
            x = draw(stream(op), shapes[0], dtype, -2, 2)
            run.add(op, label(dtype, *shapes), x, draw(stream(op, 2), shapes[1], dtype, 3, 4))
    run.fails(op, "float16 refused", np.ones(2, f16), np.ones(2, f16))


def beta(run):
    op = "Betainc"
    rng = stream(op)
    for shapes in [
        ((), (), ()),
        ((3,), (3,), (3,)),
        ((2, 3), (), (2, 3)),
        ((), (), (4,)),
        ((2,), (2,), ()),
        ((0, 2), (), ()),
    ]:
        for dtype in (f32, f64):
            a, b = draw(rng, shapes[0], dtype, 0.5, 5), draw(rng, shapes[1], dtype, 0.5, 5)
            run.add(op, label(dtype, *shapes), a, b, draw(rng, shapes[2], dtype, 0.1, 0.9))
    corners = [(1, 1, 0), (1, 1, 1), (0, 1, 0.5), (1, 0, 0.5), (-1, 1, 0.5), (2, 3, 1.5), (2, 3, -0.1), (2, 3, NAN)]
    corners += [(NAN, 1, 0.5), (1, NAN, 0.5), (30, 20, 0.6), (0.1, 0.2, 0.5), (100, 3, 0.97), (5, 50, 0.01)]
    a, b, x = np.array(corners, f32).T
    run.add(op, "float32 corners", a, b, x, grad=False)
    run.fails(op, "other shapes", np.ones(2, f32), np.ones(3, f32), np.ones(2, f32))
    run.fails(op, "shapes that broadcast", np.ones((2, 1), f32), np.ones((1, 2), f32), np.ones((), f32))
    run.fails(op, "float16 refused", np.ones(2, f16), np.ones(2, f16), np.ones(2, f16))


def add(run):
    unary(run)
    binary(run)
    beta(run)
