"""ONNX Runtime on CPUs: inference alone. Mode `prepare` writes the files, which tract reads too."""

import os

from protocol import DATA, Report, digits, read

report = Report()
report.peer = "onnxruntime"

import numpy as np


def prepare():
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    def save(name, nodes, weights, x, y):
        weights = [numpy_helper.from_array(np.ascontiguousarray(value), key) for key, value in weights.items()]
        tensor = lambda name, dims: helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)
        graph = helper.make_graph(nodes, name, [tensor("x", x)], [tensor("y", y)], weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model)
        onnx.save(model, os.path.join(DATA, name + ".onnx"))

    def chain(*nodes):
        """Nodes one after the other, from x to y: an operator, its weights and its attributes."""
        names = ["x"] + [f"_{at}" for at in range(1, len(nodes))] + ["y"]
        made = []
        for at, (operator, weights, *attributes) in enumerate(nodes):
            inputs, outputs = names[at : at + 1] + weights.split(), names[at + 1 : at + 2]
            made.append(helper.make_node(operator, inputs, outputs, **dict(*attributes)))
        return made

    relu = ("Relu", "")
    save("seq", chain(("Gemm", "w1 b1"), relu, ("Gemm", "w2 b2"), relu), read("seq"), ["n", 3], ["n", 2])
    dense = chain(("Gemm", "w1 b1"), relu, ("Gemm", "w2 b2"), relu, ("Gemm", "w3 b3"))
    save("mlp", dense, read("mlp"), ["n", 784], ["n", 10])
    p = read("cnn")
    p["c1"], p["c2"] = p["c1"].transpose(3, 2, 0, 1), p["c2"].transpose(3, 2, 0, 1)
    p["w1"] = p["w1"].reshape(12, 12, 64, 128).transpose(2, 0, 1, 3).reshape(9216, 128)
    pool = ("MaxPool", "", {"kernel_shape": [2, 2], "strides": [2, 2]})
    before = ("Conv", "c1 cb1"), relu, ("Conv", "c2 cb2"), relu, pool, ("Flatten", "")
    nodes = chain(*before, ("Gemm", "w1 b1"), relu, ("Gemm", "w2 b2"))
    save("cnn", nodes, p, ["n", 1, 28, 28], ["n", 10])


def ask(name, x):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = report.threads, 1
    path = os.path.join(DATA, name + ".onnx")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    call = lambda: session.run(None, {"x": x})[0]
    report.ask(f"{name}_b{len(x)}", call, call().sum())


if report.mode == "prepare":
    prepare()
else:
    ask("seq", np.full((1, 3), 2.0, np.float32))
    for size in (1, 256):
        ask("mlp", digits(size, 784)[0][0])
        ask("cnn", digits(size, 1, 28, 28)[0][0])
