"""What decoding a file would take, told from its headers before any pixel is allocated, and why it may be too much."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from typing import IO

from PIL import Image

from oddlens.reading.limits import MOST_PIXELS, MOST_SCANS, MOST_SIDE

BAND_PIXELS = 4_000_000  # pixels of a picture that are converted at a time
BAND_BYTES = 32  # that converting one pixel of a band takes, at most
ROW_BYTES = 32  # that Pillow's storage takes for each row beside its pixels
# Bytes a pixel that a format's decoder takes beside the picture itself, at most (measured: docs/reliability.md)
DECODER_BYTES = {"WEBP": 12, "AVIF": 14, "JPEG2000": 20, "GIF": 4, "PPM": 4, "SGI": 8, "PSD": 4}
ICON_BYTES = 28  # that decoding one pixel of a picture within an icon takes, which may be any of these
_ICONS = (b"\0\0\1\0", b"\0\0\2\0", b"icns")
# What deflate and Huffman codes can pack at most: bytes out of one byte, and 8 x 8 blocks out of one byte.
DEFLATE_RATIO = 1032
BLOCKS_A_BYTE = 8
HEAD_BYTES = 2**16  # of a JPEG that are read at first: metadata seldom take more
_MARKER = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")  # in a JPEG's scan: neither a stuffed byte nor a restart
_ALONE = frozenset([0x01, *range(0xD0, 0xD9)])  # markers of a JPEG without a length


def icon_refused(file: IO[bytes], memory: int) -> str | None:
    """Why an icon file is refused before it is opened, for Pillow decodes some when it opens them; None: it is not.

    Each picture within it is judged by its own header, not by the icon's list of them.
    """
    if _at(file, 0, 4) not in _ICONS:
        return None
    for width, height in _embedded(file):
        if (reason := _size_refused(width, height)) is not None:
            return reason
        needed = ICON_BYTES * width * height + ROW_BYTES * height
        if needed > memory:
            return over_memory(width, height, needed, memory)
    return None


def too_large(picture: Image.Image, file: IO[bytes]) -> str | None:
    """Why an opened picture is refused whatever the memory: its pixels, a side, or more than its file can hold."""
    if (reason := _size_refused(*picture.size)) is not None:
        return reason
    if picture.format == "PNG" and png_bytes(*png_header(file)) > DEFLATE_RATIO * _length(file):
        return f"the file ends early ({_length(file):,} bytes cannot hold {picture.width} x {picture.height} pixels)"
    if picture.format in ("JPEG", "MPO"):
        return _jpeg_refused(picture, file)
    return None


def over_memory(width: int, height: int, needed: int, memory: int) -> str:
    """The reason for an image that would take more memory than it may."""
    return f"{width} x {height} pixels would take {in_bytes(needed)} of memory; the limit is {in_bytes(memory)}"


def in_bytes(count: int) -> str:
    """A number of bytes for a person."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def _size_refused(width: int, height: int) -> str | None:
    if width * height > MOST_PIXELS:
        return f"{width} x {height} pixels are over the limit of {MOST_PIXELS // 1_000_000} megapixels"
    if max(width, height) > MOST_SIDE:
        return f"{width} x {height} pixels are over the limit of {MOST_SIDE:,} a side"
    return None


def memory_needed(picture: Image.Image, full: tuple[int, int], reduced: bool, turned: bool) -> int:
    """Bytes that decoding takes at its peak, from format, mode and size.

    full:     the size as the file states it; ``picture.size`` may be smaller where a JPEG is decoded reduced.
    reduced:  whether a small picture is made of it, so that no whole array is.
    turned:   whether it has to be turned upright.
    """
    width, height = picture.size
    pixels = width * height
    stored = 4 if len(picture.getbands()) > 1 or picture.mode in ("I", "F") else 2 if "16" in picture.mode else 1
    each = stored + (0 if reduced else (len(picture.getbands()) > 1 or picture.mode == "P") * 2 + 1)
    if turned:
        each += stored if picture.format == "TIFF" else 0 if reduced else 3
    extra = DECODER_BYTES.get(picture.format or "", 0) * pixels
    if picture.format in ("JPEG", "MPO") and picture.info.get("progressive"):
        extra += 2 * len(picture.getbands()) * full[0] * full[1]  # libjpeg keeps all coefficients, of the full size
    if picture.format == "TIFF":
        extra += 2 * _strip_bytes(picture)
    return each * pixels + ROW_BYTES * height + extra + BAND_BYTES * min(pixels, BAND_PIXELS)


def png_bytes(width: int, height: int, bits: int, colour: int, interlaced: int) -> int:
    """How many bytes a PNG of such a header unpacks to."""
    depth = bits * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour, 1)
    passes = [(8, 8, 0, 0), (8, 8, 4, 0), (4, 8, 0, 4), (4, 4, 2, 0), (2, 4, 0, 2), (2, 2, 1, 0), (1, 2, 0, 1)]
    total = 0
    for across, down, left, top in passes if interlaced else [(1, 1, 0, 0)]:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            total += rows * (1 + -(-columns * depth // 8))
    return total


def png_chunks(file: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """Kind and length of each chunk of a PNG, the file standing at its content."""
    at = 8
    while len(head := _at(file, at, 8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        yield kind, length
        at += 12 + length


def png_header(file: IO[bytes]) -> tuple[int, int, int, int, int]:
    """Width, height, bits, colour type and whether it is interlaced, as a PNG's header says."""
    for kind, _ in png_chunks(file):
        if kind == b"IHDR":
            width, height, bits, colour, _, _, interlaced = struct.unpack(">IIBBBBB", file.read(13))
            return width, height, bits, colour, interlaced
    raise ValueError("it has no header")


def _jpeg_refused(picture: Image.Image, file: IO[bytes]) -> str | None:
    """Too many scans, or fewer bytes than its blocks take however they are packed."""
    kind, components, at, first = 0, 0, 2, -1
    data = _at(file, 0, HEAD_BYTES)
    while True:
        if at + 12 > len(data) >= HEAD_BYTES:  # more metadata than usual
            data = _content(file)
        if at + 12 > len(data) or data[at] != 0xFF:
            break
        marker = data[at + 1]
        if marker == 0xFF or marker in _ALONE:  # filling
            at += 1 if marker == 0xFF else 2
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            kind, components = marker, data[at + 9]
        if marker == 0xDA:
            first = data[at + 4]
            break
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    huffman = kind in (0xC0, 0xC1, 0xC2)
    if huffman and -(-picture.width // 8) * -(-picture.height // 8) > BLOCKS_A_BYTE * _length(file):
        return f"the file ends early ({_length(file):,} bytes cannot hold {picture.width} x {picture.height} pixels)"
    whole = kind in (0xC0, 0xC1, 0xC9) and first == components
    if not whole and _scans(file, at) > MOST_SCANS:
        return f"a JPEG of more than {MOST_SCANS} scans, which would take very long"
    return None


def _scans(file: IO[bytes], at: int) -> int:
    """How many scans a JPEG has from ``at`` on, where one begins; counted to one more than may be."""
    data = _content(file)
    count = 0
    while count <= MOST_SCANS and at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xD9:
            break
        if marker in _ALONE or marker == 0xFF:
            at += 1 if marker == 0xFF else 2
            continue
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xDA:
            count += 1
            following = _MARKER.search(data, at)
            if following is None:
                break
            at = following.end() - 2
    return count


def _embedded(file: IO[bytes]) -> list[tuple[int, int]]:
    """Width and height of each picture within an icon file, as its own header says, not the icon's list of them."""
    data = _content(file)
    sizes = [struct.unpack(">II", found[1]) for found in re.finditer(rb"IHDR(.{8})", data, re.DOTALL)]
    sizes += [struct.unpack(">II", found[1])[::-1] for found in re.finditer(rb"ihdr(.{8})", data, re.DOTALL)]
    sizes += [struct.unpack(">II", found[1]) for found in re.finditer(rb"\xff\x4f\xff\x51.{4}(.{8})", data, re.DOTALL)]
    if data[:4] in _ICONS[:2]:
        for entry in range(int.from_bytes(data[4:6], "little")):
            place = data[6 + 16 * entry : 22 + 16 * entry]
            head = data[int.from_bytes(place[12:16], "little") :][:12]
            if len(place) == 16 and len(head) == 12 and head[:4] != b"\x89PNG":
                short = head[:4] == b"\x0c\0\0\0"
                width, height = struct.unpack("<HH" if short else "<ii", head[4:8] if short else head[4:12])
                sizes.append((abs(width), abs(height)))
    return [(int(width), int(height)) for width, height in sizes]


def _strip_bytes(picture: Image.Image) -> int:
    """The largest piece that a TIFF is unpacked in: a strip or a tile."""
    tags = getattr(picture, "tag_v2", {})
    bits = tags.get(258, (1,))
    depth = max(bits if isinstance(bits, tuple) else (bits,)) * int(tags.get(277, 1))
    width, height = picture.size
    if 322 in tags and 323 in tags:
        width, height = int(tags[322]), int(tags[323])
    else:
        height = min(height, int(tags.get(278, height)) or height)
    return int(width * height * depth // 8)


def _content(file: IO[bytes]) -> bytes:
    """All of a file, which is as large as memory allows: ``decode`` has seen to that."""
    file.seek(0)
    return file.read()


def _length(file: IO[bytes]) -> int:
    try:
        return os.fstat(file.fileno()).st_size
    except OSError:  # in memory
        return file.seek(0, os.SEEK_END)


def _at(file: IO[bytes], place: int, count: int) -> bytes:
    file.seek(place)
    return file.read(count)
