"""What goes wrong in a decoder beyond an error costs one image."""

import os
import threading

import numpy as np
import pytest
from PIL import Image

import messy
from interrupts import interrupted
from oddlens.errors import SourceError, UnreadableImage
from oddlens.pixels import PixelFormat, read_pixels
from oddlens.reading import isolation
from oddlens.reading.isolation import decode_here, decode_isolated
from oddlens.reading.limits import Limits
from oddlens.sources import open_source

ISOLATED = Limits(isolate=True)


@pytest.fixture(autouse=True)
def _fresh():
    yield
    isolation._pool.stop()


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(messy.QUARTERS).save(path)
    return path


@pytest.fixture
def harm(tmp_path, monkeypatch):
    """Let every worker that starts from now on run some code when it decodes a file called harm.png."""
    def do(code):
        (tmp_path / "site").mkdir()
        (tmp_path / "site" / "sitecustomize.py").write_text(
            "import sys, os, time, ctypes, signal, subprocess\n"
            "def harm():\n" + "".join(f"    {line}\n" for line in code.splitlines()) +
            "def watch(event, arguments):\n"
            "    if event == 'open' and str(arguments[0]).endswith('harm.png'):\n"
            "        harm()\n"
            "if any('reading.worker' in word for word in sys.orig_argv):\n"
            "    sys.addaudithook(watch)\n")
        monkeypatch.syspath_prepend(str(tmp_path / "site"))
        Image.fromarray(messy.QUARTERS).save(tmp_path / "harm.png")
        return tmp_path / "harm.png"

    return do


def test_it_decodes_as_this_process_does(tmp_path):
    isolation._pool.stop()
    folder = messy.make(tmp_path / "photos")
    here, there = (read_pixels(open_source(folder, limits=limits), PixelFormat(20, 20, 3), jobs=2)
                   for limits in (Limits(), ISOLATED))
    assert np.array_equal(here.pixels, there.pixels)
    assert (here.names, here.unreadable) == (there.names, there.unreadable)
    assert np.array_equal(here.shapes, there.shapes)
    assert 1 <= len(isolation._pool.idle) <= 2, "workers are kept for the next image"


def test_what_lies_in_no_file_of_its_own_is_decoded_in_a_worker_too(photo):
    content = photo.read_bytes()
    for data in (content, bytes(100), content[:200], content):  # a broken one leaves the worker fit for the next
        answers = []
        for way in (decode_here, decode_isolated):
            try:
                image, shape = way(data, "x", 8, 0, ISOLATED)
                answers.append((image.tobytes(), shape))
            except UnreadableImage as error:
                answers.append(str(error))
        assert answers[0] == answers[1]
    small = Limits(memory=2**20, isolate=True)
    with pytest.raises(UnreadableImage, match="the file has 2 MiB; the limit of memory is 1 MiB"):
        decode_isolated(content + bytes(2**21), "x", None, 0, small)


@pytest.mark.parametrize(("code", "reason"), [
    ("os.kill(os.getpid(), signal.SIGSEGV)", "crashed (SIGSEGV)"), ("ctypes.string_at(0)", "crashed (SIGSEGV)"),
    ("os.abort()", "crashed (SIGABRT)"), ("os._exit(3)", "ended unasked (exit code 3)"),
    ("while True: pass", "took longer than 0.5 seconds"), ("time.sleep(1000)", "took longer than 0.5 seconds"),
    ("bytearray(2**33)", "too large for this machine's memory"),
])
def test_a_crash_or_a_runaway_costs_one_image(photo, harm, code, reason):
    harmful = harm(code)
    limits = Limits(isolate=True, seconds=0.5)
    with pytest.raises(UnreadableImage) as error:
        decode_isolated(harmful, "x", None, 0, limits)
    assert reason in str(error.value)
    assert np.array_equal(decode_isolated(photo, "x", None, 0, Limits(isolate=True))[0], messy.QUARTERS)


@pytest.mark.parametrize("code", [
    "subprocess.run(['touch', {place!r}])", "os.system('touch ' + {place!r})",
    "if os.fork() == 0:\n    os.mkdir({place!r})", "os.execvp('touch', ['touch', {place!r}])",
    "open({place!r}, 'w').write('x' * 10**6)",
])
def test_a_worker_starts_no_process_and_writes_no_file(photo, harm, tmp_path, code):
    place = tmp_path / "place"
    with pytest.raises(UnreadableImage):
        decode_isolated(harm(code.format(place=str(place))), "x", None, 0, ISOLATED)
    assert not place.exists() or place.stat().st_size == 0
    assert not place.is_dir()


def test_large_images_are_decoded_one_at_a_time_over_all_workers(photo, harm, monkeypatch):
    inside, most = 0, 0
    lock = threading.Lock()

    class Counting:
        def __enter__(self):
            nonlocal inside, most
            lock.acquire()
            inside += 1
            most = max(most, inside)

        def __exit__(self, *error):
            nonlocal inside
            inside -= 1
            lock.release()

    monkeypatch.setattr(isolation, "large_image", Counting())
    Image.new("L", (6000, 5500)).save(photo)
    image, shape = decode_isolated(photo, "x", 64, 0, ISOLATED)
    assert shape == (5500, 6000)
    assert min(image.shape[:2]) >= 128
    assert most == 1


def test_a_worker_imports_nothing_from_where_the_command_was_started(photo, tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise SystemExit(7)")
    (tmp_path / "PIL.py").write_text("raise SystemExit(7)")
    monkeypatch.chdir(tmp_path)
    assert decode_isolated(photo, "x", None, 0, ISOLATED)[1] == (32, 48)


def test_where_no_process_can_be_started_the_way_out_is_named(photo, monkeypatch):
    monkeypatch.setattr(isolation.sys, "executable", "/no/such/python")
    with pytest.raises(SourceError, match="--no-isolate"):
        decode_isolated(photo, "x", None, 0, ISOLATED)


def test_an_interrupt_leaves_no_worker_behind(photo, monkeypatch):
    worker = isolation._pool.take(ISOLATED)
    isolation._pool.give_back(worker)

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(worker, "decode", interrupt)
    with pytest.raises(KeyboardInterrupt):
        decode_isolated(photo, "x", None, 0, ISOLATED)
    assert worker.process.poll() is not None
    assert isolation._pool.idle == []


def test_a_source_decodes_as_its_limits_say(photo, monkeypatch):
    ways = []
    for name, way in (("decode_here", decode_here), ("decode_isolated", decode_isolated)):
        monkeypatch.setattr(isolation, name, lambda *a, name=name, way=way: ways.append(name) or way(*a))
    for limits in (None, Limits(), ISOLATED):
        open_source([photo, photo], limits=limits).read(0)
    assert ways == ["decode_here", "decode_here", "decode_isolated"]


RUNAWAY = """
import ctypes, sys
from oddlens import cli, run

def stuck(*a, **k):
    print("ready", flush=True)
    while True:  # as compiled code does that is not to be interrupted: it sleeps on
        ctypes.CDLL(None).sleep(1000)

run.rank_into = stuck
sys.argv = ["oddlens", "rank", {folder!r}]
cli.main()
"""


# A loop of ours, as detectors run them: here one without end.
KERNEL = """
import sys
import numpy as np
from oddlens import cli, kernels, run

@kernels.kernel
def stuck(numbers):
    while numbers[0] < 1:
        numbers[1] = 1 - numbers[1]

def forever(*a, **k):
    stuck(np.ones(2))  # compiled
    print("ready", flush=True)
    stuck(np.zeros(2))

run.rank_into = forever
sys.argv = ["oddlens", "rank", {folder!r}]
cli.main()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="signals of this kind are not there")
@pytest.mark.parametrize("runaway", [RUNAWAY, KERNEL])
def test_an_interrupt_ends_compiled_code_too(photo, runaway):
    code, told = interrupted(runaway.format(folder=str(photo.parent)), "ready")
    assert code == 130
    assert told.count("interrupted") == 1
    assert "Traceback" not in told
