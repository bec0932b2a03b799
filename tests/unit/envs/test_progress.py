from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from envs.progress import ROWS_BETWEEN_WRITES, ParquetProgress, Progress


def report(step: int, evaluation: float | None = None) -> Progress:
    return Progress(step, step / 10, 0.5, 3, 1.5, {"value": 0.25, "policy": -1.0}, evaluation, evaluation)


def test_file_has_a_row_a_report_with_a_column_a_loss(tmp_path: Path) -> None:
    path = tmp_path / "progress.parquet"
    progress = ParquetProgress(path)
    progress(report(10))
    progress(report(20, 0.7))
    progress.close()
    assert pq.read_table(path).to_pylist() == [
        {
            "step": step, "wall_s": step / 10, "reward": 0.5, "episodes": 3, "episode_reward": 1.5,
            "evaluation": value, "best": value, "loss_value": 0.25, "loss_policy": -1.0,
        }
        for step, value in ((10, None), (20, 0.7))
    ]  # fmt: skip


def test_file_is_whole_whenever_it_is_written_and_written_now_and_then(tmp_path: Path) -> None:
    path = tmp_path / "progress.parquet"
    progress = ParquetProgress(path)
    counts = []
    for i in range(2 * ROWS_BETWEEN_WRITES):
        progress(report(i, 0.1 if i == 3 else None))
        counts.append(pq.read_metadata(path).num_rows if path.exists() else 0)
    assert counts[:4] == [0, 0, 0, 4]  # at an evaluation
    assert counts[ROWS_BETWEEN_WRITES - 2 : ROWS_BETWEEN_WRITES] == [4, ROWS_BETWEEN_WRITES]
    assert counts[-1] == 2 * ROWS_BETWEEN_WRITES
    assert [p.name for p in tmp_path.iterdir()] == ["progress.parquet"]


def test_resumed_training_goes_on_behind_the_step_it_resumes_from(tmp_path: Path) -> None:
    path = tmp_path / "progress.parquet"
    first = ParquetProgress(path)
    for step in (10, 20, 30):
        first(report(step))
    first.close()
    second = ParquetProgress(path, after=20)
    second(report(31))
    second.close()
    assert pq.read_table(path)["step"].to_pylist() == [10, 20, 31]
    anew = ParquetProgress(path)
    anew(report(1))
    anew.close()
    assert pq.read_table(path)["step"].to_pylist() == [1]


def test_no_report_leaves_no_file(tmp_path: Path) -> None:
    ParquetProgress(tmp_path / "progress.parquet").close()
    assert list(tmp_path.iterdir()) == []


def test_other_losses_than_before_are_an_error(tmp_path: Path) -> None:
    progress = ParquetProgress(tmp_path / "progress.parquet")
    progress(report(1))
    with pytest.raises(ValueError, match=r"a report of .* after one of"):
        progress(Progress(2, 0.0, 0.0, losses={"td": 1.0}))
