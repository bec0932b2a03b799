"""Several feeds as one, in time order, with bounded waiting.

The rule. Each feed's own order stays as it is. Of the feeds' next items the one of the earliest time comes first, the
earlier feed first where times are equal; rows are cut where another feed's item belongs between them. To know which is the
earliest, an item waits until each other feed has its next one, or has ended, but for no more than `wait_s`. What then
comes from another feed with an earlier time is passed on behind it, and counted.

The time of a row is its ts_recv where it has one (Ticks) and else its ts_event, of a quote its ts_event, but none is
earlier than what its feed gave before. Gaps and statuses have no time in this sense: they wait for nothing, and keep their
place among the items of their feed.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from daemon.feeds.clock import Clock
from daemon.feeds.items import Item, Prints, Quote
from daemon.feeds.queued import BOUND, QueuedFeed
from engine.records import SECOND, Ticks

_FIRST = -(2**63)


@dataclass
class MergedCounters:
    """Since the start."""

    items: int = 0
    overtaken: int = 0  # items passed on behind later ones, because they came too late to wait for


@dataclass
class _Head:
    """A feed's next item. times: (n,) int64, ascending: of a print's rows, or of the item."""

    item: Item
    times: np.ndarray[Any, Any]
    came: int  # ns, by our clock

    def cut(self, n: int) -> tuple[Item, _Head]:
        """The item's first n rows, and the others."""
        first, rest = (self._part(rows) for rows in (slice(n), slice(n, None)))
        return first, _Head(rest, self.times[n:], self.came)

    def _part(self, rows: slice) -> Item:
        if isinstance(self.item, Ticks):
            return Ticks(*(column[rows] for column in self.item))
        assert isinstance(self.item, Prints)
        return self.item.part(rows)


class Merged(QueuedFeed):
    """The feeds in time order; they are entered and left with it, and it ends with the last of them.

    wait_s: math.inf waits as long as it takes: for history, of which nothing may be overtaken; what comes out is then a
    function of what the feeds give, whenever they give it. 0 is the order of arrival. What a feed raises ends all.
    """

    def __init__(
        self, feeds: Sequence[QueuedFeed], clock: Clock, wait_s: float = math.inf, bound: int = BOUND
    ) -> None:
        super().__init__(bound)
        if not wait_s >= 0:
            raise ValueError(f"wait_s is {wait_s}, it is a number of seconds, 0 or more")
        self.counters = MergedCounters()
        self._feeds = feeds
        self._clock = clock
        self._wait_s = wait_s
        self._heads: dict[int, _Head] = {}
        self._pending: dict[int, asyncio.Task[Item]] = {}
        self._reached = [_FIRST] * len(feeds)  # by what each feed gave
        self._passed = _FIRST  # the time of the latest item that was passed on

    async def _run(self) -> None:
        async with AsyncExitStack() as stack:
            for feed in self._feeds:
                await stack.enter_async_context(feed)
            try:
                for i in range(len(self._feeds)):
                    self._await(i)
                while self._heads or self._pending:
                    if (patience := self._patience_s()) > 0:
                        await self._more(patience)
                    else:
                        await self._release()
            finally:
                for task in self._pending.values():
                    task.cancel()
                if self._pending:
                    await asyncio.wait(self._pending.values())

    def _await(self, i: int) -> None:
        self._pending[i] = asyncio.ensure_future(anext(self._feeds[i]))

    def _patience_s(self) -> float:
        # for how long more items are to be waited for
        if not self._heads:
            return math.inf
        if not self._pending or any(not len(head.times) for head in self._heads.values()):
            return 0.0
        oldest = min(head.came for head in self._heads.values())
        return self._wait_s - (self._clock.now_ns() - oldest) / SECOND

    async def _more(self, patience: float) -> None:
        # waits for one more item, or so long
        waiting: set[asyncio.Task[Any]] = set(self._pending.values())
        alarm = None
        if patience < math.inf:
            alarm = asyncio.ensure_future(self._clock.sleep(patience))
            waiting.add(alarm)
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if alarm is not None:
                alarm.cancel()
                await asyncio.wait([alarm])
        for i, task in list(self._pending.items()):
            if task.done():
                del self._pending[i]
                with suppress(StopAsyncIteration):  # the feed has ended
                    self._arrived(i, task.result())

    def _arrived(self, i: int, item: Item) -> None:
        times = np.zeros(0, np.int64)
        if isinstance(item, Prints | Ticks):
            rows = item.ts_recv if isinstance(item, Ticks) else item.ts_event
            times = np.maximum(np.maximum.accumulate(rows), self._reached[i])
        elif isinstance(item, Quote):
            times = np.array([max(item.ts_event, self._reached[i])], np.int64)
        if len(times):
            self._reached[i] = int(times[-1])
        self._heads[i] = _Head(item, times, self._clock.now_ns())

    async def _release(self) -> None:
        # passes on the first of what is there, as far as it is the first
        times = {i: int(head.times[0]) if len(head.times) else _FIRST for i, head in self._heads.items()}
        first = min(times, key=lambda i: (times[i], i))
        head = self._heads.pop(first)
        item, n = head.item, len(head.times)
        if isinstance(item, Prints | Ticks):
            for i, ts in times.items():
                if i != first:
                    n = min(n, int(np.searchsorted(head.times, ts, side="right" if first < i else "left")))
            if n < len(head.times):
                item, self._heads[first] = head.cut(n)
        if n:
            if head.times[0] < self._passed:
                self.counters.overtaken += 1
            self._passed = max(self._passed, int(head.times[n - 1]))
        self.counters.items += 1
        if first not in self._heads:
            self._await(first)
        await self._put(item)
