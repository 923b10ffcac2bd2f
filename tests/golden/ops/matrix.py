"""Matrices as products of simpler ones, and the equations that their gradients solve."""

import numpy as np

from fixture import stream

FLOATS = (np.float32, np.float64, np.float16)


def matrices(*shape):
    """Well-conditioned, with diagonals of both signs."""
    diagonal = np.zeros(shape)
    for i in range(min(shape[-2:])):
        diagonal[..., i, i] = [2, -3, 2.5][i % 3]
    return diagonal + stream("matrices", *shape).uniform(-1, 1, shape)


def add(run):
    triangular(run)
    qr(run)


def triangular(run):
    op = "MatrixTriangularSolve"
    shapes = (([1, 1], [1, 1]), ([3, 3], [3, 2]), ([2, 3, 3], [2, 3, 1]), ([2, 1, 2, 2], [2, 1, 2, 4]))
    broadcast = (([3, 3], [2, 3, 2]), ([2, 3, 3], [3, 2]), ([2, 1, 2, 2], [3, 2, 2]))
    for lower in (True, False):
        for adjoint in (False, True):
            words = f"{'lower' if lower else 'upper'}{', adjoint' if adjoint else ''}"
            for a, b in shapes + broadcast:
                rhs = stream(op, *a, *b).uniform(-2, 2, b)
                for dtype in FLOATS:
                    run.add(
                        op,
                        f"{np.dtype(dtype).name} {a} {b} {words}",
                        matrices(*a).astype(dtype),
                        rhs.astype(dtype),
                        lower=lower,
                        adjoint=adjoint,
                    )
    run.add(op, "no rows", np.zeros([0, 0]), np.zeros([0, 3]))
    run.add(op, "no columns", matrices(2, 2), np.zeros([2, 0]))
    run.add(op, "no matrices", np.zeros([0, 2, 2]), np.zeros([0, 2, 1]))
    run.add(op, "singular", np.array([[1.0, 0.0], [2.0, 0.0]]), np.ones([2, 1]), grad=False)
    run.fails(op, "not square", matrices(2, 3), np.ones([2, 1]))
    run.fails(op, "other rows", matrices(2, 2), np.ones([3, 1]))
    run.fails(op, "a vector", matrices(2, 2), np.ones([2]))


def qr(run):
    op = "Qr"
    for shape in ([1, 1], [3, 3], [4, 3], [5, 2], [4, 1], [2, 3, 3], [2, 2, 4, 3], [6, 6], [2, 3], [1, 4], [2, 3, 5]):
        for dtype in FLOATS:
            name = f"{np.dtype(dtype).name} {shape}"
            x = matrices(*shape).astype(dtype)
            run.add(op, name, x)
            # TensorFlow has no gradient of a full Q with more columns than R has rows that are not zero.
            run.add(op, f"{name} full", x, full_matrices=True, grad=shape[-2] <= shape[-1])
    run.add(op, "one output counts", matrices(4, 3), dy=[None, np.ones([3, 3])])
    run.add(op, "the other counts", matrices(4, 3), dy=[np.ones([4, 3]) / 4 + np.arange(12).reshape(4, 3) / 8, None])
    run.add(op, "no matrices", np.zeros([0, 3, 2]))
    run.fails(op, "a vector", np.ones([3]))
