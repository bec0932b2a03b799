"""How often a provider is asked, and when it is asked again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from daemon.fetch.errors import Refused, Transient

ATTEMPTS = 5
FIRST_WAIT_S = 1.0  # doubled each time
LONGEST_ASKED_S = 300.0  # a provider that asks for more is given up

T = TypeVar("T")


@dataclass(frozen=True)
class Outside:
    """The time, and chance, as they are outside; tests put their own here."""

    now_ns: Callable[[], int] = time.time_ns  # since 1970 UTC
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    rng: random.Random = field(default_factory=random.Random)


class TokenBucket:
    """Lets so many requests pass in any minute, and `burst` of them at once.

    What is saved up counts towards the minute that follows, so that it fills at (per_minute - burst) a minute.
    """

    def __init__(self, per_minute: int, burst: int, outside: Outside) -> None:
        if not 0 < burst < per_minute:
            raise ValueError(f"burst is {burst}, it must lie between 0 and {per_minute}")
        self._per_second = (per_minute - burst) / 60
        self._burst = burst
        self._outside = outside
        self._tokens = float(burst)
        self._then = outside.monotonic()

    def take(self) -> None:
        """Sleep until a request may pass."""
        while wait := self.try_take():
            self._outside.sleep(wait)

    def try_take(self) -> float:
        """Let a request pass, and return 0; or the seconds after which one may, where none may now."""
        self._fill()
        if self._tokens < 1:
            return (1 - self._tokens) / self._per_second + 1e-3
        self._tokens -= 1
        return 0.0

    def _fill(self) -> None:
        now = self._outside.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._then) * self._per_second)
        self._then = now


@dataclass(frozen=True)
class Patience:
    """Asks a provider within its limits, and again where that may help."""

    bucket: TokenBucket
    outside: Outside
    tell: Callable[[str], None]

    def ask(self, what: str, question: Callable[[], T]) -> T:
        """The answer to a question; what: names it in messages.

        Waits between attempts double, each shortened by up to a half by chance so that clients that failed together
        do not come back together; the provider's own wish is kept where it is longer. Raises Refused: at once where
        the question does, else after five attempts or where the provider wants more than five minutes.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return question()
            except Transient as fault:
                asked = fault.retry_after or 0.0
                if asked > LONGEST_ASKED_S:
                    raise Refused(f"{fault}; it asks to wait {asked:.0f} s: try again after that") from None
                if attempt == ATTEMPTS:
                    raise Refused(f"{fault}; gave up after {attempt} attempts, try again later") from None
                wait = FIRST_WAIT_S * 2 ** (attempt - 1)
                wait = max(wait * (1 - self.outside.rng.random() / 2), asked)
                self.tell(f"{what}: {fault}; attempt {attempt + 1} of {ATTEMPTS} in {wait:.1f} s")
                self.outside.sleep(wait)
        raise AssertionError("the last attempt returns or raises")


def retry_after(header: str | None, now_ns: int) -> float | None:
    """Seconds to wait by a Retry-After header, which holds seconds or a date; None where it says nothing usable."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:  # "-0000": a UTC time
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.fromtimestamp(now_ns / 1e9, UTC)).total_seconds())
