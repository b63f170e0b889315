#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Faults injected into real series of several channels, found by aeanomaly and by principal components:
series.py BUILD [SEED]. The series are daily riderships at 20 stations in Chicago (modeldata) and daily wind at 12 stations in
Ireland (gstat), which need r-cran-modeldata, r-cran-gstat and r-base-core. Learnt from the first 60 % of each; faults go into the
rest. Everybody is given windows of as many lines, codes of as many numbers a window, errors of a
column over their mean of training, and the 99 % of training for a threshold. Components are told by the mean over columns,
aeanomaly by the column that is most at fault over some lines; doc/kinds.md says what components come to by that rule."""
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
SETS = {"Chicago": ('data(Chicago, package="modeldata"); x <- as.data.frame(Chicago)[2:21]'),
        "Ireland": ('data(wind, package="gstat"); x <- wind[,4:15]')}
H = 32


def load(name, folder):
    path = folder / (name + ".csv")
    subprocess.run(["Rscript", "-e", '%s; write.csv(x, "%s", row.names=FALSE)' % (SETS[name], path)], check=True, capture_output=True)
    with open(path) as f:
        head = f.readline()
    return head, np.genfromtxt(path, delimiter=",", skip_header=1)


def inject(x, rng):
    """Spikes, drifts, stuck sensors and broken correlation, each so often, in one channel at a time; the lines that they touch."""
    x, truth, deviation = x.copy(), np.zeros(len(x), bool), x.std(0)
    at = 60
    while at < len(x) - 100:
        c, kind = rng.integers(x.shape[1]), rng.integers(4)
        n = 1 if kind == 0 else int(rng.integers(10, 30))
        if kind == 0:
            x[at, c] += rng.choice([-1, 1]) * rng.uniform(2, 4) * deviation[c]
        elif kind == 1:
            x[at:at + n, c] += rng.choice([-1, 1]) * rng.uniform(1.5, 3) * deviation[c] * np.linspace(0, 1, n)
        elif kind == 2:
            x[at:at + n, c] = x[at - 1, c]
        else:
            other = int(rng.integers(0, len(x) - n))
            x[at:at + n, c] = x[other:other + n, c]
        truth[at:at + n] = True
        at += n + int(rng.integers(30, 120))
    return x, truth


def scores(found, truth):
    hit = (found & truth).sum()
    return 2 * hit / max(1, found.sum() + truth.sum())


def best(values, truth):
    return max(scores(values > t, truth) for t in np.quantile(values, np.linspace(.5, .999, 200)))


def windows(x, h):
    return np.lib.stride_tricks.sliding_window_view(x, h, 0).transpose(0, 2, 1).reshape(len(x) - h + 1, -1)


def pca(train, test, h, k):
    """Errors of each line and column of test by k components of windows of h lines, over their mean of training."""
    mean, deviation = train.mean(0), train.std(0)
    train, test = (train - mean) / deviation, (test - mean) / deviation
    w = windows(train, h)
    v = np.linalg.svd(w - w.mean(0), full_matrices=False)[2][:k]

    def errors(x):
        y = windows(x, h) - w.mean(0)
        e = ((y - y @ v.T @ v) ** 2).reshape(len(y), h, -1)
        total, times = np.zeros(x.shape), np.zeros(len(x))
        for j in range(h):
            total[j:j + len(y)] += e[:, j]
            times[j:j + len(y)] += 1
        return total / times[:, None]
    by = errors(train)
    return (by / by.mean(0)).mean(1), (errors(test) / by.mean(0)).mean(1)


def main(build, seed=1):
    tool = {n: "%s/tools/%s/%s" % (build, n, n) for n in ("aetrain", "aeanomaly")}
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        for name in SETS:
            head, x = load(name, at)
            n = int(.6 * len(x))
            test, truth = inject(x[n:], np.random.default_rng(int(seed)))
            for file, part in ("train.csv", x[:n]), ("test.csv", test):
                np.savetxt(at / file, part, "%.6g", ",", header=head.strip(), comments="")
            print("%s: %d + %d lines of %d channels, %.1f %% of them at fault" % (name, n, len(test), x.shape[1], 100 * truth.mean()))
            for recipe in sys.argv[3:] or ["series"]:
                subprocess.run([tool["aetrain"], recipe, at / "train.csv", "-o", at / "m.aem", "-f", "--quiet", "-j", "1"], check=True)
                for by in ("both", "error", "latent"):
                    out = subprocess.run([tool["aeanomaly"], "-m", at / "m.aem", "--by", by, at / "test.csv"], check=True, text=True, capture_output=True)
                    rows = [line.split("\t") for line in out.stdout.splitlines()]
                    value, told = np.array([float(r[1]) for r in rows]), np.array([r[2] == "anomaly" for r in rows])
                    print("  %-16s by %-7s F1 %.3f, at the best threshold %.3f" % (recipe, by, scores(told, truth), best(value, truth)), flush=True)
            for h, k in (1, 4), (1, 8), (H, 32), (H, 64), (H, 128):
                normal, value = pca(x[:n], test, h, k)
                print("  %3d components of windows of %2d lines: F1 %.3f, at the best threshold %.3f"
                      % (k, h, scores(value > np.quantile(normal, .99), truth), best(value, truth)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:3])
