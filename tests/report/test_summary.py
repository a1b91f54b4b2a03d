"""run.json says the same as the ranking and the model."""

import json

import numpy as np
import pytest

import oddlens
from oddlens import AnomalyModel, Ranking
from oddlens.detectors.neighbors import Neighbors
from oddlens.report.summary import finding, summary


@pytest.fixture(scope="module")
def model():
    from instant import InstantEncoder

    rng = np.random.default_rng(0)
    images = rng.integers(0, 60, (120, 8, 8, 1), dtype=np.uint8)
    images[[11, 60], 2:6, 2:6] = 255
    return AnomalyModel(InstantEncoder(), Neighbors(k=3), random_state=4).fit(images)


def test_it_is_json_and_counts_what_the_ranking_has(model):
    ranking = model.rank()
    broken = Ranking(ranking.names, ranking.scores, ranking.members, (("bad.png", "the file is empty"),),
                     ranking.p_values, ranking.flagged, ("dark",) * 3 + ("",) * 117)
    found = json.loads(json.dumps(summary(model, broken, images="dots", top=2, skipped=5, duplicates=[[0, 1, 2]],
                                          files={"table": "scores.csv"})))
    assert (found["found"], found["read"], found["skipped"]) == (121, 120, 5)
    assert found["unreadable"] == [{"name": "bad.png", "reason": "the file is empty"}]
    assert [image["rank"] for image in found["top"]] == [1, 2]
    assert {image["name"] for image in found["top"]} == {"011", "060"}
    assert found["causes"] == {"dark": 3}
    assert found["duplicates"] == {"groups": 1, "images": 3}
    assert found["flagged"] == int(ranking.flagged.sum())
    assert found["learned_at"] == {"height": 8, "width": 8, "channels": 1, "resize": "squash"}
    assert found["seed"] == 4
    assert found["parameters"]["Detector neighbors"]["k"] == 3
    assert found["oddlens"] == found["versions"]["oddlens"] == oddlens.__version__
    assert found["statement"] == finding(model, ranking).statement


def test_new_images_are_judged_by_the_fitted_share(model, dots):
    found = finding(model, model.rank(dots[:3]), new=True)
    assert found.new
    assert (found.count, found.flagged) == (3, 0)
    assert found.share == model.decision_.share.value


def test_with_a_contamination_there_is_no_rate(model, dots):
    from instant import InstantEncoder

    asked = AnomalyModel(InstantEncoder(), Neighbors(k=3), contamination=0.05).fit(dots)
    found = summary(asked, asked.rank(), images="dots")
    assert found["fdr"] is None
    assert found["flagged"] == 6
    assert summary(model, model.rank(), images="dots")["fdr"] == 0.1
    assert not np.isnan(found["share_anomalous"]["value"])
