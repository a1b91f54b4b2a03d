"""A collection in blocks: a sample at hand, the others read once, in their turn."""

import os

import numpy as np
import pytest
from PIL import Image

from oddlens import stream
from oddlens.blocks import Blocks
from oddlens.errors import SourceError, UnreadableImage
from oddlens.pixels import PixelFormat, read_pixels
from oddlens.sources import open_source
from oddlens.stream import Some, Stream, sampled

FORM = PixelFormat(8, 8, 1)
LARGER = PixelFormat(8, 8, 1, detail=(16, 16))


class Counting:
    """Images of one grey each, those of ``broken`` unreadable, and how often each was read."""

    def __init__(self, count=50, broken=()):
        self.count, self.broken, self.reads = count, set(broken), []

    def __len__(self):
        return self.count

    def name(self, index):
        return f"{index:03d}"

    def read(self, index):
        self.reads.append(index)
        if index in self.broken:
            raise UnreadableImage(self.name(index), "torn")
        return np.full((8, 8, 1), index, np.uint8)


@pytest.fixture
def small(monkeypatch):
    """Samples of 20 images and blocks of 8."""
    monkeypatch.setattr(stream, "LEARNED_IMAGES", 20)
    monkeypatch.setattr(stream, "BLOCK_IMAGES", 8)


def seen(images):
    return [(name, int(pixels.flat[0]), int(place))
            for name, pixels, place in zip(images.names, images.pixels, images.indices, strict=True)]


def test_a_sample_is_all_of_few_and_the_same_random_ones_of_many(small):
    assert sampled(20).tolist() == list(range(20))
    places = sampled(50)
    assert places.tolist() == sampled(50).tolist() == sorted(set(places.tolist()))
    assert len(places) == 20
    assert places.max() > 40


@pytest.mark.parametrize("count", [20, 50])
@pytest.mark.parametrize("broken", [(), (0, 9, 10, 19)])
def test_blocks_hold_every_image_once_in_order_and_each_is_read_once(small, count, broken):
    source = Counting(count, broken)
    opened = Stream.open(source, FORM)
    blocks = [opened.block(number) for number in opened.blocks]
    assert [row for images in blocks for row in seen(images)] == [
        (f"{index:03d}", index, index) for index in range(count) if index not in broken]
    assert [name for images in blocks for name, reason in images.unreadable if reason == "torn"] == [
        f"{index:03d}" for index in sorted(broken)]
    assert sorted(source.reads) == list(range(count)), "each once"
    assert sum(map(opened.size, opened.blocks)) == count


def test_learned_from_is_the_sample(small):
    source = Counting(50, broken=[int(sampled(50)[3])])
    assert Stream.open(source, FORM).learned().pixels[:, 0, 0, 0].tolist() == np.delete(sampled(50), 3).tolist()
    held = Stream.of(read_pixels(source, FORM))
    assert held.learned().pixels[:, 0, 0, 0].tolist() == np.delete(sampled(50), 3).tolist()
    assert [len(held.block(number)) for number in held.blocks] == [
        8 - (int(sampled(50)[3]) // 8 == number) for number in range(6)] + [2]


def test_images_that_are_not_at_hand_are_read_when_they_are_asked_for(small):
    source = Counting(50, broken=[7])
    opened = Stream.open(source, LARGER)
    found = stream.Found(tuple(f"{i:03d}" for i in range(50) if i != 7), (("007", "torn"),),
                         np.full((49, 2), 8, np.int32), np.delete(np.arange(50), 7))
    whole = opened.collection(found)
    source.reads.clear()
    assert whole.pixels.shape == (49, 8, 8, 1)
    assert whole.detail.shape == (49, 16, 16, 1)
    assert source.reads == []
    assert whole.pixels[7][0, 0, 0] == 8
    assert whole.pixels[np.array([48, 0, 3])][:, 0, 0, 0].tolist() == [49, 0, 3], "in the order asked for"
    assert whole.copies[5:9].detail[:, 0, 0, 0].tolist() == [5, 6, 8, 9]
    source.broken.add(3)
    assert whole.pixels[np.array([4, 3])][:, 0, 0, 0].tolist() == [4, 0], "gone since: black"
    few = Stream.open(Counting(15), FORM)
    assert few.collection(found) is few.hand


def test_some_images_of_a_source_are_a_source():
    some = Some(Counting(), [4, 9])
    assert (len(some), some.name(1), some.read(0)[0, 0, 0], some.pixels) == (2, "009", 4, None)
    held = Some(open_source(np.arange(12, dtype=np.uint8)[:, None, None] * np.ones((8, 8), np.uint8)), [4, 9])
    assert held.pixels[:, 0, 0, 0].tolist() == [4, 9]


def test_two_images_of_one_name_are_refused():
    source = Counting()
    source.name = lambda index: "same"
    with pytest.raises(SourceError, match="'same' stands for 50 images"):
        Stream.open(source, FORM)


@pytest.fixture
def folder(tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    for index in range(30):
        Image.fromarray(np.full((8, 8), index, np.uint8)).save(images / f"{index:03d}.png")
    (images / "004.png").write_bytes(b"torn")
    return images


def reads(folder, kept, monkeypatch, form=FORM):
    """The sample of a folder, and the names of the files that were read for it."""
    source, names = open_source(folder), []
    read = source.read_near
    monkeypatch.setattr(source, "read_near", lambda index, side: names.append(source.name(index)) or read(index, side))
    return Stream.open(source, form, 1, kept), names


def test_a_sample_that_is_kept_is_not_read_again_and_of_a_changed_one_only_what_changed(
    small, folder, tmp_path, monkeypatch
):
    kept = Blocks(tmp_path, "sample")
    first, names = reads(folder, kept, monkeypatch)
    assert len(names) == 20
    again, names = reads(folder, kept, monkeypatch)
    assert names == []
    assert seen(again.hand) == seen(first.hand)
    assert again.hand.unreadable == first.hand.unreadable
    changed, touched = (first.hand.names[row] for row in (3, 11))
    Image.fromarray(np.full((8, 8), 200, np.uint8)).save(folder / changed)
    os.utime(folder / touched, ns=(1, 1))
    after, names = reads(folder, kept, monkeypatch)
    assert {changed, touched} <= set(names) <= {changed, touched, "004.png"}
    assert [value for name, value, _ in seen(after.hand) if name == changed] == [200]
    assert [row for row in seen(after.hand) if row[0] != changed] == [r for r in seen(first.hand) if r[0] != changed]


def test_images_kept_in_another_format_are_read_again(small, folder, tmp_path, monkeypatch):
    kept = Blocks(tmp_path, "sample")
    reads(folder, kept, monkeypatch)
    again, names = reads(folder, kept, monkeypatch, LARGER)
    assert len(names) == 20
    assert again.hand.detail.shape[1:] == (16, 16, 1)
    assert len(reads(folder, kept, monkeypatch)[1]) == 20


def test_a_source_that_tells_no_changes_is_read_anew(small, tmp_path):
    kept, source = Blocks(tmp_path, "sample"), Counting(30)
    for _ in range(2):
        source.reads.clear()
        Stream.open(source, FORM, 1, kept)
        assert len(source.reads) == 20


def test_of_a_block_only_the_images_that_are_not_at_hand_have_stamps(small, folder):
    opened = Stream.open(open_source(folder), FORM)
    stamped = [known[0] for number in opened.blocks for known in opened.stamps(number)]
    assert stamped == [f"{index:03d}.png" for index in np.setdiff1d(np.arange(30), sampled(30))]
    assert Stream.of(read_pixels(open_source(folder), FORM)).stamps(1) == [1]


def test_the_sample_of_a_larger_collection_lies_in_a_file(small):
    whole, larger = Stream.open(Counting(20), LARGER), Stream.open(Counting(21), LARGER)
    assert not isinstance(whole.hand.pixels, np.memmap)
    assert isinstance(larger.hand.pixels, np.memmap)
    assert isinstance(larger.hand.detail, np.memmap)
    assert [int(image.flat[0]) for image in larger.learned().pixels] == sampled(21).tolist()
