import pytest

from oddlens import registry
from oddlens.errors import OptionError
from oddlens.views import EFFORTS, TailWeight, View, chosen, columns, fusion, parsed


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


def test_leads_share_and_other_views_are_as_loud_as_the_collection_lets_them():
    views = {"a": View("a", "x"), "b": View("b", "x", lead=3), "d": View("d", "x", lead=0, tail_weight=0.5),
             "c": View("c", "x", lead=0, tail_weight=TailWeight(0.1, 0.3, 0.8))}
    one, between, many, colour = (fusion(views, channels, kind)
                                  for channels, kind in ((1, 1.0), (1, 0.5), (1, 0.0), (3, 1.0)))
    assert one.leads == many.leads == {"a": 0.25, "b": 0.75}
    assert one.tails == {"c": 0.1, "d": 0.5}
    assert between.tails["c"] == pytest.approx(0.125)
    assert many.tails["c"] == pytest.approx(0.3)
    assert colour.tails == {"c": 0.8, "d": 0.5}


def test_some_lead_only_where_the_collection_is_of_one_kind():
    views = {"a": View("a", "x"), "b": View("b", "x", unimodal=True)}
    assert [fusion(views, 1, kinds).leads for kinds in (0.0, 1.0)] == [{"a": 1.0}, {"a": 0.5, "b": 0.5}]


def test_someone_must_lead():
    with pytest.raises(OptionError, match="No view leads"):
        fusion({"a": View("a", "x", lead=0)}, 1, 0.0)
