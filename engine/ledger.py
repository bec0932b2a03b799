"""Fills become cash, positions and realised profit, in whole units of money.

For each account, at any time, to the last unit (`cash account` = no borrowing):

    cash + sum over slots of cost  =  initial + realised - fees
    account.realized = sum of slots' realized,  account.fees = sum of slots' fees
    holding.lots = sum of the slots' lots in that instrument

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
NO_MONEY = NO_TIME  # not an amount: the value does not fit


@inline
def money(value: float) -> Any:
    """The value rounded half to even to whole money units, or NO_MONEY where it does not fit exactly."""
    if not abs(value) < MONEY_LIMIT:  # also NaN
        return NO_MONEY
    return np.int64(np.rint(value))


@inline
def value_of(lots: int, price: float, money_per_lot: float) -> Any:
    """What the lots are worth at the price, in money units; at most MONEY_LIMIT either way."""
    amount = price * (lots * money_per_lot)
    return np.int64(np.rint(min(max(amount, -float(MONEY_LIMIT)), float(MONEY_LIMIT))))


@jit
def equity_of(s: State, account: Any) -> int:
    """Cash and holdings at the last prices, in money units."""
    equity = account.cash
    for h in range(account.first_holding, account.first_holding + account.n_holdings):
        holding = s.holdings[h]
        if holding.lots != 0:
            instrument = s.instruments[holding.instrument]
            equity += value_of(holding.lots, instrument.price, instrument.money_per_lot)
    return equity


@inline
def _share(cost: int, lots: int, of: int) -> Any:
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
        closing_notional = _share(notional, closing, lots)
        cost = _share(abs(slot.cost), closing, held)
        realized = (closing_notional - cost) * (1 if side == Side.SELL else -1)
        slot.cost += side * cost
        opening = lots - closing
        opening_notional = notional - closing_notional
    if opening > 0:
        slot.cost += side * opening_notional
    was = slot.lots
    slot.lots += signed
    if slot.lots == 0 or was * slot.lots < 0:
        slot.bars_held = 0
    slot.realized += realized
    slot.fees += fee
    account.cash -= side * notional + fee
    account.realized += realized
    account.fees += fee
    account.fills += 1
    if account.stop_drawdown > 0.0 or account.stop_daily_loss > 0.0:
        instrument = s.instruments[slot.instrument]
        instrument.fill_guard = (
            1  # a loss that this fill realised is looked at, also where it closes the position
        )
        if holding.lots == 0 and signed != 0:
            instrument.guards += 1
        elif holding.lots != 0 and holding.lots + signed == 0:
            instrument.guards -= 1
    holding.lots += signed
    return realized
