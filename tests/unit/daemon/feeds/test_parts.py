"""The small parts of feeds: waits that grow, the limiter, a hidden token, the clock, the queue."""

import asyncio
import json
import pickle
import random
import time
import traceback

import pytest

from daemon.feeds.backoff import Backoff
from daemon.feeds.clock import FeedClock, SystemClock
from daemon.feeds.items import Item, Status, StatusKind
from daemon.feeds.limiter import Limiter
from daemon.feeds.queued import QueuedFeed
from daemon.feeds.secret import Secret
from engine.records import SECOND
from tests.unit.daemon.feeds.doubles import FakeClock, JumpClock, Script, settle


class Middle(random.Random):
    """Always draws the middle."""

    def random(self) -> float:
        return 0.5


def test_waits_double_from_a_second_to_a_minute_and_begin_again_after_a_reset() -> None:
    backoff = Backoff(Middle())
    assert [round(backoff.next(), 9) for _ in range(9)] == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    backoff.reset()
    assert round(backoff.next(), 9) == 1


def test_waits_differ_by_chance_by_up_to_a_fifth() -> None:
    rng = random.Random(3)
    firsts = [Backoff(rng).next() for _ in range(2000)]
    assert 0.8 <= min(firsts) < 0.82
    assert 1.18 < max(firsts) <= 1.2


def test_limiter_lets_sixty_pass_in_any_minute_and_thirty_in_any_second() -> None:
    clock = JumpClock()
    passed: list[int] = []

    async def story() -> None:
        limiter = Limiter(clock)
        for i in range(300):
            await limiter.take()
            passed.append(clock.now_ns())
            if i == 150:
                await clock.sleep(200)  # saves up
        assert limiter.counters.passed == 300

    asyncio.run(story())
    for span, most in ((60 * SECOND, 60), (SECOND, 30)):
        assert max(sum(t <= u < t + span for u in passed) for t in passed) <= most
    # and no slower than it must be: 20 at once, then 40 a minute; 200 s are 133, of which 20 are kept
    assert (passed[150] - passed[0]) / 60 / SECOND == pytest.approx((151 - 20) / 40, rel=0.01)


def test_limiter_lets_nothing_pass_while_it_is_held_and_keeps_the_order() -> None:
    clock = FakeClock()
    order: list[int] = []

    async def story() -> None:
        limiter = Limiter(clock)

        async def ask(i: int) -> None:
            await limiter.take()
            order.append(i)

        limiter.hold(30.0)
        limiter.hold(5.0)  # a shorter wish does not shorten
        async with asyncio.TaskGroup() as tasks:
            for i in range(5):
                tasks.create_task(ask(i))
            await clock.advance(29.9)
            assert order == []
            await clock.advance(0.2)
        assert limiter.counters.held == 2
        assert limiter.counters.waited_ns == 5 * 30 * SECOND

    asyncio.run(story())
    assert order == [0, 1, 2, 3, 4]


def test_limiter_lets_nobody_overtake_one_that_waits() -> None:
    clock = FakeClock()

    async def story() -> None:
        limiter = Limiter(clock)
        for _ in range(20):
            await limiter.take()
        first = asyncio.create_task(limiter.take())
        await clock.advance(1.5005)  # there is room since 1.5 s, and the first looks at 1.501 s
        second = asyncio.create_task(limiter.take())
        await settle()
        assert not second.done()
        await clock.advance(0.001)
        assert (first.done(), second.done()) == (True, False)
        await clock.advance(2)
        assert second.done()

    asyncio.run(story())


def test_limiter_holds_those_that_wait_already() -> None:
    clock = FakeClock()

    async def story() -> None:
        limiter = Limiter(clock)
        for _ in range(20):
            await limiter.take()
        waiting = asyncio.create_task(limiter.take())  # for 1.5 s
        await settle()
        limiter.hold(60.0)
        await clock.advance(59)
        assert not waiting.done()
        await clock.advance(2)
        assert waiting.done()

    asyncio.run(story())


def test_limiter_is_held_for_an_hour_at_most() -> None:
    clock = JumpClock()

    async def story() -> None:
        limiter = Limiter(clock)
        limiter.hold(1e12)
        await limiter.take()

    asyncio.run(story())
    assert clock.slept == [3600.0]


def test_secret_shows_itself_only_where_it_is_asked_to() -> None:
    secret = Secret("hunter2")
    assert secret.reveal() == "hunter2"
    shown = [repr(secret), str(secret), f"{secret}", "%s" % secret, repr([secret])]  # noqa: UP031
    try:
        raise ValueError(secret)
    except ValueError:
        shown.append(traceback.format_exc().replace('Secret("hunter2")', ""))
    assert not any("hunter2" in text for text in shown)
    with pytest.raises(TypeError):
        json.dumps(secret)
    assert not hasattr(secret, "__dict__")
    assert pickle.loads(pickle.dumps(secret)).reveal() == "hunter2"  # a worker process may need it


def test_text_from_outside_is_cleaned_of_the_token_and_of_line_breaks_and_cut() -> None:
    secret = Secret("hunter2")
    assert secret.clean("no hunter2\nhere\x1b[31m") == "no (the token) here [31m"
    assert secret.clean("x" * 999, 10) == "x" * 7 + "..."
    assert Secret("").clean("abc") == "abc"


def test_clock_tells_the_wall_clocks_time_and_a_step_of_that_does_not_move_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = SystemClock()
    assert abs(clock.now_ns() - time.time_ns()) < SECOND
    before = clock.now_ns()
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    assert 0 <= clock.now_ns() - before < 10 * SECOND
    monkeypatch.setattr(time, "time_ns", lambda: 2**62)
    assert 0 <= clock.now_ns() - before < 10 * SECOND


def test_clock_of_a_feed_tells_the_latest_time_it_was_told_and_waits_in_real_time() -> None:
    clock = FeedClock(5)
    assert clock.now_ns() == 5
    for told, now in ((9, 9), (7, 9), (10**18, 10**18)):
        clock.advance(told)
        assert clock.now_ns() == now
    began = time.monotonic()
    asyncio.run(clock.sleep(0.05))
    assert 0.05 <= time.monotonic() - began < 5
    assert clock.now_ns() == 10**18


def status(n: int) -> Status:
    return Status(StatusKind.ERROR, n, "")


async def read(feed: QueuedFeed) -> list[Item]:
    return [item async for item in feed]


def test_feed_gives_its_items_in_order_and_ends() -> None:
    async def story() -> None:
        async with Script(*map(status, range(5)), bound=2) as feed:
            feed.let(5)
            assert await read(feed) == [status(i) for i in range(5)]
            assert await read(feed) == []  # and stays ended

    asyncio.run(story())


def test_slow_reader_makes_the_feed_wait() -> None:
    async def story() -> None:
        async with Script(*map(status, range(9)), bound=3) as feed:
            feed.let(9)
            await settle()
            assert feed.depth == 3
            assert feed.go._value == 5  # the fourth waits for room
            assert len(await read(feed)) == 9

    asyncio.run(story())


@pytest.mark.parametrize("bound", [1, 2, 64])
def test_error_of_a_feed_reaches_the_reader_after_the_items_before_it(bound: int) -> None:
    seen = []

    async def story() -> None:
        async with Script(status(0), status(1), ValueError("broken"), bound=bound) as feed:
            feed.let(3)
            async for item in feed:
                seen.append(item)  # noqa: PERF401 # a comprehension would keep nothing where the reading is cut off

    with pytest.raises(ValueError, match="broken"):
        asyncio.run(story())
    assert seen == [status(0), status(1)]


def test_error_of_a_feed_that_nobody_read_is_raised_at_the_end_of_the_block() -> None:
    async def story() -> None:
        async with Script(ValueError("broken")) as feed:
            feed.let()
            await settle()

    with pytest.raises(ValueError, match="broken"):
        asyncio.run(story())


def test_error_of_the_reader_is_not_hidden_by_one_of_the_feed() -> None:
    async def story() -> None:
        async with Script(ValueError("broken")) as feed:
            feed.let()
            await settle()
            raise KeyError

    with pytest.raises(KeyError):
        asyncio.run(story())


def test_leaving_the_block_ends_the_feeds_task() -> None:
    async def story() -> None:
        async with Script(status(0)) as feed:
            pass
        assert [t for t in asyncio.all_tasks() if t is not asyncio.current_task()] == []
        assert await read(feed) == []

    asyncio.run(story())


def test_feed_is_read_within_its_block_and_once() -> None:
    async def story() -> None:
        feed = Script()
        with pytest.raises(RuntimeError, match="within its `async with`"):
            await anext(feed)
        async with feed:
            pass
        with pytest.raises(RuntimeError, match="made for one pass"):
            async with feed:
                pass

    asyncio.run(story())
