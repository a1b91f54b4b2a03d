"""Attacks on the review page, each as another page of the same browser, or a program, would try it."""

import asyncio
import re

import pytest

from oddlens.review.guard import Guard
from oddlens.review.labels import LabelStore
from pages import Page
from runs import HOSTILE
from serving import Server, elsewhere


@pytest.fixture(scope="module")
def served(opened, tmp_path_factory):
    """One server for all attacks: none of them may leave a trace."""
    with Server(elsewhere(opened, tmp_path_factory.mktemp("attacked"))) as server:
        yield server


def said(server):
    store = LabelStore(server.folder / "review.sqlite")
    count = len(list(store.history()))
    store.close()
    return count


@pytest.mark.parametrize("headers", [
    {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "none"},
    {"Origin": "http://evil.example", "Sec-Fetch-Site": None}, {"Origin": "null", "Sec-Fetch-Site": None},
    {"Origin": "http://evil.example"}, {"Origin": None, "Sec-Fetch-Site": None},
    {"Origin": "http://127.0.0.1:1"}, {"Origin": "https://127.0.0.1"},
])
def test_what_another_site_sends_is_refused(served, headers):
    ada = served.client()
    for path, fields in (("label", {"row": 1, "label": "odd"}), ("undo", {}), ("name", {"who": "Eve"}),
                         ("triage", {"shown": 1, "row": 1, "do": "label"})):
        assert ada.post(path, fields, headers=headers).status == 403
    assert said(served) == 0


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example",
                                  "", "127.0.0.1@evil.example", "[::2]", "10.0.0.1", "evil.example/127.0.0.1"])
def test_a_foreign_host_is_refused(served, host):
    ada = served.client()
    assert ada.get("", host=host).status in (400, 421)
    assert ada.post("label", {"row": 1, "label": "odd"}, host=host,
                    headers={"Origin": f"http://{host}"}).status in (400, 421)
    assert said(served) == 0


def test_names_of_this_machine_are_taken(served):
    ada = served.client()
    for host in (f"127.0.0.1:{served.port}", f"localhost:{served.port}", f"LOCALHOST:{served.port}"):
        assert ada.get("", host=host).status == 200


def test_without_the_token_there_is_nothing(served):
    ada = served.client()
    token = served.base.strip("/")
    for base in ("/", "", "/x/", f"/{token[:-1]}/", f"/{token}x/", f"//{token}/", f"/{token.swapcase()}/", "/%2e%2e/"):
        answer = ada.get("picture/0", base=base or "/")
        assert answer.status == 404
        assert token not in answer.text
    assert len(token) >= 32


def test_parts_of_the_page_are_not_shown_in_others(served):
    ada = served.client()
    embedded = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    assert ada.get("picture/0", headers=embedded).status == 403
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert ada.get("", headers=followed).status == 200
    headers = served.client().get("").headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "samesite=strict" in headers["set-cookie"].lower()
    assert "httponly" in headers["set-cookie"].lower()


TRAVERSALS = ["../../../../etc/passwd", "..%2f..%2fetc%2fpasswd", "/etc/passwd", "....//etc/passwd", "%2e%2e/run.json",
              "..\\..\\run.json", "review.sqlite", "run.json%00", "-1", "1e9", "0x1", "1/../../run.json"]


@pytest.mark.parametrize("value", TRAVERSALS)
def test_no_parameter_leads_to_a_file(served, value):
    from urllib.parse import quote

    ada = served.client()
    for place in ("picture/", "small/", "heat/", "static/", "download/", "", "static/review.css/"):
        for text in (value, quote(value, safe="")):
            answer = ada.get(f"{place}{text}")
            assert answer.status in (400, 404, 405), f"{place}{text}"
            assert b"root:" not in answer.content
            assert b"SQLite" not in answer.content
            assert b"oddlens-run" not in answer.content
    for query in ("row", "cause", "label", "text", "page"):
        answer = ada.get(f"?{query}={quote(value, safe='')}")
        assert answer.status in (200, 400, 404)
        assert b"root:" not in answer.content
        assert ada.get(f"grid?{query}={quote(value, safe='')}").status in (200, 400, 404)
    for fields in ({"row": value, "label": "odd"}, {"row": 1, "label": value}):
        assert ada.post("label", fields).status in (400, 404)
    assert ada.post("triage", {"shown": value, "do": "label"}).status in (400, 404)
    assert said(served) == 0


def test_a_name_that_is_markup_is_shown_as_text(served, opened):
    ada = served.client()
    row = opened.row_of[HOSTILE]
    ada.post("name", {"who": "<script>alert(1)</script>"})
    for path in (f"?row={row}", "grid", "map", f"?row={row}&text=%3Cscript%3E", "export"):
        text = ada.get(path).text
        page = Page(text.replace("<!doctype html>", ""))
        assert all("onerror" not in attributes for _, attributes in page.tags)
        assert [a.get("src") for t, a in page.tags if t == "script"] != [None]
        assert all(a.get("src", "").startswith("static/") for t, a in page.tags if t == "script")
        assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
        assert not any("style" in attributes for _, attributes in page.tags), "the policy lets no style in a tag"
    assert HOSTILE in Page(ada.get(f"?row={row}").text.replace("<!doctype html>", "")).words


@pytest.mark.parametrize("body", [b"\xff\xfe\x00", b"row=1&label=\xff", b"row=" + b"9" * 60000, b"&" * 60000,
                                  b"row=%00&label=odd", b"row=1&row=&label=odd", b"label=odd"])
def test_nonsense_in_a_form_labels_nothing(served, body):
    ada = served.client()
    answer = ada.send("POST", "label", body, {"Origin": f"http://{served.host}", "X-Part": "stage"})
    assert answer.status in (200, 400, 404)
    assert said(served) == 0
    assert ada.get("").status == 200


def test_what_is_too_long_is_refused(served):
    ada = served.client()
    big = b"row=1&label=odd&x=" + b"x" * 70_000
    assert ada.send("POST", "label", big, {"Origin": f"http://{served.host}"}).status == 413
    assert ada.get(f"?text={'x' * 3000}").status == 414
    rows = "&".join(f"row={i}" for i in range(5000)).encode() + b"&label=odd"
    assert ada.send("POST", "label", rows, {"Origin": f"http://{served.host}"}).status in (400, 413)
    assert said(served) == 0


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "GET", "HEAD"])
def test_other_methods_change_nothing(served, method):
    ada = served.client()
    answer = ada.send(method, "label?row=1&label=odd", headers={"Origin": f"http://{served.host}"})
    assert answer.status in (400, 403, 404, 405)
    assert said(served) == 0


def test_the_guard_reads_the_first_of_nothing_twice():
    """Two Host headers, or a websocket, never get to the application."""
    reached, sent = [], []

    async def app(scope, receive, send):
        reached.append(scope)

    async def send(message):
        sent.append(message)

    guard = Guard(app, "token", ("127.0.0.1",))
    scope = {"type": "http", "method": "GET", "path": "/token/", "query_string": b"",
             "headers": [(b"host", b"127.0.0.1"), (b"host", b"evil.example")]}
    asyncio.run(guard(scope, None, send))
    asyncio.run(guard({**scope, "type": "websocket"}, None, send))
    assert not reached
    assert sent[0]["status"] == 421
    asyncio.run(guard({**scope, "headers": [(b"host", b"127.0.0.1")]}, None, send))
    assert reached[0]["path"] == "/"


def test_addresses_in_numbers_are_taken_only_where_that_was_asked_for():
    scope = {"type": "http", "method": "GET", "path": "/t/", "query_string": b"",
             "headers": [(b"host", b"10.1.2.3:80")]}
    for hosts, expected in ((("127.0.0.1",), 421), (("127.0.0.1", "*"), None)):
        statuses, reached = [], []

        async def send(message, statuses=statuses):
            statuses.append(message.get("status"))

        async def app(scope, receive, send, reached=reached):
            reached.append(1)

        asyncio.run(Guard(app, "t", hosts)(scope, None, send))
        assert (statuses[0] if statuses else None) == expected
        assert bool(reached) == (expected is None)


def test_the_token_is_in_no_answer(served):
    ada = served.client()
    token = served.base.strip("/")
    for path in ("", "grid", "map", "export", "download/labels.json", "static/review.js"):
        answer = ada.get(path)
        assert token not in answer.text
        assert not re.search(token, str(answer.headers))
