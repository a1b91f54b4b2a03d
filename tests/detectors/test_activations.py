import numpy as np
import pytest
from sklearn.base import clone

from oddlens import AnomalyModel, load_model, save_model
from oddlens.detectors.activations import RULES, Activations
from oddlens.encoders.autoencoder import Autoencoder
from oddlens.errors import OptionError, SavedModelError
from oddlens.protocols import Encoded


def encoded(values, kind="relu"):
    layers = {"one": np.asarray(values, np.float32)[:, :3], "two": np.asarray(values, np.float32)[:, 3:]}
    return Encoded(activations=layers, pathway=layers, node_types={"one": kind, "two": kind})


@pytest.fixture(scope="module")
def planted():
    """400 images, 8 nodes; image 13 has the nodes 'one 1', 'two 2' and 'two 4' far out, which nobody else has."""
    values = np.random.default_rng(0).normal(size=(400, 8)) * 0.2 - 1
    values[13, [1, 5, 7]] = 9
    return encoded(values)


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_finds_the_planted_image_and_names_its_nodes(rule, planted):
    detector = Activations(rule, k=1 if rule == "hamming" else None).fit(planted)
    assert detector.score_own().argmax() == 13
    reasons = detector.explain_own(13)
    assert {"one 1", "two 2", "two 4"} == {" ".join(reason.text.split()[1:3]) for reason in reasons}
    assert all(0 <= row < 400 and row != 13 for reason in reasons for row in reason.examples)


def test_reasons_say_how_rare(planted):
    assert Activations(k=1).fit(planted).explain_own(13)[0].text == "node one 1 is on, as in 0.25 % of the images"


def test_examples_are_the_ordinary_images_that_switch_the_node_on_most():
    values = np.random.default_rng(1).normal(size=(60, 8)) * 0.1 - 1
    values[5] = 9
    ordinary = Activations(k=3).fit(encoded(values))
    median = np.median(ordinary.score_own())
    eligible = np.flatnonzero(ordinary.score_own() <= median)
    expected = eligible[np.argsort(-values[eligible, 0], kind="stable")[:4]]
    assert ordinary.examples_[0].tolist() == expected.tolist()


@pytest.mark.parametrize("rule", RULES)
def test_state_round_trip_keeps_scores_and_reasons(rule, planted):
    detector = Activations(rule).fit(planted)
    again = clone(detector).set_state(detector.get_state())
    assert np.array_equal(again.score_own(), detector.score_own())
    assert np.array_equal(again.score_new(planted), detector.score_new(planted))
    assert again.explain_own(13) == detector.explain_own(13)
    assert again.nodes_ == detector.nodes_


@pytest.mark.parametrize("rule", RULES)
def test_rules_work_through_the_whole_model_and_a_saved_one(rule, dots, tmp_path):
    model = AnomalyModel(Autoencoder(latent=12, steps=60), Activations(rule)).fit(dots)
    save_model(model, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert np.array_equal(loaded.rank().scores, model.rank().scores)
    assert np.allclose(loaded.rank(dots[:9]).scores, model.rank(dots[:9]).scores, atol=1e-6)


@pytest.mark.parametrize("rule", RULES)
def test_wide_layers_in_blocks_give_the_same(rule, monkeypatch):
    values = np.random.default_rng(2).normal(size=(90, 40))
    whole = Activations(rule).fit(encoded(values))
    monkeypatch.setattr("oddlens.scoring.activity.BLOCK_VALUES", 400)  # ten rows at a time
    parts = Activations(rule).fit(encoded(values))
    assert np.allclose(parts.score_own(), whole.score_own(), rtol=1e-9)
    assert np.array_equal(parts.which_, whole.which_)
    assert np.array_equal(parts.examples_, whole.examples_)


def test_what_is_on_is_an_option():
    values = np.tile([0.4, 0.4, 0.4, 0.6, 0.6], (30, 1))
    values[3] = [0.6, 0.4, 0.4, 0.6, 0.6]
    assert Activations(k=1).fit(encoded(values, "sigmoid")).score_own().argmax() == 3
    assert (Activations(k=1).fit(encoded(values, "relu")).score_own() == 0).all(), "all are above zero"
    quantile = Activations(k=1, active=0.9).fit(encoded(values, "relu")).score_own()
    assert quantile.argmax() == 3
    for bad in ("sometimes", 0, 1.5):
        with pytest.raises(OptionError, match="active"):
            Activations(active=bad).fit(encoded(values))


def test_bad_use_is_named(planted):
    with pytest.raises(OptionError, match="Did you mean 'pathway'"):
        Activations("pathways").fit(planted)
    with pytest.raises(OptionError, match="needs an encoder that gives pathway"):
        Activations("pathway").fit(Encoded(activations=planted.activations))
    with pytest.raises(OptionError, match="nan"):
        Activations().fit(encoded(np.full((20, 5), np.nan)))
    with pytest.raises(OptionError, match="other ones"):
        Activations().fit(planted).score_new(encoded(np.zeros((3, 6))))


@pytest.mark.parametrize("change", [
    {"which": np.full((400, 3), 99, np.int32)}, {"examples": np.full((8, 4), 400)}, {"own": np.zeros(0)},
    {"layers": np.frombuffer(b"3 one\n999999999 two", np.uint8)}, {"layers": np.frombuffer(b"nonsense", np.uint8)},
    {"which": np.zeros((400, 2), np.int32)}, {"rule.k": np.array([[1]])},
])
def test_states_that_do_not_fit_are_refused(planted, change):
    state = Activations().fit(planted).get_state()
    with pytest.raises(SavedModelError):
        Activations().set_state({**state, **change})
