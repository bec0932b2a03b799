"""Orders keep to their table and their promises, whatever happens."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from engine.records import EventKind, Status
from tests.properties.books import STEPS, Books, check_fills
from tests.properties.worlds import Chaos, World, go_on, make, worlds


def follow(world: World) -> None:
    """Run the world and check each of its events and fills."""
    engine = make(world)
    trace = go_on(world, engine, 0)
    books = Books(world.spec)
    for part in trace.parts:
        books.take(part)
    books.agree_with(engine)
    after_fill = {i for actor in engine.actors.values() if isinstance(actor, Chaos) for i in actor.after_fill}
    check_fills(books, world.tape, after_fill)


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
    seen: set[int] = set()
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
    from engine.orders import TRANSITIONS

    mine = np.zeros((len(Status), len(Status)), bool)
    for before, after in STEPS.items():
        if before is not None:
            mine[before, list(after)] = True
    # verdicts of the gate and the broker, which are given before the first event is told
    mine[Status.PENDING_NEW, [Status.DENIED, Status.REJECTED]] = True
    assert (mine == TRANSITIONS).all()
