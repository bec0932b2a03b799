"""The table that a person sees."""

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
SUMMARY = {
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
        "accounts": {"sma": {"units_per_currency": 1_000_000, "currency": "USD"}},
    },
}


def test_table_shows_money_in_currency_and_undefined_figures_as_a_dash(capsys):
    print_summary(SUMMARY)
    out = capsys.readouterr().out
    row = next(line for line in out.splitlines() if line.strip().startswith("sma"))
    assert row.split() == ["sma", "123,456.78", "USD", "+23.4%", "–", "10.0%", "1,234", "2.50"]
    assert "denied" not in out
    assert "set aside" not in out
    assert "result hash abc" in out


def test_table_shows_denials_and_what_was_left_out_where_there_is_any(capsys):
    account = {**ACCOUNT, "denied": {"CASH": 3, "SHORT": 4}}
    print_summary({**SUMMARY, "accounts": [account], "refused_rows": 2})
    out = capsys.readouterr().out
    assert "denied" in out
    assert " 7 " in out
    assert "2 rows of the data were set aside" in out
