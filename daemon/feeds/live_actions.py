"""Splits, dividends and other corporate actions for a session that runs, from the files that its history has them from.

An action belongs before the first print of its ex-date. So it is given when that day begins by our clock, at 00:00 where its
exchange is; one that is in the file only later is given at once, as long as no print of that day has come. Where one
has, it is too late: positions, orders and indicators of the session have lived through the jump, nothing is applied behind
it, and a Status says so. What an action is: see docs/data.md.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.data.action_files import read_actions
from daemon.data.action_rows import begin_of, rows_of
from daemon.data.actions import Action, ActionKind
from daemon.data.errors import DataError
from daemon.feeds.clock import Clock
from daemon.feeds.items import Prints, Status, StatusKind
from daemon.feeds.queued import BOUND, QueuedFeed
from engine.records import SECOND, RowKind

if TYPE_CHECKING:
    from daemon.config.market import Market
    from engine.spec import EngineSpec

LOOK_S = 60.0  # between two looks at the files

_IN_HISTORY = {  # by what the prices of history are adjusted for: what is in them already
    "raw": (),
    "splits": (ActionKind.SPLIT,),
    "all": (ActionKind.SPLIT, ActionKind.DIVIDEND),
}


@dataclass(frozen=True)
class ActionFile:
    """Where the actions of one instrument are, or will be."""

    path: Path
    instrument: int  # the engine's index
    name: str
    zone: str  # of its exchange, where ex-dates begin at 00:00
    adjusted: str = "raw"  # what its history is adjusted for: "raw" | "splits" | "all"
    symbols: Sequence[str] = ()  # the names that the engine knows it to take on


@dataclass
class ActionCounters:
    """Since the start."""

    given: int = 0
    late: int = 0  # and so not given
    unreadable: int = 0  # looks at a file that has changed and cannot be read


class _Book:
    """One file: what of it was settled, and what is to come."""

    def __init__(self, file: ActionFile) -> None:
        self.file = file
        self.settled: Counter[Action] = Counter()  # given, too late, or in the session already
        self.waiting: list[tuple[int, Action]] = []  # (ns UTC, action), in their order
        self._seen: tuple[int, int, int] | None = None

    def changed(self) -> bool:
        """Whether the file is another than it was when this was asked last. Raises OSError where there is none any more."""
        try:
            found = self.file.path.stat()
        except FileNotFoundError:
            if self._seen is None:
                return False
            self._seen = None
            raise
        seen = (found.st_ino, found.st_size, found.st_mtime_ns)
        before, self._seen = self._seen, seen
        return seen != before

    def read(self) -> list[tuple[int, Action]]:
        """What of the file is not settled, with its time, in their order. Raises DataError."""
        actions = read_actions(self.file.path, self.file.name)
        left = Counter(self.settled)
        found = []
        for action in actions:
            if left[action]:
                left[action] -= 1
            else:
                found.append((begin_of(action, 0, self.file.zone), action))
        return found


class ActionsFeed(QueuedFeed):
    """Rows of kind SPLIT, DIVIDEND, SYMBOL and DELISTING, one an item, each when its time has come.

    after: what was in force by this time, ns UTC, is in the session's history. began: when the session first began; actions
    up to then for which its history is adjusted are in that. last_print: the latest print of an instrument that the session
    has, ns UTC of the venue. taken: what the session's tape has, as (instrument, RowKind, ts_event).

    The files are read when the feed is entered, before any other feed that is entered later gives anything: there a DataError
    of a file reaches the caller. Later on they are looked at every minute; one that cannot be read then is a Status.
    """

    def __init__(
        self,
        files: Sequence[ActionFile],
        clock: Clock,
        after: int,
        began: int,
        last_print: Callable[[int], int],
        taken: Collection[tuple[int, int, int]] = (),
        bound: int = BOUND,
    ) -> None:
        super().__init__(bound)
        self.counters = ActionCounters()
        self._books = [_Book(file) for file in files]
        self._clock = clock
        self._after = after
        self._began = began
        self._last_print = last_print
        self._taken = taken

    def counts(self) -> dict[str, int]:
        """Of actions."""
        return {f"actions_{name}": n for name, n in asdict(self.counters).items()}

    async def __aenter__(self) -> ActionsFeed:
        for book in self._books:
            if book.changed():
                await self._begin(book, await asyncio.to_thread(book.read))
        return await super().__aenter__()

    async def _run(self) -> None:
        while True:
            now = self._clock.now_ns()
            for book in self._books:
                for begin, action in book.waiting:
                    if begin <= now:
                        await self._give(book, action)
                book.waiting = [(begin, action) for begin, action in book.waiting if begin > now]
            times = [begin for book in self._books for begin, _ in book.waiting]
            await self._clock.sleep(min([LOOK_S, *((begin - now) / SECOND for begin in times)]))
            for book in self._books:
                await self._look(book)

    async def _begin(self, book: _Book, found: Sequence[tuple[int, Action]]) -> None:
        # what is in the session's history, or on its tape, is settled
        of_history = _IN_HISTORY[book.file.adjusted]
        last = self._last_print(book.file.instrument)
        for begin, action in found:
            row = (book.file.instrument, int(RowKind[action.kind.name]), begin)
            if (
                begin <= self._after
                or (action.kind in of_history and begin <= self._began)
                or row in self._taken
            ):
                book.settled[action] += 1
            elif begin > last:
                book.waiting.append((begin, action))
            else:
                await self._refuse(book, action)

    async def _look(self, book: _Book) -> None:
        try:
            if not book.changed():
                return
            found = await asyncio.to_thread(book.read)
        except (DataError, OSError) as error:
            self.counters.unreadable += 1
            what = f"the corporate actions of {book.file.name} cannot be read, those known before stay"
            await self._tell(f"{what}: {error}")
            return
        known = Counter(action for _, action in book.waiting)
        last = self._last_print(book.file.instrument)
        book.waiting = []
        for begin, action in found:
            if known[action] or begin > last:
                known[action] -= 1
                book.waiting.append((begin, action))
                continue
            await self._refuse(book, action)

    async def _refuse(self, book: _Book, action: Action) -> None:
        book.settled[action] += 1
        self.counters.late += 1
        await self._tell(
            f"{_shown(book.file, action)} came too late, after prints of that day: it is not applied, and the session's "
            "positions and indicators are wrong for it; halt what trades the instrument, and begin another session, whose "
            "history has it"
        )

    async def _give(self, book: _Book, action: Action) -> None:
        file = book.file
        book.settled[action] += 1
        if action.kind == ActionKind.SYMBOL:
            known = action.symbol in file.symbols
            more = "" if known else "; start the daemon again, so that the session knows the name"
            await self._tell(
                f"{_shown(file, action)}: if the venue calls it so now, write it under feed.symbols{more}"
            )
            if not known:
                return
        rows = rows_of([action], file.instrument, 0, file.zone, file.symbols)
        self.counters.given += 1
        await self._put(Prints(rows.ts_event, *rows[2:]))

    async def _tell(self, text: str) -> None:
        await self._put(Status(StatusKind.ACTION, self._clock.now_ns(), text))


def _shown(file: ActionFile, action: Action) -> str:
    what = {
        ActionKind.SPLIT: f"the split {action.numerator:g}:{action.denominator:g}",
        ActionKind.DIVIDEND: f"the dividend of {action.amount or 0.0:g}",
        ActionKind.SYMBOL: f"the new name {action.symbol}",
        ActionKind.DELISTING: "the delisting",
    }[action.kind]
    return f"{file.name}: {what} of {action.ex_date}"


def action_files(config: Market, spec: EngineSpec) -> list[ActionFile]:
    """Where the actions of a configuration's instruments are: those of their `data`, one file an instrument.

    A catalog has them in a file of its own, which need not be there yet.
    """
    from daemon.calendars import time_zone
    from daemon.catalog.store import Catalog
    from daemon.config.spec import sources
    from daemon.data.sample import sample_actions

    found: dict[int, ActionFile] = {}
    for data, source in zip(config.data, sources(config), strict=True):
        path = source.actions
        if data.source == "catalog":
            path = Catalog(data.path).actions_path(data.instrument)
        elif data.source == "sample":
            path = sample_actions(data.instrument)
        if path is not None and source.instrument not in found:
            zone = time_zone(config.instruments[data.instrument].calendar)
            symbols = spec.instruments[source.instrument].symbols
            found[source.instrument] = ActionFile(
                path, source.instrument, source.name, zone, source.adjusted, symbols
            )
    return list(found.values())
