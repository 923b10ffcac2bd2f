"""Whole models of known architectures, in float64, with weights under the paths that they have in the model."""

import keras
import numpy as np
import tensorflow as tf

from fixture import stream
from keras_recorder import Recorder
from op_runner import cotangent
from samples import draw, f32, f64

L = keras.layers


def residual_network():
    """He et al. 2015: two blocks, the second of which halves the image and doubles the channels."""

    def block(x, name, filters, strides):
        y = L.Conv2D(filters, 3, strides, padding="same", use_bias=False, name=f"{name}_conv_1")(x)
        y = L.ReLU(name=f"{name}_relu_1")(L.BatchNormalization(name=f"{name}_norm_1")(y))
        y = L.Conv2D(filters, 3, padding="same", use_bias=False, name=f"{name}_conv_2")(y)
        y = L.BatchNormalization(name=f"{name}_norm_2")(y)
        if strides > 1:
            x = L.Conv2D(filters, 1, strides, use_bias=False, name=f"{name}_shortcut")(x)
            x = L.BatchNormalization(name=f"{name}_shortcut_norm")(x)
        return L.ReLU(name=f"{name}_relu_2")(L.Add(name=f"{name}_add")([x, y]))

    inputs = keras.Input((8, 8, 3))
    x = L.Conv2D(4, 3, padding="same", use_bias=False, name="stem")(inputs)
    x = L.ReLU(name="stem_relu")(L.BatchNormalization(name="stem_norm")(x))
    x = block(block(x, "block_1", 4, 1), "block_2", 8, 2)
    x = L.GlobalAveragePooling2D(name="pool")(x)
    return inputs, L.Dense(5, name="head")(x)


def depthwise_separable_network():
    """Howard et al. 2017: depthwise and pointwise convolutions with ReLU6; and Chollet's separable ones."""
    inputs = keras.Input((9, 7, 3))
    x = L.Conv2D(4, 3, 2, padding="same", use_bias=False, name="stem")(inputs)
    x = L.ReLU(6.0, name="stem_relu")(L.BatchNormalization(name="stem_norm")(x))
    for name, filters, strides in (("block_1", 6, 1), ("block_2", 8, 2)):
        x = L.DepthwiseConv2D(3, strides, padding="same", use_bias=False, name=f"{name}_depthwise")(x)
        x = L.ReLU(6.0, name=f"{name}_relu_1")(L.BatchNormalization(name=f"{name}_norm_1")(x))
        x = L.Conv2D(filters, 1, use_bias=False, name=f"{name}_pointwise")(x)
        x = L.ReLU(6.0, name=f"{name}_relu_2")(L.BatchNormalization(name=f"{name}_norm_2")(x))
    x = L.SeparableConv2D(6, 3, padding="same", activation="silu", name="separable")(x)
    x = L.GlobalAveragePooling2D(name="pool")(x)
    return inputs, L.Dense(4, activation="softmax", name="head")(x)


def bidirectional_gru():
    """A classifier of sentences, whose words are followed by zeros."""
    inputs = keras.Input((None,), dtype="int32")
    x = L.Embedding(11, 4, mask_zero=True, name="embedding")(inputs)
    x = L.Bidirectional(L.GRU(3, return_sequences=True, name="gru"), name="bidirectional_1")(x)
    x = L.Bidirectional(L.GRU(4, name="gru"), merge_mode="sum", name="bidirectional_2")(x)
    return inputs, L.Dense(2, name="head")(x)


def causal_transformer():
    """Vaswani et al. 2017, the decoder: a language model with masks of the future and of padding."""
    steps, width = 6, 8
    inputs = keras.Input((steps,), dtype="int32")
    tokens = L.Embedding(13, width, mask_zero=True, name="tokens")(inputs)
    places = L.Embedding(steps, width, name="places")(keras.ops.zeros_like(inputs) + keras.ops.arange(steps))
    x = L.Add(name="sum")([tokens, places])
    for name in ("block_1", "block_2"):
        y = L.LayerNormalization(name=f"{name}_norm_1")(x)
        y = L.MultiHeadAttention(2, 3, name=f"{name}_attention")(y, y, use_causal_mask=True)
        x = L.Add(name=f"{name}_add_1")([x, y])
        y = L.LayerNormalization(name=f"{name}_norm_2")(x)
        y = L.Dense(2 * width, activation="gelu", name=f"{name}_up")(y)
        x = L.Add(name=f"{name}_add_2")([x, L.Dense(width, name=f"{name}_down")(y)])
    x = L.LayerNormalization(name="norm")(x)
    return inputs, L.Dense(13, name="head")(x)


def convolutional_lstm():
    """Shi et al. 2015: the next image of a film."""
    inputs = keras.Input((4, 5, 6, 2))
    x = L.ConvLSTM2D(3, 3, padding="same", return_sequences=True, name="lstm_1")(inputs)
    x = L.BatchNormalization(name="norm")(x)
    x = L.ConvLSTM2D(2, 3, padding="same", return_sequences=True, name="lstm_2")(x)
    return inputs, L.Conv3D(1, 3, padding="same", activation="sigmoid", name="head")(x)


def u_net():
    """Ronneberger et al. 2015: down, up again, and across."""
    inputs = keras.Input((8, 8, 2))
    left = L.Conv2D(3, 3, padding="same", activation="relu", name="left")(inputs)
    x = L.MaxPooling2D(name="down")(left)
    x = L.Conv2D(5, 3, padding="same", activation="elu", name="bottom")(x)
    x = L.Conv2DTranspose(3, 2, 2, name="up")(x)
    x = L.Concatenate(name="across")([left, x])
    x = L.Conv2D(3, 3, padding="same", name="right")(x)
    x = L.PReLU(shared_axes=[1, 2], name="right_relu")(x)
    return inputs, L.Conv2D(1, 1, activation="sigmoid", name="head")(x)


def encoder_decoder():
    """Sutskever et al. 2014: one LSTM's states after a sequence begin another's."""
    inputs = [keras.Input((5, 3)), keras.Input((4, 2))]
    _, *states = L.LSTM(4, return_state=True, name="encoder")(inputs[0])
    x = L.LSTM(4, return_sequences=True, name="decoder")(inputs[1], initial_state=states)
    return inputs, L.TimeDistributed(L.Dense(3, activation="softmax"), name="head")(x)


def dilated_causal_network():
    """Van den Oord et al. 2016: gates over causal convolutions, each of which looks twice as far back."""
    inputs = keras.Input((9, 2))
    x = L.Conv1D(4, 1, name="stem")(inputs)
    skips = []
    for rate in (1, 2, 4):
        values = L.Conv1D(4, 2, padding="causal", dilation_rate=rate, activation="tanh", name=f"values_{rate}")(x)
        gates = L.Conv1D(4, 2, padding="causal", dilation_rate=rate, activation="sigmoid", name=f"gates_{rate}")(x)
        y = L.Multiply(name=f"gated_{rate}")([values, gates])
        y = L.Conv1D(4, 1, name=f"mix_{rate}")(y)
        skips.append(y)
        x = L.Add(name=f"add_{rate}")([x, y])
    x = L.ReLU(name="relu")(L.Add(name="skips")(skips))
    return inputs, L.Conv1D(3, 1, name="head")(x)


def squeeze_and_excitation():
    """Hu et al. 2017, over volumes: channels are weighed by what all of the volume holds; groups are normalized."""
    inputs = keras.Input((6, 5, 4, 2))
    x = L.Conv3D(4, 3, padding="same", name="stem")(inputs)
    x = L.Activation("silu", name="stem_silu")(L.GroupNormalization(2, name="stem_norm")(x))
    weights = L.GlobalAveragePooling3D(keepdims=True, name="squeeze")(x)
    weights = L.Dense(4, activation="sigmoid", name="up")(L.Dense(2, activation="relu", name="down")(weights))
    x = L.Multiply(name="excite")([x, weights])
    return inputs, L.Dense(3, name="head")(L.GlobalMaxPooling3D(name="pool")(x))


def wide_and_deep():
    """Cheng et al. 2016: numbers and categories, remembered and generalized from; with penalties."""
    inputs = [keras.Input((4,)), keras.Input((2,), dtype="int32")]
    wide = L.Dense(1, kernel_regularizer="l2", name="wide")(inputs[0])
    deep = L.Flatten(name="flatten")(L.Embedding(7, 3, name="embedding")(inputs[1]))
    deep = L.Concatenate(name="both")([deep, L.UnitNormalization(name="unit")(inputs[0])])
    deep = L.Dense(6, activation="selu", activity_regularizer=keras.regularizers.L1(0.01), name="deep_1")(deep)
    deep = L.LeakyReLU(name="deep_relu")(L.Dense(4, name="deep_2")(deep))
    return inputs, L.Add(name="sum")([wide, L.Dense(1, name="deep_3")(deep)])


MODELS = {
    "residual network": (residual_network, [(3, 8, 8, 3)]),
    "depthwise separable network": (depthwise_separable_network, [(2, 9, 7, 3)]),
    "bidirectional GRU": (bidirectional_gru, [[[3, 1, 10, 0, 0], [2, 2, 7, 9, 4], [5, 0, 0, 0, 0]]]),
    "causal transformer": (causal_transformer, [[[3, 1, 12, 5, 0, 0], [2, 2, 7, 9, 4, 11]]]),
    "convolutional LSTM": (convolutional_lstm, [(2, 4, 5, 6, 2)]),
    "U-Net": (u_net, [(2, 8, 8, 2)]),
    "encoder and decoder": (encoder_decoder, [(3, 5, 3), (3, 4, 2)]),
    "dilated causal network": (dilated_causal_network, [(2, 9, 2)]),
    "squeeze and excitation": (squeeze_and_excitation, [(2, 6, 5, 4, 2)]),
    "wide and deep": (wide_and_deep, [(3, 4), [[0, 6], [3, 3], [5, 1]]]),
}


def add(fixture):
    record = Recorder(fixture, "model")
    for name, (make, inputs) in MODELS.items():
        for training in (False, True):
            rng = stream("model", name)
            keras.backend.clear_session()
            keras.config.set_dtype_policy("float64")
            model = keras.Model(*make())
            keras.config.set_dtype_policy("float32")
            # What is normalized by is positive; all else is drawn around zero.
            for w in model.weights:
                value = draw(rng, w.shape, f32, -0.6, 0.6)
                w.assign(abs(value) + 0.5 if w.name in ("gamma", "moving_variance") else value)
            weights = [{"path": w.path, "value": record.put(np.asarray(w.value).astype(f32))} for w in model.weights]
            xs = [np.asarray(x, np.int32) if isinstance(x, list) else draw(rng, x, f32, -1, 1) for x in inputs]
            tensors = [tf.constant(x if x.dtype == np.int32 else x.astype(f64)) for x in xs]
            watched = [x for x in tensors if x.dtype.is_floating]
            with tf.GradientTape() as tape:
                tape.watch(watched)
                y = model(tensors if len(tensors) > 1 else tensors[0], training=training)
                dy = cotangent(y.shape)
                total = tf.add_n([tf.reduce_sum(y * dy), *model.losses])
            grads = tape.gradient(total, watched + [w.value for w in model.trainable_weights])
            trainable = [w.path for w in model.trainable_weights]
            record.row(
                f"{name}, {'training' if training else 'not training'}",
                model=name,
                training=training,
                weights=weights,
                xs=[record.put(x) for x in xs],
                y=record.put(y),
                dy=record.put(dy),
                losses=[record.put(loss) for loss in model.losses],
                x_grads=[record.put(g) for g in grads[: len(watched)]],
                weight_grads=[
                    {"path": path, "value": record.put(tf.convert_to_tensor(g))}
                    for path, g in zip(trainable, grads[len(watched) :])
                ],
                after=[{"path": w.path, "value": record.put(w.value)} for w in model.non_trainable_weights],
            )
