"""Agents for the controls: how one learns on a market whose best policy is known, and what it then does on other paths.

It learns in the lanes of the engine, with the engine's own fills and fees. What its model does on an unseen path is worked
out without them, all bars at once: for each bar the position that it takes from flat and the one that it takes from long,
and then which of the two it was. Both ways give the same rewards, up to whole lots of the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.bars import bar_path
from engine.models import ACTIONS, Array, Model
from engine.records import SECOND
from engine.spec import AccountSpec, InstrumentSpec
from envs.controls.markets import FEE_BPS, Market, Path
from envs.controls.policies import FLAT, LONG, BinPolicy, ControlError
from envs.lanes import Lanes
from envs.normalise import fit_normaliser
from envs.ppo.settings import PPOSettings
from envs.qlearning.lanes import LaneWorld, fit_lane_bins
from envs.qlearning.trainer import QSettings, train_qlearning
from envs.spans import Span
from envs.tapes import Tape
from envs.task import Actions, Reward, Task
from envs.task import Market as Instrument

BAR_NS = 60 * SECOND
EPISODE_BARS = 250
DIGITS = 6  # of prices: so fine that rounding them changes nothing
EXPOSURE = "exposure"
CASH = 100_000.0
TABLE_LANES = 64  # a table learns after each step: it is no matter how many there are
HOLD, BUY = ACTIONS.index("hold"), ACTIONS.index("buy")

Settings = QSettings | PPOSettings
INSTRUMENT = Instrument(InstrumentSpec("CONTROL", tick_size=10.0**-DIGITS, lot_size=1e-6, taker_bps=FEE_BPS))


@dataclass(frozen=True, eq=False)
class Ground:
    """A path of a market, and the tape of it that the engine plays."""

    path: Path
    tape: Tape

    @property
    def expected(self) -> Array:
        """(n,) float64 log returns to be expected, from the first bar with all features to before the last."""
        return self.path.expected[self.tape.ready :]

    @property
    def returns(self) -> Array:
        """(n,) float64 log returns that came, of the same bars."""
        return self.tape.returns[self.tape.ready + 1 :]


def make_task(market: Market, features: tuple[str, ...], reward: Reward) -> Task:
    """All in or flat, in an account without debts; the market's own features come with its tapes."""
    return Task(
        account=AccountSpec("control", CASH),
        timeframe_ns=BAR_NS,
        features=features,
        actions=Actions(size=1.0),
        reward=reward,
        episode_bars=EPISODE_BARS,
        columns=market.features,
    )


def make_ground(path: Path, seen: Path, task: Task) -> Ground:
    """The path as minute bars from 1970 on, and the columns of the path as an agent sees it."""
    start = np.arange(len(path.close), dtype=np.int64) * BAR_NS
    bars = path.bars
    opened, high, low, close = (np.round(bars[name], DIGITS) for name in ("open", "high", "low", "close"))
    rows = bar_path(start, BAR_NS, opened, high, low, close, bars["volume"], 0)
    return Ground(path, Tape(INSTRUMENT.instrument.name, rows, INSTRUMENT, task, seen.columns))


def learn(
    settings: Settings,
    tapes: Sequence[Tape],
    evaluate: Callable[[Model], float],
    *,
    seed: int,
    steps: int,
    bins: int,
) -> tuple[Model, int]:
    """A fresh model, learned on the tapes in at least so many steps, and the steps: a table for QSettings, a network for
    PPOSettings.

    The settings' own evaluate_every and patience count another training's steps and are left out: there are 20 looks, by
    `evaluate`, and the best is kept. bins: of each feature of the market, of a table. Ctrl-C raises KeyboardInterrupt: half
    a control says nothing.
    """
    settings = replace(settings, evaluate_every=None, patience=None)
    if isinstance(settings, QSettings):
        model, taken, ended = _learn_table(settings, tapes, evaluate, seed, steps, bins)
    else:
        model, taken, ended = _learn_network(settings, tapes, evaluate, seed, steps)
    if ended == "interrupted":
        raise KeyboardInterrupt
    return model, taken


def _learn_table(
    settings: QSettings,
    tapes: Sequence[Tape],
    evaluate: Callable[[Model], float],
    seed: int,
    steps: int,
    bins: int,
) -> tuple[Model, int, str]:
    lanes = Lanes(tapes, TABLE_LANES, seed)
    world = LaneWorld(lanes, fit_lane_bins(tapes, lanes.spans, bins))
    trained = train_qlearning(world, settings, seed, steps, evaluate)
    return trained.model, trained.steps, trained.stopped


def _learn_network(
    settings: PPOSettings,
    tapes: Sequence[Tape],
    evaluate: Callable[[Model], float],
    seed: int,
    steps: int,
) -> tuple[Model, int, str]:
    from envs.ppo.trainer import train_ppo  # it needs torch

    spans = [Span(tape.ready, len(tape)) for tape in tapes]
    lanes = Lanes(tapes, settings.n_lanes, seed, spans, fit_normaliser(tapes, spans, seed), threads=2)
    trained = train_ppo(lanes, evaluate, settings, seed=seed, steps=steps)
    return trained.network, trained.steps, trained.ended


def positions_of(model: Model, tape: Tape) -> Array:
    """The position, 0 or 1, that the model takes at each close, from flat on the first bar with all features.

    (n,) int8, without the last close, after which nothing comes. Raises ControlError where the model looks at an account
    in another way than by its exposure.
    """
    task = tape.task
    if unknown := set(task.features) - {*task.series_features, EXPOSURE}:
        raise ControlError(
            f"features: {', '.join(sorted(unknown))}; a control's agent sees {EXPOSURE} alone of its account"
        )
    seen = tape.features[tape.ready : -1]
    bars = np.arange(len(seen))
    targets = np.stack([_targets(model, task, seen, held) for held in (FLAT, LONG)])
    return BinPolicy(bars[1:] - 0.5, targets).positions(bars)  # a bin for each bar


def _targets(model: Model, task: Task, seen: Array, held: int) -> Array:
    # (n,) int8: the position wanted at each bar, holding `held`
    known = dict(zip(task.series_features, seen.T, strict=True)) | {EXPOSURE: np.full(len(seen), float(held))}
    actions = model.values(np.column_stack([known[name] for name in task.features])).argmax(axis=1)
    return np.where(actions == HOLD, held, actions == BUY).astype(np.int8)
