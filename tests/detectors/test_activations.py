import numpy as np
import pytest
from sklearn.base import clone

from oddlens import AnomalyModel, load_model, save_model
from oddlens.detectors.activations import RULES, Activations
from oddlens.encoders.autoencoder import Autoencoder
from oddlens.errors import OptionError, SavedModelError
from oddlens.progress import listening
from oddlens.protocols import Encoded
from oddlens.scoring.patterns.hamming import Hamming
from oddlens.scoring.patterns.likelihood import Likelihood
from oddlens.scoring.patterns.pathway import Pathway
from oddlens.scoring.patterns.scan import Scan


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


@pytest.mark.parametrize(("options", "alone"), [
    ({"rule": "hamming"}, Hamming(None, "auto")), ({"rule": "hamming", "k": 3, "active": 0.8}, Hamming(3, 0.8)),
    ({"rule": "likelihood"}, Likelihood(1, "auto", 0)),
    ({"rule": "likelihood", "components": 3, "random_state": 5, "active": 0.3}, Likelihood(3, 0.3, 5)),
    ({"rule": "scan"}, Scan("berk_jones")),
    ({"rule": "scan", "statistic": "higher_criticism"}, Scan("higher_criticism")),
    ({"rule": "pathway"}, Pathway(True)), ({"rule": "pathway", "whiten": False}, Pathway(False)),
])
def test_scores_are_those_of_the_rule_with_its_options(options, alone):
    rng = np.random.default_rng(0)
    old, new = (encoded(rng.normal(size=(n, 8))) for n in (90, 20))
    detector = Activations(**options).fit(old)
    assert np.array_equal(detector.score_own(), alone.fit(old.activations, old.node_types))
    assert np.array_equal(detector.score_new(new), alone.score(new.activations))


def test_the_defaults():
    assert Activations().get_params() == {"rule": "hamming", "active": "auto", "k": None, "components": 1,
                                          "statistic": "berk_jones", "whiten": True, "random_state": 0}


def test_the_three_most_telling_nodes_are_named_and_none_that_tells_nothing():
    # of 16 images all have nodes 0 to 2 on; image 3 has them off and 3 to 6 on: as rare, so the first come first
    values = np.tile([1.0, 1, 1, -1, -1, -1, -1], (16, 1))
    values[3] *= -1
    detector = Activations(k=1).fit(encoded(values))
    assert detector.which_[3].tolist() == [0, 1, 2]
    assert detector.shares_[3].tolist() == [1 / 16] * 3
    values[:, :6] = 0  # nobody has these on
    detector = Activations(k=1).fit(encoded(values))
    assert detector.which_[3].tolist() == [6, -1, -1]
    assert detector.high_[3].tolist() == [True, False, False]
    assert [reason.text for reason in detector.explain_own(3)] == ["node two 3 is on, as in 6.2 % of the images"]
    assert detector.which_[4].tolist() == [6, -1, -1], "15 of 16 have it off"
    assert detector.explain_own(4)[0].text == "node two 3 is off, as in 94 % of the images"


def test_an_image_that_the_reference_holds_is_not_compared_with_itself(monkeypatch):
    # of 0 to 9 none but itself is as far out as 9: one place of ten; an image outside of the reference is one of 11
    values = np.arange(10.0)[:, None] * np.ones(5)
    assert Activations("scan").fit(encoded(values)).shares_[9] == pytest.approx(2 / 10)
    monkeypatch.setattr("oddlens.scoring.activity.REFERENCE_IMAGES", 5)  # 0, 2, 4, 6, 9
    shares = Activations("scan").fit(encoded(values)).shares_
    assert shares[9] == pytest.approx(2 / 5)
    assert shares[8] == pytest.approx(min(1, 2 * 2 / 6))


def test_examples_leave_out_the_image_itself():
    values = np.random.default_rng(1).normal(size=(60, 8)) * 0.1 - 1
    detector = Activations(k=3).fit(encoded(values))
    row = int(detector.examples_[0, 0])
    for reason in detector.explain_own(row):
        assert row not in reason.examples
    detector.which_[row, 0] = 0
    assert detector.explain_own(row)[0].examples == tuple(detector.examples_[0, 1:])


def test_two_images_will_do_and_one_will_not():
    assert len(Activations().fit(encoded(np.eye(2, 5))).score_own()) == 2
    with pytest.raises(OptionError, match="2 images or more, got 1"):
        Activations().fit(encoded(np.eye(1, 5)))


def test_progress_ends_at_the_total(monkeypatch):
    monkeypatch.setattr("oddlens.scoring.activity.BLOCK_VALUES", 40)
    told = []
    with listening(lambda *report: told.append(report)):
        Activations().fit(encoded(np.eye(12, 8)))
    assert [report for report in told if report[0] == "reasons"] == [("reasons", done, 12) for done in (5, 10, 12)]


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


def lines(text):
    return {"layers": np.frombuffer(text, np.uint8)}


@pytest.mark.parametrize(("change", "reason"), [
    ({"own": np.zeros(0)}, "list of scores"), ({"own": np.zeros(400, np.float32)}, "list of scores"),
    ({"own": np.zeros((400, 1))}, "list of scores"), ({"own": np.full(400, np.nan)}, "list of scores"),
    (lines(b"3 one\n999999999 two"), "name 1000000002 nodes; the rule has 8"), (lines(b"nonsense"), "do not fit"),
    (lines(b"3 one\n5 two\n0 three"), "name 8 nodes"), (lines(b"9 one\n-1 two"), "name 8 nodes"),
    (lines(b"0 one\n0 two"), "name 0 nodes"), (lines(b"3 one\nfive two"), "do not fit"),
    ({"which": np.zeros((400, 2), np.int32)}, "shapes"), ({"shares": np.zeros((399, 3), np.float32)}, "shapes"),
    ({"high": np.zeros(400, np.bool_)}, "shapes"), ({"examples": np.zeros((8, 3), np.int64)}, "shapes"),
    ({"which": np.zeros((400, 3), np.int64)}, "shapes"), ({"which": np.zeros((400, 3), np.float32)}, "shapes"),
    ({"high": np.zeros((400, 3), np.uint8)}, "shapes"), ({"examples": np.zeros((8, 4), np.float64)}, "shapes"),
    ({"which": np.full((400, 3), 8, np.int32)}, "not there"), ({"which": np.full((400, 3), -2, np.int32)}, "not there"),
    ({"examples": np.full((8, 4), 400)}, "not there"), ({"examples": np.full((8, 4), -1)}, "not there"),
    ({"rule.k": np.array([[1]])}, "not packed bits"),
])
def test_states_that_do_not_fit_are_refused(planted, change, reason):
    state = Activations().fit(planted).get_state()
    with pytest.raises(SavedModelError, match=reason):
        Activations().set_state({**state, **change})


def test_the_ends_of_what_a_state_may_name(planted):
    state = Activations().fit(planted).get_state()
    for change in ({"which": np.full((400, 3), 7, np.int32)}, {"which": np.full((400, 3), -1, np.int32)},
                   {"examples": np.full((8, 4), 399)}, {"examples": np.zeros((8, 4), np.int64)}):
        Activations().set_state({**state, **change}).explain_own(399)
