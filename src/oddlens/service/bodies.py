"""The images in the body of a request: one as it is, or several in a form, within bounds and in memory only.

The usual parsers of forms keep large parts in temporary files; here no image is ever written to a disk, so the form is
taken apart where it lies.
"""

from __future__ import annotations

import re
from email.message import Message

from starlette.exceptions import HTTPException
from starlette.requests import Request

from oddlens.service.scorer import Upload

MOST_IMAGES = 64  # in one request
LONGEST_NAME = 200  # characters
LONGEST_HEAD = 8192  # bytes of the headers of a part
RAW = ("application/octet-stream", "application/dicom")  # beside image/*
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")  # RFC 2046


async def uploads(request: Request, most_bytes: int) -> list[Upload]:
    """The images that a request holds; refused by an ``HTTPException`` that says why."""
    kind = Message()
    kind["content-type"] = request.headers.get("content-type", "application/octet-stream")
    several = kind.get_content_type() == "multipart/form-data"
    if not several and kind.get_content_maintype() != "image" and kind.get_content_type() not in RAW:
        raise HTTPException(415, f"A body of {kind.get_content_type()[:60]} is no image: send the file as "
                            "application/octet-stream, or several as multipart/form-data.")
    content = await body(request, most_bytes)
    if not content:
        raise HTTPException(400, "The request has no body: send an image file.")
    if several:
        return parts(content, kind.get_boundary() or "")
    return [Upload(request.query_params.get("name", "image")[:LONGEST_NAME] or "image", content)]


async def body(request: Request, most_bytes: int) -> bytes:
    """The whole body, if it is no longer than it may be."""
    refused = HTTPException(413, f"The body is longer than {most_bytes:,} bytes, which is the most that is taken.")
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdecimal() and int(length[:20]) > most_bytes:
        raise refused
    content = bytearray()
    async for piece in request.stream():
        content += piece
        if len(content) > most_bytes:
            raise refused
    return bytes(content)


def parts(content: bytes, boundary: str) -> list[Upload]:
    """The parts of a form, each an image called by its file's name, else by its field's."""
    if not _BOUNDARY.fullmatch(boundary):
        raise HTTPException(400, "The form does not say, or not soundly, what separates its parts (boundary).")
    line = b"\r\n--" + boundary.encode()
    pieces = (b"\r\n" + content).split(line, MOST_IMAGES + 2)
    if len(pieces) > MOST_IMAGES + 2:
        raise HTTPException(413, f"More than {MOST_IMAGES} images in one request: send them in several.")
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise HTTPException(400, "The form is cut short or not made as multipart/form-data is: its last separator is "
                            "missing.")
    found: list[Upload] = []
    for piece in pieces[1:-1]:
        padding, _, rest = piece.partition(b"\r\n")
        head, separator, image = (b"\r\n" + rest).partition(b"\r\n\r\n")
        if padding.strip(b" \t") or not separator or len(head) > LONGEST_HEAD:
            raise HTTPException(400, f"Part {len(found) + 1} of the form has no sound headers.")
        found.append(Upload(_name(head) or f"image {len(found) + 1}", image))
    if not found:
        raise HTTPException(400, "The form has no parts: send at least one image.")
    return found


def _name(head: bytes) -> str:
    """What the headers of a part call its file, or its field."""
    for line in head.decode("utf-8", "replace").split("\r\n"):
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-disposition":
            said = Message()
            said["content-disposition"] = " ".join(value.split())
            field = said.get_param("name", "", "content-disposition")
            return (said.get_filename() or (field if isinstance(field, str) else ""))[:LONGEST_NAME]
    return ""
