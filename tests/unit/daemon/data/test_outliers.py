"""Prices that are far off, each alone in rows that are otherwise in order."""

from __future__ import annotations

import pytest

from daemon.data.quality import Finding, Kind, Quality, examine
from engine.records import DAY, SECOND
from tests.unit.daemon.data.oddities import (
    FIELDS,
    WAVE,
    daily,
    kinds,
    minutes,
    only,
    trades,
)
from tests.unit.daemon.data.reading import MINUTE, ns


def odd(field: str, value: float, **more: float) -> Finding:
    """What is said of one bar of a hundred that differs. next_low: the bar after it."""
    rows = daily("2024-01-02", "2024-05-31")
    rows[field][60] = value
    for name, x in more.items():
        rows[name.removeprefix("next_")][61 if name.startswith("next_") else 60] = x
    return only(examine(rows, DAY, "XNYS"))


def test_lone_low_on_usual_volume_is_a_bad_print() -> None:
    found = odd("low", 50.0)
    assert (found.kind, found.value) == (Kind.OUTLIER, -0.5)
    assert (
        found.text
        == "low of 50 under open and close of 100 and 101; nothing else moved: probably a bad print"
    )


def test_lone_high_is_one_too() -> None:
    found = odd("high", 202.0)
    assert (found.kind, found.value) == (Kind.OUTLIER, 1.0)


def test_low_on_unusual_volume_cannot_be_told_from_a_bad_print() -> None:
    found = odd("low", 80.0, volume=2000.0)
    assert (found.kind, round(found.value, 9)) == (Kind.SUSPECT, -0.2)
    assert "volume is 2.0 times the usual: may be real, cannot be told apart" in found.text


def test_low_before_unrest_cannot_be_told_from_a_bad_print() -> None:
    assert odd("low", 80.0, next_low=97.0).kind == Kind.SUSPECT


def test_low_on_unusual_volume_before_unrest_is_probably_real() -> None:
    found = odd("low", 80.0, volume=2000.0, next_low=97.0)
    assert found.kind == Kind.EXTREME
    assert found.text.endswith(
        "volume is 2.0 times the usual and its close or the next bar moved too: probably real"
    )


def test_low_of_next_to_nothing_may_be_an_emptied_book() -> None:
    found = odd("low", 0.06)
    assert found.kind == Kind.SUSPECT
    assert "an emptied order book trades like that: may be real" in found.text


def test_far_prices_on_both_sides_are_a_bad_print_even_on_volume() -> None:
    found = odd("low", 0.01, high=150.0, volume=2000.0)
    assert (found.kind, found.value) == (Kind.OUTLIER, 0.01 / 100 - 1)
    assert "but prices on both sides are off: probably a bad print" in found.text


def test_close_that_the_next_open_takes_back_is_a_bad_print() -> None:
    found = odd("close", 70.0, low=70.0)
    assert (found.kind, round(found.value, 9)) == (Kind.OUTLIER, -0.3)
    assert found.text.startswith("close of 70, from an open of 100, which the next bar takes back")


def test_open_far_from_the_closes_around_it_is_a_bad_print() -> None:
    found = odd("open", 200.0, high=200.0)
    assert (found.kind, found.value) == (Kind.OUTLIER, 1.0)
    assert found.text.startswith("open of 200 between the close before, 100, and its own, 101")


def test_fall_that_came_back_without_a_long_wick_is_extreme() -> None:
    found = odd("open", 90.0, low=89.0, close=95.0, high=95.5, volume=3000.0)
    assert (found.kind, round(found.value, 9)) == (Kind.EXTREME, -0.11)
    assert found.text.startswith("fell from 100 to 89 and came back to 95; volume is 3.0 times the usual")


def test_fall_that_stays_is_nothing_odd() -> None:
    rows = daily("2024-01-02", "2024-05-31")
    for field in FIELDS[:4]:
        rows[field][60:] *= 0.8
    assert examine(rows, DAY, "XNYS") == Quality()


def test_without_volume_a_bad_print_cannot_be_told() -> None:
    rows = daily("2024-01-02", "2024-05-31")
    rows["low"][60] = 50.0
    del rows["volume"]
    found = only(examine(rows, DAY, "XNYS"))
    assert found.kind == Kind.SUSPECT
    assert "there is no volume to judge by" in found.text


@pytest.mark.parametrize("row", [0, 1, 98, 99])
def test_bad_print_at_the_ends_is_found(row: int) -> None:
    rows = {k: c[:100] for k, c in daily("2024-01-02", "2024-05-31").items()}
    rows["low"][row] = 50.0
    assert only(examine(rows, DAY, "XNYS")).kind == Kind.OUTLIER


def test_restless_times_are_measured_by_themselves() -> None:
    # a range of 6 % is far off where 0.5 % is usual, and nothing where 3 % is
    for usual, count in ((0.25, 1), (1.5, 0)):
        rows = daily("2024-01-02", "2024-05-31")
        rows["high"][:], rows["low"][:] = 101 + usual, 100 - usual
        rows["low"][60] = 100 - 2 * 3
        assert len(examine(rows, DAY, "XNYS").findings) == count


def test_what_is_nearer_than_half_a_percent_is_of_no_consequence() -> None:
    rows = minutes("2024-07-02T13:30:00", "2024-07-02T20:00:00")
    for k in FIELDS[:4]:
        rows[k][:] = 100 + (rows[k] - 100) / 100  # moves of a hundredth of a percent
    rows["low"][60] = 99.6
    assert examine(rows, MINUTE, "XNYS") == Quality()
    rows["low"][60] = 99.4
    assert kinds(examine(rows, MINUTE, "XNYS")) == ["outlier"]


@pytest.mark.parametrize(("length", "found"), [(1, 1), (10, 1), (11, 0)])
def test_trades_that_jump_away_and_back_are_bad_prints_up_to_ten(length: int, found: int) -> None:
    prices = WAVE[:200] + [102.0] * length + WAVE[200:]
    findings = examine(trades(prices), 0, "XNYS").findings
    assert [f.kind for f in findings] == [Kind.OUTLIER] * found
    for f in findings:
        assert f.ts == ns("2024-07-02T14:00:00") + 200 * SECOND
        assert f.ts_end == f.ts + (length - 1) * SECOND + 1
        assert f.value == pytest.approx(102 / 100.02 - 1, abs=2e-4)


def test_trades_that_go_away_and_back_in_steps_are_suspect() -> None:
    steps = [100.4, 100.8, 101.2, 101.6, 102.0, 101.6, 101.2, 100.8, 100.4]
    assert [f.kind for f in examine(trades(WAVE[:200] + steps + WAVE[200:]), 0, "XNYS").findings] == [
        Kind.SUSPECT
    ]


def test_price_of_trades_that_jumps_and_stays_is_nothing_odd() -> None:
    assert examine(trades(WAVE[:200] + [p + 5 for p in WAVE[200:]]), 0, "XNYS") == Quality()


@pytest.mark.parametrize("row", [0, 399])
def test_bad_print_among_the_first_or_last_trades_is_found(row: int) -> None:
    prices = list(WAVE)
    prices[row] = 90.0
    assert kinds(examine(trades(prices), 0, "XNYS")) == ["outlier"]
