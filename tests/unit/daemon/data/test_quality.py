"""The look at rows as a whole: their order, their volume, what cannot be, what is counted."""

from __future__ import annotations

import numpy as np
import pytest

from daemon.calendars import CalendarError
from daemon.data.quality import Kind, Quality, examine
from engine.records import DAY
from tests.unit.daemon.data.oddities import (
    daily,
    kinds,
    minutes,
    only,
    split,
    trades,
    without,
)
from tests.unit.daemon.data.reading import MINUTE, ns


def test_second_bar_of_a_time_is_told_with_whether_it_differs() -> None:
    rows = daily("2024-06-03", "2024-08-30")
    twice = {k: np.insert(c, [11, 31], [c[10], c[30]]) for k, c in rows.items()}
    twice["close"][32] += 0.1
    quality = examine(twice, DAY, "XNYS")
    assert [(f.kind, f.ts, f.value) for f in quality.findings] == [
        (Kind.DUPLICATE, int(rows["ts"][10]), 1),
        (Kind.DUPLICATE, int(rows["ts"][30]), 1),
    ]
    assert [f.text.split(", ")[1] for f in quality.findings] == ["equal", "of different values"]


def test_trades_of_one_time_are_no_duplicates() -> None:
    rows = trades([100.0] * 100)
    rows["ts"] = np.repeat(rows["ts"][:50], 2)
    assert examine(rows, 0, "XNYS") == Quality()


def test_steps_back_are_found_and_the_rest_is_judged_in_order() -> None:
    rows = minutes("2024-07-02T13:30:00", "2024-07-02T20:00:00")
    order = np.concatenate([np.arange(100), np.arange(110, 200), np.arange(100, 110), np.arange(200, 390)])
    quality = examine({k: c[order] for k, c in rows.items()}, MINUTE, "XNYS")
    step = only(quality)
    assert (step.kind, step.value) == (Kind.BACKWARD, 99 * 60)
    assert step.text == "2024-07-02T15:10:00Z comes after 2024-07-02T16:49:00Z"


def test_newest_first_rows_are_one_finding() -> None:
    rows = {k: c[::-1] for k, c in daily("2024-06-03", "2024-08-30").items()}
    assert only(examine(rows, DAY, "XNYS")).text == (
        "the rows are newest first, from 2024-08-30T00:00:00Z back to 2024-06-03T00:00:00Z"
    )


def test_stretches_without_volume_are_told_where_they_are_long() -> None:
    rows = minutes("2024-07-02T13:30:00", "2024-07-02T20:00:00")
    rows["volume"][[10, 11, 12, 13, 14, 50, *range(100, 106)]] = 0
    quality = examine(rows, MINUTE, "XNYS")
    found = only(quality)
    assert (found.kind, found.ts, found.value) == (Kind.ZERO_VOLUME, ns("2024-07-02T15:10:00"), 6)
    assert quality.counts == {"zero_volume": 1, "rows without volume": 12}
    rows = daily("2024-06-03", "2024-08-30")
    rows["volume"][7] = 0
    assert only(examine(rows, DAY, "XNYS")).text == "1 bar without volume, until 2024-06-13T00:00:00Z"


def test_rows_that_cannot_be_are_counted_and_left_out() -> None:
    rows = daily("2024-06-03", "2024-08-30")
    rows["low"][3], rows["close"][8], rows["volume"][20] = 0, np.nan, -1
    quality = examine(rows, DAY, "XNYS")
    assert quality.counts == {"unusable rows": 3, "gap": 3, "missing bars": 3}
    assert not any("nan" in f.text for f in quality.findings)


@pytest.mark.parametrize("n", range(12))
@pytest.mark.parametrize("bar_ns", [0, DAY])
def test_few_rows_or_none_are_no_trouble(n: int, bar_ns: int) -> None:
    rows = daily("2024-06-03", "2024-08-30")
    some = trades([100.0] * 12) if bar_ns == 0 else rows
    assert examine({k: c[:n] for k, c in some.items()}, bar_ns, "XNYS") == Quality()


def test_unknown_calendar_is_an_error() -> None:
    with pytest.raises(CalendarError, match="there is no calendar 'XNSY'"):
        examine(daily("2024-06-03", "2024-08-30"), DAY, "XNSY")


def test_findings_come_in_order_of_time_and_are_counted() -> None:
    rows = without(split(2, at=80), 20)
    rows["low"][40] = 50.0
    rows["volume"][10] = 0
    quality = examine(rows, DAY, "XNYS")
    assert kinds(quality) == ["zero_volume", "gap", "outlier", "split_like"]
    assert quality.counts == {
        "zero_volume": 1, "gap": 1, "outlier": 1, "split_like": 1, "missing bars": 1, "rows without volume": 1,
    }  # fmt: skip


def test_nothing_is_changed() -> None:
    rows = {k: c[::-1].copy() for k, c in split(2).items()}
    for c in rows.values():
        c.flags.writeable = False
    examine(rows, DAY, "XNYS")
