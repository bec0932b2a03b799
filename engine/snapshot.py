"""The whole state, copied, taken back and hashed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.records import NEVER, NONE, State

# fields of the clock that say where the loop stands in a batch, or which depend on capacities
_SCRATCH = (
    "row",
    "cursor",
    "n_events",
    "n_equity",
    "n_grades",
    "n_observations",
    "n_calls",
    "free_order",
    "free_orders",
)
# fields that say where in the pool other orders lie
_LINKS = (
    "next", "previous", "book_next", "book_previous", "book_child", "partner", "parent", "children",
)  # fmt: skip
_DERIVED = (
    "first_order",
    "last_order",
    "near",
    "last_near",
    "below",
    "above",
    "low_guard",
    "high_guard",
    "was",
)
# what is empty between two batches, scratch space, or the specification's alone
NOT_KEPT = (
    "weights", "sessions", "wish", "terms", "taken", "observation", "activations", "events", "equity", "grades",
    "observations", "calls", "normals", "gauges", "trials", "positions", "pnl", "trial", "tail", "var_weights",
    "cvar_weights", "factor", "members",
)  # fmt: skip
_POOLS = ("orders", "timers")


@dataclass(frozen=True)
class Snapshot:
    """Everything that a restored engine needs to go on as if it had never stopped."""

    arrays: dict[str, np.ndarray[Any, Any]]
    actors: dict[str, Any]  # strategy name -> what it saved, or None
    spec: str  # a hash of the engine's specification


def copied(state: State) -> dict[str, np.ndarray[Any, Any]]:
    """Copies of the arrays that a snapshot keeps."""
    return {n: np.array(a) for n, a in zip(State._fields, state, strict=True) if n not in NOT_KEPT}


def taken_back(state: State, snapshot: Snapshot) -> State:
    """The state with the arrays of a snapshot. Raises ValueError, which says what does not fit."""
    if missing := set(State._fields) - set(NOT_KEPT) - set(snapshot.arrays):
        raise ValueError(f"the snapshot lacks {', '.join(sorted(missing))}")
    replaced = {}
    for name, array in snapshot.arrays.items():
        mine = getattr(state, name)
        if array.dtype != mine.dtype or (name not in _POOLS and array.shape != mine.shape):
            raise ValueError(f"the snapshot is of another engine: its {name} differ in shape")
        copy = np.array(array)
        replaced[name] = copy.view(np.recarray) if copy.dtype.names else copy
    state = state._replace(**replaced)
    state.positions["low"] = state.positions["held"] = np.nan  # what was added up was of the state before
    return state


def state_hash(s: State) -> str:
    """A hash of the live state: equal for equal tapes however they were cut; capacities do not enter it."""
    digest = hashlib.blake2b(digest_size=16)
    clock = np.array(s.clock)
    for name in _SCRATCH:
        clock[name] = 0
    instruments = np.array(s.instruments)
    for name in _DERIVED:
        instruments[name] = 0
    for array in (
        clock, instruments, s.series, s.features, s.strategies, s.slots, s.holdings, s.accounts, s.risk, s.histories,
        s.windows, s.scenarios, s.volatilities, s.portfolios, s.limits, s.forecasts, s.frozen, s.hits,
    ):  # fmt: skip
        digest.update(np.ascontiguousarray(array).tobytes())
    digest.update(s.denied.tobytes() + s.order_times.tobytes())
    for series in s.series:
        kept = min(int(series.bars), int(series.capacity))
        places = (np.arange(series.bars - kept, series.bars) & (series.capacity - 1)) + series.first_bar
        digest.update(s.bars[places].tobytes())
    for place in live_orders(s):
        order = s.orders[place].copy()
        linked = [
            int(s.orders[order[n]].id) if order[n] != NONE else 0 for n in ("partner", "parent", "children")
        ]
        for name in _LINKS:
            order[name] = 0
        digest.update(order.tobytes() + np.array(linked, np.int64).tobytes())
    digest.update(s.timers[s.timers["at"] != NEVER].tobytes())
    return digest.hexdigest()


def live_orders(s: State) -> list[int]:
    """Places of the working orders in `orders`, by instrument, in order of submission."""
    places = []
    for instrument in s.instruments:
        place = int(instrument.first_order)
        while place != NONE:
            places.append(place)
            place = int(s.orders[place].next)
    return places
