"""An episode in TradingEnv and a backtest on the same history: the same fills and equity, to the last micro.

On real prices with splits, dividends, fees and slippage, from the middle of the tape; the decisions of the backtest come
from a strategy in Python that plays what was recorded, or from a trained model in a registry that decided in both.
"""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daemon.backtest import BacktestResult, run_backtest
from daemon.config.training import load_training
from daemon.training.environments import training_env
from daemon.training.history import load_history
from engine.models import Network
from envs.normalise import fit_normaliser
from envs.trading_env import TradingEnv
from strategies.models import Registry
from strategies.models.card import make_card

STRATEGY = '''
from pydantic import BaseModel

from strategies import Bar, Context, Strategy


class Recorded(Strategy):
    """Does at each bar what stands next in a list."""

    class Params(BaseModel):
        actions: list[float]
        share: float
        target: bool

    def on_start(self, ctx: Context) -> None:
        self.to_come = list(reversed(self.params.actions))

    def on_bar(self, ctx: Context, bar: Bar) -> None:
        if not self.to_come:
            return
        action = self.to_come.pop()
        if self.params.target:
            ctx.target_fraction(bar.instrument, round(action, 3) * self.params.share)
        elif action == 0:
            ctx.target(bar.instrument, 0)
        elif action == 2 and not ctx.position(bar.instrument):
            ctx.target_fraction(bar.instrument, self.params.share)
'''
MARKET: dict[str, Any] = {
    "data": [{"source": "sample", "instrument": "AAPL"}],
    "instruments": {"AAPL": {"fees": {"bps": 5, "minimum": 1}}},
    "execution": {"slippage_bps": 2},
}
DISCRETE: dict[str, Any] = {"kind": "discrete", "size": {"fraction": 0.95}}
TARGET: dict[str, Any] = {"kind": "target", "size": {"fraction": 0.95}}
SHORT: dict[str, Any] = {"kind": "target", "size": {"fraction": 1.9}, "short": True, "threshold": 0.1}
MARGIN: dict[str, Any] = {"margin": {"leverage": 2, "borrow_rate": 0.03, "debit_rate": 0.06}}
ACCOUNT: dict[str, Any] = {"cash": 100_000, "limits": {"on_breach": "resize"}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of strategies and models."""
    made = tmp_path_factory.mktemp("parity")
    (made / "recorded.py").write_text(STRATEGY)
    return made


def training(actions: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "name": "parity",
        **MARKET,
        "algorithm": "ppo",
        "actions": actions,
        "account": ACCOUNT,
        "steps": 1,
        **more,
    }


def backtest(strategy: dict[str, Any], start_ns: int, folder: Path, **account: Any) -> BacktestResult:
    start = datetime.fromtimestamp(start_ns // 10**9, UTC)
    accounts = [{"name": "a", **ACCOUNT, **account, "strategies": [{"instruments": ["AAPL"], **strategy}]}]
    rest = {
        "name": "parity",
        "start": start.isoformat(),
        "strategy_folder": str(folder),
        "models": str(folder),
    }
    return run_backtest({**MARKET, **rest, "accounts": accounts})


def episode(env: TradingEnv, start: int, decide: Any) -> tuple[list[float], list[dict[str, Any]]]:
    """The actions of an episode, and its infos from the start on."""
    observation, info = env.reset(options={"start": start})
    actions, infos, over = [], [info], False
    while not over:
        action = decide(observation)
        observation, _, terminated, truncated, info = env.step(action)
        actions.append(float(np.asarray(action).item()))
        infos.append(info)
        over = terminated or truncated
    return actions, infos


def compare(infos: list[dict[str, Any]], result: BacktestResult) -> None:
    """Fills and equity agree exactly up to the end of the episode; the splits and dividends were in it."""
    end = infos[-1]["time"]  # what is decided then fills at the open of the next bar, at the same time
    fills = result.fills[result.fills["ts"].astype("int64") < end]
    expected = zip(
        fills["ts"].astype("int64"), fills["side"].astype(str), fills["last_qty"], fills["last_px"], fills["fee_micros"],
        strict=True,
    )  # fmt: skip
    assert [
        (f["ts_event"], f["side"], f["last_qty"], f["last_px"], round(f["fee"] * 1e6))
        for i in infos
        for f in i["fills"]
    ] == list(expected)
    assert len(fills) > 50
    equity = result.equity[result.equity["ts"].astype("int64") <= end]
    columns = (equity["ts"].astype("int64"), equity["equity_micros"], equity["cash_micros"])
    assert [(i["time"], round(i["equity"] * 1e6), round(i["cash"] * 1e6)) for i in infos] == list(
        zip(*columns, strict=True)
    )
    actions = result.actions[result.actions["ts"].astype("int64").between(infos[0]["time"], end)]
    assert "SPLIT" in {*actions["code"]}
    # the split came over a position: twice as many shares, but for what was traded on that day
    assert any(
        a["position"] != 0 and b["position"] == 2 * a["position"] + bought(b) for a, b in pairwise(infos)
    )


def bought(info: dict[str, Any]) -> float:
    """What the fills of a step did to the position."""
    return sum(f["last_qty"] * (1 if f["side"] == "BUY" else -1) for f in info["fills"])


@pytest.mark.parametrize(
    ("actions", "episode_bars"),
    [(DISCRETE, None), (TARGET, None), (DISCRETE, 700)],
    ids=["discrete", "target", "cut"],
)
def test_recorded_actions_give_the_episode_again(
    actions: dict[str, Any], episode_bars: int | None, folder: Path
) -> None:
    env = TradingEnv(
        training_env(training(actions, episode_bars=episode_bars)).tapes
    )  # to the end of the tape
    start = int(
        np.searchsorted(env.tapes[0].times, 1_100_000_000 * 10**9)
    )  # November 2004; the split is in February
    rng = np.random.default_rng(3)
    # it holds for days on end, so that a split finds it so
    targets, discrete = (0.0, 0.25, 0.5, 0.123, 1.0), (0, 1, 1, 1, 1, 2, 2)
    drawn: Any = (
        (lambda seen: np.array([rng.choice(targets)], np.float32))
        if actions["kind"] == "target"
        else lambda seen: rng.choice(discrete)
    )
    played, infos = episode(env, start, drawn)
    params = {"actions": played, "share": 0.95, "target": actions["kind"] == "target"}
    result = backtest(
        {"use": "recorded:Recorded", "timeframe": "1d", "params": params}, infos[0]["time"], folder
    )
    compare(infos, result)
    assert len(played) == (episode_bars or len(env.tapes[0]) - 1 - start)


def test_model_gives_the_same_episode_in_a_backtest(folder: Path) -> None:
    """Long and short with leverage and interest, decided by a network in the environment and inside the engine."""
    config = training(SHORT, account={**ACCOUNT, **MARGIN})
    env = training_env(config)
    history = load_history(load_training(config).config)
    seen = fit_normaliser(history.tapes, history.spans(history.times.train), seed=1)
    rng = np.random.default_rng(2)
    sizes = [len(history.task.features), 16, 1]
    weights = tuple(rng.normal(0, 2 / np.sqrt(a), (b, a)) for a, b in pairwise(sizes))
    model = Network(seen.mean, seen.scale, 5.0, weights, tuple(rng.normal(0, 0.1, b) for b in sizes[1:]))
    start = int(np.searchsorted(env.tapes[0].times, 1_100_000_000 * 10**9))
    _, infos = episode(env, start, lambda seen: model.values(seen[None].astype(np.float64))[0])
    card = make_card(
        name="random",
        created=datetime(2024, 1, 1, tzinfo=UTC),
        code_version="1",
        algorithm="ppo",
        features=history.task.features,
        timeframe_ns=history.task.timeframe_ns,
        actions=SHORT,
    )
    use = f"model:{Registry(folder).store(model, card)}"
    compare(infos, backtest({"use": use}, infos[0]["time"], folder, **MARGIN))
    assert min(i["position"] for i in infos) < 0 < max(i["position"] for i in infos)
