"""Connectionist temporal classification."""

import numpy as np

from fixture import stream
from samples import f32, f64, i32


def indices(*labels):
    """Places and values of the labels of sequences, as a sparse matrix has them."""
    places = [[i, j] for i, row in enumerate(labels) for j in range(len(row))]
    return np.array(places, np.int64).reshape(-1, 2), i32(*[label for row in labels for label in row])


def logits(*shape):
    return stream("ctc", *shape).uniform(-2, 2, shape)


def add(run):
    loss(run)
    decoder(run)


def loss(run):
    op = "CTCLoss"
    # Logits, labels, lengths.
    cases = (
        ((5, 3, 4), ([1, 2], [1, 1], [0]), (5, 5, 3)),
        ((1, 1, 2), ([0],), (1,)),
        ((7, 2, 3), ([0, 1, 1], [1, 0, 1, 0]), (7, 4)),
        ((6, 2, 5), ([0, 0, 1, 1], [3, 3]), (6, 5)),
        ((4, 1, 4), ([1, 3],), (4,)),
    )
    settings = (
        ("", {}),
        (", repeated", {"ctc_merge_repeated": False}),
        (", collapsed", {"preprocess_collapse_repeated": True}),
        (", neither", {"preprocess_collapse_repeated": True, "ctc_merge_repeated": False}),
        (", longer", {"ignore_longer_outputs_than_inputs": True}),
    )
    for shape, labels, lengths in cases:
        x = logits(*shape)
        for words, attrs in settings:
            for dtype in (f32, f64):
                case = f"{np.dtype(dtype).name} {list(shape)} {[list(row) for row in labels]}{words}"
                # The gradient of the gradient, its second output, is refused.
                dy = [stream("dy", *shape).uniform(0.5, 1.5, shape[1]), None]
                run.add(op, case, x.astype(dtype), *indices(*labels), i32(*lengths), dy=dy, **attrs)
    x = logits(4, 2, 3)
    run.fails(op, "too few steps", x, *indices([1, 0], [1, 1]), i32(1, 4))
    run.add(op, "a blank does not fit", x, *indices([1, 0], [1, 1]), i32(4, 2), grad=False)
    longer = {"ignore_longer_outputs_than_inputs": True}
    run.add(op, "too few steps, longer", x, *indices([1, 0], [1, 1]), i32(1, 4), grad=False, **longer)
    run.add(op, "no steps, longer", x, *indices([1, 0], [1, 1]), i32(0, 4), grad=False, **longer)
    run.fails(op, "too many steps", x, *indices([1, 0], [1, 1]), i32(5, 4))
    run.fails(op, "three lengths", x, *indices([1, 0], [1, 1]), i32(4, 4, 4))
    run.fails(op, "a negative label", x, *indices([1, -1], [1, 1]), i32(4, 4))
    run.add(op, "a label too large", x, *indices([1, 3], [1, 1]), i32(4, 4), grad=False)
    run.fails(op, "a label after a blank", x, *indices([1, 1], [2, 1]), i32(4, 4))
    places, values = indices([1, 0], [1, 1])
    run.fails(op, "out of order", x, places[::-1], values, i32(4, 4))
    run.fails(op, "of a third sequence", x, places + np.array([1, 0]), values, i32(4, 4))
    run.fails(op, "fewer places", x, places[1:], values, i32(4, 4))
    run.fails(op, "two axes", x[0], places, values, i32(4, 4))


def decoder(run):
    op = "CTCGreedyDecoder"
    for shape, lengths in (((5, 3, 4), (5, 4, 0)), ((9, 2, 2), (9, 7)), ((4, 1, 3), (0,))):
        for merge in (True, False):
            for blank in (-1, 0):
                for dtype in (f32, f64):
                    case = f"{np.dtype(dtype).name} {list(shape)}, blank {blank}{', merged' if merge else ''}"
                    attrs = {"merge_repeated": merge, "blank_index": blank}
                    x = logits(*shape).astype(dtype)
                    run.add(op, case, x, np.array(lengths, np.int32), grad=False, reference=False, **attrs)
    run.add(op, "ties", np.zeros([3, 1, 2], f32), i32(3), grad=False, reference=False)
    run.fails(op, "too many steps", logits(3, 2, 2), i32(4, 1))
    run.fails(op, "three lengths", logits(3, 2, 2), i32(1, 1, 1))
    run.fails(op, "two axes", logits(3, 2), i32(1, 1))
