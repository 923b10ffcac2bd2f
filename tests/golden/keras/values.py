"""Values of arguments that no other family has a row of."""

import keras
import numpy as np
import tensorflow as tf

from fixture import stream
from keras_recorder import (
    LayerRecorder,
    Recorder,
    compiled,
    config,
    draws,
    first_as_last,
    loss_row,
    optimizer_steps,
    spectral_row,
    states_row,
    wide,
)
from samples import distinct, draw, f32

L = keras.layers
IMAGES = {1: (2, 7, 4), 2: (2, 6, 5, 4), 3: (1, 4, 3, 5, 2)}


def values(shape, low=-1, high=1):
    return draw(stream("values", *shape, low, high), shape, f32, low, high)


def first(x, axis=1):
    """Channels before the places."""
    return np.moveaxis(x, -1, axis).copy()


def add(fixture):
    case = LayerRecorder(fixture).case
    with first_as_last():
        channels_first(case)
    with compiled("conv_transpose"):
        dilated(case)
    layers(case)
    apart(fixture)
    spectral(Recorder(fixture, "spectral normalization"))
    random(Recorder(fixture, "augmentation"), Recorder(fixture, "distortion"))
    dropped(Recorder(fixture, "recurrent dropout"))
    states(Recorder(fixture, "states"))
    stateful(Recorder(fixture, "stateful"))
    mel_spectrograms(Recorder(fixture, "layer"))
    losses(Recorder(fixture, "loss"))
    metrics(Recorder(fixture, "metric"))
    optimizers(Recorder(fixture, "optimizer"))
    initializers(Recorder(fixture, "initializer"))


def channels_first(case):
    """Filters are as many as no axis has places: Keras's sum of an output and a bias takes the last axis of as many."""
    for axes, shape in IMAGES.items():
        x = first(values(shape))
        conv, transpose = getattr(L, f"Conv{axes}D"), getattr(L, f"Conv{axes}DTranspose")
        for label, settings in {
            "": {},
            "same": {"padding": "same"},
            "by 2": {"strides": 2, "activation": "relu"},
            "by 2, same": {"strides": 2, "padding": "same", "activity_regularizer": keras.regularizers.L2(0.5)},
        }.items():
            settings = {"data_format": "channels_first", **settings}
            words = f"{label}, channels first".strip(", ")
            case(f"Conv{axes}D {words}", lambda d: conv(11, 2, dtype=d, **settings), x)
            case(f"Conv{axes}DTranspose {words}", lambda d: transpose(11, 2, dtype=d, **settings), x)
        more = {"data_format": "channels_first", "strides": 2, "output_padding": 1}
        case(f"Conv{axes}DTranspose one more, channels first", lambda d: transpose(3, 3, dtype=d, **more), x)
        narrow = {"dtype": "float32"} if axes == 3 else {}  # TensorFlow pools no volumes of float64.
        tops = first(distinct(stream("values of tops", axes), shape, f32) / 8)
        for kind, x_ in (("Max", tops), ("Average", x)):
            pool = getattr(L, f"{kind}Pooling{axes}D")
            for padding in ("valid", "same"):
                settings = {"data_format": "channels_first", "padding": padding, "pool_size": 2, **narrow}
                label = f"{kind}Pooling{axes}D {padding}, channels first"
                case(label, lambda d: pool(**{"dtype": d, **settings}), x_)
        lstm, steps = getattr(L, f"ConvLSTM{axes}D"), first(values((2, *shape)), 2)
        for padding in ("valid", "same"):
            settings = {"data_format": "channels_first", "padding": padding, "return_sequences": padding == "same"}
            case(f"ConvLSTM{axes}D {padding}, channels first", lambda d: lstm(2, 2, dtype=d, **settings), steps)
    grouped = {"data_format": "channels_first", "groups": 2, "dilation_rate": 2}
    for axes in (1, 2):
        x = first(values(IMAGES[axes]))
        conv = getattr(L, f"Conv{axes}D")
        case(f"Conv{axes}D in groups, dilated, channels first", lambda d: conv(4, 2, dtype=d, **grouped), x)
        for kind, given in (("Depthwise", (3,)), ("Separable", (11, 3))):
            make = getattr(L, f"{kind}Conv{axes}D")
            for label, settings in {
                "": {},
                "same": {"padding": "same", "depth_multiplier": 2, "activation": "relu"},
                "by 2": {"strides": 2, "use_bias": False},
            }.items():
                settings = {"data_format": "channels_first", **settings}
                words = f"{label}, channels first".strip(", ")
                case(f"{kind}Conv{axes}D {words}", lambda d: make(*given, dtype=d, **settings), x)
    causal = {"data_format": "channels_first", "padding": "causal", "dilation_rate": 2}
    case("Conv1D causal, channels first", lambda d: L.Conv1D(3, 2, dtype=d, **causal), first(values(IMAGES[1])))


def dilated(case):
    for axes, shape in IMAGES.items():
        transpose, x = getattr(L, f"Conv{axes}DTranspose"), values(shape)
        for padding in ("valid", "same"):
            settings = {"dilation_rate": 2, "padding": padding}
            case(f"Conv{axes}DTranspose dilated, {padding}", lambda d: transpose(3, 2, dtype=d, **settings), x)


def layers(case):
    for axes, shape in IMAGES.items():
        lstm, steps = getattr(L, f"ConvLSTM{axes}D"), values((2, *shape))
        costs = {"activity_regularizer": keras.regularizers.L2(0.5), "return_sequences": True}
        case(f"ConvLSTM{axes}D of an activity that costs", lambda d: lstm(2, 2, dtype=d, **costs), steps)
        # TensorFlow has no gradient of a dilated convolution of volumes.
        label, smooth = f"ConvLSTM{axes}D dilated by 2", axes < 3
        case(label, lambda d: lstm(4, 2, dilation_rate=2, dtype=d), steps, differentiable=smooth)
    mask = np.array([[1, 0]], bool)
    case("ConvLSTM3D masked", lambda d: L.ConvLSTM3D(2, 2, dtype=d), values((1, 2, 3, 2, 3, 2)), mask=mask)
    case(
        "Conv3DTranspose of an activity that costs",
        lambda d: L.Conv3DTranspose(2, 2, activity_regularizer="l2", dtype=d),
        values(IMAGES[3]),
    )
    x = values((2, 5, 3))
    case("GlobalAveragePooling1D masked", lambda d: L.GlobalAveragePooling1D(dtype=d), x, mask=MASK)
    kept = lambda d: L.GlobalAveragePooling1D(keepdims=True, dtype=d)
    case("GlobalAveragePooling1D masked, keepdims", kept, x, mask=MASK)
    case(
        "GlobalAveragePooling1D masked, channels first",
        lambda d: L.GlobalAveragePooling1D("channels_first", dtype=d),
        first(x),
        mask=MASK,
    )
    case("GroupNormalization unsaid", lambda d: L.GroupNormalization(dtype=d), values((2, 3, 64)))
    case("Embedding of two", lambda d: L.Embedding(4, 2, dtype=d), np.array([[1, 3, 0]], f32))
    case("ReversibleEmbedding of four", lambda d: L.ReversibleEmbedding(4, 2, dtype=d), np.array([[1, 3, 0]], f32))
    case("SimpleRNN of two", lambda d: L.SimpleRNN(2, return_sequences=True, dtype=d), x)
    for axes in (1, 2):
        make = getattr(L, f"SeparableConv{axes}D")
        case(f"SeparableConv{axes}D of three taps", lambda d: make(2, 3, padding="same", dtype=d), values(IMAGES[axes]))
        for padding in ("valid", "same"):
            by = {"strides": 2, "dilation_rate": 2, "depth_multiplier": 2, "padding": padding}
            for kind, given in (("Depthwise", (2,)), ("Separable", (11, 2))):
                make = getattr(L, f"{kind}Conv{axes}D")
                label = f"{kind}Conv{axes}D dilated, by 2, {padding}"
                case(label, lambda d: make(*given, dtype=d, **by), values(IMAGES[axes]))
                first_too = {"data_format": "channels_first", **by}
                x_ = first(values(IMAGES[axes]))
                case(f"{label}, channels first", lambda d: make(*given, dtype=d, **first_too), x_)
    case("CategoryEncoding of seven", lambda d: L.CategoryEncoding(7, dtype=d), np.array([[1, 3, 0], [6, 6, 2]], f32))
    wave = values((1, 600, 1))
    window = [0.25, 1.0, 0.5, 0.0, 1.0, 2.0, 3.0, 1.0]
    windowed = lambda d: L.STFTSpectrogram("psd", 8, window=window, dtype=d)
    case("STFTSpectrogram of a window", windowed, values((2, 21, 2)))
    case("STFTSpectrogram unsaid but for the window", lambda d: L.STFTSpectrogram(window=None, dtype=d), wave)
    for mode in ("nearest", "wrap"):
        make = lambda d: L.RandomShear(0.2, fill_mode=mode, seed=3, dtype=d)
        case(f"RandomShear {mode}, not training", make, values((2, 4, 6, 3), 0, 1), training=False)
    image = values((2, 4, 6, 3), 0, 1)
    for layer in (
        lambda d: L.CenterCrop(2, 3, dtype=d),
        lambda d: L.Resizing(3, 5, dtype=d),
        lambda d: L.AutoContrast(dtype=d),
        lambda d: L.ContrastLimitedAdaptiveHistogramEqualization(dtype=d),
        lambda d: L.MaxNumBoundingBoxes(3, dtype=d),
    ):
        case(f"{type(layer('float32')).__name__}, training", layer, image, training=True, differentiable=False)
    steps = values((2, 3, 4))
    for axis in (0, 1, 2):
        for kind in (L.LayerNormalization, L.UnitNormalization):
            case(f"{kind.__name__} of {axis} of three", lambda d: kind(axis, dtype=d), values((2, 3, 4, 2)))
    for training in (False, True):
        for layer in (
            lambda d: L.Dense(3, dtype=d),
            lambda d: L.EinsumDense("abc,cd->abd", (None, 5), bias_axes="d", dtype=d),
            lambda d: L.TimeDistributed(L.Dense(3, dtype=d), dtype=d),
            lambda d: L.LSTM(3, dtype=d),
            lambda d: L.Bidirectional(L.GRU(3, dtype=d), dtype=d),
        ):
            words = "training" if training else "not training"
            case(f"{type(layer('float32')).__name__}, {words}", layer, steps, training=training)


MASK = np.array([[1, 0, 1, 1, 0], [0, 1, 1, 0, 1]], bool)


def apart(fixture):
    """Two directions whose outputs are not merged."""
    record, x = Recorder(fixture, "apart"), values((2, 5, 3))
    for label, layer in {
        "LSTM": lambda d: L.LSTM(2, dtype=d),
        "GRU of sequences": lambda d: L.GRU(2, return_sequences=True, dtype=d),
        "SimpleRNN": lambda d: L.SimpleRNN(2, dtype=d),
    }.items():
        for masked in (False, True):
            keras.backend.clear_session()
            unbuilt = config(L.Bidirectional(layer("float32"), merge_mode=None))
            keras.backend.clear_session()
            precise = L.Bidirectional(layer("float64"), merge_mode=None, dtype="float64")
            precise.build(x.shape)
            rng = stream("apart", label)
            weights = [draw(rng, w.shape, f32, -1, 1, (0,)) for w in precise.weights]
            precise.set_weights(weights)
            ys = precise(tf.constant(wide(x)), mask=tf.constant(MASK) if masked else None)
            record.row(
                f"{label}{' masked' * masked}",
                config=unbuilt,
                x=record.put(x),
                mask=record.put(MASK) if masked else None,
                weights=[{"path": w.path, "value": record.put(v)} for w, v in zip(precise.weights, weights)],
                references=[record.put(y) for y in ys],
            )


def spectral(record):
    """Kernels of images, of a transposed convolution, and of a table."""
    for label, make, x in (
        ("a kernel of images", lambda: L.Conv2D(3, 2), values((2, 4, 3, 2))),
        ("a kernel of steps", lambda: L.Conv1D(3, 2, padding="same"), values((2, 5, 2))),
        ("a kernel of a transpose", lambda: L.Conv2DTranspose(3, 2), values((2, 4, 3, 2))),
        ("a table", lambda: L.Embedding(5, 3), np.array([[1, 0, 4], [2, 2, 3]], f32)),
    ):
        keras.backend.clear_session()
        layer = L.SpectralNormalization(make(), power_iterations=2)
        unbuilt, rng = config(layer), stream("values of kernels", label)
        layer.build(x.shape)
        for w in layer.weights:
            w.assign(draw(rng, w.shape, f32, -1, 1))
        spectral_row(record, label, unbuilt, layer, x)


def random(record, distorted):
    byte, unit = values((3, 6, 5, 3), 0, 255), values((3, 6, 5, 3), 0, 1)
    for seed in (0, 42):
        for mode in ("reflect", "wrap", "constant", "nearest"):
            for interpolation in ("nearest", "bilinear"):
                how = dict(fill_mode=mode, interpolation=interpolation, seed=seed)
                draws(record, lambda d: L.RandomShear(0.4, 0.3, fill_value=3.0, dtype=d, **how), byte)
        draws(record, lambda d: L.Solarization(seed=seed, dtype=d), byte)
        draws(record, lambda d: L.Solarization(0.0, 0.5, seed=seed, dtype=d), byte)
        draws(distorted, lambda d: L.RandomElasticTransform(seed=seed, dtype=d), byte)
        draws(record, lambda d: L.MixUp(seed=seed, dtype=d), unit)


def dropped(record):
    """What training draws of the cells of a sequence, of images and in two directions."""
    rates = dict(dropout=0.5, recurrent_dropout=0.25, seed=3)
    x = values((2, 4, 3))
    for label, make, x_ in (
        ("RNN of LSTMCell", lambda: L.RNN(L.LSTMCell(3, **rates), return_sequences=True), x),
        ("RNN of GRUCell", lambda: L.RNN(L.GRUCell(3, **rates), return_sequences=True), x),
        ("RNN of SimpleRNNCell", lambda: L.RNN(L.SimpleRNNCell(3, **rates), return_sequences=True), x),
        ("RNN of cells", lambda: L.RNN([L.LSTMCell(3, **rates), L.GRUCell(2, **rates)], return_sequences=True), x),
        ("Bidirectional LSTM", lambda: L.Bidirectional(L.LSTM(3, return_sequences=True, **rates)), x),
        ("GRU of the last", lambda: L.GRU(3, **rates), x),
        ("LSTM backwards", lambda: L.LSTM(3, go_backwards=True, return_sequences=True, **rates), x),
        ("LSTM unrolled", lambda: L.LSTM(3, unroll=True, return_sequences=True, **rates), x),
        ("ConvLSTM1D", lambda: L.ConvLSTM1D(3, 2, return_sequences=True, **rates), values((2, 3, *IMAGES[1][1:]))),
        ("ConvLSTM3D", lambda: L.ConvLSTM3D(2, 2, return_sequences=True, **rates), values((1, 2, *IMAGES[3][1:]))),
    ):
        weights = stream("values of sequences", label)
        keras.backend.clear_session()
        layer = make()
        layer.build(x_.shape)
        layer.set_weights([draw(weights, w.shape, f32, -1, 1, (0,)) for w in layer.weights])
        record.row(
            label,
            config=config(layer),
            seed=None,
            x=record.put(x_),
            weights=record.named(layer.weights),
            outputs=[record.put(layer(tf.constant(x_), training=True)) for _ in range(2)],
        )


def states(record):
    for axes in (1, 3):
        x = values((2, 2, *IMAGES[axes][1:]))
        make = lambda d: getattr(L, f"ConvLSTM{axes}D")(2, 2, return_state=True, return_sequences=True, dtype=d)
        states_row(record, f"ConvLSTM{axes}D", make, x, stream("values of states", axes))


def stateful(record):
    for axes in (2, 3):
        xs = [values((2, 2, *IMAGES[axes][1:]), -1 - i, 1) for i in range(2)]
        make = lambda d: getattr(L, f"ConvLSTM{axes}D")(2, 2, padding="same", stateful=True, dtype=d)
        keras.backend.clear_session()
        unbuilt = config(make("float32"))
        keras.backend.clear_session()
        layer, weights = make("float64"), stream("values of batches", axes)
        layer.build(xs[0].shape)
        given = [draw(weights, w.shape, f32, -1, 1, (0,)) for w in layer.weights]
        layer.set_weights(given)
        ys = [layer(wide(x)) for x in xs]
        after = [np.array(state) for state in layer.states]
        layer.reset_state()
        ys.append(layer(wide(xs[0])))
        record.row(
            f"ConvLSTM{axes}D stateful",
            config=unbuilt,
            batches=[record.put(x) for x in [*xs, xs[0]]],
            masks=[None, None, None],
            weights=[{"path": w.path, "value": record.put(v)} for w, v in zip(layer.weights, given)],
            ys=[record.put(y) for y in ys],
            states=[record.put(state) for state in after],
        )


def mel_spectrograms(record):
    """In float32 alone: Keras has no others."""
    for label, settings in {
        "unsaid": {},
        "of a high rate": dict(sampling_rate=44100, sequence_stride=256, num_mel_bins=40, fft_length=512),
    }.items():
        keras.backend.clear_session()
        layer, x = L.MelSpectrogram(**settings), values((1, 3000))
        unbuilt, y = config(layer), record.put(layer(tf.constant(x)))
        none = dict.fromkeys(("training", "reference", "dy", "grad", "output_shape"))
        empty = {key: [] for key in ("weights", "losses", "reference_losses", "weight_grads")}
        built = {"built_config": config(layer), "x": record.put(x), "y": y, "parameters": 0}
        record.row(f"MelSpectrogram {label}", config=unbuilt, **built, **none, **empty)


def losses(record):
    K = keras.losses
    labels = np.array([[1, 2, 0], [2, 1, 3]])
    embedded, kinds = values((4, 3)), np.array([1, 0, 1, 2])
    embedded /= np.linalg.norm(embedded, axis=-1, keepdims=True)
    rows = [
        (f"CTC of {reduction}", lambda r=reduction, **k: K.CTC(reduction=r, **k), labels, values((2, 6, 5)))
        for reduction in ("mean", "mean_with_sample_weight")
    ]
    rows += [
        (f"Circle of {reduction}", lambda r=reduction, **k: K.Circle(reduction=r, **k), kinds, embedded)
        for reduction in ("sum", "mean")
    ]
    for row in rows:
        loss_row(record, *row)


def metrics(record):
    M = keras.metrics
    ids = np.array([0, 2, 1, 1], np.int32)
    scores, one_hot = values((4, 3), 0.05, 0.9), np.eye(3, dtype=f32)[ids]
    for label, make, arguments in (
        ("FBetaScore unsaid", lambda: M.FBetaScore(), (one_hot, scores)),
        ("OneHotIoU along axis 0", lambda: M.OneHotIoU(3, [0, 2], axis=0), (one_hot.T.copy(), scores.T.copy())),
        ("OneHotMeanIoU along axis 0", lambda: M.OneHotMeanIoU(3, axis=0), (one_hot.T.copy(), scores.T.copy())),
        ("OneHotMeanIoU of two", lambda: M.OneHotMeanIoU(2), (one_hot[:, :2], scores[:, :2])),
        ("SparseTopKCategoricalAccuracy unsaid", lambda: M.SparseTopKCategoricalAccuracy(), (ids, values((4, 8)))),
    ):
        keras.backend.clear_session()
        metric = make()
        start = config(metric)
        metric.update_state(*arguments)
        step = {"arguments": [record.put(a) for a in arguments], "sample_weight": None}
        step |= {"result": record.put(metric.result()), "variables": record.named(metric.variables)}
        record.row(label, config=start, steps=[step])


def optimizers(record):
    for excluded in (True, False):
        keras.backend.clear_session()
        optimizer = keras.optimizers.Muon(0.1, exclude_embeddings=excluded)
        start, rng = config(optimizer), stream("values", "Muon")
        shapes = (("embeddings", (4, 3)), ("kernel", (2, 3)), ("bias", (3,)))
        variables = [keras.Variable(draw(rng, shape, f32, -2, 2), name=n) for n, shape in shapes]
        begun = record.named(variables)
        rows = optimizer_steps(record, optimizer, variables, rng, 3)
        record.row(
            f"Muon of a table{'' if excluded else ' that it takes'}, float32",
            config=start,
            dtype="float32",
            constraint=None,
            variables=begun,
            steps=rows,
            finalized=None,
        )


def initializers(record):
    I = keras.initializers
    axes = dict(seed=7, input_axes=[0, 1], output_axes=[2, 3])
    options = [getattr(I, n)(**axes) for n in ("GlorotNormal", "HeNormal", "HeUniform", "LecunNormal", "LecunUniform")]
    options += [I.VarianceScaling(2.0, mode, **axes) for mode in ("fan_in", "fan_out", "fan_avg")]
    options += [I.HeNormal(seed=7, input_axes=[-1], output_axes=[0])]
    for initializer in options:
        c, shape = config(initializer), (2, 3, 4, 5)
        name = c["class_name"] + "".join(f", {k}={v}" for k, v in c["config"].items() if v is not None)
        value = record.put(initializer(shape, dtype="float32"))
        record.row(f"{name}, {list(shape)} float32", config=c, shape=list(shape), value=value)
