"""Orders as the replay leaves them: a row that changes until the order ends is compared when it has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from daemon.store import rows
from daemon.verify.comparing import Difference, Row, Stored, first_unequal
from engine.records import NEVER, Status

if TYPE_CHECKING:
    from daemon.store.batch import Batch

_CHANGING = (
    "lots", "limit", "stop", "trail", "expires", "status", "code", "cum_lots", "notional", "fees", "updated",
)  # fmt: skip


class Orders:
    """Live orders of the replay, and the stored rows of those that the replay has not ended yet.

    Both are as many as are live, not as many as there ever were: an order is forgotten when it was compared.
    """

    def __init__(self, stored: Stored) -> None:
        self._stored = stored
        self._mine: dict[int, dict[str, Any]] = {}
        self._theirs: dict[int, Row] = {}
        self.compared = 0

    async def take(self, batch: Batch, session: int, now: int) -> Difference | None:
        """Take in what a batch, after which it is `now`, did to orders; the first difference among those that it ended."""
        found: list[Difference] = []
        fresh = []
        ended = []
        for row in rows.orders(session, batch):
            del row["session"]
            known = self._mine.get(row["id"])
            if known is None:
                self._mine[row["id"]] = row
                fresh.append(row)
            else:  # what caused it stays
                known |= {name: row[name] for name in _CHANGING}
                if row["status"] <= Status.PENDING_CANCEL:
                    known["code"] = known["verdict"]
            if row["status"] > Status.PENDING_CANCEL:
                ended.append(int(row["id"]))
        found += await self._begun(fresh)
        found += self._compare(ended)
        if (ahead := await self._stored.ahead(1)) and ahead[0]["submitted"] < now:
            found.append(_extra(ahead[0]))
        return min(found, key=lambda d: d.ts, default=None)

    async def finish(self, now: int, seq: int) -> Difference | None:
        """Compare those that work still at the end, engine time `now` after input `seq`; and did the replay make all?

        What has changed since, in a session that goes on, is none of its business.
        """
        found = list(self._compare(sorted(self._mine), now))
        if (more := await self._stored.ahead(1)) and more[0]["seq"] <= seq and more[0]["submitted"] <= now:
            found.append(_extra(more[0]))
        return min(found, key=lambda d: d.ts, default=None)

    async def _begun(self, fresh: Sequence[Row]) -> list[Difference]:
        # ids ascend on both sides, in the order in which orders are decided
        found = []
        for mine in fresh:
            while (ahead := await self._stored.ahead(1)) and ahead[0]["id"] < mine["id"]:
                found.append(_extra(ahead[0]))
                self._stored.drop(1)
            if ahead and ahead[0]["id"] == mine["id"]:
                self._theirs[mine["id"]] = ahead[0]
                self._stored.drop(1)
            else:
                found.append(Difference("orders", int(mine["submitted"]), mine["seq"], None, mine))
        return found

    def _compare(self, ids: Sequence[int], now: int = NEVER) -> Iterator[Difference]:
        for order in ids:
            mine = self._mine.pop(order)
            theirs = self._theirs.pop(order, None)
            self.compared += 1
            if theirs is None:
                continue  # which was told when it began
            if theirs["updated"] > now:
                mine = {name: value for name, value in mine.items() if name not in _CHANGING}
            if (column := first_unequal(theirs, mine)) is not None:
                of = "updated" if column in _CHANGING else "submitted"
                ts, seq = (min(theirs[name], mine[name]) for name in (of, "seq"))
                yield Difference("orders", int(ts), seq, theirs, mine, column)


def _extra(row: Row) -> Difference:
    return Difference("orders", int(row["submitted"]), row["seq"], row, None)
