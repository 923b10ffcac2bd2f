"""Elements moved around the ends of axes, and sequences turned around."""

import numpy as np

from fixture import stream
from samples import bf16, draw, f16, f32, f64, i32, label

MOVED = (f64, f16, bf16, np.int32, np.int64, np.uint8, np.int8, np.uint64, np.bool_, np.complex64)
WORDS = np.array([["a", "bc", ""], ["d", "é", "f"]])


def add(run):
    op = "Roll"
    rng = stream(op)
    for shape, shift, axis in [
        ((5,), [2], [0]),
        ((5,), [-7], [-1]),
        ((2, 3), [1], [1]),
        ((2, 3), [1, -1], [0, 1]),
        ((2, 3), [1, 1, 2], [0, 1, 1]),
        ((2, 3, 4), [1, 2, 3], [2, 1, 0]),
        ((3, 2, 4), [5], [0]),
        ((2, 3), [], []),
        ((0, 3), [1], [1]),
        ((2, 0), [1], [1]),
        ((1, 1), [4, 4], [0, 1]),
    ]:
        x = draw(rng, shape, f32, -4, 4)
        run.add(op, f"{label(f32, shape)} {shift} along {axis}", x, i32(*shift), i32(*axis), reference=False)
    x = draw(rng, (4, 2), f32, -4, 4)
    run.add(op, "float32 [4,2] 3 along 0", x, i32(3)[0], i32(0)[0], reference=False)
    run.add(op, "float32 [4,2] 3 along 0, int64", x, np.array([3], np.int64), np.array([0], np.int64), reference=False)
    for dtype in MOVED:
        x = np.arange(6).reshape(2, 3).astype(dtype)
        run.add(op, label(dtype, (2, 3)), x, i32(1, 1), i32(0, 1), reference=False)
    run.add(op, "string [2,3]", WORDS, i32(1), i32(1))
    run.fails(op, "a scalar", np.array(1, f32), i32(1)[0], i32(0)[0])
    run.fails(op, "more shifts than axes", np.ones(3, f32), i32(1, 2), i32(0))
    run.fails(op, "axis beyond the rank", np.ones(3, f32), i32(1), i32(1))
    run.fails(op, "shifts of rank 2", np.ones(3, f32), i32(1).reshape(1, 1), i32(0).reshape(1, 1))

    op = "ReverseSequence"
    rng = stream(op)
    for shape, lengths, seq, batch in [
        ((2, 3), [2, 3], 1, 0),
        ((3, 2), [0, 2], 0, 1),
        ((2, 4, 3), [4, 1], 1, 0),
        ((2, 4, 3), [1, 3, 4], 1, 2),
        ((3, 2, 4), [1, 3], 0, 1),
        ((4, 2, 3), [2, 0, 4], 0, 2),
        ((2, 3, 4), [3, 4], 2, 0),
        ((2, 0), [0, 0], 1, 0),
        ((0, 2), [], 1, 0),
        ((2, 2, 3, 2), [3, 2], 2, 1),
    ]:
        x = draw(rng, shape, f32, -4, 4)
        case = f"{label(f32, shape)} {lengths} along {seq} of {batch}"
        run.add(op, case, x, i32(*lengths), reference=False, seq_dim=seq, batch_dim=batch)
    for dtype in MOVED:
        x = np.arange(6).reshape(2, 3).astype(dtype)
        run.add(op, label(dtype, (2, 3)), x, np.array([2, 3], np.int64), reference=False, seq_dim=1, batch_dim=0)
    run.add(op, "string [2,3]", WORDS, i32(2, 3), seq_dim=1, batch_dim=0)
    x = np.ones((2, 3), f32)
    run.fails(op, "a length beyond", x, i32(2, 4), seq_dim=1, batch_dim=0)
    run.fails(op, "a negative length", x, i32(-1, 2), seq_dim=1, batch_dim=0)
    run.fails(op, "too few lengths", x, i32(2), seq_dim=1, batch_dim=0)
    run.fails(op, "one axis", x, i32(2, 2), seq_dim=0, batch_dim=0)
    run.fails(op, "axis beyond the rank", x, i32(2, 2), seq_dim=2, batch_dim=0)
    run.fails(op, "negative axis", x, i32(2, 2), seq_dim=-1, batch_dim=0)
    run.fails(op, "lengths of rank 2", x, i32(2, 2).reshape(2, 1), seq_dim=1, batch_dim=0)
