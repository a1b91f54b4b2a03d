import re
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from oddlens.errors import OptionError, UnreadableImage
from oddlens.protocols import Reason, Why
from oddlens.ranking import Ranking
from oddlens.report.html import number, short, visible
from oddlens.report.page import MOST_UNREADABLE, Fragment, Note, Report, Section, chance, write_report
from pages import HOSTILE, TAGS, Page


def grey(side=8, value=100):
    return np.full((side, side, 1), value, np.uint8)


def many(count, members=("neighbors",), names=None, unreadable=()):
    rng = np.random.default_rng(0)
    columns = {member: rng.gamma(2, size=count) for member in members}
    total = sum(columns.values()) if columns else np.zeros(count)
    return Ranking(tuple(names or (f"{i}.png" for i in range(count))), total, columns, tuple(unreadable))


def report_of(ranking, **options):
    columns = [None, *ranking.members] if len(ranking.members) > 1 else [*ranking.members]
    sections = [Section(column, f"Detector {column}", "It looks for odd images.") for column in columns]
    return Report(**{"title": "The odd images", "source": "photos", "ranking": ranking, "sections": sections,
                     "read": lambda row: grey(value=row % 256), **options})


@pytest.fixture
def page(tmp_path):
    def write(report):
        write_report(tmp_path / "report.html", report)
        return Page((tmp_path / "report.html").read_text(encoding="utf-8"))

    return write


@pytest.fixture
def full():
    """A report with something in every place."""
    ranking = many(60, ("neighbors", "forest"), unreadable=[("half.jpg", "the file is cut off")])
    return report_of(
        ranking, parameters={"Encoder autoencoder": {"latent": 50, "path": None}}, versions={"numpy": "2.0"},
        command="oddlens rank photos --seed 7", skipped=3, seed=7, timings={"reading": 1.25}, created="2026-11-23",
        facts={"Looked at as": "28 x 28 pixels, grey"},
        notes=[Note("How did it do?", "With labels.", ["", "odd"], [["neighbors", "3"]])],
    )


def test_a_stranger_reads_what_was_looked_at_and_how_many(page):
    words = page(report_of(many(12_345, unreadable=[("a.jpg", "empty"), ("b.jpg", "cut off")]))).words
    assert "oddlens looked at 12,345 images ( photos ). 2 more could not be read" in words
    assert "These 2 of 12,347 images found have no score." in words


def test_all_of_a_run_is_on_the_page(page, full):
    words = page(full).words
    for said in ("Found 61", "Read 60", "Could not be read 1", "Other files, passed over 3", "Seed 7",
                 "Time reading 1.2 s", "Made on 2026-11-23", "Looked at as 28 x 28 pixels, grey", "latent 50",
                 "path None", "numpy 2.0", "oddlens rank photos --seed 7", "half.jpg the file is cut off",
                 "How did it do?", "With labels.", "neighbors 3"):
        assert said in words


def test_facts_replace_the_pages_own(page, full):
    words = page(replace(full, facts={"Found": "sixty-one"})).words
    assert "Found sixty-one" in words
    assert "Found 61" not in words


def test_each_section_shows_its_strangest_in_order_with_scores_and_other_ranks(page):
    ranking = many(60, ("neighbors", "forest"))
    words = page(report_of(ranking, top=3)).words
    for column, other in ((None, None), ("neighbors", "forest"), ("forest", "neighbors")):
        part = words.split(f"Detector {column} It looks for odd images. ", 1)[1]
        place = 0
        for image in ranking.top(3, column):
            score = image.score if column is None else image.members[column]
            place = part.index(f"rank #{image.rank} score {number(score)} {image.name}", place)
            if other:
                place = part.index(f"#{ranking.ranks(other)[image.index]} {other}", place)


def test_all_detectors_together_come_first(page):
    ranking = many(60, ("neighbors", "forest"))
    report = report_of(ranking)
    shown = page(replace(report, sections=report.sections[::-1]))
    places = [shown.words.index(f"Detector {column} It looks") for column in (None, "forest", "neighbors")]
    assert places == sorted(places), "the others keep their order"


def test_a_single_detector_says_nothing_of_others(page):
    assert "single detectors" not in page(report_of(many(30))).source


def test_the_most_ordinary_are_shown_and_none_is_shown_as_both(page):
    shown = page(report_of(many(25)))
    assert "The 5 most ordinary" in shown.words
    assert len(shown.all("svg", role="img")) == 25 + 1
    assert "most ordinary" not in page(report_of(many(20))).words


@pytest.mark.parametrize(("count", "top", "said"), [
    (0, 20, "There is no image to show."), (1, 20, "The only image"), (5, 20, "All 5 images, strangest first"),
    (30, 1, "The strangest image"), (30, 20, "The 20 strangest, strangest first"), (30, 0, "How this was made"),
])
def test_few_images_and_few_shown_work(page, count, top, said):
    assert said in page(report_of(many(count), top=top)).words


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_hostile_names_stay_names(page, name):
    names = [name, *(f"{i}.png" for i in range(11))]
    ranking = Ranking(tuple(names), np.arange(12.0)[::-1], {"neighbors": np.arange(12.0)[::-1]}, ((name, name),))

    def read(row):
        if row == 0:
            raise UnreadableImage(name, name)
        return grey()

    report = report_of(ranking, title=name, source=name, command=name, parameters={name: {name: name}},
                       versions={name: name}, facts={name: name}, top=2,
                       notes=[Note(name, name, [name, name], [[name, name]])])
    for shown in (page(report), page(replace(report, read=lambda row: grey()))):
        assert {tag for tag, _ in shown.tags} <= TAGS
        assert not [a for _, a in shown.tags if any(key.startswith("on") for key in a)]
        assert "49" not in shown.words
        assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069]", shown.source)
        assert visible(name) in " ".join(shown.said)


def test_nothing_leads_outside(page, full):
    shown = page(full)
    policy = shown.all("meta", **{"http-equiv": "Content-Security-Policy"})[0]["content"]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    for tag, attributes in shown.tags:
        assert tag not in {"link", "iframe", "object", "form", "base"}
        assert "src" not in attributes
        assert attributes.get("href", "#").startswith(("#", "data:image/"))
    assert not re.search(r"@import|url\(|https?:", shown.source)


def test_links_and_labels_lead_somewhere(page, full):
    shown = page(full)
    named = Counter(a["id"] for _, a in shown.tags if "id" in a)
    assert set(named.values()) == {1}
    for _, attributes in shown.tags:
        if attributes.get("href", "").startswith("#"):
            assert attributes["href"][1:] in named
        for target in attributes.get("aria-labelledby", "").split():
            assert target in named


def test_a_screen_reader_finds_its_way(page, full):
    shown = page(full)
    assert shown.all("html")[0]["lang"] == "en"
    assert shown.all("a")[0] == {"class": "skip", "href": "#main"}
    assert [len(shown.all(tag)) for tag in ("header", "nav", "main", "footer", "h1")] == [1] * 5
    levels = [int(tag[1]) for tag, _ in shown.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels)), levels
    for svg in shown.all("svg"):
        assert svg.get("aria-hidden") == "true" or svg["role"] == "img"
        assert svg.get("aria-hidden") or svg.get("aria-label") or svg.get("aria-labelledby")
    assert all(a["scope"] in {"row", "col"} for a in shown.all("th"))
    assert len(shown.all("thead")) == len(shown.all("table")) > 3
    assert "img" not in {tag for tag, _ in shown.tags}, "pictures are svg, so that each stands once in the page"


def test_words_stand_out_from_what_they_are_on(page, full):
    """WCAG's contrast: 4.5 for words, 3 for bars, in light, dark and print."""
    def luminance(colour):
        colour = "".join(c * 2 for c in colour) if len(colour) == 3 else colour
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4
                  for v in (int(colour[i:i + 2], 16) / 255 for i in (0, 2, 4))]
        return np.dot(linear, (0.2126, 0.7152, 0.0722))

    palettes = [dict(re.findall(r"--(\w+): #(\w+)", block)) for block in re.findall(r":root {.*?}", page(full).source)]
    assert len(palettes) == 3
    for palette in palettes:
        for name, least in {"ink": 7, "soft": 4.5, "odd": 4.5, "link": 4.5, "bar": 3}.items():
            for ground in ("paper", "card"):
                dark, light = sorted((luminance(palette[name]), luminance(palette[ground])))
                assert (light + 0.05) / (dark + 0.05) >= least, (name, ground, palette)


def test_an_image_that_is_gone_leaves_a_placeholder(page):
    def read(row):
        if row % 2:
            raise UnreadableImage(f"{row}.png", "gone")
        return grey()

    shown = page(report_of(many(30), read=read))
    gone = shown.all("span", role="img")
    assert len(gone) == 15
    assert gone[0]["aria-label"].endswith(".png: can no longer be read")
    assert len(shown.all("image")) == 15


def test_each_image_is_read_and_stored_once(page):
    ranking = many(30, ("neighbors", "forest"))
    reads = Counter()

    def read(row):
        reads[row] += 1
        return grey(value=row)

    shown = page(report_of(ranking, read=read))
    assert set(reads.values()) == {1}
    assert len(shown.all("image")) == len(reads) == 30
    assert len(shown.all("use")) == 3 * 20 + 10 - 30


@pytest.mark.parametrize("shape", [(1, 4000, 3), (4000, 1, 1), (1, 1, 1), (1, 60, 3)])
def test_no_shape_is_too_extreme(page, shape):
    shown = page(report_of(many(30), read=lambda row: np.zeros(shape, np.uint8)))
    assert all(int(a["width"]) >= 1 <= int(a["height"]) for a in shown.all("image"))


def test_a_hundred_thousand_images_make_a_light_page_of_which_few_are_read(page):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (200, 200, 3), dtype=np.uint8)  # nothing is harder to make small
    names = [f"folder/{i:06}.jpg" for i in range(100_000)]
    ranking = many(100_000, ("neighbors", "forest", "reconstruction"), names)
    reads = []

    def read(row):
        reads.append(row)
        return np.roll(noise, row, 0)

    shown = page(report_of(ranking, read=read, top=60))
    assert 60 <= len(reads) <= 4 * 60 + 10
    assert len(shown.source) < 15 * 2**20
    assert len(shown.all("svg", role="img")) == 4 * 60 + 10 + 1


def test_unreadable_files_are_counted_and_the_first_are_listed(page):
    words = page(report_of(many(30, unreadable=[(f"bad{i}.jpg", "empty") for i in range(1200)]))).words
    assert "1,200 more could not be read" in words
    assert f"The first {MOST_UNREADABLE} are listed." in words
    assert f"bad{MOST_UNREADABLE - 1}.jpg empty" in words
    assert f"bad{MOST_UNREADABLE}.jpg" not in words


def test_the_same_report_gives_the_same_bytes(page, full):
    assert page(full).source == page(full).source


@pytest.mark.parametrize("scores", [[], [1.0], [2.0] * 50, [np.nan] * 50, [0.0, 5e-324] * 20, [-1.7e308, 1.7e308] * 20])
def test_scores_that_tell_nothing_apart_have_no_histogram(page, scores):
    ranking = Ranking(tuple(map(str, range(len(scores)))), np.array(scores), {"a": np.array(scores)})
    assert "How the scores" not in page(report_of(ranking)).words


def test_scores_that_are_not_finite_do_not_break_the_page(page):
    scores = np.append(np.arange(30.0), [np.inf, np.nan])
    page(report_of(Ranking(tuple(map(str, range(32))), scores, {"a": scores})))


def test_names_are_made_visible_and_short():
    assert visible("a\nb\u200f") == "a\\nb\\u200f"
    assert visible("größe 画像.png") == "größe 画像.png"
    assert short("x" * 120) == "x" * 120
    assert short("a" * 200 + "z.png").endswith("z.png")
    assert len(short("a" * 5000)) < 130


@pytest.mark.parametrize(("value", "said"), [(0.0392, "0.03920"), (8, "8.000"), (1234.5, "1234"), (-0.5, "-0.5000")])
def test_scores_have_four_digits(value, said):
    assert number(value) == said


def test_a_note_whose_rows_do_not_fit_is_an_error():
    with pytest.raises(OptionError, match="as many cells"):
        Note("Labels", "", ["", "0"], [["a", "1", "2"]])


def flagged(ranking, count):
    return replace(ranking, flagged=np.isin(np.arange(len(ranking)), ranking.order()[:count]))


@pytest.mark.parametrize(("count", "marked", "cut"), [
    (3, 3, "The cut: flagged above, not flagged below"), (20, 20, "The cut: flagged above, not flagged below"),
    (21, 20, "1 image more is flagged"), (30, 20, "10 images more are flagged"),
])
def test_flagged_images_look_different_and_the_cut_is_drawn(page, count, marked, cut):
    shown = page(report_of(flagged(many(60), count)))
    assert len(shown.all("li", **{"class": "flagged"})) == marked
    assert cut in shown.words
    assert shown.words.index(cut) > shown.words.index("flagged rank #")
    assert "none is flagged" not in shown.words


def test_where_none_is_flagged_nothing_is_marked_and_it_says_so(page):
    shown = page(report_of(flagged(many(60), 0), title="The strangest images"))
    assert not shown.all("li", **{"class": "flagged"})
    assert "The 20 strangest, strangest first; none is flagged" in shown.words
    assert "The cut" not in shown.words
    assert "odd images" not in shown.words.replace("It looks for odd images", "")


def test_where_nothing_was_decided_nothing_is_said_of_flags(page):
    assert "flagged" not in page(report_of(many(60))).words


def test_the_statement_is_marked_as_a_finding_only_where_some_are_flagged(page):
    for count, kind in ((0, "statement"), (2, "statement found")):
        shown = page(report_of(flagged(many(60), count), statement="The headline.\nThe rest."))
        assert shown.all("p", **{"class": kind})
        assert "The headline. The rest." in shown.words


def test_causes_and_copies_are_counted_at_the_top_with_a_way_to_show_them(page):
    ranking = replace(many(60), causes=("dark", "blurred, dark", "copy", "copy", *[""] * 56))
    listing = Fragment("listing", "Table", '<section id="listing"><h2>Table</h2></section>', "")
    shown = page(report_of(ranking, duplicates=[[2, 3]], fragments=[listing]))
    assert ("Cause Images Exact copy 2 show them : Exact copy Dark 2 show them : Dark Blurred 1 show them : Blurred "
            "Copies and near duplicates, in 1 group 2 show them") in shown.words
    assert [a["data-show"] for a in shown.all("a", href="#listing") if "data-show" in a] == [
        "copy", "dark", "blurred", "duplicates"]
    assert shown.words.index("Cause Images") < shown.words.index("strangest first")


def test_no_cause_and_no_copy_is_said_too_and_no_link_leads_nowhere(page):
    words = page(report_of(replace(many(60), causes=("",) * 60))).words
    assert "Copies and near duplicates none" in words
    assert "Cause Images" not in page(report_of(many(60))).words
    shown = page(report_of(replace(many(60), causes=("dark", *[""] * 59))))
    assert "Dark 1" in shown.words
    assert not shown.all("a", href="#listing")


def test_single_views_come_last_and_folded_under_their_names(page):
    ranking = many(60, ("neighbors", "forest"))
    sections = [Section(None, "All", "All together."), Section("neighbors", "By its neighbours", "It looks."),
                Section("forest", "By random cuts", "It looks.")]
    shown = page(replace(report_of(ranking), sections=sections[::-1]))
    assert len(shown.all("details", **{"class": "view"})) == 2
    assert shown.words.index("The 20 strangest") < shown.words.index("By its neighbours It looks.")
    assert "In the tables its column is forest" in shown.words


def test_the_heat_has_the_frame_and_the_size_of_its_picture_and_says_what_is_there(page):
    tall = Why((Reason("Dark."),), heat=np.eye(30)[:, :10], where="something is missing here",
               agreement={"neighbors": 1e-9})
    ranking = many(60)
    for shape in ((28, 28, 1), (90, 30, 3), (40, 400, 3)):
        section = Section("neighbors", "The strangest, and why", "It looks.", lambda row: tall, name="By neighbours")
        shown = page(replace(report_of(ranking, top=4, read=lambda row, shape=shape: np.full(shape, 9, np.uint8)),
                             sections=[section]))
        heats = shown.all("svg", **{"aria-label": f"{ranking.top(1)[0].name}: something is missing here"})
        base = shown.all("svg", **{"aria-label": ranking.top(1)[0].name})
        assert [(a["viewbox"], a.get("style")) for a in heats] == [(a["viewbox"], a.get("style")) for a in base[:1]]
        assert "something is missing here" in shown.words
        assert "By neighbours rarer than 1 in 600" in shown.words
    assert "And why the next one" in shown.words, "three are open, the fourth is folded"


@pytest.mark.parametrize(("p", "count", "said"), [
    (0.5, 400, "50 in 100"), (0.01, 400, "1 in 100"), (0.004, 400, "1 in 250"), (1e-9, 400, "rarer than 1 in 4,000"),
    (0.0, 10**6, "rarer than 1 in 10,000,000"), (1e-6, 10**6, "1 in 1,000,000"), (0.005, 3, "rarer than 1 in 100"),
])
def test_no_rarity_is_stated_beyond_what_so_many_images_can_tell(p, count, said):
    assert chance(p, count) == said


def test_an_explained_picture_is_enlarged_on_a_click_with_its_heat_in_register(page):
    heat = np.zeros((30, 40))
    heat[10, 20] = 1
    ranking = many(30, names=[f"{n} <b>.jpg" for n in range(30)])
    sections = [Section(None, "The strangest", "", lambda row: Why(heat=heat if row % 2 else None))]
    photo = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    report = report_of(ranking, sections=sections, read=lambda row: photo[::3, ::3], read_large=lambda row: photo,
                       top=4)
    html = page(report).source
    for image in ranking.top(4):
        part = html.split(f'id="large-{image.index}"')[1].split("</li>")[0]
        assert html.count(f'href="#large-{image.index}"') == 2  # the picture and the word
        assert f'href="#told-large-{image.index}"' in part
        assert 'viewBox="0 0 400 300"' in part
        assert part.count("data:image/png") == image.index % 2
        assert "&lt;b&gt;" in part
    gone = replace(report, read_large=lambda row: (_ for _ in ()).throw(UnreadableImage("a", "gone")))
    assert 'id="large-' not in page(gone).source
    assert 'id="large-' not in page(replace(report, read_large=lambda row: photo[:150, :150])).source
    assert 'id="large-' not in page(replace(report, read_large=None)).source
