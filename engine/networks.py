"""Trained models inside the loop: the compiled twins of what ``engine/models.py`` defines.

A model lies in `State.weights` as its `packed` has it. A network's layers are computed in `State.activations`, input by
input over all units at once, which the compiler turns into vector instructions without changing the order of any sum: so
compiled and plain code agree bit for bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.jit import inline, jit

TANH_BOUND = 9.0  # beyond, tanh is 1 to within 3.1e-8


@inline
def tanh(x: float) -> float:
    """The hyperbolic tangent to within 3.2e-8, absolute: a rational function fitted to it on [-9, 9], odd and at most 1.

    math.tanh takes five times as long, and numpy's is another one in plain Python.
    """
    t = min(max(x, -TANH_BOUND), TANH_BOUND)
    z = t * t
    p = 0.9999999955361718 + z * (
        0.1378185338700012
        + z * (0.004004106066431361 + z * (3.14979353240984e-05 + z * 5.046917285035462e-08))
    )
    q = 1.0 + z * (
        0.47115184775557695
        + z
        * (
            0.027721413311992568
            + z * (0.00041996028117755047 + z * (1.6106951886108863e-06 + z * 7.3187079348247e-10))
        )
    )
    return t * p / q


@jit
def table_row(weights: Any, at: int, observation: Any, n_inputs: int, n_outputs: int) -> int:
    """Where in `weights` the values of the observation's state begin, of the Q-table at place `at`."""
    state = np.int64(0)
    for k in range(n_inputs):
        n_edges = int(weights[at])
        at += 1
        x = observation[k]
        # how many edges are at or below x, halving; there are few
        low = np.int64(0)
        high = np.int64(n_edges)
        while low < high:
            middle = (low + high) >> 1
            if weights[at + middle] <= x:
                low = middle + 1
            else:
                high = middle
        state = state * (n_edges + 1) + low
        at += n_edges
    return int(at + state * n_outputs)


@jit
def _layer(weights: Any, at: int, values: Any, first: int, n_in: int, out: int, n_out: int) -> None:
    """values[out:] = biases at `at` + the weights behind them x values[first:]."""
    for i in range(n_out):
        values[out + i] = weights[at + i]
    at += n_out
    j = 0
    while j + 4 <= n_in:  # four inputs at a time: a unit's sum is loaded and stored a fourth as often
        a = values[first + j]
        b = values[first + j + 1]
        c = values[first + j + 2]
        d = values[first + j + 3]
        for i in range(n_out):
            k = at + i
            values[out + i] = values[out + i] + (
                (a * weights[k] + b * weights[k + n_out])
                + (c * weights[k + 2 * n_out] + d * weights[k + 3 * n_out])
            )
        at += 4 * n_out
        j += 4
    while j < n_in:
        a = values[first + j]
        for i in range(n_out):
            values[out + i] = values[out + i] + a * weights[at + i]
        at += n_out
        j += 1


@jit
def network_values(weights: Any, at: int, observation: Any, n_inputs: int, values: Any) -> int:
    """Compute the network at place `at` of `weights` on the observation; where in `values` its outputs begin.

    values: scratch for two layers, each half as long as it; the layers go back and forth between the halves.
    """
    relu = weights[at] != 0.0
    clip = weights[at + 1]
    n_layers = int(weights[at + 2])
    widths = at + 3
    mean = widths + n_layers
    scale = mean + n_inputs
    layer = scale + n_inputs
    half = len(values) >> 1
    first = 0
    n_in = n_inputs
    for k in range(n_inputs):
        values[k] = min(max((observation[k] - weights[mean + k]) * weights[scale + k], -clip), clip)
    for i in range(n_layers):
        n_out = int(weights[widths + i])
        out = half - first
        _layer(weights, layer, values, first, n_in, out, n_out)
        if i + 1 < n_layers:
            if relu:
                for k in range(out, out + n_out):
                    values[k] = max(values[k], 0.0)
            else:
                for k in range(out, out + n_out):
                    values[k] = tanh(values[k])
        layer += n_out * (n_in + 1)
        n_in = n_out
        first = out
    return first


@inline
def largest(values: Any, first: int, n: int) -> int:
    """Which of the n values from `first` on is the largest; the first of equal ones."""
    best = 0
    for k in range(1, n):
        if values[first + k] > values[first + best]:
            best = k
    return best
