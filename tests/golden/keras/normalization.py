"""Layers that normalize, and what some of them learn from batches."""

import keras
import numpy as np
import tensorflow as tf

from fixture import stream
from keras_recorder import LayerRecorder, Recorder, config, spectral_row
from samples import draw, f16, f32


def add(fixture):
    case = LayerRecorder(fixture).case
    L = keras.layers

    rng = stream("normalization")
    x34, x234, x2343 = (draw(rng, shape, f32, -2, 3) for shape in ((3, 4), (2, 3, 4), (2, 3, 4, 3)))
    empty, half = np.zeros((0, 3, 4), f32), x234.astype(f16)

    def by_rows(name, label, x=x234, **arguments):
        case(f"{name} {label}", lambda d: getattr(L, name)(**{"dtype": d, **arguments}), x)

    # Variables of float32, numbers of float16.
    def mixed(name, label, training=None, positive=(), **arguments):
        def make(d):
            return getattr(L, name)(dtype="mixed_float16" if d == "float32" else d, **arguments)

        case(f"{name} {label}", make, half, training, positive)

    for name in ("LayerNormalization", "RMSNormalization", "UnitNormalization"):
        by_rows(name, "[2,3,4]")
        by_rows(name, "[3,4]", x34)
        by_rows(name, "[2,3,4,3]", x2343)
        by_rows(name, "[0,3,4]", empty)
        by_rows(name, "axis [-2, -1]", axis=[-2, -1])
        by_rows(name, "axis [2, 1]", axis=[2, 1])
        by_rows(name, "axis [-1]", axis=[-1])
        mixed(name, "float16")
    by_rows("LayerNormalization", "axis 1", axis=1)
    by_rows("LayerNormalization", "axis [1, 3]", x2343, axis=[1, 3])
    by_rows("LayerNormalization", "without beta", center=False)
    by_rows("LayerNormalization", "without gamma", scale=False)
    by_rows("LayerNormalization", "without either", center=False, scale=False)
    by_rows("LayerNormalization", "axis [1, 3] without gamma", x2343, axis=[1, 3], scale=False)
    by_rows("LayerNormalization", "epsilon", epsilon=0.25)
    by_rows("LayerNormalization", "rms_scaling", rms_scaling=True)
    by_rows("LayerNormalization", "rms_scaling axis 1", rms_scaling=True, axis=1, scale=False)
    by_rows("LayerNormalization", "far from zero", x234 + f32(64))
    by_rows("RMSNormalization", "epsilon", epsilon=0.25)
    by_rows("RMSNormalization", "axis 1", x2343, axis=1)
    by_rows("UnitNormalization", "axis 1", axis=1)
    by_rows("UnitNormalization", "axis [0, 2]", axis=(0, 2))
    by_rows("LayerNormalization", "not trainable", trainable=False)

    costs = {
        "gamma_initializer": "random_normal",
        "beta_initializer": keras.initializers.Constant(0.5),
        "gamma_regularizer": "l2",
        "beta_regularizer": keras.regularizers.L1(0.25),
        "gamma_constraint": "non_neg",
        "beta_constraint": keras.constraints.MaxNorm(1.5),
    }
    by_rows("LayerNormalization", "with all settings", **costs)

    for groups, axis, x in ((2, -1, x234), (1, -1, x234), (-1, -1, x234), (4, 2, x234), (3, 1, x234), (1, 1, x234)):
        by_rows("GroupNormalization", f"{groups} along {axis} of {list(x.shape)}", x, groups=groups, axis=axis)
    by_rows("GroupNormalization", "2 of [3,4]", x34, groups=2)
    by_rows("GroupNormalization", "2 along -2 of [2,3,4,3]", x2343, groups=2, axis=-2)
    by_rows("GroupNormalization", "3 along 1 of [2,3,4,3]", x2343, groups=3, axis=1)
    by_rows("GroupNormalization", "2 of [0,3,4]", empty, groups=2)
    by_rows("GroupNormalization", "without beta", groups=2, center=False)
    by_rows("GroupNormalization", "without gamma", groups=2, scale=False)
    by_rows("GroupNormalization", "epsilon", groups=2, epsilon=0.25)
    by_rows("GroupNormalization", "with all settings", groups=2, **costs)
    mixed("GroupNormalization", "float16", groups=2)

    positive = ("moving_variance", "moving_stddev", "renorm_stddev")

    def batches(label, x=x234, training=True, **arguments):
        make = lambda d: L.BatchNormalization(**{"dtype": d, **arguments})
        case(f"BatchNormalization {label}", make, x, training, positive)

    for training in (True, False, None):
        phase = {True: "training", False: "not training", None: "unsaid"}[training]
        for label, x, arguments in (
            ("[2,3,4]", x234, {}),
            ("[3,4]", x34, {}),
            ("[2,3,4,3]", x2343, {}),
            ("[0,3,4]", empty, {}),
            ("axis 1", x234, {"axis": 1}),
            ("axis -2", x2343, {"axis": -2}),
            ("axis 0", x234, {"axis": 0}),
            ("without beta", x234, {"center": False}),
            ("without gamma", x234, {"scale": False}),
            ("without either", x234, {"center": False, "scale": False}),
            ("epsilon", x234, {"epsilon": 0.25}),
            ("far from zero", x234 + f32(64), {}),
            ("not trainable", x234, {"trainable": False}),
            ("renorm", x234, {"renorm": True}),
            (
                "renorm clipped",
                x234,
                {"renorm": True, "renorm_clipping": {"rmax": 1.25, "rmin": 0.75, "dmax": 0.5}, "renorm_momentum": 0.5},
            ),
            ("renorm without either", x234, {"renorm": True, "center": False, "scale": False}),
            ("renorm without gamma", x234, {"renorm": True, "scale": False}),
        ):
            # TensorFlow's gradient of γ is NaN in training on an empty batch, which is in `steps`.
            if (training is not None or not arguments) and not (training and x is empty):
                batches(f"{label}, {phase}", x, training, **arguments)
        mixed("BatchNormalization", f"float16, {phase}", training, positive)
    moving = {"moving_mean_initializer": "ones", "moving_variance_initializer": keras.initializers.Constant(2.0)}
    batches("with all settings", **costs, **moving, momentum=0.5, synchronized=True)

    for label, arguments in (
        ("mean and variance", {"mean": 0.5, "variance": 4.0}),
        ("of each", {"mean": [0.5, -1.0, 2.0, 0.0], "variance": [1.0, 4.0, 0.25, 0.0]}),
        ("along two axes", {"axis": (-1, 1), "mean": [[1.0] * 4, [2.0] * 4, [3.0] * 4], "variance": [[0.5] * 4] * 3}),
        ("along two axes, by the last", {"axis": (1, 2), "mean": [1.0, 2.0, 3.0, 4.0], "variance": [2.0] * 4}),
        ("along none", {"axis": None, "mean": 2.0, "variance": 3.0}),
        ("inverted", {"axis": 1, "mean": [1.0, 2.0, 3.0], "variance": [4.0, 1.0, 0.25], "invert": True}),
    ):
        by_rows("Normalization", label, **arguments)
    by_rows("Normalization", "of nothing", empty, mean=0.5, variance=4.0)
    by_rows("Rescaling", "by a number", scale=0.25)
    by_rows("Rescaling", "and moved", scale=2.0 / 255, offset=-1.0)
    by_rows("Rescaling", "of each", scale=[1.0, 2.0, 0.5, -1.0], offset=[0.0, 0.5, 1.0, 2.0])
    by_rows("Rescaling", "of nothing", empty, scale=0.25)

    steps(fixture)
    spectral(fixture)
    adapted(fixture)


def steps(fixture):
    """Batch after batch, and what has been learnt from them."""
    record, rng, L = Recorder(fixture, "batch normalization"), stream("batch normalization"), keras.layers
    clipping = {"rmax": 1.5, "rmin": 0.5, "dmax": 0.5}
    for label, arguments, shape, dtype in (
        ("[4,3]", {}, (4, 3), f32),
        ("momentum", {"momentum": 0.5}, (4, 3), f32),
        ("axis 1", {"axis": 1, "momentum": 0.75}, (2, 3, 5), f32),
        ("far from zero", {"momentum": 0.5}, (4, 3), f32),
        ("float16", {"dtype": "mixed_float16", "momentum": 0.5}, (4, 3), f16),
        ("not trainable", {"trainable": False}, (4, 3), f32),
        ("renorm", {"renorm": True, "momentum": 0.75, "renorm_momentum": 0.5}, (4, 3), f32),
        ("renorm clipped", {"renorm": True, "renorm_clipping": clipping, "renorm_momentum": 0.5}, (4, 3), f32),
        ("empty", {"momentum": 0.5}, (0, 3), f32),
        ("mask", {"momentum": 0.5}, (2, 4, 3), f32),
        ("mask, renorm", {"momentum": 0.5, "renorm": True}, (2, 4, 3), f32),
        ("mask, axis 1", {"momentum": 0.5, "axis": 1}, (2, 4, 3), f32),
        ("mask of nothing", {"momentum": 0.5}, (2, 4, 3), f32),
    ):
        keras.backend.clear_session()
        layer = L.BatchNormalization(**arguments)
        layer.build(shape)
        offset = 16 if label == "far from zero" else 0
        xs = [(draw(rng, shape, f32, -2, 3) + offset).astype(dtype) for _ in range(3)]
        masks = [None] * 3
        if label.startswith("mask"):
            masks = [draw(rng, shape[:-1], f32, -1, 1) > (2 if label.endswith("nothing") else 0) for _ in range(3)]
        row = {"config": config(layer), "x": [record.put(x) for x in xs], "mask": [record.put(m) for m in masks]}
        outputs, state = [], []
        for x, mask in zip(xs, masks):
            outputs.append(record.put(layer(tf.constant(x), training=True, mask=mask)))
            state.append(record.named(layer.weights))
        row.update(y=outputs, state=state, inferred=record.put(layer(tf.constant(xs[0]), training=False)))
        record.row(label, **row)


def spectral(fixture):
    """A kernel that is brought to a spectral norm of 1, step by step."""
    record, rng, L = Recorder(fixture, "spectral normalization"), stream("spectral normalization"), keras.layers
    for label, iterations, shape, zero in (
        ("one iteration", 1, (5, 3), False),
        ("three iterations", 3, (2, 5, 4), False),
        ("a kernel of zeros", 1, (5, 3), True),
    ):
        keras.backend.clear_session()
        layer = L.SpectralNormalization(L.Dense(4), power_iterations=iterations)
        unbuilt = config(layer)
        layer.build(shape)
        for w in layer.weights:
            w.assign(np.zeros(w.shape, f32) if zero and w.name == "kernel" else draw(rng, w.shape, f32, -1, 1))
        x = draw(rng, shape, f32, -2, 3)
        spectral_row(record, label, unbuilt, layer, x)


def adapted(fixture):
    """Features whose moments are learnt beforehand."""
    record, rng, L = Recorder(fixture, "adapted"), stream("adapted"), keras.layers
    for label, arguments, shapes in (
        ("one batch", {}, [(4, 3)]),
        ("batches", {}, [(4, 3), (2, 3), (5, 3)]),
        ("axis 1", {"axis": 1}, [(2, 3, 4), (1, 3, 4)]),
        ("two axes", {"axis": (1, -1)}, [(2, 3, 4), (3, 3, 4)]),
        ("no axis", {"axis": None}, [(2, 3, 4), (3, 3, 4)]),
        ("inverted", {"invert": True}, [(4, 3), (2, 3)]),
        ("integers", {}, [(4, 3), (2, 3)]),
    ):
        keras.backend.clear_session()
        layer = L.Normalization(**arguments)
        unbuilt = config(layer)
        batches = [draw(rng, shape, f32, -2, 3) for shape in shapes]
        if label == "integers":
            batches = [(10 * batch).astype(np.int32) for batch in batches]
        layer.adapt(iter(batches))
        record.row(
            label,
            config=unbuilt,
            batches=[record.put(batch) for batch in batches],
            state=record.named(layer.weights),
            y=record.put(layer(tf.constant(batches[0]))),
        )
