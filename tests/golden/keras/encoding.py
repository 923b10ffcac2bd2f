"""Categories as vectors."""

import keras
import numpy as np

from keras_recorder import LayerRecorder


def add(fixture):
    case = LayerRecorder(fixture).case
    L = keras.layers
    inputs = {
        "[3]": np.array([3, 0, 1], np.int64),
        "[2,3]": np.array([[3, 0, 3], [1, 1, 1]], np.int32),
        "[3,1]": np.array([[2], [0], [3]], np.int64),
        "[2,2,2]": np.array([[[0, 1], [2, 2]], [[3, 3], [1, 0]]], np.int64),
    }
    for mode in ("multi_hot", "one_hot", "count"):
        for words, x in inputs.items():
            case(f"CategoryEncoding {mode} of {words}", lambda d: L.CategoryEncoding(4, mode, dtype=d), x)
