#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Ratings that a recommender has not seen: bench/ratings.py BUILD. Students of ETH Zurich rated lecturers from 1 to 5 (InstEval of
r-cran-lme4, GPL-2+); a tenth of the ratings is left out, and the rest is a table, a line a student, a column a lecturer, most of it empty. What
is printed are root mean square errors of the ratings left out: by the lecturers' means, by them and as many factors as the recipe ratings has
latents (alternating least squares with the weight that is the best of several on these very ratings), by the recipe, and by a mean for each
student and lecturer. Further arguments go to aetrain."""
import csv
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

SIZE = 8


def factors(x, weight, rounds=8):
    """Of each line and each column, so that their products are what is there of x."""
    there = np.isfinite(x)
    rng = np.random.default_rng(1)
    sides = [rng.normal(0, .1, (n, SIZE)) for n in x.shape]
    for _ in range(rounds):
        for side, other, values, known in ((sides[0], sides[1], x, there), (sides[1], sides[0], x.T, there.T)):
            for k in range(len(side)):
                b = other[known[k]]
                side[k] = np.linalg.solve(b.T @ b + weight * np.eye(SIZE), b.T @ values[k, known[k]])
    return sides[0] @ sides[1].T


def additive(x, shrink=5, rounds=20):
    mean, there = np.nanmean(x), np.isfinite(x)
    lines, columns = np.zeros((len(x), 1)), np.zeros(x.shape[1])
    for _ in range(rounds):
        columns = np.nansum(x - mean - lines, 0) / (there.sum(0) + shrink)
        lines = (np.nansum(x - mean - columns, 1) / (there.sum(1) + shrink))[:, None]
    return mean + lines + columns


def main(build, *more):
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        subprocess.run(["Rscript", "-e", 'data(InstEval, package="lme4"); write.csv(InstEval[,c("s","d","y")], "%s/all.csv", row.names=FALSE, quote=FALSE)'
                        % at], check=True, capture_output=True)
        with open(at / "all.csv") as f:
            ratings = list(csv.reader(f))[1:]
        place = [{k: i for i, k in enumerate(sorted({r[side] for r in ratings}, key=int))} for side in (0, 1)]
        x, rng, held = np.full([len(p) for p in place], np.nan), random.Random(1), []
        for student, lecturer, rating in ratings:
            entry = place[0][student], place[1][lecturer], float(rating)
            if rng.random() < .1:
                held.append(entry)
            else:
                x[entry[:2]] = entry[2]
        with open(at / "known.csv", "w", newline="") as f:
            csv.writer(f).writerows([["lecturer" + k for k in place[1]]] + [["" if np.isnan(v) else "%g" % v for v in line] for line in x])
        tool = {n: "%s/tools/%s/%s" % (build, n, n) for n in ("aetrain", "aefeatures")}
        subprocess.run([tool["aetrain"], "ratings", at / "known.csv", "-o", at / "m.aem", "--quiet", "--seed", "1", *more], check=True)
        subprocess.run([tool["aefeatures"], "-m", at / "m.aem", at / "known.csv", "--reconstruct", at / "made.npy"], check=True)
        mean, deviation = np.nanmean(x, 0), np.nanstd(x, 0)
        i, j, wanted = (np.array(v) for v in zip(*held))
        print("%d students, %d lecturers, %d ratings known, %d left out" % (*x.shape, np.isfinite(x).sum(), len(held)))

        def error(made):
            return np.sqrt(np.mean((np.clip(made[i, j], 1, 5) - wanted) ** 2))

        normal = (x - mean) / np.maximum(deviation, 1e-6)
        print("lecturers' means      %.4f" % error(np.broadcast_to(mean, x.shape)))
        print("%d factors             %.4f" % (SIZE, min(error(mean + deviation * factors(normal, w)) for w in (10, 14, 20, 28))))
        print("ratings, %d latents    %.4f" % (SIZE, error(mean + deviation * np.load(at / "made.npy").reshape(x.shape))))
        print("a mean for either     %.4f" % error(additive(x)))


if __name__ == "__main__":
    main(*sys.argv[1:])
