"""Images under projective maps, and colors."""

import itertools

import numpy as np

from fixture import stream
from samples import FLOATS, bf16, draw, f16, f32, f64, i32, name

PROJECT = "ImageProjectiveTransformV3"
MODES = ("CONSTANT", "REFLECT", "WRAP", "NEAREST")
TURN = (0.8125, -0.59375, 1.65625, 0.59375, 0.8125, -0.78125, 0, 0)
# Names of maps, and their numbers.
MAPS = {
    "none": ((1, 0, 0, 0, 1, 0, 0, 0),),
    "a step": ((1, 0, 1.25, 0, 1, -0.625, 0, 0),),
    "a turn": (TURN,),
    "a zoom": ((1.6875, 0, -1.15625, 0, 0.59375, 0.84375, 0, 0),),
    "a shear": ((1, 0.40625, 0, -0.3125, 1, 0, 0, 0),),
    "a perspective": ((1, 0.09375, 0.53125, 0.15625, 1, -0.40625, 0.03125, -0.0625),),
    "far away": ((1, 0, 23.15625, 0, 1, -37.28125, 0, 0),),
    "endless": ((1, 0, 0, 0, 1, 0, -0.5, 0),),
}
SHAPES = (((1, 4, 5, 2), (4, 5)), ((1, 5, 3, 1), (2, 7)), ((1, 1, 1, 3), (2, 2)))


def values(label, shape, dtype):
    low = 0 if np.issubdtype(dtype, np.unsignedinteger) else -20
    return draw(stream("projection", label, *shape), shape, dtype, low, 20)


def add(run):
    more = dict(reference=False, grad=False)
    for shape, size in SHAPES:
        for words, maps in MAPS.items():
            for mode in MODES:
                for interpolation in ("NEAREST", "BILINEAR"):
                    how = dict(interpolation=interpolation, fill_mode=mode)
                    case = f"{words}, {interpolation}, {mode}, {list(shape)} to {list(size)}"
                    run.add(PROJECT, case, values("x", shape, f32), f32(maps), i32(*size), f32(-3.5), **how, **more)
    shape, size = (2, 4, 5, 2), i32(4, 5)
    each = f32([TURN, (1, 0, 0.75, 0, 1, 0.25, 0, 0)])
    for dtype in (f16, bf16, f32, f64, np.uint8, np.int32, np.int64):
        for interpolation in ("NEAREST", "BILINEAR"):
            case = f"{name(dtype)}, a map for each image, {interpolation}"
            x = values("each", shape, dtype)
            run.add(PROJECT, case, x, each, size, f32(2.5), interpolation=interpolation, **more)
    x = values("x", (0, 3, 2, 1), f32)
    run.add(PROJECT, "no images", x, f32([TURN]), i32(2, 2), f32(0), interpolation="NEAREST", **more)
    special = values("special", (1, 4, 5, 1), f32)
    special[0, 1, 2], special[0, 2, 3], special[0, 0, 1] = np.nan, np.inf, -np.inf
    for interpolation in ("NEAREST", "BILINEAR"):
        case = f"NaN and infinity, {interpolation}"
        run.add(PROJECT, case, special, f32([TURN]), i32(4, 5), f32(0), interpolation=interpolation, **more)
    refused(run)
    colors(run)


def refused(run):
    x, maps, size, fill = values("x", (2, 3, 4, 1), f32), f32([TURN]), i32(3, 4), f32(0)
    how = dict(interpolation="BILINEAR")
    run.fails(PROJECT, "three axes", x[0], maps, size, fill, **how)
    run.fails(PROJECT, "three maps for two images", x, np.repeat(maps, 3, 0), size, fill, **how)
    run.fails(PROJECT, "seven numbers", x, maps[:, :7], size, fill, **how)
    run.fails(PROJECT, "one axis of maps", x, maps[0], size, fill, **how)
    run.fails(PROJECT, "three sizes", x, maps, i32(3, 4, 1), fill, **how)
    run.fails(PROJECT, "no rows wanted", x, maps, i32(0, 4), fill, **how)
    run.fails(PROJECT, "two fill values", x, maps, size, f32([0, 1]), **how)


def colors(run):
    rng = stream("colors")
    gray = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [1, 1, 1]])
    for dtype in FLOATS:
        for shape in ((3,), (2, 4, 3), (5, 2, 1, 3), (0, 3)):
            case = f"{name(dtype)} {list(shape)}"
            # Apart by at least a sixteenth, so that differences do not change which is the greatest.
            count = int(np.prod(shape[:-1], dtype=np.int64))
            apart = np.array([rng.permutation(15)[:3] + 1 for _ in range(count)], f64)
            x = (apart / 16).reshape(shape).astype(dtype)
            run.add("RGBToHSV", case, x, grad=0 not in shape)
            hsv = draw(rng, shape, dtype, 0, 1)
            run.add("HSVToRGB", case, hsv, grad=False)
        run.add("RGBToHSV", f"{name(dtype)} gray", gray.astype(dtype), grad=False)
        run.add("RGBToHSV", f"{name(dtype)} to 255", draw(rng, (4, 3), dtype, 0, 255), grad=False)
        run.add("HSVToRGB", f"{name(dtype)} beyond one", draw(rng, (6, 3), dtype, -1, 3), grad=False)
        orders = np.array([rgb for rgb in itertools.product([np.nan, 0.25, 0.5], repeat=3)])
        run.add("RGBToHSV", f"{name(dtype)} NaN in each place", orders.astype(dtype), grad=False)
        infinite = np.array([rgb for rgb in itertools.product([-np.inf, np.inf, 0.5], repeat=3)])
        run.add("RGBToHSV", f"{name(dtype)} infinities", infinite.astype(dtype), grad=False)
    for op in ("RGBToHSV", "HSVToRGB"):
        run.fails(op, "four channels", values("x", (2, 4), f32))
        run.fails(op, "a scalar", f32(1))
