"""The calendar of an instrument, and the hours of its data."""

from pathlib import Path

import pytest

from daemon.config.errors import ConfigError
from daemon.config.loader import load
from daemon.config.spec import complete, sources


@pytest.mark.parametrize("calendar", ["XNYS", "XNAS", "24/7", "XLON"])
def test_calendar_of_any_exchange_is_taken(file: Path, calendar: str) -> None:
    config = load(file, [f"instruments.AAPL.calendar={calendar}"]).config
    assert config.instruments["AAPL"].calendar == calendar


def test_misspelt_calendar_is_refused_at_its_line(file: Path) -> None:
    file.write_text(file.read_text().replace("currency: USD,", "currency: USD, calendar: XNSY,"))
    with pytest.raises(
        ConfigError,
        match=r"a\.yaml:6: instruments\.AAPL\.calendar: there is no calendar 'XNSY'; did you mean XNYS",
    ):
        load(file)


def test_hours_are_those_of_the_instruments_calendar_and_all_by_default(file: Path) -> None:
    minutes = ["data.0.bar=1m", "instruments.AAPL.calendar=XNAS"]
    assert [s.hours for s in sources(load(file, minutes).config)] == [None]
    config = load(file, [*minutes, "data.0.hours=regular"]).config
    assert [s.hours for s in sources(config)] == ["XNAS"]
    assert "hours: regular" in complete(config)


def test_daily_bars_have_no_hours(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.0\.hours: bars of 1d have no hours of the day; remove it"):
        load(file, ["data.0.hours=regular"])
    with pytest.raises(ConfigError, match=r"data\.0\.hours: is 'night'; write one of 'all' or 'regular'"):
        load(file, ["data.0.hours=night"])
