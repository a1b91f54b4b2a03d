import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from oddlens.errors import OptionError, SavedModelError
from oddlens.review import labels as labels_module
from oddlens.review.labels import LabelStore, person, said_in


@pytest.fixture
def store(tmp_path):
    store = LabelStore(tmp_path / "review.sqlite")
    yield store
    store.close()


def labels(store):
    return {name: said.label for name, said in store.current().items()}


def test_the_last_label_holds_and_the_history_keeps_all(store):
    store.say(["a"], "odd", who="Ada", session="1", ranking="r1", digests={"a": "f" * 64})
    store.say(["a"], "normal", who="Ben", session="2")
    assert labels(store) == {"a": "normal"}
    first, second = store.history()
    assert (first.who, first.label, first.ranking, first.sha256) == ("Ada", "odd", "r1", "f" * 64)
    assert (second.who, second.label) == ("Ben", "normal")
    assert first.at <= second.at


def test_an_undo_takes_back_a_whole_stroke_and_what_held_before_holds_again(store):
    store.say(["a"], "odd", who="Ada", session="1")
    store.say(["a", "b", "c"], "normal", who="Ada", session="1")
    assert labels(store) == {"a": "normal", "b": "normal", "c": "normal"}
    assert store.undo("1", who="Ada") == ["a", "b", "c"]
    assert labels(store) == {"a": "odd"}
    assert store.undo("1", who="Ada") == ["a"]
    assert labels(store) == {}
    assert store.undo("1", who="Ada") == []
    assert [said.label for said in store.history()] == ["odd", *["normal"] * 3, *["undo"] * 4]


def test_an_undo_takes_back_ones_own_alone(store):
    store.say(["a"], "odd", who="Ada", session="1")
    store.say(["a"], "normal", who="Ben", session="2")
    assert store.undo("1", who="Ada") == ["a"]
    assert labels(store) == {"a": "normal"}, "what Ben said stands"
    assert store.undo("3", who="Eve") == []


def test_nothing_said_can_be_changed_or_removed(store):
    store.say(["a"], "odd", who="Ada", session="1")
    base = sqlite3.connect(store.path)
    for statement in ("UPDATE label SET label = 'normal'", "DELETE FROM label"):
        with pytest.raises(sqlite3.IntegrityError, match="only added"):
            base.execute(statement)
    base.close()


def test_two_stores_of_one_file_see_each_other(store):
    other = LabelStore(store.path)
    other.say(["a"], "odd", who="Ada", session="1")
    assert labels(store) == {}
    store.refresh()
    assert labels(store) == {"a": "odd"}
    assert store.undo("1", who="Ada") == ["a"]
    other.refresh()
    assert labels(other) == {}
    other.close()


def test_many_threads_and_stores_lose_nothing(store):
    stores = [store, LabelStore(store.path), LabelStore(store.path)]

    def say(number):
        for i in range(20):
            stores[number % 3].say([f"{number}-{i}"], "odd", who=str(number), session=str(number))

    threads = [threading.Thread(target=say, args=(number,)) for number in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in stores:
        each.refresh()
        assert len(labels(each)) == 180
    assert len({said.stroke for said in store.history()}) == 180
    for each in stores[1:]:
        each.close()


def test_a_process_that_is_killed_right_after_leaves_what_it_confirmed(tmp_path):
    script = ("import os, sys; from oddlens.review.labels import LabelStore; s = LabelStore(sys.argv[1]);"
              "s.say(['a', 'b'], 'odd', who='Ada', session='1'); os.kill(os.getpid(), 9)")
    assert subprocess.run([sys.executable, "-c", script, tmp_path / "review.sqlite"]).returncode == -9
    store = LabelStore(tmp_path / "review.sqlite")
    assert labels(store) == {"a": "odd", "b": "odd"}
    store.close()


def test_no_image_is_handed_to_two(store):
    other = LabelStore(store.path)

    def first(taken):
        return [next(name for name in "abc" if name not in taken)]

    assert store.hand_out("1", "Ada", first) == ["a"]
    assert other.hand_out("2", "Ben", first) == ["b"]
    assert store.hand_out("1", "Ada", first) == ["a"], "it is still hers"
    assert other.holders("2") == {"a": "Ada"}
    assert store.hand_out("1", "Ada", lambda taken: ["b"]) == ["b"], "it may be looked at, but stays with Ben"
    assert store.holders("1") == {"b": "Ben"}
    assert store.hand_out("3", "Eve", first, seconds=-1) == ["a"]
    assert store.hand_out("1", "Ada", first) == ["a"], "a lease ends"
    other.close()


def test_who_says_it_has_a_name_of_one_line(store):
    assert store.called("1") is None
    store.call("1", "  Ada\n  Lovelace ")
    assert store.called("1") == "Ada Lovelace"
    assert person("x" * 1000) == "x" * 60
    assert person(" \x1b[31m") == "\\x1b[31m"
    assert person("") == "someone"


@pytest.mark.parametrize(("names", "label"), [(["a"], "undo"), (["a"], "Odd"), ([], "odd"), (["a"] * 2001, "odd")])
def test_what_is_no_label_is_refused(store, names, label):
    with pytest.raises(OptionError):
        store.say(names, label, who="Ada", session="1")
    assert labels(store) == {}


def test_a_file_with_other_tables_is_refused(tmp_path):
    path = tmp_path / "review.sqlite"
    LabelStore(path).close()
    base = sqlite3.connect(path)
    base.execute("CREATE TRIGGER evil AFTER INSERT ON label BEGIN DELETE FROM person; END")
    base.commit()
    base.close()
    with pytest.raises(SavedModelError, match="other tables"):
        LabelStore(path)


def test_a_damaged_file_is_refused(tmp_path):
    (tmp_path / "review.sqlite").write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    with pytest.raises(SavedModelError, match="move it away"):
        LabelStore(tmp_path / "review.sqlite")


@pytest.mark.parametrize("name", ["review.sqlite", "review.sqlite-wal", "review.sqlite-shm"])
def test_a_link_in_its_place_is_not_followed(tmp_path, name):
    (tmp_path / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SavedModelError, match="not a file"):
        LabelStore(tmp_path / "review.sqlite")
    assert not (tmp_path / "elsewhere").exists()


def test_what_teaches_is_told_in_the_order_in_which_it_was_said(store, tmp_path):
    store.say(["a", "b"], "odd", who="Ada", session="1")
    store.say(["c"], "skip", who="Ada", session="1")
    store.say(["a"], "normal", who="Ben", session="2")
    assert list(said_in(store.path).items()) == [("b", "odd"), ("a", "normal")]
    assert said_in(tmp_path / "nowhere.sqlite") == {}
    assert not (tmp_path / "nowhere.sqlite").exists()


def test_labels_in_a_place_that_cannot_be_written_are_read(store, monkeypatch):
    store.say(["a"], "odd", who="Ada", session="1")
    here = store.path.parent
    before = sorted(here.iterdir())
    monkeypatch.setattr(labels_module.os, "access", lambda place, mode: Path(place) != here)
    monkeypatch.setattr(sqlite3, "connect", _outside(here, sqlite3.connect))
    assert said_in(store.path) == {"a": "odd"}
    assert sorted(here.iterdir()) == before


def _outside(here, connect):
    def checked(path, *options, **named):
        assert str(path) == ":memory:" or Path(path).parent != here
        return connect(path, *options, **named)

    return checked
