"""Files into the catalog and out of it."""

import hashlib
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.catalog.exporting import export
from daemon.catalog.importing import import_files, read_actions_table
from daemon.catalog.store import Catalog
from daemon.config.errors import ConfigError
from daemon.data.errors import DataError
from engine.records import DAY
from tests.unit.daemon.catalog.shelf import MINUTE, Rows, bars, day, days, files, get, put, ticks
from tests.unit.daemon.data.reading import BARS_HEADER, TICKS_HEADER, ns, write

DATA = Path(__file__).parents[5] / "shared" / "data"
real_data = pytest.mark.skipif(
    not DATA.is_dir(), reason="the real market data is not here: no folder ../shared/data"
)


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog(tmp_path / "catalog")


def test_import_reads_as_data_of_a_configuration_are_read(catalog: Catalog, tmp_path: Path) -> None:
    text = "Day,O,H,L,C\n03.01.2012 09:31,2,4,1,3\n03.01.2012 09:32,3,5,2,4\n"
    path = write(tmp_path, text)
    how = {
        "columns": {"time": "Day"},
        "timezone": "America/New_York",
        "stamp": "end",
        "time_format": "%d.%m.%Y %H:%M",
    }
    made = import_files(catalog, [path], "AAPL", "1m", how, adjusted="splits", currency="USD")
    first = ns("2012-01-03T14:30:00+00:00")
    assert get(catalog, MINUTE) == [(first, 2, 4, 1, 3, 0), (first + MINUTE, 3, 5, 2, 4, 0)]
    assert (made.adjusted, made.currency) == ("splits", "USD")
    source = made.source
    assert (source.provider, source.timezone, source.stamp) == ("files", "America/New_York", "end")
    assert [(f.name, f.bytes, f.sha256) for f in source.files] == [
        ("a.csv", len(text), hashlib.sha256(text.encode()).hexdigest())
    ]
    assert source.arguments["time_format"] == "%d.%m.%Y %H:%M"
    assert str(tmp_path) not in made.model_dump_json()


def test_several_files_follow_each_other_in_one_write(catalog: Catalog, tmp_path: Path) -> None:
    one = write(tmp_path, TICKS_HEADER + "2012-01-03T09:00:00Z,2,1\n", "one.csv")
    two = write(tmp_path, TICKS_HEADER + "2012-01-03T09:00:00Z,2,1\n2012-01-03T09:00:01Z,3,1\n", "two.csv")
    made = import_files(catalog, [one, two], "AAPL", "tick", {})
    assert (made.rows, made.writes, [f.name for f in made.source.files]) == (3, 1, ["one.csv", "two.csv"])
    with pytest.raises(DataError, match=r"one.csv:2: timestamp: .* comes after"):
        import_files(Catalog(tmp_path / "other"), [two, one], "AAPL", "tick", {})


BAD = (
    BARS_HEADER
    + "2012-01-03,2,3,1,2,9\n2012-01-05,2,3,1,2,9\n2012-01-04,2,3,1,2,9\n2012-01-06,2,3,,2,9\n2012-01-05,2,3,1,1,9\nx\n"
)


def test_bad_row_ends_an_import_or_is_left_out_and_counted_with_its_place(
    catalog: Catalog, tmp_path: Path
) -> None:
    path = write(tmp_path, BAD)
    with pytest.raises(DataError, match=r"a.csv:4: timestamp: 2012-01-04T00:00:00Z comes after"):
        import_files(catalog, [path], "AAPL", "1d", {})
    assert catalog.manifest("AAPL", DAY) is None
    made = import_files(catalog, [path], "AAPL", "1d", {"on_bad_row": "skip"})
    assert [r[0] for r in get(catalog)] == [day("2012-01-03"), day("2012-01-05")]
    assert made.refused == {
        "time goes back": 1,
        "unreadable number": 1,
        "second bar of the same time": 1,
        "broken line": 1,
    }
    assert made.history[-1].refused_at == {
        "time goes back": ("a.csv:4",),
        "unreadable number": ("a.csv:5",),
        "second bar of the same time": ("a.csv:6",),
        "broken line": ("a.csv:7",),
    }


def test_rows_are_sorted_when_asked_and_of_two_bars_of_one_time_the_first_stays(
    catalog: Catalog, tmp_path: Path
) -> None:
    path = write(tmp_path, BAD)
    with pytest.raises(DataError, match=r"a.csv:5: low: it is empty"):
        import_files(catalog, [path], "AAPL", "1d", {}, sort=True)
    made = import_files(catalog, [path], "AAPL", "1d", {"on_bad_row": "skip"}, sort=True)
    assert [(r[0], r[4]) for r in get(catalog)] == [
        (day("2012-01-03"), 2),
        (day("2012-01-04"), 2),
        (day("2012-01-05"), 2),
    ]
    assert made.refused == {"unreadable number": 1, "second bar of the same time": 1, "broken line": 1}
    assert made.history[-1].refused_at["second bar of the same time"] == ("a.csv:6",)
    assert made.source.arguments["sort"] is True


def test_newest_first_file_is_turned_round_by_sorting(catalog: Catalog, tmp_path: Path) -> None:
    text = TICKS_HEADER + "".join(f"2012-01-03T09:00:{s:02}Z,{s + 1},1\n" for s in range(59, -1, -1))
    path = write(tmp_path, text)
    with pytest.raises(DataError, match="the rows are newest first"):
        import_files(catalog, [path], "AAPL", "tick", {})
    import_files(catalog, [path], "AAPL", "tick", {}, sort=True)
    assert [r[1] for r in get(catalog, 0)] == list(range(1, 61))


def test_sorted_trades_of_one_time_keep_their_order(catalog: Catalog, tmp_path: Path) -> None:
    text = TICKS_HEADER + "".join(f"2012-01-03T09:00:{i % 2:02}Z,{i + 1},1\n" for i in range(400))
    import_files(catalog, [write(tmp_path, text)], "AAPL", "tick", {}, sort=True)
    assert [r[1] for r in get(catalog, 0)] == [*range(1, 401, 2), *range(2, 401, 2)]


@pytest.mark.parametrize("sort", [False, True])
def test_symbol_that_the_file_has_not_is_answered_with_those_it_has(
    catalog: Catalog, tmp_path: Path, sort: bool
) -> None:
    path = write(tmp_path, "symbol," + BARS_HEADER + "IBM,2012-01-03,2,3,1,2,9\n")
    with pytest.raises(DataError, match="no row of AAPL; it has IBM"):
        import_files(catalog, [path], "AAPL", "1d", {}, sort=sort)
    assert files(catalog) == []


def test_wrong_option_is_named_as_in_a_configuration(catalog: Catalog, tmp_path: Path) -> None:
    path = write(tmp_path, BAD)
    with pytest.raises(ConfigError, match="import: timezone: 'Mars' is no time zone"):
        import_files(catalog, [path], "AAPL", "1d", {"timezone": "Mars"})
    with pytest.raises(ConfigError, match="import: path: there is no"):
        import_files(catalog, [tmp_path / "b.csv"], "AAPL", "1d", {})
    with pytest.raises(ConfigError, match="import: bar: '1x' is no duration"):
        import_files(catalog, [path], "AAPL", "1x", {})


def test_actions_of_a_file_become_those_of_the_catalog(catalog: Catalog, tmp_path: Path) -> None:
    path = write(tmp_path, "date,kind,value\n2012-08-09,dividend,2.65\n2014-06-09,split,7:1\n")
    catalog.write_actions("AAPL", read_actions_table(path, "AAPL"))
    found = catalog.actions("AAPL")
    assert found is not None
    assert [
        (str(a["ex_date"]), a["kind"], a["numerator"], a["denominator"], a["amount"], a["symbol"])
        for a in found.to_pylist()
    ] == [
        ("2012-08-09", "dividend", None, None, 2.65, None),
        ("2014-06-09", "split", 7, 1, None, None),
    ]


# -- out of it ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
@pytest.mark.parametrize(
    ("rows", "bar"),
    [
        (days("2012-02-27", 5), "1d"),
        (bars([ns("2012-03-01T09:30:00") + i * MINUTE for i in range(5)]), "1m"),
        ([(1, 0.1 + 0.2, 1e-8), (2, 1e5, 0.0), (2, 3e-7, 12345678.9)], "tick"),
    ],
    ids=["days", "minutes", "ticks"],
)
def test_exported_file_imports_to_the_same_rows(
    catalog: Catalog, tmp_path: Path, rows: Rows, bar: str, suffix: str
) -> None:
    bar_ns = {"1d": DAY, "1m": MINUTE, "tick": 0}[bar]
    before = put(catalog, rows, bar_ns)
    path = tmp_path / f"out{suffix}"
    assert export(catalog.read("AAPL", bar_ns), bar_ns, path) == len(rows)
    other = Catalog(tmp_path / "other")
    after = import_files(other, [path], "AAPL", bar, {})
    assert after.hash == before.hash
    assert get(other, bar_ns) == rows


@settings(max_examples=25)
@given(st.lists(st.floats(1e-9, 1e15), min_size=1, max_size=5), st.integers(0, 2**62))
def test_any_price_and_time_survive_csv(
    tmp_path_factory: pytest.TempPathFactory, prices: list[float], ts: int
) -> None:
    folder = tmp_path_factory.mktemp("any")
    rows = [(ts + i, price, price) for i, price in enumerate(prices)]
    before = put(Catalog(folder / "a"), rows, 0)
    export(Catalog(folder / "a").read("AAPL", 0), 0, folder / "t.csv")
    assert import_files(Catalog(folder / "b"), [folder / "t.csv"], "AAPL", "tick", {}).hash == before.hash


def test_exported_csv_is_plain(catalog: Catalog, tmp_path: Path) -> None:
    put(catalog, days("2012-02-28", 2))
    export(catalog.read("AAPL", DAY), DAY, tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_text() == (
        "date,open,high,low,close,volume\n2012-02-28,10,11,9,10,100\n2012-02-29,10.125,11.125,9,10.125,100\n"
    )
    put(catalog, ticks([ns("2012-02-28T09:00:00")]), 0)
    export(catalog.read("AAPL", 0), 0, tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text() == "timestamp,price,size\n2012-02-28T09:00:00Z,10,1\n"


def test_export_of_no_rows_or_onto_a_file_leaves_nothing(catalog: Catalog, tmp_path: Path) -> None:
    put(catalog, days("2012-02-28", 2))
    path = tmp_path / "x.csv"
    with pytest.raises(DataError, match="no row lies in the time asked for"):
        export(catalog.read("AAPL", DAY, day("2013-01-01")), DAY, path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["catalog"]
    path.write_text("mine")
    with pytest.raises(DataError, match=r"x.csv: it is there already; remove it"):
        export(catalog.read("AAPL", DAY), DAY, path)
    assert path.read_text() == "mine"
    with pytest.raises(DataError, match=r"end its name with .csv"):
        export(catalog.read("AAPL", DAY), DAY, tmp_path / "x.xls")
    with pytest.raises(DataError, match="its folder is not there"):
        export(catalog.read("AAPL", DAY), DAY, tmp_path / "no" / "x.csv")


# -- real files -----------------------------------------------------------------------------------------------------


@real_data
def test_unsorted_file_is_sorted_as_pandas_sorts_it(catalog: Catalog) -> None:
    path = DATA / "minute/btc-usd_bitfinex_2016-02-09_2016-04-19_unsorted.csv.gz"
    made = import_files(catalog, [path], "BTC-USD", "1m", {}, sort=True)
    frame = pd.read_csv(path).sort_values("timestamp", kind="stable")
    assert made.rows == len(frame) == 50_669
    assert [r[1:] for r in get(catalog, MINUTE, "BTC-USD")] == list(
        frame[["open", "high", "low", "close", "volume"]].itertuples(index=False, name=None)
    )


@real_data
def test_days_of_trades_imported_one_by_one_or_at_once_are_the_same(catalog: Catalog, tmp_path: Path) -> None:
    paths = [DATA / f"ticks/spy_2013-10-{d:02}.parquet" for d in (7, 11)]
    import_files(catalog, paths[:1], "SPY", "tick", {})
    one = import_files(catalog, paths[1:], "SPY", "tick", {})
    two = import_files(Catalog(tmp_path / "two"), paths, "SPY", "tick", {})
    assert one.rows == two.rows == 250_601 + 285_605
    assert (one.hash, one.parts) == (two.hash, two.parts)
    frame = pd.concat(pd.read_parquet(p) for p in files(catalog))
    expected = pd.concat(pd.read_parquet(p) for p in paths)
    assert frame["price"].tolist() == expected["price"].tolist()
    assert frame["size"].tolist() == expected["size"].tolist()
