#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""JPEG files of coarse quality through aedenoise: gain in PSNR of luma (BT.601) over the decoded file.

    bench/jpeg.py [--qualities 10,20,40] BUILD PICTURE... [-- aedenoise options]

The files are Pillow's (libjpeg, 4:2:0). Needs numpy and Pillow."""
import os
import subprocess
import sys
import tempfile

import numpy
from PIL import Image


def read(path):
    rgb = numpy.asarray(Image.open(path).convert("RGB"), float)
    return rgb, rgb @ (0.299, 0.587, 0.114)


def gain(truth, decoded, result):
    return 10 * numpy.log10(numpy.mean((decoded - truth) ** 2) / numpy.mean((result - truth) ** 2))


def main():
    args, qualities = sys.argv[1:], (10, 20, 40)
    if args[:1] == ["--qualities"]:
        qualities, args = [int(q) for q in args[1].split(",")], args[2:]
    options = args[args.index("--") + 1:] if "--" in args else []
    args = args[:args.index("--")] if "--" in args else args
    if len(args) < 2:
        sys.exit(__doc__)
    build, pictures = args[0], args[1:]
    for quality in qualities:
        with tempfile.TemporaryDirectory() as work:
            paths = []
            for i, path in enumerate(pictures):
                paths.append("%s/%03d.jpg" % (work, i))
                Image.open(path).convert("RGB").save(paths[-1], quality=quality)
            subprocess.run([build + "/tools/aedenoise/aedenoise", "--quiet", "--format", "png", *options, "-o", work + "/out", *paths], check=True)
            rows = []
            for i, path in enumerate(pictures):
                truth, decoded, result = read(path), read(paths[i]), read("%s/out/%03d.png" % (work, i))
                rows.append([gain(truth[k], decoded[k], result[k]) for k in (1, 0)])
            rows = numpy.array(rows)
            print("quality %d, %d pictures: luma %+.2f dB, least %+.2f; RGB %+.2f" % (quality, len(rows), *rows.mean(0)[:1], rows[:, 0].min(),
                                                                                     rows[:, 1].mean()), flush=True)


if __name__ == "__main__":
    main()
