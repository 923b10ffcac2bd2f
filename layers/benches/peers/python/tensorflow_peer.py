"""TensorFlow on CPUs. Modes: eager, function, xla; keras is what Keras itself does in `fit` and when a model is called."""

import os

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

from protocol import Report, digits, read, sequences, words

report = Report()

import keras
import numpy as np
import tensorflow as tf
from keras import layers

report.peer = "keras" if report.mode == "keras" else f"tf-{report.mode}"
tf.config.threading.set_intra_op_parallelism_threads(report.threads)
tf.config.threading.set_inter_op_parallelism_threads(report.threads)


def compiled(function):
    return tf.function(function, jit_compile=report.mode == "xla") if report.mode in ("function", "xla") else function


def with_weights(model, name, keys):
    p = read(name)
    model.set_weights([p[key] for key in keys.split()])
    return model


def mlp():
    dense = lambda units: layers.Dense(units, activation="relu")
    model = keras.Sequential([keras.Input((784,)), dense(512), dense(512), layers.Dense(10)])
    return with_weights(model, "mlp", "w1 b1 w2 b2 w3 b3")


def cnn():
    convolution = lambda filters: layers.Conv2D(filters, 3, activation="relu")
    before = [keras.Input((28, 28, 1)), convolution(32), convolution(64), layers.MaxPool2D(2), layers.Flatten()]
    model = keras.Sequential(before + [layers.Dense(128, activation="relu"), layers.Dense(10)])
    return with_weights(model, "cnn", "c1 cb1 c2 cb2 w1 b1 w2 b2")


def lstm():
    before = [keras.Input((100,), dtype="int32"), layers.Embedding(5000, 64)]
    model = keras.Sequential(before + [layers.LSTM(128), layers.Dense(2)])
    return with_weights(model, "lstm", "emb wx wh b w wb")


class Dense(tf.Module):
    def __init__(self, kernel, bias):
        self.w, self.b = tf.Variable(kernel), tf.Variable(bias)

    def __call__(self, x):
        return tf.nn.relu(tf.matmul(x, self.w) + self.b)


class SequentialModule(tf.Module):
    """The model of the guide to tf.Module."""

    def __init__(self):
        p = read("seq")
        self.dense_1, self.dense_2 = Dense(p["w1"], p["b1"]), Dense(p["w2"], p["b2"])

    def __call__(self, x):
        return self.dense_2(self.dense_1(x))


class Transformer(tf.Module):
    def __init__(self):
        self.p = {key: tf.Variable(value) for key, value in read("gpt").items()}
        self.hidden = tf.constant(np.triu(np.full((128, 128), -1e9, np.float32), 1))

    @property
    def trainable_variables(self):
        return list(self.p.values())

    def norm(self, x, name):
        mean, variance = tf.nn.moments(x, -1, keepdims=True)
        return (x - mean) * tf.math.rsqrt(variance + 1e-5) * self.p[name + ".g"] + self.p[name + ".b"]

    def __call__(self, tokens):
        p, (batch, length, width, heads) = self.p, (16, 128, 128, 4)
        rows = lambda x: tf.reshape(x, [-1, x.shape[-1]])
        x = tf.gather(p["tok"], tokens) + p["pos"]
        for block in range(4):
            dense = lambda x, name: rows(x) @ p[f"{block}.w{name}"] + p[f"{block}.b{name}"]
            parts = dense(self.norm(x, f"{block}.ln1"), "qkv")
            parts = tf.transpose(tf.reshape(parts, [batch, length, 3, heads, width // heads]), [2, 0, 3, 1, 4])
            query, key, value = parts[0], parts[1], parts[2]
            scores = tf.matmul(query, key, transpose_b=True) * (width // heads) ** -0.5 + self.hidden
            seen = tf.transpose(tf.matmul(tf.nn.softmax(scores), value), [0, 2, 1, 3])
            x = x + tf.reshape(dense(tf.reshape(seen, [batch, length, width]), "o"), [batch, length, width])
            wide = tf.nn.gelu(dense(self.norm(x, f"{block}.ln2"), "1"), approximate=True)
            x = x + tf.reshape(dense(wide, "2"), [batch, length, width])
        return rows(self.norm(x, "lnf")) @ p["head"] + p["headb"]


def tensors(batches):
    number = lambda x: tf.constant(x if x.dtype == np.float32 else x.astype(np.int32))
    return [(number(x), number(y)) for x, y in batches]


def train(model, batches, optimizer=None):
    optimizer = optimizer or keras.optimizers.Adam(1e-3, epsilon=1e-12)
    if report.mode == "keras":
        return fit(model, batches, optimizer)
    variables = model.trainable_variables
    optimizer.build(variables)

    def step(x, y):
        with tf.GradientTape() as tape:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=model(x))
            loss = tf.reduce_mean(losses)
        # Dense, as those of the other peers.
        gradients = [tf.convert_to_tensor(gradient) for gradient in tape.gradient(loss, variables)]
        optimizer.apply(gradients, variables)
        return loss

    report.train(compiled(step), tensors(batches))


def fit(model, batches, optimizer):
    """Keras's own step, in calls of `fit` over 32 batches, after twenty of `train_on_batch` whose losses are looked at."""
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    size = len(batches[0][0])
    for at in range(20):
        # What it gives is the mean of all losses so far, unless the mean starts anew.
        model.reset_metrics()
        loss = float(model.train_on_batch(*batches[at % len(batches)]))
        if report.check or at + 1 in (1, 6, 20):
            report.emit(f"loss_{at + 1}", loss)
    if report.check:
        return
    x, y = (np.concatenate([batch[at] for batch in batches] * 4) for at in (0, 1))
    calls = report.time(lambda: model.fit(x, y, batch_size=size, shuffle=False, verbose=0))
    middle, least, most = (1e3 * seconds / (4 * len(batches)) for seconds in calls)
    report.emit("step_ms", middle, min=least, max=most)


def ask(name, model, x):
    function = compiled(lambda x: model(x))
    report.ask(f"{name}_b{len(x)}", lambda: function(x), tf.reduce_sum(function(x)))


match report.workload:
    case "W1":
        train(mlp(), digits(128, 784))
    case "W2":
        train(cnn(), digits(64, 28, 28, 1))
    case "W3":
        train(Transformer(), words(), keras.optimizers.AdamW(1e-3, weight_decay=0.01, epsilon=1e-12))
    case "W4":
        train(lstm(), sequences())
    case "W5":
        small = SequentialModule()
        if report.mode == "keras":
            dense = lambda units: layers.Dense(units, activation="relu")
            small = with_weights(keras.Sequential([keras.Input((3,)), dense(3), dense(2)]), "seq", "w1 b1 w2 b2")
        ask("seq", small, tf.fill((1, 3), 2.0))
        for size in (1, 256):
            ask("mlp", mlp(), tf.constant(digits(size, 784)[0][0]))
            ask("cnn", cnn(), tf.constant(digits(size, 28, 28, 1)[0][0]))
    case "W6":

        def epochs(x, y):
            model = mlp()
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            model.compile(keras.optimizers.Adam(1e-3, epsilon=1e-12), loss, metrics=["accuracy"])
            return model.fit(x, y, batch_size=128, epochs=5, verbose=0).history["loss"][-1]

        report.fit(epochs)
    case "W9":
        variables = {key: tf.Variable(value) for key, value in read("w9").items()}

        @compiled
        def call():
            with tf.GradientTape() as tape:
                x = tf.identity(variables["x"])
                for at in range(200):
                    x = x * variables["a"] if at % 3 == 0 else x + variables["b"] if at % 3 == 1 else tf.tanh(x)
                loss = tf.reduce_sum(x)
            return [loss] + tape.gradient(loss, [variables[key] for key in "xab"])

        found = call()
        report.small_ops(call, found[0] + tf.reduce_sum(found[2]))
    case "W10":
        x = tf.constant(read("w10")["x"])
        function = compiled(lambda x: tf.tanh(x * 1.3 + 0.7) * tf.sigmoid(x) + x)
        report.chain(lambda: function(x), x.shape[0], tf.reduce_mean(function(x)))
    case "loops":
        body = lambda at, y: (at + 1, y * 0.999 + 0.001)
        counted = compiled(lambda x: tf.while_loop(lambda at, _: at < 10000, body, (0, x))[1])
        scanned = compiled(lambda xs: tf.scan(lambda y, x: y * 0.999 + x, xs, tf.constant(0.0)))
        x, xs = tf.constant(0.5), tf.range(10000, dtype=tf.float32) * 1e-4
        calls = lambda: counted(x).numpy(), lambda: scanned(xs).numpy()
        report.loops(calls, calls[0]() + calls[1]().mean())
