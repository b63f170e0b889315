#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Rate and distortion of aecompress beside its peers (those of cjpeg, cwebp, avifenc and cjxl that are installed) on the same pictures in the
same run: tables, BD-rate (PCHIP) at equal PSNR and at equal MS-SSIM, lossless bits a sample, and a plot.

    bench/rd.py [--model CODEC] [--effort N]... [--csv POINTS.csv] [--plot FILE.svg] BUILD PICTURE...

Bits are those of whole files; PSNR is over all RGB samples of a picture, MS-SSIM of its luma in dB, -10 log10(1 - it); all are averaged over
pictures. All points go to the CSV file; those
of peers that it has already, of the same pictures, are not measured again. Needs numpy and Pillow."""
import argparse
import csv
import hashlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile

import numpy
from PIL import Image

CODECS = {  # name: (program, qualities, command to FILE, command back to PNG)
    "JPEG 4:2:0": ("cjpeg", (5, 10, 15, 20, 30, 40, 50, 60, 70, 80, 85, 90, 95), "cjpeg -optimize -progressive -quality {q} -outfile {out} {ppm}",
                   "djpeg -outfile {back}.ppm {out}"),
    "WebP -m6": ("cwebp", (0, 5, 10, 20, 30, 40, 50, 60, 70, 75, 80, 85, 90, 95), "cwebp -quiet -m 6 -q {q} {png} -o {out}",
                 "dwebp -quiet -ppm {out} -o {back}.ppm"),
    "AVIF -s6 444": ("avifenc", (63, 58, 53, 48, 43, 38, 33, 28, 23, 18, 13, 8), "avifenc -s 6 -y 444 --min {q} --max {q} {png} {out}.avif",
                     "avifdec --png-compress 0 {out}.avif {back}.png"),
    "JPEG XL e7": ("cjxl", (15, 12, 10, 8, 6, 5, 4, 3, 2.5, 2, 1.5, 1, 0.75, 0.5), "cjxl --quiet -e 7 -d {q} {png} {out}",
                   "djxl --quiet {out} {back}.ppm"),
}
LOSSLESS = {
    "JPEG XL e7 -d 0": ("cjxl", "cjxl --quiet -e 7 -d 0 {png} {out}", "djxl --quiet {out} {back}.ppm"),
    "WebP -z9": ("cwebp", "cwebp -quiet -z 9 {png} -o {out}", "dwebp -quiet -ppm {out} -o {back}.ppm"),
}
QUALITIES = (0, 10, 20, 30, 40, 50, 60, 70, 80, 85)
FIELDS = ("codec", "quality", "bpp", "psnr_rgb", "ms_ssim_db", "encode_s_per_mp", "decode_s_per_mp", "pictures")
BITS, PSNR, MS_SSIM, ENCODE, DECODE = range(5)


def run(command):
    """Processor seconds."""
    start = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command.split(), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    return now.ru_utime + now.ru_stime - start.ru_utime - start.ru_stime


def cost(file, decoded, original):
    """Bits a pixel and PSNR."""
    original = pixels_of(original)
    error = numpy.mean((pixels_of(decoded) - original) ** 2)
    return 8 * os.path.getsize(file) / original[..., 0].size, 10 * numpy.log10(255 * 255 / error) if error else numpy.inf


def pixels_of(path):
    return numpy.asarray(Image.open(path).convert("RGB"), float)


def similarity(program, pairs):
    """In dB, of each pair of files."""
    lines = subprocess.run([program, *(f for pair in pairs for f in pair)], check=True, capture_output=True, text=True).stdout.splitlines()
    return [-10 * numpy.log10(max(1e-6, 1 - float(line.split()[0]))) for line in lines]


def summary(rows, seconds, program, pairs):
    """Means over the pictures: of bits and PSNR, MS-SSIM, seconds a megapixel to encode and to decode."""
    return (*numpy.mean(rows, axis=0), numpy.mean(similarity(program, pairs)), *seconds)


def measure(encode, decode, pictures, work, program):
    rows, times, pairs = [], [], []
    for i, (png, ppm) in enumerate(pictures):
        out, back = f"{work}/{i}.out", f"{work}/{i}.back"
        made = out, out + ".avif", back + ".png", back + ".ppm"
        for name in made:
            if os.path.exists(name):
                os.remove(name)
        names = {"png": png, "ppm": ppm, "out": out, "back": back}
        n = numpy.prod(Image.open(png).size)
        seconds = run(encode.format(**names)), run(decode.format(**names))
        file, decoded = (next(f for f in pair if os.path.exists(f)) for pair in (made[:2], made[2:]))
        rows.append(cost(file, decoded, png))
        times.append([1e6 * t / n for t in seconds])
        pairs.append((png, decoded))
    return summary(rows, numpy.mean(times, axis=0), program, pairs)


def measure_own(encode, decode, pictures, work, program):
    """The same of aecompress, which opens its model once for all pictures."""
    for name in ("aec", "back"):
        shutil.rmtree(f"{work}/{name}", ignore_errors=True)
    n = sum(numpy.prod(Image.open(png).size) for png, _ in pictures)
    seconds = run(encode), run(decode)
    pairs = [(png, f"{work}/back/{i}.ppm") for i, (png, _) in enumerate(pictures)]
    rows = [cost(f"{work}/aec/{i}.aec", decoded, png) for i, (png, decoded) in enumerate(pairs)]
    return summary(rows, [1e6 * t / n for t in seconds], program, pairs)


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


def bd_rate(reference, test, by):
    """Per cent of bits that `test` needs more than `reference`, over the range of PSNR or MS-SSIM that both have."""
    curves = []
    for points in (reference, test):
        points = sorted((p[by], numpy.log(p[BITS])) for p in points)
        curves.append(tuple(numpy.array(v) for v in zip(*points)))
    low, high = max(c[0][0] for c in curves), min(c[0][-1] for c in curves)
    if not low < high:
        return float("nan")
    at = numpy.linspace(low, high, 1000)
    return 100 * (numpy.exp(numpy.mean(pchip(*curves[1], at) - pchip(*curves[0], at))) - 1)


COLOURS = ("#c2410c", "#2563eb", "#15803d", "#9333ea"), ("#fb923c", "#60a5fa", "#4ade80", "#c084fc")  # on light, on dark


def plot(curves, path, title):
    """From 24 to 40 dB, up to 1.75 bits a pixel; ours are the thick curves. Dark where the reader's screen is."""
    x, y = lambda bpp: 50 + 320 * bpp, lambda db: 390 - 22 * (db - 24)
    dark = "".join(f".c{i}{{stroke:{c}}}" for i, c in enumerate(COLOURS[1]))
    lines = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 430" font-family="sans-serif" font-size="12">',
             "<style>@media(prefers-color-scheme:dark){.paper{fill:#111}text{fill:#ddd}.grid{stroke:#333}.own{stroke:#eee}" + dark + "}</style>",
             f'<rect class="paper" width="640" height="430" fill="#fff"/><text x="50" y="20" font-size="14">{title}</text>']
    for db in range(24, 41, 2):
        lines.append(f'<path class="grid" stroke="#ddd" d="M50 {y(db):g}H610"/><text x="26" y="{y(db) + 4:g}">{db}</text>')
    for i in range(8):
        lines.append(f'<path class="grid" stroke="#ddd" d="M{x(i / 4):g} 38V390"/>'
                     f'<text x="{x(i / 4):g}" y="406" text-anchor="middle">{i / 4:.2f}</text>')
    lines.append('<text x="330" y="423" text-anchor="middle">bits a pixel</text><text x="26" y="24">dB</text>')
    n_own = 0
    for i, (name, points) in enumerate(curves.items()):
        style = f'fill="none" class="c{i % 4}" stroke="{COLOURS[0][i % 4]}" stroke-width="1.5"'
        if name.startswith("aecompress"):
            style = 'fill="none" class="own" stroke="#111" stroke-width="3"' + ' stroke-dasharray="7 3"' * (n_own > 0)
            n_own += 1
        rates, qualities = (numpy.array(v) for v in zip(*sorted((p[0], p[1]) for p in points)))
        at = numpy.linspace(rates[0], min(1.75, rates[-1]), 60)
        shown = [(r, q) for r, q in zip(at, pchip(rates, qualities, at)) if 24 <= q <= 40]
        lines.append(f'<path {style} d="M{" ".join(f"{x(r):.1f} {y(q):.1f}" for r, q in shown)}"/>')
        lines.append(f'<path {style} d="M440 {300 + 16 * i}h30"/><text x="478" y="{304 + 16 * i}">{name}</text>')
    with open(path, "w") as file:
        file.write("\n".join(lines + ["</svg>\n"]))


def read_points(path, digest):
    if not path or not os.path.exists(path):
        return {}
    with open(path, newline="") as file:
        return {(r["codec"], r["quality"]): tuple(float(r[f]) for f in FIELDS[2:-1]) for r in csv.DictReader(file)
                if r["pictures"] == digest and "ms_ssim_db" in r and not r["codec"].startswith("aecompress")}


def write_points(path, digest, points):
    with open(path, "w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(FIELDS)
        rows.writerows([*key, *(f"{v:.5g}" for v in p), digest] for key, p in points.items())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", help="of aecompress")
    parser.add_argument("--effort", type=int, action="append", default=[], help="of aecompress, measured besides the default")
    parser.add_argument("--csv", help="points of peers that are known, then all")
    parser.add_argument("--plot", help="an SVG file")
    parser.add_argument("build")
    parser.add_argument("pictures", nargs="+")
    options = parser.parse_args()
    encoder, decoder = (os.path.join(options.build, "tools", name, name) for name in ("aecompress", "aedecompress"))
    ms_ssim = os.path.join(options.build, "bench", "ms_ssim")
    model = f"-m {options.model} " if options.model else ""
    curves, points = {}, {}
    jobs = [(name, program, str(q), encode.replace("{q}", str(q)), decode)
            for name, (program, qualities, encode, decode) in CODECS.items() for q in qualities]
    for name, effort in [("aecompress", "")] + [(f"aecompress -e {e}", f"-e {e} ") for e in options.effort]:
        jobs += [(name, None, str(q), f"{model}{effort}-q {q}", model) for q in QUALITIES]
    jobs.append(("aecompress --lossless", None, "", "--lossless", ""))
    jobs += [(name, program, "", encode, decode) for name, (program, encode, decode) in LOSSLESS.items()]
    with tempfile.TemporaryDirectory() as work:
        pictures, digest = [], hashlib.sha256()
        for i, path in enumerate(options.pictures):
            picture = Image.open(path).convert("RGB")
            digest.update(b"%d %d" % picture.size + picture.tobytes())
            pictures.append((f"{work}/png/{i}.png", f"{work}/ppm/{i}.ppm"))
            for name in pictures[-1]:
                os.makedirs(os.path.dirname(name), exist_ok=True)
                picture.save(name)
        digest = digest.hexdigest()[:16]
        known = read_points(options.csv, digest)
        for name, program, q, encode, decode in jobs:
            if program and not shutil.which(program):
                print(f"{name} {q}: {program} is not installed", file=sys.stderr)
                continue
            if program:
                p = known.get((name, q)) or measure(encode, decode, pictures, work, ms_ssim)
            else:
                p = measure_own(f"{encoder} --quiet -j 1 -r {encode} -o {work}/aec {work}/png",
                                f"{decoder} --quiet -j 1 -r {decode} --format ppm -o {work}/back {work}/aec", pictures, work, ms_ssim)
            points[name, q] = p
            if options.csv:
                write_points(options.csv, digest, {**known, **points})
            if q:
                curves.setdefault(name, []).append(p)
            rate = f"{p[BITS]:.4f} bpp  {p[PSNR]:.3f} dB  MS-SSIM {p[MS_SSIM]:.3f} dB" if q else f"{p[BITS] / 3:.4f} bits a sample"
            print(f"{name:16} {q:5} {rate}  {p[ENCODE]:.3f} s/MP to encode, {p[DECODE]:.3f} to decode", flush=True)
    for name in curves:
        for other in curves:
            if name.startswith("aecompress") and name != other:
                print(f"{name} against {other}: BD-rate {bd_rate(curves[other], curves[name], PSNR):+.1f} %, at equal MS-SSIM "
                      f"{bd_rate(curves[other], curves[name], MS_SSIM):+.1f} %")
    if options.plot:
        plot(curves, options.plot, f"PSNR over RGB, {len(pictures)} pictures")


if __name__ == "__main__":
    main()
