"""Margin accounts, currencies and calendars: what they mean to the engine."""

from pathlib import Path

import pytest
import yaml

from daemon.calendars import sessions
from daemon.config.instruments import money_text
from daemon.config.loader import load
from daemon.config.spec import complete, engine_spec
from engine.build import build
from engine.spec import EngineSpec, MarginSpec


def spec_of(file: Path, *overrides: str) -> EngineSpec:
    spec = engine_spec(load(file, overrides).config)[0]
    spec.check()
    return spec


def test_account_is_a_cash_account_unless_it_has_a_margin(file: Path) -> None:
    assert spec_of(file).accounts[0].margin is None
    assert spec_of(file, "accounts.0.margin={leverage: 2}").accounts[0].margin == MarginSpec(2.0)
    margin = "{leverage: 4, maintenance: 0.2, borrow_rate: 0.03, debit_rate: 0.06, credit_rate: 0.01}"
    assert spec_of(file, f"accounts.0.margin={margin}").accounts[0].margin == MarginSpec(
        leverage=4.0, maintenance=0.2, borrow_rate=0.03, debit_rate=0.06, credit_rate=0.01
    )


def test_maintenance_may_be_all_of_the_initial_margin(file: Path) -> None:
    margin = spec_of(file, "accounts.0.margin={leverage: 4, maintenance: 0.25}").accounts[0].margin
    assert margin is not None
    assert margin.maintenance * margin.leverage == 1


@pytest.mark.parametrize(
    ("currency", "given", "scale"),
    [
        ("USD", "{}", 1_000_000),
        ("JPY", "{}", 1_000_000),
        ("BTC", "{}", 100_000_000),
        ("ETH", "{}", 100_000_000),
        ("BTC", "{BTC: {scale: 1000}}", 1000),
        ("USD", "{BTC: {scale: 1000}}", 1_000_000),
    ],
)
def test_currency_counts_its_own_smallest_units(file: Path, currency: str, given: str, scale: int) -> None:
    overrides = [
        f"instruments.AAPL.currency={currency}",
        f"accounts.0.currency={currency}",
        f"currencies={given}",
    ]
    spec = spec_of(file, *overrides)
    assert spec.scale(currency) == scale
    assert build(spec).accounts[0].cash == 100_000 * scale
    written = yaml.safe_load(complete(load(file, overrides).config))
    assert written["currencies"][currency] == {"scale": scale}


def test_usual_scale_is_not_mentioned_to_the_engine(file: Path) -> None:
    assert spec_of(file).scales == {}


@pytest.mark.parametrize(
    ("amount", "scale", "text"),
    [
        (1234.5678, 1_000_000, "1,234.57"),
        (0.12345678, 100_000_000, "0.12345678"),
        (1234.5, 100, "1,234.50"),
        (1234.0, 1, "1,234"),
        (1.5, 1000, "1.500"),
    ],
)
def test_money_is_written_to_the_cent_or_to_its_smallest_unit(amount: float, scale: int, text: str) -> None:
    assert money_text(amount, scale) == text


@pytest.mark.parametrize(
    ("bar", "calendar", "key"),
    [
        ("1d", "XNYS", "XNYS/days"),
        ("1w", "XLON", "XLON/days"),
        ("1m", "XNYS", "XNYS"),
        ("tick", "XNYS", "XNYS"),
        ("36h", "XNYS", "XNYS"),
        ("1d", "24/7", ""),
        ("tick", "24/7", ""),
    ],
)
def test_instrument_has_the_days_or_the_hours_of_its_calendar(
    file: Path, bar: str, calendar: str, key: str
) -> None:
    timeframe = "1d" if bar == "tick" else {"36h": "72h", "1m": "1d"}.get(bar, bar)
    spec = spec_of(
        file,
        f"data.0.bar={bar}",
        f"instruments.AAPL.calendar={calendar}",
        f"accounts.0.strategies.0.timeframe={timeframe}",
    )
    assert spec.instruments[0].calendar == key
    expected = {key: sessions(calendar, whole_days=key.endswith("/days"))} if key else {}
    assert spec.calendars == expected


def test_instruments_of_one_calendar_with_days_and_with_minutes_have_each_their_own(file: Path) -> None:
    data = (
        f"[{{source: csv, path: {file.parent}/aapl.csv, instrument: AAPL, bar: 1d}},"
        f" {{source: csv, path: {file.parent}/msft.csv, instrument: MSFT, bar: 1m}}]"
    )
    spec = spec_of(file, f"data={data}", "instruments.MSFT={}")
    assert [i.calendar for i in spec.instruments] == ["XNYS/days", "XNYS"]
    assert sorted(spec.calendars) == ["XNYS", "XNYS/days"]
