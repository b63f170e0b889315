#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Bits a byte of the last tenth of a book by the recipe text, trained on the rest, beside general compressors: bench/text.py BUILD [BOOK].
Without a book it is the King James Bible of Debian's bible-kjv (the text is in the public domain), a verse a line. Further arguments behind
-- go to aetrain; the model stays in --keep DIR."""
import argparse
import bz2
import gzip
import lzma
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def bible():
    verses = subprocess.run(["bible", "-f", "gen1:1-rev22:21"], capture_output=True, check=True).stdout.splitlines()
    return b"".join(v.split(b" ", 1)[1] + b"\n" for v in verses if b" " in v)


def main():
    own = sys.argv[1:sys.argv.index("--")] if "--" in sys.argv else sys.argv[1:]
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("build")
    p.add_argument("book", nargs="?")
    p.add_argument("--keep", metavar="DIR")
    args = p.parse_args(own)
    keep = Path(args.keep or tempfile.mkdtemp(prefix="text-"))
    keep.mkdir(exist_ok=True)
    lines = (Path(args.book).read_bytes() if args.book else bible()).splitlines(True)
    cut = len(lines) * 9 // 10
    known, held = b"".join(lines[:cut]), b"".join(lines[cut:])
    (keep / "known.txt").write_bytes(known)
    (keep / "held.txt").write_bytes(held)
    tool, model = args.build + "/tools/aetrain/aetrain", keep / "text.aem"
    if not model.exists():
        subprocess.run([tool, ROOT / "models/recipes/kinds/text.yaml", keep / "known.txt", "-o", model, "--seed", "1", *sys.argv[len(own) + 2:]],
                       check=True)
    found = subprocess.run([tool, "--evaluate", model, keep / "held.txt", "--quiet"], capture_output=True, text=True, check=True).stdout
    print("%d bytes held out of %d; bits a byte" % (len(held), len(held) + len(known)))
    for name, packed in (("gzip -9", gzip.compress(held, 9)), ("bzip2 -9", bz2.compress(held)), ("xz -9", lzma.compress(held, preset=9))):
        print("%-10s %.3f" % (name, 8 * len(packed) / len(held)))
    print("%-10s %s" % ("text", next(line.split()[1] for line in found.splitlines() if line.startswith("bits_a_byte"))))


if __name__ == "__main__":
    main()
