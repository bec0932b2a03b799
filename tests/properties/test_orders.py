"""Orders keep to their table and their promises, whatever happens."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from engine.engine import Engine, Events
from engine.orders import TRANSITIONS
from engine.records import EventKind, Status
from tests.properties.books import Books
from tests.properties.chaos import Chaos
from tests.properties.drawing import worlds
from tests.properties.fillrules import check_fills
from tests.properties.orderbook import STEPS
from tests.properties.worlds import World, go_on, make


def follow(world: World) -> None:
    """Run the world and check each of its events and fills."""
    engine = make(world)
    books = Books(world.spec)
    prices: list[list[float]] = []
    opened: list[list[int]] = []

    def look(engine: Engine) -> None:
        prices.append([float(i.price) for i in engine.state.instruments])
        opened.append([int(i.ts) for i in engine.state.instruments])

    def step(engine: Engine, events: Events, _first: int, _end: int) -> None:
        books.take(events)
        books.agree_with(engine)
        look(engine)

    look(engine)
    go_on(world, engine, 0, range(world.rows), step)
    after_fill = {i for actor in engine.actors.values() if isinstance(actor, Chaos) for i in actor.after_fill}
    check_fills(books, world.tape, prices, opened, after_fill)


@settings(max_examples=150)
@given(worlds(live=False))
def test_fills_of_any_order_come_later_at_a_price_that_the_rules_allow(world: World) -> None:
    follow(world)


@pytest.mark.soak
@settings(max_examples=5_000)
@given(worlds(minutes=30, live=False))
def test_fills_of_any_order_in_a_long_world_come_later_at_a_price_that_the_rules_allow(world: World) -> None:
    follow(world)


@settings(max_examples=60)
@given(worlds())
def test_first_event_of_any_order_of_a_strategy_carries_its_observation(world: World) -> None:
    trace = go_on(world, make(world), 0)
    seen: set[int] = {0}  # 0: an event of no order
    for part in trace.parts:
        used = []
        for e in part.events:
            has = e["observation"] >= 0
            strategy = int(e["strategy"])
            first = e["kind"] == EventKind.ORDER and int(e["order_id"]) not in seen
            seen.add(int(e["order_id"]))
            observes = 0 <= strategy < len(world.spec.strategies) and world.spec.strategies[strategy].features
            assert has == bool(first and observes)
            if has:
                used.append(int(e["observation"]))
        assert used == list(range(len(part.observations)))


def test_table_of_states_is_the_one_of_fix() -> None:
    mine = np.zeros((len(Status), len(Status)), bool)
    for before, after in STEPS.items():
        if before is not None:
            mine[before, list(after)] = True
    mine[Status.PENDING_NEW, Status.DENIED] = (
        True  # the gate's verdict, which is given before the first event
    )
    assert (mine == TRANSITIONS).all()
