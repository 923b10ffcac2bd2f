"""Layers of attention and of embedding, and einsums as layers."""

import keras
import numpy as np
import tensorflow as tf

from fixture import stream
from keras_recorder import LayerRecorder, Recorder, config, wide
from op_runner import cotangent
from samples import draw, f32, f64


class AttentionRecorder(Recorder):
    """Adds rows of layers of attention: of several inputs, each perhaps with a mask, and options of the call."""

    def __init__(self, fixture):
        super().__init__(fixture, "attention")

    def build(self, make, inputs, dtype, values):
        keras.backend.clear_session()
        layer = make(dtype)
        listed = isinstance(layer, keras.layers.Attention)
        shapes = [x.shape for x in inputs]
        layer.build(shapes) if listed else layer.build(*shapes)
        if values is not None:
            layer.set_weights(values)
        return layer

    def call(self, layer, inputs, masks, mask, causal, scores):
        tensors = [tf.constant(x) if not tf.is_tensor(x) else x for x in inputs]
        options = {"return_attention_scores": scores, "use_causal_mask": causal}
        masks = [None if m is None else tf.constant(m) for m in masks]
        if isinstance(layer, keras.layers.Attention):
            given = masks if any(m is not None for m in masks) else None
            return layer(tensors, mask=given, training=False, **options)
        for x, own in zip(tensors, masks):
            if own is not None:
                keras.src.backend.set_keras_mask(x, own)
        if mask is not None:
            options["attention_mask"] = tf.constant(mask)
        return layer(*tensors, training=False, **options)

    def case(self, label, make, inputs, masks=(), mask=None, causal=False, scores=False, wide_too=True):
        """`wide_too` says whether float64 gives what float32 does, but for rounding."""
        masks = list(masks) + [None] * (len(inputs) - len(masks))
        rng = stream("attention", label)
        keras.backend.clear_session()
        unbuilt = config(make("float32"))
        layer = self.build(make, inputs, "float32", None)
        values = [draw(rng, w.shape, f32, -1, 1, (0,)) for w in layer.weights]
        layer.set_weights(values)
        y = self.call(layer, inputs, masks, mask, causal, scores)
        first = y[0] if scores else y

        precise = self.build(make, inputs, "float64", [v.astype(f64) for v in values])
        sources = [tf.constant(wide(x)) for x in inputs]
        with tf.GradientTape() as tape:
            tape.watch(sources)
            found = self.call(precise, [tf.identity(x) for x in sources], masks, mask, causal, scores)
            found = list(found) if scores else [found]
            dys = [cotangent(t.shape) for t in found]
            total = sum(tf.reduce_sum(t * dy) for t, dy in zip(found, dys))
            for loss in precise.losses:
                total += loss
        grads = tape.gradient(total, sources + [w.value for w in precise.trainable_weights])
        self.row(
            label,
            config=unbuilt,
            inputs=[self.put(x) for x in inputs],
            masks=[self.put(m) for m in masks],
            attention_mask=self.put(mask),
            causal=causal,
            scores=scores,
            weights=self.named(layer.weights),
            y=self.put(first),
            output_mask=self.put(getattr(first, "_keras_mask", None)),
            references=[self.put(t) for t in found] if wide_too else None,
            losses=[self.put(loss) for loss in precise.losses],
            dys=[self.put(dy) for dy in dys],
            grads=[self.put(g) for g in grads],
            parameters=layer.count_params(),
        )


def add(fixture):
    L = keras.layers
    rng = stream("attention layers")
    q, v, k = (draw(rng, shape, f32, -2, 2) for shape in [(2, 3, 4), (2, 5, 4), (2, 5, 4)])
    value_mask = np.array([[1, 0, 1, 1, 0], [0, 1, 1, 0, 1]], bool)
    query_mask = np.array([[1, 1, 0], [0, 1, 1]], bool)
    seen_first = value_mask | np.array([1, 0, 0, 0, 0], bool)
    nothing = np.array([[1, 0, 1, 1, 0], [0, 0, 0, 0, 0]], bool)

    case = AttentionRecorder(fixture).case
    classes = {
        "Attention": lambda d, **s: L.Attention(dtype=d, **s),
        "AdditiveAttention": lambda d, **s: L.AdditiveAttention(dtype=d, **s),
        "Attention concat": lambda d, **s: L.Attention(score_mode="concat", dtype=d, **s),
    }
    for name, make in classes.items():
        for words, scale in {"": {}, " scaled": {"use_scale": True}, " not scaled": {"use_scale": False}}.items():
            case(f"{name}{words}", lambda d: make(d, **scale), [q, v])
            case(f"{name}{words} with a key", lambda d: make(d, **scale), [q, v, k])
        case(f"{name} causal", make, [q, v, k], causal=True)
        case(f"{name} with scores", make, [q, v, k], scores=True)
        case(f"{name} with a value's mask", make, [q, v, k], [None, value_mask])
        case(f"{name} with a query's mask", make, [q, v], [query_mask, None])
        case(f"{name} with masks", make, [q, v], [query_mask, value_mask])
        case(f"{name} causal with masks", make, [q, v, k], [query_mask, seen_first], causal=True)
        case(
            f"{name} causal with masks and scores", make, [q, v, k], [query_mask, seen_first], causal=True, scores=True
        )
        case(f"{name} that sees nothing", make, [q, v, k], [query_mask, nothing], wide_too=False)
        case(f"{name} that sees nothing, causal", make, [q, v, k], [None, value_mask], causal=True, wide_too=False)
        case(f"{name} with dropout that rests", lambda d: make(d, dropout=0.5, seed=3), [q, v])
        case(f"{name} of more axes", make, [q[None], v[None]])

    n, m, l = (draw(rng, shape, f32, -1, 1) for shape in [(2, 3, 4), (2, 5, 3), (2, 5, 6)])
    attention_mask = np.array(
        [[[1, 0, 1, 1, 0], [1, 1, 1, 1, 1], [0, 0, 1, 0, 0]], [[0, 1, 0, 1, 1], [1, 0, 0, 0, 0], [1, 1, 0, 1, 0]]], bool
    )
    unseeing = attention_mask & np.array([[[1], [0], [1]], [[1], [1], [0]]], bool)
    heads = {
        "MultiHeadAttention": lambda d, **s: L.MultiHeadAttention(2, 3, dtype=d, **s),
        "GroupQueryAttention": lambda d, **s: L.GroupQueryAttention(3, 4, 2, dtype=d, **s),
    }
    for name, make in heads.items():
        # Keras's layer of grouped queries wants a query and a value of one size.
        one, other = [n, n[:, :2]], [n, np.concatenate([n, n[:, :2]], axis=1)]
        other.append(draw(rng, (2, 5, 4), f32, -1, 1))
        three = [n, m, l] if name == "MultiHeadAttention" else other
        case(name, make, one)
        case(f"{name} of itself", make, [n, n])
        case(f"{name} with a key", make, three)
        case(f"{name} causal", make, three, causal=True)
        case(f"{name} with scores", make, three, scores=True)
        case(f"{name} causal with scores", make, three, causal=True, scores=True)
        case(f"{name} with a mask", make, three, mask=attention_mask)
        case(f"{name} with a mask of one batch", make, three, mask=attention_mask[:1])
        case(f"{name} with a mask, causal", make, three, mask=attention_mask, causal=True)
        case(f"{name} that sees nothing", make, three, mask=unseeing)
        case(f"{name} that sees nothing, with scores", make, three, mask=unseeing, scores=True)
        case(f"{name} with masks", make, three, [query_mask, value_mask])
        case(
            f"{name} with masks of all",
            make,
            three,
            [query_mask, value_mask, ~nothing],
            mask=attention_mask,
            causal=True,
        )
        case(f"{name} with a window", lambda d: make(d, sliding_window=2), three)
        case(f"{name} causal with a window", lambda d: make(d, sliding_window=2), three, causal=True)
        case(
            f"{name} with a window, masks and scores",
            lambda d: make(d, sliding_window=2),
            three,
            [query_mask, value_mask],
            causal=True,
            scores=True,
        )
        case(f"{name} without bias", lambda d: make(d, use_bias=False), three)
        case(f"{name} with a gate", lambda d: make(d, use_gate=True), three)
        case(
            f"{name} with a gate, causal, without bias",
            lambda d: make(d, use_gate=True, use_bias=False),
            three,
            causal=True,
        )
        case(f"{name} with dropout that rests", lambda d: make(d, dropout=0.5, seed=3), three)
        case(f"{name} with dropout that rests, that sees nothing", lambda d: make(d, dropout=0.5), three, mask=unseeing)
        case(
            f"{name} with dropout that rests, causal with masks",
            lambda d: make(d, dropout=0.5),
            three,
            [query_mask, nothing],
            causal=True,
        )
        case(f"{name} not trainable", lambda d: make(d, trainable=False), three)
        case(
            f"{name} with other settings",
            lambda d: make(
                d,
                kernel_initializer="he_normal",
                bias_initializer="ones",
                kernel_regularizer="l2",
                bias_regularizer=keras.regularizers.L1(0.1),
                activity_regularizer=keras.regularizers.L2(0.5),
                kernel_constraint="max_norm",
                bias_constraint="non_neg",
            ),
            three,
        )
    make = heads["MultiHeadAttention"]
    heads_mask = np.stack([attention_mask, ~attention_mask], axis=1)
    case("MultiHeadAttention with a mask of heads", make, [n, m], mask=heads_mask)
    case("MultiHeadAttention of other values", lambda d: make(d, value_dim=2), [n, m, l])
    case("MultiHeadAttention of other values with a gate", lambda d: make(d, value_dim=2, use_gate=True), [n, m, l])
    case("MultiHeadAttention to another size", lambda d: make(d, output_shape=5), [n, m])
    case("MultiHeadAttention to another shape", lambda d: make(d, output_shape=(2, 3)), [n, m])
    grid, others = draw(rng, (2, 3, 2, 4), f32, -1, 1), draw(rng, (2, 2, 2, 3), f32, -1, 1)
    case("MultiHeadAttention over a grid", make, [grid, others])
    case("MultiHeadAttention over a grid with scores", make, [grid, others], scores=True)
    case("MultiHeadAttention over rows", lambda d: make(d, attention_axes=(1,)), [grid, others])
    case("MultiHeadAttention over columns", lambda d: make(d, attention_axes=(2,)), [grid, grid[:, :, :1]])
    case("MultiHeadAttention over the last axis but one", lambda d: make(d, attention_axes=-2), [grid, grid[:, :, :1]])
    case("MultiHeadAttention over both", lambda d: make(d, attention_axes=(1, 2)), [grid, others])
    grid_mask = stream("grid mask").uniform(0, 1, (2, 3, 2, 2, 2)) < 0.6
    case("MultiHeadAttention over a grid with a mask", make, [grid, others], mask=grid_mask)

    case("MultiHeadAttention of three heads", lambda d: L.MultiHeadAttention(3, 2, dtype=d), [n, m, l])
    case("GroupQueryAttention of six heads", lambda d: L.GroupQueryAttention(2, 6, 3, dtype=d), [n, n[:, :2]])
    case("GroupQueryAttention of one key", lambda d: L.GroupQueryAttention(2, 4, 1, dtype=d), [n, n[:, :2]])

    case = LayerRecorder(fixture).case
    for equation, shape, axes, x in [
        ("ab,bc->ac", 5, "c", draw(rng, (3, 4), f32, -1, 1)),
        ("ab,bc->ac", 5, None, draw(rng, (3, 4), f32, -1, 1)),
        ("abc,cde->abde", (None, 2, 5), "de", q),
        ("abc,cde->abde", (None, 2, 5), "d", q),
        ("abc,cde->abde", (3, 2, 5), "bde", q),
        ("abc,bd->ad", 3, "d", q),
        ("abcd,cde->abe", (None, 5), "e", draw(rng, (2, 3, 2, 4), f32, -1, 1)),
        ("...x,xy->...y", 5, "y", q),
        ("...x,xy->...y", 5, "y", draw(rng, (3, 4), f32, -1, 1)),
        ("...x,xyz->...yz", (2, 3), "yz", q),
        ("ab...,bc->ac...", 5, "c", q),
        # Of other dims than the last, for Keras would add along that.
        ("abc,cd->adb", (5, None), "d", q),
    ]:
        case(
            f"EinsumDense {equation} {shape} {axes} {x.shape}",
            lambda d: L.EinsumDense(equation, shape, bias_axes=axes, dtype=d),
            x,
        )
    case(
        "EinsumDense with other settings",
        lambda d: L.EinsumDense(
            "abc,cd->abd",
            (None, 5),
            activation="relu",
            bias_axes="d",
            kernel_initializer="he_normal",
            bias_initializer="ones",
            kernel_regularizer="l2",
            bias_regularizer=keras.regularizers.L1(0.1),
            activity_regularizer=keras.regularizers.L2(0.5),
            kernel_constraint="max_norm",
            bias_constraint="non_neg",
            trainable=False,
            dtype=d,
        ),
        q,
    )

    ids = np.array([[1, 4, 0, 1], [3, 3, 2, 0]], f32)
    for name, make in {"Embedding": L.Embedding, "ReversibleEmbedding": L.ReversibleEmbedding}.items():
        case(name, lambda d: make(5, 3, dtype=d), ids)
        case(f"{name} of a vector", lambda d: make(5, 3, dtype=d), ids[0])
        case(
            f"{name} with other settings",
            lambda d: make(
                5,
                3,
                embeddings_initializer="he_normal",
                embeddings_regularizer="l2",
                embeddings_constraint="max_norm",
                activity_regularizer=keras.regularizers.L2(0.5),
                dtype=d,
            ),
            ids,
        )

    record = Recorder(fixture, "masking")
    for name, make in {"Embedding": L.Embedding, "ReversibleEmbedding": L.ReversibleEmbedding}.items():
        for dtype in (np.int32, np.int64, np.uint8, f32):
            layer = make(5, 3, mask_zero=True)
            layer.build(ids.shape)
            values = [draw(rng, w.shape, f32, -1, 1) for w in layer.weights]
            layer.set_weights(values)
            y = layer(tf.constant(ids.astype(dtype)))
            record.row(
                f"{name} {np.dtype(dtype).name}",
                config=config(layer),
                x=record.put(ids.astype(dtype)),
                weights=record.named(layer.weights),
                y=record.put(y),
                output_mask=record.put(y._keras_mask),
            )

    record = Recorder(fixture, "reversed")
    for label, settings in {
        "": {},
        "with a cap": {"logit_soft_cap": 0.5},
        "not tied": {"tie_weights": False},
        "in float32": {"reverse_dtype": "float32"},
    }.items():
        layers = []
        for dtype in ("float32", "float64"):
            keras.backend.clear_session()
            layer = L.ReversibleEmbedding(5, 4, dtype=dtype, **settings)
            unbuilt = unbuilt if layers else config(layer)
            layer.build(ids.shape)
            layers.append(layer)
        values = [draw(stream("reversed", label), w.shape, f32, -1, 1) for w in layers[0].weights]
        for layer in layers:
            layer.set_weights(values)
        x = tf.constant(wide(q))
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layers[1](x, reverse=True)
            dy = cotangent(y.shape)
            total = tf.reduce_sum(tf.cast(y, tf.float64) * dy)
        grads = tape.gradient(total, [x] + [w.value for w in layers[1].trainable_weights])
        record.row(
            label or "plain",
            config=unbuilt,
            x=record.put(q),
            weights=record.named(layers[0].weights),
            reference=record.put(y),
            dy=record.put(dy),
            grads=[record.put(g) for g in grads],
        )

    record = Recorder(fixture, "first kernel")
    for initializer in ("GlorotUniform", "GlorotNormal", "HeUniform", "HeNormal", "LecunUniform", "LecunNormal"):
        for equation, shape in (("abc,cde->abde", (None, 2, 5)), ("...yz,yza->...a", 3), ("abcd,dcbe->ae", 4)):
            make = getattr(keras.initializers, initializer)
            layer = L.EinsumDense(equation, shape, kernel_initializer=make(seed=3))
            x = draw(rng, (2, 3, 4) if "d," not in equation else (2, 2, 3, 4), f32, -1, 1)
            layer.build(x.shape)
            record.row(
                f"{initializer} {equation}", config=config(layer), x=record.put(x), kernel=record.put(layer.kernel)
            )

    record = Recorder(fixture, "attention dropout")
    for name, make in (classes | heads).items():
        inputs = [q, v, k] if name in classes else [n, n, n]
        keras.backend.clear_session()
        layer = make("float32", dropout=0.5, seed=3)
        listed = name in classes
        layer.build([x.shape for x in inputs]) if listed else layer.build(*[x.shape for x in inputs])
        layer.set_weights([draw(stream("attention dropout", name), w.shape, f32, -1, 1) for w in layer.weights])
        call = (lambda: layer(inputs, training=True)) if listed else (lambda: layer(*inputs, training=True))
        record.row(
            name,
            config=config(layer),
            inputs=[record.put(x) for x in inputs],
            weights=record.named(layer.weights),
            outputs=[record.put(call()) for _ in range(2)],
        )

    record = Recorder(fixture, "dot product attention")
    shapes = ((2, 3, 4, 5), (2, 6, 4, 5), (2, 6, 4, 2)), ((2, 3, 4, 5), (2, 6, 2, 5), (2, 6, 2, 3))
    for number, (of_q, of_k, of_v) in enumerate(shapes):
        for causal in (False, True):
            for bias in (None, (2, 4, 3, 6), (1, 4, 1, 6)):
                for mask in (None, (2, 1, 3, 6), (6,)):
                    label = f"{number} {causal} {bias} {mask}"
                    rng = stream("dot product attention", label)
                    x = [draw(rng, s, f32, -1, 1) for s in (of_q, of_k, of_v)]
                    b = None if bias is None else draw(rng, bias, f32, -1, 1)
                    seen = None if mask is None else rng.uniform(0, 1, mask) < 0.5
                    if seen is not None and seen.ndim > 1:
                        seen[0, :, 0] = False
                    y = keras.ops.dot_product_attention(
                        *[wide(t) for t in x],
                        bias=None if b is None else wide(b),
                        mask=seen,
                        scale=None if number else 0.75,
                        is_causal=causal,
                    )
                    record.row(
                        label,
                        inputs=[record.put(t) for t in x],
                        bias=record.put(b),
                        mask=record.put(seen),
                        scale=None if number else 0.75,
                        causal=causal,
                        reference=record.put(y),
                    )
