#!/usr/bin/env python3
# Damages files chunk by chunk and cuts them, and compares what comes back with the whole: damage.py AECOMPRESS AEDECOMPRESS
import struct, subprocess, sys

compress, decompress = sys.argv[1:3]
REACH = 48  # pixels that the shipped codec's synthesis looks beyond a tile (doc/exact-decoder.md)
W, H, TILE = 560, 530, 512

def run(status, *command):
    r = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if r.returncode != status:
        sys.exit(f"{' '.join(map(str, command))}: exit {r.returncode}, not {status}: {r.stderr}")
    return r.stderr

def picture(alpha):
    n = 4 if alpha else 3
    pixels = bytearray(W * H * n)
    seed = 1
    for y in range(H):
        for x in range(0, W):
            at = (y * W + x) * n
            seed = (seed * 1103515245 + 12345) & 0x7fffffff
            pixels[at], pixels[at + 1], pixels[at + 2] = (x * 255 // W), (y * 255 // H), 100 + (x * y >> 10 & 63) + (seed >> 16 & 7)
            if alpha:
                pixels[at + 3] = 255 - (x + y & 127)
    kind = b"TUPLTYPE RGB_ALPHA\n" if alpha else b"TUPLTYPE RGB\n"
    return b"P7\nWIDTH %d\nHEIGHT %d\nDEPTH %d\nMAXVAL 255\n%sENDHDR\n" % (W, H, n, kind) + bytes(pixels)

def load(path):
    data = open(path, "rb").read()
    head, pixels = data.split(b"ENDHDR\n", 1)
    field = dict(l.split(b" ", 1) for l in head.split(b"\n") if b" " in l)
    return int(field[b"WIDTH"]), int(field[b"HEIGHT"]), int(field[b"DEPTH"]), pixels

def number(b, at):
    v = shift = 0
    while True:
        v |= (b[at] & 127) << shift
        shift += 7
        at += 1
        if not b[at - 1] & 128:
            return v, at

def chunks(b):
    at, found = 16, []
    while b[at:at + 3] == b"\xe5\xa3\xcb":
        n = struct.unpack("<I", b[at + 4:at + 8])[0]
        found.append((chr(b[at + 3]), at, n))
        at += n + 16
    return found

def compare(what, got, want, lost, reach, x0=0, y0=0, unit=1):
    """Every pixel farther than `reach` from the lost tile is as it was, and something is there at all."""
    w, h, n, pixels = got
    assert (w, h, n) == want[:3], what
    tx, ty = lost % 2 * TILE, lost // 2 * TILE
    for y in range(h):
        rows = y0 + y * unit + unit > ty - reach and y0 + y * unit < ty + TILE + reach
        for left, right in ((0, max(0, (tx - reach - x0) // unit)), (min(w, -(-(tx + TILE + reach - x0) // unit)), w)) if rows else ((0, w),):
            left, right = max(left, 0), min(right, w)
            if left < right and pixels[(y * w + left) * n:(y * w + right) * n] != want[3][(y * w + left) * n:(y * w + right) * n]:
                sys.exit(f"{what}: row {y} differs beyond the lost tile {lost}")

def views(name, out):
    """The ways to look at a picture: options, place, unit."""
    return [(["-o", f"{out}.pam"], 0, 0, 1), (["--region", "400,40,120,100", "-o", f"{out}-r.pam"], 400, 40, 1),
            (["--preview", "-o", f"{out}-p.pam"], 0, 0, 8)]

def names(name, out):
    return [v[0][-1] for v in views(name, out)]

for alpha in (False, True):
    open("in.pam", "wb").write(picture(alpha))
    for how, reach in ((["--lossless"], 0), (["-q", "50"], REACH)):
        what = f"{how[0]}{' with alpha' if alpha else ''}"
        run(0, compress, *how, "-f", "-o", "whole.aec", "in.pam")
        whole = open("whole.aec", "rb").read()
        for options, *_ in views("whole", "whole"):
            run(0, decompress, "-f", *options, "whole.aec")
        want = [load(n) for n in names("whole", "whole")]
        found = chunks(whole)
        kinds = {k for k, _, _ in found}
        assert kinds >= ({"H", "T", "A", "h", "I"} if alpha and reach else {"H", "T", "h", "I"}), kinds
        tiles = [c for c in found if c[0] in "TA"]
        # one bit: in the place of a tile's number, in a header, in its checksum, in the payload
        kind, at, n = tiles[1] if not alpha or not reach else tiles[-3]
        for place in (13, 5, 12 + n + 1, 12 + n // 2):
            bad = bytearray(whole)
            bad[at + place] ^= 2
            open("bad.aec", "wb").write(bad)
            index = number(whole, number(whole, at + 12)[1])[0]
            x, y = index % 2 * TILE, index // 2 * TILE
            for (options, x0, y0, unit), original in list(zip(views("bad", "bad"), want))[:3 if place > 100 else 1]:
                says = run(1, decompress, "-f", *options, "bad.aec")
                if f"tile at {x},{y} of" not in says or "is lost" not in says:
                    sys.exit(f"{what}: the loss at {x},{y} is not reported: {says}")
                compare(f"{what}, {options[0]}, byte {place} of '{kind}'", load(options[-1]), original, index, reach, x0, y0, unit)
        says = run(1, decompress, "-t", "bad.aec")
        if f"tile at {x},{y} of" not in says:
            sys.exit(f"{what}: -t does not name the tile at {x},{y}: {says}")
        # what repair makes of it can be decoded, and has as much
        says = run(0, decompress, "-f", "--repair", "-o", "good.aec", "bad.aec")
        assert "1 tiles lost" in says, says
        run(1, decompress, "-f", "-o", "good.pam", "good.aec")
        compare(f"{what}, repaired", load("good.pam"), load("bad.pam"), 99, 0)
        # cut in the third tile: what comes before it is there
        at, n = [c for c in found if c[0] == "T"][2][1:]
        open("cut.aec", "wb").write(whole[:at + n // 2])
        says = run(1, decompress, "-f", "-o", "cut.pam", "cut.aec")
        w, h, n, pixels = load("cut.pam")
        assert (w, h) == (W, H), what
        rows = TILE - reach
        if not alpha or not reach: # alpha's tiles come behind the colours'
            assert pixels[:w * rows * n] == want[0][3][:w * rows * n], f"{what}: rows before the cut differ"
        run(0, decompress, "-f", "--repair", "-o", "good.aec", "cut.aec")
        run(1, decompress, "-f", "-o", "good.pam", "good.aec")
        assert load("good.pam")[3] == pixels, f"{what}: repairing a cut file loses something"
        # the index: all is found without it
        at = [c for c in found if c[0] == "I"][0][1]
        bad = bytearray(whole)
        bad[at + 14] ^= 1
        open("bad.aec", "wb").write(bad)
        run(1, decompress, "-f", "-o", "bad.pam", "bad.aec")
        assert load("bad.pam")[3] == want[0][3], f"{what}: without index"

# what has lost its hash is whole after a repair, and is said to be without
bad = bytearray(whole)
for kind, at, n in found:
    if kind == "h":
        bad[at + 14] ^= 1
open("bad.aec", "wb").write(bad)
run(1, decompress, "-t", "bad.aec")
run(0, decompress, "-f", "--repair", "-o", "good.aec", "bad.aec")
assert "has no hash of its samples" in run(0, decompress, "-v", "-t", "good.aec"), "a missing hash is not told"
assert "no hash" not in run(0, decompress, "-v", "-t", "whole.aec")
print("all well")
