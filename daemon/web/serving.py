"""Where a session is asked: a TCP port for whoever wants to know how it is, a Unix socket for those who operate it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import NamedTuple

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry

from daemon.config.service import is_loopback, parse_listen
from daemon.live.controls import Controls
from daemon.live.health import Health
from daemon.web.app import COMMIT_S, SEND_S, Answers
from daemon.web.hosts import own_names

log = structlog.get_logger()

MOST_CONNECTIONS = 64  # of a socket; a further one takes the place of the oldest
LIFE_S = COMMIT_S + 2 * SEND_S  # of a connection, which serves one request
LONGEST_PATH = 107  # bytes, of a Unix socket on Linux


class ListenError(OSError):
    """A port or socket cannot be had; the text says what to do."""


class Served(NamedTuple):
    """Where it is answered."""

    port: int | None
    control: Path


@asynccontextmanager
async def serve(
    controls: Controls, health: Health, registry: CollectorRegistry, listen: str | None, control: Path
) -> AsyncIterator[Served]:
    """Answer while the block runs: at a host and port, or None, and at the control socket. Raises ListenError."""
    answers = Answers(controls, health, registry)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(answers.close)
        listening = stack.enter_context(_unix(control))
        await stack.enter_async_context(_door(answers.operators(), listening))
        port = None
        if listen is not None:
            host, number = parse_listen(listen)
            listening = await _tcp(host, number)
            port = listening.getsockname()[1]
            await stack.enter_async_context(_door(answers.public(own_names(host)), listening))
            if not is_loopback(host):
                log.warning("whoever reaches this machine can read how the session is", listen=listen)
        log.info("answering", listen=listen, control=control)
        yield Served(port, control)


@asynccontextmanager
async def _door(app: web.Application, listening: socket.socket) -> AsyncIterator[None]:
    """Serve the application on a bound socket, to few connections at a time, and to none for long."""
    runner = web.AppRunner(
        app, access_log=None, shutdown_timeout=2.0, max_line_size=4096, max_field_size=4096
    )
    await runner.setup()
    handlers = runner.server
    assert handlers is not None
    loop = asyncio.get_running_loop()

    def accept() -> web.RequestHandler:
        loop.call_soon(make_room)
        return handlers()

    def make_room() -> None:
        for oldest in handlers.connections[:-MOST_CONNECTIONS]:
            _abort(oldest)

    async def close_old() -> None:
        since: dict[web.RequestHandler, float] = {}
        while True:
            now = time.monotonic()
            since = {each: since.get(each, now) for each in handlers.connections}
            for each in [each for each, began in since.items() if now - began > LIFE_S]:
                _abort(each)
            await asyncio.sleep(LIFE_S / 20)

    if listening.family == socket.AF_UNIX:
        server: asyncio.Server = await loop.create_unix_server(accept, sock=listening)
    else:
        server = await loop.create_server(accept, sock=listening)
    janitor = asyncio.create_task(close_old())
    try:
        yield
    finally:
        janitor.cancel()
        await asyncio.gather(janitor, return_exceptions=True)
        server.close()
        for each in handlers.connections:  # answers that somebody reads are sent by now
            _abort(each)
        await runner.cleanup()


def _abort(handler: web.RequestHandler) -> None:
    if isinstance(handler.transport, asyncio.WriteTransport):
        handler.transport.abort()


async def _tcp(host: str, port: int) -> socket.socket:
    listening = None
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = found[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        if listening is not None:
            listening.close()
        raise ListenError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; set another service.listen, or null for none"
        ) from error
    return listening


@contextmanager
def _unix(path: Path) -> Iterator[socket.socket]:
    """A bound socket that only its owner and group may open; removed in the end, if it is still this one."""
    length = len(os.fsencode(path))
    if length > LONGEST_PATH:
        raise ListenError(
            f"{path}: a socket's path has at most {LONGEST_PATH} bytes, this one has {length}; set service.control to a "
            "shorter one"
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        try:
            _clear(path)
            listening.bind(os.fspath(path))
            path.chmod(0o660)  # nobody gets in before: it does not listen yet
            inode = path.stat().st_ino
        except ListenError:
            raise
        except OSError as error:
            raise ListenError(
                f"{path}: cannot make the control socket: {error.strerror}; set service.control to one in a folder "
                "that papertape may write to"
            ) from error
        try:
            yield listening
        finally:
            with contextlib.suppress(FileNotFoundError):
                if path.lstat().st_ino == inode:  # else it is another one's by now
                    path.unlink()


def _clear(path: Path) -> None:
    """Remove a socket that a process left behind which ended without a chance to."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ListenError(
                f"{path}: is there already and no socket; set another service.control, or remove it"
            )
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
        trial.settimeout(1.0)
        try:
            trial.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except TimeoutError:  # its queue is full: it is there, and busy
            pass
    raise ListenError(
        f"{path}: another session answers there; stop it, or give this one a session name or service.control of its own"
    )
