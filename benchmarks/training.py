"""How fast agents learn: lanes, Q-learning, PPO beside Stable-Baselines3 over SuperSuit, and a decision in the engine.

    python -m benchmarks.training            nine rounds
    python -m benchmarks.training --quick    three

One tape for all: 100,000 made-up minute bars, the default observation, fees. PPO is measured end to end, rollouts and
updates, on two threads, beside the same task as a PettingZoo environment of four agents, four copies of it, made into a
vector environment by SuperSuit, under Stable-Baselines3's own PPO.
"""

import argparse
import sys
from collections.abc import Callable
from itertools import pairwise
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from daemon.compiled import prepare
from engine.bars import bar_path
from engine.engine import Engine
from engine.models import Network, QTable
from engine.policies import Policy
from engine.records import SECOND, SizeKind, Ticks
from engine.spec import AccountSpec, EngineSpec, InstrumentSpec, StrategySpec
from envs.lanes import Lanes
from envs.tapes import Tape
from envs.task import DEFAULT_FEATURES, Market, Task

MINUTE = 60 * SECOND
BARS = 100_000
LANES, LANE_STEPS = 1024, 200
TABLE_STEPS = 4_000_000
PPO_STEPS, STOCK_STEPS = 131_072, 8_192
NETWORK = 64
TABLE_FEATURES = ("log_return_5", "sma_gap_20", "rsi_14", "exposure")


def rows() -> Ticks:
    """The tape's rows, the same each time."""
    rng = np.random.default_rng(7)
    close = np.round(100.0 * np.exp(np.cumsum(rng.normal(0, 1e-3, BARS))), 2)
    before = np.concatenate([[100.0], close[:-1]])
    high = np.maximum(before, close) + np.round(rng.uniform(0, 0.05, BARS), 2)
    low = np.minimum(before, close) - np.round(rng.uniform(0, 0.05, BARS), 2)
    start = np.arange(BARS, dtype=np.int64) * MINUTE
    return bar_path(start, MINUTE, before, high, low, close, rng.uniform(50, 150, BARS), 0)


def tape(features: tuple[str, ...] = DEFAULT_FEATURES) -> Tape:
    """The tape, prepared for a task with those features."""
    task = Task(AccountSpec("a", 100_000.0), MINUTE, features, episode_bars=500)
    return Tape("A", rows(), Market(InstrumentSpec("A", taker_bps=5.0)), task)


def timed(rounds: int, work: Callable[[], Any]) -> list[float]:
    """Seconds of so many rounds; one before them does not count."""
    work()
    taken = []
    for _ in range(rounds):
        began = perf_counter()
        work()
        taken.append(perf_counter() - began)
    return taken


def lane_seconds(prepared: Tape, rounds: int) -> list[float]:
    """Random actions in all lanes, on two threads."""
    lanes = Lanes([prepared], LANES, seed=1, threads=2)
    lanes.reset()
    actions = np.random.default_rng(1).integers(0, 3, (LANE_STEPS, LANES)).astype(np.float64)

    def work() -> None:
        for each in actions:
            lanes.step(each)

    return timed(rounds, work)


def table_seconds(rounds: int) -> list[float]:
    """A Q-table from its first step to its last, with the trainer's own settings, on one thread."""
    from envs.qlearning.lanes import LaneWorld, fit_lane_bins
    from envs.qlearning.trainer import QSettings, train_qlearning

    prepared = tape(TABLE_FEATURES)
    lanes = Lanes([prepared], TABLE_LANES, seed=1)
    world = LaneWorld(lanes, fit_lane_bins([prepared], lanes.spans, 4))
    return timed(rounds, lambda: train_qlearning(world, QSettings(), 1, TABLE_STEPS))


TABLE_LANES = 2  # as a configuration has, unless it says otherwise


def ppo_seconds(prepared: Tape, rounds: int, **settings: Any) -> list[float]:
    """A PPO training end to end; the network is looked at once, at its end."""
    import torch

    from envs.normalise import fit_normaliser
    from envs.ppo.settings import PPOSettings
    from envs.ppo.trainer import train_ppo

    torch.set_num_threads(2)
    chosen = PPOSettings(evaluate_every=PPO_STEPS, **settings)
    lanes = Lanes([prepared], chosen.n_lanes, 1, threads=2)
    normaliser = fit_normaliser([prepared], lanes.spans, 1)
    lanes = Lanes([prepared], chosen.n_lanes, 1, normaliser=normaliser, threads=2)
    return timed(rounds, lambda: train_ppo(lanes, lambda _: 0.0, chosen, seed=1, steps=PPO_STEPS))


def stock_seconds(prepared: Tape, rounds: int, **settings: Any) -> tuple[list[float], Any]:
    """Stable-Baselines3's PPO over SuperSuit's vector environment of four agents, four copies; and the model."""
    import supersuit
    import torch
    from stable_baselines3 import PPO

    from envs.arena_env import ArenaEnv

    torch.set_num_threads(2)
    arena = ArenaEnv({name: [prepared] for name in ("a", "b", "c", "d")})
    each = supersuit.pettingzoo_env_to_vec_env_v1(supersuit.black_death_v3(arena))
    env = supersuit.concat_vec_envs_v1(each, 4, num_cpus=0, base_class="stable_baselines3")
    model = PPO("MlpPolicy", env, n_steps=STOCK_STEPS // 16, device="cpu", **settings)
    taken = timed(rounds, lambda: model.learn(STOCK_STEPS))
    env.close()
    return taken, model


def network() -> Network:
    """Two layers of 64 on the default observation, that always holds."""
    rng = np.random.default_rng(1)
    n = len(DEFAULT_FEATURES)
    widths = (n, NETWORK, NETWORK, 3)
    weights = tuple(rng.normal(0, 0.1, (b, a)) for a, b in pairwise(widths))
    biases = (np.zeros(NETWORK), np.zeros(NETWORK), np.array([0.0, 99.0, 0.0]))
    return Network(np.zeros(n), np.ones(n), 10.0, weights, biases)


def table() -> QTable:
    """Four features in four bins each, that always holds."""
    edges = tuple(np.array([-0.01, 0.0, 0.01]) for _ in TABLE_FEATURES)
    return QTable(edges, np.tile([0.0, 1.0, 0.0], (4 ** len(edges), 1)))


def decision_ns(model: Network | QTable, features: tuple[str, ...], rounds: int) -> float:
    """What a model's decision adds to a bar, in ns: beside a rule on the same features that never trades."""
    played = rows()

    def seconds(policy: Policy, params: tuple[float, ...], given: Network | QTable | None) -> float:
        strategy = StrategySpec(
            "s", "a", ("A",), MINUTE, features, policy, params, SizeKind.FRACTION, 0.95, model=given
        )  # fmt: skip
        spec = EngineSpec((InstrumentSpec("A"),), (AccountSpec("a", 100_000.0),), (strategy,))
        engine = Engine(spec)
        began = perf_counter()
        engine.process(played)
        return perf_counter() - began

    policy = Policy.NETWORK if isinstance(model, Network) else Policy.Q_TABLE
    rule, decided = [], []
    for _ in range(rounds):
        rule.append(seconds(Policy.MOMENTUM, (1e9,), None))
        decided.append(seconds(policy, (), model))
    return (median(decided) - median(rule)) / BARS * 1e9


def predict_ns(model: Any, rounds: int) -> float:
    """What `model.predict` of Stable-Baselines3 takes for one observation."""
    observation = np.zeros(len(DEFAULT_FEATURES), np.float32)

    def work() -> None:
        for _ in range(200):
            model.predict(observation, deterministic=True)

    return median(timed(rounds, work)) / 200 * 1e9


def figures(rounds: int) -> list[Any]:
    """All of it, as medians."""
    from benchmarks.run import Figure, rate

    prepare()
    prepared = tape()
    found = [
        rate(
            f"{LANES:,} lanes, random actions, both cores",
            LANES * LANE_STEPS,
            lane_seconds(prepared, rounds),
            3e6,
        ),
        rate("Q-learning, steps on one core", TABLE_STEPS, table_seconds(rounds), 5e6),
    ]
    few = max(rounds // 3, 2)
    ten = PPO_STEPS / median(ppo_seconds(prepared, few))
    four = PPO_STEPS / median(ppo_seconds(prepared, few, epochs=4))
    # 16 times the lanes of the 16 slots beside it, and 16 times its batches of 64: the rest is the same
    alike = PPO_STEPS / median(ppo_seconds(prepared, few, n_lanes=256, batch_size=1024))
    seconds, model = stock_seconds(prepared, 2)
    stock = STOCK_STEPS / median(seconds)
    seconds, _ = stock_seconds(prepared, 2, batch_size=1024)
    scaled = STOCK_STEPS / median(seconds)
    by_network = decision_ns(network(), DEFAULT_FEATURES, rounds)
    by_table = decision_ns(table(), TABLE_FEATURES, rounds)
    predicted = predict_ns(model, few)
    return [
        *found,
        Figure("PPO end to end, 10 epochs", ten, 50e3, "/s"),
        Figure("PPO end to end, 4 epochs", four, 0.0, "/s"),
        Figure("Stable-Baselines3's default PPO over SuperSuit, 16 slots", stock, 0.0, "/s"),
        Figure("the same with batches of 1,024", scaled, 0.0, "/s"),
        Figure("PPO, 4 epochs, beside the default", four / stock, 20.0, "x"),
        Figure("PPO, same network and epochs, batches by the number of lanes", alike / stock, 6.0, "x"),
        Figure("the same, where the other side's batches are 1,024, too", alike / scaled, 0.0, "x"),
        Figure("a network's decision in the engine (64, 64)", by_network, 1_500.0, "ns", False),
        Figure("a Q-table's decision in the engine", by_table, 50.0, "ns", False),
        Figure("model.predict, times as long as the network in the engine", predicted / by_network, 0.0, "x"),
    ]


def main(arguments: list[str] | None = None) -> int:
    """Measures and prints."""
    from rich.console import Console

    from benchmarks.run import table as shown

    asked = argparse.ArgumentParser(prog="python -m benchmarks.training", description="Speed of training.")
    asked.add_argument("--quick", action="store_true", help="three rounds")
    given = asked.parse_args(arguments)
    Console(width=120).print(shown(figures(3 if given.quick else 9)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
