"""Plain words for views, also of encoders and detectors from elsewhere."""

import pytest

from instant import InstantEncoder
from oddlens import registry
from oddlens.model import AnomalyModel
from oddlens.wording import seeks, title


@pytest.mark.parametrize("kind", ["encoder", "detector"])
def test_ours_all_have_plain_words(kind):
    for name in registry.names(kind):
        found = registry.find(kind, name)
        assert found.plain_name, name
        assert kind == "encoder" or found.seeks.startswith("images ")


def test_a_view_is_called_by_both_and_a_plugin_by_its_column_unless_it_says_more(dots):
    model = AnomalyModel(views=[(InstantEncoder(), "neighbors"), ("pixels", "neighbors")]).fit(dots)
    other, ours = model.own_
    assert title(model, ours) == "Pixels, compared with its nearest neighbours"
    assert title(model, other) == other
    assert seeks(model, other).startswith("It looks for images whose")
    model.encoders_[model.sees_[other]].plain_name = "Main directions"
    assert title(model, other) == "Main directions, compared with its nearest neighbours"


def test_two_views_of_one_kind_are_told_apart_by_their_columns(dots):
    model = AnomalyModel(views=[(InstantEncoder(4), "neighbors"), (InstantEncoder(6), "neighbors")]).fit(dots)
    for encoder in model.encoders_.values():
        encoder.plain_name = "Main directions"
    titles = [title(model, column) for column in model.own_]
    assert len(set(titles)) == 2
