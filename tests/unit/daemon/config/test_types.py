from datetime import UTC, date, datetime, timedelta, timezone

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.config.types import format_duration, ns_of, parse_bar, parse_duration, parse_time


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1ns", 1),
        ("250ms", 250_000_000),
        ("1s", 1_000_000_000),
        ("5m", 300_000_000_000),
        ("4h", 14_400_000_000_000),
        ("1d", 86_400_000_000_000),
        ("1w", 604_800_000_000_000),
    ],
)
def test_duration_is_its_nanoseconds(text: str, ns: int) -> None:
    assert parse_duration(text) == ns


@pytest.mark.parametrize(
    "value", ["", "1", "1.5s", "-1s", "0s", "1 d", "1M", "1month", "1h30m", "200000d", 60, None, True]
)
def test_duration_without_whole_number_and_unit_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(value)


@given(st.integers(1, 36_500 * 86_400 * 10**9))
def test_duration_is_written_as_it_is_read(ns: int) -> None:
    assert parse_duration(format_duration(ns)) == ns


def test_bar_is_a_duration_or_tick() -> None:
    assert parse_bar("1m") == 60_000_000_000
    assert parse_bar("tick") == 0
    with pytest.raises(ValueError, match="or tick"):
        parse_bar("ticks")


NEW_YEAR = datetime(2001, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "2001-01-01",
        "2001-01-01T00:00:00",
        "2001-01-01 00:00:00Z",
        "2000-12-31T19:00:00-05:00",
        date(2001, 1, 1),
        datetime(2001, 1, 1),  # noqa: DTZ001 - what names no zone is UTC
        datetime(2001, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))),
        pd.Timestamp("2001-01-01"),
    ],
)
def test_time_without_zone_is_utc_and_a_date_its_midnight(value: object) -> None:
    moment = parse_time(value)
    assert moment == NEW_YEAR
    assert moment.tzinfo is UTC


@pytest.mark.parametrize(
    "value",
    [
        "yesterday",
        "2001-13-01",
        "1.1.2001",
        2001,
        None,
        "1492-10-12",
        "2300-01-01",
        "2001-01-01T00:00:00.1234567",
    ],
)
def test_time_that_is_none_is_refused_and_never_rounded(value: object) -> None:
    with pytest.raises(ValueError, match=r"no time|out of range|too fine"):
        parse_time(value)


@given(st.datetimes(datetime(1700, 1, 1), datetime(2199, 12, 31)))  # noqa: DTZ001
def test_ns_of_is_exact(naive: datetime) -> None:
    # in whole numbers all the way, by another route
    days = naive.toordinal() - date(1970, 1, 1).toordinal()
    seconds = days * 86_400 + naive.hour * 3600 + naive.minute * 60 + naive.second
    assert ns_of(naive.replace(tzinfo=UTC)) == seconds * 10**9 + naive.microsecond * 1000
