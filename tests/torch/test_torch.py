# SPDX-License-Identifier: BSD-2-Clause
"""models/torch against the C library: test_torch.py TORCHHELPER"""
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace

try:
    import numpy as np
    import torch
    import yaml
except ImportError as e:
    print("skipped: %s; install python3-torch, python3-yaml and python3-numpy" % e)
    sys.exit(77)

from models.torch import aem, recipe as recipes
from models.torch.network import Network
from models.torch.trainer import Trainer, rate_at

ROOT = Path(__file__).resolve().parents[2]
RECIPES = sorted((ROOT / "models" / "recipes").rglob("*.yaml"))
HELPER = sys.argv.pop(1) if len(sys.argv) > 1 else ""
TOLERANCE = 1e-4

HEAD = "recipe: 1\nname: test\ntask: %s\nnetworks:\n  - name: net\n    inputs: [{name: image, channels: 3%s}]\n    layers:\n"
EVERY_OP = HEAD % ("autoencode", "") + """
      - {name: a, op: conv, out: 8, kernel: [3, 5], groups: 1, act: leaky, slope: 0.2}
      - {op: conv, groups: 8, dilation: 2, act: silu}
      - {name: n, op: batchnorm, act: relu}
      - {name: l, op: layernorm, from: [a]}
      - {op: concat, from: [n, l]}
      - {op: conv, out: 8, stride: [2, 1], act: gelu, param: shared}
      - {op: deconv, out: 8, stride: [2, 1], kernel: [2, 3], pad: [0, 1], act: tanh, groups: 2, add: n}
      - {name: b, op: residual, repeat: 2, act: softplus, init: identity}
      - {op: maxpool, kernel: 3, stride: 2, pad: 1}
      - {op: nearest, factor: 2}
      - {name: c, op: conv}
      - {op: avgpool, kernel: 4, stride: 2, pad: [1, 1]}
      - {op: bilinear}
      - {name: d, op: add, from: [previous, c, n]}
      - {name: gate, op: avgpool, kernel: 8, from: [c], act: sigmoid}
      - {op: nearest, factor: 8}
      - {op: mul, from: [d, previous]}
      - {op: scale, value: 0.5}
      - {op: crop, first: 2, out: 4}
      - {op: unshuffle}
      - {op: act, act: leaky}
      - {op: shuffle, factor: 4}
      - {op: unshuffle, factor: 4}
      - {name: small, op: conv, out: 12, kernel: 1, act: none}
      - {name: picture, op: shuffle, factor: 2}
    outputs: [picture, gate, b.1]
data: {crop: 16}
train: {batch: 4, shards: 1, optimizer: adam, decay: 0.01, beta1: 0.8, ema: 0.9, clip: 0.5}
loss: [{kind: l1, weight: 0.5}, {kind: tv, weight: 0.1}, {kind: charbonnier}]
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
penalties: [{kind: kl_sparse, weight: 0.1, target: 0.1, node: code}, {kind: l1, weight: 0.1, node: code}]
"""
NORMALISED = HEAD % ("autoencode", "") + """
      - {op: conv, out: 8}
      - {op: batchnorm, act: relu}
      - {op: conv, out: 3}
data: {crop: 8}
train: {batch: 8, shards: 4}
"""
ENLARGING = (HEAD % ("superres", "")).replace("task:", "residual: true\nscale: 2\ntask:") + """
      - {op: conv, out: 8, act: relu}
      - {op: residual}
      - {op: conv, out: 12}
      - {op: shuffle}
data: {crop: 16}
train: {batch: 4, shards: 2}
"""
TEXTS = {"every operator": EVERY_OP, "fixed size": FIXED, "batch statistics": NORMALISED, "enlarging": ENLARGING,
         **{p.stem: p.read_text() for p in RECIPES}}


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
        values = []
        for p, t in ((p, t) for n in [Network(r.networks[0].graph, seed)] for p, t in zip(n.params, n.tensors)):
            spread = 0.5 * t.std().item() if t.numel() > 1 and t.std() > 0 else 0.1
            values.append(t.detach().numpy().ravel() + spread * draw.uniform(-1, 1, t.numel()))
        values = np.concatenate(values).astype("f4")
        aem.write(self.at / "model.aem", text, "seed: %d\n" % seed, values)
        return r, values, self.at / "model.aem"

    def pictures(self, r, n, edge, seed=2):
        """Inputs of the first network and a picture of its output's shape; enough for comparing."""
        draw = torch.Generator().manual_seed(seed)
        graph = r.networks[0].graph
        shapes = graph.shapes(edge, edge)

        def uniform(i):
            return torch.rand((n, shapes[i][2], *shapes[i][:2]), generator=draw)
        return [uniform(i) for i, node in enumerate(graph.nodes) if node.op == "input"], [uniform(i) for i in graph.outputs]

    def test_gradients(self):
        for name, text in TEXTS.items():
            with self.subTest(name):
                r, values, path = self.model(text)
                inputs, d_outputs = self.pictures(r, 2, 16)
                d_outputs = [d - 0.5 for d in d_outputs]
                network = Network(r.networks[0].graph)
                network.load(values)
                outputs = network(*inputs)
                sum((o * d).sum() for o, d in zip(outputs, d_outputs)).backward()
                statistics, at = dict(network.statistics), 0
                found = self.run_helper("gradients", path, 2, 16, 16, data=[nhwc(x) for x in inputs + d_outputs])
                frozen = network.eval()(*inputs)

                def compare(ours, what, floor=0.0):
                    nonlocal at
                    self.near(ours, found[at:at + ours.size], "%s: %s" % (name, what), floor)
                    at += ours.size

                for i, o in enumerate(outputs):
                    compare(nhwc(o), "output %d" % i)
                largest = max(t.grad.abs().max().item() for t in network.tensors if t.grad is not None)
                for p, t in zip(network.params, network.tensors):
                    compare(t.grad.numpy().ravel() if p.trainable else statistics[p.name].numpy(), "gradient of " + p.name, 0.01 * largest)
                for i, o in enumerate(frozen):
                    compare(nhwc(o), "output %d at inference" % i)
                self.assertEqual(at, found.size)

    def test_step(self):
        for name, text in TEXTS.items():
            with self.subTest(name):
                text = text if "validate_every" not in text else self.small(text)
                r, values, path = self.model(text)
                edge = r.data.crop // r.scale
                inputs, outputs = self.pictures(r, r.train.batch, edge)
                image = [n.name for n in r.networks[0].graph.nodes if n.op == "input"].index("image")
                base = None
                if r.residual:
                    base = inputs[image] if r.scale == 1 else torch.nn.functional.interpolate(inputs[image], scale_factor=r.scale)
                draw, n, updates, rate = np.random.default_rng(3), values.size, 7, 0.01
                first, second, average = draw.normal(0, 1e-3, n), draw.uniform(1e-6, 2e-6, n), values + draw.normal(0, 0.1, n)
                if r.train.optimizer == "sgd":
                    second[:] = 0

                trainer = Trainer(r)
                trainer.network.load(values)
                trainer.average.load(average.astype("f4"))
                trainer.n_updates, at = updates, 0
                for p, t in zip(trainer.network.params, trainer.network.tensors):
                    m, v = (torch.tensor(x[at:at + t.numel()], dtype=torch.float32).view(t.shape) for x in (first, second))
                    at += t.numel()
                    if p.trainable:
                        trainer.optimizer.state[t] = {"momentum_buffer": m} if r.train.optimizer == "sgd" else {
                            "step": torch.tensor(float(updates)), "exp_avg": m, "exp_avg_sq": v}
                batch = SimpleNamespace(inputs=inputs, target=outputs[0], base=base)
                loss, norm, applied = trainer.step(batch, 0, rate)
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
                    self.near(ours[0][part] - values[part], theirs[0][part] - values[part], "%s: change of %s" % (name, p.name))
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
        tree["train"].update(batch=8, shards=2)
        tree.setdefault("data", {})["crop"] = 32
        return yaml.safe_dump(tree, sort_keys=False)

    def test_files(self):
        for name, text in TEXTS.items():
            with self.subTest(name):
                r, values, path = self.model(text)
                ours = aem.identity(r, values).hex()
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
                                  ("batch: 8", "batch: 9", "line 17: .*9 .*4 equal shards"), ("task: auto", "task: &a auto", "anchors"),
                                  ("kind: kl_sparse, weight: 0.1, target: 0.1", "kind: l1, weight: .", "line 19: weight: expected a number")):
            with self.subTest(new):
                self.assertIn(old, FIXED)
                with self.assertRaisesRegex(recipes.RecipeError, message):
                    recipes.parse(FIXED.replace(old, new))


if __name__ == "__main__":
    torch.set_num_threads(1)
    unittest.main()
