"""Several sources as one: the order of their rows, whatever the blocks."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from daemon.data.feed import Source, open_feed
from daemon.data.merge import merge
from engine.records import RowKind
from tests.builders import cut, join, make_bars, make_ticks
from tests.unit.daemon.data.reading import BARS_HEADER, MINUTE, TICKS_HEADER, ns, rows, source, write

RANK = {RowKind.EXTREME: 0, RowKind.CLOSE: 1, RowKind.PRINT: 2}


def test_bars_of_one_day_are_merged_as_opens_then_extremes_then_closes_by_instrument(tmp_path: Path) -> None:
    text = BARS_HEADER + "2024-01-02,2,4,1,3,8\n2024-01-03,3,3,3,3,8\n"
    # instruments are given in another order than their indices
    sources = [source(write(tmp_path, text, f"{i}.csv"), instrument=i) for i in (1, 0)]
    end = ns("2024-01-03") - 1
    day = rows(open_feed(sources))[:8]
    assert [(r[0], r[2], r[3], r[5]) for r in day] == [
        (ns("2024-01-02"), 0, 2.0, RowKind.PRINT),
        (ns("2024-01-02"), 1, 2.0, RowKind.PRINT),
        (end, 0, 1.0, RowKind.EXTREME),  # the open of 2 is nearer to the low of 1 than to the high of 4
        (end, 0, 4.0, RowKind.EXTREME),
        (end, 1, 1.0, RowKind.EXTREME),
        (end, 1, 4.0, RowKind.EXTREME),
        (end, 0, 3.0, RowKind.CLOSE),
        (end, 1, 3.0, RowKind.CLOSE),
    ]


def test_print_at_the_time_of_a_close_comes_after_it(tmp_path: Path) -> None:
    bar = source(write(tmp_path, BARS_HEADER + "2024-01-02,2,4,1,3,8\n"), instrument=1)
    tick = source(
        write(tmp_path, TICKS_HEADER + "2024-01-02T23:59:59.999999999Z,5,1\n", "t.csv"), 0, instrument=0
    )
    assert [(r[2], r[5]) for r in rows(open_feed([tick, bar]))] == [
        (1, RowKind.PRINT),
        (1, RowKind.EXTREME),
        (1, RowKind.EXTREME),
        (1, RowKind.CLOSE),
        (0, RowKind.PRINT),
    ]


def test_two_files_of_one_instrument_keep_their_order_at_equal_times(tmp_path: Path) -> None:
    first = source(write(tmp_path, TICKS_HEADER + "2024-01-02,1,1\n2024-01-02,2,1\n", "1.csv"), 0)
    second = source(write(tmp_path, TICKS_HEADER + "2024-01-02,3,1\n2024-01-02,4,1\n", "2.csv"), 0)
    assert [r[3] for r in rows(open_feed([second, first]))] == [3.0, 4.0, 1.0, 2.0]


prices = st.integers(1, 99).map(float)
tick_streams = st.lists(st.tuples(st.integers(0, 30), prices), max_size=30).map(
    lambda t: make_ticks([(10 * at, price, 1.0) for at, price in sorted(t, key=lambda x: x[0])])
)
bar_streams = st.lists(prices, max_size=8).map(lambda opens: make_bars([(o, o, o, o) for o in opens], 40))


@given(st.lists(st.one_of(tick_streams, bar_streams), min_size=1, max_size=4), st.data())
def test_any_streams_in_any_blocks_merged_are_all_rows_sorted(
    streams: list[Any], data: st.DataObject
) -> None:
    streams = [s._replace(instrument=np.full(len(s.price), i, np.int32)) for i, s in enumerate(streams)]
    blocks = []
    for stream in streams:
        cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(stream.price) - 1)), max_size=6)))
        edges = [0, *(c for c in cuts if c < len(stream.price)), len(stream.price)]
        blocks.append([cut(stream, a, b) for a, b in pairwise(edges) if a < b])
    everything = [row for s in streams for row in zip(*(c.tolist() for c in s), strict=True)]
    expected = sorted(everything, key=lambda r: (r[0], RANK[r[5]], r[2]))  # stable
    merged = list(merge([iter(b) for b in blocks]))
    assert (rows_of(join(*merged)) if merged else []) == expected
    assert all(m.ts_recv is m.ts_event for m in merged if len(merged) > 1)


def rows_of(ticks: Any) -> list[tuple[Any, ...]]:
    return list(zip(*(c.tolist() for c in ticks), strict=True))


def test_merge_never_holds_more_than_about_a_block_of_each_stream() -> None:
    n_streams, n_blocks = 5, 40
    ahead = dict.fromkeys(range(n_streams), 0)
    given_out = dict.fromkeys(range(n_streams), 0)

    def blocks(i: int) -> Any:
        for b in range(n_blocks):
            ahead[i] += 1
            yield make_ticks([(10 * (100 * b + k) + i, 1.0) for k in range(100)], i)

    for ticks in merge([blocks(i) for i in range(n_streams)]):
        for i in range(n_streams):
            given_out[i] += int((ticks.instrument == i).sum())
            assert ahead[i] - given_out[i] / 100 <= 2
    assert list(given_out.values()) == [100 * n_blocks] * n_streams


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> list[Source]:
    """Ticks from Parquet, bars from CSV with a defect, and ticks from CSV, over the same hours."""
    folder = tmp_path_factory.mktemp("mixed")
    random = np.random.default_rng(5)
    start = ns("2024-01-02")
    ts = start + np.sort(random.integers(0, 3600, 500)) * 10**9
    table = pa.table({"ts": pa.array(ts, pa.timestamp("ns")), "price": random.uniform(1, 9, 500), "size": random.uniform(0, 9, 500)})  # fmt: skip
    parquet.write_table(table, folder / "a.parquet", row_group_size=77)
    lines = [
        f"{1704153600 + 60 * i},5,{9 if i % 7 else 1},2,5,{i}\n" for i in range(60)
    ]  # every seventh has high < low
    bars_path = write(folder, "t,o,h,l,c,v\n" + "".join(lines), "b.csv")
    trades = [f"{1704153600000 + 999 * i},7,{i}\n" for i in range(300)]
    trades_path = write(folder, "time,price,qty\n" + "".join(trades), "c.csv")
    return [
        source(folder / "a.parquet", 0, instrument=0),
        source(bars_path, MINUTE, instrument=1, skip_bad_rows=True),
        source(trades_path, 0, instrument=2),
    ]


@given(batch_rows=st.integers(1, 1200))
def test_any_size_of_batches_gives_the_same_rows_and_counts(mixed: list[Source], batch_rows: int) -> None:
    whole = open_feed(mixed)
    expected = rows(whole)
    feed = open_feed(mixed, batch_rows)
    got = []
    for batch in feed:
        assert 0 < len(batch.price) <= batch_rows
        assert batch.ts_recv is batch.ts_event
        got += rows_of(batch)
    assert got == expected
    assert feed.refused == whole.refused == {"high below low": 9}
    assert (feed.rows, feed.bars, feed.first_ts, feed.last_ts) == (
        500 + 300 + 4 * 51,
        51,
        expected[0][0],
        expected[-1][0],
    )
    assert feed.progress == 1.0
