"""Layers that make numbers of strings, of categories and of ranges."""

import keras
import numpy as np
import tensorflow as tf

from fixture import stream
from keras_recorder import Recorder, config

L = keras.layers
TEXTS = np.array(["The cat, the DOG!", "a cat.", "", "  (dog) a-b a_b \t the the ", "Ünïcode É ß"])


def words(*values):
    return np.array(values, dtype=object).astype(str)


def add(fixture):
    record = Recorder(fixture, "preprocessing")

    def case(label, make, *inputs, adapt=None, idf=False):
        """A layer on inputs, perhaps after it learnt from batches."""
        keras.backend.clear_session()
        layer = make()
        before = config(layer)
        learnt = {}
        if adapt is not None:
            layer.adapt(tf.data.Dataset.from_generator(lambda: iter(adapt), output_signature=tf.TensorSpec(None, adapt[0].dtype if adapt[0].dtype.kind != "U" else tf.string)))
            learnt["adapt"] = [record.put(batch) for batch in adapt]
        if hasattr(layer, "get_vocabulary"):
            learnt["vocabulary"] = [v if isinstance(v, str) else int(v) for v in layer.get_vocabulary()]
            learnt["vocabulary"] = [str(v) if isinstance(v, str) else v for v in learnt["vocabulary"]]
        if isinstance(layer, L.Discretization):
            learnt["boundaries"] = list(layer.bin_boundaries)
        arrays = [tf.constant(x) for x in inputs]
        y = layer(arrays if isinstance(layer, L.HashedCrossing) else arrays[0])
        y = y.to_tensor() if isinstance(y, tf.RaggedTensor) else y
        record.row(label, config=before, inputs=[record.put(x) for x in inputs], y=record.put(y), **learnt)

    lookups(case)
    texts(case)
    hashes(case)
    bins(case)


def lookups(case):
    shapes = {
        "[4]": words("b", "z", "a", "m"),
        "[2,3]": words("c", "a", "a", "zz", "m", "").reshape([2, 3]),
        "[3,1]": words("b", "m", "y").reshape([3, 1]),
        "[]": np.array("c"),
        "[2,1,2]": words("c", "a", "m", "q").reshape([2, 1, 2]),
    }
    terms, weights = ["a", "b", "c"], [0.5, 0.25, 1.5]
    for mode in ("int", "one_hot", "multi_hot", "count", "tf_idf"):
        idf = {"idf_weights": weights} if mode == "tf_idf" else {}
        for shape, x in shapes.items():
            case(f"StringLookup {mode} of {shape}", lambda: L.StringLookup(vocabulary=terms, output_mode=mode, **idf), x)
            case(f"StringLookup {mode} of {shape} with a mask", lambda: L.StringLookup(vocabulary=terms, output_mode=mode, mask_token="m", num_oov_indices=2, **idf), x)
        x = shapes["[2,3]"]
        if mode != "int":
            case(f"StringLookup {mode}, padded", lambda: L.StringLookup(vocabulary=terms, output_mode=mode, max_tokens=6, pad_to_max_tokens=True, **idf), x)
    x = shapes["[2,3]"]
    case("StringLookup of whole vocabulary", lambda: L.StringLookup(vocabulary=["m", "[UNK]", *terms], mask_token="m"), x)
    case("StringLookup with a salt", lambda: L.StringLookup(vocabulary=terms, num_oov_indices=3, salt=[5, -7]), x)
    case("StringLookup with one salt", lambda: L.StringLookup(vocabulary=terms, num_oov_indices=3, salt=9), x)
    case("StringLookup without an index for the rest", lambda: L.StringLookup(vocabulary=terms, num_oov_indices=0), words("a", "c"))
    case("StringLookup without an index for the rest, masked", lambda: L.StringLookup(vocabulary=terms, num_oov_indices=0, mask_token="", output_mode="count"), words("a", "", "c"))
    case("StringLookup tf_idf of the whole", lambda: L.StringLookup(vocabulary=["[UNK]", *terms], output_mode="tf_idf", idf_weights=[2.0, *weights]), x)
    indices = np.array([[0, 1, 2], [3, 4, -1], [5, 9, 2]])
    for mask in (None, "m"):
        for oov in (0, 1, 2):
            case(f"StringLookup inverted {mask} {oov}", lambda: L.StringLookup(vocabulary=terms, invert=True, mask_token=mask, num_oov_indices=oov, oov_token="?"), indices)
    batches = [words("b", "a", "b", "[UNK]"), words("c", "m", "b", "aa").reshape([2, 2]), words("a", "b").reshape([2, 1])]
    for name, args in {
        "": {},
        "few tokens": {"max_tokens": 3},
        "a mask": {"mask_token": "m", "num_oov_indices": 2},
        "few tokens, counts": {"max_tokens": 4, "mask_token": "m", "output_mode": "count"},
        "padded": {"max_tokens": 9, "output_mode": "multi_hot", "pad_to_max_tokens": True},
        "tf_idf": {"output_mode": "tf_idf"},
        "tf_idf, padded": {"output_mode": "tf_idf", "max_tokens": 8, "pad_to_max_tokens": True, "num_oov_indices": 2},
        "inverted": {"invert": True},
    }.items():
        y = indices if "invert" in args else words("a", "b", "zz", "m").reshape([2, 2])
        case(f"StringLookup adapted, {name}", lambda: L.StringLookup(**args), y, adapt=batches)
    ints = [np.array([[12, 36], [-7, 12]]), np.array([1138, 5], np.int32), np.array([[7.9, 12.0]], np.float32)]
    numbers = [12, 1138, -7]
    for mode in ("int", "one_hot", "multi_hot", "count", "tf_idf"):
        idf = {"idf_weights": weights} if mode == "tf_idf" else {}
        for i, x in enumerate(ints):
            case(f"IntegerLookup {mode} {i}", lambda: L.IntegerLookup(vocabulary=numbers, output_mode=mode, **idf), x)
    for name, args in {
        "floormod": {"num_oov_indices": 3},
        "farmhash": {"num_oov_indices": 3, "oov_method": "farmhash"},
        "siphash": {"num_oov_indices": 3, "oov_method": "farmhash", "salt": 4},
        "a mask": {"mask_token": 12, "vocabulary": [1138, -7]},
        "inverted": {"invert": True, "oov_token": -100, "mask_token": 0},
        "the whole": {"vocabulary": [-1, 5, 7]},
    }.items():
        args = {"vocabulary": numbers, **args}
        case(f"IntegerLookup, {name}", lambda: L.IntegerLookup(**args), np.array([[12, 5, -8, 1138], [0, 1, 2, 3]]))
    for mode in ("multi_hot", "count"):
        wide = {"vocabulary": numbers, "output_mode": mode, "max_tokens": 9, "pad_to_max_tokens": True}
        case(f"IntegerLookup {mode}, padded", lambda: L.IntegerLookup(**wide), ints[0])
    batches = [np.array([[5, 7], [5, -1]]), np.array([[7, 7], [9, -3]])]
    for mode in ("int", "tf_idf"):
        case(f"IntegerLookup adapted, {mode}", lambda: L.IntegerLookup(output_mode=mode, max_tokens=4), batches[1], adapt=batches)


def texts(case):
    vocabulary = ["the", "cat", "a", "dog", "the cat", "e"]
    for mode in ("int", "one_hot", "multi_hot", "count", "tf_idf"):
        args = {"vocabulary": vocabulary, "output_mode": mode}
        if mode == "tf_idf":
            args["idf_weights"] = [0.5, 1.0, 0.25, 2.0, 3.0, 0.125]
        for split in ("whitespace", "character", None):
            case(f"TextVectorization {mode} by {split}", lambda: L.TextVectorization(split=split, **args), TEXTS)
            case(f"TextVectorization {mode} by {split} [5,1]", lambda: L.TextVectorization(split=split, **args), TEXTS[:, None])
        if mode != "one_hot":
            case(f"TextVectorization {mode} of pairs", lambda: L.TextVectorization(ngrams=2, **args), TEXTS)
            case(f"TextVectorization {mode} of a text", lambda: L.TextVectorization(**args), TEXTS[3])
        if mode != "int":
            case(f"TextVectorization {mode}, padded", lambda: L.TextVectorization(max_tokens=10, pad_to_max_tokens=True, split=None if mode == "one_hot" else "whitespace", **args), TEXTS)
    args = {"vocabulary": vocabulary}
    for standardize in (None, "lower", "strip_punctuation", "lower_and_strip_punctuation"):
        case(f"TextVectorization after {standardize}", lambda: L.TextVectorization(standardize=standardize, **args), TEXTS)
    for length in (1, 2, 9):
        for split in ("whitespace", "character", None):
            x = TEXTS if split else np.array([["the", "x"], ["", "cat"]])
            case(f"TextVectorization {length} by {split}", lambda: L.TextVectorization(output_sequence_length=length, split=split, **args), x)
        case(f"TextVectorization {length} of a text", lambda: L.TextVectorization(output_sequence_length=length, **args), TEXTS[0])
        case(f"TextVectorization {length} of a vector", lambda: L.TextVectorization(output_sequence_length=length, split=None, **args), words("the", "x", "dog"))
    tokens = np.array([["the", "cat", "a"], ["a", "", "cat"]])
    for ngrams in (1, 3, (2,), (2, 1)):
        case(f"TextVectorization of {ngrams}", lambda: L.TextVectorization(ngrams=ngrams, **args), TEXTS)
        case(f"TextVectorization of {ngrams} in tokens", lambda: L.TextVectorization(ngrams=ngrams, split=None, **args), tokens)
        case(f"TextVectorization of {ngrams} in a vector", lambda: L.TextVectorization(ngrams=ngrams, split=None, **args), tokens[0])
    batches = [TEXTS[:3], TEXTS[3:][:, None]]
    for name, more in {
        "": {},
        "few tokens": {"max_tokens": 5},
        "characters": {"split": "character"},
        "pairs": {"ngrams": 2, "output_mode": "count"},
        "tf_idf": {"output_mode": "tf_idf"},
        "tf_idf of pairs, padded": {"output_mode": "tf_idf", "ngrams": (2,), "max_tokens": 30, "pad_to_max_tokens": True},
        "whole texts": {"split": None, "output_mode": "tf_idf"},
    }.items():
        case(f"TextVectorization adapted, {name}", lambda: L.TextVectorization(**more), TEXTS, adapt=batches)


def hashes(case):
    strings = words("A", "B", "C", "D", "", "é").reshape([3, 2])
    inputs = {
        "strings": strings,
        "one": strings[:, :1],
        "a vector": strings[0],
        "int64": np.array([[1, 3], [-7, 2**40]]),
        "int32": np.array([[1], [3]], np.int32),
        "uint8": np.array([3, 200], np.uint8),
        "float32": np.array([[1.7, 3.0], [-7.2, 1e6]], np.float32),
    }
    for mode in ("int", "one_hot", "multi_hot", "count"):
        for name, x in inputs.items():
            case(f"Hashing {mode} of {name}", lambda: L.Hashing(7, output_mode=mode), x)
        case(f"Hashing {mode} with a mask", lambda: L.Hashing(5, mask_value="A", output_mode=mode), strings)
    case("Hashing of one bin with a mask", lambda: L.Hashing(1, mask_value="A"), strings)
    case("Hashing int32", lambda: L.Hashing(9, dtype="int32"), strings)
    case("Hashing float64 counts", lambda: L.Hashing(4, output_mode="count", dtype="float64"), strings)
    case("Hashing with a mask of int64", lambda: L.Hashing(5, mask_value=3), inputs["int64"])
    case("Hashing with a mask of float32", lambda: L.Hashing(5, mask_value=3.0), inputs["float32"])
    case("Hashing with a salt", lambda: L.Hashing(50, salt=[137, -42]), strings)
    case("Hashing with one salt", lambda: L.Hashing(50, salt=133, mask_value="B"), strings)
    a, b, c = words("a", "b", "c", "é"), np.array([1, -2, 3, 2**40]), np.array([1, 1, 0, 7], np.int32)
    for mode in ("int", "one_hot"):
        for dtype in (None, "int32") if mode == "int" else (None, "float64"):
            args = {"output_mode": mode, "dtype": dtype}
            case(f"HashedCrossing {mode} {dtype}", lambda: L.HashedCrossing(50, **args), a, b)
            case(f"HashedCrossing {mode} {dtype} [4,1]", lambda: L.HashedCrossing(50, **args), a[:, None], c[:, None])
            case(f"HashedCrossing {mode} {dtype} of three", lambda: L.HashedCrossing(2**31, output_mode="int"), b, a, c) if mode == "int" and dtype is None else None
            case(f"HashedCrossing {mode} {dtype} []", lambda: L.HashedCrossing(5, **args), a[0], b[0])


def bins(case):
    inputs = {
        "[2,3]": np.array([[-1.0, 0.0, 0.5], [1.0, 5.0, np.nan]], np.float32),
        "[3,1]": np.array([[0.5], [1.0], [-3.0]], np.float32),
        "[2]": np.array([1.0, 7.5], np.float64),
        "[1,2,2]": np.array([[[0.5, 1.0], [2.0, 3.0]]], np.float32),
        "[]": np.array(0.5, np.float32),
        "int64": np.array([[0, 1, 2, 3]]),
        "uint8": np.array([[0, 1, 2, 3]], np.uint8),
    }
    for mode in ("int", "one_hot", "multi_hot", "count"):
        for name, x in inputs.items():
            if name != "uint8":
                case(f"Discretization {mode} of {name}", lambda: L.Discretization(bin_boundaries=[0.0, 1.0, 2.5], output_mode=mode), x)
    case("Discretization float16", lambda: L.Discretization(bin_boundaries=[0, 1], output_mode="one_hot", dtype="float16"), inputs["[2,3]"])
    rng = stream("discretization")
    batches = [rng.normal(size=(50, 4)).astype(np.float32), rng.normal(2, 3, size=77).astype(np.float32), np.array([[1.0, 2.0]], np.float32)]
    for bins, epsilon in ((4, 0.01), (3, 0.1), (10, 0.05), (7, 0.3), (2, 0.01), (50, 0.02)):
        case(f"Discretization adapted, {bins} {epsilon}", lambda: L.Discretization(num_bins=bins, epsilon=epsilon), batches[0], adapt=batches)
    small = [np.array([1.5, 2.0, 3.0, 4.0], np.float32), np.array([9.0, 7.0, 8.0, 100.0], np.float32)]
    case("Discretization adapted, few", lambda: L.Discretization(num_bins=4, output_mode="count"), small[0][None], adapt=small)
