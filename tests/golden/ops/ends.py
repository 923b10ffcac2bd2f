"""What has no elements or no dims, and what holds NaN and infinities, of ops whose other cases have none of it."""

import numpy as np
import tensorflow as tf

from samples import f32, f64

NAN = np.array([1.0, np.nan, -np.inf, 2.0, np.inf, -3.0], f32)


def add(run):
    moved(run)
    summed(run)
    windows(run)
    empty(run)
    texts(run)
    orders(run)


def moved(run):
    x = NAN.reshape(2, 3)
    index, two = np.array([1, 0], np.int32), np.array([2, 3], np.int32)
    pads = np.array([[0, 1], [1, 0]], np.int32)
    moves = {
        "BroadcastTo": ((x[0], two), {}),
        "ConcatV2": (([x, x], np.int32(0)), {}),
        "ExpandDims": ((x, np.int32(0)), {}),
        "Fill": ((two, f32(np.nan)), {}),
        "GatherNd": ((x, np.array([[1], [0]], np.int32)), {}),
        "GatherV2": ((x, index, np.int32(0)), dict(batch_dims=0)),
        "Identity": ((x,), {}),
        "MatrixBandPart": ((x, np.int64(0), np.int64(0)), {}),
        "MirrorPad": ((x, pads), dict(mode="REFLECT")),
        "OneHot": ((np.array([1, 0], np.int32), np.int32(2), f32(np.nan), f32(np.inf)), dict(axis=-1)),
        "Pack": (([x, x],), dict(axis=0)),
        "Pad": ((x, pads), {}),
        "PadV2": ((x, pads, f32(np.nan)), {}),
        "Reshape": ((x, np.array([3, 2], np.int32)), {}),
        "ReverseV2": ((x, np.array([0], np.int32)), {}),
        "Roll": ((x, np.int32(1), np.int32(0)), {}),
        "ScatterNd": ((np.array([[1], [0]], np.int32), x, np.array([3, 3], np.int32)), {}),
        "Slice": ((x, np.array([0, 1], np.int32), np.array([2, 2], np.int32)), {}),
        "Split": ((np.int32(1), x), dict(num_split=3)),
        "StopGradient": ((x,), {}),
        "TensorScatterUpdate": ((x, np.array([[1]], np.int32), x[:1]), {}),
        "Tile": ((x, np.array([1, 2], np.int32)), {}),
        "Transpose": ((x, np.array([1, 0], np.int32)), {}),
        "ZerosLike": ((x,), {}),
        "OnesLike": ((x,), {}),
    }
    for op, (inputs, attrs) in moves.items():
        run.add(op, "NaN and infinities", *inputs, grad=False, **attrs)


def summed(run):
    x = NAN.reshape(2, 3)
    run.add("AddN", "NaN and infinities", [x, x[::-1].copy()], grad=False)
    run.add("BiasAdd", "NaN and infinities", x, NAN[:3], data_format="NHWC", grad=False)
    run.add("BiasAddGrad", "NaN and infinities", x, data_format="NHWC", grad=False)
    run.add("Einsum", "NaN and infinities", [x, x.T.copy()], equation="ij,jk->ik", grad=False)
    run.add("L2Loss", "NaN", x[:1], grad=False)
    run.add("LinSpace", "NaN", f32(np.nan), f32(1), np.int32(3), grad=False)
    run.add("LinSpace", "to infinity", f32(0), f32(np.inf), np.int32(4), grad=False)
    ids = np.array([0, 0, 1], np.int32)
    rows = np.array([[1, np.nan], [np.inf, 2], [-np.inf, 3]], f32)
    for op in ("SegmentSum", "SegmentMean", "SegmentProd"):
        run.add(op, "NaN and infinities of rows", rows, ids, grad=False)
    run.add("UnsortedSegmentSum", "NaN and infinities", rows, ids, np.int32(2), grad=False)
    for op in ("SegmentMax", "SegmentMin"):
        run.add(op, "infinities", np.where(np.isnan(rows), f32(5), rows), ids, grad=False)
    run.add("UnsortedSegmentMin", "infinities", np.where(np.isnan(rows), f32(5), rows), ids, np.int32(2), grad=False)
    run.add("TensorScatterSub", "NaN and infinities", rows, np.array([[1]], np.int32), rows[:1], grad=False)
    lower = np.array([[2.0, 0.0], [1.0, 4.0]])
    b = np.array([[np.nan], [1.0]])
    run.add("MatrixTriangularSolve", "NaN", lower, b, lower=True, adjoint=False, grad=False)


def windows(run):
    image = np.arange(1, 17, dtype=f32).reshape(1, 4, 4, 1)
    image[0, 1, 2, 0], image[0, 3, 0, 0] = np.nan, np.inf
    volume = image.reshape(1, 1, 4, 4, 1)
    taps = np.ones([2, 2, 1, 1], f32)
    plain = dict(strides=[1, 1, 1, 1], padding="VALID")
    pool = dict(ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="VALID", data_format="NHWC")
    deep = dict(ksize=[1, 1, 2, 2, 1], strides=[1, 1, 2, 2, 1], padding="VALID", data_format="NDHWC")
    run.add("AvgPool", "NaN and infinity", image, **pool, grad=False)
    run.add("AvgPool3D", "NaN and infinity", volume, **deep, grad=False, reference=False)
    run.add(
        "Conv2D",
        "NaN and infinity",
        image,
        taps,
        **plain,
        dilations=[1] * 4,
        explicit_paddings=[],
        data_format="NHWC",
        use_cudnn_on_gpu=True,
        grad=False,
    )
    run.add(
        "Conv3D",
        "NaN and infinity",
        volume,
        taps.reshape(1, 2, 2, 1, 1),
        strides=[1] * 5,
        padding="VALID",
        dilations=[1] * 5,
        data_format="NDHWC",
        grad=False,
    )
    run.add(
        "DepthwiseConv2dNative",
        "NaN and infinity",
        image,
        taps,
        **plain,
        dilations=[1] * 4,
        explicit_paddings=[],
        data_format="NHWC",
        grad=False,
    )
    run.add(
        "ExtractImagePatches",
        "NaN and infinity",
        image,
        ksizes=[1, 2, 2, 1],
        strides=[1, 2, 2, 1],
        rates=[1] * 4,
        padding="VALID",
        grad=False,
    )
    block, none = np.array([2, 2], np.int32), np.zeros([2, 2], np.int32)
    run.add("SpaceToBatchND", "NaN and infinity", image, block, none, grad=False)
    run.add("SpaceToDepth", "NaN and infinity", image, block_size=2, data_format="NHWC", grad=False)
    run.add("AvgPool3D", "no images", volume[:0], **deep, grad=False, reference=False)
    run.add("MaxPool3D", "no images", volume[:0], **deep, grad=False, reference=False)


def empty(run):
    x, none = np.ones([2, 3], f32), np.zeros([0, 3], f32)
    run.add("IdentityN", "no elements", [none, x], grad=False)
    run.add("OnesLike", "no elements", none, grad=False)
    run.add("TensorScatterUpdate", "no rows", x, np.zeros([0, 1], np.int32), none, grad=False)
    run.add("Range", "nothing", np.int32(3), np.int32(3), np.int32(1), grad=False)
    run.add("SplitV", "no rows", none, np.array([0, 0], np.int32), np.int32(0), num_split=2, grad=False)
    run.add("CholeskyGrad", "no matrices", np.zeros([0, 2, 2]), np.zeros([0, 2, 2]), grad=False)
    run.add(
        "MatrixDiagV3",
        "no rows",
        np.zeros([0, 2], f32),
        np.int32(0),
        np.int32(-1),
        np.int32(-1),
        f32(0),
        align="RIGHT_LEFT",
        grad=False,
    )


def texts(run):
    one, none = np.array("aB c"), np.zeros([0], "U1")
    for op, attrs in (
        ("StringLength", dict(unit="BYTE")),
        ("StringStrip", {}),
        ("StringToHashBucketFast", dict(num_buckets=7)),
        ("StringToHashBucketStrong", dict(num_buckets=7, key=[1, 2])),
        ("StaticRegexFullMatch", dict(pattern="a.*")),
        ("StaticRegexReplace", dict(pattern="B", rewrite="x", replace_global=True)),
    ):
        run.add(op, "no dims", one, **attrs)
        run.add(op, "no elements", none, **attrs)
    how = dict(precision=-1, scientific=False, shortest=False, width=-1, fill="")
    run.add("AsString", "no dims", np.int32(-7), **how)
    run.add("AsString", "no elements", np.zeros([0, 2], np.int32), **how)
    run.add("StringToNumber", "no dims", np.array("2.5"), out_type=tf.float32)
    run.add("StringToNumber", "no elements", none, out_type=tf.float32)
    run.add("StringToNumber", "NaN and infinities", np.array(["nan", "inf", "-inf"]), out_type=tf.float32)


def orders(run):
    x = np.array([[3, 1, 2, 5], [2, 8, 8, 1]], f32)
    nan = np.array([[np.nan, 1, 2, 3], [1, np.nan, 2, 3], [1, 2, np.nan, 3], [1, 2, 3, np.nan]], f32)
    for k in (1, 2, 4):
        run.add("TopKV2", f"{k}, NaN in each place", nan, np.int32(k), sorted=True, grad=False)
    run.add("TopKV2", "infinities", np.array([np.inf, -np.inf, 1], f32), np.int32(3), sorted=True, grad=False)
    run.add("NthElement", "infinities", np.array([np.inf, -np.inf, 1], f32), np.int32(1), reverse=False, grad=False)
    run.add("Unique", "infinities", np.array([np.inf, -np.inf, np.inf, 1], f32), out_idx=tf.int32, grad=False)
