"""One batch, in the transaction that the connection is in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sqlalchemy import delete, insert, select, update

from daemon.store import copying, rows
from daemon.store import schema as t
from daemon.store.errors import SequenceError
from daemon.store.statements import upsert, upsert_orders

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from daemon.store.batch import Batch


class Packed(NamedTuple):
    """A snapshot as it is stored."""

    size: int
    content: bytes


async def commit(connection: AsyncConnection, session: int, batch: Batch, packed: Packed | None) -> bool:
    """Write the batch; False where it is there already. Raises SequenceError where it is not the next one."""
    # also the lock against a second writer, and what makes a batch count once
    following = update(t.sessions).where(t.sessions.c.id == session, t.sessions.c.seq == batch.first - 1)
    done = await connection.execute(following.values(seq=batch.last))
    if done.rowcount != 1:
        await _check_repeated(connection, session, batch)
        return False
    dialect, out = connection.dialect.name, batch.out
    await copying.insert(connection, t.inputs, rows.inputs(session, batch.first, batch.ticks))
    if batch.payloads:
        given = [{"session": session, **payload._asdict()} for payload in batch.payloads]
        await connection.execute(insert(t.payloads), given)
    if len(out.events):
        if orders := rows.orders(session, batch):
            await connection.execute(upsert_orders(dialect), orders)
        await copying.insert(connection, t.fills, rows.fills(session, out.events))
        await copying.insert(connection, t.postings, rows.postings(session, out.events))
        await copying.insert(connection, t.risk, rows.risk(session, out.events))
        if positions := rows.positions(session, batch):
            await connection.execute(upsert(dialect, t.positions), positions)
    await copying.insert(connection, t.equity, rows.equity(session, out.equity))
    await copying.insert(connection, t.grades, rows.grades(session, out.grades))
    if batch.gaps:
        given = [{"session": session, **gap._asdict()} for gap in batch.gaps]
        await connection.execute(upsert(dialect, t.gaps), given)
    if batch.snapshot is not None and packed is not None:
        await _keep_snapshot(connection, session, batch.snapshot, packed)
    return True


async def _check_repeated(connection: AsyncConnection, session: int, batch: Batch) -> None:
    """Raise SequenceError unless just these inputs are there."""
    seq = (await connection.execute(select(t.sessions.c.seq).where(t.sessions.c.id == session))).scalar()
    if seq is None:
        raise SequenceError(f"there is no session {session}; begin one")
    mine = f"the batch of seq {batch.first} to {batch.last}"
    if batch.first > seq:
        raise SequenceError(
            f"{mine} leaves a hole on the tape, which ends at {seq}; commit what comes between"
        )
    if batch.last > seq:
        raise SequenceError(f"{mine} overlaps the tape, which ends at {seq}; go on from there")
    stored = await taped(connection, session, batch.first, batch.last)
    given = rows.inputs(session, batch.first, batch.ticks)
    if not all(np.array_equal(stored[name], given[name]) for name in stored):
        raise SequenceError(
            f"{mine} differs from what is on the tape; two processes write session {session}: end one of them"
        )


async def taped(connection: AsyncConnection, session: int, first: int, last: int) -> dict[str, Any]:
    """The inputs of seq first to last, as columns, `session` left out."""
    columns = [column for column in t.inputs.columns if column.name != "session"]
    names = ", ".join(column.name for column in columns)
    query = f"SELECT {names} FROM inputs WHERE session = {session:d} AND seq BETWEEN {first:d} AND {last:d} ORDER BY seq"
    return await copying.select(connection, columns, query)


async def _keep_snapshot(connection: AsyncConnection, session: int, saved: Any, packed: Packed) -> None:
    # the one before it stays, should this one turn out unreadable, and those that an epoch starts from
    s, e = t.snapshots.c, t.epochs.c
    before = select(s.seq).where(s.session == session).order_by(s.seq.desc()).limit(1)
    newest = (await connection.execute(before)).scalar()
    if newest is not None:
        starts = select(e.first_seq - 1).where(e.session == session)
        await connection.execute(
            delete(t.snapshots).where(s.session == session, s.seq < newest, s.seq.not_in(starts))
        )
    row = {"session": session, "seq": saved.seq, "state_hash": saved.state_hash, **packed._asdict()}
    await connection.execute(insert(t.snapshots), row)
