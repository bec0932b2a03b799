"""What the engine runs chooses as the trainer's own `predict` does, on observations of real prices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from daemon.config.training import load_training
from daemon.training.history import load_history
from daemon.training.learners import learn
from engine.engine import Engine
from engine.models import Network
from engine.networks import network_values
from envs.lanes import Lanes
from envs.ppo.fast import FastPPO
from envs.qlearning.lanes import fit_lane_bins
from tests.builders import plain

N = 10_000
CLOSE = 1e-5  # logits that differ by less are a tie
STOCKS = ("AAPL", "GOOG", "IBM", "MSFT")


def config(kind: str, **given: Any) -> Any:
    return load_training(
        {
            "name": "parity",
            "seed": 1,
            "data": [{"source": "sample", "instrument": name} for name in STOCKS],
            "instruments": {name: {"fees": {"bps": 5}} for name in STOCKS},
            "algorithm": "ppo",
            "actions": kind,
            "steps": 8_000,
            "episode_bars": 200,
            "params": {"n_lanes": 32, "n_steps": 32, "batch_size": 256, "net_arch": [16, 16]},
            **given,
        }
    ).config


def real_observations(history: Any) -> Any:
    """What lanes that act by chance see of the four stocks, as it is: (N, k) float64."""
    lanes = Lanes(history.tapes, 100, seed=5)
    rng = np.random.default_rng(5)
    seen = [lanes.reset().astype(np.float64)]
    while len(seen) < N // 100:
        lanes.step(rng.integers(0, 3, 100) if not history.task.actions.target else rng.uniform(-1, 1, 100))
        seen.append(lanes.observations.astype(np.float64))
    return np.concatenate(seen)


@pytest.mark.parametrize("kind", ["discrete", "target"])
def test_network_in_the_engine_acts_as_predict_on_ten_thousand_real_observations(
    tmp_path: Any, kind: str
) -> None:
    chosen = config(kind)
    history = load_history(chosen)
    learned = learn(chosen, history, history.times.train, lambda model: 0.0)
    network = learned.model
    assert isinstance(network, Network)
    (tmp_path / "sb3.zip").write_bytes(learned.files["sb3.zip"])
    trainer = FastPPO.load(tmp_path / "sb3.zip", device="cpu")

    seen = real_observations(history)
    normalised = np.clip((seen - network.mean) * network.scale, -network.clip, network.clip)
    actions, _ = trainer.predict(normalised.astype(np.float32), deterministic=True)
    packed, scratch = network.packed(), np.zeros(2 * network.widest)
    compiled = np.empty((N, network.n_outputs))
    for i, observation in enumerate(
        seen
    ):  # the engine's own function, in plain Python, bit by bit the compiled one
        first = plain(network_values)(packed, 0, observation, network.n_inputs, scratch)
        compiled[i] = scratch[first : first + network.n_outputs]
    if kind == "target":
        theirs = np.asarray(actions, np.float64)[:, 0]
        assert np.abs(np.clip(compiled[:, 0], 0.0, 1.0) - np.clip(theirs, 0.0, 1.0)).max() < CLOSE
        assert np.ptp(theirs) > 10 * CLOSE
        return
    ordered = np.sort(compiled, axis=1)
    tied = ordered[:, -1] - ordered[:, -2] < CLOSE
    assert tied.mean() < 0.01
    assert np.array_equal(compiled.argmax(axis=1)[~tied], np.asarray(actions)[~tied])
    assert len(np.unique(actions)) > 1, "the network must not always do the same"


def test_table_in_the_engine_acts_as_its_definition_on_real_prices() -> None:
    chosen = config(
        "discrete", algorithm="qlearning", features=["log_return_5", "rsi_14", "exposure"], params={}
    )
    history = load_history(chosen)
    table = learn(chosen, history, history.times.train, lambda model: 0.0).model
    tape = history.tapes[0]
    assert fit_lane_bins(history.tapes, history.spans(history.times.train)).edges[2].tolist() == [-1e-9, 1e-9]
    strategy = history.task.strategy(tape.name, history.task.features, table)
    engine = Engine(tape.market.spec(history.task, strategy, trade_from=int(tape.times[tape.ready])))
    out = engine.process(tape.rows)
    decided = out.events[out.events["observation"] >= 0]
    assert len(decided) > 20
    for event in decided:
        observed = out.observations[event["observation"]]
        values = table.values(observed[None, :3])[0]
        assert observed[3:6].tolist() == values.tolist()
        assert event["side"] == (1 if values.argmax() == 2 else -1)
