"""How a strategy acts: its orders, on their way to the gate and after it."""

from __future__ import annotations

from datetime import datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Unpack

import numpy as np

from engine.records import NONE, ORDER, Code, OrderType, Side, Status, TimeInForce, Trail
from strategies.account import AccountView
from strategies.convert import Units, column, order_getter
from strategies.errors import ContextError
from strategies.terms import OrderTerms, Terms, bracket_children, engine_terms, price_of
from strategies.types import Order

if TYPE_CHECKING:
    from engine.engine import Engine
    from engine.engine import Terms as EngineTerms

_MOST_LOTS = 2**53  # float64 holds each whole number up to here
_pool_fields = order_getter(ORDER, "id", "parent_id")
_pool_instrument = itemgetter((ORDER.names or ()).index("instrument"))
_LIMITS = (OrderType.LIMIT, OrderType.STOP_LIMIT)
_STOPS = (OrderType.STOP, OrderType.STOP_LIMIT)


class Trading:
    """The orders of one strategy. `Context` adds what the strategy sees."""

    name: str  # the strategy's
    instruments: tuple[str, ...]
    account: AccountView

    def __init__(self, engine: Engine, strategy: int) -> None:
        """strategy: its index in the engine's spec."""
        spec = engine.spec.strategies[strategy]
        self.name = spec.name
        self.instruments = spec.instruments
        self.account = AccountView(engine, spec.account)
        self._engine = engine
        self._units = Units(engine)
        self._strategy = strategy
        first = int(engine.state.strategies[strategy].first_slot)
        self._slots = {name: first + i for i, name in enumerate(spec.instruments)}
        self._own_slots = range(first, first + len(spec.instruments))
        self._only = first if len(spec.instruments) == 1 else None

    def bind(self) -> None:
        """Look at the engine's arrays as they are now; a restored engine has new ones."""
        s = self._engine.state
        self._now = column(s.clock, "now")
        self._instrument = {slot: int(s.slots[slot].instrument) for slot in self._own_slots}
        self._lot_size = {slot: self._units.lot_size[k] for slot, k in self._instrument.items()}
        self.account.bind()

    # -- new orders -----------------------------------------------------------------------------------------------

    def buy(self, instrument: str, quantity: float, **terms: Unpack[Terms]) -> int:
        """Submit an order to buy; `submit` says with which terms."""
        return self.submit(instrument, Side.BUY, quantity, **terms)

    def sell(self, instrument: str, quantity: float, **terms: Unpack[Terms]) -> int:
        """Submit an order to sell; `submit` says with which terms."""
        return self.submit(instrument, Side.SELL, quantity, **terms)

    def submit(
        self,
        instrument: str,
        side: Side,
        quantity: float,
        *,
        limit: float | None = None,
        stop: float | None = None,
        trail: float | None = None,
        trail_percent: float | None = None,
        tif: TimeInForce = TimeInForce.GTC,
        expires: datetime | int | None = None,
        post_only: bool = False,
        reduce_only: bool = False,
        tag: int = 0,
    ) -> int:
        """Put an order before the gate and, if it passes, to the broker; its id.

        quantity: positive, in units. With `limit` a limit order, with `stop` a stop order, with both a stop-limit, with
        `trail` (an amount of currency) or `trail_percent` (a share of the price: 0.05) a trailing stop, else a market
        order. tif: AT_THE_OPEN and AT_THE_CLOSE make a market or limit order one of the next opening or closing auction.
        expires: an aware datetime, or ns UTC; it makes the order GTD. post_only: rejected rather than take liquidity.
        reduce_only: shrinks a position of the strategy and never flips it. tag: an int64 of your own, given back with
        each fill and update. What became of the order is told by `on_order` and `on_fill`; it can fill on a later row
        than this one only.
        """
        slot = self._slot(instrument)
        asked = OrderTerms(
            side,
            quantity,
            limit=limit,
            stop=stop,
            trail=trail,
            trail_percent=trail_percent,
            tif=tif,
            expires=expires,
            post_only=post_only,
            reduce_only=reduce_only,
            tag=tag,
        )
        t = self._terms(slot, instrument, asked)
        return self._engine.submit(
            slot, Side(t.side), t.lots, OrderType(t.type), TimeInForce(t.tif), t.limit, t.stop, t.tag,
            t.trail, Trail(t.trail_kind), t.expires, t.post_only, t.reduce_only,
        )  # fmt: skip

    def bracket(
        self,
        instrument: str,
        side: Side,
        quantity: float,
        *,
        limit: float | None = None,
        stop: float | None = None,
        take_profit: float | None = None,
        stop_loss: float | None = None,
        stop_loss_limit: float | None = None,
        trail: float | None = None,
        trail_percent: float | None = None,
        tif: TimeInForce = TimeInForce.GTC,
        expires: datetime | int | None = None,
        tag: int = 0,
    ) -> tuple[int, ...]:
        """Submit an order together with those that will close what it opens; the ids, its own first.

        The parent is a market order, or has `limit`, `stop`, `tif` and `expires` as in `submit`. take_profit: the price
        of a limit order; stop_loss: that of a stop order, with stop_loss_limit of a stop-limit; or a trailing stop by
        trail or trail_percent. At least one of them, the take profit first. Each fill of the parent releases as much of
        them, what one fills the other loses, and they are good till cancelled. All pass the gate, or all are denied.
        """
        slot = self._slot(instrument)
        parent = OrderTerms(side, quantity, limit=limit, stop=stop, tif=tif, expires=expires, tag=tag)
        try:
            children = bracket_children(parent, take_profit, stop_loss, stop_loss_limit, trail, trail_percent)
        except ContextError as error:
            raise self._refused(error) from None
        terms = [self._terms(slot, instrument, asked) for asked in (parent, *children)]
        return self._engine.submit_bracket(slot, terms[0], terms[1:])

    def pair(self, instrument: str, first: OrderTerms, second: OrderTerms) -> tuple[int, int]:
        """Submit two orders of one quantity of which one cancels the other (OCO); their ids.

        What one fills the other loses. Both pass the gate, or both are denied.
        """
        slot = self._slot(instrument)
        one, other = (self._terms(slot, instrument, asked) for asked in (first, second))
        if one.lots != other.lots:
            raise self._refused(
                f"a pair of {first.quantity} and {second.quantity} {instrument}; both trade the same quantity"
            )
        return self._engine.submit_pair(slot, one, other)

    def target(self, instrument: str, quantity: float) -> None:
        """Bring the position to `quantity` units, signed, with a market order for what is missing.

        Counts what is working already; working orders that lead the other way are cancelled first. The compiled rules
        trade through the same function. A cash account is denied what would be short.
        """
        slot = self._slot(instrument)
        self._engine.aim(slot, self._lots_of(slot, quantity))

    def target_fraction(self, instrument: str, fraction: float) -> None:
        """Bring the position to that fraction of the account's equity at the last price, fees included.

        fraction: 0 to 1; of a margin account -leverage to leverage, negative is short. As `target`, rounded towards zero
        to whole lots. Called on each bar it trades the drift of prices away, with fees.
        """
        leverage = self.account.leverage
        low, high = (0.0, 1.0) if leverage is None else (-leverage, leverage)
        if not low <= fraction <= high:
            raise self._refused(f"a fraction of {fraction} of equity; it goes from {low:g} to {high:g}")
        self._engine.aim_share(self._slot(instrument), fraction)

    # -- orders that work -----------------------------------------------------------------------------------------

    def orders(self, instrument: str | None = None) -> list[Order]:
        """The strategy's working orders, in order of submission; all of them, or those in one instrument."""
        pool = self._engine.state.orders
        rows = (pool.item(place) for place in self._working(instrument))
        return [self._units.order(self._now[0], _pool_instrument(row), _pool_fields(row)) for row in rows]

    def amend(
        self,
        order_id: int,
        *,
        quantity: float | None = None,
        limit: float | None = None,
        stop: float | None = None,
    ) -> bool:
        """Ask for another quantity or other prices of one of the strategy's orders; whether the gate let them pass.

        quantity: all of it, what has filled included; orders of a pair or bracket keep theirs. The order keeps its terms
        until the broker takes the new ones, after the latency. False also where it has ended; what the gate refused,
        `on_order` tells with the code. Raises ContextError for a price that such an order does not have.
        """
        place = self._place(order_id)
        if place == NONE:
            return False
        order = self._engine.state.orders[place]
        type_, instrument = OrderType(order.type), self._units.names[order.instrument]
        for what, price, having in (("limit", limit, _LIMITS), ("stop", stop, _STOPS)):
            if price is not None and type_ not in having:
                raise self._refused(f"order {order_id} is of type {type_.name} and has no {what} to amend")
        if quantity is None and limit is None and stop is None:
            raise self._refused(f"order {order_id}: nothing to amend; give quantity, limit or stop")
        lots = None if quantity is None else self._lots_of(int(order.slot), quantity)
        if lots is not None and lots <= 0:
            raise self._refused(f"order {order_id}: a quantity of {quantity}; to end it, cancel it")
        try:
            prices = [
                None if price is None else price_of(price, what, instrument)
                for what, price in (("limit", limit), ("stop", stop))
            ]
        except ContextError as error:
            raise self._refused(error) from None
        return self._engine.amend(order_id, lots, *prices) == Code.NONE

    def cancel(self, order_id: int) -> bool:
        """Ask to cancel one of the strategy's orders; false where it has ended or is being cancelled already."""
        return self._place(order_id) != NONE and self._engine.cancel(order_id)

    def cancel_all(self, instrument: str | None = None) -> int:
        """Ask to cancel the strategy's working orders, all or those in one instrument; how many that took."""
        pool = self._engine.state.orders
        ids = [int(pool[place].id) for place in self._working(instrument)]
        return sum(self._engine.cancel(order_id) for order_id in ids)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _refused(self, why: object) -> ContextError:
        return ContextError(f"strategy {self.name!r}: {why}")

    def _slot(self, instrument: str | None) -> int:
        if instrument is None:
            if self._only is None:
                raise ContextError(
                    f"strategy {self.name!r} trades several instruments: say which of {', '.join(self.instruments)}"
                )
            return self._only
        try:
            return self._slots[instrument]
        except (KeyError, TypeError):
            raise ContextError(
                f"strategy {self.name!r} does not trade {instrument!r}; it trades {', '.join(self.instruments)}"
            ) from None

    def _lots_of(self, slot: int, quantity: float) -> int:
        if not abs(quantity) < _MOST_LOTS * self._lot_size[slot]:  # also NaN
            raise self._refused(f"a quantity of {quantity} is no amount to trade")
        try:
            return self._engine.lots(slot, float(quantity))
        except ValueError as error:
            raise self._refused(error) from None

    def _terms(self, slot: int, instrument: str, asked: OrderTerms) -> EngineTerms:
        lots = self._lots_of(slot, asked.quantity)
        try:
            return engine_terms(asked, lots, instrument, self._now[0])
        except ContextError as error:
            raise self._refused(error) from None

    def _working(self, instrument: str | None) -> list[int]:
        # Places in the pool, by id. One whose order has ended keeps its last status until it is taken again.
        slots = self._own_slots if instrument is None else (self._slot(instrument),)
        pool = self._engine.state.orders.view(np.ndarray)
        mine = (pool["slot"] >= slots[0]) & (pool["slot"] <= slots[-1])
        alive = (pool["status"] <= Status.PENDING_CANCEL) & (pool["id"] > 0)
        places = np.flatnonzero(mine & alive)
        by_id: list[int] = places[np.argsort(pool["id"][places])].tolist()
        return by_id

    def _place(self, order_id: int) -> int:
        # The place of a working order of the strategy's own, or NONE; no other place has that id.
        pool = self._engine.state.orders
        for place in np.flatnonzero(pool.view(np.ndarray)["id"] == order_id).tolist():
            order = pool[place]
            if order_id > 0 and order.slot in self._own_slots and order.status <= Status.PENDING_CANCEL:
                return place
        return NONE
