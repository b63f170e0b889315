#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Small pictures through the public encoders of AVIF, HEIC and JPEG XL: what the suite reads is what the formats' own decoders make of
them, to 1 of 255, and exactly what went in where nothing was lost. decoders.py AECOMPRESS AEDECOMPRESS; 77 where an encoder is not there.
"""
import math
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

PROGRAMS = ("avifenc", "avifdec", "heif-enc", "heif-convert", "cjxl", "djxl")
AVIF = [  # depth, subsampling, channels, options; "lossless" compares with what went in
    (8, "444", 3, ""), (8, "422", 4, ""), (8, "420", 3, ""), (8, "420", 4, ""), (8, "400", 2, ""),
    (10, "444", 4, ""), (10, "420", 3, "-r limited"), (12, "422", 3, ""), (12, "400", 1, ""),
    (8, "444", 3, "-l"), (8, "420", 3, "-r limited --cicp 9/16/9"), (8, "420", 3, "--cicp 1/13/1"),
    (8, "420", 4, "--premultiply"), (10, "420", 3, "--cicp 9/14/9"),
]
HEIC = [(8, "420", 3, "-q 60"), (8, "444", 4, "-q 80"), (8, "422", 3, "-L"), (10, "420", 3, "-q 70"), (12, "444", 4, "-q 70")]
JXL = [(8, 3, "-d 0"), (8, 3, "-d 1"), (8, 4, "-d 0"), (8, 2, "-d 1"), (8, 1, "-d 0 -m 1"), (16, 3, "-d 0"), (16, 3, "-d 1")]
SIZES = [(61, 47), (32, 70), (5, 3)]


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def write_png(path, width, height, channels, bits, salt):
    """Slopes, edges and saturated colours; alpha rises to the right."""
    most, rows = (1 << bits) - 1, bytearray()
    for y in range(height):
        rows.append(0)
        for x in range(width):
            for c in range(channels):
                v = 0.5 + 0.4 * math.sin((x * (c + 1) + salt) / 5) * math.cos((y - c * salt) / 7)
                if (x // 8 + y // 8 + salt) % 5 == 0:
                    v = (c + x // 8) % 2
                if channels in (2, 4) and c == channels - 1:
                    v = x / max(width - 1, 1)
                rows += struct.pack(">H" if bits == 16 else "B", round(v * most))
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)) +
                chunk(b"IDAT", zlib.compress(bytes(rows))) + chunk(b"IEND", b""))


def read_pam(path):
    """Size and colour and alpha in 0..255."""
    head, body = open(path, "rb").read().split(b"ENDHDR\n", 1)
    field = dict(line.split()[:2] for line in head.decode().splitlines()[1:])
    width, height, depth, most = (int(field[k]) for k in ("WIDTH", "HEIGHT", "DEPTH", "MAXVAL"))
    n = width * height * depth
    values = [v * 255 / most for v in struct.unpack(">%dH" % n if most > 255 else "%dB" % n, body[: n * (2 if most > 255 else 1)])]
    pixels = [values[i : i + depth] for i in range(0, n, depth)]
    return (width, height), [(p[:1] * 3 if depth < 3 else p[:3]) + (p[depth - 1 :] if depth in (2, 4) else [255.0]) for p in pixels]


def run(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def make(cases):
    """Encodes and decodes; yields name, picture, what the format's decoder wrote, bound."""
    for i, (kind, bits, channels, command, decode, exact) in enumerate(cases):
        width, height = SIZES[i % len(SIZES)]
        name, deep = "%02d" % i, 16 if bits > 8 else 8
        write_png(name + "in.png", width, height, channels, deep, i)
        r = run(*[w.replace("@", name) for w in command])
        if r.returncode:
            sys.exit("%s: %s" % (" ".join(command), r.stdout))
        if decode:
            r = run(*[w.replace("@", name) for w in decode])
            if r.returncode:
                sys.exit("%s: %s" % (" ".join(decode), r.stdout))
        yield "%s %d bits, %d channels: %s" % (kind, bits, channels, " ".join(command[1:])), name + "." + kind, \
            name + ("in" if exact else "ref") + ".png", 0 if exact else 1


def main():
    if not all(map(shutil.which, PROGRAMS)):
        print("not all of %s are here" % ", ".join(PROGRAMS))
        return 77
    compress, decompress = (os.path.abspath(p) for p in sys.argv[1:3])
    cases = []
    for bits, chroma, channels, options in AVIF:
        exact = "-l" in options.split()
        quality = options.split() + ([] if exact else ["--min", "5", "--max", "20"])
        cases.append(("avif", bits, channels, ["avifenc", "-s", "10", "-d", str(bits), "-y", chroma, *quality, "@in.png", "@.avif"],
                      ["avifdec", "-d", "16" if bits > 8 else "8", "@.avif", "@ref.png"], exact))
    for bits, chroma, channels, options in HEIC:
        cases.append(("heic", bits, channels, ["heif-enc", *options.split(), "-b", str(bits), "-p", "chroma=" + chroma,
                                               "-p", "preset=ultrafast", "-o", "@.heic", "@in.png"],
                      ["heif-convert", "@.heic", "@ref.png"], False))
    for bits, channels, options in JXL:
        exact = "-d 0" in options
        cases.append(("jxl", bits, channels, ["cjxl", "-e", "3", *options.split(), "@in.png", "@.jxl"],
                      None if exact else ["djxl", "@.jxl", "@ref.png"], exact))
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        made = list(make(cases))
        files = [f for _, a, b, _ in made for f in (a, b)]
        r = run(compress, "--quiet", "--lossless", "-o", "aec/", *dict.fromkeys(files))
        r2 = run(decompress, "--quiet", "-r", "--format", "pam", "-o", "pam/", "aec")
        if r.returncode or r2.returncode:
            sys.exit("not read: %s%s" % (r.stdout, r2.stdout))
        for name, ours, reference, bound in made:
            (size, a), (size2, b) = (read_pam(next(p for p in candidates(f) if os.path.exists(p))) for f in (ours, reference))
            most = max(abs(u - v) for p, q in zip(a, b) for u, v in zip(p, q)) if size == size2 else math.inf
            if not most <= bound + 1e-9:
                print("%s: differs by %.2f, not %d at most" % (name, most, bound))
                wrong += 1
    print("%d of %d pictures as they should be" % (len(made) - wrong, len(made)))
    return wrong > 0


def candidates(path):
    """Names that two inputs of one stem get."""
    stem = path.rsplit(".", 1)[0]
    return ["pam/%s.pam" % path, "pam/%s.aec.pam" % path, "pam/%s.pam" % stem]


if __name__ == "__main__":
    sys.exit(main())
