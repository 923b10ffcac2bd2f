"""What pipelines of `tf.data` give, in `data.json`: rows of a `kind` of pipeline, its arguments and its `elements`."""

import gzip
import itertools
import zlib

import keras
import numpy as np
import tensorflow as tf

from fixture import write_json

D = tf.data.Dataset


def elements(dataset):
    def plain(part):
        if isinstance(part, (tuple, list)):
            return [plain(p) for p in part]
        return part.tolist()

    return [plain(element) for element in dataset.as_numpy_iterator()]


def pipelines():
    for n, size, drop in itertools.product((0, 1, 7, 9), (1, 3, 10), (False, True)):
        yield "batch", dict(n=n, size=size, drop=drop), D.range(n).batch(size, drop_remainder=drop)
    for n, size, shift, stride, drop in itertools.product((0, 3, 10), (1, 3, 4), (1, 2, 5), (1, 3), (False, True)):
        args = dict(n=n, size=size, shift=shift, stride=stride, drop=drop)
        windows = D.range(n).window(size, shift, stride, drop_remainder=drop)
        yield "window", args, windows.flat_map(lambda window: window.batch(size))
    for n, cycle, block in itertools.product((0, 1, 7), (1, 2, 3, 10), (1, 2, 5)):
        args = dict(n=n, cycle=cycle, block=block)
        parts = D.range(n).interleave(lambda x: D.range(10 * x, 10 * x + x * 7 % 5), cycle, block)
        yield "interleave", args, parts
    for n, size, dim, value, drop in itertools.product((0, 5), (1, 2, 8), (None, 6), (0, -1), (False, True)):
        args = dict(n=n, size=size, dim=dim, value=value, drop=drop)
        lists = D.range(n).map(lambda x: tf.fill([x, 2], x))
        padded = lists.padded_batch(size, [dim, None], tf.constant(value, tf.int64), drop_remainder=drop)
        yield "padded_batch", args, padded
    for n, count, index in ((10, 3, 0), (10, 3, 2), (2, 5, 4)):
        yield "shard", dict(n=n, count=count, index=index), D.range(n).shard(count, index)
    for n, count in ((3, 0), (3, 2), (0, 4)):
        yield "repeat", dict(n=n, count=count), D.range(n).repeat(count)
    for n, m in ((2, 3), (3, 1), (0, 2)):
        yield "concatenate", dict(n=n, m=m), D.range(n).concatenate(D.range(m))
        yield "zip", dict(n=n, m=m), D.zip((D.range(n), D.range(m)))
    yield "unbatch", dict(n=7, size=3), D.range(7).batch(3).unbatch()
    yield "enumerate", dict(n=3, skip=1), D.range(3).skip(1).enumerate()


def records():
    """Examples in records: the file's bytes, and what TensorFlow reads in them."""

    def feature(**kind):
        return tf.train.Feature(**kind)

    def example(n):
        features = {
            "floats": feature(float_list=tf.train.FloatList(value=[n, n + 0.5])),
            "label": feature(int64_list=tf.train.Int64List(value=[n - 2])),
            "words": feature(bytes_list=tf.train.BytesList(value=[b"w%d" % i for i in range(n)])),
        }
        if n == 1:
            del features["label"]
        if n == 2:
            features["empty"] = feature()
        return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString(deterministic=True)

    path = "/tmp/examples.tfrecord"
    with tf.io.TFRecordWriter(path) as writer:
        for n in range(4):
            writer.write(example(n))
    with open(path, "rb") as file:
        data = file.read()
    spec = {
        "floats": tf.io.FixedLenFeature([2], tf.float32),
        "label": tf.io.FixedLenFeature([], tf.int64, default_value=-9),
        "words": tf.io.VarLenFeature(tf.string),
        "empty": tf.io.VarLenFeature(tf.int64),
    }
    parsed = []
    for record in tf.data.TFRecordDataset(path):
        features = tf.io.parse_single_example(record, spec)
        dense = {k: (tf.sparse.to_dense(v) if isinstance(v, tf.SparseTensor) else v).numpy() for k, v in features.items()}
        words = [word.decode() for word in dense["words"]]
        parsed.append([dense["floats"].tolist(), int(dense["label"]), words, dense["empty"].tolist()])
    for compression, packed in (
        ("none", data),
        ("gzip", gzip.compress(data, mtime=0)),
        ("zlib", zlib.compress(data)),
    ):
        yield "records", dict(compression=compression, file=packed.hex()), parsed


def arrays():
    """Files of NumPy."""
    import io

    big = np.array([[1, 2, 3], [4, 5, 6]], ">i4")
    for words, array in {
        "float32": np.array([[0.5, -1], [2, 3]], np.float32),
        "big-endian": big,
        "fortran": np.asfortranarray(np.arange(6, dtype=np.int64).reshape(2, 3)),
        "bytes": np.array([b"ab", b"c"]),
        "text": np.array(["\u00e4b", "c"]),
        "scalar": np.array(True),
        "big complex": np.array([1 + 2j], ">c16"),
    }.items():
        file = io.BytesIO()
        np.save(file, array)
        plain = array.ravel()
        if array.dtype.kind in "SU":
            values = [v.decode() if isinstance(v, bytes) else v for v in plain.tolist()]
        elif array.dtype.kind == "c":
            values = [[v.real, v.imag] for v in plain.tolist()]
        else:
            values = [float(v) for v in plain.tolist()]
        yield "npy", dict(array=words, shape=list(array.shape), file=file.getvalue().hex()), values


def sequences():
    """Keras's sequences of a series, and sequences of one length."""
    series, targets = np.arange(11), np.arange(11) * 10
    for length, stride, rate, start, end in (
        (3, 1, 1, None, None),
        (3, 2, 1, None, None),
        (2, 3, 2, None, None),
        (4, 1, 1, 2, None),
        (3, 2, 1, 1, 9),
        (6, 1, 2, None, None),
        (1, 1, 1, None, 3),
        (8, 1, 2, None, None),
    ):
        for given in (None, targets, *([] if start else [targets[3:], targets[:4]])):
            how = dict(sequence_stride=stride, sampling_rate=rate, start_index=start, end_index=end)
            found = keras.utils.timeseries_dataset_from_array(series, given, length, batch_size=None, **how)
            args = dict(length=length, stride=stride, rate=rate, start=start, end=end)
            args["targets"] = None if given is None else given.tolist()
            yield "timeseries", args, elements(found)
    lists = [[1, 2, 3], [4], [], [5, 6]]
    for maxlen, padding, truncating in itertools.product((None, 1, 2, 5), ("pre", "post"), ("pre", "post")):
        args = dict(maxlen=maxlen, padding=padding, truncating=truncating, sequences=lists)
        yield "pad_sequences", args, keras.utils.pad_sequences(lists, value=-1, **args_of(args)).tolist()


def args_of(args):
    return {key: value for key, value in args.items() if key != "sequences"}


def write():
    rows = [{"kind": kind, "args": args, "elements": elements(dataset)} for kind, args, dataset in pipelines()]
    rows += [{"kind": kind, "args": args, "elements": found} for kind, args, found in [*records(), *arrays(), *sequences()]]
    write_json("data.json", rows)
    print(f"data: {len(rows)} cases")
