"""Bins against numpy's quantiles, and rows of the table against the QTable's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from envs.qlearning.bins import ACCOUNT_EDGES, INCOMPLETE, Bins, bin_part, fit_bins
from tests.builders import plain


def row_part(bins: Bins, names: tuple[str, ...], observation: Any) -> int:
    binned, edges = bins.pack(names)
    return sum(plain(bin_part)(b, edges, value) for b, value in zip(binned, observation, strict=True))


RNG = np.random.default_rng(11)


def test_edges_are_the_quantiles_of_the_training_data() -> None:
    x = RNG.normal(size=(1001, 2))
    bins = fit_bins(("rsi_14", "return"), x, 5, {"rsi_14": 4})
    assert bins.edges[0].tolist() == np.quantile(x[:, 0], [0.25, 0.5, 0.75]).tolist()
    assert bins.edges[1].tolist() == np.quantile(x[:, 1], [0.2, 0.4, 0.6, 0.8]).tolist()
    assert bins.states == 4 * 5
    counts = np.bincount(bins.table(np.zeros((20, 3))).states(x) // 5)
    assert counts.tolist() == [250, 250, 250, 251]  # 1,001 values; each edge is a value, and goes up


def test_many_equal_values_make_one_edge_and_no_bin_that_is_always_empty() -> None:
    x = np.array([[0.0]] * 70 + [[1.0]] * 20 + [[2.0]] * 10)
    # quantiles at 0.1 .. 0.9 by tenths: 0 seven times (the last between places 69 and 70: 0.3 of the way), then 1
    bins = fit_bins(("volume",), x, 10)
    edges = np.quantile(x, np.arange(1, 10) / 10)
    assert bins.edges[0].tolist() == sorted(set(edges[edges > 0].tolist()))
    states = bins.table(np.zeros((bins.states, 3))).states(x)
    assert states[0] == 0
    assert states[-1] == bins.states - 1


def test_constant_feature_has_no_edges() -> None:
    assert fit_bins(("a",), np.full((50, 1), 3.3)).edges[0].tolist() == []


def test_one_bin_has_no_edges() -> None:
    assert fit_bins(("a",), RNG.normal(size=(50, 1)), 1).edges[0].tolist() == []


def test_exposure_is_told_apart_by_its_sign_without_any_data() -> None:
    x = np.column_stack([RNG.normal(size=9), np.full(9, np.nan)])
    bins = fit_bins(("a", "exposure"), x, 2)
    seen = np.array([[-9.0, -0.5], [-9.0, 0.0], [-9.0, 0.001], [9.0, 1.0]])
    assert bins.table(np.zeros((6, 3))).states(seen).tolist() == [0, 1, 2, 5]


def test_edges_of_an_account_feature_may_be_given() -> None:
    bins = fit_bins(("exposure",), np.full((1, 1), np.nan), edges={"exposure": [0.5]})
    assert bins.edges[0].tolist() == [0.5]


def test_rows_before_an_indicator_knows_its_window_are_left_out() -> None:
    x = RNG.normal(size=(100, 2))
    x[:20, 0] = np.nan
    bins = fit_bins(("a", "b"), x, 2)
    assert bins.edges[0].tolist() == [np.median(x[20:, 0])]
    assert bins.edges[1].tolist() == [np.median(x[20:, 1])]


def test_given_edges_are_taken_instead_of_the_data() -> None:
    bins = fit_bins(("a",), RNG.normal(size=(100, 1)), edges={"a": (30.0, 70.0)})
    assert bins.edges[0].tolist() == [30.0, 70.0]


def test_parts_of_the_market_and_of_the_account_add_up_to_the_row_of_the_table() -> None:
    names = ("drawdown", "a", "exposure", "b")
    x = RNG.normal(size=(500, 4)) * [0.06, 1, 1, 5]
    bins = fit_bins(names, x, 3, {"b": 7})
    rows = bins.table(np.zeros((bins.states, 3))).states(x)
    assert bins.states == 4 * 3 * 3 * 7
    market = bins.part(("b", "a"), x[:, [3, 1]])  # in any order
    account = [row_part(bins, ("drawdown", "exposure"), row) for row in x[:, [0, 2]]]
    assert (market + account).tolist() == rows.tolist()
    assert bins.part(names, x).tolist() == rows.tolist()
    at_edges = np.array([[ACCOUNT_EDGES["drawdown"][1], x[0, 1], 1e-9, bins.edges[3][2]]])
    assert (
        bins.part(names, at_edges).tolist()
        == bins.table(np.zeros((bins.states, 3))).states(at_edges).tolist()
    )
    assert row_part(bins, names, at_edges[0]) == bins.part(names, at_edges)[0]


def test_observation_that_is_not_complete_has_no_row() -> None:
    bins = fit_bins(("a", "b"), RNG.normal(size=(50, 2)), 2)
    assert bins.part(("a", "b"), np.array([[np.nan, 9.0], [9.0, 9.0]])).tolist() == [INCOMPLETE, 3]


def test_part_of_no_features_is_nothing() -> None:
    bins = fit_bins(("a",), RNG.normal(size=(50, 1)))
    assert bins.part((), np.empty((2, 0))).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"bins": 2000}, "2000 bins for 'a'; there can be 1 to 1000"),
        ({"bins": 0}, "0 bins for 'a'"),
        ({"bins_of": {"c": 3}}, "bins are given for 'c', which is none of the features: a, b"),
        ({"edges": {"c": [3.0]}}, "edges are given for 'c'"),
        ({"features": ("a", "a")}, "feature a comes more than once"),
        ({"features": ("a",)}, r"shape \(40, 2\) for 1 features"),
        ({"edges": {"b": (1.0, 1.0)}}, r"edges of 'b' are \[1.0, 1.0\]"),
        ({"edges": {"b": (1.0, float("nan"))}}, "edges of 'b'"),
        ({"observations": np.full((4, 2), np.nan)}, "no row of the training data .* 'a'"),
        ({"observations": np.full((4, 2), np.inf)}, "'a' holds an infinite value"),
        (
            {"edges": {"a": range(999), "b": range(1999)}},
            r"2,000,000 states \(1000 a x 2000 b\); a table has at most 1,000,000",
        ),
    ],
)
def test_bins_that_cannot_be_are_refused_with_what_is_wrong(wrong: dict[str, Any], says: str) -> None:
    given: dict[str, Any] = {"features": ("a", "b"), "observations": np.zeros((40, 2)) + np.eye(40, 2)}
    with pytest.raises(ValueError, match=says):
        fit_bins(**(given | wrong))


def test_as_many_edges_as_features_are_needed() -> None:
    with pytest.raises(ValueError, match="2 features with 1 sets of edges"):
        Bins(("a", "b"), (np.empty(0),))
