"""From files of any kind to uint8 pixels of one size: decode, orient, convert, resize.

An image that cannot be read is listed with its reason; it never stops the run and never disappears.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from oddlens.arrays import allocate
from oddlens.errors import OptionError, SourceError, TooFewImages, UnreadableImage
from oddlens.kernels import resolve_jobs
from oddlens.progress import advance
from oddlens.protocols import Encoder, HoldsPixels, ImageSource, Pixels, ReadsNear, SeesDetail, SeesTexture
from oddlens.reading.array_files import RowsInFile
from oddlens.reading.decoding import as_picture, is_grey
from oddlens.reading.texture import measures, texture_of
from oddlens.threads import in_order

MINIMUM_IMAGES = 10  # images; fewer do not say what is ordinary
BLOCK = 4096  # rows of an array that are copied at a time
LARGEST_SIDE = 64  # pixels of the longer side, where the size is taken from the images
SMALLEST_SIDE = 8
DETAIL_ABOVE = 96  # pixels of the longer side: of images with more a second, larger copy is read,
DETAIL_SIDE = 128  # with so many
MOST_MEASURED = 4096  # pixels of the longer side at which texture is measured
RESIZES = ("squash", "pad", "crop")


@dataclass(frozen=True)
class PixelFormat:
    """The one size that all images of a collection are brought to.

    height, width:  in pixels.
    channels:       1 (grey) or 3 (RGB).
    resize:         how an image of another shape meets that size.
    detail:         the (height, width) of a second, larger copy, for encoders that see fine detail; None: none.
    texture:        the (height, width) at which the texture is measured, as a rule the images' own; None: it is not.

    "squash" (the default) scales each axis on its own: nothing is cut off and nothing is added, so an anomaly at the
    rim stays in and no added border can look like one; the price is a changed aspect ratio. "pad" keeps the aspect
    ratio and fills up with the mean of the image's rim; "crop" keeps it too and cuts the longer axis about
    the centre.
    """

    height: int
    width: int
    channels: int
    resize: str = "squash"
    detail: tuple[int, int] | None = None
    texture: tuple[int, int] | None = None


@dataclass(frozen=True, eq=False)
class Copies:
    """The same images as different encoders see them.

    pixels:   (n, height, width, channels) uint8.
    detail:   (n, larger height, larger width, channels) uint8; None: as ``pixels``.
    texture:  (n, rows, columns, measures) uint8, as ``reading.texture`` measures them; None: as ``pixels``.
    """

    pixels: Pixels
    detail: Pixels | None = None
    texture: Pixels | None = None

    def seen_by(self, encoder: Encoder) -> Pixels:
        """What an encoder is shown."""
        if sees_texture(encoder) and self.texture is not None:
            return self.texture
        return self.detail if sees_detail(encoder) and self.detail is not None else self.pixels

    @property
    def parts(self) -> tuple[Pixels, ...]:
        """All that must be the same for two images to be: in the most detail that there is."""
        finest = self.pixels if self.detail is None else self.detail
        return (finest,) if self.texture is None else (finest, self.texture)

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, rows: slice | NDArray[np.intp]) -> Copies:
        return Copies(self.pixels[rows], None if self.detail is None else self.detail[rows],
                      None if self.texture is None else self.texture[rows])


def sees_detail(encoder: Encoder) -> bool:
    """Whether an encoder takes the larger copy."""
    return isinstance(encoder, SeesDetail) and encoder.sees_detail


def sees_texture(encoder: Encoder) -> bool:
    """Whether an encoder takes what was measured of the texture."""
    return isinstance(encoder, SeesTexture) and encoder.sees_texture


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
    detail:      (n, larger height, larger width, channels) uint8, the same images in more detail; None: as they are.
    texture:     (n, rows, columns, measures) uint8, their texture; None: it was not measured.
    measured_at: the (height, width) at which the texture was measured; None: it was not.
    """

    pixels: Pixels
    names: tuple[str, ...]
    unreadable: tuple[tuple[str, str], ...]
    shapes: NDArray[np.int32]
    indices: NDArray[np.int64]
    resize: str = "squash"
    seconds: float = 0.0
    detail: Pixels | None = None
    texture: Pixels | None = None
    measured_at: tuple[int, int] | None = None

    def __len__(self) -> int:
        return len(self.names)

    @property
    def copies(self) -> Copies:
        """The images as encoders see them."""
        return Copies(self.pixels, self.detail, self.texture)

    def only(self, rows: slice | NDArray[np.intp], unreadable: tuple[tuple[str, str], ...] = ()) -> Collection:
        """Some of the images, and what is to be listed beside them as unreadable."""
        names = self.names[rows] if isinstance(rows, slice) else tuple(self.names[row] for row in rows)
        copies = self.copies[rows]
        return replace(self, pixels=copies.pixels, detail=copies.detail, texture=copies.texture, names=names,
                       unreadable=unreadable, shapes=self.shapes[rows], indices=self.indices[rows])

    @property
    def format(self) -> PixelFormat:
        """The size that the images were brought to."""
        height, width, channels = self.pixels.shape[1:]
        detail = None if self.detail is None else (self.detail.shape[1], self.detail.shape[2])
        return PixelFormat(height, width, channels, self.resize, detail, self.measured_at)


def look(
    source: ImageSource,
    image_size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    resize: str = "squash",
    sample: int = 256,
    jobs: int | None = 1,
    detail: int | None = 0,
    texture: bool = False,
    detail_side: int = DETAIL_SIDE,
) -> PixelFormat:
    """The format that suits a source, found from ``sample`` images spread over it.

    Size: where all of them share one shape of at most 64 pixels a side, that shape, but no side below 8; otherwise
    their median height and width, scaled to 64 pixels on the longer side and rounded to multiples of 4. Channels: 1
    where at least 95 % of them are grey in content, whatever their mode, and 3 otherwise. ``image_size`` and
    ``channels`` are taken instead where given; ``image_size`` is one number for a square or (height, width). ``jobs``
    is as in ``read_pixels``, and changes nothing but the time. ``detail`` is the longer side of the larger copy, in
    pixels; None: 128, where the images' longer side is above 96 in the median, or up to ``detail_side`` where they have
    as many; 0: no copy. With ``texture`` that of images as large is measured too, at their median size, at most 4,096
    pixels on the longer side.
    """
    if resize not in RESIZES:
        raise OptionError.unknown("resize", resize, RESIZES)
    if channels not in (None, 1, 3):
        raise OptionError(f"channels must be 1 (grey), 3 (colour) or None, got {channels!r}.")
    size = _size(image_size)
    if detail is not None and (not isinstance(detail, int | np.integer) or not (detail == 0 or 32 <= detail <= 1024)):
        raise OptionError(f"detail must be 32 to 1024 pixels, 0 or None, got {detail!r}.")
    if size is not None and channels is not None and detail == 0 and not texture:
        return PixelFormat(*size, channels, resize)
    chosen = np.unique(np.linspace(0, len(source) - 1, min(sample, len(source))).astype(int)).tolist()

    def read(place: int) -> tuple[tuple[int, int], bool] | None:
        try:
            image, shape = read_near(source, chosen[place], LARGEST_SIDE)
            return shape, is_grey(image)
        except UnreadableImage:
            return None

    seen = [found for found in in_order(read, len(chosen), resolve_jobs(jobs)) if found is not None]
    shapes, grey = [shape for shape, _ in seen], [grey for _, grey in seen]
    if not shapes:
        # None of the sample can be read. Reading all says why, image by image.
        return PixelFormat(*(size or (LARGEST_SIDE, LARGEST_SIDE)), channels or 1, resize)
    if channels is None:
        channels = 1 if np.mean(grey) >= 0.95 else 3
    return PixelFormat(*(size or _usual(shapes)), channels, resize, _detailed(shapes, detail, detail_side),
                       _measured(shapes) if texture else None)


def read_pixels(source: ImageSource, form: PixelFormat, jobs: int | None = None) -> Collection:
    """All readable images of a source, brought to one format, in the source's order.

    The same whatever ``jobs`` (threads; by default one for each core) is. Images are decoded a few at a time, and
    pixels beyond 512 MiB go to a temporary file, so memory does not grow with the size of the files.
    """
    n = len(source)
    every = [source.name(index) for index in range(n)]
    require_distinct(every)
    pixels: Pixels = allocate((n, form.height, form.width, form.channels), np.uint8)
    detail = None if form.detail is None else allocate((n, *form.detail, form.channels), np.uint8)
    texture = None if form.texture is None else allocate((n, *measures(*form.texture, form.channels)), np.uint8)
    if detail is None and texture is None and (rows := _as_they_stand(source, pixels.shape)) is not None:
        for start in range(0, n, BLOCK):
            pixels[start : start + BLOCK] = rows[start : start + BLOCK]
            advance("reading", min(n, start + BLOCK), n)
        shapes = np.tile(np.array([form.height, form.width], np.int32), (n, 1))
        return Collection(pixels, tuple(every), (), shapes, np.arange(n), form.resize)
    names: list[str] = []
    unreadable: list[tuple[str, str]] = []
    shapes = np.empty((n, 2), np.int32)
    indices = np.empty(n, np.int64)

    finer, finest = (None if size is None else PixelFormat(*size, form.channels, form.resize)
                     for size in (form.detail, form.texture))
    side = max(form.height, form.width, *(form.detail or ()), *(form.texture or ()))

    def read(index: int) -> tuple[tuple[Pixels | None, ...], tuple[int, int]] | str:
        try:
            image, shape = read_near(source, index, side)
            return (fit_to(image, form), None if finer is None else fit_to(image, finer),
                    None if finest is None else texture_of(fit_to(image, finest))), shape
        except UnreadableImage as error:
            return error.reason

    for index, result in enumerate(in_order(read, n, resolve_jobs(jobs))):
        if isinstance(result, str):
            unreadable.append((every[index], result))
        else:
            row = len(names)
            copies, shapes[row] = result
            for kept, copy in zip((pixels, detail, texture), copies, strict=True):
                if kept is not None and copy is not None:
                    kept[row] = copy
            indices[row] = index
            names.append(every[index])
        advance("reading", index + 1, n)
    row = len(names)
    return Collection(pixels[:row], tuple(names), tuple(unreadable), shapes[:row], indices[:row], form.resize,
                      detail=None if detail is None else detail[:row],
                      texture=None if texture is None else texture[:row], measured_at=form.texture)


def _as_they_stand(source: ImageSource, shape: tuple[int, ...]) -> Pixels | None:
    """The rows of a source that says it holds nothing but pixels, if they have the shape that is wanted."""
    rows = source.pixels if isinstance(source, HoldsPixels) else None
    fits = isinstance(rows, np.ndarray | RowsInFile) and rows.dtype == np.uint8 and rows.shape == shape
    return rows if fits else None


def nothing_of(
    form: PixelFormat, names: tuple[str, ...], unreadable: tuple[tuple[str, str], ...], shapes: NDArray[np.int32],
    indices: NDArray[np.int64],
) -> Collection:
    """What is known of images beside their pixels, which are not kept."""
    detail = None if form.detail is None else np.empty((0, *form.detail, form.channels), np.uint8)
    return Collection(np.empty((0, form.height, form.width, form.channels), np.uint8), names, unreadable, shapes,
                      indices, form.resize, detail=detail, measured_at=form.texture)


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
    picture, mode = as_picture(image), "L" if form.channels == 1 else "RGB"
    if picture.mode != mode:  # else it would be copied
        picture = picture.convert(mode)
    if (height, width) != (form.height, form.width):
        size = (form.width, form.height)
        # BOX down (the mean of what a pixel covers, fast, no ringing), bicubic up.
        down = width >= form.width and height >= form.height
        method = Image.Resampling.BOX if down else Image.Resampling.BICUBIC
        if form.resize == "crop":
            picture = ImageOps.fit(picture, size, method)
        elif form.resize == "pad":
            picture = _padded(picture, size, method)
        else:
            picture = picture.resize(size, method)
    return np.asarray(picture, np.uint8).reshape(form.height, form.width, form.channels)


def reduced(pixels: Pixels, side: int) -> Pixels:
    """(n, height, width, channels) images with at most ``side`` pixels on the longer side, averaged.

    The shorter side of a panorama is not reduced below 8 pixels: encoders need as many.
    """
    height, width, channels = pixels.shape[1:]
    if max(height, width) <= side:
        return pixels
    rows, columns = (min(size, scaled) for size, scaled in zip((height, width), _scaled(height, width, side),
                                                              strict=True))
    form = PixelFormat(rows, columns, channels)
    smaller: Pixels = allocate((len(pixels), form.height, form.width, channels), np.uint8)
    for row, image in enumerate(pixels):
        smaller[row] = fit_to(image, form)
    return smaller


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


def _size(image_size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    if image_size is None:
        return None
    pair = tuple(image_size) if isinstance(image_size, Sequence) else (image_size, image_size)
    if len(pair) != 2 or not all(isinstance(s, int | np.integer) and 1 <= s <= 4096 for s in pair):
        raise OptionError(f"image_size must be 1 to 4096 pixels, a number or (height, width), got {image_size!r}.")
    return int(pair[0]), int(pair[1])


def _usual(shapes: list[tuple[int, int]]) -> tuple[int, int]:
    if len(set(shapes)) == 1 and max(shapes[0]) <= LARGEST_SIDE:
        return max(SMALLEST_SIDE, shapes[0][0]), max(SMALLEST_SIDE, shapes[0][1])
    height, width = np.median(np.array(shapes), axis=0)
    scale = min(1.0, LARGEST_SIDE / max(height, width))
    rounded = [max(SMALLEST_SIDE, 4 * round(float(side) * scale / 4)) for side in (height, width)]
    return rounded[0], rounded[1]


def _detailed(shapes: list[tuple[int, int]], wanted: int | None, most: int) -> tuple[int, int] | None:
    """The size of the larger copy: of the images' median shape, its longer side as wanted."""
    height, width = np.median(np.array(shapes), axis=0)
    if wanted == 0 or (wanted is None and max(height, width) <= DETAIL_ABOVE):
        return None
    return _scaled(height, width, wanted or max(DETAIL_SIDE, min(most, int(max(height, width)))))


def _measured(shapes: list[tuple[int, int]]) -> tuple[int, int] | None:
    """The size at which texture is measured: the median one, where there is detail that the usual copy lacks."""
    height, width = np.median(np.array(shapes), axis=0)
    if max(height, width) <= DETAIL_ABOVE:
        return None
    return _scaled(height, width, min(max(height, width), MOST_MEASURED))


def _scaled(height: float, width: float, side: float) -> tuple[int, int]:
    """(height, width) in whole pixels with so many on the longer side, none below the smallest."""
    scale = side / max(height, width)
    return max(SMALLEST_SIDE, round(float(height) * scale)), max(SMALLEST_SIDE, round(float(width) * scale))


def _padded(picture: Image.Image, size: tuple[int, int], method: Image.Resampling) -> Image.Image:
    """An image at its own aspect ratio in the middle of one that is filled with the mean of its rim.

    As ``ImageOps.pad``, which before Pillow 13 fails where the shorter side would round to nothing.
    """
    width, height = size
    if picture.width * height > width * picture.height:
        inner = width, max(1, round(picture.height / picture.width * width))
    else:
        inner = max(1, round(picture.width / picture.height * height)), height
    whole = Image.new(picture.mode, size, _rim(picture))
    whole.paste(picture.resize(inner, method), (round((width - inner[0]) / 2), round((height - inner[1]) / 2)))
    return whole


def _rim(picture: Image.Image) -> Any:
    """The mean colour of an image's outermost pixels."""
    array = np.asarray(picture, np.float64)
    rim = np.concatenate([array[0], array[-1], array[:, 0], array[:, -1]])
    mean = rim.mean(0)
    return round(float(mean)) if np.ndim(mean) == 0 else tuple(round(float(v)) for v in mean)


def require_distinct(names: list[str]) -> None:
    if len(set(names)) < len(names):
        name, count = Counter(names).most_common(1)[0]
        raise SourceError(f"The name {name!r} stands for {count} images; each name must be unique, "
                          "for it is the key of the image's score.")
