import numpy as np
import pytest
from PIL import Image

import held
from oddlens.errors import SourceError, UnreadableImage
from oddlens.pixels import PixelFormat, read_pixels
from oddlens.sources import ArraySource, open_source
from oddlens.sources.items import ItemSource, has_items
from oddlens.testing import check_source


class Counting:
    """Pairs of a picture and a label, which counts how often it is asked, and for what."""

    def __init__(self, broken=()):
        self.pictures, self.broken, self.asked = held.pictures(), broken, []

    def __len__(self):
        return len(self.pictures)

    def __getitem__(self, number):
        self.asked.append(number)
        if number in self.broken:
            raise KeyError(f"no {number}")
        return self.pictures[number], number % 3


@pytest.mark.parametrize("form", [
    lambda pictures: pictures, tuple, iter, lambda pictures: [np.asarray(picture) for picture in pictures],
    lambda pictures: [(picture, "label") for picture in pictures],
    lambda pictures: [{"image": np.asarray(picture).transpose(2, 0, 1) / 255} for picture in pictures],
    lambda pictures: Counting(),
])
def test_pictures_in_memory_score_as_the_folder_of_them(in_folder, form):
    assert np.allclose(held.scores(form(held.pictures())), in_folder[1], rtol=0, atol=1e-6)


def test_pictures_of_mixed_sizes_and_modes_are_a_collection():
    pictures = [Image.new(mode, (10 + number, 12), 60 + number) for number, mode in enumerate(["L", "RGB", "1"] * 4)]
    source = open_source(pictures)
    assert held.names(source)[:3] == ["00", "01", "02"]
    assert [source.read(number).shape for number in (0, 1)] == [(12, 10, 1), (12, 11, 3)]
    check_source(source)


def test_arrays_of_one_size_are_an_array():
    assert isinstance(open_source([np.zeros((4, 5), np.uint8)] * 12), ArraySource)
    assert isinstance(open_source([[[0.0, 1], [1, 0]]] * 12), ArraySource)


def test_large_pictures_are_reduced_as_files_are(tmp_path):
    rng = np.random.default_rng(0)
    pictures = [Image.fromarray(rng.integers(0, 256, (700, 600, 3), dtype=np.uint8)) for _ in range(2)]
    for number, picture in enumerate(pictures):
        picture.save(tmp_path / f"{number}.png")
    source = open_source(pictures)
    check_source(source)
    form = PixelFormat(64, 56, 3)
    assert np.array_equal(read_pixels(source, form).pixels, read_pixels(open_source(tmp_path), form).pixels)


def test_a_data_set_is_understood_from_its_first_item_and_not_walked():
    items = Counting()
    source = open_source(items)
    assert (len(source), items.asked) == (24, [0])
    assert np.array_equal(source.read(5), np.asarray(items.pictures[5]))


def test_a_broken_item_is_unreadable_and_stops_nothing():
    source = open_source(Counting(broken=(0, 7)))
    with pytest.raises(UnreadableImage, match="07: KeyError: 'no 7'"):
        source.read(7)
    collection = read_pixels(source, PixelFormat(20, 28, 3))
    assert [name for name, _ in collection.unreadable] == ["00", "07"]
    with pytest.raises(SourceError, match=r"gives none of its items 0, .*KeyError: 'no 0'"):
        open_source(Counting(broken=range(24)))
    mixed = open_source([None, *held.pictures()])
    with pytest.raises(UnreadableImage, match="not a picture"):
        mixed.read(0)


def test_floats_go_by_one_range_for_all():
    pictures = [np.asarray(picture) for picture in held.pictures()]
    sizes = [picture[: 20 - number % 2] for number, picture in enumerate(pictures)]
    for white in (1.0, 255.0):
        source = open_source([picture / 255 * white for picture in sizes])
        assert np.array_equal(source.read(3), sizes[3])
    with pytest.raises(SourceError, match="The list holds numbers from -1 to"):
        ItemSource([picture / 127.5 - 1 for picture in [*sizes[:-1], np.zeros_like(sizes[0])]])


def test_what_has_items_by_number():
    assert has_items([])
    assert has_items(Counting())
    for other in ("text", b"text", {}, np.zeros(3), iter([]), None):
        assert not has_items(other)
    with pytest.raises(SourceError, match="is empty"):
        ItemSource([])
    assert held.names(ItemSource(held.pictures(), [3, 1, 3])) == ["03", "01", "03 (2)"]
