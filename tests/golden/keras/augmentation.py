"""Layers that change images: to another size, and at random."""

import keras
import numpy as np

from fixture import stream
from keras_recorder import LayerRecorder, Recorder, draws
from samples import draw, f16, f32

L = keras.layers


def images(shape, low, high, dtype=f32):
    return draw(stream("augmentation", *shape, low, high), shape, f32, low, high).astype(dtype)


def add(fixture):
    sizes(LayerRecorder(fixture).case)
    maps(LayerRecorder(fixture).case)
    record = Recorder(fixture, "augmentation")
    crops_and_flips(record)
    colors(record)


def sizes(case):
    wide, tall, small = images((2, 4, 7, 3), 0, 1), images((1, 9, 5, 2), 0, 1), images((2, 3, 3, 1), 0, 1)
    for interpolation in ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"):
        for antialias in (False, True):
            make = lambda d: L.Resizing(3, 5, interpolation, antialias=antialias, dtype=d)
            # TensorFlow has no gradients of kernels at images of float64.
            plain = not antialias and interpolation in ("nearest", "bilinear", "bicubic")
            x = wide if plain else images((2, 4, 7, 3), 0, 255, np.uint8)
            case(f"Resizing {interpolation}{', antialias' if antialias else ''}", make, x, differentiable=False)
    for words, settings in {
        "crop": dict(crop_to_aspect_ratio=True),
        "pad": dict(pad_to_aspect_ratio=True),
        "pad with 0.5": dict(pad_to_aspect_ratio=True, fill_value=0.5),
    }.items():
        for name, x in (("wide", wide), ("tall", tall), ("small", small)):
            case(f"Resizing {words} {name}", lambda d: L.Resizing(4, 5, dtype=d, **settings), x, differentiable=False)
    first = np.moveaxis(wide, -1, 1).copy()
    make = lambda d: L.Resizing(2, 9, crop_to_aspect_ratio=True, data_format="channels_first", dtype=d)
    case("Resizing channels first", make, first, differentiable=False)
    for dtype in (np.uint8, np.int32):
        x = images((2, 4, 5, 1), 0, 255, dtype)
        case(f"Resizing {np.dtype(dtype).name}", lambda d: L.Resizing(7, 3, "bicubic", dtype=d), x)
    for words, x, size in (
        ("within", tall, (4, 3)),
        ("as it is", tall, (9, 5)),
        ("too few rows", wide, (6, 3)),
        ("too few columns", tall, (4, 8)),
        ("too few of both", small, (6, 4)),
    ):
        case(f"CenterCrop {words}", lambda d: L.CenterCrop(*size, dtype=d), x, differentiable=False)
    case("CenterCrop channels first", lambda d: L.CenterCrop(2, 3, data_format="channels_first", dtype=d), first)
    case("CenterCrop uint8", lambda d: L.CenterCrop(2, 3, dtype=d), images((1, 4, 5, 1), 0, 255, np.uint8))


def maps(case):
    """Maps that are the same whatever is drawn."""
    x, one = images((2, 4, 6, 2), 0, 1), images((5, 4, 1), 0, 1)
    first = np.moveaxis(x, -1, 1).copy()
    fills = ("reflect", "wrap", "constant", "nearest")
    for fill in fills:
        for interpolation in ("bilinear", "nearest"):
            how = dict(fill_mode=fill, interpolation=interpolation, fill_value=0.25, seed=3)
            words = f"{fill}, {interpolation}"
            make = lambda d: L.RandomTranslation((0.3, 0.3), (-0.4, -0.4), dtype=d, **how)
            case(f"RandomTranslation {words}", make, x, training=True)
            make = lambda d: L.RandomRotation((0.11, 0.11), dtype=d, **how)
            case(f"RandomRotation {words}", make, x, training=True)
            make = lambda d: L.RandomZoom((0.37, 0.37), (-0.22, -0.22), dtype=d, **how)
            case(f"RandomZoom {words}", make, x, training=True)
    for layer, arguments in (
        (L.RandomTranslation, ((0.3, 0.3), (0.2, 0.2))),
        (L.RandomRotation, ((-0.07, -0.07),)),
        (L.RandomZoom, ((0.45, 0.45),)),
    ):
        name = layer.__name__
        case(f"{name} of one", lambda d: layer(*arguments, seed=3, dtype=d), one, training=True)
        make = lambda d: layer(*arguments, data_format="channels_first", seed=3, dtype=d)
        case(f"{name} channels first", make, first, training=True)
        case(f"{name} not training", lambda d: layer(*arguments, seed=3, dtype=d), x, training=False)
    case("RandomShear none", lambda d: L.RandomShear(seed=3, dtype=d), x, training=True)
    case("RandomTranslation by numbers", lambda d: L.RandomTranslation(0.3, 0.2, seed=3, dtype=d), x, training=False)
    case("RandomRotation by a number", lambda d: L.RandomRotation(0.3, seed=3, dtype=d), x, training=False)
    case("RandomZoom by a number", lambda d: L.RandomZoom(0.3, seed=3, dtype=d), x, training=False)
    for make in (
        lambda d: L.RandomCrop(2, 3, seed=3, dtype=d),
        lambda d: L.RandomFlip(seed=3, dtype=d),
        lambda d: L.RandomBrightness(0.3, seed=3, dtype=d),
        lambda d: L.RandomContrast(0.3, seed=3, dtype=d),
        lambda d: L.RandomSaturation(0.3, seed=3, dtype=d),
        lambda d: L.RandomHue(0.3, seed=3, dtype=d),
        lambda d: L.RandomColorDegeneration(0.3, seed=3, dtype=d),
        lambda d: L.RandomColorJitter(
            brightness_factor=0.3, contrast_factor=(0.1, 0.2), hue_factor=0.5, seed=3, dtype=d
        ),
        lambda d: L.RandomGrayscale(0.3, seed=3, dtype=d),
        lambda d: L.RandomInvert(0.3, value_range=(0, 1), seed=3, dtype=d),
        lambda d: L.RandomPosterization(3, seed=3, dtype=d),
        lambda d: L.RandomSharpness(0.3, seed=3, dtype=d),
        lambda d: L.Solarization(0.3, (0.1, 0.4), seed=3, dtype=d),
    ):
        case(f"{type(make('float32')).__name__} not training", make, images((2, 4, 6, 3), 0, 1), training=False)


def crops_and_flips(record):
    x, small = images((3, 6, 5, 2), 0, 1), images((2, 3, 7, 1), 0, 1)
    for seed in (0, 42):
        for size in ((2, 3), (5, 4), (6, 5), (7, 3), (3, 9)):
            draws(record, lambda d: L.RandomCrop(*size, seed=seed, dtype=d), x)
            draws(record, lambda d: L.RandomCrop(*size, seed=seed, dtype=d), small)
        draws(record, lambda d: L.RandomCrop(2, 2, data_format="channels_first", seed=seed, dtype=d), x)
        draws(record, lambda d: L.RandomCrop(2, 2, seed=seed, dtype=d), x[0])
        for mode in ("horizontal", "vertical", "horizontal_and_vertical"):
            draws(record, lambda d: L.RandomFlip(mode, seed=seed, dtype=d), x)
            draws(record, lambda d: L.RandomFlip(mode, data_format="channels_first", seed=seed, dtype=d), x)
        draws(record, lambda d: L.RandomFlip(seed=seed, dtype=d), x[0])
        draws(record, lambda d: L.RandomFlip(seed=seed, dtype=d), x.astype(f16))
        for fill in ("reflect", "constant"):
            draws(record, lambda d: L.RandomTranslation(0.5, (0.1, 0.4), fill, seed=seed, dtype=d), x)
            draws(record, lambda d: L.RandomRotation(0.2, fill, seed=seed, dtype=d), x)
            draws(record, lambda d: L.RandomZoom((-0.4, 0.3), 0.2, fill, seed=seed, dtype=d), x)
            draws(record, lambda d: L.RandomZoom(0.4, fill_mode=fill, seed=seed, dtype=d), x[0])
            draws(record, lambda d: L.RandomShear(0.4, (0.1, 0.3), fill_mode=fill, seed=seed, dtype=d), x)


def colors(record):
    unit, byte = images((3, 4, 5, 3), 0, 1), images((3, 4, 5, 3), 0, 255)
    ends = (0, 1)
    makers = (
        lambda d, r, **o: L.RandomBrightness(0.4, value_range=r, dtype=d, **o),
        lambda d, r, **o: L.RandomBrightness((0.1, 0.3), value_range=r, dtype=d, **o),
        lambda d, r, **o: L.RandomContrast(0.6, value_range=r, dtype=d, **o),
        lambda d, r, **o: L.RandomContrast((0.2, 0.9), value_range=r, dtype=d, **o),
        lambda d, r, **o: L.RandomSaturation((0.1, 0.8), value_range=r, dtype=d, **o),
        lambda d, r, **o: L.RandomHue(0.4, value_range=r, dtype=d, **o),
        lambda d, r, **o: L.RandomHue((0.5, 1.0), value_range=r, dtype=d, **o),
        lambda d, r, **o: L.RandomColorDegeneration((0.1, 0.9), value_range=r, dtype=d, **o),
        lambda d, r, **o: L.RandomInvert(value_range=r, dtype=d, **o),
        lambda d, r, **o: L.RandomInvert((0.2, 0.9), value_range=r, dtype=d, **o),
        lambda d, r, **o: L.RandomPosterization((1, 8), value_range=r, dtype=d, **o),
        lambda d, r, **o: L.RandomPosterization((3, 3), value_range=r, dtype=d, **o),
        lambda d, r, **o: L.RandomSharpness(0.9, value_range=r, dtype=d, **o),
        lambda d, r, **o: L.Solarization(0.4, (0.2, 0.7), value_range=r, dtype=d, **o),
        lambda d, r, **o: L.Solarization((0.1, 0.2), 0.9, value_range=r, dtype=d, **o),
        lambda d, r, **o: L.RandomColorJitter(r, 0.3, (0.2, 0.5), (0.3, 0.6), 0.7, dtype=d, **o),
    )
    for make in makers:
        for x, r in ((unit, ends), (byte, (0, 255))):
            draws(record, lambda d: make(d, r, seed=5), x)
        draws(record, lambda d: make(d, ends, seed=5), unit[0])
    first = np.moveaxis(unit, -1, 1).copy()
    for make in (makers[2], makers[4], makers[5], makers[12]):
        draws(record, lambda d: make(d, ends, data_format="channels_first", seed=5), first)
    for factor in (0.0, 0.4, 1.0):
        draws(record, lambda d: L.RandomGrayscale(factor, seed=5, dtype=d), unit)
        draws(record, lambda d: L.RandomGrayscale(factor, seed=5, data_format="channels_first", dtype=d), first)
    draws(record, lambda d: L.RandomGrayscale(0.5, seed=5, dtype=d), unit[..., :1])
