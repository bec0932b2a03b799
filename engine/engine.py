"""The engine: batches of ticks in, events out. The shell drives it and listens; strategies are asked through it."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import numpy as np

from engine.build import begin_clocks, build, chain_free, lots_of, no_ticks, records, worth
from engine.kernel import Command, kernel
from engine.measured import Measured, method_of, read_measure
from engine.owned import WHOLE, differing, frame, take_over
from engine.records import (
    N_METHODS,
    NEVER,
    NO_TIME,
    NONE,
    RECORD_TYPES,
    TICK_DTYPES,
    BarKind,
    Call,
    Code,
    Method,
    OperatorAction,
    OrderType,
    Outcome,
    RowKind,
    Side,
    State,
    Status,
    Ticks,
    TimeInForce,
    TradingState,
    Trail,
)
from engine.snapshot import Snapshot, copied, live_orders, state_hash, taken_back
from engine.spec import EngineSpec, SpecError, accrues
from engine.table import TABLE_LENGTH, fill_table, fill_ticks


class EngineError(Exception):
    """What the engine raises, apart from SpecError.

    EngineError
    +-- EngineFault       a programming error inside the engine: the state is not to be trusted
    +-- SnapshotError     a snapshot does not fit this engine
    """


class EngineFault(EngineError):
    """An order was about to take a step that its table does not know."""


class SnapshotError(EngineError):
    """A snapshot of another engine, or one that lacks an actor's state."""


class Actor(Protocol):
    """What the engine asks of a strategy written in Python. Arguments are indices into the engine's state."""

    wants: int

    def start(self, engine: Engine, strategy: int) -> None:
        """Begin; called once before the first row."""

    def bar(self, slot: int) -> None:
        """A bar closed in the slot's series."""

    def bars(self, _: int) -> None:
        """All bars that close at this moment have closed."""

    def tick(self, slot: int) -> None:
        """The slot's instrument had a row, at which `engine.row` stands."""

    def fill(self, event: int) -> None:
        """An order of this strategy was filled; the event lies in `engine.state.events`."""

    def order(self, event: int) -> None:
        """An order of this strategy changed its status."""

    def timer(self, timer_id: int) -> None:
        """A timer fired."""

    def action(self, event: int) -> None:
        """A corporate action happened to an instrument that the strategy trades."""

    def stop(self) -> None:
        """The tape has ended."""

    def save(self) -> Any:
        """Its state, or None where it cannot be saved."""

    def load(self, state: Any) -> None:
        """Take the state that `save` gave."""


class Events(NamedTuple):
    """What a batch caused, in order: copies, the listener's to keep."""

    events: np.ndarray[Any, Any]  # (n,) EVENT; `observation` is a row of `observations`, or NONE
    observations: np.ndarray[Any, Any]  # (m, width) float64
    equity: np.ndarray[Any, Any]  # (k,) EQUITY
    grades: np.ndarray[Any, Any]  # (j,) GRADE


class Terms(NamedTuple):
    """What the owner of an order asks for, as the record TERMS has it; 0 where the order has no such price."""

    side: int
    type: int
    tif: int
    lots: int
    tag: int = 0
    limit: float = 0.0
    stop: float = 0.0
    trail: float = 0.0  # the distance of a trailing stop
    trail_kind: int = Trail.AMOUNT
    expires: int = NEVER  # of a GTD order, ns UTC
    post_only: bool = False
    reduce_only: bool = False


_WISH = struct.Struct("=qqqqd")  # the record WISH
_TERMS = struct.Struct("=qqqqqdddqqqq")  # the record TERMS
(
    _SUBMIT, _AIM, _AIM_SHARE, _CANCEL, _FLATTEN, _SET_TRADING_STATE, _SUBMIT_PAIR, _SUBMIT_BRACKET, _AMEND,
    _DISCONNECT, _DEPOSIT,
) = (int(c) for c in Command if Command.NONE < c < Command.ACT)  # fmt: skip
_MEASURE = int(Command.MEASURE)
OUTBOX_ROWS = 1 << 17  # a batch that causes more than this is handed over in parts


class Engine:
    """One engine. Not thread-safe; `process` must not be called from inside an actor."""

    def __init__(self, spec: EngineSpec, actors: dict[str, Actor] | None = None) -> None:
        """Build the engine of that spec; `actors` by strategy name, one for each strategy whose policy is PYTHON.

        Compiles the loop on first use in a process, or loads it from the cache folder. Raises SpecError.
        """
        self.spec = spec
        self.state: State = build(spec)
        self.actors = dict(actors or {})
        self._kernel = kernel()
        self._ticks = no_ticks()
        self._columns: tuple[memoryview, ...] = ()
        self._table = np.zeros(TABLE_LENGTH, np.int64)
        self._drained: list[Events] = []
        self._at: Any = None  # what the entries take
        self._busy = False
        self._accrues = any(accrues(a) for a in spec.accounts)
        names = [s.name for s in spec.strategies]
        self.portfolio_index = {name: p for p, name in enumerate([*(a.name for a in spec.accounts), *names])}
        self.instrument_index = {i.name: k for k, i in enumerate(spec.instruments)}
        self.account_index = {a.name: k for k, a in enumerate(spec.accounts)}
        self._slot_instruments = [spec.instruments[k] for k in self.state.slots["instrument"]]
        self._asked: list[tuple[Callable[[int], None], ...]] = []
        for i, name in enumerate(names):
            actor = self.actors.get(name)
            self._asked.append(_handlers(actor) if actor else ())
            if actor and actor.wants != spec.strategies[i].wants:
                raise EngineError(
                    f"strategy {name!r}: the spec says wants={spec.strategies[i].wants}, its actor {actor.wants}"
                )
        if unknown := set(self.actors) - set(names):
            raise EngineError(f"actors for strategies that are not in the spec: {', '.join(sorted(unknown))}")
        self._bind()

    # -- the tape -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Let the actors begin. Once, before the first row."""
        with self._asking():
            for i, strategy in enumerate(self.spec.strategies):
                if strategy.name in self.actors:
                    self.actors[strategy.name].start(self, i)
            self._answer()

    def process(self, ticks: Ticks) -> Events:
        """Take a batch in and return all that it caused. How the tape is cut into batches changes nothing.

        ticks: columns of equal length with the dtypes of TICK_DTYPES, C-contiguous; they may be read-only.
        Raises what an actor raises; the engine then stands between two questions to actors, and must not go on.
        """
        n = len(ticks.price)
        for name, column, dtype in zip(Ticks._fields, ticks, TICK_DTYPES, strict=True):
            if column.dtype != dtype or len(column) != n or not column.flags.c_contiguous:
                raise EngineError(
                    f"column {name} is {column.dtype} with {len(column)} rows; "
                    f"wanted are {n} contiguous rows of {dtype}"
                )
        if n and self._clock["now"] == NO_TIME:
            begin_clocks(self.state, int(ticks.ts_recv[0]), self._accrues)
        self._ticks = ticks
        self._columns = tuple(memoryview(c) for c in ticks) if self.actors else ()  # type: ignore[arg-type] # numpy arrays are buffers
        self._row[0] = 0
        if self._kernel.compiled:
            fill_ticks(self._table, ticks)
        else:
            self._at = (self.state, ticks)
        advance = self._kernel.run
        with self._asking():
            while (outcome := advance(self._at)) != Outcome.DONE:
                if outcome == Outcome.CALLS:
                    self._answer()
                elif outcome == Outcome.ROOM:
                    self._make_room()
                else:
                    raise EngineFault(
                        "an order was about to take a step that the table of states does not know"
                    )
        return self.take_events()

    def stop(self) -> Events:
        """Let the actors end; what they still did."""
        with self._asking():
            for strategy in self.spec.strategies:
                if strategy.name in self.actors:
                    self.actors[strategy.name].stop()
            self._answer()
        return self.take_events()

    def take_events(self) -> Events:
        """What has happened since it was last asked: after `process`, the events of orders by hand."""
        self._drain()
        parts, self._drained = self._drained, []
        if len(parts) == 1:
            return parts[0]
        offset = 0
        for part in parts:  # an event points at its row of the joined observations
            part.events["observation"][part.events["observation"] != NONE] += offset
            offset += len(part.observations)
        return Events(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    @property
    def now(self) -> int:
        """Engine time, ns UTC."""
        return int(self._clock["now"])

    @property
    def seq(self) -> int:
        """Rows taken so far."""
        return int(self._clock["seq"])

    @property
    def row(self) -> int:
        """The row of the batch at which the loop stands."""
        return int(self._clock["row"])

    @property
    def columns(self) -> tuple[memoryview, ...]:
        """The batch's columns, for actors that look at single ticks."""
        return self._columns

    def next_due(self) -> int:
        """When something happens even without a tick, ns UTC, or NEVER: then a timer row must enter."""
        return int(self._clock["due"])

    # -- orders ---------------------------------------------------------------------------------------------------

    def submit(
        self,
        slot: int,
        side: Side,
        lots: int,
        type_: OrderType = OrderType.MARKET,
        tif: TimeInForce = TimeInForce.GTC,
        limit: float = 0.0,
        stop: float = 0.0,
        tag: int = 0,
        trail: float = 0.0,
        trail_kind: Trail = Trail.AMOUNT,
        expires: int = NEVER,
        post_only: bool = False,
        reduce_only: bool = False,
    ) -> int:
        """Put an order before the gate; its id. What became of it is in the events. The arguments are those of Terms."""
        self._check_slot(slot)
        prices = float(limit), float(stop), float(trail)
        _TERMS.pack_into(
            self._terms, 0, side, type_, tif, lots, tag, *prices, trail_kind, expires, post_only, reduce_only
        )
        return self._wish(_SUBMIT, slot)

    def submit_pair(self, slot: int, first: Terms, second: Terms) -> tuple[int, int]:
        """Put two orders of one quantity before the gate, of which one cancels the other; their ids.

        What one fills the other loses. Both pass the gate, or both are denied.
        """
        self._check_slot(slot)
        if first.lots != second.lots:
            raise EngineError(f"a pair of {first.lots} and {second.lots} lots; both must have the same")
        self._set_terms(first, second)
        order_id = self._wish(_SUBMIT_PAIR, slot)
        return order_id, order_id + 1

    def submit_bracket(self, slot: int, parent: Terms, children: Sequence[Terms]) -> tuple[int, ...]:
        """Put a parent and one or two children before the gate; their ids, the parent's first.

        Each fill of the parent releases as much of the children, which take its quantity and the other side, only
        reduce, and are a pair. All pass the gate, or all are denied.
        """
        self._check_slot(slot)
        if not 1 <= len(children) <= 2:
            raise EngineError(f"a bracket of {len(children)} children; it has one or two")
        self._set_terms(parent, *children)
        order_id = self._wish(_SUBMIT_BRACKET, slot, len(children))
        return tuple(range(order_id, order_id + 1 + len(children)))

    def amend(
        self, order_id: int, lots: int | None = None, limit: float | None = None, stop: float | None = None
    ) -> Code | None:
        """Ask for another quantity or other prices of a live order; NONE, or why the gate refused, or None: no such order.

        lots: all of it, what has filled included. The order keeps its terms until the broker takes the new ones.
        """
        if 0 in (lots, limit, stop):
            raise EngineError("an amend to nothing; give what is to change, and cancel what is to go")
        orders = self.state.orders.view(np.ndarray)
        alive = (orders["id"] == order_id) & (orders["status"] <= Status.PENDING_CANCEL)
        if order_id < 1 or not alive.any():
            return None
        self._set_terms(Terms(0, 0, 0, lots or 0, limit=limit or 0.0, stop=stop or 0.0))
        return Code(self._wish(_AMEND, order_id))

    def _set_terms(self, *orders: Terms) -> None:
        for i, terms in enumerate(orders):
            _TERMS.pack_into(self._terms, i * _TERMS.size, *terms)

    def aim(self, slot: int, lots: int) -> None:
        """Bring the slot's position to `lots` with a market order, counting what is working."""
        self._check_slot(slot)
        self._wish(_AIM, slot, lots)

    def aim_share(self, slot: int, share: float) -> None:
        """Bring the slot's position to a share of the account's equity, as the compiled rules measure it."""
        self._check_slot(slot)
        self._wish(_AIM_SHARE, slot, x=float(share))

    def cancel(self, order_id: int) -> bool:
        """Ask to cancel a live order; false where none of that id is live, or a cancel is on its way."""
        return bool(self._wish(_CANCEL, order_id))

    def flatten(self, portfolio: str) -> int:
        """Cancel the orders of an account, or a strategy, and close its positions at the market; how many positions."""
        return self._wish(_FLATTEN, self.portfolio_index[portfolio])

    def ask(self, question: Callable[[], None]) -> Events:
        """Put a question to an actor that no row asks, such as what it makes of news; what it does now, and all that caused."""
        with self._asking():
            question()
            self._answer()
        return self.take_events()

    def disconnect(self, strategy: str) -> None:
        """Tell that a strategy's actor is gone: its working orders are cancelled, unless its spec says otherwise."""
        for i, given in enumerate(self.spec.strategies):
            if given.name == strategy:
                if given.cancel_on_disconnect:
                    self._wish(_DISCONNECT, i)
                return
        raise KeyError(strategy)

    def deposit(self, account: str, amount: int) -> bool:
        """Pay money units in, or out where negative; false where more is asked for than is free: then nothing moves."""
        return bool(self._wish(_DEPOSIT, self.account_index[account], amount))

    def set_trading_state(self, portfolio: str, state: TradingState) -> None:
        """Switch an account, or a strategy, to ACTIVE, REDUCE_ONLY or HALTED: for an actor; an operator's is `operate`."""
        self._wish(_SET_TRADING_STATE, self.portfolio_index[portfolio], int(state), int(Code.OPERATOR))

    def operate(self, portfolio: str, action: OperatorAction, reason: int = NONE) -> Events:
        """Take in an operator's row, now: what it caused. reason: which of the spec's reasons, or NONE; the event's tag has it.

        The row is `operator_row`'s: who keeps a tape puts the same there.
        """
        if self.now == NO_TIME:
            raise EngineError("an operator's row before the first row: there is no time yet")
        if not NONE <= reason < len(self.spec.reasons):
            raise EngineError(f"there is no reason {reason}; the spec has {len(self.spec.reasons)}")
        return self.process(operator_row(self.now, self.portfolio_index[portfolio], action, reason))

    def measure(self, portfolio: str, method: Method | None = None) -> Measured:
        """What an account, or a strategy, as it is held, may lose by a method; None: by that of the limits.

        Nothing changes by it. Raises EngineError where the spec forecasts no losses, or not of that method or strategy.
        """
        s = self.state
        p = self.portfolio_index[portfolio]
        method = method_of(s, p, method)
        if method is None:
            raise EngineError(
                f"no losses of {portfolio!r} are forecast by that method; name it among those to be graded"
            )
        _WISH.pack_into(self._wishes, 0, _MEASURE, p, int(method), 0, 0.0)
        code = Code(self._kernel.run(self._at))
        account = self.spec.accounts[int(s.portfolios[p].account)].name
        return read_measure(s, p, code, self.equity(account), [i.name for i in self.spec.instruments])

    def equity(self, account: str) -> int:
        """An account's cash and holdings at the last prices, in money units."""
        s = self.state
        a = self.account_index[account]
        equity = int(s.accounts[a].cash)
        for holding in s.holdings[s.holdings["account"] == a]:
            if holding.lots:
                instrument = s.instruments[holding.instrument]
                equity += round(worth(instrument, int(holding.lots), float(instrument.price)))
        return equity

    def _check_slot(self, slot: int) -> None:
        if not 0 <= slot < len(self._slot_instruments):
            raise EngineError(f"there is no slot {slot}; there are {len(self._slot_instruments)}")

    def operator_slot(self, account: str, instrument: str) -> int:
        """The slot of orders by hand. Raises KeyError where the account cannot trade the instrument."""
        strategy = self.state.strategies[len(self.spec.strategies) + self.account_index[account]]
        k = self.instrument_index[instrument]
        for slot in range(strategy.first_slot, strategy.first_slot + strategy.n_slots):
            if self.state.slots[slot].instrument == k:
                return slot
        raise KeyError(f"account {account!r} and {instrument!r} are of different currencies")

    def _wish(self, what: int, a: int, b: int = 0, c: int = 0, x: float = 0.0) -> int:
        """Have a Command carried out; between two batches, the actors hear of it at once."""
        self._reserve_room()
        _WISH.pack_into(self._wishes, 0, what, a, b, c, x)
        result = int(self._kernel.run(self._at))
        if not self._busy:
            with self._asking():
                self._answer()
        return result

    def lots(self, slot: int, quantity: float) -> int:
        """A quantity in units as lots of the slot's instrument; raises SpecError where it is no whole number."""
        instrument = self._slot_instruments[slot]
        return lots_of(quantity, instrument.lot_size, instrument.name)

    # -- timers ---------------------------------------------------------------------------------------------------

    def set_timer(self, strategy: int, timer_id: int, at: int, every: int = 0) -> None:
        """Ask the strategy at time `at` (ns UTC), then every `every` ns if positive; replaces one of the same id.

        Strategies are not asked while history warms up: a timer due before `trade_from` first fires then, or at the
        first of its repetitions from there on.
        """
        late = max(self.spec.trade_from - at, 0)
        at += -(-late // every) * every if every else late
        self.cancel_timer(strategy, timer_id)
        timers = self.state.timers
        free = np.flatnonzero(timers["at"] == NEVER)
        if len(free) == 0:
            grown = records(max(8, 2 * len(timers)), RECORD_TYPES.timers)
            grown["at"] = NEVER
            grown[: len(timers)] = timers
            self.state = self.state._replace(timers=grown)
            free = np.array([len(timers)])
            self._bind()
        timer = self.state.timers[int(free[0])]
        timer.at, timer.every, timer.id, timer.strategy = at, every, timer_id, strategy
        self._timers_changed()

    def cancel_timer(self, strategy: int, timer_id: int) -> None:
        """Forget a timer, if there is one of that id."""
        timers = self.state.timers
        timers["at"][(timers["strategy"] == strategy) & (timers["id"] == timer_id)] = NEVER
        self._timers_changed()

    def _timers_changed(self) -> None:
        c = self.state.clock[0]
        c.timer_due = self.state.timers["at"].min() if len(self.state.timers) else NEVER
        c.due = min(c.series_due, c.order_due, c.timer_due, c.accrual_due, c.risk_due)

    # -- snapshots ------------------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """A copy of the whole state, between two batches."""
        self._drain()
        actors = {name: actor.save() for name, actor in self.actors.items()}
        return Snapshot(copied(self.state), actors, self._spec_hash())

    def restore(self, snapshot: Snapshot) -> None:
        """Take on the state of a snapshot; the engine must be of the same frame, and started if it has actors.

        Its own specification's rules hold from here on (engine/owned.py). What the actors did in their `on_start` is
        undone. Raises SnapshotError, changing nothing.
        """
        if snapshot.spec != self._spec_hash():
            raise SnapshotError("the snapshot is of another engine: its specification differs")
        try:
            state = taken_back(self.state, snapshot)
        except ValueError as error:
            raise SnapshotError(str(error)) from None
        lost = [name for name in self.actors if snapshot.actors.get(name) is None]
        if lost:
            raise SnapshotError(
                f"no saved state for {', '.join(lost)}: give the strategy state_dict and load_state_dict, "
                "or replay the tape from its start"
            )
        take_over(state, self.state)
        self.state = state
        self._drained = []
        self._bind()
        for strategy in self.spec.strategies:
            if strategy.name in self.actors:
                actor = self.actors[strategy.name]
                actor.load(snapshot.actors[strategy.name])

    def reconfigure(self, spec: EngineSpec) -> None:
        """Go on by the rules of another specification of the same frame: limits, fees, sizes, trained models.

        Between two batches. What the engine holds stays as it is. Raises SpecError, changing nothing.
        """
        if found := differing(self.spec, spec):
            raise SpecError(f"cannot go on with this specification: {'; '.join(found)}")
        fresh = build(spec)
        take_over(self.state, fresh)
        self.state = self.state._replace(**{name: getattr(fresh, name) for name in WHOLE})
        self.spec = spec
        self._bind()

    def forget_bars(self, series: Sequence[int]) -> None:
        """Let some series, by their index, begin anew, with their indicators; prices and what may be lost stay known.

        Between two batches, before anybody decides: after a history too coarse for them.
        """
        s, fresh = self.state, build(self.spec)
        for i in series:
            row = fresh.series[i]
            s.series[i] = row
            for name, first, n in (
                ("features", row.first_feature, row.n_features), ("bars", row.first_bar, row.capacity),
            ):  # fmt: skip
                getattr(s, name)[first : first + n] = getattr(fresh, name)[first : first + n]
            s.instruments[row.instrument].quiet_until = NO_TIME  # the next row opens a bar
        timed = s.series[(s.series["kind"] == BarKind.TIME) & (s.series["count"] > 0)]
        c = s.clock[0]
        c.series_due = int(timed["end"].min()) + c.grace_ns if len(timed) else NEVER
        c.due = min(c.series_due, c.order_due, c.timer_due, c.accrual_due, c.risk_due)

    def replace_actor(self, strategy: str, actor: Actor) -> None:
        """Let another actor, new, decide for a strategy from now on. Between two batches; raises EngineError."""
        i = [s.name for s in self.spec.strategies].index(strategy)
        if actor.wants != self.spec.strategies[i].wants:
            raise EngineError(
                f"strategy {strategy!r}: the spec says wants={self.spec.strategies[i].wants}, its actor {actor.wants}"
            )
        self.state.timers["at"][self.state.timers["strategy"] == i] = NEVER  # they were the other's
        self._timers_changed()
        self.actors[strategy] = actor
        self._asked[i] = _handlers(actor)
        with self._asking():
            actor.start(self, i)
            self._answer()

    def _spec_hash(self) -> str:
        return hashlib.blake2b(repr(frame(self.spec)).encode(), digest_size=16).hexdigest()

    def state_hash(self) -> str:
        """A hash of the live state: equal for equal tapes however they were cut; capacities do not enter it."""
        return state_hash(self.state)

    def live_orders(self) -> list[int]:
        """Places of the working orders in `state.orders`, by instrument, in order of submission."""
        return live_orders(self.state)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _bind(self) -> None:
        """Point the entries, and the views that Python reads, at the arrays as they are now."""
        s = self.state
        self._clock = s.clock.view(np.ndarray)[0]
        # single elements are read and written through memoryviews, which take a tenth of an array's time
        (
            self._row,
            self._n_calls,
            self._n_events,
            self._n_observations,
            self._n_equity,
            self._n_grades,
            self._live_orders,
            self._free_orders,
        ) = (
            memoryview(s.clock[name].view(np.ndarray))
            for name in (
                "row", "n_calls", "n_events", "n_observations", "n_equity", "n_grades", "live_orders", "free_orders"
            )
        )  # fmt: skip
        self._outboxes = tuple(a.view(np.ndarray) for a in (s.events, s.observations, s.equity, s.grades))
        self._outbox_rows = min(len(s.events), len(s.calls), len(s.observations) // len(s.observation))
        self._worst_without_orders = 8 * (len(s.slots) + len(s.portfolios)) + len(s.timers) + 64
        self._orders_wanted = 2 * len(s.slots) + 8
        self._wishes = memoryview(s.wish.view(np.uint8).view(np.ndarray))
        self._terms = memoryview(s.terms.view(np.uint8).view(np.ndarray))
        self._call_kinds = memoryview(s.calls["kind"].view(np.ndarray))
        self._call_strategies = memoryview(s.calls["strategy"].view(np.ndarray))
        self._call_indices = memoryview(s.calls["index"].view(np.ndarray))
        if self._kernel.compiled:
            fill_table(self._table, self.state, self._ticks)
            self._at = self._table.ctypes.data
        else:
            self._at = (self.state, self._ticks)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """While actors are asked, what they wish is answered after the question, and no batch may enter."""
        if self._busy:
            raise EngineError("process(), start() or stop() was called from inside an actor")
        self._busy = True
        try:
            yield
        finally:
            self._busy = False

    def _answer(self) -> None:
        """Put the queued questions to the actors, in order; their orders may queue more."""
        i = 0
        while i < self._n_calls[0]:
            self._asked[self._call_strategies[i]][self._call_kinds[i]](self._call_indices[i])
            i += 1
        self._n_calls[0] = 0

    def _drain(self) -> None:
        """Move the outboxes' contents out. Never while a question is queued: it may point at an event."""
        width = len(self.state.observation)
        self._drained.append(
            Events(
                self._outboxes[0][: self._n_events[0]].copy(),
                self._outboxes[1][: self._n_observations[0] * width].reshape(-1, width).copy(),
                self._outboxes[2][: self._n_equity[0]].copy(),
                self._outboxes[3][: self._n_grades[0]].copy(),
            )
        )
        self._n_events[0] = self._n_observations[0] = self._n_equity[0] = self._n_grades[0] = 0

    def _make_room(self) -> None:
        """Grow what is too small for the worst that one phase can write; empty the outboxes where they are large."""
        c = self.state.clock[0]
        accounts = len(self.state.accounts)
        if c.n_events + c.n_equity + c.n_grades >= OUTBOX_ROWS:
            self._drain()
        elif c.n_grades + N_METHODS * accounts > len(self.state.grades):
            self.state = self.state._replace(grades=_grown(self.state.grades, 2 * len(self.state.grades)))
            self._bind()
        elif c.n_equity + len(self.state.accounts) > len(self.state.equity):
            self.state = self.state._replace(equity=_grown(self.state.equity, 2 * len(self.state.equity)))
            self._bind()
        self._reserve_room()

    def _reserve_room(self) -> None:
        """Grow pools and outboxes so that one more order, and a phase after it, surely fit."""
        worst = 8 * self._live_orders[0] + self._worst_without_orders
        if (
            self._n_events[0] + worst <= self._outbox_rows
            and self._n_calls[0] + worst <= self._outbox_rows
            and self._n_observations[0] + worst <= self._outbox_rows
            and self._free_orders[0] >= self._orders_wanted
        ):
            return
        c = self.state.clock[0]
        s = self.state
        slots = len(s.slots)
        grown: dict[str, Any] = {}
        for name, used, width in (
            ("events", c.n_events, 1),
            ("calls", c.n_calls, 1),
            ("observations", c.n_observations, len(s.observation)),
        ):
            needed = (int(used) + worst) * width
            if needed > len(getattr(s, name)):
                grown[name] = _grown(getattr(s, name), 2 * needed)
        if c.free_orders < self._orders_wanted:
            grown["orders"] = _grown(s.orders, 2 * len(s.orders) + 2 * slots)
            chain_free(grown["orders"], len(s.orders))
            grown["orders"][len(grown["orders"]) - 1].next = c.free_order if c.free_orders > 0 else NONE
            c.free_order = len(s.orders)
            c.free_orders += len(grown["orders"]) - len(s.orders)
        if grown:
            self.state = s._replace(**grown)
            self._bind()


def operator_row(ts: int, portfolio: int, action: OperatorAction, reason: int = NONE) -> Ticks:
    """A batch of one row that is an operator's: at ts, ns UTC, of a portfolio by its index, for one of the reasons."""
    row = (ts, ts, portfolio, float(action), float(reason), RowKind.OPERATOR)
    return Ticks(*(np.array([value], dtype) for value, dtype in zip(row, TICK_DTYPES, strict=True)))


def _grown(array: Any, n: int) -> Any:
    bigger = np.zeros((n, *array.shape[1:]), array.dtype)
    bigger[: len(array)] = array
    return bigger.view(np.recarray) if array.dtype.names else bigger


def _handlers(actor: Actor) -> tuple[Callable[[int], None], ...]:
    """The actor's answers, at the places of Call."""
    handlers = {
        Call.BAR: actor.bar,
        Call.BARS: actor.bars,
        Call.TICK: actor.tick,
        Call.FILL: actor.fill,
        Call.ORDER: actor.order,
        Call.TIMER: actor.timer,
        Call.ACTION: actor.action,
    }
    return tuple(handlers[call] for call in Call)
