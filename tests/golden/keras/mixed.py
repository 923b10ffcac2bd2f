"""What a layer of each class computes by mixed policies, on the inputs and weights of another script's row."""

import copy
import json

import keras
import numpy as np
import tensorflow as tf

from fixture import HERE, array
from keras_recorder import Recorder, with_mask

POLICIES = ("mixed_bfloat16", "mixed_float16")


def add(fixture):
    record, met = Recorder(fixture, "mixed"), set()
    for file in sorted((HERE / "keras").glob("*.json")):
        if file.stem == "mixed":
            continue
        arrays = np.load(file.with_suffix(".npz"))
        for row in json.loads(file.read_text()):
            if is_plain(row) and row["config"]["class_name"] not in met:
                met.add(row["config"]["class_name"])
                for policy in POLICIES:
                    about = {"like": row["kind"], "of": row["case"], "policy": policy}
                    record.row(f"{row['case']}, {policy}", **about, **run(record, row, arrays, policy))


def is_plain(row):
    """Whether a row is of a layer that is called with its inputs alone."""
    if row["kind"] == "attention":
        return not (row["causal"] or row["scores"] or row["attention_mask"] or any(row["masks"]))
    return row["kind"] == "layer" or row["kind"] == "merging" and "float16" not in row["case"]


def run(record, row, arrays, policy):
    """The dtypes of the weights and the output, or what kind of error there is."""
    keras.backend.clear_session()
    known = lambda entry: None if entry is None else array(entry, arrays)
    masks = row.get("masks") or [row.get("mask")]
    inputs = [known(entry) for entry in row.get("inputs") or [row["x"]]]
    weights = [known(weight["value"]) for weight in row.get("weights", ())]
    try:
        layer = keras.saving.deserialize_keras_object(by(copy.deepcopy(row["config"]), policy))
        tensors = [with_mask(tf.constant(x), known(mask)) for x, mask in zip(inputs, masks)]
        if row["kind"] == "layer":
            call = lambda: layer(tensors[0], training=row["training"])
        elif row["kind"] == "attention" and not isinstance(layer, keras.layers.Attention):
            call = lambda: layer(*tensors)
        else:
            call = lambda: layer(tensors)
        call()
        layer.set_weights(weights)
        y = call()
        return {"weights": [weight.dtype for weight in layer.weights], "y": record.put(y)}
    except Exception as error:
        return {"error": type(error).__name__}


def by(config, policy):
    """A config in which all layers have another policy than float32."""
    if isinstance(config, list):
        return [by(part, policy) for part in config]
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "DTypePolicy" and config["config"]["name"] == "float32":
        return policy
    return {key: policy if (key, part) == ("dtype", "float32") else by(part, policy) for key, part in config.items()}
