"""`--set dotted.key=value`: values from the command line, grafted onto the tree of the file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from daemon.config.document import Node, parse
from daemon.config.errors import ConfigError, Place, Problem


def apply(root: Node, overrides: Sequence[str]) -> tuple[Node, list[Problem]]:
    """The tree with each override set, later ones last, and what is wrong with them. The given tree stays as it is.

    The value is read as YAML; lists are entered by index (``accounts.0.cash=5``). A key that is not there is made, for
    the models to judge it as they judge the file's keys.
    """
    problems: list[Problem] = []
    for text in overrides:
        place = Place(f"--set {text}", 0, Path.cwd())
        key, equals, value = text.partition("=")
        keys = key.strip().split(".")
        if not equals or not all(keys):
            problems.append(Problem(place, "", "is no override; write --set dotted.key=value"))
            continue
        try:
            node, wrong = parse(value, place)
            problems += wrong
            root = _graft(root, keys, 0, Node(node.value, place))
        except ConfigError as error:
            problems += error.problems
    return root, problems


def _graft(node: Node, keys: list[str], at: int, leaf: Node) -> Node:
    """A copy of the node in which the value under keys[at:] is the leaf; the copy shares all that is beside the path."""
    if at == len(keys):
        return leaf
    if isinstance(node.value, list):
        n = len(node.value)
        if not (keys[at].isdecimal() and int(keys[at]) < n):
            here = ".".join(keys[:at])
            have = f"its entries are 0 to {n - 1}" if n else "it is empty"
            raise ConfigError([Problem(leaf.place, here, f"has no entry {keys[at]!r}; {have}")])
        i = int(keys[at])
        entry = _graft(node.value[i], keys, at + 1, leaf)
        return Node([*node.value[:i], entry, *node.value[i + 1 :]], node.place)
    if node.value is not None and not isinstance(node.value, dict):
        here = ".".join(keys[:at])
        raise ConfigError(
            [Problem(leaf.place, here, "is a single value, without keys of its own; set it as a whole")]
        )
    entries = node.value or {}
    # the longest name that is there, for a name may hold dots: instruments.BRK.B.lot_size
    end = next((e for e in range(len(keys), at, -1) if ".".join(keys[at:e]) in entries), at + 1)
    name = ".".join(keys[at:end])
    child = _graft(entries.get(name, Node(None, leaf.place)), keys, end, leaf)
    return Node({**entries, name: child}, node.place)
