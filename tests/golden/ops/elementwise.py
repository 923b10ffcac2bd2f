"""Unary, binary, comparison, logical, selection and cast ops."""

import ml_dtypes
import numpy as np
import tensorflow as tf

from fixture import stream
from samples import FLOATS, INTEGERS, bf16, draw, extremes, f16, f32, f64, label, name, specials, subnormals

# name: (low, high, points the gradient must keep away from, widest range worth measuring, integer dtypes).
SIGNED = INTEGERS[:4]
UNARY = {
    "Neg": (-4, 4, (), (-1e30, 1e30), SIGNED),
    "Abs": (-4, 4, (0,), (-1e30, 1e30), SIGNED),
    "Sign": (-4, 4, (0,), (-1e30, 1e30), SIGNED),
    "Exp": (-4, 4, (), (-86, 88), ()),
    "Expm1": (-4, 4, (), (-86, 88), ()),
    "Log": (0.05, 8, (), (1e-37, 1e38), ()),
    "Log1p": (-0.9, 8, (), (-0.999, 1e38), ()),
    "Sqrt": (0.05, 9, (), (1e-37, 1e38), ()),
    "Rsqrt": (0.05, 9, (), (1e-37, 1e38), ()),
    "Square": (-4, 4, (), (-1e18, 1e18), INTEGERS),
    "Reciprocal": (-4, 4, (0,), (-1e30, 1e30), ()),
    "Sin": (-7, 7, (), (-1000, 1000), ()),
    "Cos": (-7, 7, (), (-1000, 1000), ()),
    "Tan": (-1.4, 1.4, (), (-100, 100), ()),
    "Sinh": (-4, 4, (), (-88, 88), ()),
    "Cosh": (-4, 4, (), (-88, 88), ()),
    "Asin": (-0.9, 0.9, (), (-1, 1), ()),
    "Acos": (-0.9, 0.9, (), (-1, 1), ()),
    "Atan": (-4, 4, (), (-1e30, 1e30), ()),
    "Tanh": (-4, 4, (), (-20, 20), ()),
    "Sigmoid": (-4, 4, (), (-80, 80), ()),
    "Softplus": (-4, 4, (), (-80, 80), ()),
    "Softsign": (-4, 4, (0,), (-1e18, 1e18), ()),
    "Erf": (-3, 3, (), (-6, 6), ()),
    "Erfc": (-3, 3, (), (-6, 9), ()),
    "Floor": (-4, 4, range(-4, 5), (-1e9, 1e9), ()),
    "Ceil": (-4, 4, range(-4, 5), (-1e9, 1e9), ()),
    "Rint": (-4, 4, [n + 0.5 for n in range(-5, 5)], (-1e9, 1e9), ()),
    "Round": (-4, 4, [n + 0.5 for n in range(-5, 5)], (-1e9, 1e9), SIGNED),
    "Relu": (-4, 4, (0,), (-1e30, 1e30), INTEGERS),
    "Relu6": (-3, 9, (0, 6), (-1e30, 1e30), INTEGERS),
    "Elu": (-4, 4, (0,), (-80, 80), ()),
    "Selu": (-4, 4, (0,), (-80, 80), ()),
    "LeakyRelu": (-4, 4, (0,), (-1e30, 1e30), ()),
    "Asinh": (-4, 4, (), (-1e30, 1e30), ()),
    "Acosh": (1.2, 8, (), (1, 1e30), ()),
    "Atanh": (-0.9, 0.9, (), (-1, 1), ()),
}
KINKS = {
    "Abs": [0.0, -0.0],
    "Sign": [0.0],
    "Softsign": [0.0],
    "Relu": [0.0, -0.0],
    "Relu6": [0.0, 6.0, -0.0],
    "Elu": [0.0, -0.0],
    "Selu": [0.0, -0.0],
    "LeakyRelu": [0.0, -0.0],
    "Floor": [-1.0, 0.0, 2.0],
    "Ceil": [-1.0, 0.0, 2.0],
    "Rint": [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5],
    "Round": [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5],
    "Sqrt": [0.0],
    "Tanh": [0.0, 30.0, -30.0],
    "Sigmoid": [0.0, 40.0, -40.0],
}


def wide_range(low, high, dtype):
    """Points spread evenly, and by magnitude down to 1e-6, over the range as far as the dtype reaches."""
    limit = float(ml_dtypes.finfo(dtype).max) / 2
    low, high = max(low, -limit), min(high, limit)
    even = np.linspace(low, high, 25)
    magnitudes = np.geomspace(1e-6, max(abs(low), abs(high)), 16)
    points = np.concatenate([even, magnitudes, -magnitudes])
    return points[(points >= low) & (points <= high)].astype(dtype)


def unary(run):
    for op, (low, high, away, wide, integers) in UNARY.items():
        rng = stream(op)
        for dtype, shape in [
            (f32, ()),
            (f32, (7,)),
            (f32, (2, 3, 4)),
            (f32, (0, 3)),
            (f32, (2, 1, 2, 3)),
            (f64, ()),
            (f64, (3, 4)),
            (f16, (2, 5)),
            (bf16, (2, 5)),
        ]:
            run.add(op, label(dtype, shape), draw(rng, shape, dtype, low, high, away))
        for dtype in FLOATS:
            run.add(op, f"{name(dtype)} over its range", wide_range(*wide, dtype), grad=False)
            run.add(op, f"{name(dtype)} special values", specials(dtype), grad=False)
        for dtype in (f32, f64):
            run.add(op, f"{name(dtype)} subnormal", subnormals(dtype), grad=False)
        for dtype in integers:
            run.add(op, f"{name(dtype)} extremes", extremes(dtype))
            run.add(
                op,
                label(dtype, (2, 3)),
                (np.arange(6).reshape(2, 3) % 5 - (2 if np.iinfo(dtype).min < 0 else 0)).astype(dtype),
            )
        if op in KINKS:
            run.add(op, "float32 at its kinks", np.array(KINKS[op], f32))
        run.fails(op, "bool refused", np.array([True, False]))
        if not integers and op != "Reciprocal":
            run.fails(op, "int32 refused", np.array([1, 2], np.int32))
    for dtype in SIGNED:
        run.add("Reciprocal", f"{name(dtype)} [4]", np.array([1, -1, 2, -5], dtype))
    for alpha in (0.0, 0.3, 1.5, -0.5):
        x = draw(stream("LeakyRelu", alpha), (2, 5), f32, -4, 4, (0,))
        run.add("LeakyRelu", f"float32 alpha {alpha}", x, alpha=alpha)
        run.add("LeakyRelu", f"float64 alpha {alpha}", x.astype(f64), alpha=alpha)
    for op in ("IsNan", "IsInf", "IsFinite"):
        for dtype in FLOATS:
            run.add(op, f"{name(dtype)} special values", specials(dtype))
        run.add(op, "float32 []", np.array(np.nan, f32))
        run.add(op, "float32 [0,2]", np.zeros((0, 2), f32))
        run.add(op, "float64 [2,2]", np.array([[1, np.inf], [np.nan, -np.inf]], f64))
        run.fails(op, "int32 refused", np.array([1], np.int32))
    run.add("LogicalNot", "[2,2]", np.array([[True, False], [False, True]]))
    run.add("LogicalNot", "[]", np.array(True))
    run.add("LogicalNot", "[0]", np.zeros((0,), bool))
    run.fails("LogicalNot", "int32 refused", np.array([1], np.int32))


PAIRS = [
    ((), ()),
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (2, 3)),
    ((3, 1), (1, 4)),
    ((), (2, 3)),
    ((2, 3), ()),
    ((2, 1, 3, 1), (4, 1, 2)),
    ((1,), (2, 2)),
    ((0, 3), (1, 3)),
    ((2, 1), (2, 0)),
    ((2, 3, 4), (2, 3, 4)),
]

# name: (range of x, range of y, points y keeps away from, integer dtypes).
BINARY = {
    "AddV2": ((-4, 4), (-4, 4), (), INTEGERS),
    "Sub": ((-4, 4), (-4, 4), (), INTEGERS),
    "Mul": ((-4, 4), (-4, 4), (), INTEGERS),
    "RealDiv": ((-4, 4), (-4, 4), (0,), ()),
    "Div": ((-4, 4), (-4, 4), (0,), INTEGERS),
    "FloorDiv": ((-9, 9), (-3, 3), (0,), INTEGERS),
    "FloorMod": ((-9, 9), (-3, 3), (0,), INTEGERS),
    "TruncateDiv": ((-9, 9), (-3, 3), (0,), INTEGERS),
    "TruncateMod": ((-9, 9), (-3, 3), (0,), (np.int32, np.int64)),
    "DivNoNan": ((-4, 4), (-4, 4), (0,), ()),
    "Pow": ((0.2, 3), (-2, 2), (), ()),
    "Maximum": ((-4, 4), (-4, 4), (), INTEGERS),
    "Minimum": ((-4, 4), (-4, 4), (), INTEGERS),
    "SquaredDifference": ((-4, 4), (-4, 4), (), (np.int32, np.int64)),
    "Atan2": ((-4, 4), (-4, 4), (0,), ()),
    "Xdivy": ((-4, 4), (-4, 4), (0,), ()),
    "Xlogy": ((-4, 4), (0.2, 4), (), ()),
    "Xlog1py": ((-4, 4), (-0.8, 3), (), ()),
}

# Ops of which gradients are made, over (y, dy) or, where `True`, over (dy, x or y): range of x or y, points it keeps
# away from.
GRADIENTS = {
    "TanhGrad": (False, (-0.9, 0.9), ()),
    "SigmoidGrad": (False, (0.1, 0.9), ()),
    "SqrtGrad": (False, (0.2, 3), ()),
    "RsqrtGrad": (False, (0.2, 3), ()),
    "ReciprocalGrad": (False, (-4, 4), (0,)),
    "ReluGrad": (True, (-4, 4), (0,)),
    "Relu6Grad": (True, (-3, 9), (0, 6)),
    "EluGrad": (True, (-0.9, 3), (0,)),
    "SeluGrad": (True, (-1.6, 3), (0,)),
    "SoftplusGrad": (True, (-4, 4), ()),
    "SoftsignGrad": (True, (-4, 4), (0,)),
    "LeakyReluGrad": (True, (-4, 4), (0,)),
}
EDGES = {"Relu6Grad": [0.0, 6.0], "ReluGrad": [0.0, -0.0], "LeakyReluGrad": [0.0], "EluGrad": [0.0], "SeluGrad": [0.0]}
DIVISIONS = ("Div", "FloorDiv", "FloorMod", "TruncateDiv", "TruncateMod")


def pair(rng, op, shapes, dtype):
    (xlow, xhigh), (ylow, yhigh), away, _ = BINARY[op]
    x = draw(rng, shapes[0], dtype, xlow, xhigh)
    y = draw(rng, shapes[1], dtype, ylow, yhigh, away)
    if op in ("Maximum", "Minimum"):  # Halves against quarters: never equal, never near.
        x = np.round(np.asarray(x, f64) * 2) / 2
        y = np.round(np.asarray(y, f64) * 2) / 2 + 0.25
    return np.asarray(x).astype(dtype), np.asarray(y).astype(dtype)


def binary(run):
    for op, (_, _, _, integers) in BINARY.items():
        rng = stream(op)
        for shapes in PAIRS:
            run.add(op, label(f32, *shapes), *pair(rng, op, shapes, f32))
        for dtype, count in ((f64, 7), (f16, 5), (bf16, 5)):
            for shapes in PAIRS[:count]:
                run.add(op, label(dtype, *shapes), *pair(rng, op, shapes, dtype))
        for dtype in FLOATS:
            s = specials(dtype)
            run.add(op, f"{name(dtype)} special values against each other", s[:, None], s[None, :], grad=False)
        run.add(op, "float32 subnormal", subnormals(f32)[:, None], np.array([[1.0, -0.5, 3e-38]], f32), grad=False)
        for dtype in integers:
            signed = np.iinfo(dtype).min < 0
            x = extremes(dtype)
            if op in DIVISIONS:
                x = x[1:] if signed else x  # The least integer by -1 has no quotient.
                y = np.array([-5, -1, 1, 3, 100] if signed else [1, 3, 5, 100], dtype)
            else:
                y = x
            run.add(op, f"{name(dtype)} extremes against each other", x[:, None], y[None, :])
            run.add(op, label(dtype, (3,), (2, 1)), np.array([7, 5, 100], dtype), np.array([[3], [4]], dtype))
        run.fails(op, "float32 shapes [2,3] and [2]", np.ones((2, 3), f32), np.ones(2, f32))
        run.fails(op, "float32 shapes [2] and [3]", np.ones(2, f32), np.ones(3, f32))
        run.fails(op, "float32 with float64", np.ones(2, f32), np.ones(2, f64))
        run.fails(op, "bool refused", np.array([True]), np.array([True]))
    for op in DIVISIONS:
        run.fails(op, "int32 by zero", np.array([1, 2], np.int32), np.array([1, 0], np.int32))
        run.fails(op, "int64 by zero", np.array([1, 2], np.int64), np.array(0, np.int64))
    for dtype in SIGNED:
        run.add("Pow", f"{name(dtype)} small", np.array([[-3], [0], [1], [2]], dtype), np.array([[0, 1, 2, 5]], dtype))
    run.add("Pow", "int64 overflow wraps", np.array([3, 10, -7], np.int64), np.array([41, 20, 23], np.int64))
    run.fails("Pow", "int32 negative exponent", np.array([2, 3], np.int32), np.array([1, -1], np.int32))
    for dtype in (f32, f64):
        zero = np.array([0.0, 0.0, 1.0, -2.0, 0.0, 3.0], dtype)
        by = np.array([0.0, 1.5, 0.0, 0.0, -1.0, 2.0], dtype)
        run.add("DivNoNan", f"{name(dtype)} zero denominators", by, zero)
        run.add("Xdivy", f"{name(dtype)} zero numerators", zero, np.array([0.0, 1.5, 2.0, 4.0, -1.0, 0.5], dtype))
        run.add("Xlogy", f"{name(dtype)} zero factors", zero, np.array([0.0, 1.5, 2.0, 4.0, 0.0, 0.5], dtype))
        run.add("Pow", f"{name(dtype)} base zero", np.zeros(4, dtype), np.array([0.0, 1.0, 2.0, 0.5], dtype))
        run.add(
            "Pow",
            f"{name(dtype)} negative base",
            np.array([-2.0, -1.5, -3.0, -0.5], dtype),
            np.array([2.0, 3.0, -1.0, 0.0], dtype),
        )
        run.add(
            "Pow",
            f"{name(dtype)} by scalar exponents",
            np.array([0.5, 1.5, 2.5], dtype),
            np.array([[2.0], [3.0], [0.5], [-1.0]], dtype),
        )
        ties = np.array([1.0, -2.0, 0.0, 3.0], dtype)
        for op in ("Maximum", "Minimum"):
            run.add(op, f"{name(dtype)} ties", ties, ties.copy())
            run.add(op, f"{name(dtype)} ties with a scalar", ties, np.array(0.0, dtype))
        run.add("SquaredDifference", f"{name(dtype)} equal", ties, ties.copy())
        run.add(
            "Atan2",
            f"{name(dtype)} quadrants",
            np.array([1, 1, -1, -1, 0, 2], dtype),
            np.array([1, -1, 1, -1, 3, 0], dtype),
        )
        run.add(
            "Xlogy", f"{name(dtype)} x of one against many", np.array([0.5], dtype), np.array([1.5, 2.0, 4.0], dtype)
        )
    run.add("AddV2", "complex64 [2]", np.array([1 + 2j, -1j], np.complex64), np.array([0.5, 2j], np.complex64))
    run.add("Mul", "complex64 [2]", np.array([1 + 2j, -1j], np.complex64), np.array([0.5, 2j], np.complex64))


def gradients(run):
    for op, (dy_first, (low, high), away) in GRADIENTS.items():
        rng = stream(op)
        order = (lambda x, dy: (dy, x)) if dy_first else (lambda x, dy: (x, dy))
        for dtype, shape in [(f32, ()), (f32, (2, 3, 4)), (f32, (0, 3)), (f64, (3, 4)), (f16, (2, 5)), (bf16, (2, 5))]:
            x = draw(rng, shape, dtype, low, high, away)
            run.add(op, label(dtype, shape), *order(x, draw(rng, shape, dtype, -3, 3)))
        for dtype in FLOATS:
            s = specials(dtype)
            run.add(op, f"{name(dtype)} special values", *order(s, np.array(1.5, dtype) + np.zeros_like(s)), grad=False)
        if op in EDGES:
            x = np.array(EDGES[op], f32)
            run.add(op, "float32 at its kinks", *order(x, np.full(x.shape, 2, f32)), grad=False)
        run.fails(op, "float32 with float64", np.ones(2, f32), np.ones(2, f64))
        run.fails(op, "bool refused", np.array([True]), np.array([True]))
    for alpha in (0.0, 1.5, -0.5):
        x = draw(stream("LeakyReluGrad", alpha), (2, 5), f32, -4, 4, (0,))
        run.add("LeakyReluGrad", f"float32 alpha {alpha}", np.full((2, 5), 0.75, f32), x, alpha=alpha)
    for op in ("ReluGrad", "Relu6Grad", "EluGrad", "SeluGrad", "SoftplusGrad", "SoftsignGrad", "LeakyReluGrad"):
        run.fails(op, "float32 shapes [2] and [3]", np.ones(2, f32), np.ones(3, f32))


def comparisons(run):
    for op in ("Equal", "NotEqual", "Less", "LessEqual", "Greater", "GreaterEqual"):
        rng = stream(op)
        for dtype in FLOATS:
            s = specials(dtype)
            run.add(op, f"{name(dtype)} special values against each other", s[:, None], s[None, :])
        for dtype in INTEGERS:
            x = extremes(dtype)
            run.add(op, f"{name(dtype)} extremes against each other", x[:, None], x[None, :])
        for shapes in PAIRS:
            x, y = (rng.randint(-2, 3, size=s).astype(f32) for s in shapes)
            run.add(op, label(f32, *shapes), x, y)
        run.fails(op, "float32 shapes [2,3] and [2]", np.ones((2, 3), f32), np.ones(2, f32))
        run.fails(op, "int32 with int64", np.ones(2, np.int32), np.ones(2, np.int64))
    for op in ("Equal", "NotEqual"):
        run.add(op, "bool", np.array([[True], [False]]), np.array([[True, False]]))
        run.add(op, "string", np.array(["a", "bc", ""]), np.array(["a", "b", ""]))
        run.add(op, "complex64", np.array([1j, 2, 0], np.complex64), np.array([1j, 2j, 0], np.complex64))
        run.add(op, "incompatible shapes allowed", np.ones(2, f32), np.ones(3, f32), incompatible_shape_error=False)
        run.add(op, "compatible shapes allowed", np.ones(2, f32), np.array([1, 2], f32), incompatible_shape_error=False)
    run.fails("Less", "bool refused", np.array([True]), np.array([False]))
    for op in ("LogicalAnd", "LogicalOr"):
        t = np.array([True, False])
        run.add(op, "[2,1] [2]", t[:, None], t)
        run.add(op, "[] [2]", np.array(True), t)
        run.add(op, "[] []", np.array(True), np.array(False))
        run.add(op, "[0] [1]", np.zeros(0, bool), np.array([True]))
        run.fails(op, "shapes [2] and [3]", t, np.ones(3, bool))
        run.fails(op, "int32 refused", np.ones(2, np.int32), np.ones(2, np.int32))


def selection(run):
    rng = stream("SelectV2")
    c23 = np.array([[True, False, True], [False, False, True]])
    for condition, t, e in [
        ((), (), ()),
        ((2, 3), (2, 3), (2, 3)),
        ((3,), (2, 3), (2, 3)),
        ((2, 1), (3,), ()),
        ((), (2, 3), (3,)),
        ((2, 1, 1), (3, 1), (1, 4)),
        ((0,), (1,), (0,)),
        ((2, 3), (), ()),
    ]:
        c = rng.randint(0, 2, size=condition).astype(bool)
        case = label(f32, condition, t, e)
        run.add("SelectV2", case, c, draw(rng, t, f32, -3, 3), draw(rng, e, f32, -3, 3), reference=False)
    for dtype in (f64, f16, bf16, np.int32, np.int64, np.uint8, np.int8):
        run.add(
            "SelectV2",
            label(dtype, (2, 3)),
            c23,
            np.arange(6).reshape(2, 3).astype(dtype),
            np.array([7, 8, 9]).astype(dtype),
            reference=False,
        )
    run.add("SelectV2", "bool", c23, np.ones((2, 3), bool), np.zeros(3, bool))
    run.add("SelectV2", "string", np.array([True, False]), np.array(["a", "b"]), np.array(["c", "d"]))
    run.add(
        "SelectV2",
        "float32 nan in the branch not taken",
        np.array([True, False]),
        np.array([1, np.nan], f32),
        np.array([np.nan, 2], f32),
        reference=False,
    )
    run.fails("SelectV2", "shapes [2] [3] [3]", np.array([True, False]), np.ones(3, f32), np.ones(3, f32))
    run.fails("SelectV2", "float32 condition", np.ones(2, f32), np.ones(2, f32), np.ones(2, f32))
    run.fails("SelectV2", "float32 with int32", np.array([True, False]), np.ones(2, f32), np.ones(2, np.int32))

    for dtype in FLOATS:
        x = draw(rng, (3, 4), dtype, -4, 4, (-1.5, 2))
        run.add("ClipByValue", f"{name(dtype)} [3,4] scalar bounds", x, np.array(-1.5, dtype), np.array(2, dtype))
        run.add(
            "ClipByValue",
            f"{name(dtype)} special values",
            specials(dtype),
            np.array(-2, dtype),
            np.array(2, dtype),
            grad=False,
        )
    x = draw(rng, (2, 3), f32, -4, 4, (-1.5, 2))
    run.add("ClipByValue", "float32 bounds of the same shape", x, np.full((2, 3), -1.5, f32), np.full((2, 3), 2, f32))
    run.add("ClipByValue", "float32 [] scalar bounds", np.array(3, f32), np.array(-1.5, f32), np.array(2, f32))
    run.add("ClipByValue", "float32 [0] scalar bounds", np.zeros(0, f32), np.array(-1.5, f32), np.array(2, f32))
    run.add("ClipByValue", "float32 at the bounds", np.array([-1.5, 2, 0], f32), np.array(-1.5, f32), np.array(2, f32))
    run.add(
        "ClipByValue", "int32 [5]", np.array([-9, -2, 0, 3, 9], np.int32), np.array(-2, np.int32), np.array(3, np.int32)
    )
    run.add(
        "ClipByValue", "int64 [5]", np.array([-9, -2, 0, 3, 9], np.int64), np.array(-2, np.int64), np.array(3, np.int64)
    )
    run.fails("ClipByValue", "bounds of another shape", x, np.zeros(2, f32), np.ones(2, f32))
    run.add(
        "ClipByValue",
        "float32 scalar lower bound, upper bound of the shape",
        x,
        np.array(-1.5, f32),
        np.full((2, 3), 2, f32),
    )

    for dtype in FLOATS:
        run.add("AddN", f"{name(dtype)} three of [2,3]", [draw(rng, (2, 3), dtype, -3, 3) for _ in range(3)])
    run.add("AddN", "float32 one of [2]", [draw(rng, (2,), f32, -3, 3)])
    run.add("AddN", "float32 ten of []", [draw(rng, (), f32, -3, 3) for _ in range(10)])
    run.add("AddN", "float32 two of [0,2]", [np.zeros((0, 2), f32)] * 2)
    run.add("AddN", "int32 two of [3]", [np.array([1, 2, 3], np.int32), np.array([4, 5, 2**31 - 1], np.int32)])
    run.fails("AddN", "shapes [2] and [3]", [np.ones(2, f32), np.ones(3, f32)])
    run.fails("AddN", "shapes [2] and [1]", [np.ones(2, f32), np.ones(1, f32)])

    values = [np.array([[1.5, -2.0]], f32), np.array([True]), np.array(3, np.int64), np.array(["x"])]
    for op in ("Identity", "StopGradient", "ZerosLike"):
        for v in values:
            run.add(op, v.dtype.name if v.dtype.kind != "U" else "string", v, reference=False)
        run.add(op, "float64 [0,2]", np.zeros((0, 2), f64), reference=False)
        run.add(op, "bfloat16 [2]", np.array([1.5, -2], bf16), reference=False)
    for v in values[:3]:
        run.add("OnesLike", v.dtype.name, v, reference=False)
    run.add("OnesLike", "bfloat16 [2]", np.array([1.5, -2], bf16), reference=False)
    run.fails("OnesLike", "string refused", values[3])
    run.add("IdentityN", "float32, bool, int64, string", values, reference=False)
    run.add("IdentityN", "two float64", [np.array([1.0, 2.0]), np.array(3.0)], reference=False)


CASTS = (
    f32,
    f64,
    f16,
    bf16,
    np.int8,
    np.int16,
    np.int32,
    np.int64,
    np.uint8,
    np.uint16,
    np.uint32,
    np.uint64,
    np.bool_,
)


def cast(run):
    import tensorflow as tf

    for src in CASTS:
        for dst in CASTS:
            case = f"{name(src)} to {name(dst)}"
            target = tf.as_dtype(dst)
            if src is np.bool_:
                run.add("Cast", case, np.array([True, False]), DstT=target)
                continue
            if src in INTEGERS:
                x = np.unique(np.concatenate([extremes(src), np.array([3, 77, 127], src)]))
                run.add("Cast", case, x, DstT=target)
                continue
            # From floats only what the target can hold: beyond it C++ leaves the result open.
            x = np.array([-100.7, -1.9, -1.5, -0.5, -0.0, 0.0, 0.4, 0.5, 0.99, 1.5, 2.5, 100.7], f64)
            if dst in INTEGERS and np.iinfo(dst).min == 0:
                x = x[x > -1]
            run.add("Cast", case, x.astype(src), DstT=target, reference=False)
            if dst in FLOATS:
                run.add("Cast", case + ", special values", specials(src), DstT=target, grad=False, reference=False)
                run.add("Cast", case + ", subnormal", subnormals(src), DstT=target, grad=False, reference=False)
            if dst is np.bool_:
                run.add("Cast", case + ", special values", specials(src), DstT=target, grad=False, reference=False)
    ties = np.array(
        [
            1 + 2**-11,
            1 + 3 * 2**-11,
            1 + 2**-11 + 2**-40,
            1 + 2**-8,
            1 + 3 * 2**-8,
            1 + 2**-8 + 2**-40,
            65504,
            65519,
            65520,
            2**-24,
            2**-25,
            3 * 2**-26,
            1e-45,
            3.4e38,
        ],
        f64,
    )
    for src in (f32, f64):
        for dst in (f16, bf16, f32):
            if src is not dst:
                run.add(
                    "Cast",
                    f"{name(src)} to {name(dst)}, rounding",
                    ties.astype(src),
                    DstT=tf.as_dtype(dst),
                    grad=False,
                    reference=False,
                )
    run.add(
        "Cast",
        "int32 to float32, rounding",
        np.array([2**24 + 1, 2**24 + 3, -(2**24) - 1, 2**31 - 1], np.int32),
        DstT=tf.float32,
    )
    run.add(
        "Cast",
        "int64 to float32, rounding",
        np.array([2**24 + 1, 2**53 + 1, 2**63 - 1, -(2**63)], np.int64),
        DstT=tf.float32,
    )
    run.add(
        "Cast", "int64 to float64, rounding", np.array([2**53 + 1, 2**53 + 3, 2**63 - 1], np.int64), DstT=tf.float64
    )
    run.add(
        "Cast", "int64 to bfloat16, rounding", np.array([257, 259, 2**24 + 1, 2**63 - 1], np.int64), DstT=tf.bfloat16
    )
    run.add("Cast", "int64 to float16, rounding", np.array([2049, 2051, 65519, 65520], np.int64), DstT=tf.float16)
    run.add(
        "Cast",
        "float32 to int32 near the limits",
        np.array([2147483520, -2147483648], f32),
        DstT=tf.int32,
        reference=False,
    )
    run.add(
        "Cast",
        "float64 to int64 near the limits",
        np.array([2**63 - 1024, -(2**63)], f64),
        DstT=tf.int64,
        reference=False,
    )
    run.add("Cast", "float32 to int32 []", np.array(-2.75, f32), DstT=tf.int32, reference=False)
    run.add("Cast", "float32 to int32 [0,2]", np.zeros((0, 2), f32), DstT=tf.int32, reference=False)
    cut = dict(Truncate=True, reference=False)
    for src in FLOATS:
        for dst in FLOATS:
            case, target = f"{name(src)} to {name(dst)}, Truncate", tf.as_dtype(dst)
            with np.errstate(over="ignore"):
                run.add("Cast", case, ties.astype(src), DstT=target, grad=False, **cut)
            run.add("Cast", f"{case}, derived", np.array([-1.7, 0.4, 2.3], src), DstT=target, **cut)
            run.add("Cast", f"{case}, special values", specials(src), DstT=target, grad=False, **cut)
    run.add("Cast", "int32 to float16, Truncate", np.array([2049, -2051, 65519], np.int32), DstT=tf.float16, **cut)
    run.add("Cast", "float32 to int32, Truncate", np.array([2.75, -2.75], f32), DstT=tf.int32, **cut)
    run.add("Cast", "float32 to complex64", np.array([1.5, -2], f32), DstT=tf.complex64, grad=False, reference=False)
    run.fails("Cast", "string to float32", np.array(["1"]), DstT=tf.float32)
    run.fails("Cast", "float32 to string", np.array([1], f32), DstT=tf.string)


def add(run):
    unary(run)
    binary(run)
    gradients(run)
    comparisons(run)
    selection(run)
    cast(run)
    bitcast(run)


def bitcast(run):
    op = "Bitcast"
    dtypes = (*FLOATS, *INTEGERS, np.complex64, np.complex128)
    for dtype in dtypes:
        for to in dtypes:
            size, wide = np.dtype(dtype).itemsize, np.dtype(to).itemsize
            shape = (2, 3) if size >= wide else (2, wide // size)
            bits = stream("bitcast", name(dtype), name(to)).randint(0, 120, (*shape, size)).astype(np.uint8)
            # The bits of numbers that are not NaN, whose own may change on the way.
            run.add(op, f"{name(dtype)} as {name(to)}", bits.view(dtype)[..., 0], type=tf.as_dtype(to), grad=False)
    run.add(op, "a scalar", np.float32(1.5), type=tf.int32, grad=False)
    run.add(op, "a scalar as several", np.float64(1.5), type=tf.int16, grad=False)
    run.add(op, "no elements", np.zeros((0, 2), f32), type=tf.float64, grad=False)
    run.add(op, "special values", f32([np.nan, np.inf, -np.inf, -0.0]), type=tf.uint32, grad=False)
    run.fails(op, "as many as do not make one", np.zeros((2, 3), f32), type=tf.float64)
    run.fails(op, "a scalar that is too narrow", np.float32(1.5), type=tf.float64)
    run.fails(op, "bools", np.zeros((2,), np.bool_), type=tf.uint8)
