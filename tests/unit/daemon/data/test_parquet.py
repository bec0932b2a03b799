"""Parquet: every type that holds the times and numbers it should, without copies where it fits."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from daemon.data.errors import DataError
from daemon.data.feed import open_feed
from engine.records import DAY
from tests.unit.daemon.data.reading import MINUTE, bars, ns, source, ticks

T = "2024-07-01T13:30:00"
TIMES = [datetime(2024, 7, 1, 13, 30, tzinfo=UTC), datetime(2024, 7, 1, 13, 30, 1, tzinfo=UTC)]
NAIVE = [t.replace(tzinfo=None) for t in TIMES]
NEW_YORK = [t.replace(tzinfo=None) - timedelta(hours=4) for t in TIMES]
SECONDS = [int(t.timestamp()) for t in TIMES]


def write_table(folder: Path, name: str = "a.parquet", **columns: Any) -> Path:
    path = folder / name
    parquet.write_table(pa.table(columns), path, row_group_size=1000)
    return path


@pytest.mark.parametrize(
    ("times", "zone"),
    [
        pytest.param(pa.array(TIMES, pa.timestamp(unit, "UTC")), "Asia/Tokyo", id=f"{unit} UTC")
        for unit in ("s", "ms", "us", "ns")
    ]
    + [
        pytest.param(pa.array(TIMES, pa.timestamp("ms", "America/New_York")), "UTC", id="ms New York"),
        pytest.param(pa.array(NAIVE, pa.timestamp("us")), "UTC", id="us without zone"),
        pytest.param(pa.array(NEW_YORK, pa.timestamp("s")), "America/New_York", id="s in the zone given"),
        pytest.param(pa.array(SECONDS, pa.int32()), "UTC", id="int32 s"),
        pytest.param(pa.array([s * 10**3 for s in SECONDS]), "UTC", id="int64 ms"),
        pytest.param(pa.array([s * 10**6 for s in SECONDS], pa.uint64()), "UTC", id="uint64 us"),
        pytest.param(pa.array([s * 10**9 for s in SECONDS]), "UTC", id="int64 ns"),
        pytest.param(pa.array([float(s) for s in SECONDS]), "UTC", id="double s"),
        pytest.param(pa.array([t.isoformat() for t in TIMES], pa.large_string()), "UTC", id="text"),
        pytest.param(pa.array([f"{t:%Y%m%d%H%M%S}" for t in TIMES]), "UTC", id="compact text"),
        pytest.param(pa.array([int(f"{t:%Y%m%d%H%M%S}") for t in TIMES]), "UTC", id="compact integers"),
    ],
)
def test_times_of_any_type_are_read_exactly(tmp_path: Path, times: Any, zone: str) -> None:
    path = write_table(tmp_path, timestamp=times, price=[1.5, 2.5], size=[1.0, 2.0])
    start = ns(T)
    read = ticks(open_feed([source(path, 0, timezone=zone)]))
    assert read == [(start, 1.5, 1.0), (start + 10**9, 2.5, 2.0)]


@pytest.mark.parametrize(
    "numbers",
    [
        pa.array([1, 2], pa.int64()),
        pa.array([1, 2], pa.uint8()),
        pa.array([1.0, 2.0], pa.float32()),
        pa.array([Decimal("1.00"), Decimal("2.00")]),
        pa.array(["1", "2.0"]),
        pa.array(["1", "2"]).dictionary_encode(),
    ],
)
def test_numbers_of_any_type_are_read(tmp_path: Path, numbers: Any) -> None:
    path = write_table(tmp_path, ts=TIMES, last=numbers, qty=numbers)
    assert [t[1:] for t in ticks(open_feed([source(path, 0)]))] == [(1.0, 1.0), (2.0, 2.0)]


def test_size_beyond_what_a_double_counts_is_rounded(tmp_path: Path) -> None:
    path = write_table(tmp_path, ts=TIMES[:1], price=[1.0], size=[2**53 + 1])
    assert ticks(open_feed([source(path, 0)]))[0][2] == float(2**53 + 1)


def test_daily_bars_in_a_zone_keep_their_calendar_days(tmp_path: Path) -> None:
    midnights = pa.array([datetime(2024, 3, 10, 5, tzinfo=UTC), datetime(2024, 3, 11, 4, tzinfo=UTC)], pa.timestamp("ns", "America/New_York"))  # fmt: skip
    one = [1.0, 1.0]
    for times in (
        midnights,
        pa.array([date(2024, 3, 10), date(2024, 3, 11)]),
        pa.array([20240310, 20240311]),
    ):
        path = write_table(tmp_path, date=times, open=one, high=one, low=one, close=one)
        assert [b[0] for b in bars(open_feed([source(path, DAY)]))] == [ns("2024-03-10"), ns("2024-03-11")]


def test_date_and_time_of_day_in_two_columns_are_one_time(tmp_path: Path) -> None:
    one = [1.0]
    path = write_table(
        tmp_path, date=[date(2024, 7, 1)], time=[time(13, 30)], open=one, high=one, low=one, close=one
    )
    assert [b[0] for b in bars(open_feed([source(path, MINUTE)]))] == [ns(T)]


def test_columns_that_fit_are_not_copied(tmp_path: Path) -> None:
    n = 5000
    ts = ns(T) + np.arange(n)
    path = write_table(tmp_path, ts=pa.array(ts, pa.timestamp("ns", "UTC")), price=np.arange(1.0, n + 1), size=np.ones(n))  # fmt: skip
    for batch in open_feed([source(path, 0)], 1000):
        for column in (batch.ts_event, batch.price, batch.size):
            assert not column.flags.owndata
            assert not column.flags.writeable  # Arrow's own memory


def test_constant_columns_are_shared_between_batches(tmp_path: Path) -> None:
    path = write_table(tmp_path, ts=[1, 2, 3, 4], price=[1.0] * 4, size=[1.0] * 4)
    first, second = open_feed([source(path, 0, time_format="ns", instrument=7)], 2)
    assert np.shares_memory(first.flags, second.flags)
    assert np.shares_memory(first.instrument, second.instrument)
    assert second.instrument.tolist() == [7, 7]


def test_rows_of_one_symbol_are_picked(tmp_path: Path) -> None:
    symbols = pa.array(["IBM", "AAPL", None, "AAPL"]).dictionary_encode()
    path = write_table(tmp_path, ts=[1, 2, 3, 4], price=[9.0, 1.0, 9.0, 2.0], size=[1.0] * 4, symbol=symbols)
    feed = open_feed([source(path, 0, time_format="ns")])
    assert ticks(feed) == [(2, 1.0, 1.0), (4, 2.0, 1.0)]
    with pytest.raises(DataError, match="no row of KO; it has IBM, AAPL"):
        ticks(open_feed([source(path, 0, time_format="ns", name="KO")], 2))


def test_hint_is_the_number_of_rows_that_the_files_name(tmp_path: Path) -> None:
    one = [1.0, 1.0]
    write_table(tmp_path, "1.parquet", ts=[1, 2], price=one, size=one)
    write_table(tmp_path, "2.parquet", ts=[3, 4], price=one, size=one)
    feed = open_feed([source(tmp_path, 0, kind="parquet", time_format="ns")])
    assert feed.total_rows_hint == 4
    assert len(ticks(feed)) == 4
    bar = write_table(tmp_path, "bar.parquet", date=[date(2024, 1, 2)], open=[1.0], high=[1.0], low=[1.0], close=[1.0])  # fmt: skip
    assert open_feed([source(bar)]).total_rows_hint == 4


def test_column_of_an_impossible_type_is_refused(tmp_path: Path) -> None:
    path = write_table(tmp_path, ts=[1, 2], price=[[1.0], [2.0]], size=[1.0, 2.0])
    with pytest.raises(
        DataError, match=r"a\.parquet: price: a column of list<.*> is no number; name another column"
    ):
        ticks(open_feed([source(path, 0)]))
    path = write_table(tmp_path, ts=[True, False], price=[1.0, 2.0], size=[1.0, 2.0])
    with pytest.raises(DataError, match=r"a\.parquet: ts: a column of bool is no time"):
        ticks(open_feed([source(path, 0)]))


def test_file_that_is_broken_is_refused(tmp_path: Path) -> None:
    path = write_table(
        tmp_path, ts=list(range(9999)), price=[1.5 + i for i in range(9999)], size=[1.0] * 9999
    )
    content = path.read_bytes()
    path.write_bytes(content[:-99])
    with pytest.raises(DataError, match=r"a\.parquet: the Parquet file cannot be read"):
        open_feed([source(path, 0)])
    path.write_bytes(content[:4] + b"\xff" * 40_000 + content[40_004:])
    with pytest.raises(DataError, match=r"a\.parquet:1: the Parquet file is broken"):
        ticks(open_feed([source(path, 0)]))
    with pytest.raises(DataError, match="cannot be read"):
        open_feed([source(tmp_path / "none.parquet", 0)])
