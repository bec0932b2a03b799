"""The Core of a session as it was at its start."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon.config.document import parse, plain
from daemon.config.errors import ConfigError, Place
from daemon.config.uses import is_model
from daemon.live.core import Core, CoreError
from daemon.verify.facts import Kind, NotReplayable

if TYPE_CHECKING:
    from daemon.store.batch import Saved
    from daemon.store.store import Epoch


def restored(epoch: Epoch, start: Saved | None, build: str) -> Core:
    """The Core that a session began with in its first epoch, of the configuration and the state that were stored then.

    build: of the engine that replays. Raises NotReplayable.
    """
    if start is None:
        raise NotReplayable(
            Kind.SNAPSHOT,
            f"the state that epoch {epoch.number} began with, of seq {epoch.first_seq - 1}, is not in the database; restore a "
            "copy that has it",
        )
    try:
        core = Core.load(start.content)
    except ConfigError as error:
        why = f"the configuration of epoch {epoch.number} cannot be read any more: {error}"
        raise NotReplayable(_kind_of(error, epoch.config), why) from error
    except CoreError as error:
        if epoch.build != build:
            why = (
                f"epoch {epoch.number} ran on build {epoch.build} of the engine, and this is {build}: {error}"
            )
            raise NotReplayable(Kind.BUILD, why) from error
        raise NotReplayable(
            Kind.SNAPSHOT, f"the snapshot of seq {start.seq} cannot be used: {error}"
        ) from error
    if (got := core.engine.state_hash()) != start.state_hash:
        raise NotReplayable(
            Kind.SNAPSHOT,
            f"the snapshot of seq {start.seq} is damaged: it holds the state {got}, and {start.state_hash} was written beside it",
        )
    return core


def _kind_of(error: ConfigError, text: str) -> Kind:
    """Whether it is a model, or a strategy's code, that the configuration cannot be read without."""
    tree: Any = plain(parse(text, Place("configuration", 1, Path()))[0])
    for problem in error.problems:
        if not problem.key.endswith(".use"):
            continue
        value = tree
        try:
            for part in problem.key.split("."):
                value = value[int(part)] if isinstance(value, list) else value[part]
        except (KeyError, IndexError, ValueError, TypeError):
            continue
        return Kind.MODEL if is_model(str(value)) else Kind.STRATEGY
    return Kind.CONFIGURATION
