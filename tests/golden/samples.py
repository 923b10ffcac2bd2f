"""Values that calls are made with, and what they are called."""

import ml_dtypes
import numpy as np

f16, f32, f64, bf16 = np.float16, np.float32, np.float64, ml_dtypes.bfloat16
FLOATS = (f16, bf16, f32, f64)
INTEGERS = (np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64)


def name(dtype):
    return np.dtype(dtype).name


def label(dtype, *shapes):
    return " ".join([name(dtype)] + [str(list(s)).replace(" ", "") for s in shapes])


def draw(rng, shape, dtype, low, high, away=(), margin=0.125):
    """Uniform values with none nearer than `margin` to a point of `away`."""
    x = rng.uniform(low, high, size=shape)
    for point in away:
        near = np.abs(x - point) < margin
        x = np.where(near, point + np.where(x < point, -1.5, 1.5) * margin, x)
    return np.asarray(x).astype(dtype)


def specials(dtype):
    info = ml_dtypes.finfo(dtype)
    tiny = float(info.smallest_normal)
    values = [
        np.nan,
        np.inf,
        -np.inf,
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.5,
        -2.5,
        3.0,
        tiny,
        -tiny,
        float(info.max),
        -float(info.max),
        float(info.eps),
    ]
    return np.array(values, dtype=f64).astype(dtype)


def subnormals(dtype):
    info = ml_dtypes.finfo(dtype)
    small = float(info.smallest_subnormal)
    return np.array([small, -small, 3 * small, float(info.smallest_normal) / 2], dtype=f64).astype(dtype)


def extremes(dtype):
    info = np.iinfo(dtype)
    low = [info.min, info.min + 1, -7, -1] if info.min < 0 else []
    return np.array(low + [0, 1, 2, 5, 100, info.max], dtype=dtype)


def i32(*values):
    return np.array(values, np.int32)


def distinct(rng, shape, dtype):
    """Values that differ pairwise by at least a quarter, in random order."""
    count = int(np.prod(shape, dtype=np.int64))
    return ((rng.permutation(count) - count / 2) / 4).reshape(shape).astype(dtype)
