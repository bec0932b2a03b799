"""The engine's vocabulary: its enums, the columns of a tape, and the records its state is made of.

All state lives in numpy arrays of the record types below, so that a snapshot is a copy of the arrays, a hash
covers them, and compiled code and plain Python read them alike (``order.lots``).

Units, everywhere: times are int64 nanoseconds UTC; money is an int64 count of the account currency's smallest
unit (``scale`` of them to one, 1,000,000 unless the currency says otherwise); quantities are int64 lots of the
instrument; prices are float64 in currency per unit; volumes are float64 units.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

from engine.records_risk import (
    FORECAST,
    GAUGE,
    GRADE,
    HISTORY,
    LIMIT,
    PORTFOLIO,
    POSITION,
    RISK,
    TRIAL,
    WINDOW,
    record,
)

NEVER = np.iinfo(np.int64).max  # a time that does not come
NO_TIME = np.iinfo(np.int64).min
SECOND = 1_000_000_000
DAY = 86_400 * SECOND
HUGE = 1e300  # no price or size reaches this
NONE = -1  # "no such index", in links and look-up tables


class RowKind(IntEnum):
    """What a row of the tape is (the low four bits of ``flags``)."""

    PRINT = 0  # a real trade, or a bar's open: the price may have jumped here
    EXTREME = 1  # a bar's high or low, reached continuously from the row before; no market order fills on it
    CLOSE = 2  # a bar's close, reached continuously from the row before
    TIMER = 3  # no price, only time; the instrument is ignored
    SPLIT = 4  # price new shares for size old ones
    DIVIDEND = 5  # price: cash per unit, in currency
    SYMBOL = (
        6  # the instrument has another name from here on; price: its index among the instrument's `symbols`
    )
    DELISTING = 7  # it trades no more; price: what a unit pays where size is 1, else the last price does
    CASH = 8  # a deposit or, negative, a withdrawal: price, in currency; `instrument` is the account's index
    OPERATOR = (
        9  # price: an OperatorAction; `instrument` is the portfolio's index; size: that of the reason, or -1
    )
    MARK = 10  # what an instrument is worth by another source: moves its mark, fills no order, enters no bar


KIND_MASK = 15


class Side(IntEnum):
    """The sign of what an order does to a position."""

    BUY = 1
    SELL = -1


class OrderType(IntEnum):
    """FIX tag 40."""

    MARKET = 0
    LIMIT = 1
    STOP = 2
    STOP_LIMIT = 3  # once the stop is reached, a limit order
    TRAILING_STOP = 4  # a stop that follows the price at a distance, in its owner's favour only


class TimeInForce(IntEnum):
    """FIX tag 59."""

    GTC = 0
    DAY = 1  # until the end of the first session in which the order could fill
    IOC = 2  # what the first row that can fill it leaves over is cancelled
    FOK = 3  # the first row that can fill it fills all of it, or it is cancelled
    GTD = 4  # until a given time
    AT_THE_OPEN = 5  # on the first print of the next session only
    AT_THE_CLOSE = 6  # at the end of the session, at its last price


class Trail(IntEnum):
    """How the distance of a trailing stop is measured."""

    AMOUNT = 0  # in currency
    PERCENT = 1  # as a share of the price: 0.05 is 5 %


class BarKind(IntEnum):
    """What closes a bar."""

    TIME = 0
    TICKS = 1  # a number of rows
    VOLUME = 2  # units traded
    VALUE = 3  # currency traded, "dollar bars"


class Status(IntEnum):
    """FIX tag 39, and DENIED: refused by our own gate before the broker saw it."""

    PENDING_NEW = 0
    NEW = 1
    PARTIALLY_FILLED = 2
    PENDING_CANCEL = 3
    FILLED = 4
    CANCELED = 5
    EXPIRED = 6
    REJECTED = 7
    DENIED = 8


class Code(IntEnum):
    """Why the gate denied or cut an order, why an order ended otherwise than by its owner's wish, why cash moved."""

    NONE = 0
    TRADING_STATE = 1  # the account is halted, or may only reduce
    INSTRUMENT = 2  # quantity below one lot or the minimum, price off the tick grid, terms that make no sense
    PRICE_MISSING = 3  # no price yet, or one that is no positive number
    PRICE_STALE = 4
    PRICE_COLLAR = 5
    ORDER_RATE = 6
    ORDER_NOTIONAL = 7
    CASH = 8  # a cash account pays for what it buys
    SHORT = 9  # a cash account sells only what it has
    MARGIN = 10  # a margin account has equity for what it holds
    POSITION = 11
    GROSS_EXPOSURE = 12
    NET_EXPOSURE = 13
    CONCENTRATION = 14
    VAR = 15  # the statistical checks have their place here, after the others
    CVAR = 16
    OVERFLOW = 17  # the amount does not fit the exact range of money
    DELISTED = 18  # the instrument trades no more
    REDUCE_ONLY = 19  # there is no position left that the order could reduce
    GROUP = 20  # another order of its bracket or pair was denied, or decides its quantity
    IOC_REST = 21  # the rest of an immediate-or-cancel order
    FOK = 22  # it could not be filled whole
    POST_ONLY = 23  # it would have taken liquidity
    OCO = 24  # the other order of its pair was filled
    PARENT = 25  # the order that was to release it has ended
    AUCTION = 26  # the open or close did not fill it
    DRAWDOWN = 27  # a limit on what was lost, or may be, is broken
    DAILY_LOSS = 28
    LIQUIDATION = 29  # the account's equity fell below its maintenance margin
    OPERATOR = 30
    DISCONNECT = 31  # its actor is gone
    SPLIT = 32  # corporate actions: the cash for a fraction of a lot, or an order of which nothing is left
    DIVIDEND = 33
    SYMBOL = 34
    DEPOSIT = 35
    WITHDRAWAL = 36
    INTEREST = 37
    BORROW = 38  # the fee for borrowing what was sold short
    STRESSED_VAR = 39
    HISTORY = 40  # too few returns of something that is held to say what it may lose
    NOT_FINITE = 41  # a number that the verdict rests on is none
    SINGULAR = 42  # the covariance has no factor: an instrument that is held never moves
    BUFFER = 43  # there is no room for one more order
    MODEL = 44  # outcomes reject the risk model


N_CODES = len(Code)


class TradingState(IntEnum):
    """What an account may do."""

    ACTIVE = 0
    REDUCE_ONLY = 1  # exits only: orders that shrink a position and do not flip it
    HALTED = 2  # exits only, and resting orders are cancelled when it begins


class OperatorAction(IntEnum):
    """What an operator's row asks for; the first three are the trading state that it sets."""

    RESET = 0  # trade again; drawdown and daily loss start afresh
    REDUCE_ONLY = 1
    HALT = 2
    FLATTEN = 3  # halt, and close the positions


class Method(IntEnum):
    """How the loss of a portfolio is forecast: from which scenarios, and by which statistic of them (docs/risk.md)."""

    HISTORICAL = 0  # the returns of the window as they were
    GAUSSIAN = 1  # their mean and standard deviation
    CORNISH_FISHER = 2  # their first four moments
    EWMA = 3  # a standard deviation that forgets, RiskMetrics'
    FILTERED = 4  # the returns of the window, each scaled from the volatility of its time to today's
    MONTE_CARLO = 5  # normal draws with a shrunk covariance


N_METHODS = len(Method)


class Limit(IntEnum):
    """What is limited of a portfolio: an account's, or a strategy's part of it."""

    VAR = 0
    CVAR = 1
    STRESSED_VAR = 2
    DRAWDOWN = 3
    DAILY_LOSS = 4


N_LIMITS = len(Limit)


class LimitAction(IntEnum):
    """What a limit does. Above it, all of them let exits pass only."""

    DENY = 0
    RESIZE = 1  # an order is cut to the largest size that passes
    HALT = 2  # where the market breaks it, the trading state becomes HALTED
    FLATTEN = 3  # and the positions are closed, too


class Level(IntEnum):
    """Where a portfolio stands against a limit."""

    WITHIN = 0
    WARNING = 1
    BEYOND = 2


class EventKind(IntEnum):
    """What an event tells."""

    ORDER = 0  # an order's status changed; the record is the order as it then stood
    FILL = 1  # last_lots at last_px were filled; the record is the order as it then stood
    STATE = 2  # the account's trading state changed to `lots`; code says why
    CASH = (
        3  # cash moved by last_notional, not by a fill; code says why. DENIED: a withdrawal that was refused
    )
    ACTION = 4  # a corporate action, its code; last_px and stop hold the row's price and size
    RISK = 5  # a limit, its code: `lots` is the Level reached, `measure` against `bound`. MODEL: lots 1 rejected, 0 accepted


class Call(IntEnum):
    """What a Python actor is to be asked."""

    BAR = 0
    BARS = 1
    TICK = 2
    FILL = 3
    ORDER = 4
    TIMER = 5
    ACTION = 6


class Wants(IntEnum):
    """Which calls a strategy wants: a strategy is never called for what it does not handle."""

    BAR = 1
    BARS = 2
    TICK = 4
    FILL = 8
    ORDER = 16
    TIMER = 32
    ACTION = 64


class Phase(IntEnum):
    """Where the loop stands inside a row (see ``engine/loop.py``)."""

    ROW = 0
    DECIDE = 1
    MARK = 2
    GUARD = 3
    TICKS = 4
    CUT = 5


class Outcome(IntEnum):
    """Why the loop returned."""

    DONE = 0  # the batch is used up
    CALLS = 1  # Python actors are to be asked
    ROOM = 2  # an outbox must be emptied or a pool grown
    FAULT = 3  # a programming error: an order took an illegal step


class SizeKind(IntEnum):
    """How a compiled policy sizes its position."""

    UNITS = 0  # a number of lots
    FRACTION = 1  # a share of the account's equity, split evenly over the strategy's instruments


class Slippage(IntEnum):
    """What a market or stop order pays beyond the price it met."""

    NONE = 0
    BPS = 1
    TICKS = 2
    SQRT_IMPACT = 3  # value (bps) x sqrt(order's share of the row's volume, at most 1)


class Ticks(NamedTuple):
    """A batch of the tape as columns of equal length n, in the order in which they enter the engine."""

    ts_event: np.ndarray[Any, Any]  # (n,) int64, the venue's time
    ts_recv: np.ndarray[Any, Any]  # (n,) int64, ours; history has ts_recv = ts_event
    instrument: np.ndarray[Any, Any]  # (n,) int32, index into the engine's instruments
    price: np.ndarray[Any, Any]  # (n,) float64
    size: np.ndarray[Any, Any]  # (n,) float64, units traded
    flags: np.ndarray[Any, Any]  # (n,) uint8, RowKind in the low four bits


TICK_DTYPES = tuple(np.dtype(t) for t in (np.int64, np.int64, np.int32, np.float64, np.float64, np.uint8))


CLOCK = record(  # one record: the engine's time, its counters and the place where the loop stands
    now="i8",  # engine time; never goes back
    due="i8",  # the earliest time at which something happens without a row
    series_due="i8",  # its parts: a bar closes,
    order_due="i8",  # an order becomes active, is cancelled or expires,
    timer_due="i8",  # a timer fires
    accrual_due="i8",  # interest accrues
    risk_due="i8",  # a period of the risk clock ends
    grace_ns="i8",  # a time bar closes this long after its end
    trade_from="i8",  # before this time history only warms up: no strategy is asked
    seq="i8",  # rows taken so far
    next_order_id="i8",
    arrivals="i8",  # orders that became active so far: the order in which a row fills them
    bars="i8",  # bars closed so far
    late_rows="i8",  # prints for a bar that has closed already
    bad_rows="i8",  # rows refused: no positive price, no size, no such instrument
    row="i8",  # the row of this batch at which the loop stands
    cursor="i8",  # the next question of that row: slots, each first for its bar, then for its strategy's bars
    n_events="i8",  # filled places in the outboxes and in the queue of calls
    n_equity="i8",
    n_grades="i8",
    n_observations="i8",
    n_calls="i8",
    live_orders="i8",
    free_order="i8",  # head of the chain of free places in the order pool
    free_orders="i8",
    phase="i8",
    merge_late="i8",  # 1: a late print enters the bar that is open; 0: it enters none
    faults="i8",
    sell_out="i8",  # 1: an account is to be sold out
    cut="i8",  # 1: a bar that is cut by ticks, volume or value closed at this row
    closing="i8",  # counts the moments at which bars closed
    bar_closed="i8",  # whether one did at this moment
    most_orders="i8",  # live at once
    deciding_slots="i8",  # the slots before this one belong to strategies, the rest to operators
)

INSTRUMENT = record(
    tick_size="f8",
    lot_size="f8",
    money_per_lot="f8",  # smallest money units that one lot costs at a price of 1
    lots_per_money="f8",  # 1 / that where it is a whole number above 1, which divides exactly; else 1
    taker_bps="f8",
    maker_bps="f8",
    fee_per_lot="f8",  # money units
    fee_min="i8",  # money units, per order
    min_lots="i8",
    max_lots="i8",
    latency_ns="i8",
    slippage_value="f8",
    participation="f8",  # share of a row's size that an account may take; 0 means all it wants
    day_offset="i8",  # a trading day begins this long after midnight UTC
    price="f8",  # last price; 0 before the first
    traded="f8",  # the last price that was a trade
    ts="i8",  # its engine time
    marked="i8",  # engine time of the last mark that was no trade
    was="f8",  # the last price before the row at which the loop stands
    low_trigger="f8",  # only a price at or below this,
    high_trigger="f8",  # or at or above this, can concern a resting order
    low_guard="f8",  # where it is guarded: only a price at or below this,
    high_guard="f8",  # or at or above this, can concern a limit on what was lost
    quiet_from="i8",  # rows with ts_event in [quiet_from, quiet_until) enter bars that are open already
    quiet_until="i8",
    order_due="i8",  # when something happens to one of its orders without a row
    first_order="i8",  # live orders, a chain in order of submission
    last_order="i8",
    near="i8",  # orders that any row may fill, a chain in order of arrival (see engine/book.py)
    last_near="i8",
    below="i8",  # orders that wait for a lower price: the root of a heap, the highest first
    above="i8",  # those that wait for a higher one
    rivals="i8",  # slots that watch whether this bar would also have filled the other side of a bracket
    first_session="i8",  # its calendar's, in `sessions`
    n_sessions="i8",  # 0: it trades around the clock, and a session is a day
    n_cuts="i8",  # series whose bars are not cut by time
    symbol="i8",  # index of its name among the spec's `symbols`
    delisted="i8",
    first_series="i8",
    n_series="i8",
    first_subscriber="i8",  # slots whose strategies want each tick, in `subscribers`
    n_subscribers="i8",
    fill_guard="i8",  # 1: such an account had a fill at this row
    guards="i8",  # slots that hold this instrument, of accounts of which each mark is looked at
    slippage="i8",
    fill_at_touch="i8",
    currency="i8",
    place="i8",  # among the instruments of its currency, as accounts hold them
)

SERIES = record(  # the bars of one instrument at one timeframe
    kind="i8",  # BarKind
    timeframe="i8",  # TIME: how long a bar lasts
    threshold="f8",  # else: how much closes a bar, in rows, units or currency
    amount="f8",  # how much of that the bar has
    origin="i8",  # bars start at origin + k * timeframe
    start="i8",  # the bar under construction
    end="i8",
    open="f8",
    high="f8",
    low="f8",
    close="f8",
    volume="f8",
    count="i8",  # its rows; 0: no bar is open
    next_start="i8",  # the bar after it, open at the same time during the grace
    next_open="f8",
    next_high="f8",
    next_low="f8",
    next_close="f8",
    next_volume="f8",
    next_count="i8",
    bars="i8",  # bars closed so far
    closing="i8",  # the clock's `closing` at its last close
    capacity="i8",  # bars kept in the ring
    first_bar="i8",  # where its ring begins in `bars`
    instrument="i8",
    first_feature="i8",
    n_features="i8",
)

BAR = record(start="i8", end="i8", open="f8", high="f8", low="f8", close="f8", volume="f8", count="i8")

FEATURE = record(  # one streaming indicator on one series
    value="f8",  # NaN until it has seen enough
    n1="i8",
    n2="i8",
    n3="i8",
    x="f8",  # a real parameter
    s0="f8",  # running state, whose meaning is the indicator's
    s1="f8",
    s2="f8",
    s3="f8",
    seen="i8",
    kind="i8",
)

STRATEGY = record(
    size_value="f8",
    threshold="f8",  # of a target: no order is sent for a smaller change of exposure
    p0="f8",
    p1="f8",
    p2="f8",
    account="i8",
    policy="i8",
    first_slot="i8",
    n_slots="i8",
    wants="i8",
    size_kind="i8",
    state="i8",  # its own TradingState
    sell_out="i8",  # 1: an order that was cancelled to flatten it has ended
    short="i8",  # 1: selling goes below flat
    model="i8",  # where its model begins in `weights`
    outputs="i8",  # of its model; 0: it has none
)

SLOT = record(  # one strategy in one instrument: its sub-position
    lots="i8",
    cost="i8",  # what the open lots cost, without fees
    realized="i8",  # profit of what was closed, before fees
    fees="i8",
    income="i8",  # dividends, paid or received
    working_buy="i8",  # lots of working orders
    working_sell="i8",
    bars_held="i8",
    reducing="i8",  # its live reduce-only orders
    rival="f8",  # where the other side of a bracket would have filled; 0: none is watched
    rival_side="i8",  # 1: at or above that price, -1: at or below
    strategy="i8",
    account="i8",
    instrument="i8",
    series="i8",
    holding="i8",
    first_feature="i8",  # its observation, in `observed`
    n_features="i8",
)

HOLDING = record(  # one account in one instrument: the sum of its slots
    lots="i8", working_buy="i8", working_sell="i8", account="i8", instrument="i8"
)

ACCOUNT = record(
    cash="i8",
    initial="i8",
    reserved="i8",  # what working buy orders may cost
    reducing="i8",  # its live reduce-only orders
    realized="i8",
    fees="i8",
    income="i8",  # dividends, paid or received
    interest="i8",  # credited less charged, borrow fees among it
    deposits="i8",  # less withdrawals
    brackets="i8",  # fills of one side of a bracket
    both_sides="i8",  # those of which the bar would have filled the other side, too
    equity="i8",  # as it was last taken, at a bar's close
    peak="i8",  # of equity at bar closes
    max_drawdown="f8",
    orders="i8",
    fills="i8",
    moves="i8",  # counts changes of its cash and of what it holds
    scale="f8",
    max_order_notional="i8",
    max_position="f8",  # units of any instrument
    max_gross="f8",  # shares of equity
    max_net="f8",
    max_concentration="f8",
    collar="f8",
    max_stale_ns="i8",
    rate_window="i8",
    rate_orders="i8",
    rate_first="i8",  # its ring of order times, in `order_times`
    rate_next="i8",
    leverage="f8",  # gross exposure over equity that orders may reach; 0: a cash account
    maintenance="f8",  # equity over gross exposure below which it is liquidated
    borrow_rate="f8",  # a year, of what is sold short
    debit_rate="f8",  # a year, of what is owed
    credit_rate="f8",  # a year, of free cash
    guarded="i8",  # 1: each mark of what it holds is looked at
    liquidating="i8",  # 1: from a margin call until the maintenance margin is there again
    liquidations="i8",
    state="i8",
    cuts="i8",  # 1: cut an order to the largest size that passes; 0: deny it
    first_holding="i8",
    n_holdings="i8",
    changed="i8",  # 1: one of its series closed at this time, its equity is due
    currency="i8",
)

ORDER = record(
    id="i8",
    tag="i8",  # the owner's own mark, free to use
    seq="i8",  # the row after which it was decided
    submitted="i8",
    active_from="i8",  # NEVER once active
    cancel_at="i8",
    amend_at="i8",  # when the broker takes the new terms below
    expires="i8",
    lots="i8",
    cum_lots="i8",
    held_lots="i8",  # of a bracket's child: what its parent has not released
    limit="f8",
    stop="f8",
    trail="f8",
    new_lots="i8",  # what an amend on its way changes; 0: not that
    new_limit="f8",
    new_stop="f8",
    notional="i8",  # money that changed hands so far
    fee_exact="f8",  # fees so far before rounding and minimum
    fees="i8",
    reserved="i8",
    working="i8",  # lots that count as working in its slot and holding
    slot="i8",
    account="i8",
    instrument="i8",
    next="i8",
    previous="i8",
    arrival="i8",
    path_from="f8",  # of a bracket's child: from where on the row that released it goes on
    exit="i8",  # it passed the gate as an exit. 1: of the account's position, 2: of its strategy's
    book="i8",  # where in the book it is (engine/book.py), by the four fields that follow
    key="f8",
    book_next="i8",
    book_previous="i8",
    book_child="i8",
    partner="i8",  # the other order of a one-cancels-other pair
    parent="i8",  # the order whose fills release it
    parent_id="i8",
    children="i8",  # the first of those that its fills release; the second is that one's partner
    status="i8",
    side="i8",
    type="i8",
    tif="i8",
    trail_kind="i8",
    post_only="i8",
    reduce_only="i8",
    triggered="i8",
    taker="i8",
    then_sell="i8",  # 1: what it leaves unsold when it ends is sold at the market
    code="i8",
    measure="f8",  # what the gate measured against the bound that its code names
    bound="f8",
)

TERMS = record(  # what the owner of an order asks for; prices and distances that it does not have are 0
    side="i8",
    type="i8",
    tif="i8",
    lots="i8",
    tag="i8",
    limit="f8",
    stop="f8",
    trail="f8",
    trail_kind="i8",
    expires="i8",  # GTD only, else NEVER
    post_only="i8",
    reduce_only="i8",
)

WISH = record(what="i8", a="i8", b="i8", c="i8", x="f8")  # a Command of engine/kernel.py; 0: none

SESSION = record(
    open="i8", close="i8", before="i8"
)  # [open, close); before: ns open in all sessions before it

EVENT = record(
    ts="i8",
    seq="i8",
    order_id="i8",
    parent="i8",  # the id of the order that released it, or 0
    tag="i8",
    submitted="i8",
    order_seq="i8",
    lots="i8",
    cum_lots="i8",
    last_lots="i8",
    last_px="f8",
    limit="f8",
    stop="f8",
    trail="f8",
    expires="i8",
    notional="i8",
    last_notional="i8",
    fees="i8",
    last_fee="i8",
    realized="i8",  # profit realised by this fill
    position="i8",  # of the strategy after it
    cash="i8",  # of the account after it
    measure="f8",  # of a limit on risk: what was measured, as a share of equity,
    bound="f8",  # and what it was held against
    observation="i8",  # row in the observations' outbox, or NONE
    account="i4",
    strategy="i4",
    instrument="i4",
    kind="i1",
    status="i1",
    side="i1",
    type="i1",
    tif="i1",
    trail_kind="i1",
    post_only="i1",
    reduce_only="i1",
    code="i1",
    maker="i1",
)

EQUITY = record(ts="i8", cash="i8", equity="i8", account="i8")

CALL = record(kind="i8", strategy="i8", index="i8")

TIMER = record(at="i8", every="i8", id="i8", strategy="i8")  # at = NEVER: the place is free


class State(NamedTuple):
    """Everything the engine is: what `advance` reads and writes. Every array is one-dimensional."""

    clock: Any  # (1,) CLOCK
    instruments: Any  # (n_instruments,) INSTRUMENT
    series: Any  # (n_series,) SERIES, by instrument
    bars: Any  # (sum of capacities,) BAR, one ring a series
    features: Any  # (n_features,) FEATURE, by series
    strategies: Any  # (n_strategies,) STRATEGY; an operator for each account comes last
    slots: Any  # (n_slots,) SLOT, by strategy
    holdings: Any  # (n_holdings,) HOLDING, by account
    accounts: Any  # (n_accounts,) ACCOUNT
    denied: Any  # (n_accounts * N_CODES,) int64, orders denied by code
    order_times: Any  # (sum of rate_orders,) int64
    observed: Any  # (sum of n_features,) int64: a feature, or ~AccountFeature
    weights: Any  # (n,) float64, the trained models one after the other
    subscribers: Any  # (n,) int64, slots
    sessions: Any  # (n,) SESSION, those of one calendar after those of the other
    wish: Any  # (1,) WISH scratch: what an owner wishes to be done
    terms: Any  # (3,) TERMS scratch: the orders about to be submitted
    orders: Any  # (capacity,) ORDER
    timers: Any  # (capacity,) TIMER
    risk: Any  # (1,) RISK, or (0,) where no losses are forecast
    histories: Any  # (n_instruments,) HISTORY
    windows: Any  # (n_windows,) WINDOW
    scenarios: Any  # float64: matrices of returns, see RISK
    volatilities: Any  # (n_instruments * window,) float64, where returns are filtered
    portfolios: Any  # (n_accounts + n_strategies,) PORTFOLIO
    limits: Any  # (n_portfolios * N_LIMITS,) LIMIT
    forecasts: Any  # (n_accounts * N_METHODS,) FORECAST
    frozen: Any  # (n_accounts * n_instruments,) float64: what the forecasts are of, money units
    hits: Any  # (n_accounts * outcomes,) int64 rings
    normals: Any  # (n_instruments * draws,) float64, the fixed draws
    gauges: Any  # (n_portfolios,) GAUGE scratch
    trials: Any  # (n_portfolios * N_LIMITS,) TRIAL scratch
    positions: Any  # (n,) POSITION, by portfolio; scratch but for what it is built with
    pnl: Any  # float64 scratch: profits by scenario, of portfolios and of their blocks of positions
    trial: Any  # (widest + 64,) float64 scratch: the profits under judgement
    tail: Any  # (widest + 64,) float64 scratch: the worst of them
    var_weights: Any  # (widest,) float64 scratch: how a measure moves with each of them
    cvar_weights: Any  # (widest,) float64 scratch
    factor: Any  # float64 scratch of the covariance
    members: Any  # (n_instruments,) int64 scratch
    taken: Any  # (n_accounts,) int64 scratch: lots taken from the row being matched
    observation: Any  # (width,) float64 scratch: the observation last computed, and behind it the values of the actions
    activations: Any  # (2 x widest layer,) float64 scratch of networks
    events: Any  # (capacity,) EVENT outbox
    equity: Any  # (capacity,) EQUITY outbox
    grades: Any  # (capacity,) GRADE outbox
    observations: Any  # (capacity * width,) float64 outbox, one observation after the other
    calls: Any  # (capacity,) CALL queue


_F8, _I8 = np.dtype(np.float64), np.dtype(np.int64)
RECORD_TYPES = State(
    clock=CLOCK, instruments=INSTRUMENT, series=SERIES, bars=BAR, features=FEATURE, strategies=STRATEGY, slots=SLOT,
    holdings=HOLDING, accounts=ACCOUNT, denied=_I8, order_times=_I8, observed=_I8, weights=_F8, subscribers=_I8,
    sessions=SESSION, wish=WISH, terms=TERMS, orders=ORDER, timers=TIMER, risk=RISK, histories=HISTORY, windows=WINDOW,
    scenarios=_F8, volatilities=_F8, portfolios=PORTFOLIO, limits=LIMIT, forecasts=FORECAST, frozen=_F8, hits=_I8,
    normals=_F8, gauges=GAUGE, trials=TRIAL, positions=POSITION, pnl=_F8, trial=_F8, tail=_F8, var_weights=_F8, cvar_weights=_F8,
    factor=_F8, members=_I8, taken=_I8, observation=_F8,
    activations=_F8, events=EVENT, equity=EQUITY, grades=GRADE, observations=_F8, calls=CALL,
)  # fmt: skip
