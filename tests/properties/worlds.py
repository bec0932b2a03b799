"""Random small worlds: a specification, a tape, actors that do anything, an operator who interferes; and how to run one.

`random_world` draws everything from a `random.Random`: Hypothesis' own where examples are to shrink, a seeded one where
two processes have to draw the same.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

from engine.engine import Engine, Events
from engine.policies import Policy
from engine.records import (
    NONE,
    SECOND,
    TICK_DTYPES,
    OrderType,
    RowKind,
    Side,
    SizeKind,
    Slippage,
    Ticks,
    TimeInForce,
    TradingState,
    Wants,
)
from engine.spec import AccountSpec, EngineSpec, InstrumentSpec, LimitsSpec, StrategySpec
from tests.builders import MINUTE, cut

BEGIN = 1_704_239_760 * SECOND  # 2024-01-02T23:56:00Z: a day ends four minutes into each tape
MS = 1_000_000

FEATURES = (
    "close", "volume", "return_1", "log_return_2", "sma_2", "ema_3", "rsi_2", "macd_2_3_2", "macd_signal_2_3_2",
    "macd_hist_2_3_2", "atr_2", "bb_position_3_2", "realized_vol_2", "volume_z_3", "balance", "holdings",
    "cash_share", "drawdown", "bars_held",
)  # fmt: skip
SIGNALS: dict[Policy, tuple[tuple[str, ...], tuple[float, ...]]] = {
    Policy.BUY_AND_HOLD: ((), ()),
    Policy.SMA_CROSS: (("sma_2", "sma_3"), ()),
    Policy.MOMENTUM: (("return_1",), (0.001,)),
    Policy.RSI_REVERSION: (("rsi_2",), (40.0, 60.0)),
}
EVERYTHING = sum(Wants)
WANTED = (EVERYTHING, Wants.BAR, Wants.BAR | Wants.FILL, Wants.TICK | Wants.ORDER, EVERYTHING - Wants.TICK)


@dataclass(frozen=True)
class World:
    """A whole run, apart from the cuts of its tape."""

    spec: EngineSpec
    tape: Ticks
    wishes: dict[int, list[tuple[Any, ...]]]  # what an operator does before that row
    seeds: dict[str, tuple[int, int]]  # actors by strategy: what they want, and their seed

    @property
    def rows(self) -> int:
        return len(self.tape.price)


class Chaos:
    """An actor that does anything at any time, by dice that it saves and loads."""

    def __init__(self, wants: int, seed: int) -> None:
        self.wants = wants
        self.dice = seed
        self.ids: list[int] = []  # its latest orders
        self.after_fill: list[int] = []  # orders that it gave while a row's fills were being told
        self.heard: list[tuple[int, ...]] = []  # each call, with what was true then

    def start(self, engine: Engine, strategy: int) -> None:
        self.engine, self.strategy = engine, strategy
        engine.set_timer(strategy, 1, BEGIN + 90 * SECOND, 45 * SECOND)

    def bar(self, slot: int) -> None:
        self._hear(0, slot)
        self._act(slot)

    def bars(self, _: int) -> None:
        self._hear(1, 0)
        self._act(self._slot())

    def tick(self, slot: int) -> None:
        self._hear(2, slot)
        if self._roll(3) == 0:
            self._act(slot)

    def fill(self, event: int) -> None:
        self._hear(3, int(self.engine.state.events[event].order_id))
        if self._roll(3) == 0:
            self.after_fill += [i for i in self._act(self._slot()) if i]

    def order(self, event: int) -> None:
        e = self.engine.state.events[event]
        self._hear(4, int(e.order_id), int(e.status))
        if self._roll(8) == 0:
            self._act(self._slot())

    def timer(self, timer_id: int) -> None:
        self._hear(5, timer_id)
        self._act(self._slot())

    def stop(self) -> None:
        pass

    def save(self) -> Any:
        return self.dice, list(self.ids)

    def load(self, state: Any) -> None:
        self.dice, ids = state
        self.ids = list(ids)

    def _hear(self, call: int, *what: int) -> None:
        self.heard.append((call, self.engine.now, *what))

    def _roll(self, n: int) -> int:
        self.dice = (self.dice * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.dice >> 33) % n

    def _slot(self) -> int:
        row = self.engine.state.strategies[self.strategy]
        return int(row.first_slot) + self._roll(int(row.n_slots))

    def _act(self, slot: int) -> list[int]:
        what = self._roll(10)
        if what < 6:
            lots = (1, 1, 2, 3, 5, 10, 40, 300, 10_000)[self._roll(9)]
            given = place_order(
                self.engine,
                slot,
                (Side.BUY, Side.BUY, Side.SELL)[self._roll(3)],
                lots,
                OrderType(self._roll(3)),
                TimeInForce(self._roll(3)),
                self._roll(9) - 4,
            )
            self.ids = [*self.ids[-3:], given]
            return [given]
        if what == 6 and self.ids:
            self.engine.cancel(self.ids[self._roll(len(self.ids))])
        elif what == 7:
            self.engine.aim(slot, (0, 0, 5, 20)[self._roll(4)])
        elif what == 8:
            after = (0, 1, SECOND, 20 * SECOND)[self._roll(4)]
            self.engine.set_timer(self.strategy, 2 + self._roll(3), self.engine.now + after)
        return []


def place_order(
    engine: Engine, slot: int, side: Side, lots: int, type_: OrderType, tif: TimeInForce, offset: int
) -> int:
    """An order priced `offset` ticks from the last price (100 before there is one)."""
    instrument = engine.state.instruments[engine.state.slots[slot].instrument]
    ticks = max(round((float(instrument.price) or 100.0) / instrument.tick_size) + offset, 1)
    price = ticks * float(instrument.tick_size)
    return engine.submit(
        slot,
        side,
        lots,
        type_,
        tif,
        price if type_ == OrderType.LIMIT else 0.0,
        price if type_ == OrderType.STOP else 0.0,
    )


# -- drawing -----------------------------------------------------------------------------------------------------------


def random_world(rng: random.Random, minutes: int = 8, live: bool | None = None) -> World:
    """Anything that the engine has to bear, small. live: whether rows arrive late and out of the venue's order."""
    if live is None:
        live = rng.random() < 0.3
    spec = _random_spec(rng, 250 * MS if live else 0)
    tape = _random_tape(rng, spec, minutes, live)
    rows = len(tape.price)
    wishes: dict[int, list[tuple[Any, ...]]] = {}
    for _ in range(rng.randint(0, 6)):
        wishes.setdefault(rng.randint(1, rows), []).append(_random_wish(rng, spec))
    seeds = {s.name: (s.wants, rng.randint(0, 2**32)) for s in spec.strategies if s.policy == Policy.PYTHON}
    return World(spec, tape, wishes, seeds)


def worlds(minutes: int = 8, live: bool | None = None) -> st.SearchStrategy[World]:
    """Worlds that Hypothesis can shrink."""
    return st.randoms(use_true_random=False).map(lambda rng: random_world(rng, minutes, live))


def _random_spec(rng: random.Random, grace_ns: int) -> EngineSpec:
    latency = rng.choice((0, 0, 1, 300 * MS, 90 * SECOND))
    instruments = tuple(
        InstrumentSpec(
            name,
            tick_size=rng.choice((0.01, 0.25, 1e-4)),
            lot_size=rng.choice((1.0, 0.01, 1e-8, 100.0)),
            taker_bps=rng.choice((0.0, 10.0, 3.3)),
            maker_bps=rng.choice((0.0, 2.0)),
            fee_per_unit=rng.choice((0.0, 0.005)),
            fee_min=rng.choice((0.0, 1.0)),
            min_lots=rng.choice((1, 1, 2)),
            latency_ns=latency,
            slippage=rng.choice(list(Slippage)),
            slippage_value=rng.choice((0.0, 1.0, 25.0)),
            participation=rng.choice((0.0, 0.0, 0.1, 1.0)),
            fill_at_touch=rng.random() < 0.5,
            day_offset_ns=rng.choice((0, 3600 * SECOND)),
        )
        for name in ("A", "B", "C")[: rng.randint(1, 3)]
    )
    accounts = tuple(
        AccountSpec(name, rng.choice((1_000_000.0, 100_000.0, 500.0, 0.0)), limits=_random_limits(rng))
        for name in ("x", "y")[: rng.randint(1, 2)]
    )
    strategies = []
    for i in range(rng.randint(1, 4)):
        policy = rng.choice((Policy.PYTHON, Policy.PYTHON, *SIGNALS))
        features, params = SIGNALS.get(policy, ((), ()))
        names = [i.name for i in instruments if rng.random() < 0.7] or [instruments[0].name]
        strategies.append(
            StrategySpec(
                f"s{i}",
                rng.choice(accounts).name,
                tuple(names),
                rng.choice((MINUTE, MINUTE, 2 * MINUTE)),
                (*features, *rng.sample(FEATURES, rng.randint(0, 3))),
                policy,
                params,
                SizeKind.FRACTION,
                rng.choice((0.3, 0.95)),
                wants=rng.choice(WANTED) if policy == Policy.PYTHON else 0,
            )
        )
    return EngineSpec(
        instruments,
        accounts,
        tuple(strategies),
        grace_ns=grace_ns,
        merge_late=rng.random() < 0.5,
        trade_from=BEGIN + rng.choice((0, 0, 2)) * MINUTE,
    )


def _random_limits(rng: random.Random) -> LimitsSpec:
    if rng.random() < 0.4:
        return LimitsSpec()

    def some(*values: Any) -> Any:
        return rng.choice((0, 0, *values))

    return LimitsSpec(
        max_order_notional=some(1_000.0),
        max_position=some(50.0),
        max_gross=some(0.9),
        max_net=some(0.9),
        max_concentration=some(0.5),
        collar=some(0.02),
        max_stale_ns=some(MINUTE),
        rate_orders=some(2),
        rate_window_ns=MINUTE,
        stop_drawdown=some(0.01),
        stop_daily_loss=some(0.01),
        stop_flattens=rng.random() < 0.5,
        resize=rng.random() < 0.5,
    )


def _random_tape(rng: random.Random, spec: EngineSpec, minutes: int, live: bool) -> Ticks:
    ticks = [max(round(rng.choice((100.0, 7.5, 412.0)) / i.tick_size), 10) for i in spec.instruments]
    rows: list[tuple[int, int, float, float, int]] = []

    def step(k: int) -> float:
        jump = rng.choice((0, 1, -1, 2, -2, 5, -5, ticks[k] // 5, -ticks[k] // 6))
        ticks[k] = max(ticks[k] + jump, 1)
        return ticks[k] * spec.instruments[k].tick_size

    def size(k: int) -> float:
        return rng.choice((0.0, 1.0, 10.0, 333.0)) * spec.instruments[k].lot_size

    for m in range(minutes):
        start = BEGIN + m * MINUTE
        comes = rng.choice(("bars", "prints", "prints", "nothing"))
        if comes == "bars":
            path = ((start, RowKind.PRINT), *((start + MINUTE - 1, RowKind(kind)) for kind in (1, 1, 2)))
            rows += [(ts, k, step(k), size(k), kind) for ts, kind in path for k in range(len(ticks))]
        elif comes == "prints":
            times = sorted(rng.choice((0, 1, 30, 59)) * SECOND + start for _ in range(rng.randint(1, 6)))
            for ts in times:
                k = rng.randrange(len(ticks))
                rows.append((ts, k, step(k), size(k), RowKind.PRINT))
            if rng.random() < 0.3:
                rows.append((start + MINUTE - 1, *_bad_row(rng)))
    rows.append((BEGIN + minutes * MINUTE, 0, 0.0, 0.0, RowKind.TIMER))
    event = np.array([r[0] for r in rows], np.int64)
    received = event
    if live:
        delay = np.array([rng.choice((0, 1, 100, 400)) * MS for _ in rows], np.int64)
        received = event + delay
    order = np.argsort(received, kind="stable")
    columns = (event, received, *([r[i] for r in rows] for i in (1, 2, 3, 4)))
    return Ticks(*(np.array(c, d)[order] for c, d in zip(columns, TICK_DTYPES, strict=True)))


def _bad_row(rng: random.Random) -> tuple[int, float, float, int]:
    return rng.choice((
        (0, 0.0, 1.0, 0), (0, -1.0, 1.0, 0), (0, np.nan, 1.0, 0), (0, np.inf, 1.0, 0), (0, 10.0, -1.0, 0),
        (0, 10.0, np.nan, 0), (99, 10.0, 1.0, 0), (-1, 10.0, 1.0, 0), (77, 0.0, 0.0, RowKind.TIMER),
    ))  # fmt: skip


def _random_wish(rng: random.Random, spec: EngineSpec) -> tuple[Any, ...]:
    account = rng.choice(spec.accounts).name
    what = rng.choice(("order", "order", "order", "cancel", "flatten", "state"))
    if what == "order":
        return (
            what, account, rng.choice(spec.instruments).name, rng.choice((Side.BUY, Side.BUY, Side.SELL)),
            rng.choice((1, 3, 20, 500)), rng.choice(list(OrderType)), rng.choice(list(TimeInForce)), rng.randint(-3, 3),
        )  # fmt: skip
    if what == "cancel":
        return (what, rng.randint(0, 5))
    return (what, account, rng.choice(list(TradingState)))


# -- running -----------------------------------------------------------------------------------------------------------


@dataclass
class Trace:
    """All that a run gave, whatever its cuts: events whose `observation` counts over the whole run."""

    parts: list[Events] = field(default_factory=list)
    hash: str = ""
    heard: dict[str, list[tuple[int, ...]]] = field(default_factory=dict)

    def events(self) -> np.ndarray[Any, Any]:
        out, offset = [], 0
        for part in self.parts:
            events = part.events.copy()
            events["observation"][events["observation"] != NONE] += offset
            offset += len(part.observations)
            out.append(events)
        return np.concatenate(out)

    def same_as(self, other: Trace) -> None:
        """Fail with the first difference in sight."""
        mine, theirs = self.events(), other.events()
        for a, b in zip(mine, theirs, strict=False):
            if a.tobytes() != b.tobytes():
                fields = [n for n in a.dtype.names if a[n].tobytes() != b[n].tobytes()]
                raise AssertionError(f"events differ in {fields}:\n{a}\n{b}")
        assert len(mine) == len(theirs), f"{len(mine)} events and {len(theirs)}"
        for name in ("observations", "equity"):
            one, two = (np.concatenate([getattr(p, name) for p in t.parts]) for t in (self, other))
            assert one.tobytes() == two.tobytes(), f"{name} differ"
        assert self.heard == other.heard
        assert self.hash == other.hash, "all events are the same, the states are not"


def make(world: World) -> Engine:
    """A new engine of that world, with new actors that have started."""
    engine = Engine(world.spec, {name: Chaos(*given) for name, given in world.seeds.items()})
    engine.start()
    return engine


def wish(engine: Engine, what: tuple[Any, ...]) -> None:
    """Carry out what the operator wants."""
    kind = what[0]
    if kind == "order":
        _, account, instrument, *order = what
        place_order(engine, engine.operator_slot(account, instrument), *order)
    elif kind == "cancel":
        live = sorted(int(engine.state.orders[place].id) for place in engine.live_orders())
        if live:
            engine.cancel(live[what[1] % len(live)])
    elif kind == "flatten":
        engine.flatten(what[1])
    else:
        engine.set_trading_state(what[1], what[2])


def go_on(
    world: World,
    engine: Engine,
    first: int,
    cuts: Iterable[int] = (),
    each: Callable[[Engine, Events, int, int], None] | None = None,
) -> Trace:
    """Run the world from row `first` on, the wishes before it included; `each` sees every batch."""
    trace = Trace()
    stops = sorted({first, world.rows, *(c for c in (*cuts, *world.wishes) if first < c < world.rows)})
    for at, end in zip(stops, [*stops[1:], world.rows], strict=True):
        for what in world.wishes.get(at, ()):
            wish(engine, what)
        part = engine.process(cut(world.tape, at, end))
        trace.parts.append(part)
        if each:
            each(engine, part, at, end)
    trace.parts.append(engine.stop())
    trace.hash = engine.state_hash()
    trace.heard = {name: actor.heard for name, actor in engine.actors.items() if isinstance(actor, Chaos)}
    return trace


def run(
    world: World,
    cuts: Iterable[int] = (),
    each: Callable[[Engine, Events, int, int], None] | None = None,
) -> Trace:
    """Run the whole world."""
    return go_on(world, make(world), 0, cuts, each)
