# SPDX-License-Identifier: BSD-2-Clause
"""What a denoising network is told of the noise and how far it may go by it, as lib/image/levels.c has it. N x C x H x W."""
import torch
import torch.nn.functional as F

BINS = 16


def bound(limit, level, output):
    """L s(output / L), s(x) = x / (1 + x^8)^(1/8), L so many deviations of a channel as the levels make it; 0 where that is 0."""
    most = limit * (level if level.shape[1] == 1 else torch.sqrt(level[:, :1] ** 2 + level[:, 1:] ** 2 * (2 / 3)))
    x = (output / most.clamp(min=1e-12)).clamp(-1e4, 1e4)
    return torch.where(most > 0, most * x / (1 + x ** 8) ** 0.125, torch.zeros_like(output))


def brightness(image):
    """Mean of the channels within 0..1, smoothed: a box of 5 x 5 twice."""
    x = image.mean(1, keepdim=True).clamp(0, 1)
    for _ in range(2):
        x = F.avg_pool2d(F.pad(x, (2, 2, 2, 2), mode="replicate"), 5, 1)
    return x


def measure(noisy, clean):
    """Curves of luminance and chroma deviation over the brightness, N x 2 x BINS; and the white deviation of all."""
    d, n = noisy - clean, noisy[:, 0].numel() / len(noisy)
    y = d.mean(1)
    squares = torch.stack((y ** 2, 0.5 * ((d ** 2).sum(1) - d.shape[1] * y ** 2), torch.ones_like(y)), 1).flatten(2)
    at = torch.floor(brightness(noisy) * (BINS - 1) + 0.5).long().flatten(2).expand(-1, 3, -1)
    sums = squares.new_zeros(len(noisy), 3, BINS).scatter_add_(2, at, squares)
    b = torch.arange(BINS, device=d.device)
    weight = torch.exp(-((b[:, None] - b) ** 2).float())
    everything = sums.sum(2, keepdim=True) / n
    smooth = sums @ weight / n + 1e-4 * everything
    curve = torch.sqrt((smooth[:, :2] / smooth[:, 2:]).clamp(min=0))
    return curve, torch.sqrt(everything[:, 0] + everything[:, 1].clamp(min=0) * (2 / 3))[:, 0]


def maps(curve, image, channels):
    """Level maps of one channel (white) or two (luminance, chroma)."""
    if channels == 1:
        curve = torch.sqrt(curve[:, :1] ** 2 + curve[:, 1:] ** 2 * (2 / 3))
    at = brightness(image) * (BINS - 1)
    low = torch.floor(at).long()
    low, high = (i.flatten(2).expand(-1, curve.shape[1], -1) for i in (low, (low + 1).clamp(max=BINS - 1)))
    a, b = (curve.gather(2, i).view(len(image), -1, *image.shape[2:]) for i in (low, high))
    return a + (at - torch.floor(at)) * (b - a)


def told(noisy, clean, white, mistakes, channels):
    """The maps of a batch that is told `white` for what it has: that factor everywhere, and the draws of corrupt.draw: one kind of
    deviation by the other, dark by bright."""
    curve, true = measure(noisy, clean)
    factor = torch.where(true > 0, white / true.clamp(min=1e-12), torch.ones_like(true))[:, None, None]
    other, tilt = mistakes[:, 1, None], mistakes[:, 2, None]
    tilted = 1 + tilt * (torch.arange(BINS, device=noisy.device) / (BINS - 1) - 0.35)
    return maps(curve * factor * torch.stack((tilted, tilted * other), 1), noisy, channels)
