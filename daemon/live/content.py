"""All that decides besides the tape: a configuration, its trained models, and the code of its strategies."""

from __future__ import annotations

import hashlib
import inspect
import json
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from daemon.config.trained import found
from daemon.config.uses import CLASSES, MODEL, is_model, is_python

if TYPE_CHECKING:
    from daemon.config.agents import Strategy
    from daemon.config.models import BacktestConfig
    from daemon.config.paper import PaperConfig


def hash_of(text: str) -> str:
    """A hash of some text."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@dataclass(frozen=True)
class Content:
    """What the decisions of a session are a function of, with its tape. Models are named by version.

    models: strategy, by its name in the engine -> "name@version:hash of its files". code: strategies in Python -> a hash of
    their module's file.
    """

    config: PaperConfig
    text: str  # the configuration, complete
    models: dict[str, str]
    code: dict[str, str]

    @classmethod
    def of(cls, config: PaperConfig) -> Content:
        """That of a configuration, as things are now: `model:NAME` is the version that is promoted."""
        from daemon.config.spec import complete

        pinned = _pinned(config)
        models, code = {}, {}
        for name, given in strategies(pinned):
            if is_model(given.use):
                card = found(given.use, pinned.models).card
                # not the card's checksum: that changes with what was measured, or promoted, later
                models[name] = f"{card.ref}:{hash_of(json.dumps(card.files, sort_keys=True))[:16]}"
            elif is_python(given.use):
                code[name] = source_hash(given.use, pinned.strategy_folder)
        return cls(pinned, complete(pinned), models, code)

    @classmethod
    def stored(cls, text: str, models: dict[str, str], code: dict[str, str]) -> Content:
        """That of a stored configuration, as it was then. Raises ConfigError where it cannot be read any more."""
        import yaml

        from daemon.config.paper import load_paper

        return cls(load_paper(yaml.safe_load(text)).config, text, models, code)

    @cached_property
    def hash(self) -> str:
        """Equal for equal content."""
        return hash_of(self.text + json.dumps([self.models, self.code], sort_keys=True))

    def described(self) -> dict[str, Any]:
        """As it stands on the tape."""
        return {"hash": self.hash, "models": self.models, "code": self.code}


def strategies(config: BacktestConfig) -> list[tuple[str, Strategy]]:
    """Each strategy with its name in the engine, in the engine's order."""
    return [(f"{a.name}/{s.name}", s) for a in config.accounts for s in a.strategies]


def source_hash(use: str, folder: Path | None) -> str:
    """A hash of the file that the class of ``module:Class`` is in; raises as `load_strategy_class` does.

    It is of the file as this process first saw it: Python reads a module once, and what changes later decides nothing.
    """
    from strategies.loading import load_strategy_class

    cls = load_strategy_class(CLASSES.get(use, use), folder)
    module = sys.modules[cls.__module__]
    if module not in _hashes:
        path = inspect.getsourcefile(module)
        content = Path(path).read_bytes() if path else b""
        _hashes[module] = hashlib.blake2b(content, digest_size=16).hexdigest()
    return _hashes[module]


_hashes: WeakKeyDictionary[ModuleType, str] = WeakKeyDictionary()


def _pinned(config: PaperConfig) -> PaperConfig:
    accounts = tuple(
        a.model_copy(update={"strategies": tuple(_with_version(config, s) for s in a.strategies)})
        for a in config.accounts
    )
    return config.model_copy(update={"accounts": accounts})


def _with_version(config: PaperConfig, given: Strategy) -> Strategy:
    if not is_model(given.use):
        return given
    return given.model_copy(update={"use": MODEL + found(given.use, config.models).ref})
