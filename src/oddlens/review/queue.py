"""What a person is shown next: the strangest images that nobody looked at, by all that was said so far.

After every few labels everything is ranked anew, in a thread of its own, so that no click waits for it. What was said
lies in the ``LabelStore``; here it is counted, row by row, and turned into an order.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from oddlens.errors import SavedModelError
from oddlens.protocols import Bools
from oddlens.review.labels import LabelStore, Said
from oddlens.review.opened_run import OpenedRun
from oddlens.statement import Reviewed
from oddlens.texts import Texts

if TYPE_CHECKING:
    from oddlens.feedback import Lesson

EVERY = 5  # labels after which all images are ranked anew
CODES = {"": 0, "odd": 1, "normal": 2, "skip": 3}
KIN = 100  # nearest images that a label is said to have moved
MOVED = 0.2  # share of its place that an image must move for it to be said


@dataclass(frozen=True)
class Filter:
    """Which images are asked for.

    cause:  the short name of a simple cause, "duplicates", or "" for all.
    label:  "" for those that nobody labelled, a label, or "any".
    text:   what the name contains, whatever the case.
    """

    cause: str = ""
    label: str = ""
    text: str = ""

    @property
    def narrows(self) -> bool:
        """Whether it leaves anything out beside what was labelled."""
        return bool(self.cause or self.label or self.text)


@dataclass(frozen=True)
class Progress:
    """How far a review is.

    looked, found:  images that were called odd or normal, and odd.
    skipped:        images that were left undecided.
    curve:          (looked, found) after each label, in the order in which they were given.
    outlook:        what may be left; None where nothing was called odd or normal.
    """

    looked: int
    found: int
    skipped: int
    curve: tuple[tuple[int, int], ...]
    outlook: Reviewed | None


@dataclass(frozen=True)
class Learned:
    """What the last lesson changed.

    number:    how many lessons there were.
    labels:    from how many labels.
    name:      the image that was labelled last,
    odd:       what it was called,
    moved:     and how many like it moved up, or down if it was called normal.
    """

    number: int
    labels: int
    name: str
    odd: bool
    moved: int


class Queue:
    """The order of the images of a run, kept up to date with what is said.

    every:  labels after which it is ranked anew.
    """

    def __init__(self, run: OpenedRun, store: LabelStore, every: int = EVERY) -> None:
        self.run, self.store, self.every = run, store, every
        self.codes = np.zeros(len(run), np.int8)
        self._duplicate = run.columns.duplicates > 0
        self._named: tuple[str, Bools] | None = None  # what was searched for last, and whose names have it
        self._changed = threading.Condition()
        self._count = -1  # lines of the history that what follows is made of
        self._placed: list[tuple[int, Said]] = []  # what was said last of each image of the run, the oldest first
        self._stopped = False
        self.learned: Learned | None = None
        self._made: tuple[tuple[int, int], Reviewed] | None = None
        self._lesson: Lesson | None = None
        self._order = run.ranking.order()
        self.refresh()
        if not run.many:
            self._begin()
        self._thread = threading.Thread(target=self._keep_learning, daemon=True, name="oddlens-lessons")
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join()

    @property
    def order(self) -> NDArray[np.intp]:
        """All rows, the one to be looked at first first."""
        return self._order

    @property
    def lesson(self) -> Lesson | None:
        """What was learned last; None as long as the first lesson on many images takes."""
        return self._lesson

    def refresh(self) -> None:
        """Take in what was said since, by anybody.

        The store is asked before the queue is locked: who holds the store may be waiting for the queue.
        """
        count, current = self.store.snapshot()
        if count == self._count:
            return
        standing = sorted(((row, said) for said in current.values()
                           if (row := self.run.row_of.get(said.name)) is not None), key=lambda pair: pair[1].number)
        codes = np.zeros(len(self.run), np.int8)
        for row, said in standing:
            codes[row] = CODES.get(said.label, 0)
        with self._changed:
            if count > self._count:  # else another took in more meanwhile
                self._count, self._placed, self.codes = count, standing, codes
                self._changed.notify_all()

    def said(self) -> dict[int, bool]:
        """Row -> True (odd) or False (normal), in the order in which it was said."""
        return {row: said.label == "odd" for row, said in self._placed if said.label != "skip"}

    def matching(self, asked: Filter, others: Collection[str] = ()) -> NDArray[np.intp]:
        """The rows that a filter asks for, in order; those left out that others have before them."""
        codes = self.codes
        wanted = np.ones(len(self.run), np.bool_) if asked.label == "any" else codes == CODES.get(asked.label, 0)
        if asked.cause:
            wanted &= (self._duplicate if asked.cause == "duplicates" else
                       self.run.causes.get(asked.cause, np.zeros(len(self.run), np.bool_)))
        if asked.text:
            wanted &= self._having(asked.text)
        for name in others:
            row = self.run.row_of.get(name)
            if row is not None:
                wanted[row] = False
        order = self._order
        found: NDArray[np.intp] = order[wanted[order]]
        return found

    def _having(self, text: str) -> Bools:
        """(n,) whose names have a text, whatever the case."""
        named = self._named
        if named is None or named[0] != text:
            names = self.run.ranking.names
            named = self._named = text, (names if isinstance(names, Texts) else Texts.of(names)).containing(text)
        return named[1]

    def place(self, row: int) -> int:
        """The place of a row in the order as it is now, from 1."""
        return int(np.flatnonzero(self._order == row)[0]) + 1

    def progress(self) -> Progress:
        """How far the review is and what may be left."""
        said = [one for _, one in self._placed]
        decided = [one.label == "odd" for one in said if one.label != "skip"]
        curve, found = [(0, 0)], 0
        for looked, odd in enumerate(decided, start=1):
            found += odd
            curve.append((looked, found))
        return Progress(len(decided), found, len(said) - len(decided), tuple(curve), self._outlook(decided))

    def _outlook(self, decided: Sequence[bool]) -> Reviewed | None:
        """What may be left among the images that come next, by the last lesson and what was said until now."""
        lesson = self._lesson
        if not decided or lesson is None:
            return None
        from oddlens.review_outlook import AHEAD, expected, found_share, worth

        made = self._count, id(lesson)
        if self._made is None or self._made[0] != made:
            waiting = self.matching(Filter())
            ahead = waiting[:AHEAD]
            left = expected(lesson, ahead)
            self._made = made, Reviewed(len(decided), sum(decided), len(ahead), left.value, left.low, left.high,
                                        worth(lesson, waiting), found_share(np.array(decided), len(self.run)))
        return self._made[1]

    def _keep_learning(self) -> None:
        if self._lesson is None:
            self.run.complete()
            try:
                self._begin()
            except SavedModelError as error:
                self.run.fault = error
                return
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or self._due())
                if self._stopped:
                    return
            self._learn()

    def _due(self) -> bool:
        """Whether enough was said, or taken back, since the last lesson."""
        before, now = {} if self._lesson is None else self._lesson.labels, self.said()
        changed = sum(before.get(row) != odd for row, odd in now.items()) + sum(row not in now for row in before)
        return changed >= self.every

    def _begin(self) -> None:
        """The first lesson: of what was said before, or of nothing."""
        if self.said():
            self._learn()
        else:
            from oddlens.feedback import learn

            self._lesson = learn(self.run.evidence, {})

    def _learn(self) -> None:
        from oddlens.feedback import learn

        said = self.said()
        lesson = learn(self.run.evidence, said)
        order = np.argsort(-lesson.scores, kind="stable")
        learned = self._moved(said, order)
        with self._changed:
            self._lesson, self._order, self.learned = lesson, order, learned

    def _moved(self, said: dict[int, bool], order: NDArray[np.intp]) -> Learned | None:
        """What a lesson changed for the images like the one that was labelled last."""
        if not said:
            return None
        number = 1 if self.learned is None else self.learned.number + 1
        row = next(reversed(said))
        before, after = _places(self._order), _places(order)
        kin = [other for other in self.run.likeness.nearest(row, KIN) if other not in said]
        odd = said[row]
        change: NDArray[Any] = (before - after)[kin] if odd else (after - before)[kin]
        moved = int((change > MOVED * (before[kin] + 1)).sum())
        return Learned(number, len(said), self.run.ranking.names[row], odd, moved)


def _places(order: NDArray[np.intp]) -> NDArray[np.intp]:
    """(n,) each row's place in an order, from 0."""
    places = np.empty(len(order), np.intp)
    places[order] = np.arange(len(order))
    return places
