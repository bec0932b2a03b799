"""Each defect: refused with its place, or set aside and counted; never used."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from daemon.data.errors import DataError
from daemon.data.feed import open_feed
from engine.records import DAY
from tests.unit.daemon.data.reading import (
    BARS_HEADER,
    HOUR,
    MINUTE,
    TICKS_HEADER,
    bars,
    ns,
    read_bars,
    read_ticks,
    source,
    ticks,
    write,
)

FIX = "correct the row"
SORT = "sort the file by time"
TWICE = "remove one of the two"

# what stands on line 4 of a file of daily bars, between two good rows and a good one of 2024-01-09
BAD_BARS = [
    ("2024-01-04,1,1,1", "", "broken line", "4 fields instead of 6", FIX),
    ("2024-01-04,1,1,1,1,1,1", "", "broken line", "7 fields instead of 6", FIX),
    ('2024-01-04,"1,1,1,1,1', "", "broken line", "a quote is not closed", FIX),
    ("2024-01-04,1,1\r,1,1,1", "", "broken line", "a carriage return stands inside the line", FIX),
    (",,,,,", "timestamp", "unreadable time", "it is empty", FIX),
    (",1,1,1,1,1", "timestamp", "unreadable time", "it is empty", FIX),
    ("2024-13-04,1,1,1,1,1", "timestamp", "unreadable time", "'2024-13-04' is no time", FIX),
    ("2024-01-04,one,1,1,1,1", "open", "unreadable number", "'one' is no number", FIX),
    ("2024-01-04,1,1,null,1,1", "low", "unreadable number", "'null' is no number", FIX),
    ("2024-01-04,1,1,1,,1", "close", "unreadable number", "it is empty", FIX),
    ('2024-01-04,"1,000",1,1,1,1', "open", "unreadable number", "'1,000' is no number", FIX),
    ("2024-01-04,1_0,1,1,1,1", "open", "unreadable number", "'1_0' is no number", FIX),
    ("2024-01-04,nan,1,1,1,1", "open", "price is no positive number", "nan is no positive number", FIX),
    ("2024-01-04,1,inf,1,1,1", "high", "price is no positive number", "inf is no positive number", FIX),
    ("2024-01-04,1,1,0,1,1", "low", "price is no positive number", "0 is no positive number", FIX),
    ("2024-01-04,-1,1,-1,1,1", "open", "price is no positive number", "-1 is no positive number", FIX),
    ("2024-01-04,1,1,1,1,-5", "volume", "size is negative or no number", "-5 is negative or no number", FIX),
    ("2024-01-04,1,1,1,1,NaN", "volume", "size is negative or no number", "nan is negative or no number", FIX),
    ("2024-01-04,2,1,3,2,1", "high", "high below low", "the high of 1.0 is below the low of 3.0", FIX),
    ("2024-01-04,4,3,1,2,1", "open", "open or close outside low and high", "4.0 is outside the low of 1.0 and the high of 3.0", FIX),
    ("2024-01-04,2,3,1,0.5,1", "close", "open or close outside low and high", "0.5 is outside the low of 1.0 and the high of 3.0", FIX),
    ("2024-01-02,1,1,1,1,1", "timestamp", "time goes back", "2024-01-02T00:00:00Z comes after 2024-01-03T00:00:00Z", SORT),
    ("2024-01-03,1,1,1,1,1", "timestamp", "second bar of the same time", "a second bar of 2024-01-03T00:00:00Z", TWICE),
]  # fmt: skip
GOOD_DAYS = ["2024-01-02", "2024-01-03", "2024-01-09"]


def bad_bars(row: str) -> str:
    good = [f"{day},1,1,1,1,1\n" for day in GOOD_DAYS]
    return BARS_HEADER + good[0] + good[1] + row + "\n" + good[2]


@pytest.mark.parametrize("block_rows", [1, 5, 1000])
@pytest.mark.parametrize(("row", "field", "reason", "problem", "remedy"), BAD_BARS)
def test_bad_bar_is_refused_with_file_line_and_field(
    tmp_path: Path, row: str, field: str, reason: str, problem: str, remedy: str, block_rows: int
) -> None:
    path = write(tmp_path, bad_bars(row))
    with pytest.raises(DataError) as refused:
        bars(open_feed([source(path)], block_rows))
    place = f"{path}:4: {field}: " if field else f"{path}:4: "
    assert str(refused.value).startswith(f"{place}{problem}; {remedy}")
    assert "`on_bad_row: skip`" in str(refused.value)


@pytest.mark.parametrize("block_rows", [1, 5, 1000])
@pytest.mark.parametrize(("row", "field", "reason", "problem", "remedy"), BAD_BARS)
def test_bad_bar_skipped_is_counted_by_reason_and_the_rest_is_used(
    tmp_path: Path, row: str, field: str, reason: str, problem: str, remedy: str, block_rows: int
) -> None:
    feed = open_feed([source(write(tmp_path, bad_bars(row)), skip_bad_rows=True)], block_rows)
    assert [b[0] for b in bars(feed)] == [ns(day) for day in GOOD_DAYS]
    assert feed.refused == {reason: 1}
    assert feed.bars == 3


BAD_TICKS = [
    ("2024-01-04T10:00:00Z,0,1", "price", "price is no positive number"),
    ("2024-01-04T10:00:00Z,nan,1", "price", "price is no positive number"),
    ("2024-01-04T10:00:00Z,inf,1", "price", "price is no positive number"),
    ("2024-01-04T10:00:00Z,1,-1", "size", "size is negative or no number"),
    ("2024-01-04T10:00:00Z,1,nan", "size", "size is negative or no number"),
    ("2024-01-04T10:00:00Z,1,inf", "size", "size is negative or no number"),
    ("2024-01-04T09:59:59.999Z,1,1", "timestamp", "time goes back"),
    ("yesterday,1,1", "timestamp", "unreadable time"),
]


@pytest.mark.parametrize(("row", "field", "reason"), BAD_TICKS)
def test_bad_tick_is_refused_at_its_place_or_counted(
    tmp_path: Path, row: str, field: str, reason: str
) -> None:
    good = "2024-01-04T10:00:00Z,5,0\n"
    path = write(tmp_path, TICKS_HEADER + good + row + "\n" + good)
    with pytest.raises(DataError, match=f"^{path}:3: {field}: "):
        ticks(open_feed([source(path, 0)]))
    feed = open_feed([source(path, 0, skip_bad_rows=True)])
    # two trades at one time are two trades, also of size 0
    assert ticks(feed) == [(ns("2024-01-04T10:00:00"), 5.0, 0.0)] * 2
    assert feed.refused == {reason: 1}


def test_quotes_that_pair_over_two_lines_are_refused(tmp_path: Path) -> None:
    # an even number in the line, but the first is part of a text: the second opens a field that the next line closes
    text = 'time,price,size,note,more\n2024-01-04,5,1,5",x,"y\n2024-01-05,5,1,x,y\n2024-01-06,5,1,x,"y"\n'
    for skip in (False, True):
        with pytest.raises(
            DataError, match=r"a\.csv:2: quotes do not pair in the 3 lines from here on; correct them"
        ):
            read_ticks(tmp_path, text, skip_bad_rows=skip)


def test_several_bad_rows_in_a_block_refused_name_the_first_line(tmp_path: Path) -> None:
    text = TICKS_HEADER + "2024-01-04,5,1\n2024-01-03,5,1\n2024-01-05,-5,1\nx,5,1\n1\n"
    with pytest.raises(DataError, match=r"a\.csv:3: timestamp: "):
        read_ticks(tmp_path, text)


@pytest.mark.parametrize("block_rows", [1, 7, 100, 1000])
def test_bad_row_far_down_is_named_by_its_line_in_blocks_of_any_size(tmp_path: Path, block_rows: int) -> None:
    lines = ["2024-01-04,5,1\n"] * 400
    lines[100] = "\n"  # a blank line is a line
    lines[200], lines[300] = "1\n", "2024-01-04,x,1\n"
    path = write(tmp_path, TICKS_HEADER + "".join(lines))
    with pytest.raises(DataError, match=r":202: 1 field instead of 3"):
        ticks(open_feed([source(path, 0)], block_rows))
    lines[200] = "\n"
    path = write(tmp_path, TICKS_HEADER + "".join(lines))
    with pytest.raises(DataError, match=r":302: price: 'x' is no number"):
        ticks(open_feed([source(path, 0)], block_rows))


def test_row_with_a_bad_value_and_a_far_time_does_not_hide_the_rows_after_it(tmp_path: Path) -> None:
    feed = open_feed(
        [source(write(tmp_path, TICKS_HEADER + "2024-01-04,5,1\n2099-01-01,0,1\n2024-01-05,5,1\n"), 0, skip_bad_rows=True)]
    )  # fmt: skip
    assert len(ticks(feed)) == 2
    assert feed.refused == {"price is no positive number": 1}


def test_bars_closer_than_their_duration_are_refused(tmp_path: Path) -> None:
    text = BARS_HEADER + "2024-01-04T10:00:00Z,1,1,1,1,1\n2024-01-04T10:01:00Z,1,1,1,1,1\n"
    with pytest.raises(DataError, match=r"a\.csv:3: timestamp: .* lasts 3600 s; write the duration of the file's bars as `bar`"):  # fmt: skip
        read_bars(tmp_path, text, HOUR)
    assert len(read_bars(tmp_path, text, MINUTE)) == 2


@pytest.mark.parametrize("skip", [False, True])
def test_file_with_the_newest_first_is_refused_with_a_hint(tmp_path: Path, skip: bool) -> None:
    text = BARS_HEADER + "".join(f"2024-01-{day:02},1,1,1,1,1\n" for day in range(9, 1, -1))
    for block_rows in (1, 100):
        with pytest.raises(
            DataError, match=r"a\.csv:3: timestamp: the rows are newest first; sort the file by time"
        ):
            bars(open_feed([source(write(tmp_path, text), skip_bad_rows=skip)], block_rows))


def test_file_that_only_begins_with_a_backward_step_gets_no_such_hint(tmp_path: Path) -> None:
    days = [9, 8, 7, 6, 10]
    text = BARS_HEADER + "".join(f"2024-01-{day:02},1,1,1,1,1\n" for day in days)
    for block_rows in (1, 100):
        path = write(tmp_path, text)
        with pytest.raises(DataError, match=r":3: timestamp: 2024-01-08T00:00:00Z comes after"):
            bars(open_feed([source(path)], block_rows))
        feed = open_feed([source(path, skip_bad_rows=True)], block_rows)
        assert [b[0] for b in bars(feed)] == [ns("2024-01-09"), ns("2024-01-10")]
        assert feed.refused == {"time goes back": 3}


def test_file_of_bad_rows_only_skipped_is_refused_all_the_same(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"every row was set aside \(2 x price is no positive number\)"):
        read_ticks(tmp_path, TICKS_HEADER + "2024-01-04,0,1\n2024-01-04,-1,1\n", skip_bad_rows=True)


def test_text_that_is_not_utf8_hurts_only_where_it_is_a_value(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"timestamp,price,size,note\n2024-01-04,5,1,caf\xe9\n2024-01-04,\xe9,1,\n")
    with pytest.raises(DataError, match=r"a\.csv:3: price: '\ufffd' is no number"):
        ticks(open_feed([source(path, 0)]))


def test_local_time_that_does_not_exist_or_exists_twice_is_refused(tmp_path: Path) -> None:
    # Berlin: 2024-03-31 has no 02:30, 2024-10-27 has it twice
    for time in ("2024-03-31 02:30", "2024-10-27 02:30"):
        with pytest.raises(DataError, match=rf":3: timestamp: '{time}' is no time, or not a single one in Europe/Berlin"):  # fmt: skip
            read_ticks(
                tmp_path, f"{TICKS_HEADER}2024-01-04 02:30,5,1\n{time},5,1\n", timezone="Europe/Berlin"
            )


def test_bad_rows_of_parquet_are_refused_by_row_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    columns: dict[str, list[Any]] = {
        "timestamp": [1, 2, None, 4, 3, 5, 6],
        "price": [5.0, None, 5.0, float("nan"), 5.0, 5.0, 5.0],
        "size": [1, 1, 1, 1, 1, -1, 1],
    }
    parquet.write_table(pa.table(columns), path)
    for batch in (1, 2, 100):
        with pytest.raises(DataError, match=r"a\.parquet:2: price: it is empty; "):
            ticks(open_feed([source(path, 0, time_format="ns")], batch))
        feed = open_feed([source(path, 0, time_format="ns", skip_bad_rows=True)], batch)
        assert ticks(feed) == [(1, 5.0, 1.0), (3, 5.0, 1.0), (6, 5.0, 1.0)]
        assert feed.refused == {
            "unreadable number": 1,
            "unreadable time": 1,
            "price is no positive number": 1,
            "size is negative or no number": 1,
        }


@given(
    st.lists(
        st.one_of(
            st.sampled_from([row for row, *_ in BAD_BARS] + ["", "  "]),
            st.integers(1, 28).map(lambda day: f"2024-02-{day:02},5,6,4,5,7"),
        ),
        min_size=1,
        max_size=40,
    ),
    st.integers(1, 20),
)
def test_any_mixture_of_rows_in_any_blocks_skipped_gives_what_a_plain_loop_gives(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], block_rows: int
) -> None:
    # The oracle knows which literal rows are bad in themselves; January's last two are judged by their time.
    in_time = {"2024-01-02,1,1,1,1,1", "2024-01-03,1,1,1,1,1"}
    bad = {row: reason for row, _, reason, *_ in BAD_BARS if row not in in_time}
    path = write(tmp_path_factory.mktemp("any"), BARS_HEADER + "2024-01-01,1,1,1,1,1\n" + "\n".join(lines))
    expected = [ns("2024-01-01")]
    refused: dict[str, int] = {}
    for line in lines:
        if not line.strip():
            continue
        reason = bad.get(line)
        if reason is None:
            start = ns(line.split(",")[0])
            if start > expected[-1]:
                expected.append(start)
                continue
            reason = "time goes back" if start < expected[-1] else "second bar of the same time"
        refused[reason] = refused.get(reason, 0) + 1
    feed = open_feed([source(path, DAY, skip_bad_rows=True)], block_rows)
    assert [b[0] for b in bars(feed)] == expected
    assert feed.refused == refused
