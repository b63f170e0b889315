#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Fits the network of the second look and writes lib/image/look_net.h.

    build/models/noise_features models/photo.aem 1200 21 PICTURE... > examples
    models/torch/look.py examples... lib/image/look_net.h

Its output is the part of the levels to tell. What counts is what the picture wins by it, in dB, between what was measured with none of
the levels, .3, .6 and all of them; what it loses counts --loss times more, and no more than --most dB. --lean is added to what it says
before the sigmoid: examples have little noise more often than pictures that are worth cleaning.
"""
import argparse

import numpy
import torch

from noise_estimator import array, standardise

HIDDEN, FIRST = 16, 11
PARTS = torch.tensor([0, 0.3, 0.6, 1])


def won(gains, part):
    """By the line between the parts that were measured."""
    at = (torch.searchsorted(PARTS, part.detach().contiguous()) - 1).clamp(0, 2)
    share, row = (part - PARTS[at]) / (PARTS[at + 1] - PARTS[at]), torch.arange(len(part))
    return gains[row, at] * (1 - share) + gains[row, at + 1] * share


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("examples", nargs="+", help="files of noise_features")
    parser.add_argument("header", help="the C header to write")
    parser.add_argument("--loss", type=float, default=0.3)
    parser.add_argument("--lean", type=float, default=1.6)
    parser.add_argument("--most", type=float, default=3)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    rows = numpy.concatenate([numpy.loadtxt(path, ndmin=2) for path in options.examples])
    rows = rows[numpy.isfinite(rows).all(1)]
    errors, features = rows[:, FIRST - 4:FIRST] + 0.3, rows[:, FIRST:]  # nothing below rounding is worth anything
    gains = torch.tensor(numpy.clip(10 * numpy.log10(errors[:, :1] / errors), -options.most, 8)).float()
    mean, deviation = features.mean(0), features.std(0) + 1e-3
    net = torch.nn.Sequential(torch.nn.Linear(len(mean), HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, 1))
    optimizer = torch.optim.AdamW(net.parameters(), 4e-3, weight_decay=0.5)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=options.steps, pct_start=0.1)
    x = standardise(features, mean, deviation)
    gains[:, 0] = 0
    for _ in range(options.steps):
        at = torch.randint(len(x), (128,))
        win = won(gains[at], torch.sigmoid(net(x[at] + 0.3 * torch.randn(128, x.shape[1]))[:, 0]))
        optimizer.zero_grad()
        (options.loss * torch.relu(-win) - win).mean().backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        net[2].bias += options.lean
        part = torch.sigmoid(net(x)[:, 0])
        print("part %.2f; with all of what was found %+.3f dB, with it %+.3f dB" % (part.mean(), gains[:, 3].mean(), won(gains, part).mean()))
    with open(options.header, "w") as f:
        f.write("/* SPDX-License-Identifier: BSD-2-Clause\n *\n * Written by models/torch/look.py; not to be edited. */\n/* clang-format off */\n"
                "#ifndef AEI_LOOK_NET_H\n#define AEI_LOOK_NET_H\n\nenum { LOOK_NET_IN = %d, LOOK_NET_HIDDEN = %d };\n" % (len(mean), HIDDEN))
        f.write((array("mean[LOOK_NET_IN]", mean) + array("scale[LOOK_NET_IN]", 1 / deviation) +
                 array("weight1[LOOK_NET_HIDDEN * LOOK_NET_IN]", net[0].weight.detach()) + array("bias1[LOOK_NET_HIDDEN]", net[0].bias.detach()) +
                 array("weight2[LOOK_NET_HIDDEN]", net[2].weight.detach()) + array("bias2[1]", net[2].bias.detach())).replace("float noise_", "float look_net_"))
        f.write("\n#endif\n")


if __name__ == "__main__":
    main()
