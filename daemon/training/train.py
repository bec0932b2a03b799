"""A training from its configuration to a model in the registry, with a card that says what it is worth.

The agent learns on the training span; what it knows is looked at on the validation span, and the best look is kept; the
test span is looked at once, at the end. Then the same algorithm and settings are put before markets whose best policy is
known (the controls). Everything goes onto the card.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from daemon.training.history import History, Times, load_history
from daemon.training.learners import Learned, learn
from envs.checkpoint import FILE_NAME, checkpoint_step
from envs.errors import TaskError

if TYPE_CHECKING:
    from daemon.config.training import LoadedTraining, TrainingConfig
    from daemon.training.evaluation import Performance
    from engine.models import Array, Model
    from envs.progress import Callback
    from strategies.models.card import Card
    from strategies.models.registry import Registry

MODELS = Path("models")
PROGRESS = "progress.parquet"
RETURNS = "returns.parquet"  # by day, on the test span
TOP = ("train", "validation", "test", "deflated_sharpe")  # of what an evaluation gives
UNFINISHED = ".training"  # below the models: checkpoints of trainings under way


def train(
    loaded: LoadedTraining,
    *,
    models: Path | None = None,
    callbacks: Sequence[Callback] = (),
    tell: Callable[[str], None] = lambda message: None,
    resume: bool = False,
) -> dict[str, Any]:
    """Train the agent of a configuration and store it; what `papertape train --json` prints.

    models: the registry's folder; None: the configuration's, or ./models. callbacks: hear a Progress at each step of the
    training. tell: hears what a user should know. resume: go on with the training of the same configuration that was
    killed. Ctrl-C ends the learning, and what is best so far is judged and stored. Raises DataError, TaskError, SpanError,
    RegistryError, CheckpointError, TrainingError, OSError.
    """
    from daemon import compiled
    from daemon.training.evaluation import Scorer, evaluate, run_agent
    from envs.progress import ParquetProgress
    from strategies.models import weights
    from strategies.models.registry import Registry

    config = loaded.config
    registry = Registry(models or config.models or MODELS)
    compiled.prepare(tell)
    history = load_history(config)
    times = history.times
    folder = (
        registry.folder / UNFINISHED / f"{config.name}-{config_hash(config)[:12]}-{history.data_hash[:12]}"
    )
    with _under_way(folder, resume):
        begun = checkpoint_step(folder)
        if resume:
            tell(
                f"{config.name}: goes on after {begun:,} steps"
                if begun
                else f"{config.name}: there is no checkpoint, it begins"
            )
        record = ParquetProgress(folder / PROGRESS, begun)
        try:
            learned = learn(
                config,
                history,
                times.train,
                Scorer(history, times.validation),
                [record, *callbacks],
                folder,
                resume=begun > 0,
            )
        finally:
            record.close()
        progress = (folder / PROGRESS).read_bytes() if (folder / PROGRESS).exists() else b""
    interrupted = learned.ended == "interrupted"
    if interrupted:
        tell("interrupted; judging the best so far, without controls")
    own = run_agent(history, times.test, learned.model)
    card = _card(config, history, learned)
    trials, trial_returns = _trials(registry, history, own, card.version_of(weights.to_bytes(learned.model)))
    judged = evaluate(
        history,
        learned.model,
        seed=config.seed,
        resamples=config.evaluation.bootstrap,
        confidence=config.evaluation.confidence,
        min_deflated_sharpe=config.evaluation.min_deflated_sharpe,
        trials=trials,
        trial_returns=trial_returns,
    )
    controls = None
    if config.evaluation.controls and not interrupted:
        controls = _controls(config, tell)
    walk = None if interrupted else _walk_forward(config, history, tell)
    card = _card(config, history, learned, _told(judged, walk), controls)
    files = {PROGRESS: progress, RETURNS: _returns(own)}
    ref = registry.store(learned.model, card, {**learned.files, **files})
    shutil.rmtree(folder, ignore_errors=True)
    folder.with_name(f"{folder.name}.lock").unlink(missing_ok=True)
    return {
        "model": ref,
        "algorithm": config.algorithm,
        "steps": learned.steps,
        "steps_per_s": round(learned.steps / learned.wall_s) if learned.wall_s > 0 else None,
        "wall_s": round(learned.wall_s, 6),
        "train": judged["train"],
        "validation": judged["validation"],
        "test": judged["test"],
        "deflated_sharpe": judged["deflated_sharpe"],
        "controls": controls,
        "ended": learned.ended,
        "evaluation": {k: v for k, v in judged.items() if k not in TOP},
        **({"walk_forward": walk} if walk else {}),
    }


@contextmanager
def _under_way(folder: Path, resume: bool) -> Iterator[None]:
    """Hold the folder of a training's checkpoints, empty unless it is resumed; one without a checkpoint goes again.

    Raises TaskError where another process is at the same training.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TaskError(
                f"the same training is under way in another process: {folder} is in use"
            ) from None
        if not resume:
            shutil.rmtree(folder)
            folder.mkdir()
        try:
            yield
        except BaseException:
            if not (folder / FILE_NAME).exists():
                shutil.rmtree(folder, ignore_errors=True)
                Path(lock.name).unlink(missing_ok=True)
            raise


def config_hash(config: TrainingConfig) -> str:
    """A hash of all that a training's configuration says, its name and its folder of models apart."""
    said = config.model_dump(mode="json", exclude={"name", "models", "evaluation"})
    return hashlib.blake2b(json.dumps(said, sort_keys=True).encode(), digest_size=16).hexdigest()


def _trials(
    registry: Registry, history: History, own: Performance, version: str
) -> tuple[list[float | None], Array | None]:
    """Of all other models that were judged on these days: the others' yearly Sharpe ratios on the test span, and the daily
    returns of all, (days, models), this one's last; None where there are no others over the same days.
    """
    names = [tape.name for tape in history.tapes]
    trials = [
        trial
        for trial in registry.trials(history.data_hash, names, history.times.test.iso)
        if not trial.ref.endswith(f"@{version}")  # the same training, done again
    ]
    columns = [own.returns]
    for trial in trials:
        path = registry.load(trial.ref).folder / RETURNS
        if path.exists():
            days, returns = _read_returns(path)
            if np.array_equal(days, own.days[1:]):
                columns.insert(0, returns)
    same = len(columns) > 1 and len({len(c) for c in columns}) == 1
    return [trial.test.sharpe for trial in trials], np.column_stack(columns) if same else None


def _returns(own: Performance) -> bytes:
    """Daily returns as a Parquet file."""
    held = pa.BufferOutputStream()
    days = own.days[1:] if len(own.returns) else own.days[:0]
    pq.write_table(pa.table({"day": pa.array(days, pa.int32()), "return": own.returns}), held)
    return bytes(held.getvalue())


def _read_returns(path: Path) -> tuple[Array, Array]:
    table = pq.read_table(path)
    return table["day"].to_numpy().astype(np.int64), table["return"].to_numpy()


def _controls(config: TrainingConfig, tell: Callable[[str], None]) -> dict[str, Any] | None:
    from daemon.config.training_spec import settings
    from envs.controls.running import run_controls

    bins = {"bins": config.params["bins"]} if config.algorithm == "qlearning" else {}
    tell("training on markets whose best policy is known")
    try:
        return run_controls(config.algorithm, settings(config), config.seed, **bins).to_dict()
    except KeyboardInterrupt:
        tell("interrupted; the model is kept, without controls")
        return None


def _walk_forward(
    config: TrainingConfig, history: History, tell: Callable[[str], None]
) -> dict[str, Any] | None:
    from daemon.training.evaluation import Scorer, walk_forward

    if not history.folds:
        return None

    def fold(times: Times) -> Model:
        tell(f"training up to {times.train.iso['end'][:10]}")
        learned = learn(config, history, times.train, Scorer(history, times.validation))
        if learned.ended == "interrupted":
            raise KeyboardInterrupt
        return learned.model

    try:
        return walk_forward(history, fold)
    except KeyboardInterrupt:
        tell("interrupted; the model is kept, without the walk forward")
        return None


def _told(judged: dict[str, Any], walk: dict[str, Any] | None) -> dict[str, Any]:
    """What an evaluation says on a card: figures by span, the deflated Sharpe ratio, and all the rest."""
    rest = {k: v for k, v in judged.items() if k not in TOP} | ({"walk_forward": walk} if walk else {})
    metrics = {name: judged[name] for name in ("train", "validation", "test")}
    return {"metrics": metrics, "deflated_sharpe": judged["deflated_sharpe"], "evaluation": rest}


def _card(
    config: TrainingConfig,
    history: History,
    learned: Learned,
    told: dict[str, Any] | None = None,
    controls: dict[str, Any] | None = None,
) -> Card:
    from strategies.models.card import make_card

    actions = config.actions
    times = history.times
    return make_card(
        name=config.name,
        created=datetime.now(UTC),
        code_version=version("papertape"),
        algorithm=config.algorithm,
        config=config.model_dump(mode="json"),
        config_hash=config_hash(config),
        data_hash=history.data_hash,
        seed=config.seed,
        features=config.features,
        timeframe_ns=config.timeframe,
        instruments=tuple(tape.name for tape in history.tapes),
        actions={
            "kind": actions.kind,
            "short": actions.short,
            "threshold": actions.threshold,
            "size": actions.size.model_dump(exclude_none=True),
        },
        reward=config.reward.model_dump(mode="json"),
        spans={name: getattr(times, name).iso for name in ("train", "validation", "test")},
        embargo=history.embargo,
        steps=learned.steps,
        ended=learned.ended,
        controls=controls,
        **(told or {}),
    )
