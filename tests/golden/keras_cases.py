"""What Keras computes: activations, losses, metrics, optimizers, regularizers, constraints, initializers, layers."""

import json

import keras
import numpy as np
import tensorflow as tf

from elementwise_cases import bf16, draw, f16, f32, f64
from fixture import Fixture, stream
from op_runner import cotangent


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


# Arguments, and the points that the derivative must keep away from.
ACTIVATIONS = {
    "celu": ([{}, {"alpha": 0.5}, {"alpha": 2.0}], (0,)),
    "elu": ([{}, {"alpha": 0.5}], (0,)),
    "exponential": ([{}], ()),
    "gelu": ([{}, {"approximate": True}], ()),
    "glu": ([{}, {"axis": 0}, {"axis": 1}], ()),
    "hard_shrink": ([{}, {"threshold": 1.5}], (-1.5, -0.5, 0.5, 1.5)),
    "hard_sigmoid": ([{}], (-3, 3)),
    "hard_silu": ([{}], (-3, 3)),
    "hard_swish": ([{}], (-3, 3)),
    "hard_tanh": ([{}], (-1, 1)),
    "leaky_relu": ([{}, {"negative_slope": 0.5}], (0,)),
    "linear": ([{}], ()),
    "log_sigmoid": ([{}], ()),
    "log_softmax": ([{}, {"axis": 0}, {"axis": 1}], ()),
    "mish": ([{}], ()),
    "relu": (
        [
            {},
            {"negative_slope": 0.25},
            {"max_value": 2.0},
            {"threshold": 1.0},
            {"negative_slope": 0.25, "max_value": 2.0, "threshold": 1.0},
            {"negative_slope": 0.25, "threshold": -1.0},
            {"max_value": 6.0},
        ],
        (-1, 0, 1, 2, 6),
    ),
    "relu6": ([{}], (0, 6)),
    "selu": ([{}], (0,)),
    "sigmoid": ([{}], ()),
    "silu": ([{}], ()),
    "swish": ([{}], ()),
    "soft_shrink": ([{}, {"threshold": 1.5}], (-1.5, -0.5, 0.5, 1.5)),
    "softmax": ([{}, {"axis": 0}, {"axis": 1}], ()),
    "softplus": ([{}], ()),
    "softsign": ([{}], (0,)),
    "sparse_plus": ([{}], (-1, 1)),
    "sparse_sigmoid": ([{}], (-1, 1)),
    "sparsemax": ([{}, {"axis": 0}, {"axis": 1}], ()),
    "squareplus": ([{}, {"b": 1}], ()),
    "tanh": ([{}], ()),
    "tanh_shrink": ([{}], ()),
    "threshold": ([{"threshold": 0.5, "default_value": -7.0}, {"threshold": -1.0, "default_value": 0.0}], (-1, 0.5)),
}


def activations(fixture):
    record = Recorder(fixture, "activation")
    for name, (arguments, away) in ACTIVATIONS.items():
        function = getattr(keras.activations, name)
        rng = stream("activation", name)
        inputs = [draw(rng, s, f32, -4, 4, away) for s in ((2, 4, 6), (9, 4))]
        inputs += [
            np.array([[-3, -2, -1, -0.5, 0, 0.5, 1, 2, 3, 6]], f32),
            np.array([[-60, -20, 20, 60]], f32),
            draw(rng, (0, 4), f32, -1, 1),
        ]
        for args in arguments:
            for i, x in enumerate(inputs):
                if x.shape[args.get("axis", 0)] % 2 and name == "glu" or x.size == 0 and args.get("axis") == 0:
                    continue
                label = ["tensor", "matrix", "landmarks", "far out", "empty"][i]
                written = "".join(f", {k}={v}" for k, v in args.items())
                y = function(tf.constant(x), **args)
                reference, dy, (grad,) = in_float64(lambda t: function(t, **args), x)
                smooth = label in ("tensor", "matrix", "empty")
                record.row(
                    f"{name}{written}, {label}",
                    name=name,
                    args=args,
                    x=record.put(x),
                    y=record.put(y),
                    reference=record.put(reference),
                    dy=record.put(dy) if smooth else None,
                    grad=record.put(grad) if smooth else None,
                )
        if name != "sparsemax":
            for dtype in (f16, bf16):
                x = draw(rng, (2, 6), dtype, -3, 3, away)
                args = arguments[0]
                reference, _, _ = in_float64(lambda t: function(t, **args), x)
                record.row(
                    f"{name}, {np.dtype(dtype).name}",
                    name=name,
                    args=args,
                    x=record.put(x),
                    y=record.put(function(tf.constant(x), **args)),
                    reference=record.put(reference),
                    dy=None,
                    grad=None,
                )


def losses(fixture):
    record = Recorder(fixture, "loss")
    L = keras.losses
    reductions = ("sum_over_batch_size", "sum", "none", "mean", "mean_with_sample_weight")

    def case(label, make, y_true, y_pred, sample_weight=None, mask=None):
        loss = make()
        target, prediction = tf.constant(y_true), tf.constant(y_pred)
        weight = None if sample_weight is None else tf.constant(sample_weight)
        if mask is not None:
            keras.src.backend.set_keras_mask(prediction, tf.constant(mask))
        value = loss(target, prediction, weight)

        precise = make(dtype="float64")

        def evaluate(p):
            if mask is not None:
                keras.src.backend.set_keras_mask(p, tf.constant(mask))
            return precise(tf.constant(wide(y_true)), p, None if weight is None else tf.constant(wide(sample_weight)))

        reference, dy, (grad,) = in_float64(evaluate, y_pred)
        record.row(
            label,
            config=config(loss),
            y_true=record.put(y_true),
            y_pred=record.put(y_pred),
            sample_weight=record.put(sample_weight),
            mask=record.put(mask),
            value=record.put(value),
            reference=record.put(reference),
            dy=record.put(dy),
            grad=record.put(grad),
        )

    def family(name, options, y_true, y_pred, plain=(), about=""):
        """The first options with every reduction and weight, the others as they are."""
        cls = getattr(L, name)
        per_sample = (np.arange(len(y_pred)) % 3 + 0.5).astype(f32)
        weights = {"no weight": None, "weight per sample": per_sample if y_pred.ndim == 2 else per_sample[:, None]}
        if y_pred.ndim == 3:
            weights["weight per element"] = (
                ((np.arange(y_pred.shape[0] * y_pred.shape[1]) % 4) / 2).reshape(y_pred.shape[:2]).astype(f32)
            )
        shape = str(list(y_pred.shape)) + about
        for i, option in enumerate(options):
            written = "".join(f", {k}={v}" for k, v in option.items())
            for reduction in reductions if i == 0 else reductions[:1]:
                for weighted, w in weights.items():
                    if w is not None and "axis" in option:
                        continue  # The values are not per sample then.
                    case(
                        f"{name} {shape}{written}, {reduction}, {weighted}",
                        lambda **kw: cls(reduction=reduction, **option, **kw),
                        y_true,
                        y_pred,
                        w,
                    )
        for label, p in plain:
            case(f"{name} {label}", lambda **kw: cls(**kw), y_true, p)

    rng = stream("losses")

    def probabilities(*shape):
        p = rng.uniform(0.05, 1, size=shape)
        return (p / p.sum(axis=-1, keepdims=True)).astype(f32)

    def one_hot(*shape):
        return np.eye(shape[-1], dtype=f32)[rng.randint(0, shape[-1], size=shape[:-1])]

    logits = draw(rng, (4, 5), f32, -3, 3)
    labels = rng.randint(0, 5, size=4).astype(np.int64)
    p3, l3 = probabilities(2, 3, 4), draw(rng, (2, 3, 4), f32, -3, 3)
    t3 = rng.randint(0, 4, size=(2, 3)).astype(np.int32)
    family(
        "SparseCategoricalCrossentropy", [{}, {"ignore_class": 1}, {"ignore_class": -1}], labels, probabilities(4, 5)
    )
    family(
        "SparseCategoricalCrossentropy",
        [{"from_logits": True}, {"from_logits": True, "ignore_class": 2}],
        labels,
        logits,
    )
    family("SparseCategoricalCrossentropy", [{}, {"ignore_class": 0}], t3, p3)
    family("SparseCategoricalCrossentropy", [{"from_logits": True}, {"from_logits": True, "ignore_class": 0}], t3, l3)
    case(
        "SparseCategoricalCrossentropy labels [4,1]",
        lambda **kw: L.SparseCategoricalCrossentropy(from_logits=True, **kw),
        labels[:, None],
        logits,
    )
    case(
        "SparseCategoricalCrossentropy labels beside ignored -1",
        lambda **kw: L.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1, **kw),
        np.array([-1, 2, -1, 0]),
        logits,
    )
    case(
        "SparseCategoricalCrossentropy float labels",
        lambda **kw: L.SparseCategoricalCrossentropy(**kw),
        labels.astype(f32),
        probabilities(4, 5),
    )
    family(
        "CategoricalCrossentropy",
        [{}, {"label_smoothing": 0.1}],
        one_hot(4, 5),
        probabilities(4, 5),
        [
            ("unnormalised", rng.uniform(0.1, 2, size=(4, 5)).astype(f32)),
            ("zero probability", np.eye(5, dtype=f32)[[0, 1, 2, 3]]),
        ],
    )
    family(
        "CategoricalCrossentropy",
        [{"from_logits": True}, {"from_logits": True, "label_smoothing": 0.25}],
        one_hot(4, 5),
        logits,
    )
    family("CategoricalCrossentropy", [{}, {"axis": 1}], one_hot(2, 3, 4), p3)
    family("CategoricalCrossentropy", [{"from_logits": True, "axis": 1}], one_hot(2, 3, 4), l3)
    binary = rng.randint(0, 2, size=(4, 3)).astype(f32)
    family(
        "BinaryCrossentropy",
        [{}, {"label_smoothing": 0.1}, {"axis": 0}],
        binary,
        rng.uniform(0.05, 0.95, size=(4, 3)).astype(f32),
        [("at the ends", 1 - binary), ("right at the ends", binary)],
    )
    family(
        "BinaryCrossentropy",
        [{"from_logits": True}, {"from_logits": True, "label_smoothing": 0.2}],
        binary,
        draw(rng, (4, 3), f32, -4, 4),
    )
    family(
        "BinaryCrossentropy",
        [{"from_logits": True}],
        rng.randint(0, 2, size=(2, 3, 2)).astype(f32),
        draw(rng, (2, 3, 2), f32, -4, 4),
    )
    case(
        "BinaryCrossentropy labels [4], predictions [4,1]",
        lambda **kw: L.BinaryCrossentropy(**kw),
        binary[:, 0],
        rng.uniform(0.1, 0.9, size=(4, 1)).astype(f32),
    )
    family(
        "BinaryFocalCrossentropy",
        [
            {},
            {"apply_class_balancing": True},
            {"gamma": 1.0, "alpha": 0.5, "apply_class_balancing": True},
            {"label_smoothing": 0.1},
        ],
        binary,
        rng.uniform(0.05, 0.95, size=(4, 3)).astype(f32),
    )
    family("BinaryFocalCrossentropy", [{"from_logits": True}], binary, draw(rng, (4, 3), f32, -4, 4))
    family(
        "CategoricalFocalCrossentropy",
        [{}, {"alpha": 0.5, "gamma": 1.0}, {"label_smoothing": 0.1}],
        one_hot(4, 5),
        probabilities(4, 5),
    )
    family("CategoricalFocalCrossentropy", [{"from_logits": True}], one_hot(4, 5), logits)
    target, guess = draw(rng, (4, 3), f32, -2, 2), draw(rng, (4, 3), f32, -2, 2)
    t333, g333 = draw(rng, (2, 3, 2), f32, -2, 2), draw(rng, (2, 3, 2), f32, -2, 2)
    positive, positive_guess = (
        rng.uniform(0.1, 3, size=(4, 3)).astype(f32),
        rng.uniform(0.1, 3, size=(4, 3)).astype(f32),
    )
    for name in ("MeanSquaredError", "MeanAbsoluteError", "LogCosh"):
        family(name, [{}], target, guess)
        family(name, [{}], t333, g333)
        case(
            f"{name} mask",
            lambda **kw: getattr(L, name)(**kw),
            target,
            guess,
            None,
            np.array([True, False, True, True]),
        )
        case(
            f"{name} mask and weight",
            lambda **kw: getattr(L, name)(**kw),
            target,
            guess,
            np.array([0.5, 1, 2, 3], f32),
            np.array([True, False, True, True]),
        )
        case(f"{name} target [4], prediction [4,1]", lambda **kw: getattr(L, name)(**kw), target[:, 0], guess[:, :1])
        case(f"{name} one dimension", lambda **kw: getattr(L, name)(**kw), target[:, 0], guess[:, 0])
        case(f"{name} no sample", lambda **kw: getattr(L, name)(**kw), target[:0], guess[:0])
        case(
            f"{name} weights all zero",
            lambda **kw: getattr(L, name)(reduction="mean_with_sample_weight", **kw),
            target,
            guess,
            np.zeros(4, f32),
        )
    family("MeanAbsolutePercentageError", [{}], positive, guess)
    family("MeanSquaredLogarithmicError", [{}], positive, positive_guess)
    family("Huber", [{}, {"delta": 0.5}], target, guess)
    family("Poisson", [{}], positive, positive_guess)
    family("KLDivergence", [{}], probabilities(4, 3), probabilities(4, 3))
    family("CosineSimilarity", [{}, {"axis": 0}], target, guess)
    for name in ("Hinge", "SquaredHinge"):
        family(name, [{}], binary, guess, about=" labels of zero and one")
        family(name, [{}], 2 * binary - 1, guess, about=" labels of one and minus one")
    family("CategoricalHinge", [{}], one_hot(4, 3), guess)
    family("Dice", [{}, {"axis": [0]}], one_hot(4, 3), probabilities(4, 3))
    family("Tversky", [{}, {"alpha": 0.3, "beta": 0.7}], one_hot(4, 3), probabilities(4, 3))


def metrics(fixture):
    record = Recorder(fixture, "metric")
    M = keras.metrics
    rng = stream("metrics")

    def case(label, metric, updates):
        """Updates are (arguments, sample_weight), or None for a reset."""
        start = config(metric)
        steps = []
        for update in updates:
            if update is None:
                metric.reset_state()
                step = {"reset": True}
            else:
                arguments, weight = update
                metric.update_state(*arguments, sample_weight=weight)
                step = {"arguments": [record.put(a) for a in arguments], "sample_weight": record.put(weight)}
            result = metric.result()
            steps.append({**step, "result": record.put(result), "variables": record.named(metric.variables)})
        record.row(label, config=start, steps=steps)

    w3 = np.array([0.5, 0, 2], f32)
    values = [np.array([1, 2.5, -3], f32), np.array([[4, 5], [6, 7.5], [-1, 0]], f32), np.array(9.25, f32)]
    for name in ("Mean", "Sum"):
        cls = getattr(M, name)
        case(f"{name} plain", cls(), [((v,), None) for v in values] + [None, ((values[0],), None)])
        case(
            f"{name} weighted",
            cls(),
            [
                ((values[0],), w3),
                ((values[1],), w3),
                ((values[1],), np.array([[1, 0], [0.5, 2], [0, 0]], f32)),
                ((values[0],), np.array(2, f32)),
                None,
            ],
        )
        case(f"{name} weights all zero", cls(), [((values[0],), np.zeros(3, f32))])
        case(f"{name} weights [3,1] for values [3]", cls(), [((values[0],), w3[:, None])])
        case(f"{name} named", cls(name="mine"), [((values[0],), None)])
    case("Mean of nothing", M.Mean(), [None])
    case(
        "MeanSquaredError",
        M.MeanSquaredError(),
        [
            ((np.array([[1, 2], [3, 4]], f32), np.array([[1, 1], [5, 4]], f32)), None),
            ((np.array([[1, 2], [3, 4]], f32), np.array([[0, 1], [5, 4]], f32)), np.array([1, 3], f32)),
        ],
    )
    case(
        "MeanAbsoluteError",
        M.MeanAbsoluteError(),
        [((np.array([[1, 2], [3, 4]], f32), np.array([[1, 1], [5, 4]], f32)), None)],
    )
    case(
        "RootMeanSquaredError",
        M.RootMeanSquaredError(),
        [
            ((np.array([[1, 2], [3, 4]], f32), np.array([[1, 1], [5, 4]], f32)), None),
            ((np.array([[1, 2], [3, 4]], f32), np.array([[0, 1], [5, 4]], f32)), np.array([1, 3], f32)),
        ],
    )

    a, b = np.array([1, 2, 3, 4]), np.array([1, 2, 0, 4])
    case("Accuracy", M.Accuracy(), [((a, b), None), ((a, b), np.array([1, 0, 1, 0.5], f32)), None, ((b, b), None)])
    case(
        "Accuracy of matrices",
        M.Accuracy(),
        [((a.reshape(2, 2), b.reshape(2, 2)), None), ((a.reshape(2, 2), b.reshape(2, 2)), np.array([1, 3], f32))],
    )
    case("Accuracy labels [4,1], predictions [4]", M.Accuracy(), [((a[:, None], b), None)])
    yes, chance = rng.randint(0, 2, size=(5, 1)).astype(f32), rng.uniform(0, 1, size=(5, 1)).astype(f32)
    for threshold in (0.5, 0.3):
        case(
            f"BinaryAccuracy threshold {threshold}",
            M.BinaryAccuracy(threshold=threshold),
            [((yes, chance), None), ((1 - yes, chance), np.arange(5).astype(f32)), None, ((yes, yes), None)],
        )
    case(
        "BinaryAccuracy at the threshold",
        M.BinaryAccuracy(),
        [((np.array([0, 1], f32), np.array([0.5, 0.5], f32)), None)],
    )
    case(
        "BinaryAccuracy of matrices",
        M.BinaryAccuracy(),
        [
            ((rng.randint(0, 2, size=(3, 4)), rng.uniform(0, 1, size=(3, 4)).astype(f32)), None),
            ((rng.randint(0, 2, size=(3, 4)), rng.uniform(0, 1, size=(3, 4)).astype(f32)), w3),
        ],
    )
    for shape in ((6, 4), (2, 3, 5)):
        updates, sparse = [], []
        for weight in (None, (np.arange(shape[0]) % 3 + 0.5).astype(f32), None):
            y = rng.randint(0, shape[-1], size=shape[:-1])
            p = draw(rng, shape, f32, 0, 1)
            sparse.append(((y, p), weight))
            updates.append(((np.eye(shape[-1], dtype=f32)[y], p), weight))
        if len(shape) == 3:
            per_element = rng.randint(0, 3, size=shape[:-1]).astype(f32)
            sparse.append((sparse[0][0], per_element))
            updates.append((updates[0][0], per_element))
        updates.insert(2, None)
        sparse.insert(2, None)
        case(f"CategoricalAccuracy {shape}", M.CategoricalAccuracy(), updates)
        case(f"SparseCategoricalAccuracy {shape}", M.SparseCategoricalAccuracy(), sparse)
        case(f"CategoricalCrossentropy metric {shape}", M.CategoricalCrossentropy(from_logits=True), updates)
        case(f"SparseCategoricalCrossentropy metric {shape}", M.SparseCategoricalCrossentropy(from_logits=True), sparse)
        for k in (1, 2, 3):
            case(f"TopKCategoricalAccuracy {shape} k {k}", M.TopKCategoricalAccuracy(k=k), updates)
            case(f"SparseTopKCategoricalAccuracy {shape} k {k}", M.SparseTopKCategoricalAccuracy(k=k), sparse)
    y, p = rng.randint(0, 7, size=6), draw(rng, (6, 7), f32, 0, 1)
    case("TopKCategoricalAccuracy default", M.TopKCategoricalAccuracy(), [((np.eye(7, dtype=f32)[y], p), None)])
    case("SparseTopKCategoricalAccuracy default", M.SparseTopKCategoricalAccuracy(), [((y, p), None)])
    case("SparseTopKCategoricalAccuracy labels [6,1]", M.SparseTopKCategoricalAccuracy(k=2), [((y[:, None], p), None)])
    case("SparseCategoricalAccuracy labels [6,1]", M.SparseCategoricalAccuracy(), [((y[:, None], p), None)])
    case("SparseCategoricalAccuracy float labels", M.SparseCategoricalAccuracy(), [((y.astype(f32), p), None)])
    ties = np.array([[0.5, 0.5, 0.1], [0.2, 0.7, 0.7], [1, 1, 1]], f32)
    case(
        "SparseCategoricalAccuracy ties",
        M.SparseCategoricalAccuracy(),
        [((np.array([0, 1, 2]), ties), None), ((np.array([1, 2, 0]), ties), None)],
    )
    case(
        "SparseTopKCategoricalAccuracy ties",
        M.SparseTopKCategoricalAccuracy(k=2),
        [((np.array([0, 1, 2]), ties), None), ((np.array([2, 0, 0]), ties), None)],
    )
    case(
        "SparseTopKCategoricalAccuracy nan and inf",
        M.SparseTopKCategoricalAccuracy(k=1),
        [((np.array([0, 1]), np.array([[np.nan, 1], [0, np.inf]], f32)), None)],
    )
    case("BinaryCrossentropy metric", M.BinaryCrossentropy(), [((yes, chance), None)])


OPTIMIZERS = {
    "SGD": [
        {},
        {"learning_rate": 0.1},
        {"momentum": 0.9},
        {"momentum": 0.9, "nesterov": True},
        {"weight_decay": 0.1},
        {"momentum": 0.5, "weight_decay": 0.01, "clipvalue": 0.25},
    ],
    "Adam": [
        {},
        {"learning_rate": 0.1, "beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3},
        {"amsgrad": True},
        {"amsgrad": True, "beta_2": 0.5},
        {"weight_decay": 0.1},
    ],
    "AdamW": [{}, {"learning_rate": 0.01, "weight_decay": 0.1}, {"amsgrad": True}],
    "RMSprop": [
        {},
        {"momentum": 0.9},
        {"centered": True},
        {"momentum": 0.5, "centered": True, "rho": 0.8, "learning_rate": 0.01},
        {"weight_decay": 0.1},
    ],
    "Adagrad": [{}, {"learning_rate": 0.1, "initial_accumulator_value": 0.5}],
    "Adadelta": [{}, {"learning_rate": 1.0}],
    "Adamax": [{}],
    "Nadam": [{}],
    "Lion": [{}],
    "Ftrl": [
        {},
        {"learning_rate": 0.1, "l1_regularization_strength": 0.01, "l2_regularization_strength": 0.02, "beta": 0.1},
    ],
}
SHARED = [
    {"clipnorm": 0.5},
    {"clipvalue": 0.3},
    {"global_clipnorm": 0.75},
    {"use_ema": True},
    {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 2},
    {"gradient_accumulation_steps": 2},
    {"loss_scale_factor": 8.0},
]


def optimizers(fixture):
    record = Recorder(fixture, "optimizer")

    def case(label, name, options, dtype, constraint=None, steps=3):
        keras.backend.clear_session()
        optimizer = getattr(keras.optimizers, name)(**options)
        start = config(optimizer)
        rng = stream("optimizer", label)
        variables = [
            keras.Variable(draw(rng, shape, f32, -2, 2).astype(dtype), dtype=dtype, name=n)
            for n, shape in (("kernel", (2, 3)), ("bias", (3,)))
        ]
        if constraint:
            variables[0].constraint = constraint
        first = record.named(variables)
        rows = []
        for _ in range(steps):
            grads = [draw(rng, v.shape, f32, -1, 1).astype(dtype) for v in variables]
            optimizer.apply([tf.constant(g) for g in grads], variables)
            rows.append(
                {
                    "grads": [record.put(g) for g in grads],
                    "variables": [record.put(v) for v in variables],
                    "state": record.named(optimizer.variables),
                }
            )
        finished = None
        if options.get("use_ema"):
            optimizer.finalize_variable_values(variables)
            finished = [record.put(v) for v in variables]
        record.row(
            label,
            config=start,
            dtype=np.dtype(dtype).name,
            constraint=config(constraint) if constraint else None,
            variables=first,
            steps=rows,
            finalized=finished,
        )

    for name, all_options in OPTIMIZERS.items():
        for options in all_options + (SHARED if name in ("SGD", "Adam", "AdamW", "RMSprop") else []):
            written = "".join(f", {k}={v}" for k, v in options.items())
            for dtype in (f32, f64):
                case(
                    f"{name}{written}, {np.dtype(dtype).name}",
                    name,
                    options,
                    dtype,
                    steps=5 if "gradient_accumulation_steps" in options or "use_ema" in options else 3,
                )
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)
    case("SGD with a schedule, float32", "SGD", {"learning_rate": schedule}, f32)
    case("Adam with a schedule, float32", "Adam", {"learning_rate": schedule}, f32)
    case("SGD with NonNeg on the kernel, float32", "SGD", {"learning_rate": 0.5}, f32, keras.constraints.NonNeg())
    case(
        "Adam with MaxNorm on the kernel, float32", "Adam", {"learning_rate": 0.5}, f32, keras.constraints.MaxNorm(1.0)
    )

    record = Recorder(fixture, "schedule")
    S = keras.optimizers.schedules
    for label, schedule in {
        "CosineDecay": S.CosineDecay(0.1, 100),
        "CosineDecay to alpha": S.CosineDecay(0.1, 50, alpha=0.25),
        "CosineDecay after a warm-up": S.CosineDecay(0.0, 100, warmup_target=0.1, warmup_steps=10),
        "CosineDecayRestarts": S.CosineDecayRestarts(0.1, 20),
        "CosineDecayRestarts falling": S.CosineDecayRestarts(0.1, 20, t_mul=1.0, m_mul=0.5, alpha=0.1),
        "ExponentialDecay": S.ExponentialDecay(0.1, 10, 0.5),
        "ExponentialDecay staircase": S.ExponentialDecay(0.1, 10, 0.5, staircase=True),
        "InverseTimeDecay": S.InverseTimeDecay(0.1, 10, 0.5),
        "InverseTimeDecay staircase": S.InverseTimeDecay(0.1, 10, 0.5, staircase=True),
        "PiecewiseConstantDecay": S.PiecewiseConstantDecay([10, 20], [0.1, 0.05, 0.01]),
        "PolynomialDecay": S.PolynomialDecay(0.1, 100),
        "PolynomialDecay square": S.PolynomialDecay(0.1, 100, power=2.0, end_learning_rate=0.01),
        "PolynomialDecay cycle": S.PolynomialDecay(0.1, 10, cycle=True),
    }.items():
        steps = [0, 1, 5, 10, 11, 20, 21, 50, 99, 100, 101, 150, 1000]
        record.row(
            label,
            config=config(schedule),
            steps=steps,
            values=record.put(np.array([numpy(schedule(s)) for s in steps], f32)),
        )


def regularizers(fixture):
    record = Recorder(fixture, "regularizer")
    R = keras.regularizers
    rng = stream("regularizers")
    options = [
        R.L1(),
        R.L1(0.3),
        R.L2(),
        R.L2(0.3),
        R.L1L2(),
        R.L1L2(0.1, 0.2),
        R.L1L2(l1=0.1),
        R.L1L2(l2=0.2),
        R.OrthogonalRegularizer(),
        R.OrthogonalRegularizer(factor=0.5, mode="columns"),
    ]
    for regularizer in options:
        c = config(regularizer)
        name = c["class_name"] + "".join(
            f", {k}={v:.3g}" if isinstance(v, float) else f", {k}={v}" for k, v in c["config"].items()
        )
        for shape in [(3, 4)] if "Orthogonal" in name else [(3, 4), (5,), (2, 2, 3), (0,)]:
            x = draw(rng, shape, f32, -2, 2, (0,))
            single = tf.constant(x)
            with tf.GradientTape() as tape:
                tape.watch(single)
                value = regularizer(single)
            if "Orthogonal" in name:  # Keras computes this one in float32 only.
                reference, grad = None, tape.gradient(value, single)
            else:
                reference, _, (grad,) = in_float64(regularizer, x)
            record.row(
                f"{name}, {list(shape)}",
                config=c,
                x=record.put(x),
                value=record.put(value),
                reference=record.put(reference),
                grad=record.put(grad),
            )


def constraints(fixture):
    record = Recorder(fixture, "constraint")
    C = keras.constraints
    rng = stream("constraints")
    options = [
        C.NonNeg(),
        C.MaxNorm(),
        C.MaxNorm(1.0, axis=1),
        C.MaxNorm(1.0, axis=[0, 1]),
        C.UnitNorm(),
        C.UnitNorm(axis=1),
        C.UnitNorm(axis=[0, 1]),
        C.MinMaxNorm(),
        C.MinMaxNorm(0.5, 1.0, rate=0.5),
        C.MinMaxNorm(2.0, 3.0, axis=1),
        C.MinMaxNorm(1.0, 1.5, rate=0.25, axis=[0, 1]),
    ]
    for constraint in options:
        c = config(constraint)
        name = c["class_name"] + "".join(f", {k}={v}" for k, v in c["config"].items())
        axis = c["config"].get("axis", 0)
        for shape in [(3, 4), (2, 3, 4), (2, 2, 2, 3)] + ([(5,)] if axis == 0 else []):
            x = draw(rng, shape, f32, -2, 2)
            record.row(
                f"{name}, {list(shape)}",
                config=c,
                x=record.put(x),
                y=record.put(constraint(tf.constant(x))),
                reference=record.put(constraint(tf.constant(x.astype(f64)))),
            )
        x = np.zeros((2, 3), f32)
        record.row(
            f"{name}, zeros",
            config=c,
            x=record.put(x),
            y=record.put(constraint(tf.constant(x))),
            reference=record.put(constraint(tf.constant(x.astype(f64)))),
        )


def initializers(fixture):
    record = Recorder(fixture, "initializer")
    I = keras.initializers
    options = [I.Zeros(), I.Ones(), I.Constant(), I.Constant(2.5), I.Identity(), I.Identity(gain=2.0)]
    for seed in (0, 1, 42, 1234567, 2**31 - 1):
        options += [
            I.RandomNormal(seed=seed),
            I.RandomUniform(seed=seed),
            I.TruncatedNormal(seed=seed),
            I.GlorotUniform(seed=seed),
        ]
    options += [
        I.RandomNormal(mean=1.0, stddev=2.0, seed=3),
        I.RandomUniform(minval=0.5, maxval=2.0, seed=3),
        I.TruncatedNormal(mean=-1.0, stddev=0.5, seed=3),
    ]
    options += [
        getattr(I, n)(seed=7)
        for n in ("GlorotNormal", "HeNormal", "HeUniform", "LecunNormal", "LecunUniform", "Orthogonal")
    ]
    options += [I.GlorotUniform(seed=7, input_axes=[0, 1], output_axes=[2, 3]), I.Orthogonal(gain=2.0, seed=8)]
    options += [I.VarianceScaling(seed=9)] + [
        I.VarianceScaling(scale=2.0, mode=m, distribution=d, seed=9)
        for m in ("fan_in", "fan_out", "fan_avg")
        for d in ("truncated_normal", "untruncated_normal", "uniform")
    ]
    for initializer in options:
        c = config(initializer)
        extra = (
            {"gain": initializer.gain} if c["class_name"] == "Identity" else {}
        )  # Keras leaves it out of the config.
        name = c["class_name"] + "".join(f", {k}={v}" for k, v in {**c["config"], **extra}.items() if v is not None)
        matrix_only = c["class_name"] in ("Identity", "Orthogonal")
        axes = c["config"].get("input_axes")
        shapes = (
            [(2, 3, 4, 5)]
            if axes
            else {"Identity": [(3, 3), (2, 4)], "Orthogonal": [(3, 3), (5, 2), (2, 5), (2, 2, 3)]}.get(
                c["class_name"], [(7,), (4, 3), (3, 3, 2, 4), (5, 0)]
            )
        )
        if c["class_name"] == "GlorotUniform" and c["config"]["seed"] == 42:
            shapes = shapes + [(), (1,), (2, 3, 4), (30, 20)]
        for shape in shapes:
            if 0 in shape and c["class_name"] not in ("Zeros", "Ones", "Constant", "RandomNormal", "RandomUniform"):
                continue
            record.row(
                f"{name}, {list(shape)} float32",
                config=c,
                **extra,
                shape=list(shape),
                value=record.put(initializer(shape, dtype="float32")),
            )
        if axes or c["config"].get("seed", 7) not in (7, 42, 9):
            continue
        for dtype in ("float64", "float16", "bfloat16"):
            if matrix_only and c["class_name"] == "Orthogonal" and dtype in ("float16", "bfloat16"):
                continue  # There is no QR in half precision.
            shape = (3, 3) if matrix_only else (4, 3)
            record.row(
                f"{name}, {list(shape)} {dtype}",
                config=c,
                **extra,
                shape=list(shape),
                value=record.put(initializer(shape, dtype=dtype)),
            )

    record = Recorder(fixture, "seed generator")
    for seed in (0, 42, 2**31 - 1):
        keras.backend.clear_session()
        generator = keras.random.SeedGenerator(seed)
        row = {"config": config(generator), "first": record.put(generator.state)}
        row["draws"] = [record.put(generator.next()) for _ in range(4)]
        row["state"] = record.named([generator.state])
        record.row(f"seed {seed}", **row)
    record = Recorder(fixture, "random")
    K = keras.random
    for seed in (0, 42, 1234567):
        for dtype in ("float32", "float64", "float16", "bfloat16"):
            shape = [3, 5]
            for function, args in [
                ("uniform", {"minval": -1.0, "maxval": 3.0}),
                ("normal", {"mean": 1.0, "stddev": 2.0}),
                ("truncated_normal", {"mean": 1.0, "stddev": 2.0}),
            ]:
                record.row(
                    f"{function} seed {seed} {dtype}",
                    function=function,
                    shape=shape,
                    args=args,
                    seed=seed,
                    value=record.put(getattr(K, function)(shape, dtype=dtype, seed=seed, **args)),
                )
        record.row(
            f"randint seed {seed}",
            function="randint",
            shape=[3, 5],
            args={"minval": -4, "maxval": 9},
            seed=seed,
            value=record.put(K.randint([3, 5], -4, 9, seed=seed)),
        )
        for rate in (0.25, 0.5):
            x = np.arange(1, 25).reshape(4, 6).astype(f32)
            record.row(
                f"dropout seed {seed} rate {rate}",
                function="dropout",
                shape=[4, 6],
                args={"rate": rate},
                seed=seed,
                x=record.put(x),
                value=record.put(K.dropout(tf.constant(x), rate, seed=seed)),
            )
        x = np.arange(10).astype(f32)
        record.row(
            f"shuffle seed {seed}",
            function="shuffle",
            shape=[10],
            args={"axis": 0},
            seed=seed,
            x=record.put(x),
            value=record.put(K.shuffle(tf.constant(x), seed=seed)),
        )


def layers(fixture):
    record = Recorder(fixture, "layer")
    L = keras.layers

    def build(make, x, dtype, values):
        keras.backend.clear_session()
        layer = make(dtype)
        layer.build(x.shape)
        if values is not None:
            layer.set_weights(values)
        return layer

    def case(label, make, x, training=None):
        """Weights are drawn here, so that the case does not hang on an initializer."""
        rng = stream("layer", label)
        keras.backend.clear_session()
        unbuilt = config(make("float32"))
        layer = build(make, x, "float32", None)
        values = [draw(rng, w.shape, f32, -1, 1, (0,)) for w in layer.weights]
        layer.set_weights(values)
        weights = record.named(layer.weights)
        built = config(layer)
        y = layer(tf.constant(x), training=training)

        precise = build(make, x, "float64", [v.astype(f64) for v in values])
        inputs = tf.constant(wide(x))
        with tf.GradientTape() as tape:
            if inputs.dtype.is_floating:
                tape.watch(inputs)
            reference = precise(inputs, training=training)
            dy = cotangent(reference.shape)
            total = tf.reduce_sum(reference * dy) if reference.dtype.is_floating else tf.constant(0.0)
            for loss in precise.losses:
                total += loss
        wanted = ([inputs] if inputs.dtype.is_floating else []) + [w.value for w in precise.trainable_weights]
        grads = tape.gradient(total, wanted)
        floating = reference.dtype.is_floating
        grad_x = grads.pop(0) if inputs.dtype.is_floating else None
        record.row(
            label,
            config=unbuilt,
            built_config=built,
            training=training,
            x=record.put(x),
            weights=weights,
            y=record.put(y),
            losses=[record.put(loss) for loss in layer.losses],
            reference=record.put(reference) if floating else None,
            reference_losses=[record.put(loss) for loss in precise.losses],
            dy=record.put(dy) if floating else None,
            grad=record.put(grad_x),
            weight_grads=[record.put(g) for g in grads],
            output_shape=list(layer.compute_output_shape((None, *x.shape[1:]))),
            parameters=layer.count_params(),
        )

    rng = stream("layers")
    x23, x234, x0 = draw(rng, (2, 3), f32, -2, 2), draw(rng, (2, 3, 4), f32, -2, 2), np.zeros((0, 3), f32)
    for label, x in (
        ("[2,3]", x23),
        ("[2,3,4]", x234),
        ("[0,3]", x0),
        ("[1,2,2,5]", draw(rng, (1, 2, 2, 5), f32, -2, 2)),
    ):
        case(f"Dense {label}", lambda d: L.Dense(4, dtype=d), x)
        case(f"Dense {label} without bias", lambda d: L.Dense(4, use_bias=False, dtype=d), x)
    for activation in ("relu", "tanh", "sigmoid", "softmax", "gelu", "elu", "selu", "softplus", "silu", "linear"):
        case(f"Dense {activation}", lambda d: L.Dense(3, activation=activation, dtype=d), draw(rng, (5, 4), f32, -2, 2))
    case("Dense with L2 on the kernel", lambda d: L.Dense(4, kernel_regularizer="l2", dtype=d), x23)
    case(
        "Dense with L1 on the kernel, L2 on the bias",
        lambda d: L.Dense(
            4, kernel_regularizer=keras.regularizers.L1(0.1), bias_regularizer=keras.regularizers.L2(0.2), dtype=d
        ),
        x23,
    )
    case(
        "Dense with an activity regularizer",
        lambda d: L.Dense(4, activity_regularizer=keras.regularizers.L2(0.5), dtype=d),
        x23,
    )
    case("Dense not trainable", lambda d: L.Dense(4, trainable=False, dtype=d), x23)
    case("Dense 17 to 9", lambda d: L.Dense(9, activation="relu", dtype=d), draw(rng, (33, 17), f32, -2, 2))
    for label, x in (
        ("[2,3,4]", x234),
        ("[2,3]", x23),
        ("[2]", x23[:, 0]),
        ("[0,3]", x0),
        ("[2,2,2,3]", draw(rng, (2, 2, 2, 3), f32, -2, 2)),
    ):
        case(f"Flatten {label}", lambda d: L.Flatten(dtype=d), x)
        case(f"Flatten {label} channels_first", lambda d: L.Flatten(data_format="channels_first", dtype=d), x)
    for target, x in (
        ((4, 3), x234),
        ((-1,), x234),
        ((2, -1), x234),
        ((3, 1), x23),
        ((), x23[:, 0]),
        ((12, 1, 1), x234),
    ):
        case(f"Reshape {list(x.shape)} to {list(target)}", lambda d: L.Reshape(target, dtype=d), x)
    case("Reshape int32", lambda d: L.Reshape((3, 2), dtype="int32"), np.arange(12).reshape(2, 6).astype(np.int32))
    for activation in ("relu", "softmax", "gelu", "leaky_relu"):
        case(
            f"Activation {activation}", lambda d: L.Activation(activation, dtype=d), draw(rng, (3, 4), f32, -2, 2, (0,))
        )
    case("Dropout not training", lambda d: L.Dropout(0.5, seed=1, dtype=d), x23, training=False)
    case("Dropout unsaid", lambda d: L.Dropout(0.5, seed=1, dtype=d), x23)

    record = Recorder(fixture, "dropout")
    ones = np.ones((4, 6), f32)
    for seed in (0, 42):
        for rate, noise_shape, x in [
            (0.5, None, ones),
            (0.25, None, draw(rng, (3, 5), f32, -2, 2)),
            (0.9, None, ones),
            (0.0, None, ones),
            (1.0, None, ones),
            (0.5, (4, 1), ones),
            (0.5, (None, 1, 4), x234),
            (0.3, None, ones.astype(f16)),
            (0.3, None, ones.astype(f64)),
        ]:
            keras.backend.clear_session()
            layer = L.Dropout(rate, noise_shape=noise_shape, seed=seed, dtype=x.dtype.name)
            layer.build(x.shape)
            row = {"config": config(layer), "x": record.put(x), "first": record.named(layer.variables)}
            row["outputs"] = [record.put(layer(tf.constant(x), training=True)) for _ in range(3)]
            row["state"] = record.named(layer.variables)
            record.row(f"rate {rate}, seed {seed}, noise_shape {noise_shape}, {x.dtype.name} {list(x.shape)}", **row)

    record = Recorder(fixture, "sequential")
    for label, make in {
        "two dense": lambda: [L.Dense(3), L.Dense(2)],
        "classifier": lambda: [L.Flatten(), L.Dense(8, activation="relu"), L.Dropout(0.2, seed=1), L.Dense(4)],
        "regularized": lambda: [
            L.Dense(4, kernel_regularizer="l2", activation="tanh"),
            L.Reshape((2, 2)),
            L.Activation("softmax"),
            L.Flatten(),
            L.Dense(1, bias_regularizer="l1"),
        ],
        "nested": lambda: [keras.Sequential([L.Dense(3, activation="relu"), L.Dense(2)]), L.Dense(2)],
    }.items():
        keras.backend.clear_session()
        model = keras.Sequential(make())
        unbuilt = config(model)
        x = draw(rng, (5, 2, 3) if label == "classifier" else (5, 3), f32, -2, 2)
        model.build(x.shape)
        for w in model.trainable_weights:
            w.assign(draw(rng, w.shape, f32, -1, 1))
        y = model(tf.constant(x), training=False)
        record.row(
            label,
            config=unbuilt,
            built_config=config(model),
            x=record.put(x),
            weights=record.named(model.weights),
            trainable=[w.path for w in model.trainable_weights],
            y=record.put(y),
            losses=[record.put(loss) for loss in model.losses],
            parameters=model.count_params(),
            summary=summary(model),
        )


def summary(model):
    lines = []
    model.summary(print_fn=lambda text, line_break=False: lines.append(text), line_length=80)
    return "\n".join(lines)


def write():
    keras.utils.set_random_seed(1)
    fixture = Fixture("keras")
    for part in (activations, losses, metrics, optimizers, regularizers, constraints, initializers, layers):
        part(fixture)
    fixture.write()
