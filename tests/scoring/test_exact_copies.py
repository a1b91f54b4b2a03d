import numpy as np
import pytest

from oddlens.errors import SavedModelError
from oddlens.scoring.exact_copies import Known, digests


def test_an_image_is_known_by_its_pixels_and_one_level_makes_it_another(dots):
    known = Known(digests(dots))
    assert np.array_equal(known.find(dots[[5, 3]]), [5, 3])
    assert known.digests.shape == (120, 16)
    changed = dots[[5]].copy()
    changed[0, 2, 3, 0] ^= 1
    assert known.find(changed)[0] == -1
    assert len(known.find(dots[:0])) == 0


def test_of_images_that_are_the_same_the_first_is_meant(dots):
    images = dots[[4, 9, 4, 4]]
    known = Known(digests(images))
    assert known.first().tolist() == [0, 1, 0, 0]
    assert known.find(dots[[4, 9, 1]]).tolist() == [0, 1, -1]


def test_digests_that_agree_in_one_half_are_different():
    some = np.zeros((6, 16), np.uint8)
    some[1, 15] = some[2, 14] = some[3, 0] = 1
    some[4] = some[2]
    known = Known(some[:5])
    assert known.first().tolist() == [0, 1, 2, 3, 2]
    wanted = some[[2, 3, 1]].copy()
    wanted[2, 8] = 7
    assert known.rows_of(wanted).tolist() == [2, 3, -1]
    assert Known(some[:0]).rows_of(some).tolist() == [-1] * 6


def test_the_layout_in_memory_does_not_matter(dots):
    assert np.array_equal(digests(dots[::2]), digests(dots[::2].copy()))
    assert np.array_equal(digests(np.asfortranarray(dots)), digests(dots))


@pytest.mark.parametrize("bad", [np.zeros((3, 8), np.uint8), np.zeros((3, 16)), np.zeros(16, np.uint8),
                                 np.zeros((3, 16, 1), np.uint8), np.zeros((3, 16), np.int8),
                                 np.zeros((3, 17), np.uint8)])
def test_digests_that_are_none_are_refused(bad):
    with pytest.raises(SavedModelError, match="digests"):
        Known(bad)
