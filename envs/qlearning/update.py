"""Q-learning, one transition at a time, in compiled code.

    G = r_1 + g r_2 + ... + g^(k-1) r_k + g^k V(s_k)        Q(s, a) += rate * (G - Q(s, a))

where V(s_k) is 0 if the episode terminated there, and else the value of the best action in s_k: also where the episode
was only cut off (truncated), and is worth as much as if it went on.

Returns: k is the setting n, or less where a return is *settled* early: where the episode ends, and where the agent
explores, since what follows an action that it would not have chosen says nothing of the values of its choice (Watkins
1989, whose Q(lambda) cuts its traces there). So n steps learn the same values as one.

Double Q-learning (van Hasselt 2010): two tables, of which a coin chooses one to be updated; its best action is valued by the
other. One table is the case in which both are the same, and the code has no other.

A learner is a NamedTuple of arrays, which are all of its state: a checkpoint saves them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba.extending import overload

from engine.jit import inline, jit
from engine.models import ACTIONS, Array
from engine.table import TableType, columns, pointer_to
from envs.kernel import Ended
from envs.qlearning.generator import RANDOM, draw, make_random, uniform
from envs.qlearning.schedules import SCHEDULE, Schedule, pack_schedules, value_at

N_ACTIONS = len(ACTIONS)
NOT_STARTED = -1  # the state of a lane before its first episode
EPSILON, RATE = 0, 1  # places in the schedules


TRANSITION = np.dtype([("state", "i8"), ("action", "i8"), ("reward", "f8")])
LANE = np.dtype(
    [("state", "i8"), ("first", "i8"), ("pending", "i8"), ("earned", "f8")]
)  # see `Learner.lanes`
RULES = np.dtype([("gamma", "f8"), ("visit_power", "f8"), ("n_step", "i8"), ("tables", "i8")])
COUNTS = np.dtype(  # sums since the start of the training
    [
        ("step", "i8"),
        ("updates", "i8"),
        ("episodes", "i8"),  # that have ended
        ("error", "f8"),  # absolute, of all updates
        ("reward", "f8"),  # of all steps
        ("earned", "f8"),  # of the episodes that have ended
    ]
)


class Learner(NamedTuple):
    """The state of a learner. All arrays are one-dimensional; what is one record is an array of length 1."""

    q: Array  # (states * tables * actions,) float64, the actions running fastest
    visits: Array  # (states * tables * actions,) int64: updates so far
    ring: Array  # (lanes * n,) TRANSITION: the last n of each lane, a ring
    lanes: Array  # (lanes,) LANE: where it stands, its first and how many pending transitions, its episode's rewards
    schedules: Array  # (2,) SCHEDULE, of epsilon and of the learning rate
    rules: Array  # (1,) RULES
    counts: Array  # (1,) COUNTS
    random: Array  # (1,) RANDOM


LEARNER_TYPES = (
    np.dtype(np.float64),
    np.dtype(np.int64),
    TRANSITION,
    LANE,
    SCHEDULE,
    RULES,
    COUNTS,
    RANDOM,
)
_learner_pointer = pointer_to(TableType("Learner", columns(Learner._fields, LEARNER_TYPES, 0)))


def learner_at(at: Any) -> Learner:
    """The Learner of a table, as `table_of` makes it, given by its address; uncompiled, it is given itself."""
    learner: Learner = at
    return learner


@overload(learner_at)
def _learner_at(at):  # type: ignore[no-untyped-def]  # an overload of numba has no types
    return lambda at: _learner_pointer(at)  # noqa: PLW0108  # numba wants these names of arguments


def table_of(arrays: tuple[Array, ...]) -> Array:
    """Where the arrays are and how long, (2 n,) int64, for compiled code; the caller keeps both alive."""
    return np.array([word for array in arrays for word in (array.ctypes.data, len(array))], np.int64)


def make_learner(
    states: int,
    lanes: int,
    steps: int,
    seed: np.random.SeedSequence,
    epsilon: Schedule,
    learning_rate: Schedule,
    gamma: float = 0.99,
    n_step: int = 1,
    double: bool = True,
    visit_power: float = 0.0,
) -> Learner:
    """A learner that knows nothing: all values are 0. steps: of the whole training, over which the schedules go.

    visit_power: the learning rate is divided by the number of updates of that value to this power: 0 for not at all; above
    0.5 and up to 1, with a constant schedule, values converge (van Hasselt 2010 uses 0.8).
    """
    tables = 2 if double else 1
    learner = Learner(
        np.zeros(states * tables * N_ACTIONS),
        np.zeros(states * tables * N_ACTIONS, np.int64),
        np.zeros(lanes * n_step, TRANSITION).view(np.recarray),
        np.zeros(lanes, LANE).view(np.recarray),
        pack_schedules((epsilon, learning_rate), steps),
        np.array([(gamma, visit_power, n_step, tables)], RULES).view(np.recarray),
        np.zeros(1, COUNTS).view(np.recarray),
        make_random(seed),
    )
    learner.lanes.state = NOT_STARTED  # type: ignore[attr-defined]  # a recarray's field
    return learner


@inline
def best_action(q: Any, one: int, other: int) -> int:
    """The action of largest value, the first of equal ones, by the sum of two rows of `q`; both may be the same."""
    best = 0
    most = q[one] + q[other]
    for action in range(1, N_ACTIONS):
        value = q[one + action] + q[other + action]
        if value > most:
            best, most = action, value
    return best


@inline
def choose(learner: Learner, state: int, epsilon: float) -> tuple[int, bool]:
    """An action, and whether it is one that the agent thinks best (it may be so by chance, too)."""
    q = learner.q
    tables = learner.rules[0].tables
    first = state * tables * N_ACTIONS
    last = first + (tables - 1) * N_ACTIONS
    best = best_action(q, first, last)
    random = learner.random[0]
    if uniform(random) >= epsilon:
        return best, True
    action = draw(random) % N_ACTIONS
    return action, q[first + action] + q[last + action] == q[first + best] + q[last + best]


@jit
def settle(learner: Learner, i: int, state: int, goes_on: bool, count: int, rate: float) -> None:
    """Update the values of the oldest `count` pending transitions of lane i, whose returns end in `state`."""
    q = learner.q
    lane = learner.lanes[i]
    counts = learner.counts[0]
    rules = learner.rules[0]
    n = rules.n_step
    tables = rules.tables
    table = draw(learner.random[0]) & (tables - 1)  # the one to update
    worth = 0.0
    if goes_on:
        here = (state * tables + table) * N_ACTIONS
        there = (state * tables + tables - 1 - table) * N_ACTIONS
        worth = q[there + best_action(q, here, here)]
    for k in range(lane.pending - 1, -1, -1):
        place = lane.first + k
        transition = learner.ring[i * n + (place if place < n else place - n)]
        worth = transition.reward + rules.gamma * worth
        if k < count:
            at = (transition.state * tables + table) * N_ACTIONS + transition.action
            visits = learner.visits[at] + 1
            learner.visits[at] = visits
            step = rate if rules.visit_power == 0.0 else rate / math.pow(visits, rules.visit_power)
            error = worth - q[at]
            q[at] += step * error
            counts.error += abs(error)
    counts.updates += count
    lane.pending -= count
    first = lane.first + count
    lane.first = first if first < n else first - n


@inline
def remember(learner: Learner, i: int, action: int, reward: float) -> None:
    """Add a transition of lane i, from the state where it stands, to those pending; there is room for it."""
    n = learner.rules[0].n_step
    lane = learner.lanes[i]
    place = lane.first + lane.pending
    transition = learner.ring[i * n + (place if place < n else place - n)]
    transition.state = lane.state
    transition.action = action
    transition.reward = reward
    lane.pending += 1


def learning(
    restart: Callable[[Any, int], int], move: Callable[[Any, int, int], tuple[int, float, int]]
) -> Any:
    """The compiled loop over an environment that is made of two compiled functions, restart and move.

    restart(world, i): begin an episode in lane i; its state, or NOT_STARTED where that fails. move(world, i, action): make a
    step; the state after it, the reward, and Ended.
    """

    @jit
    def learn(learner: Learner, world: Any, sweeps: int) -> int:
        """Let each lane make one step, in turn, so many times, and learn from each; 0, or -1 - i where lane i cannot go on.

        The schedules move on once a sweep.
        """
        n = learner.rules[0].n_step
        lanes = len(learner.lanes)
        counts = learner.counts[0]
        for i in range(lanes):
            if learner.lanes[i].state == NOT_STARTED:
                learner.lanes[i].state = restart(world, i)
            if learner.lanes[i].state == NOT_STARTED:
                return -1 - i
        for _ in range(sweeps):
            epsilon = value_at(learner.schedules[EPSILON], counts.step)
            rate = value_at(learner.schedules[RATE], counts.step)
            for i in range(lanes):
                lane = learner.lanes[i]
                action, greedy = choose(learner, lane.state, epsilon)
                if not greedy and lane.pending > 0:
                    settle(learner, i, lane.state, True, lane.pending, rate)
                state, reward, ended = move(world, i, action)
                if ended == Ended.FAULT:
                    return -1 - i
                remember(learner, i, action, reward)
                counts.reward += reward
                lane.earned += reward
                if ended != Ended.NO:
                    settle(learner, i, state, ended == Ended.TRUNCATED, lane.pending, rate)
                    counts.episodes += 1
                    counts.earned += lane.earned
                    lane.earned = 0.0
                    state = restart(world, i)
                    if state == NOT_STARTED:
                        return -1 - i
                elif lane.pending == n:
                    settle(learner, i, state, True, 1, rate)
                lane.state = state
            counts.step += lanes
        return 0

    return learn


def learned(learner: Learner) -> Array:
    """The values so far: (states, actions) float64, the mean of the tables."""
    return np.asarray(_by_table(learner, learner.q).mean(axis=1))


def visited(learner: Learner) -> Array:
    """How often each value was updated: (states, actions) int64."""
    return np.asarray(_by_table(learner, learner.visits).sum(axis=1))


def _by_table(learner: Learner, values: Array) -> Array:
    return values.reshape(-1, int(learner.rules["tables"][0]), N_ACTIONS)
