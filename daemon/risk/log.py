"""What the limits on risk did during a run, and the forecasts with their outcomes, gathered batch by batch."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.records import NONE, Code, EventKind, Level, Status, TradingState
from engine.records_risk import GRADE

if TYPE_CHECKING:
    from engine.engine import Events

Array = np.ndarray[Any, Any]

LIMITS = (Code.VAR, Code.CVAR, Code.STRESSED_VAR, Code.DRAWDOWN, Code.DAILY_LOSS)
DENIALS = (*LIMITS, Code.HISTORY, Code.NOT_FINITE, Code.SINGULAR)  # those that risk alone gives as a reason


@dataclass
class Counts:
    """Of an account's own limits, or of one strategy's: how often a warning was reached, how often the limit itself, and how
    often that halted trading. Of all orders of an account: how many were cut to pass. By code.
    """

    warnings: Counter[Code] = field(default_factory=Counter)
    breaches: Counter[Code] = field(default_factory=Counter)
    halts: Counter[Code] = field(default_factory=Counter)
    cuts: Counter[Code] = field(default_factory=Counter)
    rejections: int = 0  # of the account's model


@dataclass(frozen=True)
class Halt:
    """A trading state other than ACTIVE, of an account or, where strategy is not NONE, of that strategy."""

    account: int
    strategy: int
    state: TradingState
    code: Code  # why
    ts: int  # since when


class RiskLog:
    """Gathers what the figures on risk need. Grades are kept whole: one record a period, account and method."""

    def __init__(self, accounts: int) -> None:
        self.counts = tuple(Counts() for _ in range(accounts))
        self.own: dict[int, Counts] = {}  # of strategies' own limits
        self._halts: dict[tuple[int, int], Halt] = {}
        self._levels: dict[tuple[int, int, int], int] = {}  # (account, strategy, code) -> where it stands
        self._grades = [np.zeros(0, GRADE)]
        self._newest = 0  # id of the last order seen

    @property
    def grades(self) -> Array:
        """(n,) GRADE, in the order in which outcomes were known."""
        return np.concatenate(self._grades)

    @property
    def halts(self) -> list[Halt]:
        """What does not trade freely now: accounts and strategies, each account before its strategies."""
        return [halt for _, halt in sorted(self._halts.items()) if halt.state != TradingState.ACTIVE]

    def add(self, out: Events) -> None:
        """Take in what a batch caused."""
        if len(out.grades):
            self._grades.append(out.grades)
        kind = out.events["kind"]
        for event in out.events[kind == EventKind.RISK]:
            self._reached(event)
        for event in out.events[kind == EventKind.STATE]:
            self._switched(event)
        self._cut(out.events[kind == EventKind.ORDER])

    def _switched(self, event: Any) -> None:
        account, strategy, code = int(event["account"]), int(event["strategy"]), Code(event["code"])
        state, ts = TradingState(int(event["lots"])), int(event["ts"])
        before = self._halts.get((account, strategy))
        if before is None or before.state != state:  # a margin call switches nothing
            self._halts[account, strategy] = Halt(account, strategy, state, code, ts)
        if state == TradingState.HALTED and code in LIMITS:
            self._of(account, strategy).halts[code] += 1

    def _of(self, account: int, strategy: int) -> Counts:
        return self.counts[account] if strategy == NONE else self.own.setdefault(strategy, Counts())

    def _reached(self, event: Any) -> None:
        counts = self._of(int(event["account"]), int(event["strategy"]))
        code, level = Code(event["code"]), int(event["lots"])
        if code == Code.MODEL:
            counts.rejections += level
            return
        limit = int(event["account"]), int(event["strategy"]), int(code)
        before = self._levels.get(limit, Level.WITHIN)
        self._levels[limit] = level
        if level == Level.BEYOND:
            counts.breaches[code] += 1
        elif level > before:
            counts.warnings[code] += 1

    def _cut(self, orders: Array) -> None:
        # an order's first event says what the gate did with it; later ones may tell of new terms
        ids, first = np.unique(orders["order_id"], return_index=True)
        fresh = orders[first[ids > self._newest]]
        self._newest = max(self._newest, int(ids[-1])) if len(ids) else self._newest
        for event in fresh[(fresh["status"] != Status.DENIED) & (fresh["bound"] > 0.0)]:
            self.counts[event["account"]].cuts[Code(event["code"])] += 1
