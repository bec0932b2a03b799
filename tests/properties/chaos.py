"""Owners of orders who do anything at any time, by dice: an actor, and what an operator does by hand."""

from __future__ import annotations

from typing import Any

from engine.engine import Engine, Terms
from engine.records import (
    NEVER,
    SECOND,
    EventKind,
    OrderType,
    Side,
    TimeInForce,
    Trail,
)

TYPES = (*OrderType, OrderType.MARKET, OrderType.LIMIT, OrderType.STOP)
TIFS = (*TimeInForce, TimeInForce.GTC, TimeInForce.GTC, TimeInForce.DAY)
TIFS_OF_STOPS = tuple(tif for tif in TIFS if tif < TimeInForce.AT_THE_OPEN)
LOTS = (1, 1, 2, 3, 5, 10, 40, 300, 10_000)


class Dice:
    """A generator whose state is one whole number, to be saved and loaded."""

    def __init__(self, seed: int) -> None:
        self.state = seed

    def roll(self, n: int) -> int:
        """Any of 0 to n - 1."""
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 33) % n

    def pick(self, *from_: Any) -> Any:
        """Any of these."""
        return from_[self.roll(len(from_))]


def price_near(engine: Engine, slot: int, offset: int) -> float:
    """The price `offset` ticks from the last one (from 100 before there is one), on the grid."""
    instrument = engine.state.instruments[engine.state.slots[slot].instrument]
    ticks = max(round((float(instrument.price) or 100.0) / instrument.tick_size) + offset, 1)
    return float(ticks * instrument.tick_size)


def place_order(
    engine: Engine, slot: int, side: Side, lots: int, type_: OrderType, tif: TimeInForce, offset: int
) -> int:
    """An order priced `offset` ticks from the last price (100 before there is one)."""
    price = price_near(engine, slot, offset)
    limit = price if type_ in (OrderType.LIMIT, OrderType.STOP_LIMIT) else 0.0
    stop = price if type_ in (OrderType.STOP, OrderType.STOP_LIMIT) else 0.0
    return engine.submit(slot, side, lots, type_, tif, limit, stop)


def any_terms(engine: Engine, slot: int, dice: Dice, side: Side, lots: int) -> Terms:
    """Terms of any kind, most of which make sense."""
    type_ = dice.pick(*TYPES)
    sensibly = dice.roll(12) > 0
    tif = dice.pick(*(TIFS_OF_STOPS if type_ >= OrderType.STOP and sensibly else TIFS))
    limit = stop = trail = 0.0
    kind = Trail.AMOUNT
    offset = dice.roll(9) - 4
    if type_ in (OrderType.STOP, OrderType.STOP_LIMIT):
        stop = price_near(engine, slot, offset)
    if type_ in (OrderType.LIMIT, OrderType.STOP_LIMIT):
        limit = price_near(engine, slot, offset + (side * (dice.roll(8) - 1) if stop else 0))
    if type_ == OrderType.TRAILING_STOP:
        kind = Trail(dice.roll(2))
        tick = float(engine.state.instruments[engine.state.slots[slot].instrument].tick_size)
        trail = dice.pick(0.001, 0.02, 0.3) if kind == Trail.PERCENT else dice.pick(1, 3, 2.5) * tick
    expires = NEVER
    if tif == TimeInForce.GTD:
        expires = max(engine.now, 0) + dice.pick(1, 20 * SECOND, 90 * SECOND, 200 * SECOND)
    return Terms(
        side, type_, tif, lots, dice.roll(100), limit, stop, trail, kind, expires,
        post_only=dice.roll(4) == 0 and type_ == OrderType.LIMIT,
        reduce_only=dice.roll(3) == 0 and _held(engine, slot, sensibly) * side < 0,
    )  # fmt: skip


def _held(engine: Engine, slot: int, sensibly: bool) -> int:
    """The slot's lots, or, where nothing need make sense, some."""
    return int(engine.state.slots[slot].lots) if sensibly else -1


def live_ids(engine: Engine, strategy: int) -> list[int]:
    """The ids of a strategy's working orders, ascending; of all of them where it is negative."""
    s = engine.state
    live = [s.orders[place] for place in engine.live_orders()]
    return sorted(int(o.id) for o in live if strategy < 0 or s.slots[o.slot].strategy == strategy)


def amend_any(engine: Engine, dice: Dice, order_id: int) -> None:
    """Other lots, or other prices, of a live order."""
    s = engine.state
    order = next(s.orders[p] for p in engine.live_orders() if s.orders[p].id == order_id)
    near = price_near(engine, int(order.slot), dice.roll(9) - 4)
    what = dice.roll(4)
    lots = dice.pick(*LOTS) if what in (0, 3) else None
    limit = near if what in (1, 3) and order.limit > 0.0 else None
    stop = near if what in (2, 3) and order.stop > 0.0 else None
    engine.amend(order_id, lots, limit, stop)


def act(engine: Engine, slot: int, dice: Dice, strategy: int) -> list[int]:
    """Do something with orders in that slot; the ids of those given. strategy: whose orders may be touched, or -1."""
    what = dice.roll(14)
    side = dice.pick(Side.BUY, Side.BUY, Side.SELL)
    lots = dice.pick(*LOTS)
    if what < 6:
        return [engine.submit(slot, **any_terms_of(engine, slot, dice, side, lots))]
    if what == 6:
        other = dice.pick(side, side, Side(-side))
        first = any_terms(engine, slot, dice, side, lots)
        return list(engine.submit_pair(slot, first, any_terms(engine, slot, dice, other, lots)))
    if what in (7, 8):
        children = [any_terms(engine, slot, dice, side, lots) for _ in range(1 + dice.roll(2))]
        parent = any_terms(engine, slot, dice, side, lots)._replace(reduce_only=False)
        return list(engine.submit_bracket(slot, parent, [sensible(engine, slot, dice, c) for c in children]))
    if what == 9:
        engine.aim(slot, dice.pick(0, 0, 5, 20, -7))
    elif what == 10:
        engine.aim_share(slot, dice.pick(0.0, 0.3, 0.9, 4.0, -1.5))
    elif ids := live_ids(engine, strategy):
        if what == 11:
            engine.cancel(dice.pick(*ids, 1 + dice.roll(ids[-1])))  # perhaps one that has ended
        else:
            amend_any(engine, dice, dice.pick(*ids))
    return []


def any_terms_of(engine: Engine, slot: int, dice: Dice, side: Side, lots: int) -> dict[str, Any]:
    """Any terms, as the arguments of `Engine.submit`."""
    terms = any_terms(engine, slot, dice, side, lots)._asdict()
    return {"type_" if name == "type" else name: value for name, value in terms.items()}


def sensible(engine: Engine, slot: int, dice: Dice, terms: Terms) -> Terms:
    """A child's terms, which have to rest, from any: a take-profit or a stop in place of what cannot."""
    if terms.type != OrderType.MARKET and terms.tif in (TimeInForce.GTC, TimeInForce.DAY, TimeInForce.GTD):
        return terms
    away = -terms.side * (1 + dice.roll(3))
    if dice.roll(2):
        return Terms(terms.side, OrderType.STOP, 0, terms.lots, stop=price_near(engine, slot, away))
    return Terms(terms.side, OrderType.LIMIT, 0, terms.lots, limit=price_near(engine, slot, -away))


class Chaos:
    """An actor that does anything at any time, by dice that it saves and loads."""

    def __init__(self, wants: int, seed: int, first_timer: int = 0) -> None:
        self.wants = wants
        self.dice = Dice(seed)
        self.first_timer = first_timer
        self.quiet = False  # it listens, and does nothing
        self.after_fill: list[int] = []  # orders that it gave while a row's fills were being told
        self.heard: list[tuple[int, ...]] = []  # each call, with what was true then

    def start(self, engine: Engine, strategy: int) -> None:
        self.engine, self.strategy = engine, strategy
        engine.set_timer(strategy, 1, self.first_timer, 45 * SECOND)

    def bar(self, slot: int) -> None:
        self._hear(0, slot)
        self._act(slot)

    def bars(self, _: int) -> None:
        self._hear(1, 0)
        self._act(self._slot())

    def tick(self, slot: int) -> None:
        self._hear(2, slot)
        if self.dice.roll(3) == 0:
            self._act(slot)

    def fill(self, event: int) -> None:
        e = self.engine.state.events[event]
        self._hear(3, int(e.order_id))
        assert e.kind == EventKind.FILL
        at_close = e.tif == TimeInForce.AT_THE_CLOSE  # filled before the row, which may fill what follows
        if self.dice.roll(3) == 0:
            given = self._act(self._slot())
            self.after_fill += [] if at_close else given

    def order(self, event: int) -> None:
        e = self.engine.state.events[event]
        self._hear(4, int(e.order_id), int(e.status))
        if self.dice.roll(8) == 0:
            self._act(self._slot())

    def timer(self, timer_id: int) -> None:
        self._hear(5, timer_id)
        self._act(self._slot())

    def action(self, event: int) -> None:
        e = self.engine.state.events[event]
        self._hear(6, int(e.code))
        if self.dice.roll(2) == 0:
            self._act(self._slot())

    def stop(self) -> None:
        pass

    def save(self) -> Any:
        return self.dice.state

    def load(self, state: Any) -> None:
        self.dice.state = state

    def _hear(self, call: int, *what: int) -> None:
        self.heard.append((call, self.engine.now, *what))

    def _slot(self) -> int:
        row = self.engine.state.strategies[self.strategy]
        return int(row.first_slot) + self.dice.roll(int(row.n_slots))

    def _act(self, slot: int) -> list[int]:
        if self.quiet:
            return []
        if self.dice.roll(12) == 0:
            after = self.dice.pick(0, 1, SECOND, 20 * SECOND)
            self.engine.set_timer(self.strategy, 2 + self.dice.roll(3), self.engine.now + after)
            return []
        return act(self.engine, slot, self.dice, self.strategy)
