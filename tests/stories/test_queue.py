"""In which order orders fill that one row reaches: in that of their arrival, at whatever price they wait."""

import random

from engine.records import Code, RowKind, Side
from tests.builders import order
from tests.stories.desk import assert_balanced, at, opened, own, path, prints, put, row, wait

BUY, SELL = Side.BUY, Side.SELL
CENTS = [8_000 + 7 * n % 1_009 for n in range(300)]  # 80.00 to 90.08, in no order


def ids(fills: list[tuple[int, int, int, float]]) -> list[int]:
    return [f[0] for f in fills]


def test_gap_past_three_limits_fills_those_that_came_first() -> None:
    engine = opened(100.0, participation=0.1)
    for limit in (91.0, 95.0, 93.0):
        order(engine, BUY, 1, limit=limit)
    # a row of 20 has two lots for the account
    assert prints(engine, 90.0, size=20.0) == [(1, 1, 1, 90.0), (2, 1, 1, 90.0)]
    assert prints(engine, 92.0, size=20.0) == [(3, 1, 1, 92.0)]


def test_gap_past_hundreds_of_limits_fills_them_in_order_of_arrival() -> None:
    engine = opened(100.0)
    for cents in CENTS:
        order(engine, BUY, 1, limit=cents / 100)
    assert prints(engine, 99.0, 95.0) == []
    reached = [i + 1 for i, cents in enumerate(CENTS) if cents > 8_500]
    assert ids(prints(engine, 85.0)) == reached
    assert ids(prints(engine, 79.0)) == sorted(set(range(1, 301)) - set(reached))
    assert engine.live_orders() == []
    assert_balanced(engine)


def test_path_past_hundreds_of_stops_fills_each_at_its_stop_in_order_of_arrival() -> None:
    engine = opened(95.0)
    own(engine, 300)
    for cents in CENTS:
        order(engine, SELL, 1, stop=cents / 100)
    reached = [(i + 2, -1, 1, cents / 100) for i, cents in enumerate(CENTS) if cents >= 8_500]
    assert path(engine, (85.0, RowKind.EXTREME)) == reached
    assert_balanced(engine)


def test_orders_on_both_sides_of_the_price_wait_for_their_own() -> None:
    engine = opened(100.0)
    own(engine, 4)
    below, above = [], []
    for n in range(4):
        below += [order(engine, BUY, 1, limit=90.0 + n), order(engine, SELL, 1, stop=91.0 - n)]
        above += [order(engine, BUY, 1, stop=110.0 - n)]
    assert ids(prints(engine, 85.0)) == below
    assert ids(prints(engine, 115.0)) == above


def test_orders_that_are_cancelled_amended_and_met_without_a_fill_leave_the_others_in_their_order() -> None:
    engine = opened(100.0, participation=0.1)
    rng = random.Random(7)
    waiting = [order(engine, BUY, 1, limit=cents / 100) for cents in CENTS]
    for first in rng.sample(waiting, 60):
        assert engine.cancel(first)
        waiting.remove(first)
    for first in rng.sample(waiting, 60):  # another price: to the end of the queue
        assert engine.amend(first, limit=rng.randrange(8_000, 9_000) / 100) == Code.NONE
        waiting.remove(first)
        waiting.append(first)
    # rows that have nothing for the account meet many of them, and let them go again
    assert prints(engine, 86.0, 95.0, 83.0, 100.0, size=1.0) == []
    assert ids(prints(engine, 79.0, size=1e6)) == waiting
    assert_balanced(engine)


def test_arrival_at_the_broker_counts_and_not_the_time_of_the_order() -> None:
    engine = opened(100.0, latency_ns=at(0.5), participation=0.1)
    order(engine, BUY, 1, limit=95.0)
    wait(engine, 0.2)
    order(engine, BUY, 1, limit=96.0)
    wait(engine, 1)
    engine.amend(1, limit=95.5)  # it arrives anew at 1.5
    row(engine, 100.0, seconds=2)
    assert prints(engine, 94.0, size=10.0) == [(2, 1, 1, 94.0)]


def test_trailing_stop_keeps_its_place_while_it_follows() -> None:
    engine = opened(100.0, participation=0.1)
    own(engine, 2)
    trailing = put(engine, SELL, 1, trail=2.0)
    stop = order(engine, SELL, 1, stop=101.0)
    prints(engine, 105.0, size=0.0)
    assert ids(prints(engine, 100.0, 100.0, size=10.0)) == [trailing, stop]
