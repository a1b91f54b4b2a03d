"""Labelled data: the bundled digits, a user's folder, and what to install where a set is missing."""

import numpy as np
import pytest
from PIL import Image

from oddlens.errors import SourceError
from oddlens.evaluation.datasets import groups, labelled_folder, load
from oddlens.reading.limits import Limits


def folder(place, **counts):
    for label, count in counts.items():
        (place / label / "deeper").mkdir(parents=True)
        for number in range(count):
            pixels = np.random.default_rng(number).integers(0, 256, (12, 12), dtype=np.uint8)
            Image.fromarray(pixels).save(place / label / ("deeper" if number % 2 else ".") / f"{number}.png")
    return place


def test_the_bundled_digits_come_with_their_labels():
    images, labels = load("mnist")
    assert images.shape == (10_000, 28, 28, 1)
    assert np.bincount(labels.astype(int)).min() > 800


def test_the_label_is_the_first_part_of_the_path(tmp_path):
    images, labels, notes = labelled_folder(folder(tmp_path, cups=11, plates=3))
    assert images.shape == (14, 12, 12, 1)
    assert dict(zip(*np.unique(labels, return_counts=True), strict=True)) == {"cups": 11, "plates": 3}
    assert notes == []


def test_limits_hold_for_your_own_labels_too(tmp_path):
    folder(tmp_path, cups=11, plates=3)
    Image.new("L", (1200, 1200)).save(tmp_path / "cups" / "large.png")
    assert len(labelled_folder(tmp_path)[0]) == 15
    images, _, notes = labelled_folder(tmp_path, limits=Limits(memory=2**20))
    assert len(images) == 14
    assert notes[0].startswith("left out, cannot be read: cups/large.png (")


def test_what_is_left_out_is_noted(tmp_path):
    folder(tmp_path, cups=11, plates=3)
    (tmp_path / "cups" / "bad.png").write_bytes(b"")
    Image.new("L", (12, 12)).save(tmp_path / "stray.png")
    images, labels, notes = labelled_folder(tmp_path)
    assert len(images) == len(labels) == 14
    assert notes[0].startswith("left out, cannot be read: cups/bad.png (")
    assert notes[1] == f"left out, in no subfolder: 1 images directly in {tmp_path}"


@pytest.mark.parametrize(("counts", "message"), [
    ({"cups": 12}, "holds 1 subfolders with images; 2 or more are needed"),
    ({"cups": 9, "plates": 3}, "largest subfolder of .* holds 9 readable images; 10 are needed"),
])
def test_folders_that_cannot_be_measured_say_what_is_needed(tmp_path, counts, message):
    with pytest.raises(SourceError, match=message):
        labelled_folder(folder(tmp_path, **counts))


def test_a_file_is_no_folder_of_labels(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((12, 8, 8), np.uint8))
    with pytest.raises(SourceError, match="is not a folder"):
        labelled_folder(tmp_path / "a.npy")


def test_a_set_that_is_not_there_says_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("FASHION_DIR", str(tmp_path))
    with pytest.raises(SourceError, match=f"Fashion-MNIST is not in {tmp_path}: apt install dataset-fashion-mnist"):
        load("fashion")


def test_groups_are_the_labels_with_enough_images():
    assert groups(["b", "a", "b", "c", "c", "c"], 2) == ["b", "c"]
