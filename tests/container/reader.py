#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A second reader of .aec, written from doc/container.md with nothing but the standard library: parses a file, verifies every checksum,
index entry and reference, and lists the items. It does not decode tiles. reader.py FILE..."""
import struct
import sys

MAGIC, SYNC, END = b"\x89AEC\r\n\x1a\n", b"\xe5\xa3\xcb", b"AEC\xe5"
TABLE = []
for i in range(256):
    for _ in range(8):
        i = i >> 1 ^ (0x82F63B78 if i & 1 else 0)
    TABLE.append(i)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


class Bytes:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        if n > len(self.data) - self.at:
            raise ValueError("ends too early")
        self.at += n
        return self.data[self.at - n : self.at]

    def u8(self):
        return self.take(1)[0]

    def number(self):
        value = shift = 0
        while True:
            byte = self.u8()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
            if shift > 63:
                raise ValueError("a number of more than 64 bits")

    def rest(self):
        return self.take(len(self.data) - self.at)


SOUND_BITS = {8: 8, 3: 16, 4: 24, 5: 32, 6: 32, 7: 64}


def read_sound(b, head):
    (head["rate"],) = struct.unpack("<d", b.take(8))
    head["layout"], head["tile"], head["height"] = b.number(), b.number(), b.number()
    head["channels"], bits = head["flags"], SOUND_BITS.get(head["sample"], 0)
    head["block"] = head.pop("orientation")
    if head["coding"] not in (0, 2) or not 1 <= head["channels"] <= 32 or not 0 < head["rate"] <= 1e9:
        raise ValueError("an unknown kind of sound")
    if not 1 <= head["bits"] <= bits or (head["sample"] in (6, 7) and head["bits"] != bits):
        raise ValueError("samples of an unknown type")
    if not 1 <= head["tile"] <= 1 << 20 or head["tile"] * head["channels"] * bits // 8 > 1 << 23:
        raise ValueError("tiles of an odd size")
    if not 7 <= head["block"] <= 12 or head["tile"] % (1 << head["block"]) if head["coding"] == 2 else head["block"]:
        raise ValueError("cells that do not fill a tile")
    return head


ARRAY_BITS = {8: 8, 3: 16, 5: 32, 11: 64, 1: 8, 2: 16, 10: 32, 12: 64, 9: 8, 13: 16, 6: 32, 7: 64}


def read_array(b, head):
    rank, bits = head["flags"], ARRAY_BITS.get(head["sample"])
    if head["coding"] or head["orientation"] or head["quality"] > 2 or not 1 <= rank <= 8 or head["bits"] != bits:
        raise ValueError("an unknown kind of array")
    head["shape"], head["tile"] = [b.number() for _ in range(rank)], b.number()
    head["error"] = struct.unpack("<d", b.take(8))[0] if head["quality"] else 0
    if min(head["shape"]) < 1 or not 1 <= head["tile"] <= 1 << 20 or (head["quality"] and not head["error"] > 0):
        raise ValueError("an array of an odd size")
    head["elements"] = 1
    for n in head["shape"]:
        head["elements"] *= n
    return head


def read_array_tile(b, head):
    """Checks everything but what the coder says; the number of elements."""
    n, each = b.number(), head["bits"] // 8
    if b.u8() == 0:
        if len(b.rest()) != n * each:
            raise ValueError("plain elements of another length")
        return n
    kind = b.u8()
    if kind == 1 and not b.number():
        raise ValueError("quotients by 0")
    if kind == 2:
        b.take(8)
    if kind == 3:
        for _ in range(b.number()):
            b.number()
    b.number(), b.number()
    most, low, place = b.number(), b.u8(), 0
    if kind > 3 or most >> 48 or low > 16:
        raise ValueError("numbers of an unknown kind")
    for _ in range(b.number()):
        place += b.number() + 1
        b.take(each)
    if most:
        flags, columns, distances = b.u8(), b.number(), [b.number() for _ in range(3)]
        if flags > 7 or not 1 <= columns <= 1024 or not distances[0] or (flags & 4 and b.number() > most):
            raise ValueError("an unknown shape of numbers")
        b.take(b.number())
    if place > n or len(b.rest()) != (low * n + 7) // 8:
        raise ValueError("numbers that do not end where they should")
    return n


def read_head(b):
    head = dict(zip(("coding", "modality", "sample", "bits", "flags", "orientation", "q0", "q1"), b.take(8)))
    head["quality"] = head.pop("q0") + 256 * head.pop("q1")
    if head["modality"] == 2:
        return read_sound(b, head)
    if head["modality"] == 3:
        return read_array(b, head)
    head["width"], head["height"] = b.number(), b.number()
    head["channels"] = head["flags"] & 7
    if head["modality"] != 1 or head["coding"] > 1 or head["flags"] > 31 or not 1 <= head["channels"] <= 4:
        raise ValueError("an unknown kind of item")
    if bool(head["flags"] & 8) != (head["channels"] in (2, 4)) or bool(head["flags"] & 16) != (head["coding"] == 1):
        raise ValueError("a head that contradicts itself")
    if (head["sample"], head["bits"]) != (6, 32) and (head["sample"] not in (1, 2) or not 1 <= head["bits"] <= 8 * head["sample"]):
        raise ValueError("samples of an unknown type")
    if head["sample"] == 6 and (head["coding"] or head["quality"]):
        raise ValueError("floats with a loss")
    head["identity"] = b.take(16) if head["flags"] & 16 else None
    return head


def read_meta(b):
    """Checks that entries follow each other to the end, and that those of a fixed form have it."""
    while b.at < len(b.data):
        kind, key, value = b.u8(), b.take(b.number()), b.take(b.number())
        if kind == 6 and len(value) != 8 or kind in (5, 8, 10) and not key:
            raise ValueError("damaged metadata")
        if kind == 7 and value[:4] not in (b"cICP", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"mDCV", b"cLLI"):
            raise ValueError("an unknown description of colour")


def read_fields(b, count):
    for _ in range(count):
        own = Bytes(b.take(b.number()))
        while own.at < len(own.data):
            tag, value = own.u8(), Bytes(own.take(own.number()))
            if tag in (1, 2):
                value.number()
            if tag == 3 and not 1 <= len(value.rest().decode()) <= 63:
                raise ValueError("a label of no length")
    if b.at != len(b.data):
        raise ValueError("something behind the fields")


def read_chunks(data):
    """Offset, type and payload of every chunk; footers are yielded as type None."""
    if data[:8] != MAGIC or crc32c(data[:12]) != struct.unpack("<I", data[12:16])[0]:
        raise ValueError("no file header")
    if data[8] != 1 or data[10:12] != b"\0\0":
        raise ValueError("a later version")
    at = 16
    while at < len(data):
        footer = data[at : at + 16]
        if footer[12:] == END and crc32c(footer[:8]) == struct.unpack("<I", footer[8:12])[0]:
            yield at, None, struct.unpack("<Q", footer[:8])[0]
            at += 16
            continue
        header = data[at : at + 12]
        if header[:3] != SYNC or crc32c(header[:8]) != struct.unpack("<I", header[8:12])[0]:
            raise ValueError(f"no chunk at byte {at}")
        n = struct.unpack("<I", header[4:8])[0]
        payload, crc = data[at + 12 : at + 12 + n], data[at + 12 + n : at + 16 + n]
        if len(crc) != 4 or crc32c(payload) != struct.unpack("<I", crc)[0]:
            raise ValueError(f"the chunk at byte {at} is damaged or cut")
        yield at, chr(header[3]), payload
        at += 16 + n


def read_entries(data, found):
    b, name = Bytes(data), b""
    while b.at < len(data):
        shared, rest = b.number(), b.number()
        if shared > len(name):
            raise ValueError("a name that shares more than there is")
        name, before = name[:shared] + b.take(rest), name
        if name < before:
            raise ValueError("names out of order")
        packed, offset = b.number(), b.number()
        found[name] = (offset, packed - 1, None, None, None) if packed else (offset, None, b.number(), b.number(), read_head(b))


def read_index(offset, chunks, found, depth=0):
    kind, payload = chunks.get(offset, (None, b""))
    if kind != "I" or depth > 8:
        raise ValueError("a footer or index that leads nowhere")
    b = Bytes(payload)
    previous, chain, _next, model, n_items, n_pages = (b.number() for _ in range(6))
    own = {}
    if (chain > 1) != (previous > 0):
        raise ValueError("a chain of indices that does not end")
    entries = b.rest() if n_pages == 0 else b""
    read_entries(entries, own)
    if n_items == 1 and n_pages == 0 and not entries:  # the one item's head says all
        at = 16 if not model else model + 16 + len(chunks[model][1])
        kind, payload = chunks.get(at, (None, b""))
        if kind != "H":
            raise ValueError("no head where the only item should be")
        h = Bytes(payload)
        number, head = h.number(), read_head(h)
        own[h.rest()] = (at, None, number, offset - at, head)
    for _ in range(n_pages):
        at, length, first = b.number(), b.number(), b.take(b.number())
        kind, page = chunks.get(at, (None, b""))
        if kind != "i" or len(page) != length:
            raise ValueError("an index page that is not there")
        entries = {}
        read_entries(page, entries)
        if min(entries) != first:
            raise ValueError("an index page of other names")
        own.update(entries)
    if len(own) != n_items:
        raise ValueError("an index of another number of items")
    found.update(own)
    if previous:
        read_index(previous, chunks, found, depth + 1)


def read(data):
    chunks, heads, packs, tiles, floats, sounds, last = {}, {}, {}, {}, set(), {}, None
    counts = set()
    for at, kind, payload in read_chunks(data):
        last = (at, kind, payload)
        if kind is None:
            continue
        chunks[at] = (kind, payload)
        b = Bytes(payload)
        if kind == "H":
            number, head = b.number(), read_head(b)
            heads[at] = (number, head, b.rest())
            counts.add((number, 1))
            if head["modality"] in (2, 3):
                sounds[number] = head, {}
            elif head["sample"] == 6:
                floats.add(number)
        elif kind in "PN":
            number, count, head, names = b.number(), b.number(), read_head(b), []
            for _ in range(count):
                before, shared = names[-1] if names else b"", b.number() if kind == "N" else 0
                if shared > len(before):
                    raise ValueError("a name that shares more than there is")
                names.append(before[:shared] + b.take(b.number()))
            packs[at] = (number, head, names, b.take(16))
            counts.add((number, count))
        elif kind in "TAS":
            number, index = b.number(), b.number()
            tiles.setdefault(number, set()).add((kind, index))
            if kind == "S":
                flags, rest = b.u8(), b.rest()
                if not 1 <= flags <= 3 or bool(flags & 2) != bool(rest):
                    raise ValueError("a patch of an unknown kind")
            elif number in sounds and sounds[number][0]["modality"] == 3:
                sounds[number][1][index] = read_array_tile(b, sounds[number][0])
            elif number in sounds:
                sounds[number][1][index] = b.number()
                if b.u8() > (4 if sounds[number][0]["coding"] == 2 else 2):
                    raise ValueError("a tile of sound of an unknown kind")
            elif number in floats:
                b.take(b.number())
                if (b.u8() == 16) != (b.at == len(payload)):
                    raise ValueError("a tile of floats without its halves")
        elif kind == "m":
            b.number()
            if b.number() == 0:  # else Zstandard, which the standard library does not have
                read_meta(b)
        elif kind == "h":
            b.number()
        elif kind == "f":
            number, count = b.number(), b.number()
            if count < 1 or not any(number == of and count == n for of, n in counts):
                raise ValueError("fields of no item")
            if b.number() == 0:  # else Zstandard
                read_fields(b, count)
        elif kind.isupper() and kind not in "MI":
            raise ValueError(f"an unknown critical chunk {kind}")
    if not last or last[1] is not None or last[0] + 16 != len(data):
        raise ValueError("no footer at the end")
    found = {}
    read_index(last[2], chunks, found)
    for name, (offset, position, number, span, head) in found.items():
        note = ""
        if position is not None:
            if offset not in packs or packs[offset][2][position] != name:
                raise ValueError("an entry that names no packed item")
            head = packs[offset][1]
        else:
            told = heads.get(offset, (None, {}, None))
            if head["modality"] == 2 and told[1].get("height") == 0:  # its length was not known yet
                told = told[0], {**told[1], "height": head["height"]}, told[2]
            if told != (number, head, name) or offset + span > len(data):
                raise ValueError("an entry that names no item")
            if head["modality"] == 2:
                frames, tile = head["height"], head["tile"]
                if sounds[number][1] != {i: min(tile, frames - i * tile) for i in range((frames + tile - 1) // tile)}:
                    raise ValueError("a sound without all its tiles, or of another length")
                print(f'{frames} frames, {head["rate"]:g} Hz x {head["channels"]}, {head["bits"]} bit, '
                      f'{"quality" if head["block"] else "within"} {head["quality"]}: '
                      f'{name.decode(errors="replace")}')
                continue
            if head["modality"] == 3:
                n, tile = head["elements"], head["tile"]
                if sounds[number][1] != {i: min(tile, n - i * tile) for i in range((n + tile - 1) // tile)}:
                    raise ValueError("an array without all its tiles, or of another length")
                print(f'{" x ".join(map(str, head["shape"]))}, {head["bits"]} bit, within {head["error"]:g}: {name.decode(errors="replace")}')
                continue
            count = (head["width"] + 511) // 512 * ((head["height"] + 511) // 512)
            planes = "TA" if head["coding"] == 1 and head["flags"] & 8 else "T"
            own = tiles.get(number, set())
            patches = {(kind, i) for kind, i in own if kind == "S"}
            if own - patches != {(plane, i) for plane in planes for i in range(count)}:
                raise ValueError("an item without all its tiles")
            if patches and (head["coding"] != 1 or any(i >= count for _, i in patches)):
                raise ValueError("a patch of no tile")
            note = f", {len(patches)} patches" if patches else ""
        print(f'{head["width"]} x {head["height"]} x {head["channels"]}, {head["bits"]} bit, coding {head["coding"]}, '
              f'quality {head["quality"]}{note}: {name.decode(errors="replace")}')


if __name__ == "__main__":
    status = 0
    for path in sys.argv[1:]:
        try:
            with open(path, "rb") as file:
                read(file.read())
        except (ValueError, IndexError, OSError) as error:
            print(f"{path}: {error}", file=sys.stderr)
            status = 1
    sys.exit(status)
