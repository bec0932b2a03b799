"""Compiled policies: what they want of their position, how they size it, and which orders that takes.

Bars of these stories are flat (open = high = low = close); the bar of minute k opens at 60 k seconds. A decision on its
close is made at 60 (k + 1) seconds and fills at the next bar's open.
"""

from typing import Any

import pytest

from engine.engine import Engine
from engine.policies import Policy
from engine.records import Code, RowKind, Side, SizeKind, Status, Ticks
from tests.builders import MINUTE, make_bars, make_engine, make_ticks, order, read
from tests.stories.desk import assert_balanced, cash, dollars, filled, make_world, opened, own, path, row


def flat(*prices: float, volume: float = 100.0, first: int = 0) -> Ticks:
    return make_bars([(p, p, p, p, volume) for p in prices], first=first * MINUTE)


def trade(policy: Policy, features: tuple[str, ...], params: tuple[float, ...], *prices: float) -> list[Any]:
    """(minute, side, price) of each fill, ten units a position."""
    engine = make_world(
        strategy={"policy": policy, "features": features, "params": params, "size_value": 10.0}, cash=100_000
    )
    events = read(engine.process(flat(*prices)))
    assert_balanced(engine)
    assert all(lots == 10 for _, lots, _ in filled(events))
    return [(e["ts"] // MINUTE, e["side"], e["last_px"]) for e in events if e["last_lots"]]


def test_buy_and_hold_buys_at_the_second_bar_and_holds() -> None:
    assert trade(Policy.BUY_AND_HOLD, ("close",), (), 100, 101, 102, 50, 200) == [(1, 1, 101)]


def test_sma_cross_is_long_while_the_fast_average_is_above_the_slow_one() -> None:
    prices = (10, 10, 10, 13, 13, 10, 7, 7)
    # close        10  10    10    13    13    10     7     7
    # 2 bars           10    10    11.5  13    11.5   8.5   7
    # 3 bars                 10    11    12    12    10     8
    # wanted                 flat  long  long  flat  flat  flat
    #                              decided at minute 4, filled at its open, 13
    #                                          decided at minute 6, filled at its open, 7
    assert trade(Policy.SMA_CROSS, ("sma_2", "sma_3"), (), *prices) == [(4, 1, 13), (6, -1, 7)]


def test_sma_cross_acts_on_the_level_not_on_the_crossing() -> None:
    # the fast average is above the slow one from the first bar on which both exist; there never was a crossing
    prices = (10, 11, 12, 13)
    assert trade(Policy.SMA_CROSS, ("sma_2", "sma_3"), (), *prices) == [(3, 1, 13)]


def test_position_that_was_lost_is_taken_again_on_the_next_bar() -> None:
    engine = make_world(
        strategy={"policy": Policy.SMA_CROSS, "features": ("sma_1", "sma_2"), "size_value": 10.0},
        cash=100_000,
    )
    engine.process(flat(10, 11, 12, 13))
    assert engine.state.slots[0].lots == 10
    order(engine, Side.SELL, 10)  # an order of its own making, filled before the bar of minute 3 has closed
    assert path(engine, (13.0, RowKind.CLOSE)) == [(2, -1, 10, 13.0)]
    # at minute 4 the averages, 13 and 12.5, still say long
    assert filled(read(engine.process(flat(14, first=4)))) == [(1, 10, 14)]


def test_momentum_has_a_band_in_which_it_keeps_what_it_has() -> None:
    #  close                100  110  105  105  90  91
    #  return over 1 bar         .1  -.045  0  -.14  .011
    #  threshold .05             long keep keep flat keep
    assert trade(Policy.MOMENTUM, ("return_1",), (0.05,), 100, 110, 105, 105, 90, 91) == [
        (2, 1, 105),
        (5, -1, 91),
    ]


def test_momentum_without_a_band_is_flat_unless_the_return_is_positive() -> None:
    # returns: +10 %, 0, +10 %
    assert trade(Policy.MOMENTUM, ("return_1",), (0.0,), 100, 110, 110, 121, 121) == [
        (2, 1, 110),
        (3, -1, 121),
        (4, 1, 121),
    ]


def test_rsi_reversion_buys_when_oversold_and_sells_above_its_exit() -> None:
    # rsi_2 (weight 1/2), average gain and loss, from the second bar on:
    # 100, 90: 0, 5 -> 0           long (below 30), filled at 80
    # 80:      0, 7.5 -> 0         long, is long
    # 80:      0, 3.75 -> 0        long, is long
    # 90:      5, 1.875 -> 72.7    flat (above 55), filled at 90
    # 90:      2.5, 0.9375 -> 72.7 flat
    assert trade(Policy.RSI_REVERSION, ("rsi_2",), (30.0, 55.0), 100, 90, 80, 80, 90, 90, 90) == [
        (2, 1, 80),
        (5, -1, 90),
    ]


def test_rsi_reversion_keeps_its_position_between_the_bounds() -> None:
    # 100, 90: 0; then 92: gain 1, loss 2.5 -> 28.6 (between 20 and 55): long since the second bar, and kept
    assert trade(Policy.RSI_REVERSION, ("rsi_2",), (20.0, 55.0), 100, 90, 92, 92) == [(2, 1, 92)]


def test_size_in_units_is_bought_in_lots() -> None:
    engine = make_engine(policy=Policy.BUY_AND_HOLD, features=("close",), size=2.5, lot_size=0.5)
    assert filled(read(engine.process(flat(10, 10)))) == [(1, 5, 10.0)]
    assert cash(engine) == dollars(1_000_000 - 25)


def fraction(
    share: float, instruments: tuple[str, ...] = ("A",), cash: float = 10_000, **instrument: Any
) -> Engine:
    strategy = {
        "policy": Policy.BUY_AND_HOLD,
        "features": ("close",),
        "size_kind": SizeKind.FRACTION,
        "size_value": share,
    }
    return make_world(instruments=instruments, cash=cash, strategy=strategy, **instrument)


def test_fraction_buys_what_that_share_of_equity_pays_for_with_its_fees() -> None:
    engine = fraction(0.5, taker_bps=10.0)
    # half of 10,000 at 100.10 a unit (10 bps): 49.95, so 49
    assert filled(read(engine.process(flat(100, 100)))) == [(1, 49, 100.0)]


def test_fraction_is_measured_at_the_entry_only() -> None:
    engine = fraction(0.5)
    # 50 units at the first close; at 200 half of the equity of 15,000 would be 37, at 50 it would be 75
    assert filled(read(engine.process(flat(100, 100, 200, 50, 50)))) == [(1, 50, 100.0)]


def test_fraction_is_split_evenly_over_the_instruments() -> None:
    engine = fraction(0.8, ("A", "B"))
    engine.process(make_ticks([(1, 100.0, 1.0, 0), (1, 50.0, 1.0, 1)]))
    events = read(engine.process(make_ticks([(MINUTE, 100.0, 1.0, 0), (MINUTE, 50.0, 1.0, 1)])))
    assert filled(events) == [(1, 40, 100.0), (1, 80, 50.0)]  # 4,000 each


@pytest.mark.parametrize("costs", [{"fee_min": 5.0}, {"taker_bps": 10.0}, {"fee_per_unit": 0.01}])
def test_all_of_the_equity_can_be_invested_whatever_the_fees(costs: dict[str, Any]) -> None:
    engine = fraction(1.0, **costs)
    # 10,000 at 100 each, less the fees: 99 units, not an order of 100 that the gate denies
    assert filled(read(engine.process(flat(100, 100)))) == [(1, 99, 100.0)]


def test_nothing_is_bought_for_less_than_one_lot() -> None:
    engine = fraction(0.5, cash=100)
    assert read(engine.process(flat(100, 100))) == []


# -- aim: what brings a position to its target -------------------------------------------------------------------------


def test_aim_counts_what_is_working() -> None:
    engine = opened(100.0)
    engine.aim(0, 10)
    engine.aim(0, 10)
    assert [e["lots"] for e in read(engine.take_events())] == [10]
    engine.aim(0, 15)
    assert [e["lots"] for e in read(engine.take_events())] == [5]


def test_aim_at_nothing_cancels_the_purchase_that_works() -> None:
    engine = opened(100.0)
    engine.aim(0, 10)
    engine.take_events()
    engine.aim(0, 0)
    assert [e["status"] for e in read(engine.take_events())] == [Status.CANCELED]


def test_aim_cancels_a_partly_filled_purchase_and_sells_what_it_brought() -> None:
    engine = opened(100.0, participation=0.1)
    engine.aim(0, 10)
    row(engine, 100.0, size=40.0)  # 4 of 10
    engine.aim(0, 0)
    assert [(e["status"], e["side"], e["lots"]) for e in read(engine.take_events())] == [
        (Status.CANCELED, 1, 10),
        (Status.NEW, -1, 4),
    ]


def test_aim_back_at_the_position_cancels_the_sale_that_works_and_buys_nothing() -> None:
    engine = opened(100.0)
    own(engine, 100)
    engine.aim(0, 0)
    engine.take_events()
    engine.aim(0, 100)
    assert [(e["status"], e["side"]) for e in read(engine.take_events())] == [(Status.CANCELED, -1)]
    assert (engine.state.slots[0].working_buy, engine.state.slots[0].working_sell) == (0, 0)


def test_aim_between_position_and_purchase_cancels_the_purchase_and_buys_less() -> None:
    engine = opened(100.0, participation=0.1)
    engine.aim(0, 10)
    row(engine, 100.0, size=50.0)  # 5 of 10
    engine.aim(0, 7)
    # not a sale of 3 beside a purchase of 5
    assert [(e["status"], e["side"], e["lots"]) for e in read(engine.take_events())] == [
        (Status.CANCELED, 1, 10),
        (Status.NEW, 1, 2),
    ]


def test_aim_while_a_cancel_is_on_its_way_never_overshoots() -> None:
    engine = opened(100.0, latency_ns=10 * MINUTE)
    order(engine, Side.BUY, 100)
    row(engine, 100.0, seconds=1_000)
    assert engine.state.slots[0].lots == 100
    engine.aim(0, 0)
    engine.aim(0, 100)  # the sale is being cancelled; it can fill, and it can be cancelled
    row(engine, 100.0, seconds=3_000)
    row(engine, 100.0, seconds=6_000)
    assert engine.state.slots[0].lots <= 100


def test_flat_policy_cancels_a_purchase_that_did_not_fill() -> None:
    # no volume, and a bounded share of it: nothing fills
    engine = make_world(
        strategy={"policy": Policy.SMA_CROSS, "features": ("sma_1", "sma_2"), "size_value": 10.0},
        participation=0.1,
    )
    # 10, 11: long, and the purchase waits; 9: flat
    events = read(engine.process(flat(10, 11, 11, 9, 9, volume=0.0)))
    assert [(e["status"], e["code"]) for e in events if e["order_id"] == 1] == [
        (Status.NEW, Code.NONE),
        (Status.CANCELED, Code.NONE),
    ]
    assert engine.live_orders() == []


def test_order_of_a_policy_carries_the_observation_it_was_decided_on() -> None:
    engine = make_world(
        strategy={"policy": Policy.SMA_CROSS, "features": ("sma_2", "sma_3"), "size_value": 10.0},
        cash=100_000,
    )
    events = engine.process(flat(10, 10, 10, 13, 13))
    [first, *_] = read(events)
    assert events.observations[first["observation"]].tolist() == [11.5, 11.0]
