"""The few helpers that everything uses: ticks, bars, engines, and events read back as plain dictionaries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from types import FunctionType
from typing import Any

import numpy as np

from engine.bars import bar_path
from engine.engine import Engine, Events
from engine.policies import Policy
from engine.records import (
    SECOND,
    TICK_DTYPES,
    Code,
    EventKind,
    LimitAction,
    OrderType,
    RowKind,
    Side,
    Status,
    Ticks,
    TimeInForce,
)
from engine.spec import (
    AccountSpec,
    EngineSpec,
    InstrumentSpec,
    LimitSpec,
    LimitsSpec,
    RiskLimits,
    StrategySpec,
)

MINUTE = 60 * SECOND
USD = 1_000_000  # money units in a dollar


def make_ticks(rows: Iterable[Sequence[float]], instrument: int = 0, kind: RowKind = RowKind.PRINT) -> Ticks:
    """Rows of (ns, price), (ns, price, size) or (ns, price, size, instrument, kind) as a batch of history."""
    full = [(*row, *(1.0, instrument, kind)[len(row) - 2 :]) for row in rows]
    ts = np.array([r[0] for r in full], np.int64)
    columns = (ts, ts, *([r[i] for r in full] for i in (3, 1, 2, 4)))
    return Ticks(*(np.array(c, d) for c, d in zip(columns, TICK_DTYPES, strict=True)))


def make_bars(
    bars: Iterable[Sequence[float]], duration: int = MINUTE, instrument: int = 0, first: int = 0
) -> Ticks:
    """Consecutive bars (open, high, low, close[, volume]) from `first` ns on, as their path of rows."""
    rows = np.array([(*b, 100.0)[:5] for b in bars], np.float64).reshape(-1, 5)
    start = first + np.arange(len(rows), dtype=np.int64) * duration
    return bar_path(start, duration, rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 3], rows[:, 4], instrument)


def timer_at(ns: int) -> Ticks:
    """One row that only moves the time."""
    return make_ticks([(ns, 0.0, 0.0, 0, RowKind.TIMER)])


def join(*parts: Ticks) -> Ticks:
    """Batches one after the other as one."""
    return Ticks(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def cut(ticks: Ticks, first: int, end: int) -> Ticks:
    """Rows [first, end) of a batch."""
    return Ticks(*(c[first:end] for c in ticks))


def make_engine(
    cash: float = 1_000_000.0,
    limits: LimitsSpec | None = None,
    policy: Policy = Policy.PYTHON,
    features: tuple[str, ...] = (),
    timeframe: int = MINUTE,
    size: float = 100.0,
    **instrument: Any,
) -> Engine:
    """One instrument "A", one account "a", one strategy "s" (asked in Python: that is, never), no fees."""
    return Engine(
        EngineSpec(
            (InstrumentSpec("A", **instrument),),
            (AccountSpec("a", cash, limits=limits or LimitsSpec()),),
            (StrategySpec("s", "a", ("A",), timeframe, features, policy, size_value=size),),
        )
    )


def stops(drawdown: float = 0.0, daily_loss: float = 0.0, flatten: bool = False, **limits: Any) -> LimitsSpec:
    """Limits on losses that halt the account, and close its positions where `flatten`; `limits`: the others."""
    action = LimitAction.FLATTEN if flatten else LimitAction.HALT
    of_peak, of_morning = (LimitSpec(x, action=action) if x else LimitSpec() for x in (drawdown, daily_loss))
    return LimitsSpec(**limits, risk=RiskLimits(drawdown=of_peak, daily_loss=of_morning))


def order(
    engine: Engine,
    side: Side,
    lots: int,
    limit: float = 0.0,
    stop: float = 0.0,
    tif: TimeInForce = TimeInForce.GTC,
    slot: int = 0,
) -> int:
    """Put an order of the strategy before the gate: a limit or stop price makes it a limit or stop order."""
    type_ = OrderType.LIMIT if limit else OrderType.STOP if stop else OrderType.MARKET
    return engine.submit(slot, side, lots, type_, tif, limit, stop)


def read(events: Events) -> list[dict[str, Any]]:
    """Events as dictionaries of plain values, enums where they are enums."""
    out = []
    for row in events.events:
        e = {name: row[name].item() for name in events.events.dtype.names or () if not name.startswith("_")}
        e |= {"kind": EventKind(e["kind"]), "status": Status(e["status"]), "code": Code(e["code"])}
        out.append(e)
    return out


def fills(events: Events) -> list[tuple[int, int, int, float]]:
    """(order id, side, lots, price) of each fill."""
    return [
        (e["order_id"], e["side"], e["last_lots"], e["last_px"])
        for e in read(events)
        if e["kind"] == EventKind.FILL
    ]


def statuses(events: Events, order_id: int | None = None) -> list[Status]:
    """The statuses that an order, or all of them, went through."""
    return [
        e["status"]
        for e in read(events)
        if e["kind"] not in (EventKind.STATE, EventKind.RISK) and order_id in (None, e["order_id"])
    ]


@cache
def plain(function: Any) -> Any:
    """One of the engine's functions in plain Python, with all that it calls: compiled it cannot be called by itself."""
    code = getattr(function, "py_func", function)
    called = {name: code.__globals__.get(name) for name in code.__code__.co_names}
    called = {name: plain(each) for name, each in called.items() if hasattr(each, "py_func")}
    return FunctionType(code.__code__, code.__globals__ | called, code.__name__, code.__defaults__)
