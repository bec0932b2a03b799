"""What tests of single compiled functions share: they run on the columns of a State, as plain Python and compiled."""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numba
import numpy as np
import pytest
from numba.core import types

from engine.jit import entry, setting
from engine.records import RECORD_TYPES, TICK_DTYPES, State, Ticks
from engine.records_risk import RISK
from engine.table import TABLE_LENGTH, fill_table
from tests.builders import plain


def risk_record(confidence: float = 0.99, decay: float = 0.94) -> Any:
    """A RISK record of which only what the statistics need is filled."""
    r: Any = np.zeros(1, RISK).view(np.recarray)[0]
    z = NormalDist().inv_cdf(confidence)
    r.tail, r.z, r.decay = 1.0 - confidence, z, decay
    r.es = NormalDist().pdf(z) / (1.0 - confidence)
    return r


def left_behind(function: Callable[[Any], int], **columns: Any) -> tuple[State, State]:
    """The State that a function leaves which takes the address of its table: as plain Python, and compiled.

    columns: what the State holds; its other columns are empty.
    """
    states = []
    for _ in range(2):
        given = {
            name: np.array(columns.get(name, []), dtype) for name, dtype in RECORD_TYPES._asdict().items()
        }
        states.append(State(**{k: v.view(np.recarray) if v.dtype.names else v for k, v in given.items()}))
    uncompiled, compiled = states
    plain(function)((uncompiled, None))
    if setting("DISABLE_JIT"):
        return uncompiled, uncompiled
    ticks = Ticks(*(np.zeros(0, dtype) for dtype in TICK_DTYPES))
    table = np.zeros(TABLE_LENGTH, np.int64)
    fill_table(table, compiled, ticks)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numba.config, "CACHE_DIR", "")  # the folder is for the engine's own entries
        entry(types.int64(types.int64), function)(table.ctypes.data)
    return uncompiled, compiled
