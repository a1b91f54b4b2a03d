"""What a review reads of a run, as columns that are mapped, not loaded: ``columns.safetensors``.

The tables that people read hold the same and more, but a table is read whole or not at all, and of a million images a
page shows fifty. So a run also has its names, ranks, scores and decisions, what is said of copies, where the images are
and what labels teach by, each as one array. What is there is known by the digests of the tables that it was made with.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from oddlens.errors import SavedModelError
from oddlens.mapped_arrays import mapped_arrays, write_arrays
from oddlens.protocols import Doubles, State
from oddlens.provenance import KINDS, Origin, Provenance
from oddlens.ranking import Ranking
from oddlens.texts import Places, Texts, Words, coded, sorting

if TYPE_CHECKING:
    from oddlens.feedback import Evidence

FORMAT = "1"
TEXT = ("/starts", "/content")  # what the two arrays of many texts are called by
_NUMBERS = {"place": np.int64, "size": np.int64, "modified": np.int64, "height": np.int32, "width": np.int32}


@dataclass(frozen=True, eq=False)
class RunColumns:
    """What is known of the images of a run, row by row.

    ranking:     names, scores and decisions, with the ranks as ``places`` and "group" as its one measure.
    provenance:  where the images came from.
    row_of:      name -> row.
    ranks:       view -> (n,) the rank that it gives each image.
    duplicates:  (n,) the number of an image's group of copies and near duplicates, from 1; 0: it has none.
    titles:      view -> what it is called in words.
    score, surprisal: of ``feedback.Evidence``: (n,) without labels, (n, views); without rows where there is no model.
    tables:      the digests of the tables that hold the same.
    """

    ranking: Ranking
    provenance: Provenance
    row_of: Mapping[str, int]
    ranks: Mapping[str, NDArray[np.int32]]
    duplicates: NDArray[np.int32]
    titles: Mapping[str, str] = field(default_factory=dict)
    score: Doubles = field(default_factory=lambda: np.empty(0))
    surprisal: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))
    tables: Sequence[str] = ()


def write_columns(
    path: str | Path, ranking: Ranking, provenance: Provenance, duplicates: Sequence[Sequence[int]],
    tables: Sequence[str], evidence: Evidence | None = None, titles: Mapping[str, str] | None = None,
) -> None:
    """Write what a review reads of a run.

    duplicates:  groups of copies and near duplicates, as rows.
    tables:      the digests of the tables that hold the same.
    evidence:    what labels teach by, where there is a model; its features are the model's own, which are not written
                 twice.
    titles:      view -> what it is called in words.
    """
    n = len(ranking)
    group = np.zeros(n, np.int32)
    for number, rows in enumerate(duplicates, start=1):
        group[list(rows)] = number
    kin = ranking.measures.get("group")
    parts: dict[str, NDArray[Any]] = {
        "rank": ranking.ranks().astype(np.int32), "score": ranking.scores, "duplicates": group,
        "group": kin.astype(np.int32) if isinstance(kin, np.ndarray) else np.full(n, -1, np.int32)}
    if ranking.p_values is not None:
        parts["p_value"] = ranking.p_values
    if ranking.flagged is not None:
        parts["flagged"] = ranking.flagged
    for number, column in enumerate(ranking.members):
        parts[f"rank/{number}"] = ranking.ranks(column).astype(np.int32)
    if evidence is not None:
        parts |= {"evidence/score": evidence.scores, "evidence/surprisal": evidence.members.astype(np.float32)}
    words: dict[str, Sequence[str]] = {}
    names = Texts.of(ranking.names)
    parts |= {"names/starts": names.starts, "names/content": names.content,
              "names/order": sorting(names).astype(np.int32)}
    if ranking.causes is not None:
        _put(parts, words, "causes", ranking.causes)
    _put_origins(parts, words, provenance.origins)
    facts = {"format": FORMAT, "images": str(n), "tables": " ".join(tables), "words": json.dumps(words),
             "views": json.dumps(list(ranking.members)), "titles": json.dumps(dict(titles or {}))}
    write_arrays(path, {name: array if name.endswith(TEXT) else _shortest(array) for name, array in parts.items()},
                 facts)


def read_columns(path: str | Path, unreadable: tuple[tuple[str, str], ...] = ()) -> RunColumns:
    """Open what ``write_columns`` wrote; raises ``SavedModelError`` for a file that is damaged or is none."""
    arrays, facts = mapped_arrays(path)
    try:
        if facts["format"] != FORMAT:
            raise ValueError(f"its format is {facts['format']!r}")
        n = int(facts["images"])
        found = _Read(arrays, {key: tuple(map(str, value)) for key, value in json.loads(facts["words"]).items()}, n)
        views = [str(view) for view in json.loads(facts["views"])]
        names = Texts(arrays["names/starts"], arrays["names/content"])
        if len(names) != n:
            raise ValueError(f"it has {len(names)} names of {n} images")
        scores, rank = found.column("score", np.float64), found.column("rank", np.int32)
        if not np.isfinite(scores).all() or (n and not (rank.min() == 1 and rank.max() == n)):
            raise ValueError("its scores or ranks are none")
        ranking = Ranking(
            names, scores, {}, unreadable,
            found.column("p_value", np.float64) if "p_value" in arrays else None,
            found.column("flagged", np.bool_) if "flagged" in arrays else None,
            found.texts("causes") if found.has("causes") else None, {"group": found.column("group", np.int32)},
            places=rank)
        score = found.column("evidence/score", np.float64) if "evidence/score" in arrays else np.empty(0)
        surprisal = np.empty((0, 0), np.float32)
        if len(score):
            surprisal = found.column("evidence/surprisal", np.float32, *arrays["evidence/surprisal"].shape[1:2])
        return RunColumns(
            ranking, Provenance(names, found.origins()), Places(names, found.column("names/order", np.int32)),
            {view: found.column(f"rank/{number}", np.int32) for number, view in enumerate(views)},
            found.column("duplicates", np.int32),
            {str(view): str(title) for view, title in json.loads(facts["titles"]).items()}, score, surprisal,
            facts["tables"].split())
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError, SavedModelError) as error:
        raise SavedModelError(f"{path} does not hold the columns of a run: {error}. Rank the images anew.") from error


class Origins(Sequence[Origin]):
    """Where the images came from, each put together when it is asked for."""

    def __init__(
        self, kinds: NDArray[np.uint8], roots: Sequence[str], withins: Sequence[str], joined: NDArray[np.bool_],
        numbers: Mapping[str, NDArray[Any]], digests: NDArray[np.uint8], hashed: NDArray[np.bool_],
    ) -> None:
        self.kinds, self.roots, self.withins, self.joined = kinds, roots, withins, joined
        self.numbers, self.digests, self.hashed = numbers, digests, hashed

    def __len__(self) -> int:
        return len(self.kinds)

    @overload
    def __getitem__(self, at: int) -> Origin: ...

    @overload
    def __getitem__(self, at: slice) -> tuple[Origin, ...]: ...

    def __getitem__(self, at: int | slice) -> Origin | tuple[Origin, ...]:
        if isinstance(at, slice):
            return tuple(self[row] for row in range(*at.indices(len(self))))
        within = self.withins[at]
        numbers = {name: int(column[at]) for name, column in self.numbers.items()}
        return Origin(KINDS[self.kinds[at]], self.roots[at] + within * bool(self.joined[at]), within,
                      sha256=self.digests[at].tobytes().hex() if self.hashed[at] else "", **numbers)


def _put_origins(parts: State, words: dict[str, Sequence[str]], origins: Sequence[Origin]) -> None:
    """The columns of where images came from. A path that ends in the place within the folder is kept as its start."""
    n = len(origins)
    joined = np.fromiter((origin.path.endswith(origin.within) for origin in origins), np.bool_, n)
    _put(parts, words, "root", [origin.path[: len(origin.path) - len(origin.within)] if whole else origin.path
                                for origin, whole in zip(origins, joined.tolist(), strict=True)])
    _put(parts, words, "within", [origin.within for origin in origins])
    code = {kind: number for number, kind in enumerate(KINDS)}
    parts |= {"kind": np.fromiter((code[origin.kind] for origin in origins), np.uint8, n), "joined": joined,
              "hashed": np.fromiter((bool(origin.sha256) for origin in origins), np.bool_, n),
              "sha256": np.frombuffer(b"".join(bytes.fromhex(origin.sha256 or "00" * 32) for origin in origins),
                                      np.uint8).reshape(n, 32)}
    parts |= {name: np.fromiter((getattr(origin, name) for origin in origins), kind, n)
              for name, kind in _NUMBERS.items()}


def _put(parts: State, words: dict[str, Sequence[str]], name: str, texts: Sequence[str]) -> None:
    """A column of texts, in the way that takes less room."""
    found = coded(texts)
    if isinstance(found, Words):
        parts[f"{name}/codes"], words[name] = found.codes, found.words
    else:
        parts |= {f"{name}/starts": found.starts, f"{name}/content": found.content}


def _shortest(array: NDArray[Any]) -> NDArray[Any]:
    """A column as one row where all are the same."""
    return array[:1] if len(array) > 1 and (array == array[:1]).all() else array


@dataclass(frozen=True, eq=False)
class _Read:
    """The arrays of a file, checked as they are taken."""

    arrays: State
    words: Mapping[str, tuple[str, ...]]
    count: int

    def has(self, name: str) -> bool:
        return name in self.words or f"{name}/starts" in self.arrays

    def column(self, name: str, kind: Any, *shape: int) -> NDArray[Any]:
        array = self.arrays[name]
        if array.dtype != kind or array.shape[1:] != shape or len(array) not in (self.count, min(1, self.count)):
            raise ValueError(f"{name} is {array.dtype} {array.shape}")
        return np.broadcast_to(array, (self.count, *shape)) if len(array) != self.count else array

    def texts(self, name: str) -> Texts | Words:
        if name in self.words:
            words = self.words[name]
            return Words(self.column(f"{name}/codes", np.min_scalar_type(max(len(words) - 1, 0))), words)
        found = Texts(self.arrays[f"{name}/starts"], self.arrays[f"{name}/content"])
        if len(found) != self.count:
            raise ValueError(f"{name} has {len(found)} texts")
        return found

    def origins(self) -> Origins:
        kinds = self.column("kind", np.uint8)
        numbers = {name: self.column(name, kind) for name, kind in _NUMBERS.items()}
        roots, withins = self.texts("root"), self.texts("within")
        if len(kinds) and (kinds.max() >= len(KINDS) or min(
                numbers[name].min() for name in ("place", "height", "width")) < 0):
            raise ValueError("its images come from nowhere that there is")
        if any("\0" in word for text in (roots, withins) if isinstance(text, Words) for word in text.words) or any(
                (text.content == 0).any() for text in (roots, withins) if isinstance(text, Texts)):
            raise ValueError("a path holds a character that no path has")
        return Origins(kinds, roots, withins, self.column("joined", np.bool_), numbers,
                       self.column("sha256", np.uint8, 32), self.column("hashed", np.bool_))
