"""Layers that spread, erase, blur and mix images, and spectrograms."""

import keras
import numpy as np
import tensorflow as tf

from fixture import stream
from keras_recorder import LayerRecorder, Recorder, config, draws, first_as_last
from samples import draw, f16, f32

L = keras.layers


def values(shape, low, high, dtype=f32):
    return draw(stream("signals", *shape, low, high), shape, f32, low, high).astype(dtype)


def add(fixture):
    record = LayerRecorder(fixture)
    tones(record.case)
    not_training(record.case)
    spectrograms(record.case)
    mel_spectrograms(record)
    drawn(Recorder(fixture, "augmentation"))


def tones(case):
    unit, byte = values((2, 6, 5, 3), 0, 1), values((2, 6, 5, 3), 20, 200)
    whole = np.round(byte)
    flat = whole.copy()
    flat[0, :, :, 1] = 7
    first = np.moveaxis(whole, -1, 1).copy()
    for name, x, ends in (("bytes", byte, (0, 255)), ("parts", unit, (0, 1)), ("parts, turned", unit, (1, 0))):
        make = lambda d: L.AutoContrast(value_range=ends, dtype=d)
        case(f"AutoContrast {name}", make, x, differentiable=False)
    case("AutoContrast of one", lambda d: L.AutoContrast(dtype=d), byte[0], differentiable=False)
    case("AutoContrast of one value", lambda d: L.AutoContrast(dtype=d), flat, differentiable=False)
    for bins in (256, 16, 1):
        make = lambda d: L.Equalization(bins=bins, dtype=d)
        case(f"Equalization {bins}", make, whole, training=True, differentiable=False)
    make = lambda d: L.Equalization(dtype=d)
    case("Equalization of one", make, whole[0], training=True, differentiable=False)
    case("Equalization of one value", make, flat[:1], training=True, differentiable=False)
    case("Equalization not training", make, whole, training=False)
    make = lambda d: L.Equalization(data_format="channels_first", dtype=d)
    case("Equalization channels first", make, first, training=True, differentiable=False)
    make = lambda d: L.Equalization((0, 1), 32, dtype=d)
    case("Equalization parts", make, unit, training=True, differentiable=False)
    for name, x, settings in (
        ("", whole, {}),
        (" of few tiles", whole, dict(tile_grid_size=(2, 3))),
        (" of one tile", whole, dict(tile_grid_size=(1, 1), clip_limit=1.5)),
        (" without limit", whole, dict(tile_grid_size=(3, 2), clip_limit=0.0)),
        (" of parts", unit, dict(value_range=(0, 1), tile_grid_size=(2, 2))),
        (" channels first", first, dict(data_format="channels_first", tile_grid_size=(2, 2))),
        (" of integers", whole.astype(np.uint8), dict(tile_grid_size=(2, 2))),
    ):
        make = lambda d: L.ContrastLimitedAdaptiveHistogramEqualization(dtype=d, **settings)
        case(f"CLAHE{name}", make, x, differentiable=False)


def not_training(case):
    x = values((2, 4, 6, 3), 0, 1)
    for make in (
        lambda d: L.RandomErasing(0.5, (0.1, 0.4), 3.0, (0, 1), seed=3, dtype=d),
        lambda d: L.RandomGaussianBlur(0.5, (3, 5), (0.2, 0.7), (0, 1), seed=3, dtype=d),
        lambda d: L.RandomPerspective(0.5, 0.4, "nearest", 2.0, seed=3, dtype=d),
        lambda d: L.MixUp(0.4, seed=3, dtype=d),
        lambda d: L.CutMix(0.4, seed=3, dtype=d),
    ):
        case(f"{type(make('float32')).__name__} with settings, not training", make, x, training=False)


def spectrograms(case):
    x = values((2, 21, 2), -1, 1)
    for mode in ("log", "magnitude", "psd", "real", "imag", "angle", "stft"):
        make = lambda d: L.STFTSpectrogram(mode, 8, window=None, dtype=d)
        # Of an angle a gradient is as steep as an amplitude is small.
        case(f"STFTSpectrogram {mode}", make, x, differentiable=mode != "angle")
    for name, x_, settings in (
        ("step", x, dict(frame_step=3)),
        ("transform", x, dict(fft_length=16)),
        ("same", x, dict(padding="same")),
        ("expanded", x, dict(expand_dims=True)),
        ("spectrum", x, dict(scaling="spectrum")),
        ("no scaling", x, dict(scaling=None)),
        ("periodic", x, dict(periodic=True)),
    ):
        make = lambda d: L.STFTSpectrogram("magnitude", 8, window=None, dtype=d, **settings)
        case(f"STFTSpectrogram {name}", make, x_)
    first = np.moveaxis(x, -1, 1).copy()
    for mode in ("log", "magnitude", "psd", "real", "imag", "angle", "stft"):
        for expanded in (False, True):
            words = f"STFTSpectrogram {mode}{', expanded' if expanded else ''}"
            how = dict(frame_step=3, window=None, padding="same", expand_dims=expanded)
            for places, x_, data_format in (("last", x, "channels_last"), ("first", first, "channels_first")):
                make = lambda d: L.STFTSpectrogram(mode, 6, data_format=data_format, dtype=d, **how)
                with first_as_last():
                    case(f"{words}, channels {places}", make, x_, differentiable=mode != "angle")


def mel_spectrograms(record):
    """In float32 alone: Keras has no others."""
    wave = values((2, 40), -1, 1)
    ends = dict(fft_length=16, sequence_stride=5, sampling_rate=800, num_mel_bins=4, sequence_length=16, max_freq=400)
    for name, x_, settings in (
        ("", wave, {}),
        (" of one", wave[0], {}),
        (" power", wave, dict(power_to_db=False)),
        (" amplitude", wave, dict(power_to_db=False, mag_exp=1.0)),
        (" short window", wave, dict(sequence_length=11)),
        (" hamming", wave, dict(window="hamming")),
        (" no window", wave, dict(window=None)),
        (" band", wave, dict(min_freq=60.0, max_freq=300.0)),
        (" decibels", wave, dict(top_db=6.0, min_power=1e-3, ref_power=0.5)),
        (" nothing said", wave, dict(sequence_length=None, max_freq=None)),
        (" nothing said of the window", wave, dict(sequence_length=None, max_freq=None, window=None)),
    ):
        keras.backend.clear_session()
        layer = L.MelSpectrogram(**{**ends, **settings})
        unbuilt, y = config(layer), record.put(layer(tf.constant(x_)))
        record.row(
            f"MelSpectrogram{name}",
            config=unbuilt,
            built_config=config(layer),
            training=None,
            x=record.put(x_),
            weights=[],
            y=y,
            losses=[],
            reference=None,
            reference_losses=[],
            dy=None,
            grad=None,
            weight_grads=[],
            output_shape=None,
            parameters=0,
        )


def drawn(record):
    unit, byte = values((3, 6, 5, 3), 0, 1), values((3, 6, 5, 3), 0, 255)
    first = np.moveaxis(byte, -1, 1).copy()
    for seed in (0, 42):
        for settings in ({}, dict(factor=(0.8, 1.0), scale=(0.3, 0.9)), dict(scale=0.9, fill_value=9.0)):
            draws(record, lambda d: L.RandomErasing(seed=seed, dtype=d, **settings), byte)
        for settings in (dict(fill_value=[0.1, 0.2, 2.0]), {}):
            draws(
                record, lambda d: L.RandomErasing(scale=0.9, value_range=(0, 1), seed=seed, dtype=d, **settings), unit
            )
        draws(record, lambda d: L.RandomErasing(scale=0.9, data_format="channels_first", seed=seed, dtype=d), first)
        draws(record, lambda d: L.RandomErasing((1, 1), 0.9, seed=seed, dtype=d), byte[0])
        draws(record, lambda d: L.RandomErasing(scale=0.9, fill_value=1.0, seed=seed, dtype=d), byte.astype(f16))
        for settings in (
            {},
            dict(factor=(0.8, 1.0), kernel_size=(3, 5), sigma=(0.4, 1.0)),
            dict(kernel_size=5, sigma=0.5),
        ):
            draws(record, lambda d: L.RandomGaussianBlur(seed=seed, dtype=d, **settings), byte)
        draws(record, lambda d: L.RandomGaussianBlur(data_format="channels_first", seed=seed, dtype=d), first)
        draws(record, lambda d: L.RandomGaussianBlur(value_range=(0, 1), seed=seed, dtype=d), unit[0])
        for interpolation in ("nearest", "bilinear"):
            for settings in ({}, dict(factor=(0.8, 1.0), scale=0.5), dict(fill_value=3.0)):
                how = dict(interpolation=interpolation, seed=seed, **settings)
                draws(record, lambda d: L.RandomPerspective(dtype=d, **how), unit)
        draws(record, lambda d: L.RandomPerspective(data_format="channels_first", seed=seed, dtype=d), first / 255)
        draws(record, lambda d: L.RandomPerspective(seed=seed, dtype=d), unit[0])
        for alpha in (0.2, 1.5):
            draws(record, lambda d: L.MixUp(alpha, seed=seed, dtype=d), unit)
        draws(record, lambda d: L.MixUp(data_format="channels_first", seed=seed, dtype=d), first / 255)
        for factor in (1.0, (0.3, 0.6)):
            draws(record, lambda d: L.CutMix(factor, seed=seed, dtype=d), byte)
        draws(record, lambda d: L.CutMix(data_format="channels_first", seed=seed, dtype=d), first)
