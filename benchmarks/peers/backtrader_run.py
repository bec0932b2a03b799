"""backtrader: fills at the next open by itself. Timed: `Cerebro.run`, which also reads the feed.

The feed hands over Python floats from lists, its quickest way in. On ticks its resampler makes the minute bars; the
bar arrives with the first tick of the next minute, so an order fills one tick later than elsewhere.
"""

from datetime import UTC, datetime
from time import perf_counter

import backtrader as bt
from common import CASH, FAST, FEE, SHARES, SLOW, Columns, Round, main


class Lists(bt.feed.DataBase):
    """A feed of rows (time, open, high, low, close, volume) that are in memory."""

    params = (("rows", ()),)

    def start(self):
        super().start()
        self.left = iter(self.p.rows)

    def _load(self):
        row = next(self.left, None)
        if row is None:
            return False
        lines = self.lines
        lines.datetime[0], lines.open[0], lines.high[0], lines.low[0], lines.close[0], lines.volume[0] = row
        lines.openinterest[0] = 0.0
        return True


class SmaCross(bt.Strategy):
    def __init__(self):
        # the last feed is the one with bars: the only one, or the resampled one
        self.fast = bt.indicators.SMA(self.datas[-1].close, period=FAST)
        self.slow = bt.indicators.SMA(self.datas[-1].close, period=SLOW)
        self.seen = 0
        self.fills = 0

    def next(self):
        if len(self.datas[-1]) == self.seen:
            return  # a tick, but no new bar
        self.seen = len(self.datas[-1])
        if self.fast[0] > self.slow[0]:
            if not self.position:
                self.buy(size=SHARES)
        elif self.position:
            self.close()

    def notify_order(self, order):
        self.fills += order.status == order.Completed


def times(columns: Columns) -> list[float]:
    utc = (datetime.fromtimestamp(ns / 1e9, UTC).replace(tzinfo=None) for ns in columns["ts"].tolist())
    return [bt.date2num(time) for time in utc]


def backtest(feed: Lists, minutes: bool) -> Round:
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(feed)
    if minutes:
        cerebro.resampledata(feed, timeframe=bt.TimeFrame.Minutes, compression=1)
    cerebro.addstrategy(SmaCross)
    cerebro.broker.setcash(CASH)
    cerebro.broker.setcommission(FEE)
    start = perf_counter()
    (strategy,) = cerebro.run()
    return Round(perf_counter() - start, strategy.fills, cerebro.broker.getvalue())


def bars(columns: Columns):
    names = ("open", "high", "low", "close", "volume")
    rows = list(zip(times(columns), *(columns[name].tolist() for name in names), strict=True))
    return lambda: backtest(Lists(rows=rows, timeframe=bt.TimeFrame.Minutes), minutes=False)


def ticks(columns: Columns):
    price = columns["price"].tolist()
    rows = list(zip(times(columns), price, price, price, price, columns["size"].tolist(), strict=True))
    return lambda: backtest(Lists(rows=rows, timeframe=bt.TimeFrame.Ticks), minutes=True)


if __name__ == "__main__":
    main("backtrader", "backtrader", {"bars": bars, "ticks": ticks})
