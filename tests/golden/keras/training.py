"""Whole trainings: `fit` of some models for three epochs from given weights, without shuffling."""

import keras
import numpy as np
import tensorflow as tf

from fixture import stream
from keras_recorder import Recorder
from samples import draw, f32

L = keras.layers
SAMPLES, BATCH, EPOCHS = 37, 8, 3


class Adam(keras.optimizers.Adam):
    """Takes the gradients of embeddings as the tensors that they are. Keras takes the rows one by one, of which one that was
    looked up twice is squared twice."""

    def apply(self, grads, trainable_variables=None):
        return super().apply([tf.convert_to_tensor(g) for g in grads], trainable_variables)


def dense():
    inputs = keras.Input((6,))
    x = L.Dense(8, activation="relu", name="hidden")(inputs)
    return keras.Model(inputs, L.Dense(4, activation="softmax", name="answer")(x))


def regularized():
    inputs = keras.Input((6,))
    x = L.Dense(8, activation="tanh", kernel_regularizer="l2", activity_regularizer="l1", name="hidden")(inputs)
    return keras.Model(inputs, L.Dense(1, name="answer")(x))


def convolutional():
    inputs = keras.Input((6, 6, 2))
    # A bias before a normalization has a gradient of rounding errors, which Adam makes large.
    x = L.Conv2D(4, 3, padding="same", use_bias=False, name="conv")(inputs)
    x = L.ReLU(name="relu")(L.BatchNormalization(name="norm")(x))
    x = L.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, L.Dense(3, activation="softmax", name="answer")(x))


def recurrent():
    inputs = keras.Input((7,), dtype="int32")
    x = L.Embedding(9, 4, mask_zero=True, name="embedding")(inputs)
    x = L.LSTM(5, name="lstm")(x)
    return keras.Model(inputs, L.Dense(1, activation="sigmoid", name="answer")(x))


def tagger():
    inputs = keras.Input((7,), dtype="int32")
    x = L.Embedding(9, 4, mask_zero=True, name="embedding")(inputs)
    x = L.GRU(5, return_sequences=True, name="gru")(x)
    return keras.Model(inputs, L.Dense(4, name="answer")(x))


def attending():
    inputs = keras.Input((7,), dtype="int32")
    x = L.Embedding(9, 6, name="embedding")(inputs)
    y = L.MultiHeadAttention(2, 3, name="attention")(x, x)
    x = L.LayerNormalization(name="norm")(L.Add(name="add")([x, y]))
    x = L.GlobalAveragePooling1D(name="pool")(x)
    return keras.Model(inputs, L.Dense(4, activation="softmax", name="answer")(x))


def two_outputs():
    inputs = keras.Input((6,))
    x = L.Dense(8, activation="relu", name="hidden")(inputs)
    return keras.Model(
        inputs, {"kind": L.Dense(3, activation="softmax", name="kind")(x), "size": L.Dense(1, name="size")(x)}
    )


def data(rng, name, samples):
    ids = rng.randint(1, 9, (samples, 7)).astype(np.int32)
    # The end of a sentence is nothing.
    ids[np.arange(7)[None, :] >= rng.randint(2, 8, (samples, 1))] = 0
    x = {
        "convolutional": lambda: draw(rng, (samples, 6, 6, 2), f32, -1, 1),
        "recurrent": lambda: ids,
        "tagger": lambda: ids,
        "attending": lambda: ids,
    }.get(name, lambda: draw(rng, (samples, 6), f32, -1, 1))()
    if name == "tagger":
        return x, (ids % 4).astype(np.int32)
    # What is to be learnt follows from the input.
    total = x.reshape(samples, -1).sum(axis=1)
    rank = np.argsort(np.argsort(total))
    if name == "regularized":
        return x, total[:, None].astype(f32)
    if name == "recurrent":
        return x, (rank * 2 // samples).astype(np.int32)
    if name == "convolutional":
        return x, np.eye(3, dtype=f32)[rank * 3 // samples]
    if name == "two_outputs":
        return x, {"kind": (rank * 3 // samples).astype(np.int32), "size": total[:, None].astype(f32)}
    return x, (rank * 4 // samples).astype(np.int32)


SPARSE = dict(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
FROM_LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

# What is compiled, and what is said to fit.
CASES = {
    "dense": (dense, SPARSE, dict(validation=True)),
    "dense, class weights": (dense, SPARSE | dict(weighted_metrics=["accuracy"]), dict(class_weight={0: 2.0, 3: 0.5})),
    "dense, sample weights": (dense, SPARSE | dict(weighted_metrics=["mean"]), dict(sample_weight=True)),
    "dense, validation split": (dense, SPARSE, dict(validation_split=0.25)),
    "dense, every other validation": (dense, SPARSE, dict(validation=True, validation_freq=2)),
    "dense, from the second epoch": (dense, SPARSE, dict(initial_epoch=1)),
    "dense, some steps": (dense, SPARSE, dict(steps_per_epoch=3, validation=True, validation_steps=2)),
    "dense, reduced on a plateau": (dense, SPARSE, dict(reduce_lr=True)),
    "dense, moving averages": (dense, SPARSE, dict(use_ema=True)),
    "regularized": (regularized, dict(loss="mse", metrics=["mae"]), dict(validation=True)),
    "convolutional": (convolutional, dict(loss="categorical_crossentropy", metrics=["accuracy"]), dict(validation=True)),
    "recurrent": (recurrent, dict(loss="binary_crossentropy", metrics=["accuracy"]), dict(class_weight={0: 0.7, 1: 1.6}, validation=True)),
    "tagger, masked": (tagger, dict(loss=FROM_LOGITS, metrics=["accuracy"], weighted_metrics=["accuracy"]), dict(validation=True)),
    "attending": (attending, SPARSE, dict(validation=True)),
    "two outputs": (
        two_outputs,
        dict(
            loss={"kind": "sparse_categorical_crossentropy", "size": "mse"},
            loss_weights={"kind": 2.0, "size": 0.25},
            metrics={"kind": ["accuracy"], "size": ["mae", "mse"]},
        ),
        dict(validation=True),
    ),
}


def add(fixture):
    record = Recorder(fixture, "training")
    for case, (make, compiled, said) in CASES.items():
        name, rng, said = make.__name__, stream("training", make.__name__), dict(said)
        keras.backend.clear_session()
        model = make()
        for w in model.weights:
            value = draw(rng, w.shape, f32, -0.5, 0.5)
            w.assign(abs(value) + 0.5 if w.name in ("gamma", "moving_variance") else value)
        weights = [{"path": w.path, "value": record.put(np.asarray(w.value))} for w in model.weights]
        x, y = data(rng, name, SAMPLES)
        val_x, val_y = data(rng, name, 13)
        sample_weight = draw(rng, (SAMPLES,), f32, 0, 2) if said.pop("sample_weight", False) else None
        if sample_weight is not None:
            compiled = compiled | dict(weighted_metrics=["sparse_categorical_crossentropy"])
        if said.pop("validation", False):
            said["validation_data"] = (val_x, val_y)
        optimizer = Adam(0.02, use_ema=said.pop("use_ema", False), ema_momentum=0.9)
        callbacks = []
        if said.pop("reduce_lr", False):
            callbacks.append(keras.callbacks.ReduceLROnPlateau(monitor="accuracy", factor=0.5, patience=1, mode="min"))
        if "use_ema" in case or "averages" in case:
            callbacks.append(keras.callbacks.SwapEMAWeights())
            said["validation_data"] = (val_x, val_y)
        model.compile(optimizer=optimizer, **compiled)
        history = model.fit(
            x, y, batch_size=BATCH, epochs=EPOCHS, verbose=0, shuffle=False, callbacks=callbacks, sample_weight=sample_weight, **said
        )
        evaluated = model.evaluate(val_x, val_y, batch_size=BATCH, verbose=0, return_dict=True)
        predicted = model.predict(val_x, batch_size=BATCH, verbose=0)
        y, val_y, predicted = ([v[k] for k in sorted(v)] if isinstance(v, dict) else [v] for v in (y, val_y, predicted))
        record.row(
            case,
            model=name,
            weights=weights,
            x=record.put(x),
            y=[record.put(v) for v in y],
            val_x=record.put(val_x),
            val_y=[record.put(v) for v in val_y],
            sample_weight=record.put(sample_weight),
            history={k: [float(v) for v in values] for k, values in history.history.items()},
            evaluated={k: float(v) for k, v in evaluated.items()},
            predicted=[record.put(v) for v in predicted],
            after=[{"path": w.path, "value": record.put(np.asarray(w.value))} for w in model.weights],
        )
