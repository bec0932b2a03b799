"""Cash that moves by itself: deposits, withdrawals, interest, borrow fees, and what corporate actions pay."""

from __future__ import annotations

from typing import Any

from engine.events import blank_event
from engine.jit import inline, jit
from engine.ledger import MONEY_LIMIT, NO_MONEY, ROOM, equity_of, money, value_of, worst_gross
from engine.records import DAY, NONE, Code, EventKind, State, Status
from engine.watch import worth_of

YEAR = 365.0  # days; rates are a year's, and accrue on each of its days (actual/365)


@inline
def tell_cash(s: State, account_index: int, code: int, amount: Any) -> Any:
    """Write an event of cash that moved, as the account stands after it; the event."""
    e = s.events[blank_event(s, EventKind.CASH.value, code)]
    e.account = account_index
    e.last_notional = amount
    e.cash = s.accounts[account_index].cash
    return e


@jit
def free_cash(s: State, account: Any) -> int:
    """What may be withdrawn: of a cash account what no order has set aside, of a margin account what its leverage leaves."""
    if account.leverage == 0.0:
        return int(account.cash - account.reserved)
    needed = money(worst_gross(s, account, NONE) / account.leverage)
    return 0 if needed == NO_MONEY else int(equity_of(s, account) - needed)


@jit
def deposit(s: State, account_index: int, amount: int) -> int:
    """Pay an amount in, or out where it is negative; 1, or 0 where more is asked for than is free: then nothing moves.

    The event's `notional` is the equity before it: returns are linked there.
    """
    account = s.accounts[account_index]
    code = Code.DEPOSIT.value if amount >= 0 else Code.WITHDRAWAL.value
    fits = -MONEY_LIMIT < amount < MONEY_LIMIT and abs(account.cash + amount) < ROOM
    if not fits or (amount < 0 and -amount > free_cash(s, account)):
        tell_cash(s, account_index, code, amount).status = Status.DENIED
        return 0
    # a deposit is no profit, and a withdrawal no loss: a drawdown stays the share that it is
    equity = equity_of(s, account)
    if equity > 0 and equity + amount > 0:
        factor = (equity + amount) / equity
        account.peak = _scaled(account.peak, factor)
    else:
        account.peak += amount
    for p in range(len(s.portfolios)):
        portfolio = s.portfolios[p]
        if portfolio.account == account_index:
            _deposit_to(portfolio, worth_of(s, p), amount)
    account.equity = equity + amount
    account.cash += amount
    account.moves += 1
    account.deposits += amount
    tell_cash(s, account_index, code, amount).notional = equity
    return 1


@inline
def _deposit_to(portfolio: Any, worth: Any, amount: int) -> None:
    """What a portfolio was worth at its best, and at the start of the day, moves with the money."""
    if worth > 0 and worth + amount > 0:
        factor = (worth + amount) / worth
        portfolio.peak = _scaled(portfolio.peak, factor)
        portfolio.day_worth = _scaled(portfolio.day_worth, factor)
    else:
        portfolio.peak += amount
        portfolio.day_worth += amount
    portfolio.worth = worth + amount


@inline
def _scaled(amount: int, factor: float) -> Any:
    return money(min(max(amount * factor, 1.0 - MONEY_LIMIT), MONEY_LIMIT - 1.0))


@jit
def accrue(s: State) -> None:
    """A day's interest and borrow fees of margin accounts, on what they hold at its end.

    Interest is on cash less the value of what was sold short, whose proceeds are its collateral.
    """
    c = s.clock[0]
    day = c.accrual_due
    c.accrual_due += DAY
    if day > c.trade_from:
        for a in range(len(s.accounts)):
            if s.accounts[a].leverage > 0.0:
                _accrue_on(s, a)


@jit
def _accrue_on(s: State, account_index: int) -> None:
    account = s.accounts[account_index]
    shorts = 0
    for h in range(account.first_holding, account.first_holding + account.n_holdings):
        holding = s.holdings[h]
        if holding.lots < 0:
            instrument = s.instruments[holding.instrument]
            shorts += value_of(instrument, -holding.lots, instrument.price)
    balance = account.cash - shorts
    rate = account.credit_rate if balance > 0 else account.debit_rate
    _pay(s, account_index, Code.INTEREST.value, money(balance * (rate / YEAR)))
    _pay(s, account_index, Code.BORROW.value, money(-shorts * (account.borrow_rate / YEAR)))


@inline
def _pay(s: State, account_index: int, code: int, amount: Any) -> None:
    account = s.accounts[account_index]
    if amount != 0 and amount != NO_MONEY and abs(account.cash) < ROOM and abs(account.interest) < ROOM:
        account.cash += amount
        account.moves += 1
        account.interest += amount
        tell_cash(s, account_index, code, amount)


@inline
def pay_slot(s: State, slot: Any, code: int, amount: Any) -> Any:
    """Pay a slot's account for what it holds, or charge it, and say so; the event."""
    account = s.accounts[slot.account]
    account.cash += amount
    account.moves += 1
    e = tell_cash(s, slot.account, code, amount)
    e.strategy = slot.strategy
    e.instrument = slot.instrument
    e.position = slot.lots
    return e
