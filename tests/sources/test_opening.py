import os

import numpy as np
import pytest
from PIL import Image

from oddlens.errors import MissingExtra, SourceError
from oddlens.sources import open_source
from oddlens.sources.opening import in_files


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceError, match="neither a file nor a folder"):
        open_source(tmp_path / "pipe")


def test_a_film_is_no_list_of_paths(tmp_path):
    (tmp_path / "film.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(100))
    with pytest.raises((SourceError, MissingExtra), match=r"cannot be read as a video|needs PyAV"):
        open_source(tmp_path / "film.mp4")
    (tmp_path / "film.mp4").write_bytes(b"no film" + bytes(100))
    with pytest.raises(SourceError, match="neither an image nor a text file of paths"):
        open_source(tmp_path / "film.mp4")


@pytest.mark.parametrize(("bad", "message"), [
    (np.zeros((5, 6)), "n, height, width"),
    (np.zeros((5, 2, 6, 7), np.uint8), "1, 3 or 4 channels"),
    (np.zeros((5, 3, 60, 3), np.uint8), r"may be the first axis or the last.*Image\.fromarray"),
    (np.zeros((0, 6, 7), np.uint8), "no pixels"),
    (np.zeros((60, 80, 3), np.uint8), r"one picture in colour .* \(n, height, width, 3\).*\[\.\.\., None\]"),
    (np.zeros((60, 80, 4)), "one picture in colour"),
    (Image.new("RGB", (40, 30)), "Give a list of several"),
    ("gopher://example.org/photos.zip", "not known"),
    (np.zeros((5, 6, 7), np.int64), "astype"),
    (np.zeros((5, 6, 7), complex), "astype"),
    (np.zeros((5, 6, 7), ">u4"), "astype"),
    ([], "empty"),
    (object(), "Give a folder"),
    ([object()], "Give a folder"),
    (None, "Give a folder"),
    ({"a.png": 1}, "Give a folder"),
    (b"photos", "Give a folder|channels"),
    ("no-such-place", "There is no"),
])
def test_what_is_no_collection_of_images_says_what_would_be(bad, message):
    with pytest.raises(SourceError, match=message):
        open_source(bad)


def test_an_object_with_the_methods_is_taken_as_it_is():
    class Own:
        def __len__(self): return 3
        def name(self, index): return str(index)
        def read(self, index): return np.zeros((4, 4, 1), np.uint8)

    own = Own()
    assert open_source(own) is own


def test_it_is_known_which_sources_read_files_and_hold_no_images(tmp_path):
    images = np.zeros((12, 9, 9), np.uint8)
    np.save(tmp_path / "images.npy", images)
    for number, image in enumerate(images):
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.fromarray(image).save(tmp_path / "photos" / f"{number}.png")
    photos, array = tmp_path / "photos", tmp_path / "images.npy"
    assert in_files(open_source(photos))
    assert in_files(open_source(array))
    assert in_files(open_source([photos, array]))
    for held in (images, [Image.fromarray(image) for image in images]):
        assert not in_files(open_source(held))
