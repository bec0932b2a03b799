"""How long to wait before the next attempt."""

from __future__ import annotations

import random

FIRST_S = 1.0
LONGEST_S = 60.0
JITTER = 0.2  # up or down by as much, so that clients that failed together do not come back together


class Backoff:
    """Waits that double from 1 s to 60 s, each longer or shorter by up to 20 % by chance."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._next = FIRST_S

    def next(self) -> float:
        """Seconds to wait now."""
        wait, self._next = self._next, min(2 * self._next, LONGEST_S)
        return wait * self._rng.uniform(1 - JITTER, 1 + JITTER)

    def reset(self) -> None:
        """Begin with the shortest wait again."""
        self._next = FIRST_S
