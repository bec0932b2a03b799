"""An engine goes on by another specification: its rules change from there on, what has happened stays, another shape is refused."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.engine import Engine, EngineError, SnapshotError
from engine.models import Network
from engine.owned import differing, frame
from engine.policies import Policy
from engine.records import (
    DAY,
    Code,
    EventKind,
    LimitAction,
    Method,
    RowKind,
    Side,
    SizeKind,
    Slippage,
    Status,
    TimeInForce,
    TradingState,
    Wants,
)
from engine.spec import (
    AccountSpec,
    EngineSpec,
    InstrumentSpec,
    LimitSpec,
    LimitsSpec,
    MarginSpec,
    RiskLimits,
    RiskSpec,
    Sessions,
    ShockSpec,
    SpecError,
    StrategySpec,
)
from tests.builders import MINUTE, USD, cut, make_engine, make_ticks, read, stops, timer_at
from tests.properties.drawing import random_world, worlds
from tests.properties.worlds import World, run
from tests.stories.accounts import ended, pay, resting
from tests.stories.accounts import hold as take_on
from tests.stories.accounts import opened as venue
from tests.stories.desk import at, code_of, filled, history, opened, own, prints, put, row, wait, working
from tests.stories.risk import ask, hold, levels, loss, market, switches

BUY, SELL = Side.BUY, Side.SELL
HALT, FLATTEN, DENY = LimitAction.HALT, LimitAction.FLATTEN, LimitAction.DENY


def limited(engine: Engine, margin: MarginSpec | None = None, **limits: Any) -> None:
    """Go on with these limits of the first account."""
    spec = engine.spec
    first = spec.accounts[0]
    margin = margin or first.margin
    changed = replace(first, limits=replace(first.limits, **limits), margin=margin)
    engine.reconfigure(replace(spec, accounts=(changed, *spec.accounts[1:])))


def trading_on(engine: Engine, **instrument: Any) -> None:
    """Go on with these rules of all instruments."""
    engine.reconfigure(
        replace(engine.spec, instruments=tuple(replace(i, **instrument) for i in engine.spec.instruments))
    )


def losses(**given: LimitSpec) -> RiskLimits:
    return RiskLimits(**given)


# -- the same specification --------------------------------------------------------------------------------------------


def same_goes_on(world: World, row_: int) -> None:
    plain = run(world, [row_])

    def each(engine: Engine, _: Any, first: int, end: int) -> None:
        if end == row_:
            before = engine.state_hash()
            engine.reconfigure(replace(engine.spec))
            assert engine.state_hash() == before

    run(world, [row_], each).same_as(plain)


@settings(max_examples=120)
@given(worlds(), st.floats(0, 1))
def test_same_specification_at_any_row_changes_nothing_that_follows(world: World, where: float) -> None:
    same_goes_on(world, int(where * world.rows))


@pytest.mark.soak
@settings(max_examples=3_000)
@given(worlds(minutes=30), st.floats(0, 1))
def test_same_specification_at_any_row_of_a_long_world_changes_nothing_that_follows(
    world: World, where: float
) -> None:
    same_goes_on(world, int(where * world.rows))


def test_same_specification_before_each_row_changes_nothing() -> None:
    for seed in range(12):
        world = random_world(random.Random(seed))

        def each(engine: Engine, *_: Any) -> None:
            engine.reconfigure(engine.spec)

        run(world, range(world.rows), each).same_as(run(world, range(world.rows)))


def test_specification_without_limits_and_with_them_again_leaves_the_books_as_they_were() -> None:
    for seed in range(40):
        world = random_world(random.Random(seed))
        engine = Engine(replace(world.spec, strategies=without_actors(world.spec)))
        engine.process(world.tape)
        books = [
            np.array(getattr(engine.state, n)) for n in ("slots", "holdings", "clock", "bars", "features")
        ]
        engine.reconfigure(loose(engine.spec))
        engine.reconfigure(replace(world.spec, strategies=without_actors(world.spec)))
        now = [np.array(getattr(engine.state, n)) for n in ("slots", "holdings", "clock", "bars", "features")]
        assert [a.tobytes() for a in now] == [a.tobytes() for a in books]


def without_actors(spec: EngineSpec) -> tuple[StrategySpec, ...]:
    return tuple(replace(s, wants=0) for s in spec.strategies)


def loose(spec: EngineSpec) -> EngineSpec:
    """The specification without limits, fees and latencies."""
    return replace(
        spec,
        instruments=tuple(replace(i, taker_bps=0.0, maker_bps=0.0, latency_ns=0) for i in spec.instruments),
        accounts=tuple(
            replace(a, limits=LimitsSpec(rate_orders=a.limits.rate_orders, rate_window_ns=1))
            for a in spec.accounts
        ),
    )


# -- limits of orders --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        # 50 lots are held at 100; one more
        ({"max_order_notional": 99.0}, Code.ORDER_NOTIONAL),
        ({"max_position": 50.0}, Code.POSITION),
        ({"max_gross": 0.005}, Code.GROSS_EXPOSURE),
        ({"max_net": 0.005}, Code.NET_EXPOSURE),
        ({"max_concentration": 0.005}, Code.CONCENTRATION),
    ],
)
def test_limit_tightened_denies_the_next_order_and_loosened_lets_it_pass(limits: Any, code: Code) -> None:
    engine = opened()
    own(engine, 50)
    limited(engine, **limits)
    put(engine, BUY, 1)
    assert code_of(engine) == code
    assert engine.state.slots[0].lots == 50
    off: Any = dict.fromkeys(limits, 0.0)
    limited(engine, **off)
    put(engine, BUY, 1)
    assert code_of(engine) == Code.NONE


def test_limit_tightened_leaves_orders_that_work_and_cuts_only_later_ones() -> None:
    engine = opened()
    early = put(engine, BUY, 500, limit=99.0)
    limited(engine, max_position=520.0, resize=True)
    late = put(engine, BUY, 500, limit=99.0)
    assert [(i, lots) for i, lots, *_ in resting(engine)] == [(early, 500), (late, 20)]


def test_collar_holds_from_the_next_order_on() -> None:
    engine = opened()
    early = put(engine, BUY, 1, limit=80.0)
    limited(engine, collar=0.1)
    put(engine, BUY, 1, limit=89.0)
    assert code_of(engine) == Code.PRICE_COLLAR
    put(engine, BUY, 1, limit=91.0)
    assert code_of(engine) == Code.NONE
    assert working(engine, early).limit == 80.0


def test_price_is_stale_by_the_new_bound() -> None:
    engine = opened()
    wait(engine, 30)
    limited(engine, max_stale_ns=at(29))
    put(engine, BUY, 1)
    assert code_of(engine) == Code.PRICE_STALE
    limited(engine, max_stale_ns=at(30))
    put(engine, BUY, 1)
    assert code_of(engine) == Code.NONE


def test_rate_window_changes_and_orders_of_before_count() -> None:
    engine = opened(limits=LimitsSpec(rate_orders=2, rate_window_ns=at(10)))
    wait(engine, 1)
    for _ in range(2):
        put(engine, BUY, 1)
    wait(engine, 12)
    limited(engine, rate_window_ns=at(60))
    put(engine, BUY, 1)  # two in the last minute
    assert code_of(engine) == Code.ORDER_RATE
    wait(engine, 62)
    put(engine, BUY, 1)
    assert code_of(engine) == Code.NONE


def test_most_orders_is_of_the_orders_that_live_now() -> None:
    engine = opened()
    for _ in range(2):
        put(engine, BUY, 1, limit=50.0)
    engine.reconfigure(replace(engine.spec, most_orders=2))
    put(engine, BUY, 1, limit=50.0)
    assert engine.state.clock[0].live_orders == 2
    engine.reconfigure(replace(engine.spec, most_orders=3))
    put(engine, BUY, 1, limit=50.0)
    assert engine.state.clock[0].live_orders == 3


# -- how orders are executed -------------------------------------------------------------------------------------------


def test_fees_are_those_of_the_time_of_the_fill() -> None:
    engine = opened(taker_bps=10.0)
    put(engine, BUY, 10)
    row(engine, 100.0)  # 10 x 100 at 10 bps: 1 dollar
    trading_on(engine, taker_bps=50.0, fee_min=7.0)
    put(engine, BUY, 10)
    row(engine, 100.0)  # 5 dollars would be below the minimum of 7
    put(engine, BUY, 100)
    row(engine, 100.0)  # 50 dollars
    assert engine.state.accounts[0].fees == (1 + 7 + 50) * USD


def test_latency_is_of_later_orders_only() -> None:
    engine = opened(latency_ns=at(5))
    early = put(engine, BUY, 1)
    trading_on(engine, latency_ns=at(60))
    late = put(engine, BUY, 2)
    assert filled(row(engine, 101.0, seconds=5)) == [(BUY, 1, 101.0)]
    assert filled(row(engine, 102.0, seconds=59)) == []
    assert filled(row(engine, 103.0, seconds=61)) == [(BUY, 2, 103.0)]
    assert early < late


def test_slippage_and_participation_are_of_the_next_row() -> None:
    engine = opened()
    put(engine, BUY, 10)
    trading_on(engine, slippage=Slippage.BPS, slippage_value=100.0, participation=0.5)
    assert filled(row(engine, 100.0, size=8.0)) == [(BUY, 4, 101.0)]
    trading_on(engine, slippage=Slippage.NONE, slippage_value=0.0, participation=0.0)
    assert filled(row(engine, 100.0, size=8.0)) == [(BUY, 6, 100.0)]


def test_smallest_and_largest_order_change() -> None:
    engine = opened()
    trading_on(engine, min_lots=5, max_lots=10)
    codes = []
    for lots in (4, 5, 10, 11):
        put(engine, BUY, lots)
        codes.append(code_of(engine))
    assert codes == [Code.INSTRUMENT, Code.NONE, Code.NONE, Code.INSTRUMENT]


def test_late_print_enters_the_open_bar_where_that_is_now_wanted() -> None:
    for merge in (False, True):
        engine = opened()
        row(engine, 101.0, seconds=70)
        engine.reconfigure(replace(engine.spec, merge_late=merge))
        late = make_ticks([(at(30), 150.0)])._replace(ts_recv=np.array([at(71)], np.int64))
        engine.process(late)
        assert float(engine.state.series[0].high) == (150.0 if merge else 101.0)


# -- strategies --------------------------------------------------------------------------------------------------------


def crossing(**given: Any) -> Engine:
    spec = StrategySpec(
        "s", "a", ("A",), MINUTE, ("return_1",), Policy.MOMENTUM, (0.05,), SizeKind.UNITS, 10.0, **given
    )
    return Engine(EngineSpec((InstrumentSpec("A"),), (AccountSpec("a", 100_000.0),), (spec,)))


def minutes(engine: Engine, *prices: float) -> list[tuple[int, int, float]]:
    """A print in the first second of each next minute; the fills."""
    first = max(engine.now // MINUTE + 1, 0) * MINUTE
    events = engine.process(make_ticks([(first + m * MINUTE, p) for m, p in enumerate(prices)]))
    return filled(read(events))


def strategy_of(engine: Engine, **given: Any) -> None:
    """Go on with another first strategy."""
    spec = engine.spec
    engine.reconfigure(replace(spec, strategies=(replace(spec.strategies[0], **given), *spec.strategies[1:])))


def test_size_and_parameters_of_a_rule_change_and_its_averages_stay() -> None:
    engine = crossing()
    assert minutes(engine, 100.0, 101.0, 102.0) == []  # 1 % a minute, and 5 % are wanted
    strategy_of(engine, params=(0.005,), size_value=25.0)
    # the bar of 102 closes as the next minute begins: 102 / 101 is more than half a percent
    assert minutes(engine, 102.0) == [(BUY, 25, 102.0)]


def network(seed: int, *widths: int) -> Network:
    """Layers of these widths behind one input, to one output."""
    numbers = np.random.default_rng(seed)
    shapes = [*zip(widths, (1, *widths), strict=False), (1, widths[-1])]
    weights = tuple(numbers.normal(0, 1, shape) for shape in shapes)
    biases = [numbers.normal(0, 1, shape[0]) for shape in shapes]
    biases[-1] = np.array([2.0 + seed])  # whatever it sees, it goes in
    return Network(np.zeros(1), np.ones(1), 10.0, weights, tuple(biases), "tanh")


def deciding(model: Network) -> Engine:
    spec = StrategySpec(
        "s", "a", ("A",), MINUTE, ("return_1",), Policy.NETWORK, (), SizeKind.FRACTION, 0.9, model=model
    )
    return Engine(EngineSpec((InstrumentSpec("A"),), (AccountSpec("a", 100_000.0),), (spec,)))


@pytest.mark.parametrize("widths", [(4,), (64, 64), (2, 2, 2, 2), (400,)])
def test_model_that_is_promoted_decides_as_in_an_engine_that_always_had_it(widths: tuple[int, ...]) -> None:
    first, second = network(1, 4), network(2, *widths)
    changed, built = deciding(first), deciding(second)
    prices = [100.0 + 3 * (m % 5) for m in range(12)]
    strategy_of(changed, model=second)
    assert len(changed.state.activations) >= len(built.state.activations)
    ticks = make_ticks([(m * MINUTE, p) for m, p in enumerate(prices)])
    mine, theirs = changed.process(ticks), built.process(ticks)
    assert mine.observations.tobytes() == theirs.observations.tobytes()
    assert mine.events.tobytes() == theirs.events.tobytes()
    assert len(mine.events) > 0


def test_model_of_one_strategy_leaves_that_of_another_where_it_was() -> None:
    models = [network(1, 4), network(2, 4), network(3, 30)]
    base = deciding(models[0]).spec

    def of(*mine: Network) -> EngineSpec:
        strategies = tuple(replace(base.strategies[0], name=f"s{i}", model=m) for i, m in enumerate(mine))
        return replace(base, strategies=strategies)

    changed, built = Engine(of(models[0], models[1])), Engine(of(models[2], models[1]))
    changed.reconfigure(of(models[2], models[1]))
    ticks = make_ticks([(m * MINUTE, 100.0 + 3 * (m % 5)) for m in range(12)])
    assert changed.process(ticks).events.tobytes() == built.process(ticks).events.tobytes()


# -- drawdown and the day's loss ---------------------------------------------------------------------------------------


def sunk(limits: LimitsSpec | None = None, **given: Any) -> Engine:
    """An account of 100,000 that holds 1,000 lots from 100, was worth 120,000 and is worth 60,000 now."""
    engine = venue(cash=100_000.0, limits=limits, **given)
    take_on(engine, 1_000)
    row(engine, 120.0)
    row(engine, 60.0)
    return engine


def test_drawdown_that_begins_now_measures_from_now() -> None:
    engine = sunk()
    limited(engine, risk=losses(drawdown=LimitSpec(0.1, action=HALT)))
    assert switches(row(engine, 54.01)) == []
    assert switches(row(engine, 54.0)) == [(TradingState.HALTED, Code.DRAWDOWN)]


def test_drawdown_that_begins_now_knows_the_new_peaks() -> None:
    engine = sunk()
    limited(engine, risk=losses(drawdown=LimitSpec(0.1, action=HALT)))
    row(engine, 80.0)
    assert switches(row(engine, 72.01)) == []
    assert switches(row(engine, 72.0)) == [(TradingState.HALTED, Code.DRAWDOWN)]


def test_days_loss_that_begins_now_measures_from_now() -> None:
    engine = sunk()
    limited(engine, risk=losses(daily_loss=LimitSpec(0.1, action=HALT)))
    assert switches(row(engine, 54.01)) == []
    assert switches(row(engine, 54.0)) == [(TradingState.HALTED, Code.DAILY_LOSS)]


def test_drawdown_of_a_strategy_that_begins_now_measures_from_now() -> None:
    engine = sunk()
    strategy_of(engine, limits=losses(drawdown=LimitSpec(0.1, action=HALT)))
    assert switches(row(engine, 54.01)) == []
    assert switches(row(engine, 54.0)) == [(TradingState.HALTED, Code.DRAWDOWN)]
    assert engine.state.accounts[0].state == TradingState.ACTIVE


def test_worth_at_the_change_is_the_engines_own_for_all_portfolios() -> None:
    # what `take_over` works out in Python is what the loop works out at the next mark, whatever has happened before
    found = 0
    for seed in range(60):
        world = random_world(random.Random(seed))
        engine = Engine(replace(world.spec, strategies=without_actors(world.spec)))
        engine.process(cut(world.tape, 0, world.rows // 2))
        for k in range(len(engine.spec.accounts)):  # by hand, so that something is held
            account = engine.spec.accounts[k].name
            for instrument in engine.spec.instruments:
                if instrument.currency == engine.spec.accounts[k].currency:
                    engine.submit(engine.operator_slot(account, instrument.name), BUY, 3)
        engine.process(cut(world.tape, world.rows // 2, world.rows))
        bare = replace(
            engine.spec,
            accounts=tuple(replace(a, limits=replace(a.limits, risk=losses())) for a in engine.spec.accounts),
            strategies=tuple(
                replace(s, limits=replace(s.limits, drawdown=LimitSpec(), daily_loss=LimitSpec())) for s in engine.spec.strategies
            ),
        )  # fmt: skip
        engine.reconfigure(bare)
        unwatched = engine.state.portfolios["watched"] == 0
        far = LimitSpec(0.999, action=HALT)
        engine.reconfigure(
            replace(
                bare,
                accounts=tuple(
                    replace(a, limits=replace(a.limits, risk=losses(drawdown=far))) for a in bare.accounts
                ),
                strategies=tuple(replace(s, limits=replace(s.limits, drawdown=far)) for s in bare.strategies),
            )
        )
        worth = np.array(engine.state.portfolios["worth"])[unwatched]
        for price, k in ((float(i.price), k) for k, i in enumerate(engine.state.instruments) if i.price > 0):
            engine.process(make_ticks([(engine.now, price, 0.0, k, RowKind.MARK)]))
        assert list(engine.state.portfolios["worth"][unwatched]) == list(worth)
        found += int(
            (worth != engine.state.accounts["initial"][engine.state.portfolios["account"]][unwatched]).sum()
        )
    assert found > 20


def test_limit_that_begins_before_any_row_is_as_if_built_so() -> None:
    spec = venue().spec
    built = Engine(replace(spec, accounts=(replace(spec.accounts[0], limits=stops(drawdown=0.1)),)))
    changed = Engine(spec)
    changed.reconfigure(built.spec)
    for engine in (changed, built):
        row(engine, 100.0)
        take_on(engine, 50)
        row(engine, 90.0)
    assert [int(e.state.accounts[0].state) for e in (changed, built)] == [0, 0]
    for engine in (changed, built):
        row(engine, 80.0)
    assert [int(e.state.accounts[0].state) for e in (changed, built)] == [TradingState.HALTED] * 2


def test_drawdown_beside_a_days_loss_that_was_watched_all_along_knows_the_peak() -> None:
    engine = sunk(stops(daily_loss=0.9))
    both = losses(daily_loss=LimitSpec(0.9, action=HALT), drawdown=LimitSpec(0.5, action=HALT))
    limited(engine, risk=both)
    # 60,000 of a peak of 120,000
    assert switches(row(engine, 60.0)) == [(TradingState.HALTED, Code.DRAWDOWN)]


def test_tightened_drawdown_halts_at_the_next_mark() -> None:
    engine = venue(cash=100_000.0, limits=stops(drawdown=0.5))
    take_on(engine, 1_000)
    row(engine, 85.0)
    limited(engine, risk=losses(drawdown=LimitSpec(0.1, action=HALT)))
    assert engine.state.accounts[0].state == TradingState.ACTIVE
    assert switches(row(engine, 85.0)) == [(TradingState.HALTED, Code.DRAWDOWN)]


def test_drawdown_that_only_denies_lets_go_when_it_is_removed_or_loosened() -> None:
    for loosened in (losses(), losses(drawdown=LimitSpec(0.6, action=DENY))):
        engine = venue(cash=100_000.0, limits=LimitsSpec(risk=losses(drawdown=LimitSpec(0.2, action=DENY))))
        take_on(engine, 900)
        row(engine, 70.0)  # 73,000
        put(engine, BUY, 1)
        assert code_of(engine) == Code.DRAWDOWN
        limited(engine, risk=loosened)
        put(engine, BUY, 1)
        assert code_of(engine) == Code.NONE


def test_halt_stays_when_its_limit_is_removed_until_an_operator_resets_it() -> None:
    engine = venue(cash=100_000.0, limits=stops(drawdown=0.1))
    take_on(engine, 1_000)
    row(engine, 85.0)
    limited(engine, risk=losses())
    put(engine, BUY, 1)
    assert code_of(engine) == Code.TRADING_STATE
    engine.set_trading_state("a", TradingState.ACTIVE)
    engine.take_events()
    assert switches(row(engine, 10.0)) == []


def test_limit_that_was_beyond_and_only_denied_halts_where_it_now_is_to_halt() -> None:
    engine = venue(cash=100_000.0, limits=LimitsSpec(risk=losses(drawdown=LimitSpec(0.2, action=DENY))))
    take_on(engine, 1_000)
    assert levels(row(engine, 70.0))
    limited(engine, risk=losses(drawdown=LimitSpec(0.2, action=HALT)))
    assert switches(row(engine, 70.0)) == [(TradingState.HALTED, Code.DRAWDOWN)]


def test_warning_that_begins_is_told_and_one_that_goes_is_not() -> None:
    engine = venue(cash=100_000.0, limits=stops(drawdown=0.5))
    take_on(engine, 1_000)
    row(engine, 85.0)
    limited(engine, risk=losses(drawdown=LimitSpec(0.5, 0.1, HALT)))
    assert [code for code, _ in levels(row(engine, 85.0))] == [Code.DRAWDOWN]


def test_limit_again_after_a_time_without_measures_from_its_second_beginning() -> None:
    engine = sunk(stops(drawdown=0.9))
    limited(engine, risk=losses())
    row(engine, 50.0)
    limited(engine, risk=losses(drawdown=LimitSpec(0.1, action=HALT)))
    assert switches(row(engine, 45.01)) == []
    assert switches(row(engine, 45.0)) == [(TradingState.HALTED, Code.DRAWDOWN)]


def test_deposit_between_the_change_and_the_next_mark_is_no_loss_and_no_profit() -> None:
    # 60,000 and 40,000 paid in: 10 % of 100,000 are lost at 50
    engine = sunk()
    limited(engine, risk=losses(drawdown=LimitSpec(0.1, action=HALT)))
    pay(engine, 40_000.0)
    assert switches(row(engine, 50.01)) == []
    assert switches(row(engine, 50.0)) == [(TradingState.HALTED, Code.DRAWDOWN)]


def test_guards_are_counted_for_positions_that_are_held_when_limits_come_and_go() -> None:
    engine = venue(cash=100_000.0, instruments=("A", "B"), strategies=("s", "t"))
    take_on(engine, 100, slot=0)
    take_on(engine, 100, slot=2)
    take_on(engine, 100, slot=3)
    counts = [list(engine.state.instruments["guards"])]
    limited(engine, risk=losses(drawdown=LimitSpec(0.5, action=HALT)))
    counts.append(list(engine.state.instruments["guards"]))
    put(engine, SELL, 100, slot=2)
    row(engine, 100.0, size=1e9, instrument=0)
    counts.append(list(engine.state.instruments["guards"]))
    limited(engine, risk=losses())
    counts.append(list(engine.state.instruments["guards"]))
    assert counts == [[0, 0], [2, 1], [1, 1], [0, 0]]


def test_quiet_stretch_of_prints_is_broken_by_a_limit_that_came_while_the_position_was_held() -> None:
    engine = venue(cash=100_000.0)
    take_on(engine, 1_000)
    limited(engine, risk=losses(drawdown=LimitSpec(0.1, action=HALT)))
    first = engine.now
    events = engine.process(make_ticks([(first + i, 100.0 - i) for i in range(1, 30)]))
    assert [e["ts"] - first for e in read(events) if e["kind"] == EventKind.STATE] == [10]


# -- margin ------------------------------------------------------------------------------------------------------------


def test_maintenance_raised_calls_at_the_next_mark() -> None:
    # 10,000 hold 200 lots: at 90 the equity is 8,000 of 18,000, 44 %
    engine = venue(margin=MarginSpec(2.0, 0.25))
    take_on(engine, 200)
    assert switches(row(engine, 90.0)) == []
    limited(engine, margin=MarginSpec(2.0, 0.45))
    assert switches(row(engine, 90.0)) == [(TradingState.ACTIVE, Code.LIQUIDATION)]


def test_leverage_lowered_denies_more_and_liquidates_nothing() -> None:
    engine = venue(margin=MarginSpec(4.0, 0.1))
    take_on(engine, 200)
    limited(engine, margin=MarginSpec(2.0, 0.1))
    put(engine, BUY, 1)
    assert code_of(engine) == Code.MARGIN
    assert switches(row(engine, 100.0)) == []


def test_rate_of_interest_is_of_the_days_that_follow() -> None:
    # 20,000 bought with 10,000: 10,000 are owed. A day at 36.5 % costs 10, one at 73 % of 10,010 costs 20.02
    engine = venue(margin=MarginSpec(4.0, 0.1, debit_rate=0.365))
    take_on(engine, 200)
    engine.process(timer_at(DAY))
    assert engine.state.accounts[0].interest == -10 * USD
    limited(engine, margin=MarginSpec(4.0, 0.1, debit_rate=0.73))
    engine.process(timer_at(2 * DAY))
    assert engine.state.accounts[0].interest == round(-30.02 * USD)


# -- what portfolios may lose ------------------------------------------------------------------------------------------


def test_var_limit_that_begins_measures_by_the_rows_there_are() -> None:
    engine = market()
    hold(engine, 50)
    limited(engine, risk=losses(var=LimitSpec(0.0201, action=HALT)))
    assert not switches(row(engine, 101.0))
    # 50 lots are beyond 2.01 % from 101.01 on: tests/stories/test_risk_halts.py
    assert switches(row(engine, 101.01)) == [(TradingState.HALTED, Code.VAR)]


def test_var_limit_that_is_tightened_denies_the_next_order() -> None:
    engine = market(limits=losses(var=LimitSpec(0.5)))
    hold(engine, 50)
    limited(engine, risk=losses(var=LimitSpec(0.02)))
    # 50 lots at 100 lose 4 % of 5,000: 2 % of 10,000, and one more is beyond
    assert ask(engine, BUY, 1)["code"] == Code.VAR
    limited(engine, risk=losses())
    assert ask(engine, BUY, 1)["code"] == Code.NONE


@pytest.mark.parametrize("method", list(Method))
def test_loss_measured_is_the_same_before_and_after(method: Method) -> None:
    engine = market(
        [0.01 * ((7 * i) % 11 - 5) for i in range(24)],
        limits=losses(var=LimitSpec(0.5)), shocks=(ShockSpec("crash", (), -0.1),), method=method, window=24, min_history=20, draws=200,
    )  # fmt: skip
    hold(engine, 30)
    before = loss(engine)
    limited(engine, risk=losses(var=LimitSpec(0.4), cvar=LimitSpec(0.45, action=HALT)))
    assert loss(engine) == before
    fresh = Engine(engine.spec)
    fresh.restore(engine.snapshot())
    assert loss(fresh) == before


# -- what is refused ---------------------------------------------------------------------------------------------------


def base() -> EngineSpec:
    days = np.arange(10, dtype=np.int64) * DAY
    return EngineSpec(
        (InstrumentSpec("A", calendar="X"), InstrumentSpec("B")),
        (AccountSpec("a", 1000.0), AccountSpec("m", 1000.0, margin=MarginSpec())),
        (
            StrategySpec("s", "a", ("A",), MINUTE, ("sma_2",)),
            StrategySpec("t", "m", ("A", "B"), MINUTE, limits=losses(var=LimitSpec(0.1))),
        ),
        calendars={"X": Sessions(days + 14 * DAY // 24, days + 20 * DAY // 24)},
        risk=RiskSpec(),
        reasons=("looked into it",),
    )


def first(spec: EngineSpec, what: str, **given: Any) -> EngineSpec:
    """The specification with another first of its instruments, accounts or strategies."""
    parts = getattr(spec, what)
    changed: dict[str, Any] = {what: (replace(parts[0], **given), *parts[1:])}
    return replace(spec, **changed)


def second(spec: EngineSpec, what: str, **given: Any) -> EngineSpec:
    parts = getattr(spec, what)
    changed: dict[str, Any] = {what: (parts[0], replace(parts[1], **given), *parts[2:])}
    return replace(spec, **changed)


def other_shapes() -> Iterator[Any]:
    b = base()
    named = {
        "instrument 'C' is new": replace(b, instruments=(*b.instruments, InstrumentSpec("C"))),
        "strategy 's' is gone": replace(b, strategies=b.strategies[1:]),
        "strategy 'u' is new": first(b, "strategies", name="u"),
        "account 'b' is new": replace(b, accounts=(*b.accounts, AccountSpec("b", 1.0))),
        "the instruments stand in another order": replace(b, instruments=b.instruments[::-1]),
        "the strategies stand in another order": replace(b, strategies=b.strategies[::-1]),
        "instrument 'A' is of another shape": first(b, "instruments", tick_size=0.05),
        "instrument 'A' is of another shape ": first(b, "instruments", lot_size=0.1),
        "instrument 'A' is of another shape  ": first(b, "instruments", calendar=""),
        "instrument 'A' is of another shape   ": first(b, "instruments", day_offset_ns=1),
        # orders that rest are sorted by it
        "instrument 'A' is of another shape    ": first(b, "instruments", fill_at_touch=True),
        "account 'a' is of another shape": first(b, "accounts", cash=2000.0),
        "account 'a' is of another shape ": first(b, "accounts", margin=MarginSpec()),
        "account 'm' is of another shape": second(b, "accounts", margin=None),
        "account 'm' is of another shape ": second(b, "accounts", margin=MarginSpec(debit_rate=0.1)),
        "account 'a' is of another shape  ": first(b, "accounts", limits=LimitsSpec(rate_orders=1, rate_window_ns=1)),
        "strategy 's' is of another shape": first(b, "strategies", features=("sma_3",)),
        "strategy 's' is of another shape ": first(b, "strategies", timeframe_ns=2 * MINUTE),
        "strategy 's' is of another shape  ": first(b, "strategies", wants=1),
        "strategy 's' is of another shape   ": first(b, "strategies", history=50),
        "strategy 's' is of another shape    ": first(b, "strategies", instruments=("B",)),
        "strategy 's' is of another shape     ": first(b, "strategies", account="m"),
        "strategy 's' is of another shape      ": first(b, "strategies", limits=losses(var=LimitSpec(0.1))),
        "strategy 't' is of another shape": second(b, "strategies", limits=losses()),
        "risk differs": replace(b, risk=RiskSpec(window=400)),
        "risk differs ": replace(b, risk=RiskSpec(method=Method.FILTERED)),
        "grace_ns differs": replace(b, grace_ns=1),
        "trade_from differs": replace(b, trade_from=1),
        "scales differs": replace(b, scales={"USD": 100}),
        "calendars differs": replace(b, calendars=b.calendars | {"Y": b.calendars["X"]}),
        "reasons differs": replace(b, reasons=()),
    }  # fmt: skip
    for text, spec in named.items():
        yield pytest.param(text.strip(), spec, id=f"{text.strip()}-{len(text) - len(text.strip())}")


@pytest.mark.parametrize(("text", "other"), list(other_shapes()))
def test_another_shape_is_refused_by_name_and_changes_nothing(text: str, other: EngineSpec) -> None:
    engine = Engine(base())
    engine.process(make_ticks([(at(s), 100.0 + s, 1.0, s % 2, RowKind.PRINT) for s in range(100)]))
    before, arrays = engine.state_hash(), engine.state
    with pytest.raises(SpecError, match=text):
        engine.reconfigure(other)
    assert engine.state_hash() == before
    assert engine.state is arrays
    assert engine.spec == base()
    snapshot = engine.snapshot()
    with pytest.raises(SnapshotError, match="another engine"):
        Engine(other).restore(snapshot)
    engine.reconfigure(base())


def test_nonsense_of_the_same_shape_is_refused_and_changes_nothing() -> None:
    engine = Engine(base())
    engine.process(make_ticks([(0, 100.0)]))
    before = engine.state_hash()
    for other in (
        first(base(), "instruments", participation=2.0),
        first(base(), "accounts", limits=LimitsSpec(collar=-1.0)),
        second(base(), "accounts", margin=MarginSpec(leverage=0.0)),
        first(base(), "strategies", limits=losses(drawdown=LimitSpec(0.1, 0.2))),
    ):
        assert differing(engine.spec, other) == []
        with pytest.raises(SpecError):
            engine.reconfigure(other)
        assert engine.state_hash() == before
        assert engine.spec == base()


def test_two_things_that_differ_are_both_named() -> None:
    b = base()
    other = replace(first(b, "accounts", cash=1.0), risk=None)
    other = second(other, "strategies", limits=losses())
    assert len(differing(b, other)) == 3


def test_frame_leaves_out_what_may_change_and_nothing_else() -> None:
    b = base()
    for other in (
        first(b, "instruments", taker_bps=3.0, latency_ns=5, participation=0.5, min_lots=2, fee_per_unit=0.1),
        first(b, "accounts", limits=stops(drawdown=0.1, collar=0.2)),
        first(b, "strategies", size_value=5.0, params=(1.0,), cancel_on_disconnect=False, threshold=0.2),
        replace(b, merge_late=True, most_orders=7),
    ):
        assert frame(other) == frame(b)
        assert other != b
    for param in other_shapes():
        assert frame(param.values[1]) != frame(b)


def test_new_symbols_of_an_instrument_are_taken_over() -> None:
    # the nightly fetch appends to the file that they are read from
    engine = Engine(base())
    engine.process(make_ticks([(0, 100.0)]))
    engine.reconfigure(first(base(), "instruments", symbols=("A2",)))
    assert engine.spec.instruments[0].symbols == ("A2",)


# -- snapshots ---------------------------------------------------------------------------------------------------------


def test_snapshot_goes_into_an_engine_of_other_limits_which_has_its_own() -> None:
    engine = sunk()
    spec = engine.spec
    strict = replace(spec.accounts[0], limits=LimitsSpec(max_position=998.0, risk=stops(drawdown=0.1).risk))
    put(engine, SELL, 3)
    row(engine, 60.0, size=1e9)
    limited(engine, max_position=2_000.0)
    other = Engine(replace(spec, accounts=(strict,)))
    other.restore(engine.snapshot())
    assert other.state.slots[0].lots == 997
    put(other, BUY, 2)
    assert code_of(other) == Code.POSITION
    # 180 in cash beside 997 lots: 60,000 at 60, and 54,000 at 53.98
    assert switches(row(other, 53.99)) == []
    assert switches(row(other, 53.98)) == [(TradingState.HALTED, Code.DRAWDOWN)]


@settings(max_examples=60)
@given(worlds(), st.floats(0, 1), st.randoms(use_true_random=False))
def test_restore_into_other_rules_is_restore_and_then_reconfigure(
    world: World, where: float, dice: random.Random
) -> None:
    world = replace(world, spec=replace(world.spec, strategies=without_actors(world.spec)), seeds={})
    at_row = int(where * world.rows)
    engine = Engine(world.spec)
    engine.process(cut(world.tape, 0, at_row))
    changed = (
        loose(world.spec)
        if dice.random() < 0.5
        else replace(world.spec, merge_late=not world.spec.merge_late)
    )
    one, two = Engine(changed), Engine(world.spec)
    one.restore(engine.snapshot())
    two.restore(engine.snapshot())
    two.reconfigure(changed)
    assert one.state_hash() == two.state_hash()
    rest = cut(world.tape, at_row, world.rows)
    assert one.process(rest).events.tobytes() == two.process(rest).events.tobytes()
    assert one.state_hash() == two.state_hash()


def test_snapshot_of_another_hash_is_refused_and_changes_nothing() -> None:
    engine = make_engine()
    engine.process(make_ticks([(0, 10.0)]))
    before = engine.state_hash()
    with pytest.raises(SnapshotError, match="its specification differs"):
        engine.restore(replace(engine.snapshot(), spec="0" * 32))
    assert engine.state_hash() == before


def test_calendar_that_knows_more_sessions_is_taken_over() -> None:
    hours = np.array([[14, 21], [38, 45], [62, 69]], np.int64) * 3_600 * 10**9

    def of(n: int) -> EngineSpec:
        sessions = Sessions(hours[:n, 0].copy(), hours[:n, 1].copy())
        return EngineSpec(
            (InstrumentSpec("A", calendar="X"), InstrumentSpec("B", calendar="Y")),
            (AccountSpec("a", 1e6),),
            (StrategySpec("s", "a", ("A", "B"), MINUTE),),
            calendars={"X": sessions, "Y": Sessions(hours[:, 0].copy(), hours[:, 1].copy())},
        )

    outcomes = []
    for way in ("built", "changed", "restored"):
        engine = Engine(of(3 if way == "built" else 1))
        row(engine, 100.0, seconds=15 * 3600)
        if way == "changed":
            engine.reconfigure(of(3))
        if way == "restored":
            other = Engine(of(3))
            other.restore(engine.snapshot())
            engine = other
        put(engine, BUY, 1, tif=TimeInForce.DAY, limit=50.0)
        put(engine, BUY, 2, tif=TimeInForce.AT_THE_OPEN)
        row(engine, 100.0, seconds=15 * 3600 + 1)
        told: list[Any] = ended(wait(engine, 22 * 3600))
        told += filled(row(engine, 101.0, seconds=39 * 3600))
        outcomes.append((told, engine.state_hash()))
    assert (1, Status.EXPIRED, Code.NONE) in outcomes[0][0]
    assert (BUY, 2, 101.0) in outcomes[0][0]
    assert outcomes[0] == outcomes[1] == outcomes[2]


# -- actors ------------------------------------------------------------------------------------------------------------


class Counting:
    """Notes what it is asked, and sets a timer when it begins."""

    def __init__(self, name: str, wants: int = int(Wants.TICK), timer: int = 0, timer_id: int = 1) -> None:
        self.name, self.wants, self.first, self.timer_id = name, wants, timer, timer_id
        self.heard: list[str] = []

    def start(self, engine: Engine, strategy: int) -> None:
        self.engine, self.strategy = engine, strategy
        self.heard.append("start")
        if self.first:
            engine.set_timer(strategy, self.timer_id, self.first, at(10))

    def tick(self, slot: int) -> None:
        self.heard.append("tick")

    def timer(self, timer_id: int) -> None:
        self.heard.append(f"timer {timer_id}")

    def order(self, event: int) -> None:
        self.heard.append(f"order {Status(self.engine.state.events[event].status).name}")

    def bar(self, slot: int) -> None:
        self.heard.append("bar")

    def save(self) -> list[str]:
        return list(self.heard)

    def stop(self) -> None:
        self.heard.append("stop")

    bars = fill = action = load = bar


WANTS = int(Wants.TICK | Wants.ORDER)


def asked(**actors: Counting) -> Engine:
    engine = venue(strategies=tuple(actors), strategy={"wants": WANTS}, actors=dict(actors))
    engine.start()
    return engine


def test_actor_replaced_is_asked_no_more_and_the_new_one_is() -> None:
    old, new, other = Counting("old", WANTS), Counting("new", WANTS), Counting("other", WANTS)
    engine = asked(s=old, t=other)
    before = list(old.heard)
    engine.replace_actor("s", new)
    row(engine, 101.0)
    assert old.heard == before
    assert new.heard == ["start", "tick"]
    assert other.heard[-1] == "tick"
    assert engine.snapshot().actors["s"] == ["start", "tick"]


def test_timers_of_the_actor_that_is_replaced_are_gone_and_those_of_others_stay() -> None:
    old, other = Counting("old", WANTS, at(5)), Counting("other", WANTS, at(6))
    engine = asked(s=old, t=other)
    new = Counting("new", WANTS, at(7), timer_id=2)
    engine.replace_actor("s", new)
    assert engine.next_due() == at(6)
    wait(engine, 16)
    assert [h for h in old.heard if h.startswith("timer")] == []
    assert [h for h in new.heard if h.startswith("timer")] == ["timer 2"]
    assert [h for h in other.heard if h.startswith("timer")] == ["timer 1", "timer 1"]


def test_orders_and_position_stay_with_the_strategy_whose_actor_is_replaced() -> None:
    engine = asked(s=Counting("old", WANTS))
    take_on(engine, 10)
    order_id = put(engine, SELL, 10, limit=120.0)
    new = Counting("new", WANTS)
    engine.replace_actor("s", new)
    assert engine.state.slots[0].lots == 10
    engine.cancel(order_id)
    assert new.heard == ["start", "order CANCELED"]


def test_actor_that_wants_other_things_is_refused_and_the_old_one_goes_on() -> None:
    old = Counting("old", WANTS, at(5))
    engine = asked(s=old)
    with pytest.raises(EngineError, match=r"strategy 's': the spec says wants="):
        engine.replace_actor("s", Counting("new", WANTS | int(Wants.BAR)))
    wait(engine, 5)
    assert old.heard[-1] == "timer 1"


def test_question_that_no_row_asks_may_order_and_its_orders_are_heard_of_at_once() -> None:
    actor = Counting("s", WANTS)
    engine = asked(s=actor)
    engine.take_events()

    def question() -> None:
        put(engine, BUY, 3, limit=90.0)

    events = engine.ask(question)
    assert actor.heard[-1] == "order NEW"
    assert history(read(events), 1)[-1][0] == Status.NEW
    assert len(engine.take_events().events) == 0


def test_question_in_which_a_batch_would_enter_is_refused() -> None:
    engine = asked(s=Counting("s", WANTS))

    def question() -> None:
        engine.process(timer_at(at(9)))

    with pytest.raises(EngineError, match="from inside an actor"):
        engine.ask(question)
    assert prints(engine, 102.0) == []  # and the engine is free again
