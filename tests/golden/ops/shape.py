"""Ops that move, select, place or describe elements."""

import numpy as np
import tensorflow as tf

from fixture import stream
from samples import bf16, distinct, draw, f16, f32, f64, i32, label, name

MOVED = (f64, f16, bf16, np.int32, np.int64, np.uint8, np.int8, np.uint64, np.bool_)


def i64(*values):
    return np.array(values, np.int64)


def scalar(value):
    return np.array(value, np.int32)


class Mover:
    """Gradients yes, float64 references no: the outputs are copies of inputs."""

    def __init__(self, run, op):
        self.run, self.op = run, op
        self.rng = stream(op)

    def x(self, *shape, dtype=f32):
        return draw(self.rng, shape, dtype, -4, 4)

    def ok(self, case, *inputs, **attrs):
        self.run.add(self.op, case, *inputs, reference=False, **attrs)

    def bad(self, case, *inputs, **attrs):
        self.run.fails(self.op, case, *inputs, **attrs)

    def dtypes(self, *rest, **attrs):
        """The same move of a [2,3] tensor in every other dtype, strings too."""
        for dtype in MOVED:
            self.ok(label(dtype, (2, 3)), np.arange(6).reshape(2, 3).astype(dtype), *rest, **attrs)
        self.ok("string [2,3]", np.array([["a", "bc", ""], ["d", "é", "f"]]), *rest, **attrs)


def layout(run):
    m = Mover(run, "Reshape")
    for shape, to in [
        ((2, 3), (3, 2)),
        ((2, 3), (6,)),
        ((2, 3), (-1,)),
        ((2, 3, 4), (4, -1)),
        ((1,), ()),
        ((), (1, 1)),
        ((0, 3), (3, 0)),
        ((0, 3), (0, -1)),
        ((2, 3, 4), (2, 3, 4)),
        ((2, 2, 3, 2), (-1, 3, 4)),
        ((0,), (2, 0, 5)),
    ]:
        m.ok(f"{label(f32, shape)} to {list(to)}", m.x(*shape), i32(*to))
    m.ok("float32 [2,3] to [3, 2], int64", m.x(2, 3), i64(3, 2))
    m.dtypes(i32(3, -1))
    m.bad("another size", m.x(2, 3), i32(4, 2))
    m.bad("two unknown", m.x(2, 3), i32(-1, -1))
    m.bad("unknown that does not divide", m.x(2, 3), i32(4, -1))
    m.bad("negative size", m.x(2, 3), i32(-2, -3))
    m.bad("shape of rank 2", m.x(2, 3), np.array([[3, 2]], np.int32))
    m.bad("unknown beside zero", m.x(2, 3), i32(0, -1))
    m.bad("float32 shape", m.x(2, 3), np.array([3, 2], f32))

    m = Mover(run, "Transpose")
    for shape, perm in [
        ((2, 3), (1, 0)),
        ((2, 3), (0, 1)),
        ((2, 3, 4), (2, 0, 1)),
        ((2, 3, 4), (0, 2, 1)),
        ((2, 3, 4), (1, 0, 2)),
        ((), ()),
        ((5,), (0,)),
        ((2, 2, 3, 2), (3, 1, 0, 2)),
        ((0, 3), (1, 0)),
        ((1, 3, 1), (2, 1, 0)),
        ((2, 1, 3, 2, 2), (4, 0, 3, 1, 2)),
    ]:
        m.ok(f"{label(f32, shape)} by {list(perm)}", m.x(*shape), i32(*perm))
    m.ok("float32 [2,3] by [1, 0], int64", m.x(2, 3), i64(1, 0))
    m.ok("float32 [2,3,4] by [-1, 0, 1]", m.x(2, 3, 4), i32(-1, 0, 1), grad=False)  # TensorFlow's gradient refuses it.
    m.dtypes(i32(1, 0))
    m.bad("too few axes", m.x(2, 3), i32(0))
    m.bad("an axis twice", m.x(2, 3), i32(0, 0))
    m.bad("axis beyond the rank", m.x(2, 3), i32(0, 2))

    m = Mover(run, "ExpandDims")
    for shape, axis in [
        ((2, 3), 0),
        ((2, 3), 1),
        ((2, 3), 2),
        ((2, 3), -1),
        ((2, 3), -3),
        ((), 0),
        ((), -1),
        ((0,), 0),
    ]:
        m.ok(f"{label(f32, shape)} axis {axis}", m.x(*shape), scalar(axis))
    m.ok("float32 [2] axis of shape [1], int64", m.x(2), i64(1))
    m.dtypes(scalar(1))
    m.bad("axis beyond the rank", m.x(2, 3), scalar(3))
    m.bad("axis below the rank", m.x(2, 3), scalar(-4))
    m.bad("two axes", m.x(2, 3), i32(0, 1))

    m = Mover(run, "Squeeze")
    for shape, axes in [
        ((1, 3, 1), []),
        ((1, 3, 1), [0]),
        ((1, 3, 1), [-1]),
        ((1, 3, 1), [0, 2]),
        ((1, 3, 1), [2, 0]),
        ((2, 3), []),
        ((1, 1), []),
        ((), []),
        ((1, 0), [0]),
    ]:
        m.ok(f"{label(f32, shape)} axes {axes}", m.x(*shape), squeeze_dims=axes)
    m.ok("int32 [1,2]", np.array([[1, 2]], np.int32))
    m.ok("string [1,2]", np.array([["a", "b"]]))
    m.bad("axis of size 3", m.x(1, 3), squeeze_dims=[1])
    m.bad("axis beyond the rank", m.x(1, 3), squeeze_dims=[2])
    m.bad("axis below the rank", m.x(1, 3), squeeze_dims=[-3])

    m = Mover(run, "BroadcastTo")
    for shape, to in [
        ((), (2, 3)),
        ((3,), (2, 3)),
        ((2, 1), (2, 3)),
        ((1,), (0,)),
        ((2, 3), (2, 3)),
        ((1, 3, 1), (4, 2, 3, 2)),
        ((1, 1), (1, 1)),
        ((0, 1), (0, 3)),
        ((), ()),
    ]:
        m.ok(f"{label(f32, shape)} to {list(to)}", m.x(*shape), i32(*to))
    m.ok("float32 [3] to [2, 3], int64", m.x(3), i64(2, 3))
    m.dtypes(i32(4, 2, 3))
    m.bad("[2] to [3]", m.x(2), i32(3))
    m.bad("[2,3] to [3]", m.x(2, 3), i32(3))
    m.bad("negative size", m.x(2), i32(-1, 2))

    m = Mover(run, "Tile")
    for shape, times in [
        ((2, 3), (1, 2)),
        ((2, 3), (2, 1)),
        ((2, 3), (2, 3)),
        ((2,), (0,)),
        ((), ()),
        ((2, 1, 3), (1, 4, 2)),
        ((0, 2), (3, 2)),
        ((1, 2, 1, 2), (2, 1, 3, 2)),
    ]:
        m.ok(f"{label(f32, shape)} by {list(times)}", m.x(*shape), i32(*times))
    m.ok("float32 [2] by [3], int64", m.x(2), i64(3))
    m.dtypes(i32(2, 2))
    m.bad("too few multiples", m.x(2, 3), i32(2))
    m.bad("negative multiple", m.x(2), i32(-1))

    m = Mover(run, "ReverseV2")
    for shape, axes in [
        ((5,), [0]),
        ((2, 3), [0]),
        ((2, 3), [1]),
        ((2, 3), [-1]),
        ((2, 3), [0, 1]),
        ((2, 3), []),
        ((2, 3, 4), [0, 2]),
        ((0, 3), [1]),
        ((), []),
        ((2, 2, 2, 2), [1, -1]),
    ]:
        m.ok(f"{label(f32, shape)} axes {axes}", m.x(*shape), np.array(axes, np.int32))
    m.dtypes(i32(1))
    m.bad("axis beyond the rank", m.x(2, 3), i32(2))
    m.bad("an axis twice", m.x(2, 3), i32(0, 0))
    m.bad("an axis twice, once negative", m.x(2, 3), i32(1, -1))


def joining(run):
    m = Mover(run, "ConcatV2")
    for shapes, axis in [
        ([(2,), (3,)], 0),
        ([(2, 3), (1, 3)], 0),
        ([(2, 3), (2, 1), (2, 2)], 1),
        ([(2, 3), (2, 3)], -1),
        ([(2, 1, 3), (2, 2, 3)], -2),
        ([(0, 3), (2, 3)], 0),
        ([(2, 0), (2, 0)], 1),
        ([(2,), (0,), (1,)], 0),
        ([(2, 2, 1, 3), (2, 2, 2, 3)], 2),
    ]:
        m.ok(f"{label(f32, *shapes)} axis {axis}", [m.x(*s) for s in shapes], scalar(axis))
    m.ok("float32 [1] [2] int64 axis", [m.x(1), m.x(2)], np.array(0, np.int64))
    for dtype in MOVED:
        m.ok(
            f"{label(dtype, (2, 2), (2, 1))} axis 1",
            [np.arange(4).reshape(2, 2).astype(dtype), np.ones((2, 1), dtype)],
            scalar(1),
        )
    m.ok("string [1] [2]", [np.array(["a"]), np.array(["b", "c"])], scalar(0))
    m.bad("other sizes", [m.x(2, 3), m.x(2, 4)], scalar(0))
    m.bad("other ranks", [m.x(2, 3), m.x(2)], scalar(0))
    m.bad("axis beyond the rank", [m.x(2), m.x(2)], scalar(1))
    m.bad("scalars", [m.x(), m.x()], scalar(0))
    m.ok("float32 [2] [2] axis of shape [1]", [m.x(2), m.x(2)], i32(0))
    m.bad("float32 with float64", [m.x(2), m.x(2, dtype=f64)], scalar(0))

    m = Mover(run, "Pack")
    for shapes, axis in [
        ([(2,), (2,)], 0),
        ([(2,), (2,)], 1),
        ([(2, 3)] * 3, -1),
        ([(2, 3)] * 2, 1),
        ([(2, 3)] * 2, -3),
        ([(), (), ()], 0),
        ([(0,)] * 2, 0),
        ([(2,)], 0),
    ]:
        m.ok(f"{label(f32, *shapes)} axis {axis}", [m.x(*s) for s in shapes], axis=axis)
    for dtype in MOVED:
        m.ok(f"{label(dtype, (3,), (3,))} axis 1", [np.arange(3).astype(dtype), np.ones(3, dtype)], axis=1)
    m.ok("string [] []", [np.array("a"), np.array("b")])
    m.bad("other shapes", [m.x(2), m.x(3)])
    m.bad("axis beyond the rank", [m.x(2), m.x(2)], axis=2)
    m.bad("axis below the rank", [m.x(2), m.x(2)], axis=-3)

    m = Mover(run, "Unpack")
    for shape, axis, num in [
        ((3,), 0, 3),
        ((2, 3), 0, 2),
        ((2, 3), 1, 3),
        ((2, 3), -1, 3),
        ((2, 3, 2), 1, 3),
        ((2, 0), 0, 2),
        ((0, 2), 0, 0),
        ((1,), 0, 1),
    ]:
        m.ok(f"{label(f32, shape)} axis {axis}", m.x(*shape), num=num, axis=axis)
    m.ok("int32 [2,2]", np.arange(4).reshape(2, 2).astype(np.int32), num=2, axis=1)
    m.ok("string [2]", np.array(["a", "b"]), num=2)
    m.bad("another number", m.x(2, 3), num=3)
    m.bad("a scalar", m.x(), num=1)
    m.bad("axis beyond the rank", m.x(2, 3), num=2, axis=2)

    m = Mover(run, "Split")
    for shape, axis, num in [
        ((6,), 0, 3),
        ((2, 4), 1, 2),
        ((2, 4), -1, 4),
        ((2, 4), 0, 1),
        ((4, 2, 3), 0, 2),
        ((2, 4, 3), 1, 2),
        ((0, 4), 1, 2),
        ((0,), 0, 3),
    ]:
        m.ok(f"{label(f32, shape)} axis {axis} in {num}", scalar(axis), m.x(*shape), num_split=num)
    for dtype in MOVED:
        m.ok(f"{label(dtype, (2, 4))} axis 1 in 2", scalar(1), np.arange(8).reshape(2, 4).astype(dtype), num_split=2)
    m.bad("a size that does not divide", scalar(0), m.x(5), num_split=2)
    m.bad("axis beyond the rank", scalar(1), m.x(4), num_split=2)
    m.bad("a scalar", scalar(0), m.x(), num_split=1)
    m.bad("in none", scalar(0), m.x(4), num_split=0)

    m = Mover(run, "SplitV")
    for shape, sizes, axis in [
        ((6,), (1, 2, 3), 0),
        ((2, 5), (2, -1), 1),
        ((2, 5), (-1, 2, 1), -1),
        ((4, 2), (4,), 0),
        ((4, 2), (0, 4), 0),
        ((2, 4, 3), (1, 3), 1),
        ((5,), (0, -1, 5), 0),
    ]:
        m.ok(
            f"{label(f32, shape)} axis {axis} in {list(sizes)}",
            m.x(*shape),
            i32(*sizes),
            scalar(axis),
            num_split=len(sizes),
        )
    m.ok("float32 [6] int64 sizes", m.x(6), i64(2, 4), scalar(0), num_split=2)
    m.ok("int64 [2,3]", np.arange(6).reshape(2, 3), i32(1, 2), scalar(1), num_split=2)
    m.bad("sizes that do not add up", m.x(6), i32(1, 2), scalar(0), num_split=2)
    m.bad("two unknown", m.x(6), i32(-1, -1), scalar(0), num_split=2)
    m.bad("more sizes than outputs", m.x(6), i32(1, 2, 3), scalar(0), num_split=2)
    m.bad("axis beyond the rank", m.x(6), i32(2, 4), scalar(1), num_split=2)
    m.bad("unknown below zero", m.x(3), i32(4, -1), scalar(0), num_split=2)


def slicing(run):
    m = Mover(run, "Slice")
    for shape, begin, size in [
        ((5,), (1,), (3,)),
        ((5,), (2,), (-1,)),
        ((2, 3), (0, 1), (2, 2)),
        ((2, 3), (1, 0), (-1, -1)),
        ((2, 3), (2, 0), (0, 3)),
        ((2, 3, 4), (0, 1, 2), (1, -1, 2)),
        ((), (), ()),
        ((0, 3), (0, 1), (0, 2)),
        ((2, 2, 3, 2), (1, 0, 1, 0), (1, 2, 2, 1)),
        ((5,), (5,), (0,)),
    ]:
        m.ok(f"{label(f32, shape)} from {list(begin)} size {list(size)}", m.x(*shape), i32(*begin), i32(*size))
    m.ok("float32 [5] int64", m.x(5), i64(1), i64(2))
    m.dtypes(i32(0, 1), i32(2, 2))
    m.bad("beyond the end", m.x(5), i32(3), i32(3))
    m.bad("begin beyond the end", m.x(5), i32(6), i32(-1))
    m.bad("negative begin", m.x(5), i32(-1), i32(1))
    m.bad("size below -1", m.x(5), i32(0), i32(-2))
    m.bad("too few begins", m.x(2, 3), i32(0), i32(1))

    m = Mover(run, "StridedSlice")
    s = np.s_
    for shape, index in [
        ((5,), s[1:4]),
        ((5,), s[:3]),
        ((5,), s[2:]),
        ((5,), s[:]),
        ((5,), s[::2]),
        ((5,), s[1::2]),
        ((5,), s[::-1]),
        ((5,), s[3:0:-1]),
        ((5,), s[::-2]),
        ((5,), s[4:1:-2]),
        ((5,), s[-3:]),
        ((5,), s[:-1]),
        ((5,), s[-4:-1]),
        ((5,), s[3:1]),
        ((5,), s[1:3:-1]),
        ((5,), s[10:]),
        ((5,), s[:10]),
        ((5,), s[-10:2]),
        ((5,), s[10::-1]),
        ((5,), s[:-10:-1]),
        ((5,), s[2]),
        ((5,), s[-1]),
        ((5,), s[None]),
        ((5,), s[None, 1:3]),
        ((5,), s[1:3, None]),
        ((5,), s[...]),
        ((5,), s[..., None]),
        ((5,), s[None, ..., None]),
        ((5,), s[0:0]),
        ((5,), s[::7]),
        ((3, 4), s[1]),
        ((3, 4), s[:, 1]),
        ((3, 4), s[1, 2]),
        ((3, 4), s[1:, ::2]),
        ((3, 4), s[..., 1]),
        ((3, 4), s[1, ...]),
        ((3, 4), s[::-1, ::-1]),
        ((3, 4), s[:, None, 1:3]),
        ((3, 4), s[None, 1, None]),
        ((3, 4), s[-1, -2:]),
        ((3, 4), s[2:0:-1, 3:0:-2]),
        ((3, 4), s[1:2, 0:1]),
        ((3, 4), s[3:, :]),
        ((3, 4), s[0]),
        ((3, 4), s[0:1]),
        ((2, 3, 4), s[0]),
        ((2, 3, 4), s[..., 0]),
        ((2, 3, 4), s[0, ..., 1]),
        ((2, 3, 4), s[:, 1:, ::-1]),
        ((2, 3, 4), s[..., None, 1:3]),
        ((2, 3, 4), s[None, ..., 1, None]),
        ((2, 3, 4), s[1, 2, 3]),
        ((2, 3, 4), s[1:, ..., ::2]),
        ((2, 3, 4), s[..., 1, 2]),
        ((2, 3, 4), s[:, ..., None]),
        ((2, 3, 4), s[::-1, 1, ::-2]),
        ((2, 3, 4), s[1, ..., 2]),
        ((2, 2, 3, 2), s[..., 1:, 0]),
        ((2, 2, 3, 2), s[1, :, ::-1, None, 1]),
        ((), s[...]),
        ((), s[None]),
        ((0, 3), s[:, 1]),
        ((0, 3), s[1:, 1:]),
        ((2, 0), s[1]),
    ]:
        x = m.x(*shape)
        begin, end, strides, masks = spec(index)
        m.ok(f"{label(f32, shape)} {written(index)}", x, i32(*begin), i32(*end), i32(*strides), **masks)
    begin, end, strides, masks = spec(s[1, ::-1])
    m.ok("float32 [2,3] [1, ::-1] int64", m.x(2, 3), i64(*begin), i64(*end), i64(*strides), **masks)
    m.dtypes(i32(*begin), i32(*end), i32(*strides), **masks)
    m.ok(
        "float32 [4] new axis wins over shrink",
        m.x(4),
        i32(0, 1),
        i32(1, 2),
        i32(1, 1),
        new_axis_mask=1,
        shrink_axis_mask=1,
    )
    m.ok("float32 [4] begin ignored under its mask", m.x(4), i32(3), i32(4), i32(1), begin_mask=1)
    m.ok("float32 [4] shrink ignores the end", m.x(4), i32(2), i32(0), i32(1), shrink_axis_mask=1)
    m.ok("float32 [4] shrink beside the begin mask", m.x(4), i32(2), i32(3), i32(1), begin_mask=1, shrink_axis_mask=1)
    m.bad("stride zero", m.x(4), i32(0), i32(2), i32(0))
    m.bad("index beyond the end", m.x(4), i32(4), i32(5), i32(1), shrink_axis_mask=1)
    m.bad("index below the start", m.x(4), i32(-5), i32(-4), i32(1), shrink_axis_mask=1)
    m.bad("more entries than axes", m.x(4), i32(0, 0), i32(1, 1), i32(1, 1))
    m.bad("two ellipses", m.x(2, 3), i32(0, 0), i32(0, 0), i32(1, 1), ellipsis_mask=3)
    m.bad("shrink with a negative stride", m.x(4), i32(2), i32(1), i32(-1), shrink_axis_mask=1)
    m.bad("begin and end of other lengths", m.x(2, 3), i32(0, 0), i32(1), i32(1, 1))


def spec(index):
    """Python's indices as StridedSlice takes them: begin, end, strides and the five masks."""
    index = index if isinstance(index, tuple) else (index,)
    begin, end, strides = [], [], []
    masks = dict(begin_mask=0, end_mask=0, ellipsis_mask=0, new_axis_mask=0, shrink_axis_mask=0)
    for i, entry in enumerate(index):
        bit = 1 << i
        b, e, stride = 0, 0, 1
        if entry is Ellipsis:
            masks["ellipsis_mask"] |= bit
        elif entry is None:
            masks["new_axis_mask"] |= bit
            e = 1
        elif isinstance(entry, slice):
            stride = 1 if entry.step is None else entry.step
            b, e = entry.start or 0, entry.stop or 0
            masks["begin_mask"] |= bit if entry.start is None else 0
            masks["end_mask"] |= bit if entry.stop is None else 0
        else:
            masks["shrink_axis_mask"] |= bit
            b, e = entry, entry + 1
        begin.append(b), end.append(e), strides.append(stride)
    return begin, end, strides, masks


def written(index):
    index = index if isinstance(index, tuple) else (index,)
    parts = []
    for entry in index:
        if entry is Ellipsis:
            parts.append("...")
        elif isinstance(entry, slice):
            edge = lambda v: "" if v is None else str(v)
            parts.append(edge(entry.start) + ":" + edge(entry.stop) + ("" if entry.step is None else f":{entry.step}"))
        else:
            parts.append(str(entry))
    return "[" + ", ".join(parts) + "]"


def gathering(run):
    m = Mover(run, "GatherV2")
    for shape, indices, axis, batch in [
        ((5,), [3, 0, 0], 0, 0),
        ((5,), 2, 0, 0),
        ((5,), [[1, 2], [4, 1]], 0, 0),
        ((4, 3), [1, 3], 0, 0),
        ((4, 3), [2, 0, 2], 1, 0),
        ((4, 3), [2, 0], -1, 0),
        ((2, 3, 4), [[0, 2], [1, 1]], 1, 0),
        ((2, 3, 4), [3], 2, 0),
        ((2, 3, 4), 1, -2, 0),
        ((4, 3), [], 0, 0),
        ((0, 3), [], 0, 0),
        ((4, 0), [1, 2], 0, 0),
        ((2, 3), [[0, 2], [1, 1]], 1, 1),
        ((2, 3, 4), [[0, 2], [1, 1]], 1, 1),
        ((2, 3, 4), [[3, 0, 1], [1, 1, 2]], 2, 1),
        ((2, 3, 4), [2, 0], 1, 1),
        ((2, 3, 4), [[[0], [1], [3]], [[2], [2], [0]]], 2, 2),
        ((2, 3, 4), [[[0, 3], [1, 1], [3, 2]], [[2, 0], [2, 1], [0, 0]]], -1, -1),
        ((2, 2, 3, 2), [2, 1], 2, 0),
    ]:
        m.ok(
            f"{label(f32, shape)} at {indices} axis {axis} batch_dims {batch}".replace(" ", " "),
            m.x(*shape),
            np.array(indices, np.int32),
            scalar(axis),
            batch_dims=batch,
        )
    m.ok("float32 [4,3] int64 indices", m.x(4, 3), i64(1, 3, 1), np.array(1, np.int64) * 0)
    m.dtypes(i32(1, 0, 1), scalar(0))
    m.bad("index beyond the end", m.x(4, 3), i32(1, 4), scalar(0))
    m.bad("negative index", m.x(4, 3), i32(-1), scalar(0))
    m.bad("axis beyond the rank", m.x(4, 3), i32(0), scalar(2))
    m.bad("a scalar", m.x(), i32(0), scalar(0))
    m.bad("batches that differ", m.x(2, 3), np.zeros((3, 1), np.int32), scalar(1), batch_dims=1)
    m.bad("batch_dims beyond the axis", m.x(2, 3), np.zeros((2, 3, 1), np.int32), scalar(0), batch_dims=1)

    m = Mover(run, "GatherNd")
    for shape, indices in [
        ((5,), [[3], [0]]),
        ((5,), [3]),
        ((3, 4), [[1], [2]]),
        ((3, 4), [[1, 2], [0, 3], [1, 2]]),
        ((3, 4), [[[1, 2]], [[0, 0]]]),
        ((2, 3, 4), [[1, 2], [0, 0]]),
        ((2, 3, 4), [1, 2, 3]),
        ((3, 4), [[], []]),
        ((2, 2, 3, 2), [[1, 0, 2]]),
    ]:
        whole = np.shape(indices) in (
            (1,),
            (3,),
            (2, 0),
        )  # One element, or no coordinate: TensorFlow's ScatterNd, the gradient, refuses.
        m.ok(f"{label(f32, shape)} at {indices}", m.x(*shape), np.array(indices, np.int32), grad=not whole)
    m.ok("float32 [3,4] no index", m.x(3, 4), np.zeros((0, 2), np.int32))
    m.ok("float32 [3,4] int64", m.x(3, 4), i64(1, 2).reshape(1, 2))
    m.dtypes(np.array([[1, 2], [0, 0]], np.int32))
    m.bad("index beyond the end", m.x(3, 4), np.array([[3, 0]], np.int32))
    m.bad("negative index", m.x(3, 4), np.array([[0, -1]], np.int32))
    m.bad("more coordinates than axes", m.x(3, 4), np.array([[0, 0, 0]], np.int32))
    m.bad("a scalar index", m.x(3, 4), scalar(0))

    m = Mover(run, "ScatterNd")
    for indices, updates, shape in [
        ([[3], [0]], (2,), (5,)),
        ([[3], [0], [3]], (3,), (5,)),
        ([[1], [1]], (2, 4), (3, 4)),
        ([[1, 2], [0, 3], [1, 2]], (3,), (3, 4)),
        ([[[1], [0]]], (1, 2, 2), (3, 2)),
        ([[0, 1], [1, 0]], (2, 4), (2, 2, 4)),
        ([[2, 1, 3]], (1,), (3, 2, 4)),
    ]:
        m.run.add(
            "ScatterNd",
            f"{label(f32, updates)} at {indices} in {list(shape)}",
            np.array(indices, np.int32),
            m.x(*updates),
            i32(*shape),
        )
    m.run.add("ScatterNd", "float32 no update", np.zeros((0, 1), np.int32), np.zeros((0,), f32), i32(4))
    m.run.add("ScatterNd", "float64 int64", i64(1, 1).reshape(2, 1), m.x(2, dtype=f64), i64(3))
    for dtype in (f16, bf16, np.int32, np.int64, np.uint8):
        m.run.add(
            "ScatterNd", name(dtype), np.array([[1], [0], [1]], np.int32), np.array([1, 2, 3]).astype(dtype), i32(3)
        )
    m.bad("index beyond the end", np.array([[5]], np.int32), m.x(1), i32(5))
    m.bad("negative index", np.array([[-1]], np.int32), m.x(1), i32(5))
    m.bad("updates of another shape", np.array([[1]], np.int32), m.x(1, 3), i32(5, 4))
    m.bad("more coordinates than axes", np.array([[1, 1]], np.int32), m.x(1), i32(5))

    op = "UnsortedSegmentSum"
    m = Mover(run, op)
    for shape, ids, num in [
        ((4,), [0, 1, 0, 2], 3),
        ((4,), [0, 1, -1, 1], 4),
        ((3, 2), [2, 0, 2], 3),
        ((2, 3), [[0, 1, 0], [2, 1, 1]], 3),
        ((2, 2, 3), [1, 0], 2),
        ((2, 2, 3), [[1, 0], [1, 1]], 2),
        ((0, 2), [], 2),
        ((3,), [0, 0, 0], 1),
        ((), 1, 3),
    ]:
        run.add(op, f"{label(f32, shape)} ids {ids} of {num}", m.x(*shape), np.array(ids, np.int32), scalar(num))
    for dtype in (f64, f16, bf16, np.int32, np.int64, np.uint8):
        run.add(op, name(dtype), np.array([[1, 2], [3, 4], [5, 6]]).astype(dtype), i64(1, 0, 1), np.array(3, np.int64))
    m.bad("id beyond the number", m.x(2), i32(0, 3), scalar(3))
    m.bad("ids of another shape", m.x(2), i32(0, 1, 2), scalar(3))
    m.bad("negative number", m.x(2), i32(0, 1), scalar(-1))

    m = Mover(run, "OneHot")
    for shape, depth, axis in [
        ((3,), 4, -1),
        ((3,), 4, 0),
        ((2, 2), 3, -1),
        ((2, 2), 3, 1),
        ((2, 2), 3, 0),
        ((), 3, -1),
        ((0,), 3, -1),
        ((3,), 0, -1),
        ((2, 1, 2), 2, 2),
    ]:
        i = np.asarray(m.rng.randint(-1, depth + 2, size=shape), np.int32)
        m.ok(
            f"{label(f32, shape)} depth {depth} axis {axis}",
            i,
            scalar(depth),
            np.array(1, f32),
            np.array(0, f32),
            axis=axis,
        )
    m.ok("float32 other values", i32(0, 2), scalar(3), np.array(2.5, f32), np.array(-1, f32))
    for dtype in (f64, f16, bf16, np.int32, np.int64, np.uint8, np.bool_):
        m.ok(name(dtype), i64(0, 2, 1), scalar(3), np.array(1).astype(dtype), np.array(0).astype(dtype))
    m.ok("string", i64(0, 2), scalar(3), np.array("on"), np.array("off"))
    m.ok("uint8 indices", np.array([0, 2], np.uint8), scalar(3), np.array(1, f32), np.array(0, f32))
    m.bad("negative depth", i32(0), scalar(-1), np.array(1, f32), np.array(0, f32))
    m.bad("axis beyond the rank", i32(0), scalar(2), np.array(1, f32), np.array(0, f32), axis=2)
    m.bad("values of rank 1", i32(0), scalar(2), np.array([1], f32), np.array([0], f32))
    m.bad("depth of rank 1", i32(0), i32(2), np.array(1, f32), np.array(0, f32))

    m = Mover(run, "TopKV2")
    for shape, k in [((5,), 2), ((5,), 5), ((5,), 0), ((2, 4), 3), ((2, 3, 4), 2), ((0, 3), 2), ((2, 1), 1), ((5,), 1)]:
        m.ok(f"{label(f32, shape)} k {k}", distinct(m.rng, shape, f32), scalar(k))
    m.ok(
        "float32 [2,4] k 2, int64 indices", distinct(m.rng, (2, 4), f32), scalar(2), index_type=tf.int64, grad=False
    )  # TensorFlow's gradient mixes int32 in.
    m.ok("float32 ties, the lower index first", np.array([1, 3, 3, 2, 3], f32), scalar(3))
    m.ok("float32 infinities", np.array([-np.inf, np.inf, 0, 1], f32), scalar(3))
    # One, none and all of them come in their order.
    for k in (0, 1, 6):
        m.ok(f"float32 [6] k {k}, unsorted", np.array([2, 5, 1, 6, 4, 3], f32), scalar(k), sorted=False)
    # All others as a heap leaves them.
    m.ok("float32 [6] k 3, unsorted", np.array([2, 5, 1, 6, 4, 3], f32), scalar(3), sorted=False)
    for n, k in [(3, 2), (17, 5), (40, 13), (60, 59), (300, 7), (500, 128)]:
        m.ok(f"float32 [{n}] k {k}, unsorted", distinct(stream("unsorted", n), (n,), f32), scalar(k), sorted=False)
    ties = stream("unsorted ties").randint(0, 5, (3, 50)).astype(f32)
    m.ok("float32 ties, unsorted", ties, scalar(11), sorted=False, grad=False)
    for dtype in (f64, f16, bf16, np.int32, np.int64, np.uint8):
        m.ok(name(dtype), np.array([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]]).astype(dtype), scalar(3))
    m.bad("k beyond the size", m.x(3), scalar(4))
    m.bad("negative k", m.x(3), scalar(-1))
    m.bad("a scalar", m.x(), scalar(1))

    m = Mover(run, "Where")
    for shape in ((5,), (2, 3), (2, 3, 4), (0, 3), (2, 1, 2, 2)):
        m.ok(f"bool {list(shape)}", np.asarray(m.rng.randint(0, 2, size=shape), bool))
    m.bad("a scalar", np.array(True))
    m.ok("bool none true", np.zeros((2, 3), bool))
    m.ok("float32 not zero", np.array([[0, 1.5, -0.0], [np.nan, 0, -2]], f32))
    for dtype in (f64, np.int32, np.int64, np.uint8):
        m.ok(f"{name(dtype)} not zero", np.array([0, 3, 0, 1], dtype))


def padding(run):
    cases = [
        ((3,), [(1, 2)]),
        ((2, 3), [(0, 0), (1, 1)]),
        ((2, 3), [(1, 0), (0, 2)]),
        ((2, 3), [(0, 0), (0, 0)]),
        ((2, 3, 4), [(1, 1), (0, 1), (2, 0)]),
        ((0, 2), [(1, 1), (0, 1)]),
        ((), np.zeros((0, 2))),
        ((2, 2, 3, 2), [(0, 1), (1, 0), (0, 0), (1, 1)]),
    ]
    m = Mover(run, "Pad")
    v = Mover(run, "PadV2")
    for shape, paddings in cases:
        p = np.array(paddings, np.int32)
        m.ok(f"{label(f32, shape)} by {p.tolist()}", m.x(*shape), p)
        v.ok(f"{label(f32, shape)} by {p.tolist()}", v.x(*shape), p, np.array(-1.5, f32))
    p = np.array([[1, 0], [0, 2]], np.int32)
    m.ok("float32 [2,3] int64", m.x(2, 3), p.astype(np.int64))
    m.dtypes(p)
    for dtype in MOVED:
        v.ok(label(dtype, (2, 3)), np.arange(6).reshape(2, 3).astype(dtype), p, np.array(1).astype(dtype))
    v.ok("string [2]", np.array(["a", "b"]), np.array([[1, 1]], np.int32), np.array("-"))
    for n, extra in ((m, ()), (v, (np.array(0, f32),))):
        n.bad("negative padding", n.x(2), np.array([[-1, 1]], np.int32), *extra)
        n.bad("too few rows", n.x(2, 3), np.array([[1, 1]], np.int32), *extra)
        n.bad("three columns", n.x(2), np.array([[1, 1, 1]], np.int32), *extra)
    v.bad("value of rank 1", v.x(2), np.array([[1, 1]], np.int32), np.array([0, 1], f32))

    m = Mover(run, "MirrorPad")
    for mode in ("REFLECT", "SYMMETRIC"):
        for shape, paddings in [
            ((3,), [(1, 2)]),
            ((2, 3), [(0, 1), (2, 1)]),
            ((2, 3), [(0, 0), (0, 0)]),
            ((2, 3, 4), [(1, 1), (0, 1), (2, 3)]),
            ((), np.zeros((0, 2))),
            ((2, 2, 3, 2), [(0, 1), (1, 0), (2, 0), (1, 1)]),
        ]:
            p = np.array(paddings, np.int32)
            m.ok(f"{label(f32, shape)} by {p.tolist()} {mode}", m.x(*shape), p, mode=mode)
        for dtype in (f64, np.int32, np.int64, f16, bf16):
            m.ok(
                f"{label(dtype, (2, 3))} {mode}",
                np.arange(6).reshape(2, 3).astype(dtype),
                np.array([[1, 1], [2, 0]], np.int64),
                mode=mode,
            )
    m.ok("float32 [3] by the size, SYMMETRIC", m.x(3), np.array([[3, 3]], np.int32), mode="SYMMETRIC")
    m.bad("REFLECT by the size", m.x(3), np.array([[3, 0]], np.int32), mode="REFLECT")
    m.bad("SYMMETRIC beyond the size", m.x(3), np.array([[4, 0]], np.int32), mode="SYMMETRIC")
    m.bad("negative padding", m.x(3), np.array([[-1, 0]], np.int32), mode="REFLECT")
    m.bad("too few rows", m.x(3, 3), np.array([[1, 0]], np.int32), mode="REFLECT")


def describing(run):
    m = Mover(run, "BroadcastGradientArgs")
    for a, b in [
        ((2, 3), (3,)),
        ((3,), (2, 3)),
        ((3, 1), (1, 4)),
        ((), (2, 3)),
        ((2, 3), ()),
        ((), ()),
        ((2, 1, 3, 1), (4, 1, 2)),
        ((2, 3), (2, 3)),
        ((1, 1), (1,)),
        ((0, 3), (1, 3)),
        ((1,), (5,)),
    ]:
        m.ok(f"{list(a)} {list(b)}", i32(*a), i32(*b))
        m.ok(f"{list(a)} {list(b)} int64", i64(*a), i64(*b))
    m.bad("shapes that do not broadcast", i32(2, 3), i32(4))

    m = Mover(run, "Range")
    for start, limit, delta in [(0, 5, 1), (2, 9, 3), (5, 0, -2), (3, 3, 1), (0, 1, 5), (-3, 3, 2)]:
        for dtype in (np.int32, np.int64, f32, f64):
            m.ok(
                f"{name(dtype)} {start} {limit} {delta}",
                *(np.array(v, dtype) for v in (start, limit, delta)),
                grad=False,
            )
    m.ok("float32 by tenths", np.array(0, f32), np.array(1, f32), np.array(0.1, f32), grad=False)
    m.ok("float64 by tenths", np.array(0, f64), np.array(1, f64), np.array(0.1, f64), grad=False)
    m.ok("bfloat16", np.array(0, bf16), np.array(5, bf16), np.array(1.5, bf16), grad=False)
    m.ok("float16", np.array(0, f16), np.array(5, f16), np.array(1.5, f16), grad=False)
    m.bad("delta zero", scalar(0), scalar(5), scalar(0))
    m.bad("wrong way", scalar(0), scalar(5), scalar(-1))
    m.bad("start of rank 1", i32(0, 1), scalar(5), scalar(1))

    for start, stop, num in [(0, 1, 5), (-2, 3, 4), (1, 1, 3), (3, 0, 7), (0, 10, 1), (0, 1, 11)]:
        for dtype in (f32, f64, f16, bf16):
            run.add(
                "LinSpace",
                f"{name(dtype)} {start} {stop} {num}",
                np.array(start, dtype),
                np.array(stop, dtype),
                scalar(num),
                grad=False,
            )
    run.add("LinSpace", "float32 int64 number", np.array(0, f32), np.array(1, f32), np.array(3, np.int64), grad=False)
    run.fails("LinSpace", "no point", np.array(0, f32), np.array(1, f32), scalar(0))
    run.fails("LinSpace", "start of rank 1", np.array([0], f32), np.array(1, f32), scalar(2))

    m = Mover(run, "Fill")
    for dims in ((), (3,), (2, 3), (0,), (2, 0, 3), (2, 1, 2, 2)):
        m.ok(f"{label(f32, dims)}", i32(*dims), np.array(2.5, f32))
    for dtype in MOVED:
        m.ok(name(dtype), i64(2, 2), np.array(1).astype(dtype))
    m.ok("string", i32(2), np.array("ab"))
    m.bad("negative size", i32(-1), np.array(1, f32))
    m.bad("value of rank 1", i32(2), np.array([1, 2], f32))
    m.bad("dims of rank 2", np.array([[2]], np.int32), np.array(1, f32))
    m.ok("float32 dims of rank 0", scalar(2), np.array(1, f32))

    for op in ("Shape", "Size"):
        m = Mover(run, op)
        for shape in ((), (3,), (2, 3), (0, 3), (2, 1, 3, 2)):
            m.ok(label(f32, shape), np.zeros(shape, f32))
            m.ok(label(f32, shape) + " int64", np.zeros(shape, f32), out_type=tf.int64)
        m.ok("string [2]", np.array(["a", "b"]))
    m = Mover(run, "Rank")
    for shape in ((), (3,), (2, 3), (0, 3), (2, 1, 3, 2)):
        m.ok(label(f32, shape), np.zeros(shape, f32))
    m.ok("string [2]", np.array(["a", "b"]))

    m = Mover(run, "MatrixBandPart")
    for shape, low, high in [
        ((3, 4), 1, 1),
        ((3, 4), 0, -1),
        ((4, 3), -1, 0),
        ((3, 3), 0, 0),
        ((3, 3), -1, -1),
        ((2, 3, 3), 0, -1),
        ((2, 2, 2, 3), 1, 0),
        ((0, 3), 0, 0),
        ((3, 4), 2, 3),
    ]:
        m.ok(f"{label(f32, shape)} {low} {high}", m.x(*shape), np.array(low, np.int64), np.array(high, np.int64))
    for dtype in (f64, f16, bf16, np.int32, np.int64, np.uint8, np.bool_):
        m.ok(name(dtype), np.ones((3, 3)).astype(dtype), scalar(1), scalar(0))
    m.bad("rank 1", m.x(3), scalar(0), scalar(0))
    m.bad("number of rank 1", m.x(3, 3), i32(0, 1), scalar(0))
    m.bad("number beyond the rows", m.x(3, 3), scalar(4), scalar(0))

    m = Mover(run, "MatrixDiagV3")
    for shape, k, rows, cols, align in [
        ((3,), 0, -1, -1, "RIGHT_LEFT"),
        ((2, 3), 0, -1, -1, "RIGHT_LEFT"),
        ((2,), 1, -1, -1, "RIGHT_LEFT"),
        ((2,), -1, -1, -1, "RIGHT_LEFT"),
        ((3,), 0, 3, 4, "RIGHT_LEFT"),
        ((3, 3), (-1, 1), -1, -1, "RIGHT_LEFT"),
        ((3, 3), (-1, 1), -1, -1, "LEFT_RIGHT"),
        ((3, 3), (-1, 1), -1, -1, "LEFT_LEFT"),
        ((3, 3), (-1, 1), -1, -1, "RIGHT_RIGHT"),
    ]:
        for fill in (0, 9):
            m.ok(
                f"{label(f32, shape)} k {k} {rows} {cols} {align} fill {fill}",
                m.x(*shape),
                np.array(k, np.int32),
                scalar(rows),
                scalar(cols),
                np.array(fill, f32),
                align=align,
            )
    m.bad("a scalar", m.x(), scalar(0), scalar(-1), scalar(-1), np.array(0, f32))


def inverses(run):
    m = Mover(run, "StridedSliceGrad")
    for shape, begin, end, strides, dy, masks in [
        ((5,), (1,), (4,), (1,), (3,), {}),
        ((5,), (4,), (0,), (-2,), (2,), {}),
        ((2, 3), (0, 1), (2, 3), (1, 1), (2, 2), {}),
        ((2, 3), (0, -1), (2, 0), (1, 1), (2,), {"shrink_axis_mask": 2}),
        ((2, 3, 4), (1, 0), (0, 2), (1, 1), (2, 3, 2), {"ellipsis_mask": 1}),
        ((4,), (0, 0), (0, 0), (1, 2), (1, 2), {"new_axis_mask": 1, "begin_mask": 2, "end_mask": 2}),
        ((3,), (1,), (1,), (1,), (0,), {}),
    ]:
        at = (i32(*shape), i32(*begin), i32(*end), i32(*strides))
        m.ok(f"float32 {shape} {begin} {end} {strides} {masks}", *at, m.x(*dy), **masks)
    for dtype in (f64, f16, bf16, np.int32, np.int64, np.uint8, np.bool_):
        m.ok(name(dtype), i32(4), i32(1), i32(3), i32(1), np.ones(2).astype(dtype))
    m.bad("dy of another shape", i32(4), i32(1), i32(3), i32(1), m.x(3))
    m.bad("a stride of zero", i32(4), i32(1), i32(3), i32(0), m.x(2))

    m = Mover(run, "MirrorPadGrad")
    for mode in ("REFLECT", "SYMMETRIC"):
        for shape, paddings in [((6,), [[1, 2]]), ((4, 6), [[1, 0], [2, 1]]), ((3, 5), [[0, 0], [0, 0]])]:
            m.ok(f"{label(f32, shape)} {paddings} {mode}", m.x(*shape), np.array(paddings, np.int32), mode=mode)
        for dtype in (f64, f16, np.int32):
            m.ok(f"{name(dtype)} {mode}", np.arange(6).astype(dtype), np.array([[1, 1]], np.int32), mode=mode)

    m = Mover(run, "TensorScatterUpdate")
    for shape, indices, updates in [
        ((5,), [[1], [3]], (2,)),
        ((5,), [[1], [1]], (2,)),
        ((3, 4), [[2], [0]], (2, 4)),
        ((3, 4), [[2, 1], [0, 3], [1, 1]], (3,)),
        ((2, 2), [[[0, 0]], [[1, 1]]], (2, 1)),
    ]:
        m.ok(f"{label(f32, shape)} {indices}", m.x(*shape), np.array(indices, np.int32), m.x(*updates))
    for dtype in (f64, f16, bf16, np.int32, np.int64, np.uint8, np.bool_):
        m.ok(name(dtype), np.zeros(4).astype(dtype), np.array([[2], [0]], np.int64), np.ones(2).astype(dtype))
    m.ok("string", np.array(["a", "b"]), np.array([[1]], np.int32), np.array(["c"]))
    m.bad("index out of range", m.x(3), np.array([[3]], np.int32), m.x(1))
    m.bad("negative index", m.x(3), np.array([[-1]], np.int32), m.x(1))
    m.bad("updates of another shape", m.x(3), np.array([[1]], np.int32), m.x(2))

    m = Mover(run, "InvertPermutation")
    for dtype in (np.int32, np.int64):
        for order in ([2, 0, 1], [0], [], [3, 4, 0, 2, 1]):
            m.ok(f"{name(dtype)} {order}", np.array(order, dtype))
        m.bad(f"{name(dtype)} an index twice", np.array([0, 0], dtype))
        m.bad(f"{name(dtype)} an index beyond", np.array([0, 2], dtype))
        m.bad(f"{name(dtype)} negative", np.array([0, -1], dtype))
        m.bad(f"{name(dtype)} of rank 2", np.array([[0, 1]], dtype))


def add(run):
    layout(run)
    joining(run)
    slicing(run)
    gathering(run)
    padding(run)
    describing(run)
    inverses(run)
