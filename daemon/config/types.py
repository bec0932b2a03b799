"""The types of single values: times, durations, names. Each reads what a person writes and writes what it reads."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

_UNITS = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
    "w": 604_800_000_000_000,
}
_DURATION = r"([0-9]+)(ns|us|ms|s|m|h|d|w)"
_LONGEST = 36_500 * _UNITS["d"]  # a hundred years: times stay far inside int64 nanoseconds
_EARLIEST = datetime(1700, 1, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)


def parse_duration(value: Any) -> int:
    """Nanoseconds of ``250ms``, ``1m``, ``5h``, ``1d``; raises ValueError for anything but a positive one."""
    found = re.fullmatch(_DURATION, value) if isinstance(value, str) else None
    if not found:
        raise ValueError(
            f"{show(value)} is no duration; write a whole number and its unit: 250ms, 30s, 1m, 4h, 1d, 1w"
        )
    ns = int(found[1]) * _UNITS[found[2]]
    if not 0 < ns <= _LONGEST:
        raise ValueError(f"{value} is out of range; a duration is longer than nothing and at most 100 years")
    return ns


def format_duration(ns: int) -> str:
    """The shortest text that `parse_duration` reads as that many nanoseconds (a week is 7d)."""
    unit = next(u for u in ("d", "h", "m", "s", "ms", "us", "ns") if ns % _UNITS[u] == 0)
    return f"{ns // _UNITS[unit]}{unit}"


def parse_bar(value: Any) -> int:
    """Nanoseconds of a bar's duration; 0 for ``tick``."""
    if value == "tick":
        return 0
    try:
        return parse_duration(value)
    except ValueError as error:
        raise ValueError(f"{error}; or tick, where each row is a trade") from error


def parse_time(value: Any) -> datetime:
    """The moment of an ISO 8601 date or time: a date is its midnight, and what names no zone is UTC."""
    text = value.isoformat() if isinstance(value, date) else value
    if not isinstance(text, str):
        raise ValueError(f"{show(value)} is no time; write a date such as 2001-01-31 or 2001-01-31T14:30:00Z")
    if re.search(r"[.,][0-9]{7}", text):
        raise ValueError(f"{text} is too fine; write at most microseconds")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(
            f"{show(value)} is no time; write a date such as 2001-01-31 or 2001-01-31T14:30:00Z"
        ) from error
    moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    if not _EARLIEST <= moment < _LATEST:
        raise ValueError(f"{text} is out of range; times run from 1700 to 2200")
    return moment


def ns_of(moment: datetime) -> int:
    """Exact nanoseconds since 1970 UTC."""
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1_000


def show(value: Any) -> str:
    """A value as in a message: as it is written in YAML, and never long."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _matches(pattern: str, what: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"{text!r} {what}")
        return text

    return check


def _known_zone(name: str) -> str:
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (
        KeyError,
        ValueError,
        OSError,
    ) as error:  # ZoneInfoNotFoundError is a KeyError; a folder's name an OSError
        raise ValueError(f"{name!r} is no time zone; write one such as UTC or America/New_York") from error
    return name


def _known_calendar(name: str) -> str:
    from daemon.calendars import check

    check(name)  # its error is a ValueError
    return name


def _existing(path: Path) -> Path:
    if not path.exists():
        raise ValueError(
            f"there is no {path}; a relative path starts in the folder of the configuration, or with --set in the current one"
        )
    return path


def _existing_file(path: Path) -> Path:
    if _existing(path).is_dir():
        raise ValueError(f"{path} is a folder; name a file in it")
    return path


def _existing_folder(path: Path) -> Path:
    if not _existing(path).is_dir():
        raise ValueError(f"{path} is a file; name the folder that it is in")
    return path


_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
_WORD = r"[^\s:/\\]\S{0,31}"
_TIME_SCHEMA = {"type": "string", "examples": ["2001-01-31", "2001-01-31T14:30:00Z"]}

Name = Annotated[
    str,
    AfterValidator(
        _matches(_NAME, "is no name for a file; use letters, digits, dot, dash and underscore, at most 100")
    ),
    Field(json_schema_extra={"pattern": f"^{_NAME}$"}),
]
InstrumentName = Annotated[
    str,
    AfterValidator(_matches(_WORD, "is no name of an instrument; write 1 to 32 characters without blanks")),
]
Currency = Annotated[
    str,
    AfterValidator(
        _matches(r"[A-Z][A-Z0-9]{1,9}", "is no currency; write a code in capitals, such as USD or BTC")
    ),
]
Duration = Annotated[
    int,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": f"^{_DURATION}$", "examples": ["250ms", "1m", "1d"]}),
]
BarDuration = Annotated[
    int,
    BeforeValidator(parse_bar),
    PlainSerializer(lambda ns: format_duration(ns) if ns else "tick", return_type=str),
    WithJsonSchema({"type": "string", "pattern": f"^({_DURATION}|tick)$", "examples": ["1m", "1d", "tick"]}),
]
Time = Annotated[
    datetime,
    BeforeValidator(parse_time),
    PlainSerializer(lambda t: t.isoformat().replace("+00:00", "Z"), return_type=str),
    WithJsonSchema(_TIME_SCHEMA),
]
TimeZone = Annotated[str, AfterValidator(_known_zone)]
Calendar = Annotated[
    str, AfterValidator(_known_calendar), Field(json_schema_extra={"examples": ["XNYS", "24/7"]})
]
ExistingFile = Annotated[Path, Field(strict=False), AfterValidator(_existing_file)]
ExistingPath = Annotated[Path, Field(strict=False), AfterValidator(_existing)]
ExistingFolder = Annotated[Path, Field(strict=False), AfterValidator(_existing_folder)]
