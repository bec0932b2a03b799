"""A stock with its splits and dividends on the tape decides as on prices that were adjusted for them beforehand.

AAPL, with the splits of 2000 (2:1), 2005 (2:1), 2014 (7:1) and 2020 (4:1) and the dividends since 2012. One tape holds raw
prices and the actions, the other the same prices times their factors (and sizes divided by those of the splits) and no
actions. Both tapes' orders must be decided at the same times, on the same sides, and for the same share of equity.

The factors are computed here from the actions and the prices: a split by its ratio, a dividend D by 1 - D / P, where P is
the last price before it. They are compared with the vendor's own, which stand in the file of factors: up to what the
last trade differs there from the close of the day.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from daemon.data.action_files import read_actions
from daemon.data.action_rows import rows_of
from daemon.data.actions import Action, ActionKind
from engine.bars import bar_path
from engine.engine import Engine
from engine.policies import Policy
from engine.records import DAY, EventKind, RowKind, SizeKind, Status, Ticks
from engine.spec import AccountSpec, EngineSpec, InstrumentSpec, StrategySpec
from tests.builders import MINUTE, join, timer_at

DATA = Path(__file__).parents[3] / "shared" / "data"
FACTORS = DATA / "daily" / "aapl_factors.csv"
HOUR = 60 * MINUTE
FILES = {
    "daily": ("daily/aapl_1998-2021_unadjusted.csv.gz", "date", DAY),
    "hourly": ("hour/aapl_1998-2021_unadjusted.csv.gz", "timestamp", HOUR),
    "minutes": ("minute/aapl_2014-06-05_2014-06-09_unadjusted_split.csv.gz", "timestamp", MINUTE),
}
SPLITS = {"2000-06-21": 2.0, "2005-02-28": 2.0, "2014-06-09": 7.0, "2020-08-31": 4.0}
RULES: dict[str, tuple[Policy, tuple[str, ...], tuple[float, ...]]] = {
    "sma_cross": (Policy.SMA_CROSS, ("sma_10", "sma_30"), ()),
    # a threshold that no two prices in cents meet exactly: there the last bit of an adjusted price would decide
    "momentum": (Policy.MOMENTUM, ("return_20",), (0.00314159,)),
    "rsi_reversion": (Policy.RSI_REVERSION, ("rsi_14",), (35.0, 60.0)),
}
IN_PRICES = ("close", "sma_20", "ema_20", "macd", "macd_signal", "macd_hist", "atr_14")
FREE = ("rsi_14", "bb_position_20", "realized_vol_20", "volume_z_20", "return_5", "sma_gap_20")
CASH = 1e6


@dataclass(frozen=True)
class Tape:
    """The bars' rows with the actions among them; and the same rows, adjusted, without them."""

    actions: list[Action]
    raw: Ticks
    adjusted: Ticks
    of_prices: np.ndarray[Any, Any]  # (rows of raw,) what each raw price is multiplied by
    of_sizes: np.ndarray[Any, Any]
    end: int


@cache
def tape(name: str) -> Tape:
    file, column, duration = FILES[name]
    if not (DATA / file).exists() or not FACTORS.exists():
        pytest.skip(f"real prices are not there: {file}")
    frame = pd.read_csv(DATA / file)
    start = np.asarray(pd.DatetimeIndex(pd.to_datetime(frame[column], utc=True)).as_unit("ns").asi8, np.int64)
    open_, high, low, close, volume = (
        frame[n].to_numpy(np.float64) for n in ("open", "high", "low", "close", "volume")
    )
    bars = bar_path(start, duration, open_, high, low, close, volume, 0)
    actions = read_actions(FACTORS, "AAPL")
    rows = rows_of(actions, 0, duration, "America/New_York", ())
    inside = (rows.ts_event > bars.ts_event[0]) & (rows.ts_event <= bars.ts_event[-1])
    actions = [action for action, kept in zip(actions, inside, strict=True) if kept]
    both = join(bars, Ticks(*(column[inside] for column in rows)))
    # an action comes before the print of its own time, and after the close of the bar that ends there
    order = np.lexsort((both.flags == RowKind.PRINT, both.ts_event))
    raw = Ticks(*(column[order] for column in both))
    of_prices, of_sizes = factors_of(raw)
    is_price = raw.flags < RowKind.TIMER
    columns = [column[is_price].copy() for column in raw]
    columns[3] *= of_prices[is_price]
    columns[4] *= of_sizes[is_price]
    return Tape(actions, raw, Ticks(*columns), of_prices, of_sizes, int(start[-1]) + duration)


def factors_of(raw: Ticks) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """What each row's price and size is multiplied by for all the actions that come after it."""
    n = len(raw.price)
    of_prices, of_sizes = np.empty(n), np.empty(n)
    prices = sizes = 1.0
    for i in reversed(range(n)):
        of_prices[i], of_sizes[i] = prices, sizes
        if raw.flags[i] == RowKind.SPLIT:
            prices *= raw.size[i] / raw.price[i]
            sizes *= raw.price[i] / raw.size[i]
        elif raw.flags[i] == RowKind.DIVIDEND:
            assert raw.flags[i - 1] == RowKind.CLOSE
            prices *= 1.0 - raw.price[i] / raw.price[i - 1]
    return of_prices, of_sizes


def engine_of(name: str, rule: str = "", features: tuple[str, ...] = ()) -> Engine:
    duration = FILES[name][2]
    policy, observed, params = RULES[rule] if rule else (Policy.PYTHON, features, ())
    strategy = StrategySpec("s", "a", ("AAPL",), duration, observed, policy, params, SizeKind.FRACTION, 0.9)
    return Engine(EngineSpec((InstrumentSpec("AAPL"),), (AccountSpec("a", CASH),), (strategy,)))


def in_parts(ticks: Ticks) -> Iterator[Ticks]:
    for first in range(0, len(ticks.price), 20_000):
        yield Ticks(*(column[first : first + 20_000] for column in ticks))


def run(engine: Engine, ticks: Ticks, end: int) -> np.ndarray[Any, Any]:
    """All events."""
    parts = [engine.process(part).events for part in in_parts(ticks)]
    return np.concatenate([*parts, engine.process(timer_at(end)).events])


@pytest.mark.parametrize("name", FILES)
def test_factors_are_the_vendors(name: str) -> None:
    given = tape(name)
    splits = {
        str(a.ex_date): a.numerator / a.denominator for a in given.actions if a.kind == ActionKind.SPLIT
    }
    assert splits == (SPLITS if name != "minutes" else {"2014-06-09": 7.0})
    table = pd.read_csv(
        FACTORS, header=None, names=["until", "dividends", "splits", "close"], dtype={"until": str}
    )
    until = pd.DatetimeIndex(pd.to_datetime(table["until"], utc=True)).as_unit("ns").asi8 + DAY
    row = np.searchsorted(until, given.raw.ts_event, side="right")
    theirs = (table["dividends"] * table["splits"]).to_numpy()[row]
    theirs /= theirs[-1]
    mine = given.of_prices
    assert mine[-1] == 1.0
    away = np.abs(mine / theirs - 1.0)
    # the row of an action itself lies on the border; theirs have seven and eight decimals
    assert away[given.raw.flags < RowKind.TIMER].max() < 5e-6
    assert (
        given.of_sizes * (table["splits"].to_numpy()[row] / table["splits"].iloc[row[-1]])
    ) == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("name", FILES)
def test_indicators_on_raw_prices_are_those_on_adjusted_ones(name: str) -> None:
    given = tape(name)
    names = (*IN_PRICES, "volume", *FREE)
    raw, adjusted = engine_of(name, features=names), engine_of(name, features=names)
    for engine, ticks in ((raw, given.raw), (adjusted, given.adjusted)):
        run(engine, ticks, given.end)
    mine, theirs = (engine.state.features["value"] for engine in (raw, adjusted))
    np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-9)
    assert np.isfinite(mine).all()
    # the same, just after the last split, where it has just been applied to all that lies before
    (last,) = np.flatnonzero(given.raw.flags == RowKind.SPLIT)[-1:]
    raw, adjusted = engine_of(name, features=names), engine_of(name, features=names)
    run(raw, Ticks(*(c[: last + 1] for c in given.raw)), int(given.raw.ts_event[last]))
    prices = int((given.raw.flags[:last] < RowKind.TIMER).sum())
    run(adjusted, Ticks(*(c[:prices] for c in given.adjusted)), int(given.raw.ts_event[last]))
    factors = np.array([given.of_prices[last]] * len(IN_PRICES) + [given.of_sizes[last]] + [1.0] * len(FREE))
    by_name = [int(i) for i in raw.state.observed[: len(names)]]
    mine, theirs = (engine.state.features["value"][by_name] for engine in (raw, adjusted))
    np.testing.assert_allclose(mine * factors, theirs, rtol=1e-9, atol=1e-9)


def decisions(events: np.ndarray[Any, Any]) -> list[tuple[int, int, Status]]:
    """(when, side, what became of it at the gate) of each order."""
    orders = events[(events["kind"] == EventKind.ORDER) & (events["cum_lots"] == 0)]
    _, first = np.unique(orders["order_id"], return_index=True)
    return [(int(o["ts"]), int(o["side"]), Status(o["status"])) for o in orders[np.sort(first)]]


def fills(events: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return events[events["kind"] == EventKind.FILL]


def shares(events: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """What share of equity each purchase cost; nothing else is held then."""
    bought = fills(events)[fills(events)["side"] == 1]
    return bought["last_notional"] / (bought["cash"] + bought["last_notional"])


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", FILES)
def test_decisions_on_raw_prices_are_those_on_adjusted_ones(name: str, rule: str) -> None:
    given = tape(name)
    raw, adjusted = engine_of(name, rule), engine_of(name, rule)
    mine, theirs = run(raw, given.raw, given.end), run(adjusted, given.adjusted, given.end)
    assert decisions(mine) == decisions(theirs)
    assert {status for _, _, status in decisions(mine)} == {Status.NEW}
    splits = given.raw.ts_event[given.raw.flags == RowKind.SPLIT]
    between = np.searchsorted(splits, [ts for ts, _, _ in decisions(mine)], side="right")
    assert (np.bincount(between, minlength=len(splits) + 1) > 0).all(), "there are some on each side of each"

    done, expected = fills(mine), fills(theirs)
    assert (done["ts"] == expected["ts"]).all()
    assert (done["side"] == expected["side"]).all()
    factor = given.of_prices[np.searchsorted(given.raw.ts_event, done["ts"], side="right") - 1]
    np.testing.assert_allclose(done["last_px"] * factor, expected["last_px"], rtol=1e-12)

    # a purchase decided before a dividend and filled after it is of as many shares, which then cost less by it
    bought = done[done["side"] == 1]
    dividends = given.of_prices * given.of_sizes  # what is left of a factor without the splits
    decided = dividends[np.searchsorted(given.raw.ts_event, bought["submitted"]) - 1]
    filled = dividends[np.searchsorted(given.raw.ts_event, bought["ts"], side="right") - 1]
    # else sizes differ by a share at most: of a million dollars or more, at less than 710 each
    np.testing.assert_allclose(shares(mine), shares(theirs) * (decided / filled), rtol=0, atol=8e-4)
    assert np.median(shares(mine)) == pytest.approx(0.9, abs=0.005)
    assert (done["position"][done["side"] == -1] == 0).all(), "a split on the way leaves nothing behind"
    assert (raw.state.accounts[0].income > 0) == (name != "minutes")
    # a tape adjusted for dividends buys shares for them at once, on the other one they are cash until the next purchase
    growth = [int(engine.state.accounts[0].equity) / (CASH * 1e6) for engine in (raw, adjusted)]
    assert growth[0] == pytest.approx(growth[1], rel=0.005 if name != "minutes" else 1e-5)
