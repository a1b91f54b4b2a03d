import numpy as np
import pytest

from oddlens.scoring import inverted_lists
from oddlens.scoring.inverted_lists import InvertedLists, parts
from oddlens.scoring.neighborhood import Neighborhood

N, M = 2500, 700


def cloud(n=N, d=5, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def lists_of(rows, sizes=None, jobs=None, reference=M):
    sample = np.sort(np.random.default_rng(1).permutation(len(rows))[:reference])
    near = Neighborhood(rows[sample], np.array([1, 5, 60]), np.ones(3))
    lists = InvertedLists(near, rows, sample, jobs, sizes)
    told = np.empty((len(rows), 3))

    def take(part, distances):
        told[part] = distances

    around = lists.survey(take, near.ranks)
    return lists, told, around, float(near.unit)


def apart(rows, others):
    return np.linalg.norm(rows[:, None].astype(float) - others.astype(float), axis=2)


def test_every_row_beside_the_reference_without_itself():
    rows = cloud()
    lists, told, around, unit = lists_of(rows)
    whole = apart(rows, rows[lists.sample])
    whole[lists.sample, np.arange(M)] = np.inf
    assert told == pytest.approx(unit * np.sort(whole, axis=1)[:, [0, 4, 59]], rel=3e-3)
    assert np.mean(around == np.argsort(whole, axis=1)[:, :10]) > 0.999  # but for ties within rounding


def test_a_row_belongs_to_the_list_of_the_nearest_and_a_reference_row_to_its_own():
    rows = cloud()
    lists = lists_of(rows)[0]
    assert np.array_equal(lists.home, apart(rows, rows[lists.sample]).argmin(1))
    assert np.array_equal(np.sort(lists.members), np.arange(N))
    assert (np.diff(lists.home[lists.members]) >= 0).all()


@pytest.mark.parametrize(("pack", "chunk"), [(8192, 2048), (37, 11)])
def test_all_lists_hold_all_neighbours(monkeypatch, pack, chunk):
    monkeypatch.setattr(inverted_lists, "PACK_ROWS", pack)
    monkeypatch.setattr(inverted_lists, "CHUNK_ROWS", chunk)
    rows = cloud()
    lists, told, _, unit = lists_of(rows)
    again, asked, ranks = np.array([0, 3, 77, 2400]), np.array([1, 5, 60]), np.array([1, 2, 40])
    answer, ranked = lists.beside_lists(again, 1.0, asked, ranks)
    whole = apart(rows[again], rows)
    whole[np.arange(4), again] = np.inf
    assert ranked.distances(ranks) == pytest.approx(unit * np.sort(whole, axis=1)[:, ranks - 1], rel=3e-3)
    assert np.array_equal(ranked.nearest, np.argsort(whole, axis=1)[:, :10])
    assert answer == pytest.approx(told[again], rel=1e-6)


def test_only_the_nearest_lists_are_gone_through():
    rows = cloud()
    lists = lists_of(rows)[0]
    again = np.array([5, 600])
    ranked = lists.beside_lists(again, 0.01, np.array([1]), np.array([1]))[1]
    for row, found in zip(again, ranked.nearest, strict=True):
        nearest = np.argsort(apart(rows[[row]], rows[lists.sample])[0])[:7]
        allowed = np.flatnonzero(np.isin(lists.home, nearest))
        order = allowed[np.argsort(apart(rows[[row]], rows[allowed])[0])]
        assert found.tolist() == [*order[order != row][:10]]


def test_rows_count_as_often_as_their_size():
    rows = cloud()
    lists, told, _, unit = lists_of(rows, np.full(N, 3))
    whole = apart(rows, rows[lists.sample])
    whole[lists.sample, np.arange(M)] = np.inf
    assert told == pytest.approx(unit * np.sort(whole, axis=1)[:, [0, 1, 19]], rel=3e-3)


def test_threads_make_no_difference():
    rows = cloud()
    one, two = (lists_of(rows, jobs=jobs) for jobs in (1, 2))
    for a, b in zip(one[1:3], two[1:3], strict=True):
        assert np.array_equal(a, b)


@pytest.mark.parametrize("rows", [np.zeros((N, 2)), np.repeat(cloud(5), 500, axis=0)])
def test_copies(rows):
    lists, told, _, _ = lists_of(rows.astype(np.float32))
    assert np.isfinite(told).all()
    assert (told[:, 0] < 1e-3).all()
    answer, ranked = lists.beside_lists(np.arange(20), 0.1, np.array([1]), np.array([1]))
    assert np.isfinite(answer).all()
    assert (ranked.counts.sum(1) > 0).all()


def test_parts_are_all_there():
    assert parts(7, 3) == [slice(0, 3), slice(3, 6), slice(6, 7)]
    assert parts(0, 3) == []
