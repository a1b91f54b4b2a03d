import csv
import io
import json
import os
from pathlib import Path

import pytest
from pyarrow import parquet

from oddlens.feedback import learn
from oddlens.review.exports import FORMATS, Answer
from runs import HOSTILE, ODD


@pytest.fixture
def answer(opened, store):
    store.say(sorted(ODD), "odd", who="Ada", session="1")
    store.say(["00.png", "02.png", "04.png"], "normal", who="Ben", session="2")
    store.say(["06.png"], "skip", who="Ben", session="2")
    return Answer.of(opened, store)


def made(answer, name):
    return b"".join(FORMATS[name].make(answer))


def table(content):
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def test_the_tables_hold_labels_ranks_and_paths(answer, opened, finished):
    rows = table(made(answer, "labels.csv"))
    assert len(rows) == 62
    assert [int(row["learned_rank"]) for row in rows] == list(range(1, 63))
    assert {row["name"] for row in rows if row["label"] == "odd"} == ODD
    one = next(row for row in rows if row["name"] == HOSTILE)
    assert one["path"] == str(finished / "photos" / HOSTILE)
    assert (one["labelled_by"], float(one["probability"])) == ("Ada", 1.0)
    assert one["sha256"] == opened.provenance.origins[opened.row_of[HOSTILE]].sha256
    assert parquet.read_table(io.BytesIO(made(answer, "labels.parquet"))).column("name").to_pylist() == \
        [row["name"] for row in rows]
    images = json.loads(made(answer, "labels.json"))["images"]
    assert [image["name"] for image in images] == [row["name"] for row in rows]
    assert images[0]["flagged"] in (True, False)


def test_what_was_learned_is_of_the_labels_as_they_are_now(opened, store, answer):
    again = Answer.of(opened, store, learn(opened.evidence, {}))
    assert dict(again.lesson.labels) == dict(answer.lesson.labels)
    assert len(again.lesson.labels) == 8, "what was skipped teaches nothing"
    empty = Answer.of(opened, None)
    assert empty.odd == []
    assert len(list(empty.rows())) == 62


def test_the_odd_are_listed_as_they_lie_on_the_disk(answer, finished):
    lines = made(answer, "odd.txt").decode().splitlines()
    assert {os.path.relpath(line, finished / "photos") for line in lines} == ODD
    assert all(Path(line).exists() for line in lines)


def test_copies_are_groups_with_one_to_keep(answer, opened):
    rows = table(made(answer, "duplicates.csv"))
    groups = {}
    for row in rows:
        groups.setdefault(row["group"], []).append(row)
    assert any({"02.png", "02 copy.png", "more/again 02.png"} <= {row["name"] for row in group}
               for group in groups.values())
    for group in groups.values():
        assert [row["keep"] for row in group] == ["True"] + ["False"] * (len(group) - 1)


def test_of_copies_one_that_was_called_odd_is_not_the_one_to_keep(opened, store):
    store.say(["02 copy.png", "02.png"], "odd", who="Ada", session="1")
    answer = Answer.of(opened, store)
    _, keep = answer.duplicates()
    group = next(group for group in opened.duplicates if opened.row_of["02.png"] in group)
    assert sum(keep[row] for row in group) == 1
    assert not keep[opened.row_of["02.png"]]


def test_the_history_says_who_and_when(answer):
    rows = table(made(answer, "history.csv"))
    assert [row["who"] for row in rows] == ["Ada"] * 5 + ["Ben"] * 4
    assert rows[-1]["label"] == "skip"
    assert rows[0]["at"].endswith("+00:00")


def test_coco_is_whole(answer):
    coco = json.loads(made(answer, "coco.json"))
    images = {image["id"]: image for image in coco["images"]}
    assert len(images) == 62
    assert {(image["width"], image["height"]) for image in images.values()} == {(64, 48)}
    names = {category["id"]: category["name"] for category in coco["categories"]}
    labelled = [(images[each["image_id"]]["file_name"], names[each["category_id"]]) for each in coco["annotations"]]
    assert sorted(name for _, name in labelled) == ["normal"] * 3 + ["odd"] * 5
    assert len({each["id"] for each in coco["annotations"]}) == 8
    assert all(each["bbox"] == [0, 0, 64, 48] and each["area"] == 64 * 48 for each in coco["annotations"])


def test_coco_loads_in_its_own_library(answer, tmp_path):
    coco = pytest.importorskip("pycocotools.coco", reason="needs pycocotools")
    (tmp_path / "coco.json").write_bytes(made(answer, "coco.json"))
    loaded = coco.COCO(tmp_path / "coco.json")
    odd = loaded.getImgIds(catIds=loaded.getCatIds(catNms=["odd"]))
    assert {Path(image["file_name"]).name for image in loaded.loadImgs(odd)} == {Path(name).name for name in ODD}


def test_label_studio_tasks_have_images_labels_and_predictions(answer):
    tasks = json.loads(made(answer, "label-studio.json"))
    assert len(tasks) == 62
    labelled = [task for task in tasks if "annotations" in task]
    assert len(labelled) == 9
    assert sum(task["annotations"][0]["was_cancelled"] for task in labelled) == 1
    for task in tasks:
        assert task["data"]["image"].startswith("/data/local-files/?d=")
        for result in [*task["predictions"][0]["result"], *task.get("annotations", [{"result": []}])[0]["result"]]:
            assert (result["from_name"], result["to_name"], result["type"]) == ("label", "image", "choices")
            assert result["value"]["choices"][0] in ("odd", "normal")
        assert 0.5 <= task["predictions"][0]["score"] <= 1


def test_fiftyone_labels_are_by_the_path_without_its_ending(answer):
    labels = json.loads(made(answer, "fiftyone.json"))
    assert labels["classes"] == ["odd", "normal"]
    assert labels["labels"]["more/17"]["label"] == "odd"
    assert labels["labels"]["00"]["label"] == "normal"
    assert "06" not in labels["labels"]


def test_every_format_says_what_it_is():
    assert all(each.words and "." in name for name, each in FORMATS.items())
