"""A clock that only sleeping moves, chance from a seed, and a patience that keeps what it said."""

import random
from datetime import UTC, datetime

from daemon.fetch.patience import Outside, Patience, TokenBucket


def ns(text: str) -> int:
    """Nanoseconds of an ISO time in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


class Clock:
    """Time from a moment on; `slept` are the waits, in seconds."""

    def __init__(self, now: str = "2020-09-10T12:00:00") -> None:
        self.slept: list[float] = []
        self._now = ns(now)
        self.outside = Outside(self.now_ns, self.monotonic, self.sleep, random.Random(7))

    def now_ns(self) -> int:
        return self._now + int(sum(self.slept) * 1e9)

    def monotonic(self) -> float:
        return 1000.0 + sum(self.slept)

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.slept.append(seconds)


def patience(clock: Clock, said: list[str] | None = None, per_minute: int = 60_000) -> Patience:
    """Patience by that clock, with room for all requests unless told otherwise."""
    heard = [] if said is None else said
    return Patience(TokenBucket(per_minute, per_minute // 2, clock.outside), clock.outside, heard.append)
