"""Partial fills: an account takes at most its share of a row's size, the rest keeps working."""

from engine.records import Code, Side, Status, TimeInForce
from tests.builders import fills, make_ticks, order, statuses
from tests.stories.desk import assert_balanced, code_of, filled, make_world, opened, own, prints, row

BUY, SELL = Side.BUY, Side.SELL
IOC = TimeInForce.IOC


def test_order_larger_than_its_share_fills_over_several_rows() -> None:
    engine = opened(100.0, participation=0.1)
    first = order(engine, BUY, 25)
    engine.take_events()
    events = engine.process(
        make_ticks([(1, 101.0, 100.0), (2, 102.0, 100.0), (3, 103.0, 100.0), (4, 104.0, 100.0)])
    )
    # a tenth of 100 is 10: 10, 10, and the 5 that are left
    assert fills(events) == [(first, 1, 10, 101.0), (first, 1, 10, 102.0), (first, 1, 5, 103.0)]
    assert statuses(events) == [Status.PARTIALLY_FILLED, Status.PARTIALLY_FILLED, Status.FILLED]
    assert_balanced(engine)


def test_share_of_a_row_is_whole_lots_rounded_down() -> None:
    engine = opened(100.0, participation=0.1)
    order(engine, BUY, 100)
    # a tenth of 9 is less than a lot; of 19 one; of 30 three
    assert [prints(engine, 100.0, size=s) for s in (9.0, 19.0, 30.0)] == [
        [],
        [(1, 1, 1, 100.0)],
        [(1, 1, 3, 100.0)],
    ]


def test_share_that_is_a_whole_number_of_small_lots_is_not_lost_to_float_noise() -> None:
    engine = opened(100.0, participation=0.1, lot_size=0.001)
    order(engine, BUY, 1_000)
    # 0.1 x 0.03 units = 0.003 units = 3 lots; 0.1 x 0.07 = 7 lots (in floats 0.1 x 0.07 / 0.001 = 7.000000000000001)
    assert [f[2] for f in (*prints(engine, 100.0, size=0.03), *prints(engine, 100.0, size=0.07))] == [3, 7]


def test_row_without_size_fills_nothing_where_shares_are_bounded_and_all_where_they_are_not() -> None:
    bounded = opened(100.0, participation=0.1)
    order(bounded, BUY, 1)
    assert prints(bounded, 100.0, size=0.0) == []
    unbounded = opened(100.0)
    order(unbounded, BUY, 1)
    assert prints(unbounded, 100.0, size=0.0) == [(1, 1, 1, 100.0)]


def test_each_account_takes_its_own_share_of_the_same_row() -> None:
    engine = make_world(("a", "b"), (("s", "a"), ("t", "b")), participation=0.1)
    row(engine, 100.0)
    order(engine, BUY, 15, slot=0)
    order(engine, BUY, 15, slot=1)
    # accounts are separate worlds: neither sees what the other took
    assert filled(row(engine, 100.0, size=100.0)) == [(1, 10, 100.0), (1, 10, 100.0)]
    assert filled(row(engine, 100.0, size=100.0)) == [(1, 5, 100.0), (1, 5, 100.0)]


def test_orders_of_one_account_share_its_part_of_a_row_in_order_of_arrival() -> None:
    engine = make_world(("a",), (("s", "a"), ("t", "a")), participation=0.1)
    row(engine, 100.0)
    first, second = order(engine, BUY, 8, slot=0), order(engine, BUY, 8, slot=1)
    # 10 lots of the row: 8 for the first, 2 for the second
    assert prints(engine, 100.0, size=100.0) == [(first, 1, 8, 100.0), (second, 1, 2, 100.0)]
    assert prints(engine, 100.0, size=100.0) == [(second, 1, 6, 100.0)]
    assert [s.lots for s in engine.state.slots[:2]] == [8, 8]
    assert_balanced(engine)


def test_rest_of_a_triggered_stop_fills_like_a_market_order() -> None:
    engine = opened(100.0, participation=0.1)
    first = order(engine, BUY, 20, stop=105.0)
    # triggered at 106; at 104, below the stop, the rest goes on
    assert prints(engine, 106.0, 104.0, size=100.0) == [(first, 1, 10, 106.0), (first, 1, 10, 104.0)]


def test_stop_triggered_by_a_row_without_size_fills_later() -> None:
    engine = opened(100.0, participation=0.1)
    first = order(engine, BUY, 10, stop=105.0)
    assert prints(engine, 106.0, size=0.0) == []
    assert prints(engine, 104.0, size=100.0) == [(first, 1, 10, 104.0)]


def test_rest_of_a_limit_waits_for_its_price() -> None:
    engine = opened(100.0, participation=0.1)
    first = order(engine, BUY, 20, limit=99.0)
    assert prints(engine, 98.0, 100.0, 98.5, size=100.0) == [(first, 1, 10, 98.0), (first, 1, 10, 98.5)]


def test_ioc_order_fills_what_the_next_row_has_and_the_rest_is_cancelled() -> None:
    engine = opened(100.0, participation=0.1)
    first = order(engine, BUY, 25, tif=IOC)
    engine.take_events()
    events = engine.process(make_ticks([(1, 101.0, 100.0), (2, 101.0, 100.0)]))
    assert fills(events) == [(first, 1, 10, 101.0)]
    assert statuses(events) == [Status.PARTIALLY_FILLED, Status.CANCELED]
    assert events.events["code"].tolist() == [Code.NONE, Code.IOC_REST]
    assert engine.state.slots[0].working_buy == 0
    assert_balanced(engine)


def test_ioc_limit_that_the_next_row_does_not_meet_is_cancelled() -> None:
    engine = opened(100.0)
    order(engine, BUY, 10, limit=99.0, tif=IOC)
    assert prints(engine, 100.0, 98.0) == []
    assert engine.live_orders() == []


def test_ioc_stop_waits_until_it_is_triggered() -> None:
    engine = opened(100.0, participation=0.1)
    first = order(engine, BUY, 25, stop=105.0, tif=IOC)
    assert prints(engine, 104.0, 106.0, 106.0, size=100.0) == [(first, 1, 10, 106.0)]
    assert engine.live_orders() == []


def test_ioc_order_that_is_filled_whole_is_not_cancelled_too() -> None:
    engine = opened(100.0)
    order(engine, BUY, 10, tif=IOC)
    engine.take_events()
    assert statuses(engine.process(make_ticks([(1, 100.0), (2, 100.0)]))) == [Status.FILLED]


def test_partially_filled_order_can_be_cancelled() -> None:
    engine = opened(100.0, participation=0.1)
    first = order(engine, BUY, 25)
    prints(engine, 100.0, size=100.0)
    assert engine.cancel(first)
    assert code_of(engine) == Code.NONE
    assert prints(engine, 100.0, size=100.0) == []
    assert (engine.state.slots[0].lots, engine.state.slots[0].working_buy) == (10, 0)
    assert not engine.cancel(first)
    assert_balanced(engine)


def test_sale_larger_than_its_share_never_sells_more_than_there_is() -> None:
    engine = opened(100.0, participation=0.1)
    own(engine, 15)
    first = order(engine, SELL, 15)
    assert prints(engine, 100.0, 100.0, 100.0, size=100.0) == [(first, -1, 10, 100.0), (first, -1, 5, 100.0)]
    assert engine.state.slots[0].lots == 0
