"""Live sessions as a daemon records them, without a daemon: a Core decides, the Store keeps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from daemon import compiled
from daemon.config.paper import load_paper
from daemon.live import rows
from daemon.live.core import Core
from daemon.store.batch import Payload
from daemon.store.store import Session, Store
from engine.records import SECOND, Ticks
from tests.builders import cut, make_ticks

T0 = 1_700_000_040 * SECOND  # 2023-11-14T22:14:00Z, a full minute
MINUTE = 60 * SECOND


def config_of(strategies: Sequence[Mapping[str, Any]] = (), **given: Any) -> dict[str, Any]:
    """A paper session of one account in A, whose strategy crosses averages of 2 and 3 minutes."""
    crossing = {
        "use": "sma_cross", "instruments": ["A"], "timeframe": "1m", "params": {"fast": 2, "slow": 3}, "size": {"units": 100},
    }  # fmt: skip
    return {
        "name": "desk",
        "feed": {"source": "finnhub"},
        "instruments": {"A": {"tick_size": 0.01, "lot_size": 1, "currency": "USD", "fees": {"bps": 10}}},
        "accounts": [
            {"name": "desk", "cash": 100_000, "strategies": [dict(s) for s in strategies] or [crossing]}
        ],
    } | given


def walk(n: int, seed: int = 1, every: int = 10 * SECOND, start: int = T0) -> Ticks:
    """Prints of A that wander in cents around 100, each received 40 ms after it happened."""
    rng = np.random.default_rng(seed)
    prices = 100 + np.cumsum(rng.integers(-30, 31, n)) / 100
    ticks = make_ticks([(start + i * every, round(float(p), 2), 10.0, 0) for i, p in enumerate(prices)])
    return ticks._replace(ts_recv=ticks.ts_event + 40_000_000)


def noted(core: Core, kind: str, content: Mapping[str, Any], ts: int) -> tuple[Ticks, Payload]:
    """An input that the daemon enters itself."""
    return rows.timer(ts), Payload(core.seq + 1, kind, dict(content))


async def opened(
    store: Store, core: Core, name: str = "desk", ts: int = T0, build: str = ""
) -> tuple[int, int]:
    """Begin a session, or its next epoch, with the core as it is: the session's id, the epoch's number."""
    core.start()
    known = await store.session(name)
    session = (known or await store.begin(name, core.spec, ts, core.seq)).id
    content, build = core.content, build or compiled.key()
    epoch = await store.begin_epoch(session, build, content.hash, content.text, ts, core.save())
    told = {"epoch": epoch, "why": "test", "version": "0"} | content.described()
    ticks, payload = noted(core, "start", told, ts)
    await store.commit(session, core.take(ticks, [payload]))
    return session, epoch


async def put(
    store: Store, session: int, core: Core, ticks: Ticks, each: int = 50, snapshots: Iterable[int] = ()
) -> None:
    """Take prints in, a batch of `each` in a transaction; a snapshot behind those batches, counted from 0."""
    wanted = set(snapshots)
    for k, at in enumerate(range(0, len(ticks.price), each)):
        batch = core.take(cut(ticks, at, min(at + each, len(ticks.price))))
        await store.commit(session, replace(batch, snapshot=core.save()) if k in wanted else batch)


async def closed(store: Store, session: int, epoch: int, core: Core, ts: int) -> None:
    """End an epoch tidily: a last input, and a snapshot."""
    ticks, payload = noted(core, "stop", {"epoch": epoch, "why": "test", "version": "0"}, ts)
    batch = core.take(ticks, [payload])
    await store.commit(session, replace(batch, snapshot=core.save()))
    await store.end_epoch(session, epoch, ts)


async def desk(store: Store) -> Session:
    """The session "desk", as far as it is committed."""
    session = await store.session("desk")
    assert session is not None
    return session


def fresh(given: Mapping[str, Any] | None = None, trade_from: int = T0) -> Core:
    """A new core of that configuration."""
    return Core.fresh(load_paper(given or config_of()).config, trade_from)


async def recorded(url: str, given: Mapping[str, Any] | None = None, n: int = 600, build: str = "") -> Core:
    """A session "desk" of one epoch with n prints, recorded and ended; the core as it then was."""
    core = fresh(given)
    async with await Store.open(url) as store:
        session, epoch = await opened(store, core, build=build)
        await put(store, session, core, walk(n), snapshots=(3, 7))
        await closed(store, session, epoch, core, T0 + (n + 6) * 10 * SECOND)
    return core
