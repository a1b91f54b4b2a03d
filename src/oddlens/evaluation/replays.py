"""Protocol G: a person looks through a collection, replayed with the known labels; on arrays alone.

The same code that re-ranks the review page says which image is looked at next; the truth, or a truth of which some is
turned over, says what the person answers. What is found is counted by the truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oddlens.feedback import Evidence, learn
from oddlens.protocols import Bools
from oddlens.review_outlook import AHEAD, expected, found_share

LOOKS = (20, 50, 100, 200)  # after which the found are counted
EVERY = 5  # looks after which the order is learned anew, and as the page does
LATER, EVERY_LATER = 200, 20  # from so many looks on, only after so many
MOST = 1500  # looks, at most, until enough is said to be found
STOP = 0.8  # the share of all odd images at which a search may end
SPOKEN = (50, 100, 150, 200)  # looks after which what is left among the next is compared with the truth


@dataclass(frozen=True, eq=False)
class Replay:
    """What was found in one replay.

    found:    (k,) how many odd images were found after each look.
    looks:    (k,) the rows that were looked at.
    ahead:    (looks, expected, low, high, truth) of odd images among the next 100, as often as it was asked.
    stopped:  looks and the true share found when 80 % were said to be found; None where they never were.
    """

    found: NDArray[np.int64]
    looks: NDArray[np.int64]
    ahead: tuple[tuple[int, float, int, int, int], ...] = ()
    stopped: tuple[int, float] | None = None

    def at(self, looks: int) -> int:
        """How many were found after so many looks, or after all."""
        return int(self.found[min(looks, len(self.found)) - 1]) if len(self.found) else 0

    def plain(self) -> dict[str, Any]:
        """In values that JSON takes."""
        return {"found": {str(looks): self.at(looks) for looks in LOOKS},
                "curve": [self.at(looks) for looks in range(EVERY, LOOKS[-1] + 1, EVERY)],
                "ahead": [list(one) for one in self.ahead],
                "stopped": None if self.stopped is None else list(self.stopped)}


def unlabelled(evidence: Evidence, odd: Bools) -> Replay:
    """The unlabelled order, looked through from the top."""
    order = np.argsort(-evidence.scores, kind="stable")[: LOOKS[-1]]
    return Replay(np.cumsum(odd[order]), order)


def with_feedback(
    evidence: Evidence, odd: Bools, wrong: float = 0.0, seed: int = 0, *, to_the_end: bool = False
) -> Replay:
    """The order learned anew every few looks.

    wrong:       the share of answers that are turned over, drawn once for each image.
    to_the_end:  go on until 80 % are said to be found, and compare what was said to be left with the truth.
    """
    answers = odd ^ (np.random.default_rng(seed).random(len(odd)) < wrong)
    labels: dict[int, bool] = {}
    ahead: list[tuple[int, float, int, int, int]] = []
    stopped = None
    total, most = int(odd.sum()), min(MOST if to_the_end else LOOKS[-1], len(odd))
    while len(labels) < most and (len(labels) < LOOKS[-1] or stopped is None):
        lesson = learn(evidence, labels)
        unseen = lesson.unseen
        if to_the_end and len(labels) in SPOKEN:
            rows = unseen[:AHEAD]
            count = expected(lesson, rows)
            ahead.append((len(labels), round(count.value, 2), count.low, count.high, int(odd[rows].sum())))
        for row in unseen[: EVERY if len(labels) < LATER else EVERY_LATER]:
            labels[int(row)] = bool(answers[row])
        if to_the_end and stopped is None:
            looked = np.fromiter(labels, np.intp, len(labels))
            if found_share(np.fromiter(labels.values(), bool, len(labels)), len(odd)) >= STOP:
                stopped = (len(labels), round(float(odd[looked].sum() / total), 4))
    looks = np.fromiter(labels, np.int64, len(labels))
    return Replay(np.cumsum(odd[looks]), looks, tuple(ahead), stopped)
