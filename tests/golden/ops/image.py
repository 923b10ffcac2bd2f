"""Images of other sizes, and the ways back."""

import numpy as np

from fixture import stream
from samples import bf16, draw, f16, f32, f64, i32, name

GRIDS = (
    ("", {}),
    (", corners", {"align_corners": True}),
    (", half pixels", {"half_pixel_centers": True}),
)
# Dims of images, rows and columns of what they become.
SIZES = (
    ((1, 2, 3, 1), (4, 6)),
    ((2, 4, 5, 3), (7, 3)),
    ((1, 6, 5, 2), (3, 10)),
    ((2, 3, 3, 1), (3, 3)),
    ((1, 1, 1, 4), (3, 2)),
    ((1, 5, 7, 1), (1, 1)),
    ((0, 2, 3, 1), (4, 2)),
)


def values(label, shape, dtype):
    low = 0 if np.issubdtype(dtype, np.unsignedinteger) else -20
    return draw(stream("image", label, *shape), shape, dtype, low, 20)


def eighths(label, shape, dtype):
    return (stream("image", label, *shape).randint(-15, 16, shape) / 8).astype(dtype)


def add(run):
    for words, grid in GRIDS:
        for shape, size in SIZES:
            case = f"{list(shape)} to {list(size)}{words}"
            filled = 0 not in shape
            for dtype in (f16, bf16, f32, f64, np.int8, np.int32, np.int64, np.uint8, np.uint16):
                if dtype == f32 or shape == SIZES[1][0]:
                    resized(run, f"{name(dtype)} {case}", values("x", shape, dtype), size, grid, filled)
            if filled:
                back(run, case, shape, size, grid)
    specials = np.array([[np.nan, 1, np.inf], [2, -np.inf, -0.0]], f32).reshape(1, 2, 3, 1)
    run.add("ResizeNearestNeighbor", "special values", specials, i32(3, 4), grad=False)
    nan = np.array([[np.nan, 1, 2], [2, 3, 4]], f32).reshape(1, 2, 3, 1)
    for op in ("ResizeBilinear", "ResizeBicubic"):
        run.add(op, "NaN", nan, i32(4, 6), half_pixel_centers=True, reference=False, grad=False)
    special_gradients(run)
    refused(run)


def resized(run, case, x, size, grid, filled):
    run.add("ResizeNearestNeighbor", case, x, i32(*size), grad=filled, **grid)
    for op in ("ResizeBilinear", "ResizeBicubic"):
        # They are float32 whatever the images are, and so are their gradients.
        if x.dtype != bf16 or op == "ResizeBilinear":
            run.add(op, case, x, i32(*size), reference=False, grad=False, **grid)


def back(run, case, shape, size, grid):
    to = (shape[0], *size, shape[3])
    for dtype in (f16, f32, f64):
        dy, rows = eighths("dy", to, dtype), i32(*shape[1:3])
        run.add("ResizeNearestNeighborGrad", f"{name(dtype)} {case}", dy, rows, **grid)
    # Of one place TensorFlow's float64 gradient has the rounding of float32.
    for dtype in (f32,) if shape[1:3] == (1, 1) else (f32, f64):
        for op in ("ResizeBilinearGrad", "ResizeBicubicGrad"):
            dy = eighths("dy", to, f32)
            run.add(op, f"{name(dtype)} {case}", dy, values("x", shape, dtype), reference=False, grad=False, **grid)


def special_gradients(run):
    x, dy = values("x", (1, 2, 3, 1), f32), eighths("dy", (1, 4, 6, 1), f32)
    dy[0, 1, 1], dy[0, 2, 4], dy[0, 3, 0] = np.nan, np.inf, -np.inf
    for op in ("ResizeBilinearGrad", "ResizeBicubicGrad"):
        for words, grid in GRIDS:
            run.add(op, f"NaN and infinity{words}", dy, x, reference=False, grad=False, **grid)
        run.add(op, "no images", dy[:0], x[:0], reference=False, grad=False)
        run.add(op, "no channels", dy[..., :0], x[..., :0], reference=False, grad=False)
        run.fails(op, "no rows", dy, x[:, :0])
        run.fails(op, "of no rows", dy[:, :0], x)


def refused(run):
    x, size = values("x", (1, 2, 3, 1), f32), i32(4, 6)
    for op in ("ResizeNearestNeighbor", "ResizeBilinear", "ResizeBicubic"):
        run.fails(op, "three axes", x[0], size)
        run.fails(op, "three sizes", x, i32(4, 6, 1))
        run.fails(op, "no rows wanted", x, i32(0, 6))
        run.fails(op, "negative columns wanted", x, i32(2, -1))
        run.fails(op, "no rows", x[:, :0], size)
        run.fails(op, "no channels", x[..., :0], size)
        run.fails(op, "both grids", x, size, align_corners=True, half_pixel_centers=True)
    run.fails("ResizeNearestNeighborGrad", "three axes", x[0], size)
    run.fails("ResizeBilinearGrad", "three axes", x[0], x)
