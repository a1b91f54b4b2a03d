"""Several sources as one: folders, archives, tables and files that are given together."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from oddlens.protocols import ImageSource, InFolder, InFolders, PassesOver, ReadsNear, Stamped
from oddlens.reading.limits import Limits
from oddlens.sources.image_files import FileSource, distinct

TWICE = "files named twice"


class JoinedSource:
    """The images of several sources, one source after the other.

    Each is named by the text that its source was given by, and its name there.
    """

    root: Path | None = None

    def __init__(self, parts: Sequence[tuple[str, ImageSource]]) -> None:
        self.parts = [source for _, source in parts]
        self._ends = list(accumulate(len(source) for source in self.parts))
        self._names = distinct([_joined(given, source.name(index)) for given, source in parts
                                for index in range(len(source))])
        self.passed_over = dict(_passed_over(self.parts))

    @property
    def skipped(self) -> int:
        """How much was passed over."""
        return sum(self.passed_over.values())

    @property
    def folders(self) -> set[Path]:
        """Every folder that images lie in; results are never written there."""
        return set(_folders(self.parts))

    def __len__(self) -> int:
        return self._ends[-1]

    def name(self, index: int) -> str:
        """The name of the image."""
        return self._names[index]

    def place(self, index: int) -> tuple[ImageSource, int]:
        """The source that an image is in, and its number there."""
        number = bisect_right(self._ends, index)
        return self.parts[number], index - (self._ends[number - 1] if number else 0)

    def stamp(self, index: int) -> tuple[str | int, ...]:
        """What its source goes by; of one that has none, another each time, so that the image is read again."""
        source, number = self.place(index)
        return source.stamp(number) if isinstance(source, Stamped) else (uuid4().hex,)

    def read(self, index: int) -> NDArray[np.uint8]:
        """The image at full size."""
        source, number = self.place(index)
        return source.read(number)

    def read_near(self, index: int, side: int) -> tuple[NDArray[np.uint8], tuple[int, int]]:
        """The image, reduced where its source can, and its (height, width)."""
        source, number = self.place(index)
        if isinstance(source, ReadsNear):
            return source.read_near(number, side)
        image = source.read(number)
        return image, (image.shape[0], image.shape[1])


def join(parts: Sequence[tuple[str, ImageSource]], limits: Limits | None = None) -> ImageSource:
    """Several sources as one, each with what it was given as; of files alone one of files, with none of them twice."""
    if not all(isinstance(source, FileSource) for _, source in parts):
        return JoinedSource(parts)
    files: dict[tuple[Path, int], str] = {}
    passed_over = _passed_over([source for _, source in parts])
    for given, source in parts:
        assert isinstance(source, FileSource)  # noqa: S101  asked above
        for index, path in enumerate(source.paths):
            if (path.absolute(), source.page(index)) in files:
                passed_over[TWICE] += 1
            else:
                files[path.absolute(), source.page(index)] = _joined(given, source.name(index))
    return FileSource([path for path, _ in files], list(files.values()), None, passed_over,
                      [page for _, page in files], limits)


def _joined(given: str, name: str) -> str:
    base = given.rstrip("/").rpartition("/")[2]
    if base and name.partition("#")[0] == base:  # a frame of the file that was given
        return given + name[len(base) :]
    return f"{given.rstrip('/')}/{name}" if given else name


def _passed_over(sources: Sequence[ImageSource]) -> Counter[str]:
    return sum((Counter(dict(source.passed_over)) for source in sources if isinstance(source, PassesOver)), Counter())


def _folders(sources: Sequence[ImageSource]) -> Iterator[Path]:
    for source in sources:
        if isinstance(source, InFolder) and source.root is not None:
            yield source.root
        if isinstance(source, InFolders):
            yield from source.folders
