"""Time as feeds see it. Tests put a clock in its place that only they move."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

_STEADY = getattr(
    time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC
)  # Linux' counts a suspended machine's time too


class Clock(Protocol):
    """Tells the time, and waits."""

    def now_ns(self) -> int:
        """Nanoseconds since 1970 UTC; never goes back."""

    async def sleep(self, seconds: float) -> None:
        """Wait for at least so long."""


class SystemClock:
    """The wall clock as it was when this was made, carried on by a steady one: a step of the former does not show.

    not_before: ns UTC. A wall clock that was set back since then is taken for that much.
    """

    def __init__(self, not_before: int = 0) -> None:
        self._offset = max(time.time_ns(), not_before) - time.clock_gettime_ns(_STEADY)

    def now_ns(self) -> int:
        return time.clock_gettime_ns(_STEADY) + self._offset

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class FeedClock:
    """Time as the rows of a feed have it, such as a tape of history: the latest that was told. Waits last as they do outside."""

    def __init__(self, now_ns: int = 0) -> None:
        self._now = now_ns

    def advance(self, ts: int) -> None:
        """It is ts, ns UTC, or later."""
        self._now = max(self._now, ts)

    def now_ns(self) -> int:
        return self._now

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
