"""Money and lots balance to the last unit at every row, whatever happens."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings

from engine.engine import Engine, Events
from tests.properties.books import Books
from tests.properties.worlds import World, run, worlds


def balance(world: World) -> Books:
    """Run the world row by row, an independent ledger beside it."""
    books = Books(world.spec)

    def step(engine: Engine, events: Events, _first: int, _end: int) -> None:
        for sample in events.equity:  # a bar closed before the row was matched: nothing has been filled since
            assert int(sample["cash"]) == books.cash[sample["account"]]
        books.take(events)
        books.agree_with(engine)

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


@settings(max_examples=60)
@given(worlds())
def test_equity_of_each_sample_is_cash_and_holdings_at_the_last_prices(world: World) -> None:
    prices: dict[int, float] = {}
    books = Books(world.spec)

    def step(engine: Engine, events: Events, _first: int, _end: int) -> None:
        for sample in events.equity:
            a = int(sample["account"])
            held: Counter[int] = Counter()
            for (strategy, k), slot in books.slots.items():
                if int(engine.state.strategies[strategy].account) == a:
                    held[k] += slot.lots
            worth = 0
            for k, lots in held.items():
                if lots:
                    spec = world.spec.instruments[k]
                    worth += round(prices[k] * (lots * (spec.lot_size * world.spec.scale(spec.currency))))
            assert int(sample["equity"]) == books.cash[a] + worth
        books.take(events)
        prices.update({k: float(i.price) for k, i in enumerate(engine.state.instruments)})

    run(world, range(world.rows), step)
