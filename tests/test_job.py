"""The whole job in one call."""

import inspect

import numpy as np
import pytest
from sklearn.svm import OneClassSVM

import oddlens
from oddlens import AnomalyModel, Outliers
from oddlens.errors import OptionError, TooFewImages
from oddlens.job import Options


@pytest.fixture
def features():
    features = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
    features[7] += 9
    features[30] -= 9
    return features


def test_it_is_fit_and_rank(images):
    ranking = oddlens.rank(images, encoder="pixels", detector=["neighbors", "forest"], contamination=0.05)
    model = AnomalyModel("pixels", ["neighbors", "forest"], contamination=0.05).fit(images)
    np.testing.assert_array_equal(ranking.scores, model.rank().scores)
    assert ranking.flagged.sum() == 3


def test_the_ranking_has_thumbnails_of_the_strangest_and_paths(images, tmp_path):
    from PIL import Image

    for number, image in enumerate(images):
        Image.fromarray(image).resize((200, 100)).save(tmp_path / f"{number:02}.png")
    ranking = oddlens.rank(tmp_path, encoder="pixels", detector="neighbors")
    shown = [ranking.thumbnails[image.name] for image in ranking.top(10)]
    assert all(uri.startswith(("data:image/webp", "data:image/jpeg")) for uri in shown)
    assert max(map(len, shown)) < 20_000
    assert ranking.paths[7] == str(tmp_path / "07.png")
    assert ranking._repr_html_().count("<img") == 10
    beside = oddlens.rank(tmp_path, embeddings=np.random.default_rng(0).normal(size=(60, 3)))
    assert beside._repr_html_().count("<img") == 10
    rows = oddlens.rank(images, encoder="pixels", detector="neighbors")
    assert rows.paths is None
    assert all(uri.startswith("data:image/png") for uri in rows.thumbnails.values()), "tiny ones keep every pixel"


def test_its_options_are_those_of_the_model():
    parameters = inspect.signature(AnomalyModel).parameters
    assert list(Options.__annotations__) == list(parameters)
    wider = {"encoder", "detector", "views"}  # objects of other libraries, which no type says
    for name, parameter in parameters.items():
        if name not in wider:
            said = Options.__annotations__[name].__forward_arg__
            assert said == parameter.annotation, name


def test_an_option_that_there_is_not_is_named_with_the_nearest(images):
    with pytest.raises(OptionError, match=r"no option named 'contaminaton'\. Did you mean 'contamination'"):
        oddlens.rank(images, contaminaton=0.1)
    with pytest.raises(OptionError, match="Did you mean 'embeddings'"):
        oddlens.rank(images, embedding=np.zeros((60, 3)))


def test_a_type_checker_says_so_too(tmp_path):
    api = pytest.importorskip("mypy.api")
    (tmp_path / "call.py").write_text("import oddlens\noddlens.rank('photos', contamination=0.1, detector='forest')\n"
                                      "oddlens.rank('photos', contaminaton=0.1)\noddlens.rank('photos', fdr='low')\n")
    said, wrong, _ = api.run([str(tmp_path / "call.py"), "--follow-imports=silent",
                              f"--cache-dir={tmp_path / 'cache'}"])
    assert not wrong
    lines = [line for line in said.splitlines() if "call.py" in line and "error" in line]
    assert [line.split(":")[1] for line in lines] == ["3", "4"], said
    assert 'Unexpected keyword argument "contaminaton"' in lines[0]


def test_features_made_elsewhere_are_ranked_as_they_are(features):
    ranking = oddlens.rank(embeddings=features, contamination=2 / 60)
    np.testing.assert_array_equal(np.flatnonzero(ranking.flagged), [7, 30])
    np.testing.assert_allclose(ranking.scores, Outliers("neighbors").fit(features).decision_scores_)
    assert ranking.names[:2] == ("00", "01")


def test_images_beside_features_give_their_names_and_are_not_judged(features, images, tmp_path):
    from PIL import Image

    for number, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"photo-{number:02}.png")
    alone = oddlens.rank(embeddings=features, detector=["forest", OneClassSVM()])
    both = oddlens.rank(tmp_path, embeddings=features, detector=["forest", OneClassSVM()])
    assert both.names[7] == "photo-07.png"
    np.testing.assert_array_equal(both.scores, alone.scores)


def test_features_may_be_a_tensor_or_a_table(features):
    import torch

    wanted = oddlens.rank(embeddings=features).scores
    np.testing.assert_array_equal(oddlens.rank(embeddings=torch.tensor(features, requires_grad=True)).scores, wanted)
    pandas = pytest.importorskip("pandas")
    np.testing.assert_array_equal(oddlens.rank(embeddings=pandas.DataFrame(features)).scores, wanted)


@pytest.mark.parametrize(("given", "says"), [
    ({}, "nothing to rank"),
    ({"embeddings": np.zeros(9)}, r"\(n, d\) numbers, a row for each image; got \(9,\)"),
    ({"embeddings": [["a"]]}, "got list"),
    ({"embeddings": np.full((20, 2), np.nan)}, "hold nan"),
    ({"embeddings": np.eye(20), "images": np.zeros((19, 8, 8), np.uint8)}, "20 rows of embeddings for 19 images"),
    ({"embeddings": np.eye(20), "encoder": "pixels"}, "take the place of encoder"),
    ({"embeddings": np.eye(20), "views": ["pixels+forest"]}, "take the place of views"),
    ({"embeddings": np.eye(20), "effort": "fast"}, "the views of an effort"),
    ({"embeddings": np.eye(20), "detector": "places"}, "Detector places needs maps"),
])
def test_what_cannot_be_ranked_is_refused(given, says):
    with pytest.raises(OptionError, match=says):
        oddlens.rank(**given)


def test_too_few_rows_are_said_to_be_too_few():
    with pytest.raises(TooFewImages):
        oddlens.rank(embeddings=np.eye(5))
