"""YAML text, or a Python dict, as a tree in which each value knows where it was written.

The scalars are those of YAML 1.2: only `true` and `false` are truth values (`on`, `yes` and `no` are words), `1e5` is
a number, `10:30` is none. A date stays text, and is read by the key that wants one. Nothing but plain data can be
written: a tag such as `!!python/object` is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from os import PathLike, fspath
from typing import Any, NamedTuple

import yaml

from daemon.config.errors import ConfigError, Place, Problem


class Node(NamedTuple):
    """A value and its place. The value is a scalar, a list of nodes or a dict of text to nodes."""

    value: Any
    place: Place  # of its key, where it has one


_TAG = "tag:yaml.org,2002:"
_SCALARS = {  # tag -> what its plain scalars look like, and the characters that they begin with
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?[0-9]+(_[0-9]+)*", list("-+0123456789")),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(_[0-9]+)*(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
    "merge": (r"<<", ["<"]),
}


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - the base class annotates it so


class _Dumper(yaml.SafeDumper):
    """Quotes what either set of rules, ours or YAML 1.1, would take for something other than text."""

    def ignore_aliases(self, data: Any) -> bool:
        return True  # the same limits in two accounts are written out twice


for _name, (_pattern, _first) in _SCALARS.items():
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(_TAG + _name, re.compile(f"(?:{_pattern})$"), _first)


def parse(text: str, place: Place) -> tuple[Node, list[Problem]]:
    """The tree of a YAML text and what is wrong with it (keys given twice, tags); `place` is that of its first line.

    Raises ConfigError where the text is no YAML at all.
    """
    problems: list[Problem] = []
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        reader = _Reader(place, problems)
        node = reader.read(root, place, (), ()) if root else Node(None, place)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = " ".join(part for part in (error.context, error.problem) if part)
        hint = (
            "indent with spaces, never tabs" if "\\t" in what else "look at indentation, quotes and brackets"
        )
        raise ConfigError([Problem(_at(place, mark), "", f"is no valid YAML: {what}; {hint}")]) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        where = Place(place.source, line if place.line else 0, place.folder)
        raise ConfigError(
            [Problem(where, "", f"holds a control character (#x{error.character:x}); remove it")]
        ) from error
    except RecursionError as error:
        raise ConfigError([Problem(place, "", "is nested too deeply; no key needs that")]) from error
    return node, problems


def from_python(value: Any, place: Place) -> Node:
    """The tree of a Python value, whose parts all have the same place; dates and paths become text."""
    if isinstance(value, Mapping):
        return Node({str(k): from_python(v, place) for k, v in value.items()}, place)
    if isinstance(value, list | tuple):
        return Node([from_python(v, place) for v in value], place)
    if isinstance(value, date):  # a datetime is one too
        return Node(value.isoformat(), place)
    if isinstance(value, PathLike):
        return Node(fspath(value), place)
    if getattr(value, "shape", None) == ():  # a number of numpy's, from a search over parameters
        return Node(value.item(), place)
    return Node(value, place)


def plain(node: Node) -> Any:
    """The tree's value as lists, dicts and scalars."""
    if isinstance(node.value, dict):
        return {key: plain(child) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return [plain(child) for child in node.value]
    return node.value


def dump(value: Any) -> str:
    """Plain data as YAML that `parse` reads back to the same."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return text


def _at(place: Place, mark: yaml.error.Mark | None) -> Place:
    """The place of a mark; what was given with `--set` has no lines."""
    return Place(place.source, mark.line + 1, place.folder) if mark and place.line else place


class _Reader:
    """PyYAML's nodes become ours."""

    def __init__(self, first: Place, problems: list[Problem]) -> None:
        self.first = first
        self.problems = problems

    def refuse(self, place: Place, keys: tuple[str, ...], message: str) -> None:
        self.problems.append(Problem(place, ".".join(keys), message))

    def read(
        self, node: yaml.Node, place: Place, keys: tuple[str, ...], within: tuple[yaml.Node, ...]
    ) -> Node:
        """`within`: the nodes around this one, for an alias may point at one of them."""
        tag = node.tag.removeprefix(_TAG)
        if any(node is outer for outer in within):
            self.refuse(place, keys, "holds itself, through an alias; write the value out")
        elif isinstance(node, yaml.MappingNode) and tag == "map":
            return Node(self.mapping(node, keys, (*within, node)), place)
        elif isinstance(node, yaml.SequenceNode) and tag == "seq":
            return Node(
                [
                    self.read(child, _at(self.first, child.start_mark), (*keys, str(i)), (*within, node))
                    for i, child in enumerate(node.value)
                ],
                place,
            )
        elif isinstance(node, yaml.ScalarNode) and tag in ("str", *_SCALARS):
            try:
                return Node(_scalar(tag, node.value), place)
            except ValueError:
                self.refuse(place, keys, f"{node.value!r} is not of the type of its tag; remove the tag")
        else:
            self.refuse(place, keys, f"the tag {node.tag} is not allowed; write plain values")
        return Node(None, place)

    def mapping(
        self, node: yaml.MappingNode, keys: tuple[str, ...], within: tuple[yaml.Node, ...]
    ) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        merged: list[Node] = []
        for key_node, value_node in node.value:
            place = _at(self.first, key_node.start_mark)
            if not isinstance(key_node, yaml.ScalarNode):
                self.refuse(place, keys, "a key is a list or a mapping; write text before the colon")
                continue
            key = (
                key_node.value
            )  # its text, also where it looks like a number: 600519 is an instrument's name
            value = self.read(value_node, place, (*keys, key), within)
            if key_node.tag == _TAG + "merge":
                merged += value.value if isinstance(value.value, list) else [value]
            elif key in entries:
                first = entries[key].place.line
                also = f", first in line {first}" if first else ""
                self.refuse(place, (*keys, key), f"is given twice{also}; remove one of them")
            else:
                entries[key] = value
        for other in merged:
            if isinstance(other.value, dict):
                for key, value in other.value.items():
                    entries.setdefault(key, value)
            else:
                self.refuse(other.place, keys, "`<<` takes in a mapping, and this is none; point it at one")
        return entries


def _scalar(tag: str, text: str) -> Any:
    if tag == "null":
        return None
    if tag == "bool":
        return (
            {"true": True, "false": False}[text.lower()]
            if text.lower() in ("true", "false")
            else _wrong(text)
        )
    if tag == "int":
        return int(text)
    if tag == "float":
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan").replace("_", ""))
    return text


def _wrong(text: str) -> Any:
    raise ValueError(text)
