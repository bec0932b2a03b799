"""A recorded session, replayed from its tape and compared with what the database has of it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from daemon.live.core import Core
from daemon.store import rows as to_rows
from daemon.store.batch import Batch
from daemon.store.errors import SequenceError, StoreError, StoreUnavailable
from daemon.store.store import PAGED, Taped
from daemon.store.tape import cut
from daemon.verify.causes import Known, likely
from daemon.verify.comparing import TABLES, Difference, Stored, compare, rows_of
from daemon.verify.exported import inputs
from daemon.verify.facts import Cause, Failure, Kind, NotReplayable
from daemon.verify.orders import Orders
from daemon.verify.restoring import restored
from daemon.verify.wording import Words
from engine.records import Ticks

if TYPE_CHECKING:
    from daemon.store.store import Epoch, Session, Store


@dataclass
class Verified:
    """What a replay found. rows: inputs replayed. counts: rows compared, by table. states: state hashes compared."""

    session: str
    words: Words
    epochs: int = 0
    rows: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    states: int = 0
    state_hash: str = ""  # at the end
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    failure: Failure | None = None


async def verify(
    store: Store,
    session: Session,
    *,
    build: str,
    folder: Path | None = None,
) -> Verified:
    """Replay a session up to what is committed now, epoch by epoch, and compare; memory does not grow with the tape.

    build: of the engine that replays. folder: where days of the tape are that are in the database no more.
    Raises StoreError where the database cannot be read.
    """
    words = Words(
        *[await store.find(t, session=session.id) for t in ("accounts", "strategies", "instruments")]
    )
    found = Verified(session.name, words)
    started = time.perf_counter()
    epochs = [e for e in await store.epochs(session.id) if e.first_seq <= session.seq]
    replay = _Replay(store, session, found, folder)
    for epoch, following in zip(epochs, [*epochs[1:], None], strict=False):
        last = session.seq if following is None else following.first_seq - 1
        if last < epoch.first_seq:
            continue
        found.epochs += 1
        cause: Cause | None = None
        try:
            await replay.epoch(epoch, last, build)
        except NotReplayable as error:
            cause = error.cause
        except SequenceError as error:
            cause = Cause(Kind.GAP, str(error))
        except StoreUnavailable:
            raise
        except StoreError as error:  # what is there cannot be unpacked
            cause = Cause(Kind.SNAPSHOT, str(error))
        if cause:
            found.failure = Failure(
                epoch.number, replay.seq if found.rows else None, "it cannot be replayed", cause
            )
        if found.failure:
            break
    if found.failure is None:
        await replay.finish()
    found.counts = replay.counts()
    found.seconds = time.perf_counter() - started
    return found


class _Replay:
    """Goes along the tape; what it has seen and compared so far."""

    def __init__(
        self,
        store: Store,
        session: Session,
        found: Verified,
        folder: Path | None,
    ) -> None:
        self.seq = 0  # of the last input replayed
        self._store = store
        self._session = session
        self._found = found
        self._folder = folder
        self._core: Core | None = None

        def stored(table: str) -> Stored:
            return Stored(lambda after, n: store.rows(table, session.id, after, n), PAGED[table])

        self._stored = {of.table: stored(of.table) for of in TABLES}
        self._orders = Orders(stored("orders"))

    async def epoch(self, epoch: Epoch, last: int, build: str) -> None:
        """Replay one epoch, to seq `last`. Raises NotReplayable, SequenceError, StoreError."""
        store, session, first = self._store, self._session, epoch.first_seq - 1
        hashes = {seq: state for seq, state in await store.snapshots(session.id) if first <= seq <= last}
        self.seq = first
        if self._core is None:
            start = await store.snapshot(session.id, first) if first in hashes else None
            self._core = restored(epoch, start, build)
            if difference := await self._opening(self._core):
                failure = self._failed(epoch, difference, True, Known(epoch, build, self._core))
                self._found.failure = failure
                return
        else:  # as a new process does: strategies that cannot be saved begin anew
            self._core = Core.load(self._core.save().content)
        core = self._core
        known = Known(epoch, build, core)
        hashes.pop(first, None)
        difference = None
        async for piece in self._pieces(sorted({*hashes, last}), last):
            for batch in core.replay(piece):
                known.hear(batch.payloads)
                self.seq = batch.last
                self._found.rows += len(batch.ticks.price)
                if difference is None:
                    difference = await self._compare(batch, core.engine.now)
            if self.seq not in hashes:
                continue
            same = hashes[self.seq] == core.engine.state_hash()
            if difference is not None:
                self._found.failure = self._failed(epoch, difference, same, known)
                return
            if not same:
                self._found.failure = self._state_differs(epoch, hashes[self.seq], known)
                return
            self._found.states += 1
            known.agreed(self.seq)
        if difference is not None:
            self._found.failure = self._failed(epoch, difference, None, known)
            return
        known.finish()
        self._found.notes += [f"{cause.why}; it decided the same" for cause in known.causes]

    async def finish(self) -> None:
        """At the end of the tape: orders that work, and rows that the replay never gave."""
        core = self._core
        if core is None:
            return
        now = core.engine.now
        self._found.state_hash = core.engine.state_hash()
        found = [await self._orders.finish(now, self.seq)]
        for of in TABLES:
            ahead = await self._stored[of.table].ahead(1)
            extra = ahead and ahead[0].get("seq", self.seq) <= self.seq and ahead[0][of.when] <= now
            if extra:
                row = ahead[0]
                found.append(Difference(of.table, int(row[of.when]), row.get("seq"), row, None))
        after = await self._store.session(self._session.name)
        if after is not None and after.seq == self._session.seq:
            found.append(await self._positions(core))
        else:
            self._found.notes.append("the session goes on; positions as they stand were not compared")
        if first := _first(found):
            epoch = (await self._store.epochs(self._session.id))[-1]
            self._found.failure = Failure(
                epoch.number,
                first.seq,
                described(first, self._found.words),
                Cause(
                    Kind.ROWS,
                    "all that the replay gives is there as it should be: the row was changed or put in later",
                ),
                first,
            )

    def counts(self) -> dict[str, int]:
        """Rows that were compared, by table."""
        return {"orders": self._orders.compared} | {name: s.taken for name, s in self._stored.items()}

    # -- the tape -------------------------------------------------------------------------------------------------

    async def _pieces(self, stops: Sequence[int], last: int) -> AsyncIterator[Taped]:
        async for taped in inputs(self._store, self._session, self.seq, last, self._folder):
            for piece in pieces(taped, stops):
                yield piece

    async def _opening(self, core: Core) -> Difference | None:
        initial = [int(x) for x in core.engine.state.accounts["initial"]]
        begun_at = self._session.started
        columns = to_rows.opening(self._session.id, self.seq, begun_at, initial)
        return await compare(TABLES[1], self._stored["postings"], rows_of(columns), begun_at)

    async def _compare(self, batch: Batch, now: int) -> Difference | None:
        session, out = self._session.id, batch.out
        found = [await self._orders.take(batch, session, now)]
        columns = {
            "fills": to_rows.fills(session, out.events),
            "postings": to_rows.postings(session, out.events),
            "risk": to_rows.risk(session, out.events),
            "equity": to_rows.equity(session, out.equity),
            "grades": to_rows.grades(session, out.grades),
        }
        found += [await compare(of, self._stored[of.table], rows_of(columns[of.table]), now) for of in TABLES]
        first = _first(found)
        if first is None or first.seq is not None:
            return first
        return replace(first, seq=batch.first + int(np.searchsorted(batch.ticks.ts_recv, first.ts)))

    async def _positions(self, core: Core) -> Difference | None:
        slots = core.engine.state.slots
        names = ("lots", "cost", "realized", "fees", "income")
        mine = {(int(s["strategy"]), int(s["instrument"])): s for s in slots}
        there = await self._store.find("positions", session=self._session.id)
        seen = set()
        now = core.engine.now
        for row in there:
            key = (row["strategy"], row["instrument"])
            seen.add(key)
            slot = mine.get(key)
            given = dict.fromkeys(names, 0) if slot is None else {n: int(slot[n]) for n in names}
            for name in names:
                if row[name] != given[name]:
                    return Difference("positions", now, self.seq, row, {**row, **given}, name)
        for key, slot in mine.items():
            given = {n: int(slot[n]) for n in names}
            if key not in seen and any(given.values()):
                row = {"strategy": key[0], "instrument": key[1], **given}
                return Difference("positions", now, self.seq, None, row)
        return None

    # -- what is wrong --------------------------------------------------------------------------------------------

    def _failed(self, epoch: Epoch, first: Difference, same: bool | None, known: Known) -> Failure:
        cause = likely(known, first.seq or self.seq, same, self.seq)
        return Failure(epoch.number, first.seq, described(first, self._found.words), cause, first)

    def _state_differs(self, epoch: Epoch, stored: str, known: Known) -> Failure:
        core = self._core
        assert core is not None
        what = (
            f"the state after input {self.seq} is {core.engine.state_hash()}, and {stored} was recorded; no row of the "
            "database differs up to there"
        )
        return Failure(epoch.number, self.seq, what, likely(known, self.seq, False, self.seq))


def pieces(taped: Taped, stops: Sequence[int]) -> Iterator[Taped]:
    """A stretch of the tape, cut behind the inputs of `stops`."""
    end = taped.first + len(taped.ticks.price) - 1
    first = taped.first
    for stop in (*(s for s in stops if taped.first <= s < end), end):
        ticks: Ticks = cut(taped.ticks, first - taped.first, stop - taped.first + 1)
        yield Taped(first, ticks, tuple(p for p in taped.payloads if first <= p.seq <= stop))
        first = stop + 1


def described(of: Difference, words: Words) -> str:
    """A difference in a sentence."""
    row = of.replayed if of.replayed is not None else of.stored
    assert row is not None
    where = words.where(of.table, row)
    if of.stored is None:
        return f"{of.table}: {where} is missing in the database"
    if of.replayed is None:
        return f"{of.table}: {where} is in the database, and the replay does not give it"
    return (
        f"{of.table}: {where}: {of.column} is {words.value(of.table, of.column, of.stored)} in the database, "
        f"{words.value(of.table, of.column, of.replayed)} in the replay"
    )


def _first(found: Sequence[Difference | None]) -> Difference | None:
    return min((d for d in found if d is not None), key=lambda d: d.ts, default=None)
