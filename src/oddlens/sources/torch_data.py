"""PyTorch's data sets: ``Dataset``, ``Subset``, ``DataLoader``, torchvision's ``ImageFolder``.

torch is looked for among what is imported, never imported: an object of its classes cannot be there without it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from oddlens.errors import SourceError
from oddlens.protocols import ImageSource
from oddlens.reading.limits import Limits
from oddlens.sources.image_files import FileSource, with_pages
from oddlens.sources.items import ItemSource


def open_torch_data(images: Any, limits: Limits | None = None) -> ImageSource | None:
    """A data set of PyTorch as a source; None for anything else.

    Of a ``DataLoader`` the data set behind it counts, in its own order. Of torchvision's folders the files are read as
    they are, without transforms: those are for training, and may give another picture each time.
    """
    data = sys.modules.get("torch.utils.data")
    if data is None:
        return None
    loader = images if isinstance(images, data.DataLoader) else None
    images = images if loader is None else loader.dataset
    if isinstance(images, data.IterableDataset):
        raise SourceError(f"A {type(images).__name__} gives its images once, in whatever order, and images need "
                          "numbers that stay. Give list(data_set) if it fits into memory, or the files that it reads.")
    if not isinstance(images, data.Dataset) and loader is None:
        return None
    numbers = None if loader is None else _sampled(loader)
    while isinstance(images, data.Subset):
        inner = images.indices
        numbers = list(inner) if numbers is None else [inner[number] for number in numbers]
        images = images.dataset
    files = _files(images, numbers, limits)
    return ItemSource(images, numbers, limits) if files is None else files


def _sampled(loader: Any) -> Sequence[int] | None:
    """Which items a loader goes through, in the order of the data set, each once; None: all."""
    indices = getattr(loader.sampler, "indices", None)  # SubsetRandomSampler's
    return None if indices is None else sorted({int(index) for index in indices})


def _files(images: Any, numbers: Sequence[int] | None, limits: Limits | None) -> FileSource | None:
    """The files of torchvision's ``ImageFolder`` and the like, named by their paths in it; else None."""
    samples, root = getattr(images, "samples", None), getattr(images, "root", None)
    loader = getattr(getattr(images, "loader", None), "__module__", "")
    if not samples or root is None or not str(loader).startswith("torchvision."):
        return None
    chosen = samples if numbers is None else [samples[number] for number in numbers]
    paths = [Path(path) for path, *_ in chosen]
    top = Path(root)
    return with_pages(paths, [path.relative_to(top).as_posix() for path in paths], top, limits=limits)
