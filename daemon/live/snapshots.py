"""A snapshot as bytes: plain arrays and plain values, so that reading one never runs code.

The bytes are the length of a header as int64, the header as JSON, and the arrays one after the other. The header says what
the arrays are, what the actors saved, and whatever the caller put beside.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np

from engine.snapshot import Snapshot

Array = np.ndarray[Any, Any]


class ContentError(ValueError):
    """Something cannot be kept, or read back; the text says what."""


def pack(snapshot: Snapshot, beside: dict[str, Any]) -> bytes:
    """The bytes of a snapshot. beside: JSON. Raises ContentError where an actor saved what is no plain value."""
    actors = {}
    for name, state in snapshot.actors.items():
        try:
            actors[name] = plain(state)
        except ContentError as error:
            raise ContentError(f"strategy {name!r}: its state_dict holds {error}") from None
    arrays = {n: np.ascontiguousarray(a).view(np.ndarray) for n, a in snapshot.arrays.items()}
    header = {
        "spec": snapshot.spec,
        "arrays": [(n, np.lib.format.dtype_to_descr(a.dtype), a.shape) for n, a in arrays.items()],
        "actors": actors,
        "beside": beside,
    }
    text = json.dumps(header, separators=(",", ":")).encode()
    return b"".join([len(text).to_bytes(8, "little"), text, *(a.tobytes() for a in arrays.values())])


def unpack(content: bytes) -> tuple[Snapshot, dict[str, Any]]:
    """The snapshot, and what lay beside. Raises ContentError."""
    try:
        length = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + length])
        at, arrays = 8 + length, {}
        for name, descr, shape in header["arrays"]:
            dtype = np.lib.format.descr_to_dtype(_tuples(descr))
            n = int(np.prod(shape))
            arrays[name] = np.frombuffer(content, dtype, n, at).reshape(shape).copy()
            at += n * dtype.itemsize
        actors = {name: unplain(state) for name, state in header["actors"].items()}
        return Snapshot(arrays, actors, header["spec"]), header["beside"]
    except (ValueError, KeyError, TypeError) as error:
        raise ContentError(f"the snapshot cannot be read: {error}") from error


def _tuples(descr: Any) -> Any:
    # JSON knows lists only, where the description of a record has tuples
    return descr if isinstance(descr, str) else [tuple(field) for field in descr]


def plain(value: Any) -> Any:
    """A value as JSON from which `unplain` makes the equal one. Raises ContentError for what is not plain.

    Plain are None, bool, int, float, str, bytes, lists, tuples, sets, dicts, and numpy's arrays and numbers.
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) is list:
        return [plain(v) for v in value]
    if type(value) in (tuple, set, frozenset):
        return {type(value).__name__: [plain(v) for v in value]}
    if type(value) is dict:
        return {"dict": [[plain(k), plain(v)] for k, v in value.items()]}
    if type(value) is bytes:
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, np.ndarray | np.generic) and not value.dtype.hasobject:
        data = np.asarray(value)
        kind = "array" if isinstance(value, np.ndarray) else "number"
        raw = base64.b64encode(np.ascontiguousarray(data).tobytes()).decode()
        return {kind: [np.lib.format.dtype_to_descr(data.dtype), list(data.shape), raw]}
    raise ContentError(
        f"a {type(value).__qualname__}, which is not kept; make it of numbers, texts, lists, dicts and numpy arrays"
    )


def unplain(value: Any) -> Any:
    """The value that `plain` was given."""
    if isinstance(value, list):
        return [unplain(v) for v in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "dict":
        return {unplain(k): unplain(v) for k, v in content}
    if kind == "bytes":
        return base64.b64decode(content)
    if kind in ("array", "number"):
        descr, shape, raw = content
        array = np.frombuffer(base64.b64decode(raw), np.lib.format.descr_to_dtype(_tuples(descr))).reshape(
            shape
        )
        return array.copy() if kind == "array" else array[()]
    return {"tuple": tuple, "set": set, "frozenset": frozenset}[kind](unplain(v) for v in content)
