"""Whether images that came later are stranger than those that the model was fitted to: then it is time to learn anew.

Two one-sided tests on the scores, at half the level each: whether all of the new ones lie higher (Smirnov's, 1939), and
whether more of them lie in the fitted ones' highest tenth (binomial), which sees a few foreign ones among many as
before. Images that are less strange are no reason to learn anew. How often either is wrong: docs/scale.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from oddlens.protocols import Doubles

LEVEL = 0.01  # how often a collection that did not change is said to have drifted, at most about
HIGHEST = 0.1  # the share of the fitted images whose scores bound the upper tail
FEWEST = 20  # new images; fewer say nothing


@dataclass(frozen=True)
class Drift:
    """What the scores of new images say beside those of the fitted ones.

    p_value:  how likely at least so large a difference is, had nothing changed; 1 of too few images.
    share:    of the new images, how many lie in the fitted ones' highest tenth.
    count:    of new images.
    """

    p_value: float
    share: float
    count: int

    @property
    def drifted(self) -> bool:
        """Whether it is time to learn anew."""
        return self.p_value < LEVEL

    @property
    def sentence(self) -> str:
        """The same in words."""
        if self.count < FEWEST:
            return f"Whether the collection has drifted cannot be told from {self.count} new images."
        found = f"{self.share:.0%} of the {self.count:,} new images are as strange as the strangest 10 % before"
        if not self.drifted:
            return f"No drift: {found}."
        return (f"The collection has drifted: {found} (p = {self.p_value:.1g}). Learn anew: oddlens rank, with "
                "--overwrite.")


def drift(fitted: Doubles, new: Doubles) -> Drift:
    """Of (n,) scores of fitted images, each judged without itself, and (m,) of images that came later.

    >>> drift(np.arange(1000.0), np.arange(0.0, 1000.0, 10)).drifted
    False
    >>> drift(np.arange(1000.0), np.arange(300.0, 1300.0, 10)).drifted
    True
    """
    share = float(np.mean(new > np.quantile(fitted, 1 - HIGHEST))) if len(new) else 0.0
    if len(new) < FEWEST:
        return Drift(1.0, share, len(new))
    higher = stats.ks_2samp(new, fitted, alternative="less", method="asymp").pvalue
    tail = stats.binomtest(round(share * len(new)), len(new), HIGHEST, alternative="greater").pvalue
    return Drift(min(1.0, 2 * float(min(higher, tail))), share, len(new))
