"""The contract of a source of images, a check for each sentence of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oddlens.errors import UnreadableImage
from oddlens.protocols import HoldsPixels, ImageSource, InFolder, ReadsNear, Skips
from oddlens.testing.asking import ask, require_methods


def check_source(source: ImageSource) -> None:
    """Raise ``ContractError`` if a source of images does not hold to the contract. It is read whole several times."""
    for check in SOURCE_CHECKS:
        check(source)


def source_has_the_methods(source: ImageSource) -> None:
    """It has ``__len__``, ``name`` and ``read``, and holds an image or more."""
    require_methods(source, ("__len__", "name", "read"))
    ask(len(source) > 0, source, "__len__", "one image or more to try it on", "0")


def source_names_are_keys(source: ImageSource) -> None:
    """Names are text that can be written, unique, and the same each time."""
    names = [source.name(index) for index in range(len(source))]
    for name in names:
        ask(isinstance(name, str) and bool(name), source, "name", "a text", repr(name))
        ask(name == name.encode("utf-8", "replace").decode(), source, "name", "a text that UTF-8 can write", repr(name))
    twice = sorted({name for name in names if names.count(name) > 1})
    ask(not twice, source, "name", "another name for each image", f"{twice[:1]} more than once")
    again = [source.name(index) for index in range(len(source))]
    ask(names == again, source, "name", "the same names each time", "others the second time")


def source_gives_pixels(source: ImageSource) -> None:
    """``read`` gives uint8 (height, width, 1 or 3), or raises ``UnreadableImage``."""
    for index in range(len(source)):
        image = readable(source, index)
        if image is not None:
            require_pixels(source, "read", image)


def source_reads_the_same_again(source: ImageSource) -> None:
    """An image is the same however often it is read, in whatever order and from several threads at once."""
    forth = [readable(source, index) for index in range(len(source))]
    back = [readable(source, index) for index in reversed(range(len(source)))][::-1]
    with ThreadPoolExecutor(4) as pool:
        threads = list(pool.map(lambda index: readable(source, index), [*range(len(source))] * 3))
    for how, images in (("read the other way round", back), ("read from four threads at once", threads)):
        for number, image in enumerate(images):
            first = forth[number % len(forth)]
            same = image is None if first is None else image is not None and np.array_equal(first, image)
            ask(same, source, "read", "the same image for the same number", f"another for {number % len(forth)} {how}")


def source_reads_near(source: ImageSource) -> None:
    """Where it has ``read_near``, that gives an image with enough pixels left, and the size of the whole."""
    if not isinstance(source, ReadsNear):
        return
    for index in range(len(source)):
        whole = readable(source, index)
        if whole is None:
            continue
        height, width = whole.shape[:2]
        for side in (1, 8, 4 * max(height, width)):
            image, shape = source.read_near(index, side)
            require_pixels(source, "read_near", image)
            ask(tuple(shape) == (height, width), source, "read_near", f"the size of the whole, {(height, width)}",
                 repr(shape))
            ask(min(image.shape[:2]) >= min(side, height, width), source, "read_near",
                 f"{side} pixels or more left on the shorter side of {(height, width)}", repr(image.shape[:2]))


def source_tells_the_rest(source: ImageSource) -> None:
    """Where it has ``root``, ``skipped`` or ``pixels``, they are what ``protocols.py`` says."""
    if isinstance(source, InFolder):
        ask(source.root is None or (isinstance(source.root, Path) and source.root.is_dir()), source, "root",
             "the Path of a folder, or None", repr(source.root))
    if isinstance(source, Skips):
        ask(isinstance(source.skipped, int) and source.skipped >= 0, source, "skipped", "a number of files, 0 or more",
             repr(source.skipped))
    if isinstance(source, HoldsPixels) and source.pixels is not None:
        same = all((image := readable(source, index)) is not None and np.array_equal(source.pixels[index], image)
                   for index in range(len(source)))
        ask(len(source.pixels) == len(source) and same, source, "pixels", "all images as read gives them", "others")


def readable(source: ImageSource, index: int) -> NDArray[np.uint8] | None:
    """The image, or None where the source says that it cannot be read."""
    try:
        return source.read(index)
    except UnreadableImage:
        return None
    except Exception as error:
        ask(False, source, "read", "an image or UnreadableImage", f"{type(error).__name__}: {error}")
        raise


def require_pixels(source: ImageSource, method: str, image: Any) -> None:
    """Ask for uint8 (height, width, 1 or 3)."""
    sound = (isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] in (1, 3)
             and image.size > 0)
    got = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
    ask(sound, source, method, "uint8 (height, width, 1 or 3)", got)


SOURCE_CHECKS = (
    source_has_the_methods, source_names_are_keys, source_gives_pixels, source_reads_the_same_again,
    source_reads_near, source_tells_the_rest)
