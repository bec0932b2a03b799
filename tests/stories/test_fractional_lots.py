"""Fractional lots: sizes of 1e-8 at prices of 1e5 and beyond neither overflow nor lose a unit.

The measure is Decimal arithmetic. A price is float64, which holds 2,516,218.03 only to some 1e-10: where a value lies as
near as that to the middle between two units, either of the two is right.
"""

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.engine import Engine
from engine.records import Code, OrderType, Side, Status
from engine.spec import AccountSpec, EngineSpec, InstrumentSpec, MarginSpec, StrategySpec
from tests.builders import MINUTE, USD, fills, make_engine, make_ticks, order
from tests.stories.accounts import assert_books, ended, pay, refused, venue
from tests.stories.desk import cash, code_of, filled, row

BUY, SELL = Side.BUY, Side.SELL
LOT = Decimal("1e-8")
SATOSHI = 10**8


def crypto(price: float, cash: float = 1e9, scale: int = 10**6, **given: Any) -> Engine:
    engine = venue(cash, lot_size=1e-8, engine={"scales": {"USD": scale}}, **given)
    row(engine, price)
    return engine


def worth(cents: int, lots: int, scale: int = 10**6) -> Decimal:
    """Exact, in money units."""
    return Decimal(cents) / 100 * lots * LOT * scale


def units(value: Decimal) -> set[int]:
    """The units that the value may be rounded to: one, but two in the middle between them, by float64's measure."""
    around = abs(value) * Decimal(2) ** -51
    return {int(v.quantize(Decimal(1), ROUND_HALF_EVEN)) for v in (value - around, value, value + around)}


prices = st.integers(10**7, 10**9)  # cents: 1e5 to 1e7
sizes = st.integers(1, 9 * 10**9)  # lots: up to 90 units


@given(prices, sizes)
@example(10_000_000, 1)
@example(999_999_999, 8_999_999_999)
@example(12_345_678, 98_765_432)
@example(251_621_803, 5_000)  # 125,810,901.5: the middle
def test_notional_is_that_of_decimal_arithmetic_rounded_half_to_even(cents: int, lots: int) -> None:
    engine = crypto(cents / 100)
    order(engine, BUY, lots)
    assert filled(row(engine, cents / 100)) == [(BUY, lots, cents / 100)]
    paid = engine.state.accounts[0].initial - cash(engine)
    assert paid in units(worth(cents, lots))
    assert engine.state.slots[0].cost == paid


@pytest.mark.parametrize(
    ("cents", "lots", "expected"),
    [
        (10_000_050, 1, 1_000),  # 0.00100000500 dollars are 1,000.005 millionths
        (10_000_000, 12_345_678, 12_345_678_000),
        (6_500_050, 100, 65_000),  # 65,000.5: to the even one
        (6_500_150, 100, 65_002),  # 65,001.5
        (6_500_051, 100, 65_001),  # 65,000.51
        (999_999_999, 10**8, 9_999_999_990_000),
    ],
)
def test_notional_of_some_sizes(cents: int, lots: int, expected: int) -> None:
    engine = crypto(cents / 100)
    order(engine, BUY, lots)
    row(engine, cents / 100)
    assert engine.state.accounts[0].initial - cash(engine) == expected


@given(prices, sizes)
def test_buying_and_selling_back_at_one_price_loses_no_unit(cents: int, lots: int) -> None:
    engine = crypto(cents / 100)
    order(engine, BUY, lots)
    row(engine, cents / 100)
    order(engine, SELL, lots)
    row(engine, cents / 100)
    account = engine.state.accounts[0]
    assert (cash(engine), account.realized) == (account.initial, 0)
    assert_books(engine)


@given(prices, st.lists(st.integers(1, 10**9), min_size=2, max_size=8), st.integers(10**7, 10**9))
def test_buying_in_parts_and_selling_at_once_realises_exactly_the_difference(
    cents: int, parts: list[int], sold: int
) -> None:
    engine = crypto(cents / 100)
    for lots in parts:
        order(engine, BUY, lots)
        row(engine, cents / 100)
    cost = int(engine.state.slots[0].cost)
    # each part is rounded once: half a unit each
    assert abs(cost - worth(cents, sum(parts))) <= Decimal(len(parts)) / 2 + Decimal("0.01")
    order(engine, SELL, sum(parts))
    row(engine, sold / 100)
    account, slot = engine.state.accounts[0], engine.state.slots[0]
    assert account.realized == cash(engine) - account.initial
    assert account.realized + cost in units(worth(sold, sum(parts)))
    assert (slot.lots, slot.cost) == (0, 0)
    assert_books(engine)


@given(prices, st.integers(2, 10**9), st.data())
def test_selling_in_parts_takes_all_of_the_cost_out(cents: int, lots: int, data: Any) -> None:
    engine = crypto(cents / 100)
    order(engine, BUY, lots)
    row(engine, cents / 100)
    first = data.draw(st.integers(1, lots - 1))
    cost = int(engine.state.slots[0].cost)
    for part, left in ((first, cost - cost * first // lots), (lots - first, 0)):
        order(engine, SELL, part)
        row(engine, cents / 100)
        assert engine.state.slots[0].cost == left
    assert_books(engine)


def test_account_in_bitcoin_counts_satoshis() -> None:
    # one ether is 0.052345 bitcoin; lots of 1e-8 ether
    spec = EngineSpec(
        (InstrumentSpec("ETH-BTC", tick_size=1e-6, lot_size=1e-8, currency="BTC", taker_bps=10.0),),
        (AccountSpec("a", 0.5, "BTC"),),
        (StrategySpec("s", "a", ("ETH-BTC",), MINUTE),),
        scales={"BTC": SATOSHI},
    )
    engine = Engine(spec)
    assert cash(engine) == 50_000_000
    row(engine, 0.052345)
    order(engine, BUY, 123_456_789)  # 1.23456789 ether
    row(engine, 0.052345)
    # 1.23456789 x 0.052345 = 0.06462345620205: 6,462,346 satoshis, and a fee of 6,462.346
    assert engine.state.slots[0].cost == 6_462_346
    assert engine.state.accounts[0].fees == 6_462
    assert cash(engine) == 50_000_000 - 6_462_346 - 6_462
    pay(engine, 0.00000001)
    assert engine.state.accounts[0].deposits == 1
    order(engine, SELL, 123_456_789)
    row(engine, 0.06)
    # 1.23456789 x 0.06 = 0.0740740734: 7,407,407 satoshis
    assert engine.state.slots[0].realized == 7_407_407 - 6_462_346
    assert_books(engine)


def test_accounts_of_several_scales_stand_beside_each_other() -> None:
    spec = EngineSpec(
        (
            InstrumentSpec("BTC-USD", lot_size=1e-8, currency="USD"),
            InstrumentSpec("ETH-BTC", tick_size=1e-6, lot_size=1e-8, currency="BTC"),
            InstrumentSpec("BTC-JPY", tick_size=1.0, lot_size=1e-8, currency="JPY"),
        ),
        (AccountSpec("usd", 1e6), AccountSpec("btc", 1.0, "BTC"), AccountSpec("jpy", 1e7, "JPY")),
        (
            StrategySpec("s", "usd", ("BTC-USD",), MINUTE),
            StrategySpec("t", "btc", ("ETH-BTC",), MINUTE),
            StrategySpec("u", "jpy", ("BTC-JPY",), MINUTE),
        ),
        scales={"BTC": SATOSHI, "JPY": 1},
    )
    engine = Engine(spec)
    for k, price in enumerate((123_456.78, 0.04, 15_000_000.0)):
        row(engine, price, instrument=k)
        order(engine, BUY, 10_000_001, slot=k)  # 0.10000001
        row(engine, price, instrument=k)
    # 12,345.6792345678 dollars; 0.0040000004 bitcoin; 1,500,000.15 yen
    assert [int(slot.cost) for slot in engine.state.slots[:3]] == [12_345_679_235, 400_000, 1_500_000]
    assert_books(engine)


@given(st.integers(1, 10**9), st.integers(1, 10**10))
def test_notional_in_satoshis_is_that_of_decimal_arithmetic(ticks: int, lots: int) -> None:
    spec = EngineSpec(
        (InstrumentSpec("A", tick_size=1e-8, lot_size=1e-8, currency="BTC"),),
        (AccountSpec("a", 2e7, "BTC"),),
        (StrategySpec("s", "a", ("A",), MINUTE),),
        scales={"BTC": SATOSHI},
    )
    engine = Engine(spec)
    row(engine, ticks / 1e8)
    order(engine, BUY, lots)
    row(engine, ticks / 1e8)
    assert engine.state.slots[0].cost in units(Decimal(ticks) * lots / SATOSHI)


def test_cash_buys_the_last_lot_that_it_pays_for_and_not_one_more() -> None:
    # 12.345678 dollars at 100,000.50: a lot is 1,000.005 millionths
    engine = crypto(100_000.5, cash=12.345678)
    order(engine, BUY, 12_346)  # 12,346,061.73
    assert code_of(engine) == Code.CASH
    order(engine, BUY, 12_345)  # 12,345,061.725
    assert code_of(engine) == Code.NONE
    row(engine, 100_000.5)
    assert cash(engine) == 12_345_678 - 12_345_062


def test_order_beyond_the_range_of_money_is_denied_not_wrapped() -> None:
    engine = crypto(1e7, cash=9e9, margin=MarginSpec(1000.0, 0.0))
    most = 2**53 // 10**5  # lots that are worth 2^53 millionths at a price of 1e7
    order(engine, BUY, most + 1_000)
    assert code_of(engine) == Code.OVERFLOW
    order(engine, BUY, most - 1_000)
    assert code_of(engine) == Code.NONE
    row(engine, 1e7)
    assert engine.state.slots[0].lots == most - 1_000
    assert_books(engine)


def test_fill_beyond_the_range_of_money_is_cancelled_not_wrapped() -> None:
    engine = crypto(1e3, cash=9e9, margin=MarginSpec(1000.0, 0.0))
    order(engine, BUY, 2**52)  # 45 million units at 1,000: 4.5e16 millionths do not fit
    assert code_of(engine) == Code.OVERFLOW
    order(engine, BUY, 5 * 10**14)  # 5 million units: 5e15
    events = row(engine, 1e7)
    assert ended(events)[-1][1:] == (Status.CANCELED, Code.OVERFLOW)
    assert (engine.state.slots[0].lots, cash(engine)) == (0, 9 * 10**15)
    assert_books(engine)


def test_resting_orders_of_fractional_lots_set_aside_what_they_cost() -> None:
    engine = crypto(100_000.0, cash=1_000.0)
    engine.submit(0, BUY, 500_000, OrderType.LIMIT, limit=99_999.99)  # 0.005: 499.99995
    assert engine.state.accounts[0].reserved == 499_999_950
    row(engine, 99_999.98)
    assert cash(engine) == 1_000_000_000 - 499_999_900
    assert (engine.state.accounts[0].reserved, refused(engine)) == (0, 0)
    assert_books(engine)


def test_position_of_more_than_half_of_all_lots_can_be_closed() -> None:
    # 6e15 lots of 1e-8 at 0.04: closing them takes 6e15 more, which together are beyond 2^53, though nothing is left
    engine = make_engine(cash=1e8, lot_size=1e-8)
    engine.process(make_ticks([(0, 0.04)]))
    engine.submit(0, Side.BUY, 6 * 10**15)
    engine.process(make_ticks([(1, 0.04)]))
    engine.submit(0, Side.SELL, 6 * 10**15)
    events = engine.process(make_ticks([(2, 0.04)]))
    assert fills(events) == [(2, -1, 6 * 10**15, 0.04)]
    assert engine.state.accounts[0].cash == 10**8 * USD
