"""Tables that begin as numbers that are given."""

import keras
import numpy as np
import tensorflow as tf

from fixture import stream
from keras_recorder import Recorder, config
from samples import draw, f16, f32, f64


def add(fixture):
    record = Recorder(fixture, "given table")
    numbers = np.array([[0, 2, 1], [3, 3, 0]], np.int32)
    table = draw(stream("given table"), (4, 3), f64, -2, 2)
    for label, weights, settings in (
        ("float64", table, {}),
        ("float32", table.astype(f32), {}),
        ("int32", (4 * table).astype(np.int32), {}),
        ("float64 for a table of float16", table, {"dtype": "float16"}),
        ("float16 for a mixed policy", table.astype(f16), {"dtype": "mixed_bfloat16"}),
        ("float64 beside an initializer", table, {"embeddings_initializer": "ones", "mask_zero": True}),
    ):
        layer = keras.layers.Embedding(4, 3, weights=weights, **settings)
        record.row(
            label,
            config=config(layer),
            given=record.put(weights),
            x=record.put(numbers),
            weights=record.named(layer.weights),
            y=record.put(layer(tf.constant(numbers))),
        )
