"""One image file to uint8 pixels, upright, as a person would see it on white paper.

Every mode that Pillow knows ends as grey or colour; what cannot be decoded is reported with its reason.
"""

from __future__ import annotations

import io
import re
import struct
import threading
import warnings
import zlib
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from oddlens.errors import UnreadableImage
from oddlens.files import open_regular
from oddlens.reading.bounds import (
    BAND_PIXELS,
    icon_refused,
    in_bytes,
    memory_needed,
    over_memory,
    png_bytes,
    png_chunks,
    png_header,
    too_large,
)
from oddlens.reading.dicom import decode_dicom, is_dicom
from oddlens.reading.limits import MOST_PIXELS, Limits

# The raster formats that are opened. Pillow knows more: some that start another program (EPS), some that lead on to a
# format of the file's choice (IPTC), some that are no pictures (HDF5), some that it decodes pixel by pixel in Python
# (DDS: a minute for 24 megapixels). None of them is an image here.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "JPEG2000", "PPM", "DIB", "ICO", "CUR", "ICNS", "TGA",
           "PCX", "SGI", "PSD", "SUN")  # JPEG opens MPO too, PNG opens APNG, PPM opens PBM, PGM, PFM and PNM
HEAD_BYTES = 132  # that tell them; of all but DICOM 16 do
# Pixels from which images are decoded one at a time, so that memory is not multiplied by the cores.
ALONE_PIXELS = 32_000_000
UPRIGHT = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
         5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
         8: Image.Transpose.ROTATE_90}  # EXIF orientation -> what brings it upright; from 5 on it lies on its side


def decode(
    data: bytes | Path, name: str, side: int | None = None, *, page: int = 0, memory: int = Limits.memory,
    alone: Callable[[], AbstractContextManager[object]] | None = None,
) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """An image file as uint8 (height, width, 1 or 3), upright, as a person would see it on white paper; its size.

    The first frame of an animation, a ``page`` of a TIFF or a frame of a DICOM file. Transparency is flattened on
    white. 16-bit grey keeps its upper 8 bits. No file states the range of 32-bit and floating-point grey:
    floating-point values within 0..1 are taken for shares of white, others within 0..255 as they are, within 0..65535
    as 16 bits, and the rest are scaled from the image's least to its greatest value.
    With ``side``, a large image may come reduced, as long as its shorter side keeps at least that many pixels: a JPEG
    is then decoded at a half, a quarter or an eighth of its size, others are averaged. The (height, width) given
    beside it are those of the whole image. Raises ``UnreadableImage``, before any pixel is allocated where the headers
    say that decoding would take more than ``memory`` bytes. ``alone`` makes what large images wait in for each other.
    """
    try:
        with _quiet(), _opened(data, name, memory) as file:
            if is_dicom(file.read(132)):
                file.seek(0)
                image = decode_dicom(file, name, page, memory)
                return (image if side is None else shrunk(image, side)), (image.shape[0], image.shape[1])
            return _decoded(file, name, side, page, memory, alone)
    except UnreadableImage:
        raise
    except Image.DecompressionBombError as error:
        raise UnreadableImage(name, f"over the limit of {MOST_PIXELS // 1_000_000} megapixels") from error
    except MemoryError as error:
        raise UnreadableImage(name, "too large for this machine's memory") from error
    except Exception as error:  # Pillow's decoders let nearly anything through when a file is broken
        raise UnreadableImage(name, _reason(data, error)) from error


def _decoded(
    file: IO[bytes], name: str, side: int | None, page: int, memory: int,
    alone: Callable[[], AbstractContextManager[object]] | None,
) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """A file that Pillow decodes."""
    with _recognised(file, name, memory) as picture:
        if page:
            picture.seek(page)
        place = file.tell()
        if (reason := too_large(picture, file)) is not None:
            raise UnreadableImage(name, reason)
        width, height = picture.size
        if side is not None and picture.format in ("JPEG", "MPO"):  # MPO: a JPEG with more behind it, from cameras
            _shrink_on_load(picture, side)
        reduced = side is not None and _factor(picture, side) >= 2
        # A PNG may say how it lies behind its pixels only, so it has to be taken for turned; asking would decode it.
        turn = 0 if picture.format == "PNG" else _orientation(picture)
        turned = turn != 1
        needed = memory_needed(picture, (width, height), reduced, turned)
        if needed > memory:
            raise UnreadableImage(name, over_memory(width, height, needed, memory))
        file.seek(place)
        large = picture.width * picture.height > ALONE_PIXELS
        with nullcontext() if not large else (large_image if alone is None else alone()):
            _load(picture, file, name)
            if picture.format not in ("JPEG", "MPO"):  # asked again: Pillow turns a TIFF itself when it loads it
                turn = _orientation(picture)
            small = _reduced(picture, side) if reduced and side is not None else picture
            return _turned(_as_array(small), turn), (width, height) if turn >= 5 else (height, width)


@contextmanager
def opened_picture(path: Path, name: str, memory: int) -> Iterator[Image.Image]:
    """A file opened by Pillow and not decoded yet, to go through its frames; raises ``UnreadableImage``."""
    try:
        with _opened(path, name, memory) as file:
            with _quiet():
                picture = _recognised(file, name, memory)
                reason = too_large(picture, file)
                needed = memory_needed(picture, picture.size, reduced=False, turned=False)
            if reason is not None or needed > memory:
                raise UnreadableImage(name, reason or over_memory(*picture.size, needed, memory))
            with picture:
                yield picture
    except UnreadableImage:
        raise
    except Exception as error:
        raise UnreadableImage(name, _reason(path, error)) from error


def as_seen(picture: Image.Image, name: str) -> NDArray[np.uint8]:
    """A picture that Pillow has opened as uint8 (height, width, 1 or 3), upright, on white; as ``decode`` gives it."""
    try:
        with _quiet():
            turn = _orientation(picture)
            picture.load()
            return _turned(_as_array(picture), turn)
    except MemoryError as error:
        raise UnreadableImage(name, "too large for this machine's memory") from error
    except Exception as error:  # Pillow's decoders let nearly anything through when a file is broken
        raise UnreadableImage(name, f"damaged ({error or type(error).__name__})") from error


def shrunk(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """A uint8 (height, width, 1 or 3) image reduced as ``decode`` reduces it with ``side``."""
    picture = as_picture(image)
    return image if _factor(picture, side) < 2 else _as_array(_reduced(picture, side))


def looks_like_image(head: bytes) -> bool:
    """Whether a file's first ``HEAD_BYTES`` are those of an image format, whatever the file is called."""
    return (
        is_dicom(head) or
        head.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*",
                         b"\0\0\0\x0cjP  "))
        or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
        or (head[:2] == b"BM" and len(head) >= 14 and head[6:10] == b"\0\0\0\0")
        or (head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"avis", b"mif1"))
        or re.match(rb"P[1-6]\s+[#0-9]", head) is not None
    )


def is_grey(image: NDArray[np.uint8], tolerance: int = 8) -> bool:
    """Whether an image is as good as grey: 99 % of its pixels have channels within ``tolerance``."""
    if image.shape[2] == 1:
        return True
    small = image[:: max(1, image.shape[0] // 64), :: max(1, image.shape[1] // 64)].astype(np.int16)
    return bool((np.ptp(small, axis=2) <= tolerance).mean() >= 0.99)


def as_picture(image: NDArray[np.uint8]) -> Image.Image:
    """A uint8 (height, width, 1 or 3) array as a Pillow image."""
    return Image.fromarray(np.ascontiguousarray(image[..., 0] if image.shape[2] == 1 else image))


class _Quiet:
    """Silences warnings while any thread is decoding: odd metadata and large images are ours to judge.

    ``warnings.catch_warnings`` alone is not safe among threads: two that overlap would restore each other's
    filters. So the first one in silences and the last one out restores.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = 0

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with self.lock:
            self.inside += 1
            if self.inside == 1:
                self.filters = warnings.catch_warnings()
                self.filters.__enter__()
                warnings.simplefilter("ignore")
        try:
            yield
        finally:
            with self.lock:
                self.inside -= 1
                if self.inside == 0:
                    self.filters.__exit__(None, None, None)


_quiet = _Quiet()
large_image = threading.Lock()  # held while one is decoded, in this process or for it in a worker


@cache
def _formats() -> tuple[str, ...]:
    """Those of ``FORMATS`` that the installed Pillow has."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


@contextmanager
def _opened(data: bytes | Path, name: str, memory: int) -> Iterator[IO[bytes]]:
    """A file of ours: Pillow would map some of its own, and one that is cut short while mapped ends the process."""
    with io.BytesIO(data) if isinstance(data, bytes) else open_regular(data) as file:
        length = file.seek(0, io.SEEK_END)
        if length > memory:  # some decoders read the whole file before they look at it
            raise UnreadableImage(name, f"the file has {in_bytes(length)}; the limit of memory is {in_bytes(memory)}")
        file.seek(0)
        yield file


def _recognised(file: IO[bytes], name: str, memory: int) -> Image.Image:
    """The file opened by whichever format it is of."""
    if (reason := icon_refused(file, memory)) is not None:
        raise UnreadableImage(name, reason)
    file.seek(0)
    return Image.open(file, formats=_formats())


def _load(picture: Image.Image, file: IO[bytes], name: str) -> None:
    """Decode, and refuse a PNG whose packed data end before its rows do: Pillow leaves the rest of them black.

    Rows come in order, so the last pixel is looked at: only where it is what it was before, the bytes are counted.
    """
    if picture.format != "PNG" or picture.mode not in _UNUSUAL:
        picture.load()
        whole = picture.format != "PNG" or _png_is_whole(file)
    else:
        unusual = _UNUSUAL[picture.mode]
        picture.im = Image.new(picture.mode, picture.size, unusual).im
        picture.load()
        interlaced = bool(picture.info.get("interlace"))
        untouched = picture.getpixel((picture.width - 1, picture.height - 1)) == unusual
        whole = not (interlaced or untouched) or _png_is_whole(file)
    if not whole:
        raise UnreadableImage(name, "the file ends early (data of some rows are missing)")


_UNUSUAL: dict[str, int | tuple[int, ...]] = {
    "L": 137, "P": 137, "LA": (137, 23), "RGB": (137, 23, 201), "RGBA": (137, 23, 201, 89), "I;16": 0x8917}


def _png_is_whole(file: IO[bytes]) -> bool:
    """Whether a PNG's packed data unpack to as many bytes as its header says."""
    missing = png_bytes(*png_header(file))
    unpacker = zlib.decompressobj()
    for kind, length in png_chunks(file):
        if kind != b"IDAT":
            continue
        packed = file.read(length)
        while packed and missing > 0 and not unpacker.eof:
            missing -= len(unpacker.decompress(packed, 1 << 20))
            packed = unpacker.unconsumed_tail
    return missing <= 0


def _shrink_on_load(picture: Image.Image, side: int) -> None:
    """Let libjpeg decode at the smallest of its scales that keeps the shorter side at ``side`` or more."""
    shorter = min(picture.size)
    for scale in (8, 4, 2):
        if shorter // scale >= side:
            picture.draft(None, (picture.width // scale, picture.height // scale))
            return


def _factor(picture: Image.Image, side: int) -> int:
    """By how much a picture is reduced so that its shorter side keeps twice ``side``; 1: not at all."""
    reducible = picture.mode in ("L", "LA", "RGB", "RGBA", "P", "PA", "CMYK")
    return max(1, min(picture.size) // (2 * side)) if reducible else 1


def _reduced(picture: Image.Image, side: int) -> Image.Image:
    """The mean of squares of pixels, at least twice ``side`` left.

    It goes by bands, because Pillow converts a picture with transparency whole, twice, before it takes means.
    """
    factor = _factor(picture, side)
    if factor < 2:
        return picture
    mode = picture.mode
    if mode in ("P", "PA") or "transparency" in picture.info:
        mode = "RGBA" if picture.has_transparency_data else "RGB"
    width, height = picture.size
    small = Image.new(mode, (-(-width // factor), -(-height // factor)))
    step = factor * max(1, BAND_PIXELS // (factor * width))
    for top in range(0, height, step):
        band = picture.crop((0, top, width, min(height, top + step)))
        small.paste((band if band.mode == mode else band.convert(mode)).reduce(factor), (0, top // factor))
    return small


def _orientation(picture: Image.Image) -> int:
    """How a loaded picture lies, 1 to 8 as EXIF counts; 1, upright, where EXIF says nothing or nonsense."""
    try:
        turn = picture.getexif().get(0x0112, 1)
    except Exception:  # damaged metadata; the picture itself is sound
        return 1
    return turn if turn in UPRIGHT else 1


def _turned(image: NDArray[np.uint8], turn: int) -> NDArray[np.uint8]:
    """An image brought upright."""
    if turn == 1:
        return image
    image = image.swapaxes(0, 1) if turn in (5, 7) else np.rot90(image, {3: 2, 6: 3, 8: 1}.get(turn, 0))
    if turn in (2, 4, 7):
        image = image[:, ::-1] if turn == 2 else image[::-1] if turn == 4 else image[::-1, ::-1]
    return np.ascontiguousarray(image)


def _as_array(picture: Image.Image) -> NDArray[np.uint8]:
    """Any mode of Pillow as uint8 (height, width, 1 or 3), by bands, so that no other copy is ever whole."""
    convert = _with_range(picture) if picture.mode in ("I", "F") else _as_pixels
    if picture.width * picture.height <= BAND_PIXELS:
        return convert(picture)
    step = max(1, BAND_PIXELS // picture.width)
    array: NDArray[np.uint8] | None = None
    for top, band in _bands(picture, step):
        pixels = convert(band)
        if array is None:
            array = np.empty((picture.height, picture.width, pixels.shape[2]), np.uint8)
        array[top : top + len(pixels)] = pixels
    assert array is not None  # noqa: S101  a picture has a row
    return array


def _bands(picture: Image.Image, step: int) -> Iterator[tuple[int, Image.Image]]:
    for top in range(0, picture.height, step):
        yield top, picture.crop((0, top, picture.width, min(picture.height, top + step)))


def _as_pixels(picture: Image.Image) -> NDArray[np.uint8]:
    mode = picture.mode
    if mode.startswith("I;16"):
        return (np.asarray(picture).astype(np.uint16) >> 8).astype(np.uint8)[..., None]
    if picture.has_transparency_data:
        layer = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    elif mode == "LAB":
        picture = ImageCms.profileToProfile(
            picture, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB") or picture
    wanted = "L" if mode in ("1", "L", "LA") else "RGB"
    if picture.mode != wanted:  # else it would be copied
        picture = picture.convert(wanted)
    array = np.array(picture, np.uint8)
    return array[..., None] if array.ndim == 2 else array


def _with_range(picture: Image.Image) -> Callable[[Image.Image], NDArray[np.uint8]]:
    """How values without a stated range become pixels: as they are within 0..255, as 16 bits, or least to greatest."""
    step = max(1, BAND_PIXELS // picture.width)
    low, high = np.inf, -np.inf
    for _, band in _bands(picture, step):
        values = np.asarray(band, np.float64)
        if not np.isfinite(values).all():
            raise ValueError("its values are not finite numbers")
        low, high = min(low, float(values.min())), max(high, float(values.max()))
    start, scale = 0.0, 1.0
    if picture.mode == "F" and low >= 0 and high <= 1:
        scale = 255.0
    elif low >= 0 and 255 < high <= 65535:
        scale = 1 / 257
    elif low < 0 or high > 65535:
        start, scale = low, 255 / ((high - low) or 1)
    return lambda band: ((np.asarray(band, np.float64) - start) * scale).round().astype(np.uint8)[..., None]


def _reason(data: bytes | Path, error: Exception) -> str:
    """Why a file cannot be read, in words for its owner."""
    try:
        if isinstance(data, Path):
            with data.open("rb") as file:
                head = file.read(512)
        else:
            head = data[:512]
    except OSError as problem:
        return f"cannot be opened: {problem.strerror or problem}"
    message = str(error).splitlines()[0] if str(error) else type(error).__name__
    if not head:
        return "the file is empty"
    if "truncated" in message.lower() or "ended" in message or isinstance(error, EOFError | struct.error):
        return f"the file ends early ({message})"
    if "cannot identify" in message and looks_like_image(head):
        return "begins as an image does, but ends early or is damaged"
    if "cannot identify" in message:
        return "text, not an image" if _is_text(head) else "not an image in a format that is read here"
    return f"damaged ({message})"


def _is_text(head: bytes) -> bool:
    try:
        return "\0" not in getincrementaldecoder("utf-8")().decode(head)  # its last character may be cut in two
    except UnicodeDecodeError:
        return False

