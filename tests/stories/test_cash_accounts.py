"""Cash accounts: what is bought is paid for, what is sold is there, and the books agree to the last unit."""

import pytest

from engine.engine import Engine
from engine.records import Code, Side, Status
from engine.spec import AccountSpec, EngineSpec, InstrumentSpec, StrategySpec
from tests.builders import MINUTE, order, read
from tests.stories.desk import (
    assert_balanced,
    cash,
    code_of,
    dollars,
    filled,
    make_world,
    opened,
    own,
    prints,
    row,
)

BUY, SELL = Side.BUY, Side.SELL


def test_gap_that_costs_more_than_the_cash_cuts_the_fill() -> None:
    engine = opened(100.0, cash=10_000)
    order(engine, BUY, 100)  # 100 x 100 = 10,000: all the cash there is
    events = row(engine, 125.0)
    assert filled(events) == [(1, 80, 125.0)]  # 10,000 / 125 = 80
    assert (events[-1]["status"], events[-1]["code"]) == (Status.CANCELED, Code.CASH)
    assert cash(engine) == 0
    assert engine.state.slots[0].working_buy == 0
    assert_balanced(engine)


def test_gap_cuts_the_fill_to_what_can_be_paid_with_its_fees() -> None:
    engine = opened(100.0, cash=10_000, taker_bps=10.0)
    order(engine, BUY, 99)  # 9,900 + 9.90
    # at 125 a share costs 125.125; 10,000 / 125.125 = 79.92: 79 for 9,875 + 9.875
    assert filled(row(engine, 125.0)) == [(1, 79, 125.0)]
    assert cash(engine) == dollars(10_000 - 9_875 - 9.875)
    assert_balanced(engine)


def test_gap_after_which_not_one_lot_can_be_paid_cancels_the_order() -> None:
    engine = opened(100.0, cash=100)
    order(engine, BUY, 1)
    events = row(engine, 100.01)
    assert [(e["status"], e["code"]) for e in events[1:]] == [(Status.CANCELED, Code.CASH)]
    assert cash(engine) == dollars(100)


def test_sale_of_what_is_not_there_is_denied() -> None:
    engine = opened(100.0)
    order(engine, SELL, 1)
    assert code_of(engine) == Code.SHORT
    own(engine, 10)
    order(engine, SELL, 11)
    assert code_of(engine) == Code.SHORT
    order(engine, SELL, 10)
    assert code_of(engine) == Code.NONE
    order(engine, SELL, 1)  # the ten that work may fill
    assert code_of(engine) == Code.SHORT


def test_strategy_cannot_sell_the_shares_of_another_one_in_its_account() -> None:
    engine = make_world(("a",), (("s", "a"), ("t", "a")))
    row(engine, 100.0)
    own(engine, 10, slot=0)
    order(engine, SELL, 1, slot=1)
    assert code_of(engine) == Code.SHORT


def test_operator_cannot_sell_a_strategys_shares_by_a_single_order() -> None:
    engine = opened(100.0)
    own(engine, 10)
    order(engine, SELL, 1, slot=engine.operator_slot("a", "A"))
    assert code_of(engine) == Code.SHORT


def test_two_strategies_in_an_account_have_their_own_positions_and_profits() -> None:
    engine = make_world(("a",), (("s", "a"), ("t", "a")), cash=10_000)
    row(engine, 100.0)
    own(engine, 10, slot=0)  # 1,000
    row(engine, 110.0)
    own(engine, 5, slot=1)  # 550
    s = engine.state
    assert s.holdings[0].lots == 15
    order(engine, SELL, 10, slot=0)
    row(engine, 120.0)  # 1,200 for what cost 1,000
    order(engine, SELL, 5, slot=1)
    row(engine, 105.0)  # 525 for what cost 550
    assert [slot.realized for slot in s.slots[:2]] == [dollars(200), dollars(-25)]
    assert s.accounts[0].realized == dollars(175)
    assert s.holdings[0].lots == 0
    assert cash(engine) == dollars(10_175)
    assert_balanced(engine)


def test_accounts_in_a_run_do_not_touch_each_other() -> None:
    engine = make_world(("a", "b"), (("s", "a"), ("t", "b")), cash=1_000)
    row(engine, 100.0)
    own(engine, 10, slot=0)
    assert (cash(engine, 0), cash(engine, 1)) == (0, dollars(1_000))
    order(engine, BUY, 1, slot=0)
    assert code_of(engine) == Code.CASH
    order(engine, BUY, 10, slot=1)
    assert filled(row(engine, 100.0)) == [(1, 10, 100.0)]
    assert_balanced(engine)


def test_profit_of_partial_closes_of_an_odd_cost_adds_up() -> None:
    engine = opened(10.0, cash=1_000)
    own(engine, 1)  # 10.00
    order(engine, BUY, 2)
    row(engine, 10.01)  # 20.02: three shares for 30.02, which three do not divide
    assert engine.state.slots[0].cost == 30_020_000
    realized = []
    for _ in range(3):
        order(engine, SELL, 1)
        realized.append(row(engine, 11.0)[-1]["realized"])
    # 30,020,000 / 3 = 10,006,666 (rounded down)   11,000,000 - 10,006,666 = 993,334
    # 20,013,334 / 2 = 10,006,667                  11,000,000 - 10,006,667 = 993,333
    # 10,006,667                                                              993,333
    assert realized == [993_334, 993_333, 993_333]
    assert sum(realized) == 33_000_000 - 30_020_000
    assert (engine.state.slots[0].lots, engine.state.slots[0].cost) == (0, 0)
    assert_balanced(engine)


def test_notional_is_rounded_once_half_to_even() -> None:
    # a lot of 0.5 units at 0.000001 costs half a millionth of a dollar, three lots one and a half
    engine = opened(0.000001, cash=1, tick_size=0.000001, lot_size=0.5)
    own(engine, 1)
    assert cash(engine) == 1_000_000  # 0.5 to the even 0
    order(engine, BUY, 3)
    row(engine, 0.000001)
    assert cash(engine) == 1_000_000 - 2  # 1.5 to the even 2
    assert_balanced(engine)


def test_account_in_bitcoin_counts_satoshis() -> None:
    engine = Engine(
        EngineSpec(
            (InstrumentSpec("ETHBTC", tick_size=0.00001, lot_size=0.001, currency="BTC", taker_bps=10.0),),
            (AccountSpec("a", 1.0, currency="BTC"),),
            (StrategySpec("s", "a", ("ETHBTC",), MINUTE),),
            scales={"BTC": 100_000_000},
        )
    )
    row(engine, 0.05)
    own(engine, 2_000)  # 2 units at 0.05 are 0.1 bitcoin, and 10 bps of it 0.0001
    assert cash(engine) == 100_000_000 - 10_000_000 - 10_000
    assert_balanced(engine)


def test_buy_orders_set_cash_aside_and_give_it_back() -> None:
    engine = opened(100.0, cash=1_000)
    account = engine.state.accounts[0]
    first = order(engine, BUY, 5, limit=90.0)
    assert account.reserved == dollars(450)
    order(engine, BUY, 6, limit=95.0)  # 570, of 550 that are free
    assert code_of(engine) == Code.CASH
    order(engine, BUY, 5, limit=95.0)
    assert account.reserved == dollars(925)
    engine.cancel(first)
    assert account.reserved == dollars(475)
    row(engine, 94.0)
    assert (account.reserved, account.cash) == (0, dollars(1_000 - 470))
    assert_balanced(engine)


@pytest.mark.parametrize("participation", [0.0, 0.1])
def test_reserve_shrinks_with_each_partial_fill(participation: float) -> None:
    engine = opened(100.0, cash=1_000, participation=participation)
    order(engine, BUY, 7, limit=100.0)
    prints(engine, 99.0, size=30.0)  # 3 of 7, or all of them
    left = 4 if participation else 0
    assert engine.state.accounts[0].reserved == dollars(left * 100)
    prints(engine, 99.0, 99.0, size=30.0)
    assert engine.state.accounts[0].reserved == 0
    assert_balanced(engine)


def test_fee_of_a_sale_is_charged_even_where_it_takes_the_cash_below_zero() -> None:
    engine = opened(10.0, cash=10)
    own(engine, 1)  # all the cash
    engine.state.instruments[0].fee_min = dollars(5)
    order(engine, SELL, 1)
    row(engine, 1.0)  # 1.00 comes in, a fee of 5.00 goes out: an exit is never held up by its costs
    assert cash(engine) == dollars(-4)
    assert_balanced(engine)
    order(engine, BUY, 1)
    assert code_of(engine) == Code.CASH


def test_events_carry_position_and_cash_after_each_fill() -> None:
    engine = opened(100.0, cash=1_000, participation=0.1)
    order(engine, BUY, 3)
    read(engine.take_events())
    events = [*row(engine, 100.0, size=20.0), *row(engine, 100.0, size=20.0)]
    assert [(e["position"], e["cash"], e["cum_lots"]) for e in events] == [
        (2, dollars(800), 2),
        (3, dollars(700), 3),
    ]
