"""Walk-forward: an agent is trained anew for each fold and judged on what comes after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from daemon.metrics import sharpe
from daemon.training.judging import Performance, days_per_year, run_agents

if TYPE_CHECKING:
    from daemon.training.history import History, Times
    from engine.models import Model

Array = np.ndarray[Any, Any]
_MODEL, _HOLD = "model", "buy_and_hold"


@dataclass(frozen=True, eq=False)
class WalkForward:
    """What the models of all folds did on the test spans that follow each other, each model on its own.

    folds: for each its times and figures. days: (d,) int64, days since 1970; returns, buy_and_hold: (d,) float64, simple daily
    returns of these days, one fold's behind the other's. Every fold begins with the account's cash and nothing held; the
    first day of a fold has no return. They are empty where an account was ruined. total, total_buy_and_hold: return, Sharpe
    ratio of a year and largest fall of the joined returns, None where not defined.
    """

    folds: tuple[dict[str, Any], ...]
    days: Array
    returns: Array
    buy_and_hold: Array
    total: dict[str, float | None]
    total_buy_and_hold: dict[str, float | None]

    def to_dict(self) -> dict[str, Any]:
        """Its figures as JSON has them, without the days."""
        return {"folds": list(self.folds), **self.total, "buy_and_hold": self.total_buy_and_hold}


def walk(history: History, train: Callable[[Times], Model]) -> WalkForward:
    """Train on each of the history's folds and run the model on its test span, with buy and hold beside it.

    train: makes a model of a fold's train and validation spans; what it does with the test span is on its conscience.
    Raises ValueError where the history has no folds, and what `train` and `run_agents` do.
    """
    if not history.folds:
        raise ValueError(
            "there are no folds to walk through; write spans: {walk_forward: {folds: 4}} in the configuration"
        )
    found: list[dict[str, Any]] = []
    runs: list[dict[str, Performance]] = []
    for times in history.folds:
        agents: dict[str, Any] = {_MODEL: train(times), _HOLD: _HOLD}
        run = run_agents(history, times.test, agents)
        runs.append(run)
        spans = {name: getattr(times, name).iso for name in ("train", "validation", "test")}
        held = run[_HOLD].to_dict()
        found.append(
            {
                "spans": spans,
                **run[_MODEL].to_dict(),
                _HOLD: held["return"],
                "baselines": {_HOLD: held},
            }
        )
    model, hold = (_joined([run[name] for run in runs]) for name in (_MODEL, _HOLD))
    yearly = days_per_year(history)
    return WalkForward(
        folds=tuple(found),
        days=np.concatenate([run[_MODEL].days[1:] for run in runs]) if len(model) else np.zeros(0, np.int64),
        returns=model,
        buy_and_hold=hold,
        total=joined_figures(model, yearly),
        total_buy_and_hold=joined_figures(hold, yearly),
    )


def _joined(runs: list[Performance]) -> Array:
    if any(len(run.returns) != len(run.days) - 1 for run in runs):
        return np.zeros(0)
    return np.concatenate([run.returns for run in runs])


def joined_figures(returns: Array, yearly: int) -> dict[str, float | None]:
    """Return, Sharpe ratio of a year and largest fall from a peak of (d,) daily returns; None where there are none."""
    if len(returns) == 0:
        return {"return": None, "sharpe": None, "max_drawdown": None}
    worth = np.concatenate([[1.0], np.cumprod(1.0 + returns)])
    return {
        "return": float(worth[-1]) - 1.0,
        "sharpe": sharpe(returns, yearly),
        "max_drawdown": float((1.0 - worth / np.maximum.accumulate(worth)).max()),
    }
