"""One limit for all requests to Finnhub's REST interface by one key."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from daemon.feeds.clock import Clock
from daemon.fetch.patience import Outside, TokenBucket
from engine.records import SECOND

PER_MINUTE = 60  # in any minute, of the free plan
BURST = 20  # at once; the venue allows 30 a second
LONGEST_HOLD_S = 3600.0


@dataclass
class LimiterCounters:
    """Since the start."""

    passed: int = 0
    waited_ns: int = 0
    held: int = 0  # times that the venue asked for a pause


class Limiter:
    """Lets requests pass one after the other, in the order in which they ask: at most 60 in any minute, 30 in a second."""

    def __init__(self, clock: Clock, per_minute: int = PER_MINUTE, burst: int = BURST) -> None:
        self.counters = LimiterCounters()
        self._clock = clock
        self._bucket = TokenBucket(per_minute, burst, Outside(clock.now_ns, lambda: clock.now_ns() / SECOND))
        self._turn = asyncio.Lock()
        self._held_until = 0

    async def take(self) -> None:
        """Wait until a request may pass."""
        began = self._clock.now_ns()
        async with self._turn:
            while wait := self._wait_s():
                await self._clock.sleep(wait)
        self.counters.passed += 1
        self.counters.waited_ns += self._clock.now_ns() - began

    def hold(self, seconds: float) -> None:
        """Nothing passes for so long, an hour at most: what a venue asks for with Retry-After."""
        self.counters.held += 1
        self._held_until = max(
            self._held_until, self._clock.now_ns() + round(min(seconds, LONGEST_HOLD_S) * SECOND)
        )

    def _wait_s(self) -> float:
        held = (self._held_until - self._clock.now_ns()) / SECOND
        return held if held > 0 else self._bucket.try_take()
