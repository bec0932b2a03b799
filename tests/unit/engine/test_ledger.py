"""The ledger, against exact fractions: shares of a cost, partial closes, flips."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.engine import Engine
from engine.ledger import MONEY_LIMIT, book_fill, equity_of, share_of, value_of
from engine.records import Side
from tests.builders import make_engine, plain

BUY, SELL = Side.BUY, Side.SELL


def book(engine: Engine, side: Side, lots: int, notional: int, fee: int = 0) -> int:
    return int(plain(book_fill)(engine.state, engine.state.slots[0], side, lots, notional, fee))


@given(st.integers(0, MONEY_LIMIT - 1), st.integers(1, 10**9), st.data())
def test_share_of_a_cost_is_rounded_down(cost: int, of: int, data: Any) -> None:
    lots = data.draw(st.integers(1, of))
    assert plain(share_of)(cost, lots, of) == cost * lots // of


@pytest.mark.parametrize(("cost", "lots", "of"), [(22, 30, 44), (49, 1, 49), (3, 1, 3), (10**15 + 1, 2, 3)])
def test_share_that_comes_out_even_loses_nothing(cost: int, lots: int, of: int) -> None:
    assert plain(share_of)(cost, lots, of) == Fraction(cost * lots, of).__floor__()


def test_purchase_and_sale_with_fees() -> None:
    engine = make_engine(cash=1_000)
    assert book(engine, BUY, 3, 300_000_000, 1_000_000) == 0
    slot, account = engine.state.slots[0], engine.state.accounts[0]
    assert (slot.lots, slot.cost, slot.fees, account.cash) == (3, 300_000_000, 1_000_000, 699_000_000)
    assert book(engine, SELL, 2, 220_000_000, 500_000) == 20_000_000
    assert (slot.lots, slot.cost, slot.realized, slot.fees) == (1, 100_000_000, 20_000_000, 1_500_000)
    assert account.cash == 918_500_000
    assert (account.realized, account.fees, account.fills) == (20_000_000, 1_500_000, 2)


def test_fill_that_flips_a_position_closes_it_and_opens_the_other() -> None:
    # no cash account does this; the books know it all the same
    engine = make_engine(cash=1_000)
    book(engine, BUY, 2, 200_000_000)
    assert book(engine, SELL, 5, 600_000_000) == 40_000_000  # two of the five for 240, which cost 200
    slot = engine.state.slots[0]
    assert (slot.lots, slot.cost) == (-3, -360_000_000)
    assert book(engine, BUY, 3, 330_000_000) == 30_000_000  # sold for 360, bought for 330
    assert (slot.lots, slot.cost, slot.realized) == (0, 0, 70_000_000)
    assert engine.state.accounts[0].cash == engine.state.accounts[0].initial + 70_000_000


@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(1, 1_000), st.integers(0, 10**12), st.integers(0, 10**6)),
        max_size=30,
    )
)
def test_books_balance_to_the_last_unit_whatever_is_booked(
    fills: list[tuple[bool, int, int, int]],
) -> None:
    engine = make_engine(cash=1_000)
    slot, account = engine.state.slots[0], engine.state.accounts[0]
    for buys, lots, notional, fee in fills:
        book(engine, BUY if buys else SELL, lots, notional, fee)
        assert account.cash + slot.cost == account.initial + account.realized - account.fees
        assert engine.state.holdings[0].lots == slot.lots
        assert slot.lots != 0 or slot.cost == 0


def test_equity_is_cash_and_holdings_at_the_last_price() -> None:
    engine = make_engine(cash=1_000, lot_size=0.5)
    engine.state.instruments[0].price = 120.0
    book(engine, BUY, 4, 200_000_000)  # two units
    assert plain(equity_of)(engine.state, engine.state.accounts[0]) == 800_000_000 + 240_000_000


@pytest.mark.parametrize("lot_size", [1.0, 1e-8])
def test_value_is_bounded_instead_of_overflowing(lot_size: float) -> None:
    instrument = make_engine(lot_size=lot_size).state.instruments[0]
    assert plain(value_of)(instrument, 10**15, 1e280) == MONEY_LIMIT
    assert plain(value_of)(instrument, -(10**15), 1e280) == -MONEY_LIMIT


@given(st.integers(-(10**12), 10**12), st.integers(1, 10**10))
def test_value_of_lots_of_a_hundred_millionth_is_exact_half_to_even(lots: int, cents: int) -> None:
    # at a price in cents a lot is worth cents / 1e10 of a dollar, so lots * cents / 1e4 millionths of it
    instrument = make_engine(lot_size=1e-8).state.instruments[0]
    exact = Fraction(lots * cents, 10_000)
    value = plain(value_of)(instrument, lots, cents / 100)
    # the price itself is a float: at most 2**-53 off, in relative terms, in each of three operations
    assert abs(value - exact) <= Fraction(1, 2) + abs(exact) / 2**51 or abs(exact) > MONEY_LIMIT
    if lots * cents % 10_000 == 0 and abs(exact) < 2**50:
        assert value == exact
