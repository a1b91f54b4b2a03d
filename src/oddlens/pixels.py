"""From files of any kind to uint8 pixels of one size: decode, orient, convert, resize.

An image that cannot be read is listed with its reason; it never stops the run and never disappears.
"""

from __future__ import annotations

import io
import re
import struct
import threading
import warnings
from codecs import getincrementaldecoder
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

from oddlens.arrays import allocate
from oddlens.errors import OptionError, SourceError, TooFewImages, UnreadableImage
from oddlens.kernels import resolve_jobs
from oddlens.progress import advance
from oddlens.protocols import HoldsPixels, ImageSource, Pixels, ReadsNear

MINIMUM_IMAGES = 10  # fewer say nothing of what is ordinary
MOST_PIXELS = 178_000_000  # in one image file; more is taken for a decompression bomb
HUGE = 32_000_000  # pixels; images that are larger are decoded one at a time, so that cores do not multiply memory
BLOCK = 4096  # rows of an array that are copied at a time
BAND = 4_000_000  # pixels of a picture that are converted at a time
LARGEST_SIDE = 64  # of the size that is chosen by looking
SMALLEST_SIDE = 8
RESIZES = ("squash", "pad", "crop")
TURNS = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
         5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
         8: Image.Transpose.ROTATE_90}  # EXIF orientation -> what brings it upright; from 5 on it lies on its side

T = TypeVar("T")


@dataclass(frozen=True)
class PixelFormat:
    """The one size that all images of a collection are brought to.

    height, width:  in pixels.
    channels:       1 (grey) or 3 (RGB).
    resize:         how an image of another shape meets that size.

    "squash" (the default) scales each axis on its own: nothing is cut off and nothing is invented, so an oddity at
    the rim stays in and no border can pass for one; the price is a changed aspect ratio. "pad" keeps the aspect
    ratio and fills up with the mean of the image's rim; "crop" keeps it too and cuts the longer axis about
    the centre.
    """

    height: int
    width: int
    channels: int
    resize: str = "squash"


@dataclass(frozen=True)
class Collection:
    """Images as pixels of one size, and what could not be read.

    pixels:      (n, height, width, channels) uint8; memory-mapped where they are many.
    names:       their names.
    unreadable:  (name, reason) of the others.
    shapes:      (n, 2) int32, the height and width that each had.
    indices:     (n,) int64, their numbers in the source.
    resize:      how images of other shapes met that size; see ``PixelFormat``.
    seconds:     that reading them took, where it was measured.
    """

    pixels: Pixels
    names: tuple[str, ...]
    unreadable: tuple[tuple[str, str], ...]
    shapes: NDArray[np.int32]
    indices: NDArray[np.int64]
    resize: str = "squash"
    seconds: float = 0.0

    def __len__(self) -> int:
        return len(self.names)

    @property
    def format(self) -> PixelFormat:
        """The size that the images were brought to."""
        height, width, channels = self.pixels.shape[1:]
        return PixelFormat(height, width, channels, self.resize)


def look(
    source: ImageSource,
    image_size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    resize: str = "squash",
    sample: int = 256,
    jobs: int | None = 1,
) -> PixelFormat:
    """The format that suits a source, found out by looking at ``sample`` images spread over it.

    Size: where all of them share one shape of at most 64 pixels a side, that shape; otherwise their median height
    and width, scaled to 64 pixels on the longer side and rounded to multiples of 4. Channels: 1 where at least
    95 % of them are grey in content, whatever their mode, and 3 otherwise. ``image_size`` and ``channels`` are
    taken instead where given; ``image_size`` is one number for a square or (height, width). ``jobs`` is as in
    ``read_pixels``, and changes nothing but the time.
    """
    if resize not in RESIZES:
        raise OptionError.unknown("resize", resize, RESIZES)
    if channels not in (None, 1, 3):
        raise OptionError(f"channels must be 1 (grey), 3 (colour) or None, got {channels!r}.")
    size = _size(image_size)
    if size is not None and channels is not None:
        return PixelFormat(*size, channels, resize)
    chosen = np.unique(np.linspace(0, len(source) - 1, min(sample, len(source))).astype(int)).tolist()

    def read(place: int) -> tuple[tuple[int, int], bool] | None:
        try:
            image, shape = read_near(source, chosen[place], LARGEST_SIDE)
            return shape, is_grey(image)
        except UnreadableImage:
            return None

    seen = [found for found in _in_order(read, len(chosen), resolve_jobs(jobs)) if found is not None]
    shapes, grey = [shape for shape, _ in seen], [grey for _, grey in seen]
    if not shapes:
        # None of the sample can be read. Reading all says why, image by image.
        return PixelFormat(*(size or (LARGEST_SIDE, LARGEST_SIDE)), channels or 1, resize)
    if channels is None:
        channels = 1 if np.mean(grey) >= 0.95 else 3
    return PixelFormat(*(size or _usual(shapes)), channels, resize)


def read_pixels(source: ImageSource, form: PixelFormat, jobs: int | None = None) -> Collection:
    """All readable images of a source, brought to one format, in the source's order.

    The same whatever ``jobs`` (threads; by default one for each core) is. Images are decoded a few at a time, and
    pixels beyond 2 GiB go to a temporary file, so memory does not grow with the size of the files.
    """
    n = len(source)
    every = [source.name(index) for index in range(n)]
    _require_distinct(every)
    pixels: Pixels = allocate((n, form.height, form.width, form.channels), np.uint8)
    if (rows := _as_they_stand(source, pixels.shape)) is not None:
        for start in range(0, n, BLOCK):
            pixels[start : start + BLOCK] = rows[start : start + BLOCK]
            advance("reading", min(n, start + BLOCK), n)
        shapes = np.tile(np.array([form.height, form.width], np.int32), (n, 1))
        return Collection(pixels, tuple(every), (), shapes, np.arange(n), form.resize)
    names: list[str] = []
    unreadable: list[tuple[str, str]] = []
    shapes = np.empty((n, 2), np.int32)
    indices = np.empty(n, np.int64)

    def read(index: int) -> tuple[NDArray[np.uint8], tuple[int, int]] | str:
        try:
            image, shape = read_near(source, index, max(form.height, form.width))
            return fit_to(image, form), shape
        except UnreadableImage as error:
            return error.reason

    for index, result in enumerate(_in_order(read, n, resolve_jobs(jobs))):
        if isinstance(result, str):
            unreadable.append((every[index], result))
        else:
            row = len(names)
            pixels[row], shapes[row] = result
            indices[row] = index
            names.append(every[index])
        advance("reading", index + 1, n)
    row = len(names)
    return Collection(pixels[:row], tuple(names), tuple(unreadable), shapes[:row], indices[:row], form.resize)


def _as_they_stand(source: ImageSource, shape: tuple[int, ...]) -> Pixels | None:
    """The rows of a source that says it holds nothing but pixels, if they have the shape that is wanted."""
    rows = source.pixels if isinstance(source, HoldsPixels) else None
    fits = isinstance(rows, np.ndarray) and rows.dtype == np.uint8 and rows.shape == shape
    return rows if fits else None


def require_enough(collection: Collection, needed: int = MINIMUM_IMAGES) -> None:
    """Raise ``TooFewImages`` if there are too few images to learn from, with what was found and why."""
    found = len(collection.names)
    if found >= needed:
        return
    broken = collection.unreadable
    reasons = "".join(f"\n  {name}: {reason}" for name, reason in broken[:5])
    more = f"\n  and {len(broken) - 5} more" if len(broken) > 5 else ""
    because = f" {len(broken)} could not be read:{reasons}{more}" if broken else ""
    raise TooFewImages(f"Found {found} readable images; {needed} are needed to learn what is ordinary.{because}")


def fit_to(image: NDArray[np.uint8], form: PixelFormat) -> NDArray[np.uint8]:
    """One image (height, width, 1 or 3) in a format, as uint8 (height, width, channels)."""
    height, width = image.shape[:2]
    if (height, width, image.shape[2]) == (form.height, form.width, form.channels):
        return image
    picture = as_picture(image).convert("L" if form.channels == 1 else "RGB")
    if (height, width) != (form.height, form.width):
        size = (form.width, form.height)
        # BOX down (the mean of what a pixel covers, fast, no ringing), bicubic up.
        down = width >= form.width and height >= form.height
        method = Image.Resampling.BOX if down else Image.Resampling.BICUBIC
        if form.resize == "crop":
            picture = ImageOps.fit(picture, size, method)
        elif form.resize == "pad":
            picture = ImageOps.pad(picture, size, method, color=_rim(picture))
        else:
            picture = picture.resize(size, method)
    return np.asarray(picture, np.uint8).reshape(form.height, form.width, form.channels)


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
            with _one_at_a_time if picture.width * picture.height > HUGE else nullcontext():
                picture.load()
                turn = _orientation(picture)  # asked for now, because Pillow turns a TIFF itself when it loads it
                small = picture if side is None else _reduced(picture, side)
                upright = small if turn == 1 else small.transpose(TURNS[turn])
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
    """Whether an image has no colour to speak of: 99 % of its pixels have channels within ``tolerance``."""
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


def read_near(source: ImageSource, index: int, side: int) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """An image, reduced where the source can, and its true (height, width); whatever goes wrong, it is unreadable.

    A source that can has a method ``read_near``; see ``protocols.ReadsNear``.
    """
    try:
        image, shape = source.read_near(index, side) if isinstance(source, ReadsNear) else (source.read(index), None)
    except UnreadableImage:
        raise
    except MemoryError as error:
        raise UnreadableImage(source.name(index), "too large for this machine's memory") from error
    except Exception as error:  # a source of the user's own may fail in any way; one image never stops a run
        raise UnreadableImage(source.name(index), f"{type(error).__name__}: {error}") from error
    if (not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3
            or image.shape[2] not in (1, 3) or 0 in image.shape):
        got = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise UnreadableImage(source.name(index), f"the source gave {got}, not uint8 (height, width, 1 or 3)")
    return image, shape or (image.shape[0], image.shape[1])


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
    step = factor * max(1, BAND // (factor * width))
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
    return turn if turn in TURNS else 1


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


def _size(image_size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    if image_size is None:
        return None
    pair = tuple(image_size) if isinstance(image_size, Sequence) else (image_size, image_size)
    if len(pair) != 2 or not all(isinstance(s, int | np.integer) and 1 <= s <= 4096 for s in pair):
        raise OptionError(f"image_size must be 1 to 4096 pixels, a number or (height, width), got {image_size!r}.")
    return int(pair[0]), int(pair[1])


def _usual(shapes: list[tuple[int, int]]) -> tuple[int, int]:
    if len(set(shapes)) == 1 and max(shapes[0]) <= LARGEST_SIDE:
        return shapes[0][0], shapes[0][1]
    height, width = np.median(np.array(shapes), axis=0)
    scale = min(1.0, LARGEST_SIDE / max(height, width))
    rounded = [max(SMALLEST_SIDE, 4 * round(float(side) * scale / 4)) for side in (height, width)]
    return rounded[0], rounded[1]


def _rim(picture: Image.Image) -> Any:
    """The mean colour of an image's outermost pixels."""
    array = np.asarray(picture, np.float64)
    rim = np.concatenate([array[0], array[-1], array[:, 0], array[:, -1]])
    mean = rim.mean(0)
    return round(float(mean)) if np.ndim(mean) == 0 else tuple(round(float(v)) for v in mean)


def _in_order(work: Callable[[int], T], n: int, jobs: int) -> Iterator[T]:
    """``work`` of 0..n-1 in order, on ``jobs`` threads, with only a few results waiting at any time."""
    if jobs == 1:
        yield from map(work, range(n))
        return
    with ThreadPoolExecutor(jobs) as pool:
        waiting: deque[Future[T]] = deque()
        try:
            for index in range(n):
                waiting.append(pool.submit(work, index))
                if len(waiting) >= 4 * jobs:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _require_distinct(names: list[str]) -> None:
    if len(set(names)) < len(names):
        name, count = Counter(names).most_common(1)[0]
        raise SourceError(f"The name {name!r} stands for {count} images; each name must be unique, "
                          "for it is the key of the image's score.")
