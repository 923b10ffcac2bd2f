"""Regenerates fixtures of this folder, all or some: `python tests/golden/generate.py [PART]...`, as `ops/matrix`.

Each file in `ops/` and `keras/` writes a fixture beside itself, by `add`.
"""

import importlib.util
import os
import pathlib
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"  # Eigen's kernels alone: the same bits on every machine of one kind.
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["KERAS_BACKEND"] = "tensorflow"
sys.dont_write_bytecode = True

import keras
import tensorflow as tf

from fixture import Fixture
from op_runner import OpRunner

tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)

HERE = pathlib.Path(__file__).parent
FAMILIES = [f"{folder}/{file.stem}" for folder in ("ops", "keras") for file in sorted((HERE / folder).glob("*.py"))]
FAMILIES.sort(key=lambda part: part == "ops/breadth")  # It has what the others leave out.


def family(part):
    spec = importlib.util.spec_from_file_location(part.replace("/", "_cases_"), HERE / f"{part}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    keras.utils.set_random_seed(1)
    fixture = Fixture(part)
    module.add(OpRunner(fixture) if part.startswith("ops/") else fixture)
    fixture.write()


def printing():
    import printing_cases

    printing_cases.write()


def flow():
    import flow_cases

    flow_cases.write()


def flow_graphs():
    import flow_graphs

    flow_graphs.write()


def data():
    import data_cases

    data_cases.write()


def configs():
    import config_cases

    config_cases.write()


def names():
    import name_lists

    name_lists.write()


def op_defs():
    import op_defs

    op_defs.write()


def kernels():
    import kernel_list

    kernel_list.write()


def graph_defs():
    import traced_graphs

    traced_graphs.write()


if __name__ == "__main__":
    others = {"printing": printing, "flow": flow, "flow_graphs": flow_graphs, "data": data, "configs": configs, "names": names, "op_defs": op_defs}
    last = {"graph_defs": graph_defs, "kernels": kernels}  # Of the families' cases.
    for part in sys.argv[1:] or [*others, *FAMILIES, *last]:
        if part in others | last:
            (others | last)[part]()
        else:
            family(part)
