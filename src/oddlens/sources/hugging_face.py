"""Data sets of Hugging Face's ``datasets``, with a column of images.

The library is looked for among what is imported, never imported: an object of its classes cannot be there without it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from oddlens.errors import SourceError
from oddlens.protocols import ImageSource
from oddlens.reading.limits import Limits
from oddlens.sources.encoded import EncodedSource, numbered, stored_names
from oddlens.sources.image_files import with_pages
from oddlens.sources.items import ItemSource


def open_hugging_face(images: Any, column: str | None = None, limits: Limits | None = None) -> ImageSource | None:
    """A ``Dataset``, or the only split of a ``DatasetDict``, as a source; None for anything else.

    Images are decoded here from the bytes or files that the column holds, as they are in a folder. They are named by
    the paths that they were stored with, or where these are missing or not distinct by their numbers.
    """
    library: Any = sys.modules.get("datasets")
    if not hasattr(library, "DatasetDict"):
        return None
    if isinstance(images, library.DatasetDict | library.IterableDatasetDict):
        if len(images) != 1:
            raise SourceError(f"The {type(images).__name__} has the splits {', '.join(map(repr, images))}: give one, "
                              f"like data[{next(iter(images), 'train')!r}].")
        images = next(iter(images.values()))
    if isinstance(images, library.IterableDataset):
        raise SourceError("An IterableDataset gives its images once, in order. Load it with streaming=False, or give "
                          "a part that fits into memory: list(data.take(1000)).")
    if not isinstance(images, library.Dataset):
        return None
    column = _column(images, library, column)
    if not isinstance(images.features[column], library.Image):
        kind = getattr(images.features[column], "dtype", None)  # numpy's format knows integers of one width only
        return ItemSource(images.select_columns([column]).with_format("numpy", dtype=kind), limits=limits)
    stored = images.with_format(None).select_columns([column]).cast_column(column, library.Image(decode=False))
    paths = list(stored.flatten()[f"{column}.path"])
    if paths and all(path and Path(path).is_absolute() for path in paths):  # those of load_dataset("imagefolder")
        return with_pages([Path(path) for path in paths], paths, limits=limits)

    def fetch(number: int) -> bytes | Path:
        image = stored[number][column]
        return bytes(image["bytes"]) if image["bytes"] is not None else Path(image["path"])

    return EncodedSource(stored_names(paths) or numbered(len(paths)), fetch, limits)


def _column(images: Any, library: Any, column: str | None) -> str:
    """The column of images, as named or as the only one."""
    if column is not None:
        if column not in images.column_names:
            raise SourceError(f"The data set has no column {column!r}; it has {', '.join(images.column_names)}.")
        return column
    kinds = (library.Image, library.Array2D, library.Array3D)
    found: list[str] = [name for name, feature in images.features.items() if isinstance(feature, kinds)]
    if len(found) == 1:
        return found[0]
    if found:
        raise SourceError(f"The data set has images in {', '.join(found)}: name one of these columns, "
                          f"open_source(data, column={found[0]!r}).")
    raise SourceError(f"The data set has no column of images among {', '.join(images.column_names)}: load it with the "
                      "feature Image, or give the paths in a column, rank(data[\"path\"]).")
