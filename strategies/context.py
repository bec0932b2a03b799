"""What a strategy sees of the engine, and how it acts on it."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.build import units_of
from engine.records import NEVER, NO_TIME, BarKind
from strategies.convert import column
from strategies.errors import ContextError, StrategyError, iso_utc
from strategies.trading import Trading

if TYPE_CHECKING:
    from engine.engine import Engine

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Context(Trading):
    """A strategy's view of its instruments, orders and account. The engine makes it; valid as long as the run.

    Where `instrument` may be left out, it is the strategy's only one; with several, it must be named. Quantities are in
    units of the instrument, times in ns UTC. What cannot be meant (an unknown instrument, a fraction of a lot, a price
    that is not positive) raises ContextError; what may be meant but is not allowed reaches the gate, which denies it.
    """

    def __init__(
        self,
        engine: Engine,
        strategy: int,
        history: int,
        rng: np.random.Generator,
        features: tuple[str, ...],
        timeframes: tuple[str, ...],
    ) -> None:
        """strategy: its index in the engine's spec. history: bars that `bars` may look back.

        features, timeframes: as their user wrote them; the spec has them in ns, in this order.
        """
        super().__init__(engine, strategy)
        spec = engine.spec.strategies[strategy]
        self._history = history
        self._rng = rng
        self._feature_names = features
        if len(timeframes) != len(spec.also) or len(features) != len(spec.features):
            raise StrategyError(
                f"strategy {self.name!r} names {len(timeframes)} further timeframes and {len(features)} features, "
                f"its StrategySpec has {len(spec.also)} and {len(spec.features)}"
            )
        self._timeframes = dict(zip(timeframes, spec.also, strict=True))
        self.bind()

    def bind(self) -> None:
        """Look at the engine's arrays as they are now; a restored engine has new ones."""
        super().bind()
        s = self._engine.state
        self._lots = column(s.slots, "lots")
        self._bars_held = column(s.slots, "bars_held")
        self._prices = column(s.instruments, "price")
        self._values = column(s.features, "value")
        self._closed = column(s.series, "bars")
        self._bars = s.bars.view(np.ndarray)
        self._rings: dict[tuple[int, str | None], tuple[int, int, int]] = {}
        self._observed: dict[int, dict[str, int]] = {}
        for slot in self._own_slots:
            row = s.slots[slot]
            self._rings[slot, None] = _ring(s.series, int(row.series))
            for name, ns in self._timeframes.items():
                self._rings[slot, name] = _ring(s.series, _time_series(s.series, row.instrument, ns))
            self._observed[slot] = {
                name: int(s.observed[row.first_feature + k]) for k, name in enumerate(self._feature_names)
            }

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

    def bars(
        self, n: int, instrument: str | None = None, timeframe: str | None = None
    ) -> np.ndarray[Any, Any]:
        """The last n closed bars, the newest last; fewer where there are not so many yet.

        timeframe: one of the strategy's further `timeframes`, as written there; without it, its own. A copy, (at most n,)
        with the fields start, end (ns UTC), open, high, low, close, volume and count (of rows). Raises ContextError where
        n is more than the strategy's `history`.
        """
        if not 0 <= n <= self._history:
            raise ContextError(
                f"strategy {self.name!r}: {n} bars asked for, {self._history} are kept; set `history` to the most you need"
            )
        slot = self._slot(instrument)
        try:
            series, first, mask = self._rings[slot, timeframe]
        except (KeyError, TypeError):
            raise ContextError(
                f"strategy {self.name!r} has no further timeframe {timeframe!r}; "
                f"its `timeframes`: {', '.join(self._timeframes) or 'none'}"
            ) from None
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
        lots = self._lots[slot]
        units = lots * self._lot_size[slot]
        instrument, held, parts = self._instrument[slot], self._bars_held[slot], len(self._own_slots)
        return self.account.feature(~which, instrument, lots, units, held, parts)

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

    def _named(self, instrument: str | None) -> str:
        return instrument or self.instruments[0]


def _time_series(series: Any, instrument: int, timeframe: int) -> int:
    # which series has the instrument's bars of that many ns; the engine was built with one
    found = (series["instrument"] == instrument) & (series["kind"] == BarKind.TIME)
    return int(np.flatnonzero(found & (series["timeframe"] == timeframe))[0])


def _ring(series: Any, place: int) -> tuple[int, int, int]:
    # a series, where its ring of bars begins, and the ring's mask
    row = series[place]
    return place, int(row.first_bar), int(row.capacity) - 1
