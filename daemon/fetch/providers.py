"""Who history can be fetched from, and what each of them has to do. Their modules are loaded when they are chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, Protocol, runtime_checkable

from daemon.fetch.answers import Answer
from daemon.fetch.patience import Patience


class Provider(Protocol):
    """One conversation with a provider of history."""

    name: ClassVar[str]
    symbols: ClassVar[tuple[str, ...]]  # which to fetch where none is named
    bars: ClassVar[tuple[int, ...]]  # durations that it has, ns; with 0 it is a Quoter too
    per_minute: ClassVar[int]  # requests
    burst: ClassVar[int]  # of them at once

    def __init__(self, patience: Patience) -> None: ...

    def earliest(self, bar_ns: int, now_ns: int) -> int:
        """Since when there are bars."""

    def history(self, symbol: str, bar_ns: int, start: int, now_ns: int) -> Answer:
        """Bars from `start` up to now, as far as there are any, and the actions from the day of `start` on."""

    def close(self) -> None:
        """End the conversation."""


@runtime_checkable
class Quoter(Protocol):
    """A provider that has the latest price of a symbol."""

    def quote(self, symbol: str) -> tuple[int, float]:
        """The time of the latest price, ns UTC, and the price."""


def _yahoo() -> type[Provider]:
    from daemon.fetch.yahoo import Yahoo

    return Yahoo


def _finnhub() -> type[Provider]:
    from daemon.fetch.finnhub_rest import Finnhub

    return Finnhub


PROVIDERS: Mapping[str, Callable[[], type[Provider]]] = {"yfinance": _yahoo, "finnhub": _finnhub}
