"""The risk clock: what prices do from the end of one period to that of the next, in rows that all instruments share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engine.engine import Engine
from engine.records import DAY, SECOND, RowKind
from engine.spec import AccountSpec, EngineSpec, InstrumentSpec, MarginSpec, Sessions, StrategySpec
from tests.builders import MINUTE, make_ticks, timer_at
from tests.stories.desk import FRIDAY, MONDAY, TUESDAY, at, clock
from tests.stories.risk import RETURNS, RISK, hold, loss, market, returns_of

THURSDAY, SATURDAY, SUNDAY = 0, 2, 3  # 1 January 1970 was a Thursday


def clocked(calendars: dict[str, str], **risk: Any) -> Engine:
    """Instruments with their calendars: "" trades around the clock, "X" from 14:30 to 21:00 on weekdays."""
    weekdays = [d for d in range(12) if d not in (SATURDAY, SUNDAY, SATURDAY + 7, SUNDAY + 7)]
    hours = np.array([[at(clock(d, 14, 30)), at(clock(d, 21))] for d in weekdays], np.int64)
    return Engine(
        EngineSpec(
            tuple(InstrumentSpec(name, calendar=calendar) for name, calendar in calendars.items()),
            (AccountSpec("a", 10_000.0, margin=MarginSpec(10.0, 0.0)),),
            (StrategySpec("s", "a", tuple(calendars), MINUTE),),
            calendars={"X": Sessions(hours[:, 0].copy(), hours[:, 1].copy())},
            risk=replace(RISK, **risk),
        )
    )


def see(engine: Engine, *rows: Sequence[float]) -> None:
    """Rows of (seconds, price, instrument[, kind, size])."""
    full = [(*r, RowKind.PRINT, 1.0)[:5] if len(r) < 4 else (*r, 1.0)[:5] for r in rows]
    engine.process(make_ticks([(at(r[0]), r[1], r[4], int(r[2]), int(r[3])) for r in sorted(full)]))


def until(engine: Engine, day: int) -> None:
    """Let time come to midnight, at which that day begins."""
    engine.process(timer_at(day * DAY))


def test_return_is_from_the_end_of_one_period_to_the_end_of_the_next() -> None:
    engine = clocked({"A": ""})
    see(engine, (clock(0, 9), 90.0, 0), (clock(0, 23), 100.0, 0))
    until(engine, 1)
    assert returns_of(engine) == []  # the first row has nothing to compare with
    see(engine, (clock(1, 1), 120.0, 0), (clock(1, 22), 103.0, 0))
    assert returns_of(engine) == []
    until(engine, 2)
    assert returns_of(engine) == [pytest.approx(0.03, rel=1e-12)]


def test_print_at_the_very_end_of_a_period_belongs_to_the_next() -> None:
    engine = clocked({"A": ""})
    see(engine, (clock(0, 9), 100.0, 0), (clock(1, 0), 110.0, 0), (clock(2, 0), 200.0, 0))
    assert returns_of(engine) == [pytest.approx(0.1)]


def test_newest_return_comes_first_and_only_a_window_of_them_is_kept() -> None:
    engine = clocked({"A": ""}, window=4)
    see(engine, *((clock(d, 12), 100.0 + d, 0) for d in range(8)))
    until(engine, 8)
    # 107 / 106 is the newest, 104 / 103 the oldest of four
    assert returns_of(engine) == pytest.approx([(101 + d) / (100 + d) - 1 for d in (6, 5, 4, 3)], rel=1e-12)


def test_periods_begin_at_their_offset_and_are_as_long_as_given() -> None:
    engine = clocked({"A": ""}, period_ns=600 * SECOND, offset_ns=60 * SECOND)
    see(engine, (0, 100.0, 0), (59, 101.0, 0), (60, 150.0, 0), (659, 202.0, 0), (660, 7.0, 0))
    assert returns_of(engine) == [pytest.approx(1.0)]


def test_weekend_of_what_trades_around_the_clock_goes_into_the_row_that_ends_on_monday() -> None:
    # B prints each noon, 10 % higher; A is closed on Saturday and Sunday
    engine = clocked({"A": "X", "B": ""})
    for d in (THURSDAY, FRIDAY, SATURDAY, SUNDAY, MONDAY, TUESDAY):
        see(engine, (clock(d, 12), 100.0 * 1.1**d, 1))
        if d not in (SATURDAY, SUNDAY):
            see(engine, (clock(d, 15), {THURSDAY: 50.0, FRIDAY: 51.0, MONDAY: 48.45, TUESDAY: 48.45}[d], 0))
        until(engine, d + 1)
        if d == SUNDAY:  # two rows wait for Monday
            assert returns_of(engine, 1) == pytest.approx([0.1])
    # Friday 2 %, Monday 48.45 / 51 = -5 % beside 1.1^3 = 33.1 %, Tuesday 0 %: A printed and did not move
    assert returns_of(engine, 0) == pytest.approx([0.0, -0.05, 0.02], abs=1e-12)
    assert returns_of(engine, 1) == pytest.approx([0.1, 0.331, 0.1], rel=1e-12)


def test_quiet_instrument_in_an_open_market_has_a_return_of_nothing() -> None:
    # A does not print on Friday, though its market is open: the row closes all the same
    engine = clocked({"A": "X", "B": ""})
    see(engine, (clock(THURSDAY, 12), 100.0, 1), (clock(THURSDAY, 15), 50.0, 0))
    see(engine, (clock(FRIDAY, 12), 110.0, 1))
    until(engine, SATURDAY)
    assert returns_of(engine, 0) == [0.0]
    assert returns_of(engine, 1) == pytest.approx([0.1])


def test_day_without_any_print_closes_no_row() -> None:
    engine = clocked({"A": "", "B": ""})
    see(engine, (clock(0, 12), 100.0, 0), (clock(0, 12), 50.0, 1), (clock(1, 12), 110.0, 0))
    until(engine, 5)
    assert [*returns_of(engine, 0), *returns_of(engine, 1)] == pytest.approx([0.1, 0.0])
    see(engine, (clock(5, 12), 55.0, 1))
    until(engine, 6)
    assert returns_of(engine, 0) == pytest.approx([0.0, 0.1])
    assert returns_of(engine, 1) == pytest.approx([0.1, 0.0])


def test_exchange_whose_calendar_has_ended_holds_up_no_row() -> None:
    engine = clocked({"A": "X", "B": ""})  # X's last session is on day 11
    see(engine, (clock(8, 15), 50.0, 0), *((clock(d, 12), 100.0 * 1.1**d, 1) for d in range(8, 19)))
    until(engine, 19)
    # the weekend of days 9 and 10 waits for Monday, day 11; after that A is quiet for good
    assert returns_of(engine, 1)[-1] == pytest.approx(1.1**3 - 1)
    assert len(returns_of(engine, 1)) == 8
    assert returns_of(engine, 0) == [0.0] * 8


def test_instrument_that_begins_later_has_fewer_returns_of_the_same_rows() -> None:
    engine = clocked({"A": "", "B": ""})
    see(engine, *((clock(d, 12), 100.0 * 1.1**d, 0) for d in range(6)), (clock(3, 13), 10.0, 1))
    see(engine, (clock(6, 12), 200.0, 0), (clock(6, 13), 12.0, 1))
    until(engine, 7)
    assert returns_of(engine, 1) == [pytest.approx(0.2), 0.0, 0.0]
    assert len(returns_of(engine, 0)) == 6


def test_split_between_two_rows_is_no_return() -> None:
    # 100, split two for one, 55: 110 of the old shares
    engine = clocked({"A": ""})
    see(engine, (clock(0, 12), 100.0, 0), (clock(1, 1), 2.0, 0, RowKind.SPLIT, 1.0), (clock(1, 12), 55.0, 0))
    until(engine, 2)
    assert returns_of(engine) == [pytest.approx(0.1)]


def test_split_without_a_print_after_it_is_no_return_either() -> None:
    engine = clocked({"A": "", "B": ""})
    see(engine, (clock(0, 12), 100.0, 0), (clock(0, 12), 7.0, 1))
    see(engine, (clock(1, 1), 3.0, 0, RowKind.SPLIT, 2.0), (clock(1, 12), 7.0, 1))
    until(engine, 2)
    assert returns_of(engine, 0) == [pytest.approx(0.0, abs=1e-15)]


def test_dividend_is_part_of_the_return() -> None:
    # 100, pays 2, 99: 101 of 100
    engine = clocked({"A": ""})
    see(engine, (clock(0, 12), 100.0, 0), (clock(1, 1), 2.0, 0, RowKind.DIVIDEND), (clock(1, 12), 99.0, 0))
    until(engine, 2)
    assert returns_of(engine) == [pytest.approx(0.01)]
    see(engine, (clock(2, 12), 108.9, 0))
    until(engine, 3)
    assert returns_of(engine)[0] == pytest.approx(0.1)  # it was paid once


def test_dividend_before_a_split_was_paid_to_the_old_shares() -> None:
    # 100, pays 2, two for one, 49.5: (99 + 2) / 100
    engine = clocked({"A": ""})
    see(engine, (clock(0, 12), 100.0, 0), (clock(1, 1), 2.0, 0, RowKind.DIVIDEND))
    see(engine, (clock(1, 2), 2.0, 0, RowKind.SPLIT, 1.0), (clock(1, 12), 49.5, 0))
    until(engine, 2)
    assert returns_of(engine) == [pytest.approx(0.01)]


def test_delisting_pays_what_it_pays_and_then_there_is_nothing_more_to_wait_for() -> None:
    engine = clocked({"A": "X", "B": ""})
    see(engine, (clock(THURSDAY, 12), 100.0, 1), (clock(THURSDAY, 15), 50.0, 0))
    see(engine, (clock(FRIDAY, 15), 20.0, 0, RowKind.DELISTING, 1.0), (clock(FRIDAY, 16), 110.0, 1))
    until(engine, SATURDAY)
    assert returns_of(engine, 0) == [pytest.approx(-0.6)]
    see(engine, (clock(SATURDAY, 12), 121.0, 1))
    until(engine, SUNDAY)
    assert returns_of(engine, 1) == pytest.approx([0.1, 0.1])
    assert returns_of(engine, 0) == [pytest.approx(-0.6)]


def test_first_row_of_all_is_where_returns_begin_even_in_the_warm_up() -> None:
    engine = market(engine={"trade_from": 8 * DAY})
    assert returns_of(engine) == pytest.approx(list(reversed(RETURNS)), rel=1e-12)


def test_portfolio_is_measured_on_rows_that_stand_beside_each_other() -> None:
    # B loses what A gains, from one of B's days to the next: together they never make anything
    engine = clocked({"A": "", "B": "X"}, min_history=4)
    a, b, since = 100.0, 100.0, 97.0
    for d in range(9):
        a *= 1.05 if d % 2 else 0.97
        see(engine, (clock(d, 12), a, 0))
        if d not in (SATURDAY, SUNDAY):
            b *= 2 - a / since
            since = a
            see(engine, (clock(d, 15), b, 1))
    until(engine, 9)
    # Friday, then the weekend and Monday, Tuesday, Wednesday, Thursday, Friday
    assert len(returns_of(engine, 0)) == 6
    assert returns_of(engine, 0)[4] == pytest.approx(0.97 * 1.05 * 0.97 - 1)
    assert returns_of(engine, 1) == pytest.approx([-r for r in returns_of(engine, 0)], abs=1e-12)
    see(engine, (clock(9, 1), 100.0, 0), (clock(9, 1), 100.0, 1))
    hold(engine, 10, slot=0)
    assert loss(engine).var > 10
    hold(engine, 10, slot=1)
    assert loss(engine).var == pytest.approx(0.0, abs=1e-9)
