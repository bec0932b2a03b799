"""What can be wrong with a file of market data, and where."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import NamedTuple


class DataError(Exception):
    """A file of market data cannot be used as it is.

    The message reads "FILE:LINE: FIELD: what is wrong; what to do". LINE counts from 1 and includes the header; in
    Parquet it is the row. Both LINE and FIELD are left out where they would say nothing.
    """


class Reason(StrEnum):
    """Why a row is not used; these are the keys under which rows set aside are counted."""

    BROKEN_LINE = "broken line"
    BAD_TIME = "unreadable time"
    BAD_NUMBER = "unreadable number"
    BAD_PRICE = "price is no positive number"
    BAD_SIZE = "size is negative or no number"
    HIGH_BELOW_LOW = "high below low"
    OUTSIDE = "open or close outside low and high"
    BACKWARD = "time goes back"
    SECOND_BAR = "second bar of the same time"
    OVERLAP = "bar begins before the one above ends"


class Fault(NamedTuple):
    """A row that is not used."""

    line: int
    field: str  # the file's name of the column
    reason: Reason
    problem: str


_SKIP = "or set `on_bad_row: skip` to leave such rows out and count them"
_REMEDY = {
    Reason.BACKWARD: f"sort the file by time, {_SKIP}",
    Reason.SECOND_BAR: f"remove one of the two, or correct `bar` if the file's bars are shorter, {_SKIP}",
    Reason.OVERLAP: f"write the duration of the file's bars as `bar`, or correct the row, {_SKIP}",
}


def file_error(path: Path, problem: str, remedy: str, line: int | None = None, field: str = "") -> DataError:
    """The error with its place in front, as DataError describes."""
    place = f"{path}:{line}" if line is not None else str(path)
    return DataError(": ".join(filter(None, [place, field, f"{problem}; {remedy}"])))


def row_error(path: Path, fault: Fault) -> DataError:
    """The error for a row that was to be refused."""
    remedy = _REMEDY.get(fault.reason, f"correct the row, {_SKIP}")
    return file_error(path, fault.problem, remedy, fault.line, fault.field)
