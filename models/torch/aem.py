# SPDX-License-Identifier: BSD-2-Clause
"""Model files, doc/model-format.md."""
import ctypes
import math
import os
import struct
from pathlib import Path

import numpy as np

from . import recipe as recipes
from .graph import ACTS, OPS, PARITIES

MAGIC = b"\x89AEM\r\n\x1a\n"
F32, F16 = 1, 2


class ModelError(ValueError):
    pass


def _find_xxh3():
    class Hash(ctypes.Structure):
        _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]

    for name in ("libxxhash.so.0", "libxxhash.0.dylib"):
        try:
            function = ctypes.CDLL(name).XXH3_128bits
        except (OSError, AttributeError):
            continue
        function.restype, function.argtypes = Hash, (ctypes.c_char_p, ctypes.c_size_t)
        return lambda data: struct.pack(">QQ", *(lambda h: (h.high, h.low))(function(data, len(data))))
    try:
        import xxhash
    except ImportError:
        raise ModelError("XXH3 is missing: install libxxhash0 (Debian) or the Python module xxhash") from None
    return lambda data: xxhash.xxh3_128(data).digest()


def digest(data):
    """XXH3-128 in canonical order."""
    global digest
    digest = _find_xxh3()
    return digest(data)


def _align(n):
    return (n + 63) // 64 * 64


def _tensors(r):
    for k, network in enumerate(r.networks):
        for p in network.graph.params():
            yield k, p


def pack(text, card, values):
    """The file as bytes. values: the parameters of all networks as one flat array."""
    values, r, index, at = np.ascontiguousarray(values, "<f4"), recipes.parse(text), b"", 0
    for k, p in _tensors(r):
        count, dims = math.prod(p.shape), p.shape + (0,) * (4 - len(p.shape))
        index += struct.pack("<64s8I2Q", p.name.encode(), k, F32, len(p.shape), *dims, 0, 4 * at, 4 * count)
        at += count
    if at != values.size or not np.isfinite(values).all():
        raise ModelError("%d parameters, the recipe has %d; or some are not finite" % (values.size, at))
    sections = [(b"RECI", 1, text.encode()), (b"CARD", 0, card.encode()), (b"TNDX", 1, index), (b"TDAT", 1, values.tobytes())]
    table, body = b"", b""
    start = at = 64 + 32 * len(sections)
    for kind, critical, data in sections:
        at = _align(at)
        table += struct.pack("<4sI3Q", kind, critical, at, len(data), 0)
        body += bytes(at - start - len(body)) + data
        at += len(data)
    head = MAGIC + struct.pack("<2IQ24x", 1, len(sections), at)
    return head + digest(head + digest(table + body)) + table + body


def write(path, text, card, values):
    """Beside the target, then renamed."""
    part = "%s.%d.part" % (path, os.getpid())
    try:
        with open(part, "wb") as f:
            f.write(pack(text, card, values))
            f.flush()
            os.fsync(f.fileno())
        os.replace(part, path)
    finally:
        if os.path.exists(part):
            os.unlink(part)


def unpack(data):
    """(recipe text, card, flat parameters of all networks)."""
    if data[:8] != MAGIC or len(data) < 64:
        raise ModelError("not a model file")
    version, n, size = struct.unpack_from("<2IQ", data, 8)
    if version != 1:
        raise ModelError("model format %d, this program knows 1" % version)
    if size != len(data) or digest(data[:48] + digest(data[64:])) != data[48:64]:
        raise ModelError("truncated or damaged")
    sections = {}
    for i in range(n):
        kind, flags, at, length, _ = struct.unpack_from("<4sI3Q", data, 64 + 32 * i)
        if flags & 1 and kind not in (b"RECI", b"TNDX", b"TDAT", b"PROG"):  # a codec's integer program is for coding alone
            raise ModelError("needs section %s, which this program does not know" % kind.decode("latin-1"))
        sections[kind] = data[at:at + length]
    text, index, stored, values = sections[b"RECI"].decode(), sections[b"TNDX"], sections[b"TDAT"], []
    for i, (k, p) in enumerate(_tensors(recipes.parse(text))):
        name, network, kind, rank, *dims, _, at, length = struct.unpack_from("<64s8I2Q", index, 112 * i)
        if (name.rstrip(b"\0").decode(), network, tuple(dims[:rank])) != (p.name, k, p.shape) or kind not in (F32, F16):
            raise ModelError("tensor %s is not where the recipe expects it" % p.name)
        values.append(np.frombuffer(stored, "<f4" if kind == F32 else "<f2", math.prod(p.shape), at).astype("<f4"))
    if 112 * len(values) != len(index):
        raise ModelError("more tensors than the recipe has")
    return text, sections.get(b"CARD", b"").decode(), np.concatenate(values) if values else np.zeros(0, "<f4")


def read(path):
    try:
        return unpack(Path(path).read_bytes())
    except (ModelError, recipes.RecipeError, UnicodeDecodeError, KeyError, struct.error) as e:
        raise ModelError("%s: %s" % (path, e)) from None


def find(name):
    """A file, or a model's name as the tools look for it."""
    home = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    folders = [f for f in os.environ.get("AE_MODEL_PATH", "").split(":") if f]
    folders += [home + "/aesuite/models", str(Path(__file__).resolve().parents[1])]
    if "/" in name or os.path.isfile(name):
        return name
    for folder in folders:
        for path in (Path(folder, name), Path(folder, name + ".aem")):
            if path.is_file():
                return str(path)
    raise ModelError("no model '%s' in %s" % (name, ", ".join(folders)))


def identity(r, values):
    """What names a model: 16 bytes."""
    words = [1, recipes.TASKS.index(r.task), r.residual, r.scale, len(r.networks)]
    data = struct.pack("<5I", *words)
    for network in r.networks:
        nodes = network.graph.nodes
        owner = {}
        data += struct.pack("<I", len(nodes))
        for i, n in enumerate(nodes):
            kind = {"image": 1, "level": 2, "quality": 4, "place": 5}.get(n.name, 3) if n.op == "input" else 0
            first = owner.setdefault(n.param, i)
            data += struct.pack("<4I%dI" % len(n.inputs), OPS.index(n.op), kind, first, len(n.inputs), *n.inputs)
            data += struct.pack("<iIfI", n.add, ACTS.index(n.act), n.slope, n.out)
            for a in range(2):
                data += struct.pack("<4I", n.kernel[a], n.stride[a], n.dilation[a], n.pad[a])
            data += struct.pack("<5IfI", n.groups, n.factor, n.first, n.height, n.width, n.value, n.bias | n.causal << 1 | n.transposed << 2)
            if n.op in ("quantise", "bits"):
                data += struct.pack("<I", PARITIES.index(n.parity))
        data += struct.pack("<I%dI" % len(network.graph.outputs), len(network.graph.outputs), *network.graph.outputs)
    if r.bound > 0:
        data += struct.pack("<f", r.bound)
    if r.sound:
        f = r.sound
        data += struct.pack("<3f2I2f", f.rate, f.window, f.hop, f.bands, f.linear, f.power, f.memory)
    return digest(data + digest(np.ascontiguousarray(values, "<f4").tobytes()))
