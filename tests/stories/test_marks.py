"""A mark says what an instrument is worth by another source than its trades: it moves worth and limits, and fills nothing."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from engine.engine import Engine
from engine.records import (
    BarKind,
    Code,
    EventKind,
    LimitAction,
    RowKind,
    Side,
    Status,
    TimeInForce,
    TradingState,
    Wants,
)
from engine.spec import LimitSpec, LimitsSpec, MarginSpec, RiskLimits
from tests.builders import make_engine, make_ticks, stops
from tests.stories.accounts import ended, equity, refused
from tests.stories.accounts import hold as take_on
from tests.stories.accounts import opened as venue
from tests.stories.desk import (
    FRIDAY,
    MONDAY,
    at,
    cash,
    clock,
    closed_bars,
    code_of,
    dollars,
    exchange,
    filled,
    opened,
    own,
    prints,
    put,
    row,
    wait,
    working,
)
from tests.stories.risk import RISK, ask, hold, levels, loss, market, midnight, returns_of, switches

BUY, SELL = Side.BUY, Side.SELL


def mark(
    engine: Engine, price: float, instrument: int = 0, seconds: float | None = None
) -> list[dict[str, Any]]:
    """A mark a second after the last row, or at that time; what it caused."""
    return row(engine, price, 0.0, RowKind.MARK, instrument, seconds)


# -- what it moves ----------------------------------------------------------------------------------------------------


def test_mark_moves_equity_and_no_cash() -> None:
    engine = opened()
    own(engine, 50)
    assert mark(engine, 90.0) == []
    # 50 lots lost 10 dollars each
    assert engine.equity("a") == equity(engine) == dollars(1_000_000 - 500)
    assert cash(engine) == dollars(1_000_000 - 5_000)
    assert engine.state.slots[0].lots == 50


def test_mark_is_the_price_that_a_position_is_sized_by() -> None:
    # half of 1,000,000 at 200 dollars is 2,500 lots, at 100 it would be 5,000
    engine = opened()
    mark(engine, 200.0)
    engine.aim_share(0, 0.5)
    (order_id,) = (int(engine.state.orders[p].id) for p in engine.live_orders())
    assert working(engine, order_id).lots == 2_500


def test_drawdown_halts_at_a_mark() -> None:
    # 1,000 lots from 100: at 90 the account has lost 10,000 of 100,000
    engine = venue(cash=100_000.0, limits=stops(drawdown=0.1))
    take_on(engine, 1_000)
    assert switches(mark(engine, 90.01)) == []
    events = mark(engine, 90.0)
    assert switches(events) == [(TradingState.HALTED, Code.DRAWDOWN)]
    assert events[0]["ts"] == engine.now
    put(engine, BUY, 1)
    assert code_of(engine) == Code.TRADING_STATE


def test_peak_that_only_a_mark_reached_counts() -> None:
    # the mark at 120 makes the peak 120,000; 10 % of it are lost at 108
    engine = venue(cash=100_000.0, limits=stops(drawdown=0.1))
    take_on(engine, 1_000)
    mark(engine, 120.0)
    assert switches(row(engine, 108.01)) == []
    assert switches(row(engine, 108.0)) == [(TradingState.HALTED, Code.DRAWDOWN)]


def test_limit_that_flattens_at_a_mark_closes_at_the_next_print() -> None:
    engine = venue(cash=100_000.0, limits=stops(drawdown=0.1, flatten=True))
    take_on(engine, 1_000)
    assert switches(mark(engine, 90.0)) == [(TradingState.HALTED, Code.DRAWDOWN)]
    assert filled(mark(engine, 89.0)) == []
    assert filled(row(engine, 91.0, size=1e9)) == [(SELL, 1_000, 91.0)]


def test_mark_breaks_the_limit_of_what_another_instrument_also_moves() -> None:
    # A and B, 400 lots each: 100 and 97 lose 1,200 of 100,000; with A at 97 as well it is 2,400
    engine = venue(cash=100_000.0, limits=stops(drawdown=0.024), instruments=("A", "B"))
    take_on(engine, 400, slot=0)
    take_on(engine, 400, slot=1)
    assert switches(mark(engine, 97.0, instrument=1)) == []
    assert switches(mark(engine, 97.01, instrument=0)) == []
    assert switches(mark(engine, 97.0, instrument=0)) == [(TradingState.HALTED, Code.DRAWDOWN)]


def test_quiet_prints_behind_a_mark_are_guarded_from_where_it_left_them() -> None:
    # the mark of B takes 500 of 100,000; 1,000 are lost when A is at 95, at the tenth of its prints
    engine = venue(cash=100_000.0, limits=stops(drawdown=0.01), instruments=("A", "B"))
    take_on(engine, 100, slot=0)
    take_on(engine, 100, slot=1)
    mark(engine, 95.0, instrument=1)
    first = engine.now
    falling = [(first + i, 100.0 - 0.5 * i) for i in range(1, 21)]
    events = engine.process(make_ticks(falling)).events
    (halt,) = events[events["kind"] == EventKind.STATE]
    assert (halt["code"], halt["ts"] - first) == (Code.DRAWDOWN, 10)


def test_margin_is_called_by_a_mark() -> None:
    # 10,000 buy 200 lots at 100, for 20,000: at p the equity is 200 p - 10,000, a quarter of 200 p at 66.67
    engine = venue(margin=MarginSpec(2.0, 0.25))
    take_on(engine, 200)
    assert switches(mark(engine, 66.67)) == []
    events = mark(engine, 66.66)
    assert switches(events) == [(TradingState.ACTIVE, Code.LIQUIDATION)]
    assert filled(mark(engine, 60.0)) == []  # it is sold where something trades
    # equity 3,332, so that 6,664 may be held: 13,332 - 6,664 at 66.66 are 101 lots and more
    assert filled(row(engine, 66.66, size=1e9))[:1] == [(SELL, 101, 66.66)]


def test_mark_makes_no_price_stale() -> None:
    engine = opened(limits=LimitsSpec(max_stale_ns=at(10)))
    wait(engine, 10)
    put(engine, BUY, 1)
    assert code_of(engine) == Code.NONE
    wait(engine, 11)
    put(engine, BUY, 1)
    assert code_of(engine) == Code.PRICE_STALE
    mark(engine, 100.0, seconds=12)
    wait(engine, 22)
    put(engine, BUY, 1)
    assert code_of(engine) == Code.NONE
    wait(engine, 22.001)
    put(engine, BUY, 1)
    assert code_of(engine) == Code.PRICE_STALE


def test_mark_keeps_a_portfolio_measurable_whose_prices_are_stale() -> None:
    given: dict[str, Any] = {"limits": RiskLimits(var=LimitSpec(0.5)), "others": {"max_stale_ns": at(60)}}
    engine = market(**given)
    row(engine, 100.0)
    hold(engine, 10)
    wait(engine, engine.now / 1e9 + 61)
    assert loss(engine).code == Code.PRICE_STALE
    mark(engine, 110.0)
    # 10 lots at 110, which lose 4 % on the third worst of eight days
    assert loss(engine).code == Code.NONE
    assert loss(engine).var == pytest.approx(10 * 110 * 0.04)
    assert ask(engine, BUY, 1)["code"] == Code.NONE


def test_var_limit_that_halts_looks_at_marks() -> None:
    # as in test_risk_halts: 50 lots are beyond 2.01 % from 101.01 on
    engine = market(limits=RiskLimits(var=LimitSpec(0.0201, 0.0, LimitAction.HALT)))
    hold(engine, 50)
    assert not levels(mark(engine, 101.0))
    assert switches(mark(engine, 101.01)) == [(TradingState.HALTED, Code.VAR)]


def test_mark_alone_makes_a_day_a_row_of_the_risk_clock() -> None:
    # the last day ended at 100; a day without a print, marked at 105, is one of 5 %
    engine = market()
    before = returns_of(engine)
    mark(engine, 105.0)
    midnight(engine)
    assert returns_of(engine) == pytest.approx([0.05, *before[:-1]], rel=1e-12)


def test_day_without_print_and_mark_is_no_row() -> None:
    engine = market()
    before = returns_of(engine)
    midnight(engine)
    assert returns_of(engine) == before


def test_mark_at_which_a_row_was_waited_for_ends_the_wait() -> None:
    # X trades from Friday to Monday not at all: a row of the weekend waits for it, unless a mark has come
    for marked in (False, True):
        engine = venue_with_weekend()
        if marked:
            mark(engine, 51.0, instrument=0, seconds=clock(FRIDAY + 1, 12))
        row(engine, 110.0, instrument=1, seconds=clock(FRIDAY + 1, 13))
        wait(engine, clock(FRIDAY + 2, 0, 1))
        assert returns_of(engine, 1) == (pytest.approx([0.1]) if marked else [])
        assert returns_of(engine, 0) == (pytest.approx([0.02]) if marked else [])


def venue_with_weekend() -> Engine:
    """A on the exchange of the stories and B around the clock, on Friday evening, with a risk clock of days."""
    spec = exchange().spec
    a = spec.instruments[0]
    engine = Engine(replace(spec, instruments=(a, replace(a, name="B", calendar="")), risk=RISK))
    row(engine, 50.0, instrument=0, seconds=clock(FRIDAY, 20))
    row(engine, 100.0, instrument=1, seconds=clock(FRIDAY, 20, 1))
    wait(engine, clock(FRIDAY + 1, 0, 1))
    return engine


# -- what it does not do ----------------------------------------------------------------------------------------------


def test_mark_fills_no_order_of_any_type() -> None:
    engine = opened()
    own(engine, 100)
    ids = [
        put(engine, BUY, 1),
        put(engine, BUY, 2, limit=99.0),
        put(engine, SELL, 3, limit=101.0),
        put(engine, SELL, 4, stop=99.0),
        put(engine, BUY, 5, stop=101.0),
        put(engine, SELL, 6, stop=99.0, limit=98.5),
        put(engine, SELL, 7, trail=1.0),
    ]
    engine.take_events()
    for price in (50.0, 200.0, 100.0):
        assert mark(engine, price) == []
    assert [int(engine.state.orders[p].id) for p in engine.live_orders()] == ids
    # the trailing stop, which follows trades, is where it was
    assert working(engine, ids[-1]).stop == 99.0


def test_next_print_fills_what_a_mark_left_at_its_own_price() -> None:
    engine = opened()
    market_order, limit, stop = (
        put(engine, BUY, 1),
        put(engine, BUY, 2, limit=99.0),
        put(engine, BUY, 4, stop=101.0),
    )
    mark(engine, 50.0)
    assert prints(engine, 98.0) == [(market_order, BUY, 1, 98.0), (limit, BUY, 2, 98.0)]
    mark(engine, 150.0)
    assert prints(engine, 100.5, 102.0) == [(stop, BUY, 4, 102.0)]


def test_immediate_order_waits_for_a_print_and_not_for_a_mark() -> None:
    engine = opened()
    order_id = put(engine, BUY, 5, limit=99.0, tif=TimeInForce.IOC)
    engine.take_events()
    assert mark(engine, 98.0) == []
    assert ended(row(engine, 100.0)) == [(order_id, Status.CANCELED, Code.IOC_REST)]


def test_mark_opens_and_changes_no_bar() -> None:
    plain, marked = opened(), opened()
    for engine in (plain, marked):
        for k in range(1, 4):
            row(engine, 100.0 + k, seconds=20.0 * k)
            if engine is marked:
                mark(engine, 500.0, seconds=20.0 * k + 1)
                mark(engine, 1.0, seconds=20.0 * k + 2)
    # [0 s, 60 s): 100, 101, 102; the bar of 60 s has 103 and is open
    assert closed_bars(plain) == closed_bars(marked) == [(0.0, 100.0, 102.0, 100.0, 102.0, 3.0, 3)]
    for engine in (plain, marked):
        wait(engine, 120)
    assert closed_bars(marked) == closed_bars(plain)
    assert closed_bars(marked)[-1] == (60.0, 103.0, 103.0, 103.0, 103.0, 1.0, 1)


def test_minute_that_has_only_marks_has_no_bar() -> None:
    engine = opened()
    mark(engine, 101.0, seconds=70)
    wait(engine, 600)
    assert [bar[0] for bar in closed_bars(engine)] == [0.0]


def test_mark_counts_for_no_bar_of_so_many_rows() -> None:
    engine = venue(strategy={"bar_kind": BarKind.TICKS, "bar_size": 2.0})
    mark(engine, 101.0)
    assert engine.state.series[0].bars == 0
    row(engine, 102.0)
    assert closed_bars(engine)[0][1:5] == (100.0, 102.0, 100.0, 102.0)


def test_actors_that_want_each_tick_are_not_asked_about_marks() -> None:
    class Listener:
        wants = int(Wants.TICK)

        def __init__(self) -> None:
            self.ticks = 0

        def start(self, engine: Engine, strategy: int) -> None:
            pass

        def tick(self, slot: int) -> None:
            self.ticks += 1

        def save(self) -> int:
            return self.ticks

        bar = bars = fill = order = timer = action = stop = load = start

    actor = Listener()
    engine = venue(strategy={"wants": Listener.wants}, actors={"s": actor})
    mark(engine, 101.0)
    assert actor.ticks == 1
    row(engine, 101.0)
    assert actor.ticks == 2


def test_mark_is_not_the_open_that_an_order_waits_for() -> None:
    engine = exchange()
    row(engine, 100.0, seconds=clock(FRIDAY, 15))
    put(engine, BUY, 10, tif=TimeInForce.AT_THE_OPEN)
    engine.take_events()
    assert mark(engine, 90.0, seconds=clock(MONDAY, 14, 31)) == []
    assert filled(row(engine, 103.0, 100.0, seconds=clock(MONDAY, 14, 32))) == [(BUY, 10, 103.0)]
    assert engine.live_orders() == []


def test_mark_is_not_the_trade_that_an_order_for_the_close_needs() -> None:
    engine = exchange()
    row(engine, 100.0, seconds=clock(FRIDAY, 15))
    put(engine, BUY, 10, tif=TimeInForce.AT_THE_CLOSE)
    mark(engine, 90.0, seconds=clock(FRIDAY, 16))
    assert filled(wait(engine, clock(FRIDAY, 21))) == []
    row(engine, 101.0, seconds=clock(MONDAY, 15))
    assert filled(wait(engine, clock(MONDAY, 21))) == [(BUY, 10, 101.0)]


def test_order_for_the_close_fills_at_the_last_trade_and_not_at_a_mark_behind_it() -> None:
    engine = exchange()
    row(engine, 100.0, seconds=clock(FRIDAY, 15))
    put(engine, BUY, 10, tif=TimeInForce.AT_THE_CLOSE)
    row(engine, 101.0, seconds=clock(FRIDAY, 16))
    mark(engine, 90.0, seconds=clock(FRIDAY, 17))
    assert filled(wait(engine, clock(FRIDAY, 21))) == [(BUY, 10, 101.0)]


# -- what is no mark --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("price", [0.0, -1.0, math.nan, math.inf, 1e300])
def test_mark_of_no_price_is_refused_and_counted(price: float) -> None:
    engine = opened()
    own(engine, 10)
    before = engine.equity("a")
    assert mark(engine, price) == []
    assert refused(engine) == 1
    assert engine.equity("a") == before


@pytest.mark.parametrize("instrument", [-1, 1, 77])
def test_mark_of_no_instrument_is_refused_and_counted(instrument: int) -> None:
    engine = opened()
    mark(engine, 100.0, instrument)
    assert refused(engine) == 1
    assert engine.state.instruments[0].marked < 0


def test_mark_of_a_delisted_instrument_is_refused_and_counted() -> None:
    engine = opened()
    row(engine, 0.0, 0.0, RowKind.DELISTING)
    assert refused(engine) == 0
    mark(engine, 100.0)
    assert refused(engine) == 1


def test_mark_before_any_print_is_a_price_to_order_by() -> None:
    engine = make_engine()
    put(engine, BUY, 1)
    assert code_of(engine) == Code.PRICE_MISSING
    mark(engine, 100.0)
    order_id = put(engine, BUY, 1)
    assert code_of(engine) == Code.NONE
    assert prints(engine, 101.0) == [(order_id, BUY, 1, 101.0)]


def test_mark_enters_the_rows_that_were_taken() -> None:
    engine = opened()
    before = int(engine.state.clock[0].seq)
    mark(engine, 100.0)
    assert engine.state.clock[0].seq == before + 1
