# SPDX-License-Identifier: BSD-2-Clause
"""Pictures into batches. Threads cut crops out of decoded pictures; scaling and corruption happen on the device. What a shard of a
step holds depends on the seed, the step and the shard alone."""
import fnmatch
import functools
import gzip
import os
import threading
from collections import OrderedDict, deque
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import torch

from . import corrupt, levels, patterns
from .image import along, resize, resize_matrix
from .recipe import RecipeError
from .trainer import mix

PICTURES = ("*.png", "*.jpg", "*.jpeg", "*.webp", "*.tif", "*.tiff", "*.bmp", "*.ppm", "*.pgm", "*.pnm")
IDX = ("*-ubyte", "*.idx", "*-ubyte.gz", "*.idx.gz")
MIN_EDGE = 16           # smaller pictures are not worth learning from
HOLDOUT_PIXELS = 1 << 19
CROPS_A_VISIT = 64      # crops taken from a picture while it is in the window
ORDER, HOLDOUT, PATTERNS = 1, 2, 5  # purposes of generators beside steps
LUMA = (0.299, 0.587, 0.114)


class DataError(ValueError):
    pass


def is_named(path, patterns):
    return any(fnmatch.fnmatch(os.path.basename(path).lower(), p) for p in patterns)


def read_idx(path):
    """Pictures of an IDX file, N x H x W x C; None where it holds something else."""
    with (gzip.open if path.endswith(".gz") else open)(path, "rb") as f:
        data = f.read()
    if len(data) < 4 or data[:3] != b"\0\0\x08" or data[3] not in (3, 4):
        return None
    shape = tuple(np.frombuffer(data, ">u4", data[3], 4).tolist())
    return np.frombuffer(data, "u1", int(np.prod(shape)), 4 + 4 * data[3]).reshape(shape + (1,) * (4 - len(shape)))


def read_picture(path):
    """H x W x C of 8 bits, C 1 or 3."""
    from PIL import Image
    with Image.open(path) as picture:
        grey = picture.mode in ("1", "L", "LA") or picture.mode.startswith("I") or picture.mode == "F"
        if picture.mode.startswith("I"):
            return (np.asarray(picture).astype("i8") >> 8).clip(0, 255).astype("u1")[..., None]
        pixels = np.asarray(picture.convert("L" if grey else "RGB"))
    return pixels.reshape(*pixels.shape[:2], -1)


class Pictures:
    """Decoded items, kept up to a number of bytes; least recently used ones go first."""

    def __init__(self, paths, least, cache_bytes, pictures=()):
        self.items, self.names, self.kept, self.bytes = list(pictures), ["%d" % i for i in range(len(pictures))], OrderedDict(), 0
        self.least, self.limit, self.lock, self.bad = least, cache_bytes, threading.Lock(), set()
        for path in paths:
            found = [path]
            if os.path.isdir(path):
                found = sorted(os.path.join(folder, f) for folder, _, files in os.walk(path) for f in files)
                found = [f for f in found if is_named(f, PICTURES + IDX)]
            for f in found:
                many = read_idx(f) if is_named(f, IDX) else None
                if many is not None:
                    self.items += list(many)
                    self.names += ["%s[%d]" % (os.path.basename(f), i) for i in range(len(many))]
                elif not is_named(f, IDX):
                    self.items.append(f)
                    self.names.append(os.path.basename(f))
        if not self.items:
            raise DataError("no picture among the data")

    def get(self, i):
        """The picture, or None where it cannot be used."""
        if isinstance(self.items[i], np.ndarray):
            return self.items[i]
        with self.lock:
            if i in self.bad:
                return None
            if i in self.kept:
                self.kept.move_to_end(i)
                return self.kept[i]
        try:
            picture = read_picture(self.items[i])
            if picture.shape[0] < self.least[0] or picture.shape[1] < self.least[1]:
                raise DataError("%d x %d pixels are too few" % (picture.shape[1], picture.shape[0]))
        except (OSError, ValueError, SyntaxError) as e:
            print("%s: %s" % (self.items[i], e), flush=True)
            with self.lock:
                self.bad.add(i)
            return None
        with self.lock:
            if i not in self.kept:
                self.kept[i] = picture
                self.bytes += picture.nbytes
            while self.bytes > self.limit and len(self.kept) > 1:
                self.bytes -= self.kept.popitem(last=False)[1].nbytes
        return picture


def mirror(i, n):
    i = i % (2 * n)
    return np.where(i < n, i, 2 * n - 1 - i)


@functools.lru_cache(4)
def order(seed, round, n):
    return np.random.default_rng((seed, ORDER, round)).permutation(n)


class Loader:
    def __init__(self, r, pictures, trainer, threads=4):
        graph = r.networks[0].graph
        self.r, self.pictures, self.seed, self.device = r, pictures, trainer.seed, trainer.device
        self.n_shards, self.shard_size = trainer.n_shards, trainer.n_local // trainer.n_shards
        self.first = trainer.rank * trainer.n_shards
        self.inputs = [n for n in graph.nodes if n.op == "input"]
        image = next(n for n in self.inputs if n.name == "image")
        if image.out not in (1, 3):
            raise RecipeError("input 'image' has %d channels; pictures have 1 or 3" % image.out)
        self.c, self.scale = image.out, r.scale
        self.h, self.w = image.height or r.data.crop // r.scale, image.width or r.data.crop // r.scale
        corrupt.check(r, self.h, self.w)
        self.margin = 4 * r.scale if r.task == "superres" else 0
        self.pool, self.queue, self.threads = ThreadPoolExecutor(threads), deque(), threads
        self.split()

    @staticmethod
    def least(r):
        image = next(n for n in r.networks[0].graph.nodes if n.name == "image")
        return min(MIN_EDGE, image.height or MIN_EDGE), min(MIN_EDGE, image.width or MIN_EDGE)

    def split(self):
        """The hold-out, which the seed does not change, and the size of the window that crops come from where not all pictures fit
        in memory."""
        n, pixels = len(self.pictures.items), self.h * self.w * self.scale ** 2
        order = [int(i) for i in np.random.default_rng((HOLDOUT, n)).permutation(n)]
        wanted = max(1, min(int(self.r.train.holdout * n), max(32, HOLDOUT_PIXELS // pixels)))
        self.holdout = []
        while len(self.holdout) < wanted and order:
            i = order.pop(0)
            if self.pictures.get(i) is not None:
                self.holdout.append(i)
        if not self.holdout:
            raise DataError("none of the %d pictures can be learned from" % n)
        self.training = order or self.holdout[:1]
        self.crops_each = 1 if len(self.holdout) >= 16 else min(4, 16 // len(self.holdout))
        size = sum(self.pictures.get(i).nbytes for i in self.holdout) / len(self.holdout)
        self.window = min(len(self.training), max(4, int(0.8 * self.pictures.limit / size)))

    # ---- on the host ----

    def pick(self, step, draw):
        """Training pictures to try in turn. Where not all fit in memory they come from a window that moves on slowly through an
        endless sequence of rounds, each in an order of its own."""
        n = len(self.training)
        for tries in range(n):
            if self.window == n:
                yield self.training[(draw + tries) % n]
                continue
            place = step * self.r.train.batch // CROPS_A_VISIT + draw % self.window + tries
            yield self.training[order(self.seed, place // n, n)[place % n]]

    def cut(self, picture, rng, crop):
        """A piece of a picture and its size before scaling; crop < 0 in training, else which of the validation crops it is."""
        turn, scale, v, u = int(rng.integers(8)), rng.uniform(*self.r.data.scale), rng.random(), rng.random()
        out = self.h * self.scale, self.w * self.scale
        scale = self.r.data.scale[0] if crop >= 0 else scale
        turn = turn if self.r.data.augment and crop < 0 else 0
        transpose = bool(turn & 4) and out[0] == out[1]
        edges = picture.shape[1::-1] if transpose else picture.shape[:2]
        most = min(edges[0] / out[0], edges[1] / out[1])
        if scale > most:  # small pictures are not scaled down below the crop
            scale = min(scale, 1) if most < 1 else most
        size = [max(1, round((n + 2 * self.margin) * scale)) for n in out]
        size, places = size[::-1] if transpose else size, (0.5, 0.5) if crop == 0 else (v, u)
        at = []
        for n, whole, place in zip(size, picture.shape, places):
            room = whole - n + 2 * self.margin * scale  # the margin may lie outside
            at.append(int(np.floor(place * (room + 1) - self.margin * scale)) if room > 0 else -((n - whole) // 2))
        (y, x), (h, w) = at, size
        if y >= 0 and x >= 0 and y + h <= picture.shape[0] and x + w <= picture.shape[1]:
            piece = picture[y:y + h, x:x + w]
        else:
            piece = picture[mirror(np.arange(y, y + h), picture.shape[0])[:, None], mirror(np.arange(x, x + w), picture.shape[1])]
        piece = piece.swapaxes(0, 1) if transpose else piece
        return piece[::-1 if turn & 2 else 1, ::-1 if turn & 1 else 1]

    def draw(self, rng, n, fixed):
        """The corruptions' draws, which filter makes the small picture, and the strength that is told."""
        drawn, strength = corrupt.draw(rng, self.r, n, fixed), self.r.data.strength
        filters = rng.integers(len(self.r.data.filters), size=n)
        return drawn + [filters, (np.full(n, strength[1]) if fixed else rng.uniform(*strength, n)).clip(0, 1).astype("f4")]

    def gather(self, samples, quality, draws, seeds):
        """samples: pieces with whether they are to be grey; quality: in 0..1; draws: see draw; seeds: of the device's
        generators and how many samples each is for."""
        size = np.array([p.shape[:2] for p, _ in samples])
        grey = np.array([self.c == 3 and (p.shape[2] == 1 or g) for p, g in samples])
        c = 1 if self.c == 1 and all(p.shape[2] == 1 for p, _ in samples) else 3
        pixels = np.zeros((len(samples), *size.max(0), c), "u1")
        for to, (p, _) in zip(pixels, samples):
            to[:p.shape[0], :p.shape[1]] = p
        tensors = [torch.from_numpy(a) for a in [pixels, size, grey, quality.astype("f4"), *draws]]
        if self.device.type == "cuda":
            tensors = [t.pin_memory() for t in tensors]
        return SimpleNamespace(tensors=tensors, seeds=seeds)

    def training_batch(self, step):
        samples, draws, seeds = [], [], []
        for shard in range(self.first, self.first + self.n_shards):
            rng = np.random.default_rng((self.seed, step, shard, 3))
            other = np.random.default_rng((self.seed, step, shard, PATTERNS))
            for _ in range(self.shard_size):
                if self.r.data.patterns > 0 and other.random() < self.r.data.patterns:  # pixel for pixel
                    size = [n * self.scale + 2 * self.margin for n in (self.h, self.w)]
                    piece = patterns.draw(self.seed, int(other.integers(1 << 63)), *size)
                    samples.append((piece, rng.random() < self.r.data.grey))
                    continue
                pictures = map(self.pictures.get, self.pick(step, int(rng.integers(1 << 62))))
                picture = next((p for p in pictures if p is not None), None)
                if picture is None:
                    raise DataError("none of the pictures can be used")
                samples.append((self.cut(picture, rng, -1), rng.random() < self.r.data.grey))
            draws.append(self.draw(rng, self.shard_size, False))
            seeds.append((mix(self.seed, step, shard, 4), self.shard_size))
        # evenly spread from a point drawn for the step: each sample's is uniform, the batch has all of them
        quality = np.random.default_rng((self.seed, step, 3)).random() + np.arange(len(samples)) / self.r.train.batch
        quality = (quality + self.first * self.shard_size / self.r.train.batch) % 1
        return self.gather(samples, quality, [np.concatenate(d) for d in zip(*draws)], seeds)

    def validation(self):
        """The fixed validation set, batch by batch: the last one may be smaller."""
        places = [(i, k) for i in self.holdout for k in range(self.crops_each)]
        for at in range(0, len(places), self.r.train.batch):
            rng, part = np.random.default_rng((HOLDOUT, at)), places[at:at + self.r.train.batch]
            samples = [(self.cut(self.pictures.get(i), rng, k), False) for i, k in part]
            draws, quality = self.draw(rng, len(part), True), (at + np.arange(len(part)) + 0.5) / len(places)
            yield self.render(self.gather(samples, quality, draws, [(mix(HOLDOUT, at), len(part))]))

    def start(self, step):
        self.step = step

    def next(self):
        """The batch of the next step; those after it are being cut meanwhile."""
        while len(self.queue) < self.threads + 2:
            self.queue.append(self.pool.submit(self.training_batch, self.step))
            self.step += 1
        return self.render(self.queue.popleft().result())

    def close(self):
        for future in self.queue:
            future.cancel()
        self.pool.shutdown()

    # ---- on the device ----

    @torch.no_grad()
    def render(self, host):
        pixels, size, grey, quality, *draws, chosen, strength = (t.to(self.device, non_blocking=True) for t in host.tensors)
        r, m = self.r, self.margin
        generators = [(torch.Generator(self.device).manual_seed(seed), n) for seed, n in host.seeds]

        def random(function, *shape):
            return torch.cat([function(n, *shape, generator=g, device=self.device) for g, n in generators])

        def luma(x):
            return sum(f * x[:, i:i + 1] for i, f in enumerate(LUMA))

        def strip(x, margin):
            return x[:, :, margin:x.shape[2] - margin, margin:x.shape[3] - margin]

        out = [n * self.scale + 2 * m for n in (self.h, self.w)]
        x = pixels.permute(0, 3, 1, 2).contiguous().float().div_(255)
        if (host.tensors[1].numpy() != out).any():
            x = along(x, *(resize_matrix(size[:, a], out[a], x.shape[2 + a]) for a in range(2))).clamp_(0, 1)
        if x.shape[1] > self.c:
            x = luma(x)
        if self.c == 3:
            x = torch.where(grey[:, None, None, None], luma(x), x)
        base, keep = None, 1 - strength[:, None, None, None]
        if r.task == "superres":
            small = [resize(x, out[0] // r.scale, out[1] // r.scale, f) for f in r.data.filters]
            small = torch.stack(small)[chosen, torch.arange(len(x), device=x.device)]
            small = small.clamp_(0, 1).mul_(255).round_().div_(255)  # as the 8 bits of a file
            _, noisy, told = corrupt.corrupt(r, draws, small, grey, random)
            image = strip(noisy, m // r.scale)
            if r.data.strength[1] > 0:
                x = x + keep * resize(noisy - small, *out)
            target = strip(x, m)
            if r.residual:
                base = strip(resize(noisy, *out), m)
        else:
            target, image, told = corrupt.corrupt(r, draws, x, grey, random)
            if r.data.curve:  # the noise of files: what falls outside is clipped, which the curve shows
                image = image.clamp(0, 1).mul(255).round().div(255)
            base = image if r.residual else None
            if r.data.strength[1] > 0:
                target = target + keep * (image - target)
        level = told[:, :, None, None].expand(-1, -1, self.h, self.w)
        told = {("image", self.c): image, ("level", 1): level[:, :1], ("level", 2): level[:, 1:],
                ("quality", 1): quality[:, None, None, None]}
        if r.data.curve:
            for c in (1, 2):
                told["level", c] = levels.told(image, target, level[:, 0, 0, 0], draws[-1], c)
        if r.data.strength[1] > 0:
            told["level", 1] = strength[:, None, None, None].expand(-1, 1, self.h, self.w)
        return SimpleNamespace(inputs=[told[n.name, n.out] for n in self.inputs], target=target, base=base, quality=quality)
