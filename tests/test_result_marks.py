"""Only results that say that they are ours are ours, and none lands among images."""

import numpy as np
import pytest

from oddlens.errors import OutputError
from oddlens.result_marks import (
    EVALUATION,
    RUN,
    SUMMARIES,
    WORDS,
    content_of,
    is_marked,
    make_folder,
    require_apart,
    require_ours,
    require_outside,
    unfinished,
)
from oddlens.sources import ArraySource, FileSource


@pytest.mark.parametrize(("name", "kind"), [("run.json", RUN), ("summary.json", EVALUATION)])
def test_a_folder_is_ours_by_the_mark_in_its_summary(tmp_path, name, kind):
    assert not is_marked(tmp_path)
    (tmp_path / name).write_text('{"finished": true}')  # of another tool
    assert not is_marked(tmp_path)
    (tmp_path / name).write_text(f'{{"format": "{kind}"}}')
    assert is_marked(tmp_path)
    assert is_marked(tmp_path, kind)
    assert not is_marked(tmp_path, *({RUN, EVALUATION} - {kind}))


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"a": ', b"\xff\xfe", b"[" * 100_000])
def test_a_summary_that_is_none_is_empty(tmp_path, content):
    (tmp_path / "run.json").write_bytes(content)
    assert content_of(tmp_path / "run.json") == {}
    assert content_of(tmp_path / "nowhere.json") == {}


@pytest.mark.parametrize("inside", [".", "run", "a/b", "other/../run"])
def test_results_never_land_among_images(tmp_path, inside):
    images = tmp_path / "photos"
    images.mkdir()
    with pytest.raises(OutputError, match=r"photos, which is never written to: choose another place with --out"):
        require_apart(images / inside, [tmp_path / "elsewhere", images])
    with pytest.raises(OutputError, match="never written to"):
        require_outside(images / inside, FileSource([images / "a.png"], ["a.png"], root=images))


def test_beside_the_images_is_allowed_and_an_array_lies_nowhere(tmp_path):
    images = tmp_path / "photos"
    images.mkdir()
    assert require_apart(tmp_path / "photos-run", [images]) is None
    assert require_outside(tmp_path, ArraySource(np.zeros((2, 3, 3), np.uint8))) is None


def test_a_link_to_the_images_is_the_images(tmp_path):
    images = tmp_path / "photos"
    images.mkdir()
    (tmp_path / "link").symlink_to(images)
    with pytest.raises(OutputError, match="never written to"):
        require_apart(tmp_path / "link" / "run", [images])


@pytest.mark.parametrize("kind", [RUN, EVALUATION])
def test_only_what_is_ours_of_its_kind_or_empty_may_be_written_into(tmp_path, kind):
    require_ours(tmp_path / "new", kind)
    require_ours(tmp_path, kind)
    (tmp_path / ".oddlens-lock").write_text("1\n")
    require_ours(tmp_path, kind)
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match=f"not of {WORDS[kind]}: choose an empty or new folder with --out"):
        require_ours(tmp_path, kind)
    with pytest.raises(OutputError, match="is a file"):
        require_ours(tmp_path / "thesis.txt", kind)
    (tmp_path / SUMMARIES[kind]).write_bytes(unfinished(kind))
    require_ours(tmp_path, kind)
    with pytest.raises(OutputError, match=r"Cannot make .*Choose another place"):
        make_folder(tmp_path / "thesis.txt" / "run")
