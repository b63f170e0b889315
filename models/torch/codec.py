# SPDX-License-Identifier: BSD-2-Clause
"""What codecs add to networks, doc/codec.md: quantisation, its price in bits, and the transform that they begin as."""
import math

import torch
import torch.nn.functional as F

LEAST, MOST, MASS = 0.11, 2.0 ** 15, 2.0 ** -24  # of scales in steps; of the mass of an interval
LN2, ROOT2 = math.log(2), math.sqrt(2)
WEIGHTS = (1, 5, 13)  # of the three planes in the order of components


def noise(like):
    """What `bits` adds in training, in steps."""
    return torch.rand_like(like).sub_(0.5)


def take(x, parity):
    """The positions that count, channels last: N x H/2 x 2 x W/2 x C, or all."""
    x = x.permute(0, 2, 3, 1)
    if x.shape[1:3] == (1, 1) or parity == "all":
        return x[:, :, None]
    x = F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2)) if x.shape[1] % 2 or x.shape[2] % 2 else x
    x, odd = x.reshape(len(x), x.shape[1] // 2, 2, x.shape[2] // 2, 2, -1), int(parity == "odd")
    return torch.stack((x[:, :, 0, :, odd], x[:, :, 1, :, 1 - odd]), 2)


def put(x, parity, shape):
    """Back to N x C x H x W, 0 elsewhere; of what was broadcast the sum."""
    if shape[2:] == (1, 1):
        return x.sum((1, 2, 3))[:, :, None, None]
    if parity == "all":
        return x[:, :, 0].permute(0, 3, 1, 2)
    (n, c, h, w), odd = shape, int(parity == "odd")
    y = x.new_zeros(n, (h + 1) // 2, 2, (w + 1) // 2, 2, c)
    y[:, :, 0, :, odd], y[:, :, 1, :, 1 - odd] = x[:, :, 0], x[:, :, 1]
    return y.view(n, h + h % 2, w + w % 2, c)[:, :h, :w].permute(0, 3, 1, 2)


class Quantise(torch.autograd.Function):
    @staticmethod
    def forward(ctx, y, mean, log_step, parity):
        ctx.parity, ctx.shapes = parity, (y.shape, log_step.shape)
        y, mean, log_step = (take(x, parity) for x in (y, mean, log_step))
        step = torch.exp2(log_step)
        v = (y - mean).div_(step)
        whole = torch.round(v)
        ctx.save_for_backward(v.neg_().add_(whole), step)
        return put(torch.addcmul(mean, whole, step), parity, ctx.shapes[0])

    @staticmethod
    def backward(ctx, gradient):
        beyond, step = ctx.saved_tensors
        y, log_step = ctx.shapes
        gradient = take(gradient, ctx.parity)
        return put(gradient, ctx.parity, y), None, put((gradient * beyond).mul_(step * LN2), ctx.parity, log_step), None


class Bits(torch.autograd.Function):
    @staticmethod
    def forward(ctx, y, mean, log_scale, log_step, parity, noisy):
        ctx.parity, ctx.shapes = parity, [x.shape for x in (y, mean, log_scale, log_step)]
        y, mean, log_scale, log_step = (take(x, parity) for x in (y, mean, log_scale, log_step))
        v = (y - mean).mul_(torch.exp2(-log_step))
        x = noise(v).add_(v) if noisy else torch.round(v)
        scale = torch.exp2(log_scale - log_step)
        size, across = x.abs(), 1 / (ROOT2 * scale.clamp(LEAST, MOST))
        m = torch.erfc((size - 0.5).mul_(across)).sub_(torch.erfc((size + 0.5).mul_(across))).mul_(0.5).clamp_(min=MASS)
        ctx.save_for_backward(v, x, scale, m, log_step)
        return put(-torch.log2(m), parity, ctx.shapes[0])

    @staticmethod
    def backward(ctx, gradient):
        v, x, scale, m, log_step = ctx.saved_tensors
        size, s = x.abs(), 1 / scale.clamp(LEAST, MOST)
        a, b = (size - 0.5).mul_(s), size.add_(0.5).mul_(s)
        pa, pb = (torch.exp((e * e).mul_(-0.5)) for e in (a, b))
        outer = take(gradient, ctx.parity) / m.mul(LN2 * math.sqrt(2 * math.pi))
        by_v = (pa - pb).mul_(s).mul_(outer).mul_(x.sign())
        by_log_s = b.mul_(pb).sub_(a.mul_(pa)).mul_(outer).mul_(LN2)
        by_log_s.masked_fill_((scale < LEAST) & (by_log_s > 0) | (scale > MOST) & (by_log_s < 0), 0)
        by_y = by_v * torch.exp2(-log_step)
        by_log_step = by_v.mul_(v).mul_(-LN2).sub_(by_log_s)
        return *(put(g, ctx.parity, shape) for g, shape in zip((by_y, -by_y, by_log_s, by_log_step), ctx.shapes)), None, None


def embed(table, position):
    """Rows of a table at positions N x 1 x 1 x 1, interpolated: N x C x 1 x 1."""
    at = position.float().reshape(-1).clamp(0, 1) * (len(table) - 1)
    low = at.detach().floor().clamp(max=len(table) - 2).long()
    part = (at - low)[:, None]
    return (table[low] * (1 - part) + table[low + 1] * part)[:, :, None, None]


def integer(weight):
    """As a decoder's integers can hold each output's weights, doc/recipe.md; the gradient passes straight through."""
    w = weight.detach().flatten(1)
    finest = torch.minimum(32767 / w.abs().amax(1), 1e5 / w.abs().sum(1)).log2().floor().clamp(-24, 24)
    up = torch.exp2(finest)[:, None]
    return weight + (torch.round(w * up) / up - w).view_as(weight)


# ---- the transform ----

def basis(planes, n, count):
    """The first components of a block, count x planes x n x n, and one over their usual size."""
    k = torch.arange(n, dtype=torch.float64)
    rows = torch.cos((2 * k + 1) * k[:, None] * math.pi / (2 * n)) * torch.sqrt((1 + (k > 0).double()) / n)[:, None]
    colour = torch.tensor([[1, 1, 1], [1, 0, -1], [-1, 2, -1]] if planes == 3 else [[1]], dtype=torch.float64)
    colour = colour / colour.norm(dim=1, keepdim=True)
    places = sorted((WEIGHTS[p] * (1 + u * u + v * v), p, u, v) for p in range(planes) for u in range(n) for v in range(n))
    e, p, u, v = (torch.tensor(i) for i in zip(*places[:count]))
    b = colour[p][:, :, None, None] * rows[u][:, None, :, None] * rows[v][:, None, None, :]
    return b, e.double() ** 0.75 / 2


def forward_weight(planes, n, shape):
    """Of a convolution whose kernel is its stride, over planes unshuffled by n / kernel."""
    count, k = shape[0], shape[2]
    b, gain = basis(planes, n, count)
    b = (b * gain[:, None, None, None]).view(count, planes, k, n // k, k, n // k)
    return b.permute(0, 1, 3, 5, 2, 4).reshape(shape).float()


def inverse_weight(planes, n, shape):
    b, gain = basis(planes, n, shape[1])
    return (b.view(shape[1], -1) / gain[:, None]).t().reshape(shape).float()
