"""The names that Keras has, by kind, and the arguments of its classes with their defaults: what there is to be done."""

import inspect
import json
import pathlib

import keras
from keras.src.api_export import get_name_from_symbol

from fixture import HERE, write_json

# Arguments of which one must be given, and those whose default asks for SciPy.
EXTRA = {
    "CategoryEncoding": ["num_tokens"],
    "Discretization": ["bin_boundaries"],
    "InputLayer": ["batch_shape"],
    "STFT": ["window"],
    "STFTSpectrogram": ["window"],
}
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


def functions():
    own = lambda module: {name for name in dir(module) if not name.startswith("_") and inspect.isfunction(getattr(module, name))}
    return sorted(own(keras.ops) | {f"image.{name}" for name in own(keras.ops.image)})


def write():
    names = {kind: classes(*where) for kind, where in KINDS.items()} | {"activations": activations()}
    names["functions"] = functions()
    names["callbacks"] = classes(keras.callbacks, keras.callbacks.Callback)
    text = json.dumps(names, indent=1)
    pathlib.Path(__file__).with_name("names.json").write_text(text + "\n")
    samples = recorded()
    rows = [row for kind, where in KINDS.items() for row in arguments(samples, kind, *where)]
    write_json("arguments.json", sorted(rows, key=lambda row: (row["kind"], row["class"])))


def objects(value):
    """All serialized objects in a value."""
    if isinstance(value, dict):
        if isinstance(value.get("config"), dict) and "class_name" in value:
            yield value
        for part in value.values():
            yield from objects(part)
    elif isinstance(value, list):
        for part in value:
            yield from objects(part)


def recorded():
    """An object of each class, out of what the other scripts wrote: what it is made of where it has no default."""
    found = {}
    for file in [HERE / "configs.json", *sorted((HERE / "keras").glob("*.json"))]:
        for value in objects(json.loads(file.read_text())):
            found.setdefault((value.get("module"), value["class_name"]), value["config"])
    return found


def plain(value):
    """As it stands in a file; what cannot stand there is told by its type."""
    try:
        return json.loads(json.dumps(keras.saving.serialize_keras_object(value)))
    except (TypeError, ValueError):
        return type(value).__name__


def arguments(samples, kind, module, base):
    """What an object made of nothing but the arguments without a default says of all arguments, of each class; and the
    defaults of those that it says nothing of."""
    for name in classes(module, base):
        cls = getattr(module, name)
        signature = inspect.signature(cls.__init__).parameters.values()
        named = [p for p in signature if p.name != "self" and p.kind == p.POSITIONAL_OR_KEYWORD or p.kind == p.KEYWORD_ONLY]
        sample = samples.get(("keras.optimizers.schedules" if kind == "schedules" else f"keras.{kind}", name), {})
        needed = {p.name: sample.get(p.name) for p in named if p.default is p.empty}
        needed |= {extra: sample[extra] for extra in EXTRA.get(name, ()) if extra in sample}
        keras.backend.clear_session()
        keras.utils.set_random_seed(1)
        try:
            made = cls(**{key: keras.saving.deserialize_keras_object(value) for key, value in needed.items()})
            said = plain(made)["config"]
        except Exception as error:  # It is made of what cannot stand in a file, or of another framework.
            print(f"{name}: {type(error).__name__}: {error}")
            continue
        given = {key: plain(value) for key, value in needed.items()}
        defaults = {p.name: plain(p.default) for p in named if p.name not in needed}
        called = {}
        if kind == "layers":
            parameters = inspect.signature(cls.call).parameters
            takes = [argument for argument in ("mask", "training") if argument in parameters]
            called = {"call": takes, "masks": bool(made.supports_masking or "mask" in takes)}
        yield {
            "kind": kind,
            "class": name,
            **called,
            "given": given,
            "said": {key: said[key] for key in [*given, *defaults] if key in said},
            "unsaid": {key: value for key, value in defaults.items() if key not in said},
        }
