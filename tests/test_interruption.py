"""Ctrl-C ends the command soon, whatever it is doing, with 130 and a word of how to go on."""

import signal
import sys

import pytest

from interrupts import interrupted
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
            "from oddlens.interruption import interruptible, say_interrupted, EXIT_CODE\n"
            "try:\n    with interruptible():\n        print('on', flush=True)\n        " + BUSY[busy] + "\n"
            "except KeyboardInterrupt:\n    say_interrupted()\n    sys.exit(EXIT_CODE)\n")
    exit_code, said = interrupted(code, "on")
    assert exit_code == 130
    assert said.count("interrupted. No finished result was changed; the same command goes on") == 1


def test_nothing_is_left_of_it_when_the_block_ends():
    before = signal.getsignal(signal.SIGINT)
    with interruption.interruptible():
        pass
    assert signal.getsignal(signal.SIGINT) is before
    assert signal.set_wakeup_fd(-1) == -1
