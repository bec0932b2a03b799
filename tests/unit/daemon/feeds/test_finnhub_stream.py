"""The stream stays connected: waits, resubscribes, gives up hung connections, and tells of each gap."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

import pytest

from daemon.feeds.errors import FeedError, NotConnected
from daemon.feeds.finnhub_protocol import Rules, subscribe
from daemon.feeds.finnhub_stream import FinnhubStream, StreamCounters, StreamSettings
from daemon.feeds.items import Gap, Item, Listed, Prints, Status
from daemon.feeds.secret import Secret
from engine.records import SECOND
from tests.unit.daemon.feeds.doubles import (
    NOON,
    TOKEN,
    FakeClock,
    Venue,
    Wire,
    listed,
    settle,
    trade,
    trades,
)
from tests.unit.daemon.feeds.markets import open_at


class Middle(random.Random):
    """Always draws the middle: waits are 1, 2, 4, ... s."""

    def random(self) -> float:
        return 0.5


class Desk:
    """A stream on a fake clock and venue, and a reader of all that it gives."""

    def __init__(
        self, *faults: NotConnected | None, instruments: Sequence[Listed] = (), **settings: Any
    ) -> None:
        self.clock = FakeClock()
        self.venue = Venue(self.clock, *faults)
        self.items: list[Item] = []
        self.reads = True
        self.stream = FinnhubStream(
            instruments or listed("AAPL", "TSLA"),
            Secret(TOKEN),
            self.clock,
            StreamSettings(**settings),
            Middle(),
            self.venue.connect,
        )

    @property
    def wire(self) -> Wire:
        return self.venue.wires[-1]

    def prints(self, price: float = 1.0) -> None:
        self.wire.put(trades(trade("AAPL", price, self.clock.now_ns() // 1_000_000)))

    def kinds(self) -> list[str]:
        names = {Prints: "prints", Gap: "gap"}
        return [str(item.kind) if isinstance(item, Status) else names[type(item)] for item in self.items]

    def gaps(self) -> list[tuple[float, float | None]]:
        def seconds(ts: int | None) -> float | None:
            return None if ts is None else (ts - NOON) / SECOND

        return [(seconds(g.since) or 0.0, seconds(g.until)) for g in self.items if isinstance(g, Gap)]

    def texts(self) -> list[str]:
        return [item.text for item in self.items if isinstance(item, Status)]

    async def read(self) -> None:
        async for item in self.stream:
            self.items.append(item)


def run(desk: Desk, story: Callable[[Desk], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(desk.stream)
            reader = asyncio.create_task(desk.read())
            await settle()
            try:
                await story(desk)
            finally:
                reader.cancel()
        assert not any(wire.open for wire in desk.venue.wires)  # all is closed behind it

    asyncio.run(whole())
    shown = repr(desk.items) + repr(desk.stream.counters)
    assert TOKEN not in shown


def test_first_connection_asks_for_each_symbol_and_is_no_gap() -> None:
    async def story(desk: Desk) -> None:
        assert desk.wire.sent == [subscribe("AAPL"), subscribe("TSLA")]
        before = time.monotonic_ns()
        desk.prints(129.5)
        await settle()
        assert desk.kinds() == ["connected", "prints"]
        prints = desk.items[-1]
        assert isinstance(prints, Prints)
        assert (prints.instrument.tolist(), prints.price.tolist()) == ([0], [129.5])
        assert before <= prints.received <= time.monotonic_ns()
        assert not desk.stream.down.is_set()

    run(Desk(), story)


def test_lost_connection_is_a_gap_from_its_last_frame_to_the_next_subscription() -> None:
    async def story(desk: Desk) -> None:
        await desk.clock.advance(10)
        desk.prints()
        await desk.clock.advance(20)
        desk.wire.drop()
        await desk.clock.advance(0.9)
        assert desk.kinds() == ["connected", "prints", "disconnected", "gap"]
        assert desk.gaps() == [(10.0, None)]
        assert desk.stream.down.is_set()
        await desk.clock.advance(0.1)  # the wait of 1 s ends
        assert desk.kinds()[4:] == ["connected", "gap"]
        assert desk.gaps()[1] == (10.0, 31.0)
        assert desk.wire.sent == [subscribe("AAPL"), subscribe("TSLA")]
        assert not desk.stream.down.is_set()
        assert desk.stream.counters == StreamCounters(connected=2, disconnected=1, gaps=1, gap_ns=21 * SECOND)
        gap = next(item for item in desk.items if isinstance(item, Gap))
        assert (gap.instruments, gap.why) == ((0, 1), "no close frame received or sent")

    run(Desk(), story)


def test_failed_attempts_wait_twice_as_long_each_time_and_are_one_gap_from_the_start() -> None:
    fault = NotConnected("OSError: no route")

    async def story(desk: Desk) -> None:
        await desk.clock.advance(130)
        # waits of 1, 2, 4, 8, 16, 32, 60
        assert desk.venue.attempts == [0, 1, 3, 7, 15, 31, 63, 123]
        assert desk.kinds() == ["unreachable", "gap"] + 6 * ["unreachable"] + ["connected", "gap"]
        assert desk.gaps() == [(0, None), (0, 123)]
        assert desk.stream.counters == StreamCounters(connected=1, unreachable=7, gaps=1, gap_ns=123 * SECOND)
        assert desk.texts()[0] == (
            "Finnhub's stream cannot be reached: OSError: no route; next attempt in 1.0 s"
        )

    run(Desk(*7 * [fault]), story)


def test_waits_grow_over_connections_that_do_not_last_and_start_again_after_a_good_minute() -> None:
    async def story(desk: Desk) -> None:
        for _ in range(3):  # each lasts 10 s
            await desk.clock.advance(10)
            desk.wire.drop()
            await settle()
            await desk.clock.advance(10)
        # 10 + 1, then 9 s old and 10 more, ...: waits 1, 2, 4
        ends = [10, 30, 50]
        assert desk.venue.attempts == [0, 11, 32, 54]
        assert [b - a for a, b in zip(ends, desk.venue.attempts[1:], strict=True)] == [1, 2, 4]
        for _ in range(7):  # to 130 s
            await desk.clock.advance(10)
            desk.prints()
        await settle()
        desk.wire.drop()
        await desk.clock.advance(1)
        assert desk.venue.attempts[-1] == 131  # 1 s again

    run(Desk(), story)


def test_connection_that_was_silent_for_a_minute_was_no_good_one() -> None:
    async def story(desk: Desk) -> None:
        await desk.clock.advance(80)
        desk.wire.drop()
        await desk.clock.advance(70)  # a wait of 1 s, then 69 s of silence
        desk.wire.drop()
        await desk.clock.advance(5)
        assert desk.venue.attempts == [0, 81, 152]  # a wait of 2 s

    run(Desk(), story)


def test_hung_connection_is_closed_and_replaced_although_no_market_is_open() -> None:
    async def story(desk: Desk) -> None:
        await desk.clock.advance(100)
        desk.wire.put({"type": "ping"})
        await desk.clock.advance(149.9)
        assert desk.kinds() == ["connected"]
        await desk.clock.advance(0.1)  # 150 s after the ping
        assert desk.kinds() == ["connected", "hung", "gap"]
        assert desk.gaps() == [(100.0, None)]
        assert not desk.venue.wires[0].open
        await desk.clock.advance(1)
        assert desk.gaps()[-1] == (100.0, 251.0)
        assert desk.stream.counters.hung == 1

    closed = open_at((9000, 9999), since=NOON)
    run(Desk(instruments=listed("AAPL", open_times=closed)), story)


def test_pings_without_prints_are_a_hung_connection_only_while_a_market_is_open() -> None:
    async def story(desk: Desk) -> None:
        for _ in range(18):  # 1080 s: the market opens at 1000
            await desk.clock.advance(60)
            desk.wire.put({"type": "ping"})
        desk.prints()
        for _ in range(4):  # to 1320 s
            await desk.clock.advance(60)
            desk.wire.put({"type": "ping"})
        assert desk.kinds() == ["connected", "prints"]
        await desk.clock.advance(60)  # 300 s after the print
        assert desk.kinds()[2:4] == ["hung", "gap"]
        assert desk.gaps()[0] == (1080.0, None)  # nothing is sure since the last print
        assert "no print came for 300 s in which a market was open" in desk.texts()[1]

    run(Desk(instruments=listed("AAPL", open_times=open_at((1000, 9999), since=NOON))), story)


def test_slow_reader_is_not_taken_for_a_hung_connection() -> None:
    async def whole() -> None:
        desk = Desk()
        async with desk.stream:
            await settle()
            for _ in range(100):  # more than the queue holds
                desk.prints()
            await settle()
            assert desk.stream.depth == 64
            await desk.clock.advance(400)
            assert desk.stream.counters.hung == 0
            reader = asyncio.create_task(desk.read())
            await settle()
            assert desk.kinds() == ["connected"] + 100 * ["prints"]
            await desk.clock.advance(149)
            assert desk.stream.counters.hung == 0
            await desk.clock.advance(1)
            assert desk.stream.counters.hung == 1
            reader.cancel()

    asyncio.run(whole())


def test_reader_that_holds_up_the_first_item_is_not_taken_for_a_hung_connection() -> None:
    async def whole() -> None:
        desk = Desk(*3 * [NotConnected("no route")])
        desk.stream._queue = asyncio.Queue(1)
        async with desk.stream:
            await desk.clock.advance(0.1)  # the first status waits to be read, and the gap for room
            await anext(desk.stream)
            await desk.clock.advance(1)
            for _ in range(3):  # the gap and two more statuses
                await anext(desk.stream)
                await desk.clock.advance(10)
            assert len(desk.venue.wires) == 1
            await desk.clock.advance(400)
            assert desk.stream.counters.hung == 0
            assert desk.wire.open

    asyncio.run(whole())


def test_connection_that_is_closed_at_once_is_told_from_one_that_is_lost() -> None:
    async def story(desk: Desk) -> None:
        await desk.clock.advance(1.9)
        desk.wire.drop(f"received 1006\n{TOKEN}")
        await desk.clock.advance(1)
        assert desk.kinds() == ["connected", "contested", "gap", "connected", "gap"]
        assert (
            desk.texts()[1]
            == "closed at once: received 1006 (the token); does another program use the same token?"
        )
        await desk.clock.advance(2)
        desk.wire.drop()
        await settle()
        assert desk.kinds()[5:] == ["disconnected", "gap"]
        assert (desk.stream.counters.contested, desk.stream.counters.disconnected) == (1, 2)

    run(Desk(), story)


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("before", [[], [NotConnected("no route")]])
def test_token_that_is_refused_before_any_connection_is_the_users_error(
    status: int, before: list[NotConnected]
) -> None:
    desk = Desk(*before, NotConnected(f"HTTP {status}", status))

    async def whole() -> None:
        async with desk.stream:
            reader = asyncio.create_task(desk.read())
            await desk.clock.advance(5)
            await reader

    with pytest.raises(
        FeedError, match=rf"^Finnhub does not accept the token \(HTTP {status}\); check FINNHUB_API_KEY$"
    ):
        asyncio.run(whole())


def test_token_that_is_refused_later_is_asked_with_again() -> None:
    async def story(desk: Desk) -> None:
        await desk.clock.advance(10)
        desk.wire.drop()
        await desk.clock.advance(4)  # 1 s, then refused, then 2 s
        assert desk.kinds() == ["connected", "disconnected", "gap", "refused", "connected", "gap"]
        assert desk.stream.counters.refused == desk.stream.counters.unreachable == 1

    run(Desk(None, NotConnected("HTTP 401", 401)), story)


def test_wish_to_wait_is_kept_where_it_is_longer_than_ours() -> None:
    async def story(desk: Desk) -> None:
        await desk.clock.advance(60)
        assert desk.venue.attempts == [0, 45.0, 47.0]  # ours are 1 s and 2 s
        assert desk.kinds() == ["limited", "gap", "limited", "connected", "gap"]

    run(Desk(NotConnected("HTTP 429", 429, 45.0), NotConnected("HTTP 429", 429, 0.0)), story)


def test_wish_to_wait_for_longer_than_ten_minutes_is_kept_for_those() -> None:
    async def story(desk: Desk) -> None:
        await desk.clock.advance(660)
        assert desk.venue.attempts == [0, 600]

    run(Desk(NotConnected("HTTP 429", 429, 1e9)), story)


def test_junk_is_told_once_a_connection_and_reason_and_prices_go_on() -> None:
    async def story(desk: Desk) -> None:
        for _ in range(3):
            desk.wire.put("{broken")
            desk.wire.put(trades(trade("MSFT", 5.0, NOON // 1_000_000)))
        desk.prints()
        await settle()
        assert desk.kinds() == ["connected", "junk", "junk", "prints"]
        assert desk.texts()[1] == "refused (not_json): b'{broken'"
        assert desk.stream.protocol.counters.not_json == 3
        assert desk.stream.protocol.counters.unknown_symbol == 3
        desk.wire.drop()
        await desk.clock.advance(1)
        desk.wire.put("{broken")
        await settle()
        assert desk.kinds().count("junk") == 3

    run(Desk(), story)


def test_refused_prints_are_no_life_of_prices() -> None:
    async def story(desk: Desk) -> None:
        for _ in range(10):
            await desk.clock.advance(30)
            desk.wire.put(trades(trade("MSFT", 5.0, desk.clock.now_ns() // 1_000_000)))
        await desk.clock.advance(1)
        assert desk.stream.counters.hung == 1

    run(Desk(), story)


def test_error_of_the_venue_is_told_with_what_to_do_once_and_without_the_token() -> None:
    async def story(desk: Desk) -> None:
        for _ in range(2):
            desk.wire.put({"type": "error", "msg": "Subscribing to too many symbols"})
        desk.wire.put({"type": "error", "msg": f"bad {TOKEN}\nindeed"})
        for i in range(50):
            desk.wire.put({"type": "error", "msg": f"no {i}"})
        await settle()
        assert desk.kinds() == ["connected"] + 10 * ["error"]
        assert desk.texts()[1] == (
            "Finnhub says: Subscribing to too many symbols; of the 2 that were asked for, some will send nothing: "
            "take some out"
        )
        assert desk.texts()[2] == "Finnhub says: bad (the token) indeed"
        assert desk.stream.protocol.counters.errors == 53

    run(Desk(), story)


def test_connection_that_is_lost_while_it_is_asked_for_symbols_is_lost_as_others() -> None:
    async def story(desk: Desk) -> None:
        wire = Wire()
        wire.open = False  # sending fails

        async def connect(url: str, token: Secret) -> Wire:
            return wire

        desk.stream._connect = connect
        desk.wire.drop()
        await desk.clock.advance(1)
        assert desk.kinds() == ["connected", "contested", "gap", "contested"]

    run(Desk(), story)


def gaps(desk: Desk) -> list[tuple[tuple[int, ...], float, float | None]]:
    spans = desk.gaps()
    told = [item.instruments for item in desk.items if isinstance(item, Gap)]
    return [(who, *span) for who, span in zip(told, spans, strict=True)]


FOUR = listed("AAPL", "TSLA", "MSFT", "IBM")


def test_other_symbols_are_asked_for_on_the_connection_that_there_is_and_on_the_next() -> None:
    async def story(desk: Desk) -> None:
        await desk.clock.advance(10)
        await desk.stream.watch([FOUR[0], FOUR[2]])
        await settle()
        assert desk.wire.sent[2:] == ['{"type":"unsubscribe","symbol":"TSLA"}', subscribe("MSFT")]
        assert (desk.kinds()[-1], desk.texts()[-1]) == ("watching", "asked for 2 symbols from now on")
        ms = desk.clock.now_ns() // 1_000_000
        desk.wire.put(trades(trade("TSLA", 1.0, ms), trade("MSFT", 2.0, ms)))  # the first was on its way
        await settle()
        prints = desk.items[-1]
        assert isinstance(prints, Prints)
        assert (prints.instrument.tolist(), prints.price.tolist()) == ([2], [2.0])
        assert desk.kinds() == ["connected", "watching", "prints"]  # no junk, and no gap
        assert desk.stream.protocol.counters.unwatched == 1
        desk.wire.drop()
        await desk.clock.advance(2)
        assert desk.wire.sent == [subscribe("AAPL"), subscribe("MSFT")]
        assert gaps(desk) == [((0, 2), 10.0, None), ((0, 2), 10.0, 11.0)]

    run(Desk(), story)


def test_symbol_that_is_watched_again_is_taken_again() -> None:
    async def story(desk: Desk) -> None:
        await desk.stream.watch(FOUR[1:2])
        await settle()
        await desk.stream.watch(FOUR[:2])
        await settle()
        desk.prints()
        await settle()
        assert desk.kinds() == ["connected", "watching", "watching", "prints"]
        assert desk.wire.sent[2:] == ['{"type":"unsubscribe","symbol":"AAPL"}', subscribe("AAPL")]

    run(Desk(), story)


def test_gap_of_what_is_watched_while_the_stream_is_down_begins_then_and_of_what_is_not_any_more_ends() -> (
    None
):
    async def story(desk: Desk) -> None:
        await desk.clock.advance(10)
        desk.wire.put({"type": "ping"})
        await settle()
        desk.wire.drop()
        await desk.clock.advance(0.25)
        await desk.stream.watch(FOUR[1:3])  # AAPL goes, MSFT comes
        await settle()
        await desk.clock.advance(0.25)
        await desk.stream.watch(FOUR[3:])  # both of these go, IBM comes
        await settle()
        assert desk.stream.down.is_set()
        await desk.clock.advance(0.5)
        assert gaps(desk) == [
            ((0, 1), 10.0, None),
            ((2,), 10.25, None),
            ((0,), 10.0, 10.25),
            ((3,), 10.5, None),
            ((1,), 10.0, 10.5),
            ((2,), 10.25, 10.5),
            ((3,), 10.5, 11.0),
        ]
        assert desk.wire.sent == [subscribe("IBM")]
        assert not desk.stream.down.is_set()

    run(Desk(), story)


def test_list_that_cannot_be_watched_is_refused_and_changes_nothing() -> None:
    async def story(desk: Desk) -> None:
        with pytest.raises(FeedError, match="has no symbols"):
            await desk.stream.watch([])
        with pytest.raises(FeedError, match="3 symbols are more than the 2"):
            await desk.stream.watch(FOUR[:3])
        desk.prints()
        await settle()
        assert desk.kinds() == ["connected", "prints"]
        assert len(desk.wire.sent) == 2

    run(Desk(most_symbols=2), story)


def test_connection_that_ends_while_other_symbols_are_asked_for_is_lost_as_others() -> None:
    async def story(desk: Desk) -> None:
        await desk.clock.advance(10)
        desk.wire.open = False  # sending fails; the end itself comes a little later
        await desk.stream.watch(FOUR[:3])
        await settle()
        assert desk.kinds() == ["connected"]
        desk.wire.drop()
        await desk.clock.advance(1)
        assert desk.kinds() == ["connected", "disconnected", "gap", "connected", "gap"]
        assert desk.wire.sent == [subscribe(one.symbol) for one in FOUR[:3]]

    run(Desk(), story)


def test_silence_is_measured_by_the_markets_that_are_watched_now_and_from_then_on() -> None:
    closed = listed("AAPL", open_times=open_at((9000, 9999), since=NOON))

    async def story(desk: Desk) -> None:
        for _ in range(16):  # 960 s without a print, while the market is closed
            await desk.clock.advance(60)
            desk.wire.put({"type": "ping"})
        await desk.stream.watch([*closed, FOUR[1]])  # which is always open
        await settle()
        for _ in range(4):
            await desk.clock.advance(60)
            desk.wire.put({"type": "ping"})
        await desk.clock.advance(50)
        assert desk.kinds() == ["connected", "watching"]
        await desk.clock.advance(10)
        assert desk.kinds()[2:4] == ["hung", "gap"]
        assert desk.gaps()[0] == (0.0, None)  # nothing is sure since the start

    run(Desk(instruments=closed), story)


def test_counts_are_those_of_connections_and_of_prints() -> None:
    async def story(desk: Desk) -> None:
        desk.prints()
        desk.wire.put("{broken")
        await settle()
        found = {name: n for name, n in desk.stream.counts().items() if n}
        assert found == {"connected": 1, "frames": 2, "prints": 1, "not_json": 1}

    run(Desk(), story)


def test_rules_of_the_settings_are_those_of_the_protocol() -> None:
    async def story(desk: Desk) -> None:
        desk.wire.put(trades(trade("AAPL", 1.0, NOON // 1_000_000, c=["12"])))
        await settle()
        assert desk.kinds() == ["connected"]

    run(Desk(rules=Rules(no_price=frozenset({"12"}))), story)


@pytest.mark.parametrize(
    ("instruments", "settings", "message"),
    [
        ([], {}, "has no symbols; give at least one"),
        (
            listed(*(f"S{i}" for i in range(51))),
            {},
            "51 symbols are more than the 50 that the plan has room for",
        ),
        (listed("A", "B", "A"), {}, "^A: asked for twice"),
        (listed("A"), {"url": "https://finnhub.io"}, "is no address of a websocket"),
        (listed("A"), {"url": "wss://ws.finnhub.io?token=x"}, "is no address of a websocket"),
    ],
)
def test_stream_that_cannot_work_is_refused_at_once(
    instruments: list[Listed], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(FeedError, match=message):
        FinnhubStream(instruments, Secret(TOKEN), FakeClock(), StreamSettings(**settings))


def test_fifty_symbols_are_the_plans_and_more_where_the_plan_has_more() -> None:
    many = listed(*(f"S{i}" for i in range(51)))
    FinnhubStream(many[:50], Secret(TOKEN), FakeClock())
    FinnhubStream(many, Secret(TOKEN), FakeClock(), StreamSettings(most_symbols=51))


def test_two_streams_wait_differently() -> None:
    waits = set()
    for seed in range(5):
        desk = Desk(*2 * [NotConnected("no route")])
        desk.stream._backoff._rng = random.Random(seed)

        async def story(desk: Desk) -> None:
            await desk.clock.advance(5)
            waits.add(desk.venue.attempts[1])

        run(desk, story)
    assert len(waits) == 5
    assert all(0.8 <= wait <= 1.2 for wait in waits)
