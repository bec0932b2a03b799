"""Rows that are missing, too many, or without volume, each alone in rows that are otherwise in order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from daemon.calendars import sessions
from daemon.data.quality import Kind, Quality, examine
from engine.records import DAY, SECOND
from tests.unit.daemon.data.oddities import (
    Array,
    bars,
    daily,
    kinds,
    minutes,
    only,
    place,
    trades,
    without,
)
from tests.unit.daemon.data.reading import HOUR, MINUTE, ns


def test_bar_of_each_session_is_nothing_odd() -> None:
    assert examine(daily("2023-01-03", "2024-12-31"), DAY, "XNYS") == Quality()


def test_sessions_without_a_row_are_one_gap_around_their_weekend() -> None:
    rows = daily("2024-06-03", "2024-08-30")
    gone = [place(rows, day) for day in ("2024-07-12", "2024-07-15", "2024-07-16")]
    quality = examine(without(rows, *gone), DAY, "XNYS")
    gap = only(quality)
    assert (gap.kind, gap.ts, gap.ts_end, gap.value) == (Kind.GAP, ns("2024-07-12"), ns("2024-07-17"), 3)
    assert gap.text == "3 sessions without a row, until 2024-07-17T00:00:00Z"
    assert quality.counts == {"gap": 1, "missing bars": 3}


def test_day_without_a_session_is_outside_and_no_gap() -> None:
    rows = daily("2024-06-03", "2024-08-30", "24/5")  # with Independence Day
    quality = examine(rows, DAY, "XNYS")
    found = only(quality)
    assert (found.kind, found.ts, found.value) == (Kind.OUTSIDE_HOURS, ns("2024-06-19"), 2)
    assert found.text == "2 rows on days without a session of XNYS, until 2024-07-05T00:00:00Z"
    assert quality.counts == {"rows outside hours": 2}


def test_weekly_bars_miss_nothing_and_a_missing_week_is_a_gap() -> None:
    rows = bars(np.arange(ns("2024-01-01"), ns("2024-12-30"), 7 * DAY))
    assert examine(rows, 7 * DAY, "XNYS").counts["gap"] == 0
    gaps = [f for f in examine(without(rows, 20), 7 * DAY, "XNYS").findings if f.kind == Kind.GAP]
    assert [(g.ts, g.ts_end) for g in gaps] == [(ns("2024-05-20"), ns("2024-05-25"))]


def test_half_day_ends_early_without_a_gap() -> None:
    half, next_day = (
        minutes("2024-07-03T13:30:00", "2024-07-03T17:00:00"),
        minutes("2024-07-05T13:30:00", "2024-07-05T20:00:00"),
    )
    both = {k: np.concatenate([half[k], next_day[k]]) for k in half}
    assert examine(both, MINUTE, "XNYS") == Quality()


@pytest.mark.parametrize(("missing", "reported"), [(1, False), (5, False), (6, True), (60, True)])
def test_missing_minutes_are_counted_and_reported_from_the_sixth(missing: int, reported: bool) -> None:
    rows = without(minutes("2024-07-02T13:30:00", "2024-07-02T20:00:00"), *range(100, 100 + missing))
    quality = examine(rows, MINUTE, "XNYS")
    assert quality.counts["missing bars"] == missing
    assert kinds(quality) == ["gap"] * reported
    if reported:
        gap = only(quality)
        assert (gap.ts, gap.value) == (ns("2024-07-02T15:10:00"), missing)
        assert gap.ts_end == gap.ts + missing * MINUTE


def test_opening_and_closing_minutes_are_missed_but_not_those_before_the_first_row_or_after_the_last() -> (
    None
):
    days = [minutes(f"2024-07-0{d}T13:30:00", f"2024-07-0{d}T20:00:00") for d in (1, 2)]
    days += [
        minutes("2024-07-08T13:30:00", "2024-07-08T20:00:00"),
        minutes("2024-07-09T13:30:00", "2024-07-09T20:00:00"),
    ]
    days[0] = without(days[0], *range(30))  # the data begin at 14:00
    days[1] = without(days[1], *range(10), *range(350, 390))  # from 13:40 to 19:20
    days[3] = without(days[3], *range(100, 390))  # and end at 15:10
    rows = {k: np.concatenate([d[k] for d in days]) for k in days[0]}
    quality = examine(rows, MINUTE, "XNYS")
    assert [(f.ts, f.ts_end, f.value) for f in quality.findings] == [
        (ns("2024-07-02T13:30:00"), ns("2024-07-02T13:40:00"), 10),
        (ns("2024-07-02T19:20:00"), ns("2024-07-02T20:00:00"), 40),
        (ns("2024-07-03T13:30:00"), ns("2024-07-05T20:00:00"), 210 + 390),  # a half day and a whole one
    ]
    assert quality.counts["missing bars"] == 650


def test_around_the_clock_every_missing_bar_is_a_gap() -> None:
    rows = without(minutes("2024-07-06T00:00:00", "2024-07-06T06:00:00"), 10, 20, 21)
    quality = examine(rows, MINUTE, "24/7")
    assert [(f.ts, f.value) for f in quality.findings] == [
        (ns("2024-07-06T00:10:00"), 1),
        (ns("2024-07-06T00:20:00"), 2),
    ]
    days = without(bars(np.arange(ns("2024-07-01"), ns("2024-08-01"), DAY)), 4, 5)
    assert [(f.ts, f.ts_end) for f in examine(days, DAY, "24/7").findings] == [
        (ns("2024-07-05"), ns("2024-07-07"))
    ]


def test_hourly_bars_that_begin_before_the_opening_cover_it() -> None:
    # as some vendors stamp them: 13:00 is the half hour from 13:30
    rows = {
        k: np.concatenate(c)
        for k, c in _join(
            bars(np.arange(ns(f"2024-07-0{d}T13:00:00"), ns(f"2024-07-0{d}T20:00:00"), HOUR)) for d in (1, 2)
        ).items()
    }
    quality = examine(rows, HOUR, "XNYS")
    assert kinds(quality) == ["outside_hours"]
    assert quality.counts == {"rows outside hours": 2}


def _join(parts: Any) -> dict[str, list[Array]]:
    every = list(parts)
    return {k: [p[k] for p in every] for k in every[0]}


def test_minutes_before_the_opening_are_outside_and_fill_no_gap() -> None:
    rows = minutes("2024-07-02T12:30:00", "2024-07-02T20:00:00")
    quality = examine(without(rows, *range(60, 80)), MINUTE, "XNYS")
    gap = next(f for f in quality.findings if f.kind == Kind.GAP)
    assert (gap.ts, gap.value) == (ns("2024-07-02T13:30:00"), 20)
    assert quality.counts["rows outside hours"] == 60


def test_silence_of_trades_is_a_gap_where_it_is_long_for_them() -> None:
    rows = trades([100.0] * 1000)  # a trade a second
    late = {**rows, "ts": np.where(np.arange(1000) < 500, rows["ts"], rows["ts"] + 301 * SECOND)}
    gap = only(examine(late, 0, "XNYS"))
    assert (gap.ts, gap.value, gap.text[:29]) == (int(rows["ts"][499]), 302, "no trade for 5.0 minutes, unt")
    rows = trades([100.0] * 50, 60 * SECOND)  # a trade a minute: 20 of them are nothing
    late = {**rows, "ts": np.where(np.arange(50) < 25, rows["ts"], rows["ts"] + 15 * MINUTE)}
    assert examine(late, 0, "24/7") == Quality()


def test_session_without_a_trade_is_a_gap() -> None:
    rows = trades([100.0] * 1000)
    next_week = {**rows, "ts": rows["ts"] + 7 * DAY}
    gaps = examine({k: np.concatenate([rows[k], next_week[k]]) for k in rows}, 0, "XNYS").findings
    whole = [f for f in gaps if "session" in f.text]
    assert [(f.ts, f.ts_end) for f in whole] == [(ns("2024-07-03T13:30:00"), ns("2024-07-08T20:00:00"))]
    assert whole[0].value == (3.5 + 6.5 + 6.5) * 3600


def test_times_that_the_calendar_does_not_know_are_not_judged() -> None:
    opens = sessions("XNYS", whole_days=True).opens[:20]
    early = bars(np.concatenate([np.arange(ns("1969-01-01"), ns("1969-03-01"), DAY), opens]))
    assert examine(early, DAY, "XNYS") == Quality()
