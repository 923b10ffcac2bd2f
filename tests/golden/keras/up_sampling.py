"""Images made larger by Lanczos's kernels."""

import keras
import numpy as np

from fixture import stream
from keras_recorder import LayerRecorder
from samples import draw, f32


def add(fixture):
    case = LayerRecorder(fixture).case
    images = draw(stream("up sampling"), (2, 4, 5, 3), f32, -2, 2)
    first = np.moveaxis(images, -1, 1).copy()
    for interpolation in ("lanczos3", "lanczos5"):
        for label, settings in {"": {}, "by axes": {"size": (1, 3)}}.items():
            # TensorFlow's gradient is of float32 alone.
            settings = {"dtype": "float32", "interpolation": interpolation, **settings}
            case(f"UpSampling2D {interpolation} {label}", lambda _: keras.layers.UpSampling2D(**settings), images)
            settings = {"data_format": "channels_first", **settings}
            label = f"{interpolation} {label}, channels_first"
            case(f"UpSampling2D {label}", lambda _: keras.layers.UpSampling2D(**settings), first)
