"""backtesting.py: fills at the next open by itself. Timed: `Backtest.run`, its statistics included."""

import warnings
from time import perf_counter

import pandas as pd
from backtesting import Backtest, Strategy
from common import CASH, FAST, FEE, SHARES, SLOW, Columns, Round, main


def average(values, window: int):
    mean = pd.Series(values).rolling(window).mean()
    # it calls `next` from the bar after every indicator's first value; ours decides on that bar itself
    mean.iloc[SLOW - 2] = 0.0
    return mean


class SmaCross(Strategy):
    def init(self):
        self.fast = self.I(average, self.data.Close, FAST)
        self.slow = self.I(average, self.data.Close, SLOW)

    def next(self):
        if self.fast[-1] > self.slow[-1]:
            if not self.position:
                self.buy(size=SHARES)
        elif self.position:
            self.position.close()


def bars(columns: Columns):
    frame = pd.DataFrame({name.title(): columns[name] for name in ("open", "high", "low", "close", "volume")})
    frame.index = pd.to_datetime(columns["ts"])

    def run() -> Round:
        backtest = Backtest(frame, SmaCross, cash=CASH, commission=FEE)
        start = perf_counter()
        stats = backtest.run()
        seconds = perf_counter() - start
        still_open = len(stats["_strategy"].trades)
        return Round(seconds, 2 * len(stats["_trades"]) + still_open, float(stats["Equity Final [$]"]))

    return run


if __name__ == "__main__":
    warnings.filterwarnings("ignore", message="Some trades remain open")
    main("backtesting.py", "backtesting", {"bars": bars})
