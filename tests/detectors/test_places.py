import sys
from pathlib import Path

import numpy as np
import pytest

from oddlens.arrays import let_go, moved_to_a_file
from oddlens.detectors import places
from oddlens.detectors.places import Places
from oddlens.errors import OptionError, SavedModelError
from oddlens.protocols import Encoded


def maps_of(n=50, rows=3, columns=4, d=2, seed=0):
    return np.random.default_rng(seed).normal(size=(n, rows, columns, d)).astype(np.float16)


def slowly(maps, shrink):
    """(n, rows, columns) each place's Mahalanobis distance from the mean and covariance of the other images."""
    n, rows, columns, d = maps.shape
    found = np.empty((n, rows, columns))
    s = max(shrink, min(0.9, d / (d + n)))
    for i in range(n):
        others = np.delete(maps.astype(float), i, 0)
        for r in range(rows):
            for c in range(columns):
                values = others[:, r, c]
                centred = values - values.mean(0)
                covariance = (1 - s) * centred.T @ centred / (n - 1) + s * np.eye(d) * np.var(values, 0).mean()
                away = maps[i, r, c].astype(float) - values.mean(0)
                found[i, r, c] = np.sqrt(away @ np.linalg.solve(covariance, away))
    return found


def test_each_image_is_judged_by_the_others_as_if_it_had_never_been_there():
    maps = maps_of()
    detector = Places(shrink=0.0, share=0.1).fit(Encoded(maps=maps))
    expected = slowly(maps, 0.0)
    assert np.allclose(detector.own_places_, expected, rtol=0.01)
    assert np.allclose(detector.score_own(), np.sort(expected.reshape(50, -1), 1)[:, -1:].mean(1), rtol=0.01)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what is held")
def test_of_maps_in_a_file_a_part_is_held_at_a_time(monkeypatch):
    maps = maps_of(2000, 16, 16, 40)  # 39 MiB
    expected = Places().fit(Encoded(maps=maps)).own_places_
    mapped = moved_to_a_file(maps)
    held = []

    def noted(*_):
        told = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        held.append(sum(int(told[name].split()[0]) for name in ("RssFile", "RssShmem")) / 1024)

    def noted_and_let_go(array):
        noted()
        let_go(array)

    let_go(mapped)
    noted()
    monkeypatch.setattr(places, "MAPPED", 2**23)
    monkeypatch.setattr(places, "let_go", noted_and_let_go)
    assert np.array_equal(Places().fit(Encoded(maps=mapped)).own_places_, expected)
    assert max(held) - held[0] < 20
    assert len(held) > 16 * 4
    assert np.isfinite(mapped).all()
    noted()
    assert held[-1] - held[0] > 30, "which it would have held"


def test_the_score_is_the_mean_of_the_strangest_share_of_the_places():
    maps = maps_of()
    places = Places(share=0.25).fit(Encoded(maps=maps)).own_places_.reshape(50, -1)
    assert np.allclose(Places(share=0.25).fit(Encoded(maps=maps)).score_own(), np.sort(places, 1)[:, -3:].mean(1))
    assert np.allclose(Places(share=1.0).fit(Encoded(maps=maps)).score_own(), places.mean(1))


def test_what_is_usual_at_one_place_is_strange_at_another():
    maps = maps_of()
    maps[:, 0, 0] += 20
    detector = Places().fit(Encoded(maps=maps))
    new = maps[:2].copy()
    new[0, 0, 0], new[0, 2, 3] = maps[0, 2, 3], maps[0, 0, 0]
    found = detector.places_new(Encoded(maps=new))
    assert found[0, 0, 0] > 10
    assert found[0, 2, 3] > 10
    assert found[1].max() < 5
    scores = detector.score_new(Encoded(maps=new))
    assert scores[0] > scores[1]


def test_new_images_are_measured_by_all_fitted_ones():
    maps = maps_of()
    detector = Places(shrink=0.0).fit(Encoded(maps=maps))
    values = maps[:, 1, 2].astype(float)
    covariance = np.cov(values.T, bias=True)
    s = 2 / 52
    covariance = (1 - s) * covariance + s * np.eye(2) * np.trace(covariance) / 2
    away = np.array([3.0, -1.0]) - values.mean(0)
    new = maps[:1].copy()
    new[0, 1, 2] = [3, -1]
    found = detector.places_new(Encoded(maps=new))[0, 1, 2]
    assert found == pytest.approx(np.sqrt(away @ np.linalg.solve(covariance, away)), rel=1e-3)


def test_where_nothing_varies_nothing_is_infinitely_strange():
    maps = np.zeros((20, 2, 2, 3), np.float16)
    detector = Places().fit(Encoded(maps=maps))
    assert (detector.score_own() == 0).all()
    assert np.isfinite(detector.score_new(Encoded(maps=maps[:1] + 1))).all()


def test_it_knows_where_the_fitted_images_are_strange_until_it_is_saved():
    maps = maps_of()
    maps[7, 2, 1] = 30
    detector = Places().fit(Encoded(maps=maps))
    assert np.unravel_index(detector.places_own(7).argmax(), (3, 4)) == (2, 1)
    again = Places().set_state(detector.get_state())
    assert again.places_own(7) is None
    assert np.array_equal(again.score_own(), detector.score_own())
    new = Encoded(maps=maps_of(5, seed=1))
    assert np.array_equal(again.score_new(new), detector.score_new(new))


def test_a_state_that_does_not_fit_is_refused():
    state = Places().fit(Encoded(maps=maps_of())).get_state()
    for key, value in (("means", state["means"][1:]), ("inverses", state["inverses"][:, :1]),
                       ("own", state["own"][None]),
                       ("grid", np.array([4, 4])), ("grid", np.array([-3, -4])), ("own", state["own"] * np.nan),
                       ("means", state["means"].astype(float)), ("inverses", state["inverses"] * np.inf)):
        with pytest.raises(SavedModelError, match="saved places"):
            Places().set_state({**state, key: value})


@pytest.mark.parametrize("bad", [{"share": 0}, {"share": 1.1}, {"shrink": -0.1}, {"shrink": 2}])
def test_bad_options_are_named(bad):
    with pytest.raises(OptionError, match=next(iter(bad))):
        Places(**bad).fit(Encoded(maps=maps_of()))


def test_bad_maps_are_named():
    with pytest.raises(OptionError, match="needs maps"):
        Places().fit(Encoded())
    maps = maps_of()
    maps[3, 1, 1, 0] = np.nan
    with pytest.raises(OptionError, match="nan or infinity"):
        Places().fit(Encoded(maps=maps))
    with pytest.raises(OptionError, match=r"fitted to maps of \(3, 4, 2\), got \(3, 3, 2\)"):
        Places().fit(Encoded(maps=maps_of())).score_new(Encoded(maps=maps_of()[:, :, :3]))
