#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""modules.py AECOMPRESS LIBRARY SAMPLES MODULE...: adapters over large libraries are loaded when a file needs them, by the tool and by
the confined processes; where one is missing, its files are refused with the reason and all others are read."""
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

tool, library, samples, modules = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:]
failures = 0


def check(what, good, told=""):
    global failures
    if not good:
        failures += 1
        print("FAIL: %s: %s" % (what, told), file=sys.stderr)


def run(*args, at=None):
    env = dict(os.environ, LD_LIBRARY_PATH=str(at)) if at else None
    p = subprocess.run([tool, "--quiet", "-f", "--lossless", *map(str, args)], capture_output=True, text=True, env=env)
    return p.returncode, p.stderr


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def apng():
    """Two frames of 4 x 4 grey pixels: the second one is the module's."""
    rows = [zlib.compress(bytes([0, k, k, k, k]) * 4) for k in (20, 200)]
    control = [struct.pack(">IIIIIHHBB", n, 4, 4, 0, 0, 1, 10, 0, 0) for n in (0, 1)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(*c) for c in ((b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 0, 0, 0, 0)), (b"acTL", struct.pack(">II", 2, 0)),
                            (b"fcTL", control[0]), (b"IDAT", rows[0]), (b"fcTL", control[1]),
                            (b"fdAT", struct.pack(">I", 2) + rows[1]), (b"IEND", b"")))


needed = subprocess.run(["readelf", "-d", library], capture_output=True, text=True, check=True).stdout
for name in ("libav", "libswscale", "libheif", "libjxl", "libraw"):
    check("start-up", name not in needed, "%s is linked" % name)

with tempfile.TemporaryDirectory() as work:
    work = Path(work)
    pixels = bytes(range(48))
    bmp = work / "a.bmp"
    bmp.write_bytes(b"BM" + struct.pack("<IIIIiiHHIIIIII", 54 + 48, 0, 54, 40, 4, 4, 1, 24, 0, 48, 0, 0, 0, 0) + pixels)
    animation = work / "b.png"
    animation.write_bytes(apng())
    # Files that their libraries refuse: it is the library that speaks.
    strangers = {"avif": ("a.avif", b"\0\0\0\x18ftypavif\0\0\0\0avifmif1"), "heif": ("a.heic", b"\0\0\0\x18ftypheic\0\0\0\0heicmif1"),
                 "jxl": ("a.jxl", b"\xff\x0a"), "raw": ("a.raf", b"FUJIFILMCCD-RAW 0201")}
    for i in ("confined", "in the tool"):
        options = [] if i == "confined" else ["--no-confine"]
        status, told = run(*options, "-o", work / "a.aec", bmp)
        check("BMP, " + i, status == 0, told)
        status, told = run(*options, "--archive", work / "c.aec", animation)
        check("APNG, " + i, status == 0 and not told, told)
        # one after another in one run: processes without a module give way to such that have it
        if "raw" in modules and "jxl" in modules:
            for module, (name, head) in strangers.items():
                (work / name).write_bytes(head + bytes(200))
            status, told = run(*options, "-o", work / "out/", *(work / name for m, (name, head) in strangers.items() if m in modules), bmp)
            check("all, " + i, status == 1 and "module" not in told and (work / "out/a.bmp.aec").exists(), told)

    # A library whose modules are not there; and whose module is of another release.
    alone = work / "alone"
    alone.mkdir()
    shutil.copy(library, alone / "libaesuite.so.0")
    status, told = run("-o", work / "b.aec", samples / "dog.png", at=alone)
    check("PNG without modules", status == 0, told)
    status, told = run("-o", work / "b.aec", bmp, at=alone)
    check("BMP without its module", status == 1 and "BMP: its module cannot be loaded" in told and "aesuite-av.so" in told, told)
    text = library.with_name("aesuite-av.so").read_bytes()
    check("a version", text.count(b"\x000.1.0\0") == 1)
    (alone / "aesuite-av.so").write_bytes(text.replace(b"\x000.1.0\0", b"\x000.0.9\0"))
    status, told = run("-o", work / "b.aec", bmp, at=alone)
    check("BMP with another's module", status == 1 and "aesuite-av.so is not of version 0.1.0" in told, told)
sys.exit(failures != 0)
