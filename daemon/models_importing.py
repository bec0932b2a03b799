"""Models come from other programs and registries, and go to them."""

from __future__ import annotations

import io
import json
import secrets
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from strategies.errors import RegistryError
from strategies.models import Registry
from strategies.models.card import FILE_NAME as CARD
from strategies.models.card import digest, make_card
from strategies.models.files import replace_file
from strategies.models.registry import LoadedModel, load_folder
from strategies.models.weights import FILE_NAME as WEIGHTS


def import_folder(registry: Registry, folder: Path, name: str | None) -> str:
    """Take in an exported model, under its own name or another; its NAME@VERSION. Raises RegistryError."""
    loaded = load_folder(folder)
    card = make_card(**loaded.card.to_json() | ({"name": name} if name else {}))
    return registry.store(
        loaded.model, card, {file: folder / file for file in loaded.card.files if file != WEIGHTS}
    )


def import_table(registry: Registry, file: Path, name: str | None, how: dict[str, Any]) -> str:
    """Take in a Q-table of another program; its NAME@VERSION.

    how: the options of `papertape models import`. Raises RegistryError where the file is no table of plain numbers, does
    not fit the bins, or something has to be said that was not.
    """
    from engine.features import parse_feature
    from strategies.models.tables import q_table

    for option, value in (("name", name), *((key, how[key]) for key in ("bins", "actions", "timeframe"))):
        if value is None:
            raise RegistryError(f"--{option}: is missing; a table does not say it itself")
    assert name is not None
    bins = _bins(how["bins"])
    features = _words(how["features"]) or list(bins)
    if sorted(features) != sorted(bins):
        raise RegistryError(f"--features: {', '.join(features)}; {how['bins']} is of {', '.join(bins)}")
    for feature in features:
        try:
            parse_feature(feature.partition("@")[0])
        except ValueError as error:
            raise RegistryError(f"{how['bins']}: {error}") from None
    table = _table(file, how["key"])
    try:
        model, filled = q_table(
            table, {f: bins[f] for f in features}, _words(how["actions"]), how["fill_with_hold"]
        )
    except RegistryError as error:
        raise RegistryError(f"{file}: {error}") from None
    size = {key: how[key] for key in ("units", "fraction") if how[key] is not None} or {"fraction": 0.95}
    card = make_card(
        name=name,
        created=datetime.now(UTC),
        code_version=_code_version(),
        algorithm="import",
        features=features,
        timeframe_ns=_timeframe(how["timeframe"]),
        instruments=_words(how["instruments"]),
        actions={"kind": "discrete", "short": how["short"], "size": size},
        config={"file": file.name, "hash": digest(file.read_bytes()), "filled_with_hold": filled},
    )
    return registry.store(model, card)


def export_folder(loaded: LoadedModel, to: Path) -> None:
    """Copy a model's folder; it is there when it is complete. Raises RegistryError where something is there already."""
    _check_free(to)
    hidden = to.with_name(f".{to.name}.{secrets.token_hex(4)}.partial")
    hidden.parent.mkdir(parents=True, exist_ok=True)
    try:
        hidden.mkdir()
        for name in (CARD, *loaded.card.files):
            shutil.copyfile(loaded.folder / name, hidden / name)
        hidden.rename(to)
    except BaseException:
        shutil.rmtree(hidden, ignore_errors=True)
        raise


def export_npz(loaded: LoadedModel, to: Path) -> None:
    """Write a model's arrays and its card (`card`, JSON) into one file for numpy.load. Raises as `export_folder` does."""
    import numpy as np

    from strategies.models.weights import kind_of, named_arrays

    if to.suffix != ".npz":
        raise RegistryError(f"--to: {to}: a file of numpy arrays ends with .npz; write {to}.npz")
    _check_free(to)
    to.parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    texts = {"card": np.array(json.dumps(loaded.card.to_json())), "model": np.array(kind_of(loaded.model))}
    np.savez(content, allow_pickle=False, **named_arrays(loaded.model), **texts)
    replace_file(to, content.getvalue())


EXPORTS: dict[str, Callable[[LoadedModel, Path], None]] = {"folder": export_folder, "npz": export_npz}


def _check_free(path: Path) -> None:
    if path.exists():
        raise RegistryError(f"--to: {path} is there already; remove it, or name another")


def _table(file: Path, key: str | None) -> Any:
    import numpy as np

    from strategies.models.pickles import MOST_BYTES, read_pickle

    if file.suffix == ".npy":
        try:
            if file.stat().st_size > MOST_BYTES:
                raise RegistryError(f"{file}: has more than {MOST_BYTES:,} bytes, which is the limit")
            return np.load(file, allow_pickle=False)
        except ValueError as error:
            raise RegistryError(f"{file}: no array of numbers: {error}") from None
    table = read_pickle(file)
    if key is None:
        return table
    if not isinstance(table, dict) or key not in table:
        names = [str(k)[:40] for k in table if isinstance(k, str)] if isinstance(table, dict) else []
        raise RegistryError(
            f"--key: {file} has no entry {key!r}; it has {', '.join(names[:20]) or 'no names'}"
        )
    return table[key]


def _bins(file: Path) -> dict[str, Any]:
    from daemon.config.document import parse, plain
    from daemon.config.errors import ConfigError, Place

    try:
        node, problems = parse(file.read_text("utf-8"), Place(str(file), 1, file.parent))
    except UnicodeDecodeError as error:
        raise RegistryError(f"{file}: is no text: {error}; write YAML or JSON") from None
    if problems:
        raise ConfigError(problems)
    bins = plain(node)
    if not isinstance(bins, dict) or not bins:
        raise RegistryError(f"{file}: is no list of features; write lines such as rsi_14: [30, 70]")
    return bins


def _timeframe(text: str) -> int:
    from daemon.config.types import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise RegistryError(f"--timeframe: {error}") from None


def _words(text: str | None) -> list[str]:
    return [word.strip() for word in text.split(",")] if text else []


def _code_version() -> str:
    from importlib.metadata import version

    return version("papertape")
