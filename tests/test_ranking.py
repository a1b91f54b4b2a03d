import csv
import io

import numpy as np
import pytest
from pyarrow import parquet

from oddlens import Ranking
from oddlens.errors import MissingExtra, OptionError, SavedModelError


@pytest.fixture
def ranking() -> Ranking:
    return Ranking(
        ("a.png", "b.png", "c.png", "d.png"),
        np.array([0.5, 3.0, 0.5, 1.0]),
        {"forest": np.array([4.0, 1.0, 2.0, 3.0])},
        (("broken.png", "the file is empty"),),
    )


def test_top_is_strangest_first_and_ties_keep_input_order(ranking):
    assert [image.name for image in ranking.top(4)] == ["b.png", "d.png", "a.png", "c.png"]
    assert [image.rank for image in ranking.top(4)] == [1, 2, 3, 4]
    assert ranking.top(1)[0].members == {"forest": 1.0}


def test_bottom_is_most_ordinary_first(ranking):
    assert [(image.name, image.rank) for image in ranking.bottom(2)] == [("c.png", 4), ("a.png", 3)]


def test_each_detector_has_its_own_order(ranking):
    assert [image.name for image in ranking.top(2, by="forest")] == ["a.png", "d.png"]
    with pytest.raises(OptionError, match="Did you mean 'forest'"):
        ranking.top(2, by="forrest")


def test_top_of_more_than_there_are_is_all_and_of_less_than_none_is_refused(ranking):
    assert len(ranking.top(100)) == 4
    with pytest.raises(OptionError, match="got -1"):
        ranking.top(-1)


def test_columns_must_have_one_value_an_image():
    with pytest.raises(OptionError, match="scores"):
        Ranking(("a", "b"), np.zeros(3))


def test_csv_holds_every_digit_in_input_order(ranking, tmp_path):
    scores = ranking.scores / 3
    Ranking(ranking.names, scores, ranking.members).to_csv(tmp_path / "scores.csv")
    rows = list(csv.DictReader((tmp_path / "scores.csv").read_text().splitlines()))
    assert [row["name"] for row in rows] == list(ranking.names)
    assert [float(row["score"]) for row in rows] == list(scores)
    assert [row["rank"] for row in rows] == ["3", "1", "4", "2"]


def test_csv_survives_names_with_newlines_and_leaves_formulas_as_they_are(tmp_path):
    Ranking(("two\nlines, \"quoted\".png", "=1+1.png"), np.array([1.0, 2.0])).to_csv(tmp_path / "s.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "s.csv").read_text(), newline="")))
    assert rows[0]["name"] == "two\\nlines, \"quoted\".png"
    assert rows[1]["name"] == "=1+1.png", "as it is, so that it can be found again"


def test_parquet_and_pandas_hold_the_same_table(ranking, tmp_path):
    ranking.to_parquet(tmp_path / "scores.parquet")
    frame = ranking.to_pandas()
    table = parquet.read_table(tmp_path / "scores.parquet")
    assert table["rank"].to_pylist() == [3, 1, 4, 2], "files are in input order"
    assert table.sort_by("rank").to_pydict() == frame.to_dict("list"), "tables to look at by rank"


def test_decisions_and_measures_are_columns_of_the_table(tmp_path):
    ranking = Ranking(("a", "b"), np.array([1.0, 2.0]), {"x": np.array([5.0, 6.0])}, p_values=np.array([0.5, 0.01]),
                      flagged=np.array([False, True]), measures={"brightness": np.array([3.0, 4.0])})
    ranking.to_csv(tmp_path / "t.csv")
    lines = (tmp_path / "t.csv").read_text().splitlines()
    assert lines[0] == '"name","rank","score","p_value","flagged","x","brightness"'
    assert lines[2] == '"b",1,2.0,0.01,True,6.0,4.0'
    ranking.to_parquet(tmp_path / "t.parquet")
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(tmp_path / "t.parquet").to_pydict()
    assert table["flagged"] == [False, True]
    assert table["p_value"] == [0.5, 0.01]
    assert ranking.top(1)[0].flagged is True


def test_decisions_of_another_length_are_refused():
    with pytest.raises(OptionError, match="p_values"):
        Ranking(("a", "b"), np.array([1.0, 2.0]), p_values=np.array([0.5]))


def test_text_in_the_tables_is_quoted_whole_and_without_control_characters(tmp_path):
    names = ("=b", "-1", "+x", "@x", "a\x1b[2J", "c\x9b\nd", 'q"', "猫")
    ranking = Ranking(names, np.arange(8.0), measures={"copy_of": ("=b", *[""] * 7)})
    ranking.to_csv(tmp_path / "t.csv")
    ranking.to_parquet(tmp_path / "t.parquet")
    text = (tmp_path / "t.csv").read_text()
    assert text.splitlines()[1] == '"=b",8,0.0,"=b"'
    assert not [c for c in text if c != "\n" and not c.isprintable()]
    expected = ["=b", "-1", "+x", "@x", "a\\x1b[2J", "c\\x9b\\nd", 'q"', "猫"]
    assert [row["name"] for row in csv.DictReader(io.StringIO(text))] == expected
    assert parquet.read_table(tmp_path / "t.parquet").to_pydict()["name"] == expected


def test_the_table_is_read_back(tmp_path):
    ranking = Ranking(("a, b", "=1+1", 'q"'), np.array([0.1, 1 / 3, -2e-300]), {"neighbors": np.array([1.0, 2.0, 3.0])},
                      (("broken.png", "no"),), np.array([0.1, 0.2, 1.0]), np.array([True, False, False]),
                      ("dark, cut", "", ""), {"side": np.array([8.0, 9.5, 1.0]), "copy_of": ("", "a, b", "")})
    ranking.to_csv(tmp_path / "scores.csv")
    again = Ranking.from_csv(tmp_path / "scores.csv", ["neighbors"], ranking.unreadable)
    assert list(again.rows()) == list(ranking.rows())
    assert list(again.members) == ["neighbors"]
    assert list(again.measures) == ["side", "copy_of"]
    assert again.unreadable == ranking.unreadable


@pytest.mark.parametrize("text", ["", "name,rank\na,1\n", "name,score\na,x\n", "name,score\na,nan\n",
                                  "name,score\na,1\na,2\n", "name,score\na\n", "name,name,score\na,b,1\n"])
def test_what_is_no_table_is_refused(tmp_path, text):
    (tmp_path / "scores.csv").write_text(text)
    with pytest.raises(SavedModelError, match="not the table of a run"):
        Ranking.from_csv(tmp_path / "scores.csv")


@pytest.fixture
def decided():
    names = ("a.png", "b.png", "c.png", "d.png")
    return Ranking(names, np.array([0.5, 3.0, 0.4, 1.0]), {"forest": np.array([4.0, 1.0, 2.0, 3.0])},
                   (("broken.png", "the file is empty"),), np.array([0.4, 0.001, 0.5, 0.1]),
                   np.array([False, True, False, False]), ("", "dark", "", ""), {"side": np.arange(4.0)},
                   tuple(f"/photos/{name}" for name in names), thumbnails={"b.png": "data:image/png;base64,AAAA"})


def test_it_is_gone_through_from_the_strangest_on(decided):
    assert [image.name for image in decided] == ["b.png", "d.png", "a.png", "c.png"]
    assert decided[0] == decided.top(1)[0]
    assert decided[-1].rank == 4
    with pytest.raises(IndexError):
        decided[4]


def test_a_slice_is_a_ranking_whose_images_keep_their_ranks_and_all_that_is_known(decided):
    part = decided[1:3]
    assert part.names == ("d.png", "a.png")
    assert list(part.ranks()) == [2, 3]
    assert [image.rank for image in part.top()] == [2, 3]
    assert [image.rank for image in part.bottom()] == [3, 2]
    assert part.image(1).rank == 3
    assert [row["rank"] for row in part.rows()] == [2, 3]
    assert list(part.members["forest"]) == [3, 4]
    assert list(part.p_values) == [0.1, 0.4]
    assert part.paths == ("/photos/d.png", "/photos/a.png")
    assert list(part.measures["side"]) == [3, 0]
    assert [image.rank for image in part[1:]] == [3]
    assert [image.rank for image in part.top(by="forest")] == [1, 2], "by another column they are counted anew"
    assert decided[:1].flagged.all()
    assert decided[:1].causes == ("dark",)
    assert list(decided[:1].thumbnails) == ["b.png"]
    assert len(decided[9:]) == 0


def test_it_is_short_where_it_is_printed(decided):
    assert repr(decided) == ("<Ranking: 4 images, 1 flagged, 1 more that cannot be read. "
                             "The strangest: 'b.png' 3, 'd.png' 1, 'a.png' 0.5, ...>")
    many = Ranking(tuple(map(str, range(100_000))), np.arange(1e5))
    assert len(repr(many)) < 150
    assert "0 images" in repr(many[:0])


def test_a_notebook_shows_the_strangest_with_pictures_and_marks(decided):
    shown = decided._repr_html_()
    assert shown.index("b.png") < shown.index("d.png") < shown.index("a.png")
    assert shown.count("<img") == 1
    assert "data:image/png;base64,AAAA" in shown
    assert shown.count("flagged</strong>") == 1
    assert "p 0.001" in shown
    assert "dark" in shown
    assert "1 more that cannot be read" in shown
    many = Ranking(tuple(map(str, range(100_000))), np.arange(1e5))
    assert many._repr_html_().count("rank ") == 10
    assert len(many._repr_html_()) < 8000


def test_a_hostile_name_is_text_in_a_notebook():
    name = "<script>alert(1)</script>\u202e\n\" onload='x'.png"
    shown = Ranking((name,), np.array([1.0]), thumbnails={name: "data:image/png;base64,AA"})._repr_html_()
    assert "<script" not in shown
    assert "\u202e" not in shown
    assert "onload='x'" not in shown


def test_tables_of_other_libraries_have_it_by_rank_with_the_paths(decided):
    pandas = pytest.importorskip("pandas")
    polars = pytest.importorskip("polars")
    frame = decided.to_pandas()
    assert list(frame["name"]) == ["b.png", "d.png", "a.png", "c.png"]
    assert list(frame["rank"]) == [1, 2, 3, 4]
    assert frame["path"][0] == "/photos/b.png"
    assert frame["flagged"].dtype == bool
    assert list(frame.index) == [0, 1, 2, 3]
    table = polars.DataFrame(decided)
    assert table.columns == list(frame.columns)
    for column in table.columns:
        assert table[column].to_list() == frame[column].tolist()
    import pyarrow

    assert pyarrow.table(decided).column_names == table.columns
    assert "path" not in Ranking(decided.names, decided.scores).to_pandas()
    assert isinstance(frame, pandas.DataFrame)


def test_the_plot_shows_every_image_once_and_the_flagged_apart(decided):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    axes = decided.plot()
    shown, flagged = axes.containers
    assert sum(bar.get_height() for bar in shown) == 3
    assert sum(bar.get_height() for bar in flagged) == 1
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["not flagged", "flagged"]
    assert Ranking(("a",), np.array([1.0])).plot(axes) is axes
    matplotlib.pyplot.close("all")


def test_without_an_extra_the_line_that_installs_it_is_said(decided, monkeypatch):
    for package, ask in (("matplotlib", decided.plot), ("pandas", decided.to_pandas)):
        monkeypatch.setitem(__import__("sys").modules, package, None)
        with pytest.raises(MissingExtra, match=f"needs {package}.*pip install 'oddlens"):
            ask()
