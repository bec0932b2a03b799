"""The compiled entries: how Python reaches the loop. A call costs 0.2 microseconds.

An entry takes the address of the table that `fill_table` wrote; where compilation is switched off, the pair of State
and Ticks instead.

Nothing is compiled at import: `kernel()` compiles on first use, or loads what the cache folder holds, where the
program around the engine has named one (`numba.config.CACHE_DIR`, which must be keyed by the engine's sources: numba's
own check does not see a changed callee in another file).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from functools import cache
from typing import Any, NamedTuple

from numba.core import types

from engine.jit import entry, setting
from engine.loop import advance
from engine.orders import cancel_order, find_order
from engine.policies import aim, aim_share
from engine.records import NONE, Code
from engine.risk import flatten, set_trading_state, submit
from engine.table import state_at


class Command(IntEnum):
    """What `command` does, and with which arguments; unused ones are 0."""

    SUBMIT = 0  # slot, side, type, time in force, lots, tag, limit, stop; gives the order's id
    AIM = 1  # slot, target lots
    AIM_SHARE = 2  # slot; limit: share of equity
    CANCEL = 3  # order id; gives 1 where a cancel was asked for
    FLATTEN = 4  # account; gives the number of positions
    SET_TRADING_STATE = 5  # account, state, code


def command(
    at: Any, what: int, a: int, b: int, c: int, d: int, lots: int, tag: int, limit: float, stop: float
) -> int:
    """Carry out what an owner wishes; all in one function, as each entry costs its compilation."""
    s = state_at(at)
    if what == Command.SUBMIT:
        return submit(s, a, b, c, d, lots, limit, stop, tag)
    if what == Command.AIM:
        aim(s, a, b)
    elif what == Command.AIM_SHARE:
        aim_share(s, a, limit)
    elif what == Command.CANCEL:
        place = find_order(s, a)
        return 0 if place == NONE else int(cancel_order(s, place, Code.NONE.value))
    elif what == Command.FLATTEN:
        return flatten(s, a)
    elif what == Command.SET_TRADING_STATE:
        set_trading_state(s, a, b, c)
    return 0


ENTRIES = 2  # compiled functions that Python calls


class Kernel(NamedTuple):
    """The entries: `advance(at)` and `command(at, ...)`, where `at` is what the Engine binds."""

    compiled: bool
    advance: Callable[[Any], int]
    command: Callable[..., int]


@cache
def kernel() -> Kernel:
    """The entries, compiled on the first call in a process."""
    if setting("DISABLE_JIT"):
        return Kernel(False, advance, command)
    i8, f8 = types.int64, types.float64
    return Kernel(True, entry(i8(i8), advance), entry(i8(i8, i8, i8, i8, i8, i8, i8, i8, f8, f8), command))
