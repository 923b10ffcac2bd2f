"""Random ops of given seeds: equal bits for equal seeds, so these compare exactly or to a rounding."""

import numpy as np
import tensorflow as tf

PHILOX = np.array(1, np.int32)
KEYS = [
    (0, (0, 0)),
    (1, (0, 0)),
    (0x0123456789ABCDEF, (3, 0)),
    (2**64 - 1, (2**64 - 1, 2**64 - 1)),
    (42, (2**64 - 2, 7)),
    (7, (0, 2**63)),
]
SHAPES = [(), (1,), (3,), (4,), (5,), (17,), (3, 7), (0,), (2, 0, 3), (2, 3, 4), (300,)]


def key(index):
    k, counter = KEYS[index]
    return np.array([k], np.uint64), np.array(counter, np.uint64)


def add(run):
    for seed in ([0, 0], [1, 2], [1, 0], [0, 1], [42, 42], [-1, -2], [-(2**31), 2**31 - 1], [123456789, -5]):
        run.add("StatelessRandomGetKeyCounter", f"int32 {seed}", np.array(seed, np.int32))
        run.add("StatelessRandomGetKeyCounter", f"int64 {seed}", np.array(seed, np.int64))
    for seed in ([2**63 - 1, -(2**63)], [2**40, 2**50 + 1]):
        run.add("StatelessRandomGetKeyCounter", f"int64 {seed}", np.array(seed, np.int64))
    run.fails("StatelessRandomGetKeyCounter", "three seeds", np.array([1, 2, 3], np.int32))
    run.fails("StatelessRandomGetKeyCounter", "one seed", np.array([1], np.int32))
    run.fails("StatelessRandomGetKeyCounter", "seed of rank 2", np.array([[1, 2]], np.int32))

    for op in ("StatelessRandomUniformV2", "StatelessRandomNormalV2", "StatelessTruncatedNormalV2"):
        for dtype in (tf.float32, tf.float64, tf.float16, tf.bfloat16):
            for i in range(len(KEYS)):
                run.add(op, f"{dtype.name} [9] key {i}", np.array([9], np.int32), *key(i), PHILOX, dtype=dtype)
            for shape in SHAPES:
                run.add(op, f"{dtype.name} {list(shape)}", np.array(shape, np.int32), *key(2), PHILOX, dtype=dtype)
        run.add(op, "float32 [40,50]", np.array([40, 50], np.int64), *key(1), PHILOX, dtype=tf.float32)
        run.add(
            op,
            "float32 [9], algorithm chosen by the device",
            np.array([9], np.int32),
            *key(2),
            np.array(3, np.int32),
            dtype=tf.float32,
        )
        refusals(run, op, dtype=tf.float32)
    for dtype in (np.int32, np.int64, np.uint32, np.uint64):
        op = "StatelessRandomUniformIntV2"
        low = -5 if np.iinfo(dtype).min < 0 else 3
        info = np.iinfo(dtype)
        name = np.dtype(dtype).name
        for i in range(len(KEYS)):
            run.add(
                op,
                f"{name} [9] key {i}",
                np.array([9], np.int32),
                *key(i),
                PHILOX,
                np.array(low, dtype),
                np.array(100, dtype),
            )
        for shape in SHAPES:
            run.add(
                op,
                f"{name} {list(shape)}",
                np.array(shape, np.int32),
                *key(2),
                PHILOX,
                np.array(low, dtype),
                np.array(100, dtype),
            )
        run.add(
            op,
            f"{name} whole range but one",
            np.array([9], np.int32),
            *key(2),
            PHILOX,
            np.array(info.min, dtype),
            np.array(info.max, dtype),
        )
        run.add(
            op, f"{name} one value", np.array([5], np.int32), *key(2), PHILOX, np.array(7, dtype), np.array(8, dtype)
        )
        if dtype in (np.int32, np.int64):  # The others have no CPU kernel.
            run.fails(
                op,
                f"{name} empty range",
                np.array([5], np.int32),
                *key(2),
                PHILOX,
                np.array(8, dtype),
                np.array(8, dtype),
            )
            run.fails(
                op,
                f"{name} reversed range",
                np.array([5], np.int32),
                *key(2),
                PHILOX,
                np.array(9, dtype),
                np.array(8, dtype),
            )
        op = "StatelessRandomUniformFullIntV2"
        for i in range(len(KEYS)):
            run.add(op, f"{name} [9] key {i}", np.array([9], np.int32), *key(i), PHILOX, dtype=tf.as_dtype(dtype))
        for shape in SHAPES:
            run.add(op, f"{name} {list(shape)}", np.array(shape, np.int32), *key(2), PHILOX, dtype=tf.as_dtype(dtype))
    run.fails(
        "StatelessRandomUniformIntV2",
        "bounds of rank 1",
        np.array([5], np.int32),
        *key(2),
        PHILOX,
        np.array([0], np.int32),
        np.array([9], np.int32),
    )
    refusals(run, "StatelessRandomUniformFullIntV2", dtype=tf.int32)
    stateful(run)


def stateful(run):
    """The first call of each kernel: one is made, with a stream of its own, for each pair of seeds."""
    seeds = [(1, 2), (0, 7), (7, 0), (-1, -2), (2**40, 2**50 + 1), (2**63 - 1, -(2**63))]
    for op in ("RandomUniform", "RandomStandardNormal", "TruncatedNormal"):
        for dtype in (tf.float32, tf.float64, tf.float16, tf.bfloat16):
            for seed, seed2 in seeds:
                case = f"{dtype.name} [9] seeds {seed} {seed2}"
                run.add(op, case, np.array([9], np.int32), seed=seed, seed2=seed2, dtype=dtype)
            for i, shape in enumerate(SHAPES):
                case = f"{dtype.name} {list(shape)}"
                run.add(op, case, np.array(shape, np.int32), seed=100 + i, seed2=3, dtype=dtype)
        run.add(op, "int64 shape", np.array([2, 3], np.int64), seed=200, seed2=4, dtype=tf.float32)
        run.fails(op, "negative size", np.array([-3], np.int32), seed=1, dtype=tf.float32)
        run.fails(op, "shape of rank 2", np.array([[3]], np.int32), seed=1, dtype=tf.float32)
    op = "RandomUniformInt"
    for dtype in (np.int32, np.int64):
        name = np.dtype(dtype).name
        for seed, seed2 in seeds:
            case = f"{name} [9] seeds {seed} {seed2}"
            run.add(op, case, np.array([9], np.int32), dtype(-5), dtype(100), seed=seed, seed2=seed2)
        for i, shape in enumerate(SHAPES):
            case = f"{name} {list(shape)}"
            run.add(op, case, np.array(shape, np.int32), dtype(-5), dtype(100), seed=100 + i, seed2=3)
        run.fails(op, f"{name} empty range", np.array([5], np.int32), dtype(8), dtype(8), seed=1)
        run.fails(op, f"{name} reversed range", np.array([5], np.int32), dtype(9), dtype(8), seed=1)
    run.fails(op, "bounds of rank 1", np.array([5], np.int32), np.array([0], np.int32), np.array([9], np.int32), seed=1)


def refusals(run, op, **attrs):
    shape = np.array([3], np.int32)
    k, counter = key(2)
    run.fails(op, "negative size", np.array([-3], np.int32), k, counter, PHILOX, **attrs)
    run.fails(op, "shape of rank 2", np.array([[3]], np.int32), k, counter, PHILOX, **attrs)
    run.fails(op, "key of two words", shape, counter, counter, PHILOX, **attrs)
    run.fails(op, "unknown algorithm", shape, k, counter, np.array(9, np.int32), **attrs)
    run.fails(op, "ThreeFry", shape, k, counter, np.array(2, np.int32), **attrs)
