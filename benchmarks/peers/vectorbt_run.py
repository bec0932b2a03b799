"""vectorbt: the whole run as arrays; fills at the next open by shifting the signals one row, with price=open.

Timed: averages, signals, simulation, the order records, the final value; on ticks also the resampling to minute bars,
by pandas. The engine is the one of a plain installation (numba); vectorbt_rust_run.py takes the optional one.

The index has no time zone (its times are UTC): with one, pandas hands vectorbt a Python object for each row and the
same run takes more than fifty times as long.
"""

from time import perf_counter

import numpy as np
import pandas as pd
import vectorbt as vbt
from common import CASH, FAST, FEE, SHARES, SLOW, Case, Columns, Round, main


def trade(open_, close) -> tuple[int, float]:
    """Fills and final equity of one Series, or of a DataFrame whose columns share one account."""
    fast = close.vbt.rolling_mean(FAST).to_numpy()
    slow = close.vbt.rolling_mean(SLOW).to_numpy()
    long = np.zeros(close.shape, bool)
    long[1:] = (fast > slow)[:-1]
    shared = {"cash_sharing": True} if close.ndim == 2 else {}
    portfolio = vbt.Portfolio.from_signals(
        close, entries=long, exits=~long, price=open_, size=SHARES, fees=FEE, init_cash=CASH, **shared
    )
    return len(portfolio.orders.records_arr), float(portfolio.final_value())


def bars(columns: Columns):
    index = pd.to_datetime(columns["ts"])
    open_, close = (pd.Series(columns[name], index) for name in ("open", "close"))

    def run() -> Round:
        start = perf_counter()
        answer = trade(open_, close)
        return Round(perf_counter() - start, *answer)

    return run


def ticks(columns: Columns):
    price = pd.Series(columns["price"], pd.to_datetime(columns["ts"]))

    def run() -> Round:
        start = perf_counter()
        minutes = price.resample("1min").ohlc().dropna()
        answer = trade(minutes["open"], minutes["close"])
        return Round(perf_counter() - start, *answer)

    return run


def multi(columns: Columns):
    instruments = columns["instrument"].max() + 1
    index = pd.to_datetime(columns["ts"][::instruments])
    open_, close = (pd.DataFrame(columns[name].reshape(-1, instruments), index) for name in ("open", "close"))

    def run() -> Round:
        start = perf_counter()
        answer = trade(open_, close)
        return Round(perf_counter() - start, *answer)

    return run


CASES: dict[str, Case] = {"bars": bars, "ticks": ticks, "multi": multi}

if __name__ == "__main__":
    vbt.settings["engine"] = "numba"
    main("vectorbt", "vectorbt", CASES)
