"""What happens to accounts and strategies as a whole: trading states, flattening, limits and margin calls, which act on marks."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.cancel import cancel_account, cancel_strategy
from engine.events import blank_event
from engine.grading import forecast_losses, grade_row
from engine.jit import inline, jit
from engine.ledger import amount_of, equity_of, gross_of
from engine.records import NONE, Code, EventKind, OperatorAction, Side, State, TradingState
from engine.scenarios import close_row, row_closes
from engine.submit import submit_exit
from engine.watch import begin_afresh, must_flatten, watch, watch_losses


@jit
def set_trading_state(s: State, p: int, state: int, code: int, reason: Any) -> None:
    """Switch what a portfolio's account, or its strategy, may do, and say so; HALTED also cancels its working orders.

    reason: of an operator, which of the reasons on the tape; else NONE.
    """
    portfolio = s.portfolios[p]
    strategy = portfolio.strategy
    if strategy == NONE:
        s.accounts[portfolio.account].state = state
    else:
        s.strategies[strategy].state = state
    e = s.events[blank_event(s, EventKind.STATE.value, code)]
    e.lots = state
    e.tag = reason
    e.cash = s.accounts[portfolio.account].cash
    e.account = portfolio.account
    e.strategy = strategy
    if state == TradingState.HALTED:
        if strategy == NONE:
            cancel_account(s, portfolio.account, code, np.int64(0))
        else:
            cancel_strategy(s, strategy, code, np.int64(0))
    elif state == TradingState.ACTIVE:  # drawdown and daily loss start afresh from here
        begin_afresh(s, p)


@jit
def flatten(s: State, p: int) -> int:
    """Cancel a portfolio's working orders and close its positions at the market; how many positions.

    What an order could still fill whose cancel is on its way is closed when that order has ended.
    """
    portfolio = s.portfolios[p]
    if portfolio.strategy == NONE:
        cancel_account(s, portfolio.account, Code.OPERATOR.value, np.int64(1))
    else:
        cancel_strategy(s, portfolio.strategy, Code.OPERATOR.value, np.int64(1))
    n = 0
    for i in range(len(s.slots)):
        slot = s.slots[i]
        if slot.account == portfolio.account and portfolio.strategy in (NONE, slot.strategy):
            n += _close_slot(s, i)
    return n


@jit
def _close_slot(s: State, i: int) -> int:
    """Send a market order for what a slot holds and no working order closes; whether there was any."""
    slot = s.slots[i]
    side = Side.SELL.value if slot.lots > 0 else Side.BUY.value
    lots = abs(slot.lots) - (slot.working_sell if slot.lots > 0 else slot.working_buy)
    if slot.lots == 0 or lots <= 0:
        return 0
    submit_exit(s, i, side, lots, Code.OPERATOR.value)
    return 1


@jit
def sell_out(s: State) -> None:
    """Close what remains of strategies being flattened, of whose cancelled orders one has ended."""
    s.clock[0].sell_out = 0
    for i in range(len(s.strategies)):
        strategy = s.strategies[i]
        if strategy.sell_out:
            strategy.sell_out = 0
            for j in range(strategy.first_slot, strategy.first_slot + strategy.n_slots):
                _close_slot(s, j)


@jit
def operate(s: State, p: int, action: int, reason: Any) -> None:
    """Carry out what an operator's row asks for."""
    state = min(action, TradingState.HALTED.value)
    set_trading_state(s, p, state, Code.OPERATOR.value, reason)
    if action == OperatorAction.FLATTEN:
        flatten(s, p)


@jit
def call_margin(s: State, account_index: int) -> None:
    """Liquidate an account whose equity has fallen below its maintenance margin, as far as it takes.

    Its working orders are cancelled; then positions are closed at the market, the largest first, until what is left is
    within the account's leverage. Closing orders that still work count as filled.
    """
    account = s.accounts[account_index]
    equity = equity_of(s, account)
    if equity >= account.maintenance * gross_of(s, account):
        account.liquidating = 0
        return
    if not account.liquidating:
        account.liquidating = 1
        account.liquidations += 1
        e = s.events[blank_event(s, EventKind.STATE.value, Code.LIQUIDATION.value)]
        e.lots = account.state
        e.cash = account.cash
        e.account = account_index
    cancel_account(s, account_index, Code.LIQUIDATION.value, np.int64(0))
    target = account.leverage * max(equity, 0)
    while True:
        gross = 0.0
        largest = 0.0
        worst = NONE
        for h in range(account.first_holding, account.first_holding + account.n_holdings):
            holding = s.holdings[h]
            instrument = s.instruments[holding.instrument]
            value = amount_of(instrument, _unclosed(holding), instrument.price)
            gross += value
            if value > largest and not instrument.delisted:
                largest = value
                worst = h
        if gross <= target or worst == NONE:
            return
        holding = s.holdings[worst]
        instrument = s.instruments[holding.instrument]
        unit = amount_of(instrument, 1, instrument.price)
        lots: Any = np.int64(min(np.ceil((gross - target) / unit), float(_unclosed(holding))))
        if not _close_some(s, holding, lots):
            return


@inline
def _unclosed(holding: Any) -> Any:
    """The lots that a holding has left when the orders that work to close it have filled."""
    if holding.lots > 0:
        return max(holding.lots - holding.working_sell, np.int64(0))
    return max(-holding.lots - holding.working_buy, np.int64(0))


@jit
def _close_some(s: State, holding: Any, lots: int) -> bool:
    """Send market orders that close so many lots of a holding, from its slots in their order; whether any was sent."""
    side = Side.SELL.value if holding.lots > 0 else Side.BUY.value
    sent = False
    for i in range(len(s.slots)):
        slot = s.slots[i]
        if slot.account == holding.account and slot.instrument == holding.instrument:
            working = slot.working_sell if side == Side.SELL else slot.working_buy
            own = min(-slot.lots * side - working, lots)
            if own > 0:
                if submit_exit(s, i, side, own, Code.LIQUIDATION.value):
                    sent = True
                lots -= own
    return sent


@jit
def guard_accounts(s: State, k: int) -> None:
    """A mark may break a limit of an account or a strategy: then its trading state switches at this row.

    k: the instrument whose mark it is; NONE: of any.
    """
    for a in range(len(s.accounts)):
        if s.accounts[a].leverage > 0.0:
            call_margin(s, a)
    for p in range(len(s.portfolios)):
        if s.portfolios[p].watched:
            code = watch(s, p, k)
            if code != Code.NONE:
                _halt(s, p, code)


@inline
def _is_halted(s: State, p: int) -> bool:
    """Whether a portfolio is halted itself: a strategy's may be active in an account that is halted."""
    portfolio = s.portfolios[p]
    if portfolio.strategy == NONE:
        return bool(s.accounts[portfolio.account].state == TradingState.HALTED)
    return bool(s.strategies[portfolio.strategy].state == TradingState.HALTED)


@jit
def _halt(s: State, p: int, code: int) -> None:
    if not _is_halted(s, p):
        set_trading_state(s, p, TradingState.HALTED.value, code, np.int64(NONE))
    if must_flatten(s, p):
        flatten(s, p)


@jit
def end_period(s: State) -> None:
    """A period of the risk clock ends: where a row closes with it, outcomes are told and losses forecast anew."""
    c = s.clock[0]
    if row_closes(s):
        close_row(s)
        grade_row(s)
        forecast_losses(s)
        for p in range(len(s.portfolios)):
            if s.portfolios[p].statistical:
                code = watch_losses(s, p)
                if code != Code.NONE:
                    _halt(s, p, code)
    c.risk_due += s.risk[0].period
