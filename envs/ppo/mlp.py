"""The forward and backward pass of a small multi-layer perceptron, written out, into arrays that are kept.

Of 4,096 rows through two layers of 64 units, automatic differentiation, fresh memory for each step and torch's tanh
(2.6 ns a number; numpy's: 0.4 ns) take more than half of the time. The matrix products stay torch's. Calls release
Python's lock while they compute, so that two threads, with an `Mlp` each on the same weights, share the work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from envs.ppo.kernels import compiled, relu_backward, tanh_backward

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = np.ndarray[Any, Any]
ACTIVATIONS = ("tanh", "relu")


@dataclass(frozen=True)
class Layer:
    """weight (n_out, n_in) and bias (n_out,), and where their gradients are added up; float32, memory of the owner."""

    weight: torch.Tensor
    bias: torch.Tensor
    weight_grad: torch.Tensor
    bias_grad: torch.Tensor


class Mlp:
    """One perceptron with room for `rows` observations at once; its last layer is linear.

    layers: at least one. activation: tanh or relu, behind each layer but the last. Not for use by two threads at once.
    """

    def __init__(self, layers: Sequence[Layer], activation: str, rows: int) -> None:
        if activation not in ACTIVATIONS:
            raise ValueError(f"an activation {activation!r}; there are {' and '.join(ACTIVATIONS)}")
        self._layers = tuple(layers)
        self._tanh = activation == "tanh"
        self._derivative = compiled(tanh_backward if self._tanh else relu_backward)
        self._outputs = [torch.empty(rows, len(layer.bias)) for layer in self._layers]
        self._slopes = [torch.empty(rows, len(layer.bias)) for layer in self._layers]
        # A narrow result is slow to multiply out unless its long side comes last.
        self._turned = [torch.empty(layer.weight.shape[::-1]) for layer in self._layers]
        self._views: dict[int, tuple[list[torch.Tensor], list[torch.Tensor], list[Array], list[Array]]] = {}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(m, n_in) -> (m, n_out) in memory that the next call overwrites; m is at most `rows`."""
        outputs, _, arrays, _ = self._first(len(x))
        for i, layer in enumerate(self._layers):
            torch.addmm(layer.bias, x, layer.weight.t(), out=outputs[i])
            if i + 1 < len(self._layers):
                if self._tanh:
                    np.tanh(arrays[i], out=arrays[i])
                else:
                    np.maximum(arrays[i], 0.0, out=arrays[i])
            x = outputs[i]
        return x

    def slopes(self, m: int) -> Array:
        """(m, n_out): where the loss's slope by each output has to be written before `backward`."""
        return self._first(m)[3][-1]

    def backward(self, x: torch.Tensor) -> None:
        """Add the gradients of what `forward` was last called with, x (m, n_in), to the layers' own."""
        outputs, slopes, arrays, slope_arrays = self._first(len(x))
        for i in range(len(self._layers) - 1, -1, -1):
            layer = self._layers[i]
            below = outputs[i - 1] if i else x
            if layer.weight.shape[0] > layer.weight.shape[1]:
                layer.weight_grad.add_(torch.mm(below.t(), slopes[i], out=self._turned[i]).t())
            else:
                layer.weight_grad.addmm_(slopes[i].t(), below)
            if i + 1 == len(self._layers):
                layer.bias_grad.add_(slopes[i].sum(0))
            if i:
                torch.mm(slopes[i], layer.weight, out=slopes[i - 1])
                self._derivative(arrays[i - 1], slope_arrays[i - 1], self._layers[i - 1].bias_grad.numpy())

    def _first(self, m: int) -> tuple[list[torch.Tensor], list[torch.Tensor], list[Array], list[Array]]:
        # outputs and slopes of the first m rows, as tensors and as the same memory's arrays
        if m not in self._views:
            outputs = [t[:m] for t in self._outputs]
            slopes = [t[:m] for t in self._slopes]
            self._views[m] = (outputs, slopes, [t.numpy() for t in outputs], [t.numpy() for t in slopes])
        return self._views[m]
