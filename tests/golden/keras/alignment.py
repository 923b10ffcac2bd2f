"""Losses of what belongs together: labels of sequences, samples of a class."""

import keras
import numpy as np
import tensorflow as tf

from fixture import stream
from keras_recorder import Recorder, config, in_float64, wide
from samples import f32


def add(fixture):
    record = Recorder(fixture, "loss")
    sequences(record)
    circles(record)


def row(record, label, loss, y_true, y_pred, weight, value, reference, dy, grad):
    record.row(
        label,
        config=config(loss),
        y_true=record.put(y_true),
        y_pred=record.put(y_pred),
        sample_weight=record.put(weight),
        mask=None,
        value=record.put(value),
        reference=record.put(reference),
        dy=record.put(dy),
        grad=record.put(grad),
    )


def sequences(record):
    def exact(y_true, weight, reduction, logits):
        """Keras computes the loss in float32 whatever its dtype is; these are its sums in float64."""
        logs = tf.nn.log_softmax(logits)
        losses = tf.stack([one([label for label in row if label], of) for row, of in zip(y_true, tf.unstack(logs))])
        if weight is not None:
            losses = losses * wide(weight)
        if reduction == "none":
            return losses
        return tf.reduce_sum(losses) if reduction == "sum" else tf.reduce_mean(losses)

    def one(labels, logs):
        places = [0] + [c for label in labels for c in (label, 0)]
        before = {0: logs[0, 0], 1: logs[0, places[1]]}
        for row in tf.unstack(logs)[1:]:
            now = {}
            for i, label in enumerate(places):
                leaps = i > 1 and label != 0 and label != places[i - 2]
                terms = [before[j] for j in (i, i - 1, *([i - 2] if leaps else [])) if j in before]
                if terms:
                    now[i] = tf.reduce_logsumexp(tf.stack(terms)) + row[label]
            before = now
        last = len(places) - 1
        return -tf.reduce_logsumexp(tf.stack([before[i] for i in (last, last - 1) if i in before]))

    for labels, steps, classes in (
        ([[1, 2], [3, 0], [1, 1]], 6, 4),
        ([[2, 2, 1, 2], [1, 2, 0, 0]], 9, 3),
        ([[1]], 1, 2),
    ):
        y_true = np.array(labels, np.int32)
        shape = (len(labels), steps, classes)
        y_pred = stream("CTC", *shape).uniform(-2, 2, shape).astype(f32)
        weight = (np.arange(len(labels)) % 3 + 0.5).astype(f32)
        for reduction in ("sum_over_batch_size", "sum", "none"):
            for words, w in (("no weight", None), ("weight per sample", weight)):
                loss = keras.losses.CTC(reduction=reduction)
                value = loss(y_true, y_pred, w)
                reference, dy, (grad,) = in_float64(lambda p: exact(y_true, w, reduction, p), y_pred)
                label = f"CTC {list(shape)} {labels}, {reduction}, {words}"
                row(record, label, loss, y_true, y_pred, w, value, reference, dy, grad)


def circles(record):
    for labels, size in (([0, 1, 0, 1, 2, 2, 0], 4), ([1, 1, 2, 2], 3)):
        y_true = np.array(labels, np.int32)
        shape = (len(labels), size)
        y_pred = stream("Circle", *shape).normal(size=shape)
        y_pred = (y_pred / np.linalg.norm(y_pred, axis=1, keepdims=True)).astype(f32)
        weight = (np.arange(len(labels)) % 3 + 0.5).astype(f32)
        for settings in (
            {},
            {"reduction": "none"},
            {"reduction": "mean_with_sample_weight"},
            {"gamma": 2.0, "margin": 0.25},
            {"gamma": 8.0, "remove_diagonal": False},
        ):
            for words, w in (("no weight", None), ("weight per sample", weight)):
                for columns in (False, True):
                    target = y_true[:, None] if columns else y_true
                    loss = keras.losses.Circle(**settings)
                    value = loss(target, y_pred, w)
                    precise = keras.losses.Circle(**settings, dtype="float64")
                    of_weight = None if w is None else wide(w)
                    reference, dy, (grad,) = in_float64(lambda p: precise(target, p, of_weight), y_pred)
                    label = f"Circle {list(target.shape)} {list(shape)}, {settings}, {words}"
                    row(record, label, loss, target, y_pred, w, value, reference, dy, grad)
