"""What a strategy sees of the engine, and how it acts on it."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.build import units_of
from engine.records import (
    NEVER,
    NO_TIME,
    ORDER,
    OrderType,
    Side,
    Status,
    TimeInForce,
)
from strategies.account import AccountView
from strategies.convert import Units, column, order_getter
from strategies.errors import ContextError, iso_utc
from strategies.types import Order

if TYPE_CHECKING:
    from engine.engine import Engine

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_LOTS = 2**53  # float64 holds each whole number up to here
_pool_fields = order_getter(ORDER, "id")
_pool_instrument = itemgetter((ORDER.names or ()).index("instrument"))


class Context:
    """A strategy's view of its instruments, orders and account. The engine makes it; valid as long as the run.

    Where `instrument` may be left out, it is the strategy's only one; with several, it must be named. Quantities are in
    units of the instrument, times in ns UTC. What cannot be meant (an unknown instrument, a fraction of a lot, a price
    that is not positive) raises ContextError; what may be meant but is not allowed reaches the gate, which denies it.
    """

    name: str  # the strategy's
    instruments: tuple[str, ...]
    account: AccountView

    def __init__(self, engine: Engine, strategy: int, history: int, rng: np.random.Generator) -> None:
        """strategy: its index in the engine's spec. history: bars that `bars` may look back."""
        spec = engine.spec.strategies[strategy]
        row = engine.state.strategies[strategy]
        self.name = spec.name
        self.instruments = spec.instruments
        self._engine = engine
        self._strategy = strategy
        self._history = history
        self._rng = rng
        first = int(row.first_slot)
        self._slots = {name: first + i for i, name in enumerate(spec.instruments)}
        self._end_slot = first + len(spec.instruments)
        self._only = first if len(spec.instruments) == 1 else None
        self._feature_names = spec.features
        self._units = Units(engine)
        self.account = AccountView(engine, spec.account)
        self.bind()

    def bind(self) -> None:
        """Look at the engine's arrays as they are now; a restored engine has new ones."""
        s = self._engine.state
        self._now = column(s.clock, "now")
        self._lots = column(s.slots, "lots")
        self._bars_held = column(s.slots, "bars_held")
        self._prices = column(s.instruments, "price")
        self._values = column(s.features, "value")
        self._closed = column(s.series, "bars")
        self._bars = s.bars.view(np.ndarray)
        slots = {slot: s.slots[slot] for slot in self._slots.values()}
        self._instrument = {slot: int(row.instrument) for slot, row in slots.items()}
        self._lot_size = {slot: self._units.lot_size[k] for slot, k in self._instrument.items()}
        self._series = {
            slot: (
                int(row.series),
                int(s.series[row.series].first_bar),
                int(s.series[row.series].capacity) - 1,
            )
            for slot, row in slots.items()
        }
        self._observed = {
            slot: {name: int(s.observed[row.first_feature + k]) for k, name in enumerate(self._feature_names)}
            for slot, row in slots.items()
        }
        self.account.bind()

    # -- what there is --------------------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        """Engine time, ns UTC. Raises ContextError in `on_start`, before the first row."""
        now: int = self._now[0]
        if now == NO_TIME:
            raise ContextError(f"strategy {self.name!r}: there is no time before the first row")
        return now

    @property
    def time(self) -> datetime:
        """Engine time as an aware datetime in UTC, cut to microseconds."""
        return _EPOCH + timedelta(microseconds=self.now // 1000)

    @property
    def rng(self) -> np.random.Generator:
        """The strategy's own random numbers: PCG64, seeded from the run's seed and the strategy's name."""
        return self._rng

    def price(self, instrument: str | None = None) -> float:
        """The last price. Raises ContextError before the first."""
        price: float = self._prices[self._instrument[self._slot(instrument)]]
        if not price > 0.0:
            raise ContextError(
                f"strategy {self.name!r}: {self._named(instrument)} has no price yet; ask ctx.ready() first"
            )
        return price

    def position(self, instrument: str | None = None) -> float:
        """What the strategy itself holds, in units, signed; other strategies of the account do not count."""
        slot = self._slot(instrument)
        return float(units_of(self._lots[slot], self._lot_size[slot]))

    def bars(self, n: int, instrument: str | None = None) -> np.ndarray[Any, Any]:
        """The last n closed bars, the newest last; fewer where there are not so many yet.

        A copy, (at most n,) with the fields start, end (ns UTC), open, high, low, close, volume and count (of rows).
        Raises ContextError where n is more than the strategy's `history`.
        """
        if not 0 <= n <= self._history:
            raise ContextError(
                f"strategy {self.name!r}: {n} bars asked for, {self._history} are kept; set `history` to the most you need"
            )
        series, first, mask = self._series[self._slot(instrument)]
        closed = self._closed[series]
        newest = closed & mask  # the place after the newest
        n = min(n, closed)
        if n <= newest:
            return np.array(self._bars[first + newest - n : first + newest])
        places = first + (np.arange(closed - n, closed) & mask)
        return self._bars[places]

    # -- features -------------------------------------------------------------------------------------------------

    def ready(self, instrument: str | None = None) -> bool:
        """Whether the instrument has a price and all of the strategy's features have seen enough bars."""
        slot = self._slot(instrument)
        if not self._prices[self._instrument[slot]] > 0.0:
            return False
        return not any(math.isnan(self._value(slot, which)) for which in self._observed[slot].values())

    def feature(self, name: str, instrument: str | None = None) -> float:
        """One of the strategy's features as of the last closed bar, or of its account as of now.

        Raises ContextError where the strategy did not ask for it in `features`, or it has not seen enough bars yet.
        """
        slot = self._slot(instrument)
        try:
            which = self._observed[slot][name]
        except KeyError:
            raise ContextError(
                f"strategy {self.name!r} has no feature {name!r}; its `features`: {', '.join(self._feature_names) or 'none'}"
            ) from None
        value = self._value(slot, which)
        if math.isnan(value):
            raise ContextError(
                f"strategy {self.name!r}: {name} of {self._named(instrument)} is not there yet; ask ctx.ready() first"
            )
        return value

    def features(self, instrument: str | None = None) -> np.ndarray[Any, Any]:
        """All of the strategy's features, (n,) float64 in the order of `features`. Raises as `feature` does."""
        return np.array([self.feature(name, instrument) for name in self._feature_names], np.float64)

    def _value(self, slot: int, which: int) -> float:
        if which >= 0:
            value: float = self._values[which]
            return value
        return self.account.feature(~which, self._lots[slot] * self._lot_size[slot], self._bars_held[slot])

    # -- orders ---------------------------------------------------------------------------------------------------

    def orders(self, instrument: str | None = None) -> list[Order]:
        """The strategy's working orders, in order of submission; all of them, or those in one instrument."""
        only = None if instrument is None else self._slot(instrument)
        pool = self._engine.state.orders
        found = []
        for place in self._working():
            row = pool.item(place)
            if only is None or _pool_instrument(row) == self._instrument[only]:
                found.append(self._units.order(self._now[0], _pool_instrument(row), _pool_fields(row)))
        return sorted(found, key=lambda order: order.order_id)

    def buy(
        self,
        instrument: str,
        quantity: float,
        *,
        limit: float | None = None,
        stop: float | None = None,
        tif: TimeInForce = TimeInForce.GTC,
        tag: int = 0,
    ) -> int:
        """Submit an order to buy; see `submit`."""
        return self.submit(instrument, Side.BUY, quantity, limit=limit, stop=stop, tif=tif, tag=tag)

    def sell(
        self,
        instrument: str,
        quantity: float,
        *,
        limit: float | None = None,
        stop: float | None = None,
        tif: TimeInForce = TimeInForce.GTC,
        tag: int = 0,
    ) -> int:
        """Submit an order to sell; see `submit`."""
        return self.submit(instrument, Side.SELL, quantity, limit=limit, stop=stop, tif=tif, tag=tag)

    def submit(
        self,
        instrument: str,
        side: Side,
        quantity: float,
        *,
        limit: float | None = None,
        stop: float | None = None,
        tif: TimeInForce = TimeInForce.GTC,
        tag: int = 0,
    ) -> int:
        """Put an order before the gate and, if it passes, to the broker; its id.

        A market order, or a limit or stop order where one of the two prices is given. quantity: positive, in units.
        tag: an int64 of your own, given back with each fill and update. What became of it is told by `on_order` and
        `on_fill`; it can fill on a later row than this one only.
        """
        slot = self._slot(instrument)
        if limit is not None and stop is not None:
            raise ContextError(f"strategy {self.name!r}: an order takes a limit or a stop price, not both")
        lots = self._whole_lots(slot, quantity)
        if lots <= 0:
            raise ContextError(
                f"strategy {self.name!r}: a quantity of {quantity} {instrument}; it must be positive, the side says the rest"
            )
        type_ = OrderType.MARKET
        if limit is not None:
            type_, limit = OrderType.LIMIT, self._price(instrument, "limit", limit)
        elif stop is not None:
            type_, stop = OrderType.STOP, self._price(instrument, "stop", stop)
        return self._engine.submit(
            slot, Side(side), lots, type_, TimeInForce(tif), limit or 0.0, stop or 0.0, int(tag)
        )

    def target(self, instrument: str, quantity: float) -> None:
        """Bring the position to `quantity` units, signed, with a market order for what is missing.

        Counts what is working already; working orders that lead the other way are cancelled first. The compiled rules
        trade through the same function.
        """
        slot = self._slot(instrument)
        self._engine.aim(slot, self._whole_lots(slot, quantity))

    def target_fraction(self, instrument: str, fraction: float) -> None:
        """Bring the position to that fraction of the account's equity at the last price, fees included.

        As `target`, rounded down to whole lots. Called on each bar it trades the drift of prices away, with fees.
        """
        if not 0.0 <= fraction <= 1.0:
            raise ContextError(
                f"strategy {self.name!r}: a fraction of {fraction} of equity; it goes from 0 to 1"
            )
        self._engine.aim_share(self._slot(instrument), fraction)

    def cancel(self, order_id: int) -> bool:
        """Ask to cancel one of the strategy's orders; false where it has ended or is being cancelled already."""
        pool = self._engine.state.orders
        if not any(pool["id"][place] == order_id for place in self._working()):
            return False
        return self._engine.cancel(order_id)

    def cancel_all(self, instrument: str | None = None) -> int:
        """Ask to cancel the strategy's working orders, all or those in one instrument; how many that took."""
        return sum(self._engine.cancel(order.order_id) for order in self.orders(instrument))

    # -- timers ---------------------------------------------------------------------------------------------------

    def set_timer(self, timer_id: int, at: int, every: int = 0) -> None:
        """Have `on_timer` called at time `at` and, where `every` is positive, each `every` ns after it.

        Replaces a timer of the same id. The time must be to come, so that no chain of timers can stop the clock. Where
        the tape jumps over several times of a repeated timer, it fires once; while history warms up, none fires.
        """
        now = self._now[0]
        if not max(now, -1) < at < NEVER:
            raise ContextError(
                f"strategy {self.name!r}: timer {timer_id} at {at} ns; it must be later than now, {iso_utc(now)}"
            )
        if every < 0:
            raise ContextError(f"strategy {self.name!r}: timer {timer_id} every {every} ns; 0 means once")
        self._engine.set_timer(self._strategy, int(timer_id), int(at), int(every))

    def cancel_timer(self, timer_id: int) -> None:
        """Forget a timer, if there is one of that id."""
        self._engine.cancel_timer(self._strategy, int(timer_id))

    # -- inside ---------------------------------------------------------------------------------------------------

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

    def _named(self, instrument: str | None) -> str:
        return instrument or self.instruments[0]

    def _whole_lots(self, slot: int, quantity: float) -> int:
        if not abs(quantity) < _MOST_LOTS * self._lot_size[slot]:  # also NaN
            raise ContextError(f"strategy {self.name!r}: a quantity of {quantity} is no amount to trade")
        try:
            return self._engine.lots(slot, float(quantity))
        except ValueError as error:
            raise ContextError(f"strategy {self.name!r}: {error}") from None

    def _price(self, instrument: str, what: str, price: float) -> float:
        if not 0.0 < price < math.inf:
            raise ContextError(
                f"strategy {self.name!r}: a {what} price of {price} for {instrument}; it must be positive"
            )
        return float(price)

    def _working(self) -> list[int]:
        # A place of the pool whose order has ended keeps its last status until it is taken again.
        pool = self._engine.state.orders
        slots = pool["slot"]
        mine = (slots >= self._end_slot - len(self.instruments)) & (slots < self._end_slot)
        alive = (pool["status"] <= Status.PENDING_CANCEL) & (pool["id"] > 0)
        places: list[int] = np.flatnonzero(mine & alive).tolist()
        return places
