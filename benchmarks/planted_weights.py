"""Weights of the views learned from oddities planted in the collection itself, beside the constants of today.

    python benchmarks/planted_weights.py FOLDER            measures what FOLDER does not hold yet, and prints the tables
    python benchmarks/planted_weights.py FOLDER --confirm  the same on other collections, that chose nothing here

Each kind of ``synthetic_anomalies`` is planted in copies of 40 images, drawn at random, which are scored as new: which
views tell these from the images as they are? Once by the model of all images, and once by a second model that did not
see the 40. Weights made of that and the constants fuse the same own scores of the first model, so the differences are
theirs alone. FOLDER keeps the surprises, two files a collection.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score, roc_auc_score

from draws import load, one_class
from oddlens import AnomalyModel
from oddlens.calibration import Fusion, fit_tail
from oddlens.evaluation.corruptions import damage
from oddlens.evaluation.draws import corrupted, foreign
from oddlens.evaluation.synthetic_anomalies import ANOMALIES, inject
from oddlens.pixels import Copies, look, read_pixels
from oddlens.sources import open_source
from sets import make

Doubles = NDArray[np.float64]
PLANTED, CAP, RIDGE, LEAST = 40, 20.0, 0.01, 0.05  # images of a kind; surprise; penalty; lead, of the loudest
CHOOSE = (
    "A/mnist/2", "A/mnist/8", "A/fashion/0", "A/fashion/6", "D/foreign", "D/blur", "D/noise",
    "cliff/coffee/darker/0.05/400", "cliff/fashion:7/tilted/0.05/500", "cliff/emoji:Smileys & Emotion/noisy/0.05/160",
    "emoji/emoji:Flags/others/0.05/99999", "stamps/stamps:animals/others/0.05/99999", "texture/brick/finer/0.05/300",
    "texture/gravel/smoother/0.05/300", "small/mnist:0/others/0.1/100", "small/fashion:1/others/0.1/100",
    "solar/solar-cells:sound/defective/0.05/99999")
CONFIRM = (
    "A/mnist/3", "A/mnist/5", "A/fashion/2", "A/fashion/9", "cliff/coffee/tilted/0.05/400",
    "cliff/coffee/noisy/0.02/400", "cliff/fashion:7/darker/0.02/500", "cliff/emoji:Smileys & Emotion/blurred/0.05/160",
    "emoji/emoji:Food & Drink/others/0.05/99999", "emoji/emoji:Animals & Nature/others/0.1/99999")


def collection(name: str) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Images and which are odd: protocol A at c = .1, protocol D on 2,000 digits, or a name of ``sets``."""
    kind, *rest = name.split("/")
    if kind == "A":
        draw = next(d for d in one_class(rest[0], 0.1, 0) if d.case == rest[1])
    elif kind == "D":
        digits = load("mnist")[0][:2000]
        draw = (foreign(digits, load("fashion")[0], 0.02, 0) if rest[0] == "foreign" else
                corrupted(digits, damage(rest[0]), 0.02, 0))
    else:
        found = make(name)
        return found.images, found.odd
    return draw.fitted, draw.odd


def measured(name: str, folder: Path, held: bool) -> dict[str, Any]:
    """Surprises of the lead, then of each tail: own (n, 7), planted (kinds, m, 7); constants (7,), odd (n,), seconds.

    held: the images that oddities are planted in are kept from the fit; else they are among the fitted ones.
    """
    path = folder / f"{name.replace('/', '-')}{'-held' if held else ''}.npz"
    if not path.exists():
        images, odd = collection(name)
        form = look(open_source(images), jobs=1)
        pixels = read_pixels(open_source(images), form, jobs=1).pixels
        rng = np.random.default_rng(0)
        order = rng.permutation(len(pixels))
        chosen = order[: min(PLANTED, len(order) // 4)] if held else order[:PLANTED]
        fitted = np.setdiff1d(order, chosen) if held else np.arange(len(pixels))
        start = time.process_time()
        model = AnomalyModel(image_size=(form.height, form.width), channels=form.channels, n_jobs=1)
        model.fit(pixels[fitted])
        middle = time.process_time()
        changed = [inject(kind, pixels[chosen], pixels, rng).pixels for kind in ANOMALIES]
        every = np.concatenate([*changed, pixels[chosen]])  # the last as they are, yet as new
        new = model.ensemble_.score(Copies(every)).members
        seconds = [middle - start, time.process_time() - middle]
        tails = {view: fit_tail(own) for view, own in model.own_.items()}
        leads, views = model.fusion_.leads, model.fusion_.tails

        def table(scores: dict[str, Doubles]) -> Doubles:
            by = {view: tail.surprisal(scores[view]) for view, tail in tails.items()}
            return np.stack([sum(share * by[v] for v, share in leads.items()), *(by[v] for v in views)], -1)

        every = table(new).reshape(len(ANOMALIES) + 1, len(chosen), -1)
        np.savez(path, own=table(model.own_), planted=every[:-1], again=every[-1], odd=odd[fitted],
                 constants=[1.0, *views.values()], views=["lead", *views], seconds=seconds)
    with np.load(path) as kept:
        return dict(kept)


def told(planted: Doubles, own: Doubles) -> Doubles:
    """(views,) (2 AUROC - 1)^2 of (m, views) planted beside (n, views) own surprises, 0 below AUROC one half."""
    labels = np.r_[np.ones(len(planted)), np.zeros(len(own))]
    areas = [roc_auc_score(labels, np.r_[p, o]) for p, o in zip(planted.T, own.T, strict=True)]
    return np.maximum(2 * np.array(areas) - 1, 0) ** 2


def least_squares(planted: Doubles, own: Doubles) -> Doubles:
    """(views,) ridge regression with no weight below 0; an unpenalised constant stands for the ordinary."""
    squares = np.clip(np.r_[planted, own], 0, CAP) ** 2
    labels = np.r_[np.ones(len(planted)), np.zeros(len(own))]
    share = np.where(labels > 0, 0.5 / len(planted), 0.5 / len(own))  # both sides count alike
    scale = np.sqrt(share @ squares**2) + 1e-9
    rows = np.c_[squares / scale, np.ones(len(squares)), -np.ones(len(squares))] * np.sqrt(share)[:, None]
    ridge = np.sqrt(RIDGE) * np.eye(squares.shape[1], rows.shape[1])
    return nnls(np.r_[rows, ridge], np.r_[labels * np.sqrt(share), np.zeros(len(ridge))])[0][:-2] / scale


WAYS: dict[str, Callable[[Doubles, Doubles], Doubles]] = {
    "mean over kinds": lambda planted, own: np.mean([told(p, own) for p in planted], 0),
    "best kind": lambda planted, own: np.max([told(p, own) for p in planted], 0),
    "least squares": lambda planted, own: least_squares(np.concatenate(planted), own),
}


def fused(own: Doubles, weights: Doubles) -> Doubles:
    """(n,) scores by the formula of the default; weights are those of the lead, then of the tails."""
    names = [str(i) for i in range(len(weights))]
    lead = max(weights[0], LEAST * max(weights.max(), 1e-9))
    fusion = Fusion({"0": 1.0}, dict(zip(names[1:], weights[1:] / lead, strict=True)))
    return fusion.combine(dict(zip(names, own.T, strict=True)))


def variants(found: dict[str, Any], held: dict[str, Any]) -> dict[str, Doubles]:
    """The scores by the constants, by every way to learn weights, and by what bounds them from both sides."""
    own, constants, odd = found["own"], found["constants"], found["odd"]
    alone = np.eye(len(constants))[0]

    def ways(name: str, w: Doubles) -> dict[str, Doubles]:
        """Tails as loud together as the constants with the lead fixed, all by themselves, and times the constants."""
        total = constants[1:].sum()
        loud = [np.r_[1.0, t * total / max(t.sum(), 1e-9)] for t in (w[1:], constants[1:] * w[1:])]
        return {f"{name}, (b) lead fixed": fused(own, loud[0]), f"{name}, (c) all": fused(own, w),
                f"{name}, (d) x constants": fused(own, loud[1])}

    scores = {"(a) constants": fused(own, constants), "the lead alone": fused(own, alone),
              "constants, tails twice as loud": fused(own, constants * 2 - alone)}
    for where, here in (("fitted", found), ("held out", held)):
        for way, learn in WAYS.items():
            scores |= ways(f"{where}: {way}", learn(here["planted"], here["own"]))
        by_kind = [fused(own, told(p, here["own"])) for p in here["planted"]]
        scores[f"{where}: (e) loudest kind"] = np.max([fit_tail(s).surprisal(s) for s in by_kind], 0)
    scores |= ways("real labels: AUROC", told(own[odd], own[~odd]))
    return scores | ways("real labels: least squares", least_squares(own[odd], own[~odd]))


def main() -> None:
    """Measure, and print the means, then of each collection how far planted and real oddities agree on the views."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    names = CONFIRM if "--confirm" in sys.argv else CHOOSE
    kept = {name: (measured(name, folder, False), measured(name, folder, True)) for name in names}
    cells: dict[str, list[tuple[float, float]]] = {}
    for found, held in kept.values():
        for way, s in variants(found, held).items():
            pair = roc_auc_score(found["odd"], s), average_precision_score(found["odd"], s)
            cells.setdefault(way, []).append(pair)
    print("| | AUROC | AP | AP up / down by .01 or more | AP of each |\n| --- | --- | --- | --- | --- |")
    for way, pairs in cells.items():
        here = np.array(pairs)
        gain = (here - np.array(cells["(a) constants"]))[:, 1]
        print("| {} | {:.3f} | {:.3f} | {} / {} | {} |".format(
            way, *here.mean(0), (gain >= .01).sum(), (gain <= -.01).sum(), " ".join(f"{ap:.2f}" for ap in here[:, 1])))
    print("views:", *next(iter(kept.values()))[0]["views"])
    for name, (found, held) in kept.items():
        real = told(found["own"][found["odd"]], found["own"])
        print(f"{name} ({len(found['odd'])}): fit {found['seconds'][0]:.1f} s, planting and scoring "
              f"{found['seconds'][1]:.1f} s; told apart, real {np.round(real, 2)}")
        for where, here in (("fitted", found), ("held out", held)):
            seen = np.mean([told(p, here["own"]) for p in here["planted"]], 0)
            print(f"    {where} {np.round(seen, 2)}, rank correlation {spearmanr(real, seen)[0]:.2f}; "
                  f"untouched as new {np.round(here['again'].mean(0), 1)}")


if __name__ == "__main__":
    main()
