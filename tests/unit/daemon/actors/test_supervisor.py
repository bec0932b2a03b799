"""Actors of a live session: bars in, signals out; lost, back, refused, too slow; nobody waits for them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from daemon.actors.metrics import ActorsCollector
from daemon.actors.supervisor import MOST_UNSENT, ActorFacts, Supervisor
from daemon.actors.waiting import Waiting
from daemon.config.actors import ActorConfig
from daemon.live.messages import Notice
from daemon.store.batch import CLOSED_BAR
from strategies import Bar
from tests.builders import MINUTE, join, make_bars, timer_at
from tests.unit.daemon.actors.cast import Buyer
from tests.unit.daemon.actors.stage import config, make_world
from tests.unit.daemon.feeds.doubles import FakeClock, settle, until

Array = np.ndarray[Any, Any]


def bars(*closes: float, first: int = 0, instrument: int = 0, timeframe: int = MINUTE) -> Array:
    """Bars of those closes, one after the other, the first starting at minute `first`."""
    rows = [
        (0, instrument, timeframe, (first + i) * MINUTE, (first + i + 1) * MINUTE, c, c, c, c, 1.0, 1)
        for i, c in enumerate(closes)
    ]
    return np.array(rows, CLOSED_BAR)


class Stage:
    """A supervisor with what it submitted and told."""

    def __init__(
        self, configs: Sequence[ActorConfig], names: Sequence[str] = ("A", "B"), **given: Any
    ) -> None:
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.told: list[Notice] = []
        self.clock = FakeClock()
        self.open = asyncio.Event()  # the inbox takes something
        self.open.set()
        self.supervisor = Supervisor(
            configs, names, self.submit, self.told.append, self.clock, random.Random(1), seed=7, **given
        )

    async def submit(self, kind: str, content: dict[str, Any]) -> None:
        await self.open.wait()
        self.sent.append((kind, content))

    def values(self, actor: str = "x") -> list[float]:
        return [c["value"] for kind, c in self.sent if kind == "signal" and c["actor"] == actor]

    def news(self) -> list[tuple[str, str]]:
        return [(c["actor"], c["event"]) for kind, c in self.sent if kind == "actor"]

    def facts(self, name: str = "x") -> ActorFacts:
        return next(f for f in self.supervisor.facts() if f.name == name)


@asynccontextmanager
async def running(*configs: ActorConfig) -> AsyncIterator[Stage]:
    stage = Stage(configs)
    async with stage.supervisor:
        await settle()
        yield stage


def play(story: Callable[[], Any]) -> None:
    asyncio.run(story())


def odd(what: str, at: int = 0, **given: Any) -> ActorConfig:
    return config("Odd", params={"what": what, "at": at}, **given)


def test_bar_is_answered_by_a_signal_for_the_inbox() -> None:
    async def story() -> None:
        async with running(config("Echo")) as stage:
            stage.supervisor.hear(bars(10.0, first=4))
            await settle()
            ((kind, content),) = stage.sent
            data = content.pop("data")
            assert kind == "signal"
            assert content == {
                "actor": "x", "instrument": "A", "ts": 5 * MINUTE, "until": 6 * MINUTE, "value": 10.0,
                "low": None, "high": None,
            }  # fmt: skip
            assert data["told"] == 0
            facts = stage.facts()
            assert (facts.state, facts.starts, facts.heard, facts.signals, facts.lost) == (
                "ready",
                1,
                1,
                1,
                0,
            )

    play(story)


def test_actor_hears_bars_of_its_instruments_and_its_timeframe_only() -> None:
    async def story() -> None:
        async with running(config("Echo"), config("Echo", "y", instruments=["A", "B"])) as stage:
            stage.supervisor.hear(
                np.concatenate(
                    [bars(1.0), bars(2.0, instrument=1), bars(3.0, timeframe=5 * MINUTE), bars(4.0, first=1)]
                )
            )
            await settle()
            assert (stage.values("x"), stage.values("y")) == ([1.0, 4.0], [1.0, 2.0, 4.0])

    play(story)


def test_signal_may_come_later_of_itself() -> None:
    async def story() -> None:
        async with running(odd("late")) as stage:
            stage.supervisor.hear(bars(10.0))
            await settle()
            assert stage.values() == [10.0]
            await until(lambda: len(stage.sent) == 2)
            assert (stage.values(), stage.sent[1][1]["ts"]) == ([10.0, -1.0], MINUTE)

    play(story)


def test_actor_that_raises_is_lost_then_back_with_its_last_bars_and_others_go_on() -> None:
    async def story() -> None:
        async with running(odd("raise", 1), config("Echo", "y")) as stage:
            stage.supervisor.hear(bars(1.0, 2.0, 3.0))
            await settle()
            assert (stage.values("x"), stage.values("y")) == ([1.0], [1.0, 2.0, 3.0])
            assert stage.news() == [("x", "lost")]
            assert stage.facts().state == "lost"
            assert "ValueError: bad luck" in stage.facts().why
            (notice,) = stage.told
            assert (notice.level, notice.kind) == ("error", "actor")
            assert "bad luck" in notice.text
            stage.supervisor.hear(bars(4.0, first=3))
            await stage.clock.advance(0.79)  # it waits 1 s, more or less by a fifth
            assert stage.news() == [("x", "lost")]
            await stage.clock.advance(0.42)
            assert stage.news() == [("x", "lost"), ("x", "back")]
            assert stage.told[1].level == "info"
            # bars 1 to 4 were told at its start, so that the next is its fifth: it is asked about no bar twice
            stage.supervisor.hear(bars(5.0, first=4))
            await settle()
            assert stage.values("x") == [1.0, 5.0]
            facts = stage.facts()
            assert (facts.starts, facts.lost, facts.why) == (2, 1, "")

    play(story)


def test_actor_that_never_starts_waits_longer_each_time_and_is_lost_once() -> None:
    async def story() -> None:
        async with running(odd("raise at start")) as stage:
            began, seen = [0.0], 1
            for step in range(1, 400):
                await stage.clock.advance(0.05)
                if stage.facts().starts > seen:
                    seen += 1
                    began.append(step * 0.05)
            waits = np.diff(began)[:4]
            # 1, 2, 4 and 8 s, more or less by a fifth, as steps of 0.05 s see it
            assert np.all(np.abs(waits / [1, 2, 4, 8] - 1) < 0.26)
            assert stage.news() == [("x", "lost")]
            assert len(stage.told) == 1  # the same trouble is told once

    play(story)


@pytest.mark.parametrize("what", ["hang", "hang and hold on", "cancel", "exit"])
def test_actor_that_hangs_or_ends_itself_is_lost(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.actors.hosts.ENDING_S", 0.05)

    async def story() -> None:
        async with running(odd(what, timeout="50ms")) as stage:
            stage.supervisor.hear(bars(1.0))
            await until(lambda: bool(stage.news()))
            assert stage.news() == [("x", "lost")]
            await stage.clock.advance(1.21)
            await until(lambda: len(stage.news()) == 2)
            stage.supervisor.hear(bars(2.0, first=1))
            await until(lambda: bool(stage.values()))
            assert stage.values() == [2.0]

    play(story)


def test_session_stops_while_an_actor_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.actors.hosts.ENDING_S", 0.05)

    async def story() -> None:
        async with asyncio.timeout(5):
            async with running(odd("hang and hold on")) as stage:
                stage.supervisor.hear(bars(1.0))
                await settle()
                assert stage.facts().state == "busy"

    play(story)


def test_bars_that_find_no_room_push_the_oldest_out() -> None:
    async def story() -> None:
        async with running(odd("hang", queue=2)) as stage:
            stage.supervisor.hear(bars(0.0))
            await settle()  # it is busy with the first
            stage.supervisor.hear(bars(1.0, 2.0, 3.0, 4.0, first=1))
            facts = stage.facts()
            assert (facts.state, facts.depth, facts.dropped) == ("busy", 2, 2)

    play(story)


def test_signal_that_cannot_be_used_is_refused_counted_and_told_once() -> None:
    async def story() -> None:
        async with running(odd("nan", 0), odd("nan", 1, name="y")) as stage:
            stage.supervisor.hear(bars(1.0, 2.0))
            await settle()
            assert (stage.values("x"), stage.values("y")) == ([2.0], [1.0])
            assert (stage.facts("x").refused, stage.facts("y").refused) == (1, 1)
            assert [n.level for n in stage.told] == ["warning", "warning"]
            assert "a signal of actor 'x' was refused: its value is nan" in stage.told[0].text

    play(story)


def test_actor_that_holds_up_the_event_loop_is_told_of() -> None:
    async def story() -> None:
        async with running(odd("block")) as stage:
            stage.supervisor.hear(bars(1.0))
            await settle()
            assert stage.facts().blocked == 1
            assert "held the event loop up for 0.1 s" in stage.told[0].text.replace("0.2", "0.1")
            assert "run: process" in stage.told[0].text

    play(story)


def test_signals_that_the_inbox_does_not_take_are_bounded_and_news_of_actors_are_not_lost() -> None:
    async def story() -> None:
        async with running(config("Echo", queue=10_000), odd("raise", name="y")) as stage:
            stage.open.clear()
            stage.supervisor.hear(bars(0.0))  # one is on its way, y is lost
            await settle()
            for i in range(MOST_UNSENT + 5):
                stage.supervisor.hear(bars(float(i + 1), first=i + 1))
            await until(lambda: stage.facts().signals == MOST_UNSENT + 6)
            assert stage.facts().unsent == 5
            stage.open.set()
            await settle()
            assert stage.values() == [0.0, *(float(i) for i in range(6, MOST_UNSENT + 6))]
            assert ("y", "lost") in stage.news()

    play(story)


def test_actor_is_told_first_what_the_engine_keeps() -> None:
    async def story() -> None:
        engine, _ = make_world(Buyer)
        closes = [(c, c, c, c) for c in (1.0, 2.0, 3.0, 4.0)]
        engine.process(join(make_bars(closes), timer_at(4 * MINUTE)))
        stage = Stage([config("Echo")], ["A"])
        stage.supervisor.warm(engine)
        async with stage.supervisor:
            await settle()
            stage.supervisor.hear(bars(5.0, first=4))
            await settle()
            assert stage.sent[0][1]["data"]["told"] == 3  # its history

    play(story)


def test_actor_that_was_lost_when_the_session_ended_is_back_when_it_has_begun() -> None:
    async def story() -> None:
        stage = Stage([config("Echo"), config("Echo", "y")], lost={"x": "bad luck", "gone": "removed"})
        async with stage.supervisor:
            await settle()
            assert stage.news() == [("x", "back")]
            assert stage.facts().why == ""

    play(story)


@pytest.mark.parametrize(
    ("conflate", "left"),
    [(False, [("A", 3.0), ("A", 4.0)]), (True, [("B", 2.0), ("A", 4.0)])],
    ids=["the oldest go", "of each instrument the newest stays"],
)
def test_bars_that_wait_make_room_for_newer_ones(conflate: bool, left: list[tuple[str, float]]) -> None:
    async def story() -> None:
        waiting = Waiting(2, conflate)
        for name, close in (("A", 1.0), ("B", 2.0), ("A", 3.0), ("A", 4.0)):
            waiting.put(Bar(0, MINUTE, close, close, close, close, 1.0, 1, name))
        assert (len(waiting), waiting.dropped) == (2, 2)
        assert [(b.instrument, b.close) for b in (await waiting.get(), await waiting.get())] == left

    play(story)


def test_facts_are_metrics_by_actor() -> None:
    facts = [
        ActorFacts("x", "busy", "", 1, 0, 5, 2, 3, 4, 1, 0, 6, 77, 2048),
        ActorFacts("y", "lost", "bad luck", 3, 2, 0, 0, 0, 0, 0, 0, 0, None, None),
    ]
    registry = CollectorRegistry()
    registry.register(ActorsCollector(lambda: facts))

    def of(name: str, actor: str) -> float | None:
        return registry.get_sample_value(f"papertape_actor_{name}", {"actor": actor})

    x = {"up": 1, "waiting_bars": 3, "resident_bytes": 2048, "starts_total": 1, "losses_total": 0}
    x |= {"heard_bars_total": 5, "dropped_bars_total": 2, "signals_total": 4, "refused_signals_total": 1}
    x |= {"unsent_signals_total": 0, "blocked_total": 6}
    assert {name: of(name, "x") for name in x} == x
    assert (of("up", "y"), of("losses_total", "y"), of("resident_bytes", "y")) == (0, 2, None)
    names = {sample.name for family in registry.collect() for sample in family.samples}
    assert names == {f"papertape_actor_{name}" for name in x}
