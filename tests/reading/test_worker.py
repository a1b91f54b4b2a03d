"""The process that decodes for another: what it answers. How it is used, and killed, is in test_isolation.py."""

import json
import struct
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from oddlens.reading import worker


@pytest.fixture
def process():
    started = subprocess.Popen([sys.executable, "-m", "oddlens.reading.worker", str(2**30), "30"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert started.stdout.read(1) == worker.READY
    yield started
    started.stdin.close()
    assert started.wait(30) == 0
    started.stdout.close()


def ask(process, path, side=None):
    process.stdin.write((json.dumps({"path": str(path), "side": side, "page": 0}) + "\n").encode())
    process.stdin.flush()
    return process.stdout.read(1)


def test_it_answers_with_images_and_with_reasons_one_after_the_other(process, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no image")
    for _ in range(2):
        assert ask(process, tmp_path / "a.png") == b"="
        assert worker.RESULT.unpack(process.stdout.read(worker.RESULT.size)) == (6, 9, 3, 6, 9)
        assert process.stdout.read(pixels.size) == pixels.tobytes()
        assert ask(process, tmp_path / "b.png") == b"-"
        (length,) = struct.unpack("<q", process.stdout.read(8))
        assert process.stdout.read(length).decode() == "text, not an image"


@pytest.mark.parametrize("event", ["subprocess.Popen", "os.exec", "os.fork", "os.posix_spawn", "os.system",
                                   "socket.connect"])
def test_no_other_process_and_no_network(event):
    with pytest.raises(RuntimeError, match=f"decoding an image does not {event}"):
        worker._refuse(event, ())


def test_reading_goes_on():
    assert worker._refuse("open", ("x.png", "r", 0)) is None
