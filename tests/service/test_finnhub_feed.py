"""Finnhub's feeds over real sockets: a server on this machine that has the faults of the real one."""

import asyncio
import json
import logging
import random
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from daemon.feeds.clock import SystemClock
from daemon.feeds.errors import FeedError
from daemon.feeds.finnhub_quotes import FinnhubQuotes, RestQuotes
from daemon.feeds.finnhub_stream import FinnhubStream, StreamSettings
from daemon.feeds.items import Gap, Item, Listed, Prints, Quote, Status
from daemon.feeds.limiter import Limiter
from daemon.feeds.merged import Merged
from daemon.feeds.queued import QueuedFeed
from daemon.feeds.secret import Secret
from engine.records import SECOND
from tests.service.finnhub_flood import flooding
from tests.service.finnhub_server import FinnhubServer, Reply, quote, serving, trade, trades
from tests.unit.daemon.feeds.markets import ALWAYS

KEY = "loopback-key"
SYMBOLS = ("AAPL", "TSLA", "BINANCE:BTCUSDT")


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy stands between this machine and itself."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


class Tenfold(SystemClock):
    """Ten seconds pass in one, so that the shortest wait is a tenth of a second."""

    def __init__(self) -> None:
        super().__init__()
        self._began = super().now_ns()

    def now_ns(self) -> int:
        now = super().now_ns()
        return self._began + 10 * (now - self._began)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / 10)


class Desk:
    """Reads a feed in the background; `items` are what came, `prices` of prints among them."""

    def __init__(self) -> None:
        self.items: list[Item] = []

    @property
    def prices(self) -> list[float]:
        return [price for item in self.items if isinstance(item, Prints) for price in item.price.tolist()]

    @property
    def kinds(self) -> list[str]:
        return [str(item.kind) for item in self.items if isinstance(item, Status)]

    @property
    def gaps(self) -> list[Gap]:
        return [item for item in self.items if isinstance(item, Gap)]

    @property
    def quotes(self) -> list[Quote]:
        return [item for item in self.items if isinstance(item, Quote)]

    async def read(self, feed: QueuedFeed) -> None:
        async for item in feed:
            self.items.append(item)

    async def until(self, condition: Callable[["Desk"], bool], seconds: float = 20) -> None:
        end = time.monotonic() + seconds
        while not condition(self):
            assert time.monotonic() < end, f"only this has come: {self.items[-5:]}"
            await asyncio.sleep(0.005)


def stream_of(
    server: FinnhubServer, *symbols: str, key: str = KEY, bound: int = 64, **settings: Any
) -> FinnhubStream:
    instruments = [Listed(symbol, i, ALWAYS) for i, symbol in enumerate(symbols or SYMBOLS)]
    given = StreamSettings(**{"url": server.url, **settings})
    return FinnhubStream(instruments, Secret(key), Tenfold(), given, random.Random(1), bound=bound)


Story = Callable[[FinnhubServer, FinnhubStream, Desk], Coroutine[Any, Any, None]]


def run(story: Story, prepare: Callable[[FinnhubServer], None] = lambda _: None, **settings: Any) -> None:
    """The story of a stream that is being read."""

    async def whole() -> None:
        async with serving() as server:
            prepare(server)
            desk = Desk()
            async with stream_of(server, **settings) as stream:
                reader = asyncio.create_task(desk.read(stream))
                try:
                    await story(server, stream, desk)
                finally:
                    reader.cancel()
            assert server.most_open <= 1

    asyncio.run(whole())


def test_prints_come_as_they_were_sent_and_each_symbol_was_asked_for() -> None:
    async def story(server: FinnhubServer, stream: FinnhubStream, desk: Desk) -> None:
        client = await server.client()
        await client.ping()
        ms = time.time_ns() // 1_000_000
        await client.send(
            trades(trade("TSLA", 122.1, ms, 79), trade("BINANCE:BTCUSDT", 95372.09, ms + 1, 0.00063, c=None))
        )
        await desk.until(lambda d: len(d.prices) == 2)
        assert client.asked == list(SYMBOLS)
        prints = next(item for item in desk.items if isinstance(item, Prints))
        assert prints.instrument.tolist() == [1, 2]
        assert prints.size.tolist() == [79.0, 0.00063]
        assert prints.ts_event.tolist() == [ms * 1_000_000, (ms + 1) * 1_000_000]
        assert desk.kinds == ["connected"]
        assert stream.protocol.counters.pings == 1

    run(story)


async def _end_mid_frame(client: Any) -> None:
    await client.drop_mid_frame(trades(*(trade("AAPL", 7.0) for _ in range(5))))


async def _end_abruptly(client: Any) -> None:
    client.drop()


async def _end_properly(client: Any) -> None:
    await client.close(1001)


@pytest.mark.parametrize("end", [_end_mid_frame, _end_abruptly, _end_properly])
def test_connection_that_ends_is_a_gap_and_prices_go_on_after_it(
    end: Callable[[Any], Coroutine[Any, Any, None]],
) -> None:
    async def story(server: FinnhubServer, stream: FinnhubStream, desk: Desk) -> None:
        client = await server.client()
        await asyncio.sleep(0.3)  # not contested: 3 s
        await client.send(trades(trade("AAPL", 1.0)))
        await desk.until(lambda d: d.prices == [1.0])
        before = stream._clock.now_ns()
        await end(client)
        again = await server.client()
        await desk.until(lambda d: len(d.gaps) == 2)
        await again.send(trades(trade("AAPL", 2.0)))
        await desk.until(lambda d: len(d.prices) == 2)
        assert desk.prices == [1.0, 2.0]  # nothing of the frame that was cut
        assert desk.kinds == ["connected", "disconnected", "connected"]
        opened, ended = desk.gaps
        assert (opened.until, ended.since, ended.instruments) == (None, opened.since, (0, 1, 2))
        assert opened.since <= before
        assert ended.until is not None
        assert 0.8 * SECOND < ended.until - before < 20 * SECOND  # the first wait is 0.8 to 1.2 s
        assert again.asked == list(SYMBOLS)

    run(story)


def test_connection_that_hangs_is_ended_by_us_before_the_next_is_made() -> None:
    async def story(server: FinnhubServer, stream: FinnhubStream, desk: Desk) -> None:
        client = await server.client()
        for _ in range(4):
            await asyncio.sleep(0.25)
            await client.ping()  # each 2.5 s, of 5
        assert desk.kinds == ["connected"]
        await asyncio.wait_for(client.wait_closed(), 5)
        again = await server.client()
        await again.send(trades(trade("AAPL", 2.0)))
        await desk.until(lambda d: d.prices == [2.0])
        assert desk.kinds == ["connected", "hung", "connected"]
        assert len(desk.gaps) == 2

    run(story, no_frames_s=5.0)


def test_pings_alone_do_not_keep_a_connection_on_an_open_market() -> None:
    async def story(server: FinnhubServer, stream: FinnhubStream, desk: Desk) -> None:
        client = await server.client()
        with suppress(ConnectionClosed):  # by the one who does not get any prices
            while True:
                await client.ping()
                await asyncio.sleep(0.02)
        await desk.until(lambda d: bool(d.gaps))
        assert desk.kinds == ["connected", "hung"]
        assert "no print came for 3 s" in desk.gaps[0].why
        assert stream.protocol.counters.pings > 5

    run(story, no_prices_s=3.0)


def test_nonsense_is_counted_and_told_and_the_connection_stays() -> None:
    async def story(server: FinnhubServer, stream: FinnhubStream, desk: Desk) -> None:
        client = await server.client()
        now = time.time_ns() // 1_000_000
        nonsense: list[str | bytes] = [
            "{broken",
            "",
            b"\xff\xfe\xfd",  # no text
            "[" * 5000,
            '{"type":"trade","data":7}',
            '{"type":"novel"}',
            trades(trade("AAPL", float("nan")), trade("AAPL", -5.0), trade("AAPL", "5"), trade("MSFT", 5.0)),
            trades(
                trade("AAPL", 5.0, now + 3_600_000 * 24), trade("AAPL", 5.0, 0), trade("AAPL", 5.0, size=-1)
            ),
            "x" * 10_000_000,
        ]
        for said in nonsense:
            await client.send(said)
        await client.send(trades(trade("AAPL", 1.0)))
        await desk.until(lambda d: d.prices == [1.0])
        c = stream.protocol.counters
        assert (c.not_json, c.misshapen, c.unknown_type, c.too_large) == (4, 1, 1, 1)
        assert (c.bad_price, c.wrong_fields, c.unknown_symbol) == (2, 1, 1)
        assert (c.future, c.old, c.bad_size, c.prints, c.frames) == (1, 1, 1, 1, 10)
        assert desk.kinds == ["connected"] + 10 * ["junk"]  # one each of the ten kinds
        assert server.connections == 1

    run(story)


def test_frame_that_is_too_large_for_memory_ends_the_connection() -> None:
    async def story(server: FinnhubServer, stream: FinnhubStream, desk: Desk) -> None:
        client = await server.client()
        await asyncio.sleep(0.3)
        await client.send("x" * ((16 << 20) + 1))
        again = await server.client()
        await again.send(trades(trade("AAPL", 1.0)))
        await desk.until(lambda d: d.prices == [1.0])
        assert desk.kinds == ["connected", "disconnected", "connected"]
        assert "1009" in desk.gaps[0].why

    run(story)


@pytest.mark.parametrize("bound", [2, 64])
def test_flood_comes_whole_and_in_order_also_to_a_slow_reader(bound: int) -> None:
    async def whole() -> None:
        async with serving() as server, stream_of(server, bound=bound) as stream:
            client = await server.client()
            rng, sent = random.Random(5), 0.0

            async def flood() -> None:
                nonlocal sent
                for _ in range(800):
                    frame = []
                    for _ in range(rng.randint(1, 50)):
                        sent += 1
                        frame.append(trade(rng.choice(SYMBOLS), sent))
                    await client.send(trades(*frame))

            sending = asyncio.create_task(flood())
            desk = Desk()
            async for item in stream:
                desk.items.append(item)
                if bound == 2 and len(desk.items) % 50 == 0:
                    await asyncio.sleep(0.01)
                if sending.done() and stream.protocol.counters.prints == sent and not stream.depth:
                    break
            assert desk.prices == [float(i) for i in range(1, int(sent) + 1)]
            assert desk.kinds == ["connected"]

    asyncio.run(whole())


def test_flood_from_another_process_comes_whole_though_the_reader_rests_and_memory_is_bounded() -> None:
    async def whole() -> None:
        with flooding(rate=20_000, symbols=50, seconds=3.0) as flood:
            instruments = [Listed(f"S{i:02d}", i, ALWAYS) for i in range(50)]
            settings = StreamSettings(url=f"ws://127.0.0.1:{flood.port}")
            desk = Desk()
            async with FinnhubStream(instruments, Secret(KEY), SystemClock(), settings) as stream:
                counters = stream.protocol.counters
                while counters.prints < 5000:
                    desk.items.append(await anext(stream))
                await asyncio.sleep(1.2)  # some 900 frames come meanwhile
                read = len(desk.items)
                assert stream.depth == 64
                # those that were read, those in the queue, and one that waits for room
                assert counters.frames <= read + 64 + 1
                reader = asyncio.create_task(desk.read(stream))
                await desk.until(lambda d: counters.pings > 0)  # which comes behind the last print
                await desk.until(lambda d: stream.depth == 0)
                reader.cancel()
            report = flood.end()
            assert report["seconds"] == pytest.approx(3, abs=0.1)
            assert report["prints"] == pytest.approx(60_000, rel=0.01)
            assert len(desk.prices) == counters.prints == report["prints"]
            sizes = [item.size.sum() for item in desk.items if isinstance(item, Prints)]
            assert sum(sizes) == report["volume"]
            assert desk.kinds == ["connected"]
            assert report["connections"] == 1

    asyncio.run(whole())


def test_prints_out_of_order_and_repeated_are_counted_and_what_is_too_late_is_dropped() -> None:
    async def story(server: FinnhubServer, stream: FinnhubStream, desk: Desk) -> None:
        client = await server.client()
        now = time.time_ns() // 1_000_000
        one = trades(
            trade("AAPL", 1.0, now), trade("AAPL", 2.0, now - 9_000), trade("AAPL", 3.0, now - 11_000)
        )
        await client.send(one)
        await client.send(one)
        await client.send(trades(trade("AAPL", 4.0, now - 10_000), trade("TSLA", 5.0, now - 60_000)))
        await desk.until(lambda d: 5.0 in d.prices)
        assert desk.prices == [1.0, 2.0, 1.0, 2.0, 4.0, 5.0]
        c = stream.protocol.counters
        assert (c.late, c.repeated, c.prints) == (2, 1, 6)
        assert desk.kinds == ["connected"]

    run(story)


def test_other_symbols_are_asked_for_while_it_runs() -> None:
    async def story(server: FinnhubServer, stream: FinnhubStream, desk: Desk) -> None:
        client = await server.client()
        await desk.until(lambda d: d.kinds == ["connected"])
        await stream.watch([Listed("AAPL", 0, ALWAYS), Listed("MSFT", 3, ALWAYS)])
        await client.send(trades(trade("MSFT", 1.0), trade("TSLA", 2.0)))
        await desk.until(lambda d: d.prices == [1.0])
        assert client.asked == ["AAPL", "MSFT"]
        assert desk.kinds == ["connected", "watching"]
        client.drop()
        again = await server.client()
        await desk.until(lambda d: d.kinds[-1] == "connected")
        assert again.asked == ["AAPL", "MSFT"]
        assert {gap.instruments for gap in desk.gaps} == {(0, 3)}

    run(story)


@pytest.mark.parametrize("step_s", [-3600, 3600])
def test_step_of_the_wall_clock_neither_ends_the_connection_nor_refuses_prints(
    step_s: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(server: FinnhubServer, stream: FinnhubStream, desk: Desk) -> None:
        client = await server.client()
        await client.send(trades(trade("AAPL", 1.0)))
        await desk.until(lambda d: d.prices == [1.0])
        now, before = time.time_ns, stream._clock.now_ns()
        monkeypatch.setattr(time, "time_ns", lambda: now() + step_s * SECOND)
        await client.send(trades(trade("AAPL", 2.0, now() // 1_000_000)))  # the venue's clock was right
        await desk.until(lambda d: d.prices == [1.0, 2.0])
        await client.ping()
        await desk.until(lambda d: stream.protocol.counters.pings == 1)
        assert 0 <= stream._clock.now_ns() - before < 100 * SECOND
        assert desk.kinds == ["connected"]
        assert stream.counters.hung == stream.protocol.counters.future == stream.protocol.counters.old == 0

    run(story, no_frames_s=60.0, no_prices_s=60.0)


def test_token_that_is_refused_at_the_start_is_a_clear_error() -> None:
    async def whole() -> None:
        async with serving() as server, stream_of(server, key="sk-other-secret") as stream:
            async for _ in stream:
                raise AssertionError("nothing comes")

    with pytest.raises(FeedError, match=r"^Finnhub does not accept the token \(HTTP 401\); check") as raised:
        asyncio.run(whole())
    assert "sk-other-secret" not in repr(raised.value.__cause__) + repr(raised.value.__context__)


def test_handshake_that_fails_otherwise_is_tried_again_and_told_apart() -> None:
    def prepare(server: FinnhubServer) -> None:
        server.handshakes = [
            Reply("", 524),
            Reply("", 429, {"Retry-After": "4"}),
            Reply("", 200),
        ]

    async def story(server: FinnhubServer, stream: FinnhubStream, desk: Desk) -> None:
        began = stream._clock.now_ns()
        await server.client()
        await desk.until(lambda d: "connected" in d.kinds)
        assert desk.kinds == ["unreachable", "limited", "unreachable", "connected"]
        # 0.8 to 1.2 s, 4 s as was asked for, 3.2 to 4.8 s
        assert stream._clock.now_ns() - began > 8 * SECOND
        assert [gap.until is None for gap in desk.gaps] == [True, False]
        assert "HTTP 524" in desk.gaps[0].why

    run(story, prepare)


def test_token_that_is_refused_after_a_connection_is_tried_again() -> None:
    async def story(server: FinnhubServer, stream: FinnhubStream, desk: Desk) -> None:
        client = await server.client()
        await asyncio.sleep(0.3)
        server.keys = {"another"}
        client.drop()
        await desk.until(lambda d: "refused" in d.kinds)
        server.keys = {KEY}
        await server.client()
        await desk.until(lambda d: d.kinds[-1] == "connected")
        assert set(desk.kinds[2:-1]) == {"refused"}

    run(story)


def test_second_connection_with_the_same_token_ends_both_and_is_told_from_a_refusal() -> None:
    async def whole() -> None:
        async with serving() as server:
            desk = Desk()
            async with stream_of(server) as stream:
                reader = asyncio.create_task(desk.read(stream))
                for _ in range(2):  # the other program insists
                    await server.client()
                    async with connect(f"{server.url}?token={KEY}", proxy=None) as other:
                        await other.wait_closed()
                await desk.until(lambda d: d.kinds.count("contested") >= 1)
                assert "refused" not in desk.kinds
                assert any("does another program use the same token?" in gap.why for gap in desk.gaps)
                reader.cancel()

    asyncio.run(whole())


def test_venue_that_is_not_there_is_tried_again() -> None:
    async def whole() -> None:
        async with serving() as server:
            url = server.url
        gone = FinnhubStream(
            [Listed("AAPL", 0, ALWAYS)], Secret(KEY), Tenfold(), StreamSettings(url=url), random.Random(1)
        )
        desk = Desk()
        async with gone:
            reader = asyncio.create_task(desk.read(gone))
            await desk.until(lambda d: len(d.kinds) == 3)
            reader.cancel()
        assert desk.kinds == 3 * ["unreachable"]
        assert len(desk.gaps) == 1

    asyncio.run(whole())


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-no websocket\r\n\r\n"])
def test_venue_that_answers_a_handshake_with_nonsense_is_tried_again(answer: bytes) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async def whole() -> None:
        server = FinnhubServer()
        async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as listening:
            server.port = listening.sockets[0].getsockname()[1]
            desk = Desk()
            async with stream_of(server) as stream:
                reader = asyncio.create_task(desk.read(stream))
                await desk.until(lambda d: len(d.kinds) == 2)
                reader.cancel()
        assert desk.kinds == 2 * ["unreachable"]

    asyncio.run(whole())


def test_more_symbols_than_the_venue_has_room_for_are_told_and_the_others_go_on() -> None:
    def prepare(server: FinnhubServer) -> None:
        server.most_symbols = 2

    async def story(server: FinnhubServer, stream: FinnhubStream, desk: Desk) -> None:
        client = await server.client()
        await desk.until(lambda d: "error" in d.kinds)
        await client.send(trades(trade("AAPL", 1.0)))
        await desk.until(lambda d: d.prices == [1.0])
        told = [item.text for item in desk.items if isinstance(item, Status)]
        assert told[1].startswith(
            "Finnhub says: Subscribing to too many symbols; of the 3 that were asked for"
        )

    run(story, prepare)


def test_quotes_keep_marks_alive_while_the_stream_is_down() -> None:
    def prepare(server: FinnhubServer) -> None:
        server.handshakes = 4 * [Reply("", 503)]  # 1 + 2 + 4 + 8 s of a gap
        server.quotes = {
            "AAPL": [Reply(quote(101.5, 1_700_000_000))],
            "TSLA": [Reply({"error": "API limit reached."}, 429, {"Retry-After": "1"}), Reply(quote(202.5))],
        }

    async def whole() -> None:
        async with serving() as server:
            prepare(server)
            stream = stream_of(server)
            rest = RestQuotes(Secret(KEY), f"http://127.0.0.1:{server.port}/api/v1")
            quotes = FinnhubQuotes(stream._listed, stream.down, rest, Limiter(stream._clock), stream._clock)
            desk = Desk()
            async with Merged([stream, quotes], stream._clock, 0.0) as merged:
                reader = asyncio.create_task(desk.read(merged))
                client = await server.client()
                await desk.until(lambda d: "connected" in d.kinds)
                await client.send(trades(trade("AAPL", 102.0)))
                await desk.until(lambda d: d.prices == [102.0])
                reader.cancel()
            rest.close()
            assert desk.quotes == [Quote(0, 1_700_000_000 * SECOND, 101.5)]
            assert quotes.counters.limited == 1
            assert {key for _, _, key in server.rest} == {KEY}
            assert all(path.endswith("/quote") for path, _, _ in server.rest)
            assert all("token" not in query for _, query, _ in server.rest)
            # the quote comes within the gap
            order = [type(item).__name__ for item in desk.items if isinstance(item, Gap | Quote | Prints)]
            assert order == ["Gap", "Quote", "Gap", "Prints"]

    asyncio.run(whole())


def test_symbol_that_the_venue_does_not_know_has_no_quote() -> None:
    async def whole() -> None:
        async with serving() as server:
            server.quotes = {"TSLA": [Reply(quote(202.5, 1_700_000_000))]}
            clock, down, desk = Tenfold(), asyncio.Event(), Desk()
            down.set()
            instruments = [Listed("NONE", 0, ALWAYS), Listed("TSLA", 1, ALWAYS)]
            rest = RestQuotes(Secret(KEY), f"http://127.0.0.1:{server.port}/api/v1")
            async with FinnhubQuotes(instruments, down, rest, Limiter(clock), clock) as feed:
                reader = asyncio.create_task(desk.read(feed))
                await desk.until(lambda d: len(d.items) == 2)
                reader.cancel()
            rest.close()
            assert desk.quotes == [Quote(1, 1_700_000_000 * SECOND, 202.5)]
            assert [item.text for item in desk.items if isinstance(item, Status)] == [
                "NONE: Finnhub has no quote of this symbol"
            ]

    asyncio.run(whole())


def test_token_is_in_no_log_item_or_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("websockets").setLevel(logging.DEBUG)
    secret = "sk-very-secret"

    async def whole() -> None:
        asyncio.get_running_loop().set_debug(True)
        async with serving() as server:
            server.keys = {secret}
            server.handshakes = [Reply(f"who is {secret}?", 503)]
            desk = Desk()
            async with stream_of(server, key=secret) as stream:
                reader = asyncio.create_task(desk.read(stream))
                client = await server.client()
                await client.error(f"bad token {secret}")
                await client.send(json.dumps({"type": secret}))
                await desk.until(lambda d: d.kinds[-2:] == ["error", "junk"])
                await client.connection.close(4000, secret)
                await desk.until(lambda d: len(d.gaps) >= 3)
                reader.cancel()
            assert secret not in repr(desk.items)
            assert secret not in repr(vars(stream))

    asyncio.run(whole())
    assert secret not in caplog.text
