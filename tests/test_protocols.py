"""The core types: what counts as one, and what Encoded knows of itself."""

import numpy as np
import pytest

from instant import InstantEncoder
from oddlens import protocols, registry
from oddlens.protocols import Detector, Encoded, Encoder, HasOptions, ImageSource, InFolder, LooksAt, ReadsNear, Skips
from oddlens.sources import ArraySource, FileSource


@pytest.mark.parametrize(("given", "n"), [
    ({"embedding": np.zeros((4, 2))}, 4), ({"residual": np.zeros(3)}, 3), ({"surprise": np.zeros(5)}, 5),
    ({"activations": {"a": np.zeros((6, 2))}}, 6), ({"pathway": {"a": np.zeros((7, 2))}}, 7)])
def test_any_field_says_how_many_images_there_are(given, n):
    assert len(Encoded(**given)) == n


def test_a_class_with_the_methods_is_one_without_inheriting():
    class Slides:
        """Three images."""

        def __len__(self):
            return 3

        def name(self, index):
            return str(index)

        def read(self, index):
            return np.zeros((2, 2, 1), np.uint8)

    assert isinstance(Slides(), ImageSource)
    assert not isinstance(Slides(), ReadsNear | InFolder | Skips)
    assert not isinstance(object(), ImageSource | Encoder | Detector)
    assert isinstance(InstantEncoder(), Encoder)
    assert not isinstance(InstantEncoder(), LooksAt | Detector)


def test_our_sources_offer_what_the_optional_protocols_ask():
    files = FileSource([], [], root=None, passed_over={"files": 2})
    assert isinstance(files, ReadsNear)
    assert isinstance(files, InFolder)
    assert isinstance(files, Skips)
    assert isinstance(ArraySource(np.zeros((2, 3, 3), np.uint8)), protocols.HoldsPixels)


@pytest.mark.parametrize("role", ["encoder", "detector"])
def test_ours_tell_their_options_and_say_in_words_what_they_do(role):
    for name in registry.names(role):
        made = registry.create(role, name)
        assert isinstance(made, HasOptions), name
        words = (LooksAt,) if role == "encoder" else (protocols.Judges, protocols.Seeks)
        assert all(isinstance(made, protocol) for protocol in words), name
        for word in ("looks_at", "judges", "seeks"):
            assert not getattr(made, word, "").endswith("."), name


def test_the_docstring_lists_every_protocol():
    names = {name for name, value in vars(protocols).items()
             if getattr(value, "_is_protocol", False) and value.__module__ == protocols.__name__}
    assert {"ImageSource", "Encoder", "Detector"} < names
    assert not [name for name in names - {"HeavyTailed"} if name not in protocols.__doc__]
