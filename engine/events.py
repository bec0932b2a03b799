"""What the engine tells: events in the outbox, questions to Python actors; and when it next has something to do."""

from __future__ import annotations

from typing import Any

from engine.jit import inline, jit
from engine.records import NEVER, NONE, Call, EventKind, State, Wants


@inline
def refresh_due(s: State) -> None:
    """The engine's next moment without a row is the earliest of its parts."""
    c = s.clock[0]
    c.due = min(c.series_due, c.order_due, c.timer_due, c.accrual_due, c.risk_due)


@inline
def wake_orders(s: State, k: int, at: int) -> None:
    """Something is due on an order in instrument k at that time."""
    c = s.clock[0]
    s.instruments[k].order_due = min(s.instruments[k].order_due, at)
    c.order_due = min(c.order_due, at)
    c.due = min(c.due, at)


@jit
def blank_event(s: State, kind: int, code: int) -> int:
    """An event of nothing but its time, to be filled in; its place."""
    c = s.clock[0]
    place = c.n_events
    e = s.events[place]
    c.n_events += 1
    e.ts = c.now
    e.seq = c.seq
    e.order_id = 0
    e.parent = 0
    e.tag = 0
    e.submitted = 0
    e.order_seq = 0
    e.lots = 0
    e.cum_lots = 0
    e.last_lots = 0
    e.last_px = 0.0
    e.limit = 0.0
    e.stop = 0.0
    e.trail = 0.0
    e.expires = NEVER
    e.notional = 0
    e.last_notional = 0
    e.fees = 0
    e.last_fee = 0
    e.realized = 0
    e.position = 0
    e.cash = 0
    e.measure = 0.0
    e.bound = 0.0
    e.observation = NONE
    e.account = NONE
    e.strategy = NONE
    e.instrument = NONE
    e.kind = kind
    e.status = 0
    e.side = 0
    e.type = 0
    e.tif = 0
    e.trail_kind = 0
    e.post_only = 0
    e.reduce_only = 0
    e.code = code
    e.maker = 0
    return int(place)


@jit
def report(s: State, order: Any, kind: int) -> int:
    """Write the order as it stands into the outbox and tell its owner; the event's place."""
    slot = s.slots[order.slot]
    place = blank_event(s, kind, order.code)
    e = s.events[place]
    e.order_id = order.id
    e.parent = order.parent_id
    e.tag = order.tag
    e.submitted = order.submitted
    e.order_seq = order.seq
    e.lots = order.lots
    e.cum_lots = order.cum_lots
    e.limit = order.limit
    e.stop = order.stop
    e.trail = order.trail
    e.expires = order.expires
    e.notional = order.notional
    e.fees = order.fees
    e.position = slot.lots
    e.cash = s.accounts[order.account].cash
    e.measure = order.measure
    e.bound = order.bound
    e.account = order.account
    e.strategy = slot.strategy
    e.instrument = order.instrument
    e.status = order.status
    e.side = order.side
    e.type = order.type
    e.tif = order.tif
    e.trail_kind = order.trail_kind
    e.post_only = order.post_only
    e.reduce_only = order.reduce_only
    wanted = Wants.FILL if kind == EventKind.FILL else Wants.ORDER
    if s.strategies[slot.strategy].wants & wanted:
        push_call(s, Call.FILL.value if kind == EventKind.FILL else Call.ORDER.value, slot.strategy, place)
    return place


@inline
def push_call(s: State, kind: int, strategy: int, index: int) -> None:
    """Queue a question to a Python actor."""
    c = s.clock[0]
    call = s.calls[c.n_calls]
    call.kind = kind
    call.strategy = strategy
    call.index = index
    c.n_calls += 1
