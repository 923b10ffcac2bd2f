"""Optimizers and their schedules."""

import keras
import numpy as np

from fixture import stream
from keras_recorder import Recorder, config, optimizer_steps, schedule_row
from samples import draw, f32, f64


OPTIMIZERS = {
    "SGD": [
        {},
        {"learning_rate": 0.1},
        {"momentum": 0.9},
        {"momentum": 0.9, "nesterov": True},
        {"weight_decay": 0.1},
        {"momentum": 0.5, "weight_decay": 0.01, "clipvalue": 0.25},
    ],
    "Adam": [
        {},
        {"learning_rate": 0.1, "beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3},
        {"amsgrad": True},
        {"amsgrad": True, "beta_2": 0.5},
        {"weight_decay": 0.1},
    ],
    "AdamW": [{}, {"learning_rate": 0.01, "weight_decay": 0.1}, {"amsgrad": True}],
    "RMSprop": [
        {},
        {"momentum": 0.9},
        {"centered": True},
        {"momentum": 0.5, "centered": True, "rho": 0.8, "learning_rate": 0.01},
        {"weight_decay": 0.1},
    ],
    "Adagrad": [{}, {"learning_rate": 0.1, "initial_accumulator_value": 0.5}],
    "Adadelta": [{}, {"learning_rate": 1.0}],
    "Adamax": [{}, {"learning_rate": 0.1, "beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3, "weight_decay": 0.1}],
    "Nadam": [{}, {"learning_rate": 0.1, "beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3, "weight_decay": 0.1}],
    "Lion": [{}, {"learning_rate": 0.1, "beta_1": 0.8, "beta_2": 0.9, "weight_decay": 0.1}],
    "Ftrl": [
        {},
        {"learning_rate": 0.1, "l1_regularization_strength": 0.01, "l2_regularization_strength": 0.02, "beta": 0.1},
        {"learning_rate": 0.1, "l2_shrinkage_regularization_strength": 0.1, "learning_rate_power": -0.75},
    ],
    "Muon": [
        {},
        {"exclude_layers": ["ker"], "learning_rate": 0.1, "adam_beta_1": 0.8, "adam_beta_2": 0.9, "epsilon": 1e-3},
        {
            "learning_rate": 0.1,
            "momentum": 0.5,
            "nesterov": False,
            "ns_steps": 2,
            "rms_rate": None,
            "adam_lr_ratio": 0.5,
            "weight_decay": 0.1,
            "adam_weight_decay": None,
        },
        {"gradient_accumulation_steps": 2, "muon_a": 3.0, "muon_b": -3.0, "muon_c": 1.0},
    ],
    "Lamb": [{}, {"learning_rate": 0.1, "beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3, "weight_decay": 0.1}],
}
SHARED = [
    {"clipnorm": 0.5},
    {"clipvalue": 0.3},
    {"global_clipnorm": 0.75},
    {"use_ema": True},
    {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 2},
    {"gradient_accumulation_steps": 2},
    {"loss_scale_factor": 8.0},
]


def add(fixture):
    record = Recorder(fixture, "optimizer")

    def case(label, name, options, dtype, constraint=None, steps=3):
        keras.backend.clear_session()
        optimizer = getattr(keras.optimizers, name)(**options)
        start = config(optimizer)
        rng = stream("optimizer", label)
        variables = [
            keras.Variable(draw(rng, shape, f32, -2, 2).astype(dtype), dtype=dtype, name=n)
            for n, shape in (("kernel", (2, 3)), ("bias", (3,)))
        ]
        if constraint:
            variables[0].constraint = constraint
        first = record.named(variables)
        rows = optimizer_steps(record, optimizer, variables, rng, steps)
        finished = None
        if options.get("use_ema"):
            optimizer.finalize_variable_values(variables)
            finished = [record.put(v) for v in variables]
        record.row(
            label,
            config=start,
            dtype=np.dtype(dtype).name,
            constraint=config(constraint) if constraint else None,
            variables=first,
            steps=rows,
            finalized=finished,
        )

    for name, all_options in OPTIMIZERS.items():
        shared = SHARED if name in ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Nadam") else []
        for options in all_options + shared:
            written = "".join(f", {k}={v}" for k, v in options.items())
            for dtype in (f32,) if name == "Muon" else (f32, f64):  # Keras's own fails on matrices of float64.
                case(
                    f"{name}{written}, {np.dtype(dtype).name}",
                    name,
                    options,
                    dtype,
                    steps=5 if "gradient_accumulation_steps" in options or "use_ema" in options else 3,
                )
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)
    case("SGD with a schedule, float32", "SGD", {"learning_rate": schedule}, f32)
    case("Adam with a schedule, float32", "Adam", {"learning_rate": schedule}, f32)
    case("SGD with NonNeg on the kernel, float32", "SGD", {"learning_rate": 0.5}, f32, keras.constraints.NonNeg())
    case(
        "Adam with MaxNorm on the kernel, float32", "Adam", {"learning_rate": 0.5}, f32, keras.constraints.MaxNorm(1.0)
    )

    record = Recorder(fixture, "schedule")
    S = keras.optimizers.schedules
    for label, schedule in {
        "CosineDecay": S.CosineDecay(0.1, 100),
        "CosineDecay to alpha": S.CosineDecay(0.1, 50, alpha=0.25),
        "CosineDecay after a warm-up": S.CosineDecay(0.0, 100, warmup_target=0.1, warmup_steps=10),
        "CosineDecayRestarts": S.CosineDecayRestarts(0.1, 20),
        "CosineDecayRestarts falling": S.CosineDecayRestarts(0.1, 20, t_mul=1.0, m_mul=0.5, alpha=0.1),
        "ExponentialDecay": S.ExponentialDecay(0.1, 10, 0.5),
        "ExponentialDecay staircase": S.ExponentialDecay(0.1, 10, 0.5, staircase=True),
        "InverseTimeDecay": S.InverseTimeDecay(0.1, 10, 0.5),
        "InverseTimeDecay staircase": S.InverseTimeDecay(0.1, 10, 0.5, staircase=True),
        "PiecewiseConstantDecay": S.PiecewiseConstantDecay([10, 20], [0.1, 0.05, 0.01]),
        "PolynomialDecay": S.PolynomialDecay(0.1, 100),
        "PolynomialDecay square": S.PolynomialDecay(0.1, 100, power=2.0, end_learning_rate=0.01),
        "PolynomialDecay cycle": S.PolynomialDecay(0.1, 10, cycle=True),
    }.items():
        schedule_row(record, label, schedule)
    for first in (1, 3, 7, 10, 20, 100, 1000):
        for t_mul in (1.0, 1.1, 1.25, 1.3, 1.5, 2.0, 2.5, 3.0, 4.0, 10.0):
            for m_mul in (1.0, 0.9) if first in (7, 20) else (0.8,):
                schedule = S.CosineDecayRestarts(0.1, first, t_mul=t_mul, m_mul=m_mul, alpha=0.01)
                label = f"CosineDecayRestarts of {first}, {t_mul}, {m_mul}"
                schedule_row(record, label, schedule, around_restarts(first, t_mul))


def around_restarts(first, t_mul):
    """The steps about those with which each of the first periods begins, below ten thousand."""
    begins = np.cumsum([0, *(first * t_mul**i for i in range(14))])
    return sorted({s for b in begins for s in range(int(b) - 1, int(b) + 3) if 0 <= s < 10_000})
