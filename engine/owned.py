"""What a specification may change while an engine lives: its rules, not its shape.

The fields below hold what the specification says; every other field holds what has happened. So an engine that takes on a
snapshot, or another specification, has these from the specification and all else as it was.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from engine.build import worth
from engine.records import DAY, NONE, Level, SizeKind, Slippage, State
from engine.spec import AccountSpec, EngineSpec, LimitsSpec, StrategySpec, accrues
from engine.spec_risk import NO_LIMITS

OWNED = {
    "clock": ("merge_late", "most_orders"),
    "instruments": (
        "taker_bps", "maker_bps", "fee_per_lot", "fee_min", "min_lots", "max_lots", "latency_ns", "slippage",
        "slippage_value", "participation", "first_session", "n_sessions",
    ),
    "accounts": (
        "max_order_notional", "max_position", "max_gross", "max_net", "max_concentration", "collar", "max_stale_ns",
        "rate_window", "cuts", "leverage", "maintenance", "borrow_rate", "debit_rate", "credit_rate", "guarded",
    ),
    "strategies": ("size_kind", "size_value", "p0", "p1", "p2", "short", "threshold", "model"),
    "portfolios": ("statistical", "watched"),
    "limits": ("bound", "warning", "action"),
}  # fmt: skip
WHOLE = ("weights", "activations", "sessions")  # arrays that are the specification's alone


def frame(spec: EngineSpec) -> EngineSpec:
    """The specification without what may change: two engines of one frame can take on each other's state."""
    return replace(
        spec,
        instruments=tuple(
            replace(
                i, taker_bps=0.0, maker_bps=0.0, fee_per_unit=0.0, fee_min=0.0, min_lots=1, max_lots=1, latency_ns=0,
                slippage=Slippage.NONE, slippage_value=0.0, participation=0.0, symbols=(),
            )
            for i in spec.instruments
        ),
        accounts=tuple(_account(spec, a) for a in spec.accounts),
        strategies=tuple(_strategy(s) for s in spec.strategies),
        calendars=dict.fromkeys(spec.calendars),  # type: ignore[arg-type] # their hours may become known better
        merge_late=False,
        most_orders=1,
    )  # fmt: skip


def _account(spec: EngineSpec, account: AccountSpec) -> Any:
    # what needs room of its own cannot come or go
    limits = account.limits
    shape = (account.margin is not None, accrues(account), limits.rate_orders)
    return replace(account, limits=LimitsSpec(), margin=None), shape


def _strategy(s: StrategySpec) -> Any:
    shape = (s.observation, s.model is not None, s.limits.statistical > 0)
    return (
        replace(
            s, size_kind=SizeKind.UNITS, size_value=0.0, params=(), short=False, threshold=0.0, limits=NO_LIMITS, model=None,
            cancel_on_disconnect=True,
        ),
        shape,
    )  # fmt: skip


def differing(was: EngineSpec, spec: EngineSpec) -> list[str]:
    """What is of another shape in the two, in words; empty where their frames are equal."""
    found = []
    old, new = frame(was), frame(spec)
    for what in ("instruments", "accounts", "strategies"):
        mine = {_name(x): x for x in getattr(old, what)}
        theirs = {_name(x): x for x in getattr(new, what)}
        found += [
            f"{what[:-1] if what != 'strategies' else 'strategy'} {n!r} is gone"
            for n in mine
            if n not in theirs
        ]
        found += [
            f"{what[:-1] if what != 'strategies' else 'strategy'} {n!r} is new"
            for n in theirs
            if n not in mine
        ]
        both = [n for n in mine if n in theirs and mine[n] != theirs[n]]
        found += [
            f"{what[:-1] if what != 'strategies' else 'strategy'} {n!r} is of another shape" for n in both
        ]
        if not found and list(mine) != list(theirs):
            found.append(f"the {what} stand in another order")
    for what in ("grace_ns", "trade_from", "scales", "calendars", "risk", "reasons"):
        if getattr(old, what) != getattr(new, what):
            found.append(f"{what} differs")
    return found


def _name(part: Any) -> str:
    return str((part[0] if isinstance(part, tuple) else part).name)


def take_over(state: State, fresh: State) -> None:
    """Write what a specification owns into a state, in place. fresh: as `build` made it of that specification."""
    watched = np.array(state.portfolios["watched"])
    was = np.array(state.limits)
    for name, fields in OWNED.items():
        for field in fields:
            getattr(state, name)[field] = getattr(fresh, name)[field]
    # a limit that has changed says anew where its portfolio stands; one that nobody watched begins now
    changed = np.zeros(len(was), bool)
    for field in OWNED["limits"]:
        changed |= was[field] != state.limits[field]
    state.limits["level"][changed & (was["level"] != Level.WITHIN)] = NONE
    for p in np.flatnonzero((watched == 0) & (state.portfolios["watched"] == 1)):
        row = state.portfolios[p]
        row.peak = row.day_worth = row.worth = _worth(state, row)
        row.day, row.moves = state.clock[0].now // DAY, NONE
    state.gauges["slack"] = 0.0
    state.positions["low"] = state.positions["held"] = np.nan  # what was added up is added up anew
    held = (state.slots["lots"] != 0) & (state.accounts["guarded"][state.slots["account"]] != 0)
    guards = np.bincount(state.slots["instrument"][held], minlength=len(state.instruments))
    state.instruments["guards"] = guards[: len(state.instruments)]


def _worth(state: State, portfolio: Any) -> int:
    # `engine.watch.worth_of` for Python
    account = state.accounts[portfolio.account]
    held = state.slots[state.slots["account"] == portfolio.account]
    total = int(account.initial + account.deposits)
    if portfolio.strategy == NONE:
        held = state.holdings[state.holdings["account"] == portfolio.account]
        total = int(account.cash)
    else:
        held = held[held["strategy"] == portfolio.strategy]
        total += sum(int(held[name].sum()) for name in ("realized", "income"))
        total -= sum(int(held[name].sum()) for name in ("fees", "cost"))
    for row in held[held["lots"] != 0]:
        instrument = state.instruments[row.instrument]
        total += round(worth(instrument, int(row.lots), float(instrument.price)))
    return total
