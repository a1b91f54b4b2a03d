"""Which nodes are on: thresholds, packed bits and empirical p-values, against loops by hand."""

import numpy as np
import pytest

from oddlens.errors import OptionError
from oddlens.scoring import activity
from oddlens.scoring.activity import (
    blocks,
    node_names,
    pack,
    rarity,
    reference,
    shares_on,
    tail_shares,
    thresholds,
    unpack,
)

LAYERS = {"one": np.array([[0.2, 0.6, -1.0], [0.5, 0.51, 2.0]], np.float32),
          "two": np.array([[3.0], [-3.0]], np.float32)}


def test_nodes_are_named_by_layer_and_number():
    assert node_names(LAYERS) == ["one 0", "one 1", "one 2", "two 0"]


def test_blocks_put_the_layers_side_by_side_however_many_rows_fit(monkeypatch):
    monkeypatch.setattr(activity, "BLOCK_VALUES", 4)  # one row at a time
    found = list(blocks(LAYERS))
    assert [rows for rows, _ in found] == [slice(0, 1), slice(1, 2)]
    assert np.array_equal(np.concatenate([block for _, block in found]), np.hstack(list(LAYERS.values())))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_activations_that_are_no_numbers_name_the_way_out(value):
    with pytest.raises(OptionError, match="lower learning_rate"):
        list(blocks({"one": np.array([[value]], np.float32)}))


def test_a_sigmoid_node_is_on_above_one_half_and_any_other_above_zero():
    assert thresholds(LAYERS, {"one": "sigmoid", "two": "relu"}, "auto").tolist() == [0.5, 0.5, 0.5, 0.0]


def test_a_share_is_each_nodes_own_quantile():
    values = {"a": np.stack([np.arange(101.0), 10 * np.arange(101.0)], 1).astype(np.float32)}
    assert thresholds(values, {}, 0.9) == pytest.approx([90, 900])


@pytest.mark.parametrize("active", ["on", 0, 1, 1.5, -0.1])
def test_any_other_threshold_is_refused(active):
    with pytest.raises(OptionError, match="active must be 'auto' or a share between 0 and 1"):
        thresholds(LAYERS, {}, active)


def test_bits_come_back_and_are_counted():
    rng = np.random.default_rng(0)
    layers = {"a": rng.normal(size=(50, 11)).astype(np.float32)}
    bits = pack(layers, np.zeros(11, np.float32))
    assert bits.shape == (50, 2)
    assert np.array_equal(unpack(bits, 11), layers["a"] > 0)
    assert shares_on(bits, 11) == pytest.approx((layers["a"] > 0).mean(0))


def test_the_reference_is_spread_over_the_collection(monkeypatch):
    monkeypatch.setattr(activity, "REFERENCE_IMAGES", 3)
    rows, values = reference({"a": np.arange(11.0)[:, None]})
    assert rows.tolist() == [0, 5, 10]
    assert values.ravel().tolist() == [0, 5, 10]


def test_a_rare_state_is_telling_and_none_is_rarer_than_half_an_image():
    logs, common, _ = rarity(np.array([[True, False, True]]), np.array([0.1, 0.1, 0.0]), 50)
    assert common[0] == pytest.approx([0.1, 0.9, 0.0])
    assert logs[0] == pytest.approx(-np.log([0.1, 0.9, 0.01]))


def test_tail_shares_are_two_sided_empirical_p_values():
    values = np.arange(10.0, dtype=np.float32)
    inside = np.array([False, False, False, True])
    block = np.array([[20], [-20], [4.5], [9]], np.float32)
    found = tail_shares(block, np.sort(values)[None], inside)[:, 0]
    # Beyond all of 10: 2 * 1 / 11. In the middle: 1. The largest itself, left out of its own reference: 2 * 1 / 10.
    assert found == pytest.approx([2 / 11, 2 / 11, 1, 0.2])
