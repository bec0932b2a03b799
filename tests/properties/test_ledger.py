"""Money and lots balance to the last unit at every row, whatever happens."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from engine.engine import Engine, Events
from engine.records import NEVER, Code, EventKind
from tests.properties.books import Books
from tests.properties.drawing import worlds
from tests.properties.structure import check_structure
from tests.properties.worlds import World, run


def balance(world: World) -> Books:
    """Run the world row by row, an independent ledger beside it, and look into the engine's structures."""
    books = Books(world.spec)
    prices = [0.0] * len(world.spec.instruments)

    def step(engine: Engine, events: Events, _first: int, _end: int) -> None:
        nonlocal prices
        books.take(events, prices)
        books.agree_with(engine)
        check_structure(engine)
        prices = [float(i.price) for i in engine.state.instruments]

    run(world, range(world.rows), step)
    return books


@settings(max_examples=150)
@given(worlds())
def test_ledger_of_any_world_balances_to_the_last_unit_at_every_row(world: World) -> None:
    balance(world)


@pytest.mark.soak
@settings(max_examples=5_000)
@given(worlds(minutes=30))
def test_ledger_of_any_long_world_balances_to_the_last_unit_at_every_row(world: World) -> None:
    balance(world)


@settings(max_examples=100)
@given(worlds())
def test_equity_through_a_split_is_the_same_to_the_unit(world: World) -> None:
    equity = [round(a.cash * world.spec.scale(a.currency)) for a in world.spec.accounts]

    def step(engine: Engine, events: Events, _first: int, _end: int) -> None:
        nonlocal equity
        before, equity = equity, [equity_of(engine, a) for a in range(len(world.spec.accounts))]
        moved = {(int(e["kind"]), int(e["code"])) for e in events.events if e["kind"] != EventKind.ORDER}
        if moved <= {(EventKind.ACTION, Code.SPLIT), (EventKind.CASH, Code.SPLIT)} and moved:
            assert equity == before

    run(world, range(world.rows), step)


@settings(max_examples=60)
@given(worlds())
def test_equity_of_each_sample_is_cash_and_holdings_at_the_last_prices(world: World) -> None:
    books = Books(world.spec)
    prices = [0.0] * len(world.spec.instruments)

    def step(engine: Engine, events: Events, _first: int, _end: int) -> None:
        # a bar that time closes is sampled before the row is matched, one that the row closes after it
        nonlocal prices
        before, prices = prices, [float(i.price) for i in engine.state.instruments]
        told = []  # what each sample could be: after each event, with its time
        accounts = range(len(world.spec.accounts))
        for i in range(len(events.events) + 1):
            if i:
                books.take(events._replace(events=events.events[i - 1 : i]))
            now = -1 if i == 0 else int(events.events[i - 1]["ts"])
            told.append((now, [books.cash[a] for a in accounts], [books.held(a) for a in accounts]))
        for sample in events.equity:
            a, ts = int(sample["account"]), int(sample["ts"])
            possible = {
                (cash[a], cash[a] + sum(value(engine, k, lots, at[k]) for k, lots in held[a].items()))
                for (now, cash, held), then in zip(told, [*(t for t, *_ in told[1:]), NEVER], strict=True)
                for at in (before, prices)
                if now <= ts <= then
            }
            assert (int(sample["cash"]), int(sample["equity"])) in possible

    run(world, range(world.rows), step)


def equity_of(engine: Engine, a: int) -> int:
    """Cash and holdings at the last prices, as the engine measures them, in plain Python."""
    s = engine.state
    held = [(int(h.instrument), int(h.lots)) for h in s.holdings if h.account == a]
    return int(s.accounts[a].cash) + sum(
        value(engine, k, lots, float(s.instruments[k].price)) for k, lots in held
    )


def value(engine: Engine, k: int, lots: int, price: float) -> int:
    """What lots are worth at a price, in money units, half to even."""
    i = engine.state.instruments[k]
    per = float(i.lots_per_money)
    return round(price * lots / per if per > 1 else price * (lots * float(i.money_per_lot)))
