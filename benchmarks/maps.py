"""Fine detail: the default with and without its view of places, on photographs larger than 96 pixels.

    python benchmarks/maps.py              the sets that settings were chosen on, then those that confirm
    python benchmarks/maps.py poly-2 ...   some of them
    python benchmarks/maps.py --backbone NAME_OR_PATH [SET ...]   with and without a pretrained network

mono-SEED, poly-SEED: solar cells at 256 pixels, 5 % defective (elpv-dataset). brick-, grass-, gravel-DAMAGE: 300
crops of 128 pixels of scikit-image's textures, 5 % with a blob, a scratch or a pasted patch of 1 to 5 % of the area.
stamps-CATEGORY: Tux Paint's stamps of one category with 5 % others.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from oddlens import AnomalyModel
from oddlens.calibration import fuse
from oddlens.evaluation import datasets
from oddlens.views import DEFAULT, fusion
from sets import photograph

CHOOSE = ("mono-0", "mono-1", "poly-0", "poly-1", "brick-blob", "brick-scratch", "grass-patch", "gravel-blob",
          "gravel-scratch")
CONFIRM = ("mono-2", "poly-2", "gravel-patch", "grass-scratch", "brick-patch", "stamps-animals", "stamps-food",
           "stamps-seasonal", "stamps-symbols", "stamps-town")
PLACES = "patch_maps+places"
ALONE = {False: (PLACES,), True: ("backbone+places", "backbone+neighbors")}

Images = NDArray[np.uint8]
Labelled = tuple[Images, NDArray[np.bool_]]


def cells(kind: str, seed: int) -> Labelled:
    from elpv_dataset.utils import load_dataset
    from PIL import Image

    images, probability, kinds = load_dataset()
    some = np.flatnonzero((kinds == kind) & np.isin(probability, (0, 1)))
    odd, sound = some[probability[some] == 1], some[probability[some] == 0]
    rows = np.r_[sound, np.random.default_rng(seed).choice(odd, round(0.05 * len(sound)), replace=False)]
    small = [np.asarray(Image.fromarray(images[row]).resize((256, 256), Image.Resampling.BOX)) for row in rows]
    return np.stack(small)[..., None], np.isin(rows, odd)


def textures(name: str, damage: str) -> Labelled:
    picture, rng = photograph(name)[..., 0], np.random.default_rng(len(f"{name}-{damage}") * 7 + ord(name[0]))
    tops, lefts = (rng.integers(0, size - 127, 300) for size in picture.shape)
    images = np.stack([picture[t : t + 128, left : left + 128] for t, left in zip(tops, lefts, strict=True)])[..., None]
    for row in range(15):
        images[row] = DAMAGES[damage](images[row].astype(float), images[15:], rng).clip(0, 255)
    return images, np.arange(300) < 15


def place(rng: np.random.Generator) -> tuple[int, int, int]:
    side = int(128 * rng.uniform(0.01, 0.05) ** 0.5)
    top, left = rng.integers(0, 128 - side, 2)
    return side, int(top), int(left)


def blob(image: NDArray[np.float64], _: Images, rng: np.random.Generator) -> NDArray[np.float64]:
    side, top, left = place(rng)
    down, across = np.mgrid[:128, :128]
    squares = (down - top - side / 2) ** 2 + (across - left - side / 2) ** 2
    return np.asarray(image + rng.choice([-90, 90]) * np.exp(-squares / (2 * (side / 3) ** 2))[..., None])


def scratch(image: NDArray[np.float64], _: Images, rng: np.random.Generator) -> NDArray[np.float64]:
    _, top, left = place(rng)
    angle = rng.uniform(0, np.pi)
    for step in np.linspace(-25.6, 25.6, 200):
        row, column = int(top + step * np.sin(angle)), int(left + step * np.cos(angle))
        if 0 <= row < 127 and 0 <= column < 127:
            image[row : row + 2, column : column + 2] *= 0.3
    return image


def patch(image: NDArray[np.float64], others: Images, rng: np.random.Generator) -> NDArray[np.float64]:
    side, top, left = place(rng)
    row, column = rng.integers(0, 128 - side, 2)
    piece = others[rng.integers(len(others)), row : row + side, column : column + side]
    image[top : top + side, left : left + side] = np.rot90(piece)
    return image


DAMAGES = {"blob": blob, "scratch": scratch, "patch": patch}


def stamps(category: str) -> Labelled:
    images, labels = datasets.stamps()
    nominal, others = np.flatnonzero(labels == category), np.flatnonzero(labels != category)
    odd = np.random.default_rng(0).choice(others, max(1, round(0.05 * len(nominal))), replace=False)
    rows = np.r_[nominal, odd]
    return np.asarray(images)[rows], np.isin(rows, odd)


def make(name: str) -> Labelled:
    family, _, rest = name.partition("-")
    if family in ("mono", "poly"):
        return cells(family, int(rest))
    return stamps(rest) if family == "stamps" else textures(family, rest)


def measured(name: str, backbone: str | None) -> str:
    images, odd = make(name)
    start = time.process_time()
    model = AnomalyModel(random_state=0, backbone=backbone).fit(images)
    seconds = time.process_time() - start
    of_it = set(model.own_) - {f"{view.encoder}+{view.detector}" for view in DEFAULT} if backbone else {PLACES}
    shown = [without(model, of_it), model.rank().scores, *(model.own_.get(column) for column in ALONE[bool(backbone)])]
    both = ["none" if scores is None else
            f"{roc_auc_score(odd, scores):.3f} / {average_precision_score(odd, scores):.3f}" for scores in shown]
    return f"| {name} | {odd.sum()} of {len(odd)} | {' | '.join(both)} | {seconds:.0f} |"


def without(model: AnomalyModel, columns: set[str]) -> NDArray[np.float64]:
    """The scores that the default would have without some of its views."""
    rest = {column: scores for column, scores in model.own_.items() if column not in columns}
    views = {f"{view.encoder}+{view.detector}": view for view in DEFAULT}
    before = fusion({column: views[column] for column in rest}, model.format_.channels, model.ensemble_.unimodality,
                    model.ensemble_.alignment)
    return fuse(before, rest, rest)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("sets", nargs="*", default=(*CHOOSE, *CONFIRM))
    parser.add_argument("--backbone")
    given = parser.parse_args()
    heads = ("without places", "the default", "places alone") if given.backbone is None else (
        "the default", "with the network", "its places alone", "as a whole alone")
    print(f"| set | odd | {' | '.join(heads)} | CPU-s |\n|{' --- |' * (len(heads) + 3)}")
    for name in given.sets:
        print(measured(name, given.backbone), flush=True)
