"""What the stories of accounts share: rows that are no prices, and books that hold to the last unit."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from engine.engine import Engine
from engine.records import Code, EventKind, RowKind, Side, Status
from engine.spec import AccountSpec, EngineSpec, InstrumentSpec, LimitsSpec, MarginSpec, StrategySpec
from tests.builders import MINUTE, order
from tests.stories.desk import filled, row

Told = list[dict[str, Any]]  # events as plain values
RATIOS = (  # of splits: new for old
    (2, 1),
    (3, 1),
    (4, 1),
    (7, 1),
    (20, 1),
    (3, 2),
    (5, 4),
    (1, 2),
    (1, 10),
    (1, 25),
    (2, 3),
    (1.046, 1),
    (2.002, 1),
)


def venue(
    cash: float = 10_000.0,
    margin: MarginSpec | None = None,
    strategies: tuple[str, ...] = ("s",),
    instruments: tuple[str, ...] = ("A",),
    limits: LimitsSpec | None = None,
    engine: dict[str, Any] | None = None,
    strategy: dict[str, Any] | None = None,
    actors: dict[str, Any] | None = None,
    **instrument: Any,
) -> Engine:
    """One account "a" in which each strategy trades each instrument; slots go by strategy, then by instrument."""
    own = {"timeframe_ns": MINUTE, **(strategy or {})}
    spec = EngineSpec(
        tuple(InstrumentSpec(name, **instrument) for name in instruments),
        (AccountSpec("a", cash, limits=limits or LimitsSpec(), margin=margin),),
        tuple(StrategySpec(name, "a", instruments, **own) for name in strategies),
        **(engine or {}),
    )
    return Engine(spec, actors)


def opened(price: float = 100.0, **given: Any) -> Engine:
    """A venue after one print of each instrument."""
    engine = venue(**given)
    for k in range(len(engine.spec.instruments)):
        row(engine, price, instrument=k)
    return engine


def hold(engine: Engine, lots: int, slot: int = 0) -> None:
    """Buy, or sell short, at the last price."""
    k = int(engine.state.slots[slot].instrument)
    price = float(engine.state.instruments[k].price)
    side = Side.BUY if lots > 0 else Side.SELL
    order(engine, side, abs(lots), slot=slot)
    assert filled(row(engine, price, size=1e9, instrument=k)) == [(side, abs(lots), price)]


def split(engine: Engine, new: float, old: float = 1.0, instrument: int = 0) -> Told:
    """`new` shares for `old` ones, a second after the last row."""
    return row(engine, new, old, RowKind.SPLIT, instrument)


def dividend(engine: Engine, amount: float, instrument: int = 0) -> Told:
    """Cash per unit."""
    return row(engine, amount, 0.0, RowKind.DIVIDEND, instrument)


def pay(engine: Engine, amount: float, account: int = 0) -> Told:
    """A deposit on the tape, or, negative, a withdrawal."""
    return row(engine, amount, 0.0, RowKind.CASH, account)


def delist(engine: Engine, price: float | None = None, instrument: int = 0) -> Told:
    """The end of an instrument's trading, at a price or at its last one."""
    return row(engine, price or 0.0, float(price is not None), RowKind.DELISTING, instrument)


def cash_moves(events: Told) -> list[tuple[Code, int]]:
    """(why, how much) of cash that moved otherwise than by fills; what was refused is left out."""
    return [
        (e["code"], e["last_notional"])
        for e in events
        if e["kind"] == EventKind.CASH and e["status"] != Status.DENIED
    ]


def ended(events: Told) -> list[tuple[int, Status, Code]]:
    """(id, status, why) of each event of an order that is no fill."""
    return [(e["order_id"], e["status"], e["code"]) for e in events if e["kind"] == EventKind.ORDER]


def resting(engine: Engine) -> list[tuple[int, int, float, float]]:
    """(id, leaves, limit, stop) of each live order, in order of submission."""
    orders = (engine.state.orders[place] for place in engine.live_orders())
    return [(int(o.id), int(o.lots - o.cum_lots), float(o.limit), float(o.stop)) for o in orders]


def refused(engine: Engine) -> int:
    """How many rows made no sense so far."""
    return int(engine.state.clock[0].bad_rows)


def equity(engine: Engine, account: int = 0) -> int:
    """Money units: cash and holdings at the last prices, in exact fractions, each holding rounded half to even."""
    given = engine.spec.accounts[account]
    total = int(engine.state.accounts[account].cash)
    for holding in engine.state.holdings[engine.state.holdings["account"] == account]:
        size = Fraction(str(engine.spec.instruments[holding.instrument].lot_size))
        price = Fraction(float(engine.state.instruments[holding.instrument].price))
        total += round(int(holding.lots) * size * price * engine.spec.scale(given.currency))
    return total


def assert_books(engine: Engine) -> None:
    """Cash + cost = initial + realised - fees + income + interest + deposits; sums agree, down to the live orders."""
    s = engine.state
    live = [s.orders[place] for place in engine.live_orders()]
    for i, slot in enumerate(s.slots):
        assert slot.lots != 0 or slot.cost == 0
        for side, working in ((1, slot.working_buy), (-1, slot.working_sell)):
            assert working == sum(o.working for o in live if o.slot == i and o.side == side)
        assert slot.reducing == sum(o.reduce_only for o in live if o.slot == i)
    for a, account in enumerate(s.accounts):
        mine = s.slots[s.slots["account"] == a]
        earned = account.realized - account.fees + account.income + account.interest
        assert account.cash + mine["cost"].sum() == account.initial + earned + account.deposits
        for name in ("realized", "fees", "income"):
            assert account[name] == mine[name].sum()
        assert account.reserved == sum(o.reserved for o in live if o.account == a)
        for holding in s.holdings[s.holdings["account"] == a]:
            there = mine[mine["instrument"] == holding.instrument]
            for name in ("lots", "working_buy", "working_sell"):
                assert holding[name] == there[name].sum()
