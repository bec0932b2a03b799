"""Compiled decisions: an observation becomes a signal or a target exposure, that a target, and a target an order.

A policy looks at the observation only, whose features `strategies/` names for it, so that each decision can be
explained by what stands beside the order.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import Any

import numpy as np

from engine.cancel import cancel_side
from engine.costs import slipped
from engine.features import observe
from engine.jit import inline, jit
from engine.ledger import amount_of, equity_of
from engine.networks import largest, network_values, table_row
from engine.records import Side, SizeKind, State, TradingState
from engine.submit import submit_market


class Policy(IntEnum):
    """The compiled policies; PYTHON is an actor that is asked instead."""

    PYTHON = 0
    BUY_AND_HOLD = 1
    SMA_CROSS = 2
    MOMENTUM = 3
    RSI_REVERSION = 4
    Q_TABLE = 5
    NETWORK = 6


TIE = 1e-12  # relative: closer than this, two averages are equal
POLICY_FEATURES = {
    Policy.SMA_CROSS: 2,
    Policy.MOMENTUM: 1,
    Policy.RSI_REVERSION: 1,
}  # what they look at, at least


class Signal(IntEnum):
    """What a policy wants of its position."""

    FLAT = 0
    LONG = 1
    KEEP = 2  # no change
    SHORT = 3


@inline
def signal_of(strategy: Any, observation: Any) -> int:
    """The policy's signal on a complete observation (width,) float64."""
    if strategy.policy == Policy.BUY_AND_HOLD:
        return Signal.LONG
    if strategy.policy == Policy.SMA_CROSS:  # observation: fast average, slow average
        # equal averages of decimal prices differ in their last bits: that is not above
        above = observation[0] - observation[1] > TIE * observation[1]
        return Signal.LONG if above else Signal.FLAT
    if strategy.policy == Policy.MOMENTUM:  # observation: return over the lookback; p0: threshold
        if observation[0] > strategy.p0:
            return Signal.LONG
        return Signal.FLAT if observation[0] < -strategy.p0 or strategy.p0 == 0.0 else Signal.KEEP
    if strategy.policy == Policy.RSI_REVERSION:  # observation: RSI; p0: oversold below, p1: exit above
        if observation[0] < strategy.p0:
            return Signal.LONG
        return Signal.FLAT if observation[0] > strategy.p1 else Signal.KEEP
    return Signal.KEEP


@inline
def decide(s: State, slot_index: int) -> None:
    """Let the compiled policy of the slot decide on the bar that has just closed."""
    slot = s.slots[slot_index]
    strategy = s.strategies[slot.strategy]
    if not observe(s, slot, s.observation, 0):
        return
    if strategy.outputs == 0:
        follow(s, slot_index, signal_of(strategy, s.observation))
        return
    n = strategy.outputs
    if strategy.policy == Policy.Q_TABLE:
        first = table_row(s.weights, strategy.model, s.observation, slot.n_features, n)
        for k in range(n):
            s.observation[slot.n_features + k] = s.weights[first + k]
    else:
        first = network_values(s.weights, strategy.model, s.observation, slot.n_features, s.activations)
        for k in range(n):
            s.observation[slot.n_features + k] = s.activations[first + k]
    if n == 1:
        expose(s, slot_index, s.observation[slot.n_features])
    else:
        follow(s, slot_index, signal_of_action(strategy, largest(s.observation, slot.n_features, n)))


@inline
def signal_of_action(strategy: Any, action: int) -> int:
    """What the actions sell (0), hold (1) and buy (2) want."""
    if action == 1:
        return Signal.KEEP
    if action == 2:
        return Signal.LONG
    return Signal.SHORT if strategy.short else Signal.FLAT


@jit
def follow(s: State, slot_index: int, signal: int) -> None:
    """Bring the slot to where the signal wants it, at the size of its strategy."""
    if signal == Signal.KEEP:
        return
    slot = s.slots[slot_index]
    strategy = s.strategies[slot.strategy]
    target = np.int64(0)
    if signal != Signal.FLAT:
        side = 1 if signal == Signal.LONG else -1
        if strategy.size_kind == SizeKind.UNITS:
            target = np.int64(side * strategy.size_value)
        elif side * (slot.lots + slot.working_buy - slot.working_sell) > 0:
            return  # a share of equity is measured at the entry only
        else:
            target = share_of_equity(s, slot_index, side * (strategy.size_value / strategy.n_slots))
    aim(s, slot_index, target)


@jit
def expose(s: State, slot_index: int, value: float) -> None:
    """Bring the slot to a share of equity: `value`, bounded to [-1, 1], or [0, 1] where it may not be short, times its size.

    The value counts in steps of a thousandth, so that what a trainer computed in float32 orders the same lots.

    Of a strategy with several instruments, each has its part of equity. Where the position, with what is working, is
    nearer to the target than the threshold, a share of that part, nothing is ordered, but to go flat.
    """
    slot = s.slots[slot_index]
    strategy = s.strategies[slot.strategy]
    lowest = -1.0 if strategy.short else 0.0
    if math.isnan(value):
        return
    share = np.rint(min(max(value, lowest), 1.0) * 1000.0) / 1000.0 * (strategy.size_value / strategy.n_slots)
    target = share_of_equity(s, slot_index, share)
    lots = slot.lots + slot.working_buy - slot.working_sell
    instrument = s.instruments[slot.instrument]
    change = abs(amount_of(instrument, target - lots, instrument.price))
    part = equity_of(s, s.accounts[slot.account]) / strategy.n_slots
    if change >= strategy.threshold * part or (target == 0 and share == 0.0):
        aim(s, slot_index, target)


@jit
def share_of_equity(s: State, slot_index: int, share: float) -> Any:
    """How many lots that share of the account's equity buys at the last price, with slippage and fees.

    Of a negative share, a short position, as many less than none.
    """
    slot = s.slots[slot_index]
    instrument = s.instruments[slot.instrument]
    budget = abs(share) * equity_of(s, s.accounts[slot.account])
    notional = slipped(instrument, Side.BUY.value, instrument.price, 1, 0.0) * instrument.money_per_lot
    unit = notional * (1.0 + instrument.taker_bps * 1e-4) + instrument.fee_per_lot
    if not (notional > 0.0 and unit > 0.0 and budget > instrument.fee_min):
        return np.int64(0)
    lots = min(math.floor(budget / unit), math.floor((budget - instrument.fee_min) / notional), 9e15)
    return np.int64(lots if share > 0.0 else -lots)


@jit
def aim_share(s: State, slot_index: int, share: float) -> None:
    """Bring the slot to a share of the account's equity, measured now, fees included."""
    aim(s, slot_index, share_of_equity(s, slot_index, share))


@jit
def aim(s: State, slot_index: int, target: Any) -> None:
    """Bring the slot to `target` lots with a market order, counting what is working already.

    Working orders that lead the other way are cancelled first.
    """
    slot = s.slots[slot_index]
    against = 0
    active = s.accounts[slot.account].state == TradingState.ACTIVE
    active = active and s.strategies[slot.strategy].state == TradingState.ACTIVE
    if slot.working_sell > 0 and target > slot.lots - slot.working_sell and active:
        # where only exits are allowed, those that work are not given up for what is denied
        against = Side.SELL.value
    elif slot.working_buy > 0 and target < slot.lots + slot.working_buy:
        against = Side.BUY.value
    if against != 0:
        cancel_side(s, slot_index, against)
    missing = target - (slot.lots + slot.working_buy - slot.working_sell)
    # an order whose cancel is still on its way may fill or not: do what is right in both cases, the rest at the next bar
    if missing > 0:
        missing = min(missing, max(target - slot.lots - slot.working_buy, 0))
    else:
        missing = -min(-missing, max(slot.lots - slot.working_sell - target, 0))
    if missing != 0:
        side = Side.BUY.value if missing > 0 else Side.SELL.value
        submit_market(s, slot_index, side, abs(missing))
