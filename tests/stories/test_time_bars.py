"""Ticks into time bars: [start, end) of the venue's time, closed when the engine's time has passed their end plus a grace."""

import pytest

from engine.engine import Engine
from engine.records import SECOND, RowKind, Side, Wants
from tests.builders import MINUTE, join, make_bars, make_ticks, order, read, timer_at
from tests.stories.desk import at, closed_bars, filled, live, make_world

QUARTER = SECOND // 4


def test_prints_of_a_minute_make_its_bar() -> None:
    engine = make_world()
    engine.process(
        make_ticks([(at(0), 100.0, 5.0), (at(20), 103.0, 1.0), (at(40), 98.0, 2.0), (at(59.9), 101.0, 4.0)])
    )
    assert closed_bars(engine) == []  # its time is not over
    engine.process(make_ticks([(at(60), 102.0, 7.0)]))
    assert closed_bars(engine) == [(0, 100.0, 103.0, 98.0, 101.0, 12.0, 4)]


def test_print_at_the_end_of_a_bar_belongs_to_the_next() -> None:
    engine = make_world()
    engine.process(make_ticks([(MINUTE - 1, 100.0), (MINUTE, 200.0), (2 * MINUTE, 300.0)]))
    assert closed_bars(engine) == [(0, 100, 100, 100, 100, 1, 1), (60, 200, 200, 200, 200, 1, 1)]


def test_bar_closes_by_time_without_a_print() -> None:
    engine = make_world()
    engine.process(make_ticks([(at(10), 100.0)]))
    assert engine.next_due() == MINUTE
    engine.process(timer_at(MINUTE))
    assert closed_bars(engine) == [(0, 100, 100, 100, 100, 1, 1)]


def test_stretch_without_prints_has_no_bars() -> None:
    engine = make_world()
    engine.process(make_ticks([(at(10), 100.0), (at(190), 105.0), (at(240), 1.0)]))
    assert [b[0] for b in closed_bars(engine)] == [0, 180]


def test_bars_of_several_timeframes_hold_the_same_prints() -> None:
    engine = make_world(strategies=(("s", "a"), ("t", "a")), timeframes=(MINUTE, 5 * MINUTE))
    engine.process(make_ticks([(at(60 * m + 30), 100.0 + m, 1.0) for m in range(5)]))
    engine.process(timer_at(5 * MINUTE))
    assert [b[1] for b in closed_bars(engine, 0)] == [100, 101, 102, 103, 104]
    assert closed_bars(engine, 1) == [(0, 100, 104, 100, 104, 5, 5)]


def test_daily_bar_begins_where_the_instruments_day_does() -> None:
    hour = 3_600
    engine = make_world(timeframes=(24 * hour * SECOND,), day_offset_ns=22 * hour * SECOND)
    days = 240 * hour
    engine.process(make_ticks([(at(days + h * hour), 100.0 + h) for h in (21, 22, 46)]))
    assert [(b[0] - days, b[4]) for b in closed_bars(engine)] == [(-2 * hour, 121), (22 * hour, 122)]


def test_bar_waits_for_its_prints_during_the_grace() -> None:
    engine = make_world(engine={"grace_ns": QUARTER})
    engine.process(live([(10, 10, 100, 1), (60.1, 59.9, 103, 1)]))  # received after the end, in time
    assert closed_bars(engine) == []
    assert engine.next_due() == MINUTE + QUARTER
    engine.process(timer_at(MINUTE + QUARTER))
    assert closed_bars(engine) == [(0, 100, 103, 100, 103, 2, 2)]


def test_next_bar_is_open_too_during_the_grace() -> None:
    engine = make_world(engine={"grace_ns": QUARTER})
    engine.process(
        live(
            [
                (10, 10, 100, 1),
                (60.1, 60.05, 200, 1),
                (60.2, 59.95, 101, 1),
                (60.22, 60.15, 201, 1),
                (61, 61, 202, 1),
            ]
        )
    )
    assert closed_bars(engine) == [(0, 100, 101, 100, 101, 2, 2)]
    engine.process(timer_at(2 * MINUTE + QUARTER))
    assert closed_bars(engine)[1:] == [(60, 200, 202, 200, 202, 3, 3)]


def test_late_print_is_counted_and_used_for_nothing() -> None:
    engine = make_world(engine={"grace_ns": QUARTER})
    engine.process(live([(10, 10, 100, 1), (60.3, 60.3, 200, 1)]))
    order(engine, Side.BUY, 1)
    events = engine.process(live([(60.4, 59.9, 50, 1)]))
    assert engine.state.clock[0].late_rows == 1
    assert filled(read(events)) == []
    assert engine.state.instruments[0].price == 200.0
    engine.process(timer_at(3 * MINUTE))
    assert closed_bars(engine) == [(0, 100, 100, 100, 100, 1, 1), (60, 200, 200, 200, 200, 1, 1)]


def test_late_print_enters_the_open_bar_where_it_is_merged() -> None:
    engine = make_world(engine={"grace_ns": QUARTER, "merge_late": True})
    engine.process(live([(10, 10, 100, 1), (60.3, 60.3, 200, 1)]))
    order(engine, Side.BUY, 1)
    events = engine.process(live([(60.4, 59.9, 50, 3)]))
    assert engine.state.clock[0].late_rows == 1
    assert filled(read(events)) == [(1, 1, 50.0)]
    engine.process(timer_at(3 * MINUTE))
    assert closed_bars(engine)[1:] == [(60, 200, 200, 50, 50, 4, 2)]


def test_late_print_opens_the_bar_of_the_present_where_it_is_merged_and_none_is_open() -> None:
    engine = make_world(engine={"merge_late": True})
    engine.process(live([(10, 10, 100, 1)]))
    engine.process(timer_at(at(130)))  # the bar of the first minute is closed, none is open
    engine.process(live([(130, 59, 50, 1)]))
    engine.process(timer_at(at(180)))
    assert closed_bars(engine) == [(0, 100, 100, 100, 100, 1, 1), (120, 50, 50, 50, 50, 1, 1)]


def test_late_for_the_short_bar_is_late_for_the_instrument() -> None:
    engine = make_world(strategies=(("s", "a"), ("t", "a")), timeframes=(MINUTE, 5 * MINUTE))
    engine.process(live([(10, 10, 100, 1), (70, 70, 101, 1), (71, 59, 500, 1)]))
    engine.process(timer_at(5 * MINUTE))
    assert engine.state.clock[0].late_rows == 1
    assert closed_bars(engine, 1) == [(0, 100, 101, 100, 101, 2, 2)]


def test_time_of_the_engine_never_goes_back() -> None:
    engine = make_world()
    engine.process(make_ticks([(at(30), 100.0), (at(20), 101.0)]))
    assert engine.now == at(30)
    engine.process(timer_at(at(5)))
    assert engine.now == at(30)


class Clerk:
    """A strategy that writes down the slot and the time of each bar it is told of."""

    wants = int(Wants.BAR)

    def __init__(self) -> None:
        self.heard: list[tuple[int, int]] = []

    def start(self, engine: Engine, strategy: int) -> None:
        self.engine = engine

    def bar(self, slot: int) -> None:
        self.heard.append((slot, self.engine.now))

    def bars(self, _: int) -> None: ...
    def tick(self, slot: int) -> None: ...
    def fill(self, event: int) -> None: ...
    def order(self, event: int) -> None: ...
    def timer(self, timer_id: int) -> None: ...
    def action(self, event: int) -> None: ...
    def stop(self) -> None: ...
    def save(self) -> None: ...
    def load(self, state: object) -> None: ...


def test_bar_that_was_over_before_it_opened_is_told_once() -> None:
    # two prints of the minute before, one in each instrument, both received at 130 s: their bars are over at once. B's
    # bar closes at the same engine time as A's, but after A's was told.
    clerk = Clerk()
    engine = Engine(make_world(instruments=("A", "B"), strategy={"wants": clerk.wants}).spec, {"s": clerk})
    engine.start()
    tape = join(live([(130, 100, 50, 1)]), live([(130, 100, 60, 1)], instrument=1), timer_at(at(131)))
    equity = engine.process(tape).equity
    assert [b[0] for b in (*closed_bars(engine, 0), *closed_bars(engine, 1))] == [60, 60]
    assert clerk.heard == [(0, at(130)), (1, at(130))]
    assert len(equity) == 2


@pytest.mark.parametrize(
    "bar",
    [
        (100.0, 104.0, 97.0, 101.0, 1_000.0),  # low first
        (102.0, 104.0, 97.0, 101.0, 1_000.0),  # high first
        (100.5, 104.0, 97.0, 101.0, 1_000.0),  # the open is as near to both: low first
        (104.0, 104.0, 97.0, 97.0, 3.0),
        (97.0, 104.0, 97.0, 104.0, 0.0),
        (5.0, 5.0, 5.0, 5.0, 1.0),
    ],
)
def test_bar_played_as_its_path_is_the_bar_again(bar: tuple[float, float, float, float, float]) -> None:
    engine = make_world()
    engine.process(make_bars([bar, (1.0, 1.0, 1.0, 1.0)]))
    assert closed_bars(engine) == [(0, *bar, 4)]


@pytest.mark.parametrize(
    ("open_", "first"),
    [(100.0, 97.0), (101.0, 104.0), (100.5, 97.0)],  # 3 from the low; 3 from the high; as near to both
)
def test_path_goes_to_the_nearer_extreme_first(open_: float, first: float) -> None:
    assert make_bars([(open_, 104.0, 97.0, 101.0)]).price[1] == first


def test_bars_of_a_path_make_bars_of_a_longer_timeframe() -> None:
    engine = make_world(timeframes=(5 * MINUTE,))
    engine.process(make_bars([(100 + m, 103 + m, 98 + m, 101 + m, 8) for m in range(5)]))
    engine.process(timer_at(5 * MINUTE))
    # open of the first, high of the last (107), low of the first, close of the last (105), 5 x 8, 5 x 4 rows
    assert closed_bars(engine) == [(0, 100, 107, 98, 105, 40, 20)]


def test_timer_row_has_no_price() -> None:
    engine: Engine = make_world()
    engine.process(make_ticks([(at(10), 100.0), (at(20), 5.0, 1.0, 0, RowKind.TIMER), (at(60), 100.0)]))
    assert closed_bars(engine) == [(0, 100, 100, 100, 100, 1, 1)]
    assert engine.state.clock[0].bad_rows == 0
