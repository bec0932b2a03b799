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
    """The wall clock as it was when this was made, carried on by a steady one: a step of the former does not show."""

    def __init__(self) -> None:
        self._offset = time.time_ns() - time.clock_gettime_ns(_STEADY)

    def now_ns(self) -> int:
        return time.clock_gettime_ns(_STEADY) + self._offset

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
