"""The views of a model together: who learns when, and what a method that gives nonsense is told."""

import numpy as np
import pytest

from instant import InstantEncoder
from oddlens.detectors.neighbors import Neighbors
from oddlens.detectors.reconstruction import Reconstruction
from oddlens.ensemble import Ensemble
from oddlens.errors import OptionError
from oddlens.progress import listening
from oddlens.protocols import Encoded
from oddlens.scoring.structure import unimodality
from oddlens.views import View


class Counting(InstantEncoder):
    """Counts how often it learns, and what it is asked for."""

    def fit(self, pixels):
        self.fits_ = getattr(self, "fits_", 0) + 1
        return super().fit(pixels)

    def encode(self, pixels, needs):
        self.needs_ = needs
        return super().encode(pixels, needs)


def ensemble(encoder=None, **detectors):
    detectors = detectors or {"near": Neighbors(k=3), "rebuilt": Reconstruction()}
    return Ensemble({"one": encoder or Counting()}, detectors, dict.fromkeys(detectors, "one"),
                    {column: View("one", column) for column in detectors})


def test_an_encoder_learns_once_and_is_asked_for_what_all_its_detectors_need(dots):
    views = ensemble()
    reports, timings = [], {}
    with listening(lambda *report: reports.append(report)):
        own = views.fit(dots, timings)
    assert list(own) == ["near", "rebuilt"]
    assert views.encoders["one"].fits_ == 1
    assert views.encoders["one"].needs_ == {"embedding", "residual"}
    assert set(timings) == {"learning", "encoding", "scoring"}
    assert [report for report in reports if report[0] == "scoring"] == [("scoring", 1, 2), ("scoring", 2, 2)]


def test_scores_are_those_of_the_detectors(dots):
    views = ensemble()
    own = views.fit(dots, {})
    assert np.array_equal(own["near"], views.detectors["near"].score_own())
    encoded = views.encoders["one"].encode(dots[:4], views.needs("one"))
    assert np.array_equal(views.score(dots[:4])["near"], views.detectors["near"].score_new(encoded))


def test_unimodality_is_that_of_the_first_embedding():
    images = np.random.default_rng(0).integers(0, 256, (120, 8, 8, 1), dtype=np.uint8)
    views = ensemble(InstantEncoder(latent=40))
    views.fit(images, {})
    encoded = views.encoders["one"].encode(images, frozenset({"embedding"}))
    assert views.unimodality == unimodality(encoded.embedding) > 0


class Forgetful(InstantEncoder):
    """Gives one row too few."""

    def encode(self, pixels, needs):
        return Encoded(embedding=super().encode(pixels, needs).embedding[1:])


class Silent(InstantEncoder):
    """Gives nothing."""

    def encode(self, pixels, needs):
        return Encoded()


@pytest.mark.parametrize(("encoder", "got"), [(Forgetful(), r"gave an array of \(119, 6\)"), (Silent(), "gave none")])
def test_an_encoder_that_gives_too_little_is_named(encoder, got, dots):
    with pytest.raises(OptionError, match=rf"Encoder one was asked for embedding .* and {got}.*encoder says"):
        ensemble(encoder, near=Neighbors(k=3)).fit(dots, {})


@pytest.mark.parametrize("scores", [np.zeros(3), np.full(120, np.nan), "high", [[1.0]] * 120])
def test_a_detector_that_gives_no_scores_is_named(scores, dots):
    class Wrong(Neighbors):
        """Gives what it is told to."""

        def score_own(self):
            return scores

    with pytest.raises(OptionError, match=r"Detector near was asked for the scores .* and gave.*detector says"):
        ensemble(near=Wrong(k=3)).fit(dots, {})
