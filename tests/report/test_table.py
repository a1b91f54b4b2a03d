import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from oddlens.errors import OptionError
from oddlens.ranking import Ranking
from oddlens.report.html import digest, number, visible
from oddlens.report.table import MOST_COPIES, MOST_NAMED, MOST_ROWS, SCRIPT, choose, listing_fragment
from pages import HOSTILE, Page, ranked

PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACw="
TAGS = {"section", "style", "h2", "p", "div", "label", "input", "table", "caption", "thead", "tbody", "tr", "th", "td",
        "svg", "path", "image", "bdi", "span", "wbr", "script", "select", "option"}


class Listing(Page):
    def handle_starttag(self, tag, attributes):
        super().handle_starttag(tag, attributes)
        if tag == "wbr":
            self.open.pop()


def listed(ranking, rows=None, thumbnails=lambda row: PIXEL, **options):
    rows = range(len(ranking)) if rows is None else rows
    return Listing(listing_fragment(ranking, rows, thumbnails, **options))


def names(page):
    return re.findall(r"<bdi>(.*?)</bdi>", page.source)


def two_detectors():
    first, second = np.array([3.0, 1.0, 2.0]), np.array([0.25, 0.5, np.nan])
    return Ranking(("a.png", "b.png", "c.png"), first, {"one": first, "two": second},
                   p_values=np.array([0.001, 0.9, 0.04]), flagged=np.array([True, False, False]))


def test_all_columns_of_an_image_stand_in_its_row():
    page = listed(two_detectors(), causes=lambda row: ["Blurred.", "Rotated."] if row == 0 else [], groups={0: 0, 2: 0})
    assert ("Rank Name Score p-value Flagged Causes Group one two "
            "1 a.png 3.000 0.001000 flagged Blurred. Rotated. 1 (2 alike) 3.000 0.2500 "
            "The cut: flagged above, not flagged below "
            "2 c.png 2.000 0.04000 no 1 (2 alike) 2.000 nan "
            "3 b.png 1.000 0.9000 no 1.000 0.5000") in page.words


def test_columns_that_say_nothing_are_left_out():
    ranking = Ranking(("a.png", "b.png"), np.array([1.0, 2.0]), {})
    page = listed(ranking, groups={0: 0, 1: 1})
    assert "Rank Name Score 1 b.png 2.000 2 a.png 1.000" in page.words
    assert not page.all("input", type="checkbox")


def test_the_strangest_come_first_whatever_the_order_of_the_rows():
    ranking = ranked(40)
    expected = [image.name for image in ranking.top(40)]
    assert names(listed(ranking)) == names(listed(ranking, rows=np.random.default_rng(0).permutation(40))) == expected


def test_no_more_than_500_of_a_hundred_thousand_and_it_says_so():
    asked = Counter()

    def thumbnail(row):
        asked[row] += 1
        return PIXEL

    ranking = ranked(100_000, flagged=700)
    page = listed(ranking, thumbnails=thumbnail)
    assert names(page) == [image.name for image in ranking.top(MOST_ROWS)]
    assert set(asked) == set(ranking.order()[:MOST_ROWS].tolist())
    assert set(asked.values()) == {1}
    assert "The 500 strangest in a table" in page.words
    assert "99,500 more ordinary of 100,000 images are not shown" in page.words
    assert len(page.source) < 1_000_000


def test_some_rows_of_many_are_not_called_the_strangest():
    words = listed(ranked(100), rows=[5, 9, 50]).words
    assert "3 images in a table" in words
    assert "97 others of 100 images are not shown" in words


def test_a_table_of_all_says_nothing_of_others():
    words = listed(ranked(20)).words
    assert "All images in a table" in words
    assert "not shown" not in words


def test_numbers_are_kept_to_their_last_digit_for_sorting():
    ranking = two_detectors()
    cells = [float(a["data-v"]) for a in listed(ranking).all("td")
             if a.get("class") in {"figure", "figure member"} and "data-v" in a]
    assert cells == [3.0, 0.001, 3.0, 0.25, 2.0, 0.04, 2.0, 1.0, 0.9, 1.0, 0.5]  # nan has no value and sorts last


def test_infinite_scores_are_shown():
    ranking = Ranking(("a.png", "b.png"), np.array([np.inf, -np.inf]), {})
    assert [a["data-v"] for a in listed(ranking).all("td") if a.get("class") == "figure"] == ["inf", "-inf"]


def test_without_its_script_it_is_a_plain_table_with_no_dead_controls():
    page = listed(ranked(20, flagged=3))
    assert not page.all("button"), "the script makes the buttons that only it can answer"
    assert "hidden" in page.all("div")[0]
    assert page.all("div")[0]["class"] == "tools"
    assert page.all("th", scope="col")[0]["aria-sort"] == "ascending"
    assert all(a["scope"] in {"row", "col"} for a in page.all("th"))
    assert page.all("div", role="region")[0]["tabindex"] == "0"


def test_long_names_are_short_to_see_and_whole_to_search():
    name = "a" * 300 + "needle" + "b" * 300
    page = listed(ranked(2, names=[name, "b.png"]))
    assert page.all("th", scope="row", **{"data-full": name})
    assert "needle" not in "".join(names(page))


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_hostile_names_stay_names(name):
    scores = np.arange(12.0)[::-1]
    ranking = Ranking((name, *(f"{i}.png" for i in range(11))), scores, {name: scores, "+": scores},
                      flagged=scores > 5)
    page = listed(ranking, causes=lambda row: [name])
    assert {tag for tag, _ in page.tags} <= TAGS
    assert len(page.all("script")) == 1
    assert not [a for _, a in page.tags if any(key.startswith("on") for key in a)]
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069]", page.source)
    assert visible(name) in " ".join(page.said)


@pytest.mark.parametrize("uri", ["javascript:alert(1)", "https://example.org/a.png", "data:text/html,<b>", "a.png"])
def test_a_thumbnail_that_leads_elsewhere_is_an_error(uri):
    with pytest.raises(OptionError, match="data URI"):
        listed(ranked(3), thumbnails=lambda row: uri)


def test_an_image_without_a_picture_says_so():
    page = listed(ranked(5), thumbnails=lambda row: "" if row % 2 else PIXEL)
    assert page.words.count("no picture") == 2
    assert len(page.all("image")) == 3


def test_nothing_leads_outside_and_the_script_is_the_one_whose_digest_a_page_allows():
    page = listed(ranked(50, flagged=3))
    for _, attributes in page.tags:
        assert "src" not in attributes
        assert attributes.get("href", PIXEL) == PIXEL
    assert not re.search(r"@import|url\(|https?:", page.source)
    inside = re.search("<script>(.*?)</script>", page.source, re.S)[1]
    assert digest(inside) == digest(SCRIPT)
    assert not re.search(r"eval|Function\(|innerHTML|outerHTML|insertAdjacent|document\.write|</", SCRIPT)


@pytest.mark.parametrize("rows", [[0, 0], [-1], [5]])
def test_rows_that_are_not_there_or_given_twice_are_an_error(rows):
    with pytest.raises(OptionError, match="listing_fragment"):
        listed(ranked(5), rows=rows)


@pytest.mark.parametrize("most", [0, 3])
def test_as_many_rows_as_asked_for(most):
    assert len(names(listed(ranked(5), most=most))) == most


def test_no_image_makes_no_table():
    page = listed(ranked(0))
    assert "There is no image to show." in page.words
    assert not page.all("table")


def test_scores_have_four_digits():
    ranking = ranked(5)
    words = listed(ranking).words
    assert all(number(score) in words for score in ranking.scores)


@pytest.mark.parametrize(("flagged", "cuts"), [(0, 0), (1, 1), (3, 1), (20, 0)])
def test_the_cut_is_drawn_between_the_last_flagged_and_the_first_that_is_not(flagged, cuts):
    page = listed(ranked(20, flagged=flagged))
    assert len(page.all("tr", **{"class": "cut"})) == cuts
    if cuts:
        before, after = page.source.split('<tr class="cut">')
        assert before.count("<tr data-flagged") == flagged
        assert "<tr data-flagged" not in after
    words = {0: "None of these is flagged", 1: "1 of these is flagged"}.get(flagged, f"{flagged} of these are flagged")
    assert f"{words} as odd." in page.words


def test_an_order_in_which_the_flagged_are_not_the_first_has_no_cut():
    page = listed(replace(two_detectors(), flagged=np.array([False, False, True])))
    assert not page.all("tr", **{"class": "cut"})


def test_copies_name_their_partners_and_causes_can_be_chosen():
    ranking = replace(ranked(12), causes=("copy", "blurred, dark", "", "copy", "copy", "copy", "copy", *[""] * 5))
    page = listed(ranking, duplicates=[[0, 3, 4, 5, 6]])
    assert "like 3.png , 4.png , 5.png and 1 more" in page.words
    assert "like 0.png , 3.png , 4.png and 1 more" in page.words
    assert {a["value"] for a in page.all("option")} == {"", "copy", "blurred", "dark", "duplicates"}
    assert "Exact copy (5)" in page.words
    assert "Copies and near duplicates (5)" in page.words
    assert page.all("tr", **{"data-c": "blurred|dark"})
    assert len(page.all("td", **{"class": "copies", "data-v": "1"})) == 5


def test_without_causes_and_copies_there_is_nothing_to_choose():
    page = listed(ranked(12))
    assert not page.all("select")
    assert "Copies" not in page.words.split("(() =>")[0]


def test_images_with_causes_and_copies_are_in_the_table_however_ordinary_they_are():
    scores = np.arange(1000.0)[::-1]
    causes = ["dark" if row % 2 else "" for row in range(1000)]
    ranking = Ranking(tuple(map(str, range(1000))), scores, {}, causes=tuple(causes))
    rows = choose(ranking, [[3, 998], [996, 994]], most=100)
    assert rows[:100].tolist() == list(range(100))
    assert rows[100:].tolist() == [*range(101, 101 + 2 * MOST_NAMED, 2), 998, 996, 994]
    page = listed(ranking, rows, most=len(rows), duplicates=[[3, 998], [996, 994]])
    assert f"The 100 strangest, and {MOST_NAMED + 3} others for their causes" in page.words
    assert f"{900 - MOST_NAMED - 3} others of 1,000 images are not shown" in page.words
    groups = [[row, row + 1] for row in range(200, 800, 2)]
    assert len(choose(replace(ranking, causes=None), groups, most=100)) == 100 + MOST_COPIES
