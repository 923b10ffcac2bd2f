"""Layers that move numbers, and those that hand them on."""

import keras
import numpy as np

from fixture import stream
from keras_recorder import LayerRecorder
from samples import draw, f32


def add(fixture):
    case = LayerRecorder(fixture).case
    L = keras.layers
    rng = stream("reshaping")
    images = {1: (2, 5, 3), 2: (2, 4, 5, 3), 3: (1, 4, 3, 5, 2)}
    images = {axes: draw(rng, shape, f32, -2, 2) for axes, shape in images.items()}
    firsts = {axes: np.moveaxis(x, -1, 1).copy() for axes, x in images.items()}
    steps = np.array([[True, True, False, True, False], [True, False, False, False, True]])

    for dims, axes in (((2, 1), 1), ((1, 2), 1), ((3, 1, 2), 2), ((2, 3, 4, 1), 3)):
        case(f"Permute to {dims}", lambda d: L.Permute(dims, dtype=d), images[axes])
    case("Permute, masked", lambda d: L.Permute((2, 1), dtype=d), images[1], beside=steps)
    for n in (1, 4):
        case(f"RepeatVector {n}", lambda d: L.RepeatVector(n, dtype=d), images[1][:, 0])
    case("Identity", lambda d: L.Identity(dtype=d), images[1], beside=steps)
    for l1, l2 in ((0.0, 0.0), (0.25, 0.0), (0.0, 0.5), (0.25, 0.5)):
        words = f"ActivityRegularization of {l1} and {l2}"
        case(words, lambda d: L.ActivityRegularization(l1=l1, l2=l2, dtype=d), images[1], beside=steps)

    masked = images[1].copy()
    masked[0, 1], masked[1, 3:], masked[1, 0, :2] = 0, 0, 0
    case("Masking", lambda d: L.Masking(dtype=d), masked)
    case("Masking of a mask", lambda d: L.Masking(dtype=d), masked, beside=steps)
    masked = np.where(masked == 0, f32(-1.5), masked)
    case("Masking of -1.5", lambda d: L.Masking(mask_value=-1.5, dtype=d), masked)
    case("Masking of a matrix", lambda d: L.Masking(mask_value=-1.5, dtype=d), masked[1])
    case("Masking of images", lambda d: L.Masking(mask_value=-1.5, dtype=d), np.stack([masked, images[1]], 1))

    for axes in (1, 2, 3):
        pad, crop = getattr(L, f"ZeroPadding{axes}D"), getattr(L, f"Cropping{axes}D")
        pairs = (2, 1) if axes == 1 else ((2, 1), (0, 1), (1, 0))[:axes]
        for label, settings in {
            "": {},
            "by 2": {"padding": 2},
            "by 0": {"padding": 0},
            "by sides": {"padding": pairs},
            **({"by axes": {"padding": (2, 0, 1)[:axes]}} if axes > 1 else {}),
        }.items():
            case(f"ZeroPadding{axes}D {label}", lambda d: pad(dtype=d, **settings), images[axes])
            settings = {"data_format": "channels_first", **settings}
            case(f"ZeroPadding{axes}D {label}, channels_first", lambda d: pad(dtype=d, **settings), firsts[axes])
        for label, settings in {
            "": {},
            "by 1": {"cropping": 1},
            "by 0": {"cropping": 0},
            "by sides": {"cropping": pairs},
            **({"by axes": {"cropping": (1, 0, 2)[:axes]}} if axes > 1 else {}),
        }.items():
            case(f"Cropping{axes}D {label}", lambda d: crop(dtype=d, **settings), images[axes])
            if axes > 1:
                settings = {"data_format": "channels_first", **settings}
                case(f"Cropping{axes}D {label}, channels_first", lambda d: crop(dtype=d, **settings), firsts[axes])
        up = getattr(L, f"UpSampling{axes}D")
        for label, settings in {
            "": {},
            "by 1": {"size": 1},
            "by 3": {"size": 3},
            **({"by axes": {"size": (1, 3, 2)[:axes]}} if axes > 1 else {}),
        }.items():
            case(f"UpSampling{axes}D {label}", lambda d: up(dtype=d, **settings), images[axes])
            if axes > 1:
                settings = {"data_format": "channels_first", **settings}
                case(f"UpSampling{axes}D {label}, channels_first", lambda d: up(dtype=d, **settings), firsts[axes])
    for interpolation in ("bilinear", "bicubic"):
        for label, settings in {"": {}, "by axes": {"size": (1, 3)}}.items():
            settings = {"interpolation": interpolation, **settings}
            case(f"UpSampling2D {interpolation} {label}", lambda d: L.UpSampling2D(dtype=d, **settings), images[2])
            settings = {"data_format": "channels_first", **settings}
            label = f"{interpolation} {label}, channels_first"
            case(f"UpSampling2D {label}", lambda d: L.UpSampling2D(dtype=d, **settings), firsts[2])
    case("ZeroPadding1D, masked", lambda d: L.ZeroPadding1D(dtype=d), images[1], beside=steps)
    case("Cropping1D, masked", lambda d: L.Cropping1D(dtype=d), images[1], beside=steps)
    case("UpSampling1D, masked", lambda d: L.UpSampling1D(dtype=d), images[1], beside=steps)
