"""What is stored and what is new become one stream in time order, while no more than a few blocks are held."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from daemon.catalog.layout import Columns, join, period, period_end, rows
from daemon.data.checks import show
from daemon.data.errors import DataError


class Merge:
    """Puts new rows among old ones; made for one pass.

    Where both have a bar of the same start the new one is kept. Ticks have no such key: where new ticks begin before
    old ones end, it cannot be said which are the same trades, which is refused. With `replace` the new rows take the
    place of everything between the first and the last of them.
    """

    def __init__(self, name: str, bar_ns: int, replace: bool) -> None:
        self.given = 0
        self.replaced = 0
        self.first: int | None = None
        self.last: int | None = None
        self._name = name
        self._bar_ns = bar_ns
        self._replace = replace

    def run(self, old: Iterator[Columns], new: Iterator[Columns]) -> Iterator[Columns]:
        """The rows of both, up to the end of the partition in which the new ones end. Raises DataError."""
        held = _Held(old)
        for block in new:
            start, last = int(block["ts"][0]), int(block["ts"][-1])
            for before in held.until(start):
                if self.first is None or self._keeps(before):
                    yield before
            inside = [i for i in held.until(last + 1) if self._keeps(i)]
            self.given += len(block["ts"])
            self.first = start if self.first is None else self.first
            self.last = last
            yield self._among(inside, block) if inside else block
        if self.last is not None:
            yield from held.until(period_end(period(self.last, self._bar_ns), self._bar_ns))

    def _keeps(self, old: Columns) -> bool:
        # whether old rows between the first new row and the last may stay
        if self._replace:
            self.replaced += len(old["ts"])
            return False
        if not self._bar_ns:
            raise DataError(
                f"{self._name}: ticks are stored already from {show(int(old['ts'][0]))} on, inside the "
                "time of the new ones; leave those out, or let the new ones take their place with --replace"
            )
        return True

    def _among(self, inside: list[Columns], block: Columns) -> Columns:
        old = join(inside)
        stay = ~np.isin(old["ts"], block["ts"], assume_unique=True)
        self.replaced += int(len(stay) - stay.sum())
        both = join([{name: column[stay] for name, column in old.items()}, block])
        order = np.argsort(both["ts"], kind="stable")
        return {name: column[order] for name, column in both.items()}


class _Held:
    """A stream of which the rows before a time can be taken."""

    def __init__(self, blocks: Iterator[Columns]) -> None:
        self._blocks = blocks
        self._rest: Columns | None = None

    def until(self, ts: int) -> Iterator[Columns]:
        while True:
            block = self._rest if self._rest is not None else next(self._blocks, None)
            if block is None:
                return
            n = int(np.searchsorted(block["ts"], ts))
            self._rest = rows(block, n, len(block["ts"])) if n < len(block["ts"]) else None
            if n:
                yield rows(block, 0, n)
            if self._rest is not None:
                return
