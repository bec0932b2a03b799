"""Each compiled rule and its twin in plain Python trade alike, to the last unit of money, on real prices."""

from __future__ import annotations

import csv
import gzip
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from engine.bars import bar_path
from engine.engine import Engine, Events
from engine.records import (
    DAY,
    SECOND,
    BarKind,
    Code,
    EventKind,
    RowKind,
    SizeKind,
    Slippage,
    Ticks,
)
from engine.spec import (
    AccountSpec,
    EngineSpec,
    InstrumentSpec,
    LimitsSpec,
    MarginSpec,
    StrategySpec,
)
from strategies.loading import make_actor
from strategies.rules import RULES
from tests.builders import join, timer_at
from tests.parity.twins import TWINS

DAILY = Path(__file__).parents[3] / "shared" / "data" / "daily"
FILES = {"AAPL": "aapl_1998-2021_unadjusted.csv.gz", "SPY": "spy_1998-2021_unadjusted.csv.gz"}
FEE_BPS, FEE_PER_UNIT = 10.0, 0.005


@cache
def daily(names: tuple[str, ...]) -> Ticks:
    """The daily bars of these instruments as one tape, ended by a timer after the last."""
    paths = []
    for k, name in enumerate(names):
        with gzip.open(DAILY / FILES[name], "rt") as file:
            rows = list(csv.DictReader(file))
        start = np.array(
            [int(datetime.fromisoformat(r["date"]).replace(tzinfo=UTC).timestamp()) * SECOND for r in rows],
            np.int64,
        )
        open_, high, low, close, volume = (
            np.array([float(r[f]) for r in rows]) for f in ("open", "high", "low", "close", "volume")
        )
        paths.append(bar_path(start, DAY, open_, high, low, close, volume, k))
    tape = join(*paths)
    # at equal times: the rest of the path before the next open, then by instrument
    order = np.lexsort((tape.instrument, tape.flags == 0, tape.ts_recv))
    tape = Ticks(*(np.ascontiguousarray(column[order]) for column in tape))
    return join(tape, timer_at(int(tape.ts_recv[-1]) + 1))


@cache
def daily_with_splits() -> Ticks:
    """AAPL's bars, and its splits on the tape: before the first row of the day from which its price is divided."""
    tape = daily(("AAPL",))
    days = [(2000, 6, 21, 2.0), (2005, 2, 28, 2.0), (2014, 6, 9, 7.0), (2020, 8, 31, 4.0)]
    times = np.array(
        [int(datetime(y, m, d, tzinfo=UTC).timestamp()) * SECOND for y, m, d, _ in days], np.int64
    )
    at = np.searchsorted(tape.ts_recv, times)
    assert (tape.ts_recv[at] == times).all()
    ratios = [ratio for *_, ratio in days]
    what: tuple[Any, ...] = (times, times, 0, ratios, 1.0, int(RowKind.SPLIT))
    return Ticks(*(np.insert(c, at, np.asarray(w, c.dtype)) for c, w in zip(tape, what, strict=True)))


class Over(NamedTuple):
    """What a rule runs over, where it is not the daily bars in a cash account."""

    tape: Ticks | None = None
    margin: MarginSpec | None = None
    bars: tuple[tuple[str, Any], ...] = ()  # fields of the StrategySpec


def replay(
    names: tuple[str, ...], strategy: StrategySpec, actors: dict[str, Any], over: Over
) -> tuple[Engine, Events]:
    instruments = tuple(
        InstrumentSpec(
            name,
            taker_bps=FEE_BPS,
            maker_bps=FEE_BPS,
            fee_per_unit=FEE_PER_UNIT,
            slippage=Slippage.BPS,
            slippage_value=2.0,
        )
        for name in names
    )
    account = AccountSpec("a", 100_000.0, limits=LimitsSpec(resize=True), margin=over.margin)
    engine = Engine(EngineSpec(instruments, (account,), (replace(strategy, **dict(over.bars)),)), actors)
    engine.start()
    return engine, engine.process(daily(names) if over.tape is None else over.tape)


def as_compiled(
    rule: str, names: tuple[str, ...], params: dict[str, Any], size: dict[str, float], over: Over
) -> tuple[Engine, Events]:
    r = RULES[rule]
    valid = r.Params.model_validate(params)
    kind = SizeKind.UNITS if "units" in size else SizeKind.FRACTION
    value = next(iter(size.values()))
    spec = StrategySpec(
        "s", "a", names, DAY, r.features(valid), r.policy, r.policy_params(valid), kind, value
    )
    return replay(names, spec, {}, over)


def as_twin(
    rule: str, names: tuple[str, ...], params: dict[str, Any], size: dict[str, float], over: Over
) -> tuple[Engine, Events]:
    actor = make_actor("s", TWINS[rule], {**params, **size})
    spec = StrategySpec("s", "a", names, DAY, actor.features, wants=actor.wants, history=actor.history)
    return replay(names, spec, {"s": actor}, over)


@pytest.mark.parametrize("names", [("SPY",), ("AAPL",), ("SPY", "AAPL")], ids="+".join)
@pytest.mark.parametrize("size", [{"units": 100}, {"share": 0.95}], ids=["units", "fraction"])
@pytest.mark.parametrize(
    ("rule", "params", "least"),
    [
        ("buy_and_hold", {}, 1),
        ("sma_cross", {"fast": 10, "slow": 30}, 100),
        ("sma_cross", {"fast": 50, "slow": 200}, 10),
        ("momentum", {"lookback": 20}, 200),
        ("momentum", {"lookback": 20, "threshold": 0.04}, 40),
        ("rsi_reversion", {}, 20),
        ("rsi_reversion", {"window": 5, "oversold": 35, "overbought": 55}, 300),
    ],
)
def test_rule_and_twin_have_the_same_orders_fills_and_equity(
    rule: str, params: dict[str, Any], least: int, size: dict[str, float], names: tuple[str, ...]
) -> None:
    agree(rule, params, least, size, names, Over())


@pytest.mark.parametrize("size", [{"units": 100}, {"share": 0.95}], ids=["units", "fraction"])
@pytest.mark.parametrize(
    "bars",
    [
        {},
        {"bar_kind": BarKind.TICKS, "bar_size": 10.0},
        {"bar_kind": BarKind.VOLUME, "bar_size": 2e8},
        {"bar_kind": BarKind.VALUE, "bar_size": 1e9},
    ],
    ids=["days", "rows", "volume", "value"],
)
@pytest.mark.parametrize(
    ("rule", "params"),
    [("buy_and_hold", {}), ("sma_cross", {"fast": 10, "slow": 30}), ("rsi_reversion", {"window": 5})],
)
def test_rule_and_twin_agree_over_splits_in_a_margin_account_on_bars_of_any_kind(
    rule: str, params: dict[str, Any], bars: dict[str, Any], size: dict[str, float]
) -> None:
    margin = MarginSpec(2.0, 0.25, 0.01, 0.06, 0.01)
    told = agree(rule, params, 1, size, ("AAPL",), Over(daily_with_splits(), margin, tuple(bars.items())))
    codes = told.events["code"][told.events["kind"] == EventKind.ACTION]
    assert codes.tolist() == [Code.SPLIT] * 4
    assert (told.events["code"] == Code.INTEREST).sum() > 1_000


def agree(
    rule: str,
    params: dict[str, Any],
    least: int,
    size: dict[str, float],
    names: tuple[str, ...],
    over: Over,
) -> Events:
    """Run the rule and its twin, compare all that they told, and return it."""
    ours, told = as_compiled(rule, names, params, size, over)
    theirs, told_twin = as_twin(rule, names, params, size, over)
    assert (told.events["kind"] == EventKind.FILL).sum() >= least
    # every field of every event, the decision's observation and each equity sample
    assert np.array_equal(told.events, told_twin.events)
    assert np.array_equal(told.observations, told_twin.observations)
    assert np.array_equal(told.equity, told_twin.equity)
    assert over.bars or len(told.equity) >= 5_849
    assert np.array_equal(ours.state.accounts, theirs.state.accounts)
    return told
