"""Codecs of the formats without TensorFlow (stdlib and numpy alone): they record layouts, and break files with valid checksums."""

import struct, numpy as np

# ---------- crc32c ----------
_T = []
for i in range(256):
    c = i
    for _ in range(8):
        c = (c >> 1) ^ (0x82F63B78 if c & 1 else 0)
    _T.append(c)


def crc32c(data, crc=0):
    c = crc ^ 0xFFFFFFFF
    for b in data:
        c = _T[(c ^ b) & 255] ^ (c >> 8)
    return c ^ 0xFFFFFFFF


def mask(c):
    return (((c >> 15) | (c << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def unmask(m):
    r = (m - 0xA282EAD8) & 0xFFFFFFFF
    return ((r >> 17) | (r << 15)) & 0xFFFFFFFF


# ---------- protobuf wire ----------
def varint(n):
    if n < 0:
        n += 1 << 64
    o = b""
    while n > 127:
        o += bytes([n & 127 | 128])
        n >>= 7
    return o + bytes([n])


def rvarint(b, p):
    r = s = 0
    while True:
        x = b[p]
        p += 1
        r |= (x & 127) << s
        s += 7
        if x < 128:
            return r, p


def F(n, v):  # varint field, proto3 default omitted
    return b"" if v == 0 else varint(n << 3) + varint(v)


def L(n, b):  # length-delimited (always written)
    if isinstance(b, str):
        b = b.encode()
    return varint(n << 3 | 2) + varint(len(b)) + b


def FX32(n, v):
    return varint(n << 3 | 5) + struct.pack("<I", v)


def FX64D(n, v):
    return varint(n << 3 | 1) + struct.pack("<d", v)


def FLT(n, v):
    return varint(n << 3 | 5) + struct.pack("<f", v)


def parse(b):
    """-> list of (field, wiretype, value)"""
    p = 0
    out = []
    while p < len(b):
        k, p = rvarint(b, p)
        f, w = k >> 3, k & 7
        if w == 0:
            v, p = rvarint(b, p)
        elif w == 1:
            v = b[p : p + 8]
            p += 8
        elif w == 2:
            n, p = rvarint(b, p)
            v = b[p : p + n]
            p += n
        elif w == 5:
            v = struct.unpack("<I", b[p : p + 4])[0]
            p += 4
        else:
            raise ValueError("wire %d" % w)
        out.append((f, w, v))
    return out


def shape_proto(dims):
    return b"".join(L(2, F(1, d)) for d in dims)


# ---------- table ----------
MAGIC = 0xDB4775248B80FB57


class Block:
    def __init__(s, interval):
        s.i = interval
        s.buf = b""
        s.r = [0]
        s.c = 0
        s.last = b""

    def add(s, k, v):
        sh = 0
        if s.c < s.i:
            while sh < min(len(k), len(s.last)) and k[sh] == s.last[sh]:
                sh += 1
        else:
            s.r.append(len(s.buf))
            s.c = 0
        s.buf += varint(sh) + varint(len(k) - sh) + varint(len(v)) + k[sh:] + v
        s.last = k
        s.c += 1

    def finish(s):
        return s.buf + b"".join(struct.pack("<I", x) for x in s.r) + struct.pack("<I", len(s.r))


def short_sep(a, b):
    i = 0
    while i < min(len(a), len(b)) and a[i] == b[i]:
        i += 1
    if i < min(len(a), len(b)) and a[i] < 255 and a[i] + 1 < b[i]:
        return a[:i] + bytes([a[i] + 1])
    return a


def short_succ(a):
    for i, c in enumerate(a):
        if c != 255:
            return a[:i] + bytes([c + 1])
    return a


def write_table(items, block_size=262144):
    """items: sorted list of (bytes key, bytes value)"""
    out = bytearray()
    index = Block(1)

    def emit(content):
        h = varint(len(out)) + varint(len(content))
        out.extend(content + b"\0" + struct.pack("<I", mask(crc32c(content + b"\0"))))
        return h

    b = Block(16)
    n = 0
    pend = None
    for k, v in items:
        if pend:
            index.add(short_sep(pend[0], k), pend[1])
            pend = None
        b.add(k, v)
        n += 1
        if len(b.buf) + 4 * len(b.r) + 4 >= block_size:
            pend = (k, emit(b.finish()))
            b = Block(16)
            n = 0
    if n:
        pend = (
            b.last,
            emit(b.finish()),
        )  # any separator >= last key and < next key is legal; these two rules reproduce TF byte for byte
    fin = pend
    meta = emit(Block(16).finish())
    if fin:
        index.add(short_succ(fin[0]), fin[1])
    ih = emit(index.finish())
    foot = meta + ih
    foot += b"\0" * (40 - len(foot)) + struct.pack("<Q", MAGIC)
    out.extend(foot)
    return bytes(out)


def read_block(buf, off, size):
    c = buf[off : off + size]
    t = buf[off + size]
    crc = struct.unpack("<I", buf[off + size + 1 : off + size + 5])[0]
    assert mask(crc32c(c + bytes([t]))) == crc, "block crc"
    assert t == 0, "compressed %d" % t
    nr = struct.unpack("<I", c[-4:])[0]
    end = len(c) - 4 - 4 * nr
    p = 0
    k = b""
    out = []
    while p < end:
        s, p = rvarint(c, p)
        ns, p = rvarint(c, p)
        vl, p = rvarint(c, p)
        k = k[:s] + c[p : p + ns]
        p += ns
        out.append((k, c[p : p + vl]))
        p += vl
    return out, nr


def read_table(buf):
    f = buf[-48:]
    assert struct.unpack("<Q", f[40:])[0] == MAGIC
    p = 0
    mo, p = rvarint(f, p)
    ms, p = rvarint(f, p)
    io, p = rvarint(f, p)
    isz, p = rvarint(f, p)
    info = {"meta": (mo, ms), "index": (io, isz), "blocks": []}
    meta, _ = read_block(buf, mo, ms)
    info["meta_entries"] = meta
    idx, _ = read_block(buf, io, isz)
    res = []
    for k, h in idx:
        o, q = rvarint(h, 0)
        s, _ = rvarint(h, q)
        e, nr = read_block(buf, o, s)
        info["blocks"].append((o, s, nr, len(e), k))
        res += e
    return res, info


# ---------- bundle ----------
DT = {
    "float32": 1,
    "float64": 2,
    "int32": 3,
    "uint8": 4,
    "int16": 5,
    "int8": 6,
    "string": 7,
    "complex64": 8,
    "int64": 9,
    "bool": 10,
    "bfloat16": 14,
    "uint16": 17,
    "complex128": 18,
    "float16": 19,
    "uint32": 22,
    "uint64": 23,
}
DTN = {v: k for k, v in DT.items()}


def string_payload(strs):
    c = 0
    out = b""
    for s in strs:
        out += varint(len(s))
        c = crc32c(struct.pack("<I", len(s)) if len(s) <= 0xFFFFFFFF else struct.pack("<Q", len(s)), c)
    ck = struct.pack("<I", mask(c))
    out += ck
    c = crc32c(ck, c)
    for s in strs:
        out += s
        c = crc32c(s, c)
    return out, mask(c)


def write_bundle(prefix, tensors, num_shards=1, shard_of=lambda k: 0):
    """tensors: {key: (dtype_name, shape, raw bytes | list[bytes])}"""
    shards = [bytearray() for _ in range(num_shards)]
    items = [(b"", F(1, num_shards) + L(3, F(1, 1)))]
    for k in sorted(tensors, key=lambda s: s.encode()):
        dt, shape, data = tensors[k]
        sh = shard_of(k)
        if dt == "string":
            raw, crc = string_payload(data)
        else:
            raw = bytes(data)
            crc = mask(crc32c(raw))
        e = F(1, DT[dt]) + L(2, shape_proto(shape)) + F(3, sh) + F(4, len(shards[sh])) + F(5, len(raw)) + FX32(6, crc)
        shards[sh] += raw
        items.append((k.encode(), e))
    for i, s in enumerate(shards):
        open(f"{prefix}.data-{i:05d}-of-{num_shards:05d}", "wb").write(s)
    open(prefix + ".index", "wb").write(write_table(items))


def read_bundle(prefix, check=True):
    ents, info = read_table(open(prefix + ".index", "rb").read())
    hdr = dict((f, v) for f, _, v in parse(ents[0][1]))
    assert ents[0][0] == b""
    n = hdr.get(1, 0)
    data = [open(f"{prefix}.data-{i:05d}-of-{n:05d}", "rb").read() for i in range(n)]
    out = {}
    for k, v in ents[1:]:
        d = {"dtype": 0, "shape": [], "shard": 0, "off": 0, "size": 0, "crc": 0, "slices": []}
        for f, w, x in parse(v):
            if f == 1:
                d["dtype"] = x
            elif f == 2:
                d["shape"] = [dict((a, c) for a, _, c in parse(y)).get(1, 0) for g, _, y in parse(x) if g == 2]
            elif f == 3:
                d["shard"] = x
            elif f == 4:
                d["off"] = x
            elif f == 5:
                d["size"] = x
            elif f == 6:
                d["crc"] = x
            elif f == 7:
                d["slices"].append(x)
        raw = data[d["shard"]][d["off"] : d["off"] + d["size"]]
        d["raw"] = raw
        if check and not d["slices"]:
            if d["dtype"] == 7:
                cnt = int(np.prod(d["shape"])) if d["shape"] else 1
                p = 0
                ls = []
                for _ in range(cnt):
                    l, p = rvarint(raw, p)
                    ls.append(l)
                q = p + 4
                ss = []
                for l in ls:
                    ss.append(raw[q : q + l])
                    q += l
                r2, crc = string_payload(ss)
                assert r2 == raw and crc == d["crc"], k
                d["strings"] = ss
            else:
                assert mask(crc32c(raw)) == d["crc"], k
        out[k] = d
    return out, hdr, info


# ---------- object graph ----------
def object_graph(nodes):
    """nodes: list of dict(children={name:id}, value=(full_name,key)|None, slots=[(orig,slot,node)])"""
    parents = {}
    for i, n in enumerate(nodes):
        for c in n.get("children", {}).values():
            parents.setdefault(c, []).append(i)
    has = set()
    todo = [i for i, n in enumerate(nodes) if n.get("value") or n.get("slots")]
    while todo:
        i = todo.pop()
        if i in has:
            continue
        has.add(i)
        todo += parents.get(i, [])
    out = b""
    for i, n in enumerate(nodes):
        m = b"".join(L(1, F(1, c) + L(2, nm)) for nm, c in n.get("children", {}).items())
        if n.get("value"):
            m += L(2, L(1, "VARIABLE_VALUE") + L(2, n["value"][0]) + L(3, n["value"][1]))
        for o, s, v in n.get("slots", []):
            m += L(3, F(1, o) + L(2, s) + F(3, v))
        m += L(5, F(1, 1 if i in has else 0))
        out += L(1, m)
    return out


# ---------- tfrecord ----------
def record(data):
    l = struct.pack("<Q", len(data))
    return l + struct.pack("<I", mask(crc32c(l))) + data + struct.pack("<I", mask(crc32c(data)))


def read_records(buf):
    p = 0
    while p < len(buf):
        n = struct.unpack("<Q", buf[p : p + 8])[0]
        assert mask(crc32c(buf[p : p + 8])) == struct.unpack("<I", buf[p + 8 : p + 12])[0]
        d = buf[p + 12 : p + 12 + n]
        assert mask(crc32c(d)) == struct.unpack("<I", buf[p + 12 + n : p + 16 + n])[0]
        yield d
        p += 16 + n
