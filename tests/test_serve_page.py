"""The page on the service: every example on it is run, as a reader would paste it, against a service of its own."""

import re
import shlex
import shutil
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
from click.testing import CliRunner

import runs
from oddlens.cli import cli
from oddlens.explaining import orientation
from oddlens.service.bodies import MOST_IMAGES
from oddlens.service.openapi import document
from oddlens.service.server import PORT, serving

PAGE = (Path(__file__).parent.parent / "docs" / "serve.md").read_text()
TOKEN = "a-token"


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(orientation, "EPOCHS", 0)
        patch.setattr(orientation, "FEWEST_STEPS", 10)
        place = runs.make(tmp_path_factory.mktemp("page"))
    (place / "new").mkdir()
    for name, content in runs.new_photos(place / "photos").items():
        (place / "new" / name).write_bytes(content)
    return place


@pytest.fixture(scope="module", params=[None, TOKEN])
def port(place, request):
    with ExitStack() as stack:
        server, listening, _ = stack.enter_context(serving(place / "run", port=0, n_jobs=1, token=request.param))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield listening.getsockname()[1], request.param
        server.should_exit = True
        thread.join()


def test_the_examples_run(place, port):
    number, token = port
    commands = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("curl")
                and ("ODDLENS_TOKEN" in line) == (token is not None)]
    assert len(commands) == (6 if token is None else 1)
    for line in commands if shutil.which("curl") else ():
        made = shlex.split(line.replace(str(PORT), str(number)).replace("$ODDLENS_TOKEN", TOKEN))
        done = subprocess.run([made[0], "--fail-with-body", "-sS", *made[1:]], cwd=place, capture_output=True,
                              text=True)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    if token is None:
        [code] = blocks("python")
        (place / "heat.png").unlink(missing_ok=True)
        done = subprocess.run([sys.executable, "-c", code.replace(str(PORT), str(number))], cwd=place,
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert re.match(r"\d+\.\d+ 0\.00\d+ True 1 of 62 ", done.stdout)
        assert (place / "heat.png").read_bytes().startswith(b"\x89PNG")


def test_the_commands_are_taken(place, monkeypatch):
    served = []
    monkeypatch.setattr("oddlens.service.server.serve", lambda path, say, **options: served.append((path, options)))
    monkeypatch.setenv("ODDLENS_TOKEN", TOKEN)
    for line in (line for block in blocks("sh") for line in block.splitlines() if line.startswith("oddlens serve")):
        assert CliRunner().invoke(cli, shlex.split(line)[1:], catch_exceptions=False).exit_code == 0
    assert [(str(path), options["host"], options["token"]) for path, options in served] == [
        ("run", "127.0.0.1", TOKEN), ("run", "0.0.0.0", TOKEN)]
    assert served[0][1]["most_bytes"] == 32 * 2**20
    assert (served[0][1]["most_inside"], served[0][1]["seconds"], served[0][1]["limits"].isolate) == (16, 60, True)


def test_the_page_says_what_the_document_says():
    told = document(views=[], heat=True, token=True, most_bytes=1)
    for path, each in told["paths"].items():
        for method, operation in each.items():
            assert f"`{method.upper()} {path}`" in PAGE
            for status in operation["responses"]:
                assert status in PAGE, status
    assert f"up to {MOST_IMAGES} as" in PAGE
    for field in told["components"]["schemas"]["Image"]["properties"]:
        assert f"`{field}`" in PAGE or field == "name"
