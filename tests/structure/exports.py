#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""exports.py INCLUDE LIBRARY: what the installed headers declare, the library exports, and nothing else."""
import re
import subprocess
import sys
from pathlib import Path

headers, library = sorted(Path(sys.argv[1]).rglob("*.h")), sys.argv[2]
declared = set()
for h in headers:
    text = re.sub(r"/\*.*?\*/", " ", h.read_text(), flags=re.S)
    for declaration in re.findall(r"^AE_API\s([^;{]*)[;{]", text, re.M):
        name = re.search(r"\b(ae_\w+)\s*(?:\(|\[)", declaration) or re.search(r"\b(ae_\w+)\s*$", declaration)
        declared.add(name[1])
    for name in re.findall(r"^(?!AE_API|static|typedef)[A-Za-z][\w *]*?\b(ae_\w+)\([^;{]*\);", text, re.M):
        declared.add(name + " without AE_API")  # nobody could link to it
exported = {line.split()[-1] for line in
            subprocess.run(["nm", "-D", "--defined-only", library], check=True, capture_output=True, text=True).stdout.splitlines()}
for name in sorted(declared - exported):
    print("declared, not exported: %s" % name)
for name in sorted(exported - declared):
    print("exported, not declared: %s" % name)
print("declared: %d, exported: %d" % (len(declared), len(exported)))
sys.exit(declared != exported or len(exported) < 100)
