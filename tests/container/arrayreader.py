#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Decodes the arrays of .aec files once more, in plain integers of Python and nothing but the standard library: what doc/container.md calls the
coder, written down a second time, slowly. Without further files it says how many bytes each array has, else it compares these with NPY files,
one for each array. arrayreader.py FILE.aec [FILE.npy]..."""
import itertools
import struct
import sys

import reader

M32, M64 = (1 << 32) - 1, (1 << 64) - 1
STRETCH, TAIL = 12 << 8, 16 * 64
HASHED, SHAPES, MATCH, ONE, RATIOS, MATCHES, TAPS, LEVELS, BITS = 11, 2, 16, 17, 24, 3, 20, 256, 48


def make_tables():
    squash, tail, power = [0] * (2 * STRETCH + 1), [0] * (2 * TAIL + 2), 1 << 62
    for i in range(TAIL * 4 + 1):
        if i <= STRETCH:
            p = (power << 16) // ((1 << 62) + power) or 1
            squash[STRETCH - i], squash[STRETCH + i] = p, (65536 - p) & 65535
        if i % 4 == 0:
            p = (power << 30) // ((1 << 62) + power)
            tail[TAIL + i // 4], tail[TAIL - i // 4] = p, (1 << 30) - p
        power = power * 0x3FC01FF557FF778E >> 62
    tail[2 * TAIL + 1] = tail[2 * TAIL]

    def inverse(edge):
        table, at = [], 0
        for i in range(4096):
            while at < 2 * STRETCH and squash[at] < edge(i):
                at += 1
            table.append(at - STRETCH)
        return table

    return squash, tail, inverse(lambda i: 16 * i + 8), inverse(lambda i: i)


SQUASH, TAILS, INVERSE, INVERSE_LOW = make_tables()
RATE = [131072 // (2 * i + 3) for i in range(1024)]


def stretch(p):
    if p < 4096:
        return INVERSE_LOW[p]
    return -INVERSE_LOW[min(65536 - p, 4095)] if p >= 65536 - 4096 else INVERSE[p >> 4]


def log2(v):
    return (v | 1).bit_length() - 1


def mixed(a, b):
    a = ((a ^ b & M32 ^ (b >> 32 & M32) * 0x85EBCA6B & M32) * 0x9E3779B1) & M32
    return a ^ a >> 15


def clip(v, most):
    return max(-most, min(most, v))


def level_of(v):
    if v < 4:
        return v
    e = log2(v)
    return min(4 * (e - 1) + (v >> e - 2 & 3), LEVELS - 1)


def ratio(part, whole):
    return max(1, min(65535, (part + 32) * 65536 // (whole + 64)))


def toward_zero(a, b):
    return abs(a) // b * (1 if a >= 0 else -1)


class Column:
    def __init__(self, most):
        self.weights = [[0] * TAPS, [0] * TAPS]
        self.mean, self.away, self.change = (most // 2) << 11, (most // 4 + 1) << 11, (most // 16 + 1) << 9
        self.fast = self.slow = 0
        self.last = [0, 0]
        self.measure()

    def measure(self):
        self.unit = (self.change >> 9) + 1
        self.shift = max(log2(self.unit) - 16, 0)
        self.inverse = (1 << 28) // (self.unit >> self.shift)

    def in_units(self, v):
        return clip(clip(v >> self.shift, 1 << 24) * 256 * self.inverse >> 28, 32767)


class Model:
    def __init__(self, n, first, most, columns, stride, equal, window, common, data):
        self.n, self.first, self.most, self.stride = n, first, most, stride
        self.equal, self.window, self.common = equal, window, common
        self.columns = [Column(most) for _ in range(columns)]
        scales = [(i if i < 4 else (4 + (i & 3)) << i // 4 - 1) << 6 for i in range(LEVELS)]
        self.scales = [[s & M64 for s in scales], [s & M64 for s in scales]]
        self.n_lines = 64
        while self.n_lines < 1 << 14 and self.n_lines < n:
            self.n_lines *= 2
        self.lines = [{} for _ in range(HASHED)]
        self.shapes = [{}, {}]
        self.weights0 = [[13107] * 3 + [9175] * 13 + [32768] + [0] * 15 for _ in range((RATIOS + 2) * MATCHES)]
        self.weights1 = [[0] * 32 for _ in range(BITS + 1)]
        self.used = [0] * ((RATIOS + 2) * MATCHES)
        self.flat = [[32768] * 32 for _ in range(BITS)]
        self.outside = [1023] * LEVELS
        self.positions = [0] * (1 << 16)
        self.good, self.length, self.came_from, self.expected = [0, 0], 0, 0, 0
        self.low, self.high, self.data, self.at = 0, M32, data, 4
        self.code = int.from_bytes(data[:4].ljust(4, b"\0"), "big")

    def bit(self, p):
        middle = self.low + ((self.high - self.low) * p >> 16)
        bit = int(self.code <= middle)
        if bit:
            self.high = middle
        else:
            self.low = middle + 1
        while (self.low ^ self.high) >> 24 == 0:
            self.code = (self.code << 8 | (self.data[self.at] if self.at < len(self.data) else 0)) & M32
            self.at += 1
            self.low, self.high = self.low << 8 & M32, (self.high << 8 | 255) & M32
        return bit

    def above(self, d, number):
        x, scale = (number << 4) - 8 - self.mean[d], self.scale[d]
        e = log2(scale) - 20
        if e > 0:
            x, scale = x >> e, scale >> e
        x = clip(x, 1 << 36) * ((16384 << 12) // (scale * 185 >> 8 | 1)) >> 12
        x = clip(x, TAIL << 8) + (TAIL << 8)
        i, f = x >> 8, x & 255
        return TAILS[i] - ((TAILS[i] - TAILS[i + 1]) * f >> 8)

    def decide(self, node, p, ratio_level, depth, said, first):
        match = 0 if said < 0 else 1 if self.length < 16 else 2
        s = ((RATIOS + ratio_level) if first else ratio_level) * MATCHES + match
        x, w0, w1 = [0] * 32, self.weights0[s], self.weights1[depth]
        for i in range(3):
            x[i] = stretch(p[i])
        rl = 31 if first else ratio_level
        places = [(self.line[i], node) for i in range(HASHED)]
        places.append((self.shapes[0], (x[0] + STRETCH >> 7) % 64 << 8 | rl << 3 | self.level >> 3 & 7))
        places.append((self.shapes[1], (x[1] + STRETCH >> 8) % 32 << 9 | rl << 4 | self.col & 15))
        for i, (table, at) in enumerate(places):
            counter = table.get(at, 0)
            x[3 + i] = stretch(counter >> 16) if counter & 1023 else 0
        if said >= 0:
            sure = 256 * (2 + self.length // 4 if self.length < 32 else 10)
            x[MATCH] = sure if said else -sure
        x[ONE] = 256
        dot = sum(a * (b + c) for a, b, c in zip(x, w0, w1))
        final = SQUASH[clip(dot >> 16, STRETCH) + STRETCH]
        bit = self.bit(final)
        error = (bit << 16) - final
        rate = 11 - (self.used[s] >> 7) if self.used[s] < 1024 else 3
        self.used[s] += 1
        for i in range(32):
            step = x[i] * error * rate >> 17
            w0[i] = (w0[i] + step + (1 << 31) & M32) - (1 << 31)
            w1[i] = (w1[i] + (step >> 1) + (1 << 31) & M32) - (1 << 31)
        for i, (table, at) in enumerate(places):
            counter, target = table.get(at, 0), (1 << 22) - 1 if bit else 0
            n = counter & 1023
            v = counter >> 10 if n else 1 << 21
            v += (target - v) * RATE[n] >> 16
            table[at] = v << 10 | (n + 1 if n < (250 if i < HASHED else 1000) else n)
        return bit

    def find_lines(self, place, above):
        self.line = []
        for i in range(HASHED):
            h = mixed(mixed(self.hashes[i] + place & M32, above), i)
            index, check = (h * 0x2C1B3C6D & M32) >> 7 & self.n_lines - 1, h | 1
            if index not in self.lines[i] or self.lines[i][index][-1] != check:
                self.lines[i][index] = {-1: check}
            self.line.append(self.lines[i][index])

    def simple(self, table, at):
        bit = self.bit(max(32, min(65503, table[at])))
        table[at] += (65535 if bit else 0) - table[at] >> 7
        return bit

    def bits(self, start, most, bits, window):
        narrow = log2(min(self.scale[0], self.scale[1]))
        made, node, at = start, 1, 0
        agrees = self.length > 0 and self.expected >= start and (self.expected - start) >> bits == 0
        low = [self.above(d, start) for d in range(3)]
        high = [self.above(d, most + 1) for d in range(3)]
        for i in range(bits - 1, -1, -1):
            nxt, left = made + (1 << i), i + 5
            level = left + 8 - narrow if left + 8 > narrow else 0
            if nxt > most:
                continue
            agrees = agrees and self.expected >= made and self.expected - made < 2 << i
            if level < 5 and i + 12 < bits and not agrees:
                bit = self.simple(self.flat[i], self.col & 31)
            else:
                if not at:
                    self.find_lines(i, made - start >> i + 1)
                middle = [self.above(d, nxt) for d in range(3)]
                p = [ratio(middle[d] - high[d], low[d] - high[d]) for d in range(3)]
                said = int(self.expected >= nxt) if agrees else -1
                bit = self.decide(node, p, min(level, RATIOS - 1), bits - i if window else i, said, False)
                node = node << 1 | bit
                at += 1
                if at == 4:
                    at, node = 0, 1
                if bit:
                    low = middle
                else:
                    high = middle
            made += bit << i
        return made

    def is_equal(self, candidate, which):
        p = [ratio(self.above(d, candidate) - self.above(d, candidate + 1), self.above(d, 0) - self.above(d, self.most + 1)) for d in range(3)]
        self.find_lines(254 + which, 0 if self.window or which else candidate)
        return self.decide(1, p, which, BITS, int(self.expected == candidate) if self.length else -1, True)

    def number(self):
        bits, middle = log2(self.most) + 1, self.mean[0] >> 4
        asks = self.equal and bits > 1
        if asks and self.is_equal(self.candidate, 0):
            return self.candidate
        if self.common <= self.most and not (asks and self.common == self.candidate) and self.is_equal(self.common, 1):
            return self.common
        some = max(log2(self.scale[0]) + 2, 4)
        if not self.window or some >= bits:
            return self.bits(0, self.most, bits, False)
        start = middle - (1 << some - 1) if middle > 1 << some - 1 else 0
        if self.most - start < 1 << some:
            start = self.most - (1 << some) + 1
        if self.simple(self.outside, self.level):
            return self.bits(0, self.most, bits, False)
        return self.bits(start, start + (1 << some) - 1, some, True)

    def look(self, v, i):
        w, n, z = self.stride
        c = self.columns[self.col]

        def back(distance, instead):
            return v[i - distance] if distance - 1 & M64 < i else instead

        W = back(w, v[i - 1] if i else self.most // 2)
        WW = back(2 * w, W)
        N = back(n, W) if n else WW
        NW = back(n + w, N) if n else back(3 * w, WW)
        NE = back(n - w, N) if n else back(4 * w, NW)
        NN = back(2 * n, N) if n else back(5 * w, NE)
        Z = back(z, N) if z else NN if n else NW
        self.W, self.N, self.NW, self.NE, self.Z = W, N, NW, NE, Z
        self.B, self.B2 = v[i - 1] if i else 0, v[i - 2] if i > 1 else 0
        self.base = (W + N) // 2 if n else W
        near = [W, WW, N, NW, NE, NN]
        if n:
            near += [back(n + 2 * w, NW), back(n - 2 * w, NE), back(3 * w, WW), back(2 * n - w, NN)]
        else:
            near += [back(j * w, W) for j in range(6, 10)]
        if z:
            near += [Z, back(z - w, Z), back(z + w, Z), back(z - n, Z)]
        elif not n:
            near += [back(j * w, W) for j in range(10, 14)]
        taps, k = [c.in_units(t - self.base) for t in near], len(self.columns)
        for j in range(1, 7):
            if k > 1 and len(taps) < TAPS and j < k and j + w <= i:
                taps.append(self.columns[(self.col - j) % k].in_units(v[i - j] - v[i - j - w]))
        self.taps = taps + [0] * (TAPS - len(taps))
        self.energy = (1 << 12) + sum(t * t for t in self.taps)

    def recall(self, v, i):
        least = 24 // (log2(self.most) + 1) + 2
        if i < least:
            return
        if self.length and v[i - 1] == self.expected:
            self.length += 1
            self.came_from += 1
        else:
            self.length = 0
        h = 0
        for k in range(1, least + 1):
            h = mixed(h, v[i - k])
        slot = self.positions[h % (1 << 16)]
        if not self.length and slot:
            n = 0
            while n < 32 and n < slot and v[i - 1 - n] == v[slot - 1 - n]:
                n += 1
            self.length = n if n >= least else 0
            self.came_from = slot
        self.positions[h % (1 << 16)] = i
        if self.length:
            self.expected = v[self.came_from]

    def hash_numbers(self, made, in_row, in_item):
        bits, col, W, N = log2(self.most) + 1, self.col, self.W, self.N
        coarse, expected = max(bits - 6, 0), made >> 4 >> max(bits - 8, 0) & M32
        many = len(self.columns) > 1
        around = mixed(7 + col, (W >> coarse) << 12 | (N >> coarse) << 6 | self.NW >> coarse)
        self.hashes = [
            mixed(1 + col, in_row),
            mixed(2 + col, W),
            mixed(3 + col, N),
            mixed(mixed(4 + col, W), N),
            mixed(mixed(mixed(mixed(5 + col, W), N), self.NW), self.NE),
            mixed(mixed(6 + col, self.B if many else self.Z), W),
            mixed(mixed(around, self.NE >> coarse), self.Z >> coarse),
            mixed(mixed(mixed(8, in_item), W >> coarse), N >> coarse),
            mixed(9 + col, expected),
            mixed(mixed(10 + col, made >> 4), expected),
            mixed(mixed(11 + col, self.B), self.B2) if many else mixed(mixed(mixed(11, self.Z), N), in_item),
        ]

    def hash_errors(self, made, levels, in_row):
        def signed(v, usual):
            size = abs(v) * 4 // (usual | 1)
            return min(log2(size) + 1 if size else 0, 7) * 2 + (v > 0)

        col, k = self.col, len(self.columns)
        c, before, second = self.columns[col], self.columns[col - 1 if col else k - 1], self.columns[col - 2 if col > 1 else 0]
        usual = (c.slow >> 7) + 1
        last, last2 = signed(c.last[0], usual), signed(c.last[1], usual)
        beside = signed(before.last[0], (before.slow >> 7) + 1)
        self.hashes = [
            mixed(1 + col, levels[0]),
            mixed(mixed(2, levels[1] // 2), last),
            mixed(mixed(3, last), last2),
            mixed(mixed(4, beside), levels[0] // 4),
            mixed(mixed(5, signed(made[1] - made[0], usual)), levels[0] // 4),
            mixed(mixed(6, signed(self.mean[2] - made[0], usual)), levels[0] // 4),
            mixed(mixed(7, in_row), levels[1] // 8),
            mixed(mixed(8, beside), signed(second.last[0], (second.slow >> 7) + 1)),
            mixed(9 + col, levels[1]),
            mixed(mixed(10, made[0] & 255), col),
            mixed(mixed(11 + col, beside), last),
        ]

    def one(self, v, i):
        place, top = self.first + i, self.most << 4
        row = self.stride[1] or self.stride[0]
        item = self.stride[2] or row
        self.col = place % len(self.columns)
        c = self.columns[self.col]
        self.look(v, i)
        self.recall(v, i)
        made = []
        for f in range(2):
            dot = sum(a * b for a, b in zip(self.taps, c.weights[f]))
            made.append(max(0, min(top, self.base * 16 + (clip(dot >> 16, 32767) * c.unit >> 4))))
        levels = [level_of((c.fast >> 3) + (c.slow >> 8)), level_of((c.slow >> 7) + abs(c.last[0]) // 2)]
        self.level = levels[0]
        self.mean = made + [c.mean >> 7]
        self.scale = [max(3, self.scales[f][levels[f]] >> 6) for f in range(2)] + [max(3, c.away >> 7)]
        if self.window:
            self.hash_errors(made, levels, place % row)
        else:
            self.hash_numbers(made[0], place % row, place % item)
        self.candidate = self.expected if self.length else self.W if self.good[0] >= self.good[1] else self.N
        number = self.number()
        for k, near in enumerate((self.W, self.N)):
            self.good[k] += (65535 if number == near else 0) - self.good[k] >> 6
        exact = number * 16
        error, changed, away = exact - made[0], exact - self.base * 16, exact - (c.mean >> 7)
        for f in range(2):
            e, scale = exact - made[f], self.scales[f]
            factor = toward_zero(toward_zero(c.in_units(e) * (1 << (28 if f else 24)), self.energy), 16)
            scale[levels[f]] += abs(e) - (scale[levels[f]] >> 6)
            w = c.weights[f]
            for k in range(TAPS):
                w[k] = clip(w[k] + (factor * self.taps[k] >> 16), 1 << 22)
        c.last = [error, c.last[0]]
        c.fast += (abs(error) << 1) - (c.fast >> 2)
        c.slow += (abs(error) << 2) - (c.slow >> 5)
        c.change += abs(changed) - (c.change >> 5)
        c.mean += away
        c.away += abs(away) - (c.away >> 7)
        c.measure()
        return number

    def decode(self):
        v = []
        for i in range(self.n):
            v.append(self.one(v, i))
        return v


# ---- elements ----

TYPES = {8: "b", 3: "h", 5: "i", 11: "q", 1: "B", 2: "H", 10: "I", 12: "Q", 9: "B", 13: "e", 6: "f", 7: "d"}
MANTISSA = {13: 10, 6: 23, 7: 52}


def pattern_of(kind, value):
    """The bits of a double rounded to a float of that type."""
    try:
        data = struct.pack("<" + kind, value)
    except OverflowError:
        data = struct.pack("<" + kind, float("inf") if value > 0 else float("-inf"))
    return int.from_bytes(data, "little")


class Elements:
    def __init__(self, head):
        self.each, self.kind = head["bits"] // 8, TYPES[head["sample"]]
        self.mask = 1 if head["sample"] == 9 else (1 << head["bits"]) - 1
        self.top, self.float = (self.mask >> 1) + 1, head["sample"] in MANTISSA
        self.sign = self.float or head["sample"] in (8, 3, 5, 11)

    def from_order(self, place):
        if not self.sign:
            return place
        return self.mask - place if self.float and not place & self.top else place ^ self.top

    def element(self, how, number):
        v = min(number * how["step"] + how["base"], M64)
        away = (v - (1 << 53) + (1 << 63) & M64) - (1 << 63)
        if how["map"] == 1:
            return pattern_of(self.kind, float(away) / float(how["divisor"]))
        if how["map"] == 2:
            return pattern_of(self.kind, float(away) * how["factor"])
        return self.from_order(how["table"][min(v, len(how["table"]) - 1)] if how["map"] == 3 else min(v, self.mask))


def decode_tile(b, head, first):
    """The elements of a tile as bytes."""
    e, n = Elements(head), b.number()
    if b.u8() == 0:
        return b.take(n * e.each)
    how = {"map": b.u8()}
    if how["map"] == 1:
        how["divisor"] = b.number()
    if how["map"] == 2:
        (how["factor"],) = struct.unpack("<d", b.take(8))
    if how["map"] == 3:
        how["table"] = list(itertools.accumulate(b.number() for _ in range(b.number())))
    how["base"], how["step"], most, low = b.number(), b.number(), b.number(), b.u8()
    apart, place = {}, 0
    for _ in range(b.number()):
        place += b.number()
        apart[place] = b.take(e.each)
        place += 1
    numbers = [0] * n
    if most:
        flags, columns, stride = b.u8(), b.number(), [b.number() for _ in range(3)]
        common = b.number() if flags & 4 else M64
        numbers = Model(n, first, most, columns, stride, flags & 1, flags & 2, common, b.take(b.number())).decode()
    bits = int.from_bytes(b.rest(), "little")
    out = bytearray()
    for i, number in enumerate(numbers):
        number = number << low | bits >> i * low & (1 << low) - 1
        out += apart[i] if i in apart else e.element(how, number).to_bytes(e.each, "little")
    return bytes(out)


def arrays(data):
    """Name, head and elements of each array."""
    found = {}
    for _, kind, payload in reader.read_chunks(data):
        b = reader.Bytes(payload)
        if kind == "H":
            number, head = b.number(), reader.read_head(b)
            if head["modality"] == 3:
                found[number] = b.rest().decode(), head, {}
        elif kind == "T":
            number, index = b.number(), b.number()
            if number in found:
                found[number][2][index] = decode_tile(b, found[number][1], index * found[number][1]["tile"])
    for name, head, tiles in found.values():
        yield name, head, b"".join(tiles[i] for i in sorted(tiles))


def main(path, *others):
    files = list(others)
    for name, head, elements in arrays(open(path, "rb").read()):
        if len(elements) != head["elements"] * head["bits"] // 8:
            raise ValueError(f"{name}: {len(elements)} bytes of elements")
        if not files:
            print(name, len(elements))
            continue
        with open(files.pop(0), "rb") as f:
            data = f.read()
        if data[10 + struct.unpack("<H", data[8:10])[0] :] != elements:
            raise ValueError(f"{name}: other elements")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
