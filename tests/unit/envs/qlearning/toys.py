"""A small Markov decision process in the shape of the lanes, its exact solution, and both ways to run it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import FunctionType
from typing import Any, NamedTuple

import numba
import numpy as np
from numba.core import types

from engine.jit import jit, setting
from engine.models import Array
from envs.kernel import Ended
from envs.qlearning.bins import Bins
from envs.qlearning.generator import make_random, uniform
from envs.qlearning.update import Learner, learner_at, learning, table_of
from tests.builders import plain

PLACE = np.dtype([("state", "i8"), ("age", "i8")])


# Three states; each action leads to one state mostly, and ends the episode in two places, in an ordinary state.
CHANCES = [
    [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]],
    [[0.1, 0.1, 0.8], [0.8, 0.1, 0.1], [0.0, 0.5, 0.5]],
    [[0.6, 0.2, 0.2], [0.2, 0.2, 0.6], [1.0, 0.0, 0.0]],
]
REWARDS = [[0.1, 0.0, -0.2], [0.0, 0.3, 0.1], [-0.1, 0.2, 1.0]]
ENDS = [[0, 0, 0], [0, 0, 1], [0, 0, 1]]


class Toy(NamedTuple):
    chances: Array  # (states, actions, states) of what comes next, summed up
    rewards: Array  # (states, actions)
    ends: Array  # (states, actions) int64: 1 where the episode terminates, wherever that leads
    horizon: Array  # (1,) int64: it is truncated after so many steps
    places: Array  # (lanes,) PLACE
    random: Array  # (1,) RANDOM


def make_toy(
    chances: Any, rewards: Any, ends: Any, lanes: int = 1, horizon: int = 1 << 60, seed: int = 5
) -> Toy:
    return Toy(
        np.cumsum(np.array(chances, np.float64), axis=2),
        np.array(rewards, np.float64),
        np.array(ends, np.int64),
        np.array([horizon], np.int64),
        np.zeros(lanes, PLACE).view(np.recarray),
        make_random(np.random.SeedSequence(seed)),
    )


def optimal(chances: Any, rewards: Any, ends: Any, gamma: float) -> Array:
    """Q* by value iteration; a step that terminates is worth its reward."""
    q = np.zeros(np.shape(rewards))
    for _ in range(1_000):
        q = np.array(rewards) + gamma * (1 - np.array(ends)) * (np.array(chances) @ q.max(axis=1))
    return q


@jit
def restart_toy(toy: Toy, i: int) -> int:
    place = toy.places[i]
    place.age = 0
    place.state = int(uniform(toy.random[0]) * len(toy.ends))
    return place.state


@jit
def move_toy(toy: Toy, i: int, action: int) -> tuple[int, float, int]:
    place = toy.places[i]
    before = place.state
    u = uniform(toy.random[0])
    after = 0
    while after < len(toy.ends) - 1 and toy.chances[before, action, after] <= u:
        after += 1
    place.state = after
    place.age += 1
    ended = Ended.NO.value
    if toy.ends[before, action] == 1:
        ended = Ended.TERMINATED.value
    elif place.age >= toy.horizon[0]:
        ended = Ended.TRUNCATED.value
    return after, toy.rewards[before, action], ended


_learn = learning(restart_toy, move_toy)


def learn_toy(learner: Any, toy: Toy, sweeps: int) -> int:
    return int(_learn(learner_at(learner), toy, sweeps))


@cache
def _compiled(kind: Any) -> Any:
    # not through engine.jit.entry: what it keeps would be stale after a change in another file
    return numba.njit(types.int64(types.int64, kind, types.int64), error_model="numpy")(learn_toy)


def run(learner: Learner, toy: Toy, sweeps: int) -> None:
    """As compiled code, or as plain Python under NUMBA_DISABLE_JIT."""
    if setting("DISABLE_JIT"):
        learn_toy(learner, toy, sweeps)
    else:
        table = table_of(learner)
        _compiled(numba.typeof(toy))(table.ctypes.data, toy, sweeps)


def plain_learning(restart: Any, move: Any) -> Any:
    """The loop over an environment in plain Python, with all that it calls."""
    loop = learning(restart, move)
    code = getattr(loop, "py_func", loop)
    called = {name: each for name in code.__code__.co_names if (each := code.__globals__.get(name))}
    called = {name: plain(each) for name, each in called.items() if hasattr(each, "py_func")}
    return FunctionType(code.__code__, code.__globals__ | called, closure=code.__closure__)


def run_plain(learner: Learner, toy: Toy, sweeps: int) -> None:
    plain_learning(plain(restart_toy), plain(move_toy))(learner, toy, sweeps)


class ToyWorld:
    """The process as what a trainer learns from; its one feature is the number of the state."""

    def __init__(self, toy: Toy) -> None:
        self.toy = toy
        self.n = len(toy.places)
        self.bins = Bins(("state",), (np.arange(1, len(toy.ends)) - 0.5,))

    def learn(self, learner: Learner, sweeps: int) -> None:
        run(learner, self.toy, sweeps)

    def save(self) -> dict[str, Array]:
        return {"places": self.toy.places.copy(), "random": self.toy.random.copy()}

    def load(self, saved: Mapping[str, Array]) -> None:
        self.toy.places[:] = saved["places"]
        self.toy.random[:] = saved["random"]
