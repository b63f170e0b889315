#!/usr/bin/env python3
"""Flips bits of, and cuts, recordings of fifty tiles: sounddamage.py AECOMPRESS AEDECOMPRESS SOUNDTOOL [TRIALS [SEED]]

Whatever is hit: what is lost is reported with its time, in ranges that name no more than the tile, and every other frame is as it was."""
import random, re, struct, subprocess, sys

compress, decompress, soundtool = sys.argv[1:4]
trials, seed = (int(v) for v in (sys.argv[4:] + ["10", "1"][len(sys.argv) - 4:]))
RATE, TILE, TILES = 8000, 8192, 50
FRAMES = TILE * (TILES - 1) + 1000
draw = random.Random(seed)


def run(*command):
    r = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    return r.returncode, r.stderr


def samples(path):
    with open(path, "rb") as file:
        return file.read()[44:44 + 2 * FRAMES]


def chunks(b):
    at, found = 16, []
    while b[at:at + 3] == b"\xe5\xa3\xcb":
        n = struct.unpack("<I", b[at + 4:at + 8])[0] + 16
        found.append((chr(b[at + 3]), at, at + n))
        at += n
    return found


def seconds(text):
    value = 0
    for part in text.split(":"):
        value = 60 * value + float(part)
    return value


def lost_in(says):
    return [(seconds(a), seconds(b)) for a, b in re.findall(r"([\d:.]+) to ([\d:.]+) is lost", says)]


def check(what, data, whole, overlap, lost):
    """Decodes; the tiles `lost`, and the overlap before them, may be anything, nothing else. Where none is, -t tells the damage."""
    with open("bad.aec", "wb") as file:
        file.write(data)
    status, says = run(decompress, "-j", "1", "--no-sync", "-f", "--format", "wav", "-o", "bad.wav", "bad.aec")
    if status != 1 and (lost or run(decompress, "-t", "bad.aec")[0] != 1):
        sys.exit(f"{what}: exit {status}: {says}")
    got = samples("bad.wav")
    if len(got) != len(whole):
        sys.exit(f"{what}: {len(got)} bytes of samples, not {len(whole)}: {says}")
    at = 0
    for tile in lost:
        begin = max(at, tile * TILE - overlap)
        if got[2 * at:2 * begin] != whole[2 * at:2 * begin]:
            sys.exit(f"{what}: frames of {at} to {begin} differ: {says}")
        at = (tile + 1) * TILE
    if got[2 * at:] != whole[2 * at:]:
        sys.exit(f"{what}: frames from {at} on differ: {says}")
    told = lost_in(says)
    for tile in lost:
        a, b = max(0, tile * TILE - overlap) / RATE, min(FRAMES, (tile + 1) * TILE) / RATE
        if not any(abs(a - x) <= .011 and abs(b - y) <= .011 for x, y in told):
            sys.exit(f"{what}: tile {tile}, {a} to {b} s, is not told: {says}")
    if len(told) != len(lost):
        sys.exit(f"{what}: more is told than is lost: {says}")


for coding in (["--lossless"], ["-q", "40"]):
    run(soundtool, "make", "wav", "s16", RATE, "1", FRAMES, "noise", "whole.wav")
    status, says = run(compress, "-f", *coding, "-o", "whole.aec", "whole.wav")
    assert status == 0, says
    status, says = run(decompress, "-f", "--format", "wav", "-o", "back.wav", "whole.aec")
    assert status == 0, says
    with open("whole.aec", "rb") as file:
        data = file.read()
    whole, found = samples("back.wav"), chunks(data)
    tiles = [c for c in found if c[0] == "T"]
    assert len(tiles) == TILES and (coding[0] != "--lossless" or whole == samples("whole.wav"))
    overlap = 0 if coding[0] == "--lossless" else (1 << data[found[0][1] + 18]) // 8
    for i in range(trials):
        # a bit anywhere, but every third time outside of the tiles, which are nearly all of the file
        byte = draw.choice([draw.randrange(16, tiles[0][1]), draw.randrange(tiles[-1][2], len(data))]) if i % 3 == 0 else draw.randrange(16, len(data))
        bad = bytearray(data)
        bad[byte] ^= 1 << draw.randrange(8)
        lost = [k for k, (_, begin, end) in enumerate(tiles) if begin <= byte < end]
        kind = next((k for k, begin, end in found if begin <= byte < end), "footer")
        check(f"{coding[0]}, a bit of byte {byte}, {kind}", bad, whole, overlap, lost)
    for i in range(trials):
        size = draw.randrange(tiles[0][1] + 1, len(data))
        kept = [k for k, (_, _, end) in enumerate(tiles) if end <= size]
        check(f"{coding[0]}, cut at {size}", data[:size], whole, overlap, range(len(kept), TILES))
print("all well")
