import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from oddlens.detectors.surprise import Surprise
from oddlens.errors import OptionError, SavedModelError
from oddlens.protocols import Encoded


def nats(*values):
    return Encoded(surprise=np.array(values, np.float64))


def test_the_score_is_the_surprise():
    detector = Surprise().fit(nats(0.1, 0.4, 0.2))
    assert detector.score_own().tolist() == [0.1, 0.4, 0.2]
    assert detector.score_new(nats(0.9, 0.0)).tolist() == [0.9, 0.0]


def test_scores_are_nobody_elses_array():
    encoded = nats(0.1, 0.4)
    detector = Surprise().fit(encoded)
    encoded.surprise[:] = 7
    detector.score_own()[:] = 8
    assert detector.score_own().tolist() == [0.1, 0.4]


def test_state_round_trip():
    detector = Surprise().fit(nats(0.1, 0.4, 0.2))
    again = Surprise().set_state(detector.get_state())
    assert np.array_equal(again.score_own(), detector.score_own())
    assert np.array_equal(again.score_new(nats(0.3)), [0.3])


@pytest.mark.parametrize("encoded", [
    Encoded(embedding=np.zeros((3, 2), np.float32)), Encoded(residual=np.zeros(3)), nats(0.1, np.nan),
    nats(0.1, np.inf), Encoded(surprise=np.zeros((3, 2))), Encoded(surprise=np.array(0.1)),
])
def test_what_cannot_be_scored_is_refused(encoded):
    with pytest.raises(OptionError):
        Surprise().fit(encoded)
    with pytest.raises(OptionError):
        Surprise().fit(nats(0.1, 0.2)).score_new(encoded)


def test_not_fitted_is_said():
    for ask in (lambda d: d.score_own(), lambda d: d.score_new(nats(0.1)), lambda d: d.get_state()):
        with pytest.raises(NotFittedError):
            ask(Surprise())


@pytest.mark.parametrize("state", [
    {}, {"own": np.zeros((2, 2))}, {"own": np.zeros(0)}, {"own": np.zeros(3, np.float32)},
    {"own": np.array([0.1, np.nan])}, {"own": np.zeros(3), "more": np.zeros(3)}, {"own": np.array(0.1)},
    {"own": np.zeros(3, np.complex128)},
])
def test_hostile_states_are_refused(state):
    with pytest.raises(SavedModelError):
        Surprise().set_state(state)
