"""A Q-table of another program, whatever containers it is made of, becomes ours.

Whichever way it is nested, a table leads from keys to numbers: the bins (or the one number) of a state, then the
action. An array (states, actions) or (bins of feature 1, ..., bins of feature k, actions), a dict of states -> values,
of states -> actions -> value, or of (state, action) -> value are all the same list of such paths.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from engine.models import ACTIONS, Array, ModelError, QTable
from strategies.errors import RegistryError

MOST_VALUES = 4_000_000
MOST_STATES = 1_000_000
MOST_LEVELS = 300  # features, nested

_Keys = tuple[int, ...]
_CORRECT = "correct the bins, the order of the features or of the actions, or the table"


def q_table(
    table: Any, bins: Mapping[str, Sequence[float]], actions: Sequence[str], fill_with_hold: bool = False
) -> tuple[QTable, int]:
    """The Q-table in plain containers or arrays of numbers, and how many of its states the table did not know.

    bins: feature -> inner edges of its bins, in the order of the table's own bins; a value's bin is how many edges are
    at or below it (numpy.digitize). actions: the table's own order of sell, hold and buy, by which it counts them, or by
    whose names it calls them. fill_with_hold: in a state that the table does not know, hold is the best; else such a
    table is refused. Raises RegistryError where anything does not fit, with what differs.
    """
    if sorted(actions) != sorted(ACTIONS):
        raise RegistryError(
            f"actions: {', '.join(actions)}; write sell, hold and buy in the order of the table's values"
        )
    edges = tuple(_edges(feature, given) for feature, given in bins.items())
    shape = tuple(len(e) + 1 for e in edges)
    if not shape or prod(shape) > MOST_STATES:
        raise RegistryError(f"bins: they make {prod(shape):,} states; there can be 1 to {MOST_STATES:,}")
    columns = np.array([ACTIONS.index(name) for name in actions])  # the table's action -> ours
    q = np.full((prod(shape), len(ACTIONS)), np.nan)
    for keys, values in _blocks(table, tuple(actions)):
        states, found = _placed(keys, values, shape, list(bins))
        if not np.isnan(q[states, columns[found]]).all():
            raise RegistryError(f"the table has two values for one action in one state; {_CORRECT}")
        q[states, columns[found]] = values.ravel()
    unknown = np.isnan(q).any(axis=1)
    if unknown.any():
        if not fill_with_hold:
            first = ", ".join(map(str, np.unravel_index(int(np.argmax(unknown)), shape)))
            raise RegistryError(
                f"the table lacks values of {unknown.sum():,} of the {len(q):,} states, such as ({first}); "
                f"{_CORRECT}, or say --fill-with-hold"
            )
        q[unknown] = np.where(np.array(ACTIONS) == "hold", 0.0, -1.0)
    try:
        return QTable(edges, q), int(unknown.sum())
    except ModelError as error:
        raise RegistryError(f"the table is of no use: {error}; {_CORRECT}") from None


def _edges(feature: str, given: Any) -> Array:
    if not isinstance(given, Sequence) or isinstance(given, str | bytes):
        raise RegistryError(f"bins: {feature}: no list of edges; write {feature}: [30, 70]")
    for edge in given:
        if isinstance(edge, bool) or not isinstance(edge, int | float) or not np.isfinite(edge):
            raise RegistryError(f"bins: {feature}: {edge!r} is no edge; write numbers")
    edges = np.array(given, np.float64)
    if np.any(np.diff(edges) <= 0):
        raise RegistryError(f"bins: {feature}: the edges do not ascend; sort them, each once")
    return edges


def _placed(keys: _Keys, values: Array, shape: tuple[int, ...], features: list[str]) -> tuple[Array, Array]:
    # states and actions of a block: an array of values, which lies under some keys
    depth = len(keys) + values.ndim
    whole = (prod(shape),) if depth == 2 and len(shape) != 1 else shape  # the state is counted through
    if depth != len(whole) + 1:
        raise RegistryError(
            f"the table has {max(depth - 1, 0)} keys to a state and one to an action; the bins are of {len(shape)} "
            f"features: {', '.join(features)}; {_CORRECT}"
        )
    limits = (*whole, len(ACTIONS))
    names = [*(["state"] if whole is not shape else features), "action"]
    for name, key, limit in zip(names, keys, limits, strict=False):
        if not 0 <= key < limit:
            raise RegistryError(f"the table has {name} {key}; there are {limit}, from 0 on; {_CORRECT}")
    for name, size, limit in zip(names[len(keys) :], values.shape, limits[len(keys) :], strict=True):
        if size != limit:
            raise RegistryError(
                f"the table has {size} of {name}, the bins and actions make {limit}; {_CORRECT}"
            )
    if not np.isfinite(values).all():
        raise RegistryError("the table holds a value that is no finite number; correct the table")
    index = np.indices(values.shape).reshape(values.ndim, values.size)
    path = [*(np.full(index.shape[1], key) for key in keys), *index]
    return np.ravel_multi_index(tuple(path[:-1]), whole), path[-1]


def _blocks(table: Any, actions: tuple[str, ...]) -> Iterator[tuple[_Keys, Array]]:
    # every array of numbers in it, with the keys under which it lies; a number is an array without dimensions
    left = MOST_VALUES
    waiting: list[tuple[_Keys, Any]] = [((), table)]
    while waiting:
        keys, value = waiting.pop()
        if isinstance(value, list | tuple) and not all(_is_number(v) for v in value):
            value = dict(enumerate(value))
        if isinstance(value, dict):
            inner: list[tuple[_Keys, Any]] = [((*keys, *_key(key, actions)), v) for key, v in value.items()]
            if inner and len(inner[0][0]) > MOST_LEVELS:
                raise RegistryError(f"the table is nested more than {MOST_LEVELS} deep; save an array")
            left -= len(inner)
            waiting += inner
        elif isinstance(value, np.ndarray | list | tuple) or _is_number(value):
            array = np.asarray(value)
            if array.dtype.kind not in "iuf":
                raise RegistryError(f"the table has values of {array.dtype}, not numbers; save numbers")
            left -= array.size
            yield keys, array.astype(np.float64)
        else:
            raise RegistryError(
                f"the table has a {type(value).__name__} where numbers are looked for; save an array, or name the entry "
                "of the file that is the table with --key"
            )
        if left < 0:
            raise RegistryError(f"the table has more than {MOST_VALUES:,} values, which is the limit")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _key(key: Any, actions: tuple[str, ...]) -> _Keys:
    if isinstance(key, tuple):
        return tuple(number for part in key for number in _key(part, actions))
    if isinstance(key, int):
        return (int(key),)
    if isinstance(key, str) and key in actions:
        return (actions.index(key),)
    raise RegistryError(
        f"the table has the key {str(key)[:40]!r}, which is neither a bin's number nor an action ({', '.join(actions)}); "
        "save it with numbers, or name the entry of the file that is the table with --key"
    )
