"""Models made by the functional API and `Sequential`: their configs, weights and what they compute; their tables."""

import io
import json
import os

import keras
import numpy as np
from keras import layers, ops

from keras_recorder import Recorder


def add(fixture):
    recorder = Recorder(fixture, "functional")
    for name, make in MODELS.items():
        keras.backend.clear_session()
        keras.utils.set_random_seed(7)
        model, inputs = make()
        model(inputs)
        values = [x(*w.shape, seed=i) * 0.4 for i, w in enumerate(model.weights)]
        # A variance is not negative.
        values = [abs(v) if "variance" in w.path else v for v, w in zip(values, model.weights)]
        for value, w in zip(values, model.weights):
            w.assign(value)
        outputs = model(inputs)
        recorder.row(
            name,
            model=json.loads(json.dumps(keras.saving.serialize_keras_object(model))),
            names=[layer.name for layer in getattr(model, "operations", model.layers)],
            paths=[w.path for w in model.weights],
            weights=[recorder.put(value) for value in values],
            xs=[recorder.put(x) for x in keras.tree.flatten(inputs)],
            ys=[recorder.put(y) for y in keras.tree.flatten(outputs)],
            summary=table(model),
            wide_summary=table(model, line_length=100, expand_nested=True, show_trainable=True),
        )


def table(model, **options):
    """What `summary` prints, in lines of 76 unless said otherwise."""
    lines = io.StringIO()
    # Where the console of rich takes its width from.
    os.environ["COLUMNS"] = "200"
    options = {"line_length": 76, **options}
    model.summary(print_fn=lambda text, line_break=True: lines.write(text), **options)
    return lines.getvalue()


def x(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype("float32")


def numbers(*shape, below, seed=0):
    return np.random.default_rng(seed).integers(0, below, shape).astype("int32")


def chain():
    a = keras.Input((3,))
    y = layers.Dense(2)(layers.Dense(3, activation="relu")(a))
    return keras.Model(a, y), x(4, 3)


def shared():
    a, b = keras.Input((3,)), keras.Input((3,), name="right")
    dense = layers.Dense(4, activation="tanh", name="twin")
    p, q = dense(a), dense(b)
    y = layers.Dense(1)(layers.Concatenate()([p, q, layers.Subtract()([p, q])]))
    return keras.Model([a, b], y), [x(4, 3), x(4, 3, seed=1)]


def dicts():
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    p = layers.Dense(2)(a)
    q = layers.Add()([p, b])
    return keras.Model({"a": a, "b": b}, {"sum": q, "part": p}), {"a": x(4, 3), "b": x(4, 2, seed=1)}


def nested():
    a = keras.Input((3,))
    inner = keras.Model(a, layers.Dense(3)(layers.Dense(4, activation="relu")(a)), name="inner")
    b = keras.Input((3,))
    sequence = keras.Sequential([keras.Input((3,)), layers.Dense(3), layers.LayerNormalization()], name="sequence")
    y = sequence(inner(inner(b)))
    z = layers.Average()([inner(y), b])
    return keras.Model(b, [z, y]), x(4, 3)


def branches():
    a = keras.Input((8, 8, 2), name="image")
    p = layers.Conv2D(3, 3, padding="same", activation="relu")(a)
    q = layers.BatchNormalization()(layers.Conv2D(3, 1)(a))
    y = layers.GlobalAveragePooling2D()(layers.MaxPooling2D()(layers.Add()([p, q])))
    head = layers.Dense(5, activation="softmax", name="head")
    head.trainable = False
    return keras.Model(a, head(layers.Dropout(0.3)(y))), x(2, 8, 8, 2)


def operations():
    a, b = keras.Input((4, 3)), keras.Input((4, 3))
    c = a * 2.0 + b - 1
    c = (1.5 - c) / 3 + ops.relu(a) * ops.sigmoid(b) + ops.gelu(a) - a**2
    d = ops.mean(c, axis=-1, keepdims=True) + ops.max(c, axis=1, keepdims=True)  # (None, 4, 3)
    e = ops.concatenate([c, ops.tanh(d)], axis=-1)
    f = ops.reshape(ops.transpose(e, (0, 2, 1)), (-1, 24))
    g = f[:, 1:9:2] * np.array([1.0, 2.0, 3.0, 4.0], "float32")
    h = ops.softmax(ops.expand_dims(g, 1), axis=-1)
    i = ops.where(ops.squeeze(h, 1) > 0.2, g, 0.0)
    j = ops.maximum(i, -0.5)
    k = ops.stack([j, ops.clip(g, -1.0, 1.0)], axis=1)
    ends = [layers.Dense(2)(ops.leaky_relu(k)), ops.sum(k, axis=(1, 2)), -k, ops.matmul(c, ops.transpose(b, (0, 2, 1)))]
    return keras.Model([a, b], ends), [x(2, 4, 3), x(2, 4, 3, seed=1)]


def masked():
    words = keras.Input((5,), dtype="int32", name="words")
    y = layers.Embedding(9, 3, mask_zero=True)(words)
    y = layers.Bidirectional(layers.GRU(2, return_sequences=True))(y)
    return keras.Model(words, layers.LSTM(2)(y)), numbers(3, 5, below=4)


def attention():
    q, v = keras.Input((4, 6)), keras.Input((5, 6))
    y = layers.LayerNormalization()(q + layers.MultiHeadAttention(2, 3)(q, q, use_causal_mask=True))
    z, scores = layers.MultiHeadAttention(2, 3)(y, v, return_attention_scores=True)
    w = layers.Attention(use_scale=True)([z, v])
    return keras.Model([q, v], [layers.Dense(3, activation="gelu")(w), scores]), [x(2, 4, 6), x(2, 5, 6, seed=1)]


def states():
    source, target = keras.Input((4, 3)), keras.Input((5, 3))
    _, h, c = layers.LSTM(4, return_state=True)(source)
    y = layers.LSTM(4, return_sequences=True)(target, initial_state=[h, c])
    y = layers.TimeDistributed(layers.Dense(2))(y)
    return keras.Model([source, target], y), [x(2, 4, 3), x(2, 5, 3, seed=1)]


def sequential():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(4, activation="relu"), layers.Dense(2, name="head")])
    return model, x(4, 3)


def deferred():
    return keras.Sequential([layers.Dense(4), layers.Activation("relu"), layers.Dense(2)]), x(4, 3)


MODELS = {
    "a chain": chain,
    "a layer called twice": shared,
    "inputs and outputs by name": dicts,
    "models in a model": nested,
    "two branches": branches,
    "operations": operations,
    "masks": masked,
    "attention": attention,
    "states": states,
    "sequential": sequential,
    "sequential without an input": deferred,
}
