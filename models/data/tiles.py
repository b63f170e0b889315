#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Training pictures for enlargers: the tiles of photographs that a bicubic filter cannot restore, and drawn ones with text and lines.

    models/data/tiles.py OUT PHOTOGRAPH... [--drawn N --fonts FONT.ttf...]

Photographs are scaled down by 1.25, which takes most of JPEG's and the demosaicing's traces, and cut into tiles of 400 x 400. Those are kept
whose enlargement by four from a quarter of the size lies below 30.5 dB on Y: a network learns little from skies. Needs NumPy and Pillow."""
import argparse
import random
from pathlib import Path

import numpy
from PIL import Image, ImageDraw, ImageFont

EDGE, SCALE, BELOW = 400, 1.25, 30.5
OVERSAMPLED = 3
WORDS = ("the quick brown fox jumps over a lazy dog while Sphinx of black quartz judge my vow 0123456789 signal noise encoder decoder picture "
         "sample figure table result 42% (3.14) [A-Z] {x,y} alpha beta gamma Latent Space Overview Introduction Methods Conclusion").split()


def luma(picture):
    return numpy.asarray(picture, float) @ numpy.array([65.481, 128.553, 24.966]) / 255 + 16


def detailed_tiles(path):
    picture = Image.open(path).convert("RGB")
    picture = picture.resize([round(n / SCALE) for n in picture.size], Image.LANCZOS)
    columns, rows = (n // EDGE for n in picture.size)
    left, top = (picture.width - columns * EDGE) // 2, (picture.height - rows * EDGE) // 2
    for k in range(columns * rows):
        x, y = left + k % columns * EDGE, top + k // columns * EDGE
        tile = picture.crop((x, y, x + EDGE, y + EDGE))
        small = tile.resize((EDGE // 4, EDGE // 4), Image.BICUBIC)
        error = numpy.mean((luma(tile) - luma(small.resize(tile.size, Image.BICUBIC))) ** 2)
        if 10 * numpy.log10(255 ** 2 / max(error, 1e-3)) < BELOW:
            yield k, tile


def colour(rng, dark):
    if rng.random() < 0.5:
        return (0, 0, 0) if dark else (255, 255, 255)
    level = rng.randint(0, 90) if dark else rng.randint(165, 255)
    return tuple(max(0, min(255, level + rng.randint(-60, 60))) for _ in range(3))


def write(rng, draw, fonts, n, dark):
    y = rng.randint(-20, 30)
    while y < n:
        size = rng.choice([9, 11, 12, 14, 16, 18, 24, 32, 48]) * OVERSAMPLED
        line = " ".join(rng.choice(WORDS) for _ in range(12))
        draw.text((rng.randint(-60, 60), y), line, fill=dark if rng.random() < 0.8 else colour(rng, rng.random() < 0.5),
                  font=ImageFont.truetype(rng.choice(fonts), size))
        y += int(size * rng.uniform(1.1, 1.6))


def sketch(rng, draw, n):
    for _ in range(rng.randint(15, 60)):
        ink, width = colour(rng, rng.random() < 0.5), int(rng.choice([1, 1.5, 2, 3, 5, 8]) * OVERSAMPLED)
        points = [(rng.randint(-100, n + 100), rng.randint(-100, n + 100)) for _ in range(rng.choice([2, 3, 4]))]
        (x, y), kind = points[0], rng.random()
        box = [x, y, x + rng.randint(60, 900), y + rng.randint(60, 900)]
        if kind < 0.4:
            draw.line(points, fill=ink, width=width, joint="curve")
        elif kind < 0.6:
            start = rng.randint(0, 360)
            draw.arc(box, start, start + rng.randint(90, 300), fill=ink, width=width)
        elif kind < 0.75 and len(points) > 2:
            draw.polygon(points, fill=ink)
        elif kind < 0.9:
            pitch = rng.randint(4, 16) * OVERSAMPLED
            for i in range(rng.randint(4, 14)):
                draw.rectangle([x + i * pitch, y, x + i * pitch + pitch // 2, y + rng.randint(40, 400)], fill=ink)
        else:
            draw.ellipse(box, fill=ink if rng.random() < 0.5 else None, outline=colour(rng, True), width=width)


def drawn(rng, k, fonts):
    n = EDGE * OVERSAMPLED
    inverted = rng.random() < 0.3
    picture = Image.new("RGB", (n, n), colour(rng, inverted))
    draw = ImageDraw.Draw(picture)
    if k % 3 != 1 and fonts:
        write(rng, draw, fonts, n, colour(rng, not inverted))
    if k % 3 != 0:
        sketch(rng, draw, n)
    return picture.resize((EDGE, EDGE), Image.LANCZOS)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("photographs", nargs="+", type=Path)
    parser.add_argument("--drawn", type=int, default=0)
    parser.add_argument("--fonts", nargs="+", default=[])
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for path in options.photographs:
        for k, tile in detailed_tiles(path):
            tile.save(options.out / f"{path.stem}_{k}.png")
    rng = random.Random(7)
    for k in range(options.drawn):
        drawn(rng, k, options.fonts).save(options.out / f"drawn_{k}.png")


if __name__ == "__main__":
    main()
