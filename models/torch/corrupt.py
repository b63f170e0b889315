# SPDX-License-Identifier: BSD-2-Clause
"""Corruptions of recipes, drawn as lib/train/corrupt.c draws them: numbers on the host, pictures on the device."""
import numpy as np
import torch

from . import camera
from .image import jpeg
from .recipe import RecipeError


def check(r, h, w):
    for i, c in enumerate(r.corruptions):
        if c.kind == "camera" and (r.task == "superres" or (i > 0 and not r.one_of)):
            raise RecipeError("camera noise makes pictures of its own: it comes first, and not in super-resolution")
        if c.kind == "camera" and min(h, w) < 8:
            raise RecipeError("camera noise on %d x %d pixels; at least 8 x 8 are needed" % (w, h))


def draw(rng, r, n, fixed):
    """For each corruption n rows: whether it applies, its strength, the factor of what the network is told, and what more its kind
    needs; then what is told amiss: deviation told of uncorrupted samples, and what levels.told wants. fixed, for validation: the middle of each range (25 of 255 for white noise that reaches so far)."""
    drawn, spared = [], (rng.random(n) < r.data.clean) & (not fixed)
    chosen = rng.integers(len(r.corruptions), size=n) if r.one_of and r.corruptions else None
    for i, c in enumerate(r.corruptions):
        applies = (rng.random(n) < c.probability) & ~spared & (True if chosen is None else chosen == i)
        value, told = rng.uniform(*c.range, n), rng.uniform(*c.jitter, n)
        if fixed:
            value[:], told[:] = max(25, c.range[0]) if c.kind == "gaussian" and c.range[1] >= 25 else sum(c.range) / 2, np.clip(1, *c.jitter)
        columns = [applies, value, told]
        if c.kind == "camera":
            cameras = camera.draw(rng, n)
            cameras[:, camera.FIELDS.index("luminance")] = value / 255
            columns += list(cameras.T)
        elif c.kind == "jpeg":
            columns += [np.floor(value + 0.5).clip(1, 100), *(rng.integers(most, size=n) for most in (2, 16, 16))]
        elif c.kind == "warp":
            columns += list(rng.normal(size=(6, n)))
        drawn.append(np.stack(columns, 1).astype("f4"))
    jitters = not fixed and any(c.jitter[1] > c.jitter[0] for c in r.corruptions)
    mistakes = [np.where(spared & bool(r.corruptions), rng.uniform(*r.data.doubt, n), 0) / 255,
                rng.uniform(0.8, 1.25, n) if jitters else np.ones(n), rng.uniform(-0.35, 0.35, n) if jitters else np.zeros(n)]
    return drawn + [np.stack(mistakes, 1).astype("f4")]


def deviation(difference):
    """White, luminance and chroma deviation of the difference of two pictures, N x 3."""
    c = difference.shape[1]
    everything = (difference ** 2).mean((1, 2, 3))
    luminance = (difference.sum(1) ** 2).mean((1, 2)) / (c * c)
    return torch.stack((everything, luminance, 1.5 * (everything - luminance).clamp(min=0)), 1).sqrt()


def warp(picture, amount, draws):
    """Pictures under affine maps: moved by amount * draws[0], draws[3] pixels down and along, and by as much again at the middles of
    the edges by what draws[1:3], draws[4:6] make of rows and columns."""
    n, c, h, w = picture.shape
    y, x = (torch.arange(size, device=picture.device, dtype=picture.dtype) for size in (h, w))
    down, along = ((y - (h - 1) / 2) / (h / 2))[None, :, None], ((x - (w - 1) / 2) / (w / 2))[None, None, :]
    d = (amount[:, None] * draws).t()[:, :, None, None]
    at = [axis + d[k] + d[k + 1] * down + d[k + 2] * along for axis, k in ((x[None, None, :], 3), (y[None, :, None], 0))]
    grid = torch.stack([2 * a / max(size - 1, 1) - 1 for a, size in zip(at, (w, h))], 3)
    return torch.nn.functional.grid_sample(picture, grid, mode="bilinear", padding_mode="border", align_corners=True)


def corrupt(r, drawn, clean, grey, random):
    """(clean, corrupted, told): cameras make clean pictures of their own. drawn: tensors of what `draw` gave; grey: samples whose
    channels are equal; random(function, *shape): torch.randn or torch.rand for the whole batch."""
    n, c, h, w = clean.shape
    noisy, variance, jitter = clean, clean.new_zeros(n), clean.new_ones(n)
    measured = torch.zeros(n, dtype=torch.bool, device=clean.device)
    grey = grey | (c == 1)
    for kind, numbers in zip((k.kind for k in r.corruptions), drawn):
        applies, value, told = numbers[:, 0] > 0, numbers[:, 1], numbers[:, 2]
        here, strength = applies[:, None, None, None], value[:, None, None, None]
        jitter = torch.where(applies, jitter * told, jitter)
        if kind == "gaussian":
            noise = random(torch.randn, c, h, w)
            noise = torch.where(grey[:, None, None, None], noise[:, :1], noise)
            noisy = noisy + here * strength / 255 * noise
            variance = variance + applies * (value / 255) ** 2
            continue
        if kind == "camera":
            photo = camera.take(numbers[:, 3:], random(torch.randn, 3, h, w), clean.expand(-1, 3, -1, -1), grey)
            clean, noisy = (torch.where(here, x[:, :c], old) for x, old in zip(photo, (clean, noisy)))
        elif kind == "jpeg":
            quality, halve, top, left = numbers[:, 3:].t()
            noisy = torch.where(here, jpeg(noisy.expand(-1, 3, -1, -1), quality, halve, top, left)[:, :c], noisy)
        elif kind == "warp":
            noisy = torch.where(here, warp(noisy, value, numbers[:, 3:]), noisy)
        else:
            hit = here & (random(torch.rand, 1, h, w) < strength)
            white = (random(torch.rand, 1, h, w) < 0.5).float() if kind == "salt_pepper" else torch.zeros_like(strength)
            noisy = torch.where(hit, white.expand_as(noisy), noisy)
        measured = measured | applies
    sigma = variance.sqrt() + drawn[-1][:, 0]
    known = torch.stack((sigma, torch.where(grey, sigma, sigma / 3 ** 0.5), torch.where(grey, torch.zeros_like(sigma), sigma)), 1)
    return clean, noisy, torch.where(measured[:, None], deviation(noisy - clean), known) * jitter[:, None]
