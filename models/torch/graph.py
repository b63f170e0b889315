# SPDX-License-Identifier: BSD-2-Clause
"""Networks as data, as in include/ae/graph.h: nodes in the order in which they are computed, their shapes and their parameters."""
import math
import re
from dataclasses import dataclass, field
from pathlib import Path


def names(enumeration):
    """The names of an enumeration of include/ae/graph.h, at the places of their numbers, which files hold."""
    text = (Path(__file__).resolve().parents[2] / "include" / "ae" / "graph.h").read_text()
    found = {int(n): name.lower() for name, n in re.findall(r"\bAE_%s_(\w+)\s*=\s*(\d+)" % enumeration, text)}
    return [found.get(i, "") for i in range(max(found) + 1)]


OPS, ACTS, INITS, PARITIES = names("OP"), names("ACT"), names("INIT"), names("PARITY")

WINDOWS = ("conv", "deconv", "maxpool", "avgpool")
WEIGHTS = ("dense", "conv", "deconv")
FACTORS = ("nearest", "bilinear", "shuffle", "unshuffle")
READS = {"input": (0,), "gaussian": (2,), "mul": (2,), "quantise": (3,), "bits": (4,), "last": (1, 2), "repeat_time": (1, 2)}  # others: one
GATES = {"gru": 3, "lstm": 4}
MANY = ("concat", "add")  # two or more
SPREAD = {"add": 0, "mul": 0, "quantise": 1, "bits": 1}  # from this input on, 1 x 1 is broadcast


class GraphError(ValueError):
    pass


@dataclass
class Node:
    """The fields of ae_node; those that the operator does not have are zero, which the identity relies on."""
    name: str
    op: str
    param: str = ""
    inputs: list = field(default_factory=list)
    add: int = -1
    act: str = "none"
    slope: float = 0.0
    out: int = 0
    kernel: tuple = (0, 0)
    stride: tuple = (0, 0)
    dilation: tuple = (0, 0)
    pad: tuple = (0, 0)
    causal: bool = False
    transposed: bool = False
    groups: int = 0
    factor: int = 0
    first: int = 0
    height: int = 0
    width: int = 0
    value: float = 0.0
    bias: bool = False
    init: str = "he"
    parity: str = "all"

    @property
    def kind(self):
        """The operator that owns parameters like its own."""
        return "normalise" if self.op == "denormalise" else "conv" if self.op == "deconv" and self.transposed else self.op

    def sides(self, axis):
        """Padding before and after (deconv: cut off)."""
        p = self.pad[axis]
        if not self.causal or axis:
            return p, p
        return (0, p) if self.op == "deconv" else (p, 0)


@dataclass
class Param:
    name: str
    shape: tuple
    node: Node
    trainable: bool = True
    decay: bool = False  # weight penalties and weight decay act on it

    @property
    def moves(self):
        """Whether the optimiser updates it: cosine transforms stay what they are."""
        return self.trainable and not (self.node.op == "conv" and self.node.init.startswith("dct"))


class Graph:
    def __init__(self):
        self.nodes = []
        self.outputs = []

    def find(self, name):
        for i, node in enumerate(self.nodes):
            if node.name == name:
                return i
        return None

    def append(self, node):
        """Adds a node and fills its derived fields: channels, the name of its parameters."""
        def check(holds, message, *args):
            if not holds:
                raise GraphError("layer %s: " % node.name + message % args)

        check(self.find(node.name) is None, "a layer above has the same name")
        node.param = node.param or node.name
        c = self.nodes[node.inputs[0]].out if node.inputs else 0
        n = len(node.inputs)
        check(n >= 2 if node.op in MANY else n in READS.get(node.op, (1,)), "%s cannot read %d layers", node.op, n)
        if node.op == "conv":
            node.out = node.out or c
        elif node.op == "concat":
            node.out = sum(self.nodes[i].out for i in node.inputs)
        elif node.op == "shuffle":
            check(c % node.factor ** 2 == 0, "%d channels are not a multiple of %d", c, node.factor ** 2)
            node.out = c // node.factor ** 2
        elif node.op == "unshuffle":
            node.out = c * node.factor ** 2
        elif node.op == "argmax":
            node.out = 1
        elif node.op == "crop":
            check(node.first + node.out <= c, "channels %d to %d of %d", node.first, node.first + node.out, c)
        elif node.op in ("last", "repeat_time"):
            node.out = c
            check(node.op != "last" or n == 1 or self.nodes[node.inputs[1]].out == 1, "a mask of one channel is expected")
            check(node.op != "repeat_time" or (n == 1) == (node.height > 0), "a height is needed, or a layer whose height it takes")
        elif node.op not in ("input", "dense", "deconv", "reshape", "embed", "gru", "lstm", "gather"):
            node.out = c
            check(all(self.nodes[i].out == c for i in node.inputs), "inputs of different channels")
        if node.op in ("conv", "deconv"):
            check(c % node.groups == 0 and node.out % node.groups == 0, "%d groups do not divide %d and %d channels",
                  node.groups, c, node.out)
        check(node.add < 0 or self.nodes[node.add].out == node.out, "the added layer has other channels")
        matrix = node.op in WEIGHTS + tuple(GATES)
        check(node.init in ("he", "zero") or (node.init in ("xavier", "orthogonal") and matrix) or node.op == "conv"
              or (node.op, node.init) == ("embed", "dct"),
              "%s cannot begin as %s", node.op, node.init)
        if node.op == "embed" and node.init == "dct":
            transforms = [n for n in self.nodes if n.op == "conv" and n.init == "dct"]
            check(transforms and node.first + node.out <= transforms[0].out, "no dct above has such components")
        elif node.init.startswith("dct"):
            inverse, k = node.init == "dct_inverse", node.kernel[0]
            samples, components = (node.out, c) if inverse else (c * k * k, node.out)
            check(node.kernel == node.stride == (k, k) and node.pad == (0, 0) and node.groups == 1 and node.bias
                  and (k == 1 or not inverse) and components <= samples and block(samples), "no %s has such a shape", node.init)
        self.nodes.append(node)

    def shapes(self, h, w):
        """(height, width, channels) of all nodes for free inputs of h x w; 0 stands for any and gives 0."""
        shapes = []
        for node in self.nodes:
            shapes.append(self._shape(node, shapes, h, w))
            if node.add >= 0 and not _fit(shapes[-1], shapes[node.add]):
                raise GraphError("layer %s: the added layer has another size" % node.name)
        return shapes

    def _shape(self, node, shapes, h, w):
        ins = [shapes[i] for i in node.inputs]
        size = list(ins[0][:2]) if ins else [node.height or h, node.width or w]

        def fail(message):
            raise GraphError("layer %s: %s" % (node.name, message))

        if node.op == "last":
            if len(ins) > 1 and (ins[1][1] != 1 or not _fit((size[0], 1), ins[1])):
                fail("a mask of another size")
            return 1, size[1], node.out
        if node.op == "repeat_time":
            if size[0] != 1:
                fail("reads one row")
            return node.height or ins[1][0], size[1], node.out
        if node.op == "reshape" and not node.height:
            if not size[1] or size[1] * ins[0][2] != node.width * node.out:
                fail("the rows do not fit, or are of no fixed width")
            return size[0], node.width, node.out
        if node.op in ("dense", "reshape"):
            if not size[0] or not size[1]:
                fail("needs inputs of fixed height and width")
            if node.op == "reshape" and size[0] * size[1] * ins[0][2] != node.height * node.width * node.out:
                fail("the samples do not fit")
            size = [1, 1] if node.op == "dense" else [node.height, node.width]
        elif node.op in WINDOWS:
            for a in range(2):
                k, s, d, p = node.kernel[a], node.stride[a], node.dilation[a], sum(node.sides(a))
                if size[a]:
                    size[a] = (size[a] - 1) * s + k - p if node.op == "deconv" else (size[a] + p - (k - 1) * d - 1) // s + 1
                    if size[a] < 1:
                        fail("impossible shape")
        elif node.op == "unshuffle":
            if size[0] % node.factor or size[1] % node.factor:
                fail("not a multiple of %d" % node.factor)
            size = [s // node.factor for s in size]
        elif node.op in FACTORS:
            size = [s * node.factor for s in size]
        else:
            if node.op == "embed" and size != [1, 1]:
                fail("the position must be 1 x 1")
            for k, other in enumerate(ins[1:], 1):
                spread = SPREAD.get(node.op)
                if spread is not None and other[:2] == (1, 1):
                    continue
                if spread == 0 and size == [1, 1]:
                    size = list(other[:2])
                elif not _fit(size, other):
                    fail("inputs of different size")
        return size[0], size[1], node.out

    def decoder(self):
        """The nodes that decode: what the picture comes from, but for the latents' analysis."""
        marks, wanted = set(), [self.outputs[0]]
        while wanted:
            i = wanted.pop()
            if i in marks:
                continue
            marks.add(i)
            node = self.nodes[i]
            if node.op == "quantise":
                y, mean, step = node.inputs
                wanted += [mean] + [b.inputs[2] for b in self.nodes if b.op == "bits" and b.parity == node.parity
                                    and b.inputs[:2] == [y, mean] and b.inputs[3] == step][:1]
            elif node.op != "embed":
                wanted += node.inputs + [node.add] * (node.add >= 0)
        return marks

    def params(self):
        """All tensors, in the order of model files: node by node at their first use."""
        sizes, params, seen = self.shapes(0, 0), [], {}
        for node in self.nodes:
            mine = _params(node, sizes[node.inputs[0]] if node.inputs else None)
            if node.transposed:  # all but the bias is another's
                kind, shapes = seen.get(node.param, ("", [()]))
                if (kind, shapes[0]) != (node.kind, mine[0].shape):
                    raise GraphError("layer %s: no layer above has the parameters %s to read the other way" % (node.name, node.param))
                params += mine[1:]
                continue
            shared = seen.setdefault(node.param, (node.kind, [p.shape for p in mine])) if mine else None
            if mine and any(p.name == mine[0].name for p in params):
                if shared != (node.kind, [p.shape for p in mine]):
                    raise GraphError("layer %s: shares the parameters %s with a layer of other shape" % (node.name, node.param))
                continue
            params += mine
        return params


def block(samples):
    """(planes, edge) of a block of so many samples, None where there is none; doc/codec.md."""
    for planes in (3, 1):
        edge = math.isqrt(samples // planes)
        if planes * edge ** 2 == samples:
            return planes, edge
    return None


def _fit(a, b):
    return all(x == y or not x or not y for x, y in zip(a[:2], b[:2]))


def _params(node, shape):
    def param(what, *dims, **more):
        return Param("%s.%s" % (node.param, what), dims, node, **more)

    if node.op == "conv":
        weight = param("weight", node.out, shape[2] // node.groups, *node.kernel, decay=True)
    elif node.op == "deconv":
        weight = param("weight", shape[2], node.out // node.groups, *node.kernel, decay=True)
    elif node.op == "dense":
        dims = node.out, shape[0] * shape[1] * shape[2]
        weight = param("weight", *(reversed(dims) if node.transposed else dims), decay=True)
    elif node.op in GATES:
        rows = GATES[node.op] * node.out
        return [param("weight", rows, shape[2], decay=True), param("recurrent", rows, node.out, decay=True)] + \
            [param("bias", 4 * node.out)] * node.bias
    elif node.op in ("normalise", "denormalise"):
        return [param("mean", node.out, trainable=False), param("variance", node.out, trainable=False)]
    elif node.op in ("embed", "gather"):
        return [param("weight", node.factor, node.out)]
    elif node.op in ("scale", "batchnorm", "layernorm"):
        more = [] if node.op == "scale" else [param("bias", node.out)]
        if node.op == "batchnorm":
            more += [param("mean", node.out, trainable=False), param("variance", node.out, trainable=False)]
        return [param("weight", node.out)] + more
    else:
        return []
    bias = Param("%s.bias" % (node.name if node.transposed else node.param), (node.out,), node)
    return [weight] + [bias] * node.bias
