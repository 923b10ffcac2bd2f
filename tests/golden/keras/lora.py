"""Layers whose kernels are adapted by products of a low rank."""

import keras
import numpy as np

from fixture import stream
from keras_recorder import LayerRecorder, Recorder, config
from samples import draw, f32


def heeding(layer, alpha):
    """Keras forgets `lora_alpha` of most layers when it builds them."""
    build = layer.build

    def build_and_heed(*args, **kwargs):
        build(*args, **kwargs)
        layer.lora_alpha = alpha

    layer.build = build_and_heed
    return layer


def add(fixture):
    case = LayerRecorder(fixture).case
    L = keras.layers
    rng = stream("lora")
    x = {dims: draw(rng, dims, f32, -2, 2) for dims in ((5, 4), (2, 3, 4), (2, 6, 4), (2, 5, 4, 3), (1, 3, 4, 3, 2))}
    ids = np.array([[1, 4, 0, 1], [3, 3, 2, 0]], f32)
    layers = {
        "Dense": (lambda **k: L.Dense(3, activation="tanh", **k), x[5, 4]),
        "Dense of sequences": (lambda **k: L.Dense(3, use_bias=False, **k), x[2, 3, 4]),
        "EinsumDense": (lambda **k: L.EinsumDense("abc,cd->abd", (None, 5), bias_axes="d", **k), x[2, 3, 4]),
        "EinsumDense of four axes": (lambda **k: L.EinsumDense("abc,cde->abde", (None, 2, 5), **k), x[2, 3, 4]),
        "EinsumDense of a vector": (lambda **k: L.EinsumDense("abc,c->ab", (None,), **k), x[2, 3, 4]),
        "Embedding": (lambda **k: L.Embedding(5, 3, **k), ids),
        "ReversibleEmbedding": (lambda **k: L.ReversibleEmbedding(5, 3, **k), ids),
        "ReversibleEmbedding not tied": (lambda **k: L.ReversibleEmbedding(5, 3, tie_weights=False, **k), ids),
        "Conv1D": (lambda **k: L.Conv1D(4, 3, padding="causal", **k), x[2, 6, 4]),
        "Conv1D in groups": (lambda **k: L.Conv1D(4, 2, groups=2, use_bias=False, **k), x[2, 6, 4]),
        "Conv2D": (lambda **k: L.Conv2D(5, (3, 2), strides=2, padding="same", **k), x[2, 5, 4, 3]),
        "Conv3D": (lambda **k: L.Conv3D(3, 2, **k), x[1, 3, 4, 3, 2]),
    }
    # Keras adapts such a layer after it is built alone.
    late = "ReversibleEmbedding not tied"
    for name, (make, inputs) in layers.items():
        if name == late:
            continue
        embeds = "Embedding" in name
        regular = "embeddings_regularizer" if embeds else "kernel_regularizer"
        case(f"{name} of rank 2", lambda d: make(lora_rank=2, dtype=d), inputs)
        case(f"{name} of rank 3, times 5", lambda d: heeding(make(lora_rank=3, lora_alpha=5, dtype=d), 5), inputs)
        case(f"{name} with L2", lambda d: make(lora_rank=1, dtype=d, **{regular: "l2"}), inputs)

    record = Recorder(fixture, "lora in dtypes")
    for name, (make, inputs) in layers.items():
        for policy in ("float16", "mixed_bfloat16", "mixed_float16", "float64"):
            if name == late or policy != "mixed_float16" and name not in ("Dense", "Embedding", "Conv1D"):
                continue
            keras.backend.clear_session()
            layer = make(lora_rank=2, dtype=policy)
            unbuilt = config(layer)
            layer.build(inputs.shape)
            rng = stream("lora", name, policy)
            layer.set_weights([draw(rng, w.shape, f32, -1, 1) for w in layer.weights])
            y = layer(inputs)
            record.row(
                f"{name} in {policy}",
                config=unbuilt,
                x=record.put(inputs),
                weights=record.named(layer.weights),
                y=record.put(y),
            )

    record = Recorder(fixture, "lora later on")
    for name, (make, inputs) in layers.items():
        for alpha in (None, 6):
            keras.backend.clear_session()
            layer = make()
            before = config(layer)
            layer.build(inputs.shape)
            layer.enable_lora(2, lora_alpha=alpha)
            rng = stream("lora later on", name, alpha)
            layer.set_weights([draw(rng, w.shape, f32, -1, 1) for w in layer.weights])
            record.row(
                f"{name}, {alpha}",
                config=before,
                alpha=alpha,
                config_after=config(layer),
                x=record.put(inputs),
                weights=record.named(layer.weights),
                trainable=[w.path for w in layer.trainable_weights],
                y=record.put(layer(inputs)),
            )

    record = Recorder(fixture, "lora reversed")
    for tied in (True, False):
        keras.backend.clear_session()
        layer = L.ReversibleEmbedding(5, 4, tie_weights=tied)
        layer.build(ids.shape)
        layer.enable_lora(2)
        rng = stream("lora reversed", tied)
        layer.set_weights([draw(rng, w.shape, f32, -1, 1) for w in layer.weights])
        inputs = draw(rng, (2, 3, 4), f32, -2, 2)
        record.row(
            "tied" if tied else "not tied",
            config=config(layer),
            x=record.put(inputs),
            weights=record.named(layer.weights),
            y=record.put(layer(inputs, reverse=True)),
        )
