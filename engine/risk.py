"""The gate: an order is approved, cut or denied with a code; and the hard stops, which act on marks.

`submit` is the one way to the broker, for strategies and operators alike. The checks run in the order of `Code`.
Working orders count as if any of them could fill. What cannot be computed is denied. An exit (it shrinks the account's
position and does not flip it, whatever else is working) passes all but the instrument's own rules and the ban on
selling what one does not have.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.jit import inline, jit
from engine.ledger import NO_MONEY, equity_of, value_of
from engine.matching import affordable, reserve_for, worst_price
from engine.orders import accept_order, cancel_account, deny_order, open_order
from engine.records import (
    DAY,
    NONE,
    Code,
    EventKind,
    OrderType,
    Side,
    State,
    TimeInForce,
    TradingState,
)

_MANY = 2**53  # lots: more than any order may have


@jit
def submit(
    s: State, slot_index: int, side: int, type_: int, tif: int, lots: int, limit: float, stop: float, tag: int
) -> int:
    """Put an order before the gate, and before the broker if it passes; the order's id.

    lots > 0; limit and stop are prices, 0 where the type has none. What became of it is in the events.
    """
    place = open_order(s, slot_index, side, type_, tif, lots, limit, stop, tag)
    order = s.orders[place]
    order_id = order.id  # kept: a denied order's place is free again
    code = _judge(s, order)
    if code == Code.NONE:
        accept_order(s, place)
    else:
        deny_order(s, place, code)
    return order_id


@inline
def submit_market(s: State, slot_index: int, side: int, lots: int) -> int:
    """Put a plain market order before the gate; its id."""
    tag: Any = np.int64(0)
    return submit(s, slot_index, side, OrderType.MARKET.value, TimeInForce.GTC.value, lots, 0.0, 0.0, tag)


@inline
def is_exit(holding: Any, side: int, lots: int) -> bool:
    """Whether an order shrinks the position and cannot flip it, even if all that works on its side fills."""
    if holding.lots * side >= 0:
        return False
    working = holding.working_buy if side == Side.BUY else holding.working_sell
    return bool(lots + working <= abs(holding.lots))


@inline
def _on_grid(price: float, tick: float) -> bool:
    ticks = price / tick
    return abs(ticks - np.rint(ticks)) <= 1e-6


@jit
def _well_formed(order: Any, instrument: Any) -> bool:
    """Whether quantity and prices make sense; the smallest and largest size are no rules for exits."""
    if order.lots < 1 or order.lots > _MANY:
        return False
    if order.type == OrderType.LIMIT:
        return order.limit > 0.0 and order.limit < np.inf and _on_grid(order.limit, instrument.tick_size)
    if order.type == OrderType.STOP:
        return order.stop > 0.0 and order.stop < np.inf and _on_grid(order.stop, instrument.tick_size)
    return True


@jit
def _judge(s: State, order: Any) -> int:
    """The gate's verdict on an order: NONE, or why not. Where the account resizes, it may cut the order's lots."""
    c = s.clock[0]
    account = s.accounts[order.account]
    slot = s.slots[order.slot]
    holding = s.holdings[slot.holding]
    instrument = s.instruments[order.instrument]
    sellable = slot.lots - slot.working_sell  # a cash account sells only what the strategy has
    if order.side == Side.SELL and account.cuts and 0 < sellable < order.lots:
        order.lots = sellable
        order.code = Code.SHORT
    leaving = is_exit(holding, order.side, order.lots)

    if account.state != TradingState.ACTIVE and not leaving:
        return Code.TRADING_STATE
    if not _well_formed(order, instrument):
        return Code.INSTRUMENT
    if leaving:
        if order.lots > sellable and order.side == Side.SELL:
            return Code.SHORT
        _count_order(s, account)
        return Code.NONE
    if order.lots < instrument.min_lots or order.lots > instrument.max_lots:
        return Code.INSTRUMENT
    if not (instrument.price > 0.0 and instrument.price < np.inf):
        return Code.PRICE_MISSING
    if account.max_stale_ns > 0 and c.now - instrument.ts > account.max_stale_ns:
        return Code.PRICE_STALE
    if account.collar > 0.0 and order.type != OrderType.MARKET:
        asked = order.limit if order.type == OrderType.LIMIT else order.stop
        if abs(asked - instrument.price) > account.collar * instrument.price * (1.0 + 1e-9):
            return Code.PRICE_COLLAR
    if not _rate_allows(s, account):
        return Code.ORDER_RATE
    code = _limits(s, account, slot, holding, instrument, order)
    if code == Code.NONE:
        if order.side == Side.BUY:
            order.reserved = reserve_for(order, instrument, order.lots)
            if order.reserved == NO_MONEY:
                return Code.OVERFLOW
        _count_order(s, account)
    return code


@inline
def _fit(account: Any, instrument: Any, order: Any, room: int, code: int) -> int:
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
def _limits(s: State, account: Any, slot: Any, holding: Any, instrument: Any, order: Any) -> int:
    """The limits on size: each is the room, in lots, that it leaves for this order."""
    price = worst_price(order, instrument) if order.side == Side.BUY else max(instrument.price, order.limit)
    unit = price * instrument.money_per_lot
    if account.max_order_notional > 0:
        room = _lots_worth(float(account.max_order_notional), unit)
        if _fit(account, instrument, order, room, Code.ORDER_NOTIONAL) != Code.NONE:
            return Code.ORDER_NOTIONAL
    if order.side == Side.BUY:
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
    if account.max_position > 0.0:
        room = _lots_worth(account.max_position, instrument.lot_size) - held
        if _fit(account, instrument, order, room, Code.POSITION) != Code.NONE:
            return Code.POSITION
    if account.max_gross <= 0.0 and account.max_net <= 0.0 and account.max_concentration <= 0.0:
        return Code.NONE
    # what is held is not worth less than it is now
    unit = max(price, instrument.price) * instrument.money_per_lot
    equity = equity_of(s, account)
    if equity <= 0:
        return Code.GROSS_EXPOSURE
    if account.max_gross > 0.0:
        others = _gross(s, account, order.instrument)
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
    return Code.NONE  # VaR and CVaR take their place here


@jit
def _gross(s: State, account: Any, but: int) -> int:
    """Worst-case gross exposure of the account in all instruments but one, money units."""
    total = 0
    for h in range(account.first_holding, account.first_holding + account.n_holdings):
        holding = s.holdings[h]
        if holding.instrument != but:
            lots = max(abs(holding.lots + holding.working_buy), abs(holding.lots - holding.working_sell))
            instrument = s.instruments[holding.instrument]
            total += value_of(lots, instrument.price, instrument.money_per_lot)
    return total


@jit
def _net(s: State, account: Any, side: int) -> int:
    """Worst-case net exposure in the direction of `side`, money units: all that works on that side fills."""
    total = 0
    for h in range(account.first_holding, account.first_holding + account.n_holdings):
        holding = s.holdings[h]
        working = holding.working_buy if side == Side.BUY else holding.working_sell
        instrument = s.instruments[holding.instrument]
        total += value_of(holding.lots * side + working, instrument.price, instrument.money_per_lot)
    return total


@inline
def _rate_allows(s: State, account: Any) -> bool:
    """Whether one more order is within the account's rate: at most rate_orders in any window."""
    if account.rate_orders == 0:
        return True
    oldest = s.order_times[account.rate_first + account.rate_next]
    return bool(s.clock[0].now - oldest >= account.rate_window)


@inline
def _count_order(s: State, account: Any) -> None:
    """Count an approved order in the account's rate; an exit counts, though the rate does not stop it."""
    if account.rate_orders > 0:
        s.order_times[account.rate_first + account.rate_next] = s.clock[0].now
        account.rate_next = (account.rate_next + 1) % account.rate_orders


@jit
def set_trading_state(s: State, account_index: int, state: int, code: int) -> None:
    """Switch what the account may do, and say so; HALTED also cancels its working orders."""
    c = s.clock[0]
    account = s.accounts[account_index]
    account.state = state
    e = s.events[c.n_events]
    c.n_events += 1
    e.ts = c.now
    e.seq = c.seq
    e.order_id = 0
    e.tag = 0
    e.submitted = 0
    e.order_seq = 0
    e.lots = state
    e.cum_lots = 0
    e.last_lots = 0
    e.last_px = 0.0
    e.limit = 0.0
    e.stop = 0.0
    e.notional = 0
    e.last_notional = 0
    e.fees = 0
    e.last_fee = 0
    e.realized = 0
    e.position = 0
    e.cash = account.cash
    e.observation = NONE
    e.account = account_index
    e.strategy = NONE
    e.instrument = NONE
    e.kind = EventKind.STATE
    e.status = 0
    e.side = 0
    e.type = 0
    e.tif = 0
    e.code = code
    e.maker = 0
    if state == TradingState.HALTED:
        cancel_account(s, account_index, code, np.int64(0))
    elif state == TradingState.ACTIVE:  # the hard stops start afresh from here
        account.equity = equity_of(s, account)
        account.stop_peak = account.equity
        account.day_equity = account.equity


@jit
def flatten(s: State, account_index: int) -> int:
    """Cancel the account's working orders and close its positions at the market; how many positions.

    What an order could still fill whose cancel is on its way is closed when that order has ended.
    """
    cancel_account(s, account_index, Code.OPERATOR.value, np.int64(1))
    return close_positions(s, account_index)


@jit
def close_positions(s: State, account_index: int) -> int:
    """Send market orders for what the account holds and no working order closes; how many."""
    n = 0
    for i in range(len(s.slots)):
        slot = s.slots[i]
        if slot.account == account_index and slot.lots != 0:
            side = Side.SELL.value if slot.lots > 0 else Side.BUY.value
            lots = abs(slot.lots) - (slot.working_sell if slot.lots > 0 else slot.working_buy)
            if lots > 0:
                submit_market(s, i, side, lots)
                n += 1
    return n


@jit
def sell_out(s: State) -> None:
    """Close what remains in accounts being flattened, of whose cancelled orders one has ended."""
    s.clock[0].sell_out = 0
    for a in range(len(s.accounts)):
        if s.accounts[a].sell_out:
            s.accounts[a].sell_out = 0
            close_positions(s, a)


@jit
def guard_accounts(s: State) -> None:
    """A mark may break a hard stop of an account: then its trading state switches at this row."""
    c = s.clock[0]
    day = c.now // DAY
    for a in range(len(s.accounts)):
        account = s.accounts[a]
        if account.state == TradingState.HALTED:
            continue
        if account.stop_drawdown <= 0.0 and account.stop_daily_loss <= 0.0:
            continue
        if day != account.day:
            account.day = day
            account.day_equity = account.equity  # as it was at the last mark of the day before
        account.equity = equity_of(s, account)
        account.stop_peak = max(account.stop_peak, account.equity)
        code = Code.NONE.value
        if 0.0 < account.stop_drawdown * account.stop_peak <= account.stop_peak - account.equity:
            code = Code.DRAWDOWN.value
        elif 0.0 < account.stop_daily_loss * account.day_equity <= account.day_equity - account.equity:
            code = Code.DAILY_LOSS.value
        if code != Code.NONE:
            set_trading_state(s, a, TradingState.HALTED.value, code)
            if account.stop_flattens:
                flatten(s, a)
