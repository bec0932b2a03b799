"""When silence is a hung connection: by the clock for frames, by open markets for prints."""

import pytest

from daemon import calendars
from daemon.feeds.silence import OpenTime, Silence
from engine.records import SECOND
from tests.unit.daemon.feeds.doubles import ns
from tests.unit.daemon.feeds.markets import ALWAYS, open_at

HOUR = 3600 * SECOND


def seconds(open_time: OpenTime, start: float, end: float) -> float:
    return open_time.between(round(start * SECOND), round(end * SECOND)) / SECOND


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, 10, 0),  # before the first session
        (0, 100, 0),
        (0, 101, 1),
        (100, 200, 100),
        (120, 130, 10),
        (150, 350, 100),  # 50 of the first and 50 of the second
        (200, 300, 0),  # between them
        (0, 999, 200),
        (390, 999, 10),
        (400, 999, 0),
        (350, 120, 0),  # backwards
    ],
)
def test_open_time_counts_what_lies_within_sessions(start: float, end: float, expected: float) -> None:
    assert seconds(OpenTime([open_at((100, 200), (300, 400))]), start, end) == expected


def test_open_time_of_several_markets_is_that_in_which_any_is_open() -> None:
    # [0, 10) and [5, 20) and [6, 7) are one, [20, 30) goes on with it, [40, 50) stands alone: 30 + 10
    both = OpenTime([open_at((0, 10), (20, 30)), open_at((5, 20), (40, 50)), open_at((6, 7))])
    assert seconds(both, 0, 100) == 40
    assert seconds(both, 8, 25) == 17
    assert seconds(both, 29, 41) == 2


def test_market_without_sessions_is_always_open_and_so_is_any_company_it_keeps() -> None:
    assert seconds(OpenTime([open_at((0, 10)), ALWAYS]), 50, 80) == 30
    assert OpenTime([ALWAYS]).at(5)


def test_market_is_open_from_its_opening_up_to_its_close() -> None:
    one = OpenTime([open_at((100, 200))])
    assert [one.at(t * SECOND) for t in (99, 100, 199, 200)] == [False, True, True, False]
    assert not one.at(100 * SECOND - 1)
    assert one.at(200 * SECOND - 1)


def test_weekend_of_new_york_is_no_open_time() -> None:
    # Friday 2026-03-06 and Monday 2026-03-09: 14:30 to 21:00 UTC, then 13:30 to 20:00, daylight saving begins between
    new_york = OpenTime([calendars.sessions("XNYS", whole_days=False)])
    assert new_york.between(ns("2026-03-06T20:00:00"), ns("2026-03-09T14:00:00")) == HOUR + HOUR // 2
    assert new_york.between(ns("2026-03-07T00:00:00"), ns("2026-03-09T00:00:00")) == 0


def test_silence_of_all_frames_is_overdue_at_the_limit_also_while_markets_are_closed() -> None:
    watch = Silence(OpenTime([open_at((9000, 9999))]), 150.0, 300.0, 0)
    assert watch.overdue(150 * SECOND - 1) is None
    found = watch.overdue(150 * SECOND)
    assert found is not None
    assert (found.since, found.why) == (0, "nothing came for 150 s on an open connection")
    watch.listens(100 * SECOND)  # a ping
    assert watch.overdue(249 * SECOND) is None
    late = watch.overdue(250 * SECOND)
    assert late is not None
    assert late.since == 100 * SECOND


def test_pings_do_not_make_up_for_prints_while_a_market_is_open() -> None:
    watch = Silence(OpenTime([open_at((1000, 5000))]), 150.0, 300.0, 0)
    for t in range(0, 1300, 60):
        watch.listens(t * SECOND)
    assert watch.overdue(1300 * SECOND - 1) is None  # 299.99 s of open time
    found = watch.overdue(1300 * SECOND)
    assert found is not None
    assert (found.since, "no print came for 300 s" in found.why) == (0, True)
    watch.priced = 1200 * SECOND
    assert watch.overdue(1300 * SECOND) is None


def test_time_in_which_we_do_not_listen_is_no_silence() -> None:
    watch = Silence(OpenTime([ALWAYS]), 150.0, 300.0, 0)
    watch.hears()
    assert watch.overdue(10_000 * SECOND) is None
    watch.priced = 10_000 * SECOND
    watch.listens(10_000 * SECOND)
    assert watch.overdue(10_100 * SECOND) is None
    assert watch.overdue(10_150 * SECOND) is not None


def test_patience_ends_when_the_earlier_limit_can_be_reached() -> None:
    watch = Silence(OpenTime([ALWAYS]), 150.0, 100.0, 0)
    assert watch.patience_s(0) == 100.0
    assert watch.patience_s(40 * SECOND) == 60.0
    watch.priced = 90 * SECOND
    assert watch.patience_s(100 * SECOND) == 50.0  # of the 150 s without a frame
    assert watch.patience_s(999 * SECOND) > 0
