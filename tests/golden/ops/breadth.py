"""What the other families leave out of an op, made of a small case of it: each dtype that TensorFlow has a kernel for, NaN and
infinities, no elements, and scalars. Where TensorFlow refuses such a call, that is the case. A case has gradients where the small
case has, except at NaN and infinity.
"""

import functools
import json
import pathlib

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import op_def_registry

from fixture import array
from kernel_list import row as kernels_of
from samples import bf16
from traced_graphs import decoded, grouped

HERE = pathlib.Path(__file__).parent
FLOATS = ("float16", "bfloat16", "float32", "float64")

# Calls that end TensorFlow's process, that do not end, or that read memory at random.
DEADLY = [
    ("ArgMax", "Tidx of int16"),
    ("CTCLoss", "no elements"),
    ("DepthwiseConv2dNativeBackpropFilter", "no elements"),
    ("SplitV", "Tlen of int8"),
    ("StatelessRandomBinomial", "NaN"),
    ("StatelessRandomBinomial", "infinities"),
    ("StatelessRandomPoisson", "NaN"),
]


class Sample:
    """A recorded case as arguments of its op, which are arrays or lists of arrays."""

    def __init__(self, case, arrays):
        self.definition = op_def_registry.get(case["op"])
        kinds = {attr.name: attr.type for attr in self.definition.attr}
        self.attrs = {name: decoded(kinds[name], value) for name, value in case["attrs"].items()}
        self.args = list(self.definition.input_arg)[1 if "variable" in case else 0 :]
        values = [array(entry, arrays) for entry in case["inputs"]]
        self.on_variable = "variable" in case
        self.inputs = grouped(Arguments(self.args), values)
        self.variable = array(case["variable"], arrays) if self.on_variable else None
        self.succeeds = "error" not in case
        self.is_derived = any(case.get("grads", [])) or "grad" in case
        self.results = {entry["dtype"] for entry in case["outputs"]} if "outputs" in case else set()

    def arrays(self):
        inputs = [x for value in self.inputs for x in (value if isinstance(value, list) else [value])]
        return inputs + ([self.variable] if self.on_variable else [])

    def dtypes(self, attr):
        """The dtypes that stand for an attribute."""
        found = {tf.as_dtype(self.attrs[attr]).name} if attr in self.attrs else set()
        for arg, value in zip(self.args, self.inputs):
            if attr in (arg.type_attr, arg.type_list_attr):
                found |= {name(x) for x in (value if isinstance(value, list) else [value])}
        if self.on_variable and attr == "dtype":
            found.add(name(self.variable))
        return found

    def alike(self, attr):
        """The attributes of the same dtype as one, this included."""
        kinds = [a.name for a in self.definition.attr if a.type == "type"]
        return [a for a in kinds if a == attr or self.dtypes(a) == self.dtypes(attr)]

    def with_inputs(self, change, wanted=lambda arg: True):
        """The arguments, those of wanted inputs changed."""
        several = lambda value: [change(x) for x in value] if isinstance(value, list) else change(value)
        return [several(value) if wanted(arg) else value for arg, value in zip(self.args, self.inputs)]


class Arguments:
    def __init__(self, args):
        self.input_arg = args


def name(x):
    return "string" if x.dtype == object else tf.as_dtype(x.dtype).name


def floating(x):
    return name(x) in FLOATS + ("complex64", "complex128")


def add(run):
    samples = {}
    for manifest in sorted(HERE.glob("*.json")):
        if manifest.stem == pathlib.Path(__file__).stem:
            continue
        arrays = np.load(manifest.with_suffix(".npz"))
        for case in json.loads(manifest.read_text(encoding="utf-8")):
            samples.setdefault(case["op"], []).append(Sample(case, arrays))
    for op, all_of_it in sorted(samples.items()):
        small = sorted((sample for sample in all_of_it if sample.succeeds and fit(sample)), key=bare)
        if small:
            dtypes(run, op, all_of_it, small)
            special(run, op, all_of_it, small)
            empty(run, op, all_of_it, small)
            scalars(run, op, all_of_it, small)


def fit(sample):
    return all(0 < x.size <= 200 and (x.dtype == object or np.isfinite(x).all()) for x in sample.arrays())


def bare(sample):
    """Whether a sample has so few elements that they show little."""
    return min((x.size for x in filter(main_of(sample), sample.arrays())), default=0) < 4


def attempt(run, op, case, sample, variants, attrs=None, variable=None, **more):
    """The first of some variants of the arguments that TensorFlow takes."""
    if (op, case) in DEADLY:
        return
    before = [sample.variable if variable is None else variable] if sample.on_variable else []
    # Of some calls TensorFlow refuses the gradient alone.
    grads = (True, False) if sample.is_derived and case not in ("NaN", "infinities") else (False,)
    for inputs in variants:
        for grad in grads:
            try:
                call = run.variable if sample.on_variable else functools.partial(run.add, grad=grad, **more)
                return call(op, case, *before, *inputs, **{**sample.attrs, **(attrs or {})})
            except (tf.errors.OpError, ValueError, TypeError):
                run.seen.discard((op, case))


def refusal(run, op, case, sample, variants, attrs=None):
    """What TensorFlow says of the first variant that it refuses."""
    if (op, case) in DEADLY or (op, case) in run.seen:
        return
    before = [sample.variable] if sample.on_variable else []
    for inputs in variants:
        try:
            call = run.variable_fails if sample.on_variable else run.fails
            call(op, case, *before, *inputs, **{**sample.attrs, **(attrs or {})})
            if "Could not find device" not in run.fixture.cases[-1]["message"]:
                return
            run.fixture.cases.pop()
        except (ValueError, TypeError, AssertionError):
            pass
        run.seen.discard((op, case))


def dtypes(run, op, all_of_it, small):
    for attr, wanted in kernels_of(op_def_registry.get(op))["dtypes"].items():
        present = set().union(*(sample.dtypes(attr) for sample in all_of_it))
        for dtype in (dtype for dtype in wanted if dtype not in present):
            case, count = f"{attr} of {dtype}", len(run.fixture.cases)
            for sample in small[:6]:
                alone, together = ([a for a in sample.alike(attr) if a == attr or both] for both in (False, True))
                for attrs in (alone, together):
                    inputs = sample.with_inputs(lambda x: cast(x, dtype), lambda arg: arg.type_attr in attrs)
                    given = {a: tf.as_dtype(dtype) for a in attrs if a in sample.attrs}
                    before = cast(sample.variable, dtype) if sample.on_variable and attr == "dtype" else None
                    for reference in (True, False):  # Of some dtypes there is no kernel of float64.
                        if len(run.fixture.cases) == count:
                            run.seen.discard((op, case))
                            attempt(run, op, case, sample, [inputs], given, before, reference=reference)
            if len(run.fixture.cases) == count:
                run.seen.discard((op, case))
                inputs = small[0].with_inputs(lambda x: cast(x, dtype), lambda arg: arg.type_attr == attr)
                refusal(run, op, case, small[0], [inputs], {attr: tf.as_dtype(dtype)} if attr in small[0].attrs else {})


def cast(x, dtype):
    """Values of a dtype that are like those of another one."""
    if dtype == "string":
        return np.array([str(value) for value in x.ravel()], object).reshape(x.shape)
    if x.dtype == object:
        x = np.arange(x.size, dtype=np.float64).reshape(x.shape)
    wide = x.astype(np.complex128)
    if dtype == "bool":
        return wide.real > 0
    if dtype.startswith("complex"):
        turned = np.roll(wide.real.ravel(), 1).reshape(x.shape)
        return (wide.real + (1j * turned if name(x) in FLOATS else 0)).astype(dtype)
    real = wide.real
    if "int" in dtype and not np.all(real == np.round(real)):
        real = np.round(8 * real)
    real = np.abs(real) if dtype.startswith("uint") else real
    return real.astype(bf16 if dtype == "bfloat16" else dtype)


def special(run, op, all_of_it, small):
    small = [sample for sample in small if any(map(floating, sample.arrays()))]
    if not small:
        return
    floats = [x for sample in all_of_it if sample.succeeds for x in sample.arrays() if floating(x)]
    for case, there, values in (("NaN", np.isnan, [np.nan]), ("infinities", np.isinf, [np.inf, -np.inf])):
        if not any(there(x).any() for x in floats):
            sample = small[0]
            inputs = sample.with_inputs(lambda x: strewn(x, values))
            variable = strewn(sample.variable, values) if sample.on_variable else None
            attempt(run, op, case, sample, [inputs], variable=variable)
            refusal(run, op, case, sample, [inputs])


def strewn(x, values):
    """With special values in some places, if these are floats."""
    if not floating(x):
        return x
    x = np.array(x)
    at = np.arange(x.size)[1 % x.size :: 4]
    x.ravel()[at] = np.resize(np.array(values), len(at)).astype(x.dtype)
    return x


def main_of(sample):
    """The dtype of the inputs that the op is about."""
    floats = [x for x in sample.arrays() if floating(x)]
    return floating if floats else (lambda x: True)


def empty(run, op, all_of_it, small):
    if any(x.size == 0 for sample in all_of_it for x in sample.arrays()) or not small[0].inputs:
        return
    sample = small[0]
    main = main_of(sample)
    none = lambda axis: lambda x: np.take(x, [], axis) if main(x) and x.ndim > abs(axis + (axis < 0)) else x
    first = sample.definition.input_arg[1 if sample.on_variable else 0].name
    variants = [sample.with_inputs(none(0)), sample.with_inputs(none(0), lambda arg: arg.name == first)]
    variants += [sample.with_inputs(none(-1)), sample.with_inputs(lambda x: np.take(x, [], 0) if x.ndim else x)]
    variants = [v for v in variants if any(x.size == 0 for y in v for x in (y if isinstance(y, list) else [y]))]
    attempt(run, op, "no elements", sample, variants)
    refusal(run, op, "no elements", sample, variants)


def scalars(run, op, all_of_it, small):
    small = [sample for sample in small if any(map(floating, sample.arrays()))]
    floats = [x for sample in all_of_it for x in sample.arrays() if floating(x)]
    if not small or any(x.ndim == 0 for x in floats):
        return
    sample = small[0]
    first_of = lambda x: x.ravel()[0].reshape(()) if floating(x) else x
    of_floats = lambda x: floating(x[0]) if isinstance(x, list) else floating(x)
    first = next((arg.name for arg, x in zip(sample.args, sample.inputs) if of_floats(x)), None)
    variants = [sample.with_inputs(first_of), sample.with_inputs(first_of, lambda arg: arg.name == first)]
    attempt(run, op, "a scalar", sample, variants)
    refusal(run, op, "a scalar", sample, variants)
