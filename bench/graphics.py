#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Fifty drawn pictures (icons, terminals, charts, text, pixel art, dither, stripes, checkerboards, gradients, mock-ups, faxes) through aecompress: is
PSNR monotone over -q 0, 10 ... 100, how many bytes beside those without loss, how good beside WebP at equal bytes; and without loss beside PNG,
WebP and, of two levels, fax group 4.

    bench/graphics.py [--save DIRECTORY] [--only PATTERN] [--seed N] [BUILD]

Without BUILD the pictures are only saved. Needs numpy and Pillow with libtiff; of cwebp, dwebp and fonts it takes what is there."""
import argparse
import fnmatch
import glob
import io
import os
import shutil
import subprocess
import sys
import tempfile

import numpy
from PIL import Image, ImageDraw, ImageFont

WORDS = ("the of and to in is that for it as was with be by on not he his but at are this have from or had an they which one you were all her she "
         "there would their we him been has when who will no more if out so up said what its about than into them can only other time new some "
         "could these two may first then do any like my now over such our man me even most made after also well did many before must years "
         "network picture quality sample tile bound error colour index container without loss encoder decoder entropy").split()


def fonts():
    found = sorted(f for f in glob.glob("/usr/share/fonts/**/*.[to]tf", recursive=True) if "Mono" in f or "Sans" in f or "Serif" in f)
    return found or [None]


def font(pick, size):
    names = [f for f in fonts() if f and pick in os.path.basename(f)] or fonts()
    return ImageFont.truetype(names[0], size) if names[0] else ImageFont.load_default()


def sentence(r, n):
    return " ".join(WORDS[i] for i in r.integers(0, len(WORDS), n))


def page(r, w, h, face, size, ink=(20, 20, 20), paper=(255, 255, 255), mode="RGB"):
    im = Image.new(mode, (w, h), paper)
    d, f, y = ImageDraw.Draw(im), font(face, size), size
    while y < h - 2 * size:
        x, line = size, ""
        while True:
            word = WORDS[r.integers(0, len(WORDS))]
            if d.textlength(line + word, font=f) > w - 2 * size:
                break
            line += word + " "
        d.text((x, y), line if r.random() > 0.1 else line[:len(line) // 2], fill=ink, font=f)
        y += int(size * (1.35 if r.random() > 0.1 else 2))
    return im


def icon(r, n, alpha=False):
    im = Image.new("RGBA", (4 * n, 4 * n), (0, 0, 0, 0))
    d = ImageDraw.Draw(im)
    for _ in range(5):
        c = tuple(int(v) for v in r.integers(0, 256, 3)) + (255,)
        x, y, s = (int(v) for v in r.integers(0, 3 * n, 3))
        kind = r.integers(0, 3)
        box = (x, y, x + s + n // 2, y + s + n // 2)
        (d.ellipse if kind == 0 else d.rectangle if kind == 1 else d.rounded_rectangle)(box, fill=c, **({"radius": n // 3} if kind == 2 else {}))
    im = im.resize((n, n), Image.LANCZOS)
    if alpha:
        return im
    back = Image.new("RGB", (n, n), (255, 255, 255))
    back.paste(im, mask=im.split()[3])
    return back


def terminal(r, w, h, size, back, inks):
    im = Image.new("RGB", (w, h), back)
    d, f = ImageDraw.Draw(im), font("Mono", size)
    for y in range(2, h - size, size + 3):
        x = 4
        for _ in range(r.integers(1, 9)):
            text = sentence(r, r.integers(1, 4)) + " "
            d.text((x, y), text, fill=inks[r.integers(0, len(inks))], font=f)
            x += int(d.textlength(text, font=f))
    return im


def chart(r, w, h, kind):
    im = Image.new("RGB", (w, h), (255, 255, 255))
    d, f = ImageDraw.Draw(im), font("Sans", 12)
    for i in range(6):
        y = 20 + i * (h - 50) // 5
        d.line((40, y, w - 10, y), fill=(220, 220, 220))
        d.text((5, y - 6), str(500 - 100 * i), fill=(60, 60, 60), font=f)
    if kind == "bars":
        for i in range(12):
            x, top = 50 + i * (w - 70) // 12, int(r.integers(30, h - 40))
            d.rectangle((x, top, x + (w - 70) // 16, h - 30), fill=tuple(int(v) for v in r.integers(40, 220, 3)))
            d.text((x, h - 22), str(2000 + i), fill=(60, 60, 60), font=f)
    elif kind == "lines":
        for _ in range(4):
            ys = numpy.cumsum(r.normal(0, 12, w // 8)) + h / 2
            points = [(40 + 8 * i, float(min(max(v, 20), h - 32))) for i, v in enumerate(ys) if 40 + 8 * i < w - 10]
            d.line(points, fill=tuple(int(v) for v in r.integers(0, 200, 3)), width=2)
    else:
        at = 0
        for i in range(7):
            end = at + int(r.integers(20, 80))
            d.pieslice((60, 20, h - 10, h - 50), at, end if i < 6 else 360, fill=tuple(int(v) for v in r.integers(40, 240, 3)), outline=(255, 255, 255))
            d.text((h + 10, 30 + 20 * i), sentence(r, 2), fill=(30, 30, 30), font=f)
            at = end
    d.text((w // 3, 2), sentence(r, 4), fill=(0, 0, 0), font=f)
    return im


def gradient(w, h, stops, vertical=True):
    t = numpy.linspace(0, len(stops) - 1, h if vertical else w)
    row = numpy.stack([numpy.interp(t, range(len(stops)), [s[k] for s in stops]) for k in range(3)], -1).round().astype("uint8")
    return Image.fromarray(numpy.ascontiguousarray(numpy.broadcast_to(row[:, None] if vertical else row[None], (h, w, 3))))


def mockup(r, w, h, photo=None):
    im = Image.new("RGB", (w, h), (245, 246, 248))
    d = ImageDraw.Draw(im)
    im.paste(gradient(w, 40, [(60, 110, 190), (40, 80, 150)]), (0, 0))
    d.text((14, 10), sentence(r, 3), fill=(255, 255, 255), font=font("Sans-Bold", 16))
    d.rectangle((0, 40, 150, h), fill=(230, 233, 238))
    for i in range((h - 60) // 26):
        d.text((16, 52 + 26 * i), sentence(r, 1).title(), fill=(40, 50, 70), font=font("Sans", 13))
    for row in range((h - 60) // 120):
        for col in range((w - 170) // 190):
            x, y = 166 + 190 * col, 54 + 120 * row
            d.rounded_rectangle((x + 2, y + 3, x + 176, y + 107), 8, fill=(215, 218, 224))
            d.rounded_rectangle((x, y, x + 174, y + 104), 8, fill=(255, 255, 255))
            d.text((x + 10, y + 8), sentence(r, 2), fill=(20, 24, 32), font=font("Sans-Bold", 12))
            for k in range(3):
                d.text((x + 10, y + 30 + 16 * k), sentence(r, 4)[:26], fill=(100, 105, 115), font=font("Sans", 11))
            d.rounded_rectangle((x + 10, y + 80, x + 80, y + 98), 5, fill=(70, 130, 220))
    if photo is not None:
        im.paste(photo.resize((180, 130)), (w - 200, h - 150))
    return im


def pixel_art(r, n, scale, colours):
    palette = r.integers(0, 256, (colours, 3)).astype("uint8")
    sprites = [numpy.repeat(numpy.repeat(r.integers(0, colours, (8, 4)), 1, 0), 1, 1) for _ in range(6)]
    sprites = [numpy.concatenate([s, s[:, ::-1]], 1) for s in sprites]
    field = numpy.zeros((n, n), int)
    for y in range(0, n, 8):
        for x in range(0, n, 8):
            if r.random() > 0.4:
                field[y:y + 8, x:x + 8] = sprites[r.integers(0, 6)]
    return Image.fromarray(palette[field].repeat(scale, 0).repeat(scale, 1))


def soft(r, w, h):
    """Something like a photograph's large shapes."""
    a = r.normal(0, 1, (h // 16 + 2, w // 16 + 2, 3))
    im = [Image.fromarray(a[..., k].astype("f4")).resize((w, h), Image.BICUBIC) for k in range(3)]
    a = numpy.stack([numpy.asarray(i) for i in im], -1)
    return Image.fromarray(numpy.clip(128 + 60 * a, 0, 255).astype("uint8"))


def bayer(im, n, levels):
    m = numpy.array([[0]])
    while len(m) < n:
        m = numpy.block([[4 * m, 4 * m + 2], [4 * m + 3, 4 * m + 1]])
    a = numpy.asarray(im).astype(float)
    h, w = a.shape[:2]
    t = (numpy.tile(m, (h // n + 1, w // n + 1))[:h, :w] + 0.5) / (n * n) - 0.5
    step = 255 / (levels - 1)
    return Image.fromarray((numpy.clip(numpy.round(a / step + (t if a.ndim == 2 else t[..., None])), 0, levels - 1) * step).astype("uint8"))


def waves(w, h, f):
    y, x = numpy.mgrid[:h, :w]
    return Image.fromarray((127.5 + 127.5 * numpy.sin((x * x + y * y) * f)).astype("uint8")).convert("RGB")


def fax(r, w, h, noise):
    im = page(r, w, h, "Serif", 30, 0, 255, "L")
    d = ImageDraw.Draw(im)
    d.rectangle((w // 2, h // 2, w - 60, h - 80), fill=255, outline=0, width=3)
    for i in range(8):
        d.line((w // 2, h // 2 + i * 40, w - 60, h // 2 + i * 40), fill=0, width=2)
    a = numpy.asarray(im.rotate(0.4, fillcolor=255, resample=Image.BILINEAR)).astype(float)
    if noise:
        a = a + r.normal(0, noise, a.shape)
    return Image.fromarray(((a > 128) * 255).astype("uint8"))


def pictures(seed):
    r = numpy.random.default_rng(seed)
    grid = numpy.indices((96, 96)).sum(0)
    two = lambda mask, a, b: Image.fromarray(numpy.where(mask[..., None], numpy.uint8(a), numpy.uint8(b)))
    for i, n in enumerate((16, 32, 48, 64)):
        yield f"icon{n}", icon(r, n)
    yield "icon-alpha64", icon(r, 64, True)
    yield "icon-alpha128", icon(r, 128, True)
    yield "terminal-dark", terminal(r, 640, 400, 13, (12, 12, 12), [(204, 204, 204), (80, 220, 100), (240, 200, 80), (90, 150, 250)])
    yield "terminal-light", terminal(r, 560, 320, 12, (253, 246, 227), [(88, 110, 117), (203, 75, 22), (38, 139, 210)])
    yield "terminal-green", terminal(r, 320, 240, 11, (0, 0, 0), [(0, 255, 0)])
    yield "terminal-big", terminal(r, 1000, 700, 15, (30, 30, 46), [(205, 214, 244), (166, 227, 161), (249, 226, 175), (137, 180, 250)])
    for kind in ("bars", "lines", "pie"):
        yield f"chart-{kind}", chart(r, 480, 320, kind)
    yield "chart-large", chart(r, 900, 600, "lines")
    yield "text-serif", page(r, 480, 360, "Serif", 14)
    yield "text-sans", page(r, 480, 360, "Sans", 12)
    yield "text-mono", page(r, 480, 320, "Mono", 12, (0, 0, 120), (250, 250, 240))
    yield "text-bold-large", page(r, 640, 400, "Serif-Bold", 28)
    yield "text-white-on-blue", page(r, 400, 300, "Sans", 16, (255, 255, 255), (0, 0, 160))
    yield "text-on-gradient", (lambda g: (ImageDraw.Draw(g).multiline_text((20, 20), "\n".join(sentence(r, 7) for _ in range(12)), fill=(0, 0, 0), font=font("Sans", 15)), g)[1])(gradient(512, 300, [(250, 220, 180), (180, 210, 250)]))
    yield "text-grey", page(r, 480, 320, "Serif", 13, 0, 255, "L")
    yield "pixel-art4", pixel_art(r, 64, 4, 4)
    yield "pixel-art16", pixel_art(r, 64, 4, 16)
    yield "pixel-art1", pixel_art(r, 128, 1, 8)
    yield "pixel-art2", pixel_art(r, 96, 2, 32)
    yield "dither-bayer4", bayer(soft(r, 320, 240).convert("L"), 4, 2)
    yield "dither-bayer8", bayer(soft(r, 320, 240), 8, 4)
    yield "dither-floyd", soft(r, 320, 240).convert("1").convert("L")
    yield "dither-web", soft(r, 256, 192).convert("P", palette=Image.ADAPTIVE, colors=16).convert("RGB")
    yield "stripes1", two(numpy.indices((96, 96))[1] % 2 > 0, (255, 255, 255), (0, 0, 0))
    yield "stripes-colour", two(numpy.indices((120, 120))[0] % 2 > 0, (255, 0, 0), (0, 0, 255))
    yield "stripes-diagonal", two(grid % 5 < 2, (240, 240, 0), (0, 60, 60))
    yield "checker1", two(grid % 2 > 0, (255, 255, 255), (0, 0, 0))
    yield "checker3", two((numpy.indices((100, 100)) // 3).sum(0) % 2 > 0, (200, 30, 30), (30, 30, 200))
    yield "checker8-alpha", Image.merge("RGBA", [*two((numpy.indices((96, 96)) // 8).sum(0) % 2 > 0, (90, 90, 90), (200, 200, 200)).split(),
                                                 Image.fromarray((numpy.hypot(*(numpy.indices((96, 96)) - 48)) < 44).astype("uint8") * 255)])
    yield "gradient-linear", gradient(400, 256, [(255, 0, 0), (0, 0, 255)])
    yield "gradient-rainbow", gradient(512, 128, [(255, 0, 0), (255, 255, 0), (0, 255, 0), (0, 255, 255), (0, 0, 255), (255, 0, 255)], False)
    yield "gradient-grey", gradient(256, 256, [(0, 0, 0), (255, 255, 255)]).convert("L")
    yield "gradient-radial", Image.radial_gradient("L").convert("RGB")
    yield "moire", waves(256, 256, 0.02)
    yield "saturated", two((numpy.hypot(*(numpy.indices((128, 128)) - 64)) // 9) % 2 > 0, (255, 0, 255), (0, 255, 0))
    yield "square", two((abs(numpy.indices((64, 64)) - 31.5) < 16).all(0), (0, 0, 255), (0, 0, 0))
    yield "flat", Image.new("RGB", (200, 150), (30, 144, 255))
    yield "mockup", mockup(r, 760, 480)
    yield "mockup-photo", mockup(r, 720, 560, soft(r, 180, 130))
    yield "mockup-large", mockup(r, 1280, 760)
    yield "scribble", (lambda im: ([ImageDraw.Draw(im).line([tuple(int(v) for v in r.integers(0, 400, 2)) for _ in range(12)], fill=tuple(int(v) for v in r.integers(0, 256, 3)), width=3) for _ in range(6)], im)[1])(Image.new("RGB", (400, 400), (255, 255, 255)))
    yield "fax", fax(r, 1728, 1100, 0)
    yield "fax-noisy", fax(r, 1728, 1100, 45)


def psnr(a, b):
    error = numpy.mean((a.astype(float) - b.astype(float)) ** 2)
    return 10 * numpy.log10(65025 / error) if error else numpy.inf


def seen(im):
    """What is on the screen: on grey where it is transparent."""
    if im.mode == "RGBA":
        back = Image.new("RGBA", im.size, (128, 128, 128, 255))
        im = Image.alpha_composite(back, im)
    return numpy.asarray(im.convert("RGB"))


def quiet(*command):
    subprocess.run([str(c) for c in command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def webp_curve(png, original, work):
    points = []
    for q in (0, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 100):
        quiet("cwebp", "-quiet", "-m", 6, "-q", q, png, "-o", f"{work}/w.webp")
        points.append((os.path.getsize(f"{work}/w.webp"), psnr(seen(Image.open(f"{work}/w.webp")), original)))
    return points


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--save", help="where the pictures go")
    parser.add_argument("--only", default="*", help="a pattern of names")
    parser.add_argument("--seed", type=int, default=17, help="other pictures of the same kinds")
    parser.add_argument("--lossless", action="store_true", help="nothing but sizes without loss")
    parser.add_argument("build", nargs="?")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        folder = options.save or f"{work}/set"
        os.makedirs(folder, exist_ok=True)
        names = []
        for name, im in pictures(options.seed):
            if fnmatch.fnmatch(name, options.only):
                im.save(f"{folder}/{name}.png", optimize=True)
                names.append(name)
        if not options.build:
            return 0
        encoder, decoder = (os.path.join(options.build, "tools", t, t) for t in ("aecompress", "aedecompress"))
        qualities = (100,) if options.lossless else range(0, 101, 10)
        for q in qualities:
            quiet(encoder, "-q", q, "-r", "-o", f"{work}/{q}", folder)
            quiet(decoder, "-r", "-o", f"{work}/back{q}", f"{work}/{q}")
        ratios, rows, bad = {"png": [], "webp": [], "g4": []}, [], 0
        print(f"{'picture':20} {'lossless':>9} {'PNG':>7} {'WebP':>7} {'G4':>7}  -q: bytes and dB" if not options.lossless else
              f"{'picture':20} {'lossless':>9} {'PNG':>7} {'WebP':>7} {'G4':>7}")
        for name in names:
            png = f"{folder}/{name}.png"
            im = Image.open(png)
            size = {q: os.path.getsize(f"{work}/{q}/{name}.aec") for q in qualities}
            others = {"png": os.path.getsize(png)}
            if shutil.which("cwebp"):
                quiet("cwebp", "-quiet", "-z", 9, "-exact", png, "-o", f"{work}/w.webp")
                others["webp"] = os.path.getsize(f"{work}/w.webp")
            if im.mode == "L" and len(im.getcolors()) == 2:
                packed = io.BytesIO()
                im.convert("1").save(packed, "TIFF", compression="group4")
                others["g4"] = len(packed.getvalue())
            line = f"{name:20} {size[100]:9}" + "".join(f" {others.get(k, 0) or '':>7}" for k in ("png", "webp", "g4"))
            for k, v in others.items():
                ratios[k].append((size[100], v))
            if not options.lossless:
                original, last, notes = seen(im), 0, []
                curve = webp_curve(png, original, work) if shutil.which("cwebp") else []
                for q in qualities:
                    db = psnr(seen(Image.open(f"{work}/back{q}/{name}.png")), original)
                    line += f"  {q}: {size[q]} {db:.1f}"
                    if db < last - 0.05:
                        notes.append(f"-q {q} falls")
                    if size[q] > 1.02 * size[100] + 16:
                        notes.append(f"-q {q} larger than lossless")
                    rival = max((d for n, d in curve if n <= size[q]), default=0)
                    if 30 <= q < 100 and db < rival:
                        notes.append(f"-q {q}: WebP {rival:.1f}")
                    last = db
                bad += bool(notes)
                line += "   " + "; ".join(notes) if notes else ""
            print(line, flush=True)
        for k, v in ratios.items():
            if v:
                print(f"against {k}: {sum(a for a, _ in v) / sum(b for _, b in v):.3f} of all bytes, {numpy.exp(numpy.mean([numpy.log(a / b) for a, b in v])):.3f} "
                      f"geometric mean of {len(v)}")
        print(f"{bad} of {len(names)} not as they should be" if not options.lossless else "")
        return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
