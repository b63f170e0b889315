#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Rare lines of tables, found by aeanomaly and by scikit-learn's isolation forest, which both learn from all lines without labels:
tables.py BUILD. Three tables of R packages (r-cran-mlbench, r-cran-kernlab, r-base-core): letters A, B, C with a few Q among them
(LetterRecognition, UCI), land seen by a satellite with little cotton (Satellite, UCI), and answers of 8,993 people (income, from
Hastie, Tibshirani, Friedman) of whom one in fifty took half of the answers from another: what a forger does. Needs
python3-sklearn."""
import csv
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score


def rows(package, name, at):
    path = at / (name + ".csv")
    subprocess.run(["Rscript", "-e", 'data(%s, package="%s"); write.csv(%s, "%s", row.names=FALSE, na="")' % (name, package, name, path)],
                   check=True, capture_output=True)
    with open(path) as f:
        head, *lines = csv.reader(f)
    return head, lines


def tables(at):
    rng = np.random.default_rng(1)
    head, lines = rows("mlbench", "LetterRecognition", at)
    kept = [r for r in lines if r[0] in "ABC" or (r[0] == "Q" and rng.random() < .06)]
    yield "letters", head[1:], [r[1:] for r in kept], [r[0] == "Q" for r in kept]
    head, lines = rows("mlbench", "Satellite", at)
    kept = [r for r in lines if not r[-1].startswith("cotton") or rng.random() < .1]
    yield "satellite", head[:-1], [r[:-1] for r in kept], [r[-1].startswith("cotton") for r in kept]
    head, lines = rows("kernlab", "income", at)
    forged = rng.random(len(lines)) < .02
    for i in np.flatnonzero(forged):
        other = lines[int(rng.integers(len(lines)))]
        for c in rng.choice(len(head), len(head) // 2, replace=False):
            lines[i][c] = other[c]
    yield "answers", head, lines, forged


def numbers(lines):
    """Numbers as they are, words as one column each."""
    columns = []
    for column in zip(*lines):
        try:
            columns.append(np.array(column, float)[:, None])
        except ValueError:
            columns.append(np.array([[x == word for word in sorted(set(column))] for x in column], float))
    return np.hstack(columns)


def main(build):
    tool = {n: "%s/tools/%s/%s" % (build, n, n) for n in ("aetrain", "aeanomaly")}
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        for name, head, lines, rare in tables(at):
            with open(at / "table.csv", "w", newline="") as f:
                csv.writer(f).writerows([head] + lines)
            x = numbers(lines)
            forests = [-IsolationForest(random_state=seed).fit(x).score_samples(x) for seed in range(3)]
            subprocess.run([tool["aetrain"], "table", at / "table.csv", "-o", at / "m.aem", "-f", "--quiet", "-j", "1"], check=True)
            out = subprocess.run([tool["aeanomaly"], "-m", at / "m.aem", at / "table.csv"], check=True, text=True, capture_output=True)
            ours = [float(line.split("\t")[1]) for line in out.stdout.splitlines()]
            print("%-10s %5d lines, %.1f %% rare: average precision %.3f, isolation forest %.3f; area under the ROC curve %.3f, %.3f" % (
                name, len(lines), 100 * np.mean(rare), average_precision_score(rare, ours), np.mean([average_precision_score(rare, f) for f in forests]),
                roc_auc_score(rare, ours), np.mean([roc_auc_score(rare, f) for f in forests])), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
