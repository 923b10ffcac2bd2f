"""Recurrent layers, their cells and states."""

import keras
import numpy as np
import tensorflow as tf

from fixture import stream
from keras_recorder import LayerRecorder, Recorder, config, states_row, wide
from samples import draw, f32


def add(fixture):
    case = LayerRecorder(fixture).case
    L = keras.layers

    rng = stream("recurrent layers")
    x = draw(rng, (3, 4, 2), f32, -2, 2)
    mask = np.array([[1, 1, 0, 1], [0, 1, 1, 0], [0, 0, 0, 0]], bool)
    classes = {"SimpleRNN": L.SimpleRNN, "LSTM": L.LSTM, "GRU": L.GRU}
    for name, make in classes.items():
        for label, settings in {
            "": {},
            "of sequences": {"return_sequences": True},
            "backwards": {"go_backwards": True},
            "backwards of sequences": {"go_backwards": True, "return_sequences": True},
            "without bias": {"use_bias": False, "return_sequences": True},
            "relu": {"activation": "relu", "return_sequences": True},
            "unrolled": {"unroll": True},
            "not trainable": {"trainable": False},
            "regularized": {
                "kernel_regularizer": "l2",
                "recurrent_regularizer": keras.regularizers.L1(0.1),
                "bias_regularizer": "l2",
                "activity_regularizer": keras.regularizers.L2(0.5),
            },
            "with other settings": {
                "kernel_initializer": "he_normal",
                "recurrent_initializer": "identity",
                "bias_initializer": "ones",
                "kernel_constraint": "max_norm",
                "recurrent_constraint": "non_neg",
                "bias_constraint": "unit_norm",
                "dropout": 0.25,
                "recurrent_dropout": 0.5,
                **({} if name == "SimpleRNN" else {"seed": 7}),
            },
        }.items():
            case(f"{name} {label}".strip(), lambda d: make(3, dtype=d, **settings), x)
        for label, settings in {
            "": {},
            "of sequences": {"return_sequences": True},
            "of sequences with zeros": {"return_sequences": True, "zero_output_for_mask": True},
            "with zeros": {"zero_output_for_mask": True},
            "backwards of sequences": {"go_backwards": True, "return_sequences": True},
            "relu of sequences": {"activation": "relu", "return_sequences": True},
        }.items():
            case(f"{name} masked {label}".strip(), lambda d: make(3, dtype=d, **settings), x, mask=mask)
    for name in ("LSTM", "GRU"):
        case(
            f"{name} with hard gates",
            lambda d: classes[name](3, recurrent_activation="hard_sigmoid", return_sequences=True, dtype=d),
            x,
        )
    for label, settings in {
        "": {},
        "of sequences": {"return_sequences": True},
        "without bias": {"use_bias": False},
        "backwards": {"go_backwards": True},
        "relu": {"activation": "relu"},
    }.items():
        case(f"GRU reset before {label}".strip(), lambda d: L.GRU(3, reset_after=False, dtype=d, **settings), x)
    case(
        "GRU reset before masked",
        lambda d: L.GRU(3, reset_after=False, return_sequences=True, dtype=d),
        x,
        mask=mask,
    )
    case("LSTM without ones for f", lambda d: L.LSTM(3, unit_forget_bias=False, dtype=d), x)
    case("LSTM of many units", lambda d: L.LSTM(17, return_sequences=True, dtype=d), draw(rng, (5, 6, 4), f32, -1, 1))
    case("GRU of many units", lambda d: L.GRU(17, return_sequences=True, dtype=d), draw(rng, (5, 6, 4), f32, -1, 1))

    cells = {
        "SimpleRNNCell": lambda d: L.SimpleRNNCell(3, dtype=d),
        "LSTMCell": lambda d: L.LSTMCell(3, dtype=d),
        "GRUCell": lambda d: L.GRUCell(3, dtype=d),
        "GRUCell reset before": lambda d: L.GRUCell(3, reset_after=False, dtype=d),
        "GRUCell relu without bias": lambda d: L.GRUCell(3, activation="relu", use_bias=False, dtype=d),
        "LSTMCell without ones for f": lambda d: L.LSTMCell(3, unit_forget_bias=False, dtype=d),
    }
    stacks = {
        "stacked": lambda d: L.StackedRNNCells([L.LSTMCell(3, dtype=d), L.GRUCell(2, dtype=d)], dtype=d),
        "two alike": lambda d: L.StackedRNNCells([L.LSTMCell(3, dtype=d), L.LSTMCell(2, dtype=d)], dtype=d),
    }
    for label, cell in (cells | stacks).items():
        case(f"RNN of {label}", lambda d: L.RNN(cell(d), dtype=d), x)
        case(
            f"RNN of {label}, sequences backwards",
            lambda d: L.RNN(cell(d), return_sequences=True, go_backwards=True, dtype=d),
            x,
        )
        if label not in ("stacked", "two alike"):
            case(f"RNN of {label} masked", lambda d: L.RNN(cell(d), return_sequences=True, dtype=d), x, mask=mask)

    for merge in ("concat", "sum", "mul", "ave"):
        for name, make in classes.items():
            case(
                f"Bidirectional {name} {merge}",
                lambda d: L.Bidirectional(make(3, dtype=d), merge_mode=merge, dtype=d),
                x,
            )
            case(
                f"Bidirectional {name} {merge} of sequences",
                lambda d: L.Bidirectional(make(3, return_sequences=True, dtype=d), merge_mode=merge, dtype=d),
                x,
            )
    case(
        "Bidirectional masked",
        lambda d: L.Bidirectional(L.LSTM(3, return_sequences=True, dtype=d), dtype=d),
        x,
        mask=mask,
    )
    case("Bidirectional masked, the last", lambda d: L.Bidirectional(L.GRU(3, dtype=d), dtype=d), x, mask=mask)
    case(
        "Bidirectional of two",
        lambda d: L.Bidirectional(
            L.LSTM(3, return_sequences=True, dtype=d),
            backward_layer=L.GRU(2, return_sequences=True, go_backwards=True, dtype=d),
            dtype=d,
        ),
        x,
    )
    case("Bidirectional RNN", lambda d: L.Bidirectional(L.RNN(L.GRUCell(3, dtype=d), dtype=d), dtype=d), x)

    record = Recorder(fixture, "cell")
    for label, make in (cells | stacks).items():
        weights, layers = stream("cell", label), []
        for dtype in ("float32", "float64"):
            keras.backend.clear_session()
            unbuilt = config(make("float32"))
            keras.backend.clear_session()
            layer = make(dtype)
            layer.build((3, 2))
            layers.append(layer)
        values = [draw(weights, w.shape, f32, -1, 1, (0,)) for w in layers[0].weights]
        for layer in layers:
            layer.set_weights(values)
        sizes = layers[0].state_size
        sizes = sizes if isinstance(sizes, list) else [sizes]
        states = keras.tree.map_structure(lambda n: draw(weights, (3, n), f32, -1, 1), sizes)
        now = [layer(wide(x[:, 0]), keras.tree.map_structure(wide, states)) for layer in layers[1:]]
        y, after = now[0]
        record.row(
            label,
            config=unbuilt,
            x=record.put(x[:, 0]),
            states=[record.put(state) for state in keras.tree.flatten(states)],
            weights=record.named(layers[0].weights),
            reference=record.put(y),
            after=[record.put(state) for state in keras.tree.flatten(after)],
        )

    record = Recorder(fixture, "states")
    makes = {
        name: lambda d, make=make: make(3, return_state=True, return_sequences=True, dtype=d)
        for name, make in classes.items()
    }
    makes |= {
        f"{name} of the last": lambda d, make=make: make(3, return_state=True, dtype=d)
        for name, make in classes.items()
    }
    makes["LSTM relu"] = lambda d: L.LSTM(3, activation="relu", return_state=True, dtype=d)
    makes["RNN"] = lambda d: L.RNN(L.LSTMCell(3, dtype=d), return_state=True, dtype=d)
    makes["Bidirectional"] = lambda d: L.Bidirectional(
        L.LSTM(3, return_state=True, return_sequences=True, dtype=d), dtype=d
    )
    for label, make in makes.items():
        for how in ("", "masked"):
            weights = stream("states", label + how)
            states_row(record, f"{label} {how}".strip(), make, x, weights, mask if how else None)

    record = Recorder(fixture, "recurrent dropout")
    for name, make in classes.items():
        for rates in ((0.5, 0.0), (0.0, 0.25), (0.5, 0.25)):
            for settings in ({}, {"reset_after": False}) if name == "GRU" else ({},):
                weights = stream("recurrent dropout", name, str(rates))
                keras.backend.clear_session()
                layer = make(3, dropout=rates[0], recurrent_dropout=rates[1], seed=3, return_sequences=True, **settings)
                layer.build(x.shape)
                layer.set_weights([draw(weights, w.shape, f32, -1, 1, (0,)) for w in layer.weights])
                record.row(
                    f"{name} {rates} {settings}",
                    config=config(layer),
                    seed=3,
                    x=record.put(x),
                    weights=record.named(layer.weights),
                    outputs=[record.put(layer(tf.constant(x), training=True)) for _ in range(2)],
                )
