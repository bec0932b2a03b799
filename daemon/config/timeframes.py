"""What closes a bar, as a person writes it: a length of time, or an amount of trading."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

from daemon.config.types import format_duration, parse_duration, show

CUTS = ("ticks", "volume", "value")  # rows, units, currency: the engine's kinds of bars beside time
_NUMBER = r"[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_CUT = rf"({_NUMBER}) +({'|'.join(CUTS)})"
_MOST = 1e15
_MEANT = {
    "tick": "ticks", "trades": "ticks", "prints": "ticks", "units": "volume", "shares": "volume",
    "contracts": "volume", "dollars": "value", "dollar": "value", "usd": "value", "notional": "value",
}  # fmt: skip
_MEANING = {
    "ticks": "trades",
    "volume": "units traded",
    "value": "currency traded, whichever the instrument's is",
}


@dataclass(frozen=True)
class Cut:
    """A bar that closes with the trade by which it holds so much. kind: one of CUTS."""

    kind: str
    size: float

    def __str__(self) -> str:
        whole = self.size.is_integer()
        return f"{int(self.size) if whole else self.size} {self.kind}"


def parse_timeframe(value: Any) -> int | Cut:
    """Nanoseconds of ``1m`` or ``1d``, or the Cut that ``1000 ticks``, ``50000 volume``, ``1000000 value`` means.

    Raises ValueError for anything else.
    """
    if isinstance(value, str) and (found := re.fullmatch(_CUT, value)):
        size = float(found[1])
        if not 0 < size < _MOST:
            raise ValueError(f"{value} is out of range; a bar takes more than nothing and less than 1e15")
        if found[2] == "ticks" and not size.is_integer():
            raise ValueError(f"{value} is no whole number of trades; write one such as 1000 ticks")
        return Cut(found[2], size)
    if isinstance(value, str) and (found := re.fullmatch(rf"({_NUMBER})[ _]*([A-Za-z]+)", value)):
        word = found[2].lower()
        word = _MEANT.get(word, word)
        if word in CUTS:
            raise ValueError(f"{show(value)} is written {found[1]} {word}: {_MEANING[word]}")
    try:
        return parse_duration(value)
    except ValueError as error:
        raise ValueError(f"{error}; or an amount: 1000 ticks, 50000 volume, 1000000 value") from error


def format_timeframe(timeframe: int | Cut) -> str:
    """The text that `parse_timeframe` reads as that timeframe."""
    return str(timeframe) if isinstance(timeframe, Cut) else format_duration(timeframe)


def split_feature(name: str) -> tuple[str, str]:
    """A feature and the timeframe that it names, as written: "sma_20@1h" -> "sma_20", "1h"; "" where it names none."""
    base, at, timeframe = name.partition("@")
    if at and not timeframe:
        raise ValueError(f"{name!r} names no timeframe behind its @; write one such as {base}@1h")
    return base, timeframe


def in_ns(name: str) -> str:
    """A feature as the engine names it, its timeframe in nanoseconds: "sma_20@1h" -> "sma_20@3600000000000"."""
    base, timeframe = split_feature(name)
    return f"{base}@{parse_duration(timeframe)}" if timeframe else name


def _is_duration(text: str) -> str:
    parse_duration(text)
    return text


_DURATION = "[0-9]+(ns|us|ms|s|m|h|d|w)"

Timeframe = Annotated[
    int | Cut,
    BeforeValidator(parse_timeframe),
    PlainSerializer(format_timeframe, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": f"^({_DURATION}|{_CUT})$",
            "examples": ["1m", "1d", "1000 ticks", "50000 volume", "1000000 value"],
        }
    ),
]
# kept as it is written, for a class asks for it in the same words
DurationText = Annotated[
    str,
    AfterValidator(_is_duration),
    Field(json_schema_extra={"pattern": f"^{_DURATION}$", "examples": ["1h", "1d"]}),
]
