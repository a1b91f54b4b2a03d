import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.exceptions import HTTPException
from starlette.requests import Request

from oddlens.service.bodies import MOST_IMAGES, body, parts, uploads
from oddlens.service.scorer import Upload


def form(*pieces, boundary="AaB03x"):
    made = b"".join(b"--" + boundary.encode() + b"\r\nContent-Disposition: form-data; " + head + b"\r\n\r\n" + content
                    + b"\r\n" for head, content in pieces)
    return made + b"--" + boundary.encode() + b"--\r\n"


def request(*pieces, kind=None, length=None, query=b""):
    """A request whose body comes in these pieces."""
    left = list(pieces)

    async def receive():
        piece = left.pop(0) if left else b""
        return {"type": "http.request", "body": piece, "more_body": bool(left)}

    headers = [(name, value.encode()) for name, value in ((b"content-type", kind), (b"content-length", length))
               if value is not None]
    return Request({"type": "http", "method": "POST", "path": "/score", "headers": headers, "query_string": query},
                   receive)


def taken(*pieces, most=10_000, **options):
    return asyncio.run(uploads(request(*pieces, **options), most))


NAMES = st.text("abc.é ü", min_size=1, max_size=20).map(str.strip).filter(bool)


@given(st.lists(st.tuples(NAMES, st.binary(max_size=200)), min_size=1, max_size=5))
def test_every_file_comes_out_as_it_was(files):
    body = form(*((f'name="image"; filename="{name}"'.encode(), content) for name, content in files))
    assert parts(body, "AaB03x") == [Upload(" ".join(name.split()), content) for name, content in files]


@given(st.binary(max_size=300), st.sampled_from(["A", "AaB03x", "", "\r\n", "a b"]))
def test_what_is_no_form_is_refused_and_never_fails(content, boundary):
    try:
        assert all(isinstance(upload, Upload) for upload in parts(content, boundary))
    except HTTPException as error:
        status = error.status_code
    else:
        status = 400
    assert status in (400, 413)


def test_a_part_is_called_by_its_file_or_else_its_field():
    found = parts(form((b'name="one"', b"1"), (b'name="two"; filename="a;b.png"\r\nContent-Type: image/png', b"2"),
                       (b"nothing", b"3"), (b"name*=utf-8''x; filename*=utf-8''%C3%BC.png", b"4")), "AaB03x")
    assert [upload.name for upload in found] == ["one", "a;b.png", "image 3", "ü.png"]
    assert parts(form((b'name="' + b"x" * 900 + b'"', b"1")), "AaB03x")[0].name == "x" * 200


@pytest.mark.parametrize(("content", "boundary", "status", "words"), [
    (form((b'name="a"', b"1")), "", 400, "boundary"),
    (form((b'name="a"', b"1")), "other", 400, "last separator"),
    (form((b'name="a"', b"1"))[:-6], "AaB03x", 400, "cut short"),
    (form(), "AaB03x", 400, "no parts"),
    (b"--AaB03x\r\nno headers end here\r\n--AaB03x--", "AaB03x", 400, "Part 1"),
    (form((b'name="' + b"x" * 9000 + b'"', b"1")), "AaB03x", 400, "Part 1"),
    (form(*[(b'name="a"', b"1")] * (MOST_IMAGES + 1)), "AaB03x", 413, "in several"),
])
def test_an_unsound_form_is_refused_with_the_reason(content, boundary, status, words):
    with pytest.raises(HTTPException, match=words) as refusal:
        parts(content, boundary)
    assert refusal.value.status_code == status


def test_as_many_images_as_may_be_are_taken():
    assert len(parts(form(*[(b'name="a"', b"1")] * MOST_IMAGES), "AaB03x")) == MOST_IMAGES


def test_one_image_is_the_body_itself():
    assert taken(b"ab", b"cd", kind="image/png", query=b"name=x.png") == [Upload("x.png", b"abcd")]
    assert taken(b"abcd", kind="application/octet-stream; x=y") == [Upload("image", b"abcd")]
    assert taken(b"abcd") == [Upload("image", b"abcd")], "what says nothing of its kind is looked at"
    assert taken(form((b'name="a"', b"1")), kind="multipart/form-data; boundary=AaB03x") == [Upload("a", b"1")]


@pytest.mark.parametrize(("pieces", "options", "status"), [
    ([b"x"], {"kind": "application/x-www-form-urlencoded"}, 415),
    ([b"x"], {"kind": "application/json"}, 415),
    ([], {}, 400),
    ([b"x" * 60, b"x" * 60], {"most": 100}, 413),
    ([b"x"], {"most": 100, "length": "101"}, 413),
    ([b"x"], {"most": 100, "length": "9" * 5000}, 413),
])
def test_what_is_not_taken_is_refused(pieces, options, status):
    with pytest.raises(HTTPException) as refusal:
        taken(*pieces, **options)
    assert refusal.value.status_code == status


def test_no_more_is_received_than_is_taken():
    received = []

    async def receive():
        received.append(1)
        return {"type": "http.request", "body": b"x" * 100, "more_body": True}

    endless = Request({"type": "http", "method": "POST", "path": "/score", "headers": []}, receive)
    with pytest.raises(HTTPException, match="1,000 bytes"):
        asyncio.run(body(endless, 1000))
    assert len(received) == 11
