"""How well scores tell odd images from the rest; larger scores are stranger."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score


def measure(odd: NDArray[np.bool_], scores: NDArray[np.float64]) -> dict[str, float]:
    """AUROC, average precision and precision at n of (n,) scores against (n,) truths.

    Raises ``ValueError`` where a score is not finite, and where all images or none are odd.
    """
    scores = np.asarray(scores, np.float64)
    if scores.shape != odd.shape or not np.isfinite(scores).all():
        raise ValueError(f"expected {odd.shape} finite scores, got {scores.shape}, "
                         f"{int((~np.isfinite(scores)).sum())} of them not finite")
    if odd.all() or not odd.any():
        raise ValueError("all images or none are odd, so nothing can be measured")
    return {"auroc": float(roc_auc_score(odd, scores)),
            "average_precision": float(average_precision_score(odd, scores)),
            "precision_at_n": precision_at_n(odd, scores)}


def precision_at_n(odd: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """The share of odd images among the n strangest, n being the number of odd ones.

    Where scores are tied at the edge, what is expected of drawing among them: it does not depend on the images' order.
    """
    n = int(odd.sum())
    edge = np.partition(scores, len(scores) - n)[len(scores) - n]
    above, tied = scores > edge, scores == edge
    expected = odd[above].sum() + odd[tied].mean() * (n - above.sum())
    return float(expected / n)
