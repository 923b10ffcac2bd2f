"""Places of images that move between space, batch and channels, and patches of images."""

import numpy as np

from fixture import stream
from samples import bf16, draw, f16, f32, f64, i32, name

DTYPES = (f16, bf16, f32, f64, np.int8, np.int32, np.int64, np.uint8, np.bool_, np.complex64)


def values(label, shape, dtype):
    if dtype == np.bool_:
        return stream("space", label, *shape).uniform(size=shape) < 0.5
    if dtype == np.complex64:
        return (values(label, shape, f32) + 1j * values("imaginary", shape, f32)).astype(dtype)
    low = 0 if np.issubdtype(dtype, np.unsignedinteger) else -20
    return draw(stream("space", label, *shape), shape, dtype, low, 20)


def add(run):
    batches(run)
    depths(run)
    patches(run)


def batches(run):
    # Dims, blocks, paddings.
    cases = (
        ((1, 2, 2, 1), (2, 2), ((0, 0), (0, 0))),
        ((2, 4, 6, 3), (2, 3), ((0, 0), (0, 0))),
        ((2, 5, 4, 3), (2, 3), ((0, 1), (1, 1))),
        ((1, 3, 3), (4, 2), ((3, 2), (1, 2))),
        ((3, 5), (3,), ((4, 0),)),
        ((2, 3, 2, 4, 2), (3, 1, 2), ((0, 0), (1, 2), (3, 1))),
        ((1, 2, 1, 2), (2, 2, 2), ((1, 3), (2, 1), (0, 2))),
        ((0, 4, 2), (2,), ((0, 0),)),
        ((2, 0, 3), (2,), ((2, 0),)),
        ((2, 4, 0), (2,), ((0, 0),)),
        ((2, 3), (1,), ((1, 2),)),
    )
    for shape, block, paddings in cases:
        case = f"{list(shape)} by {list(block)} in {[list(pair) for pair in paddings]}"
        for dtype in DTYPES if shape == (2, 5, 4, 3) else (f32,):
            x = values("x", shape, dtype)
            run.add("SpaceToBatchND", f"{name(dtype)} {case}", x, i32(*block), i32(*paddings))
            blocks = [(dim + sum(pair)) // size for dim, size, pair in zip(shape[1:], block, paddings)]
            narrow = (shape[0] * int(np.prod(block)), *blocks, *shape[1 + len(block) :])
            y = values("y", narrow, dtype)
            run.add("BatchToSpaceND", f"{name(dtype)} {case}", y, i32(*block), i32(*paddings))
    x = values("x", (2, 4, 4), f32)
    wide = np.array([2], np.int64), np.array([[1, 1]], np.int64)
    run.add("SpaceToBatchND", "int64", x, *wide)
    run.add("BatchToSpaceND", "int64", x, *wide)
    whole = np.array([[2, 6]], np.int32)
    run.add("BatchToSpaceND", "all cropped", x, i32(2), whole)
    run.add("SpaceToBatchND", "no axes", x, np.zeros([0], np.int32), np.zeros([0, 2], np.int32))
    none = np.zeros([1, 2], np.int32)
    run.fails("SpaceToBatchND", "no multiple", values("x", (1, 3), f32), i32(2), none)
    run.fails("SpaceToBatchND", "block 0", x, i32(0), none)
    run.fails("SpaceToBatchND", "negative padding", x, i32(2), i32([-1, 1]))
    run.fails("SpaceToBatchND", "too few paddings", x, i32(2, 2), none)
    run.fails("SpaceToBatchND", "too few axes", x[0, 0], i32(2), none)
    run.fails("BatchToSpaceND", "no multiple", values("x", (3, 2), f32), i32(2), none)
    run.fails("BatchToSpaceND", "too much cropped", x, i32(2), i32([4, 5]))
    run.fails("BatchToSpaceND", "negative crop", x, i32(2), i32([-1, 1]))


def depths(run):
    for shape, block in (((1, 2, 2, 1), 2), ((2, 4, 6, 3), 2), ((1, 6, 3, 2), 3), ((0, 4, 4, 1), 2), ((2, 0, 4, 1), 2)):
        case = f"{list(shape)} by {block}"
        for dtype in DTYPES if shape == (2, 4, 6, 3) else (f32,):
            run.add("SpaceToDepth", f"{name(dtype)} {case}", values("x", shape, dtype), block_size=block)
            deep = (*shape[:3], shape[3] * block * block)
            run.add("DepthToSpace", f"{name(dtype)} {case}", values("y", deep, dtype), block_size=block)
    x = values("x", (1, 3, 4, 3), f32)
    run.fails("SpaceToDepth", "no multiple", x, block_size=2)
    run.fails("DepthToSpace", "no multiple", x, block_size=2)
    run.fails("SpaceToDepth", "three axes", x[0], block_size=2)


def patches(run):
    # Dims, sizes, strides, rates, padding.
    cases = (
        ((1, 4, 5, 1), (2, 2), (1, 1), (1, 1), "VALID"),
        ((2, 5, 4, 3), (3, 2), (2, 1), (1, 1), "SAME"),
        ((1, 7, 8, 2), (2, 3), (2, 3), (3, 2), "VALID"),
        ((2, 6, 5, 1), (3, 3), (1, 2), (2, 3), "SAME"),
        ((1, 2, 2, 2), (1, 1), (2, 2), (1, 1), "SAME"),
        ((0, 4, 4, 2), (2, 2), (1, 1), (1, 1), "VALID"),
    )
    for shape, size, strides, rates, padding in cases:
        case = f"{list(shape)} {list(size)} by {list(strides)}, {list(rates)} apart, {padding}"
        for dtype in (f16, bf16, f32, f64, np.int8, np.int32, np.int64) if shape == (2, 5, 4, 3) else (f32,):
            attrs = {"ksizes": [1, *size, 1], "strides": [1, *strides, 1], "rates": [1, *rates, 1], "padding": padding}
            grad = 0 not in shape
            run.add("ExtractImagePatches", f"{name(dtype)} {case}", values("x", shape, dtype), grad=grad, **attrs)
    ones = {"strides": [1] * 4, "rates": [1] * 4, "padding": "VALID"}
    x = values("x", (1, 4, 4, 1), f32)
    run.fails("ExtractImagePatches", "three axes", x[0], ksizes=[1, 2, 2, 1], **ones)
    run.fails("ExtractImagePatches", "windows too large", x, ksizes=[1, 6, 2, 1], **ones)
