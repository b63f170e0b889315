# SPDX-License-Identifier: BSD-2-Clause
"""The trainer's command: resuming, starting from models, several processes."""
import contextlib
import io
import json
import os
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

try:
    import numpy as np
    import torch
    import yaml  # noqa: F401
except ImportError as e:
    print("skipped: %s; install python3-torch, python3-yaml and python3-numpy" % e)
    sys.exit(77)

from models.torch import aem, codec_rd, recipe, train
from models.torch.network import Network
from models.torch.trainer import Trainer

ROOT = Path(__file__).resolve().parents[2]
RECIPE = """
recipe: 1
name: tiny
task: denoise
networks:
  - name: net
    inputs: [{name: image, channels: 1, height: 12, width: 12}, {name: level, channels: 1, height: 12, width: 12}]
    layers:
      - {op: concat, from: [image, level]}
      - {name: first, op: conv, out: 8, bias: false}
      - {op: batchnorm, act: relu}
      - {name: code, op: conv, act: sigmoid}
      - {op: conv, out: 1}
corruption: [{kind: gaussian, sigma: [0, 50]}, {kind: mask, fraction: [0, 0.2]}]
loss: [{kind: charbonnier}, {kind: tv, weight: 0.01}]
penalties: [{kind: kl_sparse, weight: 0.01, target: 0.2, node: code}, {kind: l2, weight: 0.01}]
train: {batch: 16, shards: 4, steps: 8, warmup: 2, rate: 0.01, validate_every: 1, patience: 100}
"""
CODEC = """
recipe: 1
name: tiny
task: compress
networks:
  - name: net
    inputs: [{name: image, channels: 1, height: 12, width: 12}, {name: quality, channels: 1, height: 1, width: 1}]
    layers:
      - {name: y, op: conv, out: 8, kernel: 4, stride: 4, pad: 0, init: dct, from: [image]}
      - {name: step, op: embed, out: 8, factor: 2, value: -1, slope: -2, init: dct, from: [quality]}
      - {name: mean, op: embed, out: 8, factor: 2, from: [quality]}
      - {name: spread, op: embed, out: 8, factor: 2, from: [quality]}
      - {name: q, op: quantise, from: [y, mean, step]}
      - {name: price, op: bits, from: [y, mean, spread, step]}
      - {op: conv, out: 16, kernel: 1, init: dct_inverse, from: [q]}
      - {name: picture, op: shuffle, factor: 4}
    outputs: [picture, price]
loss: [{kind: rate_distortion, lambda: [0.001, 0.02]}]
train: {batch: 16, shards: 4, steps: 8, warmup: 2, rate: 0.01, validate_every: 1}
"""


class Training(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.at = Path(self.folder.name)
        (self.at / "r.yaml").write_text(RECIPE)
        draw = np.random.default_rng(1)
        y, x = np.mgrid[0:12, 0:12]
        digits = [127 + 120 * np.sin(x / a + y / b + c) for a, b, c in draw.uniform(1, 5, (80, 3))]
        head = b"\0\0\x08\3" + np.array([80, 12, 12], ">u4").tobytes()
        (self.at / "d.idx").write_bytes(head + np.array(digits).astype("u1").tobytes())

    def tearDown(self):
        self.folder.cleanup()

    def command(self, out, *more):
        model, log = (self.at / (out + suffix) for suffix in (".aem", ".json"))
        return [str(a) for a in (self.at / "r.yaml", self.at / "d.idx", "-o", model, "--json", log, "-j", 1, "--precision", "f32",
                                 "--device", "cpu", *more)]

    def train(self, out, *more, status=0):
        notes = io.StringIO()
        with mock.patch.object(sys, "argv", ["train"] + self.command(out, *more)), contextlib.redirect_stderr(notes):
            self.assertEqual(train.main(), status, notes.getvalue())
        return notes.getvalue()

    def values(self, out):
        return aem.read(self.at / (out + ".aem"))[2]

    def log(self, out):
        return [json.loads(line) for line in (self.at / (out + ".json")).read_text().splitlines()]

    def test_learns(self):
        self.train("a", "--steps", 150)
        log = self.log("a")
        self.assertGreater(log[-1]["score"], log[0]["score"] + 3)
        self.assertLess(log[-1]["loss"], 0.7 * log[0]["loss"])
        card = yaml.safe_load(aem.read(self.at / "a.aem")[1])
        self.assertEqual((card["steps"], card["seed"], card["items"]), (150, 1, 80))
        self.assertIn("exists", self.train("a", status=1))

    def test_codec(self):
        """The objective falls, the score is minus it; better quality costs more bits."""
        (self.at / "r.yaml").write_text(CODEC)
        self.train("a", "--steps", 150)
        log = self.log("a")
        self.assertGreater(log[-1]["score"], log[0]["score"] + 0.1)
        self.assertTrue(abs(log[-1]["score"] + log[-1]["loss"]) < 0.3 * log[-1]["loss"], log[-1])
        card = yaml.safe_load(aem.read(self.at / "a.aem")[1])
        self.assertEqual(card["validation_score"], round(log[-1]["score"], 4))
        network = Network(recipe.parse(CODEC).networks[0].graph).eval()
        network.load(self.values("a"))
        y, x = np.mgrid[0:12, 0:12]
        picture = (127 + 60 * np.sin(x / 3) + 60 * np.cos(x * y / 20))[..., None].astype("u1")
        (bits, quality), (more, better) = (codec_rd.measure(network, picture, q) for q in (0, 1))
        self.assertTrue(0 < bits < more and 10 < quality < better, (bits, quality, more, better))

    def test_resume(self):
        self.train("whole")
        taken, step = [], Trainer.step

        def interrupted(trainer, *args):
            taken.append(args[1])
            if len(taken) == 2:  # takes one more
                os.kill(os.getpid(), train.signal.SIGINT)
            return step(trainer, *args)

        with mock.patch.object(Trainer, "step", interrupted):
            self.train("cut", status=train.INTERRUPTED)
        self.assertEqual(taken, [0, 1, 2])
        self.assertTrue((self.at / "cut.pt").exists())
        self.assertIn("another seed", self.train("cut", "--seed", 2, status=1))
        self.assertIn("resumed at step 3", self.train("cut"))
        self.assertFalse((self.at / "cut.pt").exists())
        np.testing.assert_array_equal(self.values("cut"), self.values("whole"))
        self.train("other", "--seed", 2)
        self.assertFalse((self.values("other") == self.values("whole")).all())

    def test_stop_after(self):
        self.assertIn("stopped at step", self.train("a", "--steps", 1000000, "--stop-after", "0.5s"))
        self.assertTrue((self.at / "a.pt").exists())
        self.assertTrue(np.isfinite(self.values("a")).all())

    def test_time_limit(self):
        """The schedule ends when the time does."""
        self.assertIn("steps of", self.train("a", "--steps", 1000000, "--time-limit", "6s"))
        card = yaml.safe_load(aem.read(self.at / "a.aem")[1])
        self.assertTrue(train.TIMED < card["steps"] == card["of_steps"] < 1000000, card)
        self.assertLess(self.log("a")[-1]["rate"], 1e-4)  # 0.01 at its height

    def test_init(self):
        self.train("a")
        values = self.values("a")
        with mock.patch.object(train.Run, "loop", lambda run: run.save()):
            self.assertIn("9 of 9 tensors", self.train("b", "--init", self.at / "a.aem"))
        np.testing.assert_array_equal(self.values("b"), values)
        # a network that is told more
        (self.at / "r.yaml").write_text(RECIPE.replace("name: level, channels: 1", "name: level, channels: 2"))
        with mock.patch.object(train.Run, "loop", lambda run: run.save()):
            self.assertIn("9 of 9 tensors", self.train("c", "--init", self.at / "a.aem"))
        first = self.values("c")[:8 * 3 * 9].reshape(8, 3, 9)
        np.testing.assert_array_equal(first[:, :2].ravel(), values[:8 * 2 * 9])
        self.assertFalse(first[:, 2].any())

    def train_by_two(self, name):
        """Through torchrun; where it does not start (Debian 13's lacks libuv, which it insists on), as it would start them."""
        env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        torchrun = "-m torch.distributed.run --standalone --nproc_per_node 2 -r 9:1 -t 9:1 -m models.torch.train".split()
        p = subprocess.run([sys.executable, *torchrun, *self.command(name)], env=env, capture_output=True, text=True)
        if "without libuv" not in p.stderr:
            return self.assertEqual(p.returncode, 0, p.stderr)
        with socket.create_server(("127.0.0.1", 0)) as s:
            env |= {"USE_LIBUV": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(s.getsockname()[1])}
        both = [subprocess.Popen([sys.executable, "-m", "models.torch.train", *self.command(name)],
                                 env={**env, "RANK": r, "LOCAL_RANK": r}, stderr=subprocess.PIPE, text=True) for r in "01"]
        for p in both:
            said = p.communicate()[1]
            self.assertEqual(p.returncode, 0, said)

    def test_processes(self):
        """Two processes share the batch and take the same steps as one with all of it."""
        self.train("one")
        self.train_by_two("two")
        one, two = self.log("one"), self.log("two")
        self.assertEqual(len(one), len(two))
        for a, b in zip(one, two):
            for what in ("loss", "gradient_norm", "score"):
                message = "step %d, %s: %g and %g" % (a["step"], what, a[what], b[what])
                self.assertTrue(abs(a[what] - b[what]) <= 1e-4 * abs(a[what]), message)
        self.assertTrue(np.abs(self.values("one") - self.values("two")).max() <= 1e-4 * np.abs(self.values("one")).max())

    def test_bad_input(self):
        (self.at / "d.idx").unlink()
        (self.at / "d.idx").mkdir()
        self.assertIn("no picture", self.train("a", status=1))
        (self.at / "d.idx" / "x.png").write_bytes(b"no picture")
        self.assertIn("none of the 1 pictures", self.train("a", status=1))
        (self.at / "r.yaml").write_text(RECIPE.replace("steps", "stages"))
        self.assertIn("r.yaml: line 17: train: unknown key 'stages'", self.train("a", status=1))
        self.assertFalse((self.at / "a.aem").exists())


if __name__ == "__main__":
    torch.set_num_threads(1)
    unittest.main()
