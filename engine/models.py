"""Trained models as plain arrays: what a Q-table and a feed-forward network are to the engine.

A model turns an observation, n numbers in the order of the strategy's features, into one value for each of its outputs.
Three outputs are the values of the actions sell, hold and buy, of which the largest is taken (the first of equal ones);
one output is a target exposure. `values` here is the definition, for many observations at once, in numpy; the
engine's compiled twin is in ``engine/networks.py``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from math import isfinite, prod
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
ACTIONS = ("sell", "hold", "buy")
MOST_INPUTS = 256
MOST_UNITS = 4096  # of a layer


class ModelError(ValueError):
    """The parts of a model do not fit together."""


@dataclass(frozen=True, eq=False)
class QTable:
    """A table of action values over bins of the features.

    edges: for each feature the inner edges of its bins, (k,) float64 ascending: a value's bin is how many edges are at
    or below it, so k edges make k + 1 bins. values: (states, actions) float64, where the state counts through the bins
    with the last feature running fastest.
    """

    edges: tuple[Array, ...]
    q: Array

    def __post_init__(self) -> None:
        if not 1 <= len(self.edges) <= MOST_INPUTS:
            raise ModelError(f"a Q-table of {len(self.edges)} features; there can be 1 to {MOST_INPUTS}")
        for i, edges in enumerate(self.edges):
            if edges.dtype != np.float64 or edges.ndim != 1 or not np.all(np.isfinite(edges)):
                raise ModelError(f"the edges of feature {i} are no (k,) finite float64")
            if np.any(np.diff(edges) <= 0):
                raise ModelError(f"the edges of feature {i} do not ascend")
        states = prod(len(edges) + 1 for edges in self.edges)
        if self.q.dtype != np.float64 or self.q.shape != (states, len(ACTIONS)):
            raise ModelError(
                f"the table is {self.q.dtype} {self.q.shape}; its edges make ({states}, {len(ACTIONS)}) float64"
            )
        if not np.all(np.isfinite(self.q)):
            raise ModelError("the table holds a value that is no finite number")

    @property
    def n_inputs(self) -> int:
        """Features that it looks at."""
        return len(self.edges)

    @property
    def n_outputs(self) -> int:
        """Values that it gives."""
        return int(self.q.shape[1])

    def states(self, observations: Array) -> Array:
        """(m, n_inputs) observations -> (m,) int64 rows of the table."""
        state = np.zeros(len(observations), np.int64)
        for i, edges in enumerate(self.edges):
            state = state * (len(edges) + 1) + np.searchsorted(edges, observations[:, i], side="right")
        return state

    @property
    def widest(self) -> int:
        """Room that its computation needs for one layer: a table needs none."""
        return 0

    def values(self, observations: Array) -> Array:
        """(m, n_inputs) float64 observations -> (m, n_outputs) float64."""
        return np.asarray(self.q[self.states(observations)])

    def packed(self) -> Array:
        """All of it in one float64 array, as the engine reads it: count of edges and edges of each feature, values."""
        parts = [part for edges in self.edges for part in (np.array([len(edges)], np.float64), edges)]
        return np.concatenate([*parts, self.q.ravel()])

    def __repr__(self) -> str:
        return _described(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, QTable) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))


@dataclass(frozen=True, eq=False)
class Network:
    """A feed-forward network on normalised features; its last layer is linear.

    An input x enters as (x - mean) * scale, bounded to [-clip, clip]. mean, scale: (n_inputs,) float64. weights: for each
    layer (n_out, n_in) float64, biases (n_out,). activation: tanh or relu, behind every layer but the last.
    """

    mean: Array
    scale: Array
    clip: float
    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    activation: str = "tanh"

    def __post_init__(self) -> None:
        if self.activation not in ("tanh", "relu"):
            raise ModelError(f"an activation {self.activation!r}; there are tanh and relu")
        if not (self.clip > 0 and isfinite(self.clip)):
            raise ModelError(f"inputs clipped at {self.clip}; it must be a positive number")
        n = len(self.mean)
        if not 1 <= n <= MOST_INPUTS or self.mean.shape != (n,) or self.scale.shape != (n,):
            raise ModelError(f"normalisation of shapes {self.mean.shape} and {self.scale.shape}")
        if len(self.weights) != len(self.biases) or not 1 <= len(self.weights) <= 8:
            raise ModelError(
                f"{len(self.weights)} layers with {len(self.biases)} biases; there can be 1 to 8"
            )
        for i, (weights, biases) in enumerate(zip(self.weights, self.biases, strict=True)):
            if weights.ndim != 2 or weights.shape[1] != n or biases.shape != weights.shape[:1]:
                raise ModelError(
                    f"layer {i} is {weights.shape} with biases {biases.shape}; its inputs are {n}"
                )
            n = len(biases)
            if not 1 <= n <= MOST_UNITS:
                raise ModelError(f"layer {i} has {n} units; there can be 1 to {MOST_UNITS}")
        if n not in (1, len(ACTIONS)):
            raise ModelError(f"{n} outputs; there is one, a target, or one for each of {', '.join(ACTIONS)}")
        for array in (self.mean, self.scale, *self.weights, *self.biases):
            if array.dtype != np.float64 or not np.all(np.isfinite(array)):
                raise ModelError("weights and normalisation must be finite float64")

    @property
    def n_inputs(self) -> int:
        """Features that it looks at."""
        return len(self.mean)

    @property
    def n_outputs(self) -> int:
        """Values that it gives."""
        return len(self.biases[-1])

    @property
    def widest(self) -> int:
        """Room that its computation needs for one layer."""
        return max(self.n_inputs, *(len(b) for b in self.biases))

    def values(self, observations: Array) -> Array:
        """(m, n_inputs) float64 observations -> (m, n_outputs) float64."""
        x = np.clip((observations - self.mean) * self.scale, -self.clip, self.clip)
        for i, (weights, biases) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = x @ weights.T + biases
            if i + 1 < len(self.weights):
                x = np.tanh(x) if self.activation == "tanh" else np.maximum(x, 0.0)
        return np.asarray(x)

    def packed(self) -> Array:
        """All of it in one float64 array, as the engine reads it.

        Activation (0 tanh, 1 relu), clip, number of layers, the width of each; mean, scale; for each layer its biases, then
        its weights by input: those of one input to all units stand together.
        """
        head = [0.0 if self.activation == "tanh" else 1.0, self.clip, len(self.weights)]
        widths = [float(len(b)) for b in self.biases]
        layers = [
            part
            for w, b in zip(self.weights, self.biases, strict=True)
            for part in (b, np.ascontiguousarray(w.T).ravel())
        ]
        return np.concatenate([np.array([*head, *widths]), self.mean, self.scale, *layers])

    def __repr__(self) -> str:
        return _described(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Network) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))


Model = QTable | Network


def _described(model: Model) -> str:
    # a specification's hash is of its repr: by content
    digest = hashlib.blake2b(model.packed().tobytes(), digest_size=16).hexdigest()
    return f"{type(model).__name__}({model.n_inputs} -> {model.n_outputs}, {digest})"
