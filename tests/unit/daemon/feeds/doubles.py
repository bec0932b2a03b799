"""Clocks that only tests move, and a venue without sockets."""

from __future__ import annotations

import asyncio
import heapq
import json
import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from daemon.feeds.errors import Lost, NotConnected
from daemon.feeds.items import Item, Listed
from daemon.feeds.queued import QueuedFeed
from daemon.feeds.secret import Secret
from engine.records import SECOND
from engine.spec import Sessions
from tests.unit.daemon.feeds.markets import ALWAYS

TOKEN = "tok123secret"


def ns(text: str) -> int:
    """Nanoseconds of an ISO time in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


NOON = ns("2026-03-04T12:00:00")


async def settle() -> None:
    """Let all tasks go on until they wait for something."""
    for _ in range(50):
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that real threads or sockets bring about."""
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it does not come about")


class FakeClock:
    """Stands still but for `advance`, which stops at each moment at which somebody wakes."""

    def __init__(self, now: int = NOON) -> None:
        self._now = now
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._n = 0

    def now_ns(self) -> int:
        return self._now

    async def sleep(self, seconds: float) -> None:
        assert 0 <= seconds < math.inf
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._n += 1
        heapq.heappush(self._sleepers, (self._now + math.ceil(seconds * SECOND), self._n, waiter))
        await waiter

    async def advance(self, seconds: float) -> None:
        await settle()
        end = self._now + round(seconds * SECOND)
        while self._sleepers and self._sleepers[0][0] <= end:
            self._now, _, waiter = heapq.heappop(self._sleepers)
            if not waiter.done():
                waiter.set_result(None)
                await settle()
        self._now = end
        await settle()


class JumpClock:
    """Whoever sleeps moves the time; `slept` are the waits, in seconds."""

    def __init__(self, now: int = NOON) -> None:
        self._now = now
        self.slept: list[float] = []

    def now_ns(self) -> int:
        return self._now

    async def sleep(self, seconds: float) -> None:
        assert 0 <= seconds < math.inf
        self.slept.append(seconds)
        self._now += math.ceil(seconds * SECOND)
        await asyncio.sleep(0)


class Script(QueuedFeed):
    """Gives these items, each after it was let go; or raises them."""

    def __init__(self, *items: Item | Exception, bound: int = 64) -> None:
        super().__init__(bound)
        self.items = items
        self.go = asyncio.Semaphore(0)

    async def _run(self) -> None:
        for item in self.items:
            await self.go.acquire()
            if isinstance(item, Exception):
                raise item
            await self._put(item)

    def let(self, n: int = 1) -> None:
        for _ in range(n):
            self.go.release()


class Wire:
    """One connection: what the venue puts into it comes out, what is sent is kept."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.open = True
        self._frames: asyncio.Queue[bytes | Lost] = asyncio.Queue()

    def put(self, frame: bytes | str | dict[str, object]) -> None:
        if isinstance(frame, dict):
            frame = json.dumps(frame)
        self._frames.put_nowait(frame if isinstance(frame, bytes) else frame.encode())

    def drop(self, why: str = "no close frame received or sent") -> None:
        self._frames.put_nowait(Lost(why))

    async def recv(self) -> bytes:
        frame = await self._frames.get()
        if isinstance(frame, Lost):
            raise frame
        return frame

    async def send(self, text: str) -> None:
        if not self.open:
            raise Lost("closed")
        self.sent.append(text)

    async def close(self) -> None:
        if self.open:
            self.open = False
            self._frames.put_nowait(Lost("closed by us"))


class Venue:
    """Answers attempts to connect: with the faults given, in their order, then with wires."""

    def __init__(self, clock: FakeClock, *faults: NotConnected | None) -> None:
        self.wires: list[Wire] = []
        self.attempts: list[float] = []  # seconds since the start
        self._clock = clock
        self._began = clock.now_ns()
        self._faults = list(faults)

    async def connect(self, url: str, token: Secret) -> Wire:
        assert token.reveal() == TOKEN
        assert not any(wire.open for wire in self.wires), "two connections at a time"
        self.attempts.append((self._clock.now_ns() - self._began) / SECOND)
        fault = self._faults.pop(0) if self._faults else None
        if fault is not None:
            raise fault
        self.wires.append(Wire())
        return self.wires[-1]


def listed(*symbols: str, open_times: Sessions = ALWAYS) -> list[Listed]:
    """Instruments 0, 1, ... by their symbols."""
    return [Listed(symbol, i, open_times) for i, symbol in enumerate(symbols)]


def trade(symbol: str, price: object, ms: object, size: object = 1.0, **more: object) -> dict[str, object]:
    """One print as it is in a frame."""
    return {"s": symbol, "p": price, "t": ms, "v": size, **more}


def trades(*given: object) -> dict[str, object]:
    """A frame of them."""
    return {"data": list(given), "type": "trade"}


def frame(said: object) -> bytes:
    """As it comes over the wire."""
    return json.dumps(said).encode()


def of_kind(items: Sequence[Item], kind: type) -> list[Item]:
    """The items of one class, in their order."""
    return [item for item in items if isinstance(item, kind)]
