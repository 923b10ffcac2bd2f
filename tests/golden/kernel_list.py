"""What TensorFlow's kernels for the CPU take: `kernels.json`, a row for each op that has golden cases.

`dtypes` has, for each attribute that is a dtype, those of this library that some kernel is registered for; `allowed` the strings
that the op's definition names for an attribute, of which there is a kernel; `gradient` whether TensorFlow differentiates the op.
"""

import json
import pathlib

import tensorflow as tf
from tensorflow.python.framework import kernels, op_def_registry, ops

from fixture import write_json

HERE = pathlib.Path(__file__).parent
INTEGERS = "int8 int16 int32 int64 uint8 uint16 uint32 uint64"
DTYPES = f"float16 bfloat16 float32 float64 {INTEGERS} bool complex64 complex128 string".split()


def write():
    names = set()
    for manifest in (HERE / "ops").glob("*.json"):
        names |= {row["op"] for row in json.loads(manifest.read_text(encoding="utf-8"))}
    rows = [row(op_def_registry.get(op)) for op in sorted(names)]
    write_json("kernels.json", rows)
    print(f"kernels: {len(rows)} ops")


def row(definition):
    registered = kernels.get_registered_kernels_for_op(definition.name).kernel
    registered = [kernel for kernel in registered if kernel.device_type == "CPU"]
    dtypes, allowed = {}, {}
    for attr in definition.attr:
        if attr.type == "type":
            dtypes[attr.name] = [name for name in DTYPES if takes(attr, registered, tf.as_dtype(name).as_datatype_enum)]
        elif attr.allowed_values.list.s:
            texts = [text for text in attr.allowed_values.list.s if takes(attr, registered, text)]
            allowed[attr.name] = [text.decode() for text in texts]
    try:
        gradient = ops.gradient_registry.lookup(definition.name) is not None
    except LookupError:
        gradient = False
    return {"op": definition.name, "dtypes": dtypes, "allowed": allowed, "gradient": gradient}


def takes(attr, registered, value):
    """Whether the definition allows a value of an attribute and some kernel does not rule it out."""

    def values(of):
        return of.list.type if attr.type == "type" else of.list.s

    defined = values(attr.allowed_values)
    ruled = [[values(c.allowed_values) for c in kernel.constraint if c.name == attr.name] for kernel in registered]
    return (not defined or value in defined) and any(all(value in one for one in rules) for rules in ruled)
