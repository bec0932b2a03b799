"""Actors in a backtest: where their answers enter, whatever the batches; what they hear first; how they fail."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from daemon.actors.errors import ActorError, ActorHungError
from engine.records import EventKind
from tests.builders import MINUTE, SECOND, join, make_bars, timer_at
from tests.unit.daemon.actors.cast import Buyer, Direct
from tests.unit.daemon.actors.stage import config, make_world, prints, run

BARS = [
    (10.0, 12.0, 9.0, 11.0),
    (11.5, 13.0, 10.0, 12.0),
    (12.5, 14.0, 11.0, 13.0),
    (13.5, 15.0, 12.0, 14.0),
]
DAY = join(make_bars(BARS), timer_at(len(BARS) * MINUTE))


def filled(events: np.ndarray[Any, Any]) -> list[tuple[int, float]]:
    """(ts, price) of each fill."""
    return [(int(e["ts"]), float(e["last_px"])) for e in events[events["kind"] == EventKind.FILL]]


def test_answer_without_delay_is_heard_at_the_close_and_fills_at_the_next_open() -> None:
    engine, buyer = make_world(Buyer)
    events = run(engine, [config("Echo")], DAY)
    assert [(now, s.ts, s.value, s.instrument, s.actor) for now, s in buyer.heard] == [
        (MINUTE, MINUTE, 11.0, "A", "x"),
        (2 * MINUTE, 2 * MINUTE, 12.0, "A", "x"),
        (3 * MINUTE, 3 * MINUTE, 13.0, "A", "x"),
        (4 * MINUTE, 4 * MINUTE, 14.0, "A", "x"),
    ]
    assert filled(events) == [(MINUTE, 11.5), (2 * MINUTE, 12.5), (3 * MINUTE, 13.5)]


def test_answer_without_delay_gives_the_fills_of_a_strategy_that_decides_on_the_bar() -> None:
    random = np.random.Generator(np.random.PCG64(1))
    close = np.round(100 + np.cumsum(random.normal(0, 1, 40)), 2)
    opens = np.round(close + random.normal(0, 1, 40), 2)
    bars = list(zip(opens, np.maximum(opens, close) + 1, np.minimum(opens, close) - 1, close, strict=True))
    tape = join(make_bars(bars), timer_at(40 * MINUTE))
    slow, _ = make_world(Buyer)
    direct, _ = make_world(Direct)
    through_signals = filled(run(slow, [config("Echo")], tape))
    assert len(through_signals) == 39
    assert through_signals == filled(direct.process(tape).events)
    assert slow.equity("a") == direct.equity("a")


@pytest.mark.parametrize(
    ("delay", "expected"),
    [
        # heard at 1:30, behind the open of its minute: highs and lows fill no market order, the close does
        ("30s", [(2 * MINUTE - 1, 12.0), (3 * MINUTE - 1, 13.0), (4 * MINUTE - 1, 14.0)]),
        # heard at 2:00, behind the close of bar 1 and before the open of bar 2
        ("1m", [(2 * MINUTE, 12.5), (3 * MINUTE, 13.5)]),
        ("90s", [(3 * MINUTE - 1, 13.0), (4 * MINUTE - 1, 14.0)]),
        ("1h", []),
    ],
)
def test_answer_enters_after_its_delay(delay: str, expected: list[tuple[int, float]]) -> None:
    engine, _ = make_world(Buyer)
    assert filled(run(engine, [config("Echo", delay=delay)], DAY)) == expected


def test_all_answers_to_a_bar_enter_in_their_order() -> None:
    engine, buyer = make_world(Buyer)
    run(engine, [config("Several")], join(make_bars(BARS[:1]), timer_at(MINUTE)))
    assert [s[1]._replace(data={}) for s in buyer.heard] == [
        ("A", 1.0, None, None, 2 * MINUTE, {}, MINUTE, "x"),  # emitted before it answered; holds for a bar
        (None, 2.0, None, None, 2 * MINUTE, {}, MINUTE, "x"),
        ("A", 3.0, 2.5, 3.5, MINUTE + 7, {}, MINUTE, "x"),
    ]


def test_actors_are_heard_in_the_order_of_the_configuration_whoever_answers_first() -> None:
    engine, buyer = make_world(Buyer, ("slow", "quick"))
    slow = config("Several", "slow")  # gives the loop away before it answers
    run(engine, [slow, config("Echo", "quick")], join(make_bars(BARS[:1]), timer_at(MINUTE)))
    assert [s.actor for _, s in buyer.heard] == ["slow", "slow", "slow", "quick"]


def test_strategy_hears_only_the_actors_that_it_lists() -> None:
    engine, buyer = make_world(Buyer, ("y",))
    run(engine, [config("Echo", "x"), config("Echo", "y")], DAY)
    assert {s.actor for _, s in buyer.heard} == {"y"}


@pytest.mark.parametrize("grace_ns", [0, SECOND])
def test_cut_of_batches_changes_nothing(grace_ns: int) -> None:
    random = np.random.Generator(np.random.PCG64(5))
    ts = np.sort(np.round(random.uniform(0, 900, 400), 2))
    ts[200:] += 400  # minutes without a row
    rows = zip(ts, ts, random.integers(0, 2, 400), np.round(random.uniform(50, 60, 400), 2), strict=True)
    tape = join(prints(rows), timer_at(1321 * SECOND))
    configs = [
        config("Echo", "x", instruments=["B", "A"], delay="7s"),
        config("Several", "y", instruments=["B"]),
    ]
    results = []
    for batch in (1, 7, 100_000):
        engine, buyer = make_world(Buyer, ("x", "y"), ("A", "B"), grace_ns)
        events = run(engine, configs, tape, batch)
        results.append((engine.state_hash(), events.tobytes(), [(now, s.value) for now, s in buyer.heard]))
    assert results[0] == results[1] == results[2]
    # each bar once: 3 answers to each bar of B, one more to each bar of A and of B
    minutes = {(int(t // 60), int(k)) for t, k in zip(ts, tape.instrument, strict=False)}
    of_b = sum(k for _, k in minutes)
    late = sum(
        ts[-1] // 60 == minute for minute, _ in minutes
    )  # the last bars' answers with delay come too late
    assert len(results[0][2]) == 3 * of_b + len(minutes) - late


def test_random_numbers_are_the_actors_own_and_of_the_runs_seed() -> None:
    drawn = []
    for seed, name in ((7, "x"), (7, "x"), (8, "x"), (7, "z")):
        engine, buyer = make_world(Buyer, (name,))
        run(engine, [config("Echo", name)], DAY, seed=seed)
        drawn.append([s.data["random"] for _, s in buyer.heard])
    assert drawn[0] == drawn[1]
    assert len({tuple(each) for each in drawn}) == 3


@pytest.mark.parametrize(
    ("trade_from", "told", "first"),
    [
        (3 * MINUTE, 2, 3 * MINUTE),  # bars 0 and 1 closed before; bar 2 closes at that moment
        (3 * MINUTE + 1, 3, 4 * MINUTE),
        (5 * MINUTE, 3, 5 * MINUTE),  # four closed before, its history is three
    ],
)
def test_what_closes_before_trading_begins_warms_up(trade_from: int, told: int, first: int) -> None:
    tape = join(make_bars(BARS + BARS), timer_at(8 * MINUTE))
    engine, buyer = make_world(Buyer, trade_from=trade_from)
    run(engine, [config("Echo")], tape)
    assert (buyer.heard[0][0], buyer.heard[0][1].data["told"]) == (first, told)
    direct, _ = make_world(Direct, trade_from=trade_from)
    orders = direct.process(tape).events
    assert first == orders["ts"].min()  # as the engine asks its own strategies


def test_bars_that_nobody_ticks_past_before_trading_begins_still_warm_up() -> None:
    # bars 0 and 1, then nothing until minute 10: bar 1 is closed by time alone, before trading begins at 5
    late = make_bars(BARS[2:], first=10 * MINUTE)
    engine, buyer = make_world(Buyer, trade_from=5 * MINUTE)
    run(engine, [config("Echo")], join(make_bars(BARS[:2]), late, timer_at(12 * MINUTE)))
    assert [(s.ts, s.data["told"]) for _, s in buyer.heard] == [(11 * MINUTE, 2), (12 * MINUTE, 2)]


@pytest.mark.parametrize(
    ("what", "error", "message"),
    [
        ("raise", ActorError, r"actor 'x' on the bar of A: ValueError: bad luck \(.*cast\.py:\d+\)"),
        ("raise at start", ActorError, "actor 'x' when it began: ValueError: no model"),
        ("hang", ActorHungError, r"has not answered for 0\.05 s on the bar of A"),
        ("cancel", ActorError, "actor 'x' cancelled itself on the bar of A"),
        ("exit", ActorError, "it called sys.exit"),
        ("number", ActorError, r"actor 'x' gave 1\.5; give a strategies\.Signal"),
        ("nan", ActorError, "cannot be used: its value is nan; it must be finite"),
    ],
)
def test_actor_that_fails_ends_the_backtest_and_says_why(
    what: str, error: type[Exception], message: str
) -> None:
    engine, _ = make_world(Buyer)
    with pytest.raises(error, match=message):
        run(engine, [config("Echo", "y"), config("Odd", params={"what": what}, timeout="50ms")], DAY)


def test_signal_that_answers_no_bar_ends_the_backtest() -> None:
    engine, _ = make_world(Buyer, trade_from=2 * MINUTE)
    with pytest.raises(ActorError, match="it was not asked; a backtest hears answers to bars only"):
        run(engine, [config("Odd", params={"what": "early"})], DAY)


def test_signal_before_the_first_bar_has_no_time() -> None:
    engine, _ = make_world(Buyer)
    with pytest.raises(ActorError, match="it came before the first bar"):
        run(engine, [config("Odd", params={"what": "early at start"})], DAY)
