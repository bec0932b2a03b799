"""Indicators against the `ta` library and pandas on real prices, and against their definitions where neither goes."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ta.momentum import RSIIndicator
from ta.trend import MACD, EMAIndicator, SMAIndicator
from ta.volatility import AverageTrueRange, BollingerBands

from engine.engine import Engine
from engine.features import MAX_WINDOW, AccountFeature, FeatureKind, FeatureSpec, parse_feature
from engine.policies import Policy
from engine.records import RowKind, Side, Wants
from engine.spec import AccountSpec, EngineSpec, InstrumentSpec, StrategySpec
from tests.builders import MINUTE, make_bars, make_engine, make_ticks, order, timer_at

DATA = Path(__file__).parents[4] / "shared" / "data"
FILES = (
    "daily/spy_1998-2021_unadjusted.csv.gz",
    "daily/msft_1990-2022_fully_adjusted.csv.gz",  # no volume in its first years
    "daily/btc-usd_2009-2026.csv.gz",  # its first bars are flat, at 0.0008
    "minute/aapl_2016-04-15_2016-05-13.csv.gz",
)
COLUMNS = ["open", "high", "low", "close", "volume"]

Bars = pd.DataFrame


class Watcher:
    """Writes down every feature of its series at each bar."""

    wants = int(Wants.BAR)

    def __init__(self) -> None:
        self.values: list[np.ndarray[Any, Any]] = []

    def start(self, engine: Engine, strategy: int) -> None:
        self.engine = engine

    def bar(self, slot: int) -> None:
        self.values.append(self.engine.state.features["value"].copy())

    def stop(self) -> None:
        pass

    bars = tick = fill = order = timer = action = load = bar
    save = stop


def values_of(bars: Any, *features: str) -> np.ndarray[Any, Any]:
    """The engine's values (n, n_features) at each of the bars (n, 5)."""
    watcher = Watcher()
    spec = EngineSpec(
        (InstrumentSpec("A"),),
        (AccountSpec("a", 1.0),),
        (StrategySpec("s", "a", ("A",), MINUTE, features, wants=watcher.wants),),
    )
    engine = Engine(spec, {"s": watcher})
    engine.start()
    rows = np.asarray(bars, np.float64)
    engine.process(make_bars(rows))
    engine.process(timer_at(len(rows) * MINUTE))
    return np.array(watcher.values)


def closes(*values: float) -> np.ndarray[Any, Any]:
    """Bars of one price each."""
    return np.array([(v, v, v, v, 1.0) for v in values])


@pytest.fixture(scope="module", params=FILES)
def real(request: pytest.FixtureRequest) -> Bars:
    path = DATA / request.param
    if not path.exists():
        pytest.skip(f"real prices are not there: {path.name}")
    return pd.read_csv(path)[COLUMNS].astype("float64")


def _rsi(b: Bars, n: int) -> Any:
    # `ta` says 100 where there was no loss, also where there was no gain either; there it is 50 here
    change = b.close.diff()
    moved = change.where(change > 0, 0.0).ewm(alpha=1 / n, adjust=False).mean() > 0
    return RSIIndicator(b.close, n).rsi().where(moved | (RSIIndicator(b.close, n).rsi() != 100), 50.0)


def _atr(b: Bars, n: int) -> Any:
    return AverageTrueRange(b.high, b.low, b.close, n).average_true_range().where(b.index >= n - 1)


def _bb(b: Bars, n: int, width: float) -> Any:
    # pandas' running deviation, which `ta` takes, drifts: each window by itself (and see the test against `ta`)
    window = b.close.rolling(n)
    flat = (window.max() == window.min()) & (b.index >= n - 1)
    half = width * window.apply(lambda w: float(np.std(w)), raw=True)
    mean = window.apply(lambda w: float(np.mean(w)), raw=True)
    return ((b.close - mean + half) / (2 * half)).where(~flat, 0.5)


def _volume_z(b: Bars, n: int) -> Any:
    window = b.volume.rolling(n)
    flat = (window.max() == window.min()) & (b.index >= n - 1)
    # pandas' own running deviation drifts: each window by itself
    deviation = window.apply(lambda w: float(np.std(w)), raw=True)
    mean = window.apply(lambda w: float(np.mean(w)), raw=True)
    return ((b.volume - mean) / deviation).where(~flat, 0.0)


def _realized_vol(b: Bars, n: int) -> Any:
    squares: Any = np.log(b.close / b.close.shift(1)) ** 2
    return squares.rolling(n).apply(lambda w: math.sqrt(math.fsum(w)), raw=True)


# name -> the oracle, and the first bar (counted from 0) that has a value
ORACLES: dict[str, tuple[Callable[[Bars], Any], int]] = {
    "close": (lambda b: b.close, 0),
    "volume": (lambda b: b.volume, 0),
    "return": (lambda b: b.close.pct_change(1), 1),
    "return_5": (lambda b: b.close.pct_change(5), 5),
    "log_return_3": (lambda b: np.log(b.close / b.close.shift(3)), 3),
    "sma_20": (lambda b: SMAIndicator(b.close, 20).sma_indicator(), 19),
    "sma_1": (lambda b: b.close, 0),
    "sma_200": (lambda b: b.close.rolling(200).mean(), 199),
    "ema_20": (lambda b: EMAIndicator(b.close, 20).ema_indicator(), 19),
    "rsi_14": (lambda b: _rsi(b, 14), 13),
    "rsi_2": (lambda b: _rsi(b, 2), 1),
    "macd": (lambda b: MACD(b.close).macd(), 25),
    "macd_signal": (lambda b: MACD(b.close).macd_signal(), 33),
    "macd_hist": (lambda b: MACD(b.close).macd_diff(), 33),
    "macd_3_7_4": (lambda b: MACD(b.close, 7, 3, 4).macd(), 6),
    "macd_signal_3_7_4": (lambda b: MACD(b.close, 7, 3, 4).macd_signal(), 9),
    "atr_14": (lambda b: _atr(b, 14), 13),
    "bb_position": (lambda b: _bb(b, 20, 2.0), 19),
    "bb_position_10_1.5": (lambda b: _bb(b, 10, 1.5), 9),
    "volume_z_20": (lambda b: _volume_z(b, 20), 19),
    "sma_gap_20": (lambda b: b.close / SMAIndicator(b.close, 20).sma_indicator() - 1, 19),
    **{f"realized_vol_{n}": (lambda b, n=n: _realized_vol(b, n), n) for n in (1, 2, 3, 7, 15, 20)},  # type: ignore[misc] # mypy cannot infer a lambda with a default
}
# What a value is made of: the differences that it is taken of cancel, and the oracle is no more exact than they are.
PARTS: dict[str, Callable[[Bars], Any]] = {
    **dict.fromkeys(
        ("return", "return_5", "log_return_3", "sma_gap_20", "bb_position", "bb_position_10_1.5"),
        lambda b: 1.0,
    ),
    **dict.fromkeys([n for n in ORACLES if n.startswith("macd")], lambda b: b.close),
}


def test_indicators_on_real_prices_agree_with_the_oracles_from_their_first_value_on(real: Bars) -> None:
    mine = values_of(real, *ORACLES)
    for i, (name, (oracle, first)) in enumerate(ORACLES.items()):
        theirs = oracle(real).to_numpy()
        assert np.isnan(mine[:first, i]).all(), f"{name} has a value before bar {first}"
        assert not np.isnan(mine[first:, i]).any(), f"{name} has none at bar {first} or after"
        assert np.isnan(theirs[:first]).all(), f"the oracle of {name} has a value before bar {first}"
        scale = np.maximum(np.abs(theirs), PARTS[name](real) if name in PARTS else 0.0)[first:]
        wrong = np.flatnonzero(~(np.abs(mine[first:, i] - theirs[first:]) <= 1e-9 * scale)) + first
        assert len(wrong) == 0, f"{name} at bars {wrong[:5]}: {mine[wrong[:5], i]}, not {theirs[wrong[:5]]}"


@pytest.mark.parametrize(("n", "width"), [(20, 2.0), (10, 1.5)])
def test_band_position_agrees_with_ta_where_its_running_deviation_is_exact_enough(
    real: Bars, n: int, width: float
) -> None:
    # `ta` takes pandas' running variance, whose error grows as the deviation shrinks against the price: it is off by
    # up to 4e-8 on the minutes of AAPL, where our windows, each summed by itself, are off by 1e-13
    mine = values_of(real, f"bb_position_{n}_{width}")[:, 0]
    theirs = BollingerBands(real.close, n, width).bollinger_pband().to_numpy()
    wide = (real.close.rolling(n).std() > 1e-3 * real.close).to_numpy()
    assert wide.sum() > 1_000
    assert mine[wide] == pytest.approx(theirs[wide], rel=1e-9, abs=1e-9)


@pytest.fixture(scope="module")
def long_bars() -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(11)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0, 0.002, 1_000_000)))
    close[500_000] = 1e9  # a bad print leaves its trace in a running sum of float64 for ever
    return np.column_stack([close, close, close, close, np.full(len(close), 100.0)])


def test_running_sums_of_a_million_bars_do_not_drift(long_bars: np.ndarray[Any, Any]) -> None:
    sma, vol, vol7 = 50, 20, 7
    mine = values_of(long_bars, f"sma_{sma}", f"realized_vol_{vol}", f"realized_vol_{vol7}")
    close = long_bars[:, 3]
    returns = [math.log(b / a) for a, b in zip(close[-100:-1], close[-99:], strict=True)]
    for back in range(40):
        end = len(close) - back
        exact = math.fsum(close[end - sma : end]) / sma
        assert mine[end - 1, 0] == pytest.approx(exact, rel=1e-9)
        for column, n in ((1, vol), (2, vol7)):
            stop = len(returns) - back
            exact = math.sqrt(math.fsum(r * r for r in returns[stop - n : stop]))
            assert mine[end - 1, column] == pytest.approx(exact, rel=1e-9)
    # and nowhere in between: every window summed by itself, out of the bad print's reach
    windows = np.lib.stride_tricks.sliding_window_view(close, sma).mean(axis=1)
    off = np.abs(mine[sma - 1 :, 0] / windows - 1)
    near = np.arange(len(off))[off > 1e-9] + sma - 1
    assert len(near) == 0, f"sma is off by {off.max()} at bars {near[:3]}..{near[-3:]}"


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 63, 64])
def test_windowed_indicators_of_any_length_look_back_exactly_so_far(n: int) -> None:
    # a ring of bars holds a power of two of them: lengths beside one are those that could look past its end
    rng = np.random.default_rng(n)
    close = rng.uniform(90, 110, 5 * n + 3)
    bars = closes(*close)
    bars[:, 4] = rng.integers(1, 50, len(close))
    names = [f"{f}_{n}" for f in ("sma", "realized_vol", "return", "log_return", "volume_z", "bb_position")]
    mine = values_of(bars, *names)[-1]
    last, volume = close[-n:], bars[-n:, 4]
    logs = np.log(close[-n:] / close[-n - 1 : -1])
    spread = 2 * 2.0 * np.std(last)
    want = [
        last.mean(),
        math.sqrt((logs**2).sum()),
        close[-1] / close[-n - 1] - 1,
        math.log(close[-1] / close[-n - 1]),
        (volume[-1] - volume.mean()) / volume.std() if volume.std() else 0.0,
        (last[-1] - last.mean() + spread / 2) / spread if spread else 0.5,
    ]
    assert mine == pytest.approx(want, rel=1e-9, abs=1e-12)


def test_ema_begins_at_the_first_close_and_has_a_value_once_the_window_is_seen() -> None:
    # weight 2 / (3 + 1): 10, (10 + 12) / 2 = 11, (11 + 14) / 2 = 12.5
    values = values_of(closes(10, 12, 14), "ema_3")
    assert np.isnan(values[:2]).all()
    assert values[2, 0] == 12.5


def test_rsi_by_hand() -> None:
    # n = 2, weights 1/2; gains 0, 2, 0 and losses 0, 0, 1 -> averages 0, 1, 0.5 and 0, 0, 0.5: 100 x 0.5 / 1 = 50
    assert values_of(closes(10, 12, 11), "rsi_2")[2, 0] == 50.0


@pytest.mark.parametrize(("path", "rsi"), [((5, 5, 5), 50.0), ((5, 6, 7), 100.0), ((7, 6, 5), 0.0)])
def test_rsi_without_a_gain_or_a_loss(path: tuple[float, ...], rsi: float) -> None:
    assert values_of(closes(*path), "rsi_2")[2, 0] == rsi


def test_bands_and_scores_of_a_window_without_a_change_are_in_the_middle() -> None:
    values = values_of(closes(5, 5, 5, 5), "bb_position_3", "volume_z_3", "realized_vol_3", "return")
    assert values[3].tolist() == [0.5, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("price", [0.1, 0.0808, 1 / 3, 64_123.45])
@pytest.mark.parametrize("n", [3, 10, 20])
def test_window_of_equal_numbers_that_no_binary_fraction_holds_has_no_deviation(price: float, n: int) -> None:
    # their float64 mean differs from them in the last bit: that is no deviation
    bars = np.array([(price, price, price, price, price)] * 2 * n)
    values = values_of(bars, f"bb_position_{n}", f"volume_z_{n}")
    assert values[n - 1 :].tolist() == [[0.5, 0.0]] * (n + 1)


def test_realized_volatility_of_a_window_without_a_change_is_zero_whatever_came_before() -> None:
    values = values_of(closes(10, 11, 12.3, 11.7, 11.7, 11.7, 11.7, 11.7, 11.7), "realized_vol_3")
    assert values[6:, 0].tolist() == [0.0, 0.0, 0.0]


def test_atr_by_hand_counts_the_gap_from_the_close_before() -> None:
    # true ranges: 2, then max(1, 20 - 10, 19 - 10) = 10: the average of the first two is 6; then (6 + 3) / 2 = 4.5
    bars = [(10, 11, 9, 10, 1), (19, 20, 19, 20, 1), (20, 22, 19, 21, 1)]
    assert values_of(bars, "atr_2")[1:, 0].tolist() == [6.0, 4.5]


# -- the account side --------------------------------------------------------------------------------------------------


def test_account_features_by_hand() -> None:
    # 1,000 dollars; 40 units at 10 leave 600. The first bar closes at 10, the second at 12.5, the third at 5.
    engine = make_engine(
        cash=1_000.0,
        features=("balance", "holdings", "cash_share", "drawdown", "bars_held", "exposure"),
        lot_size=0.5,
    )

    def observed() -> list[float]:
        order(engine, Side.SELL, 10**6)  # is denied, and carries what its strategy then saw
        return [float(v) for v in engine.take_events().observations[-1]]

    engine.process(make_ticks([(0, 10.0)]))
    assert observed() == [1_000.0, 0.0, 1.0, 0.0, 0.0, 0.0]
    order(engine, Side.BUY, 80)
    engine.process(make_ticks([(1, 10.0)]))
    assert observed() == [600.0, 40.0, 0.6, 0.0, 0.0, 0.4]
    engine.process(make_ticks([(MINUTE, 12.5)]))  # the bar before closed with the position: one bar held
    assert observed() == [600.0, 40.0, 600 / 1_100, 0.0, 1.0, 500 / 1_100]
    engine.process(
        make_ticks([(2 * MINUTE, 5.0)])
    )  # the peak at bar closes is 600 + 40 x 12.5 = 1,100; now 800
    assert observed() == [600.0, 40.0, 600 / 800, 1 - 800 / 1_100, 2.0, 200 / 800]
    order(engine, Side.SELL, 80)
    engine.process(make_ticks([(2 * MINUTE + 1, 5.0)]))
    assert observed() == [800.0, 0.0, 1.0, 1 - 800 / 1_100, 0.0, 0.0]


def test_holdings_are_the_strategys_own_and_balance_is_the_accounts() -> None:
    features = ("holdings", "balance")
    engine = Engine(
        EngineSpec(
            (InstrumentSpec("A"),),
            (AccountSpec("a", 100.0),),
            tuple(StrategySpec(n, "a", ("A",), MINUTE, features) for n in ("s", "t")),
        )
    )
    engine.process(make_ticks([(0, 1.0)]))
    order(engine, Side.BUY, 30, slot=0)
    engine.process(make_ticks([(1, 1.0)]))
    for slot, held in ((0, 30.0), (1, 0.0)):
        order(engine, Side.SELL, 10**6, slot=slot)
        assert engine.take_events().observations[-1].tolist() == [held, 70.0]


def test_cash_share_of_an_account_without_equity_is_not_known_rather_than_infinite() -> None:
    engine = make_engine(cash=0.0, features=("cash_share", "drawdown", "exposure"))
    engine.process(make_ticks([(0, 1.0)]))
    order(engine, Side.BUY, 1)
    assert np.isnan(engine.take_events().observations[-1]).all()


def test_observation_shorter_than_the_longest_is_filled_up_with_nan() -> None:
    engine = Engine(
        EngineSpec(
            (InstrumentSpec("A"),),
            (AccountSpec("a", 100.0),),
            (
                StrategySpec("long", "a", ("A",), MINUTE, ("balance", "balance", "holdings")),
                StrategySpec("short", "a", ("A",), MINUTE, ("balance",)),
            ),
        )
    )
    engine.process(make_ticks([(0, 1.0)]))
    for _ in range(2):  # the second time, the outbox holds what the first has left
        order(engine, Side.SELL, 1, slot=0)
        engine.take_events()
        order(engine, Side.SELL, 1, slot=1)
        row = engine.take_events().observations[-1]
        assert row[0] == 100.0
        assert np.isnan(row[1:]).all()


def test_policy_does_not_decide_before_its_observation_is_complete() -> None:
    engine = make_engine(policy=Policy.SMA_CROSS, features=("sma_2", "sma_3"), size=1)
    events = engine.process(make_bars([(1, 1, 1, 1), (2, 2, 2, 2), (3, 3, 3, 3), (4, 4, 4, 4)]))
    assert events.events["submitted"].tolist()[:1] == [3 * MINUTE]  # not at the second bar's close


def test_extremes_of_a_bar_are_in_its_range_only() -> None:
    ticks = make_ticks([(0, 10.0, 1.0, 0, RowKind.PRINT), (1, 30.0, 1.0, 0, RowKind.EXTREME), (MINUTE, 10.0)])
    engine = make_engine(features=("atr_1", "close"))
    engine.process(ticks)
    assert engine.state.features["value"].tolist() == [20.0, 30.0]


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "feature"),
    [
        ("close", FeatureSpec(FeatureKind.CLOSE)),
        ("sma", FeatureSpec(FeatureKind.SMA, 20)),
        ("sma_5", FeatureSpec(FeatureKind.SMA, 5)),
        ("return", FeatureSpec(FeatureKind.RETURN, 1)),
        ("log_return_7", FeatureSpec(FeatureKind.LOG_RETURN, 7)),
        ("macd", FeatureSpec(FeatureKind.MACD, 12, 26, 9)),
        ("macd_signal_3_7_4", FeatureSpec(FeatureKind.MACD_SIGNAL, 3, 7, 4)),
        ("macd_hist_3_7", FeatureSpec(FeatureKind.MACD_HIST, 3, 7, 9)),
        ("bb_position", FeatureSpec(FeatureKind.BB_POSITION, 20, x=2.0)),
        ("bb_position_10_1.5", FeatureSpec(FeatureKind.BB_POSITION, 10, x=1.5)),
        ("balance", AccountFeature.BALANCE),
        ("cash_share", AccountFeature.CASH_SHARE),
        ("bars_held", AccountFeature.BARS_HELD),
        ("exposure", AccountFeature.EXPOSURE),
        ("sma_gap", FeatureSpec(FeatureKind.SMA_GAP, 20)),
    ],
)
def test_feature_name_says_which_and_with_which_windows(name: str, feature: object) -> None:
    assert parse_feature(name) == feature


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("smo_5", "unknown feature 'smo_5'; there are: close, volume"),
        ("", "unknown feature"),
        ("SMA_5", "unknown feature"),
        ("BALANCE", "unknown feature"),
        ("5", "unknown feature"),
        ("balance_2", "unknown feature"),
        ("sma_5_6", "has 2 numbers, 'sma' takes at most 1"),
        ("close_1", "at most 0"),
        ("sma_0", "whole number of bars from 1"),
        ("sma_2.5", "whole number of bars"),
        ("sma_-5", "unknown feature"),
        (f"sma_{MAX_WINDOW + 1}", f"to {MAX_WINDOW}"),
        ("bb_position_10_0", "positive number of deviations"),
        ("macd_26_12_9", "fast window must be shorter"),
        ("macd_12_12", "fast window must be shorter"),
        ("sma__5", "unknown feature"),
        ("sma_٥", "unknown feature"),
        ("sma_²", "unknown feature"),
    ],
)
def test_feature_name_that_means_nothing_is_refused_with_the_reason(name: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_feature(name)
