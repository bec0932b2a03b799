"""`papertape run`: a session from its start to its end, all its parts together.

feeds -> inbox -> decider (core) -> journal -> bus -> metrics, notifier, actors. The parts are tasks of one group: an error
of one that nothing expects ends the process, and systemd starts it anew, which is recovery.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import structlog

from daemon import logs
from daemon.actors.metrics import ActorsCollector
from daemon.actors.supervisor import Supervisor
from daemon.bus import Bus, Overflow
from daemon.config.paper_places import control_socket, database_url, state_folder
from daemon.fetch.finnhub_rest import key_of
from daemon.live import rows
from daemon.live.deciding import Decider
from daemon.live.errors import EndedError
from daemon.live.feeding import Live, Replay, clock_of
from daemon.live.health import Health, Stage
from daemon.live.inbox import Entry, Inbox
from daemon.live.journal import Journal
from daemon.live.listening import Listening
from daemon.live.messages import Committed
from daemon.live.operating import Operating
from daemon.live.recovery import Opened, alone, open_session, version
from daemon.live.saying import Saying
from daemon.live.tending import look_after, retain_tape
from daemon.live.warmup import history, missing
from daemon.notify.notifier import Notifier
from daemon.notify.secrets import read, variables
from daemon.service.metrics import Metrics
from daemon.service.notify import ServiceManager
from daemon.service.signals import Signals
from daemon.service.watchdog import Watchdog, interval_s
from daemon.store.address import parse
from daemon.store.errors import StoreUnavailable
from daemon.store.migrating import upgrade
from daemon.store.store import Store
from daemon.web.serving import serve

if TYPE_CHECKING:
    from daemon.config.paper import PaperConfig
    from daemon.feeds.clock import Clock

log = structlog.get_logger()

DRAIN_S = 20.0  # at the end, for the database
END_WAITS_S = (0.1, 1.0, 5.0)  # between tries to end an epoch
ACTORS_BEHIND = 1000  # commits that asynchronous actors may be behind
EXTENSION_S = (
    300.0  # by which a start that goes on may take longer: to compile the engine takes a minute or more
)
SWITCH_S = 0.0001  # the journal's thread lets the engine go on after so long


async def run(config: PaperConfig, reread: Callable[[], PaperConfig]) -> None:
    """Run the session of a configuration until it is told to end, or its tape is over.

    reread: gives the configuration as it is then, for a reload. Raises SessionError, EndedError, CoreError, ConfigError,
    DataError, FeedError, FetchError, NotifyError, ListenError, StoreError; after each, the next start recovers.
    """
    sys.setswitchinterval(SWITCH_S)
    health = Health(session=config.session, progress=time.monotonic())
    logs.set_run(config.session)
    url = database_url(config)
    shown = str(parse(url))
    lock = state_folder() / f"{config.session}.lock"
    with ServiceManager.from_environment() as manager, alone(lock):

        def still_starting() -> None:
            health.progress = time.monotonic()
            manager.extend(EXTENSION_S, f"{health.stage}: {health.seq:,} rows")
            manager.watchdog()

        still_starting()
        if config.live:
            key_of(os.environ)  # or nothing is begun
        await upgrade(url)
        async with await Store.open(url) as store:
            opened = await open_session(store, config, time.time_ns(), health, still_starting)
            if opened.core.ended:
                raise EndedError(
                    f"session {config.session!r} has ended: its tape is over; `papertape status` has nothing to ask, "
                    "`papertape verify` replays it, and another `session` begins anew"
                )
            session = Running(config, opened, health, url, shown, manager, reread)
            await session.run()
            if session.over:
                await _end_epoch(store, opened, session.inbox.last)


async def _end_epoch(store: Store, opened: Opened, at: int) -> None:
    for wait in (*END_WAITS_S, None):
        try:
            await store.end_epoch(opened.session.id, opened.epoch, at)
        except StoreUnavailable:  # a connection that broke while the journal had one of its own
            if wait is None:
                raise
            await asyncio.sleep(wait)
        else:
            return


class Running:
    """An opened session while it runs. over: whether its tape is, and all that was decided is committed."""

    def __init__(
        self,
        config: PaperConfig,
        opened: Opened,
        health: Health,
        url: str,
        shown: str,
        manager: ServiceManager,
        reread: Callable[[], PaperConfig],
    ) -> None:
        core = opened.core
        self.over = False
        self.health = health
        self.clock: Clock = clock_of(config, core.engine.now)
        self.inbox = Inbox(self.clock, max(core.engine.now, 0))
        self.journal = Journal(url, opened.session.id, config.journal, self._committed, self._database)
        self.decider = Decider(
            core, self.inbox, self.journal, health, config.journal, self.clock, config.live
        )
        self.bus = Bus()
        self.operating = Operating(
            self.decider, config, opened.epoch, opened.session.started, shown, self._reread, self._take_on
        )
        self._opened, self._manager, self._url, self._file = opened, manager, url, reread
        if config.live and time.time_ns() < core.engine.now:
            log.warning("the clock of this machine is behind the session's time, which goes on; set it right")
        self._source: Replay | Live = self._make_source(config)
        self._saying = Saying(core.spec, self.operating.halted)
        self._notifier = Notifier(config.notify, core.spec, self.clock, session=config.session)
        names = [i.name for i in core.spec.instruments]
        self._listening = Listening(self._source.feeds, self.inbox, self.clock, health, self.bus, names)
        self._actors = Supervisor(
            config.actors, names, self._listening.submit, self.decider.notice, self.clock,
            random.Random(), seed=config.seed, folder=config.strategy_folder, lost=core.lost_actors,
        )  # fmt: skip

    async def run(self) -> None:
        """Go on until a signal, or the end of the feeds."""
        config, health = self.operating.config, self.health
        health.epoch, health.seq = self._opened.epoch, self._opened.core.seq
        health.committed_seq, health.now = health.seq, self._opened.core.engine.now
        health.lost = self._opened.core.lost
        health.warming = missing(self._opened.core.engine)
        if forgetful := self._opened.core.forgetful:
            log.info("no snapshots while it runs: a restart replays the epoch", without_state_dict=forgetful)
        for text in health.warming:
            log.warning("still missing", what=text)
        metrics = Metrics(
            [a.name for a in self._opened.core.spec.accounts], self.operating, health, self.clock.now_ns
        )
        metrics.registry.register(ActorsCollector(self._actors.facts))
        self.decider.metrics = metrics
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.journal)
            await stack.enter_async_context(self._notifier)
            await stack.enter_async_context(self.bus)
            metrics.subscribe(self.bus)
            self._notifier.subscribe(self.bus)
            self._saying.subscribe(self.bus)
            self.bus.subscribe(
                Committed, self._hear, name="actors", overflow=Overflow.DROP_OLDEST, bound=ACTORS_BEHIND
            )
            signals = stack.enter_context(Signals(self._hang_up))
            await stack.enter_async_context(
                serve(self.operating, health, metrics.registry, config.service.listen, control_socket(config))
            )
            async with asyncio.TaskGroup() as tasks:
                beside = [
                    self.decider.tell(self.bus),
                    look_after(self.decider, self._source.feeds, self._manager, self.bus),
                    retain_tape(self.operating, self.decider, self._url, self._opened.first_seq),
                ]
                if (interval := interval_s()) is not None:
                    beside.append(Watchdog(self._manager, health, interval).run())
                helping = [tasks.create_task(work) for work in beside]
                self._begin()
                deciding = tasks.create_task(self.decider.decide(), name="decide")
                self._actors.warm(self._opened.core.engine)
                await stack.enter_async_context(self._actors)
                self._listening.begin(tasks)
                await self._until_end(tasks, signals, deciding)
                for task in helping:
                    task.cancel()

    # -- its life -------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Enter what a start puts onto the tape before any price."""
        opened, core = self._opened, self._opened.core
        content = opened.settings or core.content
        why = "recovered" if opened.recovered else "new"
        start = {"epoch": opened.epoch, "why": why, "version": version(), **content.described()}
        self.inbox.post(rows.timer, "start", start)
        if opened.settings is not None:
            settings = {"config": content.text, **content.described()}
            self.inbox.post(rows.timer, "settings", settings)
        if opened.recovered and self.operating.config.live:
            now, names = self.inbox.now(), [i.name for i in core.spec.instruments]
            for since in sorted(set(core.gaps.values())):  # the connection that would end them is gone
                those = [name for name in names if core.gaps.get(name) == since]
                self._gap(those, since, now, "prices were missing when the daemon stopped")
            for until in (None, now):
                self._gap(names, core.engine.now, until, "the daemon was not running")

    def _gap(self, instruments: list[str], since: int, until: int | None, why: str) -> None:
        content = {"instruments": instruments, "since": since, "until": until, "why": why}
        self.inbox.post(rows.timer, "gap", content)

    async def _until_end(
        self, tasks: asyncio.TaskGroup, signals: Signals, deciding: asyncio.Task[None]
    ) -> None:
        ended = self._listening.ended
        waiting: list[asyncio.Task[Any]] = [tasks.create_task(e.wait()) for e in (signals.drain, ended)]
        await asyncio.wait([*waiting, deciding], return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        if deciding.done():
            deciding.result()  # raises
        self.health.stage = Stage.STOPPING
        self._manager.stopping("committing what is decided")
        await self._listening.stop()
        self.decider.stop()
        done, _ = await asyncio.wait([deciding], timeout=DRAIN_S)
        if not done:  # it waits for a database that is away
            raise StoreUnavailable(
                f"the database did not take {self.journal.rows:,} rows that are decided: the next start goes on without them"
            )
        deciding.result()  # raises
        over = ended.is_set() and not signals.drain.is_set()
        self._stop("the tape is over" if over else signals.why, over)
        if not await self.journal.drain(DRAIN_S):
            raise StoreUnavailable(
                f"the database did not take the last {self.journal.rows:,} rows: the next start goes on without them"
            )
        self.over = over
        await self.decider.told()
        log.info("stopped", seq=self.health.seq, why="the tape is over" if over else signals.why)

    def _stop(self, why: str, over: bool) -> None:
        """Decide the last row. over: the tape is, for good: what is due behind its last row happens, and strategies hear of it."""
        core = self.decider.core
        at = self.inbox.now()
        if over:
            at = core.engine.now + 1 + core.spec.grace_ns
        content = {"epoch": self._opened.epoch, "why": why, "version": version(), "end": over}
        self.decider.take([Entry(rows.timer(at), time.monotonic_ns(), "stop", content)], snapshot=True)
        self.inbox.last = at

    async def _hear(self, message: Committed) -> None:
        if len(message.batch.bars):
            self._actors.hear(message.batch.bars)

    # -- what goes on beside --------------------------------------------------------------------------------------

    def _committed(self, group: Any, batch: Any) -> None:
        self.decider.committed(group, batch)
        if self.health.stage is not Stage.STOPPING:
            self._ready()

    def _ready(self) -> None:
        if self.health.stage is not Stage.RUNNING:
            self.health.stage = Stage.RUNNING
            gc.collect()
            gc.freeze()  # what is there now stays: a full collection need not walk through it again
            log.info("running", seq=self.health.seq, epoch=self._opened.epoch)
            self._manager.ready(f"running from seq {self.health.seq:,} on")

    def _database(self, error: str | None) -> None:
        self.health.database_error = error

    def _hang_up(self) -> None:
        async def reload() -> None:
            self._manager.reloading()
            try:
                await self.operating.reload()
            except Exception as error:  # noqa: BLE001  (whatever is wrong with the new file, the session goes on by the old one)
                log.debug("refused", error=str(error))
            self._manager.ready(f"running, {self.health.committed_seq:,} rows")

        self._reloading = asyncio.get_running_loop().create_task(reload())

    def _reread(self) -> PaperConfig:
        """The configuration anew. Raises NotifyError where a secret is missing: before any of it is on the tape."""
        config = self._file()
        for target in config.notify:
            for variable in variables(target):
                read(variable, os.environ)
        return config

    async def _take_on(self, config: PaperConfig) -> None:
        """Take on what of a new configuration is not the engine's."""
        await self._notifier.replace(config.notify)
        await self._source.watch(config)
        logs.set_level(config.service.log_level)
        self.decider.settings = self.journal.settings = config.journal

    def _make_source(self, config: PaperConfig) -> Replay | Live:
        opened, core = self._opened, self._opened.core
        if config.live:
            return Live(config, core, self.clock, opened.session.started)
        return Replay(
            config.feed,  # type: ignore[arg-type] # it is no live one
            history(config, core.trade_from),
            opened.warm_rows + core.feed_rows,
        )
