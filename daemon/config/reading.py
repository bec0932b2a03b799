"""From a YAML file, a dict and `--set` to a configuration of one kind that is right, or to all that is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from daemon.config import overrides as _overrides
from daemon.config import translate
from daemon.config.document import Node, dump, from_python, parse, plain
from daemon.config.errors import ConfigError, Place, Problem
from daemon.config.market import Market

C = TypeVar("C", bound=Market)
Source = str | Path | Mapping[str, Any]


@dataclass(frozen=True)
class Loaded(Generic[C]):
    """A configuration and where it came from."""

    config: C
    path: Path | None  # None: from a dict
    text: str  # as it was read, before overrides; of a dict: as YAML


def read(kind: type[C], source: Source, overrides: Sequence[str] = ()) -> Loaded[C]:
    """The configuration of that kind in a YAML file or a dict, with overrides of the form ``dotted.key=value``.

    Relative paths start in the folder of the file; those of a dict or an override in the current one, and so does the
    folder of trained models where none is named. A kind whose name has a default is named after its file. Classes of
    strategies that the configuration names are imported, to check their parameters. Raises ConfigError with everything
    that was found wrong.
    """
    path, text, root, found = _tree(source, overrides)
    return Loaded(_made(kind, path, root, found), path, text)


def kind_of_file(source: str | Path, overrides: Sequence[str] = ()) -> type[Market]:
    """Which kind of configuration a file holds: the one that has most of the file's keys.

    Raises ConfigError where it cannot be read.
    """
    _, _, root, _ = _tree(source, overrides)
    return _kind_of(root)


def _tree(source: Source, overrides: Sequence[str]) -> tuple[Path | None, str, Node, list[Problem]]:
    if isinstance(source, Mapping):
        path, root = None, from_python(source, Place("configuration", 0, Path.cwd()))
        text, found = dump(plain(root)), list[Problem]()
    else:
        path = Path(source)
        place = Place(str(source), 1, path.absolute().parent)
        text = _text(path, place)
        root, found = parse(text, place)
    root, wrong = _overrides.apply(root, overrides)
    found += wrong
    if not isinstance(root.value, dict):
        hint = "a configuration is a list of `key: value`, beginning with `name: ...`"
        raise ConfigError([*found, Problem(root.place, "", f"holds no keys; {hint}")])
    return path, text, root, found


def _made(kind: type[C], path: Path | None, root: Node, found: list[Problem]) -> C:
    given = root
    root = _absolute(_named(root, kind, path), kind)
    folders = {key: root.value[key].value for key in _FOLDERS if key in root.value}
    context = {key: Path(folder) for key, folder in folders.items() if isinstance(folder, str)}
    try:
        config = kind.model_validate(plain(root), context=context)
    except ValidationError as error:
        meant = _kind_of(given)
        if _known(given, meant) > _known(given, kind):
            from daemon.config.kinds import COMMANDS

            what = f"is a configuration for papertape {COMMANDS[meant]}, not for papertape {COMMANDS[kind]}"
            place = Place(root.place.source, 0, root.place.folder)
            hint = "run that command, or name another file"
            raise ConfigError([Problem(place, "", f"{what}; {hint}")]) from error
        raise ConfigError([*found, *translate.problems(error, root, kind)]) from error
    if found:
        raise ConfigError(found)
    return config


def _kind_of(root: Node) -> type[Market]:
    from daemon.config.kinds import COMMANDS

    return max(COMMANDS, key=lambda kind: _known(root, kind))


def _known(root: Node, kind: type[Market]) -> int:
    """How many of the keys a kind of configuration has."""
    from daemon.config.models import BacktestConfig

    # a paper session is a backtest that is fed: without that, its other keys make none of it
    fields = kind if "feed" in root.value or not issubclass(kind, BacktestConfig) else BacktestConfig
    return len(root.value.keys() & fields.model_fields.keys())


def _text(path: Path, place: Place) -> str:
    try:
        return path.read_text("utf-8-sig")
    except OSError as error:
        what = f"cannot be read: {error.strerror}; give the path of a YAML file"
        raise ConfigError([Problem(Place(place.source, 0, place.folder), "", what)]) from error
    except UnicodeDecodeError as error:
        what = f"is not UTF-8 at byte {error.start}; save it as UTF-8"
        raise ConfigError([Problem(Place(place.source, 0, place.folder), "", what)]) from error


def _named(root: Node, kind: type[Market], path: Path | None) -> Node:
    if path is None or "name" in root.value or kind.model_fields["name"].is_required():
        return root
    return Node({"name": Node(path.stem, root.place), **root.value}, root.place)


# folders that a configuration names at its top -> where they are where nothing is said: beside it, or as a command finds
# what the one before it has written
_FOLDERS: dict[str, Callable[[Place], Path]] = {
    "strategy_folder": lambda place: place.folder,
    "models": lambda place: Path("models").absolute(),
}


def _absolute(root: Node, kind: type[Market]) -> Node:
    """The tree with its paths made absolute, each from the folder of the place where it was written."""
    entries = dict(root.value)
    for key, usual in _FOLDERS.items():
        if key in kind.model_fields:
            node = entries.get(key)
            said = node is not None and node.value is not None
            entries[key] = _path(node, root.place) if said else Node(str(usual(root.place)), root.place)
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
    service = entries.get("service")
    if (
        service
        and isinstance(service.value, dict)
        and isinstance(control := service.value.get("control"), Node)
    ):
        socket = _path(control, control.place) if control.value is not None else control
        entries["service"] = Node({**service.value, "control": socket}, service.place)
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
