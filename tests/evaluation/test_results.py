"""Rows on disk: found again only for the same images and settings, and replaced whole."""

import pytest

from oddlens.errors import OutputError
from oddlens.evaluation.results import Results, claimed


def row(method="oddlens", digest="d1", settings="s1", **others):
    return {"protocol": "A", "data": "mnist", "c": 0.1, "case": "3", "seed": 0, "method": method, "set": digest,
            "settings": settings, "auroc": 0.9, **others}


def test_a_row_is_found_by_another_process_for_its_own_images_and_settings_alone(tmp_path):
    Results(tmp_path).keep(row())
    again = Results(tmp_path)
    assert again.find(row(), "d1", "s1") == row()
    assert again.find(row(), "d2", "s1") is None
    assert again.find(row(), "d1", "s2") is None
    assert again.find(row(seed=1), "d1", "s1") is None
    assert again.find(row("hog"), "d1", "s1") is None


def test_members_of_a_score_belong_to_their_whole_and_go_with_it(tmp_path):
    results = Results(tmp_path)
    results.keep(row(), row("oddlens: a"), row("oddlens: b"))
    results.keep(row("oddlens-fast"), row("oddlens-fast: a"))
    assert [part["method"] for part in results.parts(row(), "d1", "s1")] == ["oddlens: a", "oddlens: b"]
    results.keep(row(auroc=0.8), row("oddlens: c"))
    assert [part["method"] for part in results.parts(row(), "d1", "s1")] == ["oddlens: c"]
    assert results.find(row(), "d1", "s1")["auroc"] == 0.8
    assert len(results.parts(row("oddlens-fast"), "d1", "s1")) == 1


def test_each_protocol_and_data_set_has_a_file(tmp_path):
    results = Results(tmp_path)
    results.keep(row())
    results.keep(row(data="fashion"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows-A-fashion.json", "rows-A-mnist.json"]
    assert len(Results(tmp_path).rows()) == 2


@pytest.mark.parametrize("content", [b"[{]", b"7", b'[{"method": "oddlens"}]', b"[1]"])
def test_a_file_that_holds_no_rows_is_named(tmp_path, content):
    (tmp_path / "rows-A-mnist.json").write_bytes(content)
    with pytest.raises(OutputError, match=r"rows-A-mnist\.json is no file of measured rows.*Move it away"):
        Results(tmp_path).find(row(), "d1", "s1")


def test_a_folder_is_claimed_only_if_it_is_new_empty_or_of_an_evaluation(tmp_path):
    with claimed(tmp_path / "new") as out:
        (out / "rows.json").write_text("[]")
    with claimed(out) as again:
        assert again == out
    (tmp_path / "thesis.txt").write_text("mine")
    for bad, message in ((tmp_path, "not of an evaluation"), (tmp_path / "thesis.txt", "is a file")):
        with pytest.raises(OutputError, match=message), claimed(bad):
            pytest.fail("claimed")
    photos = tmp_path / "photos"
    with pytest.raises(OutputError, match="never written to"), claimed(photos / "out", photos):
        pytest.fail("claimed")
