import numpy as np
import pytest

from oddlens.errors import OptionError
from oddlens.explaining.groups import group_alike


@pytest.fixture
def collection():
    """300 ordinary rows of 20 features; then 12 of one odd kind, 8 of another, 5 copies, and 3 loners."""
    rng = np.random.default_rng(0)
    ordinary = rng.normal(size=(300, 20))
    kinds = [centre + 0.3 * rng.normal(size=(count, 20))
             for centre, count in ((np.full(20, 4.0), 12), (np.full(20, -4.0), 8))]
    copies = np.repeat(rng.normal(size=(1, 20)) + 9, 5, 0)
    loners = 30 * np.eye(20)[:3]
    return np.concatenate([ordinary, *kinds, copies, loners]).astype(np.float32)


def test_what_is_alike_is_together_and_nothing_else(collection):
    rows = np.random.default_rng(1).permutation(np.arange(300, 328))
    found = group_alike(collection, rows)
    together = {frozenset(found.members(k).tolist()) for k in range(len(found.sizes))}
    assert together == {frozenset(range(300, 312)), frozenset(range(312, 320)), frozenset(range(320, 325)),
                        frozenset({325}), frozenset({326}), frozenset({327})}


def test_groups_are_numbered_by_their_oddest_and_sizes_add_up(collection):
    rows = np.arange(300, 328)[::-1].copy()
    found = group_alike(collection, rows)
    first = [int(np.flatnonzero(found.group == k)[0]) for k in range(len(found.sizes))]
    assert first == sorted(first)
    assert found.sizes.sum() == len(rows)
    assert (found.group[found.representatives] == np.arange(len(found.sizes))).all()


def test_a_representative_is_the_most_typical(collection):
    rows = np.arange(300, 312)
    found = group_alike(collection, rows)
    apart = np.linalg.norm(collection[rows] - collection[rows].mean(0), axis=1)
    assert found.representatives.tolist() == [int(apart.argmin())]


def test_ordinary_images_are_not_put_together():
    # In many dimensions all distances are about equal; none is nearer to another than ordinary ones are.
    rows = np.random.default_rng(0).normal(size=(2000, 100)).astype(np.float32)
    found = group_alike(rows, np.arange(200))
    assert found.sizes.max() <= 4


def test_the_order_of_the_rows_changes_only_the_numbers(collection):
    rows = np.arange(300, 328)
    one, other = group_alike(collection, rows), group_alike(collection, rows[::-1])
    sets = [{frozenset(found.members(k).tolist()) for k in range(len(found.sizes))} for found in (one, other)]
    assert sets[0] == sets[1]


def test_the_scale_does_not_matter(collection):
    one, other = group_alike(collection, np.arange(300, 328)), group_alike(collection * 1000, np.arange(300, 328))
    assert one.group.tolist() == other.group.tolist()
    assert other.spacing == pytest.approx(1000 * one.spacing, rel=1e-5)


def test_the_reason_names_the_others(collection):
    found = group_alike(collection, np.arange(300, 328))
    reason = found.reason(0)
    assert reason.text == "One of a group of 12 alike."
    assert reason.examples == (301, 302, 303, 304, 305)
    assert found.reason(27) is None


def test_few_and_none(collection):
    assert group_alike(collection, np.array([5])).sizes.tolist() == [1]
    none = group_alike(collection, np.array([], int))
    assert len(none.group) == len(none.sizes) == len(none.representatives) == 0


def test_all_are_odd_or_all_the_same():
    same = group_alike(np.ones((30, 4), np.float32), np.arange(30))
    assert same.sizes.tolist() == [30]
    assert same.spacing == 0
    apart = group_alike(np.diag(np.arange(1.0, 31)).astype(np.float32), np.arange(30))
    assert apart.sizes.sum() == 30


def test_thousands_of_copies_of_two_images():
    rows = np.concatenate([np.repeat(np.eye(50)[:2] * 20, 1500, 0), np.random.default_rng(0).normal(size=(500, 50))])
    found = group_alike(rows.astype(np.float32), np.arange(3000))
    assert found.sizes.tolist() == [1500, 1500]


@pytest.mark.parametrize("rows", [[400], [-1], [3, 3]])
def test_rows_that_are_not_there_or_twice(collection, rows):
    with pytest.raises(OptionError, match=r"rows|twice"):
        group_alike(collection, np.array(rows))


def test_features_must_be_finite(collection):
    collection[310, 2] = np.nan
    with pytest.raises(OptionError, match="finite"):
        group_alike(collection, np.arange(300, 328))
