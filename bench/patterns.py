#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What denoisers do to clean synthetic patterns, which they must leave alone, and to noisy ones:

    bench/patterns.py [--count 200] [--seed 1] [--sigma 25] [--models default,fast,balanced,best] BUILD [PICTURE...]

Prints for each model and kind of pattern (of the pictures named instead: one kind) the least and the mean PSNR to the input, blind, 99 where it
is unchanged; then, with noise added (of 8 bits, clipped) and told, the share of pixels that lie farther from the truth than 6 deviations, and the
mean PSNR. Needs numpy and Pillow."""
import argparse
import glob
import os
import subprocess
import tempfile

import numpy
from PIL import Image


def read(path):
    return numpy.asarray(Image.open(path).convert("RGB"), "f4")


def psnr(a, b):
    error = numpy.mean((a - b) ** 2, dtype="f8")
    return 10 * numpy.log10(255 * 255 / error) if error else 99.0


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--count", type=int, default=200)
    args.add_argument("--seed", type=int, default=1)
    args.add_argument("--sigma", type=float, default=25)
    args.add_argument("--models", default="default,fast,balanced,best")
    args.add_argument("build")
    args.add_argument("pictures", nargs="*")
    args = args.parse_args()
    with tempfile.TemporaryDirectory() as work:
        clean, noisy = work + "/clean", work + "/noisy"
        os.mkdir(clean)
        os.mkdir(noisy)
        if not args.pictures:
            subprocess.run([args.build + "/bench/patterns", clean, str(args.count), str(args.seed)], check=True)
        for i, path in enumerate(args.pictures):
            Image.open(path).convert("RGB").save("%s/pictures-%03d.png" % (clean, i))
        names = sorted(os.path.basename(p) for p in glob.glob(clean + "/*.png"))
        for i, name in enumerate(names):
            picture = read(clean + "/" + name)
            picture = picture + numpy.random.default_rng(i).normal(0, args.sigma, picture.shape)
            Image.fromarray(numpy.clip(numpy.rint(picture), 0, 255).astype("u1")).save(noisy + "/" + name)
        for model in args.models.split(","):
            chosen = [] if model == "default" else ["--model", model]
            rows = {}
            for what, told in ((clean, []), (noisy, ["--sigma", str(args.sigma)])):
                out = what + "-" + os.path.basename(model)
                subprocess.run([args.build + "/tools/aedenoise/aedenoise", "--quiet", *chosen, *told, "-o", out,
                                *(what + "/" + n for n in names)], check=True)
                for name in names:
                    truth, found = read(clean + "/" + name), read(out + "/" + name)
                    far = (numpy.abs(truth - found).max(2) > 6 * args.sigma).mean()
                    rows.setdefault((name.rsplit("-", 1)[0], what == clean), []).append((psnr(truth, found), far, name))
            for kind in sorted({k for k, _ in rows}) + ["all"]:
                blind, told = ([r for (k, c), part in rows.items() if kind in (k, "all") and c == wanted for r in part] for wanted in (True, False))
                least = min(blind)
                print("%-10s %-10s clean: least %.2f, mean %.2f dB (%s); noise %g told: %.4f %% far off, mean %.2f, least %.2f dB" % (
                    model, kind, least[0], numpy.mean([r[0] for r in blind]), least[2], args.sigma, 100 * numpy.mean([r[1] for r in told]),
                    numpy.mean([r[0] for r in told]), min(told)[0]), flush=True)


if __name__ == "__main__":
    main()
