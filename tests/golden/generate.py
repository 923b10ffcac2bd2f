"""Regenerates every fixture of this folder: `python tests/golden/generate.py [ops|printing|keras|configs]...`."""

import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"  # Eigen's kernels alone: the same bits on every machine of one kind.
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["KERAS_BACKEND"] = "tensorflow"
sys.dont_write_bytecode = True

import tensorflow as tf

tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)


def ops():
    import elementwise_cases
    import matrix_cases
    import random_cases
    import reduction_cases
    import shape_cases
    import variable_cases
    from fixture import Fixture
    from op_runner import OpRunner

    fixture = Fixture("ops")
    families = (elementwise_cases, reduction_cases, shape_cases, random_cases, matrix_cases, variable_cases)
    for family in families:
        family.add(OpRunner(fixture))
    fixture.write()


def printing():
    import printing_cases

    printing_cases.write()


def keras():
    import keras_cases

    keras_cases.write()


def configs():
    import config_cases

    config_cases.write()


if __name__ == "__main__":
    parts = {"ops": ops, "printing": printing, "keras": keras, "configs": configs}
    for part in sys.argv[1:] or parts:
        parts[part]()
