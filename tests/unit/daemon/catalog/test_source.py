"""`source: catalog` in a configuration: the same tape as from the file that was imported."""

from pathlib import Path
from typing import Any

import pytest

from daemon.catalog.importing import import_files
from daemon.catalog.store import Catalog
from daemon.config.errors import ConfigError
from daemon.config.loader import load
from daemon.config.spec import complete, sources
from daemon.data.errors import DataError
from daemon.data.feed import Source, open_feed
from engine.records import DAY
from tests.unit.daemon.catalog.shelf import MINUTE, bars, day, days, files, put, ticks
from tests.unit.daemon.data.reading import BARS_HEADER, TICKS_HEADER, rows, write

YAML = """\
name: from-catalog
{more}
data:
  - {{source: catalog, {data}}}
instruments:
  AAPL: {{}}
accounts:
  - name: a
    cash: 100000
    strategies:
      - {{use: buy_and_hold, instruments: [AAPL], timeframe: 1d, size: {{units: 1}}}}
"""


def configured(folder: Path, data: str, more: str = "") -> Path:
    path = folder / "a.yaml"
    path.write_text(YAML.format(data=data, more=more))
    return path


def of_catalog(catalog: Catalog, bar_ns: int, **more: Any) -> Source:
    return Source("catalog", catalog.folder, 0, "AAPL", bar_ns, **more)


@pytest.mark.parametrize("batch_rows", [1, 7, 100_000])
def test_tape_from_the_catalog_is_that_of_the_imported_file(tmp_path: Path, batch_rows: int) -> None:
    text = "".join(
        f"20{y:02}-12-{d},{100 + y},{101 + y},{99 - d / 7},{100.25 + y},{d * 10}\n"
        for y in range(8, 12)
        for d in range(25, 32)
    )
    path = write(tmp_path, BARS_HEADER + text)
    catalog = Catalog(tmp_path / "catalog")
    import_files(catalog, [path], "AAPL", "1d", {})
    windows: list[dict[str, Any]] = [{}, {"start": day("2009-12-28"), "end": day("2011-12-26")}]
    for window in windows:
        expected = rows(open_feed([Source("csv", path, 0, "AAPL", DAY, **window)]))
        assert rows(open_feed([of_catalog(catalog, DAY, **window)], batch_rows)) == expected
        assert len(expected) == 4 * (28 if not window else 4 + 7 + 1)


def test_two_series_are_merged_in_the_order_of_time(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalog")
    at = day("2013-10-31") + DAY - 5
    put(catalog, ticks(range(at, at + 10, 2)), 0, "A")
    put(catalog, ticks(range(at, at + 10, 3), 50.0), 0, "B")
    feed = open_feed([Source("catalog", catalog.folder, i, name, 0) for i, name in enumerate("AB")], 3)
    assert [(r[0] - at, r[2]) for r in rows(feed)] == [
        *[(0, 0), (0, 1), (2, 0), (3, 1), (4, 0), (6, 0), (6, 1), (8, 0), (9, 1)]
    ]
    assert feed.total_rows_hint == 9


def test_path_and_bar_may_be_left_out(tmp_path: Path) -> None:
    put(Catalog(tmp_path / "catalog"), days("2012-01-01", 30))
    loaded = load(configured(tmp_path, "instrument: AAPL"))
    [source] = sources(loaded.config)
    assert (source.kind, source.path, source.bar_ns) == ("catalog", tmp_path / "catalog", DAY)
    assert len(rows(open_feed([source]))) == 120
    (tmp_path / "full.yaml").write_text(complete(loaded.config))
    assert load(tmp_path / "full.yaml").config == loaded.config


def test_only_files_of_the_window_are_opened(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalog")
    put(catalog, days("2010-01-01", 1500))
    for path in files(catalog):
        if path.parent.name not in ("year=2011", "year=2012"):
            path.write_bytes(b"nobody may look here")
    more = "start: 2012-01-05\nend: 2012-02-01\nwarmup: 10d"
    [source] = sources(load(configured(tmp_path, "instrument: AAPL", more)).config)
    read = rows(open_feed([source]))
    assert (read[0][0], read[-1][0]) == (day("2011-12-26"), day("2012-02-01") - 1)


def test_what_the_catalog_has_not_is_said_at_its_line(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"a.yaml:4: data.0.path: there is no .*/catalog; a relative path starts"
    ):
        load(configured(tmp_path, "instrument: AAPL"))
    catalog = Catalog(tmp_path / "catalog")
    put(catalog, days("2012-01-01", 30))
    with pytest.raises(
        ConfigError, match=r"a.yaml:4: data.0.instrument: .*: there is no AAPLE; did you mean AAPL\?"
    ):
        load(configured(tmp_path, "instrument: AAPLE"))
    with pytest.raises(ConfigError, match=r"a.yaml:4: data.0.bar: .*: there is no 1m of AAPL; it has 1d"):
        load(configured(tmp_path, "instrument: AAPL, bar: 1m"))
    put(catalog, bars([0]), MINUTE)
    with pytest.raises(
        ConfigError, match=r"data.0.bar: .*: there are several series of AAPL; say which by `bar`: 1m, 1d"
    ):
        load(configured(tmp_path, "instrument: AAPL"))
    with pytest.raises(ConfigError, match=r"data.0.bar: '1x' is no duration"):
        load(configured(tmp_path, "instrument: AAPL, bar: 1x"))


def test_part_that_was_lost_ends_the_run_before_it_begins(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalog")
    put(catalog, days("2012-01-01", 30))
    files(catalog)[0].unlink()
    with pytest.raises(DataError, match="the manifest names this file, which is not there"):
        open_feed([of_catalog(catalog, DAY)])


@pytest.mark.parametrize(("adjusted", "played"), [("raw", True), ("splits", False)])
def test_actions_of_the_catalog_are_played_unless_the_prices_have_them(
    tmp_path: Path, adjusted: Any, played: bool
) -> None:
    catalog = Catalog(tmp_path / "catalog")
    halves = [*days("2012-01-01", 10, 70.0), *(r for r in days("2012-01-01", 20, 35.0)[10:])]
    put(catalog, halves if played else days("2012-01-01", 20), adjusted=adjusted)
    split = write(tmp_path, "date,kind,value\n2012-01-11,split,2:1\n")
    from daemon.catalog.importing import read_actions_table

    catalog.write_actions("AAPL", read_actions_table(split, "AAPL"))
    [source] = sources(load(configured(tmp_path, "instrument: AAPL")).config)
    found = [r for r in rows(open_feed([source])) if r[5] >= 4]
    assert found == ([(day("2012-01-11"), day("2012-01-11"), 0, 2.0, 1.0, 4)] if played else [])


def test_ticks_of_the_catalog_are_those_of_their_file(tmp_path: Path) -> None:
    path = write(tmp_path, TICKS_HEADER + "2012-01-31T23:59:59.999999999Z,2,1\n2012-02-01T00:00:00Z,3,0\n")
    catalog = Catalog(tmp_path / "catalog")
    import_files(catalog, [path], "AAPL", "tick", {})
    assert rows(open_feed([of_catalog(catalog, 0)])) == rows(open_feed([Source("csv", path, 0, "AAPL", 0)]))
