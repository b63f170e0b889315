# SPDX-License-Identifier: BSD-2-Clause
"""The networks of a recipe in training: parameters, optimiser, moving average and the step, as lib/train/trainer.c does it.

With several processes each takes its part of the batch; its shards, the equal parts that have batch statistics and random draws of
their own, are dealt out to them."""
import copy
import math
from collections import defaultdict
from functools import partial

import numpy as np
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from . import levels, phases
from .join import Joined
from .network import Network
from .objective import Objective

MEASURED_STEPS = 100  # as in lib/train/trainer.c


def world():
    """(number of this process, number of processes)."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def mix(*numbers):
    """A seed for what these numbers name."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


def rate_at(train, step, steps):
    """Of recipes without phases."""
    return phases.rate_between(train.rate, train.rate_end, train.warmup, step, steps)


QUINTICS = ((8.3837, -24.7659, 18.3571), (4.0434, -3.0114, 0.5695), (3.5056, -2.6267, 0.5257),
            (2.4901, -1.8343, 0.4368))  # as in lib/train/muon.c


class Muon(torch.optim.AdamW):
    """Weights seen as output channels x all the rest, both at least 16, move along their orthogonalised momentum (Jordan et al. 2024),
    scaled so that the update's size is that of Adam's (Liu et al. 2025). AdamW for all else."""

    def __init__(self, groups, bf16, **keys):
        matrices = [{**g, "matrix": True, "params": [t for t in g["params"] if self.wants(g, t)]} for g in groups]
        others = [{**g, "matrix": False, "params": [t for t in g["params"] if not self.wants(g, t)]} for g in groups]
        super().__init__([g for g in matrices + others if g["params"]], **keys)
        self.type = torch.bfloat16 if bf16 else torch.float32

    @staticmethod
    def wants(group, t):
        return group["weights"] and t.dim() > 1 and t.shape[0] >= 16 and t.numel() // t.shape[0] >= 16

    @torch.no_grad()
    def step(self):
        groups, self.param_groups = self.param_groups, [g for g in self.param_groups if not g["matrix"]]
        super().step()
        self.param_groups = groups
        for group in groups:
            alike = defaultdict(list)
            for t in group["params"] if group["matrix"] else []:
                if t.grad is not None:
                    alike[t.shape[0], t.numel() // t.shape[0]].append(t)
            for shape, ts in alike.items():
                self.move(group, ts, *shape)

    def move(self, group, ts, rows, columns):
        """Matrices of one shape together: a batch of products is one kernel on a GPU."""
        gradients, momenta = [t.grad for t in ts], [self.state[t].setdefault("exp_avg", torch.zeros_like(t)) for t in ts]
        torch._foreach_mul_(momenta, 0.95)
        torch._foreach_add_(momenta, gradients, alpha=0.05)
        x = torch.stack([g.flatten(1) for g in gradients]).lerp(torch.stack([m.flatten(1) for m in momenta]), 0.95)
        x = x.mT if rows > columns else x
        for i, (p, q, r) in enumerate(QUINTICS):
            n = x.to(self.type)
            a = n @ n.mT
            if i == 0:
                v = 1 / (1.02 * a.float().norm(dim=(1, 2), keepdim=True).sqrt().clamp_min(1e-15))
                x, n, a = x * v, (n * v).to(n.dtype), (a * v * v).to(n.dtype)
            x = p * x + (q * a + r * (a @ a)) @ n
        x = x.mT if rows > columns else x
        torch._foreach_mul_(ts, 1 - group["lr"] * group["weight_decay"])
        size = group["lr"] * 0.2 * math.sqrt(max(rows, columns))
        torch._foreach_add_(ts, [y.reshape(t.shape) for y, t in zip(x, ts)], alpha=-size)


class Lion(torch.optim.Optimizer):
    """By the sign of the moment mixed with the gradient that comes (Chen et al. 2023)."""

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for t in group["params"]:
                if t.grad is not None:
                    m, (first, second) = self.state[t].setdefault("exp_avg", torch.zeros_like(t)), group["betas"]
                    mixed = m.lerp(t.grad, 1 - first)
                    t.mul_(1 - group["lr"] * group["weight_decay"]).add_(mixed.sign_(), alpha=-group["lr"])
                    m.lerp_(t.grad, 1 - second)


def adam(kind):
    return lambda groups, train, bf16: kind(groups, lr=train.rate, betas=(train.beta1, train.beta2), eps=1e-8, foreach=True)


# how each optimiser is made, and what it calls its moments
OPTIMIZERS = {
    "adamw": (adam(torch.optim.AdamW), ("exp_avg", "exp_avg_sq")),
    "adam": (adam(torch.optim.Adam), ("exp_avg", "exp_avg_sq")),
    "sgd": (lambda groups, train, bf16: torch.optim.SGD(groups, lr=train.rate, momentum=train.beta1), ("momentum_buffer",)),
    "muon": (lambda groups, train, bf16: adam(partial(Muon, bf16=bf16))(groups, train, bf16), ("exp_avg", "exp_avg_sq")),
    "lion": (lambda groups, train, bf16: Lion(groups, {"lr": train.rate, "betas": (train.beta1, train.beta2)}), ("exp_avg",)),
}


def make_optimizer(train, network, bf16):
    groups = [{"params": [t for t, p in zip(network.tensors, network.params) if p.moves and p.decay == d],
               "weight_decay": train.decay if d else 0, "weights": d} for d in (True, False)]
    return OPTIMIZERS[train.optimizer][0](groups, train, bf16)


class Trainer:
    def __init__(self, r, device="cpu", bf16=False, seed=1):
        self.recipe, self.train, self.device, self.bf16, self.seed = r, r.train, torch.device(device), bf16, seed
        self.rank, processes = world()
        if r.train.batch % processes:
            raise ValueError("a batch of %d cannot be shared by %d processes" % (r.train.batch, processes))
        # where the recipe's shards cannot be dealt out evenly there is one for each process
        self.n_shards = r.train.shards // processes if r.train.shards % processes == 0 else 1
        self.n_local = r.train.batch // processes
        self.joined = Joined(r)
        self.objective = Objective(r, self.joined).to(self.device)
        self.network = Network(self.joined.graph, seed, self.objective.taps)
        if r.train.integer:
            decoding = [self.network.graph.nodes[i] for i in self.network.graph.decoder()]
            self.network.integer = {p.name for p in self.network.params if p.decay and p.node.op == "conv" and p.node in decoding}
        self.network.to(self.device, memory_format=self.network.layout)
        for network in (self.network, *(p.network for p in self.objective.perceptual.values())):
            network.shards = self.n_shards
        for p, t in zip(self.network.params, self.network.tensors):
            t.requires_grad_(p.moves)
        self.average = copy.deepcopy(self.network).requires_grad_(False).eval()  # moving average of the parameters
        self.optimizer = make_optimizer(r.train, self.network, bf16)
        self.n_updates, self.skipped = 0, [0] * len(self.network.params)
        self.at(phases.moment(r, 0, r.train.steps))
        self.moment.step = 1 << 62  # all terms at their full weight until a run says where it is
        inputs = [n.name for n in r.networks[0].graph.nodes if n.op == "input"]
        self.level = inputs.index("level") if r.bound > 0 else None  # what the bound goes by
        self.parallel = self.network
        if processes > 1:
            self.parallel = DistributedDataParallel(self.network, device_ids=[self.device] if self.device.type == "cuda" else None,
                                                    find_unused_parameters=bool(r.phases))

    def at(self, moment):
        """What the next steps train and by which terms."""
        self.moment = moment
        self.trains = [self.joined.trains(moment.phase, p) for p in self.network.params]

    def load(self, values):
        """values: as a model file has them."""
        values = self.joined.from_model(values)
        self.network.load(values)
        self.average.load(values)

    def autocast(self):
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    def predict(self, network, batch):
        """The picture and the raw outputs."""
        draws = [torch.randn(len(batch.target), n.out, n.height, n.width, device=batch.target.device) for n in self.joined.draws]
        outputs = network(*batch.inputs, *draws)
        prediction = outputs[0]
        if self.level is not None:
            prediction = levels.bound(self.recipe.bound, batch.inputs[self.level], prediction.float())
        return prediction if batch.base is None else prediction + batch.base, outputs

    def backward(self, batch, step, wish):
        """Gradients of one batch; returns loss, gradient norm and whether any process wishes, still on the device."""
        torch.manual_seed(mix(self.seed, step, self.rank))  # of the random nodes
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        with self.autocast():
            prediction, outputs = self.predict(self.parallel, batch)
            weights = [phases.weight(t, self.moment) for t in self.recipe.terms]
            loss = self.objective(prediction, batch, outputs, self.network, weights)
        loss.backward()
        for t, trains in zip(self.network.tensors, self.trains):
            if not trains:
                t.grad = None
        found = torch.stack((loss.detach().float(), torch.full_like(loss, float(wish), dtype=torch.float32)))
        if self.parallel is not self.network:
            for value in (found, *self.network.statistics.values()):
                dist.all_reduce(value)
                value /= dist.get_world_size()
        clip = self.train.clip if self.train.clip > 0 else math.inf
        moving = [t for t, p in zip(self.network.tensors, self.network.params) if p.moves and t.grad is not None]
        return torch.cat((found, torch.nn.utils.clip_grad_norm_(moving, clip)[None]))

    @torch.no_grad()
    def update(self, rate):
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        for name, value in self.network.statistics.items():
            i = self.network.index[name]
            if not self.trains[i]:
                continue
            n = self.n_updates - self.skipped[i]
            given = self.network.params[i].node.kind == "normalise"  # of the data: the mean over the first steps, then they stay
            share = 0.1 if not given else 1 / (n + 1) if n < MEASURED_STEPS else 0
            self.network.tensors[i] += share * (value - self.network.tensors[i])
            if given:
                self.average.tensors[i].copy_(self.network.tensors[i])
        self.n_updates += 1
        # a young average follows closely, or it would remember the initial values for 1 / (1 - ema) steps
        ages = [self.n_updates - n for n in self.skipped]
        for age in set(ages):
            ema = min(self.train.ema, age / (age + 9))
            ours = [t.data for t, a in zip(self.average.tensors, ages) if a == age]
            theirs = [t.data for t, a in zip(self.network.tensors, ages) if a == age]
            torch._foreach_add_(ours, torch._foreach_sub(theirs, ours), alpha=1 - ema)
        self.skipped = [n + (not trains) for n, trains in zip(self.skipped, self.trains)]

    def step(self, batch, step, rate, meanwhile=lambda: None, wish=False):
        """Loss, gradient norm; whether the step was taken, which it is not where either is not finite; and whether any process
        wishes. `meanwhile` is called while the device computes."""
        found = self.backward(batch, step, wish)
        meanwhile()
        loss, wished, norm = found.tolist()
        applied = math.isfinite(loss) and math.isfinite(norm)
        if applied:
            self.update(rate)
        return loss, norm, applied, wished > 0

    @torch.no_grad()
    def evaluate(self, batch):
        """Mean squared error after clipping, and the loss, of the averaged parameters; and what they make of the batch. bf16 costs
        codecs a part of their quality, so it is not what they are judged by."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16 and self.recipe.task != "compress"):
            prediction, outputs = self.predict(self.average, batch)
        last = self.recipe.phases[-1] if self.recipe.phases else None
        error = ((prediction.clamp(0, 1) - batch.target) ** 2).mean().item()
        return error, float(self.objective.loss(prediction, batch, outputs, self.average, last)), prediction

    def model(self, flat):
        """Parameters as a model file has them."""
        return self.joined.to_model(flat)

    def state(self):
        return {"network": self.network.state_dict(), "average": self.average.state_dict(),
                "optimizer": self.optimizer.state_dict(), "n_updates": self.n_updates, "skipped": self.skipped}

    def restore(self, state):
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.n_updates, self.skipped = state["n_updates"], state["skipped"]
