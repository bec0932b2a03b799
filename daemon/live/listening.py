"""What feeds and actors give becomes inputs: one task a feed, in the order of arrival."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog

from daemon.feeds.clock import FeedClock
from daemon.feeds.items import Gap, Quote, Status, StatusKind
from daemon.live import rows
from daemon.live.feeding import row_of
from daemon.live.messages import FeedStatus
from daemon.notify import words
from engine.records import Ticks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.bus import Bus
    from daemon.feeds.clock import Clock
    from daemon.feeds.queued import QueuedFeed
    from daemon.live.health import Health
    from daemon.live.inbox import Inbox

log = structlog.get_logger()
_DOWN = (
    StatusKind.DISCONNECTED, StatusKind.CONTESTED, StatusKind.HUNG, StatusKind.UNREACHABLE, StatusKind.REFUSED,
)  # fmt: skip


class Listening:
    """Reads feeds into the inbox. ended: set once all of them have nothing more to give. instruments: their names."""

    def __init__(
        self, feeds: Sequence[QueuedFeed], inbox: Inbox, clock: Clock, health: Health, bus: Bus, instruments: Sequence[str]
    ) -> None:  # fmt: skip
        self.ended = asyncio.Event()
        self._feeds, self._inbox, self._clock, self._health = feeds, inbox, clock, health
        self._bus, self._instruments = bus, instruments
        self._left = len(feeds)
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self, tasks: asyncio.TaskGroup) -> None:
        """Listen, in tasks of that group."""
        turn = asyncio.Event()
        turn.set()
        for (
            feed
        ) in self._feeds:  # one is entered behind the other: a split that is due, before the first print
            entered = asyncio.Event()
            self._tasks.append(tasks.create_task(self._listen(feed, turn, entered), name="listen"))
            turn = entered

    async def stop(self) -> None:
        """Take nothing more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def submit(self, kind: str, content: dict[str, Any]) -> None:
        """Enter what an asynchronous actor says, or what became of it."""
        await self._inbox.room()
        self._inbox.post(rows.timer, kind, content)

    async def _listen(self, feed: QueuedFeed, turn: asyncio.Event, entered: asyncio.Event) -> None:
        await turn.wait()
        async with feed:
            entered.set()
            async for item in feed:
                if isinstance(item, Gap):
                    self._gap(item)
                elif isinstance(item, Quote):
                    self._inbox.post(row_of(item))
                elif isinstance(item, Status):
                    await self._status(item)
                else:
                    await self._inbox.room()
                    if isinstance(item, Ticks) and isinstance(self._clock, FeedClock):
                        self._clock.advance(int(item.ts_recv[-1]))
                    await self._inbox.put(item)
        self._left -= 1
        if self._left == 0:
            self.ended.set()

    def _gap(self, gap: Gap) -> None:
        names = [self._instruments[k] for k in gap.instruments]
        content = {"instruments": names, "since": gap.since, "until": gap.until, "why": gap.why}
        self._inbox.post(rows.timer, "gap", content)
        since, until = (None if ns is None else words.time(ns) for ns in (gap.since, gap.until))
        log.warning("gap", instruments=names, since=since, until=until, why=gap.why)

    async def _status(self, status: Status) -> None:
        health = self._health
        if status.kind in _DOWN:
            health.feed = status.text
            health.feed_down_since = health.feed_down_since or status.ts
        elif status.kind is StatusKind.CONNECTED:
            health.feed, health.feed_down_since = status.text, None
        tell = log.info if status.kind is StatusKind.CONNECTED else log.warning
        tell("feed", kind=str(status.kind), text=status.text)
        await self._bus.publish(FeedStatus(status))
