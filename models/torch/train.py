# SPDX-License-Identifier: BSD-2-Clause
"""Trains a model by a recipe: python3 -m models.torch.train RECIPE.yaml DATA... -o MODEL.aem

On several devices: torchrun --nproc_per_node N -m models.torch.train ..."""
import argparse
import gc
import hashlib
import json
import math
import os
import re
import shlex
import signal
import sys
import time

import torch
import torch.distributed as dist
import yaml

from . import aem, phases, recipe as recipes
from .data import DataError, Loader, Pictures
from .graph import GraphError
from .trainer import Trainer, world

MAX_FAULTS = 10  # in a row
WARM, TIMED = 20, 60  # steps until --time-limit begins and ends to time them
INTERRUPTED = 130


class TrainError(ValueError):
    pass


def duration(text):
    found = re.fullmatch(r"(\d+\.?\d*)(s|m|h|d)?", text)
    if not found:
        raise argparse.ArgumentTypeError("expected a time such as 30s, 90m or 2h, found %s" % text)
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[found[2] or "s"]


def parse_args():
    about, cluster = __doc__.split("\n\n")
    p = argparse.ArgumentParser(prog="python3 -m models.torch.train", description=about, epilog=cluster)
    p.add_argument("recipe", metavar="RECIPE.yaml")
    p.add_argument("data", metavar="DATA", nargs="+", help="pictures, IDX files (MNIST), or directories of them")
    p.add_argument("-o", "--output", metavar="MODEL.aem", required=True, help="the model to write")
    p.add_argument("--init", metavar="MODEL", help="begin with the tensors of this model that have the same names and shapes")
    p.add_argument("--seed", type=int, default=1, help="of all random draws [%(default)s]")
    p.add_argument("--steps", type=int, help="length of the schedule instead of the recipe's")
    p.add_argument("--batch", type=int, help="samples of a step, over all processes, instead of the recipe's")
    p.add_argument("--device", help="cpu, cuda, cuda:1, ... [cuda where there is one]")
    p.add_argument("--precision", choices=("auto", "f32", "bf16"), default="auto", help="of the layers; masters are always f32")
    p.add_argument("-j", "--threads", type=int, help="of the processor [all]")
    p.add_argument("--stop-after", type=duration, metavar="TIME",
                   help="stop after 30s, 90m, 2h, ...; the same command then goes on")
    p.add_argument("--time-limit", type=duration, metavar="TIME",
                   help="fit the schedule into 30s, 90m, 2h, ...: the speed of the first steps tells")
    p.add_argument("--checkpoint", metavar="FILE", help="where to resume from and to save to every five minutes and when stopped "
                   "[MODEL.pt]; removed on completion")
    p.add_argument("--cache", type=float, default=8, metavar="GIB", help="memory for decoded pictures [%(default)s]")
    p.add_argument("--card", metavar="FILE", help="YAML lines for the model card: data, licences")
    p.add_argument("--json", metavar="FILE", help="append one JSON object a line at each validation and every 30 seconds")
    p.add_argument("-f", "--force", action="store_true", help="overwrite an existing model")
    p.add_argument("--quiet", action="store_true", help="no progress and no notes, only errors")
    return p.parse_args()


# ---- the machine ----

def processor():
    """What Linux says of the first processor."""
    try:
        with open("/proc/cpuinfo") as f:
            lines = f.read().split("\n\n")[0].split("\n")
    except OSError:
        return {}
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}


def choose_device(args):
    local, here = int(os.environ.get("LOCAL_RANK", 0)), int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    device = torch.device(args.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if device.type == "cuda":
        device = torch.device("cuda", device.index if device.index is not None else local)
        torch.cuda.set_device(device)
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.allow_tf32 = False  # f32 means f32; the rest is bf16
    args.threads = args.threads or max(1, (os.cpu_count() or 1) // here)
    torch.set_num_threads(args.threads)
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return device


def choose_bf16(args, device, integer):
    if args.precision != "auto" or integer:  # bf16 would round the weights far more
        return args.precision == "bf16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return bool({"avx512_bf16", "amx_bf16"} & set(processor().get("flags", "").split()))


def hardware(device):
    if device.type == "cuda":
        return "%d x %s" % (world()[1], torch.cuda.get_device_name(device))
    return "%s, PyTorch on %d threads" % (processor().get("model name", "unknown processor"), torch.get_num_threads() * world()[1])


# ---- beginning ----

def take_tensor(theirs, ours):
    """Takes over a tensor. Convolutions that differ only in their input channels share the leading ones and begin with zeros for
    the others, so that a network which is told more starts out as one that does not listen."""
    same = [a == b for a, b in zip(theirs.shape, ours.shape)]
    if theirs.dim() != ours.dim() or not all(s or (i == 1 and ours.dim() == 4) for i, s in enumerate(same)):
        return False
    ours.zero_()
    if ours.dim() == 4:
        n = min(theirs.shape[1], ours.shape[1])
        ours[:, :n] = theirs[:, :n].to(ours.device)
    else:
        ours.copy_(theirs)
    return True


@torch.no_grad()
def start_from(name, trainer):
    path = aem.find(name)
    text, _, values = aem.read(path)
    theirs, at, taken = {}, 0, 0
    for p in recipes.parse(text).networks[0].graph.params():
        n = math.prod(p.shape)
        theirs[p.name] = torch.from_numpy(values[at:at + n].copy()).view(p.shape)
        at += n
    for p, t in zip(trainer.network.params, trainer.network.tensors):
        taken += p.name in theirs and take_tensor(theirs[p.name], t)
    if not taken:
        raise TrainError("%s: none of its tensors has name and shape of one of the recipe" % path)
    trainer.average.load(trainer.network.flat())
    return "%d of %d tensors taken from %s" % (taken, len(trainer.network.params), path)


class Run:
    """One training run: where it stands and what it writes."""
    KEPT = ("step", "steps", "fitted", "faults", "stale", "seconds", "score", "best_score", "best")

    def __init__(self, args):
        self.args, self.began = args, time.time()
        with open(args.recipe, encoding="utf-8") as f:
            self.text = f.read()
        self.recipe = r = recipes.parse(self.text)
        if r.sound:
            raise DataError("recipes of sound are trained by aetrain: recordings are mixed there")
        if args.batch:
            r.train.batch = args.batch
            if args.batch % r.train.shards:
                r.train.shards = max(s for s in range(1, 9) if args.batch % s == 0)
        self.steps = args.steps or r.train.steps
        self.device = choose_device(args)
        self.rank, self.processes = world()
        self.bf16 = choose_bf16(args, self.device, r.train.integer)
        self.trainer = Trainer(r, self.device, self.bf16, args.seed)
        self.pictures = Pictures(args.data, Loader.least(r), int(args.cache * 2 ** 30))
        self.loader = Loader(r, self.pictures, self.trainer, min(8, args.threads))
        self.fitted = not args.time_limit
        self.step, self.faults, self.stale, self.seconds = 0, 0, 0, 0.0
        self.score, self.best_score, self.best = math.nan, math.nan, None
        self.checkpoint = args.checkpoint or re.sub(r"\.aem$", "", args.output) + ".pt"
        names = "\n".join(self.pictures.names).encode()
        self.key = {"recipe": self.text, "seed": args.seed, "steps": self.steps, "time_limit": args.time_limit,
                    "batch": r.train.batch, "bf16": self.bf16, "data": hashlib.sha256(names).hexdigest()}
        if os.path.exists(self.checkpoint):
            self.resume()
        elif args.init:
            self.note(start_from(args.init, self.trainer))
        self.stop = False

    def note(self, text):
        if self.rank == 0 and not self.args.quiet:
            print("train: " + text, file=sys.stderr, flush=True)

    def resume(self):
        state = torch.load(self.checkpoint, map_location=self.device)
        for what, value in self.key.items():
            if state["key"][what] != value:
                raise TrainError("%s: this checkpoint was made with another %s; repeat that command to resume, or delete the file "
                                 "to begin anew" % (self.checkpoint, what))
        self.trainer.restore(state["trainer"])
        for name in self.KEPT:
            setattr(self, name, state[name])
        self.note("resumed at step %d from %s" % (self.step, self.checkpoint))

    # ---- what is written ----

    def passed(self):
        return self.seconds + time.time() - self.began

    def card(self):
        args, known = self.args, {"trainer": "models/torch, PyTorch " + torch.__version__}
        known["command"] = shlex.join(["python3", "-m", "models.torch.train"] + sys.argv[1:])
        if args.init:
            known["init"] = args.init
        known.update(seed=args.seed, steps=self.step, of_steps=self.steps, batch=self.recipe.train.batch,
                     seconds=round(self.passed()), precision="bf16" if self.bf16 else "f32", hardware=hardware(self.device),
                     processes=self.processes, items=len(self.pictures.items))
        score = self.score if self.best is None else self.best_score
        if math.isfinite(score):
            known["validation_score" if self.recipe.task == "compress" else "validation_psnr"] = round(score, 4)
        text = yaml.safe_dump(known, sort_keys=False, width=1 << 20)
        if args.card:
            with open(args.card, encoding="utf-8") as f:
                text += f.read()
        return text

    def save(self):
        if self.rank == 0:
            values = self.trainer.average.flat() if self.best is None else self.best.numpy()
            aem.write(self.args.output, self.text, self.card(), self.trainer.model(values))

    def save_checkpoint(self):
        if self.rank:
            return
        state = {"key": self.key, "trainer": self.trainer.state(), **{name: getattr(self, name) for name in self.KEPT}}
        state["seconds"] = self.passed()
        part = "%s.%d.part" % (self.checkpoint, os.getpid())
        torch.save(state, part)
        os.replace(part, self.checkpoint)

    # ---- the loop ----

    def fit(self, pace):
        """The schedule that the time allows at so many seconds a step; a twentieth is for validation."""
        left = 0.95 * (self.args.time_limit - self.passed()) / pace
        steps = torch.tensor([self.step + max(1.0, left)], dtype=torch.float64, device=self.device)
        if self.processes > 1:
            dist.broadcast(steps, 0)
        self.steps, self.fitted = int(steps), True
        self.note("%d steps of %.4g ms fit" % (self.steps, 1e3 * pace))

    def measure(self):
        """Mean PSNR over the validation batches, of a codec minus the objective, by the first process."""
        if self.rank == 0:
            found = [self.trainer.evaluate(batch)[:2] for batch in self.loader.validation()]
            codec = self.recipe.task == "compress"
            self.score = sum(-loss if codec else -10 * math.log10(max(e, 1e-10)) for e, loss in found) / len(found)

    def validate(self):
        self.measure()
        if self.processes > 1:
            score = torch.tensor([self.score], dtype=torch.float64, device=self.device)
            dist.broadcast(score, 0)
            self.score = score.item()
        if self.recipe.train.patience and math.isfinite(self.score):
            better = self.best is None or self.score > self.best_score
            self.stale = 0 if better else self.stale + 1
            if better:
                self.best, self.best_score = torch.from_numpy(self.trainer.average.flat()), self.score
        self.save()

    def report(self, validated, loss, norm, rate, speed):
        left = (self.steps - self.step) * self.recipe.train.batch / speed if speed else math.nan
        self.note("step %d/%d  loss %.4g%s  %.4g samples/s  left %.0f s" % (
            self.step, self.steps, loss, "  score %.5g" % self.score if math.isfinite(self.score) else "", speed, left))
        if self.args.json and self.rank == 0:
            line = {"step": self.step, "steps": self.steps, "loss": loss, "score": self.score, "validated": validated, "rate": rate,
                    "gradient_norm": norm, "samples_per_second": speed, "seconds": self.passed()}
            with open(self.args.json, "a") as f:
                print(json.dumps({k: None if v != v else v for k, v in line.items()}), file=f)

    def loop(self):
        """True where training is complete."""
        train, limit = self.recipe.train, self.args.stop_after or math.inf
        saved = mark = time.time()
        losses, done, taken, stop = [], 0, 0, False

        def prefetch():
            self.ahead = self.loader.next()

        def patient():
            return not train.patience or self.stale < train.patience

        self.loader.start(self.step)
        if self.step < self.steps:
            prefetch()
        while self.step < self.steps and patient():
            if stop:
                self.measure()
                self.save_checkpoint()
                self.save()
                return False
            batch, wish = self.ahead, self.stop or time.time() - self.began >= limit
            self.trainer.at(phases.moment(self.recipe, self.step, self.steps))
            rate = self.trainer.moment.rate
            loss, norm, applied, stop = self.trainer.step(batch, self.step, rate, prefetch, wish)
            self.faults = 0 if applied else self.faults + 1
            if self.faults >= MAX_FAULTS:
                raise TrainError("step %d: loss or gradient are not finite, as in the %d steps before; look at the data or lower "
                                 "the rate" % (self.step, MAX_FAULTS - 1))
            if not applied:
                self.note("step %d: loss %g, gradient norm %g; step skipped" % (self.step, loss, norm))
            losses, done = losses + [loss] * applied, done + 1
            self.step += 1
            taken += 1
            if taken == WARM:
                warm = time.time()
            elif taken == TIMED and not self.fitted:
                self.fit((time.time() - warm) / (TIMED - WARM))
            due = self.step % train.validate_every == 0 or self.step == self.steps
            passed = time.time() - mark
            if due:
                self.validate()
            if due or passed >= 30:
                self.report(due, sum(losses) / len(losses) if losses else math.nan, norm, rate, done * train.batch / passed)
                mark, losses, done = time.time(), [], 0
            if time.time() - saved >= 300:
                self.save_checkpoint()
                saved = time.time()
        if self.rank == 0 and os.path.exists(self.checkpoint):
            os.unlink(self.checkpoint)
        return True


def check_output(args, checkpoint):
    if os.path.isdir(args.output) or any(os.path.exists(p) and os.path.exists(args.output) and os.path.samefile(p, args.output)
                                         for p in args.data + [args.recipe]):
        raise TrainError("%s: is a directory, the recipe or among the data" % args.output)
    if not args.force and os.path.exists(args.output) and not os.path.exists(checkpoint):
        raise TrainError("%s exists (-f overwrites it)" % args.output)
    if not os.access(os.path.dirname(os.path.abspath(args.output)), os.W_OK):
        raise TrainError("%s: cannot write there" % args.output)


def main():
    args, run = parse_args(), None
    try:
        check_output(args, args.checkpoint or re.sub(r"\.aem$", "", args.output) + ".pt")
        run = Run(args)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: setattr(run, "stop", True))
        complete = run.loop()
        score = "score %.5g" % run.score
        if complete:
            run.note("%s: %d steps in %.0f s, %s" % (args.output, run.step, run.passed(), score))
        else:
            run.note("%s: stopped at step %d of %d, %s; the same command goes on" % (args.output, run.step, run.steps, score))
        return INTERRUPTED if run.stop and not complete else 0
    except (recipes.RecipeError, GraphError, aem.ModelError, DataError, TrainError, OSError) as e:
        print("train: %s%s" % (args.recipe + ": " if isinstance(e, (recipes.RecipeError, GraphError)) else "", e), file=sys.stderr)
        return 1
    finally:
        if run:
            run.loader.close()
        if dist.is_initialized():
            run = None  # what is distributed holds the group, whose threads have to end before the interpreter does
            gc.collect()
            dist.destroy_process_group()


if __name__ == "__main__":
    sys.exit(main())
