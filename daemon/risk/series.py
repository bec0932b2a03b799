"""What may be called a series of forecasts or outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def checked(**named: Array | Sequence[float]) -> list[Array]:
    """The series as arrays of float64, in the order given; their names are what messages call them.

    Raises ValueError where one has not one dimension, differs in length from the first, or holds what is no finite number.
    """
    arrays: list[Array] = []
    first = next(iter(named))
    for name, values in named.items():
        array = np.asarray(values, np.float64)
        if array.ndim != 1:
            raise ValueError(f"{name} has {array.ndim} dimensions; it must have one")
        if arrays and len(array) != len(arrays[0]):
            raise ValueError(
                f"{name} has {len(array)} values beside {len(arrays[0])} of {first}; give one a period"
            )
        wrong = np.flatnonzero(~np.isfinite(array))
        if len(wrong):
            raise ValueError(f"{name}[{wrong[0]}] is {array[wrong[0]]}; it must be a finite number")
        arrays.append(array)
    return arrays


def checked_tail(tail: float) -> float:
    """The probability of a loss beyond VaR, 1 - confidence. Raises ValueError unless it is above 0 and at most 1/2."""
    if not (0.0 < tail <= 0.5):
        raise ValueError(
            f"the tail is {tail}; it must be above 0 and at most 0.5, such as 0.01 for a confidence of 99 %"
        )
    return tail
