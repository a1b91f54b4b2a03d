"""How much does a ranking depend on the seed? The same images twice, with other random numbers.

python benchmarks/seeds.py        for each effort: of the strangest 5 %, the share that two seeds agree on
"""

from __future__ import annotations

import numpy as np

from draws import one_class
from oddlens import AnomalyModel


def main() -> None:
    """Two seeds on three classes of each data set."""
    for effort in ("fast", "default", "thorough"):
        same = []
        for data in ("mnist", "fashion"):
            for number, draw in enumerate(one_class(data, 0.1, 0)):
                if number in (2, 6, 8):
                    one, other = (AnomalyModel(effort=effort, random_state=seed).fit(draw.fitted).rank().order()
                                  for seed in (0, 1))
                    top = len(one) // 20
                    same.append(len(np.intersect1d(one[:top], other[:top])) / top)
        print(f"{effort}: {np.mean(same):.3f} of the strangest 5 % are the same ({np.round(same, 2)})", flush=True)


if __name__ == "__main__":
    main()
