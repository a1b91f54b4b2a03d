"""oddlens finds the odd images in a collection that nobody has labelled."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from oddlens.errors import OddlensError as OddlensError
    from oddlens.job import rank as rank
    from oddlens.model import AnomalyModel as AnomalyModel
    from oddlens.outliers import Outliers as Outliers
    from oddlens.protocols import Detector as Detector
    from oddlens.protocols import Encoded as Encoded
    from oddlens.protocols import Encoder as Encoder
    from oddlens.protocols import ImageSource as ImageSource
    from oddlens.ranking import Ranking as Ranking
    from oddlens.saving import load_model as load_model
    from oddlens.saving import save_model as save_model
    from oddlens.sources import open_source as open_source

# Loaded on first use, so that `import oddlens` costs milliseconds and no torch.
_HOMES = {
    "AnomalyModel": "model",
    "Detector": "protocols",
    "Encoded": "protocols",
    "Encoder": "protocols",
    "ImageSource": "protocols",
    "OddlensError": "errors",
    "Outliers": "outliers",
    "Ranking": "ranking",
    "load_model": "saving",
    "open_source": "sources",
    "rank": "job",
    "save_model": "saving",
}

__all__ = [
    "AnomalyModel",
    "Detector",
    "Encoded",
    "Encoder",
    "ImageSource",
    "OddlensError",
    "Outliers",
    "Ranking",
    "load_model",
    "open_source",
    "rank",
    "save_model",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"oddlens.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'oddlens' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
