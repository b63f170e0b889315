# SPDX-License-Identifier: BSD-2-Clause
"""Synthetic patterns: those of lib/train/patterns.c, compiled when first asked for, so that both loaders draw the same pictures."""
import ctypes
import functools
import os
import shlex
import subprocess
import tempfile

import numpy as np

LIB = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib")


@functools.lru_cache(1)
def library():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "patterns.so")
        command = shlex.split(os.environ.get("CC", "cc")) + [
            "-std=gnu11", "-O2", "-ffp-contract=off", "-fPIC", "-shared", "-I" + LIB, os.path.join(LIB, "train", "patterns.c"),
            "-o", path, "-lm"]
        try:
            subprocess.run(command, check=True)
        except (OSError, subprocess.CalledProcessError) as e:
            raise RuntimeError("`patterns` needs a C compiler (CC): %s" % e) from e
        found = ctypes.CDLL(path)
    found.aei_pattern_draw.argtypes = [ctypes.c_uint64, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_void_p]
    found.aei_pattern_draw.restype = None
    return found


def draw(seed, index, height, width):
    """H x W x 3 of 8 bits."""
    rgb = np.empty((height, width, 3), "f4")
    library().aei_pattern_draw(seed, index, height, width, rgb.ctypes.data)
    return np.rint(255 * rgb).astype("u1")
