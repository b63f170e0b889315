#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The pictures of doc/denoising.md: details of photographs as simulated cameras give them, of a photographed page and of a screenshot; beside what
ffmpeg's nlmeans makes of them at the strength that is best for a whole set (bench/cameras.sh), what aedenoise makes without options, and the
truth:

    bench/showcase.py BUILD FOLDER_OF_GB82 [OUTPUT_FOLDER]

Writes cameras.jpg and drawn.jpg there (doc), each below 60,000 bytes. gb82's photographs are CC0. Needs numpy, Pillow, ffmpeg."""
import argparse
import io
import os
import subprocess
import sys
import tempfile

import numpy
from PIL import Image, ImageDraw

import graphics

WIDE, HIGH, GAP, HEAD, MOST = 168, 126, 4, 18, 60000
STRENGTHS = {3200: 5, 25600: 18}  # of nlmeans, by ISO
DETAILS = [("shadows", "guitar-lossless", 25600, (40, 360)), ("skin", "girl-lossless", 25600, (330, 150)),
           ("fur", "dog-lossless", 3200, (330, 170)), ("night sky", "prudential-lossless", 25600, (180, 120))]


def run(*command):
    subprocess.run([str(c) for c in command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def load(path):
    return Image.open(path).convert("RGB")


def cleaned(build, path, strength, work):
    """What nlmeans and aedenoise make of it."""
    run("ffmpeg", "-v", "error", "-y", "-i", path, "-vf", f"format=gbrp,nlmeans=s={strength}:p=7:r=15,format=rgb24", f"{work}/nlmeans.png")
    run(f"{build}/tools/aedenoise/aedenoise", "--quiet", "-f", "-o", f"{work}/ours.png", path)
    return load(f"{work}/nlmeans.png"), load(f"{work}/ours.png")


def photographed(build, picture, iso, work):
    """The picture as a camera sees it, and without its noise."""
    name = os.path.splitext(os.path.basename(picture))[0]
    run(f"{build}/bench/cameras", iso, work, picture)
    return f"{work}/{name}_real.ppm", f"{work}/{name}_mean.ppm"


def sheet(rows, heads):
    out = Image.new("RGB", (4 * (WIDE + GAP) - GAP, HEAD + len(rows) * (HIGH + HEAD)), (255, 255, 255))
    draw, font = ImageDraw.Draw(out), graphics.font("Sans", 11)
    for i, head in enumerate(heads):
        draw.text((i * (WIDE + GAP), 2), head, fill=(0, 0, 0), font=font)
    for y, (title, at, pictures) in enumerate(rows):
        top = HEAD + y * (HIGH + HEAD)
        for i, picture in enumerate(pictures):
            out.paste(picture.crop((*at, at[0] + WIDE, at[1] + HIGH)), (i * (WIDE + GAP), top))
        truth = numpy.asarray(pictures[-1], float)
        notes = []
        for picture in pictures[:-1]:
            error = numpy.mean((numpy.asarray(picture, float) - truth) ** 2)
            notes.append(f"{10 * numpy.log10(65025 / error):.1f} dB" if error else "unchanged")
        for i, note in enumerate([f"{title}: {notes[0]}"] + notes[1:]):
            draw.text((i * (WIDE + GAP), top + HIGH + 1), note, fill=(60, 60, 60), font=font)
    return out


def save(picture, path):
    for quality in range(92, 30, -2):
        data = io.BytesIO()
        picture.save(data, "JPEG", quality=quality, optimize=True)
        if len(data.getvalue()) < MOST:
            break
    with open(path, "wb") as f:
        f.write(data.getvalue())
    print(f"{path}: {len(data.getvalue())} bytes, quality {quality}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("gb82")
    parser.add_argument("output", nargs="?", default="doc")
    o = parser.parse_args()
    r = numpy.random.default_rng(5)
    heads = ("noisy", "nlmeans", "aedenoise", "without noise")
    with tempfile.TemporaryDirectory() as work:
        rows = []
        for title, name, iso, at in DETAILS:
            noisy, clean = photographed(o.build, f"{o.gb82}/{name}.png", iso, work)
            rows.append((title, at, [load(noisy), *cleaned(o.build, noisy, STRENGTHS[iso], work), load(clean)]))
        save(sheet(rows, heads), f"{o.output}/cameras.jpg")
        graphics.page(r, 480, 360, "Serif", 14, (30, 30, 40), (236, 230, 214)).save(f"{work}/page.png")
        noisy, clean = photographed(o.build, f"{work}/page.png", 3200, work)
        rows = [("page", (20, 20), [load(noisy), *cleaned(o.build, noisy, STRENGTHS[3200], work), load(clean)])]
        screen = graphics.mockup(r, 520, 360, graphics.bayer(graphics.soft(r, 180, 130), 4, 8))
        screen.save(f"{work}/screen.png")
        rows.append(("screenshot", (300, 200), [screen, *cleaned(o.build, f"{work}/screen.png", STRENGTHS[3200], work), screen]))
        save(sheet(rows, heads), f"{o.output}/drawn.jpg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
