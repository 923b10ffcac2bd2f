"""Convolution, depthwise convolution, and their gradients."""

import numpy as np

from fixture import stream
from samples import FLOATS, draw, f16, f32, f64, i32, name

# Dims of an image, of the windows, strides, dilations, padding.
PLANE = (
    ((1, 4, 5), (3, 2), (1, 1), (1, 1), "VALID"),
    ((2, 5, 4), (3, 3), (1, 1), (1, 1), "SAME"),
    ((1, 5, 6), (2, 3), (2, 2), (1, 1), "SAME"),
    ((2, 6, 7), (3, 2), (2, 3), (1, 1), "VALID"),
    ((1, 7, 6), (3, 2), (1, 1), (2, 3), "VALID"),
    ((1, 5, 5), (3, 3), (1, 1), (2, 2), "SAME"),
    ((1, 4, 4), (1, 1), (2, 2), (1, 1), "VALID"),
    ((1, 3, 4), (2, 2), (3, 3), (1, 1), "SAME"),
    ((0, 3, 4), (2, 2), (1, 1), (1, 1), "SAME"),
)
SPACE = (
    ((1, 3, 4, 3), (2, 2, 2), (1, 1, 1), (1, 1, 1), "VALID"),
    ((2, 3, 2, 4), (2, 1, 3), (1, 1, 1), (1, 1, 1), "SAME"),
    ((1, 4, 3, 5), (2, 2, 2), (2, 1, 2), (1, 1, 1), "SAME"),
    ((0, 2, 2, 2), (2, 2, 2), (1, 1, 1), (1, 1, 1), "VALID"),
)
CHANNELS = ((1, 1, 1), (2, 2, 3), (3, 3, 2))
GROUPS = ((4, 2, 6), (3, 1, 3), (4, 1, 8))


def words(x, size, strides, dilations, padding, *more):
    return " ".join([str(list(x)), str(list(size)), f"by {list(strides)} of {list(dilations)}", padding, *more])


def outer(numbers):
    return [1, *numbers, 1]


def values(label, shape, dtype):
    return draw(stream("convolution", label, *shape), shape, dtype, -1, 1)


def output(size, taps, stride, dilation, padding):
    reach = (taps - 1) * dilation + 1
    if padding == "SAME":
        return -(-size // stride)
    before, after = (0, 0) if padding == "VALID" else padding
    return (size + before + after - reach) // stride + 1


def add(run):
    for axes, windows, ops in (
        (2, PLANE, ("Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter")),
        (3, SPACE, ("Conv3D", "Conv3DBackpropInputV2", "Conv3DBackpropFilterV2")),
    ):
        for x, size, strides, dilations, padding in windows:
            for channels, depth, filters in CHANNELS:
                attrs = {"strides": outer(strides), "padding": padding, "dilations": outer(dilations)}
                case = words(x, size, strides, dilations, padding, f"{channels} to {filters}")
                all_three(run, ops, case, (x, channels), (*size, depth, filters), f32, attrs, (strides, dilations))
    plane = ("Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter")
    for dtype in FLOATS:
        if dtype != f32:
            attrs = {"strides": [1, 2, 1, 1], "padding": "SAME"}
            all_three(run, plane, name(dtype), ((2, 5, 4), 2), (3, 2, 2, 3), dtype, attrs, ((2, 1), (1, 1)))
    all_three(
        run,
        plane,
        "many channels",
        ((2, 6, 5), 19),
        (3, 3, 19, 33),
        f32,
        {"strides": [1] * 4, "padding": "SAME"},
        ((1, 1), (1, 1)),
    )
    explicit = {"strides": [1, 2, 1, 1], "padding": "EXPLICIT", "explicit_paddings": [0, 0, 1, 2, 0, 3, 0, 0]}
    all_three(
        run, plane, "explicit", ((2, 4, 3), 2), (3, 2, 2, 3), f32, explicit, ((2, 1), (1, 1)), ((1, 2), (0, 3))
    )
    # Eigen's kernels of groups are for the output alone.
    for channels, depth, filters in GROUPS:
        x, filter = values("groups", (2, 4, 5, channels), f32), values("groups", (3, 2, depth, filters), f32)
        case = f"{channels} in groups of {depth} to {filters}"
        run.add("Conv2D", case, x, filter, grad=False, strides=[1] * 4, padding="SAME")
    depthwise(run)
    special(run)
    refused(run)
    formats(run)


def all_three(run, ops, case, image, filter, dtype, attrs, steps, explicit=None):
    (x, channels), (strides, dilations) = image, steps
    padding = explicit or [attrs["padding"]] * len(strides)
    places = [output(*one) for one in zip(x[1:], filter, strides, dilations, padding)]
    y = (x[0], *places, filter[-1])
    x = (*x, channels)
    a, f, dy = values("x", x, dtype), values("filter", filter, dtype), values("dy", y, dtype)
    if max(dilations) > 1:
        # TensorFlow has no gradient of it.
        run.add(ops[0], case, a, f, grad=False, **attrs)
        return
    run.add(ops[0], case, a, f, **attrs)
    run.add(ops[1], case, i32(*x), f, dy, **attrs)
    run.add(ops[2], case, a, i32(*filter), dy, **attrs)


def depthwise(run):
    op = "DepthwiseConv2dNative"
    windows = (
        ((1, 4, 5), (3, 2), 1, "VALID"),
        ((2, 5, 4), (3, 3), 1, "SAME"),
        ((1, 5, 6), (2, 3), 2, "SAME"),
        ((2, 6, 7), (3, 2), 2, "VALID"),
        ((1, 3, 4), (2, 2), 3, "SAME"),
        ((1, 4, 4), (1, 1), 1, "SAME"),
    )
    for x, size, stride, padding in windows:
        for channels, multiplier in ((1, 1), (3, 1), (2, 3), (19, 1), (1, 2)):
            places = [output(*one, stride, 1, padding) for one in zip(x[1:], size)]
            for dtype in (f32, f64, f16) if (channels, multiplier) == (2, 3) else (f32,):
                case = f"{name(dtype)} {words(x, size, [stride] * 2, [1, 1], padding)} {channels} by {multiplier}"
                a = values("x", (*x, channels), dtype)
                f = values("filter", (*size, channels, multiplier), dtype)
                dy = values("dy", (x[0], *places, channels * multiplier), dtype)
                attrs = {"strides": outer([stride] * 2), "padding": padding}
                run.add(op, case, a, f, **attrs)
                run.add(op + "BackpropInput", case, i32(*a.shape), f, dy, **attrs)
                run.add(op + "BackpropFilter", case, a, i32(*f.shape), dy, **attrs)
    explicit = {"strides": [1] * 4, "padding": "EXPLICIT", "explicit_paddings": [0, 0, 1, 2, 0, 3, 0, 0]}
    a, f, dy = values("x", (2, 4, 3, 2), f32), values("filter", (3, 2, 2, 2), f32), values("dy", (2, 5, 5, 4), f32)
    run.add(op, "explicit", a, f, **explicit)
    run.add(op + "BackpropInput", "explicit", i32(*a.shape), f, dy, **explicit)
    run.add(op + "BackpropFilter", "explicit", a, i32(*f.shape), dy, **explicit)
    f, same = values("f", (2, 2, 3, 1), f32), {"strides": [1] * 4, "padding": "SAME"}
    run.fails(op, "other channels", values("x", (1, 3, 3, 2), f32), f, **same)
    run.fails(op, "a vector", values("x", (3,), f32), f, **same)
    x, dy, uneven = values("x", (1, 5, 4, 3), f32), values("dy", (1, 2, 3, 3), f32), {"strides": [1, 2, 1, 1], "padding": "VALID"}
    run.fails(op, "strides that differ", x, f, **uneven)
    run.fails(op + "BackpropInput", "strides that differ", i32(*x.shape), f, dy, **uneven)
    run.fails(op + "BackpropFilter", "strides that differ", x, i32(*f.shape), dy, **uneven)


def special(run):
    """NaN and infinity in gradients and images; a filter that has them meets the zeros around an image, or does not."""
    dy, x = values("special", (1, 3, 4, 2), f32), values("special x", (1, 4, 5, 2), f32)
    dy[0, 0, 1], dy[0, 2, 3, 1], x[0, 1, 1, 0], x[0, 3, 4] = np.nan, np.inf, -np.inf, np.nan
    same, more = {"strides": [1] * 4, "padding": "VALID"}, {"grad": False}
    f = values("special filter", (2, 2, 2, 2), f32)
    run.add("Conv2DBackpropInput", "NaN and infinity", i32(1, 4, 5, 2), f, dy, **same, **more)
    run.add("Conv2DBackpropFilter", "NaN and infinity", x, i32(2, 2, 2, 2), dy, **same, **more)
    deep, cube = dy[:, None], {"strides": [1] * 5, "padding": "VALID"}
    run.add("Conv3DBackpropInputV2", "NaN and infinity", i32(1, 1, 4, 5, 2), f[None], deep, **cube, **more)
    run.add("Conv3DBackpropFilterV2", "NaN and infinity", x[:, None], i32(1, 2, 2, 2, 2), deep, **cube, **more)
    op, f = "DepthwiseConv2dNative", values("special filter", (2, 2, 2, 1), f32)
    run.add(op + "BackpropInput", "NaN and infinity", i32(1, 4, 5, 2), f, dy, **same, **more)
    run.add(op + "BackpropFilter", "NaN and infinity", x, i32(2, 2, 2, 1), dy, **same, **more)
    none = np.zeros((0, 4, 5, 2), f32)
    # TensorFlow leaves the gradient of the filter as memory was.
    run.add(op, "no images", none, f, grad=False, **same)
    run.add(op + "BackpropInput", "no images", i32(0, 4, 5, 2), f, dy[:0], grad=False, **same)


def formats(run):
    """What TensorFlow's kernels for the CPU do not have: channels first, and places apart on the way back."""
    plane = ("Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter")
    space = ("Conv3D", "Conv3DBackpropInputV2", "Conv3DBackpropFilterV2")
    depthwise = [f"DepthwiseConv2dNative{way}" for way in ("", "BackpropInput", "BackpropFilter")]
    for ops, size, filters, first in (
        (plane, (3, 2), 3, "NCHW"),
        (space, (2, 3, 2), 3, "NCDHW"),
        (depthwise, (3, 2), 2, "NCHW"),
    ):
        axes = len(size)
        filter = values("filter", (*size, 2, 1 if ops is depthwise else filters), f32)
        for case, apart, attrs in (
            ("channels first", 1, {"data_format": first}),
            ("apart", 2, {"dilations": [1, 2, *[1] * (axes - 1), 1]}),
        ):
            places = (7, 6, 5)[:axes]
            after = [place - (taps - 1) * (apart if i == 0 else 1) for i, (place, taps) in enumerate(zip(places, size))]
            order = lambda x: np.moveaxis(x, -1, 1) if "data_format" in attrs else x
            x, dy = order(values("x", (1, *places, 2), f32)), order(values("dy", (1, *after, filters), f32))
            attrs = {"strides": [1] * (axes + 2), "padding": "VALID", **attrs}
            if case == "channels first" or ops[0] != "Conv2D":
                run.fails(ops[0], case, x, filter, **attrs)
            run.fails(ops[1], case, i32(*x.shape), filter, dy, **attrs)
            run.fails(ops[2], case, x, i32(*filter.shape), dy, **attrs)


def refused(run):
    x, f = values("x", (1, 3, 4, 2), f32), values("filter", (2, 2, 2, 3), f32)
    dy = values("dy", (1, 2, 3, 3), f32)
    valid = {"strides": [1] * 4, "padding": "VALID"}
    run.fails("Conv2D", "a window too large", x, values("filter", (5, 2, 2, 3), f32), **valid)
    run.fails("Conv2D", "other channels", x, values("filter", (2, 2, 3, 3), f32), **valid)
    run.fails("Conv2D", "a vector", x[0, 0, 0], f, **valid)
    run.fails("Conv2D", "a filter of rank 3", x, f[0], **valid)
    run.fails("Conv2D", "stride 0", x, f, strides=[1, 0, 1, 1], padding="VALID")
    run.fails("Conv2D", "three strides", x, f, strides=[1, 1, 1], padding="VALID")
    run.fails("Conv2D", "strides of the batch", x, f, strides=[2, 1, 1, 1], padding="VALID")
    run.fails("Conv2D", "dilation 0", x, f, dilations=[1, 0, 1, 1], **valid)
    explicit = {"strides": [1] * 4, "padding": "EXPLICIT"}
    run.fails("Conv2D", "negative padding", x, f, explicit_paddings=[0, 0, -1, 0, 0, 0, 0, 0], **explicit)
    run.fails("Conv2D", "explicit paddings of VALID", x, f, explicit_paddings=[0, 0, 1, 0, 0, 0, 0, 0], **valid)
    run.fails("Conv2DBackpropInput", "another gradient", i32(1, 3, 4, 2), f, dy[:, :1], **valid)
    run.fails("Conv2DBackpropInput", "three dims", i32(1, 3, 4), f, dy, **valid)
    run.fails("Conv2DBackpropFilter", "another gradient", x, i32(2, 2, 2, 3), dy[:, :1], **valid)
    long = values("filter", (2, 2, 9, 2, 3), f32)
    run.fails("Conv3D", "a window too large", x[None], long, strides=[1] * 5, padding="VALID")
