"""Runs one TensorFlow op eagerly and records inputs, outputs, float64 reference and gradient."""

import re

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import op_def_registry
from tensorflow.python.util import tf_inspect

FLOATS = (tf.float16, tf.bfloat16, tf.float32)


class OpRunner:
    def __init__(self, fixture):
        self.fixture = fixture
        self.seen = set()

    def add(self, op, case, *inputs, grad=True, reference=True, dy=None, **attrs):
        """One case that succeeds. An input that is a list stands for a list argument of the op.

        `grad=False` for points where the derivative is not defined or says nothing, `reference=False` for ops
        that only move data. `dy` may give a cotangent per output (`None`: zero) instead of the usual pattern.
        """
        inputs = [[tensor(i) for i in x] if isinstance(x, list) else tensor(x) for x in inputs]
        row = self.row(op, case, inputs, attrs)
        try:
            outputs = listed(call(op, inputs, attrs))
        except tf.errors.NotFoundError as error:
            if "Could not find device" not in error.message:
                raise
            return  # The op's definition allows this dtype, but no CPU kernel exists for it.
        row["outputs"] = self.fixture.put_all(t.numpy() for t in outputs)
        flat_inputs = flat(inputs)
        floating_in = any(t.dtype.is_floating for t in flat_inputs)
        floating_out = any(t.dtype.is_floating for t in outputs)
        if floating_out and floating_in and (reference or grad):
            wide = [[widened(i) for i in x] if isinstance(x, list) else widened(x) for x in inputs]
            sources = flat(wide)
            with tf.GradientTape() as tape:
                tape.watch([t for t in sources if t.dtype.is_floating])
                results = listed(call(op, wide, {k: wide_attr(v) for k, v in attrs.items()}))
            if reference:
                row["reference"] = self.fixture.put_all(r.numpy() if r.dtype.is_floating else None for r in results)
            if grad:
                self.gradient(row, tape, results, sources, dy)
        self.fixture.cases.append(row)

    def fails(self, op, case, *inputs, **attrs):
        """One case that TensorFlow refuses; its error's name is recorded."""
        inputs = [[tensor(i) for i in x] if isinstance(x, list) else tensor(x) for x in inputs]
        self.refused(self.row(op, case, inputs, attrs), lambda: call(op, inputs, attrs))

    def refused(self, row, f):
        try:
            f()
        except tf.errors.OpError as error:
            row["error"] = type(error).__name__
            row["message"] = re.sub(r"^\{\{[^}]*\}\} ", "", error.message).split(" [Op:")[0][:200]
            self.fixture.cases.append(row)
        else:
            raise AssertionError(f"{row['op']}: {row['case']}: TensorFlow accepts this")

    def variable(self, op, case, before, *inputs, **attrs):
        """One case that succeeds, of an op on a variable with this value."""
        row, variable, inputs = self.variable_row(op, case, before, inputs, attrs)
        with tf.GradientTape() as tape:
            if variable.dtype.is_floating:
                tape.watch(variable)
            outputs = call(op, [variable.handle, *inputs], attrs)
        outputs = [] if outputs is None else listed(outputs)
        row["outputs"] = self.fixture.put_all(t.numpy() for t in outputs)
        row["after"] = self.fixture.put(variable.numpy())
        if variable.dtype == tf.float64 and outputs:
            dy = cotangent(outputs[0].shape)
            row["dy"] = [self.fixture.put(dy)]
            gradient = tape.gradient(outputs, variable, output_gradients=[tf.constant(dy)])
            row["grads"] = [self.fixture.put(tf.convert_to_tensor(gradient).numpy()), *(None for _ in inputs)]
        self.fixture.cases.append(row)

    def variable_fails(self, op, case, before, *inputs, **attrs):
        """One case that TensorFlow refuses, of an op on a variable with this value."""
        row, variable, inputs = self.variable_row(op, case, before, inputs, attrs)
        self.refused(row, lambda: call(op, [variable.handle, *inputs], attrs))

    def variable_row(self, op, case, before, inputs, attrs):
        inputs = [tensor(i) for i in inputs]
        row = self.row(op, case, inputs, attrs)
        row["variable"] = self.fixture.put(tensor(before).numpy())
        return row, tf.Variable(before), inputs

    def row(self, op, case, inputs, attrs):
        if (op, case) in self.seen:
            raise AssertionError(f"two cases are called {op}: {case}")
        self.seen.add((op, case))
        return {
            "op": op,
            "case": case,
            "attrs": encoded_attrs(op, attrs),
            "inputs": self.fixture.put_all(t.numpy() for t in flat(inputs)),
        }

    def gradient(self, row, tape, results, sources, dy):
        targets = [r for r in results if r.dtype.is_floating]
        if dy is None:
            dy = [cotangent(t.shape) for t in targets]
        used = [(t, tf.constant(d)) for t, d in zip(targets, dy) if d is not None]
        wanted = [t for t in sources if t.dtype.is_floating]
        try:
            grads = tape.gradient([t for t, _ in used], wanted, output_gradients=[d for _, d in used])
        except LookupError:
            row["grad"] = "none: TensorFlow registers no gradient"
            return
        if all(g is None for g in grads):
            row["grad"] = "none: TensorFlow does not differentiate this op"
            return
        by_source = {id(t): g for t, g in zip(wanted, grads)}
        cotangents = iter(dy)
        row["dy"] = [self.fixture.put(next(cotangents)) if r.dtype.is_floating else None for r in results]
        row["grads"] = [
            None if by_source.get(id(t)) is None else self.fixture.put(tf.convert_to_tensor(by_source[id(t)]).numpy())
            for t in sources
        ]


def cotangent(shape):
    """Odd eighths between -15/8 and 15/8: never zero, exact in every float dtype."""
    count = int(np.prod(shape, dtype=np.int64))
    return (((np.arange(count) * 7 + 3) % 16 * 2 - 15) / 8.0).reshape(shape)


def tensor(value):
    return value if isinstance(value, tf.Tensor) else tf.constant(value)


def flat(inputs):
    return [t for x in inputs for t in (x if isinstance(x, list) else [x])]


def listed(outputs):
    """The outputs of an op, which Python gives bare, as a list or as a named tuple."""
    return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]


def widened(t):
    """In NumPy, because TensorFlow's kernels take subnormal numbers for zero."""
    return tf.constant(t.numpy().astype(np.float64)) if t.dtype in FLOATS else tf.identity(t)


def wide_attr(value):
    return tf.float64 if isinstance(value, tf.DType) and value in FLOATS else value


def call(op, inputs, attrs):
    """Python renames some arguments (`reduction_indices` is `axis`) and puts those without a default first, but keeps
    their order, so position tells."""
    function = getattr(tf.raw_ops, op)
    names = [a for a in tf_inspect.getfullargspec(function).args if a != "name"]
    definition = op_def_registry.get(op)
    attrs_of = {a.name: a for a in definition.attr}
    free = sorted(free_attrs(definition), key=lambda name: attrs_of[name].HasField("default_value"))
    own = [a.name for a in definition.input_arg] + free
    arguments = dict(zip(names, inputs))
    for name, value in attrs.items():
        arguments[names[own.index(name)]] = value
    return function(**arguments)


def free_attrs(definition):
    """Attributes that the inputs' dtypes and number do not determine."""
    derived = set()
    for arg in definition.input_arg:
        derived |= {arg.type_attr, arg.number_attr, arg.type_list_attr}
    return [a.name for a in definition.attr if a.name not in derived]


def encoded_attrs(op, given):
    definition = op_def_registry.get(op)
    attrs = {a.name: a for a in definition.attr}
    encoded = {}
    for name in free_attrs(definition):
        if name in given:
            encoded[name] = encode(attrs[name].type, given[name])
        else:
            encoded[name] = encode_proto(attrs[name])
    assert set(given) <= set(encoded), (op, given)
    return encoded


def encode(kind, value):
    if kind == "type":
        return {
            "type": "DT_"
            + {"bool": "BOOL", "float32": "FLOAT", "float64": "DOUBLE", "float16": "HALF"}.get(
                tf.as_dtype(value).name, tf.as_dtype(value).name.upper()
            )
        }
    if kind == "shape":
        return {"shape": list(value)}
    if kind == "float":
        return float(value)
    if kind.startswith("list("):
        return [encode(kind[5:-1], v) for v in value]
    return value


def encode_proto(attr):
    value = attr.default_value
    match attr.type:
        case "type":
            return encode("type", value.type)
        case "bool":
            return value.b
        case "int":
            return value.i
        case "float":
            return value.f
        case "string":
            return value.s.decode()
        case "list(int)":
            return list(value.list.i)
    raise AssertionError(f"attribute {attr.name} of type {attr.type} has no encoding here")
