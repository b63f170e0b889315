#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Fits the noise estimator's small network and writes lib/image/noise_net.h.

    build/models/noise_features models/photo.aem 1122 11 PICTURE... > examples
    build/models/noise_features models/photo.aem 456 12 PICTURE... >> examples
    models/torch/noise_estimator.py examples lib/image/noise_net.h

The loss is what an error costs the picture. Grain taken for noise costs all that is fine in it, a level told too high for a sky
costs nothing: so each example says what the model left of the noise when it was told several levels, and between them we interpolate.
"""
import argparse

import numpy
import torch

HIDDEN = 32
N_TOLD = 5
FLOOR = 1.0  # errors, variance on the scale of 0..255, that are as good as none


class Examples:
    def __init__(self, paths):
        rows = numpy.concatenate([numpy.loadtxt(path, dtype=numpy.float64, ndmin=2) for path in paths])
        told = rows[:, 6:6 + 4 * N_TOLD].reshape(len(rows), N_TOLD, 4)
        nothing = numpy.concatenate([numpy.zeros((len(rows), 2)), rows[:, 4:6]], 1)
        told = torch.tensor(numpy.concatenate([nothing[:, None], told], 1)).float()
        self.kind = rows[:, 0].astype(int)
        self.colour = torch.tensor(rows[:, 1] > 1).float()
        self.truth = torch.tensor(numpy.log(rows[:, 2:4] + 0.5)).float()
        self.level = torch.log(told[..., :2] + 0.5)     # example, level, luminance or chroma
        self.error = torch.log(told[..., 2:] ** 2 + 0.3)
        self.features = rows[:, 6 + 4 * N_TOLD:]

    def pick(self, mask):
        some = object.__new__(Examples)
        for name, value in vars(self).items():
            setattr(some, name, value[mask])
        return some

    def left(self, found, k):
        """Error in luminance or chroma when the model is told `found`."""
        x, y = self.level[:, :, k], self.error[:, :, k]
        i = (found[:, None] >= x).sum(1, keepdim=True).clamp(1, x.shape[1] - 1)
        x0, x1, y0, y1 = (v.gather(1, j)[:, 0] for v in (x, y) for j in (i - 1, i))
        return torch.exp(y0 + ((found - x0) / (x1 - x0 + 1e-6)).clamp(0, 1.5) * (y1 - y0))

    def cost(self, found):
        """Decibels by which the picture is worse than before; negative: better."""
        after = self.left(found[:, 0], 0) + 2 / 3 * self.left(found[:, 1], 1) * self.colour
        before = torch.exp(self.error[:, 0])
        before = before[:, 0] + 2 / 3 * before[:, 1] * self.colour
        return 10 * torch.log10((after + FLOOR) / (before + FLOOR))


def standardise(features, mean, deviation):
    return torch.tensor((features - mean) / deviation).float().clamp(-4, 4)


def fit(examples, quantile, steps):
    mean, deviation = examples.features.mean(0), examples.features.std(0) + 1e-3
    net = torch.nn.Sequential(torch.nn.Linear(len(mean), HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, HIDDEN),
                              torch.nn.ReLU(), torch.nn.Linear(HIDDEN, 2))
    optimizer = torch.optim.AdamW(net.parameters(), 4e-3, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps, pct_start=0.1)
    x = standardise(examples.features, mean, deviation)
    # Whoever denoises a picture believes it noisy: clean ones count half.
    weight = torch.tensor(numpy.where(numpy.isin(examples.kind, (0, 3)), 0.5, 1.0)).float()
    for _ in range(steps):
        at = torch.multinomial(weight, 64, replacement=True)
        some = examples.pick(at)
        found = net(x[at] + 0.4 * torch.randn(len(at), x.shape[1]))
        short = (some.truth - found) * torch.stack([torch.ones_like(some.colour), some.colour], 1)
        cost = some.cost(found)
        cost = torch.where(cost > 0, 3 * cost, cost)  # better leave noise than harm a picture
        loss = (torch.maximum(quantile * short, (quantile - 1) * short).mean(1) + 0.1 * cost).mean()
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
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    examples = Examples(options.examples)
    held = numpy.arange(len(examples.kind)) % 8 == 0
    net, mean, deviation = fit(examples.pick(~held), options.quantile, options.steps)
    rest = examples.pick(held)
    with torch.no_grad():
        found = net(standardise(rest.features, mean, deviation))
        cost = rest.cost(found).numpy()
    ratio = (found - rest.truth).numpy()
    for k, name in enumerate(["clean", "camera", "white", "clean through a camera"]):
        of = rest.kind == k
        print("%-22s %4d  gain %+.2f dB, least %+.2f  luminance: log ratio %+.2f +- %.2f  chroma: %+.2f +- %.2f"
              % (name, of.sum(), -cost[of].mean(), -cost[of].max(), ratio[of, 0].mean(), ratio[of, 0].std(), ratio[of, 1].mean(),
                 ratio[of, 1].std()))
    write(options.header, net, mean, deviation)


if __name__ == "__main__":
    main()
