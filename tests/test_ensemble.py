import itertools
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from oddlens import ensemble, registry
from oddlens.ensemble import Ensemble, timed, whole
from oddlens.errors import OptionError
from oddlens.pixels import Copies
from oddlens.progress import listening
from oddlens.protocols import Encoded
from oddlens.scoring.structure import unimodality

PIXELS = np.zeros((40, 4, 4, 1), np.uint8)


class Giving:
    """An encoder that gives what it was told to, and what it was asked for."""

    def __init__(self, seed=0, **given):
        self.embedding = np.random.default_rng(seed).normal(size=(40, 4)).astype(np.float32)
        self.given, self.asked = given, []

    def fit(self, pixels):
        self.asked.append("fit")
        return self

    def encode(self, pixels, needs):
        self.asked.append(needs)
        return Encoded(**{"embedding": self.embedding[: len(pixels)], **self.given})


class Constant:
    """A detector with one score for all, or with what it was told to give."""

    def __init__(self, score=1.0, needs=("embedding",), gives=None):
        self.score, self.needs, self.gives = score, frozenset(needs), gives

    def fit(self, encoded):
        self.seen = encoded
        return self

    def score_own(self):
        return self.score_new(self.seen)

    def score_new(self, encoded):
        return np.full(len(encoded), self.score) if self.gives is None else self.gives


def crossed(one=None, two=None):
    """Two encoders whose detectors stand in turns."""
    return Ensemble({"one": one or Giving(), "two": two or Giving(1, residual=np.zeros(40))},
                    {"a": Constant(1), "b": Constant(2, {"embedding", "residual"}), "c": Constant(3)},
                    {"a": "one", "b": "two", "c": "one"}, {})


def fitted(views):
    """The views learn, encode all images as one block, and judge."""
    views.learn(Copies(PIXELS))
    block = views.encode(Copies(PIXELS))

    def encoded(name):
        parts = {key.removeprefix(f"{name}/"): array for key, array in block.columns.items()
                 if key.startswith(f"{name}/")}
        return whole(parts, block.facts["node_types"][name])

    return views.judge(encoded, lambda column, detector, given: detector.fit(given).score_own())


def single(detector, encoder=None):
    return Ensemble({"one": encoder or Giving()}, {"a": detector}, {"a": "one"}, {})


def test_our_encoders_learn_on_two_threads_and_those_of_others_alone():
    together, at, alone = threading.Barrier(2, timeout=20), [], [Giving(), Giving()]

    class Ours(Giving):
        """Learns only while another one does."""

        __module__ = "oddlens.encoders.of_a_test"

        def fit(self, pixels):
            assert all(encoder.asked == ["fit"] for encoder in alone)
            together.wait()
            at.append(threading.current_thread() is threading.main_thread())
            return super().fit(pixels)

    encoders = {"a": alone[0], "b": Ours(), "c": alone[1], "d": Ours()}
    Ensemble(encoders, {}, {}, {}).learn(Copies(PIXELS, PIXELS), jobs=2)
    assert [encoder.asked for encoder in encoders.values()] == [["fit"]] * 4
    assert sorted(at) == [False, True]


@pytest.mark.parametrize("name", registry.names("encoder"))
def test_learning_beside_another_changes_nothing(name, dots):
    pictures = dots[:60].repeat(4, 1).repeat(4, 2)
    steps = {"steps": 20} if "steps" in registry.options("encoder", name) else {}

    def learned(count, jobs):
        encoders = {str(number): registry.create("encoder", name, **steps) for number in range(count)}
        Ensemble(encoders, {}, {}, {}).learn(Copies(pictures, pictures, pictures), jobs)
        return [encoder.get_state() for encoder in encoders.values()]

    (alone,) = learned(1, 1)
    for state in learned(3, 2):
        assert state.keys() == alone.keys()
        for part, array in state.items():
            np.testing.assert_array_equal(array, alone[part], part)


def test_each_encoder_learns_and_encodes_once_and_columns_keep_their_order():
    views, reports = crossed(), []
    with listening(lambda *report: reports.append(report)):
        own = fitted(views).members
    assert {column: (scores.tolist(), scores.dtype) for column, scores in own.items()} == {
        column: ([score] * 40, np.float64) for column, score in (("a", 1), ("b", 2), ("c", 3))}
    assert list(own) == ["a", "b", "c"]
    assert views.encoders["one"].asked == ["fit", frozenset({"embedding"})]
    assert views.encoders["two"].asked == ["fit", frozenset({"embedding", "residual"})]
    assert views.columns("one") == ["a", "c"]
    assert reports == [("scoring", 1, 3), ("scoring", 2, 3), ("scoring", 3, 3)]
    views.encoders["two"].given["residual"] = np.zeros(7)
    scores = views.score(Copies(PIXELS[:7])).members
    assert list(scores) == ["a", "b", "c"]
    assert [column.tolist() for column in scores.values()] == [[1] * 7, [2] * 7, [3] * 7]
    assert views.encoders["one"].asked[2:] == [frozenset({"embedding"})], "what is fitted learns no more"


def test_how_many_kinds_there_are_is_told_by_the_first_view():
    kinds = Giving(1, residual=np.zeros(40))
    kinds.embedding = np.repeat(np.eye(2, 4, dtype=np.float32), 20, axis=0)
    assert unimodality(kinds.embedding) == 0
    views = crossed(two=kinds)
    assert views.unimodality == 0
    fitted(views)
    assert views.unimodality == unimodality(Giving().embedding) > 0
    blind = single(Constant(needs={"residual"}), Giving(embedding=None, residual=np.zeros(40)))
    fitted(blind)
    assert blind.unimodality == 0


def test_each_stage_is_timed_in_all(monkeypatch):
    monkeypatch.setattr(ensemble, "time", SimpleNamespace(perf_counter=itertools.count(1.0, 3.0).__next__))
    timings = {"learning": 10.0}
    for stage in ("learning", "encoding", "learning"):
        with timed(stage, timings):  # the clock goes on by three at each look
            pass
    assert timings == {"learning": 16.0, "encoding": 3.0}


def test_what_an_encoder_gave_goes_into_columns_and_comes_back():
    layers = {"a": np.ones((40, 2), np.float32), "b/c": np.zeros((40, 3), np.float32)}
    given = {"activations": layers, "pathway": layers, "residual": np.arange(40.0), "node_types": {"a": "relu"}}
    views = single(Constant(needs={"activations", "pathway", "embedding"}), Giving(**given))
    block = views.encode(Copies(PIXELS))
    assert set(block.columns) == {"one/embedding", "one/activations/a", "one/activations/b/c", "one/pathway/a",
                                  "one/pathway/b/c"}, "nothing that was not asked for"
    back = whole({name.removeprefix("one/"): column for name, column in block.columns.items()},
                 block.facts["node_types"]["one"])
    assert back.activations == layers == back.pathway
    assert back.node_types == {"a": "relu"}
    assert back.residual is None


@pytest.mark.parametrize(("need", "given", "got"), [
    ("embedding", {"embedding": None}, "embedding of 40 images and gave none"),
    ("residual", {"residual": np.zeros(39)}, r"residual of 40 images and gave an array of \(39,\)"),
    ("surprise", {"surprise": None}, "surprise of 40 images and gave none"),
    ("activations", {}, "activations of 40 images and gave none"),
    ("activations", {"activations": {"a": np.zeros((40, 2)), "b": np.zeros((41, 2))}},
     r"activations of 40 .* an array of \(41, 2\)"),
    ("pathway", {"pathway": {"a": None}}, "pathway of 40 images and gave none"),
])
def test_an_encoder_that_does_not_give_what_it_was_asked_for_is_named(need, given, got):
    views = single(Constant(needs={need}), Giving(**given))
    for ask in (lambda: fitted(views), lambda: views.score(Copies(PIXELS))):
        with pytest.raises(OptionError, match=rf"Encoder one was asked for {got}: oddlens.testing.check_encoder"):
            ask()


def test_what_an_encoder_was_not_asked_for_may_be_missing():
    encoder = Giving(embedding=None, activations={"a": np.zeros((40, 1))})
    assert fitted(single(Constant(needs={"activations"}), encoder)).members["a"].tolist() == [1] * 40


@pytest.mark.parametrize(("gives", "got"), [
    (np.zeros(39), r"\(39,\) with 0 that are nan or beyond"), (np.zeros((40, 1)), r"\(40, 1\) with 0"),
    (np.r_[np.zeros(37), np.nan, np.inf, -np.inf], r"\(40,\) with 3"), (["high"] * 40, r"\(40,\) with 0"),
    ({"a": 1}, r"\(\) with 0"), (1.0, r"\(\) with 0"),
])
def test_a_detector_whose_scores_are_none_is_named(gives, got):
    views = single(Constant(gives=gives))
    for ask in (lambda: fitted(views), lambda: views.score(Copies(PIXELS))):
        with pytest.raises(OptionError, match=rf"Detector a was asked for the scores of 40 images and gave {got}"):
            ask()
