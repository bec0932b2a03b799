"""Tapes prepared for lanes: when their bars close, the features at each, and checkpoints from which episodes begin.

What does not depend on the agent is computed once a tape, by the engine itself: it plays the tape with the task's
features and is stopped at each bar; then with a fresh account and no features, and its state is kept now and then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from engine.build import begin_clocks, build, no_ticks
from engine.features import parse_feature
from engine.kernel import kernel
from engine.models import Array
from engine.records import N_METHODS, NEVER, NO_TIME, Outcome, RowKind, State, Ticks
from engine.spec import accrues
from engine.table import TABLE_LENGTH, fill_table, fill_ticks
from envs.errors import TaskError
from envs.task import Market, Task

RETURN = "log_return"
BARS_BETWEEN = 64  # bars from one checkpoint to the next
VARYING = (
    "clock",
    "instruments",
    "series",
    "bars",
    "features",
    "strategies",
    "slots",
    "holdings",
    "accounts",
    "risk",
    "histories",
    "windows",
    "scenarios",
    "volatilities",
)
PRISTINE = (
    "denied", "order_times", "timers", "orders", "portfolios", "limits", "forecasts", "frozen", "hits", "positions",
)  # fmt: skip
SCRATCH = (
    "wish", "terms", "taken", "observation", "activations", "events", "equity", "grades", "observations", "calls",
    "gauges", "trials", "pnl", "trial", "tail", "var_weights", "cvar_weights", "factor", "members",
)  # fmt: skip
SHARED = ("observed", "weights", "subscribers", "sessions", "normals")
ORDERS = 64  # places of a lane's pool
EVENTS = 160  # places of its outboxes: what one bar can cause


class Tape:
    """One instrument's rows, played for a task.

    rows: Ticks of the one instrument, index 0, in order of time, corporate actions among them; columns: name -> (bars,)
    float64, features that the task names among its `columns`. Raises TaskError where no bar closes, or the features are
    never complete.

    times: (bars,) int64, when each bar closes. returns: (bars,) float64, the log return to each close from the one before, over
    splits and dividends, NaN at the first. features: (bars, k) float64, those
    of `task.series_features`, NaN where an indicator has not seen enough. ready: the first bar at which all are there.
    """

    def __init__(
        self, name: str, rows: Ticks, market: Market, task: Task, columns: Mapping[str, Array] | None = None
    ) -> None:
        self.name = name
        self.market = market
        self.task = task
        self.rows = _with_end(rows)
        given = tuple(f for f in task.series_features if f not in task.columns)
        played = (*given, *(() if RETURN in given else (RETURN,)))
        self.times, features, self._row_of = _played(self.rows, market, task, played)
        self.returns = np.ascontiguousarray(features[:, played.index(RETURN)])
        if len(self.times) < 2:
            raise TaskError(f"{name}: {len(self.times)} bars close on its tape; an agent needs more")
        brought = dict(columns or {})
        for column in task.columns:
            if column not in brought or len(brought[column]) != len(self.times):
                raise TaskError(
                    f"{name}: the column {column!r} must come with the tape, with {len(self.times)} values"
                )
        values = {**dict(zip(played, features.T, strict=True)), **brought}
        self.features = np.ascontiguousarray(
            np.column_stack([np.zeros((len(self.times), 0)), *(values[f] for f in task.series_features)])
        )
        complete = np.all(np.isfinite(self.features), axis=1)
        if not complete.any():
            raise TaskError(
                f"{name}: with {len(self.times)} bars the features are never complete; "
                "take shorter windows, or more data"
            )
        self.ready = int(np.argmax(complete))
        if not complete[self.ready :].all():
            gap = self.ready + int(np.argmin(complete[self.ready :]))
            raise TaskError(
                f"{name}: bar {gap} lacks a feature, though bars before it have all; leave that feature out"
            )

    def __len__(self) -> int:
        return len(self.times)

    def state(self, events: int) -> State:
        """A lane before its first row, with room for so many events of a bar."""
        spec = self.market.spec(self.task, self.task.strategy(self.market.instrument.name), trade_from=NEVER)
        state = lane_state(build(_asked(spec)), events)
        begin_clocks(state, int(self.rows.ts_recv[0]), accrues(self.task.account))
        return state

    @cached_property
    def checkpoints(self) -> list[tuple[dict[str, Array], int, int]]:
        """A fresh account's state now and then, not to be changed: (varying arrays, rows taken, bars closed)."""
        state = self.state(EVENTS)
        machine = _Machine(state)
        first = 0
        kept = []
        for end in [0, *(int(r) for r in self._row_of[::BARS_BETWEEN])]:
            if end > first:
                machine.play(self.rows, first, end)
                first = end
            arrays = {name: np.array(getattr(state, name)) for name in VARYING}
            kept.append((arrays, first, int(state.series[0].bars)))
        return kept


def lane_state(state: State, events: int) -> State:
    """The same state with pools and outboxes of the size that a lane has."""
    from engine.build import chain_free, records
    from engine.records import RECORD_TYPES

    types = RECORD_TYPES
    orders = records(ORDERS, types.orders)
    chain_free(orders, 0)
    state.clock[0].free_order, state.clock[0].free_orders = 0, ORDERS
    return state._replace(
        orders=orders,
        events=records(events, types.events),
        equity=records(8, types.equity),
        grades=records(2 * N_METHODS, types.grades),
        observations=np.zeros(events * len(state.observation)),
        calls=records(events, types.calls),
    )


def _asked(spec: Any) -> Any:
    """The spec, whose strategies want to be asked at each bar."""
    from engine.records import Wants

    return replace(spec, strategies=tuple(replace(s, wants=int(Wants.BAR)) for s in spec.strategies))


class _Machine:
    """A state and the engine's entry."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._kernel = kernel()
        self._table = np.zeros(TABLE_LENGTH, np.int64)
        # a field's view is set some ten times as fast as an attribute of a record
        self._counts = [
            state.clock[f"n_{name}"] for name in ("events", "equity", "grades", "observations", "calls")
        ]
        fill_table(self._table, state, no_ticks())

    def bind(self, rows: Ticks) -> Any:
        self.rows = rows
        self.state.clock[0].row = 0
        if not self._kernel.compiled:
            return self.state, rows
        fill_ticks(self._table, rows)
        return self._table.ctypes.data

    def play(self, rows: Ticks, first: int, end: int) -> None:
        at = self.bind(Ticks(*(c[first:end] for c in rows)))
        while (outcome := self._kernel.run(at)) != Outcome.DONE:
            if outcome != Outcome.ROOM:
                raise TaskError(f"the engine stopped with {Outcome(outcome).name} where nothing trades")
            self.clear()

    def clear(self) -> None:
        for count in self._counts:
            count[0] = 0

    def bars(self, rows: Ticks) -> Any:
        """Play all rows; give control at each bar's close."""
        at = self.bind(rows)
        while (outcome := self._kernel.run(at)) != Outcome.DONE:
            if outcome == Outcome.CALLS:
                yield
            self.clear()


def _played(rows: Ticks, market: Market, task: Task, features: Sequence[str]) -> tuple[Array, Array, Array]:
    strategy = task.strategy(market.instrument.name, tuple(features))
    state = lane_state(build(_asked(market.spec(task, strategy, trade_from=NEVER))), EVENTS)
    state.clock[0].trade_from = NO_TIME  # nobody trades, and each bar is asked for
    machine = _Machine(state)
    clock, series = state.clock, state.series[int(state.slots[0].series) :]
    now, row, bars = clock["now"], clock["row"], series["bars"]
    values = state.features["value"]
    places = np.array([int(which) for which in state.observed[: len(features)]], np.int64)
    times: list[int] = []
    observed: list[Array] = []
    rows_taken: list[int] = []
    for _ in machine.bars(rows):
        if bars[0] == len(times) + 1:
            times.append(int(now[0]))
            observed.append(values[places])
            rows_taken.append(int(row[0]))
    return (
        np.array(times, np.int64),
        np.array(observed).reshape(len(times), len(features)),
        np.array(rows_taken, np.int64),
    )


def _with_end(rows: Ticks) -> Ticks:
    """The rows, and a timer row behind them that closes the last bar, as a replay does it."""
    if len(rows.price) == 0:
        raise TaskError("a tape without rows")
    at = int(rows.ts_recv[-1]) + 1
    end = (at, at, 0, 0.0, 0.0, int(RowKind.TIMER))
    return Ticks(*(np.append(c, np.array([v], c.dtype)) for c, v in zip(rows, end, strict=True)))


def longest_window(features: Sequence[str], timeframe_ns: int) -> int:
    """Bars of a task that its features look back: how far what is seen at one bar reaches into the next ones.

    features: as the engine names them. A bar of another timeframe counts as so many of the task's as it lasts.
    """
    windows = [0]
    for feature in features:
        base, _, timeframe = feature.partition("@")
        bars = getattr(parse_feature(base), "bars", 0)
        windows.append(bars * -(-int(timeframe or timeframe_ns) // timeframe_ns))
    return max(windows)
