"""Records what objects of Keras compute."""

import contextlib
import json
from unittest import mock

import keras
import numpy as np
import tensorflow as tf

from fixture import stream
from op_runner import cotangent
from samples import bf16, draw, f16, f32, f64


def config(obj):
    """The serialized object as it stands in a file: tuples are lists there."""
    return json.loads(json.dumps(keras.saving.serialize_keras_object(obj)))


def numpy(value):
    return np.asarray(keras.ops.convert_to_numpy(value))


class Recorder:
    """Adds rows of one kind, each with a unique case."""

    def __init__(self, fixture, kind):
        self.fixture, self.kind = fixture, kind
        self.seen = set()

    def row(self, case, **values):
        assert case not in self.seen, (self.kind, case)
        self.seen.add(case)
        self.fixture.cases.append({"kind": self.kind, "case": case, **values})

    def put(self, value):
        if value is None:
            return None
        array = np.asarray(value) if isinstance(value, (np.ndarray, np.generic, tf.Tensor)) else numpy(value)
        return self.fixture.put(array)

    def named(self, variables):
        return [{"path": v.path, "value": self.put(v)} for v in variables]


def with_mask(x, mask):
    """The tensor with a mask that goes with it."""
    if mask is not None:
        x._keras_mask = tf.constant(mask)
    return x


def wide(x):
    x = np.asarray(x)
    return x.astype(f64) if x.dtype in (f32, f16, bf16) else x


def in_float64(function, *inputs):
    """The outcome on float64 inputs, its cotangent, and the gradient with respect to each floating input."""
    tensors = [tf.constant(wide(x)) for x in inputs]
    with tf.GradientTape() as tape:
        tape.watch([t for t in tensors if t.dtype.is_floating])
        y = tf.convert_to_tensor(function(*tensors))
    assert y.dtype == tf.float64, y.dtype
    dy = cotangent(y.shape) if y.shape.rank else np.array(1.0)
    floating = [t for t in tensors if t.dtype.is_floating]
    grads = iter(tape.gradient(y, floating, output_gradients=tf.constant(dy)))
    return y.numpy(), dy, [next(grads) if t.dtype.is_floating else None for t in tensors]


class LayerRecorder(Recorder):
    """Adds rows of layers."""

    def __init__(self, fixture):
        super().__init__(fixture, "layer")

    def build(self, make, x, dtype, values):
        keras.backend.clear_session()
        layer = make(dtype)
        layer.build(x.shape)
        if values is not None:
            layer.set_weights(values)
        return layer

    def case(self, label, make, x, training=None, positive=(), mask=None, beside=None, differentiable=True):
        """Weights are drawn here, so that the case does not hang on an initializer; those of some names are positive.

        A mask is an argument of the call, or `beside` the input. Where TensorFlow's gradient is no use there is none.
        """
        rng = stream("layer", label)
        keras.backend.clear_session()
        unbuilt = config(make("float32"))
        layer = self.build(make, x, "float32", None)
        values = [draw(rng, w.shape, f32, -1, 1, (0,)) for w in layer.weights]
        values = [abs(v) + f32(0.25) if w.name in positive else v for v, w in zip(values, layer.weights)]
        layer.set_weights(values)
        weights = self.named(layer.weights)
        built = config(layer)
        masked = {} if mask is None else {"mask": tf.constant(mask)}
        y = layer(with_mask(tf.constant(x), beside), training=training, **masked)

        precise = self.build(make, x, "float64", [v.astype(f64) for v in values])
        inputs = tf.constant(wide(x))
        with tf.GradientTape() as tape:
            if inputs.dtype.is_floating:
                tape.watch(inputs)
            reference = precise(with_mask(inputs, beside), training=training, **masked)
            if reference.dtype == tf.float32:  # Of a layer that has no float64.
                reference = tf.cast(reference, tf.float64)
            dy = cotangent(reference.shape)
            differentiable = differentiable and reference.dtype.is_floating
            total = tf.reduce_sum(reference * dy) if reference.dtype.is_floating else tf.constant(0.0)
            for loss in precise.losses:
                total += tf.cast(loss, total.dtype)
        wanted = ([inputs] if inputs.dtype.is_floating else []) + [w.value for w in precise.trainable_weights]
        grads = tape.gradient(total, wanted)
        floating = reference.dtype.is_floating
        grad_x = grads.pop(0) if inputs.dtype.is_floating else None
        mask = mask if beside is None else beside
        recorded_masks = {"mask": mask, "output_mask": getattr(y, "_keras_mask", None)}
        if all(value is None for value in recorded_masks.values()):
            recorded_masks = {}
        recorded_masks = {key: self.put(value) for key, value in recorded_masks.items()}
        self.row(
            label,
            config=unbuilt,
            built_config=built,
            training=training,
            x=self.put(x),
            weights=weights,
            y=self.put(y),
            losses=[self.put(loss) for loss in layer.losses],
            reference=self.put(reference) if floating else None,
            reference_losses=[self.put(loss) for loss in precise.losses],
            dy=self.put(dy) if differentiable else None,
            grad=self.put(grad_x) if differentiable else None,
            weight_grads=[self.put(g) for g in grads],
            output_shape=list(layer.compute_output_shape((None, *x.shape[1:]))),
            parameters=layer.count_params(),
            **recorded_masks,
        )


@contextlib.contextmanager
def first_as_last():
    """Convolutions and pooling with channels first, which TensorFlow has on no CPU, by those with channels last."""

    def by_last(function):
        def call(x, *args, data_format=None, **settings):
            if data_format != "channels_first":
                return function(x, *args, data_format=data_format, **settings)
            axes = list(range(len(x.shape)))
            y = function(tf.transpose(x, [0, *axes[2:], 1]), *args, data_format="channels_last", **settings)
            return tf.transpose(y, [0, axes[-1], *axes[1:-1]])

        return call

    names = ("conv", "conv_transpose", "depthwise_conv", "separable_conv", "max_pool", "average_pool")
    with contextlib.ExitStack() as stack:
        for name in names:
            stack.enter_context(mock.patch.object(keras.src.ops, name, by_last(getattr(keras.src.ops, name))))
        yield


def compiled(name):
    """One of Keras's operations by XLA, where TensorFlow's kernels for a processor have not all of it."""
    function = getattr(keras.src.ops, name)
    return mock.patch.object(keras.src.ops, name, tf.function(function, jit_compile=True, autograph=False))


def draws(record, make, x):
    """What three calls in training give."""
    keras.backend.clear_session()
    layer = make(x.dtype.name)
    layer.build(x.shape)
    seed = layer.seed
    row = {"config": config(make("float32")), "seed": seed, "x": record.put(x)}
    row["outputs"] = [record.put(layer(tf.constant(x), training=True)) for _ in range(3)]
    said = layer.get_config()
    said = ", ".join(f"{key} {said[key]}" for key in said if key not in ("name", "trainable", "dtype"))
    record.row(f"{type(layer).__name__}, {said}, {x.dtype.name} {list(x.shape)}, {float(x.max()):.3f}", **row)


def optimizer_steps(record, optimizer, variables, rng, steps):
    """What steps along drawn gradients make of the variables and the optimizer."""
    rows = []
    for _ in range(steps):
        grads = [draw(rng, v.shape, f32, -1, 1).astype(v.dtype) for v in variables]
        optimizer.apply([tf.constant(g) for g in grads], variables)
        rows.append(
            {
                "grads": [record.put(g) for g in grads],
                "variables": [record.put(v) for v in variables],
                "state": record.named(optimizer.variables),
            }
        )
    return rows


def schedule_row(record, label, schedule, steps=(0, 1, 5, 10, 11, 20, 21, 50, 99, 100, 101, 150, 1000)):
    values = record.put(np.array([numpy(schedule(s)) for s in steps], f32))
    record.row(label, config=config(schedule), steps=list(steps), values=values)


def loss_row(record, label, make, y_true, y_pred):
    """A row of a loss without weights; `make` takes a dtype."""
    value, precise = make()(tf.constant(y_true), tf.constant(y_pred)), make(dtype="float64")
    target = tf.constant(wide(y_true) if y_true.dtype == f32 else y_true)
    reference, dy, (grad,) = in_float64(lambda p: precise(target, p), y_pred)
    record.row(
        label,
        config=config(make()),
        y_true=record.put(y_true),
        y_pred=record.put(y_pred),
        sample_weight=None,
        mask=None,
        value=record.put(value),
        reference=record.put(reference),
        dy=record.put(dy),
        grad=record.put(grad),
    )


def spectral_row(record, label, config, layer, x):
    """A row of a layer whose kernel is normalized in each of two steps."""
    row = {"config": config, "x": record.put(x), "weights": record.named(layer.weights)}
    row["before"] = record.put(layer(tf.constant(x), training=False))
    row["y"], row["state"] = [], []
    for _ in range(2):
        row["y"].append(record.put(layer(tf.constant(x), training=True)))
        row["state"].append(record.named(layer.weights))
    record.row(label, **row)


def states_row(record, label, make, x, weights, mask=None):
    """A row of a recurrent layer that begins with given states and gives those after the sequence; `make` takes a dtype, and
    `weights` is the stream of what the weights and then the states are.
    """
    keras.backend.clear_session()
    unbuilt = config(make("float32"))
    keras.backend.clear_session()
    layer = make("float64")
    layer.build(x.shape)
    values = [draw(weights, w.shape, f32, -1, 1, (0,)) for w in layer.weights]
    layer.set_weights(values)
    states = [draw(weights, state.shape, f32, -1, 1) for state in layer(wide(x))[1:]]
    inputs = [tf.constant(wide(v)) for v in [x, *states]]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        y, *after = layer(inputs[0], initial_state=inputs[1:], mask=None if mask is None else tf.constant(mask))
        dys = [cotangent(t.shape) for t in [y, *after]]
        total = sum(tf.reduce_sum(t * dy) for t, dy in zip([y, *after], dys))
    grads = tape.gradient(total, inputs + [w.value for w in layer.trainable_weights])
    record.row(
        label,
        config=unbuilt,
        x=record.put(x),
        mask=record.put(mask),
        states=[record.put(state) for state in states],
        weights=[{"path": w.path, "value": record.put(v)} for w, v in zip(layer.weights, values)],
        reference=record.put(y),
        after=[record.put(state) for state in after],
        dys=[record.put(dy) for dy in dys],
        grads=[record.put(grad) for grad in grads],
    )
