"""The one loop over ticks. Backtest, paper trading, training and recovery run this function.

For each row, in order:

ROW     what is due at or before the row's time happens first, moment by moment: bars close and their features
        advance, orders become active, are cancelled or expire, equity is taken;
DECIDE  strategies decide on the bars that closed, then timers fire, and the loop is back at ROW;
        where nothing is due any more, the row is matched against the instrument's resting orders;
MARK    the position is marked, the bars take the row;
GUARD   limits and margins look at the new price;
TICKS   actors that want each tick are asked;
CUT     where the row closed a bar of so many rows, units or so much value, equity is taken, and strategies DECIDE.

A row that is no price (a corporate action, cash paid in or out) is carried out in ROW, and that is all.

Where nothing can happen on a stretch of rows (same instrument, before the next due moment, inside the open bars,
between the nearest triggers of the resting orders, nobody asks for ticks, no limit is near) the stretch enters the bars
at once, and what is guarded is looked at behind it.

The place where the loop stands is state: after a row's fills, or between two actors, it returns to Python to ask, and
goes on there. No decision of the loop depends on where a batch begins or ends.
"""

from __future__ import annotations

import numpy as np

from engine.actions import take_action
from engine.bars import (
    close_cut_bars,
    close_due_bars,
    cut_end,
    is_late,
    take_cut_run,
    take_row,
    take_run,
)
from engine.cash import accrue
from engine.due import run_orders_due
from engine.events import push_call, refresh_due
from engine.guards import end_period, guard_accounts, sell_out
from engine.jit import inline, jit
from engine.ledger import equity_of
from engine.matching import match_row
from engine.policies import Policy, decide
from engine.quiet import find_guards
from engine.records import (
    DAY,
    HUGE,
    KIND_MASK,
    N_METHODS,
    NEVER,
    NONE,
    BarKind,
    Call,
    Outcome,
    Phase,
    RowKind,
    State,
    Ticks,
    Wants,
)


@inline
def _short_of_room(s: State) -> bool:
    """Whether the worst that one moment, or the fills of one row, can write might not fit."""
    c = s.clock[0]
    slots = len(s.slots)
    events = 8 * (c.live_orders + slots) + len(s.timers) + 8 * len(s.portfolios) + 16
    return bool(
        c.n_events + events > len(s.events)
        or c.n_calls + events > len(s.calls)
        or c.n_equity + len(s.accounts) > len(s.equity)
        or c.n_grades + N_METHODS * len(s.accounts) > len(s.grades)
        or (c.n_observations + 2 * slots) * len(s.observation) > len(s.observations)
        or c.free_orders < 2 * slots + 4
    )


@inline
def _take_equity(s: State) -> None:
    """Record the equity of each account one of whose series has just closed a bar."""
    c = s.clock[0]
    for i in range(c.deciding_slots):
        slot = s.slots[i]
        if s.series[slot.series].closing == c.closing:
            s.accounts[slot.account].changed = 1
            if slot.lots != 0:
                slot.bars_held += 1
    for a in range(len(s.accounts)):
        account = s.accounts[a]
        if account.changed:
            account.changed = 0
            account.equity = equity_of(s, account)
            account.peak = max(account.peak, account.equity)
            if account.equity < account.peak:
                account.max_drawdown = max(account.max_drawdown, 1.0 - account.equity / account.peak)
            sample = s.equity[c.n_equity]
            c.n_equity += 1
            sample.ts = c.now
            sample.account = a
            sample.cash = account.cash
            sample.equity = account.equity


@inline
def _decide_next(s: State) -> None:
    """Let the strategies decide on the bars that have just closed, until one of them must be asked in Python.

    The cursor counts two questions a slot: its own bar, and, at a strategy's last slot, all its bars together.
    """
    c = s.clock[0]
    while c.cursor < 2 * c.deciding_slots:
        i = c.cursor >> 1
        together = c.cursor & 1
        c.cursor += 1
        slot = s.slots[i]
        strategy = s.strategies[slot.strategy]
        if together == 0:
            if s.series[slot.series].closing == c.closing:
                if strategy.policy != Policy.PYTHON:
                    decide(s, i)
                elif strategy.wants & Wants.BAR:
                    push_call(s, Call.BAR.value, slot.strategy, i)
        elif strategy.wants & Wants.BARS and i + 1 == strategy.first_slot + strategy.n_slots:
            for k in range(strategy.first_slot, i + 1):
                if s.series[s.slots[k].series].closing == c.closing:
                    push_call(s, Call.BARS.value, slot.strategy, i)
                    break
        if c.n_calls > 0:
            return


@jit
def _fire_timers(s: State) -> None:
    """Ask the actors whose timers are due, in order of time, then of the place in the pool."""
    c = s.clock[0]
    while c.timer_due <= c.now:
        due = NEVER
        first = -1
        for i in range(len(s.timers)):
            if s.timers[i].at < due:
                due = s.timers[i].at
                first = i
        if due > c.now:
            c.timer_due = due
            break
        timer = s.timers[first]
        push_call(s, Call.TIMER.value, timer.strategy, timer.id)
        timer.at = timer.at + timer.every if timer.every > 0 else NEVER
        if timer.every > 0 and timer.at <= c.now:  # time jumped over some: they fire once
            timer.at += (c.now - timer.at) // timer.every * timer.every + timer.every


@inline
def _run_due(s: State) -> None:
    """Let happen what is due at the engine's time, up to the decisions."""
    c = s.clock[0]
    c.bar_closed = 0
    if c.series_due <= c.now:
        close_due_bars(s)
    if c.order_due <= c.now:
        run_orders_due(s)
        if c.sell_out:
            sell_out(s)
    if c.accrual_due <= c.now:
        accrue(s)
    if c.risk_due <= c.now:
        end_period(s)
    if c.bar_closed and c.now >= c.trade_from:
        _take_equity(s)
        c.cursor = 0
    else:
        c.cursor = 2 * c.deciding_slots


@inline
def _quiet_end(s: State, t: Ticks, k: int, first: int, n: int) -> int:
    """The first row from `first` on that is not quiet: on those before it nothing can happen but marks and bars."""
    c = s.clock[0]
    instrument = s.instruments[k]
    due = c.due
    low = instrument.low_trigger
    high = instrument.high_trigger
    if instrument.guards > 0:
        due = min(due, (c.now // DAY + 1) * DAY)  # a day's loss begins anew
        low = max(low, instrument.low_guard)
        high = min(high, instrument.high_guard)
    quiet_from = instrument.quiet_from
    quiet_until = instrument.quiet_until
    now = c.now
    i = first
    while i < n:
        ts = t.ts_recv[i]
        event = t.ts_event[i]
        price = t.price[i]
        if not (
            ts >= now
            and ts < due
            and event >= quiet_from
            and event < quiet_until
            and price > low
            and price < high
            and t.size[i] >= 0.0
            and t.size[i] < HUGE
            and t.instrument[i] == k
            and (t.flags[i] & KIND_MASK) < RowKind.TIMER
        ):
            break
        now = ts
        i += 1
    c.now = now
    return i


@jit
def _take_no_price(s: State, kind: int, k: int, price: float, size: float) -> None:
    """Carry out a row that is no price."""
    if take_action(s, kind, k, price, size):
        guard_accounts(s, np.int64(NONE))  # a delisting is a loss that no row of the instrument will show
    else:
        s.clock[0].bad_rows += 1


@inline
def _enters(s: State, t: Ticks, i: int) -> bool:
    """Whether row i is a price that counts: of a known instrument, positive, with a size, and not late.

    A row that is no price is carried out here.
    """
    c = s.clock[0]
    kind = t.flags[i] & KIND_MASK
    if kind == RowKind.TIMER:
        return False
    k = t.instrument[i]
    price = t.price[i]
    size = t.size[i]
    if kind > RowKind.TIMER:
        _take_no_price(s, kind, k, price, size)
        return False
    if not (0 <= k < len(s.instruments) and 0.0 < price < HUGE and 0.0 <= size < HUGE):
        c.bad_rows += 1
        return False
    event = t.ts_event[i]
    instrument = s.instruments[k]
    if instrument.delisted:
        c.bad_rows += 1
        return False
    if not instrument.quiet_from <= event < instrument.quiet_until and is_late(s, k, event):
        c.late_rows += 1
        return bool(c.merge_late)
    return True


@inline
def _mark(s: State, t: Ticks, i: int, n: int) -> None:
    """Row i, and the quiet rows after it, mark the position and enter the bars."""
    c = s.clock[0]
    k = t.instrument[i]
    instrument = s.instruments[k]
    if instrument.quiet_from <= t.ts_event[i] < instrument.quiet_until and instrument.n_cuts == 0:
        first = i
    else:  # it opens a bar, or enters one that is not the only one open
        take_row(s, k, t.ts_event[i], t.price[i], t.size[i])
        refresh_due(s)
        first = i + 1
    end = i + 1
    quiet = instrument.n_subscribers == 0 and instrument.fill_guard == 0
    if quiet and instrument.guards > 0:
        quiet = i + 1 < n and t.instrument[i + 1] == k and find_guards(s, k, t.price[i])
    if quiet:
        now = c.now
        end = _quiet_end(s, t, k, i + 1, n)
        if instrument.n_cuts > 0:
            end = _first_cut(s, t, k, i + 1, end)
            c.now = now if end == i + 1 else t.ts_recv[end - 1]
    if first < end:
        for j in range(instrument.first_series, instrument.first_series + instrument.n_series):
            if instrument.n_cuts > 0:
                take_cut_run(s.series[j], t, first, end)
            else:
                take_run(s.series[j], t, first, end)
    instrument.price = instrument.traded = t.price[end - 1]
    instrument.ts = c.now
    c.seq += end - i
    if instrument.n_cuts > 0:
        close_cut_bars(s, k)
    if instrument.guards > 0 or instrument.fill_guard != 0:
        c.row = end - 1
        c.phase = Phase.GUARD
    elif instrument.n_subscribers > 0:
        c.cursor = 0
        c.phase = Phase.TICKS
    else:
        c.row = end
        c.phase = Phase.CUT if c.cut else Phase.ROW


@inline
def _first_cut(s: State, t: Ticks, k: int, first: int, end: int) -> int:
    """One past the row from `first` on that closes a bar of instrument k; `first` where the row before does; else `end`."""
    instrument = s.instruments[k]
    for j in range(instrument.first_series, instrument.first_series + instrument.n_series):
        series = s.series[j]
        if series.kind != BarKind.TIME:
            if series.amount >= series.threshold:
                return first
            end = cut_end(series, t, first, end)
    return end


@inline
def advance(s: State, t: Ticks) -> int:
    """Take the batch's rows from clock.row on into the state until they are used up or Python is needed: an Outcome."""
    c = s.clock[0]
    n = len(t.price)
    while c.faults == 0:
        if c.n_calls > 0:
            return Outcome.CALLS
        i = c.row
        roomy = False

        if c.phase == Phase.ROW:
            if i >= n:
                return Outcome.DONE
            time = max(t.ts_recv[i], c.now)
            if c.due > time:
                c.now = time
                if (t.flags[i] & KIND_MASK) > RowKind.TIMER and _short_of_room(s):
                    return Outcome.ROOM
                if not _enters(s, t, i):
                    c.seq += 1
                    c.row = i + 1
                    continue
                instrument = s.instruments[t.instrument[i]]
                instrument.was = instrument.price
                price = t.price[i]
                if price <= instrument.low_trigger or price >= instrument.high_trigger:
                    if _short_of_room(s):
                        return Outcome.ROOM
                    match_row(s, t.instrument[i], price, t.size[i], t.flags[i] & KIND_MASK)
                    if c.sell_out:
                        sell_out(s)
                    c.phase = Phase.MARK
                    if c.n_calls > 0:
                        continue
                _mark(s, t, i, n)
                continue
            if _short_of_room(s):
                return Outcome.ROOM
            roomy = True
            c.now = max(c.due, c.now)
            _run_due(s)
            c.phase = Phase.DECIDE
            if c.n_calls > 0:
                continue

        if c.phase == Phase.DECIDE:
            if not roomy and _short_of_room(s):
                return Outcome.ROOM
            _decide_next(s)
            if c.n_calls > 0:
                continue
            if c.timer_due <= c.now:
                _fire_timers(s)
            c.phase = Phase.ROW
            refresh_due(s)
        elif c.phase == Phase.MARK:
            _mark(s, t, i, n)
        elif c.phase == Phase.GUARD:
            if _short_of_room(s):
                return Outcome.ROOM
            s.instruments[t.instrument[i]].fill_guard = 0
            guard_accounts(s, t.instrument[i])
            c.cursor = 0
            c.phase = Phase.TICKS
        elif c.phase == Phase.CUT:
            if _short_of_room(s):
                return Outcome.ROOM
            c.cut = 0
            c.cursor = 2 * c.deciding_slots
            if c.now >= c.trade_from:
                _take_equity(s)
                c.cursor = 0
            c.phase = Phase.DECIDE
        else:
            instrument = s.instruments[t.instrument[i]]
            if c.cursor < instrument.n_subscribers and c.now >= c.trade_from:
                slot = s.subscribers[instrument.first_subscriber + c.cursor]
                c.cursor += 1
                push_call(s, Call.TICK.value, s.slots[slot].strategy, slot)
            else:
                c.row = i + 1
                c.phase = Phase.CUT if c.cut else Phase.ROW
    return Outcome.FAULT
