import numpy as np
import pytest
import torch
from PIL import Image

import messy
from oddlens.errors import SourceError, UnreadableImage
from oddlens.reading.limits import Limits
from oddlens.sources.picture import as_pixels, described, is_picture, part_of

COLOUR = np.random.default_rng(0).integers(0, 256, (9, 8, 3), dtype=np.uint8)
PILLOW = Image.fromarray(COLOUR)
FORMS = {
    "Pillow's": PILLOW, "array": COLOUR, "channels first": COLOUR.transpose(2, 0, 1), "tensor": torch.tensor(COLOUR),
    "tensor of floats": torch.tensor(COLOUR.transpose(2, 0, 1) / 255.0, requires_grad=True),
    "file": messy.encoded(PILLOW, "PNG"), "opaque": np.dstack([COLOUR, np.full((9, 8), 255, np.uint8)]),
}


@pytest.mark.parametrize("form", FORMS)
def test_one_picture_in_any_form_is_the_same_pixels(form):
    assert is_picture(FORMS[form])
    assert np.array_equal(as_pixels(FORMS[form], "x", 1.0, Limits()), COLOUR)


def test_a_path_is_a_picture_where_there_is_a_file(tmp_path):
    PILLOW.save(tmp_path / "x.png")
    assert is_picture(tmp_path / "x.png")
    assert not is_picture("a label")
    assert np.array_equal(as_pixels(str(tmp_path / "x.png"), "x", 1.0, Limits(isolate=True)), COLOUR)


def test_pillows_pictures_are_brought_upright_and_onto_white():
    turned = PILLOW.copy()
    turned.getexif()[0x0112] = 6
    assert np.array_equal(as_pixels(turned, "x", 1.0, Limits()), np.rot90(COLOUR, 3))
    clear = PILLOW.convert("RGBA")
    clear.putalpha(0)
    assert as_pixels(clear, "x", 1.0, Limits()).min() == 255
    assert as_pixels(PILLOW.convert("P"), "x", 1.0, Limits()).shape == (9, 8, 3)
    assert as_pixels(Image.new("I;16", (4, 3), 0x8000), "x", 1.0, Limits())[0, 0, 0] == 0x80


@pytest.mark.parametrize(("thing", "reason"), [
    (None, "it is NoneType, not a picture"), (np.zeros(7), "not a picture"), (np.zeros((4, 0, 3)), "not a picture"),
    (np.zeros((4, 4), np.int64), "astype"), (np.zeros((3, 60, 3)), "first axis or the last"), (b"GIF89a", "ends early"),
    (np.full((4, 4), 2.0), "numbers from 0 to 1"),
])
def test_what_is_no_picture_is_unreadable_with_the_reason(thing, reason):
    with pytest.raises(UnreadableImage, match=reason):
        as_pixels(thing, "x", 1.0, Limits())


def test_a_broken_picture_of_pillow_is_unreadable(tmp_path):
    (tmp_path / "x.jpg").write_bytes(messy.encoded(PILLOW.resize((300, 200)), "JPEG")[:-900])
    with Image.open(tmp_path / "x.jpg") as picture, pytest.raises(UnreadableImage, match="damaged"):
        as_pixels(picture, "x", 1.0, Limits())


@pytest.mark.parametrize(("item", "part"), [
    (PILLOW, None), (COLOUR, None), ((PILLOW, 3), 0), ((3, PILLOW), 1), ([COLOUR, torch.tensor(3)], 0),
    ((COLOUR, COLOUR[..., 0]), 0), ({"image": PILLOW, "label": 1}, "image"), ({"x": COLOUR, "y": 2}, "x"),
    ({"mask": COLOUR, "image": COLOUR}, "image"),
])
def test_the_picture_in_an_item_is_found(item, part):
    assert part_of(item, "it") == part


@pytest.mark.parametrize(("item", "message"), [
    ({"left": COLOUR, "right": COLOUR}, r"'left', 'right': give one of them"),
    (np.zeros(784), r"ndarray \(784,\), in which no picture"), ((1, "cat"), "a tuple of int, str"),
    ({"a": [1, 2]}, "a dict of 'a': a list of int, int"), (None, "NoneType"),
])
def test_an_item_without_one_picture_is_described(item, message):
    with pytest.raises(SourceError, match=message):
        part_of(item, "The Data")


def test_a_description_is_short():
    assert described({str(number): 0 for number in range(100)}).count("int") == 8
