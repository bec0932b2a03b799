"""What feeds give: rows of the tape, marks from elsewhere, gaps, and what became of the connection.

Times are int64 nanoseconds UTC. ts_event is the venue's; all others are by the clock that the feed was given.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from engine.records import Ticks
from engine.spec import Sessions


@dataclass(frozen=True)
class Listed:
    """One instrument of a feed: what the venue calls it, the engine's index, and when its market is open."""

    symbol: str
    instrument: int
    open_times: Sessions  # empty: always


class Prints(NamedTuple):
    """Rows for the tape, n of them, n >= 1: the columns of engine.records.Ticks but for ts_recv, which is when they come in.

    A feed that brings its own time, as history does, gives Ticks instead. What comes behind the columns is no part of the tape.
    """

    ts_event: np.ndarray[Any, Any]  # (n,) int64
    instrument: np.ndarray[Any, Any]  # (n,) int32, the engine's index
    price: np.ndarray[Any, Any]  # (n,) float64
    size: np.ndarray[Any, Any]  # (n,) float64, units traded
    flags: np.ndarray[Any, Any]  # (n,) uint8, RowKind in the low four bits
    received: int = 0  # the process's monotonic clock, ns, when the frame came; 0: it did not come in one

    @property
    def columns(self) -> tuple[np.ndarray[Any, Any], ...]:
        """The first five."""
        return self[:5]

    def part(self, rows: slice) -> Prints:
        """Some of the rows; nothing is copied."""
        ts, instrument, price, size, flags = (column[rows] for column in self.columns)
        return Prints(ts, instrument, price, size, flags, self.received)


@dataclass(frozen=True)
class Quote:
    """The latest price as it was asked for while no prints come: it keeps a mark alive and is no trade of now."""

    instrument: int
    ts_event: int  # of the trade that it reports, which may be long ago
    price: float


@dataclass(frozen=True)
class Gap:
    """Prices may have been lost from `since` on; given once when it opens, once more when it ends.

    It lasts from the last frame of the connection that was lost until the next one has been asked for all symbols.
    """

    instruments: tuple[int, ...]
    since: int
    until: int | None  # None: it lasts
    why: str


class StatusKind(StrEnum):
    """What a Status tells of."""

    CONNECTED = "connected"  # and subscribed
    WATCHING = "watching"  # other symbols were asked for
    DISCONNECTED = "disconnected"  # by the other side, or on the way
    CONTESTED = "contested"  # at once by the other side: another program may use the same token
    HUNG = "hung"  # by us, because nothing came
    UNREACHABLE = "unreachable"  # no connection could be made
    REFUSED = "refused"  # the token is not accepted
    LIMITED = "limited"  # asked too often
    ERROR = "error"  # the venue says that something is wrong
    JUNK = "junk"  # frames or prints were refused; one a reason and connection, the rest is counted
    QUOTES = "quotes"  # a quote could not be had; one a reason and outage, the rest is counted
    ACTION = "action"  # a corporate action that somebody has to see to


@dataclass(frozen=True)
class Status:
    """What became of a connection, for logs and metrics. text: never holds a token."""

    kind: StatusKind
    ts: int
    text: str


Item: TypeAlias = Prints | Ticks | Quote | Gap | Status
