"""How long an order lives: GTC, DAY, cancels; and latency, the time before the broker knows.

1 January 1970, where the clock of these stories begins, was a Thursday: Friday is day 1, Monday day 4.
"""

from engine.engine import Engine
from engine.records import DAY, Code, EventKind, Side, Status, TimeInForce
from tests.builders import fills, make_bars, make_engine, make_ticks, order, read, statuses, timer_at
from tests.stories.desk import assert_balanced, at, filled, opened, own, row

BUY, SELL = Side.BUY, Side.SELL
FRIDAY, MONDAY, TUESDAY = 1, 4, 5
HALF = 500_000_000
HOUR = 3_600.0


def daily(engine: Engine, day: int, *bar: float) -> list[dict[str, object]]:
    return read(engine.process(make_bars([bar], DAY, first=day * DAY)))


def over_the_weekend(tif: TimeInForce, limit: float = 0.0) -> Engine:
    """An order put after Friday's close."""
    engine = make_engine(timeframe=DAY)
    daily(engine, FRIDAY, 100, 101, 99, 100)
    engine.process(timer_at(2 * DAY))  # Friday's bar ends
    order(engine, BUY, 10, limit=limit, tif=tif)
    engine.take_events()
    return engine


def test_day_order_put_on_friday_evening_lives_through_monday_and_expires_then() -> None:
    engine = over_the_weekend(TimeInForce.DAY, limit=98.0)
    assert daily(engine, MONDAY, 100, 101, 99, 100) == []
    [expired] = daily(engine, TUESDAY, 97, 97, 97, 97)
    assert (expired["status"], expired["ts"]) == (Status.EXPIRED, TUESDAY * DAY)
    assert engine.state.accounts[0].reserved == 0


def test_day_order_put_on_friday_evening_can_fill_on_monday() -> None:
    engine = over_the_weekend(TimeInForce.DAY, limit=98.0)
    assert filled(daily(engine, MONDAY, 100, 101, 97, 100)) == [(1, 10, 98.0)]


def test_day_market_order_put_on_friday_evening_fills_at_mondays_open() -> None:
    engine = over_the_weekend(TimeInForce.DAY)
    assert filled(daily(engine, MONDAY, 103, 104, 99, 100)) == [(1, 10, 103.0)]


def test_gtc_order_outlives_the_day() -> None:
    engine = over_the_weekend(TimeInForce.GTC, limit=98.0)
    assert daily(engine, MONDAY, 100, 101, 99, 100) == []
    assert filled(daily(engine, TUESDAY, 97, 97, 97, 97)) == [(1, 10, 97.0)]


def test_day_order_expires_without_a_row_when_its_day_ends() -> None:
    engine = opened(100.0)
    order(engine, BUY, 1, limit=50.0, tif=TimeInForce.DAY)
    row(engine, 100.0, seconds=HOUR)
    assert engine.state.orders[engine.live_orders()[0]].expires == DAY
    [expired] = read(engine.process(timer_at(DAY + 1)))[-1:]
    assert (expired["status"], expired["ts"]) == (Status.EXPIRED, DAY)


def test_trading_day_begins_where_the_instrument_says() -> None:
    engine = opened(100.0, day_offset_ns=at(22 * HOUR))  # as in foreign exchange
    order(engine, BUY, 1, limit=50.0, tif=TimeInForce.DAY)
    row(engine, 100.0, seconds=21 * HOUR)
    assert engine.state.orders[engine.live_orders()[0]].expires == at(22 * HOUR)
    order(engine, BUY, 1, limit=51.0, tif=TimeInForce.DAY)
    events = row(engine, 100.0, seconds=23 * HOUR)  # the first one is over, the second one's day has begun
    assert Status.EXPIRED in [e["status"] for e in events]
    assert engine.state.orders[engine.live_orders()[0]].expires == at(46 * HOUR)


def test_cancelled_order_does_not_fill() -> None:
    engine = opened(100.0)
    first = order(engine, BUY, 10, limit=99.0)
    engine.take_events()
    assert engine.cancel(first)
    assert statuses(engine.take_events()) == [Status.CANCELED]
    assert row(engine, 98.0) == []
    assert engine.state.accounts[0].reserved == 0


def test_order_is_eligible_from_its_time_plus_the_latency_on() -> None:
    engine = opened(100.0, latency_ns=HALF)
    first = order(engine, BUY, 10)
    events = engine.process(make_ticks([(at(0.4), 101.0), (at(0.499_999_999), 102.0), (at(0.5), 103.0)]))
    assert fills(events) == [(first, 1, 10, 103.0)]
    assert statuses(events) == [Status.PENDING_NEW, Status.NEW, Status.FILLED]
    assert [e["ts"] for e in read(events)] == [0, at(0.5), at(0.5)]


def test_cancel_takes_as_long_as_an_order_to_reach_the_broker() -> None:
    engine = opened(100.0, latency_ns=HALF)
    first = order(engine, BUY, 10, limit=99.0)
    row(engine, 100.0, seconds=1.0)
    assert engine.cancel(first)
    assert not engine.cancel(first)  # one is on its way
    events = row(engine, 100.0, seconds=2.0)
    assert [(e["status"], e["ts"]) for e in events] == [
        (Status.PENDING_CANCEL, at(1.0)),
        (Status.CANCELED, at(1.5)),
    ]
    assert row(engine, 98.0) == []


def test_fill_can_come_before_the_cancel() -> None:
    engine = opened(100.0, latency_ns=HALF)
    first = order(engine, BUY, 10, limit=99.0)
    row(engine, 100.0, seconds=1.0)
    engine.cancel(first)
    events = [*row(engine, 98.0, seconds=1.2), *row(engine, 98.0, seconds=2.0)]
    assert [e["status"] for e in events] == [Status.PENDING_CANCEL, Status.FILLED]
    assert engine.state.slots[0].lots == 10
    assert_balanced(engine)


def test_partial_fill_leaves_a_cancel_on_its_way() -> None:
    engine = opened(100.0, latency_ns=HALF, participation=0.1)
    first = order(engine, BUY, 10, limit=99.0)
    row(engine, 100.0, seconds=1.0)
    engine.cancel(first)
    events = [*row(engine, 98.0, size=40.0, seconds=1.2), *row(engine, 98.0, size=40.0, seconds=2.0)]
    assert [(e["kind"], e["status"]) for e in events] == [
        (EventKind.ORDER, Status.PENDING_CANCEL),
        (EventKind.FILL, Status.PENDING_CANCEL),
        (EventKind.ORDER, Status.CANCELED),
    ]
    assert engine.state.slots[0].lots == 4  # a tenth of 40
    assert_balanced(engine)


def test_order_cancelled_on_its_way_to_the_broker() -> None:
    engine = opened(100.0, latency_ns=HALF)
    first = order(engine, BUY, 10, limit=99.0)
    row(engine, 100.0, seconds=0.2)
    engine.cancel(first)
    # the broker has it from 0.5 s to 0.7 s; nothing trades through it then
    events = [
        *row(engine, 98.0, seconds=0.3),
        *row(engine, 100.0, seconds=0.6),
        *row(engine, 98.0, seconds=0.7),
    ]
    assert [e["status"] for e in events] == [Status.PENDING_CANCEL, Status.CANCELED]
    assert engine.state.slots[0].lots == 0


def test_order_cancelled_on_its_way_can_fill_between_its_arrival_and_the_cancels() -> None:
    engine = opened(100.0, latency_ns=HALF)
    first = order(engine, BUY, 10, limit=99.0)
    row(engine, 100.0, seconds=0.2)
    engine.cancel(first)
    assert filled(row(engine, 98.0, seconds=0.6)) == [(1, 10, 98.0)]


def test_unknown_order_cannot_be_cancelled() -> None:
    assert not opened(100.0).cancel(99)


def test_cancel_has_no_code_of_its_own() -> None:
    engine = opened(100.0)
    own(engine, 10)
    first = order(engine, SELL, 10, limit=200.0)
    engine.cancel(first)
    assert {e["code"] for e in read(engine.take_events())} == {Code.NONE}
