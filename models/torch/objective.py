# SPDX-License-Identifier: BSD-2-Clause
"""Terms of recipes, as lib/train/loss.c and objective.c define them."""
import torch
import torch.nn.functional as F
from torch import nn

from . import aem, recipe as recipes
from .graph import Graph
from .network import Network, flatten


def straight_clamp(x, low):
    """Clamped to low .. 1 - low; the gradient passes as if it were not."""
    return x + (x.clamp(low, 1 - low) - x).detach()


def bce(p, t):
    q = straight_clamp(p, 1e-6)
    return -(t * torch.log(q) + (1 - t) * torch.log(1 - q))


def total_variation(p):
    return ((p[:, :, 1:] - p[:, :, :-1]).abs().sum() + (p[..., 1:] - p[..., :-1]).abs().sum()) / p.numel()


def luma(p, t):
    d = ((p - t) * p.new_tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1)
    return torch.sqrt(d ** 2 + 1e-6).mean()


def cross_entropy(p, t):
    return -(t * torch.log_softmax(p, 1)).sum(1, keepdim=True)


# value of each sample of prediction and target, before the mean over all
SAMPLES = {
    "mse": lambda p, t: (p - t) ** 2,
    "l1": lambda p, t: (p - t).abs(),
    "charbonnier": lambda p, t: torch.sqrt((p - t) ** 2 + 1e-6),
    "bce": bce,
    "huber": lambda p, t: F.huber_loss(p, t, reduction="none"),
    "cross_entropy": cross_entropy,
}
LOSSES = {
    "luma": luma,
    "psnr": lambda p, t: 10 * torch.log10(1 + 255 ** 2 * ((p - t) ** 2).mean((1, 2, 3))).mean(),
    "tv": lambda p, t: total_variation(p),
}


def rate_distortion(l, prediction, target, bits, quality):
    """Mean over samples; the lower a quality's lambda and so its cost, the more it counts."""
    (least, most), quality = getattr(l, "lambda"), quality.view(-1)
    rate = sum(b.sum((1, 2, 3)) for b in bits) / (target.shape[2] * target.shape[3])
    cost = least * (most / least) ** quality * 255 ** 2 * ((prediction - target) ** 2).mean((1, 2, 3)) + rate
    return ((most / least) ** (0.25 - quality / 2) * cost).mean()


class Perceptual(nn.Module):
    """Mean absolute difference between what a node of another model makes of two pictures."""

    def __init__(self, loss):
        super().__init__()
        text, _, values = aem.read(aem.find(loss.model))
        whole, graph = recipes.parse(text).networks[0].graph, Graph()
        tap = whole.find(loss.node)
        if tap is None:
            raise aem.ModelError("perceptual loss: model %s has no node '%s'" % (loss.model, loss.node))
        graph.nodes, graph.outputs = whole.nodes[:tap + 1], [tap]
        everything, self.network = Network(whole), Network(graph)
        everything.load(values[:sum(t.numel() for t in everything.tensors)])
        for p, t in zip(self.network.params, self.network.tensors):
            t.data.copy_(everything.tensors[everything.index[p.name]].detach())
        self.requires_grad_(False)

    def forward(self, prediction, target):
        def features(x):
            def feed(n):
                return x if n.name == "image" else x.new_zeros(len(x), n.out, n.height or x.shape[2], n.width or x.shape[3])
            return self.network(*[feed(n) for n in self.network.graph.nodes if n.op == "input"])[0]
        with torch.no_grad():
            wanted = features(target)
        return (features(prediction) - wanted).abs().mean()


def kl_sparse(x, target, shards):
    """Divergence of each channel's mean over a shard from the target, summed over channels."""
    mean = straight_clamp(x.reshape(shards, -1, *x.shape[1:]).mean((1, 3, 4)), 1e-4)
    return (target * torch.log(target / mean) + (1 - target) * torch.log((1 - target) / (1 - mean))).sum(1).mean()


def kl_normal(mean, logvar):
    """Divergence of a normal from the unit one, summed over a sample."""
    return ((mean ** 2 + torch.exp(logvar) - 1 - logvar) / 2).sum((1, 2, 3)).mean()


SLOPES = {"none": torch.ones_like, "sigmoid": lambda h: h * (1 - h), "tanh": lambda h: 1 - h ** 2, "relu": lambda h: (h > 0).float()}


def jacobian(h, node, weight):
    """Squared Frobenius norm of a dense layer's Jacobian, summed over a sample."""
    return (SLOPES[node.act](h.flatten(1)) ** 2 * (weight ** 2).sum(1)).sum(1).mean()


def adversary(code, draw, fool):
    """Cross-entropy of codes taken for draws, or of both told for what they are, halved."""
    if fool:
        return F.softplus(-code).mean()
    return (F.softplus(code).mean() + F.softplus(-draw).mean()) / 2


class Objective(nn.Module):
    def __init__(self, r, joined):
        super().__init__()
        graph, self.joined, self.terms = joined.graph, joined, r.terms
        self.n_outputs, self.shards = len(graph.outputs), r.train.shards
        self.at = {}  # of term and key: where among outputs and taps
        nodes = []

        def tap(i, key, node):
            if node is None:
                raise recipes.RecipeError("term %s is on a layer that does not exist" % r.terms[i].name)
            if node not in nodes:
                nodes.append(node)
            self.at[i, key] = self.n_outputs + nodes.index(node)

        for i, t in enumerate(r.terms):
            if t.against == "label":
                raise recipes.RecipeError("term %s: labels are learnt by aetrain" % t.name)
            if t.kind == "adversary":
                tap(i, "on", joined.told[i])
                tap(i, "draws", joined.drawn[i])
            for key in ("to", "mask", "logvar") + (("on",) if t.kind != "adversary" else ()):
                if getattr(t, key):
                    tap(i, key, graph.find(getattr(t, key)))
            self.check(r, t, graph.nodes[graph.find(t.on) if t.on else graph.outputs[0]], graph)
        self.taps = nodes
        self.perceptual = nn.ModuleDict({str(i): Perceptual(t) for i, t in enumerate(r.terms) if t.kind == "perceptual"})

    @staticmethod
    def check(r, t, node, graph):
        last = node
        while last.act == "none" and last.op in ("reshape", "shuffle", "unshuffle", "crop"):
            last = graph.nodes[last.inputs[0]]
        if t.kind == "bce" and ((not t.on and r.residual) or last.act != "sigmoid"):
            raise recipes.RecipeError("loss bce needs probabilities: end the network with act: sigmoid, without residual")
        if t.kind == "luma" and node.out != 3:
            raise recipes.RecipeError("loss luma is of pictures of 3 channels, the network makes %d" % node.out)
        if t.kind == "jacobian" and (node.op != "dense" or node.transposed or node.act not in SLOPES):
            raise recipes.RecipeError("penalty jacobian: %s is no dense layer with act none, sigmoid, tanh or relu" % t.on)

    def compare(self, t, i, prediction, batch, outputs):
        value = outputs[self.at[i, "on"]] if t.on else prediction
        if t.against == "number":
            target = torch.full_like(value, t.number)
        elif t.against == "layer":
            target = outputs[self.at[i, "to"]].detach()
        else:
            target = batch.target
        if t.kind == "cross_entropy" and t.against == "image" and t.on and value.shape[1] > target.shape[1] == 1:  # numbers of classes, -1: none
            value = value.expand(-1, -1, *target.shape[2:])  # one row of them is held against every number
            e = F.cross_entropy(value, target[:, 0].long(), ignore_index=-1, reduction="none")
            e = e * outputs[self.at[i, "mask"]].detach()[:, 0] if t.mask else e
            return e.sum() / (len(e) if t.sum else (target >= 0).sum())
        if target.shape != value.shape:  # in the order of samples that a flattened layer has
            target = flatten(target).reshape(value.shape[0], *value.shape[2:], value.shape[1]).permute(0, 3, 1, 2)
        if t.kind not in SAMPLES:
            return LOSSES[t.kind](value, target)
        e = SAMPLES[t.kind](value, target)
        if t.mask:
            e = e * outputs[self.at[i, "mask"]].detach()
        return e.sum() / len(e) if t.sum else e.mean()

    def term(self, i, prediction, batch, outputs, network):
        """Value of one term, without its weight."""
        t = self.terms[i]
        if t.on_weights:
            norm = torch.abs if t.kind == "l1" else torch.square
            xs = [x for x, p in zip(network.tensors, network.params) if p.decay]
            return sum(norm(x).sum() for x in xs) / max(1, sum(x.numel() for x in xs))
        if t.kind == "rate_distortion":
            return rate_distortion(t, prediction, batch.target, outputs[1:self.n_outputs], batch.quality)
        if t.kind == "perceptual":
            return self.perceptual[str(i)](prediction, batch.target)
        if t.kind == "adversary":
            return adversary(outputs[self.at[i, "on"]], outputs[self.at[i, "draws"]], t.fool)
        if t.kind == "kl_sparse":
            return kl_sparse(outputs[self.at[i, "on"]], t.rho, network.shards)
        if t.kind == "kl_normal":
            return kl_normal(outputs[self.at[i, "on"]], outputs[self.at[i, "logvar"]])
        if t.kind == "jacobian":
            node = network.graph.nodes[network.graph.find(t.on)]
            return jacobian(outputs[self.at[i, "on"]], node, network.tensor(node, "weight"))
        return self.compare(t, i, prediction, batch, outputs)

    def loss(self, prediction, batch, outputs, network, last):
        """What validation reports: the terms of the last phase but those of perceptual kind and on weights."""
        return sum(t.weight * self.term(i, prediction, batch, outputs, network) for i, t in enumerate(self.terms)
                   if t.kind != "perceptual" and not t.on_weights and (last is None or t.name in last.terms))

    def forward(self, prediction, batch, outputs, network, weights):
        """outputs: the network's, taps included; weights: of the terms, 0: does not count."""
        return sum(w * self.term(i, prediction, batch, outputs, network) for i, w in enumerate(weights) if w > 0)
