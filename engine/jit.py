"""The one way in which the engine's functions are compiled.

Functions are compiled when an entry of ``engine/kernel.py`` first needs them, never at import. With
``NUMBA_DISABLE_JIT=1`` they stay plain Python and give the same results, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from numba import config

# error_model="numpy": a division by zero gives inf or nan instead of an exception, which costs nothing in the
# loop; whoever divides checks the divisor where it can be zero.
jit = numba.njit(error_model="numpy")
inline = numba.njit(error_model="numpy", forceinline=True)


def setting(name: str) -> Any:
    """One of numba's settings; its module is filled at run time, which no type checker sees."""
    return getattr(config, name)


def entry(signature: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function compiled now, or loaded from the cache folder where one is named."""
    compiler: Any = numba.njit(signature, error_model="numpy", cache=bool(setting("CACHE_DIR")))
    compiled: Callable[..., Any] = compiler(function)
    return compiled
