"""Copies of sessions, of running ones too, and what comes back from them, on both databases."""

import asyncio
import dataclasses
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text

from daemon.store import schema
from daemon.store.backup import backup, restore
from daemon.store.batch import CLOSED_BAR, Gap, Payload, Saved
from daemon.store.errors import StoreUseError
from daemon.store.migrating import upgrade
from daemon.store.store import Store
from tests.service.recorded import recorded, world_of
from tests.service.test_store import NOW, QUIET, ROWS, a_day, dump, prices

PAPERTAPE = (sys.executable, "-m", "daemon.cli")
SUMS = text(
    "SELECT account, ledger, SUM(amount) FROM ("
    "SELECT account, debit AS ledger, amount FROM postings UNION ALL "
    "SELECT account, credit, -amount FROM postings) AS moved GROUP BY account, ledger ORDER BY account, ledger"
)


async def books_of(store):
    """What the ledger's accounts hold."""
    async with store.reading() as connection:
        return [tuple(row) for row in await connection.execute(SUMS)]


async def filled(url):
    """A database with two sessions of which each table has something, the second between the rows of the first."""
    spec, batches = a_day()
    bar = np.zeros(1, CLOSED_BAR)
    bar["timeframe"], bar["open"] = 60 * 10**9, 1 / 3
    signal_ = {
        "actor": "f",
        "instrument": None,
        "ts": 1,
        "until": 2,
        "value": 0.1,
        "low": None,
        "high": 1e-300,
    }
    command = {"portfolio": "a", "action": "halt", "reason": "näh", "who": "me"}
    batches[0] = dataclasses.replace(
        batches[0],
        bars=bar,
        gaps=[Gap(0, 5, None, "silence")],
        payloads=[Payload(1, "signal", signal_), Payload(2, "command", command)],
    )
    end = batches[-1].last
    batches[-1] = dataclasses.replace(batches[-1], snapshot=Saved(end, "hash", os.urandom(5000)))
    graded = world_of(0)
    store = await Store.open(url)
    live = (await store.begin("live", spec, NOW)).id
    other = (await store.begin("other", graded.spec, NOW + 1)).id
    await store.begin_epoch(live, "build", "config", "text: ü", NOW, Saved(0, "begun", b"begun"))
    others = recorded(graded, range(0, graded.rows, 5))[1]
    for k in range(max(len(batches), len(others))):
        for session, of in ((live, batches), (other, others)):
            if k < len(of):
                await store.commit(session, of[k])
    for table, row in ROWS.items():
        await store.save(table, [row])
    return store


def of_session(tables, name):
    """The rows of one session and of none, by table: without its number, and the numbers of rows."""
    (session,) = [row[0] for row in tables["sessions"] if row[1] == name]
    kept = {}
    for table, rows in tables.items():
        of = schema.metadata.tables[table]
        dropped = {"session", "number", *(["id"] if table == "sessions" else [])}
        at = [k for k, column in enumerate(of.columns.keys()) if column not in dropped]
        key = (
            of.columns.keys().index("id" if table == "sessions" else "session")
            if (table == "sessions" or "session" in of.c)
            else None
        )
        kept[table] = [tuple(row[k] for k in at) for row in rows if key is None or row[key] == session]
    return kept


async def tables_of(url):
    async with await Store.open(url) as store:
        return await dump(store)


def test_copy_of_one_session_is_that_session(url, tmp_path):
    file = tmp_path / "copy.db"

    async def story():
        async with await filled(url) as store:
            copied = await backup(url, file, "live")
            return copied, await dump(store), await tables_of(f"sqlite:///{file}")

    copied, whole, copy = asyncio.run(story())
    assert [(s.name, s.id) for s in copied] == [("live", 1)]
    assert [row[1] for row in copy["sessions"]] == ["live"]
    assert of_session(copy, "live") == of_session(whole, "live")
    empty = {table for table, rows in copy.items() if not rows}
    assert empty <= {"grades"}
    assert len(copy["fills"]) < len(whole["fills"])


def test_copy_is_one_file_with_nothing_beside_it(url, tmp_path):
    folder = tmp_path / "backups"
    folder.mkdir()

    async def story():
        async with await filled(url):
            await backup(url, folder / "copy.db", "live")

    asyncio.run(story())
    assert [path.name for path in folder.iterdir()] == ["copy.db"]
    moved = tmp_path / "moved.db"
    shutil.move(folder / "copy.db", moved)
    with sqlite3.connect(f"file:{moved}?mode=ro", uri=True) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)


@pytest.mark.parametrize("target", ["sqlite", "postgresql"])
def test_all_sessions_come_back_beside_those_that_are_there(url, request, tmp_path, target):
    file = tmp_path / "copy.db"

    async def fill():
        async with await filled(url) as store:
            await backup(url, file, None)
            return await dump(store)

    async def come_back(to):
        async with await Store.open(to) as store:
            await store.begin("here", QUIET, NOW)
            await store.save("models", [ROWS["models"] | {"hash": "here"}])
        restored = await restore(file, to)
        async with await Store.open(to) as store:
            live = await store.session("live")
            assert live is not None
            await store.commit(live.id, prices(live.seq + 1, 3))
            return restored, await dump(store)

    whole = asyncio.run(fill())
    to = f"sqlite:///{tmp_path}/to.db" if target == "sqlite" else request.getfixturevalue("server").emptied()
    asyncio.run(upgrade(to))
    restored, there = asyncio.run(come_back(to))
    assert [(s.name, s.id) for s in restored] == [("live", 2), ("other", 3)]
    assert [m[2] for m in there["models"]] == ["here"]
    there["models"] = whole["models"]
    assert of_session(there, "other") == of_session(whole, "other")
    live, was = of_session(there, "live"), of_session(whole, "live")
    assert live["tape"][:-1] == was["tape"]
    assert live["sessions"][0][1] == was["sessions"][0][1] + 3
    assert live | {"tape": [], "sessions": []} == was | {"tape": [], "sessions": []}


def test_restoring_makes_a_database_on_an_empty_machine(new_url, tmp_path):
    source, file = f"sqlite:///{tmp_path}/source.db", tmp_path / "copy.db"
    asyncio.run(upgrade(source))

    async def story():
        async with await filled(source):
            await backup(source, file, "live")
        await restore(file, new_url)
        with pytest.raises(StoreUseError, match="there is a session 'live' already"):
            await restore(file, new_url)
        return await tables_of(source), await tables_of(new_url)

    was, there = asyncio.run(story())
    assert of_session(there, "live") == of_session(was, "live")


def test_restoring_that_fails_leaves_nothing(url, tmp_path):
    source, file = f"sqlite:///{tmp_path}/source.db", tmp_path / "copy.db"
    asyncio.run(upgrade(source))

    async def story():
        async with await filled(source):
            await backup(source, file, None)
        with sqlite3.connect(file) as connection:  # one of the last tables
            connection.execute("PRAGMA foreign_keys=OFF")
            connection.execute("DELETE FROM orders WHERE id = (SELECT MAX(order_id) FROM fills)")
        before = await tables_of(url)
        with pytest.raises(StoreUseError, match="contradict"):
            await restore(file, url)
        return before, await tables_of(url)

    before, after = asyncio.run(story())
    assert after == before


def test_copies_of_a_session_that_runs_are_prefixes_whose_books_are_even(url, tmp_path):
    spec, batches = a_day(step=1)
    copies: list[tuple[int, Path]] = []

    async def story():
        async with await Store.open(url) as store:
            session = (await store.begin("live", spec, NOW)).id
            sums = {0: await books_of(store)}

            async def commit():
                for batch in batches:
                    await store.commit(session, batch)
                    await asyncio.sleep(0.03)
                    sums[batch.last] = await books_of(store)

            writing = asyncio.create_task(commit())
            while not writing.done():
                file = tmp_path / f"copy-{len(copies)}.db"
                (copied,) = await backup(url, file, "live")
                copies.append((copied.seq, file))
            await writing
            whole = await dump(store)
            for seq, file in copies:
                async with await Store.open(f"sqlite:///{file}") as copy:
                    pieces = [p.ticks.price async for p in copy.inputs(1)]
                    books = await books_of(copy)
                    tables = await dump(copy)
                assert len(np.concatenate([[], *pieces])) == tables["sessions"][0][2] == seq
                assert books == sums[seq]
                for table in ("fills", "postings", "risk", "equity", "tape"):
                    assert tables[table] == whole[table][: len(tables[table])], table
                causes = {f[3] for f in tables["fills"]} | {o[2] for o in tables["orders"]}
                assert max(causes, default=0) <= seq
            return [seq for seq, _ in copies]

    seqs = asyncio.run(story())
    assert len(set(seqs)) > 2, seqs
    assert seqs == sorted(seqs)


COPIER = """
import asyncio, sys
from pathlib import Path
from daemon.store.backup import backup

asyncio.run(backup(sys.argv[1], Path(sys.argv[2]), "live"))
"""


def test_copy_that_is_killed_is_not_taken_for_one(url, tmp_path):
    folder = tmp_path / "backups"
    folder.mkdir()

    async def fill():
        async with await Store.open(url) as store:
            session = (await store.begin("live", QUIET, NOW)).id
            for k in range(300):
                await store.commit(session, prices(k * 2000 + 1, 2000, k * 2000 + 1))

    asyncio.run(fill())
    process = subprocess.Popen([sys.executable, "-c", COPIER, url, str(folder / "copy.db")])
    written = 0
    while process.poll() is None and written < 2_000_000:
        with suppress(FileNotFoundError):  # a journal that is gone again
            written = sum(path.stat().st_size for path in folder.iterdir())
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (folder / "copy.db").exists()
    asyncio.run(backup(url, folder / "copy.db", "live"))
    copy = asyncio.run(tables_of(f"sqlite:///{folder}/copy.db"))
    assert copy["sessions"][0][2] == 600_000


def test_users_back_up_and_restore_by_command(tmp_path):
    url, file = f"sqlite:///{tmp_path}/tape.db", tmp_path / "copy.db"
    asyncio.run(upgrade(url))

    def papertape(*arguments):
        done = subprocess.run([*PAPERTAPE, *arguments], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    async def fill():
        async with await filled(url) as store:
            return (await store.session("live")).seq

    seq = asyncio.run(fill())
    assert papertape("backup", "--url", url, "--to", str(file))[0] == 2
    assert papertape("backup", "live", "--all", "--url", url, "--to", str(file))[0] == 2
    code, _, said = papertape("backup", "nobody", "--url", url, "--to", str(file))
    assert (code, "there is no session 'nobody'" in said, file.exists()) == (2, True, False)
    assert papertape("backup", "live", "--url", url, "--to", str(file))[:2] == (
        0,
        f"live: {seq:,} inputs are in {file}\n",
    )
    code, _, said = papertape("backup", "live", "--url", url, "--to", str(file))
    assert (code, "is there already" in said) == (2, True)
    to = f"sqlite:///{tmp_path}/to.db"
    assert papertape("restore", str(file), "--url", to)[:2] == (0, f"live: {seq:,} inputs are in {to}\n")
    assert papertape("restore", str(tmp_path / "none"), "--url", to)[0] == 2
