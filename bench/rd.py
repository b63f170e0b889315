#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Rate and distortion of aecompress beside its peers (those of cjpeg, cwebp, avifenc and cjxl that are installed) on the same pictures in the
same run: tables, BD-rate (PCHIP), lossless bits a sample, and a plot.

    bench/rd.py [--model CODEC] [--plot FILE.svg] BUILD PICTURE.png...

Bits are those of whole files; PSNR is over all RGB samples of a picture; both are averaged over pictures. Needs numpy and Pillow."""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time

import numpy
from PIL import Image

AE = ("aecompress", "aedecompress")
CODECS = {  # name: (program, qualities, command to FILE, command back to PNG)
    "JPEG 4:2:0": ("cjpeg", (5, 10, 20, 30, 50, 70, 85, 90), "cjpeg -optimize -progressive -quality {q} -outfile {out} {ppm}",
                   "djpeg -outfile {back}.ppm {out}"),
    "WebP -m6": ("cwebp", (0, 10, 20, 40, 60, 75, 85, 90), "cwebp -quiet -m 6 -q {q} {png} -o {out}", "dwebp -quiet {out} -o {back}.png"),
    "AVIF -s6 444": ("avifenc", (60, 52, 44, 36, 28, 20, 12), "avifenc -s 6 -y 444 --min {q} --max {q} {png} {out}.avif",
                     "avifdec {out}.avif {back}.png"),
    "JPEG XL e7": ("cjxl", (8, 5, 3.5, 2.5, 1.5, 1), "cjxl --quiet -e 7 -d {q} {png} {out}", "djxl --quiet {out} {back}.png"),
}
LOSSLESS = {
    "WebP -z9": ("cwebp", "cwebp -quiet -z 9 {png} -o {out}"),
    "JPEG XL e7": ("cjxl", "cjxl --quiet -e 7 -d 0 {png} {out}"),
}


def run(command):
    start = time.process_time(), os.times()
    subprocess.run(command.split(), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    now = os.times()
    return now.children_user + now.children_system - start[1].children_user - start[1].children_system


def psnr(a, b):
    error = numpy.mean((numpy.asarray(Image.open(a).convert("RGB"), float) - numpy.asarray(Image.open(b).convert("RGB"), float)) ** 2)
    return 10 * numpy.log10(255 * 255 / error) if error else 99.0


def measure(encode, decode, pictures, work):
    """Mean bits a pixel, PSNR, seconds a megapixel to encode and to decode."""
    rows = []
    for i, (png, ppm) in enumerate(pictures):
        out, back = f"{work}/{i}.out", f"{work}/{i}.back"
        for name in (out, out + ".avif", back + ".png", back + ".ppm"):
            if os.path.exists(name):
                os.remove(name)
        names = {"png": png, "ppm": ppm, "out": out, "back": back}
        pixels = numpy.prod(Image.open(png).size)
        seconds = run(encode.format(**names))
        size = os.path.getsize(out if os.path.exists(out) else out + ".avif")
        back_seconds = run(decode.format(**names)) if decode else 0
        quality = psnr(png, back + (".png" if os.path.exists(back + ".png") else ".ppm")) if decode else 99
        rows.append((8 * size / pixels, quality, 1e6 * seconds / pixels, 1e6 * back_seconds / pixels))
    return tuple(numpy.mean(rows, axis=0))


def pchip(x, y, at):
    """Monotone cubic interpolation (Fritsch and Carlson)."""
    h, delta = numpy.diff(x), numpy.diff(y) / numpy.diff(x)
    slope = numpy.zeros(len(x))
    for i in range(1, len(x) - 1):
        if delta[i - 1] * delta[i] > 0:
            w1, w2 = 2 * h[i] + h[i - 1], h[i] + 2 * h[i - 1]
            slope[i] = (w1 + w2) / (w1 / delta[i - 1] + w2 / delta[i])
    slope[0], slope[-1] = delta[0], delta[-1]
    i = numpy.clip(numpy.searchsorted(x, at) - 1, 0, len(x) - 2)
    t = (at - x[i]) / h[i]
    return ((1 + 2 * t) * (1 - t) ** 2 * y[i] + t * (1 - t) ** 2 * h[i] * slope[i] + t * t * (3 - 2 * t) * y[i + 1]
            + t * t * (t - 1) * h[i] * slope[i + 1])


def bd_rate(reference, test):
    """Per cent of bits that `test` needs more than `reference`, over the range of PSNR that both have."""
    curves = []
    for points in (reference, test):
        points = sorted((p[1], numpy.log(p[0])) for p in points)
        curves.append(tuple(numpy.array(v) for v in zip(*points)))
    low, high = max(c[0][0] for c in curves), min(c[0][-1] for c in curves)
    if not low < high:
        return float("nan")
    at = numpy.linspace(low, high, 1000)
    return 100 * (numpy.exp(numpy.mean(pchip(*curves[1], at) - pchip(*curves[0], at))) - 1)


def plot(curves, path):
    colours = ("#d62728", "#1f77b4", "#2ca02c", "#9467bd", "#ff7f0e", "#555555")
    x = lambda bpp: 60 + 560 * min(bpp, 2) / 2
    y = lambda db: 380 - 340 * (db - 24) / 18
    lines = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 420" font-family="sans-serif" font-size="12">',
             '<rect width="640" height="420" fill="white"/>']
    for db in range(24, 43, 2):
        lines.append(f'<path d="M60 {y(db):.0f}H620" stroke="#ddd"/><text x="30" y="{y(db) + 4:.0f}">{db}</text>')
    for i in range(9):
        lines.append(f'<path d="M{x(i / 4):.0f} 40V380" stroke="#ddd"/><text x="{x(i / 4) - 10:.0f}" y="396">{i / 4:.2f}</text>')
    lines.append('<text x="270" y="414">bits a pixel</text><text x="16" y="28">PSNR, dB</text>')
    for i, (name, points) in enumerate(curves.items()):
        shown = [p for p in sorted(points) if p[0] <= 2 and 24 <= p[1] <= 42]
        path_data = " ".join(f"{'ML'[k > 0]}{x(p[0]):.1f} {y(p[1]):.1f}" for k, p in enumerate(shown))
        lines.append(f'<path d="{path_data}" fill="none" stroke="{colours[i % 6]}" stroke-width="2"/>')
        lines.append(f'<text x="480" y="{290 + 16 * i}" fill="{colours[i % 6]}">{name}</text>')
    with open(path, "w") as file:
        file.write("\n".join(lines + ["</svg>\n"]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model")
    parser.add_argument("--plot")
    parser.add_argument("build")
    parser.add_argument("pictures", nargs="+")
    options = parser.parse_args()
    encoder, decoder = (os.path.join(options.build, "tools", name, name) for name in AE)
    model = f"-m {options.model} " if options.model else ""
    curves = {}
    with tempfile.TemporaryDirectory() as work:
        pictures = []
        for i, path in enumerate(options.pictures):
            Image.open(path).convert("RGB").save(f"{work}/{i}.ppm")
            Image.open(path).convert("RGB").save(f"{work}/{i}.png")
            pictures.append((f"{work}/{i}.png", f"{work}/{i}.ppm"))
        codecs = dict(CODECS)
        codecs["aecompress"] = (encoder, (0, 10, 20, 30, 45, 60, 75, 85), f"{encoder} --quiet -j 1 {model}-q {{q}} -f -o {{out}} {{png}}",
                                f"{decoder} --quiet -j 1 {model}-f -o {{back}}.ppm {{out}}")
        for name, (program, qualities, encode, decode) in codecs.items():
            if not shutil.which(program):
                print(f"{name}: {program} is not installed", file=sys.stderr)
                continue
            try:
                curves[name] = [measure(encode.replace("{q}", str(q)), decode, pictures, work) for q in qualities]
            except subprocess.CalledProcessError as error:
                print(f"{name}: {error}", file=sys.stderr)
                continue
            for q, p in zip(qualities, curves[name]):
                print(f"{name:14} q {q:<5} {p[0]:.4f} bpp  {p[1]:.3f} dB  {p[2]:.3f} s/MP to encode, {p[3]:.3f} to decode", flush=True)
        for name in curves:
            if name != "aecompress" and "aecompress" in curves:
                print(f"aecompress against {name}: BD-rate {bd_rate(curves[name], curves['aecompress']):+.1f} %")
        lossless = dict(LOSSLESS, aecompress=(encoder, f"{encoder} --quiet -j 1 --lossless -f -o {{out}} {{png}}"))
        for name, (program, encode) in lossless.items():
            if shutil.which(program):
                p = measure(encode, None, pictures, work)
                print(f"lossless, {name:12} {p[0] / 3:.4f} bits a sample, {p[2]:.3f} s/MP")
    if options.plot and curves:
        plot(curves, options.plot)


if __name__ == "__main__":
    main()
