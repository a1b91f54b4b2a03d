"""The seed of what other libraries give: by default they draw anew each time, and no ranking comes out twice."""

from __future__ import annotations

from typing import Any


def seeded(estimator: Any, random_state: int) -> Any:
    """An estimator of scikit-learn's kind with that seed wherever it, or a step of it, takes one and was given none."""
    options = {key: random_state for key, value in estimator.get_params().items()
               if value is None and key.rpartition("__")[2] == "random_state"}
    return estimator.set_params(**options)
