"""What time alone does to orders: they become active, take new terms, are cancelled, expire, or fill at the close."""

from __future__ import annotations

from engine.book import enter_book, is_limit, is_stop, leave_book, refresh_triggers
from engine.cancel import after, id_of
from engine.costs import reserve_for
from engine.events import report
from engine.jit import jit
from engine.ledger import NO_MONEY
from engine.matching import fill_at_close
from engine.orders import activate, close_out, count_working, end_order, is_live, move
from engine.records import NEVER, NONE, Code, EventKind, State, Status, TimeInForce


@jit
def run_orders_due(s: State) -> None:
    """Do what is due on orders at the engine's time: in order of instrument, then of submission."""
    c = s.clock[0]
    c.order_due = NEVER
    for k in range(len(s.instruments)):
        instrument = s.instruments[k]
        if instrument.order_due > c.now:
            c.order_due = min(c.order_due, instrument.order_due)
            continue
        instrument.order_due = NEVER
        place = instrument.first_order
        while place != NONE:
            order = s.orders[place]
            order_id = order.id
            following = order.next
            following_id = id_of(s, following)
            due = min(order.active_from, order.amend_at, order.cancel_at, order.expires)
            if due <= c.now:
                _carry_out(s, place)
            if is_live(order) and order.id == order_id:
                due = min(order.active_from, order.amend_at, order.cancel_at, order.expires)
                instrument.order_due = min(instrument.order_due, due)
            place = after(s, instrument, following, following_id, order_id)
        c.order_due = min(c.order_due, instrument.order_due)
        refresh_triggers(s, instrument)


@jit
def _carry_out(s: State, place: int) -> None:
    c = s.clock[0]
    order = s.orders[place]
    if order.expires <= c.now:
        if order.tif == TimeInForce.AT_THE_CLOSE:
            fill_at_close(s, place)
        else:
            end_order(s, place, Status.EXPIRED.value, Code.NONE.value)
    elif order.cancel_at <= c.now:
        end_order(s, place, Status.CANCELED.value, order.code)
    else:
        if order.active_from <= c.now:
            accepted = activate(s, place)
            if order.status == Status.NEW or not accepted:
                report(s, order, EventKind.ORDER)
            if not accepted:
                close_out(s, place)
        if order.amend_at <= c.now and is_live(order):
            take_terms(s, place)


@jit
def take_terms(s: State, place: int) -> None:
    """The broker takes the new terms of an order that the gate let through, and lets it rest anew.

    One that has filled more than it should now have ends as filled.
    """
    c = s.clock[0]
    order = s.orders[place]
    instrument = s.instruments[order.instrument]
    lots = order.lots if order.new_lots == 0 else max(order.new_lots, order.cum_lots)
    limit = order.limit if order.new_limit == 0.0 else order.new_limit
    stop = order.stop if order.new_stop == 0.0 or not is_stop(order) else order.new_stop
    moved = limit != order.limit or stop != order.stop or lots > order.lots
    order.amend_at = NEVER
    order.new_lots = 0
    order.new_limit = 0.0
    order.new_stop = 0.0
    order.lots = lots
    order.limit = limit
    order.stop = stop
    leaves = order.lots - order.cum_lots
    if order.working > 0:
        count_working(s, order, min(order.working, leaves))
    if order.reserved > 0 and order.partner == NONE:
        needed = reserve_for(order, instrument, leaves)
        if needed != NO_MONEY and needed < order.reserved:
            s.accounts[order.account].reserved -= order.reserved - needed
            order.reserved = needed
    if leaves == 0:
        if move(s, order, Status.FILLED):
            report(s, order, EventKind.ORDER)
            close_out(s, place)
        return
    active = order.active_from == NEVER and order.arrival > 0
    if active and moved:
        leave_book(s, place)
        c.arrivals += 1
        order.arrival = c.arrivals  # it goes to the end of the queue
        if is_limit(order) and instrument.price > 0.0:
            crosses = (order.limit - instrument.price) * order.side >= 0.0
            if crosses and order.post_only:
                end_order(s, place, Status.CANCELED.value, Code.POST_ONLY.value)
                refresh_triggers(s, instrument)
                return
            order.taker = int(crosses or order.tif == TimeInForce.IOC or order.tif == TimeInForce.FOK)
        enter_book(s, place, instrument.price)
        refresh_triggers(s, instrument)
    report(s, order, EventKind.ORDER)
