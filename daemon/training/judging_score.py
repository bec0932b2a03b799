"""The number by which a training chooses its best model: what it earns on the validation span, per bar.

It is the reward that the agent is trained for, and not a Sharpe ratio of returns: that of a few hundred bars moves by
chance more than a model improves from one look to the next, and it would choose for something else than what was asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from engine.models import Model
from envs.lanes import Lanes

if TYPE_CHECKING:
    from daemon.training.history import History
    from envs.spans import TimeSpan

BARS = 1024  # of an episode at most: a long span becomes several, which are stepped together


class Scorer:
    """Scores models on one part of the history; it keeps the lanes, so that the next score costs the steps only.

    On each tape fresh accounts begin at the first bar and after every episode's length, or BARS where that is shorter, and
    act greedily; together they see each bar of the span once. Raises SpanError or TaskError where there is no room.
    """

    def __init__(self, history: History, when: TimeSpan) -> None:
        spans = history.spans(when)
        length = min(history.task.episode_bars or BARS, BARS)
        self._starts = [
            (tape, start)
            for tape, span in enumerate(spans)
            for start in range(span.start, span.end - 1, length)
        ]
        self._bars = sum(len(span) - 1 for span in spans)
        self._steps = min(length, max(len(span) - 1 for span in spans))
        self._lanes = Lanes(history.tapes, len(self._starts), 0, spans, restarts=False)

    def __call__(self, model: Model) -> float:
        """Mean reward per bar, net of costs, over all tapes; after its ruin an account earns nothing.

        The same model has the same score: nothing here is drawn.
        """
        lanes = self._lanes
        for lane, (tape, start) in enumerate(self._starts):
            lanes.place(lane, start, tape)
        earned = 0.0
        for _ in range(self._steps):
            values = model.values(lanes.observations.astype(np.float64))  # (lanes, outputs)
            lanes.step(values[:, 0] if values.shape[1] == 1 else values.argmax(axis=1))
            earned += float(lanes.rewards.sum(dtype=np.float64))
        return earned / self._bars
