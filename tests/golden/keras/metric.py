"""Metrics."""

import keras
import numpy as np

from fixture import stream
from keras_recorder import Recorder, config
from samples import draw, f32


def add(fixture):
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
