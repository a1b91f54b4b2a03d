"""Work on several threads."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from oddlens import threads
from oddlens.errors import UnreadableImage
from oddlens.threads import in_order


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
