"""Sessions of exchanges against what is known of their days, and what is kept of them between runs."""

import subprocess
import sys
import warnings
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from daemon import calendars
from daemon.calendars import CalendarError, check, days_per_year, inside, sessions, time_zone

DAY = 86_400 * 10**9


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, still empty; the folder in which it will be."""
    monkeypatch.delenv("CACHE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(calendars, "_calendar", calendars._calendar.__wrapped__)
    return tmp_path / "papertape" / "calendars"


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


def hours(day: str, name: str = "XNYS") -> list[tuple[str, str]]:
    """Opening and close of the sessions that begin on a UTC day, as times of day."""
    s = sessions(name, whole_days=False)
    on = (s.opens >= ns(day)) & (s.opens < ns(day) + DAY)
    times = zip(s.opens[on].tolist(), s.closes[on].tolist(), strict=True)
    return [(clock(o), clock(c)) for o, c in times]


def clock(t: int) -> str:
    return f"{datetime.fromtimestamp(t // 10**9, UTC):%H:%M}"


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2024-03-08", [("14:30", "21:00")]),  # winter in New York
        ("2024-03-11", [("13:30", "20:00")]),  # summer, from the Sunday between
        ("2024-07-03", [("13:30", "17:00")]),  # half day
        ("2024-07-04", []),
        ("2024-07-06", []),  # Saturday
        ("2012-10-29", []),  # the hurricane
        ("2001-09-12", []),
    ],
)
def test_sessions_of_new_york_are_those_of_its_history(day: str, expected: list[tuple[str, str]]) -> None:
    assert hours(day) == hours(day, "XNAS") == expected


def test_sessions_of_new_york_open_at_half_past_nine_by_its_own_clock() -> None:
    opens = sessions("XNYS", whole_days=False).opens
    opens = opens[opens >= ns("1985-10-01")]  # at ten before that
    zone = ZoneInfo("America/New_York")
    local = {f"{datetime.fromtimestamp(t // 10**9, zone):%H:%M}" for t in opens.tolist()}
    assert local == {"09:30"}


def test_whole_days_are_the_utc_days_of_the_sessions_dates() -> None:
    s = sessions("XNYS", whole_days=True)
    assert np.all(s.opens % DAY == 0)
    assert np.all(s.closes - s.opens == DAY)
    christmas = (s.opens >= ns("2023-12-22")) & (s.opens < ns("2023-12-28"))
    assert s.opens[christmas].tolist() == [ns("2023-12-22"), ns("2023-12-26"), ns("2023-12-27")]


@pytest.mark.parametrize("name", ["XNYS", "XLON", "XTKS", "CMES"])
@pytest.mark.parametrize("whole_days", [True, False])
def test_sessions_ascend_and_are_disjoint(name: str, whole_days: bool) -> None:
    s = sessions(name, whole_days)
    assert s.opens.dtype == s.closes.dtype == np.int64
    assert len(s.opens) == len(s.closes) > 10_000
    assert np.all(s.opens < s.closes)
    assert np.all(s.closes[:-1] <= s.opens[1:])


def test_lunch_break_of_tokyo_is_part_of_its_session() -> None:
    assert hours("2024-06-03", "XTKS") == [("00:00", "06:00")]


def test_session_of_futures_begins_on_the_evening_before() -> None:
    assert hours("2024-06-02", "CMES") == [("22:00", "22:00")]  # Sunday, for Monday


def test_around_the_clock_there_are_no_sessions_and_every_time_is_inside() -> None:
    s = sessions("24/7", whole_days=False)
    assert len(s.opens) == len(s.closes) == len(sessions("24/7", whole_days=True).opens) == 0
    assert inside(s, np.array([0, ns("2024-07-06")])).tolist() == [True, True]


def test_time_is_inside_from_the_opening_to_just_before_the_close_in_any_order() -> None:
    s = sessions("XNYS", whole_days=False)
    times = [
        "2024-07-03T17:00",
        "2024-07-03T13:29:59",
        "2024-07-03T13:30",
        "2024-07-03T16:59:59",
        "1969-12-31",
    ]
    assert inside(s, np.array([ns(t) for t in times])).tolist() == [False, False, True, True, False]
    assert inside(s, np.array([s.closes[-1] - 1, s.closes[-1]])).tolist() == [True, False]


def test_shared_arrays_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="read-only"):
        sessions("XNYS", whole_days=False).opens[0] = 0


@pytest.mark.parametrize(
    ("name", "days", "zone"),
    [
        ("XNYS", 252, "America/New_York"),
        ("XNAS", 252, "America/New_York"),
        ("24/7", 365, "UTC"),
        ("XLON", 253, "Europe/London"),
        ("24/5", 261, "UTC"),
    ],
)
def test_year_and_zone_of_a_calendar(name: str, days: int, zone: str) -> None:
    assert (days_per_year(name), time_zone(name)) == (days, zone)


def test_typical_year_of_weekdays_is_their_mean() -> None:
    weekdays = sum((date(2000, 1, 1) + timedelta(n)).weekday() < 5 for n in range(9132))  # to 2024-12-31
    assert days_per_year("24/5") == round(weekdays / 25)


def test_years_that_a_calendar_knows_in_part_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    days = np.arange(ns("2023-07-01"), ns("2026-01-01"), DAY)
    known = calendars._Calendar("UTC", days, days, days + DAY)
    monkeypatch.setattr(calendars, "_calendar", lambda name: known)
    assert days_per_year("XNEW") == 366  # of 2024 alone


@pytest.mark.parametrize("name", ["XNYS", "XNAS", "24/7", "XLON", "NYSE"])
def test_known_calendar_is_taken(name: str) -> None:
    check(name)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("XNSY", "did you mean XNYS"),
        ("xnys", "did you mean XNYS"),
        ("24-7", "did you mean 24/7"),
        ("Mars", "write an exchange's code"),
        ("../../XNYS", ""),
        ("x" * 5000, "write an exchange's code"),
    ],
)
def test_unknown_calendar_is_refused_with_those_that_are_near(name: str, meant: str) -> None:
    for use in (check, time_zone, days_per_year, lambda n: sessions(n, True)):
        with pytest.raises(CalendarError, match=r"there is no calendar '.*'; ") as caught:
            use(name)
        assert meant in str(caught.value)


def test_calendar_that_the_library_fails_to_build_is_refused(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import exchange_calendars

    def fails(*_: Any, **__: Any) -> None:
        raise NotImplementedError("implemented by subclasses")

    monkeypatch.setattr(exchange_calendars, "get_calendar", fails)
    with pytest.raises(CalendarError, match="lists XLON and fails to build it; choose"):
        check("XLON")
    assert not fresh.exists()


def test_common_calendars_are_taken_without_a_look_at_the_library(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calendars, "_build", None)
    for name in ("XNYS", "XNAS", "24/7"):
        check(name)
    with pytest.raises(TypeError):
        check("XLON")


def test_calendar_is_built_once_and_then_read_from_the_cache(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = sessions("24/5", whole_days=False)
    assert [p.name for p in fresh.rglob("*") if p.is_file()] == ["24%2F5.npz"]
    monkeypatch.setattr(calendars, "_build", None)
    kept = sessions("24/5", whole_days=False)
    assert np.array_equal(kept.opens, built.opens)
    assert np.array_equal(kept.closes, built.closes)
    assert time_zone("24/5") == "UTC"
    check("24/5")


def test_cache_of_another_version_is_not_used(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions("24/5", whole_days=False)
    monkeypatch.setattr(calendars, "version", lambda package: "5.0")
    monkeypatch.setattr(calendars, "_build", None)
    with pytest.raises(TypeError):
        sessions("24/5", whole_days=False)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut short"])
def test_damaged_cache_is_built_anew(fresh: Path, content: bytes) -> None:
    whole = sessions("24/5", whole_days=False)
    file = next(fresh.rglob("*.npz"))
    file.write_bytes(content)
    assert len(sessions("24/5", whole_days=False).opens) == len(whole.opens)
    assert file.stat().st_size > 100_000


def test_cache_that_cannot_be_written_costs_time_only(fresh: Path) -> None:
    fresh.parent.parent.mkdir(exist_ok=True)
    fresh.parent.write_text("a file where the folder would be")
    assert len(sessions("24/5", whole_days=False).opens) > 20_000


def test_failed_write_leaves_no_trace(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    assert len(sessions("24/5", whole_days=False).opens) > 20_000
    assert not [p for p in fresh.rglob("*") if p.is_file()]


def test_kept_calendar_is_read_without_pandas() -> None:
    sessions("XNYS", whole_days=False)  # now it is kept, where the cache can be written
    code = (
        "import sys; from daemon import calendars; calendars.check('XNYS'); calendars.days_per_year('XNYS'); "
        "sys.exit(3 if {'pandas', 'exchange_calendars'} & sys.modules.keys() else 0)"
    )
    root = Path(__file__).parents[3]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
