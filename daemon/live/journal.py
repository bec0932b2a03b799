"""What was decided goes into the database, in a thread of its own; deciding goes on meanwhile.

While one transaction is written the next one collects. A database that is away is tried again, with back-off; what was
decided waits for it, up to a bound, behind which nothing more may be decided.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog

from daemon.live.errors import LiveError
from daemon.store.batch import Batch, joined
from daemon.store.errors import StoreUnavailable
from daemon.store.store import Store
from engine.records import SECOND

if TYPE_CHECKING:
    from daemon.config.service import JournalSettings
    from daemon.live.messages import Notice

log = structlog.get_logger()

COLLECT_S = 0.005  # a transaction costs the same for one row and for a thousand
MOST_ROWS = 100_000  # of a transaction
FIRST_WAIT_S, LONGEST_WAIT_S = 0.1, 5.0  # between tries
LEAVING_S = 1.5  # for the transaction that is being written at the end
PATIENCE_S = 5.0  # for a lock, or an answer


@dataclass
class Decided:
    """A batch that the engine has made, and when its oldest row came, and it was made, monotonic ns.

    waiting: who waits for its commit, and the seq that each hears then. standing, notices: what may be told of the session
    once it is committed.
    """

    batch: Batch
    received: int
    decided: int
    waiting: list[tuple[asyncio.Future[int], int]] = field(default_factory=list)
    standing: Any = None
    notices: Sequence[Notice] = ()


class Journal:
    """Writes one session. Used from the main loop, as an async context; leaving it drops what is not committed.

    committed: called in the main loop with what a transaction held, in order. told: called there with an error's text
    while the database is away, and with None when it is back. error: what ended it, after which nothing is written.
    """

    def __init__(
        self,
        url: str,
        session: int,
        settings: JournalSettings,
        committed: Callable[[list[Decided], Batch], None],
        told: Callable[[str | None], None],
    ) -> None:
        self.rows = 0  # decided and not committed
        self.error: BaseException | None = None
        self.settings = settings
        self._url, self._session = url, session
        self._committed, self._told = committed, told
        self._waiting: deque[Decided] = deque()
        self._unwritten: deque[tuple[float, Decided]] = deque()  # with the time at which it was put
        self._changed = asyncio.Event()
        self._leaving = self._between_tries = False
        self._thread = threading.Thread(target=self._in_thread, name="journal", daemon=True)
        self._opened: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Journal:
        self._main = asyncio.get_running_loop()
        self._opened = self._main.create_future()
        self._thread.start()
        await self._opened
        return self

    async def __aexit__(self, *_: object) -> None:
        self._leaving = True
        with suppress(RuntimeError):  # it has ended by itself
            if not self._between_tries:
                # a transaction that is being written ends by itself: one that is broken off may hold its lock for a while
                self._loop.call_soon_threadsafe(self._news.set)
                await asyncio.to_thread(self._thread.join, LEAVING_S)
            self._loop.call_soon_threadsafe(self._work.cancel)
        await asyncio.to_thread(self._thread.join, PATIENCE_S)
        self._tell_off(LiveError("the session ended before it was written"))

    # -- in the main loop -----------------------------------------------------------------------------------------

    def put(self, decided: Decided) -> None:
        """Have it committed, behind what was put before."""
        n = len(decided.batch.ticks.price)
        self.rows += n
        self._unwritten.append((time.monotonic(), decided))
        self._waiting.append(decided)
        if not self._news.is_set():
            self._loop.call_soon_threadsafe(self._news.set)

    @property
    def age_s(self) -> float:
        """For how long the oldest of what is not committed has waited."""
        return time.monotonic() - self._unwritten[0][0] if self._unwritten else 0.0

    def waits(self, share: float) -> bool:
        """Whether as much waits as that share of what may, in rows or in time."""
        settings = self.settings
        return self.rows >= share * settings.backlog_rows or self.age_s >= share * settings.backlog / SECOND

    async def changed(self, timeout_s: float) -> None:
        """Wait for a commit, or an end, but no longer than that."""
        self._changed.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), timeout_s)

    async def drain(self, timeout_s: float) -> bool:
        """Wait until all is committed; whether it is."""
        until = time.monotonic() + timeout_s
        while self.rows and self.error is None and (left := until - time.monotonic()) > 0:
            await self.changed(left)
        return self.rows == 0

    def _done(self, group: list[Decided], batch: Batch) -> None:
        for one in group:
            self._unwritten.popleft()
            self.rows -= len(one.batch.ticks.price)
            for future, seq in one.waiting:
                if not future.done():
                    future.set_result(seq)
        self._committed(group, batch)
        self._changed.set()

    def _failed(self, error: BaseException) -> None:
        self.error = error
        self._tell_off(error)
        self._changed.set()
        if self._opened is not None and not self._opened.done():
            self._opened.set_exception(error)

    def _tell_off(self, error: BaseException) -> None:
        # who waits for what will never be committed
        for _, one in self._unwritten:
            for future, _ in one.waiting:
                if not future.done():
                    future.set_exception(error)

    # -- in the thread --------------------------------------------------------------------------------------------

    def _in_thread(self) -> None:
        try:
            asyncio.run(self._run())
        except asyncio.CancelledError:
            pass
        except BaseException as error:  # noqa: BLE001  (it is raised in the main loop)
            with suppress(RuntimeError):  # the main loop has ended
                self._main.call_soon_threadsafe(self._failed, error)

    async def _run(self) -> None:
        self._loop, self._news = asyncio.get_running_loop(), asyncio.Event()
        task = asyncio.current_task()
        assert task is not None
        self._work = task
        async with await Store.open(self._url, PATIENCE_S) as store:
            assert self._opened is not None
            self._main.call_soon_threadsafe(self._opened.set_result, None)
            while self._going():
                self._news.clear()
                if not self._waiting:
                    await self._news.wait()
                await asyncio.sleep(COLLECT_S)
                if not (self._waiting and self._going()):
                    continue
                group = self._next()
                batch = joined([one.batch for one in group])
                await self._commit(store, batch)
                self._main.call_soon_threadsafe(self._done, group, batch)

    def _next(self) -> list[Decided]:
        """As many as make one transaction: up to a snapshot, and decided by the same models."""
        group = [self._waiting.popleft()]
        rows = len(group[0].batch.ticks.price)
        while self._waiting and rows < MOST_ROWS and group[-1].batch.snapshot is None:
            if list(self._waiting[0].batch.models) != list(group[-1].batch.models):
                break
            group.append(self._waiting.popleft())
            rows += len(group[-1].batch.ticks.price)
        return group

    def _going(self) -> bool:
        return not self._leaving

    async def _commit(self, store: Store, batch: Batch) -> None:
        wait, away = FIRST_WAIT_S, False
        while True:
            try:
                await store.commit(self._session, batch)
            except StoreUnavailable as error:
                if not away:
                    log.warning(
                        "the database cannot be written; trying again", error=str(error), seq=batch.last
                    )
                away = True
                self._main.call_soon_threadsafe(self._told, str(error))
                self._between_tries = True
                await asyncio.sleep(wait)
                self._between_tries = False
                wait = min(2 * wait, LONGEST_WAIT_S)
            else:
                if away:
                    log.info("the database is written again", seq=batch.last)
                    self._main.call_soon_threadsafe(self._told, None)
                return
