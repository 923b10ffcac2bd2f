"""Initializers and random functions."""

import keras
import numpy as np
import tensorflow as tf

from keras_recorder import Recorder, config
from samples import f32


def add(fixture):
    record = Recorder(fixture, "initializer")
    I = keras.initializers
    options = [I.Zeros(), I.Ones(), I.Constant(), I.Constant(2.5), I.Identity(), I.Identity(gain=2.0)]
    for seed in (0, 1, 42, 1234567, 2**31 - 1):
        options += [
            I.RandomNormal(seed=seed),
            I.RandomUniform(seed=seed),
            I.TruncatedNormal(seed=seed),
            I.GlorotUniform(seed=seed),
        ]
    options += [
        I.RandomNormal(mean=1.0, stddev=2.0, seed=3),
        I.RandomUniform(minval=0.5, maxval=2.0, seed=3),
        I.TruncatedNormal(mean=-1.0, stddev=0.5, seed=3),
    ]
    options += [
        getattr(I, n)(seed=7)
        for n in ("GlorotNormal", "HeNormal", "HeUniform", "LecunNormal", "LecunUniform", "Orthogonal")
    ]
    options += [I.GlorotUniform(seed=7, input_axes=[0, 1], output_axes=[2, 3]), I.Orthogonal(gain=2.0, seed=8)]
    options += [I.VarianceScaling(seed=9)] + [
        I.VarianceScaling(scale=2.0, mode=m, distribution=d, seed=9)
        for m in ("fan_in", "fan_out", "fan_avg")
        for d in ("truncated_normal", "untruncated_normal", "uniform")
    ]
    # Windows by name are SciPy's, which is not there.
    window = [0.25, 1.0, 0.5, -0.125, 0.75, 0.0]
    options += [I.STFT(window=None), I.STFT("imag", None)] + [
        I.STFT(side, window, scaling) for side in ("real", "imag") for scaling in ("density", "spectrum", None)
    ]
    for initializer in options:
        c = config(initializer)
        extra = (
            {"gain": initializer.gain} if c["class_name"] == "Identity" else {}
        )  # Keras leaves it out of the config.
        name = c["class_name"] + "".join(f", {k}={v}" for k, v in {**c["config"], **extra}.items() if v is not None)
        matrix_only = c["class_name"] in ("Identity", "Orthogonal")
        axes = c["config"].get("input_axes")
        shapes = (
            [(2, 3, 4, 5)]
            if axes
            else {"Identity": [(3, 3), (2, 4)], "Orthogonal": [(3, 3), (5, 2), (2, 5), (2, 2, 3)], "STFT": [(6, 1, 5)]}.get(
                c["class_name"], [(7,), (4, 3), (3, 3, 2, 4), (5, 0)]
            )
        )
        if c["class_name"] == "GlorotUniform" and c["config"]["seed"] == 42:
            shapes = shapes + [(), (1,), (2, 3, 4), (30, 20)]
        for shape in shapes:
            if 0 in shape and c["class_name"] not in ("Zeros", "Ones", "Constant", "RandomNormal", "RandomUniform"):
                continue
            record.row(
                f"{name}, {list(shape)} float32",
                config=c,
                **extra,
                shape=list(shape),
                value=record.put(initializer(shape, dtype="float32")),
            )
        if axes or c["class_name"] == "STFT" or c["config"].get("seed", 7) not in (7, 42, 9):
            continue
        for dtype in ("float64", "float16", "bfloat16"):
            if matrix_only and c["class_name"] == "Orthogonal" and dtype in ("float16", "bfloat16"):
                continue  # There is no QR in half precision.
            shape = (3, 3) if matrix_only else (4, 3)
            record.row(
                f"{name}, {list(shape)} {dtype}",
                config=c,
                **extra,
                shape=list(shape),
                value=record.put(initializer(shape, dtype=dtype)),
            )

    record = Recorder(fixture, "seed generator")
    for seed in (0, 42, 2**31 - 1):
        keras.backend.clear_session()
        generator = keras.random.SeedGenerator(seed)
        row = {"config": config(generator), "first": record.put(generator.state)}
        row["draws"] = [record.put(generator.next()) for _ in range(4)]
        row["state"] = record.named([generator.state])
        record.row(f"seed {seed}", **row)
    record = Recorder(fixture, "random")
    K = keras.random
    for seed in (0, 42, 1234567):
        for dtype in ("float32", "float64", "float16", "bfloat16"):
            shape = [3, 5]
            for function, args in [
                ("uniform", {"minval": -1.0, "maxval": 3.0}),
                ("normal", {"mean": 1.0, "stddev": 2.0}),
                ("truncated_normal", {"mean": 1.0, "stddev": 2.0}),
            ]:
                record.row(
                    f"{function} seed {seed} {dtype}",
                    function=function,
                    shape=shape,
                    args=args,
                    seed=seed,
                    value=record.put(getattr(K, function)(shape, dtype=dtype, seed=seed, **args)),
                )
        record.row(
            f"randint seed {seed}",
            function="randint",
            shape=[3, 5],
            args={"minval": -4, "maxval": 9},
            seed=seed,
            value=record.put(K.randint([3, 5], -4, 9, seed=seed)),
        )
        for rate in (0.25, 0.5):
            x = np.arange(1, 25).reshape(4, 6).astype(f32)
            record.row(
                f"dropout seed {seed} rate {rate}",
                function="dropout",
                shape=[4, 6],
                args={"rate": rate},
                seed=seed,
                x=record.put(x),
                value=record.put(K.dropout(tf.constant(x), rate, seed=seed)),
            )
        x = np.arange(10).astype(f32)
        record.row(
            f"shuffle seed {seed}",
            function="shuffle",
            shape=[10],
            args={"axis": 0},
            seed=seed,
            x=record.put(x),
            value=record.put(K.shuffle(tf.constant(x), seed=seed)),
        )
