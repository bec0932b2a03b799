"""Rows that were stored against the rows that the replay gives, table by table, in their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

Row = Mapping[str, Any]
Page = Callable[[int, int], Awaitable[Sequence[Row]]]  # (after a key, so many) -> rows, ascending

PAGE = 4096
NEAR = 16  # rows in which one that was left out, or put in, is looked for


class Compared(NamedTuple):
    """A table whose rows are never changed: what a row is known by, and when it came."""

    table: str
    key: tuple[str, ...]
    when: str


TABLES = (
    Compared("fills", ("order_id", "cum_lots"), "ts"),
    Compared(
        "postings",
        ("seq", "order_id", "account", "strategy", "instrument", "code", "debit", "credit"),
        "ts",
    ),
    Compared("risk", ("seq", "account", "strategy", "kind", "code"), "ts"),
    Compared("equity", ("ts", "account"), "ts"),
    Compared("grades", ("ts", "account", "method"), "until"),
)


@dataclass(frozen=True)
class Difference:
    """A row that is not what the replay gives. One of the two is None where only the other side has it.

    column: the first in which they differ; "" where one is missing. ts: engine time, ns UTC.
    """

    table: str
    ts: int
    seq: int | None
    stored: Row | None
    replayed: Row | None
    column: str = ""


class Stored:
    """The rows of one table, read page by page in their order."""

    def __init__(self, page: Page, key: str) -> None:
        self._page = page
        self._key = key
        self._after = 0
        self._held: deque[Row] = deque()
        self._ended = False
        self.taken = 0

    async def ahead(self, n: int) -> Sequence[Row]:
        """The next n rows, or as many as there are; they stay."""
        while len(self._held) < n and not self._ended:
            rows = await self._page(self._after, PAGE)
            self._ended = len(rows) < PAGE
            if rows:
                self._after = int(rows[-1][self._key])
            self._held.extend(rows)
        return [self._held[i] for i in range(min(n, len(self._held)))]

    def drop(self, n: int) -> None:
        """Go past n rows that were seen ahead."""
        for _ in range(n):
            self._held.popleft()
        self.taken += n


def rows_of(columns: Mapping[str, np.ndarray[Any, Any]]) -> list[dict[str, Any]]:
    """Columns as rows of plain values; what is no number is None, as in the database."""
    names = [name for name in columns if name != "session"]
    values = [
        [None if x != x else x for x in column.tolist()] if column.dtype.kind == "f" else column.tolist()
        for column in (columns[name] for name in names)
    ]
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]


async def compare(of: Compared, stored: Stored, replayed: Sequence[Row], until: int) -> Difference | None:
    """Hold what the replay gave up to engine time `until` against the next rows that are stored; the first difference.

    Rows that are equal are gone past. A row of before `until` that the replay did not give is a difference, too.
    """
    there = await stored.ahead(len(replayed) + NEAR)
    for i, mine in enumerate(replayed):
        if (found := _unequal(of, there[i : i + NEAR], mine, replayed[i + 1 : i + NEAR])) is not None:
            stored.drop(i)
            return found
    stored.drop(len(replayed))
    rest = there[len(replayed) :]
    if rest and rest[0][of.when] < until:
        return _difference(of, rest[0], None)
    return None


def _unequal(of: Compared, there: Sequence[Row], mine: Row, coming: Sequence[Row]) -> Difference | None:
    """What is wrong with a row of the replay, or with the one that is stored in its place; what comes behind them tells which."""
    if not there:
        return _difference(of, None, mine)
    theirs = there[0]
    if (column := first_unequal(theirs, mine)) is None:
        return None
    if _key(of, theirs) == _key(of, mine):
        return _difference(of, theirs, mine, column)
    before = theirs[of.when] < mine[of.when]
    after = theirs[of.when] > mine[of.when]
    if before or (not after and any(_key(of, row) == _key(of, mine) for row in there[1:])):
        return _difference(of, theirs, None)
    if after or any(_key(of, theirs) == _key(of, row) for row in coming):
        return _difference(of, None, mine)
    return _difference(of, theirs, mine, column)


def first_unequal(stored: Row, replayed: Row) -> str | None:
    """The first column of the replayed row that the stored one has otherwise."""
    for name, value in replayed.items():
        if stored[name] != value:
            return name
    return None


def _key(of: Compared, row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in of.key)


def _difference(of: Compared, stored: Row | None, replayed: Row | None, column: str = "") -> Difference:
    rows = [row for row in (stored, replayed) if row is not None]
    first = min(rows, key=lambda row: row[of.when])
    return Difference(of.table, int(first[of.when]), first.get("seq"), stored, replayed, column)
