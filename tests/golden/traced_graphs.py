"""Graphs that TensorFlow traced: `graph_defs.zip` has one for each golden case that succeeds.

`index.json` has a row for each, `{"op", "case", "inputs": [[0, "x0"]], "outputs": ["Identity:0"], "length"}`: the op and the case,
which of its inputs are fed by which name, the names of its results, and the bytes in `graphs`, where they follow each other.
Inputs of floats are placeholders, others are constants, so that shapes and axes are in the graph as a model has them.
"""

import json
import pathlib
import zipfile

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import op_def_registry

from fixture import array
from op_runner import call, free_attrs, listed

HERE = pathlib.Path(__file__).parent
FLOATS = ("float16", "bfloat16", "float32", "float64", "complex64", "complex128")


def write():
    rows, graphs = [], []
    for manifest in sorted((HERE / "ops").glob("*.json")):
        arrays = np.load(manifest.with_suffix(".npz"))
        for case in json.loads(manifest.read_text(encoding="utf-8")):
            if "error" not in case and "variable" not in case:
                row, graph = traced(case, arrays)
                rows.append(row)
                graphs.append(graph)
    with zipfile.ZipFile(HERE / "graph_defs.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        lines = ",\n".join(json.dumps(row) for row in rows)
        for name, data in (("index.json", f"[\n{lines}\n]\n".encode()), ("graphs", b"".join(graphs))):
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED, 9)
    print(f"graph_defs: {len(rows)} graphs, {sum(map(len, graphs))} bytes")


def traced(case, arrays):
    definition = op_def_registry.get(case["op"])
    values = [array(entry, arrays) for entry in case["inputs"]]
    floats = [i for i, entry in enumerate(case["inputs"]) if entry["dtype"] in FLOATS]
    kinds = {a.name: a.type for a in definition.attr}
    free = free_attrs(definition)
    attrs = {name: decoded(kinds[name], value) for name, value in case["attrs"].items() if name in free}

    def concrete_of(fed, shaped):
        def function(*given):
            tensors = [given[fed.index(i)] if i in fed else tf.constant(value) for i, value in enumerate(values)]
            return listed(call(case["op"], grouped(definition, tensors), attrs))

        shape = (lambda value: value.shape) if shaped else (lambda value: None)
        dtype = (lambda value: tf.string if value.dtype == object else tf.as_dtype(value.dtype))
        specs = [tf.TensorSpec(shape(values[i]), dtype(values[i]), name=f"x{i}") for i in fed]
        return tf.function(function, autograph=False).get_concrete_function(*specs)

    try:
        fed, concrete = floats, concrete_of(floats, True)
    except ValueError:  # What TensorFlow says of shapes refuses what its kernel computes.
        fed = list(range(len(values)))
        concrete = concrete_of(fed, False)
    graph = concrete.graph.as_graph_def().SerializeToString(deterministic=True)
    names = [t.op.name for t in concrete.inputs]
    outputs = [t.name for t in concrete.outputs]
    row = {"op": case["op"], "case": case["case"], "inputs": list(zip(fed, names)), "outputs": outputs}
    return {**row, "length": len(graph)}, graph


def grouped(definition, tensors):
    """The arguments of an op from its inputs in a row: those that are lists are all of one length."""
    is_list = [bool(a.number_attr or a.type_list_attr) for a in definition.input_arg]
    lists = sum(is_list)
    length = (len(tensors) - (len(is_list) - lists)) // lists if lists else 0
    arguments, at = [], 0
    for several in is_list:
        arguments.append(tensors[at : at + length] if several else tensors[at])
        at += length if several else 1
    return arguments


def decoded(kind, value):
    if kind == "type":
        return tf.as_dtype({"FLOAT": "float32", "DOUBLE": "float64"}.get(value["type"][3:], value["type"][3:].lower()))
    if kind == "shape":
        return tf.TensorShape(value["shape"])
    if kind.startswith("list("):
        return [decoded(kind[5:-1], item) for item in value]
    return value
