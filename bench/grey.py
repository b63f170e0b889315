#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""White Gaussian noise on grey pictures, beside the same pictures in colour and beside BM3D (ffmpeg's filter):

    bench/grey.py [--sigma 25] [--model balanced] BUILD PICTURE...

Noise is added to samples of 8 bits and clipped, since BM3D reads files: a little above the figures of bench/awgn for all three. Prints mean PSNR
over the pictures. Needs numpy, Pillow and ffmpeg."""
import argparse
import os
import subprocess
import tempfile

import numpy
from PIL import Image

# Found by a search that favours BM3D; the second step of this implementation makes it worse.
BM3D = "bm3d=sigma=70:block=4:bstep=2:group=8:range=8:mstep=1:thmse=500000"


def psnr(picture, path):
    error = numpy.mean((picture - numpy.asarray(Image.open(path).convert("L" if picture.ndim == 2 else "RGB"), float)) ** 2)
    return 10 * numpy.log10(255 * 255 / error)


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--sigma", type=float, default=25)
    args.add_argument("--model", default="balanced")
    args.add_argument("build")
    args.add_argument("pictures", nargs="+")
    args = args.parse_args()
    denoise = [os.path.join(args.build, "tools/aedenoise/aedenoise"), "--quiet", "--force", "--sigma", str(args.sigma), "--model", args.model]
    rows = []
    with tempfile.TemporaryDirectory() as work:
        noisy, out = work + "/noisy.png", work + "/out.png"
        for i, path in enumerate(args.pictures):
            row = []
            for mode in ("RGB", "L"):
                clean = numpy.asarray(Image.open(path).convert(mode), float)
                noise = numpy.random.default_rng(i).normal(0, args.sigma, clean.shape)
                Image.fromarray(numpy.clip(numpy.rint(clean + noise), 0, 255).astype("uint8")).save(noisy)
                subprocess.run(denoise + ["-o", out, noisy], check=True)
                row.append(psnr(clean, out))
            subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", noisy, "-vf", BM3D, out], check=True)
            rows.append(row + [psnr(clean, out)])
    print("%d pictures, sigma %g: %s in colour %.2f, grey %.2f; BM3D grey %.2f dB" % (len(rows), args.sigma, args.model, *numpy.mean(rows, axis=0)))


if __name__ == "__main__":
    main()
