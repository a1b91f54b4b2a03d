"""The contract of a detector, a check for each sentence of it."""

from __future__ import annotations

import numpy as np

from oddlens.protocols import Detector, Encoded, Explains, Judges, Reason, Seeks
from oddlens.testing.asking import (
    apart,
    arrays_of,
    ask,
    reading_only,
    require_array,
    require_bad_options_refused,
    require_fields,
    require_methods,
    require_not_fitted,
    require_options,
    require_options_untouched,
    require_self,
    require_words,
    restored,
    rows_of,
    unfitted,
    with_one_strange,
)


def check_detector(detector: Detector, encoded: Encoded | None = None) -> None:
    """Raise ``ContractError`` if a detector does not hold to the contract.

    encoded:  what an encoder made of 20 images or more, with all that the detector needs; by default made up.
    """
    for check in DETECTOR_CHECKS:
        check(detector, sample_encoded() if encoded is None else encoded)


def sample_encoded(n: int = 60) -> Encoded:
    """What an encoder that gives everything could have made of n images, of one kind."""
    rng = np.random.default_rng(0)
    on = (np.arange(8) < 4) ^ (rng.random((n, 8)) < 0.1)
    nodes = (np.where(on, 0.9, 0.1) + rng.uniform(-0.05, 0.05, (n, 8))).astype(np.float32)
    return Encoded(
        embedding=rng.normal(size=(n, 5)).astype(np.float32), residual=rng.uniform(0.01, 0.02, n),
        activations={"hidden": nodes}, pathway={"hidden": rng.normal(size=(n, 8)).astype(np.float32)},
        maps=rng.normal(size=(n, 4, 4, 3)).astype(np.float16), node_types={"hidden": "sigmoid"},
        surprise=rng.uniform(0.1, 0.5, n))


def detector_has_the_methods(detector: Detector, _: Encoded) -> None:
    """It has all methods of a detector, and ``needs`` names fields of ``Encoded``."""
    require_methods(detector, ("fit", "score_own", "score_new", "get_state", "set_state"))
    require_fields(detector, "needs")
    if isinstance(detector, Judges):
        require_words(detector, "judges", detector.judges)
    if isinstance(detector, Seeks):
        require_words(detector, "seeks", detector.seeks)


def detector_keeps_its_options(detector: Detector, encoded: Encoded) -> None:
    """Its constructor stores its options and does no more."""
    require_options(detector)
    require_options_untouched(detector, lambda fresh: fresh.fit(encoded))
    require_bad_options_refused(detector, lambda fresh: fresh.fit(encoded))


def detector_says_that_it_is_not_fitted(detector: Detector, encoded: Encoded) -> None:
    """Before ``fit``, ``score_own``, ``score_new`` and ``get_state`` raise ``NotFittedError``."""
    require_not_fitted(detector, "score_own", lambda fresh: fresh.score_own())
    require_not_fitted(detector, "score_new", lambda fresh: fresh.score_new(encoded))
    require_not_fitted(detector, "get_state", lambda fresh: fresh.get_state())


def detector_leaves_what_was_encoded_alone(detector: Detector, encoded: Encoded) -> None:
    """Neither ``fit`` nor ``score_new`` writes into what was encoded; ``fit`` gives the detector itself."""
    fresh, given = unfitted(detector), rows_of(encoded, slice(None))
    with reading_only(detector, "fit or score_new", arrays_of(given).values()):
        require_self(fresh, fresh.fit(given))
        fresh.score_new(given)
    before = arrays_of(encoded)
    for key, array in arrays_of(given).items():
        ask(np.array_equal(array, before[key]), detector, "fit or score_new", "to leave what was encoded as it is",
             f"another {key}")


def detector_gives_a_number_an_image(detector: Detector, encoded: Encoded) -> None:
    """Scores are (n,) float64 and finite, of the fitted images and of any number of others."""
    fresh = unfitted(detector).fit(encoded)
    require_array(detector, "score_own", fresh.score_own(), np.float64, len(encoded), 1)
    for count in (9, 1):
        require_array(detector, "score_new", fresh.score_new(rows_of(encoded, slice(0, count))), np.float64, count, 1)


def detector_scores_the_strange_higher(detector: Detector, encoded: Encoded) -> None:
    """An image that is out in everything that the detector reads scores above most others, fitted or new."""
    strange = with_one_strange(encoded)
    own = unfitted(detector).fit(strange).score_own()
    wanted = "larger scores for stranger images: one that is far out in all that it needs above half of the others"
    ask(own[0] > np.median(own), detector, "score_own", wanted, f"{own[0]:.4g} beside {np.median(own):.4g}")
    fresh = unfitted(detector).fit(rows_of(strange, slice(1, None)))
    new, middle = float(fresh.score_new(rows_of(strange, slice(0, 1)))[0]), float(np.median(fresh.score_own()))
    ask(new > middle, detector, "score_new", wanted, f"{new:.4g} beside {middle:.4g}")


def detector_is_the_same_again(detector: Detector, encoded: Encoded) -> None:
    """Two fits with the same options to the same give the same scores."""
    one, two = (unfitted(detector).fit(encoded).score_own() for _ in range(2))
    ask(np.array_equal(one, two), detector, "fit", "the same scores from the same options and images",
         f"others the second time ({apart(one, two)}): draw from np.random.default_rng(random_state)")


def detector_takes_images_one_by_one(detector: Detector, encoded: Encoded) -> None:
    """A new image's score does not depend on the others that are scored at the same time."""
    half = len(encoded) // 2
    fresh = unfitted(detector).fit(rows_of(encoded, slice(0, half)))
    whole = fresh.score_new(rows_of(encoded, slice(half, None)))
    alone = [float(fresh.score_new(rows_of(encoded, slice(row, row + 1)))[0]) for row in range(half, len(encoded))]
    ask(np.allclose(whole, alone, rtol=1e-6, atol=1e-9), detector, "score_new",
        "each score to depend on its own image alone", f"others for the same images one by one ({apart(whole, alone)})")


def detector_comes_back_from_its_state(detector: Detector, encoded: Encoded) -> None:
    """``set_state`` of what ``get_state`` gave makes a detector with the same scores; what does not fit is refused."""
    fresh = unfitted(detector).fit(encoded)
    again = restored(detector, fresh.get_state())
    for method, one, two in (("score_own", fresh.score_own(), again.score_own()),
                             ("score_new", fresh.score_new(encoded), again.score_new(encoded))):
        ask(np.array_equal(one, two), detector, "set_state", f"a detector with the same {method} as the saved one",
             f"other scores ({apart(one, two)})")


def detector_gives_reasons(detector: Detector, encoded: Encoded) -> None:
    """Where it has ``explain_own``, that gives a list of ``Reason`` with words, and rows of fitted images."""
    if not isinstance(detector, Explains):
        return
    fresh = unfitted(detector).fit(encoded)
    assert isinstance(fresh, Explains)  # noqa: S101  a copy of one that does
    for row in range(len(encoded)):
        reasons = fresh.explain_own(row)
        ask(isinstance(reasons, list) and all(isinstance(reason, Reason) for reason in reasons), detector,
             "explain_own", "a list of Reason", repr(reasons))
        for reason in reasons:
            ask(bool(str(reason.text).strip()), detector, "explain_own", "a reason in words", repr(reason.text))
            ask(all(0 <= example < len(encoded) for example in reason.examples), detector, "explain_own",
                 f"examples that are rows of the {len(encoded)} fitted images", repr(reason.examples))


DETECTOR_CHECKS = (
    detector_has_the_methods, detector_keeps_its_options, detector_says_that_it_is_not_fitted,
    detector_leaves_what_was_encoded_alone, detector_gives_a_number_an_image, detector_scores_the_strange_higher,
    detector_is_the_same_again, detector_takes_images_one_by_one, detector_comes_back_from_its_state,
    detector_gives_reasons)
