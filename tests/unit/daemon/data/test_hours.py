"""`hours: regular`: rows outside of the sessions are left out while a file is read."""

from pathlib import Path

import pandas as pd
import pytest

from daemon.data.errors import DataError
from daemon.data.feed import Source, open_feed
from tests.unit.daemon.data.reading import MINUTE, TICKS_HEADER, bars, ns, source, ticks, write
from tests.unit.daemon.data.test_real_files import DATA

real = pytest.mark.skipif(
    not DATA.is_dir(), reason="the real market data is not here: no folder ../shared/data"
)
# Wednesday before Independence Day: from 13:30 to 17:00 UTC
TRADES = {
    "2024-07-03T13:29:59": False,
    "2024-07-03T13:30:00": True,
    "2024-07-03T16:59:59": True,
    "2024-07-03T17:00:00": False,
    "2024-07-04T15:00:00": False,
    "2024-07-05T15:00:00": True,
}


def trades(folder: Path) -> Path:
    lines = "".join(f"{t}Z,{10 + k},{k}\n" for k, t in enumerate(TRADES))
    return write(folder, TICKS_HEADER + lines)


@pytest.mark.parametrize("batch_rows", [1, 2, 1000])
def test_trades_outside_of_the_sessions_are_left_out_and_counted(tmp_path: Path, batch_rows: int) -> None:
    feed = open_feed([source(trades(tmp_path), 0, hours="XNYS")], batch_rows)
    assert ticks(feed) == [(ns(t), 10 + k, k) for k, (t, keep) in enumerate(TRADES.items()) if keep]
    assert feed.outside_hours == 3
    assert feed.refused == {}
    assert feed.rows == 3


def test_without_hours_and_around_the_clock_all_trades_are_given(tmp_path: Path) -> None:
    for hours in (None, "24/7"):
        feed = open_feed([source(trades(tmp_path), 0, hours=hours)])
        assert len(ticks(feed)) == 6
        assert feed.outside_hours == 0


def test_rows_before_the_window_do_not_count_as_outside(tmp_path: Path) -> None:
    feed = open_feed([source(trades(tmp_path), 0, hours="XNYS", start=ns("2024-07-03T17:00:00"))])
    assert [t[0] for t in ticks(feed)] == [ns("2024-07-05T15:00:00")]
    assert feed.outside_hours == 2


def test_file_of_nothing_but_other_hours_is_an_error_that_says_so(tmp_path: Path) -> None:
    path = write(tmp_path, TICKS_HEADER + "2024-07-04T15:00:00Z,10,1\n")
    with pytest.raises(
        DataError, match=r"every row .* lies outside of the hours of XNYS; check the file's `timezone`"
    ):
        ticks(open_feed([source(path, 0, hours="XNYS")]))


@real
def test_extended_hours_of_real_minutes_are_left_out_and_390_bars_a_day_remain() -> None:
    path = DATA / "minute/spy_2013-10-04_2013-10-11.csv.gz"
    feed = open_feed([source(path, MINUTE, hours="XNYS")], 1000)
    read = bars(feed)
    frame = pd.read_csv(path, index_col="timestamp", parse_dates=True)
    local = frame.tz_convert("America/New_York").between_time("09:30", "16:00", inclusive="left")
    assert [b[4] for b in read] == local.close.tolist()
    assert set(local.groupby(pd.DatetimeIndex(local.index).date).size()) == {390}
    assert (len(read), feed.outside_hours, feed.bars) == (6 * 390, len(frame) - 6 * 390, 6 * 390)


@real
def test_regular_hours_follow_daylight_saving() -> None:
    path = DATA / "minute/spy_2011-03-01_2011-03-31.csv.gz"
    read = bars(open_feed([source(path, MINUTE, stamp="end", hours="XNYS")]))
    days = pd.Series(pd.to_datetime([b[0] for b in read])).groupby(lambda i: read[i][0] // (86_400 * 10**9))
    opens = {f"{d.min():%H:%M}" for _, d in days if d.min() < pd.Timestamp("2011-03-13")}
    later = {f"{d.min():%H:%M}" for _, d in days if d.min() > pd.Timestamp("2011-03-13")}
    assert (opens, later) == ({"14:30"}, {"13:30"})


@real
def test_extended_hours_of_real_trades_are_left_out() -> None:
    path = DATA / "ticks/spy_2013-10-07.parquet"
    feed = open_feed([Source("parquet", path, 0, "SPY", 0, hours="XNYS")])
    prices = [p for batch in feed for p in batch.price.tolist()]
    frame = pd.read_parquet(path, columns=["timestamp", "price"])
    regular = (frame.timestamp >= "2013-10-07T13:30Z") & (frame.timestamp < "2013-10-07T20:00Z")
    assert prices == frame.price[regular].tolist()
    assert feed.outside_hours == int((~regular).sum())
