from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from instant import InstantEncoder
from oddlens import AnomalyModel, load_model, rank, save_model
from oddlens.detectors.forest import Forest
from oddlens.detectors.neighbors import Neighbors
from oddlens.detectors.reconstruction import Reconstruction
from oddlens.errors import OptionError, TooFewImages

SEVERAL = (Reconstruction(), Neighbors(), Forest(n_estimators=50))


@pytest.fixture
def planted(dots):
    images = dots.copy()
    images[[11, 60]] = np.random.default_rng(1).integers(0, 256, (2, 8, 8, 1))
    return images


@pytest.fixture
def model(planted):
    return AnomalyModel(InstantEncoder(), SEVERAL).fit(planted)


def test_the_planted_images_come_first(model):
    assert {image.index for image in model.rank().top(2)} == {11, 60}


def test_every_detector_is_a_column_and_the_encoder_learns_once(planted):
    class Counting(InstantEncoder):
        calls: ClassVar = []

        def fit(self, pixels):
            self.calls.append("fit")
            return super().fit(pixels)

        def encode(self, pixels, needs):
            self.calls.append(needs)
            return super().encode(pixels, needs)

    ranking = AnomalyModel(Counting(), SEVERAL).fit(planted).rank()
    assert list(ranking.members) == ["reconstruction", "neighbors", "forest"]
    assert Counting.calls == ["fit", frozenset({"embedding", "residual"})]


def test_what_is_flagged_is_what_predict_calls_odd(model):
    ranking = model.rank()
    assert ranking.flagged[[11, 60]].all()
    assert ranking.flagged.sum() < 8
    assert (ranking.p_values[ranking.flagged] < ranking.p_values[~ranking.flagged].min()).all()
    assert np.array_equal(ranking.flagged, -ranking.scores < model.offset_)


def test_no_p_value_states_a_rarity_beyond_what_the_images_tell(model):
    assert model.rank().p_values.min() == 1 / (10 * len(model.names_))


def alike(ranking, whole, chosen):
    """Whether a ranking says of its images, to the last digit, what another says of the chosen ones of its own."""
    return (np.array_equal(ranking.scores, whole.scores[chosen])
            and np.array_equal(ranking.p_values, whole.p_values[chosen])
            and np.array_equal(ranking.flagged, whole.flagged[chosen])
            and all(np.array_equal(ranking.members[column], whole.members[column][chosen]) for column in whole.members))


@pytest.mark.parametrize("options", [
    {"effort": "fast"}, {"effort": "default"}, {"effort": "fast", "contamination": 0.1},
    {"encoder": "autoencoder", "detector": "forest"},
], ids=str)
def test_new_images_are_judged_alone_to_the_last_digit_and_as_predict_does(options, digits):
    """Thirty of the new images are fitted ones, ten of them odd."""
    images = digits[:300].copy()
    images[200:210] = np.random.default_rng(1).integers(0, 256, (10, 28, 28, 1))
    fitted, new = images[:210], images[180:]
    model = AnomalyModel(**options).fit(fitted)
    whole, rng = model.rank(new), np.random.default_rng(0)
    assert ("contamination" in options) <= whole.flagged.sum() < len(new) / 2
    for size in (1, 1, 2, 7, 119):
        chosen = rng.permutation(len(new))[:size]
        assert alike(model.rank(new[chosen]), whole, chosen), size
        assert np.array_equal(model.predict(new[chosen]) == -1, whole.flagged[chosen])
        assert np.array_equal(model.decision_function(new[chosen]), -whole.scores[chosen] - model.offset_)
    assert alike(model.rank(new[:30]), model.rank(), np.arange(180, 210))


@pytest.mark.parametrize("effort", ["fast", "default"])
def test_an_image_flagged_at_fit_is_flagged_when_its_copy_is_scored(effort, planted, tmp_path):
    model = AnomalyModel(effort=effort).fit(planted)
    own = model.rank()
    flagged = np.flatnonzero(own.flagged)
    assert {11, 60} <= set(flagged)
    save_model(model, tmp_path / "model")
    for judge in (model, load_model(tmp_path / "model")):
        for chosen in (*([i] for i in flagged), flagged, np.arange(len(planted))):
            assert alike(judge.rank(planted[chosen]), own, chosen)
            assert np.array_equal(judge.score_pixels(planted[chosen]), own.scores[chosen])


def test_the_same_picture_twice_has_the_same_score(planted):
    planted[70] = planted[60]
    model = AnomalyModel().fit(planted)
    own = model.rank()
    assert alike(own, own, np.r_[:70, 60, 71:120])
    assert alike(model.rank(planted[[70]]), own, [60])
    assert model.known_.first()[70] == 60


@pytest.mark.parametrize("effort", ["fast", "default"])
@pytest.mark.parametrize("device", ["gpu7", "", "meta", 7, *[name for name, there in (
    ("cuda", torch.cuda.is_available()), ("mps", torch.backends.mps.is_available())) if not there]])
def test_a_device_that_is_not_there_is_refused_before_reading_whatever_the_views(device, effort):
    with pytest.raises(OptionError, match=f"device.*{device}"):
        AnomalyModel(effort=effort, device=device).fit("/no/such/folder")


def test_a_lower_rate_flags_no_more(planted):
    found = [AnomalyModel(InstantEncoder(), SEVERAL, fdr=rate).fit(planted).rank().flagged for rate in (0.01, 0.1, 0.3)]
    assert found[0].sum() <= found[1].sum() <= found[2].sum()
    assert not (found[0] & ~found[1]).any()


def test_views_that_share_an_encoder_share_what_it_learned(planted):
    model = AnomalyModel(views=["dictionary+neighbors", "autoencoder+forest", "dictionary+forest"]).fit(planted)
    assert list(model.encoders_) == ["dictionary", "autoencoder"]
    assert model.sees_ == {"dictionary+neighbors": "dictionary", "autoencoder+forest": "autoencoder",
                           "dictionary+forest": "dictionary"}
    assert list(model.rank().members) == list(model.sees_)


def test_the_same_encoder_with_other_options_is_another(planted):
    views = [(Reconstructing(), Neighbors()), (Reconstructing(5), Neighbors(k=3))]
    model = AnomalyModel(views=views).fit(planted)
    assert list(model.rank().members) == ["reconstructing+neighbors", "reconstructing-2+neighbors"]


class Reconstructing(InstantEncoder, BaseEstimator):
    def __init__(self, latent=8):
        super().__init__(latent)


def test_the_default_of_each_effort_finds_what_is_planted(planted):
    for effort in ("fast", "default", "thorough"):
        assert {image.index for image in AnomalyModel(effort=effort).fit(planted).rank().top(2)} == {11, 60}


@pytest.mark.parametrize("options", [
    {"views": ["dictionary+neighbors"], "encoder": "dictionary"}, {"views": []}, {"views": "dictionary+neighbors"},
    {"views": ["dictionary"]}, {"effort": "extreme"},
])
def test_views_that_cannot_work_are_refused(planted, options):
    with pytest.raises(OptionError):
        AnomalyModel(**options).fit(planted)


def test_with_one_detector_the_score_is_its_own(planted):
    ranking = AnomalyModel(InstantEncoder(), Neighbors()).fit(planted).rank()
    assert np.array_equal(ranking.scores, ranking.members["neighbors"])


def test_new_images_are_judged_each_alone(model, planted):
    new = planted[:20]
    together = model.rank(new).scores
    alone = [model.rank(new[i : i + 1]).scores[0] for i in range(len(new))]
    assert np.array_equal(together, alone)


def test_images_that_were_read_already_give_the_same(planted):
    make = lambda: AnomalyModel(InstantEncoder(), SEVERAL)  # noqa: E731
    collection = make().read(planted)
    assert len(collection) == len(planted)
    assert collection.seconds > 0
    expected, model = make().fit(planted), make().fit(collection)
    assert np.array_equal(model.rank().scores, expected.rank().scores)
    assert model.timings_["reading"] == collection.seconds
    assert np.array_equal(model.shapes_, expected.shapes_)
    new = model.read_new(planted[:9])
    assert np.array_equal(model.rank(new).scores, expected.rank(planted[:9]).scores)
    assert np.array_equal(model.score_samples(new), expected.score_samples(planted[:9]))
    assert np.array_equal(model.predict(new), expected.predict(planted[:9]))


def test_images_that_were_read_in_another_way_are_refused(model, planted):
    with pytest.raises(OptionError, match="read_new"):
        model.rank(AnomalyModel(image_size=5).read(planted))
    with pytest.raises(OptionError, match=r"resize='pad'.*read_new"):
        model.rank(AnomalyModel(resize="pad").read(planted))


def test_too_few_images_that_were_read_already_are_refused(planted):
    collection = AnomalyModel().read(planted)
    few = replace(collection, pixels=collection.pixels[:4], names=collection.names[:4])
    with pytest.raises(TooFewImages, match="4"):
        AnomalyModel(InstantEncoder()).fit(few)


def test_an_object_in_several_views_learns_once_and_is_not_fitted_itself(planted):
    class Bare:
        """An encoder with the methods of the protocol and no more."""

        gives = InstantEncoder.gives
        latent = 6
        fit, encode, _flat = InstantEncoder.fit, InstantEncoder.encode, staticmethod(InstantEncoder._flat)
        get_state, set_state = InstantEncoder.get_state, InstantEncoder.set_state

    mine = Bare()
    model = AnomalyModel(views=[(mine, Neighbors()), (mine, Forest(n_estimators=20))]).fit(planted)
    assert list(model.encoders_) == ["bare"]
    assert not hasattr(mine, "mean_")
    apart = AnomalyModel(views=[(Bare(), Neighbors()), (Bare(), Forest(n_estimators=20))]).build()
    assert list(apart.encoders) == ["bare", "bare-2"], "objects that do not tell their options may differ"


def test_scikit_learns_signs(model, planted):
    assert np.array_equal(model.score_samples(planted), -model.rank(planted).scores)
    assert np.array_equal(model.predict(planted) == -1, model.decision_function(planted) < 0)
    labels = AnomalyModel(InstantEncoder(), SEVERAL, contamination=0.05).fit_predict(planted)
    assert set(labels) == {1, -1}
    assert (labels == -1).sum() == 6
    assert (labels[[11, 60]] == -1).all()


def test_images_in_any_dress_give_the_same_ranking(planted, tmp_path):
    from PIL import Image

    for i, image in enumerate(planted):
        Image.fromarray(image[..., 0]).save(tmp_path / f"{i:03}.png")
    np.save(tmp_path / "all.npy", planted[..., 0])
    make = lambda: AnomalyModel(InstantEncoder(), Neighbors())  # noqa: E731
    expected = make().fit(planted).rank().scores
    for images in (planted[..., 0], str(tmp_path), tmp_path, sorted(tmp_path.glob("*.png")), tmp_path / "all.npy"):
        assert np.array_equal(make().fit(images).rank().scores, expected)


def test_unreadable_images_are_listed_and_nan_and_odd(planted, tmp_path, model):
    from PIL import Image

    for i, image in enumerate(planted[:30]):
        Image.fromarray(image[..., 0]).save(tmp_path / f"{i:03}.png")
    (tmp_path / "004b.png").write_text("not an image")
    fitted = AnomalyModel(InstantEncoder(), Neighbors()).fit(tmp_path)
    assert [name for name, _ in fitted.rank().unreadable] == ["004b.png"]
    assert len(fitted.rank()) == 30
    scores = fitted.score_samples(tmp_path)
    assert np.flatnonzero(np.isnan(scores)).tolist() == [5]
    assert fitted.predict(tmp_path)[5] == -1
    assert fitted.fit_predict(tmp_path)[5] == -1
    assert len(fitted.fit_predict(tmp_path)) == 31


def test_not_fitted_is_scikit_learns_own():
    for ask in ("rank", "score_samples", "predict", "decision_function"):
        with pytest.raises(NotFittedError):
            getattr(AnomalyModel(), ask)(np.zeros((2, 8, 8), np.uint8))


@pytest.mark.parametrize(("options", "message"), [
    ({"encoder": "autoencodr"}, "Did you mean 'autoencoder'"),
    ({"detector": ["neighbors", "neighbours"]}, "Did you mean 'neighbors'"),
    ({"detector": ["forest", "forest"]}, "given twice"),
    ({"detector": []}, "No detector"),
    ({"detector": 7}, "not an? detector"),
    ({"contamination": 0.7}, "contamination"),
    ({"fdr": 0.0}, "fdr"),
    ({"fdr": 0.5}, "fdr"),
    ({"image_size": 0}, "image_size"),
    ({"resize": "stretch"}, "squash"),
    ({"channels": 2}, "channels"),
])
def test_bad_options_say_what_to_do(options, message, dots):
    with pytest.raises(OptionError, match=message):
        AnomalyModel(**options).fit(dots)


def test_a_detector_that_needs_what_the_encoder_does_not_give_is_refused_before_reading():
    class Blind(BaseEstimator):
        gives = frozenset({"embedding"})

        def fit(self, pixels): ...
        def encode(self, pixels, needs): ...
        def get_state(self): ...
        def set_state(self, state): ...

    with pytest.raises(OptionError, match="reconstruction needs residual"):
        AnomalyModel(Blind(), Reconstruction()).fit("/no/such/folder")


def test_too_few_images_say_how_many(dots):
    with pytest.raises(TooFewImages, match="3"):
        AnomalyModel(InstantEncoder()).fit(dots[:3])


def test_rank_is_the_whole_job(planted):
    assert rank(planted, encoder=InstantEncoder(), detector=Neighbors(k=3)).top(1)[0].index in {11, 60}
    one, two = (rank(planted, detector="forest", random_state=3).scores for _ in range(2))
    assert np.array_equal(one, two)


def test_options_given_to_the_model_reach_what_it_makes_by_name(dots):
    model = AnomalyModel("autoencoder", "forest", random_state=9).fit(dots)
    assert model.encoder_.random_state == 9
    assert model.detectors_["forest"].random_state == 9


def test_labels_re_rank_and_the_unlabelled_score_stays_a_column(model):
    before = model.rank()
    assert not before.measures
    model.give_feedback({before.names[11]: "normal", before.names[20]: "odd"})
    told = model.rank()
    assert told.top(1)[0].index == 20
    assert told.order()[-1] == 11
    assert told.flagged[20]
    assert not told.flagged[11]
    assert np.array_equal(told.measures["unlabelled"], before.scores)
    assert [told.measures["label"][i] for i in (11, 20, 60)] == ["normal", "odd", ""]
    assert told.measures["probability"][[11, 20]].tolist() == [0, 1]
    assert told.p_values[20] < told.p_values[60] < told.p_values[11]
    assert np.array_equal(told.flagged, -told.scores < model.offset_)
    assert "You found 1 odd image in 2 looks" in model.decision_.statement
    assert model.decision_.share.low >= 1 / 120


def test_labels_join_and_taken_back_leave_all_as_it_was(model, planted):
    before, offset = model.rank(), model.offset_
    names = before.names
    model.give_feedback({names[11]: "odd"}).give_feedback({names[60]: "odd", names[5]: "normal"})
    assert model.labels_ == {names[11]: "odd", names[60]: "odd", names[5]: "normal"}
    assert not np.array_equal(model.rank().scores, before.scores)
    model.give_feedback(dict.fromkeys((names[11], names[60], names[5])))
    assert alike(model.rank(), before, np.arange(120))
    assert model.offset_ == offset
    model.give_feedback({names[11]: "odd"}).fit(planted)
    assert model.labels_ == {}


def test_labels_that_cannot_be_are_refused_and_none_is_taken_in(model):
    with pytest.raises(OptionError, match="no fitted image named 'nothing'"):
        model.give_feedback({"000": "odd", "nothing": "odd"})
    assert model.labels_ == {}
    with pytest.raises(NotFittedError):
        AnomalyModel().give_feedback({"000": "odd"})


def test_with_labels_a_new_image_is_judged_alone_and_a_copy_as_the_fitted_one(planted, dots, tmp_path):
    model = AnomalyModel().fit(planted)
    names = model.names_
    model.give_feedback({names[11]: "odd", names[3]: "normal", names[4]: "normal", names[60]: "odd"})
    save_model(model, tmp_path / "model")
    new = np.random.default_rng(5).integers(0, 200, (6, 8, 8, 1), dtype=np.uint8)
    for judge in (model, load_model(tmp_path / "model")):
        own, told = judge.rank(), judge.rank(planted)
        assert alike(told, own, np.arange(120))
        assert np.array_equal(told.measures["probability"], own.measures["probability"])
        assert set(told.measures["label"]) == {""}
        together = judge.rank(np.concatenate([new, planted[:9]]))
        for i in range(6):
            assert alike(judge.rank(new[i : i + 1]), together, [i])
        assert np.array_equal(judge.rank(new[::-1]).scores, together.scores[:6][::-1])
        assert (judge.predict(planted[[11, 60]]) == -1).all()
        assert (judge.predict(planted[[3, 4]]) == 1).all()
        assert np.array_equal(-judge.score_samples(new), together.scores[:6])


def test_copies_of_a_labelled_image_have_its_label(planted):
    planted[70] = planted[60]
    model = AnomalyModel(InstantEncoder(), SEVERAL).fit(planted)
    model.give_feedback({model.names_[70]: "normal"})
    told = model.rank()
    assert told.scores[70] == told.scores[60] == told.scores.min()
    assert told.measures["probability"][60] == 0


def test_the_order_in_which_images_come_does_not_matter_to_what_is_learned(planted):
    order = np.random.default_rng(3).permutation(120)
    one = AnomalyModel(InstantEncoder(), SEVERAL).fit(planted)
    other = AnomalyModel(InstantEncoder(), SEVERAL).fit(planted[order])
    one.give_feedback({one.names_[i]: "odd" if i in (11, 60) else "normal" for i in (11, 60, 5, 6)})
    place = np.argsort(order)
    other.give_feedback({other.names_[place[i]]: "odd" if i in (11, 60) else "normal" for i in (11, 60, 5, 6)})
    # The forest draws its trees over rows, so scores differ a little before anything is learned.
    assert np.corrcoef(one.rank().scores[order], other.rank().scores)[0, 1] > 0.99


def test_a_view_without_an_embedding_is_learned_from_by_its_score_alone(planted):
    model = AnomalyModel(InstantEncoder(), "reconstruction").fit(planted)
    assert model.evidence_.features.shape == (120, 0)
    names = model.names_
    assert model.give_feedback({names[11]: "odd", names[3]: "normal"}).rank().top(1)[0].index == 11


def test_the_asked_share_is_flagged_with_labels_too(planted):
    model = AnomalyModel(InstantEncoder(), SEVERAL, contamination=0.1).fit(planted)
    model.give_feedback({model.names_[3]: "odd"})
    told = model.rank()
    assert told.flagged.sum() == 12
    assert told.flagged[3]
