"""PyTorch on CPUs. Modes: eager, compile."""

import os

os.environ["CUDA_VISIBLE_DEVICES"] = ""

from protocol import Report, digits, read, sequences, words

report = Report()
report.peer = f"torch-{report.mode}"

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

torch.set_num_threads(report.threads)
torch.set_num_interop_threads(1)


def tensor(array):
    return torch.tensor(np.array(array))


def compiled(function):
    return torch.compile(function, dynamic=False) if report.mode == "compile" else function


@torch.no_grad()
def set_dense(layer, kernel, bias):
    layer.weight.copy_(tensor(kernel).T)
    layer.bias.copy_(tensor(bias))


def small():
    p = read("seq")
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 2), nn.ReLU())
    set_dense(model[0], p["w1"], p["b1"])
    set_dense(model[2], p["w2"], p["b2"])
    return model


def mlp():
    p = read("mlp")
    layers = nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)
    for at in range(3):
        set_dense(layers[2 * at], p[f"w{at + 1}"], p[f"b{at + 1}"])
    return nn.Sequential(*layers)


def cnn():
    p = read("cnn")
    convolutions = nn.Conv2d(1, 32, 3), nn.Conv2d(32, 64, 3)
    with torch.no_grad():
        for layer, name in zip(convolutions, ("1", "2")):
            layer.weight.copy_(tensor(p["c" + name]).permute(3, 2, 0, 1))
            layer.bias.copy_(tensor(p["cb" + name]))
    hidden, answer = nn.Linear(9216, 128), nn.Linear(128, 10)
    # Images have their channels first here.
    set_dense(hidden, p["w1"].reshape(12, 12, 64, 128).transpose(2, 0, 1, 3).reshape(9216, 128), p["b1"])
    set_dense(answer, p["w2"], p["b2"])
    first, second = convolutions
    pooled = first, nn.ReLU(), second, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()
    return nn.Sequential(*pooled, hidden, nn.ReLU(), answer)


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        p, width = read("gpt"), 128
        self.words, self.places = nn.Parameter(tensor(p["tok"])), nn.Parameter(tensor(p["pos"]))
        self.blocks = nn.ModuleList()
        for at in range(4):
            block = nn.ModuleDict(
                {
                    "norm_1": nn.LayerNorm(width),
                    "qkv": nn.Linear(width, 3 * width),
                    "o": nn.Linear(width, width),
                    "norm_2": nn.LayerNorm(width),
                    "1": nn.Linear(width, 4 * width),
                    "2": nn.Linear(4 * width, width),
                }
            )
            for name in ("qkv", "o", "1", "2"):
                set_dense(block[name], p[f"{at}.w{name}"], p[f"{at}.b{name}"])
            self.blocks.append(block)
        self.norm, self.answer = nn.LayerNorm(width), nn.Linear(width, 256)
        set_dense(self.answer, p["head"], p["headb"])

    def forward(self, tokens):
        x = F.embedding(tokens, self.words) + self.places
        batch, length, width = x.shape
        for block in self.blocks:
            parts = block["qkv"](block["norm_1"](x)).view(batch, length, 3, 4, width // 4)
            query, key, value = parts.permute(2, 0, 3, 1, 4)
            seen = F.scaled_dot_product_attention(query, key, value, is_causal=True)
            x = x + block["o"](seen.transpose(1, 2).reshape(batch, length, width))
            x = x + block["2"](F.gelu(block["1"](block["norm_2"](x)), approximate="tanh"))
        return self.answer(self.norm(x)).view(-1, 256)


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        p = read("lstm")
        self.words, self.lstm, self.answer = nn.Embedding(5000, 64), nn.LSTM(64, 128, batch_first=True), nn.Linear(128, 2)
        with torch.no_grad():
            self.words.weight.copy_(tensor(p["emb"]))
            self.lstm.weight_ih_l0.copy_(tensor(p["wx"]).T)
            self.lstm.weight_hh_l0.copy_(tensor(p["wh"]).T)
            self.lstm.bias_ih_l0.copy_(tensor(p["b"]))
            self.lstm.bias_hh_l0.zero_()
        # One bias, as the others have.
        self.lstm.bias_hh_l0.requires_grad_(False)
        set_dense(self.answer, p["w"], p["wb"])

    def forward(self, tokens):
        return self.answer(self.lstm(self.words(tokens))[0][:, -1])


def train(model, batches, optimizer=torch.optim.Adam, **more):
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = optimizer(parameters, 1e-3, eps=1e-12, fused=True, **more)
    loss_of = compiled(lambda x, y: F.cross_entropy(model(x), y))

    def step(x, y):
        loss = loss_of(x, y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.detach()

    report.train(step, [(tensor(x), tensor(y)) for x, y in batches])


def ask(name, model, x):
    with torch.inference_mode():
        function = compiled(model.eval())
        report.ask(f"{name}_b{len(x)}", lambda: function(x), function(x).sum())


match report.workload:
    case "W1":
        train(mlp(), digits(128, 784))
    case "W2":
        train(cnn(), digits(64, 1, 28, 28))
    case "W3":
        train(Transformer(), words(), torch.optim.AdamW, weight_decay=0.01)
    case "W4":
        train(Classifier(), sequences())
    case "W5":
        ask("seq", small(), torch.full((1, 3), 2.0))
        for size in (1, 256):
            ask("mlp", mlp(), tensor(digits(size, 784)[0][0]))
            ask("cnn", cnn(), tensor(digits(size, 1, 28, 28)[0][0]))
    case "W6":

        def epochs(x, y):
            model = mlp()
            optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-12)
            digits = torch.utils.data.TensorDataset(tensor(x), tensor(y))
            batches = torch.utils.data.DataLoader(digits, 128, shuffle=True)
            call = compiled(model)
            for _ in range(5):
                total = 0.0
                for x, y in batches:
                    loss = F.cross_entropy(call(x), y)
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    total += loss.item() * len(x)
            return total / len(digits)

        report.fit(epochs)
    case "W9":
        p = {key: tensor(value).requires_grad_() for key, value in read("w9").items()}

        def ops(x, a, b):
            for at in range(200):
                x = x * a if at % 3 == 0 else x + b if at % 3 == 1 else torch.tanh(x)
            return x.sum()

        function = compiled(ops)

        def call():
            for source in p.values():
                source.grad = None
            loss = function(p["x"], p["a"], p["b"])
            loss.backward()
            return loss.detach()

        loss = call()
        report.small_ops(call, loss + p["a"].grad.sum())
    case "W10":
        x = tensor(read("w10")["x"])
        function = compiled(lambda x: torch.tanh(x * 1.3 + 0.7) * torch.sigmoid(x) + x)
        with torch.inference_mode():
            report.chain(lambda: function(x), x.numel(), function(x).mean())
