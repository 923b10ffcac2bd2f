"""Keras's functions of signals: Fourier transforms, whole and piece by piece."""

import keras
import numpy as np
import tensorflow as tf

from fixture import stream
from keras_recorder import Recorder, wide
from op_runner import cotangent
from samples import draw, f32

UNSAID = "as the default"
LENGTHS = (1, 2, 3, 4, 8, 12, 60, 67, 96, 134)


def add(fixture):
    record = Recorder(fixture, "fourier")

    def case(function, label, shape, parts=2, window=UNSAID, special=None, low=-1, **arguments):
        rng = stream("fourier", function, label)
        xs = [draw(rng, shape, f32, low, 1) for _ in range(parts)]
        if special is not None:
            for x in xs:
                x[0, ..., 1] = special
        given = {} if window is UNSAID else dict(window=window)

        def call(xs):
            # TensorFlow's gradient of a transform that leaves places out has another shape than these.
            cut = arguments.get("fft_length", shape[-1]) // (2 if function == "irfft" else 1) + (function == "irfft")
            xs = tuple(x[..., :cut] for x in xs) if function in ("rfft", "irfft") and "fft_length" in arguments else tuple(xs)
            y = getattr(keras.ops, function)(*(xs if function == "psnr" else (xs if parts == 2 else xs[0],)), **arguments, **given)
            return y if isinstance(y, tuple) else (y,)

        found = call([tf.constant(x) for x in xs])
        sources = [tf.constant(wide(x)) for x in xs]
        with tf.GradientTape() as tape:
            tape.watch(sources)
            references = call(sources)
            dys = [cotangent(y.shape) for y in references]
            total = sum(tf.reduce_sum(y * dy) for y, dy in zip(references, dys))
        grads = tape.gradient(total, sources)
        record.row(
            f"{function} {label}",
            function=function,
            arguments={**arguments, **({} if isinstance(window, np.ndarray) else given)},
            window=record.put(window) if isinstance(window, np.ndarray) else None,
            inputs=[record.put(x) for x in xs],
            ys=[record.put(y) for y in found],
            references=[record.put(y) for y in references],
            dys=[record.put(dy) for dy in dys],
            grads=[] if special is not None else [record.put(grad) for grad in grads],
        )

    for n in LENGTHS:
        case("fft", f"of {n}", (2, n))
        case("rfft", f"of {n}", (2, n), parts=1)
        if n > 1:
            case("irfft", f"of {n}", (2, n))
    case("fft", "of a vector", (5,))
    case("fft", "of three axes", (2, 3, 6))
    case("fft", "of no rows", (0, 4))
    case("rfft", "of no rows", (0, 4), parts=1)
    case("rfft", "of a vector", (6,), parts=1)
    case("irfft", "of no rows", (0, 4))
    for shape in ((3, 4), (2, 1, 5), (2, 2, 70, 3), (1, 9, 20), (0, 2, 3)):
        case("fft2", f"of {list(shape)}", shape)
        case("ifft2", f"of {list(shape)}", shape)
    for function, shape in (("fft", (3, 5)), ("fft2", (2, 3, 4)), ("ifft2", (2, 3, 4))):
        case(function, "of NaN", shape, special=np.nan)
    for length in (1, 2, 4, 9, 10, 75):
        case("rfft", f"of 9 as {length}", (2, 9), parts=1, fft_length=length)
        case("irfft", f"of 5 as {length}", (2, 5), fft_length=length)
    for shape, length, stride in (((10,), 3, 2), ((2, 10), 4, 4), ((2, 3, 7), 7, 1), ((2, 5), 1, 3), ((2, 5), 6, 1), ((2, 9), 2, 5)):
        label = f"of {list(shape)}, {length} by {stride}"
        case("extract_sequences", label, shape, parts=1, sequence_length=length, sequence_stride=stride)
    for window in ("hann", "hamming", None, np.linspace(0.5, 1.5, 6).astype(f32)):
        words = "values" if isinstance(window, np.ndarray) else str(window)
        for center in (True, False):
            for length, stride, fft_length in ((6, 2, 8), (6, 3, 6), (6, 4, 9)):
                label = f"{words}{', around' if center else ''}, {length} by {stride} of {fft_length}"
                how = dict(sequence_length=length, sequence_stride=stride, fft_length=fft_length, center=center)
                case("stft", label, (2, 25), 1, window, **how)
                case("istft", label, (2, 5, fft_length // 2 + 1), 2, window, **how)
    for length in (1, 9, 100):
        how = dict(sequence_length=5, sequence_stride=2, fft_length=8, length=length)
        case("istft", f"of {length} places", (2, 3, 4, 5), 2, **how)
    case("stft", "of a vector", (20,), 1, sequence_length=4, sequence_stride=1, fft_length=4)
    case("stft", "of one place each", (2, 6), 1, sequence_length=1, sequence_stride=2, fft_length=3)
    case("stft", "of an odd length", (2, 20), 1, sequence_length=5, sequence_stride=2, fft_length=5)
    for shape in ((4,), (2, 3, 4)):
        for greatest in (1.0, 255.0):
            case("psnr", f"of {list(shape)}, {greatest}", shape, max_val=greatest)

