"""Training of a Q-table: learn, look at the validation span, keep the best, until the steps are used up.

The learner's arrays, the lanes and the few numbers of `_Standing` are everything that a training is. They are written
after each look, so that a training which was interrupted and resumed ends with the table of one that was not, bit for bit.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from engine.models import Array, QTable
from envs.checkpoint import check_same, read_checkpoint, write_checkpoint
from envs.errors import TrainingError
from envs.progress import Callback, Progress
from envs.qlearning.bins import Bins
from envs.qlearning.schedules import Schedule
from envs.qlearning.update import Learner, learned, make_learner, visited

STEPS_AT_ONCE = 200_000  # in one call of compiled code, which no Ctrl-C interrupts: some 30 ms
LOOKS = 20  # at the validation span, unless it is said how often
MOST_STEPS_BACK = 1_000


class World(Protocol):
    """What a table learns from: n lanes whose observations are sorted into bins."""

    n: int
    bins: Bins

    def learn(self, learner: Learner, sweeps: int) -> None:
        """Make so many steps in each lane, and learn from each."""

    def save(self) -> dict[str, Array]:
        """Copies of all that learning changes in it."""

    def load(self, saved: Mapping[str, Array]) -> None:
        """Take on what `save` gave."""


@dataclass(frozen=True)
class QSettings:
    """How a table is learned.

    gamma: what the next bar's reward is worth now; at 0.99 an agent looks some hundred bars ahead. learning_rate: falls, as
    a value can settle only when noise moves it less and less. epsilon: share of random actions; all at first, to see all
    states, and some to the end, as the best action changes while values do. double: two tables, without which noise makes
    actions look better than they are. n_step: rewards that are added up before the table is asked; above 1 news of a reward
    travels faster, but each return is noisier. visit_power: see `make_learner`. evaluate_every: steps between two looks at
    the validation span; None for 20 looks. patience: stop after so many looks without a better one; None for never.

    Raises ValueError, naming the field.
    """

    gamma: float = 0.99
    learning_rate: Schedule = field(default_factory=lambda: Schedule(0.1, 0.001, 1.0, "exponential"))
    epsilon: Schedule = field(default_factory=lambda: Schedule(1.0, 0.05, 0.5))
    double: bool = True
    n_step: int = 1
    visit_power: float = 0.0
    evaluate_every: int | None = None
    patience: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.gamma <= 1:
            raise ValueError(f"gamma is {self.gamma}; it must be between 0 and 1")
        for name in ("learning_rate", "epsilon"):
            schedule: Schedule = getattr(self, name)
            if max(schedule.start, schedule.end) > 1:
                raise ValueError(f"{name} goes from {schedule.start} to {schedule.end}; it is 1 at most")
        if not 1 <= self.n_step <= MOST_STEPS_BACK:
            raise ValueError(f"n_step is {self.n_step}; it must be between 1 and {MOST_STEPS_BACK}")
        if not 0 <= self.visit_power <= 1:
            raise ValueError(f"visit_power is {self.visit_power}; it must be between 0 and 1")
        for name in ("evaluate_every", "patience"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}; it must be 1 or more, or None")


@dataclass(frozen=True)
class Trained:
    """What a training came to.

    model: the best at a look, or where there was none yet, as it was at the end. evaluation: its value then. steps: that were
    made. stopped: "steps" (used up), "patience" or "interrupted" (Ctrl-C). visits: (states, actions) int64, updates of each
    value.
    """

    model: QTable
    evaluation: float | None
    steps: int
    stopped: str
    wall_s: float
    visits: Array


@dataclass(frozen=True)
class _Standing:
    # what a training knows beside the learner and the lanes
    best: float | None = None
    stale: int = 0  # looks since then
    wall_s: float = 0.0
    error: float = 0.0  # the counts at the last report
    reward: float = 0.0
    earned: float = 0.0
    step: int = 0
    updates: int = 0
    episodes: int = 0


def train_qlearning(
    world: World,
    settings: QSettings,
    seed: int,
    steps: int,
    evaluate: Callable[[QTable], float] | None = None,
    callbacks: Sequence[Callback] = (),
    checkpoint: Path | None = None,
    resume: bool = False,
) -> Trained:
    """Learn a table from so many steps of all lanes together, rounded up to whole ones of each.

    evaluate: the value of a model, more is better; without it the last table is the best. Callbacks hear a Progress every
    200,000 steps and at each look, with the loss "error": the mean absolute difference between a value and its return.
    checkpoint: a folder that is written to after each look; resume: go on from what is there. Ctrl-C ends the training with
    the best so far. Raises CheckpointError where there is nothing to resume or it is of another training, TrainingError
    where an evaluation is no finite number, and OSError where a checkpoint cannot be written.
    """
    if steps < 1:
        raise ValueError(f"{steps} steps; a training has 1 or more")
    training = _Training(world, settings, seed, steps, checkpoint)
    if resume:
        training.resume()
    try:
        stopped = training.run(evaluate, callbacks)
    except KeyboardInterrupt:
        stopped = "interrupted"
    return training.result(stopped)


class _Training:
    def __init__(
        self, world: World, settings: QSettings, seed: int, steps: int, checkpoint: Path | None
    ) -> None:
        self._world = world
        self._settings = settings
        self._folder = checkpoint
        self._sweeps = -(-steps // world.n)
        between = settings.evaluate_every or max(steps // LOOKS, 1)
        self._between = -(-between // world.n)
        self._identity = {
            "settings": json.loads(json.dumps(asdict(settings))),
            "seed": seed,
            "steps": steps,
            "lanes": world.n,
            "bins": world.bins.digest,
        }
        self._learner = make_learner(
            world.bins.states,
            world.n,
            self._sweeps * world.n,
            np.random.SeedSequence(seed),
            settings.epsilon,
            settings.learning_rate,
            settings.gamma,
            settings.n_step,
            settings.double,
            settings.visit_power,
        )
        self._standing = _Standing()
        self._best: Array | None = None

    def run(self, evaluate: Callable[[QTable], float] | None, callbacks: Sequence[Callback]) -> str:
        """Learn to the end; why it stopped."""
        at_once = -(-STEPS_AT_ONCE // self._world.n)
        patience = self._settings.patience
        while (done := self._sweeps_done()) < self._sweeps:
            if patience is not None and self._standing.stale >= patience:
                return "patience"
            began = time.perf_counter()
            look = min((done // self._between + 1) * self._between, self._sweeps)
            self._world.learn(self._learner, min(look - done, at_once))
            value = None
            looks = self._sweeps_done() == look
            if looks and evaluate is not None:
                value = self._look(evaluate)
            progress = self._report(value, time.perf_counter() - began)
            if looks:
                self._write()
            for callback in callbacks:
                callback(progress)
        return "steps"

    def _sweeps_done(self) -> int:
        return int(self._learner.counts["step"][0]) // self._world.n

    def _look(self, evaluate: Callable[[QTable], float]) -> float:
        q = learned(self._learner)
        value = float(evaluate(self._world.bins.table(q)))
        if not math.isfinite(value):
            raise TrainingError(f"the evaluation gave {value} for a model; it must give a finite number")
        if self._standing.best is None or value > self._standing.best:
            self._best = q
            self._standing = replace(self._standing, best=value, stale=0)
        else:
            self._standing = replace(self._standing, stale=self._standing.stale + 1)
        return value

    def _report(self, value: float | None, wall_s: float) -> Progress:
        before = self._standing
        counts = self._learner.counts[0]
        now = replace(
            before,
            wall_s=before.wall_s + wall_s,
            **{name: counts[name].item() for name in counts.dtype.names},
        )
        self._standing = now
        episodes = now.episodes - before.episodes
        return Progress(
            step=now.step,
            wall_s=now.wall_s,
            reward=(now.reward - before.reward) / (now.step - before.step),
            episodes=episodes,
            episode_reward=(now.earned - before.earned) / episodes if episodes else None,
            losses={"error": (now.error - before.error) / max(now.updates - before.updates, 1)},
            evaluation=value,
            best=now.best,
        )

    def _write(self) -> None:
        if self._folder is None:
            return
        arrays = {f"learner.{name}": array for name, array in self._learner._asdict().items()}
        arrays |= {f"lanes.{name}": array for name, array in self._world.save().items()}
        if self._best is not None:
            arrays["best"] = self._best
        write_checkpoint(
            self._folder, {"identity": self._identity, "standing": asdict(self._standing)}, arrays
        )

    def resume(self) -> None:
        if self._folder is None:
            raise ValueError("a training is to be resumed, but no folder of checkpoints is given")
        about, arrays = read_checkpoint(self._folder)
        check_same(self._folder, self._identity, about["identity"])
        for name, array in self._learner._asdict().items():
            array[:] = arrays[f"learner.{name}"]
        self._world.load(
            {name.removeprefix("lanes."): a for name, a in arrays.items() if name.startswith("lanes.")}
        )
        self._best = arrays.get("best")
        self._standing = _Standing(**about["standing"])

    def result(self, stopped: str) -> Trained:
        q = learned(self._learner) if self._best is None else self._best
        return Trained(
            self._world.bins.table(q),
            self._standing.best,
            int(self._learner.counts["step"][0]),
            stopped,
            self._standing.wall_s,
            visited(self._learner),
        )
