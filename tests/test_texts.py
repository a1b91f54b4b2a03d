import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oddlens import texts as module
from oddlens.errors import SavedModelError
from oddlens.texts import Places, Texts, Words, coded, sorting

NAMES = ["b.png", "", "Ä/ö.PNG", "a\udcff.png", "a.png", "aab", "K\u212a"]


def test_texts_are_those_that_were_given():
    texts = Texts.of(NAMES)
    assert list(texts) == NAMES
    assert [texts[at] for at in range(len(texts))] == NAMES
    assert texts[-1] == NAMES[-1]
    assert texts[1:6:2] == tuple(NAMES[1:6:2])
    with pytest.raises(IndexError):
        texts[len(NAMES)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.sampled_from("aAbB.Kké\u212aİ"), max_size=5), max_size=12),
       st.text(st.sampled_from("abkK.éi"), max_size=3))
def test_a_search_finds_what_a_search_name_by_name_finds(names, wanted):
    before, module.BLOCK = module.BLOCK, 3
    try:
        found = Texts.of(names).containing(wanted)
    finally:
        module.BLOCK = before
    assert found.tolist() == [wanted.lower() in name.lower() for name in names]


def test_places_are_found_by_name_and_others_are_not():
    texts = Texts.of(NAMES)
    places = Places(texts, sorting(texts).astype(np.int32))
    assert [places[name] for name in NAMES] == list(range(len(NAMES)))
    assert dict(places) == {name: row for row, name in enumerate(NAMES)}
    assert "nowhere" not in places
    assert places.get("zz") is None


def test_few_different_texts_are_kept_once():
    few, many = coded(["x", "y", "x"] * 10), coded(list(map(str, range(5000))))
    assert isinstance(few, Words)
    assert few.words == ("x", "y")
    assert list(few) == ["x", "y", "x"] * 10
    assert few[1:4] == ("y", "x", "x")
    assert isinstance(many, Texts)
    assert list(many)[4999] == "4999"
    assert list(coded([])) == []


def test_arrays_that_are_no_texts_are_refused():
    content = np.frombuffer(b"abc", np.uint8)
    for starts in ([0, 4], [1, 3], [0, 2, 1, 3], []):
        with pytest.raises(SavedModelError):
            Texts(np.array(starts, np.int64), content)
    with pytest.raises(SavedModelError):
        Words(np.array([0, 2], np.uint8), ("a", "b"))
    with pytest.raises(SavedModelError):
        Places(Texts.of(["a", "b"]), np.array([0, 2], np.int32))
