"""History as a live feed: at the pace at which it happened, at a multiple of it, or as fast as it is read."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from daemon.data.merge import cut
from daemon.feeds.clock import Clock
from daemon.feeds.items import Prints
from daemon.feeds.queued import BOUND, QueuedFeed
from engine.records import SECOND, Ticks

MOST_ROWS = 4096  # of an item


@dataclass
class PacedCounters:
    """Since the start."""

    rows: int = 0
    behind_ns: int = 0  # by how much the last rows came later than their pace has it


class Paced(QueuedFeed):
    """Rows of a tape in time order, such as daemon.data.feed.Feed gives, each when its time has come.

    speed: 1 is as it happened, 60 an hour a minute, None as fast as possible. The first row comes at once, and sets the
    pace; rows whose time has come together come in one item. Where the reader is slower than the pace nothing is left out: the
    rows come later than they should. The tape is read in a thread, a batch at a time. Raises ValueError for a speed that
    is none; what the tape raises reaches the reader.
    """

    def __init__(
        self, tape: Iterable[Ticks], clock: Clock, speed: float | None = 1.0, bound: int = BOUND
    ) -> None:
        super().__init__(bound)
        if speed is not None and not 0 < speed < math.inf:
            raise ValueError(f"a speed of {speed} is none; give a positive number, or None for no pace")
        self.counters = PacedCounters()
        self._tape = tape
        self._clock = clock
        self._speed = speed
        self._first: tuple[int, int] | None = None  # our time, and the tape's, of the first row

    async def _run(self) -> None:
        batches = iter(self._tape)
        while (batch := await asyncio.to_thread(_next, batches)) is not None:
            for ticks in cut(batch, MOST_ROWS):
                await self._play(ticks)

    async def _play(self, ticks: Ticks) -> None:
        begin, n = 0, len(ticks.price)
        while begin < n:
            end = n if self._speed is None else await self._due(ticks, begin, self._speed)
            rows = (column[begin:end] for column in (ticks.ts_event, *ticks[2:]))
            await self._put(Prints(*rows))
            self.counters.rows += end - begin
            begin = end

    async def _due(self, ticks: Ticks, begin: int, speed: float) -> int:
        # waits for a row; how far the rows go whose time has come by then
        ts = int(ticks.ts_event[begin])
        if self._first is None:
            self._first = (self._clock.now_ns(), ts)
        ours, theirs = self._first
        due = ours + math.ceil((ts - theirs) / speed)
        while (now := self._clock.now_ns()) < due:
            await self._clock.sleep((due - now) / SECOND)
        self.counters.behind_ns = now - due
        passed = theirs + int((now - ours) * speed)
        return max(begin + 1, int(ticks.ts_event.searchsorted(passed, side="right")))


def _next(batches: Iterator[Ticks]) -> Ticks | None:
    return next(batches, None)
