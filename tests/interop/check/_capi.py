"""ctypes wrapper of TF's C API: TF_LoadSessionFromSavedModel -> the same C++ loader TF Serving uses
(tensorflow/cc/saved_model/loader), then TF_SessionRun.  Usage: run(dir, {feed:np}, [fetch]) -> [np]"""

import ctypes as C, os, glob, numpy as np

_lib = None


class _Buf(C.Structure):
    _fields_ = [("data", C.c_void_p), ("length", C.c_size_t), ("dealloc", C.c_void_p)]


class _Out(C.Structure):
    _fields_ = [("oper", C.c_void_p), ("index", C.c_int)]


_DT = {
    "float32": 1,
    "float64": 2,
    "int32": 3,
    "uint8": 4,
    "int16": 5,
    "int8": 6,
    "int64": 9,
    "bool": 10,
    "complex64": 8,
    "float16": 19,
    "bfloat16": 14,
}
_ND = {v: k for k, v in _DT.items()}


def lib():
    global _lib
    if _lib:
        return _lib
    import tensorflow as tf

    base = os.path.dirname(tf.__file__)
    for n in ["libtensorflow_cc.so.2", "python/_pywrap_tensorflow_internal.so", "libtensorflow_framework.so.2"]:
        p = os.path.join(base, n)
        if os.path.exists(p):
            l = C.CDLL(p)
            if hasattr(l, "TF_LoadSessionFromSavedModel"):
                _lib = l
                break
    if not _lib:
        raise RuntimeError("no TF C API in this TensorFlow install")
    for f in [
        "TF_NewStatus",
        "TF_NewGraph",
        "TF_NewSessionOptions",
        "TF_LoadSessionFromSavedModel",
        "TF_GraphOperationByName",
        "TF_AllocateTensor",
        "TF_TensorData",
    ]:
        getattr(_lib, f).restype = C.c_void_p
    _lib.TF_Message.restype = C.c_char_p
    _lib.TF_Dim.restype = C.c_int64
    _lib.TF_TensorByteSize.restype = C.c_size_t
    return _lib


def run(path, feeds, fetches, tags=("serve",)):
    l = lib()
    v = C.c_void_p
    st = v(l.TF_NewStatus())
    g = v(l.TF_NewGraph())
    so = v(l.TF_NewSessionOptions())
    tg = (C.c_char_p * len(tags))(*[t.encode() for t in tags])
    s = v(l.TF_LoadSessionFromSavedModel(so, None, str(path).encode(), tg, len(tags), g, None, st))

    def ok():
        if l.TF_GetCode(st) != 0:
            raise RuntimeError("C++ loader: %d %s" % (l.TF_GetCode(st), l.TF_Message(st).decode()))

    ok()

    def out(n):
        nm, _, i = n.partition(":")
        o = l.TF_GraphOperationByName(g, nm.encode())
        if not o:
            raise RuntimeError("no op " + nm)
        return _Out(o, int(i or 0))

    ins = []
    vals = []
    keep = []
    for n, a in feeds.items():
        a = np.asarray(a, order="C")
        ins.append(out(n))
        d = (C.c_int64 * max(1, a.ndim))(*(a.shape or (0,)))
        t = l.TF_AllocateTensor(_DT[a.dtype.name], d, a.ndim, C.c_size_t(a.nbytes))
        if a.nbytes:
            C.memmove(l.TF_TensorData(v(t)), a.ctypes.data, a.nbytes)
        vals.append(t)
    outs = [out(n) for n in fetches]
    ov = (v * len(outs))()
    l.TF_SessionRun(
        s,
        None,
        (_Out * len(ins))(*ins),
        (v * len(ins))(*vals),
        len(ins),
        (_Out * len(outs))(*outs),
        ov,
        len(outs),
        None,
        0,
        None,
        st,
    )
    ok()
    res = []
    for t in ov:
        t = v(t)
        dt = _ND[l.TF_TensorType(t)]
        sh = [l.TF_Dim(t, i) for i in range(l.TF_NumDims(t))]
        n = l.TF_TensorByteSize(t)
        b = C.string_at(l.TF_TensorData(t), n) if n else b""
        import ml_dtypes

        res.append(np.frombuffer(b, np.dtype(getattr(ml_dtypes, dt) if dt == "bfloat16" else dt)).reshape(sh).copy())
    l.TF_CloseSession(s, st)
    l.TF_DeleteSession(s, st)
    l.TF_DeleteGraph(g)
    return res
