import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from oddlens.detectors.reconstruction import Reconstruction
from oddlens.errors import OptionError, SavedModelError
from oddlens.protocols import Encoded


def errors(*values):
    return Encoded(residual=np.array(values, np.float64))


def test_the_score_is_the_residual():
    detector = Reconstruction().fit(errors(0.1, 0.4, 0.2))
    assert detector.score_own().tolist() == [0.1, 0.4, 0.2]
    assert detector.score_new(errors(0.9, 0.0)).tolist() == [0.9, 0.0]


def test_scores_are_nobody_elses_array():
    encoded = errors(0.1, 0.4)
    detector = Reconstruction().fit(encoded)
    encoded.residual[:] = 7
    detector.score_own()[:] = 8
    assert detector.score_own().tolist() == [0.1, 0.4]


def test_state_round_trip():
    detector = Reconstruction().fit(errors(0.1, 0.4, 0.2))
    again = Reconstruction().set_state(detector.get_state())
    assert np.array_equal(again.score_own(), detector.score_own())
    assert np.array_equal(again.score_new(errors(0.3)), [0.3])


@pytest.mark.parametrize("encoded", [
    Encoded(embedding=np.zeros((3, 2), np.float32)),
    errors(0.1, np.nan),
    errors(0.1, np.inf),
    Encoded(residual=np.zeros((3, 2))),
    Encoded(residual=np.array(0.1)),
])
def test_what_cannot_be_scored_is_refused(encoded):
    with pytest.raises(OptionError):
        Reconstruction().fit(encoded)
    with pytest.raises(OptionError):
        Reconstruction().fit(errors(0.1, 0.2)).score_new(encoded)


def test_how_many_are_not_finite_is_said():
    with pytest.raises(OptionError, match=r"^3 reconstruction errors"):
        Reconstruction().fit(errors(0.1, np.nan, np.inf, -np.inf, 0.2))


def test_not_fitted_is_said():
    for ask in (lambda d: d.score_own(), lambda d: d.score_new(errors(0.1)), lambda d: d.get_state()):
        with pytest.raises(NotFittedError):
            ask(Reconstruction())


@pytest.mark.parametrize("state", [
    {},
    {"own": np.zeros((2, 2))},
    {"own": np.zeros(0)},
    {"own": np.zeros(3, np.float32)},
    {"own": np.array([0.1, np.nan])},
    {"own": np.zeros(3), "more": np.zeros(3)},
    {"own": np.array(0.1)},
    {"own": np.zeros(3, np.complex128)},
])
def test_hostile_states_are_refused(state):
    with pytest.raises(SavedModelError):
        Reconstruction().set_state(state)
