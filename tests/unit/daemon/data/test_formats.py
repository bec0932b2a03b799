"""Files as the vendors write them, each from a few literal lines."""

import gzip
from pathlib import Path

import pytest

from daemon.data.errors import DataError
from daemon.data.feed import open_feed
from engine.records import DAY
from tests.unit.daemon.data.reading import (
    HOUR,
    MINUTE,
    bars,
    ns,
    read_bars,
    read_ticks,
    source,
)

JAN_2 = ns("2024-01-02")
BAR = (187.15, 188.44, 183.89, 185.64, 82488700.0)
NEXT = (184.22, 185.88, 183.43, 184.25, 58414500.0)
TWO_DAYS = [(JAN_2, *BAR), (JAN_2 + DAY, *NEXT)]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            "Date,Open,High,Low,Close,Adj Close,Volume\n"
            "2024-01-02,187.15,188.44,183.89,185.64,184.73,82488700\n"
            "2024-01-03,184.22,185.88,183.43,184.25,183.35,58414500\n",
            id="yahoo",
        ),
        pytest.param(
            "Date,Open,High,Low,Close,Volume,Dividends,Stock Splits\n"
            "2024-01-02 00:00:00-05:00,187.15,188.44,183.89,185.64,82488700,0.0,0.0\n"
            "2024-01-03 00:00:00-05:00,184.22,185.88,183.43,184.25,58414500,0.0,0.0\n",
            id="yfinance history",
        ),
        pytest.param(
            "Price,Close,High,Low,Open,Volume\n"
            "Ticker,AAPL,AAPL,AAPL,AAPL,AAPL\n"
            "Date,,,,,\n"
            "2024-01-02,185.64,188.44,183.89,187.15,82488700\n"
            "2024-01-03,184.25,185.88,183.43,184.22,58414500\n",
            id="yfinance download",
        ),
        pytest.param(
            "Price,Close,Close,High,High,Low,Low,Open,Open,Volume,Volume\n"
            "Ticker,IBM,AAPL,IBM,AAPL,IBM,AAPL,IBM,AAPL,IBM,AAPL\n"
            "Date,,,,,,,,,,\n"
            "2024-01-02,1,185.64,1,188.44,1,183.89,1,187.15,1,82488700\n"
            "2024-01-03,1,184.25,1,185.88,1,183.43,1,184.22,1,58414500\n",
            id="yfinance download of two",
        ),
        pytest.param(
            "Date,Open,High,Low,Close,Volume\r\n"
            "2024-01-02,187.15,188.44,183.89,185.64,82488700\r\n"
            "2024-01-03,184.22,185.88,183.43,184.25,58414500\r\n",
            id="stooq download",
        ),
        pytest.param(
            "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>\n"
            "AAPL.US,D,20240102,000000,187.15,188.44,183.89,185.64,82488700,0\n"
            "AAPL.US,D,20240103,000000,184.22,185.88,183.43,184.25,58414500,0\n",
            id="stooq bulk",
        ),
        pytest.param(
            "t,o,h,l,c,v\n"
            "1704153600,187.15,188.44,183.89,185.64,82488700\n"
            "1704240000,184.22,185.88,183.43,184.25,58414500\n",
            id="finnhub candles",
        ),
        pytest.param(
            "c,h,l,o,s,t,v\n"
            "185.64,188.44,183.89,187.15,ok,1704153600,82488700\n"
            "184.25,185.88,183.43,184.22,ok,1704240000,58414500\n",
            id="finnhub candles with status",
        ),
        pytest.param(
            "stock_symbol,date,open,high,low,close,adj_close,volume\n"
            "AAPL,2024-01-02,187.15,188.44,183.89,185.64,184.73,82488700\n"
            "IBM,2024-01-02,1,1,1,1,1,1\n"
            "aapl,2024-01-03,184.22,185.88,183.43,184.25,183.35,58414500\n",
            id="several symbols",
        ),
        pytest.param(
            "\ufeffdate;open;high;low;close;volume\n"
            "\n"
            '"2024-01-02"; 187.15; 188.44 ;183.89;185.64;82488700\n'
            "2024-01-03;184.22;185.88;183.43;184.25;58414500\n"
            "\n  \n",
            id="byte-order mark, semicolons, quotes, spaces and blank lines",
        ),
        pytest.param(
            "1704153600000,187.15,188.44,183.89,185.64,82488700,1704239999999,0,1,0,0,0\n"
            "1704240000000000,184.22,185.88,183.43,184.25,58414500,1704326399999999,0,1,0,0,0\n",
            id="binance klines without header, from ms to us",
        ),
        pytest.param(
            "\ufeff1704153600000,187.15,188.44,183.89,185.64,82488700,1704239999999,0,1,0,0,0\n"
            "1704240000000,184.22,185.88,183.43,184.25,58414500,1704326399999,0,1,0,0,0",
            id="binance klines with a byte-order mark and no last line end",
        ),
        pytest.param(
            "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore\n"
            "1704153600000,187.15,188.44,183.89,185.64,82488700,1704239999999,0,1,0,0,0\n"
            "1704240000000,184.22,185.88,183.43,184.25,58414500,1704326399999,0,1,0,0,0\n",
            id="binance klines with header",
        ),
    ],
)
def test_daily_file_of_a_known_vendor_read_gives_raw_bars_of_its_days(tmp_path: Path, text: str) -> None:
    assert read_bars(tmp_path, text) == TWO_DAYS


def test_gzipped_file_read_gives_the_same_as_the_plain_one(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"date,open,high,low,close\n2024-01-02,1,2,0.5,1.5\n"))
    assert bars(open_feed([source(path)])) == [(JAN_2, 1.0, 2.0, 0.5, 1.5, 0.0)]  # without volume: none


def test_bars_with_offsets_across_a_change_of_the_clocks_keep_their_calendar_days(tmp_path: Path) -> None:
    # New York lost an hour on 2024-03-10: the Monday begins 23 hours after the Sunday, in UTC
    text = "Date,Open,High,Low,Close\n2024-03-10 00:00:00-05:00,1,1,1,1\n2024-03-11 00:00:00-04:00,1,1,1,1\n"
    assert [b[0] for b in read_bars(tmp_path, text)] == [ns("2024-03-10"), ns("2024-03-11")]


def test_intraday_yfinance_file_read_converts_its_offsets(tmp_path: Path) -> None:
    text = "Datetime,Adj Close,Close,High,Low,Open,Volume\n2024-03-08 15:30:00-05:00,9,1,1,1,1,1\n2024-03-11 09:30:00-04:00,9,1,1,1,1,1\n"
    assert [b[0] for b in read_bars(tmp_path, text, HOUR)] == [
        ns("2024-03-08T20:30:00"),
        ns("2024-03-11T13:30:00"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>\n"
            "AAPL.US,5,20240102,153500,1,2,0.5,1.5,8,0\n",
            id="bulk",
        ),
        pytest.param(
            "Date,Time,Open,High,Low,Close,Volume\n2024-01-02,15:35:00,1,2,0.5,1.5,8\n", id="download"
        ),
        pytest.param("D,T,O,H,L,C,V\n2024-01-02,15:35,1,2,0.5,1.5,8\n", id="mapped"),
    ],
)
def test_date_and_time_of_day_in_two_columns_are_read_as_one_time_in_the_zone(
    tmp_path: Path, text: str
) -> None:
    columns = {"date": "D", "time": "T"} if text.startswith("D,T") else {}
    read = read_bars(tmp_path, text, 5 * MINUTE, timezone="Europe/Warsaw", columns=columns)
    assert read == [(ns("2024-01-02T14:35:00"), 1.0, 2.0, 0.5, 1.5, 8.0)]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("timestamp,price,size,condition\n2024-01-02T10:00:00.25Z,5,3,x\n2024-01-02T10:00:00.25Z,6,0,\n", id="plain"),
        pytest.param("t,p,v,s\n1704189600250,5,3,AAPL\n1704189600250,9,9,IBM\n1704189600250,6,0,AAPL\n", id="finnhub"),
        pytest.param("1,5,3,15,1704189600250,true,true\n2,6,0,0,1704189600250,False,True\n", id="binance trades"),
        pytest.param("1,5,3,7,8,1704189600250000,True,True\n2,6,0,9,9,1704189600250000,True,True\n", id="binance aggTrades"),
        pytest.param(
            "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n"
            "1,5,3,7,8,1704189600250,true\n2,6,0,7,8,1704189600250,true\n",
            id="binance futures aggTrades",
        ),
        pytest.param(
            "id,price,qty,quote_qty,time,is_buyer_maker\n1,5,3,15,1704189600250,true\n2,6,0,0,1704189600250,true\n",
            id="binance futures trades",
        ),
        pytest.param("time,price,volume\n1704189600.25,5,3\n1704189600.250,6,0\n", id="seconds with decimals"),
    ],
)  # fmt: skip
def test_tick_file_of_a_known_vendor_read_gives_prints(tmp_path: Path, text: str) -> None:
    time = ns("2024-01-02T10:00:00") + 250_000_000
    assert read_ticks(tmp_path, text) == [(time, 5.0, 3.0), (time, 6.0, 0.0)]


def test_unknown_columns_mapped_in_the_configuration_are_read(tmp_path: Path) -> None:
    text = "When,Erster,Hoch,Tief,Schluss,Stueck\n02.01.2024,187.15,188.44,183.89,185.64,82488700\n"
    columns = {
        "date": "When",
        "open": "Erster",
        "high": "Hoch",
        "low": "Tief",
        "close": "Schluss",
        "volume": "Stueck",
    }
    assert read_bars(tmp_path, text, columns=columns, time_format="%d.%m.%Y") == TWO_DAYS[:1]


def test_mapped_column_goes_before_a_known_one(tmp_path: Path) -> None:
    text = "date,open,high,low,close,Adj Close\n2024-01-02,4,4,4,4,2\n"
    prices = dict.fromkeys(["open", "high", "low", "close"], "Adj Close")
    assert read_bars(tmp_path, text, columns=prices) == [(JAN_2, 2.0, 2.0, 2.0, 2.0, 0.0)]


def test_first_of_two_columns_of_a_name_is_read(tmp_path: Path) -> None:
    text = "date,open,high,low,close,volume,Volume\n2024-01-02,1,1,1,1,3,4\n"
    assert read_bars(tmp_path, text)[0][5] == 3.0


def test_file_without_header_mapped_by_position_is_read(tmp_path: Path) -> None:
    columns = {"time": "1", "open": "2", "high": "3", "low": "4", "close": "5", "volume": "6"}
    text = "20240102 153500;1;2;0.5;1.5;8\n"
    assert read_bars(tmp_path, text, MINUTE, columns=columns) == [
        (ns("2024-01-02T15:35:00"), 1.0, 2.0, 0.5, 1.5, 8.0)
    ]


@pytest.mark.parametrize(
    ("text", "more", "message"),
    [
        ("", {}, "a.csv: the file is empty; take another file"),
        ("date,open,high,low,close\n", {}, "a.csv: the file has no rows; take another file"),
        (
            "when,open,high,low,close\n1,1,1,1,1\n",
            {},
            (
                "a.csv: time: no column is known as the time of bars; the file has when, open, high, low, close; "
                "say which it is: `columns: {time: NAME}`"
            ),
        ),
        (
            "date,open,high,low,close\n2024-01-02,1,1,1,1\n",
            {"bar_ns": 0},
            (
                "a.csv: price: no column is known as the price of ticks; the file has date, open, high, low, close; "
                "say which it is: `columns: {price: NAME}`, or give the duration of bars as `bar`"
            ),
        ),
        (
            "date,open,high,low,close\n2024-01-02,1,1,1,1\n",
            {"columns": {"open": "Open"}},
            "a.csv: open: there is no column 'Open'; the file has date, open, high, low, close; correct `columns`",
        ),
        (
            "date,open,high,low,close\n2024-01-02,1,1,1,1\n",
            {"columns": {"bid": "open"}},
            "a.csv: `columns` names 'bid'; it may name time, open, high, low, close, volume, price, size, symbol",
        ),
        (
            "symbol,date,open,high,low,close\nIBM,2024-01-02,1,1,1,1\nKO,2024-01-02,1,1,1,1\n",
            {},
            "a.csv: no row of AAPL; it has IBM, KO; name the instrument as the file does, or take another file",
        ),
        (
            "Price,Close,High,Low,Open\nTicker,IBM,IBM,IBM,IBM\nDate,,,,\n2024-01-02,1,1,1,1\n",
            {},
            "a.csv: no row of AAPL; it has IBM; name the instrument as the file does, or take another file",
        ),
        (
            "date,open,high,low,close\n1/2/2024,1,1,1,1\n",
            {},
            (
                "a.csv:2: date: it is not certain how the time '1/2/2024' is written; "
                'say it, as in `time_format: "%m/%d/%Y"`'
            ),
        ),
    ],
)
def test_file_that_is_not_recognised_is_refused_with_what_to_write(
    tmp_path: Path, text: str, more: dict[str, object], message: str
) -> None:
    with pytest.raises(DataError) as refused:
        read_bars(tmp_path, text, **{"bar_ns": DAY, **more})  # type: ignore[arg-type] # values of several types
    assert str(refused.value) == f"{tmp_path}/{message}"


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (None, "none.csv", "the file cannot be read (No such file or directory); correct `path`"),
        ("date,open\n".encode("utf-16"), "a.csv", "the file is in UTF-16; save it as UTF-8"),
        (b"no gzip", "a.csv.gz", "the gzip file is broken (Not a gzipped file (b'no')); fetch it again"),
        (gzip.compress(b"date,open,high,low,close\n" * 999)[:-9], "a.csv.gz", "the gzip file is broken"),
    ],
)
def test_file_that_cannot_be_read_is_refused(
    tmp_path: Path, content: bytes | None, name: str, message: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError) as refused:
        bars(open_feed([source(path)]))
    assert str(refused.value).startswith(f"{path}: {message}")
