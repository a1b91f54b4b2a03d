"""One picture in memory, in any form that libraries hand pictures out in, as uint8 pixels."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from oddlens.errors import SourceError, UnreadableImage
from oddlens.reading.decoding import HEAD_BYTES, as_seen, looks_like_image
from oddlens.reading.isolation import decode_within
from oddlens.reading.limits import Limits
from oddlens.sources.array import CHANNELS, pixels_of, require_pictures

NAMES = ("image", "img", "picture", "pixel_values", "jpg", "png")  # of a part that is the image, where several are


def is_pillow(thing: Any) -> bool:
    """Whether a thing is a picture of Pillow."""
    pillow = sys.modules.get("PIL.Image")
    return pillow is not None and isinstance(thing, pillow.Image)


def is_picture(thing: Any) -> bool:
    """Whether a thing is one picture: Pillow's, an array or a tensor of one, an image file's content or its path."""
    if isinstance(thing, bytes | bytearray):
        return looks_like_image(bytes(thing[:HEAD_BYTES]))
    if isinstance(thing, str | os.PathLike):
        return os.path.isfile(thing)  # noqa: PTH113  takes any text
    shape = getattr(thing, "shape", None)
    if hasattr(thing, "__array__") and isinstance(shape, tuple):
        return len(shape) == 2 or (len(shape) == 3 and (shape[0] in CHANNELS or shape[2] in CHANNELS))
    return is_pillow(thing)


def part_of(item: Any, what: str) -> Any:
    """Where the picture is in an item of a data set: None if it is one, else a number or a key within it.

    Of a pair or a longer tuple the first picture counts, as image and label or image and mask are given. Of several
    keys that hold pictures the one that is called like one.
    """
    if is_picture(item):
        return None
    if isinstance(item, Mapping):
        found = [key for key, part in item.items() if is_picture(part)]
        called = [key for key in found if str(key).lower() in NAMES]
        if len(found) == 1 or len(called) == 1:
            return (called or found)[0]
        if found:
            raise SourceError(f"{what} has pictures under {', '.join(map(repr, found))}: give one of them, like "
                              f"[item[{found[0]!r}] for item in data].")
    elif isinstance(item, tuple | list):
        for number, part in enumerate(item):
            if is_picture(part):
                return number
    raise SourceError(f"{what} gives {described(item)}, in which no picture is found. Its items need to be pictures of "
                      "Pillow, arrays or tensors of one picture, or tuples or dicts with one in them.")


def described(item: Any) -> str:
    """What an item is, in a few words."""
    if isinstance(item, Mapping):
        return "a dict of " + ", ".join(f"{key!r}: {described(part)}" for key, part in list(item.items())[:8])
    if isinstance(item, tuple | list) and item:
        return f"a {type(item).__name__} of " + ", ".join(described(part) for part in item[:4])
    shape = getattr(item, "shape", None)
    return type(item).__name__ + ("" if shape is None else f" {tuple(shape)}")


def as_array(thing: Any) -> NDArray[Any] | None:
    """The array behind a picture that is one, of a tensor on another device or with gradients too; else None."""
    if hasattr(thing, "detach"):
        thing = thing.detach().cpu()
    return np.asarray(thing) if hasattr(thing, "__array__") and not is_pillow(thing) else None


def as_pixels(thing: Any, name: str, white: float, limits: Limits) -> NDArray[np.uint8]:
    """A picture as uint8 (height, width, 1 or 3); raises ``UnreadableImage``."""
    if is_pillow(thing):
        return as_seen(thing, name)
    if isinstance(thing, bytes | bytearray | str | os.PathLike):
        data = bytes(thing) if isinstance(thing, bytes | bytearray) else Path(cast("str", thing))
        return decode_within(data, name, None, 0, limits)[0]
    image = as_array(thing)
    if image is None or image.ndim not in (2, 3) or 0 in image.shape:
        raise UnreadableImage(name, f"it is {described(thing)}, not a picture")
    try:
        first = require_pictures(image[None], "It")
    except SourceError as error:
        raise UnreadableImage(name, str(error)) from error
    return pixels_of(image, first, white, name)
