"""The gate: an order is approved, cut or denied with a code. What puts orders before it is in engine/submit.py.

The checks run in the order of `Code`. Working orders count as if any of them could fill. What cannot be computed is
denied. An exit (it shrinks the account's position and does not flip it, whatever else is working; or it is reduce-only)
passes all but the instrument's own rules and the ban on selling what one does not have.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.book import is_stop
from engine.costs import affordable, reserve_for, worst_price
from engine.jit import inline, jit
from engine.ledger import NO_MONEY, equity_of, value_of, worst_gross
from engine.limits import check_losses, strategy_portfolio
from engine.portfolios import price_trouble
from engine.records import (
    NEVER,
    NONE,
    Code,
    OrderType,
    Side,
    State,
    TimeInForce,
    TradingState,
    Trail,
)
from engine.watch import denied_by_loss

_MANY = 2**53  # lots: more than any order may have
_HIGHEST = 1e15  # a price that no order may ask for


@inline
def is_exit(holding: Any, side: int, lots: int) -> bool:
    """Whether an order shrinks the position and cannot flip it, even if all that works on its side fills."""
    if holding.lots * side >= 0:
        return False
    working = holding.working_buy if side == Side.BUY else holding.working_sell
    return bool(lots + working <= abs(holding.lots))


@jit
def _is_price(price: float, tick: float) -> bool:
    """Whether an order may ask for that price: positive, and on the tick grid."""
    ticks = price / tick
    return 0.0 < price < _HIGHEST and abs(ticks - np.rint(ticks)) <= 1e-6


@jit
def well_formed(s: State, order: Any, instrument: Any) -> bool:
    """Whether the terms make sense together; the smallest and largest size are no rules for exits."""
    if order.lots < 1 or order.lots > _MANY or abs(order.side) != 1:
        return False
    if not (0 <= order.type <= OrderType.TRAILING_STOP and 0 <= order.tif <= TimeInForce.AT_THE_CLOSE):
        return False
    tick = instrument.tick_size
    trailing = order.type == OrderType.TRAILING_STOP
    if order.type == OrderType.LIMIT or order.type == OrderType.STOP_LIMIT:
        if not _is_price(order.limit, tick):
            return False
    elif order.limit != 0.0:
        return False
    if order.type == OrderType.STOP or order.type == OrderType.STOP_LIMIT or (trailing and order.stop != 0.0):
        if not _is_price(order.stop, tick):
            return False
    elif order.stop != 0.0:
        return False
    if trailing:
        most = 1.0 if order.trail_kind == Trail.PERCENT else _HIGHEST
        if not 0.0 < order.trail < most:
            return False
    elif order.trail != 0.0:
        return False
    if order.tif >= TimeInForce.AT_THE_OPEN and order.type > OrderType.LIMIT:
        return False  # an auction knows no stops
    if order.arrival == 0 and (order.tif == TimeInForce.GTD) != (order.expires != NEVER):
        return False
    if order.tif == TimeInForce.GTD and order.expires <= s.clock[0].now:
        return False
    now_or_never = order.tif == TimeInForce.IOC or order.tif == TimeInForce.FOK
    return not (order.post_only and (order.type != OrderType.LIMIT or now_or_never))


@jit
def judge(s: State, order: Any, closing: Any) -> int:
    """The gate's verdict on an order: NONE, or why not. Where the account resizes, it may cut the order's lots.

    closing: 1 for an order that closes what its strategy holds where the account is flattened: an exit, even where
    another strategy of the account holds the opposite.
    """
    return int(_verdict(s, order, closing))


@jit
def _verdict(s: State, order: Any, closing: Any) -> int:
    c = s.clock[0]
    account = s.accounts[order.account]
    slot = s.slots[order.slot]
    holding = s.holdings[slot.holding]
    instrument = s.instruments[order.instrument]
    if order.reduce_only:
        held = max(-slot.lots * order.side, np.int64(0))
        if held == 0:
            return Code.REDUCE_ONLY.value
        if order.lots > held:
            order.lots = held
            order.code = Code.REDUCE_ONLY
    own = (
        account.leverage == 0.0 and order.side == Side.SELL
    )  # a cash account sells only what the strategy has
    sellable = slot.lots if order.reduce_only else slot.lots - slot.working_sell
    if own and account.cuts and 0 < sellable < order.lots:
        order.lots = sellable
        order.code = Code.SHORT
    leaving = closing or order.reduce_only or is_exit(holding, order.side, order.lots)
    closes_own = closing or order.reduce_only or is_exit(slot, order.side, order.lots)
    order.measure = 0.0
    order.bound = 0.0
    mine = strategy_portfolio(s, slot.strategy)

    if account.state != TradingState.ACTIVE and not leaving:
        return Code.TRADING_STATE.value
    if s.strategies[slot.strategy].state != TradingState.ACTIVE and not closes_own:
        return Code.TRADING_STATE.value
    code = denied_by_loss(s, order.account)
    if code != Code.NONE and not leaving:
        return code
    if mine != NONE and not closes_own:
        code = denied_by_loss(s, mine)
        if code != Code.NONE:
            return code
    if instrument.delisted:
        return Code.DELISTED.value
    if not well_formed(s, order, instrument):
        return Code.INSTRUMENT.value
    order.exit = 0
    if leaving:
        order.exit = 2 if closing else 1
        if own and order.lots > sellable:
            return Code.SHORT.value
        return Code.NONE.value if closes_own else check_losses(s, order, np.int64(1), np.int64(0), 1)
    if c.live_orders >= c.most_orders:
        return Code.BUFFER.value
    if order.lots < instrument.min_lots or order.lots > instrument.max_lots:
        return Code.INSTRUMENT.value
    code = price_trouble(s, instrument, account.max_stale_ns)
    if code != Code.NONE:
        return code
    if account.collar > 0.0 and _beyond_collar(account, instrument, order):
        return Code.PRICE_COLLAR.value
    if not _rate_allows(s, account):
        return Code.ORDER_RATE.value
    code = _limits(s, account, slot, holding, instrument, order).value
    if code == Code.NONE:
        code = check_losses(s, order, np.int64(0), closes_own, max(instrument.min_lots, 1))
    if code == Code.NONE:
        if order.side == Side.BUY and account.leverage == 0.0:
            order.reserved = reserve_for(order, instrument, order.lots)
            if order.reserved == NO_MONEY:
                order.reserved = 0
                return Code.OVERFLOW.value
    return code


@inline
def _beyond_collar(account: Any, instrument: Any, order: Any) -> bool:
    """Whether one of the order's prices is too far from the last."""
    most = account.collar * instrument.price * (1.0 + 1e-9)
    limit = order.limit > 0.0 and abs(order.limit - instrument.price) > most
    return limit or (is_stop(order) and order.stop > 0.0 and abs(order.stop - instrument.price) > most)


@inline
def _fit(account: Any, instrument: Any, order: Any, room: int, code: Code) -> Code:
    """NONE where the order fits into the room; else cut it to fit, where that is allowed and possible; else code."""
    if order.lots <= room:
        return Code.NONE
    if not account.cuts or room < max(instrument.min_lots, 1):
        return code
    order.lots = room
    order.code = code
    return Code.NONE


@inline
def _lots_worth(budget: float, unit: float) -> Any:
    """How many lots of a unit value a budget holds; none where it is spent."""
    if not budget > 0.0:
        return np.int64(0)
    return np.int64(min(np.floor(budget / unit * (1.0 + 1e-12)), float(_MANY)))


@jit
def _limits(s: State, account: Any, slot: Any, holding: Any, instrument: Any, order: Any) -> Code:
    """The limits on size: each is the room, in lots, that it leaves for this order."""
    price = worst_price(order, instrument) if order.side == Side.BUY else max(instrument.price, order.limit)
    unit = price * instrument.money_per_lot
    if account.max_order_notional > 0:
        room = _lots_worth(float(account.max_order_notional), unit)
        if _fit(account, instrument, order, room, Code.ORDER_NOTIONAL) != Code.NONE:
            return Code.ORDER_NOTIONAL
    if account.leverage > 0.0:
        if not order.lots * unit < float(_MANY):
            return Code.OVERFLOW
    elif order.side == Side.BUY:
        free = account.cash - account.reserved
        room = affordable(instrument, order, price, order.lots, free)
        if _fit(account, instrument, order, room, Code.CASH) != Code.NONE:
            return Code.CASH
    else:
        if _fit(account, instrument, order, slot.lots - slot.working_sell, Code.SHORT) != Code.NONE:
            return Code.SHORT
        if not order.lots * unit < float(_MANY):
            return Code.OVERFLOW
    working = holding.working_buy if order.side == Side.BUY else holding.working_sell
    held = holding.lots * order.side + working  # in the order's direction, were all that works to fill
    # what is held is not worth less than it is now
    full_unit = max(price, instrument.price) * instrument.money_per_lot
    if account.leverage > 0.0:
        budget = account.leverage * equity_of(s, account) - worst_gross(s, account, order.instrument)
        room = _lots_worth(budget, full_unit) - held
        if _fit(account, instrument, order, room, Code.MARGIN) != Code.NONE:
            return Code.MARGIN
    if account.max_position > 0.0:
        room = _lots_worth(account.max_position, instrument.lot_size) - held
        if _fit(account, instrument, order, room, Code.POSITION) != Code.NONE:
            return Code.POSITION
    if account.max_gross <= 0.0 and account.max_net <= 0.0 and account.max_concentration <= 0.0:
        return Code.NONE
    unit = full_unit
    equity = equity_of(s, account)
    if equity <= 0:
        return Code.GROSS_EXPOSURE
    if account.max_gross > 0.0:
        others = worst_gross(s, account, order.instrument)
        room = _lots_worth(account.max_gross * equity - others, unit) - held
        if _fit(account, instrument, order, room, Code.GROSS_EXPOSURE) != Code.NONE:
            return Code.GROSS_EXPOSURE
    if account.max_net > 0.0:
        room = _lots_worth(account.max_net * equity - _net(s, account, order.side), unit)
        if _fit(account, instrument, order, room, Code.NET_EXPOSURE) != Code.NONE:
            return Code.NET_EXPOSURE
    if account.max_concentration > 0.0:
        room = _lots_worth(account.max_concentration * equity, unit) - held
        if _fit(account, instrument, order, room, Code.CONCENTRATION) != Code.NONE:
            return Code.CONCENTRATION
    return Code.NONE


@jit
def _net(s: State, account: Any, side: int) -> int:
    """Worst-case net exposure in the direction of `side`, money units: all that works on that side fills."""
    total = 0
    for h in range(account.first_holding, account.first_holding + account.n_holdings):
        holding = s.holdings[h]
        working = holding.working_buy if side == Side.BUY else holding.working_sell
        instrument = s.instruments[holding.instrument]
        total += value_of(instrument, holding.lots * side + working, instrument.price)
    return total


@inline
def _rate_allows(s: State, account: Any) -> bool:
    """Whether one more order is within the account's rate: at most rate_orders in any window."""
    if account.rate_orders == 0:
        return True
    oldest = s.order_times[account.rate_first + account.rate_next]
    return bool(s.clock[0].now - oldest >= account.rate_window)


@inline
def count_order(s: State, account: Any) -> None:
    """Count an approved order in the account's rate; an exit counts, though the rate does not stop it."""
    if account.rate_orders > 0:
        s.order_times[account.rate_first + account.rate_next] = s.clock[0].now
        account.rate_next = (account.rate_next + 1) % account.rate_orders
