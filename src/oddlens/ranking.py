"""The result: one row an image, in the order in which the images were given.

``Ranking`` is what a run ends in and what everything that shows results reads: the table files, the contact
sheet, the report. It holds no pixels.
"""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from oddlens import csv_text
from oddlens.errors import MissingExtra, OptionError, SavedModelError
from oddlens.files import open_regular, write_atomically
from oddlens.notebook import Card, cards
from oddlens.protocols import Bools, Doubles

SHOWN = 10  # images that a notebook shows


@dataclass(frozen=True)
class RankedImage:
    """One image's place in a ranking."""

    rank: int  # 1 is the strangest
    index: int  # its place in ``Ranking.names``
    name: str
    score: float  # larger is stranger
    members: Mapping[str, float]  # detector name -> its own score
    p_value: float | None = None  # the share of ordinary images that would score as high
    flagged: bool | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Ranking:
    """How strange each image is, in input order.

    ``ranking[0]`` is the strangest image, ``ranking[:10]`` a ranking of the ten strangest, in that order; to go through
    it is to go from the strangest on.

    names:       (n,) the readable images' names.
    scores:      (n,) float64, larger is stranger, no fixed range.
    members:     detector name -> (n,) float64, what each detector said on its own.
    unreadable:  (name, reason) for each image that could not be read; they have no row.
    p_values:    (n,) float64, the share of ordinary images that would score at least so high, if decided; of a model
                 fitted to n images never below 1 in 10 n, for they tell of no greater rarity.
    flagged:     (n,) bool, which images are called odd at the stated rate, if decided.
    causes:      (n,) what names a simple cause of each image's oddness, like "blurred, dark"; empty where none does.
    measures:    name -> (n,) float64 or text, what was found of each image besides: columns of the table, no scores.
    paths:       (n,) of the images' files, where they lie in files of their own.
    places:      (n,) of a part of a ranking, the images' ranks in the whole.
    thumbnails:  name -> a data URI, for a notebook; of images in files each is made when it is asked for.

    >>> ranking = Ranking(("a.png", "b.png"), np.array([0.5, 2.0]))
    >>> [image.name for image in ranking.top(1)]
    ['b.png']
    """

    names: Sequence[str]
    scores: Doubles
    members: Mapping[str, Doubles] = field(default_factory=dict)
    unreadable: tuple[tuple[str, str], ...] = ()
    p_values: Doubles | None = None
    flagged: Bools | None = None
    causes: Sequence[str] | None = None
    measures: Mapping[str, NDArray[Any] | tuple[str, ...]] = field(default_factory=dict)
    paths: tuple[str, ...] | None = None
    places: NDArray[np.integer[Any]] | None = None
    thumbnails: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        decided = {"p_values": self.p_values, "flagged": self.flagged, "causes": self.causes, "paths": self.paths,
                   "places": self.places}
        given = {label: column for label, column in decided.items() if column is not None}
        for label, column in {"scores": self.scores, **self.members, **given, **self.measures}.items():
            shape = column.shape if isinstance(column, np.ndarray) else (len(column),)
            if shape != (len(self.names),):
                raise OptionError(f"{label} has shape {shape}; there are {len(self.names)} names.")

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[RankedImage]:
        return iter(self.top(len(self)))

    @overload
    def __getitem__(self, at: int) -> RankedImage: ...

    @overload
    def __getitem__(self, at: slice) -> Ranking: ...

    def __getitem__(self, at: int | slice) -> RankedImage | Ranking:
        if isinstance(at, slice):
            return self._part(self.order()[at])
        return self.image(int(self.order()[at]))

    def __repr__(self) -> str:
        first = ", ".join(f"{image.name!r} {image.score:.4g}" for image in self.top(3))
        return f"<Ranking: {self._counted()} The strangest: {first}{', ...' if len(self) > 3 else ''}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the 10 strangest images, the flagged ones marked."""
        shown = [Card(image.name, self._said(image), self.thumbnails.get(image.name, ""), bool(image.flagged))
                 for image in self.top(SHOWN)]
        more = f" The {SHOWN} strangest:" if len(self) > SHOWN else ""
        return cards(self._counted() + more, shown)

    def order(self, by: str | None = None) -> np.ndarray[Any, np.dtype[np.intp]]:
        """Indices from the strangest to the most ordinary, by the score or by one detector's own.

        Equal scores keep the order in which the images were given.
        """
        return np.argsort(-self._column(by), kind="stable")

    def ranks(self, by: str | None = None) -> NDArray[np.integer[Any]]:
        """(n,) each image's rank; 1 is the strangest."""
        if by is None and self.places is not None:
            return self.places
        ranks = np.empty(len(self), dtype=np.intp)
        ranks[self.order(by)] = np.arange(1, len(self) + 1)
        return ranks

    def top(self, k: int = 20, by: str | None = None) -> list[RankedImage]:
        """The k strangest images, the strangest first; all of them if there are fewer than k."""
        if k < 0:
            raise OptionError(f"top takes a number of images of 0 or more, got {k}.")
        ranks = self._overall if by is None else self.ranks(by)
        return [self._image(int(ranks[i]), int(i)) for i in self.order(by)[:k]]

    def bottom(self, k: int = 20, by: str | None = None) -> list[RankedImage]:
        """The k most ordinary images, the most ordinary first."""
        ranks = self._overall if by is None else self.ranks(by)
        return [self._image(int(ranks[i]), int(i)) for i in self.order(by)[::-1][:k]]

    def image(self, index: int) -> RankedImage:
        """The image in a row of the ranking."""
        return self._image(int(self._overall[index]), index)

    def rows(self) -> Iterator[dict[str, Any]]:
        """One dictionary an image, in input order: the columns of the table files."""
        ranks = self.ranks()
        for i, name in enumerate(self.names):
            decided: dict[str, Any] = {}
            if self.p_values is not None:
                decided["p_value"] = float(self.p_values[i])
            if self.flagged is not None:
                decided["flagged"] = bool(self.flagged[i])
            if self.causes is not None:
                decided["causes"] = self.causes[i]
            others = {key: column[i] if isinstance(column, tuple) else float(column[i])
                      for key, column in {**self.members, **self.measures}.items()}
            yield {"name": name, "rank": int(ranks[i]), "score": float(self.scores[i]), **decided, **others}

    def to_csv(self, path: str | Path) -> None:
        """Write the table as CSV (UTF-8, one line an image, numbers to their last digit).

        All text stands in quotes, as it is: a name that begins with =, +, - or @ is not changed, so that it can be
        found again. A spreadsheet may still take such a cell for a formula: import the column as text. Control
        characters are written as their escapes.
        """
        rows = ([tame(value) if isinstance(value, str) else value for value in row.values()] for row in self.rows())
        write_atomically(path, csv_text.written(chain([list(self._columns())], rows)))

    @classmethod
    def from_csv(
        cls, path: str | Path, members: Collection[str] = (), unreadable: tuple[tuple[str, str], ...] = (),
        measures: Collection[str] | None = None,
    ) -> Ranking:
        """Read back what ``to_csv`` wrote; which columns are detectors' own scores the file does not say.

        Raises ``SavedModelError`` for a file that is no such table. Other columns of numbers, and of text, become
        ``measures``: all, or those that are named.
        """
        decided = {"name", "score", "p_value", "flagged", "causes"}

        def wanted(column: str) -> bool:
            return column in decided or column in members or (measures is None and column != "rank") or column in (
                measures or ())

        try:
            read = csv_text.columns(lambda: open_regular(path), {"name", "flagged", "causes"}, wanted)
            names, scores = read.pop("name"), np.asarray(read.pop("score"), np.float64)
            if not np.isfinite(scores).all() or len(set(names)) < len(names):
                raise ValueError("a score is no number, or two images have one name")
            p_values, flagged, causes = (read.pop(column, None) for column in ("p_value", "flagged", "causes"))
            own = {name: column for name, column in read.items() if name in members and isinstance(column, np.ndarray)}
            return cls(tuple(names), scores, own, unreadable,
                       None if p_values is None else np.asarray(p_values, np.float64),
                       None if flagged is None else np.array([cell == "True" for cell in flagged], np.bool_),
                       None if causes is None else tuple(causes),
                       {name: column for name, column in read.items() if name not in own})
        except (OSError, ValueError, KeyError, csv.Error, OptionError) as error:
            raise SavedModelError(f"{path} is not the table of a run: {error}. Rank the images anew.") from error

    def to_parquet(self, path: str | Path) -> None:
        """Write the table as Parquet, with the same columns as the CSV file."""
        import pyarrow
        from pyarrow import parquet

        buffer = io.BytesIO()
        columns = {key: list(map(tame, column)) if isinstance(column, list) else column
                   for key, column in self._columns().items()}
        parquet.write_table(pyarrow.table(columns), buffer)
        write_atomically(path, [buffer.getbuffer()])

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The table by rank, to any library that takes Arrow's: ``polars.DataFrame(ranking)``."""
        import pyarrow

        return pyarrow.table(self._by_rank()).__arrow_c_stream__(requested_schema)

    def to_pandas(self) -> Any:
        """The table as a pandas DataFrame, the strangest first, with paths where they are known.

        Needs ``oddlens[pandas]``.
        """
        try:
            import pandas
        except ImportError as error:
            raise MissingExtra.named("pandas", "pandas", "Ranking.to_pandas") from error
        return pandas.DataFrame(self._by_rank())

    def plot(self, axes: Any = None) -> Any:
        """A histogram of the scores, those of flagged images in a colour of their own; needs ``oddlens[plot]``.

        axes:  of matplotlib, to draw on; by default new ones, which are given back.
        """
        try:
            from matplotlib import pyplot
        except ImportError as error:
            raise MissingExtra.named("matplotlib", "plot", "Ranking.plot") from error
        axes = pyplot.subplots(figsize=(7, 3), layout="constrained")[1] if axes is None else axes
        flagged = np.zeros(len(self), bool) if self.flagged is None else self.flagged
        bins = np.histogram_bin_edges(self.scores, min(60, max(10, len(self) // 20)))
        axes.hist(self.scores[~flagged], bins, color="tab:gray", label="not flagged")
        if flagged.any():
            axes.hist(self.scores[flagged], bins, color="tab:red", label="flagged")
        axes.set(yscale="log", xlabel="score, larger is stranger", ylabel="images")
        axes.legend()
        return axes

    @cached_property
    def _overall(self) -> NDArray[np.integer[Any]]:
        """The ranks by the score, found once however many single images are asked for."""
        return self.ranks()

    def _by_rank(self) -> dict[str, Any]:
        """The columns, with paths where these are known, the strangest image first."""
        columns = self._columns()
        if self.paths is not None:
            columns = {"name": columns.pop("name"), "path": list(self.paths), **columns}
        order = self.order()
        return {key: [column[i] for i in order] if isinstance(column, list) else np.asarray(column)[order]
                for key, column in columns.items()}

    def _part(self, rows: NDArray[np.intp]) -> Ranking:
        """The ranking of some of its images, which keep their ranks."""

        def some(column: Any) -> Any:
            if isinstance(column, tuple):
                return tuple(column[i] for i in rows)
            return None if column is None else column[rows]

        names = some(self.names)
        return Ranking(
            names, some(self.scores), {key: some(column) for key, column in self.members.items()}, (),
            some(self.p_values), some(self.flagged), some(self.causes),
            {key: some(column) for key, column in self.measures.items()}, some(self.paths), self._overall[rows],
            self.thumbnails)

    def _counted(self) -> str:
        """How many images there are, in words."""
        flagged = "" if self.flagged is None else f", {int(self.flagged.sum()):,} flagged"
        unreadable = f", {len(self.unreadable):,} more that cannot be read" if self.unreadable else ""
        return f"{len(self):,} image{'' if len(self) == 1 else 's'}{flagged}{unreadable}."

    def _said(self, image: RankedImage) -> list[str]:
        """What a notebook says of an image."""
        causes = self.causes[image.index] if self.causes else ""
        rarity = "" if image.p_value is None else f"p {image.p_value:.2g}"
        return [line for line in (f"rank {image.rank:,}", f"score {image.score:.4g}", rarity, causes) if line]

    def _columns(self) -> dict[str, Any]:
        decided = {"p_value": self.p_values, "flagged": self.flagged,
                   "causes": None if self.causes is None else list(self.causes)}
        return {"name": list(self.names), "rank": self.ranks(), "score": self.scores,
                **{key: column for key, column in decided.items() if column is not None},
                **self.members,
                **{key: list(column) if isinstance(column, tuple) else column for key, column in self.measures.items()}}

    def _column(self, by: str | None) -> Doubles:
        if by is None:
            return self.scores
        if by not in self.members:
            raise OptionError.unknown("column", by, self.members)
        return self.members[by]

    def _image(self, rank: int, i: int) -> RankedImage:
        members = {key: float(column[i]) for key, column in self.members.items()}
        return RankedImage(rank, i, self.names[i], float(self.scores[i]), members,
                           None if self.p_values is None else float(self.p_values[i]),
                           None if self.flagged is None else bool(self.flagged[i]))


def tame(text: str) -> str:
    """Text without control characters, which are shown as their escapes: they could drive a terminal."""
    if text.isprintable():
        return text
    return "".join(c.encode("unicode_escape").decode() if unicodedata.category(c) == "Cc" else c for c in text)
