"""What goes wrong in a training, but for what the engine and the specification say.

ValueError
+-- TaskError        the parts of a task do not fit together, or its tapes do not fit it
+-- SpanError        spans cannot be cut as asked (envs/spans.py)
+-- CheckpointError  there is nothing to resume, or it is of another training
RuntimeError
+-- TrainingError    the training itself went wrong: a loss is no number
"""

from __future__ import annotations


class TaskError(ValueError):
    """The parts of a task do not fit together."""


class CheckpointError(ValueError):
    """A checkpoint cannot be read, there is none, or it is of another training."""


class TrainingError(RuntimeError):
    """A training went wrong: a loss or an evaluation is no number."""
