# SPDX-License-Identifier: BSD-2-Clause
"""What codecs add to networks, doc/codec.md: quantisation, its price in bits, and the transform that they begin as."""
import math

import torch

LEAST, MOST, MASS = 0.11, 2.0 ** 15, 2.0 ** -24  # of scales in steps; of the mass of an interval
LN2, ROOT2 = math.log(2), math.sqrt(2)
WEIGHTS = (1, 5, 13)  # of the three planes in the order of components


def fit(gradient, like):
    """Of what was broadcast over rows and columns."""
    return gradient if gradient.shape == like else gradient.sum((2, 3), keepdim=True)


class Quantise(torch.autograd.Function):
    @staticmethod
    def forward(ctx, y, mean, log_step, mask):
        step = torch.exp2(log_step)
        v = (y - mean) / step
        whole = torch.round(v)
        ctx.save_for_backward(v.neg_().add_(whole), step, mask)
        return torch.addcmul(mean, whole, step) * mask

    @staticmethod
    def backward(ctx, gradient):
        beyond, step, mask = ctx.saved_tensors
        gradient = gradient * mask
        return gradient, None, fit(gradient * beyond, step.shape) * (step * LN2), None


class Bits(torch.autograd.Function):
    @staticmethod
    def forward(ctx, y, mean, log_scale, log_step, noise, mask):
        """noise: in steps; None rounds."""
        v = (y - mean) * torch.exp2(-log_step)
        x = torch.round(v) if noise is None else v + noise
        scale = torch.exp2(log_scale - log_step)
        s = scale.clamp(LEAST, MOST)
        size, across = x.abs(), 1 / (ROOT2 * s)
        m = (torch.erfc((size - 0.5) * across) - torch.erfc((size + 0.5) * across)).mul_(0.5).clamp_(min=MASS)
        ctx.save_for_backward(v, x, scale, m, log_step, mask)
        ctx.shapes = mean.shape, log_scale.shape
        return -torch.log2(m) * mask

    @staticmethod
    def backward(ctx, gradient):
        v, x, scale, m, log_step, mask = ctx.saved_tensors
        s, size = scale.clamp(LEAST, MOST), x.abs()
        a, b = (size - 0.5) / s, (size + 0.5) / s
        pa, pb = torch.exp(-0.5 * a * a), torch.exp(-0.5 * b * b)
        outer = gradient * mask / (m * (LN2 * math.sqrt(2 * math.pi)))
        by_x = outer * (pa - pb) / s * x.sign()
        by_log_s = outer * (b * pb - a * pa) * LN2
        stays = (scale < LEAST) & (by_log_s > 0) | (scale > MOST) & (by_log_s < 0)
        by_log_s = by_log_s.masked_fill(stays, 0)
        by_y = by_x * torch.exp2(-log_step)
        mean, log_scale = ctx.shapes
        return (by_y, fit(-by_y, mean), fit(by_log_s, log_scale), fit(-LN2 * v * by_x - by_log_s, log_step.shape), None, None)


def mask(parity, x):
    """1 at the positions that count."""
    if parity == "all":
        return x.new_ones(1, 1, 1, 1)
    places = torch.arange(x.shape[2], device=x.device)[:, None] + torch.arange(x.shape[3], device=x.device)
    return (places % 2 == (parity == "odd")).to(x.dtype)[None, None]


def embed(table, position):
    """Rows of a table at positions N x 1 x 1 x 1, interpolated: N x C x 1 x 1."""
    at = position.float().reshape(-1).clamp(0, 1) * (len(table) - 1)
    low = at.detach().floor().clamp(max=len(table) - 2).long()
    part = (at - low)[:, None]
    return (table[low] * (1 - part) + table[low + 1] * part)[:, :, None, None]


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
