"""The review page as an application: what is asked for by which address, and what is answered.

Pages are made here, whole, and work without a script; the script asks for the same pages and puts their middle in
place, so that a label costs no new page. Images are asked for by their numbers only.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from oddlens.errors import OddlensError, SourceError, UnreadableImage
from oddlens.report.html import visible
from oddlens.review import exports, views
from oddlens.review.forms import Form, asked, number
from oddlens.review.guard import Guard
from oddlens.review.labels import LABELS, LabelStore
from oddlens.review.opened_run import OpenedRun
from oddlens.review.overview import Overview
from oddlens.review.pictures import Busy, Encoded, Pictures
from oddlens.review.queue import Filter, Queue

STATIC = Path(__file__).parent / "static"
KINDS = {"review.css": "text/css", "review.js": "text/javascript", "grid.js": "text/javascript",
         "map.js": "text/javascript", "icon.svg": "image/svg+xml"}
PLACES = {"review.html": "./", "grid.html": "grid", "map.html": "map", "export.html": "export"}  # where each page is
COOKIE = "oddlens"
GRID = 50  # images at once
PICTURE_SECONDS = 3600  # that a browser may keep a picture


class Review:
    """A run under review: what its pages have in common. Close it when done.

    name:  what a person is called who does not say otherwise.
    """

    def __init__(self, run: OpenedRun, store: LabelStore, name: str = "") -> None:
        self.run, self.store, self.name = run, store, name
        self.queue = Queue(run, store)
        self.pictures = Pictures(run)
        self.overview = Overview(run)
        self.static = {name: (STATIC / name).read_bytes() for name in KINDS}

    def close(self) -> None:
        """End the threads; what was said is on the disk already."""
        self.queue.close()

    def application(self, token: str, hosts: Sequence[str]) -> ASGIApp:
        """The application behind its guard; see ``Guard`` for ``token`` and ``hosts``."""
        app = Starlette(routes=[
            Route("/", self._page(self._review)),
            Route("/grid", self._page(self._grid)),
            Route("/map", self._page(self._map)),
            Route("/export", self._page(self._export)),
            Route("/label", self._said(self._label), methods=["POST"]),
            Route("/triage", self._said(self._triage), methods=["POST"]),
            Route("/undo", self._said(self._undo), methods=["POST"]),
            Route("/name", self._said(self._call), methods=["POST"]),
            Route("/picture/{row:int}", self._picture(self.pictures.full)),
            Route("/small/{row:int}", self._picture(self.pictures.thumbnail)),
            Route("/heat/{row:int}", self._picture(self.pictures.heat)),
            Route("/static/{name}", self._file),
            Route("/download/{name}", self._download),
        ], exception_handlers={HTTPException: _refused, OddlensError: _failed})
        return Guard(app, token, hosts)

    # Pages

    def _review(self, request: Request, session: str) -> str:
        return self._stage(session, self.who(session), asked(request), number(request.query_params.get("row"), None))

    def _stage(self, session: str, who: str, wanted: Filter, row: int | None) -> str:
        """The page of one image: the one that is asked for, or the next."""
        self.queue.refresh()
        if row is not None:
            self._require(row)

        def choose(others: Any) -> list[str]:
            self.queue.refresh()
            found = [row] if row is not None else self.queue.matching(wanted, others)[:1].tolist()
            return [self.run.ranking.names[each] for each in found]

        names = self.store.hand_out(session, who, choose)
        shown = self.run.row_of[names[0]] if names else None
        stage = None if shown is None else views.stage(self.run, self.queue, self.store, session, wanted, shown)
        return self._filled("review.html", session, wanted, stage=stage)

    def _grid(self, request: Request, session: str) -> str:
        wanted, page = asked(request), number(request.query_params.get("page"), 0) or 0
        start = min(page, len(self.run) // GRID) * GRID

        def choose(others: Any) -> list[str]:
            self.queue.refresh()
            return [self.run.ranking.names[row] for row in self.queue.matching(wanted, others)[start : start + GRID]]

        names = self.store.hand_out(session, self.who(session), choose)
        tiles = [views.tile(self.run, self.queue, self.run.row_of[name]) for name in names]
        total = len(self.queue.matching(wanted))
        return self._filled("grid.html", session, wanted, tiles=tiles, page=start // GRID, start=start, total=total)

    def _map(self, request: Request, session: str) -> str:
        self.queue.refresh()
        points = self.overview.points(self.queue)
        return self._filled("map.html", session, asked(request), points=points)

    def _export(self, request: Request, session: str) -> str:
        self.queue.refresh()
        counts = {label: sum(said.label == label for said in self.store.current().values()) for label in LABELS}
        return self._filled("export.html", session, asked(request), counts=counts, formats=exports.FORMATS,
                            folder=str(self.run.folder))

    def _filled(self, template: str, session: str, wanted: Filter, **values: Any) -> str:
        progress = self.queue.progress()
        if self.run.fault is not None:
            raise self.run.fault
        return views.fill(
            template, at=PLACES[template], asked=wanted, here=lambda **more: views.query(wanted, **more),
            who=self.who(session), progress=progress,
            chart=views.chart(progress), estimate=views.estimate_words(progress),
            learned=views.learned_words(self.queue.learned), causes=self.run.cause_counts,
            copies=self.run.copies, total_images=len(self.run),
            title=str(self.run.summary.get("images", "")), ranking=self.run.identity, **values)

    # What is said

    def _label(self, form: Form, session: str, wanted: Filter) -> str:
        rows = form.rows("row")
        for row in rows:
            self._require(row)
        self._say(rows, form.one("label"), session)
        return self._stage(session, self.who(session), wanted, None)

    def _triage(self, form: Form, session: str, wanted: Filter) -> str:
        """Of a page of the grid, those that are ticked are odd and the others normal; or all are left undecided."""
        shown, ticked = form.rows("shown"), set(form.rows("row"))
        for row in shown:
            self._require(row)
        if form.one("do") == "skip":
            self._say(shown, "skip", session)
        else:
            standing = self.store.current()
            for label, rows in (("odd", [row for row in shown if row in ticked]),
                                ("normal", [row for row in shown if row not in ticked])):
                changed = [row for row in rows if (said := standing.get(self.run.ranking.names[row])) is None
                           or said.label != label]
                if changed:
                    self._say(changed, label, session)
        return f"grid{views.query(wanted)}"

    def _undo(self, form: Form, session: str, wanted: Filter) -> str:
        names = self.store.undo(session, who=self.who(session), ranking=self.run.identity)
        rows = [self.run.row_of[name] for name in names if name in self.run.row_of]
        if form.one("then") == "grid":
            return f"grid{views.query(wanted)}"
        return self._stage(session, self.who(session), wanted, rows[0] if rows else None)

    def _call(self, form: Form, session: str, wanted: Filter) -> str:
        self.store.call(session, form.one("who"))
        return f"./{views.query(wanted)}"

    def _say(self, rows: Sequence[int], label: str, session: str) -> None:
        if label not in LABELS:
            raise HTTPException(400, f"There is no label {label[:20]!r}: it is odd, normal or skip.")
        if not rows:
            return
        names = [self.run.ranking.names[row] for row in rows]
        self.store.say(names, label, who=self.who(session), session=session, ranking=self.run.identity,
                       digests={name: self.run.provenance.origins[row].sha256
                                for name, row in zip(names, rows, strict=True)})
        self.queue.refresh()

    def who(self, session: str) -> str:
        """What the person of a session is called."""
        return self.store.called(session) or self.name or "someone"

    # Answers

    def _page(self, make: Callable[[Request, str], str]) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            session, known = _session(request)
            return _with_session(HTMLResponse(make(request, session)), session, known)

        return answer

    def _said(self, take: Callable[[Form, str, Filter], str]) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            form = await Form.of(request)
            if form.one("ranking") not in ("", self.run.identity):
                raise HTTPException(409, "The images were ranked anew since this page was opened: open it again.")
            session, known = _session(request)
            wanted = asked(request)
            made = await run_in_threadpool(take, form, session, wanted)
            if made.startswith("<"):
                response: Response = HTMLResponse(made)
                if request.headers.get("x-part") != "stage":  # a form without our script: reloading must not send again
                    response = RedirectResponse(f"./{views.query(wanted)}", 303)
            else:
                response = RedirectResponse(made, 303)
            return _with_session(response, session, known)

        return answer

    def _picture(self, make: Callable[[int], Encoded]) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            row = int(request.path_params["row"])
            self._require(row)
            try:
                made = make(row)
            except (UnreadableImage, SourceError) as error:
                raise HTTPException(404, "This image cannot be shown.") from error
            except Busy:
                return PlainTextResponse("Too many at once: ask again.\n", 503, {"retry-after": "2"})
            return Response(made.content, media_type=made.kind,
                            headers={"cache-control": f"private, max-age={PICTURE_SECONDS}"})

        return answer

    def _file(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self.static:
            raise HTTPException(404, "There is no such file.")
        return Response(self.static[name], media_type=KINDS[name], headers={"cache-control": "no-cache"})

    def _download(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in exports.FORMATS:
            raise HTTPException(404, "There is no such export.")
        self.queue.refresh()
        made = exports.FORMATS[name].make(exports.Answer.of(self.run, self.store, self.queue.lesson))
        return StreamingResponse(made, media_type="application/octet-stream",
                                 headers={"content-disposition": f'attachment; filename="{name}"'})

    def _require(self, row: int) -> None:
        if not 0 <= row < len(self.run):
            raise HTTPException(404, "There is no image of that number.")


def _session(request: Request) -> tuple[str, bool]:
    """What tells one browser from another, and whether it had that already."""
    known = request.cookies.get(COOKIE, "")
    if len(known) == 32 and not known.strip("0123456789abcdef"):
        return known, True
    return secrets.token_hex(16), False


def _with_session(response: Response, session: str, known: bool) -> Response:
    response.headers["cache-control"] = "no-store"
    if not known:
        response.set_cookie(COOKIE, session, httponly=True, samesite="strict", max_age=31_536_000)
    return response


def _refused(_: Request, error: Exception) -> Response:
    code = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else ""
    return PlainTextResponse(f"{detail}\n", code)


def _failed(_: Request, error: Exception) -> Response:
    return PlainTextResponse(f"{visible(error)}\n", 500)
