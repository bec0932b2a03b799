"""From a YAML file, a dict and `--set` to a configuration that is right, or to all that is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from daemon.config import overrides as _overrides
from daemon.config import translate
from daemon.config.document import Node, dump, from_python, parse, plain
from daemon.config.errors import ConfigError, Place, Problem
from daemon.config.models import BacktestConfig


@dataclass(frozen=True)
class Loaded:
    """A configuration and where it came from."""

    config: BacktestConfig
    path: Path | None  # None: from a dict
    text: str  # as it was read, before overrides; of a dict: as YAML


def load(source: str | Path | Mapping[str, Any], overrides: Sequence[str] = ()) -> Loaded:
    """The configuration of a YAML file or a dict, with overrides of the form ``dotted.key=value``.

    Relative paths start in the folder of the file; those of a dict or an override in the current one. Classes of
    strategies that the configuration names are imported, to check their parameters. Raises ConfigError with everything
    that was found wrong.
    """
    if isinstance(source, Mapping):
        path, root = None, from_python(source, Place("configuration", 0, Path.cwd()))
        text, found = dump(plain(root)), list[Problem]()
    else:
        path = Path(source)
        place = Place(str(source), 1, path.absolute().parent)
        text = _read(path, place)
        root, found = parse(text, place)
    root, wrong = _overrides.apply(root, overrides)
    found += wrong
    if not isinstance(root.value, dict):
        hint = "a configuration is a list of `key: value`, beginning with `name: ...`"
        raise ConfigError([*found, Problem(root.place, "", f"holds no keys; {hint}")])
    root = _absolute(root)
    try:
        folder = root.value["strategy_folder"].value
        config = BacktestConfig.model_validate(
            plain(root), context={"strategy_folder": Path(folder) if isinstance(folder, str) else None}
        )
    except ValidationError as error:
        raise ConfigError([*found, *translate.problems(error, root, BacktestConfig)]) from error
    if found:
        raise ConfigError(found)
    return Loaded(config, path, text)


def check(source: str | Path, overrides: Sequence[str] = ()) -> list[str]:
    """What the configuration would run, line by line, for a person to read; the engine's own checks are made too.

    Raises ConfigError, and StrategyError where a strategy of the user's fails when it is made.
    """
    from daemon.config.describe import described
    from daemon.config.spec import engine_spec

    config = load(source, overrides).config
    engine_spec(config)[0].check()
    return [f"{source}: {config.name} is a complete configuration", *described(config)]


def _read(path: Path, place: Place) -> str:
    try:
        return path.read_text("utf-8-sig")
    except OSError as error:
        what = f"cannot be read: {error.strerror}; give the path of a YAML file"
        raise ConfigError([Problem(Place(place.source, 0, place.folder), "", what)]) from error
    except UnicodeDecodeError as error:
        what = f"is not UTF-8 at byte {error.start}; save it as UTF-8"
        raise ConfigError([Problem(Place(place.source, 0, place.folder), "", what)]) from error


def _absolute(root: Node) -> Node:
    """The tree with its paths made absolute, each from the folder of the place where it was written."""
    entries = dict(root.value)
    entries["strategy_folder"] = _path(entries.get("strategy_folder"), root.place)
    data = entries.get("data")
    if data and isinstance(data.value, list):
        sources = []
        for source in data.value:
            if isinstance(source.value, dict):
                source = Node({**_default_path(source), **source.value}, source.place)
            if isinstance(source.value, dict):
                paths = {
                    key: _path(source.value[key], source.place)
                    for key in ("path", "actions")
                    if key in source.value and (key == "path" or source.value[key].value is not None)
                }
                source = Node({**source.value, **paths}, source.place)
            sources.append(source)
        entries["data"] = Node(sources, data.place)
    return Node(entries, root.place)


def _default_path(source: Node) -> dict[str, Node]:
    """A catalog is looked for beside the configuration, where nothing is said."""
    kind = source.value.get("source")
    return {"path": Node("catalog", source.place)} if kind and kind.value == "catalog" else {}


def _path(node: Node | None, around: Place) -> Node:
    if node is None or node.value is None:
        return Node(str(around.folder), around)
    if not isinstance(node.value, str):
        return node  # which is refused later
    return Node(str((node.place.folder / Path(node.value).expanduser()).resolve()), node.place)
