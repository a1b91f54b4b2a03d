"""What stands before the service: who may ask it for anything.

Where it listens on this machine alone, a web page of a stranger that is open in a browser here could try to reach it,
by a name of its own that leads to 127.0.0.1 (DNS rebinding) or by a form. Both are refused by what the browser says.
Where it listens to others it may have any name, and a token keeps strangers away.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from oddlens.review.guard import MOST_QUERY, headers_of, is_known, with_headers

OPEN = ("/health",)  # asked by what watches over the service, without the token; it says nothing of images
HEADERS = {"x-content-type-options": "nosniff", "cache-control": "no-store"}


class Gate:
    """Lets through who may ask.

    token:  that each request shows as ``Authorization: Bearer TOKEN``; None: none is asked for.
    hosts:  the names, in small letters and without port, that the service may be asked for by; None: any.
    """

    def __init__(self, app: ASGIApp, token: str | None, hosts: Collection[str] | None) -> None:
        self.app, self.token, self.hosts = app, token, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return

        refusal = self._refusal(scope)
        await (self.app if refusal is None else refusal)(scope, receive, with_headers(send, HEADERS))

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        """Why a request is not answered; None where it is."""
        found = headers_of(scope)
        hosts = found.get("host", [])
        if self.hosts is not None and (len(hosts) != 1 or not is_known(hosts[0], self.hosts)):
            return refused(421, "This service is not known by that name.")
        if found.get("sec-fetch-site", ["none"])[0] not in ("none", "same-origin"):
            return refused(403, "A page of another site asks for it.")
        if len(scope.get("query_string", b"")) > MOST_QUERY:
            return refused(414, "The address is too long.")
        if self.token is not None and scope["path"] not in OPEN:
            kind, _, shown = found.get("authorization", [""])[0].partition(" ")
            told = shown.strip().encode("utf-8", "replace")
            if kind.lower() != "bearer" or not hmac.compare_digest(told, self.token.encode()):
                return refused(401, "Show the token of this service: Authorization: Bearer TOKEN.",
                               {"www-authenticate": "Bearer"})
        return None


def refused(status: int, why: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """An answer that says why there is no other."""
    return JSONResponse({"error": why}, status, headers)
