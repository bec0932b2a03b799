"""The store of live sessions: begin or find one, commit batches, read them back.

Everything in a batch is there, or nothing of it is; a batch that is committed again, because nobody learned that it
was, changes nothing. Raises what daemon/store/errors.py draws.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import pyarrow as pa
from sqlalchemy import delete, func, insert, select, update

from daemon.store import committing, copying, tape
from daemon.store import rows as to_rows
from daemon.store import schema as t
from daemon.store.address import Address, parse
from daemon.store.batch import Batch, Payload, Saved
from daemon.store.connecting import PATIENCE_S, connect, writer
from daemon.store.errors import StoreError, StoreUseError, translated
from daemon.store.migrating import require_current
from daemon.store.statements import upsert

if TYPE_CHECKING:
    from sqlalchemy import Column, Table
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from engine.records import Ticks
    from engine.spec import EngineSpec

CHUNK = 65_536  # inputs read at once: memory does not grow with the tape

# Small tables, which `find` reads whole, and of them those that no batch writes: `save` does.
SAVED = ("models", "news", "q_rows", "training_runs", "watchlists")
FOUND = (
    *SAVED, "accounts", "bars", "forecasts", "gaps", "instruments", "operator_actions", "positions", "strategies",
)  # fmt: skip
PAGED = {
    "orders": "id",
    "fills": "number",
    "postings": "number",
    "equity": "number",
    "risk": "number",
    "grades": "number",
}


class Session(NamedTuple):
    """A live session: one tape, which epochs continue."""

    id: int
    name: str
    seq: int  # of the last input that was committed
    started: int  # ns UTC


class Epoch(NamedTuple):
    """A stretch of a session's tape under one engine build, one configuration and one set of models."""

    number: int  # from 1 on
    build: str
    config_hash: str
    config: str  # the complete text
    first_seq: int  # of its first input, there or to come
    started: int  # ns UTC
    ended: int | None = None  # None: it goes on, or ended in a crash
    last_seq: int | None = None


class FirstEpoch(NamedTuple):
    """What a session begins with."""

    build: str
    config_hash: str
    config: str
    start: Saved  # the state after what was replayed from elsewhere


class Taped(NamedTuple):
    """A stretch of the tape."""

    first: int  # seq of its first input
    ticks: Ticks
    payloads: tuple[Payload, ...]  # in the order of seq


class Store:
    """A database with this program's tables. `open` it; close it at the end, or use it as a context."""

    def __init__(self, address: Address, engine: AsyncEngine) -> None:
        self.address = address
        self._engine = engine
        # what one transaction reads is of one moment; SQLite knows nothing else
        self._reader = engine if address.file else engine.execution_options(isolation_level="REPEATABLE READ")
        self._writer = writer(engine)
        self._one_writer = (
            asyncio.Lock()
        )  # of this process: SQLite has no more, and waiting in a queue is fair

    @classmethod
    async def open(cls, url: str, patience_s: float = PATIENCE_S) -> Self:
        """Open the database; it needs this program's revision (daemon.store.migrating.upgrade).

        patience_s: how long a lock is waited for; after a second more the database counts as away.
        """
        address = parse(url)
        address.require_file()
        store = cls(address, connect(address, patience_s))
        try:
            async with store.reading() as connection:
                await connection.run_sync(require_current, address)
        except BaseException:
            await store.close()
            raise
        return store

    async def close(self) -> None:
        """Let go of the connections."""
        await self._engine.dispose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # -- sessions -------------------------------------------------------------------------------------------------

    async def begin(
        self, name: str, spec: EngineSpec, now_ns: int, seq: int = 0, first: FirstEpoch | None = None
    ) -> Session:
        """Begin a session of that specification, whose tape goes on after `seq` rows that were replayed from elsewhere.

        Its accounts' cash is posted. first: its first epoch, which begins with it. Raises StoreUseError where the name is
        taken.
        """
        packed = None if first is None else await asyncio.to_thread(_packed, first.start.content)
        async with self.writing() as connection:
            if await _session(connection, name):
                raise StoreUseError(
                    f"{self.address}: there is a session {name!r} already; choose another name"
                )
            given = {"name": name, "seq": seq, "started": now_ns}
            made = await connection.execute(insert(t.sessions).returning(t.sessions.c.id), given)
            session = int(made.scalar_one())
            for table, described in _described(session, spec):
                await connection.execute(insert(table), described)
            initial = [round(a.cash * spec.scale(a.currency)) for a in spec.accounts]
            await copying.insert(connection, t.postings, to_rows.opening(session, seq, now_ns, initial))
            if first is not None and packed is not None:
                epoch = Epoch(1, first.build, first.config_hash, first.config, seq + 1, now_ns)
                await _put_epoch(connection, session, epoch)
                await committing.keep_snapshot(connection, session, first.start, packed)
        return Session(session, name, seq, now_ns)

    async def discard(self, session: int) -> None:
        """Forget a session on whose tape there is nothing. Raises StoreUseError where there is something."""
        async with self.writing() as connection:
            tape = select(t.tape.c.first).where(t.tape.c.session == session).limit(1)
            if (await connection.execute(tape)).first() is not None:
                raise StoreUseError(f"session {session} has a tape; it is not discarded")
            for table in reversed(t.metadata.sorted_tables):
                if "session" in table.c:
                    await connection.execute(delete(table).where(table.c.session == session))
            await connection.execute(delete(t.sessions).where(t.sessions.c.id == session))

    async def session(self, name: str) -> Session | None:
        """The session of that name, as far as it is committed, or None."""
        async with self.reading() as connection:
            return await _session(connection, name)

    async def sessions(self) -> list[Session]:
        """All sessions, the oldest first."""
        s = t.sessions.c
        async with self.reading() as connection:
            found = await connection.execute(select(s.id, s.name, s.seq, s.started).order_by(s.id))
            return [Session(*row) for row in found]

    async def epochs(self, session: int) -> list[Epoch]:
        """A session's epochs, the oldest first."""
        e = t.epochs.c
        columns = (e.epoch, e.build, e.config_hash, e.config, e.first_seq, e.started, e.ended, e.last_seq)
        async with self.reading() as connection:
            of = select(*columns).where(e.session == session).order_by(e.epoch)
            return [Epoch(*row) for row in await connection.execute(of)]

    async def begin_epoch(
        self, session: int, build: str, config_hash: str, config: str, now_ns: int, start: Saved | None = None
    ) -> int:
        """Begin an epoch after what is committed: one engine build, one configuration; its number, from 1 on.

        start: the state that it starts from, where there is no snapshot of it; kept for ever. An epoch before it that has no
        end was ended by a crash, and keeps none.
        """
        packed = None if start is None else await asyncio.to_thread(_packed, start.content)
        async with self.writing() as connection:
            seq = await _seq(connection, session)
            if start is not None and start.seq != seq:
                raise StoreUseError(f"a state of seq {start.seq} to start from at {seq}")
            e = t.epochs.c
            newest = await connection.execute(select(func.max(e.epoch)).where(e.session == session))
            epoch = int(newest.scalar() or 0) + 1
            await _put_epoch(connection, session, Epoch(epoch, build, config_hash, config, seq + 1, now_ns))
            if start is not None and packed is not None:
                await committing.keep_snapshot(connection, session, start, packed)
        return epoch

    async def end_epoch(self, session: int, epoch: int, now_ns: int) -> None:
        """End an epoch at what is committed. Raises StoreUseError where there is none that could end."""
        async with self.writing() as connection:
            seq = await _seq(connection, session)
            e = t.epochs.c
            going = (e.session == session, e.epoch == epoch, e.ended.is_(None))
            done = await connection.execute(update(t.epochs).where(*going).values(ended=now_ns, last_seq=seq))
            if done.rowcount != 1:
                raise StoreUseError(f"session {session} has no epoch {epoch} that goes on")

    # -- the tape -------------------------------------------------------------------------------------------------

    async def commit(self, session: int, batch: Batch) -> bool:
        """Write a batch in one transaction: True; False, and nothing changes, where it is there already.

        Raises SequenceError where it is not the one that follows, StoreUseError where it makes no sense,
        StoreUnavailable where the database cannot take it now: commit it again, then.
        """
        batch.check()
        packed = None
        if batch.snapshot is not None:
            packed = await asyncio.to_thread(_packed, batch.snapshot.content)
        async with self.writing() as connection:
            return await committing.commit(connection, session, batch, packed)

    async def snapshot(self, session: int, at: int | None = None) -> Saved | None:
        """The newest snapshot, or the newest that is not after seq `at`; None where there is none.

        Raises StoreError where it cannot be unpacked; there may be one before it.
        """
        s = t.snapshots.c
        newest = select(s.seq, s.state_hash, s.size, s.content).where(s.session == session)
        if at is not None:
            newest = newest.where(s.seq <= at)
        async with self.reading() as connection:
            row = (await connection.execute(newest.order_by(s.seq.desc()).limit(1))).first()
        if row is None:
            return None
        try:
            content = await asyncio.to_thread(
                pa.decompress, row.content, row.size, codec="zstd", asbytes=True
            )
        except (OSError, pa.ArrowInvalid) as error:
            raise StoreError(
                f"{self.address}: the snapshot of session {session} at seq {row.seq} is damaged ({error}); restore a copy"
            ) from error
        return Saved(row.seq, row.state_hash, content)

    async def snapshots(self, session: int) -> list[tuple[int, str]]:
        """Seq and state hash of the snapshots that are there, in that order."""
        s = t.snapshots.c
        async with self.reading() as connection:
            of = select(s.seq, s.state_hash).where(s.session == session).order_by(s.seq)
            return [(row.seq, row.state_hash) for row in await connection.execute(of)]

    async def inputs(
        self, session: int, after: int = 0, until: int | None = None, chunk: int = CHUNK
    ) -> AsyncIterator[Taped]:
        """The tape after a seq, to seq `until` or what is committed now, in order.

        It comes in stretches, of about `chunk` inputs, and never less than what was one commit. Raises SequenceError where
        inputs are missing.
        """
        async with self.reading() as connection:
            end = await _seq(connection, session)
        end = end if until is None else min(end, until)
        while after < end:
            first, wanted = after + 1, min(after + chunk, end)
            async with self.reading() as connection:
                ticks = tape.cut(await tape.read(connection, session, first, wanted), 0, end - after)
                after += len(ticks.price)
                p = t.payloads.c
                of = select(p.seq, p.kind, p.content).where(p.session == session, p.seq.between(first, after))
                payloads = tuple(Payload(*row) for row in await connection.execute(of.order_by(p.seq)))
            yield Taped(first, ticks, payloads)

    async def cash(self, session: int) -> dict[int, int]:
        """Account -> its cash by the ledger, in money units."""
        p = t.postings.c
        found: dict[int, int] = {}
        async with self.reading() as connection:
            for side, sign in ((p.debit, 1), (p.credit, -1)):
                mine = (p.session == session, side == t.LedgerAccount.CASH)
                total = select(p.account, func.sum(p.amount)).where(*mine).group_by(p.account)
                for account, amount in await connection.execute(total):
                    found[account] = found.get(account, 0) + sign * int(amount)
        return found

    # -- rows for people ------------------------------------------------------------------------------------------

    async def page(
        self, table: str, session: int, before: int | None = None, limit: int = 100
    ) -> list[dict[str, Any]]:
        """Rows of a long table of PAGED, the newest first.

        before: the key (`id` of orders, else `number`) of the last row of the page before. Enums are numbers, accounts,
        strategies and instruments indices.
        """
        of, key = _paged(table)
        query = select(of).where(of.c.session == session).order_by(key.desc()).limit(limit)
        return await self._all(query if before is None else query.where(key < before))

    async def rows(
        self, table: str, session: int, after: int = 0, limit: int = 10_000
    ) -> list[dict[str, Any]]:
        """Rows of a long table of PAGED whose key is above `after`, in its order: that in which they were committed.

        `number` counts the rows of all sessions, and has holes.
        """
        of, key = _paged(table)
        query = select(of).where(of.c.session == session, key > after).order_by(key).limit(limit)
        return await self._all(query)

    async def find(self, table: str, **equal: Any) -> list[dict[str, Any]]:
        """Rows of a small table of FOUND whose columns equal what is given, in the order of their key."""
        if table not in FOUND:
            raise StoreUseError(f"{table!r} is no table to read whole; there are {', '.join(FOUND)}")
        of = t.metadata.tables[table]
        _check_columns(of, equal)
        query = select(of).where(*(of.c[name] == value for name, value in equal.items()))
        return await self._all(query.order_by(*of.primary_key))

    async def save(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write rows of a table of SAVED, all or none; each whole, and in the place of one of the same key."""
        if table not in SAVED:
            raise StoreUseError(f"{table!r} is no table to save rows in; there are {', '.join(SAVED)}")
        of = t.metadata.tables[table]
        wanted = set(of.columns.keys())
        for row in rows:
            _check_columns(of, row)
            if missing := wanted - set(row):
                raise StoreUseError(f"a row of {table} lacks {', '.join(sorted(missing))}")
        if rows:
            async with self.writing() as connection:
                given = [dict(row) for row in rows]
                await connection.execute(upsert(connection.dialect.name, of), given)

    # -- transactions ---------------------------------------------------------------------------------------------

    async def _all(self, query: Any) -> list[dict[str, Any]]:
        async with self.reading() as connection:
            return [dict(row) for row in (await connection.execute(query)).mappings()]

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that reads, for this package."""
        with translated(str(self.address)):
            async with self._reader.connect() as connection, _sound(connection):
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that writes, for this package; committed at the end of the block."""
        with translated(str(self.address)):
            async with self._one_writer, self._writer.begin() as connection, _sound(connection):
                yield connection


@asynccontextmanager
async def _sound(connection: AsyncConnection) -> AsyncIterator[None]:
    # The driver may have been used past SQLAlchemy, which then does not know that the connection broke, or that it was
    # left in the middle of something: such a one is not used again.
    try:
        yield
    except StoreError:
        raise
    except BaseException:
        await connection.invalidate()
        raise


async def _session(connection: AsyncConnection, name: str) -> Session | None:
    s = t.sessions.c
    row = (await connection.execute(select(s.id, s.name, s.seq, s.started).where(s.name == name))).first()
    return Session(*row) if row else None


async def _put_epoch(connection: AsyncConnection, session: int, epoch: Epoch) -> None:
    row = epoch._asdict()
    await connection.execute(insert(t.epochs), {"session": session, "epoch": row.pop("number"), **row})


async def _seq(connection: AsyncConnection, session: int) -> int:
    seq = (await connection.execute(select(t.sessions.c.seq).where(t.sessions.c.id == session))).scalar()
    if seq is None:
        raise StoreUseError(f"there is no session {session}; begin one")
    return int(seq)


def _described(session: int, spec: EngineSpec) -> Iterable[tuple[Table, list[dict[str, Any]]]]:
    account = {a.name: k for k, a in enumerate(spec.accounts)}
    yield t.instruments, [
        {
            "session": session, "instrument": k, "name": i.name, "currency": i.currency,
            "tick_size": i.tick_size, "lot_size": i.lot_size,
        }
        for k, i in enumerate(spec.instruments)
    ]  # fmt: skip
    yield t.accounts, [
        {
            "session": session, "account": k, "name": a.name, "currency": a.currency,
            "scale": int(spec.scale(a.currency)), "initial": round(a.cash * spec.scale(a.currency)),
        }
        for k, a in enumerate(spec.accounts)
    ]  # fmt: skip
    named = [(s.name, account[s.account]) for s in spec.strategies]
    named += [(f"operator:{a.name}", k) for k, a in enumerate(spec.accounts)]
    yield (
        t.strategies,
        [
            {"session": session, "strategy": k, "account": a, "name": name}
            for k, (name, a) in enumerate(named)
        ],
    )


def _paged(table: str) -> tuple[Table, Column[Any]]:
    if table not in PAGED:
        raise StoreUseError(f"{table!r} is no table with pages; there are {', '.join(PAGED)}")
    of = t.metadata.tables[table]
    return of, of.c[PAGED[table]]


def _check_columns(table: Table, given: Iterable[str]) -> None:
    if unknown := set(given) - set(table.columns.keys()):
        raise StoreUseError(f"{table.name} has no column {', '.join(sorted(unknown))}")


def _packed(content: bytes) -> committing.Packed:
    return committing.Packed(len(content), pa.compress(content, codec="zstd", asbytes=True))
