"""Functions of `keras.ops` that TensorFlow has no op for, and the gradients of products of complex numbers."""

import keras
import numpy as np
import tensorflow as tf

from fixture import stream
from keras_recorder import Recorder, wide
from op_runner import cotangent
from samples import draw, f32, i32

NAN, INF = np.nan, np.inf


def parts(values):
    """Real tensors, of complex ones their parts."""
    found = []
    for value in values if isinstance(values, (list, tuple)) else [values]:
        value = tf.convert_to_tensor(value)
        found += [tf.math.real(value), tf.math.imag(value)] if value.dtype.is_complex else [value]
    return found


def add(fixture):
    record = Recorder(fixture, "function")

    def case(function, label, *inputs, call=None, differentiable=True, given=None, **arguments):
        """`given` are arguments for Keras that a row says in other words."""
        call = call or getattr(keras.ops, function, None) or getattr(keras.ops.image, function)
        run = lambda xs: parts(call(*xs, **(arguments if given is None else given)))
        sources = [tf.constant(wide(x)) for x in inputs]
        watched = [x for x in sources if x.dtype.is_floating]
        with tf.GradientTape() as tape:
            tape.watch(watched)
            references = run(sources)
            dys = [cotangent(y.shape) if y.dtype.is_floating else None for y in references]
            totals = [tf.reduce_sum(y * dy) for y, dy in zip(references, dys) if dy is not None]
        grads = tape.gradient(totals, watched, unconnected_gradients="zero") if differentiable and watched and totals else []
        record.row(
            f"{function} {label}".strip(),
            function=function,
            arguments=arguments,
            inputs=[record.put(x) for x in inputs],
            references=[record.put(y) for y in references],
            dys=[None if dy is None else record.put(dy) for dy in dys],
            grads=[record.put(tf.convert_to_tensor(grad)) for grad in grads],
        )

    def numbers(label, shape, low=-2, high=2):
        return draw(stream("functions", label), shape, f32, low, high)

    def integers(label, shape, low, high, dtype=np.int32):
        return stream("functions", label).randint(low, high, shape).astype(dtype)

    elements(case, numbers, integers)
    complex_numbers(case, numbers)
    along_axes(case, numbers)
    grids(case, numbers)
    products(case, numbers, integers)
    matrices(case, numbers)
    windows(case, numbers)
    images(case, numbers)


def elements(case, numbers, integers):
    a, b = numbers("a", (2, 3)), numbers("b", (2, 3))
    row = numbers("row", (3,))
    ends = f32([0, -0.0, 1, -1, INF, -INF, NAN])
    for function in ("hypot", "logaddexp2", "fmax", "fmin"):
        call = log_add_exp2 if function == "logaddexp2" else None
        case(function, "", a, b, call=call)
        case(function, "of rows", a, row, call=call)
        case(function, "of scalars", f32(1.5), f32(-0.5), call=call)
        case(function, "of no rows", np.zeros((0, 3), f32), row, call=call)
    for function in ("fmax", "fmin"):
        case(function, "of ends", ends[:, None], ends, differentiable=False)
    case("hypot", "of ends", f32([0, 3, 0, INF, 1e30]), f32([0, 0, 4, 2, 1e30]), differentiable=False)
    case("logaddexp2", "of ends", f32([-INF, INF, 1000, -1000]), f32([-INF, 2, 1000, 0]), differentiable=False, call=log_add_exp2)
    # NumPy has NaN of NaN, where Keras has what it has at 0.
    heaviside = lambda x, y: tf.where(tf.math.is_nan(x), tf.stop_gradient(x), keras.ops.heaviside(x, y))
    case("heaviside", "", f32([-2, -0.0, 0, 3, INF, -INF, NAN]), f32(0.5), call=heaviside)
    case("heaviside", "of rows", np.sign(a).astype(f32) * f32([1, 0, 1]), row)
    case("sinc", "", np.concatenate([a.ravel(), f32([1, 2, 0.25, 1e-3])]))
    case("sinc", "of 0", f32([0, -0.0]), differentiable=False)
    for function, low in (("exp2", -3), ("log2", 0.1), ("log10", 0.1), ("deg2rad", -400), ("rad2deg", -7)):
        x = numbers(function, (2, 3), low, 9)
        case(function, "", x)
        case(function, "of a scalar", x[0, 0])
    case("cbrt", "", numbers("cbrt", (2, 3), 0.5, 9) * f32([1, -1, 1]))
    case("cbrt", "of 0", f32([0, 8, -27]), differentiable=False)
    for function in ("log2", "log10"):
        case(function, "of ends", f32([0, 1, INF, -1, NAN]), differentiable=False)
    case("ldexp", "", a, integers("e", (2, 3), -5, 6))
    case("ldexp", "of rows", a, i32(-1, 0, 3))
    case("ldexp", "of ends", f32([0, INF, -INF, NAN]), i32(9, -9, 0, 3), differentiable=False)
    case("signbit", "", ends[:-1])
    case("signbit", "of integers", i32(-2, 0, 3))
    for dtype in (np.int8, np.int32, np.int64, np.uint8, np.uint32):
        low = 0 if np.issubdtype(dtype, np.unsignedinteger) else -11
        x, y = integers("gcd a", (4, 3), low, 12, dtype), integers("gcd b", (4, 3), low, 12, dtype)
        for function in ("gcd", "lcm"):
            case(function, f"of {np.dtype(dtype).name}", x, y)
    case("gcd", "of rows", integers("gcd a", (4, 3), -99, 99), i32(6, 0, 35))
    case("lcm", "of none", np.zeros((0,), np.int32), np.zeros((0,), np.int32))
    case("isin", "", integers("isin", (3, 4), 0, 9), i32(4, 2, 7, 2))
    case("isin", "of floats", f32([[1, NAN, -0.0], [INF, 2.5, 7]]), f32([[0], [INF], [NAN], [2.5]]))
    case("isin", "of none", i32(1, 2), np.zeros((0,), np.int32))
    case("isin", "of no rows", np.zeros((0, 2), f32), f32([1]))
    # To int64 TensorFlow goes round.
    for dtype in ("int8", "uint8", "int32", "uint32", "float16"):
        x = f32([-3e9, -300.7, -1.5, 0.4, 100.9, 255.5, 70000, 5e9, 1e20])
        case("saturate_cast", f"to {dtype}", x, differentiable=False, dtype=dtype, call=lambda x, dtype: saturated(x, dtype))
        x = np.int64([-(2**40), -129, -1, 0, 127, 128, 255, 2**33])
        case("saturate_cast", f"of int64 to {dtype}", x, dtype=dtype, call=lambda x, dtype: saturated(x, dtype))
    for dtype, to, shape in ((f32, "int32", (2, 3)), (f32, "uint8", (2, 3)), (f32, "int64", (3, 4)), (np.int16, "int64", (2, 8))):
        x = numbers("view", shape, -99, 99).astype(dtype)
        case("view", f"{np.dtype(dtype).name} as {to}", x, differentiable=False, to=to, call=lambda x, to: viewed(x, dtype, to))
    case("multi_hot", "", i32(0, 2, 2), num_classes=4)
    case("multi_hot", "of rows", integers("labels", (3, 4), -1, 6), num_classes=5)
    case("multi_hot", "of a scalar", np.int32(1), num_classes=3, call=lambda x, num_classes: keras.ops.one_hot(x, num_classes))


def log_add_exp2(a, b):
    """Keras's, whose ln 2 is a float32 of any dtype."""
    delta, log2 = a - b, tf.constant(np.log(2.0), a.dtype)
    found = tf.maximum(a, b) + tf.math.log1p(tf.math.exp(-tf.abs(delta) * log2)) / log2
    found = tf.where(tf.math.is_nan(delta), a + b, found)
    assert np.allclose(found, keras.ops.logaddexp2(a, b), rtol=1e-6, equal_nan=True)
    return found


def saturated(x, dtype):
    """As float32 has it: of float64 the ends are others."""
    x = tf.cast(x, tf.float32) if x.dtype.is_floating else x
    return tf.saturate_cast(x, dtype)


def viewed(x, dtype, to):
    """Of these bits, whatever the dtype that references are computed in."""
    return keras.ops.view(tf.cast(x, dtype), to)


def complex_numbers(case, numbers):
    a, b = [numbers(part, (2, 3)) for part in ("re a", "im a")], [numbers(part, (2, 3)) for part in ("re b", "im b")]
    row = [numbers(part, (3,)) for part in ("re row", "im row")]
    of_two = dict(
        complex_multiply=tf.multiply,
        complex_divide=tf.divide,
        complex_divide_no_nan=tf.math.divide_no_nan,
        complex_squared_difference=lambda a, b: tf.raw_ops.SquaredDifference(x=a, y=b),
    )
    for function, f in of_two.items():
        call = lambda ar, ai, br, bi: f(tf.complex(ar, ai), tf.complex(br, bi))
        case(function, "", *a, *b, call=call)
        case(function, "of rows", *a, *row, call=call)
    of_one = dict(
        complex_square=tf.square,
        complex_reciprocal=tf.math.reciprocal,
        complex_negative=tf.negative,
        complex_conj=tf.math.conj,
        complex_abs=tf.abs,
        complex_angle=tf.math.angle,
    )
    for function, f in of_one.items():
        case(function, "", *a, call=lambda re, im: f(tf.complex(re, im)))
    case("complex_abs", "of 0", f32([0, 1]), f32([0, 0]), call=lambda re, im: tf.abs(tf.complex(re, im)))
    products = dict(
        complex_matmul=(((2, 3), (3, 4)), tf.matmul),
        complex_batch_matmul=(((2, 2, 3), (3, 4)), tf.matmul),
    )
    for function, (shapes, f) in products.items():
        xs = [numbers(f"{function} {i}", shape) for i, shape in enumerate((shapes[0], shapes[0], shapes[1], shapes[1]))]
        case(function, "", *xs, call=lambda ar, ai, br, bi: f(tf.complex(ar, ai), tf.complex(br, bi)))
    case("polar", "", numbers("lengths", (2, 3), 0, 3), numbers("angles", (2, 3), -4, 4), call=lambda r, a: tf.complex(r * tf.cos(a), r * tf.sin(a)))
    case("view_as_complex", "", numbers("both", (3, 2)), call=lambda x: tf.complex(x[..., 0], x[..., 1]))
    case("view_as_real", "", *row, call=lambda re, im: keras.ops.view_as_real(tf.complex(re, im)))


def along_axes(case, numbers):
    x = numbers("along", (2, 3, 4))
    some = x.copy()
    some[0, 1, 2] = some[1, 0, 0] = some[1, 0, 3] = NAN
    some[1, 2, :] = NAN
    for axis in (None, 0, -1, (0, 2)):
        case("ptp", f"along {axis}", x, axis=axis)
    for axis, shape in ((None, (2, 3, 4)), (0, (2,)), (-1, (4,)), (1, (2, 3, 4)), (1, (3,))):
        weights = numbers("weights", shape, 0.5, 2)
        case("average", f"along {axis} by {list(shape)}", x, weights, call=lambda x, weights, axis: keras.ops.average(x, axis, weights), axis=axis)
    for axis in (0, 1, -1):
        case("trapezoid", f"along {axis}", x, dx=0.5, axis=axis)
    case("trapezoid_at", "the same for all", x, numbers("at", (4,)), call=lambda y, x, axis: keras.ops.trapezoid(y, x, axis=axis), axis=-1)
    case("trapezoid_at", "", x, numbers("places", (2, 3, 4)), call=lambda y, x, axis: keras.ops.trapezoid(y, x, axis=axis), axis=1)
    for k in range(-1, 5):
        for axes in ((0, 1), (2, 0)):
            case("rot90", f"{k} times, {list(axes)}", x, k=k, axes=axes, call=turned)
    for q in (0.0, 25.0, 100.0):
        case("percentile", f"{q}", x, q=q, axis=1)
    for axis in (0, 1, -1):
        for function in ("nanargmax", "nanargmin"):
            case(function, f"along {axis}", some, axis=axis)
            case(function, f"along {axis}, of numbers", x, axis=axis)
        for function in ("nancumsum", "nancumprod"):
            case(function, f"along {axis}", some, axis=axis)
        for q in (0.0, 0.25, 0.5, 1.0):
            # Where all are NaN, no gradient is asked for.
            case("nanquantile", f"{q} along {axis}", some, differentiable=axis == 0, q=q, axis=axis)
        case("nanmedian", f"along {axis}", some, differentiable=axis == 0, axis=axis)
    for bins, ends in ((1, None), (5, None), (4, (-1.5, 0.5)), (3, (0.0, 9.0))):
        case("histogram", f"{bins} of {ends}", x, differentiable=False, bins=bins, range=ends, call=counted)
    case("histogram", "of ends", f32([0, 1, 2, 2, 4]), differentiable=False, bins=4, range=None, call=counted)


def turned(x, k, axes):
    """Keras's, which takes the rows for columns where it turns twice."""
    found = tf.reverse(x, axes) if k % 4 == 2 else keras.ops.rot90(x, k, axes)
    assert np.array_equal(found, np.rot90(x.numpy(), k, axes))
    return found


def counted(x, bins, range):
    return keras.ops.histogram(tf.reshape(x, [-1]), bins, None if range is None else tuple(tf.constant(end, x.dtype) for end in range))


def grids(case, numbers):
    for k in (-4, -1, 0, 2, 5):
        # Keras's ends with an error where no place is on the diagonal.
        case("eye", f"{k}", N=3, M=4, k=k, call=lambda N, M, k: np.eye(N, M, k, f32))
        case("tri", f"{k}", N=3, M=4, k=k)
    x = numbers("powers", (3,), 0.5, 2)
    for columns in (1, 4):
        for increasing in (False, True):
            words = f"{columns}, {'rising' if increasing else 'falling'}"
            case("vander", words, x, N=columns, increasing=increasing)
    a, b, c = numbers("one", (3,)), numbers("two", (2,)), numbers("three", (4,))
    for indexing in ("xy", "ij"):
        for vectors in ((a,), (a, b), (a, b, c)):
            case("meshgrid", f"{indexing} of {len(vectors)}", *vectors, indexing=indexing)
    for start, stop, num in ((0.0, 3.0, 4), (-1.5, 2.0, 7), (2.0, 1.0, 1)):
        case("logspace", f"{start} to {stop}, {num}", start=start, stop=stop, num=num, base=10.0, given=dict(start=start, stop=stop, num=num, dtype="float64"))
    case("logspace", "by 2", start=-2.0, stop=5.0, num=8, base=2.0, given=dict(start=-2.0, stop=5.0, num=8, base=2.0, dtype="float64"))
    for start, stop, num in ((1.0, 1000.0, 4), (-8.0, -0.5, 5)):
        case("geomspace", f"{start} to {stop}, {num}", start=start, stop=stop, num=num, call=lambda start, stop, num: np.geomspace(start, stop, num))
    for name in ("bartlett", "blackman", "hamming", "hanning"):
        for n in (1, 2, 5, 8):
            found = getattr(np, name)(n)
            assert np.allclose(found, getattr(keras.ops, name)(n), atol=1e-6)
            case(name, f"of {n}", n=n, call=lambda n: found)
    for n, beta in ((1, 3.0), (4, 0.0), (7, 14.0), (8, -2.5)):
        found = np.kaiser(n, beta)
        assert n == 1 or beta < 0 or np.allclose(found, keras.ops.kaiser(n, beta), atol=1e-5), (n, beta)
        case("kaiser", f"of {n} by {beta}", n=n, beta=beta, call=lambda n, beta: found)


def products(case, numbers, integers):
    for shapes in (((2, 3), (3, 2)), ((2,), (3,)), ((2, 3), (2,)), ((), (2, 2)), ((2, 1, 2), (2, 2)), ((0, 2), (1, 2))):
        a, b = numbers("left", shapes[0]), numbers("right", shapes[1])
        case("kron", f"of {list(shapes[0])} and {list(shapes[1])}", a, b)
        case("outer", f"of {list(shapes[0])} and {list(shapes[1])}", a, b)
    case("kron", "of integers", integers("kron", (2, 2), -3, 4), integers("kron b", (1, 3), -3, 4))
    a, b = numbers("first", (2, 3, 4)), numbers("second", (4, 3, 5))
    for own, other in (((2,), (0,)), ((1, 2), (1, 0)), ((-1, -2), (0, 1)), ((), ())):
        case("tensordot", f"{list(own)} and {list(other)}", a, b, own=own, other=other, given=dict(axes=(own, other)))
    case("tensordot", "of integers", integers("dot", (2, 3), -9, 9), integers("dot b", (3, 2), -9, 9), own=(1,), other=(0,), given=dict(axes=((1,), (0,))))
    for shapes in (((4,), (4,)), ((2, 3), (4, 3)), ((), (2,)), ((3,), ()), ((2, 3), (3,))):
        case("inner", f"of {list(shapes[0])} and {list(shapes[1])}", numbers("left", shapes[0]), numbers("right", shapes[1]))
    case("vdot", "", numbers("left", (2, 3)), numbers("right", (3, 2)))
    for shape in ((3, 5), (2, 7)):
        case("corrcoef", f"of {list(shape)}", numbers("corrcoef", shape))
    for n, m in ((5, 3), (6, 2), (3, 3), (4, 1)):
        for mode in ("valid", "same", "full"):
            case("correlate", f"{mode}, {n} and {m}", numbers("long", (n,)), numbers("short", (m,)), mode=mode)
    for mode in ("same", "full"):
        case("correlate", f"{mode}, 2 and 5", numbers("short", (2,)), numbers("long", (5,)), mode=mode)
    for shapes in (((3, 2), (4, 2)), ((2, 3, 2), (2, 1, 2)), ((0, 2), (3, 2))):
        case("cdist", f"of {list(shapes[0])} and {list(shapes[1])}", numbers("points", shapes[0]), numbers("others", shapes[1]))


def matrices(case, numbers):
    for shape in ((4, 2), (3, 3), (2, 4)):
        a = numbers("system", shape)
        case("lstsq", f"of {list(shape)}", a, numbers("right side", (shape[0], 2)))
        case("lstsq", f"of {list(shape)} and a vector", a, numbers("right vector", (shape[0],)))
    deficient = f32([[1, 2], [2, 4], [3, 6]])
    case("lstsq", "of one rank less", deficient, f32([1, 0, 2]), differentiable=False, rcond=1e-6)
    case("lstsq", "by a great rcond", f32([[3, 0], [0, 1]]), f32([3, 1]), differentiable=False, rcond=0.5)
    case("matrix_rank", "", f32([deficient, [[1, 0], [0, 1], [0, 0]], np.zeros((3, 2))]))
    case("matrix_rank", "by a tol", f32([[3, 0], [0, 0.5]]), tol=1.0)
    for shape in ((3, 3), (2, 4, 4)):
        # Up to their order, and what eigenvectors are multiplied by.
        case("eig_values", f"of {list(shape)}", numbers("eig", shape), call=lambda x: tf.reduce_sum(tf.linalg.eig(x)[0] ** 3, -1))
        case("eig_vectors", f"of {list(shape)}", numbers("eig", shape), call=lambda x: weighted(*tf.linalg.eig(x)))
        case("eig_values_alone", f"of {list(shape)}", numbers("eig", shape), call=lambda x: tf.reduce_sum(tf.linalg.eigvals(x) ** 3, -1))
    root = np.tril(numbers("root", (3, 3))) + 3 * np.eye(3, dtype=f32)
    case("cholesky_inverse", "", root, upper=False)
    case("cholesky_inverse", "of upper", np.ascontiguousarray(root.T), upper=True)


def weighted(values, vectors):
    """The squares of the eigenvectors' elements, in proportion to their eigenvalues."""
    sizes = tf.cast(tf.math.real(vectors * tf.math.conj(vectors)), values.dtype)
    return tf.reduce_sum(sizes * values[..., None, :], -1)


def windows(case, numbers):
    for kernel, dilation, padding, stride in (((2, 2), 1, 0, 1), ((3, 2), 1, (1, 0), 2), ((2, 2), (2, 1), 1, (1, 2)), ((1, 1), 1, 0, 1)):
        words = f"{kernel} {dilation} {padding} {stride}"
        both = lambda given: [given, given] if isinstance(given, int) else list(given)
        how = dict(kernel_size=list(kernel), dilation=both(dilation), padding=both(padding), stride=both(stride))
        x = numbers("windows", (2, 3, 5, 4))
        case("unfold", words, x, **how)
        columns = keras.ops.unfold(x, **how)
        x = numbers("columns", tuple(columns.shape))
        case("fold", words, x, output_size=[5, 4], **how)


def images(case, numbers):
    volumes = numbers("volumes", (2, 5, 4, 6, 2))
    for size, strides, rate, padding in (((2, 3, 2), (2, 3, 2), 1, "valid"), ((2, 1, 3), (1, 2, 2), 1, "same"), ((2, 2, 2), (1, 1, 1), 2, "valid"), ((3, 2, 2), (1, 1, 1), (2, 1, 3), "same")):
        how = dict(size=list(size), strides=list(strides), dilation_rate=rate if isinstance(rate, int) else list(rate), padding=padding)
        case("extract_patches_3d", f"{size} {strides} {rate} {padding}", volumes, **how)
    x = numbers("images", (2, 6, 5, 3), 0, 1)
    case("rgb_to_grayscale", "", x)
    case("rgb_to_grayscale", "of one channel", x[..., :1])
    case("rgb_to_grayscale", "of bytes", (x * 255).astype(np.uint8))
    case("sobel_edges", "", x)
    for size, sigma in (((3, 3), (1.0, 1.0)), ((5, 3), (0.7, 2.0)), ((1, 1), (1.0, 1.0)), ((2, 4), (1.0, 1.0))):
        case("gaussian_blur", f"{size} by {sigma}", x, kernel_size=list(size), sigma=list(sigma))
    matrix = numbers("matrix", (4, 5))
    at = numbers("coordinates", (2, 3, 4), -7, 12)
    for order in (0, 1):
        for mode in ("constant", "nearest", "reflect", "wrap"):
            case("map_coordinates", f"{mode}, {order}", matrix, at, order=order, fill_mode=mode, fill_value=0.5)
    case("map_coordinates", "of three axes", numbers("cube", (2, 3, 4)), numbers("in cube", (3, 6), -0.5, 3), order=1, fill_mode="nearest", fill_value=0.0)
    case("map_coordinates", "of bytes", np.uint8([[1, 20, 40], [90, 200, 255]]), numbers("at bytes", (2, 7), 0, 2), differentiable=False, order=1, fill_mode="nearest", fill_value=0.0)
    start = f32([[0, 0], [4, 0], [0, 5], [4, 5]])
    end = start + numbers("corners", (4, 2), -0.4, 0.4)
    several = f32([end, end[::-1]])
    for interpolation in ("nearest", "bilinear"):
        # TensorFlow's gradient of such a map is no derivative.
        case("perspective_transform", interpolation, x, start, end, differentiable=False, interpolation=interpolation, fill_value=0.25)
    case("perspective_transform", "of each", x, f32([start, start]), several, differentiable=False, interpolation="bilinear", fill_value=0.0)
    for mode in ("reflect", "constant"):
        case("elastic_transform", mode, x, alpha=1.5, sigma=1.2, interpolation="bilinear", fill_mode=mode, fill_value=0.5, seed=7)
    a, b = numbers("ssim a", (2, 12, 13, 2), 0, 1), numbers("ssim b", (2, 12, 13, 2), 0, 1)
    case("ssim", "", a, b, max_val=1.0)
    case("ssim", "of other windows", a, b, max_val=2.0, filter_size=5, filter_sigma=0.9, k1=0.02, k2=0.05)
