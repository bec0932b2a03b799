"""Corporate actions: what a split, a dividend, a new symbol or a delisting does to all that an instrument is part of.

Prices are raw: what trades is what a fill pays. What looks back (the bars kept, the bar under construction, indicators)
is brought to today's shares and prices at the action, so that an indicator sees a continuous price: a split divides what
lies before it by its ratio, a dividend D after a last price P multiplies it by 1 - D / P (as the Center for Research in
Security Prices does).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.book import enter_book, is_limit, is_stop, leave_book, refresh_triggers
from engine.cancel import after, id_of
from engine.cash import deposit, pay_slot
from engine.events import blank_event, push_call, report
from engine.features import rescale_features
from engine.groups import trim_reducing
from engine.guards import operate
from engine.jit import inline, jit
from engine.ledger import NO_MONEY, ROOM, amount_of, book_fill, money, on_grid, set_lots, share_of, value_of
from engine.orders import count_working, end_order, is_live
from engine.records import (
    HUGE,
    NONE,
    BarKind,
    Call,
    Code,
    EventKind,
    OperatorAction,
    RowKind,
    Side,
    State,
    Status,
    Wants,
)
from engine.scenarios import pay_history, split_history

_MOST_LOTS = 2**53  # float64 holds each whole number up to here
_FINEST = 1_000_000  # a ratio that is no whole number is taken to so many parts


@jit
def take_action(s: State, kind: int, k: int, price: float, size: float) -> bool:
    """Take a row that is no price; false where it makes no sense, and then nothing has changed.

    k: an instrument, of a row of kind CASH an account, of kind OPERATOR a portfolio.
    """
    if kind == RowKind.OPERATOR:
        if not (0 <= k < len(s.portfolios) and -1.0 <= size < 2.0**31 and size == np.floor(size)):
            return False
        if not (0.0 <= price <= OperatorAction.FLATTEN.value and price == np.floor(price)):
            return False
        operate(s, k, np.int64(price), np.int64(size))
        return True
    if kind == RowKind.CASH:
        if not 0 <= k < len(s.accounts):
            return False
        amount = money(price * s.accounts[k].scale)
        if amount == NO_MONEY:
            return False
        deposit(s, k, amount)
        return True
    if not 0 <= k < len(s.instruments) or s.instruments[k].delisted:
        return False
    if kind == RowKind.MARK:
        if not 0.0 < price < HUGE:
            return False
        s.instruments[k].price = price
        s.instruments[k].marked = s.clock[0].now
        return True
    if kind == RowKind.SPLIT:
        return _split(s, k, price, size)
    if kind == RowKind.DIVIDEND:
        return _dividend(s, k, price)
    if kind == RowKind.DELISTING:
        return _delist(s, k, price, size)
    if kind != RowKind.SYMBOL or not (0.0 <= price < 2.0**31 and price == np.floor(price)):
        return False
    s.instruments[k].symbol = np.int64(price)
    _tell(s, k, Code.SYMBOL.value, price, size)
    return True


@jit
def _tell(s: State, k: int, code: int, price: float, size: float) -> None:
    """Write the event of an action, and tell the actors that trade the instrument."""
    place = blank_event(s, EventKind.ACTION.value, code)
    e = s.events[place]
    e.instrument = k
    e.last_px = price
    e.stop = size
    c = s.clock[0]
    if c.now < c.trade_from:
        return
    for i in range(c.deciding_slots):
        slot = s.slots[i]
        if slot.instrument == k and s.strategies[slot.strategy].wants & Wants.ACTION:
            push_call(s, Call.ACTION.value, slot.strategy, place)


@inline
def _greatest_divisor(a: Any, b: Any) -> Any:
    while b != 0:
        a, b = b, a % b
    return a


@inline
def _scaled(lots: Any, numerator: Any, denominator: Any) -> Any:
    """Lots after a split, towards zero; a fraction is left out."""
    whole = abs(lots) * numerator // denominator
    return whole if lots >= 0 else -whole


@jit
def _split(s: State, k: int, new: float, old: float) -> bool:
    if not (0.0 < new < HUGE and 0.0 < old < HUGE):
        return False
    parts = 1.0 if new == np.floor(new) and old == np.floor(old) else float(_FINEST)
    if not (new * parts < 1e9 and old * parts < 1e9 and new * parts >= 0.5 and old * parts >= 0.5):
        return False
    numerator: Any = np.int64(np.rint(new * parts))
    denominator: Any = np.int64(np.rint(old * parts))
    divisor = _greatest_divisor(numerator, denominator)
    numerator //= divisor
    denominator //= divisor
    instrument = s.instruments[k]
    # all that is to be multiplied must fit, or nothing is
    most = min(9e18 / numerator, _MOST_LOTS * (denominator / numerator))
    for h in range(len(s.holdings)):
        if s.holdings[h].instrument == k and not abs(s.holdings[h].lots) < most:
            return False
    for i in range(len(s.slots)):
        if s.slots[i].instrument == k and not abs(s.slots[i].lots) < most:
            return False
    place = instrument.first_order
    while place != NONE:
        if not max(s.orders[place].lots, s.orders[place].new_lots) < most:
            return False
        place = s.orders[place].next
    factor = denominator / numerator
    split_history(s, k, factor)
    was = instrument.price
    instrument.price = was * denominator / numerator
    instrument.traded = instrument.traded * denominator / numerator
    _tell(s, k, Code.SPLIT.value, new, old)
    for h in range(len(s.holdings)):
        if s.holdings[h].instrument == k:
            _split_holding(s, h, was, numerator, denominator)
    _rescale_bars(s, k, factor, 1.0 / factor)
    place = instrument.first_order
    while place != NONE:
        _split_order(s, place, numerator, denominator)
        place = s.orders[place].next
    place = instrument.first_order
    while place != NONE:  # of some nothing is left
        order = s.orders[place]
        order_id = order.id
        following = order.next
        following_id = id_of(s, following)
        if order.lots == order.cum_lots:
            end_order(s, place, Status.CANCELED.value, Code.SPLIT.value)
        place = after(s, instrument, following, following_id, order_id)
    for i in range(len(s.slots)):
        if s.slots[i].instrument == k and s.slots[i].lots == 0 and s.slots[i].reducing > 0:
            trim_reducing(s, i)
    refresh_triggers(s, instrument)
    return True


@jit
def _split_holding(s: State, h: int, was: float, numerator: Any, denominator: Any) -> None:
    """Multiply a holding, slot by slot; cash for fractions of a lot leaves its value as it was, to the last unit."""
    holding = s.holdings[h]
    instrument = s.instruments[holding.instrument]
    lots: Any = np.int64(0)
    last = NONE
    fractions = 0
    for i in range(len(s.slots)):
        slot = s.slots[i]
        if slot.holding == h and slot.lots != 0:
            lots += _scaled(slot.lots, numerator, denominator)
            if abs(slot.lots) * numerator % denominator != 0:
                fractions += 1
                last = i
            elif fractions == 0:
                last = i  # without a fraction a unit may be over all the same, where a value was half a unit
    cash = value_of(instrument, holding.lots, was) - value_of(instrument, lots, instrument.price)
    for i in range(len(s.slots)):
        slot = s.slots[i]
        if slot.holding != h or slot.lots == 0:
            continue
        rest = abs(slot.lots) * numerator % denominator
        whole = _scaled(slot.lots, numerator, denominator)
        if rest != 0 or (i == last and cash != 0):
            side = 1 if slot.lots > 0 else -1
            amount = cash  # the last of them takes what is left
            if i != last:
                amount = side * value_of(instrument, 1, instrument.price * (rest / denominator))
            cash -= amount
            # the fraction's share of the cost: rest of all the parts, |lots| * numerator
            parts = abs(slot.lots) * numerator
            cost = side * share_of(abs(slot.cost), rest, parts) if rest != 0 else np.int64(0)
            slot.cost -= cost
            set_lots(s, slot, whole)
            slot.realized += amount - cost
            s.accounts[slot.account].realized += amount - cost
            e = pay_slot(s, slot, Code.SPLIT.value, amount)
            e.realized = amount - cost
            if whole == 0:
                slot.bars_held = 0
        set_lots(s, slot, whole)
    holding.lots = lots


@jit
def _split_order(s: State, place: int, numerator: Any, denominator: Any) -> None:
    """An order's quantity is multiplied and its prices divided."""
    order = s.orders[place]
    instrument = s.instruments[order.instrument]
    factor = denominator / numerator
    held = _scaled(order.held_lots, numerator, denominator)
    leaves = _scaled(order.lots - order.cum_lots - order.held_lots, numerator, denominator)
    order.cum_lots = _scaled(order.cum_lots, numerator, denominator)
    amended = np.int64(0)
    if order.new_lots > 0:
        order.new_lots = max(_scaled(order.new_lots, numerator, denominator), order.cum_lots + 1)
        amended = order.new_lots - order.cum_lots
    order.new_limit = _reprice(instrument, order, order.new_limit * factor, True)
    order.new_stop = _reprice(instrument, order, order.new_stop * factor, False)
    if order.working > 0:
        count_working(s, order, max(leaves, amended))
    order.held_lots = held
    order.lots = order.cum_lots + leaves + held
    order.limit = _reprice(instrument, order, order.limit * factor, True)
    order.stop = _reprice(instrument, order, order.stop * factor, False)
    if order.trail_kind == 0:
        order.trail *= factor
    if leaves + held > 0:
        report(s, order, EventKind.ORDER)
    _rest_anew(s, place)


@inline
def _reprice(instrument: Any, order: Any, price: float, limit: bool) -> float:
    """A price after an action on the tick grid, rounded so that the order is no easier to fill; 0 stays 0."""
    if price <= 0.0:
        return 0.0
    ticks = price / instrument.tick_size
    down = (order.side == Side.BUY) == limit
    rounded = np.floor(ticks + 1e-6) if down else np.ceil(ticks - 1e-6)
    return on_grid(max(rounded, 1.0), instrument.tick_size)


@inline
def _lowered(instrument: Any, order: Any, price: float, amount: float, limit: bool) -> float:
    """A price less a dividend, at least a tick; 0 stays 0, and so does a price that falls by nothing."""
    if price <= 0.0 or amount <= 0.0:
        return float(price)
    return _reprice(instrument, order, max(price - amount, instrument.tick_size), limit)


@inline
def _payable(s: State, i: int, k: int, price: float) -> bool:
    """Whether slot i, if it is of instrument k, can be paid that price for each unit exactly."""
    slot = s.slots[i]
    account = s.accounts[slot.account]
    if slot.instrument != k or slot.lots == 0:
        return True
    paid = money(amount_of(s.instruments[k], slot.lots, price))
    return bool(
        paid != NO_MONEY and max(abs(account.cash), abs(account.income), abs(account.realized)) < ROOM
    )


@inline
def _rest_anew(s: State, place: int) -> None:
    """An order with new prices waits for them; what it waits for is measured from the instrument's new price."""
    order = s.orders[place]
    if order.book != 0:
        leave_book(s, place)
        enter_book(s, place, s.instruments[order.instrument].price)


@jit
def _dividend(s: State, k: int, amount: float) -> bool:
    """Who holds is paid, who is short pays; buy limits and sell stops fall by the dividend."""
    instrument = s.instruments[k]
    if not (0.0 < amount < HUGE):
        return False
    if instrument.price > 0.0 and amount >= instrument.price:
        return False
    for i in range(len(s.slots)):
        if not _payable(s, i, k, amount):
            return False
    _tell(s, k, Code.DIVIDEND.value, amount, 0.0)
    pay_history(s, k, amount)
    for i in range(len(s.slots)):
        slot = s.slots[i]
        if slot.instrument == k and slot.lots != 0:
            paid = money(amount_of(instrument, slot.lots, amount))
            slot.income += paid
            s.accounts[slot.account].income += paid
            pay_slot(s, slot, Code.DIVIDEND.value, paid)
    if instrument.price <= 0.0:
        return True
    _rescale_bars(s, k, 1.0 - amount / instrument.price, 1.0)
    instrument.price -= amount
    instrument.traded = max(instrument.traded - amount, 0.0)
    place = instrument.first_order
    while place != NONE:
        order = s.orders[place]
        order_id = order.id
        following = order.next
        following_id = id_of(s, following)
        stop = order.side == Side.SELL and is_stop(order)
        if stop or (order.side == Side.BUY and is_limit(order)):
            order.limit = _lowered(instrument, order, order.limit, amount, True)
            order.new_limit = _lowered(instrument, order, order.new_limit, amount, True)
            order.stop = _lowered(instrument, order, order.stop, amount if stop else 0.0, False)
            order.new_stop = _lowered(instrument, order, order.new_stop, amount if stop else 0.0, False)
            report(s, order, EventKind.ORDER)
        _rest_anew(s, place)  # the price has moved under all of them
        place = after(s, instrument, following, following_id, order_id)
    refresh_triggers(s, instrument)
    return True


@jit
def _delist(s: State, k: int, price: float, given: float) -> bool:
    """Orders are cancelled, positions are closed at what a unit pays, without fees; the instrument trades no more."""
    instrument = s.instruments[k]
    paid = price if given > 0.0 else instrument.price
    if not 0.0 <= paid < HUGE:
        return False
    for i in range(len(s.slots)):
        if not _payable(s, i, k, paid):
            return False
    instrument.delisted = 1
    pay_history(s, k, paid)
    _tell(s, k, Code.DELISTED.value, paid, given)
    place = instrument.first_order
    while place != NONE:
        order = s.orders[place]
        order_id = order.id
        following = order.next
        following_id = id_of(s, following)
        if is_live(order):
            order.then_sell = 0
            end_order(s, place, Status.CANCELED.value, Code.DELISTED.value)
        place = after(s, instrument, following, following_id, order_id)
    for i in range(len(s.slots)):
        slot = s.slots[i]
        if slot.instrument == k and slot.lots != 0:
            side = Side.SELL.value if slot.lots > 0 else Side.BUY.value
            notional = money(amount_of(instrument, abs(slot.lots), paid))
            account = s.accounts[slot.account]
            realized = book_fill(s, slot, side, abs(slot.lots), notional, 0)
            account.fills -= 1  # it is none
            account.cash += side * notional  # which `pay_slot` moves
            pay_slot(s, slot, Code.DELISTED.value, -side * notional).realized = realized
    refresh_triggers(s, instrument)
    return True


@jit
def _rescale_bars(s: State, k: int, price: float, volume: float) -> None:
    """Multiply what looks back on instrument k: its bars, the one under construction, and its indicators."""
    instrument = s.instruments[k]
    for i in range(instrument.first_series, instrument.first_series + instrument.n_series):
        series = s.series[i]
        series.open *= price
        series.high *= price
        series.low *= price
        series.close *= price
        series.volume *= volume
        series.next_open *= price
        series.next_high *= price
        series.next_low *= price
        series.next_close *= price
        series.next_volume *= volume
        if series.kind == BarKind.VOLUME:
            series.amount *= volume
        for j in range(series.first_bar, series.first_bar + min(series.bars, series.capacity)):
            bar = s.bars[j]
            bar.open *= price
            bar.high *= price
            bar.low *= price
            bar.close *= price
            bar.volume *= volume
        rescale_features(series, s.features, price, volume)
