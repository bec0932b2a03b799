"""What Finnhub's websocket says, without a socket: a frame in, prints or something else out.

One frame is one JSON object: {"type": "trade", "data": [{s: symbol, p: price, t: ms, v: volume, c: conditions}]},
{"type": "ping"} or {"type": "error", "msg": text}. Nothing that comes in raises: what is wrong is refused and counted,
a print for itself, so that the others of its frame are kept. Two equal prints are two trades, and both count.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from reprlib import repr as short
from typing import Any, TypeAlias

import numpy as np

from daemon.feeds.items import Prints
from engine.records import DAY, SECOND

MILLISECOND = SECOND // 1000
HIGHEST_PRICE = 1e9  # a unit; the dearest share costs less than 1e6
LARGEST_SIZE = 1e12  # units in a trade
OLDEST_MS = DAY // MILLISECOND  # a print of longer ago is none of now, whatever its symbol's last was
_NUMBERS = (float, int)  # and no bool, which is an int


class Refusal(StrEnum):
    """Why a frame or a print was refused; the names of its counters."""

    TOO_LARGE = "too_large"  # a frame of more bytes than are parsed
    NOT_JSON = "not_json"
    UNKNOWN_TYPE = "unknown_type"  # of a frame
    MISSHAPEN = "misshapen"  # a frame of trades without a list of them
    REPEATED = "repeated"  # a frame of trades, byte for byte as the one before; dropped by configuration
    UNKNOWN_SYMBOL = "unknown_symbol"
    UNWATCHED = "unwatched"  # of a symbol that is not asked for any more
    WRONG_FIELDS = "wrong_fields"  # a print lacks something, or has it in another type
    BAD_PRICE = "bad_price"  # not a number, zero, negative, or absurd
    BAD_SIZE = "bad_size"
    OLD = "old"  # of more than a day ago
    FUTURE = "future"
    LATE = "late"  # older than its symbol's last by more than is tolerated; dropped by configuration
    NO_PRICE = "no_price"  # it has a condition that forms no price


_USUAL = (Refusal.REPEATED, Refusal.UNWATCHED, Refusal.LATE, Refusal.NO_PRICE)  # nothing is wrong with them


@dataclass
class ProtocolCounters:
    """Since the start. REPEATED and LATE count those that were passed on, too."""

    frames: int = 0
    prints: int = 0  # passed on
    pings: int = 0
    errors: int = 0
    too_large: int = 0  # this and those before and below as in Refusal: frames
    not_json: int = 0
    unknown_type: int = 0
    misshapen: int = 0
    repeated: int = 0
    unknown_symbol: int = 0  # from here on prints
    unwatched: int = 0
    wrong_fields: int = 0
    bad_price: int = 0
    bad_size: int = 0
    old: int = 0
    future: int = 0
    late: int = 0
    no_price: int = 0


@dataclass(frozen=True)
class Rules:
    """What is taken."""

    most_bytes: int = 1 << 20  # of a frame that is parsed; 50 prints have 4,000
    no_price: frozenset[str] = frozenset()  # conditions: a trade that has one of them forms no price
    future_ns: int = 10 * SECOND  # how far our clock and the venue's may differ
    late_ns: int = 10 * SECOND  # tolerated lateness behind the symbol's last print
    drop_late: bool = True
    drop_repeated: bool = False


@dataclass(frozen=True)
class Ping:
    """The connection is alive, which says nothing about prices."""


@dataclass(frozen=True)
class ServerError:
    """The venue says that something is wrong. text: as it came."""

    text: str


@dataclass(frozen=True)
class Junk:
    """A frame that was refused, or of which no print is left."""

    reason: Refusal
    text: str  # what is wrong with it, on one line


Message: TypeAlias = Prints | Ping | ServerError | Junk


def subscribe(symbol: str) -> str:
    """The frame that asks for a symbol's trades. There is no answer to it."""
    return json.dumps({"type": "subscribe", "symbol": symbol}, separators=(",", ":"))


def unsubscribe(symbol: str) -> str:
    """The frame that asks for them no more."""
    return json.dumps({"type": "unsubscribe", "symbol": symbol}, separators=(",", ":"))


class Protocol:
    """Reads the frames of one subscription, over as many connections as it takes.

    symbols: what Finnhub calls an instrument -> the engine's index. news: what was refused, the first of each reason since
    `forget`; the reader empties it.
    """

    def __init__(self, symbols: Mapping[str, int], rules: Rules) -> None:
        self.counters = ProtocolCounters()
        self.news: list[tuple[Refusal, str]] = []
        self._told: set[Refusal] = set()
        self._symbols = symbols
        self._gone: set[str] = set()  # symbols that were asked for once
        self._rules = rules
        self._last_ms = dict.fromkeys(symbols.values(), 0)
        self._last_frame = b""

    def listen(self, symbols: Mapping[str, int]) -> None:
        """Take the prints of these symbols, and of no others, from now on."""
        self._gone = (self._gone | self._symbols.keys()) - symbols.keys()
        self._symbols = symbols
        self._last_ms = dict.fromkeys(symbols.values(), 0) | self._last_ms

    def forget(self) -> None:
        """A new connection: what is refused is news again."""
        self._told.clear()
        self._last_frame = b""

    def receive(self, frame: bytes, now_ns: int) -> Message:
        """What a frame says, at a time by our clock."""
        self.counters.frames += 1
        if len(frame) > self._rules.most_bytes:
            return self._junk(Refusal.TOO_LARGE, f"{len(frame)} bytes")
        try:
            said = json.loads(frame.decode())
        except (ValueError, RecursionError):  # also for bytes that are no text, and for endless numbers
            return self._junk(Refusal.NOT_JSON, short(frame))
        kind = said.get("type") if type(said) is dict else None
        if kind == "trade":
            return self._trades(said.get("data"), frame, now_ns)
        if kind == "ping":
            self.counters.pings += 1
            return Ping()
        if kind == "error":
            self.counters.errors += 1
            return ServerError(str(said.get("msg")))
        return self._junk(Refusal.UNKNOWN_TYPE, short(said))

    def _trades(self, data: Any, frame: bytes, now_ns: int) -> Message:
        if type(data) is not list or not data:
            return self._junk(Refusal.MISSHAPEN, short(data))
        if frame == self._last_frame:
            if self._rules.drop_repeated:
                return self._junk(Refusal.REPEATED, "as the frame before")
            self.counters.repeated += 1
        self._last_frame = frame
        times: list[int] = []
        instruments: list[int] = []
        prices: list[float] = []
        sizes: list[float] = []
        reason, first = None, ""
        now_ms = now_ns // MILLISECOND
        latest_ms = (now_ns + self._rules.future_ns) // MILLISECOND
        for trade in data:
            refused = self._refusal(trade, now_ms, latest_ms)
            if refused is not None:
                if reason is None:
                    reason, first = refused, short(trade)
                self._refuse(refused, trade)
                continue
            times.append(trade["t"])
            instruments.append(self._symbols[trade["s"]])
            prices.append(trade["p"])
            sizes.append(trade["v"])
        n = len(times)
        if reason is not None and not n:
            return Junk(reason, first)
        self.counters.prints += n
        return Prints(
            np.array(times, np.int64) * MILLISECOND,
            np.array(instruments, np.int32),
            np.array(prices, np.float64),
            np.array(sizes, np.float64),
            np.zeros(n, np.uint8),  # RowKind.PRINT
        )

    def _refusal(self, trade: Any, now_ms: int, latest_ms: int) -> Refusal | None:
        # Each comparison is written so that NaN fails it.
        try:
            symbol, price, ms, size = trade["s"], trade["p"], trade["t"], trade["v"]
            conditions = trade.get("c")
            instrument = self._symbols.get(symbol)
        except (LookupError, TypeError):  # no object, or a symbol that is none
            return Refusal.WRONG_FIELDS
        if type(symbol) is not str or type(ms) is not int:
            return Refusal.WRONG_FIELDS
        if type(price) not in _NUMBERS or type(size) not in _NUMBERS:
            return Refusal.WRONG_FIELDS
        if instrument is None:
            return Refusal.UNWATCHED if symbol in self._gone else Refusal.UNKNOWN_SYMBOL
        if not 0 < price <= HIGHEST_PRICE:
            return Refusal.BAD_PRICE
        if not 0 <= size <= LARGEST_SIZE:
            return Refusal.BAD_SIZE
        if ms > latest_ms:
            return Refusal.FUTURE
        if ms < now_ms - OLDEST_MS:
            return Refusal.OLD
        if conditions and self._rules.no_price:
            if type(conditions) is not list:
                return Refusal.WRONG_FIELDS
            if not self._rules.no_price.isdisjoint(map(str, conditions)):
                return Refusal.NO_PRICE
        last = self._last_ms[instrument]
        if (last - ms) * MILLISECOND > self._rules.late_ns:
            if self._rules.drop_late:
                return Refusal.LATE
            self.counters.late += 1
        elif ms > last:
            # A print of the future is taken as one of now: the next ones are not late because of it.
            self._last_ms[instrument] = min(ms, now_ms)
        return None

    def _junk(self, reason: Refusal, text: str) -> Junk:
        self._refuse(reason, text)
        return Junk(reason, text)

    def _refuse(self, reason: Refusal, what: Any) -> None:
        setattr(self.counters, reason, getattr(self.counters, reason) + 1)
        if reason not in self._told and reason not in _USUAL:
            self._told.add(reason)
            self.news.append((reason, what if isinstance(what, str) else short(what)))
