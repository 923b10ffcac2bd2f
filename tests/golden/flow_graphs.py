"""Graphs with branches and loops that TensorFlow traced, in `flow_graphs.zip` as in `graph_defs.zip`, and what they compute.

The programs of `flow_cases.py`, their gradients (`first`) and the gradients of those (`second`), of three elements and of any
number, compute what is in `flow.json`. Programs on a variable are here with their values, in `flow_graphs.json`.
"""

import json
import pathlib
import zipfile

import numpy as np
import tensorflow as tf

import flow_cases
from fixture import Fixture

HERE = pathlib.Path(__file__).parent


def first(program):
    def both(x, w):
        with tf.GradientTape() as tape:
            tape.watch([x, w])
            y = program(x, w)
        return y, *tape.gradient(y, [x, w], unconnected_gradients="zero")

    return both


def second(program):
    def both(x, w):
        with tf.GradientTape() as outer:
            outer.watch([x, w])
            _, dx, dw = first(program)(x, w)
            z = tf.reduce_sum(dx * dx) + tf.reduce_sum(dw * x)
        return outer.gradient(z, [x, w], unconnected_gradients="zero")

    return both


def added(x, v):
    """Writes in a loop, in the order of its iterations."""

    def body(i, x):
        v.assign_add(x * tf.cast(i, tf.float64))
        return i + 1, x + v

    i, x = tf.while_loop(lambda i, x: i < 4, body, [0, x])
    return x - v * tf.cast(i, tf.float64)


def written(x, v):
    """Writes in branches, and reads behind them."""

    def of(change):
        def branch():
            change()
            return v * 2.0

        return branch

    y = tf.cond(tf.reduce_sum(x) > 0.0, of(lambda: v.assign(x * x)), of(lambda: v.assign_sub(x)))
    index = tf.cast(tf.reduce_max(x), tf.int32)
    z = tf.switch_case(index, [of(lambda: v.assign_add(x)), of(lambda: v.assign_sub(y)), lambda: v + 1.0])
    return y * z + v


def learned(x, v):
    """The gradient of a variable that a loop reads."""
    with tf.GradientTape() as tape:
        y = tf.while_loop(lambda i, y: i < 5, lambda i, y: (i + 1, tf.tanh(y * v) + x), [0, x])[1]
        loss = tf.reduce_sum(y)
    slope = tape.gradient(loss, v)
    v.assign_sub(0.1 * slope)
    return loss, slope


def called(x, v):
    """A function in a loop, which calls another."""
    inner = tf.function(lambda x: x * v, autograph=False)
    outer = tf.function(lambda x: tf.sin(inner(x)) + inner(x + 1.0), autograph=False)
    return tf.while_loop(lambda x: tf.reduce_sum(outer(x)) < 10.0, lambda x: [outer(x) + 1.0], [x], maximum_iterations=9)[0]


def limit(x, v):
    """A loop to what a variable says, in a branch."""

    def loop():
        return tf.while_loop(lambda i, x: tf.cast(i, tf.float64) < v[1], lambda i, x: (i + 1, x + v), [0, x])

    return tf.cond(tf.reduce_sum(x) > 0.0, loop, lambda: [7, x])


ON_VARIABLES = [added, written, learned, called, limit]


def write():
    rows, graphs = [], []

    def keep(graph, **row):
        data = graph.SerializeToString(deterministic=True)
        rows.append({**row, "length": len(data)})
        graphs.append(data)

    for program in flow_cases.PROGRAMS:
        for order in (first, second):
            for shape in ([3], [None]):
                specs = [tf.TensorSpec(shape, tf.float64, name=name) for name in "xw"]
                concrete = tf.function(order(program), autograph=False).get_concrete_function(*specs)
                names = [[i, t.op.name] for i, t in enumerate(concrete.inputs)]
                outputs = [t.name for t in concrete.outputs]
                case = f"{order.__name__} {shape}"
                keep(concrete.graph.as_graph_def(), op=program.__name__, case=case, inputs=names, outputs=outputs)

    fixture = Fixture("flow_graphs")
    for program in ON_VARIABLES:
        for case, x, before in (("up", [0.5, 1.25, 0.75], [1.5, 3.0, 0.5]), ("down", [-0.5, -2.0, 0.25], [0.25, 2.5, -1.0])):
            graph, row, values = on_variable(program, np.array(x), np.array(before))
            if case == "up":
                keep(graph, op=program.__name__, case="variable", **row)
            found, after = values
            fixture.cases.append({
                "program": program.__name__, "x": fixture.put(np.array(x)), "before": fixture.put(np.array(before)),
                "outputs": fixture.put_all(found), "after": fixture.put(after),
            })
    fixture.write()
    with zipfile.ZipFile(HERE / "flow_graphs.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        lines = ",\n".join(json.dumps(row) for row in rows)
        for name, data in (("index.json", f"[\n{lines}\n]\n".encode()), ("graphs", b"".join(graphs))):
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED, 9)
    print(f"flow_graphs: {len(rows)} graphs, {sum(map(len, graphs))} bytes")


def on_variable(program, x, before):
    with tf.Graph().as_default() as graph:
        fed = tf.compat.v1.placeholder(tf.float64, [3], name="x")
        v = tf.Variable(before, name="v")
        found = tf.nest.flatten(tf.function(lambda x: program(x, v), autograph=False)(fed))
        names = [tf.identity(t, name=f"y{i}").name for i, t in enumerate(found)]
        with tf.compat.v1.Session(graph=graph) as session:
            session.run(v.initializer)
            values = session.run(names, {fed: x}), session.run(v.read_value())
    # What a session made of the graph is not part of it.
    row = {"inputs": [[0, "x"]], "outputs": names, "variables": ["v"]}
    return graph.as_graph_def(), row, values
