import numpy as np
import pytest
from sklearn.base import BaseEstimator

from oddlens import registry
from oddlens.errors import OptionError
from oddlens.protocols import Encoded
from oddlens.views import EFFORTS, TailWeight, View, chosen, columns, fusion, parsed


@pytest.mark.parametrize("effort", EFFORTS)
def test_every_view_of_every_effort_can_be_made_and_fits_together(effort):
    for view in chosen(effort):
        encoder = registry.create("encoder", view.encoder, **view.encoder_options)
        detector = registry.create("detector", view.detector, **view.options)
        assert detector.needs <= encoder.gives
        rows = np.random.default_rng(0).normal(size=(60, 20)).astype(np.float32)
        detector.set_params(**{"n_estimators": 5} if "n_estimators" in view.options else {})
        encoded = Encoded(embedding=rows, maps=rows.reshape(60, 2, 2, 5).astype(np.float16))
        assert len(detector.fit(encoded).score_own()) == 60, "its options are allowed"


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
    assert columns([("a", "x")]) == ["x"]


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


def test_a_number_is_the_same_weight_whatever_the_collection():
    weight = View("a", "x", tail_weight=0.5).tail_weights
    assert weight == TailWeight(0.5, 0.5, 0.5)
    assert [weight.of(channels, kinds) for channels in (1, 3) for kinds in (0.0, 0.3, 1.0)] == [0.5] * 6
    assert View("a", "x").tail_weights == TailWeight(0, 0, 0)
    assert View("a", "x").lead == 1


def weights(kind):
    return {columns([(view.encoder, view.detector), ("", "")])[0]: getattr(view.tail_weights, kind)
            for view in chosen("default")}


def test_how_loud_the_default_views_are():
    # docs/lab/fusion.md, "How loud": in grey images of one kind the quietest that still ends the cliff
    assert weights("one") == {
        "dictionary+burnout": 0, "dictionary+self_training": 0, "dictionary+subspace": 0.025, "pixels+subspace": 0.025,
        "pixels+forest": 0.05, "hog+burnout": 0.05, "statistics+burnout": 0.0125, "statistics+forest": 0,
        "patch_maps+places": 0, "texture+places": 0, "texture+burnout": 0.1, "alterations+places": 0.1,
        "lines+places": 0.1, "lines+burnout": 0.1, "pixels+burnout": 0.1}
    assert {view.options["n_estimators"] for view in chosen("default") if view.detector == "forest"} == {500}
    many, colour = weights("many"), weights("colour")
    of_detail = ("texture", "alterations", "lines", "pixels+burnout")
    assert all(0 <= weight < 0.1 for view, weight in many.items() if not view.startswith(("statistics", *of_detail)))
    assert all(0.1 < many[view] < 0.5 for view in many if view.startswith("statistics"))
    assert many["texture+burnout"] == colour["texture+burnout"] == 0.1  # it leads where it is
    assert many["alterations+places"] == colour["alterations+places"] == 0.1  # they lead too (docs/lab/maps.md)
    assert {weights[f"lines+{name}"] for weights in (many, colour) for name in ("places", "burnout")} == {0.1}
    assert many["pixels+burnout"] == colour["pixels+burnout"] == 0.1
    loud = [weight for view, weight in colour.items() if many[view] and not view.startswith(of_detail)]
    assert all(0.5 <= weight <= 1 for weight in loud)


def test_the_dictionary_leads_and_at_most_effort_three_of_them_do():
    views = [view for view in chosen("thorough") if not view.detail]
    leads = [(view.detector, view.encoder_options.get("random_state", 0)) for view in views if view.lead]
    assert {view.encoder for view in views if view.lead} == {"dictionary"}
    assert all(view.lead == 1 for view in views if view.lead)
    assert sorted({detector for detector, _ in leads}) == ["burnout", "self_training"]
    assert len(set(leads)) == len(leads) == 6
    assert [view.unimodal for view in views if view.lead] == [False, True] * 3
    assert chosen("thorough")[: len(chosen("default"))] == chosen("default")
    detailed = [view for view in chosen("thorough") if view.detail]
    assert [(view.encoder, view.detector, view.lead) for view in detailed] == [
        ("patch_maps", "places", 1), ("texture", "places", 1), ("texture", "burnout", 1), ("alterations", "places", 2),
        ("lines", "places", 1), ("lines", "burnout", 1), ("pixels", "burnout", 0)]
    assert [(view.encoder, view.detector) for view in chosen("fast")] == [("dictionary", "burnout")]


def test_where_views_of_detail_lead_too_a_tail_is_as_loud_beside_each_as_without_them():
    small = {"a": View("a", "x"), "b": View("b", "x", lead=0, tail_weight=TailWeight(0.6, 0.3, 0.9))}
    large = {"c": View("c", "x", lead=2, tail_weight=0.1, detail=True)}
    assert fusion(small, 1, 1.0).tails == {"b": 0.6}
    assert fusion(small | large, 1, 1.0).tails == pytest.approx({"b": 0.2, "c": 0.1})
    framed = large | {"d": View("d", "x", lead=1, detail=True, by_place=True)}
    assert fusion(small | framed, 3, 1.0, 1.0).tails == pytest.approx({"b": 0.225, "c": 0.1})  # whatever the frame
    assert fusion({"b": small["b"]} | large, 1, 1.0).tails == {"b": 0.6, "c": 0.1}  # none of the small ones leads
    known = {"a": View("a", "x"), "b": View("b", "x", lead=0, tail_weight=TailWeight(0.6, 0.3, 0.9, 0.05))}
    assert [fusion(known | large, 1, kinds).tails["b"] for kinds in (0.0, 1.0)] == [0.05, 0.05]  # grey photographs
    assert fusion(known | large, 3, 1.0).tails["b"] == pytest.approx(0.3)
    assert fusion(known, 1, 1.0).tails == {"b": 0.6}  # no photographs
    assert fusion({"b": known["b"]} | large, 1, 1.0).tails["b"] == 0.05  # of which none of the small copy leads
    number = {"a": View("a", "x"), "b": View("b", "x", lead=0, tail_weight=0.6)}
    assert fusion(number | large, 1, 1.0).tails == {"b": 0.6, "c": 0.1}  # as asked for


def test_a_fusion_knows_which_leads_read_the_same_kind_of_features():
    class Own(BaseEstimator):
        """One of somebody's own."""

    own, another = Own(), Own()
    views = {"a": View("hog", "x"), "b": View(registry.create("encoder", "hog"), "y"), "c": View(own, "x"),
             "d": View("pixels", "x", lead=0, tail_weight=1), "e": View(own, "y"), "f": View(another, "x")}
    assert fusion(views, 1, 1.0).sees == {"a": "hog", "b": "hog", "c": "c", "e": "c", "f": "f"}


def test_some_lead_only_where_the_collection_is_of_one_kind():
    views = {"a": View("a", "x"), "b": View("b", "x", unimodal=True)}
    assert [fusion(views, 1, kinds).leads for kinds in (0.0, 1.0)] == [{"a": 1.0}, {"a": 0.5, "b": 0.5}]
    assert fusion(views, 1, 0.25).leads == {"a": 0.8, "b": 0.2}


def test_in_pictures_of_one_frame_views_by_place_lead():
    views = {"a": View("a", "x"), "b": View("b", "x", by_place=True), "c": View("c", "x", lead=0, tail_weight=0.3)}
    assert fusion(views, 1, 1.0, 0.0).leads == {"a": 0.5, "b": 0.5}
    assert fusion(views, 1, 1.0, 0.75).leads == {"a": 0.2, "b": 0.8}
    assert fusion(views, 1, 1.0, 1.0).leads == {"b": 1.0}
    assert fusion(views, 1, 1.0, 0.75).tails == {"c": 0.3}
    alone = {name: view for name, view in views.items() if name != "b"}
    assert fusion(alone, 1, 1.0, 1.0).leads == {"a": 1.0}  # where nobody judges by place, it is no matter


def test_someone_must_lead():
    for lead in (0, -1):
        with pytest.raises(OptionError, match="No view leads"):
            fusion({"a": View("a", "x", lead=lead)}, 1, 0.0)
    assert fusion({"a": View("a", "x", lead=0.01)}, 1, 0.0).leads == {"a": 1}
