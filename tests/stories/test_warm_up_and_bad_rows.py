"""History that only warms up, and rows that are never used."""

import math
from typing import Any

import numpy as np
import pytest

from engine.engine import Engine, EngineError
from engine.policies import Policy
from engine.records import TICK_DTYPES, RowKind, Side, Ticks
from tests.builders import MINUTE, make_bars, make_ticks, order, read, timer_at
from tests.stories.desk import closed_bars, filled, make_world, opened, row

HOLD: dict[str, Any] = {"policy": Policy.BUY_AND_HOLD, "features": ("sma_3",), "size_value": 10.0}


def flat(*prices: float) -> Ticks:
    return make_bars([(p, p, p, p) for p in prices])


def test_strategy_decides_when_its_features_exist() -> None:
    engine = make_world(strategy=HOLD)
    # three closes at the end of the third minute, 180 s; the fourth bar opens at 103
    events = read(engine.process(flat(100, 101, 102, 103, 104)))
    assert filled(events) == [(1, 10, 103.0)]
    assert events[0]["ts"] == 3 * MINUTE


def test_no_decision_before_trade_from() -> None:
    engine = make_world(strategy=HOLD, engine={"trade_from": 4 * MINUTE})
    events = read(engine.process(flat(100, 101, 102, 103, 104, 105)))
    # bars close at 60, 120, 180 and 240 s: the last of them is the first to decide on, and the average is there
    assert filled(events) == [(1, 10, 104.0)]


def test_decision_at_trade_from_itself_counts_and_one_before_does_not() -> None:
    just_after = make_world(strategy=HOLD, engine={"trade_from": 3 * MINUTE + 1})
    assert filled(read(just_after.process(flat(100, 101, 102, 103, 104)))) == [(1, 10, 104.0)]


def test_equity_is_recorded_from_trade_from_on() -> None:
    engine = make_world(strategy=HOLD, engine={"trade_from": 2 * MINUTE})
    equity = engine.process(flat(100, 101, 102, 103)).equity
    assert equity["ts"].tolist() == [2 * MINUTE, 3 * MINUTE]


def test_warm_up_fills_bars_and_features() -> None:
    engine = make_world(strategy=HOLD, engine={"trade_from": 100 * MINUTE})
    engine.process(flat(100, 101, 102, 103))
    assert [b[4] for b in closed_bars(engine)] == [100, 101, 102]
    assert engine.state.features[0].value == 101.0  # (100 + 101 + 102) / 3
    assert engine.state.accounts[0].orders == 0


class Listener:
    """A strategy that writes down what it is asked, and sets a timer at the start."""

    wants = 1 | 32  # bars and timers

    def __init__(self) -> None:
        self.heard: list[tuple[str, int]] = []
        self.engine: Engine | None = None

    def start(self, engine: Engine, strategy: int) -> None:
        self.engine = engine
        engine.set_timer(strategy, 7, at=MINUTE // 2, every=MINUTE)

    def bar(self, slot: int) -> None:
        assert self.engine
        self.heard.append(("bar", self.engine.now))

    def action(self, event: int) -> None: ...

    def timer(self, timer_id: int) -> None:
        assert self.engine
        self.heard.append((f"timer {timer_id}", self.engine.now))

    def bars(self, _: int) -> None: ...
    def tick(self, slot: int) -> None: ...
    def fill(self, event: int) -> None: ...
    def order(self, event: int) -> None: ...
    def stop(self) -> None: ...
    def save(self) -> Any: ...
    def load(self, state: Any) -> None: ...


def test_strategy_in_python_is_asked_nothing_before_trade_from() -> None:
    listener = Listener()
    spec = make_world(engine={"trade_from": 2 * MINUTE}, strategy={"wants": listener.wants}).spec
    engine = Engine(spec, {"s": listener})
    engine.start()
    engine.process(flat(100, 101, 102))
    half = MINUTE // 2
    # bars at 120 s; timers at 150 s (those of 30 s and 90 s fall into the warm-up)
    assert listener.heard == [("bar", 2 * MINUTE), ("timer 7", 2 * MINUTE + half)]


def test_bar_is_decided_on_before_a_timer_of_the_same_time() -> None:
    listener = Listener()
    engine = Engine(make_world(strategy={"wants": listener.wants}).spec, {"s": listener})
    engine.set_timer(0, 1, at=MINUTE)
    listener.engine = engine
    engine.process(flat(100, 101))
    assert listener.heard == [("bar", MINUTE), ("timer 1", MINUTE)]


def test_timer_that_time_jumps_over_fires_once_and_keeps_its_step() -> None:
    listener = Listener()
    engine = Engine(make_world(strategy={"wants": listener.wants}).spec, {"s": listener})
    engine.start()  # at 30 s, then every minute
    engine.process(timer_at(MINUTE // 2))
    assert listener.heard == [("timer 7", MINUTE // 2)]
    assert engine.next_due() == MINUTE + MINUTE // 2


# -- bad rows ----------------------------------------------------------------------------------------------------------

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("price", "size", "instrument"),
    [
        (NAN, 1.0, 0),
        (INF, 1.0, 0),
        (-INF, 1.0, 0),
        (-1.0, 1.0, 0),
        (0.0, 1.0, 0),
        (50.0, NAN, 0),
        (50.0, INF, 0),
        (50.0, -1.0, 0),
        (50.0, 1.0, 1),  # there is one instrument
        (50.0, 1.0, -1),
        (50.0, 1.0, 2_000_000_000),
    ],
)
@pytest.mark.parametrize("working", [False, True])
def test_bad_row_is_counted_and_never_used(price: float, size: float, instrument: int, working: bool) -> None:
    def play(
        *rows: tuple[float, ...],
    ) -> tuple[list[tuple[int, int, float]], list[tuple[float, ...]], Engine]:
        engine = make_world()
        engine.process(make_ticks([(1, 100.0)]))
        if working:
            order(engine, Side.BUY, 1)
            order(engine, Side.BUY, 1, limit=60.0)
        events = read(engine.process(make_ticks([*rows, (3, 101.0), (MINUTE, 102.0)])))
        return filled(events), closed_bars(engine), engine

    fills, bars, engine = play((2, price, size, instrument))
    without = play()
    assert (fills, bars) == without[:2]
    assert engine.state.clock[0].bad_rows == 1
    assert engine.state.instruments[0].price == 102.0
    assert engine.state.clock[0].seq == without[2].state.clock[0].seq + 1


def test_row_of_an_unknown_kind_is_a_bad_row() -> None:
    engine = opened(100.0)
    first = order(engine, Side.BUY, 1)
    columns = (2, 2, 0, 101.0, 1.0, 9)
    events = engine.process(Ticks(*(np.array([v], d) for v, d in zip(columns, TICK_DTYPES, strict=True))))
    assert (filled(read(events))[:1], engine.state.clock[0].bad_rows) == ([], 1)
    assert engine.cancel(first)


def test_bad_row_moves_the_time_all_the_same() -> None:
    engine = make_world()
    engine.process(make_ticks([(1, 100.0), (MINUTE, NAN)]))
    assert engine.now == MINUTE
    assert len(closed_bars(engine)) == 1


@pytest.mark.parametrize(
    ("column", "wrong"),
    [
        ("price", np.ones(3)),
        ("price", np.ones(2, np.float32)),
        ("ts_recv", np.zeros(2)),
        ("flags", np.zeros(2, np.int64)),
        ("size", np.ones(4)[::2]),  # every other number of a longer array
    ],
)
def test_columns_of_another_type_length_or_layout_are_refused(
    column: str, wrong: np.ndarray[Any, Any]
) -> None:
    engine = opened(100.0)
    ticks = make_ticks([(1, 100.0), (2, 100.0)])._replace(**{column: wrong})
    with pytest.raises(EngineError, match="column"):
        engine.process(ticks)


def test_read_only_columns_are_taken() -> None:
    engine = opened(100.0)
    ticks = make_ticks([(1, 105.0)])
    for column in ticks:
        column.flags.writeable = False
    engine.process(ticks)
    assert engine.state.instruments[0].price == 105.0


def test_row_kind_without_a_price_before_it_is_taken_as_a_jump() -> None:
    engine = make_world()
    assert row(engine, 100.0, kind=RowKind.EXTREME) == []
    assert engine.state.instruments[0].price == 100.0
