"""Corporate actions beside the series."""

from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from daemon.catalog.actions import SCHEMA
from daemon.catalog.store import Catalog
from daemon.data.errors import DataError
from tests.unit.daemon.catalog.shelf import days, put

SPLIT = {
    "ex_date": date(2014, 6, 9),
    "kind": "split",
    "numerator": 7.0,
    "denominator": 1.0,
    "amount": None,
    "symbol": None,
}
DIVIDEND = {
    "ex_date": date(2012, 8, 9),
    "kind": "dividend",
    "numerator": None,
    "denominator": None,
    "amount": 2.65,
    "symbol": None,
}


def stored(catalog: Catalog) -> list[dict[str, Any]]:
    found = catalog.actions("AAPL")
    assert found is not None
    rows: list[dict[str, Any]] = found.to_pylist()
    return rows


def table(*rows: dict[str, Any]) -> Any:
    return pa.Table.from_pylist(list(rows), schema=SCHEMA)


def test_actions_are_kept_in_the_order_of_their_days(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    assert catalog.actions("AAPL") is None
    catalog.write_actions("AAPL", table(SPLIT, DIVIDEND))
    assert stored(catalog) == [DIVIDEND, SPLIT]
    assert catalog.instruments() == ["AAPL"]
    assert catalog.list() == []


def test_action_takes_the_place_of_one_of_its_day_and_kind(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    catalog.write_actions("AAPL", table(SPLIT, DIVIDEND))
    special = {**DIVIDEND, "amount": 3.0}
    assert catalog.write_actions("AAPL", table(special, {**special, "amount": 0.08})).to_pylist() == [
        special,
        {**special, "amount": 0.08},  # a special and a regular one
        SPLIT,
    ]
    assert catalog.write_actions("AAPL", table(SPLIT), replace=True).to_pylist() == [SPLIT]


def test_columns_that_are_not_needed_may_be_left_out(tmp_path: Path) -> None:
    given = pa.table({"ex_date": [date(2012, 8, 9)], "kind": ["dividend"], "amount": [2.65]})
    assert Catalog(tmp_path).write_actions("AAPL", given).to_pylist() == [DIVIDEND]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            pa.table({"kind": ["split"]}),
            "actions without 'ex_date'; the columns are ex_date, kind, numerator",
        ),
        (pa.table({"ex_date": [date(2012, 8, 9)], "kind": ["x"], "ratio": [1]}), "actions with 'ratio'"),
        (table({**SPLIT, "kind": "merger"}), "an action of kind 'merger'; the kinds are split, dividend"),
        (table({**SPLIT, "denominator": 0.0}), "the split of 2014-06-09 has 0.0 as denominator"),
        (table({**DIVIDEND, "amount": None}), "the dividend of 2012-08-09 has None as amount"),
        (table({**SPLIT, "kind": "symbol"}), "the symbol of 2014-06-09 has None as symbol"),
    ],
)
def test_action_that_says_nothing_is_refused(tmp_path: Path, given: Any, message: str) -> None:
    catalog = Catalog(tmp_path)
    catalog.write_actions("AAPL", table(DIVIDEND))
    with pytest.raises(DataError, match=message):
        catalog.write_actions("AAPL", given)
    assert stored(catalog) == [DIVIDEND]


def test_broken_file_of_actions_is_named(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    put(catalog, days("2012-12-01", 2))
    catalog.actions_path("AAPL").write_bytes(b"no")
    with pytest.raises(DataError, match=r"actions.parquet: the actions cannot be read"):
        catalog.actions("AAPL")
