"""Each check of the contract passes what holds to it, and fails what breaks it in that very way, saying how."""

import itertools
import threading

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from oddlens.errors import OptionError, SavedModelError, UnreadableImage
from oddlens.protocols import Encoded, Reason
from oddlens.sources import ArraySource, open_source
from oddlens.testing import ContractError, check_detector, check_encoder, check_source
from oddlens.testing.detector import DETECTOR_CHECKS, sample_encoded
from oddlens.testing.encoder import ENCODER_CHECKS, sample_images
from oddlens.testing.source import SOURCE_CHECKS

COUNT = itertools.count()  # what is another each time


class Means(BaseEstimator):
    """An encoder that holds to the contract: the mean of each row of pixels."""

    gives = frozenset({"embedding", "residual", "activations"})
    looks_at = "the rows"

    def __init__(self, scale=1.0):
        self.scale = scale

    def fit(self, pixels):
        if not isinstance(self.scale, int | float):
            raise OptionError(f"scale must be a number, got {self.scale!r}.")
        self.shape_ = np.array(pixels.shape[1:])
        return self

    def encode(self, pixels, needs):
        if not hasattr(self, "shape_"):
            raise NotFittedError("fit first")
        if pixels.shape[1:] != tuple(self.shape_):
            raise OptionError("images of another size")
        rows = (pixels.mean((2, 3)) * self.scale).astype(np.float32)
        return Encoded(
            embedding=rows if "embedding" in needs else None,
            residual=rows.var(1).astype(np.float64) if "residual" in needs else None,
            activations={"rows": rows} if "activations" in needs else {},
            node_types={"rows": "linear"} if "activations" in needs else {})

    def get_state(self):
        if not hasattr(self, "shape_"):
            raise NotFittedError("fit first")
        return {"shape": self.shape_}

    def set_state(self, state):
        if set(state) != {"shape"}:
            raise SavedModelError("not a shape")
        self.shape_ = state["shape"]
        return self


class Distance(BaseEstimator):
    """A detector that holds to the contract: the distance to the mean."""

    needs = frozenset({"embedding"})
    seeks = "images far from the mean"

    def __init__(self, scale=1.0):
        self.scale = scale

    def fit(self, encoded):
        if not isinstance(self.scale, int | float):
            raise OptionError(f"scale must be a number, got {self.scale!r}.")
        self.mean_ = encoded.embedding.mean(0, dtype=np.float64)
        self.own_ = self._distance(encoded)
        return self

    def score_own(self):
        return self._fitted().own_.copy()

    def score_new(self, encoded):
        return self._fitted()._distance(encoded)

    def explain_own(self, index):
        return [Reason("far from the mean", (0,))]

    def get_state(self):
        return {"mean": self._fitted().mean_, "own": self.own_}

    def set_state(self, state):
        if set(state) != {"mean", "own"}:
            raise SavedModelError("no mean")
        self.mean_, self.own_ = state["mean"], state["own"]
        return self

    def _distance(self, encoded):
        return np.sqrt(((encoded.embedding - self.mean_) ** 2).sum(1)) * self.scale

    def _fitted(self):
        if not hasattr(self, "own_"):
            raise NotFittedError("fit first")
        return self


class Plain:
    """A detector with the methods of the protocol and no more."""

    needs, fit, score_own, score_new = Distance.needs, Distance.fit, Distance.score_own, Distance.score_new
    get_state, set_state, _distance, _fitted = (Distance.get_state, Distance.set_state, Distance._distance,
                                                Distance._fitted)

    def __init__(self, scale=1.0):
        self.scale = scale


class Slides:
    """A source that holds to the contract; every third image cannot be read."""

    root, skipped, pixels = None, 0, None

    def __init__(self):
        self.images = np.random.default_rng(0).integers(0, 256, (6, 9, 12, 3), dtype=np.uint8)

    def __len__(self):
        return len(self.images)

    def name(self, index):
        return f"slide {index}"

    def read(self, index):
        if index == 3:
            raise UnreadableImage(self.name(index), "scratched")
        return self.images[index].copy()

    def read_near(self, index, side):
        image = self.read(index)
        return image[::2, ::2] if min(image.shape[:2]) >= 2 * side else image, image.shape[:2]


def test_what_holds_to_the_contract_passes(dots):
    check_encoder(Means())
    check_encoder(Means(scale=3), dots)
    for detector in (Distance(), Distance(scale=2), Plain()):
        check_detector(detector)
    check_source(Slides())


def test_our_own_sources_hold_to_the_contract(dots, tmp_path):
    from PIL import Image

    for number, image in enumerate(dots[:4]):
        Image.fromarray(image[..., 0]).resize((40, 30)).save(tmp_path / f"{number}.{('png', 'jpg')[number % 2]}")
    (tmp_path / "broken.png").write_text("not an image")
    for images in (dots[:5], dots[:5, ..., 0] / 255, tmp_path, sorted(tmp_path.glob("*.png"))):
        check_source(open_source(images))


def broken(base, **methods):
    """A class like ``base`` with some methods or attributes changed; its name is its base's."""
    return type(base.__name__, (base,), methods)


def setting(**attributes):
    """A ``fit`` that sets attributes after the true one."""
    def fit(self, given):
        base = next(cls for cls in type(self).__mro__[1:] if "fit" in vars(cls))
        base.fit(self, given)
        for key, value in attributes.items():
            setattr(self, key, value)
        return self

    return fit


def encoding(change):
    """An ``encode`` whose result is changed."""
    def encode(self, pixels, needs):
        return change(self, pixels, Means.encode(self, pixels, needs))

    return encode


def scoring(change):
    """A ``score_new`` whose result is changed."""
    def score_new(self, encoded):
        return change(self, Distance.score_new(self, encoded))

    return score_new


def written(self, given):
    array = given if isinstance(given, np.ndarray) else given.embedding
    array[0] = 0
    return Means.fit(self, given) if isinstance(given, np.ndarray) else Distance.fit(self, given)


def unlike(self, encoded):
    Distance.fit(self, encoded)
    self.own_ = self.own_ + next(COUNT)
    return self


def unlike_means(self, pixels, encoded):
    number = vars(self).setdefault("number", next(COUNT))
    return Encoded(encoded.embedding + np.float32(number) if encoded.embedding is not None else None, encoded.residual,
                   encoded.activations)


def whiten(self, pixels, encoded):
    if encoded.embedding is None:
        return encoded
    return Encoded(encoded.embedding - encoded.embedding.mean(0), encoded.residual, encoded.activations)


def init_checks(self, scale=1.0):
    if not isinstance(scale, int | float):
        raise ValueError("scale")
    self.scale = scale


def init_changes(self, scale=1.0):
    self.scale = str(scale)


def init_needs(self, scale):
    self.scale = scale


def raw(**values):
    def encode(self, pixels, encoded):
        return Encoded(**{key: value(encoded) for key, value in values.items()})

    return encoding(encode)


BROKEN_ENCODERS = [
    ("has_the_methods", {"get_state": None}, "get_state: .* this method; got none"),
    ("has_the_methods", {"gives": ["embedding"]}, "gives: .* a frozenset"),
    ("has_the_methods", {"gives": frozenset({"embeddings"})}, "gives: .* names among activations, embedding"),
    ("has_the_methods", {"looks_at": "The rows."}, "looks_at: .* without a full stop"),
    ("keeps_its_options", {"__init__": init_needs}, "__init__: .* a default of the option scale"),
    ("keeps_its_options", {"__init__": init_checks}, "__init__: .* only stores its options.*ValueError: scale"),
    ("keeps_its_options", {"__init__": init_changes}, "__init__: .* the option scale as it was given"),
    ("keeps_its_options", {"set_params": lambda self, **values: self},
     "set_params: .* the same as from the constructor"),
    ("keeps_its_options", {"get_params": lambda self, deep=True: {"scale": self.scale, "more": 1}},
     r"get_params: .* the constructor's options, \['scale'\]"),
    ("keeps_its_options", {"fit": setting(scale=7)}, "fit: .* the option scale as it was, 1.0; got 7"),
    ("keeps_its_options", {"fit": lambda self, pixels: self}, "fit: .* names the option scale .* got none"),
    ("keeps_its_options", {"fit": lambda self, pixels: (self.scale + 1, self)[1]},
     "names the option scale .*TypeError"),
    ("says_that_it_is_not_fitted", {"encode": lambda self, pixels, needs: Encoded()}, "encode: .* NotFittedError"),
    ("says_that_it_is_not_fitted", {"get_state": lambda self: {"shape": self.shape_}},
     "get_state: .* NotFittedError before fit; got AttributeError"),
    ("leaves_the_images_alone", {"fit": written}, "left as it is; got an attempt to write"),
    ("leaves_the_images_alone", {"fit": lambda self, pixels: Means().fit(pixels)}, "fit: .* the fitted object itself"),
    ("gives_what_it_says", {"encode": encoding(lambda self, pixels, encoded: vars(encoded))}, "encode: .* an Encoded"),
    ("gives_what_it_says", {"gives": frozenset({"surprise"})}, "encode: .* to fill surprise"),
    ("gives_what_it_says", {"gives": frozenset({"embedding"}),
                            "encode": raw(embedding=lambda e: e.embedding.astype(np.float64))},
     r"embedding,: .* float32 \(n, d\) of 60 images; got float64"),
    ("gives_what_it_says", {"gives": frozenset({"embedding"}), "encode": raw(embedding=lambda e: e.embedding[:-1])},
     r"float32 \(n, d\) of 60 images; got float32 \(59, 16\)"),
    ("gives_what_it_says", {"gives": frozenset({"residual"}), "encode": raw(residual=lambda e: e.residual * np.nan)},
     "residual,: .* finite numbers"),
    ("gives_what_it_says", {"gives": frozenset({"activations"}),
                            "encode": raw(activations=lambda e: e.activations, node_types=lambda e: {"rows": "tanh"})},
     "node types among sigmoid, relu, linear; got 'tanh'"),
    ("is_the_same_again", {"encode": encoding(unlike_means)}, "fit: .* the same result from the same options"),
    ("takes_images_one_by_one", {"encode": encoding(whiten)}, "encode: .* its own image alone; got another embedding"),
    ("comes_back_from_its_state", {"get_state": lambda self: {"shape": [1, 2]}}, "get_state: .* arrays of numbers"),
    ("comes_back_from_its_state", {"set_state": lambda self, state: None}, "set_state: .* the object itself"),
    ("comes_back_from_its_state", {"set_state": lambda self, state: self.fit(np.zeros((1, *state["shape"])))},
     "set_state: .* SavedModelError for a state without"),
    ("comes_back_from_its_state", {"encode": encoding(
        lambda self, pixels, encoded: encoded if "fitted" in vars(self) else Encoded(encoded.embedding)),
        "fit": setting(fitted=True)}, "set_state: .* gives the same as the one that was saved; got another residual"),
    ("refuses_images_of_another_size", {"encode": lambda self, pixels, needs: Encoded(pixels.mean((2, 3)))},
     "encode: .* ValueError for images of another size"),
]
BROKEN_DETECTORS = [
    ("has_the_methods", {"score_new": None}, "score_new: .* this method"),
    ("has_the_methods", {"needs": frozenset()}, "needs: .* one field of Encoded or more"),
    ("has_the_methods", {"needs": frozenset({"pixels"})}, "needs: .* names among"),
    ("has_the_methods", {"seeks": ""}, "seeks: .* words; got ''"),
    ("keeps_its_options", {"__init__": init_checks}, "__init__: .* only stores its options"),
    ("keeps_its_options", {"__init__": init_changes}, "__init__: .* the option scale as it was given"),
    ("keeps_its_options", {"fit": setting(scale=7)}, "fit: .* the option scale as it was"),
    ("keeps_its_options", {"fit": lambda self, encoded: self}, "fit: .* names the option scale"),
    ("says_that_it_is_not_fitted", {"score_own": lambda self: np.zeros(60)}, "score_own: .* NotFittedError.*no error"),
    ("says_that_it_is_not_fitted", {"score_new": lambda self, encoded: self._distance(encoded)},
     "score_new: .* NotFittedError before fit; got AttributeError"),
    ("says_that_it_is_not_fitted", {"get_state": lambda self: {}}, "get_state: .* NotFittedError"),
    ("leaves_what_was_encoded_alone", {"fit": written}, "left as it is; got an attempt to write"),
    ("leaves_what_was_encoded_alone", {"fit": lambda self, encoded: Distance().fit(encoded)},
     "the fitted object itself"),
    ("gives_a_number_an_image", {"score_own": lambda self: self.own_.tolist()},
     r"score_own: .* float64 \(n,\).* got list"),
    ("gives_a_number_an_image", {"score_own": lambda self: self.own_.astype(np.float32)}, "got float32"),
    ("gives_a_number_an_image", {"score_own": lambda self: self.own_[:, None]}, r"got float64 \(60, 1\)"),
    ("gives_a_number_an_image", {"score_new": scoring(lambda self, scores: scores.squeeze())}, r"of 1 images; got"),
    ("gives_a_number_an_image", {"score_new": scoring(lambda self, scores: scores / 0.0)}, "finite numbers"),
    ("scores_the_strange_higher", {"score_own": lambda self: -self.own_}, "score_own: .* larger scores for stranger"),
    ("scores_the_strange_higher", {"score_new": scoring(lambda self, scores: -scores)}, "score_new: .* larger scores"),
    ("is_the_same_again", {"fit": unlike}, "fit: .* the same scores .*random_state"),
    ("takes_images_one_by_one", {"score_new": scoring(lambda self, scores: scores - scores.mean())},
     "score_new: .* its own image alone"),
    ("comes_back_from_its_state", {"get_state": lambda self: {"mean": self.mean_}},
     "set_state: .* get_state gave to be taken back; got SavedModelError"),
    ("comes_back_from_its_state", {"get_state": lambda self: {"mean": self.mean_, "own": np.array([None])}},
     "get_state: .* arrays of numbers; got 'own': object"),
    ("comes_back_from_its_state", {"get_state": lambda self: {"mean": self.mean_, "own": self.own_ + 1}},
     "set_state: .* the same score_own"),
    ("comes_back_from_its_state", {"get_state": lambda self: {"mean": self.mean_ + 1, "own": self.own_}},
     "set_state: .* the same score_new"),
    ("gives_reasons", {"explain_own": lambda self, index: "far"}, "explain_own: .* a list of Reason"),
    ("gives_reasons", {"explain_own": lambda self, index: [Reason(" ")]}, "explain_own: .* a reason in words"),
    ("gives_reasons", {"explain_own": lambda self, index: [Reason("far", (60,))]}, "rows of the 60 fitted images"),
]


def shut(self, index):
    """Another image while a thread is reading; which in other threads than the first waits until one came by."""
    new = {"home": threading.get_ident(), "lock": threading.Lock(), "met": threading.Event()}
    home, lock, met = (vars(self).setdefault(*each) for each in new.items())
    if not lock.acquire(blocking=False):
        met.set()
        return np.zeros((9, 12, 3), np.uint8)
    try:
        if threading.get_ident() != home:
            met.wait()
        return Slides.read(self, index)
    finally:
        lock.release()


BROKEN_SOURCES = [
    ("has_the_methods", {"name": None}, "name: .* this method"),
    ("has_the_methods", {"__len__": lambda self: 0}, "__len__: .* one image or more"),
    ("names_are_keys", {"name": lambda self, index: index}, "name: .* a text; got 0"),
    ("names_are_keys", {"name": lambda self, index: f"\udc80 {index}"}, "name: .* UTF-8 can write"),
    ("names_are_keys", {"name": lambda self, index: "slide"}, "name: .* another name for each image"),
    ("names_are_keys", {"name": lambda self, index: f"{next(COUNT)}"}, "name: .* the same names each time"),
    ("gives_pixels", {"read": lambda self, index: self.images[index] / 255}, "read: .* uint8 .* got float64"),
    ("gives_pixels", {"read": lambda self, index: self.images[index, ..., 0]}, r"got uint8 \(9, 12\)"),
    ("gives_pixels", {"read": lambda self, index: 1 / 0}, "read: .* UnreadableImage; got ZeroDivisionError"),
    ("reads_the_same_again", {"read": lambda self, index: self.images[index] + np.uint8(next(COUNT))},
     "read: .* the same image for the same number"),
    ("reads_the_same_again", {"read": shut}, "from four threads at once"),
    ("reads_near", {"read_near": lambda self, index, side: (self.read(index)[::3, ::3], (9, 12))},
     "8 pixels or more left"),
    ("reads_near", {"read_near": lambda self, index, side: (self.read(index), (12, 9))},
     r"size of the whole, \(9, 12\)"),
    ("reads_near", {"read_near": lambda self, index, side: (None, (9, 12))}, "read_near: .* uint8 .* got NoneType"),
    ("tells_the_rest", {"root": "photos"}, "root: .* the Path of a folder"),
    ("tells_the_rest", {"skipped": -1}, "skipped: .* 0 or more"),
]


def run(checks, prefix, name, thing, *data):
    """The one check of that name."""
    check, = (check for check in checks if check.__name__ == f"{prefix}_{name}")
    check(thing, *data)


def ids(cases):
    return [f"{name}-{number}" for number, (name, *_) in enumerate(cases)]


@pytest.mark.parametrize(("name", "methods", "message"), BROKEN_ENCODERS, ids=ids(BROKEN_ENCODERS))
def test_a_broken_encoder_is_found(name, methods, message):
    thing = broken(Means, **methods)(1.0)
    with pytest.raises(ContractError, match=f"(?s){message}"):
        run(ENCODER_CHECKS, "encoder", name, thing, sample_images())
    with pytest.raises(ContractError):
        check_encoder(thing)


@pytest.mark.parametrize(("name", "methods", "message"), BROKEN_DETECTORS, ids=ids(BROKEN_DETECTORS))
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_a_broken_detector_is_found(name, methods, message):
    thing = broken(Distance, **methods)()
    with pytest.raises(ContractError, match=f"(?s){message}"):
        run(DETECTOR_CHECKS, "detector", name, thing, sample_encoded())
    with pytest.raises(ContractError):
        check_detector(thing)


@pytest.mark.parametrize(("name", "methods", "message"), BROKEN_SOURCES, ids=ids(BROKEN_SOURCES))
def test_a_broken_source_is_found(name, methods, message):
    with pytest.raises(ContractError, match=f"(?s){message}"):
        run(SOURCE_CHECKS, "source", name, broken(Slides, **methods)())


def test_every_check_is_broken_once():
    for checks, prefix, cases in ((ENCODER_CHECKS, "encoder", BROKEN_ENCODERS),
                                  (DETECTOR_CHECKS, "detector", BROKEN_DETECTORS),
                                  (SOURCE_CHECKS, "source", BROKEN_SOURCES)):
        assert {check.__name__ for check in checks} == {f"{prefix}_{name}" for name, *_ in cases}


def test_pixels_that_are_not_what_is_read_are_found():
    source = ArraySource(np.random.default_rng(0).integers(0, 256, (4, 5, 5), dtype=np.uint8))
    check_source(source)
    source.read = lambda index: source.array[index][::-1, :, None]
    with pytest.raises(ContractError, match=r"pixels: .* all images as read gives them"):
        check_source(source)


def test_a_class_in_place_of_an_object_is_said():
    with pytest.raises(ContractError, match=r"an object, Means\(\), not the class"):
        check_encoder(Means)
