"""Files of corporate actions: our own, LEAN's, yfinance's and the catalog's; and the facts that come with the sample."""

import gzip
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from daemon.data.action_files import read_actions
from daemon.data.actions import Action, ActionKind, fitted, later_symbols
from daemon.data.errors import DataError
from daemon.data.sample import sample_actions, sample_instruments, sample_path
from tests.unit.daemon.data.reading import write

DATA = Path(__file__).parents[5] / "shared" / "data" / "daily"
real_files = pytest.mark.skipif(
    not DATA.is_dir(), reason="the real market data is not here: no folder ../shared/data"
)


def split(day: str, new: float, old: float = 1.0) -> Action:
    return Action(date.fromisoformat(day), ActionKind.SPLIT, new, old)


def dividend(day: str, amount: float) -> Action:
    return Action(date.fromisoformat(day), ActionKind.DIVIDEND, amount=amount)


def symbol(day: str, name: str) -> Action:
    return Action(date.fromisoformat(day), ActionKind.SYMBOL, symbol=name)


def delisting(day: str, amount: float | None) -> Action:
    return Action(date.fromisoformat(day), ActionKind.DELISTING, amount=amount)


def read(folder: Path, text: str, name: str = "AAPL") -> list[Action]:
    return read_actions(write(folder, text), name)


# -- our own --------------------------------------------------------------------------------------------------------


def test_own_file_holds_all_kinds_and_is_put_in_order(tmp_path: Path) -> None:
    text = (
        "# what happened\ndate,kind,value\n"
        "2020-08-31,split,4\n"
        "2014-06-09,split,7:1\n\n"
        "2021-01-04,reverse split,1:10\n"
        "2022-06-09,symbol,META\n"
        "2020-08-07,Dividend,0.82\n"
        "2023-01-03,delisting,12.5\n"
    )
    expected = [
        split("2014-06-09", 7),
        dividend("2020-08-07", 0.82),
        split("2020-08-31", 4),
        split("2021-01-04", 1, 10),
        symbol("2022-06-09", "META"),
        delisting("2023-01-03", 12.5),
    ]
    assert read(tmp_path, text) == expected
    packed = tmp_path / "a.csv.gz"
    packed.write_bytes(gzip.compress(text.encode()))
    assert read_actions(packed, "AAPL") == expected
    assert later_symbols(expected) == ("META",)


@pytest.mark.parametrize(
    ("value", "new", "old"), [("7", 7, 1), ("0.1", 1, 10), ("1.5", 3, 2), ("2.002:1", 2.002, 1), ("1.00271", 1.00271, 1)]
)  # fmt: skip
def test_ratio_written_as_one_number_is_a_simple_one_where_it_is_near_it(
    tmp_path: Path, value: str, new: float, old: float
) -> None:
    assert read(tmp_path, f"date,kind,value\n2014-06-09,split,{value}\n") == [split("2014-06-09", new, old)]


@pytest.mark.parametrize("value", ["", "0"])
def test_delisting_pays_the_last_price_where_no_amount_is_given(tmp_path: Path, value: str) -> None:
    expected = [delisting("2023-01-03", 0.0 if value else None)]
    assert read(tmp_path, f"date,kind,value\n2023-01-03,delisting,{value}\n") == expected
    if not value:  # the comma may be left out, too
        assert read(tmp_path, "date,kind,value\n2023-01-03,delisting\n") == expected


def test_column_of_symbols_selects_rows_and_follows_a_change_of_symbol(tmp_path: Path) -> None:
    text = (
        "symbol,date,kind,value\n"
        "META,2021-11-01,dividend,9\n"  # another fund, which had the symbol before
        "FB,2022-06-09,symbol,META\n"
        "META,2024-02-21,dividend,0.5\n"
        "FB,2024-03-01,dividend,7\n"  # another company, which has taken the old one
        "MSFT,2003-02-18,split,2:1\n"
    )
    assert read(tmp_path, text, "FB") == [symbol("2022-06-09", "META"), dividend("2024-02-21", 0.5)]
    with pytest.raises(DataError, match="no action of TSLA; it has MSFT, META, FB; leave `actions` out"):
        read(tmp_path, text, "TSLA")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2014-06-09,split,7:0", ":3: value: '7:0' is no ratio; write new units for old, such as 7:1"),
        ("2014-06-09,split,-7", ":3: value: '-7' is no ratio"),
        ("2014-06-09,split,7:1:1", ":3: value: '7:1:1' is no ratio"),
        ("2014-06-09,dividend,0", ":3: value: '0' is no amount; write the cash per unit"),
        ("2014-06-09,dividend,nan", ":3: value: 'nan' is no amount"),
        ("2014-06-09,delisting,-1", ":3: value: '-1' is no amount"),
        ("2014-06-09,symbol,", ":3: value: '' is no symbol"),
        ("2014-06-09,merger,3", ":3: kind: 'merger' is no kind of action; write one of split, dividend, symbol, delisting"),
        ("9/6/2014,split,7:1", ":3: date: '9/6/2014' is no date; write it as 2014-06-09"),
        ("2014-02-30,split,7:1", ":3: date: '2014-02-30' is no date"),
        ("2014-06-09,split,7:1,x", ":3: 4 fields instead of 3; correct the line"),
        ("2000-01-03,split,7:1", ":3: a second split of 2000-01-03; remove one"),
    ],
)  # fmt: skip
def test_wrong_line_is_refused_by_its_number_and_field(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(DataError) as refused:
        read(tmp_path, f"date,kind,value\n2000-01-03,split,2:1\n{line}\n")
    assert message in str(refused.value)
    assert str(refused.value).startswith(str(tmp_path / "a.csv"))


def test_two_dividends_of_one_day_are_two(tmp_path: Path) -> None:
    text = "date,kind,value\n2004-11-15,dividend,3\n2004-11-15,dividend,0.08\n"
    assert read(tmp_path, text, "MSFT") == [dividend("2004-11-15", 3.0), dividend("2004-11-15", 0.08)]


def test_file_that_tells_of_no_actions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r":1: no corporate actions are known by the columns date, open; write a file"
    ):
        read(tmp_path, "date,open\n2014-06-09,1\n")
    with pytest.raises(DataError, match="the file of actions is empty"):
        read(tmp_path, "# nothing yet\n")
    with pytest.raises(DataError, match="the file of actions cannot be read"):
        read_actions(tmp_path / "nix.csv", "AAPL")


# -- LEAN -----------------------------------------------------------------------------------------------------------


def test_factors_of_lean_become_the_actions_that_they_came_from(tmp_path: Path) -> None:
    # A share closes at 100 and pays 2; the next Friday it closes at 90, pays 0.9 and is split 3:2 over the weekend.
    # Factors run backward from 1: 2/3 for the split, 1 - 0.9/90 = 0.99 and 1 - 2/100 = 0.98 for the dividends.
    text = (
        "20240101,0.9702000,0.6666667,1\n"
        "20240103,0.9702000,0.6666667,100\n"
        "20240112,0.9900000,0.6666667,90\n"
        "20501231,1,1,0\n"
    )
    assert read(tmp_path, text) == [
        dividend("2024-01-04", 2.0),
        dividend("2024-01-15", 0.9),  # Monday
        split("2024-01-15", 3, 2),
    ]


def test_factor_that_is_no_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a.csv:2: split factor: 'x' is no positive number"):
        read(tmp_path, "20240101,1,0.5,1\n20240103,1,x,100\n")


@real_files
def test_splits_of_apple_are_the_same_in_both_real_files() -> None:
    factors = read_actions(DATA / "aapl_factors.csv", "AAPL")
    table = read_actions(DATA / "corporate_actions.csv", "AAPL")
    assert [a for a in factors if a.kind == ActionKind.SPLIT] == table
    assert table == [
        split("2000-06-21", 2),
        split("2005-02-28", 2),
        split("2014-06-09", 7),
        split("2020-08-31", 4),
    ]


@real_files
def test_distribution_of_shares_is_a_split_of_its_ratio() -> None:
    assert read_actions(DATA / "corporate_actions.csv", "GOOG") == [split("2014-04-03", 2.002)]
    (small,) = read_actions(DATA / "goog_factors.csv", "GOOG")
    assert (small.ex_date, small.kind) == (date(2015, 4, 27), ActionKind.SPLIT)
    assert small.numerator / small.denominator == pytest.approx(1 / 0.997307)


@real_files
def test_raw_prices_of_apple_adjusted_by_its_splits_are_those_of_another_vendor() -> None:
    raw = pd.read_csv(DATA / "aapl_1998-2021_unadjusted.csv.gz", index_col="date", parse_dates=True)
    other = pd.read_csv(DATA / "bigtech14_2010-2022_split_adjusted.csv.gz", parse_dates=["date"])
    other = other[other.stock_symbol == "AAPL"].set_index("date")
    actions = read_actions(DATA / "aapl_factors.csv", "AAPL")
    factor = pd.Series(1.0, raw.index)
    for action in actions:
        if action.kind == ActionKind.SPLIT:
            factor[raw.index < pd.Timestamp(action.ex_date)] *= action.denominator / action.numerator
    both = pd.DataFrame({"ours": raw.close * factor, "theirs": other.close}).dropna()
    assert len(both) == 2830
    worst = (both.ours / both.theirs - 1).abs().max()
    assert worst < 0.006  # 2011-04-29, as the notes of the data say


@real_files
def test_dividends_of_apple_adjust_as_another_vendor_does() -> None:
    # of two closes of the other vendor, one adjusted for dividends, the ratio steps by 1 - dividend / close before
    other = pd.read_csv(DATA / "bigtech14_2010-2022_split_adjusted.csv.gz", parse_dates=["date"])
    other = other[(other.stock_symbol == "AAPL") & (other.date < "2021-04-01")].set_index("date")
    ratio = other.adj_close / other.close
    step = 1 - ratio.shift(1) / ratio
    steps = step[step.abs() > 5e-4]
    actions = fitted(read_actions(DATA / "aapl_factors.csv", "AAPL"), "splits")
    assert [a.ex_date for a in actions] == [day.date() for day in steps.index]
    amounts = (steps * other.close.shift(1)[steps.index]).to_numpy()
    np.testing.assert_allclose([a.amount or 0.0 for a in actions], amounts, rtol=0.005)


# -- yfinance -------------------------------------------------------------------------------------------------------

YAHOO = (
    "Date,Open,Close,Volume,Dividends,Stock Splits\n"
    "2020-08-07 00:00:00-04:00,113,111,1,0.205,0.0\n"
    "2020-08-28 00:00:00-04:00,126,124.8,1,0.0,\n"
    "2020-08-31 00:00:00-04:00,127,129,1,0.0,4.0\n"
    "2020-11-06 00:00:00-05:00,118,118,1,0.205,0.0\n"
)


def test_dividends_of_yfinance_are_as_paid_at_the_time(tmp_path: Path) -> None:
    # Yahoo's 0.205 of August has been divided by 4: 0.82 was paid
    actions = read(tmp_path, YAHOO)
    assert actions == [dividend("2020-08-07", 0.82), split("2020-08-31", 4), dividend("2020-11-06", 0.205)]
    assert fitted(actions, "splits") == [dividend("2020-08-07", 0.205), dividend("2020-11-06", 0.205)]


def test_actions_alone_and_tables_of_several_tickers_are_read_too(tmp_path: Path) -> None:
    alone = "Date,Dividends,Stock Splits\n2022-08-25,0.0,3.0\n2010-01-04,0,0.25\n"
    assert read(tmp_path, alone) == [split("2010-01-04", 1, 4), split("2022-08-25", 3)]
    several = (
        "Price,Close,Close,Dividends,Dividends,Stock Splits,Stock Splits\n"
        "Ticker,AAPL,TSLA,AAPL,TSLA,AAPL,TSLA\n"
        "Date,,,,,,\n"
        "2022-08-25,170,296,0.0,0.0,0.0,3.0\n"
        "2022-11-04,138,207,0.23,0.0,0.0,0.0\n"
    )
    assert read(tmp_path, several, "TSLA") == [split("2022-08-25", 3)]
    assert read(tmp_path, several, "AAPL") == [dividend("2022-11-04", 0.23)]


def test_dividend_of_yfinance_that_is_no_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r":2: Dividends: '-1' is no number"):
        read(tmp_path, "Date,Dividends,Stock Splits\n2022-08-25,-1,3.0\n")


# -- the catalog ----------------------------------------------------------------------------------------------------


def catalog(folder: Path, *rows: tuple[Any, ...]) -> Path:
    names = ("ex_date", "kind", "numerator", "denominator", "amount", "symbol")
    table = pa.table({n: pa.array([r[i] for r in rows]) for i, n in enumerate(names)})
    parquet.write_table(table, folder / "actions.parquet")
    return folder / "actions.parquet"


def test_actions_of_a_catalog_are_read(tmp_path: Path) -> None:
    path = catalog(
        tmp_path,
        (date(2014, 6, 9), "split", 7.0, 1.0, None, None),
        (date(2014, 8, 7), "dividend", None, None, 0.47, None),
        (date(2022, 6, 9), "symbol", None, None, None, "META"),
        (date(2023, 1, 3), "delisting", None, None, None, None),
    )
    assert read_actions(path, "AAPL") == [
        split("2014-06-09", 7),
        dividend("2014-08-07", 0.47),
        symbol("2022-06-09", "META"),
        delisting("2023-01-03", None),
    ]


@pytest.mark.parametrize(
    "row",
    [
        (date(2014, 6, 9), "split", 7.0, None, None, None),
        (date(2014, 6, 9), "split", 7.0, 0.0, None, None),
        (date(2014, 6, 9), "dividend", None, None, float("nan"), None),
        (date(2014, 6, 9), "symbol", None, None, None, ""),
        (date(2014, 6, 9), "delisting", None, None, -1.0, None),
        (date(2014, 6, 9), "merger", None, None, None, None),
    ],
)
def test_action_of_a_catalog_without_its_value_is_refused(tmp_path: Path, row: tuple[Any, ...]) -> None:
    with pytest.raises(DataError, match=r"actions\.parquet:1: "):
        read_actions(catalog(tmp_path, row), "AAPL")


def test_parquet_without_the_columns_is_refused(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"ex_date": [date(2014, 6, 9)]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="the actions have no column kind"):
        read_actions(tmp_path / "a.parquet", "AAPL")


# -- fitted to prices -----------------------------------------------------------------------------------------------


def test_actions_fitted_to_adjusted_prices_leave_out_what_is_in_them() -> None:
    actions = [
        dividend("2014-05-08", 28.0),
        split("2014-06-09", 7),
        dividend("2014-08-07", 4.0),
        split("2020-08-31", 4),
        symbol("2022-06-09", "B"),
        delisting("2023-01-03", 1.0),
    ]
    assert fitted(actions, "raw") == actions
    assert fitted(actions, "splits") == [
        dividend("2014-05-08", 28.0 / 7 / 4),
        dividend("2014-08-07", 4.0 / 4),
        *actions[4:],
    ]
    assert fitted(actions, "all") == actions[4:]


# -- the sample's ---------------------------------------------------------------------------------------------------


def sample_frame(name: str) -> pd.DataFrame:
    frame = pd.read_csv(sample_path(), parse_dates=["Date"])
    return frame[frame.Ticker == name].set_index("Date")


@pytest.mark.parametrize("name", sample_instruments())
def test_actions_of_the_sample_are_where_its_adjusted_closes_step(name: str) -> None:
    frame = sample_frame(name)
    ratio = frame["Adj Close"] / frame.Close
    step = 1 - ratio.shift(1) / ratio
    steps = step[step.abs() > 1e-4]
    path = sample_actions(name)
    actions = read_actions(path, name) if path else []
    assert [a.ex_date for a in actions] == [day.date() for day in steps.index]
    before = frame.Close.shift(1)[steps.index]
    for action, part, close in zip(actions, steps, before, strict=True):
        if action.kind == ActionKind.SPLIT:
            assert 1 - part == pytest.approx(action.denominator / action.numerator, rel=1e-6)
        else:  # that column's own amounts are off by up to a few hundredths
            assert part * close == pytest.approx(action.amount, rel=0.08)


@pytest.mark.parametrize("name", ["AAPL", "MSFT"])
def test_splits_of_the_sample_show_in_its_prices(name: str) -> None:
    frame, path = sample_frame(name), sample_actions(name)
    assert path
    splits = [a for a in read_actions(path, name) if a.kind == ActionKind.SPLIT]
    assert len(splits) == {"AAPL": 2, "MSFT": 1}[name]
    for action in splits:
        day = pd.Timestamp(action.ex_date)
        before = frame.Close[frame.index < day].iloc[-1]
        assert before / frame.Open[day] == pytest.approx(action.numerator / action.denominator, rel=0.06)


@real_files
@pytest.mark.parametrize("name", ["AAPL", "IBM"])
def test_amounts_of_the_sample_are_those_of_the_factor_files(name: str) -> None:
    path, days = sample_actions(name), sample_frame(name).index
    assert path
    # LEAN's next weekday may be a holiday: the dividend is then of the next day of trading
    truth = [
        (a.kind, days[days >= pd.Timestamp(a.ex_date)][0].date(), a.numerator, a.amount)
        for a in read_actions(DATA / f"{name.lower()}_factors.csv", name)
        if days[0].date() <= a.ex_date <= days[-1].date()
    ]
    mine = [(a.kind, a.ex_date, a.numerator, a.amount) for a in read_actions(path, name)]
    assert [t[:3] for t in truth] == [m[:3] for m in mine]
    for (*_, true), (*_, given) in zip(truth, mine, strict=True):
        assert given == (true if true is None else pytest.approx(true, abs=2e-4))


@real_files
def test_amounts_of_microsoft_are_those_by_which_an_adjusted_series_steps() -> None:
    frame, path = sample_frame("MSFT"), sample_actions("MSFT")
    assert path
    adjusted = pd.read_csv(DATA / "msft_1990-2022_fully_adjusted.csv.gz", encoding="utf-8-sig")
    adjusted.index = pd.to_datetime(adjusted.iloc[:, 0], format="%m/%d/%Y")
    close = adjusted.rename(columns=str.lower).close
    ratio = (close / frame.Close).dropna()
    actions = [a for a in read_actions(path, "MSFT") if a.ex_date >= date(2004, 11, 15)]
    for k, action in enumerate(actions):
        # the medians of the days between this step and its neighbours: closes to the cent are too coarse singly
        first = actions[k - 1].ex_date if k else action.ex_date - timedelta(days=80)
        last = actions[k + 1].ex_date if k + 1 < len(actions) else date(2100, 1, 1)
        days = pd.DatetimeIndex(ratio.index).date
        before = ratio[(days >= first) & (days < action.ex_date)].median()
        after = ratio[(days >= action.ex_date) & (days < last)].median()
        paid = frame.Close[frame.index < pd.Timestamp(action.ex_date)].iloc[-1] * (1 - before / after)
        assert paid == pytest.approx(action.amount, abs=0.01)
