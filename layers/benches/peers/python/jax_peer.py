"""JAX on CPUs, with optax. Modes: jit; eager for what takes no gradient of a model."""

import os

from protocol import Report, digits, read, sequences, words

report = Report()
report.peer = f"jax-{report.mode}"
os.environ["JAX_PLATFORMS"] = "cpu"
if report.threads == 1:
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax, nn


def weights(name):
    return {key: jnp.asarray(value) for key, value in read(name).items()}


def compiled(function, **flags):
    return jax.jit(function, **flags) if report.mode == "jit" else function


def cross_entropy(logits, classes):
    return -jnp.mean(jnp.take_along_axis(nn.log_softmax(logits), classes[:, None], 1))


def small(p, x):
    return nn.relu(nn.relu(x @ p["w1"] + p["b1"]) @ p["w2"] + p["b2"])


def mlp(p, x):
    x = nn.relu(x @ p["w1"] + p["b1"])
    x = nn.relu(x @ p["w2"] + p["b2"])
    return x @ p["w3"] + p["b3"]


def cnn(p, x):
    def convolution(x, kernel, bias):
        dims = ("NHWC", "HWIO", "NHWC")
        return nn.relu(lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=dims) + bias)

    x = convolution(convolution(x, p["c1"], p["cb1"]), p["c2"], p["cb2"])
    x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID").reshape(x.shape[0], -1)
    return nn.relu(x @ p["w1"] + p["b1"]) @ p["w2"] + p["b2"]


def transformer(p, tokens):
    batch, length, width, heads = 16, 128, 128, 4
    hidden = jnp.triu(jnp.full((length, length), -1e9, jnp.float32), 1)

    def norm(x, name):
        mean = x.mean(-1, keepdims=True)
        variance = ((x - mean) ** 2).mean(-1, keepdims=True)
        return (x - mean) * lax.rsqrt(variance + 1e-5) * p[name + ".g"] + p[name + ".b"]

    x = p["tok"][tokens] + p["pos"]
    for block in range(4):
        dense = lambda x, name: x @ p[f"{block}.w{name}"] + p[f"{block}.b{name}"]
        parts = dense(norm(x, f"{block}.ln1"), "qkv").reshape(batch, length, 3, heads, width // heads)
        query, key, value = parts.transpose(2, 0, 3, 1, 4)
        seen = nn.softmax(query @ key.swapaxes(-1, -2) * (width // heads) ** -0.5 + hidden)
        x = x + dense((seen @ value).transpose(0, 2, 1, 3).reshape(batch, length, width), "o")
        x = x + dense(nn.gelu(dense(norm(x, f"{block}.ln2"), "1"), approximate=True), "2")
    return (norm(x, "lnf") @ p["head"] + p["headb"]).reshape(-1, 256)


def lstm(p, tokens):
    x = (p["emb"][tokens] @ p["wx"] + p["b"]).transpose(1, 0, 2)

    def step(states, x):
        h, c = states
        i, f, g, o = jnp.split(x + h @ p["wh"], 4, -1)
        c = nn.sigmoid(f) * c + nn.sigmoid(i) * jnp.tanh(g)
        return (nn.sigmoid(o) * jnp.tanh(c), c), None

    zeros = jnp.zeros((tokens.shape[0], 128))
    (h, _), _ = lax.scan(step, (zeros, zeros), x)
    return h @ p["w"] + p["wb"]


def train(model, parameters, batches, optimizer):
    def change(parameters, state, x, y):
        loss, gradients = jax.value_and_grad(lambda p: cross_entropy(model(p, x), y))(parameters)
        updates, state = optimizer.update(gradients, state, parameters)
        return optax.apply_updates(parameters, updates), state, loss

    function = compiled(change, donate_argnums=(0, 1))
    state = optimizer.init(parameters)

    def step(x, y):
        nonlocal parameters, state
        parameters, state, loss = function(parameters, state, x, y)
        return loss.block_until_ready()

    numbers = lambda x: jnp.asarray(x if x.dtype == np.float32 else x.astype(np.int32))
    report.train(step, [(numbers(x), numbers(y)) for x, y in batches])


adam = optax.adam(1e-3, eps=1e-12)
match report.workload:
    case "W1":
        train(mlp, weights("mlp"), digits(128, 784), adam)
    case "W2":
        train(cnn, weights("cnn"), digits(64, 28, 28, 1), adam)
    case "W3":
        train(transformer, weights("gpt"), words(), optax.adamw(1e-3, eps=1e-12, weight_decay=0.01))
    case "W4":
        train(lstm, weights("lstm"), sequences(), adam)
    case "W5":
        ask = lambda model, p, x: lambda: model(p, x).block_until_ready()
        call = ask(compiled(small), weights("seq"), jnp.full((1, 3), 2.0))
        report.ask("seq_b1", call, call().sum())
        for size in (1, 256):
            for name, model, dims in (("mlp", mlp, (784,)), ("cnn", cnn, (28, 28, 1))):
                call = ask(compiled(model), weights(name), jnp.asarray(digits(size, *dims)[0][0]))
                report.ask(f"{name}_b{size}", call, call().sum())
    case "W6":

        def epochs(x, y):
            p, random, y = weights("mlp"), np.random.default_rng(0), y.astype(np.int32)
            state = adam.init(p)

            @jax.jit
            def step(p, state, x, y):
                loss, gradients = jax.value_and_grad(lambda p: cross_entropy(mlp(p, x), y))(p)
                changes, state = adam.update(gradients, state, p)
                return optax.apply_updates(p, changes), state, loss

            for _ in range(5):
                order, total = random.permutation(len(x)), 0.0
                for at in range(0, len(x), 128):
                    some = order[at : at + 128]
                    p, state, loss = step(p, state, x[some], y[some])
                    total = total + loss * len(some)
            return total / len(x)

        report.fit(epochs)
    case "W9":
        p = weights("w9")

        def ops(x, a, b):
            for at in range(200):
                x = x * a if at % 3 == 0 else x + b if at % 3 == 1 else jnp.tanh(x)
            return x.sum()

        function = compiled(jax.value_and_grad(ops, (0, 1, 2)))
        call = lambda: jax.block_until_ready(function(p["x"], p["a"], p["b"]))
        found = call()
        report.small_ops(call, found[0] + found[1][1].sum())
    case "W10":
        x = weights("w10")["x"]
        function = compiled(lambda x: jnp.tanh(x * 1.3 + 0.7) * nn.sigmoid(x) + x)
        report.chain(lambda: function(x).block_until_ready(), x.size, function(x).mean())
    case "loops":
        counted = compiled(lambda x: lax.while_loop(lambda s: s[0] < 10000, lambda s: (s[0] + 1, s[1] * 0.999 + 0.001), (0, x))[1])

        @compiled
        def scanned(xs):
            def step(y, x):
                y = y * 0.999 + x
                return y, y

            return lax.scan(step, jnp.float32(0), xs)[1]

        x, xs = jnp.float32(0.5), jnp.arange(10000, dtype=jnp.float32) * jnp.float32(1e-4)
        calls = lambda: counted(x).block_until_ready(), lambda: scanned(xs).block_until_ready()
        report.loops(calls, calls[0]() + calls[1]().mean())
