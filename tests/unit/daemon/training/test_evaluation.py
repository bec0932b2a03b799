"""Judging a trained model: against backtests, and against accounts worked out by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daemon.backtest import run_backtest
from daemon.config.training import load_training
from daemon.training import judging_score
from daemon.training.evaluation import (
    Scorer,
    deflated,
    evaluate,
    overfitting,
    run_agent,
    walk,
    walk_forward,
)
from daemon.training.history import History, Times, load_history
from daemon.training.judging_folds import joined_figures
from daemon.training.judging_verdict import verdict
from engine.models import Network, QTable
from engine.records import DAY, SizeKind, Ticks
from engine.spec import AccountSpec, EngineSpec, InstrumentSpec, MarginSpec
from envs.spans import TimeSpan
from envs.statistics import backtest_overfitting, deflated_sharpe_ratio
from envs.tapes import Tape
from envs.task import Actions, Market, Task
from strategies.errors import iso_utc
from strategies.models import Registry
from strategies.models.card import make_card
from tests.builders import join, make_bars

FEATURES = ("log_return", "exposure")
ALWAYS_BUY = QTable((np.zeros(1), np.zeros(1)), np.tile([0.0, 1.0, 2.0], (4, 1)))
NEVER = QTable((np.zeros(1), np.zeros(1)), np.tile([0.0, 1.0, 0.0], (4, 1)))
# after a fall it buys, after a rise it sells
CONTRARY = QTable((np.zeros(1), np.zeros(1)), np.array([[0, 0, 1], [0, 0, 1], [1, 0, 0], [1, 0, 0.0]]))
# of rsi_14: below 35 it buys, above 60 it sells
REVERTING = QTable((np.array([35.0, 60.0]),), np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0.0]]))

Bar = Sequence[float]  # open, high, low, close


def flat_bars(pairs: Sequence[tuple[float, float]]) -> list[Bar]:
    """Bars of (open, close)."""
    return [(o, max(o, c), min(o, c), c) for o, c in pairs]


def made(
    rows: Ticks,
    first: int,
    last: int,
    account: AccountSpec | None = None,
    actions: Actions | None = None,
    episode_bars: int = 0,
    **instrument: Any,
) -> History:
    """A history of one instrument, "A", whose test span is from bar `first` to `last`, each a day long."""
    given = InstrumentSpec("A", **instrument)
    task = Task(
        account or AccountSpec("agent", 10_000.0),
        DAY,
        FEATURES,
        actions or Actions(),
        episode_bars=episode_bars,
    )
    tape = Tape("A", rows, Market(given), task)
    when = TimeSpan(int(tape.times[first]), int(tape.times[last]))
    return History(
        rows, EngineSpec((given,), (), ()), task, (tape,), Times(when, when, when), (), 0, "0" * 32
    )


# Bars 0 to 4, (open, close); a decision at the close of bar 1 fills at the open of bar 2.
RISE = flat_bars([(100, 100), (100, 100), (105, 110), (110, 121), (121, 110)])


@pytest.fixture(scope="module")
def sample() -> History:
    return load_history(load_training(training()).config)


def training(**more: Any) -> dict[str, Any]:
    return {
        "name": "t",
        "start": "2008-01-01",
        "warmup": "90d",
        "data": [{"source": "sample", "instrument": name} for name in ("AAPL", "IBM")],
        "instruments": {"AAPL": {"fees": {"bps": 5}}, "IBM": {"fees": {"bps": 5, "minimum": 1}}},
        "execution": {"slippage_bps": 2},
        "algorithm": "qlearning",
        "features": ["rsi_14"],
        "reward": "log_return",
        "steps": 1000,
        **more,
    }


# -- as a backtest does it -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("use", ["sma_cross", "rsi_reversion", "random", "model"])
def test_figures_of_an_agent_are_those_of_a_backtest_of_the_same_span(
    use: str, sample: History, tmp_path: Path
) -> None:
    when = sample.times.test
    strategy: dict[str, Any] = {
        "name": "agent",
        "use": use,
        "instruments": ["AAPL", "IBM"],
        "timeframe": "1d",
    }
    if use == "random":
        strategy["params"] = {"fraction": 0.95}
    else:
        strategy["size"] = {"fraction": 0.95}
    if use == "model":
        strategy["use"] = "model:" + Registry(tmp_path / "models").store(REVERTING, card())
    given = training()
    config = {key: given[key] for key in ("name", "data", "instruments", "execution")} | {
        "start": iso_utc(when.first_ns),
        "end": iso_utc(when.last_ns),
        "seed": 5,
        "accounts": [{"name": "agent", "cash": 100_000.0, "strategies": [strategy]}],
    }
    if use == "model":
        config["models"] = str(tmp_path / "models")
    result = run_backtest(config)
    expected, more = result.summary["accounts"][0], result.summary["more"]["accounts"]["agent"]

    found = run_agent(sample, when, REVERTING if use == "model" else use, seed=5)

    assert found.fills == expected["fills"] > 3
    assert found.total_return == expected["return"]
    assert found.sharpe == pytest.approx(expected["sharpe"], rel=1e-12)
    assert found.max_drawdown == expected["max_drawdown"]
    assert round(found.fees * 1e6) == expected["fees_micros"]
    assert (found.turnover, found.time_in_market) == (more["turnover"], more["time_in_market"])
    day = (result.equity["ts"].to_numpy("datetime64[ns]").astype(np.int64) - 1) // DAY
    by_day = result.equity.groupby(day)["equity_micros"].last()
    assert found.days.tolist() == by_day.index.tolist()
    np.testing.assert_allclose(found.equity, by_day.to_numpy(np.float64) / 1e6, rtol=1e-12)
    assert len(found.returns) == len(found.days) - 1


def card() -> Any:
    return make_card(
        name="m",
        created=datetime(2024, 1, 1, tzinfo=UTC),
        code_version="1",
        algorithm="qlearning",
        timeframe_ns=DAY,
        features=("rsi_14",),
        actions={"kind": "discrete", "size": {"fraction": 0.95}},
    )


# -- by hand ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cost", "lots", "fee", "paid"),
    [
        (0.0, 95, 0.0, 105.0),  # 95 % of 10,000 at the close of 100; bought at the open of 105
        (1.0, 94, 9.87, 105.0),  # 9,500 / (100 x 1.001) = 94.9; 94 x 105 x 0.001
        (2.0, 94, 19.74, 105.0),
    ],
)
def test_buy_and_hold_is_what_the_closes_say_less_its_costs(
    cost: float, lots: int, fee: float, paid: float
) -> None:
    history = made(make_bars(RISE, DAY), 1, 4, taker_bps=10.0)
    for agent in ("buy_and_hold", ALWAYS_BUY):
        found = run_agent(history, history.times.test, agent, cost=cost)
        worth = [10_000.0, *(10_000 + lots * (close - paid) - fee for close in (110, 121, 110))]
        assert found.equity == pytest.approx(worth, abs=1e-6)
        assert found.total_return == pytest.approx(worth[-1] / 10_000 - 1, abs=1e-9)
        assert found.max_drawdown == pytest.approx(1 - worth[3] / worth[2], abs=1e-9)
        assert found.returns == pytest.approx([b / a - 1 for a, b in pairwise(worth)])
        assert (found.fills, round(found.fees, 6)) == (1, fee)
        assert found.time_in_market == 3 / 4


def test_cost_scales_every_fee_and_the_slippage() -> None:
    # At x2: slippage of 20 bps makes 105 105.21; 94 lots: 9,889.74 of notional; 20 bps of it are 19.77948, and 2 cents for
    # each of 94 units 1.88, 21.65948 in all: above the minimum of 2. Of lots: 9,500 / (100.2 x 1.002 + 0.02) = 94.6.
    history = made(
        make_bars(RISE, DAY), 1, 4, taker_bps=10.0, fee_per_unit=0.01, fee_min=1.0,
        slippage=1, slippage_value=10.0,
    )  # fmt: skip
    found = run_agent(history, history.times.test, "buy_and_hold", cost=2.0)
    assert found.fees == pytest.approx(21.65948, abs=1e-6)
    assert found.equity[-1] == pytest.approx(10_000 - 94 * 105.21 - 21.65948 + 94 * 110, abs=1e-6)
    few = made(make_bars(RISE, DAY), 1, 4, fee_min=1.0, actions=Actions(size_kind=SizeKind.UNITS, size=1.0))
    assert [run_agent(few, few.times.test, "buy_and_hold", cost=c).fees for c in (0, 1, 2)] == [0.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("delay", "lots", "opened"),
    [(0, 95, 105.0), (1, 90, 110.0), (2, 82, 121.0)],  # 10,000 pay for 90 of 110, and 82 of 121
)
def test_order_with_a_delay_fills_at_the_open_so_many_bars_later(
    delay: int, lots: int, opened: float
) -> None:
    history = made(make_bars(RISE, DAY), 1, 4)
    found = run_agent(history, history.times.test, "buy_and_hold", delay_bars=delay)
    assert found.equity[-1] == pytest.approx(10_000 + lots * (110 - opened))


def test_delay_passes_while_the_market_is_shut() -> None:
    weekend = join(make_bars(RISE[:2], DAY), make_bars(RISE[2:], DAY, first=5 * DAY))
    history = made(weekend, 1, 4)
    found = run_agent(history, history.times.test, "buy_and_hold", delay_bars=1)
    assert found.equity[-1] == pytest.approx(10_000 + 95 * (110 - 105))


# Closes go 110, 100, 110, 100 ...; 10 units are bought after each fall. Decided at the closes of bars 1 (100) to 8 (110).
@pytest.mark.parametrize(
    ("gaps", "delay", "profit"),
    [
        # it buys at the open of 110 and sells at that of 100, three times; bought a fourth time at 110, worth 110
        (True, 0, -300),
        # opens are the closes before: bought at 100, sold at 110, three times; a fourth time at 100, worth 110
        (False, 0, 400),
        # What bar 1 orders comes at 110 with bar 3. What bar 4 sells (bars 2 and 3 wanted nothing more, or what they had)
        # comes at 100 with bar 6: -100. Bar 5 had it in hand; bar 7 buys, too late for this tape.
        (False, 1, -100),
    ],
)
def test_agent_that_decides_on_a_close_is_paid_by_what_comes_after(
    gaps: bool, delay: int, profit: int
) -> None:
    closes = [110.0, 100.0] * 5
    opens = closes if gaps else [closes[0], *closes]
    rows = make_bars(flat_bars(list(zip(opens, closes, strict=False))), DAY)
    history = made(rows, 1, 8, actions=Actions(size_kind=SizeKind.UNITS, size=10.0))
    found = run_agent(history, history.times.test, CONTRARY, delay_bars=delay)
    assert found.total_return == pytest.approx(profit / 10_000)


def test_rows_after_the_last_close_change_nothing(sample: History) -> None:
    when = sample.times.validation
    after = sample.rows.ts_event >= when.last_ns
    assert after.any()
    changed = replace(sample, rows=sample.rows._replace(price=np.where(after, 1.0, sample.rows.price)))
    before, now = (run_agent(h, when, REVERTING) for h in (sample, changed))
    assert before.fills > 0
    assert before.equity.tolist() == now.equity.tolist()


def test_rows_before_the_first_close_warm_up_only(sample: History) -> None:
    when = sample.times.test
    found = run_agent(sample, when, "momentum")
    assert found.days[0] == (when.first_ns - 1) // DAY
    assert found.equity[0] == 100_000.0
    # its 20 bars are there from the first decision on: it holds something after the first of them
    assert found.equity[1] != 100_000.0


def test_baselines_trade_with_their_own_money_only() -> None:
    margin = AccountSpec("agent", 10_000.0, margin=MarginSpec(leverage=2.0))
    history = made(make_bars(RISE, DAY), 1, 4, margin, Actions(size=1.9))
    # 100 units of 100 bought at 105, and 190 of the model's
    assert run_agent(history, history.times.test, "buy_and_hold").equity[-1] == pytest.approx(10_500)
    assert run_agent(history, history.times.test, ALWAYS_BUY).equity[-1] == pytest.approx(10_950)


@pytest.mark.parametrize(
    ("agent", "more", "message"),
    [
        ("buy_and_sell", {}, "there is no agent 'buy_and_sell'"),
        ("buy_and_hold", {"cost": -1.0}, "neither can be negative"),
        ("buy_and_hold", {"delay_bars": -1}, "neither can be negative"),
    ],
)
def test_agent_that_cannot_be_run_is_refused(agent: str, more: dict[str, Any], message: str) -> None:
    history = made(make_bars(RISE, DAY), 1, 4)
    with pytest.raises(ValueError, match=message):
        run_agent(history, history.times.test, agent, **more)


# -- the score -------------------------------------------------------------------------------------------------------


def test_score_is_the_mean_log_return_of_the_bars() -> None:
    history = made(make_bars(RISE, DAY), 1, 4, taker_bps=10.0)
    # 94 units bought at 105, 9.87 of fees, worth 110 after three bars
    assert Scorer(history, history.times.test)(ALWAYS_BUY) == pytest.approx(math.log(1.046013) / 3, abs=1e-7)
    assert Scorer(history, history.times.test)(NEVER) == 0.0


@pytest.mark.parametrize("cut_by", ["episode_bars", "BARS"])
def test_score_adds_up_episodes_that_follow_each_other(cut_by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if cut_by == "BARS":
        monkeypatch.setattr(judging_score, "BARS", 2)
    history = made(make_bars(RISE, DAY), 1, 4, episode_bars=2 if cut_by == "episode_bars" else 0)
    # bars 1 to 3: 95 units from 105 to 121; a new account at the close of bar 3, 121: 78 units from 121 to 110
    expected = (math.log(1 + 95 * 16 / 10_000) + math.log(1 - 78 * 11 / 10_000)) / 3
    scorer = Scorer(history, history.times.test)
    assert scorer(ALWAYS_BUY) == pytest.approx(expected, abs=1e-7)
    assert scorer(NEVER) == 0.0
    assert scorer(ALWAYS_BUY) == pytest.approx(expected, abs=1e-7)  # nothing is left of the scores before


def test_score_of_a_target_follows_its_value() -> None:
    half = Network(np.zeros(2), np.ones(2), 10.0, (np.zeros((1, 2)),), (np.array([0.5]),))
    history = made(make_bars(RISE, DAY), 1, 4, actions=Actions(target=True, size=1.0, threshold=0.2))
    # 50 units at 105; after that the exposure moves by less than the threshold
    assert Scorer(history, history.times.test)(half) == pytest.approx(math.log(1.025) / 3, abs=1e-7)


# -- the whole -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def judged(sample: History) -> dict[str, Any]:
    return evaluate(sample, REVERTING, seed=3, resamples=200, trials=[0.3, None], random_runs=4)


def test_evaluation_has_each_span_beside_buy_and_hold(sample: History, judged: dict[str, Any]) -> None:
    json.dumps(judged, allow_nan=False)
    for name in ("train", "validation", "test"):
        when = getattr(sample.times, name)
        own, held = run_agent(sample, when, REVERTING), run_agent(sample, when, "buy_and_hold")
        span = judged[name]
        assert (span["return"], span["sharpe"], span["fills"]) == (own.total_return, own.sharpe, own.fills)
        assert span["buy_and_hold"] == held.total_return
        assert span["baselines"]["buy_and_hold"] == held.to_dict()


def test_evaluation_of_the_test_span_has_baselines_costs_and_delay(
    sample: History, judged: dict[str, Any]
) -> None:
    when, test = sample.times.test, judged["test"]
    for rule in ("sma_cross", "momentum", "rsi_reversion"):
        assert test["baselines"][rule] == run_agent(sample, when, rule).to_dict()
    assert list(test["costs"]) == ["x0", "x1", "x2"]
    assert [test["costs"][x]["fees"] for x in ("x0", "x1", "x2")] == sorted(
        test["costs"][x]["fees"] for x in ("x0", "x1", "x2")
    )
    assert test["costs"]["x1"] == run_agent(sample, when, REVERTING).to_dict()
    assert test["costs"]["x0"]["fees"] == 0.0 < test["costs"]["x1"]["fees"]
    assert test["costs"]["x2"] == run_agent(sample, when, REVERTING, cost=2.0).to_dict()
    assert test["delay"] == run_agent(sample, when, REVERTING, delay_bars=1).to_dict() != test["costs"]["x1"]
    chance = test["baselines"]["random"]
    assert chance["runs"] == 4
    assert chance["return"]["low"] < chance["return"]["median"] < chance["return"]["high"]


def test_intervals_hold_the_figures_and_what_is_less_buy_and_hold_is_their_difference(
    judged: dict[str, Any],
) -> None:
    test = judged["test"]
    found = test["intervals"]
    held = test["baselines"]["buy_and_hold"]
    for name in ("return", "sharpe"):
        assert found[name]["estimate"] == pytest.approx(test[name], abs=1e-9)
        less = found[f"{name}_less_buy_and_hold"]
        assert less["estimate"] == pytest.approx(test[name] - held[name], abs=1e-9)
        for bounds in (found[name], less):
            assert bounds["low"] < bounds["estimate"] < bounds["high"]


def test_evaluation_of_the_same_seed_is_the_same(sample: History, judged: dict[str, Any]) -> None:
    again = evaluate(sample, REVERTING, seed=3, resamples=200, trials=[0.3, None], random_runs=4)
    assert again == judged
    other = evaluate(sample, REVERTING, seed=4, resamples=200, trials=[0.3, None], random_runs=4)
    assert other["test"]["intervals"] != judged["test"]["intervals"]
    assert other["test"]["baselines"]["random"] != judged["test"]["baselines"]["random"]


def test_resamples_below_what_the_confidence_needs_are_raised_and_none_give_no_intervals(
    sample: History,
) -> None:
    few = evaluate(sample, REVERTING, resamples=1, confidence=0.9, random_runs=1)
    assert few["test"]["intervals"]["return"]["low"] < few["test"]["intervals"]["return"]["high"]
    none = evaluate(sample, REVERTING, resamples=0, random_runs=1)
    assert none["test"]["intervals"] is None
    assert none["verdict"]


def test_deflated_sharpe_ratio_counts_the_other_models_by_day(
    sample: History, judged: dict[str, Any]
) -> None:
    returns = run_agent(sample, sample.times.test, REVERTING).returns
    own = returns.mean() / returns.std(ddof=1)
    # yearly ratios of 0.3 and none, over the root of 252 trading days
    expected = deflated_sharpe_ratio(returns, [0.3 / 252**0.5, 0.0, own])
    assert judged["deflated_sharpe"] == pytest.approx(expected, rel=1e-12)
    assert judged["trials"] == 3
    assert deflated(np.zeros(30), [0.3], 252) is None


def test_overfitting_is_asked_of_two_models_or_more(sample: History) -> None:
    returns = np.random.default_rng(1).normal(0, 0.01, (64, 5))
    assert overfitting(returns) == backtest_overfitting(returns, 16).probability
    assert overfitting(returns[:9]) == backtest_overfitting(returns[:9], 4).probability
    assert overfitting(None) is None
    assert overfitting(returns[:, :1]) is None
    assert overfitting(returns[:3]) is None


def test_ruined_account_has_figures_or_null_and_never_nan() -> None:
    margin = AccountSpec("agent", 10_000.0, margin=MarginSpec(leverage=4.0, maintenance=0.2))
    fall = flat_bars([(100, 100), (100, 100), (100, 101), (40, 40), (40, 41), (41, 42)])
    history = made(make_bars(fall, DAY), 1, 5, margin, Actions(size=3.8))
    found = evaluate(history, ALWAYS_BUY, random_runs=2)
    json.dumps(found, allow_nan=False)
    # 380 units bought at 100, sold at 40: -22,800 of 10,000
    assert found["test"]["return"] == pytest.approx(-2.28)
    assert found["test"]["sharpe"] is None
    assert found["test"]["intervals"] is None
    assert found["deflated_sharpe"] is None
    assert "no better than buying and holding" in found["verdict"]


# -- walk-forward ----------------------------------------------------------------------------------------------------


def test_walk_forward_joins_what_each_fold_s_own_model_did_after_it() -> None:
    history = load_history(
        load_training(training(spans={"walk_forward": {"folds": 3, "anchored": True}})).config
    )
    models = [REVERTING, QTable((np.array([40.0]),), np.array([[0, 0, 1], [1, 0, 0.0]])), REVERTING]
    seen: list[Times] = []

    def train(times: Times) -> QTable:
        seen.append(times)
        return models[len(seen) - 1]

    found = walk(history, train)

    assert seen == list(history.folds)
    alone = [run_agent(history, t.test, m) for t, m in zip(seen, models, strict=True)]
    held = [run_agent(history, t.test, "buy_and_hold") for t in seen]
    assert [fold["return"] for fold in found.folds] == [run.total_return for run in alone]
    assert [fold["buy_and_hold"] for fold in found.folds] == [run.total_return for run in held]
    # growth of the folds by themselves, multiplied
    for total, runs in ((found.total, alone), (found.total_buy_and_hold, held)):
        growth = math.prod(1.0 + (run.total_return or 0.0) for run in runs)
        assert total["return"] == pytest.approx(growth - 1.0, rel=1e-9)
        worth = np.cumprod(
            np.concatenate([[1.0], *(run.returns + 1.0 for run in runs)])
        )  # its falls, one start after the other
        falls = [1.0 - worth[i:].min() / worth[i] for i in range(len(worth))]
        assert total["max_drawdown"] == pytest.approx(max(falls), rel=1e-9)
    assert found.days.tolist() == sorted(set(found.days.tolist()))
    assert len(found.days) == len(found.returns) == len(found.buy_and_hold)
    json.dumps(found.to_dict(), allow_nan=False)
    seen.clear()
    assert walk_forward(history, train) == found.to_dict()


def test_largest_fall_of_joined_returns_counts_from_before_the_first_day() -> None:
    # 1, 0.8, 0.88, 0.792
    found = joined_figures(np.array([-0.2, 0.1, -0.1]), 252)
    assert found["max_drawdown"] == pytest.approx(0.208)
    assert found["return"] == pytest.approx(-0.208)
    assert joined_figures(np.zeros(0), 252) == {"return": None, "sharpe": None, "max_drawdown": None}


def test_walk_forward_without_folds_is_refused(sample: History) -> None:
    with pytest.raises(ValueError, match="walk_forward"):
        walk_forward(sample, lambda times: REVERTING)


# -- in words --------------------------------------------------------------------------------------------------------


def described(**test: Any) -> dict[str, Any]:
    """An evaluation that raises no objection, but for what is given of its test span or, in `also`, beside it."""
    also = test.pop("also", {})
    low, high = test.pop("less", (0.01, 0.2))
    return {
        "test": {
            "return": 0.2,
            "sharpe": 1.5,
            "fills": 9,
            "buy_and_hold": 0.1,
            "baselines": {
                "buy_and_hold": {"sharpe": 0.8},
                "random": {"return": {"low": -0.1, "median": 0.0, "high": 0.1}},
            },
            "intervals": {"return_less_buy_and_hold": {"estimate": 0.1, "low": low, "high": high}},
            "costs": {"x2": {"return": 0.15}},
            "delay": {"return": 0.18},
            **test,
        },
        "deflated_sharpe": 0.97,
        "trials": 4,
        "pbo": None,
        "confidence": 0.95,
        **also,
    }


def test_verdict_without_objections_is_one_sentence() -> None:
    assert verdict(described()) == (
        "On the test span it earned 20.0 % (Sharpe 1.50), buying and holding 10.0 % (Sharpe 0.80): better than buying and "
        "holding (95 % interval of the difference: +1.0 % to +20.0 %)."
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"return": 0.031, "buy_and_hold": 0.124}, "it earned 3.1 % (Sharpe 1.50), buying and holding 12.4 %"),
        ({"return": 0.031, "buy_and_hold": 0.124}, ": no better than buying and holding (95 %"),
        ({"return": 0.1}, ": no better than buying and holding"),
        ({"less": (-0.02, 0.2)}, "more than buying and holding, but not by more than chance may do"),
        ({"intervals": None}, "but nobody knows whether by more than chance"),
        ({"fills": 0, "return": 0.0}, "it never traded; buying and holding earned 10.0 %."),
        ({"return": None}, "nothing can be said for it"),
        ({"return": -0.05, "buy_and_hold": -0.3}, "It lost money."),
        ({"return": 0.1}, "nine in ten earned -10.0 % to 10.0 %: it is no better than those."),
        ({"costs": {"x2": {"return": -0.01}}}, "With twice the costs nothing of it is left (-1.0 %)."),
        ({"delay": {"return": 0.0}}, "With orders a bar late nothing of it is left (0.0 %)."),
        ({"also": {"deflated_sharpe": 0.4}}, "After 4 trials its Sharpe ratio is more than luck with a probability of 40 %"),
        ({"also": {"deflated_sharpe": 0.4, "trials": 1}}, "After one trial"),
        ({"sharpe": 0.8}, "more than buying and holding, by taking more risk"),
        ({"sharpe": 0.8, "less": (-0.1, 0.2)}, "Its Sharpe ratio is no better than that of buying and holding"),
        ({"also": {"pbo": 0.6}}, "The probability of overfitting is 60 %"),
    ],
)  # fmt: skip
def test_verdict_says_what_speaks_against_a_model(given: dict[str, Any], said: str) -> None:
    assert said in verdict(described(**given))
    assert said not in verdict(described())
