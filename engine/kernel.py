"""The compiled entry: how Python reaches the engine's functions. A call costs 0.2 microseconds.

It takes the address of the table that `fill_table` wrote; where compilation is switched off, the pair of State and Ticks
instead. What an owner wishes stands in `State.wish`; where nothing does, the loop goes on. There is one entry only, as
each costs its compilation.

Nothing is compiled at import: `kernel()` compiles on first use, or loads what the cache folder holds, where the
program around the engine has named one (`numba.config.CACHE_DIR`, which must be keyed by the engine's sources: numba's
own check does not see a changed callee in another file).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba.core import types

from engine.cancel import cancel_order, cancel_strategy, find_order
from engine.cash import deposit
from engine.guards import flatten, set_trading_state
from engine.jit import entry, setting
from engine.loop import advance
from engine.parts import measure_portfolio
from engine.policies import aim, aim_share, expose, follow, signal_of_action
from engine.records import NONE, Code
from engine.submit import amend_order, submit, submit_bracket, submit_pair
from engine.table import address_of, state_at, ticks_at


class Command(IntEnum):
    """What an owner wishes, and with which of a, b, c and x; unused ones are 0."""

    NONE = 0  # nothing: the loop goes on; gives an Outcome
    SUBMIT = 1  # slot; gives the order's id
    AIM = 2  # slot, target lots
    AIM_SHARE = 3  # slot; x: share of equity
    CANCEL = 4  # order id; gives 1 where a cancel was asked for: not of an order that flattens the account
    FLATTEN = 5  # portfolio; gives the number of positions
    SET_TRADING_STATE = 6  # portfolio, state, code
    SUBMIT_PAIR = 7  # slot; gives the first order's id
    SUBMIT_BRACKET = 8  # slot, number of children; gives the parent's id
    AMEND = 9  # order id; gives a Code: NONE where the gate let the new terms pass
    DISCONNECT = 10  # strategy
    DEPOSIT = 11  # account, amount in money units; gives 1, or 0 where there is not so much to withdraw
    ACT = 12  # slot, action (0 sell, 1 hold, 2 buy), as a model's decision is carried out; then the loop goes on: an Outcome
    EXPOSE = 13  # slot; x: target exposure, in the same way
    MEASURE = 14  # portfolio, method; gives a Code, and what was measured in its gauge and positions


def run(at: Any) -> int:
    """Do what stands in the wish, or go on with the batch; what that gave. The terms of orders are in `State.terms`."""
    s = state_at(at)
    wish = s.wish[0]
    what = wish.what
    if what == Command.NONE:
        return advance(s, ticks_at(at))
    wish.what = Command.NONE
    a = wish.a
    if what == Command.ACT:
        follow(s, a, signal_of_action(s.strategies[s.slots[a].strategy], wish.b))
        return advance(s, ticks_at(at))
    if what == Command.EXPOSE:
        expose(s, a, wish.x)
        return advance(s, ticks_at(at))
    if what == Command.SUBMIT:
        return submit(s, a)
    if what == Command.SUBMIT_PAIR:
        return submit_pair(s, a)
    if what == Command.SUBMIT_BRACKET:
        return submit_bracket(s, a, wish.b)
    if what == Command.AMEND:
        place = find_order(s, a)
        if place == NONE or s.orders[place].exit == 2:
            return Code.GROUP.value
        return amend_order(s, place)
    if what == Command.AIM:
        aim(s, a, wish.b)
    elif what == Command.AIM_SHARE:
        aim_share(s, a, wish.x)
    elif what == Command.CANCEL:
        place = find_order(s, a)
        if place == NONE or s.orders[place].exit == 2:  # an order that flattens the account stays
            return 0
        return int(cancel_order(s, place, Code.NONE.value))
    elif what == Command.FLATTEN:
        return flatten(s, a)
    elif what == Command.SET_TRADING_STATE:
        set_trading_state(s, a, wish.b, wish.c, np.int64(NONE))
    elif what == Command.DISCONNECT:
        cancel_strategy(s, a, Code.DISCONNECT.value, np.int64(0))
    elif what == Command.DEPOSIT:
        return deposit(s, a, wish.b)
    elif what == Command.MEASURE:
        return measure_portfolio(s, a, wish.b)
    return 0


ENTRIES = 1  # compiled functions that Python calls


class Kernel(NamedTuple):
    """The entry: `run(at)`, where `at` is what the Engine binds; and what other compiled code calls it by."""

    compiled: bool
    run: Callable[[Any], int]
    address: Any  # for `engine.table.call`


@cache
def kernel() -> Kernel:
    """The entry, compiled on the first call in a process."""
    if setting("DISABLE_JIT"):
        return Kernel(False, run, run)
    compiled = entry(types.int64(types.int64), run)
    return Kernel(True, compiled, address_of(compiled))
