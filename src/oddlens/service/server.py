"""Serving a model on this machine, or to others, until Ctrl-C."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oddlens.errors import MissingExtra, OptionError
from oddlens.interruption import ended_by_interrupt
from oddlens.reading.limits import Limits
from oddlens.review.server import hosts, is_local, listen

if TYPE_CHECKING:
    import socket

    from uvicorn import Server

PORT = 8000
MOST_CONNECTIONS = 256  # beyond them uvicorn itself says 503
BACKLOG = 2048  # connections that wait to be taken
FINISHING_SECONDS = 5  # that requests under way have once the service is ended
LEAVING_SECONDS = 8  # the process is gone by then, whatever still runs


@contextmanager
def serving(
    path: str | Path, *, host: str = "127.0.0.1", port: int = PORT, token: str | None = None,
    limits: Limits | None = None, n_jobs: int | None = None, **bounds: Any,
) -> Iterator[tuple[Server, socket.socket, str]]:
    """A server that is ready to run, the socket that it is to listen on, and its address.

    path:    of a run or a saved model.
    port:    0: any that is free.
    token:   that each request has to show.
    bounds:  of ``application.Service``: most_bytes, most_inside, seconds.
    Raises ``MissingExtra`` without ``oddlens[review]``, ``SavedModelError`` for what holds no model.
    """
    try:
        import starlette  # noqa: F401  said before anything is loaded
        import uvicorn
    except ImportError as error:
        raise MissingExtra.named(error.name or "uvicorn", "review", "The service") from error
    from oddlens.service.application import Service
    from oddlens.service.scorer import Scorer

    if token is not None and not (token.isascii() and token.isprintable() and token.strip() == token != ""):
        raise OptionError("The token of a service is made of ASCII characters without spaces around them, got another; "
                          "choose one like: python -c 'import secrets; print(secrets.token_urlsafe(24))'.")
    listening = listen(host, port)
    try:
        scorer = Scorer(path, n_jobs=n_jobs, limits=limits)
        scorer.warm()
        service = Service(scorer, **bounds)
        try:
            config = uvicorn.Config(
                service.application(token, hosts(host) if is_local(host) else None), log_level="error",
                access_log=False, http="h11", ws="none", limit_concurrency=MOST_CONNECTIONS, backlog=BACKLOG,
                timeout_graceful_shutdown=FINISHING_SECONDS, server_header=False)
            shown = f"[{host}]" if ":" in host else host
            yield uvicorn.Server(config), listening, f"http://{shown}:{listening.getsockname()[1]}/"
        finally:
            service.close()
    finally:
        listening.close()


def serve(path: str | Path, say: Callable[[str], None], **options: Any) -> None:
    """Serve until Ctrl-C. ``say`` is told where; options as of ``serving``."""
    with serving(path, **options) as (server, listening, address):
        host = options.get("host", "127.0.0.1")
        if not is_local(host):
            if options.get("token") is None:
                say(f"Warning: everybody who can reach {host} can have images scored: give a token with --token or "
                    "ODDLENS_TOKEN.")
            say("What is sent is not encrypted: put a proxy with TLS before it where the network is not your own.")
        with ended_by_interrupt("The service has ended. No image was kept; the same command starts it again.", say,
                                LEAVING_SECONDS, partial(setattr, server, "should_exit", True)):
            say(f"Send images to {address}score; {address}openapi.json says how. Ctrl-C ends it.")
            server.run(sockets=[listening])
