"""The HTTP server: its requests, its limits, and its orderly end.

| request | answer |
|---|---|
| `POST /invocations` | poses of one track or several, as `mlflow models serve` answers |
| `GET /health`, `GET /ping` | 200 while requests are taken, 503 once the server ends |
| `GET /model` | which lifter answers, and what it reads |
| `GET /metrics` | figures for Prometheus |

Every error is a line: `{"error": "…"}`. What is not HTTP at all is answered with 400 by aiohttp, in its words.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from pipelines.serve.batches import Answer, refusal
from pipelines.serve.dispatcher import Dispatcher
from pipelines.serve.figures import Figures
from schemas.configs.serve import ServeConfig

MB = 10**6
# Longest time in which a request must arrive, and in which a client must take its answer, s.
ARRIVE_S = 60.0
TAKE_S = 60.0
# A connection without a whole head of a request for this long is closed, s: nothing may have come over it, or parts of
# a head, letter by letter. Proxies that reuse connections close idle ones after 60 s.
IDLE_S = 75.0
# A refused client is told to try again after this many seconds.
_COME_AGAIN_S = "1"

log = logging.getLogger(__name__)


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether an error is one of this program; aiohttp logs 30 lines for whatever clients send that is not HTTP."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, (HttpProcessingError, ConnectionError))


_http_log = logging.getLogger(f"{__name__}.http")
_http_log.addFilter(_is_ours)


class Application:
    """Takes requests by HTTP and asks a dispatcher for their answers.

    Args:
        config: The limits.
        dispatcher: Answers requests.
        figures: Counts them.
        about: What `/model` says.
    """

    def __init__(
        self, config: ServeConfig, dispatcher: Dispatcher, figures: Figures, about: Callable[[], dict[str, Any]]
    ) -> None:
        self._config, self._dispatcher, self._figures, self._about = config, dispatcher, figures, about
        self._waiting, self._waiting_bytes, self._ending = 0, 0, False
        self._none_waits = asyncio.Event()
        self._none_waits.set()

    def runner(self, **options: Any) -> web.AppRunner:
        """What listens; options are aiohttp's."""
        return web.AppRunner(self._routes(), access_log=None, logger=_http_log, keepalive_timeout=IDLE_S, **options)

    def _routes(self) -> web.Application:
        # The size of bodies is limited by this class, which answers with a one-line error.
        app = web.Application(client_max_size=0, middlewares=[_one_line_errors])
        app.add_routes(
            [
                web.post("/invocations", self._invocations),
                web.get("/health", self._health),
                web.get("/ping", self._health),
                web.get("/model", self._model),
                web.get("/metrics", self._metrics),
            ]
        )
        return app

    async def end(self, longest_s: float) -> int:
        """Take no more requests, and wait for the open answers; returns how many requests still lack one."""
        self._ending = True
        try:
            await asyncio.wait_for(self._none_waits.wait(), longest_s)
        except TimeoutError:
            log.warning("stop_s=%g: %d requests get no answer", longest_s, self._waiting)
        return self._waiting

    async def _invocations(self, request: web.Request) -> web.StreamResponse:
        began, most = time.monotonic(), self._config.max_request_mb * MB
        # A request without a content length may be as large as the limit.
        size = most if request.content_length is None else request.content_length
        if refused := self._refused(size, most):
            return self._response(began, "", refused)
        self._waits(1, size)
        try:
            # An answer that is not taken has a place among those that wait, because it takes memory as they do.
            return await _taken(request, self._response(began, *await self._answered(request, most)))
        finally:
            self._waits(-1, -size)

    def _response(self, began: float, model: str, answer: Answer) -> web.Response:
        self._figures.seconds.observe(time.monotonic() - began)
        self._figures.requests.labels(answer.status).inc()
        self._figures.tracks.inc(answer.tracks)
        self._figures.frames.inc(answer.frames)
        headers = {"X-Raylift-Model": model} if model else {}
        if answer.status == web.HTTPServiceUnavailable.status_code:
            headers["Retry-After"] = _COME_AGAIN_S
        return web.Response(status=answer.status, body=answer.body, content_type="application/json", headers=headers)

    def _refused(self, size: int, most: int) -> Answer | None:
        """What a request is told for which there is no room; None if there is."""
        config = self._config
        if self._ending:
            return refusal(503, "the server ends; ask another one")
        if size > most:
            return _too_large(size, config)
        if self._waiting >= config.max_waiting or (
            self._waiting and self._waiting_bytes + size > config.max_waiting_mb * MB
        ):
            return refusal(503, f"{self._waiting} requests wait already; ask again in {_COME_AGAIN_S} s")
        return None

    async def _answered(self, request: web.Request, most: int) -> tuple[str, Answer]:
        body = bytearray()
        try:
            async with asyncio.timeout(ARRIVE_S):
                async for chunk in request.content.iter_any():
                    body += chunk
                    if len(body) > most:
                        return "", _too_large(len(body), self._config)
        except ConnectionError:
            return "", refusal(400, "the client has gone before its request was whole")
        except TimeoutError:
            return "", refusal(408, f"the request has not arrived within {ARRIVE_S:g} s")
        try:
            async with asyncio.timeout(self._config.answer_s):
                return await self._dispatcher.ask(bytes(body))
        except TimeoutError:
            return "", refusal(504, f"no answer within {self._config.answer_s:g} s; ask for less at a time")
        except Exception as error:
            log.warning("a batch has no answers: %s", str(error).strip().partition("\n")[0] or type(error).__name__)
            return "", refusal(503, "the process that worked on it was lost; ask again")

    def _waits(self, requests: int, size: int) -> None:
        self._waiting += requests
        self._waiting_bytes += size
        self._figures.waiting.set(self._waiting)
        if self._waiting:
            self._none_waits.clear()
        else:
            self._none_waits.set()

    async def _health(self, _request: web.Request) -> web.Response:
        return web.Response(status=503 if self._ending else 200, text="ending\n" if self._ending else "\n")

    async def _model(self, _request: web.Request) -> web.Response:
        return web.json_response(self._about())

    async def _metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._figures.text(), headers={"Content-Type": "text/plain; version=0.0.4"})


async def _taken(request: web.Request, response: web.Response) -> web.Response:
    """Send an answer; a client that does not take it in time loses its connection."""
    try:
        async with asyncio.timeout(TAKE_S):
            await response.prepare(request)
            await response.write_eof()
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
    except ConnectionError:
        pass  # the client has gone
    return response


@web.middleware
async def _one_line_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Errors of aiohttp itself, such as an unknown path, in the same form."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        there = "POST /invocations, GET /health, /model, /metrics"
        line = f"{request.method} {request.path}: {error.reason}; there are {there}"
        headers = {name: value for name, value in error.headers.items() if name == "Allow"}
        return web.Response(
            status=error.status, text=json.dumps({"error": line}), content_type="application/json", headers=headers
        )


def _too_large(size: int, config: ServeConfig) -> Answer:
    return refusal(
        413, f"the request has {size / MB:.1f} MB, at most {config.max_request_mb} are taken; send it in parts"
    )
