"""Faults that no row of a tape can bring, put into the arrays of a snapshot: those of one instrument's scenarios."""

from __future__ import annotations

from math import nan, sqrt
from statistics import NormalDist
from typing import Any

import numpy as np

from daemon.drill.desk import Arrays, Desk, Tamper
from engine.records import Limit

_WORST = 0.95  # the largest loss of a scenario: a price falls by less than all of it
_GOLDEN = 0.6180339887498949
_FIRST = 0.16  # the newest scenario is a usual one: EWMA looks at it most


def nan_scenario(desk: Desk) -> Tamper:
    """One scenario of the instrument becomes no number, of the limits' matrix and of stress."""

    def tamper(arrays: Arrays) -> None:
        r = arrays["risk"][0]
        for first, width in _matrices(r):
            if width:
                arrays["scenarios"][first + desk.k * width] = nan

    return tamper


def violent(desk: Desk) -> Tamper:
    """The instrument's returns become those of a normal distribution in which a period can cost nearly all."""

    def tamper(arrays: Arrays) -> None:
        r = arrays["risk"][0]
        for first, width in {(int(r["raw"]), int(r["window"])), (int(r["sample"]), int(r["width"]))}:
            n = _known(arrays, desk.k) if width == r["window"] else width
            at = first + desk.k * width
            arrays["scenarios"][at : at + n] = _normal(n)
        arrays["histories"]["largest"][desk.k] = 1.0

    return tamper


def stressed(desk: Desk) -> Tamper:
    """In each scenario of stress the instrument loses nearly all."""

    def tamper(arrays: Arrays) -> None:
        r = arrays["risk"][0]
        at, width = int(r["stressed"]) + desk.k * int(r["stress"]), int(r["stress"])
        arrays["scenarios"][at : at + width] = -_WORST
        arrays["histories"]["stress_largest"][desk.k] = 1.0

    return tamper


def tamper_for(desk: Desk, limit: Limit) -> tuple[Tamper, float, float]:
    """What makes the instrument dangerous for a limit; and between what one unit of money in it may then lose.

    The bounds are wide, and hold for all methods: each is a multiple of the standard deviation of the scenarios.
    """
    r = desk.base.arrays["risk"][0]
    root = sqrt(float(r["horizon"]))
    if limit == Limit.STRESSED_VAR:
        return stressed(desk), _WORST, _WORST * root
    n = min(_known(desk.base.arrays, desk.k), int(r["width"]))
    deviation = float(np.std(_normal(n)))
    return violent(desk), 0.6 * float(r["z"]) * deviation * root, 1.5 * float(r["es"]) * deviation * root


def small_buffer(orders: int) -> Tamper:
    """There is room for so many live orders only."""

    def tamper(arrays: Arrays) -> None:
        arrays["clock"]["most_orders"] = orders

    return tamper


def warn_only(arrays: Arrays) -> None:
    """Limits on losses warn, and do nothing else."""
    arrays["limits"]["bound"] = 0.0


def _known(arrays: Arrays, k: int) -> int:
    return int(arrays["histories"]["rows"][k])


def _matrices(r: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    """Where the matrices of the limits and of stress begin, and how many scenarios an instrument has in each."""
    return (int(r["sample"]), int(r["width"])), (int(r["stressed"]), int(r["stress"]))


def _normal(n: int) -> np.ndarray[Any, Any]:
    """(n,) quantiles of a normal distribution whose worst is a loss of _WORST, in an order that looks random."""
    places = np.argsort((_FIRST + _GOLDEN * np.arange(n)) % 1.0, kind="stable")
    normal = NormalDist()
    found = np.empty(n)
    found[places] = [normal.inv_cdf((i + 0.5) / n) for i in range(n)]
    return found * (_WORST / abs(found).max())
