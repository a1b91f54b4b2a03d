"""Features are finite float32 rows, or the detector and the fault are named."""

import numpy as np
import pytest

from oddlens.errors import OptionError
from oddlens.protocols import Encoded
from oddlens.scoring import features
from oddlens.scoring.features import checked_features


class Mine:
    """A detector, for its name."""


def test_features_come_as_single_precision():
    rows = np.arange(6.0).reshape(3, 2)
    found = checked_features(Encoded(embedding=rows), Mine())
    assert found.dtype == np.float32
    assert np.array_equal(found, rows)


@pytest.mark.parametrize("embedding", [None, np.zeros(3, np.float32), np.zeros((3, 0), np.float32)])
def test_what_is_no_embedding_is_named(embedding):
    with pytest.raises(OptionError, match=r"Mine needs an embedding of \(n, d\) features"):
        checked_features(Encoded(embedding=embedding), Mine())


@pytest.mark.parametrize("value", [np.nan, -np.inf, 1e39])
@pytest.mark.parametrize("row", [0, 6])
def test_a_value_that_is_not_finite_is_found_in_any_batch(monkeypatch, value, row):
    monkeypatch.setattr(features, "BATCH_VALUES", 4)
    rows = np.zeros((7, 2))
    rows[row, 1] = value
    with pytest.raises(OptionError, match="Mine needs finite features"):
        checked_features(Encoded(embedding=rows), Mine())


def test_what_was_looked_at_is_let_go_batch_by_batch(monkeypatch):
    let_go = []
    monkeypatch.setattr(features, "BATCH_VALUES", 8)
    monkeypatch.setattr(features, "let_go", let_go.append)
    rows = np.ones((10, 4))
    assert features.all_finite(rows)
    assert [len(part) for part in let_go] == [2] * 5
    assert all(part.base is rows for part in let_go)
