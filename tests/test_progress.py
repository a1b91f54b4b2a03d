"""Reports go to the listener of the block, and to nobody outside it."""

import threading

from oddlens.progress import advance, listening


def test_a_listener_hears_only_within_its_block_and_the_innermost_one():
    outer, inner = [], []
    advance("before", 0, 1)
    with listening(lambda *report: outer.append(report)):
        advance("reading", 1, 4)
        with listening(lambda *report: inner.append(report)):
            advance("reading", 2, 4)
        advance("reading", 3, 4)
    advance("after", 1, 1)
    assert outer == [("reading", 1, 4), ("reading", 3, 4)]
    assert inner == [("reading", 2, 4)]


def test_the_listener_is_gone_after_an_error():
    told = []
    try:
        with listening(lambda *report: told.append(report)):
            raise KeyError
    except KeyError:
        advance("after", 1, 1)
    assert not told


def test_another_thread_has_a_listener_of_its_own():
    told = []
    with listening(lambda *report: told.append(report)):
        thread = threading.Thread(target=advance, args=("elsewhere", 1, 1))
        thread.start()
        thread.join()
    assert not told
