"""What a run can detect and what it cannot, estimated without labels.

Synthetic anomalies are made from the collection's own images and injected among the others; a fresh model is fitted to
the mixture without knowing of them, and it is counted how many come out on top. This says nothing about anomalies of
other kinds, and real ones may be harder or easier; but a model that misses most of what was injected will miss similar
ones. Then the ranking is made again with another seed, and from each half of the collection for the other: ranks that
change there mean little.

Emmott, Das, Dietterich, Fern, Wong, *Systematic construction of anomaly detection benchmarks from real data*, 2013
(injected anomalies); Meinshausen, Bühlmann, *Stability selection*, 2010 (agreement between halves).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, spearmanr

from oddlens.errors import OptionError, TooFewImages
from oddlens.evaluation.synthetic_anomalies import ANOMALIES, inject
from oddlens.progress import advance
from oddlens.protocols import Doubles, Pixels
from oddlens.ranking import Ranking

MOST_CHECKED = 2000  # images that are checked; drawn from larger collections
FEWEST_CHECKED = 40  # images; with fewer, half of the collection is too little to learn from
INJECTED_SHARE, FEWEST_INJECTED = 0.02, 5  # of each kind, in all rounds: as a share of the images, and at least
MOST_INJECTED_SHARE = 0.1  # of the images of one round; it says how many rounds there are
TOP_SHARE = 0.05  # "on top": above all but this share of the untouched images
SEEN_SHARE, PARTLY_SEEN_SHARE = 0.8, 0.4  # injected images on top from which a kind is seen, or seen in part
SAME_SHARE, SIMILAR_SHARE = 0.8, 0.5  # strangest images in common from which rankings are the same, or similar


class Model(Protocol):
    """What is checked: an unfitted ``AnomalyModel`` or anything with these two methods."""

    def fit(self, images: Any) -> Any:
        """Learn from (n, height, width, channels) uint8."""

    def rank(self, images: Any = None) -> Ranking:
        """The fitted images, each judged without itself; or other ones as new."""


@dataclass(frozen=True)
class Sight:
    """How well one kind of synthetic anomaly was detected.

    kind:     a name in ``synthetic_anomalies.ANOMALIES``.
    injected: how many were injected, over all rounds.
    on_top:   how many of them scored above all but 5 % of the untouched images.
    flagged:  how many of them the ranking flagged; None where it flags nothing by itself.
    median:   of the untouched images, the share that the middle one of the injected stands above.
    auroc:    the mean of that share: the chance that an injected image scores above an untouched one.
    """

    kind: str
    injected: int
    on_top: int
    flagged: int | None
    median: float
    auroc: float

    @property
    def interval(self) -> tuple[float, float]:
        """Where the share that comes out on top lies, with 95 % confidence (Wilson 1927)."""
        bounds = binomtest(self.on_top, self.injected).proportion_ci(method="wilson")
        return float(bounds.low), float(bounds.high)

    @property
    def sentence(self) -> str:
        """The result in words."""
        share = self.on_top / self.injected
        verdict = "Seen" if share >= SEEN_SHARE else "Seen in part" if share >= PARTLY_SEEN_SHARE else "Mostly missed"
        count = "1 was" if self.flagged == 1 else f"{self.flagged} were"
        flagged = "" if self.flagged is None else f"; of all {self.injected}, {count} flagged"
        low, high = (round(100 * bound) for bound in self.interval)
        return (f"{verdict}: {ANOMALIES[self.kind].words}. {self.on_top} of {self.injected} injected came out among "
                f"the strangest {100 * TOP_SHARE:.0f} % (of many, {low} to {high} % would){flagged}; the middle one "
                f"stands above {100 * self.median:.0f} % of the other images.")


@dataclass(frozen=True)
class Agreement:
    """How alike two rankings of the same images are.

    correlation:  Spearman's, of the ranks of all images, -1 to 1.
    same:         how many of the strangest are the same in both, of
    strangest:    as many as were compared: 1 %, and at least 20 (10 in each half).
    """

    correlation: float
    same: int
    strangest: int


@dataclass(frozen=True)
class Check:
    """What a run can and cannot detect.

    images:  how many of the collection's images were used.
    sights:  one for each kind injected.
    seeds:   the ranking with another seed against the first.
    halves:  each half as ranked by a model that was fitted to the other half only, against the ranking of the whole.
    """

    images: int
    sights: tuple[Sight, ...]
    seeds: Agreement
    halves: Agreement

    def sentences(self) -> list[str]:
        """What this run can and cannot detect: a sentence a kind, the best seen first, and one for each agreement."""
        ordered = sorted(self.sights, key=lambda sight: -sight.on_top / sight.injected)
        return [*(sight.sentence for sight in ordered),
                f"{_verdict(self.seeds, 'Another seed gives')} {_counted(self.seeds)}",
                f"{_verdict(self.halves, 'Half of the images, judging the other half, gives')} {_counted(self.halves)}"]

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values, for JSON."""
        return {**asdict(self), "sights": [asdict(sight) for sight in self.sights], "sentences": self.sentences()}


def check(
    pixels: Pixels,
    build: Callable[[int], Model],
    *,
    kinds: Sequence[str] | None = None,
    images: int = MOST_CHECKED,
    random_state: int = 0,
) -> Check:
    """Inject synthetic anomalies into a collection and see which of them a fresh model detects.

    pixels:        (n, height, width, channels) uint8, the collection as the model sees it; it is not changed.
    build:         an unfitted model for a seed, made as the one to be checked was.
    kinds:         names in ``synthetic_anomalies.ANOMALIES``, by default all.
    images:        the most images to work on, drawn at random from the collection; 40 or more.
    random_state:  fixes what is drawn and injected; the models get this seed and the following ones.

    It takes about as long as ranking ``images`` images 5 times, or up to 8 in collections of about a hundred. Raises
    ``TooFewImages`` below 40 images, ``OptionError`` for a kind that there is not.
    """
    chosen = tuple(ANOMALIES if kinds is None else dict.fromkeys(kinds))
    for kind in chosen:
        if kind not in ANOMALIES:
            raise OptionError.unknown("kind of synthetic anomaly", kind, ANOMALIES)
    if not isinstance(images, int | np.integer) or images < FEWEST_CHECKED:
        raise OptionError(f"images must be a whole number of {FEWEST_CHECKED} or more, got {images!r}.")
    if len(pixels) < FEWEST_CHECKED:
        raise TooFewImages(f"A check needs {FEWEST_CHECKED} images or more, there are {len(pixels)}.")
    rng = np.random.default_rng(random_state)
    sample = np.array(pixels[np.sort(rng.permutation(len(pixels))[:images])])
    rounds = _rounds(len(sample), len(chosen)) if chosen else []
    steps = iter(range(1, len(rounds) + 5))

    def fitted(train: Pixels, seed: int) -> Model:
        model = build(seed)
        model.fit(train)
        advance("checking", next(steps), len(rounds) + 4)
        return model

    found: dict[str, list[tuple[Doubles, NDArray[np.bool_] | None]]] = {kind: [] for kind in chosen}
    for number, count in enumerate(rounds):
        mixed, rows = _injected(sample, chosen, count, rng)
        ranking = fitted(mixed, random_state + number).rank()
        for kind, result in _placed(ranking, rows).items():
            found[kind].append(result)
    whole = fitted(sample, random_state).rank().scores
    again = fitted(sample, random_state + 1).rank().scores
    sights = tuple(_sight(kind, results) for kind, results in found.items())
    seeds = agreement(whole, again, max(20, len(sample) // 100))
    return Check(len(sample), sights, seeds, _halves(sample, whole, fitted, random_state, rng))


def agreement(one: Doubles, other: Doubles, strangest: int) -> Agreement:
    """How alike two rankings of the same images are, by (n,) scores each; larger is stranger."""
    strangest = min(strangest, len(one))
    constant = [float(np.ptp(scores)) == 0 for scores in (one, other)]  # which has no ranks to correlate
    correlation = float(all(constant)) if any(constant) else float(spearmanr(one, other).statistic)
    top = (set(np.argsort(-scores, kind="stable")[:strangest].tolist()) for scores in (one, other))
    return Agreement(correlation, len(set.intersection(*top)), strangest)


def _rounds(n: int, kinds: int) -> list[int]:
    """How many of each kind are injected in each round."""
    wanted = max(FEWEST_INJECTED, round(INJECTED_SHARE * n))
    each = max(1, int(MOST_INJECTED_SHARE * n / kinds))
    count = -(-wanted // each)
    return [wanted // count + (number < wanted % count) for number in range(count)]


def _injected(
    sample: Pixels, kinds: Sequence[str], count: int, rng: np.random.Generator
) -> tuple[Pixels, dict[str, NDArray[np.int64]]]:
    """The images with ``count`` of each kind made odd in a copy, and which these are."""
    rows = dict(zip(kinds, rng.permutation(len(sample))[: count * len(kinds)].reshape(len(kinds), count), strict=True))
    mixed = sample.copy()
    for kind, some in rows.items():
        mixed[some] = inject(kind, sample[some], sample, rng).pixels
    return mixed, rows


def _placed(
    ranking: Ranking, rows: dict[str, NDArray[np.int64]]
) -> dict[str, tuple[Doubles, NDArray[np.bool_] | None]]:
    """For each kind the share of untouched images that each injected one stands above, ties half; and its flags."""
    touched = np.zeros(len(ranking), bool)
    for some in rows.values():
        touched[some] = True
    scores = np.sort(ranking.scores[~touched])
    flags = getattr(ranking, "flagged", None)
    placed = {}
    for kind, some in rows.items():
        own = ranking.scores[some]
        above = (np.searchsorted(scores, own, "left") + np.searchsorted(scores, own, "right")) / 2 / len(scores)
        placed[kind] = above, None if flags is None else np.asarray(flags)[some].astype(bool)
    return placed


def _sight(kind: str, results: Sequence[tuple[Doubles, NDArray[np.bool_] | None]]) -> Sight:
    above = np.concatenate([shares for shares, _ in results])
    flags = [flags for _, flags in results if flags is not None]
    return Sight(kind, len(above), int((above >= 1 - TOP_SHARE).sum()),
                 int(np.concatenate(flags).sum()) if len(flags) == len(results) else None,
                 float(np.median(above)), float(above.mean()))


def _halves(
    sample: Pixels, whole: Doubles, fitted: Callable[[Pixels, int], Model], seed: int, rng: np.random.Generator
) -> Agreement:
    """Each half as new images of a model of the other half, against their ranking in the whole."""
    order = rng.permutation(len(sample))
    parts = np.sort(order[: len(sample) // 2]), np.sort(order[len(sample) // 2 :])
    compared = []
    for train, judged in (parts, parts[::-1]):
        scores = fitted(sample[train], seed).rank(sample[judged]).scores
        compared.append(agreement(whole[judged], scores, max(10, len(judged) // 100)))
    return Agreement(float(np.mean([part.correlation for part in compared])), sum(part.same for part in compared),
                     sum(part.strangest for part in compared))


def _verdict(agreed: Agreement, start: str) -> str:
    share = agreed.same / agreed.strangest
    likeness = "nearly the same" if share >= SAME_SHARE else "a similar" if share >= SIMILAR_SHARE else "another"
    return f"{start} {likeness} ranking:"


def _counted(agreed: Agreement) -> str:
    return (f"{agreed.same} of the {agreed.strangest} strangest are the same, and the rank correlation of all is "
            f"{agreed.correlation:.2f}.")
