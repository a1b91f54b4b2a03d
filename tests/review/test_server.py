import builtins
import resource
import socket
import sys
import threading
import time

import pytest

from interrupts import command, ended
from oddlens.errors import MissingExtra, OptionError
from oddlens.review import server as module
from oddlens.review.labels import LabelStore
from oddlens.review.server import hosts, is_local, listen, review, serving
from serving import Server, elsewhere


@pytest.mark.parametrize("package", ["uvicorn", "starlette"])
def test_without_the_extra_it_says_how_to_get_it(run, monkeypatch, package):
    importing = builtins.__import__

    def without(name, *rest, **options):
        if name.split(".")[0] == package:
            raise ImportError(name)
        return importing(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match=r"oddlens\[review\]"), serving(run):
        pass


def test_a_port_that_is_taken_is_said():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OptionError, match="--port"):
            listen("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(OptionError, match="Cannot listen"):
        listen("no such host", 0)


def test_only_this_machine_is_local():
    assert all(map(is_local, ("127.0.0.1", "localhost", "::1", "127.9.9.9")))
    assert not any(map(is_local, ("0.0.0.0", "192.168.1.7", "::", "example.org")))
    assert "*" not in hosts("127.0.0.1")
    assert "*" in hosts("0.0.0.0")


@pytest.mark.parametrize(("host", "warned"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_another_address_is_warned_of(opened, tmp_path, monkeypatch, host, warned):
    said = []
    monkeypatch.setattr("uvicorn.Server.run", lambda self, sockets: None)
    review(elsewhere(opened, tmp_path), said.append, host=host)
    assert any("Warning" in line for line in said) == warned
    assert sum(line.startswith("Open http://") for line in said) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="signals are another thing there")
def test_ctrl_c_ends_it_with_a_word_of_what_is_kept(run):
    code, told, complaint = ended(command("review", run), "Open http://")
    assert code == 0
    assert told.splitlines()[-1] == (f"The review has ended. Labels are saved in {run / 'review.sqlite'}; the same "
                                     "command goes on with it.")
    assert complaint.strip() == ""
    LabelStore(run / "review.sqlite").close()


def test_each_start_has_a_token_of_its_own(opened, tmp_path):
    tokens = set()
    for _ in range(3):
        with serving(elsewhere(opened, tmp_path)) as (_, _, address):
            tokens.add(address.rstrip("/").rpartition("/")[2])
    assert len(tokens) == 3
    assert min(map(len, tokens)) >= 32


def test_it_leaves_no_thread_and_no_port_behind(opened, tmp_path):
    before = threading.active_count()
    with Server(elsewhere(opened, tmp_path)) as server:
        assert server.client().get("").status == 200
    for _ in range(100):
        if threading.active_count() <= before:
            break
        time.sleep(0.05)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("oddlens")]
    with pytest.raises(ConnectionRefusedError):
        server.client().get("")


def storm(server, count, at_once):
    """So many requests from so many threads: labels, pages and pictures; what was confirmed."""
    confirmed, statuses, lock = [], {}, threading.Lock()
    numbers = iter(range(count))

    def work():
        client = server.client()
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            row = number % 62
            try:
                if number % 3 == 0:
                    answer = client.post("label", {"row": row, "label": ("odd", "normal")[number % 2]},
                                         headers={"X-Part": None})
                elif number % 3 == 1:
                    answer = client.get(("", "grid", f"small/{row}", f"picture/{row}")[number // 3 % 4])
                else:
                    answer = client.post("label", {"row": "../" * 9, "label": "odd"})
            except OSError:
                continue  # the connection was refused: nothing was confirmed
            with lock:
                statuses[answer.status] = statuses.get(answer.status, 0) + 1
                if number % 3 == 0 and answer.status == 303:
                    confirmed.append(row)

    threads = [threading.Thread(target=work) for _ in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return confirmed, statuses


def test_very_many_requests_at_once_lose_no_label_and_leave_no_leak(opened, tmp_path):
    with Server(elsewhere(opened, tmp_path)) as server:
        storm(server, 150, 20)  # what is kept from now on is warm
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        first = LabelStore(tmp_path / "review.sqlite")
        count = len(list(first.history()))
        confirmed, statuses = storm(server, 1200, 100)
        assert set(statuses) <= {200, 303, 400, 404, 503}
        first.refresh()
        assert len(list(first.history())) - count == len(confirmed), "each that was confirmed, and no other"
        assert {said.name for said in first.current().values()} == set(opened.ranking.names)
        first.close()
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        assert grown < 200, f"{grown} MiB more than before"
        assert server.client().get("").status == 200


def test_more_than_it_answers_at_a_time_are_told_to_come_back(opened, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_AT_ONCE", 25)
    with Server(elsewhere(opened, tmp_path)) as server:
        confirmed, statuses = storm(server, 400, 40)
        assert statuses.get(503, 0) > 0
        assert confirmed
        store = LabelStore(tmp_path / "review.sqlite")
        assert len(list(store.history())) == len(confirmed)
        store.close()
