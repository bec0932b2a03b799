"""What two sessions did, so that they can be compared though one of them was started more often.

Each start of the process is a row of its own on the tape, which moves the time by nothing. So events are placed by the number of
rows of the feed that had come, not by that of all rows; all else is compared as it is.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from typing import Any

import numpy as np

from daemon.live.core import Core
from daemon.live.rows import OURS
from daemon.store.store import Store
from tests.service.faults.process import PAPERTAPE

TABLES = ("orders", "fills", "postings", "risk", "equity", "grades")
_OWN = ("session", "number")  # a database's own counts


def contents(url: str, session: str = "faults") -> dict[str, Any]:
    """Table -> its rows, in their order; `positions`, `state`: a hash of the last snapshot, and `rows` of the feed."""
    return asyncio.run(_contents(url, session))


async def _contents(url: str, name: str) -> dict[str, Any]:
    async with await Store.open(url) as store:
        session = await store.session(name)
        assert session is not None
        first = (await store.epochs(session.id))[0].first_seq
        flags = [taped.ticks.flags async for taped in store.inputs(session.id, first - 1)]
        # how many rows of the feed had come with each row of the tape
        came = np.cumsum((np.concatenate(flags) & OURS) == 0)
        assert first + len(came) - 1 == session.seq

        def place(seq: int) -> int:
            return int(came[seq - first]) if seq >= first else 0

        found: dict[str, Any] = {"rows": int(came[-1])}
        for table in TABLES:
            found[table] = []
            async for row in _rows(store, table, session.id):
                kept = {k: v for k, v in row.items() if k not in _OWN}
                if "seq" in kept:
                    kept["seq"] = place(kept["seq"])
                found[table].append(kept)
        found["positions"] = await store.find("positions", session=session.id)
        saved = await store.snapshot(session.id)
        assert saved is not None
        assert saved.seq == session.seq
        core = Core.load(saved.content)
        assert core.engine.state_hash() == saved.state_hash
        state = core.engine.state
        state.clock["seq"] = place(session.seq)
        state.orders["seq"] = [place(int(seq)) for seq in state.orders["seq"]]
        found["state"] = core.engine.state_hash()
        return found


async def _rows(store: Store, table: str, session: int) -> Any:
    key, limit = 0, 10_000
    while True:
        rows = await store.rows(table, session, key, limit)
        for row in rows:
            yield row
        if len(rows) < limit:
            return
        key = rows[-1]["id" if table == "orders" else "number"]


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Raise where two contents differ, at the first row that does."""
    assert found["rows"] == expected["rows"]
    for table in (*TABLES, "positions"):
        for ours, theirs in zip(found[table], expected[table], strict=False):
            assert ours == theirs, table
        assert len(found[table]) == len(expected[table]), table
    assert found["state"] == expected["state"]


def verify(url: str, **environment: str) -> None:
    """Raise where `papertape verify` finds anything."""
    verified = subprocess.run(
        [PAPERTAPE, "verify", "faults", "--url", url],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr


def starts(url: str, session: str = "faults") -> int:
    """How often a process began the session, or went on with it, as its tape has it."""

    async def count() -> int:
        async with await Store.open(url) as store:
            found = await store.session(session)
            assert found is not None
            before = (await store.epochs(found.id))[0].first_seq - 1
            kinds = [p.kind async for taped in store.inputs(found.id, before) for p in taped.payloads]
            return kinds.count("start")

    return asyncio.run(count())
