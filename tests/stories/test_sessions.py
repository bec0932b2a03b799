"""DAY orders where an exchange has opening hours: 14:30 to 21:00 on Friday, Monday and Wednesday, to 18:00 on Tuesday."""

import pytest

from engine.engine import Engine
from engine.records import NEVER, Code, Side, Status, TimeInForce
from engine.spec import LimitsSpec
from tests.builders import order
from tests.stories.desk import (
    FRIDAY,
    MONDAY,
    TUESDAY,
    WEDNESDAY,
    at,
    clock,
    code_of,
    exchange,
    filled,
    put,
    row,
    wait,
    working,
)

BUY = Side.BUY


def day_order(given_at: float, limit: float = 99.0) -> Engine:
    """An exchange with a price of Friday, 15:00, and at that time order 1."""
    engine = exchange()
    row(engine, 100.0, seconds=clock(FRIDAY, 15))
    wait(engine, given_at)
    put(engine, BUY, 10, limit=limit, tif=TimeInForce.DAY)
    engine.take_events()
    return engine


def expiry(engine: Engine, until: float) -> list[tuple[Status, int]]:
    """Let time go on; what became of the order, and when."""
    return [(e["status"], e["ts"]) for e in wait(engine, until) if e["order_id"] == 1]


@pytest.mark.parametrize(
    ("given_at", "row_at", "end"),
    [
        (clock(FRIDAY, 16), clock(FRIDAY, 20), clock(FRIDAY, 21)),
        (clock(FRIDAY, 16), clock(FRIDAY, 20, 59, 59.999999999), clock(FRIDAY, 21)),
        (clock(FRIDAY, 21, 30), clock(FRIDAY, 22), clock(MONDAY, 21)),  # extended hours count to what comes
        (clock(FRIDAY, 16), clock(FRIDAY, 21), clock(MONDAY, 21)),  # its first row is at the close, after it
        (clock(FRIDAY, 21, 30), clock(FRIDAY + 1, 12), clock(MONDAY, 21)),  # a print of Saturday
        (clock(FRIDAY, 21, 30), clock(MONDAY, 10), clock(MONDAY, 21)),  # before the open
        (clock(MONDAY, 22), clock(TUESDAY, 15), clock(TUESDAY, 18)),  # half a day
        (clock(TUESDAY, 17), clock(TUESDAY, 18, 30), clock(WEDNESDAY, 21)),  # after it
    ],
)
def test_day_order_ends_with_the_session_of_the_first_row_that_meets_it(
    given_at: float, row_at: float, end: float
) -> None:
    engine = day_order(given_at)
    assert row(engine, 100.0, seconds=row_at) == []
    assert working(engine, 1).expires == at(end)
    assert expiry(engine, end - 1e-3) == []
    assert expiry(engine, end + 100) == [(Status.EXPIRED, at(end))]
    assert engine.state.accounts[0].reserved == 0


def test_day_order_waits_over_a_session_that_has_no_row() -> None:
    engine = day_order(clock(FRIDAY, 21, 30))
    assert expiry(engine, clock(TUESDAY, 12)) == []  # nothing traded on Monday
    row(engine, 100.0, seconds=clock(TUESDAY, 15))
    assert expiry(engine, clock(TUESDAY, 18)) == [(Status.EXPIRED, at(clock(TUESDAY, 18)))]


@pytest.mark.parametrize(
    "row_at", [clock(FRIDAY, 22), clock(FRIDAY + 1, 12), clock(MONDAY, 10), clock(MONDAY, 20)]
)
def test_day_order_can_fill_outside_of_sessions(row_at: float) -> None:
    engine = day_order(clock(FRIDAY, 21, 30))
    assert filled(row(engine, 98.5, seconds=row_at)) == [(BUY, 10, 98.5)]


def test_day_order_fills_on_the_last_row_before_the_close_and_not_on_one_at_it() -> None:
    engine = day_order(clock(FRIDAY, 16))
    row(engine, 100.0, seconds=clock(FRIDAY, 17))
    assert filled(row(engine, 98.5, seconds=clock(FRIDAY, 20, 59, 59))) == [(BUY, 10, 98.5)]
    engine = day_order(clock(FRIDAY, 16))
    row(engine, 100.0, seconds=clock(FRIDAY, 17))
    events = row(engine, 98.5, seconds=clock(FRIDAY, 21))
    assert [(e["status"], e["ts"]) for e in events if e["order_id"]] == [
        (Status.EXPIRED, at(clock(FRIDAY, 21)))
    ]


def test_day_order_after_the_last_session_does_not_end() -> None:
    engine = day_order(clock(WEDNESDAY, 22))
    row(engine, 100.0, seconds=clock(WEDNESDAY + 1, 15))
    assert expiry(engine, clock(WEDNESDAY + 90, 15)) == []
    assert working(engine, 1).expires == NEVER


def test_age_of_a_price_counts_only_while_the_market_is_open() -> None:
    limits = LimitsSpec(max_stale_ns=at(3_600))
    for waited, code in [(clock(MONDAY, 14, 40), Code.NONE), (clock(MONDAY, 14, 41), Code.PRICE_STALE)]:
        engine = exchange(limits=limits)
        row(engine, 100.0, seconds=clock(FRIDAY, 20, 10))
        # 50 minutes on Friday, and 10 or 11 on Monday
        wait(engine, waited)
        order(engine, BUY, 1)
        assert code_of(engine) == code
