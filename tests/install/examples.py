#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""examples.py SOURCE LIBRARY MAKEMODEL COMMAND...: the programs of doc/library.md compile, with COMMAND as C and as C++, and do what
they say. Arguments of COMMAND are parted by spaces; the one for C++ follows that for C and may be empty."""
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

source, library, makemodel, c, cxx = Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:6]
env = {**os.environ, "LD_LIBRARY_PATH": str(library.parent), "AE_MODEL_PATH": str(source / "models")}
failures = 0


def run(*command, **options):
    global failures
    done = subprocess.run([str(a) for a in command], capture_output=True, text=True, env=env, **options)
    if done.returncode:
        print("%s\nexit %d\n%s%s" % (" ".join(map(str, command)), done.returncode, done.stdout, done.stderr))
        failures += 1
    return done


with tempfile.TemporaryDirectory() as folder:
    work = Path(folder)
    programs = {}
    for text in re.findall(r"^```c\n(.*?)^```", (source / "doc" / "library.md").read_text(), re.M | re.S):
        name = re.match(r"/\* (\w+)", text)[1]
        (work / (name + ".c")).write_text(text)
        programs[name] = work / name
        for command, language in ((c, "c"), (cxx, "c++")):
            if command:
                run(*command.split(), "-x", language, "-Wall", "-Werror", "-I", source / "include", work / (name + ".c"), "-x", "none",
                    library, "-o", work / name)
    run(programs["denoise"], source / "samples" / "dog.png", work / "dog.png")
    run(programs["hush"], source / "samples" / "talk.flac", work / "talk.wav")
    run(makemodel, source / "models" / "recipes" / "kinds" / "mnist-dense.yaml", work / "digits.aem")
    said = run(programs["code"], work / "digits.aem", "code").stdout
    if not said.startswith("32 numbers"):
        failures += 1
        print("code: " + said)
    said = run(programs["item"], source / "tests" / "container" / "golden" / "version1-archive.aec", "rgba.png").stdout
    if said != "5 rows, 240 bytes\n":
        failures += 1
        print("item: " + said)
    for name, least in (("dog.png", 10000), ("talk.wav", 100000)):
        if not (work / name).exists() or (work / name).stat().st_size < least:
            failures += 1
            print("%s was not written" % name)
    bad = subprocess.run([programs["denoise"], source / "LICENSE", work / "x.png"], capture_output=True, text=True, env=env)
    if bad.returncode != 1 or not bad.stderr.startswith("denoise: ") or (work / "x.png").exists():
        failures += 1
        print("what is no picture: exit %d, %s" % (bad.returncode, bad.stderr))
sys.exit(failures > 0 or len(programs) < 4)
