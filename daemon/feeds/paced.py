"""History as a live feed: at the pace at which it happened, at a multiple of it, or as fast as it is read."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

from daemon.feeds.clock import Clock
from daemon.feeds.errors import FeedError
from daemon.feeds.queued import BOUND, QueuedFeed
from engine.records import SECOND, Ticks

MOST_ROWS = 4096  # of an item


@dataclass
class PacedCounters:
    """Since the start."""

    rows: int = 0
    behind_ns: int = 0  # by how much the last rows came later than their pace has it


class Paced(QueuedFeed):
    """Rows of a tape, such as daemon.data.feed.Feed gives, as the tape has them, each when its time has come.

    A row's time is its ts_recv, which ascends. speed: 1 is as it happened, 60 an hour a minute, None as fast as possible.
    The first row comes at once, and sets the pace; rows whose time has come together come in one item. Where the reader is
    slower than the pace nothing is left out: the rows come later than they should. clock: one that goes on by itself.

    skip: so many rows of the tape are passed over first: those that a session that goes on has. The tape is read in a
    thread, a batch at a time. Raises ValueError for a speed or a skip that is none; to the reader FeedError where the tape
    has fewer rows than are to be passed over, and what the tape raises.
    """

    def __init__(
        self,
        tape: Iterable[Ticks],
        clock: Clock,
        speed: float | None = 1.0,
        bound: int = BOUND,
        skip: int = 0,
    ) -> None:
        super().__init__(bound)
        if speed is not None and not 0 < speed < math.inf:
            raise ValueError(f"a speed of {speed} is none; give a positive number, or None for no pace")
        if skip < 0:
            raise ValueError(f"skip is {skip}, it is a number of rows, 0 or more")
        self.counters = PacedCounters()
        self._tape = tape
        self._clock = clock
        self._speed = speed
        self._skip = skip
        self._first: tuple[int, int] | None = None  # our time, and the tape's, of the first row

    @property
    def position(self) -> int:
        """Rows of the tape up to here: those passed over, and those given."""
        return self._skip + self.counters.rows

    def counts(self) -> dict[str, int]:
        """Of rows."""
        return {f"tape_{name}": n for name, n in asdict(self.counters).items()}

    async def _run(self) -> None:
        batches = _behind(self._tape, self._skip)
        while (batch := await asyncio.to_thread(_next, batches)) is not None:
            for begin in range(0, len(batch.price), MOST_ROWS):
                await self._play(_rows(batch, begin, begin + MOST_ROWS))

    async def _play(self, ticks: Ticks) -> None:
        begin, n = 0, len(ticks.price)
        while begin < n:
            end = n if self._speed is None else await self._due(ticks, begin, self._speed)
            await self._put(_rows(ticks, begin, end))
            self.counters.rows += end - begin
            begin = end

    async def _due(self, ticks: Ticks, begin: int, speed: float) -> int:
        # waits for a row; how far the rows go whose time has come by then
        ts = int(ticks.ts_recv[begin])
        if self._first is None:
            self._first = (self._clock.now_ns(), ts)
        ours, theirs = self._first
        due = ours + math.ceil((ts - theirs) / speed)
        while (now := self._clock.now_ns()) < due:
            await self._clock.sleep((due - now) / SECOND)
        self.counters.behind_ns = now - due
        passed = theirs + int((now - ours) * speed)
        return max(begin + 1, int(ticks.ts_recv.searchsorted(passed, side="right")))


def _behind(tape: Iterable[Ticks], skip: int) -> Iterator[Ticks]:
    # the tape behind so many rows
    left = skip
    for ticks in tape:
        n = len(ticks.price)
        if left < n:
            yield _rows(ticks, left, n)
        left = max(0, left - n)
    if left:
        raise FeedError(
            f"the session goes on behind row {skip:,} of its data, which have {skip - left:,}: they are not those that "
            "it began with; put those back, or begin another session"
        )


def _rows(ticks: Ticks, begin: int, end: int) -> Ticks:
    # a stretch; nothing is copied
    return Ticks(*(column[begin:end] for column in ticks))


def _next(batches: Iterator[Ticks]) -> Ticks | None:
    return next(batches, None)
