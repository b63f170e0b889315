#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Each recipe of models/recipes/kinds, trained briefly on drawn figures, against a bar of its own: kinds.py AETRAIN RECIPES"""
import json
import math
import random
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

ITEMS, EDGE = 600, 28
# Steps, and the most that they may leave of the squared error that the mean picture makes (untrained: about 4); of tables and series the
# squared error of columns of deviation 1; of the classifier the accuracy, of text bits a byte or word. Each is a tenth to a third beyond what came out.
BARS = {"mnist-textbook": (150, 0.6), "mnist-dense": (100, 0.62), "mnist-linear": (100, 0.45), "mnist-tied": (100, 0.5),
        "mnist-beta": (100, 0.9), "mnist-variational": (100, 0.9), "mnist-contractive": (150, 0.9), "mnist-stacked": (200, 1.1),
        "mnist-classifier": (120, 0.9), "mnist-adversarial": (150, 0.92), "mnist-sparse-kl": (60, 2.3), "mnist-sparse-l1": (60, 0.65),
        "mnist-denoising": (60, 0.95), "mnist-conv": (60, 0.7), "mnist-conv-pool": (30, 1.2), "mnist-conv-tied": (60, 0.2),
        "mnist-recurrent": (30, 1.4), "mnist-lstm": (30, 1.4), "mnist-warp": (60, 1.0), "mnist-anomaly": (100, 0.42),
        "table": (200, 0.01), "series": (100, 0.03), "text": (40, 2.2), "sentences": (60, 3.8), "ratings": (150, 0.45)}


def figure(rng, kind):
    """A blurred stroke at the angle of its class, moved about."""
    angle, x0, y0 = math.pi * kind / 10, 13.5 + rng.uniform(-4, 4), 13.5 + rng.uniform(-4, 4)
    c, s, length = math.cos(angle), math.sin(angle), rng.uniform(5, 10)
    row = bytearray()
    for y in range(EDGE):
        for x in range(EDGE):
            along, across = (x - x0) * c + (y - y0) * s, (y - y0) * c - (x - x0) * s
            d = math.hypot(max(0, abs(along) - length), across)
            row.append(int(255 * max(0, min(1, 2.5 - d))))
    return bytes(row)


def write_table(path, rng):
    """Three numbers that two make, and a category that one of them decides; in units of very different size."""
    lines = ["metres,kind,tonnes,seconds"]
    for _ in range(2000):
        a, b = rng.gauss(0, 1), rng.gauss(0, 1)
        lines.append("%.5g,%s,%.5g,%.5g" % (1000 + 300 * a, "short" if a < -.5 else "long" if a > .5 else "middling", .001 * (a - b), 5 + a + b))
    path.write_text("\n".join(lines) + "\n")


def write_series(path, rng):
    """Six channels of two waves, with noise and holes."""
    lines = ["time,a,b,c,d,e"]
    for t in range(1500):
        u, v = math.sin(t / 3), math.sin(t / 7.3 + math.sin(t / 40))
        values = ["%.4g" % (k * u + (3 - k) * v + rng.gauss(0, .1)) for k in range(5)]
        if t % 50 == 49:
            values[t % 5] = ""
        lines.append(",".join(["%.4g" % (100 * math.cos(t / 3)), *values]))
    path.write_text("\n".join(lines) + "\n")


def write_text(path, rng):
    """Sentences of few words: eight bits a byte where nothing is known, about one where words are."""
    words = ["the", "sea", "and", "all", "birds", "were", "under", "grey", "light", "of", "morning"]
    path.write_text("".join(" ".join(rng.choice(words) for _ in range(rng.randrange(4, 9))) + ".\n" for _ in range(1500)))


def main(tool, recipes):
    rng, bad = random.Random(1), 0
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        labels = [i % 10 for i in range(ITEMS)]
        pictures = [figure(rng, k) for k in labels]
        (at / "figures-idx3-ubyte").write_bytes(struct.pack(">4BIII", 0, 0, 8, 3, ITEMS, EDGE, EDGE) + b"".join(pictures))
        (at / "labels.idx1-ubyte").write_bytes(struct.pack(">4BI", 0, 0, 8, 1, ITEMS) + bytes(labels))
        mean = [sum(p[i] for p in pictures) / ITEMS for i in range(EDGE * EDGE)]
        error = sum((p[i] - mean[i]) ** 2 for p in pictures for i in range(EDGE * EDGE)) / ITEMS / EDGE ** 2 / 255 ** 2
        write_table(at / "table.csv", rng)
        (at / "ratings.csv").write_bytes((at / "table.csv").read_bytes())
        write_series(at / "series.csv", rng)
        write_text(at / "text.txt", rng)
        kinds = sorted(p.stem for p in Path(recipes).glob("*.yaml"))
        if set(kinds) != set(BARS):
            sys.exit("recipes without a bar, or bars without a recipe: %s" % ", ".join(set(kinds) ^ set(BARS)))
        for kind in kinds:
            steps, bar = BARS[kind]
            recipe, model = Path(recipes) / (kind + ".yaml"), at / "m.aem"
            known = ["--labels", at / "labels.idx1-ubyte"] if "to: label" in recipe.read_text() else []
            columns, text = ("\ndata: {%s" % key in recipe.read_text() for key in ("columns", "text"))
            common = [at / (kind + ".csv" if columns else "text.txt" if text else "figures-idx3-ubyte"), "--quiet", "-j", "1", *known]
            for args in (["-f", recipe, *common, "-o", model, "--steps", str(steps)],
                         ["--evaluate", model, *common, "--json=%s" % (at / "scores.json")]):
                run = subprocess.run([tool, *map(str, args)], capture_output=True, text=True)
                if run.returncode:
                    sys.exit("%s: %s" % (kind, run.stderr))
            found = json.loads((at / "scores.json").read_text())
            bits = "bits_a_word" if kind == "sentences" else "bits_a_byte"
            value = found["accuracy"] if known else found[bits] if text else found["mean_square_error"] / (1 if columns else error)
            good = value >= bar if known else value <= bar
            bad += not good
            print("%-20s %4d steps  %.3f  %s %g%s" % (kind, steps, value, ">=" if known else "<=", bar, "" if good else "  MISSED"), flush=True)
    return bad > 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
