"""What a policy earns on a path where it is all in or all out, and how uncertain that number is.

The account is flat or long: long, it has put all of its equity into the instrument, the fee c of the purchase included.
Equity E buys E / (1 + c) worth, so going long adds -log(1 + c) to the log of equity; a sale of V leaves V (1 - c), so going
flat adds log(1 - c). A switch decided at a close is filled at that close's price, as the next bar opens there. Up to whole
lots and whole micros of the engine this is exact: nothing is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, log1p
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
FLAT, LONG = 0, 1


class ControlError(ValueError):
    """A market, policy or cost of the controls that cannot be."""


@dataclass(frozen=True, eq=False)
class BinPolicy:
    """A position for each bin of one feature and each position held.

    edges: (k,) float64 ascending, inner edges of the bins; a value's bin is how many edges are at or below it, as in a
    Q-table. targets: (2, k + 1) int8, the position to take (0 flat, 1 long) by position held and bin. Raises ControlError
    where the two do not fit.
    """

    edges: Array
    targets: Array

    def __post_init__(self) -> None:
        if self.edges.ndim != 1 or not np.all(np.isfinite(self.edges)) or np.any(np.diff(self.edges) <= 0):
            raise ControlError("edges: they are not finite and ascending; give (k,) float64")
        if self.targets.shape != (2, len(self.edges) + 1):
            raise ControlError(
                f"targets: their shape is {self.targets.shape}; {len(self.edges)} edges need (2, {len(self.edges) + 1})"
            )
        if not np.all((self.targets == FLAT) | (self.targets == LONG)):
            raise ControlError("targets: there is something else than 0 (flat) and 1 (long)")

    def compact(self) -> BinPolicy:
        """The same decisions with the fewest bins: neighbours that decide alike are one."""
        differs = np.any(self.targets[:, 1:] != self.targets[:, :-1], axis=0)
        keep = np.concatenate([[True], differs])
        return BinPolicy(self.edges[differs], self.targets[:, keep])

    def act(self, observation: float, position: int) -> int:
        """The position to take on one observation, holding `position`."""
        return int(self.targets[position, np.searchsorted(self.edges, observation, side="right")])

    def positions(self, feature: Array) -> Array:
        """The position taken on each observation in turn, from flat: (n,) -> (n,) int8. A NaN raises ControlError."""
        if np.any(np.isnan(feature)):
            raise ControlError(f"feature: row {int(np.argmax(np.isnan(feature)))} is not a number")
        bins = np.searchsorted(self.edges, feature, side="right")
        from_flat, from_long = self.targets[:, bins].astype(np.int8)
        # each row sets the position, keeps it or flips it: it is what was set last, flipped as often as since then
        rows = np.arange(len(bins))
        last_set = np.maximum.accumulate(np.where(from_flat == from_long, rows, -1))
        flips = np.cumsum(from_flat > from_long)
        was_set = last_set >= 0
        start = np.where(was_set, from_flat[last_set], FLAT)
        since = flips - np.where(was_set, flips[last_set], 0)
        return np.asarray((start + since) % 2, np.int8)


def switch_costs(fee_bps: float) -> tuple[float, float]:
    """What going long and going flat take from the log of equity, both >= 0, for a fee in bps of the notional.

    Raises ControlError for a fee below 0 or of 10,000 bps and more.
    """
    if not (isfinite(fee_bps) and 0 <= fee_bps < 1e4):
        raise ControlError(
            f"fee_bps: {fee_bps} is not within 0 and 10,000; give basis points of the notional"
        )
    return log1p(fee_bps * 1e-4), -log1p(-fee_bps * 1e-4)


def rewards_of(positions: Array, returns: Array, fee_bps: float) -> Array:
    """The log return of equity of each step, from flat.

    positions: (n,) 0 or 1, decided at the close before each return; returns: (n,) log returns, those that came (`Path.returns`)
    or those that were to be expected (`Path.expected`, which leaves out most of the noise). -> (n,) float64. Raises
    ControlError where the lengths differ.
    """
    if positions.shape != returns.shape:
        raise ControlError(f"{positions.shape} positions on {returns.shape} returns; give one for each")
    enter, leave = switch_costs(fee_bps)
    change = np.diff(positions.astype(np.int8), prepend=np.int8(FLAT))
    return np.asarray(positions * returns - enter * (change > 0) - leave * (change < 0))


def standard_error(rewards: Array, batches: int = 50) -> float:
    """The standard error of the mean of serially dependent rewards, by the means of consecutive batches (ddof 1).

    A batch should be many times as long as a position is held. What does not fill a batch is left out. Raises ControlError
    where there are fewer than two rewards for each batch. Source: Law, Simulation Modeling and Analysis (2015), ch. 9.
    """
    size = len(rewards) // batches
    if batches < 2 or size < 2:
        raise ControlError(f"{len(rewards)} rewards in {batches} batches; give two batches of two or more")
    means = rewards[: size * batches].reshape(batches, size).mean(axis=1)
    return float(means.std(ddof=1) / np.sqrt(batches))


def share_of(rewards: Array, best: Array, batches: int = 50) -> tuple[float, float]:
    """What an agent earned as a share of what the best policy earned on the same steps, and the share's standard error.

    rewards, best: (n,) per step. The error is that of a ratio of two means to first order, by batches as in `standard_error`. Raises
    ControlError where the best policy earned nothing, or the lengths differ.
    """
    if rewards.shape != best.shape:
        raise ControlError(
            f"{rewards.shape} rewards beside {best.shape} of the best policy; give the same steps"
        )
    if not best.mean() > 0:
        raise ControlError("best: it earned nothing on these steps; give more of them, or a market that pays")
    share = rewards.mean() / best.mean()
    return float(share), standard_error(rewards - share * best, batches) / float(best.mean())
