"""A lane is the engine: what an agent does in it, the engine does with the agent's policy on the same tape."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from engine.engine import Engine
from engine.models import Model, Network, QTable
from engine.records import DAY, EventKind, RowKind, SizeKind, Slippage, Ticks
from engine.spec import AccountSpec, InstrumentSpec, MarginSpec, Sessions
from envs.lanes import Lanes
from envs.normalise import fit_normaliser
from envs.spans import Span
from envs.tapes import Tape
from envs.task import CLASSIC_FEATURES, DEFAULT_FEATURES, Actions, Market, Task
from tests.builders import MINUTE, join, make_bars, make_ticks, stops, timer_at

MARGIN = AccountSpec("a", 50_000.0, margin=MarginSpec(leverage=3.0, maintenance=0.3, borrow_rate=0.05))
CASH = AccountSpec("a", 50_000.0)
STOPPED = AccountSpec("a", 50_000.0, limits=stops(drawdown=0.03, flatten=True, max_gross=0.9, resize=True))


def prices(n: int, seed: int, step: float = 3e-3) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(seed)
    close = np.round(100 * np.exp(np.cumsum(rng.normal(0, step, n))), 2)
    opened = np.round(np.concatenate([[100.0], close[:-1]]) * (1 + rng.normal(0, 5e-4, n)), 2)
    high = np.maximum(opened, close) + np.round(rng.uniform(0, 0.2, n), 2)
    low = np.minimum(opened, close) - np.round(rng.uniform(0, 0.2, n), 2)
    return np.column_stack([opened, high, low, close, rng.integers(50, 500, n)])


def network(tape: Tape, seed: int = 3) -> Network:
    r = np.random.default_rng(seed)
    seen = fit_normaliser([tape], [Span(tape.ready, len(tape))], seed=1)
    sizes = [len(tape.task.features), 16, 16, tape.task.n_outputs]
    weights = tuple(r.normal(0, 1.5 / np.sqrt(a), (b, a)) for a, b in pairwise(sizes))
    return Network(seen.mean, seen.scale, 5.0, weights, tuple(r.normal(0, 0.1, b) for b in sizes[1:]))


def table(tape: Tape, seed: int = 3) -> QTable:
    r = np.random.default_rng(seed)
    n_in = len(tape.task.features)
    edges = tuple(np.sort(r.normal(0, 0.004, 2)) for _ in range(n_in))
    return QTable(edges, r.normal(size=(3**n_in, 3)))


def split_tape() -> Ticks:
    """Two days of minutes around a 4:1 split and a dividend."""
    before, after = prices(700, 1), prices(700, 2) / [4, 4, 4, 4, 1]
    between = 700 * MINUTE
    actions = make_ticks([(between, 4.0, 1.0, 0, RowKind.SPLIT), (between, 0.5, 1.0, 0, RowKind.DIVIDEND)])
    return join(make_bars(before), actions, make_bars(after, first=between))


def trades(seed: int = 5) -> Ticks:
    """Prints at irregular times, several with the same time stamp."""
    r = np.random.default_rng(seed)
    n = 12_000
    ts = np.cumsum(r.integers(0, 3, n)) * 10**9
    price = np.round(50 * np.exp(np.cumsum(r.normal(0, 2e-4, n))), 2)
    return make_ticks(zip(ts.tolist(), price.tolist(), r.integers(1, 100, n).tolist(), strict=True))


SESSIONS = Sessions(
    np.arange(3, dtype=np.int64) * DAY + 9 * 60 * MINUTE,
    np.arange(3, dtype=np.int64) * DAY + 16 * 60 * MINUTE,
)
FEES: dict[str, Any] = {"taker_bps": 7.0, "slippage": Slippage.BPS, "slippage_value": 1.5}
SCENES: dict[str, tuple[Ticks, Market, Task, Callable[[Tape], Model]]] = {
    "network on bars": (
        make_bars(prices(1500, 7)),
        Market(InstrumentSpec("A", **FEES)),
        Task(CASH, MINUTE, DEFAULT_FEATURES),
        network,
    ),
    "classic, units, short, liquidated": (
        make_bars(prices(1500, 8, 8e-3)),
        Market(InstrumentSpec("A", fee_per_unit=0.01, fee_min=1.0)),
        Task(MARGIN, 3 * MINUTE, CLASSIC_FEATURES, Actions(short=True, size_kind=SizeKind.UNITS, size=1400)),
        network,
    ),
    "target exposure, leverage, latency": (
        make_bars(prices(1500, 9)),
        Market(InstrumentSpec("A", lot_size=0.01, latency_ns=90 * 10**9, participation=0.3, **FEES)),
        Task(MARGIN, MINUTE, DEFAULT_FEATURES, Actions(target=True, short=True, size=2.5, threshold=0.1)),
        network,
    ),
    "Q-table across a split": (
        split_tape(),
        Market(InstrumentSpec("A", **FEES)),
        Task(CASH, MINUTE, ("log_return", "sma_gap_20", "exposure", "log_return_5@5m")),
        table,
    ),
    "hard stop, sessions": (
        make_bars(prices(2000, 10, 6e-3)),
        Market(InstrumentSpec("A", calendar="X"), calendars={"X": SESSIONS}),
        Task(STOPPED, MINUTE, ("log_return", "drawdown", "bars_held", "cash_share")),
        network,
    ),
    "trades into bars": (
        trades(),
        Market(InstrumentSpec("A", lot_size=0.1, participation=0.5, **FEES)),
        Task(CASH, MINUTE // 4, ("log_return", "rsi_14", "exposure")),
        network,
    ),
}


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("start_share", [0.0, 0.37, 0.71])
def test_an_episode_gives_the_fills_and_the_equity_of_the_engine_with_the_policy(
    scene: str, start_share: float
) -> None:
    rows, market, task, make_model = SCENES[scene]
    task = Task(
        **{**vars(task), "features": tuple(f.replace("@5m", f"@{5 * MINUTE}") for f in task.features)}
    )
    tape = Tape("A", rows, market, task)
    model = make_model(tape)
    start = tape.ready + int(start_share * (len(tape) - tape.ready))

    lanes = Lanes([tape], 3, seed=1, restarts=False)
    lanes.reset()
    for lane in (0, 1, 2):
        lanes.place(lane, start if lane == 1 else tape.ready + 5)
    state = lanes.state(1)
    fills, equity = [], [(int(state.clock[0].now), int(lanes.batch.lanes[1].equity))]
    holds = np.full(3, 1.0)
    while not (lanes.truncated[1] or lanes.terminated[1]):
        if np.isnan(lanes.observations[1]).any():
            action = 1.0
        else:
            values = model.values(lanes.observations[1:2].astype(np.float64))[0]
            action = values[0] if len(values) == 1 else float(np.argmax(values))
        holds[1] = action
        holds[0] = 1.0 if not task.actions.target else 0.3  # the neighbours do something else
        lanes.step(holds)
        events = state.events[: state.clock[0].n_events]
        fills += [(int(e.ts), int(e.side), int(e.last_lots), float(e.last_px), int(e.last_fee)) for e in events
                  if e.kind == EventKind.FILL]  # fmt: skip
        equity.append((int(state.clock[0].now), int(lanes.batch.lanes[1].equity)))

    strategy = task.strategy("A", task.features, model)
    engine = Engine(market.spec(task, strategy, trade_from=int(tape.times[start])))
    out = engine.process(rows)
    last = engine.process(timer_at(engine.now + 1))
    events = np.concatenate([out.events, last.events])
    events = events[events["kind"] == EventKind.FILL]
    expected = [
        tuple(e[n].item() for n in ("ts", "side", "last_lots", "last_px", "last_fee")) for e in events
    ]
    samples = np.concatenate([out.equity, last.equity])
    if lanes.terminated[1]:
        end = equity[-1][0]
        expected = [e for e in expected if e[0] <= end]
        samples = samples[samples["ts"] <= end]
    assert fills == expected
    assert fills, "the scene must trade"
    assert equity == list(zip(samples["ts"].tolist(), samples["equity"].tolist(), strict=True))


def test_lanes_start_anywhere_and_do_not_hear_of_each_other() -> None:
    rows, market, task, _ = SCENES["network on bars"]
    task = Task(**{**vars(task), "episode_bars": 40})
    tapes = [Tape("A", rows, market, task), Tape("B", make_bars(prices(400, 3)), market, task)]
    lanes = Lanes(tapes, 50, seed=9, spans=[Span(100, 901), Span(30, 400)])
    lanes.reset()
    actions = np.random.default_rng(1).integers(0, 3, (200, 50)).astype(float)
    seen = []
    alone = Lanes(tapes, 1, seed=0, spans=lanes.spans, restarts=False)
    for step in range(200):
        before = lanes.batch.lanes.copy()
        seen.append([(int(r.tape), int(r.start)) for r in before])
        lanes.step(actions[step])
        for lane in np.flatnonzero(lanes.truncated):
            assert before[lane]["steps"] == 39
    starts = np.array([s for row in seen for t, s in row if t == 0])
    assert starts.min() >= 100
    assert starts.max() <= 860
    assert len(np.unique(starts)) > 100
    # lane 7, played again by itself
    tape, start = seen[0][7]
    alone.place(0, start, tape)
    for step in range(40):
        alone.step(actions[step][7:8])
    assert alone.batch.lanes[0].earned == pytest.approx(lanes_return(tapes, lanes.spans, actions, 7), abs=0)


def lanes_return(tapes: Any, spans: Any, actions: Any, lane: int) -> float:
    lanes = Lanes(tapes, 50, seed=9, spans=spans, restarts=False)
    lanes.reset()
    for step in range(40):
        lanes.step(actions[step])
    return float(lanes.batch.lanes[lane].earned)
