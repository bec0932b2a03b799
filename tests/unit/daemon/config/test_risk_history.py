"""How much history forecasts of loss have when trading begins: counted on a calendar, and by another way of counting."""

from pathlib import Path

import numpy as np
import pytest

from daemon.calendars import sessions
from daemon.config.describe import backtest as described
from daemon.config.loader import load
from daemon.config.risk_history import first_rows, periods
from daemon.data.errors import DataError

HOUR = 3600 * 10**9
DAY = 24 * HOUR
LIMIT = "accounts.0.limits={var: 0.05}"
BARS = "date,open,high,low,close,volume\n"


def ns(day: str) -> int:
    return int(np.datetime64(day, "ns").astype(np.int64))


@pytest.fixture
def market(file: Path) -> Path:
    """Two instruments, of which the data begin on 2000-12-25."""
    for name in ("aapl", "msft"):
        (file.parent / f"{name}.csv").write_text(f"{BARS}2000-12-25,1,1,1,1,1\n2000-12-26,1,1,1,1,1\n")
    text = file.read_text().replace(
        "bar: 1d}\n", "bar: 1d}\n  - {source: csv, path: msft.csv, instrument: MSFT, bar: 1d}\n"
    )
    text = text.replace("instruments:\n", "instruments:\n  MSFT: {calendar: 24/7}\n")
    file.write_text(text.replace("fees: {bps: 10}", "calendar: 24/7, fees: {bps: 10}"))
    return file


def told(market: Path, *overrides: str) -> list[str]:
    config = load(market, ["start=2001-03-01", "risk={}", *overrides]).config
    return [line.strip() for line in described(config) if line.strip().startswith(("history:", "warning:"))]


# -- periods -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("calendar", "whole_days", "period", "begin", "end", "expected"),
    [
        ("24/7", False, DAY, "2001-01-01", "2001-03-01", 59),
        (
            "24/7",
            False,
            DAY,
            "2001-01-01T12:00",
            "2001-01-03T12:00",
            2,
        ),  # those that end on the 2nd and the 3rd
        ("24/7", False, DAY, "2001-01-03", "2001-01-01", 0),
        # 23 weekdays in January and 20 in February 2001; New Year, Martin Luther King's and Presidents' Day were none
        ("XNYS", True, DAY, "2001-01-01", "2001-03-01", 40),
        ("XNYS", False, DAY, "2001-01-01", "2001-03-01", 40),
        # Wednesday, 2001-01-03: 14:30 to 21:00 UTC touches 7 hours; from 20:00 on there is the last of them
        ("XNYS", False, HOUR, "2001-01-03", "2001-01-04", 7),
        ("XNYS", False, HOUR, "2001-01-03T20:00", "2001-01-04", 1),
        ("XNYS", False, HOUR, "2001-01-03T20:59", "2001-01-04", 1),
        ("XNYS", False, HOUR, "2001-01-03T21:00", "2001-01-04", 0),
        (
            "XNYS",
            False,
            HOUR,
            "2001-01-03",
            "2001-01-03T15:30",
            1,
        ),  # the hour from 14:00 has ended, the next has not
        # weeks since 1970 begin on Thursdays: two of them, with 5 and 4 sessions
        ("XNYS", True, 7 * DAY, "2001-01-04", "2001-01-18", 2),
        ("XNYS", True, 7 * DAY, "2001-01-04", "2001-01-17", 1),
    ],
)
def test_periods_in_which_the_market_is_open_are_counted(
    calendar: str, whole_days: bool, period: int, begin: str, end: str, expected: int
) -> None:
    assert periods(calendar, whole_days, period, ns(begin), ns(end)) == expected


@pytest.mark.parametrize("whole_days", [True, False])
@pytest.mark.parametrize("period", [HOUR, 5 * HOUR, DAY, 3 * DAY])
def test_periods_are_as_many_as_one_by_one(whole_days: bool, period: int) -> None:
    rng = np.random.default_rng(7)
    opened = sessions("XLON", whole_days)
    for _ in range(20):
        begin = ns("2004-01-01") + int(rng.integers(0, 60 * 24)) * HOUR
        end = begin + int(rng.integers(0, 60 * 24)) * HOUR
        found = 0
        for k in range(begin // period, end // period):  # each ends at (k + 1) * period
            first, last = max(begin, k * period), (k + 1) * period
            found += bool(((opened.opens < last) & (opened.closes > first)).any())
        assert periods("XLON", whole_days, period, begin, end) == found


# -- what is told --------------------------------------------------------------------------------------------------


def test_data_begin_with_their_first_row_before_any_warmup(market: Path) -> None:
    config = load(market, ["start=2001-03-01", "warmup=10d"]).config
    assert first_rows(config) == {"AAPL": ns("2000-12-25"), "MSFT": ns("2000-12-25")}


def test_history_that_is_long_enough_is_told_without_a_warning(market: Path) -> None:
    # 66 days from Christmas to the end of February, and the first has no return
    assert told(market, LIMIT, "risk.min_history=65", "risk.confidence=0.95") == [
        "history: about 65 returns over 1d when trading begins; 65 are needed, 500 fill the window"
    ]


def test_short_history_is_told_with_the_warmup_that_is_long_enough(market: Path) -> None:
    first, warning = told(
        market, LIMIT, "warmup=50d", "risk.min_history=60", "risk.confidence=0.95", "risk.window=60"
    )
    assert first == "history: about 49 returns over 1d when trading begins; 60 are needed, 60 fill the window"
    assert warning == (
        "warning: AAPL has about 49 of 60 returns over 1d when trading begins: until then orders of a portfolio that holds "
        "it, or would, are denied, but for exits; write warmup: 61d or more"
    )
    assert len(told(market, LIMIT, "warmup=61d", "risk.min_history=60", "risk.confidence=0.95")) == 1
    assert len(told(market, LIMIT, "warmup=60d", "risk.min_history=60", "risk.confidence=0.95")) == 2


def test_market_that_opens_least_often_decides(market: Path) -> None:
    # 40 sessions of New York in the 59 days: they close the rows of all
    (first,) = told(
        market,
        LIMIT,
        "warmup=59d",
        "instruments.MSFT.calendar=XNYS",
        "risk.min_history=39",
        "risk.confidence=0.95",
    )
    assert first.startswith("history: about 39 returns")


def test_instrument_that_nobody_trades_is_not_warned_of(market: Path) -> None:
    said = told(market, LIMIT)
    assert [line.split()[1] for line in said[1:]] == ["AAPL"]
    said = told(market, LIMIT, "accounts.0.strategies.0.instruments=[MSFT, AAPL]")
    assert [line.split()[1] for line in said[1:]] == ["AAPL", "MSFT"]


@pytest.mark.parametrize(
    ("overrides", "effect"),
    [
        ([LIMIT], "orders of a portfolio that holds it, or would, are denied, but for exits"),
        (["accounts.0.strategies.0.limits={cvar: 0.1}"], "orders of a portfolio that holds it, or would, are denied"),
        ([LIMIT, "risk.short_history={prior_volatility: 0.03}"], "it counts with a volatility of 3%"),
        (["accounts.0.limits={drawdown: 0.1}"], "nothing is forecast of a portfolio that holds it"),
    ],
)  # fmt: skip
def test_what_comes_of_a_short_history_is_told(market: Path, overrides: list[str], effect: str) -> None:
    (_, warning) = told(market, *overrides)
    assert f"until then {effect}" in warning


def test_data_that_begin_too_late_are_told_so(market: Path) -> None:
    (_, warning) = told(market, LIMIT, "warmup=200d")
    assert warning.startswith("warning: AAPL has about 65 of 100 returns")  # of the 66 days that there are
    assert warning.endswith(
        "its data begin on 2000-12-25: choose a later start, or short_history: {prior_volatility: 0.03}"
    )


def test_run_without_a_start_has_no_history_when_trading_begins(market: Path) -> None:
    first, warning = told(market, LIMIT, "start=null")
    assert first.startswith("history: about 0 returns")
    assert warning.endswith("give a start, before which history is built up")


def test_stress_that_is_not_read_whole_is_told(market: Path) -> None:
    limits = "accounts.0.limits={stressed_var: 0.2}"
    enough = ["risk.min_history=20", "risk.confidence=0.95", limits]

    def stressed(begin: str, end: str, *overrides: str) -> list[str]:
        return told(market, *enough, f"risk.stress=[{{name: bad, from: {begin}, to: {end}}}]", *overrides)[1:]

    # the data begin on Christmas: the row of that day has a price, and that of the next the first return
    assert stressed("2000-12-26", "2001-02-01") == []
    denied = (
        "orders of a portfolio that holds it, or would, are denied, but for exits; choose another stretch"
    )
    assert stressed("2000-12-25", "2001-02-01") == [
        f"warning: bad begins on 2000-12-25, and AAPL is read from 2000-12-25 on: {denied}"
    ]
    # read from January 10th on
    assert stressed("2001-01-11", "2001-02-01", "warmup=50d") == []
    assert stressed("2001-01-11", "2001-01-31") == []  # 20 are enough
    # 21 days, of which New York is open on 14
    (warning,) = stressed("2001-01-11", "2001-02-01", "instruments.MSFT.calendar=XNYS")
    assert warning == f"warning: bad has about 14 returns of AAPL, and 20 are needed: {denied}"


def test_shocks_need_no_history(market: Path) -> None:
    (_,) = told(
        market, LIMIT, "risk.min_history=20", "risk.confidence=0.95", "risk.stress=[{name: a, others: -0.1}]"
    )


def test_data_that_cannot_be_read_are_told(market: Path) -> None:
    (market.parent / "msft.csv").write_text("")
    with pytest.raises(DataError, match=r"msft\.csv"):
        told(market, LIMIT)
