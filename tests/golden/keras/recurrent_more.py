"""All ways of recurrent layers: what they return, which way they go, what they do of a step that is masked, and states that
stay from batch to batch."""

import itertools

import keras
import numpy as np
import tensorflow as tf

from fixture import stream
from keras_recorder import Recorder, config, states_row, wide
from samples import draw, f32

MASK = np.array([[1, 1, 0, 1], [0, 1, 1, 0], [0, 0, 0, 0]], bool)


def classes():
    L = keras.layers
    return {
        "SimpleRNN": lambda **settings: L.SimpleRNN(3, **settings),
        "LSTM": lambda **settings: L.LSTM(3, **settings),
        "GRU": lambda **settings: L.GRU(3, **settings),
        "RNN": lambda **settings: L.RNN(L.LSTMCell(3, dtype=settings["dtype"]), **settings),
    }


def add(fixture):
    ways(fixture)
    stateful(fixture)


def ways(fixture):
    record, x = Recorder(fixture, "states"), draw(stream("ways of sequences"), (3, 4, 2), f32, -2, 2)
    for name, make in classes().items():
        for masked, unroll, sequences, backwards, zeros in itertools.product((False, True), repeat=5):
            if zeros and not masked:
                continue
            if zeros and unroll and sequences and backwards:
                continue  # Keras makes zeros of the outputs whose steps from the other end are masked.
            settings = {
                "return_state": True,
                "return_sequences": sequences,
                "go_backwards": backwards,
                "zero_output_for_mask": zeros,
                "unroll": unroll,
            }
            words = [key for key, value in settings.items() if value] + ["masked"] * masked
            made = lambda d: make(dtype=d, **settings)
            weights, mask = stream("ways", name, *words), MASK if masked else None
            states_row(record, " ".join([name, *words]), made, x, weights, mask)


def stateful(fixture):
    """Three batches, the second of them masked; then the first again, after the states were made zeros."""
    L, record = keras.layers, Recorder(fixture, "stateful")
    batches = [draw(stream("batches", i), (3, 4, 2), f32, -2, 2) for i in range(3)]
    makes = classes()
    makes["Bidirectional"] = lambda **settings: L.Bidirectional(L.GRU(3, **settings), dtype=settings["dtype"])
    makes["ConvLSTM1D"] = lambda **settings: L.ConvLSTM1D(3, 2, padding="same", **settings)
    for name, make in makes.items():
        xs = [x[..., None] for x in batches] if name == "ConvLSTM1D" else batches
        for settings in ({}, {"return_sequences": True}, {"return_sequences": True, "unroll": True}):
            if name == "Bidirectional" and "unroll" in settings:
                continue  # As above: the second layer goes backwards, and makes zeros.
            settings = {"stateful": True, **settings}
            label = " ".join([name, *settings])
            weights = stream("stateful", label)
            keras.backend.clear_session()
            unbuilt = config(make(dtype="float32", **settings))
            keras.backend.clear_session()
            layer = make(dtype="float64", **settings)
            layer.build(xs[0].shape)
            values = [draw(weights, w.shape, f32, -1, 1, (0,)) for w in layer.weights]
            layer.set_weights(values)
            ys = [layer(wide(x), mask=tf.constant(MASK) if i == 1 else None) for i, x in enumerate(xs)]
            parts = [layer.forward_layer, layer.backward_layer] if name == "Bidirectional" else [layer]
            states = [np.array(state) for part in parts for state in part.states]
            layer.reset_state()
            ys.append(layer(wide(xs[0])))
            record.row(
                label,
                config=unbuilt,
                batches=[record.put(x) for x in [*xs, xs[0]]],
                masks=[None, record.put(MASK), None, None],
                weights=[{"path": w.path, "value": record.put(v)} for w, v in zip(layer.weights, values)],
                ys=[record.put(y) for y in ys],
                states=[record.put(state) for state in states],
            )
