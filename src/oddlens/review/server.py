"""Serving the review page on this machine: an address with a random token, until Ctrl-C."""

from __future__ import annotations

import getpass
import ipaddress
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oddlens import run_folder
from oddlens.errors import MissingExtra, OptionError
from oddlens.interruption import ended_by_interrupt
from oddlens.reading.limits import Limits
from oddlens.review.labels import LabelStore
from oddlens.review.opened_run import OpenedRun

if TYPE_CHECKING:
    from uvicorn import Server

LOCAL = ("127.0.0.1", "localhost", "::1")
MOST_AT_ONCE = 200  # requests that are answered at a time; others are told to come back
WAITING = 2048  # connections that wait to be taken
FINISHING_SECONDS = 2  # that requests under way have once the review is ended
LEAVING_SECONDS = 4  # the process is gone by then, whatever still runs: labels are on the disk already


@contextmanager
def serving(
    folder: str | Path | OpenedRun, *, images: Any = None, name: str | None = None, host: str = "127.0.0.1",
    port: int = 0, limits: Limits | None = None,
) -> Iterator[tuple[Server, socket.socket, str]]:
    """A server that is ready to run, the socket that it is to listen on, and the address to open.

    folder:  of a finished run, or one that is open already.
    images:  where its images are now, if they were moved.
    name:    what the person is called; by default the name of the account.
    port:    0: any that is free.
    Raises ``MissingExtra`` without ``oddlens[review]``, ``SavedModelError`` for a folder that cannot be reviewed.
    """
    try:
        import uvicorn
    except ImportError as error:
        raise MissingExtra.named("uvicorn", "review", "The review page") from error
    try:
        import starlette  # noqa: F401  said before anything is loaded
    except ImportError as error:
        raise MissingExtra.named("starlette", "review", "The review page") from error
    from oddlens.review.application import Review

    run = folder if isinstance(folder, OpenedRun) else OpenedRun(folder, images, limits)
    listening = listen(host, port)
    try:
        store = LabelStore(run.folder / run_folder.LABELS)
        try:
            review = Review(run, store, account() if name is None else name)
            token = secrets.token_urlsafe(24)
            config = uvicorn.Config(
                review.application(token, hosts(host)), log_level="error", access_log=False, http="h11", ws="none",
                limit_concurrency=MOST_AT_ONCE, backlog=WAITING, timeout_graceful_shutdown=FINISHING_SECONDS,
                server_header=False)
            shown = f"[{host}]" if ":" in host else host
            try:
                yield (uvicorn.Server(config), listening,
                       f"http://{shown}:{listening.getsockname()[1]}/{token}/")
            finally:
                review.close()
        finally:
            store.close()
    finally:
        listening.close()


def review(folder: str | Path, say: Callable[[str], None], **options: Any) -> None:
    """Serve the page until Ctrl-C. ``say`` is told where it is to be opened; options as of ``serving``."""
    with serving(folder, **options) as (server, listening, address):
        host = options.get("host", "127.0.0.1")
        if not is_local(host):
            say(f"Warning: everybody who can reach {host} and knows the address below can see the images and label "
                "them, and what is sent is not encrypted. On a machine of your own, leave --host away; from another, "
                "use a tunnel: ssh -L.")
        labels = folder.folder if isinstance(folder, OpenedRun) else Path(folder)
        with ended_by_interrupt(f"The review has ended. Labels are saved in {labels / run_folder.LABELS}; the same "
                                "command goes on with it.", say, LEAVING_SECONDS,
                                partial(setattr, server, "should_exit", True)):
            say(f"Open {address}")
            say("Each label is saved as it is given. Ctrl-C ends the review; the same command goes on with it.")
            server.run(sockets=[listening])


def listen(host: str, port: int) -> socket.socket:
    """A socket at an address; ``OptionError`` where it is taken or is none."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(WAITING)
    except (OSError, OverflowError) as error:
        found.close()
        reason = getattr(error, "strerror", None) or error
        raise OptionError(f"Cannot listen on {host}, port {port}: {reason}. Choose another with --port, or leave it "
                          "away to take one that is free.") from error
    return found


def is_local(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def hosts(host: str) -> tuple[str, ...]:
    """The names that the page may be asked for by, where it listens on ``host``."""
    if is_local(host):
        return tuple({*LOCAL, host})
    return (*LOCAL, host.lower(), socket.gethostname().lower(), "*")


def account() -> str:
    """The name of the account, if it has one."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
