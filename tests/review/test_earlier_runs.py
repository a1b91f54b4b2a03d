import json
import stat

import numpy as np
import pytest

from oddlens.errors import SavedModelError
from oddlens.review.earlier_runs import linked
from oddlens.review.opened_run import OpenedRun


def without_columns(run):
    """The run as an earlier oddlens would have written it."""
    (run / "columns.safetensors").unlink()
    summary = json.loads((run / "run.json").read_text())
    del summary["parts"]["columns.safetensors"]
    (run / "run.json").write_text(json.dumps(summary))


def same(one, other):
    assert tuple(one.ranking.names) == tuple(other.ranking.names)
    assert tuple(one.provenance.origins) == tuple(other.provenance.origins)
    assert np.array_equal(one.ranking.scores, other.ranking.scores)
    assert np.array_equal(one.ranking.order(), other.ranking.order())
    assert np.array_equal(one.evidence.scores, other.evidence.scores)
    assert np.array_equal(one.evidence.members, other.evidence.members)
    assert np.array_equal(one.evidence.features, other.evidence.features)
    assert (one.identity, one.views(3), one.cause_counts) == (other.identity, other.views(3), other.cause_counts)


def test_an_earlier_run_is_what_it_was_and_its_columns_are_kept(run, opened):
    without_columns(run)
    same(OpenedRun(run), opened)
    made = (run / "columns.safetensors").stat()
    same(OpenedRun(run), opened)
    assert (run / "columns.safetensors").stat() == made, "it is made once"


def test_columns_of_another_ranking_are_made_anew(run, opened):
    without_columns(run)
    content = bytearray((OpenedRun(run).folder / "columns.safetensors").read_bytes())
    at = content.index(opened.identity.encode())
    content[at : at + 4] = b"ffff" if content[at : at + 4] != b"ffff" else b"0000"
    (run / "columns.safetensors").write_bytes(content)
    same(OpenedRun(run), opened)


def test_a_run_that_cannot_be_written_to_is_opened_all_the_same(run, opened):
    without_columns(run)
    run.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        same(OpenedRun(run), opened)
    finally:
        run.chmod(stat.S_IRWXU)


def test_an_earlier_run_that_was_exchanged_is_refused(run):
    without_columns(run)
    (run / "images.csv").write_bytes((run / "images.csv").read_bytes() + b"\n")
    with pytest.raises(SavedModelError, match="exchanged"):
        OpenedRun(run)


def test_links_by_names_make_groups():
    row_of = {name: row for row, name in enumerate("abcdefg")}
    copies, near = ("b", "", "", "", "", "f", "elsewhere"), ("", "", "b", "e", "", "d", "")
    assert linked([copies, near], row_of) == [[0, 1, 2], [3, 4, 5]] or \
        sorted(map(len, linked([copies, near], row_of))) == [3, 3]
    assert linked([np.zeros(7)], row_of) == []
    assert linked([], {}) == []
