"""What goes on beside a session: its counters, systemd's status line, old tape out of the database."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from daemon.config.paper_places import tape_folder
from daemon.data.errors import DataError
from daemon.live.messages import Notice
from daemon.live.warmup import missing
from daemon.store.errors import StoreError
from daemon.store.exporting import retain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.bus import Bus
    from daemon.feeds.queued import QueuedFeed
    from daemon.live.deciding import Decider
    from daemon.live.operating import Operating
    from daemon.service.notify import ServiceManager

log = structlog.get_logger()
LOOK_S = 1.0  # between two looks at counters
RETAIN_S = 3600.0  # between two looks for old tape


async def look_after(
    decider: Decider, feeds: Sequence[QueuedFeed], manager: ServiceManager, bus: Bus
) -> None:
    """Keep counters and systemd's status line up to date, until cancelled.

    Tells when the database goes and comes, and when somebody who listens to the bus has failed.
    """
    away = False
    failed: set[str] = set()
    health = decider.health
    while True:
        await asyncio.sleep(LOOK_S)
        if health.warming:
            health.warming = missing(decider.core.engine)
        health.counters = _counters(decider, feeds)
        for lost in bus.failures:
            if lost.name not in failed:
                failed.add(lost.name)
                log.error("it has failed, and hears nothing any more", what=lost.name, error=repr(lost.error))
        if away != (health.database_error is not None):
            away = not away
            now = decider.core.engine.now
            decider.notice(
                Notice("error", "database", str(health.database_error), now)
                if away
                else Notice("info", "database", "the database is back", now)
            )
        what = "; ".join(health.reasons()) or str(health.stage)
        manager.status(f"{what}, {health.committed_seq:,} rows, {len(health.lost)} strategies out")


async def retain_tape(operating: Operating, decider: Decider, url: str, first_seq: int) -> None:
    """Move old tape out of the database, now and then, until cancelled. first_seq: of the epoch."""
    while True:
        await asyncio.sleep(RETAIN_S)
        config = operating.config
        if (keep := config.retention.tape) is None:
            continue
        keep_from = first_seq if decider.core.forgetful else None
        work = retain(url, config.session, keep, tape_folder(), keep_from)
        try:
            done = await asyncio.to_thread(asyncio.run, work)
        except (StoreError, DataError, OSError) as error:
            log.error("old tape was not exported; it is tried again", error=str(error))
            text = f"old tape was not exported: {error}"
            decider.notice(Notice("error", "database", text, decider.core.engine.now))
        else:
            for one in done:
                log.info("old tape is exported", path=str(one.path), first=one.first, last=one.last)


def _counters(decider: Decider, feeds: Sequence[QueuedFeed]) -> dict[str, int]:
    clock = decider.core.engine.state.clock[0]
    found = {
        "rows": decider.inbox.taken, "waiting": decider.inbox.rows, "backlog": decider.journal.rows,
        "bad_rows": int(clock.bad_rows), "late_rows": int(clock.late_rows),
    }  # fmt: skip
    for feed in feeds:
        found |= feed.counts()
    return found
