"""The difference between two runs, divided among its causes: parts that add up to the whole."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from daemon.compare.running import Executed, Run

SHOWN = 10


class Cause(StrEnum):
    """What is changed on the way from the recorded tape to the vendor's bars, in this order."""

    TIMING = "timing"
    FILLS = "fills"
    MISSING = "missing prints"
    PRICES = "prices"


@dataclass(frozen=True)
class Part:
    """What is attributed, of one account or strategy. profits: of the five runs, in money units; fills: likewise."""

    name: str
    profits: tuple[int, ...]
    fills: tuple[int, ...]

    def parts(self) -> dict[Cause, int]:
        """Cause -> what it changes the profit by; the sum is the last run's profit less the first's."""
        return dict(zip(Cause, _steps(self.profits), strict=True))

    def fill_parts(self) -> dict[Cause, int]:
        """Cause -> what it changes the number of fills by."""
        return dict(zip(Cause, _steps(self.fills), strict=True))


@dataclass(frozen=True)
class Disagreement:
    """An order that one of two successive runs has filled otherwise than the other, or that only one has.

    gain: what the later run has more of it by the end, in money units.
    """

    cause: Cause
    before: Executed | None
    after: Executed | None

    @property
    def gain(self) -> int:
        return (self.after.gain if self.after else 0) - (self.before.gain if self.before else 0)


def accounts(runs: Sequence[Run], owner: dict[str, str]) -> list[Part]:
    """A part for each account. owner: strategy -> account."""
    return [
        Part(
            name,
            tuple(run.accounts[name] for run in runs),
            tuple(sum(n for s, n in run.fills.items() if owner[s] == name) for run in runs),
        )
        for name in runs[0].accounts
    ]


def strategies(runs: Sequence[Run]) -> list[Part]:
    """A part for each strategy that filled anything in any run."""
    return [
        Part(name, tuple(run.strategies[name] for run in runs), tuple(run.fills[name] for run in runs))
        for name in runs[0].strategies
        if any(run.fills[name] for run in runs)
    ]


def disagreements(runs: Sequence[Run], length: int) -> list[Disagreement]:
    """What successive runs filled otherwise, the largest first. length: of a bar, ns: decisions less than half of it apart are one."""
    found = [
        Disagreement(cause, a, b)
        for cause, (before, after) in zip(Cause, pairwise(runs), strict=True)
        for a, b in _matched(before.executed, after.executed, length // 2)
        if a is None or b is None or (a.lots, a.notional, a.fee) != (b.lots, b.notional, b.fee)
    ]
    return sorted(found, key=lambda d: -abs(d.gain))  # stable: then in the order of time


def _steps(values: Sequence[int]) -> list[int]:
    return [b - a for a, b in pairwise(values)]


def _matched(
    before: Iterable[Executed], after: Iterable[Executed], near: int
) -> Iterator[tuple[Executed | None, Executed | None]]:
    """Orders of the same strategy, instrument and side, each with the one of about the same time, or None."""
    sides: dict[tuple[int, int, int], tuple[list[Executed], list[Executed]]] = defaultdict(lambda: ([], []))
    for which, orders in enumerate((before, after)):
        for order in orders:
            sides[order.strategy, order.instrument, order.side][which].append(order)
    for key in sorted(sides):
        mine, theirs = (sorted(orders, key=lambda o: o.submitted) for orders in sides[key])
        i = j = 0
        while i < len(mine) or j < len(theirs):
            a = mine[i] if i < len(mine) else None
            b = theirs[j] if j < len(theirs) else None
            if a and b and abs(a.submitted - b.submitted) < near:
                yield a, b
                i, j = i + 1, j + 1
            elif b is None or (a and a.submitted < b.submitted):
                yield a, None
                i += 1
            else:
                yield None, b
                j += 1
