"""Names of folders, and where a partition begins."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.catalog.layout import by_period, folder_name, hash_of, instrument_name, period_end, period_folder
from daemon.catalog.store import Catalog
from engine.records import DAY
from tests.unit.daemon.catalog.shelf import columns, days, get, put, ticks

NAMES = st.from_regex(r"[^\s:/\\]\S{0,31}", fullmatch=True)


@given(NAMES, NAMES)
def test_each_name_has_a_safe_folder_of_its_own_that_leads_back(name: str, other: str) -> None:
    folder = folder_name(name)
    assert instrument_name(folder) == name
    assert not set(folder) & set('/\\:*?"<>|\0')
    assert not folder.startswith(".")
    assert (folder == folder_name(other)) == (name == other)


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("BTC/USD", "BTC%2FUSD"),
        ("..", "%2E."),
        ("../x", "%2E.%2Fx"),
        ("100%", "100%25"),
        ("BRK.B", "BRK.B"),
        ("^SPX", "^SPX"),
    ],
)
def test_odd_names_stay_inside_the_catalog(tmp_path: Path, name: str, folder: str) -> None:
    catalog = Catalog(tmp_path / "c")
    put(catalog, days("2012-12-01", 2), name=name)
    assert [p.name for p in tmp_path.iterdir()] == ["c"]
    assert [p.name for p in catalog.folder.iterdir()] == [folder]
    assert catalog.instruments() == [name]
    assert catalog.list()[0].instrument == name
    assert len(get(catalog, name=name)) == 2


@given(st.lists(st.integers(-(10**18), 4 * 10**18), min_size=1, max_size=30).map(sorted))
def test_rows_are_cut_where_pandas_sees_a_new_year_or_month(times: list[int]) -> None:
    stamps = pd.to_datetime(np.array(times), unit="ns", utc=True)
    for bar_ns, names in (
        (DAY, [f"year={t.year}" for t in stamps]),
        (0, [f"year={t.year}/month={t.month:02}" for t in stamps]),
    ):
        found = []
        for number, piece in by_period(columns(ticks(times)), bar_ns):
            found += [period_folder(number, bar_ns)] * len(piece["ts"])
            end = period_end(number, bar_ns)
            assert piece["ts"][-1] < end
            assert all(t >= end for t in times if t > piece["ts"][-1])
        assert found == names


def test_hash_tells_a_swap_of_two_columns_and_of_two_rows() -> None:
    rows = ticks([1, 2, 3])
    given = columns(rows)
    assert hash_of(given) == hash_of({name: given[name].copy() for name in reversed(given)})
    assert hash_of(given) == hash_of({name: np.repeat(column, 2)[::2] for name, column in given.items()})
    swapped = {"ts": given["ts"], "price": given["size"], "size": given["price"]}
    assert hash_of(swapped) != hash_of(given)
    assert hash_of(columns([rows[0], (2, *rows[2][1:]), (3, *rows[1][1:])])) != hash_of(given)
