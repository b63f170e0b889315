#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Compares the files that doc/container.md shows byte for byte with what is written now: hexes.py AECOMPRESS PAGE"""
import re, struct, subprocess, sys

compress, page = sys.argv[1:3]
INPUTS = (  # in the page's order
    b"P5 2 1 255 \x0a\x14",
    b"\x93NUMPY\x01\x00\x76\x00" + b"{'descr': '<i2', 'fortran_order': False, 'shape': (2, 2), }".ljust(117) + b"\n" + struct.pack("<4h", 10, 20, 30, 40),
    struct.pack("<4sI8sIHHIIHH4sI4h", b"RIFF", 44, b"WAVEfmt ", 16, 1, 1, 8000, 16000, 2, 16, b"data", 8, 10, 20, 30, 40))

dumps, end = [], -1
with open(page, encoding="utf-8") as file:
    for line in file:
        found = re.match(r"    ([0-9a-f]{8}): ((?:[0-9a-f]{2} )+) ", line)
        if found:
            at, data = int(found[1], 16), bytes.fromhex(found[2])
            if at != end:
                dumps.append((at, b""))
            dumps[-1] = dumps[-1][0], dumps[-1][1] + data
            end = at + len(data)
assert len(dumps) == len(INPUTS), f"{len(dumps)} files are shown"
for (at, data), what in zip(dumps, INPUTS):
    written = subprocess.run([compress, "--lossless"], input=what, capture_output=True, check=True).stdout
    if written[at:at + len(data)] != data:
        sys.exit(f"what is shown from byte {at} on is now\n{written[at:at + len(data)].hex(' ')}, not\n{data.hex(' ')}")
print("all well")
