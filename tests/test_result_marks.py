import json

import numpy as np
import pytest

from oddlens.errors import OutputError
from oddlens.result_marks import EVALUATION, RUN, content_of, is_marked, require_apart, require_outside
from oddlens.sources import ArraySource, FileSource


def test_a_folder_is_ours_by_its_mark_and_by_nothing_else(tmp_path):
    assert not is_marked(tmp_path)
    (tmp_path / "run.json").write_text('{"finished": true}')  # any tool may write that
    assert not is_marked(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps({"format": RUN}))
    assert is_marked(tmp_path)
    assert is_marked(tmp_path, RUN)
    assert not is_marked(tmp_path, EVALUATION)


def test_an_evaluation_has_a_mark_and_a_place_of_its_own(tmp_path):
    (tmp_path / "run.json").write_text(json.dumps({"format": EVALUATION}))
    assert not is_marked(tmp_path)
    (tmp_path / "summary.json").write_text(json.dumps({"format": EVALUATION}))
    assert is_marked(tmp_path, EVALUATION)
    assert not is_marked(tmp_path, RUN)


@pytest.mark.parametrize("content", [b"", b"[1]", b"7", b"\xff", b"[" * 100_000, b'{"a":'])
def test_a_summary_that_is_none_is_empty(tmp_path, content):
    (tmp_path / "run.json").write_bytes(content)
    assert content_of(tmp_path / "run.json") == {}
    assert not is_marked(tmp_path)


def test_results_never_land_among_images(tmp_path):
    photos = tmp_path / "photos"
    (photos / "deep").mkdir(parents=True)
    for out in (photos, photos / "run", photos / "deep" / "run", tmp_path / "photos" / ".." / "photos" / "run"):
        with pytest.raises(OutputError, match="never written to: choose another place with --out"):
            require_apart(out, [photos])
    require_apart(tmp_path / "run", [photos])
    require_apart(tmp_path / "photos-run", [photos])
    require_apart(tmp_path / "run", [])


def test_a_source_without_a_folder_has_nothing_to_protect(tmp_path):
    with pytest.raises(OutputError, match="never written to"):
        require_outside(tmp_path / "oddlens-run", FileSource([tmp_path / "a.png"], ["a.png"], tmp_path))
    require_outside(tmp_path / "run", ArraySource(np.zeros((2, 4, 4), np.uint8)))
