"""Modulor beside its peers, in one run: every program takes its turn in every round. See ../README.md.

    PEERS_ROOT=FOLDER python3 compare.py --prepare
    PEERS_ROOT=FOLDER python3 compare.py [--workloads W1,W2] [--peers jax,torch] [--rounds 3] [--threads 2] [--seconds 1]
        [--keep FILE]

What setup.sh has not installed is left out. `--peers` takes those whose names begin so, and ours always. `--keep` adds the
lines of all programs to a file, and `--table FILE` prints the tables of such a file alone.
"""

import argparse
import collections
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.join(HERE, "..", "..", "..")
OURS = os.environ.get("MODULOR_BENCH", os.path.join(REPOSITORY, "target", "benches", "release", "modulor-bench"))
MODELS = "W1 W2 W3 W4"
ALL = MODELS + " W5 W9 W10"
LOOPS = ALL + " loops"
WHOLE = " W6"

# Where times are compared: the workload, the metric, the floating point operations of a step or call.
FIGURES = [
    ("W1", "step_ms", 0.411e9),
    ("W2", "step_ms", 4.58e9),
    ("W3", "step_ms", 11.68e9),
    ("W4", "step_ms", 3.775e9),
    ("W5", "seq_b1_us", None),
    ("W5", "mlp_b1_us", 1.337e6),
    ("W5", "mlp_b256_us", 342.4e6),
    ("W5", "cnn_b1_us", 23.98e6),
    ("W5", "cnn_b256_us", 6.14e9),
    ("W6", "wall_s", None),
    ("W6", "cpu_s", None),
    ("W6", "peak_MB", None),
    ("W9", "us_per_op", None),
    ("W10", "GB_per_s", None),
    ("loops", "while_us", None),
    ("loops", "scan_us", None),
]

# How far losses may lie from the middle of all programs': the workload, the last step that counts, the difference. Later ones
# of W2 are apart by how the float noise of a peer grows.
LOSSES = {"W1": (20, 1e-3), "W2": (6, 3e-4), "W3": (20, 1e-3), "W4": (20, 1e-3)}

# More cores than this were taken by others: the machine was not quiet.
LOUD = 0.25


def root():
    try:
        return os.environ["PEERS_ROOT"]
    except KeyError:
        sys.exit("compare.py: $PEERS_ROOT is the folder that setup.sh installed below")


def python(environment, script, mode):
    return [os.path.join(root(), environment, "bin", "peer"), os.path.join(HERE, "python", script), "--mode", mode]


def crate(name, mode="native"):
    return [os.path.join(root(), "target", "release", name), "--mode", mode]


def programs():
    """All programs: a name, a command, and the workloads that it knows."""
    return [
        ("modulor-eager", [OURS, "--mode", "eager"], LOOPS),
        ("modulor-compiled", [OURS, "--mode", "compiled"], LOOPS + WHOLE),
        ("tf-eager", python("tensorflow", "tensorflow_peer.py", "eager"), ALL),
        ("tf-function", python("tensorflow", "tensorflow_peer.py", "function"), LOOPS),
        ("tf-xla", python("tensorflow", "tensorflow_peer.py", "xla"), LOOPS),
        ("keras", python("tensorflow", "tensorflow_peer.py", "keras"), "W1 W2 W4 W5" + WHOLE),
        ("jax-jit", python("jax", "jax_peer.py", "jit"), LOOPS + WHOLE),
        ("jax-eager", python("jax", "jax_peer.py", "eager"), "W5 W9 W10"),
        ("torch-eager", python("torch", "torch_peer.py", "eager"), ALL + WHOLE),
        ("torch-compile", python("torch", "torch_peer.py", "compile"), ALL + WHOLE),
        ("onnxruntime", python("torch", "onnxruntime_peer.py", "ask"), "W5"),
        ("candle", crate("candle-peer"), ALL + WHOLE),
        ("burn-flex", crate("burn-peer", "flex"), ALL + WHOLE),
        ("burn-ndarray", crate("burn-peer", "ndarray"), ALL),
        ("tract", crate("tract-peer"), "W5"),
    ]


def busy():
    """The seconds of CPU that everything has taken so far."""
    with open("/proc/stat") as file:
        user, nice, system, _, _, irq, softirq, steal = map(int, file.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def run(command, workload, threads, seconds, limit):
    """The lines of one program, each with the cores that others took meanwhile, and what went wrong."""
    flags = ["--workload", workload, "--threads", str(threads), "--seconds", str(seconds)]
    pin = ["taskset", "-c", "1"] if threads == 1 else []
    pools = {"RAYON_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        begin, taken = time.time(), busy()
        process = subprocess.Popen(pin + command + flags, env={**os.environ, **pools}, stdout=out, stderr=err)
        late = threading.Timer(limit, process.kill)
        late.start()
        _, status, used = os.wait4(process.pid, 0)
        late.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        wall, own = time.time() - begin, used.ru_utime + used.ru_stime
        other = max(0.0, busy() - taken - own) / wall
        out.seek(0), err.seek(0)
        lines = [json.loads(line) for line in out if line.startswith("{")]
        error = err.read() if wall < limit else f"took more than {limit} s"
    if workload in WHOLE.split() and lines:
        # From the start of the process to its end.
        whole = {"wall_s": wall, "cpu_s": own, "peak_MB": used.ru_maxrss * 1024 / 1e6}
        lines += [{**lines[0], "metric": metric, "value": value} for metric, value in whole.items()]
    return [{**line, "other": round(other, 3)} for line in lines], error if process.returncode else ""


def prepare():
    os.makedirs(os.environ["PEERS_DATA"], exist_ok=True)
    for environment in ("torch", "jax", "tensorflow"):
        peer = os.path.join(root(), environment, "bin", "peer")
        if os.path.exists(peer):
            subprocess.run([peer, os.path.join(HERE, "python", "data.py")], check=True)
            break
    else:
        sys.exit("compare.py: the data are written by a peer in Python, and setup.sh has installed none")
    onnx = python("torch", "onnxruntime_peer.py", "prepare")
    if os.path.exists(onnx[0]):
        subprocess.run(onnx + ["--workload", "W5"], check=True)


def higher_is_better(metric):
    return metric == "GB_per_s"


def tables(lines):
    """Prints a table for each figure, then how far losses agree, then one line for each figure."""
    values, loud = collections.defaultdict(list), collections.Counter()
    for line in lines:
        key = line["workload"], line["threads"], line["metric"], line["peer"]
        values[key].append(line["value"])
        loud[key] += line["other"] > LOUD
    summary = []
    for workload, metric, operations in FIGURES:
        for threads in sorted({key[1] for key in values}):
            of = {key[3]: found for key, found in values.items() if key[:3] == (workload, threads, metric)}
            if of:
                noise = {peer: loud[workload, threads, metric, peer] for peer in of}
                summary.append(figure(workload, metric, threads, operations, of, noise))
    agreement(values)
    print("\n| workload | ours | the best peer | ours / its time | |\n|---|---:|---:|---:|---|")
    for line in filter(None, summary):
        print(line)


def figure(workload, metric, threads, operations, of, noise):
    """Prints the table of one figure; the line of ours beside the best peer."""
    sign = -1 if higher_is_better(metric) else 1
    middle = {peer: statistics.median(found) for peer, found in of.items()}
    order = sorted(of, key=lambda peer: sign * middle[peer])
    peers = [peer for peer in order if not peer.startswith("modulor")]
    best = peers[0] if peers else order[0]
    ratio = lambda peer: (middle[peer] / middle[best]) ** sign
    print(f"\n{workload} {metric}, {threads} threads\n\n| | median | range | times the best peer's | GFLOP/s | loud rounds |")
    print("|---|---:|---:|---:|---:|---:|")
    scale = 1e-3 if metric.endswith("_ms") else 1e-6
    for peer in order:
        rate = f"{operations / (middle[peer] * scale) / 1e9:.0f}" if operations else ""
        spread = f"{min(of[peer]):.4g} to {max(of[peer]):.4g}"
        print(f"| {peer} | {middle[peer]:.4g} | {spread} | {ratio(peer):.2f} | {rate} | {noise[peer]} of {len(of[peer])} |")
    ours = [peer for peer in order if peer.startswith("modulor")]
    if not ours or not peers:
        return None
    ours = ours[0]
    overlap = min(of[ours]) <= max(of[best]) and min(of[best]) <= max(of[ours])
    word = "faster" if ratio(ours) < 1 else "slower"
    word = "one round" if len(of[ours]) == 1 else "tie" if overlap else word
    name = f"{workload} {metric}, {threads} threads"
    return f"| {name} | {middle[ours]:.4g} | {best} {middle[best]:.4g} | {ratio(ours):.2f} | {word} |"


def agreement(values):
    """Prints how far the losses, and what was computed beside, lie from the middle of all programs'."""
    print("\nlosses and checks, and those that are too far from the middle of all")
    for workload, threads, metric in sorted({key[:3] for key in values}):
        step = int(metric[5:]) if metric.startswith("loss_") else 0
        if not step and not metric.endswith("check"):
            continue
        of = {key[3]: found for key, found in values.items() if key[:3] == (workload, threads, metric)}
        middle = statistics.median(value for found in of.values() for value in found)
        last, least = LOSSES.get(workload, (0, 1e-3 * max(1.0, abs(middle))))
        apart = {peer: max(abs(value - middle) for value in found) for peer, found in of.items()}
        far = [f"{peer} by {distance:.2g}" for peer, distance in apart.items() if distance > least and step <= last]
        print(f"- {workload} {metric}: {middle:.6g}, all within {max(apart.values()):.2g}. {', '.join(far)}".rstrip())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--prepare", action="store_true")
    parser.add_argument("--table")
    parser.add_argument("--workloads", default=(LOOPS + WHOLE).replace(" ", ","))
    parser.add_argument("--peers", default="")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", default="2")
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--limit", type=float, default=300.0)
    parser.add_argument("--keep", default=os.devnull)
    flags = parser.parse_args()
    if flags.table:
        with open(flags.table) as file:
            return tables([json.loads(line) for line in file])
    os.environ.setdefault("PEERS_DATA", os.path.join(root(), "data"))
    if flags.prepare:
        return prepare()

    wanted = tuple(flags.peers.split(",")) if flags.peers else ("",)
    chosen = [row for row in programs() if row[0].startswith(("modulor", *wanted)) and os.path.exists(row[1][0])]
    lines, broken = [], set()
    with open(flags.keep, "a") as keep:
        for turn in range(flags.rounds):
            for workload in flags.workloads.split(","):
                for threads in map(int, flags.threads.split(",")):
                    able = [row for row in chosen if workload in row[2].split() and (row[0], workload) not in broken]
                    # Each round begins with another program.
                    for at in range(len(able)):
                        name, command, _ = able[(at + turn) % len(able)]
                        found, error = run(command, workload, threads, flags.seconds, flags.limit)
                        if error:
                            broken.add((name, workload))
                            print(f"{name} {workload}: {error.strip()[-300:]}", file=sys.stderr)
                        lines += found
                        keep.writelines(json.dumps({**line, "round": turn}) + "\n" for line in found)
                        keep.flush()
    tables(lines)


main()
