"""Series of the catalog: what is written is what is read, and nothing in between is ever seen."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from daemon.catalog import manifest, parts, writing
from daemon.catalog.locks import locked
from daemon.catalog.store import Catalog
from daemon.data.errors import DataError
from engine.records import DAY, SECOND
from tests.unit.daemon.catalog.shelf import FILES, MINUTE, bars, columns, day, days, files, get, put, ticks


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog(tmp_path / "catalog")


def test_rows_written_are_read_back_and_other_programs_see_them_too(catalog: Catalog) -> None:
    rows = days("2013-12-30", 4)
    put(catalog, rows)
    assert get(catalog) == rows
    folder = catalog.folder / "AAPL" / "1d"
    assert [p.parent.name for p in files(catalog)] == ["year=2013", "year=2014"]
    frame = pd.concat(pd.read_parquet(p) for p in files(catalog))
    assert frame["close"].tolist() == [row[4] for row in rows]
    assert [t.isoformat() for t in frame["ts"]] == [
        f"{d}T00:00:00+00:00" for d in ("2013-12-30", "2013-12-31", "2014-01-01", "2014-01-02")
    ]
    assert (folder / "manifest.json").is_file()


def test_manifest_says_what_is_stored(catalog: Catalog) -> None:
    made = put(catalog, days("2013-12-30", 4), refused={"broken line": 2}, calendar=None, currency="USD")
    assert made == catalog.manifest("AAPL", DAY) == catalog.list()[0]
    read = json.loads((catalog.folder / "AAPL/1d/manifest.json").read_text())
    assert {
        key: read[key]
        for key in ("instrument", "bar", "rows", "first", "last", "adjusted", "currency", "writes")
    } == {
        "instrument": "AAPL",
        "bar": "1d",
        "rows": 4,
        "first": "2013-12-30T00:00:00Z",
        "last": "2014-01-02T00:00:00Z",
        "adjusted": "raw",
        "currency": "USD",
        "writes": 1,
    }
    assert [(p["rows"], p["first"][:10], p["last"][:10]) for p in read["parts"]] == [
        (2, "2013-12-30", "2013-12-31"),
        (2, "2014-01-01", "2014-01-02"),
    ]
    assert read["history"][0]["refused"] == {"broken line": 2} == made.refused


def test_ticks_are_partitioned_by_month_and_keep_trades_that_are_equal(catalog: Catalog) -> None:
    begin = day("2013-10-31") + DAY - 2
    rows = [(begin, 1.5, 2.0), (begin, 1.5, 2.0), (begin + 1, 1.5, 2.0), (begin + 2, 1.25, 0.0)]
    put(catalog, rows, 0)
    assert get(catalog, 0) == rows
    assert [str(p.parent.relative_to(catalog.folder)) for p in files(catalog)] == [
        "AAPL/tick/year=2013/month=10",
        "AAPL/tick/year=2013/month=11",
    ]


def test_window_reads_its_rows_only_and_opens_no_other_file(catalog: Catalog) -> None:
    rows = days("2010-01-01", 1500)
    put(catalog, rows)
    start, end = day("2011-06-01"), day("2012-02-01")
    for path in files(catalog):
        if path.parent.name not in ("year=2011", "year=2012"):
            path.write_bytes(b"nobody may look here")
    assert get(catalog, start=start, end=end) == [r for r in rows if start <= r[0] < end]
    assert [p.parent.name for p in catalog.parts("AAPL", DAY, start, end)] == ["year=2011", "year=2012"]
    assert [p.parent.name for p in catalog.parts("AAPL", DAY, day("2012-01-01"), day("2012-01-02"))] == [
        "year=2012"
    ]


def test_groups_of_rows_outside_of_the_window_are_not_decoded(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "GROUP_ROWS", 10)
    rows = days("2011-01-01", 100)
    put(catalog, rows)
    asked: list[list[int]] = []
    real = parquet.ParquetFile.iter_batches

    def spy(self: Any, n: int, row_groups: list[int]) -> Any:
        asked.append(row_groups)
        return real(self, n, row_groups=row_groups)

    monkeypatch.setattr(parquet.ParquetFile, "iter_batches", spy)
    assert get(catalog, start=rows[35][0], end=rows[50][0]) == rows[35:50]
    assert asked == [[3, 4]]


def test_window_without_rows_is_refused_with_what_there_is(catalog: Catalog) -> None:
    put(catalog, days("2010-01-01", 3))
    with pytest.raises(DataError, match="they run from 2010-01-01T00:00:00Z to 2010-01-03T00:00:00Z; widen"):
        catalog.parts("AAPL", DAY, day("2011-01-01"))
    assert get(catalog, start=day("2011-01-01")) == []


def test_window_that_ends_where_a_file_begins_does_not_open_it(catalog: Catalog) -> None:
    rows = days("2011-12-30", 4)
    put(catalog, rows)
    first, second = files(catalog)
    assert catalog.parts("AAPL", DAY, None, rows[2][0]) == [first]
    assert catalog.parts("AAPL", DAY, rows[1][0], None) == [first, second]
    assert catalog.parts("AAPL", DAY, rows[1][0] + 1, None) == [second]
    assert get(catalog, start=rows[1][0], end=rows[2][0]) == [rows[1]]


# -- merging ------------------------------------------------------------------------------------------------------------


def test_new_bar_takes_the_place_of_one_with_the_same_start(catalog: Catalog) -> None:
    old, new = days("2012-12-20", 20), days("2012-12-30", 4, 50.0)
    put(catalog, old)
    made = put(catalog, new)
    expected = {**{r[0]: r for r in old}, **{r[0]: r for r in new}}
    assert get(catalog) == [expected[ts] for ts in sorted(expected)]
    assert [(w.rows, w.replaced) for w in made.history] == [(20, 0), (4, 4)]
    assert (made.rows, made.writes) == (20, 2)


@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(0, 1200), min_size=1, max_size=12, unique=True),
            st.booleans(),
            st.integers(1, 5),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_any_writes_in_any_blocks_leave_what_a_dict_would(
    tmp_path_factory: pytest.TempPathFactory, writes: list[tuple[list[int], bool, int]]
) -> None:
    catalog = Catalog(tmp_path_factory.mktemp("any"))
    model: dict[int, Any] = {}
    made = None
    for k, (offsets, replace, block) in enumerate(writes):
        rows = bars([day("2010-06-01") + o * DAY for o in sorted(offsets)], 10.0 + k)
        blocks = [columns(rows[i : i + block]) for i in range(0, len(rows), block)]
        made = catalog.write_blocks(
            "AAPL", DAY, blocks, source=FILES, adjusted="raw", refused={}, replace=replace
        )
        if replace:
            model = {ts: row for ts, row in model.items() if not rows[0][0] <= ts <= rows[-1][0]}
        model |= {row[0]: row for row in rows}
        assert get(catalog) == [model[ts] for ts in sorted(model)]
        assert made.rows == len(model)
    # and the hash knows nothing of how the rows came
    again = put(Catalog(tmp_path_factory.mktemp("once")), [model[ts] for ts in sorted(model)])
    assert made
    assert (again.hash, again.parts) == (made.hash, made.parts)


def test_hash_of_the_rows_does_not_depend_on_blocks_but_on_each_value(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "PART_ROWS", 7)
    rows = ticks(range(day("2013-10-01"), day("2013-10-01") + 50))
    whole = put(catalog, rows, 0, "WHOLE")
    pieces = [columns(rows[i : i + 3]) for i in range(0, 50, 3)]
    cut = catalog.write_blocks("CUT", 0, pieces, source=FILES, adjusted="raw", refused={})
    assert [p.rows for p in whole.parts] == [7] * 7 + [1]
    assert (cut.hash, cut.parts) == (whole.hash, whole.parts)
    assert get(catalog, 0, "CUT") == rows
    other = put(catalog, [*rows[:-1], (rows[-1][0], rows[-1][1], 2.0)], 0, "OTHER")
    assert other.hash != whole.hash
    assert [p.hash for p in other.parts[:-1]] == [p.hash for p in whole.parts[:-1]]


def test_appending_writes_only_the_parts_that_change(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "PART_ROWS", 10)
    put(catalog, days("2012-01-01", 395))  # 366 and 29 days
    before = {p.name: p.stat().st_mtime_ns for p in files(catalog)}
    put(catalog, days("2013-01-30", 3))
    after = {p.name: p.stat().st_mtime_ns for p in files(catalog)}
    assert sorted(set(after.items()) - set(before.items())) == sorted(
        (p.name, p.stat().st_mtime_ns)
        for p in files(catalog)
        if p.parent.name == "year=2013" and p.name[5:9] in ("0002", "0003")
    )
    assert len(before.keys() - after.keys()) == 1  # the last, of nine rows


def test_ticks_that_begin_before_the_stored_ones_end_are_refused(catalog: Catalog) -> None:
    at = day("2013-10-07")
    rows = ticks([at, at + 1, at + 5])
    put(catalog, rows, 0)
    for times in ([at + 5], [at + 3, at + 8], [at - 2, at + 9]):
        with pytest.raises(DataError, match=r"AAPL tick: ticks are stored already from .* --replace"):
            put(catalog, ticks(times), 0)
    assert get(catalog, 0) == rows
    put(catalog, ticks([at + 6]), 0)
    put(catalog, ticks([at - 6]), 0)
    put(catalog, ticks([at + 2, at + 3]), 0)  # where there is none
    assert [r[0] - at for r in get(catalog, 0)] == [-6, 0, 1, 2, 3, 5, 6]


def test_replace_puts_the_new_rows_for_all_between_their_first_and_last(catalog: Catalog) -> None:
    at = day("2013-10-07")
    put(catalog, ticks([at, at + 1, at + 2, at + 3]), 0)
    new = ticks([at + 1, at + 2], 50.0)
    made = put(catalog, new, 0, replace=True)
    assert get(catalog, 0)[1:3] == new
    assert (made.rows, made.history[-1].replaced) == (4, 2)


def test_bars_that_overlap_stored_ones_are_refused(catalog: Catalog) -> None:
    at = day("2013-10-07")
    put(catalog, bars([at, at + MINUTE]), MINUTE)
    with pytest.raises(
        DataError, match="the new bars overlap those that are stored; correct their time zone"
    ):
        put(catalog, bars([at + 90 * SECOND]), MINUTE)
    assert len(get(catalog, MINUTE)) == 2


def test_prices_adjusted_otherwise_are_refused_unless_they_replace_all(catalog: Catalog) -> None:
    put(catalog, days("2012-01-01", 5))
    with pytest.raises(DataError, match="adjusted for nothing, the new ones for splits; use another catalog"):
        put(catalog, days("2012-01-06", 2), adjusted="splits")
    with pytest.raises(DataError, match="adjusted for nothing"):
        put(catalog, days("2012-01-02", 9), adjusted="splits", replace=True)
    made = put(catalog, days("2012-01-01", 9), adjusted="splits", replace=True)
    assert (made.adjusted, made.rows) == ("splits", 9)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "there are no rows to write"),
        (
            [(0, 1.0, float("nan"), 1.0, 1.0, 1.0)],
            "AAPL 1d: high of 1970-01-01T00:00:00Z: nan is no positive number",
        ),
        ([(0, 1.0, 2.0, 1.0, 1.0, -1.0)], "volume of .* -1 is negative"),
        ([(0, 1.0, 2.0, 1.5, 1.6, 1.0)], "open of .* outside the low"),
        (
            [*days("2012-01-02", 1), *days("2012-01-01", 1)],
            "2012-01-01T00:00:00Z comes after 2012-01-02T00:00:00Z",
        ),
        ([*days("2012-01-02", 1), *days("2012-01-02", 1)], "a second bar"),
        (bars([day("2012-01-02") + SECOND]), "does not start at midnight UTC"),
    ],
)
def test_rows_that_a_backtest_would_refuse_are_not_written(catalog: Catalog, rows: Any, message: str) -> None:
    put(catalog, days("2011-01-01", 3))
    with pytest.raises(DataError, match=message):
        put(catalog, rows) if rows else catalog.write_blocks(
            "AAPL", DAY, [], source=FILES, adjusted="raw", refused={}
        )
    assert get(catalog) == days("2011-01-01", 3)
    assert files(catalog, ".tmp") == []


# -- faults -------------------------------------------------------------------------------------------------------------


class Crash(BaseException):
    """The process is gone: nothing of ours may run that would tidy up."""


@pytest.mark.parametrize("where", ["after the first part", "before the manifest"])
def test_crash_while_writing_leaves_the_old_series_and_the_next_write_tidies_up(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    old = days("2012-12-01", 60)
    before = put(catalog, old)
    named = files(catalog)

    def crash(*_: Any) -> None:
        raise Crash

    with monkeypatch.context() as broken:
        broken.setattr(parts.PartWriter, "discard", lambda _: None)
        if where == "before the manifest":
            broken.setattr(manifest, "save", crash)
        else:
            real = parts.parquet.write_table

            def write_then_crash(*a: Any, **k: Any) -> None:
                real(*a, **k)
                raise Crash

            broken.setattr(parts.parquet, "write_table", write_then_crash)
        with pytest.raises(Crash):
            put(catalog, days("2012-12-01", 90, 50.0))
    assert catalog.manifest("AAPL", DAY) == before
    assert get(catalog) == old
    strays = {p for p in catalog.folder.rglob("*") if p.suffix in (".parquet", ".tmp")} - set(named)
    assert strays
    put(catalog, days("2012-12-05", 1))
    assert get(catalog)[:4] == old[:4]
    assert {p.name for p in files(catalog)} == {Path(p.file).name for p in catalog.list()[0].parts}
    assert files(catalog, ".tmp") == []


def test_failed_write_leaves_nothing_behind(catalog: Catalog) -> None:
    put(catalog, days("2012-12-01", 60))
    there = files(catalog)

    def blocks() -> Any:
        yield columns(days("2012-12-01", 40, 50.0))
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="the source broke"):
        catalog.write_blocks("AAPL", DAY, blocks(), source=FILES, adjusted="raw", refused={})
    assert (files(catalog), files(catalog, ".tmp")) == (there, [])


def test_files_of_others_in_the_folder_stay(catalog: Catalog) -> None:
    put(catalog, days("2012-12-01", 6))
    (catalog.folder / "AAPL/1d/notes.txt").write_text("mine")
    (catalog.folder / "AAPL/plans").mkdir()
    put(catalog, days("2012-12-01", 6))
    assert (catalog.folder / "AAPL/1d/notes.txt").read_text() == "mine"
    assert catalog.bars("AAPL") == [DAY]


def test_second_writer_is_refused_while_the_first_writes(catalog: Catalog) -> None:
    put(catalog, days("2012-12-01", 6))
    with locked(catalog.folder / "AAPL/1d"):
        with pytest.raises(DataError, match="another process is writing here; wait"):
            put(catalog, days("2012-12-01", 6))
        put(catalog, bars([0]), MINUTE)  # another series
        assert len(get(catalog)) == 6
    put(catalog, days("2012-12-01", 6))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "the manifest is broken"),
        ("[]", "the manifest is broken"),
        ('{"version": 2}', "the manifest is of version 2, this program reads 1"),
        ('{"version": 1, "instrument": "AAPL"}', "the manifest is broken .bar: Field required"),
    ],
)
def test_broken_manifest_is_named_with_what_to_do(catalog: Catalog, text: str, message: str) -> None:
    put(catalog, days("2012-12-01", 6))
    path = catalog.folder / "AAPL/1d/manifest.json"
    path.write_text(text)
    with pytest.raises(DataError, match=rf"^{path}: {message}"):
        catalog.manifest("AAPL", DAY)


def test_part_that_is_missing_or_short_is_found_when_a_series_is_opened(catalog: Catalog) -> None:
    put(catalog, days("2012-12-01", 60))
    first, second = files(catalog)
    parquet.write_table(parquet.read_table(second).slice(1), second)
    with pytest.raises(
        DataError, match=rf"{second}: it has 28 rows, the manifest says 29; restore it, or remove"
    ):
        catalog.parts("AAPL", DAY)
    first.unlink()
    with pytest.raises(DataError, match=f"{first}: the manifest names this file, which is not there"):
        catalog.parts("AAPL", DAY)
    with pytest.raises(DataError, match="which is not there"):
        get(catalog)
    first.write_bytes(b"PAR1 or not")
    with pytest.raises(DataError, match="the Parquet file cannot be read"):
        catalog.parts("AAPL", DAY)


def test_name_that_is_misspelt_is_answered_with_near_ones(catalog: Catalog) -> None:
    with pytest.raises(DataError, match="there is no catalog here; name its folder with --catalog"):
        catalog.find("AAPL")
    put(catalog, days("2012-12-01", 2))
    put(catalog, days("2012-12-01", 2), name="BTC/USD")
    with pytest.raises(DataError, match=r"there is no aapl; did you mean AAPL\?"):
        catalog.require("aapl", DAY)
    with pytest.raises(DataError, match=r"there is no XYZQ; it has AAPL, BTC/USD"):
        catalog.find("XYZQ")
    with pytest.raises(DataError, match=r"there is no 1m of AAPL; it has 1d"):
        catalog.require("AAPL", MINUTE)
    with pytest.raises(DataError, match="is no name of an instrument"):
        put(catalog, days("2012-12-01", 2), name="a b")


def test_only_series_is_found_and_several_are_asked_about(catalog: Catalog) -> None:
    put(catalog, days("2012-12-01", 2))
    assert catalog.only_bar("AAPL") == DAY
    put(catalog, ticks([0]), 0)
    assert catalog.bars("AAPL") == [0, DAY]
    with pytest.raises(DataError, match="several series of AAPL; say which by `bar`: tick, 1d"):
        catalog.only_bar("AAPL")


def test_history_is_bounded_and_counts_go_on(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "WRITES_KEPT", 3)
    for i in range(4):
        put(catalog, days(f"2012-12-0{i + 1}", 1))
    made = put(catalog, days("2012-12-05", 1))
    assert (made.writes, len(made.history), made.rows) == (5, 3, 5)
    assert [w.first for w in made.history] == [day("2012-12-03"), day("2012-12-04"), day("2012-12-05")]


def test_more_rows_than_a_part_holds_need_no_more_memory(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "PART_ROWS", 100)
    held: list[int] = []
    real = writing.PartWriter.add

    def add(self: Any, given: Any) -> None:
        real(self, given)
        held.append(self._n)

    monkeypatch.setattr(writing.PartWriter, "add", add)

    def blocks() -> Any:
        for i in range(200):
            at = day("2013-10-01") + i * 30
            yield {"ts": np.arange(at, at + 30), "price": np.ones(30), "size": np.ones(30)}

    made = catalog.write_blocks("AAPL", 0, blocks(), source=FILES, adjusted="raw", refused={})
    assert made.rows == 6000
    assert max(held) < 100
