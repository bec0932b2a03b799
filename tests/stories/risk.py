"""What the stories of risk share: a market whose days had given returns, and how the gate's answers are read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from engine.engine import Engine, Events
from engine.measured import Measured, Part
from engine.records import (
    DAY,
    SECOND,
    Code,
    EventKind,
    Level,
    Method,
    OperatorAction,
    RowKind,
    Side,
    TradingState,
)
from engine.spec import (
    AccountSpec,
    EngineSpec,
    InstrumentSpec,
    LimitsSpec,
    MarginSpec,
    RiskLimits,
    RiskSpec,
    StrategySpec,
)
from tests.builders import MINUTE, USD, make_ticks, read, timer_at
from tests.stories.desk import put

Told = list[dict[str, Any]]
NOON = DAY // 2
# Oldest first. Two of eight scenarios lie beyond the VaR at 75 %: the third worst is -4 %, the two worst are -8 and -6 %,
# 7 % on average. A day of 0 % that takes the first one's place leaves both as they are.
RETURNS = (0.04, -0.04, 0.02, -0.08, 0.01, -0.06, 0.03, -0.02)
RISK = RiskSpec(confidence=0.75, window=8, min_history=4)


def market(
    returns: Sequence[float] | Mapping[str, Sequence[float]] = RETURNS,
    limits: RiskLimits | None = None,
    cash: float = 10_000.0,
    margin: MarginSpec | None = None,
    strategies: Mapping[str, RiskLimits] | Sequence[str] = ("s",),
    others: Mapping[str, Any] | None = None,
    engine: Mapping[str, Any] | None = None,
    instrument: Mapping[str, Any] | None = None,
    **risk: Any,
) -> Engine:
    """Account "a" at midnight after days with these returns of each instrument, all at 100 on the last of them.

    Each day had one print of each, at noon. Slots go by strategy, then by instrument. `strategies`: with their own
    limits; `others`: the account's other limits; `engine`, `instrument`: fields of their specs; `risk`: of RISK.
    """
    days = dict(returns) if isinstance(returns, Mapping) else {"A": returns}
    given = strategies if isinstance(strategies, Mapping) else dict.fromkeys(strategies, RiskLimits())
    spec = EngineSpec(
        tuple(InstrumentSpec(name, **instrument or {}) for name in days),
        (
            AccountSpec(
                "a",
                cash,
                limits=LimitsSpec(risk=limits or RiskLimits(), **others or {}),
                margin=margin or MarginSpec(20.0, 0.0),
            ),
        ),
        tuple(StrategySpec(name, "a", tuple(days), MINUTE, limits=own) for name, own in given.items()),
        risk=replace(RISK, **risk),
        reasons=("looked into it", "the desk is closed"),
        **engine or {},
    )
    made = Engine(spec)
    rows = []
    last = max(len(changes) for changes in days.values())
    for k, changes in enumerate(days.values()):
        first = last - len(changes)
        prices = 100.0 * np.cumprod([1.0, *(1.0 + r for r in changes)])
        prices *= 100.0 / prices[-1]
        rows += [((first + d) * DAY + NOON, float(p), 1.0, k, RowKind.PRINT) for d, p in enumerate(prices)]
    made.process(make_ticks(sorted(rows)))
    midnight(made)
    return made


def midnight(engine: Engine) -> Told:
    """Let the day end; what that brought about."""
    return read(engine.process(timer_at(-(-(engine.now + 1) // DAY) * DAY)))


def day(engine: Engine, *prices: float) -> Events:
    """The rest of a day: a print of each instrument that a price is given for, at noon or a second from now; its end."""
    at = max(engine.now // DAY * DAY + NOON, engine.now + SECOND)
    rows = [(at, price, 1e9, k, RowKind.PRINT) for k, price in enumerate(prices)]
    end = engine.now // DAY * DAY + DAY
    return engine.process(make_ticks([*rows, (end, 0.0, 0.0, 0, RowKind.TIMER)]))


def ask(engine: Engine, side: Side, lots: int, slot: int = 0, **given: Any) -> dict[str, Any]:
    """Put an order before the gate; the first event of it: with its code, and DENIED, or the lots that passed."""
    engine.take_events()
    order_id = put(engine, side, lots, slot, **given)
    event: dict[str, Any] = next(e for e in read(engine.take_events()) if e["order_id"] == order_id)
    return event


def hold(engine: Engine, lots: int, slot: int = 0, price: float = 100.0) -> None:
    """Buy, or sell short, at that price; the order has to pass whole."""
    event = ask(engine, Side.BUY if lots > 0 else Side.SELL, abs(lots), slot)
    assert (event["code"], event["lots"]) == (Code.NONE, abs(lots))
    before = int(engine.state.slots[slot].lots)
    k = int(engine.state.slots[slot].instrument)
    engine.process(make_ticks([(engine.now + SECOND, price, 1e9, k, RowKind.PRINT)]))
    assert engine.state.slots[slot].lots == before + lots


def loss(engine: Engine, name: str = "a", method: Method | None = None) -> Measured:
    """What a portfolio as it is held may lose, in dollars."""
    got = engine.measure(name, method)
    parts = tuple(Part(part[0], *(amount / USD for amount in part[1:])) for part in got.parts)
    var, cvar, stressed = (x / USD for x in (got.var, got.cvar, got.stressed_var))
    return Measured(got.code, got.equity, var, cvar, stressed, parts)


def levels(events: Iterable[dict[str, Any]]) -> list[tuple[Code, Level]]:
    """The limits whose level changed, and to which."""
    return [(e["code"], Level(e["lots"])) for e in events if e["kind"] == EventKind.RISK]


def switches(events: Iterable[dict[str, Any]]) -> list[tuple[TradingState, Code]]:
    """The trading states that were switched to, and why."""
    return [(TradingState(e["lots"]), e["code"]) for e in events if e["kind"] == EventKind.STATE]


def operate(engine: Engine, portfolio: int, what: OperatorAction, reason: int = 0) -> Told:
    """An operator's row on the tape, a second from now."""
    return read(
        engine.process(
            make_ticks([(engine.now + SECOND, float(what), float(reason), portfolio, RowKind.OPERATOR)])
        )
    )


def returns_of(engine: Engine, k: int = 0) -> list[float]:
    """The returns of instrument k that the risk clock keeps, newest first."""
    r = engine.state.risk[0]
    first = r.raw + k * r.window
    return [float(x) for x in engine.state.scenarios[first : first + engine.state.histories[k].rows]]
