"""Stored rows against those of a replay, without a database."""

import asyncio

import pytest

from daemon.verify.comparing import NEAR, PAGE, Compared, Stored, compare, rows_of
from daemon.verify.wording import Words

OF = Compared("fills", ("id",), "ts")


def row(k, value=0, ts=None):
    return {"id": k, "ts": k if ts is None else ts, "seq": 10 * k, "value": value}


def stored(rows):
    """Rows as a table gives them: with a number of its own, page by page."""
    numbered = [{"number": 3 * i + 1, **r} for i, r in enumerate(rows)]
    pages = []

    async def page(after, n):
        found = [r for r in numbered if r["number"] > after][:n]
        pages.append(len(found))
        return found

    return Stored(page, "number"), pages


def compared(there, replayed, until=10**9):
    of, _ = stored(there)
    return asyncio.run(compare(OF, of, replayed, until))


def test_equal_rows_are_gone_past_page_by_page():
    rows = [row(k) for k in range(2 * PAGE + 5)]
    of, pages = stored(rows)

    async def story():
        return [await compare(OF, of, rows[at : at + 1000], at) for at in range(0, len(rows), 1000)]

    assert set(asyncio.run(story())) == {None}
    assert of.taken == len(rows)
    assert pages == [PAGE, PAGE, 5]


def test_first_column_that_differs_is_told():
    found = compared([row(1), row(2, 5), row(3, 7)], [row(1), row(2), row(3)])
    assert (found.column, found.stored["value"], found.replayed["value"]) == ("value", 5, 0)
    assert (found.ts, found.seq) == (2, 20)


def test_rows_before_the_first_difference_count_as_equal():
    of, _ = stored([row(1), row(2), row(3, 5)])
    found = asyncio.run(compare(OF, of, [row(1), row(2), row(3)], 9))
    assert found is not None
    assert found.column == "value"
    assert of.taken == 2


@pytest.mark.parametrize("gone", [1, 2, 3])
def test_row_that_is_not_stored_is_missing(gone):
    found = compared([row(k) for k in (1, 2, 3) if k != gone], [row(1), row(2), row(3)])
    assert (found.stored, found.replayed["id"], found.column) == (None, gone, "")


def test_row_that_is_missing_among_those_of_one_moment_is_told_from_the_next():
    there = [row(1, ts=5), row(3, ts=5)]
    found = compared(there, [row(k, ts=5) for k in (1, 2, 3)])
    assert (found.stored, found.replayed["id"]) == (None, 2)


@pytest.mark.parametrize("more", [1, 2, 3])
def test_row_that_the_replay_does_not_give_is_extra(more):
    found = compared([row(1), row(2), row(3)], [row(k) for k in (1, 2, 3) if k != more])
    assert (found.stored["id"], found.replayed) == (more, None)


def test_extra_row_of_one_moment_is_told_from_the_next():
    found = compared([row(k, ts=5) for k in (1, 2, 3)], [row(1, ts=5), row(3, ts=5)])
    assert (found.stored["id"], found.replayed) == (2, None)


def test_row_of_later_is_none_of_this_stretch():
    assert compared([row(1), row(2)], [row(1)], until=2) is None
    assert compared([row(1), row(2)], [row(1)], until=3).stored["id"] == 2


def test_other_row_in_its_place_is_a_change_of_what_it_is_known_by():
    found = compared([row(9, ts=5)], [row(1, ts=5)])
    assert (found.column, found.stored["id"], found.replayed["id"]) == ("id", 9, 1)


def test_more_missing_rows_than_are_looked_ahead_are_told_by_their_time():
    n = 3 * NEAR
    found = compared([row(k) for k in range(n, n + 5)], [row(k) for k in range(n + 5)])
    assert (found.stored, found.replayed["id"]) == (None, 0)


def test_more_extra_rows_than_are_looked_ahead_are_told_by_their_time():
    n = 3 * NEAR
    found = compared([row(k) for k in range(n + 5)], [row(k) for k in range(n, n + 5)])
    assert (found.stored["id"], found.replayed) == (0, None)


def test_columns_become_rows_in_which_what_is_no_number_is_none():
    import numpy as np

    columns = {"session": np.array([7, 7]), "id": np.array([1, 2]), "x": np.array([0.5, np.nan])}
    assert rows_of(columns) == [{"id": 1, "x": 0.5}, {"id": 2, "x": None}]


def test_rows_are_told_in_units_and_names():
    words = Words(
        [{"account": 0, "name": "desk", "currency": "BTC", "scale": 100_000_000}],
        [{"strategy": 0, "account": 0, "name": "desk/cross"}],
        [{"instrument": 0, "name": "A", "lot_size": 0.001}],
    )
    fill = {
        "order_id": 3, "seq": 12, "ts": 1_700_000_000_000_000_000, "account": 0, "strategy": 0, "instrument": 0, "side": -1,
        "lots": 1500, "price": 20.25, "cash": -5,
    }  # fmt: skip
    assert (
        words.where("fills", fill)
        == "desk/cross, A, order 3, sold 1.5 at 20.25, input 12, 2023-11-14T22:13:20Z"
    )
    assert words.value("fills", "cash", fill) == "-0.00000005 BTC"
    assert words.value("fills", "lots", fill) == "1.5"
    position = {"strategy": 0, "instrument": 0, "realized": 250_000_000}
    assert words.value("positions", "realized", position) == "2.50000000 BTC"
    state = {"kind": 2, "became": 2, "code": 30, "account": 0, "strategy": -1}
    assert [words.value("risk", name, state) for name in ("kind", "became", "code", "strategy")] == [
        "STATE", "HALTED", "OPERATOR", "–",
    ]  # fmt: skip
    assert words.value("risk", "became", state | {"kind": 5, "became": 1}) == "WARNING"
