"""What people said of the images of a run: ``review.sqlite``, a history to which lines are only added.

A label holds from the moment it is confirmed, whatever ends after. Taking one back is a line of its own, so who said
what, when and beside which ranking stays known. Several processes may write: SQLite's write-ahead log keeps them apart,
and an image that one person has before them is leased, so that nobody else is handed it.

The file may come from a stranger with the run: it is used only if it holds our tables and nothing else.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

from oddlens.errors import OptionError, SavedModelError
from oddlens.files import read_regular
from oddlens.ranking import tame

Label: TypeAlias = Literal["odd", "normal", "skip"]
LABELS: tuple[Label, ...] = ("odd", "normal", "skip")
LEASE_SECONDS = 600  # that an image stays with the one it was handed to
WAIT_SECONDS = 30  # for another process that writes
LONGEST_PERSON = 60  # characters of a person's name
MOST_IN_A_STROKE = 2000  # images that are labelled at once

_SCHEMA = """
CREATE TABLE label (
  id INTEGER PRIMARY KEY, stroke INTEGER NOT NULL, at TEXT NOT NULL, who TEXT NOT NULL, session TEXT NOT NULL,
  name TEXT NOT NULL, sha256 TEXT NOT NULL, label TEXT NOT NULL, ranking TEXT NOT NULL, undoes INTEGER);
CREATE TABLE lease (name TEXT PRIMARY KEY, session TEXT NOT NULL, who TEXT NOT NULL, until REAL NOT NULL);
CREATE TABLE person (session TEXT PRIMARY KEY, who TEXT NOT NULL);
CREATE INDEX label_session ON label(session);
CREATE TRIGGER label_stays BEFORE UPDATE ON label BEGIN SELECT RAISE(ABORT, 'labels are only added'); END;
CREATE TRIGGER label_is_kept BEFORE DELETE ON label BEGIN SELECT RAISE(ABORT, 'labels are only added'); END;
"""


@dataclass(frozen=True)
class Said:
    """One line of the history.

    label:    "odd", "normal", "skip" or "undo".
    name:     of the image.
    sha256:   of the image as it was ranked, so that a label is not taken for one of another picture of that name.
    who, at:  the person, and when, UTC.
    ranking:  which ranking it was said beside.
    """

    number: int
    stroke: int
    at: str
    who: str
    session: str
    name: str
    sha256: str
    label: str
    ranking: str
    undoes: int | None


class LabelStore:
    """The labels in one file; made where there is none. Threads may share it."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lock = threading.RLock()
        self._standing: dict[str, list[Said]] = {}
        self._seen = 0
        for name in (self.path.name, *(self.path.name + suffix for suffix in ("-wal", "-shm", "-journal"))):
            place = self.path.with_name(name)
            if place.is_symlink() or (place.exists() and not place.is_file()):
                raise SavedModelError(f"{place} is not a file: labels are kept in files of their own. Move it away.")
        try:
            self._base = sqlite3.connect(self.path, timeout=WAIT_SECONDS, isolation_level=None,
                                         check_same_thread=False)
            self._prepare()
        except sqlite3.Error as error:
            self.close()
            raise SavedModelError(f"{self.path} cannot be used: {error}. If it is damaged, move it away to begin "
                                  "anew.") from error
        except SavedModelError:
            self.close()
            raise

    def _prepare(self) -> None:
        """Make the tables where there are none, and refuse all but ours."""
        self._base.execute("PRAGMA trusted_schema = OFF")
        self._base.execute("PRAGMA journal_mode = WAL")
        self._base.execute("PRAGMA synchronous = FULL")  # what was confirmed outlasts a power cut
        with self._writing():
            if not _schema(self._base):
                for statement in _statements():
                    self._base.execute(statement)
        if _schema(self._base) != _wanted():
            raise SavedModelError(f"{self.path} holds other tables than the labels of a review. Move it away to begin "
                                  "anew.")
        self.refresh()

    def close(self) -> None:
        """Let go of the file; what was said is in it."""
        with self._lock:
            if hasattr(self, "_base"):
                self._base.close()

    def say(
        self, names: Sequence[str], label: str, *, who: str, session: str, ranking: str = "",
        digests: Mapping[str, str] | None = None,
    ) -> None:
        """Label images, all in one stroke, which one undo takes back. It is on the disk when this returns."""
        if label not in LABELS:
            raise OptionError.unknown("label", label, LABELS)
        if not names or len(names) > MOST_IN_A_STROKE:
            raise OptionError(f"One stroke labels 1 to {MOST_IN_A_STROKE} images, got {len(names)}.")
        with self._writing():
            stroke, at = self._next_stroke(), _now()
            self._base.executemany(
                _INSERT, [(stroke, at, person(who), session, name, (digests or {}).get(name, ""), label, ranking, None)
                          for name in dict.fromkeys(names)])
            self._base.executemany("DELETE FROM lease WHERE name = ? AND session = ?",
                                   [(name, session) for name in names])
        self.refresh()

    def undo(self, session: str, *, who: str, ranking: str = "") -> list[str]:
        """Take back the last stroke of a session that stands; the names of its images, none where there is none."""
        with self._writing():
            found = self._base.execute(
                "SELECT stroke FROM label WHERE session = ? AND undoes IS NULL AND id NOT IN "
                "(SELECT undoes FROM label WHERE session = ? AND undoes IS NOT NULL) ORDER BY id DESC LIMIT 1",
                (session, session)).fetchone()
            if found is None:
                return []
            taken = self._base.execute("SELECT id, name, sha256 FROM label WHERE stroke = ? ORDER BY id",
                                       found).fetchall()
            stroke, at = self._next_stroke(), _now()
            self._base.executemany(_INSERT, [(stroke, at, person(who), session, name, sha256, "undo", ranking, number)
                                             for number, name, sha256 in taken])
        self.refresh()
        return [name for _, name, _ in taken]

    def refresh(self) -> int:
        """Take in what was said since, here or in another process; how many lines there are."""
        with self._lock:
            for values in self._base.execute("SELECT * FROM label WHERE id > ? ORDER BY id", (self._seen,)):
                said = Said(*values)
                standing = self._standing.setdefault(said.name, [])
                if said.label == "undo":
                    standing[:] = [one for one in standing if one.number != said.undoes]
                else:
                    standing.append(said)
                self._seen = said.number
            return self._seen

    def current(self) -> dict[str, Said]:
        """Name -> what was said of it last and not taken back."""
        with self._lock:
            return {name: standing[-1] for name, standing in self._standing.items() if standing}

    def snapshot(self) -> tuple[int, dict[str, Said]]:
        """How many lines there are by now, and what holds after these."""
        with self._lock:
            return self.refresh(), self.current()

    def history(self) -> Iterator[Said]:
        """Every line, the oldest first."""
        with self._lock:
            lines = self._base.execute("SELECT * FROM label ORDER BY id").fetchall()
        return (Said(*values) for values in lines)

    def hand_out(
        self, session: str, who: str, choose: Callable[[Collection[str]], list[str]],
        seconds: float = LEASE_SECONDS,
    ) -> list[str]:
        """Images for one session alone: what ``choose`` takes, given the names that others have before them.

        It returns what a session had before. No other process chooses meanwhile.
        """
        with self._writing():
            self.refresh()
            now = time.time()
            others = {name for name, owner, until in self._base.execute("SELECT name, session, until FROM lease")
                      if owner != session and until > now}
            chosen = choose(others)
            self._base.execute("DELETE FROM lease WHERE session = ? OR until <= ?", (session, now))
            leased = [(name, session, person(who), now + seconds) for name in chosen if name not in others]
            self._base.executemany("INSERT OR REPLACE INTO lease VALUES (?, ?, ?, ?)", leased)
        return chosen

    def holders(self, session: str) -> dict[str, str]:
        """Name -> who else has the image before them."""
        with self._lock:
            return dict(self._base.execute("SELECT name, who FROM lease WHERE session != ? AND until > ?",
                                           (session, time.time())).fetchall())

    def called(self, session: str) -> str | None:
        """The person's name of a session, once it was given."""
        with self._lock:
            found = self._base.execute("SELECT who FROM person WHERE session = ?", (session,)).fetchone()
        return None if found is None else str(found[0])

    def call(self, session: str, who: str) -> None:
        """Give a session a person's name."""
        with self._writing():
            self._base.execute("INSERT OR REPLACE INTO person VALUES (?, ?)", (session, person(who)))

    def _next_stroke(self) -> int:
        return int(self._base.execute("SELECT coalesce(max(stroke), 0) + 1 FROM label").fetchone()[0])

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction, all or nothing."""
        with self._lock:
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._base.execute("ROLLBACK")
                raise
            self._base.execute("COMMIT")


def said_in(path: str | Path) -> dict[str, str]:
    """Name -> "odd" or "normal", in the order in which it was said, of the labels in a file, if it is there."""
    path = Path(path)
    if not path.exists():
        return {}
    if not os.access(path.parent, os.W_OK):  # SQLite writes beside what it reads: in a place of its own then
        with tempfile.TemporaryDirectory(prefix="oddlens-") as place:
            for file in (path, path.with_name(f"{path.name}-wal")):
                if file.exists():
                    (Path(place) / file.name).write_bytes(read_regular(file))
            return said_in(Path(place) / path.name)
    store = LabelStore(path)
    try:
        standing = sorted(store.current().values(), key=lambda said: said.number)
    finally:
        store.close()
    return {said.name: said.label for said in standing if said.label != "skip"}


def person(name: str) -> str:
    """A person's name as it is kept: one line, not long; "someone" where there is none."""
    return tame(" ".join(name.encode("utf-8", "replace").decode().split()))[:LONGEST_PERSON] or "someone"


_INSERT = ("INSERT INTO label (stroke, at, who, session, name, sha256, label, ranking, undoes) "
           "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _statements() -> list[str]:
    """The schema's statements, one each: a trigger holds a semicolon of its own."""
    found, begun = [], ""
    for line in _SCHEMA.strip().splitlines():
        begun = f"{begun}\n{line}" if begun else line
        if sqlite3.complete_statement(begun):
            found.append(begun)
            begun = ""
    return found


def _schema(base: sqlite3.Connection) -> set[Any]:
    return {(kind, name, sql) for kind, name, sql in base.execute("SELECT type, name, sql FROM sqlite_master")}


def _wanted() -> set[Any]:
    base = sqlite3.connect(":memory:")
    try:
        for statement in _statements():
            base.execute(statement)
        return _schema(base)
    finally:
        base.close()
