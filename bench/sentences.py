#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Whether the neighbours that the recipe sentences gives the verses of a bible make sense: bench/sentences.py BUILD. A tenth of the King
James Bible of Debian's bible-kjv (the text is in the public domain) is left out; of its verses, the ten nearest among the others are looked
up by aesearch, and by the usual means, words weighted by their rarity and as many singular vectors (scikit-learn's TfidfVectorizer and
TruncatedSVD, python3-sklearn). What is printed is how many are of the same book and of the same chapter, and what two verses by chance have
in common. Further arguments behind -- go to aetrain; the model stays in --keep DIR."""
import argparse
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

ROOT = Path(__file__).resolve().parent.parent
NEAREST = 10


def verses():
    lines = subprocess.run(["bible", "-f", "gen1:1-rev22:21"], capture_output=True, text=True, check=True).stdout.splitlines()
    found = [re.fullmatch(r"((\d?[A-Za-z]+)\d+):\d+ (.+)", line) for line in lines]
    return [(m[2], m[1], m[3]) for m in found if m]


def shares(known, queries, nearest):
    """Of the neighbours, those of the same book, those of the same chapter."""
    return [np.mean([known[k][by] == query[by] for query, found in zip(queries, nearest) for k in found]) for by in (0, 1)]


def by_words(known, queries, size):
    weigh = TfidfVectorizer(sublinear_tf=True)
    x = weigh.fit_transform(text for _, _, text in known)
    svd = TruncatedSVD(size, random_state=1).fit(x)
    a, b = (svd.transform(v) for v in (x, weigh.transform(text for _, _, text in queries)))
    a, b = (v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-12) for v in (a, b))
    return np.argpartition(-(b @ a.T), NEAREST, axis=1)[:, :NEAREST]


def main():
    own = sys.argv[1:sys.argv.index("--")] if "--" in sys.argv else sys.argv[1:]
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("build")
    p.add_argument("--keep", metavar="DIR")
    p.add_argument("--show", type=int, default=0, metavar="N", help="print the nearest of so many verses")
    args = p.parse_args(own)
    keep = Path(args.keep or tempfile.mkdtemp(prefix="sentences-"))
    keep.mkdir(exist_ok=True)
    known, queries, rng = [], [], random.Random(1)
    for verse in verses():
        (queries if rng.random() < .1 else known).append(verse)
    for name, list_of in (("known", known), ("held", queries)):
        (keep / (name + ".txt")).write_text("".join(text + "\n" for _, _, text in list_of))
    model, index = keep / "sentences.aem", keep / "index"
    tool = {n: "%s/tools/%s/%s" % (args.build, n, n) for n in ("aetrain", "aesearch")}
    if not model.exists():
        subprocess.run([tool["aetrain"], ROOT / "models/recipes/kinds/sentences.yaml", keep / "known.txt", "-o", model, "--seed", "1",
                        *sys.argv[len(own) + 2:]], check=True)
    subprocess.run([tool["aesearch"], "-m", model, "-f", "--build", index, keep / "known.txt"], check=True)
    out = subprocess.run([tool["aesearch"], "-m", model, "--index", index, "--cosine", "-k", str(NEAREST), keep / "held.txt"], check=True,
                         capture_output=True, text=True).stdout
    ours = [[] for _ in queries]
    for line in out.splitlines():
        item, _, _, found = line.split("\t")
        ours[int(item.rsplit(":", 1)[1]) - 1].append(int(found.rsplit(":", 1)[1]) - 1)
    print("%d verses known, %d looked up; of the %d nearest, share of the same book, chapter" % (len(known), len(queries), NEAREST))
    chance = [rng.choices(range(len(known)), k=NEAREST) for _ in queries]
    print("%-24s %.3f %.4f" % ("by chance", *shares(known, queries, chance)))
    print("%-24s %.3f %.4f" % ("TF-IDF, 64 components", *shares(known, queries, by_words(known, queries, 64))))
    print("%-24s %.3f %.4f" % ("sentences", *shares(known, queries, ours)))
    for query, found in list(zip(queries, ours))[:args.show]:
        print("\n%s" % query[2], *("\n  %s: %s" % (known[k][1], known[k][2]) for k in found[:3]))


if __name__ == "__main__":
    main()
