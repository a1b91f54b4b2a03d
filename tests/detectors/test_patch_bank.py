import numpy as np
import pytest

from oddlens.detectors.patch_bank import PatchBank
from oddlens.errors import OptionError, SavedModelError
from oddlens.protocols import Encoded


def maps_of(n=30, rows=4, columns=5, d=3, seed=0):
    return np.random.default_rng(seed).normal(size=(n, rows, columns, d)).astype(np.float16)


def slowly(maps, detector):
    """(n, places) the mean of the best answers of the images asked, each without itself, one distance at a time."""
    found = np.empty((len(maps), maps.shape[1] * maps.shape[2]))
    for i, image in enumerate(maps.astype(float)):
        for p, place in enumerate(image.reshape(-1, maps.shape[3])):
            answers = sorted(np.linalg.norm(detector.bank_[j].astype(float) - place, axis=1).min()
                             for j, row in enumerate(detector.asked_) if row != i)
            found[i, p] = np.mean(answers[: max(1, round(detector.answers * len(answers)))])
    return found


@pytest.mark.parametrize("options", [{}, {"images": 7, "bank": 35}, {"answers": 1.0, "images": 4}, {"answers": 0.01}])
def test_the_images_that_know_a_place_best_are_heard_and_nobody_of_himself(options):
    maps = maps_of()
    detector = PatchBank(**options).fit(Encoded(maps=maps))
    assert np.allclose(detector.own_places_.reshape(30, -1), slowly(maps, detector), atol=2e-3)


def test_the_bank_holds_places_of_some_images_and_no_more_than_asked_for():
    maps = maps_of()
    detector = PatchBank(bank=40, images=8).fit(Encoded(maps=maps))
    assert detector.bank_.shape == (8, 5, 3)
    assert len(set(detector.asked_.tolist())) == 8
    for number, row in enumerate(detector.asked_):
        places = {tuple(place) for place in maps[row].reshape(-1, 3).astype(np.float32).tolist()}
        kept = {tuple(place) for place in detector.bank_[number].tolist()}
        assert len(kept) == 5
        assert kept <= places
    assert PatchBank().fit(Encoded(maps=maps)).bank_.shape == (30, 20, 3)  # there are no more


def test_what_is_usual_anywhere_is_usual_everywhere():
    maps = maps_of()
    maps[:, 0, 0] += 20
    new = maps_of(2, seed=1)
    new[0, 3, 4] = maps[5, 0, 0]
    new[1, 3, 4] = -20
    found = PatchBank().fit(Encoded(maps=maps)).places_new(Encoded(maps=new))
    assert found[0, 3, 4] < 5
    assert found[1, 3, 4] > 20


def test_a_few_images_of_one_odd_kind_do_not_excuse_each_other():
    maps = maps_of(60)
    maps[:5, 2, 2] = 8
    scores = PatchBank().fit(Encoded(maps=maps)).score_own()
    assert set(np.argsort(scores)[-5:].tolist()) == set(range(5))
    lenient = PatchBank(answers=0.01).fit(Encoded(maps=maps)).score_own()  # the one that knows it best
    assert lenient[:5].max() < np.median(scores[:5])


def test_new_images_ask_all_and_one_has_the_same_score_alone():
    maps, new = maps_of(), maps_of(9, seed=2)
    detector = PatchBank(images=10).fit(Encoded(maps=maps))
    scores = detector.score_new(Encoded(maps=new))
    assert np.array_equal(detector.score_new(Encoded(maps=new[3:4])), scores[3:4])
    outside = np.setdiff1d(np.arange(30), detector.asked_)
    assert np.array_equal(detector.score_new(Encoded(maps=maps[outside])), detector.score_own()[outside])
    inside = detector.score_new(Encoded(maps=maps[detector.asked_]))
    assert (inside < detector.score_own()[detector.asked_]).all()  # each finds itself


def test_it_comes_back_as_it_was_but_for_the_places():
    maps = maps_of()
    detector = PatchBank(images=10).fit(Encoded(maps=maps))
    again = PatchBank(images=10).set_state(detector.get_state())
    assert np.array_equal(again.score_own(), detector.score_own())
    assert np.array_equal(again.places_new(Encoded(maps=maps)), detector.places_new(Encoded(maps=maps)))
    assert again.places_own(3) is None
    assert detector.places_own(3).shape == (4, 5)


@pytest.mark.parametrize("options", [{"bank": 0}, {"images": 0}, {"images": 2.5}, {"answers": 0}, {"answers": 1.1},
                                     {"share": 0}, {"share": "all"}, {"bank": 10**9}])
def test_options_that_cannot_work_are_refused(options):
    with pytest.raises(OptionError, match=next(iter(options))):
        PatchBank(**options).fit(Encoded(maps=maps_of()))


@pytest.mark.parametrize(("maps", "message"), [
    (None, "needs maps"), (maps_of()[0], "needs maps"), (maps_of(1), "2 images"),
    (np.full((5, 2, 2, 1), np.nan, np.float16), "finite"),
])
def test_maps_that_say_nothing_are_refused(maps, message):
    with pytest.raises(OptionError, match=message):
        PatchBank().fit(Encoded(maps=maps))


def test_maps_of_another_size_are_refused():
    with pytest.raises(OptionError, match=r"fitted to maps of \(4, 5, 3\)"):
        PatchBank().fit(Encoded(maps=maps_of())).score_new(Encoded(maps=maps_of(rows=5)))


@pytest.mark.parametrize("change", [
    {"bank": None}, {"bank": np.zeros((30, 20), np.float32)}, {"asked": np.arange(29)}, {"grid": np.array([4, 4])},
    {"grid": np.array([2**40, 2**40])}, {"own": np.full(30, np.nan)},
    {"bank": np.full((30, 20, 3), np.inf, np.float32)},
    {"bank": np.zeros((30, 20, 0), np.float32)}, {"own": np.zeros((30, 1))}, {"asked": np.zeros(30)},
])
def test_a_saved_bank_that_cannot_be_is_refused(change):
    state = {**PatchBank().fit(Encoded(maps=maps_of())).get_state(), **change}
    with pytest.raises(SavedModelError, match="bank of places"):
        PatchBank().set_state({key: value for key, value in state.items() if value is not None})
