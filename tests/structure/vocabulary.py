#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""vocabulary.py SOURCE: operators, activations, losses and optimisers bear the same names in C, in PyTorch's twin and on the pages.

What a recipe may say is read off the tables of the C library; each name must stand in models/torch, which takes no other, and in
backticks or in a table's first column in doc/recipe.md, which speaks of no other."""
import re
import sys
from pathlib import Path

SOURCE = Path(sys.argv[1])
failures = 0


def text(*path):
    return SOURCE.joinpath(*path).read_text()


def said(what, names, where, others):
    global failures
    for name in sorted(names - others):
        failures += 1
        print("%s %s: not in %s" % (what, name, where))


header = text("include", "ae", "graph.h")
operators = set(re.findall(r"^    X\([A-Z_]+, (\w+),", text("lib", "nn", "ops.h"), re.M)) - {"input"} | {"residual"}
activations = set(re.findall(r'^    \[AE_ACT_\w+\] = \{"(\w+)"', text("lib", "nn", "acts.c"), re.M))
losses = set(re.findall(r"^    X\([A-Z_0-9]+, (\w+),", text("lib", "nn", "losses.h"), re.M))
optimisers = set(re.findall(r"^    X\([A-Z_0-9]+, (\w+),", text("lib", "nn", "optimizers.h"), re.M))

for what, names, prefix in (("operator", operators - {"residual"}, "OP"), ("activation", activations, "ACT")):
    numbered = {n.lower() for n in re.findall(r"^    AE_%s_(\w+) = \d+" % prefix, header, re.M)} - {"input"}
    said(what, names, "include/ae/graph.h", numbered)  # which models/torch/graph.py reads
    said(what, numbered, "its table", names)
network = text("models", "torch", "network.py")
said("operator", operators - {"residual"}, "models/torch/network.py", set(re.findall(r"def _(\w+)\(self, node", network)))
try:
    import torch.nn.functional as functional
    own = set(re.findall(r'^    "(\w+)": lambda x, slope', network, re.M))
    said("activation", activations, "models/torch/network.py, torch.nn.functional", own | set(dir(functional)))
except ImportError:
    print("without torch: activations there are not looked at")
numbers = text("include", "ae", "recipe.h")
said("loss", {n.lower() for n in re.findall(r"\bAE_LOSS_(\w+) = \d", numbers)}, "lib/nn/losses.h", losses)
said("loss", losses, "models/torch/objective.py", set(re.findall(r'"(\w+)"', text("models", "torch", "objective.py"))))
optimising = re.search(r"^OPTIMIZERS = \{(.*?)^\}", text("models", "torch", "trainer.py"), re.S | re.M)[1]
said("optimiser", {n.lower() for n in re.findall(r"\bAE_(\w+) = \d", re.search(r"enum ae_optimizer \{(.*?)\}", numbers, re.S)[1])},
     "lib/nn/optimizers.h", optimisers)
said("optimiser", optimisers, "models/torch/trainer.py", set(re.findall(r'^    "(\w+)":', optimising, re.M)))

page = text("doc", "recipe.md")
words = {w for code in re.findall(r"`([^`]*)`", page) for w in re.findall(r"\w+", code)}
first_columns = {w for row in re.findall(r"^\| ([^|]*) \|", page, re.M) for w in re.findall(r"\w+", row)}
for what, names in (("operator", operators), ("activation", activations), ("loss", losses), ("optimiser", optimisers)):
    said(what, names, "doc/recipe.md", words | first_columns)
listed = set(re.search(r"`act: ([\w|]+)`", page)[1].split("|"))
said("activation", listed, "the C library", activations)
extending = text("doc", "extending.md")
for path in sorted(set(re.findall(r"\b(?:lib|include|codecs|tools|tests|models|doc|man)/[\w/]+\.(?:c|h|py|md|build)\b", extending))):
    if not (SOURCE / path).exists():
        failures += 1
        print("doc/extending.md names %s, which is not there" % path)
print("operators %d, activations %d, losses %d, optimisers %d" % tuple(map(len, (operators, activations, losses, optimisers))))
sys.exit(failures > 0 or min(map(len, (operators, activations, losses, optimisers))) < 4)
