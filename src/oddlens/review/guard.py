"""What stands before the review page: who may ask it for anything.

The page has no password but the random token in its address, and it is answered to this machine's browser alone. A web
page of a stranger that is open in the same browser could try to reach it: by a name of its own that leads to 127.0.0.1
(DNS rebinding), by sending forms (cross-site request forgery), or by showing it in a frame. Each is refused by what the
browser itself says of the request.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = ("default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; "
          "form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
HEADERS = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "same-origin",  # the address holds the token
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
MOST_QUERY = 2000  # characters of a query
READS = ("GET", "HEAD")


def with_headers(send: Send, headers: Mapping[str, str]) -> Send:
    """``send``, with headers that each answer has, where it does not say otherwise itself."""
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            names = {name.lower() for name, _ in message["headers"]}
            message["headers"] = [*message["headers"], *((name.encode(), value.encode())
                                  for name, value in headers.items() if name.encode() not in names)]
        await send(message)

    return sending


def headers_of(scope: Scope) -> dict[str, list[str]]:
    """A request's headers by their names in small letters; a name may come several times."""
    found: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return found


class Guard:
    """Lets through, without the token in its path, what comes from a page of ours.

    token:  the first part of each path.
    hosts:  the names, in small letters and without port, that the page may be asked for by; "*" for any address in
            numbers beside them.
    """

    def __init__(self, app: ASGIApp, token: str, hosts: Collection[str]) -> None:
        self.app, self.token, self.hosts = app, token, frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return

        sending = with_headers(send, HEADERS)
        if (refusal := self._refusal(scope)) is not None:
            await PlainTextResponse(refusal[1] + "\n", refusal[0])(scope, receive, sending)
            return
        _, _, rest = scope["path"][1:].partition("/")
        await self.app({**scope, "path": "/" + rest, "raw_path": None, "root_path": ""}, receive, sending)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Why a request is not answered, with its status; None where it is."""
        found = headers_of(scope)
        hosts = found.get("host", [])
        if len(hosts) != 1 or not is_known(hosts[0], self.hosts):
            return 421, "This page is not known by that name."
        if len(scope.get("query_string", b"")) > MOST_QUERY:
            return 414, "The address is too long."
        token, slash, _ = scope["path"][1:].partition("/")
        if not slash or not hmac.compare_digest(token.encode("utf-8", "replace"), self.token.encode()):
            return 404, "There is nothing here: open the address that oddlens review printed."
        site = found.get("sec-fetch-site", [""])[0]
        if scope["method"] in READS:
            # A person may follow a link to the page from anywhere; no other page may use its parts.
            navigates = found.get("sec-fetch-mode", [""])[0] == "navigate"
            return None if site in ("", "same-origin", "none") or navigates else (403, "Another site asks for it.")
        origin = found.get("origin", [""])[0]
        if site not in ("", "same-origin") or (origin and origin != f"http://{hosts[0]}") or not (site or origin):
            return 403, "It was not sent by this page."
        return None


def is_known(host: str, hosts: Collection[str]) -> bool:
    """Whether a Host header is one of the names that a page may be asked for by; see ``Guard``."""
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return False
    if name is None or "@" in host or "/" in host:
        return False
    if name in hosts:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return "*" in hosts
