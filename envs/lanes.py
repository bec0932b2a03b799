"""Lanes: many independent engines, stepped together from bar to bar, with the actions given from outside."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from engine.build import records
from engine.engine import EngineFault
from engine.features import AccountFeature, parse_feature
from engine.kernel import kernel
from engine.models import Array
from engine.records import State, Ticks
from engine.table import TABLE_LENGTH, fill_table
from envs.errors import TaskError
from envs.kernel import HOLD, kernels
from envs.qlearning.generator import make_random
from envs.records import BATCH_TYPES, LANE, SETTINGS, TAPE, Batch, fill_batch
from envs.spans import Span
from envs.tapes import EVENTS, ORDERS, PRISTINE, SCRATCH, SHARED, VARYING, Tape

ALIGN = 64
SPLIT_FROM = 128  # lanes; fewer are stepped by one thread


@dataclass(frozen=True)
class Normaliser:
    """How an observation x enters a network: (x - mean) * scale, bounded to [-clip, clip]. mean, scale: (k,) float64."""

    mean: Array
    scale: Array
    clip: float = 10.0

    @staticmethod
    def none(k: int) -> Normaliser:
        """Observations as they are."""
        return Normaliser(np.zeros(k), np.ones(k), float(np.finfo(np.float32).max))


class Lanes:
    """n lanes of a task over tapes, each with an account of its own.

    spans: for each tape the bars between which episodes lie; default: from the first bar with all features to the last.
    restarts: an episode that ends is followed by the next at once, whose first observation then stands in
    `observations`, the last one of the old in `final_observations`. threads: for how many parts the work is done at once.
    events: how many of one step a lane keeps for `state`, of one with more the last ones.

    observations, final_observations: (n, k) float32. rewards: (n,) float32. terminated, truncated: (n,) bool. All are
    overwritten by the next step. Raises TaskError where the tapes do not fit the task.
    """

    def __init__(
        self,
        tapes: Sequence[Tape],
        n: int,
        seed: int,
        spans: Sequence[Span] | None = None,
        normaliser: Normaliser | None = None,
        restarts: bool = True,
        threads: int = 1,
        events: int = EVENTS,
    ) -> None:
        if not tapes or n < 1:
            raise TaskError(f"{n} lanes on {len(tapes)} tapes; there must be some of each")
        task = tapes[0].task
        self.task = task
        self.n = n
        self.tapes = tuple(tapes)
        self.spans = tuple(spans or (Span(tape.ready, len(tape)) for tape in tapes))
        for tape, span in zip(tapes, self.spans, strict=True):
            if tape.task != task:
                raise TaskError(f"{tape.name} was prepared for another task")
            if not tape.ready <= span.start < span.end - 1 < len(tape):
                raise TaskError(
                    f"{tape.name}: no episode fits between the bars {span.start} and {span.end - 1}; it has features "
                    f"from bar {tape.ready} on and ends with bar {len(tape) - 1}"
                )
        self.normaliser = normaliser or Normaliser.none(len(task.features))
        self._threads = min(threads, n)
        self._pool = ThreadPoolExecutor(self._threads - 1, "lanes") if self._threads > 1 else None
        self._kernels = kernels()
        self._compiled = kernel().compiled
        self._build(restarts, events)
        self._seed(seed)
        k = len(task.features)
        b = self.batch
        self.observations = b.observations.reshape(n, k)
        self.final_observations = b.final_observations.reshape(n, k)
        self.rewards, self.terminated, self.truncated = b.rewards, b.terminated, b.truncated

    # -- stepping -------------------------------------------------------------------------------------------------

    def reset(self) -> Array:
        """Begin an episode in each lane; the observations, (n, k) float32."""
        self._run("reset")
        return self.observations

    def place(self, lane: int, start: int, tape: int = 0) -> None:
        """Begin an episode of one lane at bar `start` of a tape. Raises TaskError where there is no room for it."""
        span = self.spans[tape]
        if not span.start <= start < span.end - 1:
            raise TaskError(
                f"an episode from bar {start} on; it can begin from {span.start} to {span.end - 2}"
            )
        self.batch.lanes[lane].tape = tape
        self._heard(self._kernels["place"](self._at, lane, start))

    def step(self, actions: Any) -> int:
        """Step each lane by its action, (n,): 0 sell, 1 hold, 2 buy, or a target exposure; the episodes that ended.

        Raises EngineFault where a lane's engine stopped.
        """
        self.batch.actions[:] = actions
        return self._run("step")

    def _run(self, name: str) -> int:
        run = self._kernels[name]
        if self._pool is None or self.n < SPLIT_FROM:
            results = [run(self._at, 0, self.n)]
        else:
            cuts = [self.n * i // self._threads for i in range(self._threads + 1)]
            waiting = [self._pool.submit(run, self._at, a, b) for a, b in list(pairwise(cuts))[1:]]
            results = [run(self._at, 0, cuts[1]), *(f.result() for f in waiting)]
        return sum(self._heard(result) for result in results)

    @staticmethod
    def _heard(result: int) -> int:
        if result < 0:
            raise EngineFault(
                f"the engine of lane {-1 - result} stopped: more than {ORDERS} orders at work, or a fault of ours"
            )
        return result

    def state(self, lane: int) -> State:
        """A lane's engine, to look at: its account, position, the events of its last step."""
        return self._states[lane]

    # -- checkpoints ----------------------------------------------------------------------------------------------

    def save(self) -> dict[str, Array]:
        """Copies of all that stepping changes."""
        b = self.batch
        kept = {"lanes": b.lanes, "observations": b.observations}
        live = self._live
        return {name: np.array(a) for name, a in kept.items()} | {
            "states": np.array(b.blocks.reshape(self.n, -1)[:, :live])
        }

    def load(self, saved: dict[str, Array]) -> None:
        """Take on what `save` gave, of lanes of the same making. Raises TaskError where the shapes differ."""
        b = self.batch
        blocks = b.blocks.reshape(self.n, -1)
        if saved["lanes"].shape != b.lanes.shape or saved["states"].shape != (self.n, self._live):
            raise TaskError("the saved lanes are others: their number, or the engine, has changed")
        b.lanes[:] = saved["lanes"]
        b.observations[:] = saved["observations"]
        blocks[:, : self._live] = saved["states"]

    # -- inside ---------------------------------------------------------------------------------------------------

    def _build(self, restarts: bool, events: int) -> None:
        task, n = self.task, self.n
        sessions: list[Any] = []
        kept: list[bytes] = []
        rows_before = 0
        tapes = records(len(self.tapes), TAPE)
        checkpoint_bars: list[int] = []
        checkpoint_rows: list[int] = []
        n_bars = 0
        for i, tape in enumerate(self.tapes):
            template = tape.state(events)
            row = tapes[i]
            row.first, row.last, row.bars = self.spans[i].start, self.spans[i].end - 1, n_bars
            row.first_checkpoint, row.checkpoints = len(kept), len(tape.checkpoints)
            n_sessions = sum(map(len, sessions))
            sessions.append(template.sessions)
            for arrays, taken, closed in tape.checkpoints:
                instruments = arrays["instruments"].copy()
                instruments["first_session"] += n_sessions
                arrays = {**arrays, "instruments": instruments}
                kept.append(b"".join(arrays[name].tobytes() for name in VARYING))
                checkpoint_rows.append(rows_before + taken)
                checkpoint_bars.append(closed)
            n_bars += len(tape)
            rows_before += len(tape.rows.price)
        self.rows = Ticks(*(np.concatenate(c) for c in zip(*(t.rows for t in self.tapes), strict=True)))
        template = template._replace(sessions=np.concatenate(sessions).view(np.recarray))
        if len({len(b) for b in kept}) > 1:
            raise TaskError("the tapes' states differ in size; they cannot be played by the same lanes")

        varying = len(kept[0])
        fresh = b"".join(getattr(template, name).tobytes() for name in PRISTINE)
        self._live = varying + len(fresh)
        scratch = sum(_aligned(getattr(template, name).nbytes) for name in SCRATCH)
        block = _aligned(self._live) + scratch + ALIGN
        blocks = np.zeros(n * block, np.uint8)
        self._states = []
        for i in range(n):
            arrays = {name: getattr(template, name) for name in SHARED}
            place = i * block
            for name in (*VARYING, *PRISTINE, *SCRATCH):
                array = getattr(template, name)
                end = place + array.nbytes
                view = blocks[place:end].view(array.dtype)
                arrays[name] = view.view(np.recarray) if array.dtype.names else view
                place = end if name in (*VARYING, *PRISTINE) else place + _aligned(array.nbytes)
                if name == PRISTINE[-1]:
                    place = i * block + _aligned(self._live)
            self._states.append(State(**arrays))
        self._tables = np.zeros((n, TABLE_LENGTH), np.int64)
        at: Any = [(state, self.rows) for state in self._states]
        if self._compiled:
            for table, state in zip(self._tables, self._states, strict=True):
                fill_table(table, state, self.rows)
            at = np.array([table.ctypes.data for table in self._tables], np.int64)

        settings = records(1, SETTINGS)
        self._set(settings[0], restarts)
        settings[0].block, settings[0].varying = block, varying
        settings[0].pristine, settings[0].kept = len(fresh), varying
        settings[0].width = len(task.series_features)
        address = kernel().address
        k = len(task.features)
        series = task.series_features
        observed = [series.index(f) if f in series else ~int(_account_feature(f)) for f in task.features]
        self.batch = Batch(
            engine=np.array([address], np.int64) if self._compiled else [address],
            at=at,
            settings=settings,
            lanes=records(n, LANE),
            tapes=tapes,
            times=np.concatenate([t.times for t in self.tapes]),
            features=np.concatenate([t.features for t in self.tapes]).ravel(),
            observed=np.array(observed, np.int64),
            mean=np.array(self.normaliser.mean, np.float64),
            scale=np.array(self.normaliser.scale, np.float64),
            blocks=blocks,
            checkpoints=np.frombuffer(b"".join(kept), np.uint8).copy(),
            checkpoint_bars=np.array(checkpoint_bars, np.int64),
            checkpoint_rows=np.array(checkpoint_rows, np.int64),
            fresh=np.frombuffer(fresh, np.uint8).copy(),
            actions=np.full(n, float(HOLD)),
            observations=np.zeros(n * k, np.float32),
            final_observations=np.zeros(n * k, np.float32),
            rewards=np.zeros(n, np.float32),
            terminated=np.zeros(n, np.bool_),
            truncated=np.zeros(n, np.bool_),
        )
        self._table = np.zeros(2 * len(BATCH_TYPES), np.int64)
        self._at: Any = self.batch
        if self._compiled:
            fill_batch(self._table, self.batch)
            self._at = self._table.ctypes.data

    def _set(self, row: Any, restarts: bool) -> None:
        reward = self.task.reward
        row.reward, row.target = reward.kind, self.task.actions.target
        row.episode_bars, row.restarts, row.ruin = self.task.episode_bars, restarts, self.task.ruin
        for name in ("drawdown_penalty", "cost_penalty", "volatility_target", "volatility_penalty"):
            row[name] = getattr(reward, name)
        row.risk, row.eta, row.scale = reward.risk, reward.eta, reward.scale
        row.bound = self.normaliser.clip
        spans = zip(self.tapes, self.spans, strict=True)
        returns = np.concatenate([tape.returns[span.slice] for tape, span in spans])
        row.variance = float(np.nanmean(np.square(returns))) or 1e-12

    def _seed(self, seed: int) -> None:
        for lane, sequence in zip(self.batch.lanes, np.random.SeedSequence(seed).spawn(self.n), strict=True):
            random = make_random(sequence)
            lane.x1, lane.x2 = random[0].x1, random[0].x2


def _aligned(n: int) -> int:
    return -(-n // ALIGN) * ALIGN


def _account_feature(name: str) -> AccountFeature:
    feature = parse_feature(name)
    assert isinstance(feature, AccountFeature)  # the task's other features are of the series
    return feature
