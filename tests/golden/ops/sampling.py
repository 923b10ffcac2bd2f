"""Images scaled and moved, and the ways back."""

import numpy as np

from fixture import stream
from samples import bf16, draw, f16, f32, f64, i32, name

KERNELS = ("lanczos1", "lanczos3", "lanczos5", "gaussian", "box", "triangle", "keyscubic", "mitchellcubic")
FORWARD, BACK = "ScaleAndTranslate", "ScaleAndTranslateGrad"
# Dims of images, rows and columns of what they become, a scale (`None` where all of the one becomes all of the other)
# and a translation.
PLACES = (
    ((1, 4, 5, 2), (7, 9), None, (0, 0)),
    ((2, 9, 7, 1), (4, 3), None, (0, 0)),
    ((1, 5, 6, 3), (8, 4), (1.25, 0.375), (0.53125, 1.15625)),
    ((1, 6, 4, 1), (5, 9), (0.625, 2.5), (-2.21875, -3.40625)),
    ((1, 1, 1, 2), (3, 2), None, (0, 0)),
    ((0, 2, 3, 1), (4, 2), None, (0, 0)),
)


def values(label, shape, dtype):
    low = 0 if np.issubdtype(dtype, np.unsignedinteger) else -20
    return draw(stream("sampling", label, *shape), shape, dtype, low, 20)


def eighths(shape):
    return (stream("sampling", *shape).randint(-15, 16, shape) / 8).astype(f32)


def add(run):
    # Float32 whatever the images are, and so are their gradients.
    more = dict(reference=False, grad=False)
    for shape, size, scale, translation in PLACES:
        scale = f32(np.divide(size, shape[1:3]) if scale is None else scale)
        translation = f32(translation)
        for kernel in KERNELS:
            for antialias in (True, False):
                words = "" if antialias else ", as it is"
                case = f"{kernel} {list(shape)} to {list(size)} by {scale.tolist()} and {translation.tolist()}{words}"
                how = dict(kernel_type=kernel, antialias=antialias)
                run.add(FORWARD, case, values("x", shape, f32), i32(*size), scale, translation, **how, **more)
                if 0 not in shape:
                    dy = eighths((shape[0], *size, shape[3]))
                    run.add(BACK, case, dy, values("x", shape, f32), scale, translation, **how, **more)
    shape, size, scale, translation = PLACES[2]
    scale, translation = f32(scale), f32(translation)
    for dtype in (f16, bf16, f64, np.int8, np.uint8, np.int16, np.uint16, np.int32, np.int64):
        run.add(FORWARD, name(dtype), values("x", shape, dtype), i32(*size), scale, translation, **more)
    x, size = values("x", (1, 3, 4, 1), f32), i32(5, 6)
    nan = x.copy()
    nan[0, 2, 0, 0] = np.nan
    for kernel in ("triangle", "box"):
        run.add(FORWARD, f"{kernel}, NaN", nan, size, f32([2, 2]), f32([0, 0]), kernel_type=kernel, **more)
    for words, scale, translation in (
        ("far", (1, 1), (100, 0)),
        ("nowhere", (1, 1), (np.nan, 0)),
        ("next to nothing", (1e-30, 1), (0, 0)),
        ("endless", (np.inf, 1), (0, 0)),
    ):
        run.add(FORWARD, words, x, size, f32(scale), f32(translation), **more)
        run.add(BACK, words, np.ones((1, 5, 6, 1), f32), x, f32(scale), f32(translation), **more)
    refused(run, x, size)


def refused(run, x, size):
    one, none = f32([1, 1]), f32([0, 0])
    dy = np.ones((1, 5, 6, 1), f32)
    run.fails(FORWARD, "three axes", x[0], size, one, none)
    run.fails(FORWARD, "three sizes", x, i32(4, 6, 1), one, none)
    run.fails(FORWARD, "no rows wanted", x, i32(0, 6), one, none)
    run.fails(FORWARD, "negative columns wanted", x, i32(2, -1), one, none)
    run.fails(FORWARD, "no rows", x[:, :0], size, one, none)
    run.fails(FORWARD, "no channels", x[..., :0], size, one, none)
    run.fails(FORWARD, "no such kernel", x, size, one, none, kernel_type="lanczos2")
    for op, head in ((FORWARD, (x, size)), (BACK, (dy, x))):
        run.fails(op, "a scale of 0", *head, f32([0, 1]), none)
        run.fails(op, "a negative scale", *head, f32([1, -1]), none)
        run.fails(op, "a scale that is no number", *head, f32([np.nan, 1]), none)
        run.fails(op, "three scales", *head, f32([1, 1, 1]), none)
        run.fails(op, "one translation", *head, one, f32([0]))
