"""Finnhub's trades as a live feed that keeps itself connected.

One connection at a time: the venue allows one a token, and ends both where there are two. A connection that ends, or
says nothing for too long, is closed before the next is made; each loss is a Gap from the last frame on.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace

from daemon.feeds.backoff import Backoff
from daemon.feeds.clock import Clock
from daemon.feeds.errors import FeedError, Lost, NotConnected
from daemon.feeds.finnhub_protocol import Protocol, Rules, ServerError, subscribe, unsubscribe
from daemon.feeds.finnhub_socket import Connect, Connection, connect
from daemon.feeds.items import Gap, Listed, Prints, Status, StatusKind
from daemon.feeds.queued import BOUND, QueuedFeed
from daemon.feeds.secret import Secret
from daemon.feeds.silence import OpenTime, Silence
from engine.records import SECOND

GOOD_NS = 60 * SECOND  # a connection that lived so long was a good one: the next wait is the shortest again
LONGEST_WISH_S = 600.0  # that is kept: a wrong Retry-After shall not blind us for a day
CONTESTED_NS = 2 * SECOND  # a token in use elsewhere is disconnected in under a second
_ERRORS_TOLD = 10  # of a connection; the rest is counted


@dataclass(frozen=True)
class StreamSettings:
    """How the stream behaves. Limits of silence: see Silence."""

    url: str = "wss://ws.finnhub.io"
    most_symbols: int = 50  # of the free plan
    no_frames_s: float = 150.0  # a ping comes about once a minute
    no_prices_s: float = 300.0
    rules: Rules = field(default_factory=Rules)


@dataclass
class StreamCounters:
    """Since the start."""

    connected: int = 0
    unreachable: int = 0  # attempts that failed, those refused and limited among them
    refused: int = 0
    limited: int = 0
    disconnected: int = 0  # connections that ended, those contested and hung among them
    contested: int = 0
    hung: int = 0
    gaps: int = 0
    gap_ns: int = 0  # length of those that have ended


class FinnhubStream(QueuedFeed):
    """Prints of the listed instruments, and the gaps between them.

    down: set while a gap lasts. Raises FeedError: at once where there are none or too many instruments, a symbol twice or
    no websocket's address; to the reader where the token is refused before any connection was made. A token that is
    refused later is a Status, and asked with again.
    """

    def __init__(
        self,
        listed: Sequence[Listed],
        token: Secret,
        clock: Clock,
        settings: StreamSettings | None = None,
        rng: random.Random | None = None,
        connect: Connect = connect,
        bound: int = BOUND,
    ) -> None:
        super().__init__(bound)
        self._settings = settings or StreamSettings()
        _check(listed, self._settings)
        self.counters = StreamCounters()
        self.protocol = Protocol(_symbols(listed), self._settings.rules)
        self.down = asyncio.Event()
        self._listed = listed
        self._token = token
        self._clock = clock
        self._connect = connect
        self._backoff = Backoff(rng or random.Random())
        self._open_time = OpenTime([one.open_times for one in listed])
        self._turn = asyncio.Lock()  # to say what is asked for, and which gaps there are
        self._gaps: list[Gap] = []  # that last; of different instruments
        self._connection: Connection | None = None  # that was asked for what is listed
        self._silence: Silence | None = None  # of the connection
        self._asked: set[str] = set()  # of the connection: symbols

    def counts(self) -> dict[str, int]:
        """Of connections and gaps, of frames and prints."""
        return asdict(self.counters) | asdict(self.protocol.counters)

    async def watch(self, listed: Sequence[Listed]) -> None:
        """Ask for these and no others from now on, on the connection that there is and on those to come.

        While the stream is down, a gap of what is new begins, and one of what is gone ends: nothing is promised of it any
        more. Raises FeedError as at the start, and then changes nothing. Not to be awaited by the feed's reader: it waits
        for room in the queue.
        """
        _check(listed, self._settings)
        async with self._turn:
            now = self._clock.now_ns()
            before = {one.instrument for one in self._listed}
            after = {one.instrument for one in listed}
            self._listed = listed
            self._open_time = OpenTime([one.open_times for one in listed])
            self.protocol.listen(_symbols(listed))
            if self._silence is not None:
                self._silence.watches(self._open_time, now)
            if self._gaps and after - before:
                await self._begin_gap(after - before, now, "asked for while the stream is down")
            await self._end_gaps(before - after, now)
            if self._connection is not None:
                with suppress(Lost):  # whoever reads it has it too
                    await self._ask(self._connection)
                    await self._tell(StatusKind.WATCHING, f"asked for {len(listed)} symbols from now on")

    async def _run(self) -> None:
        began = self._clock.now_ns()
        while True:
            try:
                connection = await self._connect(self._settings.url, self._token)
            except NotConnected as fault:
                wait = await self._not_connected(fault, began)
            else:
                try:
                    await self._live(connection)
                finally:
                    self._connection = self._silence = None
                    await connection.close()
                wait = self._backoff.next()
            await self._clock.sleep(wait)

    async def _not_connected(self, fault: NotConnected, began: int) -> float:
        # tells of it; seconds to wait
        kind, text = StatusKind.UNREACHABLE, f"Finnhub's stream cannot be reached: {fault}"
        if fault.status in (401, 403):
            if not self.counters.connected:
                raise FeedError(
                    f"Finnhub does not accept the token ({fault}); check FINNHUB_API_KEY"
                ) from None
            kind, text = StatusKind.REFUSED, f"Finnhub does not accept the token any more ({fault})"
            self.counters.refused += 1
        elif fault.status == 429:
            kind, text = StatusKind.LIMITED, f"Finnhub says that it is asked too often ({fault})"
            self.counters.limited += 1
        self.counters.unreachable += 1
        wait = max(self._backoff.next(), min(fault.retry_after or 0.0, LONGEST_WISH_S))
        await self._tell(kind, f"{text}; next attempt in {wait:.1f} s")
        await self._open_gap(began, text)
        return wait

    async def _live(self, connection: Connection) -> None:
        # one connection, from its first moment to its last
        began = self._clock.now_ns()
        silence = Silence(self._open_time, self._settings.no_frames_s, self._settings.no_prices_s, began)
        silence.hears()  # until all symbols are asked for, it is our turn
        self._silence = silence
        self.counters.connected += 1
        self.protocol.forget()
        why = ""
        async with asyncio.TaskGroup() as tasks:
            guard = tasks.create_task(self._guard(connection, silence))
            try:
                await self._subscribe(connection)
                await self._read(connection, silence)
            except Lost as lost:
                why = str(lost)
            finally:
                guard.cancel()
        kind, since = StatusKind.DISCONNECTED, silence.heard
        if silence.found is not None:
            kind, (since, why) = StatusKind.HUNG, silence.found
            self.counters.hung += 1
        elif self._clock.now_ns() - began < CONTESTED_NS:
            kind = StatusKind.CONTESTED
            why = f"closed at once: {why}; does another program use the same token?"
            self.counters.contested += 1
        self.counters.disconnected += 1
        if silence.heard - began >= GOOD_NS:
            self._backoff.reset()
        await self._tell(kind, why)
        await self._open_gap(since, why)

    async def _guard(self, connection: Connection, silence: Silence) -> None:
        # ends a connection that hangs, which ends whoever reads it
        while (overdue := silence.overdue(self._clock.now_ns())) is None:
            await self._clock.sleep(silence.patience_s(self._clock.now_ns()))
        silence.found = overdue
        await connection.close()

    async def _subscribe(self, connection: Connection) -> None:
        async with self._turn:
            self._asked.clear()
            await self._ask(connection)
            self._connection = connection
            await self._tell(StatusKind.CONNECTED, f"asked for {len(self._listed)} symbols")
            if self._gaps:
                now = self._clock.now_ns()
                self.counters.gap_ns += now - min(gap.since for gap in self._gaps)
                await self._end_gaps({one.instrument for one in self._listed}, now)

    async def _ask(self, connection: Connection) -> None:
        # for what is listed and was not asked for, and no more for what is not
        wanted = {one.symbol: one for one in self._listed}
        for symbol in sorted(self._asked - wanted.keys()):  # first, so that there is room
            await connection.send(unsubscribe(symbol))
            self._asked.discard(symbol)
        for symbol in wanted:
            if symbol not in self._asked:
                await connection.send(subscribe(symbol))
                self._asked.add(symbol)

    async def _read(self, connection: Connection, silence: Silence) -> None:
        # until it ends, as Lost
        told: set[str] = set()
        while True:
            silence.listens(self._clock.now_ns())
            frame = await connection.recv()
            silence.hears()
            received = time.monotonic_ns()
            message = self.protocol.receive(frame, self._clock.now_ns())
            if isinstance(message, Prints):
                await self._put(message._replace(received=received))
                silence.priced = self._clock.now_ns()
            elif isinstance(message, ServerError):
                if len(told) < _ERRORS_TOLD and message.text not in told:
                    told.add(message.text)
                    await self._tell(
                        StatusKind.ERROR, f"Finnhub says: {message.text}{self._hint(message.text)}"
                    )
            if self.protocol.news:
                for reason, what in self.protocol.news:
                    await self._tell(StatusKind.JUNK, f"refused ({reason}): {what}")
                self.protocol.news.clear()

    def _hint(self, text: str) -> str:
        if "too many symbols" not in text.lower():
            return ""
        return f"; of the {len(self._listed)} that were asked for, some will send nothing: take some out"

    async def _tell(self, kind: StatusKind, text: str) -> None:
        await self._put(Status(kind, self._clock.now_ns(), self._token.clean(text, 400)))

    async def _open_gap(self, since: int, why: str) -> None:
        async with self._turn:
            if not self._gaps:
                self.counters.gaps += 1
                await self._begin_gap({one.instrument for one in self._listed}, since, why)

    async def _begin_gap(self, instruments: Iterable[int], since: int, why: str) -> None:
        gap = Gap(tuple(sorted(instruments)), since, None, self._token.clean(why, 400))
        self._gaps.append(gap)
        self.down.set()
        await self._put(gap)

    async def _end_gaps(self, instruments: set[int], until: int) -> None:
        # of these instruments
        ended: list[Gap] = []
        still: list[Gap] = []
        for gap in self._gaps:
            for part, those in (
                (ended, set(gap.instruments) & instruments),
                (still, set(gap.instruments) - instruments),
            ):
                if those:
                    part.append(replace(gap, instruments=tuple(sorted(those))))
        self._gaps = still
        if not still:
            self.down.clear()
        for gap in ended:
            await self._put(replace(gap, until=until))


def _symbols(listed: Sequence[Listed]) -> dict[str, int]:
    return {one.symbol: one.instrument for one in listed}


def _check(listed: Sequence[Listed], settings: StreamSettings) -> None:
    symbols = [one.symbol for one in listed]
    if not symbols:
        raise FeedError("the feed has no symbols; give at least one instrument")
    if len(symbols) > settings.most_symbols:
        raise FeedError(
            f"{len(symbols)} symbols are more than the {settings.most_symbols} that the plan has room for; "
            "take some out, or raise the limit if your plan has more"
        )
    if twice := sorted({symbol for symbol in symbols if symbols.count(symbol) > 1}):
        raise FeedError(f"{', '.join(twice)}: asked for twice; each instrument needs a symbol of its own")
    if not settings.url.startswith(("wss://", "ws://")) or "?" in settings.url:
        raise FeedError(
            f"{settings.url!r} is no address of a websocket; write one such as wss://ws.finnhub.io"
        )
