"""Bars read from the engine's rings: each once, none lost, however late prints are and however the tape is cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from daemon.live.bars import BarsLostError, Closing, closed_bars, counts, last_bars, next_close
from engine.engine import Engine
from engine.records import NEVER, BarKind, Ticks
from engine.spec import AccountSpec, EngineSpec, InstrumentSpec, StrategySpec
from tests.builders import MINUTE, SECOND, cut, join, make_bars, timer_at
from tests.unit.daemon.actors.stage import prints


def make_engine(grace_ns: int = 0, history: int = 2) -> Engine:
    """Bars of 10 s and of a minute of A and of B, and bars of A by ticks."""
    strategies = [
        StrategySpec("s", "a", ("A", "B"), 10 * SECOND, history=history, also=(MINUTE,)),
        StrategySpec("t", "a", ("A",), 0, bar_kind=BarKind.TICKS, bar_size=3.0),
    ]
    spec = EngineSpec(
        (InstrumentSpec("A"), InstrumentSpec("B")), (AccountSpec("a", 1e6),), tuple(strategies), grace_ns
    )
    return Engine(spec)


def read(engine: Engine, tape: Ticks, batch: int) -> list[tuple[Any, ...]]:
    """All bars that closed, in batches of so many rows."""
    found, closing = [], Closing(engine)
    for i in range(0, len(tape.price), batch):
        for _, closed in closing.process(cut(tape, i, i + batch)):
            found += closed.tolist()
    return found


def late_tape(seed: int, delay_s: float) -> Ticks:
    """Prints of A and B that come up to so late, out of order, with stretches of silence."""
    random = np.random.Generator(np.random.PCG64(seed))
    event = np.sort(random.uniform(0, 400, 600))
    event[300:] += 150
    came = event + random.uniform(0, delay_s, 600)
    order = np.argsort(came, kind="stable")
    price = np.round(random.uniform(10, 20, 600), 2)
    rows = zip(event[order], came[order], random.integers(0, 2, 600), price, strict=True)
    return join(prints(rows), timer_at(1000 * SECOND))


def grouped(tape: Ticks, length: int) -> list[tuple[Any, ...]]:
    """Instrument, start, open, high, low, close, count of the bars of a tape without late rows, by their end."""
    bars: dict[tuple[int, int], list[float]] = {}
    for ts, k, price in zip(tape.ts_event, tape.instrument, tape.price, strict=True):
        if price:
            bars.setdefault((int(ts) // length * length, int(k)), []).append(float(price))
    return [(k, at, p[0], max(p), min(p), p[-1], len(p)) for (at, k), p in sorted(bars.items())]


@pytest.mark.parametrize("batch", [1, 7, 10_000])
def test_bars_are_those_that_the_prints_make(batch: int) -> None:
    tape = late_tape(3, 0.0)
    found = read(make_engine(), tape, batch)
    for length in (10 * SECOND, MINUTE):
        mine = [
            (k, start, o, h, low, c, n) for _, k, tf, start, _, o, h, low, c, _, n in found if tf == length
        ]
        assert mine == grouped(tape, length)
    assert all(row[4] - row[3] == row[2] and row[9] == row[10] for row in found)  # end - start; volume = rows


@pytest.mark.parametrize(("delay_s", "grace_s"), [(3.0, 5.0), (25.0, 5.0), (25.0, 0.0), (90.0, 12.0)])
def test_late_prints_lose_no_bar(delay_s: float, grace_s: float) -> None:
    tape = late_tape(4, delay_s)
    roomy = make_engine(round(grace_s * SECOND), history=1000)
    since = counts(roomy)
    roomy.process(tape)  # in one piece: its rings hold all bars
    expected = closed_bars(roomy, since).tolist()
    assert len(expected) > 50
    for batch in (1, 5, 10_000):
        found = read(make_engine(round(grace_s * SECOND)), tape, batch)
        assert sorted(found) == sorted(expected)


def test_batch_in_which_no_bar_closes_is_taken_as_one() -> None:
    engine = make_engine(SECOND)
    engine.process(prints([(0.5, 0.5, 0, 10.0)]))
    within = prints([(1, 1, 0, 10.0), (5, 5, 1, 11.0), (10, 10.99, 0, 12.0)])
    closing = Closing(engine)
    assert len(list(closing.process(within))) == 1
    beyond = prints([(10.5, 10.995, 0, 10.0), (12, 12, 1, 11.0)])  # the bar to 10 s closes at 11
    assert [len(bars) for _, bars in closing.process(beyond)] == [0, 2]


def test_row_that_closes_two_bars_is_taken_apart_from_one_that_closes_a_third() -> None:
    engine = make_engine(grace_ns=2 * SECOND)
    engine.process(
        prints([(5, 5, 0, 10.0), (11, 11, 0, 11.0)])
    )  # the bar to 20 s is open beside that to 10 s
    # at 25 s both are over, and a third opens, which is over at 40 s; two are kept
    found = [
        bars["end"].tolist()
        for _, bars in Closing(engine).process(prints([(25, 25, 0, 12.0), (40, 40, 0, 13.0)]))
    ]
    assert found == [[10 * SECOND, 20 * SECOND], [30 * SECOND]]


def test_prints_long_after_their_time_close_a_bar_each_and_none_is_lost() -> None:
    engine = make_engine(grace_ns=2 * SECOND)
    # the first is of B, of now; those of A behind it are of bars that are over as soon as they open
    late = prints(
        [(49, 49, 1, 9.0), (2, 50, 0, 1.0), (12, 51, 0, 2.0), (22, 51.5, 0, 3.0), (32, 51.9, 0, 4.0)]
    )
    found = np.concatenate([bars for _, bars in Closing(engine).process(late)])
    assert [(int(b["end"]) // SECOND, float(b["close"])) for b in found] == [(10, 1.0), (20, 2.0), (30, 3.0)]


def test_restored_engine_is_read_on() -> None:
    engine = make_engine()
    closing = Closing(engine)
    engine.process(prints([(t, t, 0, 10.0 + t) for t in (0, 9)]))
    snapshot = engine.snapshot()
    for _ in range(2):
        found = [bars.tolist() for _, bars in closing.process(prints([(11, 11, 0, 30.0)]))]
        assert [[(row[3], row[8]) for row in bars] for bars in found] == [[(0, 19.0)]]
        engine.restore(snapshot)


def test_uncut_batch_that_closes_more_bars_than_are_kept_is_an_error() -> None:
    engine = make_engine()
    since = counts(engine)
    engine.process(prints([(t, t, 0, 10.0) for t in (0, 10, 20, 30)]))  # three bars of 10 s
    with pytest.raises(BarsLostError, match="3 bars of A closed in one piece, 2 are kept"):
        closed_bars(engine, since)


def test_last_bars_are_those_of_the_timeframe_and_the_instruments() -> None:
    engine = make_engine(history=4)
    bars = [(p, p, p, p) for p in (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)]
    of_a, of_b = make_bars(bars, 10 * SECOND), make_bars(bars[:2], 10 * SECOND, instrument=1)
    tape = join(of_a, of_b)
    order = np.argsort(tape.ts_event, kind="stable")
    engine.process(join(Ticks(*(column[order] for column in tape)), timer_at(MINUTE)))
    both = last_bars(engine, 3, 10 * SECOND, np.array([0, 1]))
    assert [(int(b["instrument"]), float(b["close"])) for b in both] == [
        (1, 1.0), (1, 2.0), (0, 4.0), (0, 5.0), (0, 6.0)
    ]  # fmt: skip
    assert len(last_bars(engine, 100, 10 * SECOND, np.array([0]))) == 4  # as many as are kept
    assert len(last_bars(engine, 100, SECOND, np.array([0]))) == 0


def test_next_close_is_of_what_is_open_or_would_be_opened() -> None:
    engine = make_engine(grace_ns=2 * SECOND)
    # nothing is open: a row of 25 s would open a bar of A or B to 30 s
    assert next_close(engine, 25 * SECOND) == 32 * SECOND
    engine.process(prints([(25, 25, 0, 10.0)]))
    # A is open to 30 s; B is not, and a row of 27 s would open one to 30 s, a row of 31 s one to 40 s
    assert next_close(engine, 31 * SECOND) == 32 * SECOND
    of_b = np.flatnonzero(engine.state.series["instrument"] == 1)
    assert next_close(engine, 31 * SECOND, of_b) == 42 * SECOND
    assert next_close(engine, 31 * SECOND, of_b[:0]) == NEVER
