#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A second decoder of lossy sound, by plain integers: decodes the tiles of spectra of .aec files of one sound and compares them with what
aedecompress makes of them. What overlaps with a tile of samples is left out. spectra.py AEDECOMPRESS FILE..."""
import os
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from reader import Bytes, read_chunks, read_head

# ---- the coder of decisions ----

REACH, FAR = 12 << 8, 1024


def wrap(v):
    return (v + (1 << 31)) % (1 << 32) - (1 << 31)


def quotient(a, b):
    return a // b if a >= 0 else -(-a // b)


def tables():
    one, factor, power = 1 << 62, 0x3FC01FF557FF778E, 1 << 62
    squash, tail = [0] * (2 * REACH + 1), [0] * (2 * FAR + 2)
    for i in range(4 * FAR + 1):
        if i <= REACH:
            p = max((power << 16) // (one + power), 1)
            squash[REACH - i], squash[REACH + i] = p, 65536 - p
        if i % 4 == 0:
            p = (power << 30) // (one + power)
            tail[FAR + i // 4], tail[FAR - i // 4] = p, (1 << 30) - p
        power = power * factor >> 62
    tail[-1] = tail[-2]
    inverse = []
    for step, offset in ((16, 8), (1, 0)):
        at, row = 0, []
        for i in range(4096):
            while at < 2 * REACH and squash[at] < step * i + offset:
                at += 1
            row.append(at - REACH)
        inverse.append(row)
    return tail, squash, inverse


TAIL, SQUASH, STRETCH = tables()


def stretch(p):
    if p < 4096:
        return STRETCH[1][p]
    return -STRETCH[1][min(65536 - p, 4095)] if p >= 65536 - 4096 else STRETCH[0][p >> 4]


def ratio(part, whole):
    return min(max((part + 32) * 65536 // (whole + 64), 1), 65535)


class Decider:
    def __init__(self, data):
        self.data, self.at, self.low, self.high, self.code = data, 0, 0, 0xFFFFFFFF, 0
        self.counters, self.weights = {}, ({}, {})
        for _ in range(4):
            self.code = self.code << 8 | self.byte()

    def byte(self):
        self.at += 1
        return self.data[self.at - 1] if self.at <= len(self.data) else 0

    def bit(self, p):
        middle = self.low + ((self.high - self.low) * p >> 16)
        bit = self.code <= middle
        if bit:
            self.high = middle
        else:
            self.low = middle + 1
        while (self.low ^ self.high) & 0xFF000000 == 0:
            self.code = (self.code << 8 | self.byte()) & 0xFFFFFFFF
            self.low = self.low << 8 & 0xFFFFFFFF
            self.high = (self.high << 8 | 255) & 0xFFFFFFFF
        return int(bit)

    def decide(self, node, p):
        a = self.weights[0].setdefault(self.sets[0] * 32 + node, [6553] * 7 + [13107] * 3 + [0])
        b = self.weights[1].setdefault(self.sets[1] * 32 + node, [0] * 11)
        places = [(i, s % 2048, node) for i, s in enumerate(self.slots)]
        counters = [self.counters.setdefault(place, (p[0] << 6, 1)) for place in places]
        x = [stretch(v >> 6) for v, _ in counters] + [stretch(v) for v in p] + [256]
        mixed = SQUASH[min(max(sum(v * (s + t) for v, s, t in zip(x, a, b)) >> 16, -REACH), REACH) + REACH]
        bit = self.bit(mixed)
        error = (bit << 16) - mixed
        for i, v in enumerate(x):
            step = v * error >> 16
            a[i], b[i] = wrap(a[i] + step), wrap(b[i] + step)
        for place, (v, n) in zip(places, counters):
            v += ((4194303 if bit else 0) - v) * (131072 // (2 * n + 3)) >> 16
            self.counters[place] = v, min(n + 1, 500)
        return bit


class Density:
    def __init__(self, mean, deviation):
        self.mean, self.scale = mean, (16384 << 12) // (max(deviation >> 8, 3) * 185 >> 8 | 1)
        self.near = self.at = 0

    def beyond(self, bound, direction):
        x = (bound - self.mean) * direction * self.scale >> 12
        x = min(max(x, -FAR * 256), FAR * 256) + FAR * 256
        i, f = x >> 8, x & 255
        return TAIL[i] - ((TAIL[i] - TAIL[i + 1]) * f >> 8)


def split(d, bound, direction):
    at = [e.beyond(bound, direction) for e in d]
    return at, [ratio(t - e.at, e.near - e.at) for t, e in zip(at, d)]


def halve(c, d, base, bits, mixed, direction=1, half=8, nodes=0):
    """The bits below a magnitude's first; `mixed` of them are mixed."""
    i = 0
    while bits > 0:
        bits -= 1
        step = base + (1 << bits)
        at, p = split(d, direction * half * (2 * step + 1), direction)
        bit = c.decide(nodes + 7 + i, p) if i < mixed else c.bit(p[0])
        base = step if bit else base
        for e, t in zip(d, at):
            if bit:
                e.near = t
            else:
                e.at = t
        i += 1
    return base


def climb(c, d, direction, first, most, grow, end):
    """The bits of a magnitude up to its first: what it is at least, and how many bits are below. Steps are of one until `grow` of
    them were taken, and double from then on; a decision each, of which the first `most` have nodes of their own."""
    base = bits = i = 0
    while True:
        step = base + (1 << bits)
        at, p = split(d, direction * 8 * (2 * step + 1), direction)
        if end(step, bits) or not c.decide(first + min(i, most), p):
            break
        for e, t in zip(d, at):
            e.near = t
        base, bits, i = step, bits + (i >= grow), i + 1
    for e, t in zip(d, at):
        e.at = t
    return base, bits


def take_difference(c, d):
    up, down = [e.beyond(8, 1) for e in d], [e.beyond(-8, -1) for e in d]
    if c.decide(0, [ratio((1 << 30) - u - v, 1 << 30) for u, v in zip(up, down)]):
        return 0
    direction = 1 if c.decide(1, [ratio(u, u + v) for u, v in zip(up, down)]) else -1
    for e, u, v in zip(d, up, down):
        e.near, e.at = (u if direction > 0 else v), 0
    base, bits = climb(c, d, direction, 2, 6, 5, lambda step, bits: bits > 16)
    return direction * (halve(c, d, base, bits, 2, direction, 8, 2) + 1)


def take_value(c, d):
    for e in d:
        e.near, e.at = e.beyond(10, 1), 0
    if c.decide(0, [ratio((1 << 30) - 2 * e.near, 1 << 30) for e in d]):
        return 0
    negative = c.bit(32768)
    base, bits = climb(c, d, 1, 1, 15, 7, lambda step, bits: step >= 1 << 18)
    base = halve(c, d, base, bits, 0)
    return -base - 1 if negative else base + 1


# ---- spectra ----

POWERS, power = [], 1 << 62
for _ in range(256):
    POWERS.append(power + (1 << 31) >> 32)
    power = power * 0x402C6BE96AF2FB58 >> 62


def log_of(v):
    e, i = v.bit_length() - 1, 0
    while i < 31 and v << 30 >= POWERS[8 * (i + 1)] << e:
        i += 1
    return e * 256 + 8 * i


def scaled(v, s, down):
    x, shift = v * POWERS[s % 256], 30 + down - s // 256
    x = (x + (1 << (shift - 1))) >> shift if shift > 0 else x << -shift
    return min(max(x, -(1 << 28)), 1 << 28)


def activity(v):
    if v < 4:
        return v
    e = v.bit_length() - 1
    return min(4 * (e - 1) + (v >> (e - 2) & 3), 95)


def clip(v, most):
    return min(max(v, -most), most)


def small(v):
    return v if v < 4 else 4 if v < 6 else 5 if v < 9 else 6 if v < 14 else 7


def medium(v):
    return v if v < 8 else 8 + sum(v >= t for t in (10, 13, 17, 24, 34, 50, 90))


class Mean:
    def __init__(self, value):
        self.value, self.n = value, 0

    def learn(self, v):
        self.value += quotient((v << 8) - self.value, self.n + 4 if self.n < 30 else 34)
        self.n = min(self.n + 1, 30)


class Channel:
    def __init__(self, number):
        self.level, self.coded, self.before, self.earlier, self.coded_before = ([0] * 64 for _ in range(5))
        self.mags, self.around, self.fresh, self.noise = [0] * 4112, [0] * 4096, True, 1 + number

    def noisy(self, v):
        self.noise = (self.noise * 1664525 + 1013904223) & 0xFFFFFFFF
        return -v if self.noise >> 31 else v


class Spectra:
    def __init__(self, b, channels, cells, log2n):
        self.lift, self.least, self.divisor, self.step, self.gamma, self.tilt, self.gain = struct.unpack("<bBBhBBB", b.take(8))
        self.fill, self.bias = b.take(8), b.take(2)
        self.c, self.cell, self.last, self.last_n, self.starts = Decider(b.rest()), log2n, log2n, 0, []
        self.channels = [Channel(i) for i in range(channels)]
        self.mid, self.mid_before = [0] * 64, [[0] * 64 for _ in range(channels // 2)]
        self.errors = {}
        self.by_around = {(a, w): Mean((a * 3 + w * 3 << 8) + 256) for a in range(16) for w in range(16)}
        self.by_ratio = {(a, f): Mean(((POWERS[a % 4 * 64] >> 20 << a // 4) >> 3) + f * 512) for a in range(48) for f in range(8)}
        self.by_all = {(a, o): Mean((a if a < 4 else 4 + (a & 3) << (a // 4 - 1)) << 6) for a in range(96) for o in range(4)}
        self.samples, self.splits = [[] for _ in range(channels)], []
        for _ in range(cells):
            self.splits.append(self.take_split(self.splits[-1] if self.splits else 0))
            for _ in range(1 << self.splits[-1]):
                self.turn_to(log2n - self.splits[-1])
                for x, y in zip(self.samples, self.take_block()):
                    x += y

    def flag(self, p, node, slots):
        self.c.slots, self.c.sets = slots, (1, 1)
        return self.c.decide(node, [p] * 3)

    def take_split(self, last):
        i = 0
        while i < 3 and self.flag(16384, 3 + i, [1500 + last] + [1500] * 6):
            i += 1
        return i

    def turn_to(self, log2n):
        old, starts, at, n = self.starts, [], 0, 1 << log2n
        while at < n:
            width = max(at // self.divisor, self.least)
            starts.append(at)
            at = n if n - at < width + width // 2 or len(starts) == 64 else at + width
        self.starts, self.n, self.log2n = starts + [n], len(starts), log2n
        for ch in self.channels:
            level, before, coded, o, m = ch.level[:], ch.before[:], ch.coded[:], 0, ch.mags
            for b in range(self.n if self.last_n else 0):
                middle = (self.starts[b] + self.starts[b + 1] << self.last) >> (log2n + 1)
                while o + 1 < self.last_n and old[o + 1] <= middle:
                    o += 1
                ch.before[b], ch.earlier[b], ch.coded_before[b] = level[o], level[o] if ch.fresh else before[o], coded[o]
            for i in range(n if self.last_n else 0):
                if log2n >= self.last:
                    at = 4 + (i >> (log2n - self.last))
                    ch.around[i] = m[at - 1] + 2 * m[at] + m[at + 1]
                else:
                    at = 4 + (i << (self.last - log2n))
                    ch.around[i] = m[at] + 2 * max(m[at], m[at + 1]) + m[at + 1]
            ch.fresh = not self.last_n
        self.last, self.last_n = log2n, self.n

    def take_block(self):
        spectra = []
        for c, ch in enumerate(self.channels):
            if not c & 1 and c + 1 < len(self.channels):
                for b in range(self.n):
                    left, before = self.mid[b - 1] if b else 0, self.mid_before[c // 2][b]
                    near = left + 2 * before
                    slots = [near + 1024, b + 64 * before + 1024, b + 64 * near + 1024, near + 1024, 1024 + left, 1024 + before, 1024]
                    self.mid[b] = self.flag(50000 if before else 16000, 2, slots)
            spectra.append(self.take_channel(c, ch))
            if c & 1:
                x, y = spectra[-2:]
                for b in range(self.n):
                    for i in range(self.starts[b], self.starts[b + 1]) if self.mid[b] else ():
                        x[i], y[i] = ((v * 759250125 + (1 << 29)) >> 30 for v in (x[i] + y[i], x[i] - y[i]))
                self.mid_before[c // 2] = self.mid[:]
        return spectra

    def take_level(self, c, ch, b):
        other = self.channels[c - 1] if c & 1 else None
        d1 = ch.level[b - 1] - ch.before[b - 1] if not ch.fresh and b > 0 else 0
        d2 = ch.level[b - 2] - ch.before[b - 2] if not ch.fresh and b > 1 else 0
        od = other.level[b] - other.before[b] if other and not other.fresh else 0
        last = ch.before[b] if not ch.fresh else ch.level[b - 1] if b else other.level[0] if other else 40
        earlier, left = last if ch.fresh else ch.earlier[b], ch.level[b - 1] if b else last
        means = 12 * last + 4 * earlier + 7 * d1 + 2 * d2 + 5 * od, 8 * last + 8 * earlier + 4 * od, 11 * last + 5 * left
        short, where, fresh = int(self.log2n < self.cell), min(b // 4, 15), int(ch.fresh)
        expected = min(max(means[0] + 8 >> 4, 0), 112)
        errors = [self.errors.setdefault((i, fresh, where), 24 << 8) for i in range(3)]
        third = clip(quotient(d1, 2), 3) + 4
        self.c.slots = [b + 64 * fresh + 128 * short, clip(d1, 7) + 8 + 16 * (clip(d2, 3) + 4) + 128,
                        clip(last - earlier, 7) + 8 + 16 * third, clip(od, 7) + 8 + 16 * third + 256 if other else 255,
                        clip(left - last, 15) + 16 + 32 * min(last, 8),
                        ch.coded_before[b] + 2 * (ch.coded[b - 1] if b else 0) + 4 * where, 1200 + clip(od, 3) + 3 + 8 * c]
        self.c.sets = 4 * (c & 1), 0
        q = expected + take_difference(self.c, [Density(m - 16 * expected, e) for m, e in zip(means, errors)])
        ch.level[b] = q = min(max(q, 0), 112)
        for i in range(3):
            self.errors[i, fresh, where] += quotient((abs(16 * q - means[i]) << 8) - errors[i], 24)

    def take_channel(self, c, ch):
        x = [0] * (1 << self.log2n)
        for b in range(self.n):
            self.take_level(c, ch, b)
        ch.mags = [0] * len(ch.mags)
        for b in range(self.n):
            start, end, loud = self.starts[b], self.starts[b + 1], 64 * ch.level[b]
            step = self.step + self.gamma * loud // 32 + quotient(self.tilt * log_of(end - start), 32)
            step = min(max(step, loud - 14 * 256, 0), 27 * 256)
            above = min(max(quotient(loud - step + 1024, 64), 0), 47)
            ch.coded[b], noise = 0, min(above // 2 - 4, 7) if above >= 10 else 0
            if ch.level[b] and loud - step > -512:
                left, before = ch.coded[b - 1] if b else 1, ch.coded_before[b]
                near = left + 2 * before + 4 * (self.channels[c - 1].coded[b] if c & 1 else 2)
                p = SQUASH[min(max((above - 16) * 96, -REACH), REACH) + REACH]
                ch.coded[b] = self.flag(p, 1, [above + 64 * before + 128, above // 4 + 16 * near + 256, b + 64 * near,
                                               near + 16 * (self.log2n & 15), above // 2 + 32 * (b // 4) + 512,
                                               above + 64 * left + 256, 1100 + near])
            if ch.coded[b]:
                none = scaled(self.fill[noise], step, 6)
                for i in range(start, end):
                    q = self.take_coefficient(c, ch, b, i, above)
                    v = scaled(64 * abs(q) - self.bias[abs(q) > 1], step, 6)
                    x[i] = -v if q < 0 else v if q else ch.noisy(none)
            else:
                v = scaled(self.gain, loud, 5) if ch.level[b] else 0
                for i in range(start, end):
                    x[i] = ch.noisy(v)
        return x

    def take_coefficient(self, c, ch, b, i, above):
        m, w, at = ch.mags, ch.around[i], 4 + i
        s = self.channels[c - 1].mags if c & 1 else None
        o = 2 * s[at] + s[at - 1] + s[at + 1] if s else 0
        a1, a2 = m[at - 1], m[at - 2]
        far, own = a1 + a2 + m[at - 3] + m[at - 4], 2 * a1 + a2
        total = 8 * own + 5 * w + 3 * o + 4 * far
        A, W, O, F = medium(own), medium(w), (o if o < 2 else 2 if o < 5 else 3) if s else 0, small(far)
        l2 = activity(total + (self.by_ratio[above, 0].value >> 8) * 4)
        means = self.by_around[A, W], self.by_ratio[above, F], self.by_all[l2, O]
        s0 = (means[0].value + means[1].value + 2 * means[2].value) >> 2
        short = int(self.log2n < self.cell)
        self.c.slots = [A + 16 * W + (256 * (1 + O) if s else 0), above + 64 * (small(a1) + 8 * (0 if w < 1 else 1 if w < 4 else 2)),
                        b + 64 * small(own) + 512 * (0 if w < 1 else 1 if w < 3 else 2),
                        small(o) + 8 * small(s[at]) + 64 * small(total // 16) if s else 1000 + l2, F + 8 * above + 512 * (W // 4),
                        l2 + 128 * min(a1, 3) + 512 * short, 3 * small(a1) + small(a2) + 64 * W + 1024 * short]
        self.c.sets = 2 + (c & 1), above // 8
        q = take_value(self.c, [Density(0, v) for v in (s0, means[2].value, means[1].value)])
        m[at] = min(abs(q), 255)
        for mean in means:
            mean.learn(abs(q) * 16 if abs(q) < 4096 else 65536)
        return q


# ---- the transform ----

QUARTER, c, s = [], 1 << 62, 0
for _ in range(8193):
    QUARTER.append(c + (1 << 31) >> 32)
    c, s = (c * 0x3FFFFFEC42C33745 - s * 0x3243F6A35D6AF) >> 62, (c * 0x3243F6A35D6AF + s * 0x3FFFFFEC42C33745) >> 62


def cosine(i):
    i = i % 32768
    i = 32768 - i if i > 16384 else i
    return QUARTER[i] if i <= 8192 else -QUARTER[16384 - i]


def sine(i):
    return cosine(i - 8192)


def turn(a, c, b, s, k=30):
    v = a * c + b * s
    return wrap(v + (1 << (k - 1)) - 1 + (v >> k & 1) >> k)


def half(a):
    return wrap(wrap(a) + (wrap(a) >> 1 & 1)) >> 1


def unlap(x, border, w):
    for j in range(1 << w >> 1):
        t = 4096 - ((2 * j + 1) << (12 - w))
        a, b = x[border - 1 - j], x[border + j]
        x[border - 1 - j], x[border + j] = turn(a, cosine(t), b, sine(t)), turn(b, cosine(t), a, -sine(t))


def dct4(x, l):
    n, m = 1 << l, 1 << l >> 1
    z = []
    for i in range(m):
        angle, u, v = 4 * i + 1 << (12 - l), x[2 * i], x[n - 1 - 2 * i]
        z.append((turn(u, cosine(angle), v, sine(angle)), turn(v, cosine(angle), u, -sine(angle))))
    size, stride = l - 1, 1
    while size >= 2:
        q, out = 1 << size >> 2, [None] * m
        for p in range(q):
            for k in range(stride):
                (ar, ai), (br, bi), (cr, ci), (dr, di) = (z[k + stride * (p + j * q)] for j in range(4))
                sr, si, tr, ti = wrap(ar + cr), wrap(ai + ci), wrap(ar - cr), wrap(ai - ci)
                ur, ui, vr, vi = wrap(br + dr), wrap(bi + di), wrap(br - dr), wrap(bi - di)
                rest = (wrap(tr + vi), wrap(ti - vr)), (wrap(sr - ur), wrap(si - ui)), (wrap(tr - vi), wrap(ti + vr))
                out[k + 4 * stride * p] = half(sr + ur), half(si + ui)
                for j, (r, i) in enumerate(rest):
                    angle = p * (j + 1) << (15 - size)
                    out[k + stride * (4 * p + j + 1)] = (turn(r, cosine(angle), i, sine(angle), 31), turn(i, cosine(angle), r, -sine(angle), 31))
        z, size, stride = out, size - 2, stride * 4
    if size == 1:
        root, first, second = 759250125, z[:stride], z[stride:]
        z = [tuple(turn(u, root, v, s * root) for u, v in zip(a, b)) for s in (1, -1) for a, b in zip(first, second)]
    y = [0] * n
    for i, (u, v) in enumerate(z):
        angle = 4 * i << (12 - l)
        y[2 * i], y[n - 1 - 2 * i] = turn(u, cosine(angle), v, sine(angle)), turn(u, sine(angle), v, -cosine(angle))
    return y


def inverse(spectra, x, log2n):
    """Samples of a channel from its coefficients, but for the borders of the tile."""
    at, out = 0, []
    sizes = [log2n - split for split in spectra.splits]
    for size in sizes:
        for _ in range(1 << (log2n - size)):
            out += dct4(x[at : at + (1 << size)], size)
            at += 1 << size
    for i, size in enumerate(sizes):
        for j in range(1 << (log2n - size)):
            if i or j:
                unlap(out, (i << log2n) + (j << size), min(size, sizes[i - 1]) if not j else size)
    return out


# ---- a file ----


def lowered(v, shift):
    return (v + (1 << (shift - 1))) >> shift if shift > 0 else v


def sample_of(head, v, lift):
    if head["sample"] == 6:
        return struct.unpack("<f", struct.pack("<f", v * 2.0 ** (lift - 21)))[0]
    shift = 22 - lift - head["bits"]
    v = lowered(v, shift) if shift > 0 else v << -shift
    return min(max(v, -(1 << (head["bits"] - 1))), (1 << (head["bits"] - 1)) - 1)


def decode(path):
    """The head, and of each frame that spectra alone give its samples, by its place."""
    head, tiles, frames = None, {}, {}
    with open(path, "rb") as file:
        for _, kind, payload in read_chunks(file.read()):
            b = Bytes(payload)
            if kind == "H":
                b.number()
                head = read_head(b)
            elif kind == "T":
                b.number()
                tiles[b.number()] = b
    log2n, before = head["block"], None
    half = 1 << (log2n - 3) >> 1
    for index in sorted(tiles):
        b, first = tiles[index], index * head["tile"]
        n = b.number()
        if b.u8() != 3:
            before = None
            continue
        last = index + 1 == len(tiles)
        cells = (n + 2 * half if last else head["tile"]) + (1 << log2n) - 1 >> log2n
        spectra = Spectra(b, head["channels"], cells, log2n)
        x = [inverse(spectra, y, log2n) for y in spectra.samples]
        parts = []
        if before:
            lift = max(before[1], spectra.lift)
            edges = [[lowered(v, lift - before[1]) for v in old] + [lowered(v, lift - spectra.lift) for v in new[:half]]
                     for old, new in zip(before[0], x)]
            for edge in edges:
                unlap(edge, half, log2n - 3)
            parts.append((first - 2 * half, edges, lift))
        parts.append((first, [y[half : len(y) - half] for y in x], spectra.lift))
        for at, samples, lift in parts:
            for t, values in enumerate(zip(*samples)):
                if not last or at + t < first + n:
                    frames[at + t] = [sample_of(head, v, lift) for v in values]
        before = [y[len(y) - half :] for y in x], spectra.lift
    return head, frames


def main(tool, paths):
    for path in paths:
        head, frames = decode(path)
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([tool, "-f", "--format", "wav", "-o", folder + "/x.wav", path], check=True)
            with open(folder + "/x.wav", "rb") as file:
                data = file.read()
        form = {3: "h", 5: "i", 6: "f"}[head["sample"]]
        data = data[data.index(b"data") + 8 :]
        for t, values in frames.items():
            row = struct.unpack_from("<%d%s" % (len(values), form), data, t * len(values) * struct.calcsize(form))
            if list(row) != values:
                sys.exit(f"{path}: frame {t} is {list(row)}, not {values}")
        if not frames:
            sys.exit(f"{path}: no spectra")
        print(f"{path}: {len(frames)} frames are equal")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
