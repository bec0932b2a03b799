"""Between which prices a guarded instrument's marks can change nothing but what portfolios are worth."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.jit import jit
from engine.ledger import amount_of
from engine.records import DAY, N_LIMITS, Level, Limit, State
from engine.watch import BACK, lots_in, worth_of

_ROUNDING = 2.0  # money units, by which the sum of rounded values may be off; and of a value,
_SHARE = 1e-12  # what its floats may


@jit
def find_guards(s: State, k: int, price: float) -> bool:
    """Find between which prices no level of what was lost changes, and nothing is worth more than ever before.

    They are the instrument's `low_guard` and `high_guard`, both exclusive. False where the price is not between them, or a
    limit looks at more than the worth; then each mark has to be looked at.
    """
    instrument = s.instruments[k]
    instrument.low_guard = -np.inf
    instrument.high_guard = np.inf
    for p in range(len(s.portfolios)):
        portfolio = s.portfolios[p]
        if s.accounts[portfolio.account].leverage > 0.0:
            return False  # margins are looked at, at each mark
        if portfolio.watched and not _narrow(s, p, k, instrument):
            return False
    return bool(instrument.low_guard < price < instrument.high_guard)


@jit
def _narrow(s: State, p: int, k: int, instrument: Any) -> bool:
    """Narrow the instrument's guards to where the levels of one portfolio stay; false where that is nowhere."""
    portfolio = s.portfolios[p]
    if portfolio.statistical == 2 or portfolio.day != s.clock[0].now // DAY:
        return False
    lots = lots_in(s, p, k)
    same = portfolio.moves == s.accounts[portfolio.account].moves
    low = -np.inf
    high = float(portfolio.peak)
    for limit in (Limit.DRAWDOWN.value, Limit.DAILY_LOSS.value):
        row = s.limits[p * N_LIMITS + limit]
        best = float(portfolio.peak if limit == Limit.DRAWDOWN else portfolio.day_worth)
        lost = row.bound * best if row.bound > 0.0 else np.inf  # it is beyond from here on,
        warned = row.warning * best if row.warning > 0.0 else np.inf
        if row.level == Level.WITHIN:
            low = max(low, best - lost, best - warned)
        elif row.level == Level.WARNING:
            low = max(low, best - lost)
            high = min(high, best - BACK * warned)  # and back below this
        elif row.level == Level.BEYOND:
            high = min(high, best - BACK * lost)
        else:
            return False
    if lots == 0:  # nothing of the row concerns it, but it may have something to tell
        return bool(same or worth_of(s, p) == portfolio.worth)
    price = instrument.was
    worth = float(portfolio.worth)
    if not same:
        price = instrument.price
        worth = float(worth_of(s, p))
    unit = amount_of(instrument, abs(lots), 1.0)
    margin = _ROUNDING + _SHARE * (abs(worth) + unit * price)
    down = (worth - low - margin) / unit
    up = (high - worth - margin) / unit
    if not (down > 0.0 and up > 0.0):
        return False
    if lots < 0:
        down, up = up, down
    instrument.low_guard = max(instrument.low_guard, price - down)
    instrument.high_guard = min(instrument.high_guard, price + up)
    return True
