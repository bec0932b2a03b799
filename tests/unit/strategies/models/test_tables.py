from typing import Any

import numpy as np
import pytest

from engine.models import MOST_INPUTS
from strategies.errors import RegistryError
from strategies.models import tables
from strategies.models.tables import q_table

BINS: dict[str, Any] = {"rsi_14": [30, 70], "exposure": [0.5]}
OURS = ("sell", "hold", "buy")
# value of a state's action, in three bins by two: 100 * first bin + 10 * second bin + action
VALUES = np.array(
    [[[100 * i + 10 * j + a for a in range(3)] for j in range(2)] for i in range(3)], np.float64
)
STATES = [(i, j) for i in range(3) for j in range(2)]

SHAPES: dict[str, Any] = {
    "array by bins": VALUES,
    "array by states": VALUES.reshape(6, 3),
    "array of integers": VALUES.astype(int),
    "nested lists": VALUES.tolist(),
    "list of arrays": list(VALUES.reshape(6, 3)),
    "bins to array": {(i, j): VALUES[i, j] for i, j in STATES},
    "bins to list": {(i, j): VALUES[i, j].tolist() for i, j in reversed(STATES)},
    "state to tuple": {n: tuple(VALUES.reshape(6, 3)[n].tolist()) for n in range(6)},
    "bins to bins": {i: {j: VALUES[i, j] for j in range(2)} for i in range(3)},
    "bins to named actions": {(i, j): dict(zip(OURS, VALUES[i, j].tolist(), strict=True)) for i, j in STATES},
    "bins to numbered actions": {s: {a: float(VALUES[*s, a]) for a in (2, 0, 1)} for s in STATES},
    "state and action": {((i, j), a): float(VALUES[i, j, a]) for i, j in STATES for a in range(3)},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_table_means_the_same_however_it_is_nested(shape):
    model, filled = q_table(SHAPES[shape], BINS, OURS)
    assert filled == 0
    # RSI 50 is in bin 1, exposure 0.7 in bin 1
    assert model.values(np.array([[50.0, 0.7]])).tolist() == [[110, 111, 112]]
    assert model.values(np.array([[70.0, 0.2]])).tolist() == [[200, 201, 202]]
    assert model.q.tolist() == VALUES.reshape(6, 3).tolist()


def test_bins_are_those_of_digitize():
    random = np.random.default_rng(3)
    model, _ = q_table(VALUES, BINS, OURS)
    seen = np.column_stack([random.choice([29.9, 30, 50, 70, 71], 200), random.choice([0.4, 0.5, 0.6], 200)])
    expected = VALUES[np.digitize(seen[:, 0], [30, 70]), np.digitize(seen[:, 1], [0.5])]
    assert model.values(seen).tolist() == expected.tolist()


@pytest.mark.parametrize("shape", ["array by bins", "bins to list", "state and action"])
def test_actions_in_another_order_become_ours(shape):
    model, _ = q_table(SHAPES[shape], BINS, ("hold", "buy", "sell"))
    # the table's 0 is hold, its 1 buy, its 2 sell
    assert model.q[3].tolist() == [112, 110, 111]


def test_actions_called_by_name_are_ours_in_whatever_order():
    model, _ = q_table(SHAPES["bins to named actions"], BINS, ("hold", "buy", "sell"))
    assert model.q[3].tolist() == [110, 111, 112]


def test_table_of_one_feature_may_count_or_nest():
    for given in ([[1, 2, 3], [4, 5, 6]], {(0,): [1, 2, 3], (1,): [4, 5, 6]}, {0: [1, 2, 3], 1: [4, 5, 6]}):
        assert q_table(given, {"close": [10]}, OURS)[0].q.tolist() == [[1, 2, 3], [4, 5, 6]]


def test_unknown_states_are_refused_or_hold_if_that_is_said():
    known = {s: values for s, values in SHAPES["bins to list"].items() if s not in ((0, 1), (2, 0))}
    with pytest.raises(
        RegistryError, match=r"lacks values of 2 of the 6 states, such as \(0, 1\).*--fill-with-hold"
    ):
        q_table(known, BINS, OURS)
    model, filled = q_table(known, BINS, OURS, fill_with_hold=True)
    assert filled == 2
    assert [OURS[i] for i in model.q[[1, 4]].argmax(1)] == ["hold", "hold"]
    assert np.delete(model.q, [1, 4], 0).tolist() == np.delete(VALUES.reshape(6, 3), [1, 4], 0).tolist()


def test_state_that_lacks_an_action_is_unknown():
    partly = SHAPES["bins to numbered actions"] | {(1, 1): {0: 5.0}}
    with pytest.raises(RegistryError, match=r"such as \(1, 1\)"):
        q_table(partly, BINS, OURS)
    assert q_table(partly, BINS, OURS, fill_with_hold=True)[0].q[3].tolist() == [-1, 0, -1]


around: list[Any] = []
around.append([around, around])
twice: list[Any] = [1.0]
for _ in range(60):
    twice = [twice, twice]


@pytest.mark.parametrize(
    ("table", "what"),
    [
        (VALUES[:2], "has 2 of rsi_14, the bins and actions make 3"),
        (VALUES[:, :, :2], "has 2 of action, the bins and actions make 3"),
        (VALUES.reshape(6, 3)[:5], "has 5 of state, the bins and actions make 6"),
        (VALUES[None], "has 3 keys to a state and one to an action; the bins are of 2 features"),
        (VALUES.ravel(), "has 0 keys to a state"),
        (1.0, "has 0 keys to a state"),
        ({}, "lacks values of 6 of the 6 states"),
        ([], "0 keys to a state"),
        (SHAPES["bins to list"] | {(3, 0): [1, 2, 3]}, "has rsi_14 3; there are 3, from 0 on"),
        (SHAPES["bins to list"] | {(0, -1): [1, 2, 3]}, "has exposure -1; there are 2"),
        ({6: [1, 2, 3]}, "has state 6; there are 6"),
        (SHAPES["bins to list"] | {(0, 1): [1, 2]}, "has 2 of action"),
        (SHAPES["state and action"] | {((0, 0), 3): 1.0}, "has action 3; there are 3"),
        (SHAPES["bins to list"] | {0: [1, 2, 3]}, "two values for one action"),
        (np.where(VALUES == 111, np.nan, VALUES), "no finite number"),
        (VALUES == 1, "values of bool"),
        (SHAPES["bins to list"] | {(0, 0): None}, "has a NoneType where numbers are looked for"),
        (SHAPES["bins to list"] | {(0, 0): [True, False, True]}, "has a bool where numbers"),
        ({"q_table": VALUES, "epsilon": 0.1}, "has the key 'q_table'.*--key"),
        ({(0.5, 1): [1, 2, 3]}, r"has the key '0\.5'"),
        ("table", "has a str where numbers"),
        (around, "nested more than 300 deep"),
        (twice, "keys to a state"),
    ],
)
def test_table_that_does_not_fit_its_bins_is_refused_with_what_differs(table, what):
    with pytest.raises(RegistryError, match=what):
        q_table(table, BINS, OURS)


@pytest.mark.parametrize(
    ("bins", "what"),
    [
        ({}, "1 states"),
        ({"rsi_14": 30}, "rsi_14: no list of edges"),
        ({"rsi_14": ["x"]}, "rsi_14: 'x' is no edge"),
        ({"rsi_14": [True]}, "rsi_14: True is no edge"),
        ({"rsi_14": [float("nan")]}, "rsi_14: nan is no edge"),
        ({"rsi_14": [70, 30]}, "rsi_14: the edges do not ascend"),
        ({"rsi_14": [30, 30]}, "rsi_14: the edges do not ascend"),
        ({f"sma_{n}": [0.0] for n in range(2, 23)}, "make 2,097,152 states"),
        ({f"sma_{n}": [] for n in range(2, 3 + MOST_INPUTS)}, "257 features|257"),
    ],
)
def test_bins_that_are_none_are_refused_by_feature(bins, what):
    with pytest.raises(RegistryError, match=what):
        q_table(VALUES, bins, OURS)


@pytest.mark.parametrize("actions", [(), ("sell", "hold"), ("sell", "sell", "buy"), ("sell", "hold", "boo")])
def test_actions_other_than_the_three_are_refused(actions):
    with pytest.raises(RegistryError, match="write sell, hold and buy in the order"):
        q_table(VALUES, BINS, actions)


def test_too_many_values_are_refused(monkeypatch):
    monkeypatch.setattr(tables, "MOST_VALUES", 10)
    for table in (VALUES, SHAPES["state and action"]):
        with pytest.raises(RegistryError, match="more than 10 values"):
            q_table(table, BINS, OURS)
