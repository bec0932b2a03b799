"""The store on a real SQLite file and a real PostgreSQL server: the same tests on both."""

import asyncio
import dataclasses
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from sqlalchemy import event, select, text

from daemon.store import committing, schema
from daemon.store.batch import CLOSED_BAR, Batch, Gap, Payload, Saved, joined
from daemon.store.errors import (
    SchemaError,
    SequenceError,
    StoreBusy,
    StoreError,
    StoreFull,
    StoreUnavailable,
    StoreUseError,
)
from daemon.store.migrating import check, head, upgrade
from daemon.store.store import PAGED, SAVED, Epoch, FirstEpoch, Session, Store
from engine.engine import Engine, Events
from engine.policies import Policy
from engine.records import EQUITY, EVENT, SECOND, SLOT, Status, Ticks
from engine.records_risk import GRADE
from engine.spec import AccountSpec, EngineSpec, InstrumentSpec, StrategySpec
from tests.builders import make_ticks
from tests.service.postgres import MISSING, programs, running
from tests.service.recorded import recorded, world_of

NOW = 1_700_000_000 * SECOND
PAPERTAPE = (sys.executable, "-m", "daemon.cli")


@asynccontextmanager
async def session_of(url, spec, **settings):
    async with await Store.open(url, **settings) as store:
        yield store, (await store.begin("live", spec, NOW)).id


async def dump(store):
    """Everything that is in the database, by table."""
    async with store.reading() as connection:
        return {
            name: [tuple(row) for row in await connection.execute(select(t).order_by(*t.primary_key))]
            for name, t in schema.metadata.tables.items()
        }


async def execute(store, statement):
    async with store.writing() as connection:
        await connection.execute(text(statement))


def a_day(seed=9, step=5):
    """A specification, and batches that cause orders, fills, cash, equity, verdicts."""
    world = world_of(seed)
    return world.spec, recorded(world, range(0, world.rows, step))[1]


def whole_day():
    """The same in one batch."""
    spec, batches = a_day()
    return spec, joined(batches)


def prices(first, n, start=1):
    """A batch of so many prints and nothing else."""
    ticks = make_ticks([(i * SECOND, 10.0 + i / 8, 1.0 + i, 0) for i in range(start, start + n)])
    nothing = Events(np.zeros(0, EVENT), np.zeros((0, 0)), np.zeros(0, EQUITY), np.zeros(0, GRADE))
    return Batch(first, ticks, nothing, np.zeros(0, SLOT))


QUIET = EngineSpec((InstrumentSpec("A"),), (AccountSpec("a", 1000.0),), ())


# -- the tape ---------------------------------------------------------------------------------------------------------


def test_tape_comes_back_bit_for_bit_in_order_and_in_pieces(url):
    spec, batches = a_day()
    extra = [Payload(2, "settings", {"hash": "näh", "models": {}}), Payload(1, "note", "first")]
    batches[0] = dataclasses.replace(batches[0], payloads=extra)

    async def story():
        async with session_of(url, spec) as (store, session):
            for batch in batches:
                assert await store.commit(session, batch)
            assert (await store.session("live")).seq == batches[-1].last
            pieces = [piece async for piece in store.inputs(session, chunk=7)]
            rest = [piece async for piece in store.inputs(session, after=10)]
            nothing = [piece async for piece in store.inputs(session, after=batches[-1].last)]
        return pieces, rest, nothing

    pieces, rest, nothing = asyncio.run(story())
    committed = [np.concatenate(c) for c in zip(*(b.ticks for b in batches), strict=True)]
    # a stretch ends with the commit that holds its seventh input
    ends = [batch.last for batch in batches]
    starts = [1]
    while (end := next((e for e in ends if e >= starts[-1] + 6), ends[-1])) < ends[-1]:
        starts.append(end + 1)
    assert [piece.first for piece in pieces] == starts
    for name, column, *read in zip(Ticks._fields, committed, *(p.ticks for p in pieces), strict=True):
        again = np.concatenate(read)
        assert again.dtype == column.dtype
        np.testing.assert_array_equal(again, column, err_msg=name)
    assert [p for piece in pieces for p in piece.payloads] == [extra[1], extra[0]]
    assert [p.first for p in rest] == [11]
    np.testing.assert_array_equal(rest[0].ticks.price, committed[3][10:])
    assert nothing == []


def test_prices_of_any_size_come_back_exactly(url):
    odd = [1 / 3, 5e-324, 1.7976931348623157e308, 2.0**53 + 2, -0.25, 0.0, 123456789.0]
    batch = prices(1, len(odd))
    batch = dataclasses.replace(
        batch, ticks=batch.ticks._replace(price=np.array(odd), flags=np.full(len(odd), 249, np.uint8))
    )

    async def story():
        async with session_of(url, QUIET) as (store, session):
            await store.commit(session, batch)
            return [piece async for piece in store.inputs(session)]

    (piece,) = asyncio.run(story())
    assert piece.ticks.price.tobytes() == batch.ticks.price.tobytes()
    assert piece.ticks.flags.tolist() == [249] * len(odd)


@pytest.mark.parametrize(
    ("spoil", "missing"),
    [
        ("DELETE FROM tape WHERE first = 4", 4),
        ("DELETE FROM tape WHERE first = 1", 1),
        ("DELETE FROM tape WHERE first = 7", 7),
        ("UPDATE tape SET last = 5 WHERE first = 4", 4),
        ("UPDATE tape SET first = 5 WHERE first = 4", 4),
    ],
)
def test_tape_with_missing_inputs_is_refused(url, spoil, missing):
    async def story():
        async with session_of(url, QUIET) as (store, session):
            for first in (1, 4, 7):
                await store.commit(session, prices(first, 3, first))
            await execute(store, spoil)
            for chunk in (1, 4, 100):
                with pytest.raises(SequenceError, match=f"session 1 lacks the input {missing}, of "):
                    [piece async for piece in store.inputs(session, chunk=chunk)]

    asyncio.run(story())


def test_tape_is_read_between_any_two_inputs(url):
    async def story():
        async with session_of(url, QUIET) as (store, session):
            other = (await store.begin("other", QUIET, NOW)).id
            for first, n in ((1, 2), (3, 1), (4, 5), (9, 1)):
                await store.commit(session, prices(first, n, first))
                await store.commit(other, prices(first, n, first + 100))
            read = {}
            for after in range(10):
                for until in range(after, 11):
                    for chunk in (1, 3, 20):
                        of = store.inputs(session, after, until, chunk)
                        pieces = [(p.first, p.ticks.ts_recv) async for p in of]
                        read[after, until, chunk] = (
                            [first + k for first, ts in pieces for k in range(len(ts))],
                            [int(x) // SECOND for _, ts in pieces for x in ts],
                        )
            return read

    for (after, until, _), (seqs, times) in asyncio.run(story()).items():
        assert seqs == times == list(range(after + 1, min(until, 9) + 1))


def test_tape_may_go_on_after_rows_that_came_from_elsewhere(url):
    async def story():
        async with await Store.open(url) as store:
            session = (await store.begin("warm", QUIET, NOW, seq=500)).id
            with pytest.raises(SequenceError):
                await store.commit(session, prices(1, 3))
            assert await store.commit(session, prices(501, 3))
            return [piece.first async for piece in store.inputs(session, after=500)]

    assert asyncio.run(story()) == [501]


# -- one transaction --------------------------------------------------------------------------------------------------


def test_batch_is_visible_as_a_whole_and_not_before_it_is_committed(url):
    spec, batch = whole_day()

    async def story():
        async with session_of(url, spec) as (store, session), await Store.open(url) as other:
            empty = await dump(other)
            async with store.writing() as connection:
                assert await committing.commit(connection, session, batch, None)
                assert await dump(other) == empty
            full = await dump(other)
        return {name for name in full if full[name] != empty[name]}

    assert asyncio.run(story()) >= {
        "sessions",
        "tape",
        "orders",
        "fills",
        "postings",
        "positions",
        "equity",
    }


def test_same_batch_again_changes_nothing(url):
    spec, batches = a_day()

    async def story():
        async with session_of(url, spec) as (store, session):
            assert [await store.commit(session, b) for b in batches] == [True] * len(batches)
            once = await dump(store)
            assert [await store.commit(session, b) for b in batches] == [False] * len(batches)
            assert await dump(store) == once

    asyncio.run(story())


@pytest.mark.parametrize(
    ("batch", "said"),
    [
        (prices(12, 3, 12), "the batch of seq 12 to 14 leaves a hole on the tape, which ends at 10"),
        (prices(9, 4, 9), "the batch of seq 9 to 12 overlaps the tape, which ends at 10"),
        (prices(3, 4, 2), "the batch of seq 3 to 6 differs from what is on the tape"),
    ],
    ids=["hole", "overlap", "another"],
)
def test_batch_that_does_not_follow_is_refused(url, batch, said):
    async def story():
        async with session_of(url, QUIET) as (store, session):
            await store.commit(session, prices(1, 10))
            before = await dump(store)
            with pytest.raises(SequenceError, match=said):
                await store.commit(session, batch)
            assert await dump(store) == before
            assert await store.commit(session, prices(11, 2, 11))

    asyncio.run(story())


def test_session_that_was_never_begun_is_refused(url):
    async def story():
        async with await Store.open(url) as store:
            with pytest.raises(SequenceError, match="there is no session 77"):
                await store.commit(77, prices(1, 1))

    asyncio.run(story())


def test_transaction_that_fails_on_its_last_row_leaves_nothing(url):
    spec, batch = whole_day()
    broken = dataclasses.replace(batch, gaps=[Gap(0, NOW, None, None)])  # type: ignore[arg-type] # what the database is to refuse

    async def story():
        async with session_of(url, spec) as (store, session):
            before = await dump(store)
            with pytest.raises(StoreUseError, match="contradict"):
                await store.commit(session, broken)
            assert await dump(store) == before
            assert await store.commit(session, batch)

    asyncio.run(story())


def test_two_writers_of_one_session_do_not_both_write(url):
    async def story():
        async with session_of(url, QUIET) as (store, session), await Store.open(url) as other:
            both = (store.commit(session, prices(1, 5)), other.commit(session, prices(1, 5)))
            assert sorted(await asyncio.gather(*both)) == [False, True]
            with pytest.raises(SequenceError, match="two processes write session"):
                await other.commit(session, prices(1, 5, start=2))
            return [piece async for piece in store.inputs(session)]

    (piece,) = asyncio.run(story())
    assert len(piece.ticks.price) == 5


@pytest.mark.parametrize("turns", [1, 3, 6, 10, 20, 40, 80])
def test_cancelled_commit_is_done_or_not_done(url, turns):
    spec, batch = whole_day()

    async def story():
        async with session_of(url, spec) as (store, session):
            task = asyncio.create_task(store.commit(session, batch))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await store.commit(session, batch)
            cancelled = await dump(store)
            await store.close()
        return cancelled

    async def straight():
        async with await Store.open(url) as store:
            return (await dump(store))["tape"]

    cancelled = asyncio.run(story())
    assert len(cancelled["tape"]) == len(asyncio.run(straight())) == 1
    assert len(cancelled["orders"]) == len(
        np.unique(batch.out.events["order_id"][batch.out.events["order_id"] > 0])
    )


# -- what a batch caused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 8, 9])
def test_books_in_the_database_are_the_engines(url, seed):
    world = world_of(seed)
    engine, batches = recorded(world, range(0, world.rows, 4))

    async def story():
        async with session_of(url, world.spec) as (store, session):
            for batch in batches:
                await store.commit(session, batch)
            sums = text(
                "SELECT account, ledger, SUM(amount) FROM ("
                "SELECT account, debit AS ledger, amount FROM postings UNION ALL "
                "SELECT account, credit, -amount FROM postings) AS moved GROUP BY account, ledger"
            )
            async with store.reading() as connection:
                books = {(a, x): int(s) for a, x, s in await connection.execute(sums)}
            return books, await dump(store), await store.find("positions", session=session)

    books, tables, positions = asyncio.run(story())
    for k, account in enumerate(engine.state.accounts):
        slots = engine.state.slots[engine.state.slots["account"] == k]
        expected = [
            account.cash, slots["cost"].sum(), -account.initial - account.deposits, -account.realized, account.fees,
            -account.income, -account.interest,
        ]  # fmt: skip
        assert [books.get((k, ledger), 0) for ledger in range(7)] == expected
    held = {(p["strategy"], p["instrument"]): (p["lots"], p["cost"], p["fees"]) for p in positions}
    for slot in engine.state.slots:
        where = slot.strategy, slot.instrument
        assert held.get(where, (0, 0, 0)) == (slot.lots, slot.cost, slot.fees)
    told = np.concatenate([b.out.events for b in batches])
    assert len(tables["fills"]) == (told["kind"] == 1).sum()
    assert len(tables["risk"]) == np.isin(told["kind"], (2, 5)).sum()
    assert len(tables["equity"]) == sum(len(b.out.equity) for b in batches)
    assert len(tables["grades"]) == sum(len(b.out.grades) for b in batches)
    last = {int(e["order_id"]): e for e in told[np.isin(told["kind"], (0, 1))]}
    columns = schema.orders.columns.keys()
    orders = [dict(zip(columns, row, strict=True)) for row in tables["orders"]]
    assert {o["id"]: (o["status"], o["cum_lots"], o["fees"]) for o in orders} == {
        i: (e["status"], e["cum_lots"], e["fees"]) for i, e in last.items()
    }


def test_order_keeps_what_caused_it_while_its_state_moves_on(url):
    spec = EngineSpec(
        (InstrumentSpec("A"),),
        (AccountSpec("a", 100_000.0),),
        (StrategySpec("s", "a", ("A",), SECOND, ("sma_1", "sma_2"), Policy.SMA_CROSS, size_value=10.0),),
    )
    engine = Engine(spec)
    engine.start()
    ticks = make_ticks([(i * SECOND, price, 1e6, 0) for i, price in enumerate((10.0, 9.0, 12.0, 12.0), 1)])
    batches = []
    for i in range(4):
        row = Ticks(*(c[i : i + 1].copy() for c in ticks))
        models = [f"sma@{i}", None]
        batches.append(Batch(i + 1, row, engine.process(row), np.array(engine.state.slots), models))

    async def story():
        async with session_of(url, spec) as (store, session):
            rows = []
            for batch in batches:
                await store.commit(session, batch)
                rows.append([dict(o) for o in await store.page("orders", session)])
            return rows, await store.page("fills", session)

    rows, fills = asyncio.run(story())
    (order,) = rows[-1]
    # the bar of 12 closes with the row at 4 s: averages 12 and 10.5, buy; it fills on that row, at 12
    assert rows[2] == []
    assert (order["status"], order["cum_lots"], order["seq"], order["model"]) == (
        Status.FILLED,
        10,
        3,
        "sma@3",
    )
    assert np.frombuffer(order["observation"], "<f8")[:2].tolist() == [12.0, 10.5]
    (fill,) = fills
    assert (fill["order_id"], fill["lots"], fill["price"], fill["ts"]) == (order["id"], 10, 12.0, 4 * SECOND)


def test_order_that_moves_on_in_a_later_batch_keeps_its_cause(url):
    spec, batches = a_day(step=1)
    seen: dict[int, list[tuple[int, Any]]] = {}
    for batch in batches:
        for e in batch.out.events[np.isin(batch.out.events["kind"], (0, 1))]:
            seen.setdefault(int(e["order_id"]), []).append((batch.first, e))
    later = {i: events for i, events in seen.items() if events[0][0] != events[-1][0]}
    assert later

    async def story():
        async with session_of(url, spec) as (store, session):
            for k, batch in enumerate(batches):
                models = [f"m@{k}"] * 20
                await store.commit(session, dataclasses.replace(batch, models=models))
            return await store.page("orders", session, limit=10_000)

    orders = {order["id"]: order for order in asyncio.run(story())}
    first = {batch.first: k for k, batch in enumerate(batches)}
    for i, events in later.items():
        (begun, cause), (_, end) = events[0], events[-1]
        order = orders[i]
        assert order["model"] == f"m@{first[begun]}"
        assert order["verdict"] == cause["code"]
        assert order["status"] == end["status"]
        assert order["code"] == (end["code"] if end["status"] >= Status.FILLED else cause["code"])


def test_pages_go_backwards_without_a_row_twice(url):
    spec, batch = whole_day()

    async def story():
        async with session_of(url, spec) as (store, session):
            await store.commit(session, batch)
            whole = await store.page("fills", session, limit=1000)
            pages, before = [], None
            while page := await store.page("fills", session, before=before, limit=2):
                pages += page
                before = page[-1]["number"]
            with pytest.raises(StoreUseError, match="'tape' is no table with pages"):
                await store.page("tape", session)
            return whole, pages, await store.page("fills", session + 1)

    whole, pages, other = asyncio.run(story())
    assert len(whole) > 4
    assert pages == whole == sorted(whole, key=lambda f: -f["number"])
    assert other == []


# -- sessions, snapshots, gaps ------------------------------------------------------------------------------------------


def test_epochs_follow_one_another_on_one_tape(url):
    async def story():
        async with session_of(url, QUIET) as (store, session):
            assert await store.begin_epoch(session, "build-1", "c1", "{}", NOW) == 1
            await store.commit(session, prices(1, 4))
            await store.end_epoch(session, 1, NOW + 5)
            assert await store.begin_epoch(session, "build-2", "c1", "{}", NOW + 6) == 2
            with pytest.raises(StoreUseError, match="has no epoch 1 that goes on"):
                await store.end_epoch(session, 1, NOW + 7)
            with pytest.raises(StoreUseError, match="there is no session 9"):
                await store.begin_epoch(9, "b", "c", "{}", NOW)
            other = await store.begin("other", QUIET, NOW + 9, seq=7)
            assert await store.epochs(other.id) == []
            return await store.epochs(session), await store.sessions()

    epochs, sessions = asyncio.run(story())
    assert epochs == [
        Epoch(1, "build-1", "c1", "{}", 1, NOW, NOW + 5, 4),
        Epoch(2, "build-2", "c1", "{}", 5, NOW + 6, None, None),
    ]
    assert sessions == [Session(1, "live", 4, NOW), Session(2, "other", 7, NOW + 9)]


def test_session_is_begun_once_with_what_its_specification_names(url):
    spec, _ = a_day()

    async def story():
        async with session_of(url, spec) as (store, session):
            with pytest.raises(StoreUseError, match="there is a session 'live' already"):
                await store.begin("live", spec, NOW)
            assert await store.session("other") is None
            names = {}
            for table in ("instruments", "accounts", "strategies"):
                names[table] = [row["name"] for row in await store.find(table, session=session)]
            return names

    names = asyncio.run(story())
    accounts = [a.name for a in spec.accounts]
    assert names["instruments"] == [i.name for i in spec.instruments]
    assert names["accounts"] == accounts
    assert names["strategies"] == [s.name for s in spec.strategies] + [f"operator:{a}" for a in accounts]


def test_session_begins_together_with_its_first_epoch(url):
    first = FirstEpoch("b", "c", "text: ü", Saved(7, "hash", b"state"))

    async def story():
        async with await Store.open(url) as store:
            session = await store.begin("live", QUIET, NOW, 7, first)
            return await store.epochs(session.id), await store.snapshot(session.id)

    epochs, snapshot = asyncio.run(story())
    assert epochs == [Epoch(1, "b", "c", "text: ü", 8, NOW)]
    assert snapshot == first.start


def test_cash_by_the_ledger_is_the_engines(url):
    world = world_of(1)  # of deposits and withdrawals
    engine, batches = recorded(world, ())

    async def story():
        async with session_of(url, world.spec) as (store, session):
            for batch in batches:
                await store.commit(session, batch)
            return await store.cash(session)

    cash = asyncio.run(story())
    assert {k: cash.get(k, 0) for k in range(len(world.spec.accounts))} == dict(
        enumerate(int(a.cash) for a in engine.state.accounts)
    )


def test_snapshots_come_back_and_old_ones_go_but_for_those_of_epochs(url):
    content = os.urandom(1000) + bytes(100_000)

    def saved(k):
        return Saved(k, f"hash-{k}", content + bytes([k]))

    async def story():
        async with session_of(url, QUIET) as (store, session):
            assert await store.snapshot(session) is None
            with pytest.raises(StoreUseError, match="a state of seq 3 to start from at 0"):
                await store.begin_epoch(session, "b", "c", "{}", NOW, saved(3))
            await store.begin_epoch(session, "b", "c", "{}", NOW, saved(0))
            for k in range(1, 7):
                await store.commit(session, dataclasses.replace(prices(k, 1, k), snapshot=saved(k)))
                if k == 2:
                    await store.end_epoch(session, 1, NOW)
                    await store.begin_epoch(session, "b2", "c", "{}", NOW)
            kept = await store.snapshots(session)
            found = [await store.snapshot(session, at) for at in (None, 9, 6, 4, 1, -1)]
            await execute(store, "UPDATE snapshots SET size = 7 WHERE seq = 6")
            with pytest.raises(StoreError, match="the snapshot of session 1 at seq 6 is damaged"):
                await store.snapshot(session)
            assert await store.snapshot(session, 5) == saved(5)
            return kept, found

    kept, found = asyncio.run(story())
    assert kept == [(k, f"hash-{k}") for k in (0, 2, 5, 6)]
    assert found == [saved(6), saved(6), saved(6), saved(2), saved(0), None]


def test_rows_are_read_in_the_order_of_their_commit_and_in_pieces(url):
    spec, batches = a_day()

    async def story():
        async with session_of(url, spec) as (store, session):
            other = (await store.begin("other", spec, NOW)).id
            for batch in batches:
                await store.commit(session, batch)
                await store.commit(other, batch)
            read = {}
            for table in PAGED:
                rows, after = [], 0
                while piece := await store.rows(table, session, after, limit=1):
                    rows += piece
                    after = piece[-1][PAGED[table]]
                read[table] = rows, (await store.page(table, session, limit=10_000))[::-1]
            with pytest.raises(StoreUseError, match="'bars' is no table with pages"):
                await store.rows("bars", session)
            return read

    for table, (pieces, page) in asyncio.run(story()).items():
        assert len(page) >= 2 or table == "grades", table
        assert pieces == page


def test_bars_signals_and_commands_of_a_batch_become_rows(url):
    spec = EngineSpec((InstrumentSpec("A"), InstrumentSpec("B")), (AccountSpec("a", 1000.0),), ())
    closed = np.zeros(2, CLOSED_BAR)
    closed[0] = (3, 1, 60 * SECOND, 120 * SECOND, 180 * SECOND, 1.0, 2.0, 0.5, 1.5, 9.0, 4)
    closed[1] = (4, 0, SECOND // 4, 1, 2, 1.0, 1.0, 1.0, 1.0, 0.0, 1)
    signal = {
        "actor": "f",
        "instrument": "B",
        "ts": 7,
        "until": 9,
        "value": 0.25,
        "low": None,
        "high": 0.5,
        "data": {},
    }
    command = {"portfolio": "a", "action": "halt", "reason": "näh", "who": "me"}
    payloads = [
        Payload(1, "signal", signal),
        Payload(2, "signal", signal | {"instrument": None, "low": -1.0}),
        Payload(3, "command", command),
        Payload(4, "start", {"epoch": 1}),
    ]
    batch = dataclasses.replace(prices(1, 4), bars=closed, payloads=payloads)
    again = closed[:1].copy()
    again["close"] = 1.75  # a late print

    async def story():
        async with session_of(url, spec) as (store, session):
            for broken, said in (
                (
                    {"value": 1.0},
                    "the signal of seq 5 does not say its actor, high, instrument, low, ts, until",
                ),
                (signal | {"instrument": "C"}, "the signal of seq 5 is on 'C', which is no instrument"),
            ):
                wrong = dataclasses.replace(prices(5, 1, 5), payloads=[Payload(5, "signal", broken)])
                if "C" in said:
                    await store.commit(session, batch)
                with pytest.raises(StoreUseError, match=said):
                    await store.commit(session, wrong)
            await store.commit(session, dataclasses.replace(prices(5, 1, 5), bars=again))
            tables = ("bars", "forecasts", "operator_actions")
            return [await store.find(table) for table in tables]

    bars, forecasts, actions = asyncio.run(story())
    key = {"session": 1}
    assert bars == [
        key | {"instrument": 0, "timeframe": "250ms", "start": 1, "end": 2, "open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0, "volume": 0.0, "count": 1},
        key | {"instrument": 1, "timeframe": "1m", "start": 120 * SECOND, "end": 180 * SECOND, "open": 1.0, "high": 2.0, "low": 0.5, "close": 1.75, "volume": 9.0, "count": 4},
    ]  # fmt: skip
    assert forecasts == [
        key | {"seq": 1, "actor": "f", "instrument": 1, "ts": 7, "until": 9, "value": 0.25, "low": None, "high": 0.5},
        key | {"seq": 2, "actor": "f", "instrument": -1, "ts": 7, "until": 9, "value": 0.25, "low": -1.0, "high": 0.5},
    ]  # fmt: skip
    assert actions == [key | {"seq": 3, "ts": 3 * SECOND, **command}]


def test_gap_is_closed_where_it_began(url):
    async def story():
        async with session_of(url, QUIET) as (store, session):
            await store.commit(session, dataclasses.replace(prices(1, 1), gaps=[Gap(0, 5, None, "silence")]))
            opened = await store.find("gaps", session=session)
            later = [Gap(0, 5, 9, "silence"), Gap(0, 12, None, "restart")]
            await store.commit(session, dataclasses.replace(prices(2, 1, 2), gaps=later))
            return opened, await store.find("gaps", session=session)

    opened, closed = asyncio.run(story())
    assert [(g["since"], g["until"]) for g in opened] == [(5, None)]
    assert [(g["since"], g["until"], g["why"]) for g in closed] == [(5, 9, "silence"), (12, None, "restart")]


ROWS: dict[str, dict[str, Any]] = {
    "models": {"name": "m", "version": 1, "hash": "h", "card": {"a": [1, None]}, "created": 5, "promoted": True},
    "news": {"provider": "p", "id": "7", "symbol": "A", "ts": 1, "headline": "ünï", "source": "s", "url": "u", "summary": ""},
    "q_rows": {"name": "m", "version": 1, "state": 3, "action": 2, "value": 0.25},
    "training_runs": {"id": "t", "algorithm": "ppo", "config_hash": "c", "model": None, "started": 1, "ended": None, "steps": 10, "result": {}},
    "watchlists": {"name": "w", "symbol": "A", "position": 1, "added": 5},
}  # fmt: skip


def test_rows_that_no_batch_writes_are_saved_found_and_replaced(url):
    async def story():
        async with session_of(url, QUIET) as (store, _):
            for table in SAVED:
                await store.save(table, [ROWS[table]])
            assert [await store.find(table) for table in SAVED] == [[ROWS[table]] for table in SAVED]
            await store.save(
                "watchlists", [ROWS["watchlists"] | {"position": 7}, ROWS["watchlists"] | {"symbol": "B"}]
            )
            assert [(w["symbol"], w["position"]) for w in await store.find("watchlists", name="w")] == [
                ("A", 7),
                ("B", 1),
            ]
            assert await store.find("watchlists", symbol="C") == []

    asyncio.run(story())


def test_rows_that_do_not_fit_are_refused_whole(url):
    async def story():
        async with session_of(url, QUIET) as (store, _):
            one = ROWS["watchlists"]
            with pytest.raises(StoreUseError, match="watchlists has no column colour"):
                await store.save("watchlists", [one | {"colour": "red"}])
            with pytest.raises(StoreUseError, match="a row of watchlists lacks added, position"):
                await store.save("watchlists", [one, {"name": "w", "symbol": "B"}])
            with pytest.raises(StoreUseError, match="contradict"):
                await store.save("watchlists", [one, one | {"symbol": "B", "added": None}])
            with pytest.raises(StoreUseError, match="contradict"):  # of no model
                await store.save("q_rows", [ROWS["q_rows"]])
            with pytest.raises(StoreUseError, match="'orders' is no table to save rows in"):
                await store.save("orders", [])
            with pytest.raises(StoreUseError, match="'tape' is no table to read whole"):
                await store.find("tape")
            assert await store.find("watchlists") == []

    asyncio.run(story())


# -- revisions --------------------------------------------------------------------------------------------------------


def test_migrated_tables_are_those_of_the_program_and_a_difference_is_seen(url):
    assert asyncio.run(check(url)) == []

    async def change():
        async with await Store.open(url) as store:
            await execute(store, "ALTER TABLE gaps ADD COLUMN colour TEXT")

    asyncio.run(change())
    (line,) = asyncio.run(check(url))
    assert "remove_column" in line
    assert "gaps.colour" in line
    done = subprocess.run(
        [*PAPERTAPE, "db", "check", "--url", url], capture_output=True, text=True, check=False
    )
    assert (done.returncode, "gaps.colour" in done.stdout) == (1, True)


def test_database_without_tables_is_refused(new_url):
    if new_url.startswith("sqlite"):
        for refused in (check, Store.open):
            with pytest.raises(StoreUseError, match="there is no such file"):
                asyncio.run(refused(new_url))
        sqlite3.connect(new_url.removeprefix("sqlite:///")).executescript("create table other (x)")
    with pytest.raises(
        SchemaError, match=rf"has no tables yet, this program needs {head()}; run `papertape db upgrade`"
    ):
        asyncio.run(Store.open(new_url))


def test_database_newer_than_the_program_is_refused(url):
    async def make_newer():
        async with await Store.open(url) as store:
            await execute(store, "UPDATE papertape_revision SET version_num = '9999'")

    asyncio.run(make_newer())
    for wanted in (Store.open, upgrade, check):
        said = (
            rf"has revision 9999, which this program does not know; its own is {head()}\. A newer Papertape"
        )
        with pytest.raises(SchemaError, match=said):
            asyncio.run(wanted(url))
    done = subprocess.run(
        [*PAPERTAPE, "db", "current", "--url", url], capture_output=True, text=True, check=False
    )
    assert done.stdout == f"database 9999, program {head()}\n"


def test_processes_that_upgrade_at_once_do_it_once(new_url):
    command = [*PAPERTAPE, "db", "upgrade", "--url", new_url]
    started = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)
    ]
    said = [(*process.communicate(), process.returncode) for process in started]
    assert [code for _, _, code in said] == [0] * 4, said
    assert sorted("had no tables" in out for out, _, _ in said) == [False, False, False, True]
    assert asyncio.run(check(new_url)) == []


# -- faults -----------------------------------------------------------------------------------------------------------


def test_sqlite_file_keeps_what_was_committed_when_the_power_fails(tmp_path):
    url = f"sqlite:///{tmp_path}/tape.db"
    asyncio.run(upgrade(url))

    async def story():
        async with await Store.open(url) as store, store.writing() as connection:
            names = ("journal_mode", "synchronous", "foreign_keys")
            return [(await connection.execute(text(f"PRAGMA {name}"))).scalar() for name in names]

    assert asyncio.run(story()) == ["wal", 2, 1]  # 2: FULL


def test_lock_that_is_held_too_long_is_said_and_nothing_is_lost(url):
    async def story():
        async with session_of(url, QUIET) as (store, session), await Store.open(url, 0.3) as hasty:
            async with store.writing() as connection:
                await connection.execute(text("UPDATE sessions SET started = started"))
                began = time.monotonic()
                with pytest.raises(StoreBusy):
                    await hasty.commit(session, prices(1, 3))
                assert 0.2 < time.monotonic() - began < 5
            assert await hasty.commit(session, prices(1, 3))

    asyncio.run(story())


def test_disk_that_is_full_leaves_nothing_half_written(tmp_path):
    url = f"sqlite:///{tmp_path}/tape.db"
    asyncio.run(upgrade(url))

    async def story():
        async with session_of(url, QUIET) as (store, session):
            await store.commit(session, prices(1, 10))
            before = await dump(store)
            await store.close()  # the next connection finds the disk full

            @event.listens_for(store._engine.sync_engine, "connect")
            def fill_up(connection, _):
                cursor = connection.cursor()
                cursor.execute("PRAGMA page_count")
                cursor.execute(f"PRAGMA max_page_count = {cursor.fetchone()[0] + 20}")
                cursor.close()

            with pytest.raises(StoreFull, match="the disk is full; make room"):
                await store.commit(session, prices(11, 100_000, 11))
            assert await dump(store) == before
            event.remove(store._engine.sync_engine, "connect", fill_up)
            await store.close()
            assert await store.commit(session, prices(11, 100_000, 11))
            return [row[:3] for row in (await dump(store))["tape"]]

    assert asyncio.run(story()) == [(1, 1, 10), (1, 11, 100_010)]
    assert sqlite3.connect(tmp_path / "tape.db").execute("PRAGMA integrity_check").fetchone() == ("ok",)


def trigger(what):
    return (
        f"CREATE FUNCTION fault() RETURNS trigger AS $$ BEGIN PERFORM {what}; RETURN NEW; END $$ LANGUAGE plpgsql;",
        "CREATE TRIGGER fault AFTER INSERT ON postings FOR EACH STATEMENT EXECUTE FUNCTION fault()",
    )


@pytest.mark.parametrize("what", ["pg_terminate_backend(pg_backend_pid())", "pg_sleep(30)"])
def test_connection_that_breaks_or_hangs_in_a_transaction_leaves_nothing(server, what):
    url = server.emptied()
    asyncio.run(upgrade(url))
    spec, batch = whole_day()

    async def story():
        async with session_of(url, spec) as (store, session), await Store.open(url, 1.0) as hasty:
            before = await dump(store)
            for statement in trigger(what):
                await execute(store, statement)
            began = time.monotonic()
            with pytest.raises(StoreUnavailable):
                await hasty.commit(session, batch)
            assert time.monotonic() - began < 10
            await execute(store, "DROP TRIGGER fault ON postings")
            assert await dump(store) == before
            assert await hasty.commit(session, batch)
            assert [row[:3] for row in (await dump(store))["tape"]] == [(session, batch.first, batch.last)]

    asyncio.run(story())


def test_server_that_was_killed_is_used_again_when_it_is_back():
    if programs() is None:
        pytest.skip(MISSING)
    with running() as server:
        url = server.emptied()
        asyncio.run(upgrade(url))

        async def story():
            async with session_of(url, QUIET) as (store, session):
                assert await store.commit(session, prices(1, 5))
                server.stop()
                for _ in range(3):
                    with pytest.raises(StoreUnavailable):
                        await store.commit(session, prices(6, 5, 6))
                await asyncio.to_thread(server.start)
                done = None
                for _ in range(5):  # each connection of the pool may have to find out for itself
                    try:
                        done = await store.commit(session, prices(6, 5, 6))
                        break
                    except StoreUnavailable:
                        continue
                assert done is True
                return [row[:3] for row in (await dump(store))["tape"]]

        assert asyncio.run(story()) == [(1, 1, 5), (1, 6, 10)]


WRITER = """
import asyncio, sys
from daemon.store.store import Store
from tests.service.test_store import prices

async def write(url):
    async with await Store.open(url) as store:
        session = await store.session("live")
        k = session.seq
        while True:
            await store.commit(session.id, prices(k + 1, 50, k + 1))
            k += 50
            print(k, flush=True)

asyncio.run(write(sys.argv[1]))
"""


def test_process_that_is_killed_loses_nothing_that_was_committed(url):
    async def begin():
        async with session_of(url, QUIET):
            pass

    async def look():
        async with await Store.open(url) as store:
            session = await store.session("live")
            assert session is not None
            return session.seq, [p.ticks.ts_event async for p in store.inputs(session.id)]

    asyncio.run(begin())
    seq = 0
    for after in (1, 7, 30):
        process = subprocess.Popen([sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        said = [int(process.stdout.readline()) for _ in range(after)]
        process.send_signal(signal.SIGKILL)
        said += [int(line) for line in process.communicate()[0].split()]
        assert said[0] == seq + 50
        seq, columns = asyncio.run(look())
        assert seq in (said[-1], said[-1] + 50)
        assert np.concatenate(columns).tolist() == [i * SECOND for i in range(1, seq + 1)]
