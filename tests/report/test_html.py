"""Names are hostile text: what a page shows of them, and that scripts run by their digest alone."""

import base64
import hashlib

import pytest
from jinja2 import UndefinedError

from oddlens.report.html import called, digest, fill, number, script, short, visible


@pytest.mark.parametrize(("name", "shown"), [
    ("plain é 猫.png", "plain é 猫.png"), ("two\nlines", "two\\nlines"), ("\u202egnp.exe", "\\u202egnp.exe"),
    ("\ud800", "\\ud800"), ("a\x00b", "a\\x00b"), (7, "7")])
def test_what_cannot_be_seen_is_shown_as_an_escape(name, shown):
    assert visible(name) == shown


def test_a_long_name_keeps_both_its_ends():
    name = "a" * 200 + "z" * 200
    assert short(name) == "a" * 60 + " … " + "z" * 60
    assert short("a" * 120) == "a" * 120


@pytest.mark.parametrize("name", ["", " ", "\n"])
def test_a_name_of_nothing_can_be_read(name):
    assert called(name) == "(no name)"
    assert called("x") == "x"


@pytest.mark.parametrize(("value", "shown"), [
    (0.123456, "0.1235"), (1234.5, "1234"), (2.0, "2.000"), (1e9, "1.000e+09")])
def test_scores_have_four_digits(value, shown):
    assert number(value) == shown


def test_a_digest_is_that_of_the_script_as_the_page_has_it():
    text = script("map.js")
    assert text == text.strip()
    assert digest(text) == f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
    assert digest(text) != digest(text + " ")


def test_a_value_that_is_missing_is_an_error():
    with pytest.raises(UndefinedError):
        fill("listing.html")
