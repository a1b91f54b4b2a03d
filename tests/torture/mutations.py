"""Damaged inputs that keep the structure of what they were: a reader's own checks are passed, not just its first.

Every mutation takes bytes and a ``random.Random`` and gives bytes; the same seed gives the same.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from random import Random
from typing import Any

Mutation = Callable[[bytes, Random], bytes]

# Where counts, sizes and signs go wrong.
NUMBERS = [0, 1, 2, 3, 4, 7, 8, 16, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1]
VALUES: list[Any] = [None, True, False, 0, 1, -1, 2**31, 2**63, -(2**63), 10**400, 1e308, -0.0, 0.5, float("nan"),
                     float("inf"), "", "a", "\0", "../..", "\ud800", "é" * 300, [], {}, [[]], [1], {"a": 1},
                     {"tuple": [1, 2]}, {"dict": {}}, {"role": "encoder", "name": "pixels", "options": {}}]
LONGEST = 1 << 16  # bytes; what grows beyond is cut


def mutate(kind: str, data: bytes, random: Random) -> bytes:
    """One to four mutations of an input of a kind, structural ones among them where it can still be parsed."""
    for _ in range(random.choice((1, 1, 1, 2, 3, 4))):
        structured = STRUCTURED.get(kind)
        change: Mutation = structured if structured and random.random() < 0.75 else scrambled
        try:
            data = change(data, random)
        except (ArithmeticError, EOFError, LookupError, MemoryError, OSError, RuntimeError, TypeError, ValueError,
                struct.error, zlib.error, lzma.LZMAError, zipfile.BadZipFile):
            data = scrambled(data, random)  # no longer what it was; damage it further as bytes
    return data[:LONGEST]


def scrambled(data: bytes, random: Random) -> bytes:
    """Bytes changed, put in, taken out, doubled or cut off, whatever they mean."""
    content = bytearray(data or b"\0")
    for _ in range(random.randint(1, 4)):
        at = min(random.randrange(len(content) + 1), int(random.expovariate(1 / 64))) if random.random() < 0.5 \
            else random.randrange(len(content) + 1)
        piece = random.randint(1, 1 << random.randint(0, 9))
        match random.randrange(7):
            case 0 if at < len(content):
                content[at] ^= 1 << random.randrange(8)
            case 1 if at < len(content):
                content[at] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))
            case 2:
                layout = random.choice(("<I", ">I", "<H", ">H", "<Q"))
                number = random.choice(NUMBERS) & (0xFFFF if layout[1] == "H" else 2**64 - 1)
                content[at : at + struct.calcsize(layout)] = struct.pack(layout, number)
            case 3:
                content[at:at] = random.randbytes(min(piece, 16))
            case 4:
                del content[at : at + piece]
            case 5:
                content[at:at] = content[at : at + piece]
            case _ if random.random() < 0.3:
                del content[at:]
        content = content or bytearray(b"\0")
    return bytes(content)


def pixels(data: bytes, random: Random) -> bytes:
    """An image file, by its own format."""
    if data.startswith(b"\x89PNG"):
        return png(data, random)
    if data.startswith(b"\xff\xd8"):
        return jpeg(data, random)
    if data[:4] in (b"II*\0", b"MM\0*"):
        return tiff(data, random)
    if data[:4] == b"RIFF":
        changed = scrambled(data[12:], random)
        return data[:4] + struct.pack("<I", len(changed) + 4) + data[8:12] + changed
    return scrambled(data[: random.choice((8, 32, 64, 1 << 16))], random) + data[64:]


def png(data: bytes, random: Random) -> bytes:
    """Chunks changed, moved or doubled, with sums that are right; pixel data unpacked first."""
    chunks, at = [], 8
    while at + 12 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    one = random.randrange(len(chunks))
    kind, content = chunks[one]
    match random.randrange(6):
        case 0:
            chunks.insert(random.randrange(len(chunks)), chunks[one])
        case 1:
            del chunks[one]
        case 2 if kind == b"IDAT":
            chunks[one] = kind, zlib.compress(scrambled(zlib.decompress(content), random))
        case 3:
            chunks.insert(1, (random.choice((b"tRNS", b"PLTE", b"iCCP", b"eXIf", b"gAMA", b"acTL", b"fcTL", b"zTXt")),
                              random.randbytes(random.randint(0, 40))))
        case 4:
            header = list(struct.unpack(">IIBBBBB", chunks[0][1]))
            header[random.randrange(7)] = random.choice(NUMBERS[:12])
            chunks[0] = chunks[0][0], struct.pack(">IIBBBBB", *(v if k < 2 else v & 255 for k, v in enumerate(header)))
        case _:
            chunks[one] = kind, scrambled(content, random)
    return data[:8] + b"".join(struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c))
                               for k, c in chunks)


def jpeg(data: bytes, random: Random) -> bytes:
    """Segments changed, moved or doubled, with lengths that are right."""
    segments, at = [], 2
    while data[at] == 0xFF and data[at + 1] not in (0xDA, 0xD9):
        (length,) = struct.unpack(">H", data[at + 2 : at + 4])
        segments.append((data[at + 1], data[at + 4 : at + 2 + length]))
        at += 2 + length
    rest, one = data[at:], random.randrange(len(segments))
    marker, content = segments[one]
    match random.randrange(5):
        case 0:
            segments.insert(random.randrange(len(segments)), segments[one])
        case 1:
            del segments[one]
        case 2:
            segments[one] = random.choice((0xC0, 0xC1, 0xC2, 0xC4, 0xDB, 0xDD, 0xE0, 0xE1, 0xE2, 0xEE, 0xFE)), content
        case 3:
            rest = rest[:10] + scrambled(rest[10:], random)
        case _:
            segments[one] = marker, scrambled(content, random)[:65533]
    return data[:2] + b"".join(bytes([255, m]) + struct.pack(">H", len(c) + 2) + c for m, c in segments) + rest


def tiff(data: bytes, random: Random) -> bytes:
    """One field of the first directory: its tag, type, count or value."""
    order = "<" if data[:2] == b"II" else ">"
    (start,) = struct.unpack(order + "I", data[4:8])
    (count,) = struct.unpack(order + "H", data[start : start + 2])
    at = start + 2 + 12 * random.randrange(count)
    tag, kind, many, value = struct.unpack(order + "HHII", data[at : at + 12])
    match random.randrange(4):
        case 0:
            tag = random.choice((254, 256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 317, 320, 322, 338, 339, 34675))
        case 1:
            kind = random.randrange(20)
        case 2:
            many = random.choice(NUMBERS)
        case _:
            value = random.choice([*NUMBERS, random.randrange(len(data))])
    return data[:at] + struct.pack(order + "HHII", tag, kind, many, value) + data[at + 12 :]


def idx(data: bytes, random: Random) -> bytes:
    """The type, a dimension or the length; sometimes with as much content as is promised, sometimes packed."""
    if data[:2] == b"\x1f\x8b":
        return gzip.compress(idx(gzip.decompress(data), random), 1, mtime=0)
    if random.random() < 0.15:
        return gzip.compress(data, 1, mtime=0)
    content = bytearray(data)
    if random.random() < 0.5:
        content[random.choice((2, 3))] = random.choice((0, 1, 2, 3, 4, 5, 8, 9, 11, 12, 13, 14, 255))
    else:
        at = 4 + 4 * random.randrange(max(1, content[3]))
        content[at : at + 4] = struct.pack(">I", random.choice(NUMBERS))
    if random.random() < 0.5:
        shape = struct.unpack(f">{content[3]}I", content[4 : 4 + 4 * content[3]])
        size, promised = {8: 1, 9: 1, 11: 2, 12: 4, 13: 4, 14: 8}.get(content[2], 1), 1
        for side in shape:
            promised = min(promised * side, LONGEST)
        start = 4 + 4 * content[3]
        content = content[:start] + random.randbytes(min(promised * size, 4096))
    return bytes(content)


def npy(data: bytes, random: Random) -> bytes:
    """The header's shape, type or order, well formed or not; or the version; or the content."""
    start = 10 + struct.unpack("<H", data[8:10])[0]
    header, content = data[10:start].decode("latin1"), data[start:]
    match random.randrange(6):
        case 0:
            sides = [str(random.choice([*NUMBERS, 2**63, 2**64, -1])) for _ in range(random.randint(0, 5))]
            header = re.sub(r"\([^)]*\)", "(" + ", ".join(sides) + ",)", header, count=1)
        case 1:
            kind = random.choice(("|u1", "|b1", "<u2", ">u2", "<f2", "<f4", ">f8", "<f8", "<f16", "|O", "<U3", "|S4",
                                  "<M8[s]", "<c8", "<i4", "|V3", "<u8", "zz", "|u1,|u1"))
            header = re.sub(r"'descr': '[^']*'", f"'descr': '{kind}'", header)
        case 2:
            header = header.replace("False", random.choice(("True", "2", "None", "[]")))
        case 3:
            header = scrambled(header.encode("latin1"), random).decode("latin1")
        case 4:
            return data[:6] + bytes([random.randrange(5), random.randrange(3)]) + data[8:]
        case _:
            content = random.choice((content + content, content[: len(content) // 2], b"", random.randbytes(64) * 4))
    packed = header.encode("latin1")
    return data[:8] + struct.pack("<H", len(packed) & 0xFFFF) + packed + content


def npz(data: bytes, random: Random) -> bytes:
    """A member changed, renamed, doubled or taken out, in a sound archive."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    one = random.randrange(len(members))
    name, content = members[one]
    match random.randrange(6):
        case 0:
            members.append((random.choice(("images.npy", "images", "b.npy", "../x.npy", "", "é.npy")), content))
        case 1:
            members[one] = random.choice(("images.npy", "x", "y.npy")), content
        case 2:
            members[one] = name, scrambled(content, random)
        case _:
            members[one] = name, npy(content, random)
    return zipped(members, random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA)))


def zipped(members: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> bytes:
    """Files by name as an archive without a date."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        seen = set()
        for name, content in members:
            if name not in seen:
                archive.writestr(zipfile.ZipInfo(name), content, method)
            seen.add(name)
    return file.getvalue()


def json_text(data: bytes, random: Random) -> bytes:
    """A value anywhere in the tree changed, taken out, doubled or moved."""
    tree = json.loads(data)
    holders: list[Any] = []

    def collect(value: Any) -> None:
        if isinstance(value, dict | list) and value:
            holders.append(value)
            for inner in value.values() if isinstance(value, dict) else value[:8]:
                collect(inner)

    collect(tree)
    holder = random.choice(holders)
    key = random.choice(list(holder)) if isinstance(holder, dict) else random.randrange(len(holder))
    match random.randrange(6):
        case 0:
            del holder[key]
        case 1:
            other = random.choice(holders)
            holder[key] = json.loads(json.dumps(other))
        case 2 if isinstance(holder, dict):
            holder[random.choice(("", "a", "tuple", "dict", "view", "role", "\ud800", "name"))] = holder.pop(key)
        case 3 if isinstance(holder, list):
            holder.insert(key, holder[key])
        case _:
            old = holder[key]
            near = [old + 1, -old, old * 2, old / 2] if isinstance(old, float | int) and abs(old) < 1e9 else VALUES
            holder[key] = random.choice(random.choice((VALUES, near)))
    return json.dumps(tree).encode()


def safetensors(data: bytes, random: Random) -> bytes:
    """A tensor's header changed as JSON, or its numbers poisoned."""
    (length,) = struct.unpack("<Q", data[:8])
    header, content = data[8 : 8 + length], bytearray(data[8 + length :])
    if random.random() < 0.5 or not content:
        header = json_text(header, random)
    else:
        wide = random.choice((1, 4, 8))
        for _ in range(random.randint(1, 5)):
            at = random.randrange(0, len(content), wide) if len(content) > wide else 0
            poison = {1: [0, 255, 128], 4: [0x7FC00000, 0x7F800000, 0xFFFFFFFF, 0x7FFFFFFF, 1, 0x80000000, 0x7149F2CA],
                      8: [0x7FF8 << 48, 0x7FF << 52, 2**64 - 1, 2**63 - 1, 2**63, 1, 0x54B249AD2594C37D]}[wide]
            content[at : at + wide] = random.choice(poison).to_bytes(wide, "little")
    return struct.pack("<Q", len(header)) + header + bytes(content)


def folder(data: bytes, random: Random) -> bytes:
    """A saved model as an archive: one of its files changed, and names and hashes made to fit, as by an attacker."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    name = random.choice(sorted(files))
    if name.endswith(".json") or random.random() < 0.3:
        files["model.json"] = json_text(files["model.json"], random)
        return zipped(sorted(files.items()))
    changed = (safetensors if random.random() < 0.9 else scrambled)(files.pop(name), random)
    digest, part = hashlib.sha256(changed).hexdigest(), name.rpartition("-")[0]
    new = f"{part}-{digest[:16]}.safetensors"
    files[new] = changed
    tree = json.loads(files["model.json"])
    tree["files"][part] = {"name": new, "sha256": digest}
    files["model.json"] = json.dumps(tree).encode()
    return zipped(sorted(files.items()))


STRUCTURED: dict[str, Mutation] = {"pixels": pixels, "idx": idx, "npy": npy, "npz": npz, "run": json_text,
                                   "model": folder, "reasons": safetensors}
