#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Pictures for pictures.sh. pictures.py make: writes them here. pictures.py same-chunk TYPE A.png B.png: 0 where both have that chunk."""
import struct
import sys
import zlib


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def chunks(path):
    data, at, found = open(path, "rb").read(), 8, {}
    while at < len(data):
        n = struct.unpack(">I", data[at : at + 4])[0]
        found[data[at + 4 : at + 8]] = data[at + 8 : at + 8 + n]
        at += 12 + n
    return found


def png(width, height, pixels, extra):
    rows = b"".join(b"\0" + pixels[3 * width * y : 3 * width * (y + 1)] for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def tiff(pages, orientation=1):
    """Pages of (width, height, pixels), uncompressed RGB."""
    out = bytearray(b"II*\0\0\0\0\0")
    link = 4
    for width, height, pixels in pages:
        at = len(out)
        out += pixels + bytes(len(pixels) & 1)
        bits = len(out)
        out += struct.pack("<3H", 8, 8, 8)
        entries = [(256, 3, 1, width), (257, 3, 1, height), (258, 3, 3, bits), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, at),
                   (274, 3, 1, orientation), (277, 3, 1, 3), (278, 3, 1, height), (279, 4, 1, len(pixels))]
        struct.pack_into("<I", out, link, len(out))
        out += struct.pack("<H", len(entries))
        for tag, kind, count, value in entries:
            out += struct.pack("<HHII", tag, kind, count, value)
        link = len(out)
        out += bytes(4)
    return bytes(out)


def ppm(width, height, pixels):
    return b"P6\n%d %d\n255\n" % (width, height) + pixels


def make():
    noise = bytes((i * 7919 >> 3) & 255 for i in range(3 * 40 * 40))
    primaries = struct.pack(">8I", 31270, 32900, 70800, 29200, 17000, 79700, 13100, 4600)
    extra = (chunk(b"cICP", bytes([9, 16, 0, 1])) + chunk(b"gAMA", struct.pack(">I", 100000)) + chunk(b"cHRM", primaries)
             + chunk(b"sBIT", bytes([5, 6, 5])) + chunk(b"mDCV", bytes(range(24))))
    open("colours.png", "wb").write(png(40, 40, noise, extra))
    open("pages.tif", "wb").write(tiff([(8, 6, noise[144 * i : 144 * (i + 1)]) for i in range(3)]))
    for i in range(3):
        open("page%d.ppm" % (i + 1), "wb").write(ppm(8, 6, noise[144 * i : 144 * (i + 1)]))
    torn = bytearray(open("pages.tif", "rb").read())
    at = torn.find(struct.pack("<HHI", 273, 4, 1), torn.find(struct.pack("<HHI", 273, 4, 1)) + 1)
    struct.pack_into("<I", torn, at + 8, 1 << 30)  # the second page's pixels lie nowhere
    open("torn.tif", "wb").write(torn)
    width, height = 7, 4  # is seen turned by a quarter to the right
    aside = noise[: 3 * width * height]
    open("turned.tif", "wb").write(tiff([(width, height, aside)], 6))
    open("aside.ppm", "wb").write(ppm(width, height, aside))
    turned = b"".join(aside[3 * (width * (height - 1 - x) + y) :][:3] for y in range(width) for x in range(height))
    open("upright.ppm", "wb").write(ppm(height, width, turned))
    open("bright.pfm", "wb").write(b"PF\n2 1\n-1.0\n" + struct.pack("<6f", 16, -1, 0.25, 1e-30, 3, 0.1))


if sys.argv[1] == "make":
    make()
else:
    kind = sys.argv[2].encode()
    a, b = chunks(sys.argv[3]), chunks(sys.argv[4])
    sys.exit(0 if kind in a and a[kind] == b.get(kind) else 1)
