"""Hard stops: a drawdown or a day's loss switches the account off by itself, at the very row that breaks it."""

from typing import Any

import pytest

from engine.engine import Engine
from engine.records import DAY, Code, EventKind, Side, TradingState
from tests.builders import make_bars, make_engine, make_ticks, order, read, stops, timer_at
from tests.stories.desk import at, code_of, filled, opened, own, prints, row

BUY, SELL = Side.BUY, Side.SELL


def holding(
    lots: int, cash: float = 10_000, instrument: dict[str, Any] | None = None, **limits: Any
) -> Engine:
    """An account that bought lots at 100."""
    engine = opened(100.0, cash=cash, limits=stops(**limits), **instrument or {})
    own(engine, lots)
    return engine


def switches(events: list[dict[str, Any]]) -> list[tuple[int, Code]]:
    return [(e["lots"], e["code"]) for e in events if e["kind"] == EventKind.STATE]


def halted(engine: Engine) -> bool:
    return bool(engine.state.accounts[0].state == TradingState.HALTED)


def test_drawdown_halts_at_the_row_that_reaches_it() -> None:
    engine = holding(100, drawdown=0.25)  # all in shares: 10,000, and a quarter of it is lost at 75
    assert switches(row(engine, 75.01)) == []
    events = row(engine, 75.0)
    assert switches(events) == [(TradingState.HALTED, Code.DRAWDOWN)]
    assert events[0]["ts"] == engine.now
    order(engine, BUY, 1)
    assert code_of(engine) == Code.TRADING_STATE
    order(engine, SELL, 100)  # the exit passes
    assert filled(row(engine, 74.0)) == [(-1, 100, 74.0)]


def test_drawdown_is_measured_from_the_highest_mark() -> None:
    engine = holding(100, drawdown=0.25)
    row(engine, 120.0)  # 12,000; three quarters of it are 9,000
    assert switches(row(engine, 90.01)) == []
    assert switches(row(engine, 90.0)) == [(TradingState.HALTED, Code.DRAWDOWN)]


def test_every_row_of_a_batch_and_of_a_bars_path_is_looked_at() -> None:
    engine = holding(100, drawdown=0.25)
    # the low of 70 inside a bar that closes at 100
    events = read(engine.process(make_bars([(100.0, 101.0, 70.0, 100.0)], first=at(60))))
    assert switches(events) == [(TradingState.HALTED, Code.DRAWDOWN)]


def test_halt_cancels_working_orders_with_its_code() -> None:
    engine = holding(50, drawdown=0.25)
    first = order(engine, BUY, 10, limit=40.0)
    engine.take_events()
    events = row(engine, 50.0)  # 5,000 + 50 x 50 = 7,500
    assert [(e["kind"], e["order_id"], e["code"]) for e in events] == [
        (EventKind.RISK, 0, Code.DRAWDOWN),
        (EventKind.STATE, 0, Code.DRAWDOWN),
        (EventKind.ORDER, first, Code.DRAWDOWN),
    ]
    assert engine.live_orders() == []
    assert prints(engine, 39.0) == []


def test_stop_that_flattens_sells_everything_at_the_next_row() -> None:
    engine = holding(100, drawdown=0.25, flatten=True)
    row(engine, 70.0)
    assert engine.state.slots[0].lots == 100
    assert filled(row(engine, 69.0)) == [(-1, 100, 69.0)]
    assert (engine.state.slots[0].lots, halted(engine)) == (0, True)


def test_stop_without_flattening_keeps_the_position() -> None:
    engine = holding(100, drawdown=0.25)
    row(engine, 70.0)
    assert prints(engine, 60.0, 50.0) == []
    assert engine.state.slots[0].lots == 100


def test_daily_loss_is_measured_from_the_equity_at_the_start_of_the_day() -> None:
    # half in shares. Thursday ends at 92: 5,000 + 50 x 92 = 9,600. An eighth of it is 1,200, so Friday's stop is at
    # 8,400 = 5,000 + 50 x 68; and Thursday's would have been at 8,750 = 5,000 + 50 x 75
    engine = holding(50, daily_loss=0.125)
    assert switches(row(engine, 92.0, seconds=80_000)) == []
    assert switches(row(engine, 75.0, seconds=86_400)) == []
    assert switches(row(engine, 68.01, seconds=90_000)) == []
    assert switches(row(engine, 68.0, seconds=90_001)) == [(TradingState.HALTED, Code.DAILY_LOSS)]


def test_daily_loss_of_the_first_day_counts_from_the_initial_cash() -> None:
    engine = holding(50, daily_loss=0.125)
    assert switches(row(engine, 75.01)) == []
    assert switches(row(engine, 75.0)) == [(TradingState.HALTED, Code.DAILY_LOSS)]


def test_night_gap_is_a_loss_of_the_new_day() -> None:
    engine = holding(50, daily_loss=0.125)
    row(engine, 100.0, seconds=80_000)
    assert switches(row(engine, 70.0, seconds=DAY / 1e9 + 1)) == [(TradingState.HALTED, Code.DAILY_LOSS)]


@pytest.mark.parametrize("rule", ["drawdown", "daily_loss"])
def test_loss_that_a_fill_realises_halts_at_that_row(rule: str) -> None:
    # the position is gone after the gap's fill, the loss is not: 10,000 - 100 x 30 = 7,000
    limits: dict[str, Any] = {rule: 0.25}
    engine = holding(100, **limits)
    order(engine, SELL, 100, stop=90.0)
    events = row(engine, 70.0)
    assert filled(events) == [(-1, 100, 70.0)]
    assert halted(engine)
    order(engine, BUY, 10)
    assert code_of(engine) == Code.TRADING_STATE


@pytest.mark.parametrize("rule", ["drawdown", "daily_loss"])
def test_fees_are_part_of_the_loss(rule: str) -> None:
    # 50 shares at 100 cost 5,000 and a fee of 2,500 (half of it): 10,000 - 2,500 = 7,500
    limits: dict[str, Any] = {rule: 0.25}
    engine = opened(100.0, cash=10_000, limits=stops(**limits), taker_bps=5_000.0)
    order(engine, BUY, 50)
    assert switches(row(engine, 100.0))[0][0] == TradingState.HALTED


def test_operator_sets_the_account_active_again_and_the_stop_starts_afresh() -> None:
    engine = holding(100, drawdown=0.25)
    row(engine, 70.0)
    row(engine, 64.0)  # 6,400, while it is halted
    engine.set_trading_state("a", TradingState.ACTIVE)
    engine.take_events()
    # a quarter of 6,400 is 1,600: the next stop is at 48
    assert switches(row(engine, 64.0)) == []
    assert switches(row(engine, 48.01)) == []
    assert switches(row(engine, 48.0)) == [(TradingState.HALTED, Code.DRAWDOWN)]


def test_halted_account_is_not_halted_again_at_each_row() -> None:
    engine = holding(100, drawdown=0.25)
    row(engine, 70.0)
    assert switches([*row(engine, 60.0), *row(engine, 50.0)]) == []


def test_account_without_stops_is_never_switched() -> None:
    engine = holding(100)
    assert switches(row(engine, 0.01)) == []


def test_time_alone_does_not_halt() -> None:
    engine = holding(100, daily_loss=0.25)
    assert switches(read(engine.process(timer_at(3 * DAY)))) == []


def test_halt_after_a_flatten_leaves_the_order_that_closes() -> None:
    engine = make_engine()
    engine.process(make_ticks([(0, 10.0)]))
    engine.submit(0, Side.BUY, 10)
    engine.process(make_ticks([(1, 10.0)]))
    engine.flatten("a")
    engine.set_trading_state("a", TradingState.HALTED)
    engine.process(make_ticks([(2, 10.0)]))
    assert engine.state.slots[0].lots == 0
