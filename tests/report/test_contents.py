"""What a run's report and contact sheet are put together of."""

from dataclasses import replace

import numpy as np
import pytest

from instant import InstantEncoder
from oddlens import AnomalyModel
from oddlens.detectors.forest import Forest
from oddlens.detectors.neighbors import Neighbors
from oddlens.errors import UnreadableImage
from oddlens.explaining.explainer import Explainer
from oddlens.report.contact_sheet import Panel
from oddlens.report.contents import MOST_SHOWN, Look, Shown, panels, pictured, report, strangest
from oddlens.report.page import Note
from oddlens.report.summary import summary
from oddlens.sources import ArraySource


@pytest.fixture(scope="module")
def run():
    images = np.random.default_rng(0).integers(0, 60, (60, 8, 8, 1), dtype=np.uint8)
    images[[11, 40], 2:6, 2:6] = 255
    model = AnomalyModel(InstantEncoder(), [Neighbors(k=3), Forest(n_estimators=20)]).fit(images)
    ranking = model.rank()
    source = ArraySource(images)
    explainer = Explainer(model, model.read(images), ranking)
    return model, ranking, Shown(source, "dots", model.indices_, 5, "oddlens rank dots", None, explainer)


def summed(model, ranking):
    return summary(model, ranking, images="dots", command="oddlens rank dots")


def test_the_score_comes_first_then_each_view_then_the_map_and_the_table(run):
    model, ranking, shown = run
    made = report(model, ranking, shown, Look(), summed(model, ranking))
    assert [section.column for section in made.sections] == [None, "neighbors", "forest"]
    assert made.sections[0].seeks == "The score combines 2 views of the images."
    assert [fragment.anchor for fragment in made.fragments] == ["map", "listing"]
    assert made.command == "oddlens rank dots"
    assert made.top == 5


def test_nobody_is_shown_more_images_than_can_be_looked_through(run):
    model, ranking, shown = run
    many = replace(shown, top=10_000)
    assert report(model, ranking, many, Look(), summed(model, ranking)).top == MOST_SHOWN


def test_without_an_explainer_there_are_no_reasons_and_no_parts(run):
    model, ranking, shown = run
    bare = replace(shown, explainer=None)
    made = report(model, ranking, bare, Look(), summed(model, ranking))
    assert made.fragments == ()
    assert made.sections[0].title == "The strangest"
    assert not bare.duplicates


def test_the_contact_sheet_has_a_panel_for_the_score_and_each_view(run):
    model, ranking, shown = run
    made = panels(model, ranking, shown, Look())
    assert len(made) == 3
    assert made[0].title == "The strangest"
    assert len(made[0].images) == 5
    assert made[0].flagged == int(ranking.flagged.sum())
    assert made[1].flagged == 0


def test_a_look_of_its_own_replaces_panels_and_adds_notes(run):
    model, ranking, shown = run
    look = Look(lambda ranking, read: [Panel("Mine", "", [read(0)], ["0"])],
                lambda ranking: [Note("How did it do?", "Well.")])
    assert [panel.title for panel in panels(model, ranking, shown, look)] == ["Mine"]
    notes = report(model, ranking, shown, look, summed(model, ranking)).notes
    assert "How did it do?" in [note.title for note in notes]


def test_images_that_can_no_longer_be_read_are_left_out_of_the_sheet(run):
    _, ranking, shown = run

    def read(row):
        if row == 11:
            raise UnreadableImage("011", "gone")
        return shown.read(row)

    pictures, labels = strangest(ranking, read, None, 2)
    assert len(pictures) == len(labels) == 1
    assert pictured(shown.read, []) == ([], [])
