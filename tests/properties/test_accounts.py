"""Accounts do not meet: what one of them does changes nothing for the other."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.engine import Engine, Events
from engine.policies import Policy
from engine.records import OrderType, RowKind, Side, Ticks, TimeInForce, TradingState
from engine.spec import AccountSpec, EngineSpec, InstrumentSpec, StrategySpec
from tests.builders import MINUTE, fills, join, make_engine, make_ticks, order
from tests.properties.chaos import Chaos, place_order
from tests.properties.drawing import random_world, worlds
from tests.properties.worlds import World, make, run

TICK = 0.01


def two_accounts(**instrument: object) -> Engine:
    return Engine(
        EngineSpec(
            (InstrumentSpec("A", **instrument),),  # type: ignore[arg-type] # values of several types
            (AccountSpec("a", 1e6), AccountSpec("b", 1e6)),
            (StrategySpec("s", "a", ("A",), MINUTE), StrategySpec("t", "b", ("A",), MINUTE)),
        )
    )


rows = st.lists(
    st.tuples(st.integers(-8, 8), st.sampled_from((RowKind.PRINT, RowKind.EXTREME, RowKind.CLOSE))),
    min_size=2,
    max_size=12,
)
given_orders = st.tuples(
    st.integers(0, 11),  # before this row
    st.sampled_from((Side.BUY, Side.BUY, Side.SELL)),
    st.integers(1, 5),
    st.sampled_from((OrderType.MARKET, OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT)),
    st.sampled_from(tuple(TimeInForce)[:4]),
    st.integers(-6, 6),
)


@settings(max_examples=200)
@given(
    rows, st.lists(given_orders, max_size=5), st.lists(given_orders, min_size=1, max_size=5), st.booleans()
)
def test_fills_of_an_account_are_the_same_whatever_another_account_orders(
    path: list[tuple[int, RowKind]],
    mine: list[tuple[int, Side, int, OrderType, TimeInForce, int]],
    others: list[tuple[int, Side, int, OrderType, TimeInForce, int]],
    at_touch: bool,
) -> None:
    def fills_of_a(both: bool) -> list[tuple[int, int, float]]:
        engine = two_accounts(fill_at_touch=at_touch)
        out = []
        ticks = 1_000
        for i, (step, kind) in enumerate(path):
            for slot, orders in ((1, others if both else []), (0, mine)):
                for wanted in orders:
                    if wanted[0] == i:
                        place_order(engine, slot, *wanted[1:])
            ticks += step
            events: Events = engine.process(make_ticks([(i, ticks * TICK, 10.0, 0, kind)]))
            out += [
                (int(e["seq"]), int(e["side"] * e["last_lots"]), float(e["last_px"]))
                for e in events.events
                if e["kind"] == 1 and e["account"] == 0
            ]
        return out

    assert fills_of_a(False) == fills_of_a(True)


@pytest.mark.parametrize(("stop", "limit"), [(0.0, 10.0), (8.0, 0.0)])
def test_order_that_the_path_begins_beyond_fills_on_its_first_path_row_alone_as_in_company(
    stop: float, limit: float
) -> None:
    # the price is 9 when the order comes: it is beyond a limit of 10, and beyond a stop of 8; then the path leads away
    got = []
    away = 11.0 if limit else 7.5
    for company in (False, True):
        engine = two_accounts()
        engine.process(make_ticks([(0, 9.0)]))
        if company:
            engine.submit(1, Side.BUY, 1)
        order(engine, Side.BUY, 1, limit=limit, stop=stop)
        events = engine.process(make_ticks([(1, away, 1.0, 0, RowKind.EXTREME)]))
        got.append([f for f in fills(events) if f[2]])
    assert len(got[0]) == len(got[1])


@settings(max_examples=60)
@given(worlds())
def test_halted_account_that_is_flattened_holds_nothing_once_prints_have_come(world: World) -> None:
    engine = make(world)
    for i in range(world.rows):
        engine.process(type(world.tape)(*(c[i : i + 1] for c in world.tape)))
    for actor in engine.actors.values():
        assert isinstance(actor, Chaos)
        actor.quiet = True  # it could cancel what closes its positions
    for account in world.spec.accounts:
        engine.set_trading_state(account.name, TradingState.HALTED)
        engine.flatten(account.name)
    step = max(i.latency_ns for i in world.spec.instruments) + MINUTE
    n = len(world.spec.instruments)
    # at the last prices: another could make what splits have left worth more than is counted exactly
    last = [float(i.price) or 50.0 for i in engine.state.instruments]
    calm = [
        (engine.now + (r + 1) * step, last[k], 1e12, k, RowKind.PRINT) for r in range(6) for k in range(n)
    ]
    engine.process(make_ticks(calm))
    assert len(engine.live_orders()) == 0
    assert engine.state.slots["lots"].tolist() == [0] * len(engine.state.slots)


def test_flatten_sells_what_a_sell_order_on_its_way_to_be_cancelled_had_taken() -> None:
    engine = make_engine(latency_ns=10)
    engine.process(make_ticks([(0, 10.0)]))
    order(engine, Side.BUY, 100)
    engine.process(make_ticks([(20, 10.0)]))
    order(engine, Side.SELL, 100, limit=50.0)
    engine.process(make_ticks([(40, 10.0)]))
    engine.set_trading_state("a", TradingState.HALTED)
    engine.flatten("a")
    engine.process(join(make_ticks([(60, 10.0)]), make_ticks([(80, 10.0)]), make_ticks([(100, 10.0)])))
    assert int(engine.state.slots[0].lots) == 0


def test_flatten_of_a_halted_account_is_not_undone_by_its_own_strategy() -> None:
    # the strategy wants to be long at each bar; its order to buy is denied, and must not cancel the order to sell
    engine = make_engine(policy=Policy.BUY_AND_HOLD, size=10)
    engine.process(make_ticks([(0, 10.0), (MINUTE, 10.0), (MINUTE + 1, 10.0)]))
    assert int(engine.state.slots[0].lots) == 10
    engine.set_trading_state("a", TradingState.HALTED)
    engine.flatten("a")
    engine.process(make_ticks([(2 * MINUTE, 10.0), (3 * MINUTE, 10.0)]))
    assert int(engine.state.slots[0].lots) == 0


@settings(max_examples=40)
@given(worlds())
def test_account_that_is_halted_from_the_start_never_trades(world: World) -> None:
    engine = make(world)
    for account in world.spec.accounts:
        engine.set_trading_state(account.name, TradingState.HALTED)
    resets = world.tape.flags == RowKind.OPERATOR
    events = engine.process(Ticks(*(column[~resets] for column in world.tape))).events
    assert not (events["kind"] == 1).any()
    accounts = engine.state.accounts
    assert (accounts["cash"] == accounts["initial"] + accounts["deposits"] + accounts["interest"]).all()


def test_world_runs_twice_with_the_same_result() -> None:
    for seed in range(20):
        world = random_world(random.Random(seed))
        run(world).same_as(run(world))
