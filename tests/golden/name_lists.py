"""The names that Keras has, by kind: what there is to be done."""

import inspect
import json
import pathlib

import keras
from keras.src.api_export import get_name_from_symbol

KINDS = {
    "layers": (keras.layers, keras.layers.Layer),
    "losses": (keras.losses, keras.losses.Loss),
    "metrics": (keras.metrics, keras.metrics.Metric),
    "optimizers": (keras.optimizers, keras.optimizers.Optimizer),
    "schedules": (keras.optimizers.schedules, keras.optimizers.schedules.LearningRateSchedule),
    "initializers": (keras.initializers, keras.initializers.Initializer),
    "regularizers": (keras.regularizers, keras.regularizers.Regularizer),
    "constraints": (keras.constraints, keras.constraints.Constraint),
}


def classes(module, base):
    """The classes of a kind but for its base, each by the first name that Keras exports it under."""
    found = {value for value in vars(module).values() if inspect.isclass(value) and issubclass(value, base)}
    return sorted({get_name_from_symbol(value).rsplit(".", 1)[-1] for value in found - {base}})


def activations():
    functions = {value for value in vars(keras.activations).values() if inspect.isfunction(value)}
    return sorted({value.__name__ for value in functions} - {"deserialize", "get", "serialize"})


def write():
    names = {kind: classes(*where) for kind, where in KINDS.items()} | {"activations": activations()}
    text = json.dumps(names, indent=1)
    pathlib.Path(__file__).with_name("names.json").write_text(text + "\n")
