"""A run of more images than a page waits for: what is read is what is shown."""

import hashlib
import io
import json

import numpy as np
import pytest

from oddlens import run_folder, saving
from oddlens.errors import SavedModelError
from oddlens.feedback import Evidence, learn
from oddlens.mapped_arrays import write_arrays
from oddlens.provenance import Origin, Provenance
from oddlens.ranking import Ranking
from oddlens.review import opened_run
from oddlens.review.exports import FORMATS, Answer
from oddlens.review.labels import LabelStore
from oddlens.review.opened_run import OpenedRun
from oddlens.review.queue import Filter, Queue
from oddlens.run_columns import Origins, write_columns
from oddlens.texts import Texts
from serving import Server

IMAGES = 50_001
READ_ON_A_PAGE = 1500  # names or origins: a page shows fifty, and each is looked up by some sixteen comparisons


@pytest.fixture(scope="module")
def evidence():
    rng = np.random.default_rng(0)
    members = rng.standard_exponential((IMAGES, 3)).astype(np.float32)
    features = rng.normal(size=(IMAGES, 12)).astype(np.float16)
    return Evidence(members.sum(1, dtype=np.float64), members, features)


@pytest.fixture
def many(tmp_path, evidence):
    """A run of 50,001 images whose tables and model cannot be read, for nobody should."""
    names = tuple(f"{row // 1000:03}/{row:06}.png" for row in range(IMAGES))
    origins = tuple(Origin("file", f"/nowhere/{name}", name, 0, 10, 20, hashlib.sha256(name.encode()).hexdigest(), 8, 8)
                    for name in names)
    causes = tuple("dark" if row % 100 == 3 else "" for row in range(IMAGES))
    ranking = Ranking(names, evidence.scores, {f"view{i}": evidence.members[:, i].astype(float) for i in range(3)},
                      causes=causes)
    run = tmp_path / "run"
    (run / "model").mkdir(parents=True)
    write_arrays(run / "model" / "features-0000000000000000.safetensors", {"features": evidence.features})
    (run / "images.csv").write_text("not to be read")
    (run / "scores.csv").write_text("not to be read")
    (run / "model" / "model.json").write_text("not to be read")
    tables = run_folder.digests(run, run_folder.SHOWN)
    write_columns(run / "columns.safetensors", ranking, Provenance(names, origins), [[1, 2], [5, 9, 40_000]],
                  list(tables.values()), evidence)
    parts = run_folder.digests(run, (*run_folder.PARTS, *run_folder.SHOWN, run_folder.COLUMNS))
    (run / "run.json").write_text(json.dumps({"format": "oddlens-run", "version": 1, "finished": True, "parts": parts,
                                              "images": "many", "unreadable": []}))
    return run


@pytest.fixture
def reads(monkeypatch):
    """How many names and origins are read one by one, and that none is asked for all."""
    counts = {"names": 0, "origins": 0}
    encoded, origin = Texts.encoded, Origins.__getitem__

    def name_read(texts, at):
        counts["names"] += 1
        return encoded(texts, at)

    def origin_read(origins, at):
        counts["origins"] += 1
        return origin(origins, at)

    def refused(*args, **options):
        raise AssertionError("this is read whole")

    monkeypatch.setattr(Texts, "encoded", name_read)
    monkeypatch.setattr(Texts, "__iter__", refused)
    monkeypatch.setattr(Origins, "__getitem__", origin_read)
    monkeypatch.setattr(saving, "load_model", refused)
    monkeypatch.setattr(Ranking, "from_csv", refused)
    monkeypatch.setattr(Provenance, "load", refused)
    return counts


def test_a_page_reads_no_more_than_it_shows(many, reads):
    with Server(many) as server:
        ada = server.client()
        for path in ("", "grid", "grid?page=700", "?cause=dark", "?text=040/", "export", "picture/7"):
            reads.update(names=0, origins=0)
            assert ada.get(path).status == (404 if path == "picture/7" else 200)
            assert reads["names"] <= READ_ON_A_PAGE, path
            assert reads["origins"] <= READ_ON_A_PAGE, path
        reads.update(names=0, origins=0)
        row = ada.row()
        assert ada.label(row, "odd").status == 200
        assert max(reads.values()) <= READ_ON_A_PAGE
        assert ada.row() != row


def test_the_order_and_the_filters_are_those_of_all(many, evidence, tmp_path):
    run, store = OpenedRun(many), LabelStore(tmp_path / "labels.sqlite")
    queue = Queue(run, store)
    try:
        order = np.argsort(-evidence.scores, kind="stable")
        assert run.many
        assert queue.matching(Filter()).tolist() == order.tolist()
        dark = [row for row in order.tolist() if row % 100 == 3]
        assert queue.matching(Filter(cause="dark")).tolist() == dark
        assert queue.matching(Filter(text="040/0400")).tolist() == [
            row for row in order.tolist() if 40_000 <= row < 40_100]
        assert sorted(queue.matching(Filter(cause="duplicates")).tolist()) == [1, 2, 5, 9, 40_000]
        assert run.cause_counts == [("dark", 500)]
        assert run.duplicates == [[1, 2], [5, 9, 40_000]]
    finally:
        queue.close()
        store.close()


def test_what_is_learned_is_what_all_at_once_teach(many, evidence):
    labels = {5: True, 77: False, 40_000: True}
    whole = Evidence(evidence.scores, evidence.members, evidence.features.astype(np.float32))
    assert np.allclose(learn(OpenedRun(many).evidence, labels).odds, learn(whole, labels).odds, rtol=1e-5, atol=1e-5)


def test_a_part_that_was_exchanged_is_said_once_it_is_known(many, monkeypatch):
    (many / "model" / "model.json").write_text("exchanged")
    monkeypatch.setattr(opened_run.OpenedRun, "memory", None)
    with Server(many) as server:
        client = server.client()
        told = next(answer for answer in (client.get("") for _ in range(600)) if answer.status != 200)
        assert "exchanged" in told.text


def test_an_export_is_written_part_by_part(many):
    answer = Answer.of(OpenedRun(many), None)
    parts = list(FORMATS["labels.csv"].make(answer))
    assert len(parts) == 4
    assert max(map(len, parts)) < 0.4 * sum(map(len, parts))
    assert b"".join(parts).count(b"\n") == IMAGES + 1
    assert len(json.loads(io.BytesIO(b"".join(FORMATS["coco.json"].make(answer))).getvalue())["images"]) == IMAGES


def test_features_of_other_images_are_refused(many):
    write_arrays(many / "model" / "features-0000000000000000.safetensors", {"features": np.zeros((3, 2), np.float16)})
    with pytest.raises(SavedModelError, match="not the features"):
        _ = OpenedRun(many).features


def test_pictures_that_lay_in_no_file_are_shown_from_what_is_kept(tmp_path):
    from oddlens.model import AnomalyModel
    from oddlens.review.pictures import Pictures
    from oddlens.run import rank_into

    images = np.random.default_rng(0).integers(0, 200, (40, 16, 16), np.uint8)
    rank_into(images, tmp_path / "run", AnomalyModel("pixels", "forest"))
    run = OpenedRun(tmp_path / "run")
    assert Pictures(run).thumbnail(3).kind == "image/png"
    with Server(tmp_path / "run") as server:
        text = server.client().get("").text
        assert "lay in no file on this machine. What is shown is the small grey copy" in text
        assert "not where it was" not in text
    assert OpenedRun(tmp_path / "run", images).images.state(3) == "same"
