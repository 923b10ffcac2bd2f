"""Random tensors of distributions that are drawn by rejection."""

import numpy as np
import tensorflow as tf

from fixture import stream
from samples import bf16, f16, f32, f64, i32

SEEDS = ((42, 7), (-3, 1 << 20))


def stream_of(seed):
    return [t.numpy() for t in tf.raw_ops.StatelessRandomGetKeyCounter(seed=np.array(seed, np.int64))]


def add(run):
    gamma(run)
    counts(run)
    categories(run)


def gamma(run):
    op = "StatelessRandomGammaV3"
    alphas = (np.array(2.5), np.array([0.1, 1.0, 7.0]), np.array([[0.9], [30.0]]))
    for seed in SEEDS:
        key, counter = stream_of(seed)
        for alpha in alphas:
            for dtype in (f16, f32, f64):
                shape = (50, *alpha.shape)
                case = f"{np.dtype(dtype).name} {list(shape)} by {list(seed)}"
                run.add(op, case, i32(*shape), key, counter, np.int32(1), alpha.astype(dtype), grad=False)
    wide = np.array([4, 3], np.int64)
    run.add(op, "int64 dims", wide, key, counter, np.int32(3), np.ones([3], f32), grad=False)
    run.add(op, "none", i32(0, 3), key, counter, np.int32(1), np.ones([3], f32), grad=False)
    run.fails(op, "another end", i32(4, 2), key, counter, np.int32(1), np.ones([3], f32))
    run.fails(op, "a dim too few", i32(), key, counter, np.int32(1), np.ones([3], f32))
    run.fails(op, "another algorithm", i32(3), key, counter, np.int32(7), np.ones([3], f32))


def counts(run):
    more = dict(grad=False, reference=False)
    rates = np.array([0.0, 0.3, 5.0, 9.99, 10.0, 47.5, 1e4])
    trials = np.array([[3.0], [20.0], [1000.0], [0.0]])
    probs = np.array([0.0, 0.02, 0.3, 0.5, 0.77, 0.999, 1.0])
    for seed in SEEDS:
        key = i32(*seed)
        for given in (f16, f32, f64):
            for wanted in (tf.float16, tf.float32, tf.float64, tf.int32, tf.int64):
                # Numbers that float16 does not hold have no place in it.
                small = slice(None, 6) if tf.float16 in (given, wanted) else slice(None)
                case = f"{np.dtype(given).name} to {wanted.name} by {list(seed)}"
                rate = rates[small].astype(given)
                run.add("StatelessRandomPoisson", case, i32(20, *rate.shape), key, rate, dtype=wanted, **more)
                shape = i32(10, len(trials), len(probs))
                both = trials.astype(given), probs.astype(given)
                run.add("StatelessRandomBinomial", case, shape, key, *both, dtype=wanted, **more)
    key = np.array([1, 2], np.int64)
    run.add("StatelessRandomPoisson", "int32 rates", i32(9, 2), key, i32(3, 20), dtype=tf.int64, **more)
    for wanted in (tf.float16, tf.float32, tf.float64, tf.int32, tf.int64):
        rates, case = f32([np.inf, -np.inf, -1, 0, 2]), f"rates that are none to {wanted.name}"
        run.add("StatelessRandomPoisson", case, i32(3, 5), key, rates, dtype=wanted, **more)
    run.add("StatelessRandomPoisson", "none", i32(0, 2), key, i32(3, 20), dtype=tf.int64, **more)
    run.add("StatelessRandomBinomial", "scalars", i32(9), key, f32(7), f32(0.4), dtype=tf.int64, **more)
    run.add("StatelessRandomBinomial", "none", i32(0, 2), key, f32([1, 2]), f32(0.4), dtype=tf.int64, **more)
    run.fails("StatelessRandomPoisson", "another end", i32(9, 3), key, i32(3, 20), dtype=tf.int64)
    run.fails("StatelessRandomPoisson", "three seeds", i32(2), i32(1, 2, 3), i32(3, 20), dtype=tf.int64)
    run.fails("StatelessRandomBinomial", "another end", i32(9, 3), key, f32([1, 2]), f32(0.4), dtype=tf.int64)
    run.fails("StatelessRandomBinomial", "no broadcast", i32(3), key, f32([1, 2]), f32([0.1] * 3), dtype=tf.int64)


def categories(run):
    op = "StatelessMultinomial"
    more = dict(grad=False, reference=False)
    logits = stream(op).uniform(-2, 2, [3, 5])
    for seed in SEEDS:
        for dtype in (f16, bf16, f32, f64):
            for wanted in (tf.int32, tf.int64):
                case = f"{np.dtype(dtype).name} to {wanted.name} by {list(seed)}"
                run.add(op, case, logits.astype(dtype), np.int32(41), i32(*seed), output_dtype=wanted, **more)
    seed = np.array([5, 6], np.int64)
    odd = np.array([[0.0, np.nan, np.inf, 1.0], [-np.inf, -3.0, -np.inf, -np.inf], [-np.inf] * 4], f32)
    run.add(op, "logits that are not finite", odd, np.int32(9), seed, **more)
    run.add(op, "no samples", logits, np.int32(0), seed, **more)
    run.add(op, "no rows", logits[:0], np.int32(4), seed, **more)
    run.fails(op, "no classes", logits[:, :0], np.int32(4), seed)
    run.fails(op, "fewer than none", logits, np.int32(-1), seed)
    run.fails(op, "a vector", logits[0], np.int32(4), seed)
    run.fails(op, "three seeds", logits, np.int32(4), i32(1, 2, 3))
