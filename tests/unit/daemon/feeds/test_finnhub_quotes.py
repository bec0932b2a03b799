"""Quotes while the stream is down: when they are asked for, how often, and what is none."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise

from daemon.feeds.finnhub_quotes import FinnhubQuotes, QuoteCounters
from daemon.feeds.items import Item, Listed, Quote, Status, StatusKind
from daemon.feeds.limiter import Limiter
from daemon.fetch.errors import ProviderError, Refused, Transient
from engine.records import SECOND
from tests.unit.daemon.feeds.doubles import NOON, FakeClock, listed, settle
from tests.unit.daemon.feeds.markets import ALWAYS, open_at

Answer = tuple[int, float] | ProviderError


class Desk:
    """Quotes on a fake clock: `answers` by symbol, the last of them again and again."""

    def __init__(self, instruments: Sequence[Listed], **answers: Sequence[Answer]) -> None:
        self.clock = FakeClock()
        self.down = asyncio.Event()
        self.limiter = Limiter(self.clock)
        self.answers = {symbol: list(given) for symbol, given in answers.items()}
        self.asked: list[tuple[float, str]] = []
        self.items: list[Item] = []
        self.feed = FinnhubQuotes(instruments, self.down, self._ask, self.limiter, self.clock)

    async def _ask(self, symbol: str) -> tuple[int, float]:
        self.asked.append(((self.clock.now_ns() - NOON) / SECOND, symbol))
        queue = self.answers[symbol]
        answer = queue.pop(0) if len(queue) > 1 else queue[0]
        if isinstance(answer, ProviderError):
            raise answer
        return answer

    def run(self, story: Callable[["Desk"], Awaitable[None]]) -> None:
        async def read() -> None:
            async for item in self.feed:
                self.items.append(item)

        async def whole() -> None:
            async with self.feed:
                reader = asyncio.create_task(read())
                await settle()
                await story(self)
                reader.cancel()

        asyncio.run(whole())


def test_quotes_are_asked_for_five_seconds_into_a_gap_until_it_ends() -> None:
    a, b = (NOON - 5 * SECOND, 10.0), (NOON - 9 * SECOND, 20.0)

    async def story(desk: Desk) -> None:
        await desk.clock.advance(100)
        assert desk.asked == []
        desk.down.set()
        await desk.clock.advance(4.9)
        assert desk.asked == []
        await desk.clock.advance(0.1)
        assert desk.asked == [(105.0, "A"), (105.0, "B")]
        assert desk.items == [Quote(0, *a), Quote(1, *b)]
        desk.down.clear()
        await desk.clock.advance(300)
        assert len(desk.asked) == 2
        desk.down.set()
        await desk.clock.advance(5)
        assert len(desk.asked) == 4

    Desk(listed("A", "B"), A=[a], B=[b]).run(story)


def test_gap_that_ends_within_five_seconds_needs_no_quotes() -> None:
    async def story(desk: Desk) -> None:
        desk.down.set()
        await desk.clock.advance(4)
        desk.down.clear()
        await desk.clock.advance(60)
        assert desk.asked == []

    Desk(listed("A"), A=[(NOON, 1.0)]).run(story)


def test_quote_is_asked_for_every_fifteen_seconds_and_passed_on_when_it_is_another() -> None:
    async def story(desk: Desk) -> None:
        desk.down.set()
        await desk.clock.advance(60)
        assert [t for t, _ in desk.asked] == [5.0, 20.0, 35.0, 50.0]
        assert desk.items == [Quote(0, NOON, 1.0), Quote(0, NOON + SECOND, 1.0), Quote(0, NOON + SECOND, 2.0)]
        assert desk.feed.counters == QuoteCounters(asked=4, given=3, same=1)

    answers = [(NOON, 1.0), (NOON, 1.0), (NOON + SECOND, 1.0), (NOON + SECOND, 2.0)]
    Desk(listed("A"), A=answers).run(story)


def test_market_that_is_closed_is_not_asked_about() -> None:
    async def story(desk: Desk) -> None:
        desk.down.set()
        await desk.clock.advance(45)
        assert desk.asked == [(5.0, "BTC"), (20.0, "BTC"), (35.0, "A"), (35.0, "BTC")]

    instruments = [Listed("A", 0, open_at((30, 99), since=NOON)), Listed("BTC", 1, ALWAYS)]
    Desk(instruments, A=[(NOON, 1.0)], BTC=[(NOON, 2.0)]).run(story)


def test_other_symbols_are_asked_about_from_the_next_round_on() -> None:
    async def story(desk: Desk) -> None:
        desk.down.set()
        await desk.clock.advance(6)
        desk.feed.watch(listed("A", "B", "C")[1:])
        await desk.clock.advance(15)
        assert desk.asked == [(5.0, "A"), (5.0, "B"), (20.0, "B"), (20.0, "C")]

    Desk(listed("A", "B"), A=[(NOON, 1.0)], B=[(NOON, 2.0)], C=[(NOON, 3.0)]).run(story)


def test_fifty_symbols_stay_below_sixty_requests_in_any_minute() -> None:
    symbols = [f"S{i}" for i in range(50)]

    async def story(desk: Desk) -> None:
        desk.down.set()
        await desk.clock.advance(600)
        times = [t for t, _ in desk.asked]
        assert max(sum(t <= u < t + 60 for u in times) for t in times) <= 60
        assert len(times) > 380  # 40 a minute
        first = [t for t, symbol in desk.asked if symbol == "S7"]
        assert max(b - a for a, b in pairwise(first)) < 80

    Desk(listed(*symbols), **{s: [(NOON, 1.0)] for s in symbols}).run(story)


def test_symbol_without_a_quote_is_counted_and_told_once_an_outage_and_never_a_price() -> None:
    async def story(desk: Desk) -> None:
        desk.down.set()
        await desk.clock.advance(40)
        told = [item for item in desk.items if isinstance(item, Status)]
        assert [(s.kind, s.text) for s in told] == [
            (StatusKind.QUOTES, "A: Finnhub has no quote of this symbol")
        ]
        assert [q for q in desk.items if isinstance(q, Quote)] == [Quote(1, NOON, 2.0)]
        assert (desk.feed.counters.not_had, desk.feed.counters.given) == (3, 1)
        desk.down.clear()
        await desk.clock.advance(20)
        desk.down.set()
        await desk.clock.advance(6)
        assert len([item for item in desk.items if isinstance(item, Status)]) == 2

    Desk(listed("A", "B"), A=[Refused("Finnhub has no quote of this symbol")], B=[(NOON, 2.0)]).run(story)


def test_quote_that_can_be_none_is_refused() -> None:
    bad: list[Answer] = [
        (NOON, 0.0),
        (NOON, -1.0),
        (NOON, float("nan")),
        (NOON, 1e10),
        (0, 5.0),
        (NOON + 3600 * SECOND, 5.0),
        (NOON, 3.0),
    ]

    async def story(desk: Desk) -> None:
        desk.down.set()
        await desk.clock.advance(100)
        assert [q for q in desk.items if isinstance(q, Quote)] == [Quote(0, NOON, 3.0)]
        assert desk.feed.counters == QuoteCounters(asked=7, given=1, not_had=6)

    Desk(listed("A"), A=bad).run(story)


def test_venue_without_an_answer_is_asked_again_after_a_pause() -> None:
    async def story(desk: Desk) -> None:
        desk.down.set()
        await desk.clock.advance(36)
        assert desk.asked == [(5.0, "A"), (35.0, "A"), (35.0, "B")]
        assert desk.feed.counters == QuoteCounters(asked=3, given=2, no_answer=1)

    Desk(listed("A", "B"), A=[Transient("no answer"), (NOON, 1.0)], B=[(NOON, 2.0)]).run(story)


def test_wish_to_wait_holds_all_who_share_the_limit() -> None:
    async def story(desk: Desk) -> None:
        desk.down.set()
        await desk.clock.advance(10)
        other = asyncio.create_task(desk.limiter.take())
        await desk.clock.advance(94)
        assert desk.asked == [(5.0, "A")]
        assert not other.done()
        await desk.clock.advance(2)  # 105 s
        assert other.done()
        assert desk.asked == [(5.0, "A"), (105.0, "A")]
        assert (desk.feed.counters.limited, desk.limiter.counters.held) == (1, 1)

    Desk(listed("A"), A=[Transient("HTTP 429", 100.0), (NOON, 1.0)]).run(story)


def test_quote_that_comes_after_the_stream_is_back_is_not_passed_on() -> None:
    async def story(desk: Desk) -> None:
        ask = desk.feed._ask

        async def slow(symbol: str) -> tuple[int, float]:
            await desk.clock.sleep(3)
            return await ask(symbol)

        desk.feed._ask = slow
        desk.down.set()
        await desk.clock.advance(6)
        desk.down.clear()
        await desk.clock.advance(60)
        assert len(desk.asked) == 1
        assert desk.items == []

    Desk(listed("A", "B"), A=[(NOON, 1.0)], B=[(NOON, 1.0)]).run(story)
