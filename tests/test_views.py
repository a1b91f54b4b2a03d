import pytest

from oddlens import registry
from oddlens.errors import OptionError
from oddlens.views import EFFORTS, View, chosen, columns, fusion, parsed


@pytest.mark.parametrize("effort", EFFORTS)
def test_every_view_of_every_effort_can_be_made_and_fits_together(effort):
    for view in chosen(effort):
        encoder = registry.create("encoder", view.encoder, **view.encoder_options)
        detector = registry.create("detector", view.detector, **view.options)
        assert detector.needs <= encoder.gives


def test_an_unknown_effort_is_refused_with_the_list():
    with pytest.raises(OptionError, match="default, fast, thorough"):
        chosen("extreme")


@pytest.mark.parametrize("text", ["", "dictionary", "+neighbors", "dictionary+", "+"])
def test_what_is_no_view_is_refused(text):
    with pytest.raises(OptionError, match=r"ENCODER\+DETECTOR"):
        parsed(text)


def test_a_view_in_words():
    assert parsed("hog + neighbors") == View("hog", "neighbors")


def test_columns_are_called_by_what_tells_them_apart():
    assert columns([("a", "x"), ("a", "y")]) == ["x", "y"]
    assert columns([("a", "x"), ("b", "x")]) == ["a+x", "b+x"]


def test_leads_share_and_quiet_views_are_louder_in_small_collections():
    views = {"a": View("a", "x"), "b": View("b", "x", lead=3), "c": View("c", "x", lead=0, tail=2)}
    large, small = (fusion(views, n, 1, 1.0) for n in (10_000, 100))
    assert large.leads == {"a": 0.25, "b": 0.75}
    assert small.tails == {"c": 2.0}
    assert 0 < large.tails["c"] < small.tails["c"]


def test_some_lead_only_where_the_collection_is_of_one_kind():
    views = {"a": View("a", "x"), "b": View("b", "x", one_kind=True)}
    assert [fusion(views, 100, 1, kinds).leads for kinds in (0.0, 1.0)] == [{"a": 1.0}, {"a": 0.5, "b": 0.5}]


def test_someone_must_lead():
    with pytest.raises(OptionError, match="No view leads"):
        fusion({"a": View("a", "x", lead=0)}, 10, 1, 0.0)
