"""Environments for others' libraries, made of the configurations that `papertape train` takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from daemon.config.training import load_training
from daemon.training.history import load_history
from envs.errors import TaskError
from envs.spans import Span, SpanError

if TYPE_CHECKING:
    from daemon.config.reading import Source
    from daemon.training.history import History
    from envs.arena_env import ArenaEnv
    from envs.trading_env import TradingEnv

Part = Literal["train", "validation", "test"]


def training_env(
    source: Source, overrides: Sequence[str] = (), *, part: Part = "train", render_mode: str | None = None
) -> TradingEnv:
    """The environment in which a configuration's agent learns, or is chosen or judged: that part of its history.

    source: a YAML file, or its content as a dict. overrides: "dotted.key=value", as with --set. Observations are not
    normalised. Raises ConfigError, DataError, EmptyTapeError, TaskError, SpanError.
    """
    from envs.trading_env import TradingEnv

    _, history = _read(source, overrides)
    return TradingEnv(history.tapes, _spans(history, part), render_mode=render_mode)


def arena_env(
    sources: Sequence[Source],
    overrides: Sequence[str] = (),
    *,
    part: Part = "train",
    render_mode: str | None = None,
) -> ArenaEnv:
    """The agents of several configurations on the same history, each by the name of its own: such as the personalities.

    overrides: of all of them. An episode lies in that part of each configuration's history, and so in what they have in
    common of it. Raises as `training_env` does, and TaskError where two have the same name or other data.
    """
    from envs.arena_env import ArenaEnv

    histories: dict[str, History] = {}
    for source in sources:
        name, history = _read(source, overrides)
        if name in histories:
            raise TaskError(f"two configurations are named {name!r}; give one of them another name")
        histories[name] = history
    tapes = {name: history.tapes for name, history in histories.items()}
    spans = [_spans(history, part) for history in histories.values()]
    common = [_common(own) for own in zip(*spans, strict=False)]  # where tapes are missing, the arena says so
    return ArenaEnv(tapes, common, render_mode=render_mode)


def _read(source: Source, overrides: Sequence[str]) -> tuple[str, History]:
    from daemon import compiled

    config = load_training(source, overrides).config
    compiled.prepare()
    return config.name, load_history(config)


def _spans(history: History, part: Part) -> list[Span]:
    return history.spans(getattr(history.times, part))


def _common(spans: Sequence[Span]) -> Span:
    start, end = max(s.start for s in spans), min(s.end for s in spans)
    if start >= end:
        raise SpanError(
            "the configurations have no bar of that part in common; give them the same data and the same spans"
        )
    return Span(start, end)
