"""When prints come, how large they are, and the bars that they make.

A tape is made in chunks of about CHUNK prints, which are the same however it is read: so that memory is bounded, and
random numbers are drawn in one order only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import log1p, sqrt
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]

CHUNK = 1 << 14  # prints: what is computed of them fits the processor's caches


class Prints(NamedTuple):
    """Prints in time order; prices and sizes are whole numbers."""

    ts: Array  # (n,) int64 ns UTC
    price: Array  # (n,) float64, in ticks
    size: Array  # (n,) float64, in lots


def flat(share: Array) -> Array:
    """When in a session so much of its volume is done: alike all the time. All between 0 and 1."""
    return share


def u_shaped(share: Array) -> Array:
    """When in a session so much of its volume is done, where the rate is 0.5 + 1.5 * (2t - 1)^2 at t: 2 at both ends.

    With y = 2t - 1 the share is (y^3 + y + 2) / 4; y^3 + y = q has one real root, which Cardano's formula gives
    without cancellation by hyperbolic functions.
    """
    q = 4 * share - 2
    return 0.5 + np.sinh(np.arcsinh(q * (1.5 * sqrt(3))) / 3) / sqrt(3)


SHAPES: dict[str, Callable[[Array], Array]] = {"flat": flat, "u": u_shaped}


class Chunk(NamedTuple):
    """A stretch of trading time and the prints in it."""

    ts: Array  # (n,) int64 ns UTC, ascending
    days: Array  # (n,) float64, trading days since the chunk began
    span: float  # trading days that it lasts
    wanted: int  # so many of the prints lie in the sessions that were asked for


class Timetable:
    """Sessions laid end to end on one axis, that of the prints to be expected: session k has [first[k], first[k+1]).

    opens, closes: (n,) int64 ns UTC; day_ns: how long a whole session is; prints_per_day: of a whole session, others
    have their share, at least one. Numbers on the axis are whole at the edges of sessions.
    """

    def __init__(
        self, opens: Array, closes: Array, day_ns: int, prints_per_day: float, shape: Callable[[Array], Array]
    ) -> None:
        lengths = closes - opens
        prints = np.maximum(np.rint(lengths * (prints_per_day / day_ns)), 1).astype(np.int64)
        self._first = np.append(0, np.cumsum(prints))
        self._open_ns = np.append(0, np.cumsum(lengths))  # for which the market was open before each session
        self._opens = opens
        self._day_ns = day_ns
        self._shape = shape

    def chunks(self, sessions: int, even: bool, rng: np.random.Generator) -> Iterator[Chunk]:
        """The prints of the first so many sessions: in a fixed rhythm from each open on, or a Poisson process.

        The last chunk goes on behind them where the timetable does, so that a longer tape has the same numbers.
        """
        until, end = int(self._first[sessions]), int(self._first[-1])
        for a in range(0, until, CHUNK):
            b = min(a + CHUNK, end)
            place = np.arange(float(a), float(b)) if even else _at_random(a, b, rng)
            ts, now = self._locate(np.concatenate(([a], place, [np.nextafter(b, a)])))
            now -= now[0]
            np.maximum.accumulate(now, out=now)  # rounding
            days = now / self._day_ns
            yield Chunk(ts[1:-1], days[1:-1], float(days[-1]), int(np.searchsorted(place, until)))

    def _locate(self, place: Array) -> tuple[Array, Array]:
        # (n,) ascending places on the axis -> (n,) times in ns: UTC, and for which the market was open until then
        first, last = np.searchsorted(self._first, place[[0, -1]], side="right") - 1
        edges = np.searchsorted(place, self._first[first + 1 : last + 1])
        session = np.repeat(np.arange(first, last + 1), np.diff(edges, prepend=0, append=len(place)))
        begin, open_ns = self._first[session], self._open_ns[session]
        share = (place - begin) / (self._first[session + 1] - begin)
        length = self._open_ns[session + 1] - open_ns
        since = np.minimum(np.rint(self._shape(share) * length).astype(np.int64), length - 1)
        ts = self._opens[session] + since
        return np.maximum.accumulate(ts, out=ts), open_ns + since


def _at_random(a: int, b: int, rng: np.random.Generator) -> Array:
    # in any stretch of a Poisson process as many points as it has lie like sorted uniform numbers
    wait = rng.standard_exponential(rng.poisson(b - a) + 1)
    place = np.cumsum(wait, out=wait)
    place *= (b - a) / place[-1]
    place += a
    return np.minimum(place[:-1], np.nextafter(b, a))


def lots(n: int, mean: float, rng: np.random.Generator) -> Array:
    """(n,) float64 whole numbers of 1 and more, geometric, of this mean; a mean of 1 makes all of them 1."""
    if mean <= 1:
        return np.ones(n)
    sizes = rng.standard_exponential(n)
    sizes *= -1 / log1p(-1 / mean)
    np.floor(sizes, out=sizes)
    sizes += 1
    return sizes


def to_bars(prints: Iterator[Prints], bar_ns: int) -> Iterator[dict[str, Array]]:
    """Bars from multiples of bar_ns on: ts (int64 ns, the start), open, high, low, close in ticks, volume in lots.

    A stretch without prints has no bar. All are exact, whatever the cut of the prints.
    """
    last: dict[str, Array] | None = None  # may go on in the next chunk
    for ts, price, size in prints:
        start = ts // bar_ns * bar_ns
        first = np.flatnonzero(np.diff(start, prepend=start[0] - 1))
        bars = {
            "ts": start[first],
            "open": price[first],
            "high": np.maximum.reduceat(price, first),
            "low": np.minimum.reduceat(price, first),
            "close": price[np.append(first[1:], len(ts)) - 1],
            "volume": np.add.reduceat(size, first),
        }
        if last is not None:
            bars = _joined(last, bars)
        yield {name: column[:-1] for name, column in bars.items()}
        last = {name: column[-1:] for name, column in bars.items()}
    if last is not None:
        yield last


def _joined(last: dict[str, Array], bars: dict[str, Array]) -> dict[str, Array]:
    if last["ts"][0] == bars["ts"][0]:
        bars["open"][0] = last["open"][0]
        bars["high"][0] = max(last["high"][0], bars["high"][0])
        bars["low"][0] = min(last["low"][0], bars["low"][0])
        bars["volume"][0] += last["volume"][0]
        return bars
    return {name: np.concatenate([last[name], column]) for name, column in bars.items()}
