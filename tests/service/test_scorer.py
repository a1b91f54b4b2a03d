import io
import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from oddlens.cli import cli
from oddlens.errors import UnreadableImage
from oddlens.ranking import Ranking
from oddlens.review.labels import LabelStore
from oddlens.run import score_with
from oddlens.service.scorer import Scorer, Upload


@pytest.fixture(scope="module")
def folder(photos, tmp_path_factory):
    place = tmp_path_factory.mktemp("new")
    for name, content in photos.items():
        (place / name).write_bytes(content)
    (place / "broken.png").write_bytes(photos["plain.png"][:60])
    return place


def uploads(folder):
    return [Upload(path.name, path.read_bytes()) for path in sorted(folder.iterdir())]


def test_it_says_what_score_says_to_the_last_digit(finished, scorer, folder):
    ranking = score_with(finished / "run", folder, n_jobs=1).ranking
    said = {image["name"]: image for image in scorer.score(uploads(folder))}
    assert list(said) == [path.name for path in sorted(folder.iterdir())]
    assert said.pop("broken.png")["error"] == dict(ranking.unreadable)["broken.png"]
    for row, name in enumerate(ranking.names):
        image = ranking.image(row)
        assert (said[name]["score"], said[name]["p_value"], said[name]["flagged"], said[name]["views"]) == (
            image.score, image.p_value, image.flagged, dict(image.members))
        assert ", ".join(said[name]["causes"]) == ranking.causes[row]
    assert said["strange.png"]["flagged"]
    assert said["strange.png"]["rank"] == 1
    assert said["plain.png"]["reasons"][0]["images"] == ["04.png"]


def test_each_is_judged_alone(scorer, folder):
    together = scorer.score(uploads(folder))
    assert [scorer.score([upload])[0] for upload in uploads(folder)] == together


def test_the_command_says_the_same(finished, scorer, folder):
    done = CliRunner().invoke(cli, ["score", str(finished / "run"), str(folder), "--json", "--no-isolate"])
    told = {image["name"]: image for image in json.loads(done.output)["top"]}
    for image in scorer.score(uploads(folder)):
        if "error" not in image:
            assert told[image["name"]]["score"] == image["score"]


def test_a_copy_of_a_fitted_image_has_its_score_and_rank(finished, scorer):
    ranking = Ranking.from_csv(finished / "run" / "scores.csv", ["neighbors", "forest"])
    row = int(ranking.order()[6])
    upload = Upload("again.png", (finished / "photos" / ranking.names[row]).read_bytes())
    image = scorer.score([upload])[0]
    assert image["score"] == pytest.approx(ranking.scores[row], abs=0, rel=1e-12)
    assert image["rank"] == 1 + (ranking.scores > ranking.scores[row]).sum()
    assert image["fitted"] == len(ranking)
    assert image["causes"]


def test_what_a_person_said_counts(finished, tmp_path, folder):
    import shutil

    shutil.copytree(finished / "run", tmp_path / "run")
    ranking = Ranking.from_csv(finished / "run" / "scores.csv", ["neighbors", "forest"])
    store = LabelStore(tmp_path / "run" / "review.sqlite")
    order = [ranking.names[row] for row in ranking.order()]
    for names, label in ((order[:4], "odd"), (order[20:26], "normal")):
        store.say(names, label, who="Ada", session="0" * 32, ranking="", digests={})
    store.close()
    image = Scorer(tmp_path / "run", n_jobs=1).score(uploads(folder)[-1:])[0]
    assert 0 <= image["probability"] <= 1


def test_a_model_alone_scores_and_explains_nothing(finished, folder, scorer):
    alone = Scorer(finished / "run" / "model", n_jobs=1)
    assert alone.memory is None
    for one, other in zip(alone.score(uploads(folder)), scorer.score(uploads(folder)), strict=True):
        assert one == ({**other, "causes": [], "reasons": []} if "score" in other else other)
    assert alone.heat(uploads(folder)[-1]) is None


def test_the_heat_lies_where_the_image_is_strange(scorer, photos):
    made = Image.open(io.BytesIO(scorer.heat(Upload("strange.png", photos["strange.png"]))))
    assert made.format == "PNG"
    picture = Image.open(io.BytesIO(photos["strange.png"]))
    assert made.size == (made.width, made.width * picture.height // picture.width)
    pixels = np.asarray(made.resize(picture.size), np.int16)
    coloured = np.ptp(pixels, axis=2) > 60  # heat alone is colourful
    rows, columns = np.nonzero(coloured)
    assert len(rows)
    assert abs(rows.mean() - 24) < 12
    assert abs(columns.mean() - 32) < 14


def test_what_is_no_image_has_no_heat(scorer):
    with pytest.raises(UnreadableImage, match="not an image"):
        scorer.heat(Upload("notes.txt", b"a line of text"))


def test_it_is_warmed_by_a_picture_of_no_account(scorer, monkeypatch):
    seen = []
    monkeypatch.setattr(scorer, "score", lambda uploads: seen.extend(uploads))
    scorer.warm()
    assert Image.open(io.BytesIO(seen[0].content)).size == (scorer.model.format_.width, scorer.model.format_.height)
