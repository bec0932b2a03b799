"""When made-up markets are open."""

from __future__ import annotations

import numpy as np

from engine.records import SECOND
from engine.spec import Sessions

ALWAYS = Sessions(np.zeros(0, np.int64), np.zeros(0, np.int64))


def open_at(*spans: tuple[float, float], since: int = 0) -> Sessions:
    """Open in these spans of seconds after a moment."""
    return Sessions(
        *(np.array([since + round(span[i] * SECOND) for span in spans], np.int64) for i in (0, 1))
    )
