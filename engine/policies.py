"""Compiled decisions: an observation becomes a signal, a signal becomes a target, a target becomes an order.

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
from engine.ledger import equity_of
from engine.records import Side, SizeKind, State, TradingState
from engine.submit import submit_market


class Policy(IntEnum):
    """The compiled policies; PYTHON is an actor that is asked instead."""

    PYTHON = 0
    BUY_AND_HOLD = 1
    SMA_CROSS = 2
    MOMENTUM = 3
    RSI_REVERSION = 4


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
    signal = signal_of(strategy, s.observation)
    if signal == Signal.KEEP:
        return
    target = np.int64(0)
    if signal == Signal.LONG:
        if strategy.size_kind == SizeKind.UNITS:
            target = np.int64(strategy.size_value)
        elif slot.lots + slot.working_buy - slot.working_sell > 0:
            return  # a share of equity is measured at the entry only
        else:
            target = share_of_equity(s, slot_index, strategy.size_value / strategy.n_slots)
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
