"""What one transaction holds: a stretch of the tape and what it caused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from daemon.store.errors import SequenceError, StoreUseError
from engine.records import NONE, TICK_DTYPES, Ticks

if TYPE_CHECKING:
    from engine.engine import Events

Array = np.ndarray[Any, Any]

CLOSED_BAR = np.dtype([  # a time bar that closed
    ("series", "i4"), ("instrument", "i4"), ("timeframe", "i8"),  # its length in ns
    ("start", "i8"), ("end", "i8"),
    ("open", "f8"), ("high", "f8"), ("low", "f8"), ("close", "f8"), ("volume", "f8"), ("count", "i8"),
])  # fmt: skip

# What a payload's content has at least, for the kinds that become rows of their own.
_CONTENT = {
    "command": ("portfolio", "action", "reason", "who"),
    "signal": ("actor", "instrument", "ts", "until", "value", "low", "high"),
}


class Payload(NamedTuple):
    """What an input is beyond its numbers. A command becomes a row of `operator_actions`, a signal one of `forecasts`."""

    seq: int
    kind: str  # command, signal, settings, ...: whoever writes it names it
    content: Any  # JSON


class Gap(NamedTuple):
    """Prices of an instrument that did not come. The same gap again, with its end, closes it."""

    instrument: int
    since: int  # ns UTC
    until: int | None  # None: it is still open
    why: str


class Saved(NamedTuple):
    """A snapshot after an input."""

    seq: int
    state_hash: str
    content: bytes


@dataclass(frozen=True)
class Batch:
    """A stretch of a session's tape, at least one input, and all that it caused.

    An input's `seq` is the engine's count of rows when it has taken it: the first of a fresh engine has 1. What is not
    caused by a price enters as a row too (a TIMER row with a payload), so that everything has its place on the tape.
    """

    first: int  # seq of its first input
    ticks: Ticks  # its prices and sizes are finite
    out: Events
    slots: Array  # a copy of the engine's `state.slots` after it
    models: Sequence[str | None] = ()  # the model that each strategy decided with, by index
    payloads: Sequence[Payload] = ()
    gaps: Sequence[Gap] = ()
    snapshot: Saved | None = field(default=None, repr=False)  # after its last input
    bars: Array = field(
        default_factory=lambda: np.zeros(0, CLOSED_BAR), repr=False
    )  # (n,) CLOSED_BAR that closed in it

    @property
    def last(self) -> int:
        """The seq of its last input."""
        return self.first + len(self.ticks.price) - 1

    def check(self) -> None:
        """Raise StoreUseError where it makes no sense."""
        n = len(self.ticks.price)
        if n == 0:
            raise StoreUseError(
                "a batch without inputs; what has no price enters as a TIMER row with a payload"
            )
        for name, column, dtype in zip(Ticks._fields, self.ticks, TICK_DTYPES, strict=True):
            if column.dtype != dtype or len(column) != n:
                raise StoreUseError(
                    f"column {name} is {column.dtype} with {len(column)} rows; wanted are {n} of {dtype}"
                )
        for name in ("price", "size"):
            bad = np.flatnonzero(~np.isfinite(getattr(self.ticks, name)))
            if len(bad):
                raise StoreUseError(
                    f"seq {self.first + int(bad[0])}: its {name} is no finite number; refuse it where it comes in"
                )
        for payload in self.payloads:
            if not self.first <= payload.seq <= self.last:
                raise StoreUseError(
                    f"a payload of seq {payload.seq} in a batch of {self.first} to {self.last}"
                )
            if missing := set(_CONTENT.get(payload.kind, ())) - set(payload.content):
                raise StoreUseError(
                    f"the {payload.kind} of seq {payload.seq} does not say its {', '.join(sorted(missing))}"
                )
        if self.snapshot is not None and self.snapshot.seq != self.last:
            raise StoreUseError(f"a snapshot of seq {self.snapshot.seq} in a batch that ends at {self.last}")


def joined(batches: Sequence[Batch]) -> Batch:
    """Batches that follow one another as one, for a commit of all of them.

    Raises SequenceError where one does not follow, StoreUseError where another model decides in it, or another batch
    follows a snapshot: commit what comes before by itself.
    """
    if len(batches) == 1:
        return batches[0]
    observations = 0
    events = []
    for before, after in pairwise(batches):
        if after.first != before.last + 1:
            raise SequenceError(f"a batch from seq {after.first} does not follow one to {before.last}")
        if list(after.models) != list(before.models):
            raise StoreUseError(
                f"another model decides from seq {after.first} on; commit what is before it first"
            )
        if before.snapshot is not None:
            raise StoreUseError(f"the snapshot of seq {before.last} is not at the end; commit it first")
    for batch in batches:  # an event points at its row of the joined observations
        part = batch.out.events
        if len(part):
            part = np.array(part)
            part["observation"][part["observation"] != NONE] += observations
        observations += len(batch.out.observations)
        events.append(part)
    return Batch(
        batches[0].first,
        Ticks(*(np.concatenate(columns) for columns in zip(*(b.ticks for b in batches), strict=True))),
        batches[0].out._replace(
            events=_stacked(events),
            observations=np.concatenate([b.out.observations for b in batches]),
            equity=_stacked([b.out.equity for b in batches]),
            grades=_stacked([b.out.grades for b in batches]),
        ),
        batches[-1].slots,
        batches[-1].models,
        [p for b in batches for p in b.payloads],
        [g for b in batches for g in b.gaps],
        batches[-1].snapshot,
        _stacked([b.bars for b in batches]),
    )


def _stacked(parts: Sequence[Array]) -> Array:
    # np.concatenate works out the type of records anew for each part, which takes longer than all the rest
    parts = [part for part in parts if len(part)] or parts[:1]
    if len(parts) == 1:
        return parts[0]
    whole = np.empty(sum(len(part) for part in parts), parts[0].dtype)
    at = 0
    for part in parts:
        whole[at : at + len(part)] = part
        at += len(part)
    return whole
