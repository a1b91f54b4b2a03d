"""The tree of errors, and that each says what to do."""

import pickle

import pytest

from oddlens.errors import (
    MissingExtra,
    OddlensError,
    OptionError,
    OutputError,
    SavedModelError,
    SourceError,
    TooFewImages,
    UnreadableImage,
)


@pytest.mark.parametrize(("error", "parents"), [
    (OptionError, (OddlensError, ValueError)), (SourceError, (OddlensError,)), (TooFewImages, (SourceError,)),
    (UnreadableImage, (OddlensError,)), (SavedModelError, (OddlensError,)), (OutputError, (OddlensError,)),
    (MissingExtra, (OddlensError, ImportError))])
def test_each_can_be_caught_as_what_it_is(error, parents):
    assert issubclass(error, parents)
    assert all(issubclass(error, parent) for parent in parents)


def test_an_unknown_name_has_the_list_and_the_nearest():
    error = OptionError.unknown("detector", "neighbours", ["forest", "neighbors"])
    assert str(error) == ("There is no detector named 'neighbours'. Did you mean 'neighbors'? "
                          "Known: forest, neighbors.")
    assert str(OptionError.unknown("detector", "xyz", [])) == "There is no detector named 'xyz'. Known: none."
    assert "Did you mean" not in str(OptionError.unknown("detector", 7, ["forest"]))


def test_an_unreadable_image_keeps_name_and_reason_also_from_another_process():
    error = pickle.loads(pickle.dumps(UnreadableImage("a.png", "the file is empty")))
    assert (error.name, error.reason) == ("a.png", "the file is empty")
    assert "a.png" in str(error)
    assert "the file is empty" in str(error)


def test_a_missing_extra_has_the_line_that_installs_it():
    assert str(MissingExtra.named("pandas", "pandas", "Ranking.to_pandas")) == (
        "Ranking.to_pandas needs pandas, which is not installed: pip install 'oddlens[pandas]'")
