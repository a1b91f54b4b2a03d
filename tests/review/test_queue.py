import threading
import time

import numpy as np
import pytest

from oddlens.feedback import learn
from oddlens.review.labels import LabelStore
from oddlens.review.queue import Filter, Queue
from runs import HOSTILE, ODD


def say(queue, names, label, session="1"):
    queue.store.say(names, label, who="Ada", session=session)
    queue.refresh()


def lessons(queue, number):
    """Wait until there were so many."""
    for _ in range(500):
        if queue.learned is not None and queue.learned.number >= number:
            return queue.learned
        time.sleep(0.02)
    raise AssertionError("it did not learn")


def names(queue, rows):
    return [queue.run.ranking.names[row] for row in rows]


def test_the_strangest_come_first_and_what_is_labelled_leaves(queue):
    first = names(queue, queue.matching(Filter()))
    assert first == names(queue, queue.run.ranking.order())
    assert queue.matching(Filter())[:3].tolist() == queue.order[:3].tolist()
    say(queue, first[:2], "skip")
    assert names(queue, queue.matching(Filter())) == first[2:]
    assert names(queue, queue.matching(Filter(), {first[2]})) == first[3:]
    assert names(queue, queue.matching(Filter(label="skip"))) == first[:2]


def test_filters_by_cause_name_and_label(queue):
    copies = {"02.png", "02 copy.png", "more/again 02.png"}
    assert set(names(queue, queue.matching(Filter(cause="copy")))) == copies
    assert set(names(queue, queue.matching(Filter(cause="duplicates")))) >= copies
    assert names(queue, queue.matching(Filter(text="ONERROR"))) == [HOSTILE]
    assert len(queue.matching(Filter(cause="no such cause"))) == 0
    say(queue, ["02.png"], "odd")
    assert names(queue, queue.matching(Filter(label="odd"))) == ["02.png"]
    assert len(queue.matching(Filter(label="any"))) == 62
    assert set(names(queue, queue.matching(Filter("copy", "", "more")))) == {"more/again 02.png"}


def test_after_five_labels_it_learns_what_the_pure_function_says(queue):
    order = names(queue, queue.order)
    for name in order[:4]:
        say(queue, [name], "normal" if name not in ODD else "odd")
    assert queue.learned is None
    say(queue, [order[-1]], "normal")
    learned = lessons(queue, 1)
    assert learned.labels == 5
    expected = learn(queue.run.evidence, queue.said())
    assert np.array_equal(queue.lesson.scores, expected.scores)
    assert queue.order.tolist() == np.argsort(-expected.scores, kind="stable").tolist()


def test_what_is_taken_back_is_forgotten(queue):
    order = names(queue, queue.order)
    say(queue, order[:6], "normal")
    lessons(queue, 1)
    queue.store.undo("1", who="Ada")
    queue.refresh()
    for _ in range(500):
        if not queue.lesson.labels:
            break
        time.sleep(0.02)
    assert names(queue, queue.order) == order


def test_a_normal_kind_moves_down_and_it_is_said(queue):
    blue = [name for name in names(queue, queue.order) if name in ODD]
    say(queue, [name for name in names(queue, queue.order) if name not in ODD][:2], "odd")
    say(queue, blue[:3], "normal")
    learned = lessons(queue, 1)
    assert (learned.name, learned.odd) == (blue[2], False)
    assert learned.moved >= 2, "the other two blue ones at least"
    assert min(queue.place(queue.run.row_of[name]) for name in blue) > 3


def test_progress_counts_and_estimates(queue):
    order = names(queue, queue.order)
    for name in order[:8]:
        say(queue, [name], "odd" if name in ODD else "normal")
    say(queue, [order[8]], "skip")
    lessons(queue, 1)
    progress = queue.progress()
    assert (progress.looked, progress.found, progress.skipped) == (8, 5, 1)
    assert progress.curve[0] == (0, 0)
    assert progress.curve[-1] == (8, 5)
    assert progress.outlook.ahead == 62 - 9
    assert (progress.outlook.looked, progress.outlook.found) == (8, 5)
    assert 0 <= progress.outlook.low <= progress.outlook.left <= progress.outlook.high <= progress.outlook.ahead


def test_a_queue_that_is_opened_again_goes_on_where_it_was(opened, tmp_path):
    store = LabelStore(tmp_path / "again.sqlite")
    queue = Queue(opened, store)
    say(queue, names(queue, queue.order)[:3], "odd")
    queue.close()
    again = Queue(opened, store)
    assert sorted(again.said().values()) == [True] * 3
    assert again.learned.labels == 3, "fewer than five, and yet learned"
    again.close()
    store.close()


def test_labels_of_images_that_are_not_in_the_ranking_are_left_alone(queue):
    say(queue, ["elsewhere.png"], "odd")
    assert queue.said() == {}
    assert queue.progress().looked == 0


@pytest.mark.parametrize("place", [1, 5, 62])
def test_the_place_of_a_row(queue, place):
    assert queue.place(int(queue.order[place - 1])) == place


def test_labels_from_many_threads_that_are_handed_images_meanwhile_do_not_lock_up(queue):
    """A person is handed images while another's answer is taken in: each needs what the other holds, for a moment."""
    def work(number):
        for _ in range(12):
            def choose(others):
                queue.refresh()
                return names(queue, queue.matching(Filter(), others)[:1])

            for name in queue.store.hand_out(str(number), "Ada", choose):
                say(queue, [name], "normal", str(number))

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)
    assert len(queue.said()) == 60, "and nobody was handed what another had"
