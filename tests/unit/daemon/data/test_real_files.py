"""Real files with the defects that they came with, each compared with what pandas reads."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from daemon.data.errors import DataError
from daemon.data.feed import Source, open_feed
from engine.records import DAY, Ticks
from tests.unit.daemon.data.reading import HOUR, MINUTE, bars, ns, source

DATA = Path(__file__).parents[5] / "shared" / "data"
pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="the real market data is not here: no folder ../shared/data"
)
FIELDS = ["open", "high", "low", "close", "volume"]


def nanoseconds(times: Any) -> Any:
    return times.dt.tz_convert(None).to_numpy().astype("datetime64[ns]").astype(np.int64)


def by_pandas(path: Path, **more: Any) -> list[tuple[Any, ...]]:
    frame = pd.read_csv(path, **more)
    times = nanoseconds(pd.to_datetime(frame.iloc[:, 0], utc=True))
    return list(zip(times.tolist(), *(frame[f].astype(float).tolist() for f in FIELDS), strict=True))


@pytest.mark.parametrize(
    ("name", "bar_ns"),
    [
        ("daily/aapl_1998-2021_unadjusted", DAY),
        ("daily/eth-usd_2016-2026", DAY),
        ("hour/aapl_1998-2021_unadjusted", HOUR),
        ("minute/spy_2013-10-04_2013-10-11", MINUTE),
        ("minute/btc-usd_coinbase_9_days_2016-2018", MINUTE),
    ],
)
def test_clean_file_is_read_as_pandas_reads_it(name: str, bar_ns: int) -> None:
    path = DATA / f"{name}.csv.gz"
    read = bars(open_feed([source(path, bar_ns)], 20_000))
    expected = by_pandas(path)
    assert [b[:5] for b in read] == [b[:5] for b in expected]
    np.testing.assert_allclose([b[5] for b in read], [b[5] for b in expected], rtol=1e-15)


def test_index_with_american_dates_is_read_when_told_and_asked_about_when_not() -> None:
    path = DATA / "daily/spx_1990-2022.csv.gz"  # with a byte-order mark
    with pytest.raises(
        DataError, match=r":2: date: it is not certain how the time '1/2/1990' is written; say it"
    ):
        bars(open_feed([source(path)]))
    read = bars(open_feed([source(path, time_format="%m/%d/%Y")]))
    assert len(read) == 8111
    assert (read[0][0], read[0][4]) == (ns("1990-01-02"), 359.69)
    assert read[-1][0] == ns("2022-03-10")


def test_minute_bars_stamped_at_their_end_begin_a_minute_earlier() -> None:
    path = DATA / "minute/aapl_2016-04-15_2016-05-13.csv.gz"
    read = bars(open_feed([source(path, MINUTE, stamp="end")]))
    assert [b[0] for b in read] == [b[0] - MINUTE for b in by_pandas(path)]


def test_unsorted_file_is_refused_at_its_first_backward_step() -> None:
    path = DATA / "minute/btc-usd_bitfinex_2016-02-09_2016-04-19_unsorted.csv.gz"
    stamps = pd.to_datetime(pd.read_csv(path).timestamp)
    steps = stamps.diff() < pd.Timedelta(0)
    assert steps.sum() == 69
    line = int(np.flatnonzero(steps)[0]) + 2  # the header is line 1, row 0 line 2
    with pytest.raises(
        DataError, match=rf":{line}: timestamp: 2016-02-10T13:32:00Z comes after 2016-02-10T13:36:00Z"
    ):
        bars(open_feed([source(path, MINUTE)]))
    # After a step back, all rows are late until the time is again where it was.
    late = int((stamps < stamps.cummax()).sum())
    feed = open_feed([source(path, MINUTE, skip_bad_rows=True)], 5000)
    read = bars(feed)
    assert feed.refused == {"time goes back": late} == {"time goes back": 712}
    assert len(read) == len(stamps) - late
    expected = [b for b, keep in zip(by_pandas(path), stamps == stamps.cummax(), strict=True) if keep]
    assert [b[:5] for b in read] == [b[:5] for b in expected]


def test_trade_of_size_zero_is_a_trade() -> None:
    path = DATA / "ticks/btc-usd_bitstamp_2011-09_2012-05.csv.gz"
    batches = list(open_feed([source(path, 0)]))
    frame = pd.read_csv(path)
    assert np.concatenate([b.price for b in batches]).tolist() == frame.price.tolist()
    assert np.concatenate([b.size for b in batches]).tolist() == frame["size"].tolist()
    assert sum((b.size == 0).sum() for b in batches) == 1


def test_one_symbol_of_a_file_with_fourteen_is_picked() -> None:
    path = DATA / "daily/bigtech14_2010-2022_split_adjusted.csv.gz"
    read = bars(open_feed([source(path, name="META")]))
    frame = pd.read_csv(path)
    closes = frame[frame.stock_symbol == "META"].close
    assert [b[4] for b in read] == closes.tolist()
    assert len(read) == 2688


def test_newest_first_file_is_refused_with_a_hint() -> None:
    path = DATA / "raw/alphavantage_TSLA_1min_descending.csv"
    with pytest.raises(DataError, match=r":3: datetime: the rows are newest first"):
        bars(open_feed([source(path, MINUTE, timezone="America/New_York")]))


def test_quotes_are_no_trades() -> None:
    path = DATA / "ticks/eurusd_oanda_quotes_2014-05-01_2014-05-09.parquet"
    with pytest.raises(
        DataError, match="no column is known as the price of ticks; the file has timestamp, bid, ask"
    ):
        open_feed([source(path, 0)])


def columns(batches: list[Ticks]) -> Ticks:
    return Ticks(*(np.concatenate(c) for c in zip(*batches, strict=True)))


def test_five_days_of_trades_of_two_stocks_are_merged_as_pandas_sorts_them() -> None:
    days = [DATA / f"ticks/spy_2013-10-{day:02}.parquet" for day in (7, 8)]
    ibm = DATA / "ticks/ibm_2013-10-07_2013-10-11.parquet"
    end = ns("2013-10-09")
    sources = [source(day, 0, instrument=0) for day in days] + [source(ibm, 0, instrument=1, end=end)]
    frames = [pd.read_parquet(p, columns=["timestamp", "price", "size"]) for p in (*days, ibm)]
    expected = pd.concat([f.assign(instrument=i) for f, i in zip(frames, (0, 0, 1), strict=True)])
    expected = expected[expected.timestamp < "2013-10-09"].sort_values(
        ["timestamp", "instrument"], kind="stable"
    )
    read = columns(list(open_feed(sources, 50_000)))
    assert read.ts_event.tolist() == nanoseconds(expected.timestamp).tolist()
    assert read.instrument.tolist() == expected.instrument.tolist()
    assert read.price.tolist() == expected.price.tolist()
    assert read.size.tolist() == expected["size"].tolist()


def test_second_bars_of_parquet_are_read_as_pandas_reads_them() -> None:
    path = DATA / "second/spy_2013-10-07_2013-10-11.parquet"
    feed = open_feed([Source("parquet", path, 0, "SPY", 10**9)])
    read = bars(feed)
    frame = pd.read_parquet(path)
    assert [b[4] for b in read] == frame.close.tolist()
    assert [b[5] for b in read] == frame.volume.tolist()
    assert feed.total_rows_hint == 4 * len(frame) == feed.rows
