"""Branches and loops of TensorFlow's graphs: what they give, and the gradients of the sum of it."""

import numpy as np
import tensorflow as tf

from fixture import Fixture, stream


def branch(x, w):
    return tf.cond(tf.reduce_sum(x) > 0.0, lambda: x * x * w, lambda: w - 3.0 * x)


def nested_branches(x, w):
    inner = lambda: tf.cond(tf.reduce_sum(w) > 0.0, lambda: tf.sin(x) * w, lambda: tf.exp(x))
    return tf.cond(tf.reduce_sum(x) > 0.0, inner, lambda: tf.tanh(w))


def switched(x, w):
    index = tf.cast(tf.reduce_max(x), tf.int32)
    return tf.switch_case(index, [lambda: x * w, lambda: x / w, lambda: x * x * x])


def power(x, w):
    return tf.while_loop(lambda x: tf.reduce_sum(x) < 100.0, lambda x: [x * w + 1.0], [x])[0]


def counted(x, w):
    def body(i, x, y):
        return i + 1, x * tf.sin(y) + w, y * 0.5 + x

    i, x, y = tf.while_loop(lambda i, x, y: i < 7, body, [0, x, w])
    return x + y * tf.cast(i, tf.float64)


def limited(x, w):
    return tf.while_loop(lambda x: tf.reduce_sum(x) > -1e9, lambda x: [x * w], [x], maximum_iterations=3)[0]


def loop_in_branch(x, w):
    def loop():
        return tf.while_loop(lambda i, x: i < 4, lambda i, x: (i + 1, tf.sin(x) * w), [0, x])[1]

    return tf.cond(tf.reduce_sum(x) > 0.0, loop, lambda: x * w)


def branch_in_loop(x, w):
    def body(i, x):
        return i + 1, tf.cond(tf.reduce_sum(x) > 1.0, lambda: x * 0.25 - w, lambda: x * x + w)

    return tf.while_loop(lambda i, x: i < 6, body, [0, x])[1]


def loop_in_loop(x, w):
    def outer(i, x):
        inner = lambda j, x: (j + 1, tf.tanh(x * w) + x * 0.5)
        return i + 1, tf.while_loop(lambda j, x: j < i, inner, [0, x])[1] * w

    return tf.while_loop(lambda i, x: i < 4, outer, [0, x])[1]


def grown(x, w):
    body = lambda x: [tf.concat([x, tf.reduce_sum(x * w[0])[None]], 0)]
    return tf.while_loop(lambda x: tf.shape(x)[0] < 6, body, [x], shape_invariants=[tf.TensorShape([None])])[0]


def scanned(x, w):
    return tf.scan(lambda carry, x: tf.tanh(carry * w + x), tf.stack([x, x * 2.0, -x, x * x]), initializer=w)


PROGRAMS = [
    branch, nested_branches, switched, power, counted, limited, loop_in_branch, branch_in_loop, loop_in_loop, grown, scanned
]


def inputs():
    random = stream("flow")
    for case, x, w in (
        ("positive", [0.25, 1.5, 0.75], [1.25, 0.5, 2.0]),
        ("negative", [-0.25, -1.5, 0.5], [1.5, -0.75, 1.0]),
        ("large", [60.0, 30.0, 25.5], [0.5, 0.25, 0.75]),
        ("drawn", random.uniform(0.0, 2.0, 3), random.uniform(0.75, 2.0, 3)),
    ):
        yield case, np.array(x), np.array(w)


def write():
    fixture = Fixture("flow")
    for program in PROGRAMS:
        for case, x, w in inputs():
            add(fixture, program, case, tf.constant(x), tf.constant(w))
    fixture.write()


def add(fixture, program, case, x, w):
    @tf.function
    def first(x, w):
        with tf.GradientTape() as tape:
            tape.watch([x, w])
            y = program(x, w)
        return y, *tape.gradient(y, [x, w], unconnected_gradients="zero")

    @tf.function
    def second(x, w):
        with tf.GradientTape() as outer:
            outer.watch([x, w])
            with tf.GradientTape() as tape:
                tape.watch([x, w])
                y = program(x, w)
            dx, dw = tape.gradient(y, [x, w], unconnected_gradients="zero")
            z = tf.reduce_sum(dx * dx) + tf.reduce_sum(dw * x)
        return outer.gradient(z, [x, w], unconnected_gradients="zero")

    if case == "negative" and program.__name__ == "power":
        return  # It never ends.
    y, dx, dw = first(x, w)
    row = {"program": program.__name__, "case": case, "inputs": fixture.put_all([x.numpy(), w.numpy()])}
    row |= {"output": fixture.put(y.numpy()), "grads": fixture.put_all([dx.numpy(), dw.numpy()])}
    row["second"] = fixture.put_all(g.numpy() for g in second(x, w))
    fixture.cases.append(row)
