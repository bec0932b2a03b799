"""A policy of Stable-Baselines3 as seen by the threads that train it: flat parameters, and each thread's share.

Each half of a batch is computed by one thread, and the halves' gradients are added in a fixed order: with one seed, the
weights are the same on one core and on two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from envs.ppo.kernels import SUMS
from envs.ppo.mlp import Layer, Mlp

Array = np.ndarray[Any, Any]
THREADS = 2


class Share:
    """One thread's part: both networks with room for `rows` observations, gradients and sums of its own."""

    def __init__(self, policy: Any, rows: int) -> None:
        parameters = list(policy.parameters())
        self.gradient = torch.zeros(sum(p.numel() for p in parameters))
        grads = dict(zip(parameters, views(self.gradient, parameters), strict=True))
        self.sums = np.zeros(SUMS)

        def network(body: nn.Sequential, head: nn.Linear) -> Mlp:
            linear = [*(m for m in body if isinstance(m, nn.Linear)), head]
            layers = [
                Layer(m.weight.detach(), m.bias.detach(), grads[m.weight], grads[m.bias]) for m in linear
            ]
            return Mlp(layers, activation(policy), rows)

        self.pi = network(policy.mlp_extractor.policy_net, policy.action_net)
        self.vf = network(policy.mlp_extractor.value_net, policy.value_net)
        gaussian = hasattr(policy, "log_std")
        self.log_std = policy.log_std.detach().numpy() if gaussian else None
        self.log_std_grad = grads[policy.log_std].numpy() if gaussian else None


class Shares:
    """All threads' shares of batches of up to `rows` observations."""

    def __init__(self, policy: Any, rows: int) -> None:
        self.rows = rows
        self._shares = [Share(policy, -(-rows // THREADS)) for _ in range(THREADS)]
        self._pool = ThreadPoolExecutor(THREADS - 1, "ppo")

    def __iter__(self) -> Iterator[Share]:
        return iter(self._shares)

    def run(self, work: Callable[[Share, slice], None], rows: slice) -> None:
        """Call work(share, part) in each thread, where the parts are those of `rows`."""
        size = -(-(rows.stop - rows.start) // THREADS)
        parts = [
            slice(min(rows.start + i * size, rows.stop), min(rows.start + (i + 1) * size, rows.stop))
            for i in range(THREADS)
        ]
        waiting = [
            self._pool.submit(work, share, part)
            for share, part in zip(self._shares[1:], parts[1:], strict=True)
        ]
        try:
            work(self._shares[0], parts[0])
        finally:
            for future in waiting:
                future.result()

    def gather(self, gradient: torch.Tensor, sums: Array) -> None:
        """Set `gradient` and `sums` to the sums over all shares, and theirs to zero."""
        gradient.zero_()
        sums[:] = 0.0
        for share in self._shares:
            gradient += share.gradient
            sums += share.sums
            share.gradient.zero_()
            share.sums[:] = 0.0


def flatten(policy: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """Move a policy's parameters into one vector, as views of it, and its gradients into another; the two vectors."""
    parameters = list(policy.parameters())
    flat = torch.cat([p.detach().ravel() for p in parameters])
    gradient = torch.zeros_like(flat)
    for parameter, value in zip(parameters, views(flat, parameters), strict=True):
        parameter.data = value
    return flat, gradient


def views(flat: torch.Tensor, parameters: list[nn.Parameter]) -> list[torch.Tensor]:
    """The parts of a vector, each with the shape of a parameter."""
    parts = flat.split([p.numel() for p in parameters])
    return [part.view(p.shape) for part, p in zip(parts, parameters, strict=True)]


def activation(policy: Any) -> str:
    """What is behind each layer, tanh or relu; raises ValueError for a policy that is not of plain perceptrons with one of these."""
    extractor = getattr(policy, "mlp_extractor", None)
    if extractor is None or any(policy.features_extractor.parameters()):
        raise ValueError(f"FastPPO trains an MlpPolicy, not a {type(policy).__name__} with layers of its own")
    kinds = {type(m) for net in (extractor.policy_net, extractor.value_net) for m in net} - {nn.Linear}
    known = {nn.Tanh: "tanh", nn.ReLU: "relu"}
    if len(kinds) > 1 or not kinds <= known.keys():
        raise ValueError(
            f"FastPPO knows tanh and relu, one for all layers, not {sorted(k.__name__ for k in kinds)}"
        )
    return known[kinds.pop()] if kinds else "tanh"


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Within it, a matrix product is one thread's work: the threads are ours."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.no_grad():
            yield
    finally:
        torch.set_num_threads(before)
