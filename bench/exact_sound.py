#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Proves that one file of sound decodes to the same samples everywhere: encodes recordings without loss, within an error and by spectra, and
decodes the tiles by the decoder alone (bench/exact_sound.c), built by gcc and clang, without and with optimisation, for several instruction
sets and for aarch64 (run by qemu-user), on several numbers of threads.

    bench/exact_sound.py [--slow N] BUILD SOUND...

Prints a digest of all samples and how many files each way of decoding got different; fails where one did. --slow: only every Nth file
where it takes long (without optimisation, emulated). Needs libxxhash's headers and the compilers; one that is missing is said and left out."""
import argparse
import os
import subprocess
import sys
import tempfile

import exact
import reader

SOURCES = ("bench/exact_sound.c lib/container/sounds.c lib/container/soundlossy.c lib/container/soundbands.c lib/container/soundtile.c "
           "lib/container/soundmodel.c lib/container/soundleast.c lib/container/soundfloats.c lib/container/decision.c lib/container/fetch.c "
           "lib/container/frame.c lib/container/predict.c lib/audio/mdct.c lib/core/budget.c lib/core/memory.c lib/core/rng.c lib/core/signal.c lib/core/status.c lib/core/threads.c "
           "lib/model/format.c").split()
NO_CLONES = "-DAEI_CLONES_H -DAEI_CLONES="  # one instruction set for all
LEVELS = {"x86-64": "sse2", "x86-64-v3": "avx2", "x86-64-v4": "avx512bw", "x86-64-v4 -mavx512vnni": "avx512_vnni"}  # what the processor must have
CODINGS = (["--lossless"], ["--near-lossless", "3"], ["-q", "5"], ["-q", "30"], ["-q", "60"], ["-q", "90"], ["-q", "100"])


def ways():
    """(name, compiler and its flags, what runs the program, threads, takes long)"""
    flags = exact.processor()
    for threads in (1, 2, 8):
        yield f"gcc -O3, {threads} threads", "gcc -O3", "", threads, False
    for level, needed in LEVELS.items():
        if needed in flags:
            for compiler in ("gcc", "clang"):
                yield f"{compiler} -O3 {level}", f"{compiler} -O3 -march={level} {NO_CLONES}", "", 2, False
        else:
            print(f"this processor has no {needed}: {level} left out")
    yield "gcc -O0", "gcc -O0", "", 2, True
    yield "clang -O0", "clang -O0", "", 2, True
    yield "aarch64 gcc -O2", "aarch64-linux-gnu-gcc -O2 -static", "qemu-aarch64", 2, True


def numbers(head, tiles):
    frames = sum(reader.Bytes(tile).number() for tile in tiles)
    return [head[name] for name in ("sample", "bits", "channels", "block", "tile")] + [frames]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--slow", type=int, default=1, metavar="N")
    parser.add_argument("build")
    parser.add_argument("sounds", nargs="+")
    options = parser.parse_args()
    encoder, status = os.path.join(options.build, "tools", "aecompress", "aecompress"), 0
    with tempfile.TemporaryDirectory() as work:
        files = []
        for i, path in enumerate(options.sounds):
            for coding in CODINGS:
                out = os.path.join(work, f"{i}{''.join(coding)}.aec")
                made = subprocess.run([encoder, "--quiet", "--no-sync", *coding, "-o", out, path], capture_output=True, text=True)
                if made.returncode == 0:
                    files.append(out)
                elif coding[0] != "--near-lossless":  # floats have none
                    sys.exit(made.stderr)
        data, expected = {}, None
        for every in {1, options.slow}:
            data[every] = os.path.join(work, f"tiles{every}")
            with open(data[every], "wb") as file:
                file.write(exact.bundle(files[::every], numbers))
        print(f"{len(files)} files, {os.path.getsize(data[1])} bytes of tiles")
        for name, compiler, runner, threads, slow in ways():
            command = exact.build(name, work, {name: (compiler, runner)}, SOURCES)
            if not command:
                continue
            every = options.slow if slow else 1
            digests = subprocess.run([*command, data[every], str(threads)], check=True, capture_output=True, text=True).stdout.split()
            expected = expected or digests
            status |= exact.compare(name, digests, expected[::every], "files")
    return status


if __name__ == "__main__":
    sys.exit(main())
