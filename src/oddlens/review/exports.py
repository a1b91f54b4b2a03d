"""The answer of a review as files: tables of all images, lists of the odd ones, and what other tools read."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from oddlens.ranking import tame
from oddlens.review.json_parts import dumped
from oddlens.review.labels import LabelStore, Said
from oddlens.review.opened_run import OpenedRun

if TYPE_CHECKING:
    from oddlens.feedback import Lesson

CATEGORIES = {"odd": 1, "normal": 2}
BATCH = 16_384  # rows of a table that are made at a time


@dataclass(frozen=True, eq=False)
class Answer:
    """What is known of the images of a run: what was measured and what was said.

    labels:  row -> what was said of it last, of the images that were labelled.
    lesson:  what was learned from them.
    """

    run: OpenedRun
    labels: Mapping[int, Said]
    lesson: Lesson

    @classmethod
    def of(cls, run: OpenedRun, store: LabelStore | None, lesson: Lesson | None = None) -> Answer:
        """Of a run and its labels, as they are now; learned from anew where they are others than the lesson's."""
        labels = {row: said for name, said in (store.current() if store else {}).items()
                  if (row := run.row_of.get(name)) is not None}
        said = {row: one.label == "odd" for row, one in labels.items() if one.label != "skip"}
        if lesson is None or dict(lesson.labels) != said:
            from oddlens.feedback import learn

            lesson = learn(run.evidence, said)
        return cls(run, labels, lesson)

    @property
    def order(self) -> NDArray[np.intp]:
        """All rows, the strangest first by all that was learned."""
        return np.argsort(-self.lesson.scores, kind="stable")

    @property
    def odd(self) -> list[int]:
        """The rows that were called odd, the strangest by the ranking first."""
        odd = [row for row, said in self.labels.items() if said.label == "odd"]
        return sorted(odd, key=lambda row: int(self.run.ranking.ranks()[row]))

    def path(self, row: int) -> str:
        """Where an image is now; empty where it is no file of its own."""
        if not self.run.images.moved:
            origin = self.run.provenance.origins[row]
            return origin.path if origin.kind == "file" else ""
        path = self.run.images.path(row)
        return "" if path is None else str(path)

    def rows(self) -> Iterator[dict[str, Any]]:
        """One dictionary an image, the strangest first: the columns of the tables.

        ``learned_rank`` and ``probability`` take the labels in; ``rank`` and ``score`` are the run's own.
        ``duplicates`` is the number of its group of copies and near duplicates, from 1, 0 for none; in each one image
        is to ``keep``.
        """
        image, origins, ranks = self.run.ranking, self.run.provenance.origins, self.run.ranking.ranks()
        group, keep = self.duplicates()
        for place, row in enumerate(map(int, self.order), start=1):
            said = self.labels.get(row)
            yield {
                "name": image.names[row], "path": self.path(row), "label": said.label if said else "",
                "labelled_by": said.who if said else "", "labelled_at": said.at if said else "",
                "learned_rank": place, "probability": float(self.lesson.probability[row]),
                "rank": int(ranks[row]), "score": float(image.scores[row]),
                "p_value": None if image.p_values is None else float(image.p_values[row]),
                "flagged": None if image.flagged is None else bool(image.flagged[row]),
                "causes": image.causes[row] if image.causes else "",
                "duplicates": group.get(row, 0), "keep": keep.get(row, True),
                "sha256": origins[row].sha256}

    def duplicates(self) -> tuple[dict[int, int], dict[int, bool]]:
        """Row -> the number of its group of copies, and whether it is the one of the group to keep.

        Kept is the largest picture; of several, one that nobody called odd, then the first.
        """
        group, keep = {}, {}
        for number, rows in enumerate(self.run.duplicates, start=1):
            origins = self.run.provenance.origins
            best = max(rows, key=lambda row: (origins[row].height * origins[row].width,
                                              row not in self.labels or self.labels[row].label != "odd", -row))
            for row in rows:
                group[row], keep[row] = number, row == best
        return group, keep


@dataclass(frozen=True)
class Format:
    """One kind of file: what it is, in words, and what makes its bytes, part by part."""

    words: str
    make: Callable[[Answer], Iterator[bytes]]


def _csv(answer: Answer) -> Iterator[bytes]:
    return _table(answer.rows())


def _table(rows: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """All text in quotes, as in ``scores.csv``; control characters as their escapes."""
    head = ["name"]
    for number, part in enumerate(batched(rows)):
        text = io.StringIO(newline="")
        head = list(part[0]) if part else head
        writer = csv.DictWriter(text, head, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        if not number:
            writer.writeheader()
        writer.writerows({key: _text(value) if isinstance(value, str) else "" if value is None else value
                          for key, value in row.items()} for row in part)
        yield text.getvalue().encode()


def batched(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Rows, so many at a time; where there are none, none once."""
    source = iter(rows)
    part = list(islice(source, BATCH))
    yield part
    while len(part) == BATCH and (part := list(islice(source, BATCH))):
        yield part


def _parquet(answer: Answer) -> Iterator[bytes]:
    import pyarrow
    from pyarrow import parquet

    writer: Any = None
    with tempfile.TemporaryFile() as file:
        for rows in batched(answer.rows()):
            table = pyarrow.table({key: [_text(row[key]) if isinstance(row[key], str) else row[key] for row in rows]
                                   for key in (rows[0] if rows else {})})
            if writer is None:
                writer = parquet.ParquetWriter(file, table.schema)
            writer.write_table(table)
        writer.close()
        file.seek(0)
        while part := file.read(2**20):
            yield part


def _json(answer: Answer) -> Iterator[bytes]:
    rows = ({key: _text(value) if isinstance(value, str) else value for key, value in row.items()}
            for row in answer.rows())
    return dumped({"run": str(answer.run.folder), "ranking": answer.run.identity, "images": rows})


def _history(answer: Answer) -> Iterator[bytes]:
    lines = [vars(said) for said in answer.labels.values()]
    return _table(sorted(({key: line[key] for key in ("number", "at", "who", "name", "sha256", "label", "ranking")}
                          for line in lines), key=lambda line: int(line["number"])))


def _listed(answer: Answer) -> Iterator[bytes]:
    """Paths as they are on the disk, one a line; names where there is no file."""
    for row in answer.odd:
        yield f"{answer.path(row) or answer.run.ranking.names[row]}\n".encode("utf-8", "surrogateescape")


def _groups(answer: Answer) -> Iterator[bytes]:
    """The copies and near duplicates, a row an image, group by group, the one to keep first."""
    group, keep = answer.duplicates()
    rows = sorted(group, key=lambda row: (group[row], not keep[row], row))
    return _table([{"group": group[row], "keep": keep[row], "name": answer.run.ranking.names[row],
                    "path": answer.path(row), "sha256": answer.run.provenance.origins[row].sha256} for row in rows])


def _coco(answer: Answer) -> Iterator[bytes]:
    """COCO's object detection format, with the whole picture as the box: classification has none of its own."""
    order, ranking, origins = answer.order, answer.run.ranking, answer.run.provenance.origins

    def images() -> Iterator[dict[str, Any]]:
        for number, row in enumerate(map(int, order), start=1):
            origin = origins[row]
            yield {"id": number, "file_name": _text(answer.path(row) or ranking.names[row]), "width": origin.width,
                   "height": origin.height, "score": float(ranking.scores[row]),
                   "probability": float(answer.lesson.probability[row])}

    annotations: list[dict[str, Any]] = []
    for number in np.flatnonzero(np.isin(order, list(answer.labels))).tolist():
        row = int(order[number])
        if (label := answer.labels[row].label) in CATEGORIES:
            height, width = float(origins[row].height), float(origins[row].width)
            annotations.append({"id": len(annotations) + 1, "image_id": number + 1, "iscrowd": 0,
                                "category_id": CATEGORIES[label], "area": width * height,
                                "bbox": [0.0, 0.0, width, height], "segmentation": []})
    return dumped({
        "info": {"description": "Odd and normal images, by oddlens"}, "licenses": [], "images": images(),
        "annotations": annotations,
        "categories": [{"id": number, "name": name, "supercategory": ""} for name, number in CATEGORIES.items()]})


def _label_studio(answer: Answer) -> Iterator[bytes]:
    """Tasks of Label Studio, with what was said as annotations and what was learned as predictions.

    The pictures are named as its local files are: below the folder that LOCAL_FILES_DOCUMENT_ROOT names, here the root.
    """
    return dumped(_tasks(answer))


def _tasks(answer: Answer) -> Iterator[dict[str, Any]]:
    """A task an image."""
    for row in map(int, answer.order):
        path = answer.path(row)
        place = f"/data/local-files/?d={Path(path).as_posix().lstrip('/')}" if path else answer.run.ranking.names[row]
        said, probability = answer.labels.get(row), float(answer.lesson.probability[row])
        task: dict[str, Any] = {
            "data": {"image": _text(place), "name": answer.run.ranking.names[row],
                     "score": float(answer.run.ranking.scores[row])},
            "predictions": [{"model_version": "oddlens", "score": max(probability, 1 - probability),
                             "result": [_choice("odd" if probability > 0.5 else "normal")]}]}
        if said is not None:
            task["annotations"] = [{"was_cancelled": said.label == "skip",
                                    "result": [] if said.label == "skip" else [_choice(said.label)]}]
        yield task


def _choice(label: str) -> dict[str, Any]:
    return {"from_name": "label", "to_name": "image", "type": "choices", "value": {"choices": [label]}}


def _fiftyone(answer: Answer) -> Iterator[bytes]:
    """FiftyOne's image classification dataset: labels.json, to be loaded beside the folder of the images.

    ``fiftyone.Dataset.from_dir(dataset_type=fiftyone.types.FiftyOneImageClassificationDataset, data_path=FOLDER,
    labels_path="fiftyone.json")``, FOLDER being the one that was ranked.
    """
    labels = {}
    for row, said in sorted(answer.labels.items()):
        if said.label in CATEGORIES:
            within = answer.run.provenance.origins[row].within or answer.run.ranking.names[row]
            labels[_text(str(Path(within).with_suffix("")))] = {
                "label": said.label, "confidence": 1.0,
                "attributes": {"rank": int(answer.run.ranking.image(row).rank), "by": said.who}}
    return dumped({"classes": list(CATEGORIES), "labels": labels})


def _text(value: str) -> str:
    """Text that can be written anywhere: what is no UTF-8 as escapes."""
    return tame(value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))


FORMATS: Mapping[str, Format] = {
    "labels.csv": Format("All images with labels, ranks and paths, as a table", _csv),
    "labels.parquet": Format("The same as Parquet", _parquet),
    "labels.json": Format("The same as JSON", _json),
    "odd.txt": Format("The paths of the odd images, one a line", _listed),
    "history.csv": Format("Each label that stands: who, when, beside which ranking", _history),
    "duplicates.csv": Format("Copies and near duplicates as groups, with one to keep", _groups),
    "coco.json": Format("For tools that read COCO", _coco),
    "label-studio.json": Format("For Label Studio", _label_studio),
    "fiftyone.json": Format("For FiftyOne", _fiftyone),
}
