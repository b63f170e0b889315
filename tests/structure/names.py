#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""names.py SOURCE: a type or a constant has its name for itself.

No two headers of the project give the same name to a structure, an enumeration, a constant or a macro. A header may define what
another one, which it includes, leaves opaque."""
import re
import sys
from collections import defaultdict
from pathlib import Path

SOURCE = Path(sys.argv[1])
TOP = ("include", "lib", "codecs", "tools")
BASES = (Path("lib"), Path("codecs"), Path("tools"), Path("include"))


def bare(text):
    """Without comments and texts."""
    return re.sub(r'"[^"\n]*"', '""', re.sub(r"/\*.*?\*/", " ", text, flags=re.S))


def constants(body):
    for item in re.sub(r"\([^()]*\)|'[^']'", "0", body).split(","):
        name = re.match(r"\s*([A-Za-z_]\w*)", item)
        if name:
            yield name[1]


def introduced(text):
    """Names that are defined here, and types that are left opaque."""
    defined, opaque = set(), set()
    defined |= set(re.findall(r"^\s*#\s*define\s+([A-Za-z_]\w*)", text, re.M))
    text = re.sub(r"^\s*#.*(\\\n.*)*", "", text, flags=re.M)
    defined |= set(re.findall(r"\b(?:struct|union|enum)\s+([A-Za-z_]\w*)\s*\{", text))
    defined |= set(re.findall(r"\}\s*([A-Za-z_]\w*)\s*;", text))
    defined |= set(re.findall(r"\btypedef\s[^;{}]*\(\*\s*([A-Za-z_]\w*)\s*\)", text))
    for body in re.findall(r"\benum\b[^;{}]*\{([^{}]*)\}", text):
        defined |= set(constants(body))
    for _, name in re.findall(r"\btypedef\s+(?:struct|union|enum)\s+([A-Za-z_]\w*)\s+([A-Za-z_]\w*)\s*;", text):
        opaque.add(name)
    return defined, opaque - defined


def main():
    headers = {h.relative_to(SOURCE): bare(h.read_text()) for top in TOP for h in sorted((SOURCE / top).rglob("*.h"))}
    includes = {}
    for h in headers:
        found = re.findall(r'^#include "([^"]+)"', (SOURCE / h).read_text(), re.M)
        includes[h] = {next((b / n for b in (h.parent, *BASES) if b / n in headers), None) for n in found}

    def reaches(a, b, seen):
        return a == b or any(n and n not in seen and not seen.add(n) and reaches(n, b, seen) for n in includes[a])

    definers, leavers = defaultdict(set), defaultdict(set)
    for h, text in headers.items():
        defined, opaque = introduced(text)
        for name in defined:
            definers[name].add(h)
        for name in opaque:
            leavers[name].add(h)
    twice = 0
    for name in sorted(set(definers) | set(leavers)):
        places = sorted(definers[name]) + sorted(leavers[name])
        if len(definers[name]) > 1 or any(not reaches(places[0], p, set()) for p in places[1:]):
            print("%s: %s" % (name, ", ".join(map(str, places))))
            twice += 1
    print("names: %d, twice: %d" % (len(set(definers) | set(leavers)), twice))
    return 1 if twice or len(headers) < 50 else 0


sys.exit(main())
