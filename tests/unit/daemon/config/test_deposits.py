"""When money is paid in and out, worked out on a calendar by hand."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.config.deposits import Deposit, payments
from daemon.config.loader import load
from engine.records import RowKind

SECOND = 10**9


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


def times(end: str | None = None, **given: object) -> list[str]:
    made = Deposit.model_validate({"amount": 1.0, **given})
    stop = datetime.fromisoformat(end).replace(tzinfo=UTC) if end else None
    return [
        datetime.fromtimestamp(t // SECOND, UTC).strftime("%Y-%m-%d %H:%M") for t in made.times(stop).tolist()
    ]


def test_deposit_comes_once_where_nothing_else_is_said() -> None:
    assert times(at="2001-01-31T09:30") == ["2001-01-31 09:30"]
    assert times(at="2001-01-31", end="2001-01-31") == []


def test_monthly_deposit_of_a_last_day_comes_on_each_months_last_day() -> None:
    assert times(at="2003-10-31T12:00", every="month", end="2004-04-01") == [
        "2003-10-31 12:00",
        "2003-11-30 12:00",
        "2003-12-31 12:00",
        "2004-01-31 12:00",
        "2004-02-29 12:00",  # a leap year
        "2004-03-31 12:00",
    ]


@pytest.mark.parametrize(
    ("every", "expected"),
    [
        ("day", ["2001-11-30 00:00", "2001-12-01 00:00", "2001-12-02 00:00"]),
        ("week", ["2001-11-30 00:00", "2001-12-07 00:00", "2001-12-14 00:00"]),
        ("quarter", ["2001-11-30 00:00", "2002-02-28 00:00", "2002-05-30 00:00"]),
        ("year", ["2001-11-30 00:00", "2002-11-30 00:00", "2003-11-30 00:00"]),
    ],
)
def test_deposit_comes_again_so_often(every: str, expected: list[str]) -> None:
    assert times(at="2001-11-30", every=every, end="2005-01-01")[:3] == expected


def test_deposit_ends_before_until_and_before_the_run_does() -> None:
    assert len(times(at="2001-01-01", every="day", until="2001-01-04")) == 3
    assert len(times(at="2001-01-01", every="day", until="2001-01-04", end="2001-01-03")) == 2


def test_deposits_of_all_accounts_are_rows_in_time_order(file: Path) -> None:
    strategy = "{use: buy_and_hold, instruments: [AAPL], timeframe: 1d, size: {units: 1}}"
    accounts = [
        f"{{name: {name}, cash: 1, deposits: {deposits}, strategies: [{strategy}]}}"
        for name, deposits in (
            ("a", "[{at: 2001-01-02, amount: -5}]"),
            ("b", "[{at: 2001-01-01, amount: 7.5, every: day}]"),
        )
    ]
    rows = payments(load(file, [f"accounts=[{', '.join(accounts)}]", "end=2001-01-04"]).config)
    assert rows is not None
    expected = [
        ("2001-01-01", 1, 7.5),
        ("2001-01-02", 0, -5.0),  # the first account comes first
        ("2001-01-02", 1, 7.5),
        ("2001-01-03", 1, 7.5),
    ]
    found = zip(rows.ts_event.tolist(), rows.instrument.tolist(), rows.price.tolist(), strict=True)
    assert list(found) == [(ns(t), account, amount) for t, account, amount in expected]
    assert set(rows.flags.tolist()) == {RowKind.CASH}


def test_configuration_without_deposits_has_no_rows(file: Path) -> None:
    assert payments(load(file).config) is None
