"""Deposits and withdrawals, on the tape and by hand: no profit, no loss, and nothing is paid out that is not free."""

import pytest

from engine.engine import Engine
from engine.records import DAY, SECOND, Code, EventKind, RowKind, Side, Status, TradingState
from engine.spec import AccountSpec, EngineSpec, InstrumentSpec, MarginSpec, StrategySpec
from tests.builders import MINUTE, make_ticks, order, read, stops, timer_at
from tests.stories.accounts import assert_books, cash_moves, equity, opened, pay, refused, venue
from tests.stories.desk import at, cash, code_of, dollars, own, row

BUY, SELL = Side.BUY, Side.SELL


def test_deposit_on_the_tape_is_cash_from_its_time_on() -> None:
    engine = opened()
    (event,) = row(engine, 2_500.5, 0.0, RowKind.CASH, seconds=30)
    assert (event["kind"], event["code"], event["status"]) == (EventKind.CASH, Code.DEPOSIT, 0)
    assert (event["ts"], event["account"], event["last_notional"]) == (at(30), 0, dollars(2_500.5))
    assert event["cash"] == cash(engine) == dollars(12_500.5)
    assert engine.state.accounts[0].deposits == dollars(2_500.5)
    assert_books(engine)


def test_withdrawal_is_paid_out_and_counts_against_the_deposits() -> None:
    engine = opened()
    pay(engine, 1_000.0)
    assert cash_moves(pay(engine, -4_000.0)) == [(Code.WITHDRAWAL, dollars(-4_000))]
    assert (cash(engine), engine.state.accounts[0].deposits) == (dollars(7_000), dollars(-3_000))
    assert_books(engine)


def test_deposit_by_hand_is_that_of_the_tape() -> None:
    engine = opened()
    assert engine.deposit("a", dollars(500))
    assert engine.deposit("a", dollars(-10_500))
    assert not engine.deposit("a", -1)
    assert [(e["code"], e["last_notional"], e["status"]) for e in read(engine.take_events())] == [
        (Code.DEPOSIT, dollars(500), Status.PENDING_NEW),
        (Code.WITHDRAWAL, dollars(-10_500), Status.PENDING_NEW),
        (Code.WITHDRAWAL, -1, Status.DENIED),
    ]
    assert cash(engine) == 0
    assert_books(engine)


def test_withdrawal_from_a_cash_account_leaves_what_orders_have_set_aside() -> None:
    engine = opened()
    order(engine, BUY, 60, limit=90.0)  # 5,400
    event = pay(engine, -4_600.01)[-1]
    assert (event["status"], event["last_notional"]) == (Status.DENIED, dollars(-4_600.01))
    assert refused(engine) == 0  # the row makes sense; it is the account that does not
    assert cash(engine) == dollars(10_000)
    pay(engine, -4_600.0)
    assert cash(engine) == dollars(5_400)
    row(engine, 89.0)  # the order can be paid for
    assert (engine.state.slots[0].lots, cash(engine)) == (60, dollars(60))
    assert_books(engine)


def test_shares_of_a_cash_account_are_no_cash() -> None:
    engine = opened()
    own(engine, 90)
    row(engine, 200.0)
    assert not cash_moves(pay(engine, -1_000.01))
    assert cash_moves(pay(engine, -1_000.0)) == [(Code.WITHDRAWAL, dollars(-1_000))]


def test_withdrawal_from_a_margin_account_leaves_its_initial_margin() -> None:
    engine = opened(margin=MarginSpec(4.0, 0.2))
    own(engine, 200)  # 20,000 held: 5,000 of the 10,000 are margin
    assert not cash_moves(pay(engine, -5_000.01))
    assert cash_moves(pay(engine, -5_000.0)) == [(Code.WITHDRAWAL, dollars(-5_000))]
    assert (cash(engine), equity(engine)) == (dollars(-15_000), dollars(5_000))
    row(engine, 110.0)  # equity 7,000, margin 5,500: the profit may go, but for what its own price needs
    assert not cash_moves(pay(engine, -1_500.01))
    assert cash_moves(pay(engine, -1_500.0)) == [(Code.WITHDRAWAL, dollars(-1_500))]
    assert_books(engine)


def test_proceeds_of_a_short_sale_are_not_free() -> None:
    engine = opened(margin=MarginSpec(2.0, 0.2))
    order(engine, SELL, 100)
    row(engine, 100.0)  # cash 20,000; equity 10,000, margin 5,000
    assert not cash_moves(pay(engine, -5_000.01))
    assert cash_moves(pay(engine, -5_000.0)) == [(Code.WITHDRAWAL, dollars(-5_000))]


def test_account_in_the_red_pays_nothing_out() -> None:
    engine = opened(margin=MarginSpec(4.0, 0.0))
    own(engine, 400)
    row(engine, 60.0)  # 24,000 - 30,000
    assert not cash_moves(pay(engine, -0.01))


def test_deposit_is_what_the_next_order_can_spend() -> None:
    engine = opened()
    order(engine, BUY, 120)
    assert code_of(engine) == Code.CASH
    pay(engine, 2_000.0)
    order(engine, BUY, 120)
    assert code_of(engine) == Code.NONE


def test_deposit_and_withdrawal_are_no_profit_and_no_loss_for_the_hard_stops() -> None:
    limits = stops(drawdown=0.2, daily_loss=0.2)
    engine = opened(limits=limits)
    own(engine, 10)
    pay(engine, -8_000.0)  # 80 % less money, and nothing lost
    row(engine, 100.0)
    assert engine.state.accounts[0].state == TradingState.ACTIVE
    row(engine, 80.0)  # 200 of 2,000: 10 %
    assert engine.state.accounts[0].state == TradingState.ACTIVE
    row(engine, 60.0)  # 20 % of 2,000; without the withdrawal it were 4 % of 10,000
    assert engine.state.accounts[0].state == TradingState.HALTED


def test_withdrawal_during_a_drawdown_does_not_deepen_it() -> None:
    engine = opened(limits=stops(drawdown=0.15, daily_loss=0.15))
    own(engine, 50)
    row(engine, 80.0)  # 9,000 of 10,000: 10 %
    pay(engine, -4_500.0)  # half of the money goes: 4,500 of what would have been 5,000
    row(engine, 80.0)
    assert engine.state.accounts[0].state == TradingState.ACTIVE
    # 15 % of 5,000 is 750, of which 500 are lost: 250 / 50 shares = 5 more
    row(engine, 75.01)
    assert engine.state.accounts[0].state == TradingState.ACTIVE
    row(engine, 75.0)
    assert engine.state.accounts[0].state == TradingState.HALTED


def test_deposit_during_a_drawdown_does_not_hide_it() -> None:
    engine = opened(limits=stops(drawdown=0.15))
    own(engine, 50)
    row(engine, 80.0)  # 10 %
    pay(engine, 9_000.0)  # 18,000 of what would have been 20,000
    row(engine, 60.01)  # 17,000.50
    assert engine.state.accounts[0].state == TradingState.ACTIVE
    row(engine, 60.0)  # 17,000 of 20,000
    assert engine.state.accounts[0].state == TradingState.HALTED


def test_drawdown_of_the_report_is_not_moved_by_payments() -> None:
    engine = opened()
    own(engine, 50)
    engine.process(timer_at(at(60)))  # equity 10,000
    row(engine, 80.0)
    engine.process(timer_at(at(120)))  # 9,000
    pay(engine, -4_500.0)
    row(engine, 80.0)
    engine.process(timer_at(at(180)))
    assert engine.state.accounts[0].max_drawdown == pytest.approx(0.1, abs=1e-12)


def test_daily_loss_counts_from_the_morning_with_what_was_paid_out_at_night() -> None:
    engine = venue(limits=stops(daily_loss=0.1))
    engine.process(make_ticks([(0, 100.0)]))
    own(engine, 10)
    assert cash_moves(row(engine, -5_000.0, 0.0, RowKind.CASH, seconds=86_399)) == [
        (Code.WITHDRAWAL, dollars(-5_000))
    ]
    engine.process(make_ticks([(DAY + SECOND, 100.0)]))
    assert engine.state.portfolios[0].day_worth == dollars(5_000)
    row(engine, 51.0)  # 490 of 5,000
    assert engine.state.accounts[0].state == TradingState.ACTIVE
    row(engine, 50.0)
    assert engine.state.accounts[0].state == TradingState.HALTED


def test_row_of_cash_names_its_account() -> None:
    engine = Engine(
        EngineSpec(
            (InstrumentSpec("A"),),
            tuple(AccountSpec(name, 100.0) for name in ("a", "b")),
            (StrategySpec("s", "a", ("A",), MINUTE),),
        )
    )
    pay(engine, 50.0, account=1)
    assert (cash(engine, 0), cash(engine, 1)) == (dollars(100), dollars(150))
    assert engine.deposit("b", dollars(-150))
    assert (cash(engine, 0), cash(engine, 1)) == (dollars(100), 0)


@pytest.mark.parametrize(
    ("amount", "account"),
    [(float("nan"), 0), (float("inf"), 0), (-float("inf"), 0), (1e300, 0), (9.1e9, 0), (10.0, 1), (10.0, -1)],
)
def test_payment_that_is_no_amount_or_to_nobody_is_a_bad_row(amount: float, account: int) -> None:
    engine = opened()
    assert not pay(engine, amount, account)
    assert (refused(engine), cash(engine)) == (1, dollars(10_000))


def test_deposits_on_the_tape_are_refused_before_money_overflows() -> None:
    engine = opened()
    most = float(2**53 - 2**10) / 1e6
    rows = [(at(10 + i), most, 0.0, 0, RowKind.CASH) for i in range(400)]
    events = read(engine.process(make_ticks(rows)))
    taken = sum(amount for _, amount in cash_moves(events))
    assert len(events) == 400
    assert 0 < len(cash_moves(events)) < 400
    assert cash(engine) == dollars(10_000) + taken <= 2**61
    assert_books(engine)


@pytest.mark.parametrize("amount", [2**61, 2**62, 2**63 - 1, -(2**63), -(2**63) + 1])
def test_payment_by_hand_that_does_not_fit_is_refused(amount: int) -> None:
    engine = opened()
    engine.deposit("a", 2**52)
    before = cash(engine)
    assert not engine.deposit("a", amount)
    assert cash(engine) == before
    assert_books(engine)


def test_large_deposits_leave_the_hard_stops_at_work() -> None:
    engine = opened(limits=stops(daily_loss=0.1))
    own(engine, 90)
    for _ in range(4):
        assert engine.deposit("a", 2**52)
    portfolio = engine.state.portfolios[0]
    assert min(engine.state.accounts[0].peak, portfolio.peak, portfolio.day_worth) > 2**52


def test_payment_during_warm_up_is_there_when_trading_begins() -> None:
    engine = venue(engine={"trade_from": 10 * SECOND})
    pay(engine, 5.0)
    row(engine, 100.0, seconds=20)
    assert cash(engine) == dollars(10_005)
    order(engine, BUY, 100)
    assert code_of(engine) == Code.NONE
