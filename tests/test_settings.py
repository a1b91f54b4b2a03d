"""Settings as a command line gives them reach the encoder, detector or model that has the option."""

import pytest

from oddlens.errors import OptionError
from oddlens.settings import build_model, reseeded
from oddlens.views import chosen


def parts(model):
    return [(view.encoder, view.detector) for view in model.views]


def test_nothing_asked_for_is_the_default_with_its_own_options():
    model = build_model(random_state=5)
    assert len(model.views) == len(chosen("default"))
    assert model.random_state == 5
    for view, expected in zip(model.views, chosen("default"), strict=True):
        assert (view.lead, view.tail_weights) == (expected.lead, expected.tail_weights)
        for key, value in {**expected.options}.items():
            assert getattr(view.detector, key) == value
    assert all(encoder.random_state == 5 for encoder, _ in parts(model) if hasattr(encoder, "random_state"))


def test_a_setting_goes_wherever_there_is_such_an_option():
    model = build_model("dictionary", ["neighbors", "forest"], {"atoms": 7, "k": 3, "image_size": 20})
    assert [encoder.atoms for encoder, _ in parts(model)] == [7, 7]
    assert parts(model)[0][1].k == 3
    assert model.image_size == 20


def test_a_name_narrows_a_setting_to_one_method_or_one_view():
    model = build_model(views=["pixels+burnout", "hog+burnout", "pixels+forest"],
                        settings={"burnout.local": 0.5, "hog+burnout.local": 0.25, "forest.n_estimators": 9})
    assert [detector.local for _, detector in parts(model)[:2]] == [0.5, 0.25]
    assert parts(model)[2][1].n_estimators == 9


@pytest.mark.parametrize("setting", ["atom", "forest.k", "neighbors.atoms", "views", "hog+forest.n_estimators"])
def test_a_setting_that_nothing_takes_is_named(setting):
    with pytest.raises(OptionError, match="There is no option named"):
        build_model("dictionary", ["neighbors"], {setting: 3})


def test_views_and_methods_are_not_mixed():
    with pytest.raises(OptionError, match="Give either views, or an encoder and detectors"):
        build_model("pixels", views=["pixels+forest"])
    assert type(parts(build_model("pixels"))[0][1]).__name__ == "Neighbors"


def test_another_seed_reaches_every_part_and_leaves_the_model_alone():
    model = build_model("dictionary", ["forest"], random_state=1)
    fresh = reseeded(model, 9)
    assert (fresh.random_state, *(part.random_state for part in parts(fresh)[0])) == (9, 9, 9)
    assert (model.random_state, *(part.random_state for part in parts(model)[0])) == (1, 1, 1)
