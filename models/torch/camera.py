# SPDX-License-Identifier: BSD-2-Clause
"""Noisy photographs by simulated cameras, as lib/image/camera.c takes them: parameters from the same distributions, and the same
way from a picture through mosaic, demosaicing, tone curve, noise reduction and JPEG; a camera for each picture of a batch."""
import numpy as np
import torch
import torch.nn.functional as F

from .image import along, beyond, blur, cubic, jpeg, matrix, mix

FIELDS = ("balance0 balance1 balance2 mix00 mix01 mix02 mix10 mix11 mix12 mix20 mix21 mix22 gamma toe contrast mosaic phase "
          "gradient read luminance colour fine keep edge coarse coarse_share colour_fine colour_coarse colour_share sharpen radius "
          "raw has_jpeg quality halve top left zoom at_y at_x again quality2 halve2 top2 left2").split()


def draw(rng, n):
    """Parameters of n cameras, n x FIELDS; `luminance` is the caller's to set."""
    def log_range(lo, hi):
        return lo * (hi / lo) ** rng.random(n)

    u = rng.uniform
    plain = rng.random(n) < 0.08  # no noise reduction, or a picture scaled down since
    k = {"balance0": u(1.2, 2.6, n), "balance1": np.ones(n), "balance2": u(1.2, 2.6, n)}
    for i in range(3):  # neighbours in the spectrum overlap most
        a, b = u(0, 0.6, n), u(0, 0.3, n)
        k["mix%d%d" % (i, i)] = 1 + a + b
        k["mix%d%d" % (i, (i + 1) % 3)], k["mix%d%d" % (i, (i + 2) % 3)] = (-b, -a) if i == 2 else (-a, -b)
    k.update(gamma=u(1.8, 2.6, n), toe=log_range(0.002, 0.02), contrast=u(0.2, 0.9, n), mosaic=~plain & (rng.random(n) < 0.85),
             phase=rng.integers(4, size=n), gradient=u(-0.5, 1.5, n).clip(0, 1), read=log_range(0.02, 2), luminance=np.zeros(n),
             colour=np.where(plain, u(0.8, 1.73, n), log_range(0.3, 1.3)), fine=u(0.25, 0.85, n), keep=log_range(0.1, 0.8),
             coarse=log_range(2, 9), coarse_share=u(0, 0.3, n), colour_fine=u(1, 2.5, n), colour_share=u(0.2, 0.9, n),
             edge=log_range(0.012, 0.2), sharpen=np.where(rng.random(n) < 0.3, u(0.1, 0.9, n), 0), radius=u(0.6, 1.2, n))
    k["colour_coarse"] = k["colour_fine"] * u(2, 4.5, n)
    for name in ("fine", "coarse_share", "colour_fine", "colour_share", "sharpen"):
        k[name] = np.where(plain, 0, k[name])
    k["keep"] = np.where(plain, 1, k["keep"])
    raw = rng.random(n) < 0.3
    k.update(raw=raw, mosaic=k["mosaic"] | (raw & plain), fine=np.where(raw & (rng.random(n) >= 0.3), 0, k["fine"]),
             contrast=np.where(raw, u(0, 0.9, n), k["contrast"]))
    k.update(has_jpeg=rng.random(n) < np.where(raw, 0.4, 0.85), quality=np.floor(98.5 - 28 * rng.random(n) ** 4), halve=rng.integers(2, size=n),
             top=rng.integers(16, size=n), left=rng.integers(16, size=n))
    film = rng.random(n) < 0.06  # scanned grain: as coarse in colour as in luminance, as strong in shadows as in highlights
    tint = np.where(rng.random(n) < 0.4, u(0.02, 0.2, n), u(0.5, 1.5, n))
    size = u(0.5, 1.6, n)
    for name, value in (("mosaic", False), ("raw", False), ("read", log_range(0.5, 8)), ("colour", tint), ("fine", size), ("colour_fine", size),
                        ("keep", 1), ("coarse_share", 0), ("colour_share", 0), ("sharpen", 0)):
        k[name] = np.where(film, value, k[name])
    k.update(zoom=np.where(rng.random(n) < 0.08, log_range(1.05, 2), 1), at_y=rng.random(n), at_x=rng.random(n), again=rng.random(n) < 0.15,
             quality2=np.floor(98.5 - 35 * rng.random(n) ** 2), halve2=rng.integers(2, size=n), top2=rng.integers(16, size=n),
             left2=rng.integers(16, size=n))
    return np.stack([k[name] for name in FIELDS], 1).astype("f4")


def power(x):
    """Mean square of each plane."""
    return (x * x).mean((2, 3), keepdim=True)


def gain(mean_square, share):
    """Factor that brings a mean square to `share`."""
    return torch.where(mean_square > 1e-30, torch.sqrt(share / mean_square.clamp(min=1e-30)), torch.zeros_like(mean_square))


def to_linear(x, gamma, toe, contrast):
    b = toe ** (1 / gamma)
    a = (1 + toe) ** (1 / gamma) - b
    e = x.clamp(0, 1)
    g = e
    for _ in range(4):  # Newton's steps on the S
        g = g - (g * (1 - contrast + contrast * g * (3 - 2 * g)) - e) / (1 - contrast + 6 * contrast * g * (1 - g))
    return (g * a + b) ** gamma - toe


def to_encoded(x, gamma, toe, contrast):
    """The samples and the curve's slope there."""
    p = 1 / gamma
    b = toe ** p
    a = (1 + toe) ** p - b
    x = x.clamp(0, 1) + toe
    y = x ** p
    g = (y - b) / a
    return (g * (1 - contrast + contrast * g * (3 - 2 * g)),
            (1 - contrast + 6 * contrast * g * (1 - g)) * p * y / (x * a))


def demosaic(x, colour, red_row, gradient, edge):
    """Three planes from a mosaic: bilinear where gradient is 0, gradient-corrected (Malvar et al. 2004) where it is 1."""
    h, w = x.shape[2:]
    iy, ix = (beyond(torch.arange(-2, n + 2, device=x.device), n, edge) for n in (h, w))
    padded = x[:, :, iy][..., ix]

    def at(dy, dx):
        return padded[:, :, 2 + dy:2 + dy + h, 2 + dx:2 + dx + w]

    across, down, far_across, far_down = at(0, -1) + at(0, 1), at(-1, 0) + at(1, 0), at(0, -2) + at(0, 2), at(-2, 0) + at(2, 0)
    corners = at(-1, -1) + at(-1, 1) + at(1, -1) + at(1, 1)
    level, bend = 0.125 * (5 * x - corners), 4 * x - far_across - far_down
    cross, diagonal = 0.25 * (across + down) + gradient * 0.125 * bend, 0.25 * corners + gradient * 0.1875 * bend
    beside = 0.5 * across + gradient * (level - 0.125 * far_across + 0.0625 * far_down)
    above = 0.5 * down + gradient * (level - 0.125 * far_down + 0.0625 * far_across)
    green = colour == 1
    red, blue = (torch.where(colour == c, x, torch.where(green, torch.where(own_row, beside, above), diagonal))
                 for c, own_row in ((0, red_row), (2, ~red_row)))
    return torch.cat((red, torch.where(green, x, cross), blue), 1)


def expose(k, m, normals, picture):
    """Noise on the sensor, and what becomes of it and of the picture in linear light."""
    n, _, h, w = picture.shape
    phase = k["phase"].long()
    y, x = torch.arange(h, device=picture.device)[:, None], torch.arange(w, device=picture.device)
    row, column = (y ^ (phase >> 1)) & 1, (x ^ phase) & 1
    colour, red_row = (row + column).expand(n, 1, h, w), (row == 0).expand(n, 1, h, w)  # 0 red, 1 green, 2 blue
    balance = torch.cat([k["balance%d" % c] for c in range(3)], 1)
    sensor = mix(torch.linalg.inv_ex(m)[0], picture)
    noise = torch.sqrt(balance * sensor.clamp(min=0) + 0.18 * k["read"] * balance ** 2)
    mosaic = k["mosaic"] > 0
    layout = colour, red_row, k["gradient"]
    one_noise = demosaic(noise.gather(1, colour) * normals[:, :1], *layout, "wrap")
    one_picture = demosaic(sensor.gather(1, colour), *layout, "reflect")
    return torch.where(mosaic, mix(m, one_picture), picture), mix(m, torch.where(mosaic, one_noise, noise * normals))


def reduce(noise, light, keep, edge):
    """Noise is reduced to `keep` where the picture is flat, and stays where it has edges."""
    padded = F.pad(light, (0, 0, 1, 1), mode="replicate")
    g = (padded[:, :, 2:] - padded[:, :, :-2])[..., 1:-1] ** 2 + (light[..., 2:] - light[..., :-2]) ** 2
    return noise * (keep + (1 - keep) * F.pad(g / (g + edge ** 2), (1, 1)))


def develop(k, curve, picture, noise):
    """Without noise reduction: what noise does to the encoded picture, scaled so that its luminance has the wanted deviation where
    the curve's slope would hold."""
    encoded, slope = to_encoded(picture, *curve)
    scale = gain(power((noise * slope).mean(1, keepdim=True)), k["luminance"] ** 2)
    return to_encoded(picture + scale * noise, *curve)[0] - encoded


def sharpened(k, y):
    return (1 + k["sharpen"]) * y - k["sharpen"] * blur(y, k["radius"][:, 0, 0, 0], "wrap")


def smooth_luminance(k, light, y):
    """What the camera's noise reduction leaves of the luminance."""
    coarse = blur(y, k["coarse"][:, 0, 0, 0], "wrap")
    y = reduce(blur(y, k["fine"][:, 0, 0, 0], "wrap"), light, k["keep"], k["edge"])
    y = y * gain(power(y), 1 - k["coarse_share"]) + coarse * gain(power(coarse), k["coarse_share"])
    y = sharpened(k, y)
    return y * gain(power(y), k["luminance"] ** 2)


def smooth_colour(k, light, uv):
    """The same for the two planes of colour."""
    def together(x):
        return power(x).sum(1, keepdim=True)

    fine, wide = k["colour_fine"][:, 0, 0, 0], k["colour_coarse"][:, 0, 0, 0]
    uv = blur(reduce(uv, light, torch.sqrt(k["keep"]), k["edge"]), fine, "wrap")  # edges differ less
    coarse = blur(uv, torch.sqrt((wide ** 2 - fine ** 2).clamp(min=0)), "wrap")
    uv = uv * gain(together(uv), 1 - k["colour_share"]) + coarse * gain(together(coarse), k["colour_share"])
    return uv * gain(together(uv), 2 * (k["luminance"] * k["colour"]) ** 2)


def zoom_matrix(zoom, at, n):
    """As many samples from a window of n / zoom."""
    zoom, at = zoom[:, None], at[:, None]
    u = (torch.arange(n, device=zoom.device) + 0.5) / zoom - 0.5 + at * (n - n / zoom)
    index = torch.floor(u)[..., None] + torch.arange(-1, 3, device=zoom.device)
    return matrix(index.long().clamp(0, n - 1), cubic(u[..., None] - index), n)


def round_bytes(x):
    return torch.round(x * 255) / 255


def edit(k, picture, noisy):
    """What people do to photographs: enlarging, and a second JPEG."""
    def enlarged(x):
        rows, columns = (zoom_matrix(k["zoom"][:, 0, 0, 0], k[at][:, 0, 0, 0], n) for at, n in zip(("at_y", "at_x"), x.shape[2:]))
        return along(x, rows, columns).clamp(0, 1)

    larger, again = k["zoom"] > 1, k["again"] > 0
    picture, noisy = torch.where(larger, enlarged(picture), picture), torch.where(larger, round_bytes(enlarged(noisy)), noisy)
    return tuple(torch.where(again, jpeg(x, *(k[name][:, 0, 0, 0] for name in ("quality2", "halve2", "top2", "left2"))), x)
                 for x in (picture, noisy))


def take(cameras, normals, clean, grey):
    """(noise-free, noisy) photographs of clean pictures of three channels. cameras: n x FIELDS; normals: unit normals in the shape
    of the pictures; grey: the channels are equal and stay so."""
    k = dict(zip(FIELDS, cameras.t()[..., None, None, None]))
    m = cameras[:, FIELDS.index("mix00"):FIELDS.index("mix22") + 1].view(-1, 3, 3)
    # a grey picture's sensor is one plane
    grey = grey[:, None, None, None]
    m = torch.where(grey[..., 0], torch.eye(3, device=m.device), m)
    for name, value in (("mosaic", 0), ("balance0", 1), ("balance2", 1), ("colour", 0)):
        k[name] = torch.where(grey, torch.full_like(k[name], value), k[name])
    normals = torch.where(grey, normals[:, :1], normals)

    curve = k["gamma"], k["toe"], k["contrast"]
    light, noise = expose(k, m, normals, to_linear(clean, *curve))
    picture, slope = to_encoded(light, *curve)
    raw = k["raw"] > 0
    r, g, b = torch.where(raw, develop(k, curve, light, noise), noise * slope).split(1, 1)
    light = picture.mean(1, keepdim=True)
    y, uv = (r + g + b) / 3, torch.cat(((r - b) * 0.70710678, (2 * g - r - b) * 0.40824829), 1)
    fine = k["fine"][:, 0, 0, 0]
    uv = torch.where(raw, blur(uv, fine, "wrap"), smooth_colour(k, light, uv))
    y = torch.where(raw, sharpened(k, blur(y, fine, "wrap")), smooth_luminance(k, light, y))
    u, v = uv[:, :1] * 0.70710678, uv[:, 1:] * 0.40824829
    picture = picture + k["sharpen"] * (light - blur(light, k["radius"][:, 0, 0, 0], "reflect"))
    noisy = (picture + y + torch.cat((u - v, 2 * v, -u - v), 1)).clamp(0, 1)
    picture = picture.clamp(0, 1)
    coded = [jpeg(x, *(k[name][:, 0, 0, 0] for name in ("quality", "halve", "top", "left"))) for x in (picture, noisy)]
    has_jpeg = k["has_jpeg"] > 0
    return edit(k, torch.where(has_jpeg, coded[0], picture), torch.where(has_jpeg, coded[1], round_bytes(noisy)))
