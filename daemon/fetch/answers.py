"""A provider's answer becomes rows and corporate actions that fit each other: prices as they were traded.

Most providers divide the prices before a split by its ratio, in all of their history, on the day that it takes place. A
tape has the split itself, so the prices must not have it: here they are multiplied by it again, volumes divided, and
dividends, which come adjusted too, multiplied. What is stored then stays right when the next split comes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from fractions import Fraction
from math import inf, log
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from daemon.data.actions import Action, ActionKind
from daemon.data.checks import check_order, check_values
from daemon.fetch.errors import Refused
from engine.records import DAY, SECOND

Array = np.ndarray[Any, Any]
PRICES = ("open", "high", "low", "close")
FIELDS = (*PRICES, "volume")

LARGEST_TERM = 100_000  # of a split's fraction
_LEAST_RATIO = log(1.2)  # smaller splits hide among the usual moves of a price
_LEAST_MOVE = log(1.25)
_SIXTH_DECIMAL = 5e-7  # adjusted prices come rounded to six decimals


def a_split(day: date, ratio: float) -> Action:
    """The split of so many new shares for an old one, as the simplest fraction. Raises Refused where it is none."""
    fraction = Fraction(ratio).limit_denominator(LARGEST_TERM) if 0 < ratio < inf else Fraction(0)
    if not fraction:
        raise Refused(f"the split on {day} has a ratio of {ratio:g}")
    return Action(day, ActionKind.SPLIT, float(fraction.numerator), float(fraction.denominator))


def a_dividend(day: date, amount: float) -> Action:
    """A dividend of that much per unit. Raises Refused where it is no positive amount."""
    if not 0 < amount < inf:
        raise Refused(f"the dividend on {day} is {amount:g}")
    return Action(day, ActionKind.DIVIDEND, amount=float(amount))


@dataclass(frozen=True)
class Answer:
    """What a provider gave for one symbol.

    starts: (n,) int64 ns UTC; of bars of whole days the day's 00:00 UTC. columns: FIELDS, (n,) float64 each.
    zone: of the exchange. adjusts: whether the provider says to divide by splits, for those too small to be seen in the
    prices. precision: relative error of its prices, 0 where they are exact.
    """

    starts: Array
    columns: dict[str, Array]
    zone: str = "UTC"
    actions: Sequence[Action] = ()
    adjusts: bool = False
    precision: float = 0.0


def no_bars() -> Answer:
    """The answer that there is nothing."""
    return Answer(np.empty(0, np.int64), {name: np.empty(0) for name in FIELDS})


def within(answer: Answer, start: int, end: int) -> Answer:
    """The answer's rows with start <= ts < end."""
    return _where(answer, (answer.starts >= start) & (answer.starts < end))


def joined(answers: Sequence[Answer]) -> Answer:
    """Answers for stretches of time that follow each other, as one; at least one."""
    zone = next((a.zone for a in reversed(answers) if len(a.starts)), answers[-1].zone)
    columns = {name: np.concatenate([a.columns[name] for a in answers]) for name in FIELDS}
    return replace(
        answers[-1], starts=np.concatenate([a.starts for a in answers]), columns=columns, zone=zone
    )


@dataclass(frozen=True)
class History:
    """Rows as they were traded, in order, each complete: (n,) columns `ts` and FIELDS; n may be 0."""

    columns: dict[str, Array]
    actions: list[Action]  # by date; amounts per unit of their day
    refused: Counter[str] = field(default_factory=Counter)  # reason -> rows left out


def to_history(answer: Answer, bar_ns: int, now_ns: int) -> History:
    """Check an answer's rows and undo its adjustment for splits.

    Bars that have not ended are left out; those of whole days end with the exchange's day. Rows that cannot be are left
    out too, and counted by reason, as importers do. Raises Refused where they are the majority, where the prices
    contradict a split, or where nothing was traded after one that would show whether the prices were divided for it.
    """
    clock = _wall_clock(now_ns, answer.zone) if bar_ns % DAY == 0 else now_ns
    ended = answer.starts + bar_ns <= clock
    good, refused = _checked(_where(answer, ended), bar_ns)
    factors, splits = _factors(good, _where(answer, ~ended), bar_ns)
    columns = {"ts": good.starts, **_as_traded(good, factors)}
    actions = [
        replace(a, amount=_dividend(a, splits)) if a.kind == ActionKind.DIVIDEND else a
        for a in sorted(good.actions, key=lambda a: (a.ex_date, a.kind))
    ]
    return History(columns, actions, refused)


def _wall_clock(now_ns: int, zone: str) -> int:
    # what the clocks of a zone show, as if it were UTC
    offset = datetime.fromtimestamp(now_ns // SECOND, UTC).astimezone(ZoneInfo(zone)).utcoffset()
    assert offset is not None
    return now_ns + int(offset.total_seconds()) * SECOND


def _where(answer: Answer, keep: Array) -> Answer:
    columns = {name: column[keep] for name, column in answer.columns.items()}
    return replace(answer, starts=answer.starts[keep], columns=columns)


def _checked(answer: Answer, bar_ns: int) -> tuple[Answer, Counter[str]]:
    refused: Counter[str] = Counter()
    for check in (
        lambda a: check_values(a.columns),
        lambda a: check_order(a.starts, None, bar_ns),
    ):
        found = check(answer)
        refused.update(str(f.reason) for f in found)
        keep = np.ones(len(answer.starts), bool)
        keep[[f.row for f in found]] = False
        answer = _where(answer, keep)
    if refused.total() > len(answer.starts):
        reasons = ", ".join(f"{reason}: {n}" for reason, n in sorted(refused.items()))
        raise Refused(f"{refused.total()} of {refused.total() + len(answer.starts)} rows are bad ({reasons})")
    return answer, refused


def _factors(answer: Answer, running: Answer, bar_ns: int) -> tuple[Array, list[Action]]:
    # (n,) what each row's prices were divided by, and the splits that they were divided for
    factors = np.ones(len(answer.starts))
    begun = running.columns["open"] > 0
    starts = np.concatenate([answer.starts, running.starts[begun]])
    opens = np.concatenate([answer.columns["open"], running.columns["open"][begun]])
    splits = []
    for split in answer.actions:
        if split.kind != ActionKind.SPLIT:
            continue
        first = _first_ns(split.ex_date, answer.zone, bar_ns)
        before, after = answer.columns["close"][answer.starts < first], opens[starts >= first]
        if _divided(split, before, after, answer.adjusts):
            factors[: len(before)] *= _ratio(split)
            splits.append(split)
    return factors, splits


def _divided(split: Action, before: Array, after: Array, adjusts: bool) -> bool:
    # Whether the prices before a split were divided by its ratio: closes before it, opens from it on. They say it
    # themselves, and better than the provider's documents, for splits have been forgotten and divided by twice.
    size = log(_ratio(split))
    if abs(size) < _LEAST_RATIO or not len(before):
        return adjusts
    what = f"the split of {split.numerator:g}:{split.denominator:g} on {split.ex_date}"
    if not len(after):
        raise Refused(
            f"nothing was traded since {what}, so it does not show whether the prices before it are divided; "
            "try again when something was"
        )
    move = log(before[-1] / after[0])
    if min(abs(move), abs(move - size)) > max(abs(size) / 2, _LEAST_MOVE):
        raise Refused(
            f"the prices do not fit {what}: {before[-1]:g} before it and {after[0]:g} after; "
            "the provider may be at work on it: try again in a few days"
        )
    return abs(move) < abs(move - size)


def _first_ns(day: date, zone: str, bar_ns: int) -> int:
    # where a calendar day begins on the tape
    tz = UTC if bar_ns % DAY == 0 else ZoneInfo(zone)
    return int(datetime(day.year, day.month, day.day, tzinfo=tz).timestamp()) * SECOND


def _as_traded(answer: Answer, factors: Array) -> dict[str, Array]:
    # Rounded to the decimals that the error of a row's high leaves: 28.749952 is 28.75.
    given = answer.columns
    error = factors * (given["high"] * answer.precision + _SIXTH_DECIMAL * (factors != 1))
    exact = error == 0
    decimals = np.floor(-np.log10(2 * np.where(exact, 1.0, error)))
    scale = 10.0 ** np.clip(decimals, 2, 12)
    columns = {}
    for name in PRICES:
        price = given[name] * factors
        columns[name] = np.where(exact, price, np.rint(price * scale) / scale)
    volume = given["volume"] / factors
    columns["volume"] = np.where(factors == 1, volume, np.rint(volume))
    return columns


def _ratio(split: Action) -> float:
    return split.numerator / split.denominator


def _dividend(action: Action, splits: Sequence[Action]) -> float:
    amount, factor = action.amount or 0.0, 1.0
    for split in splits:
        if split.ex_date > action.ex_date:
            factor *= _ratio(split)
    # six decimals as it came, of which the factor takes its own digits
    return amount if factor == 1 else round(amount * factor, 6 - len(f"{factor:.0f}"))
