"""What the stories share: an engine that has seen one price, rows one after the other, and what the books then say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from engine.engine import Engine, Terms
from engine.records import (
    SECOND,
    TICK_DTYPES,
    Code,
    EventKind,
    OrderType,
    RowKind,
    Side,
    Status,
    Ticks,
    TimeInForce,
    Trail,
)
from engine.spec import AccountSpec, EngineSpec, InstrumentSpec, LimitsSpec, Sessions, StrategySpec
from tests.builders import MINUTE, USD, fills, make_engine, make_ticks, order, read

Fill = tuple[int, int, int, float]  # order id, side, lots, price


def opened(price: float = 100.0, **given: Any) -> Engine:
    """make_engine(), after one print at second 0."""
    engine = make_engine(**given)
    engine.process(make_ticks([(0, price)]))
    return engine


def at(seconds: float) -> int:
    """Seconds as ns."""
    return round(seconds * SECOND)


def row(
    engine: Engine,
    price: float,
    size: float = 1.0,
    kind: RowKind = RowKind.PRINT,
    instrument: int = 0,
    seconds: float | None = None,
) -> list[dict[str, Any]]:
    """One more row, at that time or a second after the last; all that it caused."""
    ts = max(engine.now, 0) + SECOND if seconds is None else at(seconds)
    return read(engine.process(make_ticks([(ts, price, size, instrument, kind)])))


def prints(engine: Engine, *prices: float, size: float = 1.0) -> list[Fill]:
    """Prints, one a second; the fills."""
    first = max(engine.now, 0) + SECOND
    return fills(engine.process(make_ticks([(first + i * SECOND, p, size) for i, p in enumerate(prices)])))


def path(engine: Engine, *steps: tuple[float, RowKind]) -> list[Fill]:
    """Rows of a bar's path at the engine's own time; the fills."""
    return fills(engine.process(make_ticks([(engine.now, p, 25.0, 0, kind) for p, kind in steps])))


def own(engine: Engine, lots: int, slot: int = 0) -> None:
    """Let the slot buy lots at the last price."""
    k = int(engine.state.slots[slot].instrument)
    price = float(engine.state.instruments[k].price)
    order(engine, Side.BUY, lots, slot=slot)
    row(engine, price, size=1e9, instrument=k)
    assert engine.state.slots[slot].lots == lots


def terms(
    side: Side,
    lots: int,
    limit: float = 0.0,
    stop: float = 0.0,
    trail: float = 0.0,
    percent: float = 0.0,
    **given: Any,
) -> Terms:
    """An order whose prices say of which type it is; percent: the distance of a trailing stop as a share of the price."""
    type_ = OrderType.STOP_LIMIT if limit and stop else OrderType.LIMIT if limit else OrderType.STOP
    if trail or percent:
        type_ = OrderType.TRAILING_STOP
    elif not limit and not stop:
        type_ = OrderType.MARKET
    return Terms(
        side, type_, given.pop("tif", TimeInForce.GTC), lots, limit=limit, stop=stop, trail=trail or percent,
        trail_kind=Trail.PERCENT if percent else Trail.AMOUNT, **given,
    )  # fmt: skip


def put(engine: Engine, side: Side, lots: int, slot: int = 0, **given: Any) -> int:
    """Put an order on such terms before the gate; its id."""
    t = terms(side, lots, **given)
    return engine.submit(
        slot, side, lots, OrderType(t.type), TimeInForce(t.tif), t.limit, t.stop, t.tag,
        t.trail, Trail(t.trail_kind), t.expires, t.post_only, t.reduce_only,
    )  # fmt: skip


def working(engine: Engine, order_id: int) -> Any:
    """The record of a live order. Fails where none of that id is live."""
    (found,) = (o for o in (engine.state.orders[p] for p in engine.live_orders()) if o.id == order_id)
    return found


def history(events: Iterable[dict[str, Any]], order_id: int) -> list[tuple[Status, Code]]:
    """(status, code) of each event of an order, fills among them."""
    return [(e["status"], e["code"]) for e in events if e["order_id"] == order_id]


def filled(events: Iterable[dict[str, Any]]) -> list[tuple[int, int, float]]:
    """(side, lots, price) of each fill among events."""
    return [(e["side"], e["last_lots"], e["last_px"]) for e in events if e["kind"] == EventKind.FILL]


def cash(engine: Engine, account: int = 0) -> int:
    """Money units."""
    return int(engine.state.accounts[account].cash)


def code_of(engine: Engine) -> Code:
    """The code of the newest event: why an order was just denied, cut or ended."""
    events: list[dict[str, Any]] = read(engine.take_events())
    return Code(events[-1]["code"])


def assert_balanced(engine: Engine) -> None:
    """Cash + cost = initial + realised - fees, and accounts and holdings are the sums of their slots."""
    s = engine.state
    for a, account in enumerate(s.accounts):
        mine = s.slots[s.slots["account"] == a]
        assert account.cash + mine["cost"].sum() == account.initial + account.realized - account.fees
        assert account.realized == mine["realized"].sum()
        assert account.fees == mine["fees"].sum()
        assert account.reserved >= 0
        for holding in s.holdings[s.holdings["account"] == a]:
            there = mine[mine["instrument"] == holding.instrument]
            assert holding.lots == there["lots"].sum()
            assert holding.working_buy == there["working_buy"].sum()
            assert holding.working_sell == there["working_sell"].sum()


FRIDAY, MONDAY, TUESDAY, WEDNESDAY = 1, 4, 5, 6  # 1 January 1970 was a Thursday


def clock(day: int, hour: int, minute: int = 0, second: float = 0.0) -> float:
    """That time of a day, in seconds."""
    return day * 86_400 + hour * 3_600 + minute * 60 + second


def exchange(**given: Any) -> Engine:
    """make_world() whose instrument trades from 14:30 to 21:00, on Tuesday to 18:00 only, and not at the weekend."""
    days = [(FRIDAY, 21), (MONDAY, 21), (TUESDAY, 18), (WEDNESDAY, 21)]
    hours = np.array([[at(clock(day, 14, 30)), at(clock(day, end))] for day, end in days], np.int64)
    sessions = Sessions(hours[:, 0].copy(), hours[:, 1].copy())
    return make_world(engine={"calendars": {"X": sessions}}, calendar="X", **given)


def wait(engine: Engine, seconds: float) -> list[dict[str, Any]]:
    """Let time go on to then without a price; all that happened."""
    return read(engine.process(make_ticks([(at(seconds), 0.0, 0.0, 0, RowKind.TIMER)])))


def make_world(
    accounts: Sequence[str] = ("a",),
    strategies: Sequence[tuple[str, str]] = (("s", "a"),),
    instruments: Sequence[str] = ("A",),
    cash: float = 1_000_000.0,
    timeframes: Sequence[int] = (MINUTE,),
    history: int = 8,
    limits: LimitsSpec | None = None,
    engine: dict[str, Any] | None = None,
    strategy: dict[str, Any] | None = None,
    **instrument: Any,
) -> Engine:
    """Several accounts, strategies (name, account) and instruments. A strategy trades all instruments.

    timeframes go round over the strategies; `engine` and `strategy` are further fields of their specs.
    """
    base = StrategySpec("", "", tuple(instruments), MINUTE, history=history, **strategy or {})
    return Engine(
        EngineSpec(
            tuple(InstrumentSpec(name, **instrument) for name in instruments),
            tuple(AccountSpec(name, cash, limits=limits or LimitsSpec()) for name in accounts),
            tuple(
                replace(base, name=name, account=account, timeframe_ns=timeframes[i % len(timeframes)])
                for i, (name, account) in enumerate(strategies)
            ),
            **engine or {},
        )
    )


def live(rows: Iterable[tuple[float, float, float, float]], instrument: int = 0) -> Ticks:
    """Rows of (seconds received, seconds at the venue, price, size) as prints of a live feed."""
    rows = list(rows)
    columns = (
        [at(r[1]) for r in rows],
        [at(r[0]) for r in rows],
        [instrument] * len(rows),
        [r[2] for r in rows],
        [r[3] for r in rows],
        [RowKind.PRINT] * len(rows),
    )
    return Ticks(*(np.array(c, d) for c, d in zip(columns, TICK_DTYPES, strict=True)))


def closed_bars(engine: Engine, series: int = 0) -> list[tuple[float, ...]]:
    """(start in s, open, high, low, close, volume, rows) of the bars that the series keeps, oldest first."""
    s = engine.state.series[series]
    kept = min(int(s.bars), int(s.capacity))
    out: list[tuple[float, ...]] = []
    for n in range(int(s.bars) - kept, int(s.bars)):
        b = engine.state.bars[s.first_bar + n % s.capacity]
        out.append((b.start / SECOND, b.open, b.high, b.low, b.close, b.volume, b["count"].item()))
    return out


def dollars(amount: float) -> int:
    """Dollars as money units."""
    return round(amount * USD)
