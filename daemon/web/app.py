"""What is answered: GET /healthz, /readyz, /metrics, /status; for operators also POST /operate and /reload.

Every answer but /metrics is JSON; an error is {"error": a text for the operator}. Every connection serves one request, and
none may take longer than its time, to be sent or to be read: whoever asks and never reads holds up nobody.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeAlias

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from daemon.config.errors import ConfigError
from daemon.live.controls import ControlError, Controls
from daemon.live.health import Health
from daemon.logs import clean
from daemon.web.hosts import is_ours
from daemon.web.operating import read_operation

log = structlog.get_logger()

MOST_BYTES = 64 * 1024  # of a request
STUCK_S = 10.0  # without progress of the engine: it is not alive
COMMIT_S = 30.0  # an operator waits no longer for the commit
SEND_S = 10.0  # nor does an answer for its reader

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Answers:
    """Answers requests from what the session tells of itself.

    stuck_s, commit_s, send_s: see the constants of this module. monotonic: seconds, as `Health.progress` has them.
    """

    def __init__(
        self,
        controls: Controls,
        health: Health,
        registry: CollectorRegistry,
        *,
        stuck_s: float = STUCK_S,
        commit_s: float = COMMIT_S,
        send_s: float = SEND_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._controls = controls
        self._health = health
        self._registry = registry
        self._stuck_s = stuck_s
        self._commit_s = commit_s
        self._send_s = send_s
        self._monotonic = monotonic
        self._operations: set[asyncio.Task[dict[str, Any]]] = set()

    def public(self, names: frozenset[str]) -> web.Application:
        """For whoever reaches the port by one of these names: it tells, and changes nothing."""

        @web.middleware
        async def by_our_name(request: web.Request, handler: Handler) -> web.StreamResponse:
            if not is_ours(request.headers.get("Host"), names):
                return _error(
                    403, "the Host header is no address and no name of this machine; ask for it by either"
                )
            if request.method != "GET":
                answer = _error(
                    405, "only GET is answered here; operators use the control socket: `papertape --help`"
                )
                answer.headers["Allow"] = "GET"
                return answer
            return await handler(request)

        return self._application([by_our_name])

    def operators(self) -> web.Application:
        """For whoever may open the control socket: the same, and what changes the session."""
        app = self._application([])
        app.router.add_post("/operate", self._operate)
        app.router.add_post("/reload", self._reload)
        return app

    async def close(self) -> None:
        """Wait no longer for what operators asked for; what is on the tape stays there."""
        for task in self._operations:
            task.cancel()
        await asyncio.gather(*self._operations, return_exceptions=True)

    def _application(self, middlewares: list[Any]) -> web.Application:
        app = web.Application(client_max_size=MOST_BYTES, middlewares=[self._whole, *middlewares])
        for path, handler in (
            ("/healthz", self._alive),
            ("/readyz", self._ready),
            ("/metrics", self._metrics),
            ("/status", self._status),
        ):
            app.router.add_get(path, handler, allow_head=False)
        return app

    @web.middleware
    async def _whole(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Errors as JSON, and an answer that is sent within its time or not at all."""
        answer = await self._answered(request, handler)
        answer.force_close()
        answer.headers["Cache-Control"] = "no-store"
        answer.headers["X-Content-Type-Options"] = "nosniff"
        transport = request.transport
        if transport is None:  # whoever asked has gone
            return answer
        transport.set_write_buffer_limits(0)  # so that all of it is with the kernel when it counts as sent
        try:
            async with asyncio.timeout(self._send_s):
                await answer.prepare(request)
                await answer.write_eof()
        except (TimeoutError, ConnectionError):  # it does not read, or has gone
            transport.abort()
        return answer

    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except (ControlError, ConfigError) as error:
            return _error(409, str(error))
        except web.HTTPRequestEntityTooLarge:
            return _error(413, f"the request is longer than {MOST_BYTES:,} bytes")
        except web.HTTPException as error:
            answer = _error(error.status, f"{request.method} {request.path}: {error.reason}")
            if "Allow" in error.headers:
                answer.headers["Allow"] = error.headers["Allow"]
            return answer
        except Exception:  # an error of ours in an answer is none of the session's
            log.exception("a request failed", method=request.method, path=request.path)
            return _error(500, "this is an error of papertape itself; its log has more")

    async def _alive(self, _: web.Request) -> web.Response:
        if stuck := self._stuck():
            return _json({"alive": False, "error": stuck}, 503)
        return _json({"alive": True})

    async def _ready(self, _: web.Request) -> web.Response:
        reasons = [*filter(None, [self._stuck()]), *self._health.reasons()]
        return _json({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

    async def _metrics(self, request: web.Request) -> web.Response:
        encode, kind = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._registry), headers={"Content-Type": kind})

    async def _status(self, _: web.Request) -> web.Response:
        return _json(self._controls.status())

    async def _operate(self, request: web.Request) -> web.Response:
        wanted = read_operation(await request.read())
        return await self._done(self._controls.operate(*wanted), "it is not committed yet")

    async def _reload(self, request: web.Request) -> web.Response:
        await request.read()
        return await self._done(self._controls.reload(), "the reload is not done yet")

    async def _done(self, work: Coroutine[Any, Any, dict[str, Any]], not_yet: str) -> web.Response:
        # What was begun goes on, whether or not somebody waits for it: half of an operation would be worse.
        task = asyncio.create_task(work)
        self._operations.add(task)
        task.add_done_callback(self._operations.discard)
        done, _ = await asyncio.wait([task], timeout=self._commit_s)
        if not done:
            task.add_done_callback(_log_failure)
            return _error(
                504, f"after {self._commit_s:g} s {not_yet}; it still may be: see `papertape status`"
            )
        return _json(task.result())

    def _stuck(self) -> str | None:
        for_s = self._health.stuck_s(self._monotonic())
        return f"the engine made no progress for {for_s:.0f} s" if for_s >= self._stuck_s else None


def _log_failure(task: asyncio.Task[dict[str, Any]]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("what an operator asked for failed after all", error=error)


def _json(content: dict[str, Any], status: int = 200) -> web.Response:
    return web.json_response(text=json.dumps(clean(content), allow_nan=False) + "\n", status=status)


def _error(status: int, text: str) -> web.Response:
    return _json({"error": text}, status)
