"""ask_models.py FOLDER: has Keras make the models whose configs the tests wrote to FOLDER/models.json, gives them the weights, and
compares what they compute with what ours did. Ends with 1 where one differs or is refused."""

import copy
import json
import os
import pathlib
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import keras
import numpy as np
from keras.src.saving.serialization_lib import ObjectSharingScope

OF_MODELS = 2e-5


def array(plain):
    return np.array(plain["values"], dtype=plain["dtype"]).reshape(plain["shape"])


def fed(model, xs):
    """The inputs in the structure that the model takes."""
    structure = getattr(model, "_inputs_struct", None)
    if structure is None:
        return xs[0]
    return keras.tree.pack_sequence_as(structure, xs)


def ask(row):
    """What differs, in words; nothing where all is as it should be."""
    # Keras takes what it reads out of a config.
    assert keras.models.model_from_json(json.dumps(row["config"]))
    # As the loader of archives does it: what is shared is one object.
    with ObjectSharingScope():
        model = keras.saving.deserialize_keras_object(copy.deepcopy(row["config"]))
    x = fed(model, [array(x) for x in row["xs"]])
    model(x)
    if len(model.weights) != len(row["weights"]):
        return f"{len(model.weights)} weights, ours has {len(row['weights'])}"
    model.set_weights([array(w) for w in row["weights"]])
    ys = keras.tree.flatten(model(x))
    expected = [array(y) for y in row["ys"]]
    if len(ys) != len(expected):
        return f"{len(ys)} outputs, ours has {len(expected)}"
    for at, (y, e) in enumerate(zip(ys, expected)):
        y = keras.ops.convert_to_numpy(y)
        if y.shape != e.shape:
            return f"output {at} has shape {y.shape}, ours has {e.shape}"
        worst = float(np.max(np.abs(y - e), initial=0.0))
        if not worst <= OF_MODELS * max(1.0, float(np.max(np.abs(e), initial=0.0))):
            return f"output {at} is off by {worst}"
    return None


def main(folder):
    rows = json.loads((pathlib.Path(folder) / "models.json").read_text(encoding="utf-8"))
    failed = 0
    for row in rows:
        try:
            wrong = ask(row)
        except Exception as error:
            wrong = f"{type(error).__name__}: {error}"
        if wrong:
            failed += 1
            print(f"{row['case']}: {wrong}")
    print(f"models: {len(rows) - failed} of {len(rows)} are Keras's")
    return 1 if failed or not rows else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
