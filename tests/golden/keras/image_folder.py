"""Images in directories: their files, what TensorFlow decodes, and the datasets that Keras makes of them."""

import io
import pathlib
import tempfile

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from fixture import stream
from keras_recorder import Recorder

MODES = {"grayscale": 1, "rgb": 3, "rgba": 4}


def pixels(label, shape, dtype=np.uint8):
    return stream("image folder", label).randint(0, np.iinfo(dtype).max + 1, shape).astype(dtype)


def saved(image, kind, **how):
    out = io.BytesIO()
    image.save(out, kind, **how)
    return out.getvalue()


def smooth(rows, columns):
    """Colors that JPEG keeps nearly as they are."""
    y, x = np.mgrid[0:rows, 0:columns]
    return np.stack([40 + 4 * x + 2 * y, 200 - 5 * y, 90 + 3 * (x + y)], -1).clip(0, 255).astype(np.uint8)


def files():
    """Names and bytes, by class."""
    palette = Image.fromarray(pixels("palette", (5, 6, 3))).quantize(7)
    clear = palette.copy()
    clear.info["transparency"] = 2
    jpeg = Image.fromarray(smooth(17, 23))
    return {
        "ant/gray.png": saved(Image.fromarray(pixels("gray", (4, 7))), "PNG"),
        "ant/rgb.PNG": saved(Image.fromarray(pixels("rgb", (9, 5, 3))), "PNG"),
        "ant/rgba.png": saved(Image.fromarray(pixels("rgba", (6, 6, 4))), "PNG"),
        "ant/small/one.png": saved(Image.fromarray(pixels("one", (1, 1, 3))), "PNG"),
        "ant-lion/la.png": saved(Image.fromarray(pixels("la", (3, 8, 2)), "LA"), "PNG"),
        "ant-lion/palette.png": saved(palette, "PNG"),
        "ant-lion/clear.png": saved(clear, "PNG", transparency=2),
        "bee/deep.png": saved(Image.fromarray(pixels("deep", (5, 4), np.uint16)), "PNG"),
        "bee/bits.png": saved(Image.fromarray(pixels("bits", (5, 9)) > 127), "PNG"),
        "bee/rgb16.png": bytes(tf.io.encode_png(pixels("rgb16", (3, 5, 3), np.uint16)).numpy()),
        "bee/baseline.jpg": saved(jpeg, "JPEG", quality=95, subsampling=0),
        "bee/progressive.jpeg": saved(jpeg, "JPEG", quality=95, progressive=True, subsampling=0),
        "bee/gray.JPG": saved(jpeg.convert("L"), "JPEG", quality=95),
        "bee/halved.jpg": saved(jpeg, "JPEG", quality=95),
        "bee/some.bmp": saved(Image.fromarray(pixels("bmp", (3, 5, 3))), "BMP"),
        "bee/some.gif": saved(palette, "GIF"),
        "bee/notes.txt": b"no image",
        ".hidden/rgb.png": saved(Image.fromarray(pixels("hidden", (2, 3, 3))), "PNG"),
        "wasp/none.txt": b"no image",
    }


def add(fixture):
    record = Recorder(fixture, "image file")
    held = files()
    for name, data in held.items():
        row = {"name": name, "bytes": record.put(np.frombuffer(data, np.uint8))}
        for mode, channels in MODES.items():
            if name.endswith(".txt") or name.startswith("."):
                continue
            try:
                image = tf.image.decode_image(data, channels=channels, expand_animations=False)
            except tf.errors.InvalidArgumentError:
                continue  # A JPEG has no alpha channel there, and a BMP and a GIF no other channels than their own.
            row[mode] = record.put(image.numpy())
        record.row(name, **row)
    folders(Recorder(fixture, "image folder"), held)


def folders(record, held):
    with tempfile.TemporaryDirectory() as root:
        for name, data in held.items():
            # Neither is one of Keras's ways to read in all modes.
            if not name.endswith(("bmp", "gif", "jpg", "JPG", "jpeg")):
                path = pathlib.Path(root) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
        for settings in (
            {},
            dict(image_size=(4, 9), interpolation="nearest"),
            dict(image_size=(7, 5), interpolation="bicubic", color_mode="rgba"),
            dict(image_size=(3, 3), interpolation="lanczos3", color_mode="grayscale", label_mode="categorical"),
            dict(image_size=(6, 4), crop_to_aspect_ratio=True, label_mode=None),
            dict(image_size=(6, 11), crop_to_aspect_ratio=True, interpolation="nearest"),
            dict(image_size=(6, 11), pad_to_aspect_ratio=True, interpolation="nearest"),
            dict(image_size=(5, 4), pad_to_aspect_ratio=True),
            dict(image_size=(5, 4), labels=None),
            dict(image_size=(2, 2), class_names=["bee", "ant"], label_mode="binary"),
            dict(image_size=(4, 5), data_format="channels_first"),
        ):
            folder(record, root, {"image_size": (5, 6), "shuffle": False, **settings})
        for seed in (3, 1234):
            folder(record, root, dict(image_size=(2, 2), seed=seed), order_only=True)
            for subset in ("training", "validation"):
                for split in (0.2, 0.45):
                    how = dict(image_size=(2, 2), seed=seed, validation_split=split, subset=subset)
                    folder(record, root, how, order_only=True)
        folder(record, root, dict(image_size=(2, 2), shuffle=False, validation_split=0.3, subset="validation"))


def folder(record, root, settings, order_only=False):
    dataset = keras.utils.image_dataset_from_directory(root, batch_size=None, verbose=False, **settings)
    row = {
        "settings": settings,
        "class_names": dataset.class_names,
        "files": [str(pathlib.Path(path).relative_to(root)) for path in dataset.file_paths],
    }
    if not order_only:
        elements = [element if isinstance(element, tuple) else (element, None) for element in dataset]
        row["images"] = [record.put(tf.cast(image, tf.float32).numpy()) for image, _ in elements]
        row["labels"] = [None if label is None else record.put(label.numpy()) for _, label in elements]
    record.row(str(settings), **row)
