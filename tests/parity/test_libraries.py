"""The SMA cross on real prices, beside two libraries and beside whole numbers: the same fills, the same money.

Rules: long 100 units while the average of the last 10 closes is above that of the last 30, else flat; decided at a
bar's close, filled at the next bar's open; a fee of 0.1 % of each fill.

What limits the agreement. Against whole numbers: nothing, it is exact to the last millionth. Against the libraries:
they keep money as float64, here sums of some 10^7 dollars over some hundred fills, so that 1e-6 dollars is about what
their own roundings leave; a cent would hide a wrong fee. And their averages are float64 sums: where the two averages
tie exactly, which happens on real prices, the last bit decides for them, and not the same way in both. So they are
compared on files without a tie, and whole numbers on files with ties too.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from backtesting import Backtest, Strategy

from engine.bars import bar_path
from engine.engine import Engine
from engine.policies import Policy
from engine.records import DAY, EventKind
from engine.spec import AccountSpec, EngineSpec, InstrumentSpec, StrategySpec
from tests.builders import MINUTE, timer_at

DATA = Path(__file__).parents[3] / "shared" / "data"
FILES = (  # without a tie
    ("daily/spy_1998-2021_unadjusted.csv.gz", "date", DAY),
    ("minute/msft_2016-04-15_2016-05-13.csv.gz", "timestamp", MINUTE),
)
TIES = (
    ("daily/ibm_1998-2021_unadjusted.csv.gz", "date", DAY),
    ("minute/spy_2013-10-04_2013-10-11.csv.gz", "timestamp", MINUTE),
)
FAST, SLOW, UNITS, FEE, CASH = 10, 30, 100, 0.001, 1_000_000.0

Fill = tuple[int, int, float]  # bar, side, price


@dataclass(frozen=True)
class Result:
    fills: list[Fill]
    equity: float  # at the last close, dollars


@dataclass(frozen=True)
class Bars:
    frame: pd.DataFrame
    duration: int


def read(name: str, time: str, duration: int) -> Bars:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"real prices are not there: {name}")
    frame = pd.read_csv(path)
    frame.index = pd.DatetimeIndex(pd.to_datetime(frame[time], utc=True)).as_unit("ns")
    return Bars(frame[["open", "high", "low", "close", "volume"]].astype("float64"), duration)


def of(files: Any) -> Any:
    """Run the test on each of the files."""
    return pytest.mark.parametrize("file", files, ids=lambda f: f[0].split(".")[0])


def by_papertape(bars: Bars) -> tuple[Result, int]:
    """Also the equity in money units."""
    spec = EngineSpec(
        (InstrumentSpec("A", taker_bps=FEE * 1e4),),
        (AccountSpec("a", CASH),),
        (
            StrategySpec(
                "s",
                "a",
                ("A",),
                bars.duration,
                (f"sma_{FAST}", f"sma_{SLOW}"),
                Policy.SMA_CROSS,
                size_value=UNITS,
            ),
        ),
    )
    engine = Engine(spec)
    start = np.asarray(pd.DatetimeIndex(bars.frame.index).asi8, np.int64)
    open_, high, low, close, volume = (
        bars.frame[n].to_numpy() for n in ("open", "high", "low", "close", "volume")
    )
    events = engine.process(bar_path(start, bars.duration, open_, high, low, close, volume, 0)).events
    engine.process(timer_at(int(start[-1]) + bars.duration))
    fills = events[events["kind"] == EventKind.FILL]
    assert (fills["last_lots"] == UNITS).all()
    assert (fills["seq"] % 4 == 0).all(), "each fill is at an open"
    told = [
        (bar, side, price)
        for bar, side, price in zip(
            (fills["seq"] // 4).tolist(), fills["side"].tolist(), fills["last_px"].tolist(), strict=True
        )
    ]
    equity = int(engine.state.accounts[0].equity)
    return Result(told, equity / 1e6), equity


def by_whole_numbers(bars: Bars) -> tuple[Result, int, int]:
    """Prices in millionths of a dollar; also the equity in them, and how often the two averages tie."""
    opens, closes = ([round(p * 10**6) for p in bars.frame[c]] for c in ("open", "close"))
    cash, held, ties, fills = round(CASH) * 10**6, 0, 0, []
    for i in range(SLOW - 1, len(closes) - 1):
        fast, slow = sum(closes[i - FAST + 1 : i + 1]) * SLOW, sum(closes[i - SLOW + 1 : i + 1]) * FAST
        ties += fast == slow
        target = UNITS if fast > slow else 0
        if target != held:
            price, change = opens[i + 1], target - held
            cash -= change * price + round(Fraction(abs(change) * price, 1000))
            held = target
            fills.append((i + 1, 1 if change > 0 else -1, price / 10**6))
    equity = cash + held * closes[-1]
    return Result(fills, equity / 10**6), equity, ties


class _BacktestingCross(Strategy):
    def init(self) -> None:
        close = pd.Series(np.asarray(self.data.Close))

        def average(n: int) -> Any:
            # `next` is first called on the bar after all indicators have a value; this one decides on bar SLOW - 1
            mean = close.rolling(n).mean()
            mean.iloc[SLOW - 2] = 0.0
            return mean

        self.fast, self.slow = self.I(average, FAST), self.I(average, SLOW)

    def next(self) -> None:
        if self.fast[-1] > self.slow[-1] and not self.position:
            self.buy(size=UNITS)
        elif self.fast[-1] <= self.slow[-1] and self.position:
            self.position.close()


def by_backtesting(bars: Bars) -> Result:
    frame = bars.frame.rename(columns=str.title)
    frame.index = pd.DatetimeIndex(frame.index).tz_localize(None)
    stats = Backtest(frame, _BacktestingCross, cash=CASH, commission=FEE).run()
    trades = stats["_trades"]
    fills = [(int(b), 1, float(p)) for b, p in zip(trades["EntryBar"], trades["EntryPrice"], strict=True)]
    fills += [(int(b), -1, float(p)) for b, p in zip(trades["ExitBar"], trades["ExitPrice"], strict=True)]
    fills += [(int(t.entry_bar), 1, float(t.entry_price)) for t in stats["_strategy"].trades]
    return Result(sorted(fills), float(stats["Equity Final [$]"]))


class _Rows(bt.feed.DataBase):
    params = (("rows", ()),)

    def start(self) -> None:
        super().start()
        self.left = iter(self.p.rows)

    def _load(self) -> bool:
        row = next(self.left, None)
        if row is None:
            return False
        for name, value in zip(("datetime", "open", "high", "low", "close", "volume"), row, strict=True):
            getattr(self.lines, name)[0] = value
        self.lines.openinterest[0] = 0.0
        return True


class _BacktraderCross(bt.Strategy):
    def __init__(self) -> None:
        self.fast, self.slow = (bt.indicators.SMA(self.data.close, period=n) for n in (FAST, SLOW))
        self.told: list[Fill] = []

    def next(self) -> None:
        if self.fast[0] > self.slow[0] and not self.position:
            self.buy(size=UNITS)
        elif self.fast[0] <= self.slow[0] and self.position:
            self.close()

    def notify_order(self, order: Any) -> None:
        if order.status == order.Completed:
            self.told.append((len(self.data) - 1, 1 if order.isbuy() else -1, float(order.executed.price)))


def by_backtrader(bars: Bars) -> Result:
    frame = bars.frame
    times = [bt.date2num(t) for t in pd.DatetimeIndex(frame.index).tz_localize(None).to_pydatetime()]
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(_Rows(rows=list(zip(times, *(frame[c].tolist() for c in frame), strict=True))))
    cerebro.addstrategy(_BacktraderCross)
    cerebro.broker.setcash(CASH)
    cerebro.broker.setcommission(FEE)
    (strategy,) = cerebro.run()
    return Result(strategy.told, float(cerebro.broker.getvalue()))


@of(FILES + TIES)
def test_sma_cross_equals_whole_numbers_to_the_last_millionth(file: tuple[str, str, int]) -> None:
    bars = read(*file)
    (mine, equity), (exact, exact_equity, ties) = by_papertape(bars), by_whole_numbers(bars)
    assert mine.fills == exact.fills
    assert equity == exact_equity
    assert len(mine.fills) > 50
    assert (ties > 0) == (file in TIES)


@pytest.mark.filterwarnings("ignore:Some trades remain open")
@pytest.mark.parametrize("library", [by_backtesting, by_backtrader])
@of(FILES)
def test_sma_cross_agrees_with_two_libraries_on_every_fill_and_the_final_equity(
    file: tuple[str, str, int], library: Any
) -> None:
    bars = read(*file)
    mine, theirs = by_papertape(bars)[0], library(bars)
    assert [f[:2] for f in mine.fills] == [f[:2] for f in theirs.fills]
    assert [f[2] for f in mine.fills] == pytest.approx([f[2] for f in theirs.fills], rel=1e-15)
    assert mine.equity == pytest.approx(theirs.equity, rel=0, abs=1e-6)
