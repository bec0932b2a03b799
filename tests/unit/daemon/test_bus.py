"""The bus: order, overflow, failing observers, closing."""

import asyncio
from dataclasses import dataclass

import pytest

from daemon.bus import Bus, ObserverError, Overflow


@dataclass(frozen=True)
class News:
    number: int


@dataclass(frozen=True)
class Other:
    number: int


class Listener:
    """Collects what it hears; waits at the gate before each message, raises on the one it is told to."""

    def __init__(self, open_: bool = True, raises_on: int | None = None) -> None:
        self.heard: list[int] = []
        self.gate = asyncio.Event()
        self.raises_on = raises_on
        if open_:
            self.gate.set()

    async def __call__(self, news: News | Other) -> None:
        await self.gate.wait()
        if news.number == self.raises_on:
            raise ValueError(f"cannot bear {news.number}")
        self.heard.append(news.number)


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_message_reaches_the_subscribers_of_its_own_class_in_order():
    async def story():
        news, other = Listener(), Listener()
        async with Bus() as bus:
            bus.subscribe(News, news, name="news", overflow=Overflow.BLOCK, bound=2)
            bus.subscribe(Other, other, name="other", overflow=Overflow.BLOCK, bound=2)
            for i in range(5):
                await bus.publish(News(i))
            await bus.publish(Other(7))
        assert (news.heard, other.heard) == ([0, 1, 2, 3, 4], [7])
        assert [s.delivered for s in bus.subscriptions] == [5, 1]

    asyncio.run(story())


def test_publisher_waits_for_a_slow_blocking_subscriber_and_loses_nothing():
    async def story():
        slow = Listener(open_=False)
        async with Bus() as bus:
            place = bus.subscribe(News, slow, name="slow", overflow=Overflow.BLOCK, bound=3)

            async def publish():
                for i in range(10):
                    await bus.publish(News(i))

            publisher = asyncio.create_task(publish())
            await settle()
            # one is being handled, three wait, and the publisher waits with the fifth
            assert (place.depth, publisher.done()) == (3, False)
            slow.gate.set()
            await publisher
        assert slow.heard == list(range(10))
        assert place.dropped == 0

    asyncio.run(story())


def test_drop_oldest_subscriber_gets_the_newest_and_the_rest_is_counted():
    async def story():
        slow = Listener(open_=False)
        async with Bus() as bus:
            place = bus.subscribe(News, slow, name="slow", overflow=Overflow.DROP_OLDEST, bound=3)
            await bus.publish(News(0))
            await settle()  # it is being handled
            for i in range(1, 10):
                await bus.publish(News(i))
            slow.gate.set()
        assert slow.heard == [0, 7, 8, 9]
        assert (place.dropped, place.delivered) == (6, 4)

    asyncio.run(story())


def test_conflating_subscriber_gets_the_newest_only_whatever_its_bound():
    async def story():
        slow = Listener(open_=False)
        async with Bus() as bus:
            place = bus.subscribe(News, slow, name="slow", overflow=Overflow.CONFLATE, bound=100)
            await bus.publish(News(0))
            await settle()
            for i in range(1, 10):
                await bus.publish(News(i))
            assert place.depth == 1
            slow.gate.set()
        assert slow.heard == [0, 9]
        assert place.dropped == 8

    asyncio.run(story())


def test_slow_blocking_subscriber_does_not_keep_messages_from_the_others():
    async def story():
        slow, quick = Listener(open_=False), Listener()
        async with Bus() as bus:
            bus.subscribe(News, slow, name="slow", overflow=Overflow.BLOCK, bound=1)
            bus.subscribe(News, quick, name="quick", overflow=Overflow.DROP_OLDEST, bound=10)

            async def publish():
                for i in range(3):
                    await bus.publish(News(i))

            publisher = asyncio.create_task(publish())
            await settle()
            assert (publisher.done(), quick.heard) == (False, [0, 1, 2])
            slow.gate.set()
            await publisher

    asyncio.run(story())


def test_observer_that_raises_is_taken_off_and_the_others_hear_everything():
    async def story():
        broken, sound = Listener(raises_on=1), Listener()
        async with Bus() as bus:
            # a queue of one: a broken subscriber that still held its place would block the publisher for ever
            place = bus.subscribe(News, broken, name="broken", overflow=Overflow.BLOCK, bound=1)
            bus.subscribe(News, sound, name="sound", overflow=Overflow.BLOCK, bound=1)
            async with asyncio.timeout(5):
                for i in range(10):
                    await bus.publish(News(i))
        assert broken.heard == [0]
        assert sound.heard == list(range(10))
        assert bus.failures == [place]
        assert str(place.error) == "cannot bear 1"

    asyncio.run(story())


def test_publisher_that_waits_for_an_observer_goes_on_when_that_fails():
    async def story():
        late = Listener(open_=False, raises_on=0)
        async with asyncio.timeout(5), Bus() as bus:
            bus.subscribe(News, late, name="late", overflow=Overflow.BLOCK, bound=1)
            asyncio.get_running_loop().call_later(0.01, late.gate.set)
            for i in range(5):
                await bus.publish(News(i))  # the third finds the queue full
        assert late.heard == []

    asyncio.run(story())


def test_failure_of_a_required_subscriber_reaches_the_publisher_with_its_cause():
    async def story():
        async with Bus() as bus:
            bus.subscribe(
                News, Listener(raises_on=2), name="results", overflow=Overflow.BLOCK, bound=1, required=True
            )
            for i in range(100):
                await bus.publish(News(i))
            pytest.fail("the publisher was not told")

    with pytest.raises(ObserverError, match="results failed: cannot bear 2") as caught:
        asyncio.run(story())
    assert isinstance(caught.value.__cause__, ValueError)


def test_failure_on_the_last_message_is_raised_when_the_bus_closes():
    async def story():
        late = Listener(open_=False, raises_on=0)
        async with Bus() as bus:
            bus.subscribe(News, late, name="results", overflow=Overflow.BLOCK, bound=9, required=True)
            await bus.publish(News(0))
            asyncio.get_running_loop().call_later(0.01, late.gate.set)

    with pytest.raises(ObserverError):
        asyncio.run(story())


def test_closing_waits_until_every_message_is_handled():
    async def story():
        slow = Listener(open_=False)
        async with Bus() as bus:
            bus.subscribe(News, slow, name="slow", overflow=Overflow.BLOCK, bound=10)
            for i in range(5):
                await bus.publish(News(i))
            asyncio.get_running_loop().call_later(0.01, slow.gate.set)
        assert slow.heard == [0, 1, 2, 3, 4]

    asyncio.run(story())


def test_error_in_the_block_passes_as_it_is_and_ends_the_subscribers():
    async def story():
        stuck = Listener(open_=False)
        async with asyncio.timeout(5), Bus() as bus:
            bus.subscribe(News, stuck, name="stuck", overflow=Overflow.BLOCK, bound=10)
            await bus.publish(News(0))
            raise KeyError("feed")

    with pytest.raises(KeyError, match="feed"):
        asyncio.run(story())


def test_cancelled_publisher_leaves_no_task_behind():
    async def story():
        stuck = Listener(open_=False)

        async def publish():
            async with Bus() as bus:
                bus.subscribe(News, stuck, name="stuck", overflow=Overflow.BLOCK, bound=1)
                while True:
                    await bus.publish(News(0))

        publisher = asyncio.create_task(publish())
        await settle()
        publisher.cancel()
        with pytest.raises(asyncio.CancelledError):
            await publisher
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(story())


def test_publisher_that_never_waits_can_still_be_cancelled():
    async def story():
        async def publish():
            async with Bus() as bus:
                while True:
                    await bus.publish(News(0))  # nobody listens

        publisher = asyncio.create_task(publish())
        await settle()
        publisher.cancel()
        with pytest.raises(asyncio.CancelledError):
            await publisher

    asyncio.run(story())


def test_queue_without_a_place_is_refused():
    async def story():
        async with Bus() as bus:
            bus.subscribe(News, Listener(), name="none", overflow=Overflow.BLOCK, bound=0)

    with pytest.raises(ValueError, match="'none': a queue must hold at least one message"):
        asyncio.run(story())
