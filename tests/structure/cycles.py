#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""cycles.py SOURCE BUILD: no file of the library, the adapters and the tools depends on itself by way of others, and no directory.

A file depends on another if it calls or reads what only that one defines (by the symbols of the objects), a directory moreover on
what its files include. Prints each cycle with what makes it."""
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

SOURCE, BUILD = Path(sys.argv[1]), Path(sys.argv[2])
TOP = ("lib", "codecs", "tools")


def sources():
    return sorted(p.relative_to(SOURCE) for top in TOP for p in (SOURCE / top).rglob("*.[ch]"))


def object_source(path, known):
    """lib/libae.a.p/nn_plan.c.o is made of lib/nn/plan.c: the path below the target's directory has '_' for '/'."""
    below = path.relative_to(BUILD)
    return known[str(below.parent.parent)].get(below.name[:-2])


def symbols(paths):
    """Of each object file what it defines and what it wants."""
    found = {str(p): (set(), set()) for p in paths}
    for line in subprocess.run(["nm", "-A", *found], check=True, capture_output=True, text=True).stdout.splitlines():
        path, rest = line.split(":", 1)
        *_, kind, name = rest.split()
        if kind in "TDBRVWi":
            found[path][0].add(name)
        elif kind == "U":
            found[path][1].add(name)
    return found


def circles(graph):
    """Strongly connected parts of more than one node (Tarjan 1972)."""
    index, low, stack, on, found = {}, {}, [], set(), []

    def visit(v):
        index[v] = low[v] = len(index)
        stack.append(v)
        on.add(v)
        for w in sorted(graph.get(v, ())):
            if w not in index:
                visit(w)
                low[v] = min(low[v], low[w])
            elif w in on:
                low[v] = min(low[v], index[w])
        if low[v] == index[v]:
            part = []
            while not part or part[-1] != v:
                part.append(stack.pop())
                on.discard(part[-1])
            if len(part) > 1:
                found.append(sorted(part))

    sys.setrecursionlimit(10000)
    for v in sorted(graph):
        if v not in index:
            visit(v)
    return found


def report(kind, graph):
    found = circles(graph)
    for part in found:
        print("cycle of %s: %s" % (kind, ", ".join(part)))
        for a in part:
            for b in part:
                if b in graph.get(a, {}):
                    print("  %s -> %s: %s" % (a, b, ", ".join(sorted(graph[a][b])[:6])))
    print("%s: %d, cycles: %d" % (kind, len(graph), len(found)))
    return len(found)


def main():
    files = sources()
    known = defaultdict(dict)  # for each directory that has targets, the object's name of each file below it
    for f in files:
        for place in f.parents:
            known[str(place)][str(f.relative_to(place)).replace("/", "_")] = str(f)
    defined, wanted = {}, defaultdict(set)
    objects = {str(o): object_source(o, known) for top in TOP for o in sorted((BUILD / top).rglob("*.c.o"))}
    for o, (new, asked) in symbols(objects).items():
        source = objects[o]
        if not source:
            continue  # left from a file that is there no more
        for name in new:
            defined.setdefault(name, source)
        wanted[source] |= asked
    if len(wanted) < 100:
        sys.exit("%s: only %d objects, not a whole build" % (BUILD, len(wanted)))
    calls, places = defaultdict(lambda: defaultdict(set)), defaultdict(lambda: defaultdict(set))
    for source, names in wanted.items():
        calls[source]
        for name in names:
            if defined.get(name, source) != source:
                calls[source][defined[name]].add(name)
    for a, targets in calls.items():
        for b, names in targets.items():
            if Path(a).parent != Path(b).parent:
                places[str(Path(a).parent)][str(Path(b).parent)] |= names
    for f in files:
        for name in re.findall(r'^#include "([^"]+)"', (SOURCE / f).read_text(), re.M):
            for base in (f.parent, Path("lib"), Path("codecs"), Path("tools"), Path("include")):
                if (SOURCE / base / name).exists():
                    place = (base / name).parent
                    if place != f.parent:
                        places[str(f.parent)][str(place)].add(f.name + " includes " + name)
                    break
            else:
                sys.exit("%s includes %s, which is nowhere" % (f, name))
    return 1 if report("files", calls) + report("directories", places) else 0


sys.exit(main())
