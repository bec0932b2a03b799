"""The table that a person sees."""

from typing import Any

from daemon.report import print_summary

ACCOUNT = {
    "name": "sma",
    "cash_micros": 1_500_000,
    "equity_micros": 123_456_780_000,
    "return": 0.2345,
    "sharpe": None,
    "max_drawdown": 0.1,
    "fills": 1234,
    "orders": 5,
    "denied": {},
    "fees_micros": 2_500_000,
}
MORE = {
    "units_per_currency": 1_000_000,
    "currency": "USD",
    "deposits_micros": 0,
    "income_micros": 0,
    "interest_micros": 0,
    "refused_withdrawals": 0,
    "liquidations": 0,
    "brackets": 12,
    "both_sides": 0,
}
SUMMARY: dict[str, Any] = {
    "run_id": "r",
    "result_hash": "abc",
    "rows": 4000,
    "bars": 1000,
    "first_ts": "2001-01-01T00:00:00Z",
    "last_ts": "2002-01-01T00:00:00Z",
    "wall_s": 0.5,
    "rows_per_s": 8000,
    "refused_rows": 0,
    "accounts": [ACCOUNT],
    "more": {
        "late_rows": 0,
        "bad_rows": 0,
        "working_orders": 0,
        "outside_hours": 0,
        "accounts": {"sma": MORE},
    },
}


def test_table_shows_money_in_currency_and_undefined_figures_as_a_dash(capsys):
    print_summary(SUMMARY)
    out = capsys.readouterr().out
    row = next(line for line in out.splitlines() if line.strip().startswith("sma"))
    assert row.split() == ["sma", "123,456.78", "USD", "+23.4%", "–", "10.0%", "1,234", "2.50"]
    assert "denied" not in out
    assert "set aside" not in out
    assert "sma:" not in out
    assert "result hash abc" in out


def test_table_shows_denials_and_what_was_left_out_where_there_is_any(capsys):
    account = {**ACCOUNT, "denied": {"CASH": 3, "SHORT": 4}}
    print_summary({**SUMMARY, "accounts": [account], "refused_rows": 2})
    out = capsys.readouterr().out
    assert "denied" in out
    assert " 7 " in out
    assert "2 rows of the data were set aside" in out


def of(capsys, **more):
    print_summary({**SUMMARY, "more": {**SUMMARY["more"], "accounts": {"sma": {**MORE, **more}}}})
    return capsys.readouterr().out


def test_what_moved_cash_besides_trading_is_told_below_the_table(capsys):
    out = of(
        capsys,
        deposits_micros=-1_500_000_000,
        income_micros=2_250_000,
        interest_micros=-1_000_000,
        refused_withdrawals=2,
        liquidations=1,
        both_sides=3,
    )
    assert (
        "sma: paid in -1,500.00 USD; dividends 2.25 USD; interest -1.00 USD; 2 x too little for a withdrawal; "
        "1 x liquidated; 3 of 12 exits from brackets in a bar that could have filled either side"
    ) in out.splitlines()


def test_money_of_a_currency_with_finer_units_shows_them(capsys):
    out = of(capsys, units_per_currency=100_000_000, currency="BTC")
    assert "1,234.56780000 BTC" in out
    assert "0.02500000" in out


def test_account_with_risk_has_two_lines_more_and_one_without_has_none(capsys):
    risk = {
        "method": "ewma",
        "confidence": 0.99,
        "horizon": 1,
        "period_ns": 86_400 * 10**9,
        "outcomes": 250,
        "now": {"var": 0.0193, "cvar": 0.0271, "stressed_var": None, "code": None, "parts": [{}]},
        "model_rejected": False,
        "grades": {},
        "warnings": {},
        "breaches": {"DRAWDOWN": 1},
        "halts": {"DRAWDOWN": 1},
        "strategies": {},
        "denied": {},
        "cut": {},
        "rejections": 0,
        "halted": [],
    }
    lines = of(capsys, risk=risk).splitlines()
    assert [line for line in lines if line.startswith("sma:")] == [
        "sma: at the end VaR 1.93%, CVaR 2.71% of equity (ewma, 99%, 1d)",
        "sma: limits on risk: DRAWDOWN 1 breach, 1 halt",
    ]
    assert not [line for line in of(capsys).splitlines() if line.startswith("sma:")]
