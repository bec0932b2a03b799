"""Margin accounts: what leverage allows, short sales, and margin calls.

Unless a story says otherwise: cash of 10,000, leverage 4, maintenance 20 %, a price of 100 at the start.
"""

from typing import Any

import pytest

from engine.engine import Engine
from engine.records import SECOND, Code, EventKind, OrderType, Side, Status, TradingState
from engine.spec import LimitsSpec, MarginSpec
from tests.builders import make_ticks, order, read, stops
from tests.stories.accounts import assert_books, cash_moves, ended, pay, resting, venue
from tests.stories.desk import at, cash, code_of, dollars, filled, own, row

BUY, SELL = Side.BUY, Side.SELL


def margin(leverage: float = 4.0, maintenance: float = 0.2, price: float = 100.0, **given: Any) -> Engine:
    engine = venue(margin=MarginSpec(leverage, maintenance), **given)
    for k in range(len(engine.spec.instruments)):
        row(engine, price, instrument=k)
    return engine


def trade(engine: Engine, side: Side, lots: int, price: float, slot: int = 0) -> None:
    """Let the slot buy or sell at a price that its instrument then has."""
    order(engine, side, lots, slot=slot)
    k = int(engine.state.slots[slot].instrument)
    assert filled(row(engine, price, instrument=k)) == [(side, lots, price)]


def lots_of(engine: Engine) -> list[int]:
    return [int(slot.lots) for slot in engine.state.slots]


# -- the gate ---------------------------------------------------------------------------------------------------------


def test_order_may_reach_the_leverage_and_not_a_lot_more() -> None:
    engine = margin(2.0)  # 2 x 10,000 = 200 shares at 100
    order(engine, BUY, 201)
    assert code_of(engine) == Code.MARGIN
    order(engine, BUY, 200)
    assert code_of(engine) == Code.NONE


def test_order_beyond_the_leverage_is_cut_where_the_account_resizes() -> None:
    engine = margin(2.0, limits=LimitsSpec(resize=True))
    order(engine, SELL, 500)
    (event,) = read(engine.take_events())[-1:]
    assert (event["status"], event["lots"], event["code"]) == (Status.NEW, 200, Code.MARGIN)


def test_working_orders_of_the_same_side_use_up_the_leverage_at_the_present_price() -> None:
    engine = margin(2.0)
    order(engine, BUY, 150, limit=90.0)  # were they filled, they would be worth 150 x 100 now
    order(engine, BUY, 51)
    assert code_of(engine) == Code.MARGIN
    order(engine, SELL, 200)  # the other side does not fill together with it
    assert code_of(engine) == Code.NONE
    order(engine, BUY, 50)
    assert code_of(engine) == Code.NONE


@pytest.mark.parametrize(("side", "most"), [(BUY, 181), (SELL, 181)])
def test_limit_above_the_market_is_measured_at_its_limit(side: Side, most: int) -> None:
    engine = margin(2.0)  # 20,000 / 110 = 181.8
    order(engine, side, most + 1, limit=110.0)
    assert code_of(engine) == Code.MARGIN
    order(engine, side, most, limit=110.0)
    assert code_of(engine) == Code.NONE


def test_limit_below_the_market_is_measured_at_the_present_price() -> None:
    engine = margin(2.0)
    trade(engine, BUY, 150, 100.0)
    order(engine, BUY, 51, limit=90.0)  # (150 + 51) x 100, though it would cost only 4,590
    assert code_of(engine) == Code.MARGIN
    order(engine, BUY, 50, limit=90.0)
    assert code_of(engine) == Code.NONE


def test_holdings_and_working_orders_in_another_instrument_use_up_the_leverage() -> None:
    engine = margin(2.0, instruments=("A", "B"))
    own(engine, 60, slot=1)  # B: 6,000
    order(engine, BUY, 40, limit=90.0, slot=1)  # at worst 100 x 100
    order(engine, SELL, 70, limit=110.0, slot=1)  # or 10 short: that is less
    order(engine, BUY, 101)
    assert code_of(engine) == Code.MARGIN
    order(engine, BUY, 100)  # 10,000 + 10,000
    assert code_of(engine) == Code.NONE


def test_leverage_is_of_equity_with_unrealised_losses() -> None:
    engine = margin(2.0)
    trade(engine, BUY, 100, 100.0)  # pays 10,000
    row(engine, 80.0)  # equity 8,000, so 16,000 are allowed: 200 shares at 80
    order(engine, BUY, 101)
    assert code_of(engine) == Code.MARGIN
    order(engine, BUY, 100)
    assert code_of(engine) == Code.NONE


def test_order_that_flips_the_position_may_reach_the_leverage_on_the_other_side() -> None:
    engine = margin(2.0)
    trade(engine, BUY, 50, 100.0)
    order(engine, SELL, 251)  # 50 - 251 = -201
    assert code_of(engine) == Code.MARGIN
    order(engine, SELL, 250)
    assert code_of(engine) == Code.NONE


def test_exit_passes_though_the_leverage_is_exceeded() -> None:
    engine = margin(4.0, maintenance=0.0)
    trade(engine, BUY, 400, 100.0)
    row(engine, 76.0)  # 400 x 76 - 30,000 = 400, of which 1,600 may be held
    order(engine, BUY, 1)
    assert code_of(engine) == Code.MARGIN
    order(engine, SELL, 400)
    assert code_of(engine) == Code.NONE


# -- short sales ------------------------------------------------------------------------------------------------------


def test_short_sale_brings_cash_and_its_purchase_realises_the_difference() -> None:
    engine = margin(taker_bps=10.0)
    trade(engine, SELL, 50, 100.0)  # 5,000, fee 5
    slot = engine.state.slots[0]
    assert (slot.lots, slot.cost, cash(engine)) == (-50, dollars(-5_000), dollars(14_995))
    trade(engine, BUY, 20, 90.0)  # 1,800, fee 1.80; sold for 20 / 50 of 5,000 = 2,000
    assert (slot.realized, slot.cost) == (dollars(200), dollars(-3_000))
    trade(engine, BUY, 30, 105.0)  # 3,150, fee 3.15; sold for 3,000
    assert (slot.lots, slot.cost, slot.realized) == (0, 0, dollars(50))
    # 10,000 + 200 - 150 - 5 - 1.80 - 3.15
    assert cash(engine) == dollars(10_040.05)
    assert_books(engine)


def test_sale_of_more_than_is_held_flips_to_a_short_position() -> None:
    engine = margin()
    trade(engine, BUY, 30, 100.0)
    trade(engine, SELL, 50, 110.0)
    slot = engine.state.slots[0]
    # 30 of the 50 close what cost 3,000 for 3,300; 20 are sold short for 2,200
    assert (slot.lots, slot.cost, slot.realized) == (-20, dollars(-2_200), dollars(300))
    assert cash(engine) == dollars(10_000 - 3_000 + 5_500)
    assert_books(engine)


def test_purchase_of_more_than_is_short_flips_to_a_long_position() -> None:
    engine = margin()
    trade(engine, SELL, 30, 100.0)
    trade(engine, BUY, 50, 110.0)
    slot = engine.state.slots[0]
    # 30 of the 50 cost 3,300 and were sold for 3,000; 20 cost 2,200
    assert (slot.lots, slot.cost, slot.realized) == (20, dollars(2_200), dollars(-300))
    assert cash(engine) == dollars(10_000 + 3_000 - 5_500)
    assert_books(engine)


def test_strategies_of_an_account_may_stand_against_each_other() -> None:
    engine = margin(strategies=("s", "t"))
    trade(engine, BUY, 30, 100.0, slot=0)
    trade(engine, SELL, 20, 110.0, slot=1)  # short by itself, though the account still has 10
    assert lots_of(engine)[:2] == [30, -20]
    assert engine.state.holdings[0].lots == 10
    row(engine, 120.0)
    # 10,000 - 3,000 + 2,200 + 10 x 120
    assert cash(engine) == dollars(9_200)
    assert_books(engine)


# -- margin calls -----------------------------------------------------------------------------------------------------
# 400 at 100 for 40,000 leave cash of -30,000; at a price p equity is 400 p - 30,000, and 20 % of the holding is 80 p:
# they are equal at 93.75


def test_equity_at_the_maintenance_margin_is_no_margin_call_and_a_cent_less_is() -> None:
    engine = margin()
    trade(engine, BUY, 400, 100.0)
    assert not row(engine, 93.75)
    events = row(engine, 93.74)
    assert (events[0]["kind"], events[0]["code"]) == (EventKind.STATE, Code.LIQUIDATION)
    # equity 7,496, leverage 4: 29,984 may be held, 37,496 are; 7,512 / 93.74 = 80.1: 81 shares go
    assert [(e["status"], e["side"], e["lots"], e["code"]) for e in events[1:]] == [
        (Status.NEW, SELL, 81, Code.LIQUIDATION)
    ]
    assert filled(row(engine, 93.74)) == [(SELL, 81, 93.74)]
    assert (lots_of(engine)[0], engine.state.accounts[0].liquidations) == (319, 1)
    assert cash(engine) == dollars(-30_000 + 81 * 93.74)
    assert not row(engine, 93.74)
    assert engine.state.accounts[0].state == TradingState.ACTIVE
    assert_books(engine)


def test_margin_call_cancels_all_working_orders_first() -> None:
    engine = margin(instruments=("A", "B"))
    trade(engine, BUY, 390, 100.0)  # cash -29,000
    order(engine, SELL, 100, limit=120.0)
    stop = engine.submit(0, SELL, 390, OrderType.STOP, stop=90.0, reduce_only=True)
    other = order(engine, SELL, 1, limit=120.0, slot=1)
    engine.take_events()
    events = row(engine, 92.9)  # equity 7,231 < 20 % of 36,231
    gone = [e for e in ended(events) if e[1] == Status.CANCELED]
    assert gone == [(i, Status.CANCELED, Code.LIQUIDATION) for i in (stop - 1, stop, other)]
    # 28,924 may be held: 7,307 / 92.9 = 78.7; were the cancelled orders counted as closing, nothing would be sold
    assert [e["lots"] for e in events if e["kind"] == EventKind.ORDER and e["status"] == Status.NEW] == [79]
    assert len(resting(engine)) == 1
    assert_books(engine)


def test_margin_call_of_a_short_position_buys_back() -> None:
    engine = margin()
    trade(engine, SELL, 300, 100.0)  # cash 40,000; 40,000 - 300 p < 60 p from 111.12 on
    assert not row(engine, 111.11)
    events = row(engine, 111.12)
    # equity 6,664: 26,656 may be held, 33,336 are; 6,680 / 111.12 = 60.1
    assert [(e["side"], e["lots"]) for e in events if e["kind"] == EventKind.ORDER] == [(BUY, 61)]
    assert filled(row(engine, 111.12)) == [(BUY, 61, 111.12)]
    # 61 were sold for 6,100 and cost 6,778.32
    assert engine.state.slots[0].realized == dollars(6_100 - 6_778.32)
    assert_books(engine)


def two_positions() -> Engine:
    """A: 200 x 100, B: 300 x 50, for 35,000; cash -25,000."""
    engine = venue(margin=MarginSpec(4.0, 0.2), instruments=("A", "B"))
    row(engine, 100.0)
    row(engine, 50.0, instrument=1)
    trade(engine, BUY, 200, 100.0, slot=0)
    trade(engine, BUY, 300, 50.0, slot=1)
    return engine


def exits(events: list[dict[str, Any]]) -> list[tuple[int, int]]:
    return [(e["instrument"], e["lots"]) for e in events if e["kind"] == EventKind.ORDER]


def test_margin_call_closes_of_the_largest_position_only_as_much_as_needed() -> None:
    engine = two_positions()
    # 16,000 + 15,000 - 25,000 = 6,000 < 20 % of 31,000; 24,000 may be held: 7,000 / 80 = 87.5
    assert exits(row(engine, 80.0)) == [(0, 88)]


def test_margin_call_goes_on_with_the_next_largest_where_one_is_not_enough() -> None:
    engine = two_positions()
    # 12,000 + 15,000 - 25,000 = 2,000: 8,000 may be held, 27,000 are. First B, all 15,000 of it, then of A 4,000 / 60
    assert exits(row(engine, 60.0)) == [(1, 300), (0, 67)]
    row(engine, 60.0)
    row(engine, 50.0, instrument=1)
    assert [slot.lots for slot in engine.state.slots[:2]] == [133, 0]  # 133 x 60 = 7,980
    assert_books(engine)


def test_margin_call_sells_only_what_it_does_not_sell_already() -> None:
    engine = margin(latency_ns=3 * SECOND)
    order(engine, BUY, 400)
    row(engine, 100.0, seconds=5)
    # equity 7,200: 28,800 may be held, 37,200 are; 8,400 / 93 = 90.3
    assert exits(row(engine, 93.0, seconds=6)) == [(0, 91)]
    # equity 6,000: 24,000 may be held; 309 x 90 = 27,810 remain; 3,810 / 90 = 42.3
    assert exits(row(engine, 90.0, seconds=7)) == [(0, 43)]
    assert engine.state.accounts[0].liquidations == 1
    # both arrive: the first at second 9, the second at 10
    assert filled(row(engine, 90.0, seconds=10)) == [(SELL, 91, 90.0), (SELL, 43, 90.0)]
    assert_books(engine)


def test_margin_call_of_several_strategies_closes_the_net_position_from_those_that_make_it() -> None:
    engine = venue(5_000.0, MarginSpec(4.0, 0.2), ("s", "t", "u"))
    row(engine, 100.0)
    trade(engine, SELL, 100, 100.0, slot=0)
    trade(engine, BUY, 30, 100.0, slot=1)
    trade(engine, BUY, 270, 100.0, slot=2)
    # 200 held, cash 5,000 - 20,000; at 93: equity 3,600 < 20 % of 18,600; 14,400 may be held: 4,200 / 93 = 45.2
    row(engine, 93.0)
    row(engine, 93.0)
    assert lots_of(engine)[:3] == [-100, 0, 254]  # 30 of t, 16 of u, none of s, which is short
    assert_books(engine)


def test_gap_that_leaves_no_equity_closes_everything_and_the_account_owes_the_rest() -> None:
    engine = margin()
    trade(engine, BUY, 400, 100.0)
    assert exits(row(engine, 70.0)) == [(0, 400)]
    assert filled(row(engine, 69.0)) == [(SELL, 400, 69.0)]
    assert cash(engine) == dollars(-30_000 + 400 * 69)  # -2,400
    order(engine, BUY, 1)
    assert code_of(engine) == Code.MARGIN
    pay(engine, 3_000.0)  # 600, of which 4 x 600 / 69 = 34.8 shares
    order(engine, BUY, 35)
    assert code_of(engine) == Code.MARGIN
    order(engine, BUY, 34)
    assert code_of(engine) == Code.NONE
    assert_books(engine)


def test_halted_account_is_liquidated_too() -> None:
    engine = margin()
    trade(engine, BUY, 400, 100.0)
    engine.set_trading_state("a", TradingState.HALTED)
    engine.take_events()
    row(engine, 93.74)
    assert filled(row(engine, 93.74)) == [(SELL, 81, 93.74)]


def test_each_time_that_the_margin_is_short_anew_is_a_call() -> None:
    engine = margin()
    trade(engine, BUY, 400, 100.0)
    row(engine, 93.74)
    row(engine, 93.74)  # 319 left, cash -22,407.06
    assert engine.state.accounts[0].liquidating == 0
    assert engine.state.accounts[0].liquidations == 1
    # 319 p - 22,407.06 < 63.8 p below 87.80: at 87 equity is 5,345.94 and 20 % are 5,550.60
    assert not row(engine, 88.0)
    # 21,383.76 may be held, 27,753 are; 6,369.24 / 87 = 73.2
    events = row(engine, 87.0)
    assert (events[0]["kind"], exits(events)) == (EventKind.STATE, [(0, 74)])
    assert engine.state.accounts[0].liquidations == 2


def test_fees_of_a_liquidation_are_paid_like_others() -> None:
    engine = margin(taker_bps=10.0)
    trade(engine, BUY, 399, 100.0)  # 39,900 + 39.90; cash -29,939.90
    # 399 p - 29,939.90 < 79.8 p below 93.80: at 93 equity is 7,167.10 and 20 % are 7,421.40
    # 28,668.40 may be held, 37,107 are: 8,438.60 / 93 = 90.7
    assert exits(row(engine, 93.0)) == [(0, 91)]
    row(engine, 93.0)  # 91 x 93 = 8,463, fee 8.463
    assert cash(engine) == dollars(-29_939.90 + 8_463 - 8.463)
    assert engine.state.accounts[0].fees == dollars(39.90 + 8.463)
    assert_books(engine)


def test_margin_call_within_one_batch_is_that_of_single_rows() -> None:
    prices = [100.0, 97.0, 93.74, 93.74, 91.0, 85.0, 85.0, 85.0]
    single, whole = (margin() for _ in range(2))
    for engine in (single, whole):
        order(engine, BUY, 400)
    for i, price in enumerate(prices):
        single.process(make_ticks([(at(2 + i), price)]))
    whole.process(make_ticks([(at(2 + i), price) for i, price in enumerate(prices)]))
    assert whole.state_hash() == single.state_hash()
    assert whole.state.accounts[0].liquidations == 2


@pytest.mark.parametrize("halted", [False, True])
def test_flatten_closes_strategies_that_stand_against_each_other(halted: bool) -> None:
    engine = margin(strategies=("s", "t"))
    trade(engine, BUY, 100, 100.0, slot=0)
    trade(engine, SELL, 10, 100.0, slot=1)
    if halted:
        engine.set_trading_state("a", TradingState.HALTED)
    engine.flatten("a")
    row(engine, 100.0)
    assert lots_of(engine)[:2] == [0, 0]
    assert cash(engine) == dollars(10_000)


def test_hard_stop_that_flattens_closes_strategies_that_stand_against_each_other() -> None:
    engine = margin(strategies=("s", "t"), limits=stops(drawdown=0.1, flatten=True))
    trade(engine, BUY, 100, 100.0, slot=0)
    trade(engine, SELL, 10, 100.0, slot=1)
    row(engine, 88.0)  # 90 x -12 = -1,080
    row(engine, 88.0)
    assert lots_of(engine)[:2] == [0, 0]
    assert not cash_moves(row(engine, 88.0))
    assert not resting(engine)
