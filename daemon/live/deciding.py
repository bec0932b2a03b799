"""The loop of a session: what has come is decided, and given to the journal; what is committed is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import structlog

from daemon.live import rows, standing
from daemon.live.errors import CoreError
from daemon.live.inbox import Entry
from daemon.live.journal import Decided
from daemon.live.messages import Committed, Notice
from daemon.store.batch import Payload
from engine.records import NEVER, SECOND

if TYPE_CHECKING:
    from daemon.bus import Bus
    from daemon.config.service import JournalSettings
    from daemon.feeds.clock import Clock
    from daemon.live.core import Core
    from daemon.live.health import Health
    from daemon.live.inbox import Inbox
    from daemon.live.journal import Journal
    from daemon.service.metrics import Metrics
    from daemon.store.batch import Batch

log = structlog.get_logger()
STANDING_S = 0.25  # how often it is taken down what the accounts have


class Decider:
    """Reads the inbox, and lets the core decide. One task runs `decide`, another `tell`.

    accounts: as they stood behind the last of what is committed that was looked at. live: whether time goes on by itself,
    so that what is due happens without a price.
    """

    def __init__(
        self, core: Core, inbox: Inbox, journal: Journal, health: Health, settings: JournalSettings, clock: Clock, live: bool
    ) -> None:  # fmt: skip
        self.core, self.inbox, self.journal, self.health = core, inbox, journal, health
        self.accounts = standing.accounts(core)
        self.metrics: Metrics | None = None
        self.settings, self._clock, self._live = settings, clock, live
        self._told: asyncio.Queue[list[Committed | Notice]] = asyncio.Queue()
        self._stood = self._saved = time.monotonic()
        self._stood_seq = core.seq
        self._lost = dict(core.lost)
        self._stopping = False

    def stop(self) -> None:
        """Decide what has come already, and end."""
        self._stopping = True
        self.inbox.wake()

    async def decide(self) -> None:
        """Until `stop`, and the inbox is empty. Raises what ended the journal, and what is wrong with the engine."""
        while not (self._stopping and self.inbox.rows == 0):
            await self._room()
            due = self.core.engine.next_due() if self._live else NEVER
            entries = await self.inbox.take(due)
            self.health.progress = time.monotonic()
            for group in _groups(entries):
                self.take(group)
            if not entries:
                if due <= self._clock.now_ns():
                    self.inbox.post(rows.timer)
                self._look_around()
            await asyncio.sleep(0)  # whoever else waits has a turn

    def take(self, group: list[Entry], snapshot: bool = False) -> None:
        """Decide entries at once. snapshot: whether one must follow them."""
        first, payloads, waiting, seq = group[0], [], [], self.core.seq
        for entry in group:
            seq += len(entry.ticks.price)
            if entry.kind is not None:
                payloads.append(Payload(seq, entry.kind, entry.content))
            if entry.done is not None:
                waiting.append((entry.done, seq))
        batch = self.core.take(rows.joined([e.ticks for e in group]), payloads)
        now = time.monotonic()
        decided = time.monotonic_ns()
        if snapshot or now - self._saved >= self.settings.snapshot_every / SECOND:
            batch = self._with_snapshot(batch, snapshot)
            self._saved = now
        stands = None
        if waiting or now - self._stood >= STANDING_S:
            stands, self._stood, self._stood_seq = standing.accounts(self.core), now, self.core.seq
        self.journal.put(Decided(batch, first.received, decided, waiting, stands, self._notices()))
        health = self.health
        health.seq, health.now = self.core.seq, self.core.engine.now
        health.gaps_open = set(self.core.gaps)
        health.gaps += sum(gap.until is None for gap in batch.gaps)
        if not batch.ticks.flags[-1] & rows.OURS:
            health.last_print = int(batch.ticks.ts_recv[-1])

    async def tell(self, bus: Bus) -> None:
        """Put what is committed onto the bus, until cancelled."""
        while True:
            for message in await self._told.get():
                await bus.publish(message)
            self._told.task_done()

    async def told(self) -> None:
        """Wait until all that is committed is on the bus."""
        await self._told.join()

    def notice(self, notice: Notice) -> None:
        """Have an operator told of something, behind what is committed by now."""
        self._told.put_nowait([notice])

    def committed(self, group: list[Decided], batch: Batch) -> None:
        """Hear from the journal what a transaction held."""
        at = time.monotonic_ns()
        self.health.committed_seq = batch.last
        for one in group:
            if one.standing is not None:
                self.accounts = one.standing
        self._backlog()
        if self.metrics is not None:
            self.metrics.timed(group, at)
        told = Committed(batch, group[0].received, group[0].decided, at)
        self._told.put_nowait([told, *(notice for one in group for notice in one.notices)])

    async def _room(self) -> None:
        """Wait where too much waits for the database: nothing may be decided that perhaps is never kept."""
        if self.journal.waits(1.0) and self.journal.error is None:
            log.error("nothing is decided until the database is back", rows=self.journal.rows)
            while self.journal.waits(0.5) and self.journal.error is None:
                self._backlog(full=True)
                self.health.progress = time.monotonic()
                await self.journal.changed(0.25)
            log.info("deciding again", seq=self.core.seq)
        if self.journal.error is not None:
            raise self.journal.error
        self._backlog()

    def _backlog(self, full: bool = False) -> None:
        health = self.health
        health.backlog_rows, health.backlog_full = self.journal.rows, full
        health.backlog_since = (
            self._clock.now_ns() - round(self.journal.age_s * SECOND) if self.journal.rows else None
        )

    def _look_around(self) -> None:
        # nothing comes: what was decided last is looked at as soon as it is committed
        if self.journal.rows == 0 and self._stood_seq < self.core.seq:
            self.accounts, self._stood_seq = standing.accounts(self.core), self.core.seq

    def _with_snapshot(self, batch: Batch, at_all_events: bool) -> Batch:
        try:
            wanted = at_all_events or self.core.can_save
            return replace(batch, snapshot=self.core.save()) if wanted else batch
        except CoreError as error:
            log.error(
                "no snapshot can be made; the next start replays the tape from the last one", error=str(error)
            )
            return batch

    def _notices(self) -> list[Notice]:
        """What is new about strategies that were taken out."""
        lost = self.core.lost
        if lost.keys() == self._lost.keys():
            return []
        new = {name: why for name, why in lost.items() if name not in self._lost}
        self._lost = self.health.lost = dict(lost)
        for name, why in new.items():
            log.error("a strategy is out", strategy=name, why=why, seq=self.core.seq)
        return [
            Notice("error", "strategy", f"{name} is out: {why}", self.core.engine.now)
            for name, why in new.items()
        ]


def _groups(entries: list[Entry]) -> Iterator[list[Entry]]:
    """Entries that are decided at once: new settings hold from behind them."""
    group: list[Entry] = []
    for entry in entries:
        group.append(entry)
        if entry.kind == "settings":
            yield group
            group = []
    if group:
        yield group


def plain_state(accounts: list[dict[str, Any]], portfolio: str) -> str:
    """The trading state of an account, or a strategy, as `standing.accounts` has it."""
    for account in accounts:
        for part in (account, *account["strategies"]):
            if part["name"] == portfolio:
                return str(part["state"])
    raise KeyError(portfolio)
