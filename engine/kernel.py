"""The compiled entries: how Python reaches the loop. A call costs 0.2 microseconds.

An entry takes the address of the table that `fill_table` wrote. Where compilation is switched off, the same functions
are called as they are, with (State, Ticks) in place of the address.

Nothing is compiled at import: `kernel()` compiles on first use, or loads what the cache folder holds, where the
program around the engine has named one (`numba.config.CACHE_DIR`, which must be keyed by the engine's sources: numba's
own check does not see a changed callee in another file).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from functools import cache
from typing import NamedTuple

from numba.core import types

from engine.jit import entry, jit, setting
from engine.loop import advance
from engine.orders import cancel_order, find_order
from engine.policies import aim
from engine.records import NONE, Code, State
from engine.risk import flatten, set_trading_state, submit
from engine.table import state_at, ticks_at


class Command(IntEnum):
    """What `command` does, and with which arguments."""

    AIM = 0  # slot, target lots
    CANCEL = 1  # order id; gives 1 where a cancel was asked for
    FLATTEN = 2  # account; gives the number of orders that it took
    SET_TRADING_STATE = 3  # account, state, code


@jit
def command(s: State, what: int, a: int, b: int, c: int) -> int:
    """Carry out one of the rarer wishes; together in one function, as each entry costs its compilation."""
    if what == Command.AIM:
        aim(s, a, b)
    elif what == Command.CANCEL:
        place = find_order(s, a)
        return 0 if place == NONE else int(cancel_order(s, place, Code.NONE))
    elif what == Command.FLATTEN:
        return flatten(s, a)
    elif what == Command.SET_TRADING_STATE:
        set_trading_state(s, a, b, c)
    return 0


class Kernel(NamedTuple):
    """The entries: `advance(*at)`, `submit(at[0], ...)`, `command(at[0], ...)`, where `at` is what `Engine` binds."""

    compiled: bool
    advance: Callable[..., int]
    submit: Callable[..., int]
    command: Callable[..., int]


def _advance(address: int) -> int:
    return advance(state_at(address), ticks_at(address))


def _submit(
    address: int, slot: int, side: int, type_: int, tif: int, lots: int, limit: float, stop: float, tag: int
) -> int:
    return submit(state_at(address), slot, side, type_, tif, lots, limit, stop, tag)


def _command(address: int, what: int, a: int, b: int, c: int) -> int:
    return command(state_at(address), what, a, b, c)


@cache
def kernel() -> Kernel:
    """The entries, compiled on the first call in a process."""
    if setting("DISABLE_JIT"):
        return Kernel(False, advance, submit, command)
    i8, f8 = types.int64, types.float64
    return Kernel(
        True,
        entry(i8(i8), _advance),
        entry(i8(i8, i8, i8, i8, i8, i8, f8, f8, i8), _submit),
        entry(i8(i8, i8, i8, i8, i8), _command),
    )
