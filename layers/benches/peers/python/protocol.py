"""What all peers in Python have in common: the flags, the data, how time is taken, and the lines that say it."""

import argparse
import json
import os
import struct
import time

import numpy as np

DATA = os.environ["PEERS_DATA"]
DTYPES = {"F32": np.float32, "I64": np.int64}
BATCHES = 8


def write(name, tensors):
    """A file of safetensors in the folder of the data."""
    names = {np.dtype(dtype): name for name, dtype in DTYPES.items()}
    header, offset = {}, 0
    for key, value in tensors.items():
        places = [offset, offset + value.nbytes]
        header[key] = {"dtype": names[value.dtype], "shape": list(value.shape), "data_offsets": places}
        offset += value.nbytes
    header = json.dumps(header).encode()
    header += b" " * (-len(header) % 8)
    with open(os.path.join(DATA, name + ".safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        for value in tensors.values():
            file.write(np.ascontiguousarray(value).tobytes())


def read(name):
    """The tensors of such a file, by name."""
    with open(os.path.join(DATA, name + ".safetensors"), "rb") as file:
        data = file.read()
    start = 8 + struct.unpack("<Q", data[:8])[0]
    tensors = {}
    for key, info in json.loads(data[8:start]).items():
        begin, end = info["data_offsets"]
        dtype = np.dtype(DTYPES[info["dtype"]])
        values = np.frombuffer(data, dtype, (end - begin) // dtype.itemsize, start + begin)
        tensors[key] = values.reshape(info["shape"])
    return tensors


def digits(size, *dims):
    """Images and classes, in batches of `size`."""
    file = read("mnist")
    part = [slice(at * size, (at + 1) * size) for at in range(BATCHES)]
    return [(file["x"][at].reshape(-1, *dims), file["y"][at]) for at in part]


def words():
    """Words and those that follow them, in batches."""
    tokens = read("seqs")["tokens"]
    return [(tokens[at, :, :-1], tokens[at, :, 1:].reshape(-1)) for at in range(BATCHES)]


def sequences():
    """Sequences of words and their classes, in batches."""
    file = read("seqs")
    return [(file["lstm_x"][at], file["lstm_y"][at]) for at in range(BATCHES)]


class Report:
    def __init__(self):
        parser = argparse.ArgumentParser()
        parser.add_argument("--workload", required=True)
        parser.add_argument("--mode", required=True)
        parser.add_argument("--threads", type=int, default=2)
        parser.add_argument("--seconds", type=float, default=2.0)
        parser.add_argument("--repeats", type=int, default=5)
        parser.add_argument("--check", action="store_true")
        flags = parser.parse_args()
        self.workload, self.mode, self.threads = flags.workload, flags.mode, flags.threads
        self.seconds, self.repeats, self.check = flags.seconds, flags.repeats, flags.check
        self.peer = None

    def emit(self, metric, value, **more):
        line = {"peer": self.peer, "workload": self.workload, "metric": metric, "value": value, "threads": self.threads}
        print(json.dumps({**line, **more}), flush=True)

    def time(self, call):
        """The seconds that a call takes: the median, the least and the most over windows that fill the time asked for."""
        for _ in range(5):
            call()
        begin, calls = time.perf_counter(), 0
        while time.perf_counter() - begin < 0.02 and calls < 1000:
            call()
            calls += 1
        one = (time.perf_counter() - begin) / calls
        calls = max(1, int(self.seconds / self.repeats / one))
        windows = []
        for _ in range(self.repeats):
            begin = time.perf_counter()
            for _ in range(calls):
                call()
            windows.append((time.perf_counter() - begin) / calls)
        return float(np.median(windows)), min(windows), max(windows)

    def train(self, step, batches):
        """`step(inputs, classes)` trains and gives the loss. Twenty steps whose losses are looked at, then timed ones."""
        at = 0
        for at in range(20):
            loss = float(step(*batches[at % BATCHES]))
            if self.check or at + 1 in (1, 6, 20):
                self.emit(f"loss_{at + 1}", loss)
        if self.check:
            return

        def call():
            nonlocal at
            at += 1
            step(*batches[at % BATCHES])

        middle, least, most = self.time(call)
        self.emit("step_ms", middle * 1e3, min=least * 1e3, max=most * 1e3)

    def fit(self, epochs):
        """Five passes over ten thousand digits: `epochs(x, y)` takes all and gives the loss of the last."""
        file = read("mnist")
        begin = time.perf_counter()
        loss = epochs(file["x"], file["y"])
        self.emit("fit_s", time.perf_counter() - begin)
        self.emit("final_loss", float(loss))

    def ask(self, name, call, total):
        """Times a model that is asked; `total` is the sum of what it gives."""
        self.emit(name + "_check", float(total))
        if not self.check:
            middle, least, most = self.time(call)
            self.emit(name + "_us", middle * 1e6, min=least * 1e6, max=most * 1e6)

    def small_ops(self, call, check):
        self.emit("check", float(check))
        if not self.check:
            middle, least, most = (seconds * 1e6 / 200 for seconds in self.time(call))
            self.emit("us_per_op", middle, min=least, max=most)

    def chain(self, call, elements, check):
        self.emit("check", float(check))
        if not self.check:
            middle, least, most = (8e-9 * elements / seconds for seconds in self.time(call))
            self.emit("GB_per_s", middle, best=least, worst=most)

    def loops(self, calls, check):
        """Two loops of 10000 iterations each: `while_loop` and a scan."""
        self.emit("check", float(check))
        if not self.check:
            for name, call in zip(("while_us", "scan_us"), calls):
                middle, least, most = (seconds * 1e6 / 10000 for seconds in self.time(call))
                self.emit(name, middle, min=least, max=most)
