"""Money that is paid into an account, or out of it, on the way."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from daemon.config import checks
from daemon.config.base import Model
from daemon.config.types import Time, ns_of

if TYPE_CHECKING:
    import numpy as np

    from daemon.config.models import BacktestConfig
    from engine.records import Ticks

_DAY = 86_400 * 10**9
_DAYS = {"day": 1, "week": 7}
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_LAST = datetime(2200, 1, 1, tzinfo=UTC)  # no row lies behind it


class Deposit(Model):
    """Money paid in, once or again and again."""

    at: Time = Field(description="When (UTC); where it comes again, the first time.")
    amount: float = Field(description="In the account's currency; negative: a withdrawal.")
    every: Literal["day", "week", "month", "quarter", "year"] | None = Field(
        default=None,
        description="It comes again so often, at the same time of day, and on the same day of the month or its last; null: once.",
    )
    until: Time | None = Field(
        default=None, description="It comes no more from here on (UTC); null: as long as there are rows."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        checks.refuse(_together(self))
        return self

    def times(self, end: datetime | None) -> np.ndarray[Any, Any]:
        """When it comes before `end`, (n,) int64 ns UTC, ascending."""
        import numpy as np

        first = ns_of(self.at)
        stop = ns_of(min(t for t in (self.until, end, _LAST) if t is not None))
        if self.every is None:
            return np.array([first] if first < stop else [], np.int64)
        if self.every in _DAYS:
            return np.arange(first, stop, _DAYS[self.every] * _DAY, dtype=np.int64)
        month = np.datetime64(f"{self.at:%Y-%m}", "M")
        months = np.arange(month, np.datetime64(stop, "ns").astype("M8[M]") + 1, _MONTHS[self.every])
        begins, ends = months.astype("M8[D]"), (months + 1).astype("M8[D]")
        days = np.minimum(begins + (self.at.day - 1), ends - 1)  # the 31st of a short month is its last
        times = days.astype("M8[ns]").astype(np.int64) + first % _DAY
        return times[times < stop]


def _together(given: Deposit) -> Iterator[checks.Finding]:
    if given.amount == 0:
        yield ("amount",), "is 0; write what is paid in, or, negative, out"
    if given.until and not given.every:
        yield ("until",), "is for what comes again; say how often with every, or remove it"
    if given.until and given.until <= given.at:
        yield ("until",), f"is not after at, {given.at:%Y-%m-%d %H:%M}; choose a later time"


def payments(config: BacktestConfig) -> Ticks | None:
    """All deposits and withdrawals of all accounts as rows of the tape, in time order; None where there are none.

    At equal times they come in the order of the accounts, and within one in that of its configuration.
    """
    entries = [(a, d) for a, account in enumerate(config.accounts) for d in account.deposits]
    if not entries:
        return None
    import numpy as np

    from engine.records import RowKind, Ticks

    times = [d.times(config.end) for _, d in entries]
    n = [len(t) for t in times]
    ts = np.concatenate(times)
    order = np.argsort(ts, kind="stable")
    ts = ts[order]
    return Ticks(
        ts,
        ts,
        np.repeat(np.array([a for a, _ in entries], np.int32), n)[order],
        np.repeat(np.array([d.amount for _, d in entries], np.float64), n)[order],
        np.zeros(len(ts)),
        np.full(len(ts), RowKind.CASH, np.uint8),
    )
