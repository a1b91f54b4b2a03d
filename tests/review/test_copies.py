import copy
import shutil

import numpy as np
import pytest
from PIL import Image

from oddlens.errors import OptionError, OutputError
from oddlens.model import AnomalyModel
from oddlens.review.copies import put
from oddlens.review.opened_run import OpenedRun
from oddlens.run import rank_into
from runs import HOSTILE, ODD


@pytest.fixture
def moved(opened, finished, tmp_path):
    """The run with a copy of its images, which may be moved about."""
    shutil.copytree(finished / "photos", tmp_path / "photos")
    run = copy.copy(opened)
    run.images = run.provenance.open(tmp_path / "photos")
    run.__dict__.pop("folders", None)
    return run


def rows(run, names=ODD):
    return [run.row_of[name] for name in names]


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


@pytest.mark.parametrize("way", ["copy", "link", "move"])
def test_images_are_put_where_they_were_within_the_collection(moved, tmp_path, way):
    before = files(tmp_path / "photos")
    contents = {name: (tmp_path / "photos" / name).read_bytes() for name in ODD}
    done = put(moved, rows(moved), tmp_path / "odd", way)
    assert files(tmp_path / "odd") == ODD
    assert len(done.done) == 5
    assert done.left == ()
    assert {name: (tmp_path / "odd" / name).read_bytes() for name in ODD} == contents
    assert (tmp_path / "odd" / HOSTILE).is_symlink() == (way == "link")
    assert files(tmp_path / "photos") == (before - ODD if way == "move" else before)


def test_the_same_again_changes_nothing_and_what_is_there_is_never_replaced(moved, tmp_path):
    put(moved, rows(moved), tmp_path / "odd")
    (tmp_path / "odd" / "more" / "17.png").write_bytes(b"mine")
    done = put(moved, rows(moved), tmp_path / "odd")
    assert len(done.done) == 4
    assert "is there already" in dict(done.left)["more/17.png"]
    assert (tmp_path / "odd" / "more" / "17.png").read_bytes() == b"mine"
    moving = put(moved, rows(moved), tmp_path / "odd", "move")
    assert moving.done == (), "nothing is taken away where a copy is there"
    assert (tmp_path / "photos" / "more" / "29.png").exists()


def test_an_image_that_changed_or_is_gone_is_left(moved, tmp_path):
    (tmp_path / "photos" / "more" / "17.png").write_bytes(b"another")
    (tmp_path / "photos" / "more" / "29.png").unlink()
    done = put(moved, rows(moved), tmp_path / "odd")
    assert dict(done.left) == {"more/17.png": "it has changed since it was ranked",
                               "more/29.png": "it is not where it was"}
    assert len(done.done) == 3


def test_nothing_is_put_among_the_images(moved, tmp_path):
    for place in (tmp_path / "photos", tmp_path / "photos" / "more" / "odd"):
        with pytest.raises(OutputError, match="--copy-odd"):
            put(moved, rows(moved), place)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="is a file"):
        put(moved, rows(moved), tmp_path / "file")
    with pytest.raises(OptionError, match="way"):
        put(moved, rows(moved), tmp_path / "odd", "delete")


def test_a_file_with_several_pages_is_moved_only_whole(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    rng = np.random.default_rng(0)
    for i in range(12):
        Image.fromarray(rng.integers(0, 90, (12, 12), dtype=np.uint8)).save(photos / f"{i}.png")
    pages = [Image.fromarray(rng.integers(0, 255, (12, 12), dtype=np.uint8)) for _ in range(2)]
    pages[0].save(photos / "two.tiff", save_all=True, append_images=pages[1:])
    rank_into(photos, tmp_path / "run", AnomalyModel(encoder="pixels", detector="forest"), save_model=False)
    run = OpenedRun(tmp_path / "run")
    one, both = rows(run, ["two.tiff"]), rows(run, ["two.tiff", "two.tiff#2"])
    assert put(run, one, tmp_path / "copied").left == ()
    assert dict(put(run, one, tmp_path / "moved", "move").left) == {"two.tiff": "other pages of its file are not odd"}
    assert (photos / "two.tiff").exists()
    assert len(put(run, both, tmp_path / "moved", "move").done) == 1
    assert not (photos / "two.tiff").exists()
