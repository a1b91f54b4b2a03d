import builtins
import http.client
import json
import socket
import sys
import threading
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from interrupts import command, ended
from oddlens.errors import MissingExtra, OptionError, SavedModelError
from oddlens.service.scorer import Upload
from oddlens.service.server import serve, serving


@pytest.mark.parametrize("package", ["uvicorn", "starlette"])
def test_without_the_extra_it_says_how_to_get_it(finished, monkeypatch, package):
    importing = builtins.__import__

    def without(name, *rest, **options):
        if name.split(".")[0] == package:
            raise ImportError(name, name=package)
        return importing(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match=rf"{package}.*oddlens\[review\]"), serving(finished / "run", port=0):
        pass


def test_what_cannot_be_served_is_said(finished, tmp_path):
    with pytest.raises(SavedModelError), serving(tmp_path, port=0):
        pass
    for token in ("", " a", "a b\n", "ü"):
        with pytest.raises(OptionError, match="token"), serving(finished / "run", port=0, token=token):
            pass
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OptionError, match="--port"), serving(finished / "run", port=taken.getsockname()[1]):
            pass


@pytest.mark.parametrize(("options", "words"), [({"host": "0.0.0.0"}, "everybody"),
                                                ({"host": "0.0.0.0", "token": "t"}, "not encrypted"), ({}, "")])
def test_another_address_is_warned_of(finished, monkeypatch, options, words):
    said = []
    monkeypatch.setattr("uvicorn.Server.run", lambda self, sockets: None)
    serve(finished / "run", said.append, port=0, n_jobs=1, **options)
    assert words in said[0]
    assert any("Warning" in line for line in said) == (len(options) == 1)
    assert sum(line.startswith("Send images to http://") for line in said) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="signals are another thing there")
def test_ctrl_c_ends_it_and_is_no_failure(finished):
    code, told, complaint = ended(command("serve", finished / "run", "--port", "0"), "Send images to http://")
    assert (code, told) == (0, "The service has ended. No image was kept; the same command starts it again.\n")
    assert complaint.strip() == ""


def test_it_answers_over_a_socket_and_leaves_no_thread(finished, scorer, photos):
    with ExitStack() as stack:
        server, listening, address = stack.enter_context(serving(finished / "run", port=0, n_jobs=1, token="t"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
            connection.request("POST", "/score?name=strange.png", photos["strange.png"],
                               {"Content-Type": "image/png", "Authorization": "Bearer t"})
            answer = connection.getresponse()
            assert answer.status == 200
            assert json.load(answer)["images"] == scorer.score([Upload("strange.png", photos["strange.png"])])
            connection.close()
        finally:
            server.should_exit = True
            thread.join()
    assert not [each for each in threading.enumerate() if each.name.startswith("oddlens-score")
                and each.is_alive() and not each.daemon]
