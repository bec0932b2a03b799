"""One target by itself: what it takes, how it paces, what it does where nothing goes through."""

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

import pytest
from structlog.testing import capture_logs

from daemon.config.notify import Event, TelegramTarget
from daemon.notify.digest import Message
from daemon.notify.errors import Undelivered
from daemon.notify.target import ATTEMPTS, Target
from daemon.notify.telling import Line, Told
from engine.records import SECOND
from tests.unit.daemon.feeds.doubles import FakeClock, settle


class FakeSender:
    """Takes a message, or raises the next of its faults. `now`: the clock's seconds at each attempt."""

    def __init__(self, clock: FakeClock, *faults: Exception) -> None:
        self.clock = clock
        self.faults = list(faults)
        self.taken: list[Message] = []
        self.tried: list[Message] = []
        self.now: list[float] = []
        self.hangs = False
        self.closed = False
        self._began = clock.now_ns()

    async def send(self, message: Message) -> None:
        self.now.append((self.clock.now_ns() - self._began) / SECOND)
        self.tried.append(message)
        if self.hangs:
            await asyncio.Event().wait()
        if self.faults:
            raise self.faults.pop(0)
        self.taken.append(message)

    async def close(self) -> None:
        self.closed = True


class Mean(random.Random):
    """No jitter: always the middle."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


class Bench:
    """A target that runs, with the clock that moves it."""

    def __init__(self, *faults: Exception, every: str = "10s", **config: Any) -> None:
        self.clock = FakeClock()
        self.sender = FakeSender(self.clock, *faults)
        given = TelegramTarget.model_validate({"target": "telegram", "chat": 1, "every": every, **config})
        self.target = Target(given, "t", self.sender, "demo", self.clock, Mean())
        self.task = asyncio.create_task(self.target.run())

    def tell(self, event: Any = "fills", n: int = 1, account: str = "a", level: Any = None) -> None:
        line = Line(event, self.clock.now_ns(), "x", account, level)
        self.target.offer(Told(event, account, n, lambda _: line))

    @property
    def counts(self) -> list[dict[Event, int]]:
        return [dict(m.counts) for m in self.sender.taken]


def run(story: Coroutine[Any, Any, None]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(20):
            await story

    asyncio.run(limited())


def test_first_message_goes_at_once_and_what_follows_is_gathered() -> None:
    async def story() -> None:
        bench = Bench()
        bench.tell()
        await settle()
        assert bench.counts == [{"fills": 1}]
        for _ in range(9):
            bench.tell()
            await bench.clock.advance(1)
        assert len(bench.counts) == 1
        await bench.clock.advance(1)
        assert bench.counts == [{"fills": 1}, {"fills": 9}]
        await bench.clock.advance(60)
        bench.tell()
        await settle()
        assert bench.counts[2:] == [{"fills": 1}]
        assert bench.target.figures.sent == 3
        assert bench.sender.now == [0, 10, 70]
        bench.task.cancel()

    run(story())


def test_target_is_told_what_its_events_accounts_and_level_say() -> None:
    async def story() -> None:
        bench = Bench(events=["fills", "notices", "gaps"], accounts=["a"], level="warning")
        bench.tell("denials")
        bench.tell("fills", account="b")
        bench.tell("notices", account="", level="info")
        await settle()
        assert bench.sender.tried == []
        bench.tell("fills", account="a")
        bench.tell("notices", account="", level="warning")
        bench.tell("gaps", account="")
        await settle()
        assert bench.counts == [{"fills": 1, "gaps": 1, "notices": 1}]
        bench.task.cancel()

    run(story())


def test_message_that_is_not_taken_is_tried_again_with_growing_waits() -> None:
    async def story() -> None:
        bench = Bench(*[Undelivered("no route")] * 3)
        with capture_logs() as logged:
            bench.tell(n=2)
            await bench.clock.advance(8)
        # at once, then after 1, 2 and 4 s
        assert bench.sender.now == [0, 1, 3, 7]
        assert bench.counts == [{"fills": 2}]
        assert len({m.id for m in bench.sender.tried}) == 1
        assert (bench.target.figures.failed, bench.target.figures.dropped) == (3, 0)
        assert [(entry["event"], entry["why"]) for entry in logged] == [("notification delayed", "no route")]
        bench.task.cancel()

    run(story())


def test_message_that_is_never_taken_is_dropped_counted_and_logged_and_the_next_one_goes() -> None:
    async def story() -> None:
        bench = Bench(*[Undelivered("no route")] * ATTEMPTS)
        with capture_logs() as logged:
            bench.tell(n=30)
            await settle()
            assert bench.target.figures.waiting == 30
            bench.tell("halts")
            assert bench.target.figures.waiting == 31
            await bench.clock.advance(15)
        # 1 + 2 + 4 + 8 s of waits
        assert bench.sender.now == [0, 1, 3, 7, 15]
        assert (bench.target.figures.dropped, bench.target.figures.waiting) == (30, 1)
        dropped = {"event": "notification dropped", "log_level": "error", "target": "t", "what": "demo: 30 fills", "why": "no route"}  # fmt: skip
        assert logged[-1] == dropped
        await bench.clock.advance(10)
        assert bench.counts == [{"halts": 1}]
        assert bench.target.figures.waiting == 0
        bench.task.cancel()

    run(story())


def test_wait_that_the_other_side_asks_for_is_kept_up_to_five_minutes() -> None:
    async def story() -> None:
        bench = Bench(Undelivered("slow down", after_s=40), Undelivered("slow down", after_s=1e6))
        bench.tell()
        await bench.clock.advance(400)
        assert bench.sender.now == [0, 40, 340]
        assert bench.counts == [{"fills": 1}]
        bench.task.cancel()

    run(story())


def test_refusal_that_is_final_is_not_tried_again() -> None:
    async def story() -> None:
        bench = Bench(Undelivered("HTTP 401", final=True))
        with capture_logs() as logged:
            bench.tell(n=3)
            await bench.clock.advance(100)
        assert bench.sender.now == [0]
        assert bench.target.figures.dropped == 3
        assert [entry["event"] for entry in logged] == ["notification dropped"]
        bench.tell()
        await settle()
        assert bench.counts == [{"fills": 1}]
        bench.task.cancel()

    run(story())


def test_fault_of_our_own_drops_the_message_and_not_the_target() -> None:
    async def story() -> None:
        bench = Bench(ZeroDivisionError("secret"))
        with capture_logs() as logged:
            bench.tell()
            await bench.clock.advance(11)
        assert logged[0]["why"] == "ZeroDivisionError while sending"
        assert "secret" not in str(logged)
        bench.tell()
        await settle()
        assert bench.counts == [{"fills": 1}]
        bench.task.cancel()

    run(story())


def test_end_delivers_what_waits_without_its_pause_and_closes() -> None:
    async def story() -> None:
        bench = Bench(every="1h")
        bench.tell()
        await settle()
        bench.tell("halts")
        await settle()
        bench.target.end()
        await settle()
        assert bench.counts == [{"fills": 1}, {"halts": 1}]
        assert bench.task.done()
        assert bench.sender.closed

    run(story())


def test_end_does_not_wait_out_a_long_retry() -> None:
    async def story() -> None:
        bench = Bench(Undelivered("slow down", after_s=200), Undelivered("no"))
        bench.tell()
        await settle()
        bench.target.end()
        await settle()
        assert bench.sender.now == [0, 0]
        await bench.clock.advance(1)
        assert bench.counts == [{"fills": 1}]
        assert bench.task.done()

    run(story())


def test_target_that_is_cut_off_counts_all_that_it_could_not_deliver() -> None:
    async def story() -> None:
        bench = Bench()
        bench.sender.hangs = True
        bench.tell(n=5)
        await settle()
        bench.tell(n=2)
        with capture_logs() as logged:
            bench.task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await bench.task
        assert bench.target.figures.dropped == 7
        assert [entry["what"] for entry in logged] == ["demo: 5 fills", "demo: 2 fills"]
        assert bench.sender.closed

    run(story())


def test_offering_never_waits_and_holds_a_bounded_number_of_lines() -> None:
    async def story() -> None:
        bench = Bench()
        bench.sender.hangs = True
        bench.tell()
        await settle()
        for _ in range(10_000):
            bench.tell(n=50)
        bench.sender.hangs = False
        assert bench.target.figures.waiting == 500_001
        bench.target.end()
        bench.task.cancel()
        await asyncio.gather(bench.task, return_exceptions=True)
        assert bench.target.figures.dropped == 500_001

    run(story())
