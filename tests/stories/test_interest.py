"""Interest and borrow fees: each UTC midnight, actual/365, on what the account holds then.

A rate of 7.3 % a year is 0.02 % a day, one of 36.5 % is 0.1 %.
"""

from typing import Any

import pytest

from engine.engine import Engine
from engine.records import DAY, SECOND, Code, RowKind, Side
from engine.spec import MarginSpec
from tests.builders import make_ticks, order, read, timer_at
from tests.stories.accounts import Told, assert_books, cash_moves, venue
from tests.stories.desk import at, cash, dollars, filled, row

BUY, SELL = Side.BUY, Side.SELL
HOUR = 3600.0
MIDNIGHT = 24 * HOUR  # of the first day, in seconds


def account(
    cash: float = 10_000.0, debit: float = 0.0, credit: float = 0.0, borrow: float = 0.0, **given: Any
) -> Engine:
    engine = venue(cash, MarginSpec(4.0, 0.0, borrow, debit, credit), **given)
    row(engine, 100.0, seconds=10 * HOUR)
    return engine


def trade(engine: Engine, side: Side, lots: int) -> None:
    order(engine, side, lots)
    assert filled(row(engine, 100.0)) == [(side, lots, 100.0)]


def until(engine: Engine, seconds: float) -> Told:
    """What happens until then, without a row."""
    return read(engine.process(timer_at(at(seconds))))


def test_debit_interest_is_charged_at_each_midnight_on_what_is_owed_with_its_interest() -> None:
    engine = account(debit=0.073)
    trade(engine, BUY, 200)  # owes 10,000 from 10:00 of the first day on
    (event,) = until(engine, MIDNIGHT)
    assert (event["ts"], event["code"], event["last_notional"]) == (DAY, Code.INTEREST, dollars(-2))
    assert event["cash"] == dollars(-10_002)
    # 10,002 x 0.0002
    assert cash_moves(until(engine, 2 * MIDNIGHT)) == [(Code.INTEREST, dollars(-2.0004))]
    assert cash(engine) == dollars(-10_004.0004)
    assert engine.state.accounts[0].interest == dollars(-4.0004)
    assert_books(engine)


def test_credit_interest_is_paid_on_cash_and_the_other_rate_is_not_looked_at() -> None:
    engine = account(debit=0.5, credit=0.0365)
    # 10,000 x 0.0001
    assert cash_moves(until(engine, MIDNIGHT)) == [(Code.INTEREST, dollars(1))]
    assert cash(engine) == dollars(10_001)


def test_proceeds_of_a_short_sale_earn_nothing_and_what_is_borrowed_costs_its_fee() -> None:
    engine = account(credit=0.0365, borrow=0.073)
    trade(engine, SELL, 50)  # cash 15,000
    row(engine, 110.0)
    # interest on 15,000 - 5,500 = 9,500 x 0.0001; the fee on 5,500 x 0.0002
    assert cash_moves(until(engine, MIDNIGHT)) == [
        (Code.INTEREST, dollars(0.95)),
        (Code.BORROW, dollars(-1.10)),
    ]
    assert engine.state.accounts[0].interest == dollars(-0.15)
    assert_books(engine)


def test_loss_on_a_short_sale_is_owed() -> None:
    engine = account(debit=0.073)
    trade(engine, SELL, 300)  # cash 40,000
    row(engine, 150.0)  # 45,000 are short: 5,000 x 0.0002
    assert cash_moves(until(engine, MIDNIGHT)) == [(Code.INTEREST, dollars(-1))]


def test_fee_is_for_shorts_only_and_longs_do_not_lower_it() -> None:
    engine = account(borrow=0.073, instruments=("A", "B"))
    row(engine, 100.0, instrument=1)
    trade(engine, SELL, 50)
    order(engine, BUY, 50, slot=1)
    row(engine, 100.0, instrument=1)
    assert cash_moves(until(engine, MIDNIGHT)) == [(Code.BORROW, dollars(-1))]


def test_weekend_counts_as_three_nights() -> None:
    friday = 25 * DAY  # 1970-01-26 was a Monday
    engine = venue(10_000.0, MarginSpec(4.0, 0.0, debit_rate=0.073))
    engine.process(make_ticks([(friday + 9 * 3600 * SECOND, 100.0)]))
    trade(engine, BUY, 200)
    monday = friday + 3 * DAY + 9 * 3600 * SECOND
    events = read(engine.process(make_ticks([(monday, 101.0)])))
    # the price of Monday is not known in the nights before
    assert [(e["ts"] - friday, e["last_notional"]) for e in events] == [
        (DAY, dollars(-2)),
        (2 * DAY, dollars(-2.0004)),
        (3 * DAY, -2_000_800),  # 10,004.0004 x 0.0002 = 2.00080008
    ]


def test_gap_of_days_is_the_same_whether_rows_come_in_it_or_not() -> None:
    quiet, busy = (account(debit=0.07, credit=0.03, borrow=0.11) for _ in range(2))
    for engine in (quiet, busy):
        trade(engine, SELL, 70)
    until(quiet, 30 * MIDNIGHT + 1)
    for day in range(1, 31):
        until(busy, day * MIDNIGHT)
        until(busy, day * MIDNIGHT + 1)
    assert cash(quiet) == cash(busy)
    assert quiet.state.accounts[0].interest == busy.state.accounts[0].interest != 0


def test_position_of_a_day_that_is_closed_before_midnight_costs_nothing() -> None:
    engine = account(debit=0.073, borrow=0.073)
    trade(engine, BUY, 200)
    trade(engine, SELL, 200)
    assert not until(engine, MIDNIGHT)
    assert cash(engine) == dollars(10_000)


def test_tape_that_begins_at_midnight_accrues_from_the_next_one_on() -> None:
    engine = venue(10_000.0, MarginSpec(4.0, 0.0, credit_rate=0.0365))
    row(engine, 100.0, seconds=MIDNIGHT)
    assert cash_moves(until(engine, 2 * MIDNIGHT - 1)) == []
    assert cash_moves(until(engine, 2 * MIDNIGHT)) == [(Code.INTEREST, dollars(1))]


def test_engine_says_when_interest_is_due() -> None:
    engine = account(credit=0.0365)
    row(engine, 100.0, seconds=23 * HOUR)
    assert engine.next_due() == 23 * 3600 * SECOND + 60 * SECOND  # first its minute bar closes
    until(engine, 23.5 * HOUR)
    assert engine.next_due() == DAY


@pytest.mark.parametrize(
    ("units", "expected"),
    [(2_500, 2), (3_500, 4), (2_501, 3), (499, 0), (500, 0), (501, 1)],  # thousandths, half to even
)
def test_interest_is_rounded_once_and_half_to_even(units: int, expected: int) -> None:
    engine = account(cash=units / 1e6, credit=0.365)
    until(engine, MIDNIGHT)
    assert cash(engine) == units + expected


def test_interest_that_rounds_to_nothing_is_not_told() -> None:
    engine = account(cash=0.0004, credit=0.365)
    assert not until(engine, MIDNIGHT)


def test_warm_up_accrues_nothing_and_the_first_night_after_it_does() -> None:
    engine = account(credit=0.0365, engine={"trade_from": 2 * DAY})
    assert not until(engine, 2 * MIDNIGHT)  # the night in which it ends is still of the warm-up
    assert cash_moves(until(engine, 3 * MIDNIGHT)) == [(Code.INTEREST, dollars(1))]


def test_part_of_the_first_day_of_trading_counts_as_a_day() -> None:
    engine = account(credit=0.0365, engine={"trade_from": 2 * DAY - SECOND})
    assert not until(engine, 2 * MIDNIGHT - 1)
    assert cash_moves(until(engine, 2 * MIDNIGHT)) == [(Code.INTEREST, dollars(1))]


def test_cash_account_and_margin_account_without_rates_earn_nothing() -> None:
    for margin in (None, MarginSpec(4.0, 0.0)):
        engine = venue(10_000.0, margin)
        row(engine, 100.0)
        assert not until(engine, 10 * MIDNIGHT)


def test_bar_that_closes_at_midnight_shows_equity_with_the_interest() -> None:
    engine = account(credit=0.0365, strategy={"timeframe_ns": DAY})
    events = engine.process(timer_at(DAY))
    assert [(e["ts"], e["equity"]) for e in events.equity] == [(DAY, dollars(10_001))]


def test_interest_can_lead_to_a_margin_call_at_the_next_mark() -> None:
    engine = venue(10_000.0, MarginSpec(4.0, 0.25, debit_rate=0.073))
    row(engine, 100.0, seconds=10 * HOUR)
    trade(engine, BUY, 400)  # equity 10,000 is 25 % of 40,000
    assert cash_moves(until(engine, MIDNIGHT)) == [(Code.INTEREST, dollars(-6))]  # 30,000 x 0.0002
    # equity 9,994: 39,976 may be held; 24 / 100: one share
    events = row(engine, 100.0)
    assert [(e["code"], e["lots"]) for e in events if e["order_id"]] == [(Code.LIQUIDATION, 1)]


def test_midnights_and_rows_of_no_price_do_not_confuse_each_other() -> None:
    engine = account(credit=0.0365)
    at_midnight = make_ticks([(DAY, 2.0, 1.0, 0, RowKind.SPLIT), (DAY, 5_000.0, 0.0, 0, RowKind.CASH)])
    events = read(engine.process(at_midnight))
    # first what the time brings: interest on 10,000, not on 15,000
    assert cash_moves(events) == [(Code.INTEREST, dollars(1)), (Code.DEPOSIT, dollars(5_000))]
    assert_books(engine)
