"""What a run found, in sentences that claim no more than the scores support.

Either some images are flagged; or there are more high scores than ordinary images would give, but no single image can
be flagged; or nothing stands out; or it cannot be known. The share of odd images is always stated, with its bounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Verdict: TypeAlias = Literal["flagged", "some_odd", "nothing", "unknown"]

HIDDEN_WARNING = "Were more than about a tenth odd, the scores could not tell: look at the first 20 in any case."
FEWEST_IMAGES = 10  # images; from fewer nothing can be known
RARITY_FACTOR = 10  # of n images, no rarity beyond 1 in this many times n is stated


@dataclass(frozen=True)
class Reviewed:
    """What a person found so far, and what is left.

    looked, found:    how many images have a label, and how many of them were called odd.
    ahead:            of how many of the images that come next this is said.
    left, low, high:  how many of these are expected to be odd, with the bounds that it lies between nine times in ten.
    worth:            how many of those that come next are worth a look.
    share:            of all odd images at least so many have been found, nine times in ten; 0: that cannot be said.

    >>> Reviewed(140, 31, 100, 6.2, 2, 14, 100, 0.8).sentence[:83]
    'You found 31 odd images in 140 looks; about 6 (2 to 14) are left among the next 100'
    """

    looked: int
    found: int
    ahead: int
    left: float
    low: int
    high: int
    worth: int
    share: float = 0.0

    @property
    def sentence(self) -> str:
        """All of it in words."""
        looks = f"{self.looked:,} look{'' if self.looked == 1 else 's'}"
        said = f"You found {_counted(self.found, 'odd image')} in {looks}"
        if not self.ahead:
            return f"{said}; every image has a label."
        left = round(self.left)
        among = f"among the next {self.ahead:,}" if self.ahead > 1 else "and it may be the last image"
        said += f"; about {left:,} ({self.low:,} to {self.high:,}) {_are(left)} left {among}"
        if not self.worth:
            said += "; it is no longer worth looking."
        elif self.worth <= self.ahead:
            said += "; after those it is no longer worth looking."
        else:
            said += f"; the next {self.worth:,} are worth a look."
        if self.share:
            said += f" At least {percent(self.share)} of all odd images are found, as far as can be told."
        return said


@dataclass(frozen=True)
class Finding:
    """What was found among the fitted images, or among new ones.

    count, flagged:    how many images were judged, and how many of them are flagged.
    share, low, high:  of odd images among the fitted ones, 0 to 1, with the bounds it is believed to lie between.
    rate:              the false-discovery rate asked for.
    expected_false:    how many of the flagged are expected to be ordinary.
    known:             whether the scores of the fitted images say at all what is ordinary.
    asked:             the share of images to flag, where that was given and no rate was.
    new:               whether the images judged are others than the fitted ones.
    beyond:            how many of these are stranger than every fitted one.
    reviewed:          what a person found among the fitted ones and what is left, where labels were given.

    >>> Finding(315, 0, 0.04, 0.01, 0.14).verdict
    'some_odd'
    """

    count: int
    flagged: int
    share: float
    low: float
    high: float
    rate: float = 0.1
    expected_false: float = 0.0
    known: bool = True
    asked: float | None = None
    new: bool = False
    beyond: int = 0
    reviewed: Reviewed | None = None

    @property
    def verdict(self) -> Verdict:
        """Some are flagged; some are odd, though none can be flagged; nothing stands out; or it cannot be known."""
        if self.flagged:
            return "flagged"
        if not self.known:
            return "unknown"
        return "some_odd" if self.low > 0 and self.count and not self.new else "nothing"

    @property
    def worth_looking(self) -> int:
        """How many of the strangest are worth a look: as many as are flagged, or as seem odd where that is more."""
        if self.new:
            return max(self.flagged, self.beyond)
        if self.reviewed is not None:
            return self.reviewed.worth
        if self.asked is not None or self.verdict not in ("flagged", "some_odd"):
            return self.flagged
        return min(self.count, max(self.flagged, self._images(self.share), 1))

    @property
    def statement(self) -> str:
        """All of it: the headline, and the share with its bounds on a second line."""
        return f"{self.headline}\n{self.rest}"

    @property
    def headline(self) -> str:
        """What was found, in one sentence."""
        if self.new:
            return self._of_new() if self.count else "There is no image to judge."
        if self.reviewed is not None:
            return self.reviewed.sentence
        if self.asked is not None:
            return (f"{self.flagged:,} of {_counted(self.count)} {_are(self.flagged)} flagged: the share that was "
                    f"asked for, {self.asked:.3g}.")
        if self.verdict == "unknown":
            return self._unknown()
        if self.verdict == "some_odd":
            odd = self._images(self.share) or 1
            return (f"About {odd:,} of {_counted(self.count)} {_looks(odd)} odd, but no single one is beyond doubt.")
        if self.verdict == "nothing":
            return f"Nothing stands out: none of {_counted(self.count)} is odd beyond doubt."
        stand = "stands" if self.flagged == 1 else "stand"
        more = self._images(self.low) > self.flagged
        unseen = f", of about {self._images(self.share):,} that look odd" if more else ""
        return f"{self.flagged:,} of {_counted(self.count)} {stand} out{unseen}; {self._false()}."

    @property
    def rest(self) -> str:
        """The share of odd images with its bounds, and where to look for them."""
        bounds = f"somewhere from {percent(self.low)} to {percent(self.high)}"
        if self.reviewed is not None and not self.new:
            unseen = self.flagged - self.reviewed.found
            flags = (f"{unseen:,} of those that you have not looked at {_are(unseen)} flagged; {self._false(unseen)}. "
                     if unseen > 0 and self.asked is None else "")
            return f"{flags}By the labels {percent(self.share)} of all images are odd ({bounds})."
        if not self.known:
            return f"The share of odd images cannot be told: {bounds}."
        share = f"about {percent(self.share)} ({bounds})"
        if self.new:
            by = ("" if self.asked is not None else
                  f"Each is judged alone, by what flags a fitted image at a false-discovery rate of {self.rate:.3g}. ")
            return f"{by}Of the fitted images {share} are odd."
        if self.asked is not None:
            return f"How many of them are really odd was not asked. By the scores alone it is {share} of all images."
        if self.verdict == "nothing":
            most = self._images(self.high)
            first = f" If there are any, look for them among the first {most:,}." if most > 1 else ""
            return f"The share of odd images is {share}: there may be none.{first} {HIDDEN_WARNING}"
        low, high = self._images(self.low), self._images(self.high)
        range_ = f"{low:,} to {high:,} images" if low < high else _counted(high)
        hidden = f" {HIDDEN_WARNING}" if self.verdict == "some_odd" else ""
        return f"The share of odd images, flagged or not, is {share}: {range_}. {self._look()}{hidden}"

    def _look(self) -> str:
        worth = self.worth_looking
        return "The first is worth a look." if worth == 1 else f"The first {worth:,} are worth a look."

    def _false(self, flagged: int | None = None) -> str:
        flagged = self.flagged if flagged is None else flagged
        false = min(self.expected_false, self.rate * flagged)
        if flagged == 1:
            return "expect it to be no false alarm"
        if false < 0.5:
            return "expect none of them to be a false alarm"
        return f"expect about {false:.0f} of them to be {'a false alarm' if round(false) == 1 else 'false alarms'}"

    def _of_new(self) -> str:
        if not self.known and self.asked is None:
            return "No new image is flagged: the fitted images do not say what is ordinary."
        if self.asked is not None:
            return (f"{self.flagged:,} of {_counted(self.count, 'new image')} {_are(self.flagged)} flagged: as strange "
                    f"as the strangest {self.asked:.3g} of the fitted ones.")
        if self.beyond and not self.flagged:
            if self.count == 1:
                return "The new image is not flagged, but it is stranger than every fitted one: look at it."
            those = "1 is" if self.beyond == 1 else f"{self.beyond:,} are"
            return (f"None of {self.count:,} new images is flagged, but {those} stranger than every fitted one: look "
                    "there.")
        if not self.flagged:
            none = "The new image does not look" if self.count == 1 else f"None of {self.count:,} new images looks"
            return f"{none} odd beside the fitted ones."
        return (f"{self.flagged:,} of {_counted(self.count, 'new image')} {_looks(self.flagged)} odd beside the fitted "
                "ones.")

    def _unknown(self) -> str:
        if self.count < FEWEST_IMAGES:
            return f"No image is flagged: {_counted(self.count)} {_are(self.count)} too few to say what is ordinary."
        return "No image is flagged: too many images have the same score to say what is ordinary."

    def _images(self, share: float) -> int:
        return round(share * self.count)


def percent(share: float) -> str:
    """A share in per cent, in two digits.

    >>> percent(0.0432), percent(0), percent(1)
    ('4.3 %', '0 %', '100 %')
    """
    return f"{float(f'{100 * share:.2g}'):g} %"


def _counted(count: int, what: str = "image") -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _looks(count: int) -> str:
    return "looks" if count == 1 else "look"
