#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Fits the noise estimator's small network and writes lib/image/noise_net.h.

    build/models/noise_features 8000 1 PICTURE... > examples
    models/torch/noise_estimator.py examples lib/image/noise_net.h

The loss is that of a quantile: a level told too low leaves noise behind, one told too high costs little.
"""
import argparse

import numpy
import torch

HIDDEN = 32


def read(paths):
    rows = numpy.concatenate([numpy.loadtxt(path, dtype=numpy.float64) for path in paths])
    return rows[:, 0].astype(int), rows[:, 1:3], rows[:, 3:]


def standardise(features, mean, deviation):
    return torch.tensor((features - mean) / deviation).float().clamp(-4, 4)


def fit(features, truth, quantile, steps):
    mean, deviation = features.mean(0), features.std(0) + 1e-3
    net = torch.nn.Sequential(torch.nn.Linear(features.shape[1], HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, HIDDEN),
                              torch.nn.ReLU(), torch.nn.Linear(HIDDEN, 2))
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    x, y = standardise(features, mean, deviation), torch.tensor(numpy.log(truth + 0.5)).float()
    for _ in range(steps):
        pick = torch.randint(0, len(x), (256,))
        short = y[pick] - net(x[pick] + 0.05 * torch.randn(256, x.shape[1]))
        loss = torch.maximum(quantile * short, (quantile - 1) * short).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return net, mean, deviation


def array(name, values):
    """One C array, wrapped."""
    lines, line = [], "   "
    for value in numpy.asarray(values).reshape(-1):
        text = "%.5g" % value
        text = " %sf," % (text if "." in text or "e" in text else text + ".0")
        if len(line) + len(text) > 128:
            lines.append(line)
            line = "   "
        line += text
    return "\nstatic const float noise_net_%s = {\n%s\n};\n" % (name, "\n".join(lines + [line]))


def write(path, net, mean, deviation):
    tensors = [p.detach().numpy() for p in net.parameters()]
    with open(path, "w") as f:
        f.write("/* SPDX-License-Identifier: BSD-2-Clause\n *\n * Written by models/torch/noise_estimator.py; not to be edited. */\n"
                "#ifndef AEI_NOISE_NET_H\n#define AEI_NOISE_NET_H\n\n"
                "enum { NOISE_NET_IN = %d, NOISE_NET_HIDDEN = %d };\n" % (len(mean), HIDDEN))
        f.write(array("mean[NOISE_NET_IN]", mean) + array("scale[NOISE_NET_IN]", 1 / deviation))
        for k, size in enumerate(["HIDDEN * NOISE_NET_IN", "HIDDEN * NOISE_NET_HIDDEN", "OUT * NOISE_NET_HIDDEN"]):
            size = size.replace("OUT *", "2 *") if k == 2 else "NOISE_NET_" + size
            f.write(array("weight%d[%s]" % (k + 1, size), tensors[2 * k]))
            f.write(array("bias%d[%s]" % (k + 1, "2" if k == 2 else "NOISE_NET_HIDDEN"), tensors[2 * k + 1]))
        f.write("\n#endif\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("examples", nargs="+", help="files of noise_features")
    parser.add_argument("header", help="the C header to write")
    parser.add_argument("--quantile", type=float, default=0.7)
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    kind, truth, features = read(options.examples)
    number = numpy.arange(len(kind))
    held = number % 10 == 0
    # Whoever denoises a picture believes it noisy: of the clean ones a third will do.
    used = ~held & ((kind != 0) | (number % 3 == 0))
    net, mean, deviation = fit(features[used], truth[used], options.quantile, options.steps)
    with torch.no_grad():
        found = numpy.exp(net(standardise(features[held], mean, deviation)).numpy()) - 0.5
    for k, name in enumerate(["clean", "camera", "white"]):
        of = kind[held] == k
        ratio = numpy.log((found[of] + 0.5) / (truth[held][of] + 0.5))
        print("%-6s %4d  luminance: log ratio %+.2f +- %.2f  chroma: %+.2f +- %.2f"
              % (name, of.sum(), ratio[:, 0].mean(), ratio[:, 0].std(), ratio[:, 1].mean(), ratio[:, 1].std()))
    write(options.header, net, mean, deviation)


if __name__ == "__main__":
    main()
