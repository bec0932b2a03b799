"""Bins of the features: how an observation becomes a row of the table.

Edges lie at quantiles of the training data, so that each bin is seen about equally often. What an account feature will
be depends on the agent and is in no data: its edges are given, and those of the usual ones stand in ACCOUNT_EDGES.

A row's number is a sum over the features of bin times stride. So what the market contributes can be computed once a tape,
and only what the account contributes is added at each step.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np

from engine.jit import inline
from engine.models import Array, QTable

MOST_BINS = 1_000
MOST_STATES = 1_000_000
INCOMPLETE = -1  # in place of a row's number, where a feature is not known yet

BINNED = np.dtype(
    [("stride", "i8"), ("first", "i8"), ("count", "i8")]
)  # a feature: where its edges begin, how many

_FLAT = (-1e-9, 1e-9)  # short, flat, long
ACCOUNT_EDGES: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "exposure": _FLAT,
        "holdings": _FLAT,
        "cash_share": (0.5,),
        "drawdown": (0.02, 0.05, 0.1),
        "bars_held": (1.0, 5.0, 20.0),
    }
)


@dataclass(frozen=True, eq=False)
class Bins:
    """The features' names, and for each the inner edges of its bins, (k,) float64 ascending, as a QTable has them.

    Raises ValueError where a feature comes twice, and where the bins make more than `MOST_STATES` states.
    """

    features: tuple[str, ...]
    edges: tuple[Array, ...]

    def __post_init__(self) -> None:
        if len(self.features) != len(self.edges) or not self.features:
            raise ValueError(
                f"{len(self.features)} features with {len(self.edges)} sets of edges; give one each"
            )
        twice = {name for name in self.features if self.features.count(name) > 1}
        if twice:
            raise ValueError(f"the feature {', '.join(sorted(twice))} comes more than once; name it once")
        if self.states > MOST_STATES:
            each = " x ".join(
                f"{len(e) + 1} {name}" for name, e in zip(self.features, self.edges, strict=True)
            )
            raise ValueError(
                f"the bins make {self.states:,} states ({each}); a table has at most {MOST_STATES:,}: "
                "give fewer bins or features"
            )

    @property
    def states(self) -> int:
        """Rows of the table."""
        return prod(len(edges) + 1 for edges in self.edges)

    @property
    def strides(self) -> tuple[int, ...]:
        """By how many rows one bin of each feature moves; the last feature runs fastest."""
        counts = [len(edges) + 1 for edges in self.edges]
        return tuple(prod(counts[i + 1 :]) for i in range(len(counts)))

    def part(self, names: Sequence[str], observations: Array) -> Array:
        """What some of the features contribute to the row: (m, n) observations of the n named -> (m,) int64.

        INCOMPLETE where one of them is NaN. The parts of all features add up to the row.
        """
        rows = np.zeros(len(observations), np.int64)
        for column, name in enumerate(names):
            i = self.features.index(name)
            rows += self.strides[i] * np.searchsorted(self.edges[i], observations[:, column], side="right")
        rows[np.isnan(observations).any(axis=1)] = INCOMPLETE
        return rows

    def pack(self, names: Sequence[str]) -> tuple[Array, Array]:
        """Some of the features as `bin_part` reads them: (n,) BINNED in the order named, and the edges of all of them."""
        places = [self.features.index(name) for name in names]
        rows = np.zeros(len(places), BINNED)
        rows["stride"] = [self.strides[i] for i in places]
        rows["count"] = [len(self.edges[i]) for i in places]
        rows["first"] = np.cumsum(rows["count"]) - rows["count"]
        return rows.view(np.recarray), np.concatenate([np.empty(0), *(self.edges[i] for i in places)])

    @property
    def digest(self) -> str:
        """A hash of names and edges, by which bins are told apart."""
        text = repr((self.features, [edges.tobytes() for edges in self.edges]))
        return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()

    def table(self, q: Array) -> QTable:
        """(states, actions) float64 values as a model."""
        return QTable(self.edges, np.ascontiguousarray(q, np.float64))


@inline
def bin_part(binned: Any, edges: Any, value: float) -> int:
    """What a feature, a BINNED, contributes to the row where it has that value; NaN is below all edges."""
    found = 0
    while found < binned.count and value >= edges[binned.first + found]:
        found += 1
    return found * binned.stride


def fit_bins(
    features: Sequence[str],
    observations: Array,
    bins: int = 3,
    bins_of: Mapping[str, int] = MappingProxyType({}),
    edges: Mapping[str, Sequence[float]] = MappingProxyType({}),
) -> Bins:
    """Bins with edges at the quantiles of the training data.

    observations: (m, n) float64, a column for each feature; rows with a NaN in a column that is looked at are left out,
    being those before an indicator has seen its window. bins: how many a feature gets, bins_of: other numbers by name.
    edges: given by name, in place of the data and of ACCOUNT_EDGES; these features' columns are not looked at. Equal
    quantiles make one edge, and a constant feature has none. Quantiles are interpolated linearly, as by numpy's default.
    Raises ValueError, naming the feature.
    """
    if observations.ndim != 2 or observations.shape[1] != len(features):
        raise ValueError(f"observations of shape {observations.shape} for {len(features)} features")
    for what, given in (("bins", bins_of), ("edges", edges)):
        for name in given:
            if name not in features:
                raise ValueError(
                    f"{what} are given for {name!r}, which is none of the features: {', '.join(features)}"
                )
    known = {**ACCOUNT_EDGES, **edges}
    fitted = [i for i, name in enumerate(features) if name not in known]
    complete = observations[~np.isnan(observations[:, fitted]).any(axis=1)]
    return Bins(
        tuple(features),
        tuple(
            _fixed(name, known[name])
            if name in known
            else _quantiles(name, complete[:, i], bins_of.get(name, bins))
            for i, name in enumerate(features)
        ),
    )


def _fixed(name: str, edges: Sequence[float]) -> Array:
    found = np.array(edges, np.float64)
    if found.ndim != 1 or not np.all(np.isfinite(found)) or np.any(np.diff(found) <= 0):
        raise ValueError(f"the edges of {name!r} are {list(edges)}; they must be finite numbers that ascend")
    return found


def _quantiles(name: str, values: Array, count: int) -> Array:
    if not 1 <= count <= MOST_BINS:
        raise ValueError(f"{count} bins for {name!r}; there can be 1 to {MOST_BINS}")
    if len(values) == 0:
        raise ValueError(
            f"no row of the training data has all features; give more data, or fixed edges for {name!r} "
            "where it is a feature of the account"
        )
    if not np.all(np.isfinite(values)):
        raise ValueError(f"the training data of {name!r} holds an infinite value; correct the data")
    found = np.unique(np.quantile(values, np.arange(1, count) / count))
    return np.asarray(
        found[found > values.min()]
    )  # a value at an edge is above it: below the others is nothing
