"""Nothing of the test span reaches a model: another future, the same weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from daemon.config.training import load_training
from daemon.training.history import History, load_history
from daemon.training.train import train
from engine.models import Model
from strategies.models import Registry

DAYS = 700
PPO = {"n_lanes": 16, "n_steps": 16, "batch_size": 64, "net_arch": [8]}


def prices(folder: Path, name: str, other_from: int = DAYS) -> Path:
    """A file of daily bars; from that day on the prices are others."""
    rng = np.random.default_rng(3)
    returns = rng.normal(0.0005, 0.02, DAYS)
    returns[other_from:] = np.random.default_rng(4).normal(0.0, 0.05, DAYS - other_from)
    close = np.round(100 * np.exp(np.cumsum(returns)), 2)
    opened = np.concatenate([[100.0], close[:-1]])
    frame = pd.DataFrame({
        "date": pd.date_range("2015-01-01", periods=DAYS, freq="D").strftime("%Y-%m-%d"),
        "open": opened,
        "high": np.maximum(opened, close),
        "low": np.minimum(opened, close),
        "close": close,
        "volume": np.random.default_rng(5).integers(1000, 5000, DAYS),
    })  # fmt: skip
    frame.to_csv(folder / name, index=False)
    return folder / name


def trained(path: Path, algorithm: str) -> tuple[Model, History]:
    """The model of a whole training, as the command makes it, and its history."""
    loaded = load_training(
        {
            "name": "leak",
            "seed": 2,
            "data": [{"source": "csv", "path": str(path), "instrument": "X", "bar": "1d"}],
            "instruments": {"X": {"fees": {"bps": 5}, "lot_size": 0.01, "calendar": "24/7"}},
            "algorithm": algorithm,
            "features": ["log_return", "sma_gap_10", "rsi_14", "exposure"],
            "steps": 6_000,
            "episode_bars": 60,
            "params": PPO if algorithm == "ppo" else {"bins": 3},
            "evaluation": {"controls": False, "bootstrap": 0},
        }
    )
    models = path.parent / "models"
    result = train(loaded, models=models)
    return Registry(models).load(result["model"]).model, load_history(loaded.config)


@pytest.mark.parametrize("algorithm", ["qlearning", "ppo"])
def test_model_is_the_same_whatever_comes_after_its_validation_span(tmp_path: Path, algorithm: str) -> None:
    model, history = trained(prices(tmp_path, "one.csv"), algorithm)
    test = history.tapes[0].times[history.spans(history.times.test)[0].start]
    first_test_day = int((test - history.tapes[0].times[0]) // (86_400 * 10**9))
    assert first_test_day > 500
    other, changed = trained(prices(tmp_path, "other.csv", first_test_day), algorithm)
    assert changed.data_hash != history.data_hash
    assert other == model
    # and it is not so for want of looking: another past makes another model
    past, _ = trained(prices(tmp_path, "past.csv", 200), algorithm)
    assert past != model


def test_fitted_bins_and_normalisation_are_those_of_the_training_span_alone(tmp_path: Path) -> None:
    model: Any = trained(prices(tmp_path, "one.csv"), "ppo")[0]
    _, history = trained(prices(tmp_path, "one.csv"), "ppo")
    (span,) = history.spans(history.times.train)
    seen = history.tapes[0].features[span.slice]
    assert model.mean[:3] == pytest.approx(seen.mean(axis=0), rel=1e-12)
    assert 1 / model.scale[:3] == pytest.approx(seen.std(axis=0), rel=1e-12)
    table: Any = trained(prices(tmp_path, "one.csv"), "qlearning")[0]
    for k in range(3):
        assert table.edges[k] == pytest.approx(np.quantile(seen[:, k], [1 / 3, 2 / 3]), rel=1e-12)
