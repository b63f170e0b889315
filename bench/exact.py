#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Proves that one file decodes to the same samples everywhere: encodes pictures and crops of 1 x 1 to 300 x 300 of them at several qualities, and
decodes the tiles by the decoder alone (bench/exact.c), built by gcc and clang, without and with optimisation and for aarch64 (run by qemu-user),
with every set of kernels and several numbers of threads.

    bench/exact.py [--crops 1000] [--seed 1] [--slow N] BUILD CODEC PICTURE...

Prints a digest of all samples and how many pictures each way of decoding got different; fails where one did. --slow: of
the pictures only every Nth where it takes long (scalar kernels, without optimisation, emulated). Needs Pillow, libxxhash's headers
and the compilers; one that is missing is said and left out."""
import argparse
import hashlib
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "container"))
import reader  # noqa: E402

SOURCES = ("bench/exact.c lib/latent/coder.c lib/latent/decode.c lib/latent/engine.c lib/latent/program.c lib/latent/kernels.c lib/latent/kernels_x86.c "
           "lib/latent/preview.c lib/latent/rans.c lib/latent/walk.c lib/core/budget.c lib/core/memory.c lib/core/rng.c lib/core/signal.c lib/core/status.c lib/core/threads.c "
           "lib/model/format.c lib/nn/graph.c").split()
FLAGS = "-std=gnu11 -ffp-contract=off -DXXH_INLINE_ALL -ffunction-sections -Wl,--gc-sections -Iinclude -Ilib".split()
# name: (compiler and its flags, what runs the program)
BUILDS = {"gcc -O3": ("gcc -O3", ""), "gcc -O0": ("gcc -O0", ""), "clang -O3": ("clang -O3", ""), "clang -O0": ("clang -O0", ""),
          "aarch64 gcc -O2": ("aarch64-linux-gnu-gcc -O2 -static", "qemu-aarch64")}
KERNELS = {"scalar": "sse2", "avx2": "avx2", "avx512": "avx512bw", "vnni": "avx512_vnni"}  # what the processor must have
QUALITIES = (0, 20, 45, 60, 85, 90)


def processor():
    """What instruction sets it has."""
    with open("/proc/cpuinfo") as file:
        return next((line.split() for line in file if line.startswith("flags")), [])


def ways():
    """(name, build, kernels, threads) of every way to decode."""
    flags = processor()
    for cpu, needed in reversed(KERNELS.items()):
        if needed in flags:
            for threads in (1, 2, 8):
                yield f"gcc -O3, {cpu}, {threads} threads", "gcc -O3", cpu, threads
            yield f"clang -O3, {cpu}", "clang -O3", cpu, 2
        else:
            print(f"this processor has no {needed}: {cpu} left out")
    for build in ("gcc -O0", "clang -O0", "aarch64 gcc -O2"):
        yield build, build, "scalar" if build != "gcc -O0" else "vnni", 2


def build(name, work, builds=BUILDS, sources=SOURCES):
    """The command that decodes, None where something is missing."""
    compiler, runner = (command.split() for command in builds[name])
    missing = [tool for tool in (compiler[0], *runner) if not shutil.which(tool)]
    if missing:
        print(f"{name}: {missing[0]} is not installed: left out")
        return None
    out = os.path.join(work, name.replace(" ", ""))
    # a folder of its own for this one header: a cross compiler must not see the machine's others
    os.makedirs(os.path.join(work, "include"), exist_ok=True)
    for header in ("xxhash.h", "xxh3.h"):
        if os.path.exists("/usr/include/" + header):
            shutil.copy("/usr/include/" + header, os.path.join(work, "include"))
    subprocess.run([*compiler, *FLAGS, "-I" + os.path.join(work, "include"), "-o", out, *sources, "-lm", "-lpthread"], cwd=ROOT, check=True)
    return [*runner, out]


def crop(pictures, n, seed):
    draw = random.Random(seed)
    for i in range(n):
        picture = pictures[draw.randrange(len(pictures))]
        w, h = (draw.choice((draw.randint(1, 300), draw.randint(1, 40))) for _ in range(2))
        w, h = min(w, picture.width), min(h, picture.height)
        x, y = draw.randint(0, picture.width - w), draw.randint(0, picture.height - h)
        piece = picture.crop((x, y, x + w, y + h))
        yield piece.convert("L") if i % 10 == 0 else piece


def bundle(paths, numbers):
    """What decoders alone read: of each file of one item `numbers` of its head and coded tiles, sizes of tiles, tiles; files of which it
    has none are left out."""
    data, n = b"", 0
    for path in paths:
        head, tiles = None, []
        with open(path, "rb") as file:
            for _, kind, payload in reader.read_chunks(file.read()):
                b = reader.Bytes(payload) if kind and kind in "HT" else None
                if kind == "H":
                    b.number()
                    head = reader.read_head(b)
                elif kind == "T":
                    b.number(), b.number()
                    tiles.append(b.rest())
        sizes = [len(t) for t in tiles]
        first = numbers(head, tiles)
        if not first:
            continue
        n += 1
        data += struct.pack(f"={len(first) + 1 + len(sizes)}I", *first, len(sizes), *sizes)
        data += b"".join(tiles)
        data += bytes(-len(data) % 4)
    return struct.pack("=I", n) + data


def picture_numbers(head, tiles):
    """None of what the quality's word has made samples."""
    return [head[name] for name in ("width", "height", "channels", "quality")] if head["coding"] == 1 else None


def compare(name, digests, expected, kind):
    """Prints how many of one way of decoding differ, and whether any does."""
    if len(digests) != len(expected):
        sys.exit(f"{name}: {len(digests)} {kind}")
    different = sum(a != b for a, b in zip(digests, expected))
    digest = hashlib.sha256(" ".join(digests).encode()).hexdigest()[:16]
    print(f"{name:28} {len(digests):5} {kind}, {different} differ; digest {digest}", flush=True)
    return different > 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--crops", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--slow", type=int, default=1, metavar="N")
    parser.add_argument("build")
    parser.add_argument("codec")
    parser.add_argument("pictures", nargs="+")
    options = parser.parse_args()
    from PIL import Image

    encoder = os.path.join(options.build, "tools", "aecompress", "aecompress")
    status = 0
    with tempfile.TemporaryDirectory() as work:
        pictures = [Image.open(path).convert("RGB") for path in options.pictures]
        files, program = [], None
        for k, quality in enumerate(QUALITIES):
            folder = os.path.join(work, str(quality))
            os.mkdir(folder)
            for i, piece in enumerate(pictures[k::len(QUALITIES)] + list(crop(pictures, options.crops // len(QUALITIES), options.seed + k))):
                piece.save(os.path.join(folder, f"{i:04}.{'pgm' if piece.mode == 'L' else 'ppm'}"))
            subprocess.run([encoder, "--quiet", "-m", options.codec, "-q", str(quality), "-r", "-o", folder + ".coded/", folder], check=True)
            files += sorted(os.path.join(at, name) for at, _, names in os.walk(folder + ".coded") for name in names)
        first = os.path.join(work, "0", "0000.ppm")
        subprocess.run([encoder, "--quiet", "-m", options.codec, "--embed-model", "-q", "0", "-o", first + ".aec", first], check=True)
        with open(first + ".aec", "rb") as file:
            program = next(payload for _, kind, payload in reader.read_chunks(file.read()) if kind == "M")
        tiles = bundle(files, picture_numbers)
        for name, data in (("program", program), ("tiles", tiles)):
            with open(os.path.join(work, name), "wb") as file:
                file.write(data)
        print(f"{len(files)} files at qualities {', '.join(map(str, QUALITIES))}, {len(tiles)} bytes of tiles")
        commands, expected = {name: build(name, work) for name in BUILDS}, None
        for name, build_name, cpu, threads in ways():
            if not commands[build_name]:
                continue
            every = options.slow if expected and (cpu == "scalar" or "O0" in name) else 1
            command = [*commands[build_name], os.path.join(work, "program"), os.path.join(work, "tiles"), str(threads), str(every)]
            digests = subprocess.run(command, env={**os.environ, "AE_CPU": cpu}, check=True, capture_output=True, text=True).stdout.split()
            expected = expected or digests
            status |= compare(name, digests, expected[::every], "pictures")
    return status


if __name__ == "__main__":
    sys.exit(main())
