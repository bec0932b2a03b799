"""What a training tells while it runs, and the Parquet file in which it stays.

A callback is any callable that takes a `Progress`. An exception in one ends the training as it would anywhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROWS_BETWEEN_WRITES = 64


@dataclass(frozen=True)
class Progress:
    """Where a training stands.

    step: environment steps of all lanes since its start, over resumptions. wall_s: seconds of work, over resumptions too.
    reward: mean per environment step since the last report. episodes: how many have ended since then, and the mean of their
    summed rewards (None where none has). losses: by name, the same names in each report. evaluation: the value of the model
    as it is now on the validation span, where it was looked at just now. best: the highest so far.
    """

    step: int
    wall_s: float
    reward: float
    episodes: int = 0
    episode_reward: float | None = None
    losses: Mapping[str, float] = field(default_factory=dict)
    evaluation: float | None = None
    best: float | None = None

    def row(self) -> dict[str, Any]:
        """One column a number; a loss `x` is the column `loss_x`."""
        own = {k: v for k, v in self.__dict__.items() if k != "losses"}
        return own | {f"loss_{name}": value for name, value in self.losses.items()}


Callback = Callable[[Progress], None]


class ParquetProgress:
    """A callback that keeps one row a report in a Parquet file.

    The file is replaced whole, at each evaluation, every 64 rows and at `close`: whoever reads it finds a complete file. after: the step from
    which a training is resumed; the rows up to it are kept. Raises OSError where the file cannot be written, and
    ValueError where a report names other losses than the one before.
    """

    def __init__(self, path: Path, after: int = 0) -> None:
        import pyarrow.parquet as pq

        self._path = path
        self._rows: list[dict[str, Any]] = []
        if after and path.exists():
            self._rows = [row for row in pq.read_table(path).to_pylist() if row["step"] <= after]

    def __call__(self, progress: Progress) -> None:
        row = progress.row()
        if self._rows and row.keys() != self._rows[0].keys():
            raise ValueError(f"{self._path}: a report of {[*row]} after one of {[*self._rows[0]]}")
        self._rows.append(row)
        if progress.evaluation is not None or len(self._rows) % ROWS_BETWEEN_WRITES == 0:
            self.close()

    def close(self) -> None:
        """Write what there is; nothing where there was no report."""
        if not self._rows:
            return
        import pyarrow as pa
        import pyarrow.parquet as pq

        whole = {"step": pa.int64(), "episodes": pa.int64()}
        fields = [(name, whole.get(name, pa.float64())) for name in self._rows[0]]
        partial = self._path.with_name(self._path.name + ".partial")
        pq.write_table(pa.Table.from_pylist(self._rows, schema=pa.schema(fields)), partial)
        partial.replace(self._path)
