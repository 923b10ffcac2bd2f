"""Strings: their characters, patterns in them, their parts, numbers, hashes."""

import numpy as np
import tensorflow as tf

from samples import FLOATS, INTEGERS, bf16, f16, f32, f64, i32, name

WORDS = np.array([["Hello World", "", "ÄßΣΑΣ x"], [" ab\t", "a\x0bb\n", "ŉ😀Z"]])
i64 = np.int64


def texts(*values):
    return np.array(values, dtype=object).astype(str) if values else np.zeros(0, "U1")


def add(run):
    characters(run)
    patterns(run)
    parts(run)
    ragged(run)
    unicode(run)
    numbers(run)
    hashes(run)


def characters(run):
    for op in ("StringLower", "StringUpper"):
        for encoding in ("", "utf-8"):
            run.add(op, f"[2,3] {encoding!r}", WORDS, encoding=encoding)
        run.add(op, "scalar", np.array("aBc"))
        run.add(op, "[0]", texts())
        run.fails(op, "another encoding", texts("a"), encoding="UTF-8")
    run.add("StringStrip", "[2,3]", WORDS)
    run.add("StringStrip", "of everything", texts(" \t\n\r\x0b\x0c", "\u00a0x ", " a b "))
    for unit in ("BYTE", "UTF8_CHAR"):
        run.add("StringLength", f"[2,3] {unit}", WORDS, unit=unit)
        words = texts("hello", "world")
        for pos, length in ((1, 3), (0, 9), (-2, 5), (-5, 2), (5, 1), (2, 0), (1, -1)):
            run.add("Substr", f"{unit} {pos} {length}", words, np.array(pos, np.int32), np.array(length, np.int32), unit=unit)
        run.fails("Substr", f"{unit} behind the end", words, np.array(6, i64), np.array(1, i64), unit=unit)
        run.fails("Substr", f"{unit} before the beginning", words, np.array(-6, i64), np.array(1, i64), unit=unit)
    run.add("Substr", "BYTE -3 -2", texts("hello"), i32(-3), i32(-2))
    run.add("Substr", "characters", texts("né", "ŉ😀Z"), i32(1, -2), i32(1, 1), unit="UTF8_CHAR")
    run.add("Substr", "each its own", texts("hello", "world"), np.array([0, -2], i64), np.array([3, 1], i64))
    run.add("Substr", "of one string", np.array("hello"), i32(0, 1, 2), i32(1, 2, 9))
    run.add("Substr", "broadcast", np.array([["ab", "cd"], ["ef", "gh"]]), i32(0, 1).reshape([2, 1]), i32(1, 1).reshape([2, 1]))
    run.fails("Substr", "pos and len of two shapes", texts("a"), i32(0, 0), i32(1))
    run.fails("Substr", "that do not broadcast", texts("a", "b"), i32(0, 0, 0), i32(1, 1, 1))


def patterns(run):
    rows = [
        ("a", "b", ["banana", ""]),
        ("a*", "-", ["baac", ""]),
        ("", "-", ["ab", "é"]),
        ("(a)(b)", r"\2\1", ["abab", "xaby"]),
        ("(a)|b", r"[\1\0]", ["ab"]),
        ("(a)", r"\\", ["a"]),
        ("[[]", "x", ["a[b"]),
        ("[]a]", "x", ["]ab"]),
        ("[^]a]", "x", ["]ab"]),
        ("[a&&b~~]", "x", ["a&b~c"]),
        (r"\d+", "#", ["12٣a"]),
        (r"\D", "#", ["12٣a"]),
        (r"\w", "_", ["é_1a "]),
        (r"[\w-]", "x", ["a-b é"]),
        (r"[^\d\s]", "x", ["1a ٣"]),
        (r"\s", "_", ["a\x0bb c\u00a0"]),
        (r"\S", "_", ["a\x0bb c\u00a0"]),
        (r"\bfoo\b", "X", ["foo éfooé foox"]),
        ("(?i)É", "e", ["éÉe"]),
        (r"\Qa.b\E", "X", ["a.b axb"]),
        (r"\Qa.b", "X", ["a.b axb"]),
        (".", "x", ["é\n😀"]),
        ("(?s).", "x", ["é\n"]),
        ("$", "!", ["a\n", ""]),
        ("^", "!", ["a\nb"]),
        ("(?m)^", "!", ["a\nb"]),
        ("a{2}", "x", ["aaa"]),
        (r"\pL", "L", ["é1"]),
        ("(?P<n>a)", r"[\1]", ["a"]),
        ("[[:alpha:]]+", "x", ["ab1é"]),
        ("[^[:alpha:]]", "x", ["ab1é"]),
        (r"\x{e9}", "e", ["é"]),
        ("a|ab", "x", ["ab"]),
        (r"\z", "!", ["a"]),
        (r"a\_b\'", "x", ["a_b'"]),
        (r"\\", "/", ["a\\b"]),
        (r"""[!"#$%&()\*\+,-\./:;<=>?@\[\\\]^_`{|}~\']""", "", ["Hello, World! [a]-b_c\\d^e'f\"g", "no punctuation", "~&*|"]),
    ]
    for pattern, rewrite, strings in rows:
        for all in (True, False):
            case = f"{pattern!r} by {rewrite!r}" + ("" if all else ", once")
            strings = texts(*strings)
            run.add("RegexReplace", case, strings, np.array(pattern), np.array(rewrite), replace_global=all)
            run.add("StaticRegexReplace", case, strings, pattern=pattern, rewrite=rewrite, replace_global=all)
    run.add("StaticRegexReplace", "[2,3]", WORDS, pattern="[aeiou]", rewrite="")
    for pattern in ("a(", r"\1", "[b-a]", "a**", "(?<n"):
        run.fails("RegexReplace", f"{pattern!r}", texts("a"), np.array(pattern), np.array(""))
        run.fails("StaticRegexReplace", f"{pattern!r}", texts("a"), pattern=pattern, rewrite="")
    run.fails("RegexReplace", "patterns", texts("a"), texts("a"), np.array(""))
    run.fails("RegexReplace", "rewrites", texts("a"), np.array("a"), texts(""))
    for pattern in ("ab|a", "", ".*", r"\w+ \w+", "(?i)HELLO.*"):
        run.add("RegexFullMatch", f"{pattern!r}", WORDS, np.array(pattern))
        run.add("StaticRegexFullMatch", f"{pattern!r}", WORDS, pattern=pattern)
    run.add("RegexFullMatch", "an alternative", texts("ab", "abc", "a"), np.array("a|ab"))
    run.fails("RegexFullMatch", "no pattern", texts("a"), np.array("a("))
    run.fails("StaticRegexFullMatch", "no pattern", texts("a"), pattern="a(")


def parts(run):
    op = "StringJoin"
    run.add(op, "[2] and a scalar", [texts("a", "b"), np.array("-"), texts("c", "")], separator="+")
    run.add(op, "scalars", [np.array("a"), np.array("b")])
    run.add(op, "one", [WORDS])
    run.add(op, "[0]", [texts(), texts()], separator="x")
    run.fails(op, "of two shapes", [texts("a", "b"), texts("c")])
    op = "ReduceJoin"
    square = np.array([["a", "b"], ["c", "d"]])
    for axes in ([0], [1], [-1], [0, 1], [1, 0], []):
        for keep in (False, True):
            run.add(op, f"{axes} {keep}", square, np.array(axes, np.int32), keep_dims=keep, separator="." if keep else "")
    run.add(op, "a scalar axis", square, np.array(0, np.int32))
    run.add(op, "[2,0,3]", np.zeros((2, 0, 3), "U1"), i32(1), separator=",")
    run.add(op, "[2,1,3]", WORDS.reshape([2, 1, 3]), i32(2, 0), separator=",")
    run.fails(op, "an axis twice", square, i32(0, 0))
    run.fails(op, "an axis twice from both ends", square, i32(0, -2))
    run.fails(op, "an axis too far", square, i32(2))
    op = "StringSplitV2"
    for maxsplit in (-1, 0, 1, 2):
        run.add(op, f"white space {maxsplit}", texts("a  b c", "", " x ", " ", "a\tb\n\x0bc\u00a0d"), np.array(""), maxsplit=maxsplit)
        run.add(op, f"',' {maxsplit}", texts("a,,b", "", ",", "abc", "a,b,c,d"), np.array(","), maxsplit=maxsplit)
    run.add(op, "'--'", texts("a--b---c", "--", "-"), np.array("--"))
    run.add(op, "[0]", texts(), np.array(""))
    run.fails(op, "a scalar", np.array("a"), np.array(""))
    run.fails(op, "separators", texts("a"), texts(" "))
    op = "StringNGrams"
    data = texts("a", "b", "c", "d", "é")
    plain = dict(separator="_", left_pad="", right_pad="", pad_width=0, preserve_short_sequences=False)
    padded = dict(separator="", left_pad="L", right_pad="R", preserve_short_sequences=True)
    for splits in ([0, 3, 3, 5], [0, 5], [0, 0, 5, 5]):
        at = np.array(splits, i64)
        for widths in ([1], [2], [1, 2], [3, 1], [6], []):
            run.add(op, f"{widths} of {splits}", data, at, ngram_widths=widths, **plain)
            for pads in (-1, 0, 1, 4) if widths else (0, 1):
                run.add(op, f"{widths} of {splits}, padded by {pads}", data, at, ngram_widths=widths, pad_width=pads, **padded)
    run.add(op, "of nothing", texts(), i32(0), ngram_widths=[2], **plain)
    run.add(op, "of nothing without splits", texts(), i32(), ngram_widths=[2], **plain)
    for splits in ([1, 5], [0, 3], [0, 6], [0, 3, 2, 5], [0]):
        run.fails(op, f"of {splits}", data, i32(*splits), ngram_widths=[2], **plain)
    run.fails(op, "of any width but none", data, i32(0, 5), ngram_widths=[], pad_width=-1, **padded)
    run.fails(op, "of no width", data, i32(0, 5), ngram_widths=[2, 0], **plain)


def ragged(run):
    op = "RaggedTensorToTensor"
    for dtype in (*FLOATS, *INTEGERS, np.bool_):
        values, default = np.array([1, 0, 1, 1]).astype(dtype), np.array(1).astype(dtype)
        shape, splits = np.array([-1, -1], i64), np.array([0, 1, 1, 4], i64)
        run.add(op, f"{name(dtype)}", shape, values, default, [splits], row_partition_types=["ROW_SPLITS"], grad=False)
    words, nothing = texts("a", "b", "c", "d"), np.array("")
    for shape in ([-1, -1], [-1, 2], [-1, 5], [2, -1], [5, 3], [-1, 0], [0, -1]):
        case = f"string {shape}"
        shape = np.array(shape, i64)
        splits = np.array([0, 1, 1, 4], i64)
        run.add(op, case, shape, words, nothing, [splits], row_partition_types=["ROW_SPLITS"])
        rows = [np.array(3, i64), np.array([0, 2, 2, 2], i64)]
        run.add(op, f"{case} by rows", shape, words, nothing, rows, row_partition_types=["FIRST_DIM_SIZE", "VALUE_ROWIDS"])
    by_splits = dict(row_partition_types=["ROW_SPLITS"])
    matrix = np.arange(8, dtype=np.int32).reshape([4, 2])
    run.add(op, "int32 of [4,2]", i32(-1, -1, 2), matrix, np.array(-1, np.int32), [i32(0, 3, 4)], **by_splits)
    run.add(op, "int32 of [4,2], cut", i32(3, 2, -1), matrix, np.array(-1, np.int32), [i32(0, 3, 4)], **by_splits)
    run.add(op, "without a shape", np.array(-1, np.int32), words, nothing, [i32(0, 3, 4)], **by_splits)
    run.add(op, "of no rows", i32(-1, -1), texts(), nothing, [i32(0)], **by_splits)
    run.add(op, "of no values", i32(-1, -1), texts(), nothing, [i32(0, 0, 0)], **by_splits)
    run.fails(op, "dims of another value", i32(-1, -1, 3), matrix, np.array(-1, np.int32), [i32(0, 3, 4)], **by_splits)
    run.fails(op, "a dim too many", i32(-1, -1, -1), words, nothing, [i32(0, 3, 4)], **by_splits)


def unicode(run):
    for splits in (tf.int32, tf.int64):
        run.add("UnicodeDecode", f"[2,3] {splits.name}", WORDS, input_encoding="UTF-8", Tsplits=splits)
    run.add("UnicodeDecode", "control characters", WORDS, input_encoding="utf-8", replacement_char=63, replace_control_characters=True)
    run.add("UnicodeDecode", "strictly", WORDS, input_encoding="UTF-8", errors="strict")
    run.add("UnicodeDecode", "[0]", texts(), input_encoding="UTF-8")
    run.fails("UnicodeDecode", "an unknown encoding", texts("a"), input_encoding="latin9x")
    wrong = [b"a\xffb", b"\xe2\x82", b"\xe2\x82c\xed\xa0\x80", b"\xf0\x9f\x98d", b"\xc0\xaf\x80", b"\xf4\x90\x80\x80e"]
    malformed = np.array(wrong, dtype=object)
    for errors in ("replace", "ignore"):
        run.add("UnicodeDecode", f"malformed, {errors}", malformed, input_encoding="UTF-8", errors=errors)
        both = {"errors": errors, "replace_control_characters": True}
        run.add("UnicodeDecode", f"control characters and malformed, {errors}", np.array([b"\x01\xfe\n"], dtype=object), input_encoding="UTF-8", **both)
    run.fails("UnicodeDecode", "malformed, strictly", malformed, input_encoding="UTF-8", errors="strict")
    op = "UnicodeEncode"
    points = i32(97, 233, 0x1F600, -1, 0xD800, 0x110000)
    for errors in ("replace", "ignore"):
        run.add(op, errors, points, np.array([0, 1, 1, 4, 6], i64), output_encoding="UTF-8", errors=errors)
    run.add(op, "by another character", points, i32(0, 6), output_encoding="UTF-8", replacement_char=63)
    run.add(op, "strictly", points[:3], i32(0, 3), output_encoding="UTF-8", errors="strict")
    ends = i32(0, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFDD0, 0xFFFF, 0x10000, 0x10FFFF)
    splits = np.array([0, 1, 1, 4, 6], i64)
    for encoding in ("UTF-8", "UTF-16-BE", "UTF-32-BE"):
        run.add(op, f"ends in {encoding}", ends, i32(0, 5, 11), output_encoding=encoding, errors="strict")
        run.add(op, f"by a character of {encoding}", points, splits, output_encoding=encoding, replacement_char=0x1F600)
    for encoding in ("UTF-16-BE", "UTF-32-BE"):
        for errors in ("replace", "ignore"):
            run.add(op, f"{errors} in {encoding}", points, splits, output_encoding=encoding, errors=errors)
        run.fails(op, f"no character in {encoding}", points, i32(0, 6), output_encoding=encoding, errors="strict")
    run.add(op, "no characters", i32(), i32(0, 0), output_encoding="UTF-8")
    run.fails(op, "no splits", i32(), i32(), output_encoding="UTF-8")
    run.fails(op, "an unknown encoding", points, i32(0, 6), output_encoding="UTF-16-LE")
    run.fails(op, "an encoding in lower case", points, i32(0, 6), output_encoding="utf-8")
    run.fails(op, "no character", points, i32(0, 6), output_encoding="UTF-8", errors="strict")
    run.fails(op, "splits that end elsewhere", points, i32(0, 5), output_encoding="UTF-8")
    run.fails(op, "splits that fall", points, i32(0, 5, 4, 6), output_encoding="UTF-8")


def numbers(run):
    op = "AsString"
    forms = [
        {},
        {"precision": 0},
        {"precision": 3},
        {"scientific": True},
        {"scientific": True, "precision": 0},
        {"shortest": True},
        {"shortest": True, "precision": 3},
        {"shortest": True, "precision": 0},
        {"width": 12},
        {"width": 12, "fill": "0"},
        {"width": 12, "fill": "-"},
        {"width": 3, "fill": "+"},
        {"fill": " "},
        {"scientific": True, "precision": 2, "width": 14, "fill": "0"},
    ]
    values = [0.0, -0.0, 2.5, -2.5, 3.5, 0.5, 1.5, 0.125, 0.1, 1 / 3, 1e20, 1e-7, 123456.5, 1234567.0, 0.0001, 0.00001234, 999999.5, np.inf, -np.inf, np.nan, 9.9999995]
    for form in forms:
        words = str(form)
        run.add(op, f"float64 {words}", np.array(values), grad=False, **form)
        run.add(op, f"float32 {words}", np.array(values, f32), grad=False, **form)
        run.add(op, f"complex64 {words}", np.array([1 + 2j, -0.5 - 1e9j], np.complex64), grad=False, **form)
        if not {"precision", "scientific", "shortest"} & set(form):
            run.add(op, f"int32 {words}", i32(-12, 7, 0, 2**31 - 1, -(2**31)), **form)
            run.add(op, f"uint8 {words}", np.array([200, 0], np.uint8), **form)
            run.add(op, f"bool {words}", np.array([True, False]), **form)
        else:
            run.fails(op, f"int32 {words}", i32(1), **form)
            run.fails(op, f"bool {words}", np.array([True]), **form)
        if "precision" not in form:
            run.add(op, f"string {words}", texts("", "abc", "é"), **form)
    for dtype in (f16, bf16):
        run.add(op, f"{name(dtype)}", np.array([0.1, 3.3, -65504.0]).astype(dtype), grad=False)
    run.add(op, "complex128", np.array([[1 + 2j], [-0.5 - 1e9j]]), grad=False)
    for dtype in INTEGERS:
        info = np.iinfo(dtype)
        run.add(op, f"{name(dtype)}", np.array([[info.min, 0, info.max]], dtype))
    run.fails(op, "two fills", i32(1), fill="00")
    run.fails(op, "an unknown fill", i32(1), fill="x")
    run.fails(op, "scientific and shortest", np.array([1.0]), scientific=True, shortest=True)
    op = "StringToNumber"
    floats = ["1", "  2 ", "+3", "-4", "1e3", "1e400", "inf", "-Infinity", ".5", "5.", "-0", "0.1", "1e-50", "3.4028236e38", "16777217", "99999999999", "0x1A", "0X1p3", "-0x.8", "1" * 40, "0" * 40 + "1"]
    for dtype in (tf.float32, tf.float64):
        run.add(op, dtype.name, texts(*floats), out_type=dtype)
        run.add(op, f"{dtype.name} nan", texts("nan", "NaN"), out_type=dtype)
        for text in ("", " ", "1e", "1.5f", "1 2", "1_0", "0x", "+-1", "a", "1,5"):
            run.fails(op, f"{dtype.name} {text!r}", texts("1", text), out_type=dtype)
    for dtype in (tf.int32, tf.int64, tf.uint32, tf.uint64):
        ends = [str(dtype.min), str(dtype.max)] if dtype.min < 0 else [str(dtype.max)]
        run.add(op, dtype.name, np.array([["1", "  2 ", "+3", "0" * 40 + "1", "2147483647", *ends]]), out_type=dtype)
        for text in ("", "1.", "1e3", "0x1", "1_0", "+-1", str(dtype.max + 1), str(dtype.min - 1)):
            run.fails(op, f"{dtype.name} {text!r}", texts("1", text), out_type=dtype)


def hashes(run):
    # Every branch of the hash has its lengths, and so has the end of each.
    lengths = [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 47, 48, 63, 64, 65, 66, 127, 128, 129, 192, 193, 200, 257, 1000]
    letters = "".join(chr(33 + (7 * i * i + 3 * i) % 90) for i in range(1000))
    many = texts(*(letters[:n] for n in lengths), "é", "[UNK]")
    for buckets in (1, 2, 1000, 2**31 + 1, 2**63 - 1):
        run.add("StringToHashBucketFast", f"{buckets} buckets", many, num_buckets=buckets)
        for key in ([0, 0], [1, -2], [-(2**63), 2**63 - 1]):
            run.add("StringToHashBucketStrong", f"{buckets} buckets, {key}", many, num_buckets=buckets, key=key)
    run.add("StringToHashBucketFast", "[2,3]", WORDS, num_buckets=10)
    run.add("StringToHashBucketStrong", "[2,3]", WORDS, num_buckets=10, key=[3, 4])
    run.fails("StringToHashBucketFast", "no bucket", many, num_buckets=0)
    run.fails("StringToHashBucketStrong", "no bucket", many, num_buckets=0, key=[1, 2])
    run.fails("StringToHashBucketStrong", "a key of one", many, num_buckets=2, key=[1])
    op, method = "Fingerprint", np.array("farmhash64")
    run.add(op, "string", many, method)
    run.add(op, "string [2,3]", WORDS, method)
    run.add(op, "string [0]", texts(), method)
    for dtype in (f32, f64, f16, bf16, np.bool_, *INTEGERS):
        run.add(op, f"{name(dtype)}", np.array([[0, 1], [1, 1]]).astype(dtype), method)
    run.add(op, "float32 [2,3,2]", np.arange(12, dtype=f32).reshape([2, 3, 2]), method)
    run.fails(op, "a scalar", np.array("a"), method)
    run.fails(op, "another method", texts("a"), np.array("md5"))
