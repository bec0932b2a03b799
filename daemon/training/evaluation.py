"""The honest evaluation of a trained model: every figure beside what could be had without it, and beside chance.

Nothing here is chosen by its result. The test span is looked at for the one model that the training chose by its
validation span; each time that another model of the same data is evaluated counts as a trial against it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from daemon.training.judging import (
    RANDOM,
    Agent,
    Chance,
    Performance,
    days_per_year,
    run_agent,
    run_agents,
)
from daemon.training.judging_folds import WalkForward, walk
from daemon.training.judging_score import Scorer
from daemon.training.judging_verdict import verdict
from envs.statistics import Interval, backtest_overfitting, deflated_sharpe_ratio, intervals, sharpe_ratio
from strategies.rules import RULES

if TYPE_CHECKING:
    from daemon.training.history import History, Times
    from engine.models import Model

__all__ = [
    "Agent",
    "Chance",
    "Performance",
    "Scorer",
    "WalkForward",
    "days_per_year",
    "evaluate",
    "run_agent",
    "run_agents",
    "walk",
    "walk_forward",
]

Array = np.ndarray[Any, Any]
HOLD = "buy_and_hold"
COSTS = (0.0, 1.0, 2.0)
RANDOM_RUNS = 20
_TOSSES = 200_000  # of all of them: Python is asked at each bar, which takes its time
_FEWEST = 5
_MODEL = "model"
_BLOCKS = 16  # of the cross-validation, where there are days enough


def evaluate(
    history: History,
    model: Model,
    *,
    seed: int = 0,
    resamples: int = 1000,
    confidence: float = 0.95,
    min_deflated_sharpe: float = 0.95,
    trials: Sequence[float | None] = (),
    trial_returns: Array | None = None,
    random_runs: int | None = None,
) -> dict[str, Any]:
    """All that is to be known of a model, as plain values for its card.

    trials: yearly Sharpe ratios on the test span of the other models of the same data that there are, None counting as 0.
    trial_returns: (days, models) daily returns of two or more of them, this one among them, over one span, or None.
    resamples: of the bootstrap, 0: no intervals; below what the confidence needs, as many as it needs. random_runs: None: 20,
    and on a test span of more than 10,000 bars in all fewer, but at least 5.

    train, validation, test: the figures of `Performance`, with `buy_and_hold`, the return of that, and `baselines`: all of
    its figures. test has more: baselines of the rules, with their default parameters, and of chance (`random`: the median
    of its runs, and what 5 % of them are below and above); `intervals` of return and Sharpe ratio, also of their
    differences to buy and hold, by the same days; `costs` x0, x1 and x2; `delay`, with orders a bar late.
    deflated_sharpe: the probability that the test span's Sharpe ratio is more than the luck of the best of all trials.
    trials: how many those are, this one included. pbo: the probability of backtest overfitting. verdict: all that in words.
    An undefined figure is None. Raises what `run_agents` does, and ValueError for trials that are no numbers.
    """
    days = days_per_year(history)
    others = {rule: rule for rule in RULES}
    times = history.times
    if random_runs is None:
        bars = sum(map(len, history.spans(times.test)))
        random_runs = max(_FEWEST, min(RANDOM_RUNS, _TOSSES // bars))
    # each tosses by its own name
    chance = {f"{RANDOM}-{k}": Chance(seed) for k in range(random_runs)}
    found: dict[str, Any] = {}
    for name in ("train", "validation"):
        runs = run_agents(history, getattr(times, name), {_MODEL: model, HOLD: HOLD})
        found[name] = _span(runs)
    runs = run_agents(history, times.test, {_MODEL: model, **others, **chance})
    own, held = runs[_MODEL], runs[HOLD]
    test = _span({name: runs[name] for name in (_MODEL, *others)})
    test["baselines"][RANDOM] = _of_chance([runs[name] for name in chance])
    rng = np.random.default_rng(seed)
    test["intervals"] = _intervals(own.returns, held.returns, rng, resamples, confidence, days)
    test["costs"] = {
        f"x{cost:g}": (own if cost == 1.0 else run_agent(history, times.test, model, cost=cost)).to_dict()
        for cost in COSTS
    }
    test["delay"] = run_agent(history, times.test, model, delay_bars=1).to_dict()
    found["test"] = test
    found["deflated_sharpe"] = deflated(own.returns, trials, days)
    found["trials"] = len(trials) + 1
    found["pbo"] = overfitting(trial_returns)
    found["confidence"] = confidence
    found["days_per_year"] = days
    found["verdict"] = verdict(found, min_deflated_sharpe)
    return found


def deflated(returns: Array, trials: Sequence[float | None], yearly: int) -> float | None:
    """The deflated Sharpe ratio of (n,) daily returns; trials: the yearly ratios of all others, of so many days a year.

    None where the returns do not define it. Raises ValueError where a ratio is no finite number.
    """
    own = sharpe_ratio(returns)
    if own is None:
        return None
    others = [(ratio or 0.0) / math.sqrt(yearly) for ratio in trials]
    return deflated_sharpe_ratio(returns, [*others, own])


def overfitting(trial_returns: Array | None) -> float | None:
    """Probability of backtest overfitting of (days, models) returns; None where two models or the days are not there."""
    if trial_returns is None or trial_returns.shape[1] < 2 or len(trial_returns) < 4:
        return None
    blocks = min(_BLOCKS, len(trial_returns) // 4 * 2)
    return backtest_overfitting(trial_returns, blocks).probability


def walk_forward(history: History, train: Callable[[Times], Model]) -> dict[str, Any]:
    """The figures of each fold's model on its own test span, and of all of them joined, as plain values; see `walk`."""
    return walk(history, train).to_dict()


def _span(runs: Mapping[str, Performance]) -> dict[str, Any]:
    baselines = {name: run.to_dict() for name, run in runs.items() if name != _MODEL}
    return {
        **runs[_MODEL].to_dict(),
        HOLD: runs[HOLD].total_return,
        "baselines": baselines,
    }


def _of_chance(runs: Sequence[Performance]) -> dict[str, Any]:
    return {
        "runs": len(runs),
        "return": _spread([run.total_return for run in runs]),
        "sharpe": _spread([run.sharpe for run in runs]),
    }


def _spread(values: Sequence[float | None]) -> dict[str, float] | None:
    given = [value for value in values if value is not None]
    if not given:
        return None
    low, median, high = np.quantile(given, (0.05, 0.5, 0.95)).tolist()
    return {"low": low, "median": median, "high": high}


def _intervals(
    own: Array, held: Array, rng: np.random.Generator, resamples: int, level: float, days: int
) -> dict[str, Any] | None:
    if not resamples or not len(own):
        return None
    n = max(resamples, math.ceil(2.0 / (1.0 - level)))
    found = {"": intervals(own, rng, level=level, resamples=n)}
    if len(held) == len(own):
        found["_less_buy_and_hold"] = intervals(own, rng, held, level=level, resamples=n)
    return {
        name + suffix: _bounds(given)
        for suffix, figures in found.items()
        for name, given in (
            ("return", figures["total_return"]),
            ("sharpe", figures["sharpe"].scaled(math.sqrt(days))),
        )
    }


def _bounds(interval: Interval) -> dict[str, float | None]:
    return {"estimate": interval.estimate, "low": interval.low, "high": interval.high}
