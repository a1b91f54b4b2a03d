import numpy as np
import pytest
from PIL import Image

from oddlens.errors import OptionError, OutputError
from oddlens.report.contact_sheet import FRAME_PIXELS, LARGEST_PICTURE, Panel, write_gallery

WHITE = 255


def checkers(side):
    """A grey image whose every pixel differs from its neighbours."""
    return (np.indices((side, side)).sum(0) % 2 * 255).astype(np.uint8)[..., None]


def panel(count, image, title="Strangest"):
    return Panel(title, "by score", [image] * count, [f"{i}.00" for i in range(count)])


def drawn(path):
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_a_sheet_of_twenty_digits_a_panel_fits_a_readme(tmp_path, count):
    write_gallery(tmp_path / "sheet.png", [panel(20, checkers(28))] * count)
    sheet = drawn(tmp_path / "sheet.png")
    assert 1200 <= sheet.shape[1] <= 1600
    assert (sheet[0] == WHITE).all()
    assert (sheet[-1] == WHITE).all()


def test_small_images_grow_by_whole_pixels_and_stay_crisp(tmp_path):
    image = np.full((4, 4, 3), (200, 30, 60), np.uint8)
    image[1, 2] = (10, 250, 10)
    write_gallery(tmp_path / "sheet.png", [panel(1, image)])
    sheet = drawn(tmp_path / "sheet.png")
    rows, columns = np.nonzero((sheet == (10, 250, 10)).all(2))
    side = LARGEST_PICTURE // 4
    assert len(rows) == side * side
    assert np.ptp(rows) == np.ptp(columns) == side - 1
    assert (sheet == (200, 30, 60)).all(2).sum() == 15 * side * side, "no pixel is mixed from two"


def test_photos_shrink_and_keep_their_shape(tmp_path):
    photo = np.full((300, 900, 3), (0, 0, 250), np.uint8)
    write_gallery(tmp_path / "sheet.png", [panel(1, photo)])
    rows, columns = np.nonzero((drawn(tmp_path / "sheet.png") == (0, 0, 250)).all(2))
    assert (np.ptp(columns) + 1, np.ptp(rows) + 1) == (LARGEST_PICTURE, round(LARGEST_PICTURE / 3))


@pytest.mark.parametrize("shape", [(1, 4000, 1), (4000, 1, 3), (1, 1, 1)])
def test_no_shape_is_too_extreme(tmp_path, shape):
    write_gallery(tmp_path / "sheet.png", [panel(3, np.zeros(shape, np.uint8))])
    assert (drawn(tmp_path / "sheet.png") == 0).all(2).any()


@pytest.mark.parametrize("panels", [[], [panel(0, None)], [panel(3, checkers(28))], [panel(7, checkers(28))] * 7])
def test_fewer_images_and_more_panels_work(tmp_path, panels):
    write_gallery(tmp_path / "sheet.png", panels)
    assert drawn(tmp_path / "sheet.png").size


def test_each_image_has_its_label_and_each_panel_its_words(tmp_path):
    image = np.full((28, 28, 1), 255, np.uint8)
    write_gallery(tmp_path / "bare.png", [Panel("", "", [image], [""])])
    bare = (drawn(tmp_path / "bare.png") < 128).any(2).sum()
    for words in (("Title", "", ""), ("", "Caption", ""), ("", "", "2.99")):
        write_gallery(tmp_path / "said.png", [Panel(*words[:2], [image], [words[2]])])
        assert (drawn(tmp_path / "said.png") < 128).any(2).sum() > bare


def test_words_that_are_too_long_stay_in_their_panel(tmp_path):
    image = np.full((28, 28, 1), 255, np.uint8)
    wide = Panel("long " * 200, "line\nbreaks\n" * 50, [image] * 4, ["9" * 300] * 4)
    write_gallery(tmp_path / "sheet.png", [wide, Panel("", "", [image] * 4, [""] * 4)])
    sheet = drawn(tmp_path / "sheet.png")
    middle = sheet.shape[1] // 2
    dark = (sheet < 180).any(2)
    assert dark[:, :middle].any()
    assert not dark[:, middle + 8:].any()


def test_a_label_too_few_is_an_error_that_says_so():
    with pytest.raises(OptionError, match="2 images and 1 labels"):
        Panel("Strangest", "", [checkers(4)] * 2, ["1"])


def test_no_columns_is_an_error(tmp_path):
    with pytest.raises(OptionError, match="columns"):
        write_gallery(tmp_path / "sheet.png", [], columns=0)


def test_a_sheet_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="Cannot write"):
        write_gallery(tmp_path / "file" / "sheet.png", [panel(1, checkers(4))])


def test_the_same_panels_give_the_same_bytes(tmp_path, digits):
    for name in ("a.png", "b.png"):
        write_gallery(tmp_path / name, [Panel("Digits", "in order", digits[:20], list(map(str, range(20))))])
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert not list(tmp_path.glob(".*"))


def test_flagged_images_are_framed_in_red_and_others_are_not(tmp_path):
    red, image = (0xB3, 0x26, 0x1E), np.full((28, 28, 1), 255, np.uint8)
    counts = []
    for flagged in (0, 1, 2):
        write_gallery(tmp_path / "sheet.png", [Panel("", "", [image] * 3, [""] * 3, flagged=flagged)])
        counts.append(int((drawn(tmp_path / "sheet.png") == red).all(2).sum()))
    side = LARGEST_PICTURE // 28 * 28
    assert counts[0] == 0
    assert counts[1] == (side + 2 * FRAME_PIXELS) ** 2 - side**2
    assert counts[2] == 2 * counts[1]
