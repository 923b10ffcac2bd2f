"""compare.py: checkpoints of 400 MB, and the listing of 100,000 variables, beside TensorFlow. See README.md."""

import json
import os
import shutil
import statistics
import subprocess
import time

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
OURS = os.path.join(ROOT, "target", "benches", "release", "checkpoint-bench")
FOLDER = os.path.join(ROOT, "target", "checkpoint-bench")
VARIABLES, ELEMENTS = 100, 1_000_000
BYTES = 4 * VARIABLES * ELEMENTS
LISTED = 100_000
ROUNDS = 7


def ours(*arguments):
    """One run of our program in a process of its own, which times the call alone; what it printed."""
    done = subprocess.run([OURS, *arguments], stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


class Warm:
    """Our program, in one process for many calls, as TensorFlow is."""

    def __init__(self):
        self.process = subprocess.Popen([OURS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, *arguments):
        print(*arguments, file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        assert self.process.wait() == 0


def timed(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def flush(prefix):
    """What makes a write of TensorFlow durable, and no other file of the machine: the two files, then their folder."""
    for path in (prefix + ".data-00000-of-00001", prefix + ".index", os.path.dirname(prefix)):
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


def dd(source, target, *more):
    subprocess.run(["dd", f"if={source}", f"of={target}", "bs=4M", *more], stderr=subprocess.DEVNULL, check=True)


def settle(folder):
    """An empty folder and no dirty page: where each write starts."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    os.sync()


def warm(prefix):
    dd(prefix + ".data-00000-of-00001", "/dev/null")


def cold(prefix):
    """The kernel forgets the pages of the data file (they are clean)."""
    descriptor = os.open(prefix + ".data-00000-of-00001", os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def module(values):
    root = tf.Module()
    root.blocks = []
    for value in values:
        block = tf.Module()
        block.w = tf.Variable(value)
        root.blocks.append(block)
    return root


def interleaved(samples):
    """`{name: function giving seconds, or a dictionary of them}`, each once in every round, each round starting with another;
    the lists of seconds. One round more, the first, is not counted."""
    seconds = {}
    names = list(samples)
    for round_ in range(ROUNDS + 1):
        for at in range(len(names)):
            name = names[(at + round_) % len(names)]
            result = samples[name]()
            for key, value in (result if isinstance(result, dict) else {name: result}).items():
                seconds.setdefault(key, []).append(value)
    return {key: values[1:] for key, values in seconds.items()}


def table(title, seconds, ours_is, size=None):
    print(f"\n{title}")
    middle = {name: statistics.median(values) for name, values in seconds.items()}
    mine = middle[ours_is]
    for name, values in seconds.items():
        rate = f"{size / middle[name] / 1e9:6.2f} GB/s" if size else ""
        spread = f"{min(values):.4f} to {max(values):.4f}"
        ratio = "" if name == ours_is else f"   ours / this: {mine / middle[name]:.2f}"
        print(f"  {name:42} {middle[name]:8.4f} s   ({spread}) {rate}{ratio}", flush=True)


def writes(source, model):
    folder = os.path.join(FOLDER, "write")
    prefix = os.path.join(folder, "model")
    peaks = []

    def write():
        settle(folder)
        result = ours("write", prefix)
        peaks.append(result["peak_kib"] * 1024)
        return result["seconds"]

    def tensorflow():
        settle(folder)
        written = timed(lambda: tf.train.Checkpoint(model).write(prefix))
        return {"TensorFlow, not durable": written, "TensorFlow + fsync": written + timed(flush, prefix)}

    def copy():
        settle(folder)
        return timed(dd, source + ".data-00000-of-00001", prefix, "conv=fsync")

    seconds = interleaved({"ours, durable": write, "TensorFlow": tensorflow, "dd conv=fsync": copy})
    table("write", seconds, "ours, durable", BYTES)

    # TensorFlow reads what was timed.
    settle(folder)
    result = ours("write", prefix)
    reader = tf.train.load_checkpoint(prefix)
    bits = sum(
        int(reader.get_tensor(f"blocks/{at}/w/.ATTRIBUTES/VARIABLE_VALUE").view(np.uint32).sum(dtype=np.uint64))
        for at in range(VARIABLES)
    )
    assert bits == result["bits"], f"TensorFlow reads {bits}, ours wrote {result['bits']}"
    return max(peaks)


def restores(prefix, model, bits, state):
    warm_processes = {command: Warm() for command in ("restore", "overwrite")}

    def restore(command):
        def once():
            state(prefix)
            result = warm_processes[command](command, prefix)
            assert result["bits"] == bits, f"ours read {result['bits']}, TensorFlow wrote {bits}"
            return result["seconds"]

        return once

    def tensorflow():
        state(prefix)
        return timed(lambda: tf.train.Checkpoint(model).read(prefix).assert_consumed())

    def read():
        state(prefix)
        return timed(dd, prefix + ".data-00000-of-00001", "/dev/null")

    seconds = interleaved(
        {
            "ours, into a fresh model": restore("restore"),
            "ours, over values": restore("overwrite"),
            "TensorFlow, over values": tensorflow,
            "dd to /dev/null": read,
        }
    )
    table(f"restore, page cache {state.__name__}", seconds, "ours, over values", BYTES)
    for process in warm_processes.values():
        process.close()


def many_variables(prefix):
    """A checkpoint of LISTED small variables with its object graph, as tf.train.Checkpoint would key them."""
    graph = trackable_object_graph_pb2.TrackableObjectGraph()
    root = graph.nodes.add()
    root.children.add(node_id=1, local_name="v")
    listed = graph.nodes.add()
    keys = []
    for at in range(LISTED):
        listed.children.add(node_id=at + 2, local_name=str(at))
        keys.append(f"v/{at}/.ATTRIBUTES/VARIABLE_VALUE")
        graph.nodes.add().attributes.add(name="VARIABLE_VALUE", checkpoint_key=keys[-1])
    tensors = [tf.constant([at, 0, 0, 1], tf.float32) for at in range(LISTED)]
    tf.raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=[*keys, "_CHECKPOINTABLE_OBJECT_GRAPH"],
        shape_and_slices=[""] * (LISTED + 1),
        tensors=[*tensors, tf.constant(graph.SerializeToString())],
    )


def listing():
    folder = os.path.join(FOLDER, "list")
    prefix = os.path.join(folder, "model")
    settle(folder)
    many_variables(prefix)

    def list_ours():
        result = ours("list", prefix)
        assert result["variables"] == LISTED + 1, result
        return result["seconds"]

    def list_tensorflow():
        start = time.perf_counter()
        variables = tf.train.list_variables(prefix)
        seconds = time.perf_counter() - start
        assert len(variables) == LISTED + 1
        return seconds

    table(f"list {LISTED} variables", interleaved({"ours": list_ours, "TensorFlow": list_tensorflow}), "ours")


def main():
    manifest = os.path.join(ROOT, "core", "benches", "checkpoint", "Cargo.toml")
    target = os.path.join(ROOT, "target", "benches")
    subprocess.run(["cargo", "build", "--release", "--manifest-path", manifest, "--target-dir", target], check=True)
    load = os.getloadavg()[0]
    print(f"TensorFlow {tf.__version__}, {os.cpu_count()} processors, load {load:.1f}, medians of {ROUNDS}")

    random = np.random.default_rng(1)
    values = [random.random(ELEMENTS, np.float32) for _ in range(VARIABLES)]
    bits = sum(int(value.view(np.uint32).sum(dtype=np.uint64)) for value in values)
    model = module(values)
    source = os.path.join(FOLDER, "source", "model")
    settle(os.path.dirname(source))
    tf.train.Checkpoint(model).write(source)
    flush(source)

    peak = {"write": writes(source, model)}
    for state in (warm, cold):
        restores(source, model, bits, state)
    for command in ("restore", "overwrite"):
        peak[command] = ours(command, source)["peak_kib"] * 1024
    listing()

    print(f"\npeak memory of ours (the data are {BYTES / 1e6:.0f} MB)")
    for command, bytes_ in peak.items():
        print(f"  {command:42} {bytes_ / 1e6:8.0f} MB   {bytes_ / BYTES:.2f} of the data")
    shutil.rmtree(FOLDER)


if __name__ == "__main__":
    main()
