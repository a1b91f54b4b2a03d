import os

import numpy as np
import pytest

from held import IMAGES, idx, names
from oddlens.errors import SourceError, UnreadableImage
from oddlens.pixels import PixelFormat, read_pixels
from oddlens.progress import listening
from oddlens.reading import array_files
from oddlens.sources import open_source


class Slow:
    """A source with the three methods and nothing else."""

    def __init__(self, source):
        self.name, self.read, self.length = source.name, source.read, len(source)

    def __len__(self):
        return self.length


@pytest.mark.parametrize(("array", "expected"), [
    (IMAGES, IMAGES[..., None]),
    (IMAGES[:, :, :3, None], IMAGES[:, :, :3, None]),
    (IMAGES > 127, (IMAGES > 127)[..., None] * np.uint8(255)),
    (IMAGES.astype(np.uint16) << 8, IMAGES[..., None]),
    ((IMAGES.astype(np.uint16) << 8).astype(">u2"), IMAGES[..., None]),
    (IMAGES.astype(np.float32) / 255, IMAGES[..., None]),
    (np.stack([IMAGES] * 3, -1), np.stack([IMAGES] * 3, -1)),
    (np.stack([IMAGES] * 3 + [np.zeros_like(IMAGES)], -1), np.full((5, 6, 7, 3), 255)),
    (np.stack([IMAGES] * 3 + [np.full_like(IMAGES, 255)], -1), np.stack([IMAGES] * 3, -1)),
])
def test_arrays_of_every_kind(array, expected):
    source = open_source(array)
    assert names(source) == list("01234")
    assert np.array_equal(np.stack([source.read(i) for i in range(len(source))]), expected)
    assert source.read(0).dtype == np.uint8


def test_floats_out_of_range_are_unreadable_one_by_one():
    array = np.zeros((4, 6, 7))
    array[1], array[2, 0, 0] = 7, np.nan
    source = open_source(array)
    assert source.read(0).max() == 0
    for index in (1, 2):
        with pytest.raises(UnreadableImage, match="scale the array"):
            source.read(index)


def test_arrays_that_are_pixels_already_are_taken_in_blocks_and_equal_those_read_one_by_one(tmp_path):
    (tmp_path / "a").write_bytes(idx(IMAGES))
    source = open_source(tmp_path / "a")
    assert isinstance(source.array, array_files.RowsInFile)
    reports = []
    with listening(lambda *report: reports.append(report)):
        blocks = read_pixels(source, PixelFormat(6, 7, 1))
    assert reports == [("reading", 5, 5)], "all at once"
    one_by_one = read_pixels(Slow(source), PixelFormat(6, 7, 1))
    assert np.array_equal(blocks.pixels, one_by_one.pixels)
    assert np.array_equal(blocks.pixels[..., 0], IMAGES)
    assert np.array_equal(blocks.shapes, one_by_one.shapes)
    assert np.array_equal(blocks.indices, one_by_one.indices)
    assert (blocks.shapes.dtype, blocks.indices.dtype) == (np.int32, np.int64)
    assert blocks.names == one_by_one.names
    for other in (np.zeros((2, 6, 7, 4), np.uint8), np.zeros((2, 6, 7), np.uint16), np.zeros((2, 6, 7))):
        assert open_source(other).pixels is None


@pytest.mark.parametrize("content", [None, idx(IMAGES)])
def test_a_file_that_is_cut_short_while_it_is_read_is_said_and_ends_nothing(tmp_path, content):
    path = tmp_path / "a"
    if content is None:
        np.save(tmp_path / "a.npy", IMAGES)
        (tmp_path / "a.npy").rename(path)
    else:
        path.write_bytes(content)
    source = open_source(path)
    os.truncate(path, path.stat().st_size - 60)
    assert np.array_equal(source.read(2)[..., 0], IMAGES[2])
    with pytest.raises(SourceError, match="cut short while it was read: it ends within row 3"):
        source.read(3)
    with pytest.raises(SourceError, match="cut short"):
        read_pixels(source, PixelFormat(6, 7, 1))
    collection = read_pixels(source, PixelFormat(8, 8, 1))
    assert collection.names == ("0", "1", "2")
    assert "cut short" in collection.unreadable[0][1]
    path.unlink()
    with pytest.raises(SourceError, match="cannot be read any more"):
        source.read(0)
