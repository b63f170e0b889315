#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Writes parity.bin: small networks computed by PyTorch, which test_parity.c compares the operators with.

usage: generate.py FILE

Specifications are those of netspec.h. Everything is computed in float64 from values exact in float32 and stored as float32.
File, little-endian: u32 number of cases; for each: the specification (u32 length, bytes), u32 n, h, w, u32 number of tensors; for each
of these: its name (u32 length, bytes), u32 count, count floats. Names: inK, dinK (inputs and their gradients), outK, doutK (outputs in
training and the gradients fed in), evalK (outputs at inference), NODE.weight ... (parameters), d NODE.weight ... (their gradients;
of running mean and variance: the batch's mean and biased variance). Tensors are N H W C, parameters in PyTorch's own layouts.
"""
import math
import struct
import sys

import torch
import torch.nn.functional as F

CASES = [
    ("input c=3; conv c=8 act=relu; conv c=5 s=2 act=gelu", 2, 5, 7),
    ("input c=6; conv c=9 g=3 k=3x2 p=1 bias=0; conv c=9 g=9 d=2 act=silu; conv c=4 k=5 s=3 p=2", 1, 7, 6),
    ("input c=5; deconv c=4 act=leaky slope=0.2; deconv c=6 k=3 s=2 p=1 g=2; deconv c=2 k=4x3 s=2x1 p=1", 1, 3, 2),
    ("input c=4; maxpool k=3 s=2 p=1; avgpool k=3 s=2 p=1; outputs from=1,2", 2, 9, 6),
    ("input c=3; bilinear f=3; nearest; avgpool k=2 s=1; outputs from=1,3", 1, 3, 4),
    ("input c=2; unshuffle; conv c=18 k=1; shuffle f=3; outputs from=3,1", 1, 4, 6),
    ("input c=3; conv c=6 bias=0; batchnorm act=relu; conv c=5; layernorm; outputs from=4,2", 3, 4, 3),
    ("input c=2 h=3 w=5; dense c=12 act=tanh; dense c=4; dense c=12 act=softplus; dense c=30 act=sigmoid; reshape h=3 w=5 c=2", 3, 3, 5),
    ("input c=7; act act=relu; act from=0 act=leaky slope=0.3; act from=0 act=sigmoid; act from=0 act=tanh; act from=0 act=softplus;"
     "act from=0 act=silu; act from=0 act=gelu; outputs from=1,2,3,4,5,6,7", 2, 3, 3),
    ("input c=3; input c=5 h=1 w=1; conv c=5 from=0; add from=2,1 act=relu; conv c=5 k=1 from=1 act=sigmoid; mul from=3,4; scale;"
     "concat from=6,0; crop first=2 c=4", 2, 4, 5),
    ("input c=4; conv c=4 act=relu; conv c=4 add=0 act=relu; conv c=4 param=1 add=1; deconv c=4 k=3 s=1 p=1 from=3 add=2 act=silu", 1, 5, 4),
    ("input c=3; input c=1; concat from=0,1; unshuffle; conv c=8 act=relu; conv c=8 add=4; conv c=16 k=2 s=2 p=0; conv c=16 act=relu;"
     "conv c=16 add=6; conv c=32 k=1 bias=0; shuffle; add from=10,5; conv c=12; shuffle", 1, 8, 12),
    ("input c=2 h=3 w=4; conv c=4; round; conv c=2; reshape h=6 w=2 c=2", 1, 3, 4),
    ("input c=4; conv c=8 causal=1 d=2x1 act=relu; conv c=6 causal=1 k=4x3 s=2x1 p=2x1; deconv c=5 causal=1 k=4x2 s=2x1 p=2x0;"
     "avgpool causal=1 k=3x2 s=1 p=2x0; maxpool causal=1 k=2x1 s=1 p=1x0; outputs from=5,4,3", 2, 6, 4),
    ("input c=5; gru c=7; lstm c=4 act=relu; gru c=7 param=1 from=0 act=tanh; gru c=3 bias=0; outputs from=2,4", 2, 6, 3),
    ("input c=3 w=2; input c=1 w=1; lstm c=6 from=0 bias=0; last from=2,1; repeat_time from=3,0; flip; concat from=5,2; reshape w=1 c=24;"
     "outputs from=7,3", 3, 5, 2),
]
DEFAULTS = {"slope": 0.1, "f": 2, "g": 1, "v": 0.5, "bias": 1, "first": 0, "causal": 0}


def pair(text):
    parts = [int(p) for p in str(text).split("x")]
    return parts * 2 if len(parts) == 1 else parts


def parse(spec):
    nodes, outputs = [], None
    for line in spec.split(";"):
        op, *words = line.split()
        node = dict(DEFAULTS, op=op, **dict(w.split("=") for w in words))
        if "from" in node:
            node["from"] = [int(i) for i in node["from"].split(",")]
        else:
            node["from"] = [len(nodes) - 1]
        if op == "outputs":
            outputs = node["from"]
            continue
        node["k"] = pair(node.get("k", 3 if op == "conv" else 2))
        node["s"] = pair(node["s"]) if "s" in node else [1, 1] if op == "conv" else [2, 2] if op == "deconv" else node["k"]
        node["d"] = pair(node.get("d", 1))
        node["causal"] = int(node["causal"])
        same = [d * (k - 1) // 2 for k, d in zip(node["k"], node["d"])] if op == "conv" else [0, 0]
        if op == "conv" and node["causal"]:
            same[0] = node["d"][0] * (node["k"][0] - 1)
        node["p"] = pair(node["p"]) if "p" in node else same
        for key in ("c", "g", "f", "h", "w", "first", "bias"):
            if key in node:
                node[key] = int(node[key])
        nodes.append(node)
    return nodes, outputs or [len(nodes) - 1]


ACTS = {
    "none": lambda x, s: x, "relu": lambda x, s: F.relu(x), "leaky": F.leaky_relu, "sigmoid": lambda x, s: torch.sigmoid(x),
    "tanh": lambda x, s: torch.tanh(x), "softplus": lambda x, s: F.softplus(x, threshold=1e9), "silu": lambda x, s: F.silu(x),
    "gelu": lambda x, s: F.gelu(x),
}


class Network:
    """Values are N C H W inside."""

    def __init__(self, spec, generator):
        self.nodes, self.outputs = parse(spec)
        self.generator = generator
        self.params = {}

    def draw(self, *shape, mean=0.0, deviation=1.0):
        return (torch.randn(*shape, generator=self.generator) * deviation + mean).double()

    def param(self, index, suffix, make):
        name = f"n{self.nodes[index].get('param', index)}.{suffix}"
        if name not in self.params:
            self.params[name] = make().requires_grad_(suffix not in ("mean", "variance"))
        return self.params[name]

    def layer(self, i, node, x, train, statistics):
        op, c = node["op"], x[0].shape[1]
        out, g, k = node.get("c"), node["g"], node["k"]
        vector = lambda suffix, mean, n: self.param(i, suffix, lambda: self.draw(n, mean=mean, deviation=0.25))
        bias = lambda: vector("bias", 0, out) if node["bias"] else None
        before, p = node["p"][0], node["p"]
        if node["causal"]:
            p = [0, p[1]]
            if op == "deconv":
                w = self.param(i, "weight", lambda: self.draw(c, out // g, *k, deviation=c ** -0.5))
                y = F.conv_transpose2d(x[0], w, bias(), node["s"], p, 0, g)
                return y[:, :, :y.shape[2] - before]
            if op == "maxpool":
                return F.max_pool2d(F.pad(x[0], (0, 0, before, 0), value=-math.inf), k, node["s"], p)
            if op == "avgpool":  # of what lies inside
                inside = F.pad(torch.ones_like(x[0]), (0, 0, before, 0))
                return F.avg_pool2d(F.pad(x[0], (0, 0, before, 0)), k, node["s"], p) / F.avg_pool2d(inside, k, node["s"], p)
            x = [F.pad(x[0], (0, 0, before, 0))]
        if op == "conv":
            w = self.param(i, "weight", lambda: self.draw(out, c // g, *k, deviation=(c // g * k[0] * k[1]) ** -0.5))
            return F.conv2d(x[0], w, bias(), node["s"], p, node["d"], g)
        if op == "deconv":
            w = self.param(i, "weight", lambda: self.draw(c, out // g, *k, deviation=c ** -0.5))
            return F.conv_transpose2d(x[0], w, bias(), node["s"], node["p"], 0, g)
        if op == "dense":
            flat = x[0].permute(0, 2, 3, 1).flatten(1)
            w = self.param(i, "weight", lambda: self.draw(out, flat.shape[1], deviation=flat.shape[1] ** -0.5))
            return F.linear(flat, w, bias())[:, :, None, None]
        if op == "maxpool":
            return F.max_pool2d(x[0], k, node["s"], node["p"])
        if op == "avgpool":
            return F.avg_pool2d(x[0], k, node["s"], node["p"], count_include_pad=False)
        if op == "nearest":
            return F.interpolate(x[0], scale_factor=node["f"], mode="nearest")
        if op == "bilinear":
            return F.interpolate(x[0], scale_factor=node["f"], mode="bilinear", align_corners=False)
        if op == "shuffle":
            return F.pixel_shuffle(x[0], node["f"])
        if op == "unshuffle":
            return F.pixel_unshuffle(x[0], node["f"])
        if op == "concat":
            return torch.cat(x, 1)
        if op == "add":
            return x[0] + x[1]
        if op == "mul":
            return x[0] * x[1]
        if op == "scale":
            return x[0] * vector("weight", 1, c)[:, None, None]
        if op == "crop":
            return x[0][:, node["first"]:node["first"] + out]
        if op == "act":
            return x[0]
        if op in ("gru", "lstm"):
            gates, (n, _, t, wide) = 3 if op == "gru" else 4, x[0].shape
            weights = [self.param(i, "weight", lambda: self.draw(gates * out, c, deviation=c ** -0.5)),
                       self.param(i, "recurrent", lambda: self.draw(gates * out, out, deviation=out ** -0.5))]
            if node["bias"]:
                b = vector("bias", 0, 4 * out)
                weights += [b[:gates * out], torch.cat([torch.zeros(2 * gates * out - 4 * out).double(), b[gates * out:]])]
            start = torch.zeros(1, n * wide, out).double()
            run = torch._VF.gru if op == "gru" else torch._VF.lstm
            columns = x[0].permute(0, 3, 2, 1).reshape(n * wide, t, c)
            y = run(columns, start if op == "gru" else (start, start), weights, bool(node["bias"]), 1, 0.0, train, False, True)[0]
            return y.view(n, wide, t, out).permute(0, 3, 2, 1)
        if op == "last":
            at = [max(t for t in range(x[0].shape[2]) if len(x) == 1 or t == 0 or m[0, t, 0] > 0.5) for m in (x[1] if len(x) > 1 else x[0])]
            rows = [x[0][k, :, t] * (len(x) == 1 or bool(x[1][k, 0, t, 0] > 0.5)) for k, t in enumerate(at)]
            return torch.stack(rows)[:, :, None]
        if op == "repeat_time":
            return x[0].expand(-1, -1, node.get("h") or x[1].shape[2], -1)
        if op == "flip":
            return x[0].flip(2)
        if op == "round":
            return x[0] + (torch.round(x[0]) - x[0]).detach()
        if op == "reshape":
            return x[0].permute(0, 2, 3, 1).reshape(x[0].shape[0], node.get("h") or x[0].shape[2], node["w"], out).permute(0, 3, 1, 2)
        if op == "layernorm":
            return F.layer_norm(x[0].permute(0, 2, 3, 1), [c], vector("weight", 1, c), vector("bias", 0, c)).permute(0, 3, 1, 2)
        assert op == "batchnorm", op
        w, b, mean = vector("weight", 1, c), vector("bias", 0, c), vector("mean", 0, c)
        variance = self.param(i, "variance", lambda: (self.draw(c).float().abs() + 0.5).double())
        if train:
            statistics[f"n{i}.mean"] = x[0].mean((0, 2, 3))
            statistics[f"n{i}.variance"] = x[0].var((0, 2, 3), unbiased=False)
        return F.batch_norm(x[0], None if train else mean, None if train else variance, w, b, training=train)

    def run(self, inputs, train, statistics):
        values, inputs = [], list(inputs)
        for i, node in enumerate(self.nodes):
            x = [values[f] for f in node["from"]] if node["op"] != "input" else None
            y = inputs.pop(0) if x is None else self.layer(i, node, x, train, statistics)
            if "add" in node:
                y = y + values[int(node["add"])]
            values.append(ACTS[node.get("act", "none")](y, float(node["slope"])))
        return [values[o] for o in self.outputs]


def nhwc(x):
    return x.detach().permute(0, 2, 3, 1)


def case(spec, n, h, w, seed):
    net = Network(spec, torch.Generator().manual_seed(seed))
    shapes = [(n, node["c"], node.get("h", h), node.get("w", w)) for node in net.nodes if node["op"] == "input"]
    inputs = [net.draw(*s, mean=0.25).requires_grad_(True) for s in shapes]
    tensors, statistics = {}, {}
    outputs = net.run(inputs, True, statistics)
    d_outputs = [net.draw(*o.shape) for o in outputs]
    torch.autograd.backward(outputs, d_outputs)
    for i, o in enumerate(net.run(inputs, False, {})):
        tensors[f"eval{i}"] = nhwc(o)
    for i, x in enumerate(inputs):
        tensors[f"in{i}"], tensors[f"din{i}"] = nhwc(x), nhwc(torch.zeros_like(x) if x.grad is None else x.grad)
    for i, (o, d) in enumerate(zip(outputs, d_outputs)):
        tensors[f"out{i}"], tensors[f"dout{i}"] = nhwc(o), nhwc(d)
    for name, p in net.params.items():
        tensors[name] = p.detach()
        tensors["d " + name] = (p.grad if p.requires_grad else statistics[name]).detach()
    return tensors


def main():
    text = lambda t: struct.pack("<I", len(t)) + t.encode()
    data = struct.pack("<I", len(CASES))
    for seed, (spec, n, h, w) in enumerate(CASES):
        tensors = case(spec, n, h, w, seed)
        data += text(spec) + struct.pack("<4I", n, h, w, len(tensors))
        for name, t in tensors.items():
            data += text(name) + struct.pack("<I", t.numel()) + t.contiguous().float().numpy().astype("<f4").tobytes()
    with open(sys.argv[1], "wb") as file:
        file.write(data)
    print(f"{sys.argv[1]}: {len(CASES)} networks, {len(data)} bytes")


main()
