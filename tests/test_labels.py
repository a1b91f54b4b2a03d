"""What a person said, by name and by row."""

import numpy as np
import pytest

from oddlens.errors import OptionError
from oddlens.labels import by_row, merged

NAMES = ["a.png", "b.png", "c.png", "d.png"]


def test_later_labels_join_earlier_ones_and_may_be_taken_back():
    known = merged({}, {"a.png": "odd", "b.png": "normal"}, NAMES)
    known = merged(known, {"c.png": "odd", "a.png": "normal", "b.png": None, "d.png": None}, NAMES)
    assert list(known.items()) == [("c.png", "odd"), ("a.png", "normal")]


@pytest.mark.parametrize(("said", "message"), [
    ({"e.png": "odd"}, "no fitted image named 'e.png'. Did you mean"),
    ({"broken.png": "odd"}, "'broken.png' could not be read"),
    ({"a.png": "strange"}, "The label of 'a.png' is 'strange'; it must be 'odd', 'normal', or None"),
    ({"a.png": True}, "is True"),
])
def test_what_cannot_be_is_refused(said, message):
    with pytest.raises(OptionError, match=message):
        merged({}, said, NAMES, ["broken.png"])


def test_copies_have_the_label_that_was_said_last():
    first = np.array([0, 1, 0, 1])
    assert by_row({"a.png": "odd", "b.png": "odd", "c.png": "normal"}, NAMES, first) == {
        1: True, 3: True, 0: False, 2: False}
    assert list(by_row({"d.png": "normal"}, NAMES, first).items()) == [(1, False), (3, False)]
    assert by_row({}, NAMES, first) == {}
