"""Quotes by REST while Finnhub's stream is down, to keep marks alive.

They come through finnhub-python in a thread, by the same code as `papertape data fetch`: with its errors in our words and
the key in a header. A second client that is asynchronous would do the same again, for two dozen requests a minute.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TypeAlias, TypeVar

from daemon.feeds.clock import Clock
from daemon.feeds.finnhub_protocol import HIGHEST_PRICE
from daemon.feeds.items import Listed, Quote, Status, StatusKind
from daemon.feeds.limiter import Limiter
from daemon.feeds.queued import BOUND, QueuedFeed
from daemon.feeds.secret import Secret
from daemon.feeds.silence import OpenTime
from daemon.fetch.errors import Refused, Transient
from daemon.fetch.patience import Outside, Patience, TokenBucket
from engine.records import SECOND

AFTER_S = 5.0  # a gap that is shorter needs no quotes
ROUND_S = 15.0  # between two questions about one symbol, at least; the limit makes it 75 s for 50 of them
FAULT_S = 30.0  # a pause where the venue gives no answer
FUTURE_NS = 10 * SECOND  # how far our clock and the venue's may differ

T = TypeVar("T")
Ask: TypeAlias = Callable[[str], Awaitable[tuple[int, float]]]


@dataclass
class QuoteCounters:
    """Since the start."""

    asked: int = 0
    given: int = 0  # quotes that were passed on
    same: int = 0  # as the one before
    not_had: int = 0  # there is none, or it cannot be used, or the key has no right to it
    no_answer: int = 0
    limited: int = 0  # of those: with a wish to wait


class FinnhubQuotes(QueuedFeed):
    """Quotes of the listed instruments whose markets are open, from five seconds after `down` is set until it is cleared.

    down: of the stream. ask: see `RestQuotes`; what it raises of ProviderError is counted, and told once an outage.
    """

    def __init__(
        self,
        listed: Sequence[Listed],
        down: asyncio.Event,
        ask: Ask,
        limiter: Limiter,
        clock: Clock,
        bound: int = BOUND,
    ) -> None:
        super().__init__(bound)
        self.counters = QuoteCounters()
        self.watch(listed)
        self._down = down
        self._ask = ask
        self._limiter = limiter
        self._clock = clock
        self._last: dict[int, Quote] = {}
        self._told: set[str] = set()

    def counts(self) -> dict[str, int]:
        """Of questions and answers."""
        return {f"quotes_{name}": n for name, n in asdict(self.counters).items()}

    def watch(self, listed: Sequence[Listed]) -> None:
        """Ask about these from the next round on."""
        self._listed = [(one, OpenTime([one.open_times])) for one in listed]

    async def _run(self) -> None:
        while True:
            await self._down.wait()
            self._told.clear()
            await self._clock.sleep(AFTER_S)
            while self._down.is_set():
                await self._clock.sleep(await self._round())

    async def _round(self) -> float:
        # each symbol once; seconds until the next time
        for one, open_time in self._listed:
            if not open_time.at(self._clock.now_ns()):
                continue
            await self._limiter.take()
            if not self._down.is_set():
                return ROUND_S
            self.counters.asked += 1
            try:
                ts, price = await self._ask(one.symbol)
            except Transient as fault:
                self.counters.no_answer += 1
                if fault.retry_after is not None:
                    self.counters.limited += 1
                    self._limiter.hold(fault.retry_after)
                await self._tell(str(fault), one.symbol)
                return FAULT_S
            except Refused as fault:
                self.counters.not_had += 1
                await self._tell(str(fault), one.symbol)
            else:
                await self._take(one, ts, price)
        return ROUND_S

    async def _take(self, one: Listed, ts: int, price: float) -> None:
        if not (0 < price <= HIGHEST_PRICE and 0 < ts <= self._clock.now_ns() + FUTURE_NS):
            self.counters.not_had += 1
            await self._tell("the price or the time of the quote cannot be", one.symbol)
            return
        quote = Quote(one.instrument, ts, price)
        if quote == self._last.get(one.instrument):
            self.counters.same += 1
        elif self._down.is_set():  # else prints have come meanwhile
            self._last[one.instrument] = quote
            self.counters.given += 1
            await self._put(quote)

    async def _tell(self, what: str, symbol: str) -> None:
        if what not in self._told:
            self._told.add(what)
            await self._put(Status(StatusKind.QUOTES, self._clock.now_ns(), f"{symbol}: {what}"))


class _Once(Patience):
    """Asks once, at once: the limits are kept, and waits waited, where that holds up no thread."""

    def ask(self, what: str, question: Callable[[], T]) -> T:
        return question()


class RestQuotes:
    """Asks for a quote: `await rest(symbol)` is the time of its price, ns UTC, and the price.

    url: of another server that speaks as Finnhub's does. Raises Refused where there is none, also for zeros and nulls, Transient where there was no answer, and at once FetchError
    where finnhub-python is not installed. An answer has ten seconds; whoever gives up waiting leaves a thread behind so long.
    """

    def __init__(self, token: Secret, url: str | None = None) -> None:
        from daemon.fetch.finnhub_rest import Finnhub

        outside = Outside()
        free = TokenBucket(60_000, 30_000, outside)  # never waits: the limiter has counted the request
        patience = _Once(free, outside, lambda _: None)
        self._finnhub = Finnhub(patience, {"FINNHUB_API_KEY": token.reveal()}, url)

    async def __call__(self, symbol: str) -> tuple[int, float]:
        return await asyncio.to_thread(self._finnhub.quote, symbol)

    def close(self) -> None:
        """End the conversation."""
        self._finnhub.close()
