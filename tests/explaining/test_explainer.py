import csv

import numpy as np
import pytest
from pyarrow import parquet

from oddlens.explaining.explainer import Explainer, NewExplainer
from oddlens.model import AnomalyModel
from oddlens.pixels import look, read_pixels
from oddlens.ranking import Ranking
from oddlens.sources import open_source


def collected(images):
    source = open_source(images)
    return read_pixels(source, look(source))


@pytest.fixture(scope="module")
def fitted(digits):
    rng = np.random.default_rng(0)
    near = (digits[5] + rng.normal(0, 4, digits[5].shape)).clip(0, 255).astype(np.uint8)
    images = np.concatenate([digits[:300], digits[3:4], near[None]])
    model = AnomalyModel(encoder="pixels", detector="neighbors", random_state=0).fit(images)
    return images, model, Explainer(model, collected(images), model.rank())


def test_partners_are_names_and_empty_where_there_is_none(fitted, tmp_path):
    _, _, explainer = fitted
    names, measures = explainer.ranking.names, explainer.measures()
    assert measures["copy_of"][3] == names[300]
    assert measures["copy_of"][300] == names[3]
    assert measures["near_duplicate_of"][5] == names[301]
    assert measures["near_duplicate_of"][301] == names[5]
    assert {measures["copy_of"][7], measures["near_duplicate_of"][7]} == {""}
    assert not {"turn", "rotation_partner"} & set(measures)
    ranking = Ranking(names, explainer.ranking.scores, measures=measures)
    ranking.to_csv(tmp_path / "t.csv")
    ranking.to_parquet(tmp_path / "t.parquet")
    rows = list(csv.DictReader((tmp_path / "t.csv").read_text().splitlines()))
    assert [row["copy_of"] for row in rows] == list(measures["copy_of"])
    assert parquet.read_table(tmp_path / "t.parquet").to_pydict()["near_duplicate_of"] == list(
        measures["near_duplicate_of"])


def test_an_embedding_that_is_known_is_not_made_again(fitted, monkeypatch):
    images, model, explainer = fitted
    known = model.encoder_.encode(collected(images).pixels, frozenset({"embedding"})).embedding
    asked = []

    def embedded(rows):
        asked.extend(rows.tolist())
        return known[rows]

    same = Explainer(model, collected(images), model.rank(), embedded=embedded)
    monkeypatch.setattr(type(model.encoder_), "encode", None)
    assert np.array_equal(same.groups.group, explainer.groups.group)
    assert set(same.odd.tolist()) <= set(asked)


def test_groups_of_duplicates(fitted):
    assert fitted[2].duplicate_groups() == [[3, 300], [5, 301]]


def test_partners_of_new_images_are_fitted_ones(fitted):
    images, model, explainer = fitted
    new = NewExplainer(model, collected(images[10:13]), model.rank(images[10:13]), explainer.memory())
    assert new.measures()["copy_of"] == tuple(explainer.ranking.names[10:13])
    assert new.duplicate_groups() == []
