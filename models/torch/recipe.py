# SPDX-License-Identifier: BSD-2-Clause
"""Recipes, doc/recipe.md: the files that aetrain reads, by tables of keys. Errors name the line."""
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import yaml

from .graph import ACTS, FACTORS, GATES, INITS, OPS, PARITIES, WEIGHTS, WINDOWS, Graph, GraphError, Node

REQUIRED = object()
TASKS = ["", "autoencode", "denoise", "superres", "compress"]
NUMBER = re.compile(r"[-+]?(0|[1-9]\d*|(?=\.\d))(\.\d*)?([eE][-+]?\d+)?$")


class RecipeError(ValueError):
    pass


def rows(header, table):
    """The rows of a table of the C library, each a list of texts: X(number, name, ...)."""
    text = (Path(__file__).resolve().parents[2] / "lib" / "nn" / header).read_text()
    lines = re.search(r"#define %s\(X\)((?:.*\\\n)+.*)" % table, text)[1]
    return [row.split(", ") for row in re.findall(r"X\((.*)\)", lines)]


def fail(node, message, *args):
    raise RecipeError("line %d: " % (node.start_mark.line + 1) + message % args)


# ---- values: functions of the key and its YAML node ----

def scalar(key, node):
    if not isinstance(node, yaml.ScalarNode):
        fail(node, "%s: expected a single value", key)
    return node.value


def name(key, node):
    if not re.match(r"[A-Za-z0-9_-]{1,47}$", scalar(key, node)) or node.value == "previous":
        fail(node, "%s: '%s' is not a name (letters, digits, '_', '-')", key, node.value)
    return node.value


def boolean(key, node):
    if scalar(key, node) not in ("true", "false"):
        fail(node, "%s: expected true or false", key)
    return node.value == "true"


def number(lo, hi):
    def read(key, node):
        if not NUMBER.match(scalar(key, node)) or node.style:
            fail(node, "%s: expected a number, found %s", key, node.value)
        if not lo <= float(node.value) <= hi:
            fail(node, "%s: %s is not in %g to %g", key, node.value, lo, hi)
        return float(node.value)
    return read


def whole(lo, hi):
    def read(key, node):
        value = number(lo, hi)(key, node)
        if not re.match(r"[-+]?\d+$", node.value):
            fail(node, "%s: expected a whole number, found %s", key, node.value)
        return int(value)
    return read


def choice(values):
    def read(key, node):
        if scalar(key, node) not in values or not node.value:
            fail(node, "%s: '%s' is none of %s", key, node.value, ", ".join(v for v in values if v))
        return node.value
    return read


def entries(key, node):
    if not isinstance(node, yaml.SequenceNode):
        fail(node, "%s: expected a list", key)
    return node.value


def choices(values):
    def read(key, node):
        if not 1 <= len(entries(key, node)) <= 8:
            fail(node, "%s: 1 to 8 are expected", key)
        return [choice(values)(key, item) for item in node.value]
    return read


def pair(lo, hi):
    def read(key, node):
        if isinstance(node, yaml.ScalarNode):
            return (whole(lo, hi)(key, node),) * 2
        if len(entries(key, node)) != 2:
            fail(node, "%s: expected a number or two in brackets", key)
        return tuple(whole(lo, hi)(key, item) for item in node.value)
    return read


def between(lo, hi):
    def read(key, node):
        values = tuple(number(lo, hi)(key, item) for item in entries(key, node))
        if len(values) != 2 or values[0] > values[1]:
            fail(node, "%s: expected [lowest, highest]", key)
        return values
    return read


def subtree(key, node):
    return node


def fields(node, what, table):
    """The values of a map as a namespace, `given` being the keys that occur. table: key -> (reader, default)."""
    if not isinstance(node, yaml.MappingNode):
        fail(node, "%s: expected keys and values", what)
    values = {}
    for key, value in node.value:
        if key.value not in table:
            fail(key, "%s: unknown key '%s'", what, key.value)
        if key.value in values:
            fail(key, "key '%s' occurs twice", key.value)
        values[key.value] = table[key.value][0](key.value, value)
    for key, (_, default) in table.items():
        if default is REQUIRED and key not in values:
            fail(node, "%s: key '%s' is missing", what, key)
    return SimpleNamespace(**{**{k: d for k, (_, d) in table.items()}, **values}, given=set(values))


# ---- the tables ----

SIZE = (whole(1, 1 << 24), 0)
NETWORK = {"name": (name, REQUIRED), "inputs": (entries, REQUIRED), "layers": (entries, REQUIRED), "outputs": (subtree, None)}
INPUT = {"name": (name, REQUIRED), "channels": (whole(1, 1 << 16), REQUIRED), "height": SIZE, "width": SIZE,
         "from": (scalar, "")}
LAYER = {"op": (choice(OPS[2:] + ["residual"]), REQUIRED), "name": (name, ""), "from": (subtree, None), "param": (name, ""),
         "act": (choice(ACTS), "none"), "slope": (number(-1e6, 1e6), None), "add": (scalar, ""), "repeat": (whole(1, 4096), 1),
         "out": (whole(1, 1 << 16), 0), "kernel": (pair(1, 1024), None), "stride": (pair(1, 1024), None),
         "dilation": (pair(1, 1024), (1, 1)), "pad": (subtree, None), "groups": (whole(1, 1 << 16), 1), "factor": (whole(1, 1 << 16), 2),
         "first": (whole(0, 1 << 16), 0), "height": SIZE, "width": SIZE, "channels": (whole(1, 1 << 16), 0),
         "value": (number(-1e6, 1e6), None), "bias": (boolean, True), "transpose": (boolean, False), "init": (choice(INITS), "he"),
         "parity": (choice(PARITIES), "all"), "gate": (choice(["none", "last", "all"]), "none"),
         "gate_act": (choice(["sigmoid", "clip"]), "sigmoid")}
# what a layer takes beside op, name, from, act, slope and repeat, and what of it it needs
WEIGHT_KEYS, WINDOW_KEYS = {"param", "add", "out", "bias", "init"}, {"kernel", "stride", "pad"}
TAKES = {"dense": WEIGHT_KEYS | {"transpose"}, "conv": WEIGHT_KEYS | WINDOW_KEYS | {"dilation", "groups", "gate", "gate_act"},
         "deconv": WEIGHT_KEYS | WINDOW_KEYS | {"groups", "transpose"}, "residual": {"param", "kernel", "dilation", "pad", "init", "gate", "gate_act"},
         "maxpool": WINDOW_KEYS,
         "avgpool": WINDOW_KEYS, "scale": {"value", "param"}, "batchnorm": {"param"}, "layernorm": {"param"}, "dropout": {"value"},
         "reshape": {"height", "width", "channels"}, "crop": {"first", "out"},
         "gru": {"param", "out", "bias", "init"}, "lstm": {"param", "out", "bias", "init"}, "repeat_time": {"height"}, "noise": {"value"},
         "reverse": {"value"}, "normalise": {"param"}, "denormalise": {"param"}, "gather": {"param", "out", "factor"},
         "embed": {"param", "out", "factor", "value", "first", "init"}, "mul": {"add"}, "quantise": {"parity"}, "bits": {"parity"},
         **{op: {"factor"} for op in FACTORS}}
NEEDS = {"dense": {"out"}, "deconv": {"out"}, "act": {"act"}, "reshape": {"width", "channels"}, "crop": {"out"}, "gru": {"out"},
         "lstm": {"out"}, "noise": {"value"}, "gather": {"out", "factor"},
         "embed": {"out", "factor"}, **{op: {"from"} for op in ("concat", "add", "mul", "gaussian", "quantise", "bits")}}

DATA = {"columns": (whole(1, 65536), 0), "crop": (whole(8, 4096), 128), "text": (choice(["bytes", "lines", "words"]), None),
        "augment": (boolean, True), "scale": (between(1, 16), (1, 1)), "grey": (number(0, 1), 0),
        "clean": (number(0, 1), 0), "patterns": (number(0, 1), 0), "doubt": (between(0, 255), (0, 0)), "curve": (boolean, False),
        "strength": (between(0, 16), (0, 0)),
        "filters": (choices(["bicubic", "lanczos", "area", "bilinear"]), ["bicubic"])}
RANGES = {"gaussian": "sigma", "camera": "sigma", "salt_pepper": "fraction", "mask": "fraction", "jpeg": "quality",
          "warp": "pixels"}
CORRUPTION = {"kind": (choice(RANGES), REQUIRED), "sigma": (between(0, 255), None), "fraction": (between(0, 1), None),
              "quality": (between(1, 100), None), "pixels": (between(0, 64), None),
              "probability": (number(0, 1), 1), "jitter": (between(0, 100), (1, 1))}
ALONE = [row[1] for row in rows("losses.h", "AEI_SAMPLE_LOSSES")]  # of single samples, defined by their rows
TRAITS = {**dict.fromkeys(ALONE, "AEI_COMPARES | AEI_SAMPLES"), **{row[1]: row[2] for row in rows("losses.h", "AEI_LOSSES")}}
KINDS = list(TRAITS)
COMPARING, SAMPLES, OF_LAYERS = ([k for k in KINDS if "AEI_" + t in TRAITS[k]] for t in ("COMPARES", "SAMPLES", "OF_LAYER"))
OPTIMIZERS = [row[1] for row in rows("optimizers.h", "AEI_OPTIMIZERS")]
LOSS = {"kind": (choice(KINDS), REQUIRED), "weight": (number(0, 1e9), 1), "model": (scalar, ""), "node": (scalar, ""),
        "lambda": (between(1e-9, 1e9), None)}
PENALTY = {"kind": (choice(["l1", "l2", "kl_sparse", "kl_normal", "jacobian"]), REQUIRED), "weight": (number(0, 1e9), REQUIRED),
           "node": (scalar, ""), "target": (number(1e-6, 0.999999), 0), "logvar": (scalar, "")}
TERM = {**LOSS, "name": (name, ""), "on": (scalar, ""), "to": (subtree, None), "mask": (scalar, ""),
        "over": (choice(["mean", "sum"]), "mean"), "warmup": (whole(0, 1e12), 0), "rho": (number(1e-6, 0.999999), 0), "logvar": (scalar, ""), "by": (scalar, ""),
        "aim": (choice(["tell", "fool"]), "tell")}
PHASE = {"train": (entries, []), "terms": (entries, REQUIRED), "steps": (whole(1, 1e12), REQUIRED), "every": (whole(1, 1e12), 0),
         "rate": (number(0, 100), 0), "rate_end": (number(0, 100), 0)}
TRAIN = {"optimizer": (choice(OPTIMIZERS), "adamw"), "rate": (number(0, 100), 1e-3),
         "rate_end": (number(0, 100), 1e-6), "beta1": (number(0, 0.9999), 0.9), "beta2": (number(0, 0.999999), 0.999),
         "decay": (number(0, 10), 1e-4), "clip": (number(0, 1e6), 1), "ema": (number(0, 0.999999), 0.999),
         "steps": (whole(1, 1e12), 100000), "warmup": (whole(0, 1e12), 500), "batch": (whole(1, 65536), 16),
         "shards": (whole(1, 1024), 0), "validate_every": (whole(1, 1e12), 1000), "patience": (whole(0, 1e6), 0),
         "holdout": (number(0, 0.9), 0.05), "integer": (boolean, False)}
SHARE = number(0, 1)
SOUND = {"rate": (number(8000, 192000), 48000), "window": (number(0.004, 0.1), 0.032), "hop": (number(0.001, 0.05), 0.01),
         "bands": (whole(4, 1024), REQUIRED), "linear": (whole(1, 1024), REQUIRED), "power": (number(0.05, 1), 0.3),
         "memory": (number(0.1, 100), 2), "snr": (between(-60, 100), (-5, 30)), "level": (between(-100, 20), (-45, 0)),
         "silent": (SHARE, 0.06), "music": (SHARE, 0.07), "rooms": (SHARE, 0.3), "filters": (SHARE, 0.5), "limits": (SHARE, 0.2),
         "speed": (SHARE, 0.3), "clipped": (SHARE, 0.08), "synthetic": (SHARE, 0.25), "babble": (SHARE, 0.1)}
RECIPE = {"recipe": (whole(1, 1), REQUIRED), "name": (name, REQUIRED), "about": (scalar, ""), "task": (choice(TASKS), REQUIRED),
          "residual": (boolean, False), "bound": (number(0.1, 1000), 0), "scale": (whole(1, 4), 1), "networks": (entries, REQUIRED), "data": (subtree, None),
          "sound": (subtree, None),
          "corruption": (entries, []), "one_of": (boolean, False), "loss": (entries, None), "penalties": (entries, []),
          "terms": (entries, None), "phases": (entries, []), "train": (subtree, None)}
NOTHING = yaml.MappingNode("", [])


# ---- networks ----

def find(graph, node):
    at = len(graph.nodes) - 1 if scalar("from", node) == "previous" else graph.find(node.value)
    if at is None:
        fail(node, "no layer '%s' stands above (a cycle or a misspelt name)", node.value)
    return at


def is_word(node, word):
    return isinstance(node, yaml.ScalarNode) and node.value == word


def read_pad(pad, node):
    """A number or two, `causal`, or [causal, N]."""
    items = pad.value if isinstance(pad, yaml.SequenceNode) else [pad]
    if not items or not is_word(items[0], "causal") or len(items) > 2:
        node.pad = pair(0, 1 << 20)("pad", pad)
        return
    node.causal = True
    before = max(0, node.dilation[0] * (node.kernel[0] - 1) - (node.stride[0] - 1))
    node.pad = before, whole(0, 1 << 20)("pad", items[1]) if len(items) == 2 else node.pad[1]


def read_layer(entry, graph):
    """A layer's own fields, defaults filled in, but for its name and what it reads."""
    l = fields(entry, "layer", LAYER)
    window = l.op if l.op != "residual" else "conv"
    allowed = TAKES.get(l.op, set()) | {"op", "name", "from", "act", "slope", "repeat"}
    for key in sorted(l.given - allowed):
        fail(entry, "a layer %s has no key '%s'", l.op, key)
    for key in sorted(NEEDS.get(l.op, set()) - l.given):
        fail(entry, "layer %s: key '%s' is missing", l.op, key)
    if "act" not in l.given and l.op == "residual":
        l.act = "relu"
    if l.op in ("embed", "quantise", "bits", "softmax", "argmax") and "act" in l.given:
        fail(entry, "a layer %s has no activation", l.op)
    if l.act != "leaky" and l.op != "embed" and "slope" in l.given:
        fail(entry, "'slope' belongs to act: leaky")
    if l.slope is None:
        l.slope = 0.1 if l.act == "leaky" else 0.0
    if l.act == "leaky" and not 0 <= l.slope <= 1:
        fail(entry, "slope %g, expected 0 to 1", l.slope)
    if l.gate_act == "clip" and l.gate == "none":
        fail(entry, "'gate_act' belongs to a gate")
    if l.value is None:
        l.value = {"scale": 1.0, "reverse": 1.0, "dropout": 0.5}.get(l.op, 0.0)
    if l.factor > 64 and l.op != "gather":
        fail(entry, "factor %d, expected up to 64", l.factor)
    if l.op == "dropout" and not 0 <= l.value < 1:
        fail(entry, "dropout %g, expected 0 to below 1", l.value)
    factor = l.factor if l.op in FACTORS + ("embed", "gather") else 0
    node = Node("", l.op, l.param, act=l.act, slope=l.slope, out=l.channels if l.op == "reshape" else l.out, first=l.first,
                height=l.height, width=l.width, value=l.value, factor=factor, parity=l.parity, init=l.init)
    if window in WINDOWS:
        node.kernel = l.kernel or ((3, 3) if window == "conv" else (2, 2))
        node.stride = l.stride or {"conv": (1, 1), "deconv": (2, 2)}.get(window, node.kernel)
        node.dilation = l.dilation
        if window == "conv":
            node.pad = tuple(d * (k - 1) // 2 for d, k in zip(l.dilation, node.kernel))
        if l.pad is not None and not (window == "conv" and is_word(l.pad, "same")):
            read_pad(l.pad, node)
    if window in GATES:
        node.bias = l.bias
    node.transposed = l.transpose
    if l.transpose and not l.param:
        fail(entry, "transpose: 'param' names the weight that is read the other way")
    if window in WEIGHTS:
        node.groups, node.bias = 0 if window == "dense" else l.groups, l.bias
    return l, node


def add_conv(graph, node, gate_act):
    """With a gate y * gate_act(conv1x1(y)) + add, y = act(conv(x)), as the nodes NAME.y, NAME.g and NAME: pixel attention (Zhao et al. 2020)."""
    if not gate_act:
        graph.append(node)
        return
    at, gate = len(graph.nodes), node.param and node.param + ".g"
    graph.append(replace(node, name=node.name + ".y", param=node.param and node.param + ".y", add=-1))
    graph.append(Node(node.name + ".g", "conv", gate, inputs=[at], act=gate_act, kernel=(1, 1), stride=(1, 1), dilation=(1, 1), groups=1,
                      bias=True, init="zero" if gate_act == "clip" else "he"))
    graph.append(Node(node.name, "mul", inputs=[at, at + 1], add=node.add))


def add_layer(graph, entry, count, n_inputs):
    """Appends the nodes of one entry; returns how many layers it was."""
    l, node = read_layer(entry, graph)
    reads = getattr(l, "from")
    if reads is None and len(graph.nodes) == n_inputs > 1:
        fail(entry, "with %d inputs the first layer needs 'from'", n_inputs)
    inputs = [len(graph.nodes) - 1] if reads is None else [find(graph, item) for item in entries("from", reads)]
    if l.add:
        node.add = find(graph, next(value for key, value in entry.value if key.value == "add"))
    for i in range(l.repeat):
        own = "%s.%d" % (l.op, count + i + 1)
        own = own if not l.name else l.name if i + 1 == l.repeat else "%s.%d" % (l.name, i + 1)
        ins = inputs if i == 0 else [len(graph.nodes) - 1]
        try:
            if l.op != "residual":
                add_conv(graph, replace(node, name=own, inputs=ins), l.gate != "none" and l.gate_act)
                continue
            # x + conv(act(conv(x))) as the nodes NAME.a and NAME
            first = replace(node, op="conv", name=own + ".a", param=l.param and l.param + ".a", inputs=ins, init="he")
            add_conv(graph, first, l.gate == "all" and l.gate_act)
            last = [len(graph.nodes) - 1]
            add_conv(graph, replace(node, op="conv", name=own, inputs=last, add=ins[0], act="none", slope=0.0), l.gate != "none" and l.gate_act)
        except GraphError as e:
            fail(entry, "%s", e)
    return l.repeat


def read_network(entry):
    n = fields(entry, "network", NETWORK)
    n.graph, n.feeds, count = Graph(), [], 0
    for item in n.inputs:
        i = fields(item, "input", INPUT)
        n.feeds.append(getattr(i, "from"))
        n.graph.append(Node(i.name, "input", out=i.channels, height=i.height, width=i.width))
    if not n.inputs:
        fail(entry, "inputs: empty")
    for item in n.layers:
        count += add_layer(n.graph, item, count, len(n.inputs))
    n.graph.outputs = [find(n.graph, item) for item in entries("outputs", n.outputs)] if n.outputs else [len(n.graph.nodes) - 1]
    try:
        n.graph.params()
    except GraphError as e:
        fail(entry, "%s", e)
    return n


# ---- the whole ----

def check_sound(root, r):
    f = r.sound
    if f.linear >= f.bands or f.hop > f.window / 2 or f.rate / 2 * f.window <= f.linear:
        fail(root, "sound: expected more bands than linear ones, hops of at most half a window, linear bands below half the rate")
    if r.task != "denoise" or r.residual or r.corruptions or r.data.strength[1] > 0:
        fail(root, "sound: with task denoise, not residual, without corruption and strength")
    for node in (n for n in r.networks[0].graph.nodes if n.op == "input"):
        if node.name == "image" and (node.height, node.width, node.out) != (0, f.bands, 1):
            fail(root, "input image: of sound it has 1 channel, a free height and a width of the %d bands", f.bands)


def check_task(root, r):
    graph, free = r.networks[0].graph, [n for n in r.networks[0].graph.nodes if n.op == "input" and not (n.height and n.width)]
    image = graph.find("image")
    if (r.task == "superres") != (r.scale > 1):
        fail(root, "scale: 2 to 4 with task superres, 1 otherwise")
    level = graph.find("level")
    if r.data.strength[1] > 0 and (level is None or graph.nodes[level].out != 1):
        fail(root, "data: strength is told to an input 'level' of one channel, which is missing")
    leveled = r.task == "denoise" and r.data.strength[1] == 0 and level is not None
    if r.bound > 0 and not (leveled and r.residual):
        fail(root, "bound: only with task denoise, residual: true and an input 'level' of deviations")
    if r.data.curve and not leveled:
        fail(root, "data: curve: only with task denoise and an input 'level' of deviations")
    for node in graph.nodes:
        if node.op == "input" and node.name == "quality":
            if r.task != "compress" or (node.height, node.width, node.out) != (1, 1, 1):
                fail(root, "input quality: 1 x 1 x 1, of task compress")
        elif node.op == "input" and node.name == "place" and r.sound and node.out == 1:
            pass
        elif node.op == "input" and (node.name not in ("image", "level") or (node.name == "level" and node.out > 2)):
            fail(root, "input %s: the first network reads 'image', 'level' (1 or 2 channels) and 'quality'", node.name)
    if image is None or graph.nodes[image].op != "input":
        fail(root, "the first network has no input 'image'")
    edge = r.data.crop // r.scale if free else 0
    try:
        shapes = graph.shapes(edge, edge)
    except GraphError as e:
        fail(root, "%s", e)
    kinds = [t.kind for t in r.terms]
    if (kinds != ["rate_distortion"]) if r.task == "compress" else ("rate_distortion" in kinds):
        fail(root, "loss: rate_distortion belongs to task compress, which has no other")
    if r.train.integer and r.task != "compress":
        fail(root, "train: integer belongs to task compress")
    if r.task == "compress":
        if r.residual or len(r.networks) > 1:
            fail(root, "task compress: one network, not residual")
        if graph.find("quality") is None or {graph.nodes[i].op for i in graph.outputs[1:]} != {"bits"}:
            fail(root, "task compress: an input 'quality', and outputs of op bits after the picture")
    inp, out = shapes[image], shapes[graph.outputs[0]]
    if out != (inp[0] * r.scale, inp[1] * r.scale, inp[2]):
        fail(root, "from pictures of %s the first network makes %s", " x ".join(map(str, inp)), " x ".join(map(str, out)))


def find_layer(networks, name):
    """Whether the first network has such a layer, or NAME is NETWORK.LAYER."""
    network, _, layer = name.partition(".")
    return networks[0].graph.find(name) is not None or any(n.name == network and n.graph.find(layer) is not None for n in networks[1:])


def make_term(entry, r, has_to=False, **values):
    """A term, defaults filled in, of what one of the three lists says."""
    t = SimpleNamespace(**{**{k: d for k, (_, d) in TERM.items()}, "on_weights": False, "against": "image", "number": 0.0, **values})
    t.name, t.sum, t.fool = t.name or t.kind, t.over == "sum", t.aim == "fool"
    compares = t.kind in COMPARING
    for kind, key in (("rate_distortion", "lambda"), ("kl_sparse", "rho"), ("kl_normal", "logvar"), ("adversary", "by")):
        if (t.kind == kind) != bool(getattr(t, key)):
            fail(entry, "term: '%s' belongs to kind %s, which needs it", key, kind)
    if (bool(t.model), bool(t.node)) != (t.kind == "perceptual",) * 2:
        fail(entry, "loss: 'model' and 'node' belong to kind perceptual, which needs both")
    if t.fool and t.kind != "adversary":
        fail(entry, "term: 'aim' belongs to kind adversary")
    if t.kind in OF_LAYERS and (not t.on or t.on_weights):
        fail(entry, "term %s needs 'on', a layer", t.kind)
    if t.kind not in SAMPLES and (t.sum or t.mask) or (not compares and has_to):
        fail(entry, "term %s has no 'to', 'over' and 'mask'", t.kind)
    if t.kind in ("perceptual", "rate_distortion") and t.on:
        fail(entry, "term %s is on the network's output and nothing else", t.kind)
    if t.on_weights and (t.kind not in ("mse", "l1") or has_to or t.sum or t.mask):
        fail(entry, "term on weights: mse or l1 alone, which hold them against 0")
    if compares and t.on and not has_to:
        fail(entry, "term %s on layer %s needs 'to': image, label, a number or a layer", t.kind, t.on)
    if t.against == "label" and t.kind != "cross_entropy":
        fail(entry, "term %s: labels are classes, for kind cross_entropy", t.kind)
    if t.by:
        by = next((n for n in r.networks[1:] if n.name == t.by), None)
        if not by or len(by.feeds) != 1 or by.feeds[0] or by.graph.nodes[by.graph.outputs[0]].out != 1:
            fail(entry, "term adversary: network '%s' must be another, with one input, not fed 'from' a layer, and one logit", t.by)
    for layer in (t.on, t.to or "", t.mask, t.logvar):
        if layer and not find_layer(r.networks, layer):
            fail(entry, "network %s has no layer '%s'", r.networks[0].name, layer)
    return t


def read_term(entry, r):
    values = vars(fields(entry, "term", TERM))
    given, to = values.pop("given"), values["to"]
    values["to"] = ""
    if values["on"] == "weights":
        values.update(on="", on_weights=True, against="number")
    if to is not None and is_word(to, "label"):
        values["against"] = "label"
    elif to is not None and isinstance(to, yaml.ScalarNode) and to.value and to.value[0] in "+-.0123456789":
        values.update(against="number", number=number(-1e9, 1e9)("to", to))
    elif to is not None and not is_word(to, "image"):
        values.update(against="layer", to=scalar("to", to))
    return make_term(entry, r, "to" in given, **values)


def read_loss(entry, r):
    values = vars(fields(entry, "loss", LOSS))
    values.pop("given")
    return make_term(entry, r, **values)


def read_penalty(entry, r):
    p = fields(entry, "penalty", PENALTY)
    kind = {"l2": "mse"}.get(p.kind, p.kind)
    weights = kind in ("l1", "mse") and not p.node
    return make_term(entry, r, bool(p.node) and kind in COMPARING, kind=kind, name=p.kind, weight=p.weight, on=p.node, rho=p.target,
                     logvar=p.logvar, on_weights=weights, against="number" if kind in COMPARING else "image")


def read_phase(entry, r):
    p = fields(entry, "phase", PHASE)
    p.train, p.terms = [scalar("train", x) for x in p.train], [scalar("terms", x) for x in p.terms]
    known = {n.name for n in r.networks} | {x for n in r.networks for node in n.graph.nodes for x in (node.name, node.param)}
    for x in p.train:
        if x not in known and not find_layer(r.networks, x):
            fail(entry, "phase: '%s' is no network, layer or parameter", x)
    for x in p.terms:
        if x not in [t.name for t in r.terms]:
            fail(entry, "phase: no term is called '%s'", x)
    if not p.terms or ("train" in p.given and not p.train):
        fail(entry, "phase: 'terms' or 'train' is empty")
    return p


def read_objective(root, r):
    """`loss` and `penalties`, the older way to write them, become terms, too."""
    if r.terms is not None and (r.loss is not None or r.penalties):
        fail(root, "terms take the place of 'loss' and 'penalties'")
    if [] in (r.terms, r.loss):
        fail(root, "loss, terms: empty")
    if r.terms is not None:
        r.terms, unique = [read_term(entry, r) for entry in r.terms], True
    else:
        losses = r.loss if r.loss is not None else [yaml.compose("{kind: charbonnier}", Loader=yaml.BaseLoader)]
        r.terms, unique = [read_loss(entry, r) for entry in losses] + [read_penalty(entry, r) for entry in r.penalties], False
    for i, t in enumerate(r.terms):
        for before in r.terms[:i]:
            if t.name == before.name and unique:
                fail(root, "terms: two are called '%s': give one a 'name'", t.name)
            elif t.name == before.name:
                t.name = "%s.%d" % (before.name, i)
    r.phases = [read_phase(entry, r) for entry in r.phases]


def write_columns(root):
    """`columns` and N*columns become the number that data.columns says."""
    def value(node, key):
        found = [v for k, v in node.value if k.value == key] if isinstance(node, yaml.MappingNode) else []
        return found[0] if found else None

    def walk(node):
        if isinstance(node, yaml.ScalarNode):
            times = not node.style and re.match(r"(?:(\d+)\*)?columns$", node.value)
            if times:
                node.value = str(int(times[1] or 1) * int(n.value))
        else:
            for child in node.value:
                for c in child if isinstance(child, tuple) else [child]:
                    walk(c)

    n = value(value(root, "data"), "columns")
    if n is not None and value(root, "networks") is not None:
        walk(value(root, "networks"))


def parse(text):
    for event in yaml.parse(text, Loader=yaml.BaseLoader):
        if getattr(event, "anchor", None) or isinstance(event, yaml.AliasEvent):
            fail(event, "anchors and aliases are not allowed")
    root = yaml.compose(text, Loader=yaml.BaseLoader)
    if root is None:
        raise RecipeError("empty")
    write_columns(root)
    r = fields(root, "recipe", RECIPE)
    r.networks = [read_network(entry) for entry in r.networks]
    if not 1 <= len(r.networks) <= 8 or len({n.name for n in r.networks}) < len(r.networks):
        fail(root, "networks: 1 to 8 of different names")
    for k, n in enumerate(r.networks):
        for feed in n.feeds:
            if feed and (not k or not find_layer(r.networks[:k], feed)):
                fail(root, "network %s: no network before has a layer '%s'", n.name, feed)
    r.data = fields(r.data or NOTHING, "data", DATA)
    if r.task != "superres" and "filters" in r.data.given:
        fail(root, "filters: only with task superres")
    r.corruptions = [fields(entry, "corruption", CORRUPTION) for entry in r.corruption]
    for entry, c in zip(r.corruption, r.corruptions):
        if c.given & set(RANGES.values()) != {RANGES[c.kind]}:
            fail(entry, "corruption %s needs %s", c.kind, RANGES[c.kind])
        c.range = getattr(c, RANGES[c.kind])
    read_objective(root, r)
    train = r.train or root
    r.train = fields(r.train or NOTHING, "train", TRAIN)
    if r.phases and "steps" in r.train.given:
        fail(train, "train: with phases, the steps are theirs")
    r.train.steps = sum(p.steps for p in r.phases) or r.train.steps
    r.train.shards = r.train.shards or max(s for s in range(1, 9) if r.train.batch % s == 0)
    if r.train.batch % r.train.shards:
        fail(train, "train: a batch of %d cannot be cut into %d equal shards", r.train.batch, r.train.shards)
    r.sound = r.sound and fields(r.sound, "sound", SOUND)
    if r.sound:
        check_sound(root, r)
    check_task(root, r)
    return r
