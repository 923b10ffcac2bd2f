"""Complex numbers and their parts, and Fourier transforms."""

import numpy as np
import tensorflow as tf

from fixture import stream
from samples import draw, f32, f64, i32, label

ENDS = (0.0, -0.0, 1.0, -1.0, 1e30, np.inf, -np.inf, np.nan)
DTYPES = ((np.complex64, f32, tf.complex64, tf.float32), (np.complex128, f64, tf.complex128, tf.float64))


def numbers(rng, shape, dtype):
    part = f32 if dtype == np.complex64 else f64
    return (draw(rng, shape, part, -2, 2) + 1j * draw(rng, shape, part, -2, 2)).astype(dtype)


def add(run):
    for dtype, part, _, tf_part in DTYPES:
        parts(run, dtype, part, tf_part)
    for axes in (1, 2, 3):
        suffix = "" if axes == 1 else f"{axes}D"
        for dtype, part, tf_dtype, tf_part in DTYPES:
            for op in ("FFT", "IFFT"):
                complex_cases(run, op + suffix, axes, dtype)
            real_cases(run, "RFFT" + suffix, axes, part, dict(Tcomplex=tf_dtype))
            real_back_cases(run, "IRFFT" + suffix, axes, dtype, dict(Treal=tf_part))
        refusals(run, suffix, axes)


def parts(run, dtype, part, tf_part):
    rng = stream("parts", label(dtype))
    tout = tf.complex64 if part == f32 else tf.complex128
    for a, b in (((2, 3), (2, 3)), ((2, 1, 3), (4, 1)), ((), (3,)), ((0, 2), (2,)), ((), ())):
        run.add("Complex", label(part, a, b), draw(rng, a, part, -2, 2), draw(rng, b, part, -2, 2), Tout=tout)
    if part == f32:
        run.fails("Complex", "shapes that do not broadcast", np.ones(2, f32), np.ones(3, f32), Tout=tf.complex64)
    for shape in ((2, 3), (), (0, 2)):
        z = numbers(rng, shape, dtype)
        run.add("Real", label(dtype, shape), z, Tout=tf_part)
        run.add("Imag", label(dtype, shape), z, Tout=tf_part)
        run.add("Conj", label(dtype, shape), z)
        run.add("ComplexAbs", label(dtype, shape), z, Tout=tf_part)
        run.add("Angle", label(dtype, shape), z, Tout=tf_part)
    ends = np.array([complex(a, b) for a in ENDS for b in ENDS], dtype)
    for op in ("ComplexAbs", "Angle"):
        run.add(op, f"{label(dtype)} special values", ends, Tout=tf_part)


def shapes(axes):
    return {
        1: ((1,), (2,), (3, 4), (2, 1, 6), (67,), (0, 4), (3, 0)),
        2: ((1, 1), (3, 4), (2, 5, 2), (2, 7, 12), (0, 2, 3), (4, 0)),
        3: ((1, 1, 1), (2, 3, 4), (2, 4, 3, 5), (0, 2, 2, 2)),
    }[axes]


def complex_cases(run, op, axes, dtype):
    rng = stream(op, label(dtype))
    for shape in shapes(axes):
        run.add(op, label(dtype, shape), numbers(rng, shape, dtype))


def real_cases(run, op, axes, part, attrs):
    rng = stream(op, label(part))
    for shape in shapes(axes):
        x = draw(rng, shape, part, -2, 2)
        run.add(op, label(part, shape), x, i32(*shape[-axes:]), **attrs)
        cut = tuple(max(dim - 1, min(dim, 1)) for dim in shape[-axes:])
        if cut != shape[-axes:]:
            run.add(op, f"{label(part, shape)} as {list(cut)}", x, i32(*cut), **attrs)


def real_back_cases(run, op, axes, dtype, attrs):
    rng = stream(op, label(dtype))
    for shape in shapes(axes):
        if 0 in shape[-axes:]:
            continue
        z = numbers(rng, shape, dtype)
        for odd in (0, 1):
            places = (*shape[-axes:-1], 2 * (shape[-1] - 1) + odd)
            if places[-1] > 0:  # TensorFlow's process ends where there are none.
                run.add(op, f"{label(dtype, shape)} of {list(places)}", z, i32(*places), **attrs)


def refusals(run, suffix, axes):
    shape = (2,) * axes
    few = shape[1:]
    z, x, lengths = np.ones(shape, np.complex64), np.ones(shape, f32), i32(*shape)
    for op in ("FFT", "IFFT"):
        run.fails(op + suffix, "too few axes", np.ones(few, np.complex64))
    for op, given, attrs in (
        ("RFFT", x, dict(Tcomplex=tf.complex64)),
        ("IRFFT", z, dict(Treal=tf.float32)),
    ):
        op += suffix
        run.fails(op, "too few axes", given[0], lengths, **attrs)
        run.fails(op, "too many lengths", given, i32(*shape, 2), **attrs)
        run.fails(op, "lengths of rank 2", given, np.ones((1, axes), np.int32), **attrs)
        run.fails(op, "a negative length", given, i32(*few, -1), **attrs)
        run.fails(op, "more places than there are", given, i32(*few, 5), **attrs)
