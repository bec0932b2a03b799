"""The tape of old days leaves the database for files: nothing is lost or there twice, whenever the process ends."""

import asyncio
import dataclasses
import json
import random
import signal
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest
from pyarrow import parquet

from daemon.store import exporting
from daemon.store.batch import Payload, Saved
from daemon.store.errors import SequenceError, StoreUseError
from daemon.store.exporting import export_tape, retain
from daemon.store.migrating import upgrade
from daemon.store.store import Store
from engine.records import DAY, SECOND, RowKind, Ticks
from engine.spec import AccountSpec, EngineSpec, InstrumentSpec
from tests.service.test_store import NOW, prices

PAPERTAPE = (sys.executable, "-m", "daemon.cli")
FIRST = NOW // DAY  # the day that `NOW` is in
D0 = FIRST * DAY
FAR = D0 + 1000 * DAY
SPEC = EngineSpec(
    (InstrumentSpec("A"), InstrumentSpec("B")), (AccountSpec("x", 1000.0), AccountSpec("y", 1000.0)), ()
)


def batch(first, times, instrument=0, kind=RowKind.PRINT, snapshot=False, payloads=()):
    """Rows at these times, the k-th input at a price of k."""
    n = len(times)
    made = prices(first, n)
    ticks = Ticks(
        np.array(times) - 1, np.array(times), np.full(n, instrument, np.int32), np.arange(first, first + n) * 1.0,
        np.ones(n), np.full(n, kind, np.uint8),
    )  # fmt: skip
    saved = Saved(first + n - 1, f"h{first}", b"state") if snapshot else None
    return dataclasses.replace(made, ticks=ticks, snapshot=saved, payloads=payloads)


def three_days():
    """Commits of five on three days, every minute from 23:50 on; the second and fourth go past midnight.

    Inputs 1 to 10 are of the first day, 11 to 30 of the second, and of the third the rest; snapshots after 25 and 40.
    """
    times = [D0 + DAY - 10 * 60 * SECOND + k * 60 * SECOND for k in range(10)]
    times += [D0 + DAY + k * 60 * SECOND for k in range(20)]
    times += [D0 + 2 * DAY + k * 60 * SECOND for k in range(10)]
    cuts = [0, 7, 13, 25, 33, 40]
    return [
        batch(a + 1, times[a:b], snapshot=b in (25, 40), payloads=[Payload(a + 1, "note", {"at": a})])
        for a, b in pairwise(cuts)
    ]


async def begun(url, batches):
    store = await Store.open(url)
    session = await store.begin("live", SPEC, NOW)
    for one in batches:
        await store.commit(session.id, one)
    return store, await store.session("live")


async def left(store, session):
    """Seqs of the inputs in the database."""
    async with store.reading() as connection:
        rows = (await connection.execute(exporting.select(exporting.t.tape).order_by("first"))).all()
    if not rows:
        return []
    seqs = [seq for row in rows for seq in range(row.first, row.last + 1)]
    pieces = [p async for p in store.inputs(session.id, after=seqs[0] - 1)]
    assert [p.first + k for p in pieces for k in range(len(p.ticks.price))] == seqs
    assert np.concatenate([p.ticks.price for p in pieces]).tolist() == seqs
    assert [(r.ts_first, r.ts_last) for r in rows] == [
        (int(ts[r.first - seqs[0]]), int(ts[r.last - seqs[0]]))
        for ts in [np.concatenate([p.ticks.ts_recv for p in pieces])]
        for r in rows
    ]
    return seqs


def read(folder):
    """Seqs of the inputs in the files, by the file's name."""
    return {
        path.name: parquet.read_table(path)["seq"].to_pylist()
        for path in sorted(folder.glob("*.parquet"))
        if "payloads" not in path.name
    }


def name(k):
    return f"tape-live-{datetime.fromtimestamp((FIRST + k) * 86_400, UTC):%Y-%m-%d}.parquet"


def seqs(first, last):
    return list(range(first, last + 1))


def test_days_go_to_files_and_leave_what_recovery_needs(url, tmp_path):
    async def story():
        store, session = await begun(url, three_days())
        async with store:
            done = await export_tape(store, session, tmp_path, D0 + 3 * DAY - 1)
            first = read(tmp_path), await left(store, session)
            notes = [p async for piece in store.inputs(session.id, 25) for p in piece.payloads]
            with pytest.raises(SequenceError, match="lacks the input 11, of 11 to "):
                [p async for p in store.inputs(session.id, 10)]
            later = await export_tape(store, session, tmp_path, FAR)
            return done, first, notes, later, read(tmp_path), await left(store, session)

    done, (files, rows), notes, later, files_later, rows_later = asyncio.run(story())
    assert [(d.path.name, d.first, d.last, d.complete) for d in done] == [
        (name(0), 1, 10, True),
        (name(1), 11, 30, True),
    ]
    # 26 to 30 are in their file, but behind the snapshot before the newest: they stay
    assert files == {name(0): seqs(1, 10), name(1): seqs(11, 30)}
    assert rows == seqs(26, 40)
    assert notes == [Payload(26, "note", {"at": 25}), Payload(34, "note", {"at": 33})]
    # the day in which the tape ends is written as it stands, and stays
    assert [(d.path.name, d.complete) for d in later] == [(name(1), True), (name(2), False)]
    assert files_later == files | {name(2): seqs(31, 40)}
    assert rows_later == rows


def test_file_holds_what_the_tape_held(url, tmp_path):
    kinds = [
        batch(1, [D0 + 1], 1),
        batch(2, [D0 + 2], 1, RowKind.CASH),
        batch(3, [D0 + 3], 1, RowKind.TIMER),
        batch(4, [D0 + 4], 0, RowKind.OPERATOR, payloads=[Payload(4, "note", ["ü", None, 0.1])]),
        batch(5, [D0 + 5], 0, RowKind.SPLIT),
        batch(6, [D0 + DAY], 0),
    ]

    async def story():
        store, session = await begun(url, kinds)
        async with store:
            await export_tape(store, session, tmp_path, D0 + DAY, remove=False)
            assert await left(store, session) == seqs(1, 6)

    asyncio.run(story())
    table = parquet.read_table(tmp_path / name(0))
    columns = {
        column: table[column].to_pylist() for column in ("seq", "instrument", "price", "size", "flags")
    }
    assert columns == {
        "seq": seqs(1, 5), "instrument": ["B", "y", None, "x", "A"], "price": [1.0, 2.0, 3.0, 4.0, 5.0],
        "size": [1.0] * 5, "flags": [0, RowKind.CASH, RowKind.TIMER, RowKind.OPERATOR, RowKind.SPLIT],
    }  # fmt: skip
    assert table["ts_recv"].cast("int64").to_pylist() == [D0 + k for k in seqs(1, 5)]
    assert table["ts_event"].cast("int64").to_pylist() == [D0 + k for k in seqs(0, 4)]
    beside = parquet.read_table(tmp_path / name(0).replace(".parquet", ".payloads.parquet")).to_pylist()
    assert [row | {"content": json.loads(row["content"])} for row in beside] == [
        {"seq": 4, "kind": "note", "content": ["ü", None, 0.1]}
    ]


@pytest.mark.parametrize(
    ("snapshots", "keep_from", "stays"),
    [
        ((), None, 1),  # nothing to recover from but the tape
        ((20,), None, 21),
        ((20, 36), None, 21),
        ((8, 20, 36), None, 21),
        ((20, 36), 15, 15),
        ((20, 36), 99, 21),
        ((35, 36), None, 31),  # no further than what is in files
        ((35, 36), 1, 1),
    ],
)
def test_tape_that_somebody_needs_stays(url, tmp_path, snapshots, keep_from, stays):
    times = [D0 + k * (DAY // 15) for k in range(40)]  # 15 a day: the third day begins with input 31

    async def story():
        async with await Store.open(url) as store:
            session = await store.begin("live", SPEC, NOW)
            for k in range(1, 41):
                await store.commit(session.id, batch(k, times[k - 1 : k], snapshot=k in snapshots))
                if k in snapshots[:-2]:  # kept beside the last two
                    await store.begin_epoch(session.id, "b", "c", "{}", NOW)
            session = session._replace(seq=40)
            assert [seq for seq, _ in await store.snapshots(session.id)] == list(snapshots)
            await export_tape(store, session, tmp_path, D0 + 2 * DAY, keep_from)
            return await left(store, session)

    assert asyncio.run(story()) == seqs(stays, 40)
    assert read(tmp_path) == {name(0): seqs(1, 15), name(1): seqs(16, 30)}


def test_what_is_older_than_it_is_kept_goes(url, tmp_path):
    async def story():
        store, session = await begun(url, three_days())
        async with store:  # the last input is of 00:09 on the third day
            await retain(url, "live", DAY + 9 * 60 * SECOND + 1, tmp_path)
            assert (await left(store, session), list(read(tmp_path))) == (seqs(1, 40), [])
            await retain(url, "live", DAY + 9 * 60 * SECOND, tmp_path)
            return await left(store, session), list(read(tmp_path))

    assert asyncio.run(story()) == (seqs(11, 40), [name(0)])
    with pytest.raises(StoreUseError, match="there is no session 'nobody'"):
        asyncio.run(retain(url, "nobody", DAY, tmp_path))


def test_session_without_a_tape_has_nothing_to_export(url, tmp_path):
    async def story():
        store, session = await begun(url, [])
        async with store:
            return await export_tape(store, session, tmp_path, FAR)

    assert asyncio.run(story()) == []


def test_day_that_went_on_is_written_anew_and_a_complete_one_is_not(url, tmp_path):
    batches = three_days()

    async def story():
        store, session = await begun(url, batches[:3])  # to input 25, amid the second day
        async with store:
            await export_tape(store, session, tmp_path, FAR, remove=False)
            amid = read(tmp_path)
            mark = (tmp_path / name(0)).stat().st_mtime_ns
            for one in batches[3:]:
                await store.commit(session.id, one)
            await export_tape(store, session, tmp_path, FAR)
            return amid, (tmp_path / name(0)).stat().st_mtime_ns == mark

    amid, same = asyncio.run(story())
    assert amid == {name(0): seqs(1, 10), name(1): seqs(11, 25)}
    assert same
    assert read(tmp_path) == {name(0): seqs(1, 10), name(1): seqs(11, 30), name(2): seqs(31, 40)}


@pytest.mark.parametrize("remove", [False, True])
def test_session_that_commits_while_it_is_exported_is_exported_as_far_as_it_was(
    url, tmp_path, monkeypatch, remove
):
    batches = three_days()
    write = exporting._write

    async def story():
        store, session = await begun(url, batches[:4])  # to input 33, in the third day

        async def written(store, session, *rest):
            done = await write(store, session, *rest)
            if not done.complete and len(batches) > 4:  # of that day more comes before the next is looked for
                await store.commit(session.id, batches.pop())
            return done

        monkeypatch.setattr(exporting, "_write", written)
        async with store:
            done = await export_tape(store, session, tmp_path, FAR, remove=remove)
            return done, (await left(store, session))[-1]

    done, last = asyncio.run(story())
    assert [(d.path.name, d.last, d.complete) for d in done] == [
        (name(0), 10, True),
        (name(1), 30, True),
        (name(2), 33, False),
    ]
    assert last == 40
    assert read(tmp_path) == {name(0): seqs(1, 10), name(1): seqs(11, 30), name(2): seqs(31, 33)}


def test_file_of_something_else_is_not_overwritten(url, tmp_path):
    async def story():
        store, session = await begun(url, three_days())
        async with store:
            (tmp_path / name(0)).write_text("mine")
            with pytest.raises(StoreUseError, match="is no file of a tape"):
                await export_tape(store, session, tmp_path, FAR)
            assert (tmp_path / name(0)).read_text() == "mine"
            (tmp_path / name(0)).unlink()
            await export_tape(store, session._replace(started=5), tmp_path, FAR, remove=False)
            with pytest.raises(StoreUseError, match="is another session's of the name 'live'"):
                await export_tape(store, session, tmp_path, FAR)
            assert await left(store, session) == seqs(1, 40)

    asyncio.run(story())


def test_file_of_a_day_whose_beginning_is_elsewhere_is_not_overwritten(url, tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    batches = three_days()

    async def story():
        store, session = await begun(url, batches[:3])
        async with store:
            await export_tape(store, session, one, FAR, remove=False)
            for later in batches[3:]:
                await store.commit(session.id, later)
            await export_tape(store, session, other, D0 + 2 * DAY)  # from 26 on is left
            with pytest.raises(
                StoreUseError, match="holds the inputs from 11 on, and the database those from 26"
            ):
                await export_tape(store, session, one, FAR)
            assert await left(store, session) == seqs(26, 40)

    asyncio.run(story())
    assert read(one) == {name(0): seqs(1, 10), name(1): seqs(11, 25)}


@pytest.mark.parametrize("end_at", range(14))
def test_export_that_ends_anywhere_is_gone_on_with(url, tmp_path, monkeypatch, end_at):
    monkeypatch.setattr(exporting, "REMOVED", 1)
    steps = iter(range(1000))

    class Ended(BaseException):
        pass

    def step():
        if next(steps) == end_at:
            raise Ended

    async def story():
        store, session = await begun(url, three_days())
        async with store:
            with monkeypatch.context() as patch:
                put, transaction = exporting.Path.replace, store.writing

                def replace(path, target):
                    step()
                    found = put(path, target)
                    step()
                    return found

                @asynccontextmanager
                async def writing():
                    step()
                    async with transaction() as connection:
                        yield connection
                        step()

                patch.setattr(exporting.Path, "replace", replace)
                patch.setattr(store, "writing", writing)
                try:
                    await export_tape(store, session, tmp_path, D0 + 2 * DAY)
                    ended = False
                except Ended:
                    ended = True
            there, files = await left(store, session), read(tmp_path)
            assert set(there) | {s for f in files.values() for s in f} == set(seqs(1, 40))
            notes = [p.seq async for piece in store.inputs(session.id, there[0] - 1) for p in piece.payloads]
            assert notes == [seq for seq in (1, 8, 14, 26, 34) if seq >= there[0]]
            await export_tape(store, session, tmp_path, D0 + 2 * DAY)
            return ended, await left(store, session)

    ended, there = asyncio.run(story())
    assert ended
    assert there == seqs(26, 40)
    assert read(tmp_path) == {name(0): seqs(1, 10), name(1): seqs(11, 30)}
    payloads = [
        row["seq"]
        for path in sorted(tmp_path.glob("*payloads*"))
        for row in parquet.read_table(path).to_pylist()
    ]
    assert payloads == [1, 8, 14, 26]
    assert not list(tmp_path.glob(".*.partial"))


EXPORTER = """
import asyncio, sys
from pathlib import Path
from contextlib import asynccontextmanager

from daemon.store import exporting
from daemon.store.migrating import upgrade
from daemon.store.store import Store

exporting.REMOVED = 3
exporting.CHUNK = 500

async def export(url, folder):
    async with await Store.open(url) as store:
        session = await store.session("live")
        print("begun", flush=True)
        await exporting.export_tape(store, session, Path(folder), 1 << 62)

asyncio.run(export(*sys.argv[1:]))
"""


def test_exporter_that_is_killed_while_the_session_commits_loses_and_doubles_nothing(url, tmp_path):
    folder = tmp_path / "out"
    rng = random.Random(5)
    hour = DAY // 24

    async def story():
        async with await Store.open(url) as store:
            session = await store.begin("live", SPEC, NOW)
            k = 0

            async def commit():
                nonlocal k
                times = [D0 + (k + i) * hour // 20 for i in range(50)]  # 480 a day
                await store.commit(session.id, batch(k + 1, times, snapshot=k % 400 == 0))
                k += 50

            for _ in range(100):
                await commit()
            for _ in range(6):
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-c", EXPORTER, url, str(folder), stdout=subprocess.PIPE
                )
                assert process.stdout is not None
                await process.stdout.readline()
                end = time.monotonic() + rng.uniform(0.0, 0.25)
                while time.monotonic() < end and process.returncode is None:
                    await commit()
                if process.returncode is None:
                    process.send_signal(signal.SIGKILL)
                await process.wait()
                there = await left(store, session)
                files = [s for f in read(folder).values() for s in f]
                assert files == seqs(1, len(files))
                assert there == seqs(there[0], k)
                assert there[0] <= len(files) + 1
            await export_tape(store, session, folder, FAR)
            return k, await store.snapshots(session.id)

    k, snapshots = asyncio.run(story())
    files = read(folder)
    assert [s for f in files.values() for s in f] == seqs(1, k)
    assert {len(f) for f in list(files.values())[:-1]} == {480}
    assert len(snapshots) == 2
    assert not list(folder.glob(".*.partial"))


def test_user_exports_by_command(tmp_path):
    url = f"sqlite:///{tmp_path}/tape.db"
    asyncio.run(upgrade(url))

    async def prepare():
        store, session = await begun(url, three_days())
        async with store:
            await store.begin_epoch(session.id, "b", "c", "{}", NOW)

    async def look():
        async with await Store.open(url) as store:
            return await left(store, await store.session("live"))

    def papertape(*arguments):
        command = [*PAPERTAPE, "db", "export", *arguments, "--url", url, "--to", str(tmp_path / "out")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    asyncio.run(prepare())
    second = f"{datetime.fromtimestamp((FIRST + 1) * 86_400, UTC):%Y-%m-%d}"
    assert papertape("live", "--before", "soon")[0] == 2
    code, _, said = papertape("nobody", "--before", second)
    assert (code, "there is no session 'nobody'" in said) == (2, True)
    code, out, _ = papertape("live", "--before", second, "--keep")
    assert (code, out) == (0, f"{tmp_path}/out/{name(0)}: inputs 1 to 10\n")
    assert asyncio.run(look()) == seqs(1, 40)
    assert papertape("live", "--before", second)[0] == 0
    assert asyncio.run(look()) == seqs(11, 40)
