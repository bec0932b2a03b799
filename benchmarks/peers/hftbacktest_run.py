"""hftbacktest: the strategy asks for each minute's trades, and at the next tick sends its order.

Timed: the whole replay, minute bars and strategy included, compiled. It trades against a book only, so each trade that
changes the price brings a bid one tick below it and an ask at it: a purchase pays the trade's price, a sale one tick
less. That is the least that its book needs: two depth events a change, none otherwise. The book is the array-backed
one, which is the quicker of its two.
"""

from time import perf_counter

import numpy as np
from common import CASH, FAST, FEE, MINUTE_NS, SHARES, SLOW, Columns, Round, main
from hftbacktest import (
    BUY_EVENT,
    DEPTH_EVENT,
    EXCH_EVENT,
    GTC,
    LOCAL_EVENT,
    MARKET,
    SELL_EVENT,
    TRADE_EVENT,
    BacktestAsset,
    ROIVectorMarketDepthBacktest,
)
from hftbacktest.types import event_dtype
from numba import njit

TICK = 0.01


@njit
def sma_cross(hbt):
    """Runs to the end of the data."""
    closes = np.empty(SLOW)
    bars, order_id = 0, 0
    long = False
    hbt.elapse(0)  # the clock starts at the first event
    while True:
        now = hbt.current_timestamp
        ended = hbt.elapse(MINUTE_NS - 1 - now % MINUTE_NS) != 0  # bars are [start, end)
        trades = hbt.last_trades(0)
        if ended:
            return
        if len(trades) > 0:
            closes[bars % SLOW] = trades[-1].px
            bars += 1
            hbt.clear_last_trades(0)
        if bars >= SLOW and len(trades) > 0:
            fast = 0.0
            for back in range(FAST):
                fast += closes[(bars - 1 - back) % SLOW]
            wanted = fast / FAST > closes.sum() / SLOW
            if wanted != long:
                if hbt.wait_next_feed(False, 1_000 * MINUTE_NS) != 2:
                    return
                order_id += 1
                if wanted:
                    hbt.submit_buy_order(0, order_id, 0.0, SHARES, GTC, MARKET, False)
                else:
                    hbt.submit_sell_order(0, order_id, 0.0, SHARES, GTC, MARKET, False)
                hbt.clear_inactive_orders(0)
                long = wanted
                continue
        hbt.elapse(1)  # into the next minute


def events(columns: Columns) -> np.ndarray:
    """Each trade as one event, after two that move the book where the price has changed."""
    ts, price = columns["ts"], columns["price"]
    moved = np.diff(price, prepend=0.0) != 0
    count = np.where(moved, 3, 1)
    last = np.cumsum(count) - 1  # the trade's own row
    rows = np.zeros(last[-1] + 1, event_dtype)
    rows["exch_ts"] = rows["local_ts"] = np.repeat(ts, count)

    def put(at, kind, px, qty):
        rows["ev"][at], rows["px"][at], rows["qty"][at] = EXCH_EVENT | LOCAL_EVENT | kind, px, qty

    put(last[moved] - 2, DEPTH_EVENT | BUY_EVENT, price[moved] - TICK, 1e6)
    put(last[moved] - 1, DEPTH_EVENT | SELL_EVENT, price[moved], 1e6)
    put(last, TRADE_EVENT | BUY_EVENT, price, columns["size"])
    return rows


def ticks(columns: Columns):
    lowest, highest = columns["price"].min(), columns["price"].max()
    feed = events(columns)  # hftbacktest keeps a raw pointer to it: it must outlive each round

    def run() -> Round:
        asset = (
            BacktestAsset()
            .data([feed])
            .linear_asset(1.0)
            .constant_order_latency(0, 0)
            .risk_adverse_queue_model()
            .no_partial_fill_exchange()
            .trading_value_fee_model(FEE, FEE)
            .tick_size(TICK)
            .lot_size(1.0)
            .last_trades_capacity(10_000)
            .roi_lb(lowest - 1.0)
            .roi_ub(highest + 1.0)
        )
        hbt = ROIVectorMarketDepthBacktest([asset])
        start = perf_counter()
        sma_cross(hbt)
        seconds = perf_counter() - start
        state = hbt.state_values(0)
        equity = CASH + state.balance + state.position * columns["price"][-1] - state.fee
        answer = Round(seconds, int(state.num_trades), float(equity))
        hbt.close()
        return answer

    return run


if __name__ == "__main__":
    main("hftbacktest", "hftbacktest", {"ticks": ticks})
