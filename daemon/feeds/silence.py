"""When silence means that a connection hangs: measured in time in which something should have been heard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from engine.records import SECOND
from engine.spec import Sessions

Array = np.ndarray[Any, Any]

SHORTEST_S = 0.02  # between two looks


class OpenTime:
    """Time in which at least one of several markets is open; one without sessions always is."""

    def __init__(self, markets: Sequence[Sessions]) -> None:
        self._always = any(not len(m.opens) for m in markets)
        opens = np.concatenate([np.zeros(0, np.int64), *(m.opens for m in markets)])
        closes = np.concatenate([np.zeros(0, np.int64), *(m.closes for m in markets)])
        order = np.argsort(opens, kind="stable")
        opens, closes = opens[order], np.maximum.accumulate(closes[order])
        # a session that opens before the ones before it have closed goes on with them
        first = np.ones(len(opens), bool)
        first[1:] = opens[1:] > closes[:-1]
        last = np.append(first[1:], True)[: len(opens)]
        self._opens, self._closes = opens[first], closes[last]
        lengths = self._closes - self._opens
        self._before = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])  # open ns before each

    def between(self, start: int, end: int) -> int:
        """Nanoseconds of [start, end) in which a market is open; 0 where end <= start."""
        if end <= start:
            return 0
        return end - start if self._always else self._until(end) - self._until(start)

    def at(self, ts: int) -> bool:
        """Whether a market is open."""
        return self.between(ts, ts + 1) > 0

    def _until(self, ts: int) -> int:
        i = int(np.searchsorted(self._opens, ts, side="right"))  # sessions that have begun
        return int(self._before[i]) - (max(0, int(self._closes[i - 1]) - ts) if i else 0)


class Overdue(NamedTuple):
    """What has not come for too long, and since when."""

    since: int  # ns UTC: the last of it
    why: str


class Silence:
    """Watches one connection: since when it has said nothing, and since when it has given no price.

    no_frames_s: seconds without any frame; the venue sends pings, day and night. no_prices_s: seconds without a print, of
    those in which a market is open; pings do not count. Time in which we do not listen is no silence of the other side.
    """

    def __init__(self, open_time: OpenTime, no_frames_s: float, no_prices_s: float, now_ns: int) -> None:
        self._open_time = open_time
        self._no_frames_s, self._no_prices_s = no_frames_s, no_prices_s
        self._listening = True
        self.found: Overdue | None = None  # for which the connection was given up
        self.heard = now_ns  # the last frame, or when we were done with it
        self.priced = now_ns  # the same of the last print
        self._since = now_ns  # no print is missed from before

    def listens(self, now_ns: int) -> None:
        """We wait for the next frame from now on."""
        self._listening, self.heard = True, now_ns

    def hears(self) -> None:
        """A frame has come, and we are busy with it."""
        self._listening = False

    def watches(self, open_time: OpenTime, now_ns: int) -> None:
        """Prices of other markets are waited for, from now on."""
        self._open_time, self._since = open_time, now_ns

    def overdue(self, now_ns: int) -> Overdue | None:
        """None where all is well."""
        if not self._listening:
            return None
        if now_ns - self.heard >= round(self._no_frames_s * SECOND):
            return Overdue(self.heard, f"nothing came for {self._no_frames_s:g} s on an open connection")
        if self._quiet(now_ns) >= round(self._no_prices_s * SECOND):
            why = f"no print came for {self._no_prices_s:g} s in which a market was open"
            return Overdue(self.priced, why)
        return None

    def patience_s(self, now_ns: int) -> float:
        """Seconds until it can be overdue; to be asked again then."""
        frames = self._no_frames_s - (now_ns - self.heard) / SECOND
        return max(min(frames, self._no_prices_s - self._quiet(now_ns) / SECOND), SHORTEST_S)

    def _quiet(self, now_ns: int) -> int:
        return self._open_time.between(max(self.priced, self._since), now_ns)
