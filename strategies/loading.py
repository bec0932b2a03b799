"""A strategy's name in a configuration, ``module:Class``, becomes its class; with parameters, an actor."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from strategies.asynchronous import AsyncActor, check_methods
from strategies.base import Strategy, wants_of
from strategies.errors import StrategyError, StrategyLoadError

if TYPE_CHECKING:
    from strategies.actor import PythonActor

_B = TypeVar("_B", Strategy, AsyncActor)
_PLURAL = {Strategy: "strategies", AsyncActor: "actors"}


def load_strategy_class(use: str, folder: Path | None = None) -> type[Strategy]:
    """The strategy class that ``module:Class`` names.

    The module is looked for in `folder` (the configuration's), in the current directory, and among what is installed,
    in this order. What it imports from its own folder it must import when it is loaded itself, not later.
    Raises StrategyLoadError, which says what to do.
    """
    cls = _load_class(use, folder, Strategy)
    wants_of(cls)
    return cls


def load_async_class(use: str, folder: Path | None = None) -> type[AsyncActor]:
    """The class of an asynchronous actor that ``module:Class`` names, found as `load_strategy_class` finds a strategy's."""
    cls = _load_class(use, folder, AsyncActor)
    check_methods(cls)
    return cls


def _load_class(use: str, folder: Path | None, base: type[_B]) -> type[_B]:
    module_name, colon, class_name = use.partition(":")
    if not colon or not class_name or not all(part.isidentifier() for part in module_name.split(".")):
        raise StrategyLoadError(f"{use!r} is not of the form module:Class, such as my_strategy:MyStrategy")
    folders = [Path.cwd()] if folder is None else [folder.resolve(), Path.cwd()]
    module = _import(module_name, folders)
    cls = getattr(module, class_name, None)
    if cls is None:
        there = [
            name
            for name, value in vars(module).items()
            if isinstance(value, type) and issubclass(value, base) and value is not base
        ]
        near = get_close_matches(class_name, there, 1)
        hint = f"did you mean {near[0]}?" if near else f"its {_PLURAL[base]}: {', '.join(there) or 'none'}"
        raise StrategyLoadError(f"{use!r}: there is no {class_name} in {module.__file__}; {hint}")
    if not (isinstance(cls, type) and issubclass(cls, base)) or cls is base:
        kind = base.__name__
        raise StrategyLoadError(
            f"{use!r} is no subclass of strategies.{kind}; write class {class_name}({kind})"
        )
    return cls


def make_actor(
    name: str,
    use: str | type[Strategy],
    params: Mapping[str, Any] | None = None,
    seed: int = 0,
    folder: Path | None = None,
) -> PythonActor:
    """The actor for strategy `name` of the engine's spec, of the class `use` (or ``module:Class``).

    Its `wants`, `features`, `timeframes` and `history` belong into the StrategySpec, as PythonActor says.
    Raises pydantic's ValidationError for params that the class's Params refuses or does not have, StrategyLoadError for
    a class that cannot be used, StrategyError where its own code raises.
    """
    from strategies.actor import PythonActor

    cls = load_strategy_class(use, folder) if isinstance(use, str) else use
    valid = cls.Params.model_validate(dict(params or {}), extra="forbid")
    try:
        strategy = cls(valid)
        actor = PythonActor(name, strategy, seed)
    except StrategyLoadError:
        raise
    except Exception as error:
        raise StrategyError(f"strategy {name!r}, when made: {type(error).__name__}: {error}") from error
    _check_inputs(name, actor)
    return actor


def make_async(
    use: str | type[AsyncActor], params: Mapping[str, Any] | None = None, folder: Path | None = None
) -> AsyncActor:
    """A new asynchronous actor of the class `use` (or ``module:Class``), not started.

    Raises pydantic's ValidationError for params that the class's Params refuses or does not have, StrategyLoadError for
    a class that cannot be used, StrategyError where its own code raises.
    """
    from engine.features import MAX_WINDOW

    cls = load_async_class(use, folder) if isinstance(use, str) else use
    valid = cls.Params.model_validate(dict(params or {}), extra="forbid")
    try:
        actor = cls(valid)
        history = actor.history
    except Exception as error:
        raise StrategyError(
            f"actor {cls.__qualname__}, when made: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(history, int) or not 0 <= history <= MAX_WINDOW:
        raise StrategyLoadError(
            f"actor {cls.__qualname__}: a history of {history!r} bars; it can be 0 to {MAX_WINDOW}"
        )
    return actor


def _check_inputs(name: str, actor: PythonActor) -> None:
    from engine.features import MAX_WINDOW, AccountFeature, parse_feature

    for feature in actor.features:
        base, at, timeframe = feature.partition("@")
        try:
            parsed = parse_feature(base)
        except ValueError as error:
            raise StrategyLoadError(f"strategy {name!r}: {error}") from None
        if at and (not timeframe or isinstance(parsed, AccountFeature)):
            raise StrategyLoadError(
                f"strategy {name!r}: feature {feature!r}; behind the @ stands the timeframe of an indicator: sma_20@1h"
            )
    if not 0 <= actor.history <= MAX_WINDOW:
        raise StrategyLoadError(
            f"strategy {name!r}: a history of {actor.history} bars; it can be 0 to {MAX_WINDOW}"
        )


@contextmanager
def _searching(folders: list[Path]) -> Iterator[None]:
    before = list(sys.path)
    sys.path[:0] = [str(folder) for folder in folders]
    try:
        yield
    finally:
        sys.path[:] = before


def _import(name: str, folders: list[Path]) -> ModuleType:
    importlib.invalidate_caches()
    top = name.partition(".")[0]
    with _searching(folders):
        _refuse_namesake(top)
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise StrategyLoadError(
                    f"module {name!r} imports {error.name!r}, which is not installed"
                ) from error
            places = ", ".join(str(folder) for folder in dict.fromkeys(folders))
            raise StrategyLoadError(
                f"there is no module {name!r} in {places}, nor is one installed"
            ) from error
        except Exception as error:  # whatever the user's module does when it is imported
            where = f" ({error.filename}:{error.lineno})" if isinstance(error, SyntaxError) else ""
            raise StrategyLoadError(
                f"module {name!r} fails: {type(error).__name__}: {error}{where}"
            ) from error


def _refuse_namesake(top: str) -> None:
    # Python keeps one module of a name: another file of that name would silently not be looked at.
    loaded = sys.modules.get(top)
    if loaded is None:
        return
    found = PathFinder.find_spec(top)
    origin = getattr(loaded.__spec__, "origin", None)
    if found is not None and found.origin is not None and origin is not None and found.origin != origin:
        raise StrategyLoadError(
            f"module {top!r} is loaded from {origin} already, {found.origin} would be ignored; rename the latter"
        )
