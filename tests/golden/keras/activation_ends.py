"""Activations where numbers end."""

import keras
import numpy as np
import tensorflow as tf

from keras_recorder import Recorder, in_float64
from samples import bf16, f16, f32


def add(fixture):
    record = Recorder(fixture, "activation")
    for dtype in (f32, f16, bf16):
        most = tf.as_dtype(dtype).max
        x = np.array([[0.0, -0.0, np.inf, -np.inf, np.nan, most, -most, 30.0, -30.0, 300.0, -300.0]], dtype)
        for approximate in (False, True):
            args = {"approximate": approximate}
            reference, _, _ = in_float64(lambda t: keras.activations.gelu(t, **args), x)
            record.row(
                f"gelu, approximate={approximate}, ends of {np.dtype(dtype).name}",
                name="gelu",
                args=args,
                x=record.put(x),
                y=record.put(keras.activations.gelu(tf.constant(x), **args)),
                reference=record.put(reference),
                dy=None,
                grad=None,
            )
