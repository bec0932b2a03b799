"""Fills become cash, positions and realised profit, in whole units of money.

For each account, at any time, to the last unit:

    cash + sum over slots of cost  =  initial + realised - fees + income + interest + deposits
    account.realized = sum of slots' realized, and so are its fees and its income (dividends)
    holding.lots = sum of the slots' lots in that instrument

The cost of a short position is negative: what its sale brought in.

A fill's notional is rounded once, half to even, and so are its fees; everything after that is a sum of integers.
Closing part of a position takes the same share of its cost out, rounded down; closing all of it takes all.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engine.jit import inline, jit
from engine.records import NO_TIME, Side, State

MONEY_LIMIT = 2**53  # float64 holds each whole number up to here: beyond, a product could be off by a unit
ROOM = 2**61  # what would take a sum beyond this is refused: int64 wraps at 2**63
NO_MONEY = NO_TIME  # not an amount: the value does not fit


@inline
def money(value: float) -> Any:
    """The value rounded half to even to whole money units, or NO_MONEY where it does not fit exactly."""
    if not abs(value) < MONEY_LIMIT:  # also NaN
        return NO_MONEY
    return np.int64(np.rint(value))


@inline
def on_grid(steps: float, step: float) -> float:
    """So many steps as a price, as one would write it: 9898 cents are 98.98, where 9898 * 0.01 may be a little more."""
    inverse = np.rint(1.0 / step)
    if inverse > 1.0 and abs(inverse * step - 1.0) < 1e-12:
        return float(steps / inverse)
    return float(steps * step)


@inline
def amount_of(instrument: Any, lots: int, price: float) -> float:
    """What the lots are worth at the price, in money units before rounding."""
    if instrument.lots_per_money > 1.0:
        return float(price * lots / instrument.lots_per_money)
    return float(price * (lots * instrument.money_per_lot))


@inline
def value_of(instrument: Any, lots: int, price: float) -> Any:
    """What the lots are worth at the price, in money units; at most MONEY_LIMIT either way."""
    amount = amount_of(instrument, lots, price)
    return np.int64(np.rint(min(max(amount, -float(MONEY_LIMIT)), float(MONEY_LIMIT))))


@jit
def equity_of(s: State, account: Any) -> int:
    """Cash and holdings at the last prices, in money units."""
    equity = account.cash
    for h in range(account.first_holding, account.first_holding + account.n_holdings):
        holding = s.holdings[h]
        if holding.lots != 0:
            instrument = s.instruments[holding.instrument]
            equity += value_of(instrument, holding.lots, instrument.price)
    return equity


@jit
def gross_of(s: State, account: Any) -> int:
    """The absolute value of all holdings at the last prices, in money units."""
    gross = 0
    for h in range(account.first_holding, account.first_holding + account.n_holdings):
        holding = s.holdings[h]
        if holding.lots != 0:
            instrument = s.instruments[holding.instrument]
            gross += value_of(instrument, abs(holding.lots), instrument.price)
    return gross


@jit
def worst_gross(s: State, account: Any, but: int) -> int:
    """Gross exposure of the account in all instruments but one, were all to fill that works on one side; money units."""
    total = 0
    for h in range(account.first_holding, account.first_holding + account.n_holdings):
        holding = s.holdings[h]
        if holding.instrument != but:
            lots = max(abs(holding.lots + holding.working_buy), abs(holding.lots - holding.working_sell))
            instrument = s.instruments[holding.instrument]
            total += value_of(instrument, lots, instrument.price)
    return total


@inline
def share_of(cost: int, lots: int, of: int) -> Any:
    """The cost of `lots` out of `of` (0 < lots <= of): all of it for all, else the share rounded down.

    Where the product is too large for int64 the floor of a float stands for it, which may be off by a unit; what is
    left keeps the rest, so no unit is lost.
    """
    if lots == of:
        return cost
    rest = cost % of
    if rest * float(lots) < 9e18:
        return (cost // of) * lots + rest * lots // of
    return (cost // of) * lots + np.int64(math.floor(rest * (lots / of)))


@jit
def book_fill(s: State, slot: Any, side: int, lots: int, notional: int, fee: int) -> Any:
    """Book a fill in its slot, holding and account; the profit that it realised, before fees.

    lots > 0; notional >= 0 and fee in money units. A fill may close a position and open the opposite one.
    """
    account = s.accounts[slot.account]
    holding = s.holdings[slot.holding]
    signed = side * lots
    realized = np.int64(0)
    opening = lots
    opening_notional = notional
    if slot.lots * side < 0:  # it closes first
        held = abs(slot.lots)
        closing = min(lots, held)
        closing_notional = share_of(notional, closing, lots)
        cost = share_of(abs(slot.cost), closing, held)
        realized = (closing_notional - cost) * (1 if side == Side.SELL else -1)
        slot.cost += side * cost
        opening = lots - closing
        opening_notional = notional - closing_notional
    if opening > 0:
        slot.cost += side * opening_notional
    was = slot.lots
    set_lots(s, slot, slot.lots + signed)
    if slot.lots == 0 or (was < 0) != (slot.lots < 0):
        slot.bars_held = 0
    slot.realized += realized
    slot.fees += fee
    account.cash -= side * notional + fee
    account.moves += 1
    account.realized += realized
    account.fees += fee
    account.fills += 1
    if account.guarded:
        # a loss that this fill realised is looked at, also where it closes the position
        s.instruments[slot.instrument].fill_guard = 1
    holding.lots += signed
    return realized


@inline
def set_lots(s: State, slot: Any, lots: Any) -> None:
    """Let a slot hold so many lots; where its account is guarded, count it among those that hold the instrument."""
    if s.accounts[slot.account].guarded:
        s.instruments[slot.instrument].guards += int(lots != 0) - int(slot.lots != 0)
    slot.lots = lots
    s.accounts[slot.account].moves += 1
