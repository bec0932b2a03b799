"""What a model does on a path, and how that is judged: by hand, one bar at a time, and beside the lanes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from engine.models import Array, Model, Network, QTable
from envs.controls import running
from envs.controls.agents import EXPOSURE, Ground, make_ground, make_task, positions_of
from envs.controls.markets import FEE_BPS, Leaked, Market, MarkovSwitching, OrnsteinUhlenbeck, Path, Shuffled
from envs.controls.policies import ControlError, rewards_of
from envs.controls.running import CONTROLS, Control, Demand, run_control, run_controls
from envs.controls.solutions import reward_of
from envs.lanes import Lanes
from envs.ppo.settings import PPOSettings
from envs.qlearning.trainer import QSettings
from envs.tapes import Tape
from envs.task import Reward

SEEN = ("leak", EXPOSURE)
ALONE = np.empty(0)
SELLS, HOLDS, BUYS = np.eye(3)


def ground_of(market: Market, path: Path, features: tuple[str, ...], scale: float = 1.0) -> Ground:
    return make_ground(path, path, make_task(market, features, Reward(scale=scale)))


def leaks(leak: Sequence[float]) -> Ground:
    n = len(leak)
    path = Path(np.full(n, 100.0), {"leak": np.array(leak)}, np.zeros(n - 1))
    return ground_of(Leaked(), path, SEEN)


def random_network(tape: Tape) -> Network:
    rng = np.random.default_rng(2)
    task, seen = tape.task, tape.features[tape.ready :]
    of = {name: (x.mean(), 1 / x.std()) for name, x in zip(task.series_features, seen.T, strict=True)}
    mean, scale = np.array([{**of, EXPOSURE: (0.5, 2.0)}[name] for name in task.features]).T
    sizes = (len(mean), 16, 3)
    weights = tuple(rng.normal(size=(b, a)) for a, b in pairwise(sizes))
    return Network(mean.copy(), scale.copy(), 5.0, weights, tuple(np.zeros(b) for b in sizes[1:]))


def never(n_in: int) -> QTable:
    return QTable((ALONE,) * n_in, SELLS[None])


def test_positions_of_a_table_are_those_found_by_hand() -> None:
    # sells below -1, holds between, buys from 1 on; the last close is followed by nothing
    table = QTable((np.array([-1.0, 1.0]), ALONE), np.stack([SELLS, HOLDS, BUYS]))
    ground = leaks([0.0, 1.0, 0.5, -0.5, -1.5, 0.9, 2.0, -1.0, 5.0])
    assert positions_of(table, ground.tape).tolist() == [0, 1, 1, 1, 0, 0, 1, 1]


def test_positions_depend_on_what_is_held() -> None:
    # flat it buys where the leak is positive, long it sells there: it flips at each positive leak
    table = QTable((np.array([0.0]), np.array([0.5])), np.stack([HOLDS, HOLDS, BUYS, SELLS]))
    ground = leaks([1.0, -1.0, 1.0, 1.0, 1.0, -1.0, -1.0, 1.0, 1.0])
    assert positions_of(table, ground.tape).tolist() == [1, 1, 0, 1, 0, 0, 0, 1]


@pytest.mark.parametrize("features", [SEEN, (EXPOSURE, "rsi_14", "leak", "log_return_5")])
def test_positions_of_a_network_are_those_of_one_bar_after_the_other(features: tuple[str, ...]) -> None:
    tape = ground_of(Leaked(), Leaked().paths(3, 400), features).tape
    network = random_network(tape)
    held, expected, actions = 0, [], set()
    for row in tape.features[tape.ready : -1]:
        known = dict(zip(tape.task.series_features, row, strict=True)) | {EXPOSURE: float(held)}
        action = int(np.argmax(network.values(np.array([[known[name] for name in features]]))[0]))
        actions.add((action, held))
        held = (0, held, 1)[action]
        expected.append(held)
    assert len(actions) == 6  # it sells, holds and buys, flat and long
    assert positions_of(network, tape).tolist() == expected


def test_a_feature_of_the_account_other_than_exposure_is_refused() -> None:
    market = Leaked()
    ground = ground_of(market, market.paths(1, 50), ("leak", "drawdown"))
    with pytest.raises(ControlError, match="drawdown"):
        positions_of(never(2), ground.tape)


@pytest.mark.parametrize(
    "market", [MarkovSwitching(), OrnsteinUhlenbeck(), Leaked()], ids=lambda m: type(m).__name__
)
def test_rewards_of_the_positions_are_those_of_the_lanes(market: Market) -> None:
    """The model acts in the engine, on what the lanes show it, and pays the engine's fees."""
    solved = market.solve(FEE_BPS).policy
    edges = (solved.edges, np.array([0.5]))
    wanted = solved.targets.T.reshape(-1, 1)  # by bin, then by what is held
    table = QTable(edges, np.where(wanted == 1, BUYS, SELLS))
    ground = ground_of(market, market.paths(2, 400), (*market.features, EXPOSURE), scale=100.0)
    lanes = Lanes([ground.tape], 1, seed=1, restarts=False)
    lanes.reset()
    lanes.place(0, ground.tape.ready)
    earned: list[float] = []
    while not lanes.truncated[0] and len(earned) < 250:
        lanes.step(table.values(lanes.observations.astype(np.float64)).argmax(axis=1))
        earned.append(float(lanes.rewards[0]))
    positions = positions_of(table, ground.tape)
    assert np.count_nonzero(np.diff(positions[:250])) > 5
    assert np.array(earned) == pytest.approx(
        100 * rewards_of(positions, ground.returns, FEE_BPS)[:250], abs=1e-4
    )


# --- the judge: what is trained is given by hand


def judged(
    monkeypatch: pytest.MonkeyPatch, control: Control, model: Model, **more: Any
) -> running.ControlResult:
    monkeypatch.setattr(running, "learn", lambda *_, **__: (model, 7))
    return run_control(control, QSettings(), Demand(0.9, 7), seed=1, **more)


def of_bins(market: Market, edges: Array) -> QTable:
    policy = market.solve_binned(edges, FEE_BPS).policy
    wanted = policy.targets.T.reshape(-1, 1)
    return QTable((edges, np.array([0.5])), np.where(wanted == 1, BUYS, SELLS))


def test_the_best_table_on_its_bins_earns_the_whole_optimum(monkeypatch: pytest.MonkeyPatch) -> None:
    control = CONTROLS[1]
    result = judged(monkeypatch, control, of_bins(control.market, np.array([-0.7, 0.1, 0.9])))
    assert (result.share, result.error, result.passed, result.steps) == (1.0, 0.0, True, 7)
    assert result.reward_bps == result.best_bps
    assert (
        result.says == "It earned 100.0% ± 0.0% of what the best policy earned on unseen paths; at least 90%."
    )


def test_the_best_table_that_ignores_what_it_holds_falls_short(monkeypatch: pytest.MonkeyPatch) -> None:
    # long in the two lower of four bins; what that earns in the long run is exact on the market's chain
    market = CONTROLS[1].market
    table = QTable((np.array([-0.7, 0.0, 0.7]), ALONE), np.stack([BUYS, BUYS, SELLS, SELLS]))
    result = judged(monkeypatch, CONTROLS[1], table)
    problem, shows = market.problem(table.edges[0])
    targets = np.array([[1, 1, 0, 0]] * 2)
    expected = (
        reward_of(problem, shows, targets, FEE_BPS)
        / market.solve_binned(table.edges[0], FEE_BPS).reward_per_step
    )
    assert result.share == pytest.approx(expected, abs=4 * (result.error or 0.0))
    assert not result.passed
    assert "too little" in result.says


def test_an_agent_that_does_nothing_fails_where_there_is_something_and_passes_where_there_is_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    results = [
        judged(monkeypatch, control, never(1 + len(control.market.features) + len(control.features)))
        for control in CONTROLS
    ]
    assert [result.passed for result in results] == [False, False, False, True]
    assert [result.reward_bps for result in results] == [0.0] * 4
    assert results[3].share is None


@dataclass(frozen=True, eq=False)
class Leaking(Shuffled):
    """Shuffled returns, of which the next one shows by a fault."""

    features = ("leak",)  # type: ignore[assignment] # the other has none

    def paths(self, seed: int, n: int) -> Path:
        path = super().paths(seed, n)
        return replace(path, columns={"leak": np.append(path.returns, 0.0)})


def test_an_agent_that_earns_on_shuffled_returns_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    control = Control("leaking", Leaking(running.fat_tailed()))
    table = QTable((np.array([-0.002, 0.002]), ALONE), np.stack([SELLS, HOLDS, BUYS]))
    result = judged(monkeypatch, control, table)
    assert result.reward_bps > 2 * result.reward_error_bps > 0
    assert not result.passed
    assert "sees what it should not" in result.says


def test_an_agent_is_judged_on_paths_that_it_has_neither_learned_from_nor_been_chosen_by(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    learned: list[str] = []
    chosen: list[str] = []
    looked: list[str] = []

    def look(model: Model, tape: Tape) -> Array:
        looked.append(tape.returns.tobytes().hex())
        return positions_of(model, tape)

    def learn(settings: Any, tapes: Sequence[Tape], evaluate: Any, **_: Any) -> tuple[Model, int]:
        assert evaluate(never(2)) == 0.0
        learned.extend(tape.returns.tobytes().hex() for tape in tapes)
        chosen.extend(looked)
        looked.clear()
        return never(2), 7

    monkeypatch.setattr(running, "learn", learn)
    monkeypatch.setattr(running, "positions_of", look)
    monkeypatch.setattr(running, "BARS", 200)
    run_control(CONTROLS[1], QSettings(), Demand(0.9, 7), seed=1)
    assert [len(learned), len(chosen), len(looked)] == [8, 2, 4]
    assert len({*learned, *chosen, *looked}) == 14


def test_one_bin_on_which_nothing_can_be_earned_fails_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    result = judged(monkeypatch, CONTROLS[0], never(2))
    assert not result.passed
    assert "give more bins" in result.says


def test_a_network_gets_as_many_updates_whatever_one_of_them_takes() -> None:
    demand = Demand(0.9, 10_000, 20)
    few, many = (PPOSettings(n_lanes=n, n_steps=8, batch_size=64) for n in (32, 128))
    # 20 updates of 32 x 8 steps are 5,120, of 128 x 8 steps 20,480
    assert [demand.steps_of(s) for s in (QSettings(), few, many)] == [10_000, 10_000, 20_480]


def test_results_are_plain_data_and_pass_only_together(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(running, "learn", lambda *_, **__: (never(2), 7))
    results = run_controls("qlearning", seed=3, tell=told.append, controls=CONTROLS[:1])
    assert told == ["control 1 of 1: qlearning on Markov switching"]
    said = json.loads(json.dumps(results.to_dict(), allow_nan=False))
    assert (said["passed"], said["algorithm"], said["seed"], said["fee_bps"]) == (False, "qlearning", 3, 20.0)
    assert said["controls"][0]["name"] == "Markov switching"
    one, other = (replace(results.results[0], passed=p) for p in (True, False))
    assert replace(results, results=(one, one)).passed
    assert not replace(results, results=(one, other)).passed
