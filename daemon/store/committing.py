"""One batch, in the transaction that the connection is in."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from sqlalchemy import delete, func, insert, select, update

from daemon.store import copying, rows, tape
from daemon.store import schema as t
from daemon.store.errors import SequenceError, StoreUseError
from daemon.store.statements import upsert, upsert_orders
from engine.records import NONE

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from daemon.store.batch import Batch, Saved


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
    await tape.write(connection, session, batch.first, batch.ticks)
    if batch.payloads:
        await _keep_payloads(connection, session, batch)
    if bars := rows.bars(session, batch.bars):
        await connection.execute(upsert(dialect, t.bars), bars)
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
        await keep_snapshot(connection, session, batch.snapshot, packed)
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
    stored = await tape.read(connection, session, batch.first, batch.last)
    # the tape may go on behind it
    if not all(np.array_equal(was[: len(now)], now) for was, now in zip(stored, batch.ticks, strict=True)):
        raise SequenceError(
            f"{mine} differs from what is on the tape; two processes write session {session}: end one of them"
        )


async def _keep_payloads(connection: AsyncConnection, session: int, batch: Batch) -> None:
    given = [{"session": session, **payload._asdict()} for payload in batch.payloads]
    await connection.execute(insert(t.payloads), given)
    if commands := rows.operator_actions(session, batch):
        await connection.execute(insert(t.operator_actions), commands)
    if any(payload.kind == "signal" for payload in batch.payloads):
        i = t.instruments.c
        known = await connection.execute(select(i.name, i.instrument).where(i.session == session))
        index: dict[str | None, int] = {None: NONE, **{row.name: row.instrument for row in known}}
        for payload in batch.payloads:
            if payload.kind == "signal" and payload.content["instrument"] not in index:
                raise StoreUseError(
                    f"the signal of seq {payload.seq} is on {payload.content['instrument']!r}, "
                    f"which is no instrument of session {session}"
                )
        await connection.execute(insert(t.forecasts), rows.forecasts(session, batch.payloads, index))


async def keep_snapshot(connection: AsyncConnection, session: int, saved: Saved, packed: Packed) -> None:
    """Write a snapshot; of those before, the last stays, and those that an epoch starts from."""
    s, e = t.snapshots.c, t.epochs.c
    # should this one turn out unreadable
    before = select(func.max(s.seq)).where(s.session == session, s.seq < saved.seq).scalar_subquery()
    starts = select(e.first_seq - 1).where(e.session == session)
    old = (s.session == session, s.seq < before, s.seq.not_in(starts))
    await connection.execute(delete(t.snapshots).where(*old))
    row = {"session": session, "seq": saved.seq, "state_hash": saved.state_hash, **packed._asdict()}
    await connection.execute(upsert(connection.dialect.name, t.snapshots), row)
