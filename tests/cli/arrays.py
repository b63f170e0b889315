#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Arrays of every type for arrays.sh, and comparisons of them; nothing but the standard library. NPY files of version 1."""
import math
import random
import struct
import sys

CODES = {"b1": "?", "i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "i8": "q", "u8": "Q", "f2": "e", "f4": "f", "f8": "d"}


def write(path, kind, shape, values, order="<", fortran=False):
    order = "|" if kind[1] == "1" else order
    head = "{'descr': '%s%s', 'fortran_order': %s, 'shape': (%s,), }" % (order, kind, fortran, ", ".join(map(str, shape)))
    head = head.encode().ljust(117) + b"\n"
    with open(path, "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head)
        f.write(struct.pack((">" if order == ">" else "<") + str(len(values)) + CODES[kind], *values))


def read(path):
    """Type, shape and values of what aedecompress or `write` made."""
    data = open(path, "rb").read()
    n = struct.unpack("<H", data[8:10])[0]
    head = eval(data[10 : 10 + n])
    kind, count = head["descr"][1:], math.prod(head["shape"])
    order = ">" if head["descr"][0] == ">" else "<"
    values = struct.unpack(order + str(count) + CODES[kind], data[10 + n :])
    if head["fortran_order"]:
        rows, columns = head["shape"]
        values = [values[c * rows + r] for r in range(rows) for c in range(columns)]
    return kind, tuple(head["shape"]), values


def bits(kind, values):
    return struct.pack("<" + str(len(values)) + CODES[kind], *values)


def range_of(kind):
    size = 8 * int(kind[1])
    return (-(1 << size - 1), (1 << size - 1) - 1) if kind[0] == "i" else (0, (1 << size) - 1)


def make(where):
    r = random.Random(1)
    for kind in CODES:
        if kind[0] == "f":
            size = int(kind[1])
            noise = list(struct.unpack("<300" + CODES[kind], r.randbytes(300 * size)))
            walk = [v * 3 for v in range(30000)]
            for i in range(30000):
                walk[i] = (walk[i - 5] if i >= 5 else 0) + r.gauss(0, 2) if kind != "f2" else r.gauss(0, 50)
            odd = [r.gauss(0, 5) for _ in range(200)]
            odd[3:9] = [math.nan, math.inf, -math.inf, -0.0, 0.0, 5.9e-8]
            write(f"{where}/{kind}-nan.npy", kind, (40, 5), odd)
            write(f"{where}/{kind}-decimal.npy", kind, (500,), [round(v, 1) for v in walk[:500]])
        else:
            low, high = (0, 1) if kind == "b1" else range_of(kind)
            noise = [r.randint(low, high) for _ in range(300)]
            walk, at = [], (low + high) // 2
            for _ in range(30000):
                at = min(max(at + r.randint(-3, 3), low), high)
                walk.append(at)
        write(f"{where}/{kind}-noise.npy", kind, (300,), noise)
        write(f"{where}/{kind}-walk.npy", kind, (3000, 5), walk[:15000])
        write(f"{where}/{kind}-one.npy", kind, (1,), noise[:1])
        write(f"{where}/{kind}-same.npy", kind, (90, 2), noise[:1] * 180)
    write(f"{where}/i2-rank.npy", "i2", (2, 3, 1, 2, 1, 2, 1, 2), list(range(48)))
    write(f"{where}/f4-fortran.npy", "f4", (30, 4), [r.random() for _ in range(120)], fortran=True)
    write(f"{where}/i4-big.npy", "i4", (30, 4), [r.randint(-9, 9999) for _ in range(120)], order=">")
    write(f"{where}/f8-long.npy", "f8", (140000, 2), [r.random() if i < 2000 else i // 7 / 4 for i in range(280000)])
    with open(f"{where}/f4-walk.npy", "rb") as f:
        open(f"{where}/complex.bad", "wb").write(f.read().replace(b"'<f4'", b"'<c4'"))


def close(error, a, b, relative):
    kind, shape, x = read(a)
    other, again, y = read(b)
    good = kind == other and shape == again
    for v, w in zip(x, y):
        if not math.isfinite(v):
            good = good and bits(kind, [v]) == bits(kind, [w])
        else:
            good = good and abs(v - w) <= error * (abs(v) if relative else 1)
    return good


def main(command, *args):
    if command == "make":
        make(*args)
        return True
    if command == "same":
        (kind, shape, x), (other, again, y) = read(args[0]), read(args[1])
        return (kind, shape) == (other, again) and bits(kind, x) == bits(kind, y)
    if command == "all":
        failed = [path for path in args[1:] if not main("same", path, args[0] + "/" + path)]
        print(*failed)
        return not failed and len(args) > 40
    if command in ("within", "relative"):
        return close(float(args[0]), args[1], args[2], command == "relative")
    if command == "rows":
        first, end, (kind, shape, x), (_, again, y) = int(args[0]), int(args[1]), read(args[2]), read(args[3])
        width = len(x) // shape[0]
        return again == (end - first,) + shape[1:] and bits(kind, x[first * width : end * width]) == bits(kind, y)
    if command == "break":
        data = bytearray(open(args[0], "rb").read())
        data[data.index(b"\xe5\xa3\xcbT") + 40] ^= 1
        open(args[1], "wb").write(data)
        return True
    x, y = read(args[1])[2], read(args[2])[2]  # mostly: of these floats up to so many are lost, from the first on
    lost = sum(v != v for v in y)
    return len(x) == len(y) and x[lost:] == y[lost:] and 0 < lost <= int(args[0])


sys.exit(0 if main(*sys.argv[1:]) else 1)
