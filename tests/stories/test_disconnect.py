"""What happens to the orders of a strategy whose actor is gone."""

import pytest

from engine.records import Code, Side, Status
from tests.builders import order, read
from tests.stories.accounts import assert_books, ended, resting
from tests.stories.desk import at, filled, history, make_world, own, prints, row, terms, wait

BUY, SELL = Side.BUY, Side.SELL
TWO = (("s", "a"), ("t", "a"))
GONE = (Status.CANCELED, Code.DISCONNECT)


def test_orders_of_the_strategy_are_cancelled_and_those_of_others_stay() -> None:
    engine = make_world(("a",), TWO, ("A", "B"))
    row(engine, 100.0)
    row(engine, 100.0, instrument=1)
    for slot in (0, 1, 2):  # of s in A and in B, of t in A
        order(engine, BUY, 10, limit=99.0, slot=slot)
    engine.take_events()
    engine.disconnect("s")
    assert ended(read(engine.take_events())) == [(1, *GONE), (2, *GONE)]
    assert resting(engine) == [(3, 10, 99.0, 0.0)]
    assert prints(engine, 98.0) == [(3, 1, 10, 98.0)]
    assert_books(engine)


def test_positions_stay() -> None:
    engine = make_world()
    row(engine, 100.0)
    own(engine, 10)
    order(engine, SELL, 10, stop=90.0)  # it protected them, and goes like the others
    engine.disconnect("s")
    assert prints(engine, 80.0) == []
    assert engine.state.slots[0].lots == 10
    assert engine.state.slots[0].working_sell == 0


def test_fill_may_come_before_the_cancel_has_reached_the_broker() -> None:
    engine = make_world(latency_ns=at(0.5))
    row(engine, 100.0, seconds=0)
    order(engine, BUY, 10, limit=99.0)
    order(engine, BUY, 10, limit=95.0)
    row(engine, 100.0, seconds=1)
    engine.disconnect("s")
    engine.take_events()
    assert filled(row(engine, 98.0, seconds=1.2)) == [(BUY, 10, 98.0)]
    (event,) = wait(engine, 2)
    assert ((event["status"], event["code"]), event["ts"]) == (GONE, at(1.5))
    assert_books(engine)


def test_bracket_whose_parent_still_works_ends_with_it() -> None:
    engine = make_world()
    row(engine, 100.0)
    engine.submit_bracket(0, terms(BUY, 10, limit=95.0), [terms(SELL, 10, limit=110.0)])
    engine.take_events()
    engine.disconnect("s")
    assert ended(read(engine.take_events())) == [(1, *GONE), (2, Status.CANCELED, Code.PARENT)]
    assert engine.live_orders() == []


def test_pair_is_cancelled_on_both_sides() -> None:
    engine = make_world()
    row(engine, 100.0)
    own(engine, 10)
    engine.submit_pair(0, terms(SELL, 10, limit=110.0), terms(SELL, 10, stop=90.0))
    engine.disconnect("s")
    events = read(engine.take_events())
    assert [history(events, i)[-1] for i in (2, 3)] == [GONE, GONE]
    assert_books(engine)


def test_strategy_that_wants_to_keep_its_orders_keeps_them() -> None:
    engine = make_world(strategy={"cancel_on_disconnect": False})
    row(engine, 100.0)
    order(engine, BUY, 10, limit=99.0)
    engine.disconnect("s")
    assert prints(engine, 98.0) == [(1, 1, 10, 98.0)]


def test_strategy_that_nobody_knows_cannot_be_gone() -> None:
    with pytest.raises(KeyError):
        make_world().disconnect("x")
