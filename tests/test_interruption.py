"""Ctrl-C ends the command soon, whatever it does, with 130 and a word of how to go on; with 0 where it was offered."""

import signal
import sys
from dataclasses import replace
from functools import partial

import pytest

from interrupts import ended, interrupted
from oddlens import interruption

BUSY = {
    "python": "while True: pass",
    "a lock": "import threading; threading.Event().wait()",
    # No step of Python's own comes between: the usual way out is never taken.
    "compiled code": "import re; re.match('(a|aa)+$', 'a' * 60 + 'b')",
}


@pytest.mark.skipif(sys.platform == "win32", reason="signals are another thing there")
@pytest.mark.parametrize("busy", BUSY)
def test_an_interrupt_ends_it_even_in_compiled_code(busy):
    code = ("import sys\n"
            "from oddlens.interruption import interruptible, say_interrupted\n"
            "try:\n    with interruptible():\n        print('on', flush=True)\n        " + BUSY[busy] + "\n"
            "except KeyboardInterrupt:\n    sys.exit(say_interrupted())\n")
    exit_code, said = interrupted(code, "on")
    assert exit_code == 130
    assert said.count("interrupted. No finished result was changed; the same command goes on") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="signals are another thing there")
@pytest.mark.parametrize("busy", ["python", "a lock"])  # a server leaves compiled code to other threads
def test_the_end_that_was_offered_is_no_failure(busy):
    code = ("import sys\n"
            "from oddlens.interruption import ended_by_interrupt, interruptible, say_interrupted\n"
            "tell = lambda words: print(words, flush=True)\n"
            "try:\n    with interruptible(), ended_by_interrupt('all is kept', tell, 1, lambda: None):\n"
            "        print('on', flush=True)\n        " + BUSY[busy] + "\n"
            "except KeyboardInterrupt:\n    sys.exit(say_interrupted())\n")
    assert ended(code, "on\n") == (0, "all is kept\n", "")


def test_what_was_offered_holds_within_the_block_alone(capsys, monkeypatch):
    monkeypatch.setattr(interruption, "_USUAL", replace(interruption._USUAL, said=False))
    monkeypatch.setattr(interruption, "_way_out", interruption._USUAL)
    said = []
    with interruption.ended_by_interrupt("kept", said.append, 1, said.clear):
        pass
    with pytest.raises(OSError), interruption.ended_by_interrupt("kept", said.append, 1, said.clear):
        raise OSError
    assert interruption.say_interrupted() == 130
    assert said == []
    with pytest.raises(KeyboardInterrupt), interruption.ended_by_interrupt("kept", said.append, 1, said.clear):
        raise KeyboardInterrupt
    assert [interruption.say_interrupted(), interruption.say_interrupted()] == [0, 0]
    assert said == ["kept"]
    assert capsys.readouterr().err.count("interrupted") == 1


class Destroyed:
    """Interrupted while Python destroys it, where it prints what is raised, and drops it."""

    def __del__(self):
        signal.raise_signal(signal.SIGINT)


def within(end, *steps):
    """Steps one after the other in a block that is offered to be ended; ``end`` is told when."""
    with interruption.ended_by_interrupt("kept", print, 1, lambda: end("ends")):
        for step in steps:
            step()


def test_an_interrupt_that_comes_where_python_passes_none_on_is_heard_and_said_nowhere(monkeypatch):
    monkeypatch.setattr(interruption, "_way_out", interruption._USUAL)
    ended = []
    with pytest.raises(KeyboardInterrupt):
        within(ended.append, Destroyed, partial(ended.append, "went on until it ended"))
    assert ended == ["ends", "went on until it ended"]


def test_the_second_interrupt_does_not_wait(monkeypatch):
    monkeypatch.setattr(interruption, "_way_out", interruption._USUAL)
    press, done = partial(signal.raise_signal, signal.SIGINT), []
    with pytest.raises(KeyboardInterrupt):
        within(print, press, partial(done.append, 1), press, partial(done.append, 2))
    assert done == [1]


def test_nothing_is_left_of_it_when_the_block_ends():
    before = signal.getsignal(signal.SIGINT)
    with interruption.interruptible(), interruption.ended_by_interrupt("kept", print, 1, list):
        pass
    assert signal.getsignal(signal.SIGINT) is before
    assert signal.set_wakeup_fd(-1) == -1
