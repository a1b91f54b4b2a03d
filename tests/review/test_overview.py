import copy

import numpy as np

from oddlens.feedback import Evidence
from oddlens.review.likeness import Likeness
from oddlens.review.overview import APART, PICTURED, Overview
from runs import ODD


def waited(overview, queue):
    for _ in range(200):
        points = overview.points(queue)
        if points is not None:
            return points
    raise AssertionError("no map")


def test_every_image_has_a_place_and_the_label_that_holds_now(queue, opened):
    overview = Overview(opened)
    points = waited(overview, queue)
    assert {point.row for point in points} == set(range(62))
    assert all(0 < point.x < 100 and 0 < point.y < 100 for point in points)
    assert {point.label for point in points} == {""}
    queue.store.say(sorted(ODD), "odd", who="Ada", session="1")
    queue.refresh()
    assert {point.name for point in overview.points(queue) if point.label == "odd"} == ODD


def test_pictures_do_not_lie_on_each_other(queue, opened):
    shown = np.array([(point.x, point.y) for point in waited(Overview(opened), queue) if point.pictured])
    assert 1 < len(shown) <= PICTURED
    apart = np.abs(shown[:, None] - shown[None]).max(2) + 1000 * np.eye(len(shown))
    assert apart.min() > 100 * APART * 0.9


def test_without_features_images_are_laid_out_by_their_scores(queue, opened):
    bare = copy.copy(opened)
    bare.likeness = Likeness(np.zeros((62, 0)), opened.ranking)
    bare.evidence = Evidence(opened.evidence.scores, opened.evidence.members, np.zeros((62, 0), np.float32))
    assert len(waited(Overview(bare), queue)) == 62
