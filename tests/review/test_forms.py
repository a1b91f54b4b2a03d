import asyncio

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from oddlens.review.forms import Form, asked, number
from oddlens.review.queue import Filter


def request(query="", body=(b"",)):
    pieces = list(body)

    async def receive():
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "query_string": query.encode()}
    return Request(scope, receive)


def test_a_form_is_read_piece_by_piece():
    form = asyncio.run(Form.of(request(body=(b"row=1&ro", b"w=22&label=odd&who=a%20b"))))
    assert form.rows("row") == [1, 22]
    assert form.one("label") == "odd"
    assert form.one("who") == "a b"
    assert form.one("nothing") == ""
    assert form.rows("nothing") == []


@pytest.mark.parametrize("value", ["-1", "1.5", "²", "", "1" * 12, "../1"])
def test_a_row_is_a_number(value):
    with pytest.raises(HTTPException) as raised:
        Form({"row": [value]}).rows("row")
    assert raised.value.status_code == 400


def test_a_form_that_never_ends_is_cut_off():
    with pytest.raises(HTTPException) as raised:
        asyncio.run(Form.of(request(body=(b"x" * 40_000,) * 3)))
    assert raised.value.status_code == 413


def test_a_filter_is_read_within_bounds():
    assert asked(request("cause=dark&label=odd&text=a")) == Filter("dark", "odd", "a")
    assert asked(request("label=nonsense")) == Filter()
    assert len(asked(request(f"text={'x' * 1000}")).text) == 200


def test_a_number_or_none():
    assert number("12", None) == 12
    assert number("", 3) == 3
    assert number(None, None) is None
    with pytest.raises(HTTPException):
        number("x", None)
