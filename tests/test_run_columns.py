import json

import numpy as np
import pytest

from oddlens.errors import SavedModelError
from oddlens.feedback import Evidence
from oddlens.mapped_arrays import mapped_arrays, write_arrays
from oddlens.provenance import Origin, Provenance
from oddlens.ranking import Ranking
from oddlens.run_columns import read_columns, write_columns

NAMES = ("b", "a\udcff", "ü/c")
SHA = "0123456789abcdef" * 4
ORIGINS = (Origin("file", "/x/y/b", "y/b", 0, 12, 34, SHA, 5, 6), Origin("row", "/x/a.npy", "a.npy", 7, 1, 2, "", 3, 3),
           Origin("inside", "/x/z.parquet", "image", 9))


def written(path, **changed):
    ranking = Ranking(NAMES, np.array([1.0, 3.0, 2.0]), {"v": np.array([2.0, 1.0, 3.0])}, (),
                      np.array([0.5, 0.1, 0.2]), np.array([False, True, False]), ("", "dark, copy", "copy"),
                      {"group": np.array([-1.0, 0.0, 0.0]), "copy_of": ("", "", "")})
    evidence = Evidence(np.array([1.0, 3.0, 2.5]), np.ones((3, 1), np.float32), np.zeros((3, 2), np.float32))
    write_columns(path, ranking, Provenance(NAMES, ORIGINS), [[1, 2]], ["t", "i"],
                  **{"evidence": evidence, "titles": {"v": "In words"}, **changed})
    return ranking


def test_what_is_written_is_read_back(tmp_path):
    ranking = written(tmp_path / "columns")
    found = read_columns(tmp_path / "columns", (("broken", "no image"),))
    assert tuple(found.ranking.names) == NAMES
    assert found.ranking.unreadable == (("broken", "no image"),)
    for row in range(3):
        one, other = found.ranking.image(row), ranking.image(row)
        assert (one.rank, one.name, one.score, one.p_value, one.flagged) == \
            (other.rank, other.name, other.score, other.p_value, other.flagged)
        assert found.ranking.causes[row] == ranking.causes[row]
    assert found.ranking.order().tolist() == ranking.order().tolist() == [1, 2, 0]
    assert found.ranking.measures["group"].tolist() == [-1, 0, 0]
    assert tuple(found.provenance.origins) == ORIGINS
    assert [found.row_of[name] for name in NAMES] == [0, 1, 2]
    assert found.ranks["v"].tolist() == [2, 3, 1]
    assert found.duplicates.tolist() == [0, 1, 1]
    assert (found.titles, list(found.tables)) == ({"v": "In words"}, ["t", "i"])
    assert found.score.tolist() == [1.0, 3.0, 2.5]
    assert found.surprisal.tolist() == [[1], [1], [1]]


def test_a_column_that_is_the_same_throughout_takes_one_row(tmp_path):
    written(tmp_path / "columns")
    assert len(mapped_arrays(tmp_path / "columns")[0]["evidence/score"]) == 3
    names = tuple(f"{row:05}" for row in range(5000))
    write_columns(tmp_path / "columns", Ranking(names, np.arange(5000.0)),
                  Provenance(names, tuple(Origin("source", place=row) for row in range(5000))), [], [])
    arrays, _ = mapped_arrays(tmp_path / "columns")
    assert all(len(arrays[name]) == 1 for name in ("sha256", "size", "height", "kind", "duplicates"))
    found = read_columns(tmp_path / "columns")
    assert found.provenance.origins[4321] == Origin("source", place=4321)
    assert found.ranking.p_values is found.ranking.flagged is found.ranking.causes is None


@pytest.mark.parametrize(("part", "value"), [
    ("rank", np.array([1, 2, 4], np.int32)), ("rank", np.array([1.0, 2, 3])), ("score", np.array([1, np.nan, 2])),
    ("names/order", np.array([0, 1, 3], np.int32)), ("kind", np.array([9], np.uint8)),
    ("place", np.array([-1, 0, 0])), ("causes/codes", np.array([0, 9, 1], np.uint8)),
    ("evidence/surprisal", np.zeros((2, 1), np.float32)), ("duplicates", np.array([1, 2], np.int32)), ("score", None)])
def test_columns_that_do_not_fit_are_refused(tmp_path, part, value):
    written(tmp_path / "columns")
    arrays, facts = mapped_arrays(tmp_path / "columns")
    arrays = {name: array for name, array in arrays.items() if name != part}
    write_arrays(tmp_path / "columns", arrays if value is None else {**arrays, part: value}, facts)
    with pytest.raises(SavedModelError, match="does not hold the columns"):
        read_columns(tmp_path / "columns")


@pytest.mark.parametrize(("fact", "value"), [("format", "0"), ("images", "4"), ("images", "x"), ("words", "[]"),
                                             ("views", '["v", "w"]'), ("titles", "5")])
def test_facts_that_do_not_fit_are_refused(tmp_path, fact, value):
    written(tmp_path / "columns")
    arrays, facts = mapped_arrays(tmp_path / "columns")
    write_arrays(tmp_path / "columns", arrays, {**facts, fact: value})
    with pytest.raises(SavedModelError, match="does not hold the columns"):
        read_columns(tmp_path / "columns")


def test_a_path_with_a_character_that_no_path_has_is_refused(tmp_path):
    written(tmp_path / "columns")
    arrays, facts = mapped_arrays(tmp_path / "columns")
    words = json.loads(facts["words"])
    words["within"] = ["\0", *words["within"][1:]]
    write_arrays(tmp_path / "columns", arrays, {**facts, "words": json.dumps(words)})
    with pytest.raises(SavedModelError, match="no path has"):
        read_columns(tmp_path / "columns")
