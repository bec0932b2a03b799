"""The feed as its users see it: windows, stamps, the sample, counts, and what it refuses."""

import csv
import gzip
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.data.errors import DataError
from daemon.data.feed import Source, open_feed
from daemon.data.sample import sample_instruments, sample_path
from engine.records import DAY, TICK_DTYPES, RowKind
from tests.unit.daemon.data.reading import (
    BARS_HEADER,
    HOUR,
    MINUTE,
    TICKS_HEADER,
    bars,
    ns,
    read_bars,
    read_ticks,
    rows,
    source,
    ticks,
    write,
)

WEEK = BARS_HEADER + "".join(f"2024-01-0{day},{day},{day},{day},{day},4\n" for day in range(1, 8))


def test_bar_is_played_as_open_low_high_close_with_a_quarter_of_the_volume_each(tmp_path: Path) -> None:
    path = write(tmp_path, BARS_HEADER + "2024-01-02,2,4,1,3,8\n")
    start, end = ns("2024-01-02"), ns("2024-01-03") - 1
    assert rows(open_feed([source(path, instrument=3)])) == [
        (start, start, 3, 2.0, 2.0, RowKind.PRINT),
        (end, end, 3, 1.0, 2.0, RowKind.EXTREME),
        (end, end, 3, 4.0, 2.0, RowKind.EXTREME),
        (end, end, 3, 3.0, 2.0, RowKind.CLOSE),
    ]


def test_batches_have_the_columns_that_the_engine_takes(tmp_path: Path) -> None:
    for bar_ns, text in ((DAY, WEEK), (0, TICKS_HEADER + "2024-01-02,5,1\n" * 9)):
        for batch in open_feed([source(write(tmp_path, text), bar_ns)], 5):
            assert tuple(c.dtype for c in batch) == TICK_DTYPES
            assert all(c.flags.c_contiguous for c in batch)
            assert batch.ts_recv is batch.ts_event
            assert 0 < len(batch.price) <= 5


@pytest.mark.parametrize("batch_rows", [1, 3, 1000])
def test_window_keeps_its_start_and_leaves_out_its_end(tmp_path: Path, batch_rows: int) -> None:
    path = write(tmp_path, WEEK)
    feed = open_feed([source(path, start=ns("2024-01-03"), end=ns("2024-01-05"))], batch_rows)
    assert [b[1] for b in bars(feed)] == [3.0, 4.0]
    assert (feed.bars, feed.rows, feed.progress) == (2, 8, 1.0)
    assert (feed.first_ts, feed.last_ts) == (ns("2024-01-03"), ns("2024-01-05") - 1)


def test_what_lies_after_the_window_is_not_checked_but_what_lies_before_is(tmp_path: Path) -> None:
    good, bad = "2024-01-02,5,1\n", "2024-01-03,-1,1\n"
    end = ns("2024-01-03")
    assert len(read_ticks(tmp_path, TICKS_HEADER + good * 9 + "2024-01-04,1,1\n", end=end)) == 9
    path = write(tmp_path, TICKS_HEADER + good + "2024-01-04,1,1\n" + bad)
    assert ticks(open_feed([source(path, 0, end=end)], 1)) == [(ns("2024-01-02"), 5.0, 1.0)]
    with pytest.raises(DataError, match=r":3: price: -1 is no positive number"):
        read_ticks(tmp_path, TICKS_HEADER + good + bad + "2024-01-04,1,1\n", start=ns("2024-01-04"))


def test_window_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no row lies in the time asked for; widen `start` and `end`"):
        read_bars(tmp_path, WEEK, start=ns("2025-01-01"))


def test_bars_stamped_at_their_end_begin_a_duration_earlier(tmp_path: Path) -> None:
    text = BARS_HEADER + "2024-01-02T10:01:00Z,1,1,1,1,1\n"
    assert [b[0] for b in read_bars(tmp_path, text, MINUTE, stamp="end")] == [ns("2024-01-02T10:00:00")]
    assert [b[0] for b in read_bars(tmp_path, text, MINUTE, stamp="start")] == [ns("2024-01-02T10:01:00")]
    assert [b[0] for b in read_bars(tmp_path, text, MINUTE)] == [ns("2024-01-02T10:01:00")]


@pytest.mark.parametrize(
    ("stamp", "time", "days", "start"),
    [
        ("start", "2024-01-02 16:00:00", 1, "2024-01-02"),  # the close of the day dates the day
        ("end", "2024-01-02 16:00:00", 1, "2024-01-02"),
        ("end", "2024-01-03", 1, "2024-01-02"),  # midnight ends the day before
        ("end", "2024-01-09", 7, "2024-01-02"),
        ("start", "2024-01-02", 7, "2024-01-02"),
    ],
)
def test_bars_of_whole_days_are_dated_by_their_day(
    tmp_path: Path, stamp: str, time: str, days: int, start: str
) -> None:
    read = read_bars(
        tmp_path, f"{BARS_HEADER}{time},1,1,1,1,1\n", days * DAY, stamp=stamp, timezone="Asia/Tokyo"
    )
    assert [b[0] for b in read] == [ns(start)]


def test_times_without_zone_are_in_the_zone_given_and_others_in_their_own(tmp_path: Path) -> None:
    text = TICKS_HEADER + "2024-07-01 09:30:00,1,1\n2024-07-01 13:30:00Z,1,1\n"
    times = [t[0] for t in read_ticks(tmp_path, text, timezone="America/New_York")]
    assert times == [ns("2024-07-01T13:30:00")] * 2


@pytest.mark.parametrize(
    ("time_format", "time", "expected"),
    [
        ("%d/%m/%Y %H:%M", "2/1/2024 15:30", "2024-01-02T15:30:00"),
        ("%Y-%m-%dT%H:%M:%S.%f", "2024-01-02T15:30:00.000000", "2024-01-02T15:30:00"),
        ("%Y-%m-%dT%H:%M:%S%z", "2024-01-02T15:30:00+0100", "2024-01-02T14:30:00"),
        ("s", "1704209400", "2024-01-02T15:30:00"),
        ("ms", "1704209400000", "2024-01-02T15:30:00"),
        ("us", "1704209400000000", "2024-01-02T15:30:00"),
        ("ns", "1704209400000000000", "2024-01-02T15:30:00"),
        ("s", "5", "1970-01-01T00:00:05"),
        ("s", "-5", "1969-12-31T23:59:55"),
        (None, "1704209400", "2024-01-02T15:30:00"),
        (None, "1704209400000", "2024-01-02T15:30:00"),
        (None, "1704209400000000", "2024-01-02T15:30:00"),
        (None, "1704209400000000000", "2024-01-02T15:30:00"),
        (None, "20240102", "2024-01-02"),
        (None, "20240102153000", "2024-01-02T15:30:00"),
        (None, "2024-01-02 15:30", "2024-01-02T15:30:00"),
        (None, "2024-01-02T16:30:00+01", "2024-01-02T15:30:00"),
    ],
)
def test_time_as_written_is_read_exactly(
    tmp_path: Path, time_format: str | None, time: str, expected: str
) -> None:
    assert read_ticks(tmp_path, f"{TICKS_HEADER}{time},1,1\n", time_format=time_format) == [
        (ns(expected), 1.0, 1.0)
    ]


def test_nanoseconds_are_kept(tmp_path: Path) -> None:
    read = read_ticks(tmp_path, TICKS_HEADER + "2024-01-02T15:30:00.123456789Z,1,1\n")
    assert read[0][0] == ns("2024-01-02T15:30:00") + 123_456_789


@pytest.mark.parametrize("time", ["99999999999", "99999999999.5", "3000-01-01"])
def test_time_beyond_the_range_of_nanoseconds_is_refused(tmp_path: Path, time: str) -> None:
    with pytest.raises(DataError, match=rf":2: timestamp: '{time}' is no time"):
        read_ticks(tmp_path, f"{TICKS_HEADER}{time},1,1\n")


def test_feed_says_how_far_it_is(tmp_path: Path) -> None:
    path = write(tmp_path, TICKS_HEADER + "2024-01-02,5,1\n" * 1000)
    feed = open_feed([source(path, 0)], 10)
    seen = [feed.progress for _ in feed]
    assert seen == sorted(seen)
    assert 0.0 < seen[0] < 0.2
    assert seen[-1] == 1.0
    assert feed.total_rows_hint is None


def test_feed_iterated_twice_is_a_mistake(tmp_path: Path) -> None:
    feed = open_feed([source(write(tmp_path, WEEK))])
    rows(feed)
    with pytest.raises(RuntimeError, match="one pass"):
        rows(feed)


def test_folder_of_files_is_read_in_the_order_of_names_as_one(tmp_path: Path) -> None:
    write(tmp_path, BARS_HEADER + "2024-01-03,3,3,3,3,1\n", "b.csv")
    write(tmp_path, "date,open,high,low,close\n2024-01-02,2,2,2,2\n", "a.csv")
    write(tmp_path, "not data", "README.txt")
    assert [b[1] for b in bars(open_feed([source(tmp_path)]))] == [2.0, 3.0]
    last = write(tmp_path, BARS_HEADER + "2024-01-03,3,3,3,3,1\n", "c.csv")
    with pytest.raises(DataError, match=f"^{last}:2: timestamp: a second bar"):
        bars(open_feed([source(tmp_path)]))


def test_sample_gives_the_bars_of_its_file() -> None:
    assert sample_instruments() == ("AAPL", "GOOG", "IBM", "MSFT")
    with gzip.open(sample_path(), "rt") as file:
        lines = list(csv.DictReader(file))
    for name in sample_instruments():
        mine = [line for line in lines if line["Ticker"] == name]
        prices = [r for r in rows(open_feed([Source("sample", None, 0, name, DAY)])) if r[5] < RowKind.SPLIT]
        opens, closes = ([r for r in prices if r[5] == kind] for kind in (RowKind.PRINT, RowKind.CLOSE))
        extremes = [sorted(r[3] for r in prices[i + 1 : i + 3]) for i in range(0, len(prices), 4)]
        assert [(r[0], r[3], 4 * r[4]) for r in opens] == [
            (ns(line["Date"]), float(line["Open"]), float(line["Volume"])) for line in mine
        ]
        assert extremes == [[float(line["Low"]), float(line["High"])] for line in mine]
        assert [r[3] for r in closes] == [float(line["Close"]) for line in mine]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (Source("sample", None, 0, "TSLA", DAY), "the sample has no TSLA; it has AAPL, GOOG, IBM, MSFT"),
        (Source("sample", None, 0, "IBM", HOUR), "the sample of IBM is daily; write `bar: 1d`"),
        (Source("csv", None, 0, "IBM", DAY), "the csv source of IBM has no file; give its `path`"),
        (Source("excel", None, 0, "IBM", DAY), "there is no source 'excel'; there are csv, parquet, catalog, sample and synthetic"),
    ],
)  # fmt: skip
def test_source_that_cannot_be_is_refused(wrong: Source, message: str) -> None:
    with pytest.raises(DataError) as refused:
        open_feed([wrong])
    assert str(refused.value) == message


def test_nothing_to_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no data"):
        open_feed([])
    with pytest.raises(DataError, match=r"the folder has no \.csv or \.csv\.gz or \.zip file; correct"):
        open_feed([source(tmp_path)])
    with pytest.raises(ValueError, match="batch_rows is 0"):
        open_feed([source(tmp_path)], 0)


def test_module_imported_loads_nothing_heavy() -> None:
    code = "import sys, daemon.data.feed, daemon.data.sample; print({'numpy', 'pyarrow', 'numba'} & sys.modules.keys())"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "set()\n"
