"""Cholesky decompositions, inverses, solutions, determinants, eigenvalues and singular values."""

import numpy as np
import tensorflow as tf

from fixture import stream
from op_runner import call
from samples import f32, f64

FLOATS = (f32, f64)
SQUARES = ([1, 1], [2, 2], [4, 4], [2, 3, 3], [2, 1, 3, 3])


def general(*shape):
    """Well-conditioned, with diagonals of both signs."""
    diagonal = np.zeros(shape)
    for i in range(min(shape[-2:])):
        diagonal[..., i, i] = [2, -3, 2.5, 4][i % 4]
    return diagonal + stream("linalg", *shape).uniform(-1, 1, shape)


def positive(*shape):
    x = stream("positive", *shape).uniform(-1, 1, shape)
    return x @ np.swapaxes(x, -1, -2) + np.eye(shape[-1])


def symmetric(*shape):
    x = general(*shape)
    return x + np.swapaxes(x, -1, -2)


def name(dtype, *shapes):
    return " ".join([np.dtype(dtype).name, *map(str, shapes)])


def add(run):
    cholesky(run)
    inverses(run)
    eigenvalues(run)
    general_eigenvalues(run)
    singular(run)


def cholesky(run):
    for shape in SQUARES:
        for dtype in FLOATS:
            run.add("Cholesky", f"{name(dtype, shape)} symmetric", positive(*shape).astype(dtype))
            l = np.linalg.cholesky(positive(*shape)).astype(dtype)
            dy = stream("dy", *shape).uniform(-1, 1, shape).astype(dtype)
            run.add("CholeskyGrad", name(dtype, shape), l, dy)
    lower = np.tril(positive(3, 3)) + 7 * np.triu(np.ones([3, 3]), 1)
    run.add("Cholesky", "the lower triangle counts", lower, grad=False)
    run.add("Cholesky", "NaN", np.array([[1.0, 0.0], [np.nan, 1.0]]), grad=False)
    run.add("Cholesky", "no rows", np.zeros([2, 0, 0]), grad=False)
    run.add("Cholesky", "no matrices", np.zeros([0, 2, 2]), grad=False)
    run.fails("Cholesky", "not square", np.ones([2, 3]))
    run.fails("Cholesky", "a vector", np.ones([3]))


def inverses(run):
    for shape in SQUARES:
        for dtype in FLOATS:
            x = general(*shape).astype(dtype)
            right = [*shape[:-1], 2]
            b = stream("right", *shape).uniform(-2, 2, right).astype(dtype)
            for adjoint in (False, True):
                words = ", adjoint" if adjoint else ""
                run.add("MatrixInverse", name(dtype, shape) + words, x, adjoint=adjoint)
                run.add("MatrixSolve", name(dtype, shape, right) + words, x, b, adjoint=adjoint)
            run.add("MatrixDeterminant", name(dtype, shape), x)
            run.add("LogMatrixDeterminant", name(dtype, shape), x, dy=[None, np.ones(shape[:-2]) * 0.75])
    for op in ("MatrixInverse", "MatrixDeterminant", "LogMatrixDeterminant"):
        run.add(op, "no rows", np.zeros([2, 0, 0]), grad=False)
        run.add(op, "no matrices", np.zeros([0, 2, 2]), grad=False)
        run.fails(op, "not square", np.ones([2, 3]))
        run.fails(op, "a vector", np.ones([3]))
    singular_one = np.array([[1.0, 2.0], [2.0, 4.0]])
    run.add("MatrixDeterminant", "singular", singular_one, grad=False)
    run.add("LogMatrixDeterminant", "singular", singular_one, grad=False)
    for op in ("MatrixInverse", "MatrixDeterminant", "LogMatrixDeterminant"):
        run.add(op, "NaN", np.array([[1.0, np.nan], [np.nan, 1.0]]), grad=False)
    run.fails("MatrixInverse", "singular", singular_one)
    run.fails("MatrixSolve", "singular", singular_one, np.ones([2, 1]))
    exchanged = np.array([[0.0, 2.0, 0.0], [0.0, 0.0, 3.0], [4.0, 0.0, 0.0]])
    run.add("MatrixInverse", "exchanged rows", exchanged)
    run.add("MatrixDeterminant", "exchanged rows", exchanged)
    run.add("MatrixSolve", "no columns", general(2, 2), np.zeros([2, 0]), grad=False)
    run.add("MatrixSolve", "no rows", np.zeros([0, 0]), np.zeros([0, 3]), grad=False)
    run.fails("MatrixSolve", "not square", general(2, 3), np.ones([2, 1]))
    run.fails("MatrixSolve", "other rows", general(2, 2), np.ones([3, 1]))
    run.fails("MatrixSolve", "other matrices", general(2, 2, 2), np.ones([3, 2, 1]))


def values_alone(run, op, case, x, dy, **attrs):
    """A call without vectors. What TensorFlow gives in their place is one element of garbage, while its inference says
    that there is none; that is what is recorded."""
    row = run.row(op, f"{case}, values alone", [tf.constant(x)], attrs)
    wide = tf.constant(x.astype(f64))
    with tf.GradientTape() as tape:
        tape.watch(wide)
        reference = call(op, [wide], attrs)
    others = len(reference) - 1
    put = run.fixture.put
    row["outputs"] = [put(call(op, [tf.constant(x)], attrs)[0].numpy())] + [put(np.zeros([0], x.dtype))] * others
    row["reference"] = [put(reference[0].numpy())] + [put(np.zeros([0]))] * others
    row["dy"] = [put(dy)] + [None] * others
    row["grads"] = [put(tape.gradient(reference[0], wide, output_gradients=tf.constant(dy)).numpy())]
    run.fixture.cases.append(row)


def eigenvalues(run):
    op = "SelfAdjointEigV2"
    for shape in SQUARES:
        for dtype in FLOATS:
            x = symmetric(*shape).astype(dtype)
            of_values = stream("values", *shape).uniform(-1, 1, shape[:-1])
            # What the sign of an eigenvector is, is open, and so is its gradient's.
            run.add(op, name(dtype, shape), x, dy=[of_values, None])
            values_alone(run, op, name(dtype, shape), x, of_values, compute_v=False)
    lower = np.tril(symmetric(3, 3)) + 7 * np.triu(np.ones([3, 3]), 1)
    run.add(op, "the lower triangle counts", lower, dy=[np.array([1.0, -2.0, 0.5]), None])
    run.add(op, "diagonal", np.diag([3.0, -1.0, 2.0]), grad=False)
    run.add(op, "no matrices", np.zeros([0, 2, 2]), grad=False)
    run.add(op, "no rows", np.zeros([2, 0, 0]), grad=False)
    run.fails(op, "NaN of float64", np.array([[1.0, np.nan], [np.nan, 1.0]]))
    run.fails(op, "not square", np.ones([2, 3]))
    run.fails(op, "a vector", np.ones([3]))


def general_eigenvalues(run):
    """TensorFlow gives them in the order in which it finds them; gradients are in the cases of Keras's functions."""
    op = "Eig"
    for shape in (*SQUARES, [5, 5]):
        x, im = general(*shape), stream("imaginary", *shape).uniform(-2, 2, shape)
        for dtype, wide in ((f32, np.complex64), (f64, np.complex128)):
            run.add(op, name(dtype, shape), x.astype(dtype), Tout=tf.as_dtype(wide))
            run.add(op, name(wide, shape), (x + 1j * im).astype(wide), Tout=tf.as_dtype(wide))
            # TensorFlow gives a scalar in the place of vectors, while its inference says that there is nothing.
            attrs, put = dict(compute_v=False, Tout=tf.as_dtype(wide)), run.fixture.put
            row = run.row(op, f"{name(dtype, shape)}, values alone", [tf.constant(x.astype(dtype))], attrs)
            row["outputs"] = [put(call(op, [tf.constant(x.astype(dtype))], attrs)[0].numpy()), put(np.zeros([0], wide))]
            run.fixture.cases.append(row)
    turn = np.array([[0.0, -2.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 3.0]])
    run.add(op, "a turn", turn, Tout=tf.complex128)
    run.add(op, "no matrices", np.zeros([0, 2, 2]), Tout=tf.complex128)
    run.add(op, "no rows", np.zeros([2, 0, 0]), Tout=tf.complex128)
    run.fails(op, "NaN", np.array([[1.0, np.nan], [np.nan, 1.0]]), Tout=tf.complex128)
    run.fails(op, "infinity", np.array([[1.0, np.inf], [0.0, 1.0]]), Tout=tf.complex128)
    run.fails(op, "not square", np.ones([2, 3]), Tout=tf.complex128)
    run.fails(op, "a vector", np.ones([3]), Tout=tf.complex128)
    run.fails(op, "a scalar", np.float64(1), Tout=tf.complex128)


def singular(run):
    op = "Svd"
    for shape in (*SQUARES, [4, 2], [3, 1], [2, 4], [1, 3], [2, 4, 3], [2, 3, 4]):
        for dtype in FLOATS:
            x = general(*shape).astype(dtype)
            least = min(shape[-2:])
            of_values = stream("values", *shape).uniform(-1, 1, [*shape[:-2], least])
            run.add(op, name(dtype, shape), x, dy=[of_values, None, None])
            near = abs(shape[-1] - shape[-2]) <= 1
            run.add(op, f"{name(dtype, shape)}, full", x, full_matrices=True, grad=near, dy=[of_values, None, None])
            values_alone(run, op, name(dtype, shape), x, of_values, compute_uv=False)
    run.add(op, "of rank one", np.outer([1.0, 2.0, 2.0], [3.0, 4.0]), grad=False)
    run.add(op, "zeros", np.zeros([3, 2]), grad=False)
    run.add(op, "NaN", np.array([[1.0, np.nan], [0.0, 1.0]]), grad=False)
    run.add(op, "no matrices", np.zeros([0, 3, 2]), grad=False)
    run.add(op, "no columns", np.zeros([2, 0]), grad=False)
    values_alone(run, op, "no columns", np.zeros([2, 0]), np.zeros([0]), compute_uv=False)
    run.fails(op, "a vector", np.ones([3]))
