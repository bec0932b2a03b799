"""The arrays that lanes are made of, and how compiled code sees them (as ``engine/table.py`` has it of the engine's)."""

# numba's interface for extensions has no types, and its overloads must not have annotations.
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba.extending import overload

from engine.table import TableType, columns, pointer_to


def _record(**fields: str) -> np.dtype[Any]:
    return np.dtype(list(fields.items()))


SETTINGS = _record(  # one record: the task, for compiled code
    reward="i8",  # RewardKind
    target="i8",  # 1: actions are target exposures
    episode_bars="i8",  # 0: to the end of the span
    restarts="i8",  # 1: an episode that ends is followed by the next one at once
    ruin="f8",
    drawdown_penalty="f8",
    cost_penalty="f8",
    volatility_target="f8",
    volatility_penalty="f8",
    risk="f8",
    eta="f8",
    scale="f8",
    bound="f8",  # observations are bounded to [-bound, bound]
    variance="f8",  # of the market's returns a bar: what a moving Sharpe ratio begins with
    block="i8",  # bytes from one lane's state to the next's
    varying="i8",  # of these, the first so many are kept in each checkpoint,
    pristine="i8",  # and so many behind them are the same at the start of all episodes
    kept="i8",  # bytes from one checkpoint to the next
    width="i8",  # series features: from one row of `features` to the next
)

TAPE = _record(  # one tape of those that lanes play
    first="i8",  # episodes lie between its bar `first`
    last="i8",  # and its bar `last`, which is the last that is observed
    bars="i8",  # where its bars begin in `times` and, by rows, in `features`
    first_checkpoint="i8",
    checkpoints="i8",
)

LANE = _record(
    x1="i8",  # its random numbers, which choose where episodes begin: envs/qlearning/generator.py
    x2="i8",
    tape="i8",
    start="i8",  # the bars of this tape between which its episode lies
    bar="i8",  # where it is
    last="i8",
    equity="i8",  # money units, at that bar
    initial="i8",
    fees="i8",
    peak="i8",
    steps="i8",  # of this episode
    earned="f8",  # rewards of this episode
    drawdown="f8",
    average="f8",  # of returns and their squares, exponentially weighted: the moving Sharpe ratio
    square="f8",
    variance="f8",  # exponentially weighted, for the volatility
    reward="f8",  # of the last step
    ended="i8",  # an Ended, by the last step
)


class Batch(NamedTuple):
    """Everything that the lanes are. Every array is one-dimensional."""

    engine: Any  # (1,) int64: the address of the engine's entry
    at: Any  # (n,) int64: each lane's engine, as the entry takes it
    settings: Any  # (1,) SETTINGS
    lanes: Any  # (n,) LANE
    tapes: Any  # (n_tapes,) TAPE
    times: Any  # (bars,) int64: when each bar closes, tape after tape
    features: Any  # (bars * series features,) float64
    observed: Any  # (k,) int64: a place in a row of features, or ~AccountFeature
    mean: Any  # (k,) float64: an observation x becomes (x - mean) * scale
    scale: Any  # (k,) float64
    blocks: Any  # (n * block,) uint8: the lanes' states
    checkpoints: Any  # uint8: the varying part of the state at some bars of each tape
    checkpoint_bars: Any  # int64: how many bars had closed at each
    checkpoint_rows: Any  # int64: the row of all tapes that comes next there
    fresh: Any  # (pristine,) uint8
    actions: Any  # (n,) float64
    observations: Any  # (n * k,) float32
    final_observations: Any  # (n * k,) float32: of lanes whose episode ended with the last step
    rewards: Any  # (n,) float32
    terminated: Any  # (n,) bool
    truncated: Any  # (n,) bool


_F8, _I8, _F4 = np.dtype(np.float64), np.dtype(np.int64), np.dtype(np.float32)
_U1, _B1 = np.dtype(np.uint8), np.dtype(np.bool_)
BATCH_TYPES = Batch(
    _I8, _I8, SETTINGS, LANE, TAPE, _I8, _F8, _I8, _F8, _F8, _U1, _U1, _I8, _I8, _U1, _F8, _F4, _F4, _F4, _B1, _B1,
)  # fmt: skip
BATCH_TYPE = TableType("Batch", columns(Batch._fields, BATCH_TYPES, 0))

_batch_pointer = pointer_to(BATCH_TYPE)


def batch_at(at: Any) -> Batch:
    """The Batch of a table, given by its address; uncompiled, it is given itself."""
    batch: Batch = at
    return batch


@overload(batch_at)
def _batch_at(at):
    return lambda at: _batch_pointer(at)


def fill_batch(table: np.ndarray[Any, Any], batch: Batch) -> None:
    """Write where the arrays are; the caller keeps them alive."""
    for i, array in enumerate(batch):
        table[2 * i] = array.ctypes.data
        table[2 * i + 1] = len(array)
