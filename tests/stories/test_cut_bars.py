"""Bars that a number of rows, a volume or a value traded closes; and bars of several lengths at once."""

from typing import Any

import numpy as np
import pytest

from engine.engine import Engine
from engine.policies import Policy
from engine.records import SECOND, BarKind, Side
from engine.spec import AccountSpec, EngineSpec, InstrumentSpec, StrategySpec
from tests.builders import MINUTE, cut, make_bars, make_ticks, order, read, timer_at
from tests.stories.desk import at, closed_bars, filled, make_world

BUY = Side.BUY
FIVE = 5 * MINUTE


def bars_of(kind: BarKind, size: float, **given: Any) -> Engine:
    return make_world(strategy={"bar_kind": kind, "bar_size": size}, **given)


def ends(engine: Engine, series: int = 0) -> list[int]:
    """When the bars that the series keeps ended, ns."""
    s = engine.state.series[series]
    return [int(engine.state.bars[s.first_bar + n % s.capacity].end) for n in range(int(s.bars))]


def test_bar_of_three_rows_holds_three_rows() -> None:
    engine = bars_of(BarKind.TICKS, 3)
    engine.process(
        make_ticks(
            [(at(s), p, v) for s, p, v in [(1, 10, 5), (2, 12, 1), (9, 11, 2), (9, 15, 4), (30, 14, 1)]]
        )
    )
    assert closed_bars(engine) == [(1, 10, 12, 10, 11, 8, 3)]
    engine.process(make_ticks([(at(31), 13, 7), (at(32), 16, 1)]))
    assert closed_bars(engine)[1:] == [(9, 15, 15, 13, 13, 12, 3)]
    # a bar ends a nanosecond after its last row
    assert ends(engine) == [at(9) + 1, at(31) + 1]


def test_bar_of_a_volume_is_closed_by_the_row_that_fills_it_and_holds_all_of_that() -> None:
    engine = bars_of(BarKind.VOLUME, 100.0)
    rows = [(1, 10, 60), (2, 12, 30), (3, 11, 25), (4, 13, 100), (5, 9, 99)]
    engine.process(make_ticks([(at(s), p, v) for s, p, v in rows]))
    # 60 + 30 + 25 = 115, then 100 alone; 99 are not enough
    assert closed_bars(engine) == [(1, 10, 12, 10, 11, 115, 3), (4, 13, 13, 13, 13, 100, 1)]
    assert ends(engine) == [at(3) + 1, at(4) + 1]
    engine.process(make_ticks([(at(6), 8, 1)]))
    assert closed_bars(engine)[2:] == [(5, 9, 9, 8, 8, 100, 2)]


def test_bar_of_a_value_counts_the_money_that_changed_hands() -> None:
    engine = bars_of(BarKind.VALUE, 1_000.0)
    rows = [(1, 10, 60), (2, 20, 20), (3, 50, 20), (4, 40, 24.9), (5, 40, 0.1)]
    engine.process(make_ticks([(at(s), p, v) for s, p, v in rows]))
    # 600 + 400; 1,000; 996 + 4
    assert [(b[0], b[5], b[6]) for b in closed_bars(engine)] == [(1, 80, 2), (3, 20, 1), (4, 25, 2)]


def test_rows_of_no_size_count_as_rows_and_as_no_volume() -> None:
    engine = bars_of(BarKind.VOLUME, 10.0)
    engine.process(make_ticks([(1, 10, 0), (2, 20, 0), (3, 15, 10)]))
    assert [b[1:] for b in closed_bars(engine)] == [(10, 20, 10, 15, 10, 3)]


def test_bar_of_history_counts_as_four_rows_of_a_quarter_each() -> None:
    engine = bars_of(BarKind.VOLUME, 75.0)
    engine.process(make_bars([(100.0, 104.0, 97.0, 101.0, 100.0)] * 3))
    # 100 -> 97 -> 104 | 101, 100, 97 | 104, 101, 100 | 97, 104, 101
    assert [b[1:] for b in closed_bars(engine)] == [
        (100, 104, 97, 104, 75, 3),
        (101, 101, 97, 97, 75, 3),
        (104, 104, 100, 100, 75, 3),
        (97, 104, 97, 101, 75, 3),
    ]


@pytest.mark.parametrize("kind", [BarKind.TICKS, BarKind.VOLUME, BarKind.VALUE])
def test_decision_comes_after_the_row_that_closes_the_bar_and_fills_on_the_next(kind: BarKind) -> None:
    size = {BarKind.TICKS: 2.0, BarKind.VOLUME: 2.0, BarKind.VALUE: 21.0}[kind]
    hold = {"policy": Policy.BUY_AND_HOLD, "features": ("close",), "size_value": 10.0}
    engine = make_world(strategy={"bar_kind": kind, "bar_size": size, **hold})
    events = engine.process(make_ticks([(1, 10.0), (2, 11.0), (3, 12.0)]))
    assert [(e["last_px"], e["ts"]) for e in read(events) if e["last_lots"]] == [(12.0, 3)]
    assert [e["ts"] for e in read(events)] == [2, 3]  # it was given at the row of 11
    # and equity was taken there
    assert events.equity["ts"].tolist() == [2]


def test_bar_stays_open_over_any_stretch_of_time() -> None:
    engine = bars_of(BarKind.TICKS, 2)
    engine.process(make_ticks([(at(1), 10.0)]))
    engine.process(timer_at(at(1_000_000)))
    assert closed_bars(engine) == []
    engine.process(make_ticks([(at(2_000_000), 11.0)]))
    assert [b[0] for b in closed_bars(engine)] == [1]


def several() -> Engine:
    """Of one instrument: minutes and, looked back at too, five minutes; bars of three rows; bars of 100 units."""
    base = StrategySpec(
        "s", "a", ("A",), MINUTE, ("close", f"close@{FIVE}", f"sma_2@{FIVE}"), history=8, also=(FIVE,)
    )
    cut_bars = [
        StrategySpec(
            name, "a", ("A",), 0, ("close", f"close@{MINUTE}"), bar_kind=kind, bar_size=size, history=8
        )
        for name, kind, size in (("t", BarKind.TICKS, 3.0), ("v", BarKind.VOLUME, 100.0))
    ]
    return Engine(EngineSpec((InstrumentSpec("A"),), (AccountSpec("a", 1e6),), (base, *cut_bars)))


def rows_of_ten_minutes() -> list[tuple[int, float, float]]:
    """A row each 30 s from second 10 on, at 100, 101, ..., of 40 units each."""
    return [(at(10 + 30 * n), 100.0 + n, 40.0) for n in range(20)]


def test_bars_of_every_kind_hold_the_same_rows() -> None:
    engine = several()
    engine.process(make_ticks(rows_of_ten_minutes()))
    engine.process(timer_at(10 * MINUTE))
    minutes, fives, threes, hundreds = range(4)
    assert closed_bars(engine, minutes)[-2:] == [
        (480, 116, 117, 116, 117, 80, 2),
        (540, 118, 119, 118, 119, 80, 2),
    ]
    assert closed_bars(engine, fives) == [
        (0, 100, 109, 100, 109, 400, 10),
        (300, 110, 119, 110, 119, 400, 10),
    ]
    # three rows of 40 are the first to be 100: 120. Both kinds are cut alike, and two rows are left over
    three = [(10 + 90 * n, 100 + 3 * n, 102 + 3 * n, 100 + 3 * n, 102 + 3 * n, 120, 3) for n in range(6)]
    assert closed_bars(engine, threes) == closed_bars(engine, hundreds) == three
    assert engine.state.clock[0].bars == 10 + 2 + 6 + 6


def test_strategy_sees_the_features_of_its_own_bars_and_of_longer_ones() -> None:
    engine = several()
    events = []
    for ts, price, size in rows_of_ten_minutes():
        engine.process(make_ticks([(ts, price, size)]))
        if ts == at(9 * 60 + 40):
            order(engine, BUY, 1, slot=0)
            order(engine, BUY, 1, slot=1)
            told = engine.take_events()
            events = [told.observations[e["observation"]].tolist() for e in told.events]
    # at 9:40 the last minute ended at 9:00 with 117, the first five with 109, and there is no second; the last bar of three
    # rows ended at 8:40 with 117
    np.testing.assert_array_equal(events, [[117.0, 109.0, np.nan], [117.0, 117.0, np.nan]])


def test_bars_that_close_at_one_moment_are_known_together() -> None:
    engine = several()
    engine.process(make_ticks(rows_of_ten_minutes()))
    engine.process(timer_at(10 * MINUTE))
    order(engine, BUY, 1, slot=0)
    told = engine.take_events()
    # the tenth minute, the second five, and the mean of 109 and 119
    assert told.observations[told.events[0]["observation"]].tolist() == [119.0, 119.0, 114.0]


@pytest.mark.parametrize("step", [1, 3, 7])
def test_cut_of_the_tape_into_batches_changes_nothing(step: int) -> None:
    whole, parts = several(), several()
    ticks = make_ticks(rows_of_ten_minutes())
    for engine in (whole, parts):
        order(engine, BUY, 1)
        engine.process(make_ticks([(SECOND, 100.0)]))
        order(engine, BUY, 25, limit=99.0)
    whole.process(ticks)
    for first in range(0, 20, step):
        parts.process(cut(ticks, first, min(first + step, 20)))
    assert parts.state_hash() == whole.state_hash()


def test_order_fills_on_the_row_after_the_one_that_closed_the_bar_and_not_on_it() -> None:
    engine = bars_of(BarKind.TICKS, 2)
    engine.process(make_ticks([(1, 10.0), (2, 11.0)]))
    order(engine, BUY, 1)
    engine.take_events()
    assert filled(read(engine.process(make_ticks([(2, 12.0)])))) == [(BUY, 1, 12.0)]
