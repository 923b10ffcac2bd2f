"""Arguments that no other family gives another value than Keras's own."""

import keras
import numpy as np

from fixture import stream
from keras_recorder import LayerRecorder, Recorder, config, loss_row, optimizer_steps, schedule_row
from samples import draw, f32

L = keras.layers


def values(shape, low=-1, high=1):
    return draw(stream("arguments", *shape, low, high), shape, f32, low, high)


def add(fixture):
    layers(LayerRecorder(fixture).case)
    losses(Recorder(fixture, "loss"))
    metrics(Recorder(fixture, "metric"))
    optimizers(Recorder(fixture, "optimizer"))
    schedules(Recorder(fixture, "schedule"))


def every(*names):
    """Initializers, regularizers and constraints of variables of these names."""
    found = {}
    for name in names:
        found[f"{name}_initializer"] = "ones"
        found[f"{name}_regularizer"] = "l2"
        found[f"{name}_constraint"] = "max_norm"
    return found


def layers(case):
    for axes, kinds in ((1, (L.Conv1D, L.Conv1DTranspose)), (2, (L.Conv2D, L.Conv2DTranspose))):
        x = values((2, *(5, 4)[:axes], 2))
        for kind in kinds:
            settings = dict(**every("kernel", "bias"), activity_regularizer="l1", activation="tanh")
            case(f"{kind.__name__}, every argument", lambda d: kind(3, 2, dtype=d, **settings), x)
    x = values((1, 3, 4, 3, 2))
    for kind, more in ((L.Conv3D, dict(groups=2)), (L.Conv3DTranspose, {})):
        settings = dict(**every("kernel", "bias"), **more)
        case(f"{kind.__name__}, every argument", lambda d: kind(4, 2, dtype=d, **settings), x)
    case("Conv3D dilated", lambda d: L.Conv3D(2, 2, dilation_rate=(1, 2, 1), dtype=d), x, differentiable=False)
    for axes, kinds in ((1, (L.DepthwiseConv1D, L.SeparableConv1D)), (2, (L.DepthwiseConv2D, L.SeparableConv2D))):
        x = values((2, *(5, 4)[:axes], 2))
        settings = every("depthwise", "bias")
        case(f"{kinds[0].__name__}, every argument", lambda d: kinds[0](2, dtype=d, **settings), x)
        settings = every("depthwise", "pointwise", "bias")
        case(f"{kinds[1].__name__}, every argument", lambda d: kinds[1](4, 2, dtype=d, **settings), x)
    case(
        "Dense, every argument",
        lambda d: L.Dense(3, activity_regularizer="l1", dtype=d, **every("kernel", "bias")),
        values((2, 4)),
    )
    x = values((2, 3, 4))
    cells = every("kernel", "recurrent", "bias")
    rates = dict(dropout=0.5, recurrent_dropout=0.25, seed=3)
    for cell in (
        lambda d: L.SimpleRNNCell(2, activation="relu", use_bias=True, dtype=d, **cells, **rates),
        lambda d: L.GRUCell(2, recurrent_activation="hard_sigmoid", dtype=d, **cells, **rates),
        lambda d: L.LSTMCell(2, "relu", "hard_sigmoid", unit_forget_bias=False, dtype=d, **cells, **rates),
    ):
        case(f"{type(cell('float32')).__name__}, every argument", lambda d: L.RNN(cell(d), dtype=d), x, training=False)
    case("LSTMCell without a bias", lambda d: L.RNN(L.LSTMCell(2, use_bias=False, dtype=d), dtype=d), x)
    case("SimpleRNNCell without a bias", lambda d: L.RNN(L.SimpleRNNCell(2, use_bias=False, dtype=d), dtype=d), x)
    case("SimpleRNN of an activity that costs", lambda d: L.SimpleRNN(3, activity_regularizer="l2", dtype=d), x)
    folded = dict(activation="relu", recurrent_activation="hard_sigmoid", unit_forget_bias=False, **cells, **rates)
    for axes, kind in ((1, L.ConvLSTM1D), (3, L.ConvLSTM3D)):
        x = values((2, 2, *(3, 2, 3)[:axes], 2))
        case(f"{kind.__name__}, every argument", lambda d: kind(2, 2, dtype=d, **folded), x, training=False)
        case(f"{kind.__name__} dilated", lambda d: kind(3, 2, dilation_rate=1, padding="same", dtype=d), x)
    case("ConvLSTM2D of three filters", lambda d: L.ConvLSTM2D(3, 1, dtype=d), values((1, 2, 2, 3, 2)))
    image = np.moveaxis(values((2, 4, 6, 3), 0, 1), -1, 1).copy()
    still = dict(data_format="channels_first", seed=3)
    for make in (
        lambda d: L.RandomBrightness(0.3, dtype=d, **still),
        lambda d: L.RandomColorDegeneration(0.3, dtype=d, **still),
        lambda d: L.RandomColorJitter(dtype=d, **still),
        lambda d: L.RandomInvert(0.3, dtype=d, **still),
        lambda d: L.RandomPosterization(3, dtype=d, **still),
        lambda d: L.RandomShear(0.2, interpolation="nearest", fill_value=0.5, dtype=d, **still),
        lambda d: L.Solarization(0.3, dtype=d, **still),
    ):
        case(f"{type(make('float32')).__name__} channels first, not training", make, image, training=False)


def losses(record):
    K = keras.losses
    one_hot = np.eye(3, dtype=f32)[np.array([[0, 2, 1], [1, 0, 2]])]
    scores = values((2, 3, 3), 0.05, 0.9)
    first = lambda x: np.moveaxis(x, -1, 1).copy()
    for label, make, y_true, y_pred in (
        ("BinaryFocalCrossentropy axis 1", lambda **k: K.BinaryFocalCrossentropy(axis=1, **k), one_hot, scores),
        (
            "CategoricalFocalCrossentropy axis 1",
            lambda **k: K.CategoricalFocalCrossentropy(axis=1, **k),
            first(one_hot),
            first(scores),
        ),
        ("Tversky axes 1 and 2", lambda **k: K.Tversky(axis=(1, 2), **k), one_hot, scores),
    ):
        loss_row(record, label, make, y_true, y_pred)


def metrics(record):
    M = keras.metrics
    ids = np.array([0, 2, 1, 1], np.int32)
    scores = values((4, 3), 0.05, 0.9)
    one_hot = np.eye(3, dtype=f32)[ids]
    for label, metric, arguments in (
        ("FBetaScore of 2", M.FBetaScore(beta=2.0), (one_hot, scores)),
        ("IoU of scores", M.IoU(3, [0, 2], sparse_y_true=False, sparse_y_pred=False), (one_hot, scores)),
        ("IoU along axis 0", M.IoU(3, [0, 2], sparse_y_pred=False, axis=0), (ids, scores.T.copy())),
        ("MeanIoU of one-hot targets", M.MeanIoU(3, sparse_y_true=False), (one_hot, ids[::-1].copy())),
        ("OneHotIoU of two classes", M.OneHotIoU(2, [1]), (one_hot[:, :2], scores[:, :2])),
        (
            "OneHotMeanIoU sparse, without 1",
            M.OneHotMeanIoU(3, ignore_class=1, sparse_y_pred=True),
            (one_hot, ids[::-1].copy()),
        ),
    ):
        start = config(metric)
        metric.update_state(*arguments)
        step = {"arguments": [record.put(a) for a in arguments], "sample_weight": None}
        step |= {"result": record.put(metric.result()), "variables": record.named(metric.variables)}
        record.row(label, config=start, steps=[step])


def optimizers(record):
    for name, options in (
        ("Adadelta", {"rho": 0.5, "epsilon": 1e-3}),
        ("Adagrad", {"epsilon": 1e-2}),
        ("AdamW", {"beta_1": 0.5, "beta_2": 0.75, "epsilon": 1e-3}),
        ("Ftrl", {"initial_accumulator_value": 0.5}),
        ("RMSprop", {"epsilon": 1e-2}),
    ):
        keras.backend.clear_session()
        optimizer = getattr(keras.optimizers, name)(**options)
        start, rng = config(optimizer), stream("arguments", name)
        shapes = (("kernel", (2, 3)), ("bias", (3,)))
        variables = [keras.Variable(draw(rng, shape, f32, -2, 2), name=n) for n, shape in shapes]
        first = record.named(variables)
        rows = optimizer_steps(record, optimizer, variables, rng, 3)
        record.row(
            f"{name} of other numbers, float32",
            config=start,
            dtype="float32",
            constraint=None,
            variables=first,
            steps=rows,
            finalized=None,
        )


def schedules(record):
    S = keras.optimizers.schedules
    for label, schedule in {
        "CosineDecayRestarts of other numbers": S.CosineDecayRestarts(0.5, 20),
        "ExponentialDecay of other numbers": S.ExponentialDecay(0.5, 7, 0.25),
        "InverseTimeDecay of other numbers": S.InverseTimeDecay(0.5, 7, 0.25),
        "PiecewiseConstantDecay of other numbers": S.PiecewiseConstantDecay([3, 9, 40], [1.0, 0.5, 0.25, 0.125]),
        "PolynomialDecay of other numbers": S.PolynomialDecay(0.5, 60),
    }.items():
        schedule_row(record, label, schedule)
