# SPDX-License-Identifier: BSD-2-Clause
"""All networks of a recipe in one graph, as they are trained: lib/train/join.c."""
from dataclasses import replace

import numpy as np

from .graph import Graph, GraphError


class Joined:
    """graph; network: of each node, the number of its network; told and drawn: of each term `adversary`, the nodes of its network's
    logits of codes and of draws; draws: the input nodes to be fed with unit normal draws."""

    def __init__(self, r):
        self.recipe, self.graph, self.network, self.told, self.drawn, self.draws = r, Graph(), [], {}, {}, []
        critics = {t.by for t in r.terms if t.kind == "adversary"}
        self._append(0, "", None)
        self.graph.outputs = list(r.networks[0].graph.outputs)
        for k, n in enumerate(r.networks[1:], 1):
            if n.name not in critics:
                feeds = [self.graph.find(f) if f else None for f in n.feeds]
                if None in feeds:
                    raise GraphError("nothing feeds an input of network %s: give it 'from', a layer, or name the network in a term "
                                     "adversary" % n.name)
                self._append(k, "", feeds)
        for i, t in enumerate(r.terms):
            if t.kind == "adversary":
                self._adversary(i, t)
        self.params = self.graph.params()

    def _append(self, k, between, feeds):
        own, first, at = self.recipe.networks[k], self.recipe.networks[0].graph, []
        feeds = iter(feeds or ())
        for node in own.graph.nodes:
            if k and node.op == "input":
                at.append(next(feeds))
                continue
            new = replace(node, inputs=[at[i] for i in node.inputs], add=at[node.add] if node.add >= 0 else -1)
            shared = node.param != node.name and any(n.op != "input" and n.param == node.param for n in first.nodes)
            if k:
                new.name = "%s%s.%s" % (own.name, between, node.name)
                new.param = node.param if shared else "%s.%s" % (own.name, node.param)
            at.append(len(self.graph.nodes))
            self.network.append(k)
            self.graph.append(new)
        return at[own.graph.outputs[0]]

    def _adversary(self, i, term):
        terms = self.recipe.terms
        for j in self.told:
            if (terms[j].by, terms[j].on) == (term.by, term.on):
                self.told[i], self.drawn[i] = self.told[j], self.drawn[j]
                return
        k = next(k for k, n in enumerate(self.recipe.networks) if n.name == term.by)
        self.told[i] = self._append(k, "%02d" % i, [self.graph.find(term.on)])
        like, at = self.recipe.networks[k].graph.nodes[0], len(self.graph.nodes)
        self.graph.append(replace(like, name="draws.%d" % (len(self.draws) + 1), param=""))
        self.network.append(k)
        self.draws.append(like)
        self.drawn[i] = self._append(k, "%02d.d" % i, [at])

    def trains(self, phase, param):
        """Whether a phase trains a parameter of the joined graph; None: every one is."""
        if phase is None or not phase.train:
            return True
        node = param.node
        network = self.recipe.networks[self.network[self.graph.nodes.index(node)]]
        return bool({network.name, node.name, node.param} & set(phase.train))

    def _places(self):
        """(parameter of the joined graph, its count) for each parameter of each network, as a model file has them."""
        known = {p.name: i for i, p in enumerate(self.params)}
        for k, n in enumerate(self.recipe.networks):
            for p in n.graph.params():
                own = "%s.%s" % (n.name, p.name)
                yield known[own if k and own in known else p.name], int(np.prod(p.shape))

    def to_model(self, flat):
        starts = np.cumsum([0] + [int(np.prod(p.shape)) for p in self.params])
        return np.concatenate([flat[starts[i]:starts[i] + n] for i, n in self._places()])

    def from_model(self, values):
        tensors, at = [None] * len(self.params), 0
        for i, n in self._places():
            tensors[i] = values[at:at + n]
            at += n
        return np.concatenate(tensors)
