"""A training's configuration becomes a learner: settings, lanes over the training span, bins or a normalisation of it."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from daemon.training.history import History
from envs.errors import TaskError

if TYPE_CHECKING:
    from daemon.config.training import TrainingConfig
    from engine.models import Model
    from envs.progress import Callback
    from envs.spans import TimeSpan

THREADS = 2  # that step the lanes of a PPO training


@dataclass(frozen=True)
class Learned:
    """What a training came to. ended: steps, patience or interrupted. files: what is to be kept beside the weights."""

    model: Model
    steps: int
    wall_s: float
    ended: str
    files: dict[str, bytes] = field(default_factory=dict)


def steps_of(config: TrainingConfig, history: History) -> int:
    """How many bars it trains on, of all lanes together."""
    if config.steps is not None:
        return config.steps
    assert config.episodes is not None  # one of the two is given: daemon/config/training.py
    spans = [len(span) - 1 for span in history.spans(history.times.train)]
    length = config.episode_bars or max(sum(spans) // len(spans) // 2, 1)  # half, as they begin anywhere
    return config.episodes * min(length, max(spans))


def learn(
    config: TrainingConfig,
    history: History,
    when: TimeSpan,
    evaluate: Callable[[Model], float],
    callbacks: Sequence[Callback] = (),
    folder: Path | None = None,
    resume: bool = False,
) -> Learned:
    """Train on that time; what `evaluate` values most is kept. folder: for checkpoints; resume: go on from what is there."""
    if config.algorithm == "qlearning":
        return _learn_table(config, history, when, evaluate, callbacks, folder, resume)
    return _learn_network(config, history, when, evaluate, callbacks, folder, resume)


def _learn_table(
    config: TrainingConfig,
    history: History,
    when: TimeSpan,
    evaluate: Callable[[Model], float],
    callbacks: Sequence[Callback],
    folder: Path | None,
    resume: bool,
) -> Learned:
    from daemon.config import training_spec
    from daemon.config.timeframes import in_ns
    from envs.lanes import Lanes
    from envs.qlearning.lanes import LaneWorld, fit_lane_bins, kernel
    from envs.qlearning.trainer import QSettings, train_qlearning

    params: Any = config.settings
    spans = history.spans(when)
    try:
        bins = fit_lane_bins(
            history.tapes,
            spans,
            params.bins,
            {in_ns(name): n for name, n in params.bins_of.items()},
            {in_ns(name): edges for name, edges in config.edges.items()},
        )
    except ValueError as error:
        raise TaskError(f"params.bins: {error}") from error
    kernel()  # compiled before the clock of the training runs
    lanes = Lanes(history.tapes, params.lanes, config.seed, spans)
    settings = training_spec.settings(config)
    assert isinstance(settings, QSettings)
    trained = train_qlearning(
        LaneWorld(lanes, bins),
        settings,
        config.seed,
        steps_of(config, history),
        evaluate,
        callbacks,
        folder,
        resume,
    )
    visits = io.BytesIO()
    np.save(visits, trained.visits, allow_pickle=False)
    return Learned(
        trained.model, trained.steps, trained.wall_s, trained.stopped, {"visits.npy": visits.getvalue()}
    )


def _learn_network(
    config: TrainingConfig,
    history: History,
    when: TimeSpan,
    evaluate: Callable[[Model], float],
    callbacks: Sequence[Callback],
    folder: Path | None,
    resume: bool,
) -> Learned:
    from daemon.config import training_spec
    from envs.lanes import Lanes
    from envs.normalise import fit_normaliser
    from envs.ppo.settings import PPOSettings

    try:
        from envs.ppo.trainer import train_ppo
    except ModuleNotFoundError as error:
        raise TaskError(
            f"algorithm: ppo needs {error.name}, which is not installed; pip install 'papertape[rl]', or train a qlearning agent"
        ) from error

    settings = training_spec.settings(config)
    assert isinstance(settings, PPOSettings)
    spans = history.spans(when)
    normaliser = fit_normaliser(history.tapes, spans, config.seed)
    lanes = Lanes(history.tapes, settings.n_lanes, config.seed, spans, normaliser, threads=THREADS)
    trained = train_ppo(
        lanes,
        evaluate,
        settings,
        seed=config.seed,
        steps=steps_of(config, history),
        callbacks=callbacks,
        folder=folder,
        resume=resume,
    )
    return Learned(
        trained.network, trained.steps, trained.wall_s, trained.ended, {"sb3.zip": _zipped(trained.model)}
    )


def _zipped(model: Any) -> bytes:
    held = io.BytesIO()
    model.save(held)
    return held.getvalue()
