# SPDX-License-Identifier: BSD-2-Clause
"""What a codec in training reaches: python3 -m models.torch.codec_rd MODEL.aem PICTURES... [--against CSV]

Estimated bits per pixel and PSNR (RGB, 8 bits) at some qualities, means over the pictures, and with a table of other codecs (columns
codec, bpp, psnr_rgb) the BD-rate against each: the mean difference in log rate over the PSNR that both reach, by monotone cubics."""
import argparse
import csv
import math
import sys
from collections import defaultdict

import numpy as np
import torch

from . import aem, recipe as recipes
from .data import Pictures
from .network import Network


def pchip(x, y, at):
    """Piecewise cubics through points of ascending x that keep monotony (Fritsch and Butland 1984)."""
    h, d = np.diff(x), np.diff(y) / np.diff(x)
    w = (2 * h[1:] + h[:-1], h[1:] + 2 * h[:-1])
    with np.errstate(divide="ignore", invalid="ignore"):
        inner = np.where(d[1:] * d[:-1] > 0, (w[0] + w[1]) / (w[0] / d[:-1] + w[1] / d[1:]), 0)

    def end(h0, h1, d0, d1):
        m = ((2 * h0 + h1) * d0 - h0 * d1) / (h0 + h1)
        return 0 if m * d0 <= 0 else 3 * d0 if d0 * d1 <= 0 and abs(m) > 3 * abs(d0) else m

    m = np.concatenate(([end(h[0], h[1], d[0], d[1])], inner, [end(h[-1], h[-2], d[-1], d[-2])]))
    i = np.clip(np.searchsorted(x, at, "right") - 1, 0, len(h) - 1)
    t = (at - x[i]) / h[i]
    return ((1 + 2 * t) * (1 - t) ** 2 * y[i] + t * (1 - t) ** 2 * h[i] * m[i] + t ** 2 * (3 - 2 * t) * y[i + 1]
            + t ** 2 * (t - 1) * h[i] * m[i + 1])


def bd_rate(ours, theirs):
    """Of curves of (bpp, PSNR), in per cent; nan where no quality is common."""
    ours, theirs = (np.array(sorted(c, key=lambda p: p[1])) for c in (ours, theirs))
    low, high = max(ours[0, 1], theirs[0, 1]), min(ours[-1, 1], theirs[-1, 1])
    if not low < high:
        return math.nan
    at = np.linspace(low, high, 1001)
    difference = pchip(ours[:, 1], np.log(ours[:, 0]), at) - pchip(theirs[:, 1], np.log(theirs[:, 0]), at)
    return 100 * (math.exp(np.mean((difference[1:] + difference[:-1]) / 2)) - 1)


@torch.no_grad()
def measure(network, picture, quality, bf16=False):
    """(bits per pixel, PSNR) of a picture of 8 bits, H x W x 3. Edges are extended to what the network divides."""
    h, w = picture.shape[:2]
    x = torch.from_numpy(np.pad(picture, ((0, -h % 64), (0, -w % 64), (0, 0)), "edge")).permute(2, 0, 1)[None] / 255
    told = {"image": x, "quality": torch.full((1, 1, 1, 1), float(quality))}
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        y, *bits = network(*(told[n.name] for n in network.graph.nodes if n.op == "input"))
    y = (y[0, :, :h, :w].clamp(0, 1) * 255).round().permute(1, 2, 0)
    error = ((y - torch.from_numpy(picture).float()) ** 2).mean().item()
    return sum(float(b.sum()) for b in bits) / (h * w), 10 * math.log10(255 ** 2 / max(error, 1e-9))


def main():
    about, more = __doc__.split("\n\n")
    p = argparse.ArgumentParser(prog="python3 -m models.torch.codec_rd", description=about, epilog=more)
    p.add_argument("model")
    p.add_argument("pictures", nargs="+")
    p.add_argument("--against", metavar="CSV")
    p.add_argument("--points", type=int, default=8, help="qualities evenly spaced from 0 to 1 [%(default)s]")
    p.add_argument("--every", type=int, default=1, metavar="N", help="every Nth picture only")
    p.add_argument("--bf16", action="store_true", help="layers in bf16")
    p.add_argument("-j", "--threads", type=int, default=1)
    args = p.parse_args()
    torch.set_num_threads(args.threads)
    text, _, values = aem.read(aem.find(args.model))
    network = Network(recipes.parse(text).networks[0].graph).eval()
    network.load(values)
    pictures, curve = Pictures(args.pictures, (1, 1), 1 << 31), []
    for quality in np.linspace(0, 1, args.points):
        points = []
        for i in range(0, len(pictures.items), args.every):
            picture = pictures.get(i)
            if picture is not None:
                points.append(measure(network, np.broadcast_to(picture, (*picture.shape[:2], 3)).copy(), quality, args.bf16))
        curve.append(np.mean(points, 0))
        print("quality %.3f  %.4f bpp  %.3f dB" % (quality, *curve[-1]), flush=True)
    if args.against:
        others = defaultdict(list)
        with open(args.against) as f:
            for row in csv.DictReader(f):
                others[row["codec"]].append((float(row["bpp"]), float(row["psnr_rgb"])))
        for name, points in others.items():
            print("against %-16s %+6.1f %%" % (name, bd_rate(curve, points)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
