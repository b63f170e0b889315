# SPDX-License-Identifier: BSD-2-Clause
"""Losses and penalties of recipes, as lib/train/loss.c defines them."""
import torch
from torch import nn

from . import aem, recipe as recipes
from .graph import Graph
from .network import Network


def straight_clamp(x, low):
    """Clamped to low .. 1 - low; the gradient passes as if it were not."""
    return x + (x.clamp(low, 1 - low) - x).detach()


def bce(p, t):
    q = straight_clamp(p, 1e-6)
    return -(t * torch.log(q) + (1 - t) * torch.log(1 - q)).mean()


def total_variation(p):
    return ((p[:, :, 1:] - p[:, :, :-1]).abs().sum() + (p[..., 1:] - p[..., :-1]).abs().sum()) / p.numel()


def luma(p, t):
    d = ((p - t) * p.new_tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1)
    return torch.sqrt(d ** 2 + 1e-6).mean()


LOSSES = {
    "mse": lambda p, t: ((p - t) ** 2).mean(),
    "l1": lambda p, t: (p - t).abs().mean(),
    "charbonnier": lambda p, t: torch.sqrt((p - t) ** 2 + 1e-6).mean(),
    "bce": bce,
    "luma": luma,
    "cross_entropy": lambda p, t: -(t * torch.log_softmax(p, 1)).sum(1).mean(),
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


class Objective(nn.Module):
    def __init__(self, r):
        super().__init__()
        graph, node = r.networks[0].graph, None
        if len(r.networks) != 1:
            raise recipes.RecipeError("training %d networks together is not supported" % len(r.networks))
        node = graph.nodes[graph.outputs[0]]
        while node.act == "none" and node.op in ("reshape", "shuffle", "unshuffle", "crop"):
            node = graph.nodes[node.inputs[0]]
        if any(l.kind == "bce" for l in r.losses) and (r.residual or node.act != "sigmoid"):
            raise recipes.RecipeError("loss bce needs probabilities: end the network with act: sigmoid, without residual")
        if any(l.kind == "luma" for l in r.losses) and graph.nodes[graph.outputs[0]].out != 3:
            raise recipes.RecipeError("loss luma is of pictures of 3 channels, the network makes %d" % graph.nodes[graph.outputs[0]].out)
        for p in r.penalties:
            node = graph.nodes[graph.find(p.node)] if p.kind == "jacobian" else None
            if node and (node.op != "dense" or node.transposed or node.act not in SLOPES):
                raise recipes.RecipeError("penalty jacobian: %s is no dense layer with act none, sigmoid, tanh or relu" % p.node)
        self.losses, self.penalties, self.n_outputs = r.losses, r.penalties, len(graph.outputs)
        names = [name for p in r.penalties for name in (p.node, p.logvar) if name]
        self.taps = sorted({graph.find(name) for name in names})  # nodes that penalties look at
        self.tap_of = {name: len(graph.outputs) + self.taps.index(graph.find(name)) for name in names}
        self.perceptual = nn.ModuleList(Perceptual(l) for l in r.losses if l.kind == "perceptual")

    def loss(self, prediction, batch, outputs):
        """Without perceptual terms and penalties: what validation reports."""
        total = 0
        for l in self.losses:
            if l.kind == "rate_distortion":
                total = total + l.weight * rate_distortion(l, prediction, batch.target, outputs[1:self.n_outputs], batch.quality)
            elif l.kind != "perceptual":
                total = total + l.weight * LOSSES[l.kind](prediction, batch.target)
        return total

    def forward(self, prediction, batch, outputs, network):
        """outputs: the network's, taps included."""
        total, target = self.loss(prediction, batch, outputs), batch.target
        for l, perceptual in zip([l for l in self.losses if l.kind == "perceptual"], self.perceptual):
            total = total + l.weight * perceptual(prediction, target)
        for p in self.penalties:
            if p.kind == "kl_sparse":
                value = kl_sparse(outputs[self.tap_of[p.node]], p.target, network.shards)
            elif p.kind == "jacobian":
                node = network.graph.nodes[network.graph.find(p.node)]
                value = jacobian(outputs[self.tap_of[p.node]], node, network.tensor(node, "weight"))
            elif p.kind == "kl_normal":
                value = kl_normal(outputs[self.tap_of[p.node]], outputs[self.tap_of[p.logvar]])
            else:
                norm = torch.abs if p.kind == "l1" else torch.square
                xs = [outputs[self.tap_of[p.node]]] if p.node else [t for t, q in zip(network.tensors, network.params) if q.decay]
                value = sum(norm(x).sum() for x in xs) / max(1, sum(x.numel() for x in xs))
            total = total + p.weight * value
        return total
