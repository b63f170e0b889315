# SPDX-License-Identifier: BSD-2-Clause
"""Pictures on the device: resampling, smoothing and JPEG with parameters of its own for each picture of a batch (N x C x H x W).

What filters rows and columns is a matrix for each picture: they are small, and one product serves every size and edge."""
import math

import torch


def matrix(index, weight, size):
    """Rows of an operator along one axis: weight[n, out, k] at index[n, out, k] of `size` samples."""
    m = weight.new_zeros(*index.shape[:2], size)
    return m.scatter_add_(2, index, weight)


def along(x, rows, columns):
    """Applies one operator down the columns and one along the rows."""
    return rows[:, None] @ x @ columns[:, None].transpose(-1, -2)


def beyond(index, n, edge):
    """Indices outside 0 .. n - 1: wrapped round; mirrored; or mirrored without repeating the end."""
    if edge == "wrap":
        return index % n
    period, last = (2 * n, 2 * n - 1) if edge == "mirror" else (2 * n - 2, 2 * n - 2)
    index = index % period
    return torch.where(index < n, index, last - index)


def cubic(x):
    """Keys' kernel, a = -1/2."""
    x = x.abs().clamp(max=2)
    return torch.where(x <= 1, (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2)


def lanczos(x):
    return torch.where(x.abs() < 3, torch.sinc(x) * torch.sinc(x / 3), torch.zeros_like(x))


# how far they reach, and their values
FILTERS = {"bicubic": (2, cubic), "lanczos": (3, lanczos), "area": (0.5, lambda x: ((x >= -0.5) & (x < 0.5)).to(x.dtype)),
           "bilinear": (1, lambda x: (1 - x.abs()).clamp(min=0))}


def resize_matrix(n, n_out, size, filter="bicubic"):
    """Resamples the first n[i] of `size` samples to n_out, smoothing where that is fewer."""
    reach, kernel = FILTERS[filter]
    n = n.double()[:, None, None]
    scale = n_out / n
    shrink = scale.clamp(max=1)
    u = (torch.arange(n_out, device=n.device)[:, None] + 0.5) / scale - 0.5
    taps = math.ceil(2 * reach * max(1.0, size / n_out)) + 2
    index = (torch.floor(u - reach / shrink)[..., :1] + torch.arange(taps, device=n.device)).long()
    weight = kernel(shrink * (u - index))
    return matrix(beyond(index, n.long(), "mirror"), (weight / weight.sum(2, keepdim=True)).float(), size)


def resize(x, h, w, filter="bicubic"):
    """Of whole pictures."""
    rows, columns = (resize_matrix(torch.full((1,), n, device=x.device), n_out, n, filter) for n, n_out in zip(x.shape[2:], (h, w)))
    return along(x, rows, columns)


def blur_matrix(deviation, size, edge, reach=32):
    """A Gaussian cut off at three deviations and `reach`."""
    offset = torch.arange(-reach, reach + 1, device=deviation.device)
    deviation = deviation.clamp(min=0.02)[:, None]
    weight = torch.exp(-0.5 * (offset / deviation) ** 2) * (offset.abs() <= torch.floor(3 * deviation) + 1)
    weight = (weight / weight.sum(1, keepdim=True))[:, None].expand(-1, size, -1)
    index = beyond(torch.arange(size, device=deviation.device)[:, None] + offset, size, edge)
    return matrix(index.expand(len(weight), -1, -1), weight, size)


def blur(x, deviation, edge):
    return along(x, *(blur_matrix(deviation, n, edge) for n in x.shape[2:]))


# ---- JPEG without its entropy coding ----

QUANT = torch.tensor([
    [16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
     18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112,
     100, 103, 99],
    [17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66] + [99] * 38])
DCT = torch.tensor([[math.sqrt((1 if k else 0.5) / 4) * math.cos((2 * i + 1) * k * math.pi / 16) for i in range(8)]
                    for k in range(8)])
TO_YCC = torch.tensor([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
TO_RGB = torch.tensor([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]])


def mix(m, x):
    """Three channels by a matrix, one for all or one for each picture."""
    return torch.einsum("ij,njhw->nihw" if m.dim() == 2 else "nij,njhw->nihw", m, x)


def lose_planes(x, table, quality):
    """Rounds the transformed blocks of all planes to multiples of the scaled table."""
    quality = quality[:, None].long()
    scale = torch.where(quality < 50, torch.div(5000, quality, rounding_mode="floor"), 200 - 2 * quality)
    steps = torch.div(table.to(x.device) * scale + 50, 100, rounding_mode="floor").clamp(1, 255).float().view(-1, 1, 1, 8, 1, 8)
    n, c, h, w = x.shape
    dct, blocks = DCT.to(x.device), x.reshape(n, c, h // 8, 8, w // 8, 8)
    blocks = torch.round(torch.einsum("iy,ncaybx,jx->ncaibj", dct, blocks, dct) * (1 / steps)) * steps
    return torch.einsum("iy,ncaibj,jx->ncaybx", dct, blocks, dct).reshape(n, c, h, w)


def enlarge_matrix(n, size):
    """Twice as many of the first n[i] of `size` samples by the triangle filter, weights 3/4 and 1/4."""
    at = torch.arange(2 * size, device=n.device)
    near = torch.div(at, 2, rounding_mode="floor")
    index = torch.stack((near, near + 2 * (at % 2) - 1), 1)
    index = torch.minimum(index.clamp(min=0).expand(len(n), -1, -1), n[:, None, None] - 1)
    return matrix(index, torch.tensor([0.75, 0.25], device=n.device).expand(index.shape), size)


def lose(x, quality, top, left, halve):
    """jpeg of pictures in units of 0..255, all with or all without halved chroma."""
    block = 16 if halve else 8
    top, left = top % block, left % block
    h, w = x.shape[2:]
    tall, wide = ((s + 2 * block - 2) // block * block for s in (h, w))
    iy = (torch.arange(tall, device=x.device) - top[:, None]).clamp(0, h - 1)
    ix = (torch.arange(wide, device=x.device) - left[:, None]).clamp(0, w - 1)
    n = torch.arange(len(x), device=x.device)[:, None, None]
    x = x.permute(0, 2, 3, 1)[n, iy[:, :, None], ix[:, None, :]].permute(0, 3, 1, 2)
    y = torch.round(mix(TO_YCC.to(x.device), x))
    luma, chroma = lose_planes(y[:, :1] - 128, QUANT[0], quality), y[:, 1:]
    if halve:
        chroma = lose_planes(torch.nn.functional.avg_pool2d(chroma, 2), QUANT[1], quality)
        used = (torch.div(start + s + 15, 16, rounding_mode="floor") * 8 for start, s in ((top, h), (left, w)))
        chroma = along(chroma, *(enlarge_matrix(u, s // 2) for u, s in zip(used, (tall, wide))))
    else:
        chroma = lose_planes(chroma, QUANT[1], quality)
    x = torch.round(mix(TO_RGB.to(x.device), torch.cat((luma + 128, chroma), 1))).clamp(0, 255)
    iy, ix = top[:, None] + torch.arange(h, device=x.device), left[:, None] + torch.arange(w, device=x.device)
    return x.permute(0, 2, 3, 1)[n, iy[:, :, None], ix[:, None, :]].permute(0, 3, 1, 2)


def jpeg(x, quality, halve, top, left):
    """What coding and decoding does to pictures of three channels, 1.0 = white; quality 1..100; halve: 4:2:0; the pictures' corners
    lie top, left within a block."""
    x, corner = torch.round((x * 255).clamp(0, 255)), (top.long(), left.long())
    # both for all: choosing here would make the host wait for the device
    return torch.where(halve[:, None, None, None] > 0, lose(x, quality, *corner, True), lose(x, quality, *corner, False)) / 255
