"""Streaming indicators, one value a bar, and the observation vector made of them.

Each indicator's definition is the one of the `ta` library (https://technical-analysis-library-in-python.readthedocs.io),
which is the oracle of its tests, to 1e-9 on real data:

- ``ema``: recursive from the first bar (pandas' ``ewm(span=n, adjust=False)``), not seeded with an average of the
  first n as in some textbooks; the two converge, and this one needs no special case.
- ``rsi``: Wilder's smoothing, recursive from the first bar (weight 1/n), as in `ta`; Wilder (1978) seeds with a plain
  average of the first n. Where neither a gain nor a loss was seen it is 50 (`ta`: 100; the formula is 0/0).
- ``atr``: Wilder's, seeded with the average of the first n true ranges: `ta` and the textbook agree.
- ``bb_position``: (close - lower) / (upper - lower) with the population deviation (ddof 0); 0.5 where it is zero.
- ``realized_vol``: square root of the sum of the last n squared log returns (Andersen and Bollerslev 1998), neither
  demeaned nor annualised.
- ``sma_gap``: close / simple average of the last n closes - 1.
- ``volume_z``: (volume - mean) / population deviation over the last n bars, this one included; 0 where it is zero.

A value is NaN until the indicator has seen its window. Running sums cannot drift: they are summed afresh once a
window, or carry their rounding errors along.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np

from engine.jit import inline, jit
from engine.ledger import equity_of, value_of
from engine.records import State


class FeatureKind(IntEnum):
    """Indicators of a series of bars."""

    CLOSE = 0
    VOLUME = 1
    RETURN = 2
    LOG_RETURN = 3
    SMA = 4
    EMA = 5
    RSI = 6
    MACD = 7
    MACD_SIGNAL = 8
    MACD_HIST = 9
    ATR = 10
    BB_POSITION = 11
    REALIZED_VOL = 12
    VOLUME_Z = 13
    SMA_GAP = 14


class AccountFeature(IntEnum):
    """What an observation may hold of the account; computed when observed."""

    BALANCE = 0  # cash, in currency
    HOLDINGS = 1  # the strategy's position in the instrument, in units
    CASH_SHARE = 2  # cash / equity
    DRAWDOWN = 3  # 1 - equity / peak of equity at bar closes
    BARS_HELD = 4  # bars closed since the strategy's position was opened
    EXPOSURE = 5  # its position in the instrument at the last price / its part of equity: that of one of its instruments


@dataclass(frozen=True)
class FeatureSpec:
    """One indicator with its windows. `bars` is how many bars it looks back."""

    kind: FeatureKind
    n1: int = 0
    n2: int = 0
    n3: int = 0
    x: float = 0.0

    @property
    def bars(self) -> int:
        """Bars that the series must keep for it: the newest, its window, and the close before that."""
        return max(self.n1, self.n2, self.n3) + 2


# name -> kind and the defaults of its numbers; "sma_20" is sma with (20,)
_SERIES_FEATURES: dict[str, tuple[FeatureKind, tuple[float, ...]]] = {
    "close": (FeatureKind.CLOSE, ()),
    "volume": (FeatureKind.VOLUME, ()),
    "return": (FeatureKind.RETURN, (1,)),
    "log_return": (FeatureKind.LOG_RETURN, (1,)),
    "sma": (FeatureKind.SMA, (20,)),
    "ema": (FeatureKind.EMA, (20,)),
    "rsi": (FeatureKind.RSI, (14,)),
    "macd": (FeatureKind.MACD, (12, 26, 9)),
    "macd_signal": (FeatureKind.MACD_SIGNAL, (12, 26, 9)),
    "macd_hist": (FeatureKind.MACD_HIST, (12, 26, 9)),
    "atr": (FeatureKind.ATR, (14,)),
    "bb_position": (FeatureKind.BB_POSITION, (20, 2.0)),
    "realized_vol": (FeatureKind.REALIZED_VOL, (20,)),
    "volume_z": (FeatureKind.VOLUME_Z, (20,)),
    "sma_gap": (FeatureKind.SMA_GAP, (20,)),
}
MAX_WINDOW = 100_000


def parse_feature(name: str) -> FeatureSpec | AccountFeature:
    """The feature of that name: ``sma_20``, ``macd_12_26_9``, ``macd`` (usual windows), ``cash_share``.

    Raises ValueError, with the names there are, for anything else.
    """
    if name.upper() in AccountFeature.__members__ and name == name.lower():
        return AccountFeature[name.upper()]
    words = name.split("_")
    numbers: list[str] = []
    while words and re.fullmatch(r"[0-9]+(\.[0-9]+)?", words[-1]):
        numbers.insert(0, words.pop())
    base = "_".join(words)
    if base not in _SERIES_FEATURES:
        known = ", ".join([*_SERIES_FEATURES, *(f.name.lower() for f in AccountFeature)])
        raise ValueError(f"unknown feature {name!r}; there are: {known}")
    kind, defaults = _SERIES_FEATURES[base]
    if len(numbers) > len(defaults):
        raise ValueError(
            f"feature {name!r} has {len(numbers)} numbers, {base!r} takes at most {len(defaults)}"
        )
    values = [float(n) for n in numbers] + list(defaults[len(numbers) :])
    x = values.pop() if kind == FeatureKind.BB_POSITION else 0.0
    for value in values:
        if value != int(value) or not 1 <= value <= MAX_WINDOW:
            raise ValueError(f"feature {name!r}: a window is a whole number of bars from 1 to {MAX_WINDOW}")
    if kind == FeatureKind.BB_POSITION and x <= 0:
        raise ValueError(f"feature {name!r}: the width is a positive number of deviations")
    windows = [int(v) for v in values] + [0, 0, 0]
    if (
        kind in (FeatureKind.MACD, FeatureKind.MACD_SIGNAL, FeatureKind.MACD_HIST)
        and windows[0] >= windows[1]
    ):
        raise ValueError(f"feature {name!r}: the fast window must be shorter than the slow one")
    return FeatureSpec(kind, windows[0], windows[1], windows[2], x)


@inline
def _back(series: Any, k: int) -> int:
    """Where the bar k bars before the newest lies in `bars`; capacity is a power of two."""
    return series.first_bar + ((series.bars - 1 - k) & (series.capacity - 1))


@jit
def _ema(average: float, value: float, n: int, seen: int) -> float:
    if seen == 0:
        return value
    alpha = 2.0 / (n + 1.0)
    return (1.0 - alpha) * average + alpha * value


@inline
def _sma(f: Any, series: Any, bars: Any) -> None:
    n = f.n1
    f.seen += 1
    if f.seen == f.n2:
        total = 0.0
        for k in range(n - 1, -1, -1):
            total += bars[_back(series, k)].close
        f.s0 = total
        f.n2 += n
    else:
        f.s0 += bars[_back(series, 0)].close
        if f.seen > n:
            f.s0 -= bars[_back(series, n)].close
    if f.seen >= n:
        f.value = f.s0 / n


@jit
def _rsi(f: Any, close: float) -> None:
    gain = 0.0
    loss = 0.0
    if f.seen == 0:
        f.s0 = 0.0
        f.s1 = 0.0
    else:
        change = close - f.s2
        if change > 0.0:
            gain = change
        else:
            loss = -change
        weight = 1.0 / f.n1
        f.s0 = (1.0 - weight) * f.s0 + weight * gain
        f.s1 = (1.0 - weight) * f.s1 + weight * loss
    f.s2 = close
    f.seen += 1
    if f.seen >= f.n1:
        if f.s1 == 0.0:
            f.value = 50.0 if f.s0 == 0.0 else 100.0
        else:
            f.value = 100.0 - 100.0 / (1.0 + f.s0 / f.s1)


@jit
def _macd(f: Any, close: float) -> None:
    f.s0 = _ema(f.s0, close, f.n1, f.seen)
    f.s1 = _ema(f.s1, close, f.n2, f.seen)
    f.seen += 1
    if f.seen < f.n2:
        return
    line = f.s0 - f.s1
    f.s2 = _ema(f.s2, line, f.n3, f.seen - f.n2)
    if f.kind == FeatureKind.MACD:
        f.value = line
    elif f.seen >= f.n2 + f.n3 - 1:
        f.value = f.s2 if f.kind == FeatureKind.MACD_SIGNAL else line - f.s2


@jit
def _atr(f: Any, bar: Any) -> None:
    true_range = bar.high - bar.low
    if f.seen > 0:
        true_range = max(true_range, abs(bar.high - f.s1), abs(bar.low - f.s1))
    f.s1 = bar.close
    f.seen += 1
    if f.seen < f.n1:
        f.s0 += true_range
    elif f.seen == f.n1:
        f.value = (f.s0 + true_range) / f.n1
    else:
        f.value = (f.value * (f.n1 - 1) + true_range) / f.n1


@jit
def _moments(series: Any, bars: Any, n: int, volume: bool) -> tuple[float, float]:
    """Mean minus newest value, and population deviation, of the last n closes or volumes.

    Measured from the newest value, so that equal values have no deviation at all, whatever their last bits.
    """
    newest = bars[_back(series, 0)].volume if volume else bars[_back(series, 0)].close
    mean = 0.0
    for k in range(n):
        bar = bars[_back(series, k)]
        mean += (bar.volume if volume else bar.close) - newest
    mean /= n
    square = 0.0
    for k in range(n):
        bar = bars[_back(series, k)]
        d = (bar.volume if volume else bar.close) - newest - mean
        square += d * d
    return mean, math.sqrt(square / n)


@jit
def _bb_position(f: Any, series: Any, bars: Any) -> None:
    f.seen += 1
    if f.seen >= f.n1:
        mean, deviation = _moments(series, bars, f.n1, False)
        width = f.x * deviation
        f.value = 0.5 if width == 0.0 else (width - mean) / (2.0 * width)


@jit
def _volume_z(f: Any, series: Any, bars: Any) -> None:
    f.seen += 1
    if f.seen >= f.n1:
        mean, deviation = _moments(series, bars, f.n1, True)
        f.value = 0.0 if deviation == 0.0 else -mean / deviation


@inline
def _add(f: Any, x: float) -> None:
    """Add to the sum s0 with its rounding errors kept in s1 (Neumaier 1974)."""
    total = f.s0 + x
    if abs(f.s0) >= abs(x):
        f.s1 += (f.s0 - total) + x
    else:
        f.s1 += (x - total) + f.s0
    f.s0 = total


@inline
def _log_return(series: Any, bars: Any, k: int) -> float:
    return math.log(bars[_back(series, k)].close / bars[_back(series, k + 1)].close)


@jit
def _realized_vol(f: Any, series: Any, bars: Any) -> None:
    f.seen += 1
    if f.seen > 1:
        r = _log_return(series, bars, 0)
        _add(f, r * r)
    if f.seen > f.n1 + 1:
        r = _log_return(series, bars, f.n1)
        _add(f, -r * r)
    if f.seen > f.n1:
        f.value = math.sqrt(max(f.s0 + f.s1, 0.0))


@jit
def _past_return(f: Any, series: Any, bars: Any) -> None:
    f.seen += 1
    if f.seen > f.n1:
        ratio = bars[_back(series, 0)].close / bars[_back(series, f.n1)].close
        f.value = ratio - 1.0 if f.kind == FeatureKind.RETURN else math.log(ratio)


@inline
def advance_features(series: Any, bars: Any, features: Any) -> None:
    """Take the newest bar of the series into each of its indicators."""
    newest = bars[_back(series, 0)]
    for i in range(series.first_feature, series.first_feature + series.n_features):
        f = features[i]
        kind = f.kind
        if kind == FeatureKind.SMA:
            _sma(f, series, bars)
        elif kind == FeatureKind.EMA:
            f.s0 = _ema(f.s0, newest.close, f.n1, f.seen)
            f.seen += 1
            if f.seen >= f.n1:
                f.value = f.s0
        elif kind == FeatureKind.CLOSE:
            f.value = newest.close
        elif kind == FeatureKind.VOLUME:
            f.value = newest.volume
        elif kind == FeatureKind.RETURN or kind == FeatureKind.LOG_RETURN:
            _past_return(f, series, bars)
        elif kind == FeatureKind.RSI:
            _rsi(f, newest.close)
        elif kind == FeatureKind.MACD or kind == FeatureKind.MACD_SIGNAL or kind == FeatureKind.MACD_HIST:
            _macd(f, newest.close)
        elif kind == FeatureKind.ATR:
            _atr(f, newest)
        elif kind == FeatureKind.BB_POSITION:
            _bb_position(f, series, bars)
        elif kind == FeatureKind.REALIZED_VOL:
            _realized_vol(f, series, bars)
        elif kind == FeatureKind.VOLUME_Z:
            _volume_z(f, series, bars)
        elif kind == FeatureKind.SMA_GAP:
            _sma(f, series, bars)
            f.value = newest.close / f.value - 1.0


@jit
def rescale_features(series: Any, features: Any, price: float, volume: float) -> None:
    """Bring a series' indicators to prices and volumes that are multiplied so, as if they had always been."""
    for i in range(series.first_feature, series.first_feature + series.n_features):
        f = features[i]
        kind = f.kind
        if kind == FeatureKind.VOLUME:
            f.value *= volume
        elif kind == FeatureKind.RSI or kind == FeatureKind.SMA_GAP:
            f.s0 *= price
            f.s1 *= price
            f.s2 *= price
        elif (
            kind == FeatureKind.CLOSE
            or kind == FeatureKind.SMA
            or kind == FeatureKind.EMA
            or kind == FeatureKind.MACD
            or kind == FeatureKind.MACD_SIGNAL
            or kind == FeatureKind.MACD_HIST
            or kind == FeatureKind.ATR
        ):
            f.value *= price
            f.s0 *= price
            f.s1 *= price
            f.s2 *= price


@jit
def account_value(s: State, slot: Any, which: int) -> float:
    """What an AccountFeature is for the slot now; NaN where it is not defined."""
    account = s.accounts[slot.account]
    instrument = s.instruments[slot.instrument]
    if which == AccountFeature.BALANCE:
        return account.cash / account.scale
    if which == AccountFeature.HOLDINGS:
        return slot.lots * instrument.lot_size
    if which == AccountFeature.BARS_HELD:
        return float(slot.bars_held)
    equity = equity_of(s, account)
    if which == AccountFeature.CASH_SHARE:
        return account.cash / equity if equity > 0 else np.nan
    if which == AccountFeature.EXPOSURE:
        parts = s.strategies[slot.strategy].n_slots
        return parts * value_of(instrument, slot.lots, instrument.price) / equity if equity > 0 else np.nan
    peak = max(account.peak, equity)
    return 1.0 - equity / peak if peak > 0 else np.nan


@inline
def observe(s: State, slot: Any, out: Any, at: int) -> bool:
    """Write the slot's observation into `out` float64 from place `at` on; false where a value is not there yet (NaN)."""
    complete = True
    for k in range(slot.n_features):
        which = s.observed[slot.first_feature + k]
        value = s.features[which].value if which >= 0 else account_value(s, slot, ~which)
        out[at + k] = value
        if math.isnan(value):
            complete = False
    return complete
