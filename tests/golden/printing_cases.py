"""The texts with which TensorFlow prints eager tensors."""

import ml_dtypes
import numpy as np
import tensorflow as tf

from fixture import Fixture

f16, f32, f64, bf16 = np.float16, np.float32, np.float64, ml_dtypes.bfloat16


def values():
    """(case, array) in the order of the manifest."""
    for dtype in (f32, f64, f16, bf16):
        name = np.dtype(dtype).name
        for value in (0, -0.0, 1, -1, 0.1, 5, 1 / 3, 1e-4, 1e-5, 12345.678, 65504, np.nan, np.inf, -np.inf):
            yield f"{name} scalar {value:.6g}", np.array(value).astype(dtype)
        rows = {
            "whole numbers": [1, 2, 3],
            "one decimal": [0.5, -1.5, 22],
            "many decimals": [1 / 3, 2 / 3, -1 / 7],
            "mixed magnitudes": [1e-3, 1, 1000],
            "magnitudes that want an exponent": [1e-4, 1, 1e4],
            "small": [1e-5, 2.5e-5],
            "with a nan": [1, np.nan, -2.5],
            "with infinities": [1, np.inf, -np.inf],
            "nan alone": [np.nan, np.nan],
            "signed zeros": [0.0, -0.0],
            "one element": [2.5],
        }
        for case, row in rows.items():
            yield f"{name} {case}", np.array(row).astype(dtype)
        yield f"{name} matrix", np.array([[1, -2.25, 3], [40, 0.5, 6]]).astype(dtype)
        yield f"{name} no element", np.zeros((0,), dtype)
        yield f"{name} no row", np.zeros((0, 3), dtype)
        yield f"{name} no column", np.zeros((2, 0), dtype)
    for value in (
        1e-3,
        1e-4,
        9.9999e-5,
        123456.0,
        1e7,
        16777216.0,
        1e8,
        1e15,
        1e16,
        1e17,
        1e20,
        3.4028235e38,
        1.1754944e-38,
        1e-45,
        0.2,
        0.30000001,
        2.0000002,
        99999.99,
    ):
        yield f"float32 scalar {value!r}", np.array(value, f32)
        yield f"float32 one element {value!r}", np.array([value], f32)
    for value in (1e-3, 1e-5, 1e15, 1e16, 1e17, 1e22, 1e100, 5e-324, 0.1 + 0.2, 2 / 3):
        yield f"float64 scalar {value!r}", np.array(value, f64)
        yield f"float64 one element {value!r}", np.array([value], f64)
    large = {
        "beyond 1e8": [1e8, 1],
        "up to 1e8": [99999999, 1],
        "beyond 1e3 apart": [1, 1001.5],
        "huge": [3.4e38, -3.4e38],
        "tiny": [1e-38, 1e-45],
        "digits that differ": [0.1, 0.12, 0.123456],
        "eight decimals at most": [0.123456789, 1.1],
        "rounded up": [0.999999999, 2.5],
        "exponent with digits": [1.5e-10, 2.25e10],
        "exponent of three digits": [1e-100, 1e100],
        "exponent and a nan": [1e-10, np.nan, 1e10],
        "exponent and infinity": [1e-10, -np.inf, 1e10],
    }
    for case, row in large.items():
        if "three digits" not in case:
            yield f"float32 {case}", np.array(row, f32)
        yield f"float64 {case}", np.array(row, f64)
    for dtype in (np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64):
        info = np.iinfo(dtype)
        name = np.dtype(dtype).name
        yield f"{name} scalar", np.array(7, dtype)
        yield f"{name} limits", np.array([info.min, 0, info.max], dtype)
        yield f"{name} matrix", np.array([[1, 20], [3, 100]], dtype)
        yield f"{name} no element", np.zeros((0,), dtype)
    yield "int32 three axes", np.arange(12).reshape(2, 3, 2).astype(np.int32)
    yield "int32 four axes", np.arange(8).reshape(2, 1, 2, 2).astype(np.int32)
    yield "float32 three axes", np.arange(12).reshape(2, 2, 3).astype(f32) / 4
    yield "bool scalar", np.array(True)
    yield "bool vector", np.array([True, False])
    yield "bool matrix", np.array([[True, False], [False, False]])
    yield "string scalar", np.array("hello")
    yield "string vector", np.array(["a", "bcd", ""])
    yield "string matrix", np.array([["a", "b"], ["cc", "d"]])
    yield (
        "string with quotes and escapes",
        np.array(["it's", 'say "x"', "tab\t", "line\n", "back\\slash", "both ' and \""]),
    )
    yield "string with other letters", np.array(["é", "日本", "\x00\x7f"])
    yield "complex64 scalar", np.array(1.5 - 2j, np.complex64)
    yield "complex64 vector", np.array([1 + 2j, -0.5j, 3], np.complex64)
    yield "complex128 vector", np.array([1 / 3 + 2j, -1e-3j], np.complex128)
    yield "int32 of 1000, the most that is written out", np.arange(1000, dtype=np.int32)
    yield "int32 of 1001", np.arange(1001, dtype=np.int32)
    yield "float32 of 1001", np.arange(1001, dtype=f32) / 8
    yield "float32 [40,30]", np.arange(1200, dtype=f32).reshape(40, 30) / 4
    yield "float32 [300,4]", np.arange(1200, dtype=f32).reshape(300, 4)
    yield "float32 [4,300]", np.arange(1200, dtype=f32).reshape(4, 300)
    yield "float32 [2,3,400]", np.arange(2400, dtype=f32).reshape(2, 3, 400)
    yield "float32 [9,10,15]", np.arange(1350, dtype=f32).reshape(9, 10, 15)
    yield "float32 [6,200]", np.arange(1200, dtype=f32).reshape(6, 200)
    yield "float32 [7,200]", np.arange(1400, dtype=f32).reshape(7, 200)
    yield "bool of 1002", np.arange(1002) % 3 == 0
    yield "string of 1001", np.array([f"s{i}" for i in range(1001)])
    yield "float32 long rows", np.arange(60, dtype=f32).reshape(2, 30) / 7
    yield "int32 long rows", np.arange(80, dtype=np.int32).reshape(2, 40) * 111
    yield "float32 of 1001 with a wide value hidden", np.where(np.arange(1001) == 500, 123456.789, 1.5).astype(f32)
    yield "float64 row that just fits", np.arange(13) + 0.25


def write():
    fixture = Fixture("printing")
    for case, array in values():
        tensor = tf.constant(array)
        fixture.cases.append(
            {"case": case, "value": fixture.put(tensor.numpy()), "str": str(tensor), "repr": repr(tensor)}
        )
    variable = tf.Variable([[1.0, 2.0]], name="w")
    fixture.cases.append(
        {"case": "variable", "value": fixture.put(variable.numpy()), "str": str(variable), "repr": repr(variable)}
    )
    fixture.write()
