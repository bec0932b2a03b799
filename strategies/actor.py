"""How the engine asks a strategy: indices into its arrays become bars, ticks, fills and orders."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.records import KIND_MASK, RowKind
from strategies.base import Strategy, wants_of
from strategies.context import Context
from strategies.convert import (
    Units,
    column,
    event_action_fields,
    event_fields,
    event_fill_fields,
    event_order_fields,
)
from strategies.errors import StrategyError, StrategyLoadError, iso_utc
from strategies.types import Bar, Signal, Tick

if TYPE_CHECKING:
    from engine.engine import Engine

_KINDS = tuple(RowKind)


def make_rng(seed: int, name: str) -> np.random.Generator:
    """The random numbers of the strategy of that name in a run of that seed; other strategies change none of them."""
    digest = hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "little")))


class PythonActor:
    """A strategy written in Python, as the engine's Actor. Raises StrategyError where the strategy raises.

    `wants`, `features`, `timeframes` and `history` belong into the StrategySpec that the engine is built of: there the
    timeframes, in `also` and behind a feature's @, are in ns, in the same order.
    """

    def __init__(self, name: str, strategy: Strategy, seed: int = 0) -> None:
        """name: the strategy's in the engine's spec. seed: the run's."""
        self.name = name
        self.strategy = strategy
        self.wants = wants_of(type(strategy))
        self.features = _texts(name, "features", strategy.features)
        self.timeframes = _texts(name, "timeframes", strategy.timeframes)
        self.history = int(strategy.history)
        self.signals: tuple[str, ...] = ()  # the asynchronous actors that it listens to
        self._rng = make_rng(seed, name)
        self._started = False

    # -- beginning and end ----------------------------------------------------------------------------------------

    def start(self, engine: Engine, strategy: int) -> None:
        """Begin; called once before the first row, also before `load`."""
        self._engine = engine
        self._index = strategy
        self._units = Units(engine)
        self._context = Context(engine, strategy, self.history, self._rng, self.features, self.timeframes)
        self._on_bar = self.strategy.on_bar
        self._on_tick = self.strategy.on_tick
        self._bind()
        self._started = True
        self._ask("on_start", self._context)

    def stop(self) -> None:
        """The tape has ended."""
        self._ask("on_stop", self._context)

    def save(self) -> dict[str, Any] | None:
        """What `load` takes: a copy of the strategy's state and of its random generator's, or None without a state."""
        state = self._ask("state_dict")
        if state is None:
            return None
        return {"state": copy.deepcopy(state), "rng": self._rng.bit_generator.state}

    def rebind(self) -> None:
        """Look at the arrays of the engine, which was restored."""
        if not self._started:
            raise StrategyError(f"strategy {self.name!r}: start the engine before you restore it")
        self._bind()
        self._context.bind()

    def load(self, saved: dict[str, Any]) -> None:
        """Take what `save` gave, and look at the arrays of the engine, which was restored."""
        self.rebind()
        self._rng.bit_generator.state = saved["rng"]
        self._ask("load_state_dict", copy.deepcopy(saved["state"]))

    # -- questions ------------------------------------------------------------------------------------------------

    # on_bar and on_tick are asked without a detour: they are what an actor's speed hangs on.

    def bar(self, slot: int) -> None:
        """A bar closed in the slot's series."""
        bar = self._newest(slot)
        try:
            self._on_bar(self._context, bar)
        except Exception as error:
            raise self._failure("on_bar", bar.instrument, error) from error

    def bars(self, _: int) -> None:
        """All bars that close at this moment have closed."""
        now, closing = self._closing[0], self._closings
        bars = {
            place[3]: self._newest(slot) for slot, place in self._places.items() if closing[place[0]] == now
        }
        self._ask("on_bars", self._context, bars, instrument=", ".join(bars))

    def tick(self, slot: int) -> None:
        """The slot's instrument had a row."""
        ts_event, ts_recv, _, price, size, flags = self._engine.columns
        i = self._row[0]
        name = self._places[slot][3]
        kind = _KINDS[flags[i] & KIND_MASK]
        try:
            self._on_tick(self._context, Tick(ts_event[i], ts_recv[i], name, price[i], size[i], kind))
        except Exception as error:
            raise self._failure("on_tick", name, error) from error

    def fill(self, event: int) -> None:
        """An order of this strategy was filled."""
        row = self._engine.state.events.item(event)
        ts, k = event_fields(row)
        fill = self._units.fill(ts, k, event_fill_fields(row))
        self._ask("on_fill", self._context, fill, instrument=fill.instrument)

    def order(self, event: int) -> None:
        """An order of this strategy changed its status."""
        row = self._engine.state.events.item(event)
        ts, k = event_fields(row)
        order = self._units.order(ts, k, event_order_fields(row))
        self._ask("on_order", self._context, order, instrument=order.instrument)

    def timer(self, timer_id: int) -> None:
        """A timer fired."""
        self._ask("on_timer", self._context, timer_id)

    def action(self, event: int) -> None:
        """A corporate action happened to an instrument that the strategy trades."""
        s = self._engine.state
        row = s.events.item(event)
        ts, k = event_fields(row)
        action = self._units.action(ts, k, event_action_fields(row), float(s.instruments[k].price))
        self._ask("on_corporate_action", self._context, action, instrument=action.instrument)

    def signal(self, signal: Signal) -> None:
        """An asynchronous actor that the strategy listens to spoke; asked through `Engine.ask`."""
        self._ask("on_signal", self._context, signal, instrument=signal.instrument or "")

    # -- inside ---------------------------------------------------------------------------------------------------

    def _bind(self) -> None:
        # These arrays stay where they are until the engine is restored; events and columns do not.
        s = self._engine.state
        self._row = column(s.clock, "row")
        self._now = column(s.clock, "now")
        self._closed = column(s.series, "bars")
        self._closings = column(s.series, "closing")
        self._closing = column(s.clock, "closing")
        # one call gives a bar as a tuple of plain values
        self._bar_values: Callable[[int], tuple[Any, ...]] = s.bars.view(np.ndarray).item
        mine = s.strategies[self._index]
        # slot -> its series, where the series' ring begins, the ring's mask, the instrument's name
        self._places: dict[int, tuple[int, int, int, str]] = {}
        for slot in range(mine.first_slot, mine.first_slot + mine.n_slots):
            k = int(s.slots[slot].series)
            series = s.series[k]
            name = self._units.names[s.slots[slot].instrument]
            self._places[slot] = (k, int(series.first_bar), int(series.capacity) - 1, name)

    def _newest(self, slot: int) -> Bar:
        series, first, mask, name = self._places[slot]
        return Bar(*self._bar_values(first + ((self._closed[series] - 1) & mask)), name)  # type: ignore[call-arg] # a tuple as long as the fields

    def _ask(self, callback: str, *args: Any, instrument: str = "") -> Any:
        try:
            return getattr(self.strategy, callback)(*args)
        except Exception as error:
            raise self._failure(callback, instrument, error) from error

    def _failure(self, callback: str, instrument: str, error: Exception) -> StrategyError:
        on = f" on {instrument}" if instrument else ""
        return StrategyError(
            f"strategy {self.name!r}, {callback} at {iso_utc(self._now[0])}{on}: {type(error).__name__}: {error}"
        )


def _texts(name: str, what: str, given: Any) -> tuple[str, ...]:
    # one text is a sequence of texts, too: of its letters
    texts = () if isinstance(given, str) else tuple(given)
    if isinstance(given, str) or not all(isinstance(text, str) for text in texts):
        raise StrategyLoadError(
            f"strategy {name!r}: `{what}` is {given!r}; write a tuple of texts, such as ({str(given)!r},)"
        )
    return texts
