"""Protocol G from end to end, on sets small enough to measure in a moment."""

import json

import numpy as np
import pytest

from instant import InstantEncoder
from oddlens import AnomalyModel
from oddlens.cli import main
from oddlens.errors import OptionError, OutputError
from oddlens.evaluation import datasets, review
from oddlens.evaluation.review import METHODS, evaluate_review, kept_review


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Three classes of 80 little pictures, a bright bar in one of three rows; and a model that learns at once."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 60, (240, 8, 8, 1), dtype=np.uint8)
    labels = np.arange(240) % 3
    for image, label in zip(images, labels, strict=True):
        image[1 + 2 * label : 3 + 2 * label] += 150
    monkeypatch.setattr(datasets, "load", lambda name: (images, labels))
    fits = []

    def model(**options):
        fits.append(options)
        return AnomalyModel(InstantEncoder(), ["neighbors", "reconstruction"], **options)

    monkeypatch.setattr(review, "AnomalyModel", model)
    return fits


def test_every_method_is_replayed_on_every_set_and_kept(small, tmp_path):
    found = evaluate_review(["A", "C5"], data=["mnist"], contamination=[0.1], out=tmp_path / "out", n_jobs=1)
    assert len(found.rows) == 6 * len(METHODS)
    assert len(small) == 6
    row = found.rows[0]
    assert (row["images"], row["odd"]) == (88, 8)
    assert row["found"]["200"] == 8
    assert json.loads((tmp_path / "out" / "review" / "rows-A-mnist.json").read_text()) == [
        row for row in found.rows if row["protocol"] == "A"]
    assert kept_review(tmp_path / "out").markdown() == found.markdown()
    evaluate_review(["A"], data=["mnist"], contamination=[0.1], out=tmp_path / "out", n_jobs=1)
    assert len(small) == 6, "what is kept is not measured again"


def test_what_was_fitted_is_kept_when_learning_changes(small, tmp_path, monkeypatch):
    options = {"data": ["mnist"], "contamination": [0.1], "classes": ["1"], "out": tmp_path / "out"}
    first = evaluate_review(["A"], **options)
    monkeypatch.setattr(review, "LEARNING", ("evaluation/review.py",))
    again = evaluate_review(["A"], **options)
    assert len(small) == 1
    assert [row["found"] for row in again.rows] == [row["found"] for row in first.rows]
    assert again.rows[0]["settings"] != first.rows[0]["settings"]
    (path,) = (tmp_path / "out" / "review").glob("evidence-*.npz")
    path.write_bytes(b"damaged")
    monkeypatch.setattr(review, "LEARNING", ("feedback.py",))
    with pytest.raises(OutputError, match="cannot be read"):
        evaluate_review(["A"], **options)


def test_the_tables_hold_the_means(tmp_path):
    found = evaluate_review(["A"], data=["mnist"], contamination=[0.1], out=tmp_path / "out")
    lines = found.markdown().splitlines()
    row = next(line for line in lines if line.startswith("| A mnist, 10 %"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1:3] == ["3", "8"]
    means = [np.mean([row["found"]["20"] for row in found.rows if row["method"] == method]) for method in METHODS]
    assert [int(cell.split(" / ")[0]) for cell in cells[3:]] == [round(mean) for mean in means]
    assert "| sets | times asked |" in found.markdown()
    assert any(line.startswith("| all | ") for line in lines)
    assert found.summary()["groups"][0]["methods"]["feedback"]["200"] == 8


def test_names_that_there_are_not_are_refused_before_work(small, tmp_path):
    for wrong, message in (({"protocols": ["B"]}, "protocol of a review named 'B'"),
                           ({"data": ["nothing"]}, "named 'nothing'"), ({"contamination": [0]}, "contamination")):
        with pytest.raises(OptionError, match=message):
            evaluate_review(**{"protocols": ["A"], **wrong, "out": tmp_path / "out"})
    assert not small
    with pytest.raises(OptionError, match="No review is measured"):
        kept_review(tmp_path / "out")


def test_the_command_replays_and_prints_what_is_kept(tmp_path, monkeypatch, capsys):
    out = str(tmp_path / "out")

    def run(*args):
        monkeypatch.setattr("sys.argv", ["oddlens", "evaluate", "--review", "--out", out, *args])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, capsys.readouterr()

    code, said = run("--protocol", "A", "--data", "mnist", "--contamination", "0.1", "--classes", "2", "--quiet")
    assert code == 0
    assert "Odd images found after 20 / 50 / 100 / 200 looks" in said.out
    code, table = run("--table")
    assert code == 0
    assert "| A mnist, 10 % | 1 |" in table.out
    code, said = run("--methods", "oddlens")
    assert code == 2
    assert "leave --labels and --methods out" in said.err
