"""Cancelling orders: one, a side, those of a strategy or of an account; and walking along orders some of which end."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.book import refresh_triggers
from engine.events import report, wake_orders
from engine.jit import inline, jit
from engine.orders import end_order, is_live, move
from engine.records import NONE, Code, EventKind, State, Status


@inline
def after(s: State, instrument: Any, following: int, following_id: int, order_id: int) -> int:
    """The order that was submitted next after one of that id, also where that one's end took others along.

    following: the one that came next before, with its id.
    """
    if following == NONE or (s.orders[following].id == following_id and is_live(s.orders[following])):
        return following
    place = instrument.first_order
    while place != NONE and s.orders[place].id <= order_id:
        place = s.orders[place].next
    return int(place)


@inline
def id_of(s: State, place: int) -> int:
    """The id of the order in that place, or 0."""
    return 0 if place == NONE else int(s.orders[place].id)


@jit
def find_order(s: State, order_id: int) -> int:
    """The place of a live order, or NONE."""
    for place in range(len(s.orders)):
        if s.orders[place].id == order_id and is_live(s.orders[place]):
            return place
    return NONE


@jit
def cancel_order(s: State, place: int, code: int) -> bool:
    """Ask the broker to cancel a live order: at once, or after the latency; false where one is on its way already."""
    c = s.clock[0]
    order = s.orders[place]
    if order.status == Status.PENDING_CANCEL:
        return False
    instrument = s.instruments[order.instrument]
    if instrument.latency_ns == 0:
        end_order(s, place, Status.CANCELED.value, code)
        refresh_triggers(s, instrument)
        return True
    if not move(s, order, Status.PENDING_CANCEL):
        return False
    order.code = code
    order.cancel_at = c.now + instrument.latency_ns
    report(s, order, EventKind.ORDER)
    wake_orders(s, order.instrument, order.cancel_at)
    return True


@jit
def cancel_chain(s: State, k: int, account: int, strategy: int, side: int, code: int, then_sell: Any) -> None:
    """Cancel the live orders in instrument k of an account, a strategy or a side; NONE, and 0 of a side, are any.

    Orders that flatten or liquidate an account are left: they close what there is.

    Reduce-only orders have no side here: they close what there is. then_sell=1: what the orders leave unsold when they
    have ended is sold.
    """
    instrument = s.instruments[k]
    place = instrument.first_order
    while place != NONE:
        order = s.orders[place]
        order_id = order.id
        following = order.next
        following_id = id_of(s, following)
        if (
            (account == NONE or order.account == account)
            and (strategy == NONE or s.slots[order.slot].strategy == strategy)
            and (side == 0 or (order.side == side and not order.reduce_only))
            and order.exit != 2
        ):
            order.then_sell = max(order.then_sell, then_sell)
            cancel_order(s, place, code)
        place = after(s, instrument, following, following_id, order_id)


@jit
def cancel_side(s: State, slot_index: int, side: int) -> None:
    """Cancel the slot's working orders of that side."""
    slot = s.slots[slot_index]
    cancel_chain(s, slot.instrument, NONE, slot.strategy, side, Code.NONE.value, np.int64(0))


@jit
def cancel_account(s: State, account_index: int, code: int, then_sell: Any) -> None:
    """Cancel all working orders of an account; then_sell as in `cancel_chain`."""
    account = s.accounts[account_index]
    for h in range(account.first_holding, account.first_holding + account.n_holdings):
        cancel_chain(s, s.holdings[h].instrument, account_index, NONE, 0, code, then_sell)


@jit
def cancel_strategy(s: State, strategy_index: int, code: int, then_sell: Any) -> None:
    """Cancel all working orders of a strategy; then_sell as in `cancel_chain`."""
    strategy = s.strategies[strategy_index]
    for i in range(strategy.first_slot, strategy.first_slot + strategy.n_slots):
        cancel_chain(s, s.slots[i].instrument, NONE, strategy_index, 0, code, then_sell)
