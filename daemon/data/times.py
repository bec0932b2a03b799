"""Times as files write them become nanoseconds UTC; stamps of bars become their starts."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from daemon.data.rawblocks import is_text
from engine.records import DAY

UNITS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
MAX_NS = np.iinfo(np.int64).max
FIRST_VALUES = 100  # among so many one must show how times are written
_ZONE = r"(Z|[+-]\d\d(:?\d\d)?)$"
_ISO = r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d(:?\d\d)?)?)?"
_COMPACT = {
    r"(19|20)\d{6}": "%Y%m%d",
    r"(19|20)\d{6} \d{4}": "%Y%m%d %H%M",
    r"(19|20)\d{6} \d{6}": "%Y%m%d %H%M%S",
    r"(19|20)\d{12}": "%Y%m%d%H%M%S",
}


class Clock:
    """Reads the times of one file.

    how: "iso", "unix" (the unit by magnitude, value by value), a unit of UNITS, a pattern of strptime, or None: found
    out from the first values. zone: of times that name none. Bars of whole days (bar_ns) are dated by the calendar
    day that is written, whatever the zone: D covers [D 00:00 UTC, the next day 00:00 UTC).
    """

    def __init__(self, how: str | None, zone: str, bar_ns: int, at_end: bool) -> None:
        self.how = how
        self.zone = zone
        self.bar_ns = bar_ns
        self.at_end = at_end
        self.whole_days = bar_ns > 0 and bar_ns % DAY == 0

    def knows(self, column: Any) -> bool:
        """Whether it knows how the times of a column are written; looks at the first where it has not been told."""
        if self.how is None:
            kind = column.type
            if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or is_text(column)):
                return True  # a type of times, or one that `starts` refuses
            texts = [str(v).strip() for v in column[:FIRST_VALUES].to_pylist()]
            self.how = next((how for text in texts if (how := spelling(text))), None)
        return self.how is not None

    @property
    def wanted(self) -> str:
        """What a value that cannot be read was to be, for messages."""
        written = f" written {self.how}" if self.how and "%" in self.how else ""
        # local times may not exist, or exist twice
        return (
            f"time{written}" if self.zone == "UTC" else f"time{written}, or not a single one in {self.zone}"
        )

    def starts(self, column: Any) -> np.ndarray[Any, Any]:
        """(n,) int64 ns UTC: times of ticks, starts of bars. Raises ValueError where a value is no such time."""
        if column.null_count:
            raise ValueError("a time is missing")
        stamps = self._stamps(column)
        if self.whole_days:
            # a stamp at the end is the midnight after the day, or an hour of it
            return (stamps - 1) // DAY * DAY + (DAY - self.bar_ns) if self.at_end else stamps // DAY * DAY
        return stamps - self.bar_ns if self.at_end else stamps

    def _stamps(self, column: Any) -> np.ndarray[Any, Any]:
        kind = column.type
        unix = self.how == "unix" or self.how in UNITS
        if not unix and pa.types.is_integer(kind):  # 20240102
            column, kind = column.cast(pa.string()), pa.string()
        if is_text(column):
            if unix:
                return self._unix_text(column)
            column = self._parse(column)
        elif pa.types.is_integer(kind):
            return from_unix(column.cast(pa.int64()).to_numpy(), self.how)
        elif pa.types.is_floating(kind):
            return from_unix(np.array([_whole(v) for v in column.to_pylist()], np.int64), self.how)
        elif pa.types.is_date(kind):
            column = (
                column.cast(pa.timestamp("s")) if kind == pa.date32() else column.cast(pa.timestamp("ms"))
            )
        elif not pa.types.is_timestamp(kind):
            raise pa.ArrowNotImplementedError(f"a column of {kind} holds no times")
        if column.type.tz is not None and self.whole_days:
            column = pc.local_timestamp(column)
        elif column.type.tz is None and not self.whole_days and self.zone != "UTC":
            column = pc.assume_timezone(column, self.zone, ambiguous="raise", nonexistent="raise")
        nanoseconds = column.cast(pa.timestamp("ns", column.type.tz))  # raises where it does not fit
        return np.asarray(nanoseconds.cast(pa.int64()).to_numpy())

    def _parse(self, column: Any) -> Any:
        # text to Arrow timestamps, with a zone where the text has one
        if self.how != "iso":
            assert self.how is not None
            if not re.search(r"%[fzZ]", self.how):
                return pc.strptime(column, format=self.how, unit="s")
            return pa.array([self._parse_one(text) for text in column.to_pylist()], pa.timestamp("ns", "UTC"))
        zoned = re.search(_ZONE, column[0].as_py()[10:]) is not None
        if zoned and self.whole_days:
            column, zoned = pc.replace_substring_regex(column, f"{_ZONE}", ""), False
        return column.cast(pa.timestamp("ns", "UTC" if zoned else None))

    def _parse_one(self, text: str) -> int:
        # what Arrow's strptime cannot: fractions and zones
        assert self.how is not None
        time = datetime.strptime(text, self.how)  # noqa: DTZ007 - the zone comes next
        if time.tzinfo is None:
            time = time.replace(tzinfo=UTC if self.whole_days else ZoneInfo(self.zone))
        elif self.whole_days:
            time = time.replace(tzinfo=UTC)
        since = time - datetime(1970, 1, 1, tzinfo=UTC)
        return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1_000

    def _unix_text(self, column: Any) -> np.ndarray[Any, Any]:
        try:
            return from_unix(column.cast(pa.int64()).to_numpy(), self.how)
        except pa.ArrowInvalid:  # 1700000000.25: exact, and slower
            texts = column.to_pylist()
            if not all(re.fullmatch(r"\s*-?\d+(\.\d*)?\s*", text) for text in texts):
                raise
            values = [Decimal(text) for text in texts]
            ns = [int(v * _factor(abs(v), self.how)) for v in values]
            if any(abs(v) > MAX_NS for v in ns):
                raise
            return np.array(ns, np.int64)


def spelling(text: str) -> str | None:
    """How a time is written, as Clock takes it: None where that is not certain."""
    for pattern, how in _COMPACT.items():
        if re.fullmatch(pattern, text):
            return how
    if re.fullmatch(r"-?\d+(\.\d+)?", text):
        return "unix"
    return "iso" if re.fullmatch(_ISO, text) else None


def from_unix(values: np.ndarray[Any, Any], how: str | None) -> np.ndarray[Any, Any]:
    """(n,) int64 since 1970 in unit `how`, or in the unit that each value's magnitude says, as ns.

    Nothing is copied where they are nanoseconds. Raises ValueError where a time lies beyond the year 2262.
    """
    if not len(values):
        return values
    low, high = int(values.min()), int(values.max())
    factor = _factor(abs(high), how)
    if max(abs(low) * _factor(abs(low), how), abs(high) * factor) > MAX_NS:
        raise ValueError("a time lies beyond the year 2262")
    if how in UNITS or (low >= 0 and _factor(low, how) == factor):
        return values if factor == 1 else values * factor
    # a file may change its unit, as Binance's did in 2025
    magnitude = np.abs(values)
    factors = np.select(
        [magnitude < 10**11, magnitude < 10**14, magnitude < 10**17], [10**9, 10**6, 10**3], 1
    )
    if np.any(magnitude > MAX_NS // factors):
        raise ValueError("a time lies beyond the year 2262")
    return np.asarray(values * factors)


def _factor(magnitude: int | Decimal, how: str | None) -> int:
    if how is not None and how in UNITS:
        return UNITS[how]
    return (
        10**9 if magnitude < 10**11 else 10**6 if magnitude < 10**14 else 10**3 if magnitude < 10**17 else 1
    )


def _whole(value: float) -> int:
    if not value.is_integer():  # a double cannot say which nanosecond is meant
        raise ValueError("a time in Unix units has a fraction")
    return int(value)
