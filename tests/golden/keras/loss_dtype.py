"""Losses in a dtype of their own."""

import keras
import tensorflow as tf

from fixture import stream
from keras_recorder import Recorder
from samples import draw, f16, f32, f64, name


def add(fixture):
    record = Recorder(fixture, "loss in a dtype")
    rng = stream("loss in a dtype")
    truth, ids = draw(rng, (6, 4), f32, 0.1, 0.9), rng.randint(0, 4, 6)
    predictions = draw(rng, (6, 4), f64, 0.1, 0.9)
    weights = draw(rng, (6,), f32, 0.5, 2)
    for loss in ("MeanSquaredError", "Huber", "Poisson", "BinaryCrossentropy", "SparseCategoricalCrossentropy"):
        for given in (f16, f32, f64):
            for dtype in ("float16", "bfloat16", "float32", "float64", "mixed_bfloat16"):
                y_true = ids if loss.startswith("Sparse") else truth
                for reduction, weight in (("sum_over_batch_size", None), ("none", weights)):
                    make = getattr(keras.losses, loss)(dtype=dtype, reduction=reduction)
                    y_pred = predictions.astype(given)
                    y = make(tf.constant(y_true), tf.constant(y_pred), None if weight is None else tf.constant(weight))
                    record.row(
                        f"{loss} of {name(given)} in {dtype}, {reduction}",
                        config=keras.losses.serialize(make),
                        dtype=dtype,
                        y_true=record.put(y_true),
                        y_pred=record.put(y_pred),
                        weight=record.put(weight),
                        y=record.put(y.numpy()),
                    )
