"""Snapshots as bytes: what goes in comes out, what is no plain value is refused by its strategy's name, damage is noticed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.live.snapshots import ContentError, pack, plain, unpack, unplain
from engine.records import Side
from engine.snapshot import Snapshot
from tests.builders import make_engine, make_ticks
from tests.stories.desk import at, order

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
keys = st.booleans() | st.integers() | st.text() | st.binary() | st.tuples(st.integers(), st.text())
plain_values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(keys, inner)
        | st.tuples(inner, inner)
        | st.sets(keys)
        | st.frozensets(keys)
    ),
    max_leaves=20,
)


def through_json(value: Any) -> Any:
    return unplain(json.loads(json.dumps(plain(value))))


def types_of(value: Any) -> Any:
    """The value's types, as deep as it goes: 1, 1.0 and True are equal."""
    if isinstance(value, dict):
        return dict, sorted((repr(k), types_of(v)) for k, v in value.items())
    if isinstance(value, list | tuple):
        return type(value), [types_of(v) for v in value]
    if isinstance(value, set | frozenset):
        return type(value), sorted(type(v).__name__ for v in value)
    return type(value)


@given(plain_values)
def test_plain_value_comes_back_equal_and_of_the_same_types(value: Any) -> None:
    back = through_json(value)
    assert back == value
    assert types_of(back) == types_of(value)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.int32).reshape(2, 3),
        np.arange(6.0).reshape(2, 3).T,  # not contiguous
        np.array([np.nan, np.inf, -0.0]),
        np.zeros((0, 3)),
        np.array(["a", "bc"]),
        np.array(["2024-01-02"], "M8[ns]"),
        np.array([True, False]),
        np.array([(1, 2.5)], [("a", "i8"), ("b", "f8")]),
        np.arange(3, dtype=">i8"),
        np.array(7.0),
    ],
    ids=lambda a: f"{a.dtype}-{a.shape}",
)
def test_array_comes_back_with_its_type_shape_and_bits(array: Any) -> None:
    back = through_json({"x": [array]})["x"][0]
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert np.ascontiguousarray(back).tobytes() == np.ascontiguousarray(array).tobytes()
    assert back.flags.writeable


@pytest.mark.parametrize("number", [np.float64(0.1), np.int32(-5), np.bool_(True), np.datetime64(5, "ns")])
def test_number_of_numpy_comes_back_as_one(number: Any) -> None:
    back = through_json(number)
    assert type(back) is type(number)
    assert back == number


def test_float_that_is_no_number_comes_back_as_such() -> None:
    back = through_json([float("nan"), float("inf"), float("-inf"), -0.0])
    assert repr(back) == "[nan, inf, -inf, -0.0]"


def test_dict_that_looks_like_ours_comes_back_as_it_is() -> None:
    values: list[Any] = [
        {"dict": 1},
        {"tuple": [1]},
        {"bytes": "AA=="},
        {"array": [1, 2, 3]},
        {},
        {1: {2: {}}},
    ]
    for value in values:
        assert through_json(value) == value


class Colour(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (datetime(2024, 1, 1, tzinfo=UTC), "datetime"),
        (Path("x"), "PosixPath"),
        (lambda: 0, "function"),
        (object(), "object"),
        (Colour("red"), "Colour"),
        (1j, "complex"),
        (np.array([object()]), "ndarray"),
        (range(3), "range"),
    ],
)
def test_value_that_is_not_plain_is_refused_with_its_type_and_its_strategy(value: Any, named: str) -> None:
    snapshot = make_engine().snapshot()
    state = {"deep": [1, {"x": (value,)}]}
    with pytest.raises(
        ContentError, match=f"strategy 'a/dips': its state_dict holds a {named}, which is not kept"
    ):
        pack(replace(snapshot, actors={"a/fine": {"n": 1}, "a/dips": state}), {})


def held() -> Snapshot:
    engine = make_engine(features=("sma_3",))
    engine.process(make_ticks([(at(m), 10.0 + m) for m in range(200)]))
    order(engine, Side.BUY, 5)
    order(engine, Side.SELL, 5, limit=300.0)
    engine.process(make_ticks([(at(201), 50.0)]))
    engine.set_timer(0, 3, at(500))
    return replace(engine.snapshot(), actors={"s": {"n": (1, 2)}})


def test_snapshot_comes_back_bit_for_bit_with_what_lay_beside() -> None:
    snapshot, beside = held(), {"config": "name: x\n", "n": 2**60, "gaps": {"A": 5}, "ended": False}
    back, beside_back = unpack(pack(snapshot, beside))
    assert beside_back == beside
    assert back.spec == snapshot.spec
    assert back.actors == snapshot.actors
    assert back.arrays.keys() == snapshot.arrays.keys()
    for name, array in snapshot.arrays.items():
        assert back.arrays[name].dtype == array.dtype
        assert back.arrays[name].tobytes() == array.tobytes(), name
        assert back.arrays[name].flags.writeable


def test_engine_restored_from_bytes_goes_on_as_one_that_never_stopped() -> None:
    snapshot = held()
    engine, other = make_engine(features=("sma_3",)), make_engine(features=("sma_3",))
    engine.restore(snapshot)
    other.restore(unpack(pack(snapshot, {}))[0])
    rest = make_ticks([(at(300 + m), 299.0 + m) for m in range(100)])
    assert engine.process(rest).events.tobytes() == other.process(rest).events.tobytes()
    assert engine.state_hash() == other.state_hash()
    assert engine.next_due() == other.next_due()


def test_same_snapshot_gives_the_same_bytes() -> None:
    snapshot = held()
    assert pack(snapshot, {"a": 1}) == pack(snapshot, {"a": 1})


@pytest.mark.parametrize(
    "damage",
    [
        lambda b: b"",
        lambda b: b[:5],
        lambda b: b[:100],
        lambda b: b[: len(b) // 2],
        lambda b: b[:-1],
        lambda b: b"\xff" * 8 + b[8:],
        lambda b: b[:8] + b"[" + b[9:],
        lambda b: b[:8] + b"{}" + b" " * (int.from_bytes(b[:8], "little") - 2) + b[8 + int.from_bytes(b[:8], "little") :],
        lambda b: b.replace(b'"<i8"', b'"<q9"', 1),
        lambda b: b.replace(b'"<i8"', b'"|O8"', 1),
        lambda b: b.replace(b'"actors"', b'"actorz"', 1),
    ],
    ids=["empty", "short", "header cut", "half", "a byte short", "length", "no JSON", "no keys", "a type", "objects", "a key"],
)  # fmt: skip
def test_damaged_bytes_are_refused(damage: Any) -> None:
    whole = pack(held(), {"n": 1})
    broken = damage(whole)
    assert broken != whole
    with pytest.raises(ContentError, match="the snapshot cannot be read"):
        unpack(broken)
