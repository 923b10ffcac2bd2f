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

    def case(label, metric, updates, **unsaid):
        """Updates are (arguments, sample_weight), or None for a reset; of some arguments Keras's config says nothing."""
        start = config(metric)
        start["config"] |= unsaid
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
    best = np.argsort(-p, axis=-1)
    for k in (1, 3):
        metric = M.SparseTopKCategoricalAccuracy(k=k, from_sorted_ids=True)
        updates = [((y, best), None), ((y, best.astype(f32)), np.arange(6).astype(f32)), None, ((y[:, None], best[:, :2]), None)]
        case(f"SparseTopKCategoricalAccuracy of sorted ids k {k}", metric, updates)
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

    means(case, M)
    confusions(case, M)
    areas(case, M)
    overlaps(case, M)
    scores(case, M)


def fresh(cls, **settings):
    """A metric whose name has no number."""
    keras.backend.clear_session()
    return cls(**settings)


def written(settings):
    return "".join(f", {name}={value}" for name, value in settings.items())


def means(case, M):
    rng = stream("metrics", "means")
    weight = np.array([0.5, 0, 2, 1], f32)
    a, b = draw(rng, (4, 3), f32, 0.125, 1), draw(rng, (4, 3), f32, 0.125, 1)
    deep = [draw(rng, (2, 3, 4), f32, 0.125, 1) for _ in range(2)]
    deep_updates = [(deep, None), (deep, np.array([1, 3], f32)), (deep, rng.randint(0, 3, (2, 3)).astype(f32))]
    signs, rows = rng.randint(0, 2, (4, 3)).astype(f32) * 2 - 1, np.eye(3, dtype=f32)[rng.randint(0, 3, 4)]
    ids = np.array([0, 2, 1, 0])
    of = {
        "MeanSquaredError": a,
        "MeanAbsoluteError": a,
        "MeanAbsolutePercentageError": a,
        "MeanSquaredLogarithmicError": a,
        "RootMeanSquaredError": a,
        "LogCoshError": a,
        "CosineSimilarity": a,
        "Poisson": a,
        "KLDivergence": a,
        "Hinge": signs,
        "SquaredHinge": signs,
        "CategoricalHinge": rows,
        "BinaryCrossentropy": (signs + 1) / 2,
        "CategoricalCrossentropy": rows,
        "SparseCategoricalCrossentropy": ids,
        "PearsonCorrelation": a,
        "ConcordanceCorrelation": a,
    }
    for name, y in of.items():
        updates = [((y, b), None), ((y, a[::-1] if y is not a else b[::-1]), weight), None, ((y, b), weight[::-1])]
        case(f"{name} of batches", fresh(getattr(M, name)), updates)
        if y is a:
            case(f"{name} of steps", fresh(getattr(M, name), name="mine"), deep_updates)
    case("CosineSimilarity of the first axis", fresh(M.CosineSimilarity, axis=0), [((a, b), None), ((b, a), None)], axis=0)
    for name in ("PearsonCorrelation", "ConcordanceCorrelation"):
        case(f"{name} of the first axis", fresh(getattr(M, name), axis=0), [((a, b), None)])
    smooth = {"from_logits": True, "label_smoothing": 0.1}
    case("BinaryCrossentropy smooth", fresh(M.BinaryCrossentropy, **smooth), [(((signs + 1) / 2, b), weight)])
    case("CategoricalCrossentropy smooth", fresh(M.CategoricalCrossentropy, **smooth), [((rows, b), weight)])
    case("CategoricalCrossentropy of axis 0", fresh(M.CategoricalCrossentropy, axis=0), [((rows, b), None)])
    case(
        "SparseCategoricalCrossentropy without a class",
        fresh(M.SparseCategoricalCrossentropy, ignore_class=2),
        [((ids, b), None), ((ids, a), weight)],
    )


def confusions(case, M):
    rng = stream("metrics", "confusions")
    yes, chance = rng.randint(0, 2, 6), draw(rng, (6,), f32, 0, 1)
    chance[0], chance[1] = 0.5, 0.0
    many, scores = rng.randint(0, 2, (4, 3)), draw(rng, (4, 3), f32, 0, 1)
    updates = [
        ((yes, chance), None),
        ((yes, chance[::-1]), np.array([1, 0.5, 0, 2, 1, 3], f32)),
        ((yes[:, None], chance), None),
        ((many, scores), np.array([1, 0.5, 0, 2], f32)),
        ((many, scores), draw(rng, (4, 3), f32, 0, 2)),
        ((many, scores), np.array(2, f32)),
        None,
        ((many, scores), None),
    ]
    counts = ("TruePositives", "TrueNegatives", "FalsePositives", "FalseNegatives")
    for name in (*counts, "Precision", "Recall"):
        for thresholds in (None, 0.3, [0.25], [0.2, 0.5, 0.9], [0.0, 0.5, 1.0]):
            case(f"{name}, thresholds {thresholds}", fresh(getattr(M, name), thresholds=thresholds), updates)
    by_class = [((many, scores), None), ((many, scores), np.array([1, 0.5, 0, 2], f32))]
    for name in ("Precision", "Recall"):
        for settings in (
            {"class_id": 1},
            {"top_k": 2},
            {"top_k": 1, "class_id": 2},
            {"top_k": 2, "thresholds": [0.3, 0.6]},
        ):
            case(f"{name}{written(settings)}", fresh(getattr(M, name), **settings), by_class)
    for name in ("SensitivityAtSpecificity", "SpecificityAtSensitivity", "PrecisionAtRecall", "RecallAtPrecision"):
        given = name.split("At")[1].lower()
        for settings in (
            {given: 0.5},
            {given: 0.8, "num_thresholds": 5},
            {given: 0.0, "num_thresholds": 1},
            {given: 1.0, "num_thresholds": 2},
        ):
            case(f"{name}{written(settings)}", fresh(getattr(M, name), **settings), updates)
        settings = {given: 0.5, "num_thresholds": 7, "class_id": 0}
        case(f"{name} of a class", fresh(getattr(M, name), **settings), by_class)


def areas(case, M):
    rng = stream("metrics", "areas")
    yes, chance = rng.randint(0, 2, 8), draw(rng, (8,), f32, 0, 1)
    chance[0], chance[1], chance[2] = 0.5, 0.0, 1.0
    many, scores = rng.randint(0, 2, (6, 3)), draw(rng, (6, 3), f32, 0, 1)
    flat = [((yes, chance), None), ((yes, chance[::-1]), draw(rng, (8,), f32, 0, 2)), None, ((yes, chance), None)]
    wide = [((many, scores), None), ((many, scores[::-1]), draw(rng, (6,), f32, 0, 2)), None, ((many, scores), None)]
    for curve in ("ROC", "PR", "PRGAIN"):
        for method in ("interpolation", "minoring", "majoring"):
            settings = {"num_thresholds": 11, "curve": curve, "summation_method": method}
            case(f"AUC{written(settings)}", fresh(M.AUC, **settings), flat)
            settings["multi_label"] = True
            case(f"AUC{written(settings)}", fresh(M.AUC, **settings), wide)
    for settings in ({}, {"thresholds": [0.6, 0.25]}, {"thresholds": [0.25, 0.5, 0.75]}, {"num_thresholds": 2}):
        case(f"AUC{written(settings)}", fresh(M.AUC, **settings), flat)
    case("AUC of logits", fresh(M.AUC, from_logits=True), [((yes, chance * 4 - 2), None)])
    case("AUC of matrices", fresh(M.AUC, num_thresholds=5), wide)
    weights = {"num_thresholds": 5, "label_weights": [0.5, 1.0, 2.0]}
    case("AUC of labels with weights", fresh(M.AUC, **weights), [((many, scores), None)])
    case("AUC of many labels with weights", fresh(M.AUC, **weights, multi_label=True, num_labels=3), wide)
    case("AUC of many labels by thresholds", fresh(M.AUC, thresholds=[0.3, 0.4], multi_label=True), wide)


def overlaps(case, M):
    rng = stream("metrics", "overlaps")
    a, b = rng.randint(0, 3, (2, 5)), rng.randint(0, 3, (2, 5))
    whole, parts = rng.randint(0, 3, (2, 5)), draw(rng, (2, 5), f32, 0, 2)
    updates = [((a, b), None), ((b, a), whole), None, ((a, b), whole), ((a, b), parts), ((a[0], b[0]), None)]
    for settings in ({}, {"ignore_class": 1}, {"dtype": "float32"}):
        case(f"MeanIoU{written(settings)}", fresh(M.MeanIoU, num_classes=3, **settings), updates)
        case(f"IoU{written(settings)}", fresh(M.IoU, num_classes=3, target_class_ids=[0, 2], **settings), updates)
    case("IoU of a class that is not there", fresh(M.IoU, num_classes=4, target_class_ids=[1, 3]), updates)
    case("MeanIoU of ids out of range", fresh(M.MeanIoU, num_classes=2), updates)
    hot, scores = np.eye(3, dtype=f32)[a], draw(rng, (2, 5, 3), f32, 0, 1)
    one_hot = [((hot, scores), None), ((hot, scores), whole)]
    case("OneHotMeanIoU", fresh(M.OneHotMeanIoU, num_classes=3), one_hot)
    case("OneHotIoU", fresh(M.OneHotIoU, num_classes=3, target_class_ids=[1]), one_hot)
    case(
        "OneHotIoU of ids",
        fresh(M.OneHotIoU, num_classes=3, target_class_ids=[1, 2], sparse_y_pred=True, ignore_class=0),
        [((hot, b), None)],
    )
    case(
        "MeanIoU of scores on axis 0",
        fresh(M.MeanIoU, num_classes=3, sparse_y_pred=False, axis=0),
        [((a, np.moveaxis(scores, -1, 0)), None)],
    )
    yes, chance = rng.randint(0, 2, (2, 4)), draw(rng, (2, 4), f32, 0, 1)
    for settings in ({}, {"threshold": 0.3}, {"target_class_ids": [1]}):
        updates = [((yes, chance), None), ((yes, yes), None)]
        case(f"BinaryIoU{written(settings)}", fresh(M.BinaryIoU, **settings), updates)


def scores(case, M):
    rng = stream("metrics", "scores")
    many, scores = rng.randint(0, 2, (5, 3)), draw(rng, (5, 3), f32, 0, 1)
    weight = np.array([1, 0.5, 0, 2, 1], f32)
    updates = [((many, scores), None), ((many[::-1], scores), weight), None, ((many, scores), weight)]
    for average in (None, "micro", "macro", "weighted"):
        for threshold in (None, 0.4):
            settings = {"average": average, "threshold": threshold}
            case(f"F1Score{written(settings)}", fresh(M.F1Score, **settings), updates)
            case(f"FBetaScore{written(settings)}", fresh(M.FBetaScore, beta=2.0, **settings), updates)
    a, b = draw(rng, (5, 2), f32, 0, 4), draw(rng, (5, 2), f32, 0, 4)
    updates = [((a, b), None), ((b, a), weight), None, ((a, a + 0.25), draw(rng, (5, 2), f32, 0.5, 2))]
    for aggregation in (None, "uniform_average", "variance_weighted_average"):
        for regressors in (0, 2, 9, 50):
            settings = {"class_aggregation": aggregation, "num_regressors": regressors}
            case(f"R2Score{written(settings)}", fresh(M.R2Score, **settings), updates)
    case("R2Score of one value", fresh(M.R2Score), [((a[:, :1], b[:, :1]), None), ((a[:, :1], b[:, :1]), weight)])
