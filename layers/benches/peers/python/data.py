"""Writes the data and the initial weights that all programs share, by one seed: `data.py`, with `$PEERS_DATA`.

Kernels of dense layers are [inputs, outputs], those of convolutions [height, width, inputs, outputs], images
[height, width, channels], gates of the LSTM i, f, g, o. A peer that has it otherwise turns them once, untimed.
"""

import os

import numpy as np

from protocol import BATCHES, DATA, write


def uniform(random, dims, inputs=None, outputs=None):
    """Glorot's uniform values."""
    limit = np.sqrt(6.0 / ((inputs or dims[0]) + (outputs or dims[-1])))
    return random.uniform(-limit, limit, dims).astype(np.float32)


def zeros(size):
    return np.zeros(size, np.float32)


def digits(random):
    """A smooth picture for each class, half hidden by noise."""
    pictures = random.uniform(0, 1, (10, 7, 7)).repeat(4, 1).repeat(4, 2).reshape(10, 784)
    classes = random.integers(0, 10, 10000)
    images = np.clip(0.5 * pictures[classes] + 0.5 * random.uniform(0, 1, (10000, 784)), 0, 1)
    return {"x": images.astype(np.float32), "y": classes.astype(np.int64)}


def mlp(random):
    dims, weights = [784, 512, 512, 10], {}
    for at in range(3):
        weights[f"w{at + 1}"] = uniform(random, (dims[at], dims[at + 1]))
        weights[f"b{at + 1}"] = zeros(dims[at + 1])
    return weights


def cnn(random):
    return {
        "c1": uniform(random, (3, 3, 1, 32), 9, 288),
        "cb1": zeros(32),
        "c2": uniform(random, (3, 3, 32, 64), 288, 576),
        "cb2": zeros(64),
        "w1": uniform(random, (9216, 128)),
        "b1": zeros(128),
        "w2": uniform(random, (128, 10)),
        "b2": zeros(10),
    }


def transformer(random):
    words, length, width, blocks = 256, 128, 128, 4
    weights = {
        "tok": (0.02 * random.standard_normal((words, width))).astype(np.float32),
        "pos": (0.02 * random.standard_normal((length, width))).astype(np.float32),
    }
    for block in range(blocks):
        for norm in ("ln1", "ln2"):
            weights[f"{block}.{norm}.g"], weights[f"{block}.{norm}.b"] = np.ones(width, np.float32), zeros(width)
        weights[f"{block}.wqkv"] = uniform(random, (width, 3 * width), width, width)
        weights[f"{block}.bqkv"] = zeros(3 * width)
        for name, dims in (("o", (width, width)), ("1", (width, 4 * width)), ("2", (4 * width, width))):
            weights[f"{block}.w{name}"], weights[f"{block}.b{name}"] = uniform(random, dims), zeros(dims[1])
    weights["lnf.g"], weights["lnf.b"] = np.ones(width, np.float32), zeros(width)
    weights["head"], weights["headb"] = uniform(random, (width, words)), zeros(words)
    return weights


def sequences(random):
    """Words of which each follows from the one before, but for one in ten; and sequences of two classes."""
    tokens = np.zeros((BATCHES, 16, 129), np.int64)
    tokens[..., 0] = random.integers(0, 256, (BATCHES, 16))
    for at in range(128):
        noise = random.random((BATCHES, 16)) < 0.1
        chance = random.integers(0, 256, (BATCHES, 16))
        tokens[..., at + 1] = np.where(noise, chance, (5 * tokens[..., at] + 17) % 256)
    words = random.integers(0, 5000, (BATCHES, 64, 100)).astype(np.int64)
    classes = (words[..., -20:].mean(-1) > 2500).astype(np.int64)
    return {"tokens": tokens, "lstm_x": words, "lstm_y": classes}


def lstm(random):
    return {
        "emb": random.uniform(-0.05, 0.05, (5000, 64)).astype(np.float32),
        "wx": uniform(random, (64, 512)),
        "wh": uniform(random, (128, 512)),
        "b": np.concatenate([zeros(128), np.ones(128, np.float32), zeros(256)]),
        "w": uniform(random, (128, 2)),
        "wb": zeros(2),
    }


def small(random):
    normal = lambda *dims: random.standard_normal(dims).astype(np.float32)
    return {"w1": normal(3, 3), "b1": zeros(3), "w2": normal(3, 2), "b2": zeros(2)}


def main():
    os.makedirs(DATA, exist_ok=True)
    random = np.random.default_rng(42)
    for name, make in (
        ("mnist", digits),
        ("mlp", mlp),
        ("cnn", cnn),
        ("gpt", transformer),
        ("seqs", sequences),
        ("lstm", lstm),
        ("seq", small),
    ):
        write(name, make(random))
    write("w9", {name: (0.5 * random.standard_normal((64, 64))).astype(np.float32) for name in "xab"})
    write("w10", {"x": random.standard_normal(4 << 20).astype(np.float32)})


main()
