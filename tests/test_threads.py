"""Work on several threads."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from oddlens import threads
from oddlens.errors import UnreadableImage
from oddlens.progress import advance, listening
from oddlens.threads import from_both_ends, in_order


@pytest.mark.parametrize("jobs", [2, 3])
def test_work_is_done_at_once_but_only_a_few_ahead_and_none_after_an_error(jobs, monkeypatch):
    together, let_go, started = threading.Barrier(jobs, timeout=20), threading.Event(), []

    class Pool(ThreadPoolExecutor):
        """Says that it is about to wait for its threads."""

        def __exit__(self, *error):
            let_go.set()
            return super().__exit__(*error)

    def work(index):
        started.append(index)
        if index < jobs:
            together.wait()
        if index == 0:
            raise UnreadableImage("0", "torn")
        assert let_go.wait(20)

    monkeypatch.setattr(threads, "ThreadPoolExecutor", Pool)
    with pytest.raises(UnreadableImage, match="torn"):
        list(in_order(work, 100, jobs))
    assert len(started) <= jobs + 1


def test_no_more_results_wait_than_four_for_each_thread():
    started = []
    results = in_order(lambda index: started.append(index) or index, 100, 2)
    for taken in range(100):
        assert next(results) == taken
        assert len(started) <= taken + 8
    assert next(results, None) is None


def test_another_thread_takes_items_from_the_front_and_this_one_from_the_back():
    together, did, reports = threading.Barrier(2, timeout=20), {}, []

    def work(item):
        if item in (0, 4):
            together.wait()  # the first two are under way at once
        did[item] = threading.current_thread() is threading.main_thread()
        advance("learning", item, 5)

    with listening(lambda *report: reports.append(report)):
        from_both_ends(work, range(5), jobs=2)
    assert did.keys() == set(range(5))
    assert (did[0], did[4]) == (False, True)
    assert reports == [("learning", item, 5) for item in (4, 3, 2, 1) if did[item]]  # of one thread's work


def test_one_thread_takes_them_from_the_front():
    did = []
    from_both_ends(lambda item: did.append((item, threading.current_thread() is threading.main_thread())), "ab", 1)
    from_both_ends(did.append, [], 2)
    assert did == [("a", True), ("b", True)]


@pytest.mark.parametrize("failing", [0, 9])
def test_an_error_on_either_thread_is_raised_and_ends_both(failing):
    together, did = threading.Barrier(2, timeout=20), []

    def work(item):
        did.append(item)
        if item in (0, 9):
            together.wait()
        if item == failing:
            raise UnreadableImage("0", "torn")
        failed.wait(20)

    failed = threading.Event()
    cleared = threads.deque

    class Waiting(cleared):
        """Says that nothing is to be taken any more."""

        def clear(self):
            super().clear()
            failed.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "deque", Waiting)
        with pytest.raises(UnreadableImage, match="torn"):
            from_both_ends(work, range(10), jobs=2)
    assert sorted(did) == [0, 9]
