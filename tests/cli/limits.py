#!/usr/bin/env python3
# Writes files whose parts claim more than they are, and watches what they cost: limits.py AECOMPRESS AEDECOMPRESS
import ctypes, os, struct, subprocess, sys

compress, decompress = sys.argv[1:3]
SECONDS, MEGABYTES = 2, 200  # of processor time and memory; instrumented builds are slower
SECONDS *= 10 if "san" in os.environ.get("AE_TEST", "") or "ASAN_OPTIONS" in os.environ else 1

TABLE = [0] * 256
for i in range(256):
    c = i
    for _ in range(8):
        c = c >> 1 ^ (0x82f63b78 if c & 1 else 0)
    TABLE[i] = c

def crc(data):
    c = 0xffffffff
    for x in data:
        c = c >> 8 ^ TABLE[(c ^ x) & 255]
    return struct.pack("<I", c ^ 0xffffffff)

def number(v):
    out = b""
    while v >= 128:
        out += bytes([v & 127 | 128])
        v >>= 7
    return out + bytes([v])

def chunk(kind, payload):
    head = b"\xe5\xa3\xcb" + kind + struct.pack("<I", len(payload))
    return head + crc(head) + payload + crc(payload)

def footer(at):
    b = struct.pack("<Q", at)
    return b + crc(b) + b"AEC\xe5"

def head(identity=b""):
    return bytes([1 if identity else 0, 1, 1, 8, 17 if identity else 1, 0, 0, 0]) + number(1) + number(1) + identity

def begin():
    b = b"\x89AEC\r\n\x1a\n" + bytes([1, 0, 0, 0])
    return bytearray(b + crc(b))

def root(entries, n):
    return chunk(b"I", number(0) + number(1) + number(n) + number(0) + number(n) + number(0) + entries)

def finish(b, entries, n):
    at = len(b)
    return bytes(b) + root(entries, n) + footer(at)

def entry(name, at, what, span):
    return number(0) + number(len(name)) + name + number(0) + number(at) + number(what) + number(span) + head()

def packed(name, at, position=0):
    return number(0) + number(len(name)) + name + number(position + 1) + number(at)

PIXEL = bytes([8, 0, 0x80, 7])

def pixel(b, n, identity=b"", more=b""):
    """An item of one pixel."""
    at = len(b)
    b += chunk(b"H", number(n) + head(identity) + b"%d" % n) + more + chunk(b"T", number(n) + number(0) + PIXEL)
    return at

def sync_words():
    return bytes(begin()) + b"\xe5\xa3\xcb" * (4 << 18)

def footers():
    """All name one large chunk that is no index."""
    b = begin()
    at = len(b)
    b += chunk(b"I", b"\x80" * (1 << 19))
    return bytes(b) + footer(at) * (1 << 16)

def chains():
    """Roots that lie in each other, each of which continues the next."""
    b, inner, at = begin(), b"", 0
    for i in range(1000): # from the innermost: what it continues does not matter
        inner = chunk(b"I", number(1) + number(8) + number(1) + number(0) + number(0) + number(0) + inner[:2000])
    at = len(b)
    b += inner
    return bytes(b) + footer(at)

def packs():
    """Entries that name two packs in turns."""
    b, places = begin(), []
    for k in range(2):
        places.append(len(b))
        b += chunk(b"P", number(k) + number(1) + head() + number(1) + b"x" + bytes(16) + bytes(1 << 19))
    n = 50000
    return finish(b, b"".join(packed(b"%05d" % i, places[i & 1]) for i in range(n)), n)

def packs_in_packs():
    """Packs each of which begins within the one before and ends behind it: bad ones, that cost a look all the same."""
    b, places = begin(), []
    start = len(b)
    for k in range(8000):
        places.append(len(b))
        h = b"\xe5\xa3\xcbP" + struct.pack("<I", 1 << 19)
        b += h + crc(h)
    b += bytes((1 << 19) + 100)
    return finish(b, b"".join(packed(b"%05d" % i, p) for i, p in enumerate(places)), len(places))

def spans():
    """Items whose spans are all of the file."""
    b = begin()
    places = [pixel(b, i) for i in range(100)]
    b += chunk(b"z", b"") * 40000
    n = 20000
    return finish(b, b"".join(entry(b"%05d" % i, places[i % 100] , i, 1 << 40) for i in range(n)), n)

def names():
    """Long names that share all but their end with the one before: six bytes each."""
    b = begin()
    at = pixel(b, 0)
    tail = lambda i: number(0) + number(at + i) + number(i) + number(16) + head()
    entries = number(0) + number(4000) + b"n" * 4000 + tail(0)
    entries += b"".join(number(3990) + number(10) + b"%010d" % i + tail(i) for i in range(1, 30000))
    return finish(b, entries, 30000)

def names_in_a_pack():
    """The same in a pack that no index names."""
    n = 65536
    text = number(0) + number(4000) + b"n" * 4000 + b"".join(number(3990) + number(10) + b"%010d" % i for i in range(1, n))
    return bytes(begin()) + chunk(b"N", number(0) + number(n) + head() + text + bytes(16))

def metadata():
    """Six million zeros, in a Zstandard frame of some runs."""
    n, frame = 6000000, b"\x28\xb5\x2f\xfd\xa0" + struct.pack("<I", 6000000)
    for left in range(n, 0, -(1 << 17)):
        size = min(left, 1 << 17)
        frame += struct.pack("<I", (left == size) | 1 << 1 | size << 3)[:3] + b"\0"
    b = begin()
    at = pixel(b, 0, more=chunk(b"m", number(0) + number(n) + frame))
    return finish(b, entry(b"0", at, 0, len(b) - at), 1)

def many_entries():
    """Entries of nothing."""
    b = begin()
    at = pixel(b, 0, more=chunk(b"m", number(0) + number(0) + b"\x01\0\0" * 20000))
    return finish(b, entry(b"0", at, 0, len(b) - at), 1)

def large_pictures():
    """A hundred pictures of 16384 x 16384."""
    b = begin()
    for i in range(100):
        large = bytes([0, 1, 1, 8, 1, 0, 0, 0]) + number(16384) * 2
        b += chunk(b"H", number(i) + large + b"%d" % i)
    return bytes(b)

def one_picture():
    """One of them, that has no tile."""
    return bytes(begin()) + chunk(b"H", number(0) + bytes([0, 1, 1, 8, 1, 0, 0, 0]) + number(16384) * 2 + b"x")

def identities():
    """Two hundred codecs that nobody has."""
    b = begin()
    for i in range(200):
        pixel(b, i, identity=b"%016d" % i)
    return bytes(b)

def operator(kind, channels, *inputs, kernel=0, factor=0, grid=0, shift=0):
    return struct.pack("<BBH16sBBBBhhBBBBHHHHi20x", kind, len(inputs), channels, struct.pack(f"<{len(inputs)}H", *inputs), kernel, kernel > 0,
                       kernel // 2, 0, *((0, 0) if kind == 9 else (-4095, 4095)), shift, 0, 0, 0, factor, 0, grid, 0, 0)

def identity(data):
    xxh = ctypes.CDLL("libxxhash.so.0").XXH3_128bits
    xxh.restype = type("Hash", (ctypes.Structure,), {"_fields_": [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]})
    xxh.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    h = xxh(data, len(data))
    return struct.pack(">QQ", h.high, h.low)

def costly_program():
    """A decoder of thirty large kernels of one channel: few products, but what is computed around each block is more than the block."""
    embed, latent, shuffle, convolve, output = 1, 8, 5, 2, 9
    row = bytes(130) # of a number for each quality
    parts = [(operator(embed, 1), row), (operator(latent, 1, 0, 0, grid=16), struct.pack("<h", 1) * 65 + row),
             (operator(convolve, 256, 1, kernel=1), bytes((4 + 2 + 1) * 256)), (operator(shuffle, 1, 2, factor=16), b"")]
    parts += [(operator(convolve, 1, 3 + i, kernel=15), bytes(4 + 2 * 225 + 1)) for i in range(30)]
    parts += [(operator(output, 1, 33, shift=11), b"")]
    body = b"".join(o for o, _ in parts) + b"".join(d + bytes(-len(d) % 4) for _, d in parts)
    body += struct.pack("<hHB3x", 0, 1, 0) + struct.pack("<HHH", 0, 65535, 0) + bytes(2)
    program = b"AEPR" + struct.pack("<IIIQQ", 3, len(parts), 1, 32 + len(body), 0) + body
    b = begin()
    b += chunk(b"M", program)
    pixel(b, 0, identity=identity(program))
    return bytes(b)

# Shadow memory is none of the tool's own.
sanitized = "ASAN_OPTIONS" in os.environ or "LSAN_OPTIONS" in os.environ

def watch(what, fragment, *command):
    p = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    says = p.stderr.read().decode(errors="replace")
    _, status, usage = os.wait4(p.pid, 0)
    status = os.waitstatus_to_exitcode(status)
    seconds, megabytes = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
    print(f"{what}, {command[1]}: exit {status}, {seconds:.2f} s, {megabytes:.0f} MB, {len(says.splitlines())} lines")
    if status != 1 or fragment not in says or len(says.splitlines()) > 500:
        sys.exit(f"{what}: exit {status}, without '{fragment}': {says[:2000]}")
    if seconds > SECONDS or (megabytes > MEGABYTES and not sanitized):
        sys.exit(f"{what}: {seconds:.2f} s, {megabytes:.0f} MB")

for make, fragment, *how in ((sync_words, "damaged", "-t"), (footers, "damaged", "-t"), (chains, "index", "-t"), (packs, "twice", "-t"),
                             (packs_in_packs, "pack", "-t"), (spans, "twice", "-t"), (names, "names", "-t"), (names_in_a_pack, "names", "-t"),
                             (metadata, "limit", "-f", "-o", "o.ppm"), (many_entries, "limit", "-f", "-o", "o.ppm"),
                             (metadata, "limit", "-t"), (many_entries, "limit", "-t"),
                             (large_pictures, "max_output", "-f", "-o", "d"),
                             (one_picture, "max_output", "--max-output", "100M", "-f", "-o", "o.ppm"),
                             (one_picture, "max_memory", "--max-memory", "4M", "-f", "-o", "o.ppm"), (identities, "not installed", "-t"),
                             (costly_program, "multiply-accumulates a pixel, with what kernels pad", "-t")):
    open("f.aec", "wb").write(make())
    watch(make.__name__, fragment, decompress, *how, "f.aec")
print("all well")
