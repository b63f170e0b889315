#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Fits the noise estimator's small network and writes lib/image/noise_net.h.

    build/models/noise_features 16000 21 PICTURE... > examples
    models/torch/noise_estimator.py examples lib/image/noise_net.h

Each example's groups of blocks are told apart: what is noise in one is noise of about the same kind in all, which the second half of
the features shows. The loss is that of a quantile above the middle: a network that is told too little leaves noise. A second network
tells white noise from all else, and its deviation before it was clipped.
"""
import argparse

import numpy
import torch

HIDDEN, WHITE_HIDDEN = 32, 24


class Examples:
    def __init__(self, paths):
        rows = numpy.concatenate([numpy.loadtxt(path, dtype=numpy.float64, ndmin=2) for path in paths])
        self.example, self.kind, self.pattern, channels = rows[:, :4].astype(int).T
        self.colour = torch.tensor(channels > 1).float()
        self.truth = torch.tensor(numpy.log(rows[:, 4:6] + 0.5)).float()
        self.white = torch.tensor(numpy.log(rows[:, 6] + 0.5)).float()
        self.features = rows[:, 7:]

    def pick(self, mask):
        some = object.__new__(Examples)
        for name, value in vars(self).items():
            setattr(some, name, value[mask])
        return some


def standardise(features, mean, deviation):
    return torch.tensor((features - mean) / deviation).float().clamp(-4, 4)


def fit(examples, quantile, steps, clean_weight, camera_weight):
    mean, deviation = examples.features.mean(0), examples.features.std(0) + 1e-3
    net = torch.nn.Sequential(torch.nn.Linear(len(mean), HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, HIDDEN),
                              torch.nn.ReLU(), torch.nn.Linear(HIDDEN, 2))
    optimizer = torch.optim.AdamW(net.parameters(), 4e-3, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps, pct_start=0.1)
    x = standardise(examples.features, mean, deviation)
    # whoever denoises a photograph believes it noisy: clean ones count less; patterns are known by their looks
    weights = numpy.array([clean_weight, camera_weight, 1, clean_weight])
    weight = torch.tensor(numpy.where(examples.pattern == 0, weights[examples.kind], 1.0)).float()
    drawn = torch.tensor(examples.pattern == 1).float()
    for _ in range(steps):
        at = torch.multinomial(weight, 256, replacement=True)
        short = (examples.truth[at] - net(x[at] + 0.25 * torch.randn(256, x.shape[1])))
        cost = torch.maximum(quantile * short, (quantile - 1) * short * (1 + 3 * drawn[at, None]))
        cost = cost * torch.stack([torch.ones_like(examples.colour[at]), examples.colour[at]], 1)
        optimizer.zero_grad()
        cost.mean().backward()
        optimizer.step()
        schedule.step()
    return net, mean, deviation


def fit_white(examples, mean, deviation, steps):
    """A network whose outputs are the logarithms of the odds that noise is white, and of its deviation + 0.5."""
    net = torch.nn.Sequential(torch.nn.Linear(len(mean), WHITE_HIDDEN), torch.nn.ReLU(), torch.nn.Linear(WHITE_HIDDEN, 2))
    optimizer = torch.optim.AdamW(net.parameters(), 4e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps, pct_start=0.1)
    x, white = standardise(examples.features, mean, deviation), torch.tensor(examples.kind == 2).float()
    for _ in range(steps):
        at = torch.multinomial(1 + white, 256, replacement=True)
        odds, found = net(x[at] + 0.15 * torch.randn(256, x.shape[1])).t()
        cost = torch.nn.functional.binary_cross_entropy_with_logits(odds, white[at])
        cost = cost + 4 * ((found - examples.white[at]).abs() * white[at]).mean()
        optimizer.zero_grad()
        cost.backward()
        optimizer.step()
        schedule.step()
    return net


def array(name, values):
    """One C array, wrapped."""
    lines, line = [], "   "
    for value in numpy.asarray(values).reshape(-1):
        text = "%.5g" % value
        text = " %sf," % (text if "." in text or "e" in text else text + ".0")
        if len(line) + len(text) > 98:
            lines.append(line)
            line = "   "
        line += text
    return "\nstatic const float noise_%s = {\n%s\n};\n" % (name, "\n".join(lines + [line]))


def write(path, net, white, mean, deviation):
    with open(path, "w") as f:
        f.write("/* SPDX-License-Identifier: BSD-2-Clause\n *\n * Written by models/torch/noise_estimator.py; not to be edited. */\n/* clang-format off */\n"
                "#ifndef AEI_NOISE_NET_H\n#define AEI_NOISE_NET_H\n\n"
                "enum { NOISE_NET_IN = %d, NOISE_NET_HIDDEN = %d, NOISE_WHITE_HIDDEN = %d };\n" % (len(mean), HIDDEN, WHITE_HIDDEN))
        f.write(array("net_mean[NOISE_NET_IN]", mean) + array("net_scale[NOISE_NET_IN]", 1 / deviation))
        for name, network in (("net", net), ("white", white)):
            hidden = "NOISE_%s_HIDDEN" % name.upper()
            layers = [m for m in network if isinstance(m, torch.nn.Linear)]
            for k, layer in enumerate(layers):
                size = "2" if k == len(layers) - 1 else hidden
                f.write(array("%s_weight%d[%s * %s]" % (name, k + 1, size, hidden if k else "NOISE_NET_IN"), layer.weight.detach()))
                f.write(array("%s_bias%d[%s]" % (name, k + 1, size), layer.bias.detach()))
        f.write("\n#endif\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("examples", nargs="+", help="files of noise_features")
    parser.add_argument("header", help="the C header to write")
    parser.add_argument("--quantile", type=float, default=0.77)
    parser.add_argument("--clean-weight", type=float, default=0.4)
    parser.add_argument("--camera-weight", type=float, default=1.5)
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    examples = Examples(options.examples)
    held = examples.example % 8 == 0
    net, mean, deviation = fit(examples.pick(~held), options.quantile, options.steps, options.clean_weight, options.camera_weight)
    rest = examples.pick(held)
    with torch.no_grad():
        found = net(standardise(rest.features, mean, deviation))
    ratio, off = (found - rest.truth).numpy(), (torch.exp(found) - torch.exp(rest.truth)).numpy()
    for pattern in range(2):
        for k, name in enumerate(["clean", "camera", "white", "clean through a camera"]):
            of = (rest.kind == k) & (rest.pattern == pattern)
            if not of.any():
                continue
            colour = of & (rest.colour.numpy() > 0)
            print("%-22s%s %4d  luminance: log ratio %+.2f +- %.2f, excess at most %.1f, 9 of 10 below %.2f  chroma: %+.2f +- %.2f, %.1f, %.2f"
                  % (name, " pattern" if pattern else "", of.sum(), ratio[of, 0].mean(), ratio[of, 0].std(), off[of, 0].max(),
                     numpy.quantile(off[of, 0], 0.9), ratio[colour, 1].mean(), ratio[colour, 1].std(), off[colour, 1].max(),
                     numpy.quantile(off[colour, 1], 0.9)))
    white = fit_white(examples.pick(~held), mean, deviation, options.steps)
    with torch.no_grad():
        odds, found = white(standardise(rest.features, mean, deviation)).t().numpy()
    for k, name in enumerate(["clean", "camera", "white", "clean through a camera"]):
        of = (rest.kind == k) & (rest.pattern == 0)
        if of.any():
            print("%-22s taken for white %.3f" % (name, (odds[of] > 1.2).mean()))
    off = (found - rest.white.numpy())[(rest.kind == 2) & (rest.pattern == 0)]
    print("white: log ratio %+.3f +- %.3f" % (off.mean(), off.std()))
    write(options.header, net, white, mean, deviation)


if __name__ == "__main__":
    main()
