import asyncio
import threading

import pytest

from oddlens.service.admission import LONGEST_WAIT, Admission, Full


@pytest.fixture
def admission():
    made = Admission(2)
    yield made
    made.close()


def test_no_more_are_inside_than_may_be(admission):
    with admission.place(), admission.place():
        assert admission.inside == 2
        with pytest.raises(Full) as refused, admission.place():
            pass
        assert 1 <= refused.value.seconds <= LONGEST_WAIT
    assert admission.inside == 0
    with admission.place():
        pass


def test_a_place_is_given_back_after_an_error(admission):
    with pytest.raises(ValueError, match="no"), admission.place():
        raise ValueError("no")
    assert admission.inside == 0


def test_work_is_done_one_after_another_in_one_thread(admission):
    at_once, most, threads, order = [], [], set(), []

    def work(number):
        at_once.append(number)
        most.append(len(at_once))
        threads.add(threading.get_ident())
        order.append(number)
        at_once.remove(number)
        return number

    async def several():
        return await asyncio.gather(*(admission.do(lambda n=n: work(n)) for n in range(20)))

    assert asyncio.run(several()) == order == list(range(20))
    assert set(most) == {1}
    assert len(threads) == 1
    assert threads != {threading.get_ident()}


def test_an_error_comes_to_who_asked_and_the_next_is_served(admission):
    def fail():
        raise ValueError("no")

    async def both():
        with pytest.raises(ValueError, match="no"):
            await admission.do(fail)
        return await admission.do(lambda: 7)

    assert asyncio.run(both()) == 7


def test_who_is_cancelled_while_waiting_has_nothing_done(admission):
    begun, go, done = threading.Event(), threading.Event(), []

    def first():
        begun.set()
        go.wait()
        done.append("first")

    async def scene():
        running = asyncio.ensure_future(admission.do(first))
        while not begun.is_set():
            await asyncio.sleep(0.001)
        waiting = asyncio.ensure_future(admission.do(lambda: done.append("second")))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        go.set()
        await running
        await admission.do(lambda: done.append("third"))

    asyncio.run(scene())
    assert done == ["first", "third"]


def test_closing_leaves_no_thread():
    made = Admission(1)
    asyncio.run(made.do(lambda: None))
    made.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("oddlens-score")]
