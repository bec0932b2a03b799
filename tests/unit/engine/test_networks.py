"""Compiled models against numpy's, whose matrix products and hyperbolic tangent are others."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from engine.engine import Engine
from engine.models import ModelError, Network, QTable
from engine.networks import network_values, table_row, tanh
from engine.policies import Policy
from engine.records import EventKind, SizeKind
from engine.spec import AccountSpec, EngineSpec, InstrumentSpec, MarginSpec, SpecError, StrategySpec
from tests.builders import MINUTE, make_bars, plain


def network(*widths: int, activation: str = "tanh", seed: int = 1) -> Network:
    r = np.random.default_rng(seed)
    weights = tuple(r.normal(0, 1 / math.sqrt(a), (b, a)) for a, b in pairwise(widths))
    biases = tuple(r.normal(size=b) for b in widths[1:])
    return Network(r.normal(size=widths[0]), r.uniform(0.1, 3, widths[0]), 2.5, weights, biases, activation)


def computed(model: Network, observation: Any) -> Any:
    values = np.zeros(2 * model.widest)
    first = plain(network_values)(model.packed(), 0, observation, model.n_inputs, values)
    return values[first : first + model.n_outputs]


def test_tanh_is_within_its_bound_of_the_librarys_and_odd() -> None:
    x = np.concatenate([np.linspace(-12, 12, 20_001), [0.0, -0.0, 1e-300, 700.0, -1e308, math.inf]])
    mine = np.array([plain(tanh)(float(v)) for v in x])
    assert np.abs(mine - np.tanh(x)).max() < 3.2e-8
    assert np.array_equal(mine, -np.array([plain(tanh)(-float(v)) for v in x]))
    assert np.all(np.abs(mine) <= 1.0)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("widths", [(1, 1), (6, 3), (3, 5, 3), (9, 64, 64, 3), (5, 7, 2, 9, 1), (4, 1, 3)])
def test_network_is_numpys_to_a_millionth(widths: tuple[int, ...], activation: str) -> None:
    model = network(*widths, activation=activation)
    observations = np.random.default_rng(2).normal(0, 2, (50, widths[0]))  # some are clipped
    expected = model.values(observations)
    for observation, values in zip(observations, expected, strict=True):
        assert computed(model, observation) == pytest.approx(values, abs=1e-6)


def test_network_by_hand() -> None:
    # inputs (3 - 1) x 0.5 = 1 and (9 - 0) x 1, clipped to 2; relu(1 x 1 + 2 x 2 - 1) = 4, relu(-1 + 0 + 0.5) = 0
    # 10 x 4 - 7 x 0 + 0.25 = 40.25
    model = Network(
        np.array([1.0, 0.0]), np.array([0.5, 1.0]), 2.0,
        (np.array([[1.0, 2.0], [-1.0, 0.0]]), np.array([[10.0, -7.0]])),
        (np.array([-1.0, 0.5]), np.array([0.25])), "relu",
    )  # fmt: skip
    assert computed(model, np.array([3.0, 9.0])).tolist() == [40.25]
    assert model.values(np.array([[3.0, 9.0]])).tolist() == [[40.25]]


def test_row_of_a_table_is_where_searchsorted_finds_it_also_on_an_edge() -> None:
    # bins of the first feature: below 0, [0, 1), from 1 on; the second has none; of the third two, split at 5
    table = QTable((np.array([0.0, 1.0]), np.array([]), np.array([5.0])), np.arange(18.0).reshape(6, 3))
    packed = table.packed()
    for observation, row in [
        ((-1.0, 9.0, 4.0), 0), ((0.0, 9.0, 5.0), 3), ((0.5, -9.0, 4.9), 2), ((1.0, 0.0, 5.1), 5), ((7.0, 0.0, 0.0), 4),
    ]:  # fmt: skip
        at = plain(table_row)(packed, 0, np.array(observation), 3, 3)
        assert packed[at : at + 3].tolist() == [3.0 * row, 3.0 * row + 1, 3.0 * row + 2]
        assert table.values(np.array([observation])).tolist() == [[3.0 * row, 3.0 * row + 1, 3.0 * row + 2]]


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: QTable((np.array([1.0, 1.0]),), np.zeros((3, 3))), "edges of feature 0 do not ascend"),
        (lambda: QTable((np.array([1.0]),), np.zeros((3, 3))), r"its edges make \(2, 3\)"),
        (lambda: QTable((np.array([1.0]),), np.full((2, 3), np.nan)), "no finite number"),
        (lambda: QTable((), np.zeros((1, 3))), "0 features"),
        (lambda: network(3, 2), "2 outputs; there is one, a target, or one for each of sell, hold, buy"),
        (lambda: network(3, 4, 3, activation="sigmoid"), "there are tanh and relu"),
        (
            lambda: Network(np.zeros(2), np.ones(2), 1.0, (np.ones((3, 4)),), (np.ones(3),)),
            "its inputs are 2",
        ),
        (
            lambda: Network(np.zeros(1), np.ones(1), math.inf, (np.ones((3, 1)),), (np.ones(3),)),
            "positive number",
        ),
    ],
)
def test_model_whose_parts_do_not_fit_is_refused_with_what_differs(make: Any, complaint: str) -> None:
    with pytest.raises(ModelError, match=complaint):
        make()


def test_models_are_equal_by_content() -> None:
    assert network(3, 4, 3) == network(3, 4, 3)
    assert network(3, 4, 3) != network(3, 4, 3, seed=2)
    assert len({network(3, 4, 3), network(3, 4, 3), network(3, 4, 1)}) == 2


# -- in the engine ----------------------------------------------------------------------------------------------------

CLOSES = (10.0, 11.0, 12.0, 9.0, 9.0, 13.0)
BARS = [(a, max(a, b), min(a, b), b) for a, b in zip((10.0, *CLOSES), CLOSES, strict=False)]


def engine_with(model: Network | QTable, **given: Any) -> Engine:
    policy = Policy.Q_TABLE if isinstance(model, QTable) else Policy.NETWORK
    settings = {"size_kind": SizeKind.UNITS, "size_value": 10.0, **given}
    margin = MarginSpec(leverage=2.0) if settings.get("short") else None
    spec = EngineSpec(
        (InstrumentSpec("A"),),
        (AccountSpec("a", 1_000.0, margin=margin),),
        (StrategySpec("s", "a", ("A",), MINUTE, ("close",), policy, model=model, **settings),),
    )
    return Engine(spec)


def trades(engine: Engine) -> list[tuple[int, int, float]]:
    """(signed lots, minute, price) of each fill."""
    out = engine.process(make_bars(BARS))
    filled = out.events[out.events["kind"] == EventKind.FILL]
    return [(int(e["side"] * e["last_lots"]), int(e["ts"] // MINUTE), float(e["last_px"])) for e in filled]


# below 10 sell, from 10 to below 12 hold, from 12 on buy
BANDS = QTable((np.array([10.0, 12.0]),), np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.5, 0.75]]))


def test_table_buys_holds_and_sells_flat_by_its_largest_value() -> None:
    # closes 10 hold, 11 hold, 12 buy: at the open of minute 3, 12; 9 sell: at the open of minute 4, 9; 9 sell: flat
    engine = engine_with(BANDS)
    assert trades(engine) == [(10, 3, 12.0), (-10, 4, 9.0)]


def test_table_that_may_be_short_sells_through_zero() -> None:
    engine = engine_with(BANDS, short=True)
    assert trades(engine) == [(10, 3, 12.0), (-20, 4, 9.0)]


def test_order_carries_the_values_that_the_model_gave_the_actions() -> None:
    engine = engine_with(BANDS)
    out = engine.process(make_bars(BARS))
    first = out.events[out.events["observation"] >= 0][0]
    assert engine.spec.strategies[0].observation == ("close", "value:sell", "value:hold", "value:buy")
    assert out.observations[first["observation"]].tolist() == [12.0, 0.0, 0.5, 0.75]


def test_target_is_a_share_of_equity_and_small_changes_are_left_out() -> None:
    # target = (close - 9) / 4: closes 10, 11, 12 give 0.25, 0.5, 0.75 of 1,000 dollars, 9 gives none
    model = Network(np.array([9.0]), np.array([0.25]), 5.0, (np.ones((1, 1)),), (np.zeros(1),))
    engine = engine_with(model, size_kind=SizeKind.FRACTION, size_value=1.0)
    # 250 / 10 = 25 lots; equity then 1,025: 512.5 / 11 = 46 lots; equity 1,071: 803.25 / 12 = 66 lots; all sold at 9
    assert trades(engine) == [(25, 1, 10.0), (21, 2, 11.0), (20, 3, 12.0), (-66, 4, 9.0)]
    # with a threshold of 0.3 the steps of a quarter are too small: 0.5 is the first that counts; then 0.75, none, is not
    engine = engine_with(model, size_kind=SizeKind.FRACTION, size_value=1.0, threshold=0.3)
    assert trades(engine) == [(45, 2, 11.0), (-45, 4, 9.0)]


def test_target_below_zero_is_short_where_that_is_allowed() -> None:
    # target = (close - 11) / 2: -0.5, 0, 0.5, -1, -1, 1 of 1,000 dollars
    model = Network(np.array([11.0]), np.array([0.5]), 5.0, (np.ones((1, 1)),), (np.zeros(1),))
    settings = {"size_kind": SizeKind.FRACTION, "size_value": 1.0}
    # short 50 at 10; bought back at 11: equity 950; 475 / 12 = 39 lots; at 9 equity is 833: short 92, sold 131 at 9
    assert trades(engine_with(model, short=True, **settings)) == [
        (-50, 1, 10.0), (50, 2, 11.0), (39, 3, 12.0), (-131, 4, 9.0),
    ]  # fmt: skip
    # a cash account is flat instead; 500 / 12 = 41 lots, sold at 9
    assert trades(engine_with(model, **settings)) == [(41, 3, 12.0), (-41, 4, 9.0)]


def test_model_without_all_of_its_features_does_not_decide() -> None:
    spec = engine_with(BANDS).spec
    strategy = spec.strategies[0]
    table = QTable((np.array([0.0]),), np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]))
    later = EngineSpec(
        spec.instruments, spec.accounts,
        (StrategySpec("s", "a", ("A",), MINUTE, ("sma_4",), Policy.Q_TABLE, size_value=10.0, model=table),),
    )  # fmt: skip
    assert strategy.model == BANDS
    assert trades(Engine(later)) == [(10, 4, 9.0)]


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"policy": Policy.NETWORK}, "NETWORK and its model do not go together"),
        ({"model": None}, "Q_TABLE and its model do not go together"),
        ({"features": ("close", "volume")}, "its model looks at 1 features, 2 are given"),
        ({"short": True}, "goes short, which a cash account does not"),
        ({"threshold": -0.1}, "threshold of -0.1"),
        ({"size_kind": SizeKind.FRACTION, "size_value": 1.5}, "size of 1.5 is out of range"),
        (
            {"policy": Policy.NETWORK, "model": network(1, 1)},
            "a target exposure needs a size that is a share of equity",
        ),
    ],
)
def test_strategy_that_its_model_does_not_fit_is_refused(given: dict[str, Any], complaint: str) -> None:
    parts: dict[str, Any] = {
        "policy": Policy.Q_TABLE,
        "model": BANDS,
        "features": ("close",),
        "size_value": 1.0,
    }
    strategy = StrategySpec("s", "a", ("A",), MINUTE, **{**parts, **given})
    with pytest.raises(SpecError, match=complaint):
        EngineSpec((InstrumentSpec("A"),), (AccountSpec("a", 1.0),), (strategy,)).check()
