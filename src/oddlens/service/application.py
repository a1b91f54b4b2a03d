"""The service as an application: what is asked for by which address, and what is answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import oddlens
from oddlens.errors import UnreadableImage
from oddlens.service.admission import Admission, Full
from oddlens.service.bodies import uploads
from oddlens.service.gate import Gate, refused
from oddlens.service.metrics import KIND, Metrics
from oddlens.service.openapi import document
from oddlens.service.scorer import Scorer, Upload

MOST_BYTES = 32 * 2**20  # of the body of a request
MOST_INSIDE = 16  # requests
SECONDS = 60.0  # for one request

Answer = Callable[[list[Upload]], Awaitable[Response]]


class Service:
    """A model that answers requests. Close it when done.

    most_bytes:   of the body of a request.
    most_inside:  requests that may wait or be worked on; others are told to come back.
    seconds:      that a request may take, from its first byte to the answer.
    """

    def __init__(
        self, scorer: Scorer, *, most_bytes: int = MOST_BYTES, most_inside: int = MOST_INSIDE,
        seconds: float = SECONDS,
    ) -> None:
        self.scorer, self.most_bytes, self.seconds = scorer, most_bytes, seconds
        self.admission = Admission(most_inside)
        self.metrics = Metrics()

    def close(self) -> None:
        """End the thread that scores."""
        self.admission.close()

    def application(self, token: str | None = None, hosts: Collection[str] | None = None) -> ASGIApp:
        """The application behind its gate; see ``Gate`` for ``token`` and ``hosts``."""
        told = document(views=self.scorer.views, heat=self.scorer.memory is not None, token=token is not None,
                        most_bytes=self.most_bytes)
        answers: dict[str, tuple[str, Callable[[Request], Awaitable[Response]]]] = {
            "/score": ("POST", partial(self._taken, self._score)),
            "/health": ("GET", self._health),
            "/metrics": ("GET", self._metrics),
            "/openapi.json": ("GET", partial(_told, told)),
        }
        if self.scorer.memory is not None:
            answers["/heat"] = ("POST", partial(self._taken, self._heat))
        app = Starlette(routes=[Route(path, answer, methods=[method]) for path, (method, answer) in answers.items()],
                        exception_handlers={HTTPException: _refused, Exception: _failed})
        return self._counted(Gate(app, token, hosts), answers.keys())

    def _counted(self, app: ASGIApp, paths: Collection[str]) -> ASGIApp:
        """The application, each request counted when it is answered."""

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            start = time.perf_counter()

            async def sending(message: Message) -> None:
                await send(message)
                if message["type"] == "http.response.start":
                    path = scope["path"] if scope["path"] in paths else "other"
                    self.metrics.answered(path, message["status"], time.perf_counter() - start)

            await app(scope, receive, sending)

        return counted

    async def _taken(self, answer: Answer, request: Request) -> Response:
        """The answer to the images of a request, if there is a place for it and it comes in time."""
        received = False
        try:
            with self.admission.place():
                async with asyncio.timeout(self.seconds):
                    images = await uploads(request, self.most_bytes)
                    received = True
                    return await answer(images)
        except Full as full:
            return refused(503, f"Too many requests at once: come back in {full.seconds} s.",
                           {"retry-after": str(full.seconds)})
        except TimeoutError:
            if not received:
                return refused(408, f"The body did not come within {self.seconds:g} s.")
            return refused(504, f"It was not done within {self.seconds:g} s.")

    async def _score(self, images: list[Upload]) -> Response:
        said = await self.admission.do(lambda: self.scorer.score(images))
        for image in said:
            self.metrics.judged("unreadable" if "error" in image else "flagged" if image["flagged"] else "ordinary")
        if all("error" in image for image in said):
            return refused(422, "; ".join(f"{image['name']}: {image['error']}" for image in said))
        return JSONResponse({"images": said})

    async def _heat(self, images: list[Upload]) -> Response:
        if len(images) != 1:
            raise HTTPException(400, f"A heat map is made of one image, got {len(images)}.")
        try:
            picture = await self.admission.do(lambda: self.scorer.heat(images[0]))
        except UnreadableImage as error:
            return refused(422, str(error))
        return Response(status_code=204) if picture is None else Response(picture, media_type="image/png")

    async def _health(self, _: Request) -> Response:
        return JSONResponse({"status": "ok", "version": oddlens.__version__, "fitted": self.scorer.fitted})

    async def _metrics(self, _: Request) -> Response:
        return Response(self.metrics.text(self.admission.inside, self.admission.most), headers={"content-type": KIND})


async def _told(document: dict[str, Any], _: Request) -> Response:
    return JSONResponse(document)


async def _refused(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        return refused(500, "It failed.")
    return refused(error.status_code, error.detail, dict(error.headers or {}))


async def _failed(_: Request, error: Exception) -> Response:
    return refused(500, f"It failed inside oddlens ({type(error).__name__}); what the service printed says where.")
