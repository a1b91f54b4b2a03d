"""Images in memory, judged by a fitted model: what ``oddlens score`` says of files, as plain values."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from oddlens import run_folder
from oddlens.errors import UnreadableImage
from oddlens.explaining.explainer import NewExplainer
from oddlens.pixels import read_near
from oddlens.ranking import Ranking
from oddlens.reading.decoding import as_picture
from oddlens.reading.limits import Limits
from oddlens.report.thumbnails import overlaid
from oddlens.review.labels import said_in
from oddlens.run import judge, opened
from oddlens.sources.encoded import EncodedSource

HEATED = 640  # pixels on the longer side of a heat map


@dataclass(frozen=True)
class Upload:
    """An image file as it was sent."""

    name: str
    content: bytes


class Scorer:
    """A model that judges images in memory. One thread at a time: its compiled loops use all cores already.

    path:    of a saved model, or of a run, whose labels count and whose kept images explain.
    n_jobs:  threads for reading and scoring; by default one for each core.
    limits:  what decoding one image may take.
    """

    def __init__(self, path: str | Path, *, n_jobs: int | None = None, limits: Limits | None = None) -> None:
        self.limits = limits
        self.model, self.memory = opened(path, said_in(Path(path) / run_folder.LABELS), n_jobs)
        self._fitted = np.sort(self.model.rank().scores)

    @property
    def fitted(self) -> int:
        """How many images the model was fitted to."""
        return len(self._fitted)

    @property
    def views(self) -> list[str]:
        """The columns of the views' own scores."""
        return list(self.model.sees_)

    def warm(self) -> None:
        """Judge a grey picture: loops are compiled and processes started before the first image that counts."""
        content = io.BytesIO()
        Image.new("L", (self.model.format_.width, self.model.format_.height), 128).save(content, "PNG")
        self.score([Upload("grey.png", content.getvalue())])

    def score(self, uploads: Sequence[Upload]) -> list[dict[str, Any]]:
        """What is said of each image, in their order; of one that cannot be read the reason, as "error"."""
        source = self._source(uploads)
        ranking, collection, explainer = judge(self.model, source, self.memory)
        reasons = dict(collection.unreadable)
        rows = {int(place): row for row, place in enumerate(collection.indices)}
        return [{"name": source.name(place),
                 **(self._said(ranking, explainer, rows[place]) if place in rows else
                    {"error": reasons[source.name(place)]})} for place in range(len(source))]

    def heat(self, upload: Upload) -> bytes | None:
        """An image with the strange places coloured, as PNG; None where none stands out.

        Raises ``UnreadableImage``. It scores 101 variants of the image, which takes a second or so.
        """
        source = self._source([upload])
        _, collection, explainer = judge(self.model, source, self.memory)
        for name, reason in collection.unreadable:
            raise UnreadableImage(name, reason)
        heat = None if explainer is None else explainer.heat(0)[0]
        if heat is None:
            return None
        picture = as_picture(read_near(source, 0, HEATED)[0])
        picture.thumbnail((HEATED, HEATED), Image.Resampling.LANCZOS, reducing_gap=3)
        content = io.BytesIO()
        as_picture(overlaid(picture, heat, HEATED)).save(content, "PNG")
        return content.getvalue()

    def _source(self, uploads: Sequence[Upload]) -> EncodedSource:
        return EncodedSource([upload.name for upload in uploads], lambda place: uploads[place].content, self.limits)

    def _said(self, ranking: Ranking, explainer: NewExplainer | None, row: int) -> dict[str, Any]:
        image = ranking.image(row)
        causes = ranking.causes[row] if ranking.causes else ""
        probability = ranking.measures.get("probability")
        return {
            "score": image.score, "p_value": image.p_value, "flagged": image.flagged,
            "rank": 1 + self.fitted - int(np.searchsorted(self._fitted, image.score, side="right")),
            "fitted": self.fitted,
            "probability": None if probability is None else float(probability[row]),
            "causes": [cause for cause in causes.split(", ") if cause],
            "reasons": [] if explainer is None else [
                {"text": reason.text, "images": [explainer.fitted_names[at] for at in reason.examples]}
                for reason in explainer.reasons(row)],
            "views": dict(image.members),
        }
