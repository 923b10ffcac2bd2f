"""Categories that are counted by weights, and a model that is given both."""

import json

import keras
import numpy as np

from keras_recorder import Recorder

L = keras.layers


def add(fixture):
    record = Recorder(fixture, "count_weights")
    rng = np.random.default_rng(5)
    for dims in ((5,), (3, 4), (2, 1), (2, 3, 2)):
        x = rng.integers(0, 5, dims).astype("int64")
        weights = rng.uniform(-2, 2, dims).astype("float32")
        y = L.CategoryEncoding(4, output_mode="count")(x, count_weights=weights)
        record.row(f"CategoryEncoding {list(dims)}", x=record.put(x), weights=record.put(weights), y=record.put(y))
    keras.backend.clear_session()
    x, weights = keras.Input((3,), dtype="int64", name="x"), keras.Input((3,), name="weights")
    counts = L.CategoryEncoding(4, output_mode="count", name="counts")(x, count_weights=weights)
    model = keras.Model([x, weights], counts)
    x, weights = rng.integers(0, 4, (2, 3)).astype("int64"), rng.uniform(0, 2, (2, 3)).astype("float32")
    record.row(
        "model",
        model=json.loads(json.dumps(keras.saving.serialize_keras_object(model))),
        x=record.put(x),
        weights=record.put(weights),
        y=record.put(model([x, weights])),
    )
