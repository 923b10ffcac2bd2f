"""Layers of convolution and pooling."""

import keras
import numpy as np

from fixture import stream
from keras_recorder import LayerRecorder
from samples import distinct, draw, f32


def add(fixture):
    case = LayerRecorder(fixture).case
    L = keras.layers
    inputs = {1: (2, 7, 4), 2: (2, 6, 5, 4), 3: (1, 4, 3, 5, 2)}
    images = {axes: draw(stream("images", axes), shape, f32, -1, 1) for axes, shape in inputs.items()}
    tops = {axes: distinct(stream("tops", axes), shape, f32) / 8 for axes, shape in inputs.items()}

    for axes, x in images.items():
        conv = getattr(L, f"Conv{axes}D")
        for label, settings in {
            "": {},
            "same": {"padding": "same"},
            "by 2, same": {"strides": 2, "padding": "same", "use_bias": False},
            "by 2": {"strides": (2, 1, 2)[:axes], "activation": "relu"},
            "regularized": {
                "kernel_regularizer": "l2",
                "bias_regularizer": "l1",
                "activity_regularizer": keras.regularizers.L2(0.5),
                "kernel_constraint": "max_norm",
                "activation": "tanh",
            },
        }.items():
            case(f"Conv{axes}D {label}", lambda d: conv(6, 3 if axes < 3 else 2, dtype=d, **settings), x)
        case(f"Conv{axes}D of one tap", lambda d: conv(3, 1, dtype=d), x)
    case("Conv1D causal", lambda d: L.Conv1D(3, 3, padding="causal", dtype=d), images[1])
    case("Conv1D causal, dilated", lambda d: L.Conv1D(3, 2, padding="causal", dilation_rate=2, dtype=d), images[1])
    case("Conv1D causal, by 2", lambda d: L.Conv1D(3, 2, padding="causal", strides=2, dtype=d), images[1])
    for padding in ("valid", "same"):
        dilated = {"padding": padding, "dilation_rate": 2}
        case(f"Conv2D dilated, {padding}", lambda d: L.Conv2D(3, (2, 3), dtype=d, **dilated), images[2])

    for axes in (1, 2):
        conv = getattr(L, f"Conv{axes}D")
        case(f"Conv{axes}D in groups", lambda d: conv(6, 2, groups=2, padding="same", dtype=d), images[axes])

    for axes in (1, 2):
        depthwise, separable = getattr(L, f"DepthwiseConv{axes}D"), getattr(L, f"SeparableConv{axes}D")
        for label, settings in {
            "": {},
            "same": {"padding": "same", "depth_multiplier": 2, "activation": "relu"},
            "by 2": {"strides": 2, "use_bias": False},
            "by 2, same": {"strides": 2, "padding": "same", "activity_regularizer": keras.regularizers.L2(0.5)},
            "dilated": {"dilation_rate": 2, "padding": "same"},
        }.items():
            case(f"DepthwiseConv{axes}D {label}", lambda d: depthwise(3, dtype=d, **settings), images[axes])
            case(f"SeparableConv{axes}D {label}", lambda d: separable(5, 2, dtype=d, **settings), images[axes])
        case(
            f"SeparableConv{axes}D regularized",
            lambda d: separable(
                5, 2, depthwise_regularizer="l2", pointwise_regularizer="l1", bias_regularizer="l2", dtype=d
            ),
            images[axes],
        )
        case(
            f"DepthwiseConv{axes}D regularized",
            lambda d: depthwise(2, depthwise_regularizer="l2", bias_regularizer="l1", dtype=d),
            images[axes],
        )

    for axes, x in images.items():
        transpose = getattr(L, f"Conv{axes}DTranspose")
        for label, settings in {
            "": {},
            "same": {"padding": "same", "activation": "relu"},
            "by 2": {"strides": 2},
            "by 3 of 2": {"strides": 3, "kernel_size": 2},
            "by 2, same": {"strides": 2, "padding": "same", "use_bias": False, "kernel_regularizer": "l2"},
            "by 2, one more": {"strides": 2, "output_padding": 1},
            "by 2, same, one more": {"strides": 2, "padding": "same", "output_padding": 1},
            "by 2, same, no more": {"strides": 2, "padding": "same", "output_padding": 0},
        }.items():
            settings = {"kernel_size": 3, **settings}
            case(f"Conv{axes}DTranspose {label}", lambda d: transpose(3, dtype=d, **settings), x)

    for axes in images:
        for kind, x in (("Max", tops[axes]), ("Average", images[axes])):
            pool = getattr(L, f"{kind}Pooling{axes}D")
            for label, settings in {
                "": {},
                "same": {"padding": "same"},
                "by 1": {"strides": 1, "pool_size": (2, 3, 2)[:axes]},
                "by 1, same": {"strides": 1, "padding": "same", "pool_size": 3},
            }.items():
                settings = {"pool_size": 2, **settings}
                narrow = {"dtype": "float32"} if axes == 3 else {}  # TensorFlow pools no volumes of float64.
                case(f"{kind}Pooling{axes}D {label}", lambda d: pool(**{"dtype": d, **settings, **narrow}), x)
            pool = getattr(L, f"Global{kind}Pooling{axes}D")
            for keepdims in (False, True):
                words = " keepdims" if keepdims else ""
                case(f"Global{kind}Pooling{axes}D{words}", lambda d: pool(keepdims=keepdims, dtype=d), x)
            x = np.moveaxis(x, -1, 1).copy()
            case(f"Global{kind}Pooling{axes}D channels_first", lambda d: pool(data_format="channels_first", dtype=d), x)
