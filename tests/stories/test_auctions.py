"""Market and limit orders at the open and at the close of a session.

The exchange of these stories trades from 14:30 to 21:00 on Friday, Monday and Wednesday, to 18:00 on Tuesday.
"""

from typing import Any

import pytest

from engine.engine import Engine
from engine.records import DAY, Code, RowKind, Side, Slippage, Status, TimeInForce
from tests.builders import make_bars, make_engine, read, timer_at
from tests.stories.accounts import ended
from tests.stories.desk import (
    FRIDAY,
    MONDAY,
    TUESDAY,
    WEDNESDAY,
    assert_balanced,
    at,
    clock,
    code_of,
    dollars,
    exchange,
    filled,
    history,
    opened,
    put,
    row,
    wait,
    working,
)

BUY, SELL = Side.BUY, Side.SELL
OPEN, CLOSE = TimeInForce.AT_THE_OPEN, TimeInForce.AT_THE_CLOSE
AFTERNOON = clock(FRIDAY, 15)


def trading(seconds: float = AFTERNOON, price: float = 100.0, **given: Any) -> Engine:
    """An exchange with a row at that time."""
    engine = exchange(**given)
    row(engine, price, seconds=seconds)
    return engine


def rows(engine: Engine, *given: tuple[float, float]) -> list[tuple[int, int, float]]:
    """Prints of (seconds, price) with size 100; the fills."""
    return [f for seconds, price in given for f in filled(row(engine, price, 100.0, seconds=seconds))]


# -- the open ---------------------------------------------------------------------------------------------------------


def test_market_on_open_fills_on_the_first_print_of_the_next_session() -> None:
    engine = trading()
    put(engine, BUY, 10, tif=OPEN)
    assert rows(engine, (clock(FRIDAY, 15, 1), 101.0), (clock(FRIDAY, 20, 59), 102.0)) == []
    assert rows(engine, (clock(MONDAY, 13), 95.0)) == []  # before the open
    assert rows(engine, (clock(MONDAY, 14, 31), 103.0)) == [(BUY, 10, 103.0)]
    assert_balanced(engine)


def test_market_on_open_given_before_the_open_fills_at_it() -> None:
    engine = trading(clock(MONDAY, 13))
    put(engine, BUY, 10, tif=OPEN)
    assert rows(engine, (clock(MONDAY, 14, 30), 103.0)) == [(BUY, 10, 103.0)]


def test_market_on_open_given_in_a_session_that_has_had_no_print_fills_on_its_first() -> None:
    engine = trading()
    wait(engine, clock(MONDAY, 14, 35))
    put(engine, BUY, 10, tif=OPEN)
    assert rows(engine, (clock(MONDAY, 14, 40), 103.0)) == [(BUY, 10, 103.0)]


def test_order_for_the_open_that_reaches_the_broker_after_it_waits_for_the_next() -> None:
    engine = trading(clock(MONDAY, 13), latency_ns=at(10))
    wait(engine, clock(MONDAY, 14, 29, 55))
    put(engine, BUY, 10, tif=OPEN)
    assert rows(engine, (clock(MONDAY, 14, 30), 103.0), (clock(MONDAY, 14, 31), 104.0)) == []
    assert rows(engine, (clock(TUESDAY, 14, 30), 105.0)) == [(BUY, 10, 105.0)]


@pytest.mark.parametrize(
    ("side", "limit", "price", "touch", "expected"),
    [
        (BUY, 99.0, 98.9, False, 98.9),
        (BUY, 99.0, 99.0, False, None),  # not through it
        (BUY, 99.0, 99.0, True, 99.0),
        (BUY, 99.0, 99.1, True, None),
        (SELL, 101.0, 103.0, False, 103.0),
        (SELL, 101.0, 100.0, False, None),
    ],
)
def test_limit_on_open_fills_at_the_open_or_expires(
    side: Side, limit: float, price: float, touch: bool, expected: float | None
) -> None:
    engine = trading(fill_at_touch=touch, maker_bps=1.0, taker_bps=10.0)
    put(engine, BUY, 10)
    row(engine, 100.0)
    order = put(engine, side, 10, limit=limit, tif=OPEN)
    engine.take_events()
    assert row(engine, limit - 5 * side, seconds=clock(FRIDAY, 20)) == []  # beyond the limit, but no open
    events = row(engine, price, seconds=clock(MONDAY, 14, 30))
    if expected is None:
        assert ended(events) == [(order, Status.EXPIRED, Code.AUCTION)]
    else:
        assert filled(events) == [(side, 10, expected)]
        assert events[0]["last_fee"] == dollars(10 * expected * 1e-4)  # the maker's
    assert engine.live_orders() == []
    assert_balanced(engine)


def test_what_participation_leaves_over_at_the_open_expires() -> None:
    engine = trading(participation=0.1)
    order = put(engine, BUY, 25, tif=OPEN)
    events = row(engine, 103.0, 100.0, seconds=clock(MONDAY, 14, 30))
    assert filled(events) == [(BUY, 10, 103.0)]
    assert history(events, order)[-1] == (Status.EXPIRED, Code.AUCTION)
    assert_balanced(engine)


def test_around_the_clock_the_open_is_the_first_print_of_the_day() -> None:
    engine = make_engine(timeframe=DAY)
    engine.process(make_bars([(100, 101, 99, 100)], DAY))
    engine.process(timer_at(DAY))
    put(engine, BUY, 10, tif=OPEN)
    engine.take_events()
    events = read(engine.process(make_bars([(103, 104, 99, 100)], DAY, first=DAY)))
    assert [(e["last_px"], e["ts"]) for e in events] == [(103.0, DAY)]


def test_path_is_no_open() -> None:
    engine = trading(clock(MONDAY, 13))
    put(engine, BUY, 10, tif=OPEN)
    assert filled(row(engine, 99.0, kind=RowKind.CLOSE, seconds=clock(MONDAY, 15))) == []
    assert len(engine.live_orders()) == 1


# -- the close --------------------------------------------------------------------------------------------------------


def test_market_on_close_fills_at_the_last_price_when_the_session_ends() -> None:
    engine = trading()
    put(engine, BUY, 10)
    rows(engine, (clock(FRIDAY, 15, 30), 100.0))
    put(engine, SELL, 10, tif=CLOSE)
    assert rows(engine, (clock(FRIDAY, 20, 58), 100.0), (clock(FRIDAY, 20, 59, 59), 102.0)) == []
    # the print at the close is after it
    events = row(engine, 90.0, seconds=clock(FRIDAY, 21))
    assert [(e["last_px"], e["ts"]) for e in events] == [(102.0, at(clock(FRIDAY, 21)))]
    assert_balanced(engine)


def test_market_on_close_fills_by_time_alone() -> None:
    engine = trading()
    put(engine, BUY, 10, tif=CLOSE)
    rows(engine, (clock(FRIDAY, 15, 30), 101.0))
    assert filled(wait(engine, clock(FRIDAY, 20, 59, 59))) == []
    assert engine.next_due() == at(clock(FRIDAY, 21))
    assert filled(wait(engine, clock(FRIDAY, 21))) == [(BUY, 10, 101.0)]


def test_order_given_after_the_last_row_of_a_session_is_for_the_next() -> None:
    engine = trading(clock(FRIDAY, 20, 59, 59))
    put(engine, BUY, 10, tif=CLOSE)
    assert filled(wait(engine, clock(FRIDAY, 22))) == []  # 100 was the price on which it was decided
    assert rows(engine, (clock(MONDAY, 20), 106.0)) == []
    assert filled(wait(engine, clock(MONDAY, 21))) == [(BUY, 10, 106.0)]


def test_on_daily_bars_it_fills_at_the_next_bars_close() -> None:
    engine = make_engine(timeframe=DAY)
    engine.process(make_bars([(100, 102, 99, 101)], DAY))
    engine.process(timer_at(DAY))  # the first evening
    put(engine, BUY, 10, tif=CLOSE)
    put(engine, BUY, 1)
    engine.take_events()
    events = read(engine.process(make_bars([(102, 104, 100, 103)], DAY, first=DAY)))
    events += read(engine.process(timer_at(2 * DAY)))
    assert [(e["last_lots"], e["last_px"], e["ts"]) for e in events] == [
        (1, 102.0, DAY),
        (10, 103.0, 2 * DAY),
    ]


def test_half_day_closes_early() -> None:
    engine = trading(clock(TUESDAY, 15))
    put(engine, BUY, 10, tif=CLOSE)
    rows(engine, (clock(TUESDAY, 17, 59), 97.0))
    events = row(engine, 98.0, seconds=clock(TUESDAY, 18, 30))
    assert [(e["last_px"], e["ts"]) for e in events if e["last_lots"]] == [(97.0, at(clock(TUESDAY, 18)))]


@pytest.mark.parametrize("given_at", [clock(FRIDAY, 21), clock(FRIDAY, 21, 30), clock(MONDAY, 9)])
def test_order_given_at_the_close_or_later_is_for_the_next(given_at: float) -> None:
    engine = trading()
    wait(engine, given_at)
    put(engine, BUY, 10, tif=CLOSE)
    assert rows(engine, (clock(MONDAY, 14, 30), 105.0), (clock(MONDAY, 20), 106.0)) == []
    events = wait(engine, clock(MONDAY, 21))
    assert filled(events) == [(BUY, 10, 106.0)]


def test_order_that_reaches_the_broker_after_the_close_is_for_the_next() -> None:
    engine = trading(latency_ns=at(0.5))
    wait(engine, clock(FRIDAY, 20, 59, 59.8))
    order = put(engine, BUY, 10, tif=CLOSE)
    assert filled(wait(engine, clock(MONDAY, 9))) == []
    assert working(engine, order).expires == at(clock(MONDAY, 21))


def test_session_without_a_row_is_passed_over() -> None:
    engine = trading()
    wait(engine, clock(FRIDAY, 21, 30))
    put(engine, BUY, 10, tif=CLOSE)
    # a print before Monday's open is none of its session, which has no other
    assert rows(engine, (clock(MONDAY, 13), 95.0), (clock(TUESDAY, 15), 97.0)) == []
    assert filled(wait(engine, clock(TUESDAY, 18))) == [(BUY, 10, 97.0)]


def test_after_the_last_session_there_is_no_close() -> None:
    engine = trading(clock(WEDNESDAY, 20))
    wait(engine, clock(WEDNESDAY, 21))
    order = put(engine, BUY, 10, tif=CLOSE)
    assert filled(wait(engine, clock(WEDNESDAY + 30, 12))) == []
    assert engine.cancel(order)


@pytest.mark.parametrize(
    ("limit", "touch", "expected"),
    [(101.99, False, 102.0), (102.0, False, None), (102.0, True, 102.0), (103.0, True, None)],
)
def test_limit_on_close_fills_at_the_close_if_that_is_better_or_expires(
    limit: float, touch: bool, expected: float | None
) -> None:
    engine = trading(fill_at_touch=touch)
    put(engine, BUY, 10)
    rows(engine, (clock(FRIDAY, 15, 30), 100.0))
    order = put(engine, SELL, 10, limit=limit, tif=CLOSE)
    assert rows(engine, (clock(FRIDAY, 16), 110.0), (clock(FRIDAY, 20), 102.0)) == []  # 110 is not the close
    events = wait(engine, clock(FRIDAY, 21))
    if expected is None:
        assert ended(events)[-1] == (order, Status.EXPIRED, Code.AUCTION)
    else:
        assert filled(events) == [(SELL, 10, expected)]
    assert engine.live_orders() == []
    assert_balanced(engine)


def test_participation_is_no_bound_at_the_close() -> None:
    engine = trading(participation=0.1)
    put(engine, BUY, 25, tif=CLOSE)
    rows(engine, (clock(FRIDAY, 20), 100.0))
    assert filled(wait(engine, clock(FRIDAY, 21))) == [(BUY, 25, 100.0)]


@pytest.mark.parametrize(
    ("kind", "value", "paid"),
    [(Slippage.TICKS, 3.0, 100.03), (Slippage.SQRT_IMPACT, 10.0, 100.1)],  # the whole 10 bps
)
def test_market_on_close_pays_slippage_and_the_takers_fee(kind: Slippage, value: float, paid: float) -> None:
    engine = trading(slippage=kind, slippage_value=value, taker_bps=10.0, maker_bps=1.0)
    put(engine, BUY, 10, tif=CLOSE)
    rows(engine, (clock(FRIDAY, 20), 100.0))
    (event,) = (e for e in wait(engine, clock(FRIDAY, 21)) if e["last_lots"])
    assert event["last_px"] == pytest.approx(paid, abs=1e-12)
    assert event["last_fee"] == dollars(10 * paid * 10e-4)


def test_purchase_at_the_close_is_cut_to_the_cash() -> None:
    engine = trading(cash=10_000.0)
    order = put(engine, BUY, 100, tif=CLOSE)
    rows(engine, (clock(FRIDAY, 20), 125.0))
    events = wait(engine, clock(FRIDAY, 21))
    assert filled(events) == [(BUY, 80, 125.0)]
    assert history(events, order)[-1] == (Status.CANCELED, Code.CASH)
    assert_balanced(engine)


def test_order_for_the_close_can_be_cancelled_before_it() -> None:
    engine = trading()
    order = put(engine, BUY, 10, tif=CLOSE)
    assert engine.cancel(order)
    assert filled(wait(engine, clock(FRIDAY, 21))) == []
    assert engine.state.accounts[0].reserved == 0


@pytest.mark.parametrize("tif", [OPEN, CLOSE])
@pytest.mark.parametrize("prices", [{"stop": 105.0}, {"stop": 105.0, "limit": 106.0}, {"trail": 2.0}])
def test_auctions_know_no_stops(tif: TimeInForce, prices: dict[str, Any]) -> None:
    engine = opened(100.0)
    put(engine, BUY, 10, tif=tif, **prices)
    assert code_of(engine) == Code.INSTRUMENT
