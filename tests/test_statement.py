"""Every sentence that a run may say of what it found."""

from dataclasses import replace

import numpy as np
import pytest

from oddlens.decisions import decide
from oddlens.statement import HIDDEN_WARNING, Finding, Reviewed, percent

FLAGGED = Finding(1050, 40, 0.05, 0.03, 0.1, expected_false=3.2)
SOME = Finding(2624, 0, 0.042, 0.021, 0.111)
NOTHING = Finding(525, 0, 0.02, 0.0, 0.08)
UNKNOWN = Finding(7, 0, 0.0, 0.0, 1.0, known=False)


@pytest.mark.parametrize(("finding", "verdict", "worth", "headline", "rest"), [
    (FLAGGED, "flagged", 52, "40 of 1,050 images stand out; expect about 3 of them to be false alarms.",
     "The share of odd images, flagged or not, is about 5 % (somewhere from 3 % to 10 %): 32 to 105 images. "
     "The first 52 are worth a look."),
    (replace(FLAGGED, expected_false=1.2), "flagged", 52,
     "40 of 1,050 images stand out; expect about 1 of them to be a false alarm.", "worth a look."),
    (replace(FLAGGED, expected_false=0.2, flagged=80), "flagged", 80,
     "80 of 1,050 images stand out; expect none of them to be a false alarm.", "The first 80 are worth a look."),
    (replace(FLAGGED, expected_false=9), "flagged", 52,  # more than the rate allows, by the null
     "40 of 1,050 images stand out; expect about 4 of them to be false alarms.", "worth a look."),
    (Finding(400, 50, 0.1, 0.05, 0.2), "flagged", 50,  # nothing is said of false alarms: there are none
     "50 of 400 images stand out; expect none of them to be a false alarm.", "The first 50 are worth a look."),
    (Finding(400, 1, 0.0025, 0.0025, 0.0025), "flagged", 1,
     "1 of 400 images stands out; expect it to be no false alarm.", ": 1 image. The first is worth a look."),
    (Finding(400, 1, 0.06, 0.04, 0.12), "flagged", 24,
     "1 of 400 images stands out, of about 24 that look odd; expect it to be no false alarm.",
     "16 to 48 images. The first 24 are worth a look."),
    (SOME, "some_odd", 110, "About 110 of 2,624 images look odd, but no single one is beyond doubt.",
     "The share of odd images, flagged or not, is about 4.2 % (somewhere from 2.1 % to 11 %): 55 to 291 images. "
     f"The first 110 are worth a look. {HIDDEN_WARNING}"),
    (replace(SOME, count=12), "some_odd", 1, "About 1 of 12 images looks odd, but no single one is beyond doubt.",
     f"0 to 1 images. The first is worth a look. {HIDDEN_WARNING}"),
    (NOTHING, "nothing", 0, "Nothing stands out: none of 525 images is odd beyond doubt.",
     "The share of odd images is about 2 % (somewhere from 0 % to 8 %): there may be none. "
     f"If there are any, look for them among the first 42. {HIDDEN_WARNING}"),
    (replace(NOTHING, high=2 / 525), "nothing", 0, "Nothing stands out",
     f": there may be none. If there are any, look for them among the first 2. {HIDDEN_WARNING}"),
    (replace(NOTHING, high=1 / 525), "nothing", 0, "Nothing stands out", f": there may be none. {HIDDEN_WARNING}"),
    (replace(NOTHING, share=0.0, high=0.0), "nothing", 0, "Nothing stands out",
     "The share of odd images is about 0 % (somewhere from 0 % to 0 %): there may be none. " + HIDDEN_WARNING),
    (UNKNOWN, "unknown", 0, "No image is flagged: 7 images are too few to say what is ordinary.",
     "The share of odd images cannot be told: somewhere from 0 % to 100 %."),
    (replace(UNKNOWN, count=1), "unknown", 0, "No image is flagged: 1 image is too few to say what is ordinary.", ""),
    (replace(UNKNOWN, count=50), "unknown", 0,
     "No image is flagged: too many images have the same score to say what is ordinary.", ""),
    (replace(UNKNOWN, count=0), "unknown", 0, "No image is flagged: 0 images are too few to say what is ordinary.", ""),
])
def test_each_case_of_fitted_images_has_its_words(finding, verdict, worth, headline, rest):
    assert (finding.verdict, finding.worth_looking) == (verdict, worth)
    assert finding.headline.startswith(headline)
    assert finding.rest.endswith(rest)
    assert finding.statement.splitlines() == [finding.headline, finding.rest]


@pytest.mark.parametrize(("flagged", "said"), [
    (40, "40 of 400 images are flagged: the share that was asked for, 0.1."),
    (1, "1 of 400 images is flagged: the share that was asked for, 0.1."),
])
def test_a_share_that_was_asked_for_is_not_called_a_finding(flagged, said):
    finding = Finding(400, flagged, 0.056, 0.035, 0.12, asked=0.1)
    assert finding.headline == said
    assert finding.rest == ("How many of them are really odd was not asked. By the scores alone it is about 5.6 % "
                            "(somewhere from 3.5 % to 12 %) of all images.")
    assert finding.worth_looking == flagged


@pytest.mark.parametrize(("count", "flagged", "said"), [
    (20, 3, "3 of 20 new images look odd beside the fitted ones."),
    (20, 1, "1 of 20 new images looks odd beside the fitted ones."),
    (1, 1, "1 of 1 new image looks odd beside the fitted ones."),
    (20, 0, "None of 20 new images looks odd beside the fitted ones."),
    (1, 0, "The new image does not look odd beside the fitted ones."),
])
def test_new_images_are_judged_alone_and_the_share_is_that_of_the_fitted_ones(count, flagged, said):
    finding = Finding(count, flagged, 0.056, 0.035, 0.12, rate=0.05, new=True)
    assert finding.headline == said
    assert finding.rest == ("Each is judged alone, by what flags a fitted image at a false-discovery rate of 0.05. "
                            "Of the fitted images about 5.6 % (somewhere from 3.5 % to 12 %) are odd.")
    assert "a false-discovery rate of 0.1. " in Finding(count, flagged, 0.056, 0.035, 0.12, new=True).rest
    assert finding.verdict == ("flagged" if flagged else "nothing")  # of these images the share says nothing
    assert finding.worth_looking == flagged


@pytest.mark.parametrize(("count", "flagged", "beyond", "said"), [
    (20, 0, 2, "None of 20 new images is flagged, but 2 are stranger than every fitted one: look there."),
    (20, 0, 1, "None of 20 new images is flagged, but 1 is stranger than every fitted one: look there."),
    (1, 0, 1, "The new image is not flagged, but it is stranger than every fitted one: look at it."),
    (20, 3, 2, "3 of 20 new images look odd beside the fitted ones."),
])
def test_new_images_stranger_than_every_fitted_one_are_named_though_none_is_flagged(count, flagged, beyond, said):
    finding = Finding(count, flagged, 0.0, 0.0, 0.12, new=True, beyond=beyond)
    assert finding.headline == said
    assert finding.worth_looking == max(flagged, beyond)


def test_new_images_of_an_asked_share_and_of_a_model_that_knows_nothing():
    asked = Finding(20, 3, 0.056, 0.035, 0.12, asked=0.1, new=True)
    assert asked.headline == "3 of 20 new images are flagged: as strange as the strangest 0.1 of the fitted ones."
    assert "false-discovery" not in asked.rest
    unknown = Finding(20, 0, 0.0, 0.0, 1.0, known=False, new=True)
    assert unknown.headline == "No new image is flagged: the fitted images do not say what is ordinary."
    assert unknown.verdict == "unknown"
    assert replace(asked, count=0, flagged=0).headline == "There is no image to judge."


@pytest.mark.parametrize("finding", [FLAGGED, SOME, NOTHING, replace(SOME, asked=0.1, flagged=262),
                                     replace(SOME, new=True), replace(FLAGGED, new=True)])
def test_the_share_is_always_said_with_its_bounds(finding):
    share, low, high = percent(finding.share), percent(finding.low), percent(finding.high)
    assert f"{share} (somewhere from {low} to {high})" in finding.rest


@pytest.mark.parametrize("finding", [FLAGGED, SOME, UNKNOWN])
def test_nothing_stands_out_is_said_of_nothing_else(finding):
    assert "Nothing stands out" not in finding.statement


def test_a_decision_says_the_same():
    decision = decide(np.r_[np.random.default_rng(0).lognormal(0, 0.2, 500), [4.0, 5.0, 6.0]])
    assert decision.statement.startswith("3 of 503 images stand out; expect none of them to be a false alarm.\n")


def test_percentages_are_short():
    shares = (0.003, 0.0333, 0.456, 0.996, 1.0)
    assert [percent(share) for share in shares] == ["0.3 %", "3.3 %", "46 %", "100 %", "100 %"]


@pytest.mark.parametrize(("reviewed", "sentence"), [
    (Reviewed(1, 1, 100, 6.2, 2, 14, 300), "You found 1 odd image in 1 look; about 6 (2 to 14) are left among the next "
     "100; the next 300 are worth a look."),
    (Reviewed(140, 31, 100, 0.2, 0, 2, 0, 0.9), "You found 31 odd images in 140 looks; about 0 (0 to 2) are left among "
     "the next 100; it is no longer worth looking. At least 90 % of all odd images are found, as far as can be told."),
    (Reviewed(40, 0, 0, 0.0, 0, 0, 0, 0.0), "You found 0 odd images in 40 looks; every image has a label."),
])
def test_what_was_found_by_looking_stands_first(reviewed, sentence):
    finding = Finding(500, 40, 0.08, 0.07, 0.09, reviewed=reviewed)
    assert finding.headline == sentence
    assert finding.worth_looking == reviewed.worth
    unseen = 40 - reviewed.found
    assert finding.rest.startswith(f"{unseen} of those that you have not looked at are flagged")
    assert finding.rest.endswith("By the labels 8 % of all images are odd (somewhere from 7 % to 9 %).")


def test_new_images_are_spoken_of_as_ever_though_labels_were_given():
    finding = Finding(5, 2, 0.08, 0.07, 0.09, new=True, reviewed=Reviewed(9, 3, 100, 6.2, 2, 14, 300))
    assert finding.headline == "2 of 5 new images look odd beside the fitted ones."
    assert finding.worth_looking == 2
