"""A server on this machine that speaks as Finnhub does, over websockets and REST, with the faults that it has.

It runs in the event loop of the test. What it sends is the test's decision, one connection at a time:

    async with serving() as server:
        ...                          # connect to server.url
        client = await server.client()
        await client.send(trades(...))
        await client.drop_mid_frame()

As a program of its own, which sends at a rate: see finnhub_flood.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

SILENT = logging.Logger("the server's", logging.CRITICAL + 1)  # noqa: LOG001 # the child of no logger, so that nobody hears it
NO_QUOTE = {"c": 0, "d": None, "dp": None, "h": 0, "l": 0, "o": 0, "pc": 0, "t": 0}


def trade(symbol: str, price: Any, ms: int | None = None, size: Any = 1, **more: Any) -> dict[str, Any]:
    """One print, of now unless told otherwise."""
    now = time.time_ns() // 1_000_000 if ms is None else ms
    return {"c": ["1", "24"], "p": price, "s": symbol, "t": now, "v": size, **more}


def trades(*given: Any) -> str:
    """A frame of prints."""
    return json.dumps({"data": given, "type": "trade"}, separators=(",", ":"))


def quote(price: float, seconds: int | None = None) -> dict[str, Any]:
    """A quote by REST, of now unless told otherwise."""
    return {**NO_QUOTE, "c": price, "pc": price, "t": int(time.time()) if seconds is None else seconds}


@dataclass(frozen=True)
class Reply:
    """One answer: by REST, or to a handshake instead of a connection."""

    body: Any = ""  # text as it is, all else as JSON
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class Client:
    """One connection, seen from the server. asked: the symbols that it was asked for, in their order."""

    def __init__(self, connection: ServerConnection) -> None:
        self.asked: list[str] = []
        self.said: list[str] = []  # all that came, word for word
        self.connection = connection
        self.ended = False

    async def send(self, text: str | bytes) -> None:
        """A frame as it is: of text, or of bytes that need be no text."""
        await self.connection.send(text, text=True)

    async def ping(self) -> None:
        await self.send('{"type":"ping"}')

    async def error(self, text: str) -> None:
        await self.send(json.dumps({"msg": text, "type": "error"}))

    async def close(self, code: int = 1000) -> None:
        """A proper end."""
        await self.connection.close(code)

    def drop(self) -> None:
        """An end without any words."""
        self.connection.transport.abort()

    async def drop_mid_frame(self, text: str) -> None:
        """An end after half of a frame."""
        frame = text.encode()
        assert 126 <= len(frame) < 1 << 16
        head = bytes([0x81, 126]) + len(frame).to_bytes(
            2, "big"
        )  # RFC 6455, 5.2: final text frame, 16 bits of length
        self.connection.transport.write(head + frame[: len(frame) // 2])
        await asyncio.sleep(0.01)  # that it goes out before the end
        self.drop()

    async def wait_closed(self) -> None:
        """Until it has ended, whoever did it."""
        await self.connection.wait_closed()


class FinnhubServer:
    """What there is to set: `keys` that are accepted, `most_symbols`, `handshakes` (replies given instead of connections,
    in their order), `quotes` by symbol (a queue of replies, of which the last is given again and again). What there is to see:
    `connections` so far, `rest` requests as (path, query, key of the header).
    """

    def __init__(self) -> None:
        self.keys = {"loopback-key"}
        self.most_symbols = 50
        self.handshakes: list[Reply] = []
        self.quotes: dict[str, list[Reply]] = {}
        self.connections = 0
        self.most_open = 0  # at a time
        self.rest: list[tuple[str, dict[str, str], str]] = []
        self.port = 0
        self._clients: asyncio.Queue[Client] = asyncio.Queue()
        self._open: set[ServerConnection] = set()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def client(self, within_s: float = 20) -> Client:
        """The next connection."""
        return await asyncio.wait_for(self._clients.get(), within_s)

    async def talk(self, connection: ServerConnection) -> None:
        """One connection, until it ends."""
        self.connections += 1
        client = Client(connection)
        if self._open:  # a second one by the same key ends both
            for one in [*self._open, connection]:
                one.transport.abort()
        self._open.add(connection)
        self.most_open = max(self.most_open, len(self._open))
        self._clients.put_nowait(client)
        try:
            async for said in connection:
                client.said.append(str(said))
                message = json.loads(said)
                if message["type"] == "unsubscribe":
                    client.asked.remove(message["symbol"])
                elif message["type"] == "subscribe":
                    if len(client.asked) >= self.most_symbols:
                        await client.error("Subscribing to too many symbols")
                    else:
                        client.asked.append(message["symbol"])
        except ConnectionClosed:
            pass  # the test did it, or the other side
        finally:
            client.ended = True
            self._open.discard(connection)

    def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """To a request of HTTP; None where it becomes a connection."""
        parts = urlsplit(request.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        if request.headers.get("Upgrade") is None:
            key = request.headers.get("X-Finnhub-Token", query.get("token", ""))
            self.rest.append((parts.path, query, key))
            return _response(self._rest(parts.path, query, key))
        if self.handshakes:
            return _response(self.handshakes.pop(0))
        return None if query.get("token") in self.keys else _response(Reply("Invalid API key", 401))

    def _rest(self, path: str, query: dict[str, str], key: str) -> Reply:
        if key not in self.keys:
            return Reply({"error": "Invalid API key"}, 401)
        if not path.endswith("/quote"):
            return Reply({"error": "You don't have access to this resource."}, 403)
        queue = self.quotes.get(query.get("symbol", ""), [Reply(NO_QUOTE)])
        return queue.pop(0) if len(queue) > 1 else queue[0]


def _response(reply: Reply) -> Response:
    body = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
    kind = "text/plain" if isinstance(reply.body, str) else "application/json"
    headers = Headers(
        {"Content-Length": str(len(body)), "Content-Type": kind, "Connection": "close", **reply.headers}
    )
    return Response(reply.status, "", headers, body.encode())


@asynccontextmanager
async def serving(port: int = 0) -> AsyncIterator[FinnhubServer]:
    """A server on a port of this machine, or a free one."""
    server = FinnhubServer()
    listening: Server = await serve(
        server.talk,
        "127.0.0.1",
        port,
        process_request=server.answer,
        compression=None,
        ping_interval=None,
        close_timeout=1,
        logger=SILENT,
    )
    server.port = next(iter(listening.sockets)).getsockname()[1]
    try:
        yield server
    finally:
        for connection in list(server._open):
            connection.transport.abort()
        listening.close()
        await listening.wait_closed()


if __name__ == "__main__":
    from tests.service.finnhub_flood import main

    main()
