"""What happens to accounts as a whole: trading states, flattening, hard stops and margin calls, which act on marks."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.cancel import cancel_account
from engine.events import blank_event
from engine.jit import inline, jit
from engine.ledger import amount_of, equity_of, gross_of
from engine.records import DAY, NONE, Code, EventKind, Side, State, TradingState
from engine.submit import submit_exit


@jit
def set_trading_state(s: State, account_index: int, state: int, code: int) -> None:
    """Switch what the account may do, and say so; HALTED also cancels its working orders."""
    account = s.accounts[account_index]
    account.state = state
    e = s.events[blank_event(s, EventKind.STATE.value, code)]
    e.lots = state
    e.cash = account.cash
    e.account = account_index
    if state == TradingState.HALTED:
        cancel_account(s, account_index, code, np.int64(0))
    elif state == TradingState.ACTIVE:  # the hard stops start afresh from here
        account.equity = equity_of(s, account)
        account.stop_peak = account.equity
        account.day_equity = account.equity


@jit
def flatten(s: State, account_index: int) -> int:
    """Cancel the account's working orders and close its positions at the market; how many positions.

    What an order could still fill whose cancel is on its way is closed when that order has ended.
    """
    cancel_account(s, account_index, Code.OPERATOR.value, np.int64(1))
    return close_positions(s, account_index, Code.OPERATOR.value)


@jit
def close_positions(s: State, account_index: int, code: int) -> int:
    """Send market orders, with that code, for what the account holds and no working order closes; how many."""
    n = 0
    for i in range(len(s.slots)):
        slot = s.slots[i]
        if slot.account == account_index and slot.lots != 0:
            side = Side.SELL.value if slot.lots > 0 else Side.BUY.value
            lots = abs(slot.lots) - (slot.working_sell if slot.lots > 0 else slot.working_buy)
            if lots > 0:
                submit_exit(s, i, side, lots, code)
                n += 1
    return n


@jit
def sell_out(s: State) -> None:
    """Close what remains in accounts being flattened, of whose cancelled orders one has ended."""
    s.clock[0].sell_out = 0
    for a in range(len(s.accounts)):
        if s.accounts[a].sell_out:
            s.accounts[a].sell_out = 0
            close_positions(s, a, Code.OPERATOR.value)


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
def guard_accounts(s: State) -> None:
    """A mark may break a hard stop of an account: then its trading state switches at this row."""
    c = s.clock[0]
    day = c.now // DAY
    for a in range(len(s.accounts)):
        account = s.accounts[a]
        if account.leverage > 0.0:
            call_margin(s, a)
        if account.state == TradingState.HALTED:
            continue
        if account.stop_drawdown <= 0.0 and account.stop_daily_loss <= 0.0:
            continue
        if day != account.day:
            account.day = day
            account.day_equity = account.equity  # as it was at the last mark of the day before
        account.equity = equity_of(s, account)
        account.stop_peak = max(account.stop_peak, account.equity)
        code = Code.NONE.value
        if 0.0 < account.stop_drawdown * account.stop_peak <= account.stop_peak - account.equity:
            code = Code.DRAWDOWN.value
        elif 0.0 < account.stop_daily_loss * account.day_equity <= account.day_equity - account.equity:
            code = Code.DAILY_LOSS.value
        if code != Code.NONE:
            set_trading_state(s, a, TradingState.HALTED.value, code)
            if account.stop_flattens:
                flatten(s, a)
