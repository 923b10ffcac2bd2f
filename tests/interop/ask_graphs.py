"""ask_graphs.py OUT: has TensorFlow run the GraphDefs that the tests wrote below OUT, in one process, each in a session of its
own. Every golden case of every op must give what TensorFlow gave for it eagerly, and models what ours gave."""

import json
import os
import pathlib
import sys
import zipfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import numpy as np
import tensorflow as tf

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden"
sys.path.insert(0, str(GOLDEN))
from fixture import array

# Eager calls and graphs run the same kernels; another processor may change last bits.
LAST_BITS = {"float16": 2e-3, "bfloat16": 2e-2, "float32": 3e-6, "float64": 1e-12, "complex64": 3e-6, "complex128": 1e-12}
# The bodies of composites, in another order.
OF_MODELS = 2e-5


def read(path):
    """The rows of a container and their GraphDefs."""
    with zipfile.ZipFile(path) as archive:
        rows, graphs = json.loads(archive.read("index.json")), archive.read("graphs")
    at = 0
    for row in rows:
        graph = tf.compat.v1.GraphDef.FromString(graphs[at : at + row["length"]])
        at += row["length"]
        yield row, graph


def golden():
    """The golden cases by op and name, with what they name."""
    cases = {}
    for manifest in sorted((GOLDEN / "ops").glob("*.json")):
        arrays = np.load(manifest.with_suffix(".npz"))
        for case in json.loads(manifest.read_text(encoding="utf-8")):
            cases[case["op"], case["case"]] = case, arrays
    return cases


def ran(row, graph_def, inputs, before):
    """The results, and the variables afterwards."""
    with tf.Graph().as_default():
        try:
            tf.import_graph_def(graph_def, name="")
        except ValueError:  # What TensorFlow says of shapes refuses what its kernel computes.
            for node in graph_def.node:
                if node.op == "Placeholder":
                    node.attr["shape"].shape.CopyFrom(tf.TensorShape(None).as_proto())
            tf.import_graph_def(graph_def, name="")
        graph = tf.compat.v1.get_default_graph()
        handles = []
        for name, value in zip(row["variables"], before):
            handle = tf.raw_ops.VarHandleOp(dtype=value.dtype, shape=value.shape, shared_name=name)
            fed = tf.compat.v1.placeholder(value.dtype, value.shape)
            handles.append((handle, fed, tf.raw_ops.AssignVariableOp(resource=handle, value=fed), value))
        config = tf.compat.v1.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
        # What is asked is what our nodes say, and not what TensorFlow makes of them.
        config.graph_options.rewrite_options.disable_meta_optimizer = True
        config.graph_options.optimizer_options.opt_level = -1
        with tf.compat.v1.Session(graph=graph, config=config) as session:
            for _, fed, assign, value in handles:
                session.run(assign, {fed: value})
            feeds = {f"{name}:0": inputs[i] for i, name in row["inputs"]}
            names = [graph.get_operation_by_name(n[1:]) if n[0] == "^" else f"{n}:0" for n in row["outputs"]]
            found = [value for value in session.run(names, feeds) if value is not None]
            reads = [tf.raw_ops.ReadVariableOp(resource=h, dtype=value.dtype) for h, _, _, value in handles]
            return found, session.run(reads)


# The sums of these ops TensorFlow adds up by the instructions of the machine: the last bits of the largest are open in all.
SUMS = ("BatchMatMul", "Conv", "DepthwiseConv", "MatMul")


def differs(found, expected, bound=None, sums=False):
    """What is wrong with a result, if anything."""
    found, expected = np.asarray(found), np.asarray(expected)
    if expected.size == 0 and found.shape == () and found.dtype == expected.dtype:
        return None  # What SVD leaves out has no shape in a session.
    if found.shape != expected.shape or (found.dtype != expected.dtype and expected.dtype != object):
        return f"{found.dtype}{found.shape}, expected {expected.dtype}{expected.shape}"
    if expected.dtype == object or expected.dtype.kind in "biu":
        return None if (found == expected).all() else f"{found.ravel()[:8]}, expected {expected.ravel()[:8]}"
    name = expected.dtype.name
    wide = np.complex128 if expected.dtype.kind == "c" else np.float64
    with np.errstate(all="ignore"):
        a, b = found.astype(wide), expected.astype(wide)
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        least = np.nanmax(np.abs(b[np.isfinite(b)]), initial=0.0)
        near = np.abs(a - b) <= (bound or LAST_BITS[name]) * np.maximum(np.abs(b), least if bound or sums else 0.0)
    wrong = ~(same | near)
    return f"{a[wrong][:4]}, expected {b[wrong][:4]}" if wrong.any() else None


def cases(path):
    known, failed, count = golden(), [], 0
    for row, graph in read(path):
        case, arrays = known[row["op"], row["case"]]
        inputs = [array(entry, arrays) for entry in case["inputs"]]
        before = [array(case["variable"], arrays)] if "variable" in case else []
        expected = [array(entry, arrays) for entry in case["outputs"]]
        after = [array(case["after"], arrays)] if "after" in case else []
        count += 1
        try:
            found, variables = ran(row, graph, inputs, before)
        except Exception as error:  # Whatever it is, it is a failure of this case.
            failed.append(f"{row['op']}: {row['case']}: {str(error).splitlines()[0][:300]}")
            continue
        pairs = list(zip(found, expected)) + list(zip(variables, after))
        sums = row["op"].startswith(SUMS)
        wrong = [text for text in (differs(a, b, sums=sums) for a, b in pairs) if text]
        if len(found) != len(expected):
            wrong.append(f"{len(found)} results, expected {len(expected)}")
        failed.extend(f"{row['op']}: {row['case']}: {text}" for text in wrong)
    report("golden cases of ops as graphs", count, failed)


def models(path):
    rows, failed, count = list(read(path)), [], 0
    for (row, graph), (_, data) in zip(rows[::2], rows[1::2]):
        constants = {n.name: tf.make_ndarray(n.attr["value"].tensor) for n in data.node if n.op == "Const"}
        results = sorted((n for n in data.node if n.op == "Identity"), key=lambda n: int(n.name.split("_")[1]))
        values = [constants[n.input[0]] for n in results]
        count += 1
        sizes = [len(row["inputs"]), len(row["outputs"]), len(row["variables"]), len(row["variables"])]
        parts = [values[sum(sizes[:i]) : sum(sizes[: i + 1])] for i in range(4)]
        inputs, expected, before, after = parts
        found, variables = ran(row, graph, inputs, before)
        pairs = [*zip(found, expected, row["outputs"]), *zip(variables, after, row["variables"])]
        wrong = [(name, differs(a, b, OF_MODELS)) for a, b, name in pairs]
        failed.extend(f"{row['case']}: {name}: {text}" for name, text in wrong if text)
    report(f"{os.path.basename(path)} as graphs", count, failed)


def report(title, count, failed):
    for line in failed[:60]:
        print(line)
    print(f"{title}: {count} run, {len(failed)} differ", flush=True)
    if failed or count == 0:
        sys.exit(1)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    models(os.path.join(sys.argv[1], "models.zip"))
    models(os.path.join(sys.argv[1], "flow.zip"))
    cases(os.path.join(sys.argv[1], "cases.zip"))


if __name__ == "__main__":
    main()
