"""Pooling to a given size."""

import keras
import numpy as np

from fixture import stream
from keras_recorder import LayerRecorder
from samples import distinct, draw, f32


def add(fixture):
    case = LayerRecorder(fixture).case
    L = keras.layers
    inputs = {1: (2, 10, 3), 2: (2, 7, 6, 3), 3: (1, 5, 4, 6, 2)}
    sizes = {1: (1, 4, 5, 3, 7, 10, 13), 2: (1, 3, (2, 4), (7, 3), (5, 9)), 3: (1, 2, (3, 4, 2), (5, 1, 4), (2, 5, 3))}
    for axes, shape in inputs.items():
        tops = distinct(stream("adaptive tops", axes), shape, f32) / 8
        for kind, x in (("Max", tops), ("Average", draw(stream("adaptive", axes), shape, f32, -1, 1))):
            pool = getattr(L, f"Adaptive{kind}Pooling{axes}D")
            narrow = {"dtype": "float32"} if axes == 3 else {}  # TensorFlow pools no volumes of float64.
            for size in sizes[axes]:
                # A window larger than the image, of which Keras takes none, leaves MaxPoolGrad's result as memory was.
                differentiable = kind == "Average" or 1 not in (size if isinstance(size, tuple) else (size,))
                words = f"Adaptive{kind}Pooling{axes}D to {size}"
                case(words, lambda d: pool(size, **{"dtype": d, **narrow}), x, differentiable=differentiable)
                settings = {"data_format": "channels_first", **narrow}
                moved = np.moveaxis(x, -1, 1).copy()
                words = f"{words}, channels_first"
                case(words, lambda d: pool(size, **{"dtype": d, **settings}), moved, differentiable=differentiable)
    # Equal elements: the gradient goes to the first along the last axis of the windows, then along the one before.
    x = np.floor(draw(stream("adaptive ties"), (1, 6, 6, 1), f32, 0, 3))
    case("AdaptiveMaxPooling2D of ties", lambda d: L.AdaptiveMaxPooling2D(3, dtype=d), x)
    case("AdaptiveMaxPooling2D of ties, overlapping", lambda d: L.AdaptiveMaxPooling2D(4, dtype=d), x)
