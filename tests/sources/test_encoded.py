import numpy as np
import pytest
from PIL import Image

import messy
from oddlens.errors import UnreadableImage
from oddlens.reading.limits import Limits
from oddlens.sources.encoded import EncodedSource, numbered, stored_names
from oddlens.testing import check_source

RED = Image.new("RGB", (30, 20), "red")
PNG = messy.encoded(RED, "PNG")


@pytest.mark.parametrize("limits", [None, Limits(isolate=True)])
def test_what_is_fetched_is_decoded_as_a_file_is(tmp_path, limits):
    (tmp_path / "x.png").write_bytes(PNG)
    pages = messy.encoded(RED, "TIFF", save_all=True, append_images=[Image.new("RGB", (30, 20), "blue")])
    contents = [PNG, tmp_path / "x.png", pages, pages, b"", b"text", PNG[:60]]
    source = EncodedSource([*"abcdefg"], contents.__getitem__, limits, pages=[0, 0, 0, 1, 0, 0, 0])
    check_source(source)
    assert [tuple(source.read(number)[0, 0]) for number in (0, 1, 2, 3)] == [(255, 0, 0)] * 3 + [(0, 0, 255)]
    assert source.read_near(0, 8)[1] == (20, 30)
    for number, reason in ((4, "e: the file is empty"), (5, "f: text, not an image"), (6, "g: the file ends early")):
        with pytest.raises(UnreadableImage, match=reason):
            source.read(number)


def test_what_cannot_be_fetched_or_is_too_large_costs_one_image():
    def fetch(number):
        if number == 0:
            raise ConnectionError("reset by peer")
        if number == 1:
            raise UnreadableImage("elsewhere", "packed in an unknown way")
        return PNG if number == 2 else bytes(2**21)

    source = EncodedSource([*"abcd"], fetch, Limits(memory=2**20), passed_over={"other files": 3})
    for number, reason in ((0, "a: cannot be fetched: reset by peer"), (1, "b: packed in"), (3, "has 2 MiB; the")):
        with pytest.raises(UnreadableImage, match=reason):
            source.read(number)
    assert source.skipped == 3
    assert np.array_equal(source.read(2), np.asarray(RED)), "the others are read"


def test_names():
    assert numbered(11)[:2] == ["00", "01"]
    assert stored_names(["a", "b"]) == ["a", "b"]
    for paths in (["a", "a"], ["a", None], [None, None], ["a", ""], []):
        assert stored_names(paths) is None
    source = EncodedSource(["a\n", "a\\n"], [PNG, PNG].__getitem__)
    assert [source.name(0), source.name(1)] == ["a\\n", "a\\n (2)"]


def test_what_changed_is_noticed(tmp_path):
    (tmp_path / "x.png").write_bytes(PNG)
    contents = [PNG, tmp_path / "x.png", tmp_path / "gone.png"]
    source = EncodedSource([*"abc"], contents.__getitem__)
    before = [source.stamp(number) for number in range(3)]
    assert before[2] == ()
    contents[0] = PNG + b" "
    (tmp_path / "x.png").write_bytes(PNG + b" ")
    assert all(source.stamp(number) != before[number] for number in (0, 1))
    inside = [EncodedSource(["a"], contents.__getitem__, path=tmp_path / "x.png", column=column).stamp(0)
              for column in ("up", "down", "down")]
    assert inside[0] != inside[1] == inside[2]
