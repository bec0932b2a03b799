"""What a check finds: rows that are not those that were written, gaps, oddities."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from daemon.catalog import manifest, writing
from daemon.catalog.checking import check_file, check_series
from daemon.catalog.store import Catalog
from daemon.data.errors import DataError
from engine.records import DAY, SECOND
from tests.unit.daemon.catalog.shelf import MINUTE, bars, columns, day, days, files, put, ticks
from tests.unit.daemon.data.reading import BARS_HEADER, write

BUSINESS = [int(t.value) for t in pd.bdate_range("2012-01-03", "2012-02-29")]
HOLIDAYS = [day("2012-01-16"), day("2012-02-20")]  # Martin Luther King's and Washington's


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog(tmp_path / "catalog")


def test_series_as_written_has_no_problems(catalog: Catalog) -> None:
    put(catalog, bars([d for d in BUSINESS if d not in HOLIDAYS]))
    checked = check_series(catalog, "AAPL", DAY, "XNYS")
    assert (checked.problems, checked.rows, checked.title) == ([], len(BUSINESS) - 2, "AAPL 1d")
    assert checked.findings == []


@pytest.mark.parametrize("name", ["ts", "close", "volume"])
def test_value_that_changed_is_found_by_its_hash(catalog: Catalog, name: str) -> None:
    put(catalog, days("2012-12-01", 60))
    second = files(catalog)[1]
    table = parquet.read_table(second)
    i = table.schema.names.index(name)
    column = table[name].cast("int64" if name == "ts" else "float64").to_pylist()
    column[7] += 1 if name == "ts" else 0.001
    field = table.schema.field(i)
    parquet.write_table(table.set_column(i, field, pa.array(column).cast(field.type)), second)
    catalog.parts("AAPL", DAY)  # which does not look that closely
    checked = check_series(catalog, "AAPL", DAY, "24/7")
    assert checked.problems is not None
    [problem] = checked.problems
    assert problem.startswith(
        f"{second}: its rows are not those that were written: the hash differs; restore it"
    )
    assert checked.findings == []  # of other rows, nothing


def test_manifest_that_was_edited_is_found(catalog: Catalog) -> None:
    put(catalog, days("2012-12-01", 10))
    path = catalog.folder / "AAPL/1d/manifest.json"
    text = path.read_text()
    path.write_text(text.replace('"rows": 10,\n "first"', '"rows": 11,\n "first"'))
    assert check_series(catalog, "AAPL", DAY, "24/7").problems == [
        f"{path.parent}: rows: the manifest says 11, its parts 10"
    ]
    path.write_text("{}")
    checked = check_series(catalog, "AAPL", DAY, None)
    assert checked.problems is not None
    assert checked.problems[0].startswith(f"{path}: the manifest is broken")


def test_gaps_against_the_calendar_stand_in_the_manifest_and_close_again(catalog: Catalog) -> None:
    missing = BUSINESS[5:8]
    there = [d for d in BUSINESS if d not in HOLIDAYS]
    made = put(catalog, bars([d for d in there if d not in missing]), calendar="XNYS")
    assert (made.calendar, made.gap_count) == ("XNYS", 1)
    assert [(g.start, g.end) for g in made.gaps] == [(missing[0], missing[-1] + DAY)]
    assert catalog.manifest("AAPL", DAY) == made
    made = put(catalog, bars(missing))  # the calendar is remembered
    assert (made.calendar, made.gap_count, made.gaps) == ("XNYS", 0, ())
    made = put(catalog, bars([BUSINESS[-1] + 10 * DAY]), calendar="24/7")
    assert made.gap_count == sum(
        (b - a) > DAY for a, b in zip(there, [*there[1:], BUSINESS[-1] + 10 * DAY], strict=True)
    )


def test_gaps_in_the_manifest_are_bounded(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "GAPS_KEPT", 3)
    made = put(catalog, bars([i * 2 * MINUTE for i in range(10)]), MINUTE, calendar="24/7")
    assert (made.gap_count, len(made.gaps)) == (9, 3)


def test_gap_between_two_parts_of_ticks_is_found(catalog: Catalog) -> None:
    at = day("2013-10-31") + DAY - 1000 * SECOND
    times = [at + i * SECOND for i in range(1000)] + [at + (50_000 + i) * SECOND for i in range(1000)]
    made = put(catalog, ticks(times), 0, calendar="24/7")
    assert len(made.parts) == 2
    assert [(g.start, g.end) for g in made.gaps] == [(times[999], times[1000])]
    checked = check_series(catalog, "AAPL", 0, None)
    assert [(f.kind, f.ts) for f in checked.findings if f.kind == "gap"] == [("gap", times[999])]


def test_unknown_calendar_is_refused_and_nothing_is_written(catalog: Catalog) -> None:
    put(catalog, days("2012-12-01", 10))
    before = catalog.list()
    with pytest.raises(DataError, match=r"AAPL 1d: .*XNYC"):
        put(catalog, days("2012-12-11", 1), calendar="XNYC")
    assert catalog.list() == before
    rows = columns(days("2012-12-11", 1))
    catalog.write("AAPL", DAY, rows, source=writing.Provenance(), adjusted="raw")
    assert {p.name for p in files(catalog)} == {Path(p.file).name for p in catalog.list()[0].parts}


def test_rows_of_a_file_are_looked_at_in_the_order_in_which_they_stand(tmp_path: Path) -> None:
    text = BARS_HEADER + "".join(f"2012-01-{d:02},10,11,9,10,5\n" for d in (3, 4, 6, 5, 5, 9, 10))
    checked = check_file(write(tmp_path, text + "2012-01-11,10,11,,10,5\n"), "AAPL", "1d", {}, "XNYS")
    assert (checked.title, checked.rows, checked.problems) == ("a.csv", 7, None)
    assert checked.counts == {"backward": 1, "duplicate": 1, "unreadable number": 1}
    made = checked.to_json()
    assert [(f["kind"], f["ts"]) for f in made["findings"]] == [
        ("backward", "2012-01-05T00:00:00Z"),
        ("duplicate", "2012-01-05T00:00:00Z"),
    ]
