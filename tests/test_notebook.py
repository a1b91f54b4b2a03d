"""What a notebook shows, without one: its shell is stood in for. test_user_notebook runs a real one."""

import sys
import threading
import types

import pytest

from oddlens import notebook
from oddlens.notebook import Card, cards
from oddlens.progress import advance, listening


class Shell:
    """An IPython shell with a kernel, as far as the bar asks."""

    def __init__(self, kernel=True):
        self.said = []
        self.after = []
        self.events = types.SimpleNamespace(register=lambda name, call: self.after.append((name, call)))
        if kernel:
            self.kernel = object()


@pytest.fixture
def shell(monkeypatch):
    shell = Shell()
    handle = types.SimpleNamespace(update=shell.said.append)

    def display(thing, display_id):
        shell.said.append(thing)
        return handle

    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(HTML=str, display=display))
    monkeypatch.setattr(notebook, "INTERVAL", 0.0)
    return shell


def test_a_bar_shows_each_stage_and_goes_when_the_cell_is_done(shell):
    advance("reading", 5, 1000)
    advance("scoring", 1, 2)
    assert shell.said[0] == '<progress value="5" max="1000"></progress> reading: 5 of 1,000'
    assert "scoring: 1 of 2" in shell.said[1]
    ((name, done),) = shell.after
    assert name == "post_run_cell"
    done(None)
    assert shell.said[-1] == ""
    done(None)
    assert len(shell.said) == 3, "there is nothing to clear twice"


def test_it_is_not_drawn_more_often_than_it_can_be_seen_but_its_end_is(shell, monkeypatch):
    monkeypatch.setattr(notebook, "INTERVAL", 3600.0)
    for done in range(1, 101):
        advance("reading", done, 100)
    assert [text.split(": ")[1] for text in shell.said][-1] == "100 of 100"
    assert len(shell.said) <= 2


def test_whoever_listens_is_told_and_no_bar_drawn(shell):
    told = []
    with listening(lambda *report: told.append(report)):
        advance("reading", 1, 2)
    assert told == [("reading", 1, 2)]
    assert not shell.said


def test_other_threads_draw_nothing(shell):
    thread = threading.Thread(target=advance, args=("reading", 1, 2))
    thread.start()
    thread.join()
    assert not shell.said


@pytest.mark.parametrize("found", [None, Shell(kernel=False)], ids=["no shell", "a terminal"])
def test_there_is_no_bar_outside_a_notebook(found, monkeypatch):
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: found))
    assert notebook.bar() is None


def test_a_card_has_its_picture_its_mark_and_a_name_that_is_not_too_long():
    shown = cards("2 images", [Card("x" * 100, ["rank 1"], "data:image/webp;base64,AA", True), Card("b", ["rank 2"])])
    assert shown.count("<img") == 1
    assert f'title="{"x" * 100}"' in shown
    assert f">{'x' * 20}…{'x' * 20}<" in shown
    assert shown.count("flagged") == 1
    assert "pixelated" not in shown
    assert "pixelated" in cards("", [Card("a", [], "data:image/png;base64,AA")])
