"""The container of a fixture: arrays in `<name>.npz`, what they mean in `<name>.json`."""

import hashlib
import json
import pathlib

import ml_dtypes
import numpy as np

HERE = pathlib.Path(__file__).parent


def text(string):
    """A string as it stands in a manifest: its bytes, where it is not UTF-8."""
    try:
        return string.decode() if isinstance(string, bytes) else string
    except UnicodeDecodeError:
        return list(string)


def array(entry, arrays):
    """The array that an entry of a manifest names, of those of its archive."""
    if entry["dtype"] == "string":
        strings = [s.encode() if isinstance(s, str) else bytes(s) for s in entry["strings"]]
        return np.array(strings, dtype=object).reshape(entry["shape"])
    stored = arrays[entry["key"]]
    return stored.view(ml_dtypes.bfloat16) if entry["dtype"] == "bfloat16" else stored


class Fixture:
    """Cases with their arrays. An array's key comes from its content, so equal ones share it and a new one moves none."""

    def __init__(self, name):
        self.name = name
        self.cases = []
        self.arrays = {}

    def put(self, value):
        """Stores an array, a tensor or a scalar; returns what the manifest says of it."""
        if value is None:
            return None
        array = np.asarray(value)
        if array.dtype.kind in "OSU":
            return {"dtype": "string", "shape": list(array.shape), "strings": [text(s) for s in array.ravel().tolist()]}
        dtype = array.dtype.name
        if array.dtype == ml_dtypes.bfloat16:
            array = array.view(np.uint16)
        identity = repr((dtype, array.shape)).encode() + array.tobytes()
        key = hashlib.sha256(identity).hexdigest()[:8]
        known = self.arrays.setdefault(key, np.array(array, order="C"))
        assert (known.dtype, known.shape, known.tobytes()) == (array.dtype, array.shape, array.tobytes()), (
            "one key, two arrays"
        )
        return {"key": key, "dtype": dtype}

    def put_all(self, values):
        return [self.put(v) for v in values]

    def write(self):
        np.savez_compressed(HERE / f"{self.name}.npz", **self.arrays)
        write_json(f"{self.name}.json", self.cases)
        print(f"{self.name}: {len(self.cases)} cases, {len(self.arrays)} arrays")


def write_json(file, rows):
    """A JSON list with one row to a line, so that a change shows as the lines it touches."""
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (HERE / file).write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def stream(*names):
    """A random stream that depends on nothing but the names (`RandomState` is frozen by numpy)."""
    seed = 2166136261
    for byte in "/".join(map(str, names)).encode():
        seed = ((seed ^ byte) * 16777619) % 2**32
    return np.random.RandomState(seed)
