"""The serialized form of every built-in class, with its defaults and with other arguments."""

import copy
import json

import keras

from fixture import write_json

A, C, I, L, R = keras.activations, keras.constraints, keras.initializers, keras.losses, keras.regularizers
M, O, S = keras.metrics, keras.optimizers, keras.optimizers.schedules
N = keras.layers

LAYERS = [
    (N.Dense, {"units": 4}),
    (N.Dense, {"units": 1, "activation": "relu", "use_bias": False, "name": "head", "dtype": "float16"}),
    (
        N.Dense,
        {
            "units": 3,
            "activation": A.gelu,
            "kernel_initializer": "he_normal",
            "bias_initializer": "ones",
            "kernel_regularizer": "l2",
            "bias_regularizer": "l1",
            "activity_regularizer": R.L2(0.5),
            "kernel_constraint": "max_norm",
            "bias_constraint": "non_neg",
            "trainable": False,
        },
    ),
    (
        N.Dense,
        {
            "units": 3,
            "kernel_initializer": I.VarianceScaling(2.0, "fan_out", "uniform", seed=3),
            "kernel_regularizer": R.L1L2(0.1, 0.2),
            "kernel_constraint": C.MinMaxNorm(0.5, 1.5, 0.5, axis=1),
        },
    ),
    (N.Dense, {"units": 2, "dtype": "mixed_float16"}),
    (N.Flatten, {}),
    (N.Flatten, {"data_format": "channels_first", "name": "flat"}),
    (N.Reshape, {"target_shape": (2, -1)}),
    (N.Reshape, {"target_shape": (), "name": "point", "dtype": "int32"}),
    (N.Dropout, {"rate": 0.5}),
    (N.Dropout, {"rate": 0.25, "noise_shape": (None, 1, 3), "seed": 7, "name": "drop"}),
    (N.Dropout, {"rate": 0.0, "noise_shape": (4, 1)}),
    (N.Activation, {"activation": "relu"}),
    (N.Activation, {"activation": "softmax", "name": "probabilities"}),
    (N.InputLayer, {"shape": (3,)}),
    (N.InputLayer, {"shape": (None, 3), "batch_size": 2, "dtype": "int32", "name": "tokens"}),
]
INITIALIZERS = [
    (I.Zeros, {}),
    (I.Ones, {}),
    (I.Constant, {}),
    (I.Constant, {"value": 2.5}),
    (I.Identity, {}),
    (I.Identity, {"gain": 2.0}),
    (I.RandomNormal, {"seed": 1}),
    (I.RandomNormal, {"mean": 1.0, "stddev": 0.5, "seed": 2}),
    (I.RandomUniform, {"seed": 1}),
    (I.RandomUniform, {"minval": 0.0, "maxval": 2.0, "seed": 2}),
    (I.TruncatedNormal, {"seed": 1}),
    (I.TruncatedNormal, {"mean": 1.0, "stddev": 0.5, "seed": 2}),
    (I.Orthogonal, {"seed": 1}),
    (I.Orthogonal, {"gain": 0.5, "seed": 2}),
    (I.VarianceScaling, {"seed": 1}),
    (
        I.VarianceScaling,
        {
            "scale": 2.0,
            "mode": "fan_avg",
            "distribution": "untruncated_normal",
            "seed": 2,
            "input_axes": [0],
            "output_axes": [1],
        },
    ),
    *[
        (cls, args)
        for cls in (I.GlorotNormal, I.GlorotUniform, I.HeNormal, I.HeUniform, I.LecunNormal, I.LecunUniform)
        for args in ({}, {"seed": 3}, {"seed": 4, "input_axes": [0, 1], "output_axes": [2]})
    ],
]
REGULARIZERS = [
    (R.L1, {}),
    (R.L1, {"l1": 0.25}),
    (R.L2, {}),
    (R.L2, {"l2": 0.3}),
    (R.L1L2, {}),
    (R.L1L2, {"l1": 0.1, "l2": 0.2}),
    (R.OrthogonalRegularizer, {}),
    (R.OrthogonalRegularizer, {"factor": 0.5, "mode": "columns"}),
]
CONSTRAINTS = [
    (C.NonNeg, {}),
    (C.MaxNorm, {}),
    (C.MaxNorm, {"max_value": 1.5, "axis": [0, 1]}),
    (C.UnitNorm, {}),
    (C.UnitNorm, {"axis": 1}),
    (C.MinMaxNorm, {}),
    (C.MinMaxNorm, {"min_value": 0.5, "max_value": 1.5, "rate": 0.25, "axis": 1}),
]
LOSSES = [
    (L.SparseCategoricalCrossentropy, {"from_logits": True, "ignore_class": 0, "reduction": "sum", "name": "mine"}),
    (L.CategoricalCrossentropy, {"from_logits": True, "label_smoothing": 0.1, "axis": 1, "reduction": "none"}),
    (
        L.BinaryCrossentropy,
        {"from_logits": True, "label_smoothing": 0.1, "axis": 0, "reduction": "mean_with_sample_weight"},
    ),
    (L.BinaryFocalCrossentropy, {"apply_class_balancing": True, "alpha": 0.5, "gamma": 1.0, "from_logits": True}),
    (L.CategoricalFocalCrossentropy, {"alpha": 0.5, "gamma": 1.0, "label_smoothing": 0.1}),
    (L.Huber, {"delta": 0.5}),
    (L.CosineSimilarity, {"axis": 0}),
    (L.Tversky, {"alpha": 0.3, "beta": 0.7}),
    (L.Dice, {"axis": [0]}),
    (L.Circle, {"gamma": 64.0, "margin": 0.25, "remove_diagonal": False}),
    (L.CTC, {"reduction": "sum", "name": "mine", "dtype": "float64"}),
    *[
        (cls, {"reduction": "sum", "name": "mine", "dtype": "float64"})
        for cls in (
            L.MeanSquaredError,
            L.MeanAbsoluteError,
            L.MeanAbsolutePercentageError,
            L.MeanSquaredLogarithmicError,
            L.LogCosh,
            L.Poisson,
            L.KLDivergence,
            L.Hinge,
            L.SquaredHinge,
            L.CategoricalHinge,
        )
    ],
]
METRICS = [
    (M.Mean, {"name": "mine", "dtype": "float64"}),
    (M.Sum, {"name": "mine"}),
    (M.Accuracy, {"name": "mine"}),
    (M.BinaryAccuracy, {"threshold": 0.3}),
    (M.CategoricalAccuracy, {"name": "mine"}),
    (M.SparseCategoricalAccuracy, {"name": "mine"}),
    (M.TopKCategoricalAccuracy, {"k": 3}),
    (M.SparseTopKCategoricalAccuracy, {"k": 3, "from_sorted_ids": True}),
    (M.MeanSquaredError, {"name": "mine"}),
    (M.MeanAbsoluteError, {"name": "mine"}),
    (M.RootMeanSquaredError, {"name": "mine"}),
    (M.BinaryCrossentropy, {"from_logits": True, "label_smoothing": 0.1}),
    (M.CategoricalCrossentropy, {"from_logits": True, "label_smoothing": 0.1}),
    (M.SparseCategoricalCrossentropy, {"from_logits": True, "ignore_class": 0}),
    *[
        (cls, {"name": "mine", "dtype": "float64"})
        for cls in (
            M.MeanAbsolutePercentageError,
            M.MeanSquaredLogarithmicError,
            M.LogCoshError,
            M.CosineSimilarity,
            M.Poisson,
            M.KLDivergence,
            M.Hinge,
            M.SquaredHinge,
            M.CategoricalHinge,
        )
    ],
    (M.PearsonCorrelation, {"axis": 0}),
    (M.ConcordanceCorrelation, {"axis": 0}),
    (M.TruePositives, {"thresholds": 0.25}),
    (M.TrueNegatives, {"thresholds": [0.25, 0.5]}),
    (M.FalsePositives, {"thresholds": [0.25]}),
    (M.FalseNegatives, {"thresholds": 1}),
    (M.Precision, {"thresholds": [0.25, 0.5], "top_k": 2, "class_id": 1}),
    (M.Recall, {"thresholds": 0.5, "top_k": 2, "class_id": 1}),
    (M.AUC, {"num_thresholds": 5, "curve": "PR", "summation_method": "minoring", "from_logits": True}),
    (M.AUC, {"thresholds": [0.75, 0.25], "multi_label": True, "num_labels": 2}),
    (M.F1Score, {"average": "macro", "threshold": 0.5}),
    (M.FBetaScore, {"average": "weighted", "beta": 2.0, "threshold": 0.5}),
    (M.R2Score, {"class_aggregation": None, "num_regressors": 2}),
    (M.BinaryIoU, {"target_class_ids": [1], "threshold": 0.25}),
]
# They have arguments without a default.
GIVEN_METRICS = [
    (M.SensitivityAtSpecificity, {"specificity": 0.5}),
    (M.SpecificityAtSensitivity, {"sensitivity": 0.5, "num_thresholds": 5}),
    (M.PrecisionAtRecall, {"recall": 0.5, "class_id": 1}),
    (M.RecallAtPrecision, {"precision": 0.5, "name": "mine"}),
    (M.IoU, {"num_classes": 3, "target_class_ids": [0, 1], "ignore_class": 2, "sparse_y_true": False, "axis": 1}),
    (M.MeanIoU, {"num_classes": 3, "sparse_y_pred": False, "dtype": "float32"}),
    (M.OneHotIoU, {"num_classes": 3, "target_class_ids": [0], "sparse_y_pred": True}),
    (M.OneHotMeanIoU, {"num_classes": 3, "ignore_class": 0}),
]
DECAY = S.ExponentialDecay(0.1, 10, 0.5)
OPTIMIZERS = [
    (
        O.SGD,
        {
            "learning_rate": 0.1,
            "momentum": 0.9,
            "nesterov": True,
            "weight_decay": 0.01,
            "clipnorm": 1.0,
            "name": "mine",
        },
    ),
    (O.SGD, {"learning_rate": DECAY}),
    (
        O.Adam,
        {
            "learning_rate": 0.01,
            "beta_1": 0.8,
            "beta_2": 0.99,
            "epsilon": 1e-5,
            "amsgrad": True,
            "weight_decay": 0.1,
            "clipvalue": 0.5,
        },
    ),
    (
        O.AdamW,
        {
            "learning_rate": 0.01,
            "weight_decay": 0.1,
            "global_clipnorm": 1.0,
            "use_ema": True,
            "ema_momentum": 0.9,
            "ema_overwrite_frequency": 5,
        },
    ),
    (
        O.RMSprop,
        {
            "learning_rate": 0.01,
            "rho": 0.8,
            "momentum": 0.5,
            "epsilon": 1e-5,
            "centered": True,
            "loss_scale_factor": 4.0,
            "gradient_accumulation_steps": 2,
        },
    ),
    (O.Adagrad, {"initial_accumulator_value": 0.5}),
    (O.Adadelta, {"rho": 0.9}),
    (O.Adamax, {"beta_1": 0.8}),
    (O.Nadam, {"beta_1": 0.8}),
    (O.Lion, {"beta_1": 0.8}),
    (O.Ftrl, {"l1_regularization_strength": 0.01, "beta": 0.1}),
    (O.Lamb, {"beta_1": 0.8}),
    (O.Muon, {"exclude_layers": ["head"], "rms_rate": None, "adam_weight_decay": None, "ns_steps": 3}),
]
SCHEDULES = [
    (S.CosineDecay, {"initial_learning_rate": 0.1, "decay_steps": 100}),
    (
        S.CosineDecay,
        {
            "initial_learning_rate": 0.0,
            "decay_steps": 100,
            "alpha": 0.1,
            "warmup_target": 0.1,
            "warmup_steps": 10,
            "name": "mine",
        },
    ),
    (S.CosineDecayRestarts, {"initial_learning_rate": 0.1, "first_decay_steps": 20}),
    (S.ExponentialDecay, {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5, "staircase": True}),
    (S.InverseTimeDecay, {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5}),
    (S.PiecewiseConstantDecay, {"boundaries": [10, 20], "values": [0.1, 0.05, 0.01]}),
    (S.PolynomialDecay, {"initial_learning_rate": 0.1, "decay_steps": 100, "power": 2.0, "cycle": True}),
]


def with_defaults(rows):
    """Before the rows, each class of theirs once without arguments."""
    classes = dict.fromkeys(cls for cls, _ in rows)
    return [(cls, {}) for cls in classes] + rows


def plain(value):
    """An argument as JSON: objects of Keras in their serialized form."""
    return json.loads(json.dumps(keras.saving.serialize_keras_object(value)))


def models():
    """(case, what makes the model)."""
    yield "empty", lambda: keras.Sequential()
    yield "unbuilt", lambda: keras.Sequential([N.Dense(3), N.Dense(2)])
    yield (
        "with an input",
        lambda: keras.Sequential(
            [keras.Input((3,)), N.Dense(4, activation="relu"), N.Dropout(0.5), N.Dense(2, activation="softmax")]
        ),
    )
    yield (
        "named",
        lambda: keras.Sequential([N.Flatten(name="flat"), N.Dense(2, name="head")], name="classifier", trainable=False),
    )
    yield "nested", lambda: keras.Sequential([keras.Sequential([N.Dense(3)], name="inner"), N.Dense(2)])


def compiled(model):
    model.compile(
        optimizer=O.Adam(0.01),
        loss=L.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy", M.SparseTopKCategoricalAccuracy(k=2)],
    )
    return model


def write():
    rows = []
    families = {
        "layer": LAYERS,
        "initializer": INITIALIZERS,
        "regularizer": REGULARIZERS,
        "constraint": CONSTRAINTS,
        "loss": with_defaults(LOSSES),
        "metric": with_defaults(METRICS) + GIVEN_METRICS,
        "optimizer": with_defaults(OPTIMIZERS),
        "schedule": SCHEDULES,
    }
    for kind, family in families.items():
        for cls, arguments in family:
            keras.backend.clear_session()
            obj = cls(**arguments)
            serialized = plain(obj)
            keras.backend.clear_session()
            again = keras.saving.deserialize_keras_object(copy.deepcopy(serialized))  # It writes into its argument.
            assert plain(again) == serialized, serialized
            given = {name: plain(value) for name, value in arguments.items()}
            row = {"kind": kind, "class_name": cls.__name__, "arguments": given, "config": serialized}
            rows.append(row)
    for case, make in models():
        keras.backend.clear_session()
        rows.append({"kind": "model", "class_name": "Sequential", "case": case, "config": plain(make())})
        if case in ("unbuilt", "with an input", "nested"):
            keras.backend.clear_session()
            model = make()
            model.build((None, 3))
            rows.append({"kind": "model", "class_name": "Sequential", "case": f"{case}, built", "config": plain(model)})
            rows.append(
                {
                    "kind": "model",
                    "class_name": "Sequential",
                    "case": f"{case}, compiled",
                    "config": plain(compiled(model)),
                }
            )
    for name in sorted(
        n for n in dir(A) if n.islower() and not n.startswith("_") and n not in ("get", "serialize", "deserialize")
    ):
        rows.append({"kind": "activation", "class_name": name, "config": A.serialize(getattr(A, name))})
    write_json("configs.json", rows)
    print(f"configs: {len(rows)} rows")
