"""Pooling, its gradients, and the gradients of those."""

import numpy as np
import tensorflow as tf

from fixture import stream
from samples import FLOATS, distinct, draw, f32, i32, name

# Dims of images, of the windows, strides, padding.
PLANE = (
    ((1, 4, 5, 1), (2, 2), (2, 2), "VALID"),
    ((2, 5, 4, 3), (3, 2), (1, 1), "SAME"),
    ((1, 5, 6, 2), (2, 3), (2, 2), "SAME"),
    ((2, 6, 7, 3), (3, 2), (2, 3), "VALID"),
    ((1, 3, 4, 19), (2, 2), (1, 2), "SAME"),
    ((1, 4, 4, 2), (1, 1), (2, 2), "VALID"),
    ((0, 3, 4, 2), (2, 2), (1, 1), "VALID"),
)
SPACE = (
    ((1, 3, 4, 3, 2), (2, 2, 2), (1, 1, 1), "VALID"),
    ((2, 3, 2, 4, 1), (2, 1, 3), (1, 1, 1), "SAME"),
    ((1, 4, 3, 5, 3), (2, 2, 2), (2, 2, 2), "SAME"),
    ((2, 5, 4, 7, 2), (2, 3, 2), (2, 1, 3), "SAME"),
    ((1, 5, 4, 7, 1), (3, 2, 2), (1, 2, 3), "VALID"),
)


def outer(numbers):
    return [1, *numbers, 1]


def output(size, taps, stride, padding):
    return -(-size // stride) if padding == "SAME" else (size - taps) // stride + 1


def values(label, shape, dtype):
    return draw(stream("pooling", label, *shape), shape, dtype, -1, 1)


def different(shape, dtype):
    return distinct(stream("pooling", *shape), shape, dtype)


def add(run):
    for windows, suffix in ((PLANE, ""), (SPACE, "3D")):
        for x, size, strides, padding in windows:
            case = f"{list(x)} {list(size)} by {list(strides)} {padding}"
            attrs = {"ksize": outer(size), "strides": outer(strides), "padding": padding}
            y = (x[0], *[output(*one, padding) for one in zip(x[1:], size, strides)], x[-1])
            for dtype in FLOATS:
                if dtype == f32 or (x == PLANE[1][0] and not suffix):
                    pools(run, suffix, f"{name(dtype)} {case}", x, y, dtype, attrs)
    integers = {"ksize": [1, 2, 3, 1], "strides": [1, 1, 2, 1], "padding": "SAME"}
    for dtype in (np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16):
        least = -50 if np.issubdtype(dtype, np.signedinteger) else 0
        x = (stream("integers").randint(0, 100, (1, 4, 5, 2)) + least).astype(dtype)
        run.add("MaxPool", name(dtype), x, **integers)
    ties = np.array([[1, 1, 0], [1, 0, 2], [2, 2, 2]], f32).reshape(1, 3, 3, 1)
    square = {"ksize": [1, 2, 2, 1], "strides": [1] * 4, "padding": "SAME"}
    run.add("MaxPool", "ties", ties, **square)
    run.add("MaxPoolWithArgmax", "ties", ties, **square)
    top = tf.raw_ops.MaxPool(input=ties, **square)
    run.add("MaxPoolGrad", "ties", ties, top, different((1, 3, 3, 1), f32), **square)
    cube = {"ksize": [1, 1, 2, 2, 1], "strides": [1] * 5, "padding": "SAME"}
    more = dict(reference=False, grad=False)
    run.add("MaxPool3DGrad", "ties", ties[:, None], top[:, None], different((1, 1, 3, 3, 1), f32), **cube, **more)
    explicit = {
        "ksize": [1, 2, 3, 1],
        "strides": [1, 2, 1, 1],
        "padding": "EXPLICIT",
        "explicit_paddings": [0, 0, 1, 0, 2, 1, 0, 0],
    }
    run.add("MaxPool", "explicit", different((2, 4, 5, 2), f32), **explicit)
    argmax(run)
    refused(run)
    special(run)
    formats(run)


def pools(run, suffix, case, x, y, dtype, attrs):
    a, dy, g = different(x, dtype), values("dy", y, dtype), values("g", x, dtype)
    # Along three axes there are no kernels of float64.
    more = dict(reference=False, grad=False) if suffix else {}
    run.add(f"MaxPool{suffix}", case, a, **attrs, **more)
    if 0 not in x:
        top = getattr(tf.raw_ops, f"MaxPool{suffix}")(input=a.astype(f32), **attrs).numpy().astype(dtype)
        run.add(f"MaxPool{suffix}Grad", case, a, top, dy, **attrs, **more)
        run.add(f"MaxPool{suffix}GradGrad", case, a, top, g, **attrs, **more)
        run.add(f"AvgPool{suffix}Grad", case, i32(*x), dy, **attrs, **more)
    run.add(f"AvgPool{suffix}", case, values("x", x, dtype), **attrs, **more)


def argmax(run):
    for x, size, strides, padding in PLANE[:6]:
        for batch in (False, True):
            for index in (tf.int64, tf.int32):
                case = f"{list(x)} {list(size)} by {list(strides)} {padding}, {'batch, ' if batch else ''}{index.name}"
                attrs = {"ksize": outer(size), "strides": outer(strides), "padding": padding}
                a = different(x, f32)
                wide = index == tf.int64  # TensorFlow has gradients of no other.
                run.add("MaxPoolWithArgmax", case, a, grad=wide, Targmax=index, include_batch_in_index=batch, **attrs)
                if not wide:
                    continue
                y, at = tf.raw_ops.MaxPoolWithArgmax(input=a, Targmax=index, include_batch_in_index=batch, **attrs)
                dy = values("dy", y.shape, f32)
                run.add("MaxPoolGradWithArgmax", case, a, dy, at, include_batch_in_index=batch, **attrs)


def special(run):
    x = different((1, 4, 5, 2), f32)
    x[0, 0, 1, 0], x[0, 1, 2], x[0, 3, 3, 1], x[0, 2, 0] = np.nan, np.inf, np.nan, -np.inf
    dy, g = values("dy", (1, 3, 4, 2), f32), values("g", x.shape, f32)
    dy[0, 0, 1], dy[0, 2, 0, 1], g[0, 1, 1], g[0, 1, 2, 0] = np.inf, np.nan, -np.inf, np.nan
    valid = {"ksize": [1, 2, 2, 1], "strides": [1] * 4, "padding": "VALID"}
    deep = {"ksize": [1, 1, 2, 2, 1], "strides": [1] * 5, "padding": "VALID"}
    for suffix, attrs, of in (("", valid, lambda x: x), ("3D", deep, lambda x: x[:, None])):
        more = {"reference": False, "grad": False, **attrs}
        top = getattr(tf.raw_ops, f"MaxPool{suffix}")(input=of(x), **attrs).numpy()
        run.add(f"MaxPool{suffix}", "NaN and infinity", of(x), **more)
        run.add(f"MaxPool{suffix}Grad", "NaN and infinity", of(x), top, of(dy), **more)
        run.add(f"MaxPool{suffix}GradGrad", "NaN and infinity", of(x), top, of(g), **more)
        run.add(f"AvgPool{suffix}Grad", "NaN and infinity", i32(*of(x).shape), of(dy), **more)
        run.add(f"AvgPool{suffix}Grad", "no images", i32(0, *of(x).shape[1:]), of(dy)[:0], **more)
    run.add("MaxPoolWithArgmax", "NaN and infinity", x, **valid, reference=False, grad=False)
    y, at = tf.raw_ops.MaxPoolWithArgmax(input=different((1, 4, 5, 2), f32), **valid)
    run.add("MaxPoolGradWithArgmax", "NaN and infinity", x, dy, at, **valid, reference=False, grad=False)
    explicit = {"ksize": [1, 2, 3, 1], "strides": [1, 2, 1, 1], "padding": "EXPLICIT"}
    explicit["explicit_paddings"] = [0, 0, 1, 0, 2, 1, 0, 0]
    x = different((2, 4, 5, 2), f32)
    top = tf.raw_ops.MaxPool(input=x, **explicit).numpy()
    run.add("MaxPoolGrad", "explicit", x, top, values("dy", top.shape, f32), grad=False, **explicit)
    nothing_greater(run)


def nothing_greater(run):
    """NaN in each place of a window, and windows of nothing but NaN and −∞; of 8 channels, which are a vector of TensorFlow's."""
    nan, low = np.nan, -np.inf
    rows = [[nan, 1, 2], [1, nan, 2], [2, nan, 1], [1, 2, nan], [nan, nan, 1], [nan, 1, nan], [1, nan, nan]]
    rows += [[nan] * 3, [low] * 3, [nan, low, low], [low, nan, low], [low, low, nan], [low, 1, 1], [np.inf, 1, np.inf]]
    x = np.repeat(np.array(rows).reshape(len(rows), 1, 3, 1), 8, axis=-1)
    for dtype in FLOATS:
        attrs = {"ksize": [1, 1, 3, 1], "strides": [1] * 4, "padding": "VALID"}
        own, more = x.astype(dtype), {"reference": False, "grad": False}
        top = tf.raw_ops.MaxPool(input=tf.constant(own), **attrs)
        dy, g = values("dy", top.shape, dtype), values("g", x.shape, dtype)
        case = f"{name(dtype)} nothing greater"
        run.add("MaxPool", case, own, **attrs, **more)
        run.add("MaxPoolWithArgmax", case, own, **attrs, **more)
        run.add("MaxPoolGrad", case, own, top, dy, **attrs, **more)
        run.add("MaxPoolGradGrad", case, own, top, g, **attrs, **more)
        if dtype == f32:
            attrs = {"ksize": [1, 1, 1, 3, 1], "strides": [1] * 5, "padding": "VALID"}
            top = tf.raw_ops.MaxPool3D(input=own[:, None], **attrs)
            run.add("MaxPool3D", case, own[:, None], **attrs, **more)
            run.add("MaxPool3DGrad", case, own[:, None], top, dy[:, None], **attrs, **more)
            run.add("MaxPool3DGradGrad", case, own[:, None], top, g[:, None], **attrs, **more)
            # Of what is no output, all that are as near to it, and the first that is equal.
            near = np.array([1, 1 - 5e-6, 1 - 2e-5, 2], f32).reshape(1, 1, 1, 4, 1)
            output = np.array([1, 2], f32).reshape(1, 1, 1, 2, 1)
            run.add("MaxPool3DGrad", "nearly the greatest", near, output, different(output.shape, f32), **attrs, **more)
            run.add("MaxPool3DGradGrad", "nearly the greatest", near, output, different(near.shape, f32), **attrs, **more)


def formats(run):
    """TensorFlow's kernels for the CPU have channels last alone."""
    for suffix, first, ones in (("", "NCHW", [1]), ("3D", "NCDHW", [1, 1])):
        x, y = values("x", (1, 2, *ones[1:], 4, 5), f32), values("y", (1, 2, *ones[1:], 3, 4), f32)
        attrs = {"ksize": [1, *ones, 2, 2], "strides": [1] * x.ndim, "padding": "VALID", "data_format": first}
        for op in ("MaxPool", "AvgPool"):
            run.fails(f"{op}{suffix}", "channels first", x, **attrs)
        run.fails(f"MaxPool{suffix}Grad", "channels first", x, y, y, **attrs)
        run.fails(f"MaxPool{suffix}GradGrad", "channels first", x, y, x, **attrs)
        run.fails(f"AvgPool{suffix}Grad", "channels first", i32(*x.shape), y, **attrs)
    x = np.zeros((1, 1, 4, 5, 4), f32)
    attrs = {"ksize": [1, 1, 2, 2], "strides": [1] * 4, "padding": "VALID"}
    run.fails("MaxPool", "four channels together", x, data_format="NCHW_VECT_C", **attrs)


def refused(run):
    x = values("x", (1, 3, 4, 2), f32)
    square = {"ksize": [1, 2, 2, 1], "strides": [1] * 4}
    run.fails("MaxPool", "a vector", x[0, 0, 0], padding="VALID", **square)
    run.fails("MaxPool", "a window too large", x, ksize=[1, 5, 2, 1], strides=[1] * 4, padding="VALID")
    run.fails("MaxPool", "windows of nothing", x, ksize=[1, 0, 2, 1], strides=[1] * 4, padding="VALID")
    run.fails("AvgPool", "stride 0", x, ksize=[1, 2, 2, 1], strides=[1, 0, 1, 1], padding="VALID")
    run.fails("AvgPool", "three numbers", x, ksize=[2, 2, 1], strides=[1] * 4, padding="VALID")
    run.fails("MaxPoolGrad", "another gradient", x, x[:, :2, :3], x, padding="VALID", **square)
    run.fails("AvgPool3D", "a vector", x, ksize=[1, 1, 2, 2, 1], strides=[1] * 5, padding="VALID")
