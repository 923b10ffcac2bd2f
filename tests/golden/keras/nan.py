"""Reductions that pass over NaN, what stands in its place, and whether floats are near each other."""

import keras
import numpy as np
import tensorflow as tf

from fixture import stream
from keras_recorder import Recorder, wide
from op_runner import cotangent
from samples import draw, f32

REDUCTIONS = ("nansum", "nanprod", "nanmax", "nanmin", "nanmean", "nanvar", "nanstd")
SHAPE = (2, 3, 4)


def with_nan(label, *places, shape=SHAPE):
    x = draw(stream("nan", label), shape, f32, -2, 2)
    for place in places:
        x[place] = np.nan
    return x


def add(fixture):
    record = Recorder(fixture, "nan")

    def case(function, label, x, differentiable=True, **arguments):
        call = lambda x: getattr(keras.ops, function)(x, **arguments)
        source = tf.constant(wide(x))
        with tf.GradientTape() as tape:
            tape.watch(source)
            reference = call(source)
            dy = cotangent(reference.shape)
            total = tf.reduce_sum(reference * dy)
        grad = tape.gradient(total, source) if differentiable else None
        record.row(
            f"{function} {label}",
            function=function,
            arguments=arguments,
            inputs=[record.put(x)],
            reference=record.put(reference),
            dy=record.put(dy),
            grad=None if grad is None else record.put(grad),
        )

    some = with_nan("some", (0, 1, 2), (1, 0, 0), (1, 0, 3), (1, 2, slice(None)))
    ends = some.copy()
    ends[0, 0, 0], ends[0, 2, 1] = np.inf, -np.inf
    for function in REDUCTIONS:
        for axis in (None, 0, -1, (0, 2), (0, 1, 2)):
            # A root is not differentiable where nothing varies, nor is what is made of nothing.
            case(function, f"along {axis}", some, axis in (None, 0, (0, 1, 2)), axis=axis)
        case(function, "of numbers", with_nan("none"), axis=1)
        case(function, "of infinities", ends, False, axis=1)
        case(function, "of a scalar", np.float32(1.5), function not in ("nanvar", "nanstd"), axis=None)
        if function not in ("nanmax", "nanmin"):
            case(function, "of no rows", with_nan("rows", shape=(0, 3)), False, axis=0)
    case("nan_to_num", "", ends)
    case("nan_to_num", "with numbers", ends, nan=1.5, posinf=7.0, neginf=-8.0)
    case("nan_to_num", "of a scalar", np.float32(np.nan))

    a = np.float32([1, 1, 1, np.nan, np.nan, np.inf, np.inf, -np.inf, 0, 1e8, 1e8])
    b = np.float32([1, 1.0001, 1.00001, np.nan, 1, np.inf, -np.inf, 1, 1e-9, 1e8 + 8, 1e8 + 4096])
    for rtol, atol in ((1e-5, 1e-8), (0, 0), (1e-3, 0), (0, 1e-3)):
        for equal_nan in (False, True):
            for function in ("isclose", "allclose"):
                for label, some in (("", slice(None)), (" equals", slice(0, 1)), (" alike", slice(3, 6, 2))):
                    x, y = wide(a[some]), wide(b[some])
                    found = getattr(np, function)(x, y, rtol, atol, equal_nan)
                    if function == "allclose":
                        keras_found = keras.ops.allclose(x, y, rtol=rtol, atol=atol, equal_nan=equal_nan)
                        assert bool(keras_found) == bool(found)
                    record.row(
                        f"{function}{label} by {rtol} and {atol}, {'NaN equal' if equal_nan else 'NaN apart'}",
                        function=function,
                        arguments=dict(rtol=rtol, atol=atol, equal_nan=equal_nan),
                        inputs=[record.put(x), record.put(y)],
                        reference=record.put(np.asarray(found)),
                        dy=None,
                        grad=None,
                    )
