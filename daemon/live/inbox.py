"""The one ordered stream of inputs: rows of feeds, and rows of our own with what they carry, each with its time.

Who puts something here gives it its place on the tape: its time is ours, and never goes back.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.records import NEVER, SECOND, Ticks

if TYPE_CHECKING:
    from daemon.feeds.clock import Clock
    from daemon.feeds.items import Prints

MOST_ROWS = 65_536  # that wait; then feeds wait
TAKEN = 4_096  # rows that are decided at once, at most; what waits longer waits for the next turn
IDLE_S = 0.5  # the longest that nothing is looked at


@dataclass
class Entry:
    """Rows that belong together, and what the last of them carries.

    received: monotonic ns, when they came. done: hears the seq of the last row once that is committed, or that it never will be.
    """

    ticks: Ticks
    received: int
    kind: str | None = None
    content: Any = None
    done: asyncio.Future[int] | None = None


class Inbox:
    """Inputs in order; one reader. last: the time of the last row, ns UTC, behind which no row may lie."""

    def __init__(self, clock: Clock, last: int, most_rows: int = MOST_ROWS) -> None:
        self.last = last
        self.rows = 0  # that wait
        self.taken = 0  # rows since the start
        self._clock = clock
        self._most_rows = most_rows
        self._entries: deque[Entry] = deque()
        self._room = asyncio.Event()
        self._room.set()
        self._waiter: asyncio.Future[None] | None = None

    def now(self) -> int:
        """The time that a row has which enters now."""
        return max(self._clock.now_ns(), self.last)

    async def put(self, rows: Prints | Ticks) -> None:
        """Enter rows of a feed; waits while too many wait already. Ticks bring their own time, which must not go back."""
        await self.room()
        received = time.monotonic_ns()
        if isinstance(rows, Ticks):
            if rows.ts_recv[0] < self.last:
                rows = rows._replace(ts_recv=np.maximum(rows.ts_recv, self.last))
            self.last = int(rows.ts_recv[-1])
            ticks = rows
        else:
            self.last = self.now()
            at = np.full(len(rows.price), self.last, np.int64)
            ticks = Ticks(rows.ts_event, at, *rows.columns[1:])
            received = rows.received or received
        self._enter(Entry(ticks, received))

    async def room(self) -> None:
        """Wait while too much waits."""
        await self._room.wait()

    def post(
        self, row: Callable[[int], Ticks], kind: str | None = None, content: Any = None
    ) -> asyncio.Future[int]:
        """Enter a row of our own, made for the time that it gets, and what it carries; never waits."""
        self.last = self.now()
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        done.add_done_callback(_heard)
        self._enter(Entry(row(self.last), time.monotonic_ns(), kind, content, done))
        return done

    async def take(self, due: int) -> list[Entry]:
        """What has come, at most about TAKEN rows and at least one entry; nothing where IDLE_S went by, or `due` (ns UTC) came."""
        if not self._entries:
            await self._wait(due)
        entries, n = [], 0
        while self._entries and n < TAKEN:
            entry = self._entries.popleft()
            n += len(entry.ticks.price)
            entries.append(entry)
        self.rows -= n
        self.taken += n
        if self.rows < self._most_rows:
            self._room.set()
        return entries

    def wake(self) -> None:
        """Let the reader look around, though nothing came."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _enter(self, entry: Entry) -> None:
        self._entries.append(entry)
        self.rows += len(entry.ticks.price)
        if self.rows >= self._most_rows:
            self._room.clear()
        self.wake()

    async def _wait(self, due: int) -> None:
        loop = asyncio.get_running_loop()
        wait = IDLE_S if due == NEVER else min(IDLE_S, max(0.0, (due - self._clock.now_ns()) / SECOND))
        self._waiter = loop.create_future()
        alarm = loop.call_later(wait, self.wake)
        try:
            await self._waiter
        finally:
            alarm.cancel()
            self._waiter = None


def _heard(done: asyncio.Future[int]) -> None:
    # nobody need wait for it; its error is not news to the loop
    if not done.cancelled():
        done.exception()
