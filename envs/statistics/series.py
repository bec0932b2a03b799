"""What may be called a series of returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
LEAST = 3  # returns, for anything that speaks of their spread
ROUNDING = 1e-12  # a standard deviation below it is that of equal returns, computed


def checked(values: Array | Sequence[float], name: str, ndim: int = 1) -> Array:
    """Returns as an array of float64; name: what messages call it.

    Raises ValueError where it has another number of dimensions, or where a value is no finite number or below -1: who
    loses more than there was has no return.
    """
    array = np.asarray(values, np.float64)
    if array.ndim != ndim:
        raise ValueError(f"{name} has {array.ndim} dimensions; it must have {ndim}")
    wrong = np.argwhere(~(np.isfinite(array) & (array >= -1.0)))
    if len(wrong):
        at = tuple(wrong[0].tolist())
        place = ", ".join(map(str, at))
        raise ValueError(f"{name}[{place}] is {array[at]}; a return is a finite number of at least -1")
    return array
