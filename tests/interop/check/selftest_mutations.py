#!/usr/bin/env python
"""Proves that each checker can fail: copies a fixture, breaks it in one way, and demands a non-zero result.
Also demands that the unbroken copy passes.  exit 0 when every mutation is caught."""

import sys, os, shutil, io, contextlib, zipfile, tempfile

H = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [H, os.path.join(H, "..", "study")]
from _common import *
import run_all, pure

FX = os.path.join(H, "..", "fixtures")
TMP = tempfile.mkdtemp(prefix="mutations-")
res = []


def case(mod, fixture, name, mutate, expect_fail=True, extra=()):
    d = os.path.join(TMP, fixture)
    shutil.rmtree(d, ignore_errors=True)
    shutil.copytree(os.path.join(FX, fixture), d)
    mutate(d)
    argv = [j for m, j in run_all.jobs(d, d, "cli") if m == mod][0] + list(extra)
    b = io.StringIO()
    with contextlib.redirect_stdout(b), contextlib.redirect_stderr(io.StringIO()):
        rc = run_all.call(mod, argv)
    ok = (rc != 0) == expect_fail
    res.append(ok)
    why = [l.strip() for l in b.getvalue().splitlines() if "FAIL" in l][:2]
    print(("ok   " if ok else "MISSED"), mod, fixture, name, "rc", rc, (why[0][:110] if why else ""), flush=True)


def flip(rel, pos):
    def f(d):
        p = os.path.join(d, rel)
        b = bytearray(open(p, "rb").read())
        b[pos] ^= 0x40
        open(p, "wb").write(b)

    return f


def trunc(rel, n):
    def f(d):
        p = os.path.join(d, rel)
        b = open(p, "rb").read()
        open(p, "wb").write(b[:-n])

    return f


def rebundle(fn, rel="ckpt/model"):
    """decode bundle, let fn edit the tensor dict, re-encode with valid crcs"""

    def f(d):
        p = os.path.join(d, rel)
        b, _, _ = pure.read_bundle(p)
        t = {k.decode(): (pure.DTN[v["dtype"]], v["shape"], v.get("strings", v["raw"])) for k, v in b.items()}
        fn(t)
        pure.write_bundle(p, t)

    return f


W = "model/dense_1/w/.ATTRIBUTES/VARIABLE_VALUE"
OG = "_CHECKPOINTABLE_OBJECT_GRAPH"


def graph(fn):
    def f(t):
        from tensorflow.core.protobuf import trackable_object_graph_pb2 as tog

        g = tog.TrackableObjectGraph()
        g.ParseFromString(t[OG][2][0])
        fn(g)
        t[OG] = ("string", [], [g.SerializeToString()])

    return rebundle(f)


def ident(t):
    pass


def val(t):
    dt, s, r = t[W]
    a = np.frombuffer(r, "f4").copy()
    a[0] += 1e-6
    t[W] = (dt, s, a.tobytes())


def f64(t):
    dt, s, r = t[W]
    t[W] = ("float64", s, np.frombuffer(r, "f4").astype("f8").tobytes())


def rename(t):
    t["model/dense_1/W/.ATTRIBUTES/VARIABLE_VALUE"] = t.pop(W)


def tshape(t):
    dt, s, r = t[W]
    t[W] = (dt, [9], r)


def swap(g):
    for n in g.nodes:
        c = {x.local_name: x for x in n.children}
        if "dense_1" in c:
            c["dense_1"].local_name, c["dense_2"].local_name = "dense_2", "dense_1"


def hcv(g):
    g.nodes[0].has_checkpoint_values.value = False


def badid(g):
    g.nodes[0].children[0].node_id = 99


def dangling(g):
    g.nodes[1].children.pop()


def sm(fn):
    def f(d):
        from tensorflow.core.protobuf import saved_model_pb2

        p = d + "/saved_model/saved_model.pb"
        s = saved_model_pb2.SavedModel()
        s.ParseFromString(open(p, "rb").read())
        fn(s.meta_graphs[0])
        open(p, "wb").write(s.SerializeToString())

    return f


def relu(m):
    for f in m.graph_def.library.function:
        for n in f.node_def:
            if n.op == "Relu":
                n.op = "Tanh"
        for n in f.node_def:
            for i, x in enumerate(n.input):
                n.input[i] = x.replace(":activations:", ":y:")


def trainable(m):
    for n in m.object_graph_def.nodes:
        if n.WhichOneof("kind") == "variable":
            n.variable.trainable = not n.variable.trainable


def bound(m):
    for c in m.object_graph_def.concrete_functions.values():
        b = list(c.bound_inputs)
        c.bound_inputs[:] = b[::-1]


def nosaver(m):
    m.saver_def.restore_op_name = ""


def tags(m):
    m.meta_info_def.tags[:] = ["train"]


def nospec(m):
    for n in m.object_graph_def.nodes:
        if n.WhichOneof("kind") == "function":
            n.function.ClearField("function_spec")


def sigkey(m):
    s = m.signature_def["serving_default"].inputs
    s["xx"].CopyFrom(s["x"])
    del s["x"]


def noctl(m):
    for f in m.graph_def.library.function:
        if "increment" in f.signature.name:
            f.control_ret.clear()
            f.signature.control_output[:] = []
            [n.input.remove(i) for n in f.node_def for i in list(n.input) if i.startswith("^")]


def sigdtype(m):
    m.signature_def["serving_default"].inputs["x"].dtype = 2


def novar(d):
    os.remove(d + "/saved_model/variables/variables.index")


def sumcmp(m):
    for f in m.graph_def.library.function:
        r = dict(f.ret)
        if "identity" in r and "identity_1" in r:
            f.ret["identity"], f.ret["identity_1"] = r["identity_1"], r["identity"]


def outswap(m):
    o = m.signature_def["serving_default"].outputs
    a, b = [k for k in o][:2]
    o[a].name, o[b].name = o[b].name, o[a].name


def kz(fn):
    def f(d):
        p = d + "/model.keras"
        z = zipfile.ZipFile(p)
        t = {n: z.read(n) for n in z.namelist()}
        z.close()
        fn(t)
        with zipfile.ZipFile(p, "w") as o:
            [o.writestr(k, v) for k, v in t.items()]

    return f


def kact(t):
    t["config.json"] = t["config.json"].replace(b'"tanh"', b'"relu"')


def kname(t):
    t["config.json"] = t["config.json"].replace(b'"name": "probs"', b'"name": "prob_"')


def knoact(t):
    t["config.json"] = t["config.json"].replace(b'"use_bias": false', b'"use_bias": true')


def h5(fn):
    def f(t):
        import h5py

        b = io.BytesIO(t["model.weights.h5"])
        h = h5py.File(b, "r+")
        fn(h)
        h.close()
        t["model.weights.h5"] = b.getvalue()

    return kz(f)


def hw(h):
    h["layers/dense/vars/0"][0, 0] += 1e-6


def hdel(h):
    del h["layers/dense_1/vars/0"]


def hopt(h):
    h["optimizer/vars/3"][0, 0] += 1


def badevent(d):
    import glob
    from tensorboard.compat.proto import event_pb2

    p = glob.glob(d + "/logs/run1/*")[0]
    out = b""
    for i, r in enumerate(pure.read_records(open(p, "rb").read())):
        e = event_pb2.Event.FromString(r)
        for v in e.summary.value:
            if v.tag == "metrics/acc" and e.step == 3:
                v.tensor.tensor_content = np.float32(0.61).tobytes()
        out += pure.record(e.SerializeToString())
    open(p, "wb").write(out)


def evedit(fn):
    def f(d):
        import glob

        p = glob.glob(d + "/logs/run1/*")[0]
        b = fn(open(p, "rb").read())
        open(p, "wb").write(b)

    return f


def evdrop(b):
    r = list(pure.read_records(b))
    return b"".join(pure.record(x) for i, x in enumerate(r) if i != 3)


def evflip(b):
    b = bytearray(b)
    b[200] ^= 1
    return bytes(b)


def evtag(b):
    return b"".join(pure.record(x.replace(b"metrics/acc", b"metrics/acC")) for x in pure.read_records(b))


def evgraph(b):
    from tensorboard.compat.proto import event_pb2

    return b"".join(
        pure.record(x) for x in pure.read_records(b) if not event_pb2.Event.FromString(x).HasField("graph_def")
    )


C, S, K, E = "check_checkpoint", "check_savedmodel", "check_keras", "check_events"


def main():
    D = "ckpt/model.data-00000-of-00001"
    case(C, "seed_sequential", "(unchanged, re-encoded by pure.py)", rebundle(ident), False)
    for n, m in [
        ("flip data byte", flip(D, 5)),
        ("truncate data", trunc(D, 9)),
        ("flip index byte", flip("ckpt/model.index", 30)),
        ("truncate index", trunc("ckpt/model.index", 4)),
        ("value +1e-6", rebundle(val)),
        ("float64", rebundle(f64)),
        ("key renamed", rebundle(rename)),
        ("tensor missing", rebundle(lambda t: t.pop(W))),
        ("extra tensor", rebundle(lambda t: t.update(zz=t[W]))),
        ("shape [9]", rebundle(tshape)),
        ("no object graph", rebundle(lambda t: t.pop(OG))),
        ("graph: dense_1/dense_2 swapped", graph(swap)),
        ("graph: has_checkpoint_values false", graph(hcv)),
        ("graph: child id out of range", graph(badid)),
        ("graph: child missing", graph(dangling)),
    ]:
        case(C, "seed_sequential", n, m)
    case(
        C,
        "ckpt_root",
        "state file points to ckpt-2",
        lambda d: open(d + "/managed/checkpoint", "w").write(
            'model_checkpoint_path: "ckpt-2"\nall_model_checkpoint_paths: "ckpt-2"\n'
        ),
    )
    case(C, "ckpt_root", "latest missing", lambda d: os.remove(d + "/managed/ckpt-3.index"))
    case(C, "ckpt_sharded", "shard missing", lambda d: os.remove(d + "/ckpt/model.data-00001-of-00003"))
    case(
        C,
        "keras_mlp_sequential",
        "optimizer slot value",
        rebundle(
            lambda t: t.__setitem__(
                "optimizer/_variables/2/.ATTRIBUTES/VARIABLE_VALUE", ("float32", [4, 8], bytes(128))
            )
        ),
    )
    case(S, "seed_sequential", "(unchanged)", lambda d: None, False)
    for n, m in [
        ("Relu->Tanh", sm(relu)),
        ("trainable flags flipped", sm(trainable)),
        ("bound_inputs reversed", sm(bound)),
        ("no restore op", sm(nosaver)),
        ("tags", sm(tags)),
        ("no function_spec", sm(nospec)),
        ("signature input key", sm(sigkey)),
        ("signature dtype", sm(sigdtype)),
        ("no variables.index", novar),
        ("variables data flipped", flip("saved_model/variables/variables.data-00000-of-00001", 3)),
        ("no object graph", sm(lambda m: m.ClearField("object_graph_def"))),
        ("pb truncated", trunc("saved_model/saved_model.pb", 50)),
    ]:
        case(S, "seed_sequential", n, m)
    case(S, "sm_stateful", "increment without side effect", sm(noctl))
    case(S, "keras_multi_io", "FunctionDef rets swapped", sm(sumcmp))
    case(S, "keras_multi_io", "SignatureDef output names swapped", sm(outswap))
    case(K, "keras_mlp_sequential", "(unchanged, re-zipped)", kz(lambda t: None), False)
    for n, m in [
        ("activation changed", kz(kact)),
        ("layer name", kz(kname)),
        ("use_bias", kz(knoact)),
        ("weight +1e-6", h5(hw)),
        ("dataset deleted", h5(hdel)),
        ("optimizer slot", h5(hopt)),
        ("no weights file", kz(lambda t: t.pop("model.weights.h5"))),
        ("config not json", kz(lambda t: t.update({"config.json": b"{"}))),
    ]:
        case(K, "keras_mlp_sequential", n, m)
    case(E, "events", "(unchanged)", lambda d: None, False)
    for n, m in [
        ("scalar value", badevent),
        ("record dropped", evedit(evdrop)),
        ("byte flipped", evedit(evflip)),
        ("tag renamed (same length)", evedit(evtag)),
        ("graph removed", evedit(evgraph)),
        ("truncated", evedit(lambda b: b[:-3])),
    ]:
        case(E, "events", n, m)
    shutil.rmtree(TMP)
    print(f"{sum(res)}/{len(res)} as demanded")
    return 0 if all(res) else 1


if __name__ == "__main__":
    sys.exit(main())
