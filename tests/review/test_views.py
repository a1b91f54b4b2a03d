import zipfile
from contextlib import closing

import numpy as np
import pytest
from PIL import Image

from oddlens.model import AnomalyModel
from oddlens.review import views
from oddlens.review.labels import LabelStore
from oddlens.review.opened_run import OpenedRun
from oddlens.review.queue import Filter, Learned, Progress, Queue
from oddlens.run import rank_into
from oddlens.statement import Reviewed


def progress(looked, found, ahead=100, left=6.2, low=2, high=14, worth=100, share=0.0):
    curve = tuple((i, min(i, found)) for i in range(looked + 1))
    outlook = Reviewed(looked, found, ahead, left, low, high, worth, share) if looked else None
    return Progress(looked, found, 0, curve, outlook)


@pytest.mark.parametrize(("so_far", "words"), [
    (progress(0, 0), "The first labels will tell how many odd images may be left."),
    (progress(35, 12), "About 6 (2 to 14) are left among the next 100; after those it is no longer worth looking."),
    (progress(35, 12, 0), "Every image has a label."),
    (progress(35, 12, 100, 0.1, 0, 1, 0, 0.8), "About 0 (0 to 1) are left among the next 100; it is no longer worth "
     "looking. At least 80 % of all odd images are found, as far as can be told."),
])
def test_what_may_be_left_is_a_sentence(so_far, words):
    assert views.estimate_words(so_far) == words


@pytest.mark.parametrize(("learned", "words"), [
    (None, ""),
    (Learned(1, 5, "a.png", False, 12), "Learned from 5 labels: 12 images like a.png, which you called normal, moved "
                                        "down."),
    (Learned(1, 1, "a\n.png", True, 1), "Learned from 1 label: 1 image like a\\n.png, which you called odd, moved up."),
    (Learned(2, 9, "a.png", True, 0), "Learned from 9 labels."),
])
def test_what_was_learned_is_a_sentence(learned, words):
    assert views.learned_words(learned) == words


def test_the_curve_goes_from_the_lower_left_to_what_was_found():
    drawn = views.chart(progress(10, 4))
    width, height = views.CHART
    assert drawn["path"].startswith(f"M0.0 {height:.1f} L")
    assert drawn["path"].endswith(f"L{width:.1f} 0.0")
    assert len(views.chart(progress(5000, 40))["path"]) < 10_000
    assert views.chart(progress(0, 0))["path"].startswith("M0.0")


def test_a_filter_is_the_end_of_an_address():
    assert views.query(Filter()) == ""
    assert views.query(Filter("dark", "odd", "a&b"), row=3) == "?cause=dark&label=odd&text=a%26b&row=3"


def test_the_filmstrip_has_what_was_said_then_this_image_then_what_comes(queue, opened):
    order = queue.order.tolist()
    for row in order[:4]:  # one more, and all is ranked anew meanwhile
        queue.store.say([opened.ranking.names[row]], "normal", who="Ada", session="1")
    queue.refresh()
    order = queue.order.tolist()
    waiting = queue.matching(Filter()).tolist()
    stage = views.stage(opened, queue, queue.store, "1", Filter(), waiting[0])
    assert [tile.label for tile in stage.tiles[: views.STRIP_BEFORE]] == ["normal"] * views.STRIP_BEFORE
    assert stage.tiles[views.STRIP_BEFORE].current
    assert stage.after == waiting[1]
    assert stage.before == stage.tiles[views.STRIP_BEFORE - 1].row
    far = waiting[30]
    inside = views.stage(opened, queue, queue.store, "1", Filter(), far)
    assert (inside.before, inside.after) == (waiting[29], waiting[31])
    other = views.stage(opened, queue, queue.store, "2", Filter(), waiting[0])
    assert other.before is None, "what others said is not in one's own filmstrip"


def test_the_stage_says_what_is_known_of_an_image(queue, opened):
    row = opened.row_of["02.png"]
    stage = views.stage(opened, queue, queue.store, "1", Filter(), row)
    assert stage.size == "64 × 48 pixels"
    assert stage.path.endswith("photos/02.png")
    assert "exact copy" in stage.causes
    assert stage.reasons
    assert len(stage.ordinary) == 4
    assert stage.state == ""
    assert row not in [tile.row for tile in stage.ordinary]


def told(run, images=None):
    """What the page says of the file of the first image of a run."""
    with closing(LabelStore(run / "review.sqlite")) as store:
        opened = OpenedRun(run, images)
        with closing(Queue(opened, store)) as queue:
            return views.stage(opened, queue, store, "1", Filter(), 0).state


@pytest.mark.parametrize("kept", [True, False])
def test_an_image_that_lay_in_no_file_is_not_said_to_have_moved(tmp_path, kept):
    images = np.random.default_rng(0).integers(0, 200, (40, 16, 16), np.uint8)
    rank_into(images, tmp_path / "run", AnomalyModel("pixels", "forest"), save_model=kept)
    assert told(tmp_path / "run") == "This image lay in no file on this machine" + (
        ". What is shown is the small grey copy that the run keeps. To see it whole, give the images again with "
        "--images." if kept else
        ", and the run keeps no copy of it. To see it, give the images again with --images.")
    assert told(tmp_path / "run", images) == ""
    assert told(tmp_path / "run", images + 1).startswith("This image has changed since it was ranked")


def test_where_an_image_was_is_said_by_what_it_lay_in(tmp_path):
    images = np.random.default_rng(0).integers(0, 200, (40, 16, 16), np.uint8)
    (tmp_path / "photos").mkdir()
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for number, image in enumerate(images):
            Image.fromarray(image).save(tmp_path / "photos" / f"{number}.png")
            archive.write(tmp_path / "photos" / f"{number}.png", f"{number}.png")
    for given, moved, words in (
            ("photos", "elsewhere", "This image is not where it was. If its folder was moved, start the review with "
             "--images FOLDER."),
            ("photos.zip", "elsewhere.zip", "The file that holds this image is not where it was, or holds it no more. "
             "If it was moved, start the review with --images FILE.")):
        run = tmp_path / f"run of {given}"
        rank_into(tmp_path / given, run, AnomalyModel("pixels", "forest"))
        assert told(run) == ""
        (tmp_path / given).rename(tmp_path / moved)
        assert told(run) == words
        assert told(run, tmp_path / moved) == ""
        assert told(run, images) == "This image is not among those that were given with --images."
