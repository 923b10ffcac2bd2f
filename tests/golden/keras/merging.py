"""Layers that make one tensor of several."""

import keras
import numpy as np
import tensorflow as tf

from fixture import stream
from keras_recorder import Recorder, config, wide, with_mask
from op_runner import cotangent
from samples import distinct, draw, f16, f32


def add(fixture):
    L = keras.layers
    record = Recorder(fixture, "merging")
    rng = stream("merging")
    a, b, c = (distinct(rng, (2, 3, 4), f32) / 8 + f32(i / 64) for i in range(3))
    wave = [draw(rng, shape, f32, -2, 2) for shape in ((2, 3, 4), (2, 1, 4), (2, 3, 1), (2, 4), (2, 1), (2,))]
    steps = [
        np.array([[True, True, False], [True, False, False]]),
        np.array([[True, False, True], [False, False, False]]),
        np.array([[False, False, False], [True, True, True]]),
    ]

    for name in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"):
        make = getattr(L, name)
        merge(record, f"{name} of two", lambda d: make(dtype=d), [a, b])
        merge(record, f"{name}, all masked", lambda d: make(dtype=d), [a, b], steps[:2])
        merge(record, f"{name}, the first masked", lambda d: make(dtype=d), [a, b], [steps[0], None])
        merge(record, f"{name}, the second masked", lambda d: make(dtype=d), [a, b], [None, steps[1]])
        for label, inputs in {
            "a row": [wave[0], wave[1]],
            "a column": [wave[2], wave[0]],
            "a row and a column": [wave[1], wave[2]],
            "a matrix": [wave[0], wave[3]],
            "a matrix first": [wave[3], wave[0]],
            "a matrix of one": [wave[0], wave[4]],
            "a vector": [wave[3], wave[5]],
        }.items():
            merge(record, f"{name} with {label}", lambda d: make(dtype=d), inputs)
        merge(record, f"{name} with a row, masked", lambda d: make(dtype=d), wave[:2], [steps[0], steps[1][:, :1]])
        merge(record, f"{name}, float16", lambda d: make(dtype=d), [a.astype(f16), b.astype(f16)], dtype="float16")
        if name != "Subtract":
            merge(record, f"{name} of one", lambda d: make(dtype=d), [a], [steps[0]])
            merge(record, f"{name} of three", lambda d: make(dtype=d), [a, b, c])
            merge(record, f"{name} of three, masked", lambda d: make(dtype=d), [a, b, c], steps)
            merge(record, f"{name} of three, two masked", lambda d: make(dtype=d), [a, b, c], [*steps[:2], None])
            last = [None, None, steps[2]]
            merge(record, f"{name} of three, the last masked", lambda d: make(dtype=d), [a, b, c], last)
            ranks = [wave[0], wave[3], wave[4]]
            merge(record, f"{name} of three ranks", lambda d: make(dtype=d), ranks)

    for axis, inputs in ((-1, [a, wave[2]]), (1, [a, wave[1], b]), (2, [a, b]), (-2, [wave[1], a]), (0, [a, b])):
        merge(record, f"Concatenate along {axis}", lambda d: L.Concatenate(axis=axis, dtype=d), inputs)
    merge(record, "Concatenate of one", lambda d: L.Concatenate(dtype=d), [a], steps[:1])
    for axis in (-1, 1, 2):
        for label, masks in (("all", steps[:2]), ("the first", [steps[0], None]), ("the second", [None, steps[1]])):
            words = f"Concatenate along {axis}, {label} masked"
            merge(record, words, lambda d: L.Concatenate(axis=axis, dtype=d), [a, b], masks)
    masks = [np.array(rng.uniform(size=(2, 3, 4)) < 0.5), steps[0]]
    merge(record, "Concatenate of masks for each number", lambda d: L.Concatenate(axis=1, dtype=d), [a, b], masks)

    matrix, other = draw(rng, (2, 5), f32, -2, 2), draw(rng, (2, 5), f32, -2, 2)
    left, right = draw(rng, (2, 5, 3), f32, -2, 2), draw(rng, (2, 3, 5), f32, -2, 2)
    deep, deeper = draw(rng, (2, 3, 4, 5), f32, -2, 2), draw(rng, (2, 5, 2, 3), f32, -2, 2)
    for axes, inputs in (
        (1, [matrix, other]),
        (-1, [matrix, other]),
        ((1, 2), [matrix, right]),
        ((1, 1), [left, matrix]),
        ((1, 2), [left, right]),
        ((2, 1), [left, right]),
        ([-1, -2], [left, right]),
        (2, [left, left]),
        (1, [left, left]),
        ((3, 1), [deep, deeper]),
        ((1, 3), [deep, deeper]),
        ((2, 1), [deep, draw(rng, (2, 4), f32, -2, 2)]),
        ((1, 2), [matrix, deep.transpose(0, 1, 3, 2)]),
    ):
        shapes = " and ".join(str(list(x.shape)) for x in inputs)
        for normalize in (False, True):
            words = f"Dot of {shapes} along {axes}{', normalized' if normalize else ''}"
            merge(record, words, lambda d: L.Dot(axes, normalize=normalize, dtype=d), inputs)
    merge(record, "Dot, masked", lambda d: L.Dot(2, dtype=d), [a, b], steps[:2])


def merge(record, label, make, inputs, masks=None, dtype="float32"):
    masks = masks or [None] * len(inputs)
    keras.backend.clear_session()
    layer = make(dtype)
    y = layer([with_mask(tf.constant(x), mask) for x, mask in zip(inputs, masks)])
    precise = make("float64")
    tensors = [tf.constant(wide(x)) for x in inputs]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        reference = precise([with_mask(x, mask) for x, mask in zip(tensors, masks)])
        dy = cotangent(reference.shape)
        total = tf.reduce_sum(reference * dy)
    grads = tape.gradient(total, tensors)
    # Where a mask leaves an input out, nothing flows to it.
    grads = [tf.zeros_like(x) if grad is None else grad for x, grad in zip(tensors, grads)]
    record.row(
        label,
        config=config(make("float32")),
        inputs=[record.put(x) for x in inputs],
        masks=[record.put(mask) for mask in masks],
        y=record.put(y),
        output_mask=record.put(getattr(y, "_keras_mask", None)),
        reference=record.put(reference),
        dy=record.put(dy),
        grads=[record.put(grad) for grad in grads],
    )
