"""ArenaEnv: agents on one tape, each as if it were alone; PettingZoo's own test; SuperSuit into Stable-Baselines3."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import supersuit
from pettingzoo.test import parallel_api_test
from stable_baselines3 import PPO
from stable_baselines3.common.utils import set_random_seed

from engine.spec import AccountSpec, InstrumentSpec, MarginSpec
from envs.arena_env import ArenaEnv
from envs.errors import TaskError
from envs.lanes import Normaliser
from envs.spans import Span
from envs.tapes import Tape
from envs.task import Actions, Market, Reward, Task
from envs.trading_env import TradingEnv
from tests.builders import MINUTE, make_bars

MARKET = Market(InstrumentSpec("A", taker_bps=5.0))
CAREFUL = Task(
    AccountSpec("a", 10_000.0),
    MINUTE,
    ("log_return", "sma_gap_10", "exposure"),
    reward=Reward(drawdown_penalty=1.0),
)
BOLD = Task(
    AccountSpec("a", 10_000.0, margin=MarginSpec(4.0, 0.0)),
    MINUTE,
    ("log_return", "exposure"),
    Actions(True, True, size=4.0),
    Reward(risk=2.0),
)
ALIKE = {
    name: replace(CAREFUL, actions=Actions(target=True), reward=reward, episode_bars=20)
    for name, reward in (("fearful", Reward(drawdown_penalty=1.0)), ("greedy", Reward(risk=2.0)))
}


def wave(n: int) -> list[tuple[float, float, float, float]]:
    closes = [100 + 10 * math.sin(i / 7) + i / 100 for i in range(n)]
    return [(c, c, c, c) for c in closes]


def arena(tasks: dict[str, Task], bars: Any = None, **more: Any) -> ArenaEnv:
    rows = make_bars(wave(80) if bars is None else bars)
    return ArenaEnv({name: [Tape("A", rows, MARKET, task)] for name, task in tasks.items()}, **more)


def test_pettingzoo_finds_no_fault(capsys: pytest.CaptureFixture[str]) -> None:
    # its warnings are errors here
    parallel_api_test(arena({"careful": CAREFUL, "bold": BOLD}), num_cycles=200)
    assert "Passed" in capsys.readouterr().out


def test_each_agent_lives_as_if_it_were_alone() -> None:
    rows = make_bars(wave(80))
    tapes = {"careful": [Tape("A", rows, MARKET, CAREFUL)], "bold": [Tape("A", rows, MARKET, BOLD)]}
    normalisers = {"bold": Normaliser(np.array([0.001, 0.5]), np.array([50.0, 0.3]))}
    env = ArenaEnv(tapes, normalisers=normalisers)
    span = Span(9, 80)  # sma_gap_10 has its ten bars at bar 9
    alone = {name: TradingEnv(own, [span], normalisers.get(name)) for name, own in tapes.items()}
    observations, infos = env.reset()
    rng = np.random.default_rng(5)
    for name, own in alone.items():
        observation, info = own.reset()
        np.testing.assert_array_equal(observations[name], observation)
        assert infos[name] == info
    for _ in range(70):  # to bar 79, the last
        assert env.agents == ["careful", "bold"]
        actions = {"careful": int(rng.integers(3)), "bold": rng.uniform(-1, 1, 1).astype(np.float32)}
        steps = env.step(actions)
        for name, own in alone.items():
            observation, *others, info = own.step(actions[name])
            np.testing.assert_array_equal(steps[0][name], observation)
            assert [part[name] for part in steps[1:]] == [*others, info]
            infos[name] = info
    assert env.agents == []
    assert infos["careful"]["fees"] > 0
    assert infos["bold"]["equity"] != infos["careful"]["equity"]


def test_who_is_ruined_leaves_and_the_others_go_on() -> None:
    env = arena({"careful": CAREFUL, "bold": BOLD}, [*wave(12), *[(80, 80, 80, 80)] * 5], render_mode="ansi")
    env.reset()
    assert env.agents == ["careful", "bold"]
    all_in = {"careful": 1, "bold": np.ones(1, np.float32)}
    for _ in range(2):
        env.step(all_in)
    # four times its equity at more than 100: at 80 nothing is left of it
    _, _, terminations, truncations, infos = env.step(all_in)
    assert (terminations, truncations) == (
        {"careful": False, "bold": True},
        {"careful": False, "bold": False},
    )
    assert infos["bold"]["equity"] < 1_000
    assert env.agents == ["careful"]
    assert env.possible_agents == ["careful", "bold"]
    observations, rewards, *_ = env.step({"careful": 1})
    assert observations.keys() == rewards.keys() == {"careful"}
    lines = str(env.render()).splitlines()
    assert [line.split()[0] for line in lines] == ["careful", "bold"]
    with pytest.raises(ValueError, match="'bold' differs"):
        env.step(all_in)
    with pytest.raises(ValueError, match="'careful' differs"):
        env.step({})


def test_all_begin_at_one_bar_that_leaves_room_for_the_longest_episode() -> None:
    env = arena({"careful": replace(CAREFUL, episode_bars=10), "bold": replace(BOLD, episode_bars=30)})
    places = []
    for seed in [7, *[None] * 999]:
        infos = env.reset(seed)[1]
        assert infos["careful"]["bar"] == infos["bold"]["bar"]
        assert infos["careful"]["time"] == infos["bold"]["time"]
        places.append(infos["bold"]["bar"])
    assert {*places} == {*range(9, 50)}  # bar 49 and 30 more: bar 79 is the last of 80
    assert places[0] == env.reset(7)[1]["bold"]["bar"]
    assert places[1] == env.reset()[1]["bold"]["bar"]
    assert env.reset(options={"start": 44})[1]["careful"]["bar"] == 44


def test_agents_on_different_tapes_are_refused() -> None:
    careful, bold = (Tape("A", make_bars(wave(80)), MARKET, task) for task in (CAREFUL, BOLD))
    with pytest.raises(TaskError, match="A of careful and A of bold differ in their rows"):
        ArenaEnv({"careful": [careful], "bold": [Tape("A", make_bars(wave(81)), MARKET, BOLD)]})
    dearer = [(101, 101, 101, 101), *wave(80)[1:]]
    with pytest.raises(TaskError, match="differ in their rows"):
        ArenaEnv({"careful": [careful], "bold": [Tape("A", make_bars(dearer), MARKET, BOLD)]})
    slower = Tape("A", make_bars(wave(80)), MARKET, replace(BOLD, timeframe_ns=2 * MINUTE))
    with pytest.raises(TaskError, match="when bars close"):
        ArenaEnv({"careful": [careful], "bold": [slower]})
    with pytest.raises(TaskError, match="careful has 1 tapes and bold 2"):
        ArenaEnv({"careful": [careful], "bold": [bold, bold]})
    with pytest.raises(TaskError, match="without agents"):
        ArenaEnv({})
    with pytest.raises(TaskError, match="normaliser of 'brave'"):
        ArenaEnv({"bold": [bold]}, normalisers={"brave": Normaliser.none(2)})


def vector_env(env: Any) -> Any:
    one = supersuit.pettingzoo_env_to_vec_env_v1(env)
    return supersuit.concat_vec_envs_v1(one, num_vec_envs=4, num_cpus=1, base_class="stable_baselines3")


def learned(vec: Any, seed: int) -> np.ndarray[Any, Any]:
    set_random_seed(seed)  # PPO's own `seed` would ask SuperSuit's environment for a method that it lacks
    vec.venv.reset(seed=seed)
    kwargs = {"net_arch": [8]}
    model = PPO("MlpPolicy", vec, n_steps=32, batch_size=64, n_epochs=1, policy_kwargs=kwargs, device="cpu")
    model.learn(512)
    return np.concatenate([p.detach().numpy().ravel() for p in model.policy.parameters()])


def test_supersuit_into_stable_baselines3_learns_the_same_from_the_same_seed() -> None:
    vec = vector_env(arena(ALIKE))
    assert vec.num_envs == 8
    observations, infos = vec.venv.reset(seed=7)
    bars = [info["bar"] for info in infos]
    assert bars[::2] == bars[1::2]  # two agents of one arena begin together,
    assert len({*bars}) > 1  # its copies do not
    np.testing.assert_array_equal(vec.venv.reset(seed=7)[0], observations)
    first = learned(vec, 7)
    np.testing.assert_array_equal(first, learned(vec, 7))
    assert not np.array_equal(first, learned(vec, 8))


def test_supersuit_goes_on_where_agents_are_ruined() -> None:
    ruinous = {name: replace(task, ruin=0.99, episode_bars=0) for name, task in ALIKE.items()}
    env = arena(ruinous)
    vec = vector_env(supersuit.black_death_v3(env))
    vec.reset()
    one_buys = np.tile([[0.0], [1.0]], (4, 1)).astype(np.float32)
    ended = gone = 0
    for _ in range(300):
        observations, rewards, done, _ = vec.step(one_buys)
        assert np.isfinite(observations).all()
        assert np.isfinite(rewards).all()
        ended += int(done.all())
        gone += int(not observations[1].any() and observations[0].any())
    assert ended >= 3  # episodes of 71 steps
    assert gone > 50  # who buys is ruined long before they end
