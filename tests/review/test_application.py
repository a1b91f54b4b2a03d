import re
import shutil
import sqlite3
import time

from oddlens.ranking import Ranking
from oddlens.review.labels import LabelStore
from pages import Page
from runs import HOSTILE, ODD
from serving import Server, elsewhere, shown


def labels(server):
    store = LabelStore(server.folder / "review.sqlite")
    found = {name: said.label for name, said in store.current().items()}
    store.close()
    return found


def test_the_page_shows_the_strangest_and_a_label_leads_to_the_next(served, opened):
    ada = served.client()
    page = ada.get("")
    order = opened.ranking.order().tolist()
    assert page.status == 200
    assert shown(page.text) == order[0]
    assert "Is this image odd?" in Page(page.text.replace("<!doctype html>", "")).words
    answer = ada.label(order[0], "odd")
    assert answer.status == 200
    assert shown(answer.text) == order[1]
    assert labels(served) == {opened.ranking.names[order[0]]: "odd"}
    with sqlite3.connect(served.folder / "review.sqlite") as base:
        who, sha256, ranking = base.execute("SELECT who, sha256, ranking FROM label").fetchone()
    base.close()
    assert (who, sha256, ranking) == ("Ada", opened.provenance.origins[order[0]].sha256, opened.identity)


def test_undo_shows_the_image_again(served):
    ada = served.client()
    first = ada.row()
    second = shown(ada.label(first, "odd").text)
    assert shown(ada.label(second, "normal").text) not in (first, second)
    assert shown(ada.post("undo", {}).text) == second
    assert shown(ada.post("undo", {}).text) == first
    assert labels(served) == {}
    assert ada.post("undo", {}).status == 200, "there is nothing to take back, and that is no error"


def test_without_a_script_a_form_leads_to_the_next_page(served):
    ada = served.client()
    answer = ada.label(ada.row(), "odd", headers={"X-Part": None})
    assert answer.status == 303
    assert answer.headers["location"] == "./"
    assert len(labels(served)) == 1


def test_several_are_labelled_in_one_stroke_and_taken_back_in_one(served):
    ada = served.client()
    rows = [3, 4, 5, 6]
    ada.post("label", {"row": rows, "label": "normal"})
    assert sorted(labels(served).values()) == ["normal"] * 4
    ada.post("undo", {})
    assert labels(served) == {}


def test_two_people_are_never_handed_the_same(served):
    ada, ben = served.client(), served.client()
    ben.get("")
    ben.post("name", {"who": "Ben"})
    seen = {"ada": [], "ben": []}
    one, other = ada.row(), ben.row()
    for _ in range(12):
        assert one != other
        seen["ada"].append(one)
        seen["ben"].append(other)
        one = shown(ada.label(one, "normal").text)
        other = shown(ben.label(other, "odd").text)
    assert not set(seen["ada"]) & set(seen["ben"])
    store = LabelStore(served.folder / "review.sqlite")
    assert {said.who for said in store.history()} == {"Ada", "Ben"}
    store.close()
    assert "Ben has this image open too" in ada.get(f"?row={other}").text


def test_two_servers_of_one_run_hand_nothing_out_twice(opened, tmp_path):
    run = elsewhere(opened, tmp_path)
    with Server(run) as one, Server(run, name="Ben") as other:
        ada, ben = one.client(), other.client()
        first, second = ada.row(), ben.row()
        assert first != second
        ada.label(first, "odd")
        assert len({first, second, ada.row(), shown(ben.label(second, "odd").text)}) == 4
        assert sorted(labels(one).values()) == ["odd", "odd"]


def test_the_filters_narrow_what_is_shown(served, opened):
    ada = served.client()
    assert shown(ada.get("?text=ONERROR").text) == opened.row_of[HOSTILE]
    assert opened.causes["copy"][shown(ada.get("?cause=copy").text)]
    assert "Nothing fits" in ada.get("?text=no+such+name").text
    row = ada.row()
    ada.label(row, "skip")
    assert shown(ada.get("?label=skip").text) == row
    assert f'value="{row}"' in ada.get("grid?label=skip").text


def test_the_grid_labels_a_page_at_once(served, opened):
    ada = served.client()
    page = ada.get("grid").text
    rows = [int(row) for row in re.findall(r'name="shown" value="(\d+)"', page)]
    assert rows == opened.ranking.order()[:50].tolist()
    odd = [row for row in rows if opened.ranking.names[row] in ODD]
    answer = ada.post("triage", {"shown": rows, "row": odd, "do": "label"})
    assert answer.status == 303
    found = labels(served)
    assert {name for name, label in found.items() if label == "odd"} == ODD
    assert len(found) == 50
    rest = ada.get("grid").text
    assert len(re.findall('name="shown"', rest)) == 12
    ada.post("undo", {"then": "grid"})
    ada.post("undo", {"then": "grid"})
    assert labels(served) == {}
    ada.post("triage", {"shown": rows[:3], "do": "skip"})
    assert sorted(labels(served).values()) == ["skip"] * 3


def test_what_is_seen_again_in_the_grid_is_only_labelled_where_it_changes(served):
    ada = served.client()
    ada.post("label", {"row": [1, 2], "label": "odd"})
    ada.post("triage", {"shown": [1, 2], "row": [1], "do": "label"})
    store = LabelStore(served.folder / "review.sqlite")
    assert [said.label for said in store.history()] == ["odd", "odd", "normal"]
    store.close()


def test_after_some_labels_the_page_says_what_it_learned(served):
    ada = served.client()
    row = ada.row()
    for _ in range(6):
        row = shown(ada.label(row, "normal").text)
    for _ in range(200):
        if "Learned from" in (text := ada.get("").text):
            break
        time.sleep(0.05)
    assert "Learned from" in text
    assert "<b>0</b> odd found in <b>6</b> looked at" in text


def test_a_server_that_starts_again_goes_on_where_it_was(opened, tmp_path):
    run = elsewhere(opened, tmp_path)
    with Server(run) as server:
        ada = server.client()
        first = ada.row()
        second = shown(ada.label(first, "odd").text)
    with Server(run) as server:
        ada.server = server
        assert ada.row() == second, "the lease is hers still"
        assert shown(ada.post("undo", {}).text) == first, "and what she said before can be taken back"


def test_a_page_of_an_earlier_ranking_cannot_label(served):
    ada = served.client()
    answer = ada.post("label", {"row": 0, "label": "odd", "ranking": "another"})
    assert answer.status == 409
    assert labels(served) == {}


def test_pictures_come_by_number(served, opened):
    ada = served.client()
    for path in ("picture/3", "small/3", "heat/3"):
        answer = ada.get(path)
        assert answer.status in (200, 404)
        assert path == "heat/3" or answer.headers["content-type"] in ("image/jpeg", "image/png")
    assert ada.get("picture/62").status == 404
    assert ada.get(f"picture/{'9' * 40}").status == 404


def test_an_image_that_is_gone_or_changed_is_said_so(finished, run, tmp_path):
    shutil.copytree(finished / "photos", tmp_path / "moved")
    (tmp_path / "moved" / "00.png").write_bytes((tmp_path / "moved" / "02.png").read_bytes())
    (tmp_path / "moved" / "04.png").unlink()
    with Server(run, images=tmp_path / "moved") as server:
        ada = server.client()
        names = Ranking.from_csv(run / "scores.csv").names
        assert "has changed since it was ranked" in ada.get(f"?row={names.index('00.png')}").text
        assert "not among those that were given" in ada.get(f"?row={names.index('04.png')}").text
        assert ada.get(f"picture/{names.index('04.png')}").status == 404
        assert ada.get(f"picture/{names.index('06.png')}").status == 200


def test_the_map_and_the_exports_are_there(served):
    ada = served.client()
    ada.post("label", {"row": [1, 2], "label": "odd"})
    for _ in range(100):
        text = ada.get("map").text
        if "being drawn" not in text:
            break
    assert text.count('data-row="') == 62
    assert text.count("rim odd") + text.count("dot odd") >= 2
    page = ada.get("export").text
    assert "2 odd, 0 normal" in page
    for name in re.findall(r'href="(download/[^"]+)"', page):
        answer = ada.get(name)
        assert answer.status == 200
        assert answer.headers["content-disposition"].startswith("attachment")
        assert answer.content


def test_when_every_image_was_looked_at_it_says_so(served):
    ada = served.client()
    ada.post("label", {"row": list(range(62)), "label": "normal"})
    text = ada.get("").text
    assert "Every image was looked at" in text
    assert shown(text) is None
    assert shown(ada.post("undo", {}).text) is not None
