"""What differs between two configurations of a session, and what a running one can take on.

Of what the engine is asked to change it says itself whether it can: what keeps its frame is an input on the tape, and all
else waits for a restart. So no rule here has to know which parameter of a strategy changes the indicators that it sees.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from daemon.config.errors import ConfigError
from daemon.config.notify import names

if TYPE_CHECKING:
    from daemon.config.paper import PaperConfig

How = Literal["input", "service", "restart"]
_IN_ORDER = (
    "accounts",
    "strategies",
    "instruments",
    "actors",
)  # mappings in which the order says something, too

# keys -> how a change of what is below them takes effect, unless the engine says that it cannot; * is any name
_HOW: dict[tuple[str, ...], How] = {
    ("service", "log_level"): "service",
    ("journal",): "service",
    ("retention",): "service",
    ("notify",): "service",
    ("feed", "watch"): "input",
    ("execution",): "input",
    ("instruments", "*", "fees"): "input",
    ("instruments", "*", "min_quantity"): "input",
    ("instruments", "*", "max_quantity"): "input",
    ("accounts", "*", "limits"): "input",
    ("accounts", "*", "margin"): "input",
    **{
        ("accounts", "*", "strategies", "*", key): "input"
        for key in ("use", "params", "size", "limits", "signals", "cancel_on_disconnect")
    },
}


@dataclass(frozen=True)
class Change:
    """One value that differs. Values are as in YAML; None: there is none. key: dotted, with names in place of numbers.

    how: an input on the tape, something of the process around the engine, or nothing before a restart.
    """

    key: str
    old: Any
    new: Any
    how: How
    keys: tuple[str, ...]  # the same in parts, for a name may hold dots


def changes(old: PaperConfig, new: PaperConfig) -> list[Change]:
    """What differs, in the order of the keys; empty where nothing does."""
    found = [Change(".".join(k), a, b, _how(k), k) for k, a, b in _differing(_tree(old), _tree(new))]
    asked = [change for change in found if change.how == "input"]
    while asked:
        refused = {change.keys for change in _refused(old, asked)}
        if not refused:
            break
        found = [replace(c, how="restart") if c.keys in refused else c for c in found]
        asked = [change for change in found if change.how == "input"]
    return found


def applied(old: PaperConfig, found: Iterable[Change]) -> PaperConfig:
    """The old configuration with those of the changes that need no restart. Raises ConfigError where it were none."""
    from daemon.config.paper import load_paper

    tree = _tree(old)
    for change in found:
        if change.how != "restart":
            _set(tree, change)
    return load_paper(_plain(tree)).config


def _refused(old: PaperConfig, asked: Sequence[Change]) -> Iterator[Change]:
    """Those of the changes that the engine cannot take on while it lives."""
    if _takes(old, asked):
        return
    parts: dict[tuple[str, ...], list[Change]] = {}
    for change in asked:  # of one thing some belong together, as units and fraction of a size do
        parts.setdefault(_part(change.keys), []).append(change)
    refused = [part for part in parts.values() if not _takes(old, part)]
    if not refused:
        yield from asked
    for part in refused:
        yield from [change for change in part if _takes(old, [change]) is False] or part


def _takes(old: PaperConfig, asked: Sequence[Change]) -> bool | None:
    """Whether an engine of the old configuration can go on with these changes; None where they make no configuration."""
    from daemon.config.spec import engine_spec
    from engine.owned import differing

    try:
        spec = engine_spec(applied(old, asked))[0]
    except ConfigError:  # they lean on others, as a limit on VaR does on `risk`
        return None
    return not differing(engine_spec(old)[0], spec)


def _part(keys: tuple[str, ...]) -> tuple[str, ...]:
    match keys:
        case ("accounts", _, "strategies", _, *_):
            return keys[:4]
        case ("accounts" | "instruments", _, *_):
            return keys[:2]
    return keys[:1]


def _how(keys: tuple[str, ...]) -> How:
    for pattern, how in _HOW.items():
        if len(pattern) <= len(keys) and all(p in ("*", k) for p, k in zip(pattern, keys, strict=False)):
            return how
    return "restart"


def _tree(config: PaperConfig) -> dict[str, Any]:
    """The configuration as in YAML, with mappings by name in place of lists of things with names."""
    tree: dict[str, Any] = config.model_dump(mode="json")
    for account in tree["accounts"]:
        account["strategies"] = {s["name"]: s for s in account["strategies"]}
    for key in ("accounts", "actors"):
        tree[key] = {entry["name"]: entry for entry in tree[key]}
    tree["notify"] = dict(zip(names(config.notify), tree["notify"], strict=True))
    return tree


def _plain(tree: dict[str, Any]) -> dict[str, Any]:
    """What `_tree` was made from."""
    lists = {key: list(tree[key].values()) for key in ("accounts", "actors", "notify")}
    accounts = [{**a, "strategies": list(a["strategies"].values())} for a in lists["accounts"]]
    return {**tree, **lists, "accounts": accounts}


def _differing(old: Any, new: Any, keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        if old != new:
            yield keys, old, new
        return
    for key in dict.fromkeys((*old, *new)):
        yield from _differing(old.get(key), new.get(key), (*keys, key))
    both = [[k for k in side if k in old and k in new] for side in (old, new)]
    if keys and keys[-1] in _IN_ORDER and both[0] != both[1]:
        yield keys, list(old), list(new)


def _set(tree: dict[str, Any], change: Change) -> None:
    *around, last = change.keys
    for key in around:
        tree = tree[key]
    tree[last] = change.new
    if around == ["notify"] and change.new is None:  # a target that is gone
        del tree[last]
