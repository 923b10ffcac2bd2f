"""What a layer of each class makes of inputs with a mask, and which mask goes on, on the inputs and weights of another
script's row."""

import json

import keras
import numpy as np
import tensorflow as tf

from fixture import HERE, array
from keras_recorder import Recorder, with_mask


def add(fixture):
    record, met = Recorder(fixture, "masked"), set()
    for file in sorted((HERE / "keras").glob("*.json")):
        if file.stem in ("masked", "mixed"):
            continue
        arrays = np.load(file.with_suffix(".npz"))
        for row in json.loads(file.read_text()):
            if is_plain(row) and row["config"]["class_name"] not in met:
                inputs = [array(entry, arrays) for entry in row.get("inputs") or [row["x"]]]
                layer = made(row)
                if layer is None or any(x.ndim < 2 for x in inputs):
                    continue
                weights = [array(weight["value"], arrays) for weight in row.get("weights", ())]
                found = run(record, layer, row, inputs, weights)
                if found is not None:
                    met.add(row["config"]["class_name"])
                    record.row(row["case"], like=row["kind"], of=row["case"], **found)


def is_plain(row):
    """Whether a row is of a layer that is called with its inputs alone, none of which has a mask."""
    return row["kind"] in ("layer", "merging") and not row.get("mask") and "float16" not in row["case"]


def made(row):
    """The layer of a row, or none, where Keras does not read what it wrote."""
    keras.backend.clear_session()
    try:
        return keras.saving.deserialize_keras_object(row["config"])
    except TypeError:
        return None


def run(record, layer, row, inputs, weights):
    """The masks, all but every third true, what the layer makes of the inputs, and the mask of that; or none, where it
    wants masks of another shape."""
    shapes = [x.shape[: min(x.ndim - 1, 2)] for x in inputs]
    masks = [((np.arange(np.prod(shape)) + i) % 3 > 0).reshape(shape) for i, shape in enumerate(shapes)]
    tensors = [with_mask(tf.constant(x), mask) for x, mask in zip(inputs, masks)]
    given = tensors if row["kind"] == "merging" else tensors[0]
    call = lambda: layer(given, training=row.get("training")) if layer._call_has_training_arg else layer(given)
    try:
        call()
    except ValueError:
        return None
    layer.set_weights(weights)
    y = call()
    mask = getattr(y, "_keras_mask", None)
    return {"masks": [record.put(mask) for mask in masks], "y": record.put(y), "output_mask": record.put(mask)}
