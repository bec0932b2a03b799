"""Random integers for compiled code: L'Ecuyer's combined generator, the same numbers compiled and in plain Python.

Its state is two integers, which a checkpoint saves as they are. Source: L'Ecuyer (1988), Efficient and portable combined
random number generators, figure 3: two multiplicative generators, whose difference has a period of 2.3e18. No product
here leaves int64.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.jit import inline
from engine.models import Array

M1, A1 = 2_147_483_563, 40_014
M2, A2 = 2_147_483_399, 40_692
DRAWS = M1 - 1  # how many values a draw can have: divisible by 2 and by 3, so that both split it evenly

# A record that begins with x1 and x2 would count for numba as one of these, with a warning; x2 stands first for that.
RANDOM = np.dtype([("x2", "i8"), ("x1", "i8")])


def make_random(seed: np.random.SeedSequence) -> Array:
    """The state of a generator for that seed: (1,) RANDOM."""
    a, b = (int(word) for word in seed.generate_state(2, np.uint64))
    state = np.zeros(1, RANDOM).view(np.recarray)
    state.x1, state.x2 = 1 + a % (M1 - 1), 1 + b % (M2 - 1)
    return np.asanyarray(state)


@inline
def draw(state: Any) -> int:
    """The next integer of a generator, a RANDOM, from 0 to DRAWS - 1."""
    state.x1 = state.x1 * A1 % M1
    state.x2 = state.x2 * A2 % M2
    z = state.x1 - state.x2
    return z - 1 if z > 0 else z + (M1 - 2)


@inline
def uniform(state: Any) -> float:
    """The next number of a generator, from 0 to below 1, in steps of 4.7e-10."""
    return draw(state) / DRAWS
