import csv

import numpy as np
import pytest
from PIL import Image

from oddlens import demo


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The demo with less training; all else as the user runs it."""
    out = tmp_path_factory.mktemp("demo") / "run"
    patch = pytest.MonkeyPatch()
    build = demo.build_model
    patch.setattr(demo, "build_model", lambda encoder, detectors, settings, **options: build(
        encoder, detectors, {**settings, "steps": 150, "n_estimators": 100}, **options))
    result = demo.run_demo(out, random_state=0)
    patch.undo()
    return result, out


def test_it_ranks_ten_thousand_digits_by_three_methods(run):
    result, out = run
    assert len(result.ranking) == 10_000
    assert list(result.ranking.members) == ["reconstruction", "forest", "neighbors", "activations"]
    with (out / "scores.csv").open() as file:
        assert sum(1 for _ in csv.reader(file)) == 10_001


def test_the_network_is_the_papers(run):
    result, _ = run
    assert result.model.encoder_.get_state()["network.encoder.weight"].shape == (50, 784)


def test_the_figure_shows_twenty_digits_in_each_of_five_panels(run):
    result, out = run
    panels = demo.figure(result.ranking, lambda row: np.zeros((28, 28, 1), np.uint8))
    assert [len(panel.images) for panel in panels] == [20] * 5
    depths = [float(label) for label in panels[2].labels]
    assert depths == sorted(depths), "the smallest isolation depth comes first"
    assert (np.array([float(label) for label in panels[0].labels]) <= float(panels[1].labels[-1])).all()
    with Image.open(out / "gallery.png") as picture:
        assert picture.width > 1000


def test_labels_are_opened_only_at_the_end(monkeypatch, run):
    result, _ = run
    note = demo.how_did_it_do(result.ranking)[0]
    assert [sum(map(int, row[1:])) for row in note.rows] == [10_000, 20, 20, 20, 20]
    monkeypatch.setattr(demo, "LABELS", demo.DATA / "no such file")
    demo.figure(result.ranking, lambda row: np.zeros((28, 28, 1), np.uint8))  # needs no labels
    with pytest.raises(Exception, match="no such file"):
        demo.how_did_it_do(result.ranking)
