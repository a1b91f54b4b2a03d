"""A network comes back from its arrays, and arrays that are no network of that make are refused."""

import numpy as np
import pytest
import torch
from torch import nn

from oddlens.learning.network_state import load_weights, network_state


def make(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


@pytest.fixture
def state():
    return network_state(make(0), (2, 3, 1), [0.5, 0.25])


def test_the_state_is_arrays_and_names_the_weights(state):
    assert all(isinstance(value, np.ndarray) for value in state.values())
    assert state["network.0.weight"].shape == (4, 3)
    assert state["shape"].tolist() == [2, 3, 1]


def test_there_and_back_gives_the_same_answers_and_losses(state):
    other = make(1)
    x = torch.ones(2, 3)
    assert load_weights(other, state) == [0.5, 0.25]
    assert not other.training
    assert torch.equal(other(x), make(0).eval()(x))


@pytest.mark.parametrize(("key", "value", "message"), [
    ("network.0.weight", np.full((4, 3), np.nan, np.float32), "not finite"),
    ("losses", np.array([np.inf]), "not finite"),
    ("losses", np.array([]), "no training losses"),
    ("network.1.running_var", np.full(4, -1, np.float32), "variances below 0"),
])
def test_numbers_that_cannot_be_are_refused(state, key, value, message):
    with pytest.raises(ValueError, match=message):
        load_weights(make(1), {**state, key: value})


def test_weights_of_another_make_are_refused(state):
    with pytest.raises(RuntimeError, match="size mismatch"):
        load_weights(make(1), {**state, "network.0.weight": np.ones((5, 3), np.float32)})


def test_a_network_that_was_not_trained_needs_no_losses(state):
    assert load_weights(make(1), {**state, "losses": np.array([])}, trained=False) == []
