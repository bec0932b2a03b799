"""Formats of vendors: lines of each by hand, and real files compared with their plain twins."""

import gzip
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest

from daemon.data.errors import DataError
from daemon.data.feed import open_feed
from engine.records import DAY
from tests.unit.daemon.data.reading import HOUR, MINUTE, bars, ns, rows, source, ticks, write

DATA = Path(__file__).parents[5] / "shared" / "data"
RAW = DATA / "raw"
real_files = pytest.mark.skipif(
    not RAW.is_dir(), reason="the real market data is not here: no folder ../shared/data"
)


def zipped(folder: Path, name: str, *members: tuple[str, str]) -> Path:
    with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, text in members:
            archive.writestr(member, text)
    return folder / name


def refused(path: Path, bar_ns: int = DAY, **more: Any) -> str:
    with pytest.raises(DataError) as error:
        rows(open_feed([source(path, bar_ns, **more)]))
    assert str(error.value).startswith(str(path))
    return str(error.value).removeprefix(str(path))


# -- zips -----------------------------------------------------------------------------------------------------------

PLAIN = "date,open,high,low,close,volume\n2024-01-02,1,2,1,2,5\n"


def test_plain_csv_in_a_zip_is_read(tmp_path: Path) -> None:
    path = zipped(tmp_path, "a.zip", ("x.csv", PLAIN))
    assert bars(open_feed([source(path)])) == [(ns("2024-01-02"), 1.0, 2.0, 1.0, 2.0, 5.0)]


def test_zip_that_does_not_hold_one_file_is_refused(tmp_path: Path) -> None:
    two = zipped(tmp_path, "a.zip", ("x.csv", PLAIN), ("y.csv", PLAIN))
    assert refused(two) == ": the zip has 2 files; unpack it, and name the one that is meant"
    assert ": the zip has 0 files" in refused(zipped(tmp_path, "b.zip"))
    assert ": the zip file is broken" in refused(write(tmp_path, PLAIN, "c.zip"))
    whole = zipped(tmp_path, "d.zip", ("x.csv", PLAIN + "2024-01-03,1,2,1,2,5\n" * 999)).read_bytes()
    (tmp_path / "d.zip").write_bytes(whole[:40] + b"\xff" * 8 + whole[48:])
    assert ": the zip file is broken" in refused(tmp_path / "d.zip")


# -- LEAN -----------------------------------------------------------------------------------------------------------

LEAN_DAYS = "19980102 00:00,136300,162500,135000,162500,6315000\n"
LEAN_MINUTES = "15300000,6448000,6449000,6447000,6448100,90\n"
LEAN_TRADES = "14400464,1674100,100,P,20002000,0\n14400465,1674199,7,,1,1\n"


def test_daily_bars_of_lean_are_dollars_of_their_day(tmp_path: Path) -> None:
    path = zipped(tmp_path, "aapl.zip", ("aapl.csv", LEAN_DAYS))
    expected = [(ns("1998-01-02"), 13.63, 16.25, 13.5, 16.25, 6315000.0)]
    assert bars(open_feed([source(path)])) == expected
    # unpacked they could be anybody's
    plain = write(tmp_path, LEAN_DAYS, "aapl.csv")
    assert "no column is known" in refused(plain)
    assert bars(open_feed([source(plain, format="lean")])) == expected


def test_hourly_bars_of_lean_begin_in_new_york(tmp_path: Path) -> None:
    text = "20140106 09:00,1,1,1,1,1\n20140707 09:00,1,1,1,1,1\n"
    read = bars(open_feed([source(zipped(tmp_path, "aapl.zip", ("aapl.csv", text)), HOUR)]))
    assert [b[:2] for b in read] == [(ns("2014-01-06T14:00"), 0.0001), (ns("2014-07-07T13:00"), 0.0001)]


@pytest.mark.parametrize(
    ("name", "member"),
    [
        ("20140605_trade.zip", "20140605_aapl_minute_trade.csv"),
        ("x.zip", "20140605_aapl_minute_trade.csv"),
        ("lean_minute_aapl_20140605_trade.zip", "minutes.csv"),
    ],
)
def test_minutes_of_lean_are_of_the_day_in_the_name(tmp_path: Path, name: str, member: str) -> None:
    path = zipped(tmp_path, name, (member, LEAN_MINUTES))
    read = bars(open_feed([source(path, MINUTE, format="lean")]))
    # 15,300 s after midnight of New York, which is 04:00 UTC in June
    assert read == [(ns("2014-06-05T08:15"), 644.8, 644.9, 644.7, 644.81, 90.0)]


def test_trades_of_lean_are_read_with_those_it_suspects(tmp_path: Path) -> None:
    path = zipped(tmp_path, "20131007_trade.zip", ("20131007_spy_Trade_Tick.csv", LEAN_TRADES))
    midnight = ns("2013-10-07T00:00-04:00")
    assert ticks(open_feed([source(path, 0)])) == [
        (midnight + 14_400_464 * 10**6, 167.41, 100.0),
        (midnight + 14_400_465 * 10**6, 167.4199, 7.0),
    ]


def test_folder_of_lean_is_read_day_by_day_without_its_quotes(tmp_path: Path) -> None:
    for day in ("20140606", "20140605"):
        zipped(tmp_path, f"{day}_trade.zip", (f"{day}_aapl_minute_trade.csv", LEAN_MINUTES))
        zipped(tmp_path, f"{day}_quote.zip", (f"{day}_aapl_minute_quote.csv", "1,2,3,4,5,6,7,8,9,10,11\n"))
    read = bars(open_feed([source(tmp_path, MINUTE)]))
    assert [b[0] for b in read] == [ns("2014-06-05T08:15"), ns("2014-06-06T08:15")]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("86400000,1,1,1,1,1", ":2: 1: '86400000' is no number of milliseconds in a day; correct the row"),
        ("-1,1,1,1,1,1", ":2: 1: '-1' is no number of milliseconds in a day"),
        ("noon,1,1,1,1,1", ":2: 1: 'noon' is no number of milliseconds in a day"),
        ("15360000,1,1,1,0.5,1", ":2: 5: '0.5' is no whole number of 10,000 parts"),
        ("15360000,1,1,1,1", ":2: 5 fields instead of 6"),
    ],
)
def test_wrong_row_of_lean_is_refused_by_its_line(tmp_path: Path, line: str, problem: str) -> None:
    text = LEAN_MINUTES + line + "\n" + LEAN_MINUTES.replace("15300000", "15420000")
    path = zipped(tmp_path, "a.zip", ("20140605_aapl_minute_trade.csv", text))
    assert refused(path, MINUTE).startswith(problem)
    feed = open_feed([source(path, MINUTE, skip_bad_rows=True)])
    assert [b[0] for b in bars(feed)] == [ns("2014-06-05T08:15"), ns("2014-06-05T08:17")]
    assert sum(feed.refused.values()) == 1


def test_files_of_lean_that_are_something_else_are_refused(tmp_path: Path) -> None:
    minutes = zipped(tmp_path, "a.zip", ("20140605_aapl_minute_trade.csv", LEAN_MINUTES))
    assert refused(minutes, 0) == ": the file holds bars; write how long they last as `bar`, such as 1m"
    trades = zipped(tmp_path, "b.zip", ("20140605_spy_tick_trade.csv", LEAN_TRADES))
    assert refused(trades, MINUTE) == ": the file holds trades; write `bar: tick`"
    quotes = zipped(tmp_path, "c.zip", ("20140605_aapl_minute_quote.csv", LEAN_MINUTES))
    assert "the first line is none of LEAN's trades or bars of trades" in refused(quotes, MINUTE)
    assert "no day stands in the file's name" in refused(
        write(tmp_path, LEAN_MINUTES, "a.csv"), MINUTE, format="lean"
    )


@real_files
def test_real_files_of_lean_equal_their_twins() -> None:
    daily = source(RAW / "lean_equity_usa_daily_aapl.zip")
    twin = source(DATA / "daily/aapl_1998-2021_unadjusted.csv.gz")
    assert rows(open_feed([daily], 3000)) == rows(open_feed([twin]))
    minutes = [
        row
        for path in sorted(RAW.glob("lean_equity_usa_minute_aapl_*.zip"))
        for row in rows(open_feed([source(path, MINUTE)], 500))
    ]
    twin = source(DATA / "minute/aapl_2014-06-05_2014-06-09_unadjusted_split.csv.gz", MINUTE)
    assert minutes == rows(open_feed([twin]))
    spy = source(RAW / "lean_equity_usa_tick_spy_20131007_trade.zip", 0)
    assert rows(open_feed([spy])) == rows(open_feed([source(DATA / "ticks/spy_2013-10-07.parquet", 0)]))


# -- NinjaTrader ----------------------------------------------------------------------------------------------------

NINJA = "20110301 090100;133.9;134.01;133.9;133.98;3778\n"


def test_minutes_of_ninjatrader_are_stamped_at_their_end(tmp_path: Path) -> None:
    path = write(tmp_path, NINJA)
    values = (133.9, 134.01, 133.9, 133.98, 3778.0)
    for more, begin in (
        ({}, "2011-03-01T09:00"),
        ({"timezone": "America/New_York"}, "2011-03-01T14:00"),
        ({"stamp": "start"}, "2011-03-01T09:01"),
    ):
        made = source(path, MINUTE, **{"format": "ninjatrader", **more})
        assert bars(open_feed([made])) == [(ns(begin), *values)]


def test_days_and_trades_of_ninjatrader_are_read(tmp_path: Path) -> None:
    day = write(tmp_path, "20110301;1;4;1;2;9\n", "d.txt")
    assert bars(open_feed([source(day, format="ninjatrader")])) == [
        (ns("2011-03-01"), 1.0, 4.0, 1.0, 2.0, 9.0)
    ]
    trade = write(tmp_path, "20110301 090105;133.9;5\n", "t.txt")
    assert ticks(open_feed([source(trade, 0, format="ninjatrader")])) == [
        (ns("2011-03-01T09:01:05"), 133.9, 5.0)
    ]


def test_lines_as_of_ninjatrader_are_not_taken_for_its_own_unless_it_is_said(tmp_path: Path) -> None:
    assert refused(write(tmp_path, NINJA), MINUTE).startswith(
        ":1: the file has no header; NinjaTrader writes such lines, and others do with other stamps; write `format:"
    )
    columns = {"time": "1", "open": "2", "high": "3", "low": "4", "close": "5", "volume": "6"}
    read = bars(open_feed([source(write(tmp_path, NINJA), MINUTE, columns=columns)]))
    assert read[0][0] == ns("2011-03-01T09:01")
    assert ":1: the first line is none of NinjaTrader's bars" in refused(
        write(tmp_path, PLAIN), MINUTE, format="ninjatrader"
    )


@real_files
def test_real_file_of_ninjatrader_equals_its_twin() -> None:
    path = RAW / "ninjatrader_nt-spy-minute-2011-03.csv.gz"
    twin = source(DATA / "minute/spy_2011-03-01_2011-03-31.csv.gz", MINUTE, stamp="end")
    assert rows(open_feed([source(path, MINUTE, format="ninjatrader")], 4000)) == rows(open_feed([twin]))


# -- Alpha Vantage --------------------------------------------------------------------------------------------------

ALPHA_HEADER = "timestamp,open,high,low,close,volume\n"
ALPHA = ["2019-02-15 16:00:00,3,3,3,3,1", "2019-02-15 15:59:00,2,2,2,2,1", "2019-02-14 16:00:00,1,1,1,1,1"]


def alpha(lines: list[str], end: str = "\n") -> str:
    return ALPHA_HEADER + "\n".join(lines) + end


@pytest.mark.parametrize("batch_rows", [1, 4, 8, 1000])
@pytest.mark.parametrize("end", ["\n", "", "\r\n"])
@pytest.mark.parametrize("packed", [False, True])
def test_rows_of_alpha_vantage_are_turned_round(
    tmp_path: Path, batch_rows: int, end: str, packed: bool
) -> None:
    text = alpha(ALPHA * 1, end)
    path = write(tmp_path, text)
    if packed:
        path = tmp_path / "a.csv.gz"
        path.write_bytes(gzip.compress(text.encode()))
    feed = open_feed([source(path, MINUTE, format="alphavantage", stamp="end")], batch_rows)
    assert [b[:2] for b in bars(feed)] == [
        (ns("2019-02-14T15:59-05:00"), 1.0),
        (ns("2019-02-15T15:58-05:00"), 2.0),
        (ns("2019-02-15T15:59-05:00"), 3.0),
    ]
    assert feed.progress == 1.0


def test_long_file_of_alpha_vantage_is_turned_round_block_by_block(tmp_path: Path) -> None:
    lines = [f"2019-02-15 {i // 60:02}:{i % 60:02}:00,{i + 1},{i + 1},{i + 1},{i + 1},1" for i in range(900)]
    path = write(tmp_path, alpha(lines[::-1]))
    for batch_rows in (8, 40, 100_000):
        made = source(path, MINUTE, format="alphavantage", stamp="start")
        assert [b[1] for b in bars(open_feed([made], batch_rows))] == list(range(1, 901))


def test_stamp_of_alpha_vantage_has_to_be_said_for_minutes_but_not_for_days(tmp_path: Path) -> None:
    problem = refused(write(tmp_path, alpha(ALPHA)), MINUTE, format="alphavantage")
    assert problem.startswith(
        ": Alpha Vantage has stamped bars at their end and, later, at their start; write `stamp:"
    )
    days = write(tmp_path, alpha(["2019-02-15,2,2,2,2,1", "2019-02-14,1,1,1,1,1"]))
    read = bars(open_feed([source(days, format="alphavantage")]))
    assert [b[0] for b in read] == [ns("2019-02-14"), ns("2019-02-15")]


def test_file_of_alpha_vantage_in_order_already_is_read_as_it_is(tmp_path: Path) -> None:
    path = write(tmp_path, alpha(ALPHA[::-1]))
    read = bars(open_feed([source(path, MINUTE, format="alphavantage", stamp="end")]))
    assert [b[1] for b in read] == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("batch_rows", [1, 4, 1000])
def test_first_wrong_row_of_alpha_vantage_in_time_is_told(tmp_path: Path, batch_rows: int) -> None:
    bad = [ALPHA[0].replace("3,3", "x,3"), ALPHA[1], ALPHA[2], "2019-02-14 15:59:00,1,y,1,1,1", "2019-02-14 15:58:00,1,1,1,1,1"]  # fmt: skip
    path = write(tmp_path, alpha(bad))
    made = {"format": "alphavantage", "stamp": "end"}
    with pytest.raises(DataError, match=re.escape(":5: high: 'y' is no number")):
        rows(open_feed([source(path, MINUTE, **made)], batch_rows))
    feed = open_feed([source(path, MINUTE, skip_bad_rows=True, **made)], batch_rows)
    assert [b[1] for b in bars(feed)] == [1.0, 1.0, 2.0]
    # what lies after the window is not checked, which are the lines above it
    good = write(tmp_path, alpha([*bad[:3], bad[4]]), "b.csv")
    end = ns("2019-02-15")
    assert len(bars(open_feed([source(good, MINUTE, end=end, **made)], batch_rows))) == 2


@real_files
def test_real_file_of_alpha_vantage_equals_its_twin() -> None:
    path = RAW / "alphavantage_TSLA_1min_descending.csv"
    twin = source(DATA / "minute/tsla_2019-02-11_2019-02-15.csv.gz", MINUTE, stamp="end")
    made = source(path, MINUTE, format="alphavantage", stamp="end")
    for batch_rows in (1000, 100_000):
        assert rows(open_feed([made], batch_rows)) == rows(open_feed([twin]))


# -- Google Finance -------------------------------------------------------------------------------------------------

GOOGLE_HEADER = (
    "EXCHANGE%3DNASDAQ\nMARKET_OPEN_MINUTE=570\nMARKET_CLOSE_MINUTE=960\nINTERVAL=60\n"
    "COLUMNS=DATE,CLOSE,HIGH,LOW,OPEN,VOLUME\nDATA=\nTIMEZONE_OFFSET=-240\n"
)
GOOGLE = GOOGLE_HEADER + (
    "a1460727000,4,9,1,2,5\n1,5,5,5,5,6\n3,6,6,6,6,7\nTIMEZONE_OFFSET=-300\na1460986200,7,7,7,7,8\n2,8,8,8,8,9\n"
)


@pytest.mark.parametrize("batch_rows", [1, 4, 8, 1000])
def test_rows_of_google_count_bars_from_the_last_full_time(tmp_path: Path, batch_rows: int) -> None:
    read = bars(open_feed([source(write(tmp_path, GOOGLE), MINUTE)], batch_rows))
    first, second = 1460727000, 1460986200
    assert [b[0] // 10**9 for b in read] == [
        *(first - 60, first, first + 120),  # the stamps are of the ends
        *(second - 60, second + 60),
    ]
    assert read[0][1:] == (2.0, 9.0, 1.0, 4.0, 5.0)
    assert [b[4] for b in read] == [4.0, 5.0, 6.0, 7.0, 8.0]


@pytest.mark.parametrize("batch_rows", [1, 8, 1000])
def test_rows_of_google_without_a_readable_full_time_are_refused(tmp_path: Path, batch_rows: int) -> None:
    path = write(tmp_path, GOOGLE.replace("a1460986200", "a146O986200"))
    with pytest.raises(DataError, match=r"csv:12: DATE: 'a146O986200' is no time: `a` and Unix seconds"):
        rows(open_feed([source(path, MINUTE)], batch_rows))
    feed = open_feed([source(path, MINUTE, skip_bad_rows=True)], batch_rows)
    assert [b[4] for b in bars(feed)] == [4.0, 5.0, 6.0]
    assert feed.refused == {"unreadable time": 2}


def test_days_of_google_are_dated_by_their_close(tmp_path: Path) -> None:
    text = GOOGLE_HEADER.replace("=60", "=86400") + "a1460750400,4,9,1,2,5\n3,5,5,5,5,6\n"
    read = bars(open_feed([source(write(tmp_path, text))]))
    assert [b[0] for b in read] == [ns("2016-04-15"), ns("2016-04-18")]


def test_bars_of_google_of_another_length_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, GOOGLE)
    assert refused(path) == ": INTERVAL: the file's bars last 60 s; write `bar: 60s`"
    assert "the first line is none of Google Finance's" in refused(write(tmp_path, PLAIN), format="google")


@real_files
def test_real_file_of_google_equals_its_twin() -> None:
    twin = source(DATA / "minute/aapl_2016-04-15_2016-05-13.csv.gz", MINUTE, stamp="end")
    made = source(RAW / "google_finance_AAPL_INTRA_DAY.csv", MINUTE)
    assert rows(open_feed([made], 700)) == rows(open_feed([twin]))


# -- Binance --------------------------------------------------------------------------------------------------------


def message(n: int, symbol: str = "BTCUSDT", combined: bool = True, **more: Any) -> str:
    trade = {"e": "trade", "E": 1723161255343, "s": symbol, "t": n, "p": f"6183{n}.5", "q": "0.02", "T": 1723161255340 + n, **more}  # fmt: skip
    content = {"stream": "btcusdt@trade", "data": trade} if combined else trade
    return f"{1723161254087896568 + n} {json.dumps(content, separators=(',', ':'))}\n"


BOOK = '1723161254087891268 {"stream":"btcusdt@bookTicker","data":{"u":5,"s":"BTCUSDT","b":"1","B":"3","a":"2","A":"1"}}\n'


@pytest.mark.parametrize("batch_rows", [1, 2, 1000])
def test_trades_of_a_recording_are_read_at_the_time_of_the_venue(tmp_path: Path, batch_rows: int) -> None:
    text = BOOK + message(1) + BOOK + message(2, combined=False) + message(3, "ETHUSDT") + BOOK
    path = write(tmp_path, text, "a.txt")
    packed = tmp_path / "a.gz"
    packed.write_bytes(gzip.compress(text.encode()))
    for recording in (path, packed):
        feed = open_feed([source(recording, 0, name="BTCUSDT")], batch_rows)
        assert ticks(feed) == [
            (1723161255341 * 10**6, 61831.5, 0.02),
            (1723161255342 * 10**6, 61832.5, 0.02),
        ]
        assert feed.progress == 1.0


def test_torn_message_is_refused_by_its_line(tmp_path: Path) -> None:
    torn = write(tmp_path, message(1) + BOOK + message(2)[:120] + "\n" + message(3), "a.txt")
    name = {"name": "BTCUSDT"}
    assert refused(torn, 0, **name).startswith(
        ":3: the message is torn, or no trade of Binance's; correct the row"
    )
    feed = open_feed([source(torn, 0, skip_bad_rows=True, **name)])
    assert [t[1] for t in ticks(feed)] == [61831.5, 61833.5]
    assert feed.refused == {"broken line": 1}
    cut = write(tmp_path, message(1) + BOOK[:-9], "b.txt")
    assert refused(cut, 0, **name).startswith(":2: the message is torn;")
    priceless = write(tmp_path, message(1) + message(2, p="x"), "c.txt")
    assert refused(priceless, 0, **name).startswith(":2: p: 'x' is no number")


def test_recording_without_a_trade_of_the_instrument_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, BOOK + message(1), "a.txt")
    assert refused(path, 0, name="ETHUSDT").startswith(": no row of ETHUSDT; it has BTCUSDT")
    assert refused(path, MINUTE, name="BTCUSDT") == ": the recording holds trades; write `bar: tick`"


@real_files
def test_real_recording_of_binance_equals_the_trades_of_its_twin() -> None:
    twin = DATA / "ticks/btcusdt_binance_spot_2024-08-08T2354_2024-08-09T0005.parquet"
    recorded = rows(open_feed([source(RAW / "binance_spot_ws_btcusdt_20240808.gz", 0, name="BTCUSDT")], 5000))
    assert len(recorded) == 9757
    assert recorded == rows(open_feed([source(twin, 0)]))[:9757]
