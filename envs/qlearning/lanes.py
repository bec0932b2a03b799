"""Lanes as what a table learns from: their state is a row of the table, and they are stepped inside the compiled loop.

What the market contributes to the row is computed once for each bar; what the account contributes is added at each step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numba.core import types
from numba.extending import overload

from engine.engine import EngineFault
from engine.features import AccountFeature, account_value
from engine.jit import entry, jit, setting
from engine.models import Array
from engine.table import TableType, columns, pointer_to, state_at
from envs.compiling import own_folder
from envs.errors import TaskError
from envs.kernel import Ended, draw_start, step_lane
from envs.lanes import Lanes
from envs.qlearning.bins import ACCOUNT_EDGES, BINNED, Bins, bin_part, fit_bins
from envs.qlearning.update import NOT_STARTED, Learner, learner_at, learning, table_of
from envs.records import Batch, batch_at
from envs.spans import Span
from envs.tapes import Tape


class Ground(NamedTuple):
    """How what the lanes observe is sorted into the rows of the table."""

    rows: Array  # (bars,) int64, tape after tape: what the market contributes
    account: Array  # (k,) int64: AccountFeature
    binned: Array  # (k,) BINNED: its bins
    edges: Array  # float64: theirs


_I8 = np.dtype(np.int64)
GROUND_TYPES = (_I8, _I8, BINNED, np.dtype(np.float64))
_ground_pointer = pointer_to(TableType("Ground", columns(Ground._fields, GROUND_TYPES, 0)))


def ground_at(at: Any) -> Ground:
    """The Ground of a table, given by its address; uncompiled, it is given itself."""
    ground: Ground = at
    return ground


@overload(ground_at)
def _ground_at(at):  # type: ignore[no-untyped-def]  # an overload of numba has no types
    return lambda at: _ground_pointer(at)  # noqa: PLW0108  # numba wants these names of arguments


class World(NamedTuple):
    """What the compiled loop sees of the lanes."""

    batch: Batch
    ground: Ground


@jit
def state_of(world: World, i: int) -> int:
    """The row of the table for what lane i observes."""
    b, ground = world.batch, world.ground
    lane = b.lanes[i]
    row = ground.rows[b.tapes[lane.tape].bars + lane.bar]
    for k in range(len(ground.account)):
        s = state_at(b.at[i])
        row += bin_part(ground.binned[k], ground.edges, account_value(s, s.slots[0], ground.account[k]))
    return row


@jit
def restart(world: World, i: int) -> int:
    """Begin an episode of lane i; its state."""
    draw_start(world.batch, i)
    if world.batch.lanes[i].ended == Ended.FAULT:
        return NOT_STARTED
    return state_of(world, i)


@jit
def move(world: World, i: int, action: int) -> tuple[int, float, int]:
    """Step lane i; the state after it, the reward, and Ended."""
    step_lane(world.batch, i, float(action))
    lane = world.batch.lanes[i]
    return state_of(world, i), lane.reward, lane.ended


_learn = learning(restart, move)


def learn_lanes(lanes: Any, ground: Any, learner: Any, sweeps: int) -> int:
    """Learn from so many steps of each lane; 0, or -1 - i where the engine of lane i stopped."""
    return int(_learn(learner_at(learner), World(batch_at(lanes), ground_at(ground)), sweeps))


@cache
def kernel() -> Callable[..., int]:
    """The entry, compiled on the first call in a process."""
    if setting("DISABLE_JIT"):
        return learn_lanes
    with own_folder():
        return entry(types.int64(types.int64, types.int64, types.int64, types.int64), learn_lanes)


class LaneWorld:
    """Lanes whose observations are sorted into bins, for a trainer.

    The lanes choose among sell, hold and buy, and are stepped by nothing else meanwhile. Raises TaskError where the bins
    are of other features than the task, or its actions are target exposures.
    """

    def __init__(self, lanes: Lanes, bins: Bins) -> None:
        task = lanes.task
        if task.actions.target:
            raise TaskError(
                "a Q-table chooses among sell, hold and buy; take discrete actions, or another algorithm"
            )
        if bins.features != task.features:
            raise TaskError(
                f"bins of {', '.join(bins.features)} for a task with {', '.join(task.features)}; fit them to its features"
            )
        self.bins = bins
        self.n = lanes.n
        series = task.series_features
        account = [f for f in task.features if f not in series]
        binned, edges = bins.pack(account)
        self._lanes = lanes
        self._ground = Ground(
            np.concatenate([bins.part(series, tape.features) for tape in lanes.tapes]),
            np.array([int(AccountFeature[f.upper()]) for f in account], np.int64),
            binned,
            edges,
        )
        self._compiled = not setting("DISABLE_JIT")
        self._tables = [table_of(arrays) for arrays in (lanes.batch, self._ground) if self._compiled]

    def learn(self, learner: Learner, sweeps: int) -> None:
        """Learn from so many steps of each lane. Raises EngineFault where a lane's engine stopped."""
        if self._compiled:
            tables = [*self._tables, table_of(learner)]
            result = kernel()(*(table.ctypes.data for table in tables), sweeps)
        else:
            result = kernel()(self._lanes.batch, self._ground, learner, sweeps)
        if result < 0:
            raise EngineFault(f"the engine of lane {-1 - result} stopped")

    def save(self) -> dict[str, Array]:
        """Copies of all that learning changes in the lanes."""
        return self._lanes.save()

    def load(self, saved: Mapping[str, Array]) -> None:
        """Take on what `save` gave. Raises TaskError where it is of other lanes."""
        self._lanes.load(dict(saved))


def fit_lane_bins(
    tapes: Sequence[Tape],
    spans: Sequence[Span],
    bins: int = 3,
    bins_of: Mapping[str, int] = MappingProxyType({}),
    edges: Mapping[str, Sequence[float]] = MappingProxyType({}),
) -> Bins:
    """Bins of a task's features, with edges at the quantiles of its tapes within the spans that it is trained on.

    The other arguments are those of `fit_bins`. Raises TaskError for a feature of the account without edges.
    """
    task = tapes[0].task
    series = task.series_features
    for name in task.features:
        if name not in series and name not in edges and name not in ACCOUNT_EDGES:
            raise TaskError(f"{name!r} depends on the agent and is in no data; give the edges of its bins")
    known = np.concatenate([tape.features[span.slice] for tape, span in zip(tapes, spans, strict=True)])
    observations = np.full((len(known), len(task.features)), np.nan)
    observations[:, [task.features.index(name) for name in series]] = known
    return fit_bins(task.features, observations, bins, bins_of, edges)
