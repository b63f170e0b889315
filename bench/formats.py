#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""AVIF, HEIC and JPEG XL as aecompress reads them against their reference decoders: 40 pictures of each format, made by the
reference encoders (avifenc, heif-enc, cjxl) in various depths, subsamplings and sizes, grey and colour, with alpha, profiles,
code points and orientations. Samples must be equal where the file was coded without loss, within 1 of 255 otherwise; profiles
and code points must have come along. formats.py BUILD PICTURE..."""
import os
import struct
import subprocess
import sys
import tempfile
import zlib

import numpy as np
from PIL import Image, ImageCms


def chunks_of(path):
    data, at = open(path, "rb").read(), 8
    while at < len(data):
        n = struct.unpack(">I", data[at:at + 4])[0]
        yield data[at + 4:at + 8], data[at + 8:at + 8 + n]
        at += 12 + n


def read_png(path):
    """Samples as height x width x channels, their depth, and the other chunks by name."""
    chunks, data = {}, b""
    for name, value in chunks_of(path):
        data += value if name == b"IDAT" else b""
        chunks.setdefault(name, value)
    w, h, depth, kind = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    if kind == 3:
        return np.asarray(Image.open(path).convert("RGBA" if b"tRNS" in chunks else "RGB")), 8, chunks
    each = {0: 1, 2: 3, 4: 2, 6: 4}[kind]
    step, rows = each * depth // 8, np.frombuffer(zlib.decompress(data), np.uint8).reshape(h, -1)
    out = np.zeros((h, w * step), np.uint8)
    for y in range(h):
        how, row, up = rows[y, 0], rows[y, 1:], out[y - 1] if y else np.zeros(w * step, np.uint8)
        if how in (0, 2):
            out[y] = row + (up if how else 0)
            continue
        line, above = bytearray(row), bytes(up)
        for x in range(w * step):
            a, b, c = (line[x - step], above[x], above[x - step]) if x >= step else (0, above[x], 0)
            paeth = min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]
            line[x] = line[x] + {1: a, 3: (a + b) // 2, 4: paeth}[how] & 255
        out[y] = np.frombuffer(line, np.uint8)
    out = out.view(">u2").astype(int) if depth == 16 else out.astype(int)
    return out.reshape(h, w, each), depth, chunks


def write_png(path, samples, depth, profile):
    h, w, each = samples.shape
    rows = samples.astype(">u2" if depth == 16 else np.uint8).reshape(h, -1).view(np.uint8)
    parts = [(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, {1: 0, 2: 4, 3: 2, 4: 6}[each], 0, 0, 0))]
    if profile:
        parts.append((b"iCCP", b"p\0\0" + zlib.compress(profile)))
    parts += [(b"IDAT", zlib.compress(np.insert(rows, 0, 0, 1).tobytes())), (b"IEND", b"")]
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n")
        for name, value in parts:
            f.write(struct.pack(">I", len(value)) + name + value + struct.pack(">I", zlib.crc32(name + value)))


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stderr}")
    return done.stderr


def avif(k, png, depth, lossless, points, profile):
    yuv = "444" if lossless else ("420", "422", "444")[k % 3]
    turns = k // 8 % 4
    command = ["avifenc", "-s", "9", "-j", "1", "-d", str(depth), "-y", yuv, "--irot", str(turns)]
    command += ["-l", "--cicp", "1/13/0"] if lossless else ["--cicp", f"{points}/13/6", "--min", "10", "--max", "30"]
    run(*command, png, "a.avif")
    run("avifdec", "-d", "8" if depth == 8 else "16", "a.avif", "ref.png")
    reference, bits, _ = read_png("ref.png")
    return "a.avif", np.rot90(reference, turns), bits  # avifdec leaves the picture as it lies


def heic(k, png, depth, lossless, points, profile):
    command = ["heif-enc", "-b", str(depth), "-o", "a.heic"]
    if lossless:
        command += ["-L", "-p", "chroma=444", "--matrix_coefficients=0"]
    else:
        command += ["-q", str(50 + k % 45), "-p", "chroma=" + ("420", "422", "444")[k % 3], "--colour_primaries", str(points)]
    run(*command, png)
    run("heif-convert", "a.heic", "ref.png")
    reference, bits, _ = read_png("ref.png")  # where it has more than 8 they stand on the left of 16, with zeros behind
    return ("a.heic", reference, bits) if depth == 8 else ("a.heic", reference >> bits - depth, depth)


def jxl(k, png, depth, lossless, points, profile):
    run("cjxl", "--num_threads=0", "-d", "0" if lossless else str(0.3 + k % 7 * 0.4), "-e", str(3 + k % 4), png, "a.jxl")
    run("djxl", "--num_threads=0", "a.jxl", "ref.png")
    return ("a.jxl",) + read_png("ref.png")[:2]


def source_of(pictures, k, depth, each):
    whole = np.asarray(Image.open(pictures[k % len(pictures)]).convert("RGB"))
    w, h = 64 + 2 * (k * 7 % 40) + k % 2, 64 + 2 * (k * 11 % 30) + k // 2 % 2
    y, x = k * 37 % (whole.shape[0] - h), k * 53 % (whole.shape[1] - w)
    cut = whole[y:y + h, x:x + w].astype(int)
    draw = np.random.default_rng(k)
    if depth > 8:  # finer than 8 bits, in the coder's own depth spread over 16
        cut = (cut << depth - 8) + draw.integers(0, 1 << depth - 8, cut.shape)
        cut = np.round(cut * 65535 / ((1 << depth) - 1)).astype(int)
    alpha = np.broadcast_to(np.linspace(0, cut.max(), w).astype(int)[None, :, None], (h, w, 1))
    colour = cut if each > 2 else cut[:, :, 1:2]
    return np.concatenate([colour, alpha], 2) if each in (2, 4) else colour


def one(make, depths, tools, pictures, k):
    depth, lossless = depths[k % len(depths)], k % 4 == 3
    each = (3, 4, 3, 1)[k // 3 % 4]
    if make is jxl and depth > 8 and each == 4:
        each = 3  # djxl 0.7 writes no alpha beside so many bits
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() if k % 5 == 2 and each > 2 else None
    points = (1, 9, 12)[k % 3]
    write_png("in.png", source_of(pictures, k, depth, each), 8 if depth == 8 else 16, profile)
    path, want, bits = make(k, "in.png", depth, lossless, points, profile)
    said = run(f"{tools}/aecompress/aecompress", "-f", "--lossless", "-o", "a.aec", path)
    said += run(f"{tools}/aedecompress/aedecompress", "-f", "-o", "a.png", "a.aec")
    got, got_bits, chunks = read_png("a.png")
    what = f"{path} {k}: {depth} bits, {each} channels, {'without' if lossless else 'with'} loss"
    if got.shape[2] != want.shape[2]:  # decoders may give grey as colour
        grey = [a if a.shape[2] < 3 else np.concatenate([a[:, :, :1], a[:, :, 3:]], 2) for a in (got, want)]
        got, want = [a[:, :, :each] for a in grey]
    if got.shape != want.shape:
        return f"{what}: {got.shape}, the reference has {want.shape}"
    scale = (1 << depth) - 1
    a, b = got / ((1 << got_bits) - 1), want / ((1 << bits) - 1)
    off = np.abs(np.round(a * scale) - np.round(b * scale)).max() if lossless else 255 * np.abs(a - b).max()
    if not off <= (0 if lossless else 1 + 255 / 65535):
        return f"{what}: differs by {off:.3f} {'levels' if lossless else 'of 255'}"
    if profile and make is not jxl and b"iCCP" not in chunks and "profile" not in said:
        return f"{what}: the profile was lost without a word"
    if make is avif and not lossless and not profile and (b"cICP" not in chunks or chunks[b"cICP"][0] != points):
        return f"{what}: code points {list(chunks.get(b'cICP', b''))}, not {points}"
    return None


def main(build, *pictures):
    tools, pictures, wrong = os.path.abspath(build) + "/tools", [os.path.abspath(p) for p in pictures], 0
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for make, depths in ((avif, (8, 10, 12)), (heic, (8, 10)), (jxl, (8, 10, 12, 16))):
            failures = [f for f in (one(make, depths, tools, pictures, k) for k in range(40)) if f]
            print(f"{make.__name__}: {40 - len(failures)} of 40 as the reference decoder has them", *failures, sep="\n  ", flush=True)
            wrong += len(failures)
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
