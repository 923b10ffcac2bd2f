"""Losses."""

import keras
import numpy as np
import tensorflow as tf

from fixture import stream
from keras_recorder import Recorder, config, in_float64, wide
from samples import draw, f32


def add(fixture):
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
        written = config(loss)
        # What Keras reads and forgets to write.
        for cls, setting, default in ((L.Huber, "delta", 1.0), (L.CosineSimilarity, "axis", -1)):
            if isinstance(loss, cls) and loss._fn_kwargs[setting] != default:
                written["config"][setting] = loss._fn_kwargs[setting]
        record.row(
            label,
            config=written,
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
    family("CategoricalGeneralizedCrossEntropy", [{}, {"q": 0.9}], labels, probabilities(4, 5))
