"""Corporate actions: splits, cash dividends, changes of symbol and delistings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum


class ActionKind(StrEnum):
    """What happened."""

    SPLIT = "split"
    DIVIDEND = "dividend"
    SYMBOL = "symbol"
    DELISTING = "delisting"


@dataclass(frozen=True)
class Action:
    """Something that happened to an instrument before the first print of ex_date."""

    ex_date: date  # in the exchange's calendar
    kind: ActionKind
    numerator: float = 1.0  # a split: so many new units ...
    denominator: float = 1.0  # ... for so many old ones
    amount: float | None = None  # currency per unit, as it then was; of a delisting, None: the last price
    symbol: str = ""  # the name from here on


def fitted(actions: Iterable[Action], adjusted: str) -> list[Action]:
    """The actions as prices need them that are "raw", adjusted for "splits", or for "all" (dividends too).

    For "splits" those fall away, and a dividend is divided by the splits that come after it.
    """
    given = list(actions)
    if adjusted == "raw":
        return given
    result, later = [], 1.0
    for action in reversed(given):
        if action.kind == ActionKind.SPLIT:
            later *= action.numerator / action.denominator
        elif action.kind != ActionKind.DIVIDEND:
            result.append(action)
        elif adjusted == "splits":
            result.append(replace(action, amount=(action.amount or 0.0) / later))
    return result[::-1]


def later_symbols(actions: Iterable[Action]) -> tuple[str, ...]:
    """The names that the instrument takes on, one a change, in their order."""
    return tuple(a.symbol for a in actions if a.kind == ActionKind.SYMBOL)
