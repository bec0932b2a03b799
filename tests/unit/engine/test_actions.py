"""Corporate actions: ratios and prices by themselves, and indicators beside those of a tape that was adjusted before.

An adjusted tape has each price multiplied by what all later actions make of it: a split by its ratio, a dividend D after
a last price P by 1 - D / P; and each size by the ratios of later splits.
"""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import actions
from engine.actions import _greatest_divisor, _reprice, _scaled
from engine.engine import Engine
from engine.ledger import on_grid
from engine.records import SECOND, BarKind, RowKind, Side, Ticks
from engine.spec import AccountSpec, EngineSpec, InstrumentSpec, StrategySpec
from tests.builders import MINUTE, cut, make_ticks, timer_at
from tests.stories.desk import closed_bars, row

BUY, SELL = Side.BUY, Side.SELL
IN_PRICES = ("close", "sma_5", "ema_5", "macd_3_6_4", "macd_signal_3_6_4", "macd_hist_3_6_4", "atr_5")
IN_UNITS = ("volume",)
FREE = (
    "rsi_5",
    "bb_position_5",
    "realized_vol_5",
    "volume_z_5",
    "sma_gap_5",
    "return_3",
    "log_return_2",
)  # without any unit


def plain(function: Any) -> Any:
    return getattr(function, "py_func", function)


# -- ratios and prices ------------------------------------------------------------------------------------------------


@given(st.integers(1, 10**12), st.integers(1, 10**12))
def test_greatest_divisor_is_that_of_the_library(a: int, b: int) -> None:
    assert plain(_greatest_divisor)(a, b) == math.gcd(a, b)


@given(st.integers(-(10**9), 10**9), st.integers(1, 10**6), st.integers(1, 10**6))
def test_scaled_lots_are_rounded_towards_zero(lots: int, numerator: int, denominator: int) -> None:
    assert plain(_scaled)(lots, numerator, denominator) == math.trunc(Fraction(lots * numerator, denominator))


class Order:
    def __init__(self, side: Side) -> None:
        self.side = side


class Instrument:
    tick_size = 0.01


def reprice(side: Side, price: float, limit: bool) -> float:
    with pytest.MonkeyPatch.context() as patch:  # what it calls is plain Python, too
        patch.setattr(actions, "on_grid", plain(on_grid))
        return float(plain(_reprice)(Instrument, Order(side), price, limit))


@given(st.integers(1, 10**7), st.sampled_from([1, 2, 3, 4, 7, 20]), st.booleans(), st.booleans())
def test_price_in_new_shares_is_on_the_grid_and_no_easier_to_meet(
    cents: int, ratio: int, buys: bool, limit: bool
) -> None:
    exact = Decimal(cents) / ratio
    rounding = ROUND_FLOOR if buys == limit else ROUND_CEILING
    expected = max(exact.quantize(Decimal(1), rounding), Decimal(1)) / 100
    assert reprice(BUY if buys else SELL, cents / 100 * (1 / ratio), limit) == float(expected)


def test_price_that_an_order_does_not_have_stays_none() -> None:
    assert reprice(BUY, 0.0, True) == 0.0


# -- indicators -------------------------------------------------------------------------------------------------------


def walk(seed: int, n: int = 1_500) -> Ticks:
    """Prints 6 seconds apart, with some thirty actions among them: at the turn of a minute and within bars."""
    rng = np.random.default_rng(seed)
    price = last = 100.0  # what the next print is about; the price before it
    rows: list[tuple[float, ...]] = []
    for i in range(n):
        ts = 6 * i * SECOND
        factor = 1.0
        if i and rng.random() < 0.01:
            new, old = [(2, 1), (7, 1), (3, 2), (1, 10), (2.002, 1), (1, 3)][rng.integers(6)]
            rows.append((ts, new, old, 0, RowKind.SPLIT))
            factor = old / new
        elif i and rng.random() < 0.01:
            amount = round(last * rng.uniform(0.001, 0.2), 4)
            rows.append((ts, amount, 0.0, 0, RowKind.DIVIDEND))
            factor = 1.0 - amount / last
        price *= factor * math.exp(rng.normal(0.0, 0.01))
        last = round(price, 6)
        rows.append((ts, last, float(rng.integers(1, 10_000)), 0, RowKind.PRINT))
    return make_ticks(rows)


def adjusted(ticks: Ticks) -> tuple[Ticks, list[float], list[float]]:
    """The prints of a tape in today's prices and units; for each of its rows, the factors of prices and sizes."""
    n = len(ticks.price)
    prices, sizes = 1.0, 1.0
    of_prices, of_sizes = [0.0] * n, [0.0] * n
    for i in reversed(range(n)):
        of_prices[i], of_sizes[i] = prices, sizes
        if ticks.flags[i] == RowKind.SPLIT:
            prices *= ticks.size[i] / ticks.price[i]
            sizes *= ticks.price[i] / ticks.size[i]
        elif ticks.flags[i] == RowKind.DIVIDEND:  # the row before is a print
            prices *= 1.0 - ticks.price[i] / ticks.price[i - 1]
    kept = ticks.flags == RowKind.PRINT
    columns = [c[kept].copy() for c in ticks]
    columns[3] *= np.array(of_prices)[kept]
    columns[4] *= np.array(of_sizes)[kept]
    return Ticks(*columns), of_prices, of_sizes


def observer(also: tuple[int, ...] = ()) -> tuple[Engine, list[str]]:
    names = [*IN_PRICES, *IN_UNITS, *FREE]
    names += [f"{name}@{ns}" for ns in also for name in names]
    spec = EngineSpec(
        (InstrumentSpec("A"),),
        (AccountSpec("a", 1e6),),
        (StrategySpec("s", "a", ("A",), MINUTE, tuple(names), history=8, also=also),),
    )
    return Engine(spec), names


def values(engine: Engine) -> np.ndarray[Any, Any]:
    s = engine.state
    return np.array([s.features[which].value for which in s.observed[: s.slots[0].n_features]])


@pytest.mark.parametrize("seed", range(4))
def test_indicators_across_actions_are_those_of_an_adjusted_tape(seed: int) -> None:
    ticks = walk(seed)
    today, of_prices, of_sizes = adjusted(ticks)
    assert (ticks.flags != RowKind.PRINT).sum() > 15
    (raw, names), (other, _) = observer((5 * MINUTE,)), observer((5 * MINUTE,))
    in_prices = np.array([name.split("@")[0] in IN_PRICES for name in names])
    in_units = np.array([name.split("@")[0] in IN_UNITS for name in names])
    compared = done = 0
    for i in range(len(ticks.price)):
        raw.process(cut(ticks, i, i + 1))
        if ticks.flags[i] == RowKind.PRINT:
            other.process(cut(today, done, done + 1))
            done += 1
        else:  # time alone passes there
            other.process(timer_at(int(ticks.ts_event[i])))
        # the values of the one are of the shares that there are now, those of the other of the shares at the end
        factors = np.where(in_prices, of_prices[i], np.where(in_units, of_sizes[i], 1.0))
        mine, expected = values(raw) * factors, values(other)
        assert (np.isnan(mine) == np.isnan(expected)).all()
        known = ~np.isnan(expected)
        assert (np.abs(mine - expected) <= 1e-9 * np.maximum(np.abs(expected), factors))[known].all()
        compared += known.all()
    assert compared > 1_000


def test_bars_across_actions_are_those_of_an_adjusted_tape() -> None:
    ticks = walk(9)
    (raw, _), (other, _) = observer(), observer()
    raw.process(ticks)
    other.process(adjusted(ticks)[0])
    assert len(closed_bars(raw)) == 8
    np.testing.assert_allclose(closed_bars(raw), closed_bars(other), rtol=1e-9)


# -- bars that are not cut by time ------------------------------------------------------------------------------------


def cutter(kind: BarKind, size: float) -> Engine:
    strategy = StrategySpec("s", "a", ("A",), 0, bar_kind=kind, bar_size=size, history=8)
    engine = Engine(EngineSpec((InstrumentSpec("A"),), (AccountSpec("a", 1e6),), (strategy,)))
    row(engine, 100.0, size=60.0)
    return engine


def volumes(engine: Engine) -> list[tuple[float, float]]:
    return [(volume, rows) for *_, volume, rows in closed_bars(engine)]


def test_bar_of_volume_counts_what_it_has_in_new_shares() -> None:
    engine = cutter(BarKind.VOLUME, 200.0)
    row(engine, 2.0, 1.0, RowKind.SPLIT)  # 60 become 120
    row(engine, 50.0, size=70.0)
    assert volumes(engine) == []
    row(engine, 50.0, size=10.0)
    assert volumes(engine) == [(200.0, 3)]


def test_bar_that_has_enough_by_a_split_closes_with_the_next_row() -> None:
    engine = cutter(BarKind.VOLUME, 100.0)
    row(engine, 2.0, 1.0, RowKind.SPLIT)
    assert volumes(engine) == []
    row(engine, 50.0, size=1.0)
    assert volumes(engine) == [(121.0, 2)]


def test_bar_of_volume_has_less_after_a_reverse_split() -> None:
    engine = cutter(BarKind.VOLUME, 100.0)
    row(engine, 1.0, 10.0, RowKind.SPLIT)
    row(engine, 1_000.0, size=93.0)
    assert volumes(engine) == []
    row(engine, 1_000.0, size=1.0)
    assert volumes(engine) == [(100.0, 3)]


def test_bar_of_value_has_what_was_paid() -> None:
    engine = cutter(BarKind.VALUE, 10_000.0)  # 6,000 so far
    row(engine, 2.0, 1.0, RowKind.SPLIT)
    row(engine, 50.0, size=79.0)
    assert volumes(engine) == []
    row(engine, 50.0, size=1.0)
    assert volumes(engine) == [(200.0, 3)]


def test_bar_of_rows_counts_no_actions() -> None:
    engine = cutter(BarKind.TICKS, 2.0)
    row(engine, 2.0, 1.0, RowKind.SPLIT)
    row(engine, 1.0, 0.0, RowKind.DIVIDEND)
    assert volumes(engine) == []
    row(engine, 50.0, size=1.0)
    assert volumes(engine) == [(121.0, 2)]


# -- warm-up ----------------------------------------------------------------------------------------------------------


def test_actions_of_the_warm_up_are_in_the_prices_with_which_trading_begins() -> None:
    spec = EngineSpec(
        (InstrumentSpec("A"),),
        (AccountSpec("a", 1e6),),
        (StrategySpec("s", "a", ("A",), MINUTE, ("sma_2",), history=8),),
        trade_from=3 * MINUTE,
    )
    engine = Engine(spec)
    engine.process(
        make_ticks(
            [
                (0, 100.0),
                (MINUTE, 4.0, 1.0, 0, RowKind.SPLIT),
                (MINUTE, 30.0),
                (2 * MINUTE, 15.0, 0.0, 0, RowKind.DIVIDEND),
                (2 * MINUTE, 15.0),
            ]
        )
    )
    engine.process(timer_at(3 * MINUTE))
    assert engine.state.features[0].value == pytest.approx(15.0, abs=1e-12)  # 30 halved, and 15
