"""One image file to uint8 pixels, upright, as a person would see it on white paper.

Every mode that Pillow knows ends as grey or colour; what cannot be decoded is reported with its reason.
"""

from __future__ import annotations

import io
import re
import struct
import threading
import warnings
from codecs import getincrementaldecoder
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from oddlens.errors import UnreadableImage

MOST_PIXELS = 178_000_000  # pixels in one image file; more is taken for a decompression bomb
# Pixels from which images are decoded one at a time, so that memory is not multiplied by the cores.
ALONE_PIXELS = 32_000_000
BAND_PIXELS = 4_000_000  # pixels of a picture that are converted at a time
UPRIGHT = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
         5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
         8: Image.Transpose.ROTATE_90}  # EXIF orientation -> what brings it upright; from 5 on it lies on its side


def decode(data: bytes | Path, name: str, side: int | None = None) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """An image file as uint8 (height, width, 1 or 3), upright, as a person would see it on white paper; its size.

    The first frame of an animation. Transparency is flattened on white. 16-bit grey keeps its upper 8 bits. No file
    states the range of 32-bit and floating-point grey: floating-point values within 0..1 are taken for shares of
    white, others within 0..255 as they are, within 0..65535 as 16 bits, and the rest are scaled from the image's
    least to its greatest value.
    With ``side``, a large image may come reduced, as long as its shorter side keeps at least that many pixels: a JPEG
    is then decoded at a half, a quarter or an eighth of its size, others are averaged. The (height, width) given
    beside it are those of the whole image. Raises ``UnreadableImage``.
    """
    try:
        with _quiet(), Image.open(data if isinstance(data, Path) else io.BytesIO(data)) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise UnreadableImage(name, f"{picture.width} x {picture.height} pixels are over the limit of "
                                            f"{MOST_PIXELS // 1_000_000} megapixels")
            width, height = picture.size
            if side is not None and picture.format in ("JPEG", "MPO"):  # MPO: a JPEG with more behind it, from cameras
                _shrink_on_load(picture, side)
            with _one_at_a_time if picture.width * picture.height > ALONE_PIXELS else nullcontext():
                picture.load()
                turn = _orientation(picture)  # asked for now, because Pillow turns a TIFF itself when it loads it
                small = picture if side is None else _reduced(picture, side)
                upright = small if turn == 1 else small.transpose(UPRIGHT[turn])
                return _as_array(upright), (width, height) if turn >= 5 else (height, width)
    except UnreadableImage:
        raise
    except Image.DecompressionBombError as error:
        raise UnreadableImage(name, f"over the limit of {MOST_PIXELS // 1_000_000} megapixels") from error
    except MemoryError as error:
        raise UnreadableImage(name, "too large for this machine's memory") from error
    except Exception as error:  # Pillow's decoders let nearly anything through when a file is broken
        raise UnreadableImage(name, _reason(data, error)) from error


def looks_like_image(head: bytes) -> bool:
    """Whether a file's first 16 bytes are those of an image format, whatever the file is called."""
    return (
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
_one_at_a_time = threading.Lock()


def _shrink_on_load(picture: Image.Image, side: int) -> None:
    """Let libjpeg decode at the smallest of its scales that keeps the shorter side at ``side`` or more."""
    shorter = min(picture.size)
    for scale in (8, 4, 2):
        if shorter // scale >= side:
            picture.draft(None, (picture.width // scale, picture.height // scale))
            return


def _reduced(picture: Image.Image, side: int) -> Image.Image:
    """The mean of squares of pixels, at least twice ``side`` left.

    It goes by bands, because Pillow converts a picture with transparency whole, twice, before it takes means.
    """
    factor = min(picture.size) // (2 * side)
    if factor < 2 or picture.mode not in ("L", "LA", "RGB", "RGBA", "P", "PA", "CMYK"):
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


def _as_array(picture: Image.Image) -> NDArray[np.uint8]:
    """Any mode of Pillow as uint8 (height, width, 1 or 3)."""
    mode = picture.mode
    if mode.startswith("I;16"):
        return (np.asarray(picture).astype(np.uint16) >> 8).astype(np.uint8)[..., None]
    if mode in ("I", "F"):
        values = np.asarray(picture, np.float64)
        shares = mode == "F" and values.min() >= 0 and values.max() <= 1
        return _scaled(values * 255 if shares else values)[..., None]
    if picture.has_transparency_data:
        layer = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    elif mode == "LAB":
        picture = ImageCms.profileToProfile(
            picture, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB") or picture
    picture = picture.convert("L" if mode in ("1", "L", "LA") else "RGB")
    array = np.array(picture, np.uint8)
    return array[..., None] if array.ndim == 2 else array


def _scaled(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Values without a stated range: as they are where they fit 0..255, else 16 bits, else least to greatest."""
    if not np.isfinite(values).all():
        raise ValueError("its values are not finite numbers")
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= 255:
        return values.round().astype(np.uint8)
    if low >= 0 and 255 < high <= 65535:
        return (values / 257).round().astype(np.uint8)
    return ((values - low) / ((high - low) or 1) * 255).round().astype(np.uint8)


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
        return "text, not an image" if _is_text(head) else "not an image in a format that Pillow reads"
    return f"damaged ({message})"


def _is_text(head: bytes) -> bool:
    try:
        return "\0" not in getincrementaldecoder("utf-8")().decode(head)  # its last character may be cut in two
    except UnicodeDecodeError:
        return False

