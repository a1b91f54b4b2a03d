"""Protocol I: photographs, seen as sharply as they were taken. Unlabelled, with 1, 5 and 10 % odd ones, beside rivals.

    python benchmarks/photographs.py              measure what is not in the kept results yet
    python benchmarks/photographs.py mono poly    of some families or names
    python benchmarks/photographs.py --lite0 mono the same with EfficientNet-Lite0, as a rival and given to oddlens
    python benchmarks/photographs.py --again mono measure oddlens anew, where oddlens changed; the rivals did not
    python benchmarks/photographs.py clean        those with nothing odd among them, for the decisions alone
    python benchmarks/photographs.py --table      print the kept results as Markdown
    python benchmarks/photographs.py --decisions  print what was flagged, by family (protocol F)

A name is FAMILY/SOURCE/WHAT/SHARE. ``cells/mono/SEED``: solar cells of 300 x 300, defective ones among sound ones
(elpv-dataset). ``local`` and ``global``: 300 crops of 128 x 128 of a texture that scikit-image brings, with a blob, a
scratch or a pasted patch of 1 to 5 % of the area; or finer, coarser, smoother, faded, turned as a whole. ``objects``:
80 pictures of 1,024 x 1,024, a coin of 24 pixels in the odd ones; of the retina by a camera that is not quite steady,
of brick and gravel anywhere. ``stamps``: those of one category with others. ``damaged``: pictures of 160 x 160 in
one frame, 300 sound solar cells or 240 frames of a scene by a camera that is not quite steady, 5 % of them darker,
blurred, ... as a whole. ``clipart``: 150 drawings of one folder (256 x 256, openclipart-png) with 8 of others.
``clean``: sets of these kinds without their odd ones.

Rivals: neighbours on HOG, on raw pixels (64 x 64) and on pooled EfficientNet-Lite0. The heat map's peak is inside if it
lies within the box of the planted pixels, or half a place of 1/32 of the side beside.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter
from sklearn.metrics import average_precision_score, roc_auc_score

from maps import DAMAGES, stamps
from oddlens import AnomalyModel
from oddlens.evaluation.peers import FEATURES, PEERS
from oddlens.explaining.explainer import Explainer
from oddlens.files import write_atomically
from oddlens.pixels import PixelFormat, read_pixels
from oddlens.sources import open_source
from sets import CLIPART, clipart_paths, damaged, frames, photograph, resized, seed_of

RESULTS = Path(__file__).parent / "results" / "photographs.json"
RATES = (0.05, 0.1, 0.2)
DAMAGED = {"mono": "darker blurred noisy tilted shifted faded brighter", "poly": "darker blurred faded tilted",
           "camera": "darker blurred tilted faded", "chelsea": "cast noisy", "coffee": "blurred brighter",
           "astronaut": "darker noisy shifted"}
STAMPS = ("animals", "food", "seasonal", "symbols", "town")
GLOBAL = ("finer", "coarser", "smoother", "faded", "direction")
RIVALS = ("hog-knn5", "hog-knn50", "pixels-knn5", "pixels-knn50")
LITE0 = ("backbone-knn5", "backbone-knn50")
SIDE, CROPS, PICTURES, LARGE, COIN = 128, 300, 80, 1024, 24

Images = NDArray[np.uint8]
Made = tuple[Images, NDArray[np.bool_], NDArray[np.bool_] | None]  # images, which are odd, which pixels were planted


def names() -> Iterator[str]:
    """All sets. Settings were chosen on cells of seeds 0 and 1, brick and some of gravel, at 5 % (docs/lab/maps.md)."""
    for share in ("0.05", "0.01", "0.1"):
        for kind in ("mono", "poly"):
            yield from (f"cells/{kind}/{seed}/{share}" for seed in (range(5) if share == "0.05" else (0,)))
        for texture in ("brick", "grass", "gravel"):
            yield from (f"local/{texture}/{damage}/{share}" for damage in DAMAGES)
            yield from (f"global/{texture}/{what}/{share}" for what in GLOBAL
                        if what != "direction" or texture == "brick")
        yield from (f"objects/{source}/coin/{share}" for source in ("retina", "brick", "gravel"))
    yield from (f"stamps/{category}/others/0.05" for category in STAMPS)
    yield from (f"damaged/{source}/{what}/0.05" for source, whats in DAMAGED.items() for what in whats.split())
    yield from (f"clipart/{label}/others/0.05" for label in ("animals", "food", "transportation"))
    yield from (f"clean/{source}/0/0" for source in ("mono", "poly", "brick", "grass", "gravel", *STAMPS))


def cells(kind: str, seed: int, share: float, _: np.random.Generator) -> Made:
    from elpv_dataset.utils import load_dataset

    images, probability, kinds = load_dataset()
    some = np.flatnonzero((kinds == kind) & np.isin(probability, (0, 1)))
    odd, sound = some[probability[some] == 1], some[probability[some] == 0]
    rows = np.r_[sound, np.random.default_rng(seed).choice(odd, round(share * len(sound)), replace=False)]
    return images[rows][..., None], np.isin(rows, odd), None


def crops(picture: Images, n: int, rng: np.random.Generator, scale: float = 1.0) -> Images:
    side = round(SIDE * scale)
    tops, lefts = (rng.integers(0, size - side + 1, n) for size in picture.shape)
    parts = (Image.fromarray(picture[t : t + side, left : left + side]) for t, left in zip(tops, lefts, strict=True))
    method = Image.Resampling.BOX if scale >= 1 else Image.Resampling.BICUBIC
    return np.stack([np.asarray(part.resize((SIDE, SIDE), method)) for part in parts])[..., None]


def local(texture: str, damage: str, share: float, rng: np.random.Generator) -> Made:
    images, count = crops(photograph(texture)[..., 0], CROPS, rng), max(1, round(share * CROPS))
    before = images.copy()
    for row in range(count):
        images[row] = DAMAGES[damage](images[row].astype(float), images[count:], rng).clip(0, 255)
    changed = np.abs(images.astype(int) - before).max(3)
    return images, np.arange(CROPS) < count, changed > np.maximum(3, changed.max((1, 2), keepdims=True) / 4)


def whole(texture: str, what: str, share: float, rng: np.random.Generator) -> Made:
    picture, count = photograph(texture)[..., 0], max(1, round(share * CROPS))
    images = crops(picture, CROPS, rng)
    odd = images[:count].astype(float)
    if what in ("finer", "coarser"):
        odd = crops(picture, count, rng, {"finer": 1.6, "coarser": 0.6}[what]).astype(float)
    elif what == "smoother":
        odd = np.stack([gaussian_filter(image, (1.2, 1.2, 0)) for image in odd])
    elif what == "faded":
        odd = odd.mean((1, 2), keepdims=True) + (odd - odd.mean((1, 2), keepdims=True)) / 2
    else:
        odd = np.rot90(odd, axes=(1, 2))
    images[:count] = odd.clip(0, 255)
    return images, np.arange(CROPS) < count, None


def objects(source: str, _: str, share: float, rng: np.random.Generator) -> Made:
    picture, coins = photograph(source).mean(2).astype(np.uint8), photograph("coins")[..., 0]
    if source != "retina":  # mirrored at its edges, so that it goes on
        picture = np.block([[picture, picture[:, ::-1]], [picture[::-1], picture[::-1, ::-1]]])
        picture = np.block([[picture, picture], [picture, picture]])
    coin = np.asarray(Image.fromarray(coins[14:74, 27:87]).resize((COIN, COIN), Image.Resampling.BOX)).astype(float)
    disc = np.hypot(*(np.mgrid[:COIN, :COIN] - (COIN - 1) / 2)) < COIN / 2
    count = max(1, round(share * PICTURES))
    images, planted = np.empty((PICTURES, LARGE, LARGE, 1), np.uint8), np.zeros((PICTURES, LARGE, LARGE), bool)
    for row in range(PICTURES):
        top, left = rng.integers(174, 214, 2) if source == "retina" else rng.integers(0, LARGE, 2)
        image = picture[top : top + LARGE, left : left + LARGE] * (1 + rng.normal(0, 0.03))
        image = image + rng.normal(0, 2, image.shape)
        if row < count:
            y, x = rng.integers(LARGE // 4, 3 * LARGE // 4, 2)
            image[y : y + COIN, x : x + COIN][disc] = coin[disc]
            planted[row, y : y + COIN, x : x + COIN] = disc
        images[row, ..., 0] = image.clip(0, 255)
    return images, np.arange(PICTURES) < count, planted


def in_one_frame(source: str, what: str) -> Made:
    """``damaged``."""
    rng = np.random.default_rng(seed_of(f"{source}-{what}"))
    if source in ("mono", "poly"):
        images, odd, _ = make(f"cells/{source}/0/0.05")
        sound = images[~odd]
        images = np.stack([resized(image, 160) for image in sound[rng.permutation(len(sound))[:300]]])
    else:
        images = frames(source, 240, rng, 160)
    count = round(0.05 * len(images))
    images[:count] = damaged(images[:count], what, rng)
    return images, np.arange(len(images)) < count, None


def clipart(label: str) -> Made:
    rng = np.random.default_rng(seed_of(f"clip-{label}"))
    own, others = clipart_paths(label), [path for one in CLIPART if one != label for path in clipart_paths(one)]
    some = [own[i] for i in rng.permutation(len(own))[:150]]
    some = [others[i] for i in rng.permutation(len(others))[:8]] + some
    images = np.asarray(read_pixels(open_source(some), PixelFormat(256, 256, 3, "squash")).pixels)
    return images, np.arange(len(images)) < 8, None


def make(name: str) -> Made:
    family, source, what, share = name.split("/")
    rng = np.random.default_rng(seed_of(name))
    if family == "clean":
        like = {"mono": "cells/mono/0", "poly": "cells/poly/0"} | {one: f"stamps/{one}/others" for one in STAMPS}
        images, odd, _ = make(f"{like.get(source, f'local/{source}/blob')}/0.05")
        return images[~odd], odd[~odd], None
    if family == "cells":
        return cells(source, int(what), float(share), rng)
    if family == "stamps":
        return *stamps(source), None
    if family == "damaged":
        return in_one_frame(source, what)
    if family == "clipart":
        return clipart(source)
    return {"local": local, "global": whole, "objects": objects}[family](source, what, float(share), rng)


def figures(odd: NDArray[np.bool_], scores: NDArray[np.float64]) -> list[float]:
    return [round(float(f(odd, scores)), 4) for f in (roc_auc_score, average_precision_score)]


def inside(heat: NDArray[np.float64] | None, planted: NDArray[np.bool_]) -> bool:
    """Whether the peak of a heat map lies within the box of the planted pixels, or half a place beside."""
    if heat is None:
        return False
    place = np.unravel_index(heat.argmax(), heat.shape)
    for axis in (0, 1):
        size = planted.shape[axis]
        found = np.flatnonzero(planted.any(1 - axis))
        at = (place[axis] + 0.5) * size / heat.shape[axis]
        if not found[0] - size / 64 <= at <= found[-1] + 1 + size / 64:
            return False
    return True


def measured(name: str, rivals: tuple[str, ...] = RIVALS) -> dict[str, Any]:
    images, odd, planted = make(name)
    start = time.process_time()
    model = AnomalyModel(random_state=0)
    collection = model.read(images)
    model.fit(collection)
    row: dict[str, Any] = {"n": len(odd), "odd": int(odd.sum()), "cpu_seconds": round(time.process_time() - start, 1)}
    flagged = {rate: model.decide(rate).flagged for rate in RATES}
    row["rates"] = {str(rate): [int(found.sum()), int((found & odd).sum())] for rate, found in flagged.items()}
    share = model.decision_.share
    row["share"] = [round(value, 4) for value in (share.value, share.low, share.high)]
    if not odd.any():
        return row
    row["oddlens"] = figures(odd, model.rank().scores)
    for rival in rivals:
        peer = PEERS[rival]
        row[rival] = figures(odd, peer.score(FEATURES[peer.features](collection.pixels), None, 0, None))
    if planted is not None:
        explainer = Explainer(model, collection, model.rank())
        found = [inside(explainer.why(int(i)).heat, planted[i]) for i in np.flatnonzero(odd)]
        row["peaks"] = [sum(found), len(found)]
    return row


def with_lite0(name: str) -> dict[str, Any]:
    """With a pretrained network: neighbours on what it says of the whole, and our default with its views."""
    images, odd, _ = make(name)
    features = FEATURES["backbone"](images)
    row = {rival: figures(odd, PEERS[rival].score(features, None, 0, None)) for rival in LITE0}
    model = AnomalyModel(backbone="efficientnet-lite0", random_state=0).fit(images)
    return {**row, "oddlens+lite0": figures(odd, model.rank().scores)}


def mean(found: list[list[float]], of: int) -> str:
    """The mean of what was measured, with how many where these are not all."""
    if not found:
        return ""
    return "{:.3f} / {:.3f}".format(*np.mean(found, 0)) + (f" ({len(found)})" if len(found) < of else "")


def grouped(results: dict[str, Any], key: str) -> list[tuple[tuple[str, str], list[dict[str, Any]]]]:
    """((what is meant together, share), rows) of the rows that have a key."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for name, row in results.items():
        family, source, _, share = name.split("/")
        if family in ("cells", "objects"):
            family += f" {source}"
        elif family == "damaged":
            family += " cells" if source in ("mono", "poly") else " scenes"
        if key in row:
            groups.setdefault((family, share), []).append(row)
    return sorted(groups.items())


def table(results: dict[str, Any]) -> None:
    """A line for each family, source and share: the mean over sets."""
    columns = ("oddlens", *RIVALS, *LITE0, "oddlens+lite0")
    print(f"| sets | odd | {' | '.join(columns)} | heat inside | CPU-s |\n|{' --- |' * (len(columns) + 4)}")
    for (family, share), rows in grouped(results, "oddlens"):
        found = [[row[key] for row in rows if key in row] for key in columns]
        cells_ = [mean(each, len(rows)) for each in found]
        peaks = [row["peaks"] for row in rows if "peaks" in row]
        inside_ = f"{sum(p[0] for p in peaks)} of {sum(p[1] for p in peaks)}" if peaks else ""
        seconds = np.mean([row["cpu_seconds"] for row in rows])
        head = f"{family} ({len(rows)}) | {100 * float(share):g} %"
        print(f"| {head} | {' | '.join(cells_)} | {inside_} | {seconds:.0f} |")


def decisions(results: dict[str, Any]) -> None:
    """A line for each family and share: realised false-discovery rate / power, and the estimated share of odd ones."""
    print(f"| sets | odd | {' | '.join(f'rate {rate}' for rate in RATES)} | estimated share | true |\n|{' --- |' * 7}")
    for (family, share), rows in grouped(results, "rates"):
        cells_ = []
        for rate in map(str, RATES):
            found = np.array([row["rates"][rate] for row in rows])
            false = (found[:, 0] - found[:, 1]) / np.maximum(found[:, 0], 1)
            power = found[:, 1] / np.maximum([row["odd"] for row in rows], 1)
            cells_.append(f"{false.mean():.3f} / {power.mean():.2f}" if float(share)
                          else f"flagged in {(found[:, 0] > 0).sum()}")
        value, low, high = np.mean([row["share"] for row in rows], 0)
        true = np.mean([row["odd"] / row["n"] for row in rows])
        print(f"| {family} ({len(rows)}) | {100 * float(share):g} % | {' | '.join(cells_)} | "
              f"{value:.3f} ({low:.3f} to {high:.3f}) | {true:.3f} |")


if __name__ == "__main__":
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if "--table" in sys.argv:
        table(results)
        sys.exit()
    if "--decisions" in sys.argv:
        decisions(results)
        sys.exit()
    wanted = [part for part in sys.argv[1:] if part not in ("--lite0", "--again")]
    lite0, again = "--lite0" in sys.argv, "--again" in sys.argv
    for name in names():
        if wanted and not any(part in name for part in wanted):
            continue
        if name not in results or (lite0 and LITE0[0] not in results[name]):
            results[name] = {**results.get(name, {}), **(with_lite0 if lite0 else measured)(name)}
        elif again:
            results[name] |= with_lite0(name) if lite0 else measured(name, ())
        else:
            continue
        print(name, results[name], flush=True)
        write_atomically(RESULTS, json.dumps(results, indent=1).encode())
