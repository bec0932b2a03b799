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
from sqlalchemy import func, insert, select, update

from daemon.store import committing, copying, rows
from daemon.store import schema as t
from daemon.store.address import Address, parse
from daemon.store.batch import Batch, Payload, Saved
from daemon.store.connecting import PATIENCE_S, connect, writer
from daemon.store.errors import SequenceError, StoreError, StoreUseError, translated
from daemon.store.migrating import require_current
from daemon.store.statements import upsert
from engine.records import TICK_DTYPES, Ticks

if TYPE_CHECKING:
    from sqlalchemy import Table
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from engine.spec import EngineSpec

CHUNK = 16_384  # inputs read at once: memory does not grow with the tape

# Small tables, which `find` reads whole, and of them those that no batch writes: `save` does.
SAVED = (
    "bars", "forecasts", "models", "news", "operator_actions", "q_rows", "training_runs", "watchlists",
)  # fmt: skip
FOUND = (*SAVED, "accounts", "epochs", "gaps", "instruments", "positions", "strategies")
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
        store = cls(address, connect(address, patience_s))
        try:
            async with store._reading() as connection:
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

    async def begin(self, name: str, spec: EngineSpec, now_ns: int, seq: int = 0) -> Session:
        """Begin a session of that specification, whose tape goes on after `seq` rows that were replayed from elsewhere.

        Its accounts' cash is posted. Raises StoreUseError where the name is taken.
        """
        async with self._writing() as connection:
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
            await copying.insert(connection, t.postings, rows.opening(session, seq, now_ns, initial))
        return Session(session, name, seq, now_ns)

    async def session(self, name: str) -> Session | None:
        """The session of that name, as far as it is committed, or None."""
        async with self._reading() as connection:
            return await _session(connection, name)

    async def begin_epoch(self, session: int, build: str, config_hash: str, config: str, now_ns: int) -> int:
        """Begin an epoch after what is committed: one engine build, one configuration; its number, from 1 on.

        An epoch before it that has no end was ended by a crash, and keeps none.
        """
        async with self._writing() as connection:
            seq = await _seq(connection, session)
            e = t.epochs.c
            newest = await connection.execute(select(func.max(e.epoch)).where(e.session == session))
            epoch = int(newest.scalar() or 0) + 1
            row = {
                "session": session, "epoch": epoch, "build": build, "config_hash": config_hash, "config": config,
                "first_seq": seq + 1, "started": now_ns,
            }  # fmt: skip
            await connection.execute(insert(t.epochs), row)
        return epoch

    async def end_epoch(self, session: int, epoch: int, now_ns: int) -> None:
        """End an epoch at what is committed. Raises StoreUseError where there is none that could end."""
        async with self._writing() as connection:
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
        async with self._writing() as connection:
            return await committing.commit(connection, session, batch, packed)

    async def last_snapshot(self, session: int) -> Saved | None:
        """The newest snapshot, or None. Raises StoreError where it cannot be unpacked."""
        s = t.snapshots.c
        async with self._reading() as connection:
            newest = select(s.seq, s.state_hash, s.size, s.content).where(s.session == session)
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

    async def inputs(self, session: int, after: int = 0, chunk: int = CHUNK) -> AsyncIterator[Taped]:
        """The tape after a seq, to what is committed now, in order, in stretches of at most `chunk` inputs.

        Raises SequenceError where inputs are missing.
        """
        async with self._reading() as connection:
            end = await _seq(connection, session)
        while after < end:
            first, last = after + 1, min(after + chunk, end)
            async with self._reading() as connection:
                columns = await committing.taped(connection, session, first, last)
                p = t.payloads.c
                of = select(p.seq, p.kind, p.content).where(p.session == session, p.seq.between(first, last))
                payloads = tuple(Payload(*row) for row in await connection.execute(of.order_by(p.seq)))
            if len(columns["seq"]) != last - first + 1:
                raise SequenceError(
                    f"{self.address}: session {session} has {len(columns['seq'])} of the inputs {first} to {last}; "
                    "the tape cannot be replayed from there: restore a copy"
                )
            ticks = (
                columns[name].astype(dtype) for name, dtype in zip(Ticks._fields, TICK_DTYPES, strict=True)
            )
            yield Taped(first, Ticks(*ticks), payloads)
            after = last

    # -- rows for people ------------------------------------------------------------------------------------------

    async def page(
        self, table: str, session: int, before: int | None = None, limit: int = 100
    ) -> list[dict[str, Any]]:
        """Rows of a long table of PAGED, the newest first.

        before: the key (`id` of orders, else `number`) of the last row of the page before. Enums are numbers, accounts,
        strategies and instruments indices.
        """
        if table not in PAGED:
            raise StoreUseError(f"{table!r} is no table with pages; there are {', '.join(PAGED)}")
        of = t.metadata.tables[table]
        key = of.c[PAGED[table]]
        query = select(of).where(of.c.session == session).order_by(key.desc()).limit(limit)
        return await self._all(query if before is None else query.where(key < before))

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
            async with self._writing() as connection:
                given = [dict(row) for row in rows]
                await connection.execute(upsert(connection.dialect.name, of), given)

    # -- transactions ---------------------------------------------------------------------------------------------

    async def _all(self, query: Any) -> list[dict[str, Any]]:
        async with self._reading() as connection:
            return [dict(row) for row in (await connection.execute(query)).mappings()]

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncConnection]:
        with translated(str(self.address)):
            async with self._engine.connect() as connection, _sound(connection):
                yield connection

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[AsyncConnection]:
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


def _check_columns(table: Table, given: Iterable[str]) -> None:
    if unknown := set(given) - set(table.columns.keys()):
        raise StoreUseError(f"{table.name} has no column {', '.join(sorted(unknown))}")


def _packed(content: bytes) -> committing.Packed:
    return committing.Packed(len(content), pa.compress(content, codec="zstd", asbytes=True))
