"""What TensorFlow's registry says of the ops that graphs here have: core/src/graph_def/op_defs.txt.

    ConcatV2 values:N*T axis:Tidx > output:T > N:int T:type Tidx:type=int32

is a line: the op; its inputs; its outputs; its attributes with their kinds and defaults. What is behind the colon of an input
or an output is its dtype, `[int32]`, or the attribute that says it; `N*` stands before it where attribute `N` counts tensors,
`..` behind it where the attribute is a list of dtypes.
"""

import json
import pathlib

import tensorflow as tf
from tensorflow.python.framework import op_def_registry

HERE = pathlib.Path(__file__).parent
FILE = HERE.parents[1] / "core/src/graph_def/op_defs.txt"

# Those that are no computation of values, or of lists of them, and so have no golden cases of their own.
STRUCTURE = """
    Case Const EmptyTensorList HashTableV2 If InitializeTableV2 LookupTableExportV2 LookupTableFindV2 LookupTableImportV2
    LookupTableInsertV2 LookupTableRemoveV2 LookupTableSizeV2 MutableHashTableV2 NoOp OptionalFromValue OptionalGetValue OptionalHasValue OptionalNone PartitionedCall Placeholder
    PlaceholderWithDefault StatefulPartitionedCall StatelessCase StatelessIf StatelessWhile TensorListElementShape
    TensorListFromTensor TensorListGetItem TensorListLength TensorListPopBack TensorListPushBack TensorListReserve
    TensorListSetItem TensorListStack VarHandleOp VariableShape While
""".split()


def write():
    ops = set(STRUCTURE)
    for manifest in (HERE / "ops").glob("*.json"):
        ops |= {row["op"] for row in json.loads(manifest.read_text(encoding="utf-8"))}
    lines = [line(op_def_registry.get(op)) for op in sorted(ops)]
    FILE.write_text("".join(lines), encoding="utf-8")
    print(f"{FILE.name}: {len(lines)} ops")


def line(definition):
    inputs = [arg(a) for a in definition.input_arg]
    outputs = [arg(a) for a in definition.output_arg]
    attrs = [attr(a) for a in definition.attr]
    words = [definition.name, *inputs, ">", *outputs, ">", *attrs]
    assert not any(" " in word for word in words), words
    return " ".join(words) + "\n"


def arg(a):
    if a.type_list_attr:
        return f"{a.name}:{a.type_list_attr}.."
    dtype = a.type_attr or f"[{tf.as_dtype(a.type).name}]"
    count = f"{a.number_attr}*" if a.number_attr else ""
    return f"{a.name}:{count}{dtype}"


def attr(a):
    default = ""
    if a.HasField("default_value"):
        text = value(a.type, a.default_value)
        default = "" if text is None else f"={text}"
    return f"{a.name}:{a.type}{default}"


def value(kind, default):
    """An attribute's value as text; none for those that no graph here leaves out."""
    if kind.startswith("list("):
        items = getattr(default.list, {"type": "type", "shape": "shape"}.get(kind[5:-1], kind[5:6]))
        return "[" + ",".join(one(kind[5:-1], item) for item in items) + "]"
    if kind in ("tensor", "func"):
        return None
    field = {"type": "type", "shape": "shape"}.get(kind, kind[0])
    return one(kind, getattr(default, field))


def one(kind, item):
    match kind:
        case "type":
            return tf.as_dtype(item).name
        case "shape":
            shape = tf.TensorShape(item)
            return "?" if shape.rank is None else "(" + ",".join("?" if d is None else str(d) for d in shape) + ")"
        case "bool":
            return "true" if item else "false"
        case "string":
            text = item.decode()
            assert not set(text) & set(' ",[]'), text
            return text
        case _:
            return repr(item)
