"""Plain words for views, also of encoders and detectors from elsewhere."""

from instant import InstantEncoder
from oddlens import registry
from oddlens.model import AnomalyModel
from oddlens.protocols import Judges, LooksAt, Seeks
from oddlens.report.headings import seeks, title


def test_ours_all_have_plain_words():
    assert all(isinstance(registry.create("encoder", name), LooksAt) for name in registry.names("encoder"))
    for name in registry.names("detector"):
        detector = registry.create("detector", name)
        assert isinstance(detector, Judges), name
        assert isinstance(detector, Seeks), name
        assert detector.seeks.startswith("images "), name


def test_a_view_is_called_by_both_and_a_plugin_by_its_column_unless_it_says_more(dots):
    model = AnomalyModel(views=[(InstantEncoder(), "neighbors"), ("pixels", "neighbors")]).fit(dots)
    other, ours = model.own_
    assert title(model, ours) == "Pixels, compared with its nearest neighbours"
    assert title(model, other) == other
    assert seeks(model, other).startswith("It looks for images whose")
    model.encoders_[model.sees_[other]].looks_at = "main directions"
    assert title(model, other) == "Main directions, compared with its nearest neighbours"


def test_two_views_of_one_kind_are_told_apart_by_their_columns(dots):
    model = AnomalyModel(views=[(InstantEncoder(4), "neighbors"), (InstantEncoder(6), "neighbors")]).fit(dots)
    for encoder in model.encoders_.values():
        encoder.looks_at = "main directions"
    titles = [title(model, column) for column in model.own_]
    assert len(set(titles)) == 2
