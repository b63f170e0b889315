# SPDX-License-Identifier: BSD-2-Clause
"""models/torch against the C library: test_torch.py TORCHHELPER"""
import contextlib
import itertools
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

try:
    import numpy as np
    import torch
    import yaml
except ImportError as e:
    print("skipped: %s; install python3-torch, python3-yaml and python3-numpy" % e)
    sys.exit(77)

from models.torch import aem, camera, codec, codec_rd, data, patterns, recipe as recipes
from models.torch.graph import ACTS, MANY, OPS
from models.torch.join import Joined
from models.torch.network import Network
from models.torch.trainer import OPTIMIZERS, Trainer, rate_at

ROOT = Path(__file__).resolve().parents[2]
RECIPES = sorted((ROOT / "models" / "recipes").rglob("*.yaml"))
HELPER = sys.argv.pop(1) if len(sys.argv) > 1 else ""
TOLERANCE = 1e-4

HEAD = "recipe: 1\nname: test\ntask: %s\nnetworks:\n  - name: net\n    inputs: [{name: image, channels: 3%s}]\n    layers:\n"
EVERY_OP = HEAD % ("autoencode", "") + """
      - {name: a, op: conv, out: 8, kernel: [3, 5], groups: 1, act: leaky, slope: 0.2}
      - {op: conv, groups: 8, dilation: 2, act: silu}
      - {op: conv, kernel: [2, 3], dilation: [3, 1], pad: causal}
      - {name: n, op: batchnorm, act: relu}
      - {name: l, op: layernorm, from: [a]}
      - {op: concat, from: [n, l]}
      - {op: conv, out: 8, stride: [2, 1], act: gelu, param: shared}
      - {op: deconv, out: 8, stride: [2, 1], kernel: [2, 3], pad: [0, 1], act: tanh, groups: 2, add: n}
      - {name: b, op: residual, repeat: 2, act: softplus, init: identity, pad: causal}
      - {op: maxpool, kernel: 3, stride: 2, pad: 1}
      - {op: deconv, out: 8, kernel: [4, 2], stride: 2, pad: causal}
      - {name: c, op: conv}
      - {op: avgpool, kernel: 4, stride: 2, pad: [causal, 1]}
      - {op: bilinear}
      - {name: d, op: add, from: [previous, c, n]}
      - {name: gate, op: avgpool, kernel: 8, from: [c], act: sigmoid}
      - {op: nearest, factor: 8}
      - {op: mul, from: [d, previous], add: d}
      - {op: scale, value: 0.5}
      - {op: crop, first: 2, out: 4}
      - {op: unshuffle}
      - {op: act, act: leaky}
      - {op: shuffle, factor: 4}
      - {op: unshuffle, factor: 4}
      - {op: normalise, param: n0}
      - {name: tied, op: conv, out: 6, kernel: 2, stride: 2, pad: 0, act: relu, init: xavier}
      - {op: deconv, out: 16, param: tied, transpose: true}
      - {op: denormalise, param: n0}
      - {op: conv, out: 12, kernel: 1, init: orthogonal}
      - {op: softmax}
      - {name: g, op: gru, out: 6, init: orthogonal}
      - {op: flip}
      - {op: lstm, out: 5, act: relu}
      - {name: t, op: last}
      - {op: repeat_time, from: [t, g]}
      - {op: concat, from: [previous, g]}
      - {name: small, op: conv, out: 12, kernel: 1, act: none}
      - {name: picture, op: shuffle, factor: 2}
    outputs: [picture, gate, b.1]
data: {crop: 16}
train: {batch: 4, shards: 1, optimizer: adam, decay: 0.01, beta1: 0.8, ema: 0.9, clip: 0.5}
loss: [{kind: l1, weight: 0.5}, {kind: tv, weight: 0.1}, {kind: charbonnier}, {kind: luma, weight: 0.7}, {kind: psnr, weight: 0.02}, {kind: cross_entropy, weight: 0.05}]
penalties: [{kind: l1, weight: 0.1}, {kind: l2, weight: 0.2}, {kind: l2, weight: 0.3, node: c}]
"""
FIXED = HEAD % ("autoencode", ", height: 6, width: 4") + """
      - {name: gate, op: dense, out: 4, act: sigmoid}
      - {name: half, op: conv, out: 4, stride: [2, 1], from: [image]}
      - {op: mul, from: [half, gate]}
      - {op: add, from: [gate, previous, half]}
      - {name: code, op: dense, out: 10, act: sigmoid}
      - {op: dense, out: 72, act: sigmoid}
      - {op: reshape, height: 3, width: 4, channels: 6}
      - {op: reshape, height: 6, width: 4, channels: 3}
train: {batch: 8, shards: 4, optimizer: sgd, clip: 0, ema: 0.5}
loss: [{kind: bce}, {kind: mse, weight: 2}]
penalties: [{kind: kl_sparse, weight: 0.1, target: 0.1, node: code}, {kind: l1, weight: 0.1, node: code}, {kind: jacobian, weight: 0.02, node: code}]
"""
NORMALISED = HEAD % ("autoencode", "") + """
      - {op: conv, out: 8}
      - {op: batchnorm, act: relu}
      - {op: conv, out: 3}
data: {crop: 8}
train: {batch: 8, shards: 4}
"""
# terms on layers and against them, masked, summed, on weights; a side network that shares parameters; a critic to be fooled
TERMS = HEAD % ("autoencode", ", height: 6, width: 4") + """
      - {name: seen, op: flip}
      - {name: mask, op: crop, out: 1}
      - {name: wide, op: dense, out: 12, act: sigmoid, from: [seen]}
      - {name: code, op: dense, out: 5, act: tanh}
      - {name: back, op: dense, out: 72, act: sigmoid}
      - {op: reshape, height: 6, width: 4, channels: 3}
  - name: side
    inputs: [{name: x, channels: 12, height: 1, width: 1, from: wide}]
    layers: [{name: out, op: dense, out: 72, act: sigmoid}]
  - name: critic
    inputs: [{name: x, channels: 5, height: 1, width: 1}]
    layers: [{op: dense, out: 8, act: tanh}, {op: dense, out: 1}]
terms:
  - {kind: mse, mask: mask}
  - {name: sums, kind: bce, weight: 0.01, over: sum}
  - {name: outer, kind: l1, on: side.out, to: image, weight: 0.2}
  - {name: inner, kind: mse, on: side.out, to: seen, weight: 0.3}
  - {name: self, kind: charbonnier, on: side.out, to: back, weight: 0.1}
  - {name: small, kind: l1, on: code, to: 0.25, weight: 0.1}
  - {name: decay, kind: mse, on: weights, weight: 0.1}
  - {name: fool, kind: adversary, on: code, by: critic, aim: fool, weight: 0.5}
train: {batch: 8, shards: 4, optimizer: adamw, clip: 0, ema: 0.5}
"""
# random nodes whose draws have no effect
CALM = HEAD % ("autoencode", "") + """
      - {name: mean, op: conv, out: 6}
      - {op: dropout, value: 0}
      - {op: act, act: sigmoid}
      - {name: spread, op: scale, value: -200}
      - {op: gaussian, from: [mean, spread]}
      - {op: scale, value: 4}
      - {op: round}
      - {op: conv, out: 3}
data: {crop: 8}
train: {batch: 4, shards: 2}
penalties: [{kind: kl_normal, weight: 0.0001, node: mean, logvar: spread}]
"""
ENLARGING = (HEAD % ("superres", "")).replace("task:", "residual: true\nscale: 2\ntask:") + """
      - {op: conv, out: 8, act: relu}
      - {op: residual, gate: all}
      - {op: residual, gate: last}
      - {op: conv, out: 12, gate: last, gate_act: clip}
      - {op: shuffle}
data: {crop: 16}
train: {batch: 4, shards: 2}
"""
CODING = HEAD % ("compress", "}, {name: quality, channels: 1, height: 1, width: 1") + """
      - {name: pixels, op: unshuffle, from: [image]}
      - {name: y, op: conv, out: 16, kernel: 2, stride: 2, pad: 0, init: dct}
      - {name: step, op: embed, out: 12, factor: 3, value: -0.5, slope: -1, init: dct, first: 4, from: [quality]}
      - {name: tone, op: embed, out: 16, factor: 2, from: [quality]}
      - {name: m, op: conv, from: [y]}
      - {op: add, from: [m, tone], act: leaky}
      - {name: s, op: conv, out: 12, kernel: 1, init: zero}
      - {name: part, op: crop, first: 4, out: 12, from: [y]}
      - {name: mean, op: crop, first: 0, out: 12, from: [m]}
      - {name: even, op: quantise, parity: even, from: [part, mean, step]}
      - {name: price, op: bits, parity: even, from: [part, mean, s, step]}
      - {name: odd, op: quantise, parity: odd, from: [part, even, step]}
      - {name: odd_price, op: bits, parity: odd, from: [part, even, s, step]}
      - {name: flat, op: crop, first: 0, out: 1, from: [tone]}
      - {name: dc, op: crop, first: 0, out: 1, from: [y]}
      - {name: all, op: quantise, from: [dc, flat, flat]}
      - {name: all_price, op: bits, from: [dc, flat, flat, flat]}
      - {name: code, op: add, from: [even, odd]}
      - {op: concat, from: [all, code]}
      - {op: conv, out: 48, kernel: 1, init: dct_inverse}
      - {op: shuffle, factor: 4}
    outputs: [previous, price, odd_price, all_price]
data: {crop: 16}
train: {batch: 4, shards: 2}
loss: [{kind: rate_distortion, lambda: [0.001, 0.1]}]
"""
TOLD = (HEAD % ("denoise", "}, {name: level, channels: 2")) + """
      - {op: concat, from: [image, level]}
      - {op: conv, out: 3}
data: {crop: 24, scale: [1, 1.5], grey: 0.2, clean: 0.1}
train: {batch: 16, shards: 4}
corruption: [%s]
"""
MATRICES = HEAD % ("autoencode", "") + """
      - {op: conv, out: 16, act: relu}
      - {op: conv, out: 40, kernel: 1, act: relu}
      - {op: conv, out: 20, act: tanh}
      - {op: conv, out: 3}
train: {batch: 4, shards: 2, optimizer: muon, decay: 0.01, clip: 0}
"""
INTEGERS = CODING.replace("shards: 2}", "shards: 2, integer: true}")
# what the tables hold: every activation, and every operator that reads one layer, keeps its shape and needs nothing
ALONE = [op for op in OPS[2:] if op not in (*recipes.NEEDS, *recipes.TAKES, *MANY, "last", "round", "argmax")]
TABLES = HEAD % ("autoencode", "") + "".join("      - {op: conv, out: 8, act: %s}\n" % act for act in ACTS) + "".join(
    "      - {op: %s}\n      - {op: conv, out: 8, kernel: 1}\n" % op for op in ALONE) + """      - {op: conv, out: 3}
data: {crop: 16}
train: {batch: 2, shards: 1}
"""
# what the other tables hold: every loss of single samples, every optimiser
LOSSES = FIXED[:FIXED.index("loss:")] + "loss: [%s]\n" % ", ".join("{kind: %s, weight: 0.5}" % kind for kind in recipes.ALONE)
OPTIMIZED = {
    "optimizer " + name: MATRICES.replace("optimizer: muon", "optimizer: " + name) + "loss: [{kind: mse}]\n" for name in recipes.OPTIMIZERS}
TEXTS = {"losses": LOSSES, "matrices": MATRICES, **OPTIMIZED, "tables": TABLES, "every operator": EVERY_OP, "fixed size": FIXED, "batch statistics": NORMALISED, "calm": CALM,
         "terms": TERMS, "enlarging": ENLARGING, "coding": CODING, "integers": INTEGERS,
         **{p.stem: p.read_text() for p in RECIPES}}
# Where random nodes have an effect in training each side has draws of its own (test_random_nodes looks at those).
DRAWS = re.compile(r"op: gaussian|op: dropout, value: 0\.")
REPEATABLE = {name: text for name, text in TEXTS.items() if "to: label" not in text and (text is CALM or not DRAWS.search(text))}


def mix64(x):
    whole = (1 << 64) - 1
    x = (x + 0x9e3779b97f4a7c15) & whole
    x = ((x ^ x >> 30) * 0xbf58476d1ce4e5b9) & whole
    x = ((x ^ x >> 27) * 0x94d049bb133111eb) & whole
    return x ^ x >> 31


def draws_of(seed, node):
    """What the C library draws for a random node, 24 bits each: lib/core/rng.h."""
    whole = (1 << 64) - 1
    s = [mix64(mix64(mix64(mix64(seed) ^ node)))]
    for _ in range(3):
        s.append(mix64(s[-1]))
    while True:
        t, v = s[1] << 17 & whole, s[1] * 5 & whole
        yield (((v << 7 | v >> 57) & whole) * 9 & whole) >> 40
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = (s[3] << 45 | s[3] >> 19) & whole


def c_noise(graph, seeds):
    """Stands in for codec.noise: one draw for each position that counts, row by row, in shards of these seeds."""
    nodes = (i for i, n in enumerate(graph.nodes) if n.op == "bits")

    def noise(like):
        node, n = next(nodes), like.numel() // len(seeds)
        draws = [list(itertools.islice(draws_of(seed, node), n)) for seed in seeds]
        return torch.tensor(draws).view(like.shape) / (1 << 24) - 0.5
    return noise


def nhwc(x):
    return x.detach().permute(0, 2, 3, 1).contiguous().numpy()


class Comparison(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.at = Path(self.folder.name)

    def tearDown(self):
        self.folder.cleanup()

    def helper(self, *args):
        p = subprocess.run([HELPER, *map(str, args)], capture_output=True, text=True)
        self.assertEqual(p.returncode, 0, p.stderr)
        return p.stdout.strip()

    def run_helper(self, job, *args, data):
        with open(self.at / "in", "wb") as f:
            for array in data:
                f.write(np.ascontiguousarray(array, "<f4").tobytes())
        self.helper(job, *args, self.at / "in", self.at / "out")
        return np.fromfile(self.at / "out", "<f4")

    def near(self, ours, theirs, what, floor=0.0):
        """Largest error over the largest magnitude."""
        ours, theirs = np.asarray(ours, "f8").ravel(), np.asarray(theirs, "f8").ravel()
        self.assertEqual(ours.shape, theirs.shape, what)
        error, largest = np.abs(ours - theirs).max(initial=0), max(floor, np.abs(theirs).max(initial=0))
        self.assertTrue(error <= TOLERANCE * largest, "%s: %g beside %g" % (what, error, largest))

    def model(self, text, seed=1):
        """Recipe, parameters all different from their initial values, and the file of both."""
        r, draw = recipes.parse(text), np.random.default_rng(seed)
        values, joined = [], Joined(r)
        for p, t in ((p, t) for n in [Network(joined.graph, seed)] for p, t in zip(n.params, n.tensors)):
            spread = 0.5 * t.std().item() if t.numel() > 1 and t.std() > 0 else 0.1
            values.append(t.detach().numpy().ravel() + spread * draw.uniform(-1, 1, t.numel()))
        values = np.concatenate(values).astype("f4")
        aem.write(self.at / "model.aem", text, "seed: %d\n" % seed, joined.to_model(values))
        return r, values, self.at / "model.aem"

    def pictures(self, r, n, edge, seed=2):
        """Inputs of the first network and a picture of its output's shape; enough for comparing."""
        draw = torch.Generator().manual_seed(seed)
        graph = r.networks[0].graph
        shapes = graph.shapes(edge, edge)

        def uniform(i):
            x = torch.rand((n, shapes[i][2], *shapes[i][:2]), generator=draw)
            return x * 0.4 if graph.nodes[i].name == "quality" else x  # large steps, so that rounding meets no tie
        return [uniform(i) for i, node in enumerate(graph.nodes) if node.op == "input"], [uniform(i) for i in graph.outputs]

    def test_gradients(self):
        for name, text in REPEATABLE.items():
            with self.subTest(name):
                r, values, path = self.model(text)
                edge = 64 if r.task == "compress" else 16
                inputs, d_outputs = self.pictures(r, 2, edge)
                d_outputs = [d - 0.5 for d in d_outputs]
                network = Network(r.networks[0].graph)
                network.load(values[:sum(t.numel() for t in network.tensors)])  # the leading ones of the joined graph
                with mock.patch.object(codec, "noise", c_noise(network.graph, [1])):
                    outputs = network(*inputs)
                sum((o * d).sum() for o, d in zip(outputs, d_outputs)).backward()
                statistics, at = dict(network.statistics), 0
                found = self.run_helper("gradients", path, 2, edge, edge, data=[nhwc(x) for x in inputs + d_outputs])
                frozen = network.eval()(*inputs)

                def compare(ours, what, floor=0.0):
                    nonlocal at
                    self.near(ours, found[at:at + ours.size], "%s: %s" % (name, what), floor)
                    at += ours.size

                for i, o in enumerate(outputs):
                    compare(nhwc(o), "output %d" % i)
                largest = max(t.grad.abs().max().item() for t in network.tensors if t.grad is not None)
                for p, t in zip(network.params, network.tensors):
                    gradient = t.grad.numpy().ravel() if p.trainable else statistics[p.name].numpy()
                    compare(gradient, "gradient of " + p.name, 0.01 * largest)
                for i, o in enumerate(frozen):
                    compare(nhwc(o), "output %d at inference" % i)
                self.assertEqual(at, found.size)

    def test_step(self):
        for name, text in REPEATABLE.items():
            with self.subTest(name):
                self.compare_step(name, text if "validate_every" not in text else self.small(text))

    def test_random_nodes(self):
        outputs = "    outputs: [previous, dropout.2, gaussian.5, mean, spread]\ndata:"
        r = recipes.parse(CALM.replace("value: 0}", "value: 0.25}").replace("data:", outputs))
        network = Network(r.networks[0].graph)
        network.load(np.concatenate([np.full(t.numel(), v, "f4") for t, v in zip(network.tensors, (0, 0.5, 2, 1, 0, 0))]))
        torch.manual_seed(1)
        _, dropped, drawn, mean, spread = network(torch.rand(16, 3, 32, 32))
        kept = dropped != 0
        self.assertLess(abs(kept.float().mean().item() - 0.75), 0.01)
        self.assertLess((dropped[kept] - mean[kept] / 0.75).abs().max().item(), 1e-6)
        unit = (drawn - mean) / torch.exp(spread / 2)
        self.assertTrue(abs(unit.mean().item()) < 0.01 and abs(unit.std().item() - 1) < 0.01)
        _, dropped, drawn, mean, _ = network.eval()(torch.rand(1, 3, 8, 8))
        self.assertTrue(torch.equal(dropped, mean) and torch.equal(drawn, mean))

    def test_bf16(self):
        """Every operator computes under autocast, close to f32; masters and gradients stay f32."""
        for text in (EVERY_OP, FIXED):
            r, values, _ = self.model(text)
            inputs, outputs = self.pictures(r, r.train.batch, r.data.crop)
            found = []
            for bf16 in (False, True):
                trainer = Trainer(r, bf16=bf16)
                trainer.load(values)
                found.append(trainer.step(SimpleNamespace(inputs=inputs, target=outputs[0], base=None), 0, 1e-3))
                self.assertTrue(all(t.dtype == torch.float32 for t in trainer.network.tensors))
            (loss, norm, _, _), (bf16_loss, bf16_norm, _, _) = found
            self.assertTrue(abs(bf16_loss - loss) < 0.02 * loss and abs(bf16_norm - norm) < 0.1 * norm, found)
            self.assertNotEqual(bf16_loss, loss)

    def test_transform(self):
        """Orthonormal but for the size of the components, which stand in falling order; the inverse takes it back."""
        b, gain = codec.basis(3, 8, 192)
        self.assertLess((b.view(192, -1) @ b.view(192, -1).t() - torch.eye(192)).abs().max().item(), 1e-12)
        self.assertTrue((gain.diff() >= 0).all().item() and gain[0] == 0.5)
        text = HEAD % ("autoencode", "") + """
      - {op: unshuffle, factor: %d}
      - {op: conv, out: %d, kernel: %d, stride: %d, pad: 0, init: dct}
      - {op: conv, out: 192, kernel: 1, init: dct_inverse}
      - {op: shuffle, factor: 8}
"""
        y, x = torch.meshgrid(torch.arange(32.0), torch.arange(24.0), indexing="ij")
        picture = torch.stack((0.5 + 0.4 * torch.sin(x / 9), 0.4 + 0.3 * torch.cos(y / 12), x * y / 1500))[None]
        found = []
        for factor, count in ((4, 192), (2, 192), (4, 30), (8, 30)):
            k = 8 // factor
            network = Network(recipes.parse(text % (factor, count, k, k)).networks[0].graph)
            found.append(network(picture)[0].detach())
        self.assertLess((found[0] - picture).abs().max().item(), 1e-5)
        self.assertLess((found[1] - picture).abs().max().item(), 1e-5)
        self.assertLess((found[2] - found[3]).abs().max().item(), 1e-5)
        error = (found[2] - picture).square().mean().sqrt().item()
        self.assertTrue(1e-4 < error < 0.05, error)  # smooth: a sixth of the components hold nearly all

    def test_price(self):
        """Bits against their definition; their gradients by differences; what is clamped."""
        y = torch.tensor([0.0, 0.4, -3.2, 700.0], dtype=torch.float64).view(1, 1, 2, 2).repeat(2, 1, 1, 1)
        zero = torch.zeros(2, 1, 1, 1, dtype=torch.float64)
        normal = torch.distributions.Normal(torch.tensor(0.0, dtype=torch.float64), 2.0)
        bits = codec.Bits.apply(y, zero, zero + 1, zero, "all", False)[0].view(-1)
        wanted = [-torch.log2(normal.cdf(torch.tensor(n + 0.5)) - normal.cdf(torch.tensor(n - 0.5))).item() for n in (0, 0, -3)]
        self.near(bits.tolist(), wanted + [24], "bits")
        even = codec.Bits.apply(y, zero, zero + 1, zero, "even", False)[0].view(-1)
        self.assertEqual(even.tolist(), [bits[0].item(), 0, 0, bits[3].item()])
        draw = torch.Generator().manual_seed(5)

        def some(h, w, spread):
            return (torch.randn(2, 3, h, w, dtype=torch.float64, generator=draw) * spread).requires_grad_(True)

        inputs = some(3, 5, 0.3), some(3, 5, 0.3), some(3, 5, 0.3), some(1, 1, 0.3)
        for parity in ("all", "even", "odd"):
            with mock.patch.object(codec, "noise", lambda like: torch.linspace(-0.5, 0.5, like.numel()).double().view(like.shape)):
                self.assertTrue(torch.autograd.gradcheck(lambda *a: codec.Bits.apply(*a, parity, True), inputs))
        for log_scale, pulled in ((-9.0, 1.0), (20.0, 1e5)):  # clamped scales: only what would bring them back
            for v, passes in ((0.0, False), (pulled, True)):
                s = torch.full((1, 1, 1, 1), log_scale, dtype=torch.float64, requires_grad=True)
                codec.Bits.apply(zero[:1] + v, zero[:1], s, zero[:1], "all", False).sum().backward()
                self.assertEqual(s.grad.item() != 0, passes if log_scale < 0 else not passes, (log_scale, v))
        y, mean, step = some(3, 5, 3), some(3, 5, 1), some(1, 1, 0.3)
        q = codec.Quantise.apply(y, mean, step, "odd")
        q.sum().backward()
        places = (torch.arange(3)[:, None] + torch.arange(5)) % 2
        self.assertTrue(torch.equal(y.grad, places.expand(2, 3, 3, 5).double()) and mean.grad is None)
        self.assertTrue(torch.equal(q == 0, (places == 0).expand(2, 3, 3, 5)))
        v = (y - mean) / torch.exp2(step)
        self.near((q.detach() - mean.detach()) * places, (torch.exp2(step) * torch.round(v) * places).detach(), "quantise")
        slope = ((torch.round(v) - v) * torch.exp2(step) * np.log(2) * places).sum((2, 3), keepdim=True)
        self.near(step.grad, slope.detach(), "gradient of the step")

    def test_rates_compared(self):
        """The BD-rate: between equal curves 0; of half the bits -50 %; over the qualities that both have."""
        curve = [(0.1, 25.0), (0.3, 29.0), (0.7, 32.5), (1.5, 37.0)]
        self.assertEqual(codec_rd.bd_rate(curve, curve), 0)
        half = [(r / 2, q) for r, q in curve]
        self.assertAlmostEqual(codec_rd.bd_rate(half[::-1], curve), -50)
        self.assertAlmostEqual(codec_rd.bd_rate(half[1:], curve + [(3.0, 41.0)]), -50, delta=2)
        self.assertTrue(np.isnan(codec_rd.bd_rate([(0.1, 20), (0.2, 24)], curve)))

    def test_integer(self):
        """Both round the same weights alike, and train as if those were the weights."""
        r, values, path = self.model(INTEGERS)
        trainer = Trainer(r)
        trainer.load(values)
        network = trainer.network
        ours = np.concatenate([(codec.integer(t) if p.name in network.integer else t).detach().numpy().ravel()
                               for p, t in zip(network.params, network.tensors)])
        self.assertEqual(network.integer, {"y.weight", "m.weight", "s.weight", "conv.20.weight"})
        self.helper("round", path, self.at / "out")
        theirs = np.fromfile(self.at / "out", "<f4")
        self.assertLessEqual(np.abs(ours - theirs).max(), np.abs(values).max() * 2 ** -23)
        changed, at = set(), 0
        for p, t in zip(network.params, network.tensors):
            rounded, given = (x[at:at + t.numel()].reshape(len(t), -1).astype("f8") for x in (theirs, values))
            at += t.numel()
            if not (rounded == given).all():
                changed.add(p.name)
                grid = 2.0 ** np.floor(np.log2(np.minimum(32767 / np.abs(given).max(1), 1e5 / np.abs(given).sum(1))))[:, None]
                self.assertTrue((rounded * grid == np.round(given * grid)).all(), p.name)
        self.assertEqual(changed, network.integer)
        node = network.graph.nodes[network.graph.find("m")]
        self.assertTrue(torch.equal(network.tensor(node, "weight"), codec.integer(network.tensors[network.index["m.weight"]])))
        inputs, outputs = self.pictures(r, r.train.batch, r.data.crop)
        zero, found = np.zeros(values.size), []
        for text, v in ((INTEGERS, values), (CODING, theirs), (CODING, values)):
            aem.write(path, text, "", v)
            found.append(tuple(self.run_helper("step", path, 0, 0.01, data=[zero, zero, v] + [nhwc(x) for x in inputs + outputs[:1]])[:2]))
        self.assertEqual(found[0], found[1])
        self.assertNotEqual(found[0], found[2])

    def test_placement(self):
        """From crops to the loss all lies on the device and none waits for it: here one of shapes only, which meets no other's tensors."""
        def bare(function):
            return lambda *shape, generator=None, **keys: function(*shape, **keys)
        picture = np.random.default_rng(1).integers(256, size=(300, 300, 3), dtype="u1")
        for name in ("balanced", "superres-x2", "codec"):
            with self.subTest(name), mock.patch.object(torch, "autocast", lambda *_, **__: contextlib.nullcontext()), \
                    mock.patch.object(torch, "Generator", mock.MagicMock()), mock.patch.object(torch, "randn", bare(torch.randn)):
                r = recipes.parse(self.small(TEXTS[name]))
                loader = data.Loader(r, data.Pictures([], (8, 8), 1 << 30, [picture] * 3), Trainer(r), 1)
                host, loader.device, trainer = loader.training_batch(0), torch.device("meta"), Trainer(r, "meta")
                loader.close()
                batch = loader.render(host)
                self.assertTrue(all(x.is_meta for x in (*batch.inputs, batch.target)))
                prediction, outputs = trainer.predict(trainer.network, batch)
                weights = [t.weight for t in r.terms]
                self.assertTrue(trainer.objective(prediction, batch, outputs, trainer.network, weights).is_meta)

    def test_perceptual(self):
        _, _, path = self.model(EVERY_OP)
        features = path.rename(self.at / "features.aem")
        self.compare_step("perceptual", ENLARGING + "loss: [{kind: perceptual, model: %s, node: b}, {kind: mse}]\n" % features)

    def compare_step(self, name, text):
        r, values, path = self.model(text, 2)  # with 1 a ReLU of `best` lies so near to 0 that rounding tells its side
        edge = r.data.crop // r.scale
        inputs, outputs = self.pictures(r, r.train.batch, edge)
        image = [n.name for n in r.networks[0].graph.nodes if n.op == "input"].index("image")
        base = None
        if r.residual:
            base = inputs[image] if r.scale == 1 else torch.nn.functional.interpolate(inputs[image], scale_factor=r.scale)
        draw, n, updates, rate = np.random.default_rng(3), values.size, 7, 0.01
        first, second, average = draw.normal(0, 1e-3, n), draw.uniform(1e-6, 2e-6, n), values + draw.normal(0, 0.1, n)
        moments = OPTIMIZERS[r.train.optimizer][1]
        if len(moments) == 1:
            second[:] = 0

        trainer = Trainer(r)
        trainer.network.load(values)
        trainer.average.load(average.astype("f4"))
        trainer.n_updates, at = updates, 0
        for p, t in zip(trainer.network.params, trainer.network.tensors):
            m, v = (torch.tensor(x[at:at + t.numel()], dtype=torch.float32).view(t.shape) for x in (first, second))
            at += t.numel()
            if p.trainable:
                trainer.optimizer.state[t] = {"step": torch.tensor(float(updates)), **dict(zip(moments, (m, v)))}
        quality = next((x.view(-1) for x, n in zip(inputs, trainer.network.graph.nodes) if n.name == "quality"), None)
        batch = SimpleNamespace(inputs=inputs, target=outputs[0], base=base, quality=quality)
        seeds = [mix64(mix64(1) ^ shard) for shard in range(r.train.shards)]
        with mock.patch.object(codec, "noise", c_noise(trainer.network.graph, seeds)):
            loss, norm, applied, _ = trainer.step(batch, 0, rate)
        self.assertTrue(applied)

        data = [first, second, average] + [nhwc(x) for x in inputs + outputs[:1] + ([base] if r.residual else [])]
        found = self.run_helper("step", path, updates, rate, data=data)
        self.near([loss], found[:1], name + ": loss")
        self.near([norm], found[1:2], name + ": gradient norm")
        theirs, at = found[2:].reshape(4, n), 0
        ours = trainer.network.flat(), trainer.average.flat()
        for p, t in zip(trainer.network.params, trainer.network.tensors):
            part = slice(at, at + t.numel())
            at += t.numel()
            last_bit = np.abs(values[part]).max() * 2 ** -23  # of the parameters, which the change may be small beside
            self.near(ours[0][part] - values[part], theirs[0][part] - values[part], "%s: change of %s" % (name, p.name),
                      last_bit / TOLERANCE)
            self.near(ours[1][part] - average[part], theirs[3][part] - average[part], "%s: change of average %s" % (name, p.name))

    def test_rates(self):
        for steps in (7, 300, 9000):
            r, _, path = self.model(NORMALISED)
            theirs = [float(x) for x in self.helper("rates", path, steps).split()]
            self.near([rate_at(r.train, i, steps) for i in range(steps + 2)], theirs, "rates")

    @staticmethod
    def small(text):
        """A shipped recipe with less to compute."""
        tree = yaml.safe_load(text)
        for term in tree.get("terms", []):  # YAML 1.1 takes `on` for true
            if True in term:
                term["on"] = term.pop(True)
        tree["train"].update(batch=8, shards=2, clip=1)
        tree.setdefault("data", {})["crop"] = 64 if tree["task"] == "compress" else 32
        return yaml.safe_dump(tree, sort_keys=False)

    def test_camera_draws(self):
        """Every parameter has the same distribution: the same deciles, within what so many draws scatter."""
        n = 20000
        ours = camera.draw(np.random.default_rng(1), n)
        self.helper("cameras", n, self.at / "out")
        theirs = np.fromfile(self.at / "out", "<f4").reshape(n, -1)
        for name, a, b in zip(camera.FIELDS, ours.T, theirs.T):
            for limit in np.quantile(b, np.linspace(0, 1, 11)):
                self.assertTrue(abs((a <= limit + 1e-6).mean() - (b <= limit + 1e-6).mean()) < 0.02, "%s at %g" % (name, limit))
        a, b = (np.corrcoef(x + 1e-6 * np.random.default_rng(2).random(x.shape), rowvar=False) for x in (ours, theirs))
        self.assertLess(np.abs(a - b).max(), 0.05)

    def test_camera(self):
        """The same cameras and the same normals make the same photographs, but for what rounding to bytes does."""
        kinds = set()
        for seed in range(40):
            h, w, grey = (40, 32, 0) if seed % 4 else (24, 41, seed % 8 > 0)
            y, x = np.mgrid[0:h, 0:w] / 16.0
            clean = np.stack([0.5 + 0.3 * np.sin(x + 2 * y) + 0.2 * (x > y), 0.5 + 0.3 * np.cos(x * y) + 0.1 * (x > y),
                              0.5 * (x < 1) + 0.2 * y], 2)
            clean = (clean if not grey else clean[..., :1].repeat(3, 2)).clip(0, 1).astype("f4")
            found = self.run_helper("camera", seed, 0.03, int(grey), h, w, data=[clean])
            parameters, planes = found[:len(camera.FIELDS)], found[len(camera.FIELDS):].reshape(3, -1)
            k = dict(zip(camera.FIELDS, parameters))
            kinds.add((k["mosaic"], k["has_jpeg"], k["halve"], k["sharpen"] > 0, grey, k["zoom"] > 1, k["again"]))
            ours = camera.take(torch.tensor(parameters)[None], torch.tensor(planes[0].reshape(1, 3, h, w)),
                               torch.tensor(clean).permute(2, 0, 1)[None], torch.tensor([bool(grey)]))
            for what, a, b in zip(("clean", "noisy"), ours, planes[1:]):
                error = np.abs(nhwc(a).ravel() - b) * 255
                self.assertTrue(error.mean() < (0.3 * (k["has_jpeg"] + k["again"]) or 1e-3) and (error > 0.01).mean() < 0.2,
                                "camera %d, %s: error %s" % (seed, what, error.mean()))
        self.assertGreater(len(kinds), 8)

    def loaded(self, text, pictures, steps):
        """Batches of both loaders as (inputs, target) of all their samples, N x H x W x C."""
        r, _, path = self.model(text)
        n, h, w, _ = pictures.shape
        trainer = Trainer(r, seed=5)
        source = data.Pictures([], (8, 8), 1 << 30, list(pictures))
        loader = data.Loader(r, source, trainer, 1)
        loader.start(0)
        ours = [loader.next() for _ in range(steps)]
        loader.close()
        ours = [np.concatenate(parts) for parts in zip(*([nhwc(x) for x in b.inputs + [b.target]] for b in ours))]
        found = self.run_helper("batches", path, n, h, w, steps, data=[pictures]).reshape(steps, -1)
        theirs, at = [], 0
        for array in ours:
            size = array.size // steps
            theirs.append(found[:, at:at + size].reshape(array.shape))
            at += size
        self.assertEqual(at, found.shape[1])
        return ours, theirs

    def test_loading(self):
        """Crops, scales, corruptions and what the network is told have the same distributions."""
        draw = np.random.default_rng(4)
        y, x = np.mgrid[0:70, 0:90]
        picture = 127 + 80 * np.sin(x / 8 + y / 30 + x * y / 500)[..., None] * (1, 0.7, 0.4) + draw.normal(0, 4, (70, 90, 3))
        pictures = picture.clip(0, 255).astype("u1")[None].repeat(3, 0)  # one of them is held out, not the same in both
        curved = TOLD.replace("clean: 0.1", "clean: 0.1, doubt: [1, 9], curve: true")
        for corruption in ("{kind: gaussian, sigma: [5, 50], jitter: [0.5, 1.5]}", "{kind: camera, sigma: [1, 20], jitter: [0.5, 1.5]}",
                           "{kind: camera, sigma: [1, 60]}",
                           "{kind: salt_pepper, fraction: [0, 0.2]}, {kind: mask, fraction: [0.1, 0.5], probability: 0.5}",
                           "{kind: jpeg, quality: [10, 90]}, {kind: gaussian, sigma: [5, 20]}", "{kind: warp, pixels: [0, 5]}"):
            with self.subTest(corruption):
                text = curved if "camera" in corruption and "jitter" in corruption else TOLD
                (image, level, target), theirs = self.loaded(text % corruption, pictures, 40)

                def features(image, level, target):
                    noise = image - target
                    return {"level": level[:, 0, 0, 0], "chroma level": level[:, 0, 0, 1], "level here": level[:, 9, 14, 0],
                            "spread of levels": level[..., 1].std((1, 2)), "brightness": target.mean((1, 2, 3)),
                            "contrast": target.std((1, 2, 3)), "detail": np.abs(np.diff(target, axis=1)).mean((1, 2, 3)),
                            "colour": target.std(3).mean((1, 2)), "noise": noise.std((1, 2, 3)),
                            "fine noise": np.diff(noise, axis=1).std((1, 2, 3)), "coloured noise": noise.std(3).mean((1, 2)),
                            "mean of noise": noise.mean((1, 2, 3))}
                theirs = features(*theirs)
                for what, a in features(image, level, target).items():
                    b = theirs[what]
                    limits = np.quantile(b, np.linspace(0.1, 0.9, 9)) + 1e-5
                    apart = np.abs((a[:, None] <= limits).mean(0) - (b[:, None] <= limits).mean(0)).max()
                    self.assertLess(apart, 0.12, what)

    def test_patterns(self):
        """The same synthetic patterns, and as many of them among the crops of one colour."""
        for index in range(30):
            self.helper("pattern", 3, index, 40, 56, self.at / "out")
            theirs = np.rint(255 * np.fromfile(self.at / "out", "<f4")).reshape(40, 56, 3)
            self.assertTrue((patterns.draw(3, index, 40, 56) == theirs).all(), index)
        text = (TOLD % "").replace("clean: 0.1", "patterns: 0.4")
        (_, _, ours), (_, _, theirs) = self.loaded(text, np.full((3, 40, 40, 3), 127, "u1"), 40)
        for targets in (ours, theirs):
            self.assertTrue(0.3 < (targets.std((1, 2)).max(1) > 0.01).mean() < 0.45)  # a few patterns have one colour, too

    def test_enlarging(self):
        """Super-resolution: crops of one picture's only place are the same in both."""
        y, x = np.mgrid[0:32, 0:32]
        picture = (127 + 100 * np.stack([np.sin(x / 3 + y / 5), np.cos(x * y / 40), np.sin(y / 2)], 2)).astype("u1")[None]
        for name in ("bicubic", "lanczos", "area", "bilinear"):
            text = ENLARGING.replace("crop: 16", "crop: 16, augment: false, scale: [2, 2], filters: [%s]" % name)
            (image, target), (their_image, their_target) = self.loaded(text, picture, 1)
            for ours, theirs in ((image, their_image), (target, their_target)):
                self.assertGreater(ours.std(), 0.15)
                self.assertLess(np.abs(ours - theirs).max(), 1e-5)
        # a target that keeps part of what all pixels lost
        text = text.replace("channels: 3", "channels: 3}, {name: level, channels: 1", 1).replace("{op: conv,", "{op: conv, from: [image],", 1)
        text = text.replace("filters:", "strength: [0.3, 0.3], filters:") + "corruption: [{kind: mask, fraction: [1, 1]}]\n"
        (image, level, kept), (_, their_level, their_kept) = self.loaded(text, picture, 1)
        self.assertLess(np.abs(level - 0.3).max() + np.abs(level - their_level).max() + np.abs(image).max(), 1e-6)
        self.assertGreater(np.abs(kept - target).max(), 0.1)
        apart = np.abs(kept - their_kept)  # where a sample of the small picture lies between two of 8 bits, it may be either
        self.assertLess(np.quantile(apart, 0.9), 1e-5)
        self.assertLess(apart.max(), 1 / 255)

    def test_files(self):
        for name, text in TEXTS.items():
            with self.subTest(name):
                r, values, path = self.model(text)
                ours = aem.identity(r, Joined(r).to_model(values)).hex()
                self.assertEqual(self.helper("identity", path), ours)
                self.helper("resave", path, self.at / "again.aem")
                again = aem.read(self.at / "again.aem")
                self.assertEqual(again[:2], aem.read(path)[:2])
                self.assertEqual(aem.identity(recipes.parse(again[0]), again[2]).hex(), ours)
        for path in sorted((ROOT / "tests" / "model" / "golden").glob("*.aem")):
            text, _, values = aem.read(path)
            self.assertEqual(aem.identity(recipes.parse(text), values).hex(), self.helper("identity", path))

    def test_damage(self):
        _, _, path = self.model(FIXED)
        data = path.read_bytes()
        for at in (0, 8, 20, 50, 70, 300, len(data) - 1):
            with self.assertRaises(aem.ModelError):
                path.write_bytes(data[:at] + bytes([data[at] ^ 4]) + data[at + 1:])
                aem.read(path)
        path.write_bytes(data[:-4])
        self.assertRaises(aem.ModelError, aem.read, path)

    def test_recipe_errors(self):
        for old, new, message in (("out: 10", "outs: 10", r"line 13: layer: unknown key 'outs'"),
                                  ("name: code, op: dense", "op: conv, kernel: 9, pad: 0", "layer conv.5: impossible shape"),
                                  ("from: [half, gate]", "from: [half, nothing]", "line 11: no layer 'nothing'"),
                                  ("height: 3, width: 4, channels: 6", "height: 3, width: 4", "line 15: .*'channels' is missing"),
                                  ("optimizer: sgd", "optimizer: sgd, optimizer: adam", "line 17: key 'optimizer' occurs twice"),
                                  ("batch: 8", "batch: 9", "line 17: .*9 .*4 equal shards"),
                                  ("task: auto", "task: &a auto", "anchors"),
                                  ("kind: kl_sparse, weight: 0.1, target: 0.1", "kind: l1, weight: .", "line 19: .* a number")):
            self.refused(FIXED, old, new, message)
        for old, new, message in (("task: compress", "task: denoise", "input quality: 1 x 1 x 1, of task compress"),
                                  (", lambda: [0.001, 0.1]", "", "'lambda' belongs to kind rate_distortion"),
                                  ("kind: rate_distortion, lambda: [0.001, 0.1]", "kind: mse", "rate_distortion belongs to task"),
                                  ("outputs: [previous, price,", "outputs: [previous, y,", "outputs of op bits"),
                                  ("first: 4, from: [quality]", "first: 5, from: [quality]", "line 11: .* components"),
                                  ("kernel: 2, stride: 2", "kernel: 2, stride: 1", "line 10: .* no dct has such a shape"),
                                  ("mean, s, step]", "mean, step]", "bits cannot read 3 layers"),
                                  ("quantise, from", "quantise, parity: none, from", "'none' is none of all")):
            self.refused(CODING, old, new, message)

    def refused(self, text, old, new, message):
        with self.subTest(new):
            self.assertIn(old, text)
            with self.assertRaisesRegex(recipes.RecipeError, message):
                recipes.parse(text.replace(old, new))


if __name__ == "__main__":
    torch.set_num_threads(1)
    unittest.main()
