"""Servers on this machine that speak as Yahoo and Finnhub do, and the faults that those have."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Reply:
    """One answer of a server."""

    body: Any = None  # text as it is, all else as JSON
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_to: int | None = None  # bytes of the body that are sent, of the length that was announced
    reset: bool = False  # the connection ends before any answer
    silent: bool = False  # no answer comes until the server ends


@dataclass(frozen=True)
class Asked:
    """One request that a server heard."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    raw: str  # path and query as they were sent


class Server:
    """Answers by path: a queue of replies each, of which the last is given again and again; else 404.

    asked: the requests for those paths, in their order.
    """

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.others: list[Asked] = []
        self.ended = threading.Event()
        self.port = 0
        self._replies: dict[str, list[Reply]] = {}

    def on(self, path: str, *replies: Reply) -> None:
        """What to answer on a path that ends so."""
        self._replies[path] = list(replies)

    def reply(self, asked: Asked) -> Reply:
        """The next answer to a request."""
        for path, queue in self._replies.items():
            if asked.path.endswith(path):
                self.asked.append(asked)
                return queue.pop(0) if len(queue) > 1 else queue[0]
        self.others.append(asked)
        return Reply("nothing here", 404)


@contextmanager
def serving() -> Iterator[Server]:
    """A server on a free port of this machine."""
    server = Server()
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(server))
    http.daemon_threads = True
    server.port = http.server_address[1]
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        http.shutdown()
        http.server_close()
        thread.join()


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            reply = server.reply(Asked(parts.path, query, dict(self.headers), self.path))
            if reply.silent:
                server.ended.wait()
                return
            if reply.reset:
                linger = struct.pack("ii", 1, 0)  # closing sends a reset
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.connection.close()
                return
            body = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
            self.send_response(reply.status)
            self.send_header("Content-Length", str(len(body)))
            for name, value in {"Content-Type": "application/json; charset=utf-8", **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body.encode()[: reply.cut_to])
            self.close_connection = reply.cut_to is not None

        def log_message(self, *args: object) -> None:
            pass  # the tests look at what was asked

        def handle(self) -> None:
            try:
                super().handle()
            except (OSError, ValueError):  # the other side has gone, or we hung up
                self.close_connection = True

        def finish(self) -> None:
            try:
                super().finish()
            except (OSError, ValueError):
                self.close_connection = True

    return Handler


def chart(
    symbol: str,
    rows: Sequence[tuple[int, float | None, float | None, float | None, float | None, int | None]],
    *,
    zone: str = "America/New_York",
    interval: str = "1d",
    splits: Mapping[int, tuple[float, float]] | None = None,
    dividends: Mapping[int, float] | None = None,
    periods: Any = None,
) -> dict[str, Any]:
    """Yahoo's answer: rows of Unix seconds, open, high, low, close, volume; actions by Unix seconds."""
    time, open_, high, low, close, volume = ([row[i] for row in rows] for i in range(6))
    events: dict[str, Any] = {}
    if dividends:
        events["dividends"] = {str(t): {"amount": a, "date": t} for t, a in dividends.items()}
    if splits:
        events["splits"] = {
            str(t): {"date": t, "numerator": n, "denominator": d, "splitRatio": f"{n:g}:{d:g}"}
            for t, (n, d) in splits.items()
        }
    meta = {
        "currency": "USD",
        "symbol": symbol,
        "exchangeName": "NMS",
        "instrumentType": "CRYPTOCURRENCY" if zone == "UTC" else "EQUITY",
        "firstTradeDate": 345479400,
        "gmtoffset": 0 if zone == "UTC" else -18000,
        "timezone": "UTC" if zone == "UTC" else "EST",
        "exchangeTimezoneName": zone,
        "priceHint": 2,
        "dataGranularity": interval,
        "range": "",
        "validRanges": ["1d", "5d", "1mo", "3mo", "6mo", "1y", "2y", "5y", "10y", "ytd", "max"],
    }
    if periods is not None:
        meta["tradingPeriods"] = periods
    quote = {"open": open_, "high": high, "low": low, "close": close, "volume": volume} if rows else {}
    result: dict[str, Any] = {"meta": meta, "indicators": {"quote": [quote]}}
    if rows:
        result["timestamp"] = time
        if interval == "1d":
            adjusted = [None if c is None else 0.97 * c for c in close]  # for dividends too
            result["indicators"]["adjclose"] = [{"adjclose": adjusted}]
    if events:
        result["events"] = events
    return {"chart": {"result": [result], "error": None}}
