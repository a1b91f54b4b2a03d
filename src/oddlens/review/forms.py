"""What a request says, read within bounds: the fields of a form and the filter in an address."""

from __future__ import annotations

from urllib.parse import parse_qs

from starlette.exceptions import HTTPException
from starlette.requests import Request

from oddlens.review.labels import LABELS, MOST_IN_A_STROKE
from oddlens.review.queue import Filter

MOST_BODY = 65_536  # bytes of a form
LONGEST_FILTER = 200  # characters of a name that is looked for


class Form:
    """What a form said, within bounds."""

    def __init__(self, values: dict[str, list[str]]) -> None:
        self._values = values

    @classmethod
    async def of(cls, request: Request) -> Form:
        """Of a request; refused where it is longer than a form of ours."""
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > MOST_BODY:
                raise HTTPException(413, "That is too much for one form.")
        try:
            return cls(parse_qs(body.decode("ascii"), keep_blank_values=True, max_num_fields=2 * MOST_IN_A_STROKE))
        except ValueError as error:
            raise HTTPException(400, "That is no form of this page.") from error

    def one(self, name: str) -> str:
        """The value of a field; empty where there is none."""
        return self._values.get(name, [""])[0]

    def rows(self, name: str) -> list[int]:
        """All values of a field as numbers of images."""
        values = self._values.get(name, [])
        if not all(value.isascii() and value.isdecimal() and len(value) < 12 for value in values):
            raise HTTPException(400, "An image is named by its number.")
        return list(dict.fromkeys(map(int, values)))[:MOST_IN_A_STROKE]


def asked(request: Request) -> Filter:
    """The filter that an address holds."""
    values = request.query_params
    label = values.get("label", "")
    return Filter(values.get("cause", "")[:LONGEST_FILTER], label if label in (*LABELS, "any") else "",
                  values.get("text", "")[:LONGEST_FILTER])


def number(text: str | None, otherwise: int | None) -> int | None:
    """A number of an image or a page, or what stands for none."""
    if text is None or text == "":
        return otherwise
    if not (text.isascii() and text.isdecimal() and len(text) < 12):
        raise HTTPException(400, "That is no number.")
    return int(text)
