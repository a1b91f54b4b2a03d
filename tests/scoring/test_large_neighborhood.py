import numpy as np
import pytest

from oddlens.decisions import decide
from oddlens.progress import listening
from oddlens.scoring import inverted_lists, large_neighborhood
from oddlens.scoring.large_neighborhood import own_scores, probed_share
from oddlens.scoring.neighborhood import Neighborhood, Tightness, neighbours_among, ranks_of
from oddlens.scoring.structure import unimodality

N, REFERENCE, PROBED = 12_000, 2000, 3000


@pytest.fixture(autouse=True)
def _as_in_a_million(monkeypatch):
    """In small: a sixth is compared with, and a quarter of the lists are looked through."""
    monkeypatch.setattr(large_neighborhood, "MOST_EXACT", 1000)
    monkeypatch.setattr(large_neighborhood, "MOST_WHOLE", 0)
    monkeypatch.setattr(large_neighborhood, "FEWEST_PROBED", PROBED)


def kinds(n=N, d=12, seed=0, odd=40):
    """Ten kinds of different width, the first rows odd."""
    rng = np.random.default_rng(seed)
    centres, widths = 4 * rng.normal(size=(10, d)), rng.uniform(0.7, 1.3, 10)
    kind = rng.integers(0, 10, n)
    rows = centres[kind] + widths[kind, None] * rng.normal(size=(n, d))
    rows[:odd] = 5 * rng.normal(size=(odd, d))
    return rows.astype(np.float32)


def one_kind(n=N, d=30, seed=0):
    return np.random.default_rng(seed).standard_t(8, (n, d)).astype(np.float32)


def sample_of(n=N, seed=0):
    return np.sort(np.random.default_rng(seed).permutation(n)[:REFERENCE])


def scored(rows, local, sample=None, jobs=None):
    sample = sample_of(len(rows)) if sample is None else sample
    near = Neighborhood.of(rows, sample, jobs)
    return near, *own_scores(near, rows, sample, local, jobs)


def beside_all(rows, local, sample):
    """The certain way: every row beside every other; the usual distances of the same rows as there."""
    n, kind = len(rows), unimodality(rows)
    ranks = ranks_of(neighbours_among(n, len(sample), kind), n, kind)
    distances, around = np.empty((n, len(ranks))), np.empty((n, 10), np.int64)
    squares = (rows.astype(np.float64) ** 2).sum(1)
    for start in range(0, n, 1000):
        part = slice(start, start + 1000)
        apart = squares[part, None] + squares - 2 * rows[part].astype(np.float64) @ rows.T
        np.put_along_axis(apart, np.arange(start, start + len(apart))[:, None], -1, 1)
        order = np.argpartition(apart, 10, axis=1)[:, :11]
        around[part] = np.take_along_axis(order, np.take_along_axis(apart, order, 1).argsort(1), 1)[:, 1:]
        distances[part] = np.sqrt(np.maximum(np.partition(apart, ranks, axis=1)[:, ranks], 0))
    control = sample[np.linspace(0, len(sample) - 1, 1000).astype(int)]
    plain = (distances / np.median(distances[control], axis=0)).max(1)
    return plain * Tightness(plain, local).factor(around)


def overlap(one, two, share=0.01):
    count = int(share * len(one))
    return len(np.intersect1d(np.argsort(-one)[:count], np.argsort(-two)[:count])) / count


@pytest.mark.parametrize(("rows", "local"), [(kinds(), 0.0), (kinds(), 0.25), (one_kind(), 0.0)])
def test_the_strangest_hundredth_is_that_beside_all_and_the_null_too(rows, local):
    exact = beside_all(rows, local, sample_of())
    found = scored(rows, local)[2]
    assert overlap(found, exact) >= 0.99
    wanted, got = decide(exact), decide(found)
    others = [decide(scored(rows, local, sample_of(seed=seed))[2]) for seed in (1, 2)]
    apart = max(abs(other.null.location - wanted.null.location) for other in others)
    assert abs(got.null.location - wanted.null.location) <= max(apart, 0.2 * wanted.null.scale)
    assert got.null.scale == pytest.approx(wanted.null.scale, rel=0.06)
    assert abs(int(got.flagged.sum()) - int(wanted.flagged.sum())) <= 0.1 * wanted.flagged.sum() + 2
    assert got.share.value == pytest.approx(wanted.share.value, abs=0.003)
    assert got.share.low == pytest.approx(wanted.share.low, abs=0.003)


def test_without_a_second_look_it_would_not_be(monkeypatch):
    rows = kinds()
    exact = beside_all(rows, 0.0, sample_of())
    monkeypatch.setattr(large_neighborhood, "STRANGE_SHARE", 1 / N)
    assert overlap(scored(rows, 0.0)[2], exact) < 0.97


def test_new_rows_are_on_the_same_scale():
    rows = kinds(2 * N)
    near, plain, own = scored(rows[:N], 0.25)
    distances, around = near.distances(rows[N:][:4000])
    new = near.ratios(distances) * Tightness(plain, 0.25).factor(around)
    for quantile in (0.5, 0.7, 0.85):
        assert np.quantile(new, quantile) == pytest.approx(np.quantile(own, quantile), rel=0.02)


def test_up_to_the_limit_every_digit_is_as_ever(monkeypatch):
    rows, sample = kinds(3000), np.arange(0, 3000, 3)
    monkeypatch.setattr(large_neighborhood, "MOST_EXACT", 3000)
    near = Neighborhood.of(rows, sample)
    usual = near.usual.copy()
    distances, around = near.distances(rows)
    plain = near.ratios(distances)
    found = own_scores(near, rows, sample, 0.25)
    assert np.array_equal(found[0], plain[sample])
    assert np.array_equal(found[1], plain * Tightness(plain[sample], 0.25).factor(around))
    assert np.array_equal(near.usual, usual)
    monkeypatch.setattr(large_neighborhood, "MOST_EXACT", 2999)
    assert not np.array_equal(own_scores(near, rows, sample, 0.25)[1], found[1])


@pytest.mark.parametrize(("n", "share"), [(60_000, 1), (60_001, 20_000 / 60_001), (100_000, 0.2), (10**6, 0.1)])
def test_the_share_of_the_lists(monkeypatch, n, share):
    monkeypatch.setattr(large_neighborhood, "MOST_WHOLE", 60_000)
    monkeypatch.setattr(large_neighborhood, "FEWEST_PROBED", 20_000)
    assert probed_share(n) == pytest.approx(share)


def test_threads_change_no_digit():
    rows = kinds(5000)
    sample = sample_of(5000)
    _, plain, own = scored(rows, 0.25, sample, jobs=1)
    two = scored(rows, 0.25, sample, jobs=2)
    assert np.array_equal(two[1], plain)
    assert np.array_equal(two[2], own)


class Watched:
    """Rows that say how many were asked for."""

    def __init__(self, rows):
        self.rows, self.shape, self.asked = rows, rows.shape, []

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, which):
        found = self.rows[which]
        self.asked.append(len(found))
        return found


def test_rows_are_read_twice_and_never_many_at_a_time():
    rows = Watched(kinds())
    scored(rows, 0.25)
    assert max(rows.asked) <= inverted_lists.PACK_ROWS
    assert sum(rows.asked) < 2.6 * N  # the reference, samples and the strange ones besides


def test_progress_goes_to_the_end():
    reports = []
    rows = kinds(3000)
    near = Neighborhood.of(rows, sample_of(3000))
    with listening(lambda *report: reports.append(report)):
        own_scores(near, rows, sample_of(3000), 0.0)
    assert reports[-1] == ("neighbors", 3000, 3000)


@pytest.mark.parametrize("rows", [
    np.zeros((1500, 3)), np.repeat(np.eye(3), 500, axis=0), np.r_[np.zeros((1480, 3)), np.full((20, 3), 1e30)],
    np.r_[np.arange(1500.0)[:, None] ** 9], np.arange(1500.0)[:, None] * 1e-30,
])
def test_copies_and_extremes_are_no_trouble(rows):
    rows = rows.astype(np.float32)
    near, plain, own = scored(rows, 0.25, np.arange(0, 1500, 2))
    assert np.isfinite(own).all()
    assert np.isfinite(plain).all()
    assert (near.usual > 0).all()


def test_copies_of_an_odd_row_are_all_strange():
    rows = kinds(6000, odd=0)
    rows[:20] = 30
    own = scored(rows, 0.25, sample_of(6000))[2]
    assert own[:20].min() > np.sort(own[20:])[-1]
