# SPDX-License-Identifier: BSD-2-Clause
"""Networks of recipes as PyTorch modules. Tensors are N x C x H x W, channels last in memory; where the order of samples matters
(dense, reshape) it is height, width, channels, as in the C library."""
import math

import torch
import torch.nn.functional as F
from torch import nn

from . import codec
from .graph import GATES, block

ACT = {  # those that are not the function of their name in torch.nn.functional
    "none": lambda x, slope: x,
    "leaky": lambda x, slope: F.leaky_relu(x, slope),
    "clip": lambda x, slope: x.clamp(0, 1),
}
RECTIFIERS = ("relu", "leaky", "silu", "gelu")
EPSILON = 1e-5  # of both normalisations


def activate(node, x):
    return ACT[node.act](x, node.slope) if node.act in ACT else getattr(F, node.act)(x)


def flatten(x):
    return x.permute(0, 2, 3, 1).reshape(x.shape[0], -1)


def pool(node, x):
    """Padding does not count, however much of it there is."""
    pad, kind = node.sides(1) + node.sides(0), F.max_pool2d if node.op == "maxpool" else F.avg_pool2d
    if not any(pad):
        return kind(x, node.kernel, node.stride)
    if node.op == "maxpool":
        return kind(F.pad(x, pad, value=-math.inf), node.kernel, node.stride)
    inside = F.pad(torch.ones_like(x[:1, :1]), pad)
    return kind(F.pad(x, pad), node.kernel, node.stride) / kind(inside, node.kernel, node.stride)


class Network(nn.Module):
    """The parameters are one list in the order of graph.params()."""

    def __init__(self, graph, seed=0, taps=()):
        super().__init__()
        self.graph, self.params = graph, graph.params()
        self.index = {p.name: i for i, p in enumerate(self.params)}
        self.wanted = list(graph.outputs) + list(taps)  # the nodes whose values forward returns
        self.integer = set()  # parameters that are used as integers can hold them
        self.shards = 1       # equal parts of the batch with batch statistics of their own
        self.layout = torch.channels_last
        self.statistics = {}  # what the last forward in training saw: parameter -> mean over the shards
        draw = torch.Generator().manual_seed(seed)
        self.tensors = nn.ParameterList()
        dct = next((block(math.prod(p.shape[1:])) for p in self.params if p.node.init == "dct" and p.decay), None)
        for p in self.params:
            before = self.tensors[-1].detach() if len(self.tensors) else None
            self.tensors.append(nn.Parameter(initial(p, draw, before, dct), requires_grad=p.trainable))

    def tensor(self, node, what):
        i = self.index.get("%s.%s" % (node.name if node.transposed and what == "bias" else node.param, what))
        if i is None:
            return None
        return codec.integer(self.tensors[i]) if self.params[i].name in self.integer else self.tensors[i]

    def pair(self, node):
        return self.tensor(node, "weight"), self.tensor(node, "bias")

    def load(self, flat):
        """Takes one flat array of all parameters."""
        flat, at = torch.as_tensor(flat), 0
        if flat.numel() != sum(t.numel() for t in self.tensors):
            raise ValueError("%d parameters for a network of other size" % flat.numel())
        with torch.no_grad():
            for t in self.tensors:
                t.copy_(flat[at:at + t.numel()].view(t.shape))
                at += t.numel()

    def flat(self, gradients=False):
        """All parameters, or their gradients, as one array."""
        ts = [torch.zeros_like(t) if t.grad is None else t.grad for t in self.tensors] if gradients else self.tensors
        return torch.cat([t.detach().contiguous().view(-1).float().cpu() for t in ts]).numpy()

    def forward(self, *inputs):
        inputs, values = iter(inputs), []
        self.statistics.clear()
        for node in self.graph.nodes:
            if node.op == "input":
                y = next(inputs).contiguous(memory_format=self.layout)
            else:
                y = getattr(self, "_" + node.op)(node, *[values[i] for i in node.inputs])
            if node.add >= 0:
                y = y + values[node.add]
            values.append(activate(node, y))
        return tuple(values[i].float() for i in self.wanted)

    def _dense(self, node, x):
        weight, bias = self.pair(node)
        return F.linear(flatten(x), weight.t() if node.transposed else weight, bias)[:, :, None, None]

    def _conv(self, node, x):
        if node.init.startswith("dct"):
            with torch.autocast(x.device.type, enabled=False):
                return F.conv2d(x.float(), *self.pair(node), node.stride)
        pad = node.pad
        if node.causal:
            x, pad = F.pad(x, (0, 0) + node.sides(0)), (0, pad[1])
        return F.conv2d(x, *self.pair(node), node.stride, pad, node.dilation, node.groups)

    def _deconv(self, node, x):
        if not node.causal:
            return F.conv_transpose2d(x, *self.pair(node), node.stride, node.pad, groups=node.groups)
        y = F.conv_transpose2d(x, *self.pair(node), node.stride, (0, node.pad[1]), groups=node.groups)
        return y[:, :, :y.shape[2] - node.pad[0]]

    def _maxpool(self, node, x):
        return pool(node, x)

    def _avgpool(self, node, x):
        return pool(node, x)

    def _nearest(self, node, x):
        return F.interpolate(x, scale_factor=node.factor, mode="nearest")

    def _bilinear(self, node, x):
        return F.interpolate(x, scale_factor=node.factor, mode="bilinear", align_corners=False)

    def _shuffle(self, node, x):
        return F.pixel_shuffle(x, node.factor).contiguous(memory_format=self.layout)

    def _unshuffle(self, node, x):
        return F.pixel_unshuffle(x, node.factor).contiguous(memory_format=self.layout)

    def _concat(self, node, *xs):
        return torch.cat(xs, 1)

    def _add(self, node, *xs):
        return sum(xs[1:], xs[0])

    def _mul(self, node, x, y):
        return x * y

    def _scale(self, node, x):
        return x * self.tensor(node, "weight")[:, None, None]

    def _batchnorm(self, node, x):
        mean, variance = self.tensor(node, "mean"), self.tensor(node, "variance")
        y = x.float().view(self.shards, -1, *x.shape[1:])
        if self.training:
            found = y.mean((1, 3, 4)), y.var((1, 3, 4), unbiased=False)
            for what, value in zip(("mean", "variance"), found):
                self.statistics.setdefault("%s.%s" % (node.param, what), value.detach().mean(0))
            mean, variance = (v[:, None, :, None, None] for v in found)
        else:
            mean, variance = mean[:, None, None], variance[:, None, None]
        weight, bias = (t[:, None, None] for t in self.pair(node))
        return ((y - mean) * torch.rsqrt(variance + EPSILON) * weight + bias).view(x.shape).to(x.dtype)

    def _layernorm(self, node, x):
        y = F.layer_norm(x.float().permute(0, 2, 3, 1), (node.out,), *self.pair(node), EPSILON)
        return y.permute(0, 3, 1, 2).to(x.dtype)

    def _dropout(self, node, x):
        return F.dropout(x, node.value, self.training)

    def _act(self, node, x):
        return x

    def _reshape(self, node, x):
        return flatten(x).view(x.shape[0], node.height or x.shape[2], node.width, node.out).permute(0, 3, 1, 2)

    def _unit(self, node, x):
        return (x.float() / (x.float().square().sum(1, keepdim=True) + 1e-12).sqrt()).to(x.dtype)

    def _softmax(self, node, x):
        return torch.softmax(x.float(), 1).to(x.dtype)

    def _noise(self, node, x):
        return x + node.value * torch.randn_like(x) if self.training else x

    def _reverse(self, node, x):
        return (1 + node.value) * x.detach() - node.value * x

    def _normal(self, node, x):
        """Mean and deviation: given, not learned. The batch's own are for whoever measures them."""
        if self.training:
            y = x.detach().float().view(self.shards, -1, *x.shape[1:])
            for what, value in (("mean", y.mean((1, 3, 4))), ("variance", y.var((1, 3, 4), unbiased=False))):
                self.statistics.setdefault("%s.%s" % (node.param, what), value.mean(0))
        return self.tensor(node, "mean")[:, None, None], torch.sqrt(self.tensor(node, "variance") + 1e-12)[:, None, None]

    def _normalise(self, node, x):
        mean, deviation = self._normal(node, x)
        return (x - mean) / deviation

    def _denormalise(self, node, x):
        mean, deviation = self._normal(node, x)
        return x * deviation + mean

    def _gather(self, node, x):
        at = torch.round(x[:, 0]).long().clamp(0, node.factor - 1)
        return self.tensor(node, "weight")[at].permute(0, 3, 1, 2)

    def _recurrent(self, node, x, run):
        """Each column by itself, from zeros."""
        n, c, t, w = x.shape
        columns = x.float().permute(0, 3, 2, 1).reshape(n * w, t, c)
        weight, recurrent, bias = (self.tensor(node, what) for what in ("weight", "recurrent", "bias"))
        weights = [weight, recurrent]
        if bias is not None:  # theirs has two for each gate
            rows = weight.shape[0]
            weights += [bias[:rows], F.pad(bias[rows:], (rows - (len(bias) - rows), 0))]
        zeros = torch.zeros(1, n * w, node.out, device=x.device)
        start = (zeros, zeros) if node.op == "lstm" else zeros
        y = run(columns, start, weights, bias is not None, 1, 0.0, self.training, False, True)[0]
        return y.view(n, w, t, node.out).permute(0, 3, 2, 1).to(x.dtype)

    def _gru(self, node, x):
        return self._recurrent(node, x, torch._VF.gru)

    def _lstm(self, node, x):
        return self._recurrent(node, x, torch._VF.lstm)

    def _last(self, node, x, mask=None):
        if mask is None:
            return x[:, :, -1:]
        valid = (mask[:, 0, :, 0] > 0.5).float()
        order = valid * torch.arange(1, x.shape[2] + 1, device=x.device)
        at = order.max(1)
        y = x[torch.arange(x.shape[0], device=x.device), :, at.indices][:, :, None]
        return y * (at.values > 0).to(x.dtype)[:, None, None, None]

    def _repeat_time(self, node, x, like=None):
        return x.expand(-1, -1, node.height or like.shape[2], -1)

    def _flip(self, node, x):
        return x.flip(2)

    def _shift(self, node, x):
        return F.pad(x, (0, 0, 1, 0))[:, :, :-1]

    def _argmax(self, node, x):
        return x.argmax(1, keepdim=True).to(x.dtype)

    def _gaussian(self, node, mean, log_variance):
        return mean + torch.exp(log_variance / 2) * torch.randn_like(mean) if self.training else mean

    def _round(self, node, x):
        return x + (torch.round(x) - x).detach()

    def _crop(self, node, x):
        return x[:, node.first:node.first + node.out]

    def _embed(self, node, x):
        return codec.embed(self.tensor(node, "weight"), x)

    def _quantise(self, node, *xs):
        return codec.Quantise.apply(*(x.float() for x in xs), node.parity)

    def _bits(self, node, *xs):
        return codec.Bits.apply(*(x.float() for x in xs), node.parity, self.training)


def orthogonal(rows, columns, draw):
    q = torch.linalg.qr(torch.randn(max(rows, columns), min(rows, columns), generator=draw))[0]
    return q if rows >= columns else q.t()


def initial(p, draw, weight=None, dct=None):
    """Initial values from the distributions of ae_graph_init; `weight`: the tensor that goes before a bias; `dct`: the block of the
    graph's transform."""
    node, what = p.node, p.name.rsplit(".", 1)[1]
    if node.op == "embed":
        row = node.value + node.slope * torch.arange(p.shape[0]) / (p.shape[0] - 1)
        row = row[:, None].repeat(1, p.shape[1])
        return row + codec.basis(*dct, node.first + node.out)[1][node.first:].log2().float() if node.init == "dct" else row
    if node.init.startswith("dct"):
        inverse = node.init == "dct_inverse"
        if what == "bias":
            return torch.full(p.shape, 0.5) if inverse else -0.5 * weight.sum((1, 2, 3))
        make = codec.inverse_weight if inverse else codec.forward_weight
        return make(*block(p.shape[0] if inverse else math.prod(p.shape[1:])), p.shape)
    if node.op == "lstm" and what == "bias":
        bias = torch.zeros(p.shape)
        bias[node.out:2 * node.out] = 1
        return bias
    if node.op == "gather":
        return torch.randn(p.shape, generator=draw)
    if node.act == "clip" and what == "bias":
        return torch.full(p.shape, 0.5)
    if not p.decay:
        fill = node.value if node.op == "scale" else 1 if what in ("weight", "variance") else 0
        return torch.full(p.shape, float(fill))
    if node.init == "zero":
        return torch.zeros(p.shape)
    if node.init == "identity":
        w = torch.zeros(p.shape)
        for o in range(node.out):
            i = o - o // (node.out // node.groups) * p.shape[1]
            if 0 <= i < p.shape[1]:
                w[o, i, (p.shape[2] - 1) // 2, (p.shape[3] - 1) // 2] = 1
        return w
    fan_in = math.prod(p.shape[1:])
    if node.op == "deconv":  # on average so many weights meet in an output
        fan_in = p.shape[0] / node.groups * p.shape[2] * p.shape[3] / node.stride[0] / node.stride[1]
    gates = GATES.get(node.op, 1)
    if node.init == "orthogonal":
        w = [orthogonal(p.shape[0] // gates, math.prod(p.shape[1:]), draw) for _ in range(gates)]
        return torch.cat(w).view(p.shape) * math.sqrt(2 if gates == 1 and node.act in RECTIFIERS else 1)
    if node.init == "xavier":
        fan_out = fan_in / p.shape[1] * p.shape[0] / gates
        return torch.randn(p.shape, generator=draw) * math.sqrt(2 / (fan_in + fan_out))
    gain = 2 if node.op not in GATES and node.act in RECTIFIERS else 1
    return torch.randn(p.shape, generator=draw) * math.sqrt(gain / fan_in)
