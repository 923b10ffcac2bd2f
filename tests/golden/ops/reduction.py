"""Reductions, scans, products of matrices, softmax and its losses."""

import numpy as np
import tensorflow as tf

from fixture import stream
from samples import FLOATS, INTEGERS, bf16, distinct, draw, extremes, f16, f32, f64, i32, label, name


def axes(values):
    return np.array(values, np.int32)


REDUCED = [
    ((), []),
    ((5,), 0),
    ((5,), [-1]),
    ((3, 4), [0]),
    ((3, 4), [1]),
    ((3, 4), -1),
    ((3, 4), [0, 1]),
    ((3, 4), []),
    ((2, 3, 4), [0, 2]),
    ((2, 3, 4), [1]),
    ((2, 3, 4), [-1, -3]),
    ((2, 3, 4), [0, 1, 2]),
    ((2, 2, 3, 2), [1, 3]),
    ((2, 2, 3, 2), [0, 2]),
    ((1, 4, 1), [0, 2]),
    ((0, 3), [0]),
    ((0, 3), [1]),
    ((2, 0, 3), [1]),
    ((2, 0, 3), [0, 1, 2]),
]


def reductions(run):
    for op in ("Sum", "Mean", "Prod", "Max", "Min"):
        rng = stream(op)

        def values(shape, dtype):
            return distinct(rng, shape, dtype) if op in ("Max", "Min") else draw(rng, shape, dtype, -2, 2, (0,))

        for shape, axis in REDUCED:
            for dtype in (f32, f64):
                run.add(op, f"{label(dtype, shape)} axis {axis}", values(shape, dtype), axes(axis))
            run.add(op, f"{label(f32, shape)} axis {axis} keep_dims", values(shape, f32), axes(axis), keep_dims=True)
        for dtype in (f16, bf16):
            for shape, axis in REDUCED[3:9]:
                run.add(op, f"{label(dtype, shape)} axis {axis}", values(shape, dtype), axes(axis))
            run.add(op, f"{label(dtype, (2, 0))} axis 1", values((2, 0), dtype), axes(1))
        for dtype in INTEGERS:
            x = (np.arange(12).reshape(3, 4) % 5 + 1).astype(dtype)
            run.add(op, f"{label(dtype, (3, 4))} axis [1]", x, axes([1]))
            run.add(op, f"{label(dtype, (3, 4))} axis [0] keep_dims", x, axes([0]), keep_dims=True)
            if op != "Mean":  # An integer mean of nothing divides by zero.
                run.add(op, f"{label(dtype, (0, 2))} axis [0]", np.zeros((0, 2), dtype), axes([0]))
                run.add(op, f"{name(dtype)} extremes", extremes(dtype), axes([0]))
        run.add(op, "float32 [3,4] int64 axis", values((3, 4), f32), np.array([0], np.int64))
        run.add(
            op,
            "float32 three nan and inf rows",
            np.array([[1, np.nan, 2], [np.inf, 1, -np.inf], [np.inf, 1, 2]], f32),
            axes([1]),
            grad=False,
        )
        run.add(
            op, "float32 nan first, nan last", np.array([[np.nan, 1, 2], [1, 2, np.nan]], f32), axes([1]), grad=False
        )
        run.add(op, "float64 signed zeros", np.array([[0.0, -0.0], [-0.0, -0.0]]), axes([1]), grad=False)
        run.add(
            op,
            "float32 [1000] axis 0",
            draw(rng, (1000,), f32, 0.98, 1.02) if op == "Prod" else draw(rng, (1000,), f32, -1, 1),
            axes(0),
            grad=False,
        )
        if op in ("Sum", "Mean"):
            run.add(
                op,
                "float32 [1000] of one sign and many magnitudes",
                np.exp(draw(rng, (1000,), f64, -8, 8)).astype(f32),
                axes(0),
                grad=False,
            )
            run.add(op, "float32 [7,101] axis 0", draw(rng, (7, 101), f32, -1, 1), axes(0), grad=False)
            run.add(op, "float32 [101,7] axis 0", draw(rng, (101, 7), f32, -1, 1), axes(0), grad=False)
            run.add(op, "float32 [5,67,3] axis 1", draw(rng, (5, 67, 3), f32, -1, 1), axes(1), grad=False)
            run.add(op, "float32 [5,67,3] axis [0, 2]", draw(rng, (5, 67, 3), f32, -1, 1), axes([0, 2]), grad=False)
            run.add(op, "float16 [300] axis 0", draw(rng, (300,), f16, 0, 1), axes(0), grad=False)
            run.add(op, "bfloat16 [300] axis 0", draw(rng, (300,), bf16, 0, 1), axes(0), grad=False)
        if op in ("Max", "Min"):
            for dtype in (f32, f64):
                run.add(
                    op, f"{name(dtype)} ties", np.array([[1, 3, 3, 2], [2, 2, 2, 2], [-1, -1, 0, 0]], dtype), axes([1])
                )
        if op == "Prod":
            for dtype in (f32, f64):
                run.add(
                    op,
                    f"{name(dtype)} one zero and two zeros in a row",
                    np.array([[1, 0, 3], [0, 2, 0], [2, 3, 4]], dtype),
                    axes([1]),
                )
                run.add(
                    op,
                    f"{name(dtype)} zeros, axes [0, 2]",
                    np.array([[[1, 0], [3, 2]], [[2, 2], [0, 0]]], dtype),
                    axes([0, 2]),
                )
        run.fails(op, "axis beyond the rank", np.ones((2, 3), f32), axes([2]))
        run.fails(op, "axis below the rank", np.ones((2, 3), f32), axes([-3]))
        run.fails(op, "an axis twice", np.ones((2, 3), f32), axes([0, 0]))
        run.fails(op, "an axis twice, once negative", np.ones((2, 3), f32), axes([1, -1]))
        run.fails(op, "axis of a scalar", np.array(1, f32), axes([0]))
        run.add(op, "float32 [2,3,2] axes of rank 2", values((2, 3, 2), f32), axes([[0], [1]]))
        run.fails(op, "bool refused", np.ones((2, 3), bool), axes([0]))
        run.fails(op, "float32 axis", np.ones((2, 3), f32), np.array([0], f32))
    for op in ("All", "Any"):
        rng = stream(op)
        for shape, axis in REDUCED:
            x = rng.randint(0, 4, size=shape) > (0 if op == "All" else 2)
            run.add(op, f"{list(shape)} axis {axis}", np.asarray(x, bool), axes(axis))
            run.add(op, f"{list(shape)} axis {axis} keep_dims", np.asarray(x, bool), axes(axis), keep_dims=True)
        run.fails(op, "axis beyond the rank", np.ones((2, 3), bool), axes([2]))
        run.fails(op, "int32 refused", np.ones((2, 3), np.int32), axes([0]))


def positions(run):
    for op in ("ArgMax", "ArgMin"):
        rng = stream(op)
        for dtype in FLOATS:
            run.add(op, f"{label(dtype, (3, 4))} axis 0", distinct(rng, (3, 4), dtype), i32(0)[0])
            run.add(op, f"{label(dtype, (3, 4))} axis -1", distinct(rng, (3, 4), dtype), i32(-1)[0])
        for shape, axis in [((5,), 0), ((2, 3, 4), 1), ((2, 3, 4), -3), ((2, 3, 4), 2), ((0, 3), 1), ((2, 2, 3, 2), 2)]:
            run.add(op, f"{label(f32, shape)} axis {axis}", distinct(rng, shape, f32), i32(axis)[0])
            run.add(
                op,
                f"{label(f32, shape)} axis {axis} int32 output",
                distinct(rng, shape, f32),
                i32(axis)[0],
                output_type=tf.int32,
            )
        for dtype in INTEGERS:
            run.add(
                op,
                f"{label(dtype, (2, 5))} axis 1",
                np.array([[3, 1, 4, 1, 5], [9, 2, 6, 5, 9]], dtype),
                np.array(1, np.int64),
            )
        run.add(op, "bool", np.array([[False, True, True], [True, False, False]]), i32(1)[0])
        run.add(op, "float32 ties", np.array([[1, 3, 3, 2], [2, 2, 2, 2]], f32), i32(1)[0])
        run.add(op, "float32 nan first", np.array([np.nan, 1, 2], f32), i32(0)[0])
        run.add(
            op, "float32 nan inside", np.array([[1, np.nan, 2, 0], [np.nan, np.nan, -np.inf, np.inf]], f32), i32(1)[0]
        )
        run.add(op, "float32 infinities", np.array([-np.inf, np.inf, np.inf, -np.inf], f32), i32(0)[0])
        run.add(op, "float64 signed zeros", np.array([-0.0, 0.0, -0.0]), i32(0)[0])
        run.fails(op, "axis beyond the rank", np.ones((2, 3), f32), i32(2)[0])
        run.fails(op, "axis below the rank", np.ones((2, 3), f32), i32(-3)[0])
        run.fails(op, "over an empty axis", np.zeros((2, 0), f32), i32(1)[0])
        run.fails(op, "axis of rank 1 with two entries", np.ones((2, 3), f32), i32(0, 1))
        run.fails(op, "a scalar", np.array(1, f32), i32(0)[0])


def scans(run):
    for op in ("Cumsum", "Cumprod"):
        rng = stream(op)
        for shape, axis in [
            ((5,), 0),
            ((3, 4), 0),
            ((3, 4), -1),
            ((2, 3, 4), 1),
            ((2, 3, 4), -3),
            ((0, 3), 0),
            ((2, 0), 1),
            ((1,), 0),
        ]:
            for exclusive in (False, True):
                for reverse in (False, True):
                    flags = (" exclusive" if exclusive else "") + (" reverse" if reverse else "")
                    x = draw(rng, shape, f32, -2, 2, (0,))
                    run.add(
                        op,
                        f"{label(f32, shape)} axis {axis}{flags}",
                        x,
                        i32(axis)[0],
                        exclusive=exclusive,
                        reverse=reverse,
                    )
                    if shape == (3, 4):
                        run.add(
                            op,
                            f"{label(f64, shape)} axis {axis}{flags}",
                            x.astype(f64),
                            i32(axis)[0],
                            exclusive=exclusive,
                            reverse=reverse,
                        )
        for dtype in (f16, bf16):
            run.add(op, f"{label(dtype, (2, 6))} axis 1", draw(rng, (2, 6), dtype, -2, 2, (0,)), i32(1)[0])
        for dtype in INTEGERS:
            run.add(
                op,
                f"{label(dtype, (2, 4))} axis 1",
                np.array([[1, 2, 3, 4], [5, 6, 7, 100]], dtype),
                np.array(1, np.int64),
            )
        run.add(op, "float32 with a nan", np.array([1, np.nan, 2], f32), i32(0)[0], grad=False)
        run.add(op, "float32 [300] axis 0", draw(rng, (300,), f32, 0.97, 1.03), i32(0)[0], grad=False)
        run.fails(op, "axis of a scalar", np.array(2, f32), i32(0)[0])
        run.fails(op, "axis beyond the rank", np.ones((2, 3), f32), i32(2)[0])
        run.fails(op, "axis of rank 1", np.ones((2, 3), f32), i32(0, 1))
        run.fails(op, "bool refused", np.ones(3, bool), i32(0)[0])


def products(run):
    rng = stream("MatMul")
    for m, k, n in [(2, 3, 4), (1, 1, 1), (1, 5, 3), (4, 3, 1), (17, 33, 9), (0, 3, 2), (2, 0, 3), (2, 3, 0)]:
        for ta in (False, True):
            for tb in (False, True):
                big = m * k * n > 1000
                for dtype in (f32, f64, f16, bf16) if (m, k, n) in ((2, 3, 4), (17, 33, 9)) else (f32,):
                    a = draw(rng, (k, m) if ta else (m, k), dtype, -2, 2)
                    b = draw(rng, (n, k) if tb else (k, n), dtype, -2, 2)
                    flags = (" transpose_a" if ta else "") + (" transpose_b" if tb else "")
                    run.add(
                        "MatMul",
                        label(dtype, a.shape, b.shape) + flags,
                        a,
                        b,
                        grad=not big or dtype is f32,
                        transpose_a=ta,
                        transpose_b=tb,
                    )
    for dtype in (np.int32, np.int64, np.uint8):
        run.add(
            "MatMul",
            label(dtype, (2, 3), (3, 2)),
            np.arange(6).reshape(2, 3).astype(dtype),
            np.arange(6).reshape(3, 2).astype(dtype),
        )
    run.add(
        "MatMul",
        "float32 nan and inf",
        np.array([[1, np.nan], [np.inf, 0]], f32),
        np.array([[1, 2], [0, 1]], f32),
        grad=False,
    )
    run.add(
        "MatMul",
        "float32 [3,300] [300,2]",
        draw(rng, (3, 300), f32, -1, 1),
        draw(rng, (300, 2), f32, -1, 1),
        grad=False,
    )
    run.add(
        "MatMul",
        "float32 [1,257] [257,1]",
        draw(rng, (1, 257), f32, -1, 1),
        draw(rng, (257, 1), f32, -1, 1),
        grad=False,
    )
    run.add(
        "MatMul",
        "float32 [65,20] [20,70]",
        draw(rng, (65, 20), f32, -1, 1),
        draw(rng, (20, 70), f32, -1, 1),
        grad=False,
    )
    run.fails("MatMul", "inner sizes 3 and 4", np.ones((2, 3), f32), np.ones((4, 2), f32))
    run.fails("MatMul", "inner sizes 4 and 3, the seed's", np.ones((1, 4), f32), np.ones((3, 3), f32))
    run.fails("MatMul", "inner sizes after transpose_a", np.ones((2, 3), f32), np.ones((3, 2), f32), transpose_a=True)
    run.fails("MatMul", "rank 1", np.ones(3, f32), np.ones((3, 2), f32))
    run.fails("MatMul", "rank 3", np.ones((1, 2, 3), f32), np.ones((3, 2), f32))
    run.fails("MatMul", "float32 with float64", np.ones((2, 3), f32), np.ones((3, 2), f64))
    run.fails("MatMul", "bool refused", np.ones((2, 3), bool), np.ones((3, 2), bool))

    rng = stream("BatchMatMulV2")
    for xs, ys in [
        ((2, 3), (3, 4)),
        ((2, 2, 3), (2, 3, 4)),
        ((2, 2, 3), (3, 4)),
        ((3, 2), (4, 2, 5)),
        ((2, 1, 2, 3), (3, 3, 2)),
        ((1, 2, 3), (5, 3, 1)),
        ((0, 2, 3), (1, 3, 2)),
        ((2, 2, 0), (2, 0, 3)),
        ((2, 0, 3), (3, 2)),
        ((2, 1, 1, 2, 2), (1, 3, 1, 2, 2)),
    ]:
        for ax in (False, True):
            for ay in (False, True):
                if (ax or ay) and xs not in ((2, 2, 3), (2, 1, 2, 3)):
                    continue
                x = draw(rng, xs[:-2] + ((xs[-1], xs[-2]) if ax else xs[-2:]), f32, -2, 2)
                y = draw(rng, ys[:-2] + ((ys[-1], ys[-2]) if ay else ys[-2:]), f32, -2, 2)
                flags = (" adj_x" if ax else "") + (" adj_y" if ay else "")
                run.add("BatchMatMulV2", label(f32, x.shape, y.shape) + flags, x, y, adj_x=ax, adj_y=ay)
                if xs == (2, 2, 3):
                    for dtype in (f64, f16, bf16):
                        run.add(
                            "BatchMatMulV2",
                            label(dtype, x.shape, y.shape) + flags,
                            x.astype(dtype),
                            y.astype(dtype),
                            adj_x=ax,
                            adj_y=ay,
                        )
    for dtype in (np.int32, np.int64):
        run.add(
            "BatchMatMulV2",
            label(dtype, (2, 1, 3), (3, 2)),
            np.arange(6).reshape(2, 1, 3).astype(dtype),
            np.arange(6).reshape(3, 2).astype(dtype),
        )
    run.add(
        "BatchMatMulV2",
        "float32 [3,17,33] [3,33,9]",
        draw(rng, (3, 17, 33), f32, -1, 1),
        draw(rng, (3, 33, 9), f32, -1, 1),
        grad=False,
    )
    run.fails("BatchMatMulV2", "inner sizes 3 and 4", np.ones((2, 2, 3), f32), np.ones((2, 4, 2), f32))
    run.fails("BatchMatMulV2", "batches 2 and 3", np.ones((2, 2, 3), f32), np.ones((3, 3, 2), f32))
    run.fails("BatchMatMulV2", "rank 1", np.ones(3, f32), np.ones((3, 2), f32))

    rng = stream("BiasAdd")
    for shape, bias, layout in [
        ((2, 3), 3, "NHWC"),
        ((2, 4, 3), 3, "NHWC"),
        ((2, 2, 2, 3), 3, "NHWC"),
        ((2, 1, 2, 2, 3), 3, "NHWC"),
        ((0, 3), 3, "NHWC"),
        ((2, 0), 0, "NHWC"),
        ((2, 3), 3, "NCHW"),
        ((2, 3, 4), 3, "NCHW"),
        ((2, 3, 2, 2), 3, "NCHW"),
        ((2, 3, 2, 1, 2), 3, "NCHW"),
    ]:
        for dtype in FLOATS if shape in ((2, 4, 3), (2, 3, 2, 2)) else (f32, f64):
            x = draw(rng, shape, dtype, -2, 2)
            run.add(
                "BiasAdd", f"{label(dtype, shape)} {layout}", x, draw(rng, (bias,), dtype, -2, 2), data_format=layout
            )
            run.add("BiasAddGrad", f"{label(dtype, shape)} {layout}", x, data_format=layout)
    run.add("BiasAdd", "int32 [2,3] NHWC", np.arange(6).reshape(2, 3).astype(np.int32), i32(1, 2, 3))
    run.fails("BiasAdd", "bias of another length", np.ones((2, 3), f32), np.ones(2, f32))
    run.fails("BiasAdd", "bias of rank 2", np.ones((2, 3), f32), np.ones((1, 3), f32))
    run.fails("BiasAdd", "value of rank 1", np.ones(3, f32), np.ones(3, f32))
    run.fails("BiasAdd", "NCHW bias of another length", np.ones((2, 3, 4), f32), np.ones(4, f32), data_format="NCHW")
    run.fails("BiasAddGrad", "rank 1", np.ones(3, f32))
    run.fails("BiasAdd", "unknown layout", np.ones((2, 3), f32), np.ones(3, f32), data_format="NWHC")

    rng = stream("L2Loss")
    for dtype in FLOATS:
        for shape in ((), (5,), (2, 3), (0,), (2, 0, 3), (2, 2, 2, 2)):
            run.add("L2Loss", label(dtype, shape), draw(rng, shape, dtype, -2, 2))
    run.add("L2Loss", "float32 [1000]", draw(rng, (1000,), f32, -1, 1), grad=False)
    run.add("L2Loss", "float32 inf", np.array([1, np.inf], f32), grad=False)
    run.fails("L2Loss", "int32 refused", i32(1, 2))


def softmaxes(run):
    for op in ("Softmax", "LogSoftmax"):
        rng = stream(op)
        for shape in ((4,), (2, 3), (2, 3, 4), (3, 1), (0, 3), (2, 2, 1, 3), (2, 0)):
            run.add(op, label(f32, shape), draw(rng, shape, f32, -3, 3))
        for dtype in (f64, f16, bf16):
            run.add(op, label(dtype, (2, 5)), draw(rng, (2, 5), dtype, -3, 3))
            run.add(op, label(dtype, (3,)), draw(rng, (3,), dtype, -3, 3))
        for dtype in (f32, f64):
            big = np.array([[1000, 1001, 999], [-1000, -1001, -2000], [1e30, -1e30, 0], [88, -88, 0]], dtype)
            run.add(op, f"{name(dtype)} large logits", big, grad=False)
            run.add(
                op,
                f"{name(dtype)} infinities",
                np.array([[0, -np.inf, 1], [np.inf, 0, 1], [-np.inf, -np.inf, -np.inf], [np.nan, 0, 1]], dtype),
                grad=False,
            )
            run.add(op, f"{name(dtype)} equal logits", np.full((2, 4), 3, dtype))
        run.add(op, "float32 [7,130]", draw(rng, (7, 130), f32, -8, 8), grad=False)
        run.fails(op, "a scalar", np.array(1, f32))
        run.fails(op, "int32 refused", i32(1, 2))

    op = "SoftmaxCrossEntropyWithLogits"
    rng = stream(op)
    for features, labels in [
        ((2, 3), (2, 3)),
        ((1, 1), (1, 1)),
        ((4, 5), (1, 5)),
        ((1, 5), (3, 5)),
        ((0, 3), (0, 3)),
        ((5, 2), (5, 2)),
    ]:
        for dtype in FLOATS if features == (2, 3) else (f32, f64):
            x = draw(rng, features, dtype, -3, 3)
            t = rng.uniform(0.1, 1, size=labels)
            t = (t / t.sum(axis=-1, keepdims=True)).astype(dtype)
            loss = (max(features[0], labels[0]),)
            dy = [(np.arange(loss[0]) % 3 + 1) / 4.0, None]
            run.add(op, f"{label(dtype, features, labels)}", x, t, dy=dy)
            if features == labels:
                run.add(op, f"{label(dtype, features, labels)} both cotangents", x, t)
    onehot = np.eye(4, dtype=f32)[[1, 3, 0]]
    run.add(op, "float32 one-hot labels", draw(rng, (3, 4), f32, -3, 3), onehot, dy=[np.array([1.0, -0.5, 2.0]), None])
    run.add(
        op,
        "float32 large logits",
        np.array([[1000, 0, -1000, 5], [88, -88, 3, 0], [-1e30, 1e30, 0, 0]], f32),
        onehot,
        grad=False,
    )
    run.add(
        op,
        "float32 labels that do not sum to one",
        draw(rng, (2, 3), f32, -3, 3),
        np.array([[1, 2, 0.5], [0, 0, 0]], f32),
        dy=[np.array([1.0, -0.5]), None],
    )
    run.add(
        op,
        "float32 infinite logits",
        np.array([[-np.inf, 0, 1, 2], [np.inf, 0, 0, 0], [0, 0, np.nan, 0]], f32),
        onehot,
        grad=False,
    )
    run.fails(op, "shapes [2,3] and [2,4]", np.ones((2, 3), f32), np.ones((2, 4), f32))
    run.fails(op, "shapes [2,3] and [3,3]", np.ones((2, 3), f32), np.ones((3, 3), f32))
    run.fails(op, "rank 1", np.ones(3, f32), np.ones(3, f32))
    run.fails(op, "rank 3", np.ones((2, 2, 3), f32), np.ones((2, 2, 3), f32))

    op = "SparseSoftmaxCrossEntropyWithLogits"
    rng = stream(op)
    for shape in ((2, 3), (4, 5), (1, 1), (0, 3), (6, 2)):
        for dtype in FLOATS if shape == (4, 5) else (f32, f64):
            for index in (np.int32, np.int64) if shape == (4, 5) else (np.int64,):
                x = draw(rng, shape, dtype, -3, 3)
                t = rng.randint(0, shape[1], size=shape[0]).astype(index)
                run.add(
                    op,
                    f"{label(dtype, shape)} {name(index)} labels",
                    x,
                    t,
                    dy=[(np.arange(shape[0]) % 3 + 1) / 4.0, None],
                )
    run.add(op, "float32 [2,3] both cotangents", draw(rng, (2, 3), f32, -3, 3), i32(2, 0))
    run.add(op, "float32 large logits", np.array([[1000, 0, -1000, 5], [88, -88, 3, 0]], f32), i32(2, 0), grad=False)
    infinite = np.array([[1, -np.inf, 2], [np.inf, 0, 1], [np.nan, 0, 1], [-np.inf, 3, 1]], f32)
    run.add(op, "NaN and infinite logits", infinite, i32(0, 1, 2, 1), grad=False)
    run.fails(op, "label beyond the classes", np.ones((2, 3), f32), i32(0, 3))
    run.fails(op, "label below zero", np.ones((2, 3), f32), i32(-1, 0))
    run.fails(op, "three labels for two rows", np.ones((2, 3), f32), i32(0, 1, 2))
    run.fails(op, "labels of rank 2", np.ones((2, 3), f32), i32(0, 1)[:, None])
    run.fails(op, "logits of rank 1", np.ones(3, f32), i32(0)[0])
    run.fails(op, "no class", np.ones((2, 0), f32), i32(0, 0))


def add(run):
    reductions(run)
    positions(run)
    scans(run)
    products(run)
    softmaxes(run)
