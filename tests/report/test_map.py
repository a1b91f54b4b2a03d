import base64
import io
import re
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from oddlens.errors import OptionError, UnreadableImage
from oddlens.report import map as map_
from oddlens.report.html import digest, visible
from oddlens.report.map import MARKED_UNFLAGGED, MOST_MARKED, SCRIPT, THUMBNAILS_ACROSS, choose, lay_out, map_fragment
from pages import HOSTILE, Page, ranked

TAGS = {"section", "style", "h2", "p", "ul", "li", "svg", "path", "circle", "defs", "use", "title", "rect", "image",
        "div", "bdi", "button", "script"}


def grey(row=0):
    return np.full((8, 8, 1), row % 256, np.uint8)


def mapped(ranking, read=grey, **options):
    chosen = choose(ranking)
    places = np.random.default_rng(1).random((len(chosen), 2))
    return Page(map_fragment(ranking, chosen, places, read, **options))


def marked(page):
    return [a for _, a in page.tags if "data-m" in a]


def points(page):
    return [a for _, a in page.tags if "data-p" in a]


def sheet_of(page):
    content = base64.b64decode(page.all("svg", id="map-stage")[0]["data-sheet"].removeprefix("data:image/jpeg;base64,"))
    return Image.open(io.BytesIO(content))


def blobs(kinds=4, each=60, d=30):
    rng = np.random.default_rng(0)
    kind = np.repeat(np.arange(kinds), each)
    return kind, (rng.normal(0, 4, (kinds, d))[kind] + rng.normal(size=(kinds * each, d))).astype(np.float32)


def test_all_flagged_are_chosen_strangest_first_and_others_at_random():
    ranking = ranked(5000, flagged=40)
    chosen = choose(ranking, 1000)
    assert chosen[:40].tolist() == ranking.order()[:40].tolist()
    assert len(set(chosen.tolist())) == 1000
    assert not ranking.flagged[chosen[40:]].any()
    assert chosen.tolist() == choose(ranking, 1000).tolist()
    assert chosen.tolist() != choose(ranking, 1000, random_state=1).tolist()
    # Drawn evenly, not from one end of the collection: the mean of 960 of 5,000 places.
    assert abs(chosen[40:].mean() - 2500) < 4 * 5000 / np.sqrt(12 * 960)


def test_of_too_many_flagged_the_strangest_are_chosen_and_the_rest_left_out():
    ranking = ranked(3000, flagged=900)
    chosen = choose(ranking)
    assert ranking.flagged[chosen].sum() == MOST_MARKED
    assert chosen[:MOST_MARKED].tolist() == ranking.order()[:MOST_MARKED].tolist()
    assert "the 300 strangest of 900 flagged ones" in mapped(ranking).words


@pytest.mark.parametrize("flagged", [None, 0])
def test_where_none_is_flagged_the_strangest_are_marked(flagged):
    ranking = ranked(200, flagged=flagged)
    page = mapped(ranking)
    assert sorted(int(a["data-m"]) for a in marked(page)) == [*range(1, MARKED_UNFLAGGED + 1)]
    assert "marked are the 20 strangest, for none is flagged" in page.words


@pytest.mark.parametrize(("count", "most"), [(0, 1000), (1, 1000), (5, 1000), (50, 1), (50, 7)])
def test_few_images_are_chosen_all_or_as_many_as_asked(count, most):
    for flagged in (None, min(3, count)):
        chosen = choose(ranked(count, flagged), most)
        assert len(chosen) == len(set(chosen.tolist())) == min(count, most)


def test_no_image_can_be_asked_for():
    with pytest.raises(OptionError, match="1 or more"):
        choose(ranked(5), 0)


def test_images_that_are_alike_lie_together():
    kind, features = blobs()
    places = lay_out(features, np.arange(len(features)))
    assert places.shape == (240, 2)
    assert places.min() == 0
    assert places.max() == 1
    apart = np.linalg.norm(places[:, None] - places, axis=2)
    np.fill_diagonal(apart, np.inf)
    assert (kind[apart.argmin(1)] == kind).mean() > 0.98


def test_the_same_images_lie_at_the_same_places():
    _, features = blobs(2, 40)
    rows = np.random.default_rng(0).permutation(80)[:60]
    assert np.array_equal(lay_out(features, rows), lay_out(features, rows))
    assert np.array_equal(lay_out(features, rows), lay_out(features[rows] * 1024, np.arange(60)))


def test_what_a_layout_costs_is_bounded_however_wide_the_features(monkeypatch):
    asked = {}

    def counted(rows, start, perplexity, steps):
        asked.update(shape=rows.shape, perplexity=perplexity, steps=steps)
        return start

    monkeypatch.setattr(map_, "embedded", counted)
    lay_out(np.random.default_rng(0).normal(size=(600, 200)), np.arange(500))
    assert asked == {"shape": (500, map_.COMPONENTS), "perplexity": map_.PERPLEXITY, "steps": map_.STEPS}
    assert map_.STEPS <= 500
    assert map_.COMPONENTS <= 50


@pytest.mark.parametrize("shape", [(1, 5), (2, 5), (3, 1), (19, 4), (20, 1), (25, 3)])
def test_tiny_collections_have_places(shape):
    places = lay_out(np.random.default_rng(0).normal(size=shape), np.arange(len(np.empty(shape))))
    assert places.shape == (shape[0], 2)
    assert np.isfinite(places).all()
    assert places.min() >= 0
    assert places.max() <= 1


@pytest.mark.parametrize("features", [np.zeros((30, 4)), np.full((30, 4), 7.0), np.zeros((0, 4)), np.zeros((30, 0)),
                                      np.repeat([[0.0, 1.0], [1.0, 0.0]], 30, 0), np.eye(30) * 1e300])
def test_features_that_hardly_differ_have_places(features):
    places = lay_out(features, np.arange(len(features)))
    assert places.shape == (len(features), 2)
    assert ((places >= 0) & (places <= 1)).all()


def test_rows_that_are_not_there_and_features_that_are_not_finite_are_errors():
    with pytest.raises(OptionError, match="rows from 0 to 9"):
        lay_out(np.zeros((5, 2)), np.array([0, 9]))
    with pytest.raises(OptionError, match="finite"):
        lay_out(np.array([[0, np.nan], [1, 1]]), np.arange(2))


def test_each_image_is_one_point_that_says_what_it_is():
    ranking = ranked(300, flagged=12)
    page = mapped(ranking)
    assert len(points(page)) == 300
    assert len(marked(page)) == 12
    for image in ranking.top(300):
        said = [f"{image.name}", f"rank {image.rank} of 300", f"score {image.score:#.4g}".rstrip(".")]
        assert " ".join(said) in page.words
    assert page.words.count("flagged as odd") == 12 + 3  # the sentence, the legend and the panel say it too
    assert "flagged as odd: 12" in page.words
    assert "not flagged: 288" in page.words


def test_flagged_ones_have_a_shape_of_their_own_and_not_only_a_colour():
    page = mapped(ranked(300, flagged=100))
    # A dot is a circle; every marked one is a diamond, or a picture with one.
    assert not [a for a in marked(page) if a.get("class", "").startswith("dot")]
    assert len([a for a in page.all("use") if "mark" in a["class"]]) == 100


def test_pictures_on_the_map_do_not_cover_each_other():
    page = mapped(ranked(1000, flagged=30))
    places = np.array([[float(v) for v in a["data-p"].split()] for a in points(page) if "shot" in a["class"]])
    apart = np.abs(places[:, None] - places)
    np.fill_diagonal(apart[..., 0], np.inf)
    assert len(places) > 20
    assert ((apart[..., 0] >= 6) | (apart[..., 1] >= 8)).all()


def test_the_sheet_holds_each_picture_at_its_place():
    ranking = ranked(100, flagged=5)
    page = mapped(ranking, read=lambda row: np.full((40, 20, 3), (row * 2, 255 - row * 2, 60), np.uint8))
    sheet = np.asarray(sheet_of(page).convert("RGB"), int)
    side = sheet.shape[1] // THUMBNAILS_ACROSS
    said = [text for text in page.said if text.count("\n") > 3 and "rank" in text][:100]
    for place, text in enumerate(said):
        row = int(text.split(".png")[0])
        y, x = (place // THUMBNAILS_ACROSS + 0.5) * side, (place % THUMBNAILS_ACROSS + 0.5) * side
        assert np.abs(sheet[int(y), int(x)] - (row * 2, 255 - row * 2, 60)).max() < 25


def test_an_image_that_is_gone_is_a_crossed_square():
    def read(row):
        raise UnreadableImage(f"{row}.png", "gone")

    page = mapped(ranked(30, flagged=2), read=read)
    assert len(points(page)) == 30
    assert np.asarray(sheet_of(page))[2, 2] > 200


@pytest.mark.parametrize("shape", [(1, 4000, 3), (4000, 1, 1), (1, 1, 1), (300, 200, 3)])
def test_no_shape_is_too_extreme(shape):
    assert len(points(mapped(ranked(40), read=lambda row: np.zeros(shape, np.uint8)))) == 40


def test_the_hardest_thousand_keep_to_the_budget():
    noise = np.random.default_rng(0).integers(0, 256, (160, 160, 3), dtype=np.uint8)
    page = mapped(ranked(100_000, flagged=300), read=lambda row: np.roll(noise, row, 0))
    uris = [page.all("svg", id="map-stage")[0]["data-sheet"], *(a["href"] for a in page.all("image"))]
    assert sum(map(len, uris)) < 1_500_000
    assert len(page.source) < 2_000_000
    assert "The map shows 1,000 of 100,000 images: every flagged one and others drawn at random" in page.words


def test_each_picture_is_read_once():
    reads = Counter()

    def read(row):
        reads[row] += 1
        return grey(row)

    mapped(ranked(60, flagged=4), read=read)
    assert set(reads.values()) == {1}
    assert len(reads) == 60


def test_groups_are_said_where_they_have_more_than_one():
    ranking = ranked(100, flagged=6)
    order = ranking.order().tolist()
    page = mapped(ranking, groups={order[0]: 0, order[1]: 1, order[2]: 0})
    assert page.words.count("one of 2 alike, group 1") == 2 + 1  # and the panel
    assert "group 2" not in page.words
    assert len([a for a in points(page) if "data-g" in a]) == 2


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_hostile_names_stay_names(name):
    page = mapped(ranked(12, flagged=12, names=[name, *(f"{i}.png" for i in range(11))]), title=name)
    assert {tag for tag, _ in page.tags} <= TAGS
    assert len(page.all("script")) == 1
    assert not [a for _, a in page.tags if any(key.startswith("on") for key in a)]
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069]", page.source)
    assert visible(name)[:60] in " ".join(page.said)
    for text in page.said:  # one line each, so that a name cannot pass for a score
        assert "two\nlines" not in text


def test_nothing_leads_outside_and_the_script_is_the_one_whose_digest_a_page_allows():
    page = mapped(ranked(50, flagged=3))
    for _, attributes in page.tags:
        assert "src" not in attributes
        assert attributes.get("href", "#map-").startswith(("#map-", "data:image/"))
    assert not re.search(r"@import|url\(|https?:", page.source)
    inside = re.search("<script>(.*?)</script>", page.source, re.S)[1]
    assert digest(inside) == digest(SCRIPT)
    assert not re.search(r"eval|Function\(|innerHTML|outerHTML|insertAdjacent|document\.write|</", SCRIPT)


def test_links_and_labels_lead_somewhere():
    page = mapped(ranked(50, flagged=3))
    named = Counter(a["id"] for _, a in page.tags if "id" in a)
    assert set(named.values()) == {1}
    for _, attributes in page.tags:
        for target in (attributes.get("aria-labelledby"), attributes.get("href", "").removeprefix("#")):
            assert not target or target.startswith("data:") or target in named
    assert page.all("svg", role="img")[0]["aria-label"] == "Map of 50 images, 3 of them marked as flagged"


def test_no_image_makes_no_map():
    assert "There is no image to show." in mapped(ranked(0)).words


def test_a_ranking_without_p_values_has_none_on_the_map():
    assert "p-value" not in mapped(ranked(30, p_values=False)).words


def test_the_same_map_gives_the_same_bytes():
    assert mapped(ranked(50, flagged=3)).source == mapped(ranked(50, flagged=3)).source


@pytest.mark.parametrize(("rows", "places"), [([0, 1], [[0, 0]]), ([0, 0], [[0, 0], [1, 1]]), ([0], [[np.nan, 0]])])
def test_rows_and_places_that_do_not_fit_are_an_error(rows, places):
    with pytest.raises(OptionError, match="finite place"):
        map_fragment(ranked(5), np.array(rows), np.array(places, float), grey)
